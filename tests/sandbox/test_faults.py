"""Scripted faults: each strikes where, when and how often it was told to."""

from __future__ import annotations

import email.utils
import time

import pytest
import requests

from reentra.sandbox.faults import FaultKind, Faults

from .caller import Caller


def test_a_fault_strikes_as_often_as_it_should_and_then_no_more(graph: Caller) -> None:
    graph.sandbox.faults.script("GET ^/users", 503, times=2)
    assert [graph.get("/users").status_code for _ in range(3)] == [503, 503, 200]
    graph.sandbox.faults.assert_all_used()


def test_a_fault_can_spare_the_first_requests(graph: Caller) -> None:
    graph.sandbox.faults.script("GET ^/users", 500, skip=2)
    assert [graph.get("/users").status_code for _ in range(4)] == [200, 200, 500, 200]


def test_a_fault_that_was_not_hit_is_told(graph: Caller) -> None:
    graph.sandbox.faults.script("DELETE ^/users", 503)
    graph.get("/users")
    with pytest.raises(AssertionError, match=r"DELETE \^/users: status struck 0 of 1"):
        graph.sandbox.faults.assert_all_used()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429, 500, 502, 503, 504])
def test_any_status_comes_with_an_envelope(graph: Caller, status: int) -> None:
    graph.sandbox.faults.script("GET ^/users", status, seconds=3)
    answer = graph.get("/users")
    assert answer.status_code == status
    assert answer.json()["error"]["code"]
    assert answer.headers["request-id"]
    assert answer.headers["Retry-After"] == "3"


def test_throttled_with_seconds_with_a_date_and_without_a_word(graph: Caller) -> None:
    faults = graph.sandbox.faults
    faults.script("GET ^/users", FaultKind.THROTTLED, seconds=5)
    assert graph.get("/users").headers["Retry-After"] == "5"
    faults.script("GET ^/users", FaultKind.THROTTLED_DATE, seconds=60)
    at = email.utils.parsedate_to_datetime(graph.get("/users").headers["Retry-After"])
    assert 55 < at.timestamp() - time.time() < 65
    faults.script("GET ^/users", FaultKind.THROTTLED)
    assert "Retry-After" not in graph.get("/users").headers


def test_before_means_no_effect_and_after_means_the_reply_is_lost(graph: Caller) -> None:
    user = graph.user_id("ada.berg")
    path = f"/users/{user}"
    graph.sandbox.faults.script("PATCH ^/users", 504, when="before")
    assert graph.send("PATCH", path, json={"department": "X"}).status_code == 504
    assert graph.json(path + "?$select=department")["department"] == "Management"
    graph.sandbox.faults.script("PATCH ^/users", 504, when="after")
    assert graph.send("PATCH", path, json={"department": "X"}).status_code == 504
    assert graph.json(path + "?$select=department")["department"] == "X"


def test_a_reset_after_the_effect_loses_the_reply_only(graph: Caller) -> None:
    graph.sandbox.faults.script("POST ^/groups", FaultKind.RESET, when="after")
    body = {"displayName": "G", "mailEnabled": False, "mailNickname": "g", "securityEnabled": True}
    with pytest.raises(requests.RequestException):
        graph.send("POST", "/groups", json=body)
    assert len(graph.all("/groups?$filter=displayName eq 'G'")) == 1
    graph.sandbox.faults.script("POST ^/groups", FaultKind.RESET)
    with pytest.raises(requests.RequestException):
        graph.send("POST", "/groups", json={**body, "displayName": "H", "mailNickname": "h"})
    assert graph.all("/groups?$filter=displayName eq 'H'") == []


def test_a_lost_reply_is_lost_even_when_it_has_no_body(graph: Caller) -> None:
    user = graph.user_id("ada.berg")
    for number in range(5):
        graph.sandbox.faults.script("PATCH ^/users", FaultKind.RESET, when="after")
        with pytest.raises(requests.RequestException):
            graph.send("PATCH", f"/users/{user}", json={"department": f"D{number}"})
        found = graph.json(f"/users/{user}?$select=department")
        assert found["department"] == f"D{number}"


def test_a_page_can_be_reset_half_way_or_truncated(graph: Caller) -> None:
    graph.sandbox.faults.script("GET ^/users", FaultKind.RESET, when="after")
    with pytest.raises(requests.RequestException):
        graph.get("/users")
    graph.sandbox.faults.script("GET ^/users", FaultKind.TRUNCATED)
    answer = graph.get("/users")
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    assert graph.get("/users").status_code == 200


def test_a_token_can_die_between_two_pages(graph: Caller) -> None:
    link = graph.json("/users?$top=5")["@odata.nextLink"]
    graph.sandbox.faults.script("GET skiptoken", FaultKind.TOKEN_EXPIRED)
    answer = graph.get(link)
    assert answer.status_code == 401
    assert 'claims="' in answer.headers["WWW-Authenticate"]
    assert graph.get(link).status_code == 401
    graph.session.headers["Authorization"] = "Bearer " + graph.sandbox.token()
    assert graph.get(link).status_code == 200


def test_links_can_expire(graph: Caller) -> None:
    faults = graph.sandbox.faults
    link = graph.json("/users?$top=5")["@odata.nextLink"]
    faults.script("GET skiptoken", FaultKind.PAGE_TOKEN_EXPIRED)
    assert graph.refused("GET", link)[:2] == (400, "Directory_ExpiredPageToken")
    assert graph.get(link).status_code == 200
    delta = graph.pages("/users/delta")[-1]["@odata.deltaLink"]
    faults.script("GET deltatoken", FaultKind.DELTA_EXPIRED)
    answer = graph.get(delta)
    assert answer.status_code == 410
    assert graph.get(answer.headers["Location"]).status_code == 200


@pytest.mark.parametrize("path", ["/users?$select=id", "/users/delta?$select=id"])
def test_an_empty_page_delays_but_loses_nothing(graph: Caller, path: str) -> None:
    graph.sandbox.faults.script("GET ^/users", FaultKind.EMPTY_PAGE)
    pages = graph.pages(path)
    assert [len(page["value"]) for page in pages] == [0, 19]


@pytest.mark.parametrize(
    "path", ["/users?$select=id", "/users?$select=id&$top=10", "/users/delta?$select=id"]
)
def test_an_object_can_come_on_two_pages(graph: Caller, path: str) -> None:
    graph.sandbox.faults.script("GET ^/users", FaultKind.DUPLICATE)
    pages = graph.pages(path)
    ids = [item["id"] for page in pages for item in page["value"]]
    assert len(pages) == 2
    assert pages[0]["value"][-1] == pages[1]["value"][0]
    assert len(set(ids)) == 19


def test_a_duplicate_on_a_later_page_of_delta(graph: Caller) -> None:
    graph.sandbox.options.delta_page_size = 8
    graph.sandbox.faults.script("GET skiptoken", FaultKind.DUPLICATE)
    ids = [i["id"] for page in graph.pages("/users/delta?$select=id") for i in page["value"]]
    assert (len(ids), len(set(ids))) == (20, 19)


def test_a_stale_replica_answers_with_what_was(graph: Caller) -> None:
    user = graph.user_id("ada.berg")
    path = f"/users/{user}?$select=department"
    graph.send("PATCH", f"/users/{user}", json={"department": "Board"})
    graph.sandbox.faults.script("GET ^/users", FaultKind.STALE)
    assert graph.json(path)["department"] == "Management"
    assert graph.json(path)["department"] == "Board"


def test_a_delayed_answer_is_right_but_late(graph: Caller) -> None:
    graph.sandbox.faults.script("GET ^/users", FaultKind.DELAY, seconds=0.15)
    began = time.monotonic()
    assert len(graph.all("/users")) == 19
    assert time.monotonic() - began >= 0.15


def test_faults_strike_in_the_order_in_which_they_were_scripted() -> None:
    faults = Faults()
    first = faults.script("GET /a", 500)
    second = faults.script(("*", "/a"), 503)
    assert faults.take("GET", "/a") is first
    assert faults.take("GET", "/a") is second
    assert faults.take("GET", "/a") is None
    assert faults.take("GET", "/b") is None
