"""``GraphClient``: requests to one tenant's Graph, parsed, paced and counted."""

from __future__ import annotations

import concurrent.futures
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from azure.core.credentials import AccessTokenInfo
from azure.core.pipeline import Pipeline
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest, HttpResponse

import reentra
from reentra import clock as clocks
from reentra import errors, progress
from reentra.graph import addresses, auth, odata, throttle
from reentra.graph.batch import (
    BatchRequest,
    BatchResponse,
    asks_again,
    batch_body,
    chunked,
    renumbered,
    responses_of,
    unanswered,
)
from reentra.graph.transport import BLOCK_BYTES, ReadWholePolicy, new_session

Params = Mapping[str, str | int | bool]
Headers = Mapping[str, str]

_CONNECT_SECONDS = 30.0
_READ_SECONDS = 180.0
_PARALLEL_BATCHES = 4
# Future members of evolvable enumerations come back as unknownFutureValue without it
# (learn.microsoft.com/graph/best-practices-concept).
_KNOW_ALL_ENUM_MEMBERS = "include-unknown-enum-members"
ENDS_A_LIST = (errors.Unauthenticated, errors.Throttled, errors.GraphDown)
"""What is not about one request: sending more of them would be in vain."""
EVENTUAL: Headers = {"ConsistencyLevel": "eventual"}
"""What advanced queries need, together with ``$count=true``."""


class GraphClient:
    """Microsoft Graph of one tenant, as one application. Thread-safe.

    Paths are relative to the version root (``users/{id}``); links of answers are followed as they
    came, and only on the configured host. Reads are repeated when Graph fails or throttles; a
    write is repeated only when it certainly was not executed. Every method raises
    ``errors.GraphError``'s children, nothing of azure-core or requests.
    """

    def __init__(
        self,
        endpoint: str,
        credential: auth.TenantCredential,
        pace: throttle.TenantThrottle,
        *,
        tenant_id: str,
        scope: str = "",
        ca_file: str = "",
        version: str = "v1.0",
        priority: str = "",
        user_agent: str = "",
        listener: progress.Listener = progress.ignore,
        read_timeout_seconds: float = _READ_SECONDS,
    ) -> None:
        auth.ensure_transport_is_safe(endpoint)
        self.endpoint = endpoint.rstrip("/")
        self.tenant_id = tenant_id
        self.usage = throttle.Usage()
        self._root = f"{self.endpoint}/{version}"
        self._credential = credential
        self._scope = scope or f"{self.endpoint}/.default"
        self._pace = pace
        self._version = version
        self._policy = throttle.ThrottlePolicy(pace, self.usage, listener)
        self._base_headers = {
            "Accept": "application/json",
            "User-Agent": user_agent or f"reentra/{reentra.__version__}",
        }
        if priority:
            self._base_headers["x-ms-throttle-priority"] = priority
        self._options: dict[str, Any] = {
            "connection_timeout": _CONNECT_SECONDS,
            "read_timeout": read_timeout_seconds,
        }
        session = new_session(self.endpoint, ca_file)
        self._options["connection_verify"] = session.verify
        self._pipeline: Pipeline[HttpRequest, HttpResponse] = Pipeline(
            RequestsTransport(
                session=session, use_env_settings=False, connection_data_block_size=BLOCK_BYTES
            ),
            [self._policy, auth.TokenPolicy(credential, self._scope), ReadWholePolicy()],
        )

    def __repr__(self) -> str:
        return f"GraphClient({self.endpoint}, tenant {self.tenant_id})"

    def __enter__(self) -> GraphClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the client cannot be used afterwards."""
        self._pipeline.__exit__()
        self._credential.close()

    @property
    def listener(self) -> progress.Listener:
        return self._policy.listener

    @property
    def clock(self) -> clocks.Clock:
        """The clock by which this client waits."""
        return self._pace.clock

    # --- reads --------------------------------------------------------------------------------

    def get(
        self, path: str, params: Params | None = None, headers: Headers | None = None
    ) -> dict[str, Any]:
        """Return one resource.

        Raises: ``GraphNotFound``, ``Forbidden`` and the like.
        """
        body = self._send("GET", self._url(path, params), self._read_headers(headers))
        if not isinstance(body, dict):
            raise errors.Unavailable(
                f"Graph's answer to GET {addresses.short_path(path)} is not a JSON object."
            )
        return body

    def pages(
        self, path: str, params: Params | None = None, headers: Headers | None = None
    ) -> Iterator[odata.Page]:
        """Yield the pages of a collection; ``path`` may be a link of an earlier answer.

        The headers are repeated on every page, as Graph demands. Raises: ``DeltaExpired`` when a
        page's link is no longer good: start the listing again.
        """
        sent = self._read_headers(headers)
        return odata.walk_pages(
            lambda url: self._send("GET", url, sent, parse=odata.parsed_page),
            self._url(path, params),
            self.endpoint,
        )

    def items(
        self, path: str, params: Params | None = None, headers: Headers | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the entries of a collection, page after page."""
        for page in self.pages(path, params, headers):
            yield from page.items

    def delta(
        self,
        path_or_link: str,
        params: Params | None = None,
        headers: Headers | None = None,
    ) -> Iterator[odata.Page]:
        """Yield the pages of a delta round, each with its next link or, last, its delta link.

        Save a page's link once its items are safe: the round continues from it after a crash.
        ``params`` belong to the first call only. Raises: ``DeltaExpired``: read the kind in full;
        ``Unavailable`` when the round ends without a delta link.
        """
        page: odata.Page | None = None
        for page in self.pages(path_or_link, params, headers):
            yield page
        if page is not None and not page.delta_link:
            raise errors.Unavailable(
                f"The delta of {addresses.short_path(path_or_link)} ended without a delta link.",
                hint="Read the kind in full.",
            )

    def count(self, path: str, params: Params | None = None) -> int:
        """Return ``{path}/$count``; it comes from an index that lags behind by seconds or more."""
        headers = self._read_headers({**EVENTUAL, "Accept": "text/plain, application/json"})
        text = self._send(
            "GET", self._url(f"{path.rstrip('/')}/$count", params), headers, parse=None
        )
        digits = bytes(text or b"").decode("utf-8-sig", "replace").strip()
        if not digits.isdigit():
            raise errors.Unavailable(
                f"Graph's count of {addresses.short_path(path)} is not a number."
            )
        return int(digits)

    def read(self, path: str, body: object, headers: Headers | None = None) -> dict[str, Any]:
        """POST a question that changes nothing (``getByIds``, ``checkMemberGroups``).

        Repeated like a GET.
        """
        answer = self._send(
            "POST", self._url(path), self._read_headers(headers), body=body, is_read=True
        )
        if not isinstance(answer, dict):
            raise errors.Unavailable(
                f"Graph's answer to POST {addresses.short_path(path)} is not a JSON object."
            )
        return answer

    # --- writes -------------------------------------------------------------------------------

    def post(
        self, path: str, body: object = None, headers: Headers | None = None
    ) -> dict[str, Any] | None:
        """Create, link or act; return what Graph returned, if anything.

        Raises: ``OutcomeUnknown`` when the reply was lost: look before sending it again.
        """
        return self._write("POST", path, body, headers)

    def patch(
        self, path: str, body: object, headers: Headers | None = None
    ) -> dict[str, Any] | None:
        """Change properties. Raises as ``post`` does."""
        return self._write("PATCH", path, body, headers)

    def put(self, path: str, body: object, headers: Headers | None = None) -> dict[str, Any] | None:
        """Replace, or set a single-valued reference. Raises as ``post`` does."""
        return self._write("PUT", path, body, headers)

    def delete(self, path: str, headers: Headers | None = None) -> None:
        """Delete the object that ``path`` names in its own collection.

        Raises: ``UsageError`` for a path through a link, which without ``/$ref`` would delete the
        linked object itself, and for ``/$ref``, which is ``remove_reference``'s.
        """
        addresses.ensure_deletes_only_its_own(path)
        if addresses.short_path(path).rstrip("/").endswith("/$ref"):
            raise errors.UsageError(
                f"DELETE {addresses.short_path(path)} removes a link, not an object.",
                hint="Use remove_reference.",
            )
        self._write("DELETE", path, None, headers)

    def remove_reference(self, path: str) -> None:
        """Remove one link, never the object at its end; ``reference_path`` makes ``path``.

        Raises: ``UsageError`` for a path that does not end in ``/$ref``.
        """
        addresses.ensure_deletes_only_its_own(path)
        if not addresses.short_path(path).endswith("/$ref"):
            raise errors.UsageError(
                f"DELETE {addresses.short_path(path)} would delete an object, not a link.",
                hint="The path of a link ends in /$ref.",
            )
        self._write("DELETE", path, None, None)

    # --- batches ------------------------------------------------------------------------------

    def batch(
        self, parts: Sequence[BatchRequest], *, is_serial: bool = False
    ) -> list[BatchResponse]:
        """Send requests in batches of twenty; return one response each, in order.

        Failures stay with their request and are not raised. Throttled parts are sent again after
        the longest wait that any of them was told, parts that failed with 5xx only when they are
        reads. ``is_serial`` runs the parts one after the other and stops at the first failure of
        each group of twenty (424). Batches of reads go four at a time. After a refusal of the
        token, throttling beyond all patience, or minutes of failures, the rest of a list with
        writes is not sent and carries that error.
        """
        chunks = list(chunked(parts))
        if len(chunks) > 1 and not is_serial and all(part.may_be_repeated for part in parts):
            with concurrent.futures.ThreadPoolExecutor(_PARALLEL_BATCHES) as pool:
                answered = pool.map(self._batch_or_errors, chunks, itertools.repeat(False))
                return renumbered([response for chunk in answered for response in chunk])
        responses: list[BatchResponse] = []
        stop: errors.GraphError | None = None
        for chunk in chunks:
            if stop is not None:
                responses.extend(unanswered(chunk, stop))
                continue
            found = self._batch_or_errors(chunk, is_serial)
            responses.extend(found)
            if isinstance(found[0].error, ENDS_A_LIST) and all(
                response.error is found[0].error for response in found
            ):
                stop = found[0].error
        return renumbered(responses)

    def _batch_or_errors(
        self, chunk: Sequence[BatchRequest], is_serial: bool
    ) -> list[BatchResponse]:
        try:
            return self._batch_of_twenty(chunk, is_serial)
        except errors.GraphError as failure:
            return unanswered(chunk, failure)

    def _batch_of_twenty(
        self, chunk: Sequence[BatchRequest], is_serial: bool
    ) -> list[BatchResponse]:
        def send(open_parts: Sequence[BatchRequest]) -> list[BatchResponse]:
            body = self._send(
                "POST",
                f"{self._root}/$batch",
                {**self._base_headers, "Content-Type": "application/json"},
                content=batch_body(
                    [self._with_preference(part) for part in open_parts], is_serial=is_serial
                ),
                is_read=all(part.may_be_repeated for part in open_parts),
                parts=[(_metered_method(part), part.path) for part in open_parts],
            )
            answered = responses_of(open_parts, body)
            self._settle_parts(open_parts, answered)
            return answered

        refused: list[BatchRequest] = []
        is_renewed = False

        def again(part: BatchRequest, response: BatchResponse) -> throttle.Again | None:
            nonlocal is_renewed
            if response.status == 401 and any(part is one for one in refused):
                return None  # the fresh token did not please either
            if response.status == 401:
                # A service behind Graph may turn a token away that the batch itself came in with.
                refused.append(part)
                if not is_renewed:
                    self.refresh_token()
                is_renewed = True
                return throttle.Again(None, is_throttled=False)
            if not asks_again(part, response):
                return None
            told = throttle.retry_after_seconds(response.headers, self.clock)
            is_throttled = response.status == 429
            if is_throttled and told:
                scopes = throttle.scopes_of(_metered_method(part), part.path)
                self._pace.pause(scopes, told, response.headers)
            return throttle.Again(told, is_throttled)

        return throttle.send_until_settled(
            chunk, send, again, self._pace, self.usage, self.listener, is_chain=is_serial
        )

    def _with_preference(self, part: BatchRequest) -> BatchRequest:
        if part.method != "GET":
            return part
        return BatchRequest(
            part.method, part.path, part.body, _with_enum_preference(part.headers), part.is_read
        )

    def _settle_parts(
        self, parts: Sequence[BatchRequest], answered: Iterable[BatchResponse]
    ) -> None:
        units = 0.0
        for part, response in zip(parts, answered, strict=True):
            self.usage.count_part(_metered_method(part), part.path)
            told = throttle.header(response.headers, "x-ms-resource-unit")
            units += float(told) if told.replace(".", "", 1).isdigit() else 1.0
        self.usage.add(resource_units=units)
        self._pace.settle({throttle.Scope.READ: float(len(parts))}, units, {})

    # --- who we are ---------------------------------------------------------------------------

    def granted_roles(self) -> frozenset[str] | None:
        """Return the application permissions of the present token; ``None`` when unreadable.

        New grants appear only in new tokens; ``refresh_token`` asks for one.
        """
        return auth.granted_roles(self._token().token)

    def refresh_token(self) -> None:
        """Forget the token, so that the next request carries a fresh one."""
        self._credential.refresh()

    def _token(self) -> AccessTokenInfo:
        return self._credential.get_token_info(self._scope)

    # --- sending ------------------------------------------------------------------------------

    def url(self, path: str) -> str:
        """Return the absolute address of ``path``, as references in bodies need it."""
        return self._url(path)

    def _url(self, path: str, params: Params | None = None) -> str:
        if "://" in path:
            addresses.ensure_same_origin(path, self.endpoint)
            url = path
        else:
            url = f"{self._root}/{path.lstrip('/')}"
        if params:
            url += ("&" if "?" in url else "?") + addresses.query_string(params)
        return url

    def _read_headers(self, headers: Headers | None) -> dict[str, str]:
        return {**self._base_headers, **_with_enum_preference(headers or {})}

    def _write(
        self, method: str, path: str, body: object, headers: Headers | None
    ) -> dict[str, Any] | None:
        answer = self._send(
            method, self._url(path), {**self._base_headers, **(headers or {})}, body=body
        )
        return answer if isinstance(answer, dict) else None

    def _send(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        *,
        body: object = None,
        content: bytes | None = None,
        is_read: bool | None = None,
        parse: Callable[[bytes], object] | None = orjson.loads,
        parts: Sequence[tuple[str, str]] = (),
    ) -> Any:
        if body is not None:
            content = orjson.dumps(body)
            headers = {**headers, "Content-Type": "application/json"}
        elif content is None and method in ("POST", "PATCH", "PUT"):
            content = b""
        answer = self._pipeline.run(
            HttpRequest(method, url, headers=headers, content=content),
            is_read=(method == "GET") if is_read is None else is_read,
            parse=parse,
            parts=parts,
            **self._options,
        )
        response = answer.http_response
        if 200 <= response.status_code < 300:
            return response.content if parse is None else answer.context.get("body")
        error = odata.error_from_answer(
            response.status_code, response.headers, response.content, method=method, path=url
        )
        error.retry_after_seconds = throttle.retry_after_seconds(response.headers, self.clock)
        raise error


def reference_path(source_path: str, navigation: str, target_id: str = "") -> str:
    """Return the path whose DELETE removes one link; it always ends in ``/$ref``."""
    target = f"/{addresses.segment(target_id)}" if target_id else ""
    path = f"{source_path.strip('/')}/{navigation}{target}/$ref"
    addresses.ensure_deletes_only_its_own(path)
    return path


def connect(
    connection: auth.TenantConnection,
    secret: auth.SecretProvider = lambda: "",
    *,
    limits: throttle.Limits = throttle.DEFAULT_LIMITS,
    clock: clocks.Clock = clocks.SYSTEM,
    priority: str = "",
    listener: progress.Listener = progress.ignore,
) -> GraphClient:
    """Return a client for the tenant; nothing is sent until it is used.

    ``priority`` is Graph's ``x-ms-throttle-priority``: ``low`` for backups, which then are the
    first to be throttled.
    """
    endpoints = connection.endpoints
    return GraphClient(
        endpoints.graph,
        auth.TenantCredential(connection, secret),
        throttle.throttle_of(
            endpoints.graph, connection.tenant_id, connection.client_id, limits, clock
        ),
        tenant_id=connection.tenant_id,
        scope=connection.scope,
        ca_file=connection.ca_file,
        priority=priority,
        listener=listener,
    )


def _metered_method(part: BatchRequest) -> str:
    return "GET" if part.may_be_repeated else part.method


def _with_enum_preference(headers: Headers) -> dict[str, str]:
    """Return ``headers`` with the enum preference added to what ``Prefer`` holds already."""
    merged = dict(headers)
    name = next((n for n in merged if n.lower() == "prefer"), "Prefer")
    given = merged.get(name, "")
    merged[name] = f"{given}, {_KNOW_ALL_ENUM_MEMBERS}" if given else _KNOW_ALL_ENUM_MEMBERS
    return merged
