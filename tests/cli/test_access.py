"""People, tokens, schedules and the audit trail, from the command line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from reentra.sandbox.app import SandboxServer

from .conftest import TENANT, Cli, connect, init_cheaply

PASSWORD = "seven grey lamps at dawn"


@pytest.fixture
def ready(cli: Cli) -> Cli:
    init_cheaply(cli)
    return cli


def add(cli: Cli, name: str = "adele", role: str = "administrator") -> None:
    cli("people", "add", name, "--role", role)
    file = cli.home.parent / "password"
    file.write_text(PASSWORD + "\n")
    cli("people", "password", name, "--password-file", str(file))


def test_a_person_is_added_with_a_link_and_listed(ready: Cli) -> None:
    made = ready.json("people", "add", "Adele", "--role", "administrator")
    assert made["roles"] == {"*": "administrator"}
    address, _, secret = made["set_up"].partition("#")
    assert address == "http://127.0.0.1:8440/set-up"
    assert len(secret) == 64
    listed = ready("people", "list", "--json").out
    assert secret not in listed
    assert [person["name"] for person in ready.json("people", "list")] == ["adele"]
    assert ready.json("people", "link", "adele")["set_up"] != made["set_up"]


def test_a_role_is_given_taken_and_somebody_is_shut_out(ready: Cli, sandbox: SandboxServer) -> None:
    add(ready)
    add(ready, "bob", "reader")
    give = ("people", "role", "bob", "operator", "--tenant", TENANT)
    assert "No tenant" in ready(*give, expect=2).err
    connect(ready, sandbox)
    assert ready.json(*give)["roles"] == {"*": "reader", TENANT: "operator"}
    assert ready.json("people", "role", "bob", "none")["roles"] == {TENANT: "operator"}
    taken = ready.json("people", "role", "bob", "none", "--tenant", "never-connected")
    assert taken["roles"] == {TENANT: "operator"}
    assert ready.json("people", "disable", "bob")["disabled"]
    assert not ready.json("people", "enable", "bob")["disabled"]
    refused = ready("people", "disable", "adele", expect=4)
    assert "no local administrator" in refused.err
    ready("people", "disable", "nobody", expect=2)


def test_codes_are_switched_on_at_a_terminal_only(ready: Cli) -> None:
    add(ready)
    assert "no terminal" in ready("people", "totp", "adele", expect=2).err
    assert not ready.json("people", "totp", "adele", "--off")["second_factor"]
    assert "no second factor" in ready("people", "totp", "adele", "--recovery-codes", expect=2).err


def test_a_token_is_shown_once_and_revoked(ready: Cli) -> None:
    add(ready)
    arguments = ("tokens", "create", "nightly", "--person", "adele", "--role", "operator")
    made = ready.json(*arguments)
    assert made["token"].startswith(f"reentra_{made['id']}_")
    assert made["token"] not in ready("tokens", "list", "--json").out
    assert ready.json("tokens", "revoke", made["id"])["revoked_at"]
    assert ready("tokens", "create", "x", "--person", "bob", "--role", "reader", expect=2).err


def test_an_identity_provider_is_set_shown_and_switched_off(ready: Cli) -> None:
    assert ready.json("oidc", "show") is None
    assert "oidc set" in ready("oidc", "off", expect=2).err
    file = ready.home.parent / "secret"
    file.write_text("canary-secret\n")
    arguments = ("oidc", "set", "--directory", "d", "--client-id", "c",
                 "--client-secret-file", str(file))  # fmt: skip
    assert "no rule" in ready(*arguments, "--rule", "nonsense", expect=2).err
    assert "no role" in ready(*arguments, "--rule", "groups:x=root", expect=2).err
    made = ready("oidc", "set", *arguments[2:], "--rule", "groups:x=restorer@contoso", "--json")
    assert "canary-secret" not in made.out
    assert made.document["rules"] == [
        {"claim": "groups", "value": "x", "role": "restorer", "tenant": "contoso"}
    ]
    assert "network in the clear" in ready(*arguments, "--authority", "http://x", expect=2).err
    assert ready.json("oidc", "off") == {"enabled": False}
    assert ready.json("oidc", "show")["enabled"] is False
    assert ready.json("oidc", "on") == {"enabled": True}
    assert b"canary-secret" not in (ready.home / "access.sqlite").read_bytes()


def test_a_schedule_is_set_and_shown(ready: Cli, sandbox: SandboxServer) -> None:
    connect(ready, sandbox)
    ready("schedule", "nobody", "off", expect=2)
    assert ready.json("schedule", TENANT)["rule"] == "off"
    set_to = ready.json("schedule", TENANT, "daily 02:30", "--zone", "Europe/Berlin")
    assert (set_to["rule"], set_to["zone"]) == ("daily 02:30", "Europe/Berlin")
    assert ready.json("schedule", TENANT)["next_at"] == set_to["next_at"]
    assert "no schedule" in ready("schedule", TENANT, "sometimes", expect=2).err


def test_every_change_from_the_command_line_is_in_the_trail(
    cli: Cli, sandbox: SandboxServer, tmp_path: Path
) -> None:
    cli("init")
    connect(cli, sandbox)
    cli("schedule", TENANT, "every 6h")
    snapshot = cli.json("backup", TENANT)["snapshot"]
    cli("download", TENANT, "--kind", "group", "-o", str(tmp_path / "groups.zip"))
    cli("download", TENANT, "--kind", "group", "-o", "/nowhere/groups.zip", expect=2)
    plan = ("restore", TENANT, "--snapshot", snapshot, "--yes")
    cli(*plan)
    cli("check")
    cli("rebuild")
    add(cli)
    made = cli.json("tokens", "create", "t", "--person", "adele", "--role", "reader")
    cli("tokens", "revoke", made["id"])
    cli("tenant", "disconnect", TENANT)
    records = cli.json("audit", "list", "--limit", "200")[::-1]
    told = [(r["action"], r["result"]) for r in records]
    for action in ("tenant.connect", "schedule.change", "tenant.disconnect"):
        assert told.index((action, "begun")) < told.index((action, "done"))
    for action in ("backup", "download", "restore", "check", "rebuild"):
        assert told.index((action, "begun")) < told.index((action, "succeeded"))
    for action in ("recovery_key.reveal", "people.add", "people.password", "tokens.create",
                   "tokens.revoke"):  # fmt: skip
        assert (action, "done") in told
    backup = next(r for r in records if (r["action"], r["result"]) == ("backup", "succeeded"))
    assert (backup["tenant"], backup["via"]) == (TENANT, "command")
    assert backup["who"]
    assert backup["address"]
    assert backup["target"] == next(
        job["id"] for job in cli.json("jobs", "list") if job["task"] == "backup"
    )
    assert cli.json("audit", "list", "--tenant", TENANT, "--limit", "1")[0]["tenant"] == TENANT
    verified = cli.json("audit", "verify")
    assert (verified["whole"], verified["records"]) == (True, len(records))
    cli("audit", "verify", "--head", verified["head"])
    cli("audit", "verify", "--head", "0" * 64, expect=5)
    file = tmp_path / "trail.csv"
    cli("audit", "export", "-o", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    # With its heading, and that it is begun.
    assert len(list(csv.reader(file.open()))) == len(records) + 2
    assert "cannot be written" in cli("audit", "export", "-o", str(file), expect=2).err


def test_a_command_that_cannot_be_recorded_does_nothing(ready: Cli, sandbox: SandboxServer) -> None:
    connect(ready, sandbox)
    database = ready.home / "access.sqlite"
    for file in ready.home.glob("access.sqlite*"):
        file.unlink()
    database.write_bytes(b"this is no database, and there is nothing to be read in it")
    ready("backup", TENANT, expect=2)
    assert ready.json("jobs", "list") == []
    ready("tenant", "disconnect", TENANT, expect=2)
    assert [tenant["name"] for tenant in ready.json("tenant", "list")] == [TENANT]


def test_keys_are_listed_added_changed_removed_and_rotated(cli: Cli, tmp_path: Path) -> None:
    shown = cli.json("init")["recovery_key"]
    (second := tmp_path / "second.txt").write_text("canary second passphrase\n")
    first, recovery = sorted(
        cli.json("key", "list")["items"], key=lambda one: str(one["kind"])
    )  # fmt: skip
    assert (first["kind"], first["own"], recovery["kind"]) == ("passphrase", True, "recovery")
    assert len(cli.json("key", "add", "--new-passphrase-file", str(second))["items"]) == 3
    refused = cli("key", "remove", first["id"], expect=4)
    assert "opens the repository now" in refused.err
    by_second = {"REENTRA_PASSPHRASE": "canary second passphrase"}
    assert len(cli.json("key", "remove", first["id"], **by_second)["items"]) == 2
    cli("key", "list", expect=5)
    (third := tmp_path / "third.txt").write_text("canary third passphrase\n")
    cli("key", "passwd", "--new-passphrase-file", str(third), **by_second)
    cli("key", "list", expect=5, **by_second)
    by_third = {"REENTRA_PASSPHRASE": "canary third passphrase"}
    rotated = cli.json("key", "rotate", **by_third)
    assert (rotated["generation"], len(rotated["items"])) == (2, 2)
    cli("key", "list", expect=5, REENTRA_PASSPHRASE=shown)
    assert cli.json("key", "list", REENTRA_PASSPHRASE=rotated["recovery_key"])["generation"] == 2
    trail = cli.json("audit", "list", **by_third)
    results = {(record["action"], record["result"]) for record in trail}
    for expected in (
        ("key.add", "done"), ("key.remove", "own_key"), ("key.remove", "done"),
        ("key.change", "done"), ("key.rotate", "done"), ("recovery_key.reveal", "done"),
    ):  # fmt: skip
        assert expected in results
    assert "canary" not in str(trail)
    (short := tmp_path / "short.txt").write_text("short\n")
    cli("key", "add", "--new-passphrase-file", str(short), expect=2, **by_third)
