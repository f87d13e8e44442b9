"""Follow-ups on a sandbox: what is not selected and names an id that is gone."""

from __future__ import annotations

import pytest

from reentra import errors
from reentra.directory.objects import ObjectRef
from reentra.directory.selection import Selection
from reentra.restore.followups import ALL
from reentra.restore.plan import RestorePlan
from reentra.restore.report import RestoreStatus
from reentra.restore.steps import Action
from tests.models import ModelTenant
from tests.restore.support import NOW, World
from tests.restore.test_apply import AS_WAS


def planned(
    world: World, desired: ModelTenant, kind: str, object_id: str, *chosen: str
) -> RestorePlan:
    from reentra.restore.plan import plan_restore

    return plan_restore(
        desired,
        world.live,
        Selection(refs=frozenset({ObjectRef(kind, object_id)})),
        AS_WAS,
        world.identity,
        created_at=NOW,
        chosen_follow_ups=frozenset(chosen),
    )


def new_policy(world: World, group_id: str, name: str = "Excludes a group") -> str:
    body = {
        "displayName": name,
        "state": "enabledForReportingButNotEnforced",
        "conditions": {
            "clientAppTypes": ["all"],
            "applications": {"includeApplications": ["All"]},
            "users": {"includeUsers": ["All"], "excludeGroups": [group_id]},
        },
        "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
    }
    made = world.client.post("/identity/conditionalAccess/policies", body)
    assert made is not None
    return str(made["id"])


def excluded(world: World, policy: str) -> list[str]:
    found = world.live.load_objects("conditionalAccessPolicy", [policy])[policy]
    return list(found.properties["conditions"]["users"]["excludeGroups"])


def new_dynamic_group(world: World, group_id: str) -> str:
    body = {
        "displayName": "Follows a group",
        "mailEnabled": False,
        "mailNickname": "follows",
        "securityEnabled": True,
        "groupTypes": ["DynamicMembership"],
        "membershipRule": f"user.memberof -any (group.objectId -in ['{group_id}'])",
        "membershipRuleProcessingState": "On",
    }
    made = world.client.post("/groups", body)
    assert made is not None
    return str(made["id"])


def test_what_is_not_selected_and_names_a_dead_id_is_listed_and_left_alone(world: World) -> None:
    group = world.ids("group")["Sales"]
    policy, dynamic = new_policy(world, group), new_dynamic_group(world, group)
    desired = world.captured()
    world.purge("groups", group)
    plan = planned(world, desired, "group", group)
    mine = {f"conditionalAccessPolicy/{policy}", f"group/{dynamic}"}
    assert mine <= {one.id for one in plan.follow_ups}
    assert all(one.old_ids == (group,) and not one.is_chosen for one in plan.follow_ups)
    assert {step.ref.kind for step in plan.steps if step.action is Action.UPDATE} == set()
    assert RestorePlan.from_json(plan.to_json()).follow_ups == plan.follow_ups
    report = world.applier(plan).run()
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    assert excluded(world, policy) == [group]
    assert f"conditionalAccessPolicy/{policy}" in report.to_text()
    assert "restore again with this follow-up" in report.to_text()


def test_a_follow_up_that_is_asked_for_names_the_new_id_afterwards(world: World) -> None:
    group = world.ids("group")["Sales"]
    policy, dynamic = new_policy(world, group), new_dynamic_group(world, group)
    desired = world.captured()
    world.purge("groups", group)
    plan = planned(world, desired, "group", group, ALL)
    report = world.applier(plan).run()
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    new_id = report.id_map[group]
    assert excluded(world, policy) == [new_id]
    rule = world.live.load_objects("group", [dynamic])[dynamic].properties["membershipRule"]
    assert new_id in rule
    assert group not in rule
    assert report.to_json()["follow_ups"] == []
    assert planned(world, desired, "group", group).follow_ups == ()


def test_what_an_earlier_restore_left_behind_is_found_by_the_next(world: World) -> None:
    groups, users = world.ids("group"), world.ids("user")
    group = groups["Sales"]
    policy = new_policy(world, group)
    desired = world.captured()
    world.purge("groups", group)
    first = world.applier(planned(world, desired, "group", group)).run()
    plan = planned(world, desired, "user", users["Lina Costa"])
    assert f"conditionalAccessPolicy/{policy}" in {one.id for one in plan.follow_ups}
    assert plan.is_empty
    chosen = planned(
        world, desired, "user", users["Lina Costa"], f"conditionalAccessPolicy/{policy}"
    )
    assert len(chosen.steps) == 1
    world.applier(chosen).run()
    assert excluded(world, policy) == [first.id_map[group]]


def test_an_id_from_between_two_recreations_is_seen_through(world: World) -> None:
    group = world.ids("group")["Sales"]
    desired = world.captured()
    world.purge("groups", group)
    second = world.applier(planned(world, desired, "group", group)).run().id_map[group]
    policy = new_policy(world, second)
    world.purge("groups", second)
    report = world.applier(planned(world, desired, "group", group, ALL)).run()
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    third = report.id_map[group]
    assert third not in (group, second)
    assert excluded(world, policy) == [third]
    assert world.identity.current(second) == third


def test_client_ids_of_an_application_that_was_made_anew_are_followed(world: World) -> None:
    applications = world.ids("application")
    portal, importer = applications["Expense Portal"], applications["Expense Importer"]
    app_id = world.live.load_objects("application", [portal])[portal].properties["appId"]
    principal = world.ids("servicePrincipal")["Expense Portal"]
    desired = world.captured()
    world.soft_delete("applications", portal)
    for one in (portal, principal):
        world.client.delete(f"/directory/deletedItems/{one}")
    plan = planned(world, desired, "application", portal, f"application/{importer}")
    assert f"application/{importer}" in {one.id for one in plan.follow_ups if one.is_chosen}
    report = world.applier(plan).run()
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    held = world.live.load_objects("application", [importer])[importer].properties
    named = {one["resourceAppId"] for one in held["requiredResourceAccess"]}
    assert world.identity.current_app(app_id) in named
    assert app_id not in named


def test_a_follow_up_that_there_is_not_is_refused_with_those_that_there_are(world: World) -> None:
    group = world.ids("group")["Sales"]
    policy = new_policy(world, group)
    desired = world.captured()
    world.purge("groups", group)
    with pytest.raises(errors.UsageError) as told:
        planned(world, desired, "group", group, "group/nothing")
    assert f"conditionalAccessPolicy/{policy}" in told.value.hint


def test_nothing_is_searched_when_nothing_got_a_new_id(world: World) -> None:
    user = world.ids("user")["Lina Costa"]
    desired = world.captured()
    world.client.patch(f"/users/{user}", {"department": None})
    counted = world.counted(lambda: planned(world, desired, "user", user))
    assert not any("conditionalAccess" in operation for operation in counted), counted
