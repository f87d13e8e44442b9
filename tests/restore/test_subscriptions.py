"""Licences that the tenant does not have: said before, with numbers, and left out where certain."""

from __future__ import annotations

from typing import Any

import pytest

from reentra import errors
from reentra.restore.plan import RestorePlan
from reentra.restore.steps import Action, Step
from reentra.restore.subscriptions import licensed
from tests.models import ModelTenant
from tests.restore.safety_support import (
    ANN,
    BOB,
    CAT,
    DAN,
    LOCATION,
    POLICY,
    STAFF,
    blocking,
    draft_of,
    guid,
    step,
    tenant,
)
from tests.restore.test_plan import plan

SKU = guid(0x51)
GROUP = guid(0x52)


def subscription(model: ModelTenant, sku: str = SKU, part: str = "SUITE", **more: Any) -> None:
    model.put(
        "subscribedSku",
        f"t_{sku}",
        **{
            "skuId": sku,
            "skuPartNumber": part,
            "capabilityStatus": "Enabled",
            "consumedUnits": 0,
            "prepaidUnits": {"enabled": 10, "warning": 0, "suspended": 0},
            "servicePlans": [{"servicePlanName": part, "provisioningStatus": "Success"}],
            **more,
        },
    )


def with_licences(model: ModelTenant, *people: str) -> None:
    for one in people:
        model.change(
            "user", one, usageLocation="DE", assignedLicenses=[{"skuId": SKU, "disabledPlans": []}]
        )


def stripped() -> tuple[ModelTenant, ModelTenant]:
    """Return a snapshot in which four people have a licence, and a tenant in which nobody has."""
    desired = tenant()
    subscription(desired)
    live = desired.copied("live")
    for one in (ANN, BOB, CAT, DAN):
        live.change("user", one, usageLocation="DE", assignedLicenses=[])
    with_licences(desired, ANN, BOB, CAT, DAN)
    return desired, live


def warned(made: RestorePlan) -> list[str]:
    return [text for text in made.warnings if "unit" in text]


def test_too_few_free_units_are_said_with_the_numbers() -> None:
    desired, live = stripped()
    assert warned(plan(desired, live)) == []
    subscription(live, consumedUnits=8, prepaidUnits={"enabled": 9, "warning": 1})
    made = plan(desired, live)
    assert len(made.steps) == 4
    (said,) = warned(made)
    assert "4 users need a unit of SUITE, and 2 of 10 are free" in said
    assert "refuse 2 of them" in said
    live.change("user", ANN, assignedLicenses=[{"skuId": SKU, "disabledPlans": [guid(1)]}])
    (said,) = warned(plan(desired, live))
    assert "3 users need" in said
    live.change("user", BOB, assignedLicenses=[{"skuId": SKU, "disabledPlans": [guid(1)]}])
    assert warned(plan(desired, live)) == []


@pytest.mark.parametrize(
    "dead",
    [
        {"prepaidUnits": {"enabled": 0, "warning": 0, "suspended": 10}},
        {"capabilityStatus": "Suspended"},
        {"capabilityStatus": "Deleted"},
    ],
)
def test_a_product_that_nobody_can_be_given_is_left_out(dead: dict[str, Any]) -> None:
    desired, live = stripped()
    subscription(live, **dead)
    live.change("user", ANN, assignedLicenses=[{"skuId": SKU, "disabledPlans": [guid(1)]}])
    made = plan(desired, live)
    assert [step.ref.id for step in made.steps] == [ANN]  # she has it, and may keep it
    left_out = [item for item in made.unrestorable if item.code == "missing_licence"]
    assert {item.ref.id for item in left_out} == {BOB, CAT, DAN}
    assert "SUITE" in left_out[0].reason


def premium_steps() -> list[Step]:
    risky = blocking(signInRiskLevels=["high"])
    return [
        step(Action.UPDATE, "conditionalAccessPolicy", POLICY, phase=160, **risky),
        step(Action.CREATE, "conditionalAccessPolicy", guid(0x61), phase=160, **blocking()),
        step(Action.CREATE, "namedLocation", LOCATION, phase=120, displayName="x"),
        step(Action.CREATE, "group", GROUP, phase=50, groupTypes=["DynamicMembership"]),
        step(Action.CREATE, "group", guid(0x62), phase=50, isAssignableToRole=True),
        step(Action.CREATE, "administrativeUnit", guid(0x63), phase=90,
             isMemberManagementRestricted=True),
        step(Action.UPDATE, "unifiedRoleDefinition", guid(0x64), phase=110, isEnabled=True),
        step(Action.UPDATE, "group", STAFF, phase=50, depends_on=(f"create/group/{GROUP}",)),
        step(Action.CREATE, "group", guid(0x65), phase=50, groupTypes=[]),
        step(Action.DELETE, "conditionalAccessPolicy", guid(0x66), phase=200),
    ]  # fmt: skip


def test_what_needs_a_plan_that_the_tenant_lost_is_left_out_with_what_depends_on_it() -> None:
    draft = draft_of(tenant())
    desired = tenant()
    subscription(desired, guid(0x71), "AAD_PREMIUM_P2")
    draft.desired = desired
    kept = licensed(draft, premium_steps())
    assert [one.ref.id for one in kept] == [guid(0x65), guid(0x66)]
    assert {one.code for one in draft.unrestorable} == {"missing_licence"}
    said = [(one.ref.kind, "P2" in one.reason, one.count) for one in draft.unrestorable]
    assert sorted(said) == [
        ("administrativeUnit", False, 1),
        ("conditionalAccessPolicy", False, 1),
        ("conditionalAccessPolicy", True, 1),
        ("group", False, 2),
        ("namedLocation", False, 1),
        ("unifiedRoleDefinition", False, 1),
    ]


def test_with_p1_alone_only_policies_about_risk_are_left_out() -> None:
    live, desired = tenant(), tenant()
    subscription(live, guid(0x71), "AAD_PREMIUM")
    subscription(desired, guid(0x71), "AAD_PREMIUM_P2")
    draft = draft_of(live)
    draft.desired = desired
    kept = licensed(draft, premium_steps())
    assert len(kept) == len(premium_steps()) - 1
    assert POLICY not in {one.ref.id for one in kept}


def test_a_plan_that_the_snapshot_does_not_show_either_is_only_a_warning() -> None:
    draft = draft_of(tenant())
    assert licensed(draft, premium_steps()) == premium_steps()
    assert draft.unrestorable == []
    (p1, p2) = draft.warnings
    assert "P1, which 6 steps need" in p1
    assert "P2, which 1 steps need" in p2


def test_a_suspended_subscription_brings_no_plan() -> None:
    live, desired = tenant(), tenant()
    subscription(live, guid(0x71), "AAD_PREMIUM_P2", capabilityStatus="Suspended")
    subscription(desired, guid(0x71), "AAD_PREMIUM_P2")
    draft = draft_of(live)
    draft.desired = desired
    assert len(licensed(draft, premium_steps())) == 2


def test_what_cannot_be_read_is_said_and_nothing_is_read_without_need() -> None:
    class Closed(ModelTenant):
        def list_objects(self, kind: str) -> Any:
            raise errors.Forbidden("no", status=403)

    live = Closed()
    draft = draft_of(live)
    assert licensed(draft, premium_steps()) == premium_steps()
    (said,) = draft.warnings
    assert "LicenseAssignment.Read.All" in said
    assert "7 steps" in said
    quiet = draft_of(live)
    licensed(quiet, [step(Action.UPDATE, "user", ANN, department="Sales")])
    assert quiet.warnings == []
