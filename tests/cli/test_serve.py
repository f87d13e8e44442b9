"""`serve`: where it listens, how it stops, and that a restart loses no job."""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from reentra.sandbox.app import SandboxServer

from .conftest import TENANT, Cli, connect, init_cheaply

PASSWORD = "seven grey lamps at dawn"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Served:
    """A serving process, and requests to it."""

    def __init__(self, cli: Cli) -> None:
        self.port = free_port()
        self.process = subprocess.Popen(
            cli.command("serve", "--port", str(self.port), "--json"),
            env=cli.variables(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], 60)[0], "it did not begin to serve"
        self.ready = json.loads(self.process.stdout.readline())
        self.headers = {"Content-Type": "application/json"}

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, f"/api/v1{path}", text, self.headers)
            answer = connection.getresponse()
            if cookie := answer.getheader("set-cookie"):
                self.headers["Cookie"] = cookie.partition(";")[0]
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def sign_in(self) -> None:
        status, document = self("POST", "/session", {"name": "admin", "password": PASSWORD})
        assert status == 200, document
        self.headers["X-CSRF-Token"] = document["csrf_token"]

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=60)


@contextlib.contextmanager
def serving(cli: Cli) -> Iterator[Served]:
    made = Served(cli)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()
        for stream in (made.process.stdout, made.process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def ready(cli: Cli, sandbox: SandboxServer) -> Cli:
    init_cheaply(cli)
    connect(cli, sandbox)
    return cli


def test_it_listens_elsewhere_only_when_tls_is_seen_to(ready: Cli) -> None:
    refused = ready("serve", "--host", "0.0.0.0", expect=4)
    assert "in the clear" in refused.err
    assert "--behind-proxy" in refused.err
    half = ready("serve", "--host", "0.0.0.0", "--tls-key", "key.pem", expect=2)
    assert "certificate and its key" in half.err
    plain = ready("serve", "--host", "0.0.0.0", "--behind-proxy", expect=2)
    assert "REENTRA_PUBLIC_URL" in plain.err


def test_the_first_start_makes_an_administrator_and_a_stop_is_clean(ready: Cli) -> None:
    with serving(ready) as served:
        secret = served.ready["set_up"].partition("#")[2]
        assert served("POST", "/set-up", {"secret": secret, "password": PASSWORD})[0] == 200
        served.sign_in()
        status, job = served("POST", f"/tenants/{TENANT}/backups", {})
        assert status == 202
        taken = ready("serve", "--port", str(served.port), expect=2)
        assert "Nothing can listen" in taken.err
        wait(lambda: served("GET", f"/tenants/{TENANT}/jobs/{job['id']}")[1]["finished_at"])
        assert served.stop() == 0
    listed = ready.json("jobs", "list")
    assert [(j["id"], j["status"]) for j in listed] == [(job["id"], "succeeded")]
    assert len(ready.json("snapshots", TENANT)) == 1
    actions = [(r["action"], r["result"]) for r in ready.json("audit", "list")]
    assert ("serve", "begun") in actions
    assert ("serve", "done") in actions
    with serving(ready) as served:
        assert served.ready["set_up"] == ""  # there is an administrator already


def wait(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_in_the_middle_of_jobs_loses_none(ready: Cli, number: int) -> None:
    ready("people", "add", "admin", "--role", "administrator")
    file = ready.home.parent / "password"
    file.write_text(PASSWORD)
    ready("people", "password", "admin", "--password-file", str(file))
    with serving(ready) as served:
        served.sign_in()
        first = served("POST", f"/tenants/{TENANT}/backups", {})[1]["id"]
        check = served("POST", "/check", {"quick": False})[1]["id"]
        rebuild = served("POST", "/rebuild")[1]["id"]
        wait(lambda: served("GET", f"/tenants/{TENANT}/jobs/{first}")[1]["status"] == "running")
        served.stop(number)
    database = sqlite3.connect(ready.home / "jobs.sqlite")
    states = dict(database.execute("SELECT id, status FROM job").fetchall())
    database.close()
    assert set(states) == {first, check, rebuild}
    ready("browse", TENANT, expect=None)  # another process does not take them for its own
    with serving(ready) as served:
        served.sign_in()
        for path in (f"/tenants/{TENANT}/jobs/{first}", f"/jobs/{check}", f"/jobs/{rebuild}"):
            wait(lambda path=path: served("GET", path)[1]["finished_at"] is not None)
            assert served("GET", path)[1]["status"] == "succeeded", path
        assert served.stop() == 0
    assert len(ready.json("snapshots", TENANT)) == 1
    assert ready.json("audit", "verify")["whole"]


@pytest.mark.slow
def test_a_schedule_is_kept_and_a_missed_run_is_caught_up_once(ready: Cli) -> None:
    ready("schedule", TENANT, "every 1h")
    database = sqlite3.connect(ready.home / "access.sqlite")
    with database:
        database.execute("UPDATE access_schedule SET after = '2026-01-01T00:00:00Z'")
    database.close()
    with serving(ready) as served:
        wait(lambda: [j for j in ready.json("jobs", "list") if j["status"] == "succeeded"])
        assert len(ready.json("jobs", "list")) == 1
        assert ready.json("schedule", TENANT)["next_at"] > "2026-11"
        assert served.stop(signal.SIGINT) == 0
    assert [job["who"] for job in ready.json("jobs", "list")] == ["reentra"]
