"""``make_app``: the pages and the API as one application."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get
from litestar.di import Provide
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import FromPath

from reentra import errors
from reentra.api.application import make_litestar
from reentra.api.hardening import Hardening
from reentra.api.serving import Serving
from reentra.web import (
    account,
    approvals,
    audit,
    compare,
    coverage,
    downloads,
    failing,
    job,
    jobs,
    keys,
    moments,
    object_compare,
    object_page,
    objects,
    overview,
    people,
    plans,
    rendering,
    restore,
    retention,
    search,
    sessions,
    settings,
    signin,
    snapshots,
    tenant_settings,
    tenants,
    tokens,
    viewer,
)
from reentra.web.assets import load_assets
from reentra.web.routing import Needs
from reentra.web.visiting import Visit

ROUTES = (
    *account.ROUTES,
    *approvals.ROUTES,
    *audit.ROUTES,
    *compare.ROUTES,
    *coverage.ROUTES,
    *downloads.ROUTES,
    *job.ROUTES,
    *jobs.ROUTES,
    *keys.ROUTES,
    *moments.ROUTES,
    *object_compare.ROUTES,
    *object_page.ROUTES,
    *objects.ROUTES,
    *overview.ROUTES,
    *people.ROUTES,
    *plans.ROUTES,
    *restore.ROUTES,
    *retention.ROUTES,
    *search.ROUTES,
    *sessions.ROUTES,
    *settings.ROUTES,
    *signin.ROUTES,
    *snapshots.ROUTES,
    *tenant_settings.ROUTES,
    *tenants.ROUTES,
    *tokens.ROUTES,
    *viewer.ROUTES,
)
_FOREVER = "public, max-age=31536000, immutable"  # the address changes when the content does


@get("/static/{name:str}", opt={"needs": Needs.NOTHING}, sync_to_thread=False,
     include_in_schema=False)  # fmt: skip
def send_asset(name: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes]:
    """Send a file that pages load, compressed. Pages are not: they hold secrets beside input."""
    found = load_assets().files.get(name)
    if found is None:
        raise NotFoundException(f"There is no file {name!r}.")
    headers = {"cache-control": _FOREVER, "vary": "accept-encoding"}
    content = found.content
    if encoding := found.encoding_for(request.headers.get("accept-encoding", "")):
        content = found.compressed[encoding]
        headers["content-encoding"] = encoding
    return Response(content, media_type=found.media_type, headers=headers)


def make_app(serving: Serving) -> Hardening:
    """Return the application to be served: pages and API behind one guard.

    Raises: ``ConfigurationError`` when the pages' files are not built.
    """
    rendering.environment()
    pages = Router(
        "/",
        route_handlers=[*ROUTES, send_asset],
        dependencies={"visit": Provide(_visit, sync_to_thread=False)},
        include_in_schema=False,
    )
    inner = make_litestar(
        serving,
        routers=[pages],
        exception_handlers={
            errors.Error: failing.of_error,
            HTTPException: failing.of_http,
            Exception: failing.of_unforeseen,
        },
    )
    return Hardening(inner, serving)


def _visit(request: Request[Any, Any, Any]) -> Visit:
    serving: Serving = request.app.state.serving
    return Visit(request, serving, request.scope["state"].get("identity"))
