"""A hundred people read through the real server, alone and beside a full backup."""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reentra.sandbox import seed_people

from . import child, pages
from .acts import PASSPHRASE
from .sizes import Size
from .tenant import TENANT_NAME

READERS = 100
_EVERY_SECONDS = 1.0  # how often one of them asks for something
_ALONE_SECONDS = 15.0
_FLAT_OUT_SECONDS = 5.0
_LONGEST_SECONDS = 900.0
_PASSWORD = "seven grey lamps at dawn"
_PREFIX = "/api/v1"
_SNAPSHOTS = f"/tenants/{TENANT_NAME}/snapshots"


@dataclass
class Caller:
    """One connection of somebody who is signed in."""

    port: int
    cookie: str = ""
    csrf: str = ""
    pid: int = 0
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Cookie": f"reentra={self.cookie}", "X-CSRF-Token": self.csrf}
        sent = None if body is None else json.dumps(body)
        if sent is not None:
            headers["Content-Type"] = "application/json"
        self.connection.request(method, _PREFIX + path, sent, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text.decode()}")
        if cookie := answer.headers.get("set-cookie", ""):
            self.cookie = cookie.partition("=")[2].partition(";")[0]
        return json.loads(text)

    def another(self) -> Caller:
        return Caller(self.port, self.cookie, self.csrf)


def measure(home: Path, size: Size, numbers: dict[str, float], say: Callable[[str], None]) -> None:
    """Add what reading costs people, with nothing beside it and with a full backup."""
    child.run("furnish", home)
    with served(home) as caller:
        say("pages, one reader")
        pages.measure(caller, size, numbers)
        say(f"{READERS} readers, alone")
        _read(caller, size, numbers, "reads_alone", seconds=_ALONE_SECONDS)
        say(f"{READERS} readers, without a pause")
        _read(caller, size, numbers, "reads_flat_out", seconds=_FLAT_OUT_SECONDS, every=0.0)
        say(f"{READERS} readers, beside a full backup")
        job = caller("POST", f"/tenants/{TENANT_NAME}/backups", {"full": True})["id"]
        began = time.perf_counter()

        def has_ended() -> bool:
            found = caller("GET", f"/tenants/{TENANT_NAME}/jobs/{job}")
            if found["finished_at"] is not None and found["status"] != "succeeded":
                raise RuntimeError(f"The backup beside the readers ended so: {found}")
            return found["finished_at"] is not None

        _read(caller, size, numbers, "reads_beside_backup", until=has_ended)
        numbers["reads_beside_backup_wall_seconds"] = time.perf_counter() - began
    if size.year_snapshots:
        say("pages, a year of hourly snapshots")
        year = home.parent / "year"
        child.run("live_a_year", year, size.year_snapshots)
        with served(year) as caller:
            pages.measure_year(caller, numbers)


def _read(
    caller: Caller,
    size: Size,
    numbers: dict[str, float],
    name: str,
    *,
    seconds: float = _LONGEST_SECONDS,
    every: float = _EVERY_SECONDS,
    until: Callable[[], bool] = lambda: False,
) -> None:
    stop = threading.Event()
    taken: dict[str, list[float]] = {"list": [], "object": []}
    failures: list[BaseException] = []
    readers = [
        threading.Thread(
            target=_reader, args=(caller.another(), size, index, every, stop, taken, failures)
        )
        for index in range(READERS)
    ]
    began = time.perf_counter()
    for reader in readers:
        reader.start()
    try:
        while time.perf_counter() - began < seconds and not failures and not until():
            time.sleep(0.25)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    if failures:
        raise failures[0]
    numbers[f"{name}_per_second"] = sum(map(len, taken.values())) / (time.perf_counter() - began)
    for what, values in taken.items():
        cuts = statistics.quantiles(values, n=100, method="inclusive")
        numbers[f"{name}_{what}_p50_ms"] = cuts[49] * 1000
        numbers[f"{name}_{what}_p95_ms"] = cuts[94] * 1000


def _reader(
    caller: Caller,
    size: Size,
    index: int,
    every: float,
    stop: threading.Event,
    taken: dict[str, list[float]],
    failures: list[BaseException],
) -> None:
    chance = random.Random(index)
    cursor = ""
    stop.wait(chance.random() * every)
    try:
        while not stop.is_set():
            what = chance.choice(("list", "object"))
            of = f"{_SNAPSHOTS}/latest/kinds/user/objects"
            if what == "list":
                path = f"{of}?limit=100&cursor={cursor}"
            else:
                path = f"{of}/{seed_people.bulk_guid('user', chance.randrange(size.users))}"
            began = time.perf_counter()
            found = caller("GET", path)
            spent = time.perf_counter() - began
            taken[what].append(spent)
            if what == "list":
                cursor = found["next"]
            if every:
                stop.wait(max(0.0, every - spent))
    except (RuntimeError, OSError, http.client.HTTPException) as failure:
        failures.append(failure)


@contextmanager
def served(home: Path) -> Iterator[Caller]:
    """Run `reentra serve`, and yield an administrator's way to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "REENTRA_HOME": str(home),
        "REENTRA_PASSPHRASE": PASSPHRASE,
        "REENTRA_PUBLIC_URL": f"http://127.0.0.1:{port}",
    }
    command = [sys.executable, "-m", "reentra", "serve", "--port", str(port), "--json"]
    with (home.parent / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log)
    assert process.stdout is not None
    try:
        document = next((line for line in process.stdout if line.startswith(b"{")), b"")
        if b'"set_up"' not in document:
            told = (home.parent / "serve.log").read_text()
            raise RuntimeError(f"serve did not start: {document.decode()}{told}")
        caller = Caller(port, pid=process.pid)
        secret = json.loads(document)["set_up"].rpartition("#")[2]
        caller("POST", "/set-up", {"secret": secret, "password": _PASSWORD})
        caller.csrf = caller("POST", "/session", {"name": "admin", "password": _PASSWORD})[
            "csrf_token"
        ]
        yield caller
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
