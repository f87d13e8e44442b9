"""Seeds: the tenants a sandbox can start with, and the clients that may call them.

``small`` has one of everything; ``medium`` adds a company of two thousand; ``large`` adds as many
users as asked for. The same seed always gives the same ids and the same properties.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from reentra.sandbox import (
    permissions,
    rules_licences,
    schema,
    seed_people,
    seed_policies,
    seed_small,
)
from reentra.sandbox.clock import Clock
from reentra.sandbox.rules_principals import GRAPH_APP, microsoft_application
from reentra.sandbox.tenant import Record, Tenant
from reentra.sandbox.tokens import ClientSecret, RegisteredClient
from reentra.sandbox.writes import WRITE_ROUTES

TENANT_ID: Final = "7e3a1c52-9b0d-4c8e-8f21-5d6a4b3c2e10"
BACKUP_CLIENT_ID: Final = "b0000000-5a4d-4b0c-8000-000000000001"
RESTORE_CLIENT_ID: Final = "b0000000-5a4d-4b0c-8000-000000000002"
BOTH_CLIENT_ID: Final = "b0000000-5a4d-4b0c-8000-000000000003"
# A well-known value on purpose: it opens a pretended tenant on the loopback interface only.
SANDBOX_SECRET: Final = "sandbox-client-secret"
EXPIRED_SECRET: Final = "sandbox-expired-secret"

INITIAL_DOMAIN: Final = "contoso.onmicrosoft.com"
DOMAIN: Final = "contoso.example"
SEEDS: Final = ("small", "medium", "large")
MEDIUM_USERS: Final = 2_000
LARGE_USERS: Final = 200_000
_LINKS_PER_USER: Final = 10
_SEED_NUMBER: Final = 20260105
_SEEDED_AT: Final = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)

BACKUP_ROLES: Final = frozenset((
        "User.Read.All", "Group.Read.All", "GroupMember.Read.All", "Member.Read.Hidden",
        "Device.Read.All", "Application.Read.All", "AdministrativeUnit.Read.All",
        "Directory.Read.All", "RoleManagement.Read.Directory", "Policy.Read.All",
        "Organization.Read.All", "Domain.Read.All", "LicenseAssignment.Read.All",
        "GroupSettings.Read.All", "AuditLog.Read.All", "CustomSecAttributeAssignment.Read.All",
        "AuthenticationContext.Read.All", "Policy.Read.DeviceConfiguration",
))  # fmt: skip
"""What a read-only backup client is granted."""

RESTORE_ROLES: Final = frozenset((
        "User.ReadWrite.All", "User.DeleteRestore.All", "User-PasswordProfile.ReadWrite.All",
        "User.EnableDisableAccount.All", "User.ManageIdentities.All", "User.Invite.All",
        "Group.ReadWrite.All", "GroupMember.ReadWrite.All", "Group.Create",
        "Device.ReadWrite.All", "Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All",
        "DelegatedPermissionGrant.ReadWrite.All", "AdministrativeUnit.ReadWrite.All",
        "RoleManagement.ReadWrite.Directory", "Policy.ReadWrite.ConditionalAccess",
        "Policy.ReadWrite.Authorization", "Organization.ReadWrite.All", "Domain.ReadWrite.All",
        "LicenseAssignment.ReadWrite.All", "GroupSettings.ReadWrite.All",
        "Directory.ReadWrite.All", "AuthenticationContext.ReadWrite.All",
        "Policy.ReadWrite.ApplicationConfiguration", "Policy.ReadWrite.AuthenticationMethod",
        "Policy.ReadWrite.ConsentRequest", "Policy.ReadWrite.CrossTenantAccess",
        "Policy.ReadWrite.DeviceConfiguration", "Policy.ReadWrite.SecurityDefaults",
))  # fmt: skip
"""What a restore client is granted besides the reading it needs to compare."""

_CLIENTS: Final = (
    (BACKUP_CLIENT_ID, "Reentra Sandbox Backup", BACKUP_ROLES),
    (RESTORE_CLIENT_ID, "Reentra Sandbox Restore", BACKUP_ROLES | RESTORE_ROLES),
    (BOTH_CLIENT_ID, "Reentra Sandbox", BACKUP_ROLES | RESTORE_ROLES),
)

_SKUS: Final = (
    ("c7df2760-2c81-4ef7-b578-5b5392b571df", "ENTERPRISEPREMIUM", 300_000, (
        ("efb87545-963c-4e0d-99df-69c6916d9eb0", "EXCHANGE_S_ENTERPRISE", "exchange"),
        ("5dbe027f-2339-4123-9542-606e4d348a72", "SHAREPOINTENTERPRISE", "SharePoint"),
        ("57ff2da0-773e-42df-b2af-ffb7a2317929", "TEAMS1", "TeamspaceAPI"),
        ("43de0ff5-c92c-492b-9116-175376d08c38", "OFFICESUBSCRIPTION", "MicrosoftOffice"),
    )),
    ("078d2b04-f1bd-4111-bbd4-b4b1b354cef4", "AAD_PREMIUM", 50, (
        ("41781fb2-bc02-4b7c-bd55-b576c07bb09d", "AAD_PREMIUM", "AADPremiumService"),
        ("8a256a2b-b617-496d-b51b-e76466e88db0", "MFA_PREMIUM", "MultiFactorService"),
    )),
    ("84a661c4-e949-4bd2-a560-ed7766fcaf2b", "AAD_PREMIUM_P2", 25, (
        ("eec0eb4f-6444-4f95-aba0-50c24d67f998", "AAD_PREMIUM_P2", "AADPremiumService"),
    )),
)  # fmt: skip

_SETTING_TEMPLATES: Final = (
    ("62375ab9-6b52-47ed-826b-58e47e0e304b", "Group.Unified", (
        ("CustomBlockedWordsList", "String", ""),
        ("EnableMSStandardBlockedWords", "Boolean", "false"),
        ("ClassificationDescriptions", "String", ""),
        ("DefaultClassification", "String", ""),
        ("PrefixSuffixNamingRequirement", "String", ""),
        ("AllowGuestsToBeGroupOwner", "Boolean", "false"),
        ("AllowGuestsToAccessGroups", "Boolean", "true"),
        ("GuestUsageGuidelinesUrl", "String", ""),
        ("GroupCreationAllowedGroupId", "Guid", ""),
        ("AllowToAddGuests", "Boolean", "true"),
        ("UsageGuidelinesUrl", "String", ""),
        ("ClassificationList", "String", ""),
        ("EnableGroupCreation", "Boolean", "true"),
        ("NewUnifiedGroupWritebackDefault", "Boolean", "true"),
        ("EnableMIPLabels", "Boolean", "false"),
    )),
    ("08d542b9-071f-4e16-94b0-74abb372e3d9", "Group.Unified.Guest", (
        ("AllowToAddGuests", "Boolean", "true"),
    )),
    ("dffd5d46-495d-40a9-8e21-954ff55e198a", "Consent Policy Settings", (
        ("EnableGroupSpecificConsent", "Boolean", "false"),
        ("BlockUserConsentForRiskyApps", "Boolean", "true"),
        ("EnableAdminConsentRequests", "Boolean", "false"),
        ("ConstrainGroupSpecificConsentToMembersOfGroupId", "Guid", ""),
    )),
)  # fmt: skip


@dataclass(slots=True)
class Planter:
    """Writes seed objects through Graph's rules, so that none is one that Graph would refuse."""

    tenant: Tenant
    ids: dict[str, str] = field(default_factory=dict)
    """What was planted, by a short name."""

    def write(self, method: str, template: str, body: Any = None, **params: str) -> Record | None:
        """Carry out one write operation and return what it made, if anything."""
        for route in WRITE_ROUTES:
            if route.method == method and route.template == template:
                return route.function(self.tenant, params, body).record
        raise LookupError(f"{method} {template}")

    def create(self, name: str, template: str, body: Any, **params: str) -> Record:
        """Create an object under a short name."""
        record = self.write("POST", template, body, **params)
        if record is None:
            raise LookupError(template)
        self.ids[name] = record.id
        return record

    def refer(self, template: str, policy: str, owner: str) -> None:
        """Assign a policy of tokens or claims to an application or a service principal."""
        collection = template.split("/")[3]
        url = f"https://graph.microsoft.com/v1.0/policies/{collection}/{policy}"
        self.write("POST", template, {"@odata.id": url}, id=self.ids[owner])

    def reference(self, template: str, target: str, **params: str) -> None:
        """Add one reference."""
        url = f"https://graph.microsoft.com/v1.0/directoryObjects/{target}"
        method = "PUT" if "/manager/" in template else "POST"
        self.write(method, template, {"@odata.id": url}, **params)


def plant(tenant: Tenant, name: str, *, users: int | None = None) -> Planter:
    """Fill an empty tenant with a seed.

    Raises:
        ValueError: no such seed.
    """
    if name not in SEEDS:
        raise ValueError(f"there is no seed '{name}'; there are {', '.join(SEEDS)}")
    own_clock = tenant.clock
    is_big = name == "large"
    if is_big:
        # Millions of objects that stay: walking through them again and again takes longer than
        # making them, and none of them is garbage.
        gc.disable()
    tenant.clock = Clock(_SEEDED_AT, _SEED_NUMBER)
    planter = Planter(tenant)
    try:
        _plant_base(planter)
        seed_small.plant_small(planter, DOMAIN)
        if name == "medium":
            _plant_company(tenant, users or MEDIUM_USERS, devices=100)
            seed_small.plant_applications(planter, 60)
        elif name == "large":
            _plant_company(tenant, users or LARGE_USERS, devices=1_000)
            seed_small.plant_applications(planter, 20)
        rules_licences.reconcile_all(tenant)
    finally:
        tenant.clock = own_clock
        if is_big:
            gc.freeze()
            gc.enable()
    seed_small.plant_deleted(planter)
    return planter


def registered_clients(tenant: Tenant) -> list[RegisteredClient]:
    """Return the clients that may ask this tenant for tokens."""
    clients = []
    for client_id, name, roles in _CLIENTS:
        principal = tenant.by_app_id("servicePrincipal", client_id)
        clients.append(
            RegisteredClient(
                client_id,
                name,
                principal.id if principal is not None else client_id,
                set(roles),
                [
                    ClientSecret(SANDBOX_SECRET),
                    ClientSecret(EXPIRED_SECRET, datetime(2025, 1, 1, tzinfo=UTC)),
                ],
            )
        )
    return clients


# --- what every tenant has -----------------------------------------------------------------


def _plant_base(planter: Planter) -> None:
    tenant = planter.tenant
    for domain, is_initial in ((INITIAL_DOMAIN, True), (DOMAIN, False)):
        tenant.create(
            "domain",
            {
                "authenticationType": "Managed",
                "isAdminManaged": True,
                "isDefault": not is_initial,
                "isInitial": is_initial,
                "isRoot": True,
                "isVerified": True,
                "passwordNotificationWindowInDays": 14,
                "passwordValidityPeriodInDays": 2147483647,
                "supportedServices": ["Email", "OfficeCommunicationsOnline"],
            },
            domain,
        )
    tenant.create("organization", _organization(), tenant.tenant_id)
    tenant.create("authorizationPolicy", _authorization_policy(), "authorizationPolicy")
    seed_policies.plant_policies(tenant)
    for sku_id, part, seats, plans in _SKUS:
        tenant.create("subscribedSku", _sku(tenant, sku_id, part, seats, plans),
                      f"{tenant.tenant_id}_{sku_id}")  # fmt: skip
    for role in schema.builtin_roles():
        tenant.create(
            "unifiedRoleDefinition",
            {
                "description": f"{role.display_name}, as Microsoft defines it.",
                "displayName": role.display_name,
                "isBuiltIn": True,
                "isEnabled": True,
                "resourceScopes": ["/"],
                "rolePermissions": [
                    {"allowedResourceActions": ["microsoft.directory/users/standard/read"],
                     "condition": None}
                ],
                "templateId": role.id,
                "version": "1",
            },
            role.id,
        )  # fmt: skip
    for role in schema.builtin_roles():
        if role.display_name in seed_small.ACTIVATED_ROLES:
            record = tenant.create(
                "directoryRole",
                {
                    "description": f"{role.display_name}, as Microsoft defines it.",
                    "displayName": role.display_name,
                    "roleTemplateId": role.id,
                },
            )
            planter.ids[role.display_name] = record.id
            planter.ids[f"{role.display_name} definition"] = role.id
    for template_id, name, values in _SETTING_TEMPLATES:
        tenant.create(
            "groupSettingTemplate",
            {
                "description": f"Settings of {name}.",
                "displayName": name,
                "values": [
                    {
                        "name": value,
                        "type": f"System.{kind}",
                        "defaultValue": default,
                        "description": f"{value}.",
                    }
                    for value, kind, default in values
                ],
            },
            template_id,
        )
    _plant_graph_principal(planter)
    _plant_clients(planter)


def _plant_graph_principal(planter: Planter) -> None:
    """Add Microsoft Graph, with those of its permissions that the sandbox checks."""
    published = microsoft_application(GRAPH_APP)
    assert published is not None
    known = permissions.every_permission() | BACKUP_ROLES | RESTORE_ROLES
    roles = [role for role in published["appRoles"] if role["value"] in known]
    scopes = [
        scope
        for scope in published["oauth2PermissionScopes"]
        if scope["value"] in known or scope["value"] in ("User.Read", "openid", "profile")
    ]
    record = planter.create("Microsoft Graph", "/servicePrincipals", {"appId": GRAPH_APP})
    planter.tenant.update(record, {"appRoles": roles, "oauth2PermissionScopes": scopes})


def _plant_clients(planter: Planter) -> None:
    """Add the registered clients as applications, with the grants behind their tokens' roles."""
    tenant = planter.tenant
    graph = tenant.by_app_id("servicePrincipal", GRAPH_APP)
    assert graph is not None
    role_ids = {role["value"]: role["id"] for role in graph.props["appRoles"]}
    for client_id, name, granted in _CLIENTS:
        access = [{"id": role_ids[v], "type": "Role"} for v in sorted(granted) if v in role_ids]
        application = planter.create(
            f"{name} app",
            "/applications",
            {
                "displayName": name,
                "requiredResourceAccess": [{"resourceAppId": GRAPH_APP, "resourceAccess": access}],
            },
        )
        tenant.update(application, {"appId": client_id})
        principal = planter.create(name, "/servicePrincipals", {"appId": client_id})
        for entry in access:
            planter.write(
                "POST",
                "/servicePrincipals/{id}/appRoleAssignedTo",
                {"principalId": principal.id, "resourceId": graph.id, "appRoleId": entry["id"]},
                id=graph.id,
            )


def _organization() -> dict[str, Any]:
    return {
        "assignedPlans": [],
        "businessPhones": ["+49 40 555 0100"],
        "city": "Hamburg",
        "countryLetterCode": "DE",
        "createdDateTime": "2019-03-04T09:00:00Z",
        "displayName": "Contoso",
        "marketingNotificationEmails": [],
        "postalCode": "20095",
        "preferredLanguage": "en",
        "privacyProfile": {
            "contactEmail": f"privacy@{DOMAIN}",
            "statementUrl": f"https://www.{DOMAIN}/privacy",
        },
        "provisionedPlans": [],
        "securityComplianceNotificationMails": [f"security@{DOMAIN}"],
        "securityComplianceNotificationPhones": [],
        "state": "Hamburg",
        "street": "Am Sandtorkai 50",
        "technicalNotificationMails": [f"it@{DOMAIN}"],
        "tenantType": "AAD",
        "verifiedDomains": [
            {"capabilities": "Email, OfficeCommunicationsOnline", "isDefault": name == DOMAIN,
             "isInitial": name == INITIAL_DOMAIN, "name": name, "type": "Managed"}
            for name in (INITIAL_DOMAIN, DOMAIN)
        ],
    }  # fmt: skip


def _authorization_policy() -> dict[str, Any]:
    return {
        "allowEmailVerifiedUsersToJoinOrganization": False,
        "allowInvitesFrom": "adminsAndGuestInviters",
        "allowUserConsentForRiskyApps": False,
        "allowedToSignUpEmailBasedSubscriptions": True,
        "allowedToUseSSPR": True,
        "blockMsolPowerShell": True,
        "defaultUserRolePermissions": {
            "allowedToCreateApps": False,
            "allowedToCreateSecurityGroups": True,
            "allowedToCreateTenants": False,
            "allowedToReadBitlockerKeysForOwnedDevice": True,
            "allowedToReadOtherUsers": True,
            "permissionGrantPoliciesAssigned": [
                "ManagePermissionGrantsForSelf.microsoft-user-default-low"
            ],
        },
        "description": "Used to manage authorization related settings across the company.",
        "displayName": "Authorization Policy",
        "guestUserRoleId": "10dae51f-b6af-4016-8d66-8c2a99b929b3",
    }


def _sku(
    tenant: Tenant, sku_id: str, part: str, seats: int, plans: tuple[tuple[str, str, str], ...]
) -> dict[str, Any]:
    return {
        "accountId": tenant.tenant_id,
        "accountName": "contoso",
        "appliesTo": "User",
        "capabilityStatus": "Enabled",
        "consumedUnits": 0,
        "prepaidUnits": {"enabled": seats, "lockedOut": 0, "suspended": 0, "warning": 0},
        "servicePlans": [
            {"appliesTo": "User", "provisioningStatus": "Success", "servicePlanId": plan_id,
             "servicePlanName": plan}
            for plan_id, plan, _ in plans
        ],
        "skuId": sku_id,
        "skuPartNumber": part,
        "subscriptionIds": [],
    }  # fmt: skip


# --- many ----------------------------------------------------------------------------------


def _plant_company(tenant: Tenant, users: int, *, devices: int) -> None:
    sku_id, _, _, plans = _SKUS[0]
    licences = [{"disabledPlans": [], "skuId": sku_id}]
    assigned = [
        {"assignedDateTime": "2024-11-04T08:00:00Z", "capabilityStatus": "Enabled",
         "service": service, "servicePlanId": plan_id}
        for plan_id, _, service in plans
    ]  # fmt: skip
    groups = max(1, users // 10)
    tenant.load_bulk("user", seed_people.user_rows(users, DOMAIN, licences, assigned))
    tenant.load_bulk("group", seed_people.group_rows(groups, DOMAIN))
    tenant.load_bulk("device", seed_people.device_rows(devices))
    ids = [seed_people.bulk_guid("user", index) for index in range(users)]
    for group, members in seed_people.memberships(groups, users, _LINKS_PER_USER):
        group_id = seed_people.bulk_guid("group", group)
        tenant.link_bulk("group.members", group_id, [ids[index] for index in members])
        if group % 2 == 0:
            tenant.link_bulk("group.owners", group_id, [ids[group * 10 % users]])
    for index in range(1, users):
        if index % 10:
            tenant.link_bulk("user.manager", ids[index], [ids[index - index % 10]])
    for index in range(devices):
        device_id = seed_people.bulk_guid("device", index)
        tenant.link_bulk("device.registeredOwners", device_id, [ids[index % users]])
        tenant.link_bulk("device.registeredUsers", device_id, [ids[index % users]])
