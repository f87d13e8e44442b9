"""Tables of what can be asked of properties: which $filter accepts, which need a permission."""

from __future__ import annotations

from collections.abc import Mapping

FILTERABLE: Mapping[str, frozenset[str]] = {
    "user": frozenset((
        "id", "accountEnabled", "ageGroup", "assignedLicenses", "assignedPlans",
        "businessPhones", "city", "companyName", "consentProvidedForMinor", "country",
        "createdDateTime", "creationType", "department", "displayName", "employeeHireDate",
        "employeeId", "employeeType", "externalUserState", "faxNumber", "givenName",
        "identities", "imAddresses", "jobTitle", "lastPasswordChangeDateTime", "mail",
        "mailNickname", "mobilePhone", "officeLocation", "onPremisesDistinguishedName",
        "onPremisesExtensionAttributes", "onPremisesImmutableId",
        "onPremisesLastSyncDateTime", "onPremisesSamAccountName",
        "onPremisesSecurityIdentifier", "onPremisesSyncEnabled", "otherMails",
        "passwordPolicies", "postalCode", "preferredLanguage", "proxyAddresses",
        "showInAddressList", "state", "streetAddress", "surname", "usageLocation",
        "userPrincipalName", "userType",
    )),
    "group": frozenset((
        "id", "assignedLicenses", "classification", "createdDateTime", "description",
        "displayName", "groupTypes", "hasMembersWithLicenseErrors", "isAssignableToRole",
        "mail", "mailEnabled", "mailNickname", "membershipRule",
        "membershipRuleProcessingState", "onPremisesLastSyncDateTime",
        "onPremisesSecurityIdentifier", "onPremisesSyncEnabled", "preferredLanguage",
        "proxyAddresses", "renewedDateTime", "securityEnabled", "securityIdentifier",
        "uniqueName", "visibility",
    )),
    "application": frozenset((
        "id", "appId", "createdDateTime", "description", "disabledByMicrosoftStatus",
        "displayName", "identifierUris", "info", "notes", "publisherDomain",
        "requiredResourceAccess", "signInAudience", "tags", "uniqueName",
    )),
    "servicePrincipal": frozenset((
        "id", "accountEnabled", "alternativeNames", "appDisplayName", "appId",
        "appOwnerOrganizationId", "appRoleAssignmentRequired", "createdByAppId",
        "description", "displayName", "homepage", "info", "preferredSingleSignOnMode",
        "publisherName", "servicePrincipalNames", "servicePrincipalType", "signInAudience",
        "tags",
    )),
    "device": frozenset((
        "id", "accountEnabled", "approximateLastSignInDateTime", "deviceCategory",
        "deviceId", "deviceOwnership", "displayName", "enrollmentProfileName",
        "isCompliant", "isManaged", "isRooted", "mdmAppId", "operatingSystem",
        "operatingSystemVersion", "onPremisesSyncEnabled", "physicalIds", "profileType",
        "registrationDateTime", "systemLabels", "trustType",
    )),
    "administrativeUnit": frozenset(("id", "description", "displayName", "membershipType")),
    "directoryRole": frozenset(("id", "displayName", "roleTemplateId")),
    "unifiedRoleDefinition": frozenset(
        ("id", "displayName", "description", "isBuiltIn", "isEnabled", "templateId")
    ),
    "unifiedRoleAssignment": frozenset(
        ("id", "principalId", "roleDefinitionId", "directoryScopeId", "appScopeId")
    ),
    "unifiedRoleEligibilitySchedule": frozenset(
        ("id", "principalId", "roleDefinitionId", "directoryScopeId", "appScopeId")
    ),
    "oAuth2PermissionGrant": frozenset(
        ("id", "clientId", "consentType", "principalId", "resourceId", "scope")
    ),
    "appRoleAssignment": frozenset(
        ("id", "appRoleId", "principalId", "resourceId", "principalDisplayName",
         "resourceDisplayName", "principalType")
    ),
    "conditionalAccessPolicy": frozenset(
        ("id", "displayName", "state", "createdDateTime", "modifiedDateTime", "templateId",
         "conditions", "grantControls", "sessionControls")
    ),
    "namedLocation": frozenset(
        ("id", "displayName", "createdDateTime", "modifiedDateTime", "isTrusted")
    ),
    "federatedIdentityCredential": frozenset(("id", "name", "issuer", "subject")),
    "directoryObject": frozenset(("id", "displayName", "userPrincipalName", "mail", "appId",
                                  "deletedDateTime")),
}  # fmt: skip
"""What $filter accepts, by type; the directory refuses the rest."""

GUARDED: Mapping[str, frozenset[str]] = {
    "signInActivity": frozenset(("AuditLog.Read.All",)),
    "customSecurityAttributes": frozenset(
        ("CustomSecAttributeAssignment.Read.All", "CustomSecAttributeAssignment.ReadWrite.All")
    ),
    "employeeLeaveDateTime": frozenset(
        ("User-LifeCycleInfo.Read.All", "User-LifeCycleInfo.ReadWrite.All")
    ),
}
"""Properties whose reading needs one of these permissions besides the type's own."""
