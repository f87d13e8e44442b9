"""The token endpoint and the check of tokens."""

from __future__ import annotations

import base64
import datetime as dt
import json
import time
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from reentra.sandbox import seed

from .caller import Caller

_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _ask(graph: Caller, tenant: str | None = None, **fields: str) -> requests.Response:
    form = {
        "client_id": seed.BACKUP_CLIENT_ID,
        "grant_type": "client_credentials",
        "scope": "https://graph.microsoft.com/.default",
        **fields,
    }
    tenant = tenant or graph.sandbox.tenant.tenant_id
    return requests.post(
        f"{graph.server.base_url}/{tenant}/oauth2/v2.0/token", data=form, timeout=10
    )


def _claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def test_a_secret_buys_a_token_that_says_what_it_may_do(graph: Caller) -> None:
    answer = _ask(graph, client_secret=seed.SANDBOX_SECRET).json()
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 3599
    claims = _claims(answer["access_token"])
    assert claims["tid"] == graph.sandbox.tenant.tenant_id
    assert claims["appid"] == seed.BACKUP_CLIENT_ID
    assert claims["exp"] - claims["iat"] == 3599
    assert set(claims["roles"]) == seed.BACKUP_ROLES
    principal = graph.sandbox.tenant.find(claims["oid"])
    assert principal is not None
    assert principal.type == "servicePrincipal"
    header = {"Authorization": "Bearer " + answer["access_token"]}
    assert requests.get(graph.root + "/users", headers=header, timeout=10).status_code == 200


@pytest.mark.parametrize(
    ("fields", "status", "error", "code"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_secret": seed.EXPIRED_SECRET}, 401, "invalid_client", 7000222),
        ({}, 401, "invalid_client", 7000216),
        (
            {"client_id": "00000000-0000-4000-8000-00000000dead", "client_secret": "x"},
            400,
            "unauthorized_client",
            700016,
        ),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"scope": "User.Read.All", "client_secret": "x"}, 400, "invalid_scope", 1002012),
    ],
)
def test_a_wrong_request_is_refused_as_entra_refuses_it(
    graph: Caller, fields: dict[str, str], status: int, error: str, code: int
) -> None:
    answer = _ask(graph, **fields)
    body = answer.json()
    assert (answer.status_code, body["error"], body["error_codes"]) == (status, error, [code])
    assert body["error_description"].startswith(f"AADSTS{code}: ")
    assert {"timestamp", "trace_id", "correlation_id"} <= body.keys()


def test_an_unknown_tenant_is_refused(graph: Caller) -> None:
    other = "11111111-1111-4111-8111-111111111111"
    answer = _ask(graph, other, client_secret=seed.SANDBOX_SECRET)
    assert answer.status_code == 400
    assert answer.json()["error_codes"] == [90002]


def _certificate() -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def _assertion(
    graph: Caller,
    key: rsa.RSAPrivateKey,
    certificate: x509.Certificate,
    algorithm: str = "PS256",
    **changed: Any,
) -> str:
    head = {
        "alg": algorithm,
        "typ": "JWT",
        "x5t#S256": _b64(certificate.fingerprint(hashes.SHA256())),
    }
    now = int(time.time())
    claims = {
        "aud": f"{graph.server.base_url}/{graph.sandbox.tenant.tenant_id}/oauth2/v2.0/token",
        "iss": seed.BACKUP_CLIENT_ID,
        "sub": seed.BACKUP_CLIENT_ID,
        "jti": "1",
        "nbf": now,
        "iat": now,
        "exp": now + 600,
        **changed,
    }
    text = f"{_b64(json.dumps(head).encode())}.{_b64(json.dumps(claims).encode())}"
    if algorithm == "PS256":
        scheme: padding.AsymmetricPadding = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    else:
        scheme = padding.PKCS1v15()
    return f"{text}.{_b64(key.sign(text.encode(), scheme, hashes.SHA256()))}"


def _register(graph: Caller, certificate: x509.Certificate) -> None:
    client = graph.sandbox.tokens.client(seed.BACKUP_CLIENT_ID)
    assert client is not None
    client.certificates_pem.append(certificate.public_bytes(serialization.Encoding.PEM))


@pytest.mark.parametrize("algorithm", ["PS256", "RS256"])
def test_a_registered_certificate_buys_a_token(graph: Caller, algorithm: str) -> None:
    key, certificate = _certificate()
    _register(graph, certificate)
    signed = _assertion(graph, key, certificate, algorithm)
    answer = _ask(graph, client_assertion=signed, client_assertion_type=_JWT_BEARER)
    assert answer.status_code == 200, answer.text


def test_an_assertion_is_refused_when_anything_about_it_is_wrong(graph: Caller) -> None:
    key, certificate = _certificate()
    other_key, other_certificate = _certificate()
    _register(graph, certificate)
    for signed, code in (
        (_assertion(graph, other_key, other_certificate), 700027),
        (_assertion(graph, other_key, certificate), 700027),
        (_assertion(graph, key, certificate, sub="somebody"), 700027),
        (_assertion(graph, key, certificate, aud="https://elsewhere.example/token"), 700023),
        (_assertion(graph, key, certificate, exp=int(time.time()) - 3600), 700024),
        (_assertion(graph, key, certificate, nbf=int(time.time()) + 3600), 700024),
        ("not.a.jwt", 50027),
        ("W10.W10.W10", 50027),
    ):
        answer = _ask(graph, client_assertion=signed, client_assertion_type=_JWT_BEARER)
        assert answer.status_code == 401
        assert answer.json()["error_codes"] == [code], signed


def test_the_openid_configuration_points_back_at_the_sandbox(graph: Caller) -> None:
    base, tenant = graph.server.base_url, graph.sandbox.tenant.tenant_id
    found = requests.get(
        f"{base}/{tenant}/v2.0/.well-known/openid-configuration", timeout=10
    ).json()
    assert found["token_endpoint"] == f"{base}/{tenant}/oauth2/v2.0/token"
    keys = requests.get(found["jwks_uri"], timeout=10).json()["keys"]
    assert keys[0]["kty"] == "RSA"
    instance = requests.get(f"{base}/common/discovery/instance", timeout=10).json()
    assert instance["tenant_discovery_endpoint"].startswith(base)


@pytest.mark.parametrize("header", [None, "Bearer ", "Bearer rubbish", "Bearer a.b.c", "Basic x"])
def test_without_a_good_token_graph_answers_401(graph: Caller, header: str | None) -> None:
    headers = {"Authorization": header} if header is not None else {}
    answer = requests.get(graph.root + "/users", headers=headers, timeout=10)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_an_expired_token_is_refused_and_a_new_one_works(graph: Caller) -> None:
    graph.sandbox.tokens.expire_all()
    assert graph.refused("GET", "/users")[:2] == (401, "InvalidAuthenticationToken")
    graph.session.headers["Authorization"] = "Bearer " + graph.sandbox.token()
    assert graph.get("/users").status_code == 200


def test_moving_the_sandbox_ahead_does_not_kill_cached_tokens(graph: Caller) -> None:
    graph.sandbox.clock.advance(8 * 24 * 3600)
    assert graph.get("/users").status_code == 200


def test_no_secret_shows_in_a_representation(graph: Caller) -> None:
    for client in graph.sandbox.tokens.clients():
        assert seed.SANDBOX_SECRET not in repr(client)
