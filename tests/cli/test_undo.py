"""What a restore keeps before its first write, and how it is taken back, as a person types it."""

from __future__ import annotations

import pytest

from reentra.sandbox.app import SandboxServer

from .conftest import PASSPHRASE, TENANT, Cli, QuickCli, connect, init_cheaply


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, sandbox: SandboxServer) -> tuple[Cli, str]:
    """A connected installation with one complete snapshot; the command and the snapshot."""
    made = QuickCli(tmp_path_factory.mktemp("undo") / "home", {"REENTRA_PASSPHRASE": PASSPHRASE})
    init_cheaply(made)
    connect(made, sandbox)
    return made, made.json("backup", TENANT)["snapshot"]


def user_named(sandbox: SandboxServer, name: str) -> str:
    users = sandbox.sandbox.tenant.collection("user").values()
    return next(user.id for user in users if user.props["displayName"] == name)


def test_a_restore_keeps_what_it_touches_as_a_capture_apart_from_the_snapshots(
    home: tuple[Cli, str], sandbox: SandboxServer
) -> None:
    cli, first = home
    tenant = sandbox.sandbox.tenant
    lina = user_named(sandbox, "Lina Costa")
    before = tenant.get("user", lina).props["department"]
    tenant.update(tenant.get("user", lina), {"department": "Wrecked"})
    restored = cli.json(
        *("restore", TENANT, "--snapshot", first, "--id", f"user/{lina}", "--yes"),
    )
    assert restored["status"] == "succeeded"
    (capture,) = cli.json("snapshots", TENANT, "--captures")
    assert capture["job"] == restored["job"]
    assert capture["kinds"] == {"user": 1}
    assert [one["id"] for one in cli.json("snapshots", TENANT)] == [first]
    (change,) = cli.json("compare", TENANT, capture["id"], "live")
    assert change["id"] == lina
    assert [(one["path"], one["before"], one["after"]) for one in change["properties"]] == [
        ("department", "Wrecked", before)
    ]
    checked = cli.json("check")
    assert (checked["snapshots"], checked["captures"], checked["tenants"]) == (1, 1, 1)
    assert cli.json("rebuild")["snapshots"] == 1
    assert [one["id"] for one in cli.json("snapshots", TENANT)] == [first]
    back = cli.json("restore", TENANT, "--snapshot", capture["id"], "--preview")
    assert [(step["kind"], step["body"]) for step in back["steps"]] == [
        ("user", {"department": "Wrecked"})
    ]
