"""People, tokens and one's own account, as pages."""

from __future__ import annotations

import html
import re
import urllib.parse

from reentra.access import Role, totp
from tests.api.conftest import PASSWORD

from .conftest import Pages, Reader


def shown_once(text: str, name: str) -> str:
    found = re.search(rf'<code id="{name}"[^>]*>([^<]+)</code>', text)
    assert found is not None, text
    return html.unescape(found[1])


def session_of(pages: Pages, name: str) -> Reader:
    secret = pages.serving.access.sessions.open(pages.people[name].id, "testclient")
    return Reader(pages.client, secret)


def test_somebody_is_added_and_their_link_is_shown_once_and_works(pages: Pages) -> None:
    admin = pages.admin_reader
    assert "One-time" in admin.page("/people") or "one-time" in admin.page("/people/new")
    made = admin.post("/people/new", {"name": "Mona", "role": "operator", "tenant": "contoso"})
    assert made.status_code == 200, made.text
    link = shown_once(made.text, "link")
    secret = link.partition("#")[2]
    person = pages.serving.access.people.find("mona")
    page = admin.page(f"/people/{person.id}")
    assert "Operator · contoso" in page
    assert "Not set up yet" in page
    assert secret not in page
    sent = {"secret": secret, "password": "nine small boats", "again": "nine small boats"}
    assert pages.stranger.post("/set-up", sent).status_code == 303
    answer = pages.stranger.post("/sign-in", {"name": "mona", "password": "nine small boats"})
    assert answer.headers["location"] == "/"


def test_a_mistake_leaves_what_was_typed(pages: Pages) -> None:
    answer = pages.admin_reader.post(
        "/people/new", {"name": "two words", "role": "restorer", "tenant": "fabrikam"}
    )
    assert answer.status_code == 400
    assert "cannot be a person&#39;s name" in answer.text
    assert 'value="two words"' in answer.text
    assert '<option value="restorer" selected>' in answer.text
    assert '<option value="fabrikam" selected>' in answer.text


def test_a_role_is_given_and_taken_and_somebody_is_shut_out_and_let_in(pages: Pages) -> None:
    admin, person = pages.admin_reader, pages.person("piet", Role.READER, "contoso")
    at = f"/people/{person.id}"
    assert "Reader" in admin.page(f"{at}/role")
    assert admin.post(f"{at}/role", {"role": "restorer", "tenant": "*"}).status_code == 303
    assert "Restorer · all tenants" in admin.page(at)
    assert admin.post(f"{at}/role", {"role": "none", "tenant": "*"}).status_code == 303
    reader = session_of(pages, "piet")
    reader.page("/tenants/contoso")
    assert "They are out at once" in admin.page(f"{at}/standing")
    assert admin.post(f"{at}/standing", {"disabled": "true"}).status_code == 303
    assert reader.get("/tenants/contoso").status_code == 303
    assert "Disabled" in admin.page(at)
    assert admin.post(f"{at}/standing", {"disabled": "false"}).status_code == 303
    again = admin.post(f"{at}/link")
    assert "#" in shown_once(again.text, "link")


def test_the_last_administrator_stays_one_and_the_page_says_so(pages: Pages) -> None:
    admin = pages.admin_reader
    people = pages.serving.access.people
    others = [one for one in people.list_people() if one.name != "administrator-of-all"]
    assert not any(one.grants.get("*") is Role.ADMINISTRATOR for one in others)
    at = f"/people/{pages.people['administrator-of-all'].id}"
    for path, sent in (("role", {"role": "reader", "tenant": "*"}),
                       ("standing", {"disabled": "true"})):  # fmt: skip
        answer = admin.post(f"{at}/{path}", sent)
        assert answer.status_code == 409
        assert "administ" in answer.text
    assert admin.get("/people").status_code == 200


def test_a_hostile_name_stays_text(pages: Pages) -> None:
    answer = pages.admin_reader.post(
        "/tokens/new",
        {"name": "<script>alert(1)</script>\u202e", "role": "reader", "tenant": "*", "days": "1"},
    )
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "<script>alert" not in pages.admin_reader.page("/tokens")


def test_a_token_is_shown_once_acts_and_is_revoked(pages: Pages) -> None:
    pages.person("tess", Role.OPERATOR, "contoso")
    tess = session_of(pages, "tess")
    too_much = tess.post(
        "/tokens/new", {"name": "report", "role": "restorer", "tenant": "contoso", "days": "30"}
    )
    assert too_much.status_code == 409
    assert "cannot be restorer" in too_much.text
    assert 'value="report"' in too_much.text
    sent = {"name": "report", "role": "reader", "tenant": "contoso", "days": "30"}
    made = tess.post("/tokens/new", sent)
    token = shown_once(made.text, "token")
    bearer = {"authorization": f"Bearer {token}"}
    assert pages.stranger.get("/api/v1/tenants/contoso/snapshots", **bearer).status_code == 200
    assert token not in tess.page("/tokens")
    found = pages.serving.access.tokens.list_tokens(pages.people["tess"].id)[0]
    other = pages.reader(Role.READER)
    assert other.get(f"/tokens/{found.id}/revoke").status_code == 404
    assert other.post(f"/tokens/{found.id}/revoke").status_code == 404
    assert "cannot be taken back" in tess.page(f"/tokens/{found.id}/revoke")
    assert tess.post(f"/tokens/{found.id}/revoke").headers["location"] == "/tokens"
    assert "Revoked" in tess.page("/tokens")
    assert pages.stranger.get("/api/v1/tenants/contoso/snapshots", **bearer).status_code == 401


def test_ones_own_password_is_changed(pages: Pages) -> None:
    pages.person("paul", Role.READER)
    paul = session_of(pages, "paul")
    assert "do not ask for your password again" in paul.page("/account")
    new = "twelve loud geese"
    wrong = paul.post("/account/password", {"old": PASSWORD, "new": new, "again": "other"})
    assert (wrong.status_code, new in wrong.text) == (400, False)
    done = paul.post("/account/password", {"old": PASSWORD, "new": new, "again": new})
    assert done.headers["location"] == "/sign-in?ready=true"
    assert paul.get("/account").status_code == 303
    answer = pages.stranger.post("/sign-in", {"name": "paul", "password": new})
    assert answer.status_code == 303


def test_one_time_codes_are_switched_on_asked_for_and_reset(pages: Pages) -> None:
    person = pages.person("cora", Role.READER)
    cora = session_of(pages, "cora")
    assert "Show the key" in cora.page("/account/codes")
    shown = cora.post("/account/codes")
    seed = shown_once(shown.text, "seed")
    assert '<svg class="qr"' in shown.text
    assert urllib.parse.quote("Reentra:cora") in shown.text
    wrong = cora.post("/account/codes/on", {"seed": seed, "code": "000000"})
    assert wrong.status_code == 400
    assert shown_once(wrong.text, "seed") == seed
    step = totp.step_at(pages.application.clock.now())
    code = totp.code_at(seed, step)
    done = cora.post("/account/codes/on", {"seed": seed, "code": f"{code[:3]} {code[3:]}"})
    assert done.status_code == 200, done.text
    codes = shown_once(done.text, "codes").split()
    assert len(codes) == 8
    assert cora.get("/account").status_code == 303
    sent = {"name": "cora", "password": PASSWORD}
    assert pages.stranger.post("/sign-in", sent).status_code == 401
    later = totp.code_at(seed, step + 1)
    assert pages.stranger.post("/sign-in", {**sent, "code": later}).status_code == 303
    lost = {**sent, "code": codes[0]}
    assert pages.stranger.post("/sign-in", lost).status_code == 303
    assert pages.stranger.post("/sign-in", lost).status_code == 401
    cora = session_of(pages, "cora")
    assert "Make new codes" in cora.page("/account/recovery-codes")
    renewed = shown_once(cora.post("/account/recovery-codes").text, "codes").split()
    assert not set(renewed) & set(codes)
    void = {**sent, "code": codes[1]}
    assert pages.stranger.post("/sign-in", void).status_code == 401
    admin = pages.admin_reader
    assert "lost their device" in admin.page(f"/people/{person.id}/codes")
    assert admin.post(f"/people/{person.id}/codes").status_code == 303
    assert pages.stranger.post("/sign-in", sent).status_code == 303


def test_ones_own_sessions_are_seen_and_ended(pages: Pages) -> None:
    pages.person("roamer", Role.READER)
    here, there = session_of(pages, "roamer"), session_of(pages, "roamer")
    page = here.page("/account/sessions")
    assert page.count("testclient") == 2
    assert page.count("This one") == 1
    (other,) = re.findall(r'action="/account/sessions/([0-9a-f]+)"', page)
    assert here.post(f"/account/sessions/{other}", {}).status_code == 303
    assert there.get("/account").headers["location"].startswith("/sign-in")
    again = session_of(pages, "roamer")
    assert here.post("/account/sessions", {}).status_code == 303
    assert again.get("/account").headers["location"].startswith("/sign-in")
    assert "There is no other session" in here.page("/account/sessions")
