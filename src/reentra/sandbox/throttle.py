"""Graph's limits: resource units, the write quota, and one Conditional Access request a second.

https://learn.microsoft.com/graph/throttling-limits
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

# Resource units of the token bucket per app and tenant in ten seconds, by the number of users.
RU_WINDOW_SECONDS = 10.0
RU_SMALL_TENANT = 3_500  # fewer than 50 users
RU_MEDIUM_TENANT = 5_000  # 50 to 500
RU_LARGE_TENANT = 8_000  # more than 500
WRITE_WINDOW_SECONDS = 150.0
WRITES_PER_WINDOW = 3_000
TENANT_WRITE_WINDOW_SECONDS = 300.0
TENANT_WRITES_PER_WINDOW = 18_000
KEY_READS_PER_MINUTE = 150
CONDITIONAL_ACCESS_SPACING_SECONDS = 1.0
SHOW_PERCENTAGE_FROM = 0.8

# Base costs that differ from 1, by method and path after the version.
_COSTS: tuple[tuple[str, re.Pattern[str], int], ...] = tuple(
    (method, re.compile(pattern, re.IGNORECASE), cost)
    for method, pattern, cost in (
        ("GET", r"^/applications/[^/]+/extensionProperties$", 2),
        ("GET", r"^/applications$", 2),
        ("GET", r"^/contracts$", 3),
        ("POST", r"/getByIds$", 5),
        ("GET", r"^/domains/[^/]+/domainNameReferences$", 4),
        ("GET", r"^/groups/[^/]+/members(/|$)", 3),
        ("GET", r"^/groups/[^/]+/transitiveMembers(/|$)", 5),
        ("POST", r"/(isMemberOf|checkMemberGroups|checkMemberObjects)$", 4),
        ("POST", r"/(getMemberGroups|getMemberObjects)$", 2),
        ("GET", r"^/users/[^/]+/(licenseDetails|memberOf|ownedObjects|transitiveMemberOf)", 2),
        ("GET", r"^/groups/[^/]+/(memberOf|transitiveMemberOf)", 2),
        ("GET", r"^/oauth2PermissionGrants(/[^/]+)?$", 2),
        ("GET", r"^/servicePrincipals/[^/]+/appRoleAssignments$", 2),
        ("GET", r"^/subscribedSkus$", 3),
        ("GET", r"^/users(/delta(\(\))?)?$", 2),
        ("GET", r"^/applications/delta(\(\))?$", 2),
        ("GET", r"^/oauth2PermissionGrants/delta(\(\))?$", 2),
    )
)
_GET_BY_IDS_WITH_SELECT = 2
_QUESTIONS = ("/getbyids", "/getavailableextensionproperties")


def is_write(method: str, path: str) -> bool:
    """Tell whether a request counts as a write: some questions are asked by POST."""
    return method != "GET" and not path.lower().endswith(_QUESTIONS)


def resource_units(method: str, path: str, query: dict[str, str]) -> int:
    """Return what a request costs in resource units, at least 1."""
    cost = 1
    for wanted, pattern, units in _COSTS:
        if wanted == method and pattern.search(path):
            cost = units
            break
    if method == "POST" and "$select" in query and path.lower().endswith("/getbyids"):
        return _GET_BY_IDS_WITH_SELECT
    if "$select" in query:
        cost -= 1
    if "$expand" in query:
        cost += 1
    top = query.get("$top", "")
    if top.isdigit() and int(top) < 20:
        cost -= 1
    return max(cost, 1)


def is_conditional_access(path: str) -> bool:
    """Tell whether a path belongs to the service with one request a second."""
    lowered = path.lower()
    return lowered.startswith("/identity/conditionalaccess/")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may pass, and what its answer says about the limits."""

    allowed: bool
    units: int
    percentage: float | None = None
    retry_after_seconds: int | None = None
    scope: str = ""
    information: str = ""


@dataclass(slots=True)
class _Window:
    """A sliding window of costs."""

    length_seconds: float
    limit: float
    entries: deque[tuple[float, int]] = field(default_factory=deque)
    total: int = 0

    def drop_old(self, now: float) -> None:
        while self.entries and self.entries[0][0] <= now - self.length_seconds:
            self.total -= self.entries.popleft()[1]

    def wait_seconds(self, now: float, cost: int) -> float:
        """Return how long until the cost fits, 0 when it fits now."""
        self.drop_old(now)
        if self.total + cost <= self.limit or not self.entries:
            return 0.0
        excess = self.total + cost - self.limit
        freed = 0
        for at, entry_cost in self.entries:
            freed += entry_cost
            if freed >= excess:
                return max(at + self.length_seconds - now, 0.001)
        return self.length_seconds

    def add(self, now: float, cost: int) -> None:
        self.entries.append((now, cost))
        self.total += cost


class Throttle:
    """The limits of one tenant, for every app that calls it.

    ``factor`` scales every limit: 1 is Graph's own, 10 is ten times as generous, None is off.
    Times are monotonic seconds given by the caller.
    """

    def __init__(self, factor: float | None, user_count: int, tenant_id: str) -> None:
        self.factor = factor
        self._tenant_id = tenant_id
        self._user_count = user_count
        self._units: dict[str, _Window] = {}
        self._writes: dict[str, _Window] = {}
        self._tenant_writes = _Window(TENANT_WRITE_WINDOW_SECONDS, TENANT_WRITES_PER_WINDOW)
        self._key_reads = _Window(60.0, KEY_READS_PER_MINUTE)
        self._last_conditional_access = float("-inf")

    def unit_limit(self) -> int:
        """Return the resource units per ten seconds for a tenant of this size."""
        if self._user_count < 50:
            return RU_SMALL_TENANT
        return RU_MEDIUM_TENANT if self._user_count <= 500 else RU_LARGE_TENANT

    def admit(
        self, method: str, path: str, query: dict[str, str], client_id: str, now: float
    ) -> Verdict:
        """Decide about one request, and count it when it passes."""
        units = resource_units(method, path, query)
        if self.factor is None:
            return Verdict(True, units)
        factor = self.factor
        if is_conditional_access(path):
            if now - self._last_conditional_access < CONDITIONAL_ACCESS_SPACING_SECONDS / factor:
                return Verdict(False, units)
            self._last_conditional_access = now
            return Verdict(True, units)
        read = self._units.setdefault(client_id, _Window(RU_WINDOW_SECONDS, 0))
        read.limit = self.unit_limit() * factor
        windows: list[tuple[_Window, int, str, str]] = [
            (read, units, "ReadWrite", "ResourceUnitLimitExceeded")
        ]
        if is_write(method, path):
            write = self._writes.setdefault(client_id, _Window(WRITE_WINDOW_SECONDS, 0))
            write.limit = WRITES_PER_WINDOW * factor
            self._tenant_writes.limit = TENANT_WRITES_PER_WINDOW * factor
            windows.append((write, 1, "Write", "WriteLimitExceeded"))
            windows.append((self._tenant_writes, 1, "Write", "WriteLimitExceeded"))
        if method == "GET" and "keycredentials" in query.get("$select", "").lower():
            self._key_reads.limit = KEY_READS_PER_MINUTE * factor
            windows.append((self._key_reads, 1, "Read", "ResourceUnitLimitExceeded"))
        percentage = 0.0
        for window, cost, limit_name, information in windows:
            wait = window.wait_seconds(now, cost)
            if wait > 0:
                return Verdict(
                    False,
                    units,
                    percentage=round((window.total + cost) / window.limit, 2),
                    retry_after_seconds=max(1, int(wait + 0.999)),
                    scope=f"Tenant_Application/{limit_name}/{client_id}/{self._tenant_id}",
                    information=information,
                )
            percentage = max(percentage, (window.total + cost) / window.limit)
        for window, cost, _, _ in windows:
            window.add(now, cost)
        shown = round(percentage, 2) if percentage >= SHOW_PERCENTAGE_FROM else None
        return Verdict(True, units, percentage=shown)
