"""``reentra check``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from reentra.cli import running, session
from reentra.cli.options import DEFAULT_COMMON, Common
from reentra.cli.screen import Screen
from reentra.jobs import TaskStatus

app = App(name="check")
EXIT_DAMAGED = 5


@app.default
def check(
    *,
    quick: Annotated[
        bool,
        Parameter(negative="", help="Look at presence and size, without reading every byte."),
    ] = False,
    repair: Annotated[
        bool,
        Parameter(
            negative="",
            help="First put damaged parts of identity maps right from the journal, or set them "
            "aside and say what is lost; they keep restores from running.",
        ),
    ] = False,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Verify everything that the repository promises, and name what is damaged.

    Reads every byte, reports every problem, and without --repair changes nothing. Exit code 5 for
    damage.

    Example: reentra check
    """
    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        parameters = {"quick": quick, "repair": repair}
        job_id, result = running.run(application, screen, "check", parameters=parameters)
        running.show_result(screen, job_id, "check", result)
    return EXIT_DAMAGED if result.status is TaskStatus.FAILED else 0
