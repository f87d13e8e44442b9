"""``reentra backup``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from reentra.cli import running, session
from reentra.cli.options import DEFAULT_COMMON, Common, Kinds, TenantName
from reentra.cli.screen import Screen

app = App(name="backup")


@app.default
def backup(
    name: TenantName,
    /,
    *,
    full: Annotated[
        bool, Parameter(negative="", help="Read everything anew instead of only what changed.")
    ] = False,
    anew: Annotated[
        bool,
        Parameter(
            negative="", help="Store everything anew, on nothing stored before: after damage."
        ),
    ] = False,
    kind: Kinds = (),
    common: Common = DEFAULT_COMMON,
) -> int:
    """Back up a tenant into a new snapshot.

    The first backup reads everything, later ones only what changed. A kind that could not be read
    whole is told with its reason, and the exit code is 3. A killed backup is continued by the
    next one.

    Example: reentra backup contoso
    """
    from reentra.directory.selection import Selection

    screen = Screen(as_json=common.json)
    kinds = sorted(Selection.parse(kind).kinds)
    with session.opened(common) as application:
        application.connections.load(name)
        job_id, result = running.run(
            application,
            screen,
            "backup",
            tenant=name,
            parameters={"full": full, "anew": anew, "kinds": kinds},
        )
        return running.show_result(screen, job_id, "backup", result)
