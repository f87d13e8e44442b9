"""What is kept of a tenant's snapshots and why, another policy tried out, and forgetting."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from typing import Any

from litestar import Response
from litestar.params import FromPath, FromQuery

from reentra import errors
from reentra.access import Permission
from reentra.api import retention
from reentra.web import forms, rendering
from reentra.web.jobs import address as job_address
from reentra.web.routing import form_for, page
from reentra.web.visiting import Visit, Visiting

_OF = "/tenants/{tenant:str}"
_SHOWN = 500  # rows of the table; the rest is counted
# The fields, with their labels.
FIELDS: Mapping[str, str] = {
    "last": "Last snapshots",
    "within_days": "All of the last days",
    "hourly": "Hourly",
    "daily": "Daily",
    "weekly": "Weekly",
    "monthly": "Monthly",
    "yearly": "Yearly",
    "captures_within_days": "Captures, days (0: for ever)",
}


@page(f"{_OF}/retention", Permission.BROWSE)
def show_retention(
    tenant: FromPath[str], visit: Visiting, preview: FromQuery[str] = ""
) -> Response[str]:
    """Show the policy and what it makes of each snapshot, or what another one would."""
    if not preview:
        return visit.show("retention.html", **_known(visit, tenant))
    asked = visit.request.query_params
    typed = {name: str(asked.get(name, "")) for name in (*FIELDS, "zone")}
    try:
        found = visit.ask(retention.preview_retention, tenant=tenant, **_values(typed))
    except errors.Error as failure:
        known = _known(visit, tenant) | {"typed": typed}
        return forms.again(visit, failure, "retention.html", **known)
    known = _known(visit, tenant, found) | {"is_preview": True}
    return visit.show("retention.html", **known)


@form_for(f"{_OF}/retention", retention.set_retention)
def set_retention(tenant: FromPath[str], visit: Visiting) -> Response[Any]:
    """Set the policy."""
    typed = {name: visit.value(name) for name in (*FIELDS, "zone")}
    try:
        data = forms.body(retention.NewRetention, **_values(typed))
        visit.ask(retention.set_retention, tenant=tenant, data=data)
    except errors.Error as failure:
        is_asked = isinstance(failure, errors.ApprovalNeeded)
        known = _known(visit, tenant) | {"typed": typed, "is_asked": is_asked}
        return forms.again(visit, failure, "retention.html", **known)
    return visit.lead(rendering.query(rendering.path("tenants", tenant, "retention"), saved=True))


@page(f"{_OF}/forget", Permission.RETENTION, is_sensitive=True)
def ask_forget(
    tenant: FromPath[str], visit: Visiting, snapshot: FromQuery[str] = ""
) -> Response[str]:
    """Ask whether a snapshot, or all that the policy does not keep, is to be forgotten."""
    return visit.show("forget.html", **_known(visit, tenant), snapshot=snapshot)


@form_for(f"{_OF}/forget", retention.forget)
def forget(tenant: FromPath[str], visit: Visiting) -> Response[Any]:
    """Forget it, and lead to the job."""
    snapshot = visit.value("snapshot")
    data = retention.Forgetting([snapshot] if snapshot else [], apply_policy=not snapshot)
    try:
        job = visit.ask(retention.forget, tenant=tenant, data=data)
    except errors.Error as failure:
        is_asked = isinstance(failure, errors.ApprovalNeeded)
        known = _known(visit, tenant) | {"snapshot": snapshot, "is_asked": is_asked}
        return forms.again(visit, failure, "forget.html", **known)
    return visit.lead(job_address(tenant, job["id"]))


@form_for("/jobs/prune", retention.prune)
def begin_prune(visit: Visiting) -> Response[Any]:
    """Begin to give back the space of what was forgotten, and lead to the job."""
    return visit.lead(job_address("", visit.ask(retention.prune)["id"]))


def _values(typed: Mapping[str, str]) -> dict[str, Any]:
    """Return the policy that was typed.

    Raises: ``UsageError``.
    """
    numbers = {
        name: forms.whole_number(typed[name].strip() or "0", label)
        for name, label in FIELDS.items()
    }
    return {**numbers, "zone": typed["zone"].strip() or "UTC"}


def _known(visit: Visit, tenant: str, found: Mapping[str, Any] | None = None) -> dict[str, Any]:
    shown = found or visit.ask(retention.show_retention, tenant=tenant)
    return {
        "tenant": tenant,
        "items": shown["items"][:_SHOWN],
        "more": max(0, len(shown["items"]) - _SHOWN),
        "forgets": shown["forgets"],
        "newest": next((one["id"] for one in shown["items"] if not one["capture"]), ""),
        "fields": FIELDS,
        "typed": {name: str(value) for name, value in shown["policy"].items()},
        "is_preview": False,
        "is_asked": False,
        "is_empty": not any(shown["policy"][name] for name in FIELDS),
        "is_saved": "saved" in visit.request.query_params,
        "zones": sorted(zoneinfo.available_timezones()),
    }


ROUTES = (show_retention, set_retention, ask_forget, forget, begin_prune)
