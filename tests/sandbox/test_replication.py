"""Replication: what was written is not seen everywhere at once."""

from __future__ import annotations

from .caller import Caller, Start

_PASSWORD = {"password": "Sandbox-2026-Test"}


def _new_user(graph: Caller) -> str:
    answer = graph.send("POST", "/users", json={
        "accountEnabled": True, "displayName": "New", "mailNickname": "new",
        "userPrincipalName": "new@contoso.example", "passwordProfile": _PASSWORD})  # fmt: skip
    assert answer.status_code == 201
    created: str = answer.json()["id"]
    return created


def test_a_created_object_is_seen_only_later(start: Start) -> None:
    graph = start(replication_delay_seconds=30)
    count = len(graph.all("/users"))
    user = _new_user(graph)
    assert graph.refused("GET", f"/users/{user}")[:2] == (404, "Request_ResourceNotFound")
    assert len(graph.all("/users")) == count
    assert graph.refused("PATCH", f"/users/{user}", json={"department": "X"})[0] == 404
    graph.sandbox.clock.advance(31)
    assert graph.json(f"/users/{user}")["displayName"] == "New"
    assert len(graph.all("/users")) == count + 1


def test_a_created_object_cannot_be_referred_to_at_once(start: Start) -> None:
    graph = start(replication_delay_seconds=30)
    user, group = _new_user(graph), graph.group_id("sales")
    path = f"/groups/{group}/members/$ref"
    assert graph.refused("POST", path, json=graph.reference(user))[0] == 404
    app = graph.send("POST", "/applications", json={"displayName": "A"}).json()
    status, _, message = graph.refused("POST", "/servicePrincipals", json={"appId": app["appId"]})
    assert status == 400
    assert "does not reference a valid application object" in message
    graph.sandbox.clock.advance(31)
    assert graph.send("POST", path, json=graph.reference(user)).status_code == 204
    body = {"appId": app["appId"]}
    assert graph.send("POST", "/servicePrincipals", json=body).status_code == 201


def test_an_update_is_read_stale_at_first(start: Start) -> None:
    graph = start(replication_delay_seconds=30)
    user = graph.user_id("ada.berg")
    path = f"/users/{user}?$select=department"
    graph.send("PATCH", f"/users/{user}", json={"department": "Board"})
    assert graph.json(path)["department"] == "Management"
    listed = next(u for u in graph.all("/users?$select=id,department") if u["id"] == user)
    assert listed["department"] == "Management"
    graph.sandbox.clock.advance(31)
    assert graph.json(path)["department"] == "Board"


def test_delta_tells_a_change_in_a_later_round(start: Start) -> None:
    graph = start(replication_delay_seconds=30)
    link = graph.pages("/users/delta?$select=displayName")[-1]["@odata.deltaLink"]
    user = graph.user_id("ada.berg")
    graph.send("PATCH", f"/users/{user}", json={"displayName": "Ada B"})
    page = graph.json(link)
    assert page["value"] == []
    graph.sandbox.clock.advance(31)
    page = graph.json(page["@odata.deltaLink"])
    assert [item["id"] for item in page["value"]] == [user]


def test_an_object_created_before_the_first_round_is_not_lost(start: Start) -> None:
    graph = start(replication_delay_seconds=30)
    user = _new_user(graph)
    pages = graph.pages("/users/delta?$select=displayName")
    assert user not in {item["id"] for page in pages for item in page["value"]}
    graph.sandbox.clock.advance(31)
    later = graph.json(pages[-1]["@odata.deltaLink"])
    assert user in {item["id"] for item in later["value"]}


def test_an_object_back_from_the_bin_is_missing_for_a_moment(start: Start) -> None:
    graph = start(replication_delay_seconds=30)
    user = graph.sandbox.tenant.deleted("user")[0].id
    assert graph.send("POST", f"/directory/deletedItems/{user}/restore").status_code == 200
    assert graph.refused("GET", f"/users/{user}")[0] == 404
    graph.sandbox.clock.advance(31)
    assert graph.get(f"/users/{user}").status_code == 200
