"""Lock-out: what Conditional Access does to those who must get in, once the plan is done.

Policies are compared as they are now and as the plan leaves them, for every usable Global
Administrator, every break-glass account, and the application that restores. What the plan does not
make worse is not its doing and is not said. Exclusions count only where they hold now and
afterwards: an exclusion that the plan itself has yet to bring is only possible. A group that comes
out of the recycle bin, or whose rule changes, holds whom nobody can say.

Reads through ``TenantState`` only, and little: the list of policies (two hundred at the most), and,
only where an enabled policy asks for them, the groups and roles of the administrators and the
application's own principal. Never the users of the tenant.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reentra.restore import administrators, conditional_access
from reentra.restore.administrators import MEMBERS, Administration, Person, key_of
from reentra.restore.conditional_access import Principal, Verdict
from reentra.restore.draft import Draft, name_of
from reentra.restore.principals import principals_of
from reentra.restore.refusals import (
    ADMINISTRATORS_LOCKED_OUT,
    BREAK_GLASS_POLICY,
    IDENTITY_LOCKED_OUT,
    Refusal,
)
from reentra.restore.steps import Action, Step

_POLICY = "conditionalAccessPolicy"
_LOCATION = "namedLocation"
_STRENGTH = "authenticationStrengthPolicy"
_ASSIGNMENT = "unifiedRoleAssignment"
_MOST_NAMES = 3


@dataclass(frozen=True, slots=True)
class Policies:
    """The Conditional Access policies now and after the plan, by id, with their names."""

    now: Mapping[str, Mapping[str, Any]]
    after: Mapping[str, Mapping[str, Any]]
    names: Mapping[str, str]
    moved: frozenset[str]  # policies whose named locations or strength the plan changes

    def enforced(self) -> dict[str, Mapping[str, Any]]:
        """Return those that are enforced after the plan."""
        return {
            one: body for one, body in self.after.items() if conditional_access.is_enabled(body)
        }

    def dangerous(self) -> dict[str, Mapping[str, Any]]:
        """Return those after the plan that may keep people from administering the tenant."""
        return {
            one: body
            for one, body in self.enforced().items()
            if conditional_access.demand_of(body)
            and conditional_access.reach_of(body)
            and conditional_access.narrowness_of(body)
            and not conditional_access.is_for_applications(body)
        }


def may_lock_out(step: Step) -> bool:
    """Tell whether a step can change whom Conditional Access keeps out."""
    if step.ref.kind == _POLICY:
        return step.action is not Action.DELETE
    if step.ref.kind in (_LOCATION, _STRENGTH):
        return step.action in (Action.UPDATE, Action.DELETE)
    if step.relationship:
        return step.relationship == MEMBERS
    if step.ref.kind == "group":
        return step.action in (Action.UNDELETE, Action.DELETE) or "membershipRule" in step.body
    return step.ref.kind == _ASSIGNMENT or administrators.may_take_away(step)


def load_policies(draft: Draft, steps: Sequence[Step]) -> Policies:
    """Load the policies as they are, and work out how ``steps`` leave them.

    Raises: ``errors.GraphError`` when the application may not read them.
    """
    now: dict[str, Mapping[str, Any]] = {}
    names: dict[str, str] = {}
    for item in draft.live.list_objects(_POLICY):
        now[item.id] = item.properties
        names[item.id] = name_of(item)
    after = dict(now)
    places: set[str] = set()
    strengths: set[str] = set()
    for step in steps:
        if step.ref.kind == _LOCATION and step.action in (Action.UPDATE, Action.DELETE):
            places |= {key_of(draft, step), "AllTrusted"}
        if step.ref.kind == _STRENGTH:
            strengths.add(key_of(draft, step))
        if step.ref.kind != _POLICY:
            continue
        key = key_of(draft, step)
        names.setdefault(key, step.name)
        if step.action is Action.DELETE:
            after.pop(key, None)
        elif step.may_make_object:
            after[key] = step.body
        else:
            after[key] = _patched(after.get(key, {}), step.body)
    moved = {
        one
        for one, body in after.items()
        if conditional_access.named_locations(body) & places
        or conditional_access.named_strength(body) in strengths
    }
    return Policies(now, after, names, frozenset(moved))


def lockout(
    draft: Draft,
    steps: Sequence[Step],
    policies: Policies,
    administration: Administration | None,
    client_id: str,
) -> tuple[list[Refusal], list[str]]:
    """Return the refusals and warnings about administrators and the restoring application.

    Without ``administration`` (roles cannot be read) only the application is looked at.
    """
    refusals: list[Refusal] = []
    warnings: list[str] = []
    dangerous = policies.dangerous()
    if administration is not None and dangerous:
        left = administrators.usable_after(administration, draft, steps)
        people = {**administrators.usable_now(administration), **left}
        pairs = principals_of(draft, steps, people, dangerous.values())
        found, said = _judged(policies, dangerous, pairs, left)
        refusals += found
        warnings += said
    for_applications = {
        one: body
        for one, body in policies.enforced().items()
        if conditional_access.is_for_applications(body)
    }
    if client_id and for_applications:
        found, said = _judged_identity(draft, policies, for_applications, client_id)
        refusals += found
        warnings += said
    return refusals, warnings


def break_glass_policies(
    draft: Draft, steps: Sequence[Step], policies: Policies, accounts: Mapping[str, Person]
) -> tuple[list[Refusal], list[str]]:
    """Return the refusals and warnings about policies that begin to apply to ``accounts``.

    ``accounts`` are by id, under the names that they were given. It does not matter what such a
    policy demands: an account for emergencies must not depend on it.
    """
    enforced = policies.enforced()
    refusals: list[Refusal] = []
    warnings: list[str] = []
    for now, after in principals_of(draft, steps, accounts, enforced.values()):
        applying = []
        for one, body in enforced.items():
            before = policies.now.get(one, {})
            was = (
                conditional_access.covers(before, now)
                if conditional_access.is_enabled(before)
                else Verdict.NEVER
            )
            applies = conditional_access.covers(body, after)
            if applies is Verdict.CERTAINLY and was < applies:
                applying.append(policies.names[one])
            elif applies is Verdict.POSSIBLY and was < applies:
                warnings.append(
                    f"Conditional Access policy {policies.names[one]} may begin to apply to the "
                    f"break-glass account {after.name}: that follows from a group or a "
                    "role whose members cannot be told before."
                )
        if applying:
            account = after.name
            refusals.append(
                Refusal(
                    BREAK_GLASS_POLICY,
                    f"{len(applying)} enabled Conditional Access policies would begin to apply to "
                    f"the break-glass account {account}: {_some(applying)}.",
                    "Exclude the account from the policy in the tenant, restore the policy in "
                    "report-only state, or leave it out.",
                    f"{BREAK_GLASS_POLICY}:{account}",
                    {"policies": len(applying)},
                )
            )
    return refusals, warnings


def _judged(
    policies: Policies,
    dangerous: Mapping[str, Mapping[str, Any]],
    pairs: Sequence[tuple[Principal, Principal]],
    left: Collection[str],
) -> tuple[list[Refusal], list[str]]:
    """Judge administrators, each as it is now and after the plan; ``left`` are they after it."""
    blocked_now: set[str] = set()
    blocked_after: set[str] = set()
    blocking: dict[str, set[str]] = {}
    possible: dict[str, set[str]] = {}
    for now, after in pairs:
        if any(
            conditional_access.verdict_on(body, now) is Verdict.CERTAINLY
            for body in policies.now.values()
        ):
            blocked_now.add(now.id)
        if after.id not in left:
            continue
        for one, body in dangerous.items():
            was = conditional_access.verdict_on(policies.now.get(one, {}), now)
            becomes = conditional_access.verdict_on(body, after)
            if becomes is Verdict.CERTAINLY:
                blocked_after.add(after.id)
            if becomes <= was and not (one in policies.moved and becomes):
                continue  # not the plan's doing
            (blocking if becomes is Verdict.CERTAINLY else possible).setdefault(one, set()).add(
                after.id
            )
    total = len(left)
    refusals = []
    if left and len(blocked_after) == total and len(blocked_now) < len(pairs):
        names = [policies.names[one] for one in blocking or dangerous]
        refusals.append(
            Refusal(
                ADMINISTRATORS_LOCKED_OUT,
                f"Conditional Access would block all {total} usable Global Administrators: "
                f"{_some(names)}.",
                "Exclude a break-glass account from the policy, restore it in report-only state, "
                "or leave it out.",
                ADMINISTRATORS_LOCKED_OUT,
                {"administrators": total, "blocked": total, "policies": len(names)},
            )
        )
        blocking = {}
    warnings = [
        f"Conditional Access policy {policies.names[one]} would block {len(ids)} of {total} usable "
        "Global Administrators."
        for one, ids in blocking.items()
    ]
    warnings += [
        f"Conditional Access policy {policies.names[one]} may lock out {len(ids)} of {total} "
        f"usable Global Administrators: {_why(dangerous[one])}."
        for one, ids in possible.items()
    ]
    return refusals, warnings


def _judged_identity(
    draft: Draft,
    policies: Policies,
    enforced: Mapping[str, Mapping[str, Any]],
    client_id: str,
) -> tuple[list[Refusal], list[str]]:
    """Judge the application that restores, if a policy is for service principals at all."""
    item = next(iter(draft.live.find_objects("servicePrincipal", "appId", [client_id])), None)
    if item is None or item.get("servicePrincipalType") == "ManagedIdentity":
        return [], []  # policies do not reach managed identities
    owner = item.get("appOwnerOrganizationId")
    principal = Principal(
        item.id,
        name_of(item),
        is_service_principal=True,
        is_foreign=bool(owner) and str(owner).lower() != draft.live.tenant_id.lower(),
    )
    blocking: list[str] = []
    possible: list[str] = []
    for one, body in enforced.items():
        was = conditional_access.verdict_on(policies.now.get(one, {}), principal)
        becomes = conditional_access.verdict_on(body, principal)
        if becomes <= was and not (one in policies.moved and becomes):
            continue
        (blocking if becomes is Verdict.CERTAINLY else possible).append(one)
    warnings = [
        f"Conditional Access policy {policies.names[one]} may lock out the application that "
        f"restores ({principal.name}): {_why(enforced[one])}."
        for one in possible
    ]
    if not blocking:
        return [], warnings
    names = [policies.names[one] for one in blocking]
    return [
        Refusal(
            IDENTITY_LOCKED_OUT,
            f"Conditional Access would block the application that restores ({principal.name}): "
            f"{_some(names)}. Nothing could be undone with it.",
            "Exclude the application's service principal from the policy, restore it in "
            "report-only state, or leave it out.",
            IDENTITY_LOCKED_OUT,
            {"policies": len(names)},
        )
    ], warnings


def _patched(body: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a PATCH leaves: members of objects are kept unless sent, lists are replaced."""
    result = dict(body)
    for name, value in change.items():
        known = result.get(name)
        if isinstance(value, Mapping) and isinstance(known, Mapping):
            result[name] = _patched(known, value)
        else:
            result[name] = value
    return result


def _why(policy: Mapping[str, Any]) -> str:
    """Say why a policy only may lock somebody out."""
    parts = []
    asked = conditional_access.demands(policy)
    if conditional_access.demand_of(policy) is Verdict.CERTAINLY:
        parts.append("it blocks")
    else:
        parts.append(f"it demands {', '.join(asked)}, which not everybody may have")
    narrowing = conditional_access.narrowing_conditions(policy)
    if narrowing:
        parts.append(f"depending on {', '.join(narrowing)}")
    elif len(parts) == 1 and parts[0] == "it blocks":
        parts.append("as far as its users and resources reach, which cannot be told for sure")
    return " ".join(parts)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    return f"{shown} and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else shown
