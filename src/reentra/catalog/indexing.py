"""One snapshot's rows into intervals, inside one transaction.

Rows of a snapshot are applied in the order in which they were written; the last one about an object
or link wins. A version that another one follows ends where that begins; one that ended by deletion
says so.
"""

# Statements are put together from constants and from integers of ours; values are parameters.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Protocol

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from reentra import progress
from reentra.catalog.identities import IdentityNumbers
from reentra.catalog.indexes import left_for_the_end
from reentra.catalog.searchtext import SEPARATOR, extra_text
from reentra.catalog.statements import insert_columns, run, run_many
from reentra.directory.kinds import KINDS
from reentra.repository import Manifest, SegmentInfo
from reentra.snapshots.columns import last_rows
from reentra.snapshots.identifiers import GUID_BYTES, encoded, stored_codes
from reentra.snapshots.schema import OBJECTS_TABLE, RELATIONSHIPS_TABLE

_OBJECT_COLUMNS = ["kind", "id", "deleted", "digest", "name", "body"]
_LINK_COLUMNS = ["relationship", "source_id", "target_id", "qualifier", "target_kind", "removed"]
_LINK_KEYS = ("relationship_no", "source_no", "target_no", "qualifier")
_LINK_KEY = "relationship_no = ? AND source_no = ? AND target_no = ? AND qualifier = ?"
_OBJECT_KEY = "kind_no = ? AND object_no = ?"
# The full-text index sorts this much in memory before it writes; four bytes a trigram.
_TEXT_BUFFER_BYTES = 32 * 1024 * 1024

_PUT_OBJECT = """
INSERT INTO object_version (no, kind_no, object_no, began, ended, was_deleted, digest, name, extra,
                            segment_no, row_no)
VALUES {rows}
ON CONFLICT (kind_no, object_no, began) DO UPDATE SET digest = excluded.digest,
    name = excluded.name, extra = excluded.extra, segment_no = excluded.segment_no,
    row_no = excluded.row_no
"""
_OBJECT_ROW = "(?, ?, ?, ?, NULL, 0, ?, ?, ?, ?, ?)"
_END_OBJECT = f"""
UPDATE object_version SET ended = ?, was_deleted = ?
WHERE {_OBJECT_KEY} AND began < ? AND (ended IS NULL OR ended = ?)
"""
_PUT_LINK = f"""
INSERT INTO link_version
    (relationship_no, source_no, target_no, qualifier, began, ended, target_kind_no)
SELECT ?, ?, ?, ?, ?, NULL, ?
WHERE NOT EXISTS (SELECT 1 FROM link_version WHERE {_LINK_KEY} AND ended IS NULL)
"""
# A first snapshot's links come without anything known about them; the last row about one wins.
_PUT_FIRST_LINK = """
INSERT INTO link_version
    (relationship_no, source_no, target_no, qualifier, target_kind_no, began, ended)
VALUES {rows}
ON CONFLICT (relationship_no, source_no, target_no, qualifier, began)
DO UPDATE SET target_kind_no = excluded.target_kind_no
"""
_FIRST_LINK_ROW = "(?, ?, ?, ?, ?, 0, NULL)"
# So many links are sorted at once, so that the table grows nearly in its own order.
_LINKS_AT_ONCE = 128 * 1024
_IDS_AT_ONCE = 128 * 1024
_ROWS_AT_ONCE = 16 * 1024
_GUID_LETTERS = 36
# Made in order at the end, an index is made faster, and dense.
_LATE_INDEXES = ("identity_id", "object_version_name", "object_version_text", "link_version_target")


class ScansSegments(Protocol):
    """The part of ``Repository`` that is needed here."""

    def scan(
        self, segment: SegmentInfo, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Fetch the rows in order."""


class Names:
    """The numbers of a tenant's kinds or relationships, made as they appear."""

    def __init__(self, connection: sa.Connection, table: str, tenant_no: int) -> None:
        self._connection = connection
        self._table = table
        self._tenant_no = tenant_no
        query = f"SELECT name, no FROM {table} WHERE tenant_no = ?"
        self.numbers: dict[str, int] = {row[0]: row[1] for row in run(connection, query, tenant_no)}

    def number(self, name: str) -> int:
        found = self.numbers.get(name)
        if found is None:
            table = self._table
            found = int(
                run(self._connection, f"SELECT coalesce(max(no), 0) + 1 FROM {table}").scalar_one()
            )
            sql = f"INSERT INTO {table} (no, tenant_no, name) VALUES (?, ?, ?)"
            run(self._connection, sql, found, self._tenant_no, name)
            self.numbers[name] = found
        return found


class SnapshotIndexer:
    """Indexes one snapshot at one ordinal. Use it once, inside one writing transaction.

    Make it before the line is turned back: the text of what begins anew then is indexed, too.
    """

    def __init__(
        self,
        connection: sa.Connection,
        repository: ScansSegments,
        tenant_no: int,
        ordinal: int,
        listener: progress.Listener,
    ) -> None:
        self._connection = connection
        self._repository = repository
        self._tenant_no = tenant_no
        self._ordinal = ordinal
        self._listener = listener
        self._kinds = Names(connection, "kind", tenant_no)
        self._relationships = Names(connection, "relationship", tenant_no)
        self._identities = IdentityNumbers(connection, tenant_no)
        self._first_version = self._next_version = self._next("object_version")
        self._next_segment = self._next("segment")
        self.objects = 0
        self.links = 0

    def index(self, manifest: Manifest) -> None:
        """Apply all segments of a manifest, objects first.

        Raises: ``errors.RepositoryDamaged``, ``errors.StorageError``.
        """
        total = sum(segment.rows for segment in manifest.segments)
        activity = f"indexing {manifest.id}"
        self._next_version = self._next("object_version")
        self._listener(progress.Started(activity, total))
        with left_for_the_end(self._connection, "object_version", _LATE_INDEXES):
            tables = {OBJECTS_TABLE: self._index_objects, RELATIONSHIPS_TABLE: self._index_links}
            for table, index in tables.items():
                segments = [item for item in manifest.segments if item.table == table]
                if segments:
                    index(segments, activity, total)
                if table == OBJECTS_TABLE:
                    self._index_text()
        self._listener(progress.Finished(activity, total))

    @property
    def _is_sqlite(self) -> bool:
        return self._connection.dialect.name == "sqlite"

    def _next(self, table: str) -> int:
        sql = f"SELECT coalesce(max(no), 0) + 1 FROM {table}"
        return int(run(self._connection, sql).scalar_one())

    def _advance(self, activity: str, total: int) -> None:
        self._listener(progress.Advanced(activity, self.objects + self.links, total))

    # Objects

    def _index_objects(self, segments: Sequence[SegmentInfo], activity: str, total: int) -> None:
        for segment in segments:
            numbers = self._numbers(segment)
            segment_no = self._next_segment
            self._next_segment += 1
            run(
                self._connection,
                "INSERT INTO segment (no, tenant_no, ordinal, info) VALUES (?, ?, ?, ?)",
                segment_no, self._tenant_no, self._ordinal,
                orjson.dumps(segment.to_json()).decode(),
            )  # fmt: skip
            first_row = 0
            for batch in self._repository.scan(segment, _OBJECT_COLUMNS):
                kinds, ids, *columns, bodies = (batch.column(name) for name in _OBJECT_COLUMNS)
                own = numbers.slice(first_row, batch.num_rows).to_pylist()
                self._apply_objects(
                    segment_no, first_row, own, kinds.to_pylist(), stored_codes(ids).to_pylist(),
                    [column.to_pylist() for column in columns], _views(bodies),
                )  # fmt: skip
                first_row += batch.num_rows
                self.objects += batch.num_rows
                self._advance(activity, total)

    def _numbers(self, segment: SegmentInfo) -> pa.Array:
        """Return the number of each row's object; the ids are looked up many at once."""
        batches = self._repository.scan(segment, ["id"])
        pieces = [stored_codes(batch.column("id")) for batch in batches]
        codes = pa.chunked_array(pieces, pa.binary()).combine_chunks()
        starts = range(0, len(codes), _IDS_AT_ONCE)
        found = [self._identities.numbers(codes.slice(at, _IDS_AT_ONCE)) for at in starts]
        return pa.chunked_array(found, pa.int64()).combine_chunks()

    def _apply_objects(
        self,
        segment_no: int,
        first_row: int,
        numbers: list[int],
        kinds: list[str],
        codes: list[bytes],
        columns: list[list[Any]],
        bodies: list[memoryview],
    ) -> None:
        deleted, digests, names = columns
        at = self._ordinal
        puts: dict[tuple[int, int], tuple[Any, ...]] = {}
        gone: dict[tuple[int, int], None] = {}
        for index, object_no in enumerate(numbers):
            kind = kinds[index]
            key = (self._kinds.number(kind), object_no)
            if deleted[index]:
                puts.pop(key, None)
                gone[key] = None
                continue
            gone.pop(key, None)
            name, extra = _texts(kind, codes[index], names[index], bodies[index])
            puts[key] = (
                self._next_version, *key, at, digests[index], name, extra,
                segment_no, first_row + index,
            )  # fmt: skip
            self._next_version += 1
        run_many(self._connection, _END_OBJECT, [(at, 1, *key, at, at) for key in gone])
        run_many(
            self._connection,
            f"DELETE FROM object_version WHERE {_OBJECT_KEY} AND began = ?",
            [(*key, at) for key in gone],
        )
        first_new = self._identities.first_no
        run_many(
            self._connection,
            _END_OBJECT,
            [(at, 0, *key, at, at) for key in puts if key[1] < first_new],
        )
        if puts:
            put_columns = list(zip(*puts.values(), strict=True))
            insert_columns(self._connection, _PUT_OBJECT, _OBJECT_ROW, put_columns)

    def _index_text(self) -> None:
        if not self._is_sqlite:
            return
        run(
            self._connection,
            "INSERT INTO object_text (object_text, rank) VALUES ('hashsize', ?)",
            _TEXT_BUFFER_BYTES,
        )
        run(
            self._connection,
            "INSERT INTO object_text (rowid, text)"
            " SELECT no, coalesce(name, '') || ? || extra FROM object_version"
            " WHERE no >= ? AND (name IS NOT NULL OR extra <> '') ORDER BY no",
            SEPARATOR,
            self._first_version,
        )

    # Links

    def _index_links(self, segments: Sequence[SegmentInfo], activity: str, total: int) -> None:
        waiting: list[pa.RecordBatch] = []
        rows = 0
        for segment in segments:
            for batch in self._repository.scan(segment, _LINK_COLUMNS):
                waiting.append(self._without_texts(batch))
                rows += batch.num_rows
                if rows >= _LINKS_AT_ONCE:
                    self._apply_links(waiting)
                    self.links += rows
                    waiting, rows = [], 0
                    self._advance(activity, total)
        if waiting:
            self._apply_links(waiting)
            self.links += rows
            self._advance(activity, total)

    def _without_texts(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows with numbers for relationships and kinds, and codes for identifiers."""
        return pa.record_batch(
            {
                "relationship_no": _mapped(batch.column("relationship"), self._relationships),
                "source": stored_codes(batch.column("source_id")),
                "target": stored_codes(batch.column("target_id")),
                "qualifier": batch.column("qualifier"),
                "kind_no": _mapped(batch.column("target_kind"), self._kinds),
                "removed": batch.column("removed"),
            }
        )

    def _apply_links(self, batches: Sequence[pa.RecordBatch]) -> None:
        table = pa.Table.from_batches(batches).combine_chunks()
        # Both ends at once: what costs is to look among all that are known.
        ends = [table.column(name).chunk(0) for name in ("source", "target")]
        numbers = self._identities.numbers(pa.concat_arrays(ends))
        for place, name in enumerate(("source_no", "target_no")):
            own = numbers.slice(place * table.num_rows, table.num_rows)
            table = table.set_column(1 + place, name, own)
        if self._ordinal == 0 and not pc.any(table.column("removed")).as_py():
            for piece in last_rows(table, _LINK_KEYS).to_batches(max_chunksize=_ROWS_AT_ONCE):
                columns = [column.to_pylist() for column in piece.columns]
                insert_columns(self._connection, _PUT_FIRST_LINK, _FIRST_LINK_ROW, columns)
        else:
            removed = table.column("removed").to_pylist()
            self._apply_changed_links(table.drop_columns("removed"), removed)

    def _apply_changed_links(self, table: pa.Table, removed: list[bool]) -> None:
        at = self._ordinal
        connection = self._connection
        *columns, kinds = (column.to_pylist() for column in table.columns)
        final = {
            key: (kind_no, is_removed)
            for key, kind_no, is_removed in zip(
                zip(*columns, strict=True), kinds, removed, strict=True
            )
        }
        gone = [key for key, (_, is_removed) in final.items() if is_removed]
        run_many(
            connection,
            f"DELETE FROM link_version WHERE {_LINK_KEY} AND began = ?",
            [(*key, at) for key in gone],
        )
        run_many(
            connection,
            f"UPDATE link_version SET ended = ? WHERE {_LINK_KEY} AND ended IS NULL",
            [(at, *key) for key in gone],
        )
        puts = [(key, kind_no) for key, (kind_no, is_removed) in final.items() if not is_removed]
        run_many(
            connection,
            f"UPDATE link_version SET ended = NULL WHERE {_LINK_KEY} AND ended = ?",
            [(*key, at) for key, _ in puts],
        )
        run_many(connection, _PUT_LINK, [(*key, at, kind_no, *key) for key, kind_no in puts])


def _mapped(column: pa.Array, names: Names) -> pa.Array:
    """Return the numbers of a column of few names; 0 for none."""
    few = column.dictionary_encode()
    numbers = [names.number(name) if name else 0 for name in few.dictionary.to_pylist()]
    return pa.array(numbers, pa.int64()).take(few.indices)


def _views(column: pa.BinaryArray) -> list[memoryview]:
    """Return the values of a column where they are; empty for null."""
    _, ends, data = column.buffers()
    if not len(column) or data is None:
        return [memoryview(b"")] * len(column)
    places = memoryview(ends).cast("i")[column.offset : column.offset + len(column) + 1].tolist()
    view = memoryview(data)
    return [view[begin:end] for begin, end in pairwise(places)]


def _texts(kind: str, code: bytes, name: str | None, body: memoryview) -> tuple[str | None, str]:
    """Return the name to store (``None``: the id) and the text that is searched beside it."""
    row = KINDS.get(kind)
    if row is not None and row.is_link:
        return (None if name is None or encoded(name) == code else name), ""
    is_guid = name is not None and len(name) == _GUID_LETTERS and len(code) == GUID_BYTES
    if is_guid and encoded(name or "") == code:
        name = None
    return name, extra_text(name, orjson.loads(body))
