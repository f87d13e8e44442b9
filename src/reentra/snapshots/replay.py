"""A snapshot's state from the repository alone: the replay of its chain.

This is the reader of last resort: no catalog, no database, an empty machine and the key. It holds
where the bodies are (about 30 bytes an object), each identifier once, and the links (20 bytes
each), but no names and no bodies.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from reentra.directory.objects import DirectoryObject, Relationship
from reentra.directory.state import Coverage
from reentra.repository import Manifest, SegmentInfo
from reentra.snapshots.columns import CodeColumn, last_rows, numbered
from reentra.snapshots.identifiers import (
    CodeNumbers,
    decoded,
    encoded,
    stored_codes,
    stored_texts,
)
from reentra.snapshots.info import SnapshotInfo
from reentra.snapshots.schema import OBJECTS_TABLE, RELATIONSHIPS_TABLE

_READ_ROWS = 2048
_LINKS_AT_ONCE = 256 * 1024


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
        segments = [segment for manifest in chain for segment in manifest.segments]
        self._segments = [item for item in segments if item.table == OBJECTS_TABLE]
        self._places = _replayed_objects(repository, self._segments)
        self._links = _ReplayedLinks(
            repository, [item for item in segments if item.table == RELATIONSHIPS_TABLE]
        )

    @property
    def tenant_id(self) -> str:
        return self._tenant_id

    @property
    def label(self) -> str:
        return self.manifest.id

    def coverage(self) -> Mapping[str, Coverage]:
        return self.info.coverage()

    def list_objects(self, kind: str) -> Iterator[DirectoryObject]:
        places = self._places.get(kind)
        if places is not None:
            order = pc.sort_indices(
                pa.table([places.segments, places.rows], ["segment", "row"]),
                [("segment", "ascending"), ("row", "ascending")],
            )
            for start in range(0, len(order), _READ_ROWS):
                piece = order.slice(start, _READ_ROWS).to_pylist()
                yield from self._read(kind, places, piece)

    def load_objects(self, kind: str, ids: Sequence[str]) -> dict[str, DirectoryObject]:
        places = self._places.get(kind)
        if places is None:
            return {}
        found = places.of(dict.fromkeys(ids))
        return {item.id: item for item in self._read(kind, places, found)}

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
        return self._links.all(relationship)

    def load_relationships(
        self, relationship: str, source_ids: Sequence[str]
    ) -> list[Relationship]:
        return self._links.from_sources(relationship, source_ids)

    def load_relationships_to(
        self, relationship: str, target_ids: Sequence[str]
    ) -> list[Relationship]:
        return self._links.to_targets(relationship, target_ids)

    def load_names(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        names = {}
        for kind, places in self._places.items():
            found = places.of(dict.fromkeys(ids))
            for place, name in self._values(places, found, "name"):
                object_id = decoded(places.codes[place])
                names[object_id] = (kind, str(name or object_id))
        return names

    def count_objects(self, kind: str) -> int:
        """Return how many objects of ``kind`` the snapshot holds."""
        places = self._places.get(kind)
        return 0 if places is None else len(places.codes)

    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of which the snapshot holds at least one object."""
        return tuple(self._places)

    def _read(self, kind: str, places: _Places, chosen: list[int]) -> Iterator[DirectoryObject]:
        for place, body in self._values(places, chosen, "body"):
            yield DirectoryObject(kind, decoded(places.codes[place]), orjson.loads(body))

    def _values(
        self, places: _Places, chosen: list[int], column: str
    ) -> Iterator[tuple[int, bytes]]:
        """Fetch one column of the objects at ``chosen``; the order is that of the rows."""
        by_segment: dict[int, list[tuple[int, int]]] = {}
        taken = pa.array(chosen, pa.int64())
        segments = places.segments.take(taken).to_pylist()
        for segment, row, place in zip(
            segments, places.rows.take(taken).to_pylist(), chosen, strict=True
        ):
            by_segment.setdefault(segment, []).append((row, place))
        for segment, wanted in by_segment.items():
            wanted.sort()
            for start in range(0, len(wanted), _READ_ROWS):
                piece = wanted[start : start + _READ_ROWS]
                table = self._repository.read_rows(
                    self._segments[segment], [row for row, _ in piece], [column]
                )
                values = table.column(column).to_pylist()
                yield from zip((place for _, place in piece), values, strict=True)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the bodies of one kind are, by id."""

    codes: CodeColumn
    segments: pa.Array
    rows: pa.Array

    def of(self, ids: Iterable[str]) -> list[int]:
        """Return the places of those that are there."""
        found = (self.codes.place(encoded(object_id)) for object_id in ids)
        return [place for place in found if place is not None]


class _ReplayedLinks:
    """The links of a state, by source."""

    def __init__(self, repository: ReadsSegments, segments: Sequence[SegmentInfo]) -> None:
        words: dict[str, int] = {}
        identifiers = CodeNumbers()
        pieces: list[pa.Table] = []
        for waiting in _gathered(repository, segments):
            names = (("relationship", words), ("qualifier", words), ("target_kind", words))
            columns = {
                name: numbered(waiting.column(name).combine_chunks(), known)
                for name, known in names
            }
            for name in ("source_id", "target_id"):
                numbers, _ = identifiers.numbers(waiting.column(name).combine_chunks())
                columns[name] = numbers.cast(pa.int32())
            columns["removed"] = waiting.column("removed").combine_chunks()
            pieces.append(pa.table(columns))
        codes = identifiers.codes()
        order = pc.sort_indices(codes)
        self._codes = CodeColumn(codes.take(order))
        self._words = list(words)
        self._tables: dict[str, pa.Table] = {}
        self._sources: dict[str, memoryview] = {}
        if not pieces:
            return
        table = pa.concat_tables(pieces).combine_chunks()
        # From now on an identifier's number is its place among the sorted codes.
        ranks = pc.sort_indices(order).cast(pa.int32())
        for name in ("source_id", "target_id"):
            place = table.schema.get_field_index(name)
            table = table.set_column(place, name, ranks.take(table.column(name).chunk(0)))
        key = ("relationship", "source_id", "target_id", "qualifier")
        for relationship, rows in _split(last_rows(table, key), "relationship", self._words):
            self._tables[relationship] = rows
            _, data = rows.column("source_id").chunk(0).buffers()
            begin = rows.column("source_id").chunk(0).offset
            self._sources[relationship] = memoryview(data).cast("i")[begin:][: rows.num_rows]

    def all(self, relationship: str) -> Iterator[Relationship]:
        table = self._tables.get(relationship)
        if table is not None:
            for batch in table.to_batches(max_chunksize=_READ_ROWS):
                yield from self._links(relationship, batch)

    def from_sources(self, relationship: str, ids: Iterable[str]) -> list[Relationship]:
        table = self._tables.get(relationship)
        if table is None:
            return []
        sources = self._sources[relationship]
        found: list[Relationship] = []
        for number in self._numbers(ids):
            first, end = bisect_left(sources, number), bisect_right(sources, number)
            for batch in table.slice(first, end - first).to_batches():
                found.extend(self._links(relationship, batch))
        return found

    def to_targets(self, relationship: str, ids: Iterable[str]) -> list[Relationship]:
        table = self._tables.get(relationship)
        if table is None:
            return []
        numbers = pa.array(self._numbers(ids), pa.int32())
        found = table.filter(pc.is_in(table.column("target_id"), value_set=numbers))
        return [link for batch in found.to_batches() for link in self._links(relationship, batch)]

    def _numbers(self, ids: Iterable[str]) -> list[int]:
        found = (self._codes.place(encoded(identifier)) for identifier in dict.fromkeys(ids))
        return [number for number in found if number is not None]

    def _links(self, relationship: str, rows: pa.RecordBatch) -> Iterator[Relationship]:
        words = self._words
        names = ("source_id", "target_id", "target_kind", "qualifier")
        last, source_id = -1, ""
        for source, target, target_kind, qualifier in zip(
            *(rows.column(name).to_pylist() for name in names), strict=True
        ):
            if source != last:
                last, source_id = source, decoded(self._codes[source])
            yield Relationship(
                relationship,
                source_id,
                decoded(self._codes[target]),
                words[target_kind],
                words[qualifier],
            )


def written_links(rows: pa.RecordBatch) -> Iterator[tuple[Relationship, bool]]:
    """Return stored rows of links as links, and of each whether it was removed."""
    names = ("relationship", "target_kind", "qualifier", "removed")
    kinds, target_kinds, qualifiers, removed = (rows.column(name).to_pylist() for name in names)
    sources, targets = (stored_texts(rows.column(name)) for name in ("source_id", "target_id"))
    for index, kind in enumerate(kinds):
        link = Relationship(
            kind, sources[index], targets[index], target_kinds[index], qualifiers[index]
        )
        yield link, removed[index]


def _replayed_objects(
    repository: ReadsSegments, segments: Sequence[SegmentInfo]
) -> dict[str, _Places]:
    words: dict[str, int] = {}
    pieces = []
    for index, segment in enumerate(segments):
        at = 0
        for batch in repository.scan(segment, ["kind", "id", "deleted"]):
            count = batch.num_rows
            columns = {
                "kind": numbered(batch.column("kind"), words),
                "id": stored_codes(batch.column("id")),
                "segment": pa.repeat(pa.scalar(index, pa.int32()), count),
                "row": pa.array(range(at, at + count), pa.int32()),
                "removed": batch.column("deleted"),
            }
            pieces.append(pa.table(columns))
            at += count
    if not pieces:
        return {}
    table = last_rows(pa.concat_tables(pieces).combine_chunks(), ("kind", "id"))
    return {
        kind: _Places(
            CodeColumn(rows.column("id").chunk(0)),
            rows.column("segment").chunk(0),
            rows.column("row").chunk(0),
        )
        for kind, rows in _split(table, "kind", list(words))
    }


def _split(table: pa.Table, column: str, words: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
    """Yield the rows of each word of a sorted column."""
    if not table.num_rows:
        return
    runs = pc.run_end_encode(table.column(column).chunk(0))
    begin = 0
    for number, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
        yield words[number], table.slice(begin, end - begin)
        begin = end


def _gathered(repository: ReadsSegments, segments: Sequence[SegmentInfo]) -> Iterator[pa.Table]:
    """Fetch the rows of links in order, many at once, identifiers as codes."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for segment in segments:
        for batch in repository.scan(segment):
            coded = batch
            for name in ("source_id", "target_id"):
                place = batch.schema.get_field_index(name)
                codes = stored_codes(batch.column(name))
                coded = coded.set_column(place, pa.field(name, pa.binary(), nullable=False), codes)
            waiting.append(coded)
            rows += batch.num_rows
            if rows >= _LINKS_AT_ONCE:
                yield pa.Table.from_batches(waiting)
                waiting, rows = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting)
