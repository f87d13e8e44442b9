"""``$batch`` framing: requests in, answers out, each failure kept apart. No I/O.

Source: learn.microsoft.com/graph/json-batching.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from reentra import errors
from reentra.graph import addresses, odata

MAX_REQUESTS = 20
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """One request of a batch; ``path`` is relative to the version root and may hold a query.

    ``is_read`` marks a POST that changes nothing (``getByIds``).

    Raises (when made): ``UsageError`` for a DELETE that could delete a linked object.
    """

    method: str
    path: str
    body: Any = field(default=None, repr=False)  # may hold a password
    headers: Mapping[str, str] = field(default_factory=dict)
    is_read: bool = False

    def __post_init__(self) -> None:
        if self.method == "DELETE":
            addresses.ensure_deletes_only_its_own(self.path)

    @property
    def may_be_repeated(self) -> bool:
        return self.method == "GET" or self.is_read


@dataclass(frozen=True, slots=True)
class BatchResponse:
    """The answer to one request: a body, or an error. ``status`` is 0 when none came.

    ``was_answered`` is false where the batch as a whole failed, or left the request out.
    """

    id: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    error: errors.GraphError | None = None
    was_answered: bool = True

    def unwrap(self) -> Any:
        """Return the body, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.body


def chunked(requests: Sequence[BatchRequest]) -> Iterator[Sequence[BatchRequest]]:
    """Yield the requests in groups that fit in one batch."""
    for start in range(0, len(requests), MAX_REQUESTS):
        yield requests[start : start + MAX_REQUESTS]


def batch_body(requests: Sequence[BatchRequest], *, is_serial: bool = False) -> bytes:
    """Return the body of one ``$batch``; ids are positions, from ``1``.

    ``is_serial`` chains the requests by ``dependsOn``: Graph runs each after the one before has
    succeeded, and answers the rest with 424 after a failure. Mixed forms are not allowed.
    """
    if not 1 <= len(requests) <= MAX_REQUESTS:
        raise ValueError(f"a batch holds 1 to {MAX_REQUESTS} requests, not {len(requests)}")
    framed: list[dict[str, Any]] = []
    for number, request in enumerate(requests, start=1):
        part: dict[str, Any] = {
            "id": str(number),
            "method": request.method,
            "url": "/" + request.path.lstrip("/"),
        }
        headers = dict(request.headers)
        if request.body is not None:
            part["body"] = request.body
            if not any(name.lower() == "content-type" for name in headers):
                headers["Content-Type"] = _JSON
        if headers:
            part["headers"] = headers
        if is_serial and number > 1:
            part["dependsOn"] = [str(number - 1)]
        framed.append(part)
    return orjson.dumps({"requests": framed})


def responses_of(requests: Sequence[BatchRequest], body: object) -> list[BatchResponse]:
    """Return one response for each request, in the requests' order.

    A request without an answer is an error: ``Unavailable`` for a read, ``OutcomeUnknown`` for a
    write. So is everything when ``body`` is no batch answer.
    """
    listed = body.get("responses") if isinstance(body, Mapping) else None
    answers: dict[str, Mapping[str, Any]] = {}
    for answer in listed if isinstance(listed, list) else ():
        if isinstance(answer, Mapping) and "id" in answer:
            answers[str(answer["id"])] = answer
    return [
        _response(str(number), request, answers.get(str(number)))
        for number, request in enumerate(requests, start=1)
    ]


def _response(
    number: str, request: BatchRequest, answer: Mapping[str, Any] | None
) -> BatchResponse:
    what = f"{request.method} {addresses.short_path(request.path)}"
    status = answer.get("status") if answer is not None else None
    if isinstance(status, str) and status.isdigit():
        status = int(status)
    if answer is None or not isinstance(status, int):
        error = _unanswered(request, f"A batch came back without {what}.")
        return BatchResponse(number, 0, error=error, was_answered=False)
    raw_headers = answer.get("headers")
    headers = (
        {str(name): str(value) for name, value in raw_headers.items()}
        if isinstance(raw_headers, Mapping)
        else {}
    )
    body = answer.get("body")
    if 200 <= status < 300:
        return BatchResponse(number, status, headers, body)
    error = odata.error_from_answer(status, headers, body, method=request.method, path=request.path)
    if status >= 500 and status != 501 and not request.may_be_repeated:
        error = errors.OutcomeUnknown(
            f"{error.message} The write may have happened all the same.",
            status=status,
            graph_code=error.graph_code,
            request_id=error.request_id,
            hint="Look whether it happened before sending it again.",
        )
    return BatchResponse(number, status, headers, body, error)


def unanswered(requests: Sequence[BatchRequest], cause: errors.GraphError) -> list[BatchResponse]:
    """Return the responses of a batch that failed as a whole with ``cause``."""
    return [
        BatchResponse(
            str(number), cause.status, error=_failed_with(request, cause), was_answered=False
        )
        for number, request in enumerate(requests, start=1)
    ]


def _failed_with(request: BatchRequest, cause: errors.GraphError) -> errors.GraphError:
    if isinstance(cause, errors.OutcomeUnknown) and request.may_be_repeated:
        return errors.Unavailable(cause.message, status=cause.status, request_id=cause.request_id)
    return cause


def _unanswered(request: BatchRequest, message: str) -> errors.GraphError:
    if request.may_be_repeated:
        return errors.Unavailable(message)
    return errors.OutcomeUnknown(message, hint="Look whether it happened before sending it again.")


def asks_again(request: BatchRequest, response: BatchResponse) -> bool:
    """Tell whether a part may be sent again: 429 always, 503, 504 and no answer for reads only."""
    if response.status == 429:
        return True
    return request.may_be_repeated and response.status in (0, 500, 502, 503, 504)


def renumbered(responses: Sequence[BatchResponse]) -> list[BatchResponse]:
    """Return the responses with ids that are positions in the whole list, from ``0``."""
    return [
        dataclasses.replace(response, id=str(position))
        for position, response in enumerate(responses)
    ]
