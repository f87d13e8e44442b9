"""Two states to the stream of changes between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from reentra.compare.changes import (
    Candidates,
    Change,
    Comparison,
    Incomplete,
    LinkChange,
    ObjectChange,
    RelationshipChange,
    Told,
)
from reentra.compare.identity import Identities, comparable_body
from reentra.compare.links import LinkScan
from reentra.compare.objects import LOADED_AT_ONCE, Entry, ObjectScan, chunks
from reentra.compare.values import PropertyChange, changes_between
from reentra.directory.kinds import KINDS
from reentra.directory.objects import DirectoryObject
from reentra.directory.relationships import RELATIONSHIPS, RelationshipKind
from reentra.directory.selection import EVERYTHING, Selection
from reentra.directory.state import Coverage, CoverageStatus, TenantState

_NO_IDENTITY: dict[str, str] = {}
_NOT_READ = Coverage(CoverageStatus.SKIPPED, "It was not read.")
_LINK_ORDER = {LinkChange.REMOVED: 0, LinkChange.ADDED: 1, LinkChange.EQUAL: 2}

_Key = tuple[str, str]


def compare(
    before: TenantState,
    after: TenantState,
    selection: Selection = EVERYTHING,
    *,
    candidates: Candidates | None = None,
    identity: Mapping[str, str] = _NO_IDENTITY,
    include_equal: bool = False,
    unreadable: Collection[str] = (),
) -> Comparison:
    """Find what differs between two states, inside the selection.

    ``candidates`` (from the catalog) name what may differ; without them both states are listed.
    ``identity`` maps old ids to new ones, of objects and of applications' client ids: an object
    under either id is the same, on either side. ``include_equal`` also reports what is the same,
    with every leaf, and the links of deleted objects. ``unreadable`` kinds and relationships are
    not looked at on either side, only named as incomplete.

    A kind that is not complete after is never reported as deleted from, one that is not complete
    before never as added to; both are named in ``incomplete``. A link belongs to the selection when
    its source or its target does, and is told at its source. Order: kind by phase, name, id.
    """
    identities = Identities(identity)
    objects = ObjectScan(
        before, after, selection, candidates, identities, include_equal=include_equal
    )
    left, right = before.coverage(), after.coverage()
    incomplete: list[Incomplete] = []

    def is_known(name: str) -> bool:
        """Note what a side lacks, and tell whether both sides have anything to say."""
        for state, coverage in ((before, left), (after, right)):
            if name not in coverage and name not in left and name not in right:
                return False
            told = coverage.get(name, _NOT_READ)
            if not told.is_complete:
                incomplete.append(Incomplete(name, state.label, told))
        return name in left and name in right and name not in unreadable

    for row in sorted(KINDS.values(), key=lambda row: row.phase):
        if selection.touches(row.name) and is_known(row.name):
            objects.scan(
                row.name,
                is_before_whole=left[row.name].is_complete,
                is_after_whole=right[row.name].is_complete,
            )
    links = LinkScan(
        before, after, selection, candidates, identities, objects, include_equal=include_equal
    )
    for relationship in RELATIONSHIPS.values():
        if _is_touched(selection, relationship) and is_known(relationship.name):
            links.scan(relationship)
    objects.load_names()
    entries, counted = objects.entries, objects.counts()
    size = len(entries) + sum(len(entry.links) for entry in entries.values())
    order: list[Told] = []

    def read_from(before: TenantState, after: TenantState) -> Comparison:
        through = links.through(before, after)
        report = _Report(before, after, identities, dict(entries), through, include_equal)
        counts = {kind: Counter(counter) for kind, counter in counted.items()}

        def ordered() -> list[Told]:
            if not order:
                order[:] = report.ordered()
            return [*order]

        return Comparison(
            before.label,
            after.label,
            tuple(incomplete),
            counts,
            size,
            ordered,
            lambda keys: report.produce(keys, counts),
            read_from,
        )

    return read_from(before, after)


def _is_touched(selection: Selection, row: RelationshipKind) -> bool:
    return any(selection.touches(kind) for kind in (row.source_kind, *row.target_kinds))


class _Report:
    """Turns entries into changes, reading bodies as it goes."""

    def __init__(
        self,
        before: TenantState,
        after: TenantState,
        identities: Identities,
        entries: dict[_Key, Entry],
        links: LinkScan,
        include_equal: bool,
    ) -> None:
        self._before = before
        self._after = after
        self._identities = identities
        self._entries = entries
        self._scan = links
        self._include_equal = include_equal

    def ordered(self) -> list[Told]:
        """Return what there is to tell, in order, without reading bodies."""
        order = sorted(
            self._entries,
            key=lambda key: (KINDS[key[0]].phase, self._name(key).lower(), self._name(key), key),
        )
        return [
            Told(entry.change, key[0], entry.before_id or entry.after_id or key[1], key)
            for key, entry in ((key, self._entries[key]) for key in order)
        ]

    def produce(
        self, keys: Iterable[_Key], counts: dict[str, Counter[Change]]
    ) -> Iterator[ObjectChange]:
        """Yield those changes; an entry that turns out to be no change is uncounted."""
        known = (key for key in keys if key in self._entries)
        for piece in chunks(known, LOADED_AT_ONCE):
            left = self._load(self._before, piece, is_after=False)
            right = self._load(self._after, piece, is_after=True)
            later = self._scan.found_later(piece)
            links = {key: [*self._entries[key].links, *later.get(key, ())] for key in piece}
            names = self._target_names(links)
            for key in piece:
                told = tuple(self._links(links[key], names))
                change = self._change(key, left.get(key), right.get(key), told)
                if change is not None:
                    yield change
                elif self._entries.pop(key, None) is not None:
                    counts[key[0]][Change.MODIFIED] -= 1

    def _name(self, key: _Key) -> str:
        return self._entries[key].name or key[1]

    def _change(
        self,
        key: _Key,
        left: DirectoryObject | None,
        right: DirectoryObject | None,
        links: tuple[RelationshipChange, ...],
    ) -> ObjectChange | None:
        entry = self._entries[key]
        properties: tuple[PropertyChange, ...] = ()
        before_id = entry.before_id or (left.id if left else "")
        after_id = entry.after_id or (right.id if right else "")
        if entry.is_chosen and (self._include_equal or entry.change is Change.MODIFIED):
            properties = self._properties(key[0], left, right, before_id != after_id)
        if entry.change is Change.MODIFIED and not properties and not links:
            return None
        return ObjectChange(
            entry.change,
            key[0],
            before_id or after_id or key[1],
            self._name(key),
            properties,
            links,
            after_id if before_id and after_id and before_id != after_id else "",
        )

    def _properties(
        self,
        kind: str,
        left: DirectoryObject | None,
        right: DirectoryObject | None,
        is_renamed: bool,
    ) -> tuple[PropertyChange, ...]:
        is_renamed = is_renamed and left is not None and right is not None
        bodies = [
            {} if item is None else comparable_body(kind, self._identities.body(item), is_renamed)
            for item in (left, right)
        ]
        return changes_between(*bodies, kind=kind, include_equal=self._include_equal)

    def _links(
        self, links: Sequence[RelationshipChange], names: Mapping[tuple[str, bool], _Key]
    ) -> Iterator[RelationshipChange]:
        told = []
        for link in links:
            is_added = link.change is LinkChange.ADDED
            kind, name = names.get((link.target_id, is_added), ("", ""))
            told.append(replace(link, target_kind=link.target_kind or kind, target_name=name or ""))
        yield from sorted(
            told,
            key=lambda link: (
                link.relationship, _LINK_ORDER[link.change], link.target_name.lower(),
                link.target_id, link.qualifier,
            ),
        )  # fmt: skip

    def _load(
        self, state: TenantState, piece: Sequence[_Key], *, is_after: bool
    ) -> dict[_Key, DirectoryObject]:
        """Fetch the bodies that are needed, by entry."""
        wanted: dict[str, dict[str, _Key]] = {}
        for key in piece:
            entry = self._entries[key]
            own = entry.after_id if is_after else entry.before_id
            is_told = bool(entry.before_id or entry.after_id)
            if is_told and not self._include_equal and entry.change is not Change.MODIFIED:
                continue
            ids = [own] if own else [] if is_told else self._identities.spread([key[1]])
            for object_id in ids:
                wanted.setdefault(key[0], {})[object_id] = key
        found = {}
        for kind, keys in wanted.items():
            for object_id, item in state.load_objects(kind, list(keys)).items():
                found[keys[object_id]] = item
        return found

    def _target_names(
        self, links: Mapping[_Key, Sequence[RelationshipChange]]
    ) -> dict[tuple[str, bool], _Key]:
        """Return (target id, whether it was added) -> (kind, name), from the side that has it."""
        names: dict[tuple[str, bool], _Key] = {}
        for is_added in (False, True):
            targets = {
                link.target_id
                for of_one in links.values()
                for link in of_one
                if (link.change is LinkChange.ADDED) is is_added
            }
            order = (self._after, self._before) if is_added else (self._before, self._after)
            for state in order:
                rest = sorted(target for target in targets if (target, is_added) not in names)
                for target, named in (state.load_names(rest) if rest else {}).items():
                    names[target, is_added] = named
        return names
