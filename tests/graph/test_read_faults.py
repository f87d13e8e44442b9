"""Faults of reads: each is repeated, or told; none looks like an empty answer."""

from __future__ import annotations

import datetime as dt
import email.utils

import pytest

from reentra import errors
from reentra.graph.client import GraphClient
from tests.graph.scripted import FakeClock, Reply, ScriptedGraph, problem

ALICE = {"id": "a", "displayName": "Alice"}
BOB = {"id": "b", "displayName": "Bob"}


def test_429_with_seconds_waits_that_long(
    graph: ScriptedGraph, client: GraphClient, clock: FakeClock
) -> None:
    graph.script = [problem(429, "TooManyRequests", Retry_After="17"), Reply(200, ALICE)]
    assert client.get("users/a") == ALICE
    assert sum(clock.slept) == pytest.approx(17)


def test_429_with_a_date_waits_until_then(
    graph: ScriptedGraph, client: GraphClient, clock: FakeClock
) -> None:
    later = clock.now() + dt.timedelta(seconds=25)
    moment = email.utils.format_datetime(later, usegmt=True)
    graph.script = [problem(429, "TooManyRequests", Retry_After=moment), Reply(200, ALICE)]
    assert client.get("users/a") == ALICE
    assert sum(clock.slept) == pytest.approx(25, abs=1)


def test_429_without_retry_after_backs_off_longer_each_time(
    graph: ScriptedGraph, client: GraphClient, clock: FakeClock
) -> None:
    graph.script = [problem(429, "TooManyRequests")] * 3 + [Reply(200, ALICE)]
    client.get("users/a")
    first, second, third = clock.slept
    assert 0.7 < first < 1.3 < 1.4 < second < 2.6 < 2.9 < third < 5.1


def test_a_retry_after_of_zero_is_no_busy_loop(
    graph: ScriptedGraph, client: GraphClient, clock: FakeClock
) -> None:
    graph.script = [problem(429, "TooManyRequests", Retry_After="0")] * 2 + [Reply(200, ALICE)]
    client.get("users/a")
    assert all(seconds > 0.5 for seconds in clock.slept)


def test_endless_429_ends_in_throttled_after_all_patience(
    graph: ScriptedGraph, clock: FakeClock
) -> None:
    graph.otherwise = problem(429, "TooManyRequests", Retry_After="100")
    with (
        graph.client(clock, max_waiting_seconds=250) as client,
        pytest.raises(errors.Throttled) as caught,
    ):
        client.get("users/a")
    assert len(graph.seen) == 3
    assert caught.value.retry_after_seconds == 100
    assert caught.value.request_id == "req-1"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_5xx_on_a_read_is_repeated(
    graph: ScriptedGraph, client: GraphClient, status: int
) -> None:
    graph.script = [
        Reply(status, raw=b"<html><h1>Bad day</h1></html>", content_type="text/html"),
        Reply(200, ALICE),
    ]
    assert client.get("users/a") == ALICE
    assert client.usage.repeats == 1


def test_lasting_5xx_is_unavailable_with_the_text_of_the_gateway(
    graph: ScriptedGraph, clock: FakeClock
) -> None:
    graph.otherwise = Reply(502, raw=b"<html><h1>Bad day</h1></html>", content_type="text/html")
    with (
        graph.client(clock, max_failures=3) as client,
        pytest.raises(errors.Unavailable, match="Bad day"),
    ):
        client.get("users/a")
    assert len(graph.seen) == 3


def test_a_body_cut_in_the_middle_is_read_again(graph: ScriptedGraph, client: GraphClient) -> None:
    graph.script = [
        Reply(200, {"value": [ALICE, BOB]}, cut_after=20),
        Reply(200, {"value": [ALICE, BOB]}),
    ]
    assert list(client.items("users")) == [ALICE, BOB]


def test_a_body_in_chunks_that_ends_early_is_read_again(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    whole = {"value": [ALICE, BOB]}
    graph.script = [
        Reply(200, whole, is_chunked=True, cut_after=30),
        Reply(200, whole, is_chunked=True),
    ]
    assert list(client.items("users")) == [ALICE, BOB]


def test_a_body_that_is_no_gzip_is_read_again(graph: ScriptedGraph, client: GraphClient) -> None:
    graph.script = [
        Reply(200, {"value": [BOB]}, headers={"Content-Encoding": "gzip"}),
        Reply(200, {"value": [ALICE]}),
    ]
    assert list(client.items("users")) == [ALICE]


def test_a_reset_connection_is_tried_again(graph: ScriptedGraph, client: GraphClient) -> None:
    graph.script = [Reply(is_reset=True), Reply(200, ALICE)]
    assert client.get("users/a") == ALICE


def test_truncated_json_is_never_an_empty_page(graph: ScriptedGraph, client: GraphClient) -> None:
    graph.script = [
        Reply(200, raw=b'{"value":[{"id":"a"},{"id'),
        graph.page([ALICE]),
    ]
    assert list(client.items("users")) == [ALICE]
    assert [seen.path for seen in graph.seen] == ["/v1.0/users", "/v1.0/users"]


def test_json_that_stays_truncated_is_an_error(graph: ScriptedGraph, clock: FakeClock) -> None:
    graph.otherwise = Reply(200, raw=b'{"value":[')
    with (
        graph.client(clock, max_failures=2) as client,
        pytest.raises(errors.Unavailable, match="cannot be read as JSON"),
    ):
        list(client.items("users"))


@pytest.mark.parametrize("body", [{}, {"values": []}, {"value": None}, [], {"value": ["x"]}])
def test_an_answer_that_is_no_page_is_an_error(
    graph: ScriptedGraph, client: GraphClient, body: object
) -> None:
    graph.script = [Reply(200, body)]
    with pytest.raises(errors.Unavailable):
        list(client.items("users"))


def test_a_repeated_page_continues_from_the_last_good_link(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    graph.script = [
        graph.page([ALICE], "/v1.0/users?$skiptoken=2"),
        problem(503, "serviceNotAvailable"),
        graph.page([BOB], "/v1.0/users?$skiptoken=3"),
        graph.page([]),
    ]
    assert list(client.items("users")) == [ALICE, BOB]
    assert [seen.path.partition("=")[2] for seen in graph.seen] == ["", "2", "2", "3"]


def test_an_empty_page_with_a_link_is_not_the_end(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    graph.script = [graph.page([], "/v1.0/users?$skiptoken=2"), graph.page([BOB])]
    assert list(client.items("users")) == [BOB]


def test_headers_are_repeated_on_each_page(graph: ScriptedGraph, client: GraphClient) -> None:
    graph.script = [graph.page([ALICE], "/v1.0/users?$skiptoken=2"), graph.page([BOB])]
    list(client.items("users", headers={"ConsistencyLevel": "eventual", "Prefer": "a=b"}))
    for seen in graph.seen:
        assert seen.headers["consistencylevel"] == "eventual"
        assert seen.headers["prefer"] == "a=b, include-unknown-enum-members"
        assert seen.headers["client-request-id"]
        assert seen.headers["user-agent"].startswith("reentra/")


def test_next_links_in_a_circle_are_found(graph: ScriptedGraph, client: GraphClient) -> None:
    graph.otherwise = graph.page([ALICE], "/v1.0/users?$skiptoken=2")
    with pytest.raises(errors.Unavailable, match="circle"):
        list(client.items("users"))
    assert len(graph.seen) == 2


@pytest.mark.parametrize(
    "link",
    [
        "https://graph.example.com/v1.0/users?$skiptoken=2",
        "http://127.0.0.1:1/v1.0/users",
        "https://127.0.0.1/v1.0/users",
        "http://127.0.0.1@graph.example.com/v1.0/users",
        "//graph.example.com/v1.0/users",
    ],
)
def test_a_link_to_another_host_is_never_followed(
    graph: ScriptedGraph, client: GraphClient, link: str
) -> None:
    graph.script = [Reply(200, {"value": [ALICE], "@odata.nextLink": link})]
    pages = client.pages("users")
    assert list(next(pages).items) == [ALICE]
    with pytest.raises(errors.UntrustedLink):
        next(pages)
    assert len(graph.seen) == 1


def test_an_absolute_path_to_another_host_is_never_sent(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    with pytest.raises(errors.UntrustedLink):
        client.get("https://graph.example.com/v1.0/users")
    assert not graph.seen


def test_links_are_followed_as_they_came(graph: ScriptedGraph, client: GraphClient) -> None:
    link = "/v1.0/users?$select=id,displayName&$skiptoken=RFNwdAoAAQ%2BAB%2f%3d%3d.x-_~'()!*"
    graph.script = [graph.page([], link), graph.page([])]
    list(client.items("users", {"$select": "id,displayName", "$top": 999}))
    assert graph.seen[1].path.lower() == link.lower()


def test_401_in_the_middle_of_paging_refreshes_the_token_once(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    graph.script = [
        graph.page([ALICE], "/v1.0/users?$skiptoken=2"),
        problem(401, "InvalidAuthenticationToken", "Access token has expired."),
        graph.page([BOB]),
    ]
    assert list(client.items("users")) == [ALICE, BOB]
    assert len(graph.tokens) == 2
    assert graph.seen[2].headers["authorization"] == f"Bearer {graph.tokens[1]}"


def test_401_that_stays_is_unauthenticated(graph: ScriptedGraph, client: GraphClient) -> None:
    graph.otherwise = problem(401, "InvalidAuthenticationToken", "Invalid audience.")
    with pytest.raises(errors.Unauthenticated, match="Invalid audience"):
        client.get("users/a")
    assert len(graph.seen) == 2


@pytest.mark.parametrize(
    "reply",
    [
        problem(410, "syncStateNotFound"),
        problem(410, "resyncRequired"),
        Reply(410, raw=b"Gone", content_type="text/plain"),
        problem(400, "Directory_ExpiredPageToken"),
        problem(400, "DirectoryPageTokenNotFoundException"),
        problem(400, "Request_BadRequest", "The page token is not valid."),
        problem(400, "syncStateInvalid"),
    ],
)
def test_a_token_that_is_no_longer_good_is_delta_expired(
    graph: ScriptedGraph, client: GraphClient, reply: Reply
) -> None:
    graph.script = [reply]
    with pytest.raises(errors.DeltaExpired):
        list(client.delta("users/delta?$deltatoken=old"))


def test_a_delta_round_gives_each_page_its_link(graph: ScriptedGraph, client: GraphClient) -> None:
    link = f"{graph.url}/v1.0/users/delta?$deltatoken=new"
    graph.script = [
        graph.page([ALICE], "/v1.0/users/delta?$skiptoken=2"),
        graph.page([], **{"@odata.deltaLink": link}),
    ]
    pages = list(client.delta("users/delta", {"$select": "id"}))
    assert [(page.next_link != "", page.delta_link) for page in pages] == [
        (True, ""),
        (False, link),
    ]


def test_a_delta_round_without_a_delta_link_is_an_error(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    graph.script = [graph.page([ALICE])]
    with pytest.raises(errors.Unavailable, match="without a delta link"):
        list(client.delta("users/delta"))


def test_403_is_told_and_not_repeated(graph: ScriptedGraph, client: GraphClient) -> None:
    graph.script = [problem(403, "Authorization_RequestDenied", "Insufficient privileges.")]
    with pytest.raises(errors.Forbidden) as caught:
        list(client.items("users"))
    assert caught.value.graph_code == "Authorization_RequestDenied"
    assert len(graph.seen) == 1


def test_a_refused_connection_is_unavailable_and_says_so(
    graph: ScriptedGraph, clock: FakeClock
) -> None:
    with graph.client(clock, max_failures=3) as client:
        client.granted_roles()
        graph.stop()
        with pytest.raises(errors.Unavailable, match="refused"):
            client.get("users/a")
    assert len(clock.slept) == 2


def test_count_reads_a_number_with_a_byte_order_mark(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    graph.script = [Reply(200, raw=b"\xef\xbb\xbf4711", content_type="text/plain")]
    assert client.count("users") == 4711
    assert graph.seen[0].headers["consistencylevel"] == "eventual"
    assert graph.seen[0].path == "/v1.0/users/$count"


def test_silence_is_unavailable_for_a_read_and_unknown_for_a_write(
    graph: ScriptedGraph, clock: FakeClock
) -> None:
    graph.otherwise = Reply(is_silent=True)
    with graph.client(clock, max_failures=2) as client:
        client._options["read_timeout"] = 0.2
        with pytest.raises(errors.Unavailable, match="no answer came in time"):
            client.get("users/a")
        with pytest.raises(errors.OutcomeUnknown, match="no answer came in time"):
            client.post("users", {"displayName": "x"})
    assert [seen.method for seen in graph.seen] == ["GET", "GET", "POST"]
