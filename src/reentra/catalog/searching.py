"""Search over all snapshots of a tenant: names and principal names, newest version first.

Search looks at objects' properties, not at relationships.
"""

# Statements are put together from constants and from integers of ours; values are parameters.
# ruff: noqa: S608

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reentra import errors
from reentra.catalog.reading import TenantReader
from reentra.catalog.searchtext import id_prefix_bounds, match_expression, searched_text
from reentra.catalog.statements import Row, run
from reentra.snapshots.identifiers import decoded

_MANY_ROWS = 20_000
_MOST_IDS = 1_000


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What to look for. Moments bound the snapshots that results come from, both inclusive.

    ``text`` is part of a name, principal name, mail, client id or description, or the beginning of
    an id. ``cursor`` is what the page before ended with.
    """

    text: str = ""
    kinds: tuple[str, ...] = ()
    modified_from: dt.datetime | None = None
    modified_to: dt.datetime | None = None
    deleted_only: bool = False
    limit: int = 100
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class SearchHit:
    """An object's newest matching version.

    ``snapshot_id`` is the newest snapshot between the dates that holds it, taken at
    ``snapshot_at``; ``modified_at`` is when the snapshot was taken that first had it so;
    ``is_deleted`` says that the object was gone in the snapshot after its last one.
    """

    kind: str
    id: str
    name: str
    snapshot_id: str
    snapshot_at: dt.datetime
    modified_at: dt.datetime
    is_deleted: bool


@dataclass(frozen=True, slots=True)
class SearchPage:
    """Some hits; ``cursor`` is empty when there are no more."""

    hits: tuple[SearchHit, ...]
    cursor: str


def search(reader: TenantReader, query: SearchQuery) -> SearchPage:
    """Return a page of hits, each object once, by its newest version that matches.

    Raises: ``errors.UsageError`` for a cursor that no search gave.
    """
    low, high = reader.window(query.modified_from, query.modified_to)
    kinds = reader.kinds()
    wanted = {name: no for name, no in kinds.items() if not query.kinds or name in query.kinds}
    if low > high or not wanted or query.limit <= 0:
        return SearchPage((), "")
    found = _Search(reader, query, wanted, low, high)
    chosen: list[Row] = []
    cursor = ""
    for row in found.rows(_position(query.cursor)):
        if found.is_superseded(row):
            continue
        if len(chosen) == query.limit:
            cursor = str(chosen[-1].no)
            break
        chosen.append(row)
    newest = [high if row.ended is None else min(high, row.ended - 1) for row in chosen]
    taken = reader.taken([*newest, *(row.began for row in chosen)])
    names = {number: name for name, number in wanted.items()}
    hits = []
    for row, last in zip(chosen, newest, strict=True):
        object_id = decoded(bytes(row.id))
        hits.append(
            SearchHit(
                kind=names[row.kind_no],
                id=object_id,
                name=row.name or object_id,
                snapshot_id=taken[last][0],
                snapshot_at=taken[last][1],
                modified_at=taken[row.began][1],
                is_deleted=bool(row.was_deleted),
            )
        )
    return SearchPage(tuple(hits), cursor)


class _Search:
    """One search on one connection: versions that match, newest first."""

    def __init__(
        self,
        reader: TenantReader,
        query: SearchQuery,
        wanted: Mapping[str, int],
        low: int,
        high: int,
    ) -> None:
        self._reader = reader
        self._text = searched_text(query.text)
        self._page = max(64, query.limit + 1)
        self._high = high
        self._object_nos = self._objects_beginning(self._text) if self._text else []
        # SQLite without statistics would sort all versions of a large kind rather than walk them
        # from the newest, or walk all versions of the tenant for a few of a small kind. "+" says
        # which index not to take.
        counts = reader.newest_counts()
        is_narrow = sum(counts.get(name, 0) for name in wanted) < _MANY_ROWS
        is_by_kind = is_narrow or 0 < len(self._text) < 3
        kinds = ",".join(str(number) for number in wanted.values())
        self._order = "+no" if is_by_kind else "no"
        self._conditions = (
            f"{'' if is_by_kind else '+'}kind_no IN ({kinds})"
            f" AND began <= {high} AND (ended IS NULL OR ended > {low})"
        )
        if query.deleted_only:
            self._conditions += " AND was_deleted = 1"

    def rows(self, before: int) -> Iterator[Row]:
        """Yield matching versions, newest first, each once."""
        streams = [self._pages(*self._by_text(), before)]
        if self._object_nos:
            chosen = ",".join(map(str, self._object_nos))
            streams.append(self._pages("object_version", f"object_no IN ({chosen})", [], before))
        last = -1
        for row in heapq.merge(*streams, key=lambda row: row.no, reverse=True):
            if row.no != last:
                yield row
            last = row.no

    def is_superseded(self, row: Row) -> bool:
        """Tell whether a newer version of the same object matches too."""
        if row.ended is None or row.ended > self._high:
            return False
        check, values = self._reader.text_check(self._text) if self._text else ("1 = 1", [])
        if row.object_no in self._object_nos:
            check, values = "1 = 1", []
        sql = (
            f"SELECT 1 FROM object_version WHERE {self._conditions} AND kind_no = ?"
            f" AND object_no = ? AND began > ? AND {check} LIMIT 1"
        )
        found = run(self._reader.connection, sql, row.kind_no, row.object_no, row.began, *values)
        return found.first() is not None

    def _by_text(self) -> tuple[str, str, list[Any]]:
        """Return where to look, the condition, and its values."""
        if not self._text:
            return "object_version", "1 = 1", []
        if self._reader.is_sqlite and len(self._text) >= 3:
            check, values = self._reader.text_check(self._text)
            joined = "object_text CROSS JOIN object_version"
            condition = f"no = object_text.rowid AND object_text MATCH ? AND {check}"
            return joined, condition, [match_expression(self._text), *values]
        return ("object_version", *self._reader.text_condition(self._text))

    def _pages(self, table: str, condition: str, values: list[Any], before: int) -> Iterator[Row]:
        # The full-text index walks its own rows from the newest, and stops when there are enough.
        is_text = table.startswith("object_text")
        position, order = ("object_text.rowid",) * 2 if is_text else ("no", self._order)
        sql = f"""
            SELECT v.no, v.kind_no, v.object_no, v.began, v.ended, v.was_deleted, v.name, i.id
            FROM (
                SELECT no, kind_no, object_no, began, ended, was_deleted, name FROM {table}
                WHERE {condition} AND {self._conditions} AND {position} < ?
                ORDER BY {order} DESC LIMIT ?
            ) AS v CROSS JOIN identity i WHERE i.no = v.object_no ORDER BY v.no DESC
        """
        while True:
            rows = run(self._reader.connection, sql, *values, before, self._page).all()
            yield from rows
            if len(rows) < self._page:
                return
            before = rows[-1].no

    def _objects_beginning(self, text: str) -> list[int]:
        """Return the numbers of objects whose id is the text, or a GUID that begins with it."""
        exact = self._reader.object_no(text.lower()) or self._reader.object_no(text)
        if exact is not None:
            return [exact]
        bounds = id_prefix_bounds(text)
        if bounds is None:
            return []
        sql = "SELECT no FROM identity WHERE tenant_no = ? AND id >= ? AND id <= ? LIMIT ?"
        rows = run(self._reader.connection, sql, self._reader.tenant_no, *bounds, _MOST_IDS)
        return [row[0] for row in rows]


def _position(cursor: str) -> int:
    if not cursor:
        return (1 << 63) - 1
    if not cursor.isdecimal():
        raise errors.UsageError(
            f"{cursor!r} is no place in a search.", hint="Use what the page before ended with."
        )
    return int(cursor)
