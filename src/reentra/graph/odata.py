"""Graph's OData conventions: error bodies, what refusals mean, pages; without any I/O.

Sources: learn.microsoft.com/graph/errors, /graph/paging, /graph/delta-query-overview.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from reentra import errors
from reentra.graph.addresses import ensure_same_origin, short_path

_MESSAGE_LIMIT_CHARACTERS = 600

_EXPIRED_CODES = frozenset(
    {
        "directory_expiredpagetoken",
        "directorypagetokennotfoundexception",
        "syncstatenotfound",
        "syncstateinvalid",
        "resyncrequired",
        "resyncchangesapplydifferences",
        "resyncchangesuploaddifferences",
    }
)


# --- errors ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an error answer says about itself. ``codes`` also holds inner and detail codes."""

    code: str = ""
    message: str = ""
    target: str = ""
    request_id: str = ""
    codes: tuple[str, ...] = ()


def error_body(body: object) -> ErrorBody:
    """Return what can be read from an error's body: an envelope, other JSON, text, HTML, nothing.

    ``body`` is the parsed body of a batch part or the raw bytes of an answer.
    """
    if isinstance(body, bytes | bytearray | memoryview):
        raw = bytes(body)
        try:
            parsed: object = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return ErrorBody(message=_plain_text(raw.decode("utf-8", "replace")))
    else:
        parsed = body
    if isinstance(parsed, str):
        return ErrorBody(message=_plain_text(parsed))
    if not isinstance(parsed, Mapping):
        return ErrorBody()
    envelope = parsed.get("error", parsed)
    if isinstance(envelope, str):  # OAuth's form
        return ErrorBody(
            code=envelope,
            message=_plain_text(str(parsed.get("error_description", ""))),
            codes=(envelope,),
        )
    if not isinstance(envelope, Mapping):
        return ErrorBody()
    message = envelope.get("message", "")
    if isinstance(message, Mapping):  # the old OData form: {"lang": ..., "value": ...}
        message = message.get("value", "")
    code = _text(envelope.get("code"))
    codes = [code]
    target = _text(envelope.get("target"))
    request_id = ""
    details = envelope.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, Mapping):
            codes.append(_text(detail.get("code")))
            target = target or _text(detail.get("target"))
    inner = envelope.get("innerError", envelope.get("innererror"))
    depth = 0
    while isinstance(inner, Mapping) and depth < 8:
        codes.append(_text(inner.get("code")))
        request_id = request_id or _text(inner.get("request-id"))
        inner = inner.get("innerError", inner.get("innererror"))
        depth += 1
    return ErrorBody(
        code=code,
        message=_plain_text(_text(message)),
        target=target,
        request_id=request_id,
        codes=tuple(c for c in codes if c),
    )


def error_from_answer(
    status: int,
    headers: Mapping[str, str],
    body: object,
    *,
    method: str,
    path: str,
) -> errors.GraphError:
    """Return our error for one failed answer of Graph, or for one failed part of a batch.

    A write's 5xx becomes ``OutcomeUnknown`` only by the caller who knows that it was a write:
    here 5xx is ``Unavailable`` (but 501, which is a refusal).
    """
    read = error_body(body)
    lowered = {name.lower(): value for name, value in headers.items()}
    request_id = lowered.get("request-id", "") or read.request_id
    what = f"{method} {short_path(path)}"
    said = read.message or read.code or "without a reason"
    code = f" {read.code}" if read.code else ""
    message = f"Graph answered {what} with {status}{code}: {said}"
    if not message.endswith((".", "!", "?")):
        message += "."
    if request_id:
        message += f" (request-id {request_id})"
    kind = _error_class(status, read)
    return kind(
        message,
        status=status,
        graph_code=read.code,
        request_id=request_id,
        target=read.target,
        retry_after_seconds=None,
        hint=_hint(kind, status, read),
    )


def _error_class(status: int, read: ErrorBody) -> type[errors.GraphError]:
    if status == 410 or (status in (400, 404) and _is_expired_token(read)):
        return errors.DeltaExpired
    if status == 401:
        return errors.Unauthenticated
    if status == 403:
        return errors.Forbidden
    if status == 404:
        return errors.GraphNotFound
    if status in (409, 412, 423):
        return errors.Conflict
    if status == 429:
        return errors.Throttled
    if status == 503 and read.code == "Request_ThrottledTemporarily":
        return errors.Throttled
    if status >= 500 and status != 501:
        return errors.Unavailable
    if status == 408:
        return errors.Unavailable
    if 400 <= status < 600:
        if _mentions(read, "objectconflict", "conflictingobjects"):
            return errors.Conflict
        return errors.InvalidRequest
    return errors.GraphError


def _hint(kind: type[errors.GraphError], status: int, read: ErrorBody) -> str | None:
    if kind is errors.DeltaExpired:
        return "Read the kind in full; its stored position is no longer good."
    # PIM and governance say it with 400 as well as with 403.
    if kind in (errors.Forbidden, errors.InvalidRequest) and any(
        "premiumlicense" in code.lower()
        or code.lower().startswith("missinglicense")
        or code.lower() == "authentication_requestfromnonpremiumtenantorb2ctenant"
        for code in read.codes
    ):
        return NO_LICENCE
    if status == 501:
        return "This Graph endpoint does not offer the operation; leave the kind out."
    return None


def _is_expired_token(read: ErrorBody) -> bool:
    if any(code.lower() in _EXPIRED_CODES for code in read.codes):
        return True
    text = read.message.lower()
    return "page token" in text or "skiptoken" in text or "delta token" in text


def _mentions(read: ErrorBody, *codes: str) -> bool:
    return any(code.lower() in codes for code in read.codes)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


_TAG = re.compile(r"<(script|style)[^>]*>.*?</\1>|<[^>]+>", re.IGNORECASE | re.DOTALL)
_SPACE = re.compile(r"\s+")


def _plain_text(text: str) -> str:
    if "<" in text:
        text = _TAG.sub(" ", text)
    text = _SPACE.sub(" ", text).strip()
    if len(text) > _MESSAGE_LIMIT_CHARACTERS:
        text = text[:_MESSAGE_LIMIT_CHARACTERS] + "…"
    return text


# --- what a refusal means --------------------------------------------------------------------
# Graph tells most 400s apart by message text alone; codes and targets are looked at first, texts
# leniently and last (learn.microsoft.com/graph/errors).


def is_already_exists(error: errors.GraphError) -> bool:
    """Tell whether the write asked for what is there already: a link, an assignment, an object."""
    if not isinstance(error, errors.Conflict | errors.InvalidRequest):
        return False
    text = error.message.lower()
    if "concurrency" in error.graph_code.lower() or "concurren" in text:
        return False
    if error.graph_code.lower() in {
        "objectconflict",
        "conflictingobjects",
        "request_multipleobjectswithsamekeyvalue",
        "roleassignmentexists",
        "nameconflict",
    }:
        return True
    return (
        "already exist" in text
        or "a conflicting object with one or more" in text
        or "same value for property" in text
    )


NO_LICENCE = "The tenant lacks the Entra ID licence (P1 or P2) that this needs."


def lacks_licence(error: errors.GraphError) -> bool:
    """Tell whether a refusal is about the tenant's licence, not about a permission."""
    said = f"{error.graph_code} {error.message}".lower()
    return "premium" in said or "licens" in error.hint.lower() or "licenc" in error.hint.lower()


def is_missing_reference(error: errors.GraphError) -> bool:
    """Tell whether an object that the request refers to is not there, or not there yet."""
    if isinstance(error, errors.GraphNotFound):
        return True
    if not isinstance(error, errors.InvalidRequest):
        return False
    if error.graph_code.lower() in {"subjectnotfound", "rolenotfound", "resourcenotfound"}:
        return True
    text = error.message.lower()
    return (
        "does not exist or one of its queried reference" in text
        or "does not reference a valid application object" in text
        or "not a valid reference update" in text
        or ("resource '" in text and "does not exist" in text)
        or ("not found" in text and "property" not in text)
    )


def is_replication_lag(error: errors.GraphError) -> bool:
    """Tell whether the refusal is one that Graph also gives shortly after a creation.

    True does not say that it is lag: only whoever knows that the object was created a moment ago
    may wait and repeat (learn.microsoft.com/graph/api/serviceprincipal-post-serviceprincipals).
    """
    if is_missing_reference(error):
        return True
    text = error.message.lower()
    if isinstance(error, errors.Conflict):
        return "concurrency" in error.graph_code.lower() or "concurren" in text
    return isinstance(error, errors.InvalidRequest) and (
        "one or more property values specified are invalid" in text
    )


_READ_ONLY = re.compile(r"propert(?:y|ies) '([^']+)'[^.]*read-?\s?only", re.IGNORECASE)
_UNKNOWN = re.compile(
    r"(?:could not find a property named|no property named|property named) '([^']+)'"
    r"|property '([^']+)' does not exist",
    re.IGNORECASE,
)


def read_only_property(error: errors.GraphError) -> str:
    """Return the property that Graph calls read-only in a refused write, or ``""``."""
    if not isinstance(error, errors.InvalidRequest | errors.Forbidden):
        return ""
    found = _READ_ONLY.search(error.message)
    if found:
        return found.group(1)
    if "read-only" in error.message.lower() or "readonly" in error.message.lower():
        return error.target
    return ""


def is_read_only_property(error: errors.GraphError, name: str = "") -> bool:
    """Tell whether a write was refused because a property (``name``, if given) is read-only."""
    found = read_only_property(error)
    return bool(found) and (not name or found.lower() == name.lower())


def unknown_property(error: errors.GraphError) -> str:
    """Return the property that this Graph does not know on the type, or ``""``.

    National clouds lack properties; a ``$select`` that names one is refused as a whole.
    """
    if not isinstance(error, errors.InvalidRequest):
        return ""
    found = _UNKNOWN.search(error.message)
    return (found.group(1) or found.group(2)) if found else ""


def is_unknown_property(error: errors.GraphError, name: str = "") -> bool:
    """Tell whether a request was refused because a property (``name``) is unknown to Graph."""
    found = unknown_property(error)
    return bool(found) and (not name or found.lower() == name.lower())


def is_unsupported_query(error: errors.GraphError) -> bool:
    """Tell whether Graph does not support this filter, expand, order or paging here."""
    if not isinstance(error, errors.InvalidRequest):
        return False
    if error.graph_code.lower() in {"request_unsupportedquery", "notimplemented"}:
        return True
    text = error.message.lower()
    return error.status == 501 or "not supported" in text or "unsupported" in text


# --- links and pages -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a collection; at most one of the links is there.

    ``items`` may be parsed each time when it is walked through, entry by entry.
    """

    items: Iterable[dict[str, Any]]
    next_link: str = ""
    delta_link: str = ""
    count: int | None = None


class PageText(msgspec.Struct, frozen=True):
    """A page whose entries are not parsed yet."""

    value: list[msgspec.Raw]
    next_link: str | None = msgspec.field(default=None, name="@odata.nextLink")
    delta_link: str | None = msgspec.field(default=None, name="@odata.deltaLink")
    count: int | None = msgspec.field(default=None, name="@odata.count")


_page_text = msgspec.json.Decoder(PageText).decode


def parsed_page(content: bytes) -> object:
    """Return a page's text taken apart into entries, and anything else parsed.

    A page of parsed users takes ten times the memory of its text, far more than a processor keeps
    near: entries are dealt with faster when each is parsed at its turn.

    Raises: ``orjson.JSONDecodeError`` when it is no JSON as a whole.
    """
    try:
        return _page_text(content)
    except msgspec.MsgspecError:
        return orjson.loads(content)


class _Entries:
    """The entries of a page, parsed one by one."""

    __slots__ = ("_path", "_texts")

    def __init__(self, texts: list[msgspec.Raw], path: str) -> None:
        self._texts = texts
        self._path = path

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for text in self._texts:
            try:
                entry = orjson.loads(memoryview(text))
            except orjson.JSONDecodeError:
                entry = None
            if type(entry) is not dict:
                raise _not_objects(self._path)
            yield entry


def page_from_body(body: object, path: str) -> Page:
    """Return the page that ``body`` holds.

    Raises: ``Unavailable`` when it is no page: a missing ``value`` must never look like an empty
    collection, or the objects of that page would be taken for deleted. So does walking through
    the items when they are no objects.
    """
    if isinstance(body, PageText):
        return Page(
            _Entries(body.value, path), body.next_link or "", body.delta_link or "", body.count
        )
    if not isinstance(body, Mapping) or not isinstance(body.get("value"), list):
        raise errors.Unavailable(
            f"Graph's answer to GET {short_path(path)} is not a page: it has no list named value."
        )
    items = body["value"]
    if not all(isinstance(item, dict) for item in items):
        raise _not_objects(path)
    count = body.get("@odata.count")
    return Page(
        items=items,
        next_link=_text(body.get("@odata.nextLink")),
        delta_link=_text(body.get("@odata.deltaLink")),
        count=count if isinstance(count, int) else None,
    )


def _not_objects(path: str) -> errors.Unavailable:
    return errors.Unavailable(
        f"Graph's answer to GET {short_path(path)} holds entries that are not objects."
    )


def walk_pages(fetch: Callable[[str], object], first_url: str, endpoint: str) -> Iterator[Page]:
    """Yield the pages that start at ``first_url``, each link followed as it was given.

    ``fetch`` returns the parsed body of a GET and does its own retries, always with the same
    link, so a repeated request continues from the last answer that arrived whole.

    Raises: ``UntrustedLink``; ``Unavailable`` when links go in a circle or a page is no page;
    whatever ``fetch`` raises.
    """
    seen: set[int] = set()
    url = first_url
    while True:
        ensure_same_origin(url, endpoint)
        seen.add(hash(url))
        page = page_from_body(fetch(url), url)
        yield page
        if not page.next_link:
            return
        if hash(page.next_link) in seen:
            raise errors.Unavailable(
                f"Graph's pages of {short_path(first_url)} go in a circle: a next link came twice.",
                hint="Start the listing again; if it repeats, read the kind without a filter.",
            )
        url = page.next_link
