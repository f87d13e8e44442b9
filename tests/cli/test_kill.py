"""kill -9 of the real command: nothing twice, nothing forgotten, nothing half-visible."""

from __future__ import annotations

import collections
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reentra.sandbox import seed as seeds
from reentra.sandbox.app import SandboxServer

from .conftest import PASSPHRASE, TENANT, Cli, QuickCli, connect, init_cheaply

BLANKED = 100
PURGED = 12


@pytest.fixture(scope="module")
def company() -> Iterator[SandboxServer]:
    with SandboxServer(seed_name="medium", users=400) as server:
        yield server


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, company: SandboxServer) -> tuple[Cli, str]:
    cli = QuickCli(tmp_path_factory.mktemp("kill") / "home", {"REENTRA_PASSPHRASE": PASSPHRASE})
    init_cheaply(cli)
    connect(cli, company)
    return cli, cli.json("backup", TENANT)["snapshot"]


def start(cli: Cli, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        cli.command(*arguments),
        env=cli.variables(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill_when(process: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
    """Kill the process as soon as the condition holds; fail when it ends before."""
    end = time.monotonic() + 60
    try:
        while not condition():
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < end, "it did not come so far in time"
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def hit(server: SandboxServer) -> tuple[list[Any], list[Any]]:
    """Blank departments and purge users; returns what was hit, as it was before."""
    tenant = server.sandbox.tenant
    admins = {r.props["principalId"] for r in tenant.collection("unifiedRoleAssignment").values()}
    ordinary = [
        (record.id, dict(record.props))
        for record in tenant.collection("user").values()
        if record.id not in admins
        and record.props.get("department")
        and record.props.get("userType") == "Member"
        and not record.props.get("onPremisesSyncEnabled")
    ]
    blanked, purged = ordinary[20 : 20 + BLANKED], ordinary[200 : 200 + PURGED]
    for user_id, _ in blanked:
        tenant.update(tenant.get("user", user_id), {"department": None})
    for user_id, _ in purged:
        tenant.soft_delete(tenant.get("user", user_id))
        tenant.purge(tenant.find_deleted(user_id))
    return blanked, purged


def assert_restored(server: SandboxServer, blanked: list[Any], purged: list[Any]) -> None:
    tenant = server.sandbox.tenant
    for user_id, properties in blanked:
        assert tenant.get("user", user_id).props["department"] == properties["department"]
    names = collections.Counter(
        record.props["userPrincipalName"] for record in tenant.collection("user").values()
    )
    for _, properties in purged:
        assert names[properties["userPrincipalName"]] == 1
    assert max(names.values()) == 1


@pytest.mark.parametrize(
    ("next_start", "kill_at_writes"),
    [
        ("backup", 50),
        pytest.param("jobs resume", 30, marks=pytest.mark.slow),
        pytest.param("backup", 5, marks=pytest.mark.slow),
        pytest.param("jobs resume", 5, marks=pytest.mark.slow),
        pytest.param("jobs resume", 105, marks=pytest.mark.slow),
    ],
)
def test_a_killed_restore_goes_on_and_writes_nothing_twice(
    installed: tuple[Cli, str],
    company: SandboxServer,
    tmp_path: Path,
    next_start: str,
    kill_at_writes: int,
) -> None:
    cli, _ = installed
    snapshot = cli.json("backup", TENANT)["snapshot"]
    blanked, purged = hit(company)
    password = tmp_path / "password"
    password.write_text("Password-Canary-77!\n")
    counters, options = company.sandbox.counters, company.sandbox.options
    counters.reset()
    options.latency_seconds = 0.1
    try:
        process = start(
            cli,
            *("restore", TENANT, "--snapshot", snapshot, "--kind", "user", "--yes"),
            *("--default-password-file", str(password), "--max-changed-share", "1"),
        )
        kill_when(process, lambda: counters.writes >= kill_at_writes)
    finally:
        options.latency_seconds = 0.0
    job = cli.json("jobs", "list")[0]
    assert (job["task"], job["status"]) == ("restore", "interrupted")
    if next_start == "jobs resume":
        resumed = cli.json("jobs", "resume", job["id"], "--default-password-file", str(password))
        assert resumed["status"] == "succeeded", resumed
    elif any(step == "create" for step in open_actions(cli, job["id"])):
        # Nobody is there to give the password again: the backup is made, the restore waits.
        result = cli("backup", TENANT, "--json")
        assert job["id"] in result.err
        cli("jobs", "resume", job["id"], "--default-password-file", str(password))
    else:
        result = cli("backup", TENANT, "--json")
        assert job["id"] in result.err
    shown = cli.json("jobs", "show", job["id"])
    assert shown["status"] == "succeeded", shown
    report = cli.json("jobs", "report", job["id"])
    steps = collections.Counter(entry["step"] for entry in report["entries"])
    assert max(steps.values()) == 1
    assert_restored(company, blanked, purged)
    creations = sum(entry["action"] == "create" for entry in report["entries"])
    assert creations == PURGED
    plan = cli.json("restore", TENANT, "--snapshot", snapshot, "--kind", "user", "--preview")
    assert plan["steps"] == []
    # Every step that writes an object wrote it once.
    updates = sum(entry["action"] == "update" for entry in report["entries"])
    assert counters.writes <= updates + creations + sum(
        entry["action"] not in {"update", "create"} for entry in report["entries"]
    )


def open_actions(cli: Cli, job: str) -> list[str]:
    report = cli.json("jobs", "report", job)
    return [e["action"] for e in report["entries"] if e["status"] == "not_reached"]


def test_a_killed_backup_leaves_nothing_half_visible_and_the_next_one_completes(
    installed: tuple[Cli, str], company: SandboxServer
) -> None:
    cli, _ = installed
    before = cli.json("snapshots", TENANT)
    counters, options = company.sandbox.counters, company.sandbox.options
    counters.reset()
    options.latency_seconds = 0.05
    try:
        kill_when(start(cli, "backup", TENANT, "--full"), lambda: counters.requests >= 8)
    finally:
        options.latency_seconds = 0.0
    assert cli.json("snapshots", TENANT) == before
    assert cli.json("check")["whole"] is True
    assert cli.json("jobs", "list")[0]["status"] in {"succeeded", "failed"}
    after = cli.json("backup", TENANT)
    assert after["status"] in {"unchanged", "complete"}
    assert [j["status"] for j in cli.json("jobs", "list") if j["task"] == "backup"][:2] == [
        "succeeded",
        "failed",
    ]


@pytest.mark.slow
def test_ctrl_c_stops_a_restore_between_two_steps_and_it_can_go_on(
    installed: tuple[Cli, str], company: SandboxServer, tmp_path: Path
) -> None:
    cli, _ = installed
    snapshot = cli.json("backup", TENANT)["snapshot"]
    blanked, purged = hit(company)
    password = tmp_path / "password"
    password.write_text("Password-Canary-77!\n")
    counters, options = company.sandbox.counters, company.sandbox.options
    counters.reset()
    options.latency_seconds = 0.1
    try:
        process = start(
            cli,
            *("restore", TENANT, "--snapshot", snapshot, "--kind", "user", "--yes"),
            *("--default-password-file", str(password), "--max-changed-share", "1"),
        )
        end = time.monotonic() + 60
        while counters.writes < 20 and time.monotonic() < end:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    finally:
        options.latency_seconds = 0.0
        process.kill()
        process.wait()
    job = cli.json("jobs", "list")[0]
    assert job["status"] == "cancelled"
    resumed = cli.json("jobs", "resume", job["id"], "--default-password-file", str(password))
    assert resumed["status"] == "succeeded", resumed
    assert_restored(company, blanked, purged)
    assert seeds.TENANT_ID in str(cli.json("tenant", "list"))
