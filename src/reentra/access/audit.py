"""The audit trail: who did what, when, from where, on which tenant, and how it ended.

Append-only, by the code and by triggers of the database. Each record's hash is taken over the
record and the hash before it, so a change or a gap shows. Whoever can write the database file can
make a whole new chain, or cut its end off: note a head now and then, and verify against it.
"""

from __future__ import annotations

import csv
import datetime as dt
import enum
import hashlib
import hmac
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import sqlalchemy as sa

from reentra import clock as clocks
from reentra.access.locks import Lock, hold
from reentra.access.moments import stored_time
from reentra.database import Database
from reentra.database.tables_access import AUDIT

START = "0" * 64  # what the first record's hash builds on
_PAGE = 1000
_LONGEST = 500  # characters of a name or a target that came from outside
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
COLUMNS = (
    "number", "at", "via", "who", "who_id", "address", "action", "tenant", "target", "result",
    "detail", "hash",
)  # fmt: skip


class Via(enum.StrEnum):
    """By which door somebody came."""

    SESSION = "session"
    TOKEN = "token"
    COMMAND = "command"  # the command line, as an account of the machine
    SYSTEM = "system"  # the scheduler and its like
    NOBODY = "nobody"  # not signed in


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, and from where."""

    via: Via
    name: str
    id: str = ""
    address: str = ""


SYSTEM = Actor(Via.SYSTEM, "reentra")


@dataclass(frozen=True, slots=True)
class Entry:
    """What was done. ``detail`` is JSON; it never holds a secret."""

    action: str
    tenant: str = ""
    target: str = ""
    result: str = "done"
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One record of the trail."""

    number: int
    at: str
    via: str
    who: str
    who_id: str
    address: str
    action: str
    tenant: str
    target: str
    result: str
    detail: str
    hash: str

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {name: getattr(self, name) for name in COLUMNS}
        document["detail"] = orjson.loads(self.detail)
        return document


@dataclass(frozen=True, slots=True)
class TrailReport:
    """What a verification found. ``head`` is the newest record's hash: worth noting elsewhere."""

    records: int
    head: str
    problems: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        return {
            "records": self.records,
            "head": self.head,
            "whole": self.is_whole,
            "problems": list(self.problems),
        }


def append(connection: sa.Connection, now: dt.datetime, actor: Actor, entry: Entry) -> None:
    """Add a record in the caller's transaction, which is one that may write."""
    hold(connection, Lock.AUDIT)
    last = connection.execute(
        sa.select(AUDIT.c.number, AUDIT.c.hash).order_by(AUDIT.c.number.desc()).limit(1)
    ).first()
    row: dict[str, Any] = {
        "number": 1 if last is None else last.number + 1,
        "at": stored_time(now),
        "via": actor.via.value,
        "who": line(actor.name),
        "who_id": actor.id,
        "address": line(actor.address),
        "action": entry.action,
        "tenant": line(entry.tenant),
        "target": line(entry.target),
        "result": entry.result,
        "detail": orjson.dumps(dict(entry.detail), option=orjson.OPT_SORT_KEYS).decode(),
    }
    row["hash"] = _hash(START if last is None else last.hash, row)
    connection.execute(sa.insert(AUDIT), row)


class AuditTrail:
    """Reads and extends the trail."""

    __slots__ = ("_clock", "_database")

    def __init__(self, database: Database, clock: clocks.Clock) -> None:
        self._database = database
        self._clock = clock

    def record(self, actor: Actor, entry: Entry) -> None:
        """Add a record; it is durable on return."""
        with self._database.writing() as connection:
            append(connection, self._clock.now(), actor, entry)

    def list_records(
        self,
        *,
        before: int | None = None,
        tenant: str | None = None,
        who: str = "",
        action: str = "",
        since: dt.datetime | None = None,
        until: dt.datetime | None = None,
        limit: int = 100,
    ) -> list[AuditRecord]:
        """Return records, newest first; ``before`` is a number to go on from.

        ``who`` is a part of a name, ``action`` what an action begins with.
        """
        query = sa.select(AUDIT).order_by(AUDIT.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(AUDIT.c.number < before)
        if tenant is not None:
            query = query.where(AUDIT.c.tenant == tenant)
        if who:
            query = query.where(sa.func.lower(AUDIT.c.who).contains(who.lower(), autoescape=True))
        if action:
            query = query.where(AUDIT.c.action.startswith(action, autoescape=True))
        if since is not None:
            query = query.where(AUDIT.c.at >= stored_time(since))
        if until is not None:
            query = query.where(AUDIT.c.at <= stored_time(until))
        with self._database.reading() as connection:
            return [AuditRecord(**row) for row in connection.execute(query).mappings()]

    def list_all(self) -> Iterator[AuditRecord]:
        """Stream every record, oldest first, in pages."""
        number = 0
        while True:
            query = sa.select(AUDIT).where(AUDIT.c.number > number).order_by(AUDIT.c.number)
            with self._database.reading() as connection:
                rows = connection.execute(query.limit(_PAGE)).mappings().all()
            if not rows:
                return
            for row in rows:
                yield AuditRecord(**row)
            number = rows[-1]["number"]

    def verify(self, noted_head: str = "") -> TrailReport:
        """Go through the whole chain; ``noted_head`` is a hash that must still be in it."""
        before, expected, records, is_found = START, 1, 0, not noted_head
        problems: list[str] = []
        for record in self.list_all():
            if record.number != expected:
                problems.append(f"Records {expected} to {record.number - 1} are missing.")
            row = {name: getattr(record, name) for name in COLUMNS}
            if not hmac.compare_digest(_hash(before, row), record.hash):
                problems.append(f"Record {record.number} is not as it was written.")
            is_found = is_found or record.hash == noted_head
            before, expected, records = record.hash, record.number + 1, records + 1
        if not is_found:
            problems.append("The head that was noted is not in the trail: its end was cut off.")
        return TrailReport(records, "" if before == START else before, tuple(problems))

    def export_csv(self) -> Iterator[str]:
        """Stream the trail as CSV in which no cell is taken for a formula."""
        yield _csv_line(COLUMNS)
        for record in self.list_all():
            yield _csv_line([str(getattr(record, name)) for name in COLUMNS])

    def export_json_lines(self) -> Iterator[str]:
        """Stream the trail as one JSON object a line."""
        for record in self.list_all():
            yield orjson.dumps(record.to_json()).decode() + "\n"


def _hash(before: str, row: Mapping[str, Any]) -> str:
    content = {name: row[name] for name in COLUMNS if name != "hash"}
    data = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(bytes.fromhex(before) + data).hexdigest()


def line(text: str) -> str:
    """Return one printable line, however hostile the text: nobody forges a second record."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)[:_LONGEST]


def _csv_line(cells: Iterator[str] | list[str] | tuple[str, ...]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(
        [f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells]
    )
    return buffer.getvalue()
