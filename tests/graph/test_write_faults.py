"""Faults of writes: sent once, unless it is certain that nothing was executed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reentra import errors
from reentra.graph.client import GraphClient
from tests.graph.scripted import FakeClock, Reply, ScriptedGraph, problem

Write = Callable[[GraphClient], Any]

WRITES: list[Write] = [
    lambda client: client.post("users", {"displayName": "A"}),
    lambda client: client.patch("users/a", {"displayName": "A"}),
    lambda client: client.put("users/a/manager/$ref", {"@odata.id": "x"}),
    lambda client: client.delete("users/a"),
    lambda client: client.remove_reference("groups/g/members/a/$ref"),
]


@pytest.mark.parametrize("write", WRITES)
def test_429_on_a_write_was_not_executed_and_is_repeated(
    graph: ScriptedGraph, client: GraphClient, clock: FakeClock, write: Write
) -> None:
    graph.script = [problem(429, "TooManyRequests", Retry_After="3"), Reply(204)]
    write(client)
    assert len(graph.seen) == 2
    assert graph.seen[0].body == graph.seen[1].body
    assert sum(clock.slept) == pytest.approx(3)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_5xx_on_a_write_is_never_repeated(
    graph: ScriptedGraph, client: GraphClient, write: Write, status: int
) -> None:
    graph.script = [problem(status, "serviceNotAvailable", Retry_After="1")]
    with pytest.raises(errors.OutcomeUnknown) as caught:
        write(client)
    assert len(graph.seen) == 1
    assert caught.value.status == status
    assert caught.value.request_id == "req-1"


@pytest.mark.parametrize("write", WRITES)
def test_a_lost_reply_is_never_repeated(
    graph: ScriptedGraph, client: GraphClient, write: Write
) -> None:
    graph.script = [Reply(is_reset=True)]
    with pytest.raises(errors.OutcomeUnknown, match="reply was lost"):
        write(client)
    assert len(graph.seen) == 1


def test_a_reply_cut_in_the_middle_is_unknown(graph: ScriptedGraph, client: GraphClient) -> None:
    graph.script = [Reply(201, {"id": "a", "displayName": "A"}, cut_after=9)]
    with pytest.raises(errors.OutcomeUnknown):
        client.post("users", {"displayName": "A"})
    assert len(graph.seen) == 1


def test_a_created_object_whose_body_is_torn_is_unknown(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    graph.script = [Reply(201, raw=b'{"id": "a", "displ')]
    with pytest.raises(errors.OutcomeUnknown, match="torn"):
        client.post("users", {"displayName": "A"})
    assert len(graph.seen) == 1


def test_a_write_that_is_answered_in_plain_text_is_done(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    graph.script = [Reply(200, raw=b"OK", content_type="text/plain")]
    assert client.post("users/a/revokeSignInSessions") is None


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/json", ""])
def test_a_page_of_a_proxy_is_no_word_that_a_write_was_done(
    graph: ScriptedGraph, client: GraphClient, content_type: str
) -> None:
    page = b"<html><body>Sign in to the network</body></html>"
    graph.script = [Reply(200, raw=page, content_type=content_type)]
    with pytest.raises(errors.OutcomeUnknown, match="a page and not Graph's answer"):
        client.patch("users/a", {"displayName": "A"})
    assert len(graph.seen) == 1


def test_a_refused_connection_on_a_write_was_not_sent_and_is_tried_again(
    graph: ScriptedGraph, clock: FakeClock
) -> None:
    with graph.client(clock, max_failures=3) as client:
        client.granted_roles()
        graph.stop()
        with pytest.raises(errors.Unavailable, match="refused"):
            client.post("users", {"displayName": "A"})
    assert len(clock.slept) == 2


def test_a_reply_lost_while_handling_a_refused_connection_is_still_unknown(
    graph: ScriptedGraph, clock: FakeClock
) -> None:
    gone = ScriptedGraph()
    with gone.client(clock, max_failures=1) as elsewhere, graph.client(clock) as client:
        elsewhere.granted_roles()
        gone.stop()
        graph.script = [Reply(is_reset=True)]
        try:
            elsewhere.get("users/a")
        except errors.Unavailable:
            with pytest.raises(errors.OutcomeUnknown):
                client.post("users", {"displayName": "A"})
    assert len(graph.seen) == 1


def test_a_401_on_a_write_was_not_executed_and_is_sent_again(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    graph.script = [problem(401, "InvalidAuthenticationToken"), Reply(201, {"id": "a"})]
    assert client.post("users", {"displayName": "A"}) == {"id": "a"}
    assert len(graph.seen) == 2
    assert len(graph.tokens) == 2


def test_a_post_that_only_asks_is_repeated_like_a_read(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    graph.script = [problem(503, "x"), Reply(200, {"value": []})]
    assert client.read("directoryObjects/getByIds", {"ids": ["a"]}) == {"value": []}


def test_501_is_a_refusal_and_not_an_unknown_outcome(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    graph.script = [problem(501, "NotImplemented")]
    with pytest.raises(errors.InvalidRequest):
        client.post("users", {"displayName": "A"})


def test_the_writes_of_a_client_are_counted(graph: ScriptedGraph, client: GraphClient) -> None:
    graph.script = [Reply(204), Reply(200, {"id": "a"})]
    client.patch("users/11111111-2222-3333-4444-555555555555", {"city": "x"})
    client.get("users/alice@example.com/manager", {"$select": "id"})
    usage = client.usage.snapshot()
    assert (usage.requests, usage.writes) == (2, 1)
    assert usage.operations == {"PATCH /users/{id}": 1, "GET /users/{id}/manager": 1}


@pytest.mark.parametrize(
    "path",
    [
        "groups/g/members/a",
        "/groups/g/members/a",
        "v1.0/groups/g/members/a",
        "groups/g/Members/a",
        "groups/g/owners/a",
        "users/a/manager",
        "users/a/memberOf/g",
        "directory/administrativeUnits/u/members/a",
        "applications/a/owners/b",
        "devices/d/registeredOwners/a",
        "users/a/unheardOf/b",
        "groups/g/members/a/",
        "groups//a",
        "groups",
        "directory/administrativeUnits",
        "directory/deletedItems",
        "groups/g/../x",
    ],
)
def test_a_delete_through_a_link_is_never_sent(
    graph: ScriptedGraph, client: GraphClient, path: str
) -> None:
    with pytest.raises(errors.UsageError):
        client.delete(path)
    assert not graph.seen


@pytest.mark.parametrize(
    "path",
    [
        "users/a",
        "groups/g",
        "directory/administrativeUnits/u",
        "identity/conditionalAccess/policies/p",
        "identity/conditionalAccess/namedLocations/p",
        "roleManagement/directory/roleAssignments/r",
        "servicePrincipals/s/appRoleAssignedTo/r",
        "oauth2PermissionGrants/g",
        "groupSettings/s",
        "directory/deletedItems/a",
    ],
)
def test_an_object_is_deleted_in_its_own_collection(
    graph: ScriptedGraph, client: GraphClient, path: str
) -> None:
    graph.script = [Reply(204)]
    client.delete(path)
    assert (graph.seen[0].method, graph.seen[0].path) == ("DELETE", f"/v1.0/{path}")


def test_delete_and_remove_reference_do_not_stand_in_for_each_other(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    with pytest.raises(errors.UsageError):
        client.delete("groups/g/members/a/$ref")
    with pytest.raises(errors.UsageError):
        client.remove_reference("groups/g")
    assert not graph.seen
