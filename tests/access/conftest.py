"""The access database on SQLite and on PostgreSQL, with a clock that is set by hand."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from reentra.access import EVERY_TENANT, Access, Actor, Person, Role, Via, passwords
from reentra.access.vault import Vault
from reentra.database import Part, database_url, open_database
from reentra.database.tables_access import PERSON, PERSON_ROLE

POSTGRES = os.environ.get("REENTRA_TEST_POSTGRES", "")
ADMIN = Actor(Via.COMMAND, "root", address="console")
REAL_COST = (passwords.MEMORY_KIB, passwords.PASSES, passwords.LANES)
PASSWORD = "seven grey lamps at dawn"


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.moment = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)

    def now(self) -> dt.datetime:
        return self.moment

    def monotonic_seconds(self) -> float:
        return self.moment.timestamp()

    def sleep(self, seconds: float) -> None:
        self.pass_seconds(seconds)

    def pass_seconds(self, seconds: float) -> None:
        self.moment += dt.timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MEMORY_KIB", 64)
    monkeypatch.setattr(passwords, "PASSES", 1)
    passwords._nobodys.cache_clear()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def access(request: pytest.FixtureRequest, tmp_path: Path, clock: HandClock) -> Iterator[Access]:
    if request.param == "postgresql" and not POSTGRES:
        pytest.skip("REENTRA_TEST_POSTGRES names no PostgreSQL database")
    setting = POSTGRES if request.param == "postgresql" else ""
    database = open_database(database_url(setting, tmp_path, Part.ACCESS), Part.ACCESS)
    if setting:
        database.start_over()
    yield Access(database, Vault(lambda: b"k" * 32), clock)
    database.dispose()


def person(access: Access, name: str, role: Role, tenant: str = EVERY_TENANT) -> Person:
    """Add somebody who has set their password already."""
    _, secret = access.people.add(ADMIN, name, {tenant: role})
    return access.people.set_up(secret, PASSWORD, "192.0.2.1")


def add_of_old(access: Access, *actors: Actor) -> None:
    """Add the people behind some actors as administrators whom nobody added lately."""
    rows = [
        {"id": one.id, "name": f"{one.name}-of-old", "password": "", "totp": "", "totp_pending": "",
         "totp_step": 0, "is_disabled": 0, "external": None, "created_at": "2026-01-01"}
        for one in actors
    ]  # fmt: skip
    with access.database.writing() as connection:
        connection.execute(sa.insert(PERSON), rows)
        connection.execute(
            sa.insert(PERSON_ROLE),
            [{"person_id": one["id"], "tenant": "*", "role": "administrator"} for one in rows],
        )


@pytest.fixture
def adele(access: Access) -> Person:
    return person(access, "adele", Role.ADMINISTRATOR)
