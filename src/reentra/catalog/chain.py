"""Where a snapshot stands in its tenant's line: turn back, take away, count.

Ordinals follow time. A snapshot whose parent is not the one before it (a new beginning, or a
branch) is first brought to its parent's state: what began since ends, what ended since begins anew.
"""

# Statements are put together from constants and from integers of ours; values are parameters.
# ruff: noqa: S608

from __future__ import annotations

import sqlalchemy as sa

from reentra.catalog.searchtext import SEPARATOR
from reentra.catalog.statements import Row, run, run_many

_VERSION_COLUMNS = "kind_no, object_no, digest, name, extra, segment_no, row_no"


def turn_back(connection: sa.Connection, tenant_no: int, ordinal: int, parent: int) -> None:
    """Bring the newest state to that of ``parent`` (-1: an empty one), as of ``ordinal``."""
    for (kind_no,) in _numbers(connection, "kind", tenant_no):
        run(
            connection,
            "UPDATE object_version SET ended = ?, was_deleted = 1"
            " WHERE kind_no = ? AND began > ? AND ended IS NULL",
            ordinal, kind_no, parent,
        )  # fmt: skip
        again = run(
            connection,
            f"SELECT {_VERSION_COLUMNS} FROM object_version WHERE kind_no = ? AND began <= ?"
            " AND ended IS NOT NULL AND ended > ? AND ended < ?",
            kind_no, parent, parent, ordinal,
        ).all()  # fmt: skip
        first = run(connection, "SELECT coalesce(max(no), 0) + 1 FROM object_version").scalar_one()
        run_many(
            connection,
            "UPDATE object_version SET was_deleted = 0"
            " WHERE kind_no = ? AND object_no = ? AND ended = ?",
            [(row[0], row[1], ordinal) for row in again],
        )
        run_many(
            connection,
            f"INSERT INTO object_version (no, began, was_deleted, {_VERSION_COLUMNS})"
            " VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?)",
            [(first + index, ordinal, *row) for index, row in enumerate(again)],
        )
    for (relationship_no,) in _numbers(connection, "relationship", tenant_no):
        run(
            connection,
            "UPDATE link_version SET ended = ?"
            " WHERE relationship_no = ? AND began > ? AND ended IS NULL",
            ordinal, relationship_no, parent,
        )  # fmt: skip
        run(
            connection,
            "INSERT INTO link_version (relationship_no, source_no, target_no, qualifier, began,"
            " ended, target_kind_no) SELECT relationship_no, source_no, target_no, qualifier, ?,"
            " NULL, target_kind_no FROM link_version WHERE relationship_no = ? AND began <= ?"
            " AND ended IS NOT NULL AND ended > ? AND ended < ?",
            ordinal, relationship_no, parent, parent, ordinal,
        )  # fmt: skip


def take_away(connection: sa.Connection, tenant_no: int, ordinal: int) -> None:
    """Remove the snapshots from ``ordinal`` on, as if they had never been indexed."""
    for (kind_no,) in _numbers(connection, "kind", tenant_no):
        began = f"kind_no = ? AND began >= ? {'AND began > 0' if ordinal else ''}"
        if connection.dialect.name == "sqlite":
            run(
                connection,
                "INSERT INTO object_text (object_text, rowid, text)"
                " SELECT 'delete', no, coalesce(name, '') || ? || extra FROM object_version"
                f" WHERE {began} AND (name IS NOT NULL OR extra <> '')",
                SEPARATOR, kind_no, ordinal,
            )  # fmt: skip
        run(connection, f"DELETE FROM object_version WHERE {began}", kind_no, ordinal)
        run(
            connection,
            "UPDATE object_version SET ended = NULL, was_deleted = 0"
            " WHERE kind_no = ? AND ended IS NOT NULL AND ended >= ?",
            kind_no, ordinal,
        )  # fmt: skip
    for (relationship_no,) in _numbers(connection, "relationship", tenant_no):
        began = f"relationship_no = ? AND began >= ? {'AND began > 0' if ordinal else ''}"
        run(connection, f"DELETE FROM link_version WHERE {began}", relationship_no, ordinal)
        run(
            connection,
            "UPDATE link_version SET ended = NULL"
            " WHERE relationship_no = ? AND ended IS NOT NULL AND ended >= ?",
            relationship_no, ordinal,
        )  # fmt: skip
    for table in ("snapshot", "segment"):
        sql = f"DELETE FROM {table} WHERE tenant_no = ? AND ordinal >= ?"
        run(connection, sql, tenant_no, ordinal)


def count_objects(
    connection: sa.Connection, tenant_no: int, ordinal: int, before: dict[str, int]
) -> dict[str, int]:
    """Return kind -> objects at ``ordinal``; ``before`` are the counts one ordinal earlier."""
    counts = dict(before)
    query = "SELECT no, name FROM kind WHERE tenant_no = ?"
    for kind_no, name in run(connection, query, tenant_no).all():
        # The condition that looks superfluous is the one that the partial index is made for.
        begun = "SELECT count(*) FROM object_version WHERE kind_no = ? AND began = ?"
        begun += " AND began > 0" if ordinal else ""
        ended = (
            "SELECT count(*) FROM object_version"
            " WHERE kind_no = ? AND ended IS NOT NULL AND ended = ?"
        )
        number = counts.get(name, 0)
        number += run(connection, begun, kind_no, ordinal).scalar_one()
        number -= run(connection, ended, kind_no, ordinal).scalar_one()
        if number:
            counts[name] = number
        else:
            counts.pop(name, None)
    return counts


def _numbers(connection: sa.Connection, table: str, tenant_no: int) -> list[Row]:
    sql = f"SELECT no FROM {table} WHERE tenant_no = ?"
    return list(run(connection, sql, tenant_no).all())
