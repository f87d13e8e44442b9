"""``reentra search``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from reentra import clock as clocks
from reentra.cli import session, viewing
from reentra.cli.options import DEFAULT_COMMON, Common, Kinds, TenantName
from reentra.cli.screen import Screen

app = App(name="search")


@app.default
def search(
    name: TenantName,
    text: Annotated[str, Parameter(help="Part of a name, a principal name, a mail or an id.")] = "",
    /,
    *,
    kind: Kinds = (),
    modified_from: Annotated[
        str, Parameter(help="Changed in a snapshot taken at or after this time (UTC).")
    ] = "",
    modified_to: Annotated[
        str, Parameter(help="Changed in a snapshot taken at or before this time (UTC).")
    ] = "",
    deleted_only: Annotated[
        bool, Parameter(negative="", help="Only objects deleted between two snapshots.")
    ] = False,
    limit: Annotated[int, Parameter(help="Show at most so many.")] = 100,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Find objects over all snapshots of a tenant, newest version first.

    Search looks at changes in properties, not in relationships. An object that a restore had to
    create anew is found under both ids, and the one that it has now is told.

    Example: reentra search contoso "adele" --kind user --deleted-only
    """
    from reentra.catalog import SearchQuery
    from reentra.directory.selection import Selection

    screen = Screen(as_json=common.json)
    query = SearchQuery(
        text=text,
        kinds=tuple(sorted(Selection.parse(kind).kinds)),
        modified_from=viewing.asked_moment("--modified-from", modified_from),
        modified_to=viewing.asked_moment("--modified-to", modified_to, is_end=True),
        deleted_only=deleted_only,
        limit=limit,
    )
    with session.opened(common) as application:
        tenant_id = viewing.synced_tenant(application, screen, name)
        page = application.catalog.search(tenant_id, query)
        identity = viewing.identity_of(application, tenant_id)
    now = {hit.id: identity.current(hit.id) for hit in page.hits}
    screen.table(
        ("", "Object", "Kind", "Id", "Snapshot", "Modified (UTC)"),
        (
            (
                "deleted" if hit.is_deleted else "",
                hit.name,
                hit.kind,
                hit.id if now[hit.id] == hit.id else f"{hit.id} (now {now[hit.id]})",
                hit.snapshot_id,
                clocks.iso(hit.modified_at)[:19].replace("T", " "),
            )
            for hit in page.hits
        ),
    )
    if not page.hits:
        screen.say("Nothing was found.")
    elif page.cursor:
        screen.say(f"There is more than {limit}; narrow the search or raise --limit.")
    screen.result(
        [
            {
                "kind": hit.kind,
                "id": hit.id,
                "id_now": now[hit.id],
                "display_name": hit.name,
                "snapshot": hit.snapshot_id,
                "snapshot_at": clocks.iso(hit.snapshot_at),
                "modified_at": clocks.iso(hit.modified_at),
                "deleted": hit.is_deleted,
            }
            for hit in page.hits
        ]
    )
    return 0
