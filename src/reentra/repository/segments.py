"""Segments: append-only encrypted Parquet files, written as a stream, scanned, and read by row.

``docs/format.md`` section 7 governs this module.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

from reentra import clock as clocks
from reentra import errors

from .keys import FORMAT_VERSION, Keyring
from .manifests import SegmentInfo
from .storage import NotStored, Storage

ROW_GROUP_BYTES = 2 << 20
ROW_GROUP_ROWS = 32 * 1024
SEGMENT_BYTES = 64 << 20
PAGE_BYTES = 1 << 20
BOUND_BYTES = 128
SCAN_ROWS = 4 * 1024
SCAN_GROUPS = 8
OPEN_READERS = 32

_COMPRESSION_LEVEL = 3

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RowPosition:
    """Where a row went: the segment's path and the row's number in it, from 0."""

    segment: str
    row: int


def segment_path(segment_id: str) -> str:
    return f"segments/{segment_id[:2]}/{segment_id}.parquet"


def aad_prefix(keyring: Keyring, path: str) -> bytes:
    """Return what binds the file's every module to its repository and path."""
    return f"reentra/{FORMAT_VERSION}/segment/{keyring.repository_id}/{path}".encode()


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
        *,
        segment_bytes: int = SEGMENT_BYTES,
        row_group_bytes: int = ROW_GROUP_BYTES,
    ) -> None:
        self._storage = storage
        self._keyring = keyring
        self._table = table
        self._schema = schema
        self._segment_bytes = segment_bytes
        self._row_group_bytes = row_group_bytes
        self._string_columns = [column.name for column in schema if pa.types.is_string(column.type)]
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
            self._current = _OpenSegment(
                self._keyring, self._schema, self._string_columns, self._row_group_bytes
            )
        return self._current.append(rows)

    def close(self) -> tuple[SegmentInfo, ...]:
        """Store what is left and return every segment written; none for no rows.

        Raises: ``errors.StorageError``; then nothing may be committed.
        """
        if self._current is not None:
            self._finish()
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

    def __init__(
        self,
        keyring: Keyring,
        schema: pa.Schema,
        string_columns: Sequence[str],
        row_group_bytes: int,
    ) -> None:
        self._schema = schema
        self._row_group_bytes = row_group_bytes
        self._generation = keyring.newest
        self._path = segment_path(clocks.new_id(16))
        with tempfile.NamedTemporaryFile(prefix="reentra-", delete=False) as file:
            self.spool = Path(file.name)
        self._sink = pa.OSFile(str(self.spool), "wb")
        self._writer = pq.ParquetWriter(
            self._sink,
            schema,
            version="2.6",
            compression="zstd",
            compression_level=_COMPRESSION_LEVEL,
            use_dictionary=list(string_columns),
            write_statistics=list(string_columns),
            data_page_size=PAGE_BYTES,
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
        at = 0
        while at < table.num_rows:
            rest = table.slice(at)
            # `get_total_buffer_size` would count what a slice merely points at; `nbytes` does not.
            row_bytes = max(1, rest.nbytes // rest.num_rows)
            room = max(1, (self._row_group_bytes - self._pending_bytes) // row_bytes)
            piece = rest.slice(0, min(room, ROW_GROUP_ROWS - self._pending_rows))
            self._pending.append(piece)
            self._pending_rows += piece.num_rows
            self._pending_bytes += piece.nbytes
            at += piece.num_rows
            if (
                self._pending_bytes + row_bytes > self._row_group_bytes
                or self._pending_rows >= ROW_GROUP_ROWS
            ):
                self._flush()
        return first

    def finish(self, table: str) -> SegmentInfo:
        """Close the file and return what it is; it is in ``spool``, not yet stored."""
        self._flush()
        self._writer.close()
        self._sink.close()
        with self.spool.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
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
        group = pa.concat_tables(self._pending).combine_chunks()
        try:
            self._writer.write_table(group, row_group_size=group.num_rows)
        except OSError as error:
            raise errors.StorageError(
                f"The segment {self._path} could not be spooled to {self.spool.parent}: {error}.",
                hint="Free space for temporary files, or set TMPDIR to a larger disk.",
            ) from error
        self._bounds.add(group)
        self._rows += group.num_rows
        self._row_groups += 1
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0


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


class SegmentReader:
    """Reads segments of one repository. Safe for use by many threads.

    Raises, everywhere: ``errors.RepositoryDamaged`` naming the segment when its bytes are not the
    ones that were written, ``errors.StorageError`` when the store fails.
    """

    def __init__(self, storage: Storage, keyring: Keyring) -> None:
        self._storage = storage
        self._keyring = keyring
        self._open: OrderedDict[str, _CachedReader] = OrderedDict()
        self._guard = threading.Lock()

    def read_schema(self, segment: SegmentInfo) -> pa.Schema:
        """Return the schema that the segment was written with."""
        cached = self._cached(segment)
        with cached.guard:
            return _guarded(segment, lambda: cached.file.schema_arrow)

    def scan(
        self,
        segment: SegmentInfo,
        columns: Sequence[str] | None = None,
        *,
        where: Mapping[str, object] | None = None,
        first_row: int = 0,
        last_row: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Fetch rows in the order they were appended, a batch at a time.

        ``columns`` are those to return (all, in the table's order, when ``None``). ``where`` keeps
        rows that equal it; row groups and segments that cannot hold such rows are not read.
        ``first_row`` and ``last_row`` (exclusive) cut by number. Memory does not grow with the
        segment.
        """
        where = dict(where or {})
        if not segment.may_hold(where):
            return
        file = self._open_file(segment)
        wanted = list(columns) if columns is not None else list(file.schema_arrow.names)
        needed = wanted + [name for name in where if name not in wanted]
        metadata = file.metadata
        groups, begins = [], []
        at = 0
        for index in range(metadata.num_row_groups):
            rows = metadata.row_group(index).num_rows
            is_inside = at + rows > first_row and (last_row is None or at < last_row)
            if is_inside and _group_may_hold(metadata.row_group(index), where):
                groups.append(index)
                begins.append(at)
            at += rows
        if not where and first_row == 0 and last_row is None:
            # The reader fetches all row groups that it is given ahead of time: few at once.
            for at in range(0, len(groups), SCAN_GROUPS):
                batches = file.iter_batches(
                    batch_size=SCAN_ROWS,
                    row_groups=groups[at : at + SCAN_GROUPS],
                    columns=wanted,
                    use_threads=False,
                )
                yield from _guarded_iteration(segment, batches)
            return
        for index, begin in zip(groups, begins, strict=True):
            table = _read_group(file, segment, index, needed)
            start = max(0, first_row - begin)
            stop = table.num_rows if last_row is None else min(table.num_rows, last_row - begin)
            table = table.slice(start, stop - start)
            for name, value in where.items():
                table = table.filter(pc.equal(table.column(name), pa.scalar(value)))
            for batch in table.select(wanted).to_batches():
                if batch.num_rows:
                    yield batch

    def read_rows(
        self, segment: SegmentInfo, rows: Sequence[int], columns: Sequence[str] | None = None
    ) -> pa.Table:
        """Fetch the rows of these numbers, in this order; only their row groups are read.

        Raises: ``errors.UsageError`` when the segment has no such row.
        """
        if any(not 0 <= row < segment.rows for row in rows):
            raise errors.UsageError(
                f"The segment {segment.path} has {segment.rows} rows; another one was asked for.",
                hint="Rebuild the catalog with `reentra rebuild`.",
            )
        cached = self._cached(segment)
        wanted = list(columns) if columns is not None else None
        by_group: dict[int, list[int]] = {}
        for place, row in enumerate(rows):
            by_group.setdefault(cached.group_of(row), []).append(place)
        pieces: list[pa.Table] = []
        order: list[int] = []
        for group, places in sorted(by_group.items()):
            with cached.guard:
                table = _read_group(cached.file, segment, group, wanted)
            begin = cached.begins[group]
            pieces.append(table.take(pa.array([rows[place] - begin for place in places])))
            order.extend(places)
        if not pieces:
            schema = self.read_schema(segment)
            names = wanted if wanted is not None else schema.names
            return schema.empty_table().select(names)
        found = pa.concat_tables(pieces)
        if order == list(range(len(order))):
            return found
        back = [0] * len(order)
        for at, place in enumerate(order):
            back[place] = at
        return found.take(pa.array(back))

    def find_rows(self, segment: SegmentInfo, where: Mapping[str, object]) -> list[int]:
        """Fetch the numbers of the rows that equal ``where``; only its columns are read."""
        if not segment.may_hold(where):
            return []
        file = self._open_file(segment)
        found: list[int] = []
        at = 0
        for index in range(file.metadata.num_row_groups):
            group = file.metadata.row_group(index)
            if _group_may_hold(group, where):
                table = _read_group(file, segment, index, list(where))
                mask: Any = None
                for name, value in where.items():
                    equal = pc.equal(table.column(name), pa.scalar(value))
                    mask = equal if mask is None else pc.and_(mask, equal)
                if mask is not None:
                    found.extend(at + row for row in pc.indices_nonzero(mask).to_pylist())
            at += group.num_rows
        return found

    def close(self) -> None:
        """Drop the cached readers."""
        with self._guard:
            self._open.clear()

    def _cached(self, segment: SegmentInfo) -> _CachedReader:
        with self._guard:
            known = self._open.get(segment.path)
            if known is not None:
                self._open.move_to_end(segment.path)
                return known
        fresh = _CachedReader(self._open_file(segment))
        with self._guard:
            known = self._open.setdefault(segment.path, fresh)
            while len(self._open) > OPEN_READERS:
                self._open.popitem(last=False)
            return known

    def _open_file(self, segment: SegmentInfo) -> pq.ParquetFile:
        key = self._keyring.derive(segment.generation, f"segment/{segment.path}")
        source = _StoredFile(self._storage, segment.path, segment.size_bytes)
        file = _guarded(
            segment,
            lambda: pq.ParquetFile(
                source,
                pre_buffer=True,
                decryption_properties=pe.create_decryption_properties(
                    key, aad_prefix=aad_prefix(self._keyring, segment.path)
                ),
            ),
        )
        metadata = file.metadata
        if metadata.num_rows != segment.rows or metadata.num_row_groups != segment.row_groups:
            raise errors.RepositoryDamaged(
                f"The segment {segment.path} is damaged: it holds {metadata.num_rows} rows and its"
                f" manifest tells {segment.rows}."
            )
        return file


class _CachedReader:
    __slots__ = ("begins", "ends", "file", "guard")

    def __init__(self, file: pq.ParquetFile) -> None:
        self.file = file
        self.guard = threading.Lock()  # a Parquet reader is not safe for concurrent reads
        self.begins: list[int] = []
        at = 0
        for index in range(file.metadata.num_row_groups):
            self.begins.append(at)
            at += file.metadata.row_group(index).num_rows

    def group_of(self, row: int) -> int:
        return bisect_right(self.begins, row) - 1


class _StoredFile(io.RawIOBase):
    """A stored object as a file that pyarrow can seek in; its size comes from the manifest."""

    def __init__(self, storage: Storage, path: str, size_bytes: int) -> None:
        super().__init__()
        self._storage = storage
        self._path = path
        self._size_bytes = size_bytes
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size_bytes}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        length = min(len(view), self._size_bytes - self._at)
        if length <= 0:
            return 0
        data = self._storage.get_range(self._path, self._at, length)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


def _group_may_hold(group: pq.RowGroupMetaData, where: Mapping[str, object]) -> bool:
    if not where:
        return True
    for index in range(group.num_columns):
        column = group.column(index)
        wanted = where.get(column.path_in_schema)
        if not isinstance(wanted, str) or not column.is_stats_set:
            continue
        statistics = column.statistics
        if statistics is None or not statistics.has_min_max:
            continue
        low, high = statistics.min, statistics.max
        if isinstance(low, str) and isinstance(high, str) and not low <= wanted <= high:
            return False
    return True


def _read_group(
    file: pq.ParquetFile, segment: SegmentInfo, index: int, columns: list[str] | None
) -> pa.Table:
    return _guarded(segment, lambda: file.read_row_group(index, columns=columns, use_threads=False))


def _guarded(segment: SegmentInfo, read: Callable[[], T]) -> T:
    try:
        return read()
    except NotStored as error:
        raise errors.RepositoryDamaged(f"The segment {segment.path} is missing.") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _damaged(segment, error) from error


def _guarded_iteration(
    segment: SegmentInfo, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    end = object()
    while (batch := _guarded(segment, lambda: next(batches, end))) is not end:
        yield batch


def _damaged(segment: SegmentInfo, error: BaseException) -> errors.RepositoryDamaged:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return errors.RepositoryDamaged(
        f"The segment {segment.path} is damaged: its bytes are not the ones that were written"
        f" there ({reason})."
    )
