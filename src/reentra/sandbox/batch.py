"""JSON batching: up to twenty requests in one, with dependencies and failures kept apart.

https://learn.microsoft.com/graph/json-batching
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from reentra.sandbox.errors import GraphError
from reentra.sandbox.http import Request, Response

MAX_REQUESTS = 20
_METHODS = frozenset(("GET", "POST", "PATCH", "PUT", "DELETE"))
# Headers of the outer reply that say nothing about the part.
_OUTER_ONLY = frozenset(("date", "strict-transport-security", "content-length", "connection"))

Dispatch = Callable[[Request], Response]


@dataclass(frozen=True, slots=True)
class _Part:
    id: str
    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    depends_on: tuple[str, ...]


def run_batch(outer: Request, body: Any, dispatch: Dispatch) -> bytes:
    """Run the parts of a batch and return the body of the answer.

    Raises:
        GraphError: 400 when the batch itself is malformed; nothing was run then.
    """
    parts = _parts(body)
    _check_dependencies(parts)
    statuses: dict[str, int] = {}
    responses: list[dict[str, Any]] = []
    for part in parts:
        failed = [id_ for id_ in part.depends_on if statuses[id_.lower()] >= 400]
        if failed:
            statuses[part.id.lower()] = 424
            responses.append(_failed_dependency(part))
            continue
        inner = Request(
            part.method,
            "/v1.0" + (part.url if part.url.startswith("/") else "/" + part.url),
            {
                **part.headers,
                "authorization": outer.headers.get("authorization", ""),
                "host": outer.headers.get("host", "localhost"),
            },
            part.body,
            outer.scheme,
            outer.peer,
        )
        response = dispatch(inner)
        statuses[part.id.lower()] = response.status
        responses.append(_shown(part, response))
    # The service answers in whatever order the parts finish; backwards is one of them.
    if len(responses) > 1 and not any(part.depends_on for part in parts):
        responses.reverse()
    return orjson.dumps({"responses": responses})


def _parts(body: Any) -> list[_Part]:
    requests = body.get("requests") if isinstance(body, Mapping) else None
    if not isinstance(requests, list) or not requests:
        raise _malformed("Batch request body must contain a 'requests' array.")
    if len(requests) > MAX_REQUESTS:
        raise _malformed(
            f"Number of batch request steps exceeds the maximum value: {MAX_REQUESTS}."
        )
    parts = [_part(raw) for raw in requests]
    seen: set[str] = set()
    for part in parts:
        if part.id.lower() in seen:
            raise _malformed(f"Request Id '{part.id}' has to be unique in a batch.")
        seen.add(part.id.lower())
    return parts


def _part(raw: Any) -> _Part:
    if not isinstance(raw, Mapping):
        raise _malformed("A request of the batch is not an object.")
    id_, method, url = raw.get("id"), raw.get("method"), raw.get("url")
    if not isinstance(id_, str) or not id_:
        raise _malformed("Request Id is missing or is not a string.")
    if not isinstance(method, str) or method.upper() not in _METHODS:
        raise _malformed(f"Method of request '{id_}' is missing or not supported.")
    if not isinstance(url, str) or not url or "://" in url:
        raise _malformed(f"Url of request '{id_}' must be relative to the version root.")
    if url.lstrip("/").lower().startswith("$batch"):
        raise _malformed("Batch requests cannot be nested.")
    headers = {str(k).lower(): str(v) for k, v in (raw.get("headers") or {}).items()}
    body = b""
    if raw.get("body") is not None:
        content_type = headers.get("content-type", "")
        if not content_type:
            raise _malformed(f"Write request id : {id_} does not contain Content-Type header.")
        if "json" in content_type:
            body = orjson.dumps(raw["body"])
        else:
            body = base64.b64decode(str(raw["body"]))
    depends_on = raw.get("dependsOn") or []
    if not isinstance(depends_on, list) or not all(isinstance(d, str) for d in depends_on):
        raise _malformed(f"dependsOn of request '{id_}' must be an array of ids.")
    return _Part(id_, method.upper(), url, headers, body, tuple(depends_on))


def _check_dependencies(parts: list[_Part]) -> None:
    """Allow none, a strict chain, or all on one."""
    ids = [part.id.lower() for part in parts]
    for part in parts:
        for dependency in part.depends_on:
            if dependency.lower() not in ids or dependency.lower() == part.id.lower():
                raise _malformed(
                    f"dependsOn of request '{part.id}' names '{dependency}', which is not "
                    "another request of the batch."
                )
    if not any(part.depends_on for part in parts):
        return
    chain = all(
        tuple(d.lower() for d in part.depends_on) == (() if at == 0 else (ids[at - 1],))
        for at, part in enumerate(parts)
    )
    same = not parts[0].depends_on and all(
        tuple(d.lower() for d in part.depends_on) == (ids[0],) for part in parts[1:]
    )
    if not (chain or same):
        raise _malformed(
            "The batch's dependencies must be parallel, serial (each on the one before), or the "
            "same (all on the first)."
        )


def _malformed(message: str) -> GraphError:
    return GraphError(400, "BadRequest", f"Invalid batch payload format. {message}")


def _failed_dependency(part: _Part) -> dict[str, Any]:
    return {
        "id": part.id,
        "status": 424,
        "headers": {"Content-Type": "application/json"},
        "body": {
            "error": {
                "code": "FailedDependency",
                "message": "The request failed because a request it depends on failed.",
            }
        },
    }


def _shown(part: _Part, response: Response) -> dict[str, Any]:
    headers = {k: v for k, v in response.headers.items() if k.lower() not in _OUTER_ONLY}
    shown: dict[str, Any] = {"id": part.id, "status": response.status, "headers": headers}
    if not response.body:
        return shown
    if "json" in headers.get("Content-Type", ""):
        headers["Content-Type"] = "application/json"
        shown["body"] = orjson.Fragment(response.body)
    else:
        shown["body"] = base64.b64encode(response.body).decode("ascii")
    return shown
