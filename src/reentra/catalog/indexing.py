"""One snapshot's rows into intervals, inside one transaction.

Rows of a snapshot are applied in the order in which they were written; the last one about an object
or link wins. A version that another one follows ends where that begins; one that ended by deletion
says so.
"""

# Statements are put together from constants and from integers of ours; values are parameters.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import orjson
import pyarrow as pa
import sqlalchemy as sa

from reentra import progress
from reentra.catalog.identities import GUID_BYTES, IdentityNumbers, encoded
from reentra.catalog.searchtext import SEPARATOR, extra_text
from reentra.catalog.statements import run, run_many
from reentra.directory.kinds import KINDS
from reentra.repository import Manifest, SegmentInfo
from reentra.snapshots.schema import OBJECTS_TABLE, RELATIONSHIPS_TABLE

R = TypeVar("R")

_OBJECT_COLUMNS = ["kind", "id", "deleted", "digest", "name", "body"]
_LINK_COLUMNS = ["relationship", "source_id", "target_id", "qualifier", "target_kind", "removed"]
_LINK_KEY = "relationship_no = ? AND source_no = ? AND target_no = ? AND qualifier = ?"
_OBJECT_KEY = "kind_no = ? AND object_no = ?"
# The full-text index sorts this much in memory before it writes; four bytes a trigram.
_TEXT_BUFFER_BYTES = 32 * 1024 * 1024

_PUT_OBJECT = """
INSERT INTO object_version (no, kind_no, object_no, began, ended, was_deleted, digest, name, extra,
                            segment_no, row_no)
VALUES (?, ?, ?, ?, NULL, 0, ?, ?, ?, ?, ?)
ON CONFLICT (kind_no, object_no, began) DO UPDATE SET digest = excluded.digest,
    name = excluded.name, extra = excluded.extra, segment_no = excluded.segment_no,
    row_no = excluded.row_no
"""
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
_STAGE = """
CREATE TEMPORARY TABLE stage_link (relationship_no INTEGER, source_no INTEGER, target_no INTEGER,
                                   qualifier TEXT, target_kind_no INTEGER)
"""
_UNSTAGE = """
INSERT INTO link_version
    (relationship_no, source_no, target_no, qualifier, began, ended, target_kind_no)
SELECT relationship_no, source_no, target_no, qualifier, ?, NULL, max(target_kind_no)
FROM stage_link GROUP BY relationship_no, source_no, target_no, qualifier
ORDER BY relationship_no, source_no, target_no, qualifier
"""


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
    """Indexes one snapshot at one ordinal. Use it once, inside one writing transaction."""

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
        self._first_new_object = self._identities.next_no
        self._next_version = self._next("object_version")
        self._next_segment = self._next("segment")
        self._first_version = self._next_version
        self.objects = 0
        self.links = 0

    def index(self, manifest: Manifest) -> None:
        """Apply all segments of a manifest, objects first.

        Raises: ``errors.RepositoryDamaged``, ``errors.StorageError``.
        """
        total = sum(segment.rows for segment in manifest.segments)
        activity = f"indexing {manifest.id}"
        self._listener(progress.Started(activity, total))
        for segment in manifest.segments:
            if segment.table == OBJECTS_TABLE:
                self._index_objects(segment, activity, total)
        self._index_text()
        if self._ordinal == 0 and self._is_sqlite:
            # Random identifiers filled the index in random order; a dense one is a third smaller.
            run(self._connection, "REINDEX identity_id")
        segments = [item for item in manifest.segments if item.table == RELATIONSHIPS_TABLE]
        if segments:
            self._index_links(segments, activity, total)
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

    def _index_objects(self, segment: SegmentInfo, activity: str, total: int) -> None:
        segment_no = self._next_segment
        self._next_segment += 1
        run(
            self._connection,
            "INSERT INTO segment (no, tenant_no, ordinal, info) VALUES (?, ?, ?, ?)",
            segment_no, self._tenant_no, self._ordinal, orjson.dumps(segment.to_json()).decode(),
        )  # fmt: skip
        first_row = 0
        for batch in self._repository.scan(segment, _OBJECT_COLUMNS):
            columns = [batch.column(name).to_pylist() for name in _OBJECT_COLUMNS]
            self._apply_objects(segment_no, first_row, *columns)
            first_row += batch.num_rows
            self.objects += batch.num_rows
            self._advance(activity, total)

    def _apply_objects(
        self,
        segment_no: int,
        first_row: int,
        kinds: list[str],
        ids: list[str],
        deleted: list[bool],
        digests: list[bytes],
        names: list[str | None],
        bodies: list[bytes | None],
    ) -> None:
        at = self._ordinal
        numbers = self._identities.numbers(ids)
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
            name, extra = _texts(kind, ids[index], names[index], bodies[index] or b"{}")
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
        first_new = self._first_new_object
        run_many(
            self._connection,
            _END_OBJECT,
            [(at, 0, *key, at, at) for key in puts if key[1] < first_new],
        )
        run_many(self._connection, _PUT_OBJECT, list(puts.values()))

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
        connection = self._connection
        is_first = self._ordinal == 0
        is_empty = run(connection, "SELECT 1 FROM link_version LIMIT 1").first() is None
        if is_first:
            run(connection, _STAGE)
            if is_empty:  # an index that is made at the end is made in order: faster, and dense
                run(connection, "DROP INDEX link_version_target")
        for segment in segments:
            for batch in self._repository.scan(segment, _LINK_COLUMNS):
                self._apply_links(batch)
                self.links += batch.num_rows
                self._advance(activity, total)
        if is_first:
            self._unstage()
            run(connection, "DROP TABLE stage_link")
            if is_empty:
                run(
                    connection,
                    "CREATE INDEX link_version_target ON link_version (relationship_no, target_no)",
                )

    @staticmethod
    def _numbers_of(names: Names) -> Callable[[list[str]], list[int]]:
        return lambda values: [names.number(value) if value else 0 for value in values]

    def _unstage(self) -> None:
        run(self._connection, _UNSTAGE, self._ordinal)
        run(self._connection, "DELETE FROM stage_link")

    def _apply_links(self, batch: pa.RecordBatch) -> None:
        at = self._ordinal
        connection = self._connection
        # Few values fill most columns: each becomes a Python object and a number once a batch.
        columns = (
            _mapped(batch.column("relationship"), self._numbers_of(self._relationships)),
            _mapped(batch.column("source_id"), self._identities.numbers),
            self._identities.numbers(batch.column("target_id").to_pylist()),
            _mapped(batch.column("qualifier"), list),
        )
        kinds = _mapped(batch.column("target_kind"), self._numbers_of(self._kinds))
        removed = batch.column("removed").to_pylist()
        if at == 0 and True not in removed:
            rows = list(zip(*columns, kinds, strict=True))
            run_many(connection, "INSERT INTO stage_link VALUES (?, ?, ?, ?, ?)", rows)
            return
        if at == 0:
            self._unstage()
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


def _mapped(column: pa.Array, mapping: Callable[[list[str]], list[R]]) -> list[R]:
    """Return ``mapping`` of a column of few values, asked once for each value."""
    encoded_column = column.dictionary_encode()
    values = mapping(encoded_column.dictionary.to_pylist())
    return [values[index] for index in encoded_column.indices.to_pylist()]


def _texts(kind: str, object_id: str, name: str | None, body: bytes) -> tuple[str | None, str]:
    """Return the name to store (``None``: the id) and the text that is searched beside it."""
    row = KINDS.get(kind)
    if row is not None and row.is_link:
        return (None if name == object_id else name), ""
    if name == object_id and len(encoded(object_id)) == GUID_BYTES:
        name = None
    return name, extra_text(name, orjson.loads(body))
