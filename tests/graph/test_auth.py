"""Clouds, connections, credentials, and that no secret gets out."""

from __future__ import annotations

import logging
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reentra import errors
from reentra.graph import auth
from reentra.graph.client import GraphClient, connect
from tests.graph.scripted import (
    APP,
    SECRET,
    TENANT,
    FakeClock,
    Reply,
    ScriptedGraph,
    jwt,
    problem,
)


def refusal(code: int, text: str = "Something.") -> Reply:
    return Reply(
        401,
        {
            "error": "invalid_client",
            "error_description": f"AADSTS{code}: {text} Trace ID: "
            "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee Correlation ID: x",
            "error_codes": [code],
        },
    )


@pytest.mark.parametrize(
    ("cloud", "graph_url", "authority"),
    [
        ("global", "https://graph.microsoft.com", "https://login.microsoftonline.com"),
        ("usgov", "https://graph.microsoft.us", "https://login.microsoftonline.us"),
        ("usgovdod", "https://dod-graph.microsoft.us", "https://login.microsoftonline.us"),
        (
            "china",
            "https://microsoftgraph.chinacloudapi.cn",
            "https://login.partner.microsoftonline.cn",
        ),
    ],
)
def test_each_cloud_has_its_own_addresses(cloud: str, graph_url: str, authority: str) -> None:
    connection = auth.TenantConnection("t", TENANT, APP, cloud=auth.Cloud(cloud))
    assert connection.endpoints == auth.CloudEndpoints(graph_url, authority)
    assert connection.scope == f"{graph_url}/.default"


def custom(graph_url: str, authority: str) -> auth.TenantConnection:
    return auth.TenantConnection(
        "t", TENANT, APP, cloud=auth.Cloud.CUSTOM, graph_endpoint=graph_url, authority=authority
    )


@pytest.mark.parametrize("host", ["127.0.0.1:80", "localhost:8080", "[::1]:9"])
def test_plain_http_is_for_this_machine(host: str) -> None:
    assert custom(f"http://{host}", f"http://{host}").endpoints.graph == f"http://{host}"


@pytest.mark.parametrize(
    ("graph_url", "authority"),
    [
        ("http://graph.example.com", "https://login.example.com"),
        ("https://graph.example.com", "http://login.example.com"),
        ("http://10.0.0.1", "http://127.0.0.1"),
        ("http://localhost.example.com", "https://login.example.com"),
        ("ftp://127.0.0.1", "https://login.example.com"),
        ("https://user:word@graph.example.com", "https://login.example.com"),
        ("graph.example.com", "https://login.example.com"),
        ("https://graph.example.com", ""),
    ],
)
def test_unsafe_or_missing_addresses_are_refused(graph_url: str, authority: str) -> None:
    with pytest.raises(errors.UsageError):
        custom(graph_url, authority)


def test_a_connection_survives_json_and_holds_no_secret() -> None:
    connection = auth.TenantConnection(
        "t",
        TENANT,
        APP,
        credential=auth.CredentialKind.CERTIFICATE,
        credential_file="cert.pem",
        cloud=auth.Cloud.USGOV,
    )
    assert auth.TenantConnection.from_json(connection.to_json()) == connection
    assert "secret" not in set(connection.to_json())


def test_a_token_is_asked_for_once(graph: ScriptedGraph, client: GraphClient) -> None:
    graph.otherwise = Reply(200, {"id": "a"})
    for _ in range(5):
        client.get("users/a")
    client.granted_roles()
    assert len(graph.token_requests) == 1
    form = graph.token_requests[0].body.decode()
    assert "grant_type=client_credentials" in form
    assert "%2F.default" in form


def test_a_token_near_its_end_is_replaced(graph: ScriptedGraph, clock: FakeClock) -> None:
    graph.expires_in = 200  # within azure-core's five minutes
    graph.otherwise = Reply(200, {"id": "a"})
    with graph.client(clock) as client:
        client.get("users/a")
        client.get("users/a")
    assert len(graph.token_requests) == 2


def test_a_claims_challenge_is_answered_with_a_token_for_those_claims(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    challenge = 'Bearer realm="", error="insufficient_claims", claims="eyJhIjoxfQ=="'
    graph.script = [
        problem(401, "InvalidAuthenticationToken", WWW_Authenticate=challenge),
        Reply(200, {"id": "a"}),
    ]
    client.get("users/a")
    assert "claims=%7B%22a%22%3A1%7D" in graph.token_requests[1].body.decode()


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (7000215, "secret's value"),
        (7000222, "new secret"),
        (700016, "Check both ids"),
        (90002, "Check the tenant id"),
        (700027, "certificate"),
        (53003, "policy"),
    ],
)
def test_token_errors_say_what_to_do(
    graph: ScriptedGraph, client: GraphClient, code: int, advice: str
) -> None:
    graph.token_script = [refusal(code)]
    with pytest.raises(errors.Unauthenticated) as caught:
        client.get("users/a")
    assert caught.value.graph_code == f"AADSTS{code}"
    assert caught.value.request_id == "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
    assert advice in str(caught.value)
    assert not graph.seen


def test_an_unknown_token_error_is_unauthenticated_too(
    graph: ScriptedGraph, client: GraphClient
) -> None:
    graph.token_script = [Reply(400, raw=b"<html>no</html>", content_type="text/html")]
    with pytest.raises(errors.Unauthenticated):
        client.get("users/a")


def test_an_authority_that_is_down_is_unavailable(graph: ScriptedGraph, clock: FakeClock) -> None:
    client = graph.client(clock)
    graph.stop()
    with pytest.raises(errors.Unavailable, match="authority"):
        client.get("users/a")


def test_an_empty_secret_is_a_configuration_error(graph: ScriptedGraph) -> None:
    with (
        connect(graph.connection(), lambda: " \n") as client,
        pytest.raises(errors.ConfigurationError, match="empty"),
    ):
        client.get("users/a")


def test_a_missing_certificate_is_a_configuration_error(tmp_path: Path) -> None:
    connection = auth.TenantConnection(
        "t",
        TENANT,
        APP,
        credential=auth.CredentialKind.CERTIFICATE,
        credential_file=str(tmp_path / "none.pem"),
    )
    with (
        connect(connection) as client,
        pytest.raises(errors.ConfigurationError, match="certificate"),
    ):
        client.granted_roles()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (auth.CredentialKind.CLIENT_SECRET, "ClientSecretCredential"),
        (auth.CredentialKind.MANAGED_IDENTITY, "ManagedIdentityCredential"),
        (auth.CredentialKind.WORKLOAD_IDENTITY, "WorkloadIdentityCredential"),
    ],
)
def test_each_kind_of_credential_is_microsofts_own(
    kind: auth.CredentialKind, name: str, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(jwt({}))
    connection = auth.TenantConnection(
        "t", TENANT, APP, credential=kind, credential_file=str(token_file), cloud=auth.Cloud.CHINA
    )
    source = auth._token_source(connection, lambda: SECRET)
    assert type(source).__name__ == name
    assert SECRET not in repr(source)


def test_only_a_secret_goes_with_plain_http(graph: ScriptedGraph) -> None:
    connection = graph.connection(
        credential=auth.CredentialKind.CERTIFICATE, credential_file="x.pem"
    )
    with connect(connection) as client, pytest.raises(errors.UsageError, match="https"):
        client.granted_roles()


def test_many_threads_ask_for_one_token_even_after_a_refusal(
    graph: ScriptedGraph, clock: FakeClock
) -> None:
    graph.otherwise = lambda seen: (
        problem(401, "InvalidAuthenticationToken")
        if seen.headers["authorization"] == f"Bearer {graph.tokens[0]}"
        else Reply(200, {"id": "a"})
    )
    with graph.client(clock) as client, ThreadPoolExecutor(8) as pool:
        client.granted_roles()
        found = list(pool.map(lambda _: client.get("users/a"), range(40)))
    assert found == [{"id": "a"}] * 40
    assert len(graph.tokens) == 2


def test_granted_roles_are_read_from_the_token(graph: ScriptedGraph, client: GraphClient) -> None:
    graph.roles = ["User.Read.All", "Group.Read.All"]
    assert client.granted_roles() == {"User.Read.All", "Group.Read.All"}


@pytest.mark.parametrize(
    "token", ["", "opaque", "a.b.c", "a.e30", jwt({"roles": "x"}), "..", "a.W10.c"]
)
def test_a_token_that_cannot_be_read_tells_nothing(token: str) -> None:
    assert auth.granted_roles(token) is None


def test_a_token_without_roles_grants_none() -> None:
    assert auth.granted_roles(jwt({"tid": TENANT})) == frozenset()


def test_no_secret_and_no_token_reaches_a_log_a_repr_or_an_error(
    graph: ScriptedGraph, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    with graph.client(clock, max_failures=2) as client:
        said += [repr(client), repr(client._credential), repr(graph.connection())]
        graph.script = [
            Reply(200, {"id": "a"}),
            problem(400, "Request_BadRequest", "No."),
            Reply(is_reset=True),
            Reply(200, raw=b"{"),
            Reply(200, raw=b"{"),
            problem(401, "InvalidAuthenticationToken"),
            problem(401, "InvalidAuthenticationToken"),
        ]
        client.get("users/a")
        password = {"passwordProfile": {"password": "canary-password"}}
        for attempt in (
            lambda: client.post("users", password),
            lambda: client.post("users", password),
            lambda: client.get("users/a"),
            lambda: client.get("users/a"),
        ):
            try:
                attempt()
            except errors.Error as error:
                said += [str(error), repr(error), str(error.to_json())]
                said += traceback.format_exception(error)
        graph.token_script = [refusal(7000215, f"Invalid: {SECRET}")]
        client.refresh_token()
        try:
            client.granted_roles()
        except errors.Unauthenticated as error:
            said += [str(error), repr(error), *traceback.format_exception(error)]
    said += [record.getMessage() for record in caplog.records]
    said += [str(record.__dict__) for record in caplog.records]
    everything = "\n".join(said)
    assert len(said) > 10
    for canary in (SECRET, "canary-password", *graph.tokens):
        assert canary not in everything
