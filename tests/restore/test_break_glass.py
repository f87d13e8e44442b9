"""Break-glass accounts: what a plan does not do to the accounts named for emergencies."""

from __future__ import annotations

import pytest

from reentra.restore.refusals import open_refusals
from reentra.restore.steps import Action, Step
from tests.models import ModelTenant
from tests.restore.safety_support import (
    ADMINS,
    ANN,
    BOB,
    CAT,
    EXEMPT,
    POLICY,
    STAFF,
    assign,
    blocking,
    codes,
    guid,
    judged,
    link,
    policy,
    step,
    tenant,
)

CA = "conditionalAccessPolicy"
BOBS_NAME = "Bob@Example.com"
MFA = {"operator": "OR", "builtInControls": ["mfa"]}


def guarded() -> ModelTenant:
    """Bob is the account for emergencies, beside Ann and Cat."""
    live = tenant()
    assign(live, "bob", BOB)
    assign(live, "cat", CAT)
    live.link("group.members", ADMINS, BOB, "user")
    live.link("group.members", EXEMPT, BOB, "user")
    live.put("group", STAFF, displayName="Staff")
    live.link("group.members", STAFF, BOB, "user")
    return live


@pytest.mark.parametrize(
    "harm",
    [
        step(Action.UPDATE, "user", BOB, department="Sales"),
        step(Action.UPDATE, "user", BOB, accountEnabled=True),
        step(Action.DELETE, "user", BOB, phase=200),
        step(Action.ASSIGN_LICENSES, "user", BOB, phase=141, addLicenses=[], removeLicenses=["x"]),
        link(Action.ADD_RELATIONSHIP, BOB, ANN, name="user.manager"),
        link(Action.REMOVE_RELATIONSHIP, ADMINS, BOB),
        link(Action.REMOVE_RELATIONSHIP, STAFF, BOB),
        step(Action.DELETE, "unifiedRoleAssignment", "bob", phase=200),
        step(Action.DELETE, "group", ADMINS, phase=200),
    ],
    ids=lambda harm: harm.id,
)
@pytest.mark.parametrize("named", [BOB, BOB.upper(), BOBS_NAME])
def test_nothing_of_a_break_glass_account_is_changed(harm: Step, named: str) -> None:
    assert judged(guarded(), harm)[1] == []
    _, (refusal,), _ = judged(guarded(), harm, break_glass=(named,))
    assert refusal.code == "break_glass_account"
    assert refusal.numbers == {"steps": 1}
    assert named in refusal.message
    assert harm.summary in refusal.message


def test_only_naming_the_account_overrules_it() -> None:
    _, refusals, _ = judged(
        guarded(),
        step(Action.UPDATE, "user", BOB, department="Sales"),
        step(Action.UPDATE, "user", CAT, department="Sales"),
        break_glass=(BOB, CAT),
    )
    assert codes(refusals) == ["break_glass_account"] * 2
    assert open_refusals(refusals, frozenset({"break_glass_account"})) == refusals
    (left,) = open_refusals(refusals, frozenset({f"break_glass_account:{BOB}"}))
    assert CAT in left.message


def test_bringing_one_back_and_giving_it_something_is_allowed() -> None:
    live = guarded()
    live.put("group", guid(0x99), displayName="Other")
    gone = guid(0x42)
    role = {"principalId": BOB, "roleDefinitionId": guid(1), "directoryScopeId": "/"}
    _, refusals, warnings = judged(
        live,
        step(Action.UPDATE, "user", ANN, department="Sales"),
        link(Action.ADD_RELATIONSHIP, guid(0x99), BOB),
        step(Action.CREATE, "unifiedRoleAssignment", "new", phase=115, is_new=True, **role),
        step(Action.UNDELETE, "user", gone, phase=1),
        step(Action.UPDATE, "user", gone, accountEnabled=True),
        step(Action.DELETE, "group", guid(0x99), phase=200),
        break_glass=(BOB, gone),
    )
    assert refusals == []
    (said,) = [text for text in warnings if gone in text]
    assert "not in the tenant" in said


def test_a_group_that_a_policy_excludes_is_not_deleted_with_the_account_in_it() -> None:
    live = guarded()
    harm = step(Action.DELETE, "group", EXEMPT, phase=200)
    assert judged(live, harm, break_glass=(BOB,))[1] == []
    policy(live, users={"includeUsers": ["All"], "excludeGroups": [EXEMPT]}, grant=MFA)
    refusals = judged(live, harm, break_glass=(BOB,))[1]
    assert codes(refusals) == ["break_glass_account", "break_glass_policy"]


def test_a_policy_that_does_not_exclude_the_account_is_refused_whatever_it_demands() -> None:
    live = guarded()
    body = blocking(grant=MFA, applications={"includeApplications": [guid(5)]})
    create = step(Action.CREATE, CA, POLICY, phase=160, is_new=True, **body)
    _, (refusal,), _ = judged(live, create, break_glass=(BOBS_NAME,))
    assert refusal.code == "break_glass_policy"
    assert refusal.overrule == f"break_glass_policy:{BOBS_NAME}"
    assert refusal.numbers == {"policies": 1}
    for users in (
        {"includeUsers": ["All"], "excludeUsers": [BOB]},
        {"includeUsers": ["All"], "excludeGroups": [EXEMPT]},
        {"includeUsers": [ANN]},
    ):
        fine = step(Action.CREATE, CA, POLICY, phase=160, is_new=True,
                    **blocking(grant=MFA, users=users))  # fmt: skip
        assert judged(live, fine, break_glass=(BOBS_NAME,))[1] == []
    reporting = step(Action.CREATE, CA, POLICY, phase=160, is_new=True,
                     **blocking(grant=MFA, state="enabledForReportingButNotEnforced"))  # fmt: skip
    assert judged(live, reporting, break_glass=(BOBS_NAME,))[1] == []


def test_enabling_one_is_refused_and_one_that_applied_already_is_left_alone() -> None:
    live = guarded()
    policy(live, grant=MFA)
    renamed = step(Action.UPDATE, CA, POLICY, phase=160, displayName="Renamed")
    assert judged(live, renamed, break_glass=(BOB,))[1] == []
    policy(live, grant=MFA, state="disabled")
    enabled = step(Action.UPDATE, CA, POLICY, phase=160, state="enabled")
    assert codes(judged(live, enabled, break_glass=(BOB,))[1]) == ["break_glass_policy"]


def test_joining_a_group_that_a_policy_includes_is_refused() -> None:
    live = guarded()
    target = guid(0x98)
    live.put("group", target, displayName="Included")
    policy(live, users={"includeGroups": [target]}, grant=MFA)
    joins = link(Action.ADD_RELATIONSHIP, target, BOB)
    assert codes(judged(live, joins, break_glass=(BOB,))[1]) == ["break_glass_policy"]
    nested = link(Action.ADD_RELATIONSHIP, target, STAFF)
    assert codes(judged(live, nested, break_glass=(BOB,))[1]) == ["break_glass_policy"]
    assert judged(live, link(Action.ADD_RELATIONSHIP, target, ANN), break_glass=(BOB,))[1] == []


def test_what_cannot_be_told_before_is_a_warning() -> None:
    live = guarded()
    users = {"includeUsers": ["All"], "excludeGroups": [guid(0x97)]}
    undelete = step(Action.UNDELETE, "group", guid(0x97), phase=2)
    create = step(Action.CREATE, CA, POLICY, phase=160, is_new=True,
                  **blocking(grant=MFA, users=users))  # fmt: skip
    _, refusals, warnings = judged(live, undelete, create, break_glass=(BOB,))
    assert refusals == []
    assert any("may begin to apply to the break-glass account" in text for text in warnings)
