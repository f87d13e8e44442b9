"""Delta query: what a client must be able to rely on, and what it must be able to stand."""

from __future__ import annotations

from typing import Any

import pytest

from .caller import Caller, Start


def _round(graph: Caller, link: str, **more: Any) -> tuple[list[dict[str, Any]], str]:
    """Read a round to its end; return its entries and the link of the next one."""
    pages = graph.pages(link, **more)
    for page in pages[:-1]:
        assert "@odata.deltaLink" not in page
    return [item for page in pages for item in page["value"]], pages[-1]["@odata.deltaLink"]


def test_the_first_round_is_everything(graph: Caller) -> None:
    for path in (
        "/users", "/groups", "/devices", "/applications", "/servicePrincipals",
        "/directory/administrativeUnits", "/oauth2PermissionGrants",
    ):  # fmt: skip
        items, _ = _round(graph, path + "/delta")
        assert {item["id"] for item in items} == {item["id"] for item in graph.all(path)}, path


def test_nothing_changed_gives_an_empty_round_and_a_new_link(graph: Caller) -> None:
    _, link = _round(graph, "/users/delta")
    items, again = _round(graph, link)
    assert items == []
    assert "deltatoken" in again


def test_properties_never_set_are_absent_and_cleared_ones_are_null(graph: Caller) -> None:
    user = graph.user_id("breakglass")
    items, link = _round(graph, "/users/delta?$select=displayName,jobTitle,department")
    entry = next(item for item in items if item["id"] == user)
    assert "jobTitle" not in entry
    graph.send("PATCH", f"/users/{user}", json={"department": None})
    items, _ = _round(graph, link)
    assert items == [{"id": user, "displayName": "Emergency Access", "department": None}]


def test_only_a_change_in_what_was_selected_counts(graph: Caller) -> None:
    user = graph.user_id("ada.berg")
    _, link = _round(graph, "/users/delta?$select=displayName")
    graph.send("PATCH", f"/users/{user}", json={"department": "Board"})
    items, link = _round(graph, link)
    assert items == []
    graph.send("PATCH", f"/users/{user}", json={"displayName": "Ada B"})
    items, _ = _round(graph, link)
    assert items == [{"id": user, "displayName": "Ada B"}]


def test_return_minimal_gives_changed_properties_only(graph: Caller) -> None:
    user = graph.user_id("ada.berg")
    _, link = _round(graph, "/users/delta?$select=displayName,department,jobTitle")
    graph.send("PATCH", f"/users/{user}", json={"department": "Board"})
    minimal, _ = _round(graph, link, headers={"Prefer": "return=minimal"})
    assert minimal == [{"id": user, "department": "Board"}]
    full, _ = _round(graph, link)
    assert full[0]["jobTitle"] == "Chief Executive"


def test_soft_deleted_purged_and_restored_are_told_apart(graph: Caller) -> None:
    user = graph.user_id("ben.rossi")
    _, link = _round(graph, "/users/delta?$select=displayName")
    graph.send("DELETE", f"/users/{user}")
    items, link = _round(graph, link)
    assert items == [{"id": user, "@removed": {"reason": "changed"}}]
    graph.send("POST", f"/directory/deletedItems/{user}/restore")
    items, link = _round(graph, link)
    assert items == [{"id": user, "displayName": "Ben Rossi"}]
    graph.send("DELETE", f"/users/{user}")
    _, link = _round(graph, link)
    graph.send("DELETE", f"/directory/deletedItems/{user}")
    items, _ = _round(graph, link)
    assert items == [{"id": user, "@removed": {"reason": "deleted"}}]


def test_deleted_and_purged_within_one_round_gives_two_entries(graph: Caller) -> None:
    user = graph.user_id("ben.rossi")
    _, link = _round(graph, "/users/delta")
    graph.send("DELETE", f"/users/{user}")
    graph.send("DELETE", f"/directory/deletedItems/{user}")
    items, _ = _round(graph, link)
    assert [item["@removed"]["reason"] for item in items] == ["changed", "deleted"]


def test_members_come_as_additions_first_and_as_changes_later(graph: Caller) -> None:
    group = graph.group_id("sales")
    items, link = _round(graph, "/groups/delta?$select=displayName,members")
    entry = next(item for item in items if item["id"] == group)
    assert {link["@odata.type"] for link in entry["members@delta"]} == {"#microsoft.graph.user"}
    assert not any("@removed" in link for link in entry["members@delta"])
    gone, new = graph.user_id("ben.rossi"), graph.user_id("ada.berg")
    graph.send("DELETE", f"/groups/{group}/members/{gone}/$ref")
    graph.send("POST", f"/groups/{group}/members/$ref", json=graph.reference(new))
    items, _ = _round(graph, link)
    assert len(items) == 1
    assert items[0]["members@delta"] == [
        {"@odata.type": "#microsoft.graph.user", "id": gone, "@removed": {"reason": "deleted"}},
        {"@odata.type": "#microsoft.graph.user", "id": new},
    ]


def test_a_soft_deleted_member_stays_a_member_until_it_is_purged(graph: Caller) -> None:
    group, user = graph.group_id("sales"), graph.user_id("ben.rossi")
    _, link = _round(graph, "/groups/delta?$select=members")
    graph.send("DELETE", f"/users/{user}")
    items, link = _round(graph, link)
    assert items == []
    initial, _ = _round(graph, "/groups/delta?$select=members")
    entry = next(item for item in initial if item["id"] == group)
    assert user in {member["id"] for member in entry["members@delta"]}
    graph.send("DELETE", f"/directory/deletedItems/{user}")
    items, _ = _round(graph, link)
    removed = {item["id"]: item["members@delta"] for item in items}
    assert [m["id"] for m in removed[group]] == [user]
    assert removed[group][0]["@removed"] == {"reason": "deleted"}


def test_owners_and_managers_are_followed_when_selected(graph: Caller) -> None:
    group, user, boss = (
        graph.group_id("sales"),
        graph.user_id("ben.rossi"),
        graph.user_id("ada.berg"),
    )
    _, groups = _round(graph, "/groups/delta?$select=owners")
    _, users = _round(graph, "/users/delta?$select=displayName,manager,sponsors")
    graph.send("POST", f"/groups/{group}/owners/$ref", json=graph.reference(user))
    graph.send("PUT", f"/users/{user}/manager/$ref", json=graph.reference(boss))
    items, _ = _round(graph, groups)
    assert [link["id"] for link in items[0]["owners@delta"]] == [user]
    items, users = _round(graph, users)
    changes = {link["id"]: "@removed" in link for link in items[0]["manager@delta"]}
    assert changes == {graph.user_id("sara.novak"): True, boss: False}
    graph.send("DELETE", f"/users/{user}/manager/$ref")
    items, _ = _round(graph, users)
    assert items[0]["manager@delta"][0]["@removed"] == {"reason": "deleted"}


def test_without_select_groups_bring_members_and_users_bring_defaults_only(graph: Caller) -> None:
    groups, _ = _round(graph, "/groups/delta")
    assert any("members@delta" in group for group in groups)
    assert not any("owners@delta" in group for group in groups)
    users, _ = _round(graph, "/users/delta")
    assert not any("manager@delta" in user or "department" in user for user in users)


def test_a_large_group_comes_in_slices_on_pages_apart(start: Start) -> None:
    graph = start(delta_member_slice=3, delta_page_size=4)
    tenant, group = graph.sandbox.tenant, graph.group_id("sales")
    expected = set(tenant.all_targets("group.members", group))
    for number in range(10):
        other = tenant.create("user", {"displayName": f"U{number}"})
        tenant.link("group.members", group, other.id)
        expected.add(other.id)
    pages = graph.pages("/groups/delta?$select=displayName,members")
    on_pages = [i for i, page in enumerate(pages) for item in page["value"] if item["id"] == group]
    assert len(on_pages) == 6
    assert len(set(on_pages)) == 6
    merged = [
        link["id"]
        for page in pages
        for item in page["value"]
        if item["id"] == group
        for link in item["members@delta"]
    ]
    assert len(merged) == len(set(merged))
    assert set(merged) == expected


def test_a_change_during_the_first_round_is_told_by_the_next(start: Start) -> None:
    graph = start(delta_page_size=5)
    first = graph.json("/users/delta?$select=displayName")
    seen = {item["id"] for item in first["value"]}
    unseen = next(u for u in graph.sandbox.tenant.collection("user").values() if u.id not in seen)
    graph.send("PATCH", f"/users/{unseen.id}", json={"displayName": "Changed"})
    purged = next(iter(seen))
    graph.sandbox.tenant.purge(graph.sandbox.tenant.collection("user")[purged])
    _, link = _round(graph, first["@odata.nextLink"])
    items, _ = _round(graph, link)
    assert {item["id"] for item in items} == {unseen.id, purged}


def test_latest_gives_no_object_and_a_link_from_now(graph: Caller) -> None:
    page = graph.json("/users/delta?$select=displayName&$deltatoken=latest")
    assert page["value"] == []
    user = graph.user_id("ada.berg")
    graph.send("PATCH", f"/users/{user}", json={"displayName": "Ada B"})
    items, _ = _round(graph, page["@odata.deltaLink"])
    assert [item["id"] for item in items] == [user]


def test_after_seven_days_a_link_is_gone_and_says_where_to_start_over(graph: Caller) -> None:
    _, link = _round(graph, "/users/delta?$select=displayName,manager")
    graph.sandbox.clock.advance(7 * 24 * 3600 + 60)
    answer = graph.get(link)
    assert answer.status_code == 410
    assert answer.json()["error"]["code"] == "syncStateNotFound"
    location = answer.headers["Location"]
    assert location.endswith("$deltatoken=")
    items, _ = _round(graph, location)
    assert len(items) == 19
    assert "department" not in items[0]
    assert any("manager@delta" in item for item in items)


def test_a_link_of_another_tenant_or_of_a_forgotten_log_is_gone(
    graph: Caller, start: Start
) -> None:
    _, link = _round(graph, "/users/delta")
    graph.sandbox.tenant.truncate_log("user")
    assert graph.get(link).status_code == 410
    other = start()
    other.sandbox.tenant.tenant_id = "99999999-9999-4999-8999-999999999999"
    foreign = link.replace(graph.server.base_url, other.server.base_url)
    assert other.get(foreign).status_code == 410


def test_tokens_of_another_type_and_garbage_are_refused(graph: Caller) -> None:
    _, link = _round(graph, "/users/delta")
    assert graph.get(link.replace("/users/", "/groups/")).status_code == 400
    assert graph.get("/users/delta?$deltatoken=rubbish").status_code == 400
    assert graph.get("/users/delta?$skiptoken=rubbish").status_code == 400


@pytest.mark.parametrize("option", ["$top=5", "$orderby=displayName", "$expand=manager",
                                    "$count=true", "$search=\"displayName:a\""])  # fmt: skip
def test_other_query_options_are_refused(graph: Caller, option: str) -> None:
    assert graph.refused("GET", f"/users/delta?{option}")[:2] == (400, "Request_UnsupportedQuery")


def test_a_round_can_be_narrowed_to_ids(graph: Caller) -> None:
    first, second = graph.user_id("ada.berg"), graph.user_id("omar.haas")
    query = {"$filter": f"id eq '{first}' or id eq '{second}'", "$select": "displayName"}
    items, link = _round(graph, "/users/delta", params=query)
    assert {item["id"] for item in items} == {first, second}
    graph.send("PATCH", f"/users/{first}", json={"displayName": "A"})
    graph.send("PATCH", f"/users/{graph.user_id('ben.rossi')}", json={"displayName": "B"})
    items, _ = _round(graph, link)
    assert [item["id"] for item in items] == [first]
    many = " or ".join(f"id eq '{n}'" for n in range(51))
    assert graph.get("/users/delta", params={"$filter": many}).status_code == 400
    other = {"$filter": "displayName eq 'x'"}
    assert graph.get("/users/delta", params=other).status_code == 400


def test_replayed_changes_are_harmless_repetitions(start: Start) -> None:
    graph = start(delta_replay=50)
    user = graph.user_id("ada.berg")
    _, link = _round(graph, "/users/delta?$select=displayName")
    graph.send("PATCH", f"/users/{user}", json={"displayName": "Ada B"})
    items, link = _round(graph, link)
    assert user in {item["id"] for item in items}
    again, _ = _round(graph, link)
    assert {"id": user, "displayName": "Ada B"} in again


def test_properties_that_delta_cannot_track(graph: Caller) -> None:
    assert graph.refused("GET", "/users/delta?$select=skills")[:2] == (501, "NotImplemented")
    items, _ = _round(graph, "/users/delta?$select=displayName,licenseAssignmentStates")
    assert not any("licenseAssignmentStates" in item for item in items)


def test_grants_are_followed(graph: Caller) -> None:
    items, link = _round(graph, "/oauth2PermissionGrants/delta")
    grant = items[0]["id"]
    graph.send("PATCH", f"/oauth2PermissionGrants/{grant}", json={"scope": "openid"})
    items, link = _round(graph, link)
    assert items[0]["scope"] == "openid"
    graph.send("DELETE", f"/oauth2PermissionGrants/{grant}")
    items, _ = _round(graph, link)
    assert items == [{"id": grant, "@removed": {"reason": "deleted"}}]


def test_a_restored_group_comes_back_with_its_members(graph: Caller) -> None:
    group = graph.sandbox.tenant.deleted("group")[0].id
    _, link = _round(graph, "/groups/delta?$select=displayName,members")
    graph.send("POST", f"/directory/deletedItems/{group}/restore")
    items, _ = _round(graph, link)
    assert items[0]["displayName"] == "Gone group"
    assert [m["id"] for m in items[0]["members@delta"]] == [graph.user_id("ben.rossi")]
