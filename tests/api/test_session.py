"""Signing in over the API: cookies, CSRF, set-up links, codes, and what is told to whom."""

from __future__ import annotations

from typing import Any

import pytest

from reentra.access import Role, totp

from .conftest import CONSOLE, PASSWORD, Api, Caller


def sign_in(api: Api, name: str, **more: str) -> Any:
    return api.nobody("POST", "/session", {"name": name, "password": PASSWORD, **more})


def test_a_person_signs_in_and_out(api: Api) -> None:
    api.person("sam", Role.READER)
    answer = sign_in(api, "sam")
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-reentra=")
    for word in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert word in cookie
    assert "Domain" not in cookie
    secret = cookie.partition("=")[2].partition(";")[0]
    assert secret not in answer.text
    caller = Caller(api.client, {}, secret)
    who = caller.json("GET", "/session")
    assert (who["person"]["name"], who["roles"]) == ("sam", {"*": "reader"})
    assert who["csrf_token"] == answer.json()["csrf_token"]
    assert caller("DELETE", "/session").status_code == 403
    out = caller("DELETE", "/session", x_csrf_token=who["csrf_token"])
    assert out.status_code == 200
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert caller("GET", "/session").status_code == 401


def test_a_session_that_was_there_before_is_never_taken_over(api: Api) -> None:
    api.person("sam", Role.READER)
    planted = Caller(api.client, {}, "planted-by-somebody")
    answer = planted("POST", "/session", {"name": "sam", "password": PASSWORD})
    assert answer.status_code == 200
    assert "planted" not in answer.headers["set-cookie"]
    assert planted("GET", "/session").status_code == 401


def test_a_change_from_another_site_is_refused(api: Api) -> None:
    admin = api.admin
    path = "/tenants/contoso/schedule"
    body = {"rule": "off"}
    assert admin("PUT", path, body).status_code == 200
    assert admin("PUT", path, body, x_csrf_token="0" * 64).status_code == 403
    assert admin("PUT", path, body, origin="https://evil.example").status_code == 403
    assert admin("PUT", path, body, sec_fetch_site="cross-site").status_code == 403
    assert admin("PUT", path, body, origin="https://reentra.test").status_code == 200
    told = {"name": "sam", "password": PASSWORD}
    assert api.nobody("POST", "/session", told, origin="https://evil.example").status_code == 403


def test_a_set_up_link_is_redeemed_once(api: Api) -> None:
    made = api.admin.json("POST", "/people", {"name": "newcomer", "role": "reader"}, expect=201)
    secret = made["set_up"].partition("#")[2]
    weak = api.nobody("POST", "/set-up", {"secret": secret, "password": "short"})
    assert (weak.status_code, weak.json()["code"]) == (400, "usage")
    api.nobody.json("POST", "/set-up", {"secret": secret, "password": PASSWORD})
    assert (
        api.nobody("POST", "/set-up", {"secret": secret, "password": PASSWORD}).status_code == 400
    )
    assert sign_in(api, "newcomer").status_code == 200


def test_codes_are_switched_on_by_oneself_and_then_needed(api: Api) -> None:
    person = api.person("coder", Role.READER)
    caller = api.signed_in("coder")
    seed = caller.json("POST", "/session/totp")["seed"]
    now = totp.step_at(api.application.clock.now())
    assert caller("PUT", "/session/totp", {"code": "000000"}).status_code == 400
    codes = caller.json("PUT", "/session/totp", {"code": totp.code_at(seed, now)})
    assert caller("GET", "/session").status_code == 401  # every session ended
    assert sign_in(api, "coder").status_code == 401
    assert sign_in(api, "coder", code=totp.code_at(seed, now)).status_code == 401  # used
    assert sign_in(api, "coder", code=totp.code_at(seed, now + 1)).status_code == 200
    assert sign_in(api, "coder", code=codes["recovery_codes"][0]).status_code == 200
    again = api.signed_in("coder").json("POST", "/session/recovery-codes")["recovery_codes"]
    assert sign_in(api, "coder", code=codes["recovery_codes"][1]).status_code == 401
    assert sign_in(api, "coder", code=again[0]).status_code == 200
    assert api.admin.json("DELETE", f"/people/{person.id}/totp")["second_factor"] is False


def test_a_code_that_is_confirmed_forgets_the_wrong_ones(api: Api) -> None:
    person = api.person("fumbler", Role.READER)
    for _ in range(2):  # six guesses in all: more than are free
        caller = api.signed_in("fumbler")
        seed = caller.json("POST", "/session/totp")["seed"]
        for _ in range(3):
            assert caller("PUT", "/session/totp", {"code": "000000"}).status_code == 400
        now = totp.step_at(api.application.clock.now())
        caller.json("PUT", "/session/totp", {"code": totp.code_at(seed, now)})
    api.serving.access.people.drop_totp(CONSOLE, person.id)
    assert sign_in(api, "fumbler").status_code == 200
    for _ in range(6):  # the others of this address are not to wait for it
        api.serving.access.attempts.succeed("", "testclient")


def test_what_is_wrong_is_not_told(api: Api) -> None:
    api.person("sam", Role.READER)
    answers = [
        api.nobody("POST", "/session", {"name": name, "password": "wrong"})
        for name in ("sam", "nobody-at-all")
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert answers[0].text == answers[1].text


def test_too_many_guesses_have_to_wait(api: Api) -> None:
    api.person("guessed", Role.READER)
    answers = [
        api.nobody("POST", "/session", {"name": "guessed", "password": "wrong"}) for _ in range(6)
    ]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    api.serving.access.attempts.succeed("guessed", "testclient")


def test_a_token_works_without_csrf_and_ends_when_it_is_revoked(api: Api) -> None:
    admin = api.admin
    made = admin.json(
        "POST", "/tokens", {"name": "t", "role": "operator", "tenant": "contoso"}, 201
    )
    script = Caller(api.client, {"authorization": f"Bearer {made['token']}"})
    assert [t["name"] for t in script.json("GET", "/tenants")["items"]] == ["contoso"]
    assert script("PUT", "/tenants/contoso/schedule", {"rule": "off"}).status_code == 403
    assert script("GET", "/tenants/fabrikam/snapshots").status_code == 404
    admin.json("DELETE", f"/tokens/{made['id']}")
    assert script("GET", "/tenants").status_code == 401
    assert made["token"] not in admin("GET", "/tokens").text


def test_a_token_makes_no_other_way_in(api: Api) -> None:
    made = api.admin.json("POST", "/tokens", {"name": "t", "role": "administrator"}, 201)
    script = Caller(api.client, {"authorization": f"Bearer {made['token']}"})
    assert script.json("GET", "/people")["items"]
    for method, path, body in (
        ("POST", "/people", {"name": "x", "role": "reader"}),
        ("POST", "/tokens", {"name": "x", "role": "reader"}),
        ("POST", "/session/totp", None),
        ("PUT", "/session/password", {"old": PASSWORD, "new": "nine blue doors at dusk"}),
        ("PUT", "/settings", {}),
    ):
        assert script(method, path, body).status_code == 403, path


def test_a_bad_token_is_not_good_even_with_a_good_session(api: Api) -> None:
    assert api.admin("GET", "/people", authorization="Bearer reentra_x_y").status_code == 401
    assert api.admin("GET", "/people", authorization="Basic abc").status_code == 401


def test_a_password_is_changed_with_the_old_one(api: Api) -> None:
    api.person("changer", Role.READER)
    caller = api.signed_in("changer")
    body = {"old": "wrong", "new": "nine blue doors at dusk"}
    assert caller("PUT", "/session/password", body).status_code == 400
    caller.json("PUT", "/session/password", {**body, "old": PASSWORD})
    assert caller("GET", "/session").status_code == 401
    assert sign_in(api, "changer").status_code == 401


def test_somebody_who_is_shut_out_is_out_at_once(api: Api) -> None:
    person = api.person("leaver", Role.READER)
    caller = api.signed_in("leaver")
    assert caller("GET", "/session").status_code == 200
    api.admin.json("PUT", f"/people/{person.id}/standing", {"disabled": True})
    assert caller("GET", "/session").status_code == 401
    api.serving.access.people.set_disabled(CONSOLE, person.id, is_disabled=False)


SENSITIVE = [
    ("POST", "/people", {"name": "friend", "role": "administrator"}),
    ("POST", "/people/x/link", None),
    ("PUT", "/people/x/role", {"role": "administrator"}),
    ("PUT", "/people/x/standing", {"disabled": False}),
    ("DELETE", "/people/x/totp", None),
    ("POST", "/tokens", {"name": "t", "role": "reader"}),
    ("DELETE", "/tokens/x", None),
    ("PUT", "/settings", {}),
    ("PUT", "/settings/oidc", {"directory": "d", "client_id": "c", "rules": []}),
    ("PUT", "/settings/emergency", {"on": True}),
    ("DELETE", "/tenants/fabrikam", None),
    ("POST", "/session/totp", None),
    ("PUT", "/session/totp", {"code": "000000"}),
    ("POST", "/session/recovery-codes", None),
    ("POST", "/tenants/contoso/approvals/x", {"granted": True}),
]


@pytest.mark.parametrize(("method", "path", "body"), SENSITIVE)
def test_what_is_sensitive_wants_a_fresh_sign_in(
    api: Api, method: str, path: str, body: Any
) -> None:
    api.person("boss", Role.ADMINISTRATOR)
    stale = api.signed_in("boss", seconds_ago=15 * 60)
    answer = stale(method, path, body)
    assert (answer.status_code, answer.json()["code"]) == (403, "fresh_sign_in")
    assert "/api/v1/session/confirm" in answer.json()["hint"]
    denied = api.serving.access.trail.list_records(limit=1)[0]
    assert (denied.who, denied.result) == ("boss", "denied")
    assert stale("GET", "/session").json()["fresh"] is False


def test_showing_the_password_again_makes_a_fresh_session_in_place_of_the_old(api: Api) -> None:
    api.person("confirmer", Role.ADMINISTRATOR)
    stale = api.signed_in("confirmer", seconds_ago=3600)
    wrong = stale("POST", "/session/confirm", {"password": "wrong"})
    assert (wrong.status_code, wrong.json()["code"]) == (403, "fresh_sign_in")
    assert stale("GET", "/session").status_code == 200
    answer = stale("POST", "/session/confirm", {"password": PASSWORD})
    assert answer.status_code == 200
    secret = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
    fresh = Caller(api.client, {"x-csrf-token": answer.json()["csrf_token"]}, secret)
    assert fresh("GET", "/session").json()["fresh"] is True
    fresh.json("PUT", "/settings", {})
    assert stale("GET", "/session").status_code == 401


def test_the_password_again_is_not_guessed(api: Api) -> None:
    api.person("confirmed", Role.READER)
    stale = api.signed_in("confirmed", seconds_ago=3600)
    told = [stale("POST", "/session/confirm", {"password": "wrong"}) for _ in range(6)]
    assert [answer.status_code for answer in told] == [403] * 5 + [429]
    api.serving.access.attempts.succeed("confirmed", "testclient")


def test_with_a_second_factor_the_code_is_shown_again_too(api: Api) -> None:
    person = api.person("two-factors", Role.READER)
    people = api.serving.access.people
    seed, _ = people.begin_totp(CONSOLE, person.id)
    now = totp.step_at(api.application.clock.now())
    people.confirm_totp(CONSOLE, person.id, totp.code_at(seed, now))
    stale = api.signed_in("two-factors", seconds_ago=3600)
    assert stale("POST", "/session/confirm", {"password": PASSWORD}).status_code == 403
    shown = {"password": PASSWORD, "code": totp.code_at(seed, now + 1)}
    assert stale("POST", "/session/confirm", shown).status_code == 200


def test_a_token_confirms_nothing(api: Api) -> None:
    made = api.admin.json("POST", "/tokens", {"name": "t", "role": "administrator"}, 201)
    script = Caller(api.client, {"authorization": f"Bearer {made['token']}"})
    assert script("POST", "/session/confirm", {"password": PASSWORD}).status_code == 403


def test_one_sees_ones_own_sessions_and_ends_one_or_all_others(api: Api) -> None:
    api.person("sessa", Role.READER)
    api.person("other", Role.READER)
    here, there, third = (api.signed_in("sessa") for _ in range(3))
    foreign = api.signed_in("other")
    listed = here.json("GET", "/sessions")["items"]
    assert len(listed) == 3
    assert sum(one["is_this"] for one in listed) == 1
    assert all(one["address"] == "testclient" for one in listed)
    assert all(here.cookie not in str(one) for one in listed)
    (this,) = (one["id"] for one in there.json("GET", "/sessions")["items"] if one["is_this"])
    assert foreign("DELETE", f"/sessions/{this}").status_code == 404
    assert here.json("DELETE", f"/sessions/{this}") == {"ended": 1}
    assert there("GET", "/session").status_code == 401
    assert here("DELETE", f"/sessions/{this}").status_code == 404
    assert here.json("DELETE", "/sessions") == {"ended": 1}
    assert third("GET", "/session").status_code == 401
    assert foreign("GET", "/session").status_code == 200
    assert len(here.json("GET", "/sessions")["items"]) == 1
    told = [
        (one.action, one.result, one.detail)
        for one in api.serving.access.trail.list_records(limit=12, who="sessa")
        if one.action == "session.end"
    ]
    assert [result for _, result, _ in told] == ["done", "done"]
    assert this in told[1][2]


def test_sessions_are_ended_after_a_fresh_sign_in_and_by_no_token(api: Api) -> None:
    owner = api.person("stale", Role.READER)
    old = api.signed_in("stale", seconds_ago=3600)
    assert old("DELETE", "/sessions").json()["code"] == "fresh_sign_in"
    _, secret = api.serving.access.tokens.create(
        CONSOLE, owner, "nosy", "*", Role.READER, 1
    )  # fmt: skip
    token = Caller(api.client, {"authorization": f"Bearer {secret}"})
    assert token("GET", "/sessions").status_code == 403
    assert token("DELETE", "/sessions").status_code == 403
