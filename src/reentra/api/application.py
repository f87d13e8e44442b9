"""``make_api``: the routes, the guard, the errors and the description, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Litestar, Request, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException

from reentra import errors
from reentra.access import Identity
from reentra.api import (
    assignments,
    downloads,
    finding,
    guarding,
    jobs,
    keys,
    links,
    oidc,
    people,
    problems,
    restores,
    retention,
    session,
    sessions,
    snapshots,
    tenants,
)
from reentra.api.description import complete, description_config
from reentra.api.hardening import MOST_BODY_BYTES, Hardening
from reentra.api.routing import Needs, route
from reentra.api.serving import Serving

PREFIX = "/api/v1"
ROUTES = (
    *session.ROUTES,
    *sessions.ROUTES,
    *oidc.ROUTES,
    *tenants.ROUTES,
    *snapshots.ROUTES,
    *assignments.ROUTES,
    *links.ROUTES,
    *finding.ROUTES,
    *restores.ROUTES,
    *jobs.ROUTES,
    *downloads.ROUTES,
    *people.ROUTES,
    *retention.ROUTES,
    *keys.ROUTES,
)
ANSWERS: Mapping[Any, Any] = {
    errors.Error: problems.of_error,
    HTTPException: problems.of_http,
    Exception: problems.of_unforeseen,
}


@route("GET", "/openapi.json", Needs.NOTHING, summary="This description", include_in_schema=False)
def describe(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Return the OpenAPI description of everything here."""
    return request.app.openapi_schema.to_schema()


def make_api(serving: Serving) -> Hardening:
    """Return the application to be served."""
    return Hardening(make_litestar(serving), serving)


def make_litestar(
    serving: Serving | None,
    *,
    routers: Sequence[Router] = (),
    exception_handlers: Mapping[Any, Any] = ANSWERS,
) -> Litestar:
    """Return the inner application; without ``serving`` it only describes itself.

    ``routers`` stand beside the API, behind the same guard.
    """

    def provide_serving() -> Serving:
        assert serving is not None
        return serving

    made = Litestar(
        [Router(PREFIX, route_handlers=[*ROUTES, describe]), *routers],
        guards=[guarding.guard],
        dependencies={
            "serving": Provide(provide_serving, sync_to_thread=False),
            "identity": Provide(_identity, sync_to_thread=False),
        },
        exception_handlers=dict(exception_handlers),
        openapi_config=description_config(PREFIX),
        request_max_body_size=MOST_BODY_BYTES,
        state=State({"serving": serving}),
        debug=False,
        pdb_on_exception=False,
        logging_config=None,
    )
    complete(made.openapi_schema)
    return made


def _identity(request: Request[Any, Any, Any]) -> Identity:
    found: Identity = request.scope["state"]["identity"]
    return found
