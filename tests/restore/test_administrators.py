"""The last usable Global Administrator: every way in which a plan could take it away."""

from __future__ import annotations

import pytest

from reentra import errors
from reentra.directory.objects import DirectoryObject
from reentra.restore.administrators import GLOBAL_ADMINISTRATOR
from reentra.restore.steps import Action, Step
from tests.models import ModelTenant
from tests.restore.safety_support import (
    ADMINS,
    ANN,
    BOB,
    CAT,
    DAN,
    EXEMPT,
    GUEST,
    NESTED,
    assign,
    codes,
    guid,
    judged,
    link,
    step,
    tenant,
    user,
)

DISABLE_ANN = step(Action.UPDATE, "user", ANN, accountEnabled=False)
ENABLE_BOB = step(Action.UPDATE, "user", BOB, accountEnabled=True)


def refused(live: ModelTenant, *steps: Step) -> list[str]:
    return codes(judged(live, *steps)[1])


@pytest.mark.parametrize(
    "harm",
    [
        DISABLE_ANN,
        step(Action.UPDATE, "user", ANN, userType="Guest"),
        step(Action.DELETE, "user", ANN, phase=200),
        step(Action.DELETE, "unifiedRoleAssignment", "ann", phase=200),
    ],
    ids=lambda harm: harm.id,
)
def test_the_only_administrator_is_not_taken_away(harm: Step) -> None:
    _, (refusal,), _ = judged(tenant(), harm)
    assert refusal.code == "last_administrator"
    assert not refusal.overrule
    assert refusal.numbers["usable"] == 1
    assert "Ann" in refusal.message
    assert str(harm.ref) in refusal.hint


@pytest.mark.parametrize(
    "harm",
    [
        link(Action.REMOVE_RELATIONSHIP, ADMINS, NESTED),
        link(Action.REMOVE_RELATIONSHIP, NESTED, BOB),
        step(Action.DELETE, "group", ADMINS),
        step(Action.DELETE, "group", NESTED),
        step(Action.DELETE, "unifiedRoleAssignment", "ann"),
        step(Action.UPDATE, "user", BOB, accountEnabled=False),
    ],
    ids=lambda harm: harm.id,
)
def test_an_administrator_through_nested_groups_is_not_taken_away(harm: Step) -> None:
    live = tenant()
    assign(live, "ann", ADMINS)
    live.link("group.members", ADMINS, NESTED, "group")
    live.link("group.members", NESTED, BOB, "user")
    assert refused(live, harm) == ["last_administrator"]
    live.link("group.members", ADMINS, CAT, "user")
    assert refused(live, harm) == (
        ["last_administrator"] if harm.ref.id in (ADMINS, "ann") and not harm.is_link else []
    )


def test_several_steps_together_take_the_last_one_away() -> None:
    live = tenant()
    assign(live, "bob", BOB)
    other = step(Action.DELETE, "user", BOB, phase=200)
    assert refused(live, DISABLE_ANN) == []
    assert refused(live, other) == []
    _, (refusal,), _ = judged(live, DISABLE_ANN, other)
    assert refusal.numbers == {"usable": 2, "lost": 2, "steps": 2}
    assert "Ann, Bob" in refusal.message


def test_who_cannot_administer_everything_or_cannot_sign_in_does_not_count() -> None:
    live = tenant()
    user(live, BOB, "Bob", accountEnabled=False)
    assign(live, "bob", BOB)
    assign(live, "cat", CAT, directoryScopeId="/administrativeUnits/" + guid(7))
    assign(live, "dan", DAN, directoryScopeId=None, appScopeId="/x")
    assign(live, "guest", GUEST)
    assign(live, "program", guid(0xB1))
    live.put("servicePrincipal", guid(0xB1), displayName="Program", accountEnabled=True)
    assert refused(live, DISABLE_ANN) == ["last_administrator"]


def test_a_guest_counts_where_nobody_else_is_left_to_lose() -> None:
    live = tenant()
    live.purge("unifiedRoleAssignment", "ann")
    assign(live, "guest", GUEST)
    assert refused(live, step(Action.DELETE, "user", GUEST)) == ["last_administrator"]


def test_a_user_synced_from_on_premises_counts() -> None:
    live = tenant()
    user(live, BOB, "Bob", onPremisesSyncEnabled=True)
    assign(live, "bob", BOB)
    assert refused(live, DISABLE_ANN) == []


def test_whoever_the_plan_enables_first_counts_and_the_other_waits_for_it() -> None:
    live = tenant()
    user(live, BOB, "Bob", accountEnabled=False)
    assign(live, "bob", BOB)
    steps, refusals, _ = judged(live, DISABLE_ANN, ENABLE_BOB)
    assert refusals == []
    assert [one.id for one in steps] == [ENABLE_BOB.id, DISABLE_ANN.id]
    assert steps[1].depends_on == (ENABLE_BOB.id,)
    assert steps[0].depends_on == ()


def test_whoever_the_plan_appoints_counts_before_a_later_removal() -> None:
    live = tenant()
    appoint = step(
        Action.CREATE, "unifiedRoleAssignment", "new", phase=115, is_new=True,
        principalId=ADMINS, roleDefinitionId=GLOBAL_ADMINISTRATOR, directoryScopeId="/",
    )  # fmt: skip
    join = link(Action.ADD_RELATIONSHIP, ADMINS, CAT)
    other = link(Action.ADD_RELATIONSHIP, EXEMPT, DAN)
    late = step(Action.DELETE, "unifiedRoleAssignment", "ann", phase=200)
    steps, refusals, _ = judged(live, appoint, join, other, late)
    assert refusals == []
    assert set(steps[-1].depends_on) == {appoint.id, join.id}
    # Disabling comes long before role assignments are made: for a while nobody would be left.
    _, (refusal,), _ = judged(live, appoint, join, DISABLE_ANN)
    assert refusal.code == "last_administrator"
    assert "for a moment" in refusal.message


def test_a_user_created_anew_counts_once_it_has_the_role_and_one_from_the_bin_once_enabled() -> (
    None
):
    live = tenant()
    made = guid(9)
    create = step(Action.CREATE, "user", made, is_new=True, accountEnabled=True)
    role = {"principalId": made, "roleDefinitionId": GLOBAL_ADMINISTRATOR, "directoryScopeId": "/"}
    appoint = step(Action.CREATE, "unifiedRoleAssignment", "new", phase=115, is_new=True, **role)
    late = step(Action.DELETE, "user", ANN, phase=200)
    assert refused(live, create, appoint, late) == []
    assert refused(live, create, late) == ["last_administrator"]
    undelete = step(Action.UNDELETE, "user", made, phase=1)
    assert refused(live, undelete, appoint, late) == ["last_administrator"]
    enable = step(Action.UPDATE, "user", made, accountEnabled=True)
    assert refused(live, undelete, enable, appoint, late) == []
    invite = step(Action.INVITE, "user", made, is_new=True)
    assert refused(live, invite, enable, appoint, late) == ["last_administrator"]


def test_what_brings_somebody_and_waits_for_the_harm_itself_is_refused() -> None:
    live = tenant()
    user(live, BOB, "Bob", accountEnabled=False)
    assign(live, "bob", BOB)
    enable = step(Action.UPDATE, "user", BOB, accountEnabled=True, depends_on=(DISABLE_ANN.id,))
    assert refused(live, DISABLE_ANN, enable) == ["last_administrator"]


def test_what_cannot_be_looked_at_is_said_and_names_the_permission() -> None:
    class Closed(ModelTenant):
        def find_objects(self, kind: str, name: str, values: object) -> list[DirectoryObject]:
            raise errors.Forbidden("no", status=403)

    live = Closed()
    live.objects = tenant().objects
    _, refusals, warnings = judged(live, DISABLE_ANN)
    assert refusals == []
    assert any("RoleManagement.Read.Directory" in text for text in warnings)


def test_a_tenant_in_which_no_administrator_is_seen_is_said() -> None:
    live = tenant()
    live.purge("unifiedRoleAssignment", "ann")
    _, refusals, warnings = judged(live, DISABLE_ANN)
    assert refusals == []
    assert any("No usable Global Administrator was found" in text for text in warnings)


def test_a_plan_that_harms_nobody_reads_nothing() -> None:
    class Untouchable(ModelTenant):
        def find_objects(self, kind: str, name: str, values: object) -> list[DirectoryObject]:
            raise AssertionError("nothing is to be read")

    live = Untouchable()
    live.objects = tenant().objects
    assert refused(live, step(Action.UPDATE, "user", CAT, department="Sales"), ENABLE_BOB) == []
