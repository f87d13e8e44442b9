"""A policy keeps what its rules name, says why, and never the less complete of two."""

from __future__ import annotations

import dataclasses
import datetime as dt
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reentra import errors
from reentra.repository import Dated, RetentionPolicy, retained, retained_captures
from reentra.repository.retention import _PERIODS

NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
ZONES = ("UTC", "Europe/Berlin", "Pacific/Auckland", "America/St_Johns")

POLICIES = st.builds(
    RetentionPolicy,
    **dict.fromkeys(("last", "hourly", "daily", "weekly", "monthly", "yearly"), st.integers(0, 4)),
    within_days=st.integers(0, 30),
    captures_within_days=st.integers(0, 30),
    zone=st.sampled_from(ZONES),
)
MINUTES = st.integers(0, 60 * 24 * 900)


@st.composite
def snapshots(draw: st.DrawFn) -> list[Dated]:
    ages = draw(st.lists(st.tuples(MINUTES, st.booleans()), max_size=40))
    return [
        Dated(f"s{number}", NOW - dt.timedelta(minutes=age), is_complete)
        for number, (age, is_complete) in enumerate(ages)
    ]


def days(*ages: int, partial: tuple[int, ...] = ()) -> list[Dated]:
    return [Dated(f"d{age}", NOW - dt.timedelta(days=age), age not in partial) for age in ages]


@given(POLICIES, snapshots())
def test_every_snapshot_is_kept_for_a_reason_or_forgotten(
    policy: RetentionPolicy, found: list[Dated]
) -> None:
    result = retained(policy, found, NOW)
    kept = [one.id for one in result.kept]
    assert sorted([*kept, *result.forgotten]) == sorted(one.id for one in found)
    assert all(one.reasons and all(map(str, one.reasons)) for one in result.kept)


@given(POLICIES, snapshots())
def test_the_newest_and_the_newest_complete_one_are_never_forgotten(
    policy: RetentionPolicy, found: list[Dated]
) -> None:
    forgotten = set(retained(policy, found, NOW).forgotten)
    for pool in (found, [one for one in found if one.is_complete]):
        if pool:
            newest = max(pool, key=lambda one: (one.taken_at, one.id))
            assert newest.id not in forgotten


@given(POLICIES, snapshots())
def test_no_rule_loses_the_only_snapshot_of_a_period(
    policy: RetentionPolicy, found: list[Dated]
) -> None:
    kept = {one.id for one in retained(policy, found, NOW).kept}
    zone = zoneinfo.ZoneInfo(policy.zone)
    for rule, period_of in _PERIODS.items():
        periods: dict[str, list[Dated]] = {}
        for one in sorted(found, key=lambda one: one.taken_at, reverse=True):
            periods.setdefault(period_of(one.taken_at.astimezone(zone)), []).append(one)
        for group in list(periods.values())[: policy.numbers()[rule.value]]:
            complete = [one for one in group if one.is_complete]
            assert kept & {one.id for one in complete or group}


@given(POLICIES, snapshots())
def test_asked_again_about_what_it_kept_it_keeps_all_of_that(
    policy: RetentionPolicy, found: list[Dated]
) -> None:
    kept = {one.id for one in retained(policy, found, NOW).kept}
    again = retained(policy, [one for one in found if one.id in kept], NOW)
    assert again.forgotten == ()


@given(POLICIES, POLICIES, snapshots())
def test_a_policy_that_is_not_looser_forgets_nothing_more(
    policy: RetentionPolicy, other: RetentionPolicy, found: list[Dated]
) -> None:
    if not policy.is_looser_than(other):
        for ask in (retained, retained_captures):
            assert set(ask(policy, found, NOW).forgotten) <= set(ask(other, found, NOW).forgotten)


@given(snapshots())
def test_an_empty_policy_forgets_nothing(found: list[Dated]) -> None:
    assert retained(RetentionPolicy(), found, NOW).forgotten == ()
    assert retained_captures(RetentionPolicy(), found, NOW).forgotten == ()
    captures_alone = RetentionPolicy(captures_within_days=1)
    assert retained(captures_alone, found, NOW).forgotten == ()


def test_the_reasons_name_rule_number_and_period() -> None:
    policy = RetentionPolicy(last=1, daily=2, monthly=2)
    result = retained(policy, days(0, 1, 2, 40), NOW)
    assert {one.id: [str(reason) for reason in one.reasons] for one in result.kept} == {
        "d0": ["newest snapshot", "newest complete snapshot", "last 1 of 1",
               "daily 1 of 2 (2026-11-24)", "monthly 1 of 2 (2026-11)"],
        "d1": ["daily 2 of 2 (2026-11-23)"],
        "d40": ["monthly 2 of 2 (2026-10)"],
    }  # fmt: skip
    assert result.forgotten == ("d2",)


def test_a_day_is_the_tenants_day() -> None:
    early = dt.datetime(2026, 11, 23, 23, 30, tzinfo=dt.UTC)  # the 24th in Berlin
    found = [Dated("a", early, True), Dated("b", NOW, True)]
    assert retained(RetentionPolicy(daily=5), found, NOW).forgotten == ()
    berlin = RetentionPolicy(daily=5, zone="Europe/Berlin")
    assert retained(berlin, found, NOW).forgotten == ("a",)


def test_an_hour_that_the_clocks_repeat_is_two() -> None:
    first = dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.UTC)  # 02:30 in Berlin, and again an hour on
    found = [Dated("a", first, True), Dated("b", first + dt.timedelta(hours=1), True)]
    policy = RetentionPolicy(hourly=2, zone="Europe/Berlin")
    assert retained(policy, found, NOW).forgotten == ()


def test_an_incomplete_snapshot_counts_only_where_there_is_no_complete_one() -> None:
    noon, later = NOW - dt.timedelta(days=1, hours=3), NOW - dt.timedelta(days=1)
    found = [Dated("whole", noon, True), Dated("partial", later, False), *days(0)]
    assert retained(RetentionPolicy(daily=2), found, NOW).forgotten == ("partial",)
    alone = [Dated("partial", later, False), *days(0)]
    assert retained(RetentionPolicy(daily=2), alone, NOW).forgotten == ()


def test_captures_of_the_last_days_stay_and_the_newest_always() -> None:
    policy = RetentionPolicy(captures_within_days=3)
    result = retained_captures(policy, days(1, 2, 10, partial=(1, 2, 10)), NOW)
    assert result.forgotten == ("d10",)
    assert retained_captures(policy, days(10, 20), NOW).forgotten == ("d20",)


@pytest.mark.parametrize("change", [{"last": -1}, {"daily": 10_001}, {"zone": "Mars/Olympus"}])
def test_a_policy_without_sense_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(errors.UsageError):
        dataclasses.replace(RetentionPolicy(), **change)  # type: ignore[arg-type]
