"""Single properties and settings: what the choice of them leaves of a plan."""

from __future__ import annotations

from typing import Any

import pytest

from reentra import errors
from reentra.directory.objects import ObjectRef
from reentra.directory.selection import EVERYTHING, Selection
from reentra.restore import single_properties
from reentra.restore.draft import SettingsBehavior
from reentra.restore.plan import RestorePlan
from tests.models import ModelTenant
from tests.restore.test_plan import ANN, BOB, CAT, GROUP, POLICY, desired, guid, plan

assert desired  # the fixture
USERS = Selection(kinds=frozenset({"user"}))
BOTH = Selection(kinds=frozenset({"user", "group"}))


def narrowed(
    desired: ModelTenant, live: ModelTenant, selection: Selection, *names: str, **options: Any
) -> RestorePlan:
    return plan(
        desired,
        live,
        selection,
        properties=frozenset(names),
        **{"relationships": False, **options},
    )


def bodies(made: RestorePlan) -> dict[str, Any]:
    return {step.ref.id: dict(step.body) for step in made.steps}


def test_only_the_chosen_property_is_put_back(desired: ModelTenant) -> None:
    live = desired.copied("live")
    for one in (ANN, BOB):
        live.change("user", one, department=None, city="Later")
    live.change("group", GROUP, description="Later")
    live.unlink("group.members", GROUP, ANN)
    made = narrowed(desired, live, USERS, "department")
    assert bodies(made) == {ANN: {"department": "Sales"}, BOB: {"department": "Sales"}}
    one = Selection(refs=frozenset({ObjectRef("user", ANN)}))
    assert bodies(narrowed(desired, live, one, "user.department")) == {ANN: {"department": "Sales"}}


def test_nothing_is_created_or_taken_from_the_bin_for_a_property(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.remove("user", ANN)
    live.purge("user", BOB)
    made = narrowed(desired, live, USERS, "department", relationships=True)
    assert made.is_empty
    assert any("2 of the selected objects of kind user" in text for text in made.warnings)


def test_links_come_along_when_they_are_asked_for(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.unlink("group.members", GROUP, ANN)
    live.change("user", ANN, city="Later")
    made = narrowed(desired, live, USERS, "department", relationships=True)
    assert [step.relationship for step in made.steps] == ["group.members"]


def test_a_place_inside_a_property_is_put_back_and_the_rest_of_it_stays(
    desired: ModelTenant,
) -> None:
    live = desired.copied("live")
    desired.change("user", ANN, employeeOrgData={"division": "Then", "costCenter": "1"})
    live.change("user", ANN, employeeOrgData={"division": "Now", "costCenter": "2"})
    desired.change("user", BOB, employeeOrgData={"division": "Then", "costCenter": "1"})
    live.change("user", BOB, employeeOrgData=None)
    live.change("user", CAT, employeeOrgData={"division": "Now", "costCenter": "2"})
    made = narrowed(desired, live, USERS, "employeeOrgData.division")
    assert bodies(made) == {
        ANN: {"employeeOrgData": {"division": "Then", "costCenter": "2"}},
        BOB: {"employeeOrgData": {"division": "Then"}},
        CAT: {"employeeOrgData": {"division": None, "costCenter": "2"}},
    }


def test_a_place_that_no_object_has_is_told(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.change("user", ANN, employeeOrgData={"division": "Now"})
    made = narrowed(desired, live, USERS, "employeeOrgData.divsion")
    assert made.is_empty
    assert any("employeeOrgData.divsion" in text for text in made.warnings)


def test_properties_of_two_kinds_are_named_with_their_kind(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.change("user", ANN, department=None, displayName="A")
    live.change("group", GROUP, description="Later", displayName="B")
    made = narrowed(desired, live, BOTH, "user.department", "group.description")
    assert bodies(made) == {ANN: {"department": "Sales"}, GROUP: {"description": None}}
    made = narrowed(desired, live, BOTH, "displayName")
    assert set(bodies(made)) == {ANN, GROUP}


def test_licences_are_a_property_of_users(desired: ModelTenant) -> None:
    sku = guid(0x51)
    desired.change("user", ANN, assignedLicenses=[{"skuId": sku, "disabledPlans": []}])
    live = desired.copied("live")
    live.change("user", ANN, assignedLicenses=[], city="Later")
    live.put("subscribedSku", sku, skuId=sku)
    made = narrowed(desired, live, USERS, "assignedLicenses")
    assert [step.action.value for step in made.steps] == ["assign_licenses"]
    assert narrowed(desired, live, USERS, "department").is_empty


def test_the_state_of_a_policy_can_be_put_back_alone(desired: ModelTenant) -> None:
    body = {"displayName": "P", "state": "enabled", "conditions": {"users": {"includeUsers": []}}}
    desired.put("conditionalAccessPolicy", POLICY, **body)
    live = desired.copied("live")
    live.change(
        "conditionalAccessPolicy",
        POLICY,
        state="disabled",
        conditions={"users": {"includeUsers": ["All"]}},
    )
    selection = Selection(kinds=frozenset({"conditionalAccessPolicy"}))
    assert bodies(narrowed(desired, live, selection, "state")) == {POLICY: {"state": "enabled"}}


@pytest.mark.parametrize(
    ("names", "selection", "said", "hint"),
    [
        ({"departmnt"}, USERS, "no property 'departmnt'", "department"),
        ({"createdDateTime"}, USERS, "nobody can write createdDateTime", "department"),
        ({"department"}, BOTH, "group lack it", "user.department"),
        ({"department"}, EVERYTHING, "Not every selected kind", "user.department"),
        ({"group.description"}, USERS, "no group is selected", "Select the kind group"),
        ({"user"}, USERS, "is a kind", "user.PROPERTY"),
        ({"department."}, USERS, "is no property", "department"),
        ({"user.id"}, USERS, "nobody can write id", "department"),
        ({"principalId"}, Selection(kinds=frozenset({"appRoleAssignment"})), "write", ""),
    ],
)
def test_a_property_that_cannot_be_put_back_is_a_wrong_request(
    names: set[str], selection: Selection, said: str, hint: str
) -> None:
    with pytest.raises(errors.UsageError, match=said) as error:
        single_properties.chosen(names, selection)
    assert hint in error.value.hint


def test_settings_are_skipped_where_that_was_chosen(desired: ModelTenant) -> None:
    desired.put("organization", "o", technicalNotificationMails=["then"])
    desired.put("authorizationPolicy", "authorizationPolicy", allowInvitesFrom="none")
    desired.put("groupSetting", "s", templateId="t", values=[{"name": "a", "value": "then"}])
    live = desired.copied("live")
    live.change("organization", "o", technicalNotificationMails=["now"])
    live.change("authorizationPolicy", "authorizationPolicy", allowInvitesFrom="everyone")
    live.change("groupSetting", "s", values=[{"name": "a", "value": "now"}])
    overwrite, skip = SettingsBehavior.OVERWRITE, SettingsBehavior.SKIP

    def kinds(**options: Any) -> set[str]:
        return {step.ref.kind for step in plan(desired, live, **options).steps}

    assert kinds() == {"organization", "authorizationPolicy", "groupSetting"}
    assert kinds(settings=skip) == set()
    assert kinds(settings_of={"user": skip}) == {"organization", "groupSetting"}
    assert kinds(settings_of={"tenant": skip}) == {"authorizationPolicy", "groupSetting"}
    assert kinds(settings=skip, settings_of={"group": overwrite}) == {"groupSetting"}
    with pytest.raises(errors.UsageError, match="no settings of 'application'"):
        kinds(settings_of={"application": skip})
