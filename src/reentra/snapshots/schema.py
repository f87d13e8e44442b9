"""The tables of a snapshot's segments. ``docs/format.md`` section 7.1 governs them.

Rows are applied in the order in which they were written; a later row about the same object or link
wins. Identifiers are written as ``identifiers.encoded``; segments of the first layout hold them as
text, and are read as well (``identifiers.stored_codes``).
"""

from __future__ import annotations

import pyarrow as pa

from reentra.repository import SegmentLayout

OBJECTS_TABLE = "objects"
RELATIONSHIPS_TABLE = "relationships"

# `body` is the JSON of the cleaned properties, null when `deleted`; `digest` is
# `directory.canonical.digest` of it; `name` is what people call the object.
OBJECTS = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("id", pa.binary(), nullable=False),
        pa.field("deleted", pa.bool_(), nullable=False),
        pa.field("digest", pa.binary(16)),
        pa.field("name", pa.string()),
        pa.field("body", pa.binary()),
    ]
)

RELATIONSHIPS = pa.schema(
    [
        pa.field("relationship", pa.string(), nullable=False),
        pa.field("source_id", pa.binary(), nullable=False),
        pa.field("target_id", pa.binary(), nullable=False),
        pa.field("qualifier", pa.string(), nullable=False),
        pa.field("target_kind", pa.string(), nullable=False),
        pa.field("removed", pa.bool_(), nullable=False),
    ]
)

# One object is read by decompressing one row group: few rows make that cheap.
OBJECTS_LAYOUT = SegmentLayout(row_group_bytes=512 * 1024, repeating=("kind",))
# Links are only ever scanned. Each identifier costs its sixteen bytes once a row group, however
# many links name it there: many rows make a link small. They wait in memory, 70 bytes each.
RELATIONSHIPS_LAYOUT = SegmentLayout(
    row_group_rows=512 * 1024,
    row_group_bytes=64 << 20,
    repeating=("relationship", "source_id", "target_id", "qualifier", "target_kind"),
)
