"""What every answer carries besides its content."""

from __future__ import annotations

import gzip
import json

import requests

from .caller import Caller, Start


def test_every_answer_carries_graphs_headers(graph: Caller) -> None:
    mine = "3f2b6a0e-1111-4222-8333-444455556666"
    answer = graph.get("/users", headers={"client-request-id": mine})
    headers = answer.headers
    assert headers["Content-Type"].startswith("application/json;odata.metadata=minimal")
    assert headers["client-request-id"] == mine
    assert headers["request-id"] != mine
    assert headers["x-ms-resource-unit"] == "2"
    assert json.loads(headers["x-ms-ags-diagnostic"])["ServerInfo"]["DataCenter"]
    assert headers["Strict-Transport-Security"]
    assert headers["odata-version"] == "4.0"
    assert headers["Date"].endswith("GMT")


def test_request_ids_differ(graph: Caller) -> None:
    ids = {graph.get("/organization").headers["request-id"] for _ in range(5)}
    assert len(ids) == 5


def test_a_refusal_repeats_its_ids_in_the_envelope(graph: Caller) -> None:
    mine = "3f2b6a0e-1111-4222-8333-444455556666"
    answer = graph.get("/users/nobody", headers={"client-request-id": mine})
    inner = answer.json()["error"]["innerError"]
    assert inner["request-id"] == answer.headers["request-id"]
    assert inner["client-request-id"] == mine
    assert inner["date"]


def test_the_context_names_what_was_asked_for(graph: Caller) -> None:
    def context(path: str) -> str:
        text: str = graph.json(path)["@odata.context"]
        return text.removeprefix(graph.root + "/$metadata#")

    assert context("/users") == "users"
    assert context("/users?$select=id,displayName") == "users(id,displayName)"
    assert context(f"/users/{graph.user_id('ada.berg')}") == "users/$entity"
    assert context(f"/groups/{graph.group_id('sales')}/members") == "directoryObjects"


def test_gzip_is_used_when_switched_on_and_asked_for(start: Start) -> None:
    graph = start(gzip=True)
    url, token = graph.root + "/users", graph.session.headers["Authorization"]
    answer = requests.get(
        url,
        headers={"Authorization": token, "Accept-Encoding": "gzip"},
        timeout=10,
        stream=True,
    )
    raw = answer.raw.read(decode_content=False)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(raw))["value"]) == 19
    plain = requests.get(
        url, headers={"Authorization": token, "Accept-Encoding": "identity"}, timeout=10
    )
    assert "Content-Encoding" not in plain.headers


def test_what_was_asked_is_counted_and_logged(graph: Caller) -> None:
    graph.sandbox.counters.reset()
    graph.get("/users")
    graph.send("PATCH", f"/users/{graph.user_id('ada.berg')}", json={"department": "X"})
    graph.get("/users/nobody")
    counters = graph.sandbox.counters
    assert (counters.requests, counters.writes, counters.units) == (3, 1, 4)
    assert counters.by_operation["GET /users"] == 1
    assert counters.by_operation["PATCH /users/{id}"] == 1
    assert [entry.status for entry in counters.log] == [200, 204, 404]
