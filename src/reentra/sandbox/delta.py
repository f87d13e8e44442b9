"""Delta query: rounds of changes, sliced memberships, removals, and tokens that grow old.

A round is planned at its first request: which objects, in which order, with which slices of their
links, cut into pages. Objects are rendered as they are when their page is read; what happens
meanwhile is told by the next round. https://learn.microsoft.com/graph/delta-query-overview
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from reentra.sandbox import paging, query, reads, render, schema
from reentra.sandbox.errors import GraphError, LogTruncated, bad_request
from reentra.sandbox.faults import FaultKind
from reentra.sandbox.tenant import Change, ChangeKind, Record, Tenant
from reentra.sandbox.world import Answer, Call

MAX_FILTER_IDS = 50

# Relationships that a delta tracks when they are selected, by type.
TRACKED: Mapping[str, tuple[str, ...]] = {
    "user": ("manager", "sponsors"),
    "group": ("members", "owners"),
    "administrativeUnit": ("members",),
}
# Relationships that come without $select.
_TRACKED_BY_DEFAULT: Mapping[str, tuple[str, ...]] = {"group": ("members",)}

_ID_FILTER = re.compile(r"id\s+eq\s+'([^']+)'", re.IGNORECASE)


class _Link(NamedTuple):
    target: str
    type: str
    is_removed: bool


@dataclass(slots=True)
class _Item:
    """One object's entry on one page. ``changed`` None means: all that was ever set."""

    id: str
    changed: frozenset[str] | None = None
    links: dict[str, list[_Link]] = field(default_factory=dict)
    links_now: bool = False
    """Take the links from the tenant when the page is rendered: all of them, as additions.
    ``links`` then holds the removals that the round tells besides."""
    removed: str = ""


@dataclass(frozen=True, slots=True)
class _Round:
    """What a round delivers and where the next one begins."""

    type: str
    select: tuple[str, ...] | None
    ids: tuple[str, ...]
    end_seq: int


def delta_of(type_: str, context: str) -> Callable[[Call], Answer]:
    """Return the handler of a type's delta function."""

    def handle(call: Call) -> Answer:
        skip = call.query.get("$skiptoken")
        token = call.query.get("$deltatoken")
        if skip is not None:
            return _continue(call, type_, context, skip)
        if token is None or token == "":
            return _first(call, type_, context)
        if token.lower() == "latest":
            round_ = _Round(type_, _select(call, type_), (), _visible_end(call, type_, None))
            return _page(call, context, round_, [[]], "", 0, {})
        return _next_round(call, type_, context, token)

    return handle


def _first(call: Call, type_: str, context: str) -> Answer:
    for name in ("$top", "$orderby", "$expand", "$count", "$search", "$skip"):
        if name in call.query:
            raise query.unsupported(f"'{name}' is not supported on a delta query.")
    ids = _filter_ids(call.query.get("$filter"))
    round_ = _Round(type_, _select(call, type_), ids, _visible_end(call, type_, None))
    navs = _navs(round_)
    records = call.world.visible(call.tenant.collection(type_).values())
    if ids:
        records = [record for record in records if record.id in ids]
    slice_size = call.world.options.delta_member_slice
    items = (_whole(call.tenant, record, navs, slice_size) for record in records)
    return _begin(call, context, round_, items)


def _next_round(call: Call, type_: str, context: str, token: str) -> Answer:
    fields = paging.decode_token(token)
    if fields is None or fields.get("t") != type_:
        raise bad_request("Badly formed token.")
    select = tuple(fields["s"]) if fields["s"] is not None else None
    age = call.tenant.clock.seconds() - fields["i"]
    foreign = fields["x"] != call.tenant.tenant_id or fields["q"] > call.tenant.seq
    if foreign or age > call.world.options.delta_token_lifetime_seconds:
        raise expired(call, select)
    since = int(fields["q"])
    ids = tuple(fields.get("f", ()))
    end = _visible_end(call, type_, since)
    round_ = _Round(type_, select, ids, end)
    try:
        log = list(call.tenant.changes(type_, max(0, since - call.world.options.delta_replay)))
    except LogTruncated:
        try:
            log = list(call.tenant.changes(type_, since))
        except LogTruncated:
            raise expired(call, select) from None
    entries = (change for change in log if change.seq <= end and (not ids or change.id in ids))
    items = _gathered(entries, _tracked(round_), _navs(round_))
    return _begin(call, context, round_, items)


def expired(call: Call, select: tuple[str, ...] | None = None) -> GraphError:
    """Return the 410 of a token too old to resume, with the address that starts over."""
    chosen = f"$select={','.join(select)}&" if select else ""
    location = f"{call.request.base_url}{call.request.path}?{chosen}$deltatoken="
    return GraphError(
        410,
        "syncStateNotFound",
        "The sync state generation is not found; a full synchronization is required.",
        headers={"Location": location},
    )


def _continue(call: Call, type_: str, context: str, token: str) -> Answer:
    fields = paging.decode_token(token)
    if fields is None or "d" not in fields:
        raise paging.page_token_invalid()
    result = call.world.results.find(str(fields["k"]), f"delta/{type_}")
    round_: _Round = result.state
    return _page(call, context, round_, result.items, str(fields["k"]), int(fields["o"]), fields)


def _select(call: Call, type_: str) -> tuple[str, ...] | None:
    if "$select" not in call.query:
        return None
    names = query.select_names(call.query["$select"])
    render.check_select(call.tenant, type_, names)
    reads.check_guarded(call, names)
    if type_ == "user" and schema.SHAREPOINT_BACKED & set(names):
        raise GraphError(501, "NotImplemented", "This operation target is not yet supported.")
    return names


def _filter_ids(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    ids = tuple(_ID_FILTER.findall(text))
    rest = _ID_FILTER.sub("", text).lower().replace("or", "").strip(" ()")
    if rest or not ids:
        raise query.unsupported("A delta query can only be filtered by id.")
    if len(ids) > MAX_FILTER_IDS:
        raise bad_request(f"A delta query can be filtered by at most {MAX_FILTER_IDS} ids.")
    return ids


def _navs(round_: _Round) -> tuple[str, ...]:
    if round_.select is None:
        return _TRACKED_BY_DEFAULT.get(round_.type, ())
    return tuple(nav for nav in TRACKED.get(round_.type, ()) if nav in round_.select)


def _shown(round_: _Round) -> render.Shape:
    names = round_.select
    if names is not None:
        names = tuple(name for name in names if name not in schema.NOT_IN_DELTA)
    return render.shape(round_.type, names)


def _tracked(round_: _Round) -> frozenset[str]:
    return frozenset(name for name, _ in _shown(round_).fields) | {"userPrincipalName"} & set(
        round_.select or ()
    )


def _visible_end(call: Call, type_: str, since: int | None) -> int:
    """Return the change-log position that the replica has reached."""
    tenant = call.tenant
    if call.world.options.replication_delay_seconds <= 0:
        return tenant.seq
    begin = call.world.settled_seq if since is None else max(since, call.world.settled_seq)
    try:
        entries = [(change.seq, change.at) for change in tenant.changes(type_, begin)]
    except LogTruncated:
        return tenant.seq
    return call.world.visible_seq(entries, tenant.seq)


# --- planning ----------------------------------------------------------------------------


def _whole(tenant: Tenant, record: Record, navs: Iterable[str], slice_size: int) -> _Item:
    """Return an object with all its links; long ones are fixed now, short ones when rendered."""
    item = _Item(record.id)
    for nav in navs:
        stored = f"{record.type}.{nav}"
        if tenant.target_count(stored, record.id) > slice_size:
            item.links[nav] = _all_links(tenant, stored, record.id)
    if not item.links:
        item.links_now = True
    else:
        for nav in navs:
            if nav not in item.links:
                item.links[nav] = _all_links(tenant, f"{record.type}.{nav}", record.id)
    return item


def _all_links(tenant: Tenant, nav: str, source_id: str) -> list[_Link]:
    """Return every link as an addition, those to objects in the recycle bin too."""
    links = []
    for id_ in tenant.all_targets(nav, source_id):
        target = tenant.find(id_) or tenant.find_deleted(id_)
        if target is not None:
            links.append(_Link(id_, target.type, False))
    return links


@dataclass(slots=True)
class _Gathered:
    """What happened to one object within a round."""

    names: set[str] = field(default_factory=set)
    links: dict[str, dict[str, _Link]] = field(default_factory=dict)
    is_whole: bool = False
    is_restored: bool = False
    removed: list[str] = field(default_factory=list)


def _gathered(
    changes: Iterable[Change], tracked: frozenset[str], navs: tuple[str, ...]
) -> Iterator[_Item]:
    """Sum the change log up by object, in the order of each object's latest change."""
    found: dict[str, _Gathered] = {}
    for change in changes:
        entry = found.pop(change.id, None) or _Gathered()
        found[change.id] = entry
        if change.kind is ChangeKind.CREATED:
            entry.is_whole = True
            entry.removed.clear()
        elif change.kind is ChangeKind.UPDATED:
            entry.names.update(change.properties)
        elif change.kind is ChangeKind.RESTORED:
            entry.is_whole = entry.is_restored = True
            entry.removed.clear()
        elif change.kind is ChangeKind.SOFT_DELETED:
            entry.removed = ["changed"]
        elif change.kind is ChangeKind.PURGED:
            # Soft-deleted and purged within one round gives two entries.
            entry.removed = [*entry.removed[:1], "deleted"]
        elif change.nav in navs:
            is_removed = change.kind is ChangeKind.UNLINKED
            links = entry.links.setdefault(change.nav, {})
            links.pop(change.target, None)
            links[change.target] = _Link(change.target, change.target_type, is_removed)
    for id_, entry in found.items():
        if entry.removed:
            for reason in entry.removed:
                yield _Item(id_, removed=reason)
            continue
        changed = {nav: list(by_target.values()) for nav, by_target in entry.links.items()}
        if entry.is_restored:
            gone = {nav: [one for one in links if one.is_removed] for nav, links in changed.items()}
            yield _Item(id_, links=gone, links_now=True)
        elif entry.is_whole:
            yield _Item(id_, links=changed)
        elif entry.names & tracked or changed:
            yield _Item(id_, frozenset(entry.names), changed)


def _begin(call: Call, context: str, round_: _Round, items: Iterable[_Item]) -> Answer:
    options = call.world.options
    pages = _pages(items, options.delta_page_size, options.delta_member_slice)
    key = ""
    if len(pages) > 1 or options.empty_pages or call.fault is not None:
        weight = sum(1 + sum(map(len, item.links.values())) for page in pages for item in page)
        result = paging.Result(f"delta/{round_.type}", pages, round_, weight)
        key = call.world.results.keep(result)
    return _page(call, context, round_, pages, key, 0, {})


def _pages(items: Iterable[_Item], page_size: int, slice_size: int) -> list[list[_Item]]:
    """Cut a round into pages.

    An object with many links appears once a page with the next slice of them, so its slices are
    spread over pages and stand apart from each other.
    """
    pages: list[list[_Item]] = []
    page: list[_Item] = []
    waiting: list[Iterator[_Item]] = []

    def close() -> None:
        nonlocal page, waiting
        pages.append(page)
        page = []
        still: list[Iterator[_Item]] = []
        for slices in waiting:
            following = next(slices, None)
            if following is not None:
                page.append(following)
                still.append(slices)
        waiting = still

    for item in items:
        if any(len(links) > slice_size for links in item.links.values()):
            slices = _slices(item, slice_size)
            page.append(next(slices))
            waiting.append(slices)
        else:
            page.append(item)
        if len(page) >= page_size:
            close()
    while waiting:
        close()
    if page or not pages:
        pages.append(page)
    return pages


def _slices(item: _Item, size: int) -> Iterator[_Item]:
    longest = max(len(links) for links in item.links.values())
    for start in range(0, longest, size):
        part = {
            nav: links[start : start + size]
            for nav, links in item.links.items()
            if start < len(links)
        }
        yield _Item(item.id, item.changed, part)


# --- rendering ---------------------------------------------------------------------------


def _page(
    call: Call,
    context: str,
    round_: _Round,
    pages: Any,
    key: str,
    index: int,
    fields: Mapping[str, Any],
) -> Answer:
    fault = call.fault.kind if call.fault is not None else None
    head: dict[str, Any] = {"@odata.context": _context(call, context, round_)}
    token = {"k": key, "o": index, "d": 1}
    if fault is FaultKind.EMPTY_PAGE or (call.world.options.empty_pages and "e" not in fields):
        token["e"] = 1
        head["@odata.nextLink"] = _link(call, "$skiptoken", token)
        return Answer(200, render.join_page(head, ()))
    page = list(pages[index])
    if "r" in fields:
        # An earlier page's last object comes again: before this page, or alone after the last.
        page = page[-1:] if fields["r"] == index else pages[fields["r"]][-1:] + page
    if fault is FaultKind.DUPLICATE and page and key:
        following = min(index + 1, len(pages) - 1)
        again = {**token, "o": following, "r": index, "e": 1}
        head["@odata.nextLink"] = _link(call, "$skiptoken", again)
    elif index + 1 < len(pages):
        head["@odata.nextLink"] = _link(call, "$skiptoken", {**token, "o": index + 1})
    else:
        head["@odata.deltaLink"] = _link(call, "$deltatoken", _delta_token(call, round_))
    minimal = call.prefers("return=minimal")
    parts = [part for item in page if (part := _rendered(call, round_, item, minimal)) is not None]
    return Answer(200, render.join_page(head, parts))


def _delta_token(call: Call, round_: _Round) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "t": round_.type,
        "s": list(round_.select) if round_.select is not None else None,
        "q": round_.end_seq,
        "i": int(call.tenant.clock.seconds()),
        "x": call.tenant.tenant_id,
    }
    if round_.ids:
        fields["f"] = list(round_.ids)
    return fields


def _link(call: Call, name: str, token: Mapping[str, Any]) -> str:
    return reads.next_link(call, name, paging.encode_token(dict(token)), keeps_options=False)


def _context(call: Call, context: str, round_: _Round) -> str:
    chosen = f"({','.join(round_.select)})" if round_.select is not None else ""
    return f"{call.root_url}/$metadata#{context}{chosen}"


def _rendered(call: Call, round_: _Round, item: _Item, minimal: bool) -> bytes | None:
    if item.removed:
        return orjson.dumps({"id": item.id, "@removed": {"reason": item.removed}})
    record = call.tenant.get(round_.type, item.id)
    if record is None:
        # Deleted since the round was planned: the next round says so.
        return None
    only = item.changed if minimal else None
    values = render.set_values(record, _shown(round_), only)
    if item.links_now:
        for nav in _navs(round_):
            links = _all_links(call.tenant, f"{record.type}.{nav}", record.id)
            present = {link.target for link in links}
            links += [link for link in item.links.get(nav, ()) if link.target not in present]
            if links:
                values[f"{nav}@delta"] = _links_json(links)
    else:
        for nav, links in item.links.items():
            if links:
                values[f"{nav}@delta"] = _links_json(links)
    return orjson.dumps(values)


def _links_json(links: Iterable[_Link]) -> orjson.Fragment:
    """Render links; by hand, since a large tenant has millions and ids need no escaping."""
    parts = [
        f'{{"@odata.type":"#microsoft.graph.{type_}","id":"{target}"'
        + (',"@removed":{"reason":"deleted"}}' if is_removed else "}")
        for target, type_, is_removed in links
    ]
    return orjson.Fragment("[" + ",".join(parts) + "]")
