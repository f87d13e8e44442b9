"""Mishaps: what an administrator's script may do to a tenant, through plain Graph calls.

Each takes a few numbers and finds for itself what they mean; one that Graph refuses, or that finds
nothing to do harm to, does nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from reentra import errors
from tests.restore.support import World

Mishap = Callable[["Harm", int, int], None]
_COLLECTIONS = {
    "user": "users",
    "group": "groups",
    "application": "applications",
    "servicePrincipal": "servicePrincipals",
    "administrativeUnit": "directory/administrativeUnits",
}
_SKUS = "subscribedSku"
_STRENGTH = "authenticationStrengthPolicy"


class Harm:
    """One tenant to be harmed; remembers the objects that there were at the start."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.client = world.client
        self._known: dict[str, list[dict[str, Any]]] = {}

    def all(self, kind: str) -> list[dict[str, Any]]:
        if kind not in self._known:
            items = [dict(item.properties) for item in self.world.live.list_objects(kind)]
            self._known[kind] = sorted(items, key=lambda item: str(item["id"]))
        return self._known[kind]

    def one(self, kind: str, number: int) -> dict[str, Any]:
        items = [item for item in self.all(kind) if _is_harmable(kind, item)]
        if not items:
            raise errors.GraphNotFound(f"There is no {kind} left.")
        return items[number % len(items)]

    def id(self, kind: str, number: int) -> str:
        return str(self.one(kind, number)["id"])

    def do(self, mishap: Mishap, first: int, second: int) -> None:
        # The tenant may refuse it, or it happened before.
        with contextlib.suppress(
            errors.GraphNotFound, errors.InvalidRequest, errors.Conflict, errors.Forbidden
        ):
            mishap(self, first, second)


def _is_harmable(kind: str, item: dict[str, Any]) -> bool:
    name = str(item.get("displayName") or "")
    if name.startswith("Reentra Sandbox") or name == "Microsoft Graph":
        return False  # deleting ourselves is a mishap of another kind
    is_built_in = item.get("isBuiltIn") or item.get("policyType") == "builtIn"
    return not (kind in ("unifiedRoleDefinition", _STRENGTH) and is_built_in)


def _soft_delete(kind: str) -> Mishap:
    def mishap(harm: Harm, first: int, _second: int) -> None:
        harm.client.delete(f"/{_COLLECTIONS[kind]}/{harm.id(kind, first)}")

    return mishap


def _purge(kind: str) -> Mishap:
    def mishap(harm: Harm, first: int, _second: int) -> None:
        object_id = harm.id(kind, first)
        with contextlib.suppress(errors.GraphNotFound):
            harm.client.delete(f"/{_COLLECTIONS[kind]}/{object_id}")
        harm.client.delete(f"/directory/deletedItems/{object_id}")

    return mishap


def _purge_application_with_principal(harm: Harm, first: int, _second: int) -> None:
    application = harm.one("application", first)
    harm.client.delete(f"/applications/{application['id']}")
    harm.client.delete(f"/directory/deletedItems/{application['id']}")
    for principal in harm.all("servicePrincipal"):
        if principal.get("appId") == application.get("appId"):
            harm.client.delete(f"/directory/deletedItems/{principal['id']}")


_USER_VALUES: tuple[dict[str, Any], ...] = (
    {"department": None},
    {"department": "Somewhere else"},
    {"displayName": "Nobody", "jobTitle": None},
    {"businessPhones": []},
    {"businessPhones": ["+1 555 0100"]},
    {"accountEnabled": False},
    {"usageLocation": "DE"},
    {"otherMails": ["other@example.com"]},
    {"city": "Nowhere", "country": None, "companyName": "x"},
    {"onPremisesExtensionAttributes": {"extensionAttribute1": "harm"}},
    {"employeeOrgData": {"division": "d", "costCenter": "c"}},
    {"mobilePhone": "+49 1"},
)
_GROUP_VALUES: tuple[dict[str, Any], ...] = (
    {"description": None},
    {"description": "Changed"},
    {"displayName": "Renamed"},
    {"mailNickname": "renamed"},
    {"membershipRule": 'user.department -eq "Nothing"'},
)
_POLICY_VALUES: tuple[dict[str, Any], ...] = (
    {"state": "disabled"},
    {"state": "enabled"},
    {"displayName": "Renamed policy"},
    {"grantControls": {"operator": "OR", "builtInControls": ["block"]}},
    {"sessionControls": {"signInFrequency": {"value": 4, "type": "hours", "isEnabled": True}}},
    {
        "conditions": {
            "clientAppTypes": ["all"],
            "applications": {"includeApplications": ["All"]},
            "users": {"includeUsers": ["All"]},
        }
    },
)


def _patch(kind: str, path: str, values: tuple[dict[str, Any], ...]) -> Mishap:
    def mishap(harm: Harm, first: int, second: int) -> None:
        harm.client.patch(f"/{path}/{harm.id(kind, first)}", values[second % len(values)])

    return mishap


def _rename_user(harm: Harm, first: int, second: int) -> None:
    user = harm.one("user", first)
    _alias, _at, domain = str(user["userPrincipalName"]).partition("@")
    harm.client.patch(
        f"/users/{user['id']}", {"userPrincipalName": f"renamed{second % 3}@{domain}"}
    )


def _take_name(harm: Harm, first: int, second: int) -> None:
    """One user moves away, another takes the name."""
    one, other = harm.one("user", first), harm.one("user", second)
    name = str(one["userPrincipalName"])
    harm.client.patch(
        f"/users/{one['id']}", {"userPrincipalName": name.replace("@", f"-{second % 7}@")}
    )
    harm.client.patch(f"/users/{other['id']}", {"userPrincipalName": name})


def _add_anew(harm: Harm, first: int, second: int) -> None:
    """A user is purged, and an administrator makes one with the same name by hand."""
    user = harm.one("user", first)
    _purge("user")(harm, first, second)
    harm.client.post(
        "/users",
        {
            "displayName": "By hand",
            "mailNickname": "byhand",
            "userPrincipalName": user["userPrincipalName"],
            "accountEnabled": True,
            "passwordProfile": {"password": "Some-Pass-1-Word"},
        },
    )


def _new_group(harm: Harm, first: int, second: int) -> None:
    made = harm.client.post(
        "/groups",
        {
            "displayName": harm.one("group", first)["displayName"],
            "mailNickname": f"new{second}",
            "mailEnabled": False,
            "securityEnabled": True,
        },
    )
    assert made is not None
    _link(harm, f"groups/{made['id']}/members", harm.id("user", second))


def _link(harm: Harm, navigation: str, target_id: str) -> None:
    harm.client.post(
        f"/{navigation}/$ref",
        {"@odata.id": harm.client.url(f"directoryObjects/{target_id}")},
    )


def _links(kind: str, relationship: str, navigation: str, target_kind: str, adds: bool) -> Mishap:
    def mishap(harm: Harm, first: int, second: int) -> None:
        source = harm.id(kind, first)
        path = f"{_COLLECTIONS[kind]}/{source}/{navigation}"
        if adds:
            _link(harm, path, harm.id(target_kind, second))
            return
        links = sorted(harm.world.live.load_relationships(relationship, [source]))
        if links:
            target = links[second % len(links)].target_id
            harm.client.remove_reference(f"/{path}/{target}/$ref")

    return mishap


def _set_manager(harm: Harm, first: int, second: int) -> None:
    harm.client.put(
        f"/users/{harm.id('user', first)}/manager/$ref",
        {"@odata.id": harm.client.url(f"users/{harm.id('user', second)}")},
    )


def _clear_manager(harm: Harm, first: int, _second: int) -> None:
    users = [link.source_id for link in sorted(harm.world.live.list_relationships("user.manager"))]
    if users:
        harm.client.remove_reference(f"/users/{users[first % len(users)]}/manager/$ref")


def _delete(kind: str, path: str) -> Mishap:
    def mishap(harm: Harm, first: int, _second: int) -> None:
        harm.client.delete(f"/{path}/{harm.id(kind, first)}")

    return mishap


def _unassign_role(harm: Harm, first: int, _second: int) -> None:
    one = harm.one("appRoleAssignment", first)
    own = {item["id"] for item in harm.all("servicePrincipal") if not _is_harmable("", item)}
    if one["principalId"] not in own:
        harm.client.delete(f"/servicePrincipals/{one['resourceId']}/appRoleAssignedTo/{one['id']}")


def _unassign_directory_role(harm: Harm, first: int, _second: int) -> None:
    path = "roleManagement/directory/roleAssignments"
    harm.client.delete(f"/{path}/{harm.id('unifiedRoleAssignment', first)}")


def _licences(kind: str, adds: bool) -> Mishap:
    def mishap(harm: Harm, first: int, second: int) -> None:
        path = f"/{_COLLECTIONS[kind]}/{harm.id(kind, first)}/assignLicense"
        sku = str(harm.one(_SKUS, second)["skuId"])
        body: dict[str, Any] = {"addLicenses": [], "removeLicenses": []}
        if adds:
            body["addLicenses"] = [{"skuId": sku, "disabledPlans": []}]
        else:
            body["removeLicenses"] = [sku]
        harm.client.post(path, body)

    return mishap


def _app_roles(harm: Harm, first: int, second: int) -> None:
    """Disable the roles, then throw them away or change them."""
    application = harm.one("application", first)
    path = f"/applications/{application['id']}"
    roles = application.get("appRoles") or []
    if not roles:
        return
    off = [{**role, "isEnabled": False} for role in roles]
    harm.client.patch(path, {"appRoles": off})
    if second % 3 == 1:
        harm.client.patch(path, {"appRoles": []})
    if second % 3 == 2:
        changed = [{**role, "description": "Changed", "isEnabled": True} for role in roles]
        harm.client.patch(path, {"appRoles": changed})


_APPLICATION_VALUES: tuple[dict[str, Any], ...] = (
    {"tags": ["harm"]},
    {"displayName": "Renamed application"},
    {"web": {"redirectUris": ["https://harm.example/reply"]}},
    {"requiredResourceAccess": []},
    {"identifierUris": []},
    {"notes": "harm"},
)
_PRINCIPAL_VALUES: tuple[dict[str, Any], ...] = (
    {"accountEnabled": False},
    {"tags": ["HideApp"]},
    {"appRoleAssignmentRequired": True},
    {"notes": "harm"},
)
_AUTHORIZATION_VALUES: tuple[dict[str, Any], ...] = (
    {"allowInvitesFrom": "none"},
    {"defaultUserRolePermissions": {"allowedToCreateApps": False}},
    {"guestUserRoleId": "2af84b1e-32c8-42b7-82bc-daa82404023b"},
)


def _authorization(harm: Harm, _first: int, second: int) -> None:
    value = _AUTHORIZATION_VALUES[second % len(_AUTHORIZATION_VALUES)]
    harm.client.patch("/policies/authorizationPolicy", value)


def _organization(harm: Harm, first: int, _second: int) -> None:
    harm.client.patch(
        f"/organization/{harm.id('organization', 0)}",
        {"technicalNotificationMails": [f"harm{first % 3}@example.com"]},
    )


_CA = "identity/conditionalAccess"


def _new_user(harm: Harm, first: int, second: int) -> None:
    """Somebody comes, joins a group, and leads somebody else."""
    domain = str(harm.one("user", first)["userPrincipalName"]).partition("@")[2]
    made = harm.client.post(
        "/users",
        {
            "displayName": "Came later",
            "mailNickname": f"later{second}",
            "userPrincipalName": f"later{second}@{domain}",
            "accountEnabled": True,
            "passwordProfile": {"password": "Some-Pass-1-Word"},
        },
    )
    assert made is not None
    _link(harm, f"groups/{harm.id('group', first)}/members", made["id"])
    harm.client.put(
        f"/users/{harm.id('user', second)}/manager/$ref",
        {"@odata.id": harm.client.url(f"users/{made['id']}")},
    )


def _new_application(harm: Harm, first: int, second: int) -> None:
    """An application comes with its principal, its owner and a role of another one."""
    made = harm.client.post("/applications", {"displayName": f"Came later {second}"})
    assert made is not None
    principal = harm.client.post("/servicePrincipals", {"appId": made["appId"]})
    assert principal is not None
    _link(harm, f"applications/{made['id']}/owners", harm.id("user", first))
    _assign(harm, str(principal["id"]))


def _assign(harm: Harm, principal_id: str) -> None:
    roles = {str(role["displayName"]): role["id"] for role in harm.all("unifiedRoleDefinition")}
    harm.client.post(
        "/roleManagement/directory/roleAssignments",
        {
            "principalId": principal_id,
            "roleDefinitionId": roles["Global Reader"],
            "directoryScopeId": "/",
        },
    )


def _assign_directory_role(harm: Harm, first: int, _second: int) -> None:
    _assign(harm, harm.id("user", first))


def _assign_app_role(harm: Harm, first: int, second: int) -> None:
    """Somebody gets the default access to an application."""
    resource = harm.id("servicePrincipal", second)
    harm.client.post(
        f"/servicePrincipals/{resource}/appRoleAssignedTo",
        {
            "principalId": harm.id("user", first),
            "resourceId": resource,
            "appRoleId": "00000000-0000-0000-0000-000000000000",
        },
    )


def _new_policy(harm: Harm, first: int, second: int) -> None:
    """A policy comes, with a trusted location of its own."""
    place = harm.client.post(
        f"/{_CA}/namedLocations",
        {
            "@odata.type": "#microsoft.graph.ipNamedLocation",
            "displayName": f"Came later {second}",
            "isTrusted": True,
            "ipRanges": [
                {"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "203.0.113.0/24"}
            ],
        },
    )
    assert place is not None
    harm.client.post(
        f"/{_CA}/policies",
        {
            "displayName": f"Came later {second}",
            "state": "disabled",
            "conditions": {
                "clientAppTypes": ["all"],
                "applications": {"includeApplications": ["All"]},
                "users": {"includeUsers": [harm.id("user", first)]},
                "locations": {"includeLocations": [place["id"]]},
            },
            "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
        },
    )


def _part(harm: Harm, kind: str, number: int) -> str:
    part = harm.one(kind, number)
    collection = {
        "federatedIdentityCredential": "federatedIdentityCredentials",
        "extensionProperty": "extensionProperties",
    }[kind]
    return f"/applications/{part['applicationId']}/{collection}/{part['id']}"


def _delete_part(kind: str) -> Mishap:
    def mishap(harm: Harm, first: int, _second: int) -> None:
        harm.client.delete(_part(harm, kind, first))

    return mishap


def _change_credential(harm: Harm, first: int, second: int) -> None:
    values = ({"subject": f"repo:harm/{second}"}, {"description": "harm"}, {"description": None})
    path = _part(harm, "federatedIdentityCredential", first)
    harm.client.patch(path, values[second % len(values)])


def _extension_value(harm: Harm, first: int, second: int) -> None:
    """Set or clear the value of a directory extension of a user."""
    name = str(harm.one("extensionProperty", second)["name"])
    value = f"CC{second}" if second % 4 else None
    harm.client.patch(f"/users/{harm.id('user', first)}", {name: value})


_TOKEN_POLICIES = (
    ("claimsMappingPolicy", "policies/claimsMappingPolicies"),
    ("tokenLifetimePolicy", "policies/tokenLifetimePolicies"),
    ("tokenIssuancePolicy", "policies/tokenIssuancePolicies"),
    ("homeRealmDiscoveryPolicy", "policies/homeRealmDiscoveryPolicies"),
    ("activityBasedTimeoutPolicy", "policies/activityBasedTimeoutPolicies"),
)
_POLICY_LINKS = (
    ("servicePrincipal", "claimsMappingPolicies", "claimsMappingPolicy"),
    ("servicePrincipal", "homeRealmDiscoveryPolicies", "homeRealmDiscoveryPolicy"),
    ("servicePrincipal", "tokenLifetimePolicies", "tokenLifetimePolicy"),
    ("application", "tokenLifetimePolicies", "tokenLifetimePolicy"),
    ("application", "tokenIssuancePolicies", "tokenIssuancePolicy"),
)


def _token_policy(deletes: bool) -> Mishap:
    def mishap(harm: Harm, first: int, second: int) -> None:
        kind, path = _TOKEN_POLICIES[first % len(_TOKEN_POLICIES)]
        object_id = harm.id(kind, second)
        if deletes:
            harm.client.delete(f"/{path}/{object_id}")
        else:
            harm.client.patch(f"/{path}/{object_id}", {"displayName": f"harm {second}"})

    return mishap


def _policy_link(adds: bool) -> Mishap:
    """Give an application or principal a policy, or take away what it has."""

    def mishap(harm: Harm, first: int, second: int) -> None:
        source_kind, navigation, target_kind = _POLICY_LINKS[first % len(_POLICY_LINKS)]
        if adds:
            path = f"{_COLLECTIONS[source_kind]}/{harm.id(source_kind, second)}/{navigation}"
            target = harm.client.url(f"policies/{navigation}/{harm.id(target_kind, first)}")
            harm.client.post(f"/{path}/$ref", {"@odata.id": target})
            return
        name = f"{source_kind}.{navigation}"
        links = sorted(harm.world.live.list_relationships(name))
        if links:
            link = links[second % len(links)]
            path = f"{_COLLECTIONS[source_kind]}/{link.source_id}/{navigation}"
            harm.client.remove_reference(f"/{path}/{link.target_id}/$ref")

    return mishap


def _strength(harm: Harm, first: int, second: int) -> None:
    path = f"/policies/authenticationStrengthPolicies/{harm.id(_STRENGTH, first)}"
    if second % 3 == 0:
        harm.client.delete(path)
    elif second % 3 == 1:
        harm.client.patch(path, {"description": "harm"})
    else:
        combinations = {"allowedCombinations": ["password,sms"]}
        harm.client.post(f"{path}/updateAllowedCombinations", combinations)


def _context(harm: Harm, first: int, second: int) -> None:
    kind = "authenticationContextClassReference"
    path = f"/{_CA}/authenticationContextClassReferences/{harm.id(kind, first)}"
    harm.client.patch(path, {"description": "harm", "isAvailable": bool(second % 2)})
    if second % 2 == 0:
        harm.client.delete(path)


def _lifetime(harm: Harm, first: int, second: int) -> None:
    path = f"/groupLifecyclePolicies/{harm.id('groupLifecyclePolicy', first)}"
    if second % 2:
        harm.client.patch(path, {"groupLifetimeInDays": 100 + second})
        return
    harm.client.delete(path)
    if second % 4 == 0:
        body = {"groupLifetimeInDays": 200, "managedGroupTypes": "None"}
        harm.client.post("/groupLifecyclePolicies", body)


def _eligible(harm: Harm, first: int, second: int) -> None:
    path = "/roleManagement/directory/roleEligibilityScheduleRequests"
    if second % 2:
        user = harm.id("user", first)
        role = harm.all("unifiedRoleDefinition")[second % 9]["id"]
        schedule = {"expiration": {"type": "noExpiration"}}
        held = {"principalId": user, "roleDefinitionId": role, "directoryScopeId": "/"}
        harm.client.post(path, {"action": "adminAssign", **held, "scheduleInfo": schedule})
        return
    known = harm.one("unifiedRoleEligibilitySchedule", first)
    names = ("principalId", "roleDefinitionId", "directoryScopeId")
    harm.client.post(path, {"action": "adminRemove", **{name: known[name] for name in names}})


def _partner(harm: Harm, first: int, second: int) -> None:
    kind = "crossTenantAccessPolicyConfigurationPartner"
    path = f"/policies/crossTenantAccessPolicy/partners/{harm.id(kind, first)}"
    if second % 2:
        harm.client.patch(path, {"b2bCollaborationOutbound": None})
    else:
        harm.client.delete(path)


def _cross_tenant_default(harm: Harm, _first: int, second: int) -> None:
    trust = {
        "isMfaAccepted": bool(second % 2),
        "isCompliantDeviceAccepted": True,
        "isHybridAzureADJoinedDeviceAccepted": False,
    }
    harm.client.patch("/policies/crossTenantAccessPolicy/default", {"inboundTrust": trust})


def _method(harm: Harm, first: int, second: int) -> None:
    item = harm.one("authenticationMethodConfiguration", first)
    body: dict[str, Any] = {"@odata.type": item["@odata.type"], "state": "disabled"}
    if second % 2:
        group = {"targetType": "group", "id": harm.id("group", second)}
        body["includeTargets"] = [{**group, "isRegistrationRequired": False}]
    path = "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations"
    harm.client.patch(f"{path}/{item['id']}", body)


def _consent(harm: Harm, first: int, second: int) -> None:
    query = f"/users/{harm.id('user', first)}"
    reviewer = {"query": query, "queryType": "MicrosoftGraph", "queryRoot": None}
    body = {
        "isEnabled": bool(second % 2),
        "notifyReviewers": False,
        "remindersEnabled": False,
        "requestDurationInDays": second,
        "reviewers": [reviewer] if second % 3 else [],
    }
    harm.client.put("/policies/adminConsentRequestPolicy", body)


def _device_registration(harm: Harm, first: int, second: int) -> None:
    allowed = {
        "@odata.type": "#microsoft.graph.enumeratedDeviceRegistrationMembership",
        "users": [harm.id("user", first)],
        "groups": [],
    }
    body = {
        "userDeviceQuota": second,
        "azureADJoin": {"isAdminConfigurable": True, "allowedToJoin": allowed},
        "azureADRegistration": {"isAdminConfigurable": False},
    }
    harm.client.put("/policies/deviceRegistrationPolicy", body)


MISHAPS: dict[str, Mishap] = {
    "soft-delete user": _soft_delete("user"),
    "soft-delete group": _soft_delete("group"),
    "soft-delete application": _soft_delete("application"),
    "soft-delete servicePrincipal": _soft_delete("servicePrincipal"),
    "soft-delete unit": _soft_delete("administrativeUnit"),
    "purge user": _purge("user"),
    "purge group": _purge("group"),
    "purge application": _purge("application"),
    "purge application and principal": _purge_application_with_principal,
    "purge servicePrincipal": _purge("servicePrincipal"),
    "change user": _patch("user", "users", _USER_VALUES),
    "rename user": _rename_user,
    "take a user's name": _take_name,
    "user added anew": _add_anew,
    "change group": _patch("group", "groups", _GROUP_VALUES),
    "new group": _new_group,
    "new user": _new_user,
    "new application": _new_application,
    "new policy": _new_policy,
    "assign directory role": _assign_directory_role,
    "assign app role": _assign_app_role,
    "change application": _patch("application", "applications", _APPLICATION_VALUES),
    "change app roles": _app_roles,
    "change servicePrincipal": _patch("servicePrincipal", "servicePrincipals", _PRINCIPAL_VALUES),
    "change unit": _patch(
        "administrativeUnit", _COLLECTIONS["administrativeUnit"], ({"description": "harm"},)
    ),
    "change device": _patch("device", "devices", ({"accountEnabled": False},)),
    "remove member": _links("group", "group.members", "members", "user", False),
    "add member": _links("group", "group.members", "members", "user", True),
    "nest group": _links("group", "group.members", "members", "group", True),
    "remove owner": _links("group", "group.owners", "owners", "user", False),
    "add owner": _links("group", "group.owners", "owners", "user", True),
    "remove unit member": _links(
        "administrativeUnit", "administrativeUnit.members", "members", "user", False
    ),
    "add unit member": _links(
        "administrativeUnit", "administrativeUnit.members", "members", "user", True
    ),
    "remove app owner": _links("application", "application.owners", "owners", "user", False),
    "add app owner": _links("application", "application.owners", "owners", "user", True),
    "remove sponsor": _links("user", "user.sponsors", "sponsors", "user", False),
    "set manager": _set_manager,
    "clear manager": _clear_manager,
    "change policy": _patch("conditionalAccessPolicy", f"{_CA}/policies", _POLICY_VALUES),
    "delete policy": _delete("conditionalAccessPolicy", f"{_CA}/policies"),
    "delete location": _delete("namedLocation", f"{_CA}/namedLocations"),
    "delete role": _delete("unifiedRoleDefinition", "roleManagement/directory/roleDefinitions"),
    "change role": _patch(
        "unifiedRoleDefinition",
        "roleManagement/directory/roleDefinitions",
        ({"description": "harm"}, {"isEnabled": False}),
    ),
    "unassign directory role": _unassign_directory_role,
    "unassign app role": _unassign_role,
    "delete grant": _delete("oAuth2PermissionGrant", "oauth2PermissionGrants"),
    "change grant": _patch(
        "oAuth2PermissionGrant", "oauth2PermissionGrants", ({"scope": "openid"},)
    ),
    "add licence to user": _licences("user", True),
    "take licence from user": _licences("user", False),
    "add licence to group": _licences("group", True),
    "take licence from group": _licences("group", False),
    "change authorization policy": _authorization,
    "change organization": _organization,
    "delete credential": _delete_part("federatedIdentityCredential"),
    "change credential": _change_credential,
    "delete extension": _delete_part("extensionProperty"),
    "set extension value": _extension_value,
    "delete token policy": _token_policy(True),
    "change token policy": _token_policy(False),
    "assign policy": _policy_link(True),
    "unassign policy": _policy_link(False),
    "harm strength": _strength,
    "harm context": _context,
    "harm lifetime": _lifetime,
    "change eligibility": _eligible,
    "harm partner": _partner,
    "change cross-tenant default": _cross_tenant_default,
    "change method": _method,
    "change consent requests": _consent,
    "change device registration": _device_registration,
    "delete group setting": _delete("groupSetting", "groupSettings"),
}
