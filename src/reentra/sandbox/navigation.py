"""Addresses below an object: its relationships, licences and contained objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from reentra.sandbox import reads, relations, render
from reentra.sandbox.errors import GraphError, bad_request, denied, not_found
from reentra.sandbox.reads import Listing
from reentra.sandbox.tenant import Record
from reentra.sandbox.world import Answer, Call

MIXED = Listing("directoryObject", "directoryObjects", is_mixed=True)
_BY_IDS = Listing("directoryObject", "directoryObjects", is_paged=False, is_mixed=True)

# Navigations of v1.0 whose list leaves service principals out, a known issue of Graph.
_HIDES_SERVICE_PRINCIPALS = frozenset(("group.members", "group.owners"))


_CONTAINED = {
    "appRoleAssignments": "appRoleAssignment",
    "appRoleAssignedTo": "appRoleAssignment",
    "oauth2PermissionGrants": "oAuth2PermissionGrant",
    "scopedRoleMembers": "scopedRoleMembership",
    "federatedIdentityCredentials": "federatedIdentityCredential",
    "extensionProperties": "extensionProperty",
    "settings": "groupSetting",
}


def owner_of(call: Call, type_: str) -> Record:
    """Return the object named in the path.

    Raises:
        GraphError: 404 when it is not there, or has not reached the replica.
    """
    id_ = call.params["id"]
    record = call.tenant.get(type_, id_)
    if record is None or not call.world.is_visible(record):
        raise reads.missing(type_, id_)
    return record


def list_related(type_: str, name: str) -> Callable[[Call], Answer]:
    """Return the handler of a navigation's list, with casts, $ref and $count."""

    def handle(call: Call) -> Answer:
        owner = owner_of(call, type_)
        _check_hidden(call, owner, name)
        contained = _CONTAINED.get(name)
        if contained is not None:
            context = f"{_plural(type_)}('{owner.id}')/{name}"
            listing = Listing(contained, context)
        elif call.cast is not None:
            _check_cast(call.cast)
            listing = Listing(call.cast, _plural(call.cast))
        elif type_ == "directoryRole":
            listing = Listing("directoryObject", "directoryObjects", is_paged=False, is_mixed=True)
        else:
            listing = MIXED

        def records() -> Iterable[Record]:
            found = relations.related(call, owner, name)
            if f"{type_}.{name}" in _HIDES_SERVICE_PRINCIPALS and call.cast != "servicePrincipal":
                found = [record for record in found if record.type != "servicePrincipal"]
            if call.cast is not None:
                found = [record for record in found if record.type == call.cast]
            return found

        return reads.list_records(call, listing, records)

    return handle


def get_contained(type_: str, name: str) -> Callable[[Call], Answer]:
    """Return the handler of one object below another."""
    contained = _CONTAINED[name]

    def handle(call: Call) -> Answer:
        owner = owner_of(call, type_)
        wanted = call.params["target"].lower()
        for record in relations.related(call, owner, name):
            if record.id.lower() == wanted or (
                contained == "federatedIdentityCredential"
                and str(record.props.get("name", "")).lower() == wanted
            ):
                context = f"{_plural(type_)}('{owner.id}')/{name}"
                return reads.get_record(call, record, record.id, context)
        raise not_found(call.params["target"])

    return handle


def get_single(type_: str, name: str) -> Callable[[Call], Answer]:
    """Return the handler of a navigation that holds one object at most."""

    def handle(call: Call) -> Answer:
        owner = owner_of(call, type_)
        found = call.world.visible(relations.related(call, owner, name))
        if not found:
            raise not_found(name)
        if call.wants_refs:
            body = {
                "@odata.context": f"{call.root_url}/$metadata#$ref",
                "@odata.id": f"{call.root_url}/directoryObjects/{found[0].id}",
            }
            return Answer(200, orjson.dumps(body))
        return reads.get_record(call, found[0], found[0].id, "directoryObjects", shows_type=True)

    return handle


def list_license_details(call: Call) -> Answer:
    """Answer a user's licences with their product names and plans."""
    user = owner_of(call, "user")
    tenant = call.tenant
    parts = []
    for licence in user.props.get("assignedLicenses") or ():
        sku = tenant.one("subscribedSku", "skuId", str(licence["skuId"]))
        if sku is None:
            continue
        disabled = set(licence.get("disabledPlans") or ())
        plans = [
            {
                "servicePlanId": plan["servicePlanId"],
                "servicePlanName": plan["servicePlanName"],
                "provisioningStatus": (
                    "Disabled" if plan["servicePlanId"] in disabled else "Success"
                ),
                "appliesTo": plan.get("appliesTo", "User"),
            }
            for plan in sku.props.get("servicePlans") or ()
        ]
        parts.append(
            orjson.dumps(
                {
                    "id": f"{user.id}_{sku.props['skuId']}",
                    "skuId": sku.props["skuId"],
                    "skuPartNumber": sku.props.get("skuPartNumber"),
                    "servicePlans": plans,
                }
            )
        )
    context = f"{call.root_url}/$metadata#users('{user.id}')/licenseDetails"
    return Answer(200, render.join_page({"@odata.context": context}, parts))


def get_by_ids(call: Call) -> Answer:
    """Answer the objects among up to 1,000 ids that exist; unknown and deleted ones are left out.

    Raises:
        GraphError: 400 for a malformed body or too many ids.
    """
    body = call.body if isinstance(call.body, Mapping) else {}
    ids = body.get("ids")
    if not isinstance(ids, list) or not all(isinstance(id_, str) for id_ in ids):
        raise GraphError(400, "Request_BadRequest", "A value is required for property 'ids'.")
    if len(ids) > 1000:
        raise GraphError(
            400, "Request_BadRequest", "The number of ids in 'ids' must not exceed 1000."
        )
    types = {str(name).lower() for name in body.get("types") or ()}
    any_type = not types or "directoryobject" in types
    found: dict[str, Record] = {}
    for id_ in ids:
        record = call.tenant.find(id_)
        if record is not None and (any_type or record.type.lower() in types):
            found[record.id] = record
    return reads.list_records(call, _BY_IDS, found.values)


def list_available_extensions(call: Call) -> Answer:
    """Answer all directory extensions of the tenant, or only the synchronised ones, or the others.

    https://learn.microsoft.com/graph/api/directoryobject-getavailableextensionproperties
    """
    body = call.body if isinstance(call.body, Mapping) else {}
    unknown = [name for name in body if name != "isSyncedFromOnPremises"]
    if unknown:
        raise bad_request(f"The parameter '{unknown[0]}' is not known to the action.")
    wanted = body.get("isSyncedFromOnPremises")

    def records() -> list[Record]:
        return [
            record
            for record in call.tenant.collection("extensionProperty").values()
            if wanted is None or record.props.get("isSyncedFromOnPremises") is wanted
        ]

    listing = Listing("extensionProperty", "directoryObjects/extensionProperties", is_paged=False)
    return reads.list_records(call, listing, records)


def member_groups(call: Call) -> Answer:
    """Answer getMemberGroups and getMemberObjects: the ids of the containers, transitively."""
    record = call.tenant.find(call.params["id"])
    if record is None or not call.world.is_visible(record):
        raise not_found(call.params["id"])
    only_security = bool((call.body or {}).get("securityEnabledOnly"))
    wants_groups = call.path.lower().endswith("getmembergroups")
    ids = [
        container.id
        for container in relations.transitive_member_of(call, record)
        if (container.type == "group" or not wants_groups)
        and (not only_security or container.props.get("securityEnabled", True))
    ]
    body: dict[str, Any] = {
        "@odata.context": f"{call.root_url}/$metadata#Collection(Edm.String)",
        "value": ids,
    }
    return Answer(200, orjson.dumps(body))


def _check_hidden(call: Call, owner: Record, name: str) -> None:
    """Membership that is hidden needs a permission of its own."""
    if name not in ("members", "transitiveMembers"):
        return
    if owner.props.get("visibility") != "HiddenMembership":
        return
    if call.world.options.enforce_permissions and "Member.Read.Hidden" not in call.roles:
        raise denied()


def _check_cast(name: str) -> None:
    if name not in _PLURALS:
        raise GraphError(
            400, "Request_BadRequest", f"The type 'microsoft.graph.{name}' cannot be cast to."
        )


_PLURALS = {
    "user": "users",
    "group": "groups",
    "device": "devices",
    "application": "applications",
    "servicePrincipal": "servicePrincipals",
    "administrativeUnit": "directory/administrativeUnits",
    "directoryRole": "directoryRoles",
}


def _plural(type_: str) -> str:
    return _PLURALS[type_]
