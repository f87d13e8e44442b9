"""What one unit of a backup finds while it is read, and what reading it needs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from reentra import errors, progress
from reentra.backup.ahead import ReadAhead
from reentra.backup.base import Base
from reentra.backup.changes import LinkChanges, LinkKey, ObjectChanges
from reentra.directory.kinds import ObjectKind
from reentra.directory.objects import DirectoryObject, Relationship
from reentra.directory.relationships import relationships_of
from reentra.directory.state import Coverage
from reentra.graph import client
from reentra.snapshots import KindSummary, RelationshipSummary, SnapshotWriter


class ReadsLive(Protocol):
    """The part of ``graph.reader.LiveTenant`` that is needed here."""

    def load_objects(self, kind: str, ids: list[str]) -> dict[str, DirectoryObject]:
        """Fetch objects by id."""

    def load_relationships(self, relationship: str, source_ids: list[str]) -> list[Relationship]:
        """Fetch the links of sources."""

    def load_relationships_to(self, relationship: str, target_ids: list[str]) -> list[Relationship]:
        """Fetch the links of targets."""

    def extension_names(self, kind: str) -> tuple[str, ...]:
        """Fetch, once, the names of the directory extensions that the kind may hold."""

    def forget_extensions(self, known: Mapping[str, tuple[str, ...]] | None = None) -> None:
        """Let those names be fetched anew; ``known`` stand where that fails."""

    @property
    def extensions_refusal(self) -> errors.GraphError | None:
        """Why those names could not be fetched, or ``None``."""

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
    extensions: dict[str, tuple[str, ...]] = field(default_factory=dict)
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
    parent_coverage: Mapping[str, Coverage]
    parent_tracked: frozenset[str]
    parent_supplements: Mapping[str, Mapping[str, str]]
    parent_extensions: Mapping[str, tuple[str, ...]]
    parent_started_at: dt.datetime | None
    # The links that this run has written so far for some sources: the last word on each, and
    # whether that word was "exists".
    load_written: Callable[[str, frozenset[str]], dict[LinkKey, tuple[Relationship, bool]]]
    listener: progress.Listener = progress.ignore
    granted: frozenset[str] | None = None


def supplements_of(row: ObjectKind, live: ReadsLive) -> tuple[str, ...]:
    """Return the properties of a kind that must be asked for in a list of their own."""
    return row.supplement if row.select else (*row.supplement, *live.extension_names(row.name))


class Findings:
    """One unit under way: shared by whoever reads a part of it."""

    def __init__(self, row: ObjectKind, context: UnitContext) -> None:
        self.row = row
        self.context = context
        self.result = UnitResult()
        self.objects = ObjectChanges(row.name, context.base, context.writer)
        self.links = {
            one.name: LinkChanges(one, context.base, context.writer)
            for one in relationships_of(row.name)
        }
        self.coverage: dict[str, Coverage] = {}
        # What the kind lacks although all its objects were read.
        self.shortfalls: list[Coverage] = []
        self.dropped: set[str] = set()  # properties that this Graph does not know
        self.removed_sources: list[str] = []
        self.delta_link = ""
        # Source and target of the links that a full delta round told, where that is on trial.
        self.delta_pairs: dict[str, set[tuple[str, str]]] = {}
        self.supplement: dict[str, dict[str, Any]] = {}
        self.expected: int | None = None

    @property
    def select(self) -> tuple[str, ...]:
        """What lists and deltas of the kind are asked for by name; empty where all comes."""
        if not self.row.select:
            return ()
        names = (*self.row.select, *self.context.live.extension_names(self.row.name))
        return tuple(name for name in names if name not in self.dropped)

    @property
    def supplements(self) -> tuple[str, ...]:
        """What only a list of its own gives."""
        return supplements_of(self.row, self.context.live)

    @property
    def was_followed(self) -> bool:
        """Whether the delta was followed from the parent's link, not read in full."""
        return not self.objects.has_whole_base

    def put(self, object_id: str, properties: Mapping[str, Any], body: bytes | None = None) -> None:
        """Take an object in, with what lists and deltas leave out."""
        supplement = self.supplement.get(object_id)
        if supplement or properties.get("id") != object_id:
            properties = {**properties, "id": object_id, **(supplement or {})}
            body = None
        self.objects.put(object_id, properties, body)

    def advance(self) -> None:
        """Tell how far the unit is."""
        self.context.listener(
            progress.Advanced(self.row.title, len(self.objects.seen), self.expected)
        )
