"""The repository: create, open, write in the order that the format demands, read.

``docs/format.md`` section 2 governs the order of writes; nothing else stores manifests.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from typing import Any

import pyarrow as pa

from reentra import clock as clocks
from reentra import errors

from . import documents, forgetting
from .config import CONFIG_PATH, load_config, load_slots, new_config, open_any, verify_config
from .keys import (
    KdfCost,
    Keyring,
    Slot,
    SlotKind,
    looks_like_recovery_key,
    new_keyring,
    parse_recovery_key,
    passphrase_slot,
    recovery_slot,
    slot_path,
)
from .locks import RESTORE_PREFIX, Lock, LockBook, LockMode
from .manifests import (
    MANIFEST_NAME,
    Manifest,
    ManifestRef,
    SegmentInfo,
    manifest_from_json,
    manifest_name,
    manifest_path,
    manifest_to_json,
    snapshot_id,
    tenant_directory,
    tenant_of_directory,
)
from .sealed import SealedKind, seal, unseal
from .segment_writer import SegmentLayout, SegmentWriter
from .segments import SegmentReader
from .storage import AlreadyStored, NotStored, Storage, require_create_only

PARALLEL_READS = 8

_ATTEMPTS = 4  # to read a manifest that prune writes anew at the same time

_DATA_FOLDERS = ("manifests", "documents", "segments")

# Asked under the lock, when all is looked at and before the first write, with the ids of the slots
# that will go (but for one that only gets a new wrapping); what it raises ends the change.
Agreed = Callable[[frozenset[str]], None]
_KEY_CHANGE = "key change"
_DEFAULT_COST = KdfCost()
_DEFAULT_LAYOUT = SegmentLayout()


def _agreed(_going: frozenset[str]) -> None:
    """Agree to everything."""


def _of_passphrases(slots: Sequence[Slot]) -> list[Slot]:
    return [slot for slot in slots if slot.kind is SlotKind.PASSPHRASE]


class Repository:
    """An open repository. Safe for use by many threads. Opening and reading write nothing.

    Raises, everywhere: ``errors.RepositoryDamaged`` naming the object whose bytes are not the ones
    that were written, ``errors.StorageError`` when the store fails.
    """

    def __init__(
        self,
        storage: Storage,
        keyring: Keyring,
        created_at: dt.datetime,
        *,
        clock: clocks.Clock = clocks.SYSTEM,
        opened_by: str = "",
    ) -> None:
        self._opened_by = opened_by
        self._storage = storage
        self._keyring = keyring
        self._created_at = created_at
        self._clock = clock
        self._locks = LockBook(storage, keyring, clock)
        self._segments = SegmentReader(storage, keyring)

    # ---------------------------------------------------------------- create, open

    @classmethod
    def create(
        cls,
        storage: Storage,
        passphrase: str,
        *,
        cost: KdfCost = _DEFAULT_COST,
        clock: clocks.Clock = clocks.SYSTEM,
    ) -> tuple[Repository, str]:
        """Make a repository and return it with its recovery key, which is never shown again.

        Raises: ``errors.AlreadyExists`` when there is one; it is left as it is.
        ``errors.ConfigurationError`` when the store cannot hold one.
        """
        now = clock.now()
        try:
            storage.get(CONFIG_PATH)
        except NotStored:
            pass
        else:
            raise _exists(storage)
        _ensure_no_data(storage)
        require_create_only(storage)
        keyring = new_keyring(clocks.new_id(16), now)
        first_id, first = passphrase_slot(keyring, passphrase, now, cost)
        second_id, second, recovery_key = recovery_slot(keyring, now)
        storage.put_new(slot_path(first_id), first)
        storage.put_new(slot_path(second_id), second)
        try:
            storage.put_new(CONFIG_PATH, new_config(keyring, now))
        except AlreadyStored as error:
            for slot_id in (first_id, second_id):
                with suppress(errors.StorageError):
                    storage.delete(slot_path(slot_id))
            raise _exists(storage) from error
        with suppress(errors.StorageError):
            _remove_slots_but(storage, {slot_path(first_id), slot_path(second_id)})
        return cls(storage, keyring, now, clock=clock, opened_by=first_id), recovery_key

    @classmethod
    def open(
        cls, storage: Storage, secret: str, *, clock: clocks.Clock = clocks.SYSTEM
    ) -> Repository:
        """Open a repository by its passphrase or recovery key. Needs no right to write.

        Raises: ``errors.NotFound`` when there is none, ``errors.WrongPassphrase``,
        ``errors.RepositoryDamaged``, ``errors.UnsupportedFormat``.
        """
        config = load_config(storage)
        slots, damaged = load_slots(storage, str(config["repository"]))
        found = open_any(slots, secret)
        if found is None:
            if damaged:
                raise damaged[0]
            if not slots:
                raise errors.RepositoryDamaged(f"No key slot is left below keys/ in {storage.url}.")
            looks = looks_like_recovery_key(secret) and parse_recovery_key(secret) is None
            raise errors.WrongPassphrase(
                f"No key slot of {storage.url} opens with what was given."
                + (" It looks like a recovery key with a mistyped letter." if looks else "")
            )
        slot, keyring = found
        verify_config(config, keyring)
        created_at = clocks.parse_iso(config["created_at"])
        return cls(storage, keyring, created_at, clock=clock, opened_by=slot.id)

    @property
    def id(self) -> str:
        return self._keyring.repository_id

    @property
    def url(self) -> str:
        """Return where it is, for people."""
        return self._storage.url

    @property
    def created_at(self) -> dt.datetime:
        return self._created_at

    @property
    def key_generation(self) -> int:
        """Return the key generation that encrypts what is written now."""
        return self._keyring.newest

    @property
    def storage(self) -> Storage:
        """Return the store below, for ``check`` and ``prune``."""
        return self._storage

    @property
    def keyring(self) -> Keyring:
        """Return the keys, for ``check`` and ``prune``."""
        return self._keyring

    @property
    def lock_book(self) -> LockBook:
        """Return the locks, for ``check``."""
        return self._locks

    # ---------------------------------------------------------------- keys

    def list_slots(self) -> list[Slot]:
        """Fetch the key slots that are whole."""
        return load_slots(self._storage, self.id)[0]

    @property
    def opened_by(self) -> str:
        """Return the id of the slot by which this process opened the repository."""
        return self._opened_by

    def add_slot(
        self, passphrase: str, *, cost: KdfCost = _DEFAULT_COST, agreed: Agreed = _agreed
    ) -> str:
        """Let one more passphrase open the repository and return the new slot's id.

        Raises: ``errors.Refused`` when another process has rotated the keys meanwhile;
        ``errors.RepositoryLocked``; what ``agreed`` raises.
        """
        with self.lock_exclusive(_KEY_CHANGE):
            self._ensure_newest(self.list_slots())
            slot_id, data = passphrase_slot(self._keyring, passphrase, self._clock.now(), cost)
            agreed(frozenset())
            self._storage.put_new(slot_path(slot_id), data)
        return slot_id

    def remove_slot(self, slot_id: str, *, agreed: Agreed = _agreed) -> None:
        """Take a slot away. Whoever copied it before can still read; ``rotate`` ends that.

        Raises: ``errors.NotFound``; ``errors.Refused`` for the last slot that opens everything;
        ``errors.RepositoryLocked``; what ``agreed`` raises.
        """
        with self.lock_exclusive(_KEY_CHANGE):
            slots = self.list_slots()
            if slot_id not in {slot.id for slot in slots}:
                raise errors.NotFound(
                    f"The repository has no key slot {slot_id}.",
                    hint=f"It has {', '.join(slot.id for slot in slots)}.",
                )
            # One of an older generation does not read what was written since.
            newest = max(slot.generation for slot in slots)
            if not [slot for slot in slots if slot.id != slot_id and slot.generation == newest]:
                raise errors.Refused(
                    f"The key slot {slot_id} is the last one that opens everything; without it"
                    " nobody could read again.",
                    hint="Add another passphrase first.",
                )
            agreed(frozenset({slot_id}))
            self._storage.delete(slot_path(slot_id))

    def change_passphrase(
        self, old: str, new: str, *, cost: KdfCost = _DEFAULT_COST, agreed: Agreed = _agreed
    ) -> str:
        """Replace the slot that ``old`` opens by one for ``new`` and return its id.

        Raises: ``errors.WrongPassphrase``; as ``add_slot``.
        """
        with self.lock_exclusive(_KEY_CHANGE):
            slots = self.list_slots()
            self._ensure_newest(slots)
            opened = [slot for slot in _of_passphrases(slots) if slot.open(old) is not None]
            if not opened:
                raise errors.WrongPassphrase(
                    f"No key slot of {self.url} opens with the old passphrase."
                )
            slot_id, data = passphrase_slot(self._keyring, new, self._clock.now(), cost)
            agreed(frozenset(slot.id for slot in opened))
            self._storage.put_new(slot_path(slot_id), data)
            for slot in opened:
                self._storage.delete(slot.path)
        return slot_id

    def holds_nothing(self) -> bool:
        """Look whether no snapshot and no document was ever stored."""
        return not any(self._storage.list_stored(folder) for folder in _DATA_FOLDERS)

    def add_recovery_key(self, *, agreed: Agreed = _agreed) -> str:
        """Let one more recovery key open the repository and return it; it is never shown again.

        Raises: as ``add_slot``, but that no lock is taken: what is new harms nobody.
        """
        self._ensure_newest(self.list_slots())
        slot_id, data, recovery_key = recovery_slot(self._keyring, self._clock.now())
        agreed(frozenset())
        self._storage.put_new(slot_path(slot_id), data)
        if self.holds_nothing():
            _remove_slots_but(self._storage, {slot.path for slot in self.list_slots()})
        return recovery_key

    def rotate(
        self, passphrase: str, *, cost: KdfCost = _DEFAULT_COST, agreed: Agreed = _agreed
    ) -> str:
        """Encrypt what is written from now on with a new key generation; return a recovery key.

        Afterwards only ``passphrase`` (which must open the repository now) and the new recovery key
        open it; all other slots are removed. Old data stays readable and is not written anew.
        Other processes that have the repository open keep writing with the generation they know.
        Repeating it after a crash is safe.
        Raises: ``errors.WrongPassphrase``, ``errors.RepositoryLocked``.
        """
        with self.lock_exclusive(_KEY_CHANGE):
            slots, _ = load_slots(self._storage, self.id)
            current = open_any(_of_passphrases(slots), passphrase)
            if current is None:
                raise errors.WrongPassphrase(f"No key slot of {self.url} opens with it.")
            kept, known = current
            now = self._clock.now()
            keyring = known.with_new_generation(now)
            first_id, first = passphrase_slot(keyring, passphrase, now, cost)
            second_id, second, recovery_key = recovery_slot(keyring, now)
            agreed(frozenset(slot.id for slot in slots) - {kept.id})
            self._storage.put_new(slot_path(first_id), first)
            self._storage.put_new(slot_path(second_id), second)
            for slot in slots:
                self._storage.delete(slot.path)
        if kept.id == self._opened_by:
            self._opened_by = first_id
        self._keyring = keyring
        self._locks = LockBook(self._storage, keyring, self._clock)
        self._segments = SegmentReader(self._storage, keyring)
        return recovery_key

    def _ensure_newest(self, slots: Sequence[Slot]) -> None:
        if any(slot.generation > self.key_generation for slot in slots):
            raise errors.Refused(
                "The keys were rotated since the repository was opened.", hint="Open it again."
            )

    # ---------------------------------------------------------------- snapshots

    def new_snapshot_id(self, now: dt.datetime) -> str:
        """Return a fresh snapshot id; ids of one tenant sort by time."""
        return snapshot_id(now)

    def segment_writer(
        self, table: str, schema: pa.Schema, layout: SegmentLayout = _DEFAULT_LAYOUT
    ) -> SegmentWriter:
        """Return a writer for rows of one table; use it as a context and ``close`` it inside."""
        return SegmentWriter(self._storage, self._keyring, table, schema, layout)

    def commit(
        self,
        *,
        lock: Lock,
        tenant_id: str,
        snapshot_id: str,
        created_at: dt.datetime,
        parent: ManifestRef | None,
        segments: Sequence[SegmentInfo],
        payload: Mapping[str, Any],
    ) -> Manifest:
        """Make a snapshot exist: the one commit point. It is durable when this returns.

        ``lock`` is the tenant's or an exclusive one, held since before the parent was chosen.
        ``payload`` is any JSON. Verifies first that the parent is the one named and that every
        segment is stored. After a ``StorageError`` the snapshot may exist or not; look.
        Raises: ``errors.RepositoryLocked`` when the lock is lost, ``errors.RepositoryDamaged`` when
        parent or segment is not there.
        """
        self._require_cover(lock, tenant_id)
        path = manifest_path(self._keyring, tenant_id, snapshot_id)
        if parent is not None:
            try:
                known = self.load_manifest(tenant_id, parent.id)
            except errors.NotFound as error:
                raise errors.RepositoryDamaged(
                    f"The parent {parent.id} is missing; the snapshot is not committed."
                ) from error
            if known.ref != parent:
                raise errors.RepositoryDamaged(
                    f"The parent {parent.id} is not the manifest that it was when it was read;"
                    " the snapshot is not committed."
                )
        for segment in segments:
            self._require_stored(segment)
        value = manifest_to_json(
            tenant_id=tenant_id,
            snapshot_id=snapshot_id,
            created_at=created_at,
            parent=parent,
            segments=tuple(segments),
            payload=payload,
        )
        data = seal(self._keyring, SealedKind.MANIFEST, path, value)
        lock.ensure_held()
        self._storage.put_new(path, data)
        # What is returned is what a reader would load, so nothing differs after a reopening.
        return self._parse_manifest(path, data, tenant_id)

    def commit_edition(
        self, *, lock: Lock, stored: Manifest, segments: Sequence[SegmentInfo]
    ) -> Manifest:
        """Write the manifest of a kept snapshot anew, standing on nothing that is forgotten.

        ``segments`` replay to what those of ``stored`` and of the forgotten ones before it do.
        ``lock`` is exclusive. The edition before it stays; both tell the same state.
        Raises: as ``commit``.
        """
        self._require_cover(lock, stored.tenant_id)
        forgotten = self.list_forgotten(stored.tenant_id)
        parent = self._joined(stored.tenant_id, stored, forgotten).parent
        if parent is not None:
            self._load_parent(stored.tenant_id, stored.id, parent, None)
        for segment in segments:
            self._require_stored(segment)
        edition = stored.edition + 1
        path = manifest_path(self._keyring, stored.tenant_id, stored.id, edition)
        value = manifest_to_json(
            tenant_id=stored.tenant_id,
            snapshot_id=stored.id,
            created_at=stored.created_at,
            parent=parent,
            segments=tuple(segments),
            payload=stored.payload,
            edition=edition,
            stands_for=stored.sha256,
        )
        data = seal(self._keyring, SealedKind.MANIFEST, path, value)
        lock.ensure_held()
        self._storage.put_new(path, data)
        return self._parse_manifest(path, self._storage.get(path), stored.tenant_id)

    def list_tenants(self) -> list[str]:
        """Fetch the ids of the tenants that have snapshots; needs nothing but the key.

        Captures, which name segments too, are listed under ``captures_of`` a tenant.
        """
        directories = {
            stored.path.split("/")[1]
            for stored in self._storage.list_stored("manifests")
            if stored.path.count("/") == 2
        }
        found = []
        for directory in directories:
            with suppress(errors.RepositoryDamaged):  # foreign folders are for `check` to tell
                found.append(tenant_of_directory(self._keyring, directory))
        return sorted(tenant for tenant in found if not tenant.startswith(RESTORE_PREFIX))

    def count_stored(self) -> tuple[int, int]:
        """Fetch how many files there are and how many bytes they take, of all tenants."""
        stored = self._storage.list_stored("")
        return len(stored), sum(one.size_bytes for one in stored)

    @staticmethod
    def captures_of(tenant_id: str) -> str:
        """Return the name under which the captures of a tenant's restores are kept as snapshots."""
        return RESTORE_PREFIX + tenant_id

    def list_snapshot_ids(self, tenant_id: str) -> list[str]:
        """Fetch the ids of the tenant's snapshots, newest last, without reading them.

        Forgotten ones are left out, here and everywhere.
        """
        return sorted(self.list_editions(tenant_id))

    def list_editions(self, tenant_id: str) -> dict[str, int]:
        """Fetch the ids of the tenant's snapshots, each with its manifest's edition."""
        forgotten = self.list_forgotten(tenant_id)  # first: it goes away after the manifest
        found: dict[str, int] = {}
        for one, edition in self._list_stored_editions(tenant_id):
            # The first one is read while it is there: see `_load_stored`.
            if one not in forgotten and found.get(one) != 0:
                found[one] = max(edition, found.get(one, 0)) if edition else 0
        return found

    def list_manifests(self, tenant_id: str) -> list[Manifest]:
        """Fetch all manifests of a tenant, newest last."""
        names = self.list_snapshot_ids(tenant_id)
        forgotten = self.list_forgotten(tenant_id)
        with ThreadPoolExecutor(PARALLEL_READS) as pool:
            return list(pool.map(lambda name: self._load(tenant_id, name, forgotten), names))

    def load_manifest(self, tenant_id: str, snapshot_id: str) -> Manifest:
        """Fetch one manifest; what it stands on is never forgotten.

        The segments of forgotten snapshots between it and its parent come before its own.
        Raises: ``errors.NotFound``, also when it was forgotten.
        """
        return self._load(tenant_id, snapshot_id, self.list_forgotten(tenant_id))

    def load_chain(self, tenant_id: str, snapshot_id: str) -> list[Manifest]:
        """Fetch a snapshot's manifest and all its ancestors, oldest first, each hash verified.

        Forgotten ones are joined to the next that is kept.
        Raises: ``errors.NotFound`` for the snapshot itself.
        """
        forgotten = self.list_forgotten(tenant_id)
        chain = [self._load(tenant_id, snapshot_id, forgotten)]
        while (parent := chain[-1].parent) is not None:
            chain.append(self._load_parent(tenant_id, chain[-1].id, parent, forgotten))
        return chain[::-1]

    # ---------------------------------------------------------------- forgetting

    def list_forgotten(self, tenant_id: str) -> frozenset[str]:
        """Fetch the ids of the tenant's snapshots that are forgotten and not pruned yet."""
        return forgetting.list_forgotten(self._storage, self._keyring, tenant_id)

    def forget(self, tenant_id: str, snapshot_ids: Sequence[str], *, lock: Lock) -> None:
        """Hide snapshots from every reader, for ever. Frees no space; ``prune`` does.

        Every other snapshot stays as it is. Repeating it is harmless; killed in between, some are
        forgotten. ``lock`` is as for ``commit``.
        Raises: ``errors.NotFound``; ``errors.Refused`` for the newest snapshot, on which the next
        backup builds; ``errors.RepositoryLocked``.
        """
        self._require_cover(lock, tenant_id)
        present = self.list_snapshot_ids(tenant_id)
        forgotten = self.list_forgotten(tenant_id)
        for one in snapshot_ids:
            if one not in present and one not in forgotten:
                raise _no_snapshot(tenant_id, one)
        is_capture = tenant_id.startswith(RESTORE_PREFIX)
        if present and present[-1] in snapshot_ids and not is_capture:
            raise forgetting.newest_refused(present[-1])
        for one in snapshot_ids:
            if one not in forgotten:
                lock.ensure_held()
                forgetting.mark(self._storage, self._keyring, tenant_id, one, self._clock.now())

    def _load(self, tenant_id: str, snapshot_id: str, forgotten: frozenset[str]) -> Manifest:
        if snapshot_id in forgotten:
            raise errors.NotFound(
                f"The snapshot {snapshot_id} of the tenant {tenant_id} was forgotten.",
                hint="Look in the list of those that are kept.",
                typed="reentra snapshots NAME",
            )
        stored = self._load_stored(tenant_id, snapshot_id)
        while True:
            try:
                return self._joined(tenant_id, stored, forgotten)
            except errors.RepositoryDamaged:
                # Prune may have written it anew meanwhile, and then taken away what it stood on.
                again = self._load_stored(tenant_id, snapshot_id)
                if again.edition == stored.edition:
                    raise
                stored = again

    def _joined(self, tenant_id: str, stored: Manifest, forgotten: frozenset[str]) -> Manifest:
        """Return a manifest with the forgotten ones that it stands on in it."""
        absorbed: list[Manifest] = []
        at = stored
        while at.parent is not None and at.parent.id in forgotten:
            at = self._load_parent(tenant_id, at.id, at.parent, None)
            absorbed.append(at)
        return forgetting.joined(stored, absorbed[::-1])

    def _load_parent(
        self, tenant_id: str, child_id: str, parent: ManifestRef, forgotten: frozenset[str] | None
    ) -> Manifest:
        """Fetch what a snapshot is built on: joined, or as it is stored for ``None``."""
        try:
            if forgotten is None:
                found = self._load_stored(tenant_id, parent.id)
            else:
                found = self._load(tenant_id, parent.id, forgotten)
        except errors.NotFound as error:
            raise errors.RepositoryDamaged(
                f"The snapshot {parent.id}, which {child_id} is built on, is missing."
            ) from error
        if found.ref != parent:
            raise errors.RepositoryDamaged(
                f"The snapshot {parent.id} is not the one that {child_id} was built on."
            )
        return found

    def _load_stored(self, tenant_id: str, snapshot_id: str) -> Manifest:
        """Fetch a manifest as it is stored: the first edition, or the last where that is gone.

        While the first one is there, all that it names is: it goes first when space is freed.
        """
        path = manifest_path(self._keyring, tenant_id, snapshot_id)
        for _ in range(_ATTEMPTS):
            try:
                return self._parse_manifest(path, self._storage.get(path), tenant_id)
            except NotStored:
                found = self._list_stored_editions(tenant_id)
                later = [edition for name, edition in found if name == snapshot_id]
                if not later:
                    break
                path = manifest_path(self._keyring, tenant_id, snapshot_id, max(later))
        raise _no_snapshot(tenant_id, snapshot_id)

    def _list_stored_editions(self, tenant_id: str) -> list[tuple[str, int]]:
        folder = tenant_directory(self._keyring, tenant_id)
        names = (stored.path.rpartition("/")[2] for stored in self._storage.list_stored(folder))
        matches = (MANIFEST_NAME.fullmatch(name) for name in names)
        return [(one[1], int(one[2] or 0)) for one in matches if one]

    def scan(
        self,
        segment: SegmentInfo,
        columns: Sequence[str] | None = None,
        *,
        where: Mapping[str, object] | None = None,
        first_row: int = 0,
        last_row: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Fetch a segment's rows in order; see ``SegmentReader.scan``."""
        return self._segments.scan(
            segment, columns, where=where, first_row=first_row, last_row=last_row
        )

    def read_rows(
        self, segment: SegmentInfo, rows: Sequence[int], columns: Sequence[str] | None = None
    ) -> pa.Table:
        """Fetch single rows by number, in the order asked for; about a millisecond each."""
        return self._segments.read_rows(segment, rows, columns)

    def find_rows(self, segment: SegmentInfo, where: Mapping[str, object]) -> list[int]:
        """Fetch the numbers of the rows whose columns equal ``where``."""
        return self._segments.find_rows(segment, where)

    # ---------------------------------------------------------------- documents

    def put_document(self, collection: str, name: str, value: object) -> None:
        """Store a small JSON document under a new name; it is durable when this returns.

        Raises: ``errors.AlreadyExists`` when the name is taken; the old one stays.
        """
        documents.put_document(self._storage, self._keyring, collection, name, value)

    def load_document(self, collection: str, name: str) -> Any:
        """Fetch a document's value.

        Raises: ``errors.NotFound``.
        """
        return documents.load_document(self._storage, self._keyring, collection, name)

    def load_document_text(self, collection: str, name: str) -> bytes:
        """Fetch a document's value as the canonical JSON that was written, for a large one.

        Raises: ``errors.NotFound``, ``errors.RepositoryDamaged``.
        """
        return documents.load_document_text(self._storage, self._keyring, collection, name)

    def list_documents(self, collection: str, prefix: str = "") -> list[str]:
        """Fetch the names in a collection that begin with ``prefix``, sorted."""
        return documents.list_documents(self._storage, self._keyring, collection, prefix)

    def delete_document(self, collection: str, name: str) -> None:
        """Remove a document; nothing happens when there is none."""
        documents.delete_document(self._storage, self._keyring, collection, name)

    def load_document_bytes(self, collection: str, name: str) -> bytes:
        """Fetch a document as it is stored, whether it can be read or not.

        Raises: ``errors.NotFound``.
        """
        return documents.load_document_bytes(self._storage, self._keyring, collection, name)

    # ---------------------------------------------------------------- locks

    def lock_shared(self, purpose: str, *, wait_seconds: float = 0) -> AbstractContextManager[Lock]:
        """Keep exclusive work away; a read-only store is read without a lock."""
        return self._locks.hold(
            purpose, mode=LockMode.SHARED, wait_seconds=wait_seconds, is_best_effort=True
        )

    def lock_exclusive(
        self, purpose: str, *, wait_seconds: float = 0
    ) -> AbstractContextManager[Lock]:
        """Keep everybody else away."""
        return self._locks.hold(purpose, mode=LockMode.EXCLUSIVE, wait_seconds=wait_seconds)

    def lock_tenant(
        self, tenant_id: str, purpose: str, *, wait_seconds: float = 0
    ) -> AbstractContextManager[Lock]:
        """Be the only writer of a tenant's snapshots; other tenants' writers go on."""
        return self._locks.hold(
            purpose, mode=LockMode.SHARED, tenant_id=tenant_id, wait_seconds=wait_seconds
        )

    def lock_restore(
        self, tenant_id: str, purpose: str, *, wait_seconds: float = 0
    ) -> AbstractContextManager[Lock]:
        """Be the only one who restores a tenant; backups of it go on."""
        return self._locks.hold(
            purpose,
            mode=LockMode.SHARED,
            tenant_id=self.captures_of(tenant_id),
            wait_seconds=wait_seconds,
        )

    # ---------------------------------------------------------------- inside

    @staticmethod
    def _require_cover(lock: Lock, tenant_id: str) -> None:
        if not lock.covers(tenant_id):
            raise errors.UsageError(
                f"The lock does not cover the tenant {tenant_id}.",
                hint="This is a fault of the program.",
            )

    def _require_stored(self, segment: SegmentInfo) -> None:
        try:
            size_bytes = self._storage.size(segment.path)
        except NotStored as error:
            raise errors.RepositoryDamaged(
                f"The segment {segment.path} is missing; the snapshot is not committed."
            ) from error
        if size_bytes != segment.size_bytes:
            raise errors.RepositoryDamaged(
                f"The segment {segment.path} has {size_bytes} bytes instead of"
                f" {segment.size_bytes}; the snapshot is not committed."
            )

    def _parse_manifest(self, path: str, data: bytes, tenant_id: str) -> Manifest:
        return parse_manifest(self._keyring, path, data, tenant_id)


def parse_manifest(keyring: Keyring, path: str, data: bytes, tenant_id: str) -> Manifest:
    """Return the manifest stored at ``path`` of ``tenant_id``.

    Raises: ``errors.RepositoryDamaged``, ``errors.UnsupportedFormat``.
    """
    value = unseal(keyring, SealedKind.MANIFEST, path, data)
    manifest = manifest_from_json(value, path, hashlib.sha256(data).hexdigest())
    name = manifest_name(manifest.id, manifest.edition)
    if name != path.rpartition("/")[2] or manifest.tenant_id != tenant_id:
        raise errors.RepositoryDamaged(f"The manifest {path} is another snapshot's.")
    return manifest


def _no_snapshot(tenant_id: str, snapshot_id: str) -> errors.NotFound:
    return errors.NotFound(
        f"The tenant {tenant_id} has no snapshot {snapshot_id}.",
        hint="Look in the list of snapshots.",
        typed="reentra snapshots NAME",
    )


def _ensure_no_data(storage: Storage) -> None:
    """Let pass a place without snapshots: a new key over old data would bury it."""
    if any(storage.list_stored(folder) for folder in _DATA_FOLDERS):
        raise errors.RepositoryDamaged(
            f"{storage.url} holds the data of a repository whose {CONFIG_PATH} is missing.",
            hint=f"Put its {CONFIG_PATH} back from a copy of the store, or name another place.",
        )


def _remove_slots_but(storage: Storage, kept: set[str]) -> None:
    """Remove what an ``init`` that died left; only where nothing is stored that it could open."""
    for stored in storage.list_stored("keys"):
        if stored.path not in kept:
            storage.delete(stored.path)


def _exists(storage: Storage) -> errors.AlreadyExists:
    return errors.AlreadyExists(
        f"There is a repository at {storage.url} already.",
        hint="Open it with its passphrase, or name another place.",
    )
