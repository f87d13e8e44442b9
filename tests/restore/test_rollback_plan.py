"""Rollback, planned from two models: which links and objects go, and which never do."""

from __future__ import annotations

import datetime as dt

import pytest

from reentra import errors
from reentra.directory.objects import ObjectRef
from reentra.directory.selection import EVERYTHING, Selection
from reentra.directory.state import CoverageStatus
from reentra.restore.draft import RelationshipsBehavior, RestoreOptions
from reentra.restore.identity import NO_IDENTITY
from reentra.restore.plan import RestorePlan, ensure_deletions_confirmed, plan_restore
from reentra.restore.safety import Safeguards
from reentra.restore.steps import NOT_DELETED, NOT_REMOVED, Action
from tests.models import ModelTenant
from tests.restore.test_plan import (
    ANN,
    APP,
    APP_ID,
    BOB,
    CAT,
    DAN,
    GROUP,
    LOCATION,
    NOW,
    OTHER_GROUP,
    POLICY,
    PRINCIPAL,
    ROLE,
    UNIT,
    by_action,
    desired,
    group,
    guid,
    plan,
    user,
)

assert desired  # the fixture
BEGAN = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
ROLLBACK = RelationshipsBehavior.ROLLBACK
RESOURCE = guid(0xB4)
USERS = Selection(kinds=frozenset({"user"}))
GROUPS = Selection(kinds=frozenset({"group"}))


def rolled_back(
    desired: ModelTenant,
    live: ModelTenant,
    selection: Selection = EVERYTHING,
    *kinds: str,
    own_app_id: str = "",
    identity: object = NO_IDENTITY,
) -> RestorePlan:
    return plan_restore(
        desired,
        live,
        selection,
        RestoreOptions(relationships_behavior=ROLLBACK, rollback_kinds=frozenset(kinds)),
        identity,  # type: ignore[arg-type]
        created_at=NOW,
        safeguards=Safeguards(client_id=own_app_id),
        snapshot_began_at=BEGAN,
    )


def removed(made: RestorePlan) -> set[tuple[str, str, str]]:
    return {
        (step.relationship, step.ref.id, step.target.id)
        for step in by_action(made, Action.REMOVE_RELATIONSHIP)
        if step.target is not None
    }


def deleted(made: RestorePlan) -> set[str]:
    return {step.live_id for step in by_action(made, Action.DELETE)}


# --- relationships ---


def test_links_added_since_stay_when_relationships_are_merged(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.link("group.members", GROUP, CAT, "user")
    assert plan(desired, live).is_empty


def test_links_added_since_go_when_relationships_are_rolled_back(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.link("group.members", GROUP, CAT, "user")
    live.link("user.manager", CAT, ANN, "user")
    made = rolled_back(desired, live)
    assert removed(made) == {("group.members", GROUP, CAT), ("user.manager", CAT, ANN)}
    assert (made.removals, made.deletions) == (2, 0)


@pytest.mark.parametrize(
    "selection",
    [
        Selection(refs=frozenset({ObjectRef("user", CAT)})),
        Selection(refs=frozenset({ObjectRef("group", GROUP)})),
        USERS,
        GROUPS,
    ],
)
def test_a_link_with_one_selected_end_goes_and_no_other(
    desired: ModelTenant, selection: Selection
) -> None:
    live = desired.copied("live")
    user(desired, DAN, "Dan")
    user(live, DAN, "Dan")
    live.link("group.members", GROUP, CAT, "user")
    live.link("device.registeredOwners", guid(0xE1), guid(0xE2), "user")
    live.link("administrativeUnit.members", UNIT, guid(0xE3), "device")
    assert removed(rolled_back(desired, live, selection)) == {("group.members", GROUP, CAT)}


def test_links_outside_the_selection_stay(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.link("group.members", GROUP, CAT, "user")
    made = rolled_back(desired, live, Selection(refs=frozenset({ObjectRef("user", ANN)})))
    assert made.is_empty


def test_a_membership_in_a_group_that_came_since_is_taken_away(desired: ModelTenant) -> None:
    live = desired.copied("live")
    group(live, guid(0xA3), "New")
    live.link("group.members", guid(0xA3), ANN, "user")
    user(live, DAN, "Dan")
    live.link("group.members", guid(0xA3), DAN, "user")
    assert removed(rolled_back(desired, live)) == {("group.members", guid(0xA3), ANN)}


@pytest.mark.parametrize("unread", ["group.members", "group"])
def test_an_unread_list_never_becomes_removals(desired: ModelTenant, unread: str) -> None:
    live = desired.copied("live")
    desired.links.clear()
    desired.cover(unread, CoverageStatus.PARTIAL, "It was cut off.")
    made = rolled_back(desired, live, GROUPS)
    assert not removed(made)
    if unread == "group.members":
        assert any("later ones stay" in warning for warning in made.warnings)


def test_a_live_list_that_cannot_be_read_is_left_alone(desired: ModelTenant) -> None:
    class Unreadable(ModelTenant):
        def list_relationships(self, relationship: str):  # type: ignore[no-untyped-def]
            if relationship == "group.members":
                raise errors.Forbidden("No.", status=403, graph_code="x")
            return super().list_relationships(relationship)

    live = Unreadable(label="live")
    live.objects, live.links = desired.copied().objects, dict(desired.links)
    live.link("group.members", GROUP, CAT, "user")
    live.link("user.manager", CAT, ANN, "user")
    made = rolled_back(desired, live)
    assert removed(made) == {("user.manager", CAT, ANN)}
    assert [item.code for item in made.unrestorable] == ["not_readable"]


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"groupTypes": ["DynamicMembership"], "membershipRule": "x"}, "rule"),
        ({"onPremisesSyncEnabled": True}, "on-premises"),
        ({"mailEnabled": True}, "Exchange"),
    ],
)
def test_links_that_nobody_can_write_are_said_and_stay(
    desired: ModelTenant, properties: dict[str, object], said: str
) -> None:
    desired.change("group", GROUP, **properties)
    live = desired.copied("live")
    live.link("group.members", GROUP, CAT, "user")
    made = rolled_back(desired, live)
    assert not made.steps
    (item,) = made.unrestorable
    assert item.code == NOT_REMOVED
    assert said in item.reason


def test_a_group_that_became_dynamic_is_emptied_only_after_it_is_assigned_again(
    desired: ModelTenant,
) -> None:
    live = desired.copied("live")
    live.change("group", GROUP, groupTypes=["DynamicMembership"], membershipRule="x")
    live.link("group.members", GROUP, CAT, "user")
    (step,) = by_action(rolled_back(desired, live), Action.REMOVE_RELATIONSHIP)
    assert step.depends_on == (f"update/group/{GROUP}",)


def test_owners_are_added_before_others_go_and_the_last_one_stays(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.link("group.owners", GROUP, CAT, "user")
    desired.link("group.owners", OTHER_GROUP, ANN, "user")
    live.link("group.owners", OTHER_GROUP, BOB, "user")
    made = rolled_back(desired, live)
    assert removed(made) == {("group.owners", OTHER_GROUP, BOB)}
    order = [step.action for step in made.steps]
    assert order == [Action.ADD_RELATIONSHIP, Action.REMOVE_RELATIONSHIP]
    (item,) = made.unrestorable
    assert (item.ref.id, item.code) == (GROUP, NOT_REMOVED)
    assert "last owner" in item.reason


def test_a_full_house_is_emptied_before_it_is_filled(desired: ModelTenant) -> None:
    live = desired.copied("live")
    for number in range(5):
        then, now = guid(0xF0 + number), guid(0xF8 + number)
        for one in (then, now):
            user(desired, one, f"U{one[:8]}")
            user(live, one, f"U{one[:8]}")
        desired.link("user.sponsors", ANN, then, "user")
        live.link("user.sponsors", ANN, now, "user")
    made = rolled_back(desired, live)
    actions = [step.action.value for step in made.steps]
    assert actions == ["remove_relationship"] * 4 + ["add_relationship"] * 5 + [
        "remove_relationship"
    ]


def test_a_manager_set_since_is_removed_and_another_one_replaced(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.link("user.manager", BOB, CAT, "user")
    live.unlink("user.manager", ANN, BOB)
    live.link("user.manager", ANN, CAT, "user")
    made = rolled_back(desired, live, USERS)
    assert removed(made) == {("user.manager", BOB, CAT)}
    (replaced,) = by_action(made, Action.ADD_RELATIONSHIP)
    assert (replaced.ref.id, replaced.target and replaced.target.id) == (ANN, BOB)


def test_a_manager_is_not_taken_from_an_unselected_user_who_had_another(
    desired: ModelTenant,
) -> None:
    live = desired.copied("live")
    live.unlink("user.manager", ANN, BOB)
    live.link("user.manager", ANN, CAT, "user")
    made = rolled_back(desired, live, Selection(refs=frozenset({ObjectRef("user", CAT)})))
    assert made.is_empty
    assert [(item.ref.id, item.code) for item in made.unrestorable] == [(ANN, NOT_REMOVED)]


def test_an_object_known_under_a_new_id_keeps_the_links_of_its_old_one(
    desired: ModelTenant,
) -> None:
    new = guid(0x99)
    identity = NO_IDENTITY.with_object("group", GROUP, new)
    live = desired.copied("live")
    live.purge("group", GROUP)
    group(live, new, "Sales")
    live.link("group.members", new, ANN, "user")
    live.link("group.members", new, BOB, "user")
    live.link("group.members", new, CAT, "user")
    for chosen in (GROUP, new):
        selection = Selection(refs=frozenset({ObjectRef("group", chosen)}))
        made = rolled_back(desired, live, selection, identity=identity)
        assert removed(made) == {("group.members", GROUP, CAT)}
        assert [step.live_id for step in made.steps] == [new]


# --- links with an id of their own ---


def principals(model: ModelTenant) -> None:
    for number, name in ((PRINCIPAL, "Client"), (RESOURCE, "Resource")):
        model.put("servicePrincipal", number, displayName=name, appId=number)
    model.put("unifiedRoleDefinition", ROLE, displayName="Role", isBuiltIn=True, isEnabled=True)


def assign(model: ModelTenant, object_id: str, principal: str) -> None:
    model.put(
        "unifiedRoleAssignment",
        object_id,
        principalId=principal,
        roleDefinitionId=ROLE,
        directoryScopeId="/",
    )


def test_assignments_made_since_go_with_the_relationships(desired: ModelTenant) -> None:
    principals(desired)
    assign(desired, guid(0xD1), ANN)
    live = desired.copied("live")
    assign(live, guid(0xD2), BOB)
    live.put("appRoleAssignment", "x", principalId=BOB, resourceId=RESOURCE, appRoleId=guid(0))
    assert plan(desired, live).is_empty
    made = rolled_back(desired, live)
    assert deleted(made) == {guid(0xD2), "x"}
    assert (made.removals, made.deletions) == (2, 0)
    assert {step.body.get("resourceId") for step in made.steps} == {None, RESOURCE}
    only = rolled_back(desired, live, Selection(refs=frozenset({ObjectRef("user", BOB)})))
    assert deleted(only) == {guid(0xD2), "x"}
    assert rolled_back(desired, live, Selection(refs=frozenset({ObjectRef("user", CAT)}))).is_empty


def test_the_restoring_application_keeps_what_it_was_given_since(desired: ModelTenant) -> None:
    principals(desired)
    live = desired.copied("live")
    assign(live, guid(0xD2), PRINCIPAL)
    made = rolled_back(desired, live, own_app_id=PRINCIPAL)
    assert made.is_empty
    assert [item.code for item in made.unrestorable] == [NOT_DELETED]


def test_an_extension_added_since_stays_because_of_its_values(desired: ModelTenant) -> None:
    desired.put("application", APP, displayName="App", appId=APP_ID)
    live = desired.copied("live")
    live.put("extensionProperty", "e", name="extension_x_code", applicationId=APP)
    live.put("federatedIdentityCredential", "f", name="intruder", applicationId=APP)
    made = rolled_back(desired, live)
    assert deleted(made) == {"f"}
    assert [(item.ref.id, item.code) for item in made.unrestorable] == [("e", NOT_DELETED)]


def test_assignments_of_a_partial_kind_stay(desired: ModelTenant) -> None:
    principals(desired)
    live = desired.copied("live")
    assign(live, guid(0xD2), BOB)
    desired.cover("unifiedRoleAssignment", CoverageStatus.PARTIAL, "cut off")
    assert rolled_back(desired, live).is_empty


def test_scopes_granted_since_stay_where_a_grant_is_merged_as_a_link(desired: ModelTenant) -> None:
    principals(desired)
    ends = {"clientId": PRINCIPAL, "resourceId": RESOURCE, "consentType": "AllPrincipals"}
    desired.put("oAuth2PermissionGrant", "g", scope="User.Read openid", **ends)
    live = desired.copied("live")
    live.change("oAuth2PermissionGrant", "g", scope=" openid Mail.Read")
    client = Selection(refs=frozenset({ObjectRef("servicePrincipal", PRINCIPAL)}))
    (merged,) = plan(desired, live, client).steps
    assert set(merged.body["scope"].split()) == {"User.Read", "openid", "Mail.Read"}
    for made in (
        plan(desired, live),
        plan(desired, live, Selection(kinds=frozenset({"oAuth2PermissionGrant"}))),
        rolled_back(desired, live, client),
        rolled_back(desired, live),
    ):
        (step,) = made.steps
        assert set(step.body["scope"].split()) == {"User.Read", "openid"}


# --- kinds ---


def test_objects_created_since_are_deleted_only_when_their_kind_is_named(
    desired: ModelTenant,
) -> None:
    live = desired.copied("live")
    user(live, DAN, "Dan")
    group(live, guid(0xA3), "New")
    assert rolled_back(desired, live).is_empty
    made = rolled_back(desired, live, USERS, "user")
    assert deleted(made) == {DAN}
    assert made.deletions == 1
    document = made.to_json()
    assert (document["deletions"], document["deletions_to_confirm"]) == (1, 1)
    assert document["deleted_kinds"] == [{"kind": "user", "count": 1, "undo": "recycle_bin"}]
    assert any("recycle bin can give them back" in warning for warning in made.warnings)
    assert RestorePlan.from_json(document) == made


def test_deletions_come_last_and_dependents_first(desired: ModelTenant) -> None:
    desired.change("user", ANN, department="Then")
    live = desired.copied("live")
    live.change("user", ANN, department="Now")
    user(live, DAN, "Dan")
    group(live, guid(0xA3), "New")
    live.link("group.members", GROUP, CAT, "user")
    live.put(
        "namedLocation",
        LOCATION,
        **{"@odata.type": "#microsoft.graph.ipNamedLocation", "isTrusted": True},
        displayName="Here",
    )
    live.put("conditionalAccessPolicy", POLICY, displayName="New", state="enabled", conditions={})
    made = rolled_back(
        desired, live, EVERYTHING, "user", "group", "namedLocation", "conditionalAccessPolicy"
    )
    told = [(step.action.value, step.ref.kind) for step in made.steps]
    assert told == [
        ("update", "user"),
        ("remove_relationship", "group"),
        ("delete", "conditionalAccessPolicy"),
        ("update", "namedLocation"),
        ("delete", "namedLocation"),
        ("delete", "group"),
        ("delete", "user"),
    ]
    assert any("created anew" in warning for warning in made.warnings)


def test_what_leads_to_a_deleted_object_goes_with_it(desired: ModelTenant) -> None:
    principals(desired)
    live = desired.copied("live")
    user(live, DAN, "Dan")
    live.link("group.members", GROUP, DAN, "user")
    assign(live, guid(0xD2), DAN)
    assert [s.id for s in rolled_back(desired, live, EVERYTHING, "user").steps] == [
        f"delete/user/{DAN}"
    ]


@pytest.mark.parametrize(
    ("kind", "properties", "said"),
    [
        ("user", {"onPremisesSyncEnabled": True}, "on-premises"),
        ("user", {"createdDateTime": "2026-02-28T23:59:59Z"}, "before the snapshot"),
        ("user", {"userPrincipalName": "ANN@example.com"}, "userPrincipalName of a user"),
        ("group", {"mailEnabled": True, "securityEnabled": True}, "Exchange"),
        ("application", {"appId": APP_ID}, "application that restores"),
        ("servicePrincipal", {"appId": APP_ID}, "application that restores"),
        ("servicePrincipal", {"servicePrincipalType": "ManagedIdentity"}, "managed identity"),
        (
            "servicePrincipal",
            {"appOwnerOrganizationId": "f8cdef31-a31e-4b4a-93e4-5f571e91255a"},
            "Microsoft",
        ),
        ("unifiedRoleDefinition", {"isBuiltIn": True}, "built in"),
        ("conditionalAccessPolicy", {"displayName": "Microsoft-managed: MFA"}, "Microsoft"),
    ],
)
def test_what_is_not_ours_to_delete_stays_and_is_said(
    desired: ModelTenant, kind: str, properties: dict[str, object], said: str
) -> None:
    live = desired.copied("live")
    live.put(
        kind,
        DAN,
        **{"displayName": "New", "createdDateTime": "2026-03-02T00:00:00Z", **properties},
    )
    selection = Selection(kinds=frozenset({kind}))
    made = rolled_back(desired, live, selection, kind, own_app_id=APP_ID)
    assert made.is_empty
    (item,) = made.unrestorable
    assert (item.ref.id, item.what, item.code) == (DAN, "deletion", NOT_DELETED)
    assert said in item.reason


def test_nothing_of_a_partial_kind_is_deleted(desired: ModelTenant) -> None:
    live = desired.copied("live")
    user(live, DAN, "Dan")
    desired.cover("user", CoverageStatus.PARTIAL, "It was cut off.")
    made = rolled_back(desired, live, USERS, "user")
    assert made.is_empty
    assert "It was cut off." in made.unrestorable[0].reason


def test_the_same_object_under_another_id_is_never_deleted(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.purge("user", ANN)
    user(live, DAN, "Ann")  # made by hand, with her name
    live.purge("group", GROUP)
    group(live, guid(0x99), "Sales")
    identity = NO_IDENTITY.with_object("group", GROUP, guid(0x99))
    made = rolled_back(desired, live, EVERYTHING, "user", "group", identity=identity)
    assert not deleted(made)
    # Both lives of one object: the one out of the bin, and the one that stood in for it.
    group(live, GROUP, "Sales")
    made = rolled_back(desired, live, EVERYTHING, "user", "group", identity=identity)
    assert not deleted(made)


def test_an_emptied_kind_is_still_rolled_back(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.put("application", APP, displayName="New", appId=APP_ID)
    made = rolled_back(desired, live, Selection(kinds=frozenset({"application"})), "application")
    assert deleted(made) == {APP}


# --- what does not go together ---


@pytest.mark.parametrize(
    ("options", "selection", "said"),
    [
        ({"rollback_kinds": frozenset({"nothing"})}, EVERYTHING, "no kind"),
        ({"rollback_kinds": frozenset({"device"})}, EVERYTHING, "cannot be rolled back"),
        ({"rollback_kinds": frozenset({"domain"})}, EVERYTHING, "cannot be rolled back"),
        ({"rollback_kinds": frozenset({"appRoleAssignment"})}, EVERYTHING, "rolled back of kind"),
        ({"rollback_kinds": frozenset({"user"})}, GROUPS, "whole kind"),
        (
            {"rollback_kinds": frozenset({"user"})},
            Selection(refs=frozenset({ObjectRef("user", ANN)})),
            "whole kind",
        ),
        ({"rollback_kinds": frozenset({"user"}), "deleted_only": True}, USERS, "untouched"),
        ({"relationships_behavior": ROLLBACK, "deleted_only": True}, USERS, "untouched"),
        ({"relationships_behavior": ROLLBACK, "relationships": False}, USERS, "same time"),
        (
            {"rollback_kinds": frozenset({"user"}), "properties": frozenset({"city"})},
            USERS,
            "do not go together",
        ),
    ],
)
def test_options_that_contradict_are_refused(
    desired: ModelTenant, options: dict[str, object], selection: Selection, said: str
) -> None:
    with pytest.raises(errors.UsageError, match=said):
        plan(desired, desired.copied("live"), selection, **options)


def test_deletions_are_confirmed_by_their_number(desired: ModelTenant) -> None:
    live = desired.copied("live")
    user(live, DAN, "Dan")
    made = rolled_back(desired, live, USERS, "user")
    for wrong in (None, 0, 2):
        with pytest.raises(errors.Refused, match="deletes 1 object") as refusal:
            ensure_deletions_confirmed(made, wrong)
        assert refusal.value.typed == "--confirm-deletions 1"
    ensure_deletions_confirmed(made, 1)
    empty = plan(desired, desired.copied("live"))
    ensure_deletions_confirmed(empty, None)
    ensure_deletions_confirmed(empty, 0)


def test_a_plan_of_the_version_before_is_still_read(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.change("user", ANN, city="Now")
    document = plan(desired, live).to_json()
    document["version"] = 1
    for name in ("relationships_behavior", "settings_of", "rollback_kinds", "properties"):
        del document["options"][name]
    made = RestorePlan.from_json(document)
    assert made.options == RestoreOptions()
    assert made.deletions == 0


def test_a_published_context_is_taken_out_of_use_before_it_is_deleted(
    desired: ModelTenant,
) -> None:
    live = desired.copied("live")
    kind = "authenticationContextClassReference"
    live.put(kind, "c7", displayName="New", isAvailable=True)
    made = rolled_back(desired, live, Selection(kinds=frozenset({kind})), kind)
    assert [(step.action.value, dict(step.body)) for step in made.steps] == [
        ("update", {"isAvailable": False}),
        ("delete", {}),
    ]


def test_nothing_is_rolled_back_unseen_to_a_snapshot_marked_for_review(
    desired: ModelTenant,
) -> None:
    live = desired.copied("live")
    user(live, DAN, "Dan")
    live.link("group.members", GROUP, CAT, "user")

    def made(review: tuple[str, ...], **options: object) -> RestorePlan:
        return plan_restore(
            desired,
            live,
            EVERYTHING,
            RestoreOptions(**options),  # type: ignore[arg-type]
            created_at=NOW,
            snapshot_review=review,
        )

    note = "Users: 2 of 5 were deleted since the last backup."
    rollback = {"relationships_behavior": ROLLBACK, "rollback_kinds": frozenset({"user"})}
    (refusal,) = made((note,), **rollback).open_refusals
    assert refusal.code == "snapshot_review"
    assert refusal.numbers == {"deletions": 1, "removals": 1}
    assert note in refusal.message
    assert not made((note,), **rollback, overruled=frozenset({"snapshot_review"})).open_refusals
    assert not made((), **rollback).refusals
    assert not made((note,)).refusals  # a merge takes nothing away


def test_a_rollback_does_not_take_the_last_administrator_away(desired: ModelTenant) -> None:
    administrator = "62e90394-69f5-4237-9190-012177145e10"
    desired.put("unifiedRoleDefinition", administrator, displayName="Global Administrator")
    given = {"roleDefinitionId": administrator, "directoryScopeId": "/"}
    desired.put("unifiedRoleAssignment", "then", principalId=ANN, **given)
    live = desired.copied("live")
    live.purge("unifiedRoleAssignment", "then")
    live.put("unifiedRoleAssignment", "now", principalId=BOB, **given)
    assignments = Selection(kinds=frozenset({"unifiedRoleAssignment"}))
    made = rolled_back(desired, live, assignments)
    assert deleted(made) == {"now"}
    assert not made.open_refusals  # the one of the snapshot is there before the other goes
    live.purge("user", ANN)
    made = rolled_back(desired, live, assignments)
    assert [refusal.code for refusal in made.open_refusals] == ["last_administrator"]
    user(live, DAN, "Dan")
    live.put("unifiedRoleAssignment", "new", principalId=DAN, **given)
    live.purge("unifiedRoleAssignment", "now")
    made = rolled_back(desired, live, USERS, "user")
    assert deleted(made) == {DAN}
    assert not made.open_refusals  # the former one comes back before
    desired.purge("unifiedRoleAssignment", "then")
    made = rolled_back(desired, live, USERS, "user")
    assert "last_administrator" in [refusal.code for refusal in made.open_refusals]
