"""Restore plans: made by a job, read, approved by a second person, and applied by another job."""

from __future__ import annotations

from typing import Literal, cast

import msgspec
from litestar import Response
from litestar.params import FromPath, FromQuery, JSONBody

from reentra import errors, viewing
from reentra.access import Entry, Identity, Permission
from reentra.access.approvals import Approval
from reentra.access.rules import RESTORE, needed_for
from reentra.api import paging, selecting
from reentra.api.documents import (
    ApprovalDocument,
    ApprovalsPage,
    JobDocument,
    PlanDocument,
    PlanFileDocument,
    StepDocument,
    StepsPage,
)
from reentra.api.routing import route
from reentra.api.serving import Served, Serving, SignedIn
from reentra.database import Job
from reentra.directory.selection import Selection
from reentra.restore.choices import ensure_consistent
from reentra.restore.draft import (
    PolicyState,
    RelationshipsBehavior,
    RestoreOptions,
    SettingsBehavior,
)
from reentra.restore.paged import PagedPlan
from reentra.restore.plan import (
    RestorePlan,
    ensure_deletions_confirmed,
    ensure_not_refused,
)
from reentra.tasks import load_plan_and_digest

_TAGS = ("restore",)
_OF = "/tenants/{tenant:str}"


class NewPlan(msgspec.Struct, forbid_unknown_fields=True):
    """What to restore from which snapshot, and how. No kind and no id means everything.

    ``snapshot`` may be a list, as a selection of findings has them; they must be one snapshot.
    ``replaces`` is a job of the same person that makes a plan nobody waits for any more.
    """

    snapshot: str | list[str]
    kinds: list[str] = []
    ids: list[str] = []
    relationships: bool = True
    deleted_only: bool = False
    settings: Literal["overwrite", "skip"] = "overwrite"
    settings_of: dict[str, Literal["overwrite", "skip"]] = {}
    relationships_behavior: Literal["merge", "rollback"] = "merge"
    rollback_kinds: list[str] = []
    properties: list[str] = []
    policy_state: Literal["report_only", "as_backed_up"] = "report_only"
    max_changed_share: float | None = None
    overrule: list[str] = []
    follow_ups: list[str] = []
    replaces: str = ""


class Apply(msgspec.Struct, forbid_unknown_fields=True):
    """How to apply a plan. The password is for users that must be created anew; it is not kept.

    ``confirm_deletions`` is the plan's ``deletions_to_confirm``, said by who has read them.
    """

    default_password: str = ""
    confirm_deletions: int | None = None


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    """A second person's word."""

    granted: bool


def options_of(data: NewPlan) -> RestoreOptions:
    """Return the options that a request asks for."""
    return RestoreOptions(
        relationships=data.relationships,
        deleted_only=data.deleted_only,
        settings=SettingsBehavior(data.settings),
        conditional_access_state=PolicyState(data.policy_state),
        max_changed_share=data.max_changed_share,
        overruled=frozenset(data.overrule),
        relationships_behavior=RelationshipsBehavior(data.relationships_behavior),
        settings_of={what: SettingsBehavior(how) for what, how in data.settings_of.items()},
        rollback_kinds=frozenset(data.rollback_kinds),
        properties=frozenset(data.properties),
    )


@route(
    "POST", _OF + "/plans", Permission.RESTORE, action="plan.begin", status=202, tags=_TAGS,
    summary="Make a restore plan",
)  # fmt: skip
def make_plan(
    tenant: FromPath[str], data: JSONBody[NewPlan], serving: Served, identity: SignedIn
) -> JobDocument:
    """Queue the making of a plan; when its job has succeeded, its summary names the plan."""
    chosen = selecting.one_snapshot(data.snapshot)
    state = viewing.state_of(serving.application, serving.synced(tenant), chosen)
    selection, options = Selection.parse(data.kinds, data.ids), options_of(data)
    ensure_consistent(options, selection)
    if data.replaces:
        _give_up(serving, identity, tenant, data.replaces)
    parameters = {
        "snapshot": state.label,
        "selection": selection.to_json(),
        "options": options.to_json(),
        "follow_ups": data.follow_ups,
    }
    return serving.job_document(
        serving.worker.enqueue(identity.actor, "plan", tenant=tenant, parameters=parameters)
    )


@route("GET", _OF + "/plans/{plan:str}", Permission.RESTORE, tags=_TAGS, summary="One restore plan")
def show_plan(tenant: FromPath[str], plan: FromPath[str], serving: Served) -> PlanDocument:
    """Return a plan without its steps, which are a list of their own."""
    found = _look_at(serving, tenant, plan)
    document = {
        **found.head,
        "open_refusals": [refusal.to_json() for refusal in found.plan.open_refusals],
        "digest": found.digest,
        "needs_approval": _needs_approval(serving, len(found.step_ids)),
    }
    job = _find_job(serving, tenant, found.plan)
    document["applied_by"] = None if job is None else job.id
    return cast("PlanDocument", document)


@route(
    "GET", _OF + "/plans/{plan:str}/steps", Permission.RESTORE, tags=_TAGS,
    summary="The steps of a plan",
)  # fmt: skip
def list_steps(
    tenant: FromPath[str],
    plan: FromPath[str],
    serving: Served,
    cursor: FromQuery[str] = "",
    limit: FromQuery[int] = 100,
) -> StepsPage:
    """List what a plan will do, in order."""
    found = _look_at(serving, tenant, plan)
    offset, limit = paging.position_of(cursor, 0), paging.limited(limit)
    total, after = len(found.step_ids), offset + limit
    steps = found.steps_at(range(total)[offset:after])
    return {
        "total": total,
        "items": [cast("StepDocument", step.to_json()) for step in steps],
        "next": paging.cursor_of(after) if after < total else "",
    }


@route(
    "GET", _OF + "/plans/{plan:str}/file", Permission.RESTORE, action="plan.fetch", tags=_TAGS,
    summary="A restore plan as a file",
)  # fmt: skip
def fetch_plan(
    tenant: FromPath[str], plan: FromPath[str], serving: Served
) -> Response[PlanFileDocument]:
    """Return the whole plan, steps and all, as the command line reads it."""
    found, _ = _load(serving, tenant, plan)
    name = f'attachment; filename="{tenant}-plan-{found.id}.json"'
    return Response(
        cast("PlanFileDocument", found.to_json()),
        media_type="application/json",
        headers={"Content-Disposition": name},
    )


@route(
    "POST", _OF + "/plans/{plan:str}/apply", Permission.RESTORE, action="restore.begin",
    status=202, tags=_TAGS, summary="Apply a restore plan",
)  # fmt: skip
def apply_plan(
    tenant: FromPath[str],
    plan: FromPath[str],
    data: JSONBody[Apply],
    serving: Served,
    identity: SignedIn,
) -> JobDocument:
    """Queue the restore. A plan that refuses, or that nobody else approved, is not applied.

    Nor is one that a job applies already, or has applied.
    """
    found, digest = _load(serving, tenant, plan)
    ensure_not_refused(found)
    with serving.applying:
        _ensure_not_applied(serving, tenant, found)
        ensure_deletions_confirmed(found, data.confirm_deletions)
        _ensure_password_given(found, data.default_password)
        serving.worker.ensure_room(identity.actor)  # before an approval is used up
        if _needs_approval(serving, len(found.steps)):
            serving.access.approvals.use(identity.actor, RESTORE, tenant, digest)
        job = serving.worker.enqueue(
            identity.actor,
            RESTORE,
            tenant=tenant,
            parameters={
                "plan": found.id,
                "digest": digest,
                "confirmed_deletions": data.confirm_deletions,
            },
            default_password=data.default_password,
        )
    return serving.job_document(job)


@route(
    "POST", _OF + "/plans/{plan:str}/approval", Permission.RESTORE, action="approval.begin",
    status=201, tags=_TAGS, summary="Ask for a second person's word",
)  # fmt: skip
def ask_approval(
    tenant: FromPath[str], plan: FromPath[str], serving: Served, identity: SignedIn
) -> ApprovalDocument:
    """Ask another person to approve exactly this plan, by its digest."""
    found = _look_at(serving, tenant, plan)
    approval = serving.access.approvals.ask(
        identity.actor, RESTORE, tenant, found.plan.id, found.digest
    )
    return _approval_document(serving, approval)


@route(
    "GET", _OF + "/approvals", Permission.RESTORE, tags=_TAGS,
    summary="Requests for a second person's word",
)  # fmt: skip
def list_approvals(
    tenant: FromPath[str], serving: Served, limit: FromQuery[int] = 100
) -> ApprovalsPage:
    """List requests, newest first."""
    found = serving.access.approvals.list_approvals(tenant, paging.limited(limit))
    return {"items": [_approval_document(serving, item) for item in found], "next": ""}


@route(
    "POST", _OF + "/approvals/{approval:str}", Permission.RESTORE, action="approval.decision",
    is_sensitive=True, tags=_TAGS, summary="Approve or deny what somebody else asked for",
)  # fmt: skip
def decide(
    tenant: FromPath[str],
    approval: FromPath[str],
    data: JSONBody[Decision],
    serving: Served,
    identity: SignedIn,
) -> ApprovalDocument:
    """Say yes or no. Nobody decides what they asked for themselves, and no script decides."""
    identity.ensure_in_person()
    asked = serving.access.approvals.load(approval, tenant)
    # Whoever approves must be allowed to do it themselves.
    identity.ensure(needed_for(asked.action), tenant)
    return _decided(serving, identity, tenant, approval, data)


@route(
    "GET", "/approvals", Permission.SETTINGS, tags=("settings",),
    summary="Requests for a second person's word that concern the installation",
)  # fmt: skip
def list_own_approvals(serving: Served, limit: FromQuery[int] = 100) -> ApprovalsPage:
    """List requests that belong to no tenant, newest first."""
    found = serving.access.approvals.list_approvals("", paging.limited(limit))
    return {"items": [_approval_document(serving, item) for item in found], "next": ""}


@route(
    "POST", "/approvals/{approval:str}", Permission.SETTINGS, action="approval.decision",
    is_sensitive=True, tags=("settings",), summary="Approve or deny such a request",
)  # fmt: skip
def decide_own(
    approval: FromPath[str], data: JSONBody[Decision], serving: Served, identity: SignedIn
) -> ApprovalDocument:
    """Say yes or no to what somebody else asked for, such as fewer second persons."""
    identity.ensure_in_person()
    return _decided(serving, identity, "", approval, data)


def _decided(
    serving: Serving, identity: Identity, tenant: str, approval: str, data: Decision
) -> ApprovalDocument:
    decided = serving.access.approvals.decide(
        identity.actor, approval, tenant, is_granted=data.granted
    )
    return _approval_document(serving, decided)


def _find_job(serving: Serving, tenant: str, plan: RestorePlan) -> Job | None:
    """Return the job that a plan was given to, if any."""
    offset = 0
    while found := serving.application.jobs.list_jobs(tenant=tenant, task=RESTORE, offset=offset):
        for job in found:
            if job.parameters.get("plan") == plan.id:
                return job
        if found[-1].created_at < plan.created_at:
            return None
        offset += len(found)
    return None


def _ensure_not_applied(serving: Serving, tenant: str, plan: RestorePlan) -> None:
    """Let pass a plan that no job is for.

    Raises: ``AlreadyApplied``.
    """
    job = _find_job(serving, tenant, plan)
    if job is not None:
        raise errors.AlreadyApplied(
            f"Job {job.id} of {job.who} applies plan {plan.id} ({job.status.value}); a plan is"
            " applied once.",
            job=job.id,
        )


def _ensure_password_given(plan: RestorePlan, default_password: str) -> None:
    """Let pass a plan that creates no user, or what comes with a password for those it creates.

    Raises: ``UsageError``: said before a job takes the plan, because a plan is applied once.
    """
    if plan.needs_default_password and not default_password:
        raise errors.UsageError(
            "Users must be created anew, and there is no default password for them.",
            hint="Give one: it is kept in memory only, and they change it at the next sign-in.",
        )


def _give_up(serving: Serving, identity: Identity, tenant: str, job_id: str) -> None:
    """Stop the making of a plan that its own maker replaces; what has ended stays as it is."""
    try:
        job = serving.application.jobs.load_job(job_id)
    except errors.UsageError:
        return
    is_own = job.tenant == tenant and job.who == identity.actor.name
    if job.task == "plan" and is_own and not job.status.is_final:
        serving.worker.runner.request_cancel(job.id)
        entry = Entry("job.cancel", tenant, job.id, detail={"why": "another plan replaces it"})
        serving.access.trail.record(identity.actor, entry)


def _approval_document(serving: Serving, approval: Approval) -> ApprovalDocument:
    document = approval.to_json()
    document["asked_by_name"] = _name_of(serving, approval.asked_by)
    document["decided_by_name"] = _name_of(serving, approval.decided_by)
    return cast("ApprovalDocument", document)


def _name_of(serving: Serving, person_id: str | None) -> str:
    try:
        return serving.access.people.load(person_id).name if person_id else ""
    except errors.NotFound:
        return ""


def _needs_approval(serving: Serving, steps: int) -> bool:
    most = serving.access.load_rules().restore_steps
    return most is not None and steps > most


def _look_at(serving: Serving, tenant: str, plan_id: str) -> PagedPlan:
    """Return a plan of this tenant to look at; another tenant's is not there."""
    found = serving.paged_plan(plan_id)
    _ensure_of(serving, tenant, found.plan)
    return found


def _load(serving: Serving, tenant: str, plan_id: str) -> tuple[RestorePlan, str]:
    """Return a plan of this tenant, whole, and its digest; another tenant's is not there."""
    found, digest = load_plan_and_digest(serving.application, plan_id)
    _ensure_of(serving, tenant, found)
    return found, digest


def _ensure_of(serving: Serving, tenant: str, plan: RestorePlan) -> None:
    tenant_id = serving.application.connections.find(tenant).tenant_id
    if plan.tenant_id.lower() != tenant_id.lower():
        raise errors.NotFound(f"There is no plan {plan.id!r}.", hint="Make one.")


ROUTES = (
    make_plan, show_plan, list_steps, fetch_plan, apply_plan, ask_approval, list_approvals, decide,
    list_own_approvals, decide_own,
)  # fmt: skip
