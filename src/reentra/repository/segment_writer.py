"""Writing segments: a stream of rows becomes encrypted Parquet files in the store.

``docs/format.md`` section 7 governs this module.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

from reentra import clock as clocks
from reentra import errors

from .keys import Keyring
from .manifests import SegmentInfo
from .segments import aad_prefix, segment_path
from .storage import Storage

SEGMENT_BYTES = 64 << 20
PAGE_BYTES = 1 << 20
DICTIONARY_BYTES = 64 << 20  # a dictionary is as large as its row group has values
BOUND_BYTES = 128

_COMPRESSION_LEVEL = 3


@dataclass(frozen=True, slots=True)
class RowPosition:
    """Where a row went: the segment's path and the row's number in it, from 0."""

    segment: str
    row: int


@dataclass(frozen=True, slots=True)
class SegmentLayout:
    """How a table's rows lie in its segments.

    A row group, which is read as one, has at most so many rows and about so many bytes of values;
    they wait in memory until it is full. ``repeating`` names the columns of which each value is
    stored once a row group and numbered; where it is ``None``, all columns of text.
    """

    row_group_rows: int = 32 * 1024
    row_group_bytes: int = 2 << 20
    repeating: tuple[str, ...] | None = None


_DEFAULT_LAYOUT = SegmentLayout()


class SegmentWriter:
    """Writes the rows of one table into as many segments as they need.

    Memory is flat: a row group is encrypted into a temporary file as soon as it is full, and only
    ciphertext reaches the disk. Nothing is stored under a manifest's protection until ``close``
    returned and the manifest that names its segments is committed. Not for use by two threads.
    """

    def __init__(
        self,
        storage: Storage,
        keyring: Keyring,
        table: str,
        schema: pa.Schema,
        layout: SegmentLayout = _DEFAULT_LAYOUT,
        *,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self._storage = storage
        self._keyring = keyring
        self._table = table
        self._schema = schema
        self._segment_bytes = segment_bytes
        self._layout = layout
        self._finished: list[SegmentInfo] = []
        self._current: _OpenSegment | None = None

    def append(self, rows: pa.RecordBatch | pa.Table) -> RowPosition:
        """Take rows in and return where the first of them will be; the others follow it.

        Raises: ``errors.StorageError`` when a full segment could not be stored.
        """
        if rows.schema != self._schema:
            raise errors.UsageError(
                f"Rows for the table {self._table} have another schema than the table.",
                hint="This is a fault of the program.",
            )
        if self._current is not None and self._current.size_bytes >= self._segment_bytes:
            self._finish()
        if self._current is None:
            self._current = _OpenSegment(self._keyring, self._schema, self._layout)
        return self._current.append(rows)

    def close(self) -> tuple[SegmentInfo, ...]:
        """Store what is left and return every segment written; none for no rows.

        Raises: ``errors.StorageError``; then nothing may be committed.
        """
        if self._current is not None:
            self._finish()
        # Arrow keeps what it has used for its next use, and links by the million use much.
        pa.default_memory_pool().release_unused()
        return tuple(self._finished)

    def abort(self) -> None:
        """Drop what is not stored yet. Stored segments stay as garbage that no manifest names."""
        if self._current is not None:
            self._current.discard()
            self._current = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()

    def _finish(self) -> None:
        current, self._current = self._current, None
        if current is None:
            return
        try:
            info = current.finish(self._table)
            if info.rows:
                self._storage.put_new(info.path, current.spool)
                self._finished.append(info)
        finally:
            current.discard()


class _OpenSegment:
    """One segment under way: a temporary file and the row group that fills up."""

    def __init__(self, keyring: Keyring, schema: pa.Schema, layout: SegmentLayout) -> None:
        self._schema = schema
        self._layout = layout
        string_columns = [column.name for column in schema if pa.types.is_string(column.type)]
        self._generation = keyring.newest
        self._path = segment_path(clocks.new_id(16))
        try:
            with tempfile.NamedTemporaryFile(prefix="reentra-", delete=False) as file:
                self.spool = Path(file.name)
        except OSError as error:
            raise _spool_failure(self._path, Path(tempfile.gettempdir()), error) from error
        self._sink = pa.OSFile(str(self.spool), "wb")
        self._writer = pq.ParquetWriter(
            self._sink,
            schema,
            version="2.6",
            compression="zstd",
            compression_level=_COMPRESSION_LEVEL,
            use_dictionary=string_columns if layout.repeating is None else list(layout.repeating),
            write_statistics=string_columns,
            data_page_size=PAGE_BYTES,
            dictionary_pagesize_limit=DICTIONARY_BYTES,
            encryption_properties=pe.create_encryption_properties(
                keyring.derive(self._generation, f"segment/{self._path}"),
                aad_prefix=aad_prefix(keyring, self._path),
                store_aad_prefix=False,
            ),
        )
        self._pending: list[pa.Table] = []
        self._pending_rows = 0
        self._pending_bytes = 0
        self._rows = 0
        self._row_groups = 0
        self._bounds = Bounds(string_columns)

    @property
    def size_bytes(self) -> int:
        return int(self._sink.tell())

    def append(self, rows: pa.RecordBatch | pa.Table) -> RowPosition:
        first = RowPosition(self._path, self._rows + self._pending_rows)
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        most_rows, most_bytes = self._layout.row_group_rows, self._layout.row_group_bytes
        at = 0
        while at < table.num_rows:
            rest = table.slice(at)
            # `get_total_buffer_size` would count what a slice merely points at; `nbytes` does not.
            row_bytes = max(1, rest.nbytes // rest.num_rows)
            room = max(1, (most_bytes - self._pending_bytes) // row_bytes)
            piece = rest.slice(0, min(room, most_rows - self._pending_rows))
            self._pending.append(piece)
            self._pending_rows += piece.num_rows
            self._pending_bytes += piece.nbytes
            at += piece.num_rows
            if self._pending_bytes + row_bytes > most_bytes or self._pending_rows >= most_rows:
                self._flush()
        return first

    def finish(self, table: str) -> SegmentInfo:
        """Close the file and return what it is; it is in ``spool``, not yet stored."""
        self._flush()
        try:
            self._writer.close()
            self._sink.close()
            with self.spool.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise _spool_failure(self._path, self.spool.parent, error) from error
        return SegmentInfo(
            path=self._path,
            table=table,
            rows=self._rows,
            row_groups=self._row_groups,
            size_bytes=self.spool.stat().st_size,
            sha256=digest,
            generation=self._generation,
            bounds=self._bounds.result(),
        )

    def discard(self) -> None:
        with suppress(OSError, pa.ArrowException):
            self._writer.close()
        with suppress(OSError, pa.ArrowException):
            self._sink.close()
        self.spool.unlink(missing_ok=True)

    def _flush(self) -> None:
        if not self._pending_rows:
            return
        group = pa.concat_tables(self._pending)
        try:
            self._writer.write_table(group, row_group_size=group.num_rows)
        except OSError as error:
            raise _spool_failure(self._path, self.spool.parent, error) from error
        self._bounds.add(group)
        self._rows += group.num_rows
        self._row_groups += 1
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0


def _spool_failure(path: str, folder: Path, error: OSError) -> errors.StorageError:
    return errors.StorageError(
        f"The segment {path} could not be spooled to {folder}: {error}.",
        hint="Free space for temporary files, or set TMPDIR to a larger disk.",
    )


class Bounds:
    """Least and greatest value of the string columns, as far as their values are short."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = list(columns)
        self._found: dict[str, tuple[str, str]] = {}

    @classmethod
    def of_schema(cls, schema: pa.Schema) -> Self:
        return cls([column.name for column in schema if pa.types.is_string(column.type)])

    def add(self, rows: pa.Table | pa.RecordBatch) -> None:
        for column in list(self._columns):
            values = rows.column(column)
            longest = pc.max(pc.binary_length(values)).as_py()
            if longest is None:
                continue
            if longest >= BOUND_BYTES:
                self._columns.remove(column)
                self._found.pop(column, None)
                continue
            ends = pc.min_max(values)
            low, high = ends["min"].as_py(), ends["max"].as_py()
            known = self._found.get(column, (low, high))
            # UTF-8 orders bytes as code points do, which is how Python orders str.
            self._found[column] = (min(known[0], low), max(known[1], high))

    def result(self) -> dict[str, tuple[str, str]]:
        return dict(self._found)
