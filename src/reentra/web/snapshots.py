"""The snapshots of a tenant as a calendar: a month of days, and a day's snapshots."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Mapping
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

WORDS = ("added", "changed", "deleted")
_AT_ONCE = 50


@page("/tenants/{tenant:str}/snapshots", Permission.BROWSE)
def show_snapshots(
    tenant: FromPath[str],
    visit: Visiting,
    month: FromQuery[str] = "",
    day: FromQuery[str] = "",
    cursor: FromQuery[str] = "",
) -> Response[str]:
    """Show a month; without one that of the newest snapshot, with its newest day opened."""
    today = visit.serving.application.clock.now().astimezone(visit.zone).date()
    chosen = _month(month or day[:7]) if month or day else today.replace(day=1)
    found = days_between(visit, tenant, chosen, _last_of(chosen))
    months: dict[str, int] = found["months"]
    if not month and not day and not found["items"] and months:
        chosen = _month(max(months))
        found = days_between(visit, tenant, chosen, _last_of(chosen))
    days = {dt.date.fromisoformat(one["day"]): one for one in found["items"]}
    opened = _day(day) if day else max(days, default=None)
    here = rendering.path("tenants", tenant, "snapshots")
    return visit.show(
        "snapshots.html",
        tenant=tenant,
        address=here,
        chosen=chosen,
        weeks=calendar.Calendar().monthdatescalendar(chosen.year, chosen.month),
        days=days,
        today=today,
        opened=opened,
        listed=_listed(visit, tenant, opened, cursor) if opened in days else None,
        day_cursor=cursor,
        counted=[(date, counts_of(days.get(date))) for date in _dates(chosen, _last_of(chosen))],
        totals={word: sum(one[word] for one in days.values()) for word in ("snapshots", *WORDS)},
        months=[
            (dt.date.fromisoformat(f"{name}-01"), count)
            for name, count in sorted(months.items(), reverse=True)
        ],
        earlier=max((_month(one) for one in months if _month(one) < chosen), default=None),
        later=min((_month(one) for one in months if _month(one) > chosen), default=None),
    )


def days_between(visit: Visit, tenant: str, first: dt.date, last: dt.date) -> Mapping[str, Any]:
    """Return the days that have snapshots, in the reader's zone."""
    found: Mapping[str, Any] = visit.ask(
        snapshots.list_days,
        tenant=tenant,
        first=first.isoformat(),
        last=last.isoformat(),
        zone=str(visit.zone),
    )
    return found


def counts_of(day: Mapping[str, Any] | None) -> dict[str, int]:
    """Return what changed on a day, as a chart wants it."""
    return {word: day[word] if day else 0 for word in WORDS}


def _listed(visit: Visit, tenant: str, day: dt.date | None, cursor: str) -> Mapping[str, Any]:
    assert day is not None
    begin = dt.datetime.combine(day, dt.time(), visit.zone)
    end = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), visit.zone)
    found: Mapping[str, Any] = visit.ask(
        snapshots.list_snapshots,
        tenant=tenant,
        taken_from=clocks.iso(begin),
        taken_before=clocks.iso(end),
        cursor=cursor,
        limit=_AT_ONCE,
    )
    return {
        "items": [
            {
                **item,
                "objects": sum(kind["objects"] for kind in item["kinds"].values()),
                "changed_kinds": [
                    (name, kind)
                    for name, kind in item["kinds"].items()
                    if item["parent"] and any(kind[word] for word in WORDS)
                ],
                "not_whole": sorted(
                    name for name, kind in item["kinds"].items() if kind["coverage"] != "complete"
                ),
            }
            for item in found["items"]
        ],
        "next": found["next"],
    }


def _dates(first: dt.date, last: dt.date) -> list[dt.date]:
    return [first + dt.timedelta(days=ahead) for ahead in range((last - first).days + 1)]


def _month(text: str) -> dt.date:
    return _parsed(f"{text}-01", "month", text, "2026-11")


def _day(text: str) -> dt.date:
    return _parsed(text, "day", text, "2026-11-23")


def _parsed(iso: str, what: str, text: str, example: str) -> dt.date:
    try:
        return dt.date.fromisoformat(iso)
    except ValueError as failure:
        raise errors.UsageError(
            f"{text!r} is no {what}.", hint=f"Write it as {example}."
        ) from failure


def _last_of(month: dt.date) -> dt.date:
    return month.replace(day=calendar.monthrange(month.year, month.month)[1])


ROUTES = (show_snapshots,)
