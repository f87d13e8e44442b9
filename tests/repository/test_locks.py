from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from reentra import errors
from reentra import repository as repositories
from reentra.repository import locks, storage

from .conftest import PASSPHRASE, TENANT, ManualClock, Place

HOLDER = """
import sys, time
from reentra import repository
place = repository.Repository.open(repository.open_storage(sys.argv[1]), sys.argv[2])
with getattr(place, sys.argv[3])(*sys.argv[4:], "a test's backup"):
    sys.stdout.write("held\\n")
    sys.stdout.flush()
    sys.stdin.readline()
"""

RACER = """
import sys, time
from pathlib import Path
from reentra import errors, repository
place = repository.Repository.open(repository.open_storage(sys.argv[1]), sys.argv[2])
inside = Path(sys.argv[3])
held = 0
while held < 6:
    try:
        with place.lock_tenant("tenant", "race", wait_seconds=20) as lock:
            inside.mkdir()  # fails if anybody else is inside
            time.sleep(0.005)
            lock.ensure_held()
            inside.rmdir()
            held += 1
    except errors.RepositoryLocked:
        continue
"""


@contextmanager
def holder(place: Place, *call: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(place.root), PASSPHRASE, *call],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_second_process_is_told_who_holds_the_tenant_since_when(place: Place) -> None:
    with holder(place, "lock_tenant", TENANT) as process:
        with (
            pytest.raises(errors.RepositoryLocked) as told,
            place.repository.lock_tenant(TENANT, "restore"),
        ):
            pass
        assert f"process {process.pid} on" in told.value.message
        assert "a test's backup" in told.value.message
        assert f"since {dt.datetime.now(dt.UTC):%Y-%m-%dT%H}" in told.value.message
        with place.repository.lock_tenant("another tenant", "backup"):
            pass
        process.communicate("\n")
    with place.repository.lock_tenant(TENANT, "restore"):
        pass


def test_the_lock_of_a_killed_process_is_cleared_by_the_next(place: Place) -> None:
    with holder(place, "lock_exclusive") as process:
        with pytest.raises(errors.RepositoryLocked), place.repository.lock_shared("browse"):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len(place.files("locks")) == 1
        with place.repository.lock_exclusive("prune"):
            assert len(place.files("locks")) == 1
    assert place.files("locks") == []


def test_a_killed_process_that_nobody_has_asked_for_holds_no_lock(place: Place) -> None:
    with holder(place, "lock_exclusive") as process:
        process.send_signal(signal.SIGKILL)
        # Dead, and still in the table of processes: its parent did not wait for it yet.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        with place.repository.lock_exclusive("prune"):
            assert len(place.files("locks")) == 1


def test_a_lock_whose_writing_failed_keeps_nobody_away(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = place.repository.storage
    real = type(storage).put_new

    def put_and_fail(self: object, path: str, data: bytes) -> None:
        real(storage, path, data)
        raise errors.StorageError("The reply was lost.")

    with monkeypatch.context() as patch:
        patch.setattr(type(storage), "put_new", put_and_fail)
        with pytest.raises(errors.StorageError), place.repository.lock_exclusive("prune"):
            pass
    assert place.files("locks") == []


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (("lock_restore", "a"), ("lock_restore", "a"), False),
        (("lock_restore", "a"), ("lock_restore", "b"), True),
        (("lock_restore", "a"), ("lock_tenant", "a"), True),
        (("lock_restore", "a"), ("lock_exclusive",), False),
        (("lock_shared",), ("lock_shared",), True),
        (("lock_shared",), ("lock_tenant", "a"), True),
        (("lock_tenant", "a"), ("lock_tenant", "b"), True),
        (("lock_tenant", "a"), ("lock_tenant", "a"), False),
        (("lock_exclusive",), ("lock_shared",), False),
        (("lock_exclusive",), ("lock_tenant", "a"), False),
        (("lock_tenant", "a"), ("lock_exclusive",), False),
        (("lock_exclusive",), ("lock_exclusive",), False),
    ],
)
def test_which_locks_exclude_each_other(
    place: Place, first: tuple[str, ...], second: tuple[str, ...], together: bool
) -> None:
    with ExitStack() as stack:
        stack.enter_context(getattr(place.repository, first[0])(*first[1:], "first"))
        if together:
            stack.enter_context(getattr(place.repository, second[0])(*second[1:], "second"))
            assert len(place.files("locks")) == 2
        else:
            with pytest.raises(errors.RepositoryLocked):
                stack.enter_context(getattr(place.repository, second[0])(*second[1:], "second"))
    assert place.files("locks") == []


def test_processes_that_race_for_a_tenant_are_never_inside_together(place: Place) -> None:
    inside = place.root.parent / "inside"
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(place.root), PASSPHRASE, str(inside)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for racer in racers:
        _, complaint = racer.communicate(timeout=60)
        assert racer.returncode == 0, complaint
    assert place.files("locks") == []


def test_of_two_that_come_at_the_same_moment_neither_overlooks_the_other(
    place: Place, manual_clock: ManualClock
) -> None:
    class Crowded(storage.FolderStorage):
        """Lets another lock in between the first look and one's own."""

        def put_new(self, path: str, data: bytes | Path) -> None:
            if path.startswith("locks/"):
                rival = locks.LockBook(place.storage, place.repository.keyring)
                info = rival._new_info("rival", locks.LockMode.EXCLUSIVE, None)
                sealed = locks.seal(
                    place.repository.keyring, locks.SealedKind.LOCK, info.path, info.to_json()
                )
                place.storage.put_new(info.path, sealed)
            storage.FolderStorage.put_new(self, path, data)

    book = locks.LockBook(Crowded(place.root), place.repository.keyring, manual_clock)
    manual_clock.at = dt.datetime.now(dt.UTC)
    with (
        pytest.raises(errors.RepositoryLocked, match="rival"),
        book.hold("mine", mode=locks.LockMode.EXCLUSIVE),
    ):
        pass
    (left,) = place.files("locks")  # the rival's: one's own was taken back
    found, _ = book.list_locks()
    assert [info.purpose for info in found] == ["rival"]
    assert left.name == found[0].id
    assert manual_clock.slept  # it stepped back for a moment and looked again


def test_one_waits_for_the_other_when_told_to(place: Place) -> None:
    order: list[str] = []
    entered = threading.Event()

    def first() -> None:
        with place.repository.lock_tenant(TENANT, "first"):
            entered.set()
            time.sleep(0.3)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    entered.wait()
    with place.repository.lock_tenant(TENANT, "second", wait_seconds=20):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_the_holder_keeps_its_lock_fresh(place: Place) -> None:
    book = locks.LockBook(
        place.storage, place.repository.keyring, life_seconds=2.0, refresh_seconds=0.1
    )
    with book.hold("long work", mode=locks.LockMode.EXCLUSIVE) as lock:
        time.sleep(2.6)
        lock.ensure_held()
        with pytest.raises(errors.RepositoryLocked):
            place.repository.lock_shared("browse").__enter__()


def test_a_lock_of_another_machine_ends_with_its_time(
    place: Place, manual_clock: ManualClock
) -> None:
    book = locks.LockBook(place.storage, place.repository.keyring, manual_clock)
    _put_foreign_lock(place, book)
    with (
        pytest.raises(errors.RepositoryLocked, match="elsewhere"),
        book.hold("here", mode=locks.LockMode.SHARED),
    ):
        pass
    manual_clock.elapsed_seconds += locks.LIFE_SECONDS + 1
    with book.hold("here", mode=locks.LockMode.SHARED):
        assert len(place.files("locks")) == 1


def test_a_used_again_pid_does_not_keep_a_lock_alive(place: Place) -> None:
    book = place.repository.lock_book
    mine = book._new_info("x", locks.LockMode.EXCLUSIVE, None)
    if not mine.boot:
        pytest.skip("this system does not tell when a process started")
    assert not book.is_stale(mine)
    reborn = locks.LockInfo.from_json({**mine.to_json(), "process_start": "1"}, mine.path)
    assert book.is_stale(reborn)
    in_a_container = {**mine.to_json(), "pid_namespace": "pid:[1]", "pid": 4_000_000}
    assert not book.is_stale(locks.LockInfo.from_json(in_a_container, mine.path))


def test_whoever_lost_its_lock_cannot_commit(place: Place) -> None:
    with place.repository.lock_tenant(TENANT, "backup") as lock:
        for path in place.files("locks"):
            path.unlink()
        with pytest.raises(errors.RepositoryLocked, match="is lost"):
            place.repository.commit(
                lock=lock,
                tenant_id=TENANT,
                snapshot_id=place.repository.new_snapshot_id(dt.datetime.now(dt.UTC)),
                created_at=dt.datetime.now(dt.UTC),
                parent=None,
                segments=(),
                payload={},
            )
    assert place.files("manifests") == []


def test_a_machine_that_slept_too_long_has_lost_its_lock(
    place: Place, manual_clock: ManualClock
) -> None:
    book = locks.LockBook(place.storage, place.repository.keyring, manual_clock)
    with book.hold("backup", mode=locks.LockMode.EXCLUSIVE) as lock:
        lock.ensure_held()
        manual_clock.elapsed_seconds += locks.LIFE_SECONDS
        with pytest.raises(errors.RepositoryLocked, match="is lost"):
            lock.ensure_held()


def test_a_lost_lock_is_never_put_back(place: Place) -> None:
    book = locks.LockBook(place.storage, place.repository.keyring, refresh_seconds=0.05)
    with book.hold("backup", mode=locks.LockMode.EXCLUSIVE):
        for path in place.files("locks"):
            path.unlink()
        time.sleep(0.2)
        assert place.files("locks") == []


def test_a_lock_that_cannot_be_read_excludes_until_it_is_old(place: Place) -> None:
    path = place.root / "locks" / "0123456789abcdef"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"torn")
    with (
        pytest.raises(errors.RepositoryLocked, match="locks/0123456789abcdef"),
        place.repository.lock_shared("browse"),
    ):
        pass
    os.utime(path, (1, 1))
    with place.repository.lock_shared("browse"):
        assert not path.exists()


def test_a_lock_for_one_tenant_commits_for_no_other(place: Place) -> None:
    with (
        place.repository.lock_tenant("one", "backup") as lock,
        pytest.raises(errors.UsageError),
    ):
        place.repository.commit(
            lock=lock,
            tenant_id="two",
            snapshot_id=place.repository.new_snapshot_id(dt.datetime.now(dt.UTC)),
            created_at=dt.datetime.now(dt.UTC),
            parent=None,
            segments=(),
            payload={},
        )


def test_who_cannot_write_reads_without_a_lock(place: Place) -> None:
    class ReadOnly(storage.FolderStorage):
        def put_new(self, path: str, data: bytes | Path) -> None:
            raise storage.StoreReadOnly("no")

    reader = repositories.Repository.open(ReadOnly(place.root), PASSPHRASE)
    with reader.lock_shared("browse") as lock:
        assert lock.info is None
    assert repositories.check_repository(reader).problems == ()
    with pytest.raises(storage.StoreReadOnly), reader.lock_tenant(TENANT, "backup"):
        pass


def _put_foreign_lock(place: Place, book: locks.LockBook) -> None:
    info = book._new_info("backup", locks.LockMode.EXCLUSIVE, None)
    foreign = locks.LockInfo.from_json(
        {**info.to_json(), "host": "elsewhere", "boot": "another"}, info.path
    )
    sealed = locks.seal(
        place.repository.keyring, locks.SealedKind.LOCK, foreign.path, foreign.to_json()
    )
    place.storage.put_new(foreign.path, sealed)
