"""An installation with two tenants on a sandbox, and its pages without a browser in between."""

from __future__ import annotations

import html.parser
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from litestar.testing import TestClient

from reentra.access import EVERY_TENANT, Role, passwords
from reentra.access.sessions import csrf_token
from reentra.api import Serving
from reentra.sandbox.app import SandboxServer
from reentra.web import make_app
from reentra.web.assets import FOLDER
from reentra.worker import Worker
from tests.api.conftest import HOST, Api, make_installation
from tests.api.description import ensure_untyped

__all__ = ["HOST"]


@dataclass
class Reader:
    """Somebody who looks at pages and sends forms, with a session or without one."""

    client: TestClient[Any]
    secret: str = ""

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self._send("GET", path, None, headers)

    def post(self, path: str, data: Any = (), *, csrf: bool = True, **headers: str) -> Any:
        pairs = list(data.items() if isinstance(data, dict) else data)
        if csrf and self.secret:
            pairs.append(("csrf_token", csrf_token(self.secret)))
        headers["content-type"] = "application/x-www-form-urlencoded"
        return self._send("POST", path, urlencode(pairs), headers)

    def page(self, path: str, expect: int = 200) -> str:
        answer = self.get(path)
        assert answer.status_code == expect, answer.text
        assert_no_inline(answer.text)
        return answer.text

    def _send(
        self, method: str, path: str, content: Any, headers: dict[str, str]
    ) -> httpx.Response:
        self.client.cookies.clear()
        sent = {"host": HOST, **{k.replace("_", "-"): v for k, v in headers.items()}}
        if self.secret:
            sent["cookie"] = f"__Host-reentra={self.secret}"
        answer = self.client.request(
            method, path, content=content, headers=sent, follow_redirects=False
        )
        ensure_untyped(answer)
        return answer


@dataclass
class Pages(Api):
    """The pages of one installation, and the API that they stand on."""

    readers: dict[str, Reader] = field(default_factory=dict)

    def reader(self, role: Role | None, tenant: str = EVERY_TENANT) -> Reader:
        """Return somebody with a role and a session."""
        name = f"{role.value if role else 'no-role'}-of-{tenant.replace('*', 'all')}"
        self.person(name, role, tenant)
        secret = self.serving.access.sessions.open(self.people[name].id, "testclient")
        return Reader(self.client, secret)

    @property
    def admin_reader(self) -> Reader:
        return self.reader(Role.ADMINISTRATOR)

    @property
    def stranger(self) -> Reader:
        return Reader(self.client)


class _Inline(html.parser.HTMLParser):
    found: list[str]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag == "style" or "style" in names or any(one.startswith("on") for one in names):
            self.found.append(str(self.get_starttag_text()))
        if tag == "script" and not (names.get("src") or "").startswith("/static/"):
            self.found.append("script")
        for name in ("src", "href", "action"):
            address = names.get(name) or ""
            if address.startswith(("http:", "https:", "//", "javascript:")):
                self.found.append(address)


def assert_no_inline(text: str) -> None:
    """Nothing that the content security policy forbids, and nothing from elsewhere."""
    parser = _Inline()
    parser.found = []
    parser.feed(text)
    assert parser.found == []


@pytest.fixture(scope="session")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(seed_name="small") as server:
        yield server


@pytest.fixture(scope="package")
def pages(tmp_path_factory: pytest.TempPathFactory, sandbox: SandboxServer) -> Iterator[Pages]:
    """A served installation whose tenant contoso has two snapshots."""
    if not (Path(FOLDER) / "assets.json").exists():
        pytest.skip("the pages' files are not built: make web")
    patch = pytest.MonkeyPatch()
    patch.setattr(passwords, "MEMORY_KIB", 64)
    patch.setattr(passwords, "PASSES", 1)
    passwords._nobodys.cache_clear()
    with make_installation(tmp_path_factory.mktemp("web") / "home", sandbox) as application:
        worker = Worker(application)
        worker.start()
        serving = Serving(application, worker, frozenset({HOST}), is_secure=True)
        try:
            with TestClient(make_app(serving), base_url=f"https://{HOST}") as client:
                made = Pages(serving, client)
                for change in ("Sales", "Trade"):
                    with application.visiting() as visitor:
                        graph = visitor.open_tenant("contoso").client
                        user = graph.get("/users")["value"][0]["id"]
                        graph.patch(f"/users/{user}", {"department": change})
                    job = made.admin.json("POST", "/tenants/contoso/backups", {}, expect=202)
                    assert made.ended("contoso", job["id"])["status"] == "succeeded"
                yield made
        finally:
            worker.close()
            patch.undo()
            passwords._nobodys.cache_clear()
