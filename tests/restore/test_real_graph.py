"""Where Graph's real semantics are stricter, or stranger, than a restore might think."""

from __future__ import annotations

from reentra.directory.selection import Selection
from tests.models import ModelTenant
from tests.restore.test_plan import (
    ANN,
    APP_ID,
    BOB,
    CAT,
    GROUP,
    PRINCIPAL,
    desired,
    group,
    guid,
    plan,
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


# --- nothing outside the selection -----------------------------------------------------------------


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
