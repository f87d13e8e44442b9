"""Which types Graph v1.0 has, with their properties, relationships, default sets and write classes.

Types, nullability and enums come from the published metadata (data/schema.json). What the
metadata does not say (which properties only the service sets, which are fixed at creation, which
must be asked for by name) is curated here, per type, from the resource pages below
https://learn.microsoft.com/graph/api/resources/.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final


class Rule(enum.Enum):
    """Who may set a property, and when."""

    WRITABLE = "writable"
    CREATE_ONLY = "createOnly"
    SET_ONCE = "setOnce"
    READ_ONLY = "readOnly"
    DELEGATED_ONLY = "delegatedOnly"


@dataclass(frozen=True, slots=True)
class Property:
    """A structural property. ``element`` is the type without ``Collection()``.

    ``by_default`` says whether it is returned without $select; ``alone`` whether it is readable
    only for one object at a time.
    """

    name: str
    csdl_type: str
    element: str
    is_collection: bool
    is_nullable: bool
    rule: Rule
    is_required: bool
    by_default: bool
    alone: bool


@dataclass(frozen=True, slots=True)
class Navigation:
    """A relationship of a type."""

    name: str
    target: str
    is_collection: bool
    is_contained: bool


@dataclass(frozen=True, slots=True)
class EntityType:
    """A type with everything that it inherits."""

    name: str
    bases: tuple[str, ...]
    is_open: bool
    properties: Mapping[str, Property]
    navigations: Mapping[str, Navigation]
    default_select: tuple[str, ...]

    def knows(self, name: str) -> bool:
        """Say whether $select may name this: a property, a relationship, or ``id``."""
        return name == "id" or name in self.properties or name in self.navigations


@dataclass(frozen=True, slots=True)
class EnumType:
    """An enumeration; with ``is_flags`` several members may be joined by commas."""

    name: str
    members: frozenset[str]
    is_flags: bool


@dataclass(frozen=True, slots=True)
class BuiltInRole:
    """A role definition that every tenant has; its id is its template id."""

    id: str
    display_name: str


@dataclass(frozen=True, slots=True)
class GraphPermission:
    """A permission of the Microsoft Graph service principal: an app role or a scope."""

    id: str
    value: str
    is_application: bool


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Set by the service alone; id and deletedDateTime are so for every type.
READ_ONLY: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "user": _names(
            """assignedLicenses assignedPlans provisionedPlans licenseAssignmentStates
            createdDateTime creationType externalUserState externalUserStateChangeDateTime
            imAddresses isManagementRestricted isResourceAccount lastPasswordChangeDateTime
            legalAgeGroupClassification onPremisesDistinguishedName onPremisesDomainName
            onPremisesLastSyncDateTime onPremisesProvisioningErrors onPremisesSamAccountName
            onPremisesSecurityIdentifier onPremisesSyncEnabled onPremisesUserPrincipalName
            preferredName proxyAddresses securityIdentifier serviceProvisioningErrors
            signInActivity signInSessionsValidFromDateTime identityParentId"""
        ),
        "group": _names(
            """mail proxyAddresses securityIdentifier createdDateTime renewedDateTime
            expirationDateTime isArchived onPremisesDomainName onPremisesLastSyncDateTime
            onPremisesNetBiosName onPremisesProvisioningErrors onPremisesSamAccountName
            onPremisesSecurityIdentifier onPremisesSyncEnabled onPremisesExtensionAttributes
            licenseProcessingState hasMembersWithLicenseErrors serviceProvisioningErrors
            unseenCount unseenConversationsCount unseenMessagesCount isManagementRestricted
            assignedLicenses organizationId infoCatalogs"""
        ),
        "application": _names(
            """appId applicationTemplateId certification createdByAppId createdDateTime
            disabledByMicrosoftStatus publisherDomain samlMetadataUrl verifiedPublisher
            passwordCredentials logo"""
        ),
        "servicePrincipal": _names(
            """appDisplayName appDescription applicationTemplateId appOwnerOrganizationId appRoles
            oauth2PermissionScopes createdByAppId createdDateTime info servicePrincipalNames
            servicePrincipalType signInAudience verifiedPublisher disabledByMicrosoftStatus
            resourceSpecificApplicationPermissions passwordCredentials"""
        ),
        "device": _names(
            """alternativeSecurityIds approximateLastSignInDateTime complianceExpirationDateTime
            deviceCategory deviceId deviceMetadata deviceOwnership deviceVersion
            enrollmentProfileName enrollmentType isCompliant isManaged isManagementRestricted
            isRooted managementType manufacturer mdmAppId model onPremisesLastSyncDateTime
            onPremisesSecurityIdentifier onPremisesSyncEnabled physicalIds profileType
            registrationDateTime systemLabels trustType"""
        ),
        "conditionalAccessPolicy": frozenset(("createdDateTime", "modifiedDateTime", "templateId")),
        "namedLocation": frozenset(("createdDateTime", "modifiedDateTime")),
        "unifiedRoleDefinition": frozenset(("isBuiltIn", "resourceScopes")),
        "unifiedRoleAssignment": frozenset(("principalOrganizationId",)),
        "appRoleAssignment": frozenset(
            (
                "createdDateTime",
                "principalDisplayName",
                "principalType",
                "resourceDisplayName",
            )
        ),
        "groupSetting": frozenset(("displayName",)),
        "domain": _names(
            """authenticationType availabilityStatus isAdminManaged isInitial isRoot isVerified
            manufacturer model passwordNotificationWindowInDays passwordValidityPeriodInDays
            state"""
        ),
        "organization": _names(
            """assignedPlans businessPhones city country countryLetterCode createdDateTime
            defaultUsageLocation displayName mobileDeviceManagementAuthority
            onPremisesLastSyncDateTime onPremisesSyncEnabled partnerTenantType postalCode
            preferredLanguage provisionedPlans state street tenantType verifiedDomains"""
        ),
        "extensionProperty": frozenset(("appDisplayName", "isSyncedFromOnPremises")),
        "scopedRoleMembership": frozenset(("administrativeUnitId",)),
        "directoryRole": frozenset(("description", "displayName")),
        "invitation": frozenset(("inviteRedeemUrl", "status")),
        "authenticationStrengthPolicy": _names(
            """createdDateTime modifiedDateTime policyType requirementsSatisfied
            combinationConfigurations"""
        ),
        "adminConsentRequestPolicy": frozenset(("version",)),
        "deviceRegistrationPolicy": frozenset(("description", "displayName")),
        "authenticationMethodsPolicy": _names(
            """description displayName lastModifiedDateTime policyVersion
            authenticationMethodConfigurations"""
        ),
        "identitySecurityDefaultsEnforcementPolicy": frozenset(("description", "displayName")),
        "crossTenantAccessPolicyConfigurationDefault": frozenset(
            ("automaticUserConsentSettings", "isServiceDefault")
        ),
        "crossTenantAccessPolicyConfigurationPartner": frozenset(
            ("tenantId", "isInMultiTenantOrganization")
        ),
    }
)

CREATE_ONLY: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "group": _names(
            """isAssignableToRole resourceBehaviorOptions resourceProvisioningOptions mailEnabled
            preferredDataLocation"""
        ),
        "servicePrincipal": frozenset(("appId",)),
        "administrativeUnit": frozenset(("isMemberManagementRestricted", "visibility")),
        "unifiedRoleDefinition": frozenset(("templateId",)),
        "unifiedRoleAssignment": frozenset(
            (
                "roleDefinitionId",
                "principalId",
                "directoryScopeId",
                "appScopeId",
                "condition",
            )
        ),
        "oAuth2PermissionGrant": frozenset(
            ("clientId", "consentType", "principalId", "resourceId")
        ),
        "appRoleAssignment": frozenset(("principalId", "resourceId", "appRoleId")),
        "groupSetting": frozenset(("templateId",)),
        "federatedIdentityCredential": frozenset(("name",)),
        "extensionProperty": frozenset(("name", "dataType", "targetObjects", "isMultiValued")),
    }
)

SET_ONCE: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"group": frozenset(("uniqueName",)), "application": frozenset(("uniqueName",))}
)

# Only a signed-in user may write these. The SharePoint-backed ones are so as well.
SHAREPOINT_BACKED: Final = _names(
    """aboutMe birthday hireDate interests mySite pastProjects responsibilities schools
    skills"""
)
DELEGATED_ONLY: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"user": SHAREPOINT_BACKED, "group": frozenset(("assignedLabels",))}
)

REQUIRED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "user": (
            "accountEnabled", "displayName", "mailNickname", "passwordProfile",
            "userPrincipalName",
        ),
        "group": ("displayName", "mailEnabled", "mailNickname", "securityEnabled"),
        "application": ("displayName",),
        "servicePrincipal": ("appId",),
        "administrativeUnit": ("displayName",),
        "conditionalAccessPolicy": ("displayName", "state", "conditions"),
        "ipNamedLocation": ("displayName", "ipRanges"),
        "countryNamedLocation": ("displayName", "countriesAndRegions"),
        "unifiedRoleDefinition": ("displayName", "isEnabled", "rolePermissions"),
        "unifiedRoleAssignment": ("roleDefinitionId", "principalId"),
        "unifiedRoleEligibilityScheduleRequest": (
            "action", "principalId", "roleDefinitionId", "directoryScopeId",
        ),
        "oAuth2PermissionGrant": ("clientId", "consentType", "resourceId"),
        "appRoleAssignment": ("principalId", "resourceId", "appRoleId"),
        "groupSetting": ("templateId", "values"),
        "federatedIdentityCredential": ("name", "issuer", "subject", "audiences"),
        "extensionProperty": ("name", "dataType", "targetObjects"),
        "scopedRoleMembership": ("roleId", "roleMemberInfo"),
        "invitation": ("invitedUserEmailAddress", "inviteRedirectUrl"),
        "claimsMappingPolicy": ("definition", "displayName"),
        "tokenLifetimePolicy": ("definition", "displayName"),
        "tokenIssuancePolicy": ("definition", "displayName"),
        "homeRealmDiscoveryPolicy": ("definition", "displayName"),
        "activityBasedTimeoutPolicy": ("definition", "displayName"),
        "authenticationStrengthPolicy": ("displayName", "allowedCombinations"),
        "groupLifecyclePolicy": ("groupLifetimeInDays", "managedGroupTypes"),
        "adminConsentRequestPolicy": (
            "isEnabled", "notifyReviewers", "remindersEnabled", "reviewers",
        ),
        "deviceRegistrationPolicy": ("azureADJoin", "azureADRegistration"),
    }
)  # fmt: skip

# For these types only the listed properties come without $select.
DEFAULT_SELECT: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "user": (
            "businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone",
            "officeLocation", "preferredLanguage", "surname", "userPrincipalName",
        ),
    }
)  # fmt: skip

# For the others everything comes but these.
ASKED_BY_NAME: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "group": _names(
            """accessType allowExternalSenders assignedLabels assignedLicenses
            autoSubscribeNewMembers hasMembersWithLicenseErrors hideFromAddressLists
            hideFromOutlookClients infoCatalogs isArchived isFavorite isManagementRestricted
            isSubscribedByMail licenseProcessingState onPremisesExtensionAttributes organizationId
            uniqueName unseenConversationsCount unseenCount unseenMessagesCount
            welcomeMessageEnabled"""
        ),
        "application": frozenset(("authenticationBehaviors", "logo")),
        "servicePrincipal": frozenset(("customSecurityAttributes",)),
        "device": frozenset(("isManagementRestricted", "onPremisesSecurityIdentifier")),
    }
)

# Readable for a single object only; a list that names them is refused.
ALONE: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "user": SHAREPOINT_BACKED,
        "group": _names(
            """accessType allowExternalSenders autoSubscribeNewMembers hideFromAddressLists
            hideFromOutlookClients isFavorite isSubscribedByMail unseenConversationsCount
            unseenCount unseenMessagesCount"""
        ),
        "application": frozenset(("logo",)),
    }
)

NOT_IN_DELTA: Final = SHAREPOINT_BACKED | {"licenseAssignmentStates", "signInActivity"}
"""Properties whose change a user delta never reports."""


def element_of(csdl_type: str) -> tuple[str, bool]:
    """Return the type inside ``Collection()`` and whether there was one."""
    if csdl_type.startswith("Collection("):
        return csdl_type[11:-1], True
    return csdl_type, False


@cache
def _data() -> Any:
    text = resources.files(__package__).joinpath("data/schema.json").read_text(encoding="utf-8")
    return json.loads(text)


def is_complex(name: str) -> bool:
    """Say whether this names a declared type, complex or entity."""
    return name in _data()["types"]


def is_enum(name: str) -> bool:
    """Say whether this names an enumeration."""
    return name in _data()["enums"]


@cache
def enumeration(name: str) -> EnumType:
    """Return an enumeration by name."""
    raw = _data()["enums"][name]
    return EnumType(name, frozenset(raw["members"]), raw["flags"])


@cache
def derived_types(name: str) -> frozenset[str]:
    """Return the names of the types that derive from one, itself included."""
    types = _data()["types"]
    return frozenset(other for other in types if other == name or name in _bases(other))


def _bases(name: str) -> tuple[str, ...]:
    types, found = _data()["types"], []
    while (base := types[name].get("base")) is not None:
        found.append(base)
        name = base
    return tuple(found)


@cache
def entity(name: str) -> EntityType:
    """Return a type by its Graph name, complex types too.

    Raises:
        KeyError: the sandbox does not have it.
    """
    types = _data()["types"]
    bases = tuple(base for base in _bases(name) if base != "entity")
    lineage = (*reversed(bases), name)
    declared: dict[str, str] = {}
    links: dict[str, str] = {}
    for each in lineage:
        declared.update(types[each]["properties"])
        links.update(types[each].get("navigations", {}))
    if types[name]["kind"] == "entity":
        declared.pop("id", None)
    chosen = DEFAULT_SELECT.get(name)
    by_name = frozenset().union(*(ASKED_BY_NAME.get(each, frozenset()) for each in lineage))
    alone = frozenset().union(*(ALONE.get(each, frozenset()) for each in lineage))
    required = REQUIRED.get(name, ())
    properties = {}
    for prop, written in declared.items():
        csdl_type = written.rstrip("!")
        element, is_collection = element_of(csdl_type)
        by_default = prop in chosen if chosen is not None else prop not in by_name
        properties[prop] = Property(
            name=prop,
            csdl_type=csdl_type,
            element=element,
            is_collection=is_collection,
            is_nullable=not written.endswith("!"),
            rule=_rule(lineage, prop),
            is_required=prop in required,
            by_default=by_default,
            alone=prop in alone,
        )
    navigations = {}
    for nav, written in links.items():
        target, is_collection = element_of(written.rstrip("*"))
        navigations[nav] = Navigation(nav, target, is_collection, written.endswith("*"))
    # deletedDateTime is declared by the base and so comes first; Graph sends it near the front.
    default = ("id", *(prop for prop, known in properties.items() if known.by_default))
    return EntityType(
        name=name,
        bases=bases,
        is_open=any(types[each].get("open") for each in lineage),
        properties=MappingProxyType(properties),
        navigations=MappingProxyType(navigations),
        default_select=default,
    )


def _rule(lineage: Iterable[str], prop: str) -> Rule:
    if prop == "deletedDateTime":
        return Rule.READ_ONLY
    for each in lineage:
        for table, rule in (
            (READ_ONLY, Rule.READ_ONLY),
            (CREATE_ONLY, Rule.CREATE_ONLY),
            (SET_ONCE, Rule.SET_ONCE),
            (DELEGATED_ONLY, Rule.DELEGATED_ONLY),
        ):
            if prop in table.get(each, ()):
                return rule
    return Rule.WRITABLE


@cache
def builtin_roles() -> tuple[BuiltInRole, ...]:
    """Return the built-in role definitions of Entra ID."""
    text = resources.files(__package__).joinpath("data/builtin_roles.json").read_text("utf-8")
    return tuple(BuiltInRole(raw["id"], raw["displayName"]) for raw in json.loads(text))


@cache
def graph_permissions() -> tuple[GraphPermission, ...]:
    """Return the permissions that the Microsoft Graph service principal offers."""
    text = resources.files(__package__).joinpath("data/graph_permissions.json").read_text("utf-8")
    return tuple(
        GraphPermission(raw["id"], raw["value"], raw["kind"] == "Application")
        for raw in json.loads(text)
    )
