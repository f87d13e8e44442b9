"""The page of one job: how far it is, and in the end what became of every object."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from litestar import Response
from litestar.params import FromPath, FromQuery

from reentra import clock as clocks
from reentra import errors
from reentra.access import Permission
from reentra.api import jobs, paging, restores
from reentra.web import progress, rendering
from reentra.web.jobs import address
from reentra.web.routing import page
from reentra.web.visiting import Visit, Visiting
from reentra.worker import DOWNLOAD_HOURS

_AT_ONCE = 100
_BEFORE = 10  # steps that are shown before the one that is next
_API = ("api", "v1")
# The outcomes in the order in which they are offered, as people call them.
_OUTCOMES = {
    "failed": "Failed",
    "skipped": "Skipped",
    "done": "Done",
    "already": "Already so",
    "intended": "Under way",
    "planned": "To do",
}
_AFTER_THE_END = {"intended": "In doubt", "planned": "Not reached"}
_NOT_DONE = ("failed", "skipped")
_MOST_OF_THE_REST = 1000
_NO_STEPS: Mapping[str, Any] = {"snapshot": "", "undoes": "", "total": 0, "items": [], "next": ""}


@page("/tenants/{tenant:str}/jobs/{job:str}", Permission.BROWSE)
def show_job(
    tenant: FromPath[str],
    job: FromPath[str],
    visit: Visiting,
    status: FromQuery[str] = "",
    cursor: FromQuery[str] = "",
    follow: FromQuery[bool] = False,
) -> Response[Any]:
    """Show a job. With ``follow`` a plan is shown instead of its job, as soon as there is one."""
    found = visit.ask(jobs.show_job, tenant=tenant, job=job)
    plan = found["summary"].get("plan") if found["task"] == "plan" else None
    if follow and plan and visit.may(Permission.RESTORE, tenant):
        return visit.lead(rendering.path("tenants", tenant, "plans", plan))
    if found["task"] != "restore":
        return _show(visit, tenant, found)
    return _show(visit, tenant, found, **_steps(visit, tenant, found, status, cursor))


@page("/jobs/{job:str}", Permission.MAINTAIN)
def show_upkeep(job: FromPath[str], visit: Visiting) -> Response[str]:
    """Show a job of the installation."""
    return _show(visit, "", {**visit.ask(jobs.show_upkeep, job=job), "steps": {}})


def _show(visit: Visit, tenant: str, job: Mapping[str, Any], **known: Any) -> Response[str]:
    here = address(tenant, job["id"])
    api = rendering.path(*_API, *(("tenants", tenant) if tenant else ()), "jobs", job["id"])
    stretches = progress.stretches(job)
    return visit.show(
        "job.html",
        tenant=tenant,
        job=job,
        address=here,
        list_address=here.rpartition("/")[0],
        events=f"{api}/events",
        report=f"{api}/report.csv",
        is_open=job["finished_at"] is None,
        stretches=stretches,
        main=stretches[-1] if stretches else None,
        seconds=progress.seconds_of(job, visit.serving.application.clock.now()),
        needed=jobs.permission_for(job["task"]),
        not_whole=_not_whole(job["summary"]),
        download=_download(visit, tenant, job),
        rest=_rest(visit, tenant, job),
        **{"steps": _NO_STEPS, "all_steps": 0, "done_steps": 0, **known},
    )


def _steps(
    visit: Visit, tenant: str, job: Mapping[str, Any], status: str, cursor: str
) -> dict[str, Any]:
    """Return the steps to be shown: those that went wrong first; of a running one, what is next."""
    counts = job["steps"]
    is_open = job["finished_at"] is None
    if not status and not is_open:
        status = next((one for one in ("failed", "skipped") if counts.get(one)), "all")
    wanted = "" if status == "all" else status
    ended = sum(counts.get(one, 0) for one in ("done", "already", "skipped", "failed"))
    if is_open and not wanted and not cursor and ended > _BEFORE:
        cursor = paging.cursor_of(ended - _BEFORE)

    def ask(wanted: str, cursor: str, limit: int) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = visit.ask(
                jobs.list_steps, tenant=tenant, job=job["id"], status=wanted, cursor=cursor,
                limit=limit,
            )  # fmt: skip
        except errors.NotFound:  # the plan is gone; what the job's record says is still there
            return _NO_STEPS
        return found

    everything = ask("", "", 1)
    known = {**counts, "planned": everything["total"] - sum(counts.values())}
    known["planned"] += counts.get("planned", 0)
    words = _OUTCOMES if is_open else {**_OUTCOMES, **_AFTER_THE_END}
    listed = ask(wanted, cursor, _AT_ONCE)
    here = address(tenant, job["id"])
    return {
        "steps": listed,
        "outcome": wanted or "all",
        "outcome_words": words,
        "outcomes": [
            ("all", "All", everything["total"], rendering.query(here, status="all")),
            *(
                (one, word, known[one], rendering.query(here, status=one))
                for one, word in words.items()
                if known.get(one)
            ),
        ],
        "done_steps": ended,
        "all_steps": everything["total"],
        "is_part": bool(cursor),
        "more_steps": rendering.query(here, status=wanted or "all", cursor=listed["next"])
        if listed["next"]
        else "",
    }


def _not_whole(summary: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the kinds and relationships that a backup did not read whole."""
    return [
        (name, item)
        for part in ("kinds", "relationships")
        for name, item in (summary.get(part) or {}).items()
        if isinstance(item, dict) and item.get("coverage", "complete") != "complete"
    ]


def _rest(visit: Visit, tenant: str, job: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a restore did not do, as a selection, and its plan, whose options still hold.

    There is nothing for who may not restore, nor after an undo: that one is undone again.
    """
    if job["status"] != "partial" or job["task"] != "restore":
        return None
    if not visit.may(Permission.RESTORE, tenant):
        return None
    try:
        plan = visit.ask(restores.show_plan, tenant=tenant, plan=job["parameters"]["plan"])
    except errors.NotFound:
        return None
    ids = dict.fromkeys(
        f"{step['kind']}/{step['id']}"
        for status in _NOT_DONE
        for step in visit.ask(
            jobs.list_steps, tenant=tenant, job=job["id"], status=status, limit=_MOST_OF_THE_REST
        )["items"]
    )
    return {"plan": plan, "ids": list(ids)} if ids and not plan["undoes"] else None


def _download(visit: Visit, tenant: str, job: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the link to what a download made, until when it is there, and why it may not be."""
    if job["task"] != "download" or job["status"] != "succeeded":
        return None
    expires_at = clocks.parse_iso(job["finished_at"]) + dt.timedelta(hours=DOWNLOAD_HOURS)
    why = ""
    if expires_at <= visit.serving.application.clock.now():
        why = "It has expired. Make the download again."
    elif visit.identity is None or visit.identity.person.name != job["who"]:
        why = f"Only {job['who']}, who asked for it, can fetch it."
    return {
        "address": rendering.path("tenants", tenant, "downloads", job["id"]),
        "expires_at": clocks.iso(expires_at),
        "why": why,
    }


ROUTES = (show_job, show_upkeep)
