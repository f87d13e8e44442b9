"""A snapshot's state from the repository alone: the replay of its chain.

This is the reader of last resort: no catalog, no database, an empty machine and the key. It holds
an index of where the bodies are (about 200 bytes an object), and the links (about 200 bytes each),
but no bodies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
import pyarrow as pa

from reentra.directory.objects import DirectoryObject, Relationship
from reentra.directory.state import Coverage
from reentra.repository import Manifest, SegmentInfo
from reentra.snapshots.info import SnapshotInfo
from reentra.snapshots.schema import OBJECTS_TABLE, RELATIONSHIPS_TABLE

_READ_ROWS = 4096

_LinkKey = tuple[str, str, str]
"""Source, target and qualifier."""


class ReadsSegments(Protocol):
    """The part of ``Repository`` that is needed here."""

    def load_chain(self, tenant_id: str, snapshot_id: str) -> list[Manifest]:
        """Fetch a manifest and its ancestors, oldest first."""

    def scan(
        self, segment: SegmentInfo, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Fetch the rows in order."""

    def read_rows(
        self, segment: SegmentInfo, rows: Sequence[int], columns: Sequence[str] | None = None
    ) -> pa.Table:
        """Fetch the rows of these numbers."""


@dataclass(frozen=True, slots=True)
class _Place:
    segment: int
    row: int
    name: str


class ReplayedSnapshot:
    """A ``TenantState`` made by replaying a snapshot's chain. Loading it reads the whole chain.

    Raises, at loading and at reads: ``errors.RepositoryDamaged``, ``errors.StorageError``.
    """

    def __init__(self, repository: ReadsSegments, tenant_id: str, snapshot_id: str) -> None:
        self._repository = repository
        self._tenant_id = tenant_id
        chain = repository.load_chain(tenant_id, snapshot_id)
        self.manifest = chain[-1]
        self.info = SnapshotInfo.from_json(self.manifest.payload)
        self._segments: list[SegmentInfo] = []
        self._places: dict[str, dict[str, _Place]] = {}
        self._links: dict[str, dict[_LinkKey, str]] = {}  # to the kind of the target
        texts: dict[str, str] = {}
        for manifest in chain:
            for segment in manifest.segments:
                if segment.table == OBJECTS_TABLE:
                    self._replay_objects(segment)
                elif segment.table == RELATIONSHIPS_TABLE:
                    self._replay_links(segment, texts)

    @property
    def tenant_id(self) -> str:
        return self._tenant_id

    @property
    def label(self) -> str:
        return self.manifest.id

    def coverage(self) -> Mapping[str, Coverage]:
        return self.info.coverage()

    def list_objects(self, kind: str) -> Iterator[DirectoryObject]:
        yield from self._read(kind, self._places.get(kind, {}))

    def load_objects(self, kind: str, ids: Sequence[str]) -> dict[str, DirectoryObject]:
        known = self._places.get(kind, {})
        return {item.id: item for item in self._read(kind, (i for i in ids if i in known))}

    def find_objects(
        self, kind: str, property_name: str, values: Sequence[str]
    ) -> list[DirectoryObject]:
        wanted = {value.lower() for value in values}
        return [
            item
            for item in self.list_objects(kind)
            if isinstance(item.get(property_name), str)
            and item.get(property_name).lower() in wanted
        ]

    def list_relationships(self, relationship: str) -> Iterator[Relationship]:
        for key, target_kind in self._links.get(relationship, {}).items():
            yield _link(relationship, key, target_kind)

    def load_relationships(
        self, relationship: str, source_ids: Sequence[str]
    ) -> list[Relationship]:
        return self._links_with(relationship, 0, frozenset(source_ids))

    def load_relationships_to(
        self, relationship: str, target_ids: Sequence[str]
    ) -> list[Relationship]:
        return self._links_with(relationship, 1, frozenset(target_ids))

    def load_names(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        names = {}
        for kind, places in self._places.items():
            for object_id in ids:
                if object_id in places:
                    names[object_id] = (kind, places[object_id].name)
        return names

    def count_objects(self, kind: str) -> int:
        """Return how many objects of ``kind`` the snapshot holds."""
        return len(self._places.get(kind, {}))

    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of which the snapshot holds at least one object."""
        return tuple(kind for kind, places in self._places.items() if places)

    def _links_with(
        self, relationship: str, end: int, wanted: frozenset[str]
    ) -> list[Relationship]:
        return [
            _link(relationship, key, target_kind)
            for key, target_kind in self._links.get(relationship, {}).items()
            if key[end] in wanted
        ]

    def _replay_objects(self, segment: SegmentInfo) -> None:
        index = len(self._segments)
        self._segments.append(segment)
        row = 0
        for batch in self._repository.scan(segment, ["kind", "id", "deleted", "name"]):
            kinds, ids, deleted, names = (column.to_pylist() for column in batch.columns)
            for kind, object_id, is_deleted, name in zip(kinds, ids, deleted, names, strict=True):
                places = self._places.setdefault(kind, {})
                if is_deleted:
                    places.pop(object_id, None)
                else:
                    places[object_id] = _Place(index, row, name or object_id)
                row += 1

    def _replay_links(self, segment: SegmentInfo, texts: dict[str, str]) -> None:
        for batch in self._repository.scan(segment):
            for kind, source, target, qualifier, target_kind, is_removed in zip(
                *(column.to_pylist() for column in batch.columns), strict=True
            ):
                links = self._links.setdefault(kind, {})
                # Every id is at the end of many links; each batch brings it as a text of its own.
                key = (
                    texts.setdefault(source, source),
                    texts.setdefault(target, target),
                    texts.setdefault(qualifier, qualifier),
                )
                if is_removed:
                    links.pop(key, None)
                else:
                    links[key] = texts.setdefault(target_kind, target_kind)

    def _read(self, kind: str, ids: Iterable[str]) -> Iterator[DirectoryObject]:
        places = self._places.get(kind, {})
        by_segment: dict[int, list[tuple[int, str]]] = {}
        for object_id in ids:
            place = places[object_id]
            by_segment.setdefault(place.segment, []).append((place.row, object_id))
        for index, wanted in by_segment.items():
            wanted.sort()
            for start in range(0, len(wanted), _READ_ROWS):
                piece = wanted[start : start + _READ_ROWS]
                table = self._repository.read_rows(
                    self._segments[index], [row for row, _ in piece], ["body"]
                )
                bodies: list[Any] = table.column("body").to_pylist()
                for (_, object_id), body in zip(piece, bodies, strict=True):
                    yield DirectoryObject(kind, object_id, orjson.loads(body))


def _link(relationship: str, key: _LinkKey, target_kind: str) -> Relationship:
    source, target, qualifier = key
    return Relationship(relationship, source, target, target_kind, qualifier)
