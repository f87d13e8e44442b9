"""Tenants: all of them with how they stand, and connecting one more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Response

from reentra import errors
from reentra.access import Permission
from reentra.api import jobs, snapshots, tenants
from reentra.directory import permissions
from reentra.directory.kinds import KINDS
from reentra.directory.relationships import RELATIONSHIPS
from reentra.web import forms, rendering
from reentra.web.routing import Needs, form_for, page
from reentra.web.visiting import Visit, Visiting

_ON_A_PAGE = 25  # each line asks for a backup and a snapshot
_CLOUDS = {
    "global": "Global (most tenants)", "usgov": "US Government", "usgovdod": "US Government DoD",
    "china": "China (21Vianet)",
}  # fmt: skip


@page("/tenants", Needs.SIGN_IN)
def show_tenants(visit: Visiting) -> Response[str]:
    """List the tenants that somebody has a role for."""
    asked = visit.request.query_params
    text = str(asked.get("text", "")).strip()
    found = visit.ask(tenants.list_tenants)["items"]
    chosen = [one for one in found if text.casefold() in one["name"].casefold()]
    number = str(asked.get("page", "1"))
    first = _ON_A_PAGE * (int(number) - 1 if number.isascii() and number.isdigit() else 0)
    first = first if 0 <= first < len(chosen) else 0
    shown = chosen[first : first + _ON_A_PAGE]
    step = first // _ON_A_PAGE + 1
    return visit.show(
        "tenants.html",
        text=text,
        all=len(found),
        chosen=len(chosen),
        first=first,
        lines=[{**one, **_standing(visit, one["name"])} for one in shown],
        before=rendering.query("/tenants", text=text, page=step - 1) if first else "",
        after=rendering.query("/tenants", text=text, page=step + 1)
        if first + _ON_A_PAGE < len(chosen)
        else "",
    )


@page("/connect", Permission.CONNECT)
def show_connect(visit: Visiting) -> Response[str]:
    """Show the form that connects a tenant, and what it needs there."""
    return visit.show("connect.html", **_needed())


@form_for("/connect", tenants.connect)
def connect(visit: Visiting) -> Response[Any]:
    """Connect a tenant, and lead to what can be set of it."""
    typed = {
        name: visit.value(name).strip() for name in ("name", "tenant_id", "client_id", "cloud")
    }
    try:
        data = forms.body(tenants.NewTenant, **typed, client_secret=visit.value("client_secret"))
        made = visit.ask(tenants.connect, data=data)
    except errors.Error as failure:
        return forms.again(visit, failure, "connect.html", **_needed())
    return visit.lead(rendering.path("tenants", made["name"]))


def _standing(visit: Visit, tenant: str) -> dict[str, Any]:
    if not visit.may(Permission.BROWSE, tenant):
        return {"last": None, "newest": None, "not_covered": None}
    backups = visit.ask(jobs.list_jobs, tenant=tenant, task="backup", limit=1)["items"]
    found = visit.ask(snapshots.list_snapshots, tenant=tenant, limit=1)["items"]
    return {
        "last": backups[0] if backups else None,
        "newest": found[0] if found else None,
        "not_covered": _not_covered(visit, tenant) if found else None,
    }


def _not_covered(visit: Visit, tenant: str) -> int:
    found: Mapping[str, Any] = visit.ask(tenants.coverage, tenant=tenant)["coverage"]
    return sum(item["status"] != "complete" for item in found.values())


def _needed() -> dict[str, Any]:
    needs = permissions.needs(KINDS.values(), RELATIONSHIPS.values(), None)
    return {
        "clouds": _CLOUDS,
        "backup": [one for one in needs if one.for_backup],
        "restore": [one for one in needs if one.for_restore],
    }


ROUTES = (show_tenants, show_connect, connect)
