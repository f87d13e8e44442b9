"""API tokens: which there are, making one, and making one void."""

from __future__ import annotations

from typing import Any

from litestar import Response
from litestar.params import FromPath

from reentra import errors
from reentra.access import Role
from reentra.access.tokens import LONGEST_DAYS, LONGEST_EXTERNAL_DAYS
from reentra.api import people
from reentra.web import forms
from reentra.web.routing import Needs, form_for, page
from reentra.web.visiting import Visit, Visiting


@page("/tokens", Needs.SIGN_IN)
def show_tokens(visit: Visiting) -> Response[str]:
    """List one's own tokens; who manages people sees everybody's."""
    found = visit.ask(people.list_tokens)["items"]
    now = visit.serving.application.clock.now()
    return visit.show("tokens.html", tokens=found, now=now.isoformat())


@page("/tokens/new", Needs.SIGN_IN, is_sensitive=True)
def show_new_token(visit: Visiting) -> Response[str]:
    """Show the form for a new token."""
    return visit.show("token-new.html", **_offered(visit))


@form_for("/tokens/new", people.create_token)
def create_token(visit: Visiting) -> Response[str]:
    """Make a token, and show it this once."""
    try:
        made = visit.ask(
            people.create_token,
            data=forms.body(
                people.NewToken,
                name=visit.value("name").strip(),
                role=visit.value("role"),
                tenant=visit.value("tenant"),
                days=forms.whole_number(visit.value("days"), "The number of days"),
            ),
        )
    except errors.Error as failure:
        return forms.again(visit, failure, "token-new.html", **_offered(visit))
    return visit.show("token-made.html", made=made)


@page("/tokens/{token:str}/revoke", Needs.SIGN_IN, is_sensitive=True)
def show_revoke(token: FromPath[str], visit: Visiting) -> Response[str]:
    """Ask whether a token is to be void."""
    found = [one for one in visit.ask(people.list_tokens)["items"] if one["id"] == token]
    if not found:
        raise errors.NotFound(f"There is no token {token!r}.", hint="Look at the list of tokens.")
    return visit.show("token-revoke.html", token=found[0])


@form_for("/tokens/{token:str}/revoke", people.revoke_token)
def revoke_token(token: FromPath[str], visit: Visiting) -> Response[Any]:
    """Make a token void at once."""
    visit.ask(people.revoke_token, token=token)
    return visit.lead("/tokens")


def _offered(visit: Visit) -> dict[str, Any]:
    assert visit.identity is not None
    is_external = visit.identity.person.is_external
    return {
        "roles": [role.value for role in Role],
        "longest": LONGEST_EXTERNAL_DAYS if is_external else LONGEST_DAYS,
    }


ROUTES = (show_tokens, show_new_token, create_token, show_revoke, revoke_token)
