"""Never a silent hole: what could not be read is said, and never taken for a deletion."""

from __future__ import annotations

import dataclasses

import pytest

from reentra import errors
from reentra.backup.engine import BackupStatus
from reentra.directory.kinds import KINDS
from reentra.directory.state import CoverageStatus
from reentra.graph.pace import Limits
from reentra.sandbox.app import SandboxServer
from tests.backup.support import IMPATIENCE, World, assert_same_state, new_world, objects_of
from tests.graph.scripted import FakeClock


def test_a_refused_kind_marks_that_kind_and_nothing_else(world: World) -> None:
    first = world.backup()
    world.server.sandbox.withdraw("Policy.Read.All")
    world.client.refresh_token()
    result = world.backup()
    assert result.status is BackupStatus.PARTIAL
    refused = {
        name
        for name, summary in result.info.kinds.items()
        if summary.coverage.status is CoverageStatus.REFUSED
    }
    needing = {name for name, row in KINDS.items() if "Policy.Read.All" in row.read_permissions}
    assert {"namedLocation", "authorizationPolicy", "conditionalAccessPolicy"} <= refused
    assert refused <= needing
    coverage = result.info.kinds["conditionalAccessPolicy"].coverage
    assert coverage.permissions == ("Policy.Read.All",)
    assert "Permission needed: Policy.Read.All." in coverage.reason
    assert result.info.kinds["conditionalAccessPolicy"].deleted == 0
    assert objects_of(world.snapshot(result), "conditionalAccessPolicy") == objects_of(
        world.snapshot(first), "conditionalAccessPolicy"
    )
    assert result.info.kinds["user"].coverage.is_complete


def test_hidden_members_are_kept_and_their_lack_is_said(world: World) -> None:
    first = world.backup()
    unit = next(
        item.id
        for item in world.live.list_objects("administrativeUnit")
        if item.get("visibility") == "HiddenMembership"
    )
    members = world.snapshot(first).load_relationships("administrativeUnit.members", [unit])
    assert members
    for client in world.server.sandbox.tokens.clients():
        client.roles.discard("Member.Read.Hidden")
    world.client.refresh_token()
    world.admin.patch(f"/directory/administrativeUnits/{unit}", {"description": "changed"})
    for is_full in (False, True):
        result = world.backup(is_full=is_full)
        summary = result.info.relationships["administrativeUnit.members"]
        assert summary.coverage.status is CoverageStatus.PARTIAL
        assert summary.coverage.permissions == ("Member.Read.Hidden",)
        assert result.info.relationships["group.members"].coverage.is_complete
        kept = world.snapshot(result).load_relationships("administrativeUnit.members", [unit])
        assert set(kept) == set(members)
    for client in world.server.sandbox.tokens.clients():
        client.roles.add("Member.Read.Hidden")
    world.client.refresh_token()
    healed = world.backup()
    assert healed.status is not BackupStatus.PARTIAL
    assert_same_state(world.snapshot(healed), world.live)


@pytest.mark.parametrize(
    "pattern",
    [
        "^/users/delta",
        "^/groups/delta",
        "^/identity/conditionalAccess/namedLocations",
        "^/identity/conditionalAccess/policies",
    ],
)
@pytest.mark.parametrize("what", [503, "truncated", "reset"])
def test_a_failed_read_is_never_a_deletion(
    server: SandboxServer, pattern: str, what: int | str
) -> None:
    world = new_world(server, IMPATIENCE)
    first = world.backup()
    # In the batch and, where it was asked for there, alone.
    fault = world.faults.script(("GET", pattern), what, times=1000)
    result = world.backup()
    assert fault.struck >= IMPATIENCE.max_failures
    world.faults.clear()
    assert result.status is BackupStatus.PARTIAL
    failed = [
        (name, summary)
        for name, summary in result.info.kinds.items()
        if not summary.coverage.is_complete
    ]
    assert len(failed) == 1
    name, summary = failed[0]
    assert summary.coverage.status is CoverageStatus.PARTIAL
    assert summary.coverage.reason
    assert summary.deleted == 0
    assert objects_of(world.snapshot(result), name) == objects_of(world.snapshot(first), name)
    healed = world.backup()
    assert healed.status is BackupStatus.UNCHANGED
    assert_same_state(world.snapshot(healed), world.live)


@pytest.mark.parametrize(
    ("pattern", "kind"),
    [
        ("^/roleManagement/directory/roleAssignments", "unifiedRoleAssignment"),
        ("^/users/delta", "user"),
    ],
)
def test_what_fails_in_the_batch_to_the_end_is_no_deletion_and_costs_one_patience(
    server: SandboxServer, pattern: str, kind: str
) -> None:
    world = new_world(server, IMPATIENCE)
    first = world.backup()
    fault = world.faults.script(("GET", pattern), 503, 1000)
    result = world.backup()
    assert fault.struck == IMPATIENCE.max_failures
    world.faults.clear()
    summary = result.info.kinds[kind]
    assert summary.coverage.status is CoverageStatus.PARTIAL
    assert objects_of(world.snapshot(result), kind) == objects_of(world.snapshot(first), kind)
    assert world.backup().status is BackupStatus.UNCHANGED


@pytest.mark.parametrize("what", [429, 500, 502, 503, 504, "truncated", "reset", "token_expired"])
def test_a_passing_failure_costs_time_and_nothing_else(world: World, what: int | str) -> None:
    for pattern in ("^/users/delta", "^/groups/delta", "^/subscribedSkus", "^/applications"):
        world.faults.script(("GET", pattern), what)
    result = world.backup()
    assert result.status is BackupStatus.COMPLETE
    assert_same_state(world.snapshot(result), world.live)


def test_a_graph_that_fails_at_everything_ends_the_backup_soon_with_one_error(
    server: SandboxServer,
) -> None:
    clock = FakeClock()
    world = new_world(server, Limits(), clock)
    world.backup()
    before, waited = world.repository.list_snapshot_ids(world.client.tenant_id), sum(clock.slept)
    # It begins when the backup is under way: kind after kind is asked for.
    outage = world.faults.script(("*", "^(?!/directoryObjects/getAvailable)"), 503, 10_000)
    with pytest.raises(errors.GraphDown) as caught:
        world.backup()
    assert caught.value.is_retryable
    assert "nothing but failures" in caught.value.message
    assert 120 <= sum(clock.slept) - waited < 240
    assert outage.struck < 100
    world.faults.clear()
    assert world.repository.list_snapshot_ids(world.client.tenant_id) == before
    assert world.backup().status is BackupStatus.UNCHANGED


@pytest.mark.parametrize("what", ["throttled", "throttled_date"])
def test_throttling_is_waited_out(world: World, what: str) -> None:
    world.faults.script(("GET", "^/users/delta"), what, seconds=1)
    world.faults.script(("GET", "^/groups/delta"), "throttled", seconds=None)
    result = world.backup()
    assert result.status is BackupStatus.COMPLETE
    assert_same_state(world.snapshot(result), world.live)


def test_an_empty_page_with_a_link_is_not_the_end(world: World) -> None:
    world.backup()
    for pattern in ("^/users/delta", "^/groups/delta", "^/identity/conditionalAccess/policies"):
        world.faults.script(("GET", pattern), "empty_page")
    result = world.backup(is_full=True)
    assert result.status is BackupStatus.UNCHANGED
    assert_same_state(world.snapshot(result), world.live)


def test_the_same_object_on_two_pages_is_one_object(world: World) -> None:
    world.server.sandbox.options.delta_page_size = 5
    world.server.sandbox.options.page_size = 5
    for pattern in ("^/users/delta", "^/groups/delta"):
        world.faults.script(("GET", pattern), "duplicate")
    result = world.backup()
    assert result.info.kinds["user"].added == len(objects_of(world.live, "user"))
    assert_same_state(world.snapshot(result), world.live)


def test_members_in_slices_over_many_pages_are_all_members(world: World) -> None:
    world.server.sandbox.options.delta_page_size = 2
    world.server.sandbox.options.delta_member_slice = 1
    assert_same_state(world.snapshot(world.backup()), world.live)
    assert_same_state(world.snapshot(world.backup(is_full=True)), world.live)


def test_an_expired_delta_token_falls_back_to_a_full_read_of_that_kind(world: World) -> None:
    world.backup()
    user = next(iter(objects_of(world.live, "user")))
    world.admin.delete(f"/users/{user}")
    world.faults.script(("GET", "^/users/delta"), "delta_expired")
    result = world.backup()
    assert result.status is BackupStatus.COMPLETE
    assert result.info.kinds["user"].deleted == 1
    assert any("delta token" in note for note in result.notes)
    assert_same_state(world.snapshot(result), world.live)


def test_all_delta_tokens_expire_after_seven_days(world: World) -> None:
    world.backup()
    world.server.sandbox.clock.advance(8 * 24 * 3600)
    result = world.backup()
    assert result.status is BackupStatus.UNCHANGED
    assert len(result.notes) >= 6
    assert_same_state(world.snapshot(result), world.live)


def test_changes_that_are_told_again_change_nothing(world: World) -> None:
    world.backup()
    user = next(iter(objects_of(world.live, "user")))
    world.admin.patch(f"/users/{user}", {"city": "Delft"})
    world.backup()
    world.server.sandbox.options.delta_replay = 50
    result = world.backup()
    assert result.info.kinds["user"].changed == 0
    assert_same_state(world.snapshot(result), world.live)


def test_a_change_that_arrives_late_is_in_a_later_snapshot(server: SandboxServer) -> None:
    world = new_world(server)
    world.backup()
    server.sandbox.options.replication_delay_seconds = 60
    user = next(iter(objects_of(world.live, "user")))
    world.admin.patch(f"/users/{user}", {"city": "Delft"})
    early = world.backup()
    server.sandbox.clock.advance(120)
    late = world.backup()
    assert early.info.kinds["user"].changed + late.info.kinds["user"].changed == 1
    assert world.snapshot(late).load_objects("user", [user])[user].get("city") == "Delft"


def test_a_property_that_this_cloud_lacks_is_left_out_and_said(world: World) -> None:
    world.faults.script(
        ("GET", "^/users/delta"),
        400,
        code="Request_BadRequest",
        message="Could not find a property named 'authorizationInfo' on type "
        "'microsoft.graph.user'.",
    )
    result = world.backup()
    assert result.status is BackupStatus.COMPLETE
    assert result.info.dropped_properties == {"user": ("authorizationInfo",)}
    again = world.backup()
    assert again.status is BackupStatus.UNCHANGED


def test_a_wrong_secret_stops_the_backup_and_leaves_nothing(server: SandboxServer) -> None:
    world = new_world(server)
    registered = server.sandbox.tokens.client(
        next(c.client_id for c in server.sandbox.tokens.clients() if "Backup" in c.display_name)
    )
    assert registered is not None
    registered.secrets.clear()
    with pytest.raises(errors.Unauthenticated):
        world.backup()
    assert world.repository.list_snapshot_ids(world.client.tenant_id) == []


class Killed(BaseException):
    """Stands for the process's death: nothing catches it."""


def test_a_killed_backup_shows_nothing_and_is_continued(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reentra.backup.engine.CHECKPOINT_ROWS", 1)
    world.faults.script(("GET", "^/devices/delta"), "delay", seconds=0)

    def die(event: object) -> None:
        if getattr(event, "activity", "") == "Roles":
            raise Killed

    original, world.events = world.events, []
    with pytest.raises(Killed):
        dataclasses.replace(world, events=_Listener(die)).backup()
    assert world.repository.list_snapshot_ids(world.client.tenant_id) == []
    world.events = original
    results = []
    asked = world.counted(lambda: results.append(world.backup()))
    assert results[0].was_resumed
    assert "GET /users/delta" not in asked
    assert "GET /roleManagement/directory/roleDefinitions" in asked
    assert_same_state(world.snapshot(results[0]), world.live)
    assert world.repository.list_documents("checkpoints") == []
    assert world.backup().status is BackupStatus.UNCHANGED


class _Listener(list):  # type: ignore[type-arg]
    """A list of events that also calls back."""

    def __init__(self, react: object) -> None:
        super().__init__()
        self._react = react

    def append(self, event: object) -> None:
        super().append(event)
        self._react(event)  # type: ignore[operator]


def test_a_checkpoint_of_another_kind_of_backup_is_not_used(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reentra.backup.engine.CHECKPOINT_ROWS", 1)

    def die(event: object) -> None:
        if getattr(event, "activity", "") == "Roles":
            raise Killed

    with pytest.raises(Killed):
        dataclasses.replace(world, events=_Listener(die)).backup()
    result = world.backup(kinds=("user",))
    assert not result.was_resumed
    assert world.repository.list_documents("checkpoints") == []


_ELIGIBILITY = "unifiedRoleEligibilitySchedule"


@pytest.mark.parametrize("is_known", [True, False])
def test_a_licence_that_is_missing_is_said_and_is_a_hole_only_where_there_was_something(
    world: World, is_known: bool
) -> None:
    if is_known:
        assert world.backup().info.kinds[_ELIGIBILITY].objects == 1
    world.server.sandbox.tenant.options.edition = "P1"
    result = world.backup()
    coverage = result.info.kinds[_ELIGIBILITY].coverage
    assert coverage.status is CoverageStatus.REFUSED
    assert coverage.permissions == ()
    assert coverage.reason.startswith("The tenant lacks the Entra ID licence")
    assert result.info.kinds["unifiedRoleAssignment"].coverage.is_complete
    assert result.status is (BackupStatus.PARTIAL if is_known else BackupStatus.COMPLETE)


@pytest.mark.parametrize(
    ("status", "times", "is_hole"),
    [(404, 1, False), (400, 2, False), (403, 1, True)],  # a 400 may be about $top: asked again
)
def test_a_graph_that_does_not_have_a_licensed_kind_leaves_no_hole(
    world: World, status: int, times: int, is_hole: bool
) -> None:
    for _ in range(times):
        world.server.sandbox.faults.script(("GET", ".*roleEligibilitySchedules.*"), status)
    result = world.backup()
    coverage = result.info.kinds[_ELIGIBILITY].coverage
    assert coverage.status is CoverageStatus.REFUSED
    assert bool(coverage.permissions) == is_hole
    assert result.status is (BackupStatus.PARTIAL if is_hole else BackupStatus.COMPLETE)
