"""Die before and after every durable write of a whole life, and open again each time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from reentra import errors
from reentra import repository as repositories
from reentra.repository import storage

from .conftest import CHEAP, PASSPHRASE, TENANT, object_rows, write_snapshot

NOON = dt.datetime(2026, 11, 23, 12, 0, 0, tzinfo=dt.UTC)


class PowerLost(Exception):
    """The machine is off: no code of the program runs after this, no cleaning up either."""


class DyingStorage:
    """A store that counts durable writes and dies before or after a given one."""

    def __init__(self, inner: storage.Storage, last_write: int, is_done: bool) -> None:
        self._inner = inner
        self._left = last_write
        self._is_done = is_done
        self._is_dead = False
        self.writes = 0

    @property
    def url(self) -> str:
        return self._inner.url

    def put_new(self, path: str, data: bytes | Path) -> None:
        with self._write():
            self._inner.put_new(path, data)

    def put_replacing(self, path: str, data: bytes) -> None:
        with self._write():
            self._inner.put_replacing(path, data)

    def delete(self, path: str) -> None:
        with self._write():
            self._inner.delete(path)

    def get(self, path: str) -> bytes:
        self._live()
        return self._inner.get(path)

    def get_range(self, path: str, start: int, length: int) -> bytes:
        self._live()
        return self._inner.get_range(path, start, length)

    def size(self, path: str) -> int:
        self._live()
        return self._inner.size(path)

    def list_stored(self, prefix: str) -> list[storage.Stored]:
        self._live()
        return self._inner.list_stored(prefix)

    def _live(self) -> None:
        if self._is_dead:
            raise PowerLost

    def _write(self) -> _Write:
        self._live()
        self.writes += 1
        if self.writes == self._left and not self._is_done:
            self._is_dead = True
            raise PowerLost
        return _Write(self)


class _Write:
    def __init__(self, owner: DyingStorage) -> None:
        self._owner = owner

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        if self._owner.writes == self._owner._left:
            self._owner._is_dead = True
            raise PowerLost


def live(store: storage.Storage, acknowledged: list[str]) -> None:
    """Do one of everything; note what the program was told is done."""
    repository, _ = repositories.Repository.create(store, PASSPHRASE, cost=CHEAP)
    acknowledged.append("created")
    first = write_snapshot(repository, [object_rows(0, 30)], at=NOON)
    acknowledged.append(first.id)
    repository.put_document("checkpoints", "one", {"at": 1})
    acknowledged.append("document")
    repository.change_passphrase(PASSPHRASE, "second", cost=CHEAP)
    acknowledged.append("changed")
    repository.rotate("second", cost=CHEAP)
    acknowledged.append("rotated")
    later = NOON + dt.timedelta(hours=1)
    second = write_snapshot(repository, [object_rows(30, 5)], parent=first, at=later)
    acknowledged.append(second.id)


def deaths() -> Iterator[tuple[int, bool]]:
    counting = DyingStorage(storage.open_storage("memory://"), 0, is_done=False)
    live(counting, [])
    assert counting.writes > 20
    for write in range(1, counting.writes + 1):
        yield write, False
        yield write, True


def test_after_a_power_loss_at_any_write_everything_acknowledged_is_there() -> None:
    for write, is_done in deaths():
        survivor = storage.open_storage("memory://")
        dying = DyingStorage(survivor, write, is_done)
        acknowledged: list[str] = []
        with pytest.raises(PowerLost):
            live(dying, acknowledged)
        told = f"died {'after' if is_done else 'before'} write {write}, told {acknowledged}"
        opened = [one for one in (_open(survivor, s) for s in (PASSPHRASE, "second")) if one]
        if "created" not in acknowledged and not opened:
            # Nothing was promised; the next `init` must succeed all the same.
            repositories.Repository.create(survivor, PASSPHRASE, cost=CHEAP)
            continue
        assert opened, told
        if "changed" in acknowledged:
            assert _open(survivor, PASSPHRASE) is None, told
        repository = max(opened, key=lambda one: one.key_generation)
        assert repository.key_generation == 2 or "rotated" not in acknowledged, told
        # The dead process's locks are on this host and its pid is alive: it is this one.
        for lock in survivor.list_stored("locks"):
            survivor.delete(lock.path)
        report = repositories.check_repository(repository)
        assert report.is_whole, (told, report.problems)
        stored = repository.list_snapshot_ids(TENANT)
        assert {one for one in acknowledged if one.startswith("2026")} <= set(stored), told
        rows = 0
        for manifest in repository.load_chain(TENANT, stored[-1]) if stored else []:
            for segment in manifest.segments:
                rows += sum(batch.num_rows for batch in repository.scan(segment))
        assert rows == [0, 30, 35][len(stored)], told
        if "document" in acknowledged:
            assert repository.load_document("checkpoints", "one") == {"at": 1}, told
        # And work goes on from there.
        parent = repository.load_manifest(TENANT, stored[-1]) if stored else None
        later = NOON + dt.timedelta(hours=2)
        write_snapshot(repository, [object_rows(90, 1)], parent=parent, at=later)
        assert repositories.check_repository(repository).is_whole, told


def _open(store: storage.Storage, secret: str) -> repositories.Repository | None:
    try:
        return repositories.Repository.open(store, secret)
    except (errors.NotFound, errors.WrongPassphrase):
        return None
