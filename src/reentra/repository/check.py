"""Verify every promise of ``docs/format.md`` section 11 and report all problems."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reentra import clock as clocks
from reentra import errors, progress

from .keys import parse_slot
from .manifests import SNAPSHOT_ID, Manifest, SegmentInfo, manifest_path, tenant_of_directory
from .repository import (
    CONFIG_PATH,
    Repository,
    load_config,
    parse_document,
    parse_manifest,
    verify_config,
)
from .segments import Bounds, SegmentReader
from .storage import NotStored, Stored, iterate_ranges

ACTIVITY = "check"

_FOLDERS = ("segments", "keys", "manifests", "documents", "locks")


class Severity(StrEnum):
    """How bad it is: data is lost or untrue; something deserves a look; nothing is wrong."""

    DAMAGE = "damage"
    WARNING = "warning"
    INFORMATION = "information"


@dataclass(frozen=True, slots=True)
class CheckProblem:
    """One thing that is not as the format promises. ``snapshots`` are the ids that it touches."""

    path: str
    what: str
    severity: Severity
    snapshots: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        return {
            "path": self.path,
            "what": self.what,
            "severity": self.severity.value,
            "snapshots": list(self.snapshots),
        }


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was looked at, and what was found. ``bytes_read`` is what was verified by hash."""

    problems: tuple[CheckProblem, ...]
    tenants: int
    snapshots: int
    segments: int
    documents: int
    slots: int
    rows: int
    bytes_stored: int
    bytes_read: int

    @property
    def is_whole(self) -> bool:
        """Tell whether nothing is damaged."""
        return all(problem.severity is not Severity.DAMAGE for problem in self.problems)

    def to_json(self) -> dict[str, object]:
        return {
            "whole": self.is_whole,
            "problems": [problem.to_json() for problem in self.problems],
            "tenants": self.tenants,
            "snapshots": self.snapshots,
            "segments": self.segments,
            "documents": self.documents,
            "slots": self.slots,
            "rows": self.rows,
            "bytes_stored": self.bytes_stored,
            "bytes_read": self.bytes_read,
        }


def check_repository(
    repository: Repository,
    *,
    read_data: bool = True,
    expected_heads: Mapping[str, str] | None = None,
    listener: progress.Listener = progress.ignore,
) -> CheckReport:
    """Verify the repository and report everything that is wrong with it.

    ``read_data`` reads every segment whole; without it their presence and size are looked at.
    ``expected_heads`` is the newest snapshot of each tenant that the caller knows of: the store
    alone cannot tell that its newest ones were deleted. Writes nothing but a lock, where it may.
    Raises: ``errors.StorageError`` when the store fails; ``errors.RepositoryLocked``.
    """
    with repository.lock_shared("check"):
        return _Check(repository, listener).run(read_data, expected_heads or {})


@dataclass(slots=True)
class _Check:
    repository: Repository
    listener: progress.Listener
    problems: list[CheckProblem] = field(default_factory=list)
    manifests: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    rows: int = 0
    bytes_read: int = 0

    def run(self, read_data: bool, expected_heads: Mapping[str, str]) -> CheckReport:
        self._check_config()
        stored = {one.path: one for one in self.repository.storage.list_stored("")}
        slots = self._check_slots(stored.values())
        tenants = self._check_manifests(stored.values())
        self._check_chains()
        named = self._named_segments()
        self._check_segments(named, stored, read_data)
        documents = self._check_documents(stored.values())
        self._check_heads(expected_heads)
        self._check_rest(stored.values(), named)
        order = list(Severity)
        return CheckReport(
            problems=tuple(sorted(self.problems, key=lambda one: order.index(one.severity))),
            tenants=len(tenants),
            snapshots=len(self.manifests),
            segments=len(named),
            documents=documents,
            slots=slots,
            rows=self.rows,
            bytes_stored=sum(
                one.size_bytes for one in stored.values() if not one.path.startswith("locks/")
            ),
            bytes_read=self.bytes_read,
        )

    def _tell(
        self,
        path: str,
        what: str,
        severity: Severity = Severity.DAMAGE,
        snapshots: Iterable[str] = (),
    ) -> None:
        self.problems.append(CheckProblem(path, what, severity, tuple(sorted(set(snapshots)))))

    def _check_config(self) -> None:
        try:
            config = load_config(self.repository.storage)
            verify_config(config, self.repository.keyring)
            if config["repository"] != self.repository.id:
                self._tell(CONFIG_PATH, "It is the configuration of another repository.")
        except (errors.RepositoryDamaged, errors.NotFound) as error:
            self._tell(CONFIG_PATH, error.message)

    def _check_slots(self, stored: Iterable[Stored]) -> int:
        slots = []
        for one in stored:
            if not one.path.startswith("keys/"):
                continue
            try:
                slot = parse_slot(self.repository.storage.get(one.path), one.path)
            except NotStored:
                continue
            except errors.RepositoryDamaged as error:
                self._tell(one.path, error.message)
                continue
            if slot.repository_id != self.repository.id:
                self._tell(
                    one.path, "The key slot belongs to another repository.", Severity.WARNING
                )
                continue
            slots.append(slot)
        if not slots:
            self._tell("keys", "No key slot is left: without one nobody can open it again.")
        newest = max((slot.generation for slot in slots), default=0)
        newest = max(newest, self.repository.key_generation)
        for slot in slots:
            if slot.generation != newest:
                self._tell(
                    slot.path,
                    f"The key slot holds generation k{slot.generation} and the newest is k{newest}:"
                    " a rotation did not end, or an old slot was put back. Rotate again.",
                    Severity.WARNING,
                )
        return len(slots)

    def _check_manifests(self, stored: Iterable[Stored]) -> set[str]:
        keyring = self.repository.keyring
        tenants: set[str] = set()
        for one in stored:
            parts = one.path.split("/")
            if parts[0] != "manifests":
                continue
            if len(parts) != 3 or not SNAPSHOT_ID.fullmatch(parts[2]):
                self._tell(one.path, "It is no manifest's name.", Severity.WARNING)
                continue
            try:
                tenant_id = tenant_of_directory(keyring, parts[1])
            except errors.RepositoryDamaged:
                self._tell(
                    one.path, "Its folder is no tenant's of this repository.", Severity.WARNING
                )
                continue
            tenants.add(tenant_id)
            try:
                data = self.repository.storage.get(one.path)
                manifest = parse_manifest(keyring, one.path, data, tenant_id)
            except (NotStored, errors.RepositoryDamaged) as error:
                self._tell(one.path, error.message, snapshots=[parts[2]])
                continue
            self.manifests[tenant_id, manifest.id] = manifest
        return tenants

    def _check_chains(self) -> None:
        for (tenant_id, snapshot_id), manifest in self.manifests.items():
            if manifest.parent is None:
                continue
            path = manifest_path(self.repository.keyring, tenant_id, snapshot_id)
            touched = self._descendants(tenant_id, {snapshot_id})
            try:
                parent_path = manifest_path(self.repository.keyring, tenant_id, manifest.parent.id)
                data = self.repository.storage.get(parent_path)
            except (NotStored, errors.NotFound):
                what = f"The snapshot {manifest.parent.id}, which it is built on, is missing."
                self._tell(path, what, snapshots=touched)
                continue
            if hashlib.sha256(data).hexdigest() != manifest.parent.sha256:
                what = f"The snapshot {manifest.parent.id} is not the one that it was built on."
                self._tell(path, what, snapshots=touched)

    def _named_segments(self) -> dict[str, tuple[SegmentInfo, list[str]]]:
        """Return each segment that a manifest names, with the snapshots that need it."""
        named: dict[str, tuple[SegmentInfo, list[str]]] = {}
        for (tenant_id, snapshot_id), manifest in self.manifests.items():
            touched = self._descendants(tenant_id, {snapshot_id})
            for segment in manifest.segments:
                known = named.setdefault(segment.path, (segment, []))
                known[1].extend(touched)
                if known[0] != segment:
                    self._tell(segment.path, "Two manifests tell it differently.", Severity.DAMAGE)
        return named

    def _check_segments(
        self,
        named: Mapping[str, tuple[SegmentInfo, list[str]]],
        stored: Mapping[str, Stored],
        read_data: bool,
    ) -> None:
        total = sum(segment.size_bytes for segment, _ in named.values()) if read_data else None
        self.listener(progress.Started(ACTIVITY, total))
        reader = SegmentReader(self.repository.storage, self.repository.keyring)
        for path, (segment, touched) in named.items():
            found = stored.get(path)
            if found is None:
                self._tell(path, "The segment is missing.", snapshots=touched)
            elif found.size_bytes != segment.size_bytes:
                what = f"The segment has {found.size_bytes} bytes instead of {segment.size_bytes}."
                self._tell(path, what, snapshots=touched)
            elif read_data:
                self._check_data(reader, segment, touched)
            self.listener(progress.Advanced(ACTIVITY, self.bytes_read, total))
        summary = f"{len(self.manifests)} snapshots, {len(named)} segments"
        self.listener(progress.Finished(ACTIVITY, self.bytes_read, summary))

    def _check_data(self, reader: SegmentReader, segment: SegmentInfo, touched: list[str]) -> None:
        try:
            digest = hashlib.sha256()
            for chunk in iterate_ranges(self.repository.storage, segment.path, segment.size_bytes):
                digest.update(chunk)
                self.bytes_read += len(chunk)
            if digest.hexdigest() != segment.sha256:
                self._tell(
                    segment.path,
                    "The segment's SHA-256 is not the recorded one.",
                    snapshots=touched,
                )
                return
            rows = 0
            bounds: Bounds | None = None
            for batch in reader.scan(segment):
                bounds = bounds or Bounds.of_schema(batch.schema)
                bounds.add(batch)
                rows += batch.num_rows
        except NotStored:
            self._tell(segment.path, "The segment is missing.", snapshots=touched)
            return
        except errors.RepositoryDamaged as error:
            self._tell(segment.path, error.message, snapshots=touched)
            return
        self.rows += rows
        if rows != segment.rows or (bounds is not None and bounds.result() != segment.bounds):
            what = "The segment's rows or bounds are not the recorded ones."
            self._tell(segment.path, what, snapshots=touched)

    def _check_documents(self, stored: Iterable[Stored]) -> int:
        keyring = self.repository.keyring
        whole = 0
        for one in stored:
            parts = one.path.split("/")
            if parts[0] != "documents":
                continue
            try:
                if len(parts) != 3:
                    raise errors.RepositoryDamaged("It is no document's name.")
                name = keyring.unblind(f"document/{parts[1]}", parts[2])
            except errors.RepositoryDamaged as error:
                self._tell(one.path, error.message, Severity.WARNING)
                continue
            try:
                data = self.repository.storage.get(one.path)
                parse_document(keyring, one.path, data, name)
                whole += 1
            except NotStored:
                continue  # deleted since the listing, as documents may be
            except errors.RepositoryDamaged as error:
                self._tell(one.path, error.message)
        return whole

    def _check_heads(self, expected_heads: Mapping[str, str]) -> None:
        for tenant_id, snapshot_id in sorted(expected_heads.items()):
            if (tenant_id, snapshot_id) in self.manifests:
                continue
            path = manifest_path(self.repository.keyring, tenant_id, snapshot_id)
            if any(problem.path == path for problem in self.problems):
                continue  # it is there and damaged, which is told already
            what = (
                f"The newest known snapshot of {tenant_id} is missing: the store was rolled back."
            )
            self._tell(path, what, snapshots=[snapshot_id])

    def _check_rest(
        self, stored: Iterable[Stored], named: Mapping[str, tuple[SegmentInfo, list[str]]]
    ) -> None:
        for one in stored:
            folder = one.path.partition("/")[0]
            if folder == "segments" and one.path not in named:
                self._tell(
                    one.path,
                    f"No snapshot names this segment ({one.size_bytes} bytes): a backup was killed"
                    " or is running. Harmless.",
                    Severity.INFORMATION,
                )
            elif folder not in _FOLDERS and one.path != CONFIG_PATH:
                self._tell(one.path, "It does not belong here.", Severity.WARNING)
        found, unreadable = self.repository.lock_book.list_locks()
        for lock in found:
            if self.repository.lock_book.is_stale(lock):
                what = (
                    f"A stale lock for {lock.purpose} of {clocks.iso(lock.created_at)}:"
                    " its process died. The next writer removes it."
                )
                self._tell(lock.path, what, Severity.INFORMATION)
        for one in unreadable:
            self._tell(one.path, "The lock cannot be read.", Severity.WARNING)

    def _descendants(self, tenant_id: str, snapshots: set[str]) -> set[str]:
        """Return these snapshots and all that are built on them."""
        found = set(snapshots)
        for (tenant, snapshot_id), manifest in sorted(self.manifests.items()):
            # Ids sort by time, and a parent is older than its child: one pass is enough.
            if tenant == tenant_id and manifest.parent and manifest.parent.id in found:
                found.add(snapshot_id)
        return found
