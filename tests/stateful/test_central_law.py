"""The central law of restore.

For any two states of a tenant and any selection, applying the plan makes the live tenant equal the
desired one inside the selection, up to new ids and to what is declared unrestorable, and changes
nothing outside; a second plan is empty. What was added since stays in a merge; rolled back, nothing
of it is left inside the selection.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reentra import errors
from reentra.directory import canonical, references
from reentra.directory.kinds import KINDS, IdForm
from reentra.directory.objects import ObjectRef, Relationship
from reentra.directory.relationships import RELATIONSHIPS, Adding
from reentra.directory.selection import EVERYTHING, Selection
from reentra.restore import bodies, prerequisites
from reentra.restore.choices import can_roll_back
from reentra.restore.draft import PolicyState, RelationshipsBehavior, RestoreOptions
from reentra.restore.identity import NO_IDENTITY, IdentityMap
from reentra.restore.journal import StepStatus
from reentra.restore.matching import ends_of
from reentra.restore.plan import RestorePlan
from reentra.restore.steps import Action
from reentra.sandbox.app import SandboxServer
from tests.models import ModelTenant
from tests.restore.support import World, new_world
from tests.stateful.mishaps import MISHAPS, Harm

_MISHAP = st.tuples(st.sampled_from(sorted(MISHAPS)), st.integers(0, 30), st.integers(0, 30))
_SELECTABLE = (
    "user",
    "group",
    "application",
    "servicePrincipal",
    "administrativeUnit",
    "conditionalAccessPolicy",
    "unifiedRoleDefinition",
    "device",
)
_SELECTION = st.one_of(
    st.just(None),
    st.sets(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4),
    st.lists(st.tuples(st.sampled_from(_SELECTABLE), st.integers(0, 30)), min_size=1, max_size=5),
)
EXAMPLE = st.fixed_dictionaries(
    {
        "before": st.lists(_MISHAP, max_size=4),
        "after": st.lists(_MISHAP, min_size=1, max_size=8),
        "selection": _SELECTION,
        "relationships": st.booleans(),
        "rollback": st.sampled_from(["", "", "links", "kinds"]),
        "delay_seconds": st.sampled_from([0.0, 0.0, 7.0]),
        "faults": st.lists(
            st.tuples(
                st.sampled_from(["POST", "PATCH", "PUT", "DELETE", "GET"]),
                st.sampled_from([429, 503, 504]),
                st.integers(0, 6),
            ),
            max_size=2,
        ),
    }
)
# What Microsoft Entra computes from other things, so that it changes along with them.
_COMPUTED: Mapping[str, frozenset[str]] = {
    "user": frozenset({"assignedLicenses", "identities", "proxyAddresses", "mail", "imAddresses"}),
    "servicePrincipal": frozenset(
        {
            "appDisplayName", "appRoles", "oauth2PermissionScopes", "displayName", "tags",
            "servicePrincipalNames", "signInAudience", "replyUrls", "info", "homepage",
            "appDescription", "logoutUrl",
        }
    ),
}  # fmt: skip


def chosen(world: World, drawn: Any) -> Selection:
    if drawn is None:
        return EVERYTHING
    if isinstance(drawn, set):
        return Selection(kinds=frozenset(drawn))
    refs = set()
    for kind, number in drawn:
        ids = sorted(item.id for item in world.live.list_objects(kind))
        refs.add(ObjectRef(kind, ids[number % len(ids)]))
    return Selection(refs=frozenset(refs))


def harm_by(world: World, example: Mapping[str, Any]) -> tuple[ModelTenant, Selection]:
    """Do the example's mishaps; return the state between them, and the selection made in it."""
    harm = Harm(world)
    for name, first, second in example["before"]:
        harm.do(MISHAPS[name], first, second)
    desired = world.captured()
    selection = chosen(world, example["selection"])
    harm = Harm(world)
    for name, first, second in example["after"]:
        harm.do(MISHAPS[name], first, second)
    world.sandbox.clock.advance(600)
    return desired, selection


def options_of(example: Mapping[str, Any], selection: Selection) -> RestoreOptions:
    """Return the options that the example restores with."""
    return RestoreOptions(
        relationships=example["relationships"] or bool(example["rollback"]),
        conditional_access_state=PolicyState.AS_BACKED_UP,
        relationships_behavior=RelationshipsBehavior(
            "rollback" if example["rollback"] else "merge"
        ),
        rollback_kinds=frozenset(
            kind
            for kind, row in KINDS.items()
            if example["rollback"] == "kinds" and can_roll_back(row) and selection.takes_whole(kind)
        ),
    )


def run_example(server: SandboxServer, example: Mapping[str, Any]) -> None:
    world = new_world(server)
    try:
        _run(world, example)
    finally:
        world.client.close()


def _run(world: World, example: Mapping[str, Any]) -> None:
    desired, selection = harm_by(world, example)
    harmed = world.captured()
    options = options_of(example, selection)
    plan = world.plan(desired, selection, options)
    if plan.refusals:
        # What would harm is not applied; what may be overruled is, for the law.
        options = dataclasses.replace(
            options, overruled=frozenset(one.overrule for one in plan.refusals)
        )
        plan = world.plan(desired, selection, options)
    if plan.open_refusals:
        with pytest.raises(errors.Refused):
            world.applier(plan)
        return
    world.sandbox.options.replication_delay_seconds = example["delay_seconds"]
    for method, status, skip in example["faults"]:
        when = "before" if status == 429 or method == "GET" else "after"
        world.sandbox.faults.script(
            (method, ".*"), status, when=when, skip=skip, seconds=0 if status == 429 else None
        )
    report = world.applier(plan).run()
    world.sandbox.faults.queue.clear()
    world.sandbox.clock.advance(600)
    world.sandbox.options.replication_delay_seconds = 0.0
    # A client id that was dead in the snapshot already may be one of Microsoft's, for all we know.
    dead_apps = {
        entry.step.id
        for entry in report.entries
        if entry.step.ref.kind == "conditionalAccessPolicy"
        and "invalid application id" in entry.message
        and not _knows_applications(desired, entry.step.body)
    }
    bad = [
        entry
        for entry in report.entries
        if entry.status not in _GOOD and entry.step.id not in dead_apps
    ]
    assert not bad, [entry.to_json() for entry in bad]
    assert not report.verification.differences, report.verification.to_json()
    after = world.captured()
    lost = {step.ref for step in plan.steps if step.id in dead_apps}
    check_inside(plan, desired, after, selection, world.identity, lost)
    check_outside(plan, desired, harmed, after, selection, world.identity)
    check_added(plan, desired, harmed, after, selection, world.identity)
    again = world.plan(desired, selection, options)
    if (
        any(step.action is Action.UNDELETE for step in plan.steps)
        and options.rolls_back_relationships
    ):
        # What left the recycle bin brought links along that nobody could see before.
        assert all(step.removes_link or step.ref in lost for step in again.steps)
        world.applier(again).run()
        world.sandbox.clock.advance(600)
        again = world.plan(desired, selection, options)
    assert {step.ref for step in again.steps} <= lost, [step.to_json() for step in again.steps]


_GOOD = (StepStatus.DONE, StepStatus.ALREADY)


def _knows_applications(state: ModelTenant, body: Mapping[str, Any]) -> bool:
    known = {
        str(item.get("appId"))
        for kind in ("application", "servicePrincipal")
        for item in state.objects.get(kind, {}).values()
    }
    chosen = (body.get("conditions") or {}).get("applications") or {}
    named = [*(chosen.get("includeApplications") or ()), *(chosen.get("excludeApplications") or ())]
    return all(one in known for one in named if len(one) == 36)


def _dead_references(state: ModelTenant, kind: str, body: Mapping[str, Any]) -> set[str]:
    """Return the object ids that a body names and that its own state does not have."""
    return {
        identifier
        for reference, identifier in references.references_in(kind, body)
        if reference.form in (IdForm.OBJECT_ID, IdForm.TEXT)
        and reference.is_required
        and not any(identifier in state.objects.get(one, {}) for one in reference.kinds)
    }


def check_inside(
    plan: RestorePlan,
    desired: ModelTenant,
    after: ModelTenant,
    selection: Selection,
    identity: IdentityMap,
    lost: Collection[ObjectRef],
) -> None:
    """Every selected object is there with its writable properties, and every link of it."""
    declared = {(item.ref, what) for item in plan.unrestorable for what in item.what.split(", ")}
    for kind, row in KINDS.items():
        for object_id, body in desired.objects.get(kind, {}).items():
            ref = ObjectRef(kind, object_id)
            if not selection.contains(kind, object_id) or (ref, "object") in declared:
                continue
            if ref in lost:
                continue
            if row.is_link:
                if selection.is_everything and not plan.options.relationships:
                    continue
                want_key = _link_key(kind, body, identity)
                there = {_link_key(kind, b, identity): b for b in after.objects[kind].values()}
                assert want_key in there, f"{ref} is missing"
                want = identity.rewritten(kind, body)
                for name in row.writable:
                    if (ref, name) not in declared:
                        left, right = (
                            canonical.canonical_properties(
                                kind, bodies.comparable(kind, {name: one.get(name)})
                            )
                            for one in (want, there[want_key])
                        )
                        assert left == right, f"{ref} {name}"
                continue
            have = after.objects.get(kind, {}).get(identity.current(object_id))
            assert have is not None, f"{ref} is missing"
            # What was dead in the snapshot already is left out of whatever is written.
            dead = _dead_references(desired, kind, body)
            want = prerequisites.without_ids(identity.rewritten(kind, body), dead)
            have = prerequisites.without_ids(have, dead)
            names = row.writable | row.update_only | set(references.extensions_in(kind, want))
            for name in sorted(names):
                if (ref, name) in declared or (_is_guest(body) and name == "userPrincipalName"):
                    continue
                left = canonical.canonical_properties(kind, {name: _reduced(want.get(name))})
                right = canonical.canonical_properties(kind, {name: _reduced(have.get(name))})
                assert left == right, f"{ref} {name}"
            assert _own_licences(desired, body) == _own_licences(after, have), f"{ref} licences"
    if plan.options.relationships:
        _check_links_inside(plan, desired, after, selection, identity)


def _check_links_inside(
    plan: RestorePlan,
    desired: ModelTenant,
    after: ModelTenant,
    selection: Selection,
    identity: IdentityMap,
) -> None:
    declared = {(item.ref.id, item.what) for item in plan.unrestorable}
    present = {link.key for link in after.links.values()}
    for link in desired.links.values():
        if not _is_link_inside(desired, link, selection) or (link.source_id, link.kind) in declared:
            continue
        if not _exists(desired, link.target_id):
            continue
        key = (
            link.kind,
            identity.current(link.source_id),
            identity.current(link.target_id),
            link.qualifier,
        )
        assert key in present, f"{link} is missing"


def check_added(
    plan: RestorePlan,
    desired: ModelTenant,
    harmed: ModelTenant,
    after: ModelTenant,
    selection: Selection,
    identity: IdentityMap,
) -> None:
    """Merged, what was added since is still there; rolled back, nothing of it is left inside."""
    declared = {(item.ref.id, item.what) for item in plan.unrestorable}
    if not plan.deletions:
        for kind, bodies in harmed.objects.items():
            lost = bodies.keys() - after.objects.get(kind, {}).keys()
            if not KINDS[kind].is_link or not plan.options.rolls_back_relationships:
                assert not lost, f"{kind} {lost} went away"
    for kind in plan.options.rollback_kinds:
        known = {identity.current(one) for one in desired.objects.get(kind, {})}
        left = {
            one
            for one in after.objects.get(kind, {}).keys() - known
            if (one, "deletion") not in declared
        }
        assert not left, f"{kind} {left} came later and is still there"
    if not plan.options.rolls_back_relationships:
        return
    ends = _live_ends(desired, selection, identity)
    brought_back = {step.live_id for step in plan.steps if step.action is Action.UNDELETE}
    known_links = {
        (one.kind, identity.current(one.source_id), identity.current(one.target_id), one.qualifier)
        for one in desired.links.values()
    }
    dynamic = _dynamic(after)
    for key, link in after.links.items():
        if (
            key in known_links
            or RELATIONSHIPS[link.kind].adding is Adding.NOT_WRITABLE
            or link.source_id in dynamic
            or not {link.source_id, link.target_id} & ends
            or {link.source_id, link.target_id} & brought_back
            or (link.source_id, link.kind) in declared
        ):
            continue
        raise AssertionError(f"{link} came later and is still there")
    for kind, row in KINDS.items():
        if not row.is_link:
            continue
        known_keys = {
            _link_key(kind, body, identity) for body in desired.objects.get(kind, {}).values()
        }
        for object_id, body in after.objects.get(kind, {}).items():
            joined = {end for end, _kinds in ends_of(row, body)}
            if (
                joined & ends
                and not joined & brought_back
                and (object_id, "deletion") not in declared
            ):
                assert _link_key(kind, body, NO_IDENTITY) in known_keys, (
                    f"{kind}/{object_id} is still there"
                )


def _live_ends(desired: ModelTenant, selection: Selection, identity: IdentityMap) -> set[str]:
    """Return the live ids of the selected objects of the snapshot."""
    return {
        identity.current(one)
        for kind, bodies in desired.objects.items()
        for one in bodies
        if not KINDS[kind].is_link and selection.contains(kind, one)
    }


def _dynamic(*states: ModelTenant) -> set[str]:
    return {
        object_id
        for state in states
        for kind in ("group", "administrativeUnit")
        for object_id, body in state.objects.get(kind, {}).items()
        if "DynamicMembership" in (body.get("groupTypes") or ())
        or body.get("membershipType") == "Dynamic"
    }


def check_outside(
    plan: RestorePlan,
    desired: ModelTenant,
    harmed: ModelTenant,
    after: ModelTenant,
    selection: Selection,
    identity: IdentityMap,
) -> None:
    """What is not selected is as it was before the restore, to the property and to the link."""
    selected_live = {identity.current(ref.id) for ref in selection.refs} | {
        ref.id for ref in selection.refs
    }

    def is_outside(kind: str, object_id: str) -> bool:
        return not selection.contains(kind, object_id) and object_id not in selected_live

    # An application takes its service principal along when it is deleted.
    along = {
        ("servicePrincipal", str(harmed.objects["application"][step.ref.id].get("appId")))
        for step in plan.steps
        if step.action is Action.DELETE and step.ref.kind == "application"
    }
    for kind, row in KINDS.items():
        if row.is_link:
            continue
        skipped = _COMPUTED.get(kind, frozenset())
        for object_id, body in harmed.objects.get(kind, {}).items():
            if not is_outside(kind, object_id):
                continue
            have = after.objects.get(kind, {}).get(object_id)
            if have is None and (kind, str(body.get("appId"))) in along:
                continue
            assert have is not None, f"{kind}/{object_id} went away"
            left = canonical.canonical_properties(kind, body)
            right = canonical.canonical_properties(kind, have)
            for name in (left.keys() | right.keys()) - skipped:
                assert left.get(name) == right.get(name), f"{kind}/{object_id} {name} changed"
        for object_id in after.objects.get(kind, {}):
            if object_id not in harmed.objects.get(kind, {}):
                olds = [*identity.olds_of(object_id), object_id]
                assert any(selection.contains(kind, old) for old in olds), (
                    f"{kind}/{object_id} was made outside the selection"
                )
    dynamic = _dynamic(harmed, after)
    before_links = {link.key: link for link in harmed.links.values()}
    after_links = {link.key: link for link in after.links.values()}
    ends = _live_ends(desired, selection, identity)
    for key, link in before_links.items():
        if key in after_links or link.source_id in dynamic or RELATIONSHIPS[link.kind].is_single:
            continue
        is_meant = plan.options.rolls_back_relationships and (
            not (_exists(after, link.source_id) and _exists(after, link.target_id))
            or {link.source_id, link.target_id} & ends
        )
        assert is_meant, f"{link} was removed"
    for key, link in after_links.items():
        if key in before_links or link.source_id in dynamic:
            continue
        row = RELATIONSHIPS[link.kind]
        kinds = (link.target_kind,) if link.target_kind else row.target_kinds
        is_inside = not is_outside(row.source_kind, link.source_id) or any(
            not is_outside(kind, link.target_id) for kind in kinds
        )
        olds = [*identity.olds_of(link.source_id), *identity.olds_of(link.target_id)]
        named = {ref.id for ref in selection.refs}
        assert is_inside or named & set(olds), f"{link} was added outside the selection"


def _link_key(kind: str, body: Mapping[str, Any], identity: IdentityMap) -> tuple[str, ...]:
    mapped = identity.rewritten(kind, body)
    return tuple(str(mapped.get(name) or "").lower() for name in KINDS[kind].natural_key)


def _reduced(value: Any) -> Any:
    """Reduce an expanded authentication strength to its id, and drop a logo's address."""
    if isinstance(value, Mapping):
        strength = value.get("authenticationStrength")
        if isinstance(strength, Mapping):
            value = {**value, "authenticationStrength": {"id": strength.get("id")}}
        return {key: item for key, item in value.items() if key != "logoUrl"}
    if isinstance(value, str):
        return " ".join(sorted(value.split(" "))) if value.startswith("openid ") else value
    return value


def _is_guest(body: Mapping[str, Any]) -> bool:
    return "#EXT#" in str(body.get("userPrincipalName") or "")


def _own_licences(state: ModelTenant, body: Mapping[str, Any]) -> dict[str, Any]:
    own = {}
    for item in body.get("licenseAssignmentStates") or ():
        if not item.get("assignedByGroup"):
            own[item["skuId"]] = sorted(item.get("disabledPlans") or ())
    return own


def _is_link_inside(desired: ModelTenant, link: Relationship, selection: Selection) -> bool:
    row = RELATIONSHIPS[link.kind]
    if selection.contains(row.source_kind, link.source_id):
        return True
    # Graph does not always say of what kind a target is; the state itself does.
    known = {kind for kind in row.target_kinds if link.target_id in desired.objects.get(kind, {})}
    kinds = {link.target_kind} if link.target_kind else known
    return any(selection.contains(kind, link.target_id) for kind in kinds)


def _exists(state: ModelTenant, object_id: str) -> bool:
    return any(object_id in bodies for bodies in state.objects.values())


_ONE_MISHAP: Mapping[str, Any] = {
    "before": [],
    "selection": None,
    "relationships": True,
    "rollback": "",
    "delay_seconds": 0.0,
    "faults": [],
}


def _fresh(example: Mapping[str, Any]) -> None:
    with SandboxServer(seed_name="small") as running:
        run_example(running, example)


_COMMON = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "database": None,
}


@settings(max_examples=14, derandomize=True, **_COMMON)
@given(EXAMPLE)
def test_a_restore_makes_the_selection_as_it_was_and_nothing_else(
    example: Mapping[str, Any],
) -> None:
    _fresh(example)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_central_law_holds_for_five_hundred_tenants(
    capsys: pytest.CaptureFixture[str],
) -> None:
    held: Counter[str] = Counter()

    @settings(max_examples=500, print_blob=True, **_COMMON)
    @given(EXAMPLE)
    def law(example: Mapping[str, Any]) -> None:
        _fresh(example)
        held["examples"] += 1
        held.update(name for name, _first, _second in example["after"])

    law()
    for name in sorted(set(MISHAPS) - set(held)):
        _fresh({**_ONE_MISHAP, "after": [(name, 0, 0)]})  # every one is to happen, drawn or not
        held.update(("examples", name))
    with capsys.disabled():
        print(f"\nthe central law held for {held.pop('examples')} examples; mishaps: {dict(held)}")


def test_a_policy_whose_included_group_was_dead_already_is_told_and_left_alone() -> None:
    before = [("purge application", 0, 0), ("soft-delete group", 5, 0)]
    after = [("purge application", 0, 0)]
    _fresh({**_ONE_MISHAP, "before": before, "after": after, "relationships": False})


def test_the_only_policy_of_its_kind_is_the_same_one_after_it_was_made_anew() -> None:
    _fresh({**_ONE_MISHAP, "after": [("harm lifetime", 0, 0)]})
