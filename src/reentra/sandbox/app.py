"""One sandbox: a tenant with its faults, limits and clients, and every request's way through it.

`Sandbox.handle` is the whole service as a function from request to response; `SandboxServer` puts
it behind a socket on a thread of this process.
"""

from __future__ import annotations

import email.utils
import gzip
import logging
import ssl
import traceback
from pathlib import Path
from typing import Any

import orjson

from reentra.sandbox import admin, batch, delta, paging, permissions, routes, seed, tls, written
from reentra.sandbox.clock import Clock, timestamp
from reentra.sandbox.errors import GraphError, bad_request, denied
from reentra.sandbox.faults import STATUS_CODES, Fault, FaultKind, Faults, When
from reentra.sandbox.http import HttpServer, Request, Response
from reentra.sandbox.sign_in import SignIns
from reentra.sandbox.tenant import Tenant, TenantOptions
from reentra.sandbox.throttle import Throttle, is_conditional_access
from reentra.sandbox.tokens import TokenService
from reentra.sandbox.world import (
    Answer,
    Call,
    Counters,
    LogEntry,
    Options,
    World,
)
from reentra.sandbox.writes import WRITE_ROUTES

JSON_TYPE = (
    "application/json;odata.metadata=minimal;odata.streaming=true;"
    "IEEE754Compatible=false;charset=utf-8"
)
_DIAGNOSTIC = (
    '{"ServerInfo":{"DataCenter":"Sandbox","Slice":"E","Ring":"0","ScaleUnit":"000",'
    '"RoleInstance":"SANDBOX0"}}'
)
_GZIP_FROM_BYTES = 1024
_LOG = logging.getLogger(__name__)

_BROKEN_TRANSFERS = frozenset({FaultKind.RESET, FaultKind.TRUNCATED})


def _router() -> routes.Router:
    router = routes.Router()
    for read in routes.read_routes():
        router.add(read)
    for route in WRITE_ROUTES:
        router.add(routes.Route(route.method, route.template, written.handler_of(route), True))
    return router


class Sandbox:
    """An imitated tenant and everything that decides how it answers."""

    def __init__(
        self,
        seed_name: str | None = "small",
        *,
        users: int | None = None,
        tenant: Tenant | None = None,
        options: Options | None = None,
        tenant_options: TenantOptions | None = None,
        clock: Clock | None = None,
        tenant_id: str = seed.TENANT_ID,
    ) -> None:
        self.options = options or Options()
        if tenant is None:
            tenant = Tenant(tenant_id, clock or Clock(), tenant_options)
            if seed_name is not None:
                seed.plant(tenant, seed_name, users=users)
        # A stale replica can only be played when the state before the last write is kept.
        tenant.options.remember_previous = True
        tokens = TokenService(tenant.tenant_id, tenant.clock)
        tokens.sign_ins = SignIns(tenant)
        for client in seed.registered_clients(tenant):
            tokens.register(client)
        throttle = Throttle(
            self.options.throttle_factor(), len(tenant.collection("user")), tenant.tenant_id
        )
        self.world = World(tenant, self.options, tokens, throttle)
        self.world.settle()
        self._router = _router()
        self._requests = 0

    @property
    def tenant(self) -> Tenant:
        return self.world.tenant

    @property
    def clock(self) -> Clock:
        return self.world.tenant.clock

    @property
    def tokens(self) -> TokenService:
        return self.world.tokens

    @property
    def faults(self) -> Faults:
        return self.world.faults

    @property
    def counters(self) -> Counters:
        return self.world.counters

    def token(self, client_id: str | None = None) -> str:
        """Return an access token without asking for a credential; by default for all permissions.

        Raises:
            KeyError: no such client.
        """
        client = self.tokens.client(client_id or seed.BOTH_CLIENT_ID)
        if client is None:
            raise KeyError(client_id)
        return self.tokens.issue(client)

    def withdraw(self, permission: str, client_id: str | None = None) -> None:
        """Take a permission from a client, or from every client, from now on."""
        for client in self.tokens.clients():
            if client_id is None or client.client_id == client_id:
                self.world.withdrawn.setdefault(client.client_id, set()).add(permission)

    def grant(self, permission: str, client_id: str | None = None) -> None:
        """Give a permission to a client, or to every client, from now on."""
        for client in self.tokens.clients():
            if client_id is None or client.client_id == client_id:
                client.roles.add(permission)
                self.world.withdrawn.get(client.client_id, set()).discard(permission)

    # --- requests ------------------------------------------------------------------------

    def handle(self, request: Request) -> Response:
        """Answer one request, whatever it is; nothing is ever raised.

        A fault of the sandbox itself is answered with 500, logged, and kept in
        ``counters.crashes``, so that a test can insist on there being none.
        """
        with self.tenant.lock:
            try:
                response = self._dispatch(request)
            except Exception:
                self.counters.crashes.append(traceback.format_exc())
                _LOG.exception("the sandbox failed at %s %s", request.method, request.path)
                call = self._new_call(request, request.path)
                error = GraphError(500, "InternalServerError", "The sandbox itself failed.")
                response = self._dress(call, self._refusal(call, error))
        self.counters.bytes_sent += len(response.body)
        return response

    def _dispatch(self, request: Request) -> Response:
        path = request.path
        if path.startswith("/v1.0/"):
            if path.lower().rstrip("/") == "/v1.0/$batch":
                return self._batch(request)
            return self._graph(request)
        segments = [segment for segment in path.split("/") if segment]
        if segments and segments[0] == "_sandbox":
            return admin.answer(self, request, segments[1:])
        answered = self.tokens.answer(request, segments) if segments else None
        if answered is not None:
            return answered
        return self._unknown(request)

    def _unknown(self, request: Request) -> Response:
        call = self._new_call(request, request.path)
        error = GraphError(
            501,
            "NotImplemented",
            f"The sandbox does not know '{request.method} {request.path}'.",
        )
        return self._dress(call, self._refusal(call, error))

    def _new_call(self, request: Request, path: str) -> Call:
        query = request.query() if "?" in request.target else {}
        return Call(self.world, request, request.method, path, (), query, request.headers)

    def _batch(self, request: Request) -> Response:
        call = self._new_call(request, "/$batch")
        call.operation = "POST /$batch"
        fault = self.faults.take(request.method, "/$batch")
        try:
            if fault is not None and fault.when is When.BEFORE:
                return self._dress(call, self._strike(call, fault, None), fault)
            if request.method != "POST":
                raise GraphError(405, "Request_BadRequest", "Method not allowed.")
            call.caller = self.tokens.caller(request.headers.get("authorization"))
            body = _parsed(request.body)
            answer = Answer(200, batch.run_batch(request, body, self._graph_in_batch))
        except GraphError as error:
            answer = self._refusal(call, error)
        if fault is not None:
            answer = self._strike(call, fault, answer)
        return self._dress(call, answer, fault)

    def _graph_in_batch(self, request: Request) -> Response:
        return self._graph(request, in_batch=True)

    def _graph(self, request: Request, *, in_batch: bool = False) -> Response:
        path = request.path[len("/v1.0") :]
        call = self._new_call(request, path)
        target = request.target[len("/v1.0") :]
        fault = self.faults.take(request.method, target)
        if fault is not None:
            call.fault = fault if fault.when is When.AFTER else None
            call.stale = fault.kind is FaultKind.STALE
        try:
            if fault is not None and fault.when is When.BEFORE:
                answer = self._strike(call, fault, None)
            else:
                answer = self._answer(call)
                if fault is not None:
                    answer = self._strike(call, fault, answer)
            if in_batch and fault is not None and fault.kind in _BROKEN_TRANSFERS:
                # A part of a batch has no connection of its own that could break.
                raise GraphError(504, "Service_TimeOut", "The part was not answered in time.")
        except GraphError as error:
            answer = self._refusal(call, error)
        return self._dress(call, answer, fault, in_batch=in_batch)

    def _answer(self, call: Call) -> Answer:
        call.caller = self.tokens.caller(call.headers.get("authorization"))
        call.roles = self.world.roles_of(call.caller.client_id)
        self._admit(call)
        parsed = routes.parse_path(call.path, call.method)
        call.segments, call.cast = parsed.segments, parsed.cast
        call.wants_count, call.wants_refs = parsed.wants_count, parsed.wants_refs
        route, call.params, known = self._router.find(call.method, parsed.segments, parsed.keys)
        if route is None:
            if known:
                call.operation = f"{call.method} (not allowed)"
                raise GraphError(
                    405, "Request_BadRequest", f"The method {call.method} is not allowed here."
                )
            raise GraphError(
                501, "NotImplemented", f"The sandbox does not know '{call.method} {call.path}'."
            )
        call.operation = route.operation
        if self.options.enforce_permissions:
            self._check_permission(call, route)
        if self.tenant.edition == "free" and is_conditional_access(call.path):
            raise GraphError(
                403,
                "AccessDenied",
                "Your tenant is not licensed for Conditional Access: Microsoft Entra ID P1 is "
                "needed.",
            )
        routes.resolve_keys(call, parsed.keys)
        if call.method in ("POST", "PATCH", "PUT"):
            call.body = _parsed(call.request.body)
        return route.handle(call)

    def _admit(self, call: Call) -> None:
        assert call.caller is not None
        verdict = self.world.throttle.admit(
            call.method,
            call.path.rstrip("/"),
            call.query,
            call.caller.client_id,
            self.clock.monotonic_seconds(),
        )
        call.units = verdict.units
        if verdict.allowed:
            if verdict.percentage is not None:
                call.percentage = verdict.percentage
            return
        headers: dict[str, str] = {}
        if verdict.retry_after_seconds is not None:
            headers["Retry-After"] = str(verdict.retry_after_seconds)
            headers["x-ms-throttle-scope"] = verdict.scope
            headers["x-ms-throttle-information"] = verdict.information
            headers["x-ms-throttle-limit-percentage"] = str(verdict.percentage)
        call.units = 0
        raise GraphError(429, "TooManyRequests", "Too many requests.", headers=headers)

    def _check_permission(self, call: Call, route: routes.Route) -> None:
        template = route.template
        type_ = ""
        if template.startswith("/directory/deletedItems"):
            type_ = routes.bin_type(self.tenant, call)
            if not type_:
                return
        if call.method == "DELETE" and (
            template.endswith("/{target}") or template == "/directoryObjects/{id}"
        ):
            # Without $ref it is the object itself that goes, and so its own permission counts.
            id_ = call.params.get("target", call.params.get("id", ""))
            target = self.tenant.find(id_)
            if target is not None and target.type in written.CONTEXTS:
                template = f"/{written.CONTEXTS[target.type]}/{{id}}"
        if not permissions.is_allowed(call.method, template, call.roles, type_):
            if "/conditionalAccess/" in template:
                raise GraphError(
                    403,
                    "AccessDenied",
                    "You cannot perform the requested operation, required scopes are missing in "
                    "the token.",
                )
            raise denied()

    # --- what goes wrong -----------------------------------------------------------------

    def _strike(self, call: Call, fault: Fault, answer: Answer | None) -> Answer:
        """Return what the client sees of a fault; ``answer`` is there when the effect was had."""
        kind = fault.kind
        if kind in (FaultKind.THROTTLED, FaultKind.THROTTLED_DATE):
            headers = {}
            if kind is FaultKind.THROTTLED_DATE:
                at = self.machine_seconds() + (fault.seconds or 0)
                headers["Retry-After"] = email.utils.formatdate(at, usegmt=True)
            elif fault.seconds is not None:
                headers["Retry-After"] = f"{fault.seconds:g}"
            error = GraphError(429, "TooManyRequests", "Too many requests.", headers=headers)
            return self._refusal(call, error)
        if kind is FaultKind.STATUS:
            code, message = STATUS_CODES.get(fault.status, ("UnknownError", "An error occurred."))
            headers = {}
            if fault.seconds is not None:
                headers["Retry-After"] = f"{fault.seconds:g}"
            error = GraphError(
                fault.status, fault.code or code, fault.message or message, headers=headers
            )
            return self._refusal(call, error)
        if kind is FaultKind.TOKEN_EXPIRED:
            return self._refusal(call, self.tokens.revoke(call.headers.get("authorization")))
        if kind is FaultKind.PAGE_TOKEN_EXPIRED:
            return self._refusal(call, paging.page_token_expired())
        if kind is FaultKind.DELTA_EXPIRED:
            select = call.query.get("$select")
            error = delta.expired(call, tuple(select.split(",")) if select else None)
            return self._refusal(call, error)
        if answer is None:
            answer = Answer(200, b'{"value":[]}')
        if kind is FaultKind.TRUNCATED:
            answer.body = answer.body[: len(answer.body) // 2]
        return answer

    def machine_seconds(self) -> float:
        """Return the machine's own time, as seconds since 1970, for dates that clients compare."""
        return Clock().seconds()

    def _refusal(self, call: Call, error: GraphError) -> Answer:
        date = timestamp(self.clock.now()).rstrip("Z")
        request_id = self._request_id(call)
        envelope = error.envelope(date, request_id, call.headers.get("client-request-id", ""))
        if error.status == 429:
            envelope["error"]["innerError"].update({"code": "429", "status": "429"})
        return Answer(error.status, orjson.dumps(envelope), dict(error.headers))

    def _request_id(self, call: Call) -> str:
        if not call.request_id:
            self._requests += 1
            call.request_id = f"5a4db0c5-0000-4000-8000-{self._requests:012x}"
        return call.request_id

    # --- the reply -----------------------------------------------------------------------

    def _dress(
        self, call: Call, answer: Answer, fault: Fault | None = None, *, in_batch: bool = False
    ) -> Response:
        request_id = self._request_id(call)
        headers = {
            "Content-Type": answer.content_type or JSON_TYPE,
            "Date": email.utils.formatdate(self.machine_seconds(), usegmt=True),
            "Cache-Control": "no-cache",
            "Strict-Transport-Security": "max-age=31536000",
            "request-id": request_id,
            "client-request-id": call.headers.get("client-request-id", request_id),
            "odata-version": "4.0",
            "x-ms-ags-diagnostic": _DIAGNOSTIC,
        }
        if call.units:
            headers["x-ms-resource-unit"] = str(call.units)
        if call.percentage is not None:
            headers["x-ms-throttle-limit-percentage"] = str(call.percentage)
        headers.update(answer.headers)
        if answer.status == 204:
            del headers["Content-Type"]
        response = Response(answer.status, headers, answer.body)
        client_id = call.caller.client_id if call.caller is not None else ""
        self.counters.count(
            LogEntry(
                call.method,
                call.request.target[:500],
                call.operation,
                answer.status,
                call.units,
                client_id,
                in_batch,
            )
        )
        if in_batch:
            return response
        response.delay_seconds = self.options.latency_seconds
        if fault is not None:
            if fault.kind is FaultKind.DELAY:
                response.delay_seconds = fault.seconds or 0.0
            elif fault.kind is FaultKind.RESET:
                response.cut_after_bytes = len(response.body) // 2
        wants_gzip = "gzip" in call.headers.get("accept-encoding", "")
        if self.options.gzip and wants_gzip and len(response.body) >= _GZIP_FROM_BYTES:
            response.body = gzip.compress(response.body, 1)
            response.headers["Content-Encoding"] = "gzip"
        return response


def _parsed(body: bytes) -> Any:
    if not body.strip():
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"Unable to read JSON request payload. {error}") from None


# --- in a thread of this process ------------------------------------------------------------


class SandboxServer:
    """A sandbox listening on the loopback interface, on a thread of this process.

    A context manager: started on entering, stopped on leaving.
    """

    def __init__(
        self,
        sandbox: Sandbox | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls_folder: Path | None = None,
        **sandbox_arguments: Any,
    ) -> None:
        self.sandbox = sandbox or Sandbox(**sandbox_arguments)
        self.ca_file: Path | None = None
        context: ssl.SSLContext | None = None
        if tls_folder is not None:
            files = tls.write_tls_files(tls_folder, Clock().now())
            self.ca_file = files.ca_file
            context = files.server_context()
        self._server = HttpServer(self.sandbox.handle, host=host, port=port, tls=context)

    @property
    def base_url(self) -> str:
        return self._server.base_url

    @property
    def graph_url(self) -> str:
        return f"{self.base_url}/v1.0"

    def start(self) -> str:
        """Start listening and return the base URL."""
        return self._server.start()

    def stop(self) -> None:
        """Stop listening; idempotent."""
        self._server.stop()

    def __enter__(self) -> SandboxServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
