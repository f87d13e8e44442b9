"""Locks inside the repository: who works on it now, so that two processes do not harm it.

``docs/format.md`` section 10 governs this module. A lock is an object; the store is the judge.
"""

from __future__ import annotations

import datetime as dt
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from reentra import clock as clocks
from reentra import errors

from .keys import Keyring
from .sealed import SealedKind, seal, unseal
from .storage import NotStored, Storage, Stored, StoreReadOnly

LIFE_SECONDS = 600.0
REFRESH_SECONDS = 120.0  # four refreshes may fail before the lock is lost
COLLISIONS = 6  # how often two that came at once step back before one of them gives up
COLLISION_PAUSE_SECONDS = 0.25
POLL_SECONDS = 1.0

# What a restore's lock names in place of the tenant: it excludes restores, and no backup.
RESTORE_PREFIX = "restore/"

_FOLDER = "locks"


class LockMode(StrEnum):
    SHARED = "shared"
    EXCLUSIVE = "exclusive"


@dataclass(frozen=True, slots=True)
class LockInfo:
    """A lock as it is stored."""

    id: str
    mode: LockMode
    tenant_id: str | None
    purpose: str
    host: str
    pid: int
    process_start: str
    boot: str
    pid_namespace: str
    created_at: dt.datetime
    expires_at: dt.datetime

    @property
    def path(self) -> str:
        return f"{_FOLDER}/{self.id}"

    def excludes(self, other: LockInfo) -> bool:
        """Tell whether the two may not be held at once."""
        if LockMode.EXCLUSIVE in (self.mode, other.mode):
            return True
        return self.tenant_id is not None and self.tenant_id == other.tenant_id

    def to_json(self) -> dict[str, object]:
        return {
            "boot": self.boot,
            "created_at": clocks.iso(self.created_at),
            "expires_at": clocks.iso(self.expires_at),
            "host": self.host,
            "id": self.id,
            "mode": self.mode.value,
            "pid": self.pid,
            "pid_namespace": self.pid_namespace,
            "process_start": self.process_start,
            "purpose": self.purpose,
            "tenant_id": self.tenant_id,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], path: str) -> LockInfo:
        try:
            return cls(
                id=str(value["id"]),
                mode=LockMode(value["mode"]),
                tenant_id=value["tenant_id"],
                purpose=str(value["purpose"]),
                host=str(value["host"]),
                pid=int(value["pid"]),
                process_start=str(value["process_start"]),
                boot=str(value["boot"]),
                pid_namespace=str(value["pid_namespace"]),
                created_at=clocks.parse_iso(value["created_at"]),
                expires_at=clocks.parse_iso(value["expires_at"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise errors.RepositoryDamaged(f"The lock {path} is damaged.") from error


@dataclass(frozen=True, slots=True)
class _Process:
    host: str
    pid: int
    start: str
    boot: str
    namespace: str


class Lock:
    """A lock that this process holds; it is refreshed by a thread until it is released."""

    def __init__(
        self,
        storage: Storage,
        keyring: Keyring,
        info: LockInfo | None,
        clock: clocks.Clock,
        refresh_seconds: float,
        life_seconds: float,
    ) -> None:
        self._storage = storage
        self._keyring = keyring
        self._info = info
        self._clock = clock
        self._refresh_seconds = refresh_seconds
        self._life_seconds = life_seconds
        self._is_lost = False
        self._refreshed_at = clock.monotonic_seconds()
        self._released = threading.Event()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        if info is not None:
            self._thread = threading.Thread(
                target=self._keep_fresh, name=f"reentra-lock-{info.id}", daemon=True
            )
            self._thread.start()

    @property
    def info(self) -> LockInfo | None:
        """Return the lock's record, or ``None`` for a reader's lock on a read-only store."""
        return self._info

    def covers(self, tenant_id: str) -> bool:
        """Tell whether the holder may write snapshots of the tenant."""
        return self._info is not None and (
            self._info.mode is LockMode.EXCLUSIVE or self._info.tenant_id == tenant_id
        )

    def ensure_held(self) -> None:
        """Look at the store whether the lock is still there. Called before every commit.

        Raises: ``errors.RepositoryLocked`` when it is lost; then nothing may be committed.
        """
        if self._info is None:
            return
        elapsed = self._clock.monotonic_seconds() - self._refreshed_at
        is_expired = elapsed >= self._life_seconds
        if not self._is_lost and not is_expired and not self._released.is_set():
            try:
                held = self._storage.get(self._info.path)
                unseal(self._keyring, SealedKind.LOCK, self._info.path, held)
            except NotStored:
                self._is_lost = True
            else:
                return
        raise errors.RepositoryLocked(
            f"The lock for {self._info.purpose} of {clocks.iso(self._info.created_at)} is lost:"
            " it was not refreshed in time, was removed, or was released.",
            hint="Start the command again; what is stored is whole, and it continues from there.",
        )

    def release(self) -> None:
        """Give the lock up. Harmless when it is lost already."""
        self._released.set()
        if self._info is None:
            return
        with self._guard, suppress(errors.StorageError):
            if not self._is_lost:
                self._storage.delete(self._info.path)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def _keep_fresh(self) -> None:
        while not self._released.wait(self._refresh_seconds):
            with self._guard:
                if self._released.is_set() or self._is_lost:
                    return
                # A store that fails now is asked again later; `ensure_held` decides by the time.
                with suppress(errors.StorageError):
                    self._refresh()

    def _refresh(self) -> None:
        info = self._info
        if info is None:
            return
        begun_at = self._clock.monotonic_seconds()
        if begun_at - self._refreshed_at >= self._life_seconds:
            self._is_lost = True
            return
        try:
            self._storage.size(info.path)
        except NotStored:
            self._is_lost = True  # somebody judged it stale: never put it back
            return
        fresh = _extended(info, self._clock.now() + dt.timedelta(seconds=self._life_seconds))
        sealed = seal(self._keyring, SealedKind.LOCK, info.path, fresh.to_json())
        self._storage.put_replacing(info.path, sealed)
        self._refreshed_at = begun_at


@dataclass(frozen=True, slots=True)
class LockBook:
    """All locks of a repository."""

    storage: Storage
    keyring: Keyring
    clock: clocks.Clock = clocks.SYSTEM
    life_seconds: float = LIFE_SECONDS
    refresh_seconds: float = REFRESH_SECONDS

    @contextmanager
    def hold(
        self,
        purpose: str,
        *,
        mode: LockMode,
        tenant_id: str | None = None,
        wait_seconds: float = 0.0,
        is_best_effort: bool = False,
    ) -> Iterator[Lock]:
        """Hold a lock for the length of the block.

        ``wait_seconds`` is how long to wait for one that excludes it. ``is_best_effort`` lets
        readers go on without a lock where the store refuses writes.
        Raises: ``errors.RepositoryLocked`` telling who holds it since when.
        """
        lock = self._acquire(purpose, mode, tenant_id, wait_seconds, is_best_effort)
        try:
            yield lock
        finally:
            lock.release()

    def list_locks(self) -> tuple[list[LockInfo], list[Stored]]:
        """Fetch the readable locks, stale ones included, and the objects that are none."""
        found: list[LockInfo] = []
        unreadable: list[Stored] = []
        for stored in self.storage.list_stored(_FOLDER):
            try:
                data = self.storage.get(stored.path)
                value = unseal(self.keyring, SealedKind.LOCK, stored.path, data)
                info = LockInfo.from_json(value, stored.path)
            except NotStored:
                continue  # released since the listing
            except errors.RepositoryDamaged:
                unreadable.append(stored)
                continue
            found.append(info)
        return found, unreadable

    def is_stale(self, info: LockInfo) -> bool:
        """Tell whether nobody can hold the lock any more."""
        if info.expires_at <= self.clock.now():
            return True
        here = _process(info.pid)
        if not info.boot or (info.host, info.boot, info.pid_namespace) != (
            here.host,
            here.boot,
            here.namespace,
        ):
            return False  # another machine, or one that cannot tell: only time decides
        return here.start != info.process_start

    def _acquire(
        self,
        purpose: str,
        mode: LockMode,
        tenant_id: str | None,
        wait_seconds: float,
        is_best_effort: bool,
    ) -> Lock:
        deadline = self.clock.monotonic_seconds() + wait_seconds
        collisions = 0
        while True:
            mine = self._new_info(purpose, mode, tenant_id)
            holder = self._first_excluding(mine)
            if holder is None:
                try:
                    sealed = seal(self.keyring, SealedKind.LOCK, mine.path, mine.to_json())
                    self.storage.put_new(mine.path, sealed)
                except StoreReadOnly:
                    if not is_best_effort:
                        raise
                    return self._lock(None)
                except errors.StorageError:
                    # It may be there all the same, and would keep everybody away while we live.
                    with suppress(errors.StorageError):
                        self.storage.delete(mine.path)
                    raise
                try:
                    holder = self._first_excluding(mine)
                except BaseException:
                    with suppress(errors.StorageError):
                        self.storage.delete(mine.path)
                    raise
                if holder is None:
                    return self._lock(mine)
                self.storage.delete(mine.path)
                collisions += 1
                if collisions < COLLISIONS:
                    # Both stepped back; without the pause both would come again at once.
                    self.clock.sleep(clocks.jitter(COLLISION_PAUSE_SECONDS * collisions, 0.9))
                    continue
            if self.clock.monotonic_seconds() >= deadline:
                raise _locked(holder)
            self.clock.sleep(clocks.jitter(POLL_SECONDS))

    def _lock(self, info: LockInfo | None) -> Lock:
        return Lock(
            self.storage, self.keyring, info, self.clock, self.refresh_seconds, self.life_seconds
        )

    def _first_excluding(self, mine: LockInfo) -> LockInfo | Stored | None:
        found, unreadable = self.list_locks()
        excluding: LockInfo | Stored | None = None
        for other in found:
            if other.id == mine.id:
                continue
            if self.is_stale(other):
                self._remove_stale(other.path)
            elif mine.excludes(other) and excluding is None:
                excluding = other
        oldest = self.clock.now() - dt.timedelta(seconds=self.life_seconds)
        for stored in unreadable:
            if stored.modified_at <= oldest:
                self._remove_stale(stored.path)
            elif excluding is None:
                excluding = stored
        return excluding

    def _remove_stale(self, path: str) -> None:
        with suppress(StoreReadOnly):
            self.storage.delete(path)

    def _new_info(self, purpose: str, mode: LockMode, tenant_id: str | None) -> LockInfo:
        now = self.clock.now()
        here = _process(os.getpid())
        return LockInfo(
            id=clocks.new_id(8),
            mode=mode,
            tenant_id=tenant_id,
            purpose=purpose,
            host=here.host,
            pid=here.pid,
            process_start=here.start,
            boot=here.boot,
            pid_namespace=here.namespace,
            created_at=now,
            expires_at=now + dt.timedelta(seconds=self.life_seconds),
        )


def _locked(holder: LockInfo | Stored) -> errors.RepositoryLocked:
    if isinstance(holder, Stored):
        return errors.RepositoryLocked(
            f"The repository holds a lock that cannot be read, {holder.path} of"
            f" {clocks.iso(holder.modified_at)}.",
            hint="Wait ten minutes after that time; it is removed then.",
        )
    tenant_id = (holder.tenant_id or "").removeprefix(RESTORE_PREFIX)
    what = f"tenant {tenant_id}" if tenant_id else "repository"
    return errors.RepositoryLocked(
        f"The {what} is locked for {holder.purpose} by process {holder.pid} on {holder.host} since"
        f" {clocks.iso(holder.created_at)}.",
        hint="Wait until it is done. A lock of a dead process on another machine ends at "
        f"{clocks.iso(holder.expires_at)}.",
    )


def _extended(info: LockInfo, expires_at: dt.datetime) -> LockInfo:
    return LockInfo.from_json({**info.to_json(), "expires_at": clocks.iso(expires_at)}, info.path)


def _process(pid: int) -> _Process:
    """Return who has ``pid`` now. Where the system cannot tell, ``boot`` is empty.

    A pid alone proves nothing: it is used again, and containers count on their own.
    """
    host = socket.gethostname()
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return _Process(host, pid, "", "", "")
    try:
        # The name in parentheses may hold spaces; field 22, the start, is the 20th after it.
        facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # A killed process keeps its entry until its parent asks, which some never do.
        start = "" if facts[0] in ("Z", "X") else facts[19]
    except (OSError, IndexError):
        start = ""
    return _Process(host, pid, start, boot, namespace)
