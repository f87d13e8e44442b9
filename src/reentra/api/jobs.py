"""Jobs: lists, steps, live progress, stopping, taking up, undoing, reports; and upkeep."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Sequence
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
from reentra.access import EVERY_TENANT, Permission
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
from reentra.database import Job, JobStatus, JobStep, StepStatus
from reentra.restore import journal
from reentra.restore.draft import RestoreOptions
from reentra.restore.report import StepReport
from reentra.restore.steps import Step

_TAGS = ("jobs",)
_OF = "/tenants/{tenant:str}/jobs"
_LOOK_SECONDS = 1.0
_LONGEST_SECONDS = 3600.0

_PERMISSIONS = {
    "backup": Permission.BACK_UP,
    "download": Permission.DOWNLOAD,
    "plan": Permission.RESTORE,
    "restore": Permission.RESTORE,
}
_ENDED = (StepStatus.DONE, StepStatus.ALREADY, StepStatus.SKIPPED, StepStatus.FAILED)


class Resume(msgspec.Struct, forbid_unknown_fields=True):
    """How to go on. The password is for users that must be created anew; it is not kept."""

    default_password: str = ""


class Undo(msgspec.Struct, forbid_unknown_fields=True):
    """How to take back what a restore did."""

    overwrite_later_changes: bool = False
    overrule: list[str] = []


class Check(msgspec.Struct, forbid_unknown_fields=True):
    """How to check the repository; quickly means without reading the data.

    ``repair`` first puts damaged parts of identity maps right, or sets them aside and says what is
    lost: they keep restores from running.
    """

    quick: bool = False
    repair: bool = False


@route("GET", _OF, Permission.BROWSE, tags=_TAGS, summary="A tenant's jobs, newest first")
def list_jobs(
    tenant: FromPath[str],
    serving: Served,
    task: FromQuery[str] = "",
    status: FromQuery[str] = "",
    cursor: FromQuery[str] = "",
    limit: FromQuery[int] = 50,
) -> JobsPage:
    """List jobs with their progress: all, or those of one task, or that stand in one way."""
    return _page(serving, tenant, task, status, cursor, limit)


@route("GET", _OF + "/{job:str}", Permission.BROWSE, tags=_TAGS, summary="One job")
def show_job(tenant: FromPath[str], job: FromPath[str], serving: Served) -> ShownJobDocument:
    """Return a job with its summary and how many of its steps stand how."""
    return _shown(serving, _load(serving, tenant, job))


@route("GET", _OF + "/{job:str}/steps", Permission.BROWSE, tags=_TAGS, summary="A restore's steps")
def list_steps(
    tenant: FromPath[str],
    job: FromPath[str],
    serving: Served,
    status: FromQuery[str] = "",
    cursor: FromQuery[str] = "",
    limit: FromQuery[int] = 100,
) -> JobStepsPage:
    """List the steps of a restore in the plan's order, with what became of each.

    With ``status`` only those that stand so. Jobs of other tasks have no steps.
    """
    found = _load(serving, tenant, job)
    offset, limit = paging.position_of(cursor, 0), paging.limited(limit)
    wanted = reporting.named_status(StepStatus, status)
    if found.task != "restore":
        return {"snapshot": "", "undoes": "", "total": 0, "items": [], "next": ""}
    shown, store = serving.paged_plan(str(found.parameters["plan"])), serving.application.jobs
    ids = shown.step_ids
    places: Sequence[int] = range(len(ids))
    if wanted is not None:
        # Of the two parts the smaller is asked for; what has no record yet is planned.
        counts = store.count_steps(found.id)
        is_most = sum(counts.values()) == len(ids) and 2 * counts[wanted] > len(ids)
        if wanted is StepStatus.PLANNED or is_most:
            rest = [one for one in StepStatus if one is not wanted]
            others = set(store.list_step_ids(found.id, rest))
            places = [place for place in places if ids[place] not in others]
        else:
            named = set(store.list_step_ids(found.id, [wanted]))
            places = [place for place in places if ids[place] in named]
    after = offset + limit
    steps = shown.steps_at(places[offset:after])
    known = store.find_steps(found.id, [step.id for step in steps])
    return {
        "snapshot": shown.plan.snapshot,
        "undoes": shown.plan.undoes,
        "total": len(places),
        "items": [_step_document(step, known.get(step.id)) for step in steps],
        "next": paging.cursor_of(after) if after < len(places) else "",
    }


@route(
    "GET", _OF + "/{job:str}/events", Permission.BROWSE, tags=_TAGS,
    media_type="text/event-stream", summary="A job's progress, live",
)  # fmt: skip
def watch_job(
    tenant: FromPath[str], job: FromPath[str], request: Request[Any, Any, Any], serving: Served
) -> ServerSentEvent:
    """Send the job each time that something about it changed, until it has ended."""
    found = _load(serving, tenant, job)
    return ServerSentEvent(_events(serving, request, Permission.BROWSE, tenant, found.id))


@route(
    "GET", _OF + "/{job:str}/report.csv", Permission.BROWSE, action="report.fetch", tags=_TAGS,
    media_type="text/csv", summary="What a job did, object by object",
)  # fmt: skip
def report(tenant: FromPath[str], job: FromPath[str], serving: Served) -> Response[str]:
    """Return the report of a job as CSV, in which no cell is taken for a formula."""
    return _report(serving, _load(serving, tenant, job))


@route(
    "POST", _OF + "/{job:str}/cancel", Permission.BACK_UP, action="job.cancel", tags=_TAGS,
    summary="Stop a job",
)  # fmt: skip
def cancel(
    tenant: FromPath[str], job: FromPath[str], serving: Served, identity: SignedIn
) -> JobDocument:
    """Ask a job to stop at the border of its next step."""
    found = _load(serving, tenant, job)
    identity.ensure(permission_for(found.task), tenant)
    return _cancelled(serving, found)


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
    identity.ensure(permission_for(found.task), tenant)
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
    parameters = {"quick": data.quick, "repair": data.repair}
    return serving.job_document(
        serving.worker.enqueue(identity.actor, "check", parameters=parameters)
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
    status: FromQuery[str] = "",
    cursor: FromQuery[str] = "",
    limit: FromQuery[int] = 50,
) -> JobsPage:
    """List the jobs that belong to no tenant: checks and rebuilds."""
    return _page(serving, "", task, status, cursor, limit)


@route("GET", "/jobs/{job:str}", Permission.MAINTAIN, tags=_TAGS, summary="One such job")
def show_upkeep(job: FromPath[str], serving: Served) -> JobDocument:
    """Return a job of the installation."""
    return serving.job_document(_load(serving, "", job))


@route(
    "GET", "/jobs/{job:str}/events", Permission.MAINTAIN, tags=_TAGS,
    media_type="text/event-stream", summary="The progress of such a job, live",
)  # fmt: skip
def watch_upkeep(
    job: FromPath[str], request: Request[Any, Any, Any], serving: Served
) -> ServerSentEvent:
    """Send the job each time that something about it changed, until it has ended."""
    found = _load(serving, "", job)
    return ServerSentEvent(_events(serving, request, Permission.MAINTAIN, "", found.id))


@route(
    "GET", "/jobs/{job:str}/report.csv", Permission.MAINTAIN, action="report.fetch", tags=_TAGS,
    media_type="text/csv", summary="What such a job found or did",
)  # fmt: skip
def report_upkeep(job: FromPath[str], serving: Served) -> Response[str]:
    """Return the report of a job of the installation as CSV."""
    return _report(serving, _load(serving, "", job))


@route(
    "POST", "/jobs/{job:str}/cancel", Permission.MAINTAIN, action="job.cancel", tags=_TAGS,
    summary="Stop such a job",
)  # fmt: skip
def cancel_upkeep(job: FromPath[str], serving: Served) -> JobDocument:
    """Ask a job of the installation to stop at the border of its next step."""
    return _cancelled(serving, _load(serving, "", job))


@route(
    "POST", "/jobs/{job:str}/resume", Permission.MAINTAIN, action="job.resume", status=202,
    tags=_TAGS, summary="Go on with such a job",
)  # fmt: skip
def resume_upkeep(job: FromPath[str], serving: Served, identity: SignedIn) -> JobDocument:
    """Take up a job of the installation that failed or was stopped."""
    return serving.job_document(serving.worker.resume(identity.actor, _load(serving, "", job)))


def permission_for(task: str) -> Permission:
    """Return what somebody must be allowed to stop a job of a task, or to take it up."""
    return _PERMISSIONS.get(task, Permission.MAINTAIN)


async def _events(
    serving: Serving,
    request: Request[Any, Any, Any],
    permission: Permission,
    tenant: str,
    job_id: str,
) -> AsyncIterator[ServerSentEventMessage]:
    """Yield the job whenever it changed; stops when it ended, or who watches may no longer."""
    shown = b""
    began_at = serving.application.clock.monotonic_seconds()
    while serving.application.clock.monotonic_seconds() - began_at < _LONGEST_SECONDS:
        document = await to_thread.run_sync(_look, serving, request, permission, tenant, job_id)
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
    serving: Serving,
    request: Request[Any, Any, Any],
    permission: Permission,
    tenant: str,
    job_id: str,
) -> ShownJobDocument | None:
    if not guarding.is_still_allowed(request, serving, permission, tenant or EVERY_TENANT):
        return None
    return _shown(serving, serving.application.jobs.load_job(job_id))


def _shown(serving: Serving, job: Job) -> ShownJobDocument:
    counted = serving.application.jobs.count_steps(job.id)
    return {
        **serving.job_document(job),
        "steps": {status.value: count for status, count in counted.items() if count},
    }


def _report(serving: Serving, job: Job) -> Response[str]:
    text, _ = reporting.report(serving.application, job, "csv")
    name = f'attachment; filename="{job.task}-{job.id}.csv"'
    return Response(text, media_type="text/csv", headers={"Content-Disposition": name})


def _cancelled(serving: Serving, job: Job) -> JobDocument:
    if job.status.is_final:
        raise errors.Refused(f"Job {job.id} has ended ({job.status.value}).", hint="")
    serving.worker.runner.request_cancel(job.id)
    return serving.job_document(serving.application.jobs.load_job(job.id))


def _page(
    serving: Serving, tenant: str, task: str, status: str, cursor: str, limit: int
) -> JobsPage:
    offset, limit = paging.position_of(cursor, 0), paging.limited(limit)
    wanted = reporting.named_status(JobStatus, status)
    found = serving.application.jobs.list_jobs(
        tenant=tenant,
        task=task or None,
        statuses=() if wanted is None else (wanted,),
        limit=limit,
        offset=offset,
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


def _status_of(known: JobStep | None) -> StepStatus:
    return StepStatus.PLANNED if known is None else known.status


def _step_document(step: Step, known: JobStep | None) -> JobStepDocument:
    status = _status_of(known)
    ended = journal.StepStatus(status.value) if status in _ENDED else None
    told = StepReport(step, ended, known.detail if known else {})
    line = told.to_json()
    return {
        "step": step.id,
        "action": step.action.value,
        "kind": step.ref.kind,
        "id": step.ref.id,
        "display_name": step.name,
        "relationship": step.relationship,
        "target": line["target"],
        "summary": step.summary,
        "status": status,
        "attempt": known.attempt if known else 0,
        "intended_at": _iso(known.intended_at if known else None),
        "finished_at": _iso(known.finished_at if known else None),
        "new_id": str(told.detail.get("new_id") or ""),
        "message": told.message,
        "code": line["code"],
        "request_id": line["request_id"],
        "hint": line["hint"],
    }


def _iso(moment: dt.datetime | None) -> str | None:
    return None if moment is None else clocks.iso(moment)


ROUTES = (
    list_jobs, show_job, list_steps, watch_job, report, cancel, resume, undo, check, rebuild,
    list_upkeep, show_upkeep, watch_upkeep, report_upkeep, cancel_upkeep,
    resume_upkeep,
)  # fmt: skip
