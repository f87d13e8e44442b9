"""Which snapshots a policy keeps, and why. Pure: it looks at names and moments, forgets nothing.

Every rule takes the newest snapshot of each of its periods, newest periods first. One that is not
complete is taken only where its period has no complete one. What no rule takes may be forgotten.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from reentra import errors

MOST = 10_000


class Rule(StrEnum):
    """What a snapshot can be kept by. ``EVERY`` stands for no rule; ``NEWEST`` always holds."""

    EVERY = "every"
    NEWEST = "newest"
    LAST = "last"
    WITHIN = "within"
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"


# The period that a moment belongs to, in the tenant's time. An hour that the clocks repeat is two.
_PERIODS: Mapping[Rule, Callable[[dt.datetime], str]] = {
    Rule.HOURLY: lambda at: at.strftime("%Y-%m-%d %H:00 %z"),
    Rule.DAILY: lambda at: at.strftime("%Y-%m-%d"),
    Rule.WEEKLY: lambda at: "{}-W{:02}".format(*at.isocalendar()),
    Rule.MONTHLY: lambda at: at.strftime("%Y-%m"),
    Rule.YEARLY: lambda at: at.strftime("%Y"),
}


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How many of each period are kept; 0 says nothing. ``zone`` is where days begin.

    ``within_days`` keeps everything of the last so many days, ``captures_within_days`` captures;
    where that is 0, every capture is kept.
    Raises (when made): ``UsageError``.
    """

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within_days: int = 0
    captures_within_days: int = 0
    zone: str = "UTC"

    def __post_init__(self) -> None:
        for name, value in self.numbers().items():
            if not isinstance(value, int) or not 0 <= value <= MOST:
                raise errors.UsageError(
                    f"{name} cannot be {value!r}.", hint=f"Give a number from 0 to {MOST}."
                )
        try:
            zoneinfo.ZoneInfo(self.zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise errors.UsageError(
                f"There is no time zone {self.zone!r}.", hint="Write it as Europe/Berlin, or UTC."
            ) from None

    def numbers(self) -> dict[str, int]:
        """Return all but the zone."""
        return {
            "last": self.last,
            "hourly": self.hourly,
            "daily": self.daily,
            "weekly": self.weekly,
            "monthly": self.monthly,
            "yearly": self.yearly,
            "within_days": self.within_days,
            "captures_within_days": self.captures_within_days,
        }

    @property
    def is_empty(self) -> bool:
        """Tell whether it forgets nothing at all."""
        return not any(self.numbers().values())

    @property
    def keeps_all_snapshots(self) -> bool:
        """Tell whether no rule is about snapshots; then none is forgotten."""
        return not any(value for name, value in self.numbers().items() if "captures" not in name)

    def described(self) -> str:
        """Return the rules in words."""
        if self.is_empty:
            return "everything"
        words = {
            "last": "the last {}", "hourly": "{} hourly", "daily": "{} daily",
            "weekly": "{} weekly", "monthly": "{} monthly", "yearly": "{} yearly",
            "within_days": "all of {} days", "captures_within_days": "captures of {} days",
        }  # fmt: skip
        told = [words[name].format(value) for name, value in self.numbers().items() if value]
        return f"{', '.join(told)} ({self.zone})"

    def is_looser_than(self, other: RetentionPolicy) -> bool:
        """Tell whether it may forget something that ``other`` keeps."""
        if self.is_empty:
            return False
        mine, its = self.numbers(), other.numbers()
        mine_captures, its_captures = (one.pop("captures_within_days") for one in (mine, its))
        is_captures_looser = mine_captures > 0 and (
            its_captures == 0 or mine_captures < its_captures
        )
        if self.keeps_all_snapshots:
            return is_captures_looser
        is_fewer = any(mine[name] < its[name] for name in mine)
        return (
            is_captures_looser or other.keeps_all_snapshots or is_fewer or self.zone != other.zone
        )

    def to_json(self) -> dict[str, Any]:
        return {**self.numbers(), "zone": self.zone}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RetentionPolicy:
        return cls(**{name: value[name] for name in (*cls().numbers(), "zone") if name in value})


@dataclass(frozen=True, slots=True)
class Dated:
    """A snapshot as far as retention looks at it."""

    id: str
    taken_at: dt.datetime
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a snapshot is kept: as the ``number``-th of a rule's ``count``, for a period."""

    rule: Rule
    number: int = 0
    count: int = 0
    period: str = ""

    def __str__(self) -> str:
        match self.rule:
            case Rule.EVERY:
                return "no rule forgets any"
            case Rule.NEWEST:
                return f"newest {self.period}"
            case Rule.WITHIN:
                return f"taken within {self.count} days"
            case Rule.LAST:
                return f"last {self.number} of {self.count}"
            case _:
                return f"{self.rule} {self.number} of {self.count} ({self.period})"


_NO_RULE = Reason(Rule.EVERY)


@dataclass(frozen=True, slots=True)
class Kept:
    """A snapshot that stays. There is always a reason."""

    id: str
    reasons: tuple[Reason, ...]

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "reasons": [str(reason) for reason in self.reasons]}


@dataclass(frozen=True, slots=True)
class Retention:
    """What a policy makes of a tenant's snapshots: both newest first, together all of them."""

    kept: tuple[Kept, ...]
    forgotten: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"kept": [one.to_json() for one in self.kept], "forgotten": list(self.forgotten)}


def retained(policy: RetentionPolicy, snapshots: Iterable[Dated], now: dt.datetime) -> Retention:
    """Return which snapshots stay and why. A policy without a rule for them keeps all.

    The newest one and the newest complete one always stay. Asked again about what it kept, at the
    same moment, it keeps all of that.
    """
    newest_first = sorted(snapshots, key=lambda one: (one.taken_at, one.id), reverse=True)
    if policy.keeps_all_snapshots:
        return Retention(tuple(Kept(one.id, (_NO_RULE,)) for one in newest_first), ())
    reasons: dict[str, list[Reason]] = {}
    for one, reason in (
        *_newest(newest_first),
        *_last(policy.last, newest_first),
        *_within(policy.within_days, newest_first, now),
        *(
            found
            for rule, period in _PERIODS.items()
            for found in _periodic(rule, policy, period, newest_first)
        ),
    ):
        reasons.setdefault(one.id, []).append(reason)
    return Retention(
        tuple(Kept(one.id, tuple(reasons[one.id])) for one in newest_first if one.id in reasons),
        tuple(one.id for one in newest_first if one.id not in reasons),
    )


def retained_captures(
    policy: RetentionPolicy, captures: Iterable[Dated], now: dt.datetime
) -> Retention:
    """Return which captures stay: those of the policy's last days, or all without such a rule.

    The newest one, from which the latest restore is undone, always stays.
    """
    newest_first = sorted(captures, key=lambda one: (one.taken_at, one.id), reverse=True)
    days = policy.captures_within_days
    if not days:
        return Retention(tuple(Kept(one.id, (_NO_RULE,)) for one in newest_first), ())
    reasons = {one.id: [reason] for one, reason in _within(days, newest_first, now)}
    for one in newest_first[:1]:
        reasons.setdefault(one.id, []).insert(0, Reason(Rule.NEWEST, period="capture"))
    return Retention(
        tuple(Kept(one.id, tuple(reasons[one.id])) for one in newest_first if one.id in reasons),
        tuple(one.id for one in newest_first if one.id not in reasons),
    )


def _newest(newest_first: Sequence[Dated]) -> list[tuple[Dated, Reason]]:
    found = [(one, Reason(Rule.NEWEST, period="snapshot")) for one in newest_first[:1]]
    complete = [one for one in newest_first if one.is_complete][:1]
    return found + [(one, Reason(Rule.NEWEST, period="complete snapshot")) for one in complete]


def _last(count: int, newest_first: Sequence[Dated]) -> list[tuple[Dated, Reason]]:
    complete_first = sorted(newest_first, key=lambda one: not one.is_complete)  # is stable
    return [
        (one, Reason(Rule.LAST, number, count))
        for number, one in enumerate(complete_first[:count], 1)
    ]


def _within(
    days: int, newest_first: Sequence[Dated], now: dt.datetime
) -> list[tuple[Dated, Reason]]:
    if not days:
        return []
    since = now - dt.timedelta(days=days)
    return [(one, Reason(Rule.WITHIN, 0, days)) for one in newest_first if one.taken_at >= since]


def _periodic(
    rule: Rule,
    policy: RetentionPolicy,
    period_of: Callable[[dt.datetime], str],
    newest_first: Sequence[Dated],
) -> list[tuple[Dated, Reason]]:
    count = policy.numbers()[rule.value]
    if not count:
        return []
    zone = zoneinfo.ZoneInfo(policy.zone)
    chosen: dict[str, Dated] = {}
    for one in newest_first:
        known = chosen.setdefault(period_of(one.taken_at.astimezone(zone)), one)
        if one.is_complete and not known.is_complete:
            chosen[period_of(one.taken_at.astimezone(zone))] = one
    return [
        (one, Reason(rule, number, count, period))
        for number, (period, one) in enumerate(list(chosen.items())[:count], 1)
    ]
