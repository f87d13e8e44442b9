"""Who comes in, how, what they may, and what happens when the session ends in the middle of it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from .conftest import Stage
from .hands import Visitor
from .staging import PASSWORD
from .window import Visitors, expect

Visit = Callable[..., Visitor]

OVERVIEW = "Microsoft Entra ID Overview"


def sign_in(visitor: Visitor, name: str) -> None:
    """Sign in on the page that is shown."""
    visitor.fill("Name", name)
    visitor.fill("Password", PASSWORD)
    visitor.send()
    visitor.page.wait_for_url(re.compile(r"^(?!.*/sign-in)"))
    visitor.page.wait_for_load_state("networkidle")


def test_somebody_signs_in_and_comes_to_where_they_wanted(visit: Visit) -> None:
    visitor = visit("", "/tenants/contoso?from=a+mail")
    assert visitor.window.path.startswith("/sign-in?next=")
    sign_in(visitor, "rolf")
    assert visitor.window.path == "/tenants/contoso?from=a+mail"
    assert visitor.window.title() == OVERVIEW
    visitor.unfold("rolf", visitor.page.get_by_role("banner"))
    visitor.press("Sign out")
    visitor.page.wait_for_url("**/sign-in*")
    visitor.end()


def test_a_session_that_expired_is_opened_anew_and_goes_on_where_it_was(visit: Visit) -> None:
    visitor = visit("", "/sign-in?next=/tenants/contoso")
    window = visitor.window
    sign_in(visitor, "olga")
    token = window.page.request.get(f"{window.base}/api/v1/session").json()["csrf_token"]
    window.page.request.delete(f"{window.base}/api/v1/session", headers={"x-csrf-token": token})
    visitor.press("Restore Data", window.page.get_by_role("main"))
    window.page.wait_for_url(re.compile(r"/sign-in\?next="))
    sign_in(visitor, "olga")
    assert window.path == "/tenants/contoso/snapshots/latest"
    visitor.end()


@pytest.mark.parametrize(
    ("person", "may"), [("admin", True), ("rita", True), ("olga", True), ("rolf", False)]
)
def test_w01_each_role_sees_what_it_may_do_and_why_it_may_not(
    person: str, may: bool, visitors: Visitors
) -> None:
    window = visitors.window(person).open("/tenants/contoso")
    button = window.page.get_by_role("button", name=re.compile("^Back Up Now"))
    if may:
        expect(button).to_be_enabled()
    else:
        expect(button).to_be_disabled()
        assert "Your role" in (button.get_attribute("title") or "")
    window.assert_calm()


def test_who_signs_in_with_microsoft_gets_the_role_of_their_group(
    stage: Stage, visit: Visit
) -> None:
    visitor = visit("", "/sign-in?next=/tenants/contoso")
    window = visitor.window
    visitor.press("Sign in with Microsoft")
    window.page.wait_for_url(re.compile("authorize"))
    visitor.fill("Username", stage.facts["member"])
    visitor.press("Next")
    window.page.wait_for_url("**/tenants/contoso")
    window.page.wait_for_load_state("networkidle")
    expect(window.page.get_by_text(stage.facts["member"]).first).to_be_attached()
    # Nobody else was asked than the provider, and by a page alone: no picture, no script.
    assert all(stage.tenant.url in one for one in window.problems), window.problems
