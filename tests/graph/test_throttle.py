"""The pace: buckets, pauses that are shared, and slowing down before being told to."""

from __future__ import annotations

import threading

import pytest

from reentra import errors, progress
from reentra.graph import throttle
from reentra.graph.client import connect
from reentra.graph.pace import scopes_of
from tests.graph.scripted import SECRET, FakeClock, Reply, ScriptedGraph, Seen, problem

READ, WRITE = throttle.Scope.READ, throttle.Scope.WRITE


def test_writes_keep_to_three_thousand_in_150_seconds(clock: FakeClock) -> None:
    pace = throttle.TenantThrottle(clock=clock)
    for _ in range(6_000):
        pace.wait_for_turn({WRITE: 1.0, READ: 1.0})
    assert clock.seconds - 1_000 == pytest.approx(150, rel=0.01)


def test_resource_units_that_an_answer_reports_slow_the_next_requests(clock: FakeClock) -> None:
    pace = throttle.TenantThrottle(clock=clock)
    for _ in range(100):
        pace.wait_for_turn({READ: 1.0})
        pace.settle({READ: 1.0}, 70.0, {})
    # 7,000 units against 3,500 at once and 350 a second after that.
    assert clock.seconds - 1_000 == pytest.approx(10, rel=0.05)


def test_conditional_access_is_asked_once_a_second(graph: ScriptedGraph, clock: FakeClock) -> None:
    graph.otherwise = Reply(200, {"value": []})
    with graph.client(clock) as client:
        for _ in range(5):
            list(client.items("identity/conditionalAccess/policies"))
    assert clock.seconds - 1_000 == pytest.approx(4)


@pytest.mark.parametrize("share", ["0.8", "1.0", "1.8"])
def test_the_client_slows_down_before_it_is_throttled(
    graph: ScriptedGraph, clock: FakeClock, share: str
) -> None:
    graph.otherwise = Reply(200, {"id": "a"}, headers={"X-MS-Throttle-Limit-Percentage": share})
    with graph.client(clock) as client:
        for _ in range(11):
            client.get("users/a")
    gap = 0.05 * (1 + 10 * (float(share) - 0.8))
    assert clock.seconds - 1_000 == pytest.approx(10 * gap, rel=0.11)
    assert all(seen.method == "GET" for seen in graph.seen)


def test_below_the_mark_nothing_waits(graph: ScriptedGraph, clock: FakeClock) -> None:
    graph.otherwise = Reply(200, {"id": "a"}, headers={"x-ms-throttle-limit-percentage": "0.7"})
    with graph.client(clock) as client:
        for _ in range(50):
            client.get("users/a")
    assert not clock.slept


def test_a_pause_holds_for_every_client_of_the_application(
    graph: ScriptedGraph, clock: FakeClock
) -> None:
    limits = throttle.Limits(backoff_first_seconds=0.5)
    one = connect(graph.connection(), lambda: SECRET, limits=limits, clock=clock)
    two = connect(graph.connection(name="other"), lambda: SECRET, limits=limits, clock=clock)
    assert one._pace is two._pace
    one._pace.pause([READ], 30, {})
    graph.script = [Reply(200, {"id": "a"})]
    two.get("users/a")
    assert sum(clock.slept) == pytest.approx(30)
    one.close()
    two.close()


def test_one_error_is_told_when_nothing_but_failures_comes_for_two_minutes(
    graph: ScriptedGraph, clock: FakeClock
) -> None:
    graph.otherwise = problem(503, "ServiceUnavailable")
    with graph.client(clock) as client:
        told: list[type[errors.GraphError]] = []
        while errors.GraphDown not in told and len(told) < 20:
            with pytest.raises(errors.Unavailable) as caught:
                client.get("users/a")
            told.append(type(caught.value))
        assert 120 <= clock.seconds - 1_000 < 200
        assert told[:2] == [errors.Unavailable] * 2
        # A write is never sent again; whether it happened is not known, as ever.
        with pytest.raises(errors.OutcomeUnknown):
            client.patch("users/a", {"city": "Ulm"})
        # One answer, and everything begins anew.
        graph.script = [Reply(200, {"id": "a"})]
        client.get("users/a")
        with pytest.raises(errors.Unavailable) as again:
            client.get("users/a")
        assert not isinstance(again.value, errors.GraphDown)


def test_a_kind_that_fails_among_others_that_do_not_is_no_outage(
    graph: ScriptedGraph, clock: FakeClock
) -> None:
    def answer(seen: Seen) -> Reply:
        bad = "devices" in seen.path
        return problem(503, "ServiceUnavailable") if bad else Reply(200, {"id": "a"})

    graph.otherwise = answer
    with graph.client(clock) as client:
        for _ in range(10):
            client.get("users/a")
            with pytest.raises(errors.Unavailable) as caught:
                client.get("devices/a")
            assert not isinstance(caught.value, errors.GraphDown)
    assert clock.seconds - 1_000 > 240


def test_a_throttled_write_does_not_hold_back_reads(graph: ScriptedGraph, clock: FakeClock) -> None:
    with graph.client(clock) as client:
        headers = {"x-ms-throttle-scope": "Tenant_Application/Write/app/tenant"}
        client._pace.pause([WRITE, READ], 30, headers)
        graph.script = [Reply(200, {"id": "a"}), Reply(204)]
        client.get("users/a")
        assert not clock.slept
        client.patch("users/a", {"city": "x"})
        assert sum(clock.slept) == pytest.approx(30)


def test_a_429_of_conditional_access_holds_back_the_whole_tenant(
    graph: ScriptedGraph, clock: FakeClock
) -> None:
    path = "identity/conditionalAccess/policies"
    with graph.client(clock) as client:
        graph.script = [problem(429, "TooManyRequests"), Reply(200, {"value": []})]
        list(client.items(path))
        bucket = client._pace._tenant.by_scope[throttle.Scope.CONDITIONAL_ACCESS]
        assert bucket.paused_until > 1_000


def test_waiting_is_told_to_the_listener(graph: ScriptedGraph, clock: FakeClock) -> None:
    heard: list[progress.Event] = []
    graph.script = [problem(429, "TooManyRequests", Retry_After="7"), Reply(200, {"id": "a"})]
    with connect(graph.connection(), lambda: SECRET, clock=clock, listener=heard.append) as client:
        client.get("users/a")
        assert client.usage.waited_seconds == pytest.approx(7)
    assert heard == [progress.Waiting("Microsoft Graph asked to slow down (429)", 7.0)]


def test_two_applications_share_only_what_the_tenant_limits(clock: FakeClock) -> None:
    make = throttle.throttle_of
    one = make("https://graph.example", "T-1", "app-1", clock=clock)
    two = make("https://graph.example", "t-1", "app-2", clock=clock)
    assert one is not two
    for pace in (one, two, one, two):
        pace.wait_for_turn({throttle.Scope.CONDITIONAL_ACCESS: 1.0})
    assert sum(clock.slept) == pytest.approx(3)
    assert make("https://graph.example", "t-1", "APP-1", clock=clock) is one


def test_many_threads_share_one_bucket(clock: FakeClock) -> None:
    pace = throttle.TenantThrottle(throttle.Limits(writes=100, write_window_seconds=10), clock)
    waits: list[float] = []

    def work() -> None:
        waits.extend(pace.wait_for_turn({WRITE: 1.0}) for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waits) == 400
    assert max(waits) > 0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("12", 12),
        ("1.5", 1.5),
        ("-3", 0),
        ("", None),
        ("soon", None),
        ("Thu, 01 Jan 2026 00:17:00 GMT", 20),
        ("Thu, 01 Jan 2026 00:17:00 -0000", 20),
        ("Thu, 01 Jan 2026 00:00:00 GMT", 0),
    ],
)
def test_retry_after_is_read_in_every_form(
    clock: FakeClock, value: str, seconds: float | None
) -> None:
    found = throttle.retry_after_seconds({"retry-after": value}, clock)
    assert found == (None if seconds is None else pytest.approx(seconds))


def test_scaled_limits_allow_more_and_wait_less() -> None:
    scaled = throttle.Limits().scaled(100)
    assert scaled.writes == 300_000
    assert scaled.backoff_first_seconds == pytest.approx(0.01)
    assert scaled.max_waiting_seconds == throttle.Limits().max_waiting_seconds


@pytest.mark.parametrize(
    ("method", "url", "scopes"),
    [
        ("GET", "https://g/v1.0/users", {READ}),
        ("PATCH", "https://g/v1.0/users/a", {READ, WRITE}),
        (
            "POST",
            "https://g/v1.0/identity/conditionalAccess/policies",
            {READ, WRITE, throttle.Scope.CONDITIONAL_ACCESS},
        ),
        (
            "GET",
            "https://g/v1.0/applications/a?$select=keyCredentials",
            {READ, throttle.Scope.KEY_CREDENTIALS},
        ),
        ("GET", "https://g/v1.0/users?$filter=city eq 'conditionalAccess/policies'", {READ}),
    ],
)
def test_requests_draw_on_the_limits_that_govern_them(
    method: str, url: str, scopes: set[throttle.Scope]
) -> None:
    assert set(scopes_of(method, url)) == scopes
