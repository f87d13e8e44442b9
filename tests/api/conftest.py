"""An installation with two tenants on a sandbox, and its API without a network in between."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient

from reentra.access import EVERY_TENANT, Actor, Person, Role, Via, passwords
from reentra.api import Serving, make_api
from reentra.api.application import PREFIX
from reentra.app import Application
from reentra.graph.connection import Cloud, TenantConnection
from reentra.repository import KdfCost, Repository
from reentra.sandbox import seed as seeds
from reentra.sandbox.app import SandboxServer
from reentra.settings import Settings
from reentra.worker import Worker

from .description import ensure_described, ensure_untyped

PASSPHRASE = "correct horse battery staple"
PASSWORD = "seven grey lamps at dawn"
CONSOLE = Actor(Via.COMMAND, "root", address="console")
HOST = "reentra.test"


@dataclass
class Caller:
    """Somebody's way to the API: a session with its cookie and CSRF token, a token, or nothing."""

    client: TestClient[Any]
    headers: dict[str, str] = field(default_factory=dict)
    cookie: str = ""

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        sent = {
            "host": HOST,
            **self.headers,
            **{k.replace("_", "-"): v for k, v in headers.items()},
        }
        if self.cookie:
            sent["cookie"] = f"__Host-reentra={self.cookie}"
        self.client.cookies.clear()
        answer = self.client.request(
            method, f"{PREFIX}{path}", json=body, headers=sent, follow_redirects=False
        )
        ensure_described(method, PREFIX + path.partition("?")[0], answer)
        ensure_untyped(answer)
        return answer

    def json(self, method: str, path: str, body: Any = None, expect: int = 200) -> Any:
        answer = self(method, path, body)
        assert answer.status_code == expect, answer.text
        return answer.json()


@dataclass
class Api:
    """The API of one installation."""

    serving: Serving
    client: TestClient[Any]
    people: dict[str, Person] = field(default_factory=dict)

    @property
    def application(self) -> Application:
        return self.serving.application

    @property
    def nobody(self) -> Caller:
        return Caller(self.client)

    def person(self, name: str, role: Role | None, tenant: str = EVERY_TENANT) -> Person:
        """Return somebody with a password, made when first asked for."""
        if name not in self.people:
            people = self.serving.access.people
            grants = {} if role is None else {tenant: role}
            _, secret = people.add(CONSOLE, name, grants)
            self.people[name] = people.set_up(secret, PASSWORD, "")
        return self.people[name]

    def signed_in(self, name: str, *, seconds_ago: float = 0) -> Caller:
        """Return a session of somebody, without the cost of a password."""
        from reentra.access.sessions import csrf_token

        proved_at = self.application.clock.now() - dt.timedelta(seconds=seconds_ago)
        secret = self.serving.access.sessions.open(self.people[name].id, "testclient", proved_at)
        return Caller(self.client, {"x-csrf-token": csrf_token(secret)}, secret)

    def as_role(self, role: Role, tenant: str = EVERY_TENANT) -> Caller:
        name = f"{role.value}-of-{tenant.replace('*', 'all')}"
        self.person(name, role, tenant)
        return self.signed_in(name)

    @property
    def admin(self) -> Caller:
        return self.as_role(Role.ADMINISTRATOR)

    def ended(self, tenant: str, job_id: str, seconds: float = 60) -> Any:
        """Wait for a job and return it."""
        end = time.monotonic() + seconds
        path = f"/tenants/{tenant}/jobs/{job_id}" if tenant else f"/jobs/{job_id}"
        while True:
            job = self.admin.json("GET", path)
            if job["finished_at"] is not None:
                return job
            assert time.monotonic() < end, job
            time.sleep(0.1)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(seed_name="small") as server:
        yield server


def make_installation(home: Path, sandbox: SandboxServer) -> Application:
    application = Application(
        Settings(home=home, repository="", database_url="", public_url=f"https://{HOST}"),
        lambda: PASSPHRASE,
    )
    url = str(application.settings.default_repository_path)
    cost = KdfCost(memory_kib=8, iterations=1, lanes=1)
    Repository.create(application.storage(url), PASSPHRASE, cost=cost)
    application.record_repository(url)
    for name in ("contoso", "fabrikam"):
        connection = TenantConnection(
            name,
            seeds.TENANT_ID if name == "contoso" else "11111111-2222-4333-8444-555555555555",
            seeds.BOTH_CLIENT_ID,
            cloud=Cloud.CUSTOM,
            graph_endpoint=sandbox.base_url,
            authority=sandbox.base_url,
        )
        application.connections.add(connection, seeds.SANDBOX_SECRET)
    return application


@pytest.fixture(scope="package")  # of engines only one may be open in a process
def api(tmp_path_factory: pytest.TempPathFactory, sandbox: SandboxServer) -> Iterator[Api]:
    """A served installation whose tenant contoso has one snapshot."""
    patch = pytest.MonkeyPatch()
    patch.setattr(passwords, "MEMORY_KIB", 64)
    patch.setattr(passwords, "PASSES", 1)
    passwords._nobodys.cache_clear()
    with make_installation(tmp_path_factory.mktemp("api") / "home", sandbox) as application:
        worker = Worker(application)
        worker.start()
        serving = Serving(application, worker, frozenset({HOST}), is_secure=True)
        try:
            with TestClient(make_api(serving), base_url=f"https://{HOST}") as client:
                made = Api(serving, client)
                job = made.admin.json("POST", "/tenants/contoso/backups", {}, expect=202)
                assert made.ended("contoso", job["id"])["status"] == "succeeded"
                yield made
        finally:
            worker.close()
            patch.undo()
            passwords._nobodys.cache_clear()
