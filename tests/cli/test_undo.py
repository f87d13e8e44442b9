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


CONFIRMED = ("--yes",)


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
    told = cli("jobs", "show", restored["job"]).out
    assert f"capture   {capture['id']}" in told
    assert f"reentra jobs undo {restored['job']}" in told
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


def test_an_undo_is_shown_applied_and_told_like_any_restore(
    home: tuple[Cli, str], sandbox: SandboxServer
) -> None:
    cli, first = home
    tenant = sandbox.sandbox.tenant
    omar, lina = user_named(sandbox, "Omar Haas"), user_named(sandbox, "Lina Costa")
    before = tenant.get("user", lina).props["department"]
    tenant.soft_delete(tenant.get("user", omar))
    tenant.update(tenant.get("user", lina), {"department": "Wrecked"})
    ids = ("--id", f"user/{lina}", "--id", f"user/{omar}")
    job = cli.json("restore", TENANT, "--snapshot", first, *ids, "--yes")["job"]
    assert tenant.get("user", lina).props["department"] == before
    shown = cli("jobs", "undo", job, "--preview")
    assert f"undoes restore {job}" in shown.out
    assert "Delete Omar Haas into the recycle bin; the restore had brought it back" in shown.out
    refused = cli("jobs", "undo", job, expect=4)
    assert "--yes" in refused.err
    undone = cli.json("jobs", "undo", job, *CONFIRMED)
    assert undone["status"] == "succeeded"
    assert tenant.get("user", lina).props["department"] == "Wrecked"
    assert tenant.collection("user").get(omar) is None
    report = cli("jobs", "report", undone["job"]).out
    assert report.startswith(f"Undo of restore {job}: succeeded")
    assert "Nothing to do" in cli("jobs", "undo", job, "--preview").out
    again = cli.json("jobs", "undo", undone["job"], "--yes")
    assert again["status"] == "succeeded"
    assert tenant.get("user", lina).props["department"] == before
    assert tenant.collection("user").get(omar) is not None


def test_only_a_restore_that_wrote_something_can_be_undone(home: tuple[Cli, str]) -> None:
    cli, first = home
    backup = cli.json("jobs", "list")[-1]["id"]
    assert "only a restore" in cli("jobs", "undo", backup, expect=2).err
    nothing = cli.json("restore", TENANT, "--snapshot", first, "--kind", "group", "--yes")["job"]
    assert "nothing to undo" in cli("jobs", "undo", nothing, expect=2).err


def test_a_restore_that_was_cut_off_is_undone_and_does_not_go_on(
    home: tuple[Cli, str], sandbox: SandboxServer
) -> None:
    from reentra.app import Application
    from reentra.database import JobStatus
    from reentra.settings import Settings

    cli, first = home
    tenant = sandbox.sandbox.tenant
    lina = user_named(sandbox, "Lina Costa")
    tenant.update(tenant.get("user", lina), {"department": "Wrecked"})
    job = cli.json("restore", TENANT, "--snapshot", first, "--id", f"user/{lina}", "--yes")["job"]
    chosen = Settings(home=cli.home, repository="", database_url="")
    with Application(chosen, lambda: PASSPHRASE) as application:
        # As a kill leaves it: all that was written is in the journal, and nobody ended the job.
        application.jobs.update_job(job, status=JobStatus.RUNNING)
    undone = cli.json("jobs", "undo", job, *CONFIRMED)
    assert undone["status"] == "succeeded"
    assert tenant.get("user", lina).props["department"] == "Wrecked"
    jobs = {one["id"]: one["status"] for one in cli.json("jobs", "list")}
    assert jobs[job] == "cancelled"
    assert jobs[undone["job"]] == "succeeded"


def test_without_its_journal_an_undo_points_to_the_capture(
    home: tuple[Cli, str], sandbox: SandboxServer
) -> None:
    cli, first = home
    tenant = sandbox.sandbox.tenant
    lina = user_named(sandbox, "Lina Costa")
    tenant.update(tenant.get("user", lina), {"department": "Wrecked"})
    job = cli.json("restore", TENANT, "--snapshot", first, "--id", f"user/{lina}", "--yes")["job"]
    for name in ("jobs.sqlite", "steps.sqlite"):
        for file in cli.home.glob(f"{name}*"):
            file.unlink()
    lost = cli("jobs", "undo", job, expect=None)
    assert lost.code != 0
    capture = cli.json("snapshots", TENANT, "--captures")[0]
    assert capture["job"] == job
    assert f"compare {TENANT} {capture['id']} live" in lost.err.replace("\n", " ")


def test_an_object_that_was_made_anew_is_known_by_both_ids(
    home: tuple[Cli, str], sandbox: SandboxServer
) -> None:
    cli, first = home
    tenant = sandbox.sandbox.tenant
    group = next(
        one.id for one in tenant.collection("group").values() if one.props["displayName"] == "Sales"
    )
    tenant.purge(tenant.get("group", group))
    job = cli.json("restore", TENANT, "--snapshot", first, "--id", f"group/{group}", "--yes")
    new_id = job["id_map"][group]
    later = cli.json("backup", TENANT)["snapshot"]
    found = cli.json("search", TENANT, "Sales", "--kind", "group")
    assert {hit["id"] for hit in found if hit["id_now"] == new_id} == {group, new_id}
    assert cli.json("browse", TENANT, "group", group, "--snapshot", later)["id"] == new_id
    assert cli.json("browse", TENANT, "group", new_id, "--snapshot", first)["id"] == group
    again = ("restore", TENANT, "--snapshot", first, "--preview", "--id")
    assert cli.json(*again, f"group/{group}")["steps"] == []
    assert cli.json(*again, f"group/{new_id}")["steps"] == []
    compared = cli.json("compare", TENANT, first, later, "--id", f"group/{group}")
    assert [(one["change"], one["new_id"]) for one in compared] == [("modified", new_id)]

    for file in (cli.home / "repository" / "documents" / "identities").iterdir():
        data = file.read_bytes()
        file.chmod(0o600)
        file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    damaged = cli("restore", TENANT, "--snapshot", first, "--kind", "group", "--preview", expect=5)
    assert "check --repair" in damaged.err
    assert cli.json("browse", TENANT, "group", new_id, "--snapshot", later)["id"] == new_id
    told = cli("check", expect=5)
    assert "check --repair" in told.out
    repaired = cli("check", "--repair")
    assert "learnt again from its journal" in " ".join(repaired.out.split())
    assert cli.json(*again, f"group/{group}")["steps"] == []
    assert cli.json("check")["problems"] == []


def test_a_restore_that_graph_breaks_off_names_itself_and_the_ways_on_and_back(
    home: tuple[Cli, str], sandbox: SandboxServer
) -> None:
    cli, first = home
    tenant = sandbox.sandbox.tenant
    lina = user_named(sandbox, "Lina Costa")
    tenant.update(tenant.get("user", lina), {"department": "Wrecked"})
    sandbox.sandbox.faults.script(
        ("PATCH", "^/users/"), 401, code="InvalidAuthenticationToken", times=2
    )
    broken = cli.json(
        *("restore", TENANT, "--snapshot", first, "--id", f"user/{lina}", "--yes"), expect=1
    )
    sandbox.sandbox.faults.assert_all_used()
    job = cli.json("jobs", "list")[0]["id"]
    for command in ("show", "resume", "undo"):
        assert f"reentra jobs {command} {job}" in broken["error"]["hint"]
    assert cli.json("jobs", "resume", job)["status"] == "succeeded"
    assert tenant.get("user", lina).props["department"] != "Wrecked"
