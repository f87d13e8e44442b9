"""The links of an object in parts, and the names of what ids stand for."""

from __future__ import annotations

from typing import Literal

from litestar.params import FromPath, FromQuery

from reentra import errors, viewing
from reentra.access import Permission
from reentra.api import paging
from reentra.api.documents import LinkedDocument, LinkGroupDocument, LinksPage, NamesDocument
from reentra.api.routing import route
from reentra.api.serving import Served
from reentra.catalog import Catalog
from reentra.directory.relationships import RELATIONSHIPS
from reentra.viewing import ensure_kind

_TAGS = ("snapshots",)
_OF = "/tenants/{tenant:str}/snapshots/{snapshot:str}"
_SORTED = 1000  # links up to this number come by name, more in the catalog's own order
_MOST_NAMES = 1000

Direction = Literal["to", "from"]


@route(
    "GET", _OF + "/kinds/{kind:str}/objects/{object_id:str}/relationships", Permission.BROWSE,
    tags=_TAGS, summary="The links of an object, in pages",
)  # fmt: skip
def list_links(
    tenant: FromPath[str],
    snapshot: FromPath[str],
    kind: FromPath[str],
    object_id: FromPath[str],
    serving: Served,
    relationship: FromQuery[str] = "",
    direction: FromQuery[Direction] = "to",
    cursor: FromQuery[str] = "",
    limit: FromQuery[int] = 100,
) -> LinksPage:
    """Count an object's links and list those of one relationship and direction.

    Without ``relationship`` the first ``limit`` of each. Up to 1,000 of one relationship come by
    name.
    """
    ensure_kind(kind)
    if relationship and relationship not in RELATIONSHIPS:
        raise errors.NotFound(
            f"There is no relationship {relationship!r}.",
            hint=f"Relationships are: {', '.join(sorted(RELATIONSHIPS))}.",
        )
    tenant_id = serving.synced(tenant)
    catalog = serving.application.catalog
    offset, limit = paging.position_of(cursor, 0), paging.limited(limit)
    items: list[LinkedDocument] = []
    more = ""
    with catalog.one_moment(tenant_id):
        seen = viewing.snapshot_of(serving.application, tenant_id, snapshot)
        groups = _groups(catalog, seen, kind, object_id)
        for group in groups:
            if not relationship:
                items += _page(catalog, seen, object_id, group, 0, limit)
            elif (group["relationship"], group["direction"]) == (relationship, direction):
                items = _page(catalog, seen, object_id, group, offset, limit)
                after = offset + limit
                more = paging.cursor_of(after) if after < group["total"] else ""
    return {"snapshot": seen.snapshot_id, "groups": groups, "items": items, "next": more}


@route(
    "GET", _OF + "/names", Permission.BROWSE, tags=_TAGS,
    summary="What ids stand for in a snapshot",
)  # fmt: skip
def list_names(
    tenant: FromPath[str],
    snapshot: FromPath[str],
    serving: Served,
    id: FromQuery[list[str] | None] = None,  # noqa: A002  the parameter's name
) -> NamesDocument:
    """Name objects by id, applications also by client id, products and their plans by theirs.

    What the snapshot does not hold is left out.
    """
    wanted = list(dict.fromkeys(one.lower() for one in id or ()))
    if len(wanted) > _MOST_NAMES:
        raise errors.UsageError(
            f"{len(wanted)} ids are too many at once.", hint=f"Ask for up to {_MOST_NAMES}."
        )
    tenant_id = serving.synced(tenant)
    with serving.application.catalog.one_moment(tenant_id):
        seen = viewing.snapshot_of(serving.application, tenant_id, snapshot)
        found = viewing.names_of(seen.state, wanted)
    return {
        "items": {
            one: {"kind": named.kind, "id": named.id, "display_name": named.name}
            for one, named in found.items()
        }
    }


def _groups(
    catalog: Catalog, seen: viewing.SeenSnapshot, kind: str, object_id: str
) -> list[LinkGroupDocument]:
    found: list[LinkGroupDocument] = []
    for row in RELATIONSHIPS.values():
        directions: list[Direction] = []
        if row.source_kind == kind:
            directions.append("to")
        if not row.target_kinds or kind in row.target_kinds:
            directions.append("from")
        for direction in directions:
            total = catalog.count_links(
                seen.tenant_id, seen.snapshot_id, row.name, object_id, outgoing=direction == "to"
            )
            if total:
                found.append({"relationship": row.name, "direction": direction, "total": total})
    return found


def _page(
    catalog: Catalog,
    seen: viewing.SeenSnapshot,
    object_id: str,
    group: LinkGroupDocument,
    offset: int,
    limit: int,
) -> list[LinkedDocument]:
    is_sorted = group["total"] <= _SORTED
    name, direction = group["relationship"], group["direction"]
    ends = catalog.list_links(
        seen.tenant_id, seen.snapshot_id, name, object_id, outgoing=direction == "to",
        offset=0 if is_sorted else offset, limit=_SORTED if is_sorted else limit,
    )  # fmt: skip
    names = seen.state.load_names([end.id for end in ends])
    source = RELATIONSHIPS[name].source_kind
    items: list[LinkedDocument] = []
    for end in ends:
        kind, title = names.get(end.id, ("", ""))
        items.append(
            {
                "relationship": name,
                "direction": direction,
                "target": end.id,
                "target_kind": kind or end.kind or (source if direction == "from" else ""),
                "target_name": title or end.id,
            }
        )
    if is_sorted:
        items.sort(key=lambda item: (item["target_name"].lower(), item["target"]))
        items = items[offset : offset + limit]
    return items


ROUTES = (list_links, list_names)
