"""Merging the segments of successive snapshots into those of one, for prune.

Of rows about the same object or link the last one stays. A large segment of which most rows stay is
taken over as it is, in its place, so that the later row goes on winning.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from reentra.repository import SegmentInfo, SegmentLayout
from reentra.snapshots.columns import last_places, numbered
from reentra.snapshots.identifiers import CodeNumbers, stored_codes
from reentra.snapshots.replay import ReadsSegments
from reentra.snapshots.schema import (
    OBJECTS,
    OBJECTS_LAYOUT,
    OBJECTS_TABLE,
    RELATIONSHIPS,
    RELATIONSHIPS_LAYOUT,
    RELATIONSHIPS_TABLE,
)
from reentra.snapshots.writer import WritesSegments

TAKEN_OVER_BYTES = 8 << 20  # a segment of at least this size is not written anew for
TAKEN_OVER_SHARE = 0.8  # less than a fifth of its rows


class KeepsSegments(ReadsSegments, WritesSegments, Protocol):
    """The part of ``Repository`` that is needed here."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """How the rows of a table are told apart."""

    schema: pa.Schema
    layout: SegmentLayout
    words: tuple[str, ...]
    codes: tuple[str, ...]
    removed: str

    @property
    def key(self) -> tuple[str, ...]:
        return (*self.words, *self.codes)


_TABLES = {
    OBJECTS_TABLE: _Rows(OBJECTS, OBJECTS_LAYOUT, ("kind",), ("id",), "deleted"),
    RELATIONSHIPS_TABLE: _Rows(
        RELATIONSHIPS,
        RELATIONSHIPS_LAYOUT,
        ("relationship", "qualifier"),
        ("source_id", "target_id"),
        "removed",
    ),
}


class SnapshotMerger:
    """Merges, and tells whether two lists of segments replay to the same."""

    def __init__(
        self, repository: KeepsSegments, *, taken_over_bytes: int = TAKEN_OVER_BYTES
    ) -> None:
        self._repository = repository
        self._taken_over_bytes = taken_over_bytes

    def merge(
        self, segments: Sequence[SegmentInfo], *, has_parent: bool
    ) -> tuple[SegmentInfo, ...]:
        """Return segments, new or taken over, that replay to what ``segments`` do.

        Without a parent, rows that say that something is gone have nothing to say.
        Raises: ``errors.RepositoryDamaged``, ``errors.StorageError``; what was written by then is
        garbage that no manifest names.
        """
        merged: list[SegmentInfo] = []
        for table in dict.fromkeys(segment.table for segment in segments):
            own = [segment for segment in segments if segment.table == table]
            rows = _TABLES.get(table)
            merged += own if rows is None else self._merge(rows, own, has_parent)
        return tuple(merged)

    def digest(self, segments: Sequence[SegmentInfo], *, has_parent: bool) -> str:
        """Return what is equal when two lists of segments replay to the same, byte for byte.

        It is a sum over the last row of each object and link, every column, in any order.
        """
        sums = []
        for table, rows in _TABLES.items():
            own = [segment for segment in segments if segment.table == table]
            last = self._last(rows, own, is_removed_kept=has_parent)
            total = count = 0
            for index, segment in enumerate(own):
                for batch in self._chosen(rows, segment, last[index]):
                    for values in zip(*(column.to_pylist() for column in batch), strict=True):
                        hashed = hashlib.sha256(repr(values).encode()).digest()
                        total += int.from_bytes(hashed)
                        count += 1
            sums.append(f"{table} {count} {total % (1 << 256):064x}")
        others = [segment.sha256 for segment in segments if segment.table not in _TABLES]
        return " ".join((*sums, *others))

    def _merge(
        self, rows: _Rows, segments: Sequence[SegmentInfo], has_parent: bool
    ) -> list[SegmentInfo]:
        last = self._last(rows, segments, is_removed_kept=has_parent)
        taken = [
            segment.size_bytes >= self._taken_over_bytes
            and len(last[index]) >= TAKEN_OVER_SHARE * segment.rows
            for index, segment in enumerate(segments)
        ]
        if not has_parent and any(
            is_taken and len(last[index]) < segments[index].rows
            for index, is_taken in enumerate(taken)
        ):
            # A row that stays in what is taken over may be one that a later row takes back.
            last = self._last(rows, segments, is_removed_kept=True)
        merged: list[SegmentInfo] = []
        run: list[int] = []
        for index, is_taken in enumerate(taken):
            if not is_taken:
                if len(last[index]):
                    run.append(index)
                continue
            merged += self._written(rows, segments, run, last)
            merged.append(segments[index])
            run = []
        return merged + self._written(rows, segments, run, last)

    def _written(
        self,
        rows: _Rows,
        segments: Sequence[SegmentInfo],
        run: Sequence[int],
        last: Sequence[array[int]],
    ) -> list[SegmentInfo]:
        """Write the rows of some segments that stay into new ones."""
        if len(run) == 1 and len(last[run[0]]) == segments[run[0]].rows:
            return [segments[run[0]]]  # nothing to merge it with, nothing to take out of it
        if not run:
            return []
        table = segments[run[0]].table
        with self._repository.segment_writer(table, rows.schema, rows.layout) as writer:
            for index in run:
                for batch in self._chosen(rows, segments[index], last[index]):
                    writer.append(batch)
            return list(writer.close())

    def _last(
        self, rows: _Rows, segments: Sequence[SegmentInfo], *, is_removed_kept: bool
    ) -> list[array[int]]:
        words: dict[str, dict[str, int]] = {name: {} for name in rows.words}
        numbers = CodeNumbers()
        pieces = []
        for segment in segments:
            for batch in self._repository.scan(segment, [*rows.key, rows.removed]):
                columns = {name: numbered(batch.column(name), words[name]) for name in rows.words}
                for name in rows.codes:
                    found, _ = numbers.numbers(stored_codes(batch.column(name)))
                    columns[name] = found.cast(pa.int32())
                columns["removed"] = batch.column(rows.removed)
                pieces.append(pa.table(columns))
        if not pieces:
            return [array("q") for _ in segments]
        table = pa.concat_tables(pieces).combine_chunks()
        places = last_places(table, rows.key)
        if not is_removed_kept:
            removed = table.column("removed").chunk(0).take(places)
            places = places.filter(pc.invert(removed))
        places = places.cast(pa.int64())
        return _by_segment(places.take(pc.sort_indices(places)), segments)

    def _chosen(
        self, rows: _Rows, segment: SegmentInfo, wanted: Sequence[int]
    ) -> Iterator[pa.RecordBatch]:
        """Fetch the rows of these numbers, whole, as the newest layout has them."""
        if not wanted:
            return
        at = place = 0
        for batch in self._repository.scan(segment):
            end = bisect_left(wanted, at + batch.num_rows, place)
            if end > place:
                chosen = pa.array([wanted[one] - at for one in range(place, end)], pa.int64())
                columns = [
                    (
                        stored_codes(batch.column(field.name))
                        if field.name in rows.codes
                        else batch.column(field.name)
                    ).take(chosen)
                    for field in rows.schema
                ]
                yield pa.RecordBatch.from_arrays(columns, schema=rows.schema)
            at += batch.num_rows
            place = end


def _by_segment(places: pa.Array, segments: Sequence[SegmentInfo]) -> list[array[int]]:
    """Return sorted numbers of rows of a list of segments as those of each, counted in it."""
    found = []
    begin = 0
    for segment in segments:
        end = begin + segment.rows
        inside = pc.and_(pc.greater_equal(places, begin), pc.less(places, end))
        own = pc.subtract(places.filter(inside), begin)
        numbers = array("q")
        numbers.extend(own.to_pylist())
        found.append(numbers)
        begin = end
    return found
