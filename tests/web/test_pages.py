"""Every page with every role and nobody; what each needs; and that no form goes without a token."""

from __future__ import annotations

import datetime as dt
import html.parser
import re
from collections.abc import Iterator
from typing import Any

import pytest

from reentra.access import EVERY_TENANT, Permission, Role, is_allowed
from reentra.web.application import ROUTES as HANDLERS
from reentra.web.routing import Needs
from tests.api.test_routes import golden

from .conftest import Pages, Reader

_OPEN_FORMS = {"/sign-in", "/set-up"}  # before there is a session, and so a token


def routes() -> Iterator[tuple[str, str, Any]]:
    """Yield method, path and handler of every page."""
    for handler in HANDLERS:
        for path in handler.paths:
            for method in sorted(handler.http_methods - {"OPTIONS", "HEAD"}):
                yield str(method), re.sub(r":\w+\}", "}", path), handler


ROUTES = sorted(routes(), key=lambda item: (item[1], item[0]))
IDS = [f"{method} {path}" for method, path, _ in ROUTES]
CLOSED = [item for item in ROUTES if item[2].opt["needs"] is not Needs.NOTHING]


def filled(path: str) -> str:
    return re.sub(r"\{[a-z_]+\}", "nothing", path.replace("{tenant}", "contoso"))


def send(reader: Reader, method: str, path: str) -> Any:
    return reader.get(filled(path)) if method == "GET" else reader.post(filled(path))


def test_the_golden_matrix_of_roles_and_pages() -> None:
    """`make golden` writes it anew; whoever changes it changes who may see and do what."""
    lines = []
    for method, path, handler in ROUTES:
        needs = handler.opt["needs"]
        roles = [
            role.value
            for role in Role
            if isinstance(needs, Permission) and is_allowed({EVERY_TENANT: role}, needs, "t")
        ]
        who = {Needs.NOTHING: "anybody", Needs.SIGN_IN: "who is signed in"}.get(needs, "")
        fresh = " (fresh sign-in)" if handler.opt["is_sensitive"] else ""
        lines.append(f"{method:6} {path:75} {who or ' '.join(roles)}{fresh}\n")
    golden("pages.txt", "".join(lines))


@pytest.mark.parametrize(("method", "path", "handler"), CLOSED,
                         ids=[f"{method} {path}" for method, path, _ in CLOSED])  # fmt: skip
def test_a_page_lets_in_whom_it_is_for_and_nobody_else(
    pages: Pages, method: str, path: str, handler: Any
) -> None:
    nobody = send(pages.stranger, method, path)
    assert nobody.status_code == 303
    assert nobody.headers["location"].startswith("/sign-in")
    needs = handler.opt["needs"]
    for role in (None, *Role):
        grants = {} if role is None else {EVERY_TENANT: role}
        tenant = "contoso" if "{tenant}" in path else EVERY_TENANT
        if needs is Needs.SIGN_IN or is_allowed(grants, needs, tenant):
            continue
        answer = send(pages.reader(role), method, path)
        assert answer.status_code == (404 if role is None and "{tenant}" in path else 403)


@pytest.mark.parametrize("path", sorted({path for method, path, _ in CLOSED if method == "POST"}))
def test_a_form_without_the_sessions_token_is_refused(pages: Pages, path: str) -> None:
    answer = pages.admin_reader.post(filled(path), csrf=False)
    assert answer.status_code == 403
    assert "does not come from a page of Reentra" in answer.text


SENSITIVE = [item for item in CLOSED if item[2].opt["is_sensitive"]]


@pytest.mark.parametrize(("method", "path", "handler"), SENSITIVE,
                         ids=[f"{method} {path}" for method, path, _ in SENSITIVE])  # fmt: skip
def test_what_is_sensitive_leads_to_a_fresh_sign_in_and_back_to_a_page(
    pages: Pages, method: str, path: str, handler: Any
) -> None:
    _ = pages.admin_reader
    proved_at = pages.application.clock.now() - dt.timedelta(minutes=40)
    person = pages.people["administrator-of-all"].id
    stale = Reader(
        pages.client, pages.serving.access.sessions.open(person, "testclient", proved_at)
    )
    answer = send(stale, method, path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/confirm")
    back = answer.headers["location"].partition("?next=")[2] or "/"
    shown = [re.sub(r"\{[a-z_]+\}", "[^/]+", known) for verb, known, _ in ROUTES if verb == "GET"]
    assert any(re.fullmatch(one, back) for one in shown), back


class _Forms(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.without: list[str] = []
        self.labels: set[str] = set()
        self.unnamed: list[str] = []
        self._open = ""
        self._inside_label = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag == "form" and names.get("method") == "post":
            self._open = str(names.get("action"))
            if self._open not in _OPEN_FORMS:
                self.without.append(self._open)
        if tag == "input" and names.get("name") == "csrf_token" and self._open in self.without:
            self.without.remove(self._open)
        if tag == "label":
            self.labels.add(str(names.get("for")))
            self._inside_label = True
        is_field = tag in ("input", "select", "textarea") and names.get("type") != "hidden"
        has_name = self._inside_label or "aria-label" in names or "aria-hidden" in names
        if is_field and not has_name:
            self.unnamed.append(str(names.get("id")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "label":
            self._inside_label = False


@pytest.mark.parametrize(
    "path", [path for method, path, _ in ROUTES if method == "GET" and "{" not in path]
)
def test_every_form_carries_the_token_and_every_field_has_a_label(pages: Pages, path: str) -> None:
    answer = pages.admin_reader.get(path)
    if answer.status_code in (303, 404):
        return  # it leads elsewhere, or there is no provider to be led to
    assert answer.status_code == 200, answer.text
    found = _Forms()
    found.feed(answer.text)
    assert found.without == []
    assert [one for one in found.unnamed if one not in found.labels] == []
    assert answer.text.count("<h1") == 1


def test_an_error_within_a_tenant_keeps_the_tenants_frame_and_offers_a_way_on(pages: Pages) -> None:
    reader = pages.reader(Role.READER)
    text = reader.page("/tenants/contoso/snapshots/20000101T000000Z-00000000", expect=404)
    assert '<body data-tenant="contoso"' in text
    assert "Overview of contoso" in text
    unknown = reader.page("/tenants/nobody/snapshots/latest", expect=404)
    assert '<body data-tenant=""' in unknown
    assert 'href="/tenants/nobody' not in unknown
    assert "All tenants" in unknown


def test_who_is_refused_keeps_their_frame_and_is_not_sent_to_sign_in(pages: Pages) -> None:
    text = pages.reader(Role.READER).page("/tenants/contoso/restore", expect=403)
    assert '<body data-tenant="contoso"' in text
    assert "Overview of contoso" in text
    assert 'href="/sign-in' not in text
    assert "An administrator can give" in text
