"""Refusals on a sandbox tenant, through real HTTP: they are told, and they are cheap."""

from __future__ import annotations

from typing import Any

import pytest

from reentra import errors
from reentra.directory.objects import ObjectRef
from reentra.directory.selection import Selection
from reentra.restore.draft import PolicyState, RelationshipsBehavior, RestoreOptions
from reentra.restore.plan import RestorePlan, ensure_not_refused, plan_restore
from reentra.restore.safety import Safeguards
from reentra.restore.steps import Action
from reentra.sandbox import seed
from tests.models import ModelTenant
from tests.restore.support import NOW, World

CA = "/identity/conditionalAccess/policies"
BREAK_GLASS = "Emergency Access"
ENABLING = RestoreOptions(conditional_access_state=PolicyState.AS_BACKED_UP)


def planned(
    world: World,
    desired: ModelTenant,
    selection: Selection,
    options: RestoreOptions = ENABLING,
    break_glass: tuple[str, ...] = (),
) -> RestorePlan:
    return plan_restore(
        desired,
        world.live,
        selection,
        options,
        created_at=NOW,
        granted=world.client.granted_roles(),
        safeguards=Safeguards(break_glass, seed.BOTH_CLIENT_ID),
    )


def blocking_policy(world: World, **users: Any) -> str:
    body = {
        "displayName": "Block all",
        "state": "enabled",
        "conditions": {
            "clientAppTypes": ["all"],
            "applications": {"includeApplications": ["All"]},
            "users": {"includeUsers": ["All"], **users},
        },
        "grantControls": {"operator": "OR", "builtInControls": ["block"]},
    }
    return str(world.client.post(CA, body)["id"])


def selected(kind: str, object_id: str) -> Selection:
    return Selection(refs=frozenset({ObjectRef(kind, object_id)}))


def test_a_policy_that_once_locked_everybody_out_is_not_enabled_again(world: World) -> None:
    policy = blocking_policy(world)
    desired = world.captured()
    world.client.patch(f"{CA}/{policy}", {"state": "disabled"})
    made = planned(world, desired, selected("conditionalAccessPolicy", policy))
    (refusal,) = made.refusals
    assert refusal.code == "administrators_locked_out"
    assert refusal.numbers["administrators"] == 2
    with pytest.raises(errors.Refused, match="Block all"):
        ensure_not_refused(made)
    world.client.delete(f"{CA}/{policy}")
    again = planned(world, desired, selected("conditionalAccessPolicy", policy))
    assert [one.code for one in again.refusals] == ["administrators_locked_out"]
    careful = planned(world, desired, selected("conditionalAccessPolicy", policy), RestoreOptions())
    assert careful.refusals == ()
    assert any("report-only" in text for text in careful.warnings)


def test_an_exempt_administrator_keeps_the_door_open(world: World) -> None:
    exempt = world.ids("group")["Conditional Access exemptions"]
    policy = blocking_policy(world, excludeGroups=[exempt])
    desired = world.captured()
    world.client.patch(f"{CA}/{policy}", {"state": "disabled"})
    made = planned(world, desired, selected("conditionalAccessPolicy", policy))
    assert made.refusals == ()
    assert any("would block 1 of 2" in text for text in made.warnings)
    account = world.ids("user")[BREAK_GLASS]
    guarded = planned(
        world, desired, selected("conditionalAccessPolicy", policy), break_glass=(account,)
    )
    assert guarded.refusals == ()
    world.client.remove_reference(f"/groups/{exempt}/members/{account}/$ref")
    guarded = planned(
        world, desired, selected("conditionalAccessPolicy", policy), break_glass=(account,)
    )
    assert {one.code for one in guarded.refusals} == {
        "administrators_locked_out",
        "break_glass_policy",
    }


def test_a_break_glass_account_is_left_alone_by_name_and_by_id(world: World) -> None:
    account = world.ids("user")[BREAK_GLASS]
    desired = world.captured()
    name = str(desired.objects["user"][account]["userPrincipalName"])
    world.client.patch(f"/users/{account}", {"department": "Wrecked"})
    for named in (account, name.upper()):
        made = planned(world, desired, selected("user", account), break_glass=(named,))
        (refusal,) = made.refusals
        assert refusal.overrule == f"break_glass_account:{named}"
        assert "Put back department" in refusal.message
    assert planned(world, desired, selected("user", account)).refusals == ()


def test_disabling_the_last_administrator_waits_for_the_one_who_is_enabled(world: World) -> None:
    ids = world.ids("user")
    account, omar = ids[BREAK_GLASS], ids["Omar Haas"]
    world.client.patch(f"/users/{account}", {"accountEnabled": False})
    desired = world.captured()
    world.client.patch(f"/users/{account}", {"accountEnabled": True})
    world.client.patch(f"/users/{omar}", {"accountEnabled": False})
    both = Selection(refs=frozenset({ObjectRef("user", account), ObjectRef("user", omar)}))
    alone = planned(world, desired, selected("user", account))
    assert [one.code for one in alone.refusals] == ["last_administrator"]
    made = planned(world, desired, both)
    assert made.refusals == ()
    assert [step.ref.id for step in made.steps] == [omar, account]
    assert made.steps[1].depends_on == (made.steps[0].id,)
    report = world.applier(made).run()
    assert report.counts["done"] == 2
    users = world.live.load_objects("user", [account, omar])
    assert users[omar].get("accountEnabled") is True
    assert users[account].get("accountEnabled") is False


def test_looking_costs_a_handful_of_requests_and_never_lists_people(world: World) -> None:
    exempt = world.ids("group")["Conditional Access exemptions"]
    policy = blocking_policy(world, excludeGroups=[exempt])
    desired = world.captured()
    world.client.patch(f"{CA}/{policy}", {"state": "disabled"})
    world.client.granted_roles()
    world.live.coverage()
    counted = world.counted(
        lambda: planned(world, desired, selected("conditionalAccessPolicy", policy))
    )
    assert counted.get("GET /users", 0) == 0
    assert not [one for one in counted if "delta" in one]
    assert sum(counted.values()) <= 20, counted
    counted = world.counted(
        lambda: planned(world, desired, selected("user", world.ids("user")["Ben Rossi"]))
    )
    assert not [one for one in counted if "conditionalAccess" in one or "roleManagement" in one]


def test_who_holds_a_role_is_out_of_reach_and_the_report_says_what_to_do(world: World) -> None:
    omar = world.ids("user")["Omar Haas"]
    desired = world.captured()
    world.client.patch(f"/users/{omar}", {"mobilePhone": "+1 1", "city": "Wrecked"})
    world.sandbox.tenant.options.guard_privileged = True
    report = world.applier(planned(world, desired, selected("user", omar))).run()
    (failure,) = report.failures
    assert "Privileged Authentication Administrator" in failure.detail["hint"]
    assert failure.detail["refused"] == ["mobilePhone"]
    assert world.live.load_objects("user", [omar])[omar].get("city") != "Wrecked"
    purged = world.ids("user")["Lina Costa"]
    world.sandbox.tenant.options.guard_privileged = False
    desired = world.captured()
    world.soft_delete("users", purged)
    world.sandbox.tenant.options.guard_privileged = True
    report = world.applier(planned(world, desired, selected("user", purged))).run()
    hints = {entry.detail["hint"] for entry in report.failures if entry.detail.get("hint")}
    assert any("Privileged Authentication Administrator" in hint for hint in hints)


def test_the_report_says_which_policies_only_report(world: World) -> None:
    policy = blocking_policy(world, excludeUsers=[world.ids("user")[BREAK_GLASS]])
    desired = world.captured()
    world.client.delete(f"{CA}/{policy}")
    made = planned(world, desired, selected("conditionalAccessPolicy", policy), RestoreOptions())
    report = world.applier(made).run()
    assert report.to_json()["report_only"] == ["Block all"]
    assert "report-only: Block all" in report.to_text()
    (line,) = [row for row in report.to_csv().splitlines() if "Block all" in row]
    assert "Created in report-only state" in line
    assert report.entries[0].to_json()["message"].startswith("Created in report-only state")


def test_a_rollback_that_would_take_the_last_administrator_or_exclusion_away(
    world: World,
) -> None:
    ids = world.ids("user")
    account, omar, lina = ids[BREAK_GLASS], ids["Omar Haas"], ids["Lina Costa"]
    exempt = world.ids("group")["Conditional Access exemptions"]
    role = "62e90394-69f5-4237-9190-012177145e10"
    assignments = {
        str(item.get("principalId")): item.id
        for item in world.live.find_objects("unifiedRoleAssignment", "roleDefinitionId", [role])
    }
    path = "/roleManagement/directory/roleAssignments"
    # The snapshot is of a day when nobody but Lina was Global Administrator, and nobody exempt.
    later = {"principalId": lina, "roleDefinitionId": role, "directoryScopeId": "/"}
    of_lina = str(world.client.post(path, later)["id"])
    for one in (account, omar):
        world.client.delete(f"{path}/{assignments[one]}")
    world.client.remove_reference(f"/groups/{exempt}/members/{account}/$ref")
    desired = world.captured()
    world.client.delete(f"{path}/{of_lina}")
    for one in (account, omar):
        world.client.post(path, {**later, "principalId": one})
    policy = blocking_policy(world, excludeGroups=[exempt])
    world.client.post(
        f"/groups/{exempt}/members/$ref",
        {"@odata.id": f"{world.server.base_url}/v1.0/directoryObjects/{account}"},
    )
    rollback = RestoreOptions(relationships_behavior=RelationshipsBehavior.ROLLBACK)
    made = planned(world, desired, selected("group", exempt), rollback, (account,))
    assert {one.code for one in made.refusals} == {
        "administrators_locked_out",
        "break_glass_account",
        "break_glass_policy",
    }
    world.client.patch(f"{CA}/{policy}", {"state": "disabled"})
    roles = Selection(kinds=frozenset({"unifiedRoleAssignment"}))
    made = planned(world, desired, roles, rollback)
    actions = [step.action.value for step in made.steps]
    assert sorted(actions) == ["create", "delete", "delete"]
    assert made.refusals == ()  # Lina is appointed first, and the others wait for that
    appointed = next(step.id for step in made.steps if step.action is Action.CREATE)
    assert all(appointed in step.depends_on for step in made.steps if step.action is Action.DELETE)
    world.client.patch(f"/users/{lina}", {"accountEnabled": False})
    made = planned(world, desired, roles, rollback)
    assert [one.code for one in made.refusals] == ["last_administrator"]
