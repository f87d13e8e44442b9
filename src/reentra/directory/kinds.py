"""The table of kinds: one row per Microsoft Graph resource type.

A row says where a kind is read and written, which of its properties may be written, which hold
other objects' ids, and which change without anybody's doing. It is a table: it may be long.

Sources of the facts: learn.microsoft.com/graph/api (the resource pages and the create and update
pages of each type), learn.microsoft.com/graph/delta-query-overview and
learn.microsoft.com/graph/permissions-reference. A property that no row names is kept in backups
and never written.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass


class IdForm(enum.Enum):
    """What kind of identifier a reference holds."""

    OBJECT_ID = "id"
    APP_ID = "appId"  # the client id of an application, shared by its service principals
    SCOPE = "scope"  # `/`, `/administrativeUnits/{id}` or `/{id}`
    APP_URI = "app_uri"  # `api://{appId}` and what follows
    TEXT = "text"  # ids and names of directory extensions anywhere in a text: rules
    EXTENSION = "extension"  # the name of a directory extension, which holds a client id


@dataclass(frozen=True, slots=True)
class Reference:
    """A place in a body that names another object.

    ``pointer`` is a path with ``*`` for every item of a list or object. ``kinds`` are the kinds it
    may name (empty: any). ``is_required`` means that Graph refuses the object when the target is
    missing.
    """

    pointer: str
    kinds: tuple[str, ...]
    form: IdForm = IdForm.OBJECT_ID
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class ObjectKind:
    """One row of the table."""

    name: str
    title: str
    list_path: str
    phase: int  # order of creation: what is referred to has the smaller number
    delta_path: str = ""
    delta_properties: tuple[str, ...] = ()  # relationships to name in the delta's $select
    select: tuple[str, ...] = ()  # sent as $select; empty where all is returned without
    supplement: tuple[str, ...] = ()  # to be asked for by name in a list call of its own
    per_source_of: str = ""  # listed once for each object of this kind, at list_path's {id}
    source_property: str = ""  # of a per-source kind: names the source; part of its address
    is_owned: bool = False  # a part of its source: Graph does not say whose, the reader notes it
    has_extensions: bool = False  # takes values of directory extensions: extension_{appId}_{name}
    writable: frozenset[str] = frozenset()  # by create and by update
    create_only: frozenset[str] = frozenset()
    update_only: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()  # without these Graph creates nothing
    volatile: frozenset[str] = frozenset()  # changes by itself: kept, not counted as a change
    synced_writable: frozenset[str] = frozenset()  # still writable on on-premises-synced objects
    ordered: frozenset[str] = frozenset()  # lists whose order means something
    case_insensitive: frozenset[str] = frozenset()
    word_sets: frozenset[str] = frozenset()  # sets that are written as one text with spaces
    references: tuple[Reference, ...] = ()
    natural_key: tuple[str, ...] = ()
    title_property: str = "displayName"
    is_settings: bool = False
    settings_of: str = ""  # the kind whose settings they are; empty: the tenant's
    is_singleton: bool = False
    is_link: bool = False  # joins other objects and has nothing of its own
    can_create: bool = True
    can_update: bool = True
    can_delete: bool = True
    has_recycle_bin: bool = False
    own_bin: str = ""  # a recycle bin beside the directory's, where the cloud has it
    is_only_one: bool = False  # a tenant has one at most: whichever is there, it is it
    embedded_in: str = ""  # property of list_path's answer that holds them all
    id_property: str = "id"
    is_upserted: bool = False  # created by PATCH at its own address, under the id that it had
    is_replaced: bool = False  # an update is a PUT of the whole object
    actions: tuple[tuple[str, str], ...] = ()  # property, and the action that alone writes it
    is_typed: bool = False  # every write has to say its @odata.type
    takes_top: bool = False  # its list takes $top: learn.microsoft.com/graph/paging
    create_path: str = ""  # where it differs from list_path
    object_path: str = ""  # where it differs from {list_path}/{id}
    licence: str = ""  # without it a tenant has none of these, which is no hole in a backup
    reason: str = ""  # why something cannot be done, and what to do instead
    read_permissions: tuple[str, ...] = ()
    write_permissions: tuple[str, ...] = ()
    odata_type: str = ""

    def path_of(self, object_id: str) -> str:
        """Return the path of one object below the version root."""
        if self.is_singleton and not self.object_path:
            return self.list_path
        return (self.object_path or self.list_path + "/{id}").replace("{id}", object_id)

    def may_create(self, name: str) -> bool:
        """Tell whether a creation may set the property ``name``."""
        return name in self.writable or name in self.create_only or self._is_extension(name)

    def may_update(self, name: str) -> bool:
        """Tell whether an update may set the property ``name``."""
        return name in self.writable or name in self.update_only or self._is_extension(name)

    def _is_extension(self, name: str) -> bool:
        return self.has_extensions and is_extension_name(name)


_EXTENSION_NAME = re.compile(r"extension_([0-9a-fA-F]{32})_\w+")


def is_extension_name(name: str) -> bool:
    """Tell whether a property is the value of a directory extension.

    Source: learn.microsoft.com/graph/extensibility-overview.
    """
    return name.startswith("extension_") and _EXTENSION_NAME.fullmatch(name) is not None


def extension_app_id(name: str) -> str:
    """Return the client id, in its usual form, that the name of a directory extension holds."""
    match = _EXTENSION_NAME.fullmatch(name)
    digits = match[1].lower() if match else ""
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def own_extension_name(name: str) -> str:
    """Return the part of a directory extension's name that its creator chose.

    Graph puts ``extension_{appId}_`` before it
    (learn.microsoft.com/graph/api/application-post-extensionproperty).
    """
    return name[len("extension_") + 33 :] if is_extension_name(name) else name


_ON_PREMISES = frozenset({"onPremisesLastSyncDateTime"})
_APP_PRINCIPALS = ("user", "group", "servicePrincipal")
# What makes somebody hold a role, or be eligible for it: who, which, and where.
_ROLE_KEY = ("principalId", "roleDefinitionId", "directoryScopeId", "appScopeId")
_ROLE_REFERENCES = (
    Reference("principalId", _APP_PRINCIPALS, is_required=True),
    Reference("roleDefinitionId", ("unifiedRoleDefinition",), is_required=True),
    Reference(
        "directoryScopeId", ("administrativeUnit", "application", "servicePrincipal"), IdForm.SCOPE
    ),
)


def _targets(*pointers: str) -> tuple[Reference, ...]:
    """Return the places of sign-in method policies that name groups and users."""
    return tuple(Reference(pointer, ("group", "user"), is_required=True) for pointer in pointers)


def _access_references() -> tuple[Reference, ...]:
    """Return the places of other tenants' access that name users, groups and applications."""
    found = []
    for name in _ACCESS_SETTINGS:
        found.append(Reference(f"{name}/usersAndGroups/targets/*/target", ("group", "user")))
        found.append(
            Reference(f"{name}/applications/targets/*/target", ("application",), IdForm.APP_ID)
        )
    return tuple(found)


_ACCESS_SETTINGS = (
    "b2bCollaborationInbound", "b2bCollaborationOutbound", "b2bDirectConnectInbound",
    "b2bDirectConnectOutbound", "tenantRestrictions",
)  # fmt: skip


def _token_policy(name: str, title: str, path: str, phase: int) -> ObjectKind:
    """Return the row of one of the kinds that derive from ``stsPolicy``: they are alike."""
    return ObjectKind(
        name=name,
        title=title,
        list_path=path,
        phase=phase,
        writable=frozenset({"definition", "description", "displayName", "isOrganizationDefault"}),
        required=frozenset({"definition", "displayName"}),
        ordered=frozenset({"definition"}),
        references=(Reference("definition/*", (), IdForm.TEXT),),
        read_permissions=("Policy.Read.All",),
        write_permissions=("Policy.ReadWrite.ApplicationConfiguration",),
    )


_ROWS = (
    ObjectKind(
        name="user",
        title="Users",
        list_path="/users",
        phase=40,
        delta_path="/users/delta",
        delta_properties=("manager",),
        # Without $select Graph returns eleven properties. Left out: those that live in SharePoint
        # (lists refuse them) and those that need a further permission to be read at all.
        select=(
            "id", "accountEnabled", "ageGroup", "assignedLicenses", "assignedPlans",
            "authorizationInfo", "businessPhones", "city", "companyName",
            "consentProvidedForMinor", "country", "createdDateTime", "creationType",
            "department", "displayName", "employeeHireDate", "employeeId", "employeeOrgData",
            "employeeType", "externalUserState", "externalUserStateChangeDateTime", "faxNumber",
            "givenName", "identities", "imAddresses", "isManagementRestricted",
            "isResourceAccount", "jobTitle", "lastPasswordChangeDateTime",
            "legalAgeGroupClassification", "licenseAssignmentStates", "mail", "mailNickname",
            "mobilePhone", "officeLocation", "onPremisesDistinguishedName",
            "onPremisesDomainName", "onPremisesExtensionAttributes", "onPremisesImmutableId",
            "onPremisesLastSyncDateTime", "onPremisesProvisioningErrors",
            "onPremisesSamAccountName", "onPremisesSecurityIdentifier", "onPremisesSyncEnabled",
            "onPremisesUserPrincipalName", "otherMails", "passwordPolicies", "passwordProfile",
            "postalCode", "preferredDataLocation", "preferredLanguage", "preferredName",
            "provisionedPlans", "proxyAddresses", "securityIdentifier",
            "serviceProvisioningErrors", "showInAddressList", "signInSessionsValidFromDateTime",
            "state", "streetAddress", "surname", "usageLocation", "userPrincipalName", "userType",
        ),
        writable=frozenset({
            "accountEnabled", "ageGroup", "businessPhones", "city", "companyName",
            "consentProvidedForMinor", "country", "department", "displayName",
            "employeeHireDate", "employeeId", "employeeOrgData", "employeeType", "faxNumber",
            "givenName", "jobTitle", "mail", "mailNickname", "mobilePhone", "officeLocation",
            "onPremisesExtensionAttributes", "onPremisesImmutableId", "otherMails",
            "passwordPolicies", "postalCode", "preferredDataLocation", "preferredLanguage",
            "showInAddressList", "state", "streetAddress", "surname", "usageLocation",
            "userPrincipalName", "userType",
        }),
        required=frozenset({
            "accountEnabled", "displayName", "mailNickname", "userPrincipalName",
        }),
        volatile=_ON_PREMISES | {
            "signInSessionsValidFromDateTime", "refreshTokensValidFromDateTime",
            "signInActivity", "assignedPlans", "provisionedPlans", "lastPasswordChangeDateTime",
            "licenseAssignmentStates", "serviceProvisioningErrors", "passwordProfile",
            "externalUserStateChangeDateTime",
        },
        synced_writable=frozenset({"usageLocation", "passwordPolicies"}),
        case_insensitive=frozenset({"userPrincipalName", "mail"}),
        natural_key=("userPrincipalName",),
        has_recycle_bin=True,
        reason="",
        has_extensions=True,
        takes_top=True,
        read_permissions=("User.Read.All",),
        write_permissions=(
            "User.ReadWrite.All", "User.DeleteRestore.All", "User.EnableDisableAccount.All",
            "User.Invite.All", "LicenseAssignment.ReadWrite.All",
        ),
        odata_type="#microsoft.graph.user",
    ),
    ObjectKind(
        name="group",
        title="Groups",
        list_path="/groups",
        phase=50,
        delta_path="/groups/delta",
        delta_properties=("members", "owners"),
        select=(
            "id", "assignedLabels", "assignedLicenses", "classification", "createdDateTime",
            "description", "displayName", "expirationDateTime", "groupTypes",
            "hasMembersWithLicenseErrors", "isArchived", "isAssignableToRole",
            "isManagementRestricted", "licenseProcessingState", "mail", "mailEnabled",
            "mailNickname", "membershipRule", "membershipRuleProcessingState",
            "onPremisesDomainName", "onPremisesExtensionAttributes",
            "onPremisesLastSyncDateTime", "onPremisesNetBiosName",
            "onPremisesProvisioningErrors", "onPremisesSamAccountName",
            "onPremisesSecurityIdentifier", "onPremisesSyncEnabled", "preferredDataLocation",
            "preferredLanguage", "proxyAddresses", "renewedDateTime", "resourceBehaviorOptions",
            "resourceProvisioningOptions", "securityEnabled", "securityIdentifier",
            "serviceProvisioningErrors", "theme", "uniqueName", "visibility",
        ),
        writable=frozenset({
            "classification", "description", "displayName", "mailNickname", "membershipRule",
            "membershipRuleProcessingState", "preferredLanguage", "securityEnabled", "theme",
            "visibility", "groupTypes",
        }),
        create_only=frozenset({
            "isAssignableToRole", "mailEnabled", "preferredDataLocation",
            "resourceBehaviorOptions", "resourceProvisioningOptions", "uniqueName",
        }),
        required=frozenset({"displayName", "mailEnabled", "mailNickname", "securityEnabled"}),
        volatile=_ON_PREMISES | {
            "renewedDateTime", "expirationDateTime", "licenseProcessingState",
            "hasMembersWithLicenseErrors", "serviceProvisioningErrors",
        },
        references=(Reference("membershipRule", (), IdForm.TEXT),),
        has_recycle_bin=True,
        has_extensions=True,
        takes_top=True,
        read_permissions=("Group.Read.All",),
        write_permissions=("Group.ReadWrite.All",),
        odata_type="#microsoft.graph.group",
    ),
    ObjectKind(
        name="application",
        title="App registrations",
        list_path="/applications",
        phase=30,
        delta_path="/applications/delta",
        supplement=("authenticationBehaviors",),
        writable=frozenset({
            "addIns", "api", "appRoles", "authenticationBehaviors", "defaultRedirectUri",
            "description", "displayName", "groupMembershipClaims", "identifierUris", "info",
            "isDeviceOnlyAuthSupported", "isFallbackPublicClient",
            "nativeAuthenticationApisEnabled", "notes", "oauth2RequirePostResponse",
            "optionalClaims", "parentalControlSettings", "publicClient",
            "requestSignatureVerification", "requiredResourceAccess",
            "serviceManagementReference", "servicePrincipalLockConfiguration",
            "signInAudience", "spa", "tags", "web",
        }),
        required=frozenset({"displayName"}),
        references=(
            Reference("identifierUris/*", ("application",), IdForm.APP_URI),
            Reference("requiredResourceAccess/*/resourceAppId", ("application",), IdForm.APP_ID),
            Reference("api/preAuthorizedApplications/*/appId", ("application",), IdForm.APP_ID),
            Reference("api/knownClientApplications/*", ("application",), IdForm.APP_ID),
            Reference("optionalClaims/*/*/name", (), IdForm.TEXT),
            Reference("optionalClaims/*/*/source", (), IdForm.TEXT),
        ),
        has_recycle_bin=True,
        has_extensions=True,
        takes_top=True,
        read_permissions=("Application.Read.All",),
        write_permissions=("Application.ReadWrite.All",),
        odata_type="#microsoft.graph.application",
    ),
    ObjectKind(
        name="federatedIdentityCredential",
        title="Federated credentials",
        list_path="/applications/{id}/federatedIdentityCredentials",
        phase=32,
        per_source_of="application",
        source_property="applicationId",
        is_owned=True,
        writable=frozenset({"audiences", "description", "issuer", "subject"}),
        create_only=frozenset({"applicationId", "name"}),
        required=frozenset({"applicationId", "name", "issuer", "audiences"}),
        references=(
            Reference("applicationId", ("application",), is_required=True),
            Reference("subject", (), IdForm.TEXT),
        ),
        natural_key=("applicationId", "name"),
        title_property="name",
        is_link=True,
        create_path="/applications/{applicationId}/federatedIdentityCredentials",
        object_path="/applications/{applicationId}/federatedIdentityCredentials/{id}",
        read_permissions=("Application.Read.All",),
        write_permissions=("Application.ReadWrite.All",),
    ),
    ObjectKind(
        name="extensionProperty",
        title="Directory extensions",
        list_path="/applications/{id}/extensionProperties",
        phase=31,
        per_source_of="application",
        source_property="applicationId",
        is_owned=True,
        create_only=frozenset({
            "applicationId", "dataType", "isMultiValued", "name", "targetObjects",
        }),
        required=frozenset({"applicationId", "dataType", "name", "targetObjects"}),
        volatile=frozenset({"appDisplayName"}),
        references=(
            Reference("applicationId", ("application",), is_required=True),
            Reference("name", (), IdForm.EXTENSION),
        ),
        natural_key=("applicationId", "name"),
        title_property="name",
        is_link=True,
        can_update=False,
        create_path="/applications/{applicationId}/extensionProperties",
        object_path="/applications/{applicationId}/extensionProperties/{id}",
        read_permissions=("Application.Read.All",),
        write_permissions=("Application.ReadWrite.All",),
    ),
    ObjectKind(
        name="servicePrincipal",
        title="Enterprise applications",
        list_path="/servicePrincipals",
        phase=70,
        delta_path="/servicePrincipals/delta",
        writable=frozenset({
            "accountEnabled", "alternativeNames", "appRoleAssignmentRequired", "description",
            "homepage", "loginUrl", "logoutUrl", "notes", "notificationEmailAddresses",
            "preferredSingleSignOnMode", "replyUrls", "samlSingleSignOnSettings", "tags",
        }),
        create_only=frozenset({"appId"}),
        required=frozenset({"appId"}),
        references=(
            Reference("appId", ("application",), IdForm.APP_ID, is_required=True),
            Reference("servicePrincipalNames/*", ("application",), IdForm.APP_URI),
        ),
        has_recycle_bin=True,
        reason=(
            "A managed identity lives and dies with its Azure resource: create the resource "
            "again, then its assignments can be restored."
        ),
        takes_top=True,
        read_permissions=("Application.Read.All",),
        write_permissions=("Application.ReadWrite.All",),
        odata_type="#microsoft.graph.servicePrincipal",
    ),
    ObjectKind(
        name="device",
        title="Devices",
        list_path="/devices",
        phase=80,
        delta_path="/devices/delta",
        select=(
            "id", "accountEnabled", "alternativeSecurityIds", "approximateLastSignInDateTime",
            "complianceExpirationDateTime", "deviceCategory", "deviceId", "deviceMetadata",
            "deviceOwnership", "deviceVersion", "displayName", "enrollmentProfileName",
            "enrollmentType", "isCompliant", "isManaged", "isManagementRestricted", "isRooted",
            "managementType", "manufacturer", "mdmAppId", "model", "onPremisesLastSyncDateTime",
            "onPremisesSecurityIdentifier", "onPremisesSyncEnabled", "operatingSystem",
            "operatingSystemVersion", "physicalIds", "profileType", "registrationDateTime",
            "systemLabels", "trustType",
        ),
        update_only=frozenset({"accountEnabled", "displayName"}),
        volatile=_ON_PREMISES | {
            "approximateLastSignInDateTime", "complianceExpirationDateTime",
        },
        can_create=False,
        reason=(
            "Graph cannot create a device for an application: joining creates its keys. "
            "Join or register the device again."
        ),
        has_extensions=True,
        takes_top=True,
        read_permissions=("Device.Read.All",),
        write_permissions=("Device.ReadWrite.All",),
        odata_type="#microsoft.graph.device",
    ),
    ObjectKind(
        name="administrativeUnit",
        title="Administrative units",
        list_path="/directory/administrativeUnits",
        phase=90,
        delta_path="/directory/administrativeUnits/delta",
        delta_properties=("members",),
        select=(
            "id", "description", "displayName", "isMemberManagementRestricted",
            "membershipRule", "membershipRuleProcessingState", "membershipType", "visibility",
        ),
        writable=frozenset({
            "description", "displayName", "membershipRule", "membershipRuleProcessingState",
            "membershipType",
        }),
        create_only=frozenset({"isMemberManagementRestricted", "visibility"}),
        required=frozenset({"displayName"}),
        references=(Reference("membershipRule", (), IdForm.TEXT),),
        has_recycle_bin=True,
        has_extensions=True,
        takes_top=True,
        read_permissions=("AdministrativeUnit.Read.All",),
        write_permissions=("AdministrativeUnit.ReadWrite.All",),
        odata_type="#microsoft.graph.administrativeUnit",
    ),
    ObjectKind(
        name="unifiedRoleDefinition",
        title="Roles",
        list_path="/roleManagement/directory/roleDefinitions",
        phase=110,
        writable=frozenset({"description", "displayName", "isEnabled", "rolePermissions"}),
        create_only=frozenset({"templateId"}),
        required=frozenset({"displayName", "isEnabled", "rolePermissions"}),
        reason="Built-in roles belong to Microsoft and cannot be written.",
        read_permissions=("RoleManagement.Read.Directory",),
        write_permissions=("RoleManagement.ReadWrite.Directory",),
    ),
    ObjectKind(
        name="unifiedRoleAssignment",
        title="Role assignments",
        list_path="/roleManagement/directory/roleAssignments",
        phase=115,
        create_only=frozenset({
            "principalId", "roleDefinitionId", "directoryScopeId", "appScopeId",
        }),
        required=frozenset({"principalId", "roleDefinitionId"}),
        references=_ROLE_REFERENCES,
        natural_key=_ROLE_KEY,
        title_property="",
        is_link=True,
        can_update=False,
        read_permissions=("RoleManagement.Read.Directory",),
        write_permissions=("RoleManagement.ReadWrite.Directory",),
    ),
    ObjectKind(
        # learn.microsoft.com/graph/api/resources/unifiedroleeligibilityschedule: made by a request
        # to PIM, which needs Entra ID P2.
        name="unifiedRoleEligibilitySchedule",
        title="Eligible role assignments",
        list_path="/roleManagement/directory/roleEligibilitySchedules",
        create_path="/roleManagement/directory/roleEligibilityScheduleRequests",
        phase=116,
        create_only=frozenset({
            "principalId", "roleDefinitionId", "directoryScopeId", "appScopeId", "scheduleInfo",
        }),
        required=frozenset({"principalId", "roleDefinitionId", "directoryScopeId"}),
        volatile=frozenset({"createdDateTime", "createdUsing", "modifiedDateTime", "status"}),
        references=_ROLE_REFERENCES,
        natural_key=_ROLE_KEY,
        title_property="",
        is_link=True,
        can_update=False,
        licence="Microsoft Entra ID P2",
        reason="How long somebody is eligible is changed in Privileged Identity Management.",
        read_permissions=("RoleManagement.Read.Directory",),
        write_permissions=("RoleManagement.ReadWrite.Directory",),
    ),
    ObjectKind(
        name="namedLocation",
        title="Named locations",
        list_path="/identity/conditionalAccess/namedLocations",
        phase=120,
        writable=frozenset({
            "@odata.type", "displayName", "isTrusted", "ipRanges", "countriesAndRegions",
            "countryLookupMethod", "includeUnknownCountriesAndRegions",
        }),
        required=frozenset({"@odata.type", "displayName"}),
        volatile=frozenset({"modifiedDateTime"}),
        own_bin="/identity/conditionalAccess/deletedItems/namedLocations",
        is_typed=True,
        read_permissions=("Policy.Read.All",),
        write_permissions=("Policy.Read.All", "Policy.ReadWrite.ConditionalAccess"),
    ),
    ObjectKind(
        name="appRoleAssignment",
        title="App role assignments",
        list_path="/servicePrincipals/{id}/appRoleAssignedTo",
        phase=130,
        per_source_of="servicePrincipal",
        source_property="resourceId",
        create_only=frozenset({"principalId", "resourceId", "appRoleId"}),
        required=frozenset({"principalId", "resourceId", "appRoleId"}),
        # Copies of other objects' names: they change when those are renamed.
        volatile=frozenset({"principalDisplayName", "resourceDisplayName"}),
        references=(
            Reference("principalId", _APP_PRINCIPALS, is_required=True),
            Reference("resourceId", ("servicePrincipal",), is_required=True),
        ),
        natural_key=("principalId", "resourceId", "appRoleId"),
        title_property="principalDisplayName",
        is_link=True,
        can_update=False,
        create_path="/servicePrincipals/{resourceId}/appRoleAssignedTo",
        object_path="/servicePrincipals/{resourceId}/appRoleAssignedTo/{id}",
        read_permissions=("Application.Read.All",),
        write_permissions=("AppRoleAssignment.ReadWrite.All", "Application.Read.All"),
    ),
    ObjectKind(
        name="oAuth2PermissionGrant",
        title="Delegated permission grants",
        list_path="/oauth2PermissionGrants",
        phase=131,
        delta_path="/oauth2PermissionGrants/delta",
        writable=frozenset({"scope"}),
        word_sets=frozenset({"scope"}),
        create_only=frozenset({"clientId", "consentType", "principalId", "resourceId"}),
        required=frozenset({"clientId", "consentType", "resourceId"}),
        references=(
            Reference("clientId", ("servicePrincipal",), is_required=True),
            Reference("resourceId", ("servicePrincipal",), is_required=True),
            Reference("principalId", ("user",), is_required=True),
        ),
        natural_key=("clientId", "consentType", "principalId", "resourceId"),
        title_property="",
        is_link=True,
        takes_top=True,
        read_permissions=("Directory.Read.All",),
        write_permissions=("DelegatedPermissionGrant.ReadWrite.All",),
    ),
    ObjectKind(
        name="subscribedSku",
        title="Licences",
        list_path="/subscribedSkus",
        phase=5,
        volatile=frozenset({"consumedUnits"}),
        title_property="skuPartNumber",
        is_settings=True,
        can_create=False,
        can_update=False,
        can_delete=False,
        reason="What a tenant has bought cannot be written through Graph.",
        read_permissions=("LicenseAssignment.Read.All",),
    ),
    ObjectKind(
        name="domain",
        title="Domains",
        list_path="/domains",
        phase=10,
        update_only=frozenset({"isDefault", "supportedServices"}),
        volatile=frozenset({"state"}),
        title_property="id",
        is_settings=True,
        can_create=False,
        can_delete=False,
        reason="A domain must be proved by DNS: add and verify it in the admin centre.",
        read_permissions=("Domain.Read.All",),
        write_permissions=("Domain.ReadWrite.All",),
    ),
    ObjectKind(
        name="organization",
        title="Organization",
        list_path="/organization",
        phase=150,
        update_only=frozenset({
            "marketingNotificationEmails", "technicalNotificationMails",
            "securityComplianceNotificationMails", "securityComplianceNotificationPhones",
            "privacyProfile",
        }),
        volatile=_ON_PREMISES | {"directorySizeQuota", "assignedPlans", "provisionedPlans"},
        is_settings=True,
        is_only_one=True,
        can_create=False,
        can_delete=False,
        reason="The organization is the tenant itself: it can be put back, not created.",
        read_permissions=("Organization.Read.All",),
        write_permissions=("Organization.ReadWrite.All",),
    ),
    ObjectKind(
        name="authorizationPolicy",
        title="User settings",
        list_path="/policies/authorizationPolicy",
        phase=151,
        update_only=frozenset({
            "allowEmailVerifiedUsersToJoinOrganization", "allowInvitesFrom",
            "allowUserConsentForRiskyApps", "allowedToSignUpEmailBasedSubscriptions",
            "allowedToUseSSPR", "blockMsolPowerShell", "defaultUserRolePermissions",
            "description", "displayName", "guestUserRoleId",
        }),
        is_settings=True,
        settings_of="user",
        is_singleton=True,
        can_create=False,
        can_delete=False,
        reason="There is one authorization policy: it can be put back, not created.",
        read_permissions=("Policy.Read.All",),
        write_permissions=("Policy.ReadWrite.Authorization",),
    ),
    ObjectKind(
        name="groupSetting",
        title="Group settings",
        list_path="/groupSettings",
        phase=152,
        writable=frozenset({"values"}),
        create_only=frozenset({"templateId"}),
        required=frozenset({"templateId", "values"}),
        references=(Reference("values/*/value", ("group",)),),
        natural_key=("templateId",),
        is_settings=True,
        settings_of="group",
        read_permissions=("GroupSettings.Read.All",),
        write_permissions=("GroupSettings.ReadWrite.All",),
    ),
    _token_policy(
        "claimsMappingPolicy", "Claims mapping policies", "/policies/claimsMappingPolicies", 72
    ),
    _token_policy(
        "tokenLifetimePolicy", "Token lifetime policies", "/policies/tokenLifetimePolicies", 73
    ),
    _token_policy(
        "tokenIssuancePolicy", "Token issuance policies", "/policies/tokenIssuancePolicies", 74
    ),
    _token_policy(
        "homeRealmDiscoveryPolicy", "Home realm discovery policies",
        "/policies/homeRealmDiscoveryPolicies", 75,
    ),
    _token_policy(
        "activityBasedTimeoutPolicy", "Activity-based timeout policies",
        "/policies/activityBasedTimeoutPolicies", 76,
    ),
    ObjectKind(
        name="authenticationStrengthPolicy",
        title="Authentication strengths",
        list_path="/policies/authenticationStrengthPolicies",
        phase=121,
        writable=frozenset({"allowedCombinations", "description", "displayName"}),
        required=frozenset({"allowedCombinations", "displayName"}),
        volatile=frozenset({"modifiedDateTime"}),
        actions=(("allowedCombinations", "updateAllowedCombinations"),),
        reason="Built-in authentication strengths belong to Microsoft and cannot be written.",
        read_permissions=("Policy.Read.All",),
        write_permissions=("Policy.ReadWrite.ConditionalAccess",),
    ),
    ObjectKind(
        name="authenticationContextClassReference",
        title="Authentication contexts",
        list_path="/identity/conditionalAccess/authenticationContextClassReferences",
        phase=122,
        writable=frozenset({"description", "displayName", "isAvailable"}),
        create_only=frozenset({"id"}),
        required=frozenset({"id", "displayName"}),
        natural_key=("id",),
        is_upserted=True,
        read_permissions=("AuthenticationContext.Read.All",),
        write_permissions=("AuthenticationContext.ReadWrite.All",),
    ),
    ObjectKind(
        name="groupLifecyclePolicy",
        title="Group expiration",
        list_path="/groupLifecyclePolicies",
        phase=153,
        writable=frozenset({
            "alternateNotificationEmails", "groupLifetimeInDays", "managedGroupTypes",
        }),
        required=frozenset({"groupLifetimeInDays", "managedGroupTypes"}),
        natural_key=("managedGroupTypes",),
        title_property="managedGroupTypes",
        is_settings=True,
        settings_of="group",
        is_only_one=True,
        read_permissions=("Directory.Read.All",),
        write_permissions=("Directory.ReadWrite.All",),
    ),
    ObjectKind(
        name="identitySecurityDefaultsEnforcementPolicy",
        title="Security defaults",
        list_path="/policies/identitySecurityDefaultsEnforcementPolicy",
        phase=154,
        update_only=frozenset({"isEnabled"}),
        is_settings=True,
        is_singleton=True,
        can_create=False,
        can_delete=False,
        reason="There is one security defaults policy: it can be put back, not created.",
        read_permissions=("Policy.Read.All",),
        write_permissions=("Policy.Read.All", "Policy.ReadWrite.SecurityDefaults"),
    ),
    ObjectKind(
        name="adminConsentRequestPolicy",
        title="Admin consent requests",
        list_path="/policies/adminConsentRequestPolicy",
        phase=155,
        update_only=frozenset({
            "isEnabled", "notifyReviewers", "remindersEnabled", "requestDurationInDays",
            "reviewers",
        }),
        volatile=frozenset({"version"}),
        references=(
            Reference("reviewers/*/query", ("user", "group"), IdForm.TEXT, is_required=True),
        ),
        title_property="",
        is_settings=True,
        is_singleton=True,
        is_replaced=True,
        can_create=False,
        can_delete=False,
        reason="There is one admin consent request policy: it can be put back, not created.",
        read_permissions=("Policy.Read.All",),
        write_permissions=("Policy.ReadWrite.ConsentRequest",),
    ),
    ObjectKind(
        name="deviceRegistrationPolicy",
        title="Device registration",
        list_path="/policies/deviceRegistrationPolicy",
        phase=156,
        update_only=frozenset({
            "azureADJoin", "azureADRegistration", "localAdminPassword",
            "multiFactorAuthConfiguration", "userDeviceQuota",
        }),
        references=tuple(
            Reference(f"{place}/{members}/*", (kind,), is_required=True)
            for place in (
                "azureADJoin/allowedToJoin", "azureADJoin/localAdmins/registeringUsers",
                "azureADRegistration/allowedToRegister",
            )
            for members, kind in (("users", "user"), ("groups", "group"))
        ),
        is_settings=True,
        settings_of="device",
        is_singleton=True,
        is_replaced=True,
        can_create=False,
        can_delete=False,
        reason="There is one device registration policy: it can be put back, not created.",
        read_permissions=("Policy.Read.DeviceConfiguration",),
        write_permissions=("Policy.ReadWrite.DeviceConfiguration",),
    ),
    ObjectKind(
        name="authenticationMethodsPolicy",
        title="Authentication methods",
        list_path="/policies/authenticationMethodsPolicy",
        phase=157,
        update_only=frozenset({
            "policyMigrationState", "reconfirmationInDays", "registrationEnforcement",
            "reportSuspiciousActivitySettings", "systemCredentialPreferences",
        }),
        # The methods have a kind of their own.
        volatile=frozenset({"authenticationMethodConfigurations", "lastModifiedDateTime"}),
        references=_targets(
            "registrationEnforcement/authenticationMethodsRegistrationCampaign"
            "/includeTargets/*/id",
            "registrationEnforcement/authenticationMethodsRegistrationCampaign"
            "/excludeTargets/*/id",
            "reportSuspiciousActivitySettings/includeTarget/id",
            "systemCredentialPreferences/includeTargets/*/id",
            "systemCredentialPreferences/excludeTargets/*/id",
        ),
        is_settings=True,
        is_singleton=True,
        can_create=False,
        can_delete=False,
        reason="There is one authentication methods policy: it can be put back, not created.",
        read_permissions=("Policy.Read.All",),
        write_permissions=("Policy.ReadWrite.AuthenticationMethod",),
    ),
    ObjectKind(
        name="authenticationMethodConfiguration",
        title="Authentication method settings",
        list_path="/policies/authenticationMethodsPolicy",
        phase=158,
        embedded_in="authenticationMethodConfigurations",
        update_only=frozenset({
            "@odata.type", "allowExternalIdToUseEmailOtp", "authenticationModeConfiguration",
            "certificateAuthorityScopes", "certificateUserBindings",
            "crlValidationConfiguration", "defaultLength", "defaultLifetimeInMinutes",
            "defaultPasskeyProfile", "excludeTargets", "featureSettings", "includeTargets",
            "isAttestationEnforced", "isOfficePhoneAllowed", "isSelfServiceRegistrationAllowed",
            "isSoftwareOathEnabled", "isUsableOnce", "issuerHintsConfiguration",
            "keyRestrictions", "maximumLifetimeInMinutes", "minimumLifetimeInMinutes",
            "passkeyProfiles", "state",
        }),
        references=_targets(
            "includeTargets/*/id",
            "excludeTargets/*/id",
            "featureSettings/*/includeTarget/id",
            "featureSettings/*/excludeTarget/id",
        ),
        title_property="id",
        is_settings=True,
        is_typed=True,
        can_create=False,
        can_delete=False,
        object_path=(
            "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/{id}"
        ),
        reason="Which methods there are is Microsoft's: their settings can be put back.",
        read_permissions=("Policy.Read.All",),
        write_permissions=("Policy.ReadWrite.AuthenticationMethod",),
    ),
    ObjectKind(
        name="crossTenantAccessPolicy",
        title="Cross-tenant access",
        list_path="/policies/crossTenantAccessPolicy",
        phase=145,
        update_only=frozenset({"allowedCloudEndpoints", "displayName"}),
        is_settings=True,
        is_singleton=True,
        can_create=False,
        can_delete=False,
        reason="There is one cross-tenant access policy: it can be put back, not created.",
        read_permissions=("Policy.Read.All",),
        write_permissions=("Policy.ReadWrite.CrossTenantAccess",),
    ),
    ObjectKind(
        name="crossTenantAccessPolicyConfigurationDefault",
        title="Cross-tenant access, default",
        list_path="/policies/crossTenantAccessPolicy/default",
        phase=146,
        update_only=frozenset({
            *_ACCESS_SETTINGS, "inboundTrust",
            "invitationRedemptionIdentityProviderConfiguration",
        }),
        volatile=frozenset({"isServiceDefault"}),
        references=_access_references(),
        title_property="",
        is_settings=True,
        is_singleton=True,
        can_create=False,
        can_delete=False,
        reason="There is one default for other tenants: it can be put back, not created.",
        read_permissions=("Policy.Read.All",),
        write_permissions=("Policy.ReadWrite.CrossTenantAccess",),
    ),
    ObjectKind(
        name="crossTenantAccessPolicyConfigurationPartner",
        title="Cross-tenant access, partners",
        list_path="/policies/crossTenantAccessPolicy/partners",
        phase=147,
        id_property="tenantId",
        writable=frozenset({
            *_ACCESS_SETTINGS, "automaticUserConsentSettings", "inboundTrust",
            "isServiceProvider",
        }),
        create_only=frozenset({"tenantId"}),
        required=frozenset({"tenantId"}),
        references=_access_references(),
        natural_key=("tenantId",),
        title_property="tenantId",
        is_settings=True,
        read_permissions=("Policy.Read.All",),
        write_permissions=("Policy.ReadWrite.CrossTenantAccess",),
    ),
    ObjectKind(
        name="conditionalAccessPolicy",
        title="Conditional Access policies",
        list_path="/identity/conditionalAccess/policies",
        phase=160,
        writable=frozenset({
            "description", "displayName", "state", "conditions", "grantControls",
            "sessionControls",
        }),
        required=frozenset({"displayName", "state", "conditions"}),
        volatile=frozenset({"modifiedDateTime"}),
        own_bin="/identity/conditionalAccess/deletedItems/policies",
        references=(
            Reference("conditions/users/includeUsers/*", ("user",), is_required=True),
            Reference("conditions/users/excludeUsers/*", ("user",), is_required=True),
            Reference("conditions/users/includeGroups/*", ("group",), is_required=True),
            Reference("conditions/users/excludeGroups/*", ("group",), is_required=True),
            Reference("conditions/users/includeRoles/*", ("unifiedRoleDefinition",)),
            Reference("conditions/users/excludeRoles/*", ("unifiedRoleDefinition",)),
            Reference(
                "conditions/applications/includeApplications/*", ("application",),
                IdForm.APP_ID, is_required=True,
            ),
            Reference(
                "conditions/applications/excludeApplications/*", ("application",),
                IdForm.APP_ID, is_required=True,
            ),
            Reference(
                "conditions/clientApplications/includeServicePrincipals/*",
                ("servicePrincipal",), is_required=True,
            ),
            Reference(
                "conditions/clientApplications/excludeServicePrincipals/*",
                ("servicePrincipal",), is_required=True,
            ),
            Reference(
                "conditions/locations/includeLocations/*", ("namedLocation",), is_required=True
            ),
            Reference(
                "conditions/locations/excludeLocations/*", ("namedLocation",), is_required=True
            ),
            Reference(
                "grantControls/authenticationStrength/id", ("authenticationStrengthPolicy",),
                is_required=True,
            ),
        ),
        read_permissions=("Policy.Read.All",),
        write_permissions=(
            "Policy.Read.All", "Policy.ReadWrite.ConditionalAccess", "Application.Read.All",
        ),
    ),
)  # fmt: skip

KINDS: dict[str, ObjectKind] = {row.name: row for row in _ROWS}

# Permissions that include another: having the right one answers for the left one.
# Source: learn.microsoft.com/graph/permissions-reference, and each operation's permission table.
IMPLIED_BY: dict[str, tuple[str, ...]] = {
    "User.Read.All": ("User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"),
    "Group.Read.All": ("Group.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"),
    "GroupMember.Read.All": (
        "GroupMember.ReadWrite.All", "Group.Read.All", "Group.ReadWrite.All",
        "Directory.Read.All", "Directory.ReadWrite.All",
    ),
    "Device.Read.All": (
        "Device.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All",
    ),
    "Application.Read.All": (
        "Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All",
    ),
    "AdministrativeUnit.Read.All": (
        "AdministrativeUnit.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All",
    ),
    "RoleManagement.Read.Directory": (
        "RoleManagement.ReadWrite.Directory", "Directory.Read.All", "Directory.ReadWrite.All",
    ),
    "Organization.Read.All": (
        "Organization.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All",
    ),
    "Domain.Read.All": ("Domain.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"),
    "LicenseAssignment.Read.All": (
        "LicenseAssignment.ReadWrite.All", "Organization.Read.All", "Organization.ReadWrite.All",
        "Directory.Read.All", "Directory.ReadWrite.All",
    ),
    "GroupSettings.Read.All": (
        "GroupSettings.ReadWrite.All", "Group.Read.All", "Group.ReadWrite.All",
        "Directory.Read.All", "Directory.ReadWrite.All",
    ),
    "Directory.Read.All": ("Directory.ReadWrite.All",),
    "DelegatedPermissionGrant.ReadWrite.All": ("Directory.ReadWrite.All",),
    "User.ReadWrite.All": ("Directory.ReadWrite.All",),
    "User.DeleteRestore.All": ("User.ReadWrite.All",),
    "User.EnableDisableAccount.All": ("User.ReadWrite.All", "Directory.ReadWrite.All"),
    "User.Invite.All": ("User.ReadWrite.All", "Directory.ReadWrite.All"),
    "LicenseAssignment.ReadWrite.All": (
        "User.ReadWrite.All", "Directory.ReadWrite.All",
    ),
    "Group.ReadWrite.All": ("Directory.ReadWrite.All",),
    "GroupMember.ReadWrite.All": ("Group.ReadWrite.All", "Directory.ReadWrite.All"),
    "GroupSettings.ReadWrite.All": ("Directory.ReadWrite.All",),
    "Device.ReadWrite.All": ("Directory.ReadWrite.All",),
    "AuthenticationContext.Read.All": (
        "AuthenticationContext.ReadWrite.All", "Policy.Read.ConditionalAccess",
        "Policy.ReadWrite.ConditionalAccess",
    ),
    "Policy.Read.DeviceConfiguration": ("Policy.ReadWrite.DeviceConfiguration",),
    "Policy.ReadWrite.ConsentRequest": ("Directory.ReadWrite.All",),
}  # fmt: skip


def is_granted(permission: str, granted: frozenset[str]) -> bool:
    """Tell whether ``granted`` holds ``permission`` or one that includes it."""
    return permission in granted or any(
        wider in granted for wider in IMPLIED_BY.get(permission, ())
    )


def missing_permissions(needed: tuple[str, ...], granted: frozenset[str]) -> tuple[str, ...]:
    """Return those of ``needed`` that ``granted`` does not answer for, in the order given."""
    return tuple(name for name in needed if not is_granted(name, granted))


def kind_of_odata_type(odata_type: str) -> str:
    """Return the kind that ``#microsoft.graph.x`` names, or ``""`` for one we have no row for."""
    name = odata_type.rpartition(".")[2]
    if name in KINDS:
        return name
    return "namedLocation" if name.endswith("NamedLocation") else ""
