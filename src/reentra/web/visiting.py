"""``Visit``: one request for a page. Who asks, what they may see, and how they are answered."""

from __future__ import annotations

import datetime as dt
import inspect
from dataclasses import dataclass
from typing import Any

from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from litestar.response import Redirect

from reentra import errors
from reentra.access import EVERY_TENANT, Identity, Permission
from reentra.access.sessions import csrf_token
from reentra.api import guarding, tenants
from reentra.api.serving import Serving
from reentra.web import rendering

_THEMES = ("light", "dark")


@dataclass(frozen=True, slots=True)
class Visit:
    """A request for a page. ``identity`` is none on the few pages that are for anybody."""

    request: Request[Any, Any, Any]
    serving: Serving
    identity: Identity | None = None

    @property
    def form(self) -> Any:
        """What the form holds that was sent: ``get`` one value, ``getall`` of a name."""
        return self.request.scope["state"].get("form") or _NO_FORM

    @property
    def is_dialog(self) -> bool:
        """Whether only the inside of a dialog is asked for."""
        return self.request.headers.get("x-dialog") == "1"

    def value(self, name: str) -> str:
        """Return one value of the form, or nothing."""
        return str(self.form.get(name) or "")

    def values(self, name: str) -> list[str]:
        """Return all values of a name in the form."""
        return [str(item) for item in self.form.getall(name, [])]

    def given(self, name: str) -> str:
        """Return one value of the form that was sent, or else of the query."""
        return str(self._sent.get(name) or "")

    def all_given(self, name: str) -> list[str]:
        """Return all values of a name in the form that was sent, or else in the query."""
        return [str(item) for item in self._sent.getall(name, [])]

    @property
    def is_part(self) -> bool:
        """Whether a part of a page that is shown already is asked for."""
        return self.request.headers.get("hx-request") == "true"

    @property
    def zone(self) -> dt.tzinfo:
        """The reader's time zone, as the browser told it; else UTC."""
        return rendering.zone_named(_unquoted(self.request.cookies.get("reentra_zone", "")))

    @property
    def _sent(self) -> Any:
        return self.request.scope["state"].get("form") or self.request.query_params

    def may(self, permission: Permission, tenant: str = EVERY_TENANT) -> bool:
        """Tell whether this person is allowed something, so that it is offered or not."""
        return self.identity is not None and self.identity.is_allowed(permission, tenant)

    def ask(self, handler: Any, **given: Any) -> Any:
        """Return what a route of the API answers to this person.

        Raises: what the route raises; ``NotAllowed`` and ``NotFound`` as its guard does.
        """
        needs = handler.opt["needs"]
        if isinstance(needs, Permission):
            if self.identity is None:
                raise errors.NotSignedIn("Nobody is signed in.")
            self.identity.ensure(needs, str(given.get("tenant") or EVERY_TENANT))
        taken = inspect.signature(handler.fn).parameters
        known = {"serving": self.serving, "identity": self.identity, "request": self.request}
        given |= {name: value for name, value in known.items() if name in taken}
        return handler.fn(**given)

    def show(self, template: str, *, status: int = 200, **known: Any) -> Response[str]:
        """Answer with a page, or with the inside of a dialog when that was asked for."""
        layout = "dialog.html" if self.is_dialog else "frame.html"
        html = (
            rendering.environment()
            .get_template(template)
            .render(
                {"layout": layout, "visit": self, **self._frame(known.get("tenant", "")), **known}
            )
        )
        headers = {"x-dialog": "1"} if self.is_dialog else {}
        return Response(html, media_type="text/html", status_code=status, headers=headers)

    def lead(self, address: str) -> Response[Any]:
        """Lead the browser to another page of ours, which is shown in the page, not a dialog."""
        return Redirect(address, status_code=303)

    def _frame(self, tenant: str) -> dict[str, Any]:
        cookies = self.request.cookies
        theme = cookies.get("reentra_theme", "")
        known = []
        if self.identity is not None:
            known = self.ask(tenants.list_tenants)["items"]
        secret = guarding.session_secret(self.request, self.serving)
        return {
            "zone": self.zone,
            "theme": theme if theme in _THEMES else "system",
            "tenants": known,
            "tenant": tenant,
            "person": None if self.identity is None else self.identity.person,
            "csrf_value": csrf_token(secret) if secret else "",
            "here": self.request.url.path,
            "Permission": Permission,
            "may": self.may,
        }


class _NoForm:
    def get(self, _name: str) -> None:
        return None

    def getall(self, _name: str, default: list[str]) -> list[str]:
        return default


_NO_FORM = _NoForm()


def _unquoted(text: str) -> str:
    return text.replace("%2F", "/").replace("%2B", "+")


Visiting = NamedDependency[SkipValidation[Visit]]
