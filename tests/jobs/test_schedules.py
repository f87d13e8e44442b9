"""Schedules: due in the tenant's zone, handed out once, caught up once."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reentra import errors
from reentra.database import Part, database_url, open_database
from reentra.jobs.schedules import Schedule, Schedules

NOON = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)  # a Monday


class HandClock:
    moment = NOON

    def now(self) -> dt.datetime:
        return self.moment

    def monotonic_seconds(self) -> float:
        return self.moment.timestamp()

    def sleep(self, seconds: float) -> None:
        self.moment += dt.timedelta(seconds=seconds)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def schedules(tmp_path: Path, clock: HandClock) -> Iterator[Schedules]:
    database = open_database(database_url("", tmp_path, Part.ACCESS), Part.ACCESS)
    yield Schedules(database, clock)
    database.dispose()


@pytest.mark.parametrize(
    ("rule", "zone", "next_at"),
    [
        ("off", "UTC", None),
        ("every 30m", "UTC", "2026-11-23T12:30:00+00:00"),
        ("every 6h", "Asia/Tokyo", "2026-11-23T18:00:00+00:00"),
        ("daily 02:30", "UTC", "2026-11-24T02:30:00+00:00"),
        ("daily 13:30", "Europe/Berlin", "2026-11-23T12:30:00+00:00"),
        ("daily 02:30", "America/New_York", "2026-11-24T07:30:00+00:00"),
        ("cron 0 */4 * * *", "UTC", "2026-11-23T16:00:00+00:00"),
        ("cron 0 9 * * 6", "UTC", "2026-11-28T09:00:00+00:00"),
    ],
)
def test_a_rule_is_due_when_it_says(rule: str, zone: str, next_at: str | None) -> None:
    due = Schedule("contoso", rule, zone, NOON).next_at()
    assert (None if due is None else due.isoformat()) == next_at


@pytest.mark.parametrize(
    ("rule", "zone"),
    [
        ("", "UTC"), ("sometimes", "UTC"), ("every 0m", "UTC"), ("every 1m", "UTC"),
        ("daily 24:00", "UTC"), ("daily 2:30", "UTC"), ("cron x y z a b", "UTC"),
        ("cron 0 0 30 2 *", "UTC"), ("off", "Europe/Atlantis"), ("off", "../../etc/passwd"),
    ],
)  # fmt: skip
def test_what_is_no_schedule_is_refused(schedules: Schedules, rule: str, zone: str) -> None:
    with pytest.raises(errors.UsageError):
        schedules.save("contoso", rule, zone)


def test_daily_keeps_its_local_hour_over_the_change_of_the_clocks() -> None:
    before = Schedule(
        "c", "daily 04:00", "Europe/Berlin", dt.datetime(2026, 10, 24, 12, tzinfo=dt.UTC)
    )
    due = before.next_at()
    assert due is not None
    assert due.isoformat() == "2026-10-25T03:00:00+00:00"  # 04:00 in winter time


def test_missed_runs_are_caught_up_by_one(schedules: Schedules, clock: HandClock) -> None:
    schedules.save("contoso", "every 1h", "UTC")
    assert schedules.take_due() == []
    clock.sleep(10 * 3600)
    assert schedules.take_due() == ["contoso"]
    assert schedules.take_due() == []
    clock.sleep(3600)
    assert schedules.take_due() == ["contoso"]


def test_a_due_run_is_given_to_one_of_many(schedules: Schedules, clock: HandClock) -> None:
    schedules.save("contoso", "every 1h", "UTC")
    schedules.save("fabrikam", "off", "UTC")
    clock.sleep(3600)
    given: list[str] = []
    threads = [
        threading.Thread(target=lambda: given.extend(schedules.take_due())) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert given == ["contoso"]


def test_what_nobody_set_is_off(schedules: Schedules) -> None:
    assert schedules.load("contoso").to_json() == {
        "tenant": "contoso", "rule": "off", "zone": "UTC", "next_at": None,
    }  # fmt: skip
    schedules.save("contoso", "daily  02:30", "UTC")
    assert schedules.load("contoso").rule == "daily 02:30"
    schedules.remove("contoso")
    assert schedules.load("contoso").rule == "off"
