"""The first page, and "Microsoft Entra ID Overview": what is protected, and what is not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from litestar import Response
from litestar.params import FromPath

from reentra.access import Permission
from reentra.api import jobs, snapshots, tenants
from reentra.web import rendering, signin
from reentra.web.routing import Needs, form_for, page
from reentra.web.snapshots import counts_of, days_between
from reentra.web.visiting import Visit, Visiting

_DAYS = 14
_MOST_KINDS = 10  # that the chart of kinds names


@page("/", Needs.SIGN_IN)
def first(visit: Visiting) -> Response[Any]:
    """Lead to what was wanted before a sign-in elsewhere, the one tenant somebody sees, or all."""
    wanted = signin.remembered(visit)
    if wanted != "/":
        return signin.forget(visit, visit.lead(wanted))
    known = visit.ask(tenants.list_tenants)["items"]
    if len(known) == 1:
        return visit.lead(rendering.path("tenants", known[0]["name"]))
    return visit.lead("/tenants")


@page("/tenants/{tenant:str}", Permission.BROWSE)
def show_overview(tenant: FromPath[str], visit: Visiting) -> Response[str]:
    """Show "Microsoft Entra ID Overview"."""
    found = visit.ask(snapshots.list_snapshots, tenant=tenant, limit=1)["items"]
    backups = visit.ask(jobs.list_jobs, tenant=tenant, task="backup", limit=5)["items"]
    newest = found[0] if found else None
    kinds: dict[str, Any] = newest["kinds"] if newest else {}
    counted = sorted(
        (
            (
                rendering.kind_title(name),
                item["objects"],
                rendering.path("tenants", tenant, "snapshots", newest["id"], "kinds", name),
            )
            for name, item in kinds.items()
            if newest
        ),
        key=lambda one: (-one[1], one[0]),
    )
    return visit.show(
        "overview.html",
        tenant=tenant,
        newest=newest,
        schedule=visit.ask(tenants.schedule, tenant=tenant),
        last_backup=next((job for job in backups if job["finished_at"]), None),
        open_backup=next((job for job in backups if not job["finished_at"]), None),
        objects=sum(item["objects"] for item in kinds.values()),
        kinds=counted,
        charted=[one for one in counted if one[1]][:_MOST_KINDS],
        days=_per_day(visit, tenant),
        not_covered=_not_covered(visit, tenant) if newest else [],
        recent=visit.ask(jobs.list_jobs, tenant=tenant, limit=5)["items"],
    )


@page("/tenants/{tenant:str}/storage", Permission.BROWSE)
def show_storage(tenant: FromPath[str], visit: Visiting) -> Response[str]:
    """Show what the repository takes; asked for after the page, because a store is slow to list."""
    return visit.show(
        "storage.html", tenant=tenant, storage=visit.ask(snapshots.show_storage, tenant=tenant)
    )


@form_for("/tenants/{tenant:str}/backups", tenants.back_up)
def back_up_now(tenant: FromPath[str], visit: Visiting) -> Response[Any]:
    """Begin a backup, and lead to its job."""
    job = visit.ask(tenants.back_up, tenant=tenant, data=tenants.NewBackup())
    return visit.lead(rendering.path("tenants", tenant, "jobs", job["id"]))


def _per_day(visit: Visit, tenant: str) -> list[tuple[dt.date, dict[str, int]]]:
    """Return what changed on each of the last days of the reader's zone, oldest first."""
    today = visit.serving.application.clock.now().astimezone(visit.zone).date()
    first = today - dt.timedelta(days=_DAYS - 1)
    found = days_between(visit, tenant, first, today)["items"]
    known = {one["day"]: one for one in found}
    dates = [first + dt.timedelta(days=ahead) for ahead in range(_DAYS)]
    return [(date, counts_of(known.get(date.isoformat()))) for date in dates]


def _not_covered(visit: Visit, tenant: str) -> list[tuple[str, Mapping[str, Any]]]:
    found = visit.ask(tenants.coverage, tenant=tenant)["coverage"]
    return [(name, item) for name, item in sorted(found.items()) if item["status"] != "complete"]


ROUTES = (first, show_overview, show_storage, back_up_now)
