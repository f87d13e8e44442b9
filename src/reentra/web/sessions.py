"""One's own open sessions, and ending them."""

from __future__ import annotations

from typing import Any

from litestar import Response
from litestar.params import FromPath

from reentra.api import sessions
from reentra.web.routing import Needs, form_for, page
from reentra.web.visiting import Visiting


@page("/account/sessions", Needs.SIGN_IN, is_sensitive=True)
def show_sessions(visit: Visiting) -> Response[str]:
    """Show where one is signed in."""
    return visit.show("sessions.html", sessions=visit.ask(sessions.list_sessions)["items"])


@form_for("/account/sessions", sessions.end_others)
def end_others(visit: Visiting) -> Response[Any]:
    """End every other session, and show what is left."""
    visit.ask(sessions.end_others)
    return visit.lead("/account/sessions")


@form_for("/account/sessions/{session:str}", sessions.end_session)
def end_session(session: FromPath[str], visit: Visiting) -> Response[Any]:
    """End one session, and show what is left."""
    visit.ask(sessions.end_session, session=session)
    return visit.lead("/account/sessions")


ROUTES = (show_sessions, end_others, end_session)
