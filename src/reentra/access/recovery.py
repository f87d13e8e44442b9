"""Recovery codes: eight, shown once, each in place of a one-time code when the device is lost."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib

import sqlalchemy as sa

from reentra import clock as clocks
from reentra.access.moments import stored_time
from reentra.database.tables_access import RECOVERY_CODE

COUNT = 8
_CODE_BYTES = 15  # 120 bits: long enough that a fast hash keeps it
_GROUP = 4


def renew(connection: sa.Connection, person_id: str) -> list[str]:
    """Return new codes of a person, in the caller's transaction; those before them are void."""
    drop(connection, person_id)
    codes = [_new_code() for _ in range(COUNT)]
    connection.execute(
        sa.insert(RECOVERY_CODE),
        [
            {"hash": _hash(person_id, code), "person_id": person_id, "used_at": None}
            for code in codes
        ],
    )
    return codes


def drop(connection: sa.Connection, person_id: str) -> None:
    """Make all codes of a person void, in the caller's transaction."""
    connection.execute(sa.delete(RECOVERY_CODE).where(RECOVERY_CODE.c.person_id == person_id))


def use(connection: sa.Connection, person_id: str, code: str, now: dt.datetime) -> int | None:
    """Use a code up, in the caller's transaction, and return how many are left.

    ``None`` for a wrong one.
    By a condition: of two at the same moment with one code, one finds it used.
    """
    used = connection.execute(
        sa.update(RECOVERY_CODE)
        .where(RECOVERY_CODE.c.person_id == person_id, RECOVERY_CODE.c.used_at.is_(None))
        .where(RECOVERY_CODE.c.hash == _hash(person_id, code))
        .values(used_at=stored_time(now))
    )
    if used.rowcount != 1:
        return None
    query = sa.select(sa.func.count()).select_from(RECOVERY_CODE)
    query = query.where(RECOVERY_CODE.c.person_id == person_id, RECOVERY_CODE.c.used_at.is_(None))
    return int(connection.execute(query).scalar_one())


def _new_code() -> str:
    text = base64.b32encode(clocks.new_secret(_CODE_BYTES)).decode().lower()
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))


def _hash(person_id: str, code: str) -> str:
    typed = "".join(c for c in code.casefold() if c.isalnum())
    return hashlib.sha256(f"{person_id}:{typed}".encode()).hexdigest()
