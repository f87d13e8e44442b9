"""Sessions on the server's side: a random secret in a cookie, its hash and its times here."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from reentra import clock as clocks
from reentra.access.moments import stored_time
from reentra.access.people import Person, load_person
from reentra.database import Database
from reentra.database.tables_access import PERSON, SESSION

IDLE_MINUTES = 30
LONGEST_HOURS = 12
FRESH_MINUTES = 15  # how long a sign-in is good for what is sensitive
_SECRET_BYTES = 32
_TOUCH_SECONDS = 60  # how stale ``seen_at`` may be: reading pages must not write each time
_IS_OVER = (SESSION.c.seen_at <= sa.bindparam("idle_since")) | (
    SESSION.c.created_at <= sa.bindparam("begun_before")
)
# Every request asks this: putting the question together would take longer than its answer.
_OPEN = sa.select(SESSION).where(SESSION.c.hash == sa.bindparam("hash"), ~_IS_OVER)


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Whose session it is, and whether they showed who they are in the last minutes."""

    person: Person
    is_fresh: bool


@dataclass(frozen=True, slots=True)
class ListedSession:
    """A session as its person sees it. ``id`` leads to nothing: it is no part of the secret."""

    id: str
    address: str
    created_at: str
    seen_at: str
    is_this: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "address": self.address,
            "created_at": self.created_at,
            "seen_at": self.seen_at,
            "is_this": self.is_this,
        }


class Sessions:
    """Opens, reads and ends sessions."""

    __slots__ = ("_clock", "_database")

    def __init__(self, database: Database, clock: clocks.Clock) -> None:
        self._database = database
        self._clock = clock

    def open(self, person_id: str, address: str, proved_at: dt.datetime | None = None) -> str:
        """Return the secret of a new session. There is none before sign-in, so none to be fixed.

        ``proved_at`` is when they showed who they are; now, where nobody knows better.
        """
        secret = base64.urlsafe_b64encode(clocks.new_secret(_SECRET_BYTES)).decode().rstrip("=")
        now = self._clock.now()
        with self._database.writing() as connection:
            connection.execute(sa.delete(SESSION).where(_IS_OVER), _borders(now))
            connection.execute(
                sa.insert(SESSION),
                {
                    "hash": _hash(secret),
                    "person_id": person_id,
                    "created_at": stored_time(now),
                    "seen_at": stored_time(now),
                    "address": address,
                    "proved_at": stored_time(now if proved_at is None else min(proved_at, now)),
                },
            )
        return secret

    def load(self, secret: str) -> OpenSession | None:
        """Return whose session it is, while it lasts, and let it last on.

        ``None`` for one that is idle too long, too old, ended, unknown, or of who is disabled.
        """
        now = self._clock.now()
        with self._database.reading() as connection:
            asked = {"hash": _hash(secret), **_borders(now)}
            row = connection.execute(_OPEN, asked).mappings().first()
            person = None if row is None else load_person(connection, row["person_id"])
        if row is None or person is None or person.is_disabled:
            return None
        if row["seen_at"] < stored_time(now - dt.timedelta(seconds=_TOUCH_SECONDS)):
            with self._database.writing() as connection:
                connection.execute(
                    sa.update(SESSION)
                    .where(SESSION.c.hash == row["hash"])
                    .values(seen_at=stored_time(now))
                )
        fresh_since = stored_time(now - dt.timedelta(minutes=FRESH_MINUTES))
        return OpenSession(person, is_fresh=row["proved_at"] > fresh_since)

    def end(self, secret: str) -> None:
        """End one session; harmless when there is none."""
        with self._database.writing() as connection:
            connection.execute(sa.delete(SESSION).where(SESSION.c.hash == _hash(secret)))

    def list_open(self, person_id: str, secret: str) -> list[ListedSession]:
        """Return a person's sessions that last, the one seen last first; ``secret`` names this."""
        query = (
            sa.select(SESSION)
            .where(SESSION.c.person_id == person_id, ~_IS_OVER)
            .order_by(SESSION.c.seen_at.desc(), SESSION.c.created_at.desc())
        )
        with self._database.reading() as connection:
            rows = connection.execute(query, _borders(self._clock.now())).mappings().all()
        return [
            ListedSession(
                _listed_id(row["hash"]), row["address"], row["created_at"], row["seen_at"],
                is_this=row["hash"] == _hash(secret),
            )
            for row in rows
        ]  # fmt: skip

    def end_listed(self, person_id: str, session_id: str) -> bool:
        """End one session of a person; tell whether there was one."""
        query = sa.select(SESSION.c.hash).where(SESSION.c.person_id == person_id)
        with self._database.writing() as connection:
            hashes = list(connection.execute(query).scalars())
            found = [one for one in hashes if _listed_id(one) == session_id]
            connection.execute(sa.delete(SESSION).where(SESSION.c.hash.in_(found)))
        return bool(found)

    def end_others(self, person_id: str, secret: str) -> int:
        """End every session of a person but the one that ``secret`` names; tell how many."""
        with self._database.writing() as connection:
            return connection.execute(
                sa.delete(SESSION)
                .where(SESSION.c.person_id == person_id, SESSION.c.hash != _hash(secret))
            ).rowcount  # fmt: skip

    def end_external(self) -> None:
        """End the sessions of everybody who came from an identity provider."""
        outside = sa.select(PERSON.c.id).where(PERSON.c.external.is_not(None))
        with self._database.writing() as connection:
            connection.execute(sa.delete(SESSION).where(SESSION.c.person_id.in_(outside)))


def csrf_token(secret: str) -> str:
    """Return the token that every changing request of a session must carry in a header.

    It follows from the session's secret and does not lead back to it.
    """
    return hashlib.sha256(b"csrf:" + secret.encode()).hexdigest()


def _borders(now: dt.datetime) -> dict[str, str]:
    """Return the values of ``_IS_OVER``."""
    return {
        "idle_since": stored_time(now - dt.timedelta(minutes=IDLE_MINUTES)),
        "begun_before": stored_time(now - dt.timedelta(hours=LONGEST_HOURS)),
    }


def _listed_id(stored: str) -> str:
    return hashlib.sha256(f"listed:{stored}".encode()).hexdigest()[:16]


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
