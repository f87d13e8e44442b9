"""What objects that only join others give to one or take from it: roles and permissions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from litestar.params import FromPath

from reentra import viewing
from reentra.access import Permission
from reentra.api.documents import (
    AssignmentDocument,
    AssignmentEndDocument,
    AssignmentsDocument,
)
from reentra.api.routing import route
from reentra.api.serving import Served
from reentra.directory.kinds import KINDS, ObjectKind
from reentra.directory.objects import canonical_id
from reentra.directory.references import references_in
from reentra.viewing import ensure_kind

if TYPE_CHECKING:
    from reentra.directory.objects import DirectoryObject
    from reentra.directory.state import TenantState

_MOST_READ = 50_000  # of a kind: they have no index by what they join, so each is read
_MOST_TOLD = 500
_MOST_RESOURCES = 50  # whose app roles are named


@route(
    "GET",
    "/tenants/{tenant:str}/snapshots/{snapshot:str}/kinds/{kind:str}/objects/{object_id:str}"
    "/assignments",
    Permission.BROWSE,
    tags=("snapshots",), summary="The roles, app roles and permissions that an object has or gives",
)  # fmt: skip
def list_assignments(
    tenant: FromPath[str],
    snapshot: FromPath[str],
    kind: FromPath[str],
    object_id: FromPath[str],
    serving: Served,
) -> AssignmentsDocument:
    """List the objects that join this one with others: role assignments, app roles, grants.

    Up to 500 are told, ``total`` counts all. A kind of more than 50,000 objects is not looked
    through, and is named in ``skipped``.
    """
    ensure_kind(kind)
    tenant_id = serving.synced(tenant)
    catalog = serving.application.catalog
    with catalog.one_moment(tenant_id):
        seen = viewing.snapshot_of(serving.application, tenant_id, snapshot)
        counts = catalog.kind_counts(tenant_id, seen.snapshot_id)
        rows = [row for row in joining(kind) if counts.get(row.name)]
        skipped = [row.name for row in rows if counts[row.name] > _MOST_READ]
        found = [
            pair
            for row in rows
            if row.name not in skipped
            for pair in _joined(seen.state, row, kind, canonical_id(object_id))
        ]
        items = _told(seen.state, found[:_MOST_TOLD])
    return {
        "snapshot": seen.snapshot_id,
        "total": len(found),
        "items": items,
        "skipped": skipped,
    }


def joining(kind: str) -> Iterator[ObjectKind]:
    """Yield the kinds whose objects are nothing but what they join, and may join this kind."""
    for row in KINDS.values():
        if row.is_link and any(kind in reference.kinds for reference in row.references):
            yield row


def _joined(
    state: TenantState, row: ObjectKind, kind: str, object_id: str
) -> Iterator[tuple[DirectoryObject, str]]:
    """Yield what joins an object, with the property in which that object stands."""
    for item in state.list_objects(row.name):
        for reference, named in references_in(row.name, item.properties):
            if named == object_id and kind in reference.kinds:
                yield item, reference.pointer


def _told(
    state: TenantState, found: Iterable[tuple[DirectoryObject, str]]
) -> list[AssignmentDocument]:
    pairs = list(found)
    ends = {
        item.id: {ref.pointer: named for ref, named in references_in(item.kind, item.properties)}
        for item, _ in pairs
    }
    ids = dict.fromkeys(named for one in ends.values() for named in one.values())
    names = state.load_names(list(ids))
    roles = _app_roles(state, (item for item, _ in pairs))
    items: list[AssignmentDocument] = []
    for item, own in pairs:
        others: list[AssignmentEndDocument] = []
        for pointer, named in ends[item.id].items():
            if pointer != own:
                other_kind, name = names.get(named, ("", ""))
                others.append(
                    {
                        "property": pointer,
                        "kind": other_kind,
                        "id": named,
                        "display_name": name or named,
                    }
                )
        items.append(
            {
                "kind": item.kind,
                "id": item.id,
                "property": own,
                "ends": others,
                "gives": _given(item, roles),
            }
        )
    items.sort(key=lambda one: (one["kind"], [end["display_name"].lower() for end in one["ends"]]))
    return items


def _given(item: DirectoryObject, roles: Mapping[str, str]) -> str:
    role = item.get("appRoleId")
    if isinstance(role, str):
        return roles.get(role.lower(), "")
    return " ".join(str(item.get("scope") or "").split())


def _app_roles(state: TenantState, items: Iterable[DirectoryObject]) -> dict[str, str]:
    """Return app role -> its value, or else its name, for the resources of app role assignments."""
    wanted = dict.fromkeys(
        canonical_id(item.get("resourceId")) for item in items if item.get("appRoleId")
    )
    resources = state.load_objects("servicePrincipal", list(wanted)[:_MOST_RESOURCES])
    return {
        str(role.get("id")).lower(): str(role.get("value") or role.get("displayName") or "")
        for resource in resources.values()
        for role in resource.get("appRoles") or ()
    }


ROUTES = (list_assignments,)
