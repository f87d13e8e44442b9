"""The tables of a snapshot's segments. ``docs/format.md`` governs the bytes around them.

Rows are applied in the order in which they were written; a later row about the same object or link
wins.
"""

from __future__ import annotations

import pyarrow as pa

OBJECTS_TABLE = "objects"
RELATIONSHIPS_TABLE = "relationships"

# `body` is the JSON of the cleaned properties, null when `deleted`; `digest` is
# `directory.canonical.digest` of it; `name` is what people call the object.
OBJECTS = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("deleted", pa.bool_(), nullable=False),
        pa.field("digest", pa.binary(16)),
        pa.field("name", pa.string()),
        pa.field("body", pa.binary()),
    ]
)

RELATIONSHIPS = pa.schema(
    [
        pa.field("relationship", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("target_id", pa.string(), nullable=False),
        pa.field("qualifier", pa.string(), nullable=False),
        pa.field("target_kind", pa.string(), nullable=False),
        pa.field("removed", pa.bool_(), nullable=False),
    ]
)
