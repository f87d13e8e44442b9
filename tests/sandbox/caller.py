"""A plain HTTP client for a sandbox under test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests

from reentra.sandbox.app import SandboxServer


class Caller:
    """A plain HTTP client with a token."""

    def __init__(self, server: SandboxServer, client_id: str | None = None) -> None:
        self.server = server
        self.sandbox = server.sandbox
        self.root = server.graph_url
        self.session = requests.Session()
        self.session.headers["Authorization"] = "Bearer " + self.sandbox.token(client_id)

    def send(self, method: str, path: str, **more: Any) -> requests.Response:
        url = path if path.startswith("http") else self.root + path
        return self.session.request(method, url, timeout=20, **more)

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.send("GET", path, **more)

    def json(self, path: str, **more: Any) -> Any:
        response = self.get(path, **more)
        assert response.status_code == 200, response.text
        return response.json()

    def pages(self, path: str, **more: Any) -> list[dict[str, Any]]:
        """Follow every link of a collection."""
        found = []
        link: str | None = path
        while link:
            page = self.json(link, **more)
            found.append(page)
            link = page.get("@odata.nextLink")
        return found

    def all(self, path: str, **more: Any) -> list[dict[str, Any]]:
        return [item for page in self.pages(path, **more) for item in page["value"]]

    def refused(self, method: str, path: str, **more: Any) -> tuple[int, str, str]:
        """Return status, code and message of a refusal."""
        response = self.send(method, path, **more)
        error = response.json()["error"]
        return response.status_code, error["code"], error["message"]

    def user_id(self, alias: str) -> str:
        record = self.sandbox.tenant.user_by_upn(f"{alias}@contoso.example")
        assert record is not None
        return record.id

    def group_id(self, nickname: str) -> str:
        return self.sandbox.tenant.by("group", "mailNickname", nickname)[0].id

    def reference(self, id_: str) -> dict[str, str]:
        return {"@odata.id": f"{self.root}/directoryObjects/{id_}"}

    def close(self) -> None:
        self.session.close()


Start = Callable[..., Caller]
