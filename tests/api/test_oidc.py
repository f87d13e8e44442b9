"""Signing in with the directory: the whole flow against the sandbox, and each way to cheat it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from reentra import errors
from reentra.access import Person, Role
from reentra.access.oidc import Provider, Rule, seal_secret
from reentra.database.tables_access import ATTEMPT
from reentra.sandbox import seed as seeds
from reentra.sandbox.app import SandboxServer

from .conftest import CONSOLE, HOST, Api, Caller

CALLBACK = f"https://{HOST}/api/v1/session/oidc/callback"


@dataclass
class Directory:
    """The sandbox as identity provider, with a user who is in a group."""

    api: Api
    server: SandboxServer
    user: str
    group: str

    def provider(self, role: Role = Role.RESTORER, group: str = "") -> Provider:
        vault = self.api.serving.access.vault
        return Provider(
            self.server.base_url,
            seeds.TENANT_ID,
            seeds.BOTH_CLIENT_ID,
            seal_secret(vault, seeds.SANDBOX_SECRET),
            (Rule("groups", group or self.group, role, "contoso"),),
        )

    def use(self, provider: Provider) -> None:
        self.api.serving.access.save_provider(CONSOLE, provider)

    def begin(self) -> tuple[str, str]:
        """Return where the browser is sent, and the cookie of the flow."""
        answer = self.api.nobody("GET", "/session/oidc")
        assert answer.status_code == 302, answer.text
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "Secure" in cookie
        return answer.headers["location"], cookie.partition("=")[2].partition(";")[0]

    def authorized(self, address: str, user: str = "") -> dict[str, str]:
        """Do what a browser does at the provider; return what it brings back."""
        page = requests.get(address, timeout=10)
        assert "Sign in" in page.text
        hidden = re.findall(r'name="([^"]+)" value="([^"]*)"', page.text)
        fields = {name: value.replace("&amp;", "&") for name, value in hidden}
        answer = requests.post(
            address,
            data={**fields, "login_hint": user or self.user},
            allow_redirects=False,
            timeout=10,
        )
        assert answer.status_code == 302, answer.text
        location = answer.headers["location"]
        assert location.startswith(CALLBACK)
        return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}

    def finish(self, cookie: str, fields: dict[str, str]) -> httpx.Response:
        return self.api.client.get(
            "/api/v1/session/oidc/callback",
            params=fields,
            headers={"host": HOST, "cookie": f"__Host-reentra-oidc={cookie}"},
            follow_redirects=False,
        )

    def sign_in(self) -> Caller:
        address, cookie = self.begin()
        answer = self.finish(cookie, self.authorized(address))
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"] == "/"
        secret = re.search(r"__Host-reentra=([^;]+)", str(answer.headers.get_list("set-cookie")))
        assert secret is not None
        return Caller(self.api.client, {}, secret[1])


@pytest.fixture
def directory(api: Api, sandbox: SandboxServer) -> Iterator[Directory]:
    tenant = sandbox.sandbox.tenant
    group, user = next(
        (group, user)
        for group in tenant.collection("group").values()
        for user_id in tenant.targets("group.members", group.id)
        if (user := tenant.get("user", user_id)) and user.props.get("accountEnabled") is not False
    )
    client = sandbox.sandbox.tokens.client(seeds.BOTH_CLIENT_ID)
    assert client is not None
    client.redirect_uris[:] = [CALLBACK]
    made = Directory(api, sandbox, user.props["userPrincipalName"], group.id)
    made.use(made.provider())
    api.serving.access.attempts.succeed("", "testclient")
    yield made
    api.serving.access.set_provider_believed(CONSOLE, is_believed=False)
    client.redirect_uris.clear()


def test_a_sign_in_with_the_directory_is_as_fresh_as_it_says(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = directory.api.nobody("GET", "/session/oidc?fresh=true").headers["location"]
    assert parse_qs(urlsplit(asked).query)["prompt"] == ["login"]
    assert directory.sign_in().json("GET", "/session")["fresh"] is True
    decode = jwt.decode

    def hours_ago(*arguments: Any, **more: Any) -> Any:
        claims = decode(*arguments, **more)
        return {**claims, "auth_time": claims["iat"] - 7200}

    monkeypatch.setattr(jwt, "decode", hours_ago)
    caller = directory.sign_in()
    who = caller.json("GET", "/session")
    assert who["fresh"] is False
    caller.headers["x-csrf-token"] = who["csrf_token"]
    told = caller("POST", "/session/confirm", {"password": "x"})
    assert (told.status_code, told.json()["code"]) == (403, "fresh_sign_in")
    assert "oidc?fresh=true" in told.json()["hint"]


def test_a_person_of_the_directory_signs_in_with_the_role_of_their_group(
    directory: Directory,
) -> None:
    caller = directory.sign_in()
    who = caller.json("GET", "/session")
    assert who["person"]["name"] == directory.user.lower()
    assert (who["person"]["external"], who["roles"]) == (True, {"contoso": "restorer"})
    assert caller("GET", "/people").status_code == 403
    directory.use(directory.provider(Role.READER))
    again = directory.sign_in().json("GET", "/session")
    assert again["person"]["id"] == who["person"]["id"]
    assert again["roles"] == {"contoso": "reader"}


def test_who_is_in_no_group_with_a_rule_does_not_come_in(directory: Directory) -> None:
    directory.use(directory.provider(group="11111111-1111-4111-8111-111111111111"))
    address, cookie = directory.begin()
    answer = directory.finish(cookie, directory.authorized(address))
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    assert "__Host-reentra=" not in str(answer.headers)


def test_the_emergency_shuts_out_everybody_from_the_directory_and_nobody_else(
    directory: Directory,
) -> None:
    api = directory.api
    caller = directory.sign_in()
    csrf = caller.json("GET", "/session")["csrf_token"]
    body: dict[str, str | int] = {"name": "t", "role": "reader", "tenant": "contoso"}
    assert caller("POST", "/tokens", body, x_csrf_token=csrf).status_code == 400  # too long
    body["days"] = 7
    token = caller("POST", "/tokens", body, x_csrf_token=csrf).json()["token"]
    script = Caller(api.client, {"authorization": f"Bearer {token}"})
    assert script("GET", "/tenants").status_code == 200
    address, cookie = directory.begin()
    brought = directory.authorized(address)
    admin = api.admin
    admin.json("PUT", "/settings/emergency", {"on": True})
    assert caller("GET", "/session").status_code == 401
    assert script("GET", "/tenants").status_code == 401
    assert directory.finish(cookie, brought).status_code == 404
    assert api.nobody("GET", "/session/oidc").status_code == 404
    assert admin("GET", "/session").status_code == 200
    admin.json("PUT", "/settings/emergency", {"on": False})
    assert caller("GET", "/session").status_code == 401  # ended, not asleep
    directory.sign_in()


def test_a_code_is_good_once_and_in_the_browser_that_asked(directory: Directory) -> None:
    address, cookie = directory.begin()
    brought = directory.authorized(address)
    _, other = directory.begin()
    for wrong, fields in (
        (other, brought),
        ("", brought),
        ("nonsense", brought),
        (cookie, {**brought, "state": "x"}),
        (cookie, {"state": brought["state"]}),
        (cookie, {"code": brought["code"]}),
    ):
        assert directory.finish(wrong, fields).status_code == 401
    assert directory.finish(cookie, brought).status_code == 303
    assert directory.finish(cookie, brought).status_code == 401  # a replay
    # An attacker's code in the victim's flow: PKCE and nonce belong to another question.
    address, _ = directory.begin()
    stolen = directory.authorized(address)
    other_address, theirs = directory.begin()
    state = parse_qs(urlsplit(other_address).query)["state"][0]
    assert directory.finish(theirs, {"code": stolen["code"], "state": state}).status_code == 401


def test_a_sign_in_that_takes_too_long_begins_again(directory: Directory) -> None:
    access = directory.api.serving.access
    _, cookie = access.oidc().begin(CALLBACK)
    import orjson

    flow = orjson.loads(access.vault.open("oidc:flow", cookie))
    assert flow["until"] > access.clock.now().timestamp()
    old = access.vault.seal("oidc:flow", orjson.dumps({**flow, "until": 1}).decode())
    with pytest.raises(errors.NotSignedIn, match="too long"):
        access.oidc().finish(old, flow["state"], "x", CALLBACK, "")


def test_a_token_that_anybody_else_made_is_not_good(directory: Directory) -> None:
    flow = directory.api.serving.access.oidc()
    found = flow._discovery()
    kid = requests.get(found["jwks_uri"], timeout=10).json()["keys"][0]["kid"]
    mine = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = {
        "iss": found["issuer"], "aud": seeds.BOTH_CLIENT_ID, "tid": seeds.TENANT_ID, "sub": "x",
        "iat": 1_700_000_000, "exp": 4_000_000_000,
    }  # fmt: skip
    for token in (
        jwt.encode(claims, mine, "RS256", {"kid": kid}),
        jwt.encode(claims, mine, "RS256", {"kid": "unknown"}),
        jwt.encode(claims, None, "none", {"kid": kid}),
        jwt.encode(claims, "a shared secret that is long enough", "HS256", {"kid": kid}),
        "nonsense",
        "",
    ):
        with pytest.raises(errors.NotSignedIn, match="not good"):
            flow._verified(token, found)


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "another application"}, {"iss": "https://evil.example"}, {"exp": 1_700_000_000},
        {"tid": "22222222-2222-4222-8222-222222222222"}, {"sub": None}, {"nbf": 4_000_000_000},
    ],
    ids=str,
)  # fmt: skip
def test_a_token_for_somebody_else_is_not_good(
    directory: Directory, change: dict[str, Any]
) -> None:
    from reentra.sandbox.tokens import _signed

    flow = directory.api.serving.access.oidc()
    found = flow._discovery()
    claims = {
        "iss": found["issuer"], "aud": seeds.BOTH_CLIENT_ID, "tid": seeds.TENANT_ID, "sub": "x",
        "iat": 1_700_000_000, "exp": 4_000_000_000,
    }  # fmt: skip
    assert flow._verified(_signed(claims), found)["sub"] == "x"
    changed = {name: value for name, value in {**claims, **change}.items() if value is not None}
    with pytest.raises(errors.NotSignedIn):
        flow._verified(_signed(changed), found)


def test_a_provider_that_points_elsewhere_is_not_followed(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = directory.api.serving.access
    flow = access.oidc()
    real = flow._discovery()
    for name in ("token_endpoint", "jwks_uri", "authorization_endpoint", "issuer"):
        flow._known.clear()
        monkeypatch.setattr(
            flow, "_ask", lambda *_, name=name: {**real, name: "https://evil.example/x"}
        )
        with pytest.raises(errors.UntrustedLink):
            flow._discovery()


def test_somebody_who_is_disabled_here_stays_out(directory: Directory) -> None:
    api = directory.api
    caller = directory.sign_in()
    person = caller.json("GET", "/session")["person"]["id"]
    api.admin.json("PUT", f"/people/{person}/standing", {"disabled": True})
    address, cookie = directory.begin()
    assert directory.finish(cookie, directory.authorized(address)).status_code == 409
    api.admin.json("PUT", f"/people/{person}/standing", {"disabled": False})
    found: Person = api.serving.access.people.load(person)
    assert not found.is_disabled


def test_the_settings_never_show_the_secret(api: Api) -> None:
    body = {
        "directory": seeds.TENANT_ID, "client_id": seeds.BOTH_CLIENT_ID,
        "client_secret": "canary-oidc-secret",
        "rules": [{"claim": "groups", "value": "g", "role": "reader"}],
    }  # fmt: skip
    answer = api.admin("PUT", "/settings/oidc", body)
    assert answer.status_code == 200
    assert answer.json()["provider"]["authority"] == "https://login.microsoftonline.com"
    shown = api.admin("GET", "/settings/oidc").text + api.admin("GET", "/audit").text
    assert "canary-oidc-secret" not in shown + answer.text
    kept = api.serving.access.load_provider()
    assert kept is not None
    assert kept.sealed_secret not in shown + answer.text
    assert kept.sealed_secret not in repr(kept)
    for more in ({"authority": "http://169.254.169.254"}, {"cloud": "custom"}):
        assert api.admin("PUT", "/settings/oidc", {**body, **more}).status_code == 400
    del body["client_secret"]
    assert api.admin("PUT", "/settings/oidc", body).status_code == 200  # kept
    assert (
        api.admin("PUT", "/settings/oidc", {**body, "directory": seeds.BOTH_CLIENT_ID}).status_code
        == 400
    )
    # Other tests must not be sent to a directory of the real world.
    api.serving.access.set_provider_believed(CONSOLE, is_believed=False)


def test_sign_ins_that_are_only_begun_are_bounded(directory: Directory) -> None:
    def forget() -> None:
        with directory.api.serving.access.database.writing() as connection:
            connection.execute(ATTEMPT.delete())

    forget()
    statuses = [directory.api.nobody("GET", "/session/oidc").status_code for _ in range(31)]
    assert statuses == [302] * 30 + [429]
    forget()
