"""Locks for what must be looked at and then written by one at a time.

SQLite has one writer (``Database.writing`` begins with the lock), so there is nothing to do. On
PostgreSQL each is an advisory lock until the transaction's end. Whoever holds several takes them in
the order below, so that nobody waits in a circle. Source:
postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS.
"""

from __future__ import annotations

import enum

import sqlalchemy as sa


class Lock(enum.IntEnum):
    """What is locked; the number is the database's name for it, in no other use."""

    ATTEMPTS = 7236875
    PEOPLE = 7236876
    SETTINGS = 7236877
    APPROVALS = 7236878
    AUDIT = 7236874  # last: every change ends with its record


def hold(connection: sa.Connection, lock: Lock) -> None:
    """Wait for a lock and hold it until the caller's transaction, which may write, has ended."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({lock.value})"))
