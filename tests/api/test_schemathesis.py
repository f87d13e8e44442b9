"""Requests made from the description, by schemathesis: every answer is one that it describes."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from reentra.access import EVERY_TENANT, Role
from reentra.api.application import PREFIX, make_litestar

from .conftest import CONSOLE, HOST, Api

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from schemathesis import GenerationMode  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
DESCRIPTION = schemathesis.openapi.from_dict(make_litestar(None).openapi_schema.to_schema())
OPERATIONS = {found.ok().label: found.ok() for found in DESCRIPTION.get_all_operations()}
ELSEWHERE = f"GET {PREFIX}/session/oidc"  # asks the identity provider, which another test set
# What would end or change what other tests stand on, or ask servers that are not ours.
LEFT_OUT = {
    f"DELETE {PREFIX}/tenants/{{tenant}}",
    f"POST {PREFIX}/tenants",
    f"PUT {PREFIX}/settings/oidc",
    f"POST {PREFIX}/check",
    f"POST {PREFIX}/rebuild",
    f"POST {PREFIX}/tenants/{{tenant}}/backups",
}
NASTY = (
    "\x00", "../../etc", "' OR 1=1--", "\U0001f4a9", "%", "a" * 3000, "-1", "99999999999999999999",
    "null", "\r\nset-cookie:a=b", "*", "latest", "2026-13-45",
)  # fmt: skip
INSTEAD = st.one_of(st.just("real"), st.none(), st.just("real"), st.sampled_from(NASTY))
EXAMPLES = {"session": 11, "token": 4, "nobody": 2}
OURS = {"authorization", "cookie", "x-csrf-token", "host", "origin", "sec-fetch-site"}
BUDGET = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def real(api: Api) -> dict[str, str]:
    """Return what stands for path parameters, so that requests get behind the first door."""
    admin = api.admin
    snapshots = "/tenants/contoso/snapshots"
    group = admin.json("GET", f"{snapshots}/latest/kinds/group/objects")["items"][0]["id"]
    body = {"snapshot": "latest", "ids": [f"group/{group}"]}
    made = admin.json("POST", "/tenants/contoso/plans", body, 202)
    plan = api.ended("contoso", made["id"])["summary"]["plan"]
    return {
        "tenant": "contoso",
        "snapshot": "latest",
        "kind": "group",
        "object_id": group,
        "job": made["id"],
        "plan": plan,
    }


def headers_of(api: Api, who: str) -> dict[str, str]:
    """Return what an administrator's session or token, or nobody, sends along."""
    person = api.person("administrator-of-all", Role.ADMINISTRATOR)
    if who == "session":
        caller = api.signed_in(person.name)  # a new one: the request before may have ended it
        return {**caller.headers, "cookie": f"__Host-reentra={caller.cookie}"}
    if who == "token":
        tokens = api.serving.access.tokens
        _, secret = tokens.create(CONSOLE, person, "nonsense", EVERY_TENANT, Role.ADMINISTRATOR, 1)
        return {"authorization": f"Bearer {secret}"}
    return {}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # schemathesis' own
@pytest.mark.parametrize("label", sorted(OPERATIONS))
@pytest.mark.parametrize("who", ["session", "token", "nobody"])
def test_every_answer_is_as_described(api: Api, real: dict[str, str], label: str, who: str) -> None:
    if label == ELSEWHERE or (label in LEFT_OUT and who != "nobody"):
        return
    operation = OPERATIONS[label]
    kept = headers_of(api, who) if who != "session" else {}
    cases = st.one_of(
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
    )

    @settings(BUDGET, max_examples=EXAMPLES[who])
    @given(case=cases, instead=INSTEAD)
    def ask(case: Any, instead: str | None) -> None:
        for name in case.path_parameters or {}:
            # The tenant stays real: what lies behind it is of interest.
            if name in real and (name == "tenant" or instead == "real"):
                case.path_parameters[name] = real[name]
            elif instead is not None:
                case.path_parameters[name] = quote(instead, safe="")
        sent = case.as_transport_kwargs(base_url=f"https://{HOST}")
        sent.pop("cookies", None)
        generated = {
            name: value
            for name, value in (sent.get("headers") or {}).items()
            if name.lower() not in OURS
        }
        own = headers_of(api, who) if who == "session" else kept
        try:
            request = api.client.build_request(
                sent["method"], sent["url"], params=sent.get("params"), json=sent.get("json"),
                content=sent.get("data"), headers={**generated, **own},
            )  # fmt: skip
        except (UnicodeEncodeError, ValueError):
            return  # our own client cannot even send it
        api.client.cookies.clear()
        answer = api.client.send(request, follow_redirects=False)
        api.serving.access.attempts.succeed("", "testclient")
        case.validate_response(answer, checks=CHECKS)

    ask()
    api.admin.json("PUT", "/settings", {})
    api.admin.json("PUT", "/tenants/contoso/schedule", {"rule": "off"})
