"""One object at a snapshot: "Overview", "Properties" and "Relationships"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from litestar import Response
from litestar.params import FromPath, FromQuery

from reentra import errors
from reentra.access import Permission
from reentra.api import assignments, links, paging, snapshots
from reentra.directory.kinds import KINDS
from reentra.web import columns, licences, moments, naming, values
from reentra.web.routing import page
from reentra.web.visiting import Visit, Visiting

OF = "/tenants/{tenant:str}/snapshots/{snapshot:str}/kinds/{kind:str}/objects/{object_id:str}"
_FIRST_LINKS = 20  # of each relationship, where all of them are shown
_PAGE = 100
_MOST_VERSIONS = 100  # that are listed


@page(OF, Permission.BROWSE)
def show_overview(
    tenant: FromPath[str],
    snapshot: FromPath[str],
    kind: FromPath[str],
    object_id: FromPath[str],
    visit: Visiting,
) -> Response[str]:
    """Show what an object is, since when, and whether it was deleted later."""

    def known(found: Mapping[str, Any]) -> dict[str, Any]:
        properties = found["properties"]
        versions = visit.ask(
            snapshots.list_versions, tenant=tenant, kind=kind, object_id=object_id
        )["items"]
        linked = visit.ask(
            links.list_links, tenant=tenant, snapshot=found["snapshot"], kind=kind,
            object_id=object_id, limit=1,
        )  # fmt: skip
        essentials = [
            (column.title, column.value(properties))
            for column in columns.essentials_of(kind)
            if any(name in properties for name in column.properties)
        ]
        return {
            "essentials": essentials,
            "versions": versions[: -_MOST_VERSIONS - 1 : -1],
            "version_count": len(versions),
            "first_seen": versions[0] if versions else None,
            "deleted": versions[-1] if versions and versions[-1]["deleted"] else None,
            "present": _version_at(versions, found["snapshot"]),
            "groups": linked["groups"],
            "may_be_assigned": any(assignments.joining(kind)),
            "names": _names(visit, tenant, found, essentials),
        }

    return show_tab(visit, tenant, snapshot, kind, object_id, "", known)


@page(OF + "/properties", Permission.BROWSE)
def show_properties(
    tenant: FromPath[str],
    snapshot: FromPath[str],
    kind: FromPath[str],
    object_id: FromPath[str],
    visit: Visiting,
    text: FromQuery[str] = "",
) -> Response[str]:
    """Show all properties to the leaf, a user's licences with the names of products."""

    def known(found: Mapping[str, Any]) -> dict[str, Any]:
        properties = found["properties"]
        return {
            "text": text,
            "groups": values.grouped(kind, properties, text),
            "licences": licences.licences_of(properties),
            "names": {
                **naming.permissions_in(visit, tenant, found),
                **_names(visit, tenant, found, properties),
            },
            "raw": values.as_json(properties),
        }

    return show_tab(visit, tenant, snapshot, kind, object_id, "properties", known)


@page(OF + "/relationships", Permission.BROWSE)
def show_relationships(
    tenant: FromPath[str],
    snapshot: FromPath[str],
    kind: FromPath[str],
    object_id: FromPath[str],
    visit: Visiting,
    relationship: FromQuery[str] = "",
    direction: FromQuery[Literal["to", "from"]] = "to",
    number: FromQuery[int] = 1,
    assigned: FromQuery[bool] = False,
) -> Response[str]:
    """Show what an object is linked to, by relationship; one of them in pages.

    ``assigned`` asks for the roles, app roles and permissions as well, for which many objects may
    have to be read: the page asks for them when it is there.
    """
    number = max(1, number)

    def known(found: Mapping[str, Any]) -> dict[str, Any]:
        listed = visit.ask(
            links.list_links,
            tenant=tenant,
            snapshot=found["snapshot"],
            kind=kind,
            object_id=object_id,
            relationship=relationship,
            direction=direction,
            cursor=paging.cursor_of((number - 1) * _PAGE) if relationship else "",
            limit=_PAGE if relationship else _FIRST_LINKS,
        )
        tables = []
        for group in listed["groups"]:
            own = (group["relationship"], group["direction"])
            if relationship and own != (relationship, direction):
                continue
            items = [
                item for item in listed["items"] if (item["relationship"], item["direction"]) == own
            ]
            tables.append((group, items))
        total = tables[0][0]["total"] if relationship and tables else 0
        return {
            "tables": tables,
            "relationship": relationship,
            "direction": direction,
            "number": number,
            "pages": max(1, -(-total // _PAGE)),
            "may_be_assigned": not relationship and any(assignments.joining(kind)),
            "assigned": _assigned(visit, tenant, found) if assigned else None,
        }

    return show_tab(visit, tenant, snapshot, kind, object_id, "relationships", known)


def _assigned(visit: Visit, tenant: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the assignments of an object as tables: title, columns, rows."""
    told = visit.ask(
        assignments.list_assignments,
        tenant=tenant,
        snapshot=found["snapshot"],
        kind=found["kind"],
        object_id=found["id"],
    )
    groups: dict[tuple[str, str], list[Any]] = {}
    for item in told["items"]:
        ends = {end["property"]: end for end in item["ends"]}
        groups.setdefault((item["kind"], item["property"]), []).append({**item, "ends": ends})
    return {**told, "tables": [columns.assigned(*key, rows) for key, rows in groups.items()]}


def show_tab(
    visit: Visit,
    tenant: str,
    snapshot: str,
    kind: str,
    object_id: str,
    tab: str,
    known: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> Response[str]:
    """Show one tab of an object's page; say where it is when this snapshot does not hold it."""
    try:
        found = visit.ask(
            snapshots.show_object, tenant=tenant, snapshot=snapshot, kind=kind,
            object_id=object_id, relationships=False,
        )  # fmt: skip
    except errors.NotFound:
        return _absent(visit, tenant, snapshot, kind, object_id, tab)
    more = known(found)
    row = KINDS[kind]
    name = columns.name_of(
        kind,
        found["display_name"],
        found["properties"],
        _names(visit, tenant, found, [found["properties"].get(n) for n in _ends(kind)]),
    )
    return visit.show(
        f"object_{tab or 'overview'}.html",
        tenant=tenant,
        snapshot=found["snapshot"],
        kind=kind,
        row=row,
        id=object_id,
        name=name,
        tab=tab,
        offered=moments.offered(visit, tenant, found["snapshot"]),
        place={"kind": kind, "id": object_id, "tab": tab},
        **more,
    )


def _ends(kind: str) -> list[str]:
    return columns.properties_of((), kind)


def _names(visit: Visit, tenant: str, found: Mapping[str, Any], *inside: Any) -> dict[str, Any]:
    names = naming.names_in(visit, tenant, [found["snapshot"]], *inside)
    names.pop(found["id"].lower(), None)  # an object's own id stays an id
    return names


def _version_at(versions: list[dict[str, Any]], snapshot: str) -> dict[str, Any] | None:
    held = [one for one in versions if one["began"] <= snapshot]
    return held[-1] if held else None


def _absent(
    visit: Visit, tenant: str, snapshot: str, kind: str, object_id: str, tab: str
) -> Response[str]:
    """Say in which snapshots an object is that this one does not hold.

    Raises: ``NotFound`` when none does.
    """
    versions = visit.ask(snapshots.list_versions, tenant=tenant, kind=kind, object_id=object_id)
    if not versions["items"]:
        raise errors.NotFound(
            f"No snapshot has a {kind} {object_id}.",
            hint="Search finds objects over all snapshots.",
        )
    offered = moments.offered(visit, tenant, snapshot)
    last = visit.ask(
        snapshots.show_object, tenant=tenant, snapshot=versions["items"][-1]["began"], kind=kind,
        object_id=object_id, relationships=False,
    )  # fmt: skip
    return visit.show(
        "object_absent.html",
        status=404,
        tenant=tenant,
        snapshot=offered["around"]["id"],
        kind=kind,
        row=KINDS[kind],
        id=object_id,
        name=last["display_name"],
        tab=tab,
        offered=offered,
        place={"kind": kind, "id": object_id, "tab": tab},
        versions=versions["items"][::-1],
    )


ROUTES = (show_overview, show_properties, show_relationships)
