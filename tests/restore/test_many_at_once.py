"""Several batches in flight: what is lost, throttled or refused in them stays what it is."""

from __future__ import annotations

import dataclasses
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from reentra.directory.objects import ObjectRef
from reentra.directory.selection import Selection
from reentra.graph import writer
from reentra.graph.client import connect
from reentra.graph.pace import Limits
from reentra.graph.reader import LiveTenant
from reentra.restore.draft import RestoreOptions
from reentra.restore.journal import MemoryJournal, StepStatus
from reentra.restore.report import RestoreStatus
from reentra.sandbox import seed
from reentra.sandbox.app import SandboxServer
from tests.models import ModelTenant
from tests.restore.support import PASSWORD, World, connection_of, new_world

MANY = 90  # five batches
ALL_OF_THEM = RestoreOptions(max_changed_share=1.0)


@pytest.fixture
def crowd(world: World) -> dict[str, str]:
    """Many more users, by principal name."""
    return add_crowd(world, MANY)


def add_crowd(world: World, count: int) -> dict[str, str]:
    domain = next(iter(world.live.list_objects("user"))).properties["userPrincipalName"]
    names = [f"crowd{number}@{domain.rpartition('@')[2]}" for number in range(count)]
    outcomes = world.writer.send_batch(
        [
            writer.create(
                "user",
                {
                    "accountEnabled": True,
                    "displayName": name.partition("@")[0],
                    "mailNickname": name.partition("@")[0],
                    "userPrincipalName": name,
                    "department": "Crowd",
                    "passwordProfile": {"password": PASSWORD},
                },
            )
            for name in names
        ]
    )
    return {name: one.object_id for name, one in zip(names, outcomes, strict=True)}


def selecting(ids: dict[str, str]) -> Selection:
    return Selection(refs=frozenset(ObjectRef("user", one) for one in ids.values()))


def purge(world: World, ids: dict[str, str]) -> None:
    for one in ids.values():
        record = world.sandbox.tenant.find(one)
        assert record is not None
        world.sandbox.tenant.purge(record)


def assert_each_once(world: World, ids: dict[str, str]) -> None:
    names = Counter(one.get("userPrincipalName") for one in world.live.list_objects("user"))
    assert {names[name] for name in ids} == {1}


def test_replies_that_are_lost_with_several_batches_in_flight_make_nothing_twice(
    world: World, crowd: dict[str, str]
) -> None:
    desired = world.captured()
    purge(world, crowd)
    plan = world.plan(desired, selecting(crowd))
    assert len([step for step in plan.steps if step.makes_object]) == MANY
    journal = MemoryJournal()
    world.sandbox.faults.script(("POST", r"^/\$batch"), "reset", times=2, when="after")
    world.sandbox.faults.script(("POST", "^/users$"), 504, times=3, when="after")
    world.sandbox.faults.script(("POST", "^/users$"), 503, times=3, when="before", skip=3)
    report = world.applier(plan, journal).run()
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    assert len(report.id_map) == MANY == len(set(report.id_map.values()))
    assert_each_once(world, crowd)
    assert max(Counter(journal.intents).values()) == 1
    assert world.plan(desired, selecting(crowd)).is_empty


def test_parts_of_a_batch_that_are_throttled_are_sent_again_and_only_they(
    world: World, crowd: dict[str, str]
) -> None:
    desired = world.captured()
    purge(world, crowd)
    plan = world.plan(desired, selecting(crowd))
    world.sandbox.faults.script(("POST", "^/users$"), "throttled", times=5, seconds=1)
    world.sandbox.faults.script(("POST", "^/users$"), "throttled_date", times=5, seconds=1)
    counted = world.counted(lambda: world.applier(plan).run(is_verifying=False))
    assert counted["POST /users"] == MANY
    assert world.sandbox.counters.by_status[429] == 10
    assert_each_once(world, crowd)


def test_groups_of_one_name_whose_replies_were_lost_each_get_their_own_id(world: World) -> None:
    group = {"displayName": "Twins", "mailEnabled": False, "securityEnabled": True}
    made = world.writer.send_batch(
        [
            writer.create("group", {**group, "mailNickname": "twin", "description": text})
            for text in ("first", "second", "third")
        ]
    )
    desired = world.captured()
    ids = [one.object_id for one in made]
    for one in ids:
        world.purge("groups", one)
    selection = Selection(refs=frozenset(ObjectRef("group", one) for one in ids))
    plan = world.plan(desired, selection)
    world.sandbox.faults.script(("POST", "^/groups$"), 504, times=3, when="after")
    report = world.applier(plan).run()
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    now = world.live.load_objects("group", list(report.id_map.values()))
    assert [now[report.id_map[one]].get("description") for one in ids] == [
        "first",
        "second",
        "third",
    ]


@pytest.mark.parametrize("is_gone", [True, False])
def test_one_link_that_is_refused_among_twenty_costs_few_writes(
    world: World, crowd: dict[str, str], is_gone: bool
) -> None:
    group = world.ids("group")["Sales"]
    ids = list(crowd.values())[:20]
    world.writer.send(world.writer.bind("group.members", group, ids))
    desired = world.captured()
    for one in ids:
        world.client.remove_reference(f"/groups/{group}/members/{one}/$ref")
    plan = world.plan(desired, Selection(refs=frozenset({ObjectRef("group", group)})))
    assert len(plan.steps) == 20
    if is_gone:
        purge(world, {"": ids[7]})
    else:
        world.writer.send(world.writer.add_reference("group.members", group, ids[7]))
    world.sandbox.counters.reset()
    report = world.applier(plan).run(is_verifying=False)
    other = "failed" if is_gone else "already"
    expected = {"done": 19, "already": 0, "skipped": 0, "failed": 0} | {other: 1}
    assert report.counts == expected
    tried = world.sandbox.counters.by_operation
    assert tried["PATCH /groups/{id}"] + tried["POST /groups/{id}/members/$ref"] <= 11, tried


def test_putting_users_back_writes_each_of_them_once_and_nothing_else(
    world: World, crowd: dict[str, str]
) -> None:
    desired = world.captured()
    for one in crowd.values():
        record = world.sandbox.tenant.find(one)
        assert record is not None
        world.sandbox.tenant.update(record, {"department": None})
    before = world.captured()
    plan = world.plan(desired, options=ALL_OF_THEM)
    world.sandbox.counters.reset()
    report = world.applier(plan).run()
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    written = [
        entry.path
        for entry in world.sandbox.counters.log
        if entry.method != "GET" and not entry.path.endswith(("$batch", "getByIds", "/token"))
    ]
    assert Counter(path.rpartition("/")[2] for path in written) == Counter(crowd.values())
    after = world.captured()
    for kind, objects in after.objects.items():
        for object_id, body in objects.items():
            if object_id not in crowd.values():
                assert body == before.objects[kind][object_id], (kind, object_id)
    assert after.links == before.links


def test_two_processes_that_share_a_quota_both_come_to_their_end() -> None:
    with SandboxServer(seed_name="small") as server:
        first = new_world(server)
        crowd = add_crowd(first, MANY)
        desired = first.captured()
        for one in crowd.values():
            record = first.sandbox.tenant.find(one)
            assert record is not None
            first.sandbox.tenant.update(record, {"department": None})
        names = sorted(crowd)
        halves = [{n: crowd[n] for n in names[:45]}, {n: crowd[n] for n in names[45:]}]
        server.sandbox.options.throttle = "0.02"  # 60 writes in 150 s
        server.sandbox.world.throttle.factor = 0.02
        with ThreadPoolExecutor(2) as pool:
            done = [
                pool.submit(_restored_at_quota, first, desired, half, number)
                for number, half in enumerate(halves)
            ]
            assert [one.result() for one in done] == [RestoreStatus.SUCCEEDED] * 2
        assert server.sandbox.counters.by_status[429] > 0
        server.sandbox.world.throttle.factor = None
        assert first.plan(desired).is_empty
        first.client.close()


def _restored_at_quota(
    world: World, desired: ModelTenant, ids: dict[str, str], number: int
) -> RestoreStatus:
    # Limits that differ a little have a bucket of their own, as in another process.
    limits = Limits(writes=60, read_units=70 + number)
    connection = connection_of(world.server)
    with connect(connection, lambda: seed.SANDBOX_SECRET, limits=limits, clock=world.clock) as one:
        other = dataclasses.replace(world, client=one, live=LiveTenant(one))
        report = other.applier(other.plan(desired, selecting(ids), ALL_OF_THEM)).run()
        assert {entry.status for entry in report.entries} == {StepStatus.DONE}, report.to_text()
        return report.status
