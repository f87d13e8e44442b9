"""Answers looked at with the description in hand: status, type and shape, and nothing more."""

from __future__ import annotations

import functools
import re
from typing import Any, get_args

import httpx
import msgspec
from litestar import Response

from reentra.api.application import make_litestar

# What is said before any route is found; the description is of routes.
OF_NO_ROUTE = {405, 421}


# What is typed on the command line is for that face alone.
_TYPED = re.compile(r"`reentra |(?<![\w-])--[a-z]{2}")


def ensure_untyped(answer: httpx.Response) -> None:
    """Fail when an answer of problem or page tells people to type a command or an option."""
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    if media_type in ("application/json", "application/problem+json", "text/html"):
        found = _TYPED.search(answer.text)
        assert found is None, answer.text[max(0, found.start() - 200) : found.end() + 80]


def ensure_described(method: str, path: str, answer: httpx.Response) -> None:
    """Fail when an answer of a described route is not one that the description knows."""
    found = next((item for item in _routes(method) if item[0].fullmatch(path)), None)
    if found is None or answer.status_code in OF_NO_ROUTE:
        return
    _, responses, returned = found
    where = f"{method} {path} {answer.status_code}"
    assert str(answer.status_code) in responses, f"{where} is not described: {answer.text}"
    content = responses[str(answer.status_code)].get("content")
    if content is None:
        assert answer.content == b"", where
        return
    media_type = answer.headers["content-type"].partition(";")[0]
    assert media_type in content, f"{where}: {media_type} is not described"
    if media_type == "application/json":
        given = answer.json()
        # A field that nobody described is lost on the way.
        assert msgspec.to_builtins(msgspec.convert(given, returned)) == given, where


@functools.cache
def _routes(method: str) -> list[tuple[re.Pattern[str], dict[str, Any], Any]]:
    """Return pattern, described answers and the type of the good one; what is spelled out first."""
    app = make_litestar(None)
    paths = app.openapi_schema.to_schema()["paths"]
    found = []
    for route in app.routes:
        for handler in route.route_handlers:  # type: ignore[union-attr]
            described = paths.get(route.path_format, {}).get(method.lower())
            if described is None or method not in getattr(handler, "http_methods", ()):
                continue
            returned = handler.parsed_fn_signature.return_type.annotation
            if getattr(returned, "__origin__", returned) is Response:
                returned = get_args(returned)[0]
            found.append((route.path_format, described["responses"], returned))
    found.sort(key=lambda item: item[0].count("{"))
    return [
        (re.compile(re.sub(r"\{[a-z_]+\}", "[^/]+", path)), responses, returned)
        for path, responses, returned in found
    ]
