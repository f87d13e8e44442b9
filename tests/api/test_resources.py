"""What the API gives: snapshots, objects, search, comparisons, plans, jobs, people, the trail."""

from __future__ import annotations

import dataclasses
import json

import pytest

from reentra.access import ApprovalRules, Role
from reentra.database import JobStatus
from reentra.sandbox.app import SandboxServer

from .conftest import CONSOLE, Api

SNAPSHOTS = "/tenants/contoso/snapshots"


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_snapshots_kinds_and_objects_are_listed_in_pages(api: Api) -> None:
    reader = api.as_role(Role.READER)
    snapshot = reader.json("GET", SNAPSHOTS + "?limit=1")["items"][0]
    assert snapshot["status"] == "complete"
    shown = reader.json("GET", f"{SNAPSHOTS}/latest")
    assert shown["coverage"]["user"]["status"] == "complete"
    total = snapshot["kinds"]["user"]["objects"]
    seen: list[str] = []
    cursor = ""
    while True:
        page = reader.json(
            "GET", f"{SNAPSHOTS}/{snapshot['id']}/kinds/user/objects?limit=7&cursor={cursor}"
        )
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
    assert len(seen) == len(set(seen)) == total == page["total"]
    names = [
        item["display_name"]
        for item in reader.json(
            "GET", f"{SNAPSHOTS}/latest/kinds/user/objects?sort=name&descending=true"
        )["items"]
    ]
    assert names[:2] == sorted(names[:2], reverse=True)
    one = reader.json("GET", f"{SNAPSHOTS}/latest/kinds/user/objects/{seen[0]}")
    assert one["properties"]["id"] == seen[0] or one["id"] == seen[0]
    assert isinstance(one["relationships"], list)
    versions = reader.json("GET", f"/tenants/contoso/kinds/user/objects/{seen[0]}/versions")
    assert versions["items"][-1]["ended"] is None
    assert reader("GET", f"{SNAPSHOTS}/latest/kinds/nonsense/objects").status_code == 404


def test_search_finds_and_says_where(api: Api) -> None:
    reader = api.as_role(Role.READER)
    first = reader.json("GET", "/tenants/contoso/search?kind=group&limit=1")
    assert len(first["items"]) == 1
    second = reader.json(
        "GET", f"/tenants/contoso/search?kind=group&limit=1&cursor={first['next']}"
    )
    assert second["items"][0]["id"] != first["items"][0]["id"]
    assert reader.json("GET", "/tenants/contoso/search?deleted_only=true")["items"] == []
    assert reader("GET", "/tenants/contoso/search?kind=nonsense").status_code == 400


def test_a_days_snapshots_are_summed_up_in_a_zone(api: Api) -> None:
    reader = api.as_role(Role.READER)
    snapshots = reader.json("GET", "/tenants/contoso/snapshots")["items"]
    day = snapshots[0]["created_at"][:10]
    path = f"/tenants/contoso/days?first={day}&last={day}"
    found = reader.json("GET", path)
    of_the_day = [one for one in snapshots if one["created_at"].startswith(day)]
    assert [(one["day"], one["snapshots"]) for one in found["items"]] == [(day, len(of_the_day))]
    assert found["items"][0]["changed"] == sum(
        kind["changed"] for one in of_the_day if one["parent"] for kind in one["kinds"].values()
    )
    assert sum(found["months"].values()) == len(snapshots)
    end = f"taken_from={day}&taken_before={day}T23:59:59.999Z"
    assert reader.json("GET", f"/tenants/contoso/snapshots?{end}")["items"] == of_the_day
    nothing = f"taken_before={day}"
    assert len(reader.json("GET", f"/tenants/contoso/snapshots?{nothing}")["items"]) == len(
        snapshots
    ) - len(of_the_day)
    for wrong in ("&zone=Mars/Phobos", f"&last={day[:4]}-1-1", "&first=1999-01-01"):
        assert reader("GET", path + wrong).status_code == 400, wrong


def test_jobs_are_listed_by_task_and_by_status(api: Api) -> None:
    reader = api.as_role(Role.READER)
    path = "/tenants/contoso/jobs?task=backup"
    found = reader.json("GET", path + "&status=succeeded")["items"]
    assert {job["status"] for job in found} == {"succeeded"}
    assert reader.json("GET", path + "&status=queued")["items"] == []
    assert reader("GET", path + "&status=nonsense").status_code == 400


def test_a_check_is_watched_reported_and_not_stopped_after_its_end(api: Api) -> None:
    job = api.admin.json("POST", "/check", {"quick": True}, 202)["id"]
    assert '"succeeded"' in api.admin("GET", f"/jobs/{job}/events").text
    assert api.admin("GET", f"/jobs/{job}/report.csv").text.startswith("severity,")
    assert api.admin("POST", f"/jobs/{job}/cancel").status_code == 409
    assert api.as_role(Role.RESTORER)("GET", f"/jobs/{job}/report.csv").status_code == 403


def test_a_change_is_compared_planned_approved_applied_and_undone(
    api: Api, sandbox: SandboxServer
) -> None:
    reader, restorer = api.as_role(Role.READER), api.as_role(Role.RESTORER)
    record = next(
        r for r in sandbox.sandbox.tenant.collection("group").values()
        if "DynamicMembership" not in (r.props.get("groupTypes") or [])
        and r.props.get("securityEnabled") and not r.props.get("isAssignableToRole")
    )  # fmt: skip
    before = record.props.get("description")
    sandbox.sandbox.tenant.update(record, {"description": "vandalised"})
    live = f"/tenants/contoso/comparison?before=latest&after=live&kind=group&id={record.id}"
    found = lines(reader("GET", live).text)
    assert len(found) == 2
    assert found[0]["id"] == record.id
    assert found[1]["end"]["counts"] == {"group": {"modified": 1}}  # type: ignore[index]
    body = {"snapshot": "latest", "ids": [f"group/{record.id}"]}
    assert reader("POST", "/tenants/contoso/plans", body).status_code == 403
    job = restorer.json("POST", "/tenants/contoso/plans", body, 202)
    ended = api.ended("contoso", job["id"])
    assert (ended["status"], ended["summary"]["steps"]) == ("succeeded", 1), ended
    plan = f"/tenants/contoso/plans/{ended['summary']['plan']}"
    shown = restorer.json("GET", plan)
    assert (shown["counts"], shown["needs_approval"]) == ({"update": {"group": 1}}, False)
    assert "steps" not in shown
    assert restorer.json("GET", plan + "/steps")["total"] == 1
    assert restorer("GET", plan.replace("contoso", "fabrikam")).status_code == 404

    # With a threshold, a second person has to approve exactly this plan.
    api.admin.json("PUT", "/settings", {"approve_restores_over_steps": 0})
    refused = restorer("POST", plan + "/apply", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "approval_needed")
    asked = restorer.json("POST", plan + "/approval", expect=201)
    assert asked["digest"] == shown["digest"]
    decision = f"/tenants/contoso/approvals/{asked['id']}"
    assert restorer("POST", decision, {"granted": True}).status_code == 409
    assert reader("POST", decision, {"granted": True}).status_code == 403
    assert api.admin.json("POST", decision, {"granted": True})["granted"] is True
    applied = restorer.json("POST", plan + "/apply", {}, 202)
    api.serving.access.change_rules(CONSOLE, ApprovalRules())
    ended = api.ended("contoso", applied["id"])
    assert ended["status"] == "succeeded", ended
    assert record.props.get("description") == before
    assert ended["who"] == "restorer-of-all"

    job_path = f"/tenants/contoso/jobs/{applied['id']}"
    steps = reader.json("GET", job_path + "/steps?limit=1")
    assert [(step["status"], step["action"], step["id"]) for step in steps["items"]] == [
        ("done", "update", record.id)
    ]
    assert reader.json("GET", job_path + "/steps?status=failed")["total"] == 0
    whole = reader.json("GET", job_path + "/steps?limit=1000")["items"]
    for status in {step["status"] for step in whole} | {"done", "planned", "skipped"}:
        named = reader.json("GET", job_path + f"/steps?status={status}&limit=1000")["items"]
        assert named == [step for step in whole if step["status"] == status]
    assert reader("GET", job_path + "/steps?status=nonsense").status_code == 400
    csv = reader("GET", job_path + "/report.csv")
    assert csv.headers["content-type"].startswith("text/csv")
    assert record.id in csv.text
    events = reader("GET", job_path + "/events")
    assert events.headers["content-type"].startswith("text/event-stream")
    assert '"succeeded"' in events.text

    undo = restorer.json("POST", job_path + "/undo", {}, 202)
    undone = api.ended("contoso", undo["id"])
    assert undone["summary"]["steps"] == 1
    again = restorer.json(
        "POST", f"/tenants/contoso/plans/{undone['summary']['plan']}/apply", {}, 202
    )
    assert api.ended("contoso", again["id"])["status"] == "succeeded"
    assert record.props.get("description") == "vandalised"
    actions = [
        (r["action"], r["result"]) for r in api.admin.json("GET", "/audit?limit=200")["items"]
    ]
    for expected in (("restore.begin", "done"), ("restore", "queued"), ("restore", "succeeded"),
                     ("approval.ask", "done"), ("approval.decide", "granted")):  # fmt: skip
        assert expected in actions


def test_a_failed_plan_is_told_by_its_job(api: Api) -> None:
    body = {"snapshot": "latest", "ids": ["group/11111111-1111-4111-8111-111111111111"]}
    job = api.admin.json("POST", "/tenants/contoso/plans", body, 202)
    ended = api.ended("contoso", job["id"])
    assert (ended["status"], ended["error"]["code"]) == ("failed", "not_found")
    operator = api.as_role(Role.OPERATOR)
    resume = f"/tenants/contoso/jobs/{job['id']}/resume"
    assert operator("POST", resume, {}).status_code == 403  # a plan is a restorer's
    assert api.admin("POST", resume, {}).status_code == 202
    assert api.ended("contoso", job["id"])["status"] == "failed"
    assert api.admin("POST", f"/tenants/contoso/jobs/{job['id']}/cancel").status_code == 409
    assert api.admin("POST", f"/tenants/contoso/jobs/{job['id']}/undo", {}).status_code == 400


def test_tenants_show_what_one_may_see(api: Api) -> None:
    one = api.as_role(Role.READER, "contoso")
    assert [t["name"] for t in one.json("GET", "/tenants")["items"]] == ["contoso"]
    assert len(api.admin.json("GET", "/tenants")["items"]) == 2
    needs = api.as_role(Role.OPERATOR).json("GET", "/tenants/contoso/permissions")
    assert needs["not_covered"] == {}
    assert needs["permissions"]
    assert one.json("GET", "/tenants/contoso/coverage")["coverage"]["group"]["status"] == "complete"
    assert api.admin("GET", "/tenants/fabrikam/coverage").status_code == 404


def test_break_glass_accounts_are_named(api: Api, sandbox: SandboxServer) -> None:
    user = next(iter(sandbox.sandbox.tenant.collection("user").values()))
    named = {"break_glass": [user.props["userPrincipalName"]]}
    admin = api.as_role(Role.ADMINISTRATOR, "contoso")
    assert admin.json("PUT", "/tenants/contoso", named)["break_glass"] == named["break_glass"]
    bare = dataclasses.replace(
        api.application.connections.find("contoso"), break_glass=(), client_id="another"
    )
    kept = api.application.connections.keeping_safeguards(bare)  # a new credential
    assert (kept.client_id, list(kept.break_glass)) == ("another", named["break_glass"])
    wrong = admin("PUT", "/tenants/contoso", {"break_glass": ["nobody@nowhere.example"]})
    assert wrong.status_code == 404
    assert admin.json("GET", "/tenants")["items"][0]["break_glass"] == named["break_glass"]
    admin.json("PUT", "/tenants/contoso", {"break_glass": []})


def test_schedules_are_set_and_shown(api: Api) -> None:
    path = "/tenants/contoso/schedule"
    made = api.admin.json("PUT", path, {"rule": "daily 02:30", "zone": "Europe/Berlin"})
    assert api.as_role(Role.READER).json("GET", path) == made
    assert made["next_at"]
    api.admin.json("PUT", path, {"rule": "off"})


@pytest.mark.parametrize("task", ["check", "rebuild"])
def test_upkeep_that_was_stopped_is_taken_up(
    api: Api, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(api.serving.worker, "_begin_queued", lambda: None)
        body = {"quick": True} if task == "check" else None
        job = api.admin.json("POST", f"/{task}", body, 202)["id"]
        assert api.admin("POST", f"/jobs/{job}/resume").status_code == 400  # it waits
        api.application.jobs.update_job(job, status=JobStatus.CANCELLED)
    operator = api.as_role(Role.ADMINISTRATOR, "contoso")
    assert operator("POST", f"/jobs/{job}/resume").status_code == 403
    assert api.admin.json("POST", f"/jobs/{job}/resume", expect=202)["id"] == job
    assert api.ended("", job)["status"] == "succeeded"


def test_upkeep_runs_as_jobs(api: Api) -> None:
    job = api.admin.json("POST", "/check", {"quick": True}, 202)
    assert api.ended("", job["id"])["summary"]["whole"] is True
    job = api.admin.json("POST", "/rebuild", expect=202)
    assert api.ended("", job["id"])["status"] == "succeeded"
    assert len(api.admin.json("GET", "/jobs")["items"]) >= 2
    assert api.admin("GET", f"/tenants/contoso/jobs/{job['id']}").status_code == 404


def test_people_are_managed(api: Api) -> None:
    admin = api.admin
    made = admin.json("POST", "/people", {"name": "managed", "role": "reader"}, 201)
    person = f"/people/{made['id']}"
    roles = admin.json("PUT", person + "/role", {"role": "operator", "tenant": "contoso"})["roles"]
    assert roles == {"*": "reader", "contoso": "operator"}
    assert admin("PUT", person + "/role", {"role": "root"}).status_code == 400
    assert admin("PUT", person + "/role", {"role": "reader", "tenant": "ghost"}).status_code == 404
    # A role for what is connected no more can always be taken away.
    assert admin("PUT", person + "/role", {"role": "none", "tenant": "ghost"}).status_code == 200
    assert "#" in admin.json("POST", person + "/link")["set_up"]
    assert admin("POST", "/people", {"name": "managed", "role": "reader"}).status_code == 409
    assert admin("PUT", "/people/nobody/standing", {"disabled": True}).status_code == 404


def test_the_trail_is_listed_verified_and_exported(api: Api) -> None:
    admin = api.admin
    page = admin.json("GET", "/audit?limit=3")
    after = admin.json("GET", f"/audit?limit=3&cursor={page['next']}")
    assert after["items"][0]["number"] == page["items"][-1]["number"] - 1
    assert admin.json("GET", "/audit/verification")["whole"] is True
    assert admin.json("GET", "/audit/verification?head=" + "0" * 64)["whole"] is False
    exported = lines(admin("GET", "/audit/export").text)
    assert exported[0]["number"] == 1
    assert len(exported) >= page["items"][0]["number"]


def test_disconnecting_can_need_a_second_person(api: Api) -> None:
    first, second = api.as_role(Role.ADMINISTRATOR, "fabrikam"), api.admin
    second.json("PUT", "/settings", {"approve_disconnect": True})
    refused = first("DELETE", "/tenants/fabrikam")
    assert (refused.status_code, refused.json()["code"]) == (409, "approval_needed")
    asked = second.json("GET", "/tenants/fabrikam/approvals")["items"][0]
    decision = f"/tenants/fabrikam/approvals/{asked['id']}"
    restorer = api.as_role(Role.RESTORER)
    assert restorer("POST", decision, {"granted": True}).status_code == 403
    assert first("POST", decision, {"granted": True}).status_code == 409
    second.json("POST", decision, {"granted": True})
    api.serving.access.change_rules(CONSOLE, ApprovalRules())
    assert [t["name"] for t in second.json("GET", "/tenants")["items"]] == ["contoso", "fabrikam"]
