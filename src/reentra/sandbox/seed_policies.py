"""Policies of a seeded tenant: what every tenant has from the start, and examples of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from reentra.sandbox.rules_strengths import built_in_strengths

if TYPE_CHECKING:
    from reentra.sandbox.seed import Planter
    from reentra.sandbox.tenant import Tenant

PARTNER_TENANT: Final = "0fabc1a5-77aa-4a6e-9c1f-3c9a5d1b7e42"
_TYPE: Final = "#microsoft.graph."
_EVERYBODY: Final = {"targetType": "group", "id": "all_users", "isRegistrationRequired": False}


def plant_policies(tenant: Tenant) -> None:
    """Add the policies that every tenant has."""
    for id_, props in built_in_strengths():
        tenant.create("authenticationStrengthPolicy", props, id_)
    tenant.create(
        "identitySecurityDefaultsEnforcementPolicy",
        {"displayName": "Security Defaults", "description": "Basic protection", "isEnabled": False},
        "00000000-0000-0000-0000-000000000005",
    )
    tenant.create(
        "adminConsentRequestPolicy",
        {
            "isEnabled": False,
            "notifyReviewers": False,
            "remindersEnabled": False,
            "requestDurationInDays": 0,
            "reviewers": [],
            "version": 0,
        },
        "adminConsentRequestPolicy",
    )
    nobody = {"@odata.type": _TYPE + "noDeviceRegistrationMembership"}
    everybody = {"@odata.type": _TYPE + "allDeviceRegistrationMembership"}
    tenant.create(
        "deviceRegistrationPolicy",
        {
            "displayName": "Device Registration Policy",
            "description": "Who may join devices",
            "userDeviceQuota": 50,
            "multiFactorAuthConfiguration": "notRequired",
            "azureADJoin": {
                "isAdminConfigurable": True,
                "allowedToJoin": everybody,
                "localAdmins": {"enableGlobalAdmins": True, "registeringUsers": nobody},
            },
            "azureADRegistration": {"isAdminConfigurable": False, "allowedToRegister": everybody},
            "localAdminPassword": {"isEnabled": False},
        },
        "deviceRegistrationPolicy",
    )
    tenant.create("authenticationMethodsPolicy", _methods(), "authenticationMethodsPolicy")
    tenant.create(
        "crossTenantAccessPolicy",
        {"displayName": "CrossTenantAccessPolicy", "allowedCloudEndpoints": []},
        "crossTenantAccessPolicy",
    )
    tenant.create(
        "crossTenantAccessPolicyConfigurationDefault",
        {
            "isServiceDefault": True,
            "b2bCollaborationInbound": _setting("AllUsers", "AllApplications", "allowed"),
            "b2bCollaborationOutbound": _setting("AllUsers", "AllApplications", "allowed"),
            "b2bDirectConnectInbound": _setting("AllUsers", "AllApplications", "blocked"),
            "b2bDirectConnectOutbound": _setting("AllUsers", "AllApplications", "blocked"),
            "inboundTrust": {
                "isMfaAccepted": False,
                "isCompliantDeviceAccepted": False,
                "isHybridAzureADJoinedDeviceAccepted": False,
            },
        },
        "crossTenantAccessPolicyConfigurationDefault",
    )


def _setting(users: str, applications: str, access: str) -> dict[str, Any]:
    return {
        "usersAndGroups": {
            "accessType": access,
            "targets": [{"target": users, "targetType": "user"}],
        },
        "applications": {
            "accessType": access,
            "targets": [{"target": applications, "targetType": "application"}],
        },
    }


def _methods() -> dict[str, Any]:
    def method(id_: str, state: str, **more: Any) -> dict[str, Any]:
        type_ = id_[0].lower() + id_[1:]
        return {
            "@odata.type": f"{_TYPE}{type_}AuthenticationMethodConfiguration",
            "id": id_,
            "state": state,
            "excludeTargets": [],
            "includeTargets": [dict(_EVERYBODY)],
            **more,
        }

    return {
        "displayName": "Authentication Methods Policy",
        "description": "Which methods users may sign in with",
        "lastModifiedDateTime": "2026-01-05T08:00:00Z",
        "policyVersion": "1.5",
        "policyMigrationState": "migrationComplete",
        "reconfirmationInDays": None,
        "registrationEnforcement": {
            "authenticationMethodsRegistrationCampaign": {
                "snoozeDurationInDays": 1,
                "state": "default",
                "excludeTargets": [],
                "includeTargets": [
                    {
                        "id": "all_users",
                        "targetType": "group",
                        "targetedAuthenticationMethod": "microsoftAuthenticator",
                    }
                ],
            }
        },
        "authenticationMethodConfigurations": [
            method("Fido2", "enabled", isSelfServiceRegistrationAllowed=True),
            method("MicrosoftAuthenticator", "enabled", isSoftwareOathEnabled=False),
            method("Sms", "disabled"),
            method(
                "TemporaryAccessPass",
                "enabled",
                defaultLength=8,
                defaultLifetimeInMinutes=60,
                isUsableOnce=False,
                minimumLifetimeInMinutes=60,
                maximumLifetimeInMinutes=480,
            ),
            method("SoftwareOath", "disabled"),
            method("Voice", "disabled", isOfficePhoneAllowed=False),
            method("Email", "enabled", allowExternalIdToUseEmailOtp="default"),
        ],
    }


def plant_examples(planter: Planter) -> None:
    """Add one of each policy that a tenant may have, with references to the small tenant."""
    ids, tenant = planter.ids, planter.tenant
    app_id = tenant.collection("application")[ids["expense app"]].props["appId"]
    planter.create(
        "strength",
        "/policies/authenticationStrengthPolicies",
        {
            "displayName": "Keys only",
            "description": "For those who administer",
            "allowedCombinations": ["fido2", "windowsHelloForBusiness"],
        },
    )
    planter.write(
        "PATCH",
        "/identity/conditionalAccess/authenticationContextClassReferences/{id}",
        {"displayName": "Payments", "description": "Before money moves", "isAvailable": True},
        id="c1",
    )
    planter.create(
        "lifetime",
        "/groupLifecyclePolicies",
        {
            "groupLifetimeInDays": 365,
            "managedGroupTypes": "All",
            "alternateNotificationEmails": "groups@contoso.example",
        },
    )
    for name, path, definition in (
        (
            "claims",
            "claimsMappingPolicies",
            '{"ClaimsMappingPolicy":{"Version":1,"IncludeBasicClaimSet":"true","ClaimsSchema":'
            '[{"Source":"user","ExtensionID":"extension_'
            + app_id.replace("-", "")
            + '_costCentre","JwtClaimType":"cost"}]}}',
        ),
        (
            "lifetimes",
            "tokenLifetimePolicies",
            '{"TokenLifetimePolicy":{"Version":1,"AccessTokenLifetime":"2:00:00"}}',
        ),
        (
            "issuance",
            "tokenIssuancePolicies",
            (
                '{"TokenIssuancePolicy":{"Version":1,"SigningAlgorithm":"http://www.w3.org/2001/04/'
                'xmldsig-more#rsa-sha256","TokenResponseSigningPolicy":"TokenOnly",'
                '"SamlTokenVersion":"2.0"}}'
            ),
        ),
        (
            "realm",
            "homeRealmDiscoveryPolicies",
            '{"HomeRealmDiscoveryPolicy":{"AccelerateToFederatedDomain":false}}',
        ),
        (
            "timeout",
            "activityBasedTimeoutPolicies",
            (
                '{"ActivityBasedTimeoutPolicy":{"Version":1,"ApplicationPolicies":'
                '[{"ApplicationId":"default","WebSessionIdleTimeout":"01:00:00"}]}}'
            ),
        ),
    ):
        planter.create(
            name,
            f"/policies/{path}",
            {"displayName": f"Contoso {name}", "definition": [definition]},
        )
    for template, policy, owner in (
        ("/servicePrincipals/{id}/claimsMappingPolicies/$ref", "claims", "expense"),
        ("/servicePrincipals/{id}/homeRealmDiscoveryPolicies/$ref", "realm", "expense"),
        ("/servicePrincipals/{id}/tokenLifetimePolicies/$ref", "lifetimes", "client"),
        ("/applications/{id}/tokenLifetimePolicies/$ref", "lifetimes", "expense app"),
        ("/applications/{id}/tokenIssuancePolicies/$ref", "issuance", "expense app"),
    ):
        planter.refer(template, ids[policy], owner)
    planter.create(
        "partner",
        "/policies/crossTenantAccessPolicy/partners",
        {
            "tenantId": PARTNER_TENANT,
            "inboundTrust": {
                "isMfaAccepted": True,
                "isCompliantDeviceAccepted": False,
                "isHybridAzureADJoinedDeviceAccepted": False,
            },
            "b2bCollaborationOutbound": {
                "usersAndGroups": {
                    "accessType": "allowed",
                    "targets": [{"target": ids["sales"], "targetType": "group"}],
                },
                "applications": {
                    "accessType": "allowed",
                    "targets": [{"target": "AllApplications", "targetType": "application"}],
                },
            },
        },
    )
    planter.write(
        "PUT",
        "/policies/adminConsentRequestPolicy",
        {
            "isEnabled": True,
            "notifyReviewers": True,
            "remindersEnabled": True,
            "requestDurationInDays": 30,
            "reviewers": [
                {
                    "query": f"/users/{ids['omar.haas']}",
                    "queryType": "MicrosoftGraph",
                    "queryRoot": None,
                },
                {
                    "query": f"/groups/{ids['admins']}/transitiveMembers/microsoft.graph.user",
                    "queryType": "MicrosoftGraph",
                    "queryRoot": None,
                },
            ],
        },
    )
    planter.write(
        "PATCH",
        "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/{id}",
        {
            "@odata.type": _TYPE + "fido2AuthenticationMethodConfiguration",
            "includeTargets": [
                {"targetType": "group", "id": ids["admins"], "isRegistrationRequired": True}
            ],
            "excludeTargets": [{"targetType": "group", "id": ids["exempt"]}],
        },
        id="Fido2",
    )
