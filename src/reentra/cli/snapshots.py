"""``reentra snapshots``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from reentra import clock as clocks
from reentra import errors
from reentra.cli import session, viewing
from reentra.cli.options import DEFAULT_COMMON, Common, TenantName
from reentra.cli.screen import Screen

if TYPE_CHECKING:
    from reentra.app import Application

app = App(name="snapshots")


@app.default
def snapshots(
    name: TenantName,
    /,
    *,
    captures: Annotated[
        bool,
        Parameter(
            negative="",
            help="List what restores kept before their first write, instead of snapshots.",
        ),
    ] = False,
    taken_from: Annotated[
        str, Parameter(help="Only those taken at or after this time (UTC).")
    ] = "",
    taken_before: Annotated[str, Parameter(help="Only those taken before this time (UTC).")] = "",
    limit: Annotated[int | None, Parameter(help="Show at most so many.")] = None,
    common: Common = DEFAULT_COMMON,
) -> int:
    """List a tenant's snapshots, newest first.

    Example: reentra snapshots contoso
    """
    screen = Screen(as_json=common.json)
    since = viewing.asked_moment("--taken-from", taken_from)
    until = viewing.asked_moment("--taken-before", taken_before)
    if captures and (since or until or limit is not None):
        raise errors.UsageError(
            "Captures are listed all at once.", hint="Leave the times and the limit out."
        )
    with session.opened(common) as application:
        if captures:
            _show_captures(application, screen, name)
            return 0
        tenant_id = viewing.synced_tenant(application, screen, name)
        found = application.catalog.list_snapshots(
            tenant_id, limit=limit, taken_from=since, taken_before=until
        )
    if not found and (since or until):
        screen.say("No snapshot was taken then.")
    elif not found:
        screen.say(f"{name} has no snapshot yet. `reentra backup {name}` makes one.")
    else:
        screen.table(
            ("Snapshot", "Taken (UTC)", "Status", "Objects", "Added", "Changed", "Deleted"),
            (
                (
                    item.id,
                    clocks.iso(item.created_at)[:19].replace("T", " "),
                    item.status,
                    *(
                        f"{sum(getattr(kind, column) for kind in item.info.kinds.values()):,}"
                        for column in ("objects", "added", "changed", "deleted")
                    ),
                )
                for item in found
            ),
            numbers=(3, 4, 5, 6),
        )
    screen.result(
        [
            {
                "id": item.id,
                "created_at": clocks.iso(item.created_at),
                "parent": item.parent,
                "status": item.status,
                "kinds": {
                    kind: viewing.kind_document(summary)
                    for kind, summary in item.info.kinds.items()
                },
                "review": list(item.info.review),
            }
            for item in found
        ]
    )
    return 0


def _show_captures(application: Application, screen: Screen, name: str) -> None:
    tenant_id = application.connections.find(name).tenant_id
    found = viewing.captures_of(application, tenant_id)
    if found:
        screen.table(
            ("Capture", "Of restore", "Taken (UTC)", "Objects", "Links"),
            (
                (
                    item["id"],
                    item["job"],
                    item["taken_at"][:19].replace("T", " "),
                    f"{sum(item['kinds'].values()):,}",
                    f"{sum(item['relationships'].values()):,}",
                )
                for item in found
            ),
            numbers=(3, 4),
        )
        screen.say(f"`reentra compare {name} CAPTURE live` shows what changed since.")
    else:
        screen.say(f"Nothing was restored in {name} yet.")
    screen.result(found)
