"""Which snapshot is looked at: the dropdown of those around it, and the way to another day."""

from __future__ import annotations

import datetime as dt
from typing import Any

from litestar import Response
from litestar.params import FromPath, FromQuery

from reentra import clock as clocks
from reentra import errors
from reentra.access import Permission
from reentra.api import snapshots
from reentra.web import rendering
from reentra.web.routing import page
from reentra.web.visiting import Visit, Visiting

_OFFERED = 120  # some days of hourly snapshots


@page("/tenants/{tenant:str}/snapshots/choose", Permission.BROWSE)
def choose_snapshot(
    tenant: FromPath[str],
    visit: Visiting,
    snapshot: FromQuery[str] = "",
    day: FromQuery[str] = "",
    kind: FromQuery[str] = "",
    id: FromQuery[str] = "",  # noqa: A002  the field's name
    tab: FromQuery[str] = "",
) -> Response[Any]:
    """Lead to the same place in the snapshot that was chosen, or in the last one of a day."""
    if day:
        snapshot = last_of_day(visit, tenant, day)
    return visit.lead(place(tenant, snapshot or "latest", kind, id, tab))


def place(tenant: str, snapshot: str, kind: str = "", object_id: str = "", tab: str = "") -> str:
    """Return the address of a snapshot, of a kind in it, or of an object's tab."""
    parts = ["tenants", tenant, "snapshots", snapshot]
    if kind:
        parts += ["kinds", kind]
        if object_id:
            parts += ["objects", object_id]
            if tab:
                parts.append(tab)
    return rendering.path(*parts)


def offered(visit: Visit, tenant: str, around: str, **differing: str) -> dict[str, Any]:
    """Return the snapshots that a dropdown offers around one, and the newest when it is ``far``.

    ``kind`` and ``id`` narrow them to those in which that object differs.
    """
    found: dict[str, Any] = visit.ask(
        snapshots.list_moments, tenant=tenant, around=around, limit=_OFFERED, **differing
    )
    is_near = any(item["id"] == found["newest"]["id"] for item in found["items"])
    return {**found, "far": [] if is_near or differing else [found["newest"]]}


def last_of_day(visit: Visit, tenant: str, day: str) -> str:
    """Return the newest snapshot until the end of a day in the reader's zone, or the oldest.

    Raises: ``UsageError``.
    """
    try:
        begun = dt.datetime.combine(dt.date.fromisoformat(day), dt.time(), visit.zone)
    except (ValueError, OverflowError) as failure:
        raise errors.UsageError(f"{day!r} is no day.", hint="Write it as 2026-11-23.") from failure
    ended = begun + dt.timedelta(days=1, microseconds=-1)
    try:
        found = visit.ask(snapshots.list_moments, tenant=tenant, around=clocks.iso(ended), limit=1)
    except errors.NotFound:
        oldest = visit.ask(snapshots.list_moments, tenant=tenant, limit=1)["oldest"]
        return str(oldest["id"])
    return str(found["around"]["id"])


ROUTES = (choose_snapshot,)
