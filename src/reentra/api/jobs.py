"""Jobs: lists, steps, live progress, stopping, taking up, undoing, reports; and upkeep."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import msgspec
import orjson
from anyio import to_thread
from litestar import Request, Response
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import ServerSentEvent, ServerSentEventMessage

from reentra import clock as clocks
from reentra import errors, reporting
from reentra.access import Permission
from reentra.api import guarding, paging
from reentra.api.documents import (
    JobDocument,
    JobsPage,
    JobStepDocument,
    JobStepsPage,
    ShownJobDocument,
)
from reentra.api.routing import route
from reentra.api.serving import Served, Serving, SignedIn
from reentra.database import Job, JobStep
from reentra.restore.draft import RestoreOptions

_TAGS = ("jobs",)
_OF = "/tenants/{tenant:str}/jobs"
_LOOK_SECONDS = 1.0
_LONGEST_SECONDS = 3600.0

# What somebody must be allowed to stop a job of a task, or to take it up.
_PERMISSIONS = {
    "backup": Permission.BACK_UP,
    "download": Permission.DOWNLOAD,
    "plan": Permission.RESTORE,
    "restore": Permission.RESTORE,
}


class Resume(msgspec.Struct, forbid_unknown_fields=True):
    """How to go on. The password is for users that must be created anew; it is not kept."""

    default_password: str = ""


class Undo(msgspec.Struct, forbid_unknown_fields=True):
    """How to take back what a restore did."""

    overwrite_later_changes: bool = False
    overrule: list[str] = []


class Check(msgspec.Struct, forbid_unknown_fields=True):
    """How to check the repository; quickly means without reading the data."""

    quick: bool = False


@route("GET", _OF, Permission.BROWSE, tags=_TAGS, summary="A tenant's jobs, newest first")
def list_jobs(
    tenant: FromPath[str],
    serving: Served,
    task: FromQuery[str] = "",
    cursor: FromQuery[str] = "",
    limit: FromQuery[int] = 50,
) -> JobsPage:
    """List jobs with their status and progress."""
    return _page(serving, tenant, task, cursor, limit)


@route("GET", _OF + "/{job:str}", Permission.BROWSE, tags=_TAGS, summary="One job")
def show_job(tenant: FromPath[str], job: FromPath[str], serving: Served) -> ShownJobDocument:
    """Return a job with its summary and how many of its steps stand how."""
    found = _load(serving, tenant, job)
    counted = serving.application.jobs.count_steps(found.id)
    return {
        **serving.job_document(found),
        "steps": {status.value: count for status, count in counted.items() if count},
    }


@route("GET", _OF + "/{job:str}/steps", Permission.BROWSE, tags=_TAGS, summary="A job's steps")
def list_steps(
    tenant: FromPath[str],
    job: FromPath[str],
    serving: Served,
    cursor: FromQuery[str] = "",
    limit: FromQuery[int] = 100,
) -> JobStepsPage:
    """List a job's steps in order, with what became of each."""
    found = _load(serving, tenant, job)
    limit = paging.limited(limit)
    after = paging.position_of(cursor, 0) - 1
    steps = serving.application.jobs.list_steps(found.id, after=after, limit=limit)
    more = paging.cursor_of(steps[-1].ordinal + 1) if len(steps) == limit else ""
    return {"items": [_step_document(step) for step in steps], "next": more}


@route(
    "GET", _OF + "/{job:str}/events", Permission.BROWSE, tags=_TAGS,
    media_type="text/event-stream", summary="A job's progress, live",
)  # fmt: skip
def watch_job(
    tenant: FromPath[str], job: FromPath[str], request: Request[Any, Any, Any], serving: Served
) -> ServerSentEvent:
    """Send the job each time that something about it changed, until it has ended."""
    found = _load(serving, tenant, job)
    return ServerSentEvent(_events(serving, request, tenant, found.id))


@route(
    "GET", _OF + "/{job:str}/report.csv", Permission.BROWSE, action="report.fetch", tags=_TAGS,
    media_type="text/csv", summary="What a job did, object by object",
)  # fmt: skip
def report(tenant: FromPath[str], job: FromPath[str], serving: Served) -> Response[str]:
    """Return the report of a job as CSV, in which no cell is taken for a formula."""
    found = _load(serving, tenant, job)
    text, _ = reporting.report(serving.application, found, "csv")
    name = f'attachment; filename="{found.task}-{found.id}.csv"'
    return Response(text, media_type="text/csv", headers={"Content-Disposition": name})


@route(
    "POST", _OF + "/{job:str}/cancel", Permission.BACK_UP, action="job.cancel", tags=_TAGS,
    summary="Stop a job",
)  # fmt: skip
def cancel(
    tenant: FromPath[str], job: FromPath[str], serving: Served, identity: SignedIn
) -> JobDocument:
    """Ask a job to stop at the border of its next step."""
    found = _load(serving, tenant, job)
    identity.ensure(_PERMISSIONS.get(found.task, Permission.MAINTAIN), tenant)
    if found.status.is_final:
        raise errors.Refused(f"Job {found.id} has ended ({found.status.value}).", hint="")
    serving.worker.runner.request_cancel(found.id)
    return serving.job_document(serving.application.jobs.load_job(found.id))


@route(
    "POST", _OF + "/{job:str}/resume", Permission.BACK_UP, action="job.resume", status=202,
    tags=_TAGS, summary="Go on with a job",
)  # fmt: skip
def resume(
    tenant: FromPath[str],
    job: FromPath[str],
    data: JSONBody[Resume],
    serving: Served,
    identity: SignedIn,
) -> JobDocument:
    """Take up a job that failed or was stopped, where it was."""
    found = _load(serving, tenant, job)
    identity.ensure(_PERMISSIONS.get(found.task, Permission.MAINTAIN), tenant)
    return serving.job_document(
        serving.worker.resume(identity.actor, found, default_password=data.default_password)
    )


@route(
    "POST", _OF + "/{job:str}/undo", Permission.RESTORE, action="undo.begin", status=202,
    tags=_TAGS, summary="Plan to take back what a restore did",
)  # fmt: skip
def undo(
    tenant: FromPath[str],
    job: FromPath[str],
    data: JSONBody[Undo],
    serving: Served,
    identity: SignedIn,
) -> JobDocument:
    """Queue the making of a plan that undoes a restore; it is applied like any other."""
    found = _load(serving, tenant, job)
    if found.task != "restore":
        raise errors.UsageError(
            f"Job {found.id} is a {found.task}: only a restore can be undone.", hint=""
        )
    if not found.status.is_final:
        raise errors.Refused(f"Restore {found.id} has not ended.", hint="Stop it first.")
    parameters = {
        "undo": found.id,
        "overwrite_later_changes": data.overwrite_later_changes,
        "options": RestoreOptions(overruled=frozenset(data.overrule)).to_json(),
    }
    return serving.job_document(
        serving.worker.enqueue(identity.actor, "plan", tenant=tenant, parameters=parameters)
    )


@route(
    "POST", "/check", Permission.MAINTAIN, action="check.begin", status=202, tags=_TAGS,
    summary="Verify the repository",
)  # fmt: skip
def check(data: JSONBody[Check], serving: Served, identity: SignedIn) -> JobDocument:
    """Queue the verification of every promise that the repository makes."""
    return serving.job_document(
        serving.worker.enqueue(identity.actor, "check", parameters={"quick": data.quick})
    )


@route(
    "POST", "/rebuild", Permission.MAINTAIN, action="rebuild.begin", status=202, tags=_TAGS,
    summary="Make the catalog anew",
)  # fmt: skip
def rebuild(serving: Served, identity: SignedIn) -> JobDocument:
    """Queue the making of the catalog from the repository alone."""
    return serving.job_document(serving.worker.enqueue(identity.actor, "rebuild"))


@route("GET", "/jobs", Permission.MAINTAIN, tags=_TAGS, summary="Jobs of the installation")
def list_upkeep(
    serving: Served,
    task: FromQuery[str] = "",
    cursor: FromQuery[str] = "",
    limit: FromQuery[int] = 50,
) -> JobsPage:
    """List the jobs that belong to no tenant: checks and rebuilds."""
    return _page(serving, "", task, cursor, limit)


@route("GET", "/jobs/{job:str}", Permission.MAINTAIN, tags=_TAGS, summary="One such job")
def show_upkeep(job: FromPath[str], serving: Served) -> JobDocument:
    """Return a job of the installation."""
    return serving.job_document(_load(serving, "", job))


async def _events(
    serving: Serving, request: Request[Any, Any, Any], tenant: str, job_id: str
) -> AsyncIterator[ServerSentEventMessage]:
    """Yield the job whenever it changed; stops when it ended, or who watches may no longer."""
    shown = b""
    began_at = serving.application.clock.monotonic_seconds()
    while serving.application.clock.monotonic_seconds() - began_at < _LONGEST_SECONDS:
        document = await to_thread.run_sync(_look, serving, request, tenant, job_id)
        if document is None:
            return
        data = orjson.dumps(document)
        if data != shown:
            shown = data
            yield ServerSentEventMessage(data=data.decode(), event="job")
        if document["finished_at"] is not None or serving.worker.is_closing:
            return
        await anyio.sleep(_LOOK_SECONDS)


def _look(
    serving: Serving, request: Request[Any, Any, Any], tenant: str, job_id: str
) -> JobDocument | None:
    if not guarding.is_still_allowed(request, serving, Permission.BROWSE, tenant):
        return None
    return serving.job_document(serving.application.jobs.load_job(job_id))


def _page(serving: Serving, tenant: str, task: str, cursor: str, limit: int) -> JobsPage:
    offset, limit = paging.position_of(cursor, 0), paging.limited(limit)
    found = serving.application.jobs.list_jobs(
        tenant=tenant, task=task or None, limit=limit, offset=offset
    )
    more = paging.cursor_of(offset + limit) if len(found) == limit else ""
    return {"items": [serving.job_document(job) for job in found], "next": more}


def _load(serving: Serving, tenant: str, job_id: str) -> Job:
    """Return a job of this tenant; another tenant's is not there."""
    try:
        found = serving.application.jobs.load_job(job_id)
    except errors.UsageError:
        found = None
    if found is None or found.id != job_id or found.tenant != tenant:
        raise errors.NotFound(f"There is no job {job_id!r}.", hint="List the tenant's jobs.")
    return found


def _step_document(step: JobStep) -> JobStepDocument:
    return {
        "step": step.step_id,
        "status": step.status,
        "attempt": step.attempt,
        "intended_at": None if step.intended_at is None else clocks.iso(step.intended_at),
        "finished_at": None if step.finished_at is None else clocks.iso(step.finished_at),
        "new_id": str(step.detail.get("new_id") or ""),
        "message": str(step.detail.get("message") or step.detail.get("reason") or ""),
    }


ROUTES = (
    list_jobs, show_job, list_steps, watch_job, report, cancel, resume, undo, check, rebuild,
    list_upkeep, show_upkeep,
)  # fmt: skip
