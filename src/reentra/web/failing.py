"""Errors as pages: what happened, to what, and what to do next."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.response import Redirect

from reentra import errors
from reentra.api import problems
from reentra.api.serving import Serving
from reentra.web.visiting import Visit


def is_page(request: Request[Any, Any, Any]) -> bool:
    """Tell whether an address is a page's, or the API's."""
    return not request.url.path.startswith("/api/")


def of_error(request: Request[Any, Any, Any], failure: Exception) -> Response[Any]:
    """Answer with one of our own errors; who is not signed in is led to where one signs in."""
    if isinstance(failure, errors.NotSignedIn) and is_page(request):
        return _to_sign_in(request)
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
    visit = Visit(request, serving, request.scope["state"].get("identity"))
    problem = answer.content
    shown = visit.show("error.html", status=problem.status, problem=problem)
    for name, value in answer.headers.items():
        shown.headers.setdefault(name, value)
    return shown


def _to_sign_in(request: Request[Any, Any, Any]) -> Response[Any]:
    wanted = request.url.path if request.method == "GET" else "/"
    if request.url.query and request.method == "GET":
        wanted += f"?{request.url.query}"
    address = "/sign-in" if wanted == "/" else f"/sign-in?next={quote(wanted, safe='/')}"
    return Redirect(address, status_code=303)
