"""A small tenant with administrators, and steps made by hand, to ask what a plan refuses."""

from __future__ import annotations

from typing import Any

from reentra.directory.objects import ObjectRef
from reentra.directory.selection import EVERYTHING
from reentra.restore import order, safety
from reentra.restore.administrators import GLOBAL_ADMINISTRATOR
from reentra.restore.draft import Draft, RestoreOptions
from reentra.restore.identity import NO_IDENTITY
from reentra.restore.observed import ObservedTenant
from reentra.restore.refusals import Refusal
from reentra.restore.steps import Action, Precondition, Step
from tests.models import ModelTenant


def guid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


ANN, BOB, CAT, DAN, GUEST = (guid(number) for number in range(1, 6))
ADMINS, EXEMPT, NESTED, STAFF = (guid(number) for number in range(0xA1, 0xA5))
POLICY, LOCATION, APP_ID, PRINCIPAL = (guid(number) for number in range(0xC1, 0xC5))


def user(model: ModelTenant, object_id: str, name: str, **more: Any) -> None:
    model.put(
        "user",
        object_id,
        **{
            "displayName": name,
            "userPrincipalName": f"{name.lower()}@example.com",
            "accountEnabled": True,
            "userType": "Member",
            **more,
        },
    )


def assign(model: ModelTenant, assignment_id: str, principal_id: str, **more: Any) -> None:
    model.put(
        "unifiedRoleAssignment",
        assignment_id,
        **{
            "principalId": principal_id,
            "roleDefinitionId": GLOBAL_ADMINISTRATOR,
            "directoryScopeId": "/",
            **more,
        },
    )


def tenant() -> ModelTenant:
    """Ann is Global Administrator; Bob, Cat, Dan and a guest are not."""
    model = ModelTenant(label="live")
    for object_id, name in ((ANN, "Ann"), (BOB, "Bob"), (CAT, "Cat"), (DAN, "Dan")):
        user(model, object_id, name)
    user(model, GUEST, "Guest", userType="Guest")
    for object_id, name in ((ADMINS, "Admins"), (EXEMPT, "Exempt"), (NESTED, "Nested")):
        model.put("group", object_id, displayName=name, isAssignableToRole=object_id == ADMINS)
    assign(model, "ann", ANN)
    return model


def policy(model: ModelTenant, object_id: str = POLICY, **more: Any) -> dict[str, Any]:
    """Put a policy that blocks everybody from everything, but for ``more``."""
    body = blocking(**more)
    model.put("conditionalAccessPolicy", object_id, **body)
    return body


def blocking(
    *,
    state: str = "enabled",
    users: dict[str, Any] | None = None,
    grant: dict[str, Any] | None = None,
    applications: dict[str, Any] | None = None,
    **conditions: Any,
) -> dict[str, Any]:
    return {
        "displayName": "Block",
        "state": state,
        "conditions": {
            "clientAppTypes": ["all"],
            "applications": applications or {"includeApplications": ["All"]},
            "users": {"includeUsers": ["All"]} if users is None else users,
            **conditions,
        },
        "grantControls": grant or {"operator": "OR", "builtInControls": ["block"]},
    }


def step(
    action: Action,
    kind: str,
    object_id: str,
    *,
    phase: int = 40,
    depends_on: tuple[str, ...] = (),
    is_new: bool = False,
    **body: Any,
) -> Step:
    return Step(
        id=f"{action}/{kind}/{object_id}",
        action=action,
        ref=ObjectRef(kind, object_id),
        name=object_id,
        summary=f"{action} {kind} {object_id}",
        precondition=Precondition.PRESENT,
        phase=phase,
        depends_on=depends_on,
        body=body,
        live_id="" if is_new else object_id,
    )


def link(
    action: Action, group_id: str, target_id: str, *, phase: int = 100, name: str = "group.members"
) -> Step:
    kind = name.partition(".")[0]
    return Step(
        id=f"{action}/{name}/{group_id}/{target_id}",
        action=action,
        ref=ObjectRef(kind, group_id),
        name=group_id,
        summary=f"{action} {target_id} of {group_id}",
        precondition=Precondition.LINK_PRESENT,
        phase=phase,
        live_id=group_id,
        relationship=name,
        target=ObjectRef("", target_id),
    )


def draft_of(live: ModelTenant, *, granted: frozenset[str] | None = None, **options: Any) -> Draft:
    return Draft(
        live.copied("snapshot"),
        ObservedTenant(live),
        EVERYTHING,
        RestoreOptions(**options),
        NO_IDENTITY,
        granted,
    )


def judged(
    live: ModelTenant,
    *steps: Step,
    break_glass: tuple[str, ...] = (),
    client_id: str = "",
) -> tuple[list[Step], list[Refusal], list[str]]:
    """Return the steps, refusals and warnings of a plan of ``steps``."""
    draft = draft_of(live)
    found, refusals = safety.judged(
        draft, order.ordered(steps), safety.Safeguards(break_glass, client_id)
    )
    return found, refusals, draft.warnings


def codes(refusals: list[Refusal]) -> list[str]:
    return [refusal.code for refusal in refusals]
