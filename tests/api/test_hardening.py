"""What an attacker tries from outside, each with its test."""

from __future__ import annotations

import contextlib
import io
import zipfile

import anyio
import pytest
from litestar.exceptions import LitestarException

from reentra.access import Role
from reentra.api import hardening, make_api
from reentra.api.application import PREFIX
from reentra.api.hardening import Message

from .conftest import CONSOLE, HOST, PASSPHRASE, PASSWORD, Api, Caller

CLIENT = "11111111-2222-4333-8444-555555555555"
SNAPSHOTS = "/tenants/contoso/snapshots"


def test_every_answer_carries_the_headers(api: Api) -> None:
    for answer in (
        api.nobody("GET", "/session"),
        api.admin("GET", "/tenants"),
        api.nobody("GET", "/no/such/address"),
        api.nobody("GET", "/session", host="evil.example"),
    ):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["strict-transport-security"].startswith("max-age=")
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "host", ["evil.example", "", f"{HOST}.evil.example", "evil.example:443", f"{HOST}:x"]
)
def test_a_request_for_another_host_is_refused(api: Api, host: str) -> None:
    answer = api.nobody("GET", "/openapi.json", host=host)
    assert (answer.status_code, answer.json()["code"]) == (421, "wrong_host")


def test_a_large_body_is_refused(api: Api) -> None:
    answer = api.nobody("POST", "/session", {"name": "x" * 2_000_000, "password": "x"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 50_000, '{"a":' * 50_000, "[" * 33 + "]" * 33, "[" + "[]," * 20_000 + "[]]",
        "[" * 33 + '"",' * 60_000,
    ],
)  # fmt: skip
def test_a_deeply_nested_body_is_refused(api: Api, text: str) -> None:
    answer = api.client.post(
        f"{PREFIX}/session",
        content=text,
        headers={"host": HOST, "content-type": "application/json"},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "usage")


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        (b"[" * 32 + b"]" * 32, False),
        (b'{"a":' * 32 + b"1" + b"}" * 32, False),
        (b'{"a":[' * 16 + b"{}" + b"]}" * 16, True),
        (b'["' + b"[" * 100 + b'"]', False),
        (b'["\\"' + b"[" * 100 + b'"]', False),
        (b'["\\\\",' + b"[" * 33 + b"]" * 33 + b"]", True),
        (b"[" + b'{"a":[1]},' * 3000 + b"1]", False),
        (b'"' + b"[" * 50, False),
    ],
)
def test_how_deep_json_is_is_told_by_its_brackets_outside_of_strings(
    text: bytes, is_refused: bool
) -> None:
    assert hardening._is_too_intricate(text) == is_refused


class Hangup(Exception):
    """What a server tells that cannot send any more."""


@pytest.mark.parametrize("ending", ["goes away", "cannot be reached", "listens"])
def test_a_download_of_the_trail_that_breaks_off_is_recorded_as_that(api: Api, ending: str) -> None:
    admin = api.admin
    asked = False
    gone = anyio.Event()

    async def receive() -> Message:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            if ending == "cannot be reached":
                raise Hangup
            if ending == "goes away":
                gone.set()
                await anyio.sleep(5)  # it does not come back; what sends is stopped
            if not message.get("more_body", False):
                gone.set()

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "https", "path": f"{PREFIX}/audit/export", "raw_path": b"", "query_string": b"",
        "root_path": "", "client": ("testclient", 1), "server": (HOST, 443),
        "headers": [
            (b"host", HOST.encode()), (b"cookie", f"__Host-reentra={admin.cookie}".encode()),
        ],
    }  # fmt: skip

    async def fetch() -> None:
        with contextlib.suppress(LitestarException):
            await make_api(api.serving)(scope, receive, send)

    anyio.run(fetch)
    record = next(
        record for record in api.serving.access.trail.list_records() if record.result != "begun"
    )
    assert record.action == "audit.export"
    assert record.result == ("done" if ending == "listens" else "broken off")


def test_cookies_that_http_2_sends_one_by_one_are_read_as_one_line(api: Api) -> None:
    admin = api.as_role(Role.ADMINISTRATOR)
    statuses = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    cookies = (
        b"reentra_zone=UTC",
        f"__Host-reentra={admin.cookie}".encode(),
        b"reentra_theme=dark",
    )
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "2", "method": "GET",
        "scheme": "https", "path": f"{PREFIX}/session", "raw_path": b"", "query_string": b"",
        "root_path": "", "client": ("testclient", 1), "server": (HOST, 443),
        "headers": [(b"host", HOST.encode()), *((b"cookie", one) for one in cookies)],
    }  # fmt: skip
    anyio.run(make_api(api.serving), scope, receive, send)
    assert statuses == [200]


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "null", '{"name": 1}', '{"name": "x"}'])
def test_a_body_that_does_not_fit_is_a_problem_and_never_shown(api: Api, text: str) -> None:
    answer = api.client.post(
        f"{PREFIX}/session",
        content=text,
        headers={"host": HOST, "content-type": "application/json"},
    )
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_a_secret_in_a_wrong_body_is_not_told_back(api: Api) -> None:
    body = {"name": ["x"], "password": {"canary": "kanarienvogel"}}
    answer = api.nobody("POST", "/session", body)
    assert answer.status_code == 400
    assert "kanarienvogel" not in answer.text


def test_another_tenants_things_are_not_reached_by_their_ids(api: Api) -> None:
    admin = api.admin
    snapshot = admin.json("GET", SNAPSHOTS)["items"][0]["id"]
    job = admin.json("GET", "/tenants/contoso/jobs")["items"][0]["id"]
    group = admin.json("GET", f"{SNAPSHOTS}/latest/kinds/group/objects?limit=1")["items"][0]["id"]
    for caller in (admin, api.as_role(Role.ADMINISTRATOR, "fabrikam")):
        for path in (
            f"/tenants/fabrikam/snapshots/{snapshot}",
            f"/tenants/fabrikam/snapshots/{snapshot}/kinds/group/objects",
            f"/tenants/fabrikam/snapshots/{snapshot}/kinds/group/objects/{group}",
            f"/tenants/fabrikam/comparison?before={snapshot}&after={snapshot}",
            f"/tenants/fabrikam/jobs/{job}",
            f"/tenants/fabrikam/jobs/{job}/steps",
            f"/tenants/fabrikam/jobs/{job}/events",
            f"/tenants/fabrikam/jobs/{job}/report.csv",
            f"/tenants/fabrikam/downloads/{job}",
        ):
            answer = caller("GET", path)
            assert answer.status_code == 404, (path, answer.text)
    assert admin("GET", f"/tenants/contoso/jobs/{job[:6]}").status_code == 404


def test_a_download_is_for_who_asked_and_never_in_clear_on_the_disk(api: Api) -> None:
    operator = api.as_role(Role.OPERATOR)
    job = operator.json("POST", "/tenants/contoso/downloads", {"kinds": ["group"]}, 202)
    assert "path" not in job["parameters"]
    ended = api.ended("contoso", job["id"])
    assert ended["status"] == "succeeded", ended
    assert "path" not in ended["summary"]
    files = list(api.serving.worker.downloads_folder.iterdir())
    assert files
    for file in files:
        content = file.read_bytes()
        assert b"displayName" not in content
        assert not content.startswith(b"PK")
        assert file.stat().st_mode & 0o077 == 0
    address = f"/tenants/contoso/downloads/{job['id']}"
    answer = operator("GET", address)
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment")
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert "manifest.json" in names
    assert any(name.startswith("group/") for name in names)
    assert api.admin("GET", address).status_code == 404
    assert api.nobody("GET", address).status_code == 401
    fetched = [r.action for r in api.serving.access.trail.list_records(limit=20)]
    assert "download.fetch" in fetched
    # A flipped bit is told, never served.
    for file in files:
        damaged = bytearray(file.read_bytes())
        damaged[100] ^= 1
        file.write_bytes(damaged)
    assert operator("GET", address).status_code == 500
    for file in files:
        file.unlink()
    assert operator("GET", address).status_code == 404


def test_no_file_or_host_of_the_server_is_reached_by_connecting_a_tenant(api: Api) -> None:
    body = {"name": "evil", "tenant_id": CLIENT, "client_id": CLIENT, "client_secret": "z"}
    for more in (
        {"graph_endpoint": "http://169.254.169.254"},
        {"authority": "http://127.0.0.1:1"},
        {"credential_file": "/etc/passwd"},
        {"ca_file": "/etc/passwd"},
        {"cloud": "custom"},
        {"name": "../../evil"},
    ):
        answer = api.admin("POST", "/tenants", {**body, **more})
        assert answer.status_code == 400, more
    assert "evil" not in [t["name"] for t in api.admin.json("GET", "/tenants")["items"]]


def test_paths_of_the_server_are_not_told(api: Api) -> None:
    home = str(api.application.home)
    for path in ("/tenants", "/tenants/contoso/jobs", "/audit", "/settings", "/people"):
        assert home not in api.admin("GET", path).text


@pytest.mark.parametrize(
    "path",
    [
        "/tenants/..%2f..%2fetc%2fpasswd/snapshots",
        "/tenants/contoso/downloads/..%2f..%2faccess.sqlite",
        "/tenants/contoso/jobs/%25",
        "/tenants/contoso/snapshots/%00",
        "/tenants/contoso/plans/..%2fx",
        "/tenants/contoso/snapshots/latest/kinds/user/objects?cursor=nonsense",
        "/tenants/contoso/snapshots/latest/kinds/user/objects?limit=100000",
        "/tenants/contoso/search?text=%00&cursor=x",
        "/tenants/contoso/search?modified_from=yesterday",
        "/audit?cursor=%F0%9F%92%A9",
    ],
)
def test_hostile_addresses_are_usage_errors(api: Api, path: str) -> None:
    answer = api.admin("GET", path)
    assert answer.status_code in (400, 404), answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_a_hostile_name_adds_no_header_and_no_line(api: Api) -> None:
    answer = api.admin("POST", "/people", {"name": "x\r\nset-cookie: a=b", "role": "reader"})
    assert answer.status_code == 400
    assert "set-cookie" not in answer.headers
    answer = api.admin("POST", "/people", {"name": "<script>alert(1)</script>", "role": "reader"})
    assert answer.status_code == 400


def test_canaries_are_in_no_answer_log_database_or_file(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    """Planted as password, client secret, passphrase, token, default password, session."""
    caplog.set_level("DEBUG")
    admin = api.admin
    canaries = [
        PASSPHRASE, PASSWORD, "canary-wrong-password", "canary-client-secret",
        "canary-default-password", admin.cookie,
    ]  # fmt: skip
    texts = []
    made = admin.json("POST", "/tokens", {"name": "canary", "role": "reader"}, 201)
    canaries.append(made["token"])
    _, link = api.serving.access.people.add(CONSOLE, "canary-person", {})
    canaries.append(link)
    texts.append(api.nobody("POST", "/session", {"name": "x", "password": canaries[2]}).text)
    texts.append(
        admin(
            "POST", "/tenants",
            {"name": "canary", "tenant_id": CLIENT, "client_id": CLIENT,
             "client_secret": "canary-client-secret", "extra": "canary-client-secret"},
        ).text
    )  # fmt: skip
    plan = admin.json(
        "POST", "/tenants/contoso/plans", {"snapshot": "latest", "kinds": ["group"]}, 202
    )
    ended = api.ended("contoso", plan["id"])
    applied = admin(
        "POST",
        f"/tenants/contoso/plans/{ended['summary']['plan']}/apply",
        {"default_password": "canary-default-password"},
    )
    assert applied.status_code == 202, applied.text
    api.ended("contoso", applied.json()["id"])
    Caller(api.client, {"authorization": f"Bearer {made['token']}"})("GET", "/tenants")
    seen = ("/tenants", "/people", "/tokens", "/audit", "/tenants/contoso/jobs", "/settings")
    texts += [admin("GET", path).text for path in seen]
    texts.append(caplog.text)
    files = [file for file in api.application.home.rglob("*") if file.is_file()]
    assert len(files) > 10
    texts += [file.read_bytes().decode("latin-1") for file in files]
    for canary in canaries:
        assert [text for text in texts if canary in text] == [], canary
