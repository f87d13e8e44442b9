"""Refusals: why a plan is not applied, and what to name to apply it all the same. Pure values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


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
class RefusalCode:
    """What a code stands for: the line of it in the documentation."""

    code: str
    when: str
    overrule: str


LAST_ADMINISTRATOR = "last_administrator"
BREAK_GLASS_ACCOUNT = "break_glass_account"
BREAK_GLASS_POLICY = "break_glass_policy"
ADMINISTRATORS_LOCKED_OUT = "administrators_locked_out"
IDENTITY_LOCKED_OUT = "restoring_identity_locked_out"
CHANGED_SHARE = "changed_share"
SNAPSHOT_REVIEW = "snapshot_review"

CODES = (
    RefusalCode(
        LAST_ADMINISTRATOR,
        "At some moment nobody would be left who holds Global Administrator and can sign in.",
        "no way; enable or appoint somebody else first",
    ),
    RefusalCode(
        BREAK_GLASS_ACCOUNT,
        "A named break-glass account would be changed, deleted, or taken out of a group.",
        "`--overrule break_glass_account:ACCOUNT`, for that account alone",
    ),
    RefusalCode(
        BREAK_GLASS_POLICY,
        "An enabled Conditional Access policy would begin to apply to a break-glass account.",
        "`--overrule break_glass_policy:ACCOUNT`, for that account alone",
    ),
    RefusalCode(
        ADMINISTRATORS_LOCKED_OUT,
        "Conditional Access would certainly block every usable Global Administrator.",
        "`--overrule administrators_locked_out`",
    ),
    RefusalCode(
        IDENTITY_LOCKED_OUT,
        "Conditional Access would certainly block the application that restores, or the plan would "
        "disable or delete it or take its permissions.",
        "`--overrule restoring_identity_locked_out`",
    ),
    RefusalCode(
        CHANGED_SHARE,
        "More than a fifth of a kind that is selected whole, and more than 50 of its objects, "
        "would be changed or deleted; `--max-changed-share` sets another share.",
        "`--overrule changed_share`",
    ),
    RefusalCode(
        SNAPSHOT_REVIEW,
        "A rollback would delete objects or take links away that a snapshot lacks which is marked "
        "for review: it may lack them because they were not read.",
        "`--overrule snapshot_review`",
    ),
)


def open_refusals(refusals: Iterable[Refusal], overruled: frozenset[str]) -> list[Refusal]:
    """Return the refusals that nobody has overruled, or that nobody can."""
    return [
        refusal for refusal in refusals if not refusal.overrule or refusal.overrule not in overruled
    ]
