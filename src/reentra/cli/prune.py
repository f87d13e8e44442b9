"""``reentra prune``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from reentra.cli import running, session
from reentra.cli.options import DEFAULT_COMMON, Common
from reentra.cli.screen import Screen, plural

app = App(name="prune")


@app.default
def prune(
    *,
    preview: Annotated[
        bool, Parameter(negative="", help="Show what it would do, and do nothing.")
    ] = False,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Give back the space of forgotten snapshots.

    What kept snapshots need of them is merged, stored and read back before anything is deleted.
    Killed at any moment, every kept snapshot is whole; run it again. Nobody else may work on the
    repository meanwhile.

    Example: reentra prune --preview
    """
    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        if not preview:
            job_id, result = running.run(application, screen, "prune")
            return running.show_result(screen, job_id, "prune", result)
        from reentra.repository import plan_prune

        plan = plan_prune(application.repository, application.clock.now()).to_json()
    screen.say(
        f"{plural(len(plan['forgotten']), 'forgotten snapshot')}: would merge what "
        f"{plural(len(plan['merges']), 'kept snapshot')} need of them, and delete "
        f"{plural(plan['segments'], 'segment')} ({plan['bytes_unneeded']:,} bytes) and what was "
        "merged."
    )
    screen.result(plan)
    return 0
