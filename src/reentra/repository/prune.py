"""Give back the space of forgotten snapshots without ever endangering a kept one.

``docs/format.md`` section 2, rule 10, is the order of writes; sections 8.1 and 8.2 are what is
written. What kept snapshots need of forgotten ones is merged and stored first, then read back; only
then anything is deleted. Killed anywhere, the next prune ends the work.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from reentra import clock as clocks
from reentra import errors, progress

from . import forgetting
from .locks import RESTORE_PREFIX, Lock
from .manifests import (
    MANIFEST_NAME,
    Manifest,
    SegmentInfo,
    manifest_path,
    tenant_directory,
    tenant_of_directory,
)
from .repository import Repository, parse_manifest
from .storage import Stored

ACTIVITY = "prune"
# A checkpoint names segments that no manifest names, and is good for 12 hours.
ORPHAN_SECONDS = 24 * 3600
DELETED_AT_ONCE = 100  # between two looks at the lock


class MergesSegments(Protocol):
    """What the layer above knows of its rows."""

    def merge(
        self, segments: Sequence[SegmentInfo], *, has_parent: bool
    ) -> tuple[SegmentInfo, ...]:
        """Return stored segments that replay to what ``segments`` do."""

    def digest(self, segments: Sequence[SegmentInfo], *, has_parent: bool) -> str:
        """Return what is equal when two lists of segments replay to the same, byte for byte."""


@dataclass(frozen=True, slots=True)
class Merge:
    """A kept snapshot that takes over what it needs of forgotten ones."""

    stored: Manifest
    joined: Manifest
    absorbed: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        return {
            "tenant_id": self.stored.tenant_id.removeprefix(RESTORE_PREFIX),
            "snapshot": self.stored.id,
            "absorbs": list(self.absorbed),
            "bytes": sum(segment.size_bytes for segment in self.joined.segments),
        }


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What a prune would do now. ``bytes_unneeded`` is what it deletes beside what it merges.

    What merging gives back is known when it is done.
    """

    merges: tuple[Merge, ...]
    forgotten: tuple[str, ...]
    manifests: tuple[str, ...]
    marks: tuple[tuple[str, str], ...]
    segments: tuple[Stored, ...]

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to do."""
        return not (self.merges or self.manifests or self.marks or self.segments)

    @property
    def bytes_unneeded(self) -> int:
        return sum(stored.size_bytes for stored in self.segments)

    def to_json(self) -> dict[str, Any]:
        return {
            "merges": [merge.to_json() for merge in self.merges],
            "forgotten": list(self.forgotten),
            "segments": len(self.segments),
            "bytes_unneeded": self.bytes_unneeded,
        }


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What a prune did. ``bytes_freed`` may be negative where little was forgotten."""

    merged: int
    manifests_deleted: int
    segments_deleted: int
    bytes_before: int
    bytes_after: int

    def to_json(self) -> dict[str, object]:
        return {
            "merged": self.merged,
            "manifests_deleted": self.manifests_deleted,
            "segments_deleted": self.segments_deleted,
            "bytes_before": self.bytes_before,
            "bytes_after": self.bytes_after,
            "bytes_freed": self.bytes_before - self.bytes_after,
        }


def plan_prune(repository: Repository, now: dt.datetime) -> PrunePlan:
    """Look what a prune would do. Writes nothing.

    Raises: ``errors.RepositoryDamaged`` where a kept snapshot is not whole: nothing may be deleted
    then, because nobody can tell what is needed.
    """
    return _Look(repository).plan(now, frozenset())


def prune(
    repository: Repository,
    merger: MergesSegments,
    *,
    clock: clocks.Clock = clocks.SYSTEM,
    on_committed: Callable[[], None] = lambda: None,
    listener: progress.Listener = progress.ignore,
    wait_seconds: float = 0,
) -> PruneReport:
    """Merge, verify, and delete what no kept snapshot needs.

    Nobody else may work on the repository meanwhile. ``on_committed`` is called when readers have
    to look at new segments and the old ones are still there: a catalog is brought up to date then.
    Killed, or left by an exception from ``listener``, it is ended by the next one.
    Raises: ``errors.RepositoryLocked``; ``errors.RepositoryDamaged`` as ``plan_prune``, and when
    what was merged is not what it was made of; then nothing was deleted.
    """
    with repository.lock_exclusive("prune", wait_seconds=wait_seconds) as lock:
        return _Prune(repository, merger, lock, clock, on_committed, listener).run()


@dataclass(slots=True)
class _Look:
    """Everything that manifests and marks say, and whether the kept ones are whole."""

    repository: Repository
    stored: list[Stored] = field(default_factory=list)
    current: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    superseded: list[Manifest] = field(default_factory=list)
    unreadable: dict[tuple[str, str], str] = field(default_factory=dict)  # to their paths
    marks: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        keyring = self.repository.keyring
        storage = self.repository.storage
        self.stored = storage.list_stored("")
        for mark in self.repository.list_documents(forgetting.COLLECTION):
            self.marks.add(forgetting.marked(mark))
        for one in self.stored:
            if not one.path.startswith("manifests/"):
                continue
            parts = one.path.split("/")
            name = MANIFEST_NAME.fullmatch(parts[-1])
            if len(parts) != 3 or name is None:
                raise _not_sure(f"{one.path} is nothing that this program knows.")
            tenant_id = tenant_of_directory(keyring, parts[1])
            try:
                manifest = parse_manifest(keyring, one.path, storage.get(one.path), tenant_id)
            except errors.RepositoryDamaged as damage:
                if (tenant_id, name[1]) not in self.marks:
                    raise _not_sure(damage.message) from damage
                self.unreadable[tenant_id, name[1]] = one.path
                continue
            self._keep(manifest)

    def _keep(self, manifest: Manifest) -> None:
        key = manifest.tenant_id, manifest.id
        known = self.current.setdefault(key, manifest)
        if known is not manifest:
            if known.sha256 != manifest.sha256:
                raise _not_sure(f"Two editions of {manifest.id} stand for different manifests.")
            older, newer = sorted((known, manifest), key=lambda one: one.edition)
            self.current[key] = newer
            self.superseded.append(older)

    def kept(self) -> Iterator[Manifest]:
        """Return the manifests that stay, oldest first."""
        for key, manifest in sorted(self.current.items()):
            if key not in self.marks:
                yield manifest

    def merge_of(self, kept: Manifest) -> Merge | None:
        """Return what a kept snapshot needs of forgotten ones, ``None`` when nothing is.

        Raises: ``errors.RepositoryDamaged`` when something is missing.
        """
        absorbed: list[Manifest] = []
        at = kept
        while (parent := at.parent) is not None:
            key = kept.tenant_id, parent.id
            found = self.current.get(key)
            if found is None or found.ref != parent:
                raise _not_sure(f"{parent.id}, which {at.id} is built on, is missing or damaged.")
            if key not in self.marks:
                break
            absorbed.append(found)
            at = found
        if not absorbed:
            return None
        joined = forgetting.joined(kept, absorbed[::-1])
        return Merge(kept, joined, tuple(one.id for one in absorbed[::-1]))

    def plan(self, now: dt.datetime, freed: frozenset[str]) -> PrunePlan:
        """Return what is to be done; ``freed`` are segments known to be no checkpoint's."""
        sizes = {one.path: one.size_bytes for one in self.stored}
        merges = []
        needed: set[str] = set()
        for manifest in self.kept():
            merge = self.merge_of(manifest)
            if merge is not None:
                merges.append(merge)
            for segment in (merge.joined if merge else manifest).segments:
                if sizes.get(segment.path) != segment.size_bytes:
                    raise _not_sure(f"The segment {segment.path} is missing or too short.")
                needed.add(segment.path)
        keyring = self.repository.keyring
        gone = [
            manifest_path(keyring, one.tenant_id, one.id, one.edition) for one in self.superseded
        ]
        # Newest first: what is built on another one goes before it.
        forgotten = sorted(
            (key for key in self.current if key in self.marks), key=lambda key: key[::-1]
        )[::-1]
        gone += [manifest_path(keyring, *key, self.current[key].edition) for key in forgotten]
        gone += self.unreadable.values()
        known = freed | self.named()
        oldest = now - dt.timedelta(seconds=ORPHAN_SECONDS)
        return PrunePlan(
            merges=tuple(merges),
            forgotten=tuple(snapshot_id for _, snapshot_id in forgotten[::-1]),
            manifests=tuple(gone),
            marks=tuple(sorted(self.marks)),
            segments=tuple(
                one
                for one in self.stored
                if one.path.startswith("segments/")
                and one.path not in needed
                and (one.path in known or one.modified_at < oldest)
            ),
        )

    def named(self) -> frozenset[str]:
        """Return the segments that some manifest names."""
        return frozenset(
            segment.path
            for manifest in (*self.current.values(), *self.superseded)
            for segment in manifest.segments
        )

    @property
    def size_bytes(self) -> int:
        return sum(one.size_bytes for one in self.stored if not one.path.startswith("locks/"))


@dataclass(frozen=True, slots=True)
class _Prune:
    repository: Repository
    merger: MergesSegments
    lock: Lock
    clock: clocks.Clock
    on_committed: Callable[[], None]
    listener: progress.Listener

    def run(self) -> PruneReport:
        before = _Look(self.repository)
        plan = before.plan(self.clock.now(), frozenset())
        self.listener(progress.Started(ACTIVITY, len(plan.merges)))
        for number, merge in enumerate(plan.merges, 1):
            self._merge(merge)
            self.listener(progress.Advanced(ACTIVITY, number, len(plan.merges)))
        # Everything is looked at again, as it is stored: what is deleted follows from that alone.
        look = _Look(self.repository) if plan.merges else before
        final = look.plan(self.clock.now(), before.named())
        if final.merges:
            raise _not_sure(f"{final.merges[0].stored.id} still stands on what is forgotten.")
        self._delete(final.manifests)
        self._unmark(final.marks)
        self.on_committed()
        self._delete([one.path for one in final.segments])
        summary = f"{len(plan.merges)} snapshots merged, {len(final.segments)} segments deleted"
        self.listener(progress.Finished(ACTIVITY, len(plan.merges), summary))
        after = self.repository.storage.list_stored("")
        return PruneReport(
            merged=len(plan.merges),
            manifests_deleted=len(final.manifests),
            segments_deleted=len(final.segments),
            bytes_before=before.size_bytes,
            bytes_after=sum(one.size_bytes for one in after if not one.path.startswith("locks/")),
        )

    def _merge(self, merge: Merge) -> None:
        """Merge, read back, and only then write the new edition."""
        has_parent = merge.joined.parent is not None
        self.lock.ensure_held()
        segments = self.merger.merge(merge.joined.segments, has_parent=has_parent)
        wanted = self.merger.digest(merge.joined.segments, has_parent=has_parent)
        if self.merger.digest(segments, has_parent=has_parent) != wanted:
            raise errors.RepositoryDamaged(
                f"What was merged for {merge.stored.id} is not what it was made of; nothing was"
                " deleted.",
                hint="Every snapshot is as it was. This is a fault of the program: report it.",
            )
        written = self.repository.commit_edition(
            lock=self.lock, stored=merge.stored, segments=segments
        )
        expected = (merge.stored.ref, merge.joined.parent, tuple(segments), merge.stored.payload)
        if (written.ref, written.parent, written.segments, written.payload) != expected:
            raise _not_sure(f"The new manifest of {merge.stored.id} does not read as written.")

    def _delete(self, paths: Sequence[str]) -> None:
        for number, path in enumerate(paths):
            if number % DELETED_AT_ONCE == 0:
                self.lock.ensure_held()
            self.repository.storage.delete(path)

    def _unmark(self, marks: Iterable[tuple[str, str]]) -> None:
        """Remove the marks whose manifests are gone: the store is asked for that once more."""
        storage, keyring = self.repository.storage, self.repository.keyring
        left = {one.path.partition(".")[0] for one in storage.list_stored("manifests")}
        for number, (tenant_id, snapshot_id) in enumerate(marks):
            if number % DELETED_AT_ONCE == 0:
                self.lock.ensure_held()
            if f"{tenant_directory(keyring, tenant_id)}/{snapshot_id}" not in left:
                forgetting.unmark(storage, keyring, tenant_id, snapshot_id)


def _not_sure(why: str) -> errors.RepositoryDamaged:
    return errors.RepositoryDamaged(
        f"Nothing is deleted from a repository that is not whole. {why}",
        hint="Check the repository; forget what is damaged and what is built on it, then prune.",
        typed="reentra check",
    )
