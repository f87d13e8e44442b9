"""Which objects appeared, vanished or differ. Holds digests, never bodies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from reentra.compare.changes import Candidates, Change, Digests, RelationshipChange
from reentra.compare.identity import Identities, comparable_body, natural_key, title
from reentra.directory import canonical
from reentra.directory.objects import DirectoryObject
from reentra.directory.selection import Selection
from reentra.directory.state import KnowsDigests, TenantState

LOADED_AT_ONCE = 500

_Digest = tuple[str, bytes, str | None]  # id, digest, name


@dataclass(slots=True)
class Entry:
    """One object that will be reported. Its key is the id at the end of the identity's chain."""

    change: Change
    before_id: str = ""
    after_id: str = ""
    name: str | None = None
    is_chosen: bool = True  # else only its links are told, because their targets are chosen
    links: list[RelationshipChange] = field(default_factory=list)


class ObjectScan:
    """Finds changed objects kind by kind and remembers what that says about existence."""

    def __init__(
        self,
        before: TenantState,
        after: TenantState,
        selection: Selection,
        candidates: Candidates | None,
        identities: Identities,
        *,
        include_equal: bool,
    ) -> None:
        self._before = before
        self._after = after
        self._selection = selection
        self._candidates = candidates
        self._identities = identities
        self._include_equal = include_equal
        self.entries: dict[tuple[str, str], Entry] = {}
        self.only_before: set[str] = set()  # objects that the other side is known not to have
        self.only_after: set[str] = set()
        self.unknown: set[tuple[str, str]] = set()  # absent on a side that is not complete
        self.exhausted: set[str] = set()  # kinds of which the sets above tell all

    def scan(self, kind: str, *, is_before_whole: bool, is_after_whole: bool) -> None:
        """Find the changes of one kind."""
        identities = self._identities
        ids = self._ids_to_look_at(kind)
        left: dict[str, bytes] = {}
        left_ids: dict[str, str] = {}  # where the id is not the key
        left_names: dict[str, str] = {}  # where it is told without a body
        told = self._told(kind, ids)
        if told:
            left_names = {item[0]: item[2] for item in told[0] if item[2]}
        for object_id, digest, _ in told[0] if told else self._digests(self._before, kind, ids):
            key = identities.known(object_id)
            if key in left:  # the old and the new object are both there: two objects after all
                key = object_id
            left[key] = digest
            if key != object_id:
                left_ids[key] = object_id
        fresh: dict[str, tuple[str, str | None]] = {}
        matched: set[str] = set()
        for object_id, digest, name in told[1] if told else self._digests(self._after, kind, ids):
            key = identities.known(object_id)
            if key != object_id and (key in matched or key in fresh):
                key = object_id
            old = left.pop(key, None)
            if old is None:
                fresh[key] = (object_id, name)
                continue
            if not identities.is_empty:
                matched.add(key)
            if old != digest or self._include_equal:
                change = Change.EQUAL if old == digest else Change.MODIFIED
                before_id = left_ids.get(key, key)
                self.entries[kind, key] = Entry(change, before_id, object_id, name)
        gone = {key: left_ids.get(key, key) for key in left}
        self._pair_by_natural_key(kind, gone, fresh)
        if is_after_whole:
            self.only_before.update(gone)
            for key, object_id in gone.items():
                name = left_names.get(object_id)
                self.entries[kind, key] = Entry(Change.DELETED, object_id, "", name)
        else:
            self.unknown.update((kind, key) for key in gone)
        if is_before_whole:
            self.only_after.update(fresh)
            for key, (object_id, name) in fresh.items():
                self.entries[kind, key] = Entry(Change.CREATED, "", object_id, name)
        else:
            self.unknown.update((kind, key) for key in fresh)
        if self._selection.takes_whole(kind):
            self.exhausted.add(kind)

    def load_names(self) -> None:
        """Give every entry its name."""
        by_kind: dict[str, list[tuple[str, Entry]]] = {}
        for (kind, key), entry in self.entries.items():
            if entry.name is None:
                by_kind.setdefault(kind, []).append((key, entry))
        for kind, nameless in by_kind.items():
            for piece in chunks(nameless, LOADED_AT_ONCE):
                for state in (self._after, self._before):
                    self._load_names_from(state, kind, piece)
                for key, entry in piece:
                    entry.name = entry.name or key

    def counts(self) -> dict[str, Counter[Change]]:
        """Return kind -> change -> how many."""
        result: dict[str, Counter[Change]] = {}
        for (kind, _), entry in self.entries.items():
            result.setdefault(kind, Counter())[entry.change] += 1
        return result

    def _load_names_from(
        self, state: TenantState, kind: str, piece: Sequence[tuple[str, Entry]]
    ) -> None:
        waiting = {
            own_id: entry
            for key, entry in piece
            if entry.name is None
            for own_id in _ids_on(state is self._after, key, entry, self._identities)
        }
        if not waiting:
            return
        for object_id, (named_kind, name) in state.load_names(list(waiting)).items():
            if named_kind == kind and name and object_id in waiting:
                waiting[object_id].name = name
        rest = [object_id for object_id, entry in waiting.items() if entry.name is None]
        for object_id, item in (state.load_objects(kind, rest) if rest else {}).items():
            waiting[object_id].name = title(item)

    def _ids_to_look_at(self, kind: str) -> list[str] | None:
        """Return the ids to look at on both sides, or ``None`` for the whole kind."""
        is_whole = self._selection.takes_whole(kind)
        chosen = self._identities.spread(self._selection.ids_of(kind))
        if self._candidates is None or self._include_equal:
            return None if is_whole else chosen
        spread = self._identities.spread(self._candidates.objects.get(kind, ()))
        if is_whole:
            return spread
        allowed = set(chosen)
        return [object_id for object_id in spread if object_id in allowed]

    def _told(self, kind: str, ids: Sequence[str] | None) -> tuple[list[_Digest], ...] | None:
        """Return what the candidates themselves tell of both sides, if they do."""
        named = self._candidates.objects.get(kind) if self._candidates is not None else None
        if ids is None or not isinstance(named, Mapping) or self._identities.rewrites(kind):
            return None
        sides: tuple[list[_Digest], ...] = ([], [])
        for object_id in ids:
            digests: Digests | None = named.get(object_id)
            if digests is not None and digests.before is not None:
                sides[0].append((object_id, digests.before, digests.name))
            if digests is not None and digests.after is not None:
                sides[1].append((object_id, digests.after, digests.name))
        return sides

    def _digests(
        self, state: TenantState, kind: str, ids: Sequence[str] | None
    ) -> Iterator[_Digest]:
        if isinstance(state, KnowsDigests) and not self._identities.rewrites(kind):
            for object_id, digest in state.load_digests(kind, ids).items():
                yield object_id, digest, None
            return
        items: Iterable[DirectoryObject]
        items = state.list_objects(kind) if ids is None else _loaded(state, kind, ids)
        for item in items:
            yield item.id, self._identities.digest(item), title(item)

    def _pair_by_natural_key(
        self, kind: str, gone: dict[str, str], fresh: dict[str, tuple[str, str | None]]
    ) -> None:
        """Find objects that came back under another id, and take them out of both."""
        if not gone or not fresh:
            return
        identities = self._identities
        keys = {object_id: key for key, object_id in gone.items()}
        waiting: dict[tuple[str, ...], list[str]] = {}
        for item in _loaded(self._before, kind, sorted(gone.values())):
            natural = natural_key(item, identities.body(item))
            if natural is None:
                if kind != "user":
                    return
                continue
            waiting.setdefault(natural, []).append(item.id)
        pairs: list[tuple[str, str]] = []
        fresh_keys = {object_id: key for key, (object_id, _) in fresh.items()}
        for item in _loaded(self._after, kind, sorted(fresh_keys)):
            natural = natural_key(item, identities.body(item))
            olds = waiting.get(natural) if natural is not None else None
            if olds:
                pairs.append((olds.pop(0), item.id))
        for before_id, after_id in pairs:
            del gone[keys[before_id]]
            _, name = fresh.pop(fresh_keys[after_id])
            identities.same(before_id, after_id)
            key = identities.known(after_id)
            self.entries[kind, key] = Entry(Change.EQUAL, before_id, after_id, name)
        self._judge_pairs(kind, pairs)

    def _judge_pairs(self, kind: str, pairs: Sequence[tuple[str, str]]) -> None:
        for piece in chunks(pairs, LOADED_AT_ONCE):
            left = self._before.load_objects(kind, [old for old, _ in piece])
            right = self._after.load_objects(kind, [new for _, new in piece])
            for before_id, after_id in piece:
                key = (kind, self._identities.known(after_id))
                bodies = [
                    comparable_body(kind, self._identities.body(item), True)
                    for item in (left[before_id], right[after_id])
                ]
                if not canonical.are_same(kind, *bodies):
                    self.entries[key].change = Change.MODIFIED
                elif not self._include_equal:
                    del self.entries[key]


def _ids_on(is_after: bool, key: str, entry: Entry, identities: Identities) -> list[str]:
    own = entry.after_id if is_after else entry.before_id
    if own:
        return [own]
    return [] if entry.before_id or entry.after_id else identities.spread([key])


def _loaded(state: TenantState, kind: str, ids: Sequence[str]) -> Iterator[DirectoryObject]:
    for piece in chunks(ids, LOADED_AT_ONCE):
        yield from state.load_objects(kind, piece).values()


def chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield lists of at most ``size`` items."""
    iterator = iter(items)
    while piece := list(islice(iterator, size)):
        yield piece
