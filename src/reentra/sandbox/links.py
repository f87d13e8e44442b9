"""The links between records, by relationship, followed from either end.

A link is a pair of ids with the change-log position at which it was made. Memory decides the
form: two million links take about 150 MB.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from sys import intern

from reentra.sandbox.records import NAVIGATIONS


class Links:
    """Every link of a tenant. It knows ids only, not whether their objects are live."""

    def __init__(self) -> None:
        self._forward: dict[str, dict[str, dict[str, int]]] = {nav: {} for nav in NAVIGATIONS}
        self._reverse: dict[str, dict[str, dict[str, int]]] = {nav: {} for nav in NAVIGATIONS}

    def add(self, nav: str, source_id: str, target_id: str, seq: int) -> None:
        """Add a link that is not there."""
        source_id, target_id = intern(source_id), intern(target_id)
        self._forward[nav].setdefault(source_id, {})[target_id] = seq
        self._reverse[nav].setdefault(target_id, {})[source_id] = seq

    def add_bulk(self, nav: str, source_id: str, target_ids: Iterable[str], seq: int) -> None:
        """Add many links of one source; the ids should be the very strings of the records."""
        source_id = intern(source_id)
        forward = self._forward[nav].setdefault(source_id, {})
        reverse = self._reverse[nav]
        for target_id in target_ids:
            forward[target_id] = seq
            sources = reverse.get(target_id)
            if sources is None:
                reverse[target_id] = {source_id: seq}
            else:
                sources[source_id] = seq

    def drop(self, nav: str, source_id: str, target_id: str) -> None:
        """Remove a link, if it is there."""
        for side, one, other in (
            (self._forward[nav], source_id, target_id),
            (self._reverse[nav], target_id, source_id),
        ):
            found = side.get(one)
            if found is not None:
                found.pop(other, None)
                if not found:
                    del side[one]

    def seq(self, nav: str, source_id: str, target_id: str) -> int | None:
        """Return the log position at which a link was made, or None when there is none."""
        found = self._forward[nav].get(source_id)
        return None if found is None else found.get(target_id)

    def targets(self, nav: str, source_id: str) -> list[str]:
        """Return the ids that an object links to, in the order in which they were linked."""
        return list(self._forward[nav].get(source_id, ()))

    def sources(self, nav: str, target_id: str) -> list[str]:
        """Return the ids that link to an object."""
        return list(self._reverse[nav].get(target_id, ()))

    def count(self, nav: str, source_id: str) -> int:
        """Return how many links an object has."""
        return len(self._forward[nav].get(source_id, ()))

    def all(self) -> Iterator[tuple[str, str, dict[str, int]]]:
        """Yield every relationship and source with its targets."""
        for nav, by_source in self._forward.items():
            for source_id, targets in by_source.items():
                yield nav, source_id, targets
