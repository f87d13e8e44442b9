"""What hangs on an object: members, owners, managers, licences, assignments, both directions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from reentra.sandbox import reads, render
from reentra.sandbox.errors import GraphError, denied, not_found
from reentra.sandbox.reads import Listing
from reentra.sandbox.tenant import Record
from reentra.sandbox.world import Answer, Call

MIXED = Listing("directoryObject", "directoryObjects", is_mixed=True)

# Navigations of v1.0 whose list leaves service principals out, a known issue of Graph.
_HIDES_SERVICE_PRINCIPALS = frozenset(("group.members", "group.owners"))


def related(call: Call, record: Record, name: str) -> list[Record]:
    """Return the live objects behind a navigation, in order, whatever their type."""
    tenant = call.tenant
    nav = f"{record.type}.{name}"
    compute = _COMPUTED.get(nav) or _COMPUTED.get(f"*.{name}")
    if compute is not None:
        return compute(call, record)
    found = (tenant.find(id_) for id_ in tenant.targets(nav, record.id))
    return [target for target in found if target is not None]


def expanded(call: Call, record: Record, name: str) -> list[Record] | Record | None:
    """Return what $expand puts into an object: a list, one object, or None.

    Raises:
        GraphError: 400 for a navigation that cannot be expanded.
    """
    if f"{record.type}.{name}" in _SINGLE:
        found = call.world.visible(related(call, record, name))
        return found[0] if found else None
    if name in _NOT_EXPANDABLE or not can_follow(record.type, name):
        raise GraphError(
            400, "Request_UnsupportedQuery", f"The navigation '{name}' cannot be expanded."
        )
    return call.world.visible(related(call, record, name))


def can_follow(type_: str, name: str) -> bool:
    """Tell whether the sandbox knows what a navigation holds."""
    nav = f"{type_}.{name}"
    return nav in _STORED or nav in _COMPUTED or f"*.{name}" in _COMPUTED


_STORED = frozenset(
    (
        "group.members",
        "group.owners",
        "user.manager",
        "user.sponsors",
        "application.owners",
        "servicePrincipal.owners",
        "administrativeUnit.members",
        "device.registeredOwners",
        "device.registeredUsers",
    )
)
_SINGLE = frozenset(
    (
        "user.manager",
        "unifiedRoleAssignment.principal",
        "unifiedRoleAssignment.roleDefinition",
        "unifiedRoleAssignment.directoryScope",
    )
)
_NOT_EXPANDABLE = frozenset(("licenseDetails", "extensions"))


def _sources(*navs: str) -> Callable[[Call, Record], list[Record]]:
    def follow(call: Call, record: Record) -> list[Record]:
        tenant = call.tenant
        found: dict[str, Record] = {}
        for nav in navs:
            for id_ in tenant.sources(nav, record.id):
                source = tenant.find(id_)
                if source is not None:
                    found[id_] = source
        return list(found.values())

    return follow


def _member_of(call: Call, record: Record) -> list[Record]:
    found = _sources("group.members", "administrativeUnit.members")(call, record)
    return found + _roles_of(call, record)


def _roles_of(call: Call, record: Record) -> list[Record]:
    """Return the activated directory roles that a principal is assigned at tenant scope."""
    tenant = call.tenant
    roles: dict[str, Record] = {}
    for assignment in tenant.by("unifiedRoleAssignment", "principalId", record.id):
        if assignment.props.get("directoryScopeId") != "/":
            continue
        role = tenant.one(
            "directoryRole", "roleTemplateId", str(assignment.props.get("roleDefinitionId"))
        )
        if role is not None:
            roles[role.id] = role
    return list(roles.values())


def _role_members(call: Call, record: Record) -> list[Record]:
    tenant = call.tenant
    template = str(record.props.get("roleTemplateId", ""))
    ids = list(tenant.targets("directoryRole.members", record.id))
    for assignment in tenant.by("unifiedRoleAssignment", "roleDefinitionId", template):
        if assignment.props.get("directoryScopeId") == "/":
            ids.append(str(assignment.props.get("principalId")))
    found = (tenant.find(id_) for id_ in dict.fromkeys(ids))
    return [principal for principal in found if principal is not None]


def _transitive_member_of(call: Call, record: Record) -> list[Record]:
    found: dict[str, Record] = {}
    waiting = [record]
    while waiting:
        for container in _member_of(call, waiting.pop()):
            if container.id not in found:
                found[container.id] = container
                if container.type == "group":
                    waiting.append(container)
    return list(found.values())


def _transitive_members(call: Call, record: Record) -> list[Record]:
    tenant = call.tenant
    found: dict[str, Record] = {}
    waiting = [record.id]
    while waiting:
        for id_ in tenant.targets("group.members", waiting.pop()):
            member = tenant.find(id_)
            if member is not None and id_ not in found:
                found[id_] = member
                if member.type == "group":
                    waiting.append(id_)
    return list(found.values())


def _by(type_: str, key: str) -> Callable[[Call, Record], list[Record]]:
    return lambda call, record: call.tenant.by(type_, key, record.id)


def _of_ids(type_: str, nav: str) -> Callable[[Call, Record], list[Record]]:
    def follow(call: Call, record: Record) -> list[Record]:
        found = (call.tenant.get(type_, id_) for id_ in call.tenant.targets(nav, record.id))
        return [each for each in found if each is not None]

    return follow


def _assignments(call: Call, record: Record) -> list[Record]:
    """Return app role assignments; a user's list has those of its groups too."""
    found = list(call.tenant.by("appRoleAssignment", "principalId", record.id))
    if record.type == "user":
        for group_id in call.tenant.sources("group.members", record.id):
            found += call.tenant.by("appRoleAssignment", "principalId", group_id)
    return found


def _principal(call: Call, record: Record) -> list[Record]:
    found = call.tenant.find(str(record.props.get("principalId", "")))
    return [found] if found is not None else []


def _role_definition(call: Call, record: Record) -> list[Record]:
    found = call.tenant.get("unifiedRoleDefinition", str(record.props.get("roleDefinitionId", "")))
    return [found] if found is not None else []


def _directory_scope(call: Call, record: Record) -> list[Record]:
    scope = str(record.props.get("directoryScopeId") or "/")
    found = call.tenant.find(scope.rpartition("/")[2]) if scope != "/" else None
    return [found] if found is not None else []


_COMPUTED: Mapping[str, Callable[[Call, Record], list[Record]]] = {
    "*.memberOf": _member_of,
    "*.transitiveMemberOf": _transitive_member_of,
    "group.transitiveMembers": _transitive_members,
    "user.directReports": _sources("user.manager"),
    "user.ownedObjects": _sources(
        "group.owners", "application.owners", "servicePrincipal.owners", "device.registeredOwners"
    ),
    "servicePrincipal.ownedObjects": _sources(
        "group.owners", "application.owners", "servicePrincipal.owners"
    ),
    "user.ownedDevices": _sources("device.registeredOwners"),
    "user.registeredDevices": _sources("device.registeredUsers"),
    "directoryRole.members": _role_members,
    "*.appRoleAssignments": _assignments,
    "servicePrincipal.appRoleAssignedTo": _by("appRoleAssignment", "resourceId"),
    "servicePrincipal.oauth2PermissionGrants": _by("oAuth2PermissionGrant", "clientId"),
    "user.oauth2PermissionGrants": _by("oAuth2PermissionGrant", "principalId"),
    "administrativeUnit.scopedRoleMembers": _by("scopedRoleMembership", "administrativeUnitId"),
    "application.federatedIdentityCredentials": _of_ids(
        "federatedIdentityCredential", "application.federatedIdentityCredentials"
    ),
    "application.extensionProperties": _of_ids(
        "extensionProperty", "application.extensionProperties"
    ),
    "group.settings": _of_ids("groupSetting", "group.settings"),
    "unifiedRoleAssignment.principal": _principal,
    "unifiedRoleAssignment.roleDefinition": _role_definition,
    "unifiedRoleAssignment.directoryScope": _directory_scope,
}

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
            found = related(call, owner, name)
            if f"{type_}.{name}" in _HIDES_SERVICE_PRINCIPALS and call.cast != "servicePrincipal":
                found = [record for record in found if record.type != "servicePrincipal"]
            if call.cast is not None:
                found = [record for record in found if record.type == call.cast]
            return found

        return reads.list_records(call, listing, records, expanded)

    return handle


def get_contained(type_: str, name: str) -> Callable[[Call], Answer]:
    """Return the handler of one object below another."""
    contained = _CONTAINED[name]

    def handle(call: Call) -> Answer:
        owner = owner_of(call, type_)
        wanted = call.params["target"].lower()
        for record in related(call, owner, name):
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
        found = call.world.visible(related(call, owner, name))
        if not found:
            raise not_found(name)
        if call.wants_refs:
            body = {
                "@odata.context": f"{call.root_url}/$metadata#$ref",
                "@odata.id": f"{call.root_url}/directoryObjects/{found[0].id}",
            }
            return Answer(200, orjson.dumps(body))
        return reads.get_record(
            call, found[0], found[0].id, "directoryObjects", shows_type=True
        )

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
    return reads.list_records(call, MIXED, found.values, expanded)


def member_groups(call: Call) -> Answer:
    """Answer getMemberGroups and getMemberObjects: the ids of the containers, transitively."""
    record = call.tenant.find(call.params["id"])
    if record is None or not call.world.is_visible(record):
        raise not_found(call.params["id"])
    only_security = bool((call.body or {}).get("securityEnabledOnly"))
    wants_groups = call.path.lower().endswith("getmembergroups")
    ids = [
        container.id
        for container in _transitive_member_of(call, record)
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
