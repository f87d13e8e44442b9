"""The damage matrix: what is done to a store, and what ``check`` says of it."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from reentra import errors, progress
from reentra import repository as repositories
from reentra.repository import Severity, check_repository

from .conftest import TENANT, Place, make_place, object_rows

NOON = dt.datetime(2026, 11, 23, 12, 0, 0, tzinfo=dt.UTC)


@dataclass
class Filled:
    place: Place
    first: repositories.Manifest
    second: repositories.Manifest
    other: repositories.Manifest

    def manifest(self, snapshot: repositories.Manifest) -> Path:
        return next(p for p in self.place.files("manifests") if p.name == snapshot.id)

    def segment(self, snapshot: repositories.Manifest) -> Path:
        return self.place.root / snapshot.segments[0].path

    def check(self, **options: object) -> repositories.CheckReport:
        return check_repository(self.place.repository, **options)  # type: ignore[arg-type]


@pytest.fixture
def filled(place: Place) -> Filled:
    first = place.write([object_rows(0, 500)])
    second = place.write([object_rows(500, 20)], parent=first, at=NOON + dt.timedelta(hours=1))
    other = place.write([object_rows(0, 7)], tenant_id="other")
    place.repository.put_document("plans", "one", {"a": 1})
    return Filled(place, first, second, other)


def test_a_whole_repository_has_no_problems_and_everything_was_looked_at(filled: Filled) -> None:
    events: list[progress.Event] = []
    report = filled.check(
        listener=events.append, expected_heads={TENANT: filled.second.id, "other": filled.other.id}
    )
    assert report.problems == ()
    assert report.is_whole
    assert (report.tenants, report.snapshots, report.segments) == (2, 3, 3)
    assert (report.documents, report.slots, report.rows) == (1, 2, 527)
    stored = sum(path.stat().st_size for path in filled.place.files())
    assert report.bytes_stored == stored
    read = sum(path.stat().st_size for path in filled.place.files("segments"))
    assert report.bytes_read == read
    assert isinstance(events[0], progress.Started)
    assert isinstance(events[-1], progress.Finished)
    assert events[-1].done == read


def flip(path: Path, position: int = -20) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(bytes(data))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


DAMAGE: dict[str, tuple[Callable[[Filled], Path], Callable[[Path], None], str]] = {
    "a flipped bit in the first segment": (lambda f: f.segment(f.first), flip, "both"),
    "a flipped bit of its magic": (lambda f: f.segment(f.first), lambda p: flip(p, 0), "both"),
    "a cut first segment": (lambda f: f.segment(f.first), cut, "both"),
    "a missing first segment": (lambda f: f.segment(f.first), Path.unlink, "both"),
    "a flipped bit in the second segment": (lambda f: f.segment(f.second), flip, "second"),
    "a missing second segment": (lambda f: f.segment(f.second), Path.unlink, "second"),
    "a flipped bit in the second manifest": (lambda f: f.manifest(f.second), flip, "second"),
    "a cut second manifest": (lambda f: f.manifest(f.second), cut, "second"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_with_the_snapshots_it_touches(filled: Filled, name: str) -> None:
    locate, harm, touched = DAMAGE[name]
    path = locate(filled)
    harm(path)
    report = filled.check()
    assert not report.is_whole
    (problem,) = [one for one in report.problems if one.severity is Severity.DAMAGE]
    assert problem.path == path.relative_to(filled.place.root).as_posix()
    expected = {"both": {filled.first.id, filled.second.id}, "second": {filled.second.id}}
    assert set(problem.snapshots) == expected[touched]


def test_a_damaged_or_missing_parent_is_told_of_its_child_too(filled: Filled) -> None:
    flip(filled.manifest(filled.first))
    report = filled.check()
    (problem,) = [one for one in report.problems if one.severity is Severity.DAMAGE]
    assert problem.path.endswith(filled.first.id)
    assert set(problem.snapshots) == {filled.first.id, filled.second.id}
    (orphan,) = [one for one in report.problems if one.severity is Severity.INFORMATION]
    assert orphan.path == filled.first.segments[0].path
    assert "damaged manifest may" in orphan.what  # it is no garbage, for all that anybody knows
    filled.manifest(filled.first).unlink()
    damage = [one for one in filled.check().problems if one.severity is Severity.DAMAGE]
    assert [one.snapshots for one in damage] == [(filled.second.id,)]
    assert filled.first.id in damage[0].what


def test_all_problems_are_reported_and_not_only_the_first(filled: Filled) -> None:
    flip(filled.segment(filled.first))
    filled.segment(filled.second).unlink()
    flip(filled.manifest(filled.other))
    flip(filled.place.files("documents")[0])
    flip(filled.place.files("keys")[0])
    flip(filled.place.root / "config")
    damaged = {
        problem.path.partition("/")[0]
        for problem in filled.check().problems
        if problem.severity is Severity.DAMAGE
    }
    assert damaged == {"segments", "manifests", "documents", "keys", "config"}
    assert sum(one.path.startswith("segments/") for one in filled.check().problems) == 3


def test_without_reading_data_sizes_are_verified_and_bits_are_not(filled: Filled) -> None:
    flip(filled.segment(filled.first))
    report = filled.check(read_data=False)
    assert report.is_whole
    assert report.bytes_read == 0
    cut(filled.segment(filled.first))
    assert not filled.check(read_data=False).is_whole


def test_swapped_segments_are_damage(filled: Filled, tmp_path: Path) -> None:
    one, two = filled.segment(filled.second), filled.segment(filled.other)
    shutil.copy(one, tmp_path / "kept")
    shutil.copy(two, one)
    shutil.copy(tmp_path / "kept", two)
    damaged = {problem.path for problem in filled.check().problems}
    assert damaged == {path.relative_to(filled.place.root).as_posix() for path in (one, two)}


def test_a_store_that_was_rolled_back_is_found_by_whoever_remembers(
    filled: Filled,
) -> None:
    filled.manifest(filled.second).unlink()
    alone = filled.check()
    assert alone.is_whole  # the limit that the threat model tells
    remembered = filled.check(expected_heads={TENANT: filled.second.id})
    (problem,) = [one for one in remembered.problems if one.severity is Severity.DAMAGE]
    assert problem.snapshots == (filled.second.id,)
    assert "rolled back" in problem.what


def test_garbage_is_information_and_what_is_foreign_is_a_warning(
    filled: Filled, tmp_path: Path
) -> None:
    root = filled.place.root
    (root / "segments" / "ff").mkdir(exist_ok=True)
    (root / "segments" / "ff" / ("f" * 32 + ".parquet")).write_bytes(b"left over")
    (root / "notes.txt").write_bytes(b"mine")
    (root / "documents" / "plans" / "abc").write_bytes(b"foreign")
    (root / "manifests" / "abc").mkdir()
    (root / "manifests" / "abc" / "20261123T142746Z-1a2b3c4d").write_bytes(b"foreign")
    other = make_place(tmp_path / "other")
    shutil.copy(other.files("keys")[0], root / "keys")
    report = filled.check()
    assert report.is_whole
    told = {problem.path.partition("/")[0]: problem.severity for problem in report.problems}
    assert told == {
        "segments": Severity.INFORMATION,
        "notes.txt": Severity.WARNING,
        "documents": Severity.WARNING,
        "manifests": Severity.WARNING,
        "keys": Severity.WARNING,
    }
    filled.place.reopen()


def test_an_exclusive_lock_keeps_check_away(filled: Filled) -> None:
    with (
        filled.place.reopen().lock_exclusive("prune"),
        pytest.raises(errors.RepositoryLocked, match="prune"),
    ):
        filled.check()


def test_a_report_is_json(filled: Filled) -> None:
    flip(filled.segment(filled.first))
    value = filled.check().to_json()
    assert value["whole"] is False
    assert value["problems"] == [problem.to_json() for problem in filled.check().problems]
