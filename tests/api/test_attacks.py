"""The attacks of docs/security.md that need more than one request, each by its name."""

from __future__ import annotations

import csv
import dataclasses
import io
import zipfile
from typing import Any

import pytest

from reentra import tenants
from reentra.access import Actor, ApprovalRules, Role, Via
from reentra.database import JobStatus
from reentra.graph.connection import TenantConnection
from reentra.sandbox.app import SandboxServer

from .conftest import CONSOLE, PASSWORD, Api, Caller

HOSTILE = "=cmd|' /C calc'!A0/../../<script>alert(1)</script>\r\nx: y"


@pytest.fixture(scope="module")
def hostile(api: Api, sandbox: SandboxServer) -> Any:
    """A group with a hostile name, in a snapshot."""
    record = next(
        r for r in sandbox.sandbox.tenant.collection("group").values()
        if "DynamicMembership" not in (r.props.get("groupTypes") or [])
        and r.props.get("securityEnabled") and not r.props.get("isAssignableToRole")
    )  # fmt: skip
    sandbox.sandbox.tenant.update(record, {"displayName": HOSTILE})
    job = api.admin.json("POST", "/tenants/contoso/backups", {}, 202)
    assert api.ended("contoso", job["id"])["status"] == "succeeded"
    return record


def test_a_hostile_display_name_is_data_in_json_and_never_a_page(api: Api, hostile: Any) -> None:
    path = f"/tenants/contoso/snapshots/latest/kinds/group/objects/{hostile.id}"
    answer = api.admin("GET", path)
    assert answer.json()["display_name"] == HOSTILE
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "x" not in answer.headers


def test_a_hostile_display_name_is_a_harmless_name_in_the_zip(api: Api, hostile: Any) -> None:
    admin = api.admin
    job = admin.json("POST", "/tenants/contoso/downloads", {"ids": [f"group/{hostile.id}"]}, 202)
    assert api.ended("contoso", job["id"])["status"] == "succeeded"
    content = admin("GET", f"/tenants/contoso/downloads/{job['id']}").content
    names = [n for n in zipfile.ZipFile(io.BytesIO(content)).namelist() if n != "manifest.json"]
    assert len(names) == 1
    assert ".." not in names[0].split("/")
    assert names[0].count("/") == 1
    assert not set(names[0]) & set("=<>|'\\\r\n")


def test_a_hostile_display_name_is_no_formula_in_a_report(
    api: Api, hostile: Any, sandbox: SandboxServer
) -> None:
    sandbox.sandbox.tenant.update(hostile, {"description": "vandalised again"})
    admin = api.admin
    body = {"snapshot": "latest", "ids": [f"group/{hostile.id}"]}
    plan = api.ended("contoso", admin.json("POST", "/tenants/contoso/plans", body, 202)["id"])
    path = f"/tenants/contoso/plans/{plan['summary']['plan']}/apply"
    job = admin.json("POST", path, {}, 202)["id"]
    api.ended("contoso", job)
    answer = admin("GET", f"/tenants/contoso/jobs/{job}/report.csv")
    cells = [cell for row in csv.reader(io.StringIO(answer.text)) for cell in row]
    assert any("cmd|" in cell for cell in cells)
    assert not [cell for cell in cells if cell.startswith(("=", "@", "+", "\t", "\r"))]
    actions = [record.action for record in api.serving.access.trail.list_records(limit=20)]
    assert "report.fetch" in actions


def test_another_tenants_plan_and_job_are_not_changed_by_their_ids(api: Api) -> None:
    admin = api.admin
    body = {"snapshot": "latest", "kinds": ["group"]}
    job = api.ended("contoso", admin.json("POST", "/tenants/contoso/plans", body, 202)["id"])
    plan = job["summary"]["plan"]
    other = api.as_role(Role.ADMINISTRATOR, "fabrikam")
    for caller in (admin, other):
        for method, path, sent in (
            ("GET", f"/plans/{plan}", None), ("GET", f"/plans/{plan}/steps", None),
            ("POST", f"/plans/{plan}/apply", {}), ("POST", f"/plans/{plan}/approval", None),
            ("POST", f"/jobs/{job['id']}/cancel", None), ("POST", f"/jobs/{job['id']}/resume", {}),
            ("POST", f"/jobs/{job['id']}/undo", {}),
        ):  # fmt: skip
            answer = caller(method, f"/tenants/fabrikam{path}", sent)
            assert answer.status_code in (400, 404), (path, answer.text)
            assert plan not in other("GET", "/tenants/fabrikam/jobs").text


def test_an_empty_tenant_in_an_address_does_not_reach_the_jobs_of_the_installation(
    api: Api,
) -> None:
    reader = api.as_role(Role.READER)
    for path in ("/tenants//jobs", "/tenants/*/jobs", "/tenants/%20/jobs"):
        answer = reader("GET", path)
        # 405: the address of one tenant, which is not read.
        is_refused = answer.status_code in (400, 403, 404, 405)
        assert is_refused or answer.json()["items"] == [], (path, answer.text)


def test_signing_in_again_ends_the_session_that_was_there(api: Api) -> None:
    person = api.person("again", Role.READER)
    before = api.signed_in("again")
    told = {"name": "again", "password": PASSWORD}
    assert Caller(api.client, {}, before.cookie)("POST", "/session", told).status_code == 200
    assert before("GET", "/session").status_code == 401
    api.serving.access.people.set_disabled(CONSOLE, person.id, is_disabled=True)


@pytest.mark.parametrize("origin", ["null", "http://[", "https://reentra.test.evil.example"])
def test_an_origin_that_makes_no_sense_is_another_site(api: Api, origin: str) -> None:
    body = {"rule": "off"}
    path = "/tenants/contoso/schedule"
    assert api.admin("PUT", path, body, origin=origin).status_code == 403


def test_a_nul_character_reaches_no_database(api: Api) -> None:
    assert api.nobody("POST", "/session", {"name": "a\0b", "password": "x"}).status_code == 400
    assert api.admin("GET", "/tenants/contoso/search?text=a%00b").status_code == 400


def test_a_plan_that_is_not_the_approved_one_is_not_applied(api: Api) -> None:
    admin = api.admin
    body = {"snapshot": "latest", "kinds": ["group"]}
    job = api.ended("contoso", admin.json("POST", "/tenants/contoso/plans", body, 202)["id"])
    name = job["summary"]["plan"]
    shown = admin.json("GET", f"/tenants/contoso/plans/{name}")
    begin = api.serving.worker.enqueue
    repository = api.application.repository
    stored = repository.load_document("plans", name)
    assert isinstance(stored, dict)

    def forged(*arguments: Any, **more: Any) -> Any:
        repository.delete_document("plans", name)
        repository.put_document(
            "plans", name, {**stored, "warnings": [], "created_at": "2001-01-01T00:00:00Z"}
        )
        return begin(*arguments, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api.serving.worker, "enqueue", forged)
        begun = admin.json("POST", f"/tenants/contoso/plans/{name}/apply", {}, 202)
    assert begun["parameters"]["digest"] == shown["digest"]
    ended = api.ended("contoso", begun["id"])
    assert ended["status"] == "failed"
    assert "not the one that was approved" in str(ended)
    admin.json("POST", f"/tenants/contoso/jobs/{begun['id']}/resume", {}, 202)
    assert api.ended("contoso", begun["id"])["status"] == "failed"
    assert admin.json("GET", f"/tenants/contoso/jobs/{begun['id']}/steps")["items"] == []


def test_one_person_does_not_fill_the_queue(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = api.as_role(Role.OPERATOR)
    monkeypatch.setattr(api.serving.worker, "_begin_queued", lambda: None)
    begun = []
    for _ in range(20):
        body = {"kinds": ["group"]}
        begun.append(operator.json("POST", "/tenants/contoso/downloads", body, 202)["id"])
    refused = operator("POST", "/tenants/contoso/downloads", {"kinds": ["group"]})
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_jobs")
    other = api.admin.json("POST", "/tenants/contoso/downloads", {"kinds": ["group"]}, 202)["id"]
    for job in (*begun, other):
        api.application.jobs.update_job(job, status=JobStatus.CANCELLED)
    job = operator.json("POST", "/tenants/contoso/downloads", {"kinds": ["group"]}, 202)["id"]
    api.application.jobs.update_job(job, status=JobStatus.CANCELLED)


@pytest.mark.parametrize("wrong", ["contoso.onmicrosoft.com", "../x", "", "1" * 36, "x\n"])
@pytest.mark.parametrize("field", ["tenant_id", "client_id"])
def test_what_is_no_guid_is_part_of_no_address(api: Api, field: str, wrong: str) -> None:
    good = "11111111-2222-4333-8444-555555555555"
    body = {"name": "new", "tenant_id": good, "client_id": good, "client_secret": "canary-x"}
    answer = api.admin("POST", "/tenants", {**body, field: wrong})
    assert (answer.status_code, answer.json()["code"]) == (400, "usage")
    assert "canary" not in answer.text
    directory = {"directory": good, "client_id": good, "rules": []}
    renamed = {"tenant_id": "directory"}.get(field, field)
    answer = api.admin("PUT", "/settings/oidc", {**directory, renamed: wrong})
    assert answer.status_code == 400


def test_one_administrator_does_not_switch_approvals_off(api: Api) -> None:
    first = api.admin
    api.person("another-admin", Role.ADMINISTRATOR)
    second = api.signed_in("another-admin")
    strict = {
        "approve_restores_over_steps": 3,
        "approve_disconnect": True,
        "approve_retention": True,
        "approve_keys": True,
    }
    first.json("PUT", "/settings", strict)
    for fewer in (
        {}, {**strict, "approve_disconnect": False}, {**strict, "approve_retention": False},
            {**strict, "approve_keys": False},
        {"approve_disconnect": True},
    ):  # fmt: skip
        refused = first("PUT", "/settings", fewer)
        assert (refused.status_code, refused.json()["code"]) == (409, "approval_needed")
        assert first.json("GET", "/settings") == strict
    asked = next(
        one for one in first.json("GET", "/approvals")["items"] if "no restore" in one["subject"]
    )
    decision = f"/approvals/{asked['id']}"
    assert first("POST", decision, {"granted": True}).status_code == 409
    assert api.as_role(Role.ADMINISTRATOR, "contoso")("GET", "/approvals").status_code == 403
    for tenant in ("contoso", "*", "%20"):  # a door for tenants does not open it
        at = f"/tenants/{tenant}/approvals/{asked['id']}"
        assert second("POST", at, {"granted": True}).status_code in (400, 404)
    api.serving.access.change_rules(CONSOLE, ApprovalRules())


def test_the_next_tenant_of_a_name_inherits_no_job_download_or_request(api: Api) -> None:
    application, admin = api.application, api.admin
    known = application.connections.load("contoso")

    def named(tenant_id: str) -> TenantConnection:
        return dataclasses.replace(known.connection, name="reused", tenant_id=tenant_id)

    first, second = named(known.connection.tenant_id), named("22222222-3333-4444-8555-666666666666")
    tenants.connect(application, first, known.secret)
    job = admin.json("POST", "/tenants/reused/downloads", {"kinds": ["group"]}, 202)["id"]
    assert api.ended("reused", job)["status"] == "succeeded"
    asking = Actor(Via.SESSION, "somebody", "1")
    api.serving.access.approvals.ask(asking, "restore", "reused", "a plan of the first", "d" * 64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api.serving.worker, "_begin_queued", lambda: None)
        waiting = admin.json("POST", "/tenants/reused/backups", {}, 202)["id"]
        admin.json("DELETE", "/tenants/reused")
    assert application.jobs.load_job(waiting).status is JobStatus.CANCELLED
    tenants.connect(application, second, known.secret)
    assert admin.json("GET", "/tenants/reused/jobs")["items"] == []
    assert admin.json("GET", "/tenants/reused/approvals")["items"] == []
    for path in (f"jobs/{job}", f"downloads/{job}", f"jobs/{job}/report.csv", f"jobs/{job}/steps"):
        assert admin("GET", f"/tenants/reused/{path}").status_code == 404
        for name in ("reused%23" + first.tenant_id, "reused#" + first.tenant_id):
            assert admin("GET", f"/tenants/{name}/{path}").status_code in (400, 404, 405)
    assert admin("POST", f"/tenants/reused/jobs/{waiting}/resume", {}).status_code == 404
    admin.json("DELETE", "/tenants/reused")
    tenants.connect(application, first, known.secret)
    listed = [item["id"] for item in admin.json("GET", "/tenants/reused/jobs")["items"]]
    assert set(listed) == {job, waiting}
    admin.json("DELETE", "/tenants/reused")
