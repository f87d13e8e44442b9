"""What a restore through the API refuses: two snapshots, two jobs, deletions nobody confirmed."""

from __future__ import annotations

import concurrent.futures
from typing import Any

import pytest

from reentra.access import Role
from reentra.restore.plan import RestorePlan
from reentra.sandbox.app import SandboxServer

from .conftest import Api, Caller

OF = "/tenants/contoso"


def group_of(sandbox: SandboxServer) -> Any:
    return next(
        r for r in sandbox.sandbox.tenant.collection("group").values()
        if "DynamicMembership" not in (r.props.get("groupTypes") or [])
        and r.props.get("securityEnabled") and not r.props.get("isAssignableToRole")
    )  # fmt: skip


def planned(api: Api, caller: Caller, **body: Any) -> str:
    job = caller.json("POST", f"{OF}/plans", {"snapshot": "latest", **body}, 202)
    ended = api.ended("contoso", job["id"])
    assert ended["status"] == "succeeded", ended
    return f"{OF}/plans/{ended['summary']['plan']}"


@pytest.mark.parametrize("path", [f"{OF}/plans", f"{OF}/downloads"])
def test_a_selection_over_two_snapshots_is_refused(api: Api, path: str) -> None:
    """W-17."""
    restorer = api.as_role(Role.RESTORER)
    newest = restorer.json("GET", f"{OF}/snapshots?limit=1")["items"][0]["id"]
    refused = restorer("POST", path, {"snapshot": [newest, "20200101T000000Z-aaaaaa"]})
    assert refused.status_code == 400
    assert "is from 2 snapshots" in refused.json()["detail"]
    assert restorer("POST", path, {"snapshot": []}).status_code == 400
    made = restorer.json("POST", path, {"snapshot": [newest, newest], "kinds": ["domain"]}, 202)
    assert api.ended("contoso", made["id"])["status"] == "succeeded"


def test_a_plan_is_applied_by_one_job_even_when_two_clicks_are_at_once(
    api: Api, sandbox: SandboxServer
) -> None:
    group, restorer = group_of(sandbox), api.as_role(Role.RESTORER)
    sandbox.sandbox.tenant.update(group, {"description": "clicked twice"})
    plan = planned(api, restorer, ids=[f"group/{group.id}"])
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: restorer("POST", plan + "/apply", {}), range(4)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409]
    job = next(answer.json()["id"] for answer in answers if answer.status_code == 202)
    refused = next(answer.json() for answer in answers if answer.status_code == 409)
    assert refused["code"] == "already_applied"
    assert job in refused["detail"]
    assert api.ended("contoso", job)["status"] == "succeeded"
    assert restorer("POST", plan + "/apply", {}).status_code == 409


def test_deletions_are_confirmed_by_their_number(api: Api, sandbox: SandboxServer) -> None:
    added = sandbox.sandbox.tenant.create(
        "group",
        {"displayName": "Added since", "mailEnabled": False, "mailNickname": "added",
         "securityEnabled": True},
    )  # fmt: skip
    restorer = api.as_role(Role.RESTORER)
    plan = planned(api, restorer, kinds=["group"], rollback_kinds=["group"])
    assert restorer.json("GET", plan)["deletions_to_confirm"] == 1
    for wrong in ({}, {"confirm_deletions": 2}):
        refused = restorer("POST", plan + "/apply", wrong)
        assert refused.status_code == 409
        assert "deletes 1 object" in refused.json()["detail"]
    job = restorer.json("POST", plan + "/apply", {"confirm_deletions": 1}, 202)
    assert api.ended("contoso", job["id"])["status"] == "succeeded"
    assert added.id not in sandbox.sandbox.tenant.collection("group")


def test_a_plan_that_creates_a_user_is_kept_until_it_comes_with_a_default_password(
    api: Api, sandbox: SandboxServer
) -> None:
    """W-10."""
    tenant = sandbox.sandbox.tenant
    lost = next(
        record for record in tenant.collection("user").values()
        if not record.props.get("onPremisesSyncEnabled")
        and not record.props.get("assignedLicenses")
    )  # fmt: skip
    name = lost.props["userPrincipalName"]
    tenant.soft_delete(lost)
    tenant.purge(lost)
    restorer = api.as_role(Role.RESTORER)
    plan = planned(api, restorer, ids=[f"user/{lost.id}"])
    assert restorer.json("GET", plan)["needs_default_password"]
    refused = restorer("POST", plan + "/apply", {})
    assert refused.status_code == 400
    assert "no default password" in refused.json()["detail"]
    job = restorer.json("POST", plan + "/apply", {"default_password": "Grey-lamps-7-at-dawn"}, 202)
    assert api.ended("contoso", job["id"])["status"] == "succeeded"
    assert name in {user.props["userPrincipalName"] for user in tenant.collection("user").values()}


def test_a_plan_can_be_fetched_whole_and_read_again(api: Api) -> None:
    restorer = api.as_role(Role.RESTORER)
    plan = planned(api, restorer, kinds=["domain"])
    fetched = restorer("GET", plan + "/file")
    assert "attachment" in fetched.headers["content-disposition"]
    assert RestorePlan.from_json(fetched.json()).id == plan.rpartition("/")[2]


def test_a_plan_that_replaces_another_stops_its_making(api: Api) -> None:
    restorer, body = api.as_role(Role.RESTORER), {"snapshot": "latest"}
    jobs = [restorer.json("POST", f"{OF}/plans", body, 202)["id"]]
    for _ in range(3):
        job = restorer.json("POST", f"{OF}/plans", {**body, "replaces": jobs[-1]}, 202)
        jobs.append(job["id"])
    assert api.ended("contoso", jobs[-1])["status"] == "succeeded"
    statuses = [api.ended("contoso", job)["status"] for job in jobs[:-1]]
    assert "cancelled" in statuses
    other = api.admin.json("POST", f"{OF}/plans", body, 202)["id"]
    restorer.json("POST", f"{OF}/plans", {**body, "replaces": other}, 202)  # not one's own
    assert api.ended("contoso", other)["status"] == "succeeded"


def test_a_selection_is_told_in_names(api: Api, sandbox: SandboxServer) -> None:
    group = group_of(sandbox)
    missing = "user/11111111-1111-4111-8111-111111111111"
    query = f"?kind=domain&id=group/{group.id}&id={missing}"
    found = api.as_role(Role.READER).json("GET", f"{OF}/snapshots/latest/selection{query}")
    assert [item["kind"] for item in found["kinds"]] == ["domain"]
    assert found["objects"] == [
        {"kind": "group", "id": group.id, "display_name": group.props["displayName"]}
    ]
    assert (found["missing"], found["total"]) == ([missing], 2)
