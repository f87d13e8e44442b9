"""The sandbox's own time and its own source of ids.

Nothing else in the sandbox reads the time or makes an id, so a test can move thirty days ahead,
and a seed always yields the same tenant.
"""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime, timedelta


def timestamp(moment: datetime) -> str:
    """Return a moment as Graph writes it: UTC, whole seconds, ending in Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Clock:
    """Time that runs with the machine's clock, or stands still until moved.

    With ``start`` the clock stands still at that moment, which tests want; without it, it runs.
    Ids are a function of the seed and of how many were made before, and of nothing else.
    """

    __slots__ = ("_base", "_drawn", "_offset_seconds", "_seed")

    def __init__(self, start: datetime | None = None, seed: int = 0) -> None:
        self._base = start
        self._offset_seconds = 0.0
        self._seed = seed
        self._drawn = 0

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        if self._base is not None:
            return self._base + timedelta(seconds=self._offset_seconds)
        return datetime.now(UTC) + timedelta(seconds=self._offset_seconds)

    def seconds(self) -> float:
        """Return the present moment as seconds since 1970; cheaper than `now`."""
        if self._base is not None:
            return self._base.timestamp() + self._offset_seconds
        return time.time() + self._offset_seconds

    def monotonic_seconds(self) -> float:
        """Return seconds that run with the machine even where time stands still until moved."""
        return time.monotonic() + self._offset_seconds

    def advance(self, seconds: float) -> None:
        """Move time ahead."""
        self._offset_seconds += seconds

    def new_guid(self) -> str:
        """Return the next id of the seeded sequence, in the form of a random GUID."""
        self._drawn += 1
        digest = hashlib.blake2b(b"%d/%d" % (self._seed, self._drawn), digest_size=16).hexdigest()
        return (
            f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-"
            f"{'89ab'[int(digest[16], 16) & 3]}{digest[17:20]}-{digest[20:]}"
        )

    def new_secret(self) -> str:
        """Return the next secret of the seeded sequence, 40 characters."""
        self._drawn += 1
        digest = hashlib.blake2b(b"s%d/%d" % (self._seed, self._drawn), digest_size=20).hexdigest()
        return digest[:8] + "~" + digest[8:39]

    def to_json(self) -> dict[str, float | int | str | None]:
        """Return what `from_json` needs to go on with the same ids and the same time shift."""
        return {
            "base": self._base.isoformat() if self._base else None,
            "offset_seconds": self._offset_seconds,
            "seed": self._seed,
            "drawn": self._drawn,
        }

    @classmethod
    def from_json(cls, saved: dict[str, float | int | str | None]) -> Clock:
        """Return the clock that was saved."""
        base = saved["base"]
        clock = cls(datetime.fromisoformat(str(base)) if base else None, int(saved["seed"] or 0))
        clock._offset_seconds = float(saved["offset_seconds"] or 0)
        clock._drawn = int(saved["drawn"] or 0)
        return clock
