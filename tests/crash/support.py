"""A tenant that can be renewed, an installation that can be copied, commands that die in it."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reentra import repository as repositories
from reentra.catalog import Catalog
from reentra.database import JobStep, JobStore, Part, open_database
from reentra.directory import canonical
from reentra.directory.kinds import KINDS
from reentra.directory.relationships import RELATIONSHIPS
from reentra.directory.state import TenantState
from reentra.graph.reader import LiveTenant
from reentra.repository import Manifest, Repository, Severity
from reentra.sandbox import seed as seeds
from reentra.sandbox.app import Sandbox
from reentra.sandbox.http import HttpServer, Request, Response
from reentra.snapshots import ReplayedSnapshot
from tests.backup import support as backups

PASSPHRASE = "correct horse battery staple"
PASSWORD = "Password-Canary-77!"
NAME = "contoso"
TENANT_ID = seeds.TENANT_ID
ZYGOTE = Path(__file__).with_name("zygote.py")
CHEAP = repositories.KdfCost(memory_kib=64, iterations=1, lanes=1)


# --- the tenant ------------------------------------------------------------------------------


class Stage:
    """One address at which a fresh tenant can be put up again and again."""

    def __init__(self, **seed: Any) -> None:
        self._seed = seed or {"seed_name": "small"}
        self.sandbox = Sandbox(**self._seed)
        self._server = HttpServer(self._handle, host="127.0.0.1", port=0, tls=None)

    def _handle(self, request: Request) -> Response:
        return self.sandbox.handle(request)

    def __enter__(self) -> Stage:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @property
    def base_url(self) -> str:
        return self._server.base_url

    def renew(self) -> Sandbox:
        """Put the tenant back to its first day."""
        self.sandbox = Sandbox(**self._seed)
        return self.sandbox

    def live(self) -> LiveTenant:
        return LiveTenant(backups.connected(self, "both"))  # type: ignore[arg-type]


# --- commands --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fuse:
    """Where a command dies: at which durable write, and how (``before``, ``torn``, ``after``)."""

    at: int
    phase: str


@dataclass(frozen=True)
class Ended:
    """How a command ended; ``code`` is -9 when it was killed."""

    code: int
    out: str
    err: str
    trail: tuple[str, ...]

    @property
    def was_killed(self) -> bool:
        return self.code == -signal.SIGKILL

    @property
    def document(self) -> Any:
        return json.loads(self.out.splitlines()[-1])


class Zygote:
    """Starts commands as processes of their own, quickly."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self._process = subprocess.Popen(
            [sys.executable, str(ZYGOTE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == {"ready": True}

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    def start(
        self, arguments: Iterable[str], environment: dict[str, str], fuse: Fuse | None = None
    ) -> Running:
        self._number += 1
        folder = self._folder / str(self._number)
        folder.mkdir(parents=True)
        kept = {k: v for k, v in os.environ.items() if not k.startswith("REENTRA_")}
        pid = self._ask(
            arguments=list(arguments),
            environment={**kept, "COLUMNS": "80", **environment},
            folder=str(folder),
            fuse=None if fuse is None else (fuse.at, fuse.phase),
        )["pid"]
        return Running(self, pid, folder)

    def _ask(self, **request: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def wait(self, pid: int) -> int:
        return int(self._ask(wait=pid)["code"])


@dataclass
class Running:
    """A command under way."""

    zygote: Zygote
    pid: int
    folder: Path

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> Ended:
        code = self.zygote.wait(self.pid)
        trail = self.folder / "trail"
        ended = Ended(
            code,
            (self.folder / "out").read_text() if (self.folder / "out").exists() else "",
            (self.folder / "err").read_text() if (self.folder / "err").exists() else "",
            tuple(trail.read_text().splitlines()) if trail.exists() else (),
        )
        assert "Traceback" not in ended.err, ended.err
        return ended


# --- the installation ------------------------------------------------------------------------


@dataclass
class Installation:
    """A home with its repository below it, on this machine."""

    zygote: Zygote
    home: Path
    stage: Stage
    more: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.home / "repository"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "REENTRA_HOME": str(self.home),
            "REENTRA_PASSPHRASE": PASSPHRASE,
            **self.more,
        }

    def start(self, *arguments: str, fuse: Fuse | None = None) -> Running:
        return self.zygote.start(arguments, self.environment, fuse)

    def run(self, *arguments: str, fuse: Fuse | None = None) -> Ended:
        return self.start(*arguments, fuse=fuse).wait()

    def rotate(self, old: str, new: str, fuse: Fuse | None) -> Ended:
        """Change the passphrase and then the keys."""
        return self.run("rotate", str(self.root), old, new, fuse=fuse)

    def json(self, *arguments: str, expect: int = 0) -> Any:
        ended = self.run(*arguments, "--json")
        assert ended.code == expect, (arguments, ended.code, ended.err)
        return ended.document

    def copy(self, home: Path) -> Installation:
        """Return the same installation at another place."""
        if home.exists():
            shutil.rmtree(home)
        shutil.copytree(self.home, home)
        made = dataclasses.replace(self, home=home)
        (home / "config.json").write_text(json.dumps({"repository": str(made.root)}))
        return made

    def connect(self) -> None:
        secret = self.home.parent / "client-secret"
        secret.write_text(seeds.SANDBOX_SECRET + "\n")
        address = self.stage.base_url
        ended = self.run(
            *("tenant", "connect", NAME, "--tenant-id", TENANT_ID),
            *("--client-id", seeds.BOTH_CLIENT_ID, "--client-secret-file", str(secret)),
            *("--graph-endpoint", address, "--authority", address),
        )
        assert ended.code == 0, ended.err

    # What is stored

    def open(self, secret: str = PASSPHRASE) -> Repository:
        return Repository.open(repositories.open_storage(str(self.root)), secret)

    def snapshots(self) -> list[str]:
        return self.open().list_snapshot_ids(TENANT_ID)

    def newest(self) -> Manifest:
        opened = self.open()
        return opened.load_manifest(TENANT_ID, opened.list_snapshot_ids(TENANT_ID)[-1])

    def captures(self) -> list[str]:
        return self.open().list_snapshot_ids(Repository.captures_of(TENANT_ID))

    def has_intents(self) -> bool:
        """Tell whether any restore wrote down that it was about to write."""
        with self.jobs() as jobs:
            return any(jobs.list_steps(job.id) for job in jobs.list_jobs(task="restore"))

    def newest_job(self, task: str) -> str:
        """Return the id of the job that was begun last, or ``""``."""
        with self.jobs() as jobs:
            return next((job.id for job in jobs.list_jobs(task=task, limit=1)), "")

    def steps_of(self, job_id: str) -> list[JobStep]:
        with self.jobs() as jobs:
            return jobs.list_steps(job_id)

    @contextlib.contextmanager
    def jobs(self) -> Iterator[JobStore]:
        database = open_database(f"sqlite:///{self.home / 'jobs.sqlite'}", Part.JOBS)
        try:
            yield JobStore(database)
        finally:
            database.dispose()

    def job_statuses(self, task: str) -> set[str]:
        """Return how the recorded jobs of a task ended."""
        with self.jobs() as jobs:
            return {job.status.value for job in jobs.list_jobs(task=task)}

    @contextlib.contextmanager
    def catalog(self) -> Iterator[Catalog]:
        database = open_database(f"sqlite:///{self.home / 'catalog.sqlite'}", Part.CATALOG)
        try:
            yield Catalog(database, self.open())
        finally:
            database.dispose()


def installed(zygote: Zygote, folder: Path, stage: Stage) -> Installation:
    """Make an installation that has backed the stage's tenant up once."""
    made = Installation(zygote, folder / "home", stage)
    assert made.run("init").code == 0
    made.connect()
    assert made.json("backup", NAME)["status"] == "complete"
    return made


# --- what must hold --------------------------------------------------------------------------


def print_of_bytes(repository: Repository, snapshot_id: str) -> str:
    """Return a digest of every stored byte that a snapshot consists of."""
    digest = hashlib.sha256()
    for manifest in repository.load_chain(TENANT_ID, snapshot_id):
        digest.update(manifest.sha256.encode())
        for segment in manifest.segments:
            digest.update(repository.storage.get(segment.path))
    return digest.hexdigest()


def print_of_state(state: TenantState) -> str:
    """Return a digest of what counts in a tenant's state, wherever it comes from."""
    digest = hashlib.sha256()
    known: dict[str, set[str]] = {}
    for kind in sorted(KINDS):
        items = {i.id: canonical.digest(kind, i.properties) for i in state.list_objects(kind)}
        known[kind] = set(items)
        for object_id in sorted(items):
            digest.update(f"{kind}/{object_id}".encode() + items[object_id])
    for name in sorted(RELATIONSHIPS):
        targets: set[str] = set().union(
            *(known.get(kind, set()) for kind in RELATIONSHIPS[name].target_kinds)
        )
        links = {link.key for link in state.list_relationships(name) if link.target_id in targets}
        for key in sorted(links):
            digest.update(f"{name}{key}".encode())
    return digest.hexdigest()


def assert_whole(repository: Repository) -> None:
    """Check the repository: nothing damaged, nothing odd; leavings of the dead are information."""
    report = repositories.check_repository(repository)
    odd = [one for one in report.problems if one.severity is not Severity.INFORMATION]
    assert not odd, odd


def replayed(installation: Installation, snapshot_id: str) -> ReplayedSnapshot:
    return ReplayedSnapshot(installation.open(), TENANT_ID, snapshot_id)


def deaths(trail: Iterable[str]) -> list[Fuse]:
    """Return every way to die that leaves something different behind, in order.

    Dying before a write leaves what dying after the one before it leaves, so that only the first
    write has a ``before`` of its own.
    """
    found = [Fuse(1, "before")]
    for number, what in enumerate(trail, 1):
        if what.startswith("sync"):
            found.append(Fuse(number, "torn"))
        found.append(Fuse(number, "after"))
    return found
