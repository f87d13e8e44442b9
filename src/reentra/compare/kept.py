"""Keeps what comparisons of two snapshots found: whoever pages through one asks again and again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping

from reentra.compare.changes import Comparison
from reentra.directory.state import TenantState

MOST_KEPT = 60_000  # objects and links of all comparisons together: some 30 MB


class KeptComparisons:
    """The comparisons that were asked for last, as many as there is room for. Safe for threads.

    A key names all that a result follows from: the tenant, both snapshots with the stamps of their
    manifests, and what was selected; snapshots never change. Nothing that belongs to a catalog is
    kept, which may be made anew meanwhile: a comparison reads from the states that are handed over.
    """

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[Mapping[str, str], Comparison]] = OrderedDict()

    def find(
        self,
        key: Hashable,
        identity: Mapping[str, str],
        before: TenantState,
        after: TenantState,
    ) -> Comparison | None:
        """Return the comparison that was kept under a key, made with the same new ids."""
        with self._lock:
            known = self._kept.get(key)
            if known is None:
                return None
            if known[0] != identity:
                del self._kept[key]
                return None
            self._kept.move_to_end(key)
        return known[1].again(before, after)

    def keep(self, key: Hashable, identity: Mapping[str, str], found: Comparison) -> None:
        """Keep a comparison, and let the oldest go for it; one that is too large is not kept."""
        if found.size > self._most:
            return
        with self._lock:
            self._kept[key] = (identity, found)
            self._kept.move_to_end(key)
            while sum(one.size for _, one in self._kept.values()) > self._most:
                self._kept.popitem(last=False)
