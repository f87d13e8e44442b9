"""``reentra rebuild``."""

from __future__ import annotations

from cyclopts import App

from reentra.cli import running, session
from reentra.cli.options import DEFAULT_COMMON, Common
from reentra.cli.screen import Screen

app = App(name="rebuild")


@app.default
def rebuild(*, common: Common = DEFAULT_COMMON) -> int:
    """Make the catalog anew from the repository alone. It gives the same answers afterwards.

    Example: reentra rebuild
    """
    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        job_id, result = running.run(application, screen, "rebuild")
        return running.show_result(screen, job_id, "rebuild", result)
