"""The demo's tenant: a sandbox in a process of its own, and the plain calls that a script makes."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from reentra import clock as clocks
from reentra import errors

BATCH = 20  # requests in one $batch
THROTTLED = 429
PAUSE_SECONDS = 1.2  # Conditional Access takes one request a second


@dataclass(frozen=True, slots=True)
class DemoTenant:
    """Where the sandbox listens and who may call it."""

    url: str
    tenant_id: str
    client_id: str
    secret_file: Path


@contextlib.contextmanager
def serving(folder: Path, seed: str, throttle: str) -> Iterator[DemoTenant]:
    """Run a sandbox on a free loopback port while the block runs.

    Raises: ``Error`` when it does not come up.
    """
    secret_file = folder / "client-secret"
    command = (
        *(sys.executable, "-m", "reentra", "sandbox", "serve", "--json", "--port", "0"),
        *("--seed", seed, "--throttle", throttle, "--secret-file", str(secret_file)),
    )
    with (folder / "sandbox.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  our own interpreter and our own module
            command, stdout=subprocess.PIPE, stderr=log
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise errors.Error(
                "The sandbox did not start.", hint=f"Look at {folder / 'sandbox.log'}."
            )
        ready = json.loads(line)
        yield DemoTenant(ready["url"], ready["tenant_id"], ready["client_id"], secret_file)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Script:
    """A careless script with an administrator's rights: plain HTTP, none of our own client."""

    def __init__(self, tenant: DemoTenant) -> None:
        self.url = tenant.url
        host = urlsplit(tenant.url)
        self._connection = http.client.HTTPConnection(str(host.hostname), host.port, timeout=60)
        self._token = ""
        form = urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": tenant.client_id,
                "client_secret": tenant.secret_file.read_text(encoding="utf-8").strip(),
                "scope": f"{tenant.url}/.default",
            }
        )
        answer = self._send(
            "POST",
            f"/{tenant.tenant_id}/oauth2/v2.0/token",
            form.encode(),
            "application/x-www-form-urlencoded",
        )
        self._token = answer["access_token"]

    def close(self) -> None:
        self._connection.close()

    def get(self, path: str) -> dict[str, Any]:
        return self._send("GET", _quoted(f"/v1.0{path}"))

    def post(self, path: str, body: Any) -> dict[str, Any]:
        return self._send("POST", _quoted(f"/v1.0{path}"), json.dumps(body).encode())

    def control(self, method: str, path: str, body: Any = None) -> None:
        """Set a switch of the sandbox itself, which is no part of Graph."""
        self._send(method, f"/_sandbox/{path}", json.dumps(body or {}).encode())

    def list_all(self, path: str) -> list[dict[str, Any]]:
        """Return every item of a collection, page after page."""
        found: list[dict[str, Any]] = []
        following = _quoted(f"/v1.0{path}")
        while following:
            page = self._send("GET", following)
            found.extend(page["value"])
            link = urlsplit(page.get("@odata.nextLink", ""))
            following = f"{link.path}?{link.query}" if link.path else ""
        return found

    def send_all(self, requests: Sequence[tuple[str, str, Any]]) -> None:
        """Send (method, path, body) requests in batches of twenty.

        Raises: ``Error`` when the tenant refuses one.
        """
        waiting = list(requests)
        while waiting:
            part, waiting = waiting[:BATCH], waiting[BATCH:]
            body = {
                "requests": [
                    {
                        "id": str(number),
                        "method": method,
                        "url": path,
                        **(
                            {"body": content, "headers": {"Content-Type": "application/json"}}
                            if content is not None
                            else {}
                        ),
                    }
                    for number, (method, path, content) in enumerate(part)
                ]
            }
            answers = self._send("POST", "/v1.0/$batch", json.dumps(body).encode())
            throttled = [
                part[int(answer["id"])]
                for answer in answers["responses"]
                if answer["status"] == THROTTLED
            ]
            if throttled:
                clocks.SYSTEM.sleep(PAUSE_SECONDS)
                waiting = throttled + waiting
            for answer in answers["responses"]:
                if answer["status"] >= 400 and answer["status"] != THROTTLED:
                    method, path, _ = part[int(answer["id"])]
                    raise errors.Error(f"The mishap failed: {method} {path}: {answer}")

    def _send(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if body is not None:
            headers["Content-Type"] = kind
        while True:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            content = answer.read()
            if answer.status != THROTTLED:
                break
            clocks.SYSTEM.sleep(PAUSE_SECONDS)
        if answer.status >= 400:
            raise errors.Error(f"The mishap failed: {method} {path}: {answer.status} {content!r}")
        document: dict[str, Any] = json.loads(content) if content else {}
        return document


def _quoted(path: str) -> str:
    return quote(path, safe="/?&=$(),'@:%-._~")
