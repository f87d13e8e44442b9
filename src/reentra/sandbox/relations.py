"""What hangs on an object, both directions: stored links, their inverses, and what is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reentra.sandbox.errors import GraphError
from reentra.sandbox.tenant import Record
from reentra.sandbox.world import Call


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
        "application.tokenIssuancePolicies",
        "application.tokenLifetimePolicies",
        "servicePrincipal.claimsMappingPolicies",
        "servicePrincipal.homeRealmDiscoveryPolicies",
        "servicePrincipal.tokenLifetimePolicies",
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
    ids += [
        str(assignment.props.get("principalId"))
        for assignment in tenant.by("unifiedRoleAssignment", "roleDefinitionId", template)
        if assignment.props.get("directoryScopeId") == "/"
    ]
    found = (tenant.find(id_) for id_ in dict.fromkeys(ids))
    return [principal for principal in found if principal is not None]


def transitive_member_of(call: Call, record: Record) -> list[Record]:
    """Return the groups, units and roles an object is in, directly or through groups."""
    found = {container.id: container for container in _member_of(call, record)}
    waiting = [container for container in found.values() if container.type == "group"]
    while waiting:
        group = waiting.pop()
        for container in _member_of(call, group):
            # A group in an administrative unit does not bring its members into it.
            if container.type == "administrativeUnit" or container.id in found:
                continue
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
    "*.transitiveMemberOf": transitive_member_of,
    "group.transitiveMembers": _transitive_members,
    "user.directReports": _sources("user.manager"),
    "user.sponsorOf": _sources("user.sponsors"),
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
    "claimsMappingPolicy.appliesTo": _sources("servicePrincipal.claimsMappingPolicies"),
    "homeRealmDiscoveryPolicy.appliesTo": _sources("servicePrincipal.homeRealmDiscoveryPolicies"),
    "tokenIssuancePolicy.appliesTo": _sources("application.tokenIssuancePolicies"),
    "tokenLifetimePolicy.appliesTo": _sources(
        "application.tokenLifetimePolicies", "servicePrincipal.tokenLifetimePolicies"
    ),
    "activityBasedTimeoutPolicy.appliesTo": _sources(),
    "unifiedRoleAssignment.principal": _principal,
    "unifiedRoleAssignment.roleDefinition": _role_definition,
    "unifiedRoleAssignment.directoryScope": _directory_scope,
}
