"""A restore plan as a page: what it does, what it cannot, who has to agree, and "Restore"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from litestar import Response
from litestar.params import FromPath

from reentra import errors
from reentra.access import Permission
from reentra.api import restores, snapshots
from reentra.restore.steps import CHANGED_SINCE, NOT_DELETED, NOT_REMOVED
from reentra.web import forms, rendering
from reentra.web.routing import form_for, page, page_for
from reentra.web.visiting import Visit, Visiting

_OF = "/tenants/{tenant:str}/plans/{plan:str}"
_AT_ONCE = 50
_MOST_REASONS = 50
ACTIONS: Mapping[str, str] = {
    "undelete": "Bring back from the recycle bin",
    "create": "Create anew, with a new id",
    "invite": "Invite anew, with a new id",
    "update": "Change back",
    "assign_licenses": "Assign licences",
    "add_relationship": "Add links",
    "remove_relationship": "Take links away",
    "delete": "Delete",
}
_HEADINGS: Mapping[str, str] = {
    CHANGED_SINCE: "Changed again since, and left as it is",
    NOT_DELETED: "Added since the snapshot, and left where it is",
    NOT_REMOVED: "Added since the snapshot, and left where it is",
}
_REST = "Cannot be restored"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What a plan cannot put back for one reason: how much of what, and what to do instead."""

    kind: str
    what: str
    reason: str
    instead: str
    count: int
    name: str


@page(_OF, Permission.RESTORE)
def show_plan(tenant: FromPath[str], plan: FromPath[str], visit: Visiting) -> Response[str]:
    """Show a plan."""
    return _show(visit, tenant, plan)


@page_for(_OF + "/file", restores.fetch_plan)
def fetch_plan(tenant: FromPath[str], plan: FromPath[str], visit: Visiting) -> Any:
    """Send the whole plan as JSON."""
    return visit.ask(restores.fetch_plan, tenant=tenant, plan=plan)


@form_for(_OF + "/apply", restores.apply_plan)
def apply(tenant: FromPath[str], plan: FromPath[str], visit: Visiting) -> Response[Any]:
    """Begin the restore, and lead to its job; of two clicks the second leads to the same job."""
    try:
        job = visit.ask(restores.apply_plan, tenant=tenant, plan=plan, data=_agreed(visit))["id"]
    except errors.AlreadyApplied as known:
        job = known.job
    except (errors.UsageError, errors.Refused) as failure:
        if isinstance(failure, errors.NotFound):
            raise
        return _show(visit, tenant, plan, failure)
    return visit.lead(rendering.path("tenants", tenant, "jobs", job))


@form_for(_OF + "/approval", restores.ask_approval)
def ask_approval(tenant: FromPath[str], plan: FromPath[str], visit: Visiting) -> Response[Any]:
    """Ask for a second person's word, and lead to the plan, which says how that stands."""
    visit.ask(restores.ask_approval, tenant=tenant, plan=plan)
    return visit.lead(rendering.path("tenants", tenant, "plans", plan))


def shown(visit: Visit, tenant: str, plan_id: str) -> dict[str, Any]:
    """Return what the parts of a template that show a plan need."""
    plan = visit.ask(restores.show_plan, tenant=tenant, plan=plan_id)
    return {
        "plan": plan,
        "actions": [
            (words, what, count)
            for action, words in ACTIONS.items()
            for what, count in plan["counts"].get(action, {}).items()
        ],
        "total": sum(sum(counts.values()) for counts in plan["counts"].values()),
        "left_out": left_out(plan["unrestorable"]),
        "approval": _approval(visit, tenant, plan),
    }


def left_out(items: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[LeftOut]]]:
    """Gather what cannot be restored by heading and by reason, the most frequent first."""
    counts: Counter[tuple[str, str, str, str, str]] = Counter()
    names: dict[tuple[str, str, str, str, str], str] = {}
    for item in items:
        heading = _HEADINGS.get(item["code"], _REST)
        key = (heading, item["kind"], item["what"], item["reason"], item["instead"])
        counts[key] += item["count"]
        names.setdefault(key, item["name"])
    found: dict[str, list[LeftOut]] = {}
    for key, count in counts.most_common(_MOST_REASONS):
        heading, kind, what, reason, instead = key
        line = LeftOut(kind, what, reason, instead, count, names[key] if count == 1 else "")
        found.setdefault(heading, []).append(line)
    return sorted(found.items(), key=lambda pair: pair[0] != _REST)


def _show(
    visit: Visit, tenant: str, plan_id: str, failure: errors.Error | None = None
) -> Response[str]:
    known = shown(visit, tenant, plan_id)
    cursor = str(visit.request.query_params.get("cursor") or "")
    return visit.show(
        "plan.html",
        status=200 if failure is None else failure.http_status,
        tenant=tenant,
        failure=failure,
        steps=visit.ask(
            restores.list_steps, tenant=tenant, plan=plan_id, cursor=cursor, limit=_AT_ONCE
        ),
        words=ACTIONS,
        as_json=_as_json,
        is_first=not cursor,
        taken_at=_taken_at(visit, tenant, known["plan"]),
        **known,
    )


def _taken_at(visit: Visit, tenant: str, plan: Mapping[str, Any]) -> str:
    """Return when a plan's snapshot was taken; nothing when it is not there, or a capture."""
    if plan["undoes"]:
        return ""
    try:
        found = visit.ask(snapshots.show_snapshot, tenant=tenant, snapshot=plan["snapshot"])
    except errors.NotFound:
        return ""
    return str(found["created_at"])


def _as_json(body: Any) -> str:
    return orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()


def _agreed(visit: Visit) -> restores.Apply:
    """Read what a person says with "Restore".

    Raises: ``UsageError`` without a default password, and for a number that is none.
    """
    password = visit.value("default_password")
    if not password:
        raise errors.UsageError(
            "The default password for permanently deleted users is missing.",
            hint="It is asked on every restore; only users that must be created anew get it.",
        )
    said = visit.value("confirm_deletions").strip().replace(",", "")
    number = forms.whole_number(said, "The number of deletions") if said else None
    return restores.Apply(password, number)


def _approval(visit: Visit, tenant: str, plan: Mapping[str, Any]) -> Any:
    """Return the newest request for a second person's word on exactly this plan."""
    if not plan["needs_approval"]:
        return None
    asked = visit.ask(restores.list_approvals, tenant=tenant)["items"]
    return next((item for item in asked if item["digest"] == plan["digest"]), None)


ROUTES = (show_plan, fetch_plan, apply, ask_approval)
