"""Snapshots, their kinds, and the objects in them."""

from __future__ import annotations

import bisect
import datetime as dt
import zoneinfo
from collections import Counter
from collections.abc import Sequence
from typing import Literal, cast

from litestar.params import FromPath, FromQuery

from reentra import clock as clocks
from reentra import errors, viewing
from reentra.access import Permission
from reentra.api import paging
from reentra.api.documents import (
    CaptureDocument,
    CapturesPage,
    DayDocument,
    DaysDocument,
    KindDocument,
    LinkedDocument,
    MomentDocument,
    MomentsDocument,
    ObjectDocument,
    ObjectsPage,
    SelectedDocument,
    ShownSnapshotDocument,
    SnapshotDocument,
    SnapshotsPage,
    StorageDocument,
    VersionsDocument,
    coverage_documents,
)
from reentra.api.routing import route
from reentra.api.serving import Served
from reentra.catalog import Catalog, SnapshotSummary
from reentra.directory.selection import Selection
from reentra.snapshots.info import SnapshotStatus
from reentra.viewing import asked_moment, ensure_kind

_TAGS = ("snapshots",)
_OF = "/tenants/{tenant:str}/snapshots"
MOST_DAYS = 100
_MOST_NAMES = 200


@route("GET", _OF, Permission.BROWSE, tags=_TAGS, summary="A tenant's snapshots, newest first")
def list_snapshots(
    tenant: FromPath[str],
    serving: Served,
    taken_from: FromQuery[str] = "",
    taken_before: FromQuery[str] = "",
    cursor: FromQuery[str] = "",
    limit: FromQuery[int] = 100,
) -> SnapshotsPage:
    """List snapshots with their counts by kind: all, or those taken between two moments."""
    tenant_id = serving.synced(tenant)
    limit = paging.limited(limit)
    before = paging.position_of(cursor, 0) if cursor else None
    found = serving.application.catalog.list_snapshots(
        tenant_id,
        before=before,
        limit=limit,
        taken_from=asked_moment("taken_from", taken_from),
        taken_before=asked_moment("taken_before", taken_before),
    )
    more = paging.cursor_of(found[-1].ordinal) if len(found) == limit else ""
    return {"items": [_document(item) for item in found], "next": more}


@route(
    "GET", "/tenants/{tenant:str}/days", Permission.BROWSE, tags=_TAGS,
    summary="Snapshots and changes per day",
)  # fmt: skip
def list_days(
    tenant: FromPath[str],
    serving: Served,
    first: FromQuery[str],
    last: FromQuery[str],
    zone: FromQuery[str] = "UTC",
) -> DaysDocument:
    """Sum up the snapshots of each day between two, both included, of a time zone."""
    begin, end = _day("first", first), _day("last", last)
    if not 0 <= (end - begin).days < MOST_DAYS:
        raise errors.UsageError(
            f"From {first} to {last} are not 1 to {MOST_DAYS} days.", hint="Ask for fewer at once."
        )
    found_zone = _zone(zone)
    tenant_id = serving.synced(tenant)
    catalog = serving.application.catalog
    days: dict[str, DayDocument] = {}
    for item in catalog.list_changes(
        tenant_id,
        dt.datetime.combine(begin, dt.time(), found_zone),
        dt.datetime.combine(end + dt.timedelta(days=1), dt.time(), found_zone),
    ):
        name = item.created_at.astimezone(found_zone).date().isoformat()
        day = days.setdefault(name, _no_changes(name))
        day["snapshots"] += 1
        day["partial"] += item.status is not SnapshotStatus.COMPLETE
        day["review"] += item.needs_review
        if item.parent is not None:
            day["added"] += item.added
            day["changed"] += item.changed
            day["deleted"] += item.deleted
    return {
        "zone": zone,
        "items": list(days.values()),
        "months": _months(catalog, tenant_id, found_zone),
    }


@route(
    "GET", "/tenants/{tenant:str}/moments", Permission.BROWSE, tags=_TAGS,
    summary="When snapshots were taken, around one of them",
)  # fmt: skip
def list_moments(
    tenant: FromPath[str],
    serving: Served,
    around: FromQuery[str] = "latest",
    kind: FromQuery[str] = "",
    id: FromQuery[str] = "",  # noqa: A002  the parameter's name
    limit: FromQuery[int] = 100,
) -> MomentsDocument:
    """List the snapshots nearest to one, half of them before and half after it, newest first.

    With ``kind`` and ``id`` only those in which that object is not as it is in ``around``.
    """
    tenant_id = serving.synced(tenant)
    limit = paging.limited(limit)
    catalog = serving.application.catalog
    if kind or id:
        ensure_kind(kind)
    with catalog.one_moment(tenant_id):
        centre = catalog.resolve_snapshot(tenant_id, around)
        count = catalog.count_snapshots(tenant_id)
        offered: Sequence[int] = range(count)
        if kind or id:
            offered = catalog.differing_places(tenant_id, kind, id, centre.id)
        middle = bisect.bisect_left(offered, centre.ordinal)
        first = max(0, min(middle - limit // 2, len(offered) - limit))
        newest, oldest = catalog.list_moments(tenant_id, [count - 1, 0])
        shown = catalog.list_moments(tenant_id, [*reversed(offered[first : first + limit])])
    return {
        "around": _moment(centre.id, centre.created_at),
        "newest": _moment(*newest),
        "oldest": _moment(*oldest),
        "total": len(offered),
        "items": [_moment(*one) for one in shown],
    }


@route("GET", _OF + "/{snapshot:str}", Permission.BROWSE, tags=_TAGS, summary="One snapshot")
def show_snapshot(
    tenant: FromPath[str], snapshot: FromPath[str], serving: Served
) -> ShownSnapshotDocument:
    """Return one snapshot by id, unique beginning, ``latest`` or a time: its kinds and coverage."""
    seen = viewing.snapshot_of(serving.application, serving.synced(tenant), snapshot)
    return {
        **_document(seen.summary),
        "coverage": coverage_documents(seen.summary.info.coverage()),
    }


@route(
    "GET", _OF + "/{snapshot:str}/selection", Permission.BROWSE, tags=_TAGS,
    summary="What a selection is, in names",
)  # fmt: skip
def show_selection(
    tenant: FromPath[str],
    snapshot: FromPath[str],
    serving: Served,
    kind: FromQuery[list[str] | None] = None,
    id: FromQuery[list[str] | None] = None,  # noqa: A002  the parameter's name
) -> SelectedDocument:
    """Return what is selected by ``kind`` and by ``id`` (``kind/GUID``); neither is everything."""
    seen = viewing.snapshot_of(serving.application, serving.synced(tenant), snapshot)
    selection = Selection.parse(kind or (), id or ())
    counts = {name: found.objects for name, found in seen.summary.info.kinds.items()}
    names = seen.state.load_names(sorted({ref.id for ref in selection.refs}))
    refs = sorted(selection.refs, key=lambda ref: (ref.kind, names.get(ref.id, ("", ""))[1]))
    there = [ref for ref in refs if names.get(ref.id, ("", ""))[0] == ref.kind]
    return {
        "snapshot": seen.snapshot_id,
        "created_at": clocks.iso(seen.summary.created_at),
        "kinds": [
            {"kind": name, "objects": count}
            for name, count in sorted(counts.items())
            if selection.takes_whole(name)
        ],
        "objects": [
            {"kind": ref.kind, "id": ref.id, "display_name": names[ref.id][1] or ref.id}
            for ref in there[:_MOST_NAMES]
        ],
        "missing": sorted(str(ref) for ref in set(refs) - set(there)),
        "total": len(refs),
    }


@route(
    "GET", _OF + "/{snapshot:str}/kinds/{kind:str}/objects", Permission.BROWSE, tags=_TAGS,
    summary="The objects of a kind",
)  # fmt: skip
def list_objects(
    tenant: FromPath[str],
    snapshot: FromPath[str],
    kind: FromPath[str],
    serving: Served,
    text: FromQuery[str] = "",
    sort: FromQuery[Literal["name", "modified"]] = "name",
    descending: FromQuery[bool] = False,
    property: FromQuery[list[str] | None] = None,  # noqa: A002  the parameter's name
    cursor: FromQuery[str] = "",
    limit: FromQuery[int] = 100,
) -> ObjectsPage:
    """List the objects of a kind, those whose name, mail or id holds ``text``.

    Each comes with the values of ``property``, which may be said several times.
    """
    ensure_kind(kind)
    tenant_id = serving.synced(tenant)
    catalog = serving.application.catalog
    (offset, last), limit = paging.place_of(cursor), paging.limited(limit)
    with catalog.one_moment(tenant_id):
        summary = catalog.resolve_snapshot(tenant_id, snapshot)
        found = catalog.list_page(
            tenant_id, summary.id, kind, text=text, sort=sort, descending=descending,
            offset=offset, limit=limit, after=last,
        )  # fmt: skip
        bodies = {}
        if property:
            state = catalog.state(tenant_id, summary.id)
            bodies = state.load_objects(kind, [row.id for row in found.rows])
    after = offset + len(found.rows)
    return {
        "snapshot": summary.id,
        "kind": kind,
        "total": found.total,
        "items": [
            {
                "id": row.id,
                "display_name": row.name,
                "modified_at": clocks.iso(row.modified_at),
                "properties": {
                    name: bodies[row.id].properties[name]
                    for name in property or ()
                    if row.id in bodies and name in bodies[row.id].properties
                },
            }
            for row in found.rows
        ],
        "next": paging.cursor_of(after, found.last) if after < found.total else "",
    }


@route(
    "GET", _OF + "/{snapshot:str}/kinds/{kind:str}/objects/{object_id:str}", Permission.BROWSE,
    tags=_TAGS, summary="One object with its relationships",
)  # fmt: skip
def show_object(
    tenant: FromPath[str],
    snapshot: FromPath[str],
    kind: FromPath[str],
    object_id: FromPath[str],
    serving: Served,
    relationships: FromQuery[bool] = True,
) -> ObjectDocument:
    """Return an object's properties and links, with the names of what it is linked to.

    One that a restore had to create anew is found under each of its ids, and told with its own.
    ``relationships=false`` leaves the links out: an object may have very many of them.
    """
    ensure_kind(kind)
    tenant_id = serving.synced(tenant)
    with serving.application.catalog.one_moment(tenant_id):
        seen = viewing.snapshot_of(serving.application, tenant_id, snapshot)
        identity = viewing.identity_of(serving.application, tenant_id)
        found = viewing.known_as(seen.state, identity, kind, object_id)
        if found is None:
            raise errors.NotFound(
                f"Snapshot {seen.snapshot_id} has no {kind} {object_id}.",
                hint="Search finds objects over all snapshots.",
            )
        links = viewing.links_of(seen.state, kind, found.id) if relationships else []
    return {
        "snapshot": seen.snapshot_id,
        "kind": kind,
        "id": found.id,
        "display_name": viewing.title_of(found),
        "properties": dict(found.properties),
        "relationships": cast("list[LinkedDocument]", links),
    }


@route(
    "GET", "/tenants/{tenant:str}/kinds/{kind:str}/objects/{object_id:str}/versions",
    Permission.BROWSE, tags=_TAGS, summary="The versions of an object",
)  # fmt: skip
def list_versions(
    tenant: FromPath[str],
    kind: FromPath[str],
    object_id: FromPath[str],
    serving: Served,
    differing_from: FromQuery[str] = "",
) -> VersionsDocument:
    """List an object's versions, oldest first.

    With ``differing_from`` also the snapshots in which it is not as in that one, newest first.
    """
    ensure_kind(kind)
    tenant_id = serving.synced(tenant)
    found = viewing.versions_of(serving.application, tenant_id, kind, object_id, differing_from)
    return cast("VersionsDocument", found)


@route(
    "GET", "/tenants/{tenant:str}/captures", Permission.BROWSE, tags=_TAGS,
    summary="What restores kept before their first write",
)  # fmt: skip
def list_captures(tenant: FromPath[str], serving: Served) -> CapturesPage:
    """List the captures of a tenant, newest first; comparisons and plans take their ids."""
    tenant_id = serving.application.connections.find(tenant).tenant_id
    found = viewing.captures_of(serving.application, tenant_id)
    return {"items": [cast("CaptureDocument", one) for one in found], "next": ""}


@route(
    "GET", "/tenants/{tenant:str}/storage", Permission.BROWSE, tags=_TAGS,
    summary="What the repository takes",
)  # fmt: skip
def show_storage(tenant: FromPath[str], serving: Served) -> StorageDocument:
    """Return how much the repository holds, of all tenants together, some minutes old at most."""
    serving.application.connections.find(tenant)
    files, size_bytes = serving.stored()
    return {"files": files, "bytes": size_bytes}


def _moment(snapshot_id: str, taken_at: dt.datetime) -> MomentDocument:
    return {"id": snapshot_id, "created_at": clocks.iso(taken_at)}


def _document(item: SnapshotSummary) -> SnapshotDocument:
    return {
        "id": item.id,
        "created_at": clocks.iso(item.created_at),
        "parent": item.parent,
        "status": item.status,
        "kinds": {
            kind: cast("KindDocument", viewing.kind_document(summary))
            for kind, summary in item.info.kinds.items()
        },
        "review": list(item.info.review),
    }


def _day(name: str, text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as failure:
        raise errors.UsageError(
            f"{name} {text!r} is no day.", hint="Write it as 2026-11-23."
        ) from failure


def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as failure:
        raise errors.UsageError(
            f"There is no time zone {name!r}.", hint="Name one such as Europe/Berlin."
        ) from failure


def _months(catalog: Catalog, tenant_id: str, zone: zoneinfo.ZoneInfo) -> dict[str, int]:
    """Return the number of snapshots of each month of a zone."""
    months: dict[str, int] = {}
    for count, first, last in catalog.count_days(tenant_id):
        parts = {f"{first.astimezone(zone):%Y-%m}": count}
        if f"{last.astimezone(zone):%Y-%m}" not in parts:
            # A day in UTC that belongs to two months of the zone.
            end = last + dt.timedelta(microseconds=1)
            found = catalog.list_changes(tenant_id, first, end)
            parts = Counter(f"{one.created_at.astimezone(zone):%Y-%m}" for one in found)
        for month, part in parts.items():
            months[month] = months.get(month, 0) + part
    return months


def _no_changes(day: str) -> DayDocument:
    return {
        "day": day,
        "snapshots": 0,
        "added": 0,
        "changed": 0,
        "deleted": 0,
        "partial": 0,
        "review": 0,
    }


ROUTES = (
    list_snapshots, list_days, list_moments, show_snapshot, show_selection, list_objects,
    show_object, list_versions, list_captures, show_storage,
)  # fmt: skip
