"""One's own open sessions: where from, since when, and ending them."""

from __future__ import annotations

from typing import Any, cast

from litestar import Request
from litestar.params import FromPath

from reentra.api import guarding
from reentra.api.documents import EndedDocument, OpenSessionDocument, OpenSessionsPage
from reentra.api.routing import Needs, route
from reentra.api.serving import Served, SignedIn

_TAGS = ("session",)


@route("GET", "/sessions", Needs.SIGN_IN, tags=_TAGS, summary="One's own open sessions")
def list_sessions(
    request: Request[Any, Any, Any], serving: Served, identity: SignedIn
) -> OpenSessionsPage:
    """List one's own sessions that have not ended, the one seen last first."""
    identity.ensure_in_person()
    secret = guarding.session_secret(request, serving)
    found = serving.access.sessions.list_open(identity.person.id, secret)
    items = [cast("OpenSessionDocument", one.to_json()) for one in found]
    return {"items": items, "next": ""}


@route(
    "DELETE", "/sessions", Needs.SIGN_IN, action="session.revoke", is_sensitive=True, tags=_TAGS,
    summary="End all of one's other sessions",
)  # fmt: skip
def end_others(
    request: Request[Any, Any, Any], serving: Served, identity: SignedIn
) -> EndedDocument:
    """End every session of one's own at once but this one."""
    identity.ensure_in_person()
    secret = guarding.session_secret(request, serving)
    return {"ended": serving.access.sign_in.end_others(secret, identity)}


@route(
    "DELETE", "/sessions/{session:str}", Needs.SIGN_IN, action="session.revoke",
    is_sensitive=True, tags=_TAGS, summary="End one of one's own sessions",
)  # fmt: skip
def end_session(session: FromPath[str], serving: Served, identity: SignedIn) -> EndedDocument:
    """End a session of one's own at once; somebody else's is not there."""
    identity.ensure_in_person()
    serving.access.sign_in.end_one(session, identity)
    return {"ended": 1}


ROUTES = (list_sessions, end_others, end_session)
