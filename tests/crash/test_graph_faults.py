"""Rows of the fault matrix that join two layers: a fault of Graph, and what a snapshot or a restore
makes of it. Every scripted fault must strike."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from reentra.backup.engine import BackupStatus
from reentra.directory.objects import ObjectRef
from reentra.directory.selection import Selection
from reentra.directory.state import CoverageStatus
from reentra.restore.journal import StepStatus
from reentra.restore.report import RestoreStatus
from reentra.sandbox.app import SandboxServer
from tests.backup.support import (
    IMPATIENCE,
    World,
    assert_same_state,
    links_of,
    new_world,
    objects_of,
)
from tests.restore import support as restores


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer(seed_name="small") as running:
        running.sandbox.options.page_size = 5
        running.sandbox.options.delta_page_size = 5
        yield running
        running.sandbox.faults.assert_all_used()


@pytest.fixture
def world(server: SandboxServer) -> World:
    return new_world(server)


@pytest.fixture
def restoring(server: SandboxServer) -> Iterator[restores.World]:
    made = restores.new_world(server)
    yield made
    made.client.close()


# --- reads -----------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["^/users/delta", "^/groups/delta", "^/applications"])
def test_an_expired_next_link_in_the_middle_is_never_a_deletion(world: World, pattern: str) -> None:
    first = world.backup()
    world.faults.script(("GET", pattern), "page_token_expired", skip=1)
    result = world.backup(is_full=True)
    assert all(summary.deleted == 0 for summary in result.info.kinds.values())
    for kind in ("user", "group", "application"):
        before = objects_of(world.snapshot(first), kind)
        assert objects_of(world.snapshot(result), kind) == before, kind
    healed = world.backup()
    assert healed.status is BackupStatus.UNCHANGED
    assert_same_state(world.snapshot(healed), world.live)


@pytest.mark.parametrize("what", [500, 503, 504, "truncated", "reset"])
def test_a_failure_on_a_later_page_is_never_a_deletion(
    server: SandboxServer, what: int | str
) -> None:
    world = new_world(server, IMPATIENCE)
    first = world.backup()
    for pattern in ("^/users/delta", "^/groups/delta"):
        world.faults.script(("GET", pattern), what, times=IMPATIENCE.max_failures, skip=1)
    result = world.backup(is_full=True)
    assert result.status is BackupStatus.PARTIAL
    for kind in ("user", "group"):
        summary = result.info.kinds[kind]
        assert summary.coverage.status is CoverageStatus.PARTIAL
        assert summary.deleted == 0
        before = objects_of(world.snapshot(first), kind)
        assert objects_of(world.snapshot(result), kind) == before
    members = links_of(world.snapshot(first), "group.members")
    assert links_of(world.snapshot(result), "group.members") == members
    assert_same_state(world.snapshot(world.backup(is_full=True)), world.live)


def test_a_401_in_the_middle_of_paging_costs_a_token_and_nothing_else(world: World) -> None:
    fault = world.faults.script(("GET", "^/users/delta"), "token_expired", skip=1)
    result = world.backup()
    assert fault.struck == 1
    assert result.status is BackupStatus.COMPLETE
    assert_same_state(world.snapshot(result), world.live)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("^/servicePrincipals/[^/]*/appRoleAssignedTo", "appRoleAssignment"),
        (
            "^/directory/administrativeUnits/[^/]*/scopedRoleMembers",
            "administrativeUnit.scopedRoleMembers",
        ),
    ],
)
@pytest.mark.parametrize("times", [1, 2])
def test_a_list_that_is_not_there_for_an_object_that_is_is_never_a_deletion(
    world: World, pattern: str, name: str, times: int
) -> None:
    first = world.backup()
    # Once: asked again it answers. Always: the replica stays behind.
    fault = world.faults.script(("GET", pattern), 404, times=1 if times == 1 else 1_000)
    result = world.backup(is_full=True)
    assert fault.struck >= times
    world.faults.clear()
    summary = result.info.kinds.get(name) or result.info.relationships[name]
    removed = getattr(summary, "deleted", None) or getattr(summary, "removed", 0)
    assert removed == 0
    assert summary.coverage.is_complete == (times == 1), summary
    for kind in ("appRoleAssignment", "servicePrincipal", "administrativeUnit"):
        before = objects_of(world.snapshot(first), kind)
        assert objects_of(world.snapshot(result), kind) == before
    assert_same_state(world.snapshot(world.backup(is_full=True)), world.live)


def test_an_object_that_goes_between_list_and_detail_is_gone(world: World) -> None:
    first = world.backup()
    principal = next(
        one.id
        for one in world.live.list_objects("servicePrincipal")
        if any(
            item.get("resourceId") == one.id
            for item in world.live.list_objects("appRoleAssignment")
        )
    )
    # The list names it, and then it is deleted: both it and what is asked of it answer 404.
    lists = world.faults.script(("GET", f"^/servicePrincipals/{principal}/appRoleAssignedTo"), 404)
    itself = world.faults.script(("GET", f"^/servicePrincipals/{principal}(?!/)"), 404)
    result = world.backup(is_full=True)
    assert (lists.struck, itself.struck) == (1, 1)
    assert result.status is BackupStatus.COMPLETE
    gone = objects_of(world.snapshot(first), "appRoleAssignment").keys() - objects_of(
        world.snapshot(result), "appRoleAssignment"
    )
    assert gone
    assert_same_state(world.snapshot(world.backup(is_full=True)), world.live)


def test_parts_of_one_batch_fail_each_in_its_own_way(server: SandboxServer) -> None:
    world = new_world(server, IMPATIENCE)
    first = world.backup()
    refused = world.faults.script(("GET", "^/groupSettings"), 403, 100)
    broken = world.faults.script(("GET", "^/roleManagement/directory/roleAssignments"), 503, 100)
    passing = world.faults.script(("GET", "^/domains"), "throttled", seconds=0)
    result = world.backup()
    assert (refused.struck, broken.struck, passing.struck) > (0, 0, 0)
    world.faults.clear()
    told = {
        name: summary.coverage.status
        for name, summary in result.info.kinds.items()
        if not summary.coverage.is_complete
    }
    assert told == {
        "groupSetting": CoverageStatus.REFUSED,
        "unifiedRoleAssignment": CoverageStatus.PARTIAL,
    }
    for kind in told:
        before = objects_of(world.snapshot(first), kind)
        assert objects_of(world.snapshot(result), kind) == before
    assert world.backup().status is BackupStatus.UNCHANGED


def test_a_replica_that_is_behind_costs_a_backup_and_never_an_object(world: World) -> None:
    world.backup()
    user = next(iter(objects_of(world.live, "user")))
    world.admin.patch(f"/users/{user}", {"city": "Delft"})
    fault = world.faults.script(("GET", "^/users/delta"), "stale")
    early = world.backup()
    assert fault.struck == 1
    assert early.info.kinds["user"].deleted == 0
    assert user in objects_of(world.snapshot(early), "user")
    late = world.backup(is_full=True)
    assert world.snapshot(late).load_objects("user", [user])[user].get("city") == "Delft"
    assert_same_state(world.snapshot(late), world.live)


# --- writes ----------------------------------------------------------------------------------


def test_a_protected_role_fails_that_user_alone_and_says_why(restoring: restores.World) -> None:
    desired = restoring.captured()
    users = restoring.ids("user")
    for name in ("Lina Costa", "Sara Novak"):
        restoring.client.patch(f"/users/{users[name]}", {"department": None})
    fault = restoring.sandbox.faults.script(
        ("PATCH", f"^/users/{users['Sara Novak']}"),
        403,
        code="Authorization_RequestDenied",
        message="Insufficient privileges to complete the operation.",
    )
    refs = frozenset(ObjectRef("user", users[name]) for name in ("Lina Costa", "Sara Novak"))
    report = restoring.restore(desired, Selection(refs=refs))
    assert fault.struck == 1
    assert report.status is RestoreStatus.PARTIAL
    by_name = {entry.step.name: entry for entry in report.entries}
    assert by_name["Lina Costa"].status is StepStatus.DONE
    failed = by_name["Sara Novak"]
    assert failed.status is StepStatus.FAILED
    assert failed.detail["graph_code"] == "Authorization_RequestDenied"
    assert "privileges" in failed.message
    assert failed.detail["request_id"]
    assert report.to_json()["failures"][0]["hint"]


def test_a_permission_lost_between_two_batches_stops_what_needs_it_and_nothing_before(
    restoring: restores.World,
) -> None:
    desired = restoring.captured()
    users, groups = restoring.ids("user"), restoring.ids("group")
    restoring.purge("users", users["Ada Berg"])
    restoring.purge("groups", groups["Sales"])
    plan = restoring.plan(desired)
    applier = restoring.applier(plan)
    first, *rest = applier.waves
    assert rest
    applier.apply_wave(first)
    done = {step for step, record in applier.records.items() if record.status is StepStatus.DONE}
    assert done
    for permission in (
        "User.ReadWrite.All",
        "Group.ReadWrite.All",
        "GroupMember.ReadWrite.All",
        "Directory.ReadWrite.All",
    ):
        restoring.sandbox.withdraw(permission)
    report = applier.run()
    assert report.status is RestoreStatus.PARTIAL
    failed = [entry for entry in report.entries if entry.status is StepStatus.FAILED]
    assert failed
    assert {entry.detail["status"] for entry in failed} == {403}
    still = {step for step, record in applier.records.items() if record.status is StepStatus.DONE}
    assert done <= still
    # Given the permission back, a new plan does the rest, and creates nothing twice.
    for permission in (
        "User.ReadWrite.All",
        "Group.ReadWrite.All",
        "GroupMember.ReadWrite.All",
        "Directory.ReadWrite.All",
    ):
        restoring.sandbox.grant(permission)
    report = restoring.restore(desired)
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    for kind in ("user", "group"):
        assert len(list(restoring.live.list_objects(kind))) == len(desired.objects[kind])


def test_a_kind_that_is_refused_and_a_kind_that_fails_are_told_apart(server: SandboxServer) -> None:
    world = new_world(server, dataclasses.replace(IMPATIENCE, max_failures=1))
    server.sandbox.withdraw("Policy.Read.All")
    world.client.refresh_token()
    fault = world.faults.script(("GET", "^/devices"), 503, 100)
    result = world.backup()
    assert fault.struck
    world.faults.clear()
    told = {name: one.coverage.status for name, one in result.info.kinds.items()}
    assert told["conditionalAccessPolicy"] is CoverageStatus.REFUSED
    assert told["device"] is CoverageStatus.PARTIAL
    assert told["user"] is CoverageStatus.COMPLETE
