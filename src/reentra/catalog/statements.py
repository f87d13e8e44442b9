"""Run SQL on the driver: question marks in both dialects, many rows at once.

Rows by the hundred thousand go past SQLAlchemy's compiler (four times as fast).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeAlias

import sqlalchemy as sa

Row: TypeAlias = sa.Row[*tuple[Any, ...]]
Rows: TypeAlias = sa.CursorResult[*tuple[Any, ...]]

IN_CHUNK = 500
INSERTED_ROWS = 50


def run(connection: sa.Connection, sql: str, *values: Any) -> Rows:
    """Run one statement."""
    return connection.exec_driver_sql(_translated(connection, sql), values)


def run_many(connection: sa.Connection, sql: str, rows: Sequence[Sequence[Any]]) -> None:
    """Run one statement for each row."""
    if not rows:
        return
    cursor = connection.connection.cursor()
    try:
        cursor.executemany(_translated(connection, sql), rows)
    finally:
        cursor.close()


def insert_columns(
    connection: sa.Connection, sql: str, row: str, columns: Sequence[Sequence[Any]]
) -> None:
    """Insert rows that are given by the column, fifty a statement: that is twice as fast.

    ``row`` is one row's values with a question mark for each column; the rows take the place of
    ``{rows}``.
    """
    width, count = len(columns), len(columns[0])
    values: list[Any] = [None] * (width * count)
    for place, column in enumerate(columns):
        values[place::width] = column
    whole = count - count % INSERTED_ROWS
    for size, begin, end in ((INSERTED_ROWS, 0, whole), (1, whole, count)):
        step = size * width
        rows = [values[at : at + step] for at in range(begin * width, end * width, step)]
        run_many(connection, sql.replace("{rows}", ", ".join([row] * size)), rows)


def run_in(
    connection: sa.Connection,
    sql: str,
    items: Sequence[Any],
    *values: Any,
    after: Sequence[Any] = (),
) -> Iterator[Row]:
    """Run a query once per few hundred ``items``; they take the place of ``{items}``.

    ``values`` fill the question marks before it, ``after`` those that follow.
    """
    for piece in chunks(items, IN_CHUNK):
        # One spelling for every size up to the chunk keeps the driver's statement cache warm.
        padded = piece + [piece[-1]] * (_rounded(len(piece)) - len(piece))
        marks = ",".join("?" * len(padded))
        # All at once: row by row costs more in SQLAlchemy than in the database.
        yield from run(connection, sql.replace("{items}", marks), *values, *padded, *after).all()


def run_in_pairs(
    connection: sa.Connection, sql: str, pairs: Sequence[tuple[Any, Any]], *values: Any
) -> Iterator[Row]:
    """Run a query once per few hundred ``pairs``; they take the place of ``{pairs}``.

    ``values`` fill the question marks that follow.
    """
    for piece in chunks(pairs, IN_CHUNK // 2):
        padded = piece + [piece[-1]] * (_rounded(len(piece)) - len(piece))
        marks = ",".join(["(?,?)"] * len(padded))
        flat = [item for pair in padded for item in pair]
        yield from run(connection, sql.replace("{pairs}", marks), *flat, *values).all()


def chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield lists of at most ``size`` items."""
    iterator = iter(items)
    while piece := list(islice(iterator, size)):
        yield piece


def _rounded(count: int) -> int:
    for size in (1, 8, 64):
        if count <= size:
            return size
    return IN_CHUNK


def _translated(connection: sa.Connection, sql: str) -> str:
    if connection.dialect.name == "postgresql":
        return sql.replace("%", "%%").replace("?", "%s")
    return sql
