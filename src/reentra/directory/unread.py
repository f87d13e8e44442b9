"""What Microsoft Entra has and Reentra does not read: said, so that nobody takes it for protected.

Sources: learn.microsoft.com/graph/api/overview, the resource pages of the types named here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unread:
    """Something of a tenant that no backup holds. ``why`` also says what to do instead."""

    title: str
    where: str  # Graph's address of it
    why: str


_LATER = "Not built yet: export it with another tool."
_SECRET = "Graph does not hand it out, or no application may keep it: have a way to set it anew."
_METHODS = (
    "Most methods can only be registered by the person: after a user was created anew, hand out a"
    " Temporary Access Pass."
)

UNREAD: tuple[Unread, ...] = (
    Unread("Passwords, client secrets and private keys", "passwordCredentials, keyCredentials",
           _SECRET),
    Unread("Sign-in methods of users", "/users/{id}/authentication/methods", _METHODS),
    Unread("BitLocker keys", "/informationProtection/bitlocker/recoveryKeys",
           "They come from devices and cannot be written."),
    Unread("Local administrator passwords (LAPS)", "/directory/deviceLocalCredentials",
           "They come from devices and cannot be written."),
    Unread("Active role assignments that end (PIM)",
           "/roleManagement/directory/roleAssignmentSchedules",
           "Not built yet; permanent and eligible role assignments are backed up."),
    Unread("PIM for groups and the rules of PIM",
           "/identityGovernance/privilegedAccess/group, /policies/roleManagementPolicies", _LATER),
    Unread("Settings of a single group", "/groups/{id}/settings",
           "Not built yet; the settings of all groups are backed up."),
    Unread("Photos and logos", "/users/{id}/photo, /groups/{id}/photo, /applications/{id}/logo",
           _LATER),
    Unread("Company branding", "/organization/{id}/branding", _LATER),
    Unread("Custom security attributes", "/directory/customSecurityAttributeDefinitions", _LATER),
    Unread("Open and schema extensions", "/users/{id}/extensions, /schemaExtensions",
           "Not built yet; directory extensions and their values are backed up."),
    Unread("Certificate authorities for sign-in",
           "/organization/{id}/certificateBasedAuthConfiguration", _LATER),
    Unread("Federation of domains", "/domains/{id}/federationConfiguration", _LATER),
    Unread("Permission grant and app management policies",
           "/policies/permissionGrantPolicies, /policies/appManagementPolicies", _LATER),
    Unread("Identity providers, user flows and authentication events",
           "/identity/identityProviders, /identity/b2xUserFlows,"
           " /identity/authenticationEventListeners", _LATER),
    Unread("Provisioning jobs of enterprise applications",
           "/servicePrincipals/{id}/synchronization", "Their secrets cannot be read. " + _LATER),
    Unread("Application proxy", "/applications/{id}/onPremisesPublishing",
           "Graph has it in beta only. " + _LATER),
    Unread("Access packages, access reviews, lifecycle workflows, terms of use",
           "/identityGovernance", _LATER),
    Unread("Sign-in and audit logs", "/auditLogs",
           "They are a record, not a setting: send them to a log store."),
    Unread("Mail, files, chats and device management", "Exchange, SharePoint, Teams, Intune",
           "They are not part of the directory."),
)  # fmt: skip
