"""The sandbox's controls for tests in another process."""

from __future__ import annotations

from typing import Any

import requests

from reentra.sandbox.admin import answer
from reentra.sandbox.http import Request

from .caller import Caller


def _control(graph: Caller, method: str, path: str, body: Any = None) -> Any:
    url = f"{graph.server.base_url}/_sandbox/{path}"
    return requests.request(method, url, json=body, timeout=10)


def test_the_state_can_be_looked_at(graph: Caller) -> None:
    state = _control(graph, "GET", "state").json()
    assert state["tenant_id"] == graph.sandbox.tenant.tenant_id
    assert state["objects"]["user"] == 19
    assert state["deleted"] == {"user": 1, "group": 1}
    assert len(state["clients"]) == 3


def test_the_digest_follows_the_content_and_not_the_clock(graph: Caller) -> None:
    def digest() -> str:
        found: str = _control(graph, "GET", "digest").json()["digest"]
        return found

    before = digest()
    user = graph.user_id("ada.berg")
    graph.send("PATCH", f"/users/{user}", json={"department": "Board"})
    assert digest() != before
    graph.send("PATCH", f"/users/{user}", json={"department": "Management"})
    assert digest() == before
    group, member = graph.group_id("sales"), graph.user_id("ben.rossi")
    graph.send("DELETE", f"/groups/{group}/members/{member}/$ref")
    assert digest() != before
    graph.send("POST", f"/groups/{group}/members/$ref", json=graph.reference(member))
    assert digest() == before


def test_faults_can_be_scripted_from_outside(graph: Caller) -> None:
    fault = {"match": "GET ^/users", "what": "throttled", "times": 2, "seconds": 4}
    assert _control(graph, "POST", "faults", fault).json()["kind"] == "throttled"
    assert graph.get("/users").headers["Retry-After"] == "4"
    assert len(_control(graph, "GET", "faults").json()["unused"]) == 1
    _control(graph, "DELETE", "faults")
    assert graph.get("/users").status_code == 200
    assert _control(graph, "POST", "faults", {"match": "GET /", "what": 503}).status_code == 200
    assert graph.get("/users").status_code == 503


def test_the_clock_permissions_tokens_and_pages_can_be_moved(graph: Caller) -> None:
    before = graph.sandbox.clock.now()
    _control(graph, "POST", "clock/advance", {"seconds": 3600})
    assert (graph.sandbox.clock.now() - before).total_seconds() >= 3600
    _control(graph, "POST", "permissions/withdraw", {"permission": "Policy.Read.All"})
    assert graph.get("/identity/conditionalAccess/policies").status_code == 403
    _control(graph, "POST", "permissions/grant", {"permission": "Policy.Read.All"})
    assert graph.get("/identity/conditionalAccess/policies").status_code == 200
    link = graph.json("/users?$top=2")["@odata.nextLink"]
    _control(graph, "POST", "pages/expire")
    assert graph.get(link).status_code == 400
    _control(graph, "POST", "tokens/expire")
    assert graph.get("/users").status_code == 401


def test_objects_and_links_can_be_edited_in_bulk(graph: Caller) -> None:
    users = [graph.user_id("ben.rossi"), graph.user_id("mei.tanaka")]
    edit = {"type": "user", "ids": users, "properties": {"department": None}}
    assert _control(graph, "POST", "objects/edit", edit).json() == {"edited": 2}
    assert graph.json(f"/users/{users[0]}?$select=department")["department"] is None
    group = graph.group_id("finance")
    link = {"navigation": "group.members", "source": group, "targets": users}
    assert _control(graph, "POST", "links", link).json() == {"changed": 2}
    assert _control(graph, "POST", "links", {**link, "remove": True}).json() == {"changed": 2}
    assert _control(graph, "POST", "objects/delete", {"ids": users}).json() == {"deleted": 2}
    assert _control(graph, "POST", "objects/purge", {"ids": users}).json() == {"purged": 2}
    assert graph.get(f"/directory/deletedItems/{users[0]}").status_code == 404


def test_counters_and_log_can_be_read_and_reset(graph: Caller) -> None:
    graph.get("/users")
    assert _control(graph, "GET", "counters").json()["by_operation"]["GET /users"] == 1
    log = _control(graph, "GET", "log").json()["requests"]
    assert log[-1]["operation"] == "GET /users"
    _control(graph, "DELETE", "counters")
    assert _control(graph, "GET", "counters").json()["requests"] == 0


def test_options_can_be_changed_while_it_runs(graph: Caller) -> None:
    changed = _control(graph, "POST", "options", {"page_size": 3, "throttle": 2.0}).json()
    assert changed["page_size"] == 3
    assert len(graph.json("/users")["value"]) == 3
    assert graph.sandbox.world.throttle.factor == 2.0
    assert _control(graph, "POST", "options", {"nonsense": 1}).status_code == 400
    assert changed["policy_bin_serves_applications"] is False
    switched = {"policy_bin_serves_applications": True}
    assert _control(graph, "POST", "options", switched).json()["page_size"] == 3
    assert graph.sandbox.tenant.options.policy_bin_serves_applications
    assert _control(graph, "POST", "options", {"edition": "P1"}).json()["edition"] == "P1"
    assert graph.sandbox.tenant.edition == "P1"
    assert _control(graph, "POST", "options", {"edition": "P9"}).status_code == 400


def test_delta_logs_can_be_forgotten(graph: Caller) -> None:
    link = graph.pages("/users/delta")[-1]["@odata.deltaLink"]
    _control(graph, "POST", "delta/truncate", {"type": "user"})
    assert graph.get(link).status_code == 410


def test_unknown_controls_and_bad_bodies_are_refused(graph: Caller) -> None:
    unknown = _control(graph, "GET", "nonsense")
    assert unknown.status_code == 501
    assert "GET /_sandbox/state" in unknown.json()["controls"]
    assert _control(graph, "POST", "faults", {}).status_code == 400
    assert _control(graph, "POST", "faults", {"match": "GET /", "what": "x"}).status_code == 400
    assert _control(graph, "POST", "faults", []).status_code == 400


def test_only_loopback_may_control(graph: Caller) -> None:
    request = Request("GET", "/_sandbox/state", {}, peer="192.0.2.7")
    assert answer(graph.sandbox, request, ["state"]).status == 403


def test_where_a_client_sends_people_back_to_is_registered(graph: Caller) -> None:
    client = graph.sandbox.tokens.clients()[0]
    body = {"client_id": client.client_id, "redirect_uris": ["https://x.example/back"]}
    assert _control(graph, "POST", "clients/redirect-uris", body).status_code == 200
    assert client.redirect_uris == ["https://x.example/back"]
    body["client_id"] = "nobody"
    assert _control(graph, "POST", "clients/redirect-uris", body).status_code == 404
