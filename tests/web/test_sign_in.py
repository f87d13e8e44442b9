"""Sign-in, sign-out, set-up and showing again who one is, as pages."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import quote

import pytest

from reentra.access import EVERY_TENANT, Role
from tests.api.conftest import CONSOLE, PASSWORD

from .conftest import Pages, Reader


def signed(pages: Pages, name: str, password: str = PASSWORD, **more: str) -> Any:
    return pages.stranger.post("/sign-in", {"name": name, "password": password, **more})


def secret_of(answer: Any) -> str:
    cookie = next(
        one for one in answer.headers.get_list("set-cookie")
        if one.startswith("__Host-reentra=")
    )  # fmt: skip
    return str(cookie.partition("=")[2].partition(";")[0])


def stale(pages: Pages, role: Role) -> Reader:
    """Return somebody whose sign-in is no longer fresh."""
    name = pages.reader(role) and f"{role.value}-of-all"
    proved_at = pages.application.clock.now() - dt.timedelta(minutes=40)
    secret = pages.serving.access.sessions.open(pages.people[name].id, "testclient", proved_at)
    return Reader(pages.client, secret)


def test_signing_in_leads_to_where_one_wanted_to_go(pages: Pages) -> None:
    pages.person("sonja", Role.READER)
    text = pages.stranger.page("/sign-in?next=/tenants/contoso%3Fa%3Db")
    assert "Sign in to go on where you were." in text
    assert 'name="next" value="/tenants/contoso?a=b"' in text
    answer = signed(pages, "sonja", next="/tenants/contoso?a=b")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/tenants/contoso?a=b"
    reader = Reader(pages.client, secret_of(answer))
    assert "Microsoft Entra ID Overview" in reader.page("/tenants/contoso")
    out = reader.post("/sign-out")
    assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
    assert "cookies" in out.headers["clear-site-data"]
    assert reader.get("/tenants/contoso").headers["location"].startswith("/sign-in")


@pytest.mark.parametrize(
    "foreign",
    [
        "https://evil.example/", "//evil.example/", "/\\evil.example", "/\t/evil.example",
        "\\\\evil.example", "javascript:alert(1)", "/%0d%0aX: y\r\nX: y", "evil.example", "/é",
        "/api/v1/session", "/sign-out", "/sign-in?next=/sign-in", "///evil.example",
        "/" + "a" * 3000, "/[", "//[",
    ],
)  # fmt: skip
def test_a_sign_in_leads_nowhere_but_to_our_own_pages(pages: Pages, foreign: str) -> None:
    pages.person("sonja", Role.READER)
    answer = signed(pages, "sonja", next=foreign)
    location = answer.headers["location"]
    assert location == "/" or (location == foreign == "/[")
    shown = pages.stranger.page(f"/sign-in?next={quote(foreign)}")
    assert "evil.example" not in shown


def test_a_wrong_sign_in_does_not_say_whether_somebody_exists(pages: Pages) -> None:
    pages.person("sonja", Role.READER)
    texts = []
    for name in ("sonja", "nobody-of-that-name"):
        answer = signed(pages, name, "a wrong password indeed")
        assert answer.status_code == 401
        assert "a wrong password indeed" not in answer.text
        texts.append(answer.text.replace(name, "NAME"))
    assert texts[0] == texts[1]
    assert "Name, password or one-time code is wrong." in texts[0]


def test_a_sign_in_that_comes_from_another_site_is_refused(pages: Pages) -> None:
    pages.person("sonja", Role.READER)
    answer = pages.stranger.post(
        "/sign-in", {"name": "sonja", "password": PASSWORD}, Origin="https://evil.example"
    )
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_set_up_link_sets_a_password_once(pages: Pages) -> None:
    _, secret = pages.serving.access.people.add(CONSOLE, "newly", {EVERY_TENANT: Role.READER})
    assert "data-from-fragment" in pages.stranger.page("/set-up")
    sent = {"secret": f"https://{'x'}/set-up#{secret}", "password": "short", "again": "short"}
    weak = pages.stranger.post("/set-up", sent)
    assert weak.status_code == 400
    assert "fewer than" in weak.text
    assert 'value="short"' not in weak.text
    sent |= {"password": "eleven tall trees", "again": "eleven tall tree"}
    differ = pages.stranger.post("/set-up", sent)
    assert (differ.status_code, "not the same" in differ.text) == (400, True)
    sent["again"] = sent["password"]
    done = pages.stranger.post("/set-up", sent)
    assert (done.status_code, done.headers["location"]) == (303, "/sign-in?ready=true")
    assert "The password is set." in pages.stranger.page("/sign-in?ready=true")
    assert pages.stranger.post("/set-up", sent).status_code == 400
    answer = signed(pages, "newly", "eleven tall trees")
    assert answer.status_code == 303


def test_showing_again_who_one_is_leads_back_and_makes_a_new_session(pages: Pages) -> None:
    reader = stale(pages, Role.READER)
    assert "Nothing was done yet" in reader.page("/confirm?next=/account")
    wrong = reader.post("/confirm", {"password": "not this one", "next": "/account"})
    assert wrong.status_code == 403
    assert "is wrong" in wrong.text
    assert 'name="next" value="/account"' in wrong.text
    done = reader.post("/confirm", {"password": PASSWORD, "next": "/account"})
    assert (done.status_code, done.headers["location"]) == (303, "/account")
    assert pages.serving.access.sessions.load(reader.secret) is None
    found = pages.serving.access.sessions.load(secret_of(done))
    assert found is not None
    assert found.is_fresh


def test_a_sign_in_elsewhere_comes_back_to_what_was_wanted_and_once(pages: Pages) -> None:
    reader = pages.reader(Role.READER)
    held = f"__Host-reentra={reader.secret}; __Host-reentra-next="
    for wanted, led in (("/account?a=b", "/account?a=b"), ("//evil.example/", "/tenants")):
        answer = pages.stranger.get("/", cookie=f"{held}{wanted}")
        assert (answer.status_code, answer.headers["location"]) == (303, led)
    kept = pages.stranger.get("/", cookie=f"{held}/account").headers.get_list("set-cookie")
    assert any("-next=" in one and "Max-Age=0" in one for one in kept)


def test_without_a_provider_nobody_is_offered_one(pages: Pages) -> None:
    assert "Sign in with Microsoft" not in pages.stranger.page("/sign-in")
    assert pages.stranger.get("/sign-in/microsoft").status_code == 404
    failed = pages.stranger.get("/api/v1/session/oidc/callback", accept="text/html,*/*")
    assert failed.headers["content-type"].startswith("text/html")
    plain = pages.stranger.get("/api/v1/session/oidc/callback")
    assert plain.headers["content-type"].startswith("application/problem+json")
