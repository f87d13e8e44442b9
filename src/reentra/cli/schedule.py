"""``reentra schedule``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from reentra.cli import acting, session
from reentra.cli.options import DEFAULT_COMMON, Common, TenantName
from reentra.cli.screen import Screen

app = App(name="schedule")


@app.default
def schedule(
    name: TenantName,
    rule: Annotated[
        str,
        Parameter(help="off, every 30m, every 6h, daily 02:30, or cron 0 */4 * * *."),
    ] = "",
    /,
    *,
    zone: Annotated[str, Parameter(help="The time zone, such as Europe/Berlin.")] = "",
    common: Common = DEFAULT_COMMON,
) -> int:
    """Show or set when a tenant is backed up. `reentra serve` keeps to it.

    However many runs were missed, they are caught up by one.

    Example: reentra schedule contoso "daily 02:30" --zone Europe/Berlin
    """
    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        application.connections.find(name)
        found = application.schedules.load(name)
        if rule or zone:
            with acting.recorded(application, "schedule.change", tenant=name, target=rule):
                found = application.schedules.save(name, rule or found.rule, zone or found.zone)
    document = found.to_json()
    screen.say(f"{name} is backed up: [bold]{found.rule}[/] ({found.zone})")
    if document["next_at"]:
        screen.say(f"  next at {document['next_at']}")
    screen.result(document)
    return 0
