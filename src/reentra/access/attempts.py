"""How often somebody may guess, by account and by address; counted before the guess is read.

An IPv6 address counts as its network of 64 bits: whoever has one address has all of those.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
from collections.abc import Mapping

import sqlalchemy as sa

from reentra import clock as clocks
from reentra import errors
from reentra.access.locks import Lock, hold
from reentra.access.moments import stored_time
from reentra.access.people import folded_name
from reentra.database import Database
from reentra.database.tables_access import ATTEMPT

PER_ACCOUNT = 5  # free guesses; each one more has to wait twice as long as the last
PER_ADDRESS = 30
FLOWS_PER_ADDRESS = 30  # begun at the identity provider, and not come back yet
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
        limits = {_address(address): PER_ADDRESS}
        if account:
            limits[_account(account)] = PER_ACCOUNT
        self._count(limits)

    def begin_flow(self, address: str) -> None:
        """Count a sign-in that is begun at the identity provider, until it comes back.

        Raises: ``errors.TooManyAttempts``.
        """
        self._count({_flow(address): FLOWS_PER_ADDRESS})

    def _count(self, limits: Mapping[str, int]) -> None:
        now = self._clock.now()
        with self._database.writing() as connection:
            hold(connection, Lock.ATTEMPTS)
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
        self._uncount(_address(address), forgotten=_account(account))

    def succeed_flow(self, address: str) -> None:
        """Take a sign-in that came back from the identity provider off the address's."""
        self._uncount(_flow(address))
        self._uncount(_address(address))

    def _uncount(self, subject: str, forgotten: str = "") -> None:
        with self._database.writing() as connection:
            hold(connection, Lock.ATTEMPTS)
            connection.execute(sa.delete(ATTEMPT).where(ATTEMPT.c.subject == forgotten))
            connection.execute(
                sa.update(ATTEMPT)
                .where(ATTEMPT.c.subject == subject, ATTEMPT.c.tries > 0)
                .values(tries=ATTEMPT.c.tries - 1)
            )


def _wait_seconds(count: int, free: int) -> int:
    if count < free:
        return 0
    return int(min(FIRST_WAIT_SECONDS * 2 ** min(count - free, 16), LONGEST_WAIT_SECONDS))


def _account(name: str) -> str:
    return "account:" + hashlib.sha256(folded_name(name).encode()).hexdigest()


def _address(address: str) -> str:
    return f"address:{network_of(address)}"


def _flow(address: str) -> str:
    return f"flow:{network_of(address)}"


def network_of(address: str) -> str:
    """Return what one guesser has: an IPv4 address, or the 64 bits of an IPv6 network."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
