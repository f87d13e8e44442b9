"""Refusals as a person and a script meet them: exit code 4, the code, the numbers, the way out."""

from __future__ import annotations

import pytest

from reentra.sandbox.app import SandboxServer

from .conftest import PASSPHRASE, TENANT, Cli, QuickCli, connect, init_cheaply


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, sandbox: SandboxServer) -> tuple[Cli, str]:
    """A connected installation with one complete snapshot; the command and the snapshot."""
    made = QuickCli(
        tmp_path_factory.mktemp("refusals") / "home", {"REENTRA_PASSPHRASE": PASSPHRASE}
    )
    init_cheaply(made)
    connect(made, sandbox)
    return made, made.json("backup", TENANT)["snapshot"]


def user_named(sandbox: SandboxServer, name: str) -> str:
    users = sandbox.sandbox.tenant.collection("user").values()
    return next(user.id for user in users if user.props["displayName"] == name)


def test_break_glass_accounts_are_named_for_a_tenant_kept_and_taken_back(
    home: tuple[Cli, str], sandbox: SandboxServer
) -> None:
    cli, _ = home
    account = user_named(sandbox, "Emergency Access")
    name = str(sandbox.sandbox.tenant.get("user", account).props["userPrincipalName"])
    assert cli.json("tenant", "set", TENANT)["break_glass"] == []
    both = ("tenant", "set", TENANT, "--break-glass", account, "--break-glass", name)
    assert cli.json(*both)["break_glass"] == [account, name]
    connect(cli, sandbox)  # a new credential keeps them
    assert cli.json("tenant", "set", TENANT)["break_glass"] == [account, name]
    assert cli.json("tenant", "list")[0]["break_glass"] == [account, name]
    wrong = cli("tenant", "set", TENANT, "--break-glass", "nobody@contoso.com", expect=2)
    assert "nobody@contoso.com" in wrong.err
    assert "no user" in cli("tenant", "set", TENANT, "--break-glass", "nobody", "--no-try",
                            expect=2).err  # fmt: skip
    cli("tenant", "set", TENANT, "--break-glass", name, "--no-break-glass", expect=2)
    assert cli.json("tenant", "set", TENANT, "--no-break-glass")["break_glass"] == []
    assert "tenant.change" in cli("audit", "list").out


def test_a_plan_that_touches_one_is_refused_until_its_name_is_given(
    home: tuple[Cli, str], sandbox: SandboxServer
) -> None:
    cli, snapshot = home
    account = user_named(sandbox, "Emergency Access")
    tenant = sandbox.sandbox.tenant
    before = tenant.get("user", account).props["department"]
    tenant.update(tenant.get("user", account), {"department": "Wrecked"})
    early = cli.home.parent / "early.json"
    cli("restore", TENANT, "--snapshot", snapshot, "--id", f"user/{account}", "--preview",
        "--plan", str(early))  # fmt: skip
    cli("tenant", "set", TENANT, "--break-glass", account)
    stale = cli.json("restore", TENANT, "--plan", str(early), "--yes", expect=4)
    assert stale["error"]["code"] == "stale_plan"
    assert account in stale["error"]["message"]
    restore = ("restore", TENANT, "--snapshot", snapshot, "--id", f"user/{account}", "--yes")
    shown = cli(*restore, expect=4)
    overrule = f"break_glass_account:{account}"
    assert "break_glass_account" in shown.out + shown.err
    assert f"--overrule {overrule}" in " ".join((shown.out + shown.err).split())
    told = cli.json(*restore, expect=4)
    (refusal,) = told["error"]["refusals"]
    assert (refusal["code"], refusal["numbers"]) == ("break_glass_account", {"steps": 1})
    assert tenant.get("user", account).props["department"] == "Wrecked"
    cli(*restore, "--overrule", "break_glass_account", expect=4)
    assert cli.json(*restore, "--overrule", overrule)["status"] == "succeeded"
    assert tenant.get("user", account).props["department"] == before
    cli("tenant", "set", TENANT, "--no-break-glass")


def test_the_last_administrator_cannot_be_disabled_whatever_is_overruled(
    home: tuple[Cli, str], sandbox: SandboxServer
) -> None:
    cli, _ = home
    tenant = sandbox.sandbox.tenant
    account, omar = (user_named(sandbox, name) for name in ("Emergency Access", "Omar Haas"))
    tenant.update(tenant.get("user", omar), {"accountEnabled": False})
    snapshot = cli.json("backup", TENANT)["snapshot"]
    tenant.update(tenant.get("user", omar), {"accountEnabled": True})
    tenant.update(tenant.get("user", account), {"accountEnabled": False})
    restore = ("restore", TENANT, "--snapshot", snapshot, "--id", f"user/{omar}", "--yes")
    told = cli.json(*restore, "--overrule", "last_administrator", expect=4)
    assert [one["code"] for one in told["error"]["refusals"]] == ["last_administrator"]
    assert told["error"]["refusals"][0]["overrule"] == ""
    assert tenant.get("user", omar).props["accountEnabled"] is True
    tenant.update(tenant.get("user", account), {"accountEnabled": True})


def test_a_kind_without_a_licence_does_not_keep_the_others_from_a_comparison_with_now(
    home: tuple[Cli, str], sandbox: SandboxServer
) -> None:
    cli, snapshot = home
    tenant = sandbox.sandbox.tenant
    user = tenant.get("user", user_named(sandbox, "Emergency Access"))
    before = user.props["department"]
    tenant.update(user, {"department": "Elsewhere"})
    tenant.options.edition = "P1"
    try:
        told = cli("compare", TENANT, snapshot, "live", "--json")
    finally:
        tenant.options.edition = "P2"
        tenant.update(user, {"department": before})
    assert [(one["id"], one["kind"]) for one in told.document if one["properties"]] == [
        (user.id, "user")
    ]
    assert "unifiedRoleEligibilitySchedule is refused in live" in told.err
