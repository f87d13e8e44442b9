"""Prune frees space and endangers nothing that is kept: neither killed nor in a damaged store."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reentra import clock as clocks
from reentra import errors
from reentra.repository import (
    Repository,
    Severity,
    Storage,
    check_repository,
    open_storage,
    plan_prune,
    prune,
)
from reentra.snapshots import ReplayedSnapshot, SnapshotMerger
from tests.catalog.history import TENANT, History
from tests.models import ModelTenant
from tests.repository.test_crash import DyingStorage, PowerLost

USERS = [f"00000000-0000-4000-8000-{number:012}" for number in range(12)]
GROUP = "00000000-0000-4000-9000-000000000001"


@dataclass
class Later:
    """A clock some hours ahead."""

    hours: int
    system: clocks.Clock = field(default_factory=lambda: clocks.SYSTEM)

    def now(self) -> dt.datetime:
        return self.system.now() + dt.timedelta(hours=self.hours)

    def monotonic_seconds(self) -> float:
        return self.system.monotonic_seconds()

    def sleep(self, seconds: float) -> None:
        self.system.sleep(seconds)


def tenant(number: int) -> ModelTenant:
    """Return the tenant at one of some moments: people come, change and go, as do memberships."""
    model = ModelTenant(TENANT)
    present = [user for place, user in enumerate(USERS) if (place + number) % 5]
    for place, user in enumerate(present):
        model.put("user", user, displayName=f"Ann {place}", jobTitle=f"{number // 2} {place % 3}")
    model.put("group", GROUP, displayName=f"Sales {number % 2}")
    for user in present[number % 3 :: 2]:
        model.link("group.members", GROUP, user, "user")
    return model


def make(folder: Path, storage: str = "memory://", count: int = 7) -> History:
    """Return a line with a branch, of which some in the middle and the first are forgotten."""
    history = History(folder, storage=storage)
    for number in range(count):
        parent = history.manifests[2] if number == 5 else "newest"
        history.take(tenant(number), parent=parent if number else None)
    return history


def forgotten(history: History, *numbers: int) -> list[str]:
    """Forget and return what is kept."""
    ids = list(history.models)
    history.mark_forgotten(*(ids[number] for number in numbers))
    return [one for number, one in enumerate(ids) if number not in numbers]


def copied(store: Storage) -> Storage:
    copy = open_storage("memory://")
    for one in store.list_stored(""):
        if not one.path.startswith("locks/"):
            copy.put_new(one.path, store.get(one.path))
    return copy


def reopened(store: Storage) -> Repository:
    for lock in store.list_stored("locks"):
        store.delete(lock.path)  # the dead process's: its pid is this one's
    return Repository.open(store, "secret")


def ensure_kept(repository: Repository, history: History, kept: list[str], told: str) -> None:
    assert repository.list_snapshot_ids(TENANT) == kept, told
    for snapshot_id in kept:
        state = ModelTenant.captured(ReplayedSnapshot(repository, TENANT, snapshot_id))
        assert state.comparable() == history.models[snapshot_id].comparable(), told


def pruned(store: Storage, merger: type[SnapshotMerger] = SnapshotMerger, hours: int = 0) -> Any:
    repository = Repository.open(store, "secret")
    return prune(repository, merger(repository), clock=Later(hours))


CASES = {"middle": (1, 3), "first": (0, 1), "many": (0, 1, 2, 3, 4), "branch": (2, 4, 5)}


@pytest.mark.parametrize("case", CASES)
def test_what_is_kept_reads_as_before_and_nothing_else_is_left(case: str, tmp_path: Path) -> None:
    history = make(tmp_path)
    kept = forgotten(history, *CASES[case])
    plan = plan_prune(history.repository, clocks.SYSTEM.now())
    assert len(plan.forgotten) == len(CASES[case])
    assert all(set(merge.absorbed) <= set(plan.forgotten) for merge in plan.merges)
    report = pruned(history.repository.storage)
    assert (report.merged, report.manifests_deleted) == (
        len(plan.merges), len(plan.merges) + len(CASES[case]),
    )  # fmt: skip
    repository = Repository.open(history.repository.storage, "secret")
    ensure_kept(repository, history, kept, case)
    found = check_repository(repository)
    assert (found.problems, found.snapshots, found.forgotten) == ((), len(kept), 0)
    again = plan_prune(repository, clocks.SYSTEM.now())
    assert again.is_empty
    assert pruned(history.repository.storage).merged == 0


def deaths(store: Storage) -> Iterator[tuple[int, bool]]:
    counting = DyingStorage(copied(store), 0, is_done=False)
    pruned(counting)
    assert counting.writes > 12
    for write in range(1, counting.writes + 1):
        yield write, False
        yield write, True


@pytest.mark.parametrize("case", [pytest.param(c, marks=[] if c == "middle" else [pytest.mark.slow])
                                  for c in CASES])  # fmt: skip
def test_killed_at_any_write_everything_kept_is_there_and_the_next_prune_ends_it(
    case: str, tmp_path: Path
) -> None:
    history = make(tmp_path)
    kept = forgotten(history, *CASES[case])
    store = history.repository.storage
    for write, is_done in deaths(store):
        told = f"died {'after' if is_done else 'before'} write {write}"
        survivor = copied(store)
        with pytest.raises(PowerLost):
            pruned(DyingStorage(survivor, write, is_done))
        repository = reopened(survivor)
        ensure_kept(repository, history, kept, told)
        report = check_repository(repository)
        assert {one.severity for one in report.problems} <= {Severity.INFORMATION}, told
        pruned(survivor, hours=25)
        ensure_kept(repository, history, kept, told)
        report = check_repository(repository)
        assert (report.problems, report.snapshots, report.forgotten) == ((), len(kept), 0), told
        assert len(survivor.list_stored("manifests")) == len(kept), told


def test_killed_twice_at_every_write_the_third_ends_it(tmp_path: Path) -> None:
    history = make(tmp_path, count=4)
    kept = forgotten(history, 0, 2)
    store = history.repository.storage
    for write in (4, 6, 8, 10):
        for second in (3, 5, 7):
            survivor = copied(store)
            for last in (write, second):
                try:
                    pruned(DyingStorage(survivor, last, is_done=True))
                except PowerLost:
                    reopened(survivor)
            pruned(survivor, hours=25)
            repository = Repository.open(survivor, "secret")
            ensure_kept(repository, history, kept, f"{write} {second}")
            assert check_repository(repository).problems == ()


def test_a_backup_after_a_killed_prune_builds_on_what_is_kept(tmp_path: Path) -> None:
    history = make(tmp_path)
    kept = forgotten(history, 1, 3)
    store = history.repository.storage
    for write, is_done in list(deaths(store))[::5]:
        survivor = copied(store)
        with pytest.raises(PowerLost):
            pruned(DyingStorage(survivor, write, is_done))
        grown = History.__new__(History)
        grown.__dict__.update(history.__dict__)
        grown.repository = reopened(survivor)
        grown.models, grown.manifests = dict(history.models), list(history.manifests)
        newest = grown.repository.load_manifest(TENANT, kept[-1])
        made = grown.take(tenant(9), parent=newest)
        pruned(survivor, hours=25)
        ensure_kept(grown.repository, grown, [*kept, made], f"write {write}")
        assert check_repository(grown.repository).problems == ()


class Forgetful(SnapshotMerger):
    """A merger that loses a row."""

    def merge(self, segments: Any, *, has_parent: bool) -> Any:
        return super().merge(segments[:-1], has_parent=has_parent)


def test_what_is_not_merged_as_it_was_stops_everything(tmp_path: Path) -> None:
    history = make(tmp_path)
    kept = forgotten(history, 0, 1)
    store = history.repository.storage
    before = {one.path for one in store.list_stored("")}
    with pytest.raises(errors.RepositoryDamaged, match="nothing was deleted"):
        pruned(store, Forgetful)
    assert before <= {one.path for one in store.list_stored("")}
    ensure_kept(Repository.open(store, "secret"), history, kept, "refused")


@pytest.mark.parametrize("folder", ["manifests", "segments"])
def test_nothing_is_deleted_from_a_damaged_repository(folder: str, tmp_path: Path) -> None:
    history = make(tmp_path, storage=str(tmp_path / "store"))
    kept = forgotten(history, 1, 3)
    store = history.repository.storage
    manifest = history.manifests[2]
    path = manifest.segments[0].path
    if folder == "manifests":
        (path,) = [one.path for one in store.list_stored(folder) if one.path.endswith(kept[1])]
    stored = tmp_path / "store" / path
    stored.write_bytes(stored.read_bytes()[:-1])
    before = store.list_stored("")
    with pytest.raises(errors.RepositoryDamaged, match="not whole"):
        pruned(store)
    assert [one.path for one in store.list_stored("")] == [one.path for one in before]


def test_what_is_damaged_and_forgotten_and_needed_by_nobody_can_be_pruned(tmp_path: Path) -> None:
    history = make(tmp_path, storage=str(tmp_path / "store"), count=4)
    at = history.manifests[0]
    made = history.take(tenant(8), parent=None)  # a new line
    kept = forgotten(history, 0, 1, 2, 3)
    assert kept == [made]
    (path,) = (tmp_path / "store" / "manifests").glob(f"*/{at.id}")
    path.write_bytes(b"torn")
    pruned(history.repository.storage, hours=25)
    ensure_kept(history.repository, history, kept, "new line")
    assert check_repository(history.repository).problems == ()


@pytest.mark.parametrize("mode", ["backup", "restore", "check"])
def test_nobody_else_works_meanwhile(mode: str, tmp_path: Path) -> None:
    history = make(tmp_path, count=2)
    repository = history.repository
    locks = {
        "backup": lambda: repository.lock_tenant(TENANT, "backup"),
        "restore": lambda: repository.lock_restore(TENANT, "restore"),
        "check": lambda: repository.lock_shared("check"),
    }
    with locks[mode](), pytest.raises(errors.RepositoryLocked, match=mode):
        prune(repository, SnapshotMerger(repository))


def test_a_prune_that_lost_its_lock_deletes_nothing_more(tmp_path: Path) -> None:
    history = make(tmp_path)
    kept = forgotten(history, 1, 3)
    store = history.repository.storage

    class Thief(SnapshotMerger):
        def merge(self, segments: Any, *, has_parent: bool) -> Any:
            for lock in store.list_stored("locks"):
                store.delete(lock.path)
            return super().merge(segments, has_parent=has_parent)

    with pytest.raises(errors.RepositoryLocked):
        pruned(store, Thief)
    repository = Repository.open(store, "secret")
    ensure_kept(repository, history, kept, "stolen")
    assert len(store.list_stored("manifests")) == len(history.models)


def test_garbage_goes_when_no_checkpoint_can_name_it_any_more(tmp_path: Path) -> None:
    history = make(tmp_path, count=2)
    store = history.repository.storage
    merger = SnapshotMerger(history.repository, taken_over_bytes=1 << 30)
    segments = [one for manifest in history.manifests for one in manifest.segments]
    made = merger.merge(segments, has_parent=False)  # as a killed backup leaves them
    garbage = [one for one in made if one not in segments]
    assert garbage
    assert pruned(store).segments_deleted == 0
    assert pruned(store, hours=25).segments_deleted == len(garbage)
    ensure_kept(Repository.open(store, "secret"), history, list(history.models), "garbage")


def test_merging_gives_space_back(tmp_path: Path) -> None:
    history = History(tmp_path, storage="memory://")
    for number in range(12):
        history.take(tenant(number))
    forgotten(history, *range(11))
    report = pruned(history.repository.storage)
    assert report.bytes_after < report.bytes_before / 3
    assert len(history.repository.storage.list_stored("segments")) == 2


def test_a_large_segment_of_which_little_changed_is_taken_over(tmp_path: Path) -> None:
    history = History(tmp_path, storage="memory://")
    model = ModelTenant(TENANT)
    for number in range(300):
        model.put("user", f"00000000-0000-4000-8000-{number:012}", displayName=f"Ann {number}")
    first = history.take(model)
    changed = model.copied("changed")
    changed.put("user", USERS[1], displayName="Bea")
    del changed.objects["user"][USERS[2]]
    history.take(changed)
    large = history.manifests[0].segments[0]
    history.mark_forgotten(first)
    history.prune(taken_over_bytes=large.size_bytes)
    (kept,) = history.repository.list_manifests(TENANT)
    assert large in kept.segments
    ensure_kept(history.repository, history, [kept.id], "taken over")


DIES = """
import os, signal, sys
from reentra.repository import Repository, open_storage, prune
from reentra.snapshots import SnapshotMerger
store = open_storage(sys.argv[1])
left = int(sys.argv[2])
real = {name: getattr(type(store), name) for name in ("put_new", "delete")}
def dying(name):
    def call(self, *args):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real[name](self, *args)
    return call
for name in real:
    setattr(type(store), name, dying(name))
repository = Repository.open(store, "secret")
prune(repository, SnapshotMerger(repository))
"""


@pytest.mark.slow
@pytest.mark.parametrize("write", [3, 6, 9, 11, 13])
def test_a_real_process_killed_while_it_prunes_leaves_all_that_is_kept(
    write: int, tmp_path: Path
) -> None:
    history = make(tmp_path, storage=str(tmp_path / "store"))
    kept = forgotten(history, 1, 3)
    done = subprocess.run(
        [sys.executable, "-c", DIES, str(tmp_path / "store"), str(write)],
        check=False, capture_output=True, env=os.environ,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    store = open_storage(str(tmp_path / "store"))
    repository = Repository.open(store, "secret")
    ensure_kept(repository, history, kept, str(write))
    assert check_repository(repository).is_whole
    pruned(store, hours=25)  # the dead process's lock keeps nobody away
    ensure_kept(repository, history, kept, str(write))
    assert check_repository(repository).problems == ()
