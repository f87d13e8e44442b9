"""What every tenant has from its first day, for tests that need no seed."""

from __future__ import annotations

from typing import Any, Final

from reentra.sandbox import schema, seed_policies
from reentra.sandbox.clock import Clock
from reentra.sandbox.rules_principals import GRAPH_APP, microsoft_application
from reentra.sandbox.rules_settings import GUEST_ROLES, GUEST_SETTINGS
from reentra.sandbox.rules_shape import now
from reentra.sandbox.tenant import Record, Tenant, TenantOptions

UNIFIED_SETTINGS: Final = "62375ab9-6b52-47ed-826b-58e47e0e304b"


def _value(name: str, kind: str, default: str, description: str) -> dict[str, str]:
    return {
        "name": name,
        "type": f"System.{kind}",
        "defaultValue": default,
        "description": description,
    }


_UNIFIED_VALUES: Final = (
    _value("NewUnifiedGroupWritebackDefault", "Boolean", "true", "Write new groups back."),
    _value("EnableMIPLabels", "Boolean", "false", "Allow sensitivity labels on groups."),
    _value("CustomBlockedWordsList", "String", "", "Words that group names may not have."),
    _value("EnableMSStandardBlockedWords", "Boolean", "false", "Deprecated."),
    _value("ClassificationDescriptions", "String", "", "Descriptions of the classifications."),
    _value("DefaultClassification", "String", "", "The classification of a new group."),
    _value("PrefixSuffixNamingRequirement", "String", "", "How groups must be named."),
    _value("AllowGuestsToBeGroupOwner", "Boolean", "false", "Guests may own groups."),
    _value("AllowGuestsToAccessGroups", "Boolean", "true", "Guests may access groups."),
    _value("GuestUsageGuidelinesUrl", "String", "", "The guidelines for guests."),
    _value("GroupCreationAllowedGroupId", "Guid", "", "The group whose members create groups."),
    _value("AllowToAddGuests", "Boolean", "true", "Guests may be added to groups."),
    _value("UsageGuidelinesUrl", "String", "", "The guidelines for groups."),
    _value("ClassificationList", "String", "", "The classifications to choose from."),
    _value("EnableGroupCreation", "Boolean", "true", "Everybody may create groups."),
)
_GUEST_VALUES: Final = (_value("AllowToAddGuests", "Boolean", "true", "Guests may be added."),)


def new_tenant(
    tenant_id: str,
    name: str = "Contoso",
    domain: str = "contoso.onmicrosoft.com",
    clock: Clock | None = None,
    options: TenantOptions | None = None,
) -> Tenant:
    """Return a tenant as it is on its first day, with ``domain`` as its initial domain."""
    tenant = Tenant(tenant_id, clock, options)
    moment = now(tenant)
    add_domain(tenant, domain, initial=True)
    tenant.create("organization", _organization(name, domain, moment), tenant_id)
    tenant.create("authorizationPolicy", _authorization_policy(), "authorizationPolicy")
    seed_policies.plant_policies(tenant)
    for role in schema.builtin_roles():
        tenant.create("unifiedRoleDefinition", _role(role), role.id)
        described = {"description": f"Built-in role {role.display_name}."}
        tenant.create(
            "directoryRoleTemplate", {**described, "displayName": role.display_name}, role.id
        )
    for template_id, label, values in (
        (UNIFIED_SETTINGS, "Group.Unified", _UNIFIED_VALUES),
        (GUEST_SETTINGS, "Group.Unified.Guest", _GUEST_VALUES),
    ):
        tenant.create(
            "groupSettingTemplate",
            {
                "description": f"Settings of the template {label}.",
                "displayName": label,
                "values": [dict(value) for value in values],
            },
            template_id,
        )
    add_microsoft_principal(tenant, GRAPH_APP)
    return tenant


def add_domain(
    tenant: Tenant, name: str, initial: bool = False, default: bool | None = None
) -> Record:
    """Add a verified domain; the initial one is the default one unless said otherwise."""
    is_default = initial if default is None else default
    record = tenant.create(
        "domain",
        {
            "authenticationType": "Managed",
            "availabilityStatus": None,
            "isAdminManaged": True,
            "isDefault": is_default,
            "isInitial": initial,
            "isRoot": True,
            "isVerified": True,
            "passwordNotificationWindowInDays": 14,
            "passwordValidityPeriodInDays": 2147483647,
            "supportedServices": ["Email", "OfficeCommunicationsOnline"] if initial else [],
            "state": None,
        },
        name,
    )
    for organization in tenant.collection("organization").values():
        verified = organization.props.get("verifiedDomains") or []
        tenant.update(
            organization, {"verifiedDomains": [*verified, _verified(name, initial, is_default)]}
        )
    return record


def add_microsoft_principal(tenant: Tenant, app_id: str) -> Record:
    """Add the service principal of one of Microsoft's directory APIs."""
    published = microsoft_application(app_id) or {}
    return tenant.create(
        "servicePrincipal",
        {
            "accountEnabled": True,
            "addIns": [],
            "alternativeNames": [],
            "appId": app_id,
            "appRoleAssignmentRequired": False,
            "createdDateTime": now(tenant),
            "displayName": published.get("appDisplayName"),
            "keyCredentials": [],
            "notificationEmailAddresses": [],
            "passwordCredentials": [],
            "replyUrls": [],
            "servicePrincipalType": "Application",
            "tags": [],
            **published,
        },
    )


def add_sku(
    tenant: Tenant, sku_id: str, part_number: str, seats: int, plans: tuple[tuple[str, str], ...]
) -> Record:
    """Add a subscription; ``plans`` are pairs of service plan id and name."""
    return tenant.create(
        "subscribedSku",
        {
            "accountId": tenant.tenant_id,
            "accountName": "Contoso",
            "appliesTo": "User",
            "capabilityStatus": "Enabled",
            "consumedUnits": 0,
            "prepaidUnits": {"enabled": seats, "suspended": 0, "warning": 0, "lockedOut": 0},
            "servicePlans": [
                {
                    "servicePlanId": plan_id,
                    "servicePlanName": plan_name,
                    "provisioningStatus": "Success",
                    "appliesTo": "User",
                }
                for plan_id, plan_name in plans
            ],
            "skuId": sku_id,
            "skuPartNumber": part_number,
            "subscriptionIds": [tenant.clock.new_guid()],
        },
        f"{tenant.tenant_id}_{sku_id}",
    )


def _verified(name: str, initial: bool, default: bool) -> dict[str, Any]:
    return {
        "capabilities": "Email, OfficeCommunicationsOnline" if initial else "None",
        "isDefault": default,
        "isInitial": initial,
        "name": name,
        "type": "Managed",
    }


def _organization(name: str, domain: str, moment: str) -> dict[str, Any]:
    return {
        "assignedPlans": [],
        "businessPhones": [],
        "city": "Redmond",
        "countryLetterCode": "US",
        "createdDateTime": moment,
        "displayName": name,
        "marketingNotificationEmails": [],
        "postalCode": "98052",
        "preferredLanguage": "en",
        "privacyProfile": None,
        "provisionedPlans": [],
        "securityComplianceNotificationMails": [],
        "securityComplianceNotificationPhones": [],
        "state": "WA",
        "street": "1 Main Street",
        "technicalNotificationMails": [f"admin@{domain}"],
        "tenantType": "AAD",
        "verifiedDomains": [_verified(domain, True, True)],
    }


def _authorization_policy() -> dict[str, Any]:
    return {
        "allowEmailVerifiedUsersToJoinOrganization": False,
        "allowInvitesFrom": "everyone",
        "allowUserConsentForRiskyApps": None,
        "allowedToSignUpEmailBasedSubscriptions": True,
        "allowedToUseSSPR": True,
        "blockMsolPowerShell": False,
        "defaultUserRolePermissions": {
            "allowedToCreateApps": True,
            "allowedToCreateSecurityGroups": True,
            "allowedToCreateTenants": True,
            "allowedToReadBitlockerKeysForOwnedDevice": True,
            "allowedToReadOtherUsers": True,
            "permissionGrantPoliciesAssigned": [
                "ManagePermissionGrantsForSelf.microsoft-user-default-legacy"
            ],
        },
        "description": "Used to manage authorization related settings across the company.",
        "displayName": "Authorization Policy",
        "guestUserRoleId": GUEST_ROLES[1],
    }


def _role(role: schema.BuiltInRole) -> dict[str, Any]:
    return {
        "description": f"Built-in role {role.display_name}.",
        "displayName": role.display_name,
        "isBuiltIn": True,
        "isEnabled": True,
        "resourceScopes": ["/"],
        "rolePermissions": [
            {
                "allowedResourceActions": ["microsoft.directory/users/standard/read"],
                "condition": None,
            }
        ],
        "templateId": role.id,
        "version": "1",
    }
