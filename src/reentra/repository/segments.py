"""Reading segments: encrypted Parquet files, scanned in order or read by row number.

``docs/format.md`` section 7 governs this module.
"""

from __future__ import annotations

import io
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

from reentra import errors

from .keys import FORMAT_VERSION, Keyring
from .manifests import SegmentInfo
from .storage import NotStored, Storage

SCAN_ROWS = 2 * 1024
SCAN_BYTES = 2 << 20  # stored bytes of the row groups that are fetched at once
OPEN_READERS = 32


T = TypeVar("T")


def segment_path(segment_id: str) -> str:
    return f"segments/{segment_id[:2]}/{segment_id}.parquet"


def aad_prefix(keyring: Keyring, path: str) -> bytes:
    """Return what binds the file's every module to its repository and path."""
    return f"reentra/{FORMAT_VERSION}/segment/{keyring.repository_id}/{path}".encode()


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
            for at_once in _few_at_once(metadata, groups, wanted):
                yield from _batches(file, segment, at_once, wanted)
            return
        for index, begin in zip(groups, begins, strict=True):
            at = begin
            for batch in _batches(file, segment, [index], needed):
                start = max(0, first_row - at)
                stop = batch.num_rows if last_row is None else min(batch.num_rows, last_row - at)
                at += batch.num_rows
                found = batch.slice(start, max(0, stop - start))
                for name, value in where.items():
                    found = found.filter(pc.equal(found.column(name), pa.scalar(value)))
                if found.num_rows:
                    yield found.select(wanted)

    def read_rows(
        self, segment: SegmentInfo, rows: Sequence[int], columns: Sequence[str] | None = None
    ) -> pa.Table:
        """Fetch the rows of these numbers, in this order; only their row groups are read.

        Raises: ``errors.UsageError`` when the segment has no such row.
        """
        if any(not 0 <= row < segment.rows for row in rows):
            raise errors.UsageError(
                f"The segment {segment.path} has {segment.rows} rows; another one was asked for.",
                hint="Make the catalog anew.",
                typed="reentra rebuild",
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


def _batches(
    file: pq.ParquetFile, segment: SegmentInfo, groups: list[int], columns: list[str]
) -> Iterator[pa.RecordBatch]:
    batches = file.iter_batches(
        batch_size=SCAN_ROWS, row_groups=groups, columns=columns, use_threads=False
    )
    yield from _guarded_iteration(segment, batches)


def _few_at_once(
    metadata: pq.FileMetaData, groups: Sequence[int], columns: Sequence[str]
) -> Iterator[list[int]]:
    """Yield row groups in order, as many at once as have ``SCAN_BYTES`` in these columns."""
    piece: list[int] = []
    size_bytes = 0
    for index in groups:
        group = metadata.row_group(index)
        found = (group.column(place) for place in range(group.num_columns))
        size_bytes += sum(
            one.total_compressed_size for one in found if one.path_in_schema in columns
        )
        piece.append(index)
        if size_bytes >= SCAN_BYTES:
            yield piece
            piece, size_bytes = [], 0
    if piece:
        yield piece


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
