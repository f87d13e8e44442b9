"""The law of undo: right after a restore, undoing it leaves the tenant as it was right before it.

Up to new ids, and to what the undo's plan itself declares that it cannot take back.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from reentra.directory import canonical
from reentra.directory.kinds import KINDS
from reentra.directory.relationships import RELATIONSHIPS
from reentra.directory.selection import EVERYTHING
from reentra.restore import bodies
from reentra.restore.capture import touched_by
from reentra.restore.deeds import deeds_of
from reentra.restore.draft import PolicyState, RestoreOptions
from reentra.restore.identity import IdentityMap
from reentra.restore.journal import MemoryJournal
from reentra.restore.licences import direct_licences, group_licences
from reentra.restore.matching import natural_key
from reentra.restore.plan import RestorePlan
from reentra.restore.undo import plan_undo
from reentra.sandbox.app import SandboxServer
from tests.models import ModelTenant
from tests.restore.support import NOW, World, new_world
from tests.stateful.test_central_law import EXAMPLE, harm_by, options_of

AS_WAS = RestoreOptions(conditional_access_state=PolicyState.AS_BACKED_UP)


def captured_part(plan: RestorePlan, state: ModelTenant, identity: IdentityMap) -> ModelTenant:
    """Return what a capture of ``plan`` would hold of the tenant."""
    touched = touched_by(plan, identity)
    part = ModelTenant(state.tenant_id, "capture")
    for kind, ids in touched.objects.items():
        held = state.objects.get(kind, {})
        if KINDS[kind].is_singleton:
            ids = set(held)
        part.objects[kind] = {one: copy.deepcopy(held[one]) for one in ids if one in held}
    for key, link in state.links.items():
        ends = (RELATIONSHIPS[link.kind].source_kind, link.source_id, link.target_id)
        deleted = {one for ids in touched.deleted.values() for one in ids}
        if (
            link.target_id in touched.removed.get(link.kind, {}).get(link.source_id, ())
            or link.source_id in touched.replaced.get(link.kind, ())
            or deleted & set(ends)
        ):
            part.links[key] = link
    return part


def essence(state: ModelTenant, identity: IdentityMap) -> dict[str, Any]:
    """Return all that a restore can write, with every id as it is now."""
    result: dict[str, Any] = {}
    for kind, objects in state.objects.items():
        row = KINDS[kind]
        names = row.writable | row.update_only | row.create_only
        for object_id, body in objects.items():
            mapped = bodies.comparable(kind, identity.rewritten(kind, body))
            key = "/".join(natural_key(row, mapped)) if row.is_link else identity.current(object_id)
            values = {name: mapped.get(name) for name in names}
            if row.name in ("user", "group"):
                owned = direct_licences if kind == "user" else group_licences
                values["licences"] = sorted(
                    (sku, sorted(plans)) for sku, plans in owned(body).items()
                )
            result[f"{kind}/{key}"] = canonical.canonical_properties(kind, values)
    for link in state.links.values():
        ends = (identity.current(link.source_id), identity.current(link.target_id))
        result[f"{link.kind} {ends[0]} {ends[1]} {link.qualifier}"] = True
    return result


def run_example(server: SandboxServer, example: Mapping[str, Any]) -> int:
    """Harm, restore and undo; return how many steps the undo had."""
    world = new_world(server)
    try:
        return _run(world, example)
    finally:
        world.client.close()


def _run(world: World, example: Mapping[str, Any]) -> int:
    desired, selection = harm_by(world, example)
    options = options_of(example, selection)
    if world.plan(desired, selection, options).is_empty:
        selection = EVERYTHING  # an example that touches nothing proves nothing
    plan = world.plan(desired, selection, options)
    options = dataclasses.replace(
        options, overruled=frozenset(one.overrule for one in plan.refusals)
    )
    plan = world.plan(desired, selection, options)
    if plan.open_refusals or plan.is_empty:
        return 0
    before = world.captured()
    capture = captured_part(plan, before, world.identity.merged(plan.matched))
    journal = MemoryJournal()
    world.applier(plan, journal).run()
    world.sandbox.clock.advance(600)
    deeds = deeds_of("job", plan, journal.load_records(), world.identity)
    if deeds.is_empty:
        return 0
    undo_options = AS_WAS
    for _ in range(2):
        undoing = plan_undo(
            deeds, capture, world.live, undo_options, world.identity, created_at=NOW
        )
        overruled = frozenset(one.overrule for one in undoing.refusals)
        undo_options = dataclasses.replace(AS_WAS, overruled=overruled)
    if undoing.open_refusals:
        return 0
    report = world.applier(undoing).run()
    world.sandbox.clock.advance(600)
    after = world.captured()
    excused = {str(one.ref) for one in undoing.unrestorable}
    excused |= {str(entry.step.ref) for entry in report.failures}
    expected, found = essence(before, world.identity), essence(after, world.identity)
    wrong = {
        key: (expected.get(key), found.get(key))
        for key in expected.keys() | found.keys()
        if expected.get(key) != found.get(key)
    }
    wrong = {
        key: pair for key, pair in wrong.items() if not any(one in key for one in _ids(excused))
    }
    assert not wrong, (wrong, report.to_text(), [step.to_json() for step in undoing.steps])
    return len(undoing.steps)


def _ids(refs: set[str]) -> set[str]:
    return {ref.partition("/")[2] or ref for ref in refs}


def _fresh(example: Mapping[str, Any]) -> int:
    with SandboxServer(seed_name="small") as running:
        return run_example(running, example)


_COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


@settings(max_examples=8, derandomize=True, **_COMMON)
@given(EXAMPLE)
def test_an_undo_leaves_the_tenant_as_it_was_right_before_the_restore(
    example: Mapping[str, Any],
) -> None:
    _fresh(example)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_law_of_undo_holds_for_many_tenants(capsys: pytest.CaptureFixture[str]) -> None:
    steps: list[int] = []

    @settings(max_examples=40, print_blob=True, **_COMMON)
    @given(EXAMPLE)
    def law(example: Mapping[str, Any]) -> None:
        steps.append(_fresh(example))

    law()
    undone = sum(1 for number in steps if number)
    with capsys.disabled():
        print(f"\nthe law of undo held for {len(steps)} examples, {undone} of them with steps")
    assert undone > len(steps) / 2
