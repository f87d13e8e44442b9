"""A tenant with one of everything, for the tests of the write rules."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from reentra.sandbox.clock import Clock
from reentra.sandbox.tenant import Record, Tenant, TenantOptions
from reentra.sandbox.writes import WriteResult, perform
from tests.sandbox.first_day import add_domain, add_sku, new_tenant

GRAPH = "https://graph.microsoft.com/v1.0"
TENANT_ID = "11111111-1111-4111-8111-111111111111"
NOBODY = "99999999-9999-4999-8999-999999999999"
SKU = "22222222-2222-4222-8222-222222222222"
SMALL_SKU = "22222222-2222-4222-8222-222222222223"
PLAN = "33333333-3333-4333-8333-333333333333"
ROLE = "44444444-4444-4444-8444-444444444444"
OFF_ROLE = "44444444-4444-4444-8444-444444444445"
APP_ONLY_ROLE = "44444444-4444-4444-8444-444444444446"
SCOPE = "55555555-5555-4555-8555-555555555555"
USER_ADMINISTRATOR = "fe930be7-5e62-47db-91af-98c3a49a38b1"
UNIFIED = "62375ab9-6b52-47ed-826b-58e47e0e304b"
GUEST_TEMPLATE = "08d542b9-071f-4e16-94b0-74abb372e3d9"


def ref(id_: str) -> dict[str, str]:
    return {"@odata.id": f"{GRAPH}/directoryObjects/{id_}"}


class World:
    """A tenant with one of everything, by short names."""

    def __init__(self, edition: str = "P2") -> None:
        options = TenantOptions(edition=edition)
        clock = Clock(datetime(2026, 1, 1, tzinfo=UTC))
        self.tenant: Tenant = new_tenant(TENANT_ID, clock=clock, options=options)
        self.ids: dict[str, str] = {}
        add_domain(self.tenant, "contoso.com")
        self.tenant.create("domain", {"isVerified": False}, "unverified.com")
        add_sku(self.tenant, SKU, "E5", 100, ((PLAN, "EXCHANGE"),))
        add_sku(self.tenant, SMALL_SKU, "SMALL", 0, ())
        for name in ("ann", "bob"):
            self.make(name, "/users", self.user(name, mail=f"{name}@contoso.com"))
        self.make("synced", "/users", self.user("synced"))
        self.tenant.update(self.record("synced"), {"onPremisesSyncEnabled": True})
        self.make("staff", "/groups", self.group("staff"))
        self.make("nested", "/groups", self.group("nested"))
        unified = {"mailEnabled": True, "securityEnabled": False, "groupTypes": ["Unified"]}
        self.make("team", "/groups", self.group("team", **unified))
        self.make("full", "/groups", self.group("full"))
        self.tenant.link("group.members", self.ids["full"], self.ids["ann"])
        self.tenant.link("group.owners", self.ids["full"], self.ids["ann"])
        if edition != "free":
            rule = {"groupTypes": ["DynamicMembership"], "membershipRule": 'user.city -eq "X"'}
            self.make("dynamic", "/groups", self.group("dynamic", **rule))
            self.make("admins", "/groups", self.group("admins", isAssignableToRole=True))
        for name, props in (
            ("syncedgroup", {"onPremisesSyncEnabled": True, "securityEnabled": True}),
            ("mailgroup", {"mailEnabled": True, "securityEnabled": True, "groupTypes": []}),
        ):
            self.ids[name] = self.tenant.create("group", {"displayName": name, **props}).id
        self.ids["linux"] = self.tenant.create("device", {"operatingSystem": "Linux"}).id
        self.ids["laptop"] = self.tenant.create("device", {"operatingSystem": "Windows"}).id
        self._applications()
        self.make("unit", "/directory/administrativeUnits", {"displayName": "Unit"})
        self.make("vault", "/directory/administrativeUnits", {
            "displayName": "Vault", "isMemberManagementRestricted": True,
        })  # fmt: skip
        self.make("guarded", "/users", self.user("guarded"))
        self.do("POST", "/directory/administrativeUnits/{vault}/members/$ref", "guarded")
        self.do("POST", "/directory/administrativeUnits/{unit}/members/$ref", "ann")
        if edition != "free":
            self._policies()

    def _applications(self) -> None:
        def role(id_: str, value: str, kind: str, enabled: bool) -> dict[str, Any]:
            return {
                "id": id_, "value": value, "displayName": value, "description": value,
                "allowedMemberTypes": [kind], "isEnabled": enabled,
            }  # fmt: skip

        scope = {"id": SCOPE, "value": "read", "type": "User", "isEnabled": True}
        roles = [
            role(ROLE, "r", "User", True),
            role(OFF_ROLE, "o", "User", False),
            role(APP_ONLY_ROLE, "a", "Application", True),
        ]
        body = {
            "displayName": "App",
            "appRoles": roles,
            "api": {"oauth2PermissionScopes": [scope]},
            "identifierUris": ["https://api.contoso.com"],
            "uniqueName": "app",
        }
        self.make("app", "/applications", body)
        self.make("bare", "/applications", {"displayName": "No principal"})
        app_id = self.record("app").props["appId"]
        self.ids["appId"] = app_id
        self.make("sp", "/servicePrincipals", {"appId": app_id})
        self.make("granted", "/servicePrincipals/{sp}/appRoleAssignedTo", {
            "principalId": self.ids["ann"], "resourceId": self.ids["sp"], "appRoleId": ROLE,
        })  # fmt: skip
        self.make("grant", "/oauth2PermissionGrants", {
            "clientId": self.ids["sp"], "resourceId": self.ids["sp"],
            "consentType": "AllPrincipals", "scope": "read",
        })  # fmt: skip
        self.make("federated", "/applications/{app}/federatedIdentityCredentials", {
            "name": "github", "issuer": "https://ci", "subject": "main", "audiences": ["a"],
        })  # fmt: skip
        self.make("extension", "/applications/{app}/extensionProperties", {
            "name": "grade", "dataType": "Integer", "targetObjects": ["Group"],
        })  # fmt: skip
        self.ids["identity"] = self.tenant.create(
            "servicePrincipal", {"appId": "mi", "servicePrincipalType": "ManagedIdentity"}
        ).id

    def _policies(self) -> None:
        self.make("office", "/identity/conditionalAccess/namedLocations", self.location())
        self.make("trusted", "/identity/conditionalAccess/namedLocations", self.location(
            displayName="Trusted", isTrusted=True,
        ))  # fmt: skip
        conditions = self.conditions(locations={"includeLocations": [self.ids["office"]]})
        self.make(
            "policy", "/identity/conditionalAccess/policies", self.policy(conditions=conditions)
        )
        self.make("custom", "/roleManagement/directory/roleDefinitions", {
            "displayName": "Custom", "isEnabled": True,
            "rolePermissions": [
                {"allowedResourceActions": ["microsoft.directory/users/basic/update"]}
            ],
        })  # fmt: skip
        self.make("assigned", "/roleManagement/directory/roleAssignments", {
            "principalId": self.ids["ann"], "roleDefinitionId": USER_ADMINISTRATOR,
            "directoryScopeId": "/",
        })  # fmt: skip
        self.make("setting", "/groupSettings", {"templateId": UNIFIED, "values": []})

    def record(self, name: str) -> Record:
        found = self.tenant.find(self.ids[name])
        assert found is not None
        return found

    def make(self, name: str, path: str, body: dict[str, Any]) -> None:
        result = perform(self.tenant, "POST", path.format(**self.ids), body)
        assert result.record is not None
        self.ids[name] = result.record.id

    def do(self, method: str, path: str, target: str) -> None:
        perform(self.tenant, method, path.format(**self.ids), ref(self.ids[target]))

    def write(self, method: str, path: str, body: Any = None) -> WriteResult:
        return perform(self.tenant, method, path.format(**self.ids), body)

    @staticmethod
    def user(name: str, **more: Any) -> dict[str, Any]:
        return {
            "accountEnabled": True,
            "displayName": name.title(),
            "mailNickname": name,
            "userPrincipalName": f"{name}@contoso.com",
            "passwordProfile": {"password": "Passw0rd!"},
            **more,
        }

    @staticmethod
    def group(name: str, **more: Any) -> dict[str, Any]:
        return {
            "displayName": name, "mailNickname": name, "mailEnabled": False,
            "securityEnabled": True, **more,
        }  # fmt: skip

    @staticmethod
    def conditions(**more: Any) -> dict[str, Any]:
        return {
            "clientAppTypes": ["all"],
            "applications": {"includeApplications": ["All"]},
            "users": {"includeUsers": ["All"]},
            **more,
        }

    @classmethod
    def policy(cls, **more: Any) -> dict[str, Any]:
        return {
            "displayName": "Policy",
            "state": "disabled",
            "conditions": cls.conditions(),
            "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
            **more,
        }

    @staticmethod
    def location(**more: Any) -> dict[str, Any]:
        v4 = "#microsoft.graph.iPv4CidrRange"
        return {
            "@odata.type": "#microsoft.graph.ipNamedLocation",
            "displayName": "Office",
            "ipRanges": [{"@odata.type": v4, "cidrAddress": "203.0.113.0/24"}],
            **more,
        }
