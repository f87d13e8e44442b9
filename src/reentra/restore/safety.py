"""Refusals: what a plan will not do to a tenant unless a person overrules it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reentra.directory import kinds
from reentra.directory.relationships import RELATIONSHIPS
from reentra.restore.steps import Action, Step

GLOBAL_ADMINISTRATOR = "62e90394-69f5-4237-9190-012177145e10"
_CHANGES = (Action.UPDATE, Action.DELETE, Action.ASSIGN_LICENSES)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason not to apply a plan. ``overrule`` is what to name to do it all the same.

    An empty ``overrule`` means that there is no way.
    """

    code: str
    message: str
    hint: str
    overrule: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "overrule": self.overrule,
            "numbers": dict(self.numbers),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Refusal:
        return cls(
            value["code"],
            value["message"],
            value["hint"],
            value.get("overrule", ""),
            value.get("numbers", {}),
        )


@dataclass(frozen=True, slots=True)
class Administrator:
    """Somebody who holds Global Administrator for the whole tenant, as the tenant is now."""

    id: str
    name: str
    is_enabled: bool


def share_refusals(
    steps: Sequence[Step], totals: Mapping[str, int], max_share: float | None
) -> list[Refusal]:
    """Refuse to change more than ``max_share`` of a kind's live objects."""
    if max_share is None:
        return []
    changed = Counter(
        kind for kind, _id in {(s.ref.kind, s.ref.id) for s in steps if s.action in _CHANGES}
    )
    refusals = []
    for kind, count in sorted(changed.items()):
        total = totals.get(kind, 0)
        if total and count / total > max_share:
            refusals.append(
                Refusal(
                    "changed_share",
                    f"The plan changes {count} of {total} objects of kind {kind} "
                    f"({count / total:.0%}); the limit is {max_share:.0%}.",
                    "Narrow the selection, or overrule the limit if that many are meant.",
                    "changed_share",
                    {"changed": count, "total": total, "limit": max_share},
                )
            )
    return refusals


def administrator_refusals(
    steps: Sequence[Step], administrators: Sequence[Administrator]
) -> list[Refusal]:
    """Refuse to disable, delete or strip the last Global Administrator who can sign in."""
    usable = {admin.id: admin for admin in administrators if admin.is_enabled}
    if not usable:
        return []
    lost = {
        step.live_id
        for step in steps
        if step.live_id in usable
        and (
            step.action is Action.DELETE
            or (step.action is Action.UPDATE and step.body.get("accountEnabled") is False)
        )
    }
    if len(lost) < len(usable):
        return []
    names = ", ".join(sorted(usable[one].name for one in lost))
    return [
        Refusal(
            "last_administrator",
            f"The plan disables the last usable Global Administrator ({names}).",
            "Enable or appoint another Global Administrator first, or leave the user out.",
            "",
            {"usable": len(usable), "lost": len(lost)},
        )
    ]


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
        if step.action is Action.UNDELETE:
            return ("User.DeleteRestore.All",)
        if step.action is Action.INVITE:
            return ("User.Invite.All",)
        return ("User.ReadWrite.All",)
    needed = kinds.KINDS[step.ref.kind].write_permissions
    if step.body.get("isAssignableToRole") is True:
        needed = (*needed, "RoleManagement.ReadWrite.Directory")
    return needed


def open_refusals(refusals: Iterable[Refusal], overruled: frozenset[str]) -> list[Refusal]:
    """Return the refusals that nobody has overruled, or that nobody can."""
    return [
        refusal for refusal in refusals if not refusal.overrule or refusal.overrule not in overruled
    ]
