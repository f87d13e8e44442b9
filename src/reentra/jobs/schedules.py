"""Schedules: when a tenant's backup is due, in the tenant's own time zone.

A rule is ``off``, ``every 30m`` (or ``h``), ``daily 02:30``, or ``cron 0 */4 * * 1-5``. However
many runs were missed, they are caught up by one.
"""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from cronsim import CronSim, CronSimError

from reentra import clock as clocks
from reentra import errors
from reentra.database import Database
from reentra.database.tables_access import SCHEDULE

OFF = "off"
_EVERY = re.compile(r"every ([1-9][0-9]{0,3})(m|h)")
_DAILY = re.compile(r"daily ([01][0-9]|2[0-3]):([0-5][0-9])")
_CRON = re.compile(r"cron ([0-9A-Za-z*/,\- #]{9,100})")
_SHORTEST_MINUTES = 5
_HINT = "Write off, every 30m, every 6h, daily 02:30, or cron 0 */4 * * *."


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a tenant's backup is due. ``after``: the next run is the first one after this moment.

    Raises (when made): ``UsageError``.
    """

    tenant: str
    rule: str
    zone: str
    after: dt.datetime

    def __post_init__(self) -> None:
        try:
            zoneinfo.ZoneInfo(self.zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise errors.UsageError(
                f"There is no time zone {self.zone!r}.", hint="Write it as Europe/Berlin, or UTC."
            ) from None
        self.next_at()

    def next_at(self) -> dt.datetime | None:
        """Return when the next run is due, in UTC; ``None`` when it never is."""
        if self.rule == OFF:
            return None
        if found := _EVERY.fullmatch(self.rule):
            minutes = int(found[1]) * (60 if found[2] == "h" else 1)
            if minutes < _SHORTEST_MINUTES:
                raise errors.UsageError(
                    f"A backup cannot run every {minutes} minutes.",
                    hint=f"{_SHORTEST_MINUTES} minutes is the least.",
                )
            return self.after + dt.timedelta(minutes=minutes)
        if found := _DAILY.fullmatch(self.rule):
            expression = f"{int(found[2])} {int(found[1])} * * *"
        elif found := _CRON.fullmatch(self.rule):
            expression = found[1]
        else:
            raise errors.UsageError(f"{self.rule!r} is no schedule.", hint=_HINT)
        local = self.after.astimezone(zoneinfo.ZoneInfo(self.zone))
        try:
            return next(CronSim(expression, local)).astimezone(dt.UTC)
        except (CronSimError, StopIteration):
            raise errors.UsageError(
                f"{expression!r} is no cron expression that is ever due.", hint=_HINT
            ) from None

    def is_due(self, now: dt.datetime) -> bool:
        due_at = self.next_at()
        return due_at is not None and due_at <= now

    def to_json(self) -> dict[str, Any]:
        due_at = self.next_at()
        return {
            "tenant": self.tenant,
            "rule": self.rule,
            "zone": self.zone,
            "next_at": None if due_at is None else clocks.iso(due_at),
        }


class Schedules:
    """Reads and changes schedules; hands out each due run once."""

    __slots__ = ("_clock", "_database")

    def __init__(self, database: Database, clock: clocks.Clock = clocks.SYSTEM) -> None:
        self._database = database
        self._clock = clock

    def load(self, tenant: str) -> Schedule:
        """Return a tenant's schedule; one that is off where nobody set it."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(SCHEDULE).where(SCHEDULE.c.tenant == tenant)).first()
        return Schedule(tenant, OFF, "UTC", self._clock.now()) if row is None else _schedule(row)

    def save(self, tenant: str, rule: str, zone: str) -> Schedule:
        """Set a tenant's schedule, counted from now.

        Raises: ``UsageError``.
        """
        made = Schedule(tenant, " ".join(rule.split()), zone, self._clock.now())
        with self._database.writing() as connection:
            connection.execute(sa.delete(SCHEDULE).where(SCHEDULE.c.tenant == tenant))
            row = {
                "tenant": tenant,
                "rule": made.rule,
                "zone": zone,
                "after": clocks.iso(made.after),
            }
            connection.execute(sa.insert(SCHEDULE), row)
        return made

    def take_due(self) -> list[str]:
        """Return the tenants whose backup is due now. However many ask, each run is given once.

        What was missed meanwhile is one run: the next one is counted from now.
        """
        now = self._clock.now()
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(SCHEDULE).where(SCHEDULE.c.rule != OFF)).all()
        taken = []
        for row in rows:
            if not _schedule(row).is_due(now):
                continue
            with self._database.writing() as connection:
                changed = connection.execute(
                    sa.update(SCHEDULE)
                    .where(SCHEDULE.c.tenant == row.tenant, SCHEDULE.c.after == row.after)
                    .values(after=clocks.iso(now))
                )
            if changed.rowcount:
                taken.append(row.tenant)
        return taken

    def remove(self, tenant: str) -> None:
        """Forget a tenant's schedule; harmless when there is none."""
        with self._database.writing() as connection:
            connection.execute(sa.delete(SCHEDULE).where(SCHEDULE.c.tenant == tenant))


def _schedule(row: Any) -> Schedule:
    return Schedule(row.tenant, row.rule, row.zone, clocks.parse_iso(row.after))
