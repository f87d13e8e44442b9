"""Signing in as it is done for real: the server, the provider and the browser speak TLS."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from reentra.access import EVERY_TENANT, Actor, Role, Via
from reentra.access.oidc import Provider, Rule, seal_secret
from reentra.app import Application
from reentra.repository import KdfCost, Repository
from reentra.sandbox import seed, tls
from reentra.sandbox.app import SandboxServer
from reentra.settings import Settings

from .conftest import Serving, browsing, free_port, skip_without_browser
from .staging import PASSPHRASE, PASSWORD
from .window import PATIENCE_MS, expect

_CONSOLE = Actor(Via.COMMAND, "root", address="console")


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[SandboxServer]:
    skip_without_browser()
    with SandboxServer(seed_name="small", tls_folder=tmp_path / "tls") as server:
        yield server


def test_whoever_signs_in_over_tls_has_a_cookie_that_is_sent_over_tls_alone(
    provider: SandboxServer, tmp_path: Path
) -> None:
    """With Microsoft, and with a password; the browser speaks HTTP/2."""
    member, group = _member_of_a_group(provider)
    names = ("ca.pem", "server.pem", "server.key")
    files = tls.TlsFiles(*(tmp_path / "tls" / name for name in names))
    with _served(provider, tmp_path / "home", files, group) as base, _browser(files) as browser:
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        answer = page.goto(f"{base}/sign-in?next=/account")
        assert "max-age" in answer.headers["strict-transport-security"]
        page.get_by_text("Sign in with Microsoft").click()
        page.wait_for_url(f"{provider.base_url}/**")
        page.get_by_label("Username").fill(member)
        page.get_by_role("button", name="Next").click()
        page.wait_for_url(f"{base}/account")
        expect(page.get_by_text(member).first).to_be_attached()
        assert page.evaluate("performance.getEntries()[0].nextHopProtocol") == "h2"
        _assert_guarded(context, base)
        page.get_by_role("banner").get_by_text(member.partition("@")[0]).first.click()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/sign-in*")
        assert not _session_cookies(context, base)
        page.get_by_label("Name").fill("rolf")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url(re.compile(r"^(?!.*/sign-in)"))
        page.goto(f"{base}/account")
        expect(page.get_by_text("rolf").first).to_be_attached()
        _assert_guarded(context, base)
    with pytest.raises(requests.ConnectionError):
        requests.get(base.replace("https:", "http:"), timeout=5)


def _session_cookies(context: Any, base: str) -> list[dict[str, Any]]:
    return [one for one in context.cookies(base) if one["name"] == "__Host-reentra"]


def _assert_guarded(context: Any, base: str) -> None:
    [cookie] = _session_cookies(context, base)
    assert (cookie["secure"], cookie["httpOnly"], cookie["path"]) == (True, True, "/")
    assert "__Host" not in context.pages[0].evaluate("document.cookie")


def _member_of_a_group(provider: SandboxServer) -> tuple[str, str]:
    url = f"{provider.base_url}/v1.0"
    ca = str(provider.ca_file)
    token = requests.post(
        f"{provider.base_url}/{seed.TENANT_ID}/oauth2/v2.0/token",
        {"grant_type": "client_credentials", "client_id": seed.BOTH_CLIENT_ID,
         "client_secret": seed.SANDBOX_SECRET, "scope": f"{provider.base_url}/.default"},
        verify=ca, timeout=20,
    ).json()["access_token"]  # fmt: skip
    headers = {"Authorization": f"Bearer {token}"}
    for group in requests.get(f"{url}/groups", headers=headers, verify=ca, timeout=20).json()[
        "value"
    ]:
        members = requests.get(
            f"{url}/groups/{group['id']}/members/microsoft.graph.user",
            headers=headers, verify=ca, timeout=20,
        ).json()["value"]  # fmt: skip
        if members:
            return members[0]["userPrincipalName"], group["id"]
    raise AssertionError("no group has a member")


@contextlib.contextmanager
def _served(provider: SandboxServer, home: Path, files: tls.TlsFiles, group: str) -> Iterator[str]:
    port = free_port()
    base = f"https://127.0.0.1:{port}"
    chosen = Settings(home=home, repository="", database_url="", passphrase=None)
    with Application(chosen, lambda: PASSPHRASE) as application:
        url = str(chosen.default_repository_path)
        cost = KdfCost(memory_kib=8, iterations=1, lanes=1)
        Repository.create(application.storage(url), PASSPHRASE, cost=cost)
        application.record_repository(url)
        rule = Rule("groups", group, Role.READER, EVERY_TENANT)
        secret = seal_secret(application.access.vault, seed.SANDBOX_SECRET)
        trusted = Provider(
            provider.base_url, seed.TENANT_ID, seed.BOTH_CLIENT_ID, secret, (rule,),
            ca_file=str(files.ca_file),
        )  # fmt: skip
        application.access.save_provider(_CONSOLE, trusted)
        _, link = application.access.people.add(_CONSOLE, "rolf", {EVERY_TENANT: Role.READER})
        application.access.people.set_up(link, PASSWORD, "")
    address = {"redirect_uris": [f"{base}/api/v1/session/oidc/callback"]}
    requests.post(
        f"{provider.base_url}/_sandbox/clients/redirect-uris",
        json={"client_id": seed.BOTH_CLIENT_ID, **address},
        verify=str(files.ca_file), timeout=20,
    ).raise_for_status()  # fmt: skip
    serving = Serving(home, port, base)
    serving.begin(
        "--tls-certificate", str(files.certificate_file), "--tls-key", str(files.key_file)
    )
    try:
        yield base
    finally:
        serving.end()


@contextlib.contextmanager
def _browser(files: tls.TlsFiles) -> Iterator[Any]:
    """Run a browser that trusts this one key, and no other that nobody vouches for."""
    key = x509.load_pem_x509_certificate(files.certificate_file.read_bytes()).public_key()
    spki = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    pin = base64.b64encode(hashlib.sha256(spki).digest()).decode()
    with browsing(f"--ignore-certificate-errors-spki-list={pin}") as browser:
        yield browser
