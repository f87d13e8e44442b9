"""What holds for every request and answer: the host, the body's size and depth, the headers.

It also writes how a recorded request ended into the audit trail.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import orjson
from anyio import CancelScope, to_thread

from reentra.access import Entry
from reentra.api.serving import Serving

MOST_BODY_BYTES = 1024 * 1024
DEEPEST = 32
# Of a body with more than ``DEEPEST`` brackets, so that looking at one costs milliseconds: the
# longest list that a megabyte holds of ids has 50,000 quotes and one bracket.
MOST_BRACKETS = 10_000
MOST_QUOTES = 100_000
# The protocol's own shapes (asgi.readthedocs.io); the framework's types describe its inside.
Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]

# Possessive, and with a last quote that may be missing: nothing in it is read twice.
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_AS_LISTS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # With none at all a browser would name no origin either when it sends a form of ours.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "cache-control": "no-store",
}
STRICT_TRANSPORT = "max-age=31536000"


class Hardening:
    """The outermost layer around the application."""

    def __init__(self, inner: ASGIApp, serving: Serving) -> None:
        self._inner = inner
        self._serving = serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no websocket: the server closes it
        status, is_whole = 500, False

        async def harden(message: Message) -> None:
            nonlocal status, is_whole
            if message["type"] == "http.response.start":
                status = message["status"]
                named = {name.lower() for name, _ in message["headers"]}
                added = dict(HEADERS)
                if self._serving.is_secure:
                    added["strict-transport-security"] = STRICT_TRANSPORT
                message["headers"] = [
                    *((name, value) for name, value in message["headers"] if name != b"server"),
                    *(
                        (name.encode(), value.encode())
                        for name, value in added.items()
                        if name.encode() not in named
                    ),
                ]
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                is_whole = True

        if scope["http_version"] == "2":
            scope["headers"] = _with_one_cookie_line(scope["headers"])
        if not self._is_ours(scope):
            await _refuse(harden, 421, "wrong_host", "This is not the host that was asked for.")
            return
        if b"%00" in scope.get("query_string", b"") or "\x00" in scope["path"]:
            # No name holds it, and PostgreSQL cannot even be asked for it.
            await _refuse(harden, 400, "usage", "The address holds a NUL character.")
            return
        body = await _read(receive)
        if body is not None and b"\\u0000" in body:
            await _refuse(harden, 400, "usage", "The body holds a NUL character.")
            return
        if body is None:
            await _refuse(harden, 413, "too_large", "The body is too large.")
            return
        if _is_too_intricate(body):
            await _refuse(
                harden, 400, "usage", "The body is nested too deeply, or has too many parts."
            )
            return
        try:
            await self._inner(scope, _replaying(body, receive), harden)
        finally:
            # Shielded: when the caller goes away all of this is cancelled, but for the record.
            with CancelScope(shield=True):
                await self._record_end(scope, status, is_whole)

    def _is_ours(self, scope: Scope) -> bool:
        named = [value for name, value in scope["headers"] if name.lower() == b"host"]
        if len(named) != 1:
            return False
        host = named[0].decode("latin-1").lower()
        if host.startswith("["):
            return host.partition("]")[0] + "]" in self._serving.hosts
        name, colon, port = host.partition(":")
        return name in self._serving.hosts and (not colon or (port.isascii() and port.isdigit()))

    async def _record_end(self, scope: Scope, status: int, is_whole: bool) -> None:
        recorded = scope.get("state", {}).get("recorded")
        if recorded is None:
            return
        actor, entry = recorded
        result = "done" if is_whole else "broken off"
        if status >= 400:
            result = scope["state"].get("code") or f"failed {status}"
        end = Entry(entry.action, entry.tenant, entry.target, result, entry.detail)
        await to_thread.run_sync(self._serving.access.trail.record, actor, end)


def _with_one_cookie_line(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Join the cookies, which HTTP/2 lets a browser send one by one (RFC 9113, 8.2.3)."""
    kept = list(headers)
    cookies = [value for name, value in kept if name.lower() == b"cookie"]
    if len(cookies) < 2:
        return kept
    others = [(name, value) for name, value in kept if name.lower() != b"cookie"]
    return [*others, (b"cookie", b"; ".join(cookies))]


async def _read(receive: Receive) -> bytes | None:
    """Return the whole body, or ``None`` when it is larger than any request of ours."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > MOST_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replaying(body: bytes, receive: Receive) -> Receive:
    is_given = False

    async def replay() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _is_too_intricate(body: bytes) -> bool:
    """Tell whether JSON is nested too deeply or made of too many parts, before anything parses it.

    Strings are taken out, then layer after layer from the inside, ``DEEPEST`` times at most. What
    never closes is too deep as well.
    """
    brackets = body.count(b"[") + body.count(b"{")
    if brackets <= DEEPEST:
        return False
    if brackets > MOST_BRACKETS or body.count(b'"') > MOST_QUOTES:
        return True
    left = _TEXT.sub(b"", body).translate(_AS_LISTS, _NO_BRACKETS)
    for _ in range(DEEPEST):
        left = left.replace(b"[]", b"")
    return bool(left)


async def _refuse(send: Send, status: int, code: str, detail: str) -> None:
    problem = {
        "type": f"urn:reentra:problem:{code}",
        "title": "Refused",
        "status": status,
        "detail": detail,
        "code": code,
        "hint": "",
        "retryable": False,
    }
    headers = [(b"content-type", b"application/problem+json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": orjson.dumps(problem), "more_body": False})
