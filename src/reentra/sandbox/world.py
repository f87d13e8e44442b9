"""What one request sees: the tenant, the sandbox's options, the caller, and what the replica lags.

`World` is everything that outlives a request, `Call` one request on its way to a read or a write,
`Answer` what comes back before it is dressed as an HTTP response.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reentra.sandbox.faults import Fault, Faults
from reentra.sandbox.http import Request
from reentra.sandbox.paging import DEFAULT_PAGE, Results
from reentra.sandbox.tenant import Record, Tenant
from reentra.sandbox.throttle import Throttle, is_write
from reentra.sandbox.tokens import Caller, TokenService

_LOG_LENGTH = 20_000


@dataclass(slots=True)
class Options:
    """How faithful, strict or nasty the sandbox is; the defaults suit in-process tests.

    ``throttle`` is "off", "real", or a factor on Graph's limits. ``empty_pages`` puts an empty
    page with a link before each page. ``delta_replay`` repeats so many changes that an earlier
    round delivered.
    """

    throttle: str | float = "off"
    enforce_permissions: bool = True
    replication_delay_seconds: float = 0.0
    page_size: int = DEFAULT_PAGE
    delta_page_size: int = 200
    delta_member_slice: int = 500
    delta_replay: int = 0
    delta_token_lifetime_seconds: float = 7 * 24 * 3600.0
    empty_pages: bool = False
    latency_seconds: float = 0.0
    gzip: bool = False

    def throttle_factor(self) -> float | None:
        """Return the factor on Graph's limits, None for no limits.

        Raises:
            ValueError: neither "off" nor "real" nor a positive number.
        """
        if self.throttle == "off":
            return None
        factor = 1.0 if self.throttle == "real" else float(self.throttle)
        if factor <= 0:
            raise ValueError("throttle must be off, real, or a factor above 0")
        return factor


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One answered request, for the request log."""

    method: str
    path: str
    operation: str
    status: int
    units: int
    client_id: str
    in_batch: bool


@dataclass(slots=True)
class Counters:
    """What was asked of the sandbox so far."""

    requests: int = 0
    writes: int = 0
    units: int = 0
    throttled: int = 0
    unknown: int = 0
    bytes_sent: int = 0
    crashes: list[str] = field(default_factory=list)
    """Tracebacks of failures of the sandbox itself; each was answered with 500."""
    by_operation: Counter[str] = field(default_factory=Counter)
    by_status: Counter[int] = field(default_factory=Counter)
    log: deque[LogEntry] = field(default_factory=lambda: deque(maxlen=_LOG_LENGTH))

    def count(self, entry: LogEntry) -> None:
        self.requests += 1
        self.units += entry.units
        self.by_operation[entry.operation] += 1
        self.by_status[entry.status] += 1
        if is_write(entry.method, entry.operation) and 200 <= entry.status < 300 and entry.units:
            self.writes += 1
        if entry.status == 429:
            self.throttled += 1
        if entry.operation == UNKNOWN_OPERATION:
            self.unknown += 1
        self.log.append(entry)

    def reset(self) -> None:
        """Begin counting anew."""
        self.requests = self.writes = self.units = self.throttled = self.unknown = 0
        self.bytes_sent = 0
        self.crashes.clear()
        self.by_operation.clear()
        self.by_status.clear()
        self.log.clear()

    def to_json(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "writes": self.writes,
            "units": self.units,
            "throttled": self.throttled,
            "unknown": self.unknown,
            "bytes_sent": self.bytes_sent,
            "crashes": list(self.crashes),
            "by_operation": dict(self.by_operation),
            "by_status": {str(status): count for status, count in self.by_status.items()},
        }


UNKNOWN_OPERATION = "unknown"


@dataclass(slots=True)
class World:
    """Everything that outlives a request."""

    tenant: Tenant
    options: Options
    tokens: TokenService
    throttle: Throttle
    faults: Faults = field(default_factory=Faults)
    results: Results = field(default_factory=Results)
    counters: Counters = field(default_factory=Counters)
    withdrawn: dict[str, set[str]] = field(default_factory=dict)
    """Permissions withdrawn at run time, by client id; they stay in tokens issued before."""
    settled_at: float = 0.0
    """Clock seconds until which every write is replicated, whatever the delay says."""
    settled_seq: int = 0

    def settle(self) -> None:
        """Declare everything written so far replicated."""
        self.settled_at = self.tenant.clock.seconds()
        self.settled_seq = self.tenant.seq

    def roles_of(self, client_id: str) -> frozenset[str]:
        """Return the permissions a client holds now."""
        client = self.tokens.client(client_id)
        if client is None:
            return frozenset()
        return frozenset(client.roles - self.withdrawn.get(client.client_id, set()))

    def _lags(self, at: float) -> bool:
        delay = self.options.replication_delay_seconds
        if delay <= 0 or at <= self.settled_at:
            return False
        return self.tenant.clock.seconds() - at < delay

    def is_visible(self, record: Record) -> bool:
        """Tell whether a record has reached the replica that answers."""
        return not self._lags(record.born_at)

    def visible(self, records: Iterable[Record]) -> list[Record]:
        """Return the records that have reached the replica, in order."""
        if self.options.replication_delay_seconds <= 0:
            return list(records)
        return [record for record in records if self.is_visible(record)]

    def visible_seq(self, entries: Iterable[tuple[int, float]], last: int) -> int:
        """Return the change-log position the replica has reached, given (seq, at) pairs."""
        if self.options.replication_delay_seconds <= 0:
            return last
        for seq, at in entries:
            if self._lags(at):
                return seq - 1
        return last

    def props(self, record: Record, *, stale: bool = False) -> Mapping[str, Any]:
        """Return the properties as the replica that answers knows them."""
        if record.previous is not None and (stale or self._lags(record.written_at)):
            return record.previous
        return record.props

    def is_stale(self, record: Record, *, stale: bool = False) -> bool:
        """Tell whether `props` gives something older than the record."""
        return record.previous is not None and (stale or self._lags(record.written_at))


@dataclass(slots=True)
class Call:
    """One Graph request, its path taken apart.

    ``path`` is decoded and without the version; ``segments`` are without casts and without a
    trailing $count or, for reads, $ref.
    """

    world: World
    request: Request
    method: str
    path: str
    segments: tuple[str, ...]
    query: dict[str, str]
    headers: Mapping[str, str]
    params: dict[str, str] = field(default_factory=dict)
    cast: str | None = None
    wants_count: bool = False
    wants_refs: bool = False
    caller: Caller | None = None
    roles: frozenset[str] = frozenset()
    body: Any = None
    fault: Fault | None = None
    stale: bool = False
    operation: str = UNKNOWN_OPERATION
    units: int = 0
    percentage: float | None = None
    request_id: str = ""

    @property
    def tenant(self) -> Tenant:
        return self.world.tenant

    @property
    def root_url(self) -> str:
        """The service root as the client addressed it, with the version."""
        return f"{self.request.base_url}/v1.0"

    @property
    def is_eventual(self) -> bool:
        """Whether the client accepts eventual consistency, as advanced queries require."""
        return self.headers.get("consistencylevel", "").lower() == "eventual"

    def prefers(self, name: str) -> bool:
        """Tell whether a Prefer header holds a preference, written ``name`` or ``name=value``."""
        stated = self.headers.get("prefer", "").lower().replace(" ", "")
        return name.lower() in stated.replace(";", ",").split(",")


@dataclass(slots=True)
class Answer:
    """A result before it is dressed: bytes of JSON, plain text, or nothing."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = ""
