"""W-23: the jobs of a tenant and of the installation, and the page of one; R-09, R-10."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from reentra.access import Role
from reentra.sandbox.app import SandboxServer

from .conftest import Pages, Reader

_AGAIN = '<noscript><meta http-equiv="refresh"'


class Harm:
    """Two users whose department was changed since the newest snapshot."""

    def __init__(self, pages: Pages, sandbox: SandboxServer) -> None:
        self.pages, self.tenant = pages, sandbox.sandbox.tenant
        records = list(self.tenant.collection("user").values())
        self.users = [one for one in records if not one.props.get("onPremisesSyncEnabled")][2:4]
        for user in self.users:
            self.tenant.update(user, {"department": "<script>alert(1)</script>"})

    def plan(self) -> Any:
        """Return the ended job that planned to put them back."""
        admin = self.pages.admin
        body = {"snapshot": "latest", "ids": [f"user/{one.id}" for one in self.users]}
        job = admin.json("POST", "/tenants/contoso/plans", body, 202)
        return self.pages.ended("contoso", job["id"])

    def restore(self) -> Any:
        """Return the ended job that put them back."""
        plan = self.plan()["summary"]["plan"]
        job = self.pages.admin.json("POST", f"/tenants/contoso/plans/{plan}/apply", {}, 202)
        return self.pages.ended("contoso", job["id"])


@pytest.fixture
def harm(pages: Pages, sandbox: SandboxServer) -> Iterator[Harm]:
    made = Harm(pages, sandbox)
    yield made
    for user in made.users:
        made.tenant.update(user, {"department": "Mended"})
    job = pages.admin.json("POST", "/tenants/contoso/backups", {}, 202)
    pages.ended("contoso", job["id"])


def test_w23_jobs_are_listed_with_status_progress_times_and_who(pages: Pages) -> None:
    text = pages.reader(Role.READER).page("/tenants/contoso/jobs")
    assert "<h1>Jobs</h1>" in text
    for word in ("Status", "Progress", "Began", "Ended", "Started by", "administrator-of-all"):
        assert word in text
    assert 'class="badge good">Succeeded' in text
    assert "data-live-again" not in text  # nothing moves, so nothing is asked for again


def test_jobs_are_filtered_and_an_unknown_status_is_told(pages: Pages) -> None:
    reader = pages.reader(Role.READER)
    assert "No such job" in reader.page("/tenants/contoso/jobs?status=failed&task=backup")
    assert "/tenants/contoso/jobs/" in reader.page("/tenants/contoso/jobs?task=backup")
    assert "There is no status" in reader.page("/tenants/contoso/jobs?status=odd", expect=400)


def test_a_tenant_without_a_job_says_what_to_do(pages: Pages) -> None:
    assert "No job yet" in pages.admin_reader.page("/tenants/fabrikam/jobs")


def test_a_backup_leads_to_its_snapshot(pages: Pages) -> None:
    job = pages.admin.json("GET", "/tenants/contoso/jobs?task=backup&limit=1")["items"][0]
    text = pages.reader(Role.READER).page(f"/tenants/contoso/jobs/{job['id']}")
    assert f'href="/tenants/contoso/snapshots/{job["summary"]["snapshot"]}"' in text
    assert "What it holds" in text
    assert "data-job-events" not in text  # it has ended
    assert f"/api/v1/tenants/contoso/jobs/{job['id']}/report.csv" in text


def test_r09_a_restore_shows_every_object_and_that_it_was_read_back(
    pages: Pages, harm: Harm
) -> None:
    job = harm.restore()
    assert job["status"] == "succeeded", job
    path = f"/tenants/contoso/jobs/{job['id']}"
    text = pages.reader(Role.READER).page(path)
    assert "objects and links that were written were read back" in text
    assert "Done (2)" in text
    for user in harm.users:
        assert f"/kinds/user/objects/{user.id}" in text
    assert "Your role may not restore, which an undo is." in text
    assert 'href="' + path + '/undo"' in pages.reader(Role.RESTORER).page(path)
    assert "Nothing fits" not in pages.reader(Role.READER).page(path + "?status=failed")


def test_what_failed_comes_first_with_graphs_code_request_id_and_what_to_do(
    pages: Pages, harm: Harm, sandbox: SandboxServer
) -> None:
    faults = sandbox.sandbox.faults
    message = "Invalid value specified for property."
    faults.script(
        f"PATCH ^/users/{harm.users[0].id}", 400, code="Request_BadRequest", message=message
    )
    job = harm.restore()
    faults.assert_all_used()
    assert job["status"] == "partial", job
    text = pages.admin_reader.page(f"/tenants/contoso/jobs/{job['id']}")
    assert "Failed (1)" in text
    assert "Request_BadRequest" in text
    assert job["summary"]["failures"][0]["request_id"] in text
    assert message in text
    assert f"/objects/{harm.users[0].id}" in text
    assert f"/objects/{harm.users[1].id}" not in text  # it is under "Done"
    assert f"/objects/{harm.users[1].id}" in pages.admin_reader.page(
        f"/tenants/contoso/jobs/{job['id']}?status=all"
    )


def test_what_a_restore_did_not_do_is_planned_anew_with_the_same_options(
    pages: Pages, harm: Harm, sandbox: SandboxServer
) -> None:
    sandbox.sandbox.faults.script(f"PATCH ^/users/{harm.users[0].id}", 400)
    job = harm.restore()
    assert job["status"] == "partial", job
    path = f"/tenants/contoso/jobs/{job['id']}"
    restorer = pages.reader(Role.RESTORER)
    form = restorer.page(path).partition("Plan the rest")[0].rpartition("<form")[2]
    fields = re.findall(r'name="(\w+)" value="([^"]*)"', form)
    assert [one for name, one in fields if name == "id"] == [f"user/{harm.users[0].id}"]
    assert ("relationships", "on") in fields
    fields = [(name, one) for name, one in fields if name != "csrf_token"]
    shown = restorer.post("/tenants/contoso/restore", fields, x_dialog="1")
    assert "<strong>1 object</strong>" in shown.text
    assert "Plan the rest" not in pages.reader(Role.OPERATOR).page(path)


def test_a_job_that_runs_is_looked_at_again_without_script(pages: Pages) -> None:
    admin = pages.admin_reader
    assert _AGAIN in admin.page(f"/tenants/contoso/jobs/{_waiting(pages, 'download')}")
    ended = pages.admin.json("GET", "/tenants/contoso/jobs?status=succeeded&limit=1")["items"][0]
    assert _AGAIN not in admin.page(f"/tenants/contoso/jobs/{ended['id']}")


def test_r10_an_undo_leads_to_its_plan(pages: Pages, harm: Harm) -> None:
    job = harm.restore()
    restorer = pages.reader(Role.RESTORER)
    dialog = restorer.get(f"/tenants/contoso/jobs/{job['id']}/undo", x_dialog="1")
    assert "<h1>Undo</h1>" in dialog.text
    assert "<html" not in dialog.text
    began = restorer.post(
        f"/tenants/contoso/jobs/{job['id']}/undo", {"overwrite_later_changes": "true"}
    )
    assert began.status_code == 303, began.text
    place = began.headers["location"]
    plan = pages.ended("contoso", place.rpartition("/")[2].partition("?")[0])
    assert plan["parameters"]["overwrite_later_changes"] is True
    followed = restorer.get(place)
    assert followed.status_code == 303
    assert followed.headers["location"] == f"/tenants/contoso/plans/{plan['summary']['plan']}"
    shown = restorer.page(place.partition("?")[0])
    assert f"restore {job['id']}" in shown
    assert "Open the plan" in shown
    assert "Your role may not see restore plans." in pages.reader(Role.READER).page(place)


def _waiting(pages: Pages, task: str = "backup") -> str:
    """Return a job that no worker takes: the command line's, whose process is not there."""
    return pages.application.jobs.create_job(task, tenant="contoso", who="root").id


def test_w23_a_job_is_cancelled_and_taken_up_again(pages: Pages) -> None:
    job = _waiting(pages)
    path = f"/tenants/contoso/jobs/{job}"
    operator = pages.reader(Role.OPERATOR)
    text = operator.page(path)
    assert f'data-job-events="/api/v1/tenants/contoso/jobs/{job}/events"' in text
    assert "Waiting for its turn" in text
    assert "not stop it" in pages.reader(Role.READER).page(path)
    assert pages.reader(Role.READER).post(path + "/cancel").status_code == 403
    assert operator.post(path + "/cancel").headers["location"] == path
    assert "It was stopped." in operator.page(path)
    assert operator.post(path + "/cancel").status_code == 409
    assert operator.post(path + "/resume").headers["location"] == path
    assert pages.ended("contoso", job)["status"] == "succeeded"


def test_a_restore_that_is_taken_up_asks_for_the_password_again(pages: Pages, harm: Harm) -> None:
    plan = harm.plan()["summary"]["plan"]
    jobs = pages.application.jobs
    job = jobs.create_job("restore", tenant="contoso", who="root", parameters={"plan": plan}).id
    restorer = pages.reader(Role.RESTORER)
    path = f"/tenants/contoso/jobs/{job}"
    restorer.post(path + "/cancel")
    text = restorer.page(path)
    assert "Not reached (2)" in text
    assert "nothing to take back" in text
    asked = restorer.page(path + "/resume")
    assert "Set default password for permanently deleted users" in asked
    assert 'type="password"' in asked
    restorer.post(path + "/resume", {"default_password": "Fjord-Lantern-42"})
    ended = pages.ended("contoso", job)
    assert ended["status"] == "succeeded"
    assert "Fjord-Lantern-42" not in str(ended) + restorer.page(path)


def test_a_failed_job_says_what_to_do(pages: Pages) -> None:
    job = _waiting(pages)
    told = {"code": "unauthenticated", "message": "Graph does not know <us>.", "hint": "Do this."}
    failed = type(pages.application.jobs.load_job(job).status)("failed")
    pages.application.jobs.update_job(job, status=failed, error=told)
    text = pages.reader(Role.READER).page(f"/tenants/contoso/jobs/{job}")
    assert "Graph does not know &lt;us&gt;." in text
    assert "Do this." in text
    assert "unauthenticated" in text


def test_a_download_is_offered_to_who_asked_for_it(pages: Pages) -> None:
    operator = pages.as_role(Role.OPERATOR)
    body = {"kinds": ["group"]}
    job = operator.json("POST", "/tenants/contoso/downloads", body, 202)["id"]
    pages.ended("contoso", job)
    path = f"/tenants/contoso/jobs/{job}"
    link = f'href="/tenants/contoso/downloads/{job}"'
    text = pages.reader(Role.OPERATOR).page(path)
    assert link in text
    assert "It is there for operator-of-all alone, until" in text
    other = pages.admin_reader.page(path)
    assert link not in other
    assert "Only operator-of-all, who asked for it, can fetch it." in other


def test_upkeep_is_begun_and_shown(pages: Pages) -> None:
    admin = pages.admin_reader
    assert "Maintenance" in admin.page("/jobs")
    for began in (admin.post("/jobs/check", {"quick": "true"}), admin.post("/jobs/rebuild")):
        place = began.headers["location"]
        pages.ended("", place.rpartition("/")[2])
        text = admin.page(place)
        assert "The repository keeps every promise" in text or "Snapshots" in text
    assert 'href="/jobs/' in admin.page("/jobs?task=check")
    reader: Reader = pages.reader(Role.RESTORER)
    assert reader.get("/jobs").status_code == 403
    assert reader.post("/jobs/check").status_code == 403


def test_another_tenants_job_is_not_there(pages: Pages) -> None:
    job = pages.admin.json("GET", "/tenants/contoso/jobs?limit=1")["items"][0]["id"]
    assert pages.admin_reader.get(f"/tenants/fabrikam/jobs/{job}").status_code == 404
