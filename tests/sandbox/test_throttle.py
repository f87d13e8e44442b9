"""Limits: what a request costs, when it is refused, and what the refusal says."""

from __future__ import annotations

import pytest

from reentra.sandbox.throttle import Throttle, resource_units

from .caller import Start

_CLIENT, _TENANT = "client", "tenant"


@pytest.mark.parametrize(
    ("method", "path", "query", "units"),
    [
        ("GET", "/users", {}, 2),
        ("GET", "/users", {"$select": "id"}, 1),
        ("GET", "/users", {"$expand": "manager"}, 3),
        ("GET", "/users", {"$top": "5", "$select": "id"}, 1),
        ("GET", "/users/{id}", {}, 1),
        ("GET", "/groups", {}, 1),
        ("GET", "/groups/{id}/members", {}, 3),
        ("GET", "/groups/{id}/members", {"$select": "id"}, 2),
        ("GET", "/groups/{id}/transitiveMembers", {}, 5),
        ("GET", "/applications", {}, 2),
        ("GET", "/applications/{id}/extensionProperties", {}, 2),
        ("GET", "/oauth2PermissionGrants", {}, 2),
        ("GET", "/servicePrincipals/{id}/appRoleAssignments", {}, 2),
        ("GET", "/servicePrincipals/{id}/appRoleAssignedTo", {}, 1),
        ("GET", "/subscribedSkus", {}, 3),
        ("GET", "/users/{id}/memberOf", {}, 2),
        ("GET", "/users/{id}/licenseDetails", {}, 2),
        ("POST", "/directoryObjects/getByIds", {}, 5),
        ("POST", "/directoryObjects/getByIds", {"$select": "id"}, 2),
        ("POST", "/users/{id}/getMemberGroups", {}, 2),
        ("POST", "/users", {}, 1),
        ("PATCH", "/users/{id}", {}, 1),
        ("DELETE", "/groups/{id}/members/{id}/$ref", {}, 1),
    ],
)
def test_requests_cost_what_the_table_says(
    method: str, path: str, query: dict[str, str], units: int
) -> None:
    assert resource_units(method, path, query) == units


@pytest.mark.parametrize(("users", "limit"), [(10, 3500), (200, 5000), (2000, 8000)])
def test_the_bucket_grows_with_the_tenant(users: int, limit: int) -> None:
    throttle = Throttle(1.0, users, _TENANT)
    assert throttle.unit_limit() == limit
    for _ in range(limit // 2):
        assert throttle.admit("GET", "/users", {}, _CLIENT, 0.0).allowed
    refused = throttle.admit("GET", "/users", {}, _CLIENT, 0.0)
    assert not refused.allowed
    assert refused.retry_after_seconds == 10
    assert refused.information == "ResourceUnitLimitExceeded"
    assert refused.scope == f"Tenant_Application/ReadWrite/{_CLIENT}/{_TENANT}"
    assert throttle.admit("GET", "/users", {}, "another app", 0.0).allowed
    assert throttle.admit("GET", "/users", {}, _CLIENT, 10.1).allowed


def test_the_percentage_shows_from_eighty_percent() -> None:
    throttle = Throttle(1.0, 10, _TENANT)
    shown = [throttle.admit("GET", "/users", {}, _CLIENT, 0.0).percentage for _ in range(1750)]
    first = next(index for index, value in enumerate(shown) if value is not None)
    assert first == 1399
    assert shown[-1] == 1.0


def test_writes_have_a_quota_of_their_own() -> None:
    throttle = Throttle(1.0, 10_000, _TENANT)
    for number in range(3000):
        assert throttle.admit("PATCH", "/users/x", {}, _CLIENT, number / 100).allowed
    refused = throttle.admit("PATCH", "/users/x", {}, _CLIENT, 30.0)
    assert (refused.allowed, refused.information) == (False, "WriteLimitExceeded")
    assert refused.retry_after_seconds == 120
    assert throttle.admit("GET", "/users/x", {}, _CLIENT, 30.0).allowed
    assert throttle.admit("PATCH", "/users/x", {}, _CLIENT, 151.0).allowed


def test_all_apps_share_the_tenants_writes() -> None:
    throttle = Throttle(1.0, 10_000, _TENANT)
    allowed = sum(
        throttle.admit("PATCH", "/users/x", {}, f"app {n % 10}", n / 100).allowed
        for n in range(20_000)
    )
    assert allowed == 18_000


def test_conditional_access_answers_once_a_second_and_never_says_when_to_come_back() -> None:
    throttle = Throttle(1.0, 10, _TENANT)
    path = "/identity/conditionalAccess/policies"
    assert throttle.admit("GET", path, {}, "one app", 0.0).allowed
    refused = throttle.admit("GET", path, {}, "another app", 0.5)
    assert not refused.allowed
    assert refused.retry_after_seconds is None
    assert throttle.admit("GET", path, {}, _CLIENT, 1.0).allowed


def test_reading_keys_is_limited_by_the_minute() -> None:
    throttle = Throttle(1.0, 10, _TENANT)
    query = {"$select": "id,keyCredentials"}
    allowed = sum(
        throttle.admit("GET", "/applications/x", query, _CLIENT, n / 10).allowed for n in range(200)
    )
    assert allowed == 150


def test_a_refused_request_says_so_in_its_headers(start: Start) -> None:
    graph = start(throttle=1.0)
    path = "/identity/conditionalAccess/policies"
    assert graph.get(path).status_code == 200
    answer = graph.get(path)
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "TooManyRequests"
    assert answer.json()["error"]["innerError"]["status"] == "429"
    assert "Retry-After" not in answer.headers
    assert graph.sandbox.counters.throttled == 1


def test_limits_can_be_scaled_and_switched_off(start: Start) -> None:
    graph = start(throttle=0.001)
    answers = [graph.get("/users") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 429, 429, 429]
    assert int(answers[1].headers["Retry-After"]) >= 1
    assert answers[1].headers["x-ms-throttle-scope"].startswith("Tenant_Application/ReadWrite/")
    off = start()
    assert {off.get("/identity/conditionalAccess/policies").status_code for _ in range(5)} == {200}


@pytest.mark.parametrize("value", ["0", "-1", "often"])
def test_a_factor_that_is_none_is_refused(start: Start, value: str) -> None:
    with pytest.raises(ValueError, match=r"factor|convert"):
        start(throttle=value)
