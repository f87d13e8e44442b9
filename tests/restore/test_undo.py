"""Undo on a sandbox through real HTTP: what a restore did is taken back, and nothing else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reentra import errors
from reentra.directory.canonical import canonical_properties
from reentra.directory.objects import ObjectRef
from reentra.directory.selection import EVERYTHING, Selection
from reentra.graph import writer
from reentra.repository import KdfCost, Repository, open_storage
from reentra.restore.capture import find_capture, list_captures, load_capture, take_capture
from reentra.restore.deeds import deeds_of
from reentra.restore.draft import PolicyState, RelationshipsBehavior, RestoreOptions
from reentra.restore.identity import IdentityMap
from reentra.restore.journal import MemoryJournal, StepRecord, StepStatus
from reentra.restore.plan import RestorePlan
from reentra.restore.report import RestoreReport, RestoreStatus
from reentra.restore.steps import CHANGED_SINCE, Action
from reentra.restore.undo import plan_undo
from reentra.snapshots import ReplayedSnapshot
from tests.models import ModelTenant
from tests.restore.support import NOW, PASSWORD, World, worlds
from tests.restore.test_apply import harm_everything

AS_WAS = RestoreOptions(conditional_access_state=PolicyState.AS_BACKED_UP)
CA_POLICIES = "/identity/conditionalAccess/policies"


@dataclass
class Vault:
    """A world with a repository: what is applied here is captured first, and can be undone."""

    world: World
    repository: Repository
    jobs: int = 0

    def restore(
        self,
        desired: ModelTenant,
        selection: Selection = EVERYTHING,
        options: RestoreOptions = AS_WAS,
    ) -> Done:
        return self.apply(self.world.plan(desired, selection, options))

    def apply(self, plan: RestorePlan, journal: MemoryJournal | None = None) -> Done:
        self.jobs += 1
        job, began_at = f"job{self.jobs}", NOW + dt.timedelta(seconds=self.jobs)
        tenant_id = self.world.live.tenant_id
        with self.repository.lock_restore(tenant_id, "restore") as lock:
            capture = take_capture(
                self.repository,
                lock,
                self.world.live,
                plan,
                self.world.identity.merged(plan.matched),
                job_id=job,
                began_at=began_at,
            )
        journal = journal or MemoryJournal()
        report = self.world.applier(plan, journal).run()
        return Done(job, plan, journal, report, load_capture(self.repository, tenant_id, capture))

    def undo_plan(self, done: Done, *, is_overwriting: bool = False) -> RestorePlan:
        identity = self.world.identity
        return plan_undo(
            deeds_of(done.job, done.plan, done.journal.load_records(), identity),
            done.capture,
            self.world.live,
            AS_WAS,
            identity,
            created_at=NOW,
            is_overwriting=is_overwriting,
        )

    def undo(self, done: Done, *, is_overwriting: bool = False) -> Done:
        return self.apply(self.undo_plan(done, is_overwriting=is_overwriting))


@dataclass
class Done:
    """A restore that was applied."""

    job: str
    plan: RestorePlan
    journal: MemoryJournal
    report: RestoreReport
    capture: ReplayedSnapshot


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    cost = KdfCost(memory_kib=8, iterations=1, lanes=1)
    repository, _ = Repository.create(open_storage(str(tmp_path / "r")), "p", cost=cost)
    for world in worlds():
        yield Vault(world, repository)


def seen(world: World) -> dict[str, Any]:
    return world.captured().comparable()


def renewed(state: dict[str, Any], identity: IdentityMap) -> dict[str, Any]:
    """Return the state with dead ids brought up to date."""
    objects = {}
    for name, body in state["objects"].items():
        kind = name.partition("/")[0]
        objects[name] = canonical_properties(kind, identity.rewritten(kind, body))
    return {**state, "objects": objects}


def only(kind: str, object_id: str) -> Selection:
    return Selection(refs=frozenset({ObjectRef(kind, object_id)}))


def link(world: World, relationship: str, source_id: str, target_id: str) -> None:
    world.writer.send(world.writer.add_reference(relationship, source_id, target_id, "user"))


def unlink(world: World, relationship: str, source_id: str, target_id: str) -> None:
    world.writer.send(writer.remove_reference(relationship, source_id, target_id))


def refused(plan: RestorePlan) -> list[tuple[str, str]]:
    return [(one.name, one.what) for one in plan.unrestorable if one.code == CHANGED_SINCE]


def test_an_undone_restore_leaves_the_tenant_as_it_was_right_before_it(vault: Vault) -> None:
    world = vault.world
    desired = harm_everything(world)
    harmed = seen(world)
    done = vault.restore(desired)
    assert done.report.status is RestoreStatus.SUCCEEDED
    assert seen(world) != harmed
    undone = vault.undo(done)
    assert undone.report.status is RestoreStatus.SUCCEEDED, undone.report.to_text()
    assert undone.plan.undoes == done.job
    assert {step.action for step in undone.plan.steps} == {Action.UPDATE, Action.DELETE}
    # An id that was dead before cannot be written again: its new one is the same object.
    assert any("keeps the new id" in one for one in undone.plan.warnings)
    assert seen(world) == renewed(harmed, world.identity)
    assert vault.undo_plan(done).is_empty


def test_an_undo_can_be_undone(vault: Vault) -> None:
    world = vault.world
    desired = harm_everything(world)
    done = vault.restore(desired)
    restored = seen(world)
    undone = vault.undo(done)
    again = vault.undo(undone)
    assert again.report.status is RestoreStatus.SUCCEEDED, again.report.to_text()
    # Conditional Access and role assignments have no bin: they are made anew once more.
    with_a_bin = ("user/", "group/", "application/", "servicePrincipal/")
    now = seen(world)
    assert {one for one in now["objects"] if one.startswith(with_a_bin)} == {
        one for one in restored["objects"] if one.startswith(with_a_bin)
    }
    assert world.plan(desired, options=AS_WAS).is_empty


def test_only_the_values_that_the_restore_wrote_are_put_back(vault: Vault) -> None:
    world = vault.world
    user = world.ids("user")["Lina Costa"]
    desired = world.captured()
    world.client.patch(f"/users/{user}", {"department": "Wrecked"})
    done = vault.restore(desired, only("user", user))
    world.client.patch(f"/users/{user}", {"city": "Somewhere later"})
    plan = vault.undo_plan(done)
    assert [(step.action, dict(step.body)) for step in plan.steps] == [
        (Action.UPDATE, {"department": "Wrecked"})
    ]
    vault.apply(plan)
    now = world.live.load_objects("user", [user])[user]
    assert (now.get("department"), now.get("city")) == ("Wrecked", "Somewhere later")


def test_a_value_that_was_changed_again_is_a_conflict_unless_it_is_to_be_overwritten(
    vault: Vault,
) -> None:
    world = vault.world
    user = world.ids("user")["Lina Costa"]
    desired = world.captured()
    world.client.patch(f"/users/{user}", {"department": "Wrecked", "city": "Gone"})
    done = vault.restore(desired, only("user", user))
    world.client.patch(f"/users/{user}", {"department": "Moved by a person"})
    plan = vault.undo_plan(done)
    assert [dict(step.body) for step in plan.steps] == [{"city": "Gone"}]
    assert refused(plan) == [("Lina Costa", "department")]
    report = vault.apply(plan).report
    assert report.status is RestoreStatus.PARTIAL
    forced = vault.undo_plan(done, is_overwriting=True)
    assert [dict(step.body) for step in forced.steps] == [{"department": "Wrecked"}]


def test_what_was_so_already_is_not_taken_back(vault: Vault) -> None:
    world = vault.world
    groups, users = world.ids("group"), world.ids("user")
    group, user = groups["Sales"], users["Lina Costa"]
    link(world, "group.members", group, user)
    desired = world.captured()
    unlink(world, "group.members", group, user)
    plan = world.plan(desired, only("group", group))
    (step,) = plan.steps
    done = vault.apply(plan, MemoryJournal([StepRecord(step.id, StepStatus.ALREADY)]))
    with pytest.raises(errors.UsageError, match="wrote nothing"):
        vault.undo_plan(done)
    unlink(world, "group.members", group, user)
    done = vault.restore(desired, only("group", group))
    (undoing,) = vault.undo_plan(done).steps
    assert (undoing.action, undoing.target) == (
        Action.REMOVE_RELATIONSHIP,
        ObjectRef("user", user),
    )


def test_a_manager_that_was_replaced_comes_back(vault: Vault) -> None:
    world = vault.world
    users = world.ids("user")
    user, later = users["Lina Costa"], users["Ada Berg"]
    desired = world.captured()
    link(world, "user.manager", user, later)
    harmed = seen(world)
    done = vault.restore(desired, only("user", user))
    assert seen(world) != harmed
    undone = vault.undo(done)
    assert undone.report.status is RestoreStatus.SUCCEEDED, undone.report.to_text()
    assert seen(world) == harmed


def test_a_created_object_that_has_been_used_since_is_told(vault: Vault) -> None:
    world = vault.world
    users = world.ids("user")
    desired = world.captured()
    world.purge("users", users["Ada Berg"])
    done = vault.restore(desired, only("user", users["Ada Berg"]))
    (new_id,) = done.report.id_map.values()
    link(world, "user.manager", users["Lina Costa"], new_id)
    world.client.patch(f"/users/{new_id}", {"jobTitle": "Promoted since"})
    plan = vault.undo_plan(done)
    assert [step.action for step in plan.steps] == [Action.DELETE]
    told = "\n".join(plan.warnings)
    assert "has been used since it was created anew: 1 of its links" in told
    assert "was changed since it was created anew: jobTitle" in told


def test_a_creation_that_was_cut_off_is_told_and_not_guessed_at(vault: Vault) -> None:
    world = vault.world
    users = world.ids("user")
    desired = world.captured()
    world.purge("users", users["Ada Berg"])
    done = vault.restore(desired, only("user", users["Ada Berg"]))
    creation = next(step for step in done.plan.steps if step.makes_object)
    cut_off = Done(
        done.job,
        done.plan,
        MemoryJournal([StepRecord(creation.id, StepStatus.INTENDED)]),
        done.report,
        done.capture,
    )
    plan = vault.undo_plan(cut_off)
    assert plan.is_empty
    assert "it was cut off, and nobody knows whether it happened" in plan.warnings[0]


def test_what_a_rollback_deleted_and_removed_is_undone_too(vault: Vault) -> None:
    world = vault.world
    users, groups = world.ids("user"), world.ids("group")
    principals = world.ids("servicePrincipal")
    desired = world.captured()
    made = world.client.post(
        "/groups",
        {
            "displayName": "Made later",
            "mailEnabled": False,
            "mailNickname": "later",
            "securityEnabled": True,
        },
    )
    later = str((made or {})["id"])
    for one in (users["Lina Costa"], users["Omar Haas"]):
        link(world, "group.members", later, one)
    link(world, "group.owners", later, users["Ada Berg"])
    location = world.client.post(
        "/identity/conditionalAccess/namedLocations",
        {
            "@odata.type": "#microsoft.graph.ipNamedLocation",
            "displayName": "Later place",
            "isTrusted": True,
            "ipRanges": [
                {"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "192.0.2.0/24"}
            ],
        },
    )
    assert location is not None
    group = groups["Sales"]
    members = {one.target_id for one in world.live.load_relationships("group.members", [group])}
    joined = next(one for one in users.values() if one not in members)
    link(world, "group.members", group, joined)
    portal = world.live.load_objects("servicePrincipal", [principals["Expense Portal"]])
    (role, *_rest) = portal[principals["Expense Portal"]].properties["appRoles"]
    world.client.post(
        f"/servicePrincipals/{principals['Expense Portal']}/appRoleAssignedTo",
        {
            "principalId": users["Lina Costa"],
            "resourceId": principals["Expense Portal"],
            "appRoleId": role["id"],
        },
    )
    before = seen(world)
    options = RestoreOptions(
        conditional_access_state=PolicyState.AS_BACKED_UP,
        relationships_behavior=RelationshipsBehavior.ROLLBACK,
        rollback_kinds=frozenset({"group", "namedLocation"}),
    )
    done = vault.restore(desired, options=options)
    assert done.report.status is RestoreStatus.SUCCEEDED, done.report.to_text()
    assert seen(world) != before
    undone = vault.undo(done)
    assert undone.report.status is RestoreStatus.SUCCEEDED, undone.report.to_text()
    # A named location may have to be made anew, and an assignment has a new id of its own.
    now = seen(world)
    with_ids = ("namedLocation/", "appRoleAssignment/")
    for state in (before, now):
        state["objects"] = {
            name
            if not name.startswith(with_ids)
            else f"{name.partition('/')[0]}/{nameless(body)}": nameless(body)
            for name, body in state["objects"].items()
        }
    assert now == before


def nameless(body: dict[str, Any]) -> str:
    own = {"id", "createdDateTime", "modifiedDateTime", "principalDisplayName"}
    return repr(sorted((key, repr(value)) for key, value in body.items() if key not in own))


def test_a_capture_holds_no_password_and_is_found_by_its_job(vault: Vault) -> None:
    world = vault.world
    users = world.ids("user")
    desired = world.captured()
    world.purge("users", users["Ada Berg"])
    world.client.patch(f"/users/{users['Lina Costa']}", {"department": None})
    done = vault.restore(desired)
    undone = vault.undo(done)
    tenant_id = world.live.tenant_id
    manifests = list_captures(vault.repository, tenant_id)
    assert [one.payload["label"] for one in manifests] == [done.job, undone.job]
    assert all(one.parent is None for one in manifests)
    assert find_capture(vault.repository, tenant_id, manifests[0].id[:21]) == manifests[0].id
    held = [
        item.properties
        for capture in (done.capture, undone.capture)
        for kind in capture.kinds()
        for item in capture.list_objects(kind)
    ]
    assert len(held) >= 2
    assert PASSWORD not in repr(held)
    assert PASSWORD not in repr([one.payload for one in manifests])
    assert vault.repository.list_tenants() == []


def into_the_bin_of_policies(vault: Vault) -> tuple[str, ModelTenant]:
    """Delete a policy that keeps nobody out, and return its id and the state before."""
    world = vault.world
    policy = next(
        item.id
        for item in world.live.list_objects("conditionalAccessPolicy")
        if not str(item.get("displayName")).startswith("Microsoft-managed")
    )
    world.client.patch(f"{CA_POLICIES}/{policy}", {"state": "disabled"})
    before = world.captured()
    world.client.delete(f"{CA_POLICIES}/{policy}")
    return policy, before


@pytest.mark.parametrize("is_open", [True, False], ids=["out_of_its_bin", "created_instead"])
def test_a_policy_that_came_back_either_way_is_deleted_again(vault: Vault, is_open: bool) -> None:
    world = vault.world
    world.sandbox.tenant.options.policy_bin_serves_applications = is_open
    policy, before = into_the_bin_of_policies(vault)
    gone = seen(world)
    done = vault.restore(before, only("conditionalAccessPolicy", policy))
    assert done.report.status is RestoreStatus.SUCCEEDED, done.report.to_text()
    back = done.report.id_map.get(policy, policy)
    assert (back == policy) is is_open
    plan = vault.undo_plan(done)
    assert [(step.action, step.live_id) for step in plan.steps] == [(Action.DELETE, back)]
    assert ("created it" in plan.steps[0].summary) is not is_open
    vault.apply(plan)
    assert seen(world) == gone
