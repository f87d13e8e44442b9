"""How fast one application may ask one tenant: limits, buckets, and the pace of the process.

Limits and headers: learn.microsoft.com/graph/throttling and /graph/throttling-limits.
"""

from __future__ import annotations

import dataclasses
import enum
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reentra import clock as clocks
from reentra import progress
from reentra.graph import addresses

# --- limits -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limits:
    """What one application may ask of one tenant, and how patient it is.

    The defaults are Microsoft's published numbers. The resource units are those of the smallest
    tenant (3,500 in 10 s), because nobody tells us the size: a page of 999 users costs one unit,
    so that is no brake, and answers say by ``x-ms-throttle-limit-percentage`` when it is time to
    slow down. A 429 is honoured whatever stands here.
    """

    read_units: float = 3_500
    read_window_seconds: float = 10
    writes: float = 3_000
    write_window_seconds: float = 150
    conditional_access_requests: float = 1
    conditional_access_window_seconds: float = 1
    key_credential_requests: float = 150
    key_credential_window_seconds: float = 60
    slow_down_from_share: float = 0.8
    slow_down_seconds: float = 0.05  # least gap between requests at that share; grows with it
    backoff_first_seconds: float = 1
    backoff_most_seconds: float = 60
    max_waiting_seconds: float = 600  # waiting for 429s, per request
    max_failures: int = 6  # answers 5xx, lost answers and refused connections, per request
    max_down_seconds: float = 120  # nothing but failures, of all requests together

    def scaled(self, factor: float) -> Limits:
        """Return limits that allow ``factor`` times as much and wait as much less.

        For tests and the demo, whose Graph is on the same machine.
        """
        return dataclasses.replace(
            self,
            read_units=self.read_units * factor,
            writes=self.writes * factor,
            conditional_access_requests=self.conditional_access_requests * factor,
            key_credential_requests=self.key_credential_requests * factor,
            slow_down_seconds=self.slow_down_seconds / factor,
            backoff_first_seconds=self.backoff_first_seconds / factor,
            backoff_most_seconds=self.backoff_most_seconds / factor,
        )


DEFAULT_LIMITS = Limits()


class Scope(enum.Enum):
    """Which limit a request draws on."""

    READ = "read"
    WRITE = "write"
    CONDITIONAL_ACCESS = "conditional access"
    KEY_CREDENTIALS = "key credentials"


# Limited to one request a second for the whole tenant, all applications together, and answered
# without Retry-After (learn.microsoft.com/graph/throttling-limits).
_CONDITIONAL_ACCESS = re.compile(
    r"identity/conditionalaccess/(policies|namedlocations|deleteditems)", re.IGNORECASE
)


def scopes_of(method: str, url: str) -> tuple[Scope, ...]:
    """Return the limits that a request draws on, the narrowest first."""
    scopes: list[Scope] = []
    path, _, query = url.partition("?")
    if _CONDITIONAL_ACCESS.search(path):
        scopes.append(Scope.CONDITIONAL_ACCESS)
    if query and "keycredentials" in query.lower():
        scopes.append(Scope.KEY_CREDENTIALS)
    scopes.append(Scope.READ)
    if method != "GET":
        scopes.append(Scope.WRITE)
    return tuple(scopes)


# --- buckets ---------------------------------------------------------------------------------


class _Bucket:
    """A token bucket that lends: taking more than it holds tells how long to wait for it."""

    __slots__ = ("_capacity", "_level", "_per_second", "_read_at", "paused_until")

    def __init__(self, capacity: float, window_seconds: float, now: float) -> None:
        self._capacity = max(capacity, 1.0)
        self._per_second = capacity / window_seconds
        self._level = self._capacity
        self._read_at = now
        self.paused_until = now

    def take(self, amount: float, now: float) -> float:
        """Take ``amount`` and return the seconds until it is really there."""
        self._level = min(
            self._capacity, self._level + max(now - self._read_at, 0.0) * self._per_second
        )
        self._read_at = now
        self._level -= amount
        return 0.0 if self._level >= 0 else -self._level / self._per_second


class _Buckets:
    __slots__ = ("by_scope", "lock")

    def __init__(self, by_scope: dict[Scope, _Bucket]) -> None:
        self.by_scope = by_scope
        self.lock = threading.Lock()


class TenantThrottle:
    """The pace of one application in one tenant, shared by every job of the process.

    Thread-safe. Pauses that one request is told (Retry-After) hold for all that draw on the same
    limit. Get it from ``throttle_of``.
    """

    __slots__ = (
        "_app", "_down_since", "_failed_at", "_gap_seconds", "_gap_until", "_next_at", "_tenant",
        "clock", "limits",
    )  # fmt: skip

    def __init__(
        self,
        limits: Limits = DEFAULT_LIMITS,
        clock: clocks.Clock = clocks.SYSTEM,
        *,
        tenant_wide: _Buckets | None = None,
    ) -> None:
        self.limits = limits
        self.clock = clock
        now = clock.monotonic_seconds()
        self._app = _Buckets(
            {
                Scope.READ: _Bucket(limits.read_units, limits.read_window_seconds, now),
                Scope.WRITE: _Bucket(limits.writes, limits.write_window_seconds, now),
            }
        )
        self._tenant = tenant_wide or _tenant_wide_buckets(limits, now)
        self._down_since: float | None = None
        self._failed_at = now
        self._gap_seconds = 0.0
        self._gap_until = now
        self._next_at = now

    def wait_for_turn(
        self,
        scopes: Mapping[Scope, float],
        listener: progress.Listener = progress.ignore,
    ) -> float:
        """Wait until a request that costs so much of each scope may go; return the wait."""
        delay = self._reserve(scopes)
        waited = 0.0
        while delay > 0:
            if delay >= 1:
                listener(progress.Waiting("keeping to Microsoft Graph's limits", delay))
            self.clock.sleep(delay)
            waited += delay
            delay = self._pause_left(scopes)
        return waited

    def _reserve(self, scopes: Mapping[Scope, float]) -> float:
        now = self.clock.monotonic_seconds()
        delay = 0.0
        for buckets in (self._app, self._tenant):
            with buckets.lock:
                for scope, amount in scopes.items():
                    bucket = buckets.by_scope.get(scope)
                    if bucket is not None:
                        delay = max(delay, bucket.take(amount, now), bucket.paused_until - now)
        with self._app.lock:
            if now < self._gap_until:
                self._next_at = max(self._next_at + self._gap_seconds, now)
                delay = max(delay, self._next_at - now)
        return delay

    def _pause_left(self, scopes: Mapping[Scope, float]) -> float:
        now = self.clock.monotonic_seconds()
        left = 0.0
        for buckets in (self._app, self._tenant):
            with buckets.lock:
                for scope in scopes:
                    bucket = buckets.by_scope.get(scope)
                    if bucket is not None:
                        left = max(left, bucket.paused_until - now)
        # A few microseconds of rounding are no reason for another round.
        return left if left > 1e-4 else 0.0

    def settle(
        self, scopes: Mapping[Scope, float], units: float | None, headers: Mapping[str, str]
    ) -> None:
        """Take note of what a request really cost and how near to the limit Graph says we are."""
        now = self.clock.monotonic_seconds()
        share = number(header(headers, "x-ms-throttle-limit-percentage"))
        with self._app.lock:
            surplus = (units or 0.0) - scopes.get(Scope.READ, 0.0)
            if units is not None and surplus:
                self._app.by_scope[Scope.READ].take(surplus, now)
            if share is not None and share >= self.limits.slow_down_from_share:
                over = share - self.limits.slow_down_from_share
                self._gap_seconds = self.limits.slow_down_seconds * (1 + 10 * over)
                self._gap_until = now + self.limits.read_window_seconds
                self._next_at = max(self._next_at, now)

    def note_failure(self) -> float:
        """Take note of a 5xx, or of no answer; return for how many seconds there was nothing else.

        A failure long after the one before begins anew: nobody asked in between.
        """
        now = self.clock.monotonic_seconds()
        with self._app.lock:
            is_stale = now - self._failed_at > self.limits.max_down_seconds
            if self._down_since is None or is_stale:
                self._down_since = now
            self._failed_at = now
            return now - self._down_since

    def note_answer(self) -> None:
        """Take note that Graph answers."""
        self._down_since = None

    def pause(self, scopes: Sequence[Scope], seconds: float, headers: Mapping[str, str]) -> None:
        """Hold back everything that draws on the limit that was hit."""
        now = self.clock.monotonic_seconds()
        hit = _scope_hit(scopes, headers)
        for buckets in (self._app, self._tenant):
            with buckets.lock:
                bucket = buckets.by_scope.get(hit)
                if bucket is not None:
                    bucket.paused_until = max(bucket.paused_until, now + seconds)


def _tenant_wide_buckets(limits: Limits, now: float) -> _Buckets:
    return _Buckets(
        {
            Scope.CONDITIONAL_ACCESS: _Bucket(
                limits.conditional_access_requests, limits.conditional_access_window_seconds, now
            ),
            Scope.KEY_CREDENTIALS: _Bucket(
                limits.key_credential_requests, limits.key_credential_window_seconds, now
            ),
        }
    )


def _scope_hit(scopes: Sequence[Scope], headers: Mapping[str, str]) -> Scope:
    """Return the limit behind a 429: the header's word, else the narrowest one drawn on."""
    # Form: <Scope>/<Limit>/<ApplicationId>/<TenantId|UserId|ResourceId>
    parts = header(headers, "x-ms-throttle-scope").lower().split("/")
    information = header(headers, "x-ms-throttle-information").lower()
    if scopes and scopes[0] in (Scope.CONDITIONAL_ACCESS, Scope.KEY_CREDENTIALS):
        return scopes[0]
    if (len(parts) > 1 and parts[1] == "write") or "writelimit" in information:
        return Scope.WRITE
    return Scope.READ


_registry: dict[tuple[str, str, str, Limits], TenantThrottle] = {}
_tenants: dict[tuple[str, str, Limits], _Buckets] = {}
_registry_lock = threading.Lock()


def throttle_of(
    endpoint: str,
    tenant_id: str,
    client_id: str,
    limits: Limits = DEFAULT_LIMITS,
    clock: clocks.Clock = clocks.SYSTEM,
) -> TenantThrottle:
    """Return the one throttle of this process for an application in a tenant.

    Applications of the same tenant share the limits that Graph keeps for the whole tenant.
    """
    tenant_key = ("/".join(map(str, addresses.origin(endpoint))), tenant_id.lower(), limits)
    key = (tenant_key[0], tenant_key[1], client_id.lower(), limits)
    with _registry_lock:
        if key not in _registry:
            shared = _tenants.setdefault(
                tenant_key, _tenant_wide_buckets(limits, clock.monotonic_seconds())
            )
            _registry[key] = TenantThrottle(limits, clock, tenant_wide=shared)
        return _registry[key]


def header(headers: Mapping[str, Any], name: str) -> str:
    """Return a header's value whatever its letter case, or ``""``."""
    value = headers.get(name)
    if value is None:
        lowered = name.lower()
        value = next((v for n, v in headers.items() if n.lower() == lowered), "")
    return str(value)


def number(text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
