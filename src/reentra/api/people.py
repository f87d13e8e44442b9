"""People, tokens, the settings of the installation, and the audit trail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, cast

import msgspec
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Stream

from reentra import errors
from reentra.access import EVERY_TENANT, ApprovalRules, Permission, Person
from reentra.access.roles import parse_role
from reentra.access.tokens import Token
from reentra.api import paging
from reentra.api.documents import (
    LinkDocument,
    NewPersonDocument,
    NewTokenDocument,
    PeoplePage,
    PersonDocument,
    RecordDocument,
    SettingsDocument,
    TokenDocument,
    TokensPage,
    TrailPage,
    VerificationDocument,
)
from reentra.api.routing import Needs, route
from reentra.api.serving import Served, Serving, SignedIn
from reentra.viewing import asked_moment

_LINES = "application/x-ndjson"
_LINES_AT_ONCE = 500
RoleName = Literal["reader", "operator", "restorer", "administrator"]


class NewPerson(msgspec.Struct, forbid_unknown_fields=True):
    """Somebody who may sign in. ``tenant`` is a name, or ``*`` for all."""

    name: str
    role: RoleName
    tenant: str = EVERY_TENANT


class NewRole(msgspec.Struct, forbid_unknown_fields=True):
    """A role for a tenant, or for all; ``none`` takes it away."""

    role: Literal["reader", "operator", "restorer", "administrator", "none"]
    tenant: str = EVERY_TENANT


class Standing(msgspec.Struct, forbid_unknown_fields=True):
    """Whether somebody is shut out."""

    disabled: bool


class NewToken(msgspec.Struct, forbid_unknown_fields=True):
    """A token that acts for who asks for it, at most with this role."""

    name: str
    role: RoleName
    tenant: str = EVERY_TENANT
    days: int = 90


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """What needs a second person. ``None``: no restore does; else one of more steps than that."""

    approve_restores_over_steps: int | None = None
    approve_disconnect: bool = False
    approve_retention: bool = False
    approve_keys: bool = False


@route("GET", "/people", Permission.PEOPLE, tags=("people",), summary="Who may sign in")
def list_people(serving: Served) -> PeoplePage:
    """List people with their roles."""
    return {"items": [_person(item) for item in serving.access.people.list_people()], "next": ""}


@route(
    "POST", "/people", Permission.PEOPLE, action="person.add",
    is_sensitive=True, status=201, tags=("people",), summary="Add somebody",
)  # fmt: skip
def add_person(data: JSONBody[NewPerson], serving: Served, identity: SignedIn) -> NewPersonDocument:
    """Add somebody; the answer holds their one-time set-up link, shown once."""
    identity.ensure_in_person()
    _ensure_tenant(serving, data.tenant)
    grants = {data.tenant: parse_role(data.role)}
    made, secret = serving.access.people.add(identity.actor, data.name, grants)
    return {**_person(made), "set_up": serving.application.set_up_address(secret)}


@route(
    "POST", "/people/{person:str}/link", Permission.PEOPLE, action="person.link",
    is_sensitive=True, tags=("people",), summary="Make a new set-up link",
)  # fmt: skip
def renew_link(person: FromPath[str], serving: Served, identity: SignedIn) -> LinkDocument:
    """Return a new one-time set-up link; the ones before it are void."""
    identity.ensure_in_person()
    secret = serving.access.people.renew_link(identity.actor, person)
    return {"set_up": serving.application.set_up_address(secret)}


@route(
    "PUT", "/people/{person:str}/role", Permission.PEOPLE, action="person.role",
    is_sensitive=True, tags=("people",), summary="Give or take a role",
)  # fmt: skip
def set_role(
    person: FromPath[str], data: JSONBody[NewRole], serving: Served, identity: SignedIn
) -> PersonDocument:
    """Give somebody a role for a tenant or for all, or take it away."""
    identity.ensure_in_person()
    role = None if data.role == "none" else parse_role(data.role)
    if role is not None:
        _ensure_tenant(serving, data.tenant)
    return _person(serving.access.people.set_role(identity.actor, person, data.tenant, role))


@route(
    "PUT", "/people/{person:str}/standing", Permission.PEOPLE, action="person.standing",
    is_sensitive=True, tags=("people",), summary="Shut somebody out, or let them in again",
)  # fmt: skip
def set_standing(
    person: FromPath[str], data: JSONBody[Standing], serving: Served, identity: SignedIn
) -> PersonDocument:
    """Shut somebody out at once, sessions and tokens included, or let them in again."""
    identity.ensure_in_person()
    return _person(
        serving.access.people.set_disabled(identity.actor, person, is_disabled=data.disabled)
    )


@route(
    "DELETE", "/people/{person:str}/totp", Permission.PEOPLE, action="person.totp",
    is_sensitive=True, tags=("people",), summary="Switch somebody's one-time codes off",
)  # fmt: skip
def drop_totp(person: FromPath[str], serving: Served, identity: SignedIn) -> PersonDocument:
    """Switch the second factor off for who lost their device."""
    identity.ensure_in_person()
    serving.access.people.drop_totp(identity.actor, person)
    return _person(serving.access.people.load(person))


@route("GET", "/tokens", Needs.SIGN_IN, tags=("tokens",), summary="API tokens")
def list_tokens(serving: Served, identity: SignedIn) -> TokensPage:
    """List one's own tokens; who manages people sees everybody's."""
    owner = None if identity.is_allowed(Permission.PEOPLE) else identity.person.id
    return {
        "items": [_token(item) for item in serving.access.tokens.list_tokens(owner)],
        "next": "",
    }


@route(
    "POST", "/tokens", Needs.SIGN_IN, action="token.create",
    is_sensitive=True, status=201, tags=("tokens",), summary="Make an API token",
)  # fmt: skip
def create_token(data: JSONBody[NewToken], serving: Served, identity: SignedIn) -> NewTokenDocument:
    """Make a token that acts for oneself; it is shown this once."""
    identity.ensure_in_person()
    _ensure_tenant(serving, data.tenant)
    made, secret = serving.access.tokens.create(
        identity.actor, identity.person, data.name, data.tenant, parse_role(data.role), data.days
    )
    return {**_token(made), "token": secret}


@route(
    "DELETE", "/tokens/{token:str}", Needs.SIGN_IN, action="token.revoke",
    is_sensitive=True, tags=("tokens",), summary="Make an API token void",
)  # fmt: skip
def revoke_token(token: FromPath[str], serving: Served, identity: SignedIn) -> TokenDocument:
    """Revoke one of one's own tokens; who manages people may revoke anybody's."""
    found = serving.access.tokens.find(token)
    if found.person_id != identity.person.id and not identity.is_allowed(Permission.PEOPLE):
        raise errors.NotFound(f"There is no token {token!r}.", hint="List yours.")
    return _token(serving.access.tokens.revoke(identity.actor, token))


@route(
    "GET", "/settings", Permission.SETTINGS, tags=("settings",),
    summary="Settings of the installation",
)  # fmt: skip
def show_settings(serving: Served) -> SettingsDocument:
    """Return what needs a second person."""
    rules = serving.access.load_rules()
    return {
        "approve_restores_over_steps": rules.restore_steps,
        "approve_disconnect": rules.disconnect,
        "approve_retention": rules.retention,
        "approve_keys": rules.keys,
    }


@route(
    "PUT", "/settings", Permission.SETTINGS, action="settings.set",
    is_sensitive=True, tags=("settings",), summary="Change the settings",
)  # fmt: skip
def set_settings(data: JSONBody[Settings], serving: Served, identity: SignedIn) -> SettingsDocument:
    """Change what needs a second person; what would need none any more needs one for that.

    A change that loosens is asked for by its first try, and done by the next one after somebody
    else has approved it.
    """
    identity.ensure_in_person()
    most = data.approve_restores_over_steps
    if most is not None and most < 0:
        raise errors.UsageError("A number of steps cannot be below nothing.")
    wanted = ApprovalRules(most, data.approve_disconnect, data.approve_retention, data.approve_keys)
    serving.access.change_rules(identity.actor, wanted)
    return show_settings.fn(serving)  # type: ignore[no-any-return]


@route("GET", "/audit", Permission.AUDIT, tags=("audit",), summary="Who did what, newest first")
def list_audit(
    serving: Served,
    tenant_name: FromQuery[str] = "",
    who: FromQuery[str] = "",
    action: FromQuery[str] = "",
    since: FromQuery[str] = "",
    until: FromQuery[str] = "",
    cursor: FromQuery[str] = "",
    limit: FromQuery[int] = 100,
) -> TrailPage:
    """List records of the trail.

    ``who`` is a part of a name, ``action`` what an action begins with.
    """
    limit = paging.limited(limit)
    before = paging.position_of(cursor, 0) if cursor else None
    found = serving.access.trail.list_records(
        before=before, tenant=tenant_name or None, who=who.strip(), action=action.strip(),
        since=asked_moment("since", since), until=asked_moment("until", until, is_end=True),
        limit=limit,
    )  # fmt: skip
    more = paging.cursor_of(found[-1].number) if len(found) == limit else ""
    return {"items": [cast("RecordDocument", item.to_json()) for item in found], "next": more}


@route("GET", "/audit/verification", Permission.AUDIT, tags=("audit",), summary="Verify the trail")
def verify_audit(serving: Served, head: FromQuery[str] = "") -> VerificationDocument:
    """Verify that no record was changed or removed; ``head`` is one that was noted before."""
    return cast("VerificationDocument", serving.access.trail.verify(head.lower()).to_json())


@route(
    "GET", "/audit/export", Permission.AUDIT, action="audit.export", tags=("audit",),
    media_type="application/x-ndjson", summary="The whole trail",
)  # fmt: skip
def export_audit(serving: Served) -> Stream:
    """Stream the trail, oldest first, one JSON object a line."""
    return Stream(_joined(serving.access.trail.export_json_lines()), media_type=_LINES)


@route(
    "GET", "/audit/export.csv", Permission.AUDIT, action="audit.export", tags=("audit",),
    media_type="text/csv", summary="The whole trail as CSV",
)  # fmt: skip
def export_audit_csv(serving: Served) -> Stream:
    """Stream the trail, oldest first, as CSV in which no cell is taken for a formula."""
    return Stream(_joined(serving.access.trail.export_csv()), media_type="text/csv")


def _joined(lines: Iterator[str]) -> Iterator[str]:
    held: list[str] = []
    for line in lines:
        held.append(line)
        if len(held) == _LINES_AT_ONCE:
            yield "".join(held)
            held = []
    yield "".join(held)


def _person(found: Person) -> PersonDocument:
    return cast("PersonDocument", found.to_json())


def _token(found: Token) -> TokenDocument:
    return cast("TokenDocument", found.to_json())


def _ensure_tenant(serving: Serving, tenant: str) -> None:
    if tenant != EVERY_TENANT:
        serving.application.connections.find(tenant)


ROUTES = (
    list_people, add_person, renew_link, set_role, set_standing, drop_totp, list_tokens,
    create_token, revoke_token, show_settings, set_settings, list_audit, verify_audit, export_audit,
    export_audit_csv,
)  # fmt: skip
