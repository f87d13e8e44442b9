""" "Compare": a whole tenant or a kind, between two snapshots or with the tenant as it is now."""

from __future__ import annotations

from typing import Any, Literal

from litestar import Response
from litestar.params import FromPath, FromQuery

from reentra import errors
from reentra.access import Permission
from reentra.api import finding, paging
from reentra.compare import Change
from reentra.directory.kinds import KINDS
from reentra.viewing import LIVE
from reentra.web import moments, naming, values
from reentra.web.routing import page
from reentra.web.visiting import Visit, Visiting

_PAGE = 50
_PAGE_OF_LIVE = 200  # each page reads the tenant anew: better more at once
_MOST_REFS = 500  # that a button restores at once


@page("/tenants/{tenant:str}/compare", Permission.BROWSE)
def show_comparison(
    tenant: FromPath[str],
    visit: Visiting,
    before: FromQuery[str] = "",
    after: FromQuery[str] = "",
    before_day: FromQuery[str] = "",
    after_day: FromQuery[str] = "",
    kind: FromQuery[list[str] | None] = None,
    id: FromQuery[list[str] | None] = None,  # noqa: A002  the field's name
    change: FromQuery[Literal["", "created", "modified", "deleted"]] = "",
    number: FromQuery[int] = 1,
    now: FromQuery[bool] = False,
) -> Response[Any]:
    """Show what differs: counts by kind, then each change, which opens to the leaf."""
    kinds = [one for one in kind or () if one]
    ids = [one for one in id or () if one]
    try:
        newest = moments.offered(visit, tenant, "latest")
    except errors.NotFound:
        return visit.show("compare.html", tenant=tenant, newest=None)
    before = moments.last_of_day(visit, tenant, before_day) if before_day else before
    after = moments.last_of_day(visit, tenant, after_day) if after_day else after
    if not before and len(newest["items"]) > 1:
        before = newest["items"][1]["id"]
    left = moments.offered(visit, tenant, before or "latest")
    before = left["around"]["id"]
    right = newest if after in ("", LIVE) else moments.offered(visit, tenant, after)
    after = after if after == LIVE else right["around"]["id"]
    later = after == LIVE and not now
    found = None
    if not later and before != after:
        found = _found(visit, tenant, before, after, kinds, ids, change, max(1, number))
    return visit.show(
        "compare.html",
        tenant=tenant,
        newest=newest,
        left=left,
        right=right,
        before=before,
        after=after,
        kinds=kinds,
        ids=ids,
        change=change,
        number=max(1, number),
        later=later,
        found=found,
        all_kinds=[(row.name, row.title) for row in KINDS.values()],
    )


def _found(
    visit: Visit,
    tenant: str,
    before: str,
    after: str,
    kinds: list[str],
    ids: list[str],
    change: str,
    number: int,
) -> dict[str, Any]:
    size = _PAGE_OF_LIVE if after == LIVE else _PAGE
    page_found = visit.ask(
        finding.list_changes,
        tenant=tenant,
        before=before,
        after=after,
        kind=kinds or None,
        id=ids or None,
        change=Change(change) if change else None,
        refs=True,
        cursor=paging.cursor_of((number - 1) * size),
        limit=size,
    )
    leaves = [leaf for item in page_found["items"] for leaf in item["properties"]]
    sides = [before] if after == LIVE else [before, after]
    counts = [
        (name, words.get("created", 0), words.get("modified", 0), words.get("deleted", 0))
        for name, words in page_found["counts"].items()
        if set(words) - {"equal"}
    ]
    return {
        **page_found,
        "counts": counts,
        "items": [
            {
                **item,
                "properties": [
                    {**leaf, "steps": values.steps_of(leaf["path"])} for leaf in item["properties"]
                ],
            }
            for item in page_found["items"]
        ],
        "names": naming.names_in(visit, tenant, sides, leaves),
        "pages": max(1, -(-page_found["total"] // size)),
        "refs": page_found["refs"] if len(page_found["refs"]) <= _MOST_REFS else [],
        "is_too_many": len(page_found["refs"]) > _MOST_REFS,
    }


ROUTES = (show_comparison,)
