"""People: local accounts and those whom an identity provider vouches for, and their roles."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from reentra import clock as clocks
from reentra import errors
from reentra.access import audit, passwords, recovery, totp
from reentra.access.audit import Actor, Entry
from reentra.access.locks import Lock, hold
from reentra.access.moments import stored_time
from reentra.access.roles import EVERY_TENANT, Grants, Role
from reentra.access.vault import Vault
from reentra.database import Database
from reentra.database.tables_access import PERSON, PERSON_ROLE, SESSION, SETUP_LINK, TOKEN

LINK_HOURS = 24
_NAME = re.compile(r"[^\s\x00-\x1f\x7f<>\"'`\\]{1,128}")
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})
# Scripts with letters that look like one another's: unicode.org/reports/tr39.
_ALIKE = frozenset({"LATIN", "CYRILLIC", "GREEK", "COPTIC", "ARMENIAN", "CHEROKEE"})
_SECRET_BYTES = 32
_TOTP = "totp"
# Every request asks these: putting a question together takes longer than its answer.
_PERSON_OF = sa.select(PERSON).where(PERSON.c.id == sa.bindparam("person_id"))
_ROLES_OF = sa.select(PERSON_ROLE.c.tenant, PERSON_ROLE.c.role).where(
    PERSON_ROLE.c.person_id == sa.bindparam("person_id")
)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in. Holds no secret."""

    id: str
    name: str
    grants: Grants
    is_disabled: bool
    is_external: bool
    has_password: bool
    has_totp: bool
    created_at: str

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "roles": {tenant: role.value for tenant, role in sorted(self.grants.items())},
            "disabled": self.is_disabled,
            "external": self.is_external,
            "has_password": self.has_password,
            "second_factor": self.has_totp,
            "created_at": self.created_at,
        }


class People:
    """Reads and changes people. Every change is in the audit trail, in the same transaction."""

    __slots__ = ("_clock", "_database", "_vault")

    def __init__(self, database: Database, vault: Vault, clock: clocks.Clock) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock

    # Looking

    def list_people(self) -> list[Person]:
        """Return everybody, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(PERSON).order_by(PERSON.c.name)).mappings().all()
            return [_person(connection, row) for row in rows]

    def find(self, name: str) -> Person:
        """Return a person by name.

        Raises: ``NotFound``.
        """
        folded = folded_name(name)
        with self._database.reading() as connection:
            query = sa.select(PERSON).where(PERSON.c.name == folded)
            row = connection.execute(query).mappings().first()
            if row is None:
                raise _nobody(name)
            return _person(connection, row)

    def load(self, person_id: str) -> Person:
        """Return a person by id.

        Raises: ``NotFound``.
        """
        with self._database.reading() as connection:
            return _person(connection, _row(connection, person_id))

    def is_empty(self) -> bool:
        """Tell whether there is nobody at all."""
        with self._database.reading() as connection:
            return connection.execute(sa.select(PERSON.c.id).limit(1)).first() is None

    # Changing

    def add(self, actor: Actor, name: str, grants: Grants) -> tuple[Person, str]:
        """Add a local account; return it with the secret of its one-time set-up link.

        Raises: ``AlreadyExists``; ``UsageError`` for a name that cannot be one.
        """
        name = folded_name(name)
        if not _NAME.fullmatch(name) or _looks_like_another(name):
            raise errors.UsageError(
                f"{name!r} cannot be a person's name.",
                hint="Use up to 128 characters without spaces and quotes, letters of one script,"
                " and none that cannot be seen; an address is good.",
            )
        now = self._clock.now()
        person_id = clocks.new_id()
        with self._database.writing() as connection:
            hold(connection, Lock.PEOPLE)
            if connection.execute(sa.select(PERSON.c.id).where(PERSON.c.name == name)).first():
                raise errors.AlreadyExists(
                    f"There is a person {name} already.",
                    hint="Choose another name, or change that person's role.",
                )
            connection.execute(sa.insert(PERSON), _new_row(person_id, name, None, now))
            _write_grants(connection, person_id, grants)
            secret = self._write_link(connection, person_id)
            detail = {"roles": {tenant: role.value for tenant, role in grants.items()}}
            audit.append(connection, now, actor, Entry("people.add", target=name, detail=detail))
            return _person(connection, _row(connection, person_id)), secret

    def renew_link(self, actor: Actor, person_id: str) -> str:
        """Return the secret of a new set-up link; the ones before it are void.

        Raises: ``NotFound``; ``UsageError`` for who signs in elsewhere.
        """
        with self._database.writing() as connection:
            hold(connection, Lock.PEOPLE)
            row = _local_row(connection, person_id)
            secret = self._write_link(connection, row["id"])
            audit.append(
                connection, self._clock.now(), actor, Entry("people.link", target=row["name"])
            )
            return secret

    def set_up(self, secret: str, password: str, address: str) -> Person:
        """Redeem a set-up link: set the password, and end everything that was open before.

        Raises: ``UsageError`` for a link that is used, expired or made up, and for weak passwords;
        the link then stays good.
        """
        now = self._clock.now()
        with self._database.reading() as connection:
            row = connection.execute(
                sa.select(PERSON)
                .join(SETUP_LINK, SETUP_LINK.c.person_id == PERSON.c.id)
                .where(SETUP_LINK.c.hash == _hash(secret))
                .where(SETUP_LINK.c.expires_at > stored_time(now))
            ).mappings().first()  # fmt: skip
        if row is None or row["is_disabled"]:
            raise _void_link()
        passwords.ensure_strong(password, row["name"])
        made = passwords.hashed(password)
        with self._database.writing() as connection:
            used = connection.execute(
                sa.delete(SETUP_LINK).where(SETUP_LINK.c.hash == _hash(secret))
            )
            if used.rowcount != 1:
                raise _void_link()  # somebody else was faster
            _set_password(connection, row["id"], made)
            actor = Actor(audit.Via.NOBODY, row["name"], row["id"], address)
            audit.append(connection, now, actor, Entry("people.password", target=row["name"]))
            return _person(connection, _row(connection, row["id"]))

    def change_password(self, actor: Actor, person_id: str, old: str, new: str) -> None:
        """Change one's own password; every session of that person ends.

        Raises: ``UsageError`` for a wrong or weak password.
        """
        with self._database.reading() as connection:
            row = _local_row(connection, person_id)
        if not passwords.is_right(old, row["password"]):
            raise errors.UsageError(
                "The present password is not that one; nothing was changed.",
                hint="Who has forgotten it asks an administrator for a new set-up link.",
            )
        passwords.ensure_strong(new, row["name"])
        made = passwords.hashed(new)
        with self._database.writing() as connection:
            _set_password(connection, person_id, made)
            audit.append(
                connection, self._clock.now(), actor, Entry("people.password", target=row["name"])
            )

    def set_role(self, actor: Actor, person_id: str, tenant: str, role: Role | None) -> Person:
        """Give a person a role for a tenant (or all), or take it away.

        Raises: ``NotFound``; ``Refused`` when nobody could administer any more.
        """
        with self._database.writing() as connection:
            hold(connection, Lock.PEOPLE)
            row = _local_row(connection, person_id)
            connection.execute(
                sa.delete(PERSON_ROLE).where(
                    PERSON_ROLE.c.person_id == row["id"], PERSON_ROLE.c.tenant == tenant
                )
            )
            if role is not None:
                _write_grants(connection, row["id"], {tenant: role})
            _ensure_administered(connection)
            detail = {"role": role.value if role else "none"}
            entry = Entry("people.role", tenant=tenant, target=row["name"], detail=detail)
            audit.append(connection, self._clock.now(), actor, entry)
            return _person(connection, _row(connection, row["id"]))

    def set_disabled(self, actor: Actor, person_id: str, *, is_disabled: bool) -> Person:
        """Shut a person out at once, sessions and tokens included, or let them in again.

        Raises: ``NotFound``; ``Refused`` when nobody could administer any more.
        """
        with self._database.writing() as connection:
            hold(connection, Lock.PEOPLE)
            row = _row(connection, person_id)
            connection.execute(
                sa.update(PERSON)
                .where(PERSON.c.id == row["id"])
                .values(is_disabled=int(is_disabled))
            )
            if is_disabled:
                end_all(connection, row["id"])
                connection.execute(
                    sa.update(TOKEN)
                    .where(TOKEN.c.person_id == row["id"], TOKEN.c.revoked_at.is_(None))
                    .values(revoked_at=stored_time(self._clock.now()))
                )
                _ensure_administered(connection)
            action = "people.disable" if is_disabled else "people.enable"
            audit.append(connection, self._clock.now(), actor, Entry(action, target=row["name"]))
            return _person(connection, _row(connection, row["id"]))

    # The second factor

    def begin_totp(self, actor: Actor, person_id: str) -> tuple[str, str]:
        """Make a seed for one-time codes and return it with its name; a code confirms it.

        Raises: ``NotFound``; ``UsageError`` for who signs in elsewhere.
        """
        seed = totp.new_seed()
        sealed = self._vault.seal(_purpose(person_id), seed)
        with self._database.writing() as connection:
            row = _local_row(connection, person_id)
            connection.execute(
                sa.update(PERSON).where(PERSON.c.id == row["id"]).values(totp_pending=sealed)
            )
            entry = Entry("people.totp", target=row["name"], result="begun")
            audit.append(connection, self._clock.now(), actor, entry)
            return seed, str(row["name"])

    def confirm_totp(self, actor: Actor, person_id: str, code: str) -> list[str]:
        """Switch the second factor on with a code of the new seed; open sessions end.

        Returns recovery codes, to be shown this once.
        Raises: ``UsageError`` for a wrong code.
        """
        now = self._clock.now()
        with self._database.writing() as connection:
            row = _local_row(connection, person_id)
            step = None
            if row["totp_pending"]:
                seed = self._vault.open(_purpose(row["id"]), row["totp_pending"])
                step = totp.matching_step(seed, code, now, 0)
            if step is None:
                raise errors.UsageError(
                    "The code does not fit; the second factor is as it was.",
                    hint="Enter the six digits that the app shows now, and check its clock.",
                )
            connection.execute(
                sa.update(PERSON)
                .where(PERSON.c.id == row["id"])
                .values(totp=row["totp_pending"], totp_pending="", totp_step=step)
            )
            end_all(connection, row["id"])
            codes = recovery.renew(connection, row["id"])
            entry = Entry("people.totp", target=row["name"], result="on")
            audit.append(connection, now, actor, entry)
            return codes

    def renew_recovery_codes(self, actor: Actor, person_id: str) -> list[str]:
        """Return new recovery codes, to be shown this once; those before them are void.

        Raises: ``NotFound``; ``UsageError`` without a second factor.
        """
        with self._database.writing() as connection:
            row = _local_row(connection, person_id)
            if not row["totp"]:
                raise errors.UsageError(
                    f"{row['name']} has no second factor, so there is nothing to recover.",
                    hint="Switch one-time codes on first.",
                )
            codes = recovery.renew(connection, row["id"])
            entry = Entry("people.recovery", target=row["name"], result="renewed")
            audit.append(connection, self._clock.now(), actor, entry)
            return codes

    def drop_totp(self, actor: Actor, person_id: str) -> None:
        """Switch the second factor off; open sessions end."""
        with self._database.writing() as connection:
            row = _local_row(connection, person_id)
            connection.execute(
                sa.update(PERSON)
                .where(PERSON.c.id == row["id"])
                .values(totp="", totp_pending="", totp_step=0)
            )
            end_all(connection, row["id"])
            recovery.drop(connection, row["id"])
            entry = Entry("people.totp", target=row["name"], result="off")
            audit.append(connection, self._clock.now(), actor, entry)

    def use_code(self, person_id: str, code: str, address: str = "") -> bool:
        """Tell whether a one-time or recovery code fits, and use it up.

        Without a second factor all do.
        """
        now = self._clock.now()
        with self._database.writing() as connection:
            row = _row(connection, person_id)
            if not row["totp"]:
                return True
            seed = self._vault.open(_purpose(row["id"]), row["totp"])
            step = totp.matching_step(seed, code, now, row["totp_step"])
            if step is None:
                left = recovery.use(connection, row["id"], code, now)
                if left is None:
                    return False
                actor = Actor(audit.Via.NOBODY, row["name"], row["id"], address)
                entry = Entry("people.recovery", target=row["name"], detail={"left": left})
                audit.append(connection, now, actor, entry)
                return True
            # By a condition: of two at the same moment with one code, one finds it used.
            used = connection.execute(
                sa.update(PERSON)
                .where(PERSON.c.id == person_id, PERSON.c.totp_step < step)
                .values(totp_step=step)
            )
            return used.rowcount == 1

    # Who comes from elsewhere

    def admit_external(self, external: str, name: str, grants: Grants, actor: Actor) -> Person:
        """Return the person whom an identity provider vouches for, with the roles it gives.

        Raises: ``Refused`` for one who is disabled here.
        """
        now = self._clock.now()
        with self._database.writing() as connection:
            hold(connection, Lock.PEOPLE)
            query = sa.select(PERSON).where(PERSON.c.external == external)
            row = connection.execute(query).mappings().first()
            if row is None:
                person_id = clocks.new_id()
                free = _free_name(connection, _seen(folded_name(name)) or external, person_id)
                connection.execute(sa.insert(PERSON), _new_row(person_id, free, external, now))
                row = _row(connection, person_id)
                audit.append(connection, now, actor, Entry("people.add", target=free))
            if row["is_disabled"]:
                raise errors.Refused(
                    f"{row['name']} is disabled here.", hint="An administrator can enable them."
                )
            before = _grants(connection, row["id"])
            if before != dict(grants):
                connection.execute(
                    sa.delete(PERSON_ROLE).where(PERSON_ROLE.c.person_id == row["id"])
                )
                _write_grants(connection, row["id"], grants)
                detail = {"roles": {tenant: role.value for tenant, role in grants.items()}}
                entry = Entry("people.role", target=row["name"], detail=detail)
                audit.append(connection, now, actor, entry)
            return _person(connection, _row(connection, row["id"]))

    def forget_external_roles(self, actor: Actor) -> None:
        """Take the roles of everybody from the provider; the next sign-in gives them anew."""
        outside = sa.select(PERSON.c.id).where(PERSON.c.external.is_not(None))
        with self._database.writing() as connection:
            hold(connection, Lock.PEOPLE)
            connection.execute(sa.delete(PERSON_ROLE).where(PERSON_ROLE.c.person_id.in_(outside)))
            entry = Entry("people.role", detail={"role": "none", "of": "the provider's people"})
            audit.append(connection, self._clock.now(), actor, entry)

    def _write_link(self, connection: sa.Connection, person_id: str) -> str:
        secret = clocks.new_secret(_SECRET_BYTES).hex()
        expires_at = self._clock.now() + dt.timedelta(hours=LINK_HOURS)
        connection.execute(sa.delete(SETUP_LINK).where(SETUP_LINK.c.person_id == person_id))
        connection.execute(
            sa.insert(SETUP_LINK),
            {
                "hash": _hash(secret),
                "person_id": person_id,
                "expires_at": stored_time(expires_at),
            },
        )
        return secret


def folded_name(name: str) -> str:
    """Return the form of a name in which two that mean the same are equal."""
    return unicodedata.normalize("NFKC", name.strip()).casefold()


def _seen(name: str) -> str:
    """Return a name without what nobody sees."""
    return "".join(one for one in name if unicodedata.category(one) not in _UNSEEN)


def _looks_like_another(name: str) -> bool:
    """Tell whether a name holds what cannot be seen, or letters of scripts that look alike."""
    words = {unicodedata.name(one, "").partition(" ")[0] for one in name if one.isalpha()}
    return _seen(name) != name or len(words & _ALIKE) > 1


def load_person(connection: sa.Connection, person_id: str) -> Person | None:
    """Return a person by id, or ``None``."""
    row = connection.execute(_PERSON_OF, {"person_id": person_id}).mappings().first()
    return None if row is None else _person(connection, row)


def end_all(connection: sa.Connection, person_id: str) -> None:
    """End every session of a person, in the caller's transaction."""
    connection.execute(sa.delete(SESSION).where(SESSION.c.person_id == person_id))


def _person(connection: sa.Connection, row: Mapping[str, Any] | sa.RowMapping) -> Person:
    return Person(
        id=row["id"],
        name=row["name"],
        grants=_grants(connection, row["id"]),
        is_disabled=bool(row["is_disabled"]),
        is_external=row["external"] is not None,
        has_password=bool(row["password"]),
        has_totp=bool(row["totp"]),
        created_at=row["created_at"],
    )


def _grants(connection: sa.Connection, person_id: str) -> dict[str, Role]:
    rows = connection.execute(_ROLES_OF, {"person_id": person_id})
    return {tenant: Role(role) for tenant, role in rows}


def _write_grants(connection: sa.Connection, person_id: str, grants: Grants) -> None:
    for tenant, role in grants.items():
        connection.execute(
            sa.insert(PERSON_ROLE),
            {"person_id": person_id, "tenant": tenant, "role": role.value},
        )


def _row(connection: sa.Connection, person_id: str) -> sa.RowMapping:
    # By id alone: names come from outside, and one may look like somebody else's id.
    query = sa.select(PERSON).where(PERSON.c.id == person_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise _nobody(person_id)
    return row


def _nobody(name: str) -> errors.NotFound:
    return errors.NotFound(
        f"There is no person {name!r}.",
        hint="Look in the list of people.",
        typed="reentra people list",
    )


def _local_row(connection: sa.Connection, person_id: str) -> sa.RowMapping:
    row = _row(connection, person_id)
    if row["external"] is not None:
        raise errors.UsageError(
            f"{row['name']} signs in with an identity provider, which decides this.",
            hint="Change their groups or app roles there, or disable them here.",
        )
    return row


def _ensure_administered(connection: sa.Connection) -> None:
    """Raise when no local account that is not disabled administers everything.

    Those from elsewhere do not count: they cannot come in while the provider is down.
    """
    query = (
        sa.select(PERSON.c.id)
        .join(PERSON_ROLE, PERSON_ROLE.c.person_id == PERSON.c.id)
        .where(PERSON.c.is_disabled == 0, PERSON.c.external.is_(None))
        .where(PERSON_ROLE.c.tenant == EVERY_TENANT)
        .where(PERSON_ROLE.c.role == Role.ADMINISTRATOR.value)
    )
    if connection.execute(query.limit(1)).first() is None:
        raise errors.Refused(
            "This would leave no local administrator of everything; nothing was changed.",
            hint="Make somebody else one first.",
        )


def _free_name(connection: sa.Connection, name: str, person_id: str) -> str:
    """Return the name, made different where a local account has it: it must never be taken over."""
    taken = connection.execute(sa.select(PERSON.c.id).where(PERSON.c.name == name)).first()
    return f"{name}#{person_id}" if taken else name


def _new_row(person_id: str, name: str, external: str | None, now: dt.datetime) -> dict[str, Any]:
    return {
        "id": person_id,
        "name": name,
        "password": "",
        "totp": "",
        "totp_pending": "",
        "totp_step": 0,
        "is_disabled": 0,
        "external": external,
        "created_at": stored_time(now),
    }


def _set_password(connection: sa.Connection, person_id: str, made: str) -> None:
    connection.execute(sa.update(PERSON).where(PERSON.c.id == person_id).values(password=made))
    end_all(connection, person_id)


def _purpose(person_id: str) -> str:
    return f"{_TOTP}:{person_id}"


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _void_link() -> errors.UsageError:
    return errors.UsageError(
        "This set-up link is not good: it was used, has expired, or was never given out.",
        hint="An administrator makes a new one.",
        typed="reentra people link NAME",
    )
