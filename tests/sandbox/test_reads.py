"""Reading: property sets, selection, filters, expansion, casts, keys, and loud refusals."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
import requests

from reentra.sandbox import seed

from .caller import Caller, Start

_FACTS = Path(__file__).resolve().parents[2] / "../shared/graph"
_OPERATIONS = _FACTS / "operations.tsv"
_PERMISSIONS = _FACTS / "permissions.tsv"

_DEFAULT_USER = {
    "id", "businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone",
    "officeLocation", "preferredLanguage", "surname", "userPrincipalName",
}  # fmt: skip


def test_without_select_a_user_shows_its_eleven_default_properties(graph: Caller) -> None:
    for user in graph.all("/users"):
        assert set(user) == _DEFAULT_USER
    single = graph.json(f"/users/{graph.user_id('ada.berg')}")
    assert set(single) - {"@odata.context"} == _DEFAULT_USER


def test_selected_properties_appear_even_when_never_set(graph: Caller) -> None:
    user = graph.json(
        f"/users/{graph.user_id('breakglass')}?$select=id,jobTitle,otherMails,employeeOrgData"
    )
    assert user["jobTitle"] is None
    assert user["otherMails"] == []
    assert user["employeeOrgData"] is None


def test_a_password_profile_never_shows_its_password(graph: Caller) -> None:
    user = graph.json(f"/users/{graph.user_id('ada.berg')}?$select=passwordProfile")
    assert user["passwordProfile"]["password"] is None
    assert user["passwordProfile"]["forceChangePasswordNextSignIn"] is True


def test_an_unknown_property_in_select_is_refused_by_name(graph: Caller) -> None:
    status, code, message = graph.refused("GET", "/users?$select=id,nonsense")
    assert (status, code) == (400, "Request_BadRequest")
    assert "Could not find a property named 'nonsense' on type 'microsoft.graph.user'" in message


def test_sharepoint_backed_properties_are_not_implemented_in_lists(graph: Caller) -> None:
    assert graph.refused("GET", "/users?$select=skills")[:2] == (501, "NotImplemented")


def test_a_directory_extension_is_read_when_it_is_selected(graph: Caller) -> None:
    extension = next(iter(graph.sandbox.tenant.collection("extensionProperty").values()))
    name = extension.props["name"]
    user = graph.user_id("ada.berg")
    assert graph.send("PATCH", f"/users/{user}", json={name: "CC1"}).status_code == 204
    assert graph.json(f"/users/{user}?$select=id,{name}")[name] == "CC1"
    assert name not in graph.json(f"/users/{user}")
    other = name.replace("costCentre", "other")
    assert graph.refused("GET", f"/users/{user}?$select={other}")[0] == 400


def test_key_material_shows_only_when_the_credentials_are_selected_alone(graph: Caller) -> None:
    application = next(iter(graph.sandbox.tenant.collection("application").values()))
    entry = {"keyId": "11111111-1111-4111-8111-111111111111", "key": "AAAA", "type": "X",
             "usage": "Verify"}  # fmt: skip
    graph.sandbox.tenant.update(application, {"keyCredentials": [entry]})
    path = f"/applications/{application.id}"
    assert graph.json(path)["keyCredentials"][0]["key"] is None
    assert graph.json(path + "?$select=keyCredentials")["keyCredentials"][0]["key"] == "AAAA"
    listed = graph.all("/applications?$select=id,keyCredentials")
    assert all(c["key"] is None for app in listed for c in app["keyCredentials"])


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("department eq 'Sales'", 4),
        ("department eq 'SALES'", 4),
        ("department in ('Sales', 'Finance')", 7),
        ("startswith(displayName,'A')", 2),
        ("department eq 'Sales' and country eq 'DE'", 2),
        ("department eq 'Sales' or jobTitle eq 'Controller'", 5),
        ("(department eq 'Sales' or department eq 'IT') and country eq 'DE'", 5),
        ("onPremisesSyncEnabled eq true", 3),
        ("userType eq 'Guest'", 1),
        ("proxyAddresses/any(p:p eq 'SMTP:ada.berg@contoso.example')", 1),
        ("proxyAddresses/any(p:startswith(p,'smtp:ada'))", 1),
        (f"assignedLicenses/any(l:l/skuId eq {seed._SKUS[0][0]})", 3),
        ("createdDateTime ge 2020-01-01T00:00:00Z", 19),
        ("createdDateTime lt 2020-01-01T00:00:00Z", 0),
        ("displayName eq 'O''Neill'", 0),
    ],
)
def test_filters_find_what_they_say(graph: Caller, query: str, count: int) -> None:
    assert len(graph.all("/users", params={"$filter": query})) == count


def test_a_filter_by_id_finds_that_object(graph: Caller) -> None:
    first, second = graph.user_id("ada.berg"), graph.user_id("omar.haas")
    found = graph.all("/users", params={"$filter": f"id eq '{first}' or id eq '{second}'"})
    assert {user["id"] for user in found} == {first, second}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("aboutMe eq 'x'", "Request_UnsupportedQuery"),
        ("contains(displayName,'x')", "Request_UnsupportedQuery"),
        ("department ne 'Sales'", "Request_UnsupportedQuery"),
        ("not startswith(displayName,'A')", "Request_UnsupportedQuery"),
        ("endswith(mail,'.example')", "Request_UnsupportedQuery"),
        ("displayName like 'x'", "Request_BadRequest"),
        ("displayName eq", "Request_BadRequest"),
        ("displayName eq 'x", "Request_BadRequest"),
        ("id in (" + ",".join(f"'{n}'" for n in range(16)) + ")", "Request_BadRequest"),
    ],
)
def test_filters_that_graph_cannot_do_are_refused(graph: Caller, query: str, code: str) -> None:
    answer = graph.get("/users", params={"$filter": query})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_advanced_queries_work_with_eventual_consistency_and_count(graph: Caller) -> None:
    header = {"ConsistencyLevel": "eventual"}
    query = {"$filter": "department ne 'Sales'", "$count": "true"}
    page = graph.json("/users", params=query, headers=header)
    assert page["@odata.count"] == len(page["value"]) == 15
    assert graph.get("/users", params={"$filter": "department ne 'Sales'"}, headers=header
                     ).status_code == 400  # fmt: skip
    found = graph.all("/users", params={"$search": '"displayName:ada"'}, headers=header)
    assert [user["displayName"] for user in found] == ["Ada Berg"]
    assert graph.get("/users", params={"$search": '"displayName:ada"'}).status_code == 400


def test_counts_need_eventual_consistency(graph: Caller) -> None:
    answer = graph.get("/users/$count", headers={"ConsistencyLevel": "eventual"})
    assert answer.text == "19"
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert graph.refused("GET", "/users/$count")[2] == "$count is not currently supported."
    group = graph.group_id("sales")
    answer = graph.get(f"/groups/{group}/members/$count", headers={"ConsistencyLevel": "eventual"})
    assert answer.text == "5"


def test_a_principal_name_is_a_key_and_a_hash_in_it_is_encoded(graph: Caller) -> None:
    assert graph.json("/users/ada.berg@contoso.example")["displayName"] == "Ada Berg"
    assert graph.json("/users/ADA.BERG@CONTOSO.EXAMPLE")["displayName"] == "Ada Berg"
    keyed = "/users(userPrincipalName='ada.berg@contoso.example')"
    assert graph.json(keyed)["displayName"] == "Ada Berg"
    guest = next(u for u in graph.all("/users") if "#EXT#" in u["userPrincipalName"])
    encoded = guest["userPrincipalName"].replace("#", "%23")
    assert graph.json(f"/users/{encoded}")["id"] == guest["id"]


def test_alternate_keys_of_applications_principals_devices_and_groups(graph: Caller) -> None:
    application = graph.all("/applications?$filter=displayName eq 'Expense Portal'")[0]
    app_id = application["appId"]
    assert graph.json(f"/applications(appId='{app_id}')")["id"] == application["id"]
    principal = graph.json(f"/servicePrincipals(appId='{app_id}')")
    assert principal["appId"] == app_id
    device = graph.all("/devices")[0]
    assert graph.json(f"/devices(deviceId='{device['deviceId']}')")["id"] == device["id"]
    assert (
        graph.refused("GET", "/applications(appId='00000000-0000-4000-8000-000000000000')")[0]
        == 404
    )
    assert graph.refused("GET", "/devices(serial='x')")[0] == 400
    owners = graph.all(f"/applications(appId='{app_id}')/owners")
    assert [owner["displayName"] for owner in owners] == ["Theo Weber"]


def test_members_of_v1_hide_service_principals_but_expand_and_delta_show_them(
    graph: Caller,
) -> None:
    group = graph.group_id("ca-exempt")
    listed = {m["@odata.type"] for m in graph.all(f"/groups/{group}/members")}
    assert listed == {"#microsoft.graph.user", "#microsoft.graph.device"}
    expanded = graph.json(f"/groups/{group}?$expand=members")["members"]
    assert "#microsoft.graph.servicePrincipal" in {m["@odata.type"] for m in expanded}
    delta = graph.all("/groups/delta?$select=members")
    members = next(g for g in delta if g["id"] == group)["members@delta"]
    assert "#microsoft.graph.servicePrincipal" in {m["@odata.type"] for m in members}


def test_casts_narrow_members_to_one_type(graph: Caller) -> None:
    group = graph.group_id("ca-exempt")
    users = graph.all(f"/groups/{group}/members/microsoft.graph.user?$select=id,displayName")
    assert [user["displayName"] for user in users] == ["Emergency Access"]
    devices = graph.all(f"/groups/{group}/members/graph.device")
    assert len(devices) == 1
    assert graph.refused("GET", f"/groups/{group}/members/microsoft.graph.nonsense")[0] == 400


def test_ref_lists_give_addresses_only(graph: Caller) -> None:
    refs = graph.all(f"/groups/{graph.group_id('sales')}/members/$ref")
    assert all(set(ref) == {"@odata.id"} for ref in refs)
    assert graph.user_id("ben.rossi") in refs[1]["@odata.id"]


def test_a_manager_is_one_object_or_404(graph: Caller) -> None:
    user, boss = graph.user_id("lina.costa"), graph.user_id("omar.haas")
    assert graph.json(f"/users/{user}/manager")["id"] == boss
    assert graph.json(f"/users/{user}/manager/$ref")["@odata.id"].endswith(boss)
    expanded = graph.json(f"/users/{user}?$expand=manager($select=id,displayName)")
    assert expanded["manager"]["displayName"] == "Omar Haas"
    assert graph.refused("GET", f"/users/{graph.user_id('ada.berg')}/manager")[:2] == (
        404,
        "Request_ResourceNotFound",
    )
    reports = graph.all(f"/users/{boss}/directReports")
    assert {report["displayName"] for report in reports} == {"Lina Costa", "Noah Kim"}


def test_expanded_collections_stop_at_twenty_without_a_word(graph: Caller) -> None:
    tenant, group = graph.sandbox.tenant, graph.group_id("warehouse")
    for number in range(25):
        other = tenant.create("user", {"displayName": f"U{number}"})
        tenant.link("group.members", group, other.id)
    shown = graph.json(f"/groups/{group}?$expand=members($select=id)")
    assert len(shown["members"]) == 20
    assert not [name for name in shown if "nextLink" in name]
    assert len(graph.all(f"/groups/{group}/members")) == 28


def test_expanding_what_cannot_be_expanded_is_refused(graph: Caller) -> None:
    assert graph.refused("GET", "/users?$expand=nonsense")[0] == 400
    assert graph.refused("GET", "/users?$expand=extensions")[0] == 400
    assert graph.refused("GET", "/groups?$expand=members($expand=memberOf)")[0] == 400


def test_get_by_ids_leaves_out_what_is_unknown_or_deleted(graph: Caller) -> None:
    user, group = graph.user_id("ada.berg"), graph.group_id("sales")
    deleted = graph.sandbox.tenant.deleted("user")[0].id
    body = {"ids": [user, group, deleted, "00000000-0000-4000-8000-000000000000"]}
    found = graph.send("POST", "/directoryObjects/getByIds", json=body).json()["value"]
    assert {item["id"] for item in found} == {user, group}
    assert {item["@odata.type"] for item in found} == {
        "#microsoft.graph.user",
        "#microsoft.graph.group",
    }
    body = {"ids": [user, group], "types": ["group"]}
    found = graph.send("POST", "/directoryObjects/getByIds", json=body).json()["value"]
    assert [item["id"] for item in found] == [group]
    assert graph.refused("POST", "/directoryObjects/getByIds", json={"ids": ["x"] * 1001})[0] == 400


def test_get_by_ids_answers_in_one_piece(start: Start) -> None:
    graph = start(page_size=5)
    ids = list(graph.sandbox.tenant.collection("user"))
    page = graph.send("POST", "/directoryObjects/getByIds", json={"ids": ids}).json()
    assert len(page["value"]) == 19
    assert "@odata.nextLink" not in page


def test_memberships_are_seen_from_the_member(graph: Caller) -> None:
    user = graph.user_id("ben.rossi")
    direct = {item["displayName"] for item in graph.all(f"/users/{user}/memberOf")}
    assert direct == {"Sales", "Licence: Suite"}
    deep = {item["displayName"] for item in graph.all(f"/users/{user}/transitiveMemberOf")}
    assert deep == {"Sales", "Licence: Suite", "All commercial staff"}
    # A group in an administrative unit does not bring its members into it.
    body = {"securityEnabledOnly": False}
    ids = graph.send("POST", f"/users/{user}/getMemberGroups", json=body).json()["value"]
    assert len(ids) == 3


def test_assignments_are_listed_on_both_sides(graph: Caller) -> None:
    principal = graph.all("/servicePrincipals?$filter=displayName eq 'Expense Portal'")[0]["id"]
    assigned = graph.all(f"/servicePrincipals/{principal}/appRoleAssignedTo")
    assert {item["principalType"] for item in assigned} == {"User", "Group", "ServicePrincipal"}
    # A user's own list has what its groups give it.
    own = graph.all(f"/users/{graph.user_id('theo.weber')}/appRoleAssignments")
    assert [item["principalDisplayName"] for item in own] == ["Expense app users"]
    one = assigned[0]["id"]
    path = f"/servicePrincipals/{principal}/appRoleAssignedTo/{one}"
    assert graph.json(path)["id"] == one


def test_licences_are_shown_with_their_plans(graph: Caller) -> None:
    details = graph.all(f"/users/{graph.user_id('ben.rossi')}/licenseDetails")
    assert [item["skuPartNumber"] for item in details] == ["ENTERPRISEPREMIUM"]
    states = {p["servicePlanName"]: p["provisioningStatus"] for p in details[0]["servicePlans"]}
    assert states["TEAMS1"] == "Disabled"
    assert states["OFFICESUBSCRIPTION"] == "Success"
    sku = next(s for s in graph.all("/subscribedSkus") if s["skuPartNumber"] == "ENTERPRISEPREMIUM")
    assert sku["consumedUnits"] == 3


def test_roles_are_seen_in_both_models(graph: Caller) -> None:
    roles = graph.all("/directoryRoles")
    administrators = next(r for r in roles if r["displayName"] == "Global Administrator")
    members = graph.all(f"/directoryRoles/{administrators['id']}/members")
    assert {m["displayName"] for m in members} == {"Emergency Access", "Omar Haas"}
    keyed = f"/directoryRoles(roleTemplateId='{administrators['roleTemplateId']}')"
    assert graph.json(keyed)["id"] == administrators["id"]
    query = {"$filter": f"roleDefinitionId eq '{administrators['roleTemplateId']}'"}
    found = graph.all("/roleManagement/directory/roleAssignments", params=query)
    assert {a["principalId"] for a in found} == {m["id"] for m in members}
    custom = graph.all("/roleManagement/directory/roleDefinitions",
                       params={"$filter": "isBuiltIn eq false"})  # fmt: skip
    assert [role["displayName"] for role in custom] == ["Application Support"]


def test_derived_types_say_what_they_are(graph: Caller) -> None:
    found = graph.all("/identity/conditionalAccess/namedLocations")
    assert {item["@odata.type"] for item in found} == {
        "#microsoft.graph.ipNamedLocation",
        "#microsoft.graph.countryNamedLocation",
    }


def test_settings_of_the_tenant_and_of_a_group_are_apart(graph: Caller) -> None:
    assert [s["displayName"] for s in graph.all("/groupSettings")] == ["Group.Unified"]
    group = graph.group_id("finance")
    assert [s["displayName"] for s in graph.all(f"/groups/{group}/settings")] == [
        "Group.Unified.Guest"
    ]
    assert graph.send("DELETE", f"/groups/{group}").status_code == 204
    assert [s["displayName"] for s in graph.all("/groupSettings")] == ["Group.Unified"]


def test_the_recycle_bin_is_listed_by_type_only(graph: Caller) -> None:
    deleted = graph.all("/directory/deletedItems/microsoft.graph.user?$select=id,deletedDateTime")
    assert len(deleted) == 1
    assert deleted[0]["deletedDateTime"] is not None
    assert graph.refused("GET", "/directory/deletedItems")[0] == 400
    one = graph.json(f"/directory/deletedItems/{deleted[0]['id']}")
    assert one["@odata.type"] == "#microsoft.graph.user"
    assert graph.refused("GET", f"/users/{deleted[0]['id']}")[0] == 404


def test_an_unknown_address_is_told_loudly_and_counted(graph: Caller) -> None:
    status, code, message = graph.refused("GET", "/planner/plans")
    assert (status, code) == (501, "NotImplemented")
    assert "/planner/plans" in message
    assert graph.sandbox.counters.unknown == 1
    answer = requests.get(graph.server.base_url + "/beta/users", timeout=10)
    assert answer.status_code == 501
    assert graph.refused("DELETE", "/users")[0] == 405


def test_query_options_that_do_not_exist_are_refused(graph: Caller) -> None:
    assert graph.refused("GET", "/users?$skip=5")[0] == 400
    assert graph.refused("GET", "/users?$nonsense=5")[0] == 400
    assert graph.refused("GET", "/domains?$top=5")[0] == 400


def test_a_body_that_is_not_json_is_refused(graph: Caller) -> None:
    status, code, _ = graph.refused("POST", "/users", data=b"{not json")
    assert (status, code) == (400, "Request_BadRequest")


def test_a_created_object_comes_back_with_its_address(graph: Caller) -> None:
    answer = graph.send("POST", "/groups", json={
        "displayName": "New", "mailEnabled": False, "mailNickname": "new-one",
        "securityEnabled": True})  # fmt: skip
    assert answer.status_code == 201
    body = answer.json()
    assert body["@odata.context"].endswith("$metadata#groups/$entity")
    assert answer.headers["Location"].endswith(body["id"])
    assert graph.json(answer.headers["Location"])["displayName"] == "New"


def test_a_unique_name_addresses_an_upsert(graph: Caller) -> None:
    path = "/groups(uniqueName='payroll')"
    body = {"displayName": "Payroll", "mailEnabled": False, "mailNickname": "payroll",
            "securityEnabled": True}  # fmt: skip
    assert graph.refused("PATCH", path, json=body)[0] == 404
    header = {"Prefer": "create-if-missing"}
    assert graph.send("PATCH", path, json=body, headers=header).status_code == 201
    again = graph.send("PATCH", path, json={"description": "d"}, headers=header)
    assert again.status_code == 204
    assert graph.json(path + "?$select=id,description,uniqueName")["description"] == "d"


def _template(path: str) -> str:
    path = re.sub(r"\{[^}]*\}", "{}", path).replace("()", "").removesuffix("/$ref")
    return re.sub(r"\(\w+='\{\}'\)", "/{}", path).lower()


@pytest.mark.skipif(not _OPERATIONS.exists(), reason="the tables of Graph facts are not here")
def test_every_address_served_is_one_that_graph_documents(graph: Caller) -> None:
    documented: set[tuple[str, str]] = set()
    with _OPERATIONS.open(encoding="utf-8", newline="") as handle:
        documented.update((row[1], _template(row[0])) for row in csv.reader(handle, delimiter="\t"))
    with _PERMISSIONS.open(encoding="utf-8", newline="") as handle:
        documented.update((row[1], _template(row[0])) for row in csv.reader(handle, delimiter="\t"))
    served = {(r.method, _template(r.template)) for r in graph.sandbox._router.routes}
    assert len(served & documented) > 130
    assert served - documented == _ELSEWHERE


# Addresses that both tables lack, with where they come from.
_ELSEWHERE = {
    # The recycle bin of policies is in the metadata only.
    *(
        (method, f"/identity/conditionalaccess/deleteditems/{name}{rest}")
        for name in ("policies", "namedlocations")
        for method, rest in (
            ("GET", ""), ("GET", "/{}"), ("DELETE", "/{}"), ("POST", "/{}/restore"),
        )
    ),
    # Listed with a cast, which the comparison takes off.
    ("GET", "/directory/deleteditems"),
    ("GET", "/directory/administrativeunits/delta"),
    ("GET", "/groups/{}/approleassignments/{}"),
    ("GET", "/users/{}/approleassignments/{}"),
    # There to be refused.
    ("POST", "/subscribedskus"),
    ("PATCH", "/subscribedskus/{}"),
    ("DELETE", "/subscribedskus/{}"),
}  # fmt: skip


def test_the_id_comes_only_when_it_is_selected(graph: Caller) -> None:
    assert all(set(user) == {"displayName"} for user in graph.all("/users?$select=displayName"))
    user = graph.user_id("ada.berg")
    assert "id" not in graph.json(f"/users/{user}?$select=displayName")
    assert all("id" in item for item in graph.all("/users/delta?$select=displayName"))


def test_conditional_access_needs_a_licence(graph: Caller) -> None:
    graph.sandbox.tenant.options.edition = "free"
    for path in ("policies", "namedLocations", "deletedItems/policies"):
        refusal = graph.refused("GET", f"/identity/conditionalAccess/{path}")
        assert refusal[:2] == (403, "AccessDenied")
    assert graph.refused("GET", "/users?$select=signInActivity")[:2] == (
        403,
        "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
    )
    assert graph.get("/users").status_code == 200


def test_a_failure_of_the_sandbox_is_a_500_that_is_kept(
    graph: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph.sandbox._router, "find", lambda *_: 1 / 0)
    assert graph.refused("GET", "/users")[:2] == (500, "InternalServerError")
    assert "ZeroDivisionError" in graph.sandbox.counters.crashes[0]
