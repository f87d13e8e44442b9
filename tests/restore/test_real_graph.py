"""Where Graph's real semantics are stricter, or stranger, than a restore might think."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from reentra import errors
from reentra.directory.objects import DirectoryObject
from reentra.directory.selection import Selection
from reentra.restore.identity import IdentityMap
from reentra.restore.steps import Action, Password
from tests.models import ModelTenant
from tests.restore.test_plan import (
    ANN,
    APP,
    APP_ID,
    BOB,
    CAT,
    DAN,
    GROUP,
    POLICY,
    PRINCIPAL,
    by_action,
    desired,
    group,
    guid,
    plan,
    user,
)

__all__ = ["desired"]

GLOBAL_ADMINISTRATOR = "62e90394-69f5-4237-9190-012177145e10"


def with_assignments(model: ModelTenant) -> ModelTenant:
    """Give Ann a role, and Ann and the group Sales an app role."""
    model.put(
        "unifiedRoleDefinition",
        GLOBAL_ADMINISTRATOR,
        displayName="Global Administrator",
        isBuiltIn=True,
        isEnabled=True,
    )
    model.put(
        "unifiedRoleAssignment",
        "ann-role",
        principalId=ANN,
        roleDefinitionId=GLOBAL_ADMINISTRATOR,
        directoryScopeId="/",
    )
    model.put("servicePrincipal", PRINCIPAL, displayName="Portal", appId=APP_ID)
    for name, principal_id in (("ann-app", ANN), ("sales-app", GROUP)):
        model.put(
            "appRoleAssignment",
            name,
            principalId=principal_id,
            resourceId=PRINCIPAL,
            appRoleId=guid(0),
        )
    return model


# --- nothing outside the selection ----------------------------------------------------------------


def test_selecting_all_groups_gives_no_user_a_role(desired: ModelTenant) -> None:
    live = with_assignments(desired).copied("live")
    live.purge("unifiedRoleAssignment", "ann-role")
    live.purge("appRoleAssignment", "ann-app")
    live.purge("appRoleAssignment", "sales-app")
    made = plan(desired, live, Selection.parse(kinds=["group"]))
    assert [step.id for step in made.steps] == ["create/appRoleAssignment/sales-app"]


def test_a_member_of_unsaid_kind_is_selected_by_what_it_is(desired: ModelTenant) -> None:
    desired.links.clear()
    group(desired, guid(0xA9), "Untyped")
    desired.link("group.members", guid(0xA9), ANN, "")
    live = desired.copied("live")
    live.unlink("group.members", guid(0xA9), ANN)
    by_users = plan(desired, live, Selection.parse(kinds=["user"]))
    assert [step.ref.id for step in by_users.steps] == [guid(0xA9)]
    assert plan(desired, live, Selection.parse(kinds=["device"])).is_empty


def test_restoring_a_manager_takes_nobody_from_a_later_one(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.unlink("user.manager", ANN, BOB)
    live.link("user.manager", ANN, CAT, "user")
    made = plan(desired, live, Selection.parse(ids=[f"user/{BOB}"]))
    assert not [step for step in made.steps if step.relationship == "user.manager"]
    (said,) = [item for item in made.unrestorable if item.what == "user.manager"]
    assert said.ref.id == ANN
    both = plan(desired, live, Selection.parse(ids=[f"user/{BOB}", f"user/{ANN}"]))
    assert [step.relationship for step in both.steps] == ["user.manager"]


def test_deleted_only_leaves_the_later_manager_of_an_existing_user(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.purge("user", BOB)
    live.link("user.manager", ANN, CAT, "user")
    made = plan(desired, live, deleted_only=True)
    assert not [step for step in made.steps if step.relationship == "user.manager"]


def test_a_manager_comes_back_to_who_has_none(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.unlink("user.manager", ANN, BOB)
    made = plan(desired, live, Selection.parse(ids=[f"user/{BOB}"]))
    assert [step.relationship for step in made.steps] == ["user.manager"]


# --- what a restore must not take away ------------------------------------------------------------

E3, E5 = guid(0xE3), guid(0xE5)


def test_a_licence_is_not_taken_away_when_the_former_one_cannot_be_bought_back(
    desired: ModelTenant,
) -> None:
    desired.put("subscribedSku", "sku-5", skuId=E5, skuPartNumber="E5")
    desired.change("user", ANN, assignedLicenses=[{"skuId": E3, "disabledPlans": []}])
    live = desired.copied("live")
    live.change("user", ANN, assignedLicenses=[{"skuId": E5, "disabledPlans": []}])
    made = plan(desired, live)
    assert made.is_empty
    assert any("keeps its later licences" in warning for warning in made.warnings)
    assert [item.what for item in made.unrestorable] == ["assignedLicenses"]


# --- passwords ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backed_up", "sent"),
    [
        (None, {"forceChangePasswordNextSignIn": True}),
        ({"password": None}, {"forceChangePasswordNextSignIn": True}),
        (
            {
                "password": None,
                "forceChangePasswordNextSignIn": False,
                "forceChangePasswordNextSignInWithMfa": False,
            },
            {"forceChangePasswordNextSignIn": False, "forceChangePasswordNextSignInWithMfa": False},
        ),
        (
            {"forceChangePasswordNextSignIn": True, "forceChangePasswordNextSignInWithMfa": True},
            {"forceChangePasswordNextSignIn": True, "forceChangePasswordNextSignInWithMfa": True},
        ),
    ],
)
def test_a_backed_up_password_profile_keeps_its_flags(
    desired: ModelTenant, backed_up: dict[str, Any] | None, sent: dict[str, Any]
) -> None:
    desired.change("user", ANN, passwordProfile=backed_up)
    live = desired.copied("live")
    live.purge("user", ANN)
    (create,) = by_action(plan(desired, live), Action.CREATE)
    assert create.password is Password.DEFAULT
    assert create.body["passwordProfile"] == sent


# --- what Graph refuses to be sent ----------------------------------------------------------------


def application(model: ModelTenant, **more: Any) -> None:
    model.put(
        "application",
        APP,
        **{
            "displayName": "Portal",
            "appId": APP_ID,
            "appRoles": [
                {
                    "id": guid(0x11),
                    "value": "Read",
                    "displayName": "Read",
                    "description": "Read",
                    "isEnabled": True,
                    "allowedMemberTypes": ["User"],
                    "origin": "Application",
                }
            ],
            **more,
        },
    )


def test_the_origin_of_an_app_role_is_never_sent(desired: ModelTenant) -> None:
    application(desired)
    gone = desired.copied("live")
    gone.purge("application", APP)
    changed = desired.copied("live")
    roles = [{**changed.objects["application"][APP]["appRoles"][0], "value": "Write"}]
    changed.change("application", APP, appRoles=roles)
    for live in (gone, changed):
        steps = plan(desired, live).steps
        assert steps
        assert all("origin" not in role for s in steps for role in s.body.get("appRoles", ()))


def test_a_rule_left_over_from_a_dynamic_time_is_not_sent_with_an_assigned_group(
    desired: ModelTenant,
) -> None:
    desired.change("group", GROUP, membershipRule="x", membershipRuleProcessingState="Paused")
    live = desired.copied("live")
    live.purge("group", GROUP)
    (create,) = by_action(plan(desired, live), Action.CREATE)
    assert not create.body.keys() & {"membershipRule", "membershipRuleProcessingState"}


def test_owners_of_a_group_of_exchange_are_not_written(desired: ModelTenant) -> None:
    desired.change("group", GROUP, mailEnabled=True)
    desired.link("group.owners", GROUP, ANN, "user")
    live = desired.copied("live")
    live.unlink("group.owners", GROUP, ANN)
    made = plan(desired, live)
    assert made.is_empty
    assert [item.what for item in made.unrestorable] == ["group.owners"]


def test_a_member_who_was_invited_is_invited_again_as_a_member(desired: ModelTenant) -> None:
    user(
        desired,
        DAN,
        "Dan",
        userPrincipalName="dan_partner.com#EXT#@example.com",
        mail="dan@partner.com",
        userType="Member",
    )
    live = desired.copied("live")
    live.purge("user", DAN)
    made = plan(desired, live)
    assert not by_action(made, Action.CREATE)
    (invite,) = by_action(made, Action.INVITE)
    assert invite.body["invitedUserType"] == "Member"


# --- applications and their service principals ----------------------------------------------------


def test_a_purged_service_principal_is_created_for_an_application_from_the_bin(
    desired: ModelTenant,
) -> None:
    application(desired)
    desired.put(
        "servicePrincipal",
        PRINCIPAL,
        displayName="Portal",
        appId=APP_ID,
        appOwnerOrganizationId=desired.tenant_id,
    )
    live = desired.copied("live")
    live.remove("application", APP)
    live.purge("servicePrincipal", PRINCIPAL)
    made = plan(desired, live)
    (create,) = by_action(made, Action.CREATE)
    assert create.ref.id == PRINCIPAL
    assert create.depends_on == (f"undelete/application/{APP}",)


def test_a_service_principal_of_a_purged_application_is_not_taken_out_of_the_bin(
    desired: ModelTenant,
) -> None:
    application(desired)
    desired.put(
        "servicePrincipal",
        PRINCIPAL,
        displayName="Portal",
        appId=APP_ID,
        appOwnerOrganizationId=desired.tenant_id,
    )
    live = desired.copied("live")
    live.purge("application", APP)
    live.remove("servicePrincipal", PRINCIPAL)
    made = plan(desired, live)
    assert not by_action(made, Action.UNDELETE)
    assert {step.ref.kind for step in by_action(made, Action.CREATE)} == {
        "application",
        "servicePrincipal",
    }


# --- GUIDs in any letter case ---------------------------------------------------------------------


def test_guids_in_another_letter_case_are_no_difference(desired: ModelTenant) -> None:
    body = {
        "displayName": "Block",
        "state": "enabled",
        "conditions": {"users": {"includeUsers": ["All"], "excludeUsers": [DAN.upper()]}},
        "grantControls": {"operator": "OR", "builtInControls": ["block"]},
    }
    user(desired, DAN, "Dan")
    desired.put("conditionalAccessPolicy", POLICY, **body)
    live = desired.copied("live")
    live.change("conditionalAccessPolicy", POLICY, conditions=_lowered(body["conditions"]))
    assert plan(desired, live).is_empty


def test_a_reference_in_upper_case_follows_to_the_new_id(desired: ModelTenant) -> None:
    user(desired, DAN, "Dan")
    desired.put(
        "conditionalAccessPolicy",
        POLICY,
        displayName="Block",
        state="enabled",
        conditions={"users": {"includeUsers": ["All"], "excludeUsers": [DAN.upper()]}},
        grantControls={"operator": "OR", "builtInControls": ["block"]},
    )
    live = desired.copied("live")
    live.purge("user", DAN)
    live.purge("conditionalAccessPolicy", POLICY)
    made = plan(desired, live)
    (create,) = [step for step in made.steps if step.ref.id == POLICY]
    assert create.depends_on == (f"create/user/{DAN}",)
    users = IdentityMap({DAN: CAT}).rewritten(create.ref.kind, create.body)["conditions"]["users"]
    assert users["excludeUsers"] == [CAT]


def _lowered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lowered(item) for key, item in value.items()}
    if isinstance(value, list):
        return [item.lower() if "-" in item else item for item in value]
    return value


# --- roles ----------------------------------------------------------------------------------------


def test_a_role_that_may_have_been_activated_for_hours_only_is_warned_of(
    desired: ModelTenant,
) -> None:
    live = with_assignments(desired).copied("live")
    live.purge("unifiedRoleAssignment", "ann-role")
    made = plan(desired, live)
    assert any("without an end" in warning for warning in made.warnings)
    assert not any("without an end" in warning for warning in plan(desired, desired).warnings)


def test_a_groups_licences_need_no_more_than_its_own_permission(desired: ModelTenant) -> None:
    desired.change("group", GROUP, assignedLicenses=[{"skuId": E3, "disabledPlans": []}])
    desired.put("subscribedSku", "sku-3", skuId=E3, skuPartNumber="E3")
    live = desired.copied("live")
    live.change("group", GROUP, assignedLicenses=[])
    made = plan(desired, live, granted=frozenset({"Group.ReadWrite.All"}))
    assert [step.action for step in made.steps] == [Action.ASSIGN_LICENSES]


def test_users_who_need_not_change_the_default_password_are_counted(desired: ModelTenant) -> None:
    for one in (ANN, BOB):
        desired.change("user", one, passwordProfile={"forceChangePasswordNextSignIn": False})
    live = desired.copied("live")
    for one in (ANN, BOB, CAT):
        live.purge("user", one)
    warnings = plan(desired, live).warnings
    assert next(warning for warning in warnings if "need not" in warning).startswith("2 users")


def test_sign_in_names_of_local_accounts_are_told_and_not_forgotten(desired: ModelTenant) -> None:
    names = [
        {"signInType": "userPrincipalName", "issuer": "example.com", "issuerAssignedId": "a"},
        {"signInType": "emailAddress", "issuer": "example.com", "issuerAssignedId": "ann@b.org"},
    ]
    for one in (ANN, BOB):
        desired.change("user", one, identities=names)
    live = desired.copied("live")
    live.purge("user", ANN)
    live.change("user", BOB, identities=names[:1])
    made = plan(desired, live)
    assert {item.ref.id for item in made.unrestorable if item.what == "identities"} == {ANN, BOB}
    assert plan(desired, desired.copied("live")).unrestorable == ()


# --- a cloud that lacks a kind --------------------------------------------------------------------


class WithoutRoles(ModelTenant):
    """A Graph that answers 404 to role assignments and subscriptions."""

    def list_objects(self, kind: str) -> Iterator[DirectoryObject]:
        if kind in ("unifiedRoleAssignment", "subscribedSku"):
            raise errors.GraphNotFound("Graph answered with 404.", status=404)
        yield from super().list_objects(kind)


def test_a_kind_that_this_graph_lacks_does_not_stop_the_plan(desired: ModelTenant) -> None:
    live = WithoutRoles()
    live.__dict__.update(with_assignments(desired).copied("live").__dict__)
    live.change("user", ANN, department="Later")
    made = plan(desired, live)
    assert [step.ref.id for step in made.steps] == [ANN]
    said = [item for item in made.unrestorable if item.ref.kind == "unifiedRoleAssignment"]
    assert [item.code for item in said] == ["not_readable"]


class WithoutPremium(ModelTenant):
    """A tenant whose PIM says that it is not licensed."""

    def list_objects(self, kind: str) -> Iterator[DirectoryObject]:
        if kind == "unifiedRoleEligibilitySchedule":
            raise errors.InvalidRequest("It needs P2.", hint="The tenant lacks the licence.")
        return super().list_objects(kind)

    def find_objects(
        self, kind: str, property_name: str, values: Sequence[str]
    ) -> list[DirectoryObject]:
        return list(self.list_objects(kind)) if kind == "unifiedRoleEligibilitySchedule" else []


def test_what_a_licence_keeps_away_is_not_asked_for_as_a_permission(desired: ModelTenant) -> None:
    desired.put(
        "unifiedRoleEligibilitySchedule", "el-1", principalId=ANN, roleDefinitionId="r-1",
        directoryScopeId="/",
    )  # fmt: skip
    live = WithoutPremium()
    live.__dict__.update(desired.copied("live").__dict__)
    said = [
        item
        for item in plan(desired, live).unrestorable
        if item.ref.kind == "unifiedRoleEligibilitySchedule"
    ]
    assert [item.code for item in said] == ["not_readable"]
    assert "once the tenant has the licence (Microsoft Entra ID P2)" in said[0].instead


# --- what is written whole or not at all ----------------------------------------------------------


def test_a_policy_does_not_block_on_conditions_that_cannot_be_put_back(
    desired: ModelTenant,
) -> None:
    desired.put(
        "conditionalAccessPolicy",
        POLICY,
        displayName="Block",
        state="enabled",
        conditions={"users": {"includeUsers": [ANN]}},
        grantControls={"operator": "OR", "builtInControls": ["block"]},
    )
    live = desired.copied("live")
    live.purge("user", ANN)
    live.change(
        "conditionalAccessPolicy",
        POLICY,
        state="disabled",
        conditions={"users": {"includeUsers": ["All"]}},
    )
    made = plan(desired, live, Selection.parse(kinds=["conditionalAccessPolicy"]))
    assert made.is_empty
    assert {item.what for item in made.unrestorable} == {"conditions", "state"}
