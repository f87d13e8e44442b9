"""One's own account: roles, password, one-time codes."""

from __future__ import annotations

import re
from typing import Any

from litestar import Response

from reentra import errors
from reentra.access import totp
from reentra.access.passwords import SHORTEST
from reentra.api import session
from reentra.web import forms, qr
from reentra.web.routing import Needs, form_for, page
from reentra.web.visiting import Visit, Visiting

_SEED = re.compile(r"[A-Z2-7]{16,64}")


@page("/account", Needs.SIGN_IN)
def show_account(visit: Visiting) -> Response[str]:
    """Show who is signed in, with which roles, and what they can change of themselves."""
    return visit.show("account.html", **_known(visit))


@page("/account/password", Needs.SIGN_IN)
def show_password(visit: Visiting) -> Response[str]:
    """Show where one changes one's password."""
    return visit.show("password.html", shortest=SHORTEST)


@form_for("/account/password", session.change_password)
def change_password(visit: Visiting) -> Response[Any]:
    """Change the password, and lead to where one signs in with it."""
    try:
        if visit.value("new") != visit.value("again"):
            raise errors.UsageError(
                "The two new passwords are not the same; nothing was changed.",
                hint="Type both again.",
            )
        data = forms.body(session.ChangedPassword, old=visit.value("old"), new=visit.value("new"))
        visit.ask(session.change_password, data=data)
    except errors.Error as failure:
        return forms.again(visit, failure, "password.html", shortest=SHORTEST)
    return visit.lead("/sign-in?ready=true")


@page("/account/codes", Needs.SIGN_IN, is_sensitive=True)
def show_codes(visit: Visiting) -> Response[str]:
    """Show what one-time codes are, before a key is made."""
    return visit.show("codes.html", uri="")


@form_for("/account/codes", session.begin_totp)
def begin_codes(visit: Visiting) -> Response[str]:
    """Make a key for an authenticator app, and show it this once."""
    return _show_key(visit, visit.ask(session.begin_totp)["seed"])


@form_for("/account/codes/on", session.confirm_totp)
def switch_codes_on(visit: Visiting) -> Response[str]:
    """Switch one-time codes on with the first of them, and show the recovery codes this once."""
    seed = visit.value("seed")
    try:
        data = forms.body(session.Code, code="".join(visit.value("code").split()))
        done = visit.ask(session.confirm_totp, data=data)
    except errors.Error as failure:
        if not _SEED.fullmatch(seed):
            return forms.again(visit, failure, "codes.html", uri="")
        return _show_key(visit, seed, failure)
    return visit.show("recovery-codes.html", codes=done["recovery_codes"], is_over=True)


@page("/account/recovery-codes", Needs.SIGN_IN, is_sensitive=True)
def show_recovery_codes(visit: Visiting) -> Response[str]:
    """Say what recovery codes are, before new ones are made."""
    return visit.show("recovery-codes.html", codes=[], is_over=False)


@form_for("/account/recovery-codes", session.renew_recovery_codes)
def renew_recovery_codes(visit: Visiting) -> Response[str]:
    """Make new recovery codes, and show them this once."""
    known: dict[str, Any] = {"codes": [], "is_over": False}
    try:
        done = visit.ask(session.renew_recovery_codes)
    except errors.Error as failure:
        return forms.again(visit, failure, "recovery-codes.html", **known)
    return visit.show("recovery-codes.html", codes=done["recovery_codes"], is_over=False)


def _known(visit: Visit) -> dict[str, Any]:
    return {"session": visit.ask(session.who)}


def _show_key(visit: Visit, seed: str, failure: errors.Error | None = None) -> Response[str]:
    assert visit.identity is not None
    uri = totp.uri(seed, visit.identity.person.name)
    known: dict[str, Any] = {"seed": seed, "uri": uri, "picture": qr.picture(uri)}
    if failure is not None:
        return forms.again(visit, failure, "codes.html", **known)
    return visit.show("codes.html", **known)


ROUTES = (
    show_account, show_password, change_password, show_codes, begin_codes, switch_codes_on,
    show_recovery_codes, renew_recovery_codes,
)  # fmt: skip
