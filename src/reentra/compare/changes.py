"""What a comparison finds, as values."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from reentra.compare.values import PropertyChange
from reentra.directory.objects import Relationship
from reentra.directory.state import Coverage, TenantState


class Change(enum.StrEnum):
    """What happened to an object. ``EQUAL`` is reported only on request."""

    CREATED = "created"
    MODIFIED = "modified"
    DELETED = "deleted"
    EQUAL = "equal"


class LinkChange(enum.StrEnum):
    """What happened to a link. ``EQUAL`` is reported only on request."""

    ADDED = "added"
    REMOVED = "removed"
    EQUAL = "equal"


class Digests(Protocol):
    """An object's digests on both sides (``None``: not there), and its name."""

    @property
    def before(self) -> bytes | None: ...

    @property
    def after(self) -> bytes | None: ...

    @property
    def name(self) -> str: ...


@runtime_checkable
class KnowsChangedLinks(Protocol):
    """A state that can tell which links may differ from those of another state of its sort."""

    def list_changed_ends(
        self,
        relationship: str,
        other: TenantState,
        sources: Sequence[str],
        vanished: Collection[str],
    ) -> list[tuple[str, str]] | None:
        """Return (source id, target id) of those links of ``sources``; ``None`` if it cannot tell.

        A link whose target is among ``vanished`` belongs to them.
        """

    def list_surely_changed(
        self,
        relationship: str,
        source_kind: str,
        after: TenantState,
        *,
        with_removed: bool,
        with_added: bool,
    ) -> Mapping[str, str]:
        """Return (id -> name) sources of which a link that counts came or went until ``after``.

        Others may differ, too. Links that went or came are looked at where it is said.
        """

    def load_links(self, relationship: str, ends: Sequence[tuple[str, str]]) -> list[Relationship]:
        """Return the links that go from a source to a target of ``ends``."""


class Candidates(Protocol):
    """What may differ between two states; nothing else does. Empty means that nothing differs.

    ``objects`` names ids by kind; where it is a mapping, each id stands for ``Digests``, which
    saves asking both states. ``sources`` names the ids at which links start, by relationship;
    the sources of links whose target appeared or vanished belong to them.
    """

    @property
    def objects(self) -> Mapping[str, Collection[str]]: ...

    @property
    def sources(self) -> Mapping[str, Collection[str]]: ...


@dataclass(frozen=True, slots=True)
class RelationshipChange:
    """One link that came or went, told at its source."""

    relationship: str
    change: LinkChange
    target_id: str
    target_kind: str = ""
    target_name: str = ""
    qualifier: str = ""

    def to_json(self) -> dict[str, Any]:
        value = {
            "relationship": self.relationship,
            "change": self.change.value,
            "target": self.target_id,
            "target_kind": self.target_kind,
            "target_name": self.target_name,
        }
        return {**value, "qualifier": self.qualifier} if self.qualifier else value


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """One object that changed, with its own links.

    ``id`` is the one it had before (or has now, when it was created); ``new_id`` is set when it
    has another one now.
    """

    change: Change
    kind: str
    id: str
    display_name: str
    properties: tuple[PropertyChange, ...] = ()
    relationships: tuple[RelationshipChange, ...] = ()
    new_id: str = ""

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {
            "change": self.change.value,
            "kind": self.kind,
            "id": self.id,
            "display_name": self.display_name,
            "properties": [item.to_json() for item in self.properties],
            "relationships": [item.to_json() for item in self.relationships],
        }
        return {**value, "new_id": self.new_id} if self.new_id else value


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A kind or relationship of which one side knows only a part."""

    name: str
    state: str  # the side's label
    coverage: Coverage

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "state": self.state, **self.coverage.to_json()}


class Told(NamedTuple):
    """One entry of a comparison before its bodies are read. ``id`` is the one it had before."""

    change: Change
    kind: str
    id: str
    key: tuple[str, str]


class Comparison:
    """The changes between two states: iterate over it, as often as needed.

    Bodies are read while iterating, a few hundred objects at a time. One is for one thread; for
    another thread there is ``again``. ``size`` is how many objects and links it holds.
    """

    def __init__(
        self,
        before: str,
        after: str,
        incomplete: tuple[Incomplete, ...],
        counts: dict[str, Counter[Change]],
        size: int,
        ordered: Callable[[], list[Told]],
        produce: Callable[[Iterable[tuple[str, str]]], Iterator[ObjectChange]],
        again: Callable[[TenantState, TenantState], Comparison],
    ) -> None:
        self.before = before
        self.after = after
        self.incomplete = incomplete
        self.size = size
        self._counts = counts
        self._ordered = ordered
        self._produce = produce
        self._again = again

    def again(self, before: TenantState, after: TenantState) -> Comparison:
        """Return the same comparison, which reads from these states: of the same snapshots."""
        return self._again(before, after)

    def __iter__(self) -> Iterator[ObjectChange]:
        return self.told(self.ordered())

    def ordered(self) -> list[Told]:
        """Return what there is to tell, in order, without reading bodies.

        It is the same each time a comparison of the same two snapshots is made. An entry may turn
        out to be no change when it is told.
        """
        return self._ordered()

    def told(self, entries: Iterable[Told]) -> Iterator[ObjectChange]:
        """Yield the changes of some entries."""
        return self._produce(entry.key for entry in entries)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Return kind -> change -> how many, for kinds that have any."""
        return {
            kind: {change.value: number for change, number in sorted(counter.items()) if number}
            for kind, counter in self._counts.items()
            if any(counter.values())
        }

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing differs."""
        return not any(
            number
            for counter in self._counts.values()
            for change, number in counter.items()
            if change is not Change.EQUAL
        )

    def to_json(self) -> list[dict[str, Any]]:
        return [change.to_json() for change in self]
