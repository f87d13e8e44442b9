"""JSON batching: forms of dependence, failures kept apart, malformed batches."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from reentra.sandbox.faults import FaultKind

from .caller import Caller


def _get(id_: str, url: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "method": "GET", "url": url, **more}


def _patch(id_: str, url: str, body: Any, **more: Any) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    return {"id": id_, "method": "PATCH", "url": url, "body": body, "headers": headers, **more}


def _run(graph: Caller, *requests: dict[str, Any]) -> dict[str, dict[str, Any]]:
    answer = graph.send("POST", "/$batch", json={"requests": list(requests)})
    assert answer.status_code == 200, answer.text
    return {part["id"]: part for part in answer.json()["responses"]}


def test_parts_succeed_and_fail_on_their_own(graph: Caller) -> None:
    user = graph.user_id("ada.berg")
    parts = _run(
        graph,
        _get("1", f"/users/{user}?$select=displayName"),
        _get("2", "users/nobody"),
        _patch("3", f"/users/{user}", {"department": "Board"}),
        _patch("4", f"/users/{user}", {"nonsense": 1}),
    )
    assert {id_: part["status"] for id_, part in parts.items()} == {
        "1": 200, "2": 404, "3": 204, "4": 400,
    }  # fmt: skip
    assert parts["1"]["body"]["displayName"] == "Ada Berg"
    assert parts["2"]["body"]["error"]["code"] == "Request_ResourceNotFound"
    assert "body" not in parts["3"]
    assert parts["1"]["headers"]["x-ms-resource-unit"] == "1"
    assert parts["1"]["headers"]["request-id"] != parts["2"]["headers"]["request-id"]


def test_answers_need_not_come_in_the_order_asked(graph: Caller) -> None:
    body = {"requests": [_get(str(n), "/organization") for n in range(3)]}
    responses = graph.send("POST", "/$batch", json=body).json()["responses"]
    assert [part["id"] for part in responses] != ["0", "1", "2"]


def test_inner_links_are_absolute_and_can_be_followed(graph: Caller) -> None:
    parts = _run(graph, _get("1", "/users?$top=5"))
    link = parts["1"]["body"]["@odata.nextLink"]
    assert link.startswith(graph.root)
    assert len(graph.all(link)) == 14


def test_plain_text_answers_are_base64(graph: Caller) -> None:
    parts = _run(graph, _get("1", "/users/$count", headers={"ConsistencyLevel": "eventual"}))
    assert base64.b64decode(parts["1"]["body"]) == b"19"


def test_what_depends_on_a_failure_is_not_run(graph: Caller) -> None:
    user = graph.user_id("ada.berg")
    parts = _run(
        graph,
        _get("1", "/users/nobody"),
        _patch("2", f"/users/{user}", {"department": "X"}, dependsOn=["1"]),
        _patch("3", f"/users/{user}", {"department": "Y"}, dependsOn=["2"]),
    )
    assert [parts[id_]["status"] for id_ in "123"] == [404, 424, 424]
    assert graph.json(f"/users/{user}?$select=department")["department"] == "Management"


def test_serial_and_same_dependence_are_allowed(graph: Caller) -> None:
    user = graph.user_id("ada.berg")
    serial = _run(
        graph,
        _patch("a", f"/users/{user}", {"department": "1"}),
        _patch("b", f"/users/{user}", {"department": "2"}, dependsOn=["A"]),
        _patch("c", f"/users/{user}", {"department": "3"}, dependsOn=["b"]),
    )
    assert {part["status"] for part in serial.values()} == {204}
    assert graph.json(f"/users/{user}?$select=department")["department"] == "3"
    same = _run(
        graph,
        _get("1", "/organization"),
        _get("2", "/domains", dependsOn=["1"]),
        _get("3", "/users", dependsOn=["1"]),
    )
    assert {part["status"] for part in same.values()} == {200}


@pytest.mark.parametrize(
    "requests",
    [
        [],
        [_get(str(n), "/users") for n in range(21)],
        [_get("a", "/users"), _get("A", "/groups")],
        [{"method": "GET", "url": "/users"}],
        [{"id": 1, "method": "GET", "url": "/users"}],
        [_get("1", "https://graph.microsoft.com/v1.0/users")],
        [_get("1", "/$batch")],
        [{"id": "1", "method": "HEAD", "url": "/users"}],
        [{"id": "1", "method": "POST", "url": "/users", "body": {}}],
        [_get("1", "/users", dependsOn=["2"])],
        [_get("1", "/users"), _get("2", "/users"), _get("3", "/users", dependsOn=["1"])],
        "not a list",
    ],
)
def test_a_malformed_batch_is_refused_whole(graph: Caller, requests: Any) -> None:
    before = graph.sandbox.counters.requests
    answer = graph.send("POST", "/$batch", json={"requests": requests})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "BadRequest"
    assert graph.sandbox.counters.requests == before + 1


def test_one_part_can_be_throttled_while_the_others_go_on(graph: Caller) -> None:
    graph.sandbox.faults.script("GET ^/groups", FaultKind.THROTTLED, seconds=7)
    parts = _run(graph, _get("1", "/users"), _get("2", "/groups"))
    assert parts["1"]["status"] == 200
    assert parts["2"]["status"] == 429
    assert parts["2"]["headers"]["Retry-After"] == "7"
    assert parts["2"]["body"]["error"]["code"] == "TooManyRequests"
    graph.sandbox.faults.assert_all_used()


def test_the_whole_batch_can_fail_before_and_after_its_effect(graph: Caller) -> None:
    user = graph.user_id("ada.berg")
    body = {"requests": [_patch("1", f"/users/{user}", {"department": "X"})]}
    graph.sandbox.faults.script(r"POST ^/\$batch", 503)
    assert graph.send("POST", "/$batch", json=body).status_code == 503
    assert graph.json(f"/users/{user}?$select=department")["department"] == "Management"
    graph.sandbox.faults.script(r"POST ^/\$batch", 504, when="after")
    assert graph.send("POST", "/$batch", json=body).status_code == 504
    assert graph.json(f"/users/{user}?$select=department")["department"] == "X"
    graph.sandbox.faults.assert_all_used()


def test_each_part_is_counted_by_itself(graph: Caller) -> None:
    graph.sandbox.counters.reset()
    _run(graph, _get("1", "/users"), _get("2", "/groups"), _get("3", "/subscribedSkus"))
    assert graph.sandbox.counters.units == 2 + 1 + 3
    assert graph.sandbox.counters.by_operation["GET /users"] == 1
    assert graph.sandbox.counters.by_operation["POST /$batch"] == 1
