"""What a client has asked of Graph: counters for cost assertions, plans and reports."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field

from reentra.graph import addresses


@dataclass(slots=True)
class Usage:
    """What a client has asked of Graph so far. Thread-safe; read it with ``snapshot``."""

    requests: int = 0  # HTTP requests sent, repeats too
    repeats: int = 0
    batched: int = 0  # requests inside of batches
    writes: int = 0
    resource_units: float = 0.0
    waited_seconds: float = 0.0
    operations: dict[str, int] = field(default_factory=dict)  # "GET /users/{id}" -> times sent
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(
        self,
        *,
        operation: str = "",
        requests: int = 0,
        repeats: int = 0,
        batched: int = 0,
        writes: int = 0,
        resource_units: float = 0.0,
        waited_seconds: float = 0.0,
    ) -> None:
        with self._lock:
            self.requests += requests
            self.repeats += repeats
            self.batched += batched
            self.writes += writes
            self.resource_units += resource_units
            self.waited_seconds += waited_seconds
            if operation:
                self.operations[operation] = self.operations.get(operation, 0) + 1

    def count_part(self, method: str, path: str) -> None:
        """Count one request inside of a batch among the operations."""
        self.add(operation=operation_name(method, path))

    def snapshot(self) -> Usage:
        """Return a copy that no longer moves."""
        with self._lock:
            return Usage(
                self.requests,
                self.repeats,
                self.batched,
                self.writes,
                self.resource_units,
                self.waited_seconds,
                dict(self.operations),
            )


_ID = re.compile(
    r"(?<=/)(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[^/()]*@[^/()]*)(?=/|$)",
    re.IGNORECASE,
)
_KEY = re.compile(r"\([^)]*='[^)]*\)")


def operation_name(method: str, path: str) -> str:
    """Return ``path`` with ids replaced, for counting: ``GET /groups/{id}/members``."""
    plain = addresses.short_path(path)
    plain = "/" + plain.strip("/").removeprefix("v1.0/").removeprefix("beta/")
    return f"{method} {_KEY.sub('(key)', _ID.sub('{id}', plain))}"
