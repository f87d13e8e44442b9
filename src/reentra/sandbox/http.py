"""A small HTTP/1.1 server on asyncio: keep-alive, chunked bodies, TLS, resets on demand.

The sandbox needs raw access to the socket (a reply lost half way, a reset) and pages of two
megabytes at a hundred a second from one process, so it speaks HTTP itself.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_HEADER_BYTES = 64 * 1024
MAX_BODY_BYTES = 16 * 1024 * 1024

_REASONS = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    410: "Gone",
    412: "Precondition Failed",
    413: "Payload Too Large",
    424: "Failed Dependency",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


@dataclass(slots=True)
class Request:
    """One request as it came over the wire; header names are lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    scheme: str = "http"
    peer: str = "127.0.0.1"

    @property
    def path(self) -> str:
        """The path as sent, still percent-encoded, without the query."""
        return self.target.partition("?")[0]

    @property
    def query_text(self) -> str:
        return self.target.partition("?")[2]

    @property
    def base_url(self) -> str:
        """Scheme and authority as the client named them."""
        return f"{self.scheme}://{self.headers.get('host', 'localhost')}"

    def query(self) -> dict[str, str]:
        """Decoded query options; the last value of a repeated name wins."""
        pairs = urllib.parse.parse_qsl(self.query_text, keep_blank_values=True)
        return dict(pairs)


@dataclass(slots=True)
class Response:
    """An answer, and what shall go wrong on its way."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay_seconds: float = 0.0
    cut_after_bytes: int | None = None
    """Send only so much of the body, then reset the connection."""


Handler = Callable[[Request], Response]


class _Connection(asyncio.Protocol):
    """One client connection: parses requests one after another and answers in order."""

    def __init__(self, handler: Handler, scheme: str, open_: set[_Connection]) -> None:
        self._handler = handler
        self._scheme = scheme
        self._open = open_
        self._buffer = bytearray()
        self._busy = False
        self._continued = False
        self._transport: asyncio.Transport | None = None
        self._peer = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * 1024 * 1024)
        transport.set_write_buffer_limits(high=32 * 1024 * 1024)
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if peer else ""
        self._open.add(self)

    def connection_lost(self, exc: BaseException | None) -> None:  # noqa: ARG002
        self._open.discard(self)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._busy:
            self._next()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _next(self) -> None:
        while self._transport is not None and not self._busy:
            try:
                request = self._take_request()
            except ValueError as error:
                self._write(Response(400, {"Connection": "close"}, str(error).encode()))
                if self._transport is not None:
                    self._transport.close()
                return
            if request is None:
                return
            response = self._handler(request)
            if response.delay_seconds > 0:
                self._busy = True
                loop = asyncio.get_running_loop()
                loop.call_later(response.delay_seconds, self._finish, request, response)
                return
            self._send(request, response)

    def _finish(self, request: Request, response: Response) -> None:
        self._busy = False
        if self._transport is not None:
            self._send(request, response)
            self._next()

    def _take_request(self) -> Request | None:
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(buffer) > MAX_HEADER_BYTES:
                raise ValueError("request header too large")
            return None
        lines = buffer[:end].decode("latin-1").split("\r\n")
        parts = lines[0].split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            raise ValueError("malformed request line")
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon:
                raise ValueError("malformed header line")
            headers[name.strip().lower()] = value.strip()
        start = end + 4
        if "100-continue" in headers.get("expect", "").lower() and not self._continued:
            self._continued = True
            if self._transport is not None:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in headers.get("transfer-encoding", "").lower():
            taken = _take_chunks(buffer, start)
            if taken is None:
                return None
            body, consumed = taken
        else:
            length_text = headers.get("content-length", "0")
            if not length_text.isdigit():
                raise ValueError("malformed Content-Length")
            length = int(length_text)
            if length > MAX_BODY_BYTES:
                raise ValueError("request body too large")
            consumed = start + length
            if len(buffer) < consumed:
                return None
            body = bytes(buffer[start:consumed])
        del buffer[:consumed]
        self._continued = False
        if parts[2] == "HTTP/1.0" and "connection" not in headers:
            headers["connection"] = "close"
        return Request(parts[0].upper(), parts[1], headers, body, self._scheme, self._peer)

    def _send(self, request: Request, response: Response) -> None:
        closing = request.headers.get("connection", "").lower() == "close"
        if closing:
            response.headers["Connection"] = "close"
        self._write(response, head_only=request.method == "HEAD")
        if self._transport is None:
            return
        if response.cut_after_bytes is not None:
            self._reset()
        elif closing:
            self._transport.close()

    def _write(self, response: Response, *, head_only: bool = False) -> None:
        reason = _REASONS.get(response.status, "Status")
        lines = [f"HTTP/1.1 {response.status} {reason}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        if response.status != 204:
            lines.append(f"Content-Length: {len(response.body)}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        body = response.body
        if response.cut_after_bytes is not None:
            # What arrives before a reset can still be read, so a reply without a body is cut in
            # its head: a whole head would be a whole reply.
            if not body:
                head = head[: len(head) // 2]
            body = body[: response.cut_after_bytes]
        if self._transport is None:
            return
        if head_only or response.status == 204:
            self._transport.write(head)
        elif len(body) < 65536:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)

    def _reset(self) -> None:
        """Break the connection so that the client sees a reset, not an orderly end."""
        transport = self._transport
        if transport is None:
            return
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


def _take_chunks(buffer: bytearray, start: int) -> tuple[bytes, int] | None:
    """Decode a chunked body, or None while it is incomplete."""
    body = bytearray()
    position = start
    while True:
        line_end = buffer.find(b"\r\n", position)
        if line_end < 0:
            return None
        size_text = bytes(buffer[position:line_end]).partition(b";")[0].strip()
        size = int(size_text, 16)
        position = line_end + 2
        if size == 0:
            trailer_end = buffer.find(b"\r\n", position)
            while trailer_end > position:
                position = trailer_end + 2
                trailer_end = buffer.find(b"\r\n", position)
            if trailer_end < 0:
                return None
            return bytes(body), trailer_end + 2
        if len(body) + size > MAX_BODY_BYTES:
            raise ValueError("request body too large")
        if len(buffer) < position + size + 2:
            return None
        body += buffer[position : position + size]
        position += size + 2


class HttpServer:
    """Serve a handler from a thread of this process.

    Requests are handled one at a time on the server's own thread, so a handler needs no locks
    against itself.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._handler = handler
        self._host = host
        self._port = port
        self._tls = tls
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._connections: set[_Connection] = set()
        self.port = 0

    @property
    def base_url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}"

    def start(self) -> str:
        """Start listening and return the base URL.

        Raises:
            OSError: the port is taken.
        """
        self._thread = threading.Thread(target=self._run, name="sandbox-http", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self.base_url

    def stop(self) -> None:
        """Stop listening, break open connections and join the thread; idempotent."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._loop = None
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        self._thread = None

    def _run(self) -> None:
        loop = asyncio.new_event_loop()
        scheme = "https" if self._tls else "http"
        try:
            server = loop.run_until_complete(
                loop.create_server(
                    lambda: _Connection(self._handler, scheme, self._connections),
                    self._host,
                    self._port,
                    ssl=self._tls,
                    backlog=256,
                )
            )
        except OSError as error:
            self._failure = error
            self._ready.set()
            loop.close()
            return
        self.port = int(server.sockets[0].getsockname()[1])
        self._loop = loop
        self._ready.set()
        try:
            loop.run_forever()
        finally:
            server.close()
            for connection in list(self._connections):
                connection.close()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
