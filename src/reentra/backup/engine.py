"""Run one backup: units in order, checkpoints between them, one manifest at the end."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from reentra import clock as clocks
from reentra import errors, progress
from reentra.backup import checkpoint as checkpoints
from reentra.backup.ahead import (
    FEW_SOURCES,
    ReadAhead,
    further_lists_of_unit,
    is_asked_by_object,
    lists_of_unit,
)
from reentra.backup.base import Base, EmptyBase
from reentra.backup.changes import LinkKey
from reentra.backup.checkpoint import Checkpoint
from reentra.backup.findings import ReadsLive, UnitContext, supplements_of
from reentra.backup.units import kinds_of_unit, read_unit, unit_names
from reentra.directory.kinds import KINDS
from reentra.directory.objects import Relationship
from reentra.directory.relationships import Reading, relationships_of, relationships_to
from reentra.directory.state import Coverage, CoverageStatus
from reentra.graph.client import GraphClient
from reentra.repository import Manifest, Repository, SegmentInfo
from reentra.snapshots import (
    KindSummary,
    RelationshipSummary,
    SnapshotInfo,
    SnapshotStatus,
    SnapshotWriter,
    written_links,
)
from reentra.snapshots.schema import RELATIONSHIPS_TABLE

CHECKPOINT_ROWS = 20_000
# A kind that loses this share, and at least so many objects, makes the snapshot worth a look; so
# does a small one, such as the Conditional Access policies, of which nothing is left.
REVIEW_SHARE = 0.2
REVIEW_OBJECTS = 10


class BackupStatus(enum.StrEnum):
    COMPLETE = "complete"
    PARTIAL = "partial"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class BackupOptions:
    """What to back up. No ``kinds`` means all; ``is_full`` ignores delta links.

    ``is_anew`` builds on nothing that is stored: what is damaged there is left behind.
    """

    kinds: tuple[str, ...] = ()
    is_full: bool = False
    is_anew: bool = False
    label: str = ""
    wait_for_lock_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class BackupResult:
    """The snapshot that a backup made."""

    manifest: Manifest
    info: SnapshotInfo
    status: BackupStatus
    was_resumed: bool
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return what `reentra backup --json` ends with; part of the CLI's contract."""
        return {
            "snapshot": self.manifest.id,
            "status": self.status.value,
            "kinds": {
                name: {
                    "objects": summary.objects,
                    "added": summary.added,
                    "changed": summary.changed,
                    "deleted": summary.deleted,
                    "coverage": summary.coverage.status.value,
                    "reason": summary.coverage.reason,
                }
                for name, summary in self.info.kinds.items()
            },
            "relationships": {
                name: {
                    "added": summary.added,
                    "removed": summary.removed,
                    "coverage": summary.coverage.status.value,
                    "reason": summary.coverage.reason,
                }
                for name, summary in self.info.relationships.items()
            },
            "review": list(self.info.review),
            "notes": list(self.notes),
        }


class OpensBase(Protocol):
    """Gives the base for a parent; ``app`` connects it to the catalog."""

    def open_base(self, parent: Manifest) -> Base:
        """Return the state of ``parent``."""


def run_backup(
    graph: GraphClient,
    live: ReadsLive,
    repository: Repository,
    bases: OpensBase,
    options: BackupOptions | None = None,
    *,
    clock: clocks.Clock = clocks.SYSTEM,
    listener: progress.Listener = progress.ignore,
) -> BackupResult:
    """Back up a tenant and return the new snapshot.

    Guarantees: nothing is visible before the manifest; a failed kind is told in its coverage and
    keeps what was known; a killed run is continued by the next one with the same options.
    Raises: ``errors.RepositoryLocked`` when another backup of the tenant runs,
    ``errors.Unauthenticated``, ``errors.GraphDown``, ``errors.RepositoryError``.
    """
    options = options or BackupOptions()
    tenant_id = graph.tenant_id
    with repository.lock_tenant(
        tenant_id, "backup", wait_seconds=options.wait_for_lock_seconds
    ) as lock:
        snapshot_ids = repository.list_snapshot_ids(tenant_id)
        newest = snapshot_ids[-1] if snapshot_ids else ""
        is_first = not newest or options.is_anew
        parent = None if is_first else repository.load_manifest(tenant_id, newest)
        started_at = _after(clock.now(), parent, newest)
        run = _Run(graph, live, repository, bases, options, parent, started_at, clock, listener)
        try:
            segments, info = run.read()
        except BaseException:
            run.writer.abort()
            raise
        manifest = repository.commit(
            lock=lock,
            tenant_id=tenant_id,
            snapshot_id=repository.new_snapshot_id(info.started_at),
            created_at=info.started_at,
            parent=parent.ref if parent else None,
            segments=segments,
            payload=info.to_json(),
        )
        # The snapshot exists. What is left of its making names an older parent and is never used.
        with contextlib.suppress(errors.StorageError):
            checkpoints.delete_checkpoints(repository, tenant_id)
    return BackupResult(manifest, info, run.status(info), run.was_resumed, tuple(run.notes))


def _after(now: dt.datetime, parent: Manifest | None, newest: str) -> dt.datetime:
    """Return a moment after the newest snapshot's, whatever the clock says: ids sort by time."""
    if parent is not None:
        return max(now, parent.created_at + dt.timedelta(milliseconds=1))
    if newest:  # its manifest may not be readable; its name is
        second = dt.datetime.strptime(newest[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
        return max(now, second + dt.timedelta(seconds=1))
    return now


class _Run:
    def __init__(
        self,
        graph: GraphClient,
        live: ReadsLive,
        repository: Repository,
        bases: OpensBase,
        options: BackupOptions,
        parent: Manifest | None,
        started_at: dt.datetime,
        clock: clocks.Clock,
        listener: progress.Listener,
    ) -> None:
        self.writer = SnapshotWriter(repository)
        self.notes: list[str] = []
        self.was_resumed = False
        self._graph = graph
        self._lists = ReadAhead(graph)
        self._live = live
        self._repository = repository
        self._options = options
        self._parent = SnapshotInfo.from_json(parent.payload) if parent else None
        self._base: Base = bases.open_base(parent) if parent else EmptyBase()
        self._clock = clock
        self._listener = listener
        self._state = Checkpoint(
            parent=parent.id if parent else "",
            started_at=started_at,
            is_full=options.is_full,
            kinds=tuple(sorted(options.kinds)),
        )
        self._tenant_id = graph.tenant_id

    def read(self) -> tuple[tuple[SegmentInfo, ...], SnapshotInfo]:
        self._resume()
        granted = self._graph.granted_roles()
        self._live.forget_extensions(self._parent.extensions if self._parent else {})
        heads = [head for head in unit_names() if self._is_wanted(head)]
        heads = [head for head in heads if head not in self._state.done]
        tracked = frozenset(self._parent.delta_tracked) if self._parent else frozenset()
        links = self._parent_links()
        self._lists.prepare(
            [
                one
                for head in heads
                for one in lists_of_unit(head, tracked, supplements_of(KINDS[head], self._live))
            ],
            [links[head] for head in heads if head in links],
        )
        self._lists.prepare_further(
            [
                one
                for head in heads
                for one in further_lists_of_unit(head, self._few_sources(head), self._lists)
            ]
        )
        for head in heads:
            self._state.done[head] = read_unit(head, self._context(granted))
            if self.writer.rows_since_seal >= CHECKPOINT_ROWS and head != heads[-1]:
                self._seal()
                checkpoints.save_checkpoint(
                    self._repository, self._tenant_id, self._state, self._clock.now()
                )
        for head, result in self._state.done.items():
            if result.returned:
                self._reconnect(head, sorted(set(result.returned)))
        self._seal()
        return tuple(self._state.segments), self._info()

    def _few_sources(self, head: str) -> Iterable[str]:
        """Return the ids that the base knows of a kind of which each object is asked something."""
        known = self._parent.kinds.get(head) if self._parent else None
        if known is None or known.objects > FEW_SOURCES or not is_asked_by_object(head):
            return ()
        return self._base.load_digests(head)

    def _reconnect(self, kind: str, ids: list[str]) -> None:
        """Read the links that end at objects which came back from the recycle bin.

        Their memberships come back with them, and no delta of the groups says so.
        """
        for row in relationships_to(kind):
            result = self._state.done.get(row.source_kind)
            if row.reading is not Reading.DELTA or result is None:
                continue
            try:
                found = self._live.load_relationships_to(row.name, ids)
            except (errors.Unauthenticated, errors.GraphDown):
                raise
            except errors.GraphError as error:
                reason = f"Links of {kind}s that came back from the bin: {error.message}"
                result.relationships[row.name] = dataclasses.replace(
                    result.relationships[row.name],
                    coverage=Coverage(CoverageStatus.PARTIAL, reason),
                )
                continue
            sources = sorted({link.source_id for link in found})
            known = {link.key for link in self._base.load_relationships(row.name, sources)}
            for key, (_, exists) in self._load_written(row.name, frozenset(sources)).items():
                (known.add if exists else known.discard)(key)
            in_base = self._base.load_digests(row.source_kind, sources)
            missing = [
                link for link in found if link.key not in known and link.source_id in in_base
            ]
            for link in missing:
                self.writer.put_link(link)
            summary = result.relationships[row.name]
            result.relationships[row.name] = dataclasses.replace(
                summary, added=summary.added + len(missing)
            )

    def status(self, info: SnapshotInfo) -> BackupStatus:
        if info.status is SnapshotStatus.PARTIAL:
            return BackupStatus.PARTIAL
        has_changed = any(k.added or k.changed or k.deleted for k in info.kinds.values()) or any(
            r.added or r.removed for r in info.relationships.values()
        )
        return BackupStatus.COMPLETE if has_changed or not self._parent else BackupStatus.UNCHANGED

    def _resume(self) -> None:
        found = checkpoints.load_checkpoint(self._repository, self._tenant_id)
        if found is None:
            return
        if not found.continues(self._state, self._clock.now()) or not self._are_stored(found):
            checkpoints.delete_checkpoints(self._repository, self._tenant_id)
            return
        self._state = found
        self.was_resumed = True
        self._listener(
            progress.Noted(
                f"Going on with the backup begun at {clocks.iso(found.started_at)}:"
                f" {', '.join(found.done)} are done already."
            )
        )

    def _are_stored(self, found: Checkpoint) -> bool:
        stored = {item.path for item in self._repository.storage.list_stored("segments")}
        return all(segment.path in stored for segment in found.segments)

    def _is_wanted(self, head: str) -> bool:
        wanted = self._options.kinds
        return not wanted or any(kind in wanted for kind in kinds_of_unit(head))

    def _seal(self) -> None:
        self._state.segments.extend(self.writer.seal())

    def _context(self, granted: frozenset[str] | None) -> UnitContext:
        parent = self._parent
        return UnitContext(
            graph=self._graph,
            lists=self._lists,
            live=self._live,
            base=self._base,
            writer=self.writer,
            parent_links=self._parent_links(),
            parent_counts={k: v.objects for k, v in parent.kinds.items()} if parent else {},
            parent_coverage=parent.coverage() if parent else {},
            parent_tracked=frozenset(parent.delta_tracked) if parent else frozenset(),
            parent_supplements=parent.supplements if parent else {},
            parent_extensions=parent.extensions if parent else {},
            parent_started_at=parent.started_at if parent else None,
            load_written=self._load_written,
            listener=self._listener,
            granted=granted,
        )

    def _parent_links(self) -> Mapping[str, str]:
        """Return the delta links to go on from; none for a full read."""
        return self._parent.delta_links if self._parent and not self._options.is_full else {}

    def _load_written(
        self, relationship: str, source_ids: frozenset[str]
    ) -> dict[LinkKey, tuple[Relationship, bool]]:
        """Read back what this run has written about the links of some sources."""
        self._seal()
        written: dict[LinkKey, tuple[Relationship, bool]] = {}
        for segment in self._state.segments:
            if segment.table != RELATIONSHIPS_TABLE:
                continue
            for rows in self._repository.scan(segment, where={"relationship": relationship}):
                for link, is_removed in written_links(rows):
                    if link.source_id in source_ids:
                        written[link.key] = (link, not is_removed)
        return written

    def _info(self) -> SnapshotInfo:
        done = list(self._state.done.values())
        kinds = {name: item for result in done for name, item in result.kinds.items()}
        links = {name: item for result in done for name, item in result.relationships.items()}
        delta_links = dict(self._parent.delta_links) if self._parent else {}
        for head in self._state.done:
            delta_links.pop(head, None)
        for result in done:
            delta_links.update(result.delta_links)
            self.notes.extend(result.notes)
        tracked = {name for result in done for name in result.delta_tracked}
        supplements: dict[str, Mapping[str, str]] = (
            dict(self._parent.supplements) if self._parent else {}
        )
        extensions = dict(self._parent.extensions) if self._parent else {}
        for result in done:
            supplements.update(result.supplements)
            extensions.update(result.extensions)
        self._add_skipped(kinds, links)
        if self._parent:
            skipped = {row.name for head in unit_names() if head not in self._state.done
                       for row in relationships_of(head)}  # fmt: skip
            tracked |= skipped & set(self._parent.delta_tracked)
        asked = [name for head in self._state.done for name in kinds_of_unit(head)]
        asked_links = [
            links[row.name] for head in self._state.done for row in relationships_of(head)
        ]
        is_whole = all(_is_whole(name, kinds[name]) for name in asked)
        is_whole &= all(item.coverage.is_complete for item in asked_links)
        return SnapshotInfo(
            status=SnapshotStatus.COMPLETE if is_whole else SnapshotStatus.PARTIAL,
            started_at=self._state.started_at,
            finished_at=self._clock.now(),
            kinds=kinds,
            relationships=links,
            delta_links=delta_links,
            delta_tracked=tuple(sorted(tracked)),
            dropped_properties=_merged(result.dropped_properties for result in done),
            supplements=supplements,
            extensions=extensions,
            review=tuple(self._review(kinds)),
            label=self._options.label,
        )

    def _add_skipped(
        self, kinds: dict[str, KindSummary], links: dict[str, RelationshipSummary]
    ) -> None:
        reason = "not asked for in this backup"
        if self._parent:
            reason += "; what is shown is from an earlier one"
        skipped = Coverage(CoverageStatus.SKIPPED, reason)
        for name in KINDS:
            if name not in kinds:
                known = self._parent.kinds.get(name) if self._parent else None
                kinds[name] = KindSummary(known.objects if known else 0, 0, 0, 0, skipped)
            for row in relationships_of(name):
                links.setdefault(row.name, RelationshipSummary(0, 0, skipped))

    def _review(self, kinds: Mapping[str, KindSummary]) -> Iterable[str]:
        for name, summary in kinds.items():
            before = self._parent.kinds[name].objects if self._parent and name in (
                self._parent.kinds
            ) else 0  # fmt: skip
            is_emptied = summary.objects == 0 and summary.deleted > 1
            if is_emptied or summary.deleted >= max(REVIEW_OBJECTS, REVIEW_SHARE * before):
                yield (
                    f"{KINDS[name].title}: {summary.deleted} of {before} were deleted since the"
                    " last backup. Compare the two snapshots before relying on this one."
                )


def _is_whole(kind: str, summary: KindSummary) -> bool:
    """Tell whether nothing of a kind is missing.

    A tenant without the licence that a kind comes with has none of it, and no permission would
    show any. What an earlier snapshot has of it counts as missing all the same.
    """
    coverage = summary.coverage
    is_nowhere = coverage.status is CoverageStatus.REFUSED and not coverage.permissions
    return coverage.is_complete or (
        bool(KINDS[kind].licence) and is_nowhere and summary.objects == 0
    )


def _merged(parts: Iterable[Mapping[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    merged: dict[str, tuple[str, ...]] = {}
    for part in parts:
        merged.update(part)
    return merged
