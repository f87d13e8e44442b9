"""Who comes in, how, what they may, and what happens when the session ends in the middle of it."""

from __future__ import annotations

import re

import pytest

from .conftest import Stage
from .staging import PASSWORD
from .window import Visitors, Window, expect

OVERVIEW = "Microsoft Entra ID Overview"


def sign_in(window: Window, name: str) -> None:
    """Sign in by keyboard alone, on the page that is shown."""
    window.page.get_by_label("Name", exact=True).focus()
    window.page.keyboard.type(name)
    window.page.keyboard.press("Tab")
    window.page.keyboard.type(PASSWORD)
    window.page.keyboard.press("Enter")
    window.page.wait_for_url(re.compile(r"^(?!.*/sign-in)"))
    window.page.wait_for_load_state("networkidle")


def test_somebody_signs_in_by_keyboard_alone_and_comes_to_where_they_wanted(
    visitors: Visitors,
) -> None:
    window = visitors.window("").open("/tenants/contoso?from=a+mail")
    assert window.path.startswith("/sign-in?next=")
    sign_in(window, "rolf")
    assert window.path == "/tenants/contoso?from=a+mail"
    assert window.title() == OVERVIEW
    window.assert_calm()


def test_a_session_that_expired_is_opened_anew_and_goes_on_where_it_was(
    visitors: Visitors,
) -> None:
    window = visitors.window("").open("/sign-in?next=/tenants/contoso")
    sign_in(window, "olga")
    token = window.page.request.get(f"{window.base}/api/v1/session").json()["csrf_token"]
    window.page.request.delete(f"{window.base}/api/v1/session", headers={"x-csrf-token": token})
    window.page.reload()
    assert window.path == "/sign-in?next=/tenants/contoso"
    sign_in(window, "olga")
    assert (window.path, window.title()) == ("/tenants/contoso", OVERVIEW)
    window.assert_calm()


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
    stage: Stage, visitors: Visitors
) -> None:
    window = visitors.window("").open("/sign-in?next=/tenants/contoso")
    window.press("Sign in with Microsoft")
    window.page.get_by_label("Username").fill(stage.facts["member"])
    window.page.get_by_role("button", name="Next").click()
    window.page.wait_for_load_state("networkidle")
    assert window.path == "/tenants/contoso"
    expect(window.page.get_by_text(stage.facts["member"]).first).to_be_attached()
    # Nobody else was asked than the provider, and by a page alone: no picture, no script.
    assert all(stage.tenant.url in one for one in window.problems), window.problems
