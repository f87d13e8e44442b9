"""Plans, made from two models: what is matched, what is written, what is said instead."""

from __future__ import annotations

import datetime as dt
from typing import Any

import orjson
import pytest

from reentra import errors
from reentra.directory.objects import ObjectRef
from reentra.directory.selection import EVERYTHING, Selection
from reentra.directory.state import CoverageStatus
from reentra.restore.draft import PolicyState, RestoreOptions, SettingsBehavior
from reentra.restore.identity import NO_IDENTITY, IdentityMap
from reentra.restore.plan import RestorePlan, check_still_valid, ensure_not_refused, plan_restore
from reentra.restore.steps import Action, Look, Password, Step
from tests.models import ModelTenant

NOW = dt.datetime(2026, 3, 4, tzinfo=dt.UTC)


def guid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


ANN, BOB, CAT, DAN = (guid(number) for number in range(1, 5))
GROUP, OTHER_GROUP = guid(0xA1), guid(0xA2)
APP, APP_ID, PRINCIPAL = guid(0xB1), guid(0xB2), guid(0xB3)
POLICY, LOCATION, UNIT, ROLE = guid(0xC1), guid(0xC2), guid(0xC3), guid(0xC4)


def user(model: ModelTenant, object_id: str, name: str, **more: Any) -> None:
    model.put(
        "user",
        object_id,
        **{
            "displayName": name,
            "userPrincipalName": f"{name.lower()}@example.com",
            "mailNickname": name.lower(),
            "accountEnabled": True,
            "department": "Sales",
            "businessPhones": ["+1"],
            **more,
        },
    )


def group(model: ModelTenant, object_id: str, name: str, **more: Any) -> None:
    model.put(
        "group",
        object_id,
        **{
            "displayName": name,
            "mailNickname": name.lower(),
            "mailEnabled": False,
            "securityEnabled": True,
            "groupTypes": [],
            **more,
        },
    )


@pytest.fixture
def desired() -> ModelTenant:
    model = ModelTenant(label="snapshot-1")
    for object_id, name in ((ANN, "Ann"), (BOB, "Bob"), (CAT, "Cat")):
        user(model, object_id, name)
    group(model, GROUP, "Sales")
    group(model, OTHER_GROUP, "Others")
    model.link("group.members", GROUP, ANN, "user")
    model.link("group.members", GROUP, BOB, "user")
    model.link("group.members", OTHER_GROUP, CAT, "user")
    model.link("user.manager", ANN, BOB, "user")
    return model


def plan(
    desired: ModelTenant,
    live: ModelTenant,
    selection: Selection = EVERYTHING,
    identity: IdentityMap = NO_IDENTITY,
    granted: frozenset[str] | None = None,
    **options: Any,
) -> RestorePlan:
    return plan_restore(
        desired,
        live,
        selection,
        RestoreOptions(**options),
        identity,
        created_at=NOW,
        granted=granted,
    )


def by_action(made: RestorePlan, action: Action) -> list[Step]:
    return [step for step in made.steps if step.action is action]


def test_equal_states_need_no_step(desired: ModelTenant) -> None:
    assert plan(desired, desired.copied("live")).is_empty


def test_only_the_properties_that_differ_are_sent(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.change("user", ANN, department=None, city="Later", createdDateTime="2020-01-01T00:00:00Z")
    made = plan(desired, live)
    assert [step.body for step in made.steps] == [{"city": None, "department": "Sales"}]
    assert [item.what for item in made.unrestorable] == []


def test_a_cleared_list_is_sent_as_an_empty_list(desired: ModelTenant) -> None:
    live = desired.copied("live")
    desired.change("user", ANN, businessPhones=[])
    assert plan(desired, live).steps[0].body == {"businessPhones": []}


def test_what_is_in_the_recycle_bin_is_restored_from_there_and_then_looked_at(
    desired: ModelTenant,
) -> None:
    live = desired.copied("live")
    live.remove("user", BOB)
    made = plan(desired, live)
    assert [step.ref.id for step in by_action(made, Action.UNDELETE)] == [BOB]
    assert not by_action(made, Action.CREATE)
    others = [step for step in made.steps if step.action is not Action.UNDELETE]
    assert others
    assert all(step.look is not Look.NOT_NEEDED for step in others)
    assert all(f"undelete/user/{BOB}" in step.depends_on for step in others)


def test_what_is_gone_for_good_is_created_anew_with_its_links(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.purge("user", ANN)
    made = plan(desired, live)
    (create,) = by_action(made, Action.CREATE)
    assert create.password is Password.DEFAULT
    assert create.body["passwordProfile"] == {"forceChangePasswordNextSignIn": True}
    links = {(s.relationship, s.ref.id, s.target.id) for s in made.steps if s.target}
    assert links == {("group.members", GROUP, ANN), ("user.manager", ANN, BOB)}
    assert all(create.id in s.depends_on for s in made.steps if s.target)


def test_a_backed_up_password_profile_is_restored_and_its_password_is_not_in_the_plan(
    desired: ModelTenant,
) -> None:
    desired.change(
        "user",
        ANN,
        passwordProfile={"password": "Hunter2-x", "forceChangePasswordNextSignIn": False},
    )
    live = desired.copied("live")
    live.purge("user", ANN)
    made = plan(desired, live)
    (create,) = by_action(made, Action.CREATE)
    assert create.password is Password.BACKED_UP
    assert create.body["passwordProfile"] == {"forceChangePasswordNextSignIn": False}
    assert "Hunter2-x" not in str(made.to_json())
    assert "Hunter2-x" not in repr(made)


def test_without_relationships_no_link_is_written(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.purge("user", ANN)
    made = plan(desired, live, relationships=False)
    assert made.counts() == {"create": {"user": 1}}


def test_deleted_only_leaves_what_exists_alone(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.change("user", CAT, department="Elsewhere")
    live.unlink("group.members", OTHER_GROUP, CAT)
    live.purge("user", ANN)
    made = plan(desired, live, deleted_only=True)
    assert {step.ref.id for step in by_action(made, Action.UPDATE)} == set()
    assert {(s.ref.id, s.target.id) for s in made.steps if s.target} == {(GROUP, ANN), (ANN, BOB)}


def test_a_user_added_anew_is_the_same_user(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.purge("user", ANN)
    user(live, DAN, "Ann", department="New", userPrincipalName="ANN@example.com")
    made = plan(desired, live)
    assert not by_action(made, Action.CREATE)
    assert made.matched.current(ANN) == DAN
    (update,) = by_action(made, Action.UPDATE)
    assert (update.live_id, update.body) == (DAN, {"department": "Sales"})
    assert {(s.ref.id, s.target.id) for s in made.steps if s.target} == {(GROUP, ANN), (ANN, BOB)}
    assert not plan(desired, live, identity=made.matched).matched.objects


def test_who_took_the_name_of_a_user_in_the_recycle_bin_is_not_that_user(
    desired: ModelTenant,
) -> None:
    live = desired.copied("live")
    live.remove("user", ANN)
    user(live, DAN, "Dan", department="New", userPrincipalName="ANN@example.com")
    made = plan(desired, live)
    (undelete,) = by_action(made, Action.UNDELETE)
    assert undelete.ref.id == ANN
    assert made.matched.current(ANN) == ANN
    assert not [
        step for step in made.steps if DAN in (step.live_id, step.target.id if step.target else "")
    ]
    assert any(DAN in warning and "recycle bin" in warning for warning in made.warnings)


def test_other_kinds_are_never_recognised_by_their_name(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.purge("group", GROUP)
    group(live, guid(0xAF), "Sales")
    assert [step.ref.id for step in by_action(plan(desired, live), Action.CREATE)] == [GROUP]


def test_an_earlier_restore_is_remembered(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.purge("user", ANN)
    user(live, DAN, "Ann")
    live.link("group.members", GROUP, DAN, "user")
    live.link("user.manager", DAN, BOB, "user")
    identity = IdentityMap({ANN: DAN}, {}, {ANN: "user"})
    assert plan(desired, live, identity=identity).is_empty
    by_new_id = Selection(refs=frozenset({ObjectRef("user", DAN)}))
    live.change("user", DAN, department="x")
    assert len(plan(desired, live, by_new_id, identity).steps) == 1


def test_what_came_back_under_its_old_id_is_known_by_it_again(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.change("user", ANN, department="x")
    live.unlink("group.members", GROUP, ANN)
    between = guid(0x77)
    identity = IdentityMap(
        {ANN: between, between: DAN, OTHER_GROUP: guid(0x78)},
        {},
        {ANN: "user", between: "user", OTHER_GROUP: "group"},
    )
    made = plan(desired, live, identity=identity)
    after = identity.merged(made.matched)
    assert [after.current(one) for one in (ANN, between, DAN)] == [ANN, ANN, ANN]
    assert after.current(OTHER_GROUP) == OTHER_GROUP
    (update,) = by_action(made, Action.UPDATE)
    assert after.current(update.live_id) == ANN
    (link,) = [step for step in made.steps if step.target]
    assert link.target is not None
    assert after.current(link.target.id) == ANN
    assert plan(desired, desired.copied("live"), identity=after).is_empty
    assert IdentityMap.from_json(after.to_json()) == after


def test_links_outside_the_selection_are_not_touched(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.links.clear()
    made = plan(desired, live, Selection(refs=frozenset({ObjectRef("user", CAT)})))
    assert {(s.ref.id, s.target.id) for s in made.steps if s.target} == {(OTHER_GROUP, CAT)}


def test_relationships_are_merged_and_a_manager_is_replaced(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.link("group.members", GROUP, CAT, "user")
    live.unlink("user.manager", ANN, BOB)
    live.link("user.manager", ANN, CAT, "user")
    made = plan(desired, live)
    assert [(s.action, s.ref.id, s.target.id) for s in made.steps if s.target] == [
        (Action.ADD_RELATIONSHIP, ANN, BOB)
    ]


def test_a_membership_of_somebody_already_deleted_in_the_snapshot_does_not_count(
    desired: ModelTenant,
) -> None:
    live = desired.copied("live")
    desired.link("group.members", GROUP, DAN, "user")
    made = plan(desired, live)
    assert made.is_empty
    assert not made.unrestorable


def test_synced_and_dynamic_things_are_said_and_never_written(desired: ModelTenant) -> None:
    desired.change("user", CAT, onPremisesSyncEnabled=True, usageLocation="DE")
    desired.change("group", OTHER_GROUP, groupTypes=["DynamicMembership"], membershipRule="x")
    live = desired.copied("live")
    live.change("user", CAT, department="Elsewhere", usageLocation="US")
    live.unlink("group.members", OTHER_GROUP, CAT)
    made = plan(desired, live)
    assert [step.body for step in made.steps] == [{"usageLocation": "DE"}]
    said = {(item.ref.id, item.what) for item in made.unrestorable}
    assert said == {(CAT, "department"), (OTHER_GROUP, "group.members")}
    assert all(item.reason and item.instead for item in made.unrestorable)


def test_a_link_to_what_does_not_exist_says_what_is_missing(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.purge("user", ANN)
    made = plan(desired, live, Selection(refs=frozenset({ObjectRef("group", GROUP)})))
    assert not made.steps
    (said,) = made.unrestorable
    assert "Ann" in said.reason
    assert said.what == "group.members"


def test_settings_are_skipped_when_asked(desired: ModelTenant) -> None:
    desired.put("organization", guid(1), displayName="Us", technicalNotificationMails=["a@b.c"])
    live = desired.copied("live")
    live.change("organization", guid(1), technicalNotificationMails=[])
    assert plan(desired, live).counts() == {"update": {"organization": 1}}
    skipped = plan(desired, live, settings=SettingsBehavior.SKIP)
    assert skipped.is_empty
    assert any("skipped" in warning for warning in skipped.warnings)


def test_devices_are_said_to_be_beyond_restoring(desired: ModelTenant) -> None:
    desired.put("device", guid(0xD), displayName="Laptop", accountEnabled=True)
    made = plan(desired, desired.copied("live"))
    assert made.is_empty
    live = desired.copied("live")
    live.purge("device", guid(0xD))
    (said,) = plan(desired, live).unrestorable
    assert "Join" in said.reason


def conditional_access(model: ModelTenant, **conditions: Any) -> None:
    model.put(
        "conditionalAccessPolicy",
        POLICY,
        displayName="Block",
        state="enabled",
        createdDateTime="2025-01-01T00:00:00Z",
        templateId=None,
        conditions={
            "clientAppTypes": ["all"],
            "applications": {"includeApplications": ["All"], "excludeApplications": []},
            "users": {"includeUsers": ["All"], "includeGroups": [], "excludeGroups": [GROUP]},
            "locations": None,
            **conditions,
        },
        grantControls={
            "operator": "OR",
            "builtInControls": [],
            "authenticationStrength": {"id": guid(0xF), "displayName": "Strong", "policyType": "x"},
        },
        sessionControls=None,
    )


def test_a_policy_created_anew_only_reports_and_its_body_is_clean(desired: ModelTenant) -> None:
    conditional_access(desired)
    live = desired.copied("live")
    live.purge("conditionalAccessPolicy", POLICY)
    made = plan(desired, live)
    (create,) = made.steps
    assert create.body == {
        "displayName": "Block",
        "state": "enabledForReportingButNotEnforced",
        "conditions": {
            "clientAppTypes": ["all"],
            "applications": {"includeApplications": ["All"]},
            "users": {"includeUsers": ["All"], "excludeGroups": [GROUP]},
        },
        "grantControls": {"operator": "OR", "authenticationStrength": {"id": guid(0xF)}},
    }
    assert any("report-only" in warning for warning in made.warnings)
    kept = plan(desired, live, conditional_access_state=PolicyState.AS_BACKED_UP)
    assert kept.steps[0].body["state"] == "enabled"


def test_a_policy_that_a_restore_created_is_not_enabled_by_the_next_one(
    desired: ModelTenant,
) -> None:
    conditional_access(desired)
    live = desired.copied("live")
    live.purge("conditionalAccessPolicy", POLICY)
    policy = desired.load_objects("conditionalAccessPolicy", [POLICY])[POLICY].properties
    again = guid(0xA9)
    reporting = {**policy, "state": "enabledForReportingButNotEnforced"}
    live.put("conditionalAccessPolicy", again, **{k: reporting[k] for k in reporting if k != "id"})
    identity = IdentityMap({POLICY: again}, {}, {POLICY: "conditionalAccessPolicy"})
    made = plan(desired, live, identity=identity)
    assert made.is_empty
    assert any("report-only" in warning for warning in made.warnings)
    asked = plan(
        desired, live, identity=identity, conditional_access_state=PolicyState.AS_BACKED_UP
    )
    assert [step.body for step in asked.steps] == [{"state": "enabled"}]


def test_a_policy_that_an_administrator_turned_down_is_put_back(desired: ModelTenant) -> None:
    conditional_access(desired)
    live = desired.copied("live")
    live.change("conditionalAccessPolicy", POLICY, state="enabledForReportingButNotEnforced")
    assert [step.body for step in plan(desired, live).steps] == [{"state": "enabled"}]


def test_members_that_only_the_live_policy_has_are_cleared_explicitly(desired: ModelTenant) -> None:
    conditional_access(desired)
    live = desired.copied("live")
    conditional_access(live, platforms={"includePlatforms": ["all"]})
    (update,) = plan(desired, live).steps
    assert update.body["conditions"]["platforms"] is None
    assert update.body["conditions"]["users"]["includeGroups"] == []
    assert set(update.body) == {"conditions"}


def test_a_policy_that_names_a_group_gone_for_good_is_rewritten(desired: ModelTenant) -> None:
    conditional_access(desired)
    live = desired.copied("live")
    live.purge("group", GROUP)
    made = plan(desired, live)
    repair = next(step for step in made.steps if step.ref.kind == "conditionalAccessPolicy")
    assert repair.depends_on == (f"create/group/{GROUP}",)
    assert repair.look is Look.OBJECT
    assert set(repair.body) == {"conditions"}
    outside = plan(desired, live, Selection(refs=frozenset({ObjectRef("group", GROUP)})))
    assert not [s for s in outside.steps if s.ref.kind == "conditionalAccessPolicy"]


def test_a_policy_whose_group_cannot_come_back_is_not_created(desired: ModelTenant) -> None:
    conditional_access(desired)
    live = desired.copied("live")
    live.purge("group", GROUP)
    live.purge("conditionalAccessPolicy", POLICY)
    only = Selection(refs=frozenset({ObjectRef("conditionalAccessPolicy", POLICY)}))
    made = plan(desired, live, only)
    assert made.is_empty
    assert "Sales" in made.unrestorable[0].reason


def test_references_that_were_dead_in_the_snapshot_are_left_out(desired: ModelTenant) -> None:
    conditional_access(desired)
    desired.purge("group", GROUP)
    live = desired.copied("live")
    live.purge("conditionalAccessPolicy", POLICY)
    made = plan(desired, live)
    assert "excludeGroups" not in str(made.steps[0].body) or not made.steps[0].body["conditions"][
        "users"
    ].get("excludeGroups")
    assert any(GROUP in warning for warning in made.warnings)


def application(model: ModelTenant) -> None:
    scope = {"id": guid(0xE1), "value": "read", "isEnabled": True, "type": "User"}
    model.put(
        "application",
        APP,
        displayName="Portal",
        appId=APP_ID,
        identifierUris=[f"api://{APP_ID}"],
        api={
            "oauth2PermissionScopes": [scope],
            "preAuthorizedApplications": [
                {"appId": APP_ID, "delegatedPermissionIds": [guid(0xE1)]}
            ],
            "requestedAccessTokenVersion": 2,
        },
        appRoles=[{"id": guid(0xE2), "value": "admin", "displayName": "Admin", "isEnabled": True}],
        passwordCredentials=[{"keyId": guid(0xE3), "hint": "abc", "secretText": None}],
    )
    model.put(
        "servicePrincipal",
        PRINCIPAL,
        displayName="Portal",
        appId=APP_ID,
        appOwnerOrganizationId=model.tenant_id,
        servicePrincipalType="Application",
        accountEnabled=True,
    )


def test_an_application_comes_back_in_two_passes_and_its_principal_after_it(
    desired: ModelTenant,
) -> None:
    application(desired)
    live = desired.copied("live")
    live.purge("application", APP)
    live.purge("servicePrincipal", PRINCIPAL)
    made = plan(desired, live)
    create, second, principal = made.steps
    assert "identifierUris" not in create.body
    assert "preAuthorizedApplications" not in create.body["api"]
    assert second.body["identifierUris"] == [f"api://{APP_ID}"]
    assert second.body["api"]["preAuthorizedApplications"]
    assert second.depends_on == (create.id,)
    assert principal.depends_on == (create.id,)
    assert [item.code for item in made.unrestorable] == ["secret"]


def test_a_principal_without_its_application_is_said_to_need_it(desired: ModelTenant) -> None:
    application(desired)
    live = desired.copied("live")
    live.purge("application", APP)
    live.purge("servicePrincipal", PRINCIPAL)
    only = Selection(refs=frozenset({ObjectRef("servicePrincipal", PRINCIPAL)}))
    made = plan(desired, live, only)
    assert made.is_empty
    assert "application" in made.unrestorable[0].reason


def test_a_policy_for_an_application_that_is_gone_says_so(desired: ModelTenant) -> None:
    application(desired)
    conditional_access(desired, applications={"includeApplications": [APP_ID]})
    live = desired.copied("live")
    for kind, object_id in (("application", APP), ("servicePrincipal", PRINCIPAL)):
        live.purge(kind, object_id)
    live.purge("conditionalAccessPolicy", POLICY)
    only = Selection(refs=frozenset({ObjectRef("conditionalAccessPolicy", POLICY)}))
    made = plan(desired, live, only)
    assert made.is_empty
    assert APP_ID in made.unrestorable[0].reason
    both = plan(desired, live)
    policy = next(step for step in both.steps if step.ref.kind == "conditionalAccessPolicy")
    assert f"create/application/{APP}" in policy.depends_on


def test_an_enabled_app_role_is_disabled_before_it_changes(desired: ModelTenant) -> None:
    application(desired)
    live = desired.copied("live")
    role = {"id": guid(0xE2), "value": "admin", "displayName": "Root", "isEnabled": True}
    live.change("application", APP, appRoles=[role])
    first, second = plan(desired, live).steps
    assert first.body == {"appRoles": [{**role, "isEnabled": False}]}
    assert second.body["appRoles"][0]["displayName"] == "Admin"
    assert second.depends_on == (first.id,)


def test_links_between_objects_are_recognised_by_what_they_join(desired: ModelTenant) -> None:
    body = {"principalId": ANN, "roleDefinitionId": ROLE, "directoryScopeId": "/"}
    desired.put("unifiedRoleDefinition", ROLE, displayName="Helper", isBuiltIn=True, isEnabled=True)
    desired.put("unifiedRoleAssignment", "old-id", **body)
    live = desired.copied("live")
    live.purge("unifiedRoleAssignment", "old-id")
    live.put("unifiedRoleAssignment", "new-id", **body)
    assert plan(desired, live).is_empty
    live.purge("unifiedRoleAssignment", "new-id")
    chosen = Selection(refs=frozenset({ObjectRef("user", ANN)}))
    assert plan(desired, live, chosen).counts() == {"create": {"unifiedRoleAssignment": 1}}
    assert plan(desired, live, chosen, relationships=False).is_empty
    other = Selection(refs=frozenset({ObjectRef("user", BOB)}))
    assert plan(desired, live, other).is_empty


def test_assignments_of_somebody_created_anew_are_created_too(desired: ModelTenant) -> None:
    desired.put("unifiedRoleDefinition", ROLE, displayName="Helper", isBuiltIn=True, isEnabled=True)
    desired.put(
        "unifiedRoleAssignment",
        "old-id",
        principalId=ANN,
        roleDefinitionId=ROLE,
        directoryScopeId="/",
    )
    live = desired.copied("live")
    live.purge("user", ANN)  # the assignment to the dead id may linger on
    creates = by_action(plan(desired, live), Action.CREATE)
    assert [step.ref.kind for step in creates] == ["user", "unifiedRoleAssignment"]


def licence(sku: int) -> dict[str, Any]:
    return {"skuId": guid(0x500 + sku), "disabledPlans": []}


def direct(sku: int, by_group: str | None = None) -> dict[str, Any]:
    return {**licence(sku), "assignedByGroup": by_group, "state": "Active"}


def test_own_licences_are_restored_and_inherited_ones_are_not(desired: ModelTenant) -> None:
    for number in (1, 2, 3):
        desired.put("subscribedSku", f"t_{number}", skuId=guid(0x500 + number))
    desired.change(
        "user",
        ANN,
        assignedLicenses=[licence(1), licence(2)],
        licenseAssignmentStates=[direct(1), direct(2, GROUP)],
    )
    live = desired.copied("live")
    live.change("user", ANN, assignedLicenses=[licence(3)], licenseAssignmentStates=[direct(3)])
    (step,) = plan(desired, live).steps
    assert step.body == {"addLicenses": [licence(1)], "removeLicenses": [guid(0x503)]}


def test_inherited_licences_are_inferred_when_no_state_says_so(desired: ModelTenant) -> None:
    for number in (1, 2):
        desired.put("subscribedSku", f"t_{number}", skuId=guid(0x500 + number))
    desired.change("group", GROUP, assignedLicenses=[licence(2)])
    desired.change("user", ANN, assignedLicenses=[licence(1), licence(2)])
    live = desired.copied("live")
    live.change("user", ANN, assignedLicenses=[])
    (step,) = plan(desired, live).steps
    assert step.body == {"addLicenses": [licence(1)], "removeLicenses": []}


def test_a_licence_that_the_tenant_no_longer_has_is_said(desired: ModelTenant) -> None:
    desired.change("user", ANN, assignedLicenses=[licence(1)], licenseAssignmentStates=[direct(1)])
    live = desired.copied("live")
    live.change("user", ANN, assignedLicenses=[])
    made = plan(desired, live)
    assert made.is_empty
    assert made.unrestorable[0].what == "assignedLicenses"


def test_two_users_who_swapped_names_get_them_back(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.change("user", ANN, userPrincipalName="bob@example.com")
    live.change("user", BOB, userPrincipalName="ann@example.com")
    steps = plan(desired, live).steps
    names = [step.body["userPrincipalName"] for step in steps]
    assert len(steps) == 3
    taken = {"bob@example.com", "ann@example.com"}
    holders = {ANN: "bob@example.com", BOB: "ann@example.com"}
    for step, name in zip(steps, names, strict=True):
        assert name not in {held for one, held in holders.items() if one != step.ref.id}
        holders[step.ref.id] = name
    assert holders == {ANN: "ann@example.com", BOB: "bob@example.com"}
    assert set(holders.values()) == taken


def test_a_name_is_given_back_before_its_user_leaves_the_recycle_bin(
    desired: ModelTenant,
) -> None:
    live = desired.copied("live")
    live.remove("user", ANN, keep_links=True)
    live.change("user", BOB, userPrincipalName="ann@example.com")
    steps = plan(desired, live).steps
    assert [(step.action, step.ref.id) for step in steps[:2]] == [
        (Action.UPDATE, BOB),
        (Action.UNDELETE, ANN),
    ]
    alone = plan(desired, live, Selection(refs=frozenset({ObjectRef("user", ANN)})))
    assert any("recycle bin" in warning for warning in alone.warnings)


def test_a_name_that_somebody_outside_keeps_is_given_up(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.change("user", ANN, userPrincipalName="other@example.com", department="x")
    user(live, DAN, "Dan", userPrincipalName="ann@example.com")
    made = plan(desired, live)
    assert [step.body for step in made.steps] == [{"department": "Sales"}]
    assert made.unrestorable[0].what == "userPrincipalName"


def test_a_kind_that_cannot_be_read_does_not_stop_the_rest(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.change("user", ANN, department=None)

    class Refusing(ModelTenant):
        def list_objects(self, kind: str) -> Any:
            if kind == "group":
                raise errors.Forbidden("no", status=403)
            return live.list_objects(kind)

    refusing = Refusing()
    refusing.objects, refusing.links = live.objects, live.links
    refusing.coverages = live.coverages
    made = plan(desired, refusing)
    assert [step.ref.kind for step in made.steps] == ["user"]
    assert ("group", "not_readable") in {(i.ref.kind, i.code) for i in made.unrestorable}


def test_a_partial_kind_is_said(desired: ModelTenant) -> None:
    desired.cover("user", CoverageStatus.PARTIAL, "the read broke off")
    assert any("broke off" in text for text in plan(desired, desired.copied("live")).warnings)


def test_steps_without_permission_are_left_out_with_what_depends_on_them(
    desired: ModelTenant,
) -> None:
    live = desired.copied("live")
    live.purge("group", GROUP)
    live.change("user", CAT, department=None)
    granted = frozenset({"User.ReadWrite.All", "GroupMember.ReadWrite.All"})
    made = plan(desired, live, granted=granted)
    assert [step.ref for step in made.steps] == [ObjectRef("user", CAT)]
    (said,) = [item for item in made.unrestorable if item.code == "missing_permission"]
    assert "Group.ReadWrite.All" in said.reason


def test_the_last_administrator_is_never_disabled(desired: ModelTenant) -> None:
    admin = "62e90394-69f5-4237-9190-012177145e10"
    desired.change("user", ANN, accountEnabled=False)
    live = desired.copied("live")
    live.change("user", ANN, accountEnabled=True)
    for model in (desired, live):
        model.put(
            "unifiedRoleAssignment",
            "a",
            principalId=ANN,
            roleDefinitionId=admin,
            directoryScopeId="/",
        )
    made = plan(desired, live)
    assert [refusal.code for refusal in made.refusals] == ["last_administrator"]
    with pytest.raises(errors.Refused, match="Ann"):
        ensure_not_refused(made)
    live.put(
        "unifiedRoleAssignment", "b", principalId=BOB, roleDefinitionId=admin, directoryScopeId="/"
    )
    assert not plan(desired, live).refusals


def test_a_share_above_the_limit_is_refused_until_overruled(desired: ModelTenant) -> None:
    live = desired.copied("live")
    for one in (ANN, BOB):
        live.change("user", one, department=None)
    assert not plan(desired, live).refusals
    made = plan(desired, live, max_changed_share=0.5)
    assert made.refusals[0].numbers == {"changed": 2, "total": 3, "limit": 0.5}
    with pytest.raises(errors.Refused):
        ensure_not_refused(made)
    ensure_not_refused(
        plan(desired, live, max_changed_share=0.5, overruled=frozenset({"changed_share"}))
    )


def test_a_plan_survives_being_stored(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.purge("user", ANN)
    live.remove("user", BOB)
    conditional_access(desired)
    application(desired)
    made = plan(desired, live)
    stored = orjson.loads(orjson.dumps(made.to_json()))
    assert RestorePlan.from_json(stored) == made
    assert plan(desired, live).id == made.id
    with pytest.raises(errors.UsageError):
        RestorePlan.from_json({**stored, "version": 99})
    with pytest.raises(errors.UsageError):
        RestorePlan.from_json({})


def test_a_plan_is_stale_when_what_it_read_changed_and_only_then(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.change("user", ANN, department=None)
    made = plan(desired, live, Selection(refs=frozenset({ObjectRef("user", ANN)})))
    check_still_valid(made, live)
    live.change("user", CAT, department="unrelated")
    live.link("group.members", OTHER_GROUP, BOB, "user")
    check_still_valid(made, live)
    live.link("group.members", OTHER_GROUP, ANN, "user")
    with pytest.raises(errors.StalePlan):
        check_still_valid(made, live)
    live.unlink("group.members", OTHER_GROUP, ANN)
    live.change("user", ANN, city="x")
    with pytest.raises(errors.StalePlan):
        check_still_valid(made, live)


def test_a_plan_is_only_for_its_tenant(desired: ModelTenant) -> None:
    made = plan(desired, desired.copied("live"))
    with pytest.raises(errors.Refused):
        check_still_valid(made, ModelTenant(tenant_id=guid(99)))
