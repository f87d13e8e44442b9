"""A connection knows its addresses, and refuses those that would give a token away."""

from __future__ import annotations

import pytest

from reentra import errors
from reentra.graph.connection import Cloud, TenantConnection


def custom(graph: str, authority: str = "https://login.example") -> TenantConnection:
    return TenantConnection("t", "tenant", "client", cloud=Cloud.CUSTOM, graph_endpoint=graph,
                            authority=authority)  # fmt: skip


@pytest.mark.parametrize(
    "written", ["https://graph.example", "https://graph.example/", "https://graph.example/v1.0/"]
)
def test_an_endpoint_may_be_written_with_its_version(written: str) -> None:
    assert custom(written).endpoints.graph == "https://graph.example"
    assert custom(written).scope == "https://graph.example/.default"


@pytest.mark.parametrize("host", ["graph.example", "10.0.0.1", "127.0.0.1.example"])
def test_plain_http_is_for_this_machine_only(host: str) -> None:
    with pytest.raises(errors.UsageError):
        custom(f"http://{host}")
    with pytest.raises(errors.UsageError):
        custom("https://graph.example", f"http://{host}")


@pytest.mark.parametrize("host", ["127.0.0.1:80", "localhost:8080", "[::1]:9"])
def test_plain_http_to_this_machine_is_allowed(host: str) -> None:
    assert custom(f"http://{host}", f"http://{host}").endpoints.graph == f"http://{host}"


def test_a_connection_survives_its_journey_and_holds_no_secret() -> None:
    connection = custom("https://graph.example")
    value = connection.to_json()
    assert TenantConnection.from_json(value) == connection
    assert not any("secret" in str(part) for part in value if part != "credential")
