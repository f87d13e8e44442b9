"""Signing in with Microsoft Entra ID; its settings; the switch for the day it is compromised."""

from __future__ import annotations

from typing import Any, Literal, cast

import msgspec
from litestar import Request
from litestar.params import FromQuery, JSONBody
from litestar.response import Redirect

from reentra import errors
from reentra.access import Entry, Permission
from reentra.access.oidc import FLOW_SECONDS, Provider, Rule, seal_secret
from reentra.access.roles import parse_role
from reentra.api import guarding
from reentra.api.documents import ProviderDocument, ProviderSettingsDocument
from reentra.api.routing import Guid, Needs, route
from reentra.api.serving import Served, Serving, SignedIn
from reentra.api.session import set_session_cookie
from reentra.graph.connection import CLOUDS, Cloud

_TAGS = ("session",)
SIGN_IN = "/api/v1/session/oidc"
CALLBACK = f"{SIGN_IN}/callback"


class NewRule(msgspec.Struct, forbid_unknown_fields=True):
    """Who has ``value`` in the claim has this role for the tenant, or for all."""

    claim: Literal["groups", "roles"]
    value: str
    role: Literal["reader", "operator", "restorer", "administrator"]
    tenant: str = "*"


class NewProvider(msgspec.Struct, forbid_unknown_fields=True):
    """A directory of Microsoft's clouds that vouches for people.

    An empty secret keeps the one that is there. Other addresses are the command line's.
    """

    directory: Guid
    client_id: Guid
    rules: list[NewRule]
    client_secret: str = ""
    cloud: Literal["global", "usgov", "usgovdod", "china"] = "global"


class Emergency(msgspec.Struct, forbid_unknown_fields=True):
    """Whether the provider is no longer believed."""

    on: bool


@route(
    "GET", "/session/oidc", Needs.NOTHING, tags=_TAGS, status=302,
    summary="Sign in with Microsoft Entra ID",
)  # fmt: skip
def begin(
    request: Request[Any, Any, Any], serving: Served, fresh: FromQuery[bool] = False
) -> Redirect:
    """Send the browser to the identity provider; ``fresh`` has it ask for the password again."""
    serving.access.attempts.begin_flow(guarding.address_of(request, serving))
    address, flow = serving.access.oidc().begin(_callback(serving), is_fresh=fresh)
    response = Redirect(address, status_code=302)
    response.set_cookie(
        f"{serving.cookie}-oidc",
        flow,
        max_age=FLOW_SECONDS,
        path="/",
        secure=serving.is_secure,
        httponly=True,
        samesite="lax",
    )
    return response


@route(
    "GET", "/session/oidc/callback", Needs.NOTHING, tags=_TAGS, status=303,
    summary="Back from the identity provider",
)  # fmt: skip
def finish(
    request: Request[Any, Any, Any],
    serving: Served,
) -> Redirect:
    """Open a session for who comes back, and lead to the first page, nowhere else."""
    address = guarding.address_of(request, serving)
    serving.access.attempts.begin("", address)
    # Read by hand: a parameter of the name state means something else to the framework.
    state = request.query_params.get("state", "")
    code = request.query_params.get("code", "")
    flow = request.cookies.get(f"{serving.cookie}-oidc", "")
    try:
        person, proved_at = serving.access.oidc().finish(
            flow, state, code, _callback(serving), address
        )
    except errors.AccessError:
        denied = Entry("session.open", target="provider", result="denied")
        serving.access.trail.record(guarding.nobody(address), denied)
        raise
    serving.access.attempts.succeed_flow(address)
    serving.access.sessions.end(guarding.session_secret(request, serving))
    secret = serving.access.sign_in.open_session(person, address, proved_at)
    response = Redirect("/", status_code=303)
    set_session_cookie(serving, response, secret)
    response.set_cookie(
        f"{serving.cookie}-oidc", "", max_age=0, path="/", secure=serving.is_secure,
        httponly=True, samesite="lax",
    )  # fmt: skip
    return response


@route(
    "GET", "/settings/oidc", Permission.SETTINGS, tags=("settings",),
    summary="The identity provider",
)  # fmt: skip
def show_provider(serving: Served) -> ProviderSettingsDocument:
    """Return the identity provider without its secret."""
    return _document(serving)


@route(
    "PUT", "/settings/oidc", Permission.SETTINGS, action="oidc.set",
    is_sensitive=True, tags=("settings",), summary="Set the identity provider",
)  # fmt: skip
def set_provider(
    data: JSONBody[NewProvider], serving: Served, identity: SignedIn
) -> ProviderSettingsDocument:
    """Set which directory vouches for people, and which groups or app roles have which role."""
    identity.ensure_in_person()
    known = serving.access.load_provider()
    authority = CLOUDS[Cloud(data.cloud)].authority
    if data.client_secret:
        sealed = seal_secret(serving.access.vault, data.client_secret)
    elif known is not None and (known.authority, known.directory) == (authority, data.directory):
        sealed = known.sealed_secret
    else:
        raise errors.UsageError("The application's client secret is missing.")
    rules = tuple(
        Rule(rule.claim, rule.value, parse_role(rule.role), rule.tenant) for rule in data.rules
    )
    serving.access.save_provider(
        identity.actor, Provider(authority, data.directory, data.client_id, sealed, rules)
    )
    return _document(serving)


@route(
    "PUT", "/settings/emergency", Permission.SETTINGS, action="oidc.emergency",
    is_sensitive=True, tags=("settings",), summary="Stop believing the identity provider",
)  # fmt: skip
def emergency(
    data: JSONBody[Emergency], serving: Served, identity: SignedIn
) -> ProviderSettingsDocument:
    """Shut out everybody whom the provider vouches for, sessions and tokens, or let them in."""
    identity.ensure_in_person()
    if identity.person.is_external and not data.on:
        raise errors.NotAllowed("Only a local account says that the provider is good again.")
    serving.access.set_provider_believed(identity.actor, is_believed=not data.on)
    return _document(serving)


def _callback(serving: Serving) -> str:
    return serving.application.settings.public_url.rstrip("/") + CALLBACK


def _document(serving: Serving) -> ProviderSettingsDocument:
    provider = serving.access.load_provider()
    if provider is None:
        return {"provider": None, "callback": _callback(serving)}
    document = provider.to_json()
    for name in ("sealed_secret", "ca_file"):
        del document[name]
    # Two clouds share an authority: for signing in they are the same.
    clouds = (
        cloud.value for cloud, known in CLOUDS.items() if known.authority == provider.authority
    )
    document["cloud"] = next(clouds, Cloud.CUSTOM.value)
    return {"provider": cast("ProviderDocument", document), "callback": _callback(serving)}


ROUTES = (begin, finish, show_provider, set_provider, emergency)
