"""Which links came and went. Holds one number per source, and links only where it differs.

A link counts in a state unless its target is known not to be there: a delta-based snapshot keeps
the membership of a soft-deleted user until Graph says otherwise, and nobody is a member who does
not exist. Source: learn.microsoft.com/graph/delta-query-groups.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from reentra.compare.changes import (
    Candidates,
    Change,
    KnowsChangedLinks,
    LinkChange,
    RelationshipChange,
)
from reentra.compare.identity import Identities
from reentra.compare.objects import LOADED_AT_ONCE, Entry, ObjectScan, chunks
from reentra.directory.objects import Relationship
from reentra.directory.relationships import RELATIONSHIPS, RelationshipKind
from reentra.directory.selection import Selection
from reentra.directory.state import Coverage, TenantState

_Links = dict[tuple[str, str], Relationship]  # (target's key, qualifier) -> link
_Changes = list[RelationshipChange]
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class _Side:
    state: TenantState
    coverage: Mapping[str, Coverage]
    absent: set[str]  # targets known not to be there, from the scan of objects

    def is_whole(self, name: str) -> bool:
        coverage = self.coverage.get(name)
        return coverage is not None and coverage.is_complete


class LinkScan:
    """Finds changed links relationship by relationship and puts them into the scan's entries.

    Where a state knows at once that the links of an object differ, they are left for later: of
    thousands of such objects a page tells fifty.
    """

    def __init__(
        self,
        before: TenantState,
        after: TenantState,
        selection: Selection,
        candidates: Candidates | None,
        identities: Identities,
        objects: ObjectScan,
        *,
        include_equal: bool,
    ) -> None:
        self._before = _Side(before, before.coverage(), objects.only_after)
        self._after = _Side(after, after.coverage(), objects.only_before)
        self._selection = selection
        self._candidates = None if include_equal else candidates
        self._identities = identities
        self._objects = objects
        self._include_equal = include_equal
        self._chosen = {(ref.kind, identities.known(ref.id)) for ref in selection.refs}
        self._promised: dict[str, set[str]] = {}  # relationship -> sources

    def scan(self, row: RelationshipKind) -> None:
        """Find the changes of one relationship."""
        surely = self._surely_changed(row)
        self._promise(row, surely)
        for sources in chunks(
            (source for source in self._sources(row) if source not in surely), LOADED_AT_ONCE
        ):
            wanted = [source for source in sources if self._is_told(row.source_kind, source)]
            self._put(row, self._find(row, wanted))

    def found_later(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], _Changes]:
        """Return the changed links of those objects of which the scan only said that there are."""
        found: dict[tuple[str, str], _Changes] = {}
        for name, sources in self._promised.items():
            row = RELATIONSHIPS[name]
            wanted = [key[1] for key in keys if key[0] == row.source_kind and key[1] in sources]
            for source, changes in self._find(row, wanted).items():
                found.setdefault((row.source_kind, source), []).extend(changes)
        return found

    def through(self, before: TenantState, after: TenantState) -> LinkScan:
        """Return the same scan with other states of the same snapshots to read from."""
        other = copy.copy(self)
        other._before = replace(self._before, state=before)  # noqa: SLF001  its own kind
        other._after = replace(self._after, state=after)  # noqa: SLF001
        return other

    def _is_told(self, kind: str, source: str) -> bool:
        if (kind, source) in self._objects.unknown:
            return False
        return self._include_equal or not self._is_deleted(kind, source)

    def _surely_changed(self, row: RelationshipKind) -> Mapping[str, str]:
        """Return the sources of which it is enough to know, for now, that their links differ."""
        before, after = self._before.state, self._after.state
        if (
            self._candidates is None
            or not self._identities.is_empty
            or not self._selection.takes_whole(row.source_kind)
            or not self._candidates.sources.get(row.name)
            or not isinstance(before, KnowsChangedLinks)
        ):
            return {}
        return before.list_surely_changed(
            row.name,
            row.source_kind,
            after,
            with_removed=self._after.is_whole(row.name),
            with_added=self._before.is_whole(row.name),
        )

    def _promise(self, row: RelationshipKind, sources: Mapping[str, str]) -> None:
        promised = self._promised.setdefault(row.name, set())
        for source, name in sources.items():
            key = (row.source_kind, source)
            if self._is_told(*key):
                if key not in self._objects.entries:
                    self._objects.entries[key] = Entry(Change.MODIFIED, name=name)
                promised.add(source)

    def _find(self, row: RelationshipKind, wanted: list[str]) -> dict[str, _Changes]:
        """Return the changes of links at sources that have any."""
        ends = self._changed_ends(row, wanted)
        left = self._load(self._before, row, wanted, ends)
        right = self._load(self._after, row, wanted, ends)
        return self._compare(row, left, right)

    def _is_deleted(self, kind: str, source: str) -> bool:
        entry = self._objects.entries.get((kind, source))
        return entry is not None and entry.change is Change.DELETED

    # Which sources to look at

    def _sources(self, row: RelationshipKind) -> Iterable[str]:
        known = self._identities.known
        if self._candidates is not None:
            return sorted({known(source) for source in self._candidates.sources.get(row.name, ())})
        kinds = (row.source_kind, *row.target_kinds)
        if any(self._selection.takes_whole(kind) for kind in kinds):
            return sorted({*self._differing(row), *self._named_sources(row)})
        sources = {known(source) for source in self._selection.ids_of(row.source_kind)}
        targets = self._identities.spread(
            target for kind in row.target_kinds for target in self._selection.ids_of(kind)
        )
        for side in (self._before, self._after) if targets else ():
            for link in side.state.load_relationships_to(row.name, targets):
                sources.add(known(link.source_id))
        return sorted(sources)

    def _named_sources(self, row: RelationshipKind) -> Iterator[str]:
        """Yield the chosen sources that sums do not judge: a target may have gone unnoticed.

        A target of a kind that was not scanned whole is looked for by name, link by link.
        """
        if not self._objects.exhausted.issuperset(row.target_kinds):
            yield from map(self._identities.known, self._selection.ids_of(row.source_kind))

    def _differing(self, row: RelationshipKind) -> list[str]:
        """Return the sources whose links differ: sums of hashes, no order, no links held."""
        left = self._sums(self._before, row)
        right = self._sums(self._after, row)
        if self._include_equal:
            return sorted(left.keys() | right.keys())
        return sorted(
            source for source in left.keys() | right.keys() if left.get(source) != right.get(source)
        )

    def _sums(self, side: _Side, row: RelationshipKind) -> dict[str, int]:
        known = self._identities.known
        sums: dict[str, int] = {}
        for link in side.state.list_relationships(row.name):
            source, target = known(link.source_id), known(link.target_id)
            if target in side.absent or not self._is_meant(row, source, target, link.target_kind):
                continue
            number = hash((target, link.qualifier)) & _MASK
            # The one more keeps a single link that hashes to zero apart from none.
            sums[source] = (sums.get(source, 0) + number + 1) & _MASK
        return sums

    def _is_meant(self, row: RelationshipKind, source: str, target: str, target_kind: str) -> bool:
        """Tell whether a link belongs to the selection: by its source or by its target."""
        selection = self._selection
        if selection.takes_whole(row.source_kind) or (row.source_kind, source) in self._chosen:
            return True
        kinds = (target_kind,) if target_kind else row.target_kinds
        return any(selection.takes_whole(kind) or (kind, target) in self._chosen for kind in kinds)

    # What differs at a source

    def _changed_ends(
        self, row: RelationshipKind, sources: list[str]
    ) -> dict[str, list[str]] | None:
        """Return the targets of links that may differ, by source, where both states know them.

        A renamed object may stand at an end that did not change, so then whole sources are loaded.
        """
        before, after = self._before.state, self._after.state
        if self._candidates is None or not self._identities.is_empty or not sources:
            return None
        if not (isinstance(before, KnowsChangedLinks) and isinstance(after, KnowsChangedLinks)):
            return None
        vanished = self._objects.only_before | self._objects.only_after
        found = before.list_changed_ends(row.name, after, sources, vanished)
        if found is None:
            return None
        ends: dict[str, list[str]] = {}
        for source, target in found:
            ends.setdefault(source, []).append(target)
        return ends

    def _load(
        self,
        side: _Side,
        row: RelationshipKind,
        sources: list[str],
        ends: Mapping[str, list[str]] | None,
    ) -> dict[str, _Links]:
        known = self._identities.known
        result: dict[str, _Links] = {}
        if not sources:
            return result
        are_all_meant = self._selection.takes_whole(row.source_kind)
        state = side.state
        if ends is not None and isinstance(state, KnowsChangedLinks):
            pairs = [(source, target) for source in sources for target in ends.get(source, ())]
            links = state.load_links(row.name, pairs)
        else:
            links = state.load_relationships(row.name, self._identities.spread(sources))
        for link in links:
            source, target = known(link.source_id), known(link.target_id)
            if are_all_meant or self._is_meant(row, source, target, link.target_kind):
                result.setdefault(source, {})[target, link.qualifier] = link
        return result

    def _compare(
        self, row: RelationshipKind, left: dict[str, _Links], right: dict[str, _Links]
    ) -> dict[str, _Changes]:
        nothing: _Links = {}
        differing: set[str] = set()
        common: set[str] = set()
        target_kinds: dict[str, str] = {}
        for source in left.keys() | right.keys():
            old, new = left.get(source, nothing), right.get(source, nothing)
            differing.update(target for target, _ in old.keys() ^ new.keys())
            common.update(target for target, _ in old.keys() & new.keys())
            for links in (old, new):
                for (target, _), link in links.items():
                    if link.target_kind or target not in target_kinds:
                        target_kinds[target] = link.target_kind
        unsure = {
            target for target in common if target_kinds[target] not in self._objects.exhausted
        }
        # Each target is judged on both sides: one that neither has must count on neither.
        unsure |= differing
        missing_before = self._absent(self._before, row, unsure, target_kinds)
        missing_before |= common & self._before.absent
        missing_after = self._absent(self._after, row, unsure, target_kinds)
        missing_after |= common & self._after.absent
        changes: dict[str, _Changes] = {}
        for source in left.keys() | right.keys():
            old = _counting(left.get(source, nothing), missing_before)
            new = _counting(right.get(source, nothing), missing_after)
            found = list(self._changes(row, old, new))
            if found:
                changes[source] = found
        return changes

    def _changes(
        self, row: RelationshipKind, old: _Links, new: _Links
    ) -> Iterator[RelationshipChange]:
        if self._after.is_whole(row.name):
            for key in old.keys() - new.keys():
                yield _told(old[key], LinkChange.REMOVED)
        if self._before.is_whole(row.name):
            for key in new.keys() - old.keys():
                yield _told(new[key], LinkChange.ADDED)
        if self._include_equal:
            for key in old.keys() & new.keys():
                yield _told(old[key], LinkChange.EQUAL)

    def _absent(
        self,
        side: _Side,
        row: RelationshipKind,
        targets: set[str],
        target_kinds: Mapping[str, str],
    ) -> set[str]:
        """Return those of ``targets`` that are known not to be in a state."""
        known = self._identities.known
        absent = targets & side.absent
        for piece in chunks(sorted(targets - absent), LOADED_AT_ONCE):
            present = {
                known(name) for name in side.state.load_names(self._identities.spread(piece))
            }
            rest = [target for target in piece if target not in present]
            for target, kinds in (
                (target, (target_kinds[target],) if target_kinds[target] else row.target_kinds)
                for target in rest
            ):
                if not all(side.is_whole(kind) for kind in kinds):
                    continue
                aliases = self._identities.spread([target])
                if not any(side.state.load_objects(kind, aliases) for kind in kinds):
                    absent.add(target)
        return absent

    # Where it is told

    def _put(self, row: RelationshipKind, changes: Mapping[str, list[RelationshipChange]]) -> None:
        kind = row.source_kind
        entries = self._objects.entries
        strangers = [source for source in changes if (kind, source) not in entries]
        outside: set[str] = set()
        if not self._selection.takes_whole(kind):
            outside = {source for source in strangers if (kind, source) not in self._chosen}
            self._judge_existence(kind, sorted(outside))
        for source, found in changes.items():
            entry = entries.get((kind, source))
            if entry is None:
                entry = entries[kind, source] = Entry(Change.MODIFIED)
            elif entry.change is Change.EQUAL and any(
                link.change is not LinkChange.EQUAL for link in found
            ):
                entry.change = Change.MODIFIED
            entry.is_chosen = source not in outside
            entry.links.extend(found)

    def _judge_existence(self, kind: str, sources: list[str]) -> None:
        """Say of objects outside the selection, of which a link is told, whether they are there."""
        known = self._identities.known
        for piece in chunks(sources, LOADED_AT_ONCE):
            ids = self._identities.spread(piece)
            left = {known(found) for found in self._before.state.load_objects(kind, ids)}
            right = {known(found) for found in self._after.state.load_objects(kind, ids)}
            for source in piece:
                if source in left and source not in right and self._after.is_whole(kind):
                    self._objects.entries[kind, source] = Entry(Change.DELETED)
                elif source in right and source not in left and self._before.is_whole(kind):
                    self._objects.entries[kind, source] = Entry(Change.CREATED)


def _counting(links: _Links, missing: set[str]) -> _Links:
    if not missing:
        return links
    return {key: link for key, link in links.items() if key[0] not in missing}


def _told(link: Relationship, change: LinkChange) -> RelationshipChange:
    return RelationshipChange(
        link.kind, change, link.target_id, link.target_kind, "", link.qualifier
    )
