"""Permissions: the table, its enforcement, and withdrawing them while the sandbox runs."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from reentra.sandbox import permissions, seed

from .caller import Caller, Start

_FACTS = Path(__file__).resolve().parents[2] / "../shared/graph/permissions.tsv"


def test_a_read_only_client_reads_and_never_writes(start: Start) -> None:
    graph = start(client_id=seed.BACKUP_CLIENT_ID)
    for path in (
        "/users", "/groups", "/devices", "/applications", "/servicePrincipals", "/domains",
        "/directory/administrativeUnits", "/oauth2PermissionGrants", "/organization",
        "/subscribedSkus", "/groupSettings", "/policies/authorizationPolicy",
        "/identity/conditionalAccess/policies", "/identity/conditionalAccess/namedLocations",
        "/roleManagement/directory/roleDefinitions", "/roleManagement/directory/roleAssignments",
        "/directory/deletedItems/microsoft.graph.user", "/users/delta", "/groups/delta",
    ):  # fmt: skip
        assert graph.get(path).status_code == 200, path
    before = graph.sandbox.tenant.seq
    user, group = graph.user_id("ben.rossi"), graph.group_id("sales")
    for method, path in (
        ("PATCH", f"/users/{user}"),
        ("DELETE", f"/users/{user}"),
        ("POST", "/users"),
        ("POST", f"/groups/{group}/members/$ref"),
        ("DELETE", f"/groups/{group}/members/{user}/$ref"),
        ("POST", "/applications"),
        ("POST", "/roleManagement/directory/roleAssignments"),
        ("PATCH", "/policies/authorizationPolicy"),
    ):
        assert graph.refused(method, path, json={})[:2] == (403, "Authorization_RequestDenied")
    assert graph.refused("POST", "/identity/conditionalAccess/policies", json={})[:2] == (
        403,
        "AccessDenied",
    )
    assert graph.sandbox.tenant.seq == before


def test_a_withdrawn_permission_is_missed_at_once_and_a_granted_one_works(graph: Caller) -> None:
    graph.sandbox.withdraw("Policy.Read.All")
    assert graph.refused("GET", "/identity/conditionalAccess/policies")[0] == 403
    assert graph.get("/users").status_code == 200
    graph.sandbox.grant("Policy.Read.All")
    assert graph.get("/identity/conditionalAccess/policies").status_code == 200


def test_what_only_a_signed_in_user_may_do_is_refused(graph: Caller) -> None:
    device = next(iter(graph.sandbox.tenant.collection("device")))
    owner = graph.reference(graph.user_id("ada.berg"))
    assert graph.refused("POST", "/devices", json={})[0] == 403
    path = f"/devices/{device}/registeredOwners/$ref"
    assert graph.refused("POST", path, json=owner)[0] == 403


def test_the_recycle_bin_asks_for_the_permission_of_the_type(graph: Caller) -> None:
    user = next(iter(graph.sandbox.tenant.deleted("user"))).id
    for permission in ("User.DeleteRestore.All", "User.ReadWrite.All"):
        graph.sandbox.withdraw(permission)
    assert graph.refused("POST", f"/directory/deletedItems/{user}/restore")[0] == 403
    group = next(iter(graph.sandbox.tenant.deleted("group"))).id
    assert graph.send("POST", f"/directory/deletedItems/{group}/restore").status_code == 200


def test_deleting_without_ref_asks_for_the_permission_to_delete_the_object(graph: Caller) -> None:
    for permission in ("User.DeleteRestore.All", "User.ReadWrite.All"):
        graph.sandbox.withdraw(permission)
    group, user = graph.group_id("sales"), graph.user_id("ben.rossi")
    assert graph.refused("DELETE", f"/groups/{group}/members/{user}")[0] == 403
    assert graph.send("DELETE", f"/groups/{group}/members/{user}/$ref").status_code == 204


def test_objects_of_an_unreadable_type_come_with_their_id_only(start: Start) -> None:
    graph = start(client_id=seed.BACKUP_CLIENT_ID)
    for permission in ("Directory.Read.All", "User.Read.All"):
        graph.sandbox.withdraw(permission)
    members = graph.all(f"/groups/{graph.group_id('sales')}/members")
    assert members
    for member in members:
        assert member["id"]
        assert member["@odata.type"] == "#microsoft.graph.user"
        assert member["displayName"] is None


def test_guarded_properties_need_their_own_permission(graph: Caller) -> None:
    assert graph.get("/users?$select=signInActivity").status_code == 200
    graph.sandbox.withdraw("AuditLog.Read.All")
    assert graph.refused("GET", "/users?$select=signInActivity")[0] == 403
    assert graph.refused("GET", "/users?$select=employeeLeaveDateTime")[0] == 403


def test_hidden_membership_needs_its_own_permission(graph: Caller) -> None:
    units = graph.all("/directory/administrativeUnits")
    hidden = next(unit["id"] for unit in units if unit["visibility"] == "HiddenMembership")
    path = f"/directory/administrativeUnits/{hidden}/members"
    assert len(graph.all(path)) == 1
    graph.sandbox.withdraw("Member.Read.Hidden")
    assert graph.refused("GET", path)[0] == 403


def test_every_route_has_a_row_in_the_table(graph: Caller) -> None:
    everything = permissions.every_permission()
    missing = [
        route.operation
        for route in graph.sandbox._router.routes
        if not route.template.startswith("/directory/deletedItems")
        and not permissions.is_allowed(route.method, route.template, everything)
        and (route.method, permissions.permission_path(route.template)) not in _NOBODY
    ]
    assert missing == []


# Only a signed-in user, or nobody at all, may do these.
_NOBODY = {
    ("POST", "/devices"),
    ("POST", "/devices/{id}/registeredowners"),
    ("DELETE", "/devices/{id}/registeredowners/{id}"),
    ("POST", "/devices/{id}/registeredusers"),
    ("DELETE", "/devices/{id}/registeredusers/{id}"),
}


@pytest.mark.skipif(not _FACTS.exists(), reason="the tables of Graph facts are not here")
def test_the_table_says_what_the_reference_says() -> None:
    served = permissions._table()
    seen = 0
    with _FACTS.open(encoding="utf-8", newline="") as handle:
        for path, method, least, others, _, *_ in csv.reader(handle, delimiter="\t"):
            if path not in served or method not in served[path]:
                continue
            names = {
                n for part in (least, others) for n in re.split(",", part) if n not in ("-", "")
            }
            assert set(served[path][method]) == names, (method, path)
            seen += 1
    assert seen > 150
