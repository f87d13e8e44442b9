"""Stores and databases that fail without dying: every write of a backup, every commit.

Each fault is put at each place in turn, and a test fails when its fault was not hit.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import default

from reentra import errors
from reentra import repository as repositories
from reentra.backup import BackupOptions, run_backup
from reentra.backup.engine import BackupResult, BackupStatus
from reentra.catalog import Catalog
from reentra.database import Database, JobStore, Part, open_database
from reentra.database import engine as database_engine
from reentra.repository import Repository, segment_writer
from reentra.repository.storage import FolderStorage, Stored
from reentra.restore.journal import StepStatus
from reentra.restore.report import RestoreStatus
from reentra.sandbox.app import SandboxServer
from reentra.tasks import StoredJournal
from tests.backup.support import CHEAP, PASSPHRASE, ReplayBases, World, new_world
from tests.crash.support import print_of_state
from tests.restore.support import World as RestoreWorld
from tests.restore.support import new_world as new_restore_world


class FailingStorage:
    """A folder whose n-th write fails: before it is done, or after, which the caller cannot tell.

    Reads answer as the folder does; with ``is_short`` a range is answered with less than asked for.
    """

    def __init__(self, inner: FolderStorage, at: int = 0, *, is_done: bool = False) -> None:
        self.inner = inner
        self.at = at
        self.is_done = is_done
        self.writes: list[str] = []
        self.has_failed = False
        self.short: str = ""

    @property
    def url(self) -> str:
        return self.inner.url

    def _write(self, what: str, do: Callable[[], None]) -> None:
        self.writes.append(what)
        is_now = len(self.writes) == self.at
        if not is_now or self.is_done:
            do()
        if is_now:
            self.has_failed = True
            raise errors.StorageError("The store failed.", hint="Try again.")

    def put_new(self, path: str, data: bytes | Path) -> None:
        self._write(f"put {path}", lambda: self.inner.put_new(path, data))

    def put_replacing(self, path: str, data: bytes) -> None:
        self._write(f"replace {path}", lambda: self.inner.put_replacing(path, data))

    def delete(self, path: str) -> None:
        self._write(f"delete {path}", lambda: self.inner.delete(path))

    def get(self, path: str) -> bytes:
        return self.inner.get(path)

    def get_range(self, path: str, start: int, length: int) -> bytes:
        data = self.inner.get_range(path, start, length)
        if self.short and path == self.short:
            self.has_failed = True
            return data[:-1]
        return data

    def size(self, path: str) -> int:
        return self.inner.size(path)

    def list_stored(self, prefix: str) -> list[Stored]:
        return self.inner.list_stored(prefix)


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer(seed_name="small") as running:
        yield running


def folder_of(tmp_path: Path, name: str) -> FolderStorage:
    return FolderStorage(tmp_path / name)


def back_up(world: World, repository: Repository) -> BackupResult:
    return run_backup(
        world.client, world.live, repository, ReplayBases(repository), BackupOptions()
    )


def assert_no_lock(storage: FolderStorage) -> None:
    assert [stored.path for stored in storage.list_stored("locks")] == []


@pytest.mark.parametrize("is_done", [False, True])
def test_a_write_that_fails_anywhere_in_a_backup_leaves_it_whole_or_invisible(
    server: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    monkeypatch.setattr("reentra.backup.engine.CHECKPOINT_ROWS", 1)
    world = new_world(server)
    tenant_id = world.client.tenant_id
    expected = print_of_state(world.live)
    counting = FailingStorage(folder_of(tmp_path, "counted"))
    Repository.create(counting.inner, PASSPHRASE, cost=CHEAP)
    back_up(world, Repository.open(counting, PASSPHRASE))
    total = len(counting.writes)
    assert total > 8
    # The first writes and the last: those between are checkpoints, one like the other.
    for at in sorted({1, 2, 3, 4, 5, total - 3, total - 2, total - 1, total}):
        failing = FailingStorage(folder_of(tmp_path, f"{at}"), at, is_done=is_done)
        Repository.create(failing.inner, PASSPHRASE, cost=CHEAP)
        repository = Repository.open(failing, PASSPHRASE)
        told = f"write {at} of {total}: {counting.writes[at - 1]}"
        # What fails after the manifest is cleaning up; the backup is done.
        if counting.writes[at - 1].startswith("delete") and at > total - 3:
            back_up(world, repository)
        else:
            with pytest.raises(errors.StorageError):
                back_up(world, repository)
        assert failing.has_failed, told
        ids = repository.list_snapshot_ids(tenant_id)
        is_manifest = counting.writes[at - 1].startswith("put manifests")
        assert len(ids) == (1 if at > total - 2 or (is_manifest and is_done) else 0), told
        report = repositories.check_repository(repository)
        assert report.is_whole, (told, report.problems)
        # A lock whose removal failed ends with its time; every other failure gives it back.
        for stored in failing.list_stored("locks"):
            assert counting.writes[at - 1].startswith("delete locks"), told
            failing.inner.delete(stored.path)
        result = back_up(world, repository)
        assert result.status in {BackupStatus.COMPLETE, BackupStatus.UNCHANGED}, told
        state = world.__class__.snapshot(_with(world, repository), result)
        assert print_of_state(state) == expected, told
        assert_no_lock(failing.inner)


def _with(world: World, repository: Repository) -> World:
    return World(world.server, repository, world.client, world.live, world.admin)


def test_a_full_disk_below_the_repository_fails_the_backup_and_nothing_else(
    server: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = new_world(server)
    storage = folder_of(tmp_path, "repository")
    Repository.create(storage, PASSPHRASE, cost=CHEAP)
    repository = Repository.open(storage, PASSPHRASE)
    first = back_up(world, repository)
    hits = []
    real = os.fsync

    def full(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        if path.is_file() and path.stat().st_size > 2_000:  # a segment or a manifest
            hits.append(path)
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(errors.StorageError, match="Free space"):
            back_up(world, repository)
    assert hits
    assert repository.list_snapshot_ids(world.client.tenant_id) == [first.manifest.id]
    assert repositories.check_repository(repository).is_whole
    assert back_up(world, repository).status is BackupStatus.UNCHANGED


@pytest.mark.parametrize("when", ["opening", "writing", "ending"])
def test_a_full_disk_for_temporary_files_fails_the_backup_and_says_so(
    server: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    world = new_world(server)
    hits: list[str] = []

    def full(*_: Any, **__: Any) -> Any:
        hits.append(when)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if when == "opening":
            patch.setattr("tempfile.NamedTemporaryFile", full)
        elif when == "writing":
            patch.setattr(segment_writer.pq.ParquetWriter, "write_table", full)
        else:
            # Only while it is open: what is thrown away later closes itself once more.
            patch.setattr(segment_writer.pq.ParquetWriter, "close", full)
            patch.setattr(segment_writer.pq.ParquetWriter, "__del__", lambda _: None)
        with pytest.raises(errors.StorageError, match="TMPDIR"):
            world.backup()
    assert hits
    assert world.repository.list_snapshot_ids(world.client.tenant_id) == []
    assert repositories.check_repository(world.repository).is_whole
    assert world.backup().status is BackupStatus.COMPLETE


def test_a_short_read_is_damage_and_never_fewer_rows(server: SandboxServer, tmp_path: Path) -> None:
    world = new_world(server)
    failing = FailingStorage(folder_of(tmp_path, "repository"))
    Repository.create(failing.inner, PASSPHRASE, cost=CHEAP)
    repository = Repository.open(failing, PASSPHRASE)
    manifest = back_up(world, repository).manifest
    for segment in manifest.segments:
        failing.short = segment.path
        with pytest.raises((errors.RepositoryDamaged, errors.StorageError)):
            list(repository.scan(segment))
        assert failing.has_failed
        report = repositories.check_repository(repository)
        assert segment.path in {problem.path for problem in report.problems}
        failing.short = ""
        assert sum(batch.num_rows for batch in repository.scan(segment)) == segment.rows


# --- databases -------------------------------------------------------------------------------


class FailingCommits:
    """Makes the n-th commit that changed something fail: before it is done, or after."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int, *, is_done: bool) -> None:
        self.count = 0
        self.has_failed = False
        seen: dict[int, int] = {}
        real = default.DefaultDialect.do_commit

        def commit(dialect: Any, connection: Any) -> None:
            raw = connection.dbapi_connection
            if seen.get(id(raw), 0) == raw.total_changes:
                real(dialect, connection)
                return
            seen[id(raw)] = raw.total_changes
            self.count += 1
            if self.count != at:
                real(dialect, connection)
                return
            self.has_failed = True
            if is_done:
                real(dialect, connection)
            else:
                connection.rollback()
            # As the driver tells a connection that broke while the answer was under way.
            raise sqlite3.OperationalError("disk I/O error")

        patch.setattr(default.DefaultDialect, "do_commit", commit)


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path / 'jobs.sqlite'}", Part.JOBS)
    yield database
    database.dispose()


@pytest.mark.parametrize("is_done", [False, True], ids=["not done", "outcome unknown"])
def test_a_commit_that_fails_anywhere_in_a_restore_creates_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    at = 0
    while True:
        at += 1
        with SandboxServer(seed_name="small") as server:
            world = new_restore_world(server)
            desired = world.captured()
            counts = {kind: len(desired.objects[kind]) for kind in ("user", "group")}
            world.purge("users", world.ids("user")["Ada Berg"])
            world.purge("groups", world.ids("group")["Sales"])
            plan = world.plan(desired)
            database = open_database(f"sqlite:///{tmp_path / f'{at}.sqlite'}", Part.JOBS)
            store = JobStore(database)
            job = store.create_job("restore")
            with monkeypatch.context() as patch:
                failing = FailingCommits(patch, at, is_done=is_done)
                told = contextlib.suppress(errors.StorageError)
                with told:
                    _run(world, plan, StoredJournal(store, job.id))
            report = _run(world, plan, StoredJournal(store, job.id))
            assert report.status is RestoreStatus.SUCCEEDED, (at, report.to_text())
            for kind, number in counts.items():
                assert len(list(world.live.list_objects(kind))) == number, (at, kind)
            assert {step.status.value for step in store.list_steps(job.id)} <= {
                StepStatus.DONE.value,
                StepStatus.ALREADY.value,
            }
            database.dispose()
            world.client.close()
        if not failing.has_failed:
            break
    assert at > 6


def _run(world: RestoreWorld, plan: Any, journal: StoredJournal) -> Any:
    return world.applier(plan, journal).run()


@pytest.mark.parametrize("is_done", [False, True], ids=["not done", "outcome unknown"])
def test_a_commit_of_the_catalog_that_fails_is_made_good_by_the_next(
    server: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    world = new_world(server)
    result = world.backup()
    tenant_id = world.client.tenant_id
    database = open_database(f"sqlite:///{tmp_path / 'catalog.sqlite'}", Part.CATALOG)
    catalog = Catalog(database, world.repository)
    with monkeypatch.context() as patch:
        failing = FailingCommits(patch, 1, is_done=is_done)
        with pytest.raises(errors.StorageError, match="catalog database"):
            catalog.sync(tenant_id)
    assert failing.has_failed
    catalog.sync(tenant_id)
    state = catalog.state(tenant_id, result.manifest.id)
    assert print_of_state(state) == print_of_state(world.live)
    database.dispose()


def test_a_busy_database_is_waited_for(jobs: Database) -> None:
    store = JobStore(jobs)
    waited = []
    entered = threading.Event()

    def hold() -> None:
        with jobs.writing() as connection:
            connection.execute(sa.text("SELECT 1"))
            entered.set()
            threading.Event().wait(0.3)
            waited.append(True)

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait(5)
    job = store.create_job("backup")
    assert waited == [True]
    thread.join()
    assert store.load_job(job.id).task == "backup"


def test_a_database_that_stays_busy_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_engine, "BUSY_SECONDS", 0.2)
    database = open_database(f"sqlite:///{tmp_path / 'jobs.sqlite'}", Part.JOBS)
    holder = sqlite3.connect(tmp_path / "jobs.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(errors.RepositoryLocked, match="busy"):
        JobStore(database).create_job("backup")
    holder.execute("ROLLBACK")
    assert JobStore(database).create_job("backup").task == "backup"
    holder.close()
    database.dispose()


@pytest.mark.parametrize("what", ["database or disk is full", "disk I/O error"])
def test_a_database_that_fails_is_told_and_holds_nothing_half_done(
    jobs: Database, what: str
) -> None:
    store = JobStore(jobs)
    job = store.create_job("restore")
    hits = []

    def fail(*_: Any) -> None:
        hits.append(what)
        raise sqlite3.OperationalError(what)

    engine = jobs._engine
    sa.event.listen(engine, "before_cursor_execute", _on_update(fail))
    with pytest.raises(errors.StorageError, match=what):
        store.record_intent(job.id, ["one", "two"])
    assert hits
    sa.event.remove(engine, "before_cursor_execute", _LISTENERS.pop())
    assert store.list_steps(job.id) == []
    store.record_intent(job.id, ["one", "two"])
    assert len(store.list_steps(job.id)) == 2


_LISTENERS: list[Any] = []


def _on_update(fail: Callable[..., None]) -> Any:
    def listener(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE"):
            try:
                fail()
            except sqlite3.OperationalError as error:
                raise sa.exc.OperationalError(statement, {}, error) from error

    _LISTENERS.append(listener)
    return listener


@pytest.mark.server
def test_a_lost_connection_is_told_and_the_next_call_connects_again() -> None:
    url = os.environ.get("REENTRA_TEST_POSTGRES", "")
    if not url:
        pytest.skip("needs PostgreSQL: `make test-all` starts one")
    database = open_database(url, Part.JOBS)
    store = JobStore(database)
    job = store.create_job("restore")

    def lose_it() -> None:
        with database.writing() as connection:
            pid = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
            killer = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
            with killer.connect() as other:
                other.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            killer.dispose()
            connection.execute(sa.text("SELECT 1"))

    with pytest.raises(errors.StorageError):
        lose_it()
    store.record_intent(job.id, ["one"])
    assert [step.step_id for step in store.list_steps(job.id)] == ["one"]
    database.dispose()
