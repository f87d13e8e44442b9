"""Errors as pages: what happened, to what, and what to do next."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.response import Redirect

from reentra import errors
from reentra.api import problems, tenants
from reentra.api.oidc import CALLBACK, SIGN_IN
from reentra.api.serving import Serving
from reentra.web.returning import and_back, wanted_by
from reentra.web.visiting import Visit

# Of the API, and yet what a browser shows to somebody who signs in.
_OF_BROWSERS = (SIGN_IN, CALLBACK)


def is_page(request: Request[Any, Any, Any]) -> bool:
    """Tell whether an address is a page's, or the API's."""
    path = request.url.path
    return not path.startswith("/api/") or (
        path in _OF_BROWSERS and "text/html" in request.headers.get("accept", "")
    )


def of_error(request: Request[Any, Any, Any], failure: Exception) -> Response[Any]:
    """Answer with one of our own errors; who must show who they are is led to where one does."""
    if request.url.path.startswith("/api/"):
        return _answer(request, problems.of_error(request, failure))
    if isinstance(failure, errors.NotSignedIn):
        return _led(request, "/sign-in")
    if isinstance(failure, errors.FreshSignInNeeded):
        return _led(request, "/confirm")
    return _answer(request, problems.of_error(request, failure))


def of_http(request: Request[Any, Any, Any], failure: Exception) -> Response[Any]:
    """Answer with what the framework says."""
    assert isinstance(failure, HTTPException)
    return _answer(request, problems.of_http(request, failure))


def of_unforeseen(request: Request[Any, Any, Any], failure: Exception) -> Response[Any]:
    """Answer with a number to look for in the log."""
    return _answer(request, problems.of_unforeseen(request, failure))


def _answer(request: Request[Any, Any, Any], answer: Response[problems.Problem]) -> Response[Any]:
    if not is_page(request):
        return answer
    serving: Serving = request.app.state.serving
    state = request.scope["state"]
    visit = Visit(request, serving, state.get("identity") or state.get("asker"))
    problem = answer.content
    shown = visit.show(
        "error.html", status=problem.status, problem=problem, tenant=_tenant_of(visit)
    )
    for name, value in answer.headers.items():
        shown.headers.setdefault(name, value)
    return shown


def _tenant_of(visit: Visit) -> str:
    """Return the tenant in the address, when there is one that this person sees."""
    parts = visit.request.url.path.split("/")
    name = parts[2] if parts[1:2] == ["tenants"] and len(parts) > 2 else ""
    if not name or visit.identity is None:
        return ""
    known = visit.ask(tenants.list_tenants)["items"]
    return name if any(item["name"] == name for item in known) else ""


def _led(request: Request[Any, Any, Any], address: str) -> Response[Any]:
    return Redirect(and_back(address, wanted_by(request)), status_code=303)
