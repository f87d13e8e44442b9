"""Errors as problem documents (RFC 9457), with the product's code and what to do next."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from reentra import clock as clocks
from reentra import errors

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger("reentra.api")


class Problem(msgspec.Struct):
    """What went wrong, and what to do next."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str = ""
    retryable: bool = False


def of_error(request: Request[Any, Any, Any], failure: Exception) -> Response[Problem]:
    """Answer with one of our own errors; the trail tells its code."""
    assert isinstance(failure, errors.Error)
    request.scope["state"]["code"] = failure.code
    headers = {}
    if isinstance(failure, errors.TooManyAttempts):
        headers["Retry-After"] = str(failure.wait_seconds)
    if isinstance(failure, errors.NotSignedIn):
        headers["WWW-Authenticate"] = "Bearer"
    return _response(
        failure.http_status, failure.code, failure.message, failure.hint, failure.is_retryable,
        headers,
    )  # fmt: skip


def of_http(_: Request[Any, Any, Any], failure: Exception) -> Response[Problem]:
    """Answer with what the framework says: no such address, no such method, a wrong body."""
    assert isinstance(failure, HTTPException)
    detail, hint = failure.detail, ""
    if isinstance(failure, ValidationException):
        # Where and why, never the value: it may be a secret.
        detail = "The request does not fit: " + "; ".join(
            f"{item.get('key', 'body')}: {item.get('message', '')}"
            for item in (failure.extra or [])
            if isinstance(item, dict)
        )
        hint = "The description is at /api/v1/openapi.json."
    status = failure.status_code
    code = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}.get(status, "usage")
    return _response(status, code, detail or HTTPStatus(status).phrase, hint, False, {})


def of_unforeseen(_: Request[Any, Any, Any], failure: Exception) -> Response[Problem]:
    """Answer with a number to look for in the log; the failure's own words may quote data."""
    number = clocks.new_id(4)
    told = failure if _log.isEnabledFor(logging.DEBUG) else None
    _log.error("Unforeseen (%s): %s", number, type(failure).__name__, exc_info=told)
    return _response(
        500, "internal", f"Something unforeseen happened ({number}).",
        "The log of the server names it.", False, {},
    )  # fmt: skip


def _response(
    status: int, code: str, detail: str, hint: str, is_retryable: bool, headers: dict[str, str]
) -> Response[Problem]:
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Interrupted"  # 499 is nobody's standard
    problem = Problem(
        f"urn:reentra:problem:{code}", title, status, detail, code, hint, is_retryable
    )
    return Response(problem, status_code=status, media_type=MEDIA_TYPE, headers=headers)
