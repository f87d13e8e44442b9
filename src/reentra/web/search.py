"""Search over all snapshots: the prompt, and what was found."""

from __future__ import annotations

import datetime as dt
from typing import Any

from litestar import Response
from litestar.params import FromPath

from reentra import clock as clocks
from reentra import errors
from reentra.access import Permission
from reentra.api import finding
from reentra.directory.kinds import KINDS
from reentra.web import rendering
from reentra.web.routing import page
from reentra.web.visiting import Visit, Visiting

_AT_ONCE = 50
_FIELDS = ("text", "kind", "from", "to", "deleted", "cursor")
_MINUTE = dt.timedelta(minutes=1)
_DAY = dt.timedelta(days=1)
_LEAST = dt.timedelta(microseconds=1)


@page("/tenants/{tenant:str}/search", Permission.BROWSE)
def show_search(tenant: FromPath[str], visit: Visiting) -> Response[str]:
    """Show the prompt, and the findings once something was asked."""
    asked = {name: visit.given(name) for name in _FIELDS}
    kinds = visit.all_given("kind")
    found, failure = None, None
    if not visit.is_dialog and any(name in visit.request.query_params for name in _FIELDS):
        try:
            found = _found(visit, tenant, asked, kinds)
        except errors.UsageError as mistake:
            failure = mistake
    status = 200 if failure is None else failure.http_status
    return visit.show(
        "search.html",
        status=status,
        tenant=tenant,
        asked=asked,
        chosen_kinds=kinds,
        kinds=sorted(KINDS, key=rendering.kind_title),
        found=found,
        failure=failure,
        address=rendering.path("tenants", tenant, "search"),
    )


def _found(visit: Visit, tenant: str, asked: dict[str, str], kinds: list[str]) -> Any:
    return visit.ask(
        finding.search,
        tenant=tenant,
        text=asked["text"].strip(),
        kind=kinds or None,
        modified_from=_moment(visit, "From", asked["from"]),
        modified_to=_moment(visit, "To", asked["to"], is_end=True),
        deleted_only=bool(asked["deleted"]),
        cursor=asked["cursor"],
        limit=_AT_ONCE,
    )


def _moment(visit: Visit, name: str, text: str, *, is_end: bool = False) -> str:
    """Return a time of the reader's zone as UTC; an end holds its whole minute, or its day."""
    if not text:
        return ""
    try:
        local = dt.datetime.fromisoformat(text)
    except ValueError as failure:
        raise errors.UsageError(
            f"“{name}” of “Time Modified” is {text!r}, which is no date or time.",
            hint="Write it as 2026-11-23 or 2026-11-23T14:00.",
        ) from failure
    if local.tzinfo is None:
        local = local.replace(tzinfo=visit.zone)
    if is_end:
        local += (_DAY if len(text) == len("2026-11-23") else _MINUTE) - _LEAST
    return clocks.iso(local.astimezone(dt.UTC))


ROUTES = (show_search,)
