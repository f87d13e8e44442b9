"""What is kept of a tenant and never written: per kind, each property with what to do instead.

A table: the facts are those of the resource pages below learn.microsoft.com/graph/api/resources.
"""

from __future__ import annotations

from collections.abc import Mapping

_ON_PREMISES = "An on-premises directory sets it: restore it in Active Directory."
_SERVER = "Microsoft Entra sets it."
_EXCHANGE = "Exchange owns it: use Exchange Online PowerShell."
_SECRET = "Graph never shows secrets: add new ones, and give them to whoever uses them."
_FROM_APPLICATION = "It follows the application."

# Properties that only the service sets and that a restore has something to say about.
INSTEAD: Mapping[str, Mapping[str, str]] = {
    "user": {
        "assignedLicenses": (
            "Not as a property: a user's own licences are assigned and taken back by steps of "
            "their own; inherited ones follow their group."
        ),
        "licenseAssignmentStates": "It follows the licences.",
        "assignedPlans": "It follows the licences.",
        "provisionedPlans": "It follows the licences.",
        "passwordProfile": (
            "Only at creation: its flags, with the default password; passwords cannot be read."
        ),
        "lastPasswordChangeDateTime": "It changes when the password does.",
        "identities": "Sign-in names beside the userPrincipalName: add them by hand.",
        "proxyAddresses": f"It follows `mail`. {_EXCHANGE}",
        "imAddresses": "It follows `mail`.",
        "externalUserState": "The guest accepts the new invitation.",
        "externalUserStateChangeDateTime": "The guest accepts the new invitation.",
        "isManagementRestricted": "It follows the restricted administrative unit.",
        "signInSessionsValidFromDateTime": "It is about sessions of now.",
        "authorizationInfo": "Set certificate user ids again by hand.",
        "legalAgeGroupClassification": "It follows `ageGroup` and the consent.",
    },
    "group": {
        "assignedLicenses": "Not as a property: licences have steps of their own.",
        "licenseProcessingState": "It follows the licences.",
        "hasMembersWithLicenseErrors": "It follows the licences.",
        "assignedLabels": "Only a signed-in administrator may: set the label by hand.",
        "mail": _EXCHANGE,
        "proxyAddresses": _EXCHANGE,
        "renewedDateTime": "Renew the group.",
        "expirationDateTime": "It follows the group expiration policy.",
        "isArchived": "Archive the team in Teams.",
        "isManagementRestricted": "It follows the restricted administrative unit.",
        "onPremisesExtensionAttributes": _ON_PREMISES,
    },
    "application": {
        "appId": "A new application gets a new client id; what Reentra writes uses that.",
        "passwordCredentials": _SECRET,
        "keyCredentials": _SECRET,
        "publisherDomain": _SERVER,
        "verifiedPublisher": "Verify the publisher again in the Entra admin center.",
        "applicationTemplateId": _SERVER,
        "certification": _SERVER,
        "createdByAppId": _SERVER,
        "disabledByMicrosoftStatus": _SERVER,
        "uniqueName": "It can be set once: set it by hand.",
        "tokenEncryptionKeyId": "Choose a key again once it is uploaded.",
        "logo": "Upload it again by hand.",
    },
    "servicePrincipal": {
        "passwordCredentials": _SECRET,
        "keyCredentials": _SECRET,
        "appDisplayName": _FROM_APPLICATION,
        "appDescription": _FROM_APPLICATION,
        "appRoles": _FROM_APPLICATION,
        "oauth2PermissionScopes": _FROM_APPLICATION,
        "signInAudience": _FROM_APPLICATION,
        "servicePrincipalNames": _FROM_APPLICATION,
        "info": _FROM_APPLICATION,
        "verifiedPublisher": _FROM_APPLICATION,
        "customSecurityAttributes": "It is not read: it needs a permission of its own.",
    },
    "device": {
        "extensionAttributes": "It is not written.",
        "isCompliant": "Microsoft Intune sets it.",
        "isManaged": "Microsoft Intune sets it.",
        "managementType": "Microsoft Intune sets it.",
        "mdmAppId": "Microsoft Intune sets it.",
    },
    "authenticationStrengthPolicy": {
        "combinationConfigurations": (
            "Which keys and issuers count: set it again in the Entra admin center."
        ),
        "policyType": _SERVER,
        "requirementsSatisfied": "It follows the combinations.",
    },
    "conditionalAccessPolicy": {"templateId": _SERVER, "createdDateTime": _SERVER},
    "authenticationMethodsPolicy": {
        "authenticationMethodConfigurations": "Each method is an object of its own, below.",
    },
    "crossTenantAccessPolicyConfigurationDefault": {
        "isServiceDefault": "It follows the other settings.",
        "automaticUserConsentSettings": "Graph takes it for partners only.",
    },
    "crossTenantAccessPolicyConfigurationPartner": {
        "isInMultiTenantOrganization": "Join the multitenant organization again by hand.",
        "identitySynchronization": "It is not read: set it again by hand.",
    },
    "domain": {
        "isVerified": "Prove the domain by DNS.",
        "authenticationType": "Federate the domain again by hand.",
    },
    "unifiedRoleDefinition": {"isBuiltIn": _SERVER, "version": _SERVER},
    "groupSetting": {"displayName": "It follows the template."},
}


def instead_of(kind: str, name: str) -> str:
    """Return what to do about a property that a restore does not write."""
    told = INSTEAD.get(kind, {}).get(name)
    if told is not None:
        return told
    return _ON_PREMISES if name.startswith("onPremises") else _SERVER
