"""A first backup reads everything; later ones read and write only what changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from reentra import errors, progress
from reentra.backup.engine import BackupStatus
from reentra.directory.kinds import KINDS
from reentra.directory.state import CoverageStatus
from reentra.graph.batch import BatchRequest, BatchResponse, chunked
from tests.backup.support import World, assert_same_state, links_of, objects_of


def first_user(world: World, **wanted: Any) -> str:
    """Return the id of an ordinary cloud user that somebody manages."""
    for item in world.live.list_objects("user"):
        if not item.get("onPremisesSyncEnabled") and item.get("userType") == "Member":
            return item.id
    raise AssertionError("the seed has no cloud user")


def plain_group(world: World) -> str:
    """Return the id of an assigned cloud security group that has members."""
    for item in world.live.list_objects("group"):
        is_plain = not item.get("groupTypes") and not item.get("onPremisesSyncEnabled")
        is_plain = is_plain and not item.get("isAssignableToRole") and not item.get("mailEnabled")
        if is_plain and world.live.load_relationships("group.members", [item.id]):
            return item.id
    raise AssertionError("the seed has no plain group")


def test_a_first_backup_holds_the_whole_tenant(world: World) -> None:
    result = world.backup()
    assert result.status is BackupStatus.COMPLETE
    assert_same_state(world.snapshot(result), world.live)
    for kind, summary in result.info.kinds.items():
        assert summary.coverage.is_complete, kind
        assert summary.objects == len(objects_of(world.live, kind)) > 0, kind
        assert (summary.added, summary.changed, summary.deleted) == (summary.objects, 0, 0)


def test_properties_that_must_be_asked_for_are_asked_for(world: World) -> None:
    snapshot = world.snapshot(world.backup())
    users = list(snapshot.list_objects("user"))
    assert any(user.get("department") for user in users)
    assert any(user.get("assignedLicenses") for user in users)
    assert any(user.get("onPremisesSyncEnabled") for user in users)
    assert any(group.get("assignedLicenses") for group in snapshot.list_objects("group"))


def test_an_unchanged_tenant_writes_no_segment_and_asks_little(world: World) -> None:
    world.backup()
    asked = world.counted(lambda: None)
    results = []
    asked = world.counted(lambda: results.append(world.backup()))
    assert results[0].status is BackupStatus.UNCHANGED
    assert results[0].manifest.segments == ()
    assert "GET /users" not in asked
    assert "GET /groups" not in asked
    assert asked["GET /users/delta"] == asked["GET /groups/delta"] == 1
    assert_same_state(world.snapshot(results[0]), world.live)


def test_the_deltas_of_an_unchanged_tenant_come_in_a_batch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.backup()
    followed: list[str] = []
    monkeypatch.setattr(world.client, "delta", followed.append)
    before = world.client.usage.snapshot().operations
    assert world.backup().status is BackupStatus.UNCHANGED
    after = world.client.usage.snapshot().operations
    for row in KINDS.values():
        if row.delta_path:
            name = f"GET /{row.delta_path.strip('/')}"
            assert after[name] - before[name] == 1
    assert not followed


def test_a_backup_of_an_unchanged_tenant_is_a_handful_of_requests(world: World) -> None:
    world.backup()
    before = world.client.usage.snapshot()
    asked: list[dict[str, int]] = []
    asked.append(world.counted(world.backup))
    after = world.client.usage.snapshot()
    # The names of extensions, two batches of lists, two of what those led to, and one page.
    assert after.requests - before.requests <= 6
    assert asked[0]["GET /policies/authenticationMethodsPolicy"] == 1
    assert asked[0]["GET /policies/tokenLifetimePolicies"] == 1
    assert asked[0]["GET /policies/tokenLifetimePolicies/{id}/appliesTo"] == 1


def test_lists_with_a_limit_of_their_own_go_one_to_a_batch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[list[str]] = []
    send = world.client.batch

    def watched(parts: Sequence[BatchRequest], **how: bool) -> list[BatchResponse]:
        batches.extend([part.path for part in chunk] for chunk in chunked(parts))
        return send(parts, **how)

    monkeypatch.setattr(world.client, "batch", watched)
    world.backup()
    paced = [sum("conditionalAccess" in path for path in chunk) for chunk in batches]
    assert sum(paced) == 3
    assert max(paced) == 1


def test_what_is_asked_of_many_objects_is_asked_at_its_turn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.backup()
    monkeypatch.setattr("reentra.backup.engine.FEW_SOURCES", 1)
    result = world.backup()
    assert result.status is BackupStatus.UNCHANGED
    assert_same_state(world.snapshot(result), world.live)


def test_what_was_created_and_deleted_since_is_found_beside_what_came_in_the_batch(
    world: World,
) -> None:
    world.backup()
    gone = next(iter(world.live.list_objects("federatedIdentityCredential")))
    source = str(gone.get("applicationId"))
    world.admin.delete(f"/applications/{source}")
    created = world.admin.post("/applications", {"displayName": "Newborn"})
    assert created is not None
    world.admin.post(
        f"/applications/{created['id']}/federatedIdentityCredentials",
        {
            "name": "deploy",
            "issuer": "https://token.actions.githubusercontent.com",
            "subject": "repo:contoso/app:ref:refs/heads/main",
            "audiences": ["api://AzureADTokenExchange"],
        },
    )
    result = world.backup()
    summary = result.info.kinds["federatedIdentityCredential"]
    assert summary.added == 1 <= summary.deleted
    assert_same_state(world.snapshot(result), world.live)


def test_a_round_of_many_pages_is_read_from_its_own_link(world: World) -> None:
    world.backup()
    world.server.sandbox.options.delta_page_size = 2
    users = [u.id for u in world.live.list_objects("user") if not u.get("onPremisesSyncEnabled")]
    for user in users[:5]:
        world.admin.patch(f"/users/{user}", {"department": "Observatory"})
    result = world.backup()
    assert result.info.kinds["user"].changed == 5
    assert_same_state(world.snapshot(result), world.live)


def test_a_second_backup_holds_what_changed_and_nothing_else(world: World) -> None:
    world.backup()
    user, group = first_user(world), plain_group(world)
    world.admin.patch(f"/users/{user}", {"department": "Observatory", "jobTitle": None})
    world.admin.patch(f"/groups/{group}", {"description": "changed"})
    result = world.backup()
    assert result.info.kinds["user"].changed == 1
    assert result.info.kinds["group"].changed == 1
    assert result.info.kinds["user"].added == result.info.kinds["user"].deleted == 0
    assert sum(segment.rows for segment in result.manifest.segments) == 2
    assert_same_state(world.snapshot(result), world.live)


def test_a_cleared_property_is_cleared_in_the_next_snapshot(world: World) -> None:
    user = first_user(world)
    world.admin.patch(f"/users/{user}", {"department": "X"})
    world.backup()
    world.admin.patch(f"/users/{user}", {"department": None})
    snapshot = world.snapshot(world.backup())
    assert snapshot.load_objects("user", [user])[user].get("department") is None


def test_links_added_and_removed_are_found(world: World) -> None:
    world.backup()
    group, user = plain_group(world), first_user(world)
    member = world.live.load_relationships("group.members", [group])[0].target_id
    world.admin.remove_reference(f"/groups/{group}/members/{member}/$ref")
    bosses = [u.id for u in world.live.list_objects("user") if u.id != user][:1]
    world.admin.put(
        f"/users/{user}/manager/$ref", {"@odata.id": world.admin.url(f"/users/{bosses[0]}")}
    )
    result = world.backup()
    assert result.info.relationships["group.members"].removed == 1
    assert result.info.relationships["user.manager"].added == 1
    assert_same_state(world.snapshot(result), world.live)


def test_a_deleted_object_and_its_links_are_gone_and_come_back_from_the_bin(world: World) -> None:
    first = world.backup()
    group = plain_group(world)
    before = {link for link in links_of(world.snapshot(first), "group.members") if link[0] == group}
    assert before
    world.admin.delete(f"/groups/{group}")
    deleted = world.backup()
    assert deleted.info.kinds["group"].deleted == 1
    gone = world.snapshot(deleted)
    assert not gone.load_relationships("group.members", [group])
    assert_same_state(gone, world.live)
    world.admin.post(f"/directory/deletedItems/{group}/restore")
    back = world.backup()
    assert back.info.kinds["group"].added == 1
    after = {link for link in links_of(world.snapshot(back), "group.members") if link[0] == group}
    assert after == before
    assert_same_state(world.snapshot(back), world.live)


def test_a_soft_deleted_member_comes_back_with_its_memberships(world: World) -> None:
    group = plain_group(world)
    member = next(
        link.target_id
        for link in world.live.load_relationships("group.members", [group])
        if link.target_kind == "user"
    )
    world.backup()
    world.admin.delete(f"/users/{member}")
    assert_same_state(world.snapshot(world.backup()), world.live)
    world.admin.post(f"/directory/deletedItems/{member}/restore")
    back = world.snapshot(world.backup())
    assert (group, member, "") in links_of(back, "group.members")
    assert_same_state(back, world.live)


def test_a_purged_user_is_gone_from_every_group(world: World) -> None:
    world.backup()
    user = first_user(world)
    world.admin.delete(f"/users/{user}")
    world.admin.delete(f"/directory/deletedItems/{user}")
    snapshot = world.snapshot(world.backup())
    assert not snapshot.load_objects("user", [user])
    assert not snapshot.load_relationships_to("group.members", [user])
    assert_same_state(snapshot, world.live)


def test_a_full_backup_over_a_base_writes_only_differences(world: World) -> None:
    world.backup()
    user = first_user(world)
    world.admin.patch(f"/users/{user}", {"city": "Delft"})
    world.admin.delete(f"/groups/{plain_group(world)}")
    result = world.backup(is_full=True)
    assert result.info.kinds["user"].changed == 1
    assert result.info.kinds["group"].deleted == 1
    assert_same_state(world.snapshot(result), world.live)


def test_only_the_kinds_that_were_asked_for_are_read(world: World) -> None:
    first = world.backup()
    user = first_user(world)
    world.admin.patch(f"/users/{user}", {"city": "Delft"})
    asked = world.counted(lambda: world.backup(kinds=("group",)))
    assert not any("/users" in operation for operation in asked)
    result = world.backup(kinds=("conditionalAccessPolicy",))
    assert result.status is BackupStatus.UNCHANGED
    coverage = result.info.kinds["user"].coverage
    assert coverage.status is CoverageStatus.SKIPPED
    assert result.info.kinds["user"].objects == first.info.kinds["user"].objects
    # The delta link was kept, so the next whole backup still finds the change.
    assert world.backup().info.kinds["user"].changed == 1


def test_a_mass_deletion_marks_the_snapshot_for_review(world: World) -> None:
    world.backup()
    for user in list(world.live.list_objects("user"))[:12]:
        world.admin.delete(f"/users/{user.id}")
    result = world.backup()
    assert any("Users: 12 of" in reason for reason in result.info.review)


def test_a_small_kind_that_is_emptied_marks_the_snapshot_for_review(world: World) -> None:
    world.backup()
    policies = list(world.live.list_objects("conditionalAccessPolicy"))
    assert 1 < len(policies) < 10
    for policy in policies[1:]:
        world.admin.delete(f"/identity/conditionalAccess/policies/{policy.id}")
    assert not world.backup().info.review
    world.admin.post(
        "/identity/conditionalAccess/policies",
        {
            "displayName": "Another",
            "state": "disabled",
            "conditions": {
                "clientAppTypes": ["all"],
                "applications": {"includeApplications": ["All"]},
                "users": {"includeUsers": ["All"]},
            },
            "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
        },
    )
    world.backup()
    for policy in world.live.list_objects("conditionalAccessPolicy"):
        world.admin.delete(f"/identity/conditionalAccess/policies/{policy.id}")
    assert any("policies: 2 of 2" in reason for reason in world.backup().info.review)


def test_two_backups_of_one_tenant_exclude_each_other(world: World) -> None:
    lock = world.repository.lock_tenant(world.client.tenant_id, "another")
    with lock, pytest.raises(errors.RepositoryLocked):
        world.backup()
    assert world.backup().status is BackupStatus.COMPLETE


def test_progress_tells_what_was_read(world: World) -> None:
    world.backup()
    finished = {e.activity: e for e in world.events if isinstance(e, progress.Finished)}
    assert set(finished) >= {row.title for row in KINDS.values()}
    assert finished["Users"].done == len(objects_of(world.live, "user"))
