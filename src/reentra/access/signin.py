"""Signing in: with name, password and code; with a session's secret; with a token."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from reentra import clock as clocks
from reentra import errors
from reentra.access import passwords
from reentra.access.attempts import Attempts, network_of
from reentra.access.audit import Actor, AuditTrail, Entry, Via
from reentra.access.people import People, Person, folded_name, load_person
from reentra.access.roles import EVERY_TENANT, Grants, Permission, is_allowed, role_for
from reentra.access.sessions import FRESH_MINUTES, Sessions
from reentra.access.tokens import Tokens
from reentra.database import Database
from reentra.database.tables_access import PERSON

TOLD_SECONDS = 60  # how often the same denied token is told from the same network
MOST_TOLD = 100  # how many different ones in that time


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who has shown who they are, and what they may do."""

    person: Person
    grants: Grants
    actor: Actor
    is_fresh: bool = False

    def is_allowed(self, permission: Permission, tenant: str = EVERY_TENANT) -> bool:
        return is_allowed(self.grants, permission, tenant)

    def sees(self, tenant: str) -> bool:
        """Tell whether a tenant exists as far as this person is concerned."""
        return role_for(self.grants, tenant) is not None

    def ensure_in_person(self) -> None:
        """Let pass who signed in themselves: a token must never make another way in.

        Raises: ``errors.NotAllowed``.
        """
        if self.actor.via is not Via.SESSION:
            raise errors.NotAllowed(
                "A token cannot do this.", hint="Sign in as a person, and do it then."
            )

    def ensure_fresh(self) -> None:
        """Let pass who showed who they are in the last minutes: a session may be somebody else's.

        Tokens pass: what a token may not do at all is refused elsewhere.
        Raises: ``errors.FreshSignInNeeded``.
        """
        if self.actor.via is Via.SESSION and not self.is_fresh:
            raise errors.FreshSignInNeeded(
                f"This wants a sign-in of the last {FRESH_MINUTES} minutes; nothing was done."
            )

    def ensure(self, permission: Permission, tenant: str = EVERY_TENANT) -> None:
        """Let pass what is allowed.

        Raises: ``errors.NotAllowed``; ``errors.NotFound`` for a tenant they may not even know of.
        """
        if self.is_allowed(permission, tenant):
            return
        if tenant != EVERY_TENANT and not self.sees(tenant):
            raise errors.NotFound(
                f"No tenant is connected as {tenant!r}.",
                hint="Look in the list of tenants.",
                typed="reentra tenant list",
            )
        where = "" if tenant == EVERY_TENANT else f" on {tenant}"
        raise errors.NotAllowed(f"{self.person.name} may not do this{where} ({permission.value}).")


class SignIn:
    """Turns what somebody shows into an ``Identity``."""

    __slots__ = (
        "_attempts",
        "_clock",
        "_database",
        "_is_provider_believed",
        "_lock",
        "_people",
        "_sessions",
        "_tokens",
        "_told",
        "_trail",
    )

    def __init__(
        self,
        database: Database,
        people: People,
        sessions: Sessions,
        tokens: Tokens,
        attempts: Attempts,
        trail: AuditTrail,
        is_provider_believed: Callable[[], bool],
        clock: clocks.Clock,
    ) -> None:
        self._database = database
        self._people = people
        self._sessions = sessions
        self._tokens = tokens
        self._attempts = attempts
        self._trail = trail
        self._is_provider_believed = is_provider_believed
        self._clock = clock
        self._lock = threading.Lock()
        self._told: dict[tuple[str, str], dt.datetime] = {}

    def by_password(self, name: str, password: str, code: str, address: str) -> tuple[Person, str]:
        """Return who signed in and the secret of their new session.

        Whatever is wrong, the answer and the time it takes are the same.
        Raises: ``errors.NotSignedIn``, ``errors.TooManyAttempts``.
        """
        self._attempts.begin(name, address)
        stored, found = self._load(name)
        is_good = passwords.is_right(password[: passwords.LONGEST + 1], stored)
        if is_good and found is not None:
            is_good = not found.is_disabled and self._people.use_code(found.id, code, address)
        if not is_good or found is None:
            shown = found.name if found is not None else "unknown"
            actor = Actor(Via.NOBODY, shown, address=address)
            self._trail.record(actor, Entry("session.open", target=shown, result="denied"))
            raise errors.NotSignedIn(
                "Name, password or one-time code is wrong.",
                hint="Check all three; the code is needed if the account has a second factor.",
            )
        self._attempts.succeed(name, address)
        return found, self.open_session(found, address)

    def confirm(self, identity: Identity, secret: str, password: str, code: str) -> str:
        """Return the secret of a fresh session in place of the one that is named by ``secret``.

        Raises: ``errors.FreshSignInNeeded`` when what is shown is wrong, or they sign in elsewhere;
        ``errors.TooManyAttempts``.
        """
        if identity.person.is_external:
            raise errors.FreshSignInNeeded(
                f"{identity.person.name} signs in with the identity provider.",
                hint="Sign in there anew: /api/v1/session/oidc?fresh=true.",
            )
        try:
            _, fresh = self.by_password(
                identity.person.name, password, code, identity.actor.address
            )
        except errors.NotSignedIn as failure:
            # The session is as good as it was: this is not for whoever handles its end.
            raise errors.FreshSignInNeeded(
                "The password or the one-time code is wrong.", hint="Check both and try again."
            ) from failure
        self._sessions.end(secret)
        return fresh

    def open_session(
        self, person: Person, address: str, proved_at: dt.datetime | None = None
    ) -> str:
        """Return the secret of a new session for somebody who has shown who they are."""
        secret = self._sessions.open(person.id, address, proved_at)
        actor = Actor(Via.SESSION, person.name, person.id, address)
        self._trail.record(actor, Entry("session.open", target=person.name))
        return secret

    def by_session(self, secret: str, address: str) -> Identity | None:
        """Return whose session a cookie names, or ``None``."""
        found = self._sessions.load(secret)
        if found is None:
            return None
        person = found.person
        if person.is_external and not self._is_provider_believed():
            return None
        actor = Actor(Via.SESSION, person.name, person.id, address)
        return Identity(person, person.grants, actor, found.is_fresh)

    def by_token(self, secret: str, address: str) -> Identity | None:
        """Return for whom a token acts, or ``None``; failures count against the address.

        Raises: ``errors.TooManyAttempts``.
        """
        self._attempts.ensure_open(address)
        found = self._tokens.load(secret)
        if found is None:
            self._tell_denied(secret, address)
            self._attempts.begin("", address)
            return None
        token, person, grants = found
        if person.is_external and not self._is_provider_believed():
            self._tell_denied(secret, address)
            return None
        actor = Actor(Via.TOKEN, f"{person.name} ({token.name})", person.id, address)
        return Identity(person, grants, actor)

    def _tell_denied(self, secret: str, address: str) -> None:
        """Record a token that was not good: each from each network once a minute, not each time."""
        found = self._tokens.find_void(secret)
        who, target, why = ("unknown", "unknown", "never given out")
        if found is not None:
            who, target, why = found[0].person, found[0].id, found[1]
        key, now = (target, network_of(address)), self._clock.now()
        with self._lock:
            recent = now - dt.timedelta(seconds=TOLD_SECONDS)
            self._told = {known: at for known, at in self._told.items() if at > recent}
            if len(self._told) >= MOST_TOLD:
                key = ("", "")  # so many at once are told as one
            if key in self._told:
                return
            self._told[key] = now
        entry = Entry("token.use", target=target, result="denied", detail={"why": why})
        self._trail.record(Actor(Via.NOBODY, who, address=address), entry)

    def end(self, secret: str, actor: Actor) -> None:
        """Sign out: the session is over at once."""
        self._sessions.end(secret)
        self._trail.record(actor, Entry("session.end", target=actor.name))

    def end_one(self, session_id: str, identity: Identity) -> None:
        """End one of somebody's own sessions.

        Raises: ``errors.NotFound``, for somebody else's too.
        """
        if not self._sessions.end_listed(identity.person.id, session_id):
            raise errors.NotFound(
                f"You have no session {session_id!r}.", hint="It may have ended; look again."
            )
        detail = {"sessions": 1, "id": session_id}
        entry = Entry("session.end", target=identity.person.name, detail=detail)
        self._trail.record(identity.actor, entry)

    def end_others(self, secret: str, identity: Identity) -> int:
        """End all of somebody's own sessions but the one that ``secret`` names; tell how many."""
        ended = self._sessions.end_others(identity.person.id, secret)
        entry = Entry("session.end", target=identity.person.name, detail={"sessions": ended})
        self._trail.record(identity.actor, entry)
        return ended

    def _load(self, name: str) -> tuple[str, Person | None]:
        query = sa.select(PERSON.c.id, PERSON.c.password).where(
            PERSON.c.name == folded_name(name), PERSON.c.external.is_(None)
        )
        with self._database.reading() as connection:
            row = connection.execute(query).first()
            return ("", None) if row is None else (row.password, load_person(connection, row.id))
