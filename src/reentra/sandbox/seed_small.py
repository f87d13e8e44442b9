"""The small seed: one of every kind and relationship, written through Graph's own rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from reentra.sandbox import rules_dynamic, seed_policies
from reentra.sandbox.seed_people import bulk_guid
from reentra.sandbox.tenant import Record

if TYPE_CHECKING:
    from reentra.sandbox.seed import Planter

ACTIVATED_ROLES: Final = (
    "Global Administrator", "User Administrator", "Helpdesk Administrator",
    "Groups Administrator", "Authentication Administrator", "Security Reader",
)  # fmt: skip
SKU_SUITE: Final = "c7df2760-2c81-4ef7-b578-5b5392b571df"
SKU_PREMIUM: Final = "078d2b04-f1bd-4111-bbd4-b4b1b354cef4"
PLAN_TEAMS: Final = "57ff2da0-773e-42df-b2af-ffb7a2317929"
_PASSWORD: Final = "Sandbox-2026-Start"
_UNITS: Final = "/directory/administrativeUnits"
_ROLES: Final = "/roleManagement/directory"
_CA: Final = "/identity/conditionalAccess"

# alias, name, job, department, country, manager
_PEOPLE: Final = (
    ("ada.berg", "Ada Berg", "Chief Executive", "Management", "DE", ""),
    ("breakglass", "Emergency Access", "", "IT", "DE", ""),
    ("omar.haas", "Omar Haas", "Head of IT", "IT", "DE", "ada.berg"),
    ("lina.costa", "Lina Costa", "Identity Engineer", "IT", "PT", "omar.haas"),
    ("noah.kim", "Noah Kim", "Service Desk Agent", "IT", "DE", "omar.haas"),
    ("sara.novak", "Sara Novak", "Head of Sales", "Sales", "DE", "ada.berg"),
    ("ben.rossi", "Ben Rossi", "Account Manager", "Sales", "IT", "sara.novak"),
    ("mei.tanaka", "Mei Tanaka", "Account Manager", "Sales", "JP", "sara.novak"),
    ("ivan.petrov", "Ivan Petrov", "Account Manager", "Sales", "DE", "sara.novak"),
    ("clara.lund", "Clara Lund", "Finance Director", "Finance", "DK", "ada.berg"),
    ("theo.weber", "Theo Weber", "Controller", "Finance", "DE", "clara.lund"),
    ("ana.silva", "Ana Silva", "Accountant", "Finance", "PT", "clara.lund"),
    ("jens.holm", "Jens Holm", "Production Planner", "Operations", "DK", "ada.berg"),
    ("rosa.marino", "Rosa Marino", "Quality Engineer", "Operations", "IT", "jens.holm"),
    ("karim.abbas", "Karim Abbas", "Technician", "Operations", "DE", "jens.holm"),
)
_SYNCED: Final = (
    ("hugo.klein", "Hugo Klein", "Warehouse Lead", "Logistics", "DE"),
    ("vera.koch", "Vera Koch", "Forklift Driver", "Logistics", "DE"),
    ("paula.lima", "Paula Lima", "Dispatcher", "Logistics", "PT"),
)


def plant_small(planter: Planter, domain: str) -> None:
    """Add the small tenant's objects and links."""
    _plant_people(planter, domain)
    _plant_groups(planter)
    _plant_devices(planter)
    _plant_applications(planter, domain)
    _plant_units(planter)
    _plant_roles(planter)
    _plant_policies(planter)
    _plant_settings(planter)
    _plant_licences(planter)
    seed_policies.plant_examples(planter)


def _user_body(alias: str, name: str, job: str, department: str, country: str, domain: str) -> Any:
    first, _, last = name.partition(" ")
    body = {
        "accountEnabled": True,
        "displayName": name,
        "givenName": first,
        "surname": last,
        "mailNickname": alias,
        "userPrincipalName": f"{alias}@{domain}",
        "mail": f"{alias}@{domain}",
        "department": department,
        "usageLocation": country,
        "country": country,
        "companyName": "Contoso",
        "employeeId": f"C{sum(alias.encode()) % 9000 + 1000}",
        "businessPhones": ["+49 40 555 0199"],
        "preferredLanguage": "en",
        "passwordProfile": {"password": _PASSWORD, "forceChangePasswordNextSignIn": True},
    }
    if job:
        body["jobTitle"] = job
    return body


def _plant_people(planter: Planter, domain: str) -> None:
    tenant = planter.tenant
    for alias, name, job, department, country, manager in _PEOPLE:
        planter.create(alias, "/users", _user_body(alias, name, job, department, country, domain))
        if manager:
            planter.reference(
                "/users/{id}/manager/$ref", planter.ids[manager], id=planter.ids[alias]
            )
    for alias, name, job, department, country in _SYNCED:
        record = planter.create(
            alias, "/users", _user_body(alias, name, job, department, country, domain)
        )
        tenant.update(record, _synced_properties(alias, name, domain))
    guest = _invite(planter)
    planter.reference("/users/{id}/sponsors/$ref", planter.ids["sara.novak"], id=guest.id)


def _invite(planter: Planter) -> Record:
    """Invite a guest; the operation answers with the invitation, so the user is looked up."""
    planter.write(
        "POST",
        "/invitations",
        {
            "invitedUserEmailAddress": "pat.lee@fabrikam.example",
            "invitedUserDisplayName": "Pat Lee",
            "inviteRedirectUrl": "https://myapps.microsoft.com",
        },
    )
    guest = planter.tenant.holder_of_address("smtp:pat.lee@fabrikam.example")
    if guest is None:
        raise LookupError("the invited guest")
    planter.ids["guest"] = guest.id
    return guest


def _synced_properties(alias: str, name: str, domain: str) -> dict[str, Any]:
    return {
        "onPremisesDistinguishedName": f"CN={name},OU=Staff,DC=corp,DC=contoso,DC=example",
        "onPremisesDomainName": "corp.contoso.example",
        "onPremisesImmutableId": bulk_guid("immutable", sum(alias.encode())),
        "onPremisesLastSyncDateTime": "2026-01-05T07:30:00Z",
        "onPremisesSamAccountName": alias,
        "onPremisesSecurityIdentifier": "S-1-5-21-1004336348-1177238915-682003330-"
        f"{sum(alias.encode())}",
        "onPremisesSyncEnabled": True,
        "onPremisesUserPrincipalName": f"{alias}@{domain}",
    }


def _security_group(name: str, nickname: str, **more: Any) -> dict[str, Any]:
    return {
        "displayName": name,
        "mailEnabled": False,
        "mailNickname": nickname,
        "securityEnabled": True,
        **more,
    }


def _plant_groups(planter: Planter) -> None:
    ids, tenant = planter.ids, planter.tenant
    planter.create(
        "sales", "/groups", _security_group("Sales", "sales", description="Everybody in sales")
    )
    planter.create(
        "finance",
        "/groups",
        {
            "displayName": "Finance Team",
            "mailNickname": "finance",
            "mailEnabled": True,
            "securityEnabled": False,
            "groupTypes": ["Unified"],
            "visibility": "Private",
            "description": "Finance and controlling",
        },
    )
    planter.create(
        "admins",
        "/groups",
        _security_group(
            "Role Administrators", "role-admins", isAssignableToRole=True, visibility="Private"
        ),
    )
    planter.create(
        "operations",
        "/groups",
        _security_group(
            "Operations (dynamic)",
            "operations-dynamic",
            groupTypes=["DynamicMembership"],
            membershipRule='user.department -eq "Operations"',
            membershipRuleProcessingState="On",
        ),
    )
    planter.create("licensed", "/groups", _security_group("Licence: Suite", "licence-suite"))
    planter.create(
        "exempt", "/groups", _security_group("Conditional Access exemptions", "ca-exempt")
    )
    planter.create("nested", "/groups", _security_group("All commercial staff", "commercial"))
    planter.create("app-users", "/groups", _security_group("Expense app users", "expense-users"))
    synced = planter.create("synced", "/groups", _security_group("Warehouse", "warehouse"))
    members = {
        "sales": ("sara.novak", "ben.rossi", "mei.tanaka", "ivan.petrov", "guest"),
        "finance": ("clara.lund", "theo.weber", "ana.silva"),
        "admins": ("omar.haas", "lina.costa"),
        "licensed": ("ben.rossi", "mei.tanaka", "theo.weber"),
        "exempt": ("breakglass",),
        "nested": ("sales",),
        "app-users": ("theo.weber", "ana.silva", "clara.lund"),
        "synced": ("hugo.klein", "vera.koch", "paula.lima"),
    }  # fmt: skip
    owners = {"sales": "sara.novak", "finance": "clara.lund", "admins": "omar.haas",
              "licensed": "lina.costa", "app-users": "theo.weber"}  # fmt: skip
    for group, names in members.items():
        for name in names:
            planter.reference("/groups/{id}/members/$ref", ids[name], id=ids[group])
    for group, name in owners.items():
        planter.reference("/groups/{id}/owners/$ref", ids[name], id=ids[group])
    tenant.update(
        synced,
        {
            "onPremisesDomainName": "corp.contoso.example",
            "onPremisesLastSyncDateTime": "2026-01-05T07:30:00Z",
            "onPremisesNetBiosName": "CONTOSO",
            "onPremisesSamAccountName": "Warehouse",
            "onPremisesSecurityIdentifier": "S-1-5-21-1004336348-1177238915-682003330-5120",
            "onPremisesSyncEnabled": True,
        },
    )


def _plant_devices(planter: Planter) -> None:
    tenant = planter.tenant
    for number, owner in enumerate(("lina.costa", "ben.rossi", "theo.weber", "karim.abbas")):
        device_id = bulk_guid("smallDeviceId", number)
        record = tenant.create(
            "device",
            {
                "accountEnabled": True,
                "alternativeSecurityIds": [],
                "approximateLastSignInDateTime": "2026-01-04T16:20:00Z",
                "deviceId": device_id,
                "deviceOwnership": "Company",
                "deviceVersion": 2,
                "displayName": f"{owner.split('.')[0].upper()}-LAPTOP",
                "isCompliant": number != 3,
                "isManaged": number != 3,
                "operatingSystem": "Linux" if number == 3 else "Windows",
                "operatingSystemVersion": "6.12" if number == 3 else "10.0.26100.4652",
                "physicalIds": [],
                "profileType": "RegisteredDevice",
                "registrationDateTime": "2025-02-03T10:00:00Z",
                "systemLabels": [],
                "trustType": "AzureAd",
            },
        )
        planter.ids[f"device-{number}"] = record.id
        tenant.link("device.registeredOwners", record.id, planter.ids[owner])
        tenant.link("device.registeredUsers", record.id, planter.ids[owner])
    planter.reference(
        "/groups/{id}/members/$ref", planter.ids["device-3"], id=planter.ids["exempt"]
    )


def _plant_applications(planter: Planter, domain: str) -> None:
    ids = planter.ids
    role_read, role_run = bulk_guid("role", 1), bulk_guid("role", 2)
    scope_id = bulk_guid("scope", 1)
    expense = planter.create(
        "expense app",
        "/applications",
        {
            "displayName": "Expense Portal",
            "identifierUris": [f"https://expense.{domain}"],
            "appRoles": [
                _role(role_read, "Approver", ["User"]), _role(role_run, "Job", ["Application"]),
            ],
            "api": {
                "requestedAccessTokenVersion": 2,
                "oauth2PermissionScopes": [_scope(scope_id, "Expenses.Read")],
            },
            "web": {
                "redirectUris": [f"https://expense.{domain}/signin"],
                "homePageUrl": f"https://expense.{domain}",
            },
            "tags": ["finance"],
            "notes": "Owned by finance",
        },
    )  # fmt: skip
    client = planter.create(
        "client app",
        "/applications",
        {
            "displayName": "Expense Importer",
            "requiredResourceAccess": [
                {
                    "resourceAppId": expense.props["appId"],
                    "resourceAccess": [
                        {"id": role_run, "type": "Role"}, {"id": scope_id, "type": "Scope"},
                    ],
                }
            ],
        },
    )  # fmt: skip
    expense_sp = planter.create("expense", "/servicePrincipals", {"appId": expense.props["appId"]})
    client_sp = planter.create("client", "/servicePrincipals", {"appId": client.props["appId"]})
    planter.write("PATCH", "/servicePrincipals/{id}",
                  {"appRoleAssignmentRequired": True, "notes": "Restricted to finance"},
                  id=expense_sp.id)  # fmt: skip
    planter.write(
        "PATCH",
        "/applications/{id}",
        {
            "api": {
                "preAuthorizedApplications": [
                    {"appId": client.props["appId"], "delegatedPermissionIds": [scope_id]}
                ]
            }
        },
        id=expense.id,
    )
    planter.reference("/applications/{id}/owners/$ref", ids["theo.weber"], id=expense.id)
    planter.reference("/servicePrincipals/{id}/owners/$ref", ids["theo.weber"], id=expense_sp.id)
    planter.reference("/servicePrincipals/{id}/owners/$ref", ids["lina.costa"], id=client_sp.id)
    planter.reference("/groups/{id}/members/$ref", client_sp.id, id=ids["exempt"])
    planter.write("POST", "/applications/{id}/addPassword",
                  {"passwordCredential": {"displayName": "import job"}}, id=client.id)  # fmt: skip
    planter.write(
        "POST",
        "/applications/{id}/federatedIdentityCredentials",
        {
            "name": "deployment",
            "issuer": "https://token.actions.example.com",
            "subject": "repo:contoso/expense:environment:production",
            "audiences": ["api://AzureADTokenExchange"],
        },
        id=client.id,
    )
    planter.write("POST", "/applications/{id}/extensionProperties",
                  {"name": "costCentre", "dataType": "String", "targetObjects": ["User"]},
                  id=expense.id)  # fmt: skip
    for principal, role in (
        (ids["app-users"], role_read), (ids["clara.lund"], role_read), (client_sp.id, role_run),
    ):  # fmt: skip
        planter.write(
            "POST",
            "/servicePrincipals/{id}/appRoleAssignedTo",
            {"principalId": principal, "resourceId": expense_sp.id, "appRoleId": role},
            id=expense_sp.id,
        )
    planter.create(
        "grant",
        "/oauth2PermissionGrants",
        {"clientId": client_sp.id, "consentType": "AllPrincipals", "resourceId": expense_sp.id,
         "scope": "Expenses.Read"},
    )  # fmt: skip
    planter.create(
        "user grant",
        "/oauth2PermissionGrants",
        {"clientId": client_sp.id, "consentType": "Principal", "principalId": ids["theo.weber"],
         "resourceId": ids["Microsoft Graph"], "scope": "User.Read"},
    )  # fmt: skip


def _role(id_: str, value: str, members: list[str]) -> dict[str, Any]:
    return {"id": id_, "value": value, "displayName": value, "description": f"May act as {value}",
            "allowedMemberTypes": members, "isEnabled": True}  # fmt: skip


def _scope(id_: str, value: str) -> dict[str, Any]:
    return {
        "id": id_,
        "value": value,
        "type": "User",
        "isEnabled": True,
        "adminConsentDisplayName": value,
        "adminConsentDescription": f"Allows the app to use {value}",
        "userConsentDisplayName": value,
        "userConsentDescription": f"Allows the app to use {value} for you",
    }


def _plant_units(planter: Planter) -> None:
    ids = planter.ids
    unit = planter.create("unit", _UNITS, {"displayName": "Iberia", "description": "Lisbon office"})
    planter.create("hidden unit", _UNITS,
                   {"displayName": "Works council", "visibility": "HiddenMembership"})  # fmt: skip
    for name in ("lina.costa", "ana.silva", "sales", "device-0"):
        planter.reference(f"{_UNITS}/{{id}}/members/$ref", ids[name], id=unit.id)
    planter.reference(f"{_UNITS}/{{id}}/members/$ref", ids["karim.abbas"], id=ids["hidden unit"])
    planter.create(
        "scoped role",
        f"{_UNITS}/{{id}}/scopedRoleMembers",
        {"roleId": ids["Helpdesk Administrator"], "roleMemberInfo": {"id": ids["noah.kim"]}},
        id=unit.id,
    )


def _plant_roles(planter: Planter) -> None:
    ids = planter.ids
    custom = planter.create(
        "custom role",
        f"{_ROLES}/roleDefinitions",
        {
            "displayName": "Application Support",
            "description": "May look after applications",
            "isEnabled": True,
            "rolePermissions": [
                {
                    "allowedResourceActions": [
                        "microsoft.directory/applications/standard/read",
                        "microsoft.directory/applications/basic/update",
                    ]
                }
            ],
        },
    )
    for name, principal, definition, scope in (
        ("admin 1", "breakglass", ids["Global Administrator definition"], "/"),
        ("admin 2", "omar.haas", ids["Global Administrator definition"], "/"),
        ("admin 3", "admins", ids["User Administrator definition"], "/"),
        ("support", "noah.kim", custom.id, f"/{ids['expense app']}"),
        ("reader", "client", ids["Security Reader definition"], "/"),
    ):
        planter.create(
            name,
            f"{_ROLES}/roleAssignments",
            {"principalId": ids[principal], "roleDefinitionId": definition,
             "directoryScopeId": scope},
        )  # fmt: skip

    planter.create(
        "eligible",
        f"{_ROLES}/roleEligibilityScheduleRequests",
        {
            "action": "adminAssign",
            "principalId": ids["noah.kim"],
            "roleDefinitionId": ids["User Administrator definition"],
            "directoryScopeId": "/",
            "justification": "Stands in for the help desk",
            "scheduleInfo": {
                "startDateTime": "2026-01-05T08:00:00Z",
                "expiration": {"type": "noExpiration"},
            },
        },
    )


def _plant_policies(planter: Planter) -> None:
    ids, tenant = planter.ids, planter.tenant
    office = planter.create(
        "office",
        f"{_CA}/namedLocations",
        {
            "@odata.type": "#microsoft.graph.ipNamedLocation",
            "displayName": "Offices",
            "isTrusted": True,
            "ipRanges": [
                {"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "203.0.113.0/24"},
                {"@odata.type": "#microsoft.graph.iPv6CidrRange", "cidrAddress": "2001:db8::/48"},
            ],
        },
    )
    countries = planter.create(
        "countries",
        f"{_CA}/namedLocations",
        {
            "@odata.type": "#microsoft.graph.countryNamedLocation",
            "displayName": "Where we do business",
            "countriesAndRegions": ["DE", "DK", "IT", "JP", "PT"],
            "includeUnknownCountriesAndRegions": False,
            "countryLookupMethod": "clientIpAddress",
        },
    )
    role = ids["Global Administrator definition"]
    expense = tenant.collection("application")[ids["expense app"]].props["appId"]
    for name, state, users, applications, locations, grant in (
        (
            "mfa for administrators",
            "enabled",
            {"includeRoles": [role], "excludeGroups": [ids["exempt"]]},
            ["All"],
            None,
            {"operator": "OR", "builtInControls": ["mfa"]},
        ),
        (
            "block foreign countries",
            "enabledForReportingButNotEnforced",
            {"includeUsers": ["All"], "excludeUsers": [ids["breakglass"]]},
            ["All"],
            {"includeLocations": ["All"], "excludeLocations": [countries.id, office.id]},
            {"operator": "OR", "builtInControls": ["block"]},
        ),
        (
            "expenses from managed devices",
            "enabled",
            {"includeGroups": [ids["app-users"]], "excludeUsers": [ids["breakglass"]]},
            [expense],
            None,
            {"operator": "AND", "builtInControls": ["mfa", "compliantDevice"]},
        ),
    ):
        conditions: dict[str, Any] = {
            "clientAppTypes": ["all"],
            "applications": {"includeApplications": applications},
            "users": users,
        }
        if locations is not None:
            conditions["locations"] = locations
        planter.create(
            name,
            f"{_CA}/policies",
            {
                "displayName": f"CA: {name}",
                "state": state,
                "conditions": conditions,
                "grantControls": grant,
            },
        )  # fmt: skip


def _plant_settings(planter: Planter) -> None:
    planter.create(
        "group settings",
        "/groupSettings",
        {
            "templateId": "62375ab9-6b52-47ed-826b-58e47e0e304b",
            "values": [
                {"name": "EnableGroupCreation", "value": "false"},
                {"name": "GroupCreationAllowedGroupId", "value": planter.ids["admins"]},
                {"name": "UsageGuidelinesUrl", "value": "https://www.contoso.example/groups"},
            ],
        },
    )
    planter.create(
        "guest settings",
        "/groups/{id}/settings",
        {
            "templateId": "08d542b9-071f-4e16-94b0-74abb372e3d9",
            "values": [{"name": "AllowToAddGuests", "value": "false"}],
        },
        id=planter.ids["finance"],
    )


def _plant_licences(planter: Planter) -> None:
    ids = planter.ids
    suite = {"skuId": SKU_SUITE, "disabledPlans": [PLAN_TEAMS]}
    premium = {"skuId": SKU_PREMIUM, "disabledPlans": []}
    planter.write("POST", "/groups/{id}/assignLicense",
                  {"addLicenses": [suite], "removeLicenses": []}, id=ids["licensed"])  # fmt: skip
    for name in ("ada.berg", "omar.haas", "lina.costa"):
        planter.write("POST", "/users/{id}/assignLicense",
                      {"addLicenses": [premium], "removeLicenses": []}, id=ids[name])  # fmt: skip
    # This one holds the suite from its group and directly.
    planter.write("POST", "/users/{id}/assignLicense",
                  {"addLicenses": [{"skuId": SKU_SUITE, "disabledPlans": []}],
                   "removeLicenses": []}, id=ids["theo.weber"])  # fmt: skip
    tenant = planter.tenant
    rules_dynamic.settle_holder(tenant, tenant.collection("group")[ids["operations"]])


def plant_applications(planter: Planter, count: int) -> None:
    """Add plain applications with their service principals."""
    for number in range(count):
        application = planter.create(
            f"bulk app {number}",
            "/applications",
            {
                "displayName": f"Line of business {number:03d}",
                "description": "An in-house application",
                "web": {"redirectUris": [f"https://app{number:03d}.contoso.example/signin"]},
                "tags": ["in-house"],
            },
        )
        if number % 10 != 9:
            planter.create(
                f"bulk sp {number}", "/servicePrincipals", {"appId": application.props["appId"]}
            )


def plant_deleted(planter: Planter) -> None:
    """Put a user and a group into the recycle bin, as of now."""
    tenant = planter.tenant
    for alias, name in (("gone.user", "Gone User"),):
        record = planter.create(
            alias, "/users", _user_body(alias, name, "", "Sales", "DE", "contoso.example")
        )
        tenant.link("group.members", planter.ids["sales"], record.id)
        tenant.soft_delete(record)
    group = planter.create("gone group", "/groups", _security_group("Gone group", "gone-group"))
    planter.reference("/groups/{id}/members/$ref", planter.ids["ben.rossi"], id=group.id)
    tenant.soft_delete(group)
