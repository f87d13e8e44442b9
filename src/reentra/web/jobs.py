"""Jobs: the lists, and what can be done about a job. What a job's page shows is in ``job``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Response
from litestar.params import FromPath, FromQuery

from reentra.access import Permission
from reentra.api import jobs
from reentra.database import JobStatus
from reentra.web import progress, rendering
from reentra.web.routing import form_for, page
from reentra.web.visiting import Visit, Visiting

_OF = "/tenants/{tenant:str}/jobs"
_AT_ONCE = 50
_TASKS = ("backup", "restore", "plan", "download", "forget")
_UPKEEP = ("check", "rebuild", "prune")


@page(_OF, Permission.BROWSE)
def show_jobs(
    tenant: FromPath[str],
    visit: Visiting,
    task: FromQuery[str] = "",
    status: FromQuery[str] = "",
    cursor: FromQuery[str] = "",
) -> Response[str]:
    """List a tenant's jobs."""
    found = visit.ask(
        jobs.list_jobs, tenant=tenant, task=task, status=status, cursor=cursor, limit=_AT_ONCE
    )
    return _list(visit, tenant, found, _TASKS, task, status, cursor)


@page("/jobs", Permission.MAINTAIN)
def show_upkeep(
    visit: Visiting,
    task: FromQuery[str] = "",
    status: FromQuery[str] = "",
    cursor: FromQuery[str] = "",
) -> Response[str]:
    """List the jobs of the installation, and offer to begin one."""
    found = visit.ask(jobs.list_upkeep, task=task, status=status, cursor=cursor, limit=_AT_ONCE)
    return _list(visit, "", found, _UPKEEP, task, status, cursor)


@form_for("/jobs/check", jobs.check)
def begin_check(visit: Visiting) -> Response[Any]:
    """Begin a check of the repository, and lead to its job."""
    is_quick = visit.value("quick") == "true"
    job = visit.ask(jobs.check, data=jobs.Check(quick=is_quick))
    return visit.lead(address("", job["id"]))


@form_for("/jobs/rebuild", jobs.rebuild)
def begin_rebuild(visit: Visiting) -> Response[Any]:
    """Begin to make the catalog anew, and lead to the job."""
    return visit.lead(address("", visit.ask(jobs.rebuild)["id"]))


@form_for("/jobs/{job:str}/cancel", jobs.cancel_upkeep)
def cancel_upkeep(job: FromPath[str], visit: Visiting) -> Response[Any]:
    """Stop a job of the installation."""
    visit.ask(jobs.cancel_upkeep, job=job)
    return visit.lead(address("", job))


@form_for("/jobs/{job:str}/resume", jobs.resume_upkeep)
def resume_upkeep(job: FromPath[str], visit: Visiting) -> Response[Any]:
    """Go on with a job of the installation that failed or was stopped."""
    visit.ask(jobs.resume_upkeep, job=job)
    return visit.lead(address("", job))


@form_for(_OF + "/{job:str}/cancel", jobs.cancel)
def cancel(tenant: FromPath[str], job: FromPath[str], visit: Visiting) -> Response[Any]:
    """Stop a job."""
    visit.ask(jobs.cancel, tenant=tenant, job=job)
    return visit.lead(address(tenant, job))


@page(_OF + "/{job:str}/resume", Permission.BACK_UP)
def ask_resume(tenant: FromPath[str], job: FromPath[str], visit: Visiting) -> Response[str]:
    """Ask for what a restore needs to go on: the password is kept nowhere."""
    found = visit.ask(jobs.show_job, tenant=tenant, job=job)
    return visit.show("resume.html", tenant=tenant, job=found)


@form_for(_OF + "/{job:str}/resume", jobs.resume)
def resume(tenant: FromPath[str], job: FromPath[str], visit: Visiting) -> Response[Any]:
    """Go on with a job that failed or was stopped."""
    data = jobs.Resume(default_password=visit.value("default_password"))
    visit.ask(jobs.resume, tenant=tenant, job=job, data=data)
    return visit.lead(address(tenant, job))


@page(_OF + "/{job:str}/undo", Permission.RESTORE)
def ask_undo(
    tenant: FromPath[str], job: FromPath[str], visit: Visiting, overrule: FromQuery[str] = ""
) -> Response[str]:
    """Ask how to take back what a restore did."""
    found = visit.ask(jobs.show_job, tenant=tenant, job=job)
    return visit.show("undo.html", tenant=tenant, job=found, overrule=overrule)


@form_for(_OF + "/{job:str}/undo", jobs.undo)
def undo(tenant: FromPath[str], job: FromPath[str], visit: Visiting) -> Response[Any]:
    """Make a plan that takes back what a restore did, and lead to it once it is made."""
    data = jobs.Undo(
        overwrite_later_changes=visit.value("overwrite_later_changes") == "true",
        overrule=" ".join(visit.values("overrule")).replace(",", " ").split(),
    )
    made = visit.ask(jobs.undo, tenant=tenant, job=job, data=data)
    return visit.lead(rendering.query(address(tenant, made["id"]), follow=True))


def address(tenant: str, job: str) -> str:
    """Return the address of a job's page; without a tenant it is one of the installation."""
    return rendering.path(*(("tenants", tenant) if tenant else ()), "jobs", job)


def _list(
    visit: Visit,
    tenant: str,
    found: Mapping[str, Any],
    tasks: tuple[str, ...],
    task: str,
    status: str,
    cursor: str,
) -> Response[str]:
    here = rendering.path(*(("tenants", tenant) if tenant else ()), "jobs")
    now = visit.serving.application.clock.now()
    return visit.show(
        "jobs.html",
        tenant=tenant,
        listed=[
            {
                **item,
                "address": address(tenant, item["id"]),
                "seconds": progress.seconds_of(item, now),
                "done": progress.shown(item),
                "result": progress.result(item),
            }
            for item in found["items"]
        ],
        is_live=any(item["finished_at"] is None for item in found["items"]),
        tasks=tasks,
        statuses=tuple(JobStatus),
        task=task,
        chosen_status=status,
        cursor=cursor,
        address=here,
        more=rendering.query(here, task=task, status=status, cursor=found["next"])
        if found["next"]
        else "",
    )


ROUTES = (
    show_jobs, show_upkeep, begin_check, begin_rebuild, cancel_upkeep, resume_upkeep, cancel,
    ask_resume, resume, ask_undo, undo,
)  # fmt: skip
