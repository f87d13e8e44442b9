"""``reentra retention``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from reentra.cli import acting, session, viewing
from reentra.cli.options import DEFAULT_COMMON, Common, TenantName
from reentra.cli.screen import Screen, plural

if TYPE_CHECKING:
    from reentra.retaining import RetentionPreview

app = App(name="retention")


@app.default
def retention(
    name: TenantName,
    /,
    *,
    last: Annotated[int | None, Parameter(help="Keep so many of the newest.")] = None,
    hourly: Annotated[int | None, Parameter(help="Keep one of each of so many hours.")] = None,
    daily: Annotated[int | None, Parameter(help="Keep one of each of so many days.")] = None,
    weekly: Annotated[int | None, Parameter(help="Keep one of each of so many weeks.")] = None,
    monthly: Annotated[int | None, Parameter(help="Keep one of each of so many months.")] = None,
    yearly: Annotated[int | None, Parameter(help="Keep one of each of so many years.")] = None,
    within_days: Annotated[
        int | None, Parameter(help="Keep everything of the last so many days.")
    ] = None,
    captures_within_days: Annotated[
        int | None,
        Parameter(help="Keep what restores kept for their undo for so many days; 0: for ever."),
    ] = None,
    zone: Annotated[str, Parameter(help="Where days begin, such as Europe/Berlin.")] = "",
    preview: Annotated[
        bool, Parameter(negative="", help="Show what it would keep, and set nothing.")
    ] = False,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Show or set which snapshots of a tenant are kept, and why each is.

    What is not said stays as it is; 0 takes a rule away, and with no rule all are kept. The newest
    snapshot always stays. `reentra serve` keeps to it after every scheduled backup; `reentra forget
    NAME --apply-policy` does so now.

    Example: reentra retention contoso --daily 30 --monthly 12 --zone Europe/Berlin --preview
    """
    from reentra import retaining
    from reentra.repository import load_policy, save_policy

    screen = Screen(as_json=common.json)
    given = {
        "last": last, "hourly": hourly, "daily": daily, "weekly": weekly, "monthly": monthly,
        "yearly": yearly, "within_days": within_days,
        "captures_within_days": captures_within_days, "zone": zone or None,
    }  # fmt: skip
    changes = {rule: value for rule, value in given.items() if value is not None}
    with session.opened(common) as application:
        tenant_id = viewing.synced_tenant(application, screen, name)
        known = load_policy(application.repository, tenant_id)
        policy = dataclasses.replace(known, **changes)  # type: ignore[arg-type]
        found = retaining.preview_retention(
            application.repository, application.catalog, tenant_id, policy, application.clock.now()
        )
        if changes and not preview:
            words = policy.described()
            with acting.recorded(application, "retention.change", tenant=name, target=words):
                save_policy(application.repository, tenant_id, policy, application.clock.now())
    show_preview(screen, name, found)
    screen.result(found.to_json())
    return 0


def show_preview(screen: Screen, name: str, found: RetentionPreview) -> None:
    """Show what a policy makes of each snapshot and capture."""
    screen.say(f"{name} keeps: [bold]{found.policy.described()}[/]")
    items = found.to_json()["items"]
    if items:
        screen.table(
            ("Snapshot", "Taken (UTC)", "Kept because"),
            (
                (
                    item["id"],
                    item["taken_at"][:19].replace("T", " "),
                    ", ".join(item["reasons"]) or "- it would be forgotten",
                )
                for item in items
            ),
        )
    screen.say(f"{plural(len(found.forgotten), 'snapshot')} would be forgotten.")
