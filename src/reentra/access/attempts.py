"""How often somebody may guess, by account and by address; counted before the guess is read."""

from __future__ import annotations

import datetime as dt
import hashlib

import sqlalchemy as sa

from reentra import clock as clocks
from reentra import errors
from reentra.access.moments import stored_time
from reentra.database import Database
from reentra.database.tables_access import ATTEMPT

PER_ACCOUNT = 5  # free guesses; each one more has to wait twice as long as the last
PER_ADDRESS = 30
FIRST_WAIT_SECONDS = 15
LONGEST_WAIT_SECONDS = 900
FORGOTTEN_AFTER_SECONDS = 3600


class Attempts:
    """Counts attempts. Names that nobody has are counted like others: they are not told apart."""

    __slots__ = ("_clock", "_database")

    def __init__(self, database: Database, clock: clocks.Clock) -> None:
        self._database = database
        self._clock = clock

    def begin(self, account: str, address: str) -> None:
        """Count an attempt, before it is known whether it will succeed.

        Raises: ``errors.TooManyAttempts``; the attempt is then not made.
        """
        now = self._clock.now()
        limits = {_account(account): PER_ACCOUNT, _address(address): PER_ADDRESS}
        if not account:
            del limits[_account(account)]
        with self._database.writing() as connection:
            found = {
                row.subject: row
                for row in connection.execute(
                    sa.select(ATTEMPT).where(ATTEMPT.c.subject.in_(list(limits)))
                )
            }
            counts = {}
            for subject, limit in limits.items():
                row = found.get(subject)
                count = 0
                if row is not None:
                    passed = (now - clocks.parse_iso(row.last_at)).total_seconds()
                    wait = _wait_seconds(row.tries, limit)
                    if passed < wait:
                        raise errors.TooManyAttempts(max(1, round(wait - passed)))
                    count = 0 if passed > FORGOTTEN_AFTER_SECONDS else row.tries
                counts[subject] = count + 1
            connection.execute(sa.delete(ATTEMPT).where(ATTEMPT.c.subject.in_(list(limits))))
            connection.execute(
                sa.delete(ATTEMPT).where(
                    ATTEMPT.c.last_at
                    < stored_time(now - dt.timedelta(seconds=FORGOTTEN_AFTER_SECONDS))
                )
            )
            connection.execute(
                sa.insert(ATTEMPT),
                [
                    {"subject": subject, "tries": count, "last_at": stored_time(now)}
                    for subject, count in counts.items()
                ],
            )

    def ensure_open(self, address: str) -> None:
        """Let pass an address that has not failed too often.

        Raises: ``errors.TooManyAttempts``.
        """
        query = sa.select(ATTEMPT).where(ATTEMPT.c.subject == _address(address))
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            return
        passed = (self._clock.now() - clocks.parse_iso(row.last_at)).total_seconds()
        wait = _wait_seconds(row.tries, PER_ADDRESS)
        if passed < wait:
            raise errors.TooManyAttempts(max(1, round(wait - passed)))

    def succeed(self, account: str, address: str) -> None:
        """Forget the account's failures, and take this one attempt off the address's."""
        with self._database.writing() as connection:
            connection.execute(sa.delete(ATTEMPT).where(ATTEMPT.c.subject == _account(account)))
            connection.execute(
                sa.update(ATTEMPT)
                .where(ATTEMPT.c.subject == _address(address), ATTEMPT.c.tries > 0)
                .values(tries=ATTEMPT.c.tries - 1)
            )


def _wait_seconds(count: int, free: int) -> int:
    if count < free:
        return 0
    return int(min(FIRST_WAIT_SECONDS * 2 ** min(count - free, 16), LONGEST_WAIT_SECONDS))


def _account(name: str) -> str:
    return "account:" + hashlib.sha256(name.strip().casefold().encode()).hexdigest()


def _address(address: str) -> str:
    return f"address:{address}"
