"""The real command in a process of its own, against a sandbox in this one."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reentra.cli import root
from reentra.sandbox import seed as seeds
from reentra.sandbox.app import SandboxServer

PASSPHRASE = "correct horse battery staple"
TENANT = "contoso"


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The last line of stdout, which is the JSON result."""
        return json.loads(self.out.splitlines()[-1])


@dataclass
class Cli:
    """Runs `reentra` with a home of its own."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "reentra", *arguments]

    def variables(self, **more: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("REENTRA_")}
        return {**kept, "COLUMNS": "80", "REENTRA_HOME": str(self.home), **self.environment, **more}

    def __call__(self, *arguments: str, expect: int | None = 0, **variables: str) -> Result:
        done = subprocess.run(
            self.command(*arguments),
            env=self.variables(**variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if expect is not None:
            assert done.returncode == expect, f"{arguments}: {done.returncode}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    def json(self, *arguments: str, expect: int | None = 0, **variables: str) -> Any:
        return self(*arguments, "--json", expect=expect, **variables).document


@dataclass
class QuickCli(Cli):
    """The same in this process: what a command does, without what its start costs."""

    def __call__(self, *arguments: str, expect: int | None = 0, **variables: str) -> Result:
        out, err = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            for name in os.environ:
                if name.startswith("REENTRA_"):
                    patch.delenv(name)
            for name, value in self.variables(**variables).items():
                patch.setenv(name, value)
            code = root.run(arguments)
        if expect is not None:
            assert code == expect, f"{arguments}: {code}\n{err.getvalue()}"
        assert "Traceback" not in err.getvalue()
        return Result(code, out.getvalue(), err.getvalue())


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A command with an empty home and a passphrase in the environment."""
    return QuickCli(tmp_path / "home", {"REENTRA_PASSPHRASE": PASSPHRASE})


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(seed_name="small") as server:
        yield server


def init_cheaply(cli: Cli) -> None:
    """Make the repository as `init` does, with a key that costs nothing to derive."""
    from reentra.app import Application
    from reentra.repository import KdfCost, Repository
    from reentra.settings import Settings

    chosen = Settings(home=cli.home, repository="", database_url="")
    with Application(chosen, lambda: PASSPHRASE) as application:
        url = str(chosen.default_repository_path)
        cost = KdfCost(memory_kib=8, iterations=1, lanes=1)
        Repository.create(application.storage(url), PASSPHRASE, cost=cost)
        application.record_repository(url)


def connect(cli: Cli, server: SandboxServer, client_id: str = seeds.BOTH_CLIENT_ID) -> Result:
    secret = cli.home.parent / "client-secret"
    secret.write_text(seeds.SANDBOX_SECRET + "\n")
    return cli(
        *("tenant", "connect", TENANT, "--tenant-id", seeds.TENANT_ID, "--client-id", client_id),
        *("--client-secret-file", str(secret)),
        *("--graph-endpoint", server.base_url, "--authority", server.base_url),
    )
