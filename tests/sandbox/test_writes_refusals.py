"""Every refusal of the imitation: what is asked, and Graph's status, code and gist.

Each case also proves that a refused write changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reentra.sandbox.errors import GraphError
from reentra.sandbox.tenant import Tenant
from reentra.sandbox.writes import WriteContext, perform
from tests.sandbox.world import (
    APP_ONLY_ROLE,
    GRAPH,
    NOBODY,
    OFF_ROLE,
    ROLE,
    SKU,
    SMALL_SKU,
    TENANT_ID,
    UNIFIED,
    USER_ADMINISTRATOR,
    World,
    ref,
)


@pytest.fixture
def world() -> World:
    return World()


def digest(tenant: Tenant, folder: Path) -> bytes:
    tenant.save(folder / "state")
    # Ids that a refused write drew and dropped are no state.
    return (folder / "state").read_bytes().partition(b"\n")[2]


Body = dict[str, Any] | Callable[[World], Any] | None
NEW_USER, NEW_GROUP, NEW_POLICY = World.user, World.group, World.policy
PREFIX = "One or more added object references already exist"
BAD = "Request_BadRequest"
CA = "/identity/conditionalAccess/policies"
LOC = "/identity/conditionalAccess/namedLocations"
AU = "/directory/administrativeUnits"
ROLES = "/roleManagement/directory/roleDefinitions"
ASSIGN = "/roleManagement/directory/roleAssignments"
INVALID = "Invalid value specified for property"


def bind(nav: str, *names: str) -> Callable[[World], dict[str, Any]]:
    return lambda world: {
        f"{nav}@odata.bind": [
            f"{GRAPH}/directoryObjects/{world.ids.get(name, name)}" for name in names
        ]
    }


def to(name: str) -> Callable[[World], dict[str, str]]:
    return lambda world: ref(world.ids.get(name, name))


def assignment(who: str, role: str) -> Callable[[World], dict[str, str]]:
    return lambda world: {
        "principalId": world.ids.get(who, who),
        "resourceId": world.ids["sp"],
        "appRoleId": role,
    }


def role_assignment(who: str, role: str, scope: str) -> Callable[[World], dict[str, str]]:
    return lambda world: {
        "principalId": world.ids.get(who, who),
        "roleDefinitionId": role,
        **({"directoryScopeId": scope} if scope else {}),
    }


def role_without(**change: Any) -> Callable[[World], dict[str, Any]]:
    """The application's roles, with the first one changed."""

    def body(world: World) -> dict[str, Any]:
        first, *others = world.record("app").props["appRoles"]
        return {"appRoles": [{**first, **change}, *others]}

    return body


def policy_with(**conditions: Any) -> dict[str, Any]:
    return World.policy(conditions=World.conditions(**conditions))


# method, path, body, status, code, a part of the message
CASES: list[tuple[str, str, str, Body, int, str, str]] = [
    # --- the schema ---
    ("unknown property", "PATCH", "/users/{ann}", {"shoeSize": 1}, 400, BAD, "'shoeSize'"),
    ("read-only property", "PATCH", "/users/{ann}", {"createdDateTime": "2020-01-01T00:00:00Z"},
     400, BAD, "Property 'createdDateTime' is read-only and cannot be set."),
    ("the id", "PATCH", "/users/{ann}", {"id": NOBODY}, 400, BAD, "'id' is read-only"),
    ("proxy addresses", "PATCH", "/users/{ann}", {"proxyAddresses": []}, 400, BAD, "read-only"),
    ("licences by update", "PATCH", "/users/{ann}", {"assignedLicenses": []}, 400, BAD,
     "read-only"),
    ("wrong type", "PATCH", "/users/{ann}", {"department": 5}, 400, BAD, INVALID),
    ("text for a flag", "PATCH", "/users/{ann}", {"accountEnabled": "yes"}, 400, BAD, INVALID),
    ("bad date", "PATCH", "/users/{ann}", {"employeeHireDate": "soon"}, 400, BAD, INVALID),
    ("null in a list", "PATCH", "/users/{ann}", {"otherMails": [None]}, 400, BAD, INVALID),
    ("null for a list", "PATCH", "/users/{ann}", {"businessPhones": None}, 400, BAD, INVALID),
    ("unknown member", "PATCH", "/users/{ann}", {"employeeOrgData": {"x": 1}}, 400, BAD, "x"),
    ("unknown enum member", "POST", CA, NEW_POLICY(state="maybe"), 400, "BadRequest", "1007:"),
    ("body is a list", "PATCH", "/users/{ann}", lambda _: [], 400, BAD, "JSON"),
    ("inline relationship", "PATCH", "/users/{ann}", {"manager": {}}, 400, BAD, "manager"),
    ("bind of a property", "PATCH", "/users/{ann}", {"city@odata.bind": []}, 400, BAD, "city"),
    ("bind that no update takes", "PATCH", "/users/{ann}", bind("manager", "bob"), 400, BAD,
     "manager@odata.bind"),
    ("owners bound later", "PATCH", "/groups/{staff}", bind("owners", "bob"), 400, BAD,
     "owners@odata.bind"),
    ("unknown extension", "PATCH", "/users/{ann}", {"extension_1_x": "a"}, 400, BAD,
     "extension properties are not available"),
    ("unknown object", "PATCH", f"/users/{NOBODY}", {}, 404, "Request_ResourceNotFound", NOBODY),
    # --- users ---
    *(
        (f"user without {name}", "POST", "/users",
         {key: value for key, value in NEW_USER("cid").items() if key != name}, 400, BAD, name)
        for name in ("accountEnabled", "displayName", "mailNickname", "passwordProfile",
                     "userPrincipalName")
    ),
    ("no password", "POST", "/users", NEW_USER("cid", passwordProfile={}), 400, BAD, "password"),
    *(
        (f"password {word!r}", "POST", "/users",
         NEW_USER("cid", passwordProfile={"password": word}), 400, BAD, "complexity")
        for word in ("Sh0rt!", "alllowercase", "lower1234567", "x" * 300)
    ),
    ("weak new password", "PATCH", "/users/{ann}", {"passwordProfile": {"password": "abc"}},
     400, BAD, "complexity"),
    ("taken name", "POST", "/users", NEW_USER("ANN"), 400, BAD,
     "Another object with the same value for property userPrincipalName already exists."),
    ("rename to a taken name", "PATCH", "/users/{bob}",
     {"userPrincipalName": "ann@contoso.com"}, 400, BAD, "userPrincipalName"),
    ("foreign domain", "POST", "/users", NEW_USER("c", userPrincipalName="c@other.com"), 400, BAD,
     "The domain portion of the userPrincipalName property is invalid."),
    ("unverified domain", "POST", "/users", NEW_USER("c", userPrincipalName="c@unverified.com"),
     400, BAD, "domain portion"),
    ("name without domain", "PATCH", "/users/{ann}", {"userPrincipalName": "ann"}, 400, BAD,
     INVALID),
    ("taken mail", "PATCH", "/users/{bob}", {"mail": "ANN@contoso.com"}, 400, BAD, "mail"),
    ("empty name", "PATCH", "/users/{ann}", {"displayName": ""}, 400, BAD, INVALID),
    ("null name", "PATCH", "/users/{ann}", {"displayName": None}, 400, BAD, INVALID),
    ("usage location", "PATCH", "/users/{ann}", {"usageLocation": "Mars"}, 400, BAD, INVALID),
    ("user type", "PATCH", "/users/{ann}", {"userType": "Robot"}, 400, BAD, INVALID),
    ("two phones", "PATCH", "/users/{ann}", {"businessPhones": ["1", "2"]}, 400, BAD, INVALID),
    ("synced user", "PATCH", "/users/{synced}", {"department": "X"}, 400, BAD,
     "on-premises mastered Directory Sync objects"),
    ("synced user's manager", "PUT", "/users/{synced}/manager/$ref", to("ann"), 400, BAD,
     "on-premises mastered"),
    ("SharePoint property", "PATCH", "/users/{ann}", {"aboutMe": "x"}, 403,
     "Authorization_RequestDenied", "Insufficient privileges"),
    ("restricted unit", "PATCH", "/users/{guarded}", {"city": "X"}, 403,
     "Authorization_RequestDenied", "restricted management"),
    ("restricted unit, delete", "DELETE", "/users/{guarded}", None, 403,
     "Authorization_RequestDenied", "restricted management"),
    ("manager is a group", "PUT", "/users/{ann}/manager/$ref", to("staff"), 400, BAD, "manager"),
    ("own manager", "PUT", "/users/{ann}/manager/$ref", to("ann"), 400, BAD, "manager"),
    ("unknown manager", "PUT", "/users/{ann}/manager/$ref", to(NOBODY), 404,
     "Request_ResourceNotFound", NOBODY),
    ("no manager", "DELETE", "/users/{ann}/manager/$ref", None, 404, "Request_ResourceNotFound",
     ""),
    ("sponsor is a device", "POST", "/users/{ann}/sponsors/$ref", to("laptop"), 400, BAD,
     "Sponsors"),
    ("invitation without address", "POST", "/invitations", {"inviteRedirectUrl": "https://x"}, 400,
     BAD, "invitedUserEmailAddress"),
    ("invitation of an own user", "POST", "/invitations",
     {"inviteRedirectUrl": "https://x", "invitedUserEmailAddress": "ann@contoso.com"}, 400, BAD,
     "already exists"),
    # --- groups ---
    *(
        (f"group without {name}", "POST", "/groups",
         {key: value for key, value in NEW_GROUP("new").items() if key != name}, 400, BAD, name)
        for name in ("displayName", "mailEnabled", "mailNickname", "securityEnabled")
    ),
    ("mail-enabled security group", "POST", "/groups", NEW_GROUP("new", mailEnabled=True), 400,
     BAD, "does not currently support writes of mail-enabled groups"),
    ("distribution group", "POST", "/groups",
     NEW_GROUP("new", mailEnabled=True, securityEnabled=False), 400, BAD, "mail-enabled"),
    ("neither mail nor security", "POST", "/groups", NEW_GROUP("new", securityEnabled=False), 400,
     BAD, "security-enabled"),
    ("unified without mail", "POST", "/groups", NEW_GROUP("new", groupTypes=["Unified"]), 400, BAD,
     "mail-enabled"),
    ("taken nickname", "POST", "/groups",
     NEW_GROUP("team", mailEnabled=True, groupTypes=["Unified"]), 400, BAD, "mailNickname"),
    ("dynamic without rule", "POST", "/groups",
     NEW_GROUP("new", groupTypes=["DynamicMembership"]), 400, BAD, "membershipRule"),
    ("rule without dynamic", "PATCH", "/groups/{staff}", {"membershipRule": "x"}, 400, BAD,
     "membershipRule"),
    ("dynamic and assignable", "POST", "/groups",
     NEW_GROUP("new", groupTypes=["DynamicMembership"], membershipRule="x",
               isAssignableToRole=True), 400, BAD, "dynamic"),
    ("assignable later", "PATCH", "/groups/{staff}", {"isAssignableToRole": True}, 400, BAD,
     "read-only"),
    ("to Microsoft 365", "PATCH", "/groups/{staff}", {"groupTypes": ["Unified"]}, 400, BAD,
     "converted"),
    ("hidden membership later", "PATCH", "/groups/{team}", {"visibility": "HiddenMembership"}, 400,
     BAD, "HiddenMembership"),
    ("labels", "PATCH", "/groups/{team}", {"assignedLabels": []}, 403,
     "Authorization_RequestDenied", ""),
    ("Exchange property with another", "PATCH", "/groups/{team}",
     {"allowExternalSenders": True, "displayName": "x"}, 400, BAD, "their own"),
    ("Exchange property of a security group", "PATCH", "/groups/{staff}",
     {"allowExternalSenders": True}, 400, BAD, "Microsoft 365"),
    ("synced group", "PATCH", "/groups/{syncedgroup}", {"description": "x"}, 400, BAD,
     "on-premises mastered"),
    ("synced group, delete", "DELETE", "/groups/{syncedgroup}", None, 400, BAD, "on-premises"),
    ("synced group, member", "POST", "/groups/{syncedgroup}/members/$ref", to("ann"), 400, BAD,
     "on-premises"),
    ("mail-enabled group", "PATCH", "/groups/{mailgroup}", {"description": "x"}, 400, BAD,
     "Cannot Update a mail-enabled security groups and or distribution list."),
    ("mail-enabled group, member", "POST", "/groups/{mailgroup}/members/$ref", to("ann"), 400,
     BAD, "mail-enabled security groups"),
    ("dynamic group, member", "POST", "/groups/{dynamic}/members/$ref", to("ann"), 403,
     "Authorization_RequestDenied", "dynamic"),
    ("dynamic group, bind", "PATCH", "/groups/{dynamic}", bind("members", "ann"), 403,
     "Authorization_RequestDenied", "dynamic"),
    ("existing member", "POST", "/groups/{full}/members/$ref", to("ann"), 400, BAD,
     PREFIX + " for the following modified properties: 'members'."),
    ("existing owner", "POST", "/groups/{full}/owners/$ref", to("ann"), 400, BAD, "'owners'"),
    ("existing member, bound", "PATCH", "/groups/{full}", bind("members", "bob", "ann"), 400, BAD,
     PREFIX),
    ("bound twice", "PATCH", "/groups/{staff}", bind("members", "bob", "bob"), 400, BAD, PREFIX),
    ("one of many unknown", "PATCH", "/groups/{staff}", bind("members", "ann", NOBODY), 404,
     "Request_ResourceNotFound", NOBODY),
    ("twenty-one", "PATCH", "/groups/{staff}", bind("members", *[NOBODY] * 21), 400, BAD, "20"),
    ("unknown member", "POST", "/groups/{staff}/members/$ref", to(NOBODY), 404,
     "Request_ResourceNotFound", NOBODY),
    ("removing who is not in", "DELETE", "/groups/{staff}/members/{bob}/$ref", None, 404,
     "Request_ResourceNotFound", ""),
    ("reference elsewhere", "POST", "/groups/{staff}/members/$ref",
     lambda w: {"@odata.id": f"https://evil.example/v1.0/users/{w.ids['ann']}"}, 400, BAD,
     "reference"),
    ("relative reference", "POST", "/groups/{staff}/members/$ref",
     lambda w: {"@odata.id": f"/users/{w.ids['ann']}"}, 400, BAD, "reference"),
    ("no reference", "POST", "/groups/{staff}/members/$ref", {}, 400, BAD, "@odata.id"),
    ("application as member", "POST", "/groups/{staff}/members/$ref", to("app"), 400, BAD,
     "members"),
    ("itself as member", "POST", "/groups/{staff}/members/$ref", to("staff"), 400, BAD, "itself"),
    ("group in Microsoft 365", "POST", "/groups/{team}/members/$ref", to("staff"), 400, BAD,
     "only have users"),
    ("Microsoft 365 in security", "POST", "/groups/{staff}/members/$ref", to("team"), 400, BAD,
     "security groups"),
    ("group in role-assignable", "POST", "/groups/{admins}/members/$ref", to("staff"), 400, BAD,
     "role-assignable"),
    ("group as owner", "POST", "/groups/{staff}/owners/$ref", to("nested"), 400, BAD, "Owners"),
    ("last owner", "DELETE", "/groups/{full}/owners/{ann}/$ref", None, 400, BAD,
     "at least one owner"),
    # --- applications and service principals ---
    ("application without name", "POST", "/applications", {}, 400, BAD, "displayName"),
    ("application's appId", "PATCH", "/applications/{app}", {"appId": NOBODY}, 400, BAD,
     "read-only"),
    ("application's secrets", "PATCH", "/applications/{app}", {"passwordCredentials": []}, 400,
     BAD, "read-only"),
    ("unique name again", "PATCH", "/applications/{app}", {"uniqueName": "x"}, 400, BAD,
     "read-only"),
    ("unique name taken", "PATCH", "/applications/{bare}", {"uniqueName": "app"}, 400, BAD,
     "uniqueName"),
    ("audience", "PATCH", "/applications/{app}", {"signInAudience": "Everyone"}, 400, BAD,
     INVALID),
    ("personal accounts with v1 tokens", "PATCH", "/applications/{app}",
     {"signInAudience": "AzureADandPersonalMicrosoftAccount"}, 400, BAD,
     "requestedAccessTokenVersion"),
    ("enabled role removed", "PATCH", "/applications/{app}", {"appRoles": []}, 400, BAD,
     "Permission (scope or role) cannot be deleted or updated unless disabled first."),
    ("enabled role changed", "PATCH", "/applications/{app}", role_without(value="other"), 400, BAD,
     "unless disabled first"),
    ("role changed while disabled", "PATCH", "/applications/{app}",
     role_without(value="other", isEnabled=False), 400, BAD, "unless disabled first"),
    ("enabled scope removed", "PATCH", "/applications/{app}",
     {"api": {"oauth2PermissionScopes": []}}, 400, BAD, "unless disabled first"),
    ("two roles with one value", "PATCH", "/applications/{app}",
     lambda w: {"appRoles": [*w.record("app").props["appRoles"],
                             {**w.record("app").props["appRoles"][0], "id": NOBODY}]},
     400, BAD, "duplicate"),
    ("pre-authorised for an unknown scope", "PATCH", "/applications/{app}",
     {"api": {"preAuthorizedApplications": [
         {"appId": NOBODY, "delegatedPermissionIds": [NOBODY]}]}}, 400, BAD, NOBODY),
    ("identifier URI elsewhere", "PATCH", "/applications/{app}",
     {"identifierUris": ["https://api.other.com"]}, 400, BAD, "verified domain"),
    ("identifier URI of another", "PATCH", "/applications/{bare}",
     {"identifierUris": ["https://api.contoso.com"]}, 400, BAD,
     "Another object with the same value for property identifierUris already exists."),
    ("new key without its bytes", "PATCH", "/applications/{app}",
     {"keyCredentials": [{"type": "AsymmetricX509Cert", "usage": "Verify"}]}, 400, BAD, INVALID),
    ("unknown secret", "POST", "/applications/{app}/removePassword", {"keyId": NOBODY}, 400, BAD,
     NOBODY),
    ("federated name changed", "PATCH", "/applications/{app}/federatedIdentityCredentials/github",
     {"name": "other"}, 400, BAD, "read-only"),
    ("federated name taken", "POST", "/applications/{app}/federatedIdentityCredentials",
     {"name": "github", "issuer": "i", "subject": "s", "audiences": ["a"]}, 400, BAD, "name"),
    ("federated subject taken", "POST", "/applications/{app}/federatedIdentityCredentials",
     {"name": "again", "issuer": "https://ci", "subject": "main", "audiences": ["a"]}, 400, BAD,
     "issuer and subject"),
    ("two audiences", "POST", "/applications/{app}/federatedIdentityCredentials",
     {"name": "again", "issuer": "i", "subject": "s", "audiences": ["a", "b"]}, 400, BAD,
     "audience"),
    ("extension of nothing", "POST", "/applications/{app}/extensionProperties",
     {"name": "x", "dataType": "String", "targetObjects": []}, 400, BAD, "targetObjects"),
    ("extension of an odd type", "POST", "/applications/{app}/extensionProperties",
     {"name": "x", "dataType": "Poem", "targetObjects": ["User"]}, 400, BAD, "dataType"),
    ("extension taken", "POST", "/applications/{app}/extensionProperties",
     {"name": "grade", "dataType": "String", "targetObjects": ["User"]}, 400, BAD, "exists"),
    ("principal of an unknown app", "POST", "/servicePrincipals", {"appId": NOBODY}, 400, BAD,
     "does not reference a valid application object"),
    ("second principal", "POST", "/servicePrincipals", lambda w: {"appId": w.ids["appId"]}, 400,
     BAD, "A conflicting object with one or more of the specified property values"),
    ("principal's roles", "PATCH", "/servicePrincipals/{sp}", {"appRoles": []}, 400, BAD,
     "read-only"),
    ("principal's appId", "PATCH", "/servicePrincipals/{sp}", {"appId": NOBODY}, 400, BAD,
     "read-only"),
    ("managed identity", "PATCH", "/servicePrincipals/{identity}", {"displayName": "x"}, 400, BAD,
     "managed identity"),
    ("managed identity, delete", "DELETE", "/servicePrincipals/{identity}", None, 400, BAD,
     "managed identity"),
    *(
        (f"assignment: {label}", "POST", "/servicePrincipals/{sp}/appRoleAssignedTo",
         assignment(who, role), status, code, text)
        for label, who, role, status, code, text in (
            ("again", "ann", ROLE, 400, BAD, "Permission being assigned already exists"),
            ("unknown role", "bob", NOBODY, 400, BAD, "was not found on application"),
            ("disabled role", "bob", OFF_ROLE, 400, BAD, "was not found on application"),
            ("role for applications", "bob", APP_ONLY_ROLE, 400, BAD, "allowed member types"),
            ("unknown principal", NOBODY, ROLE, 404, "Request_ResourceNotFound", NOBODY),
            ("principal is a device", "laptop", ROLE, 404, "Request_ResourceNotFound", ""),
        )
    ),
    ("assignment on another path", "POST", "/users/{bob}/appRoleAssignments",
     lambda w: {"principalId": w.ids["ann"], "resourceId": w.ids["sp"], "appRoleId": ROLE}, 400,
     BAD, "principalId"),
    ("assignment of another user", "DELETE", "/users/{bob}/appRoleAssignments/{granted}", None,
     404, "Request_ResourceNotFound", ""),
    ("grant again", "POST", "/oauth2PermissionGrants",
     lambda w: {"clientId": w.ids["sp"], "resourceId": w.ids["sp"],
                "consentType": "AllPrincipals"}, 400, BAD, "conflicting object"),
    ("grant by application id", "POST", "/oauth2PermissionGrants",
     lambda w: {"clientId": w.ids["appId"], "resourceId": w.ids["sp"],
                "consentType": "AllPrincipals"}, 404, "Request_ResourceNotFound", ""),
    ("grant to nobody", "POST", "/oauth2PermissionGrants",
     lambda w: {"clientId": w.ids["sp"], "resourceId": w.ids["sp"], "consentType": "Principal"},
     400, BAD, "principalId"),
    ("grant's client changed", "PATCH", "/oauth2PermissionGrants/{grant}",
     {"clientId": NOBODY}, 400, BAD, "read-only"),
    # --- licences ---
    ("one list only", "POST", "/users/{ann}/assignLicense", {"addLicenses": []}, 400, BAD,
     "removeLicenses"),
    ("no usage location", "POST", "/users/{ann}/assignLicense",
     {"addLicenses": [{"skuId": SKU, "disabledPlans": []}], "removeLicenses": []}, 400, BAD,
     "License assignment cannot be done for user with invalid usage location."),
    ("licence not held", "POST", "/users/{ann}/assignLicense",
     {"addLicenses": [], "removeLicenses": [SKU]}, 400, BAD, "does not have a corresponding"),
    ("unknown licence for a group", "POST", "/groups/{staff}/assignLicense",
     {"addLicenses": [{"skuId": NOBODY}], "removeLicenses": []}, 400, BAD, "valid company License"),
    ("unknown plan", "POST", "/groups/{staff}/assignLicense",
     {"addLicenses": [{"skuId": SKU, "disabledPlans": [NOBODY]}], "removeLicenses": []}, 400, BAD,
     "service plan"),
    ("a subscription", "DELETE", f"/subscribedSkus/{SKU}", None, 400, BAD, "does not support"),
    # --- devices ---
    ("new device", "POST", "/devices", {"displayName": "x"}, 403, "Authorization_RequestDenied",
     ""),
    ("device owner", "POST", "/devices/{laptop}/registeredOwners/$ref", to("ann"), 403,
     "Authorization_RequestDenied", ""),
    ("device id", "PATCH", "/devices/{laptop}", {"deviceId": NOBODY}, 400, BAD, "read-only"),
    ("Linux device", "PATCH", "/devices/{linux}", {"accountEnabled": False}, 400, BAD,
     "extensionAttributes"),
    # --- administrative units and roles ---
    ("unit without name", "POST", AU, {}, 400, BAD, "displayName"),
    ("unit restricted later", "PATCH", AU + "/{unit}", {"isMemberManagementRestricted": True}, 400,
     BAD, "read-only"),
    ("unit with a principal", "POST", AU + "/{unit}/members/$ref", to("sp"), 400, BAD,
     "users, groups or devices"),
    ("unit's member again", "POST", AU + "/{unit}/members/$ref", to("ann"), 400, BAD, PREFIX),
    ("scoped role that is not active", "POST", AU + "/{unit}/scopedRoleMembers",
     lambda w: {"roleId": NOBODY, "roleMemberInfo": {"id": w.ids["bob"]}}, 404,
     "Request_ResourceNotFound", NOBODY),
    ("built-in role, update", "PATCH", f"{ROLES}/{USER_ADMINISTRATOR}", {"displayName": "x"}, 400,
     BAD, "Built-in"),
    ("built-in role, delete", "DELETE", f"{ROLES}/{USER_ADMINISTRATOR}", None, 400, BAD,
     "Built-in"),
    ("role without actions", "POST", ROLES,
     {"displayName": "x", "isEnabled": True, "rolePermissions": []}, 400, BAD, "rolePermissions"),
    ("role with an odd action", "POST", ROLES,
     {"displayName": "x", "isEnabled": True,
      "rolePermissions": [{"allowedResourceActions": ["do everything"]}]}, 400, BAD, "supported"),
    ("template id taken", "POST", ROLES,
     {"displayName": "x", "isEnabled": True, "templateId": USER_ADMINISTRATOR,
      "rolePermissions": [{"allowedResourceActions": ["microsoft.directory/users/basic/update"]}]},
     400, BAD, "conflicting"),
    *(
        (f"role assignment: {label}", "POST", ASSIGN,
         role_assignment(who, role, scope), status, code, text)
        for label, who, role, scope, status, code, text in (
            ("again", "ann", USER_ADMINISTRATOR, "/", 400, BAD, "conflicting"),
            ("unknown principal", NOBODY, USER_ADMINISTRATOR, "/", 404,
             "Request_ResourceNotFound", NOBODY),
            ("unknown role", "bob", NOBODY, "/", 404, "Request_ResourceNotFound", NOBODY),
            ("unknown unit", "bob", USER_ADMINISTRATOR, f"/administrativeUnits/{NOBODY}", 404,
             "Request_ResourceNotFound", NOBODY),
            ("no scope", "bob", USER_ADMINISTRATOR, "", 400, BAD, "directoryScopeId"),
            ("plain group", "staff", USER_ADMINISTRATOR, "/", 400, BAD, "role-assignable"),
        )
    ),
    # --- Conditional Access ---
    ("policy without conditions", "POST", CA, {"displayName": "x", "state": "disabled"}, 400,
     "BadRequest", "1007:"),
    ("policy without controls", "POST", CA, NEW_POLICY(grantControls=None), 400, "BadRequest",
     "1007:"),
    ("unknown member", "POST", CA, policy_with(weather={}), 400, "BadRequest", "1007:"),
    ("policy with an id", "POST", CA, NEW_POLICY(id=NOBODY), 400, "BadRequest", "1007:"),
    ("annotation left in", "POST", CA,
     NEW_POLICY(grantControls={"operator": "OR", "builtInControls": [],
                               "authenticationStrength@odata.context": "x",
                               "authenticationStrength": {
                                   "id": "00000000-0000-0000-0000-000000000002"}}),
     400, "BadRequest", "1007:"),
    ("strength bound", "POST", CA,
     NEW_POLICY(grantControls={"operator": "OR", "builtInControls": ["mfa"],
                               "authenticationStrength@odata.bind": "x"}),
     400, "BadRequest", "1007:"),
    ("nothing active in the session", "POST", CA, NEW_POLICY(sessionControls={}), 400,
     "BadRequest", "1007:"),
    ("no client types", "POST", CA, policy_with(clientAppTypes=[]), 400, "BadRequest", "1007:"),
    ("all applications and one", "POST", CA,
     policy_with(applications={"includeApplications": ["All", "Office365"]}), 400, "BadRequest",
     "1012: 'applications' condition cannot include both"),
    ("all users and one", "POST", CA, policy_with(users={"includeUsers": ["All", NOBODY]}), 400,
     "BadRequest", "1012:"),
    ("block and mfa", "POST", CA,
     NEW_POLICY(grantControls={"operator": "OR", "builtInControls": ["block", "mfa"]}), 400,
     "BadRequest", "1012:"),
    *(
        (f"policy for an unknown {label}", "POST", CA, policy_with(**conditions), 400,
         "BadRequest", NOBODY)
        for label, conditions in (
            ("user", {"users": {"includeUsers": [NOBODY]}}),
            ("excluded user", {"users": {"includeUsers": ["All"], "excludeUsers": [NOBODY]}}),
            ("group", {"users": {"includeGroups": [NOBODY]}}),
            ("role", {"users": {"includeRoles": [NOBODY]}}),
            ("application", {"applications": {"includeApplications": [NOBODY]}}),
            ("location", {"locations": {"includeLocations": [NOBODY]}}),
            ("principal", {"clientApplications": {"includeServicePrincipals": [NOBODY]}}),
        )
    ),
    ("unknown strength", "POST", CA,
     NEW_POLICY(grantControls={"operator": "OR", "builtInControls": [],
                               "authenticationStrength": {"id": NOBODY}}),
     400, "BadRequest", NOBODY),
    ("unknown policy", "PATCH", f"{CA}/{NOBODY}", {"state": "enabled"}, 404, "ResourceNotFound",
     NOBODY),
    ("policy by a deleted reference", "PATCH", CA + "/{policy}",
     {"conditions": {"users": {"excludeGroups": [NOBODY]}}}, 400, "BadRequest", NOBODY),
    # --- named locations ---
    ("location without a type", "POST", LOC, {"displayName": "x"}, 400, "BadRequest",
     "@odata.type"),
    ("location, update without a type", "PATCH", LOC + "/{office}", {"displayName": "x"}, 400,
     "BadRequest", "@odata.type"),
    ("location, other type", "PATCH", LOC + "/{office}",
     {"@odata.type": "#microsoft.graph.countryNamedLocation"}, 400, "BadRequest", "type"),
    ("range without a type", "POST", LOC,
     World.location(ipRanges=[{"cidrAddress": "203.0.113.0/24"}]), 400, "BadRequest",
     "@odata.type"),
    ("range that is none", "POST", LOC,
     World.location(ipRanges=[{"@odata.type": "#microsoft.graph.iPv4CidrRange",
                               "cidrAddress": "300.1.1.1/24"}]), 400, "BadRequest", "300.1.1.1"),
    ("country", "POST", LOC,
     {"@odata.type": "#microsoft.graph.countryNamedLocation", "displayName": "x",
      "countriesAndRegions": ["Narnia"]}, 400, "BadRequest", "Narnia"),
    ("location in use", "DELETE", LOC + "/{office}", None, 400, "BadRequest", "in use"),
    ("trusted location", "DELETE", LOC + "/{trusted}", None, 400, "BadRequest", "trusted"),
    # --- settings and domains ---
    ("organization's name", "PATCH", f"/organization/{TENANT_ID}", {"displayName": "x"}, 400, BAD,
     "read-only"),
    ("organization's address", "PATCH", f"/organization/{TENANT_ID}",
     {"technicalNotificationMails": ["nobody"]}, 400, BAD, INVALID),
    ("guest role", "PATCH", "/policies/authorizationPolicy", {"guestUserRoleId": NOBODY}, 400, BAD,
     INVALID),
    ("who may invite", "PATCH", "/policies/authorizationPolicy", {"allowInvitesFrom": "cats"}, 400,
     BAD, INVALID),
    ("settings again", "POST", "/groupSettings", {"templateId": UNIFIED, "values": []}, 400, BAD,
     "conflicting"),
    ("unknown template", "POST", "/groupSettings", {"templateId": NOBODY, "values": []}, 400, BAD,
     NOBODY),
    ("unknown value", "PATCH", "/groupSettings/{setting}",
     {"values": [{"name": "Colour", "value": "red"}]}, 400, BAD, "Colour"),
    ("tenant's template on a group", "POST", "/groups/{team}/settings",
     {"templateId": UNIFIED, "values": []}, 400, BAD, "Group.Unified.Guest"),
    ("bad domain", "POST", "/domains", {"id": "not a domain"}, 400, BAD, INVALID),
    ("domain again", "POST", "/domains", {"id": "contoso.com"}, 400, BAD, "conflicting"),
    ("unverified domain, update", "PATCH", "/domains/unverified.com", {"isDefault": True}, 400,
     BAD, "not verified"),
    ("domain in use", "DELETE", "/domains/contoso.com", None, 400, BAD, "references"),
    ("initial domain", "DELETE", "/domains/contoso.onmicrosoft.com", None, 400, BAD, "initial"),
    # --- the recycle bin ---
    ("restore what is not there", "POST", "/directory/deletedItems/{ann}/restore", None, 404,
     "Request_ResourceNotFound", ""),
    ("purge what is not there", "DELETE", "/directory/deletedItems/{ann}", None, 404,
     "Request_ResourceNotFound", ""),
]  # fmt: skip


def cases() -> list[Any]:
    seen: dict[str, int] = {}
    found = []
    for label, *rest in CASES:
        seen[label] = seen.get(label, 0) + 1
        suffix = f" ({seen[label]})" if seen[label] > 1 else ""
        found.append(pytest.param(*rest, id=label + suffix))
    return found


@pytest.mark.parametrize(("method", "path", "body", "status", "code", "text"), cases())
def test_graph_refuses_with_its_own_words_and_changes_nothing(
    world: World,
    tmp_path: Path,
    method: str,
    path: str,
    body: Body,
    status: int,
    code: str,
    text: str,
) -> None:
    asked = body(world) if callable(body) else body
    before = digest(world.tenant, tmp_path)
    with pytest.raises(GraphError) as refused:
        perform(world.tenant, method, path.format(**world.ids), asked)
    error = refused.value
    assert (error.status, error.code) == (status, code), error
    assert text in error.message
    assert digest(world.tenant, tmp_path) == before


def test_a_conflict_names_the_property_in_its_details(world: World) -> None:
    with pytest.raises(GraphError) as refused:
        perform(world.tenant, "POST", "/users", World.user("ann"))
    [detail] = refused.value.envelope()["error"]["details"]
    assert (detail["code"], detail["target"]) == ("ObjectConflict", "userPrincipalName")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/groups", World.group(
            "d", groupTypes=["DynamicMembership"], membershipRule='user.city -eq "X"')),
        ("POST", "/groups", World.group("a", isAssignableToRole=True)),
        ("POST", ROLES, {
            "displayName": "x", "isEnabled": True, "rolePermissions": [
                {"allowedResourceActions": ["microsoft.directory/users/basic/update"]}]}),
        ("POST", CA, World.policy()),
        ("POST", LOC, World.location()),
    ],
)  # fmt: skip
def test_a_free_tenant_lacks_what_needs_a_licence(
    method: str, path: str, body: dict[str, Any]
) -> None:
    with pytest.raises(GraphError) as refused:
        perform(World("free").tenant, method, path, body)
    assert refused.value.status == 403


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/groups", World.group("a", isAssignableToRole=True)),
        ("PATCH", "/groups/{admins}", {"description": "x"}),
        ("DELETE", "/groups/{admins}", None),
    ],
)
def test_role_assignable_groups_need_the_permission_for_roles(
    world: World, method: str, path: str, body: Any
) -> None:
    context = WriteContext(roles=frozenset(("Group.ReadWrite.All",)))
    with pytest.raises(GraphError) as refused:
        perform(world.tenant, method, path.format(**world.ids), body, context)
    assert (refused.value.status, refused.value.code) == (403, "Authorization_RequestDenied")


def test_an_object_that_is_not_replicated_cannot_be_referred_to(world: World) -> None:
    context = WriteContext(visible=lambda record: record.id != world.ids["ann"])
    path = f"/groups/{world.ids['staff']}/members/$ref"
    with pytest.raises(GraphError) as refused:
        perform(world.tenant, "POST", path, ref(world.ids["ann"]), context)
    assert refused.value.status == 404
    perform(world.tenant, "POST", path, ref(world.ids["bob"]), context)


def test_no_seat_left_is_refused(world: World) -> None:
    path = f"/users/{world.ids['ann']}"
    perform(world.tenant, "PATCH", path, {"usageLocation": "DE"})
    with pytest.raises(GraphError, match="available licenses"):
        perform(world.tenant, "POST", path + "/assignLicense", {
            "addLicenses": [{"skuId": SMALL_SKU, "disabledPlans": []}], "removeLicenses": [],
        })  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/users/{ann}", {"accountEnabled": False}),
        ("DELETE", "/users/{ann}", None),
    ],
)
def test_a_guarded_tenant_lets_only_administrators_touch_administrators(
    world: World, method: str, path: str, body: Any
) -> None:
    world.tenant.options.guard_privileged = True
    url, context = path.format(**world.ids), WriteContext(app_id=world.ids["appId"])
    with pytest.raises(GraphError) as refused:
        perform(world.tenant, method, url, body, context)
    assert (refused.value.status, refused.value.code) == (403, "Authorization_RequestDenied")
    perform(world.tenant, "PATCH", url, {"city": "Bonn"}, context)
    perform(world.tenant, method, path.format(ann=world.ids["bob"]), body, context)
    world.write(
        "POST",
        ASSIGN,
        {
            "principalId": world.ids["sp"],
            "roleDefinitionId": "7be44c8a-adaf-4e2a-84d6-ab2649e08a13",
            "directoryScopeId": "/",
        },
    )
    perform(world.tenant, method, url, body, context)


def test_a_guarded_tenant_lets_only_administrators_restore_administrators(world: World) -> None:
    world.write("DELETE", "/users/{ann}")
    world.tenant.options.guard_privileged = True
    with pytest.raises(GraphError) as refused:
        world.write("POST", "/directory/deletedItems/{ann}/restore")
    assert refused.value.status == 403


def test_an_unknown_operation_is_no_refusal_but_a_mistake(world: World) -> None:
    with pytest.raises(LookupError):
        perform(world.tenant, "PUT", "/users")
