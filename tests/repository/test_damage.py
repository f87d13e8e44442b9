"""Every sort of file, harmed in every place and way: what is told, what fails, what stays readable.

A case names the file and the harm. Afterwards everything that can be read is read: what the harm
touches must fail by naming the file, and all else must come back as it was written.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reentra import errors
from reentra import repository as repositories
from reentra.repository import Severity, check_repository

from .conftest import CHEAP, PASSPHRASE, TENANT, Place, make_place, object_rows

NOON = dt.datetime(2026, 11, 23, 12, 0, 0, tzinfo=dt.UTC)
LATER = NOON + dt.timedelta(hours=1)
OTHER = "other"


@dataclass
class Filled:
    """Two tenants, one with a chain of two snapshots; two documents; a lock that is held."""

    place: Place
    first: repositories.Manifest
    second: repositories.Manifest
    other: repositories.Manifest
    lock: repositories.Lock | None

    def file(self, name: str) -> Path:
        """Return the file that a name like ``first segment`` means."""
        which, _, sort = name.partition(" ")
        if name == "config":
            return self.place.root / "config"
        if sort == "slot":
            wanted = "passphrase" if which == "passphrase" else "recovery"
            slot = next(s for s in self.place.repository.list_slots() if s.kind.value == wanted)
            return self.place.root / slot.path
        if sort == "document":
            path = repositories.documents.document_path(
                self.place.repository.keyring, "plans", which
            )
            return self.place.root / path
        if name == "the lock":
            assert self.lock is not None
            assert self.lock.info is not None
            return self.place.root / self.lock.info.path
        manifest: repositories.Manifest = getattr(self, which)
        if sort == "manifest":
            return next(p for p in self.place.files("manifests") if p.name == manifest.id)
        return self.place.root / manifest.segments[0].path

    def readings(self) -> dict[str, Callable[[], object]]:
        """Return everything that can be read, each by a repository that is opened anew."""

        def snapshot(tenant_id: str, manifest: repositories.Manifest) -> object:
            opened = self.place.reopen()
            chain = opened.load_chain(tenant_id, manifest.id)
            return [
                (one.id, batch.to_pylist())
                for one in chain
                for segment in one.segments
                for batch in opened.scan(segment)
            ]

        return {
            "first": lambda: snapshot(TENANT, self.first),
            "second": lambda: snapshot(TENANT, self.second),
            "other": lambda: snapshot(OTHER, self.other),
            "one": lambda: self.place.reopen().load_document("plans", "one"),
            "two": lambda: self.place.reopen().load_document("plans", "two"),
            "recovery key": lambda: self.place.reopen(self.place.recovery_key).id,
        }


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    place = make_place(tmp_path_factory.mktemp("template") / "repository")
    first = place.write([object_rows(0, 200)])
    second = place.write([object_rows(200, 20)], parent=first, at=LATER)
    other = place.write([object_rows(0, 7)], tenant_id=OTHER)
    place.repository.put_document("plans", "one", {"a": 1})
    place.repository.put_document("plans", "two", {"b": 2})
    return Filled(place, first, second, other, None)


@pytest.fixture(scope="module")
def before(template: Filled) -> dict[str, object]:
    """What everything reads as before it is harmed."""
    return {what: read() for what, read in template.readings().items()}


@pytest.fixture
def filled(template: Filled, tmp_path: Path) -> Iterator[Filled]:
    root = tmp_path / "repository"
    shutil.copytree(template.place.root, root)
    storage = repositories.open_storage(str(root))
    opened = repositories.Repository.open(storage, PASSPHRASE)
    place = Place(root, storage, opened, template.place.recovery_key)
    with opened.lock_tenant(TENANT, "backup") as lock:
        yield dataclasses.replace(template, place=place, lock=lock)


# --- harms -----------------------------------------------------------------------------------

Harm = Callable[[Path], None]


def flip(position: Callable[[bytes], int], mask: int = 1) -> Harm:
    def harm(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[position(bytes(data))] ^= mask
        path.write_bytes(bytes(data))

    return harm


def cut(length: Callable[[int], int]) -> Harm:
    def harm(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: length(len(data))])

    return harm


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def footer_start(data: bytes) -> int:
    # The last eight bytes are the footer's length and the magic.
    return len(data) - 8 - int.from_bytes(data[-8:-4], "little")


ANYWHERE: dict[str, Harm] = {
    "emptied": cut(lambda _: 0),
    "cut to half": cut(lambda length: length // 2),
    "cut by a byte": cut(lambda length: length - 1),
    "a byte longer": lengthen,
}
SEALED: dict[str, Harm] = {
    "flipped in its magic": flip(lambda _: 0),
    "flipped in its format": flip(lambda _: 4),
    "flipped in its kind": flip(lambda _: 5),
    "flipped in its key generation": flip(lambda _: 7),
    "flipped in its nonce": flip(lambda _: 12),
    "flipped in its first ciphertext": flip(lambda _: 20),
    "flipped in its middle": flip(lambda data: len(data) // 2),
    "flipped in its tag": flip(lambda _: -1),
    **ANYWHERE,
}
SEGMENT: dict[str, Harm] = {
    "flipped in its leading magic": flip(lambda _: 0),
    "flipped in its first page": flip(lambda _: 8),
    "flipped in its column data": flip(lambda data: footer_start(data) // 2),
    "flipped at the end of its data": flip(lambda data: footer_start(data) - 1),
    "flipped in its crypto metadata": flip(footer_start),
    "flipped in its footer": flip(lambda data: (footer_start(data) + len(data)) // 2),
    "flipped in its footer's tag": flip(lambda _: -9),
    "flipped in its footer's length": flip(lambda _: -8),
    "flipped in its last magic": flip(lambda _: -1),
    **ANYWHERE,
}
PLAIN: dict[str, Harm] = {
    "flipped at its start": flip(lambda _: 0),
    "flipped in a name": flip(lambda data: data.index(b'"format"') + 2),
    "flipped in its format": flip(lambda data: data.index(b'"format":') + 9),
    "flipped in its repository": flip(lambda data: data.index(b'"repository":"') + 20),
    "flipped in its middle": flip(lambda data: len(data) // 2),
    "flipped at its end": flip(lambda _: -1),
    **ANYWHERE,
}
# No reader looks at these bytes.
MEANINGLESS = {"flipped in its leading magic", "a byte longer"}
# What a harm to a file keeps from being read.
TOUCHED: dict[str, tuple[dict[str, Harm], set[str]]] = {
    "first segment": (SEGMENT, {"first", "second"}),
    "second segment": (SEGMENT, {"second"}),
    "first manifest": (SEALED, {"first", "second"}),
    "second manifest": (SEALED, {"second"}),
    "one document": (SEALED, {"one"}),
    "recovery slot": (PLAIN, {"recovery key"}),
    "config": (PLAIN, {"first", "second", "other", "one", "two", "recovery key"}),
}
CASES = [(name, how) for name, (harms, _) in TOUCHED.items() for how in harms]


@pytest.mark.parametrize(("name", "how"), CASES, ids=[f"{n} {h}" for n, h in CASES])
def test_a_harmed_file_is_named_and_hurts_only_what_it_holds(
    filled: Filled, before: dict[str, object], name: str, how: str
) -> None:
    harms, touched = TOUCHED[name]
    path = filled.file(name)
    stored = path.relative_to(filled.place.root).as_posix()
    harms[how](path)
    # By the repository that is open: `check` tells of a configuration that opens no more.
    problems = check_repository(filled.place.repository).problems
    assert stored in {one.path for one in problems if one.severity is Severity.DAMAGE}, problems
    assert {one.path for one in problems if one.severity is Severity.DAMAGE} <= {stored}
    if "segment" in name or "manifest" in name:
        (problem,) = [one for one in problems if one.path == stored]
        assert set(problem.snapshots) == {getattr(filled, one).id for one in touched}, problem
    for what, read in filled.readings().items():
        if what not in touched:
            assert read() == before[what], what
            continue
        if "segment" in name and how in MEANINGLESS:
            assert read() == before[what], what  # `check` told it by size and SHA-256
            continue
        with pytest.raises(errors.RepositoryDamaged) as caught:
            assert read() == before[what]
        named = stored if name != "recovery slot" else "keys/"
        assert named in str(caught.value) or "key slot" in str(caught.value), caught.value


# --- deleted, swapped, put back --------------------------------------------------------------


def test_each_deleted_file_is_missed_as_far_as_anybody_can_know(
    filled: Filled, before: dict[str, object]
) -> None:
    heads = {TENANT: filled.second.id, OTHER: filled.other.id}
    expected: dict[str, tuple[set[str], bool, type[errors.Error]]] = {
        "first segment": ({"first", "second"}, False, errors.RepositoryDamaged),
        "second segment": ({"second"}, False, errors.RepositoryDamaged),
        "first manifest": ({"first", "second"}, False, errors.Error),
        "second manifest": ({"second"}, False, errors.NotFound),
        "config": (set(before), False, errors.NotFound),
        # A document that is gone was never written, and one slot more or less nobody counts.
        "one document": ({"one"}, True, errors.NotFound),
        "recovery slot": ({"recovery key"}, True, errors.WrongPassphrase),
    }
    for name, (touched, is_whole, error) in expected.items():
        path = filled.file(name)
        content = path.read_bytes()
        path.unlink()
        report = check_repository(filled.place.repository, expected_heads=heads)
        assert report.is_whole == is_whole, (name, report.problems)
        for what, read in filled.readings().items():
            if what in touched:
                with pytest.raises(error):
                    read()
            else:
                assert read() == before[what], (name, what)
        path.write_bytes(content)


def test_a_deleted_or_unreadable_lock_keeps_its_holder_from_committing(filled: Filled) -> None:
    assert filled.lock is not None
    path = filled.file("the lock")
    content = path.read_bytes()
    flip(lambda _: -1)(path)
    with pytest.raises((errors.RepositoryLocked, errors.RepositoryDamaged)):
        filled.lock.ensure_held()
    with (
        pytest.raises(errors.RepositoryLocked, match="cannot be read"),
        filled.place.reopen().lock_tenant(TENANT, "backup"),
    ):
        pass
    path.write_bytes(content)
    filled.lock.ensure_held()
    path.unlink()
    with pytest.raises(errors.RepositoryLocked, match="is lost"):
        filled.lock.ensure_held()


@pytest.mark.parametrize("how", SEALED)
def test_a_harmed_lock_excludes_by_name_until_it_is_old_and_hurts_no_reader(
    filled: Filled, before: dict[str, object], how: str
) -> None:
    path = filled.file("the lock")
    SEALED[how](path)
    with pytest.raises(errors.RepositoryLocked, match=f"locks/{path.name}"):
        check_repository(filled.place.repository)
    assert {what: read() for what, read in filled.readings().items()} == before
    old = path.stat().st_mtime - 11 * 60
    os.utime(path, (old, old))
    assert check_repository(filled.place.repository).problems == ()
    assert not path.exists()


@pytest.mark.parametrize(
    ("one", "another", "touched"),
    [
        ("second segment", "other segment", {"second", "other"}),
        ("first segment", "second segment", {"first", "second"}),
        ("first manifest", "second manifest", {"first", "second"}),
        ("second manifest", "other manifest", {"second", "other"}),
        ("one document", "two document", {"one", "two"}),
        ("passphrase slot", "recovery slot", None),
    ],
)
def test_two_files_that_changed_places_are_both_named(
    filled: Filled,
    before: dict[str, object],
    tmp_path: Path,
    one: str,
    another: str,
    touched: set[str] | None,
) -> None:
    paths = [filled.file(one), filled.file(another)]
    shutil.copy(paths[0], tmp_path / "kept")
    shutil.copy(paths[1], paths[0])
    shutil.copy(tmp_path / "kept", paths[1])
    damaged = {
        problem.path
        for problem in check_repository(filled.place.repository).problems
        if problem.severity is Severity.DAMAGE
    }
    assert {path.relative_to(filled.place.root).as_posix() for path in paths} <= damaged
    for what, read in filled.readings().items():
        if touched is None or what in touched:
            with pytest.raises(errors.RepositoryDamaged):
                read()
        else:
            assert read() == before[what], what


def test_older_versions_that_are_put_back_are_told_where_that_can_be_known(
    filled: Filled, tmp_path: Path
) -> None:
    """Names are written once, so an older version is another file's, or a key slot's."""
    place = filled.place
    # A manifest of the same snapshot id, as the store had it before it was rewritten: another
    # life of the repository, made with the same keys.
    twin = make_place(tmp_path / "twin")
    # A configuration and a manifest of another repository under the names of ours.
    for name, source in (
        ("config", twin.root / "config"),
        ("second manifest", None),
    ):
        path = filled.file(name)
        content = path.read_bytes()
        if source is None:
            written = twin.write([object_rows(0, 3)], at=LATER)
            source = next(p for p in twin.files("manifests") if p.name == written.id)
        shutil.copy(source, path)
        report = check_repository(place.repository)
        assert not report.is_whole
        assert path.relative_to(place.root).as_posix() in {p.path for p in report.problems}
        with pytest.raises(errors.Error):
            filled.readings()["second"]()
        path.write_bytes(content)
    # Slots from before a rotation: they open, and `check` tells that they are old.
    old = {path: path.read_bytes() for path in place.files("keys")}
    assert filled.lock is not None
    filled.lock.release()
    fresh = place.reopen()
    fresh.rotate(PASSPHRASE, cost=CHEAP)
    fresh.put_document("plans", "three", {"c": 3})
    for path in place.files("keys"):
        path.unlink()
    for path, data in old.items():
        path.write_bytes(data)
    with pytest.raises(errors.RepositoryDamaged, match="newer key slot was lost or replaced"):
        place.reopen().load_document("plans", "three")
    report = check_repository(place.reopen())
    assert not report.is_whole
    assert place.reopen().load_document("plans", "one") == {"a": 1}
    told = check_repository(fresh).problems
    assert {one.severity for one in told if one.path.startswith("keys/")} == {Severity.WARNING}


# --- each its own error ----------------------------------------------------------------------


def test_what_is_wrong_has_an_error_of_its_own(filled: Filled, tmp_path: Path) -> None:
    with pytest.raises(errors.WrongPassphrase) as wrong:
        filled.place.reopen("wrong")
    assert wrong.value.code == "wrong_passphrase"

    foreign = make_place(tmp_path / "foreign")
    written = foreign.write([object_rows(0, 3)])
    copied = next(p for p in foreign.files("manifests") if p.name == written.id)
    path = filled.file("other manifest")
    content = path.read_bytes()
    shutil.copy(copied, path)
    with pytest.raises(errors.RepositoryDamaged) as damaged:
        filled.readings()["other"]()
    assert damaged.value.code == "damaged"
    path.write_bytes(content)

    path = filled.file("other manifest")
    flip(lambda _: 4, mask=3)(path)
    with pytest.raises(errors.UnsupportedFormat) as newer:
        filled.readings()["other"]()
    assert newer.value.code == "unsupported_format"
    path.write_bytes(content)

    filled.file("other segment").unlink()
    with pytest.raises(errors.RepositoryDamaged, match="missing"):
        filled.readings()["other"]()
