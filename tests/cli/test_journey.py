"""What scripts rely on: the commands in the order in which a person meets them, on one tenant."""

from __future__ import annotations

import contextlib
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reentra.sandbox import seed as seeds
from reentra.sandbox.app import SandboxServer

from .conftest import PASSPHRASE, TENANT, Cli, QuickCli, connect, init_cheaply

KIND_KEYS = {"objects", "added", "changed", "deleted", "coverage", "reason"}
GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, sandbox: SandboxServer) -> tuple[Cli, str]:
    """A connected installation with one complete snapshot; the command and the snapshot."""
    made = QuickCli(tmp_path_factory.mktemp("journey") / "home", {"REENTRA_PASSPHRASE": PASSPHRASE})
    init_cheaply(made)
    connect(made, sandbox)
    return made, made.json("backup", TENANT)["snapshot"]


@contextlib.contextmanager
def withdrawn(server: SandboxServer, permission: str) -> Iterator[None]:
    """Take a permission away, from new tokens too."""
    service = server.sandbox
    service.withdraw(permission, seeds.BOTH_CLIENT_ID)
    for client in service.tokens.clients():
        client.roles.discard(permission)
    try:
        yield
    finally:
        service.grant(permission)


def users(server: SandboxServer) -> list[Any]:
    """Ordinary members: in the cloud, without a role."""
    tenant = server.sandbox.tenant
    admins = {r.props["principalId"] for r in tenant.collection("unifiedRoleAssignment").values()}
    return [
        record
        for record in tenant.collection("user").values()
        if record.id not in admins
        and record.props.get("userType") == "Member"
        and not record.props.get("onPremisesSyncEnabled")
        and "breakglass" not in record.props["userPrincipalName"]
    ]


def test_connecting_lists_and_replaces_a_tenant(
    home: tuple[Cli, str], sandbox: SandboxServer
) -> None:
    cli, _ = home
    (known,) = cli("tenant", "list", "--json", REENTRA_PASSPHRASE="").document
    assert known["name"] == TENANT
    assert known["tenant_id"] == seeds.TENANT_ID
    connect(cli, sandbox)
    stored = b"".join(p.read_bytes() for p in cli.home.rglob("*") if p.is_file())
    assert seeds.SANDBOX_SECRET.encode() not in stored
    assert (cli.home / "tenants" / f"{TENANT}.json").stat().st_mode & 0o777 == 0o600


def test_a_wrong_client_secret_is_told_and_nothing_is_recorded(
    home: tuple[Cli, str], sandbox: SandboxServer, tmp_path: Path
) -> None:
    cli, _ = home
    secret = tmp_path / "wrong"
    secret.write_text("wrong-secret-canary")
    result = cli(
        *("tenant", "connect", "other", "--tenant-id", seeds.TENANT_ID),
        *("--client-id", seeds.BOTH_CLIENT_ID, "--client-secret-file", str(secret)),
        *("--graph-endpoint", sandbox.base_url, "--authority", sandbox.base_url),
        expect=1,
    )
    assert "AADSTS7000215" in result.err
    assert "wrong-secret-canary" not in result.err + result.out
    assert "other" not in cli("tenant", "list").out


def test_plain_http_to_another_machine_is_refused(home: tuple[Cli, str], tmp_path: Path) -> None:
    cli, _ = home
    secret = tmp_path / "secret"
    secret.write_text("s")
    result = cli(
        *("tenant", "connect", "far", "--tenant-id", seeds.TENANT_ID, "--client-id", "c"),
        *("--client-secret-file", str(secret), "--graph-endpoint", "http://graph.example"),
        *("--authority", "http://login.example"),
        expect=2,
    )
    assert "https" in result.err


def test_checking_a_tenant_names_missing_permissions(
    home: tuple[Cli, str], sandbox: SandboxServer
) -> None:
    cli, _ = home
    document = cli.json("tenant", "check", TENANT)
    assert document["not_covered"] == {}
    assert document["missing_for_backup"] == []
    permissions = {item["permission"]: item for item in document["permissions"]}
    assert "user" in permissions["User.Read.All"]["for_backup"]
    assert "user" in permissions["User.ReadWrite.All"]["for_restore"]
    with withdrawn(sandbox, "Policy.Read.All"):
        document = cli.json("tenant", "check", TENANT, expect=3)
    assert "Policy.Read.All" in document["missing_for_backup"]
    assert "conditionalAccessPolicy" in document["not_covered"]


def test_the_first_backup_is_complete_and_the_next_is_unchanged(home: tuple[Cli, str]) -> None:
    cli, first = home
    again = cli.json("backup", TENANT)
    assert again["status"] == "unchanged"
    assert again["kinds"]["user"].keys() >= KIND_KEYS
    assert all(kind["coverage"] == "complete" for kind in again["kinds"].values())
    snapshots = cli.json("snapshots", TENANT)
    assert [item["id"] for item in snapshots][-1] == first
    assert snapshots[-1]["parent"] is None
    assert snapshots[0]["kinds"]["user"].keys() >= KIND_KEYS
    assert snapshots[0]["created_at"] >= snapshots[-1]["created_at"]


def test_browsing_goes_from_kinds_to_an_object(
    home: tuple[Cli, str], sandbox: SandboxServer
) -> None:
    cli, first = home
    kinds = cli.json("browse", TENANT, "--snapshot", first)["kinds"]
    assert kinds["user"]["objects"] == len(sandbox.sandbox.tenant.collection("user"))
    page = cli.json("browse", TENANT, "group", "--snapshot", first)
    assert page["total"] == kinds["group"]["objects"] == len(page["objects"])
    group = next(g for g in page["objects"] if sandbox.sandbox.tenant.targets(
        "group.members", g["id"]))  # fmt: skip
    shown = cli.json("browse", TENANT, "group", group["id"], "--snapshot", first)
    assert shown["properties"]["displayName"] == group["display_name"]
    members = [r for r in shown["relationships"] if r["relationship"] == "group.members"]
    assert members
    assert {"relationship", "target", "target_kind", "target_name"} <= members[0].keys()
    assert "does not" not in cli("browse", TENANT, "group", group["id"]).err
    cli("browse", TENANT, "group", "00000000-0000-0000-0000-000000000000", expect=2)


def test_snapshots_are_named_by_id_prefix_latest_and_time(home: tuple[Cli, str]) -> None:
    cli, first = home
    newest = cli.json("snapshots", TENANT)[0]["id"]
    assert cli.json("browse", TENANT)["snapshot"] == newest
    assert cli.json("browse", TENANT, "--snapshot", first)["snapshot"] == first
    assert cli.json("browse", TENANT, "--snapshot", "2100-01-01")["snapshot"] == newest
    cli("browse", TENANT, "--snapshot", "2000-01-01", expect=2)
    cli("browse", TENANT, "--snapshot", "zzz", expect=2)


def test_a_changed_tenant_is_compared_searched_and_restored(
    home: tuple[Cli, str], sandbox: SandboxServer, tmp_path: Path
) -> None:
    cli, first = home
    tenant = sandbox.sandbox.tenant
    deleted, purged, blanked = users(sandbox)[:3]
    tenant.soft_delete(deleted)
    tenant.soft_delete(purged)
    tenant.purge(tenant.find_deleted(purged.id))
    tenant.update(blanked, {"department": None})
    before = blanked.props
    second = cli.json("backup", TENANT)
    assert second["status"] == "complete"
    assert second["kinds"]["user"]["deleted"] == 2

    changes = cli.json("compare", TENANT, first, second["snapshot"], "--kind", "user")
    assert {(c["change"], c["id"]) for c in changes} >= {
        ("deleted", deleted.id),
        ("deleted", purged.id),
        ("modified", blanked.id),
    }
    only = cli.json("compare", TENANT, first, "live", "--id", blanked.id)
    assert [c["id"] for c in only] == [blanked.id]
    assert only[0]["properties"][0]["path"] == "department"
    assert only[0]["properties"][0]["after"] is None
    assert only[0].keys() >= {"change", "kind", "id", "display_name", "properties", "relationships"}
    assert cli.json("compare", TENANT, second["snapshot"], "live") == []

    name = str(purged.props["displayName"])
    hits = cli.json("search", TENANT, name, "--kind", "user", "--deleted-only")
    assert [hit["id"] for hit in hits] == [purged.id]
    assert hits[0]["deleted"] is True

    plan_file = tmp_path / "plan.json"
    plan = cli.json("restore", TENANT, "--snapshot", first, "--preview", "--plan", str(plan_file))
    assert json.loads(plan_file.read_text())["id"] == plan["id"]
    assert plan["counts"]["undelete"] == {"user": 1}
    assert plan["counts"]["create"]["user"] == 1
    writes = sandbox.sandbox.counters.writes

    refused = cli("restore", TENANT, "--snapshot", first, expect=4)
    assert "nothing was written" in refused.err
    lacking = cli("restore", "--plan", str(plan_file), "--yes", expect=2)
    assert "--default-password-file" in lacking.err
    assert sandbox.sandbox.counters.writes == writes

    password = tmp_path / "password"
    password.write_text("Password-Canary-77!\n")
    report = cli.json(
        *("restore", "--plan", str(plan_file), "--yes"),
        *("--default-password-file", str(password)),
    )
    assert report["status"] == "succeeded", report
    assert report.keys() >= {"job", "status", "steps", "id_map", "failures"}
    assert set(report["steps"]) == {"done", "already", "skipped", "failed"}
    assert report["failures"] == []
    assert list(report["id_map"]) == [purged.id]
    assert GUID.fullmatch(report["id_map"][purged.id])
    assert tenant.get("user", deleted.id) is not None
    assert before["department"] == tenant.get("user", blanked.id).props["department"]

    stale = cli("restore", "--plan", str(plan_file), "--yes",
                "--default-password-file", str(password), expect=4)  # fmt: skip
    assert "changed since plan" in stale.err
    empty = cli.json("restore", TENANT, "--snapshot", first, "--preview")
    assert empty["steps"] == []

    job = report["job"]
    shown = cli.json("jobs", "show", job)
    assert shown["status"] == "succeeded"
    assert shown["steps"]["done"] == report["steps"]["done"]
    assert any(item["id"] == job for item in cli.json("jobs", "list"))
    text = cli("jobs", "report", job).out
    assert "succeeded" in text
    csv = cli("jobs", "report", job, "--format", "csv").out.splitlines()
    assert len(csv) == 1 + sum(report["steps"].values())
    assert cli.json("jobs", "report", job)["status"] == "succeeded"

    third = cli.json("backup", TENANT)["snapshot"]
    left = cli.json("compare", TENANT, first, third, "--kind", "user")
    assert {c["id"] for c in left} <= {purged.id}, left
    stored = b"".join(p.read_bytes() for p in cli.home.rglob("*") if p.is_file())
    assert b"Password-Canary-77!" not in stored


def test_a_kind_that_may_not_be_read_makes_the_backup_partial(
    home: tuple[Cli, str], sandbox: SandboxServer
) -> None:
    cli, _ = home
    with withdrawn(sandbox, "Policy.Read.All"):
        document = cli.json("backup", TENANT, expect=3)
    assert document["status"] == "partial"
    kind = document["kinds"]["conditionalAccessPolicy"]
    assert kind["coverage"] != "complete"
    assert kind["reason"]
    assert kind["deleted"] == 0
    assert cli.json("backup", TENANT)["kinds"]["conditionalAccessPolicy"]["coverage"] == "complete"


def test_a_restore_with_failures_is_partial_and_says_why(
    home: tuple[Cli, str], sandbox: SandboxServer, tmp_path: Path
) -> None:
    cli, _ = home
    snapshot = cli.json("backup", TENANT)["snapshot"]
    tenant = sandbox.sandbox.tenant
    purged, blanked = users(sandbox)[3:5]
    tenant.soft_delete(purged)
    tenant.purge(tenant.find_deleted(purged.id))
    tenant.update(blanked, {"department": None})
    password = tmp_path / "password"
    password.write_text("short\n")
    arguments = ("--id", f"user/{purged.id}", "--id", f"user/{blanked.id}", "--yes")
    report = cli.json(
        *("restore", TENANT, "--snapshot", snapshot, *arguments, "--no-relationships"),
        *("--default-password-file", str(password)),
        expect=3,
    )
    assert report["status"] == "partial"
    assert any("password" in failure["message"].lower() for failure in report["failures"])
    assert tenant.get("user", blanked.id).props["department"]
    password.write_text("Long-Enough-77!\n")
    report = cli.json(
        *("restore", TENANT, "--snapshot", snapshot, *arguments),
        *("--default-password-file", str(password)),
    )
    assert report["status"] == "succeeded", report


def test_a_selection_is_downloaded_as_a_zip_of_json(home: tuple[Cli, str], tmp_path: Path) -> None:
    cli, _ = home
    file = tmp_path / "groups.zip"
    document = cli.json(
        "download", TENANT, "--snapshot", "latest", "--kind", "group", "--relationships",
        "-o", str(file),
    )  # fmt: skip
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.startswith("group/")]
        assert len(names) == document["objects"]
        assert "relationships" in json.loads(archive.read(names[0]))


def test_a_download_of_what_the_snapshot_does_not_hold_is_an_error(
    home: tuple[Cli, str], tmp_path: Path
) -> None:
    cli, _ = home
    file = tmp_path / "none.zip"
    nobody = ("--id", "user/nobody", "-o", str(file))
    result = cli("download", TENANT, "--snapshot", "latest", *nobody, expect=2)
    assert "user/nobody" in result.err
    assert not file.exists()


def test_a_rebuilt_catalog_gives_the_same_answers(home: tuple[Cli, str]) -> None:
    cli, first = home
    questions = (
        ("snapshots", TENANT),
        ("browse", TENANT, "user"),
        ("search", TENANT, "a", "--kind", "user"),
        ("compare", TENANT, first, "latest"),
    )
    grown = [cli.json(*question) for question in questions]
    assert cli.json("rebuild")["snapshots"] == len(grown[0])
    assert [cli.json(*question) for question in questions] == grown
    for file in cli.home.glob("catalog.sqlite*"):
        file.unlink()
    assert [cli.json(*question) for question in questions] == grown


def test_a_damaged_repository_is_named_with_exit_code_five(home: tuple[Cli, str]) -> None:
    cli, _ = home
    assert cli.json("check")["whole"] is True
    stored = [p for p in (cli.home / "repository" / "segments").rglob("*") if p.is_file()]
    victim = max(stored, key=lambda path: path.stat().st_size)
    content = victim.read_bytes()
    middle = len(content) // 2
    victim.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    try:
        document = cli.json("check", expect=5)
        assert document["whole"] is False
        assert any(victim.name in problem["path"] for problem in document["problems"])
    finally:
        victim.write_bytes(content)
    assert cli.json("check")["whole"] is True


def test_disconnecting_forgets_the_secret_and_keeps_the_snapshots(
    home: tuple[Cli, str], sandbox: SandboxServer
) -> None:
    cli, first = home
    cli("tenant", "disconnect", TENANT)
    assert cli.json("tenant", "list") == []
    cli("backup", TENANT, expect=2)
    connect(cli, sandbox)
    assert cli.json("snapshots", TENANT)[-1]["id"] == first


def test_the_repository_and_its_key_are_enough_on_an_empty_machine(
    home: tuple[Cli, str], tmp_path: Path
) -> None:
    cli, first = home
    empty = QuickCli(
        tmp_path / "elsewhere",
        {
            "REENTRA_PASSPHRASE": PASSPHRASE,
            "REENTRA_REPOSITORY": str(cli.home / "repository"),
        },
    )
    assert empty.json("snapshots", TENANT)[-1]["id"] == first
    assert empty.json("browse", TENANT, "user", "--snapshot", first)["total"] > 0
    assert empty.json("backup", TENANT)["status"] in {"unchanged", "complete"}
