"""A process that forks commands, each of which can die at a chosen durable write.

It imports the product once; a command then starts in a hundredth of a second and is a process of
its own, with its own pid, that `kill -9` really kills. Run as a script: one JSON request a line on
stdin, one JSON answer a line on stdout. It never runs two threads itself, so forking is safe.

What counts as a durable write of a command: each file synced, named, renamed, removed; each
directory synced; each commit of a database; each request to Graph that is no read. At the chosen
one the process kills itself, before or after it, or leaves what a power loss may leave: half a
file that was not synced yet, a name that the directory had not kept yet.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_QUESTIONS = ("getByIds", "getAvailableExtensionProperties")  # asked by POST; they write nothing
PRELOADED = (
    "reentra.app",
    "reentra.backup",
    "reentra.catalog",
    "reentra.cli.root",
    "reentra.cli.backup",
    "reentra.cli.browse",
    "reentra.cli.check",
    "reentra.cli.endings",
    "reentra.cli.init",
    "reentra.cli.jobs",
    "reentra.cli.rebuild",
    "reentra.cli.restore",
    "reentra.cli.running",
    "reentra.cli.snapshots",
    "reentra.graph.client",
    "reentra.restore.apply",
    "reentra.restore.plan",
    "reentra.tasks",
    "alembic.command",
    "dbos",
)


class Fuse:
    """Counts the durable writes of this process and blows at the chosen one."""

    def __init__(self, at: int, phase: str, trail: str) -> None:
        self._at = at
        self._phase = phase
        self._trail = os.open(trail, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._lock = threading.RLock()
        self._count = 0
        # Rows that each connection has changed so far; one that is kept here is not mistaken for a
        # later one at the same place in memory.
        self._changes: dict[Any, int] = {}
        self._named: list[str] = []  # names that their directory was not synced for yet

    def install(self) -> None:
        import requests
        from sqlalchemy.engine import default

        self._wrap(os, "fsync", self._sync)
        self._wrap(os, "link", self._link)
        self._wrap(Path, "replace", self._rename)
        self._wrap(Path, "unlink", self._unlink)
        self._wrap(default.DefaultDialect, "do_commit", self._commit)
        self._wrap(requests.Session, "send", self._send)

    def _wrap(self, owner: Any, name: str, around: Callable[..., Any]) -> None:
        real = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return around(lambda: real(*args, **kwargs), *args, **kwargs)

        setattr(owner, name, wrapped)

    def _point(self, what: str, do: Callable[[], Any], tear: Callable[[], None]) -> Any:
        # One durable write at a time, so that what the trail says is what was done.
        with self._lock:
            self._count += 1
            os.write(self._trail, f"{what}\n".encode())
            if self._count != self._at:
                return do()
            if self._phase == "torn":
                tear()
            if self._phase == "after":
                with contextlib.suppress(OSError):
                    do()
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()
            return None

    def _sync(self, do: Callable[[], Any], handle: int) -> Any:
        def halve() -> None:
            os.ftruncate(handle, os.fstat(handle).st_size // 2)

        def forget() -> None:
            for name in self._named:
                os.unlink(name)  # noqa: PTH108  Path.unlink is wrapped

        if stat.S_ISDIR(os.fstat(handle).st_mode):
            result = self._point("sync directory", do, forget)
            self._named.clear()
            return result
        return self._point("sync file", do, halve)

    def _link(self, do: Callable[[], Any], source: Any, target: Any) -> Any:
        result = self._point(f"name {_short(target)}", do, lambda: None)
        self._named.append(str(target))
        return result

    def _rename(self, do: Callable[[], Any], source: Path, target: Any) -> Any:
        return self._point(f"rename {_short(target)}", do, lambda: None)

    def _unlink(self, do: Callable[[], Any], path: Path, **_: Any) -> Any:
        return self._point(f"remove {_short(path)}", do, lambda: None)

    def _commit(self, do: Callable[[], Any], _dialect: Any, connection: Any) -> Any:
        inner = connection.dbapi_connection
        changes = inner.total_changes
        if self._changes.get(inner, 0) == changes:
            return do()  # it only read
        self._changes[inner] = changes
        return self._point("commit", do, lambda: None)

    def _send(self, do: Callable[[], Any], _session: Any, request: Any, **_: Any) -> Any:
        if request.method == "GET" or request.url.endswith(("/token", *_QUESTIONS)):
            return do()
        if request.url.endswith("$batch") and not _writes(request.body):
            return do()
        return self._point(f"graph {request.method} {_short(request.url)}", do, lambda: None)


def _writes(body: bytes | str) -> bool:
    return any(
        part["method"] != "GET" and not part["url"].endswith(_QUESTIONS)
        for part in json.loads(body)["requests"]
    )


def _short(path: Any) -> str:
    return "/".join(str(path).split("?", 1)[0].rsplit("/", 3)[1:])


def rotate(*arguments: str) -> int:
    """Change the passphrase and then rotate the keys of the repository at a path."""
    from reentra import repository as repositories
    from reentra.repository import KdfCost

    path, old, new = arguments
    cheap = KdfCost(memory_kib=64, iterations=1, lanes=1)
    opened = repositories.Repository.open(repositories.open_storage(path), old)
    opened.change_passphrase(old, new, cost=cheap)
    opened.rotate(new, cost=cheap)
    return 0


def hasten() -> None:
    """Shorten the long waits for Graph's replicas: the sandbox has none that lag here."""
    from reentra import clock

    real = clock.SystemClock.sleep

    def sleep(self: clock.SystemClock, seconds: float) -> None:
        real(self, seconds if seconds < 0.9 else seconds / 50)

    clock.SystemClock.sleep = sleep  # type: ignore[method-assign]


def leave_nothing_to_chance() -> None:
    """Make the number of durable writes depend on what is done alone, not on luck or speed.

    A segment's folder is made, and its parent synced, unless an earlier segment's id began alike;
    and how far a job is gets written once a second. So ids begin as counted and stay random after
    that, and a job's progress is written at its beginning and its end.
    """
    from reentra import clock
    from reentra.jobs import runner

    real = clock.new_id
    count = itertools.count(1)

    def new_id(length_bytes: int = 8) -> str:
        return f"{next(count) % 256:02x}{real(length_bytes)[2:]}"

    clock.new_id = new_id
    runner.PROGRESS_SECONDS = float("inf")


def run(request: dict[str, Any]) -> int:
    """Be the command; returns its exit code."""
    os.setsid()
    os.environ.clear()
    os.environ.update(request["environment"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{request['folder']}/{name}", flags, 0o600), number)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, m) for n, m in ((0, "r"), (1, "w"), (2, "w")))
    from reentra.repository import KdfCost, Repository

    cheap = KdfCost(memory_kib=64, iterations=1, lanes=1)
    Repository.create.__func__.__kwdefaults__["cost"] = cheap  # type: ignore[attr-defined]
    from reentra.graph import client, pace

    rows = request["environment"].get("TEST_CHECKPOINT_ROWS")
    if rows:
        importlib.import_module("reentra.backup.engine").CHECKPOINT_ROWS = int(rows)  # type: ignore[attr-defined]
    client.connect.__kwdefaults__["limits"] = pace.Limits().scaled(1_000)
    hasten()
    if request.get("fuse") is not None:
        leave_nothing_to_chance()
        Fuse(*request["fuse"], f"{request['folder']}/trail").install()
    arguments = request["arguments"]
    if arguments[0] == "rotate":
        return rotate(*arguments[1:])
    from reentra.cli import root

    code = root.run(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def answer(**values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def main() -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    answer(ready=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer(code=os.waitstatus_to_exitcode(status))
            continue
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                code = run(request)
            finally:
                os._exit(code)
        answer(pid=pid)


if __name__ == "__main__":
    main()
