"""Signing in and out, and what everybody may change of themselves."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from litestar import Request, Response
from litestar.params import JSONBody

from reentra.access import Person, totp
from reentra.access.sessions import LONGEST_HOURS, csrf_token
from reentra.api import guarding
from reentra.api.documents import (
    ChangedDocument,
    PersonDocument,
    RecoveryDocument,
    SecondFactorDocument,
    SeedDocument,
    SessionDocument,
    SetUpDocument,
    SignedInDocument,
    SignedOutDocument,
    WaysDocument,
)
from reentra.api.routing import Needs, route
from reentra.api.serving import Served, Serving, SignedIn

_TAGS = ("session",)


class Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """What a person signs in with. ``code`` is needed when they have a second factor."""

    name: str
    password: str
    code: str = ""


class NewPassword(msgspec.Struct, forbid_unknown_fields=True):
    """The secret of a set-up link, and the password that it is to set."""

    secret: str
    password: str


class ChangedPassword(msgspec.Struct, forbid_unknown_fields=True):
    """One's present password and the next one."""

    old: str
    new: str


class Proof(msgspec.Struct, forbid_unknown_fields=True):
    """What a person shows again. ``code`` is needed when they have a second factor."""

    password: str
    code: str = ""


class Code(msgspec.Struct, forbid_unknown_fields=True):
    """A one-time code."""

    code: str


def with_session(serving: Serving, person: Person, secret: str) -> Response[SignedInDocument]:
    """Return an answer that carries the cookie of a new session."""
    response: Response[SignedInDocument] = Response(
        {"person": cast("PersonDocument", person.to_json()), "csrf_token": csrf_token(secret)}
    )
    set_session_cookie(serving, response, secret)
    return response


def set_session_cookie(serving: Serving, response: Response[Any], secret: str) -> None:
    """Add a session's cookie to an answer: for this host alone, and no script."""
    response.set_cookie(
        serving.cookie,
        secret,
        max_age=LONGEST_HOURS * 3600,
        path="/",
        secure=serving.is_secure,
        httponly=True,
        samesite="lax",
    )


@route("GET", "/session/ways", Needs.NOTHING, tags=_TAGS, summary="How one signs in here")
def list_ways(serving: Served) -> WaysDocument:
    """Tell with what one signs in: always a password, and a provider that is believed."""
    provider = serving.access.load_provider()
    return {"password": True, "provider": provider is not None and provider.is_enabled}


@route("POST", "/session", Needs.NOTHING, tags=_TAGS, summary="Sign in")
def sign_in(
    data: JSONBody[Credentials], request: Request[Any, Any, Any], serving: Served
) -> Response[SignedInDocument]:
    """Open a session with name, password and one-time code; the answer sets its cookie."""
    guarding.ensure_same_site(request, serving)
    person, secret = serving.access.sign_in.by_password(
        data.name, data.password, data.code, guarding.address_of(request, serving)
    )
    serving.access.sessions.end(guarding.session_secret(request, serving))
    return with_session(serving, person, secret)


@route("GET", "/session", Needs.SIGN_IN, tags=_TAGS, summary="Who is signed in")
def who(request: Request[Any, Any, Any], serving: Served, identity: SignedIn) -> SessionDocument:
    """Return who is signed in, with which roles, and the token that changing requests carry."""
    secret = guarding.session_secret(request, serving)
    return {
        "person": cast("PersonDocument", identity.person.to_json()),
        "roles": dict(sorted(identity.grants.items())),
        "csrf_token": csrf_token(secret) if identity.actor.via.value == "session" else "",
        "fresh": identity.is_fresh,
    }


@route(
    "POST", "/session/confirm", Needs.SIGN_IN, action="session.confirm", tags=_TAGS,
    summary="Show again who one is",
)  # fmt: skip
def confirm(
    data: JSONBody[Proof], request: Request[Any, Any, Any], serving: Served, identity: SignedIn
) -> Response[SignedInDocument]:
    """Make the sign-in fresh, for what wants that. A new session takes the place of this one."""
    identity.ensure_in_person()
    secret = serving.access.sign_in.confirm(
        identity, guarding.session_secret(request, serving), data.password, data.code
    )
    return with_session(serving, identity.person, secret)


@route("DELETE", "/session", Needs.SIGN_IN, action="session.close", tags=_TAGS, summary="Sign out")
def sign_out(
    request: Request[Any, Any, Any], serving: Served, identity: SignedIn
) -> Response[SignedOutDocument]:
    """End the session at once."""
    serving.access.sign_in.end(guarding.session_secret(request, serving), identity.actor)
    response: Response[SignedOutDocument] = Response({"signed_in": False})
    response.set_cookie(
        serving.cookie, "", max_age=0, path="/", secure=serving.is_secure, httponly=True,
        samesite="lax",
    )  # fmt: skip
    response.headers["Clear-Site-Data"] = '"cookies", "storage"'
    return response


@route("POST", "/set-up", Needs.NOTHING, tags=_TAGS, summary="Set a password by a set-up link")
def set_up(
    data: JSONBody[NewPassword], request: Request[Any, Any, Any], serving: Served
) -> SetUpDocument:
    """Redeem a one-time link. Wrong ones count as failed attempts of the address."""
    guarding.ensure_same_site(request, serving)
    address = guarding.address_of(request, serving)
    serving.access.attempts.begin("", address)
    person = serving.access.people.set_up(data.secret, data.password, address)
    serving.access.attempts.succeed("", address)
    return {"person": cast("PersonDocument", person.to_json())}


@route(
    "PUT", "/session/password", Needs.SIGN_IN, action="password.change", tags=_TAGS,
    summary="Change one's own password",
)  # fmt: skip
def change_password(
    data: JSONBody[ChangedPassword],
    request: Request[Any, Any, Any],
    serving: Served,
    identity: SignedIn,
) -> ChangedDocument:
    """Change the password; every session of this person ends, this one too."""
    identity.ensure_in_person()
    address = guarding.address_of(request, serving)
    serving.access.attempts.begin(identity.person.name, address)
    serving.access.people.change_password(identity.actor, identity.person.id, data.old, data.new)
    serving.access.attempts.succeed(identity.person.name, address)
    return {"changed": True}


@route(
    "POST", "/session/totp", Needs.SIGN_IN, action="totp.begin",
    is_sensitive=True, tags=_TAGS, summary="Begin to use one-time codes",
)  # fmt: skip
def begin_totp(serving: Served, identity: SignedIn) -> SeedDocument:
    """Return a new seed, shown once; it counts when a code of it is confirmed."""
    identity.ensure_in_person()
    seed, name = serving.access.people.begin_totp(identity.actor, identity.person.id)
    return {"seed": seed, "uri": totp.uri(seed, name)}


@route(
    "PUT", "/session/totp", Needs.SIGN_IN, action="totp.confirm",
    is_sensitive=True, tags=_TAGS, summary="Switch one-time codes on",
)  # fmt: skip
def confirm_totp(
    data: JSONBody[Code], request: Request[Any, Any, Any], serving: Served, identity: SignedIn
) -> SecondFactorDocument:
    """Confirm the seed with a code; every session of this person ends, this one too."""
    identity.ensure_in_person()
    address = guarding.address_of(request, serving)
    serving.access.attempts.begin(identity.person.name, address)
    codes = serving.access.people.confirm_totp(identity.actor, identity.person.id, data.code)
    serving.access.attempts.succeed(identity.person.name, address)
    return {"second_factor": True, "recovery_codes": codes}


@route(
    "POST", "/session/recovery-codes", Needs.SIGN_IN, action="recovery.renew",
    is_sensitive=True, tags=_TAGS, summary="Make new recovery codes",
)  # fmt: skip
def renew_recovery_codes(serving: Served, identity: SignedIn) -> RecoveryDocument:
    """Return new recovery codes, shown once; those before them are void."""
    identity.ensure_in_person()
    codes = serving.access.people.renew_recovery_codes(identity.actor, identity.person.id)
    return {"recovery_codes": codes}


ROUTES = (
    list_ways, sign_in, who, confirm, sign_out, set_up, change_password, begin_totp, confirm_totp,
    renew_recovery_codes,
)  # fmt: skip
