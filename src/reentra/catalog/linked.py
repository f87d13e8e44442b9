"""The links of one object at a snapshot, counted and in parts: a group may have a million."""

# Statements are put together from constants; values are parameters.
# ruff: noqa: S608

from __future__ import annotations

from typing import NamedTuple

from reentra.catalog.reading import TenantReader
from reentra.catalog.statements import run
from reentra.snapshots.identifiers import decoded

_ALIVE = "l.began <= ? AND (l.ended IS NULL OR l.ended > ?)"


class LinkEnd(NamedTuple):
    """The other end of a link. ``kind`` is empty where it is not stored with the link."""

    id: str
    kind: str


def count_links(
    reader: TenantReader, snapshot_id: str, relationship: str, object_id: str, *, outgoing: bool
) -> int:
    """Return how many links of one relationship an object has in one direction."""
    found = _where(reader, snapshot_id, relationship, object_id, outgoing=outgoing)
    if found is None:
        return 0
    condition, values = found
    query = f"SELECT count(*) FROM {_table(reader, outgoing=outgoing)} WHERE {condition}"
    return int(run(reader.connection, query, *values).scalar_one())


def page_of_links(
    reader: TenantReader,
    snapshot_id: str,
    relationship: str,
    object_id: str,
    *,
    outgoing: bool,
    offset: int,
    limit: int,
) -> list[LinkEnd]:
    """Return a part of those links, in an order that is always the same."""
    found = _where(reader, snapshot_id, relationship, object_id, outgoing=outgoing)
    if found is None:
        return []
    condition, values = found
    far = "target_no" if outgoing else "source_no"
    query = f"""
        SELECT i.id, chosen.target_kind_no FROM (
            SELECT l.{far} AS far, l.qualifier, l.target_kind_no
            FROM {_table(reader, outgoing=outgoing)} WHERE {condition}
            ORDER BY l.{far}, l.qualifier LIMIT ? OFFSET ?
        ) AS chosen CROSS JOIN identity i WHERE i.no = chosen.far
        ORDER BY chosen.far, chosen.qualifier
    """
    kinds = {number: name for name, number in reader.kinds().items()} if outgoing else {}
    rows = run(reader.connection, query, *values, limit, offset)
    return [LinkEnd(decoded(bytes(code)), kinds.get(kind_no, "")) for code, kind_no in rows]


def _table(reader: TenantReader, *, outgoing: bool) -> str:
    # Without statistics SQLite takes the primary key, and walks through the whole relationship.
    is_told = reader.is_sqlite and not outgoing
    return f"link_version l {'INDEXED BY link_version_target' if is_told else ''}"


def _where(
    reader: TenantReader, snapshot_id: str, relationship: str, object_id: str, *, outgoing: bool
) -> tuple[str, list[int]] | None:
    number, object_no = reader.relationships().get(relationship), reader.object_no(object_id)
    if number is None or object_no is None:
        return None
    at = reader.ordinal(snapshot_id)
    near = "source_no" if outgoing else "target_no"
    return f"l.relationship_no = ? AND l.{near} = ? AND {_ALIVE}", [number, object_no, at, at]
