"""Safety: what stands between a finished plan and harm, in one call.

What decides lies in ``administrators``, ``conditional_access``, ``lockout`` and ``break_glass``;
here they are asked, each only when a step of the plan can do that harm, and what could not be
looked at is said. Reads through ``TenantState`` only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from reentra import errors
from reentra.directory import kinds
from reentra.directory.relationships import RELATIONSHIPS
from reentra.restore import administrators, break_glass, lockout, order, own_application
from reentra.restore.administrators import Administration, Person
from reentra.restore.draft import Draft
from reentra.restore.lockout import Policies
from reentra.restore.refusals import CHANGED_SHARE, Refusal
from reentra.restore.steps import Action, Step

DEFAULT_CHANGED_SHARE = 0.2
ALWAYS_ALLOWED_CHANGES = 50  # of a kind, where no share was chosen: small tenants have big shares
_CHANGES = (Action.UPDATE, Action.DELETE, Action.ASSIGN_LICENSES)
_BRINGS_BACK = (Action.UNDELETE, Action.CREATE, Action.INVITE)
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Safeguards:
    """What a plan must not harm beside what every tenant has.

    ``break_glass`` are users, each named by id or userPrincipalName. ``client_id`` is the
    application that restores; empty when nobody knows (a managed identity).
    """

    break_glass: tuple[str, ...] = ()
    client_id: str = ""


NO_SAFEGUARDS = Safeguards()


def judged(
    draft: Draft, steps: Sequence[Step], safeguards: Safeguards = NO_SAFEGUARDS
) -> tuple[list[Step], list[Refusal]]:
    """Return the steps in their order, some made to wait for others, and the refusals.

    What may go wrong without being certain becomes a warning of the draft, and so does what could
    not be looked at.
    """
    result = list(steps)
    refusals = share_refusals(result, draft.totals, draft.options.max_changed_share)
    takes_away = any(administrators.may_take_away(step) for step in result)
    policies = _policies(draft, result)
    administration = None
    if takes_away or (policies is not None and policies.dangerous()):
        administration = _looked_at(
            draft,
            lambda: administrators.load_administration(draft.live),
            "Whether Global Administrators could still administer the tenant",
            "unifiedRoleAssignment",
        )
    if administration is not None and takes_away:
        found, waits = administrators.last_administrator(administration, draft, result)
        refusals += found
        if not administrators.usable_now(administration):
            draft.warnings.append(
                "No usable Global Administrator was found in the tenant, so whether the plan takes "
                "the last one away cannot be told."
            )
        if waits:
            result = order.ordered(administrators.waiting(result, waits))
    if safeguards.break_glass and result:
        refusals += _break_glass_refusals(draft, result, safeguards.break_glass, policies)
    refusals += _own_refusals(draft, result, safeguards.client_id)
    if policies is not None:
        refusals += _lockout_refusals(draft, result, policies, administration, safeguards)
    return result, refusals


def _own_refusals(draft: Draft, steps: Sequence[Step], client_id: str) -> list[Refusal]:
    found = _looked_at(
        draft,
        lambda: own_application.application_refusals(draft, steps, client_id),
        "Whether the plan harms the application that restores",
        "servicePrincipal",
    )
    return found or []


def _policies(draft: Draft, steps: Sequence[Step]) -> Policies | None:
    if not any(lockout.may_lock_out(step) for step in steps):
        return None
    return _looked_at(
        draft,
        lambda: lockout.load_policies(draft, steps),
        "Whether Conditional Access would lock anybody out",
        "conditionalAccessPolicy",
    )


def _lockout_refusals(
    draft: Draft,
    steps: Sequence[Step],
    policies: Policies,
    administration: Administration | None,
    safeguards: Safeguards,
) -> list[Refusal]:
    found = _looked_at(
        draft,
        lambda: lockout.lockout(draft, steps, policies, administration, safeguards.client_id),
        "Whether Conditional Access would lock administrators out",
        "unifiedRoleAssignment",
    )
    if found is None:
        return []
    refusals, warnings = found
    draft.warnings += warnings
    return refusals


def _break_glass_refusals(
    draft: Draft, steps: Sequence[Step], named: Sequence[str], policies: Policies | None
) -> list[Refusal]:
    loaded = _looked_at(
        draft,
        lambda: break_glass.load_accounts(draft, named),
        "Whether the break-glass accounts are harmed",
        "user",
    )
    if loaded is None:
        return []
    accounts, warnings = loaded
    draft.warnings += warnings
    if not accounts:
        return []
    now = list(policies.now.values()) if policies is not None else []
    refusals = _looked_at(
        draft,
        lambda: break_glass.account_refusals(draft, steps, accounts, now),
        "Whether the break-glass accounts lose a role or a group",
        "unifiedRoleAssignment",
    )
    return [*(refusals or []), *_break_glass_policies(draft, steps, policies, accounts)]


def _break_glass_policies(
    draft: Draft,
    steps: Sequence[Step],
    policies: Policies | None,
    accounts: Mapping[str, Person],
) -> list[Refusal]:
    if policies is None:
        return []
    found = _looked_at(
        draft,
        lambda: lockout.break_glass_policies(draft, steps, policies, accounts),
        "Whether Conditional Access would begin to apply to the break-glass accounts",
        "unifiedRoleAssignment",
    )
    if found is None:
        return []
    refusals, warnings = found
    draft.warnings += warnings
    return refusals


def _looked_at(draft: Draft, look: Callable[[], _Found], question: str, kind: str) -> _Found | None:
    """Return what ``look`` finds; what the tenant does not let be read is said, and is ``None``."""
    try:
        return look()
    except (errors.Forbidden, errors.InvalidRequest, errors.GraphNotFound) as error:
        row = kinds.KINDS[kind]
        lacking = row.read_permissions
        if draft.granted is not None:
            lacking = kinds.missing_permissions(lacking, draft.granted) or lacking
        draft.warnings.append(
            f"{question} was not simulated: {row.title.lower()} cannot be read (permission "
            f"{', '.join(lacking)}): {error.message}"
        )
        return None


def share_refusals(
    steps: Sequence[Step], totals: Mapping[str, int], max_share: float | None
) -> list[Refusal]:
    """Refuse to change or delete more than ``max_share`` of a kind's live objects.

    Without a choice a fifth of a kind may change, and fifty objects of it in any case. What the
    plan brings back was not there and does not count; a kind of which only single objects are
    selected has no share.
    """
    limit = DEFAULT_CHANGED_SHARE if max_share is None else max_share
    free = ALWAYS_ALLOWED_CHANGES if max_share is None else 0
    back = {step.ref for step in steps if step.action in _BRINGS_BACK}
    changed = Counter(ref.kind for ref in {s.ref for s in steps if s.action in _CHANGES} - back)
    refusals = []
    for kind, count in sorted(changed.items()):
        total = totals.get(kind, 0)
        if total and count > free and count / total > limit:
            refusals.append(
                Refusal(
                    CHANGED_SHARE,
                    f"The plan changes {count:,} of {total:,} objects of kind {kind} "
                    f"({count / total:.0%}); the limit is {limit:.0%}.",
                    "Look at a few of them, then narrow the selection, or overrule the limit if "
                    "that many are meant.",
                    CHANGED_SHARE,
                    {"changed": count, "total": total, "limit": limit},
                )
            )
    return refusals


def missing_for(step: Step, granted: frozenset[str]) -> tuple[str, ...]:
    """Return the permissions to write that a step needs and that are not granted.

    What is needed beside them to read was settled when the plan could be made at all.
    """
    if (
        step.action is Action.ASSIGN_LICENSES
        and step.ref.kind == "group"
        and kinds.is_granted("Group.ReadWrite.All", granted)
    ):
        return ()  # enough for a group's licences, and not for a user's
    missing = kinds.missing_permissions(needed_permissions(step), granted)
    return tuple(name for name in missing if ".Read." not in name)


def needed_permissions(step: Step) -> tuple[str, ...]:
    """Return the application permissions that a step needs.

    Source: the permission table of each operation below learn.microsoft.com/graph/api.
    """
    if step.relationship:
        return RELATIONSHIPS[step.relationship].write_permissions
    if step.action is Action.ASSIGN_LICENSES:
        return ("LicenseAssignment.ReadWrite.All",)
    if step.ref.kind == "user":
        if step.action in (Action.UNDELETE, Action.DELETE):
            return ("User.DeleteRestore.All",)
        if step.action is Action.INVITE:
            return ("User.Invite.All",)
        return ("User.ReadWrite.All",)
    needed = kinds.KINDS[step.ref.kind].write_permissions
    if step.body.get("isAssignableToRole") is True:
        needed = (*needed, "RoleManagement.ReadWrite.Directory")
    return needed
