"""Names beside ids: what the ids in values stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reentra.api import links, snapshots
from reentra.web import values
from reentra.web.visiting import Visit

_MOST_IDS = 300  # that one page names
_MOST_RESOURCES = 20  # whose permissions one page names


def names_in(
    visit: Visit, tenant: str, snapshots: Sequence[str], *inside: Any
) -> dict[str, dict[str, Any]]:
    """Return what the ids in values stand for, in the first of some snapshots that knows."""
    wanted = list(dict.fromkeys(values.guids_in(*inside)))[:_MOST_IDS]
    found: dict[str, dict[str, Any]] = {}
    for snapshot in snapshots:
        rest = [one for one in wanted if one not in found]
        if rest:
            named = visit.ask(links.list_names, tenant=tenant, snapshot=snapshot, id=rest)
            found |= {one: {**item, "snapshot": snapshot} for one, item in named["items"].items()}
    return found


def permissions_in(visit: Visit, tenant: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the app roles and scopes that an object names by id, as their resource has them.

    The resource is the enterprise application of the same snapshot; an id alone says nothing.
    """
    properties = found["properties"]
    wanted = [item.get("resourceAppId") for item in properties.get("requiredResourceAccess") or ()]
    if properties.get("appRoleId"):
        wanted.append(properties.get("resourceId"))
    ids = [one for one in wanted if isinstance(one, str)][:_MOST_RESOURCES]
    resources = {
        item["id"]: item
        for item in (names_in(visit, tenant, [found["snapshot"]], ids) if ids else {}).values()
        if item["kind"] == "servicePrincipal"
    }
    named: dict[str, Any] = {}
    for object_id, item in resources.items():
        body = visit.ask(
            snapshots.show_object, tenant=tenant, snapshot=found["snapshot"],
            kind="servicePrincipal", object_id=object_id, relationships=False,
        )["properties"]  # fmt: skip
        for one in (*(body.get("oauth2PermissionScopes") or ()), *(body.get("appRoles") or ())):
            name = one.get("value") or one.get("displayName") or one.get("adminConsentDisplayName")
            if name and one.get("id"):
                named[one["id"].lower()] = {
                    **item,
                    "display_name": name,
                    "title": f"{item['display_name']}: {one['id']}",
                }
    return named
