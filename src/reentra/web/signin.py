"""Coming in and going out: sign-in, sign-out, set-up by a link, and showing again who one is."""

from __future__ import annotations

from typing import Any

from litestar import Response

from reentra import errors
from reentra.access.passwords import SHORTEST
from reentra.api import oidc, session
from reentra.web import forms
from reentra.web.returning import and_back, ours
from reentra.web.routing import Needs, form_for, page
from reentra.web.visiting import Visit, Visiting

_BACK_SECONDS = 600  # as long as a sign-in at the provider may take


@page("/sign-in", Needs.NOTHING)
def show_sign_in(visit: Visiting) -> Response[str]:
    """Show where one signs in."""
    return _alone(visit.show("sign-in.html", **_signing_in(visit)))


@form_for("/sign-in", session.sign_in)
def sign_in(visit: Visiting) -> Response[Any]:
    """Open a session, and lead to the page that was wanted."""
    typed = {name: visit.value(name) for name in ("name", "password", "code")}
    typed["code"] = _digits(typed["code"])
    try:
        answer = visit.ask(session.sign_in, data=forms.body(session.Credentials, **typed))
    except errors.Error as failure:
        return _alone(forms.again(visit, failure, "sign-in.html", **_signing_in(visit)))
    return _with_cookies(visit.lead(ours(visit.value("next"))), answer)


@page("/sign-in/microsoft", Needs.NOTHING)
def sign_in_elsewhere(visit: Visiting) -> Response[Any]:
    """Send the browser to the identity provider, and remember the page that was wanted."""
    is_fresh = visit.request.query_params.get("fresh") == "true"
    led = visit.ask(oidc.begin, fresh=is_fresh)
    _remember(visit, led, ours(visit.request.query_params.get("next", "")))
    return led  # type: ignore[no-any-return]


@form_for("/sign-out", session.sign_out)
def sign_out(visit: Visiting) -> Response[Any]:
    """End the session."""
    answer = visit.ask(session.sign_out)
    led = _with_cookies(visit.lead("/sign-in"), answer)
    led.headers.update(answer.headers)
    return led


@page("/set-up", Needs.NOTHING)
def show_set_up(visit: Visiting) -> Response[str]:
    """Show where one sets one's first password. The link's secret never reaches the server so."""
    return _alone(visit.show("set-up.html", shortest=SHORTEST))


@form_for("/set-up", session.set_up)
def set_up(visit: Visiting) -> Response[Any]:
    """Redeem a set-up link, and lead to where one signs in."""
    try:
        _ensure_same(visit)
        # Who copies the link by hand may take all of it.
        secret = visit.value("secret").strip().rpartition("#")[2]
        data = forms.body(session.NewPassword, secret=secret, password=visit.value("password"))
        visit.ask(session.set_up, data=data)
    except errors.Error as failure:
        return _alone(forms.again(visit, failure, "set-up.html", shortest=SHORTEST))
    return visit.lead("/sign-in?ready=true")


@page("/confirm", Needs.SIGN_IN)
def show_confirm(visit: Visiting) -> Response[str]:
    """Show where one shows again who one is."""
    return visit.show("confirm.html", next=ours(visit.request.query_params.get("next", "")))


@form_for("/confirm", session.confirm)
def confirm(visit: Visiting) -> Response[Any]:
    """Make the sign-in fresh, and lead to the page on which something wanted that."""
    wanted = ours(visit.value("next"))
    typed = {"password": visit.value("password"), "code": _digits(visit.value("code"))}
    try:
        answer = visit.ask(session.confirm, data=forms.body(session.Proof, **typed))
    except errors.FreshSignInNeeded as failure:  # what was typed is wrong
        return visit.show("confirm.html", status=failure.http_status, failure=failure, next=wanted)
    except errors.Error as failure:
        return forms.again(visit, failure, "confirm.html", next=wanted)
    return _with_cookies(visit.lead(wanted), answer)


def remembered(visit: Visit) -> str:
    """Return the page that was wanted before the way to the identity provider; else the first."""
    return ours(visit.request.cookies.get(_cookie(visit), ""))


def forget(visit: Visit, answer: Response[Any]) -> Response[Any]:
    """Have the browser forget the page that was wanted."""
    _remember(visit, answer, "")
    return answer


def _signing_in(visit: Visit) -> dict[str, Any]:
    asked = visit.request.query_params
    wanted = ours(visit.value("next") or asked.get("next", ""))
    return {
        "next": wanted,
        "is_ready": "ready" in asked,
        "ways": visit.ask(session.list_ways),
        "elsewhere": and_back("/sign-in/microsoft", wanted),
    }


def _ensure_same(visit: Visit) -> None:
    if visit.value("password") != visit.value("again"):
        raise errors.UsageError(
            "The two passwords are not the same; nothing was changed.", hint="Type both again."
        )


def _digits(code: str) -> str:
    """Return a code as it is meant: apps show it with a blank in the middle."""
    return "".join(code.split())


def _alone(shown: Response[str]) -> Response[str]:
    """Return a page that is never the inside of a dialog, even where one was asked for."""
    shown.headers.pop("x-dialog", None)
    return shown


def _with_cookies(led: Response[Any], answer: Response[Any]) -> Response[Any]:
    led.cookies = [*led.cookies, *answer.cookies]
    return led


def _cookie(visit: Visit) -> str:
    return f"{visit.serving.cookie}-next"


def _remember(visit: Visit, answer: Response[Any], wanted: str) -> None:
    answer.set_cookie(
        _cookie(visit), wanted, max_age=_BACK_SECONDS if wanted else 0, path="/",
        secure=visit.serving.is_secure, httponly=True, samesite="lax",
    )  # fmt: skip


ROUTES = (
    show_sign_in, sign_in, sign_in_elsewhere, sign_out, show_set_up, set_up, show_confirm, confirm,
)  # fmt: skip
