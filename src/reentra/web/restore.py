"""The dialog "Restore Data": its options, and the live preview of the plan."""

from __future__ import annotations

import re
from typing import Any

from litestar import Response
from litestar.params import FromPath

from reentra import errors
from reentra.access import Permission
from reentra.api import jobs, restores
from reentra.directory.kinds import KINDS
from reentra.restore.choices import can_roll_back, settings_owners
from reentra.web import choosing, forms, plans, rendering
from reentra.web.choosing import Chosen
from reentra.web.routing import form, form_for, page
from reentra.web.visiting import Visit, Visiting

_ADDRESS = "/tenants/{tenant:str}/restore"


@page(_ADDRESS, Permission.RESTORE)
def show_restore(tenant: FromPath[str], visit: Visiting) -> Response[str]:
    """Show the dialog for what a link names."""
    return _dialog(visit, tenant)


@form(_ADDRESS, Permission.RESTORE)
def show_large_restore(tenant: FromPath[str], visit: Visiting) -> Response[str]:
    """Show the dialog for what is too much for an address, or with options chosen before."""
    return _dialog(visit, tenant)


@form_for(_ADDRESS + "/preview", restores.make_plan)
def preview(tenant: FromPath[str], visit: Visiting) -> Response[Any]:
    """Begin to make the plan, and show how far it is."""
    try:
        job = visit.ask(restores.make_plan, tenant=tenant, data=_wanted(visit))
    except errors.Error as failure:
        if visit.is_part:
            return _part(visit, tenant, failure=failure)
        if not isinstance(failure, errors.UsageError | errors.Refused):
            raise
        return _dialog(visit, tenant, failure)
    if visit.is_part:
        return _part(visit, tenant, job)
    return visit.lead(rendering.path("tenants", tenant, "previews", job["id"]))


@page("/tenants/{tenant:str}/previews/{job:str}", Permission.RESTORE)
def show_preview(tenant: FromPath[str], job: FromPath[str], visit: Visiting) -> Response[Any]:
    """Show how far the making of a plan is, and then the plan."""
    found = visit.ask(jobs.show_job, tenant=tenant, job=job)
    if found["task"] != "plan":
        raise errors.NotFound(f"Job {job!r} makes no plan.", hint="List the tenant's jobs.")
    plan = found["summary"].get("plan")
    if plan is None or (visit.is_part and not visit.given("page")):
        return _part(visit, tenant, found)
    address = rendering.path("tenants", tenant, "plans", plan)
    if visit.is_part:
        return Response("", media_type="text/html", headers={"HX-Redirect": address})
    return visit.lead(address)


def _dialog(visit: Visit, tenant: str, failure: errors.Error | None = None) -> Response[str]:
    chosen = choosing.chosen_of(visit)
    selected = choosing.named(visit, tenant, chosen)
    chosen = Chosen(selected["snapshot"], chosen.kinds, chosen.ids)
    try:
        wanted = _wanted(visit)
    except errors.UsageError as mistake:
        wanted, failure = restores.NewPlan(chosen.snapshot), failure or mistake
    return visit.show(
        "restore.html",
        status=200 if failure is None else failure.http_status,
        tenant=tenant,
        chosen=chosen,
        selected=selected,
        wanted=wanted,
        share=visit.given("max_changed_share"),
        owners=settings_owners(),
        deletable=[
            row.name
            for row in KINDS.values()
            if can_roll_back(row) and chosen.takes_whole(row.name)
        ],
        not_created=choosing.not_created(selected),
        is_picked=bool(visit.given("picked")),
        failure=failure,
    )


def _part(
    visit: Visit, tenant: str, job: Any = None, *, failure: errors.Error | None = None
) -> Response[str]:
    """Show the state of a preview: inside the dialog, or as a page while it is made."""
    known: dict[str, Any] = {"job": job, "failure": failure, "is_whole": bool(visit.given("page"))}
    if job is not None and job["summary"].get("plan"):
        known |= plans.shown(visit, tenant, job["summary"]["plan"])
    if visit.is_part:
        status = 200 if failure is None else failure.http_status
        return visit.show("restore_preview.html", status=status, tenant=tenant, **known)
    return visit.show("restore_waiting.html", tenant=tenant, **{**known, "is_whole": True})


def _wanted(visit: Visit) -> restores.NewPlan:
    """Read the options that a form holds; without any they are the product's own.

    Raises: ``UsageError``.
    """
    chosen = choosing.chosen_of(visit)
    made: dict[str, Any] = {
        "snapshot": chosen.snapshot,
        "kinds": list(chosen.kinds),
        "ids": list(chosen.ids),
        "replaces": visit.given("replaces"),
    }
    if visit.given("options"):
        is_linked = bool(visit.given("relationships"))
        made |= {
            "relationships": is_linked,
            "relationships_behavior": (is_linked and visit.given("behavior")) or "merge",
            "deleted_only": bool(visit.given("deleted_only")),
            "settings": visit.given("settings") or "overwrite",
            "settings_of": {
                owner: how for owner in settings_owners()
                if (how := visit.given(f"settings_of_{owner}"))
            },
            "rollback_kinds": visit.all_given("rollback_kind"),
            "properties": re.findall(r"[^\s,;]+", visit.given("properties")),
            "policy_state": visit.given("policy_state") or "report_only",
            "max_changed_share": _share(visit.given("max_changed_share")),
            "overrule": visit.all_given("overrule"),
            "follow_ups": visit.all_given("follow_up"),
        }  # fmt: skip
    return forms.body(restores.NewPlan, **made)


def _share(text: str) -> float | None:
    """Return a share (0..1) from a number of percent."""
    if not text:
        return None
    try:
        percent = float(text.strip().rstrip("%"))
    except ValueError:
        percent = -1
    if not 0 < percent <= 100:
        raise errors.UsageError(
            f"The largest share that may change is {text!r}.",
            hint="Give a number of percent, above 0 and up to 100, or leave it empty.",
        )
    return percent / 100


ROUTES = (show_restore, show_large_restore, preview, show_preview)
