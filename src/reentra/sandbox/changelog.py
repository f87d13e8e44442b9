"""The change log: what happened to the objects of each type, in order, for delta to read."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from operator import attrgetter

from reentra.sandbox.errors import LogTruncated
from reentra.sandbox.records import Change

_seq_of = attrgetter("seq")


class ChangeLog:
    """Entries by type, oldest first; ``floors`` is how far back each type's log reaches."""

    def __init__(self) -> None:
        self.floors: dict[str, int] = {}
        self._entries: dict[str, list[Change]] = {}

    def add(self, type_: str, change: Change) -> None:
        """Add the newest entry of a type."""
        self._entries.setdefault(type_, []).append(change)

    def since(self, type_: str, seq: int) -> list[Change]:
        """Return the entries of a type after a position.

        Raises:
            LogTruncated: the log does not reach back that far.
        """
        floor = self.floors.get(type_, 0)
        if seq < floor:
            raise LogTruncated(type_, seq, floor)
        entries = self._entries.get(type_, [])
        return entries[bisect_right(entries, seq, key=_seq_of) :]

    def truncate(self, type_: str, seq: int) -> None:
        """Forget the entries of a type; the log begins anew at a position."""
        self.floors[type_] = seq
        self._entries[type_] = []

    def all(self) -> Iterator[tuple[str, Change]]:
        """Yield every entry with its type."""
        for type_, entries in self._entries.items():
            for change in entries:
                yield type_, change
