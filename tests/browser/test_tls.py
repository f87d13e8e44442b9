"""Signing in as it is done for real: the server, the provider and the browser speak TLS."""

from __future__ import annotations

import base64
import contextlib
import hashlib
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

from .conftest import Serving, free_port, launched, skip_without_browser
from .hands import Keyboard, Visitor
from .staging import PASSPHRASE, PASSWORD
from .test_coming_in import sign_in
from .window import PATIENCE_MS, Window, expect

_CONSOLE = Actor(Via.COMMAND, "root", address="console")


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[SandboxServer]:
    skip_without_browser()
    with SandboxServer(seed_name="small", tls_folder=tmp_path / "tls") as server:
        yield server


def test_whoever_signs_in_over_tls_has_a_cookie_that_is_sent_over_tls_alone(
    provider: SandboxServer, driver: Any, tmp_path: Path
) -> None:
    """With Microsoft, and with a password; the browser speaks HTTP/2."""
    member, group = _member_of_a_group(provider)
    names = ("ca.pem", "server.pem", "server.key")
    files = tls.TlsFiles(*(tmp_path / "tls" / name for name in names))
    trusted = f"--ignore-certificate-errors-spki-list={_pin(files)}"
    with (
        _served(provider, tmp_path / "home", files, group) as base,
        launched(driver, trusted) as browser,
    ):
        context = browser.new_context()
        visitor = Visitor(Keyboard(Window(context.new_page(), base)))
        page = visitor.page
        page.set_default_timeout(PATIENCE_MS)
        answer = page.goto(f"{base}/sign-in?next=/account")
        assert "max-age" in answer.headers["strict-transport-security"]
        visitor.press("Sign in with Microsoft")
        page.wait_for_url(f"{provider.base_url}/**")
        visitor.fill("Username", member)
        visitor.press("Next")
        page.wait_for_url(f"{base}/account")
        expect(page.get_by_text(member).first).to_be_attached()
        assert page.evaluate("performance.getEntries()[0].nextHopProtocol") == "h2"
        _assert_guarded(context, base)
        visitor.unfold(member, page.get_by_role("banner"))
        visitor.press("Sign out")
        page.wait_for_url("**/sign-in*")
        assert not _session_cookies(context, base)
        sign_in(visitor, "rolf")
        visitor.open("/account")
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


def _pin(files: tls.TlsFiles) -> str:
    """Return the digest of the key that the browser is to trust."""
    key = x509.load_pem_x509_certificate(files.certificate_file.read_bytes()).public_key()
    spki = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()
