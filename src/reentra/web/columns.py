"""Which properties of a kind stand in its list and first on an object's page. A table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, the properties it is made of, and how, when it is not just the first."""

    title: str
    properties: tuple[str, ...]
    read: Callable[[Mapping[str, Any]], Any] | None = None

    def value(self, properties: Mapping[str, Any]) -> Any:
        """Return what stands in it for an object."""
        return self.read(properties) if self.read else properties.get(self.properties[0])


# https://learn.microsoft.com/graph/api/resources/device
_JOIN_TYPES: Mapping[str, str] = {
    "AzureAd": "Microsoft Entra joined",
    "ServerAd": "Microsoft Entra hybrid joined",
    "Workplace": "Microsoft Entra registered",
}


def group_type(properties: Mapping[str, Any]) -> str:
    """Return what the admin centre calls a group."""
    if "Unified" in (properties.get("groupTypes") or ()):
        return "Microsoft 365"
    if properties.get("mailEnabled"):
        return "Mail-enabled security" if properties.get("securityEnabled") else "Distribution"
    return "Security"


def membership_type(properties: Mapping[str, Any]) -> str:
    """Return whether a rule decides who is in a group."""
    is_dynamic = "DynamicMembership" in (properties.get("groupTypes") or ())
    return "Dynamic" if is_dynamic else "Assigned"


def join_type(properties: Mapping[str, Any]) -> Any:
    """Return how a device belongs to the directory, as the admin centre says it."""
    trust = properties.get("trustType")
    return _JOIN_TYPES.get(trust, trust) if isinstance(trust, str) else trust


def scope_of(properties: Mapping[str, Any]) -> Any:
    """Return where a role holds; ``/`` is the whole directory."""
    scope = properties.get("directoryScopeId")
    return "The whole directory" if scope == "/" else scope


def _column(title: str, name: str) -> Column:
    return Column(title, (name,))


_ENABLED = _column("Enabled", "accountEnabled")
_DESCRIPTION = _column("Description", "description")
_APP_ID = _column("Client ID", "appId")
_STATE = _column("State", "state")

COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "user": (
        _column("User principal name", "userPrincipalName"),
        _column("Department", "department"),
        _ENABLED,
        _column("User type", "userType"),
    ),
    "group": (
        Column("Type", ("groupTypes", "mailEnabled", "securityEnabled"), group_type),
        Column("Membership", ("groupTypes",), membership_type),
        _column("Mail", "mail"),
    ),
    "application": (_APP_ID, _column("Supported accounts", "signInAudience")),
    "servicePrincipal": (_APP_ID, _column("Type", "servicePrincipalType"), _ENABLED),
    "device": (
        _column("Operating system", "operatingSystem"),
        _column("Version", "operatingSystemVersion"),
        Column("Join type", ("trustType",), join_type),
        _ENABLED,
    ),
    "administrativeUnit": (_DESCRIPTION, _column("Visibility", "visibility")),
    "unifiedRoleDefinition": (_column("Built in", "isBuiltIn"), _DESCRIPTION),
    "unifiedRoleAssignment": (
        _column("Role", "roleDefinitionId"),
        _column("Principal", "principalId"),
        Column("Scope", ("directoryScopeId",), scope_of),
    ),
    "appRoleAssignment": (
        _column("Principal", "principalId"),
        _column("Resource", "resourceId"),
    ),
    "oAuth2PermissionGrant": (
        _column("Client", "clientId"),
        _column("Resource", "resourceId"),
        _column("Consent", "consentType"),
        _column("Scope", "scope"),
    ),
    "conditionalAccessPolicy": (_STATE,),
    "namedLocation": (_column("Trusted", "isTrusted"),),
    "domain": (
        _column("Default", "isDefault"),
        _column("Verified", "isVerified"),
        _column("Authentication", "authenticationType"),
    ),
    "subscribedSku": (
        _column("Part number", "skuPartNumber"),
        _column("Status", "capabilityStatus"),
        _column("Used", "consumedUnits"),
    ),
    "authenticationMethodConfiguration": (_STATE,),
    "authenticationStrengthPolicy": (_column("Type", "policyType"), _DESCRIPTION),
    "authenticationContextClassReference": (
        _column("Available", "isAvailable"),
        _DESCRIPTION,
    ),
    "federatedIdentityCredential": (
        _column("Issuer", "issuer"),
        _column("Subject", "subject"),
    ),
    "extensionProperty": (
        _column("Application", "appDisplayName"),
        _column("Data type", "dataType"),
    ),
}

# What comes first on an object's page, beside its columns.
_ESSENTIALS: Mapping[str, tuple[Column, ...]] = {
    "user": (
        _column("Mail", "mail"),
        _column("Job title", "jobTitle"),
        _column("Created", "createdDateTime"),
        _column("Synchronised from on premises", "onPremisesSyncEnabled"),
    ),
    "group": (
        _DESCRIPTION,
        _column("Membership rule", "membershipRule"),
        _column("Role-assignable", "isAssignableToRole"),
        _column("Created", "createdDateTime"),
        _column("Synchronised from on premises", "onPremisesSyncEnabled"),
    ),
    "application": (
        _column("Publisher domain", "publisherDomain"),
        _column("Created", "createdDateTime"),
    ),
    "servicePrincipal": (
        _column("Publisher", "publisherName"),
        _column("Assignment required", "appRoleAssignmentRequired"),
    ),
    "device": (
        _column("Device ID", "deviceId"),
        _column("Compliant", "isCompliant"),
        _column("Managed", "isManaged"),
        _column("Last activity", "approximateLastSignInDateTime"),
    ),
    "conditionalAccessPolicy": (
        _column("Created", "createdDateTime"),
        _column("Modified", "modifiedDateTime"),
    ),
    "unifiedRoleDefinition": (_column("Enabled", "isEnabled"),),
}

# Objects that join others have no name of their own: these two name them.
_JOINS: Mapping[str, tuple[str, str]] = {
    "unifiedRoleAssignment": ("roleDefinitionId", "principalId"),
    "appRoleAssignment": ("principalId", "resourceId"),
    "oAuth2PermissionGrant": ("clientId", "resourceId"),
}


# What assignments are called, seen from the object in a property of theirs.
_ASSIGNED: Mapping[tuple[str, str], str] = {
    ("unifiedRoleAssignment", "principalId"): "Directory roles",
    ("unifiedRoleAssignment", "roleDefinitionId"): "Who has this role",
    ("unifiedRoleAssignment", "directoryScopeId"): "Directory roles over this",
    ("unifiedRoleEligibilitySchedule", "principalId"): "Directory roles, eligible",
    ("unifiedRoleEligibilitySchedule", "roleDefinitionId"): "Who is eligible for this role",
    ("unifiedRoleEligibilitySchedule", "directoryScopeId"): "Directory roles over this, eligible",
    ("appRoleAssignment", "principalId"): "App roles",
    ("appRoleAssignment", "resourceId"): "Users, groups and applications with an app role of this",
    ("oAuth2PermissionGrant", "clientId"): "Delegated permissions",
    ("oAuth2PermissionGrant", "resourceId"): "Delegated permissions that others have here",
    ("oAuth2PermissionGrant", "principalId"): "Delegated permissions for this user",
}
# The other ends, with what stands there when there is none.
_ENDS: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "unifiedRoleAssignment": (
        ("roleDefinitionId", "Role", "—"),
        ("principalId", "Principal", "—"),
        ("directoryScopeId", "Scope", "The whole directory"),
    ),
    "appRoleAssignment": (("principalId", "Principal", "—"), ("resourceId", "Resource", "—")),
    "oAuth2PermissionGrant": (
        ("clientId", "Client", "—"),
        ("resourceId", "Resource", "—"),
        ("principalId", "User", "All users"),
    ),
}
_GIVEN: Mapping[str, tuple[str, str]] = {
    "appRoleAssignment": ("App role", "Default access"),
    "oAuth2PermissionGrant": ("Permissions", "—"),
}


def assigned(kind: str, stands_in: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the table of assignments in which an object stands in one property."""
    ends = _ENDS.get(kind, _ENDS["unifiedRoleAssignment"])
    return {
        "title": _ASSIGNED.get((kind, stands_in), kind),
        "kind": kind,
        "ends": [end for end in ends if end[0] != stands_in],
        "given": _GIVEN.get(kind),
        "rows": rows,
    }


def columns_of(kind: str) -> tuple[Column, ...]:
    """Return the columns of a kind's list, beside the name and when it was modified."""
    return COLUMNS.get(kind, ())


def essentials_of(kind: str) -> tuple[Column, ...]:
    """Return what comes first on the page of an object."""
    return (*columns_of(kind), *_ESSENTIALS.get(kind, ()))


def properties_of(columns: Sequence[Column], kind: str) -> list[str]:
    """Return the properties that columns and the object's name are made of."""
    wanted = [name for column in columns for name in column.properties]
    return list(dict.fromkeys([*wanted, *_JOINS.get(kind, ())]))


def name_of(
    kind: str, display_name: str, properties: Mapping[str, Any], names: Mapping[str, Any]
) -> str:
    """Return what to call an object: its name, or what it joins."""
    if kind not in _JOINS:
        return display_name
    ends = [str(properties.get(name) or "") for name in _JOINS[kind]]
    said = [names[end.lower()]["display_name"] if end.lower() in names else end for end in ends]
    return " → ".join(said) if all(said) else display_name
