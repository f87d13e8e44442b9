"""People signing in at the sandbox: what Entra refuses, it refuses."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from reentra.sandbox import seed

from .caller import Caller

BACK = "https://app.example/callback"
VERIFIER = "v" * 43
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
)


@pytest.fixture
def user(graph: Caller) -> str:
    client = graph.sandbox.tokens.client(seed.BOTH_CLIENT_ID)
    assert client is not None
    client.redirect_uris[:] = [BACK]
    found = next(
        record for record in graph.sandbox.tenant.collection("user").values()
        if record.props.get("accountEnabled") is not False
    )  # fmt: skip
    return str(found.props["userPrincipalName"])


def base(graph: Caller) -> str:
    return f"{graph.server.base_url}/{graph.sandbox.tenant.tenant_id}/oauth2/v2.0"


def authorize(graph: Caller, **fields: str) -> requests.Response:
    query = {
        "client_id": seed.BOTH_CLIENT_ID, "response_type": "code", "redirect_uri": BACK,
        "scope": "openid profile", "state": "s&t", "nonce": "n", "code_challenge": CHALLENGE,
        "code_challenge_method": "S256", **fields,
    }  # fmt: skip
    return requests.get(f"{base(graph)}/authorize", query, allow_redirects=False, timeout=10)


def code_of(answer: requests.Response) -> dict[str, list[str]]:
    assert answer.status_code == 302, answer.text
    return parse_qs(urlsplit(answer.headers["location"]).query)


def redeem(graph: Caller, code: str, **fields: str) -> Any:
    form = {
        "grant_type": "authorization_code", "client_id": seed.BOTH_CLIENT_ID,
        "client_secret": seed.SANDBOX_SECRET, "code": code, "redirect_uri": BACK,
        "code_verifier": VERIFIER, **fields,
    }  # fmt: skip
    return requests.post(f"{base(graph)}/token", form, timeout=10).json()


def test_a_code_buys_an_id_token_once(graph: Caller, user: str) -> None:
    brought = code_of(authorize(graph, login_hint=user))
    assert brought["state"] == ["s&t"]
    answer = redeem(graph, brought["code"][0])
    assert answer["id_token"].count(".") == 2
    assert redeem(graph, brought["code"][0])["error_codes"] == [54005]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"code_verifier": "x" * 43}, 501481), ({"redirect_uri": "https://evil.example"}, 500112),
        ({"client_secret": "wrong"}, 7000215), ({"client_id": "unknown"}, 700016),
    ],
)  # fmt: skip
def test_a_code_is_for_who_asked(
    graph: Caller, user: str, fields: dict[str, str], code: int
) -> None:
    given = code_of(authorize(graph, login_hint=user))["code"][0]
    assert redeem(graph, given, **fields)["error_codes"] == [code]


def test_nobody_is_sent_to_an_address_that_is_not_registered(graph: Caller, user: str) -> None:
    answer = authorize(graph, login_hint=user, redirect_uri="https://evil.example")
    assert (answer.status_code, answer.json()["error_codes"]) == (400, [50011])
    assert authorize(graph, client_id="unknown").json()["error_codes"] == [700016]


def test_an_unknown_or_disabled_user_is_asked_again(graph: Caller, user: str) -> None:
    assert "may be incorrect" in authorize(graph, login_hint="nobody@nowhere").text
    record = graph.sandbox.tenant.user_by_upn(user)
    assert record is not None
    graph.sandbox.tenant.update(record, {"accountEnabled": False})
    assert "may be incorrect" in authorize(graph, login_hint=user).text
    page = authorize(graph, state='"><script>')
    assert "<script>" not in page.text
