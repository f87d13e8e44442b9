"""Ways back: the address that somebody wanted before they had to show who they are."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlsplit

from litestar import Request

_LONGEST = 2000
_PLAIN = re.compile(r"[!-\[\]-~]*")  # printable ASCII without the backslash, which browsers turn
_NOT_BACK = ("/api/", "/static/", "/sign-in", "/sign-out", "/set-up", "/confirm")


def ours(wanted: str) -> str:
    """Return an address that leads to a page of ours, and nowhere else: else the first page.

    Browsers read ``//host``, ``/\\host`` and a line break after the slash as another site.
    """
    if not wanted.startswith("/") or wanted.startswith("//") or len(wanted) > _LONGEST:
        return "/"
    if not _PLAIN.fullmatch(wanted):
        return "/"
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return "/"
    is_page = not any(f"{parts.path}/".startswith(f"{one.rstrip('/')}/") for one in _NOT_BACK)
    return wanted if is_page and not parts.scheme and not parts.netloc else "/"


def and_back(address: str, wanted: str) -> str:
    """Return the address of a page after which one comes back to ``wanted``."""
    back = ours(wanted)
    return address if back == "/" else f"{address}?next={quote(back, safe='/')}"


def wanted_by(request: Request[Any, Any, Any]) -> str:
    """Return the page that a request is for; for a form, the nearest page that it stands on."""
    path = quote(request.url.path, safe="/@:-._~!$&'()*+,;=")
    if request.method != "GET":
        return _page_above(request, path)
    return f"{path}?{request.url.query}" if request.url.query else path


def _page_above(request: Request[Any, Any, Any], path: str) -> str:
    shown = [
        re.compile(re.sub(r"\{[^}]+\}", "[^/]+", route.path_format))
        for route in request.app.routes
        if any(
            handler.opt.get("is_page") and "GET" in handler.http_methods
            for handler in getattr(route, "route_handlers", ())
        )
    ]
    while path and not any(one.fullmatch(path) for one in shown):
        path = path.rpartition("/")[0]
    return path or "/"
