"""TLS with the sandbox's own authority."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import requests

from reentra.sandbox.app import Sandbox, SandboxServer
from reentra.sandbox.clock import Clock
from reentra.sandbox.tls import write_tls_files


def test_a_client_that_trusts_the_authority_is_served(tmp_path: Path) -> None:
    with SandboxServer(Sandbox("small"), tls_folder=tmp_path) as server:
        assert server.base_url.startswith("https://")
        assert server.ca_file is not None
        header = {"Authorization": "Bearer " + server.sandbox.token()}
        for host in ("127.0.0.1", "localhost"):
            url = server.graph_url.replace("127.0.0.1", host) + "/users?$top=5"
            answer = requests.get(url, headers=header, verify=str(server.ca_file), timeout=10)
            assert len(answer.json()["value"]) == 5
            assert answer.json()["@odata.nextLink"].startswith(f"https://{host}:")


def test_a_client_that_does_not_trust_it_refuses_to_talk(tmp_path: Path) -> None:
    with (
        SandboxServer(Sandbox("small"), tls_folder=tmp_path) as server,
        pytest.raises(requests.exceptions.SSLError),
    ):
        requests.get(server.graph_url, timeout=10)


def test_files_are_kept_and_the_key_is_the_owners_alone(tmp_path: Path) -> None:
    now = Clock().now()
    files = write_tls_files(tmp_path / "tls", now)
    before = files.ca_file.read_bytes()
    assert write_tls_files(tmp_path / "tls", now).ca_file.read_bytes() == before
    assert stat.S_IMODE(files.key_file.stat().st_mode) == 0o600
    assert {path.name for path in (tmp_path / "tls").iterdir()} == {
        "ca.pem",
        "server.pem",
        "server.key",
    }


def test_an_expired_certificate_is_made_anew(tmp_path: Path) -> None:
    clock = Clock()
    before = write_tls_files(tmp_path, clock.now()).ca_file.read_bytes()
    clock.advance(400 * 24 * 3600)
    assert write_tls_files(tmp_path, clock.now()).ca_file.read_bytes() != before
