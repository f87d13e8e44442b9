"""Lists and single objects: selection, filters, expansion and paging of one collection.

`list_records` is the way of every list; `get_record` of every single object.
"""

from __future__ import annotations

import hashlib
import urllib.parse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from reentra.sandbox import filterable, paging, permissions, query, relations, render, schema
from reentra.sandbox.clock import timestamp
from reentra.sandbox.errors import GraphError, bad_request, denied, not_found, policy_not_found
from reentra.sandbox.faults import FaultKind
from reentra.sandbox.tenant import DIRECTORY_TYPES, Record
from reentra.sandbox.world import Answer, Call

EXPAND_CAP = 20
"""An expanded collection holds so many items at most; the rest is silently left out."""

SIGN_IN_PAGE = 500
"""The largest page when signInActivity is selected."""

ADVANCED_TYPES = frozenset(DIRECTORY_TYPES) | {"directoryObject"}
"""Types of the directory, whose advanced queries need ConsistencyLevel: eventual."""

_KNOWN_OPTIONS = frozenset(
    ("$select", "$filter", "$expand", "$orderby", "$search", "$top", "$count", "$skip",
     "$skiptoken", "$format")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Listing:
    """How one collection is listed."""

    type: str
    context: str
    is_paged: bool = True
    is_mixed: bool = False
    """Objects of several types: each carries @odata.type."""


@dataclass(slots=True)
class _ListState:
    listing: Listing
    select: tuple[str, ...] | None
    expand: tuple[query.Expand, ...]
    size: int
    count: int | None
    seq: int


def list_records(call: Call, listing: Listing, records: Callable[[], Iterable[Record]]) -> Answer:
    """Answer a list: the page that the query asks for.

    ``records`` is only asked for the first page; later pages come from the frozen result.
    """
    _check_options(call, listing)
    bound = _bound_query(call)
    token = call.query.get("$skiptoken")
    if token is not None:
        fields = paging.decode_token(token)
        if fields is None:
            raise paging.page_token_invalid()
        result = call.world.results.find(str(fields["k"]), bound)
        state: _ListState = result.state
        return _page(call, state, result.items, str(fields["k"]), int(fields["o"]), "e" in fields)
    state, items = _first_page(call, listing, records)
    if call.wants_count:
        if listing.type in ADVANCED_TYPES and not call.is_eventual:
            raise bad_request("$count is not currently supported.")
        return Answer(200, str(len(items)).encode(), content_type="text/plain")
    key = (
        call.world.results.keep(paging.Result(bound, items, state))
        if _is_long(call, state, items)
        else ""
    )
    return _page(call, state, items, key, 0, False)


def _is_long(call: Call, state: _ListState, items: Sequence[Record]) -> bool:
    return len(items) > state.size or call.world.options.empty_pages or call.fault is not None


def _first_page(
    call: Call, listing: Listing, records: Callable[[], Iterable[Record]]
) -> tuple[_ListState, list[Record]]:
    options = call.query
    select = query.select_names(options["$select"]) if "$select" in options else None
    if select is not None:
        render.check_select(call.tenant, listing.type, select)
        _check_selected(call, listing, select)
    expand = query.expansions(options["$expand"]) if "$expand" in options else ()
    _check_expand(call, listing.type, expand)
    size = _page_size(call, listing, select)
    items = call.world.visible(records())
    advanced = False
    if "$filter" in options:
        allowed = filterable.FILTERABLE.get(listing.type)
        parsed = query.parse_filter(options["$filter"], allowed)
        advanced = parsed.is_advanced
        items = [record for record in items if parsed.matches(_filter_values(call, record))]
    if "$search" in options:
        advanced = True
        predicate = query.parse_search(options["$search"])
        items = [record for record in items if predicate(_filter_values(call, record))]
    if "$orderby" in options:
        sortable = frozenset(
            ("displayName", "userPrincipalName", "createdDateTime", "deletedDateTime", "id")
        )
        name, descends = query.order_key(options["$orderby"], sortable)
        advanced = advanced or "$filter" in options or name == "deletedDateTime"
        items.sort(
            key=lambda record: str(_filter_values(call, record).get(name) or "").lower(),
            reverse=descends,
        )
    if advanced and listing.type in ADVANCED_TYPES:
        _require_advanced(call, expand)
    wants_total = options.get("$count", "").lower() == "true"
    directory = listing.type in ADVANCED_TYPES
    count = len(items) if wants_total and (call.is_eventual or not directory) else None
    state = _ListState(listing, select, expand, size, count, call.tenant.seq)
    return state, items


def _require_advanced(call: Call, expand: Sequence[query.Expand]) -> None:
    counted = call.query.get("$count", "").lower() == "true" or call.wants_count
    if not call.is_eventual or not (counted or "$search" in call.query):
        raise query.unsupported(
            "Request with $search or an advanced $filter needs the header "
            "ConsistencyLevel: eventual and $count=true."
        )
    if expand:
        raise query.unsupported("$expand cannot be combined with an advanced query.")


def _filter_values(call: Call, record: Record) -> Mapping[str, Any]:
    props = call.world.props(record, stale=call.stale)
    extra: dict[str, Any] = {"id": record.id}
    if record.deleted_at is not None:
        extra["deletedDateTime"] = timestamp(record.deleted_at)
    return {**props, **extra}


def _check_options(call: Call, listing: Listing) -> None:
    for name in call.query:
        if name.startswith("$") and name not in _KNOWN_OPTIONS:
            raise bad_request(f"The query parameter '{name}' is not supported.")
    if "$skip" in call.query and listing.type in ADVANCED_TYPES:
        raise bad_request("'$skip' is not supported by the service.")
    if "$top" in call.query and not listing.is_paged:
        raise query.unsupported("'$top' is not supported on this collection.")
    if "$search" in call.query and listing.type not in ADVANCED_TYPES:
        raise query.unsupported("'$search' is not supported on this collection.")


def _check_selected(call: Call, listing: Listing, select: Iterable[str]) -> None:
    """Refuse properties that a list cannot give or the caller may not read."""
    if not listing.is_mixed:
        known = schema.entity(listing.type).properties
        for name in select:
            if name in known and known[name].alone:
                raise GraphError(
                    501, "NotImplemented", "This operation target is not yet supported."
                )
    check_guarded(call, select)


def check_guarded(call: Call, select: Iterable[str]) -> None:
    """Refuse properties that need a permission or a licence of their own."""
    for name in select:
        needed = filterable.GUARDED.get(name)
        if needed is None:
            continue
        if call.world.options.enforce_permissions and not needed & call.roles:
            raise denied()
        if name == "signInActivity" and call.tenant.edition == "free":
            raise GraphError(
                403,
                "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
                "Neither tenant is B2C or tenant doesn't have premium license",
            )


def _check_expand(call: Call, type_: str, expand: Iterable[query.Expand]) -> None:
    navigations = schema.entity(type_).navigations
    for item in expand:
        if item.name not in navigations:
            raise render.unknown_select(item.name, type_)
        if item.select is not None:
            target = navigations[item.name].target
            render.check_select(call.tenant, target, item.select)


def _page_size(call: Call, listing: Listing, select: Sequence[str] | None) -> int:
    if not listing.is_paged:
        return 1 << 60
    largest = SIGN_IN_PAGE if select and "signInActivity" in select else paging.MAX_PAGE
    text = call.query.get("$top")
    if text is None:
        return min(call.world.options.page_size, largest)
    if not text.isdigit() or not 1 <= int(text) <= largest:
        raise bad_request(
            f"Invalid page size specified: '{text}'. Must be between 1 and {largest} inclusive."
        )
    return int(text)


def _bound_query(call: Call) -> str:
    """Return what a page token is bound to: the path and the other options."""
    options = sorted((k, v) for k, v in call.query.items() if k != "$skiptoken")
    text = repr((call.path.lower(), options))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def next_link(call: Call, token_name: str, token: str, *, keeps_options: bool = True) -> str:
    """Return the absolute link to the next page, as the client addressed the service."""
    path = call.request.path
    pairs = [(k, v) for k, v in call.query.items() if k not in ("$skiptoken", "$deltatoken")]
    if not keeps_options:
        pairs = []
    pairs.append((token_name, token))
    encoded = "&".join(f"{k}={urllib.parse.quote(v, safe=chr(39) + '(),:/$')}" for k, v in pairs)
    return f"{call.request.base_url}{path}?{encoded}"


def _page(
    call: Call, state: _ListState, items: Sequence[Record], key: str, offset: int, was_empty: bool
) -> Answer:
    fault = call.fault.kind if call.fault is not None else None
    size = state.size
    head: dict[str, Any] = {"@odata.context": _context(call, state)}
    if state.count is not None and offset == 0 and not was_empty:
        head["@odata.count"] = state.count
    if fault is FaultKind.EMPTY_PAGE or (call.world.options.empty_pages and not was_empty):
        head["@odata.nextLink"] = next_link(
            call, "$skiptoken", paging.encode_token({"k": key, "o": offset, "e": 1})
        )
        return Answer(200, render.join_page(head, ()))
    following = offset + size
    page = items[offset:following]
    if fault is FaultKind.DUPLICATE and page:
        following = min(following, len(items)) - 1
    if following < len(items):
        head["@odata.nextLink"] = next_link(
            call, "$skiptoken", paging.encode_token({"k": key, "o": following})
        )
    if call.tenant.seq != state.seq:
        page = [record for record in page if is_still_there(call, record)]
    if call.wants_refs:
        base = f"{call.root_url}/directoryObjects/"
        refs = [{"@odata.id": f"{base}{r.id}/Microsoft.DirectoryServices.{_pascal(r.type)}"}
                for r in page]  # fmt: skip
        return Answer(200, render.join_page(head, [orjson.dumps(ref) for ref in refs]))
    return Answer(200, render.join_page(head, _rendered(call, state, page)))


def is_still_there(call: Call, record: Record) -> bool:
    """Tell whether a record of a frozen result is where it was: live, or in the bin."""
    if record.deleted_at is not None:
        return call.tenant.find_deleted(record.id, record.type) is record
    return call.tenant.get(record.type, record.id) is record


def _rendered(call: Call, state: _ListState, page: Sequence[Record]) -> list[bytes]:
    lagging = call.stale or call.world.options.replication_delay_seconds > 0
    if not state.listing.is_mixed and not state.expand and not lagging:
        cached: list[bytes] = []
        by_type: dict[str, render.Shape] = {}
        for record in page:
            wanted = by_type.get(record.type)
            if wanted is None:
                wanted = by_type[record.type] = render.shape(record.type, state.select)
            cache = record.cache
            if cache is not None and cache[0] is wanted:
                cached.append(cache[1])
            else:
                cached.append(render.cached_bytes(record, wanted))
        return cached
    return [
        orjson.dumps(
            object_values(call, record, state.select, state.expand, state.listing.is_mixed)
        )
        for record in page
    ]


def object_values(
    call: Call,
    record: Record,
    select: tuple[str, ...] | None,
    expand: Iterable[query.Expand] = (),
    shows_type: bool = False,
    shows_keys: bool = False,
) -> dict[str, Any]:
    """Return one object as a client sees it, with what was expanded."""
    wanted = render.shape(record.type, select, shows_type, shows_keys)
    if shows_type and not may_read_type(call, record.type):
        return {"@odata.type": f"#microsoft.graph.{record.type}", "id": record.id,
                **dict(wanted.fields)}  # fmt: skip
    values = render.values_of(record, wanted, call.world.props(record, stale=call.stale))
    for item in expand:
        found = relations.expanded(call, record, item.name)
        if isinstance(found, list):
            values[item.name] = [
                object_values(call, each, item.select, (), _is_mixed(record.type, item.name))
                for each in found[:EXPAND_CAP]
            ]
        elif found is not None:
            values[item.name] = object_values(
                call, found, item.select, (), _is_mixed(record.type, item.name)
            )
    return values


def _is_mixed(type_: str, navigation: str) -> bool:
    target = schema.entity(type_).navigations[navigation].target
    return target == "directoryObject"


_READERS: Mapping[str, str] = {
    "user": "/users/{id}",
    "group": "/groups/{id}",
    "device": "/devices/{id}",
    "application": "/applications/{id}",
    "servicePrincipal": "/serviceprincipals/{id}",
    "administrativeUnit": "/directory/administrativeunits/{id}",
    "directoryRole": "/directoryroles/{id}",
}


def may_read_type(call: Call, type_: str) -> bool:
    """Tell whether the caller may read objects of a type beyond their id."""
    path = _READERS.get(type_)
    if path is None or not call.world.options.enforce_permissions:
        return True
    return permissions.is_allowed("GET", path, call.roles)


def _context(call: Call, state: _ListState) -> str:
    name = state.listing.context
    if call.wants_refs:
        return f"{call.root_url}/$metadata#Collection($ref)"
    if state.select is not None or state.expand:
        shown = list(state.select or ())
        shown += [
            f"{item.name}({','.join(item.select)})" if item.select else f"{item.name}()"
            for item in state.expand
        ]
        name = f"{name}({','.join(shown)})"
    return f"{call.root_url}/$metadata#{name}"


def get_record(
    call: Call, record: Record | None, id_: str, context: str, *, shows_type: bool = False
) -> Answer:
    """Answer with one object.

    Raises:
        GraphError: 404 when there is none, or it has not reached the replica.
    """
    if record is None or not call.world.is_visible(record):
        raise not_found(id_)
    for name in ("$filter", "$orderby", "$search", "$top"):
        if name in call.query:
            raise bad_request(f"The query specified in the URI is not valid: '{name}'.")
    options = call.query
    select = query.select_names(options["$select"]) if "$select" in options else None
    if select is not None:
        render.check_select(call.tenant, record.type, select)
        check_guarded(call, select)
        _check_single(record, select)
    expand = query.expansions(options["$expand"]) if "$expand" in options else ()
    _check_expand(call, record.type, expand)
    shows_keys = select is not None and "keyCredentials" in select
    name = context if select is None else f"{context}({','.join(select)})"
    values: dict[str, Any] = {"@odata.context": f"{call.root_url}/$metadata#{name}/$entity"}
    values.update(object_values(call, record, select, expand, shows_type, shows_keys))
    return Answer(200, orjson.dumps(values))


def _check_single(record: Record, select: Iterable[str]) -> None:
    if record.type == "user" and schema.SHAREPOINT_BACKED & set(select):
        # Served by another service that does not take app-only callers.
        raise GraphError(501, "NotImplemented", "This operation target is not yet supported.")
    if record.type == "group" and not _is_unified(record):
        for name in select:
            known = schema.entity("group").properties.get(name)
            if known is not None and known.alone:
                raise GraphError(
                    400, "ErrorGroupsAccessDenied",
                    f"'{name}' is not available on groups without a mailbox.",
                )  # fmt: skip


def _is_unified(record: Record) -> bool:
    return "Unified" in (record.props.get("groupTypes") or ())


def _pascal(name: str) -> str:
    return name[:1].upper() + name[1:]


def missing(type_: str, id_: str) -> GraphError:
    """Return the 404 of the service that a type belongs to."""
    if type_ in ("conditionalAccessPolicy", "namedLocation", "authenticationStrengthPolicy",
                 "authenticationContextClassReference"):  # fmt: skip
        return policy_not_found(id_)
    return not_found(id_)
