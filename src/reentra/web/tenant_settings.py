"""What is kept of a tenant: its schedule, its break-glass accounts, and its connection."""

from __future__ import annotations

import re
import zoneinfo
from typing import Any

from litestar import Response
from litestar.params import FromPath

from reentra import errors
from reentra.access import Permission
from reentra.api import tenants
from reentra.web import forms, rendering
from reentra.web.routing import form_for, page
from reentra.web.visiting import Visit, Visiting

_OF = "/tenants/{tenant:str}/settings"
_EVERY = re.compile(r"every ([0-9]+)(m|h)")


@page(_OF, Permission.BROWSE)
def show_settings(tenant: FromPath[str], visit: Visiting) -> Response[str]:
    """Show what is kept of a tenant."""
    return visit.show("tenant-settings.html", **_known(visit, tenant))


@form_for(f"{_OF}/schedule", tenants.set_schedule)
def set_schedule(tenant: FromPath[str], visit: Visiting) -> Response[Any]:
    """Set when the tenant is backed up."""
    try:
        data = forms.body(tenants.NewSchedule, rule=_rule(visit), zone=visit.value("zone").strip())
        visit.ask(tenants.set_schedule, tenant=tenant, data=data)
    except errors.Error as failure:
        typed = {
            name: visit.value(name) for name in ("plan", "count", "unit", "time", "cron", "zone")
        }
        known = _known(visit, tenant) | {"chosen": typed}
        return forms.again(visit, failure, "tenant-settings.html", **known)
    return visit.lead(rendering.query(rendering.path("tenants", tenant, "settings"), saved=True))


@form_for(f"{_OF}/break-glass", tenants.configure)
def set_break_glass(tenant: FromPath[str], visit: Visiting) -> Response[Any]:
    """Name the tenant's break-glass accounts."""
    accounts = visit.value("accounts")
    try:
        data = tenants.Safeguarded(break_glass=accounts.replace(",", " ").split())
        visit.ask(tenants.configure, tenant=tenant, data=data)
    except errors.Error as failure:
        known = _known(visit, tenant) | {"accounts": accounts}
        return forms.again(visit, failure, "tenant-settings.html", **known)
    return visit.lead(rendering.query(rendering.path("tenants", tenant, "settings"), saved=True))


@page(f"{_OF}/disconnect", Permission.DISCONNECT, is_sensitive=True)
def show_disconnect(tenant: FromPath[str], visit: Visiting) -> Response[str]:
    """Ask whether a tenant is to be forgotten, by its name."""
    return visit.show("disconnect.html", **_known(visit, tenant), is_asked=False)


@form_for(f"{_OF}/disconnect", tenants.disconnect)
def disconnect(tenant: FromPath[str], visit: Visiting) -> Response[Any]:
    """Forget a tenant's connection; its snapshots stay."""
    known = _known(visit, tenant)
    try:
        if visit.value("name") != tenant:
            raise errors.UsageError(
                "That is not the tenant's name; it is still connected.",
                hint=f"Type {tenant} to disconnect it.",
            )
        visit.ask(tenants.disconnect, tenant=tenant)
    except errors.ApprovalNeeded as failure:
        return forms.again(visit, failure, "disconnect.html", **known, is_asked=True)
    except errors.Error as failure:
        return forms.again(visit, failure, "disconnect.html", **known, is_asked=False)
    return visit.lead("/tenants")


def _rule(visit: Visit) -> str:
    """Return the rule that the fields of the form say."""
    plan = visit.value("plan")
    if plan == "every":
        return f"every {visit.value('count').strip()}{visit.value('unit')}"
    if plan == "daily":
        return f"daily {visit.value('time')}"
    if plan == "cron":
        return f"cron {visit.value('cron').strip()}"
    return "off"


def _chosen(rule: str, zone: str) -> dict[str, str]:
    """Return the fields of the form that say a rule."""
    word, _, rest = rule.partition(" ")
    chosen = {
        "plan": word, "count": "6", "unit": "h", "time": "02:30", "cron": "0 */4 * * *",
        "zone": zone,
    }  # fmt: skip
    if found := _EVERY.fullmatch(rule):
        chosen |= {"count": found[1], "unit": found[2]}
    elif word == "daily":
        chosen["time"] = rest
    elif word == "cron":
        chosen["cron"] = rest
    return chosen


def _known(visit: Visit, tenant: str) -> dict[str, Any]:
    schedule = visit.ask(tenants.schedule, tenant=tenant)  # which refuses an unknown name
    found = next(one for one in visit.ask(tenants.list_tenants)["items"] if one["name"] == tenant)
    return {
        "tenant": tenant,
        "about": found,
        "schedule": schedule,
        "chosen": _chosen(schedule["rule"], schedule["zone"]),
        "accounts": "\n".join(found["break_glass"]),
        "zones": sorted(zoneinfo.available_timezones()),
        "is_saved": "saved" in visit.request.query_params,
    }


ROUTES = (show_settings, set_schedule, set_break_glass, show_disconnect, disconnect)
