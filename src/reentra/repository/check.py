"""Verify every promise of ``docs/format.md`` section 11 and report all problems."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum

from reentra import clock as clocks
from reentra import errors, progress

from . import forgetting
from .config import CONFIG_PATH, load_config, verify_config
from .documents import parse_document
from .keys import parse_slot
from .locks import RESTORE_PREFIX
from .manifests import (
    MANIFEST_NAME,
    SNAPSHOT_ID,
    Manifest,
    SegmentInfo,
    manifest_path,
    tenant_of_directory,
)
from .repository import PARALLEL_READS, Repository, parse_manifest
from .segment_writer import Bounds
from .segments import SegmentReader
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
    """What was looked at, and what was found. ``bytes_read`` is what was verified by hash.

    ``snapshots`` and ``captures`` are those that are kept; ``forgotten`` wait for prune.
    """

    problems: tuple[CheckProblem, ...]
    tenants: int
    snapshots: int
    captures: int
    forgotten: int
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
            "captures": self.captures,
            "forgotten": self.forgotten,
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


@dataclass(frozen=True, slots=True)
class _Named:
    """A segment that a manifest names, and the snapshots that name it."""

    segment: SegmentInfo
    tenant_id: str
    snapshots: list[str]


@dataclass(slots=True)
class _Check:
    repository: Repository
    listener: progress.Listener
    problems: list[CheckProblem] = field(default_factory=list)
    manifests: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    superseded: list[Manifest] = field(default_factory=list)
    forgotten: set[tuple[str, str]] = field(default_factory=set)
    children: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    rows: int = 0
    bytes_read: int = 0

    def run(self, read_data: bool, expected_heads: Mapping[str, str]) -> CheckReport:
        self._check_config()
        stored = {one.path: one for one in self.repository.storage.list_stored("")}
        slots = self._check_slots(stored)
        tenants = self._check_manifests(stored)
        self._check_chains(stored)
        named = self._named_segments()
        self._check_segments(named, stored, read_data)
        documents = self._check_documents(stored)
        self._check_heads(expected_heads)
        self._check_rest(stored.values(), named)
        order = list(Severity)
        kept = self.manifests.keys() - self.forgotten
        captures = sum(1 for tenant, _ in kept if tenant.startswith(RESTORE_PREFIX))
        return CheckReport(
            problems=tuple(sorted(self.problems, key=lambda one: order.index(one.severity))),
            tenants=sum(1 for tenant in tenants if not tenant.startswith(RESTORE_PREFIX)),
            snapshots=len(kept) - captures,
            captures=captures,
            forgotten=len(self.manifests) - len(kept),
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

    def _fetch_all(self, paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Fetch small objects side by side; one that is gone since the listing is left out."""

        def fetch(path: str) -> tuple[str, bytes | None]:
            try:
                return path, self.repository.storage.get(path)
            except NotStored:
                return path, None

        with ThreadPoolExecutor(PARALLEL_READS) as pool:
            for path, data in pool.map(fetch, paths):
                if data is not None:
                    yield path, data

    def _check_config(self) -> None:
        try:
            config = load_config(self.repository.storage)
            verify_config(config, self.repository.keyring)
            if config["repository"] != self.repository.id:
                self._tell(CONFIG_PATH, "It is the configuration of another repository.")
        except (errors.RepositoryDamaged, errors.NotFound) as error:
            self._tell(CONFIG_PATH, error.message)

    def _check_slots(self, stored: Iterable[str]) -> int:
        slots = []
        for path, data in self._fetch_all(path for path in stored if path.startswith("keys/")):
            try:
                slot = parse_slot(data, path)
            except errors.RepositoryDamaged as error:
                self._tell(path, error.message)
                continue
            if slot.repository_id != self.repository.id:
                what = "The key slot belongs to another repository."
                self._tell(path, what, Severity.WARNING)
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

    def _check_manifests(self, stored: Iterable[str]) -> set[str]:
        keyring = self.repository.keyring
        tenants: dict[str, str] = {}
        paths = []
        for path in stored:
            parts = path.split("/")
            if parts[0] != "manifests":
                continue
            if len(parts) != 3 or not MANIFEST_NAME.fullmatch(parts[2]):
                self._tell(path, "It is no manifest's name.", Severity.WARNING)
                continue
            try:
                tenants[parts[1]] = tenant_of_directory(keyring, parts[1])
            except errors.RepositoryDamaged:
                what = "Its folder is no tenant's of this repository."
                self._tell(path, what, Severity.WARNING)
                continue
            paths.append(path)
        damaged: list[tuple[str, str, str, str]] = []
        for path, data in self._fetch_all(paths):
            _, directory, name = path.split("/")
            snapshot_id = name.partition(".")[0]
            tenant_id = tenants[directory]
            try:
                manifest = parse_manifest(keyring, path, data, tenant_id)
            except errors.RepositoryDamaged as error:
                damaged.append((path, error.message, tenant_id, snapshot_id))
                continue
            self._keep(manifest)
            if manifest.parent is not None:
                siblings = self.children.setdefault((tenant_id, manifest.parent.id), [])
                siblings.append(manifest.id)
        for path, what, tenant_id, snapshot_id in damaged:
            self._tell(path, what, snapshots=self._touched(tenant_id, [snapshot_id]))
        return set(tenants.values())

    def _keep(self, manifest: Manifest) -> None:
        """Take the last edition of each manifest, and set the others aside."""
        known = self.manifests.setdefault((manifest.tenant_id, manifest.id), manifest)
        if known is manifest:
            return
        older, newer = sorted((known, manifest), key=lambda one: one.edition)
        self.manifests[manifest.tenant_id, manifest.id] = newer
        self.superseded.append(older)
        keyring = self.repository.keyring
        path = manifest_path(keyring, older.tenant_id, older.id, older.edition)
        if older.sha256 != newer.sha256:
            what = f"Edition {newer.edition} of the snapshot does not stand for this manifest."
            self._tell(path, what, snapshots=[older.id])
        else:
            what = (
                f"Edition {newer.edition} takes its place: prune was stopped. The next one removes"
                " it. Harmless."
            )
            self._tell(path, what, Severity.INFORMATION)

    def _check_chains(self, stored: Mapping[str, Stored]) -> None:
        keyring = self.repository.keyring
        for manifest in (*self.manifests.values(), *self.superseded):
            tenant_id, snapshot_id = manifest.tenant_id, manifest.id
            if manifest.parent is None:
                continue
            parent = self.manifests.get((tenant_id, manifest.parent.id))
            if parent is None:
                if SNAPSHOT_ID.fullmatch(manifest.parent.id):
                    parent_path = manifest_path(keyring, tenant_id, manifest.parent.id)
                    if parent_path in stored:
                        continue  # it is there and damaged, which is told already
                what = f"The snapshot {manifest.parent.id}, which it is built on, is missing."
            elif parent.ref != manifest.parent:
                what = f"The snapshot {manifest.parent.id} is not the one that it was built on."
            else:
                continue
            path = manifest_path(keyring, tenant_id, snapshot_id, manifest.edition)
            self._tell(path, what, snapshots=self._touched(tenant_id, [snapshot_id]))

    def _named_segments(self) -> dict[str, _Named]:
        named: dict[str, _Named] = {}
        for manifest in (*self.manifests.values(), *self.superseded):
            tenant_id, snapshot_id = manifest.tenant_id, manifest.id
            for segment in manifest.segments:
                known = named.setdefault(segment.path, _Named(segment, tenant_id, []))
                known.snapshots.append(snapshot_id)
                if known.segment != segment or known.tenant_id != tenant_id:
                    what = "Two manifests tell this segment differently."
                    self._tell(segment.path, what, snapshots=known.snapshots)
        return named

    def _check_segments(
        self, named: Mapping[str, _Named], stored: Mapping[str, Stored], read_data: bool
    ) -> None:
        total = sum(one.segment.size_bytes for one in named.values()) if read_data else None
        self.listener(progress.Started(ACTIVITY, total))
        reader = SegmentReader(self.repository.storage, self.repository.keyring)
        for path, one in named.items():
            what = self._segment_problem(reader, one.segment, stored.get(path), read_data)
            if what:
                self._tell(path, what, snapshots=self._touched(one.tenant_id, one.snapshots))
            self.listener(progress.Advanced(ACTIVITY, self.bytes_read, total))
        summary = f"{len(self.manifests)} snapshots, {len(named)} segments"
        self.listener(progress.Finished(ACTIVITY, self.bytes_read, summary))

    def _segment_problem(
        self, reader: SegmentReader, segment: SegmentInfo, found: Stored | None, read_data: bool
    ) -> str:
        """Return what is wrong with a segment, empty when nothing is."""
        storage = self.repository.storage
        try:
            # A backup may have ended while the listing ran; the store itself has the last word.
            size_bytes = found.size_bytes if found else storage.size(segment.path)
            if size_bytes != segment.size_bytes:
                return f"The segment has {size_bytes} bytes instead of {segment.size_bytes}."
            if not read_data:
                return ""
            digest = hashlib.sha256()
            for chunk in iterate_ranges(storage, segment.path, segment.size_bytes):
                digest.update(chunk)
                self.bytes_read += len(chunk)
            if digest.hexdigest() != segment.sha256:
                return "The segment's SHA-256 is not the recorded one."
            rows = 0
            bounds: Bounds | None = None
            for batch in reader.scan(segment):
                bounds = bounds or Bounds.of_schema(batch.schema)
                bounds.add(batch)
                rows += batch.num_rows
        except NotStored:
            return "The segment is missing."
        except errors.RepositoryDamaged as error:
            return error.message
        self.rows += rows
        if rows != segment.rows or bounds is None or bounds.result() != segment.bounds:
            return "The segment's rows or bounds are not the recorded ones."
        return ""

    def _check_documents(self, stored: Iterable[str]) -> int:
        keyring = self.repository.keyring
        names: dict[str, str] = {}
        for path in stored:
            parts = path.split("/")
            if parts[0] != "documents":
                continue
            try:
                if len(parts) != 3:
                    raise errors.RepositoryDamaged("It is no document's name.")
                names[path] = keyring.unblind(f"document/{parts[1]}", parts[2])
                if parts[1] == forgetting.COLLECTION:
                    self._check_mark(path, names[path])
            except errors.RepositoryDamaged as error:
                self._tell(path, error.message, Severity.WARNING)
        whole = 0
        for path, data in self._fetch_all(names):
            try:
                parse_document(keyring, path, data, names[path])
                whole += 1
            except errors.RepositoryDamaged as error:
                self._tell(path, error.message)
        return whole

    def _check_mark(self, path: str, name: str) -> None:
        tenant_id, snapshot_id = forgetting.marked(name)
        self.forgotten.add((tenant_id, snapshot_id))
        if (tenant_id, snapshot_id) not in self.manifests:
            what = (
                f"It says that {snapshot_id} is forgotten, which is gone: prune was stopped. The"
                " next one removes it. Harmless."
            )
            self._tell(path, what, Severity.INFORMATION)

    def _check_heads(self, expected_heads: Mapping[str, str]) -> None:
        for tenant_id, snapshot_id in sorted(expected_heads.items()):
            if (tenant_id, snapshot_id) in self.manifests:
                continue
            path = manifest_path(self.repository.keyring, tenant_id, snapshot_id)
            if any(problem.path == path for problem in self.problems):
                continue  # it is there and damaged, which is told already
            if any(known > snapshot_id for tenant, known in self.manifests if tenant == tenant_id):
                what = (
                    f"The newest known snapshot of {tenant_id} is not there any more, and newer"
                    " ones are: somebody forgot it and pruned, or the store lost it."
                )
                self._tell(path, what, Severity.INFORMATION, [snapshot_id])
                continue
            what = (
                f"The newest known snapshot of {tenant_id} is missing: the store was rolled back."
            )
            self._tell(path, what, snapshots=[snapshot_id])

    def _check_rest(self, stored: Iterable[Stored], named: Mapping[str, _Named]) -> None:
        is_some_manifest_damaged = any(
            one.path.startswith("manifests/") and one.severity is Severity.DAMAGE
            for one in self.problems
        )
        for one in stored:
            folder = one.path.partition("/")[0]
            if folder == "segments" and one.path not in named:
                why = (
                    "a damaged manifest may"
                    if is_some_manifest_damaged
                    else "a backup was killed or is running. Harmless"
                )
                what = f"No readable snapshot names this segment ({one.size_bytes} bytes): {why}."
                self._tell(one.path, what, Severity.INFORMATION)
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

    def _touched(self, tenant_id: str, snapshots: Iterable[str]) -> set[str]:
        """Return these snapshots and all that are built on them."""
        found: set[str] = set()
        pending = list(snapshots)
        while pending:
            snapshot_id = pending.pop()
            if snapshot_id not in found:
                found.add(snapshot_id)
                pending.extend(self.children.get((tenant_id, snapshot_id), ()))
        return found
