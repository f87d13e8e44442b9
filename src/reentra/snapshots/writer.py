"""Write the rows of one snapshot as a stream. The manifest is somebody else's last act."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import orjson
import pyarrow as pa

from reentra.directory.kinds import KINDS
from reentra.directory.objects import Relationship
from reentra.repository import SegmentInfo, SegmentLayout, SegmentWriter
from reentra.snapshots.identifiers import codes_of
from reentra.snapshots.schema import (
    OBJECTS,
    OBJECTS_LAYOUT,
    OBJECTS_TABLE,
    RELATIONSHIPS,
    RELATIONSHIPS_LAYOUT,
    RELATIONSHIPS_TABLE,
)

# Rows wait as values of Python until they become columns: bodies take a few kilobytes each, and
# a row group has some two hundred of them.
OBJECT_ROWS = 512
LINK_ROWS = 4096
_IDENTIFIERS = frozenset({"id", "source_id", "target_id"})


class WritesSegments(Protocol):
    """The part of ``Repository`` that is needed here."""

    def segment_writer(self, table: str, schema: pa.Schema, layout: SegmentLayout) -> SegmentWriter:
        """Begin a stream of rows."""


def display_name(kind: str, properties: Mapping[str, Any]) -> str:
    """Return what people call an object; its id when it has no name."""
    row = KINDS.get(kind)
    if row is not None and row.title_property:
        name = properties.get(row.title_property)
        if name:
            return str(name)
    return str(properties.get("displayName") or properties.get("id") or "")


class SnapshotWriter:
    """Takes changes in, in any order, and turns them into segments.

    Memory is flat. Nothing exists for readers until a manifest names what ``seal`` returned. Not
    for use by two threads.
    """

    def __init__(self, repository: WritesSegments) -> None:
        self._repository = repository
        self._objects = _Table(repository, OBJECTS_TABLE, OBJECTS, OBJECTS_LAYOUT, OBJECT_ROWS)
        self._links = _Table(
            repository, RELATIONSHIPS_TABLE, RELATIONSHIPS, RELATIONSHIPS_LAYOUT, LINK_ROWS
        )
        self.rows_since_seal = 0
        self.rows = 0

    def put_object(
        self,
        kind: str,
        object_id: str,
        digest: bytes,
        properties: Mapping[str, Any],
        body: bytes | None = None,
    ) -> None:
        """Record that the object now has these (cleaned) properties; ``body`` is their JSON."""
        name = display_name(kind, properties)
        if body is None:
            body = orjson.dumps(properties)
        self._objects.append((kind, object_id, False, digest, name, body))
        self._count(1)

    def delete_object(self, kind: str, object_id: str) -> None:
        """Record that the object is gone. Its links must be removed one by one, too."""
        self._objects.append((kind, object_id, True, None, None, None))
        self._count(1)

    def put_link(self, link: Relationship) -> None:
        """Record that the link exists."""
        self.put_links((link,))

    def put_links(self, links: Iterable[Relationship]) -> int:
        """Record that the links exist and return how many there are."""
        return self._append_links(links, is_removed=False)

    def put_targets(
        self, relationship: str, source_id: str, targets: Sequence[tuple[str, str]]
    ) -> None:
        """Record that links without qualifier exist: from one object to these ids and kinds."""
        self._links.extend(
            [(relationship, source_id, target, "", kind, False) for target, kind in targets]
        )
        self._count(len(targets))

    def remove_link(self, link: Relationship) -> None:
        """Record that the link is gone."""
        self.remove_links((link,))

    def remove_links(self, links: Iterable[Relationship]) -> None:
        """Record that the links are gone."""
        self._append_links(links, is_removed=True)

    def seal(self) -> tuple[SegmentInfo, ...]:
        """Store everything taken in so far and return the segments since the last call.

        Raises: ``errors.StorageError``; then nothing may be committed.
        """
        self.rows_since_seal = 0
        return (*self._objects.seal(), *self._links.seal())

    def abort(self) -> None:
        """Drop what is not stored; what is stored stays as garbage that no manifest names."""
        self._objects.abort()
        self._links.abort()

    def _append_links(self, links: Iterable[Relationship], *, is_removed: bool) -> int:
        rows = [
            (
                link.kind,
                link.source_id,
                link.target_id,
                link.qualifier,
                link.target_kind,
                is_removed,
            )
            for link in links
        ]
        self._links.extend(rows)
        self._count(len(rows))
        return len(rows)

    def _count(self, rows: int) -> None:
        self.rows += rows
        self.rows_since_seal += rows


class _Table:
    def __init__(
        self,
        repository: WritesSegments,
        table: str,
        schema: pa.Schema,
        layout: SegmentLayout,
        batch_rows: int,
    ) -> None:
        self._layout = layout
        self._batch_rows = batch_rows
        self._repository = repository
        self._table = table
        self._schema = schema
        self._pending: list[tuple[Any, ...]] = []
        self._writer: SegmentWriter | None = None

    def append(self, row: tuple[Any, ...]) -> None:
        self._pending.append(row)
        if len(self._pending) >= self._batch_rows:
            self._flush()

    def extend(self, rows: Sequence[tuple[Any, ...]]) -> None:
        for start in range(0, len(rows), self._batch_rows):
            self._pending += rows[start : start + self._batch_rows]
            if len(self._pending) >= self._batch_rows:
                self._flush()

    def seal(self) -> tuple[SegmentInfo, ...]:
        self._flush()
        writer, self._writer = self._writer, None
        return writer.close() if writer is not None else ()

    def abort(self) -> None:
        self._pending.clear()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.abort()

    def _flush(self) -> None:
        if not self._pending:
            return
        if self._writer is None:
            self._writer = self._repository.segment_writer(self._table, self._schema, self._layout)
        columns = zip(*self._pending, strict=True)
        arrays = [
            codes_of(column) if field.name in _IDENTIFIERS else pa.array(column, type=field.type)
            for column, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._pending.clear()
