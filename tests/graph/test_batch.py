"""``$batch``: twenty at a time, every answer with its request, every failure apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reentra import errors
from reentra.graph import batch
from reentra.graph.batch import BatchRequest
from reentra.graph.client import GraphClient
from tests.graph.scripted import FakeClock, Reply, ScriptedGraph, Seen, problem


def answering(*answers: dict[str, Any], is_reversed: bool = True) -> Callable[[Seen], Reply]:
    """Return a batch answer: these, numbered, in reverse order."""

    def reply(seen: Seen) -> Reply:
        ids = [part["id"] for part in seen.json["requests"]]
        numbered = [{"id": i, **a} for i, a in zip(ids, answers, strict=True)]
        return Reply(200, {"responses": numbered[::-1] if is_reversed else numbered})

    return reply


def all_ok(seen: Seen) -> Reply:
    return Reply(
        200,
        {
            "responses": [
                {"id": part["id"], "status": 200, "body": {"url": part["url"]}}
                for part in reversed(seen.json["requests"])
            ]
        },
    )


def ok(body: object = None) -> dict[str, Any]:
    return {"status": 200, "body": body}


def failed(status: int, code: str = "x", **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "status": status,
        "headers": named,
        "body": {"error": {"code": code, "message": "no"}},
    }


def gets(count: int) -> list[BatchRequest]:
    return [BatchRequest("GET", f"users/{number}") for number in range(count)]


def test_requests_go_in_twenties_and_answers_come_back_in_order(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    graph.otherwise = all_ok
    responses = client.batch(gets(45))
    assert sorted(len(seen.json["requests"]) for seen in graph.seen) == [5, 20, 20]
    assert [r.body["url"] for r in responses] == [f"/users/{n}" for n in range(45)]
    assert [r.id for r in responses] == [str(n) for n in range(45)]
    assert client.usage.batched == 45


def test_a_body_brings_its_content_type_and_reads_their_preference(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    graph.otherwise = all_ok
    client.batch([BatchRequest("POST", "users", {"a": 1}), BatchRequest("GET", "users/a")])
    write, read = graph.seen[0].json["requests"]
    assert write["headers"] == {"Content-Type": "application/json"}
    assert read["headers"] == {"Prefer": "include-unknown-enum-members"}
    assert "dependsOn" not in write


def test_a_serial_batch_is_a_chain(graph: ScriptedGraph, client: GraphClient) -> None:
    graph.otherwise = all_ok
    client.batch([BatchRequest("PATCH", "users/a", {"n": n}) for n in range(3)], is_serial=True)
    parts = graph.seen[0].json["requests"]
    assert [part.get("dependsOn") for part in parts] == [None, ["1"], ["2"]]


def test_one_failure_stays_one_failure(graph: ScriptedGraph, client: GraphClient) -> None:
    graph.script = [
        answering(ok({"id": "a"}), failed(404, "Request_ResourceNotFound"), failed(403))
    ]
    good, gone, refused = client.batch(gets(3))
    assert good.unwrap() == {"id": "a"}
    assert isinstance(gone.error, errors.GraphNotFound)
    assert isinstance(refused.error, errors.Forbidden)
    with pytest.raises(errors.GraphNotFound):
        gone.unwrap()


def test_only_throttled_parts_are_sent_again_after_the_longest_wait(
    graph: ScriptedGraph, client: GraphClient, clock: FakeClock
) -> None:
    graph.script = [
        answering(
            failed(429, Retry_After="5"),
            ok({"n": 1}),
            failed(429, retry_after="11"),
            failed(503),
        ),
        answering(ok({"n": 0}), ok({"n": 2}), ok({"n": 3})),
    ]
    responses = client.batch(gets(4))
    assert [r.body["n"] for r in responses] == [0, 1, 2, 3]
    assert [part["url"] for part in graph.seen[1].json["requests"]] == [
        "/users/0",
        "/users/2",
        "/users/3",
    ]
    assert sum(clock.slept) == pytest.approx(11)


def test_a_write_inside_is_repeated_for_429_only(graph: ScriptedGraph, client: GraphClient) -> None:
    graph.script = [
        answering(failed(429, Retry_After="1"), failed(503), failed(504)),
        answering(ok({"id": "a"})),
    ]
    writes = [BatchRequest("POST", "users", {"n": n}) for n in range(3)]
    done, *lost = client.batch(writes)
    assert done.body == {"id": "a"}
    assert all(isinstance(r.error, errors.OutcomeUnknown) for r in lost)


def test_a_throttled_chain_goes_on_from_where_it_stopped(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    graph.script = [
        answering(ok(), failed(429, Retry_After="1"), failed(424), failed(424)),
        answering(ok(), ok(), ok()),
    ]
    writes = [BatchRequest("PATCH", "users/a", {"n": n}) for n in range(4)]
    responses = client.batch(writes, is_serial=True)
    assert all(r.error is None for r in responses)
    assert [part["body"]["n"] for part in graph.seen[1].json["requests"]] == [1, 2, 3]


def test_a_request_without_an_answer_is_an_error(graph: ScriptedGraph, client: GraphClient) -> None:
    graph.script = [Reply(200, {"responses": [{"id": "2", "status": 204}]})]
    unknown, done = client.batch(
        [BatchRequest("POST", "users", {}), BatchRequest("DELETE", "users/a")]
    )
    assert isinstance(unknown.error, errors.OutcomeUnknown)
    assert done.error is None


def test_a_read_without_an_answer_is_asked_again(graph: ScriptedGraph, client: GraphClient) -> None:
    graph.script = [
        Reply(200, {"responses": [{"id": "1", "status": "200", "body": {"n": 0}}]}),
        answering(ok({"n": 1})),
    ]
    assert [r.body for r in client.batch(gets(2))] == [{"n": 0}, {"n": 1}]


def test_a_lost_batch_of_reads_is_sent_again(graph: ScriptedGraph, client: GraphClient) -> None:
    graph.script = [Reply(is_reset=True), problem(504, "x"), all_ok]
    assert len(client.batch(gets(2))) == 2


def test_after_a_lost_batch_the_outcome_of_its_writes_is_unknown(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    graph.script = [all_ok, problem(504, "x"), all_ok]
    writes = [BatchRequest("POST", "users", {"n": n}) for n in range(60)]
    responses = client.batch(writes)
    assert [r.error is None for r in responses] == [True] * 20 + [False] * 20 + [True] * 20
    assert all(isinstance(r.error, errors.OutcomeUnknown) for r in responses[20:40])


def test_after_a_refused_token_the_rest_is_not_sent(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    graph.script = [all_ok, problem(401, "x"), problem(401, "x")]
    responses = client.batch([BatchRequest("POST", "users", {"n": n}) for n in range(60)])
    assert all(r.error is None for r in responses[:20])
    assert all(isinstance(r.error, errors.Unauthenticated) for r in responses[20:])


def test_parts_that_stay_throttled_are_throttled(graph: ScriptedGraph, clock: FakeClock) -> None:
    graph.otherwise = answering(failed(429, Retry_After="100"))
    with graph.client(clock, max_waiting_seconds=150) as client:
        (response,) = client.batch([BatchRequest("POST", "users", {})])
    assert isinstance(response.error, errors.Throttled)
    assert len(graph.seen) == 2


def test_parts_that_keep_failing_are_given_up_soon(graph: ScriptedGraph, clock: FakeClock) -> None:
    graph.otherwise = answering(failed(503))
    with graph.client(clock, max_failures=3) as client:
        (response,) = client.batch(gets(1))
    assert isinstance(response.error, errors.Unavailable)
    assert len(graph.seen) == 3


def test_a_batch_of_reads_that_fails_leaves_the_others_whole(
    graph: ScriptedGraph, clock: FakeClock
) -> None:
    def by_content(seen: Seen) -> Reply:
        is_bad = any(part["url"] == "/users/25" for part in seen.json["requests"])
        return problem(504, "x") if is_bad else all_ok(seen)

    graph.otherwise = by_content
    with graph.client(clock, max_failures=2) as client:
        responses = client.batch(gets(60))
    assert [r.error is None for r in responses] == [True] * 20 + [False] * 20 + [True] * 20


def test_a_batch_cannot_delete_through_a_link() -> None:
    with pytest.raises(errors.UsageError):
        BatchRequest("DELETE", "groups/g/members/a")
    BatchRequest("DELETE", "groups/g/members/a/$ref")


def test_a_batch_request_does_not_show_its_body() -> None:
    request = BatchRequest("POST", "users", {"passwordProfile": {"password": "canary"}})
    assert "canary" not in repr(request)


def test_more_than_twenty_do_not_fit_in_one_body() -> None:
    with pytest.raises(ValueError, match="1 to 20"):
        batch.batch_body(gets(21))


def test_a_part_whose_token_is_refused_is_sent_again_with_a_fresh_one(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    graph.script = [
        answering(ok(), failed(401, "InvalidAuthenticationToken")),
        answering({"status": 204}),
    ]
    parts = [BatchRequest("GET", "users/1"), BatchRequest("PATCH", "users/2", {"city": "Ulm"})]
    assert [response.status for response in client.batch(parts)] == [200, 204]
    tokens = {seen.headers["authorization"] for seen in graph.seen}
    assert len(tokens) == 2


def test_a_part_whose_token_is_refused_twice_is_unauthenticated(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    refused = failed(401, "InvalidAuthenticationToken")
    graph.script = [answering(ok(), refused), answering(refused)]
    found = client.batch([BatchRequest("GET", "users/1"), BatchRequest("GET", "users/2")])
    assert [response.status for response in found] == [200, 401]
    assert isinstance(found[1].error, errors.Unauthenticated)
