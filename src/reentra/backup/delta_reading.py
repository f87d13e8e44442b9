"""Read a kind by its delta: in full, or what changed since the parent.

Entries are merged over what is known and doubted where they contradict it; see
``docs/adr/0003-delta-entries-are-merged-and-doubted.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reentra import clock as clocks
from reentra import errors, progress
from reentra.backup import reading
from reentra.backup.changes import LinkKey, LinkTarget, ToldLinks
from reentra.backup.delta import DeltaEntry, is_whole, lacks_some, looks_whole, parse_entry
from reentra.backup.findings import Findings
from reentra.directory.kinds import KINDS
from reentra.directory.objects import Relationship
from reentra.directory.relationships import Reading, RelationshipKind
from reentra.directory.state import COMPLETE, Coverage, CoverageStatus
from reentra.graph import prefetch

_HIDDEN_PERMISSION = "Member.Read.Hidden"
_PROOFS = 3  # entries of a round that seem whole and are held against what is known


class DeltaReader:
    """Reads the objects of one unit, and those links that come in the delta."""

    def __init__(self, found: Findings) -> None:
        self._found = found
        self._row, self._context = found.row, found.context
        self._objects, self._links, self._result = found.objects, found.links, found.result
        self._has_expired = False
        self._refetch: set[str] = set()
        self._reappeared: set[str] = set()
        self._hidden: set[str] = set()  # objects that hide their members
        self._are_whole = True  # whether entries that look whole were so as far as it was proved
        self._proofs = 0

    def optional_properties(self) -> set[str]:
        """Return the relationships that only some servers know in a delta's ``$select``."""
        return {row.property for row in self._delta_rows() if row.reading is Reading.EXPAND}

    def read(self) -> None:
        """Read what changed since the parent, or everything where that is not possible."""
        link = self._context.parent_links.get(self._row.name, "")
        if any(self._lacked_hidden(row) for row in self._delta_rows()) and not self._misses_hidden:
            link = ""  # the permission has come since, and no delta tells what was hidden before
        if self._has_new_extensions():
            link = ""  # a delta reports only what its first round was asked for
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

    def _has_new_extensions(self) -> bool:
        """Tell whether other directory extensions are to be read than the parent's delta knows."""
        if not self._row.select:
            return False
        before = self._context.parent_extensions.get(self._row.name, ())
        return set(before) != set(self._context.live.extension_names(self._row.name))

    def _delta_rows(self) -> tuple[RelationshipKind, ...]:
        """Return the relationships that the delta is asked for, sponsors too where it may work."""
        return tuple(
            changes.row
            for changes in self._links.values()
            if changes.row.property in self._row.delta_properties
            or (
                changes.row.reading is Reading.EXPAND
                and self._row.select
                and changes.row.property not in self._found.dropped
            )
        )

    def _delta_params(self) -> dict[str, str | int]:
        if not self._row.select:
            return {}
        names = [*self._found.select, *(row.property for row in self._delta_rows())]
        return {"$select": ",".join(names)}

    def _read_delta_in_full(self) -> None:
        objects, context = self._objects, self._context
        objects.load_all_known()
        rows = self._delta_rows()
        found: dict[str, dict[str, dict[LinkTarget, Relationship]]] = {row.name: {} for row in rows}
        for page in prefetch.prefetched(
            context.graph.delta(self._row.delta_path, self._delta_params())
        ):
            for item in page.items:
                entry = parse_entry(item, rows)
                if entry.is_removed:
                    self._refetch.discard(entry.id)
                    if objects.delete(entry.id):
                        self._found.removed_sources.append(entry.id)
                    for links in found.values():
                        links.pop(entry.id, None)
                    continue
                self._note_hidden(entry)
                if looks_whole(self._row, entry.properties):
                    self._refetch.discard(entry.id)
                    self._found.put(entry.id, entry.properties, entry.body)
                elif entry.has_properties or entry.id not in objects.seen:
                    self._refetch.add(entry.id)
                self._take_links(entry, found)
            self._found.delta_link = page.delta_link
            self._found.advance()
        self._refetch_partial()
        self._found.removed_sources += objects.delete_unseen()
        for name, by_source in found.items():
            present = {
                source: links for source, links in by_source.items() if source in objects.seen
            }
            if self._links[name].row.reading is not Reading.DELTA:
                self._found.delta_pairs[name] = {
                    (source, target) for source, links in present.items() for target, _ in links
                }
            elif not self._is_streamed(name):
                self._links[name].replace_all(present, spared=self._hidden)
        deltas = [row for row in rows if row.reading is Reading.DELTA]
        self._remove_written_links(row for row in deltas if self._is_streamed(row.name))
        for row in deltas:
            self._found.coverage[row.name] = self._link_coverage(row)

    def _is_streamed(self, name: str) -> bool:
        return self._context.base.is_empty and self._links[name].row.reading is Reading.DELTA

    def _take_links(
        self,
        entry: DeltaEntry,
        found: dict[str, dict[str, dict[LinkTarget, Relationship]]],
    ) -> None:
        for name, ends in entry.added.items():
            if self._is_streamed(name):
                self._links[name].put_new_targets(entry.id, ends)
                continue
            mine = found[name].setdefault(entry.id, {})
            for link in entry.links(name, entry.added):
                mine[link.target_id, link.qualifier] = link
        for name in entry.removed:
            for link in entry.links(name, entry.removed):
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
        told = {row.name: ToldLinks(row, context.base) for row in tracked}
        for page in prefetch.prefetched(context.lists.delta(link)):
            entries = [parse_entry(item, rows) for item in page.items]
            objects.load_known(dict.fromkeys(entry.id for entry in entries))
            self._load_bodies(entries, bodies)
            for name, links in told.items():
                links.load(
                    (entry.id, [target for target, _ in ends[name]])
                    for entry in entries
                    for ends in (entry.added, entry.removed)
                    if name in ends
                )
            for entry in entries:
                self._apply_entry(entry, bodies, told)
            self._found.delta_link = page.delta_link
            self._found.advance()
        self._refetch_partial()
        self._reload_reappeared(tracked)
        gone = sorted(self._gone_sources())
        for row in tracked:
            self._links[row.name].remove_sources(gone)
        self._remove_written_links(tracked)
        for row in tracked:
            self._found.coverage[row.name] = self._link_coverage(row)

    def _load_bodies(self, entries: list[DeltaEntry], bodies: dict[str, dict[str, Any]]) -> None:
        """Fetch the base's bodies that entries have to be merged over.

        A few are fetched even for entries that seem whole: one that lacks a property which is
        known shows that this server's entries are not.
        """
        partial: dict[str, None] = {}
        whole: dict[str, DeltaEntry] = {}
        for entry in entries:
            if entry.id not in bodies and self._is_there(entry.id) and entry.has_properties:
                if self._are_whole and is_whole(self._row, entry.properties):
                    whole.setdefault(entry.id, entry)
                else:
                    partial[entry.id] = None
        proofs = list(whole)[: max(0, _PROOFS - self._proofs)]
        self._proofs += len(proofs)
        self._add_bodies([*partial, *proofs], bodies)
        if any(lacks_some(whole[one].properties, bodies[one]) for one in proofs if one in bodies):
            self._are_whole = False
            self._add_bodies([one for one in whole if one not in bodies], bodies)

    def _add_bodies(self, ids: list[str], bodies: dict[str, dict[str, Any]]) -> None:
        if ids:
            for object_id, known in self._context.base.load_objects(self._row.name, ids).items():
                bodies[object_id] = dict(known.properties)

    def _is_there(self, object_id: str) -> bool:
        objects = self._objects
        if object_id in objects.deleted_ids:
            return False
        return objects.is_known(object_id) or object_id in objects.seen

    def _apply_entry(
        self,
        entry: DeltaEntry,
        bodies: dict[str, dict[str, Any]],
        told: Mapping[str, ToldLinks],
    ) -> None:
        objects = self._objects
        self._note_hidden(entry)
        if entry.is_removed:
            bodies.pop(entry.id, None)
            self._refetch.discard(entry.id)
            self._reappeared.discard(entry.id)
            objects.delete(entry.id)
            # Its links may be there without it: where an earlier round ended half-way.
            self._found.removed_sources.append(entry.id)
            for links in told.values():
                links.forget(entry.id)
            return
        is_new = not self._is_there(entry.id)
        if entry.has_properties or is_new:
            # Absent means unchanged or never set; a cleared property is null. So merging is right
            # for servers that send everything and for those that send only what changed.
            known, merged, body = bodies.get(entry.id), entry.properties, None
            if known is not None or merged.get("id") != entry.id:
                merged = {**(known or {}), **merged, "id": entry.id}
            else:
                body = entry.body
            bodies[entry.id] = merged
            if looks_whole(self._row, merged):
                self._found.put(entry.id, merged, body)
                created = str(merged.get("createdDateTime") or "")
                if is_new and self._existed_before(created):
                    self._reappeared.add(entry.id)
                    self._result.returned.append(entry.id)
            else:
                self._refetch.add(entry.id)
                self._reappeared.add(entry.id)
        for name in (*entry.added, *(one for one in entry.removed if one not in entry.added)):
            if name in told:
                added, removed = entry.links(name, entry.added), entry.links(name, entry.removed)
                if not self._links[name].apply(told[name].of(entry.id), added, removed):
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
                self._found.put(object_id, found[object_id].properties)
            elif self._objects.delete(object_id):
                self._found.removed_sources.append(object_id)
        self._refetch.clear()

    def _reload_reappeared(self, tracked: list[RelationshipKind]) -> None:
        ids = sorted(self._reappeared - self._objects.deleted_ids - self._hidden)
        if not ids:
            return
        for row in tracked:
            found = self._context.live.load_relationships(row.name, ids)
            if not row.is_single:
                found = [*found, *self._doubted_links(row, ids, found)]
            written = self._context.load_written(row.name, frozenset(ids))
            self._links[row.name].reconcile(ids, found, written, self._with_live_target)

    def _doubted_links(
        self, row: RelationshipKind, ids: list[str], found: Sequence[Relationship]
    ) -> list[Relationship]:
        """Read anew the links of objects that are there and seem to have lost all of them.

        An object that a replica does not know yet seems to have none. Raises:
        ``errors.Unavailable`` when Graph says that the object is there and its list is not.
        """
        silent = sorted(set(ids) - {link.source_id for link in found})
        doubtful = list(self._links[row.name].load_known(silent))
        return [
            reading.link_to(row, source_id, item)
            for source_id, items in reading.list_per_source(
                self._context.lists, row.list_path, doubtful
            )
            for item in items
        ]

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
        return frozenset(
            one for one in self._found.removed_sources if one not in self._objects.seen
        )

    def _remove_written_links(self, rows: Iterable[RelationshipKind]) -> None:
        """Take back the links that this run wrote for objects which then turned out to be gone."""
        gone = self._gone_sources()
        for row in rows:
            if gone and self._links[row.name].added:
                for link, exists in self._context.load_written(row.name, gone).values():
                    if exists:
                        self._links[row.name].remove(link)

    def _note_hidden(self, entry: DeltaEntry) -> None:
        if self._misses_hidden and entry.properties.get("visibility") == "HiddenMembership":
            self._hidden.add(entry.id)

    @property
    def _misses_hidden(self) -> bool:
        """Whether members of groups and units that hide them are kept from this application."""
        granted = self._context.granted
        return granted is not None and _HIDDEN_PERMISSION not in granted

    def _lacked_hidden(self, row: RelationshipKind) -> bool:
        """Tell whether the parent did not know the members of those that hide them."""
        coverage = self._context.parent_coverage.get(row.name)
        return coverage is not None and _HIDDEN_PERMISSION in coverage.permissions

    def _link_coverage(self, row: RelationshipKind) -> Coverage:
        if _HIDDEN_PERMISSION not in row.read_permissions or not self._misses_hidden:
            return COMPLETE
        if self._hidden or (self._found.was_followed and self._lacked_hidden(row)):
            return Coverage(
                CoverageStatus.PARTIAL,
                f"Some {self._row.title.lower()} hide their members from this application."
                f" Permission needed: {_HIDDEN_PERMISSION}.",
                (_HIDDEN_PERMISSION,),
            )
        return COMPLETE
