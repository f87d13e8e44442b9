"""``reentra snapshots``."""

from __future__ import annotations

from cyclopts import App

from reentra import clock as clocks
from reentra.cli import session, viewing
from reentra.cli.options import DEFAULT_COMMON, Common, TenantName
from reentra.cli.screen import Screen

app = App(name="snapshots")


@app.default
def snapshots(name: TenantName, /, *, common: Common = DEFAULT_COMMON) -> int:
    """List a tenant's snapshots, newest first.

    Example: reentra snapshots contoso
    """
    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        tenant_id = viewing.synced_tenant(application, screen, name)
        found = application.catalog.list_snapshots(tenant_id)
    if not found:
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
