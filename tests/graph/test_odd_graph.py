"""A Graph that says less, or more, than its documentation promises: reads stay right."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from reentra.backup import reading
from reentra.backup.ahead import ReadAhead
from reentra.directory.kinds import KINDS
from reentra.directory.objects import Relationship
from reentra.graph import writer
from reentra.graph.client import GraphClient
from reentra.graph.reader import LiveTenant
from reentra.graph.writer import OutcomeKind, TenantWriter
from tests.graph.scripted import Reply, ScriptedGraph, Seen

ANN = "0000000a-0000-4000-8000-00000000000a"
BOT = "0000000b-0000-4000-8000-00000000000b"
TEAM = "0000000c-0000-4000-8000-00000000000c"
PORTAL = "0000000d-0000-4000-8000-00000000000d"
USER, PRINCIPAL = "#microsoft.graph.user", "#microsoft.graph.servicePrincipal"
NOT_FOUND = {"error": {"code": "Request_ResourceNotFound", "message": "It does not exist."}}

Routes = Mapping[str, Any]


def serve(graph: ScriptedGraph, routes: Routes) -> None:
    """Answer ``METHOD /path`` (no query) by ``routes``; parts of a batch in reverse order."""

    def one(method: str, url: str) -> tuple[int, Any]:
        path = unquote(urlsplit(url).path).removeprefix("/v1.0")
        body = routes.get(f"{method} {path}")
        return (404, NOT_FOUND) if body is None else (200, body)

    def answer(seen: Seen) -> Reply:
        if not seen.path.endswith("/$batch"):
            return Reply(*one(seen.method, seen.path))
        responses: list[dict[str, Any]] = []
        for part in seen.json["requests"]:
            status, body = one(part["method"], part["url"])
            responses.insert(0, {"id": part["id"], "status": status, "body": body})
        return Reply(200, json.loads(json.dumps({"responses": responses})))

    graph.otherwise = answer


def test_an_expansion_that_is_ignored_is_no_empty_list(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    serve(
        graph,
        {
            "GET /applications": {"value": [{"id": PORTAL}]},
            f"GET /applications/{PORTAL}/owners": {"value": [{"@odata.type": USER, "id": ANN}]},
        },
    )
    found = list(LiveTenant(client).list_relationships("application.owners"))
    assert found == [Relationship("application.owners", PORTAL, ANN, "user")]


def test_deleted_objects_among_ids_are_not_there(graph: ScriptedGraph, client: GraphClient) -> None:
    serve(
        graph,
        {
            "POST /directoryObjects/getByIds": {
                "value": [
                    {"@odata.type": USER, "id": ANN.upper(), "displayName": "Ann"},
                    {
                        "@odata.type": PRINCIPAL,
                        "id": BOT,
                        "displayName": "Bot",
                        "deletedDateTime": "2026-01-02T03:04:05Z",
                    },
                ]
            }
        },
    )
    assert LiveTenant(client).load_names([ANN, BOT]) == {ANN: ("user", "Ann")}


def test_service_principals_are_found_in_a_delta_that_names_no_types(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    serve(
        graph,
        {
            f"GET /groups/{TEAM}/members": {"value": [{"id": ANN}]},
            "GET /groups/delta": {
                "value": [{"id": TEAM, "members@delta": [{"id": ANN}, {"id": BOT}]}],
                "@odata.deltaLink": graph.url + "/v1.0/groups/delta?$deltatoken=x",
            },
            "POST /directoryObjects/getByIds": {
                "value": [{"@odata.type": PRINCIPAL, "id": BOT, "displayName": "Bot"}]
            },
        },
    )
    found = LiveTenant(client).load_relationships("group.members", [TEAM])
    assert {link.target_id for link in found} == {ANN, BOT}


def test_ids_in_upper_case_are_the_same_ids(graph: ScriptedGraph, client: GraphClient) -> None:
    serve(
        graph,
        {
            "GET /users": {"value": [{"id": ANN.upper(), "displayName": "Ann"}]},
            f"GET /groups/{TEAM}/owners": {"value": [{"@odata.type": USER, "id": ANN.upper()}]},
            "GET /groups/delta": {
                "value": [],
                "@odata.deltaLink": graph.url + "/v1.0/groups/delta?$deltatoken=x",
            },
        },
    )
    live = LiveTenant(client)
    assert [item.id for item in live.list_objects("user")] == [ANN]
    (link,) = live.load_relationships("group.owners", [TEAM])
    assert link.target_id == ANN


def test_role_assignments_are_read_role_by_role_where_a_filter_is_demanded(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    def answer(seen: Seen) -> Reply:
        if "roleDefinitions" in seen.path:
            return graph.page([{"id": "role-1"}, {"id": "role-2"}])
        if "filter" not in seen.path:
            error = {"code": "Request_BadRequest", "message": "A filter is required."}
            return Reply(400, {"error": error})
        role = "role-1" if "role-1" in seen.path else "role-2"
        return graph.page([{"id": f"assignment-{role}", "roleDefinitionId": role}])

    graph.otherwise = answer
    found = [item.id for item in LiveTenant(client).list_objects("unifiedRoleAssignment")]
    assert found == ["assignment-role-1", "assignment-role-2"]
    read_ahead = ReadAhead(client)
    row = KINDS["unifiedRoleAssignment"]
    pages = list(reading.list_kind(read_ahead, row, frozenset()))
    assert [item["id"] for page in pages for item in page] == found


def test_a_policy_that_takes_patch_only_is_patched_in_a_batch_too(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    patched = []

    def answer(seen: Seen) -> Reply:
        if not seen.path.endswith("/$batch"):
            patched.append((seen.method, seen.path.rpartition("/")[2], seen.json))
            return Reply(204)
        refused = {"error": {"code": "Request_BadRequest", "message": "Method not allowed."}}
        return Reply(
            200,
            {
                "responses": [
                    {"id": part["id"], "status": 405, "body": refused}
                    if part["method"] == "PUT"
                    else {"id": part["id"], "status": 204}
                    for part in seen.json["requests"]
                ]
            },
        )

    graph.otherwise = answer
    outcomes = TenantWriter(client).send_batch(
        [
            writer.update("adminConsentRequestPolicy", "", {"isEnabled": True}),
            writer.update("user", ANN, {"city": "Ulm"}),
            writer.update("deviceRegistrationPolicy", "", {"userDeviceQuota": 5}),
        ]
    )
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.DONE] * 3
    assert sorted(patched) == [
        ("PATCH", "adminConsentRequestPolicy", {"isEnabled": True}),
        ("PATCH", "deviceRegistrationPolicy", {"userDeviceQuota": 5}),
    ]
