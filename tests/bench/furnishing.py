"""What gathers in an installation beside its snapshots: people, tokens, approvals, jobs, steps."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from reentra.access import EVERY_TENANT, Actor, Role, Via
from reentra.app import Application
from reentra.database import JobStatus, StepOutcome, StepStatus
from reentra.tasks import PLANS

from .acts import ACTS, Numbers, opened
from .tenant import TENANT_NAME

PEOPLE, TOKENS, APPROVALS, BACKUPS = 60, 40, 60, 120
_FAILED_EVERY, _SKIPPED_EVERY = 50, 70
_SAID_AT_ONCE = 2_000
_MADE_BY = Actor(Via.COMMAND, "bench", "bench")


def furnish(home: Path) -> Numbers:
    """Add the administrator, others, their tokens and requests, backups, and one large restore.

    The restore applies the smallest plan that the repository holds; without one there is none.
    """
    with opened(home) as application:
        _add_people(application)
        steps = _add_jobs(application)
    return {"steps": steps}


def _add_people(application: Application) -> None:
    access = application.access
    admin, _ = access.people.add(_MADE_BY, "admin", {EVERY_TENANT: Role.ADMINISTRATOR})
    for number in range(PEOPLE):
        access.people.add(_MADE_BY, f"person-{number:03}", {TENANT_NAME: Role.RESTORER})
    for number in range(TOKENS):
        access.tokens.create(_MADE_BY, admin, f"script {number}", TENANT_NAME, Role.READER, 90)
    for number in range(APPROVALS):
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        access.approvals.ask(_MADE_BY, "restore", TENANT_NAME, f"plan-{number}", digest)


def _add_jobs(application: Application) -> int:
    jobs, repository = application.jobs, application.repository
    tenant_id = application.connections.find(TENANT_NAME).tenant_id
    newest = application.catalog.list_snapshots(tenant_id)[0]
    kinds = {
        name: {"objects": row.objects, "coverage": row.coverage.status.value}
        for name, row in newest.info.kinds.items()
    }
    for _ in range(BACKUPS):
        job = jobs.create_job("backup", tenant=TENANT_NAME, who="reentra")
        summary: dict[str, Any] = {"snapshot": newest.id, "kinds": kinds}
        jobs.update_job(job.id, status=JobStatus.SUCCEEDED, summary=summary)
    documents = [repository.load_document(PLANS, name) for name in repository.list_documents(PLANS)]
    if not documents:
        return 0
    plan = min(documents, key=lambda document: len(document["steps"]))
    job = jobs.create_job(
        "restore", tenant=TENANT_NAME, who="admin", parameters={"plan": plan["id"]}
    )
    ids = [step["id"] for step in plan["steps"]]
    outcomes = [StepOutcome(one, _outcome(place), _detail(place)) for place, one in enumerate(ids)]
    for start in range(0, len(ids), _SAID_AT_ONCE):
        jobs.record_intent(job.id, ids[start : start + _SAID_AT_ONCE])
        jobs.record_outcomes(job.id, outcomes[start : start + _SAID_AT_ONCE])
    jobs.update_job(job.id, status=JobStatus.PARTIAL)
    return len(ids)


def _outcome(place: int) -> StepStatus:
    if place % _FAILED_EVERY == 0:
        return StepStatus.FAILED
    return StepStatus.SKIPPED if place % _SKIPPED_EVERY == 0 else StepStatus.DONE


def _detail(place: int) -> dict[str, Any]:
    if _outcome(place) is not StepStatus.FAILED:
        return {}
    return {"code": "Request_BadRequest", "message": "Property department is invalid."}


ACTS.update({furnish.__name__: furnish})
