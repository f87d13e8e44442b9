"""Read one unit: a kind, its relationships, and what is listed once for each of its objects."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from reentra import errors, progress
from reentra.backup import queries, reading
from reentra.backup.changes import LinkChanges, LinkTarget, ObjectChanges
from reentra.backup.delta_reading import DeltaReader
from reentra.backup.findings import Findings, UnitContext, UnitResult
from reentra.backup.ids import IdSet
from reentra.directory import canonical
from reentra.directory.kinds import KINDS, ObjectKind, kind_of_odata_type, missing_permissions
from reentra.directory.objects import Relationship, canonical_id
from reentra.directory.relationships import Reading
from reentra.directory.state import COMPLETE, Coverage, CoverageStatus
from reentra.graph import object_reads, odata, prefetch
from reentra.snapshots import KindSummary, RelationshipSummary

_DEFINITIONS = "extensionProperty"  # they tell by which names extensions are asked for
_MOST_DROPPED = 25
_LINK_BUFFER = 5000
# Kinds that may be many: a first backup asks how many, so that it can tell the time left.
_COUNTED = frozenset({"user", "group", "device"})


def unit_names() -> tuple[str, ...]:
    """Return the kinds that head a unit, in reading order."""
    return tuple(name for name, row in KINDS.items() if not row.per_source_of)


def kinds_of_unit(head: str) -> tuple[str, ...]:
    """Return the kinds that are read together with ``head``."""
    return (head, *(name for name, row in KINDS.items() if row.per_source_of == head))


def read_unit(head: str, context: UnitContext) -> UnitResult:
    """Read one unit into the writer. A failed read is told in the coverage and never raised.

    Raises: ``errors.Unauthenticated``, ``errors.GraphDown``, ``errors.UntrustedLink`` and
    ``errors.RepositoryError``: then nothing of the backup can be trusted to go on.
    """
    with reading.rare_collection():
        return _Unit(KINDS[head], context).read()


class _Unit:
    def __init__(self, row: ObjectKind, context: UnitContext) -> None:
        self._found = found = Findings(row, context)
        self._row, self._context = row, context
        self._objects, self._links, self._result = found.objects, found.links, found.result
        self._delta = DeltaReader(self._found)

    def read(self) -> UnitResult:
        row, context = self._row, self._context
        self._found.expected = self._count_expected()
        context.listener(progress.Started(row.title, self._found.expected))
        self._guard(row.name, row.read_permissions, self._read_objects)
        done = len(self._objects.seen)
        is_whole = self._found.coverage[row.name].is_complete
        for name, changes in self._links.items():
            if name in self._found.coverage:
                continue
            if is_whole:
                self._guard(
                    name,
                    changes.row.read_permissions,
                    lambda changes=changes: self._read_links(changes),  # type: ignore[misc]
                )
            else:
                self._found.coverage[name] = self._found.coverage[row.name]
        for kind in kinds_of_unit(row.name)[1:]:
            self._read_dependent(kind, is_whole)
        self._summarize()
        context.listener(progress.Finished(row.title, done, self._phrase()))
        return self._result

    def _read_objects(self) -> None:
        self._load_supplement()
        while True:
            try:
                if self._row.delta_path:
                    self._delta.read()
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
        optional = self._delta.optional_properties()
        if name and name not in self._found.dropped and len(self._found.dropped) < _MOST_DROPPED:
            self._found.dropped.add(name)
            return True
        if optional - self._found.dropped:
            self._found.dropped |= optional
            return True
        return False

    def _load_supplement(self) -> None:
        """Fetch the properties that a kind's lists and deltas only return when asked by name.

        What Graph refuses stays as it was known: a refusal is no deletion.
        """
        names = self._found.supplements
        while names:
            try:
                fetched = self._fetch_supplement(names)
            except (errors.InvalidRequest, errors.Forbidden) as error:
                unknown = odata.unknown_property(error)
                refused = tuple(name for name in names if name == unknown) or names
                self._keep_supplement(refused, error)
                names = tuple(name for name in names if name not in refused)
            else:
                for object_id, values in fetched.items():
                    self._found.supplement.setdefault(object_id, {}).update(values)
                return

    def _fetch_supplement(self, names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        """Return id -> the values that it has of ``names``."""
        fetched: dict[str, dict[str, Any]] = {}
        lists, path = self._context.lists, self._row.list_path
        for page in lists.pages(path, queries.supplement_params(names)):
            for item in page.items:
                if values := _values_of(canonical.cleaned(item), names):
                    fetched[canonical_id(item["id"])] = values
        return fetched

    def _keep_supplement(self, names: tuple[str, ...], error: errors.GraphError) -> None:
        """Go by what the parent knows of properties that Graph refused to tell."""
        context, row = self._context, self._row
        ids = list(context.parent_supplements.get(row.name, {}))
        kept: dict[str, dict[str, Any]] = {}
        for object_id, known in context.base.load_objects(row.name, ids).items():
            if values := _values_of(known.properties, names):
                kept[object_id] = values
        for object_id, values in kept.items():
            self._found.supplement.setdefault(object_id, {}).update(values)
        if odata.unknown_property(error) and not kept:
            self._found.dropped.update(names)  # this cloud does not have it
            return
        reason = f"{', '.join(names)} could not be read; what was known is kept. {error.message}"
        self._found.shortfalls.append(self._partial(reason, error, row.read_permissions))

    def _check_supplement(self) -> None:
        """Take in supplements that changed by themselves: no delta reports them."""
        row, names = self._row, self._found.supplements
        if not names:
            return
        digests = {
            object_id: canonical.digest("", values).hex()
            for object_id, values in self._found.supplement.items()
        }
        self._result.supplements[row.name] = digests
        if not self._found.was_followed:
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
                blank = dict.fromkeys(names)
                self._found.put(object_id, {**known.properties, **blank})

    def _read_list(self) -> None:
        objects = self._objects
        objects.load_all_known()
        for items in prefetch.prefetched(
            reading.list_kind(self._context.lists, self._row, self._found.select)
        ):
            for item in items:
                object_id = item.get(self._row.id_property)
                if object_id is None and self._row.is_singleton:
                    object_id = self._row.name
                if not isinstance(object_id, str) or not object_id:
                    raise errors.Unavailable(f"Graph returned a {self._row.name} without an id.")
                properties, body = canonical.cleaned_body(item)
                self._found.put(canonical_id(object_id), properties, body)
            self._found.advance()
        objects.delete_unseen()

    # --- relationships and dependents ----------------------------------------------------------

    def _read_links(self, changes: LinkChanges) -> None:
        row = changes.row
        if row.reading is Reading.PER_TARGET:
            self._read_per_target(changes)
        elif row.reading is Reading.EXPAND:
            if row.name in self._context.parent_tracked and self._found.was_followed:
                return
            try:
                self._read_expanded(changes)
            except errors.InvalidRequest:
                self._read_per_source(changes, self._objects.current_ids())
        else:
            self._read_per_source(changes, self._objects.current_ids())

    def _read_per_target(self, changes: LinkChanges) -> None:
        row, lists = changes.row, self._context.lists
        found: dict[str, dict[LinkTarget, Relationship]] = {}
        for target in (KINDS[name] for name in row.target_kinds):
            target_ids = [
                reading.id_of(target, item)
                for items in reading.list_kind(lists, target, target.select)
                for item in items
            ]
            path = queries.sources_path(row)
            for target_id, items in reading.list_per_source(lists, path, target_ids):
                for item in items:
                    said = str(item.get("@odata.type", ""))
                    if said and kind_of_odata_type(said) != row.source_kind:
                        continue
                    source_id = reading.id_of(self._row, item)
                    link = Relationship(row.name, source_id, target_id, target.name)
                    found.setdefault(source_id, {})[target_id, ""] = link
        current = self._objects.present(found)
        changes.replace_all({one: links for one, links in found.items() if one in current})

    def _read_expanded(self, changes: LinkChanges) -> None:
        row = changes.row
        cut_off: list[str] = []
        swept = IdSet()
        found: dict[str, dict[LinkTarget, Relationship]] = {}
        for source_ids, by_source in reading.list_expanded(self._context.lists, self._row, row):
            swept.update(source_ids)
            for source_id, links in by_source.items():
                if len(links) >= reading.EXPANDED_TARGETS:
                    cut_off.append(source_id)
                else:
                    found[source_id] = {(link.target_id, link.qualifier): link for link in links}
        # What a list that is behind does not show may have links all the same.
        known = IdSet(link.source_id for link in self._context.base.list_relationships(row.name))
        unlisted = {*(known - swept), *(self._objects.seen - swept)}
        cut_off += sorted(self._objects.present(unlisted))
        for source_id, items in reading.list_per_source(
            self._context.lists, row.list_path, cut_off
        ):
            found[source_id] = {
                (link.target_id, link.qualifier): link
                for link in (reading.link_to(row, source_id, item) for item in items)
            }
        # An object that was created after the kind was read is the next backup's.
        current = self._objects.present(found)
        found = {source: links for source, links in found.items() if source in current}
        changes.replace_all(found)
        seen = self._found.delta_pairs.get(row.name)
        pairs = {(source, target) for source, links in found.items() for target, _ in links}
        if seen is not None and pairs and pairs == seen:
            # The delta reported exactly what the sweep found: from now on it is tracked.
            self._result.delta_tracked.append(row.name)

    def _read_per_source(self, changes: LinkChanges, source_ids: list[str]) -> None:
        row = changes.row
        buffer: list[Relationship] = []
        sources: list[str] = []
        for source_id, items in reading.list_per_source(
            self._context.lists, row.list_path, source_ids
        ):
            sources.append(source_id)
            buffer.extend(reading.link_to(row, source_id, item) for item in items)
            if len(buffer) >= _LINK_BUFFER:
                changes.replace(sources, buffer)
                buffer, sources = [], []
        changes.replace(sources, buffer)
        changes.remove_sources(self._found.removed_sources)

    def _read_dependent(self, kind: str, is_whole: bool) -> None:
        row = KINDS[kind]
        objects = ObjectChanges(kind, self._context.base, self._context.writer)
        if not is_whole:
            self._found.coverage[kind] = self._found.coverage[self._row.name]
        else:

            def read() -> None:
                objects.load_all_known()
                for source_id, items in reading.list_per_source(
                    self._context.lists, row.list_path, self._objects.current_ids()
                ):
                    for item in items:
                        noted = object_reads.with_source(row, item, source_id)
                        properties, body = canonical.cleaned_body(noted)
                        objects.put(item["id"], properties, body)
                objects.delete_unseen()

            self._context.listener(progress.Started(row.title))
            self._guard(kind, row.read_permissions, read)
            refusal = self._context.live.extensions_refusal
            if kind == _DEFINITIONS and refusal and self._found.coverage[kind].is_complete:
                reason = f"Values of definitions made since may be missing. {refusal.message}"
                self._found.coverage[kind] = self._partial(reason, refusal, row.read_permissions)
            self._context.listener(progress.Finished(row.title, len(objects.seen)))
        self._add_summary(kind, objects)

    # --- outcome -------------------------------------------------------------------------------

    def _guard(self, name: str, permissions: tuple[str, ...], read: Callable[[], None]) -> None:
        """Run a read; turn its failure into coverage, except where going on makes no sense."""
        try:
            read()
        except (errors.Unauthenticated, errors.GraphDown, errors.UntrustedLink):
            raise
        except errors.GraphError as error:
            self._found.coverage[name] = self._failed(name, error, permissions)
        else:
            self._found.coverage.setdefault(name, COMPLETE)

    def _failed(
        self, name: str, error: errors.GraphError, permissions: tuple[str, ...]
    ) -> Coverage:
        """Return the coverage of what could not be read at all."""
        row = KINDS.get(name)
        is_absent = isinstance(error, errors.InvalidRequest | errors.GraphNotFound)
        if row is not None and row.licence and is_absent and not odata.lacks_licence(error):
            reason = f"This tenant's Graph does not offer it; it comes with {row.licence}."
            return Coverage(CoverageStatus.REFUSED, f"{reason} {error.message}")
        if odata.lacks_licence(error):
            return Coverage(CoverageStatus.REFUSED, f"{odata.NO_LICENCE} {error.message}")
        found = self._partial(error.message, error, permissions)
        if isinstance(error, errors.Forbidden):
            return dataclasses.replace(found, status=CoverageStatus.REFUSED)
        return found

    def _partial(
        self, reason: str, error: errors.GraphError, permissions: tuple[str, ...]
    ) -> Coverage:
        """Return the coverage of what lacks something because of ``error``."""
        missing = self._missing(permissions) if isinstance(error, errors.Forbidden) else ()
        needed = f" Permission needed: {', '.join(missing)}." if missing else ""
        return Coverage(CoverageStatus.PARTIAL, reason + needed, missing)

    def _missing(self, permissions: tuple[str, ...]) -> tuple[str, ...]:
        if self._context.granted is None:
            return permissions
        return missing_permissions(permissions, self._context.granted) or permissions

    def _summarize(self) -> None:
        row, context = self._row, self._context
        is_whole = self._found.coverage[row.name].is_complete
        if is_whole and self._found.shortfalls:
            self._found.coverage[row.name] = self._found.shortfalls[0]
        self._add_summary(row.name, self._objects)
        for name, changes in self._links.items():
            self._result.relationships[name] = RelationshipSummary(
                changes.added, changes.removed, self._found.coverage[name]
            )
        if row.delta_path:
            link = self._found.delta_link if is_whole else context.parent_links.get(row.name, "")
            if link:
                self._result.delta_links[row.name] = link
            if is_whole and self._found.was_followed:
                self._result.delta_tracked += [
                    name for name in self._links if name in context.parent_tracked
                ]
        if row.has_extensions and (names := context.live.extension_names(row.name)):
            self._result.extensions[row.name] = names
        if dropped := self._found.dropped.intersection((*row.select, *row.supplement)):
            self._result.dropped_properties[row.name] = tuple(sorted(dropped))

    def _add_summary(self, kind: str, objects: ObjectChanges) -> None:
        coverage = self._found.coverage[kind]
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
        except (errors.Unauthenticated, errors.GraphDown):
            raise
        except errors.GraphError:
            return None  # it is only for a progress bar

    def _phrase(self) -> str:
        objects, coverage = self._objects, self._found.coverage[self._row.name]
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


def _values_of(properties: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return those of the named properties that have a value."""
    return {
        name: properties[name]
        for name in names
        if canonical.canonical_value(properties.get(name)) is not None
    }
