"""Retention as a person types it: a policy with its reasons, forgetting, the space given back."""

from __future__ import annotations

import pytest

from reentra.sandbox.app import SandboxServer

from .conftest import PASSPHRASE, TENANT, Cli, QuickCli, connect, init_cheaply


@pytest.fixture(scope="module")
def taken(
    tmp_path_factory: pytest.TempPathFactory, sandbox: SandboxServer
) -> tuple[Cli, list[str]]:
    """A connected installation with three snapshots, the oldest first, that differ in one user."""
    made = QuickCli(tmp_path_factory.mktemp("keep") / "home", {"REENTRA_PASSPHRASE": PASSPHRASE})
    init_cheaply(made)
    connect(made, sandbox)
    tenant = sandbox.sandbox.tenant
    user = next(iter(tenant.collection("user").values()))
    ids = []
    for number in range(3):
        tenant.update(user, {"department": f"Number {number}"})
        ids.append(made.json("backup", TENANT)["snapshot"])
    return made, ids


def departments(cli: Cli, snapshot: str) -> set[str]:
    rows = cli.json("browse", TENANT, "user", "--snapshot", snapshot, "--limit", "1000")
    return {str(row) for row in rows}


def test_a_life_of_retention(taken: tuple[Cli, list[str]]) -> None:
    cli, ids = taken
    shown = cli.json("retention", TENANT)
    assert shown["policy"]["daily"] == 0
    assert [(one["id"], one["kept"]) for one in shown["items"]] == [(i, True) for i in ids[::-1]]
    assert cli.json("forget", TENANT, "--apply-policy", "--yes")["would_forget"] == []

    assert cli.json("retention", TENANT, "--daily", "7", "--preview")["forgets"] == 2
    assert cli.json("retention", TENANT)["policy"]["daily"] == 0
    told = cli("retention", TENANT, "--daily", "7", "--last", "2").out
    assert "the last 2, 7 daily (UTC)" in told
    assert "last 2 of 2" in told
    assert "would be forgotten" in told
    assert cli.json("retention", TENANT, "--last", "0")["policy"]["daily"] == 7

    before = cli.json("compare", TENANT, ids[0], ids[2])
    assert len(before) == 1
    assert cli.json("forget", TENANT, "--apply-policy", "--preview")["would_forget"] == ids[:2]
    cli("forget", TENANT, "--apply-policy", expect=2)  # there is nobody to ask
    assert [one["id"] for one in cli.json("snapshots", TENANT)] == ids[::-1]
    refused = cli("forget", TENANT, ids[2], "--yes", expect=None)
    assert refused.code != 0
    assert "newest" in refused.err

    state = departments(cli, ids[2])
    done = cli.json("forget", TENANT, "--apply-policy", "--yes")
    assert (done["forgotten"], done["kept"]) == (ids[:2], 1)
    assert [one["id"] for one in cli.json("snapshots", TENANT)] == [ids[2]]
    assert departments(cli, ids[2]) == state
    assert "no snapshot" in cli("browse", TENANT, "--snapshot", ids[0], expect=None).err.lower()
    checked = cli.json("check")
    assert (checked["whole"], checked["snapshots"], checked["forgotten"]) == (True, 1, 2)

    planned = cli.json("prune", "--preview")
    assert (sorted(planned["forgotten"]), len(planned["merges"])) == (ids[:2], 1)
    report = cli.json("prune")
    assert report["merged"] == 1
    assert departments(cli, ids[2]) == state
    checked = cli.json("check")
    assert (checked["problems"], checked["forgotten"]) == ([], 0)
    cli.json("rebuild")
    assert departments(cli, ids[2]) == state
    made = cli.json("backup", TENANT)
    assert made["snapshot"] > ids[2]
    records = cli.json("audit", "list")
    assert {"forget", "prune", "retention.change"} <= {one["action"] for one in records}


def test_the_undo_of_a_restore_whose_capture_was_forgotten_says_so(
    taken: tuple[Cli, list[str]], sandbox: SandboxServer
) -> None:
    cli, _ = taken
    tenant = sandbox.sandbox.tenant
    user = next(iter(tenant.collection("user").values()))
    snapshot = cli.json("backup", TENANT)["snapshot"]
    tenant.update(user, {"department": "Wrecked"})
    restore = ("restore", TENANT, "--snapshot", snapshot, "--id", f"user/{user.id}", "--yes")
    job = cli.json(*restore)["job"]
    (capture,) = cli.json("snapshots", TENANT, "--captures")
    assert cli.json("forget", TENANT, capture["id"], "--yes")["forgotten"] == [capture["id"]]
    assert cli.json("snapshots", TENANT, "--captures") == []
    told = cli("jobs", "undo", job, "--yes", expect=None)
    assert told.code != 0
    assert "was forgotten" in told.err
    cli.json("prune")
    assert "was forgotten" in cli("jobs", "undo", job, "--yes", expect=None).err
