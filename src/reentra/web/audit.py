"""The audit trail: who did what, and whether the trail is whole."""

from __future__ import annotations

import datetime as dt
from typing import Any

from litestar import Response

from reentra import errors
from reentra.access import Permission
from reentra.api import people
from reentra.web import forms, rendering
from reentra.web.routing import page
from reentra.web.visiting import Visit, Visiting

_ON_A_PAGE = 50


@page("/audit", Permission.AUDIT)
def show_trail(visit: Visiting) -> Response[str]:
    """List records of the trail, newest first."""
    asked = visit.request.query_params
    filters = {
        name: str(asked.get(name, "")).strip()
        for name in ("who", "tenant_name", "action", "since", "until")
    }
    known: dict[str, Any] = {"filters": filters, "records": [], "more": ""}
    try:
        found = visit.ask(
            people.list_audit,
            who=filters["who"],
            tenant_name=filters["tenant_name"],
            action=filters["action"],
            since=_moment(visit, filters["since"]),
            until=_moment(visit, filters["until"], is_end=True),
            cursor=str(asked.get("cursor", "")),
            limit=_ON_A_PAGE,
        )
    except errors.UsageError as failure:
        return forms.again(visit, failure, "audit.html", **known)
    known["records"] = found["items"]
    if found["next"]:
        known["more"] = rendering.query("/audit", **filters, cursor=found["next"])
    return visit.show("audit.html", **known)


@page("/audit/verification", Permission.AUDIT)
def show_verification(visit: Visiting) -> Response[str]:
    """Verify that no record was changed or removed, and say what was found."""
    head = str(visit.request.query_params.get("head", "")).strip()
    return visit.show(
        "verification.html", head=head, found=visit.ask(people.verify_audit, head=head)
    )


def _moment(visit: Visit, typed: str, *, is_end: bool = False) -> str:
    """Return a time that was typed in the reader's zone as the API takes it.

    A minute that is the end of a span is meant whole.
    """
    if not typed:
        return ""
    try:
        found = dt.datetime.fromisoformat(typed)
    except ValueError:
        return typed  # the API says what is wrong with it
    if found.tzinfo is None:
        found = found.replace(tzinfo=visit.zone)
    if is_end and not found.second:
        found += dt.timedelta(seconds=59, microseconds=999999)
    return found.astimezone(dt.UTC).isoformat()


ROUTES = (show_trail, show_verification)
