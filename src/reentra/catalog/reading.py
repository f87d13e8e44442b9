"""Questions about snapshots, lists, versions and differences, on one reading connection."""

# Statements are put together from constants and from integers of ours; values are parameters.
# ruff: noqa: S608

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson
import sqlalchemy as sa

from reentra import clock as clocks
from reentra import errors
from reentra.catalog.searchtext import SEPARATOR, like_pattern, match_expression
from reentra.catalog.statements import Row, run, run_in
from reentra.snapshots.identifiers import decoded, encoded, encoded_each
from reentra.snapshots.info import SnapshotInfo, SnapshotStatus

_LAST_ORDINAL = 2**31 - 1
ALIVE = "began <= ? AND (ended IS NULL OR ended > ?)"
_SNAPSHOT = "SELECT ordinal, id, sha256, created_at, parent, status, info FROM snapshot"


@dataclass(frozen=True, slots=True)
class SnapshotSummary:
    """One snapshot. ``info`` lacks the delta links, which are the backup's own business.

    ``stamp`` tells its manifest from every other, also from one that took its place.
    """

    id: str
    created_at: dt.datetime
    parent: str | None
    status: SnapshotStatus
    info: SnapshotInfo
    ordinal: int
    stamp: str


@dataclass(frozen=True, slots=True)
class SnapshotChanges:
    """How much one snapshot changed, of all kinds together, without what it says of each."""

    id: str
    created_at: dt.datetime
    parent: str | None
    status: SnapshotStatus
    needs_review: bool
    added: int
    changed: int
    deleted: int


class _KindChanges(msgspec.Struct):
    added: int
    changed: int
    deleted: int


class _Changes(msgspec.Struct):
    """What is read of a snapshot's info; the rest is passed over, which is what takes the time."""

    kinds: dict[str, _KindChanges]
    review: list[str] = []


_CHANGES = msgspec.json.Decoder(_Changes)


@dataclass(frozen=True, slots=True)
class PageRow:
    """One object in a list. ``modified_at``: when the snapshot was taken that first had it so."""

    id: str
    name: str
    digest: bytes
    modified_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list; ``total`` is how many there are in all.

    ``last`` names its last row to the catalog, while it is not made anew; 0 for none.
    """

    rows: tuple[PageRow, ...]
    total: int
    last: int = 0


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """An object as it was from snapshot ``began`` until before ``ended``.

    ``ended`` is ``None`` while it is the present one; ``is_deleted`` says that it ended because the
    object was deleted.
    """

    began: str
    began_at: dt.datetime
    ended: str | None
    ended_at: dt.datetime | None
    digest: bytes
    is_deleted: bool


class TenantReader:
    """Answers for one tenant on one connection."""

    def __init__(self, connection: sa.Connection, tenant_id: str) -> None:
        self.connection = connection
        self.tenant_id = tenant_id
        query = "SELECT no FROM tenant WHERE tenant_id = ?"
        self.tenant_no: int = run(connection, query, tenant_id).scalar() or 0

    @property
    def is_sqlite(self) -> bool:
        return self.connection.dialect.name == "sqlite"

    # Snapshots

    def list_snapshots(
        self,
        *,
        before: int | None = None,
        limit: int | None = None,
        taken_from: dt.datetime | None = None,
        taken_before: dt.datetime | None = None,
    ) -> list[SnapshotSummary]:
        """Return the snapshots, newest first: all, or some of those before an ordinal.

        With moments: only those taken at the first or later, and before the second.
        """
        query = f"{_SNAPSHOT} WHERE tenant_no = ?"
        values: list[Any] = [self.tenant_no]
        if before is not None:
            query += " AND ordinal < ?"
            values.append(before)
        for moment, condition in (
            (taken_from, "created_at >= ?"),
            (taken_before, "created_at < ?"),
        ):
            if moment is not None:
                query += f" AND {condition}"
                values.append(stored_time(moment))
        query += " ORDER BY ordinal DESC"
        if limit is not None:
            query += " LIMIT ?"
            values.append(limit)
        return [_summary(row) for row in run(self.connection, query, *values)]

    def count_days(self) -> list[tuple[int, dt.datetime, dt.datetime]]:
        """Return the number of snapshots of each day in UTC, with the first and last moment."""
        query = (
            "SELECT count(*), min(created_at), max(created_at) FROM snapshot WHERE tenant_no = ?"
            " GROUP BY substr(created_at, 1, 10) ORDER BY 2"
        )
        rows = run(self.connection, query, self.tenant_no)
        return [(row[0], clocks.parse_iso(row[1]), clocks.parse_iso(row[2])) for row in rows]

    def list_changes(self, first: dt.datetime, end: dt.datetime) -> list[SnapshotChanges]:
        """Return how much each snapshot changed that was taken between two moments, oldest first.

        It costs a tenth of ``list_snapshots``: of thousands of snapshots most is never looked at.
        """
        query = (
            "SELECT id, created_at, parent, status, info FROM snapshot WHERE tenant_no = ?"
            " AND created_at >= ? AND created_at < ? ORDER BY ordinal"
        )
        values = (self.tenant_no, stored_time(first), stored_time(end))
        found = []
        for snapshot_id, created_at, parent, status, info in run(self.connection, query, *values):
            read = _CHANGES.decode(info)
            kinds = read.kinds.values()
            found.append(
                SnapshotChanges(
                    snapshot_id, clocks.parse_iso(created_at), parent, SnapshotStatus(status),
                    bool(read.review), sum(kind.added for kind in kinds),
                    sum(kind.changed for kind in kinds), sum(kind.deleted for kind in kinds),
                )
            )  # fmt: skip
        return found

    def find_snapshot(self, snapshot_id: str) -> SnapshotSummary | None:
        """Return the snapshot of this id, if there is one."""
        query = f"{_SNAPSHOT} WHERE tenant_no = ? AND id = ?"
        row = run(self.connection, query, self.tenant_no, snapshot_id).first()
        return None if row is None else _summary(row)

    def snapshot(self, snapshot_id: str) -> SnapshotSummary:
        """Return one snapshot.

        Raises: ``errors.NotFound``.
        """
        found = self.find_snapshot(snapshot_id)
        if found is None:
            raise errors.NotFound(
                f"There is no snapshot {snapshot_id}.",
                hint="Look in the list of snapshots.",
                typed="reentra snapshots NAME",
            )
        return found

    def ordinal(self, snapshot_id: str) -> int:
        """Return a snapshot's place in the tenant's line.

        Raises: ``errors.NotFound``.
        """
        query = "SELECT ordinal FROM snapshot WHERE tenant_no = ? AND id = ?"
        found = run(self.connection, query, self.tenant_no, snapshot_id).scalar()
        return self.snapshot(snapshot_id).ordinal if found is None else int(found)

    def times(self) -> list[tuple[str, dt.datetime]]:
        """Return (id, moment) of every snapshot, by ordinal."""
        query = "SELECT id, created_at FROM snapshot WHERE tenant_no = ? ORDER BY ordinal"
        rows = run(self.connection, query, self.tenant_no)
        return [(row[0], clocks.parse_iso(row[1])) for row in rows]

    def editions(self) -> list[tuple[str, int]]:
        """Return (id, edition of its manifest) of every snapshot, by ordinal."""
        query = "SELECT id, sha256 FROM snapshot WHERE tenant_no = ? ORDER BY ordinal"
        rows = run(self.connection, query, self.tenant_no)
        return [(row[0], int(row[1].partition(".")[2] or 0)) for row in rows]

    def snapshot_ids(self) -> list[str]:
        """Return the id of every snapshot, by ordinal; a year of hourly ones costs milliseconds."""
        query = "SELECT id FROM snapshot WHERE tenant_no = ? ORDER BY ordinal"
        return list(run(self.connection, query, self.tenant_no).scalars().all())

    def find_place(self, snapshot_id: str) -> tuple[int, str] | None:
        """Return a snapshot's ordinal and its manifest's stamp, if it is known."""
        query = "SELECT ordinal, sha256 FROM snapshot WHERE tenant_no = ? AND id = ?"
        row = run(self.connection, query, self.tenant_no, snapshot_id).first()
        return None if row is None else (row[0], row[1])

    def newest_ordinal(self) -> int:
        """Return the ordinal of the newest snapshot; -1 when there is none."""
        query = "SELECT coalesce(max(ordinal), -1) FROM snapshot WHERE tenant_no = ?"
        return int(run(self.connection, query, self.tenant_no).scalar_one())

    def window(self, first: dt.datetime | None, last: dt.datetime | None) -> tuple[int, int]:
        """Return the least and greatest ordinal taken between two moments (none: -1 at the end)."""
        query = "SELECT min(ordinal), max(ordinal) FROM snapshot WHERE tenant_no = ?"
        values: list[Any] = [self.tenant_no]
        for moment, condition in ((first, "created_at >= ?"), (last, "created_at <= ?")):
            if moment is not None:
                query += f" AND {condition}"
                values.append(stored_time(moment))
        low, high = run(self.connection, query, *values).one()
        return (0, -1) if low is None else (low, high)

    def taken(self, ordinals: Iterable[int]) -> dict[int, tuple[str, dt.datetime]]:
        """Return ordinal -> (id, moment)."""
        query = (
            "SELECT ordinal, id, created_at FROM snapshot WHERE tenant_no = ? AND ordinal IN"
            " ({items})"
        )
        rows = run_in(self.connection, query, list(dict.fromkeys(ordinals)), self.tenant_no)
        return {row[0]: (row[1], clocks.parse_iso(row[2])) for row in rows}

    def counts(self, snapshot_id: str) -> dict[str, int]:
        """Return kind -> number of objects."""
        query = "SELECT counts FROM snapshot WHERE tenant_no = ? AND id = ?"
        found = run(self.connection, query, self.tenant_no, snapshot_id).scalar()
        if found is None:
            self.snapshot(snapshot_id)
        counts: dict[str, int] = orjson.loads(found or "{}")
        return counts

    def newest_counts(self) -> dict[str, int]:
        """Return kind -> number of objects in the newest snapshot."""
        query = "SELECT counts FROM snapshot WHERE tenant_no = ? ORDER BY ordinal DESC LIMIT 1"
        counts: dict[str, int] = orjson.loads(
            run(self.connection, query, self.tenant_no).scalar() or "{}"
        )
        return counts

    # Numbers

    def kinds(self) -> dict[str, int]:
        """Return kind -> number."""
        query = "SELECT name, no FROM kind WHERE tenant_no = ? ORDER BY no"
        return {row[0]: row[1] for row in run(self.connection, query, self.tenant_no)}

    def relationships(self) -> dict[str, int]:
        """Return relationship -> number."""
        query = "SELECT name, no FROM relationship WHERE tenant_no = ? ORDER BY no"
        return {row[0]: row[1] for row in run(self.connection, query, self.tenant_no)}

    def object_no(self, object_id: str) -> int | None:
        query = "SELECT no FROM identity WHERE tenant_no = ? AND id = ?"
        found = run(self.connection, query, self.tenant_no, encoded(object_id)).scalar()
        return None if found is None else int(found)

    def numbers(self, ids: Iterable[str]) -> list[int]:
        """Return the numbers of those of the ids that are known."""
        query = "SELECT no FROM identity WHERE tenant_no = ? AND id IN ({items})"
        codes = encoded_each([*dict.fromkeys(ids)])
        return [row[0] for row in run_in(self.connection, query, codes, self.tenant_no)]

    def ids(self, numbers: Iterable[int]) -> dict[int, str]:
        """Return number -> id."""
        query = "SELECT no, id FROM identity WHERE no IN ({items})"
        rows = run_in(self.connection, query, list(numbers))
        return {row[0]: decoded(bytes(row[1])) for row in rows}

    # Lists

    def page(
        self,
        snapshot_id: str,
        kind: str,
        *,
        text: str,
        sort: str,
        descending: bool,
        offset: int,
        limit: int,
        after: int = 0,
    ) -> Page:
        """Return a part of the objects of a kind at a snapshot, after a number of them.

        ``after`` is the ``last`` of the page before: from there the way is as short as to the
        first page. It may be of a catalog that is gone; then the offset counts.
        """
        ordinal = self.ordinal(snapshot_id)
        kind_no = self.kinds().get(kind)
        if kind_no is None:
            return Page((), 0)
        condition, values = f"kind_no = ? AND {ALIVE}", [kind_no, ordinal, ordinal]
        if text:
            more, more_values = self.text_condition(text)
            condition, values = f"{condition} AND {more}", [*values, *more_values]
            count = f"SELECT count(*) FROM object_version WHERE {condition}"
            total = int(run(self.connection, count, *values).scalar_one())
        else:
            total = self.counts(snapshot_id).get(kind, 0)
        order, outer = self._order(sort, descending), self._order(sort, descending, "v.")
        # The inner query never leaves the index by name, however far the offset.
        query = f"""
            SELECT i.id, v.name, v.digest, v.began, v.no FROM
                (SELECT no FROM object_version WHERE {{condition}}
                 ORDER BY {order} LIMIT ? OFFSET ?) AS chosen
            CROSS JOIN object_version v CROSS JOIN identity i
            WHERE v.no = chosen.no AND i.no = v.object_no
            ORDER BY {outer}
        """
        rows: Sequence[Row] = ()
        beyond = self._beyond(kind_no, after, descending) if after and sort == "name" else None
        if beyond is not None:
            beyond_text, beyond_values = beyond
            narrowed = query.format(condition=f"{condition} AND {beyond_text}")
            rows = run(self.connection, narrowed, *values, *beyond_values, limit, 0).all()
        if len(rows) < min(limit, total - offset):
            counted = query.format(condition=condition)
            rows = run(self.connection, counted, *values, limit, offset).all()
        taken = self.taken(row[3] for row in rows)
        found = []
        for code, name, digest, began, _ in rows:
            object_id = decoded(bytes(code))
            found.append(PageRow(object_id, name or object_id, bytes(digest), taken[began][1]))
        return Page(tuple(found), total, rows[-1][4] if rows else 0)

    def _beyond(self, kind_no: int, after: int, descending: bool) -> tuple[str, list[Any]] | None:
        """Return the SQL condition for what comes after a row in the order by name, and its values.

        ``None`` when there is no such row, or it has no name: those without are at one end.
        """
        query = "SELECT name, began, ended FROM object_version WHERE no = ? AND kind_no = ?"
        row = run(self.connection, query, after, kind_no).first()
        if row is None or row[0] is None:
            return None
        sign = "<" if descending else ">"
        name, value = self._name(), "?" if self.is_sqlite else 'lower(?) COLLATE "C"'
        # Where an open end stands among the others: SQLite puts NULL first, PostgreSQL last.
        open_end = -1 if self.is_sqlite else _LAST_ORDINAL
        end = f"coalesce(ended, {open_end})"
        text = (
            f"{name} {sign}= {value} AND ({name} {sign} {value}"
            f" OR (began, {end}, no) {sign} (?, ?, ?))"
        )
        ended = open_end if row[2] is None else row[2]
        return text, [row[0], row[0], row[1], ended, after]

    def _name(self, prefix: str = "") -> str:
        """Return the name as the index by name has it."""
        if self.is_sqlite:
            return f"{prefix}name COLLATE NOCASE"
        return f'lower({prefix}name) COLLATE "C"'

    def _order(self, sort: str, descending: bool, prefix: str = "") -> str:
        direction = "DESC" if descending else "ASC"
        if sort == "modified":
            return f"{prefix}began {direction}, {prefix}no {direction}"
        # The columns of the index by name, so that nothing is ever sorted.
        columns = (self._name(prefix), f"{prefix}began", f"{prefix}ended", f"{prefix}no")
        return ", ".join(f"{column} {direction}" for column in columns)

    def text_condition(self, text: str) -> tuple[str, list[Any]]:
        """Return the SQL condition on ``object_version`` for "contains this text", and its values.

        Fewer than three characters are looked for at the beginning of the name. The condition has
        an index to go by, which costs as much as there are matches in all snapshots.
        """
        check, values = self.text_check(text)
        if not self.is_sqlite:
            return check, values
        if len(text) >= 3:
            indexed = "no IN (SELECT rowid FROM object_text WHERE object_text MATCH ?)"
            return f"{indexed} AND {check}", [match_expression(text), *values]
        if text.isascii():
            # What the index finds begins with the text: ``check`` would call Python for each row.
            indexed = "name COLLATE NOCASE >= ? AND name COLLATE NOCASE < ?"
            return indexed, [text, f"{text}\U0010ffff"]
        return check, values

    def text_check(self, text: str) -> tuple[str, list[Any]]:
        """Return the same condition for a row that was found by other means."""
        if len(text) < 3:
            column = "folded(name)" if self.is_sqlite else "lower(name)"
            return f"{column} LIKE ? ESCAPE '!'", [like_pattern(text, is_prefix=True)]
        if self.is_sqlite:
            column = "folded(coalesce(name, '') || ? || extra)"
            return f"{column} LIKE ? ESCAPE '!'", [SEPARATOR, like_pattern(text)]
        column = "lower(coalesce(name, '') || ' ' || extra)"
        return f"{column} LIKE ? ESCAPE '!'", [like_pattern(text)]

    # Versions

    def list_versions(self, kind: str, object_id: str) -> list[ObjectVersion]:
        """Return the versions of an object, oldest first; equal ones in a row are one."""
        versions = self._merged_versions(kind, object_id)
        ends = [place for began, ended, *_ in versions for place in (began, ended)]
        taken = self.taken(place for place in ends if place is not None)
        found = []
        for began, ended, digest, was_deleted in versions:
            end_id, ended_at = (None, None) if ended is None else taken[ended]
            found.append(ObjectVersion(*taken[began], end_id, ended_at, digest, bool(was_deleted)))
        return found

    def differing_snapshots(self, kind: str, object_id: str, snapshot_id: str) -> list[str]:
        """Return the snapshots that hold the object and in which it or its links differ.

        Newest first; empty when ``snapshot_id`` does not hold it.
        """
        ids = self.snapshot_ids()
        places = self.differing_places(kind, object_id, snapshot_id)
        return [ids[place] for place in reversed(places)]

    def differing_places(self, kind: str, object_id: str, snapshot_id: str) -> list[int]:
        """Return the ordinals of the same snapshots, oldest first."""
        here, end = self.ordinal(snapshot_id), self.newest_ordinal() + 1
        versions = self._merged_versions(kind, object_id)
        own = next((v for v in versions if _holds(v[0], v[1], here)), None)
        if own is None:
            return []
        differing: set[int] = set()
        alive: set[int] = set()
        for began, ended, digest, _ in versions:
            span = range(began, end if ended is None else ended)
            alive.update(span)
            if digest != own[2]:
                differing.update(span)
        for spans in self._link_spans(object_id):
            held: set[int] = set()
            for began, ended in spans:
                held.update(range(began, end if ended is None else ended))
            differing |= (alive - held) if here in held else held
        return sorted(differing & alive)

    def _merged_versions(
        self, kind: str, object_id: str
    ) -> list[tuple[int, int | None, bytes, int]]:
        kind_no, object_no = self.kinds().get(kind), self.object_no(object_id)
        merged: list[tuple[int, int | None, bytes, int]] = []
        if kind_no is None or object_no is None:
            return merged
        query = (
            "SELECT began, ended, digest, was_deleted FROM object_version"
            " WHERE kind_no = ? AND object_no = ? ORDER BY began"
        )
        for began, ended, digest, was_deleted in run(self.connection, query, kind_no, object_no):
            if merged and merged[-1][1] == began and merged[-1][2] == bytes(digest):
                merged[-1] = (merged[-1][0], ended, bytes(digest), was_deleted)
            else:
                merged.append((began, ended, bytes(digest), was_deleted))
        return merged

    def _link_spans(self, object_id: str) -> list[list[tuple[int, int | None]]]:
        """Return when each link of an object held, of the links that did not always hold."""
        object_no = self.object_no(object_id)
        spans: dict[tuple[int, int, str], list[tuple[int, int | None]]] = {}
        query = (
            "SELECT relationship_no, target_no, qualifier, began, ended FROM link_version"
            " WHERE relationship_no = ? AND source_no = ? AND (began > 0 OR ended IS NOT NULL)"
        )
        for relationship_no in self.relationships().values():
            for row in run(self.connection, query, relationship_no, object_no):
                spans.setdefault((row[0], row[1], row[2]), []).append((row[3], row[4]))
        return list(spans.values())


def stored_time(moment: dt.datetime) -> str:
    """Return a moment as it is stored: always with microseconds, so that text sorts as time."""
    text = moment.astimezone(dt.UTC).isoformat(timespec="microseconds")
    return text.replace("+00:00", "Z")


def _holds(began: int, ended: int | None, ordinal: int) -> bool:
    return began <= ordinal and (ended is None or ended > ordinal)


def _summary(row: Row) -> SnapshotSummary:
    return SnapshotSummary(
        id=row.id,
        created_at=clocks.parse_iso(row.created_at),
        parent=row.parent,
        status=SnapshotStatus(row.status),
        info=SnapshotInfo.from_json(orjson.loads(row.info)),
        ordinal=row.ordinal,
        stamp=row.sha256,
    )
