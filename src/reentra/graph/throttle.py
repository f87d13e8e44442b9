"""When a request is repeated, and when it is given up: the only retry loop towards Graph.

How fast requests may go is ``pace``'s subject. Source: learn.microsoft.com/graph/throttling.

What is repeated, and what is not:

==========================================  ====================  ============================
what happened                               a read                a write
==========================================  ====================  ============================
429                                         waits, repeats        waits, repeats (not executed)
500, 502, 503, 504, lost or torn answer     backs off, repeats    ``OutcomeUnknown``
nothing else for two minutes, any request   ``GraphDown``         ``OutcomeUnknown``
connection refused, name not found          backs off, repeats    backs off, repeats (not sent)
other 4xx                                   the answer, as it is  the answer, as it is
==========================================  ====================  ============================
"""

from __future__ import annotations

import datetime as dt
import email.utils
import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
import requests
import urllib3.exceptions
from azure.core import exceptions as azure_errors
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import HTTPPolicy
from azure.core.rest import HttpRequest, HttpResponse

from reentra import clock as clocks
from reentra import errors, progress
from reentra.graph import addresses, odata
from reentra.graph.pace import (
    DEFAULT_LIMITS,
    Limits,
    Scope,
    TenantThrottle,
    header,
    number,
    scopes_of,
    throttle_of,
)
from reentra.graph.usage import Usage, operation_name

__all__ = [
    "DEFAULT_LIMITS",
    "Again",
    "Limits",
    "Patience",
    "Scope",
    "TenantThrottle",
    "ThrottlePolicy",
    "Usage",
    "header",
    "retry_after_seconds",
    "scopes_of",
    "send_until_settled",
    "throttle_of",
]

# --- the retry loop ---------------------------------------------------------------------------


class Patience:
    """How often and how long one request has been repeated, and whether it may be again."""

    __slots__ = ("_clock", "_failures", "_limits", "_listener", "_steps", "_usage", "_waited")

    def __init__(self, throttle: TenantThrottle, usage: Usage, listener: progress.Listener) -> None:
        self._limits = throttle.limits
        self._clock = throttle.clock
        self._usage = usage
        self._listener = listener
        self._steps = 0
        self._failures = 0
        self._waited = 0.0

    def backoff_seconds(self) -> float:
        """Return the next pause of 1, 2, 4 … 60 s, with jitter."""
        limits = self._limits
        pause = min(limits.backoff_first_seconds * 2**self._steps, limits.backoff_most_seconds)
        self._steps += 1
        return clocks.jitter(pause)

    def has_waited_enough_for(self, seconds: float) -> bool:
        return self._waited + seconds > self._limits.max_waiting_seconds

    def wait(self, seconds: float, reason: str) -> None:
        self._waited += seconds
        self._listener(progress.Waiting(reason, seconds))
        self._clock.sleep(seconds)
        self._usage.add(waited_seconds=seconds)

    def may_fail_again(self) -> bool:
        """Count a failure; tell whether another attempt is allowed."""
        self._failures += 1
        return self._failures < self._limits.max_failures

    @property
    def waited_seconds(self) -> float:
        return self._waited


class _Fate(enum.Enum):
    NOT_SENT = "not sent"  # certainly not executed
    LOST = "lost"  # sent, and no whole answer came back


_REPEATABLE = frozenset({408, 500, 502, 503, 504})

_NOT_SENT_CAUSES = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.NameResolutionError,
    urllib3.exceptions.ConnectTimeoutError,
)


class ThrottlePolicy(HTTPPolicy[HttpRequest, HttpResponse]):
    """The pipeline policy that paces, repeats and gives up; it stands in for azure-core's own.

    azure-core's RetryPolicy repeats POST and PATCH on 500, 503 and 504, which can create an
    object twice.

    Options of a request: ``is_read`` (it may be repeated), ``parse`` (what reads the body; one
    that it cannot read counts as torn), ``parts`` (inside a batch: its requests, as method and
    URL).
    The parsed body is left in ``context["body"]``.
    """

    def __init__(self, throttle: TenantThrottle, usage: Usage, listener: progress.Listener) -> None:
        super().__init__()
        self._throttle = throttle
        self._usage = usage
        self.listener = listener

    def send(
        self, request: PipelineRequest[HttpRequest]
    ) -> PipelineResponse[HttpRequest, HttpResponse]:
        options = request.context.options
        is_read: bool = options.pop("is_read")
        parse: Callable[[bytes], object] | None = options.pop("parse")
        parts: Sequence[tuple[str, str]] = options.pop("parts", ())
        http = request.http_request
        kept_options = dict(options)
        scopes, cost = _cost_of(http.method, http.url, is_read, parts)
        operation = operation_name(http.method, http.url)
        patience = Patience(self._throttle, self._usage, self.listener)
        is_repeat = False
        while True:
            paced = self._throttle.wait_for_turn(cost, self.listener)
            options.clear()
            options.update(kept_options)
            http.headers["client-request-id"] = clocks.new_guid()
            self._usage.add(
                operation=operation,
                requests=1,
                repeats=1 if is_repeat else 0,
                batched=len(parts),
                writes=round(cost.get(Scope.WRITE, 0)),
                waited_seconds=paced,
            )
            is_repeat = True
            try:
                response = self.next.send(request)
            except azure_errors.AzureError as failure:
                self._after_failure(failure, http, is_read, patience)
                continue
            if self._is_final(response, http, is_read, parse, scopes, cost, patience):
                return response

    def _after_failure(
        self,
        failure: azure_errors.AzureError,
        http: HttpRequest,
        is_read: bool,
        patience: Patience,
    ) -> None:
        what = f"{http.method} {addresses.short_path(http.url)}"
        host = addresses.origin(http.url)[1]
        fate = _fate_of(failure)
        reason = _reason_of(failure)
        down_seconds = self._throttle.note_failure()
        if _is_bad_certificate(failure):
            raise errors.Unavailable(
                f"{host} showed a TLS certificate that is not trusted ({what}).",
                hint="Give the certificate of the authority that signed it.",
                typed="--ca-file FILE",
            ) from None
        if fate is _Fate.LOST and not is_read:
            raise errors.OutcomeUnknown(
                f"{what} was sent to {host}, but its reply was lost: {reason}.",
                hint="Look whether it happened before sending it again.",
            ) from None
        if down_seconds >= self._throttle.limits.max_down_seconds:
            raise _down(host, down_seconds, f"{what}: {reason}") from None
        if not patience.may_fail_again():
            raise errors.Unavailable(f"{host} could not be reached for {what}: {reason}.") from None
        patience.wait(patience.backoff_seconds(), f"{host} did not answer")

    def _is_final(
        self,
        response: PipelineResponse[HttpRequest, HttpResponse],
        http: HttpRequest,
        is_read: bool,
        parse: Callable[[bytes], object] | None,
        scopes: tuple[Scope, ...],
        cost: Mapping[Scope, float],
        patience: Patience,
    ) -> bool:
        answer = response.http_response
        status = answer.status_code
        headers = answer.headers
        units = number(header(headers, "x-ms-resource-unit"))
        self._throttle.settle(cost, units, headers)
        self._usage.add(resource_units=units or 0.0)
        if status == 429:
            self._throttle.note_answer()
            self._wait_out(answer, http, scopes, patience)
            return False
        if status in _REPEATABLE or (status > 504 and status < 600):
            down_seconds = self._throttle.note_failure()
            if not is_read:
                raise self._lost(answer, http)
            told = retry_after_seconds(headers, self._throttle.clock)
            # Who is told when to come again is waited for as long as for a 429.
            limits = self._throttle.limits
            if down_seconds >= (limits.max_waiting_seconds if told else limits.max_down_seconds):
                what = f"{http.method} {addresses.short_path(http.url)}: {status}"
                request_id = header(headers, "request-id")
                raise _down(addresses.origin(http.url)[1], down_seconds, what, request_id)
            if status not in _REPEATABLE or not patience.may_fail_again():
                return True
            pause = told or patience.backoff_seconds()
            if patience.has_waited_enough_for(pause):
                return True
            patience.wait(pause, f"Microsoft Graph answered {status}")
            return False
        self._throttle.note_answer()
        body = answer.content
        # Some actions answer a write with a word of plain text; that is no torn JSON. A page is
        # what somebody between us and Graph says: nobody knows whether Graph heard of the write.
        kind = header(headers, "Content-Type").lower()
        is_text = (
            not is_read
            and body[:1] not in (b"{", b"[", b"<")
            and not ("json" in kind or "html" in kind)
        )
        if 200 <= status < 300 and body and parse is not None and not is_text:
            try:
                response.context["body"] = parse(body)
            except orjson.JSONDecodeError:
                what = f"{http.method} {addresses.short_path(http.url)}"
                if not is_read:
                    is_page = "html" in kind or body[:1] == b"<"
                    torn = "a page and not Graph's answer" if is_page else "torn"
                    raise errors.OutcomeUnknown(
                        f"{what} was answered with {status}, but the answer's body is {torn}.",
                        status=status,
                        request_id=header(headers, "request-id"),
                        hint=(
                            "A proxy may ask for a sign-in. Look before sending it again."
                            if is_page
                            else "It very likely happened; look before sending it again."
                        ),
                    ) from None
                if not patience.may_fail_again():
                    raise errors.Unavailable(
                        f"Graph's answer to {what} cannot be read as JSON, again and again.",
                        status=status,
                        request_id=header(headers, "request-id"),
                    ) from None
                patience.wait(patience.backoff_seconds(), "an answer arrived torn")
                return False
        return True

    def _wait_out(
        self,
        answer: HttpResponse,
        http: HttpRequest,
        scopes: tuple[Scope, ...],
        patience: Patience,
    ) -> None:
        told = retry_after_seconds(answer.headers, self._throttle.clock)
        # "Retry-After: 0" or a date that has passed must not become a busy loop.
        pause = told or patience.backoff_seconds()
        if patience.has_waited_enough_for(pause):
            error = odata.error_from_answer(
                429,
                answer.headers,
                answer.content,
                method=http.method,
                path=http.url,
            )
            raise errors.Throttled(
                f"{error.message} Waited {patience.waited_seconds:.0f} s in all.",
                status=429,
                graph_code=error.graph_code,
                request_id=error.request_id,
                retry_after_seconds=told,
            )
        # Conditional Access gives no Retry-After, and its limit is the whole tenant's.
        if told or scopes[0] is Scope.CONDITIONAL_ACCESS:
            self._throttle.pause(scopes, pause, answer.headers)
        patience.wait(pause, "Microsoft Graph asked to slow down (429)")

    def _lost(self, answer: HttpResponse, http: HttpRequest) -> errors.OutcomeUnknown:
        error = odata.error_from_answer(
            answer.status_code, answer.headers, answer.content, method=http.method, path=http.url
        )
        return errors.OutcomeUnknown(
            f"{error.message} The write may have happened all the same.",
            status=answer.status_code,
            graph_code=error.graph_code,
            request_id=error.request_id,
            retry_after_seconds=retry_after_seconds(answer.headers, self._throttle.clock),
            hint="Look whether it happened before sending it again.",
        )


@dataclass(frozen=True, slots=True)
class Again:
    """A part of a batch that may be sent again: when, and whether it was throttled or failed."""

    after_seconds: float | None
    is_throttled: bool


_Part = TypeVar("_Part")
_Done = TypeVar("_Done")


def send_until_settled(
    parts: Sequence[_Part],
    send: Callable[[Sequence[_Part]], Sequence[_Done]],
    asks_again: Callable[[_Part, _Done], Again | None],
    throttle: TenantThrottle,
    usage: Usage,
    listener: progress.Listener,
    *,
    is_chain: bool = False,
) -> list[_Done]:
    """Send parts of a batch, and again those that were throttled inside of it; keep the order.

    ``send`` returns one result for each part. In a chain everything behind the first part that
    may be repeated is sent again with it: it was waiting for that part and did not run. What has
    no good answer when patience ends keeps its last result.
    """
    patience = Patience(throttle, usage, listener)
    results: dict[int, _Done] = {}
    open_parts = list(range(len(parts)))
    while open_parts:
        answered = send([parts[index] for index in open_parts])
        again: list[int] = []
        told = 0.0
        is_throttled = False
        for index, result in zip(open_parts, answered, strict=True):
            results[index] = result
            verdict = asks_again(parts[index], result)
            if verdict is not None:
                told = max(told, verdict.after_seconds or 0.0)
                is_throttled = is_throttled or verdict.is_throttled
            if verdict is not None or (is_chain and again):
                again.append(index)
        if not again or not (is_throttled or patience.may_fail_again()):
            break
        pause = told or patience.backoff_seconds()
        if patience.has_waited_enough_for(pause):
            break
        patience.wait(pause, "Microsoft Graph slowed down parts of a batch")
        open_parts = again
    return [results[index] for index in range(len(parts))]


# --- what answers and failures say -----------------------------------------------------------


def retry_after_seconds(headers: Mapping[str, Any], clock: clocks.Clock) -> float | None:
    """Return what ``Retry-After`` asks for, given in seconds or as an HTTP date, or ``None``."""
    text = header(headers, "Retry-After").strip()
    if not text:
        return None
    seconds = number(text)
    if seconds is not None:
        return max(0.0, seconds)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return max(0.0, (moment - clock.now()).total_seconds())


def _cost_of(
    method: str, url: str, is_read: bool, parts: Sequence[tuple[str, str]]
) -> tuple[tuple[Scope, ...], dict[Scope, float]]:
    """Return the limits that a request, or the parts of a batch, draw on, and how much.

    Each request counts one resource unit at first; what the answer says is settled afterwards.
    """
    cost: dict[Scope, float] = {}
    for part_method, part_url in parts or (("GET" if is_read else method, url),):
        for scope in scopes_of(part_method, part_url):
            cost[scope] = cost.get(scope, 0.0) + 1.0
    order = (Scope.CONDITIONAL_ACCESS, Scope.KEY_CREDENTIALS, Scope.WRITE, Scope.READ)
    return tuple(scope for scope in order if scope in cost), cost


def _down(host: str, seconds: float, what: str, request_id: str = "") -> errors.GraphDown:
    return errors.GraphDown(
        f"For {seconds:.0f} s nothing but failures has come from {host} (last: {what}).",
        request_id=request_id,
    )


def _causes(failure: BaseException) -> list[BaseException]:
    """Return everything that is folded into a failure of requests and urllib3.

    Not ``__context__``: it may be another failure, which the caller was handling when this one
    came, and a lost write must not look like one that was never sent.
    """
    found: list[BaseException] = []
    queue: list[BaseException] = [failure]
    while queue and len(found) < 20:
        current = queue.pop(0)
        if any(current is known for known in found):
            continue
        found.append(current)
        candidates = [
            current.__cause__,
            getattr(current, "inner_exception", None),
            getattr(current, "reason", None),
            *current.args,
        ]
        queue.extend(c for c in candidates if isinstance(c, BaseException))
    return found


def _fate_of(failure: azure_errors.AzureError) -> _Fate:
    causes = _causes(failure)
    if any(isinstance(cause, _NOT_SENT_CAUSES) for cause in causes):
        return _Fate.NOT_SENT
    if any(isinstance(cause, requests.exceptions.ProxyError) for cause in causes):
        return _Fate.LOST
    if _is_bad_certificate(failure):
        return _Fate.NOT_SENT
    return _Fate.LOST


def _is_bad_certificate(failure: azure_errors.AzureError) -> bool:
    return any(
        isinstance(cause, requests.exceptions.SSLError)
        and "CERTIFICATE_VERIFY_FAILED" in str(cause)
        for cause in _causes(failure)
    )


def _reason_of(failure: azure_errors.AzureError) -> str:
    causes = _causes(failure)
    for kind, text in (
        (urllib3.exceptions.NameResolutionError, "the name does not resolve"),
        (urllib3.exceptions.NewConnectionError, "the connection was refused"),
        (urllib3.exceptions.ConnectTimeoutError, "the connection timed out"),
        (urllib3.exceptions.ReadTimeoutError, "no answer came in time"),
        (urllib3.exceptions.IncompleteRead, "the answer was cut short"),
        (azure_errors.IncompleteReadError, "the answer was cut short"),
        (azure_errors.DecodeError, "the answer could not be decompressed"),
    ):
        if any(isinstance(cause, kind) for cause in causes):
            return text
    return "the connection broke"
