"""Search over all snapshots, and comparisons of two states."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import orjson
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from reentra import clock as clocks
from reentra import errors, viewing
from reentra.access import Permission
from reentra.api import paging
from reentra.api.documents import (
    ChangesPage,
    HitsPage,
    IncompleteDocument,
    ObjectChangeDocument,
)
from reentra.api.routing import route
from reentra.api.serving import Served, Serving
from reentra.catalog import SearchQuery
from reentra.compare import Change
from reentra.directory.selection import Selection
from reentra.viewing import asked_moment

_TAGS = ("finding",)
_LINES_AT_ONCE = 100
_MOST_REFS = 5_000
_WAS_THERE = (Change.MODIFIED, Change.DELETED)
Many = FromQuery[list[str] | None]


@route(
    "GET", "/tenants/{tenant:str}/search", Permission.BROWSE, tags=_TAGS,
    summary="Search over all snapshots",
)  # fmt: skip
def search(
    tenant: FromPath[str],
    serving: Served,
    text: FromQuery[str] = "",
    kind: Many = None,
    modified_from: FromQuery[str] = "",
    modified_to: FromQuery[str] = "",
    deleted_only: FromQuery[bool] = False,
    cursor: FromQuery[str] = "",
    limit: FromQuery[int] = 100,
) -> HitsPage:
    """Find objects by changes in their properties, not in relationships; newest version first.

    One that a restore had to create anew is found under each of its ids; ``id_now`` is the last. A
    bare date as ``modified_to`` means the end of that day.
    """
    tenant_id = serving.synced(tenant)
    found = serving.application.catalog.search(
        tenant_id,
        SearchQuery(
            text=text,
            kinds=tuple(sorted(Selection.parse(kind or ()).kinds)),
            modified_from=asked_moment("modified_from", modified_from),
            modified_to=asked_moment("modified_to", modified_to, is_end=True),
            deleted_only=deleted_only,
            limit=paging.limited(limit),
            cursor=cursor,
        ),
    )
    identity = viewing.identity_of(serving.application, tenant_id)
    return {
        "items": [
            {
                "kind": hit.kind,
                "id": hit.id,
                "id_now": identity.current(hit.id),
                "display_name": hit.name,
                "snapshot": hit.snapshot_id,
                "snapshot_at": clocks.iso(hit.snapshot_at),
                "modified_at": clocks.iso(hit.modified_at),
                "deleted": hit.is_deleted,
            }
            for hit in found.hits
        ],
        "next": found.cursor,
    }


@route(
    "GET", "/tenants/{tenant:str}/comparison", Permission.BROWSE, tags=_TAGS,
    media_type="application/x-ndjson", summary="What differs between two snapshots, or now",
)  # fmt: skip
def compare(
    tenant: FromPath[str],
    serving: Served,
    before: FromQuery[str],
    after: FromQuery[str],
    kind: Many = None,
    id: Many = None,  # noqa: A002  the parameter's name
    all: FromQuery[bool] = False,  # noqa: A002
) -> Stream:
    """Stream one change a line, as JSON; the last line holds ``end`` with counts, or ``error``.

    ``before`` and ``after`` are an id, its beginning, ``latest`` or a time; ``after`` may be
    ``live``.
    """
    serving.synced(tenant)
    kinds, ids = tuple(kind or ()), tuple(id or ())
    Selection.parse(kinds, [one for one in ids if "/" in one])
    lines = _lines(serving, tenant, before, after, kinds, ids, is_all=all)
    # Looked at before the answer begins: what is wrong with the question is an error of its own.
    first = next(lines, b"")

    def chunks() -> Iterator[bytes]:
        yield first
        yield from lines

    return Stream(chunks(), media_type="application/x-ndjson")


@route(
    "GET", "/tenants/{tenant:str}/changes", Permission.BROWSE, tags=_TAGS,
    summary="What differs between two snapshots, or now, in pages",
)  # fmt: skip
def list_changes(
    tenant: FromPath[str],
    serving: Served,
    before: FromQuery[str],
    after: FromQuery[str],
    kind: Many = None,
    id: Many = None,  # noqa: A002  the parameter's name
    change: FromQuery[Change | None] = None,
    all: FromQuery[bool] = False,  # noqa: A002
    refs: FromQuery[bool] = False,
    cursor: FromQuery[str] = "",
    limit: FromQuery[int] = 100,
) -> ChangesPage:
    """Return the same comparison in pages: by kind, then by name. ``change`` keeps one sort.

    Every page of a comparison with ``live`` reads the tenant anew. ``refs`` also names what was
    there before, all of it when it is no more than 5,000.
    """
    serving.synced(tenant)
    kinds, ids = tuple(kind or ()), tuple(id or ())
    Selection.parse(kinds, [one for one in ids if "/" in one])
    offset, limit = paging.position_of(cursor, 0), paging.limited(limit)
    with serving.visiting() as application:
        found = viewing.comparison(
            application, tenant, before, after, kinds, ids, is_all=all, kept=serving.comparisons
        )
        told = [
            entry
            for entry in found.ordered()
            if (change is None or entry.change is change) and (ids or _is_of(entry.kind, kinds))
        ]
        page = told[offset : offset + limit]
        items = [cast("ObjectChangeDocument", one.to_json()) for one in found.told(page)]
        restorable = [entry for entry in told if entry.change in _WAS_THERE] if refs else []
        counts = {kind: words for kind, words in found.counts.items() if _is_of(kind, kinds) or ids}
        after_page = offset + limit
        return {
            "before": found.before,
            "after": found.after,
            "counts": counts,
            "incomplete": [cast("IncompleteDocument", one.to_json()) for one in found.incomplete],
            "total": len(told),
            "items": items,
            "refs": [f"{one.kind}/{one.id}" for one in restorable]
            if len(restorable) <= _MOST_REFS
            else [],
            "next": paging.cursor_of(after_page) if after_page < len(told) else "",
        }


def _is_of(kind: str, kinds: tuple[str, ...]) -> bool:
    return not kinds or kind in kinds


def _lines(
    serving: Serving,
    tenant: str,
    before: str,
    after: str,
    kinds: tuple[str, ...],
    ids: tuple[str, ...],
    *,
    is_all: bool,
) -> Iterator[bytes]:
    counts: dict[str, dict[str, int]] = {}
    with serving.visiting() as application:
        found = viewing.comparison(application, tenant, before, after, kinds, ids, is_all=is_all)
        yield b""
        try:
            held: list[bytes] = []
            for change in found:
                if kinds and not ids and change.kind not in kinds:
                    continue
                words = counts.setdefault(change.kind, {})
                words[change.change.value] = words.get(change.change.value, 0) + 1
                held.append(orjson.dumps(change.to_json()) + b"\n")
                if len(held) == _LINES_AT_ONCE:
                    yield b"".join(held)
                    held = []
            end = {
                "before": found.before,
                "after": found.after,
                "counts": counts,
                "incomplete": [
                    {"name": part.name, "state": part.state, **part.coverage.to_json()}
                    for part in found.incomplete
                ],
            }
            yield b"".join(held) + orjson.dumps({"end": end}) + b"\n"
        except errors.Error as failure:
            yield orjson.dumps({"error": failure.to_json()}) + b"\n"


ROUTES = (search, compare, list_changes)
