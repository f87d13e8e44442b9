"""A scripted Graph on a loopback socket, for what happens below HTTP, and a clock that never waits.

The sandbox imitates Graph; this imitates its network: answers that are cut, connections that are
reset, bodies that are HTML. Each script entry is used once, in order, and a test fails when an
entry was left over.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from reentra.graph import auth, throttle
from reentra.graph.client import GraphClient, connect

TENANT = "11111111-2222-3333-4444-555555555555"
APP = "99999999-8888-7777-6666-555555555555"
SECRET = "canary-secret-Zx81~never-in-a-log"


class FakeClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 1_000.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def now(self) -> dt.datetime:
        return dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=self.seconds)

    def monotonic_seconds(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.seconds += max(seconds, 0.0)


@dataclass(frozen=True)
class Reply:
    """One answer; ``cut_after`` ends the body early, ``is_reset`` breaks before any answer."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    content_type: str = "application/json"
    cut_after: int | None = None
    is_reset: bool = False
    is_silent: bool = False
    is_chunked: bool = False


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = Reply | Callable[[Seen], Reply]


def problem(status: int, code: str, message: str = "no", **headers: str) -> Reply:
    """Return an answer in Graph's error envelope."""
    body = {
        "error": {
            "code": code,
            "message": message,
            "innerError": {"request-id": "req-1", "date": "2026-01-01T00:00:00"},
        }
    }
    return Reply(
        status, body, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def jwt(claims: Mapping[str, Any], serial: int = 0) -> str:
    """Return an unsigned token with these claims."""

    def part(value: Mapping[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256', 'n': serial})}.{part(claims)}.c2ln"


class ScriptedGraph:
    """Answers requests from a queue, or from ``otherwise`` when the queue is empty."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.otherwise: Answer | None = None
        self.seen: list[Seen] = []
        self.token_script: list[Reply] = []
        self.token_requests: list[Seen] = []
        self.tokens: list[str] = []
        self.roles: list[str] = ["User.Read.All"]
        self.expires_in = 3600
        self.lock = threading.Lock()
        graph = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                return

            def _handle(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                seen = Seen(
                    self.command,
                    self.path,
                    {name.lower(): value for name, value in self.headers.items()},
                    self.rfile.read(length),
                )
                reply = graph.reply_to(seen)
                if reply.is_reset:
                    self.connection.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
                    self.connection.close()
                    self.close_connection = True
                    return
                if reply.is_silent:
                    graph.released.wait(10)
                    self.close_connection = True
                    return
                payload = reply.raw
                if payload is None:
                    payload = b"" if reply.body is None else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                if payload:
                    self.send_header("Content-Type", reply.content_type)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.is_chunked:
                    # One chunk that promises the whole body, and no end of the chunks when cut.
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    self.wfile.write(b"%x\r\n" % len(payload))
                    self.wfile.write(payload[: reply.cut_after])
                    self.wfile.write(b"" if reply.cut_after is not None else b"\r\n0\r\n\r\n")
                    self.close_connection = reply.cut_after is not None
                    return
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                if reply.cut_after is not None:
                    self.wfile.write(payload[: reply.cut_after])
                    self.wfile.flush()
                    self.close_connection = True
                    return
                self.wfile.write(payload)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _handle  # noqa: N815

        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def reply_to(self, seen: Seen) -> Reply:
        with self.lock:
            if seen.path.endswith("/oauth2/v2.0/token"):
                self.token_requests.append(seen)
                return self.token_script.pop(0) if self.token_script else self._token()
            self.seen.append(seen)
            if self.script:
                answer = self.script.pop(0)
            elif self.otherwise is not None:
                answer = self.otherwise
            else:
                return problem(501, "ScriptEnded", "the test's script has no further answer")
        return answer if isinstance(answer, Reply) else answer(seen)

    def _token(self) -> Reply:
        token = jwt({"roles": self.roles, "tid": TENANT}, len(self.tokens))
        self.tokens.append(token)
        return Reply(
            200, {"token_type": "Bearer", "expires_in": self.expires_in, "access_token": token}
        )

    def page(self, items: list[dict[str, Any]], next_path: str = "", **more: Any) -> Reply:
        body: dict[str, Any] = {"value": items, **more}
        if next_path:
            body["@odata.nextLink"] = self.url + next_path
        return Reply(200, body)

    def stop(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    # --- clients ---------------------------------------------------------------------------

    def connection(self, **changes: Any) -> auth.TenantConnection:
        values: dict[str, Any] = {
            "name": "t",
            "tenant_id": TENANT,
            "client_id": APP,
            "cloud": auth.Cloud.CUSTOM,
            "graph_endpoint": self.url,
            "authority": self.url,
        }
        return auth.TenantConnection(**{**values, **changes})

    def client(self, clock: FakeClock, **limits: Any) -> GraphClient:
        return connect(
            self.connection(), lambda: SECRET, limits=throttle.Limits(**limits), clock=clock
        )
