"""Policies and named locations: back from Conditional Access's own bin, or else created anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from reentra import errors
from reentra.directory.selection import Selection
from reentra.restore.draft import PolicyState, RestoreOptions
from reentra.restore.journal import MemoryJournal, StepRecord, StepStatus
from reentra.restore.report import RestoreReport, RestoreStatus
from reentra.restore.steps import Action, Step
from tests.models import ModelTenant
from tests.restore.strict import NoWaiting, StrictGraph, applied
from tests.restore.support import World, worlds
from tests.restore.test_plan import ANN, desired, guid, plan

__all__ = ["desired"]

CA = "/identity/conditionalAccess"
AS_WAS = RestoreOptions(conditional_access_state=PolicyState.AS_BACKED_UP)
POLICIES = Selection.parse(["conditionalAccessPolicy"])
LOCATIONS = Selection.parse(["namedLocation"])
BOTH = Selection.parse(["conditionalAccessPolicy", "namedLocation"])


@pytest.fixture
def open_world() -> Iterator[World]:
    """A tenant whose bin of Conditional Access serves applications."""
    for world in worlds():
        world.sandbox.tenant.options.policy_bin_serves_applications = True
        yield world


def new_policy(world: World, state: str, name: str = "Block legacy", **conditions: Any) -> str:
    made = world.client.post(
        f"{CA}/policies",
        {
            "displayName": name,
            "state": state,
            "conditions": {
                "clientAppTypes": ["exchangeActiveSync", "other"],
                "applications": {"includeApplications": ["All"]},
                "users": {"includeUsers": ["All"]},
                **conditions,
            },
            "grantControls": {"operator": "OR", "builtInControls": ["block"]},
        },
    )
    return str(made["id"])


def new_location(world: World, name: str = "Depot") -> str:
    made = world.client.post(
        f"{CA}/namedLocations",
        {
            "@odata.type": "#microsoft.graph.ipNamedLocation",
            "displayName": name,
            "isTrusted": True,
            "ipRanges": [
                {"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "192.0.2.0/24"}
            ],
        },
    )
    return str(made["id"])


def drop_location(world: World, location: str) -> None:
    untrusted = {"@odata.type": "#microsoft.graph.ipNamedLocation", "isTrusted": False}
    world.client.patch(f"{CA}/namedLocations/{location}", untrusted)
    world.client.delete(f"{CA}/namedLocations/{location}")


def binned(world: World, name: str) -> list[str]:
    return [str(one["id"]) for one in world.client.items(f"{CA}/deletedItems/{name}")]


def outcomes(report: RestoreReport) -> list[tuple[Action, StepStatus | None]]:
    return [(entry.step.action, entry.status) for entry in report.entries]


# --- where the bin serves applications ------------------------------------------------------------


def test_a_named_location_comes_back_with_its_id_and_is_put_right(open_world: World) -> None:
    world = open_world
    location = new_location(world)
    before = world.captured()
    drop_location(world, location)
    report = world.restore(before, LOCATIONS)
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    assert outcomes(report) == [
        (Action.UNDELETE, StepStatus.DONE),
        (Action.UPDATE, StepStatus.DONE),  # it had to be untrusted to be deleted
    ]
    assert world.captured().comparable() == before.comparable()
    assert not report.id_map
    assert f"[namedLocation/{location}]: It left the recycle bin." in report.to_text()
    assert not world.plan(before, LOCATIONS).steps


@pytest.mark.parametrize("state", ["disabled", "enabledForReportingButNotEnforced"])
def test_a_policy_that_keeps_nobody_out_leaves_the_bin(open_world: World, state: str) -> None:
    world = open_world
    policy = new_policy(world, state)
    before = world.captured()
    world.client.patch(f"{CA}/policies/{policy}", {"displayName": "Later"})
    world.client.delete(f"{CA}/policies/{policy}")
    report = world.restore(before, POLICIES)
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    assert [action for action, _status in outcomes(report)] == [Action.UNDELETE, Action.UPDATE]
    assert world.captured().comparable() == before.comparable()
    assert not world.plan(before, POLICIES).steps


def test_an_enabled_policy_is_created_in_report_only_state_and_never_enforced_unseen(
    open_world: World,
) -> None:
    world = open_world
    policy = new_policy(world, "enabled")
    before = world.captured()
    world.client.delete(f"{CA}/policies/{policy}")
    made = world.plan(before, POLICIES)
    assert [step.action for step in made.steps] == [Action.CREATE]
    assert any("as backed up to bring it back" in warning for warning in made.warnings)
    report = world.applier(made).run()
    new_id = report.id_map[policy]
    assert world.client.get(f"{CA}/policies/{new_id}")["state"].startswith("enabledForReporting")
    assert binned(world, "policies") == [policy]
    assert not world.plan(before, POLICIES).steps


def test_an_enabled_policy_leaves_the_bin_when_its_old_state_is_asked_for(
    open_world: World,
) -> None:
    world = open_world
    policy = new_policy(world, "enabled")
    before = world.captured()
    world.client.delete(f"{CA}/policies/{policy}")
    report = world.restore(before, POLICIES, AS_WAS)
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    assert outcomes(report) == [
        (Action.UNDELETE, StepStatus.DONE),
        (Action.UPDATE, StepStatus.ALREADY),
    ]
    assert world.captured().comparable() == before.comparable()


@pytest.mark.parametrize(
    ("was", "became"),
    [
        ("enabled", {"conditions": {"clientAppTypes": ["all"]}}),  # would block everybody
        ("disabled", {"state": "enabled"}),
    ],
)
def test_a_policy_that_was_made_worse_before_it_was_deleted_stays_in_the_bin(
    open_world: World, was: str, became: dict[str, Any]
) -> None:
    world = open_world
    policy = new_policy(world, was)
    before = world.captured()
    world.client.patch(f"{CA}/policies/{policy}", became)
    world.client.delete(f"{CA}/policies/{policy}")
    made = world.plan(before, POLICIES, AS_WAS)
    assert not made.open_refusals
    assert [step.action for step in made.steps] == [Action.CREATE]
    assert any("would be enforced at once" in warning for warning in made.warnings)
    report = world.applier(made).run()
    assert world.client.get(f"{CA}/policies/{report.id_map[policy]}")["state"] == was


def test_what_would_lock_administrators_out_is_refused_out_of_the_bin_too(
    open_world: World,
) -> None:
    world = open_world
    policy = new_policy(world, "disabled", clientAppTypes=["all"])
    before = world.captured()
    world.client.delete(f"{CA}/policies/{policy}")
    before.change("conditionalAccessPolicy", policy, state="enabled")
    made = world.plan(before, POLICIES, AS_WAS)
    assert [step.action for step in made.steps] == [Action.UNDELETE, Action.UPDATE]
    assert [one.code for one in made.open_refusals] == ["administrators_locked_out"]


# --- where it does not ----------------------------------------------------------------------------


def test_without_a_bin_policies_and_locations_are_created_anew(world: World) -> None:
    world.sandbox.tenant.options.policy_bin = False
    location, policy = new_location(world), new_policy(world, "disabled")
    before = world.captured()
    world.client.delete(f"{CA}/policies/{policy}")
    drop_location(world, location)
    made = world.plan(before, BOTH)
    assert [step.action for step in made.steps] == [Action.CREATE, Action.CREATE]
    assert world.applier(made).run().id_map.keys() == {location, policy}


def test_a_bin_that_applications_may_not_use_makes_it_a_creation_with_a_new_id(
    world: World,
) -> None:
    location = new_location(world)
    where = {"includeLocations": ["All"], "excludeLocations": [location]}
    policy = new_policy(world, "disabled", locations=where)
    before = world.captured()
    world.client.delete(f"{CA}/policies/{policy}")
    drop_location(world, location)
    report = world.restore(before, BOTH)
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    assert report.id_map.keys() == {location, policy}
    assert [status for action, status in outcomes(report) if action is Action.UPDATE] == [
        StepStatus.ALREADY,
        StepStatus.ALREADY,
    ]
    again = world.client.get(f"{CA}/policies/{report.id_map[policy]}")
    assert again["conditions"]["locations"]["excludeLocations"] == [report.id_map[location]]
    told = report.to_json()["created_instead"]
    assert {one["id"] for one in told} == {location, policy}
    assert f"[namedLocation/{location}]: The tenant did not let it leave" in report.to_text()
    assert "You cannot perform the requested operation" in report.to_text()
    assert world.identity.current(policy) == report.id_map[policy]
    assert not world.plan(before, BOTH).steps


def test_more_than_a_few_are_looked_for_in_one_list(world: World) -> None:
    gone = [new_policy(world, "disabled", f"Policy {number}") for number in range(7)]
    before = world.captured()
    for policy in gone:
        world.client.delete(f"{CA}/policies/{policy}")
    asked = world.counted(lambda: world.plan(before, POLICIES))
    looks = {name: times for name, times in asked.items() if "deletedItems" in name}
    assert looks == {f"GET {CA}/deletedItems/policies": 1}


@pytest.mark.parametrize("status", [400, 403, 404, 405])
def test_a_bin_that_cannot_be_looked_into_is_as_if_there_was_none(
    world: World, status: int
) -> None:
    policy = new_policy(world, "disabled")
    before = world.captured()
    world.client.delete(f"{CA}/policies/{policy}")
    world.sandbox.faults.script(("GET", f"^{CA}/deletedItems/policies/"), status)
    made = world.plan(before, POLICIES)
    assert [step.action for step in made.steps] == [Action.CREATE]
    assert not made.unrestorable


# --- on a Graph of another kind -------------------------------------------------------------------


def with_policy(state: ModelTenant) -> str:
    policy = guid(0xCA)
    state.put(
        "conditionalAccessPolicy",
        policy,
        displayName="Ask",
        state="disabled",
        conditions={"users": {"includeUsers": [ANN]}},
        grantControls={"operator": "OR", "builtInControls": ["mfa"]},
    )
    return policy


def into_bin(live: ModelTenant, policy: str) -> None:
    body = live.objects["conditionalAccessPolicy"].pop(policy)
    live.deleted.setdefault("conditionalAccessPolicy", {})[policy] = body


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidRequest("Resource not found for the segment 'deletedItems'.", status=400),
        errors.Forbidden("Not for applications.", status=403),
        errors.GraphNotFound("It is not there.", status=404),
        errors.GraphError("Method not allowed.", status=405),
    ],
    ids=lambda error: str(error.status),
)
def test_each_final_refusal_of_the_bin_becomes_a_creation(
    desired: ModelTenant, error: errors.GraphError
) -> None:
    policy = with_policy(desired)
    live = desired.copied("live")
    into_bin(live, policy)
    graph = StrictGraph(live, lambda one: error if one.path.endswith("/restore") else None)
    report = applied(plan(desired, live), graph, NoWaiting())
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    assert [request.path for request in graph.refused] == [
        f"{CA}/deletedItems/policies/{policy}/restore"
    ]
    assert [request.path for request in graph.taken] == [f"{CA}/policies"]
    assert report.id_map.keys() == {policy}


def test_a_strict_graph_gives_a_policy_back_by_the_address_of_its_own_bin(
    desired: ModelTenant,
) -> None:
    policy = with_policy(desired)
    live = desired.copied("live")
    into_bin(live, policy)
    graph = StrictGraph(live)
    report = applied(plan(desired, live), graph)
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    assert [one.path for one in graph.taken] == [f"{CA}/deletedItems/policies/{policy}/restore"]


# --- cut off --------------------------------------------------------------------------------------


def undelete_of(steps: tuple[Step, ...]) -> Step:
    return next(step for step in steps if step.action is Action.UNDELETE)


def policies_named(world: World, name: str) -> list[str]:
    items = world.live.list_objects("conditionalAccessPolicy")
    return [item.id for item in items if item.get("displayName") == name]


def test_an_undelete_that_happened_before_the_crash_is_not_sent_again(open_world: World) -> None:
    world = open_world
    policy = new_policy(world, "disabled")
    before = world.captured()
    world.client.delete(f"{CA}/policies/{policy}")
    made = world.plan(before, POLICIES)
    world.client.post(f"{CA}/deletedItems/policies/{policy}/restore")
    journal = MemoryJournal([StepRecord(undelete_of(made.steps).id, StepStatus.INTENDED)])
    world.sandbox.counters.reset()
    report = world.applier(made, journal).run()
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    assert not report.id_map
    assert policies_named(world, "Block legacy") == [policy]
    assert not [one for one in world.sandbox.counters.by_operation if one.startswith("POST /ident")]


def test_a_lost_reply_of_an_undelete_never_leads_to_a_second_policy(open_world: World) -> None:
    world = open_world
    policy = new_policy(world, "disabled")
    before = world.captured()
    world.client.delete(f"{CA}/policies/{policy}")
    world.sandbox.clock.advance(60)
    restore = ("POST", f"^{CA}/deletedItems/policies/.*/restore")
    world.sandbox.faults.script(restore, "reset", when="after")
    world.sandbox.options.replication_delay_seconds = 20
    report = world.restore(before, POLICIES)
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    world.sandbox.clock.advance(60)
    assert policies_named(world, "Block legacy") == [policy]


def test_a_creation_in_its_place_is_not_done_twice_after_a_crash(world: World) -> None:
    namesake = new_policy(world, "disabled")  # was there before, and is not taken for it
    policy = new_policy(world, "disabled")
    before = world.captured()
    world.client.delete(f"{CA}/policies/{policy}")
    made = world.plan(before, POLICIES)
    step = undelete_of(made.steps)
    detail = {"kept_in_bin": "Not for applications.", "existing": [namesake]}
    created = new_policy(world, "disabled")  # as the restore did it, before it was killed
    journal = MemoryJournal([StepRecord(step.id, StepStatus.INTENDED, detail)])
    report = world.applier(made, journal).run()
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    assert report.id_map == {policy: created}
    assert sorted(policies_named(world, "Block legacy")) == sorted([namesake, created])


def test_a_crash_right_before_the_creation_in_its_place_leads_to_one_creation(
    world: World,
) -> None:
    policy = new_policy(world, "disabled")
    before = world.captured()
    world.client.delete(f"{CA}/policies/{policy}")
    made = world.plan(before, POLICIES)
    journal = MemoryJournal()

    class Killed(Exception):
        pass

    real, world_writer = journal.record_intent, world.applier(made, journal)

    def dies_after_the_second(*given: Any) -> None:
        real(*given)
        if len(journal.intents) == 2:
            raise Killed

    journal.record_intent = dies_after_the_second  # type: ignore[method-assign]
    with pytest.raises(Killed):
        world_writer.run()
    (record,) = journal.load_records().values()
    assert record.kept_in_bin
    journal.record_intent = real  # type: ignore[method-assign]
    world.sandbox.counters.reset()
    report = world.applier(made, journal).run()
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    assert policies_named(world, "Block legacy") == [report.id_map[policy]]
    sent = [name for name in world.sandbox.counters.by_operation if "deletedItems" in name]
    assert not [name for name in sent if name.startswith("POST")]
