"""The one guard: who asks, may they, and is it in the trail. It runs before every handler."""

from __future__ import annotations

import hmac
from typing import Any
from urllib.parse import urlsplit

from anyio import to_thread
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from reentra import errors
from reentra.access import EVERY_TENANT, Actor, Entry, Identity, Permission, Via
from reentra.access.sessions import csrf_token
from reentra.api.routing import Needs
from reentra.api.serving import Serving
from reentra.connections import ensure_name_is_usable

CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf_token"  # of a page's form
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_Connection = ASGIConnection[Any, Any, Any, Any]


async def guard(connection: _Connection, handler: BaseRouteHandler) -> None:
    """Let pass what is allowed. A route that says nothing of its needs is closed.

    A form that was sent is left in the request's state as ``form``.
    Raises: ``NotSignedIn``, ``NotAllowed``, ``NotFound``, ``FreshSignInNeeded``,
    ``TooManyAttempts``.
    """
    needs = handler.opt.get("needs")
    csrf = connection.headers.get(CSRF_HEADER, "")
    if handler.opt.get("is_page") and isinstance(connection, Request) and _sends_form(connection):
        form = connection.scope["state"]["form"] = await connection.form()
        csrf = csrf or str(form.get(CSRF_FIELD) or "")
    if needs is Needs.NOTHING:
        return
    action, is_sensitive = str(handler.opt.get("action", "")), bool(handler.opt.get("is_sensitive"))
    await to_thread.run_sync(_check, connection, needs, action, is_sensitive, csrf)


def tell(
    request: Request[Any, Any, Any], *, tenant: str = "", target: str = "", **detail: Any
) -> None:
    """Let the record of how a request ended tell what its body names, beside its address."""
    actor, entry = request.scope["state"]["recorded"]
    told = Entry(
        entry.action, tenant or entry.tenant, target or entry.target, detail=detail or entry.detail
    )
    request.scope["state"]["recorded"] = (actor, told)


def address_of(connection: _Connection, serving: Serving) -> str:
    """Return where a request comes from: the last hop that our own proxy saw, or the peer."""
    if serving.trusts_proxy:
        forwarded = connection.headers.getall("x-forwarded-for", [])
        last = ",".join(forwarded).rpartition(",")[2].strip()
        if last:
            return last[:64]
    return connection.client.host if connection.client else ""


def session_secret(connection: _Connection, serving: Serving) -> str:
    """Return what the session cookie holds, or nothing."""
    return connection.cookies.get(serving.cookie, "")


def is_still_allowed(
    connection: _Connection, serving: Serving, permission: Permission, tenant: str
) -> bool:
    """Tell whether who asked then would be let in now, for answers that last."""
    try:
        identity = _identify(connection, serving, address_of(connection, serving), "")
    except errors.AccessError:
        return False
    return identity.is_allowed(permission, tenant)


def _sends_form(connection: _Connection) -> bool:
    media_type = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/x-www-form-urlencoded"


def _check(
    connection: _Connection, needs: object, action: str, is_sensitive: bool, csrf: str
) -> None:
    serving: Serving = connection.app.state.serving
    address = address_of(connection, serving)
    identity = _identify(connection, serving, address, csrf)
    # Who they are is known from here on, also to the page that tells them of a refusal.
    connection.scope["state"]["asker"] = identity
    tenant = str(connection.path_params.get("tenant", ""))
    entry = Entry(action, tenant, _target(connection))
    try:
        if tenant:
            # What a tenant that is gone has left stands under a name that is none.
            ensure_name_is_usable(tenant)
        if isinstance(needs, Permission):
            identity.ensure(needs, tenant or EVERY_TENANT)
        elif needs is not Needs.SIGN_IN:
            raise errors.NotAllowed("This address is closed.")
        if is_sensitive:
            identity.ensure_fresh()
    except errors.Error:
        # Of what changes nothing there is no other record, and so no word but the permission's.
        word = action or (needs.value if isinstance(needs, Permission) else "closed")
        denied = Entry(word, tenant, entry.target, "denied")
        serving.access.trail.record(identity.actor, denied)
        raise
    if action:
        begun = Entry(action, tenant, entry.target, "begun")
        serving.access.trail.record(identity.actor, begun)
        connection.scope["state"]["recorded"] = (identity.actor, entry)
    connection.scope["state"]["identity"] = identity


def _identify(connection: _Connection, serving: Serving, address: str, csrf: str) -> Identity:
    sign_in = serving.access.sign_in
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme:
        found = sign_in.by_token(token.strip(), address) if scheme.lower() == "bearer" else None
        if found is None:
            raise errors.NotSignedIn("The token is not good.")
        return found
    secret = session_secret(connection, serving)
    found = sign_in.by_session(secret, address) if secret else None
    if found is None:
        raise errors.NotSignedIn("Nobody is signed in.")
    if str(connection.scope.get("method")) not in _SAFE:
        ensure_same_site(connection, serving)
        if not hmac.compare_digest(csrf.encode(), csrf_token(secret).encode()):
            raise errors.NotAllowed(
                "The request does not come from a page of Reentra.",
                hint=f"Send the session's csrf_token in the header {CSRF_HEADER}.",
            )
    return found


def ensure_same_site(connection: _Connection, serving: Serving) -> None:
    """Let pass what a browser does not name as coming from elsewhere.

    Raises: ``NotAllowed``.
    """
    site = connection.headers.get("sec-fetch-site", "same-origin")
    origin = connection.headers.get("origin", "")
    try:
        host = urlsplit(origin).hostname or ""
    except ValueError:
        host = ""
    is_foreign = bool(origin) and host not in serving.hosts
    if is_foreign or site not in {"same-origin", "none"}:
        raise errors.NotAllowed("The request comes from another site.", hint="")


def _target(connection: _Connection) -> str:
    parameters = connection.path_params
    return "/".join(str(parameters[name]) for name in sorted(parameters) if name != "tenant")


def nobody(address: str) -> Actor:
    """Return the actor of who has not signed in."""
    return Actor(Via.NOBODY, "nobody", address=address)
