"""Rollback, single properties and settings, asked for on the command line."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import orjson
import pytest

from reentra.cli import session
from reentra.sandbox.app import SandboxServer

from .conftest import PASSPHRASE, TENANT, Cli, QuickCli, connect, init_cheaply


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, sandbox: SandboxServer) -> tuple[Cli, str]:
    """A connected installation with one complete snapshot; the command and the snapshot."""
    made = QuickCli(
        tmp_path_factory.mktemp("rollback") / "home", {"REENTRA_PASSPHRASE": PASSPHRASE}
    )
    init_cheaply(made)
    connect(made, sandbox)
    return made, made.json("backup", TENANT)["snapshot"]


def added(server: SandboxServer, name: str) -> Any:
    """Somebody whom the snapshot does not know."""
    tenant = server.sandbox.tenant
    known = next(iter(tenant.collection("user").values()))
    domain = known.props["userPrincipalName"].partition("@")[2]
    return tenant.create(
        "user",
        {
            "displayName": name,
            "mailNickname": name,
            "userPrincipalName": f"{name}@{domain}",
            "accountEnabled": True,
            "userType": "Member",
        },
    )


def restore(cli: Cli, snapshot: str, *arguments: str, expect: int | None = 0) -> Any:
    return cli.json("restore", TENANT, "--snapshot", snapshot, *arguments, expect=expect)


def test_a_deletion_needs_its_kind_by_name_and_its_number(
    home: tuple[Cli, str], sandbox: SandboxServer, tmp_path: Path
) -> None:
    cli, snapshot = home
    tenant = sandbox.sandbox.tenant
    first, second = added(sandbox, "later-one"), added(sandbox, "later-two")
    chosen = ("--kind", "user")
    assert restore(cli, snapshot, *chosen, "--preview")["steps"] == []
    chosen += ("--rollback-kind", "user")
    plan = restore(cli, snapshot, *chosen, "--preview")
    assert (plan["deletions"], plan["version"]) == (2, 2)
    assert plan["options"]["rollback_kinds"] == ["user"]
    shown = cli("restore", TENANT, "--snapshot", snapshot, *chosen, "--preview").out
    assert "Deletes 2 objects: 2 user." in shown
    assert "recycle bin" in shown
    writes = sandbox.sandbox.counters.writes
    for wrong in (("--yes",), ("--yes", "--confirm-deletions", "1")):
        refused = cli("restore", TENANT, "--snapshot", snapshot, *chosen, *wrong, expect=4)
        assert "--confirm-deletions 2" in refused.err
    assert sandbox.sandbox.counters.writes == writes
    # A plan from a file is no way around it.
    file = tmp_path / "plan.json"
    restore(cli, snapshot, *chosen, "--preview", "--plan", str(file))
    assert orjson.loads(file.read_bytes())["deletions"] == 2
    cli("restore", TENANT, "--plan", str(file), "--yes", expect=4)
    applied = ("restore", TENANT, "--plan", str(file), "--yes", "--confirm-deletions", "2")
    done = cli.json(*applied)
    assert done["status"] == "succeeded"
    # Nor is one that was changed after it was stored: what is confirmed is what is applied.
    changed = orjson.loads(file.read_bytes())
    file.write_bytes(orjson.dumps({**changed, "created_at": "2001-01-01T00:00:00Z"}))
    assert "not the one that was approved or confirmed" in cli(*applied, expect=4).err
    assert tenant.find_deleted(first.id) is not None
    assert tenant.find_deleted(second.id) is not None
    again = restore(cli, snapshot, *chosen, "--yes")
    assert again["steps"] == {"done": 0, "already": 0, "skipped": 0, "failed": 0}


def test_at_a_terminal_the_number_is_typed(
    home: tuple[Cli, str], sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli, snapshot = home
    fresh = added(sandbox, "later-three")
    arguments = ("restore", TENANT, "--snapshot", snapshot, "--kind", "user")
    monkeypatch.setattr(session, "can_ask", lambda: True)
    for typed, code in (("y\n", 4), ("1\n", 0)):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        result = cli(*arguments, "--rollback-kind", "user", "--yes", expect=code)
        assert "Type their number" in result.err
    assert sandbox.sandbox.tenant.find_deleted(fresh.id) is not None


def test_links_added_since_are_taken_away_on_request(
    home: tuple[Cli, str], sandbox: SandboxServer
) -> None:
    cli, snapshot = home
    tenant = sandbox.sandbox.tenant
    group = next(
        record
        for record in tenant.collection("group").values()
        if record.props.get("securityEnabled")
        and not record.props.get("mailEnabled")
        and not record.props.get("groupTypes")
        and not record.props.get("onPremisesSyncEnabled")
        and not record.props.get("isAssignableToRole")
    )
    members = set(tenant.targets("group.members", group.id))
    extra = next(one for one in tenant.collection("user") if one not in members)
    tenant.link("group.members", group.id, extra)
    chosen = ("--id", f"group/{group.id}")
    assert restore(cli, snapshot, *chosen, "--preview")["steps"] == []
    assert restore(cli, snapshot, *chosen, "--no-relationships", "--preview")["steps"] == []
    chosen += ("--relationships", "rollback")
    plan = restore(cli, snapshot, *chosen, "--preview")
    assert (plan["removals"], plan["deletions"]) == (1, 0)
    shown = cli("restore", TENANT, "--snapshot", snapshot, *chosen, "--preview").out
    assert "Takes away 1 link" in shown
    restore(cli, snapshot, *chosen, "--yes")
    assert set(tenant.targets("group.members", group.id)) == members


def test_one_property_is_put_back(home: tuple[Cli, str], sandbox: SandboxServer) -> None:
    cli, snapshot = home
    tenant = sandbox.sandbox.tenant
    known = next(
        record
        for record in tenant.collection("user").values()
        if record.props.get("department") and not record.props.get("onPremisesSyncEnabled")
    )
    before = known.props["department"]
    tenant.update(known, {"department": "Later", "city": "Later"})
    chosen = ("--id", f"user/{known.id}", "--property", "department")
    plan = restore(cli, snapshot, *chosen, "--preview")
    assert plan["options"]["relationships"] is False
    assert plan["options"]["properties"] == ["department"]
    restore(cli, snapshot, *chosen, "--yes")
    record = tenant.collection("user")[known.id]
    assert (record.props["department"], record.props["city"]) == (before, "Later")
    with_links = restore(cli, snapshot, *chosen, "--relationships", "merge", "--preview")
    assert with_links["options"]["relationships"] is True


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--kind", "user", "--property", "departmnt"), "department"),
        (("--kind", "user", "--rollback-kind", "group"), "--kind group"),
        (("--rollback-kind", "device"), "Kinds that can be"),
        (("--no-relationships", "--relationships", "rollback"), "Give one"),
        (("--deleted-only", "--relationships", "rollback"), "--deleted-only"),
        (("--settings-of", "user"), "user=skip"),
        (("--settings-of", "user=sometimes"), "user=skip"),
        (("--settings-of", "application=skip"), "device, group, tenant, user"),
    ],
)
def test_a_wrong_choice_is_told_before_anything_is_read(
    home: tuple[Cli, str], sandbox: SandboxServer, arguments: tuple[str, ...], said: str
) -> None:
    cli, snapshot = home
    requests = sandbox.sandbox.counters.requests
    result = cli("restore", TENANT, "--snapshot", snapshot, *arguments, "--preview", expect=2)
    assert said in " ".join(result.err.split())
    assert sandbox.sandbox.counters.requests == requests


def test_settings_of_a_kind_are_skipped_on_request(
    home: tuple[Cli, str], sandbox: SandboxServer
) -> None:
    cli, snapshot = home
    tenant = sandbox.sandbox.tenant
    policy = next(iter(tenant.collection("authorizationPolicy").values()))
    before = policy.props["allowInvitesFrom"]
    tenant.update(policy, {"allowInvitesFrom": "none"})
    kind = ("--kind", "authorizationPolicy")
    skipped = restore(cli, snapshot, *kind, "--settings-of", "user=skip", "--preview")
    assert skipped["steps"] == []
    kept = restore(
        cli, snapshot, *kind, "--settings", "skip", "--settings-of", "user=overwrite", "--yes"
    )
    assert kept["status"] == "succeeded"
    policy = next(iter(tenant.collection("authorizationPolicy").values()))
    assert policy.props["allowInvitesFrom"] == before
