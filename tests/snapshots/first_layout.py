"""Writes segments as the first layout of the tables had them: identifiers as text."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from reentra.repository import Repository, SegmentWriter
from reentra.snapshots.identifiers import stored_texts

_IDENTIFIERS = ("id", "source_id", "target_id")


def as_text(schema: pa.Schema) -> pa.Schema:
    return pa.schema(
        [
            pa.field(one.name, pa.string(), nullable=False) if one.name in _IDENTIFIERS else one
            for one in schema
        ]
    )


class FirstLayout:
    """A repository whose new segments are of the first layout; all else is the repository's."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def __getattr__(self, name: str) -> Any:
        return getattr(self._repository, name)

    def segment_writer(self, table: str, schema: pa.Schema, layout: object) -> Any:
        del layout
        return _TextWriter(self._repository.segment_writer(table, as_text(schema)), schema)


class _TextWriter:
    def __init__(self, writer: SegmentWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = as_text(schema)
        self.close, self.abort = writer.close, writer.abort

    def append(self, rows: pa.RecordBatch) -> Any:
        columns = [
            pa.array(stored_texts(rows.column(name)), pa.string()) if name in _IDENTIFIERS
            else rows.column(name)
            for name in self._schema.names
        ]  # fmt: skip
        return self._writer.append(pa.RecordBatch.from_arrays(columns, schema=self._schema))
