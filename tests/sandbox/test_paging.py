"""Pages: links to follow as they are, tokens that belong to a query, and results that expire."""

from __future__ import annotations

import pytest

from reentra.sandbox import paging

from .caller import Caller, Start


def test_pages_give_every_object_once_and_in_order(graph: Caller) -> None:
    whole = [user["id"] for user in graph.all("/users")]
    pages = graph.pages("/users?$top=4&$select=id")
    assert [len(page["value"]) for page in pages] == [4, 4, 4, 4, 3]
    assert [user["id"] for page in pages for user in page["value"]] == whole
    assert all("@odata.nextLink" in page for page in pages[:-1])
    assert "@odata.nextLink" not in pages[-1]


def test_a_link_leads_back_to_the_host_that_was_called(graph: Caller) -> None:
    link = graph.json("/users?$top=2")["@odata.nextLink"]
    assert link.startswith(graph.root + "/users?")


@pytest.mark.parametrize("top", ["0", "1000", "-1", "many", ""])
def test_page_sizes_outside_1_to_999_are_refused(graph: Caller, top: str) -> None:
    assert graph.refused("GET", f"/users?$top={top}")[:2] == (400, "Request_BadRequest")


def test_sign_in_activity_halves_the_largest_page(graph: Caller) -> None:
    assert graph.get("/users?$select=signInActivity&$top=500").status_code == 200
    assert graph.get("/users?$select=signInActivity&$top=501").status_code == 400


def test_a_token_is_refused_by_another_query(graph: Caller) -> None:
    link = graph.json("/users?$top=2&$select=id")["@odata.nextLink"]
    assert graph.get(link.replace("select=id", "select=mail")).status_code == 400
    assert graph.get(link.replace("/users?", "/groups?")).status_code == 400
    assert graph.get(link).status_code == 200


def test_a_garbled_token_is_refused(graph: Caller) -> None:
    link = graph.json("/users?$top=2")["@odata.nextLink"]
    status, code, _ = graph.refused("GET", link[:-3] + "AAA")
    assert (status, code) == (400, "Request_BadRequest")


def test_an_expired_token_says_so(graph: Caller) -> None:
    link = graph.json("/users?$top=2")["@odata.nextLink"]
    graph.sandbox.world.results.expire_all()
    assert graph.refused("GET", link)[:2] == (400, "Directory_ExpiredPageToken")


def test_the_same_link_can_be_followed_again(graph: Caller) -> None:
    link = graph.json("/users?$top=2")["@odata.nextLink"]
    assert graph.json(link)["value"] == graph.json(link)["value"]


def test_what_is_deleted_or_created_between_pages_shifts_nothing(graph: Caller) -> None:
    whole = [user["id"] for user in graph.all("/users")]
    first = graph.json("/users?$top=5&$select=id")
    tenant = graph.sandbox.tenant
    tenant.purge(tenant.collection("user")[whole[0]])
    tenant.purge(tenant.collection("user")[whole[7]])
    tenant.create("user", {"displayName": "Late"})
    rest = graph.all(first["@odata.nextLink"])
    assert [user["id"] for user in rest] == whole[5:7] + whole[8:]


def test_the_count_stands_on_the_first_page_only(graph: Caller) -> None:
    header = {"ConsistencyLevel": "eventual"}
    pages = graph.pages("/users?$top=10&$count=true", headers=header)
    assert pages[0]["@odata.count"] == 19
    assert "@odata.count" not in pages[1]
    assert "@odata.count" not in graph.json("/users?$top=10&$count=true")


def test_empty_pages_carry_a_link_and_lose_nothing(start: Start) -> None:
    graph = start(empty_pages=True)
    pages = graph.pages("/users?$top=10&$select=id")
    assert [len(page["value"]) for page in pages] == [0, 10, 0, 9]
    assert len(graph.all("/users/delta?$select=id")) == 19
    members = graph.all(f"/groups/{graph.group_id('sales')}/members?$top=2")
    assert len(members) == 5


def test_collections_without_paging_come_whole(start: Start) -> None:
    graph = start(page_size=1)
    for path in ("/domains", "/subscribedSkus", "/directoryRoles", "/organization"):
        assert "@odata.nextLink" not in graph.json(path)
    assert "@odata.nextLink" in graph.json("/users")


def test_heavy_results_make_way_sooner_but_the_newest_stays() -> None:
    results = paging.Results()
    first = results.keep(paging.Result("q", [1], weight=1_000_000))
    second = results.keep(paging.Result("q", [2], weight=1_000_000))
    third = results.keep(paging.Result("q", [3], weight=9_000_000))
    for gone in (first, second):
        with pytest.raises(Exception, match="Directory_ExpiredPageToken"):
            results.find(gone, "q")
    assert results.find(third, "q").items == [3]


def test_old_results_make_way_for_new_ones() -> None:
    results = paging.Results()
    first = results.keep(paging.Result("q", [1]))
    for _ in range(300):
        last = results.keep(paging.Result("q", [1]))
    assert results.find(last, "q").items == [1]
    with pytest.raises(Exception, match="Directory_ExpiredPageToken"):
        results.find(first, "q")
