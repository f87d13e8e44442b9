"""Retention over the API: preview, policy, forgetting, pruning, and a second person for it."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator

import pytest

from reentra.access import ApprovalRules, Role
from reentra.access.audit import SYSTEM
from reentra.directory import canonical
from reentra.directory.state import COMPLETE
from reentra.graph.connection import Cloud, TenantConnection
from reentra.repository import Manifest
from reentra.sandbox import seed as seeds
from reentra.sandbox.app import SandboxServer
from reentra.snapshots import KindSummary, SnapshotInfo, SnapshotStatus, SnapshotWriter

from .conftest import CONSOLE, Api

NOON = dt.datetime(2026, 11, 20, 12, 0, tzinfo=dt.UTC)
T = "/tenants/keeper"
TENANT_ID = "22222222-3333-4444-8555-666666666666"


@pytest.fixture(scope="module")
def snapshots(api: Api, sandbox: SandboxServer) -> Iterator[list[str]]:
    """Return the ids of three snapshots of a tenant of its own, oldest first."""
    application = api.application
    connection = TenantConnection(
        "keeper", TENANT_ID, seeds.BOTH_CLIENT_ID, cloud=Cloud.CUSTOM,
        graph_endpoint=sandbox.base_url, authority=sandbox.base_url,
    )  # fmt: skip
    application.connections.add(connection, seeds.SANDBOX_SECRET)
    made: list[Manifest] = []
    for number in range(3):
        at = NOON + dt.timedelta(days=number)
        writer = SnapshotWriter(application.repository)
        body = {"id": "a", "displayName": f"Unit {number}"}
        writer.put_object("administrativeUnit", "a", canonical.digest("user", body), body)
        counts = {"administrativeUnit": KindSummary(1, 0, 1, 0, COMPLETE)}
        info = SnapshotInfo(SnapshotStatus.COMPLETE, at, at, counts, {})
        with application.repository.lock_tenant(TENANT_ID, "test") as lock:
            made.append(
                application.repository.commit(
                    lock=lock,
                    tenant_id=TENANT_ID,
                    snapshot_id=application.repository.new_snapshot_id(at),
                    created_at=at,
                    parent=made[-1].ref if made else None,
                    segments=writer.seal(),
                    payload=info.to_json(),
                )
            )
    yield [one.id for one in made]
    application.connections.remove("keeper")


def kept(api: Api, query: str = "") -> dict[str, bool]:
    path = f"{T}/retention/preview?{query}" if query else f"{T}/retention"
    document = api.as_role(Role.READER, "keeper").json("GET", path)
    assert document["forgets"] == sum(not one["kept"] for one in document["items"])
    return {one["id"]: one["kept"] for one in document["items"]}


def test_a_policy_is_previewed_set_approved_and_kept_to(api: Api, snapshots: list[str]) -> None:
    api.serving._synced_at.clear()
    first, second = api.as_role(Role.ADMINISTRATOR, "keeper"), api.admin
    assert set(kept(api).values()) == {True}
    assert kept(api, "last=2") == dict(zip(snapshots, [False, True, True], strict=True))
    assert set(kept(api).values()) == {True}
    for bad in ({"last": -1}, {"zone": "Mars/Olympus"}, {"fortnightly": 3}):
        assert first("PUT", f"{T}/retention", bad).status_code == 400

    api.serving.access.change_rules(CONSOLE, ApprovalRules(retention=True))
    refused = first("PUT", f"{T}/retention", {"last": 2})
    assert (refused.status_code, refused.json()["code"]) == (409, "approval_needed")
    asked = second.json("GET", f"{T}/approvals")["items"][0]
    assert (asked["action"], asked["subject"]) == ("retention", "everything → the last 2 (UTC)")
    decision = f"{T}/approvals/{asked['id']}"
    assert api.as_role(Role.RESTORER)("POST", decision, {"granted": True}).status_code == 403
    assert first("POST", decision, {"granted": True}).status_code == 409
    second.json("POST", decision, {"granted": True})
    # What was approved is exactly what is done.
    assert first("PUT", f"{T}/retention", {"last": 1}).status_code == 409
    assert first.json("PUT", f"{T}/retention", {"last": 2})["forgets"] == 1
    # To keep more needs nobody.
    assert first.json("PUT", f"{T}/retention", {"last": 3})["forgets"] == 0
    assert first("PUT", f"{T}/retention", {"last": 2}).status_code == 409

    body = {"snapshots": [snapshots[1]]}
    assert first("POST", f"{T}/forget", body).json()["code"] == "approval_needed"
    asked = second.json("GET", f"{T}/approvals")["items"][0]
    assert asked["subject"] == f"forget {snapshots[1]}"
    second.json("POST", f"{T}/approvals/{asked['id']}", {"granted": True})
    job = first.json("POST", f"{T}/forget", body, 202)["id"]
    assert api.ended("keeper", job)["summary"]["forgotten"] == [snapshots[1]]
    api.serving.access.change_rules(CONSOLE, ApprovalRules())
    api.serving._synced_at.clear()
    assert kept(api) == {snapshots[0]: True, snapshots[2]: True}
    plan = second.json("GET", "/prune")
    assert (plan["forgotten"], len(plan["merges"])) == ([snapshots[1]], 1)
    job = second.json("POST", "/prune", None, 202)["id"]
    assert second.json("GET", "/prune")["forgotten"] in ([], [snapshots[1]])
    ended = api.ended("", job)
    assert (ended["status"], ended["summary"]["merged"]) == ("succeeded", 1)


def test_what_cannot_be_forgotten_is_refused(api: Api, snapshots: list[str]) -> None:
    admin = api.admin
    refused = admin("POST", f"{T}/forget", {"snapshots": [snapshots[2]]})
    assert (refused.status_code, refused.json()["code"]) == (409, "refused")
    assert admin("POST", f"{T}/forget", {}).status_code == 400
    assert admin("POST", f"{T}/forget", {"snapshots": ["19990101"]}).status_code == 404
    assert api.as_role(Role.RESTORER)("POST", f"{T}/forget", {}).status_code == 403


def test_after_a_scheduled_backup_the_policy_is_kept_to_and_space_given_back(
    api: Api, snapshots: list[str]
) -> None:
    jobs, admin = api.application.jobs, api.admin
    repository = api.application.repository
    # Keeps everything that there is, but is a policy.
    admin.json("PUT", "/tenants/contoso/retention", {"within_days": 3650})
    try:
        parameters = {"full": False, "anew": False, "kinds": []}
        done = api.serving.worker.enqueue(SYSTEM, "backup", tenant="contoso", parameters=parameters)
        api.ended("contoso", done.id)
        end = time.monotonic() + 60
        while not (found := jobs.list_jobs(tenant="contoso", task="forget")):
            assert time.monotonic() < end
            time.sleep(0.1)
        forgotten = api.ended("contoso", found[0].id)
        assert (forgotten["who"], forgotten["summary"]["forgotten"]) == ("reentra", [])
    finally:
        admin.json("PUT", "/tenants/contoso/retention", {})
    before = len(jobs.list_jobs(task="prune"))
    with repository.lock_tenant(TENANT_ID, "test") as lock:
        repository.forget(TENANT_ID, snapshots[:1], lock=lock)
    job = api.serving.worker.enqueue(
        SYSTEM, "forget", tenant="keeper", parameters={"snapshots": [], "apply_policy": True}
    )
    api.ended("keeper", job.id)
    end = time.monotonic() + 60
    while len(jobs.list_jobs(task="prune")) == before:
        assert time.monotonic() < end
        time.sleep(0.1)
    pruned = api.ended("", jobs.list_jobs(task="prune")[0].id)
    assert (pruned["status"], pruned["who"]) == ("succeeded", "reentra")
    assert repository.list_forgotten(TENANT_ID) == frozenset()
