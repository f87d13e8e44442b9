"""The rules of approvals: tighter at once, looser only by a second person."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reentra import errors
from reentra.access import Access, Actor, ApprovalRules, Role, Via

from .conftest import ADMIN, person

STRICT = ApprovalRules(restore_steps=10, disconnect=True, retention=True)
NONE = ApprovalRules()
RULES = st.builds(
    ApprovalRules, st.one_of(st.none(), st.integers(0, 3)), st.booleans(), st.booleans()
)  # fmt: skip


def needs_one(rules: ApprovalRules) -> set[object]:
    """Return the acts, of a few, that need a second person by the rules."""
    most = rules.restore_steps
    restores = {steps for steps in range(6) if most is not None and steps > most}
    others = {"disconnect": rules.disconnect, "retention": rules.retention}
    return restores | {name for name, is_needed in others.items() if is_needed}


@given(RULES, RULES)
def test_rules_are_loosened_exactly_when_an_act_needs_nobody_any_more(
    known: ApprovalRules, wanted: ApprovalRules
) -> None:
    assert known.is_loosened_by(wanted) == bool(needs_one(known) - needs_one(wanted))


def actors(access: Access) -> tuple[Actor, Actor]:
    found = [person(access, name, Role.ADMINISTRATOR) for name in ("anna", "bob")]
    return tuple(Actor(Via.SESSION, one.name, one.id) for one in found)  # type: ignore[return-value]


def test_one_person_alone_tightens_and_does_not_loosen(access: Access) -> None:
    anna, _ = actors(access)
    access.change_rules(anna, STRICT)
    for fewer in (
        NONE, ApprovalRules(11, True, True), ApprovalRules(10, False, True),
        ApprovalRules(0, True), ApprovalRules(0),
    ):  # fmt: skip
        with pytest.raises(errors.ApprovalNeeded):
            access.change_rules(anna, fewer)
        with pytest.raises(errors.ApprovalNeeded):  # trying again is no second person either
            access.change_rules(anna, fewer)
    assert access.load_rules() == STRICT
    access.change_rules(anna, ApprovalRules(5, True, True))
    assert access.load_rules() == ApprovalRules(5, True, True)


def test_a_second_person_lets_exactly_that_change_pass_once(access: Access) -> None:
    anna, bob = actors(access)
    access.change_rules(anna, STRICT)
    with pytest.raises(errors.ApprovalNeeded):
        access.change_rules(anna, ApprovalRules(20, True, True))
    (asked,) = access.approvals.list_approvals("")
    assert "10 steps" in asked.subject
    assert "20 steps" in asked.subject
    with pytest.raises(errors.Refused, match="for themselves"):
        access.approvals.decide(anna, asked.id, "", is_granted=True)
    access.approvals.decide(bob, asked.id, "", is_granted=True)
    with pytest.raises(errors.ApprovalNeeded):
        access.change_rules(anna, NONE)
    access.change_rules(anna, ApprovalRules(20, True, True))
    access.change_rules(anna, STRICT)
    with pytest.raises(errors.ApprovalNeeded):
        access.change_rules(anna, ApprovalRules(20, True, True))


def test_an_approved_change_is_void_when_the_rules_are_others_by_then(access: Access) -> None:
    anna, bob = actors(access)
    access.change_rules(anna, ApprovalRules(restore_steps=10))
    with pytest.raises(errors.ApprovalNeeded):
        access.change_rules(anna, NONE)
    (asked,) = access.approvals.list_approvals("")
    access.approvals.decide(bob, asked.id, "", is_granted=True)
    access.change_rules(bob, STRICT)
    with pytest.raises(errors.ApprovalNeeded):
        access.change_rules(anna, NONE)
    assert access.load_rules() == STRICT


def test_the_command_line_loosens_and_the_trail_tells(access: Access) -> None:
    access.change_rules(ADMIN, STRICT)
    access.change_rules(ADMIN, NONE)
    record = access.trail.list_records(limit=1)[0]
    assert (record.via, record.action, record.target) == ("command", "settings.change", "approval")
    assert record.to_json()["detail"]["after"] == NONE.to_json()
