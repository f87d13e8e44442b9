"""Scripted faults: what shall go wrong, for which request, how often, before or after its effect.

Each fault is queued for the requests it names and is used up in order. A test ends with
`Faults.assert_all_used`, so that a fault which never struck fails the test instead of passing it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class FaultKind(Enum):
    """What the client gets to see."""

    THROTTLED = "throttled"
    """429 with Retry-After in seconds (``seconds``), or without the header when it is None."""
    THROTTLED_DATE = "throttled_date"
    """429 with Retry-After as an HTTP date ``seconds`` ahead of the machine's clock."""
    STATUS = "status"
    """The envelope of ``status``, ``code`` and ``message``."""
    RESET = "reset"
    """The connection is reset in the middle of the body."""
    TRUNCATED = "truncated"
    """A complete reply whose JSON ends too early."""
    TOKEN_EXPIRED = "token_expired"
    """401 InvalidAuthenticationToken; the next token works."""
    PAGE_TOKEN_EXPIRED = "page_token_expired"
    """400 Directory_ExpiredPageToken."""
    DELTA_EXPIRED = "delta_expired"
    """410 with a Location that starts over."""
    EMPTY_PAGE = "empty_page"
    """An empty page with a link; following it gives what was asked for."""
    DUPLICATE = "duplicate"
    """The page's last object is delivered again on the next page."""
    STALE = "stale"
    """The answer as it was before the latest write to each object."""
    DELAY = "delay"
    """The right answer, ``seconds`` late."""


class When(Enum):
    """Whether the operation has its effect before the fault strikes."""

    BEFORE = "before"
    AFTER = "after"


# Faults that shape a good answer need the answer, whatever ``when`` says.
_AFTER_ONLY = frozenset(
    {
        FaultKind.TRUNCATED,
        FaultKind.EMPTY_PAGE,
        FaultKind.DUPLICATE,
        FaultKind.STALE,
        FaultKind.DELAY,
    }
)


@dataclass(slots=True)
class Fault:
    """One scripted fault and how often it has struck."""

    method: str
    pattern: re.Pattern[str]
    kind: FaultKind
    when: When = When.BEFORE
    times: int = 1
    skip: int = 0
    seconds: float | None = None
    status: int = 500
    code: str = ""
    message: str = ""
    struck: int = 0
    seen: int = 0

    def matches(self, method: str, target: str) -> bool:
        return self.method in ("*", method) and self.pattern.search(target) is not None

    def to_json(self) -> dict[str, Any]:
        """Describe the fault for a report."""
        return {
            "method": self.method,
            "path": self.pattern.pattern,
            "kind": self.kind.value,
            "when": self.when.value,
            "times": self.times,
            "struck": self.struck,
        }


@dataclass(slots=True)
class Faults:
    """The queue of scripted faults of one sandbox."""

    queue: list[Fault] = field(default_factory=list)

    def script(
        self,
        match: tuple[str, str] | str,
        what: FaultKind | str | int,
        times: int = 1,
        when: When | str = When.BEFORE,
        *,
        skip: int = 0,
        seconds: float | None = None,
        code: str = "",
        message: str = "",
    ) -> Fault:
        """Queue a fault.

        ``match`` is (method, regex) or "METHOD regex"; the regex searches path and query, starting
        after ``/v1.0``; method "*" is any. ``what`` is a kind, or an HTTP status. The first
        ``skip`` matching requests are spared.
        """
        if isinstance(match, str):
            method, _, pattern = match.partition(" ")
        else:
            method, pattern = match
        if isinstance(what, int):
            kind, status = FaultKind.STATUS, what
        else:
            kind, status = FaultKind(what), 500
        moment = When.AFTER if kind in _AFTER_ONLY else When(when)
        fault = Fault(
            method=method.upper(),
            pattern=re.compile(pattern),
            kind=kind,
            when=moment,
            times=times,
            skip=skip,
            seconds=seconds,
            status=status,
            code=code,
            message=message,
        )
        self.queue.append(fault)
        return fault

    def take(self, method: str, target: str) -> Fault | None:
        """Return the fault that strikes this request, counting it, or None."""
        if not self.queue:
            return None
        for fault in self.queue:
            if fault.struck >= fault.times or not fault.matches(method, target):
                continue
            fault.seen += 1
            if fault.seen <= fault.skip:
                continue
            fault.struck += 1
            return fault
        return None

    def clear(self) -> None:
        self.queue.clear()

    def unused(self) -> list[Fault]:
        """Return the faults that have not struck as often as they should."""
        return [fault for fault in self.queue if fault.struck < fault.times]

    def assert_all_used(self) -> None:
        """Fail when a scripted fault was not hit.

        Raises:
            AssertionError: naming each fault that is left.
        """
        left = [
            f"{fault.method} {fault.pattern.pattern}: {fault.kind.value} struck "
            f"{fault.struck} of {fault.times} times"
            for fault in self.unused()
        ]
        if left:
            raise AssertionError("faults that were scripted but not hit: " + "; ".join(left))


STATUS_CODES = {
    400: ("Request_BadRequest", "The request is invalid."),
    401: ("InvalidAuthenticationToken", "Access token has expired or is not yet valid."),
    403: ("Authorization_RequestDenied", "Insufficient privileges to complete the operation."),
    404: ("Request_ResourceNotFound", "Resource does not exist."),
    409: ("Directory_ConcurrencyViolation", "A concurrent write was detected."),
    429: ("TooManyRequests", "Too many requests."),
    500: ("InternalServerError", "An internal server error occurred."),
    501: ("NotImplemented", "This operation target is not yet supported."),
    502: ("BadGateway", "The gateway received an invalid answer."),
    503: ("ServiceUnavailable", "The service is temporarily unavailable."),
    504: ("GatewayTimeout", "The gateway did not receive a timely answer."),
}
