"""A sandbox, an installation with a past, ``reentra serve`` in a process of its own, a browser."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reentra.cli import demo_tenant
from reentra.cli.demo_tenant import DemoTenant, Script
from reentra.web.assets import FOLDER

from . import staging
from .hands import Keyboard, Mouse, Visitor
from .window import AXE, Visitors

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
_ROOT = Path(__file__).parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs a browser."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@dataclass
class Serving:
    """``reentra serve`` on an installation, in a process of its own."""

    home: Path
    port: int
    base: str
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def begin(self, *options: str) -> None:
        """Start it and wait until it listens."""
        port = ("--port", str(self.port))
        command = (sys.executable, "-m", "reentra", "serve", "--json", *port, *options)
        with (self.home / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, env=self._environment()
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (self.home / "serve.log").read_text()
        assert json.loads(line)["event"] == "serving"

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=20)

    def end(self) -> None:
        """End it as an administrator would."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if "REENTRA_" not in name}
        return {
            **kept,
            "REENTRA_HOME": str(self.home),
            "REENTRA_PASSPHRASE": staging.PASSPHRASE,
            "REENTRA_PUBLIC_URL": self.base,
            **self.environment,
        }


@dataclass(kw_only=True)
class Stage(Serving):
    """A served installation with a tenant. ``facts`` are the ids of what is in it."""

    tenant: DemoTenant
    facts: dict[str, Any]

    def spare(self, number: int) -> list[str]:
        """Return the ids of users whom no other journey has harmed or will harm."""
        found = [self.facts["spare"].pop(0) for _ in range(number)]
        assert len(found) == number
        return found

    @contextlib.contextmanager
    def script(self) -> Iterator[Script]:
        """Yield a way to change the tenant that knows nothing of the product."""
        script = Script(self.tenant)
        try:
            yield script
        finally:
            script.close()


@contextlib.contextmanager
def staged(seed: str = "small") -> Iterator[Stage]:
    """Make an installation and serve it while the block runs."""
    folder = Path(tempfile.mkdtemp(prefix="reentra-browser-"))
    try:
        with demo_tenant.serving(folder, seed, "off") as tenant:
            home, port = folder / "home", free_port()
            command = (
                *(sys.executable, "-m", "tests.browser.staging", str(home), tenant.url),
                *(tenant.tenant_id, tenant.client_id, str(tenant.secret_file)),
            )
            done = subprocess.run(command, capture_output=True, text=True, cwd=_ROOT, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            facts = json.loads(done.stdout.splitlines()[-1])
            base = f"http://127.0.0.1:{port}"
            made = Stage(home=home, port=port, base=base, tenant=tenant, facts=facts)
            with made.script() as script:
                address = f"{made.base}/api/v1/session/oidc/callback"
                client = {"client_id": tenant.client_id, "redirect_uris": [address]}
                script.control("POST", "clients/redirect-uris", client)
            made.begin()
            try:
                yield made
            finally:
                made.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def browsing() -> Iterator[Any]:
    """Run a browser while the block runs."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, launched(playwright) as browser:
        yield browser


@contextlib.contextmanager
def launched(playwright: Any, *flags: str) -> Iterator[Any]:
    """Run a browser with more flags than ours while the block runs."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
    try:
        yield browser
    finally:
        browser.close()


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """The served installation that all journeys of a process share."""
    skip_without_browser()
    with staged() as made:
        yield made


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    """Playwright, of which a process has one."""
    skip_without_browser()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(driver: Any) -> Iterator[Any]:
    with launched(driver) as found:
        yield found


@pytest.fixture(scope="session")
def _visitors(browser: Any, stage: Stage) -> Visitors:
    return Visitors(browser, stage.base)


@pytest.fixture
def visitors(_visitors: Visitors) -> Iterator[Visitors]:
    """Windows for people, closed when the test ends."""
    yield _visitors
    _visitors.close()


@pytest.fixture(params=[Mouse, Keyboard], ids=["mouse", "keyboard"])
def visit(request: pytest.FixtureRequest, visitors: Visitors) -> Callable[..., Visitor]:
    """A way for somebody to come in; each journey is walked with either hand."""

    def come(person: str = "admin", path: str = "", **more: Any) -> Visitor:
        visitor = Visitor(request.param(visitors.window(person, **more)))
        return visitor.open(path) if path else visitor

    return come


def skip_without_browser() -> None:
    pytest.importorskip("playwright", reason="Playwright is not installed: make setup-all")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    if not AXE.exists() or not (FOLDER / "assets.json").exists():
        pytest.skip("the pages' files are not built: make web")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
