"""API tokens: for scripts. Shown once, stored hashed, for one tenant (or all) with one role."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from reentra import clock as clocks
from reentra import errors
from reentra.access import audit
from reentra.access.audit import Actor, Entry
from reentra.access.moments import stored_time
from reentra.access.people import Person, load_person
from reentra.access.roles import Grants, Role, narrowed, role_for
from reentra.database import Database
from reentra.database.tables_access import PERSON, TOKEN

PREFIX = "reentra_"
LONGEST_DAYS = 366
# Whoever is taken out of a group there does not sign in again, so their token learns it by ending.
LONGEST_EXTERNAL_DAYS = 7
_SECRET_BYTES = 32
_TOUCH_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; its secret is not."""

    id: str
    name: str
    person_id: str
    person: str
    tenant: str
    role: Role
    created_at: str
    expires_at: str
    revoked_at: str | None
    used_at: str | None

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "person": self.person,
            "tenant": self.tenant,
            "role": self.role.value,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "revoked_at": self.revoked_at,
            "used_at": self.used_at,
        }


class Tokens:
    """Makes, reads and revokes tokens."""

    __slots__ = ("_clock", "_database")

    def __init__(self, database: Database, clock: clocks.Clock) -> None:
        self._database = database
        self._clock = clock

    def create(
        self, actor: Actor, owner: Person, name: str, tenant: str, role: Role, days: int
    ) -> tuple[Token, str]:
        """Make a token that acts for ``owner``; return it with its secret, which is not kept.

        It never reaches further than its owner does at the time of use.
        Raises: ``UsageError``; ``Refused`` when the owner has no such role there.
        """
        longest = LONGEST_EXTERNAL_DAYS if owner.is_external else LONGEST_DAYS
        if not 1 <= days <= longest:
            raise errors.UsageError(
                f"A token of {owner.name} cannot be good for {days} days.",
                hint=f"Choose 1 to {longest}.",
            )
        if not 1 <= len(name) <= 100:
            raise errors.UsageError("A token needs a name of 1 to 100 characters.")
        held = role_for(owner.grants, tenant)
        if owner.is_disabled or held is None or narrowed(owner.grants, tenant, role) == {}:
            raise errors.Refused(f"{owner.name} has no role for {tenant}.", hint="Give one first.")
        if tuple(Role).index(role) > tuple(Role).index(held):
            raise errors.Refused(
                f"{owner.name} is {held} for {tenant}; a token cannot be {role}.",
                hint="Choose a lower role.",
            )
        now = self._clock.now()
        token_id = clocks.new_id(4)
        random = base64.urlsafe_b64encode(clocks.new_secret(_SECRET_BYTES)).decode().rstrip("=")
        secret = f"{PREFIX}{token_id}_{random}"
        row = {
            "id": token_id,
            "hash": _hash(secret),
            "name": name,
            "person_id": owner.id,
            "tenant": tenant,
            "role": role.value,
            "created_at": stored_time(now),
            "expires_at": stored_time(now + dt.timedelta(days=days)),
            "revoked_at": None,
            "used_at": None,
        }
        detail = {"role": role.value, "days": days, "person": owner.name, "name": name}
        with self._database.writing() as connection:
            connection.execute(sa.insert(TOKEN), row)
            entry = Entry("tokens.create", tenant, token_id, detail=detail)
            audit.append(connection, now, actor, entry)
        return self.find(token_id), secret

    def list_tokens(self, person_id: str | None = None) -> list[Token]:
        """Return the tokens of one person or of all, newest first."""
        query = _QUERY.order_by(TOKEN.c.created_at.desc())
        if person_id is not None:
            query = query.where(TOKEN.c.person_id == person_id)
        with self._database.reading() as connection:
            return [_token(row) for row in connection.execute(query).mappings()]

    def find(self, token_id: str) -> Token:
        """Return one token.

        Raises: ``NotFound``.
        """
        with self._database.reading() as connection:
            row = connection.execute(_QUERY.where(TOKEN.c.id == token_id)).mappings().first()
        if row is None:
            raise errors.NotFound(
                f"There is no token {token_id!r}.",
                hint="Look in the list of tokens.",
                typed="reentra tokens list",
            )
        return _token(row)

    def revoke(self, actor: Actor, token_id: str) -> Token:
        """Make a token void at once; harmless when it is.

        Raises: ``NotFound``.
        """
        found = self.find(token_id)
        now = self._clock.now()
        with self._database.writing() as connection:
            connection.execute(
                sa.update(TOKEN)
                .where(TOKEN.c.id == token_id, TOKEN.c.revoked_at.is_(None))
                .values(revoked_at=stored_time(now))
            )
            entry = Entry("tokens.revoke", found.tenant, token_id, detail={"name": found.name})
            audit.append(connection, now, actor, entry)
        return self.find(token_id)

    def find_void(self, secret: str) -> tuple[Token, str] | None:
        """Return a token that was given out and is not good any more, and why."""
        with self._database.reading() as connection:
            query = _QUERY.where(TOKEN.c.hash == _hash(secret))
            row = connection.execute(query).mappings().first()
        if row is None:
            return None
        if row["revoked_at"] is not None:
            return _token(row), "revoked"
        is_expired = row["expires_at"] <= stored_time(self._clock.now())
        return _token(row), "expired" if is_expired else "its person is shut out"

    def load(self, secret: str) -> tuple[Token, Person, Grants] | None:
        """Return a token that is good, whose it is, and what is allowed with it, or ``None``."""
        if not secret.startswith(PREFIX):
            return None
        now = stored_time(self._clock.now())
        with self._database.reading() as connection:
            row = connection.execute(
                _QUERY.where(TOKEN.c.hash == _hash(secret))
                .where(TOKEN.c.revoked_at.is_(None), TOKEN.c.expires_at > now)
            ).mappings().first()  # fmt: skip
            person = None if row is None else load_person(connection, row["person_id"])
        if row is None or person is None or person.is_disabled:
            return None
        stale = stored_time(self._clock.now() - dt.timedelta(seconds=_TOUCH_SECONDS))
        if row["used_at"] is None or row["used_at"] < stale:
            with self._database.writing() as connection:
                connection.execute(
                    sa.update(TOKEN).where(TOKEN.c.id == row["id"]).values(used_at=now)
                )
        token = _token(row)
        return token, person, narrowed(person.grants, token.tenant, token.role)


_QUERY = sa.select(TOKEN, PERSON.c.name.label("person")).join(
    PERSON, PERSON.c.id == TOKEN.c.person_id
)


def _token(row: sa.RowMapping) -> Token:
    return Token(
        id=row["id"],
        name=row["name"],
        person_id=row["person_id"],
        person=row["person"],
        tenant=row["tenant"],
        role=Role(row["role"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        used_at=row["used_at"],
    )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
