"""Read one unit: a kind, its relationships, and what is listed once for each of its objects."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from reentra import clock as clocks
from reentra import errors, progress
from reentra.backup import queries, reading
from reentra.backup.ahead import ReadAhead
from reentra.backup.base import Base
from reentra.backup.changes import LinkChanges, LinkKey, LinkTarget, ObjectChanges
from reentra.backup.delta import DeltaEntry, looks_whole, parse_entry
from reentra.directory import canonical
from reentra.directory.kinds import KINDS, ObjectKind, missing_permissions
from reentra.directory.objects import DirectoryObject, Relationship
from reentra.directory.relationships import Reading, RelationshipKind, relationships_of
from reentra.directory.state import COMPLETE, Coverage, CoverageStatus
from reentra.graph import client, odata
from reentra.snapshots import KindSummary, RelationshipSummary, SnapshotWriter

_MOST_DROPPED = 25
_LINK_BUFFER = 5000
# Kinds that may be many: a first backup asks how many, so that it can tell the time left.
_COUNTED = frozenset({"user", "group", "device"})


class ReadsLive(Protocol):
    """The part of ``graph.reader.LiveTenant`` that is needed here."""

    def load_objects(self, kind: str, ids: list[str]) -> dict[str, DirectoryObject]:
        """Fetch objects by id."""

    def load_relationships(self, relationship: str, source_ids: list[str]) -> list[Relationship]:
        """Fetch the links of sources."""

    def load_relationships_to(self, relationship: str, target_ids: list[str]) -> list[Relationship]:
        """Fetch the links of targets."""

    def load_names(self, ids: list[str]) -> dict[str, tuple[str, str]]:
        """Fetch kind and name of objects."""


@dataclass(slots=True)
class UnitResult:
    """What one unit brought."""

    kinds: dict[str, KindSummary] = field(default_factory=dict)
    relationships: dict[str, RelationshipSummary] = field(default_factory=dict)
    delta_links: dict[str, str] = field(default_factory=dict)
    delta_tracked: list[str] = field(default_factory=list)
    dropped_properties: dict[str, tuple[str, ...]] = field(default_factory=dict)
    supplements: dict[str, dict[str, str]] = field(default_factory=dict)
    returned: list[str] = field(default_factory=list)  # ids that came back from the recycle bin
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class UnitContext:
    """What reading a unit needs."""

    graph: client.GraphClient
    lists: ReadAhead
    live: ReadsLive
    base: Base
    writer: SnapshotWriter
    parent_links: Mapping[str, str]  # the parent's delta links; empty for a full read
    parent_counts: Mapping[str, int]
    parent_tracked: frozenset[str]
    parent_supplements: Mapping[str, Mapping[str, str]]
    parent_started_at: dt.datetime | None
    # The links that this run has written so far for some sources: the last word on each, and
    # whether that word was "exists".
    load_written: Callable[[str, frozenset[str]], dict[LinkKey, tuple[Relationship, bool]]]
    listener: progress.Listener = progress.ignore
    granted: frozenset[str] | None = None


def unit_names() -> tuple[str, ...]:
    """Return the kinds that head a unit, in reading order."""
    return tuple(name for name, row in KINDS.items() if not row.per_source_of)


def kinds_of_unit(head: str) -> tuple[str, ...]:
    """Return the kinds that are read together with ``head``."""
    return (head, *(name for name, row in KINDS.items() if row.per_source_of == head))


def read_unit(head: str, context: UnitContext) -> UnitResult:
    """Read one unit into the writer. A failed read is told in the coverage and never raised.

    Raises: ``errors.Unauthenticated``, ``errors.UntrustedLink`` and ``errors.RepositoryError``:
    then nothing of the backup can be trusted to go on.
    """
    return _Unit(KINDS[head], context).read()


class _Unit:
    def __init__(self, row: ObjectKind, context: UnitContext) -> None:
        self._row = row
        self._context = context
        self._result = UnitResult()
        self._objects = ObjectChanges(row.name, context.base, context.writer)
        self._links = {
            one.name: LinkChanges(one, context.base, context.writer)
            for one in relationships_of(row.name)
        }
        self._coverage: dict[str, Coverage] = {}
        self._dropped: set[str] = set()
        self._refetch: set[str] = set()
        self._reappeared: set[str] = set()
        self._expected: int | None = None
        self._delta_link = ""
        self._has_expired = False
        self._removed_sources: list[str] = []
        self._seen_by_delta: dict[str, set[tuple[str, str]]] = {}
        self._supplement: dict[str, dict[str, Any]] = {}

    def read(self) -> UnitResult:
        row, context = self._row, self._context
        self._expected = self._count_expected()
        context.listener(progress.Started(row.title, self._expected))
        self._guard(row.name, row.read_permissions, self._read_objects)
        done = len(self._objects.seen)
        is_whole = self._coverage[row.name].is_complete
        for name, changes in self._links.items():
            if name in self._coverage:
                continue
            if is_whole:
                self._guard(
                    name,
                    changes.row.read_permissions,
                    lambda changes=changes: self._read_links(changes),  # type: ignore[misc]
                )
            else:
                self._coverage[name] = self._coverage[row.name]
        for kind in kinds_of_unit(row.name)[1:]:
            self._read_dependent(kind, is_whole)
        self._summarize()
        context.listener(progress.Finished(row.title, done, self._phrase()))
        return self._result

    # --- objects -------------------------------------------------------------------------------

    def _read_objects(self) -> None:
        self._load_supplement()
        while True:
            try:
                if self._row.delta_path:
                    self._read_delta()
                else:
                    self._read_list()
            except errors.InvalidRequest as error:
                if not self._drop_refused(odata.unknown_property(error)):
                    raise
                continue
            self._check_supplement()
            return

    def _drop_refused(self, name: str) -> bool:
        """Leave out of the next $select what Graph does not know; return whether that may help.

        National clouds lack properties, and a $select that names one is refused as a whole. The
        relationships that only some servers report in a delta go first, all together.
        """
        optional = {row.property for row in self._delta_rows() if row.reading is Reading.EXPAND}
        if name and name not in self._dropped and len(self._dropped) < _MOST_DROPPED:
            self._dropped.add(name)
            return True
        if optional - self._dropped:
            self._dropped |= optional
            return True
        return False

    def _put(self, object_id: str, properties: Mapping[str, Any]) -> None:
        supplement = self._supplement.get(object_id)
        if supplement or properties.get("id") != object_id:
            properties = {**properties, "id": object_id, **(supplement or {})}
        self._objects.put(object_id, properties)

    def _load_supplement(self) -> None:
        """Fetch the properties that a kind's lists and deltas only return when asked by name."""
        row = self._row
        if not row.supplement:
            return
        try:
            for page in self._context.lists.pages(row.list_path, queries.supplement_params(row)):
                for item in page.items:
                    values = {
                        name: canonical.cleaned(item[name])
                        for name in row.supplement
                        if canonical.canonical_value(item.get(name)) is not None
                    }
                    if values:
                        self._supplement[item["id"]] = values
        except errors.InvalidRequest as error:
            self._result.notes.append(f"{row.title}: {', '.join(row.supplement)}: {error.message}")

    def _check_supplement(self) -> None:
        """Take in supplements that changed by themselves: no delta reports them."""
        row = self._row
        if not row.supplement:
            return
        digests = {
            object_id: canonical.digest("", values).hex()
            for object_id, values in self._supplement.items()
        }
        self._result.supplements[row.name] = digests
        if not self._was_followed():
            return
        before = self._context.parent_supplements.get(row.name, {})
        moved = [
            object_id
            for object_id in sorted(digests.keys() | before.keys())
            if digests.get(object_id) != before.get(object_id)
            and object_id not in self._objects.seen
        ]
        self._objects.load_known(moved)
        for object_id, known in self._context.base.load_objects(row.name, moved).items():
            if object_id not in self._objects.deleted_ids:
                blank = dict.fromkeys(row.supplement)
                self._put(object_id, {**known.properties, **blank})

    def _read_list(self) -> None:
        objects = self._objects
        objects.load_all_known()
        for items in reading.prefetched(
            reading.list_kind(self._context.lists, self._row, frozenset(self._dropped))
        ):
            for item in items:
                object_id = item.get("id")
                if object_id is None and self._row.is_singleton:
                    object_id = self._row.name
                if not isinstance(object_id, str) or not object_id:
                    raise errors.Unavailable(f"Graph returned a {self._row.name} without an id.")
                self._put(object_id, canonical.cleaned_properties(item))
            self._advance()
        objects.delete_unseen()

    def _read_delta(self) -> None:
        link = self._context.parent_links.get(self._row.name, "")
        if link and not self._context.base.is_empty and not self._has_expired:
            try:
                self._follow_delta(link)
            except errors.DeltaExpired:
                if self._objects.seen or self._objects.deleted_ids:
                    # Part of the round is written; the next backup finds the token expired at
                    # once and reads all.
                    raise
                self._has_expired = True
                note = f"{self._row.title}: the delta token had expired; all was read."
                self._result.notes.append(note)
                self._context.listener(progress.Noted(note))
            else:
                return
        self._read_delta_in_full()

    def _delta_rows(self) -> tuple[RelationshipKind, ...]:
        """Return the relationships that the delta is asked for, sponsors too where it may work."""
        return tuple(
            changes.row
            for changes in self._links.values()
            if changes.row.property in self._row.delta_properties
            or (
                changes.row.reading is Reading.EXPAND
                and self._row.select
                and changes.row.property not in self._dropped
            )
        )

    def _delta_params(self) -> dict[str, str | int]:
        if not self._row.select:
            return {}
        names = [name for name in self._row.select if name not in self._dropped]
        names += [row.property for row in self._delta_rows()]
        return {"$select": ",".join(names)}

    def _read_delta_in_full(self) -> None:
        objects, context = self._objects, self._context
        objects.load_all_known()
        rows = self._delta_rows()
        found: dict[str, dict[str, dict[LinkTarget, Relationship]]] = {row.name: {} for row in rows}
        for page in reading.prefetched(
            context.graph.delta(self._row.delta_path, self._delta_params())
        ):
            for item in page.items:
                entry = parse_entry(item, rows)
                if entry.is_removed:
                    self._refetch.discard(entry.id)
                    if objects.delete(entry.id):
                        self._removed_sources.append(entry.id)
                    for links in found.values():
                        links.pop(entry.id, None)
                    continue
                if looks_whole(self._row, entry.properties):
                    self._refetch.discard(entry.id)
                    self._put(entry.id, entry.properties)
                elif entry.has_properties or entry.id not in objects.seen:
                    self._refetch.add(entry.id)
                self._take_links(entry, found)
            self._delta_link = page.delta_link
            self._advance()
        self._refetch_partial()
        self._removed_sources += objects.delete_unseen()
        for name, by_source in found.items():
            present = {
                source: links for source, links in by_source.items() if source in objects.seen
            }
            if self._links[name].row.reading is not Reading.DELTA:
                self._seen_by_delta[name] = {
                    (source, target) for source, links in present.items() for target, _ in links
                }
            elif not self._is_streamed(name):
                self._links[name].replace_all(present)
        deltas = [row for row in rows if row.reading is Reading.DELTA]
        self._remove_written_links(row for row in deltas if self._is_streamed(row.name))
        for row in deltas:
            self._coverage[row.name] = self._link_coverage(row)

    def _is_streamed(self, name: str) -> bool:
        return self._context.base.is_empty and self._links[name].row.reading is Reading.DELTA

    def _take_links(
        self,
        entry: DeltaEntry,
        found: dict[str, dict[str, dict[LinkTarget, Relationship]]],
    ) -> None:
        for name, links in entry.added.items():
            if self._is_streamed(name):
                self._links[name].put_new(links)
                continue
            mine = found[name].setdefault(entry.id, {})
            for link in links:
                mine[link.target_id, link.qualifier] = link
        for name, links in entry.removed.items():
            for link in links:
                if self._is_streamed(name):
                    self._links[name].remove(link)
                else:
                    found[name].get(entry.id, {}).pop((link.target_id, link.qualifier), None)

    def _follow_delta(self, link: str) -> None:
        objects, context = self._objects, self._context
        rows = self._delta_rows()
        tracked = [
            row
            for row in rows
            if row.reading is Reading.DELTA or row.name in context.parent_tracked
        ]
        bodies: dict[str, dict[str, Any]] = {}
        known_links: dict[str, dict[str, dict[LinkTarget, Relationship]]] = {
            row.name: {} for row in tracked
        }
        for page in reading.prefetched(context.graph.delta(link)):
            entries = [parse_entry(item, rows) for item in page.items]
            ids = list(dict.fromkeys(entry.id for entry in entries))
            objects.load_known(ids)
            fresh = [one for one in ids if one not in bodies and objects.is_known(one)]
            if fresh:
                for object_id, known in context.base.load_objects(self._row.name, fresh).items():
                    bodies[object_id] = dict(known.properties)
            for row in tracked:
                sources = [e.id for e in entries if row.name in e.added or row.name in e.removed]
                fresh = [one for one in dict.fromkeys(sources) if one not in known_links[row.name]]
                loaded = self._links[row.name].load_known(fresh)
                for source in fresh:
                    known_links[row.name][source] = loaded.get(source, {})
            for entry in entries:
                self._apply_entry(entry, bodies, known_links)
            self._delta_link = page.delta_link
            self._advance()
        self._refetch_partial()
        self._reload_reappeared(tracked)
        gone = sorted(self._gone_sources())
        for row in tracked:
            self._links[row.name].remove_sources(gone)
        self._remove_written_links(tracked)
        for row in tracked:
            self._coverage[row.name] = self._link_coverage(row)

    def _apply_entry(
        self,
        entry: DeltaEntry,
        bodies: dict[str, dict[str, Any]],
        known_links: dict[str, dict[str, dict[LinkTarget, Relationship]]],
    ) -> None:
        objects = self._objects
        if entry.is_removed:
            bodies.pop(entry.id, None)
            self._refetch.discard(entry.id)
            self._reappeared.discard(entry.id)
            if objects.delete(entry.id):
                self._removed_sources.append(entry.id)
            for by_source in known_links.values():
                by_source.pop(entry.id, None)
            return
        is_new = entry.id not in bodies
        if entry.has_properties or is_new:
            # Absent means unchanged or never set; a cleared property is null. So merging is right
            # for servers that send everything and for those that send only what changed.
            merged = {**bodies.get(entry.id, {}), **entry.properties, "id": entry.id}
            bodies[entry.id] = merged
            if looks_whole(self._row, merged):
                self._put(entry.id, merged)
                created = str(merged.get("createdDateTime") or "")
                if is_new and self._existed_before(created):
                    self._reappeared.add(entry.id)
                    self._result.returned.append(entry.id)
            else:
                self._refetch.add(entry.id)
                self._reappeared.add(entry.id)
        for name, by_source in known_links.items():
            added, removed = entry.added.get(name, []), entry.removed.get(name, [])
            if added or removed:
                known = by_source.setdefault(entry.id, {})
                if not self._links[name].apply(known, added, removed):
                    self._reappeared.add(entry.id)

    def _existed_before(self, created_at: str) -> bool:
        """Tell whether a new-looking object is older than the parent: it came back from the bin.

        Whether Graph then reports its links again is not documented, so they are read.
        """
        before = self._context.parent_started_at
        try:
            return before is None or clocks.parse_iso(created_at) < before
        except ValueError:
            return True

    def _refetch_partial(self) -> None:
        """Read whole those objects of which only a part was reported and nothing was known."""
        ids = sorted(self._refetch)
        if not ids:
            return
        found = self._context.live.load_objects(self._row.name, ids)
        self._objects.load_known(ids)
        for object_id in ids:
            if object_id in found:
                self._put(object_id, found[object_id].properties)
            elif self._objects.delete(object_id):
                self._removed_sources.append(object_id)
        self._refetch.clear()

    def _reload_reappeared(self, tracked: list[RelationshipKind]) -> None:
        ids = sorted(self._reappeared - self._objects.deleted_ids)
        if not ids:
            return
        for row in tracked:
            found = self._context.live.load_relationships(row.name, ids)
            written = self._context.load_written(row.name, frozenset(ids))
            self._links[row.name].reconcile(ids, found, written, self._with_live_target)

    def _with_live_target(self, links: Sequence[Relationship]) -> set[LinkKey]:
        by_kind: dict[str, set[str]] = {}
        for link in links:
            by_kind.setdefault(link.target_kind, set()).add(link.target_id)
        live: set[str] = set()
        for kind, ids in by_kind.items():
            if kind in KINDS:
                live |= self._context.live.load_objects(kind, sorted(ids)).keys()
            else:
                live |= self._context.live.load_names(sorted(ids)).keys()
        return {link.key for link in links if link.target_id in live}

    def _gone_sources(self) -> frozenset[str]:
        return frozenset(one for one in self._removed_sources if one not in self._objects.seen)

    def _remove_written_links(self, rows: Iterable[RelationshipKind]) -> None:
        """Take back the links that this run wrote for objects which then turned out to be gone."""
        gone = self._gone_sources()
        for row in rows:
            if gone and self._links[row.name].added:
                for link, exists in self._context.load_written(row.name, gone).values():
                    if exists:
                        self._links[row.name].remove(link)

    # --- relationships and dependents ----------------------------------------------------------

    def _read_links(self, changes: LinkChanges) -> None:
        row = changes.row
        if row.reading is Reading.EXPAND:
            if row.name in self._context.parent_tracked and self._was_followed():
                return
            try:
                self._read_expanded(changes)
            except errors.InvalidRequest:
                self._read_per_source(changes, self._objects.current_ids())
        else:
            self._read_per_source(changes, self._objects.current_ids())

    def _was_followed(self) -> bool:
        """Tell whether the delta was followed from the parent's link, not read in full."""
        return not self._objects.has_whole_base

    def _read_expanded(self, changes: LinkChanges) -> None:
        row = changes.row
        cut_off: list[str] = []
        found: dict[str, dict[LinkTarget, Relationship]] = {}
        for source_id, links, may_be_cut in reading.list_expanded(
            self._context.lists, self._row, row
        ):
            if may_be_cut:
                cut_off.append(source_id)
            elif links:
                found[source_id] = {(link.target_id, link.qualifier): link for link in links}
        for source_id, items in reading.list_per_source(
            self._context.graph, row.list_path, cut_off
        ):
            found[source_id] = {
                (link.target_id, link.qualifier): link
                for link in (reading.link_to(row, source_id, item) for item in items)
            }
        # An object that was created after the kind was read is the next backup's.
        current = set(self._objects.current_ids()) if found else set()
        found = {source: links for source, links in found.items() if source in current}
        changes.replace_all(found)
        seen = self._seen_by_delta.get(row.name)
        pairs = {(source, target) for source, links in found.items() for target, _ in links}
        if seen is not None and pairs and pairs == seen:
            # The delta reported exactly what the sweep found: from now on it is tracked.
            self._result.delta_tracked.append(row.name)

    def _read_per_source(self, changes: LinkChanges, source_ids: list[str]) -> None:
        row = changes.row
        buffer: list[Relationship] = []
        sources: list[str] = []
        for source_id, items in reading.list_per_source(
            self._context.graph, row.list_path, source_ids
        ):
            sources.append(source_id)
            buffer.extend(reading.link_to(row, source_id, item) for item in items)
            if len(buffer) >= _LINK_BUFFER:
                changes.replace(sources, buffer)
                buffer, sources = [], []
        changes.replace(sources, buffer)
        changes.remove_sources(self._removed_sources)

    def _read_dependent(self, kind: str, is_whole: bool) -> None:
        row = KINDS[kind]
        objects = ObjectChanges(kind, self._context.base, self._context.writer)
        if not is_whole:
            self._coverage[kind] = self._coverage[self._row.name]
        else:

            def read() -> None:
                objects.load_all_known()
                for _, items in reading.list_per_source(
                    self._context.graph, row.list_path, self._objects.current_ids()
                ):
                    for item in items:
                        objects.put(item["id"], canonical.cleaned_properties(item))
                objects.delete_unseen()

            self._context.listener(progress.Started(row.title))
            self._guard(kind, row.read_permissions, read)
            self._context.listener(progress.Finished(row.title, len(objects.seen)))
        self._add_summary(kind, objects)

    # --- outcome -------------------------------------------------------------------------------

    def _guard(self, name: str, permissions: tuple[str, ...], read: Callable[[], None]) -> None:
        """Run a read; turn its failure into coverage, except where going on makes no sense."""
        try:
            read()
        except (errors.Unauthenticated, errors.UntrustedLink):
            raise
        except errors.Forbidden as error:
            self._coverage[name] = Coverage(
                CoverageStatus.REFUSED, error.message, self._missing(permissions)
            )
        except errors.GraphError as error:
            is_licence = "premium" in f"{error.graph_code} {error.message}".lower()
            self._coverage[name] = Coverage(
                CoverageStatus.REFUSED if is_licence else CoverageStatus.PARTIAL, error.message
            )
        else:
            self._coverage.setdefault(name, COMPLETE)

    def _missing(self, permissions: tuple[str, ...]) -> tuple[str, ...]:
        if self._context.granted is None:
            return permissions
        return missing_permissions(permissions, self._context.granted) or permissions

    def _link_coverage(self, row: RelationshipKind) -> Coverage:
        granted = self._context.granted
        if (
            granted is not None
            and "Member.Read.Hidden" in row.read_permissions
            and "Member.Read.Hidden" not in granted
        ):
            return Coverage(
                CoverageStatus.COMPLETE,
                "Members of groups with hidden membership are not readable.",
                ("Member.Read.Hidden",),
            )
        return COMPLETE

    def _summarize(self) -> None:
        row, context = self._row, self._context
        self._add_summary(row.name, self._objects)
        for name, changes in self._links.items():
            self._result.relationships[name] = RelationshipSummary(
                changes.added, changes.removed, self._coverage[name]
            )
        if row.delta_path:
            is_whole = self._coverage[row.name].is_complete
            link = self._delta_link if is_whole else context.parent_links.get(row.name, "")
            if link:
                self._result.delta_links[row.name] = link
            if is_whole and self._was_followed():
                self._result.delta_tracked += [
                    name for name in self._links if name in context.parent_tracked
                ]
        if dropped := self._dropped.intersection(row.select):
            self._result.dropped_properties[row.name] = tuple(sorted(dropped))

    def _add_summary(self, kind: str, objects: ObjectChanges) -> None:
        coverage = self._coverage[kind]
        base_count = self._context.parent_counts.get(kind, 0)
        self._result.kinds[kind] = KindSummary(
            objects=base_count + objects.added - objects.deleted,
            added=objects.added,
            changed=objects.changed,
            deleted=objects.deleted,
            coverage=coverage,
        )

    def _count_expected(self) -> int | None:
        """Return about how many objects the read will meet, where that can be known cheaply."""
        context, name = self._context, self._row.name
        if not context.base.is_empty:
            return None if context.parent_links.get(name) else context.parent_counts.get(name)
        if name not in _COUNTED:
            return None
        try:
            return context.graph.count(self._row.list_path)
        except errors.Unauthenticated:
            raise
        except errors.GraphError:
            return None  # it is only for a progress bar

    def _advance(self) -> None:
        self._context.listener(
            progress.Advanced(self._row.title, len(self._objects.seen), self._expected)
        )

    def _phrase(self) -> str:
        objects, coverage = self._objects, self._coverage[self._row.name]
        if not coverage.is_complete:
            return f"{coverage.status.value}: {coverage.reason}"
        parts = [
            f"{count} {word}"
            for count, word in (
                (objects.added, "added"),
                (objects.changed, "changed"),
                (objects.deleted, "deleted"),
            )
            if count
        ]
        return ", ".join(parts) or "unchanged"
