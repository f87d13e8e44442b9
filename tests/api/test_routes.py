"""Every route with every role and none; what each needs; and the description of all of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from reentra.access import EVERY_TENANT, Permission, Role, is_allowed
from reentra.api.application import PREFIX, make_litestar
from reentra.api.problems import MEDIA_TYPE
from reentra.api.routing import Needs

from .conftest import Api

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def routes() -> Iterator[tuple[str, str, Any]]:
    """Yield method, path and handler of everything that the application answers to."""
    for route in make_litestar(None).routes:
        for handler in route.route_handlers:  # type: ignore[union-attr]
            for method in sorted(getattr(handler, "http_methods", ())):
                if method != "OPTIONS":
                    yield str(method), route.path_format, handler


ROUTES = sorted(routes(), key=lambda item: (item[1], item[0]))
OPEN = [item for item in ROUTES if "/closed" not in item[1]]
IDS = [f"{method} {path}" for method, path, _ in OPEN]


def filled(path: str, tenant: str) -> str:
    return re.sub(r"\{[a-z_]+\}", "nothing", path.replace("{tenant}", tenant)).removeprefix(PREFIX)


def golden(name: str, text: str) -> None:
    file = GOLDEN / name
    if os.environ.get("REENTRA_WRITE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text()


def test_the_golden_matrix_of_roles_and_routes() -> None:
    """`make golden` writes it anew; whoever changes it changes who may do what."""
    lines = []
    for method, path, handler in OPEN:
        needs = handler.opt["needs"]
        roles = [
            role.value
            for role in Role
            if isinstance(needs, Permission) and is_allowed({EVERY_TENANT: role}, needs, "t")
        ]
        who = {Needs.NOTHING: "anybody", Needs.SIGN_IN: "who is signed in"}.get(needs, "")
        fresh = " (fresh sign-in)" if handler.opt["is_sensitive"] else ""
        lines.append(f"{method:6} {path:75} {who or ' '.join(roles)}{fresh}\n")
    golden("routes.txt", "".join(lines))


def test_the_golden_description() -> None:
    """`make golden` writes it anew; whoever changes it changes what scripts rely on."""
    document = make_litestar(None).openapi_schema.to_schema()
    assert document["openapi"] == "3.1.0"
    option = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
    golden("openapi.json", orjson.dumps(document, option=option).decode() + "\n")


def test_every_json_answer_has_a_described_shape() -> None:
    document = make_litestar(None).openapi_schema.to_schema()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                for media_type, content in response.get("content", {}).items():
                    if media_type in ("application/json", MEDIA_TYPE):
                        assert "$ref" in content["schema"], (method, path, status)


def test_every_shape_has_an_example_that_is_one() -> None:
    from reentra.api.examples import DOCUMENTS, EXAMPLES

    document = make_litestar(None).openapi_schema.to_schema()
    shapes = {
        name for name, schema in document["components"]["schemas"].items() if "properties" in schema
    }
    assert shapes - {"Problem"} == EXAMPLES.keys()
    for name, kind in DOCUMENTS.items():
        assert msgspec.to_builtins(msgspec.convert(EXAMPLES[name], kind)) == EXAMPLES[name], name


def test_the_description_is_served(api: Api) -> None:
    answer = api.nobody("GET", "/openapi.json")
    assert answer.status_code == 200
    assert f"{PREFIX}/tenants" in answer.json()["paths"]


@pytest.mark.parametrize(("method", "path", "handler"), OPEN, ids=IDS)
def test_every_route_says_what_it_needs(method: str, path: str, handler: Any) -> None:
    assert isinstance(handler.opt.get("needs"), Needs | Permission)
    if method != "GET" and handler.opt["needs"] is not Needs.NOTHING:
        assert handler.opt["action"]


@pytest.mark.parametrize(("method", "path", "handler"), OPEN, ids=IDS)
def test_nobody_and_every_role_get_what_the_table_says(
    api: Api, method: str, path: str, handler: Any
) -> None:
    needs = handler.opt["needs"]
    body = {"no such field": 1} if method in ("POST", "PUT") else None
    address = filled(path, "ghost")
    status = api.nobody(method, address, body).status_code
    assert (status == 401) == (needs is not Needs.NOTHING), status
    api.person("roleless", None)
    status = api.signed_in("roleless")(method, address, body).status_code
    if isinstance(needs, Permission):
        assert status in (403, 404), status
    for role in Role:
        status = api.as_role(role)(method, address, body).status_code
        is_open = not isinstance(needs, Permission) or is_allowed({"*": role}, needs, "ghost")
        assert (status == 403) == (not is_open), (role, status)
        assert status < 500, (role, status)


@pytest.mark.parametrize(("method", "path", "handler"), OPEN, ids=IDS)
def test_an_administrator_of_one_tenant_is_nobody_for_another_and_for_all(
    api: Api, method: str, path: str, handler: Any
) -> None:
    needs = handler.opt["needs"]
    if not isinstance(needs, Permission):
        return
    caller = api.as_role(Role.ADMINISTRATOR, "contoso")
    body = {"no such field": 1} if method in ("POST", "PUT") else None
    status = caller(method, filled(path, "fabrikam"), body).status_code
    assert status == (404 if "{tenant}" in path else 403)


def test_what_the_framework_adds_by_itself_is_closed(api: Api) -> None:
    for _, path, handler in ROUTES:
        if "/closed" in path:
            assert "needs" not in handler.opt
            assert api.admin("GET", filled(path, "x")).status_code in (403, 404)


def test_a_route_that_says_nothing_is_closed(api: Api) -> None:
    from litestar import get
    from litestar.testing import TestClient

    from reentra.api.hardening import Hardening

    from .conftest import HOST

    @get("/forgotten", sync_to_thread=False)
    def forgotten() -> str:
        return "secret"

    app = make_litestar(api.serving)
    app.register(forgotten)
    admin = api.admin
    with TestClient(Hardening(app, api.serving), base_url=f"https://{HOST}") as client:
        cookie = {"cookie": f"__Host-reentra={admin.cookie}", "host": HOST}
        assert client.get("/forgotten", headers=cookie).status_code == 403
        assert client.get("/forgotten", headers={"host": HOST}).status_code == 401


def test_every_change_is_recorded_before_and_after_and_every_denial_too(api: Api) -> None:
    trail = api.serving.access.trail
    before = trail.list_records(limit=1)[0].number
    api.admin.json("PUT", "/tenants/contoso/schedule", {"rule": "every 6h"})
    api.as_role(Role.READER)("PUT", "/tenants/contoso/schedule", {"rule": "off"})
    api.admin("PUT", "/tenants/contoso/schedule", {"rule": "nonsense"})
    told = [
        (record.action, record.tenant, record.result)
        for record in reversed(trail.list_records(limit=50))
        if record.number > before and record.action == "schedule.change"
    ]
    action = ("schedule.change", "contoso")
    assert told == [
        (*action, "begun"), (*action, "done"), (*action, "denied"), (*action, "begun"),
        (*action, "usage"),
    ]  # fmt: skip
    api.admin.json("PUT", "/tenants/contoso/schedule", {"rule": "off"})
    assert trail.verify().is_whole
