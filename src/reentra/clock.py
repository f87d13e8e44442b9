"""Time, sleep and randomness: the only module that reads them.

Everything else takes what it needs from here, so that tests can replace one ``Clock`` and so that
ruff can ban the originals everywhere else.
"""

from __future__ import annotations

import datetime as dt
import os
import random
import secrets
import time
import uuid
from typing import Protocol


class Clock(Protocol):
    """What code that waits or stamps needs."""

    def now(self) -> dt.datetime:
        """Return the present moment, aware, in UTC."""

    def monotonic_seconds(self) -> float:
        """Return a reading that never goes back; only differences mean something."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own clock."""

    __slots__ = ()

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    def monotonic_seconds(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)


SYSTEM = SystemClock()


def cpu_seconds() -> float:
    """Return the processor time that this process has used."""
    return time.process_time()


def iso(moment: dt.datetime) -> str:
    """Return ``moment`` as Graph writes it: UTC, ``Z``, microseconds only when there are any."""
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def parse_iso(text: str) -> dt.datetime:
    """Return the moment that ``text`` names; a time without a zone is taken as UTC.

    Raises: ``ValueError`` when it is no ISO 8601 date or time.
    """
    moment = dt.datetime.fromisoformat(text.strip())
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def new_id(length_bytes: int = 8) -> str:
    """Return a fresh random identifier in lower-case hexadecimal."""
    return secrets.token_hex(length_bytes)


def new_guid() -> str:
    """Return a fresh random GUID, for client-request-id headers."""
    return str(uuid.uuid4())


def new_secret(length_bytes: int) -> bytes:
    """Return fresh random bytes that are fit to be a key."""
    return os.urandom(length_bytes)


def jitter(seconds: float, share: float = 0.25) -> float:
    """Return ``seconds`` spread by plus or minus ``share``, so that waiters fall out of step."""
    return seconds * random.uniform(1 - share, 1 + share)  # noqa: S311  no secret depends on it
