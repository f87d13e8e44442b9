"""The same act by the command line and by the API: same document, same record, same refusal.

One home: first the real entry of the command does everything, then the real application does it
again, each with names of its own (``{x}``), on the same sandbox.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from litestar.testing import TestClient

from reentra.access import AuditRecord, Role, passwords
from reentra.api import Serving, make_api
from reentra.app import Application
from reentra.directory.kinds import KINDS
from reentra.graph.connection import Cloud, TenantConnection
from reentra.sandbox import seed as seeds
from reentra.sandbox.app import SandboxServer
from reentra.settings import Settings
from reentra.worker import Worker
from tests.api.conftest import HOST, Api
from tests.api.parity import COMMANDS, Same

from .conftest import PASSPHRASE, TENANT, Cli, QuickCli, init_cheaply

OF = f"/tenants/{TENANT}"
NOTED = "0" * 8 + "-0000-4000-8000-" + "0" * 12  # somebody's id that nobody has
_ID = re.compile(r"\d{8}T\d+Z?-[0-9a-f]+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{8,64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)")
# What only the record of a request's beginning, or of a job's waiting, tells.
_BEGINNINGS = {"begun", "queued"}


@dataclass
class Told:
    """What an act answered, and what it left in the trail."""

    document: Any
    records: list[AuditRecord] = field(default_factory=list)


@dataclass(frozen=True)
class Act:
    """An act: what is typed, what is asked, and what of both documents is the same."""

    command: str
    typed: Callable[[Face], Any]
    asked: Callable[[Face], Any]
    of_typed: Callable[[Any], Any] = lambda document: document
    of_asked: Callable[[Any], Any] = lambda document: document


@dataclass
class Face:
    """One of the two, with what it has found out on its way."""

    word: str
    cli: Cli
    api: Api | None
    sandbox: SandboxServer
    known: dict[str, str] = field(default_factory=dict)

    @property
    def x(self) -> str:
        return f"x-{self.word}"

    def get(self, path: str) -> Any:
        return self.ask("GET", path)

    def ask(self, method: str, path: str, body: Any = None, expect: int = 200) -> Any:
        assert self.api is not None
        return self.api.admin.json(method, path, body, expect)

    def ended(self, method: str, path: str, body: Any, tenant: str = TENANT) -> Any:
        """Ask for a job, wait for it and its record in the trail, and return it."""
        assert self.api is not None
        job = self.ask(method, path, body, 202)["id"]
        ended = self.api.ended(tenant, job)
        trail = self.api.serving.access.trail
        end = time.monotonic() + 60
        while not any(one.via == "system" for one in trail.list_records() if one.target == job):
            assert time.monotonic() < end
            time.sleep(0.05)
        return ended

    def person(self, name: str) -> str:
        return next(one["id"] for one in self.get("/people")["items"] if one["name"] == name)

    def lose_department(self) -> str:
        """Change a user, and return the reference that a restore takes."""
        tenant = self.sandbox.sandbox.tenant
        user = tenant.collection("user")[self.known["user"]]
        tenant.update(user, {"department": "lost"})
        return f"user/{user.id}"


def keys(document: Any) -> Any:
    """Return which keys a document has, in depth; of a list, of its first."""
    if isinstance(document, dict):
        return {name: keys(value) for name, value in document.items()}
    return [keys(document[0])] if isinstance(document, list) and document else None


def items(document: Any) -> Any:
    return document["items"]


def without(*names: str) -> Callable[[Any], Any]:
    def left(document: Any) -> Any:
        if isinstance(document, list):
            return [left(one) for one in document]
        return {name: value for name, value in document.items() if name not in names}

    return left


def summary(document: Any) -> Any:
    """Return a job's summary as its command ends with it."""
    return {**document["summary"], "job": document["id"]}


def restored(face: Face) -> Any:
    planned = face.ended("POST", f"{OF}/plans", {"snapshot": "latest",
                                                 "ids": [face.lose_department()]})  # fmt: skip
    plan = planned["summary"]["plan"]
    job = face.ended("POST", f"{OF}/plans/{plan}/apply", {})
    face.known["restore"] = job["id"]
    return job


def restore_typed(face: Face) -> Any:
    done = face.cli.json(
        "restore", TENANT, "--snapshot", "latest", "--id", face.lose_department(), "--yes"
    )
    face.known["restore"] = done["job"]
    return done


def undone(face: Face) -> Any:
    planned = face.ended("POST", f"{OF}/jobs/{face.known['restore']}/undo", {})
    return face.ended("POST", f"{OF}/plans/{planned['summary']['plan']}/apply", {})


def cli(*words: str) -> Callable[[Face], Any]:
    return lambda face: face.cli.json(*(word.format(x=face.x, **face.known) for word in words))


def get(path: str) -> Callable[[Face], Any]:
    return lambda face: face.get(path.format(x=face.x, **face.known))


def lines_of(face: Face) -> Any:
    """Compare as the API does it in pages, all on one."""
    path = f"{OF}/changes?before={face.known['first']}&after=latest&limit=1000"
    return face.get(path)["items"]


def downloaded(face: Face) -> Any:
    body = {"snapshot": "latest", "kinds": ["group"], "relationships": True}
    return face.ended("POST", f"{OF}/downloads", body)


def token_made(face: Face) -> Any:
    made = face.ask("POST", "/tokens", {"name": face.x, "role": "reader", "tenant": TENANT}, 201)
    face.known["token"] = made["id"]
    return made


def token_typed(face: Face) -> Any:
    made = cli("tokens", "create", "{x}", "--person", "administrator-of-all", "--role", "reader",
               "--tenant", TENANT)(face)  # fmt: skip
    face.known["token"] = made["id"]
    return made


def provider_typed(face: Face) -> Any:
    file = face.cli.home / "client-secret"
    file.write_text("not a secret\n")
    return cli("oidc", "set", "--directory", NOTED, "--client-id", NOTED, "--client-secret-file",
               str(file), "--rule", f"roles:staff=reader@{TENANT}")(face)  # fmt: skip


def provider(face: Face) -> Any:
    rule = {"claim": "roles", "value": "staff", "role": "reader", "tenant": TENANT}
    body = {"directory": NOTED, "client_id": NOTED, "client_secret": "s", "rules": [rule]}
    return face.ask("PUT", "/settings/oidc", body)["provider"]


def backed_up(face: Face) -> Any:
    """Change one user and back up, so that each face has found the same."""
    tenant = face.sandbox.sandbox.tenant
    changed = {"jobTitle": face.x, "department": "found"}
    tenant.update(tenant.collection("user")[face.known["user"]], changed)
    if face.api is None:
        return face.cli.json("backup", TENANT)
    return face.ended("POST", f"{OF}/backups", {})


def exported(face: Face) -> Any:
    face.cli("audit", "export", "-o", str(face.cli.home / "trail.csv"))


def asked(method: str, path: str, body: Any = None, expect: int = 200) -> Callable[[Face], Any]:
    def ask(face: Face) -> Any:
        given = {
            name: value.format(x=face.x) if isinstance(value, str) else value
            for name, value in (body or {}).items()
        }
        place = path.format(x=face.x, **face.known)
        if "/people/" in place:
            place = place.replace(face.x, face.person(face.x))
        return face.ask(method, place, None if body is None else given, expect)

    return ask


KIND = "/snapshots/latest/kinds/user/objects"
UNLIKE = without("schedule", "credential_file", "ca_file")
SHOWN = without("sealed_secret", "ca_file", "cloud")
STANDING = "/people/{x}/standing"

ACTS = (
    Act("tenant set", cli("tenant", "set", TENANT, "--break-glass", "{account}"),
        lambda face: face.ask("PUT", OF, {"break_glass": [face.known["account"]]}),
        of_asked=lambda answer: {name: answer[name] for name in ("name", "break_glass")}),
    Act("tenant list", cli("tenant", "list"), get("/tenants"),
        lambda document: UNLIKE(document)[:1], lambda answer: UNLIKE(answer["items"])[:1]),
    Act("tenant check", lambda face: face.cli.json("tenant", "check", TENANT, expect=None),
        get(f"{OF}/permissions")),
    Act("schedule", cli("schedule", TENANT, "daily 02:30", "--zone", "Europe/Berlin"),
        asked("PUT", f"{OF}/schedule", {"rule": "daily 02:30", "zone": "Europe/Berlin"})),
    Act("backup", backed_up, backed_up, of_asked=summary),
    Act("snapshots", cli("snapshots", TENANT, "--limit", "1"), get(f"{OF}/snapshots?limit=1"),
        of_asked=items),
    Act("browse", cli("browse", TENANT), get(f"{OF}/snapshots/latest"),
        of_typed=lambda document: document["kinds"],
        of_asked=lambda answer: {k: v for k, v in answer["kinds"].items() if k in KINDS}),
    Act("browse", cli("browse", TENANT, "user", "--text", "a", "--sort", "modified", "--descending",
                      "--property", "department", "--limit", "5"),
        get(f"{OF}{KIND}?text=a&sort=modified&descending=true&property=department&limit=5"),
        of_typed=lambda document: document["objects"], of_asked=items),
    Act("browse", cli("browse", TENANT, "user", "{user}"), get(f"{OF}{KIND}/{{user}}")),
    Act("browse", cli("browse", TENANT, "user", "{user}", "--versions", "--differing-from",
                      "latest"),
        get(f"{OF}/kinds/user/objects/{{user}}/versions?differing_from=latest"), keys, keys),
    Act("search", cli("search", TENANT, "a", "--kind", "group", "--modified-to", "2099-01-01"),
        get(f"{OF}/search?text=a&kind=group&modified_to=2099-01-01"), of_asked=items),
    Act("compare", cli("compare", TENANT, "{first}", "latest"), lines_of),
    Act("restore", restore_typed, restored, of_asked=summary),
    Act("jobs show", cli("jobs", "show", "{restore}"),
        get(f"{OF}/jobs/{{restore}}"), without("entries", "who"), without("who")),
    Act("jobs report", cli("jobs", "report", "{restore}"),
        lambda face: face.api and face.api.admin("GET", f"{OF}/jobs/{face.known['restore']}"
                                                        "/report.csv") and None,
        of_typed=lambda _: None),
    Act("jobs undo", lambda face: face.cli.json("jobs", "undo", face.known["restore"], "--yes"),
        undone, of_asked=summary),
    Act("snapshots", cli("snapshots", TENANT, "--captures"), get(f"{OF}/captures"),
        lambda document: keys(document[:1]), lambda answer: keys(answer["items"][:1])),
    Act("download", lambda face: face.cli.json(
            "download", TENANT, "--kind", "group", "--relationships", "-o",
            str(face.cli.home / "groups.zip")),
        downloaded, without("path", "size_bytes"),
        lambda job: without("path", "size_bytes")(summary(job))),
    Act("check", cli("check", "--quick"),
        lambda face: face.ended("POST", "/check", {"quick": True}, ""),
        keys, lambda job: keys(summary(job))),
    Act("rebuild", cli("rebuild"), lambda face: face.ended("POST", "/rebuild", None, ""),
        keys, lambda job: keys(summary(job))),
    Act("people add", cli("people", "add", "{x}", "--role", "reader", "--tenant", TENANT),
        asked("POST", "/people", {"name": "{x}", "role": "reader", "tenant": TENANT}, 201)),
    Act("people role", cli("people", "role", "{x}", "operator"),
        asked("PUT", "/people/{x}/role", {"role": "operator"})),
    Act("people disable", cli("people", "disable", "{x}"), asked("PUT", STANDING,
                                                                 {"disabled": True})),
    Act("people enable", cli("people", "enable", "{x}"), asked("PUT", STANDING,
                                                               {"disabled": False})),
    Act("people totp", cli("people", "totp", "{x}", "--off"), asked("DELETE", "/people/{x}/totp")),
    Act("people link", cli("people", "link", "{x}"), asked("POST", "/people/{x}/link"),
        of_typed=lambda document: {"set_up": document["set_up"]}),
    Act("people list", cli("people", "list"), get("/people"),
        keys, lambda answer: keys(answer["items"])),
    Act("tokens create", token_typed, token_made),
    Act("tokens list", cli("tokens", "list"), get("/tokens"),
        keys, lambda answer: keys(answer["items"])),
    Act("tokens revoke", cli("tokens", "revoke", "{token}"), asked("DELETE", "/tokens/{token}")),
    Act("oidc set", provider_typed, provider, SHOWN, SHOWN),
    Act("oidc show", cli("oidc", "show"), lambda face: face.get("/settings/oidc")["provider"],
        SHOWN, SHOWN),
    Act("oidc off", cli("oidc", "off"), asked("PUT", "/settings/emergency", {"on": True}),
        of_asked=lambda answer: {"enabled": answer["provider"]["enabled"]}),
    Act("oidc on", cli("oidc", "on"), asked("PUT", "/settings/emergency", {"on": False}),
        of_asked=lambda answer: {"enabled": answer["provider"]["enabled"]}),
    Act("audit list", cli("audit", "list", "--action", "schedule", "--limit", "1"),
        get("/audit?action=schedule&limit=1"), keys, lambda answer: keys(answer["items"])),
    Act("audit verify", cli("audit", "verify"), get("/audit/verification"),
        without("records"), without("records")),
    Act("audit export", exported,
        lambda face: face.api and face.api.admin("GET", "/audit/export.csv") and None),
    Act("retention", cli("retention", TENANT, "--last", "50"),
        asked("PUT", f"{OF}/retention", {"last": 50}),
        lambda document: document["policy"], lambda answer: answer["policy"]),
    Act("prune", cli("prune"), lambda face: face.ended("POST", "/prune", None, ""),
        keys, lambda job: keys(summary(job))),
    Act("approvals", cli("approvals"), get("/settings")),
    Act("tenant disconnect", cli("tenant", "disconnect", "{x}"), asked("DELETE", "/tenants/{x}")),
)  # fmt: skip
IDS = [f"{number}-{act.command.replace(' ', '-')}" for number, act in enumerate(ACTS)]

# Wrong in the same way: what is typed, what is asked, and the code of both answers.
REFUSED: tuple[tuple[str, tuple[str, str, Any], str], ...] = (
    ("snapshots nowhere", ("GET", "/tenants/nowhere/snapshots", None), "not_found"),
    ("snapshots contoso --taken-from soon", ("GET", f"{OF}/snapshots?taken_from=soon", None),
     "usage"),
    ("browse contoso --snapshot 19990101", ("GET", f"{OF}/snapshots/19990101", None), "not_found"),
    ("browse contoso elephant", ("GET", f"{OF}/snapshots/latest/kinds/elephant/objects", None),
     "not_found"),
    (f"browse contoso user {NOTED}", ("GET", f"{OF}{KIND}/{NOTED}", None), "not_found"),
    ("search contoso a --modified-from soon", ("GET", f"{OF}/search?modified_from=soon", None),
     "usage"),
    ("search contoso a --kind elephant", ("GET", f"{OF}/search?kind=elephant", None), "usage"),
    ("compare contoso latest 19990101",
     ("GET", f"{OF}/comparison?before=latest&after=19990101", None), "not_found"),
    ("backup contoso --kind elephant", ("POST", f"{OF}/backups", {"kinds": ["elephant"]}),
     "usage"),
    ("backup nowhere", ("POST", "/tenants/nowhere/backups", {}), "not_found"),
    ("schedule contoso sometimes", ("PUT", f"{OF}/schedule", {"rule": "sometimes"}), "usage"),
    ("schedule contoso off --zone Atlantis",
     ("PUT", f"{OF}/schedule", {"rule": "off", "zone": "Atlantis"}), "usage"),
    ("tenant set contoso --break-glass nobody@nowhere",
     ("PUT", OF, {"break_glass": ["nobody@nowhere"]}), "not_found"),
    ("tenant disconnect nowhere", ("DELETE", "/tenants/nowhere", None), "not_found"),
    ("download contoso --kind elephant -o {home}/x.zip",
     ("POST", f"{OF}/downloads", {"kinds": ["elephant"]}), "usage"),
    ("restore contoso --snapshot 19990101", ("POST", f"{OF}/plans", {"snapshot": "19990101"}),
     "not_found"),
    ("restore contoso --snapshot latest --kind elephant",
     ("POST", f"{OF}/plans", {"snapshot": "latest", "kinds": ["elephant"]}), "usage"),
    ("restore contoso --snapshot latest --no-relationships --rollback-kind elephant",
     ("POST", f"{OF}/plans", {"snapshot": "latest", "relationships": False,
                              "rollback_kinds": ["elephant"]}), "usage"),
    ("restore contoso --snapshot latest --kind user --settings-of elephant=skip",
     ("POST", f"{OF}/plans", {"snapshot": "latest", "kinds": ["user"],
                              "settings_of": {"elephant": "skip"}}), "usage"),
    ("restore contoso --snapshot latest --kind group --property department",
     ("POST", f"{OF}/plans", {"snapshot": "latest", "kinds": ["group"],
                              "relationships": False, "properties": ["department"]}), "usage"),
    ("jobs list --status odd", ("GET", f"{OF}/jobs?status=odd", None), "usage"),
    ("jobs show feedfeed", ("GET", f"{OF}/jobs/feedfeed", None), "not_found"),
    ("jobs cancel {job}", ("POST", f"{OF}/jobs/{{job}}/cancel", None), "refused"),
    ("jobs resume {job}", ("POST", f"{OF}/jobs/{{job}}/resume", {}), "usage"),
    ("jobs undo {job}", ("POST", f"{OF}/jobs/{{job}}/undo", {}), "usage"),
    ("people add x-command --role reader",
     ("POST", "/people", {"name": "x-command", "role": "reader"}), "already_exists"),
    ("people add two@words --role reader --tenant nowhere",
     ("POST", "/people", {"name": "two@words", "role": "reader", "tenant": "nowhere"}),
     "not_found"),
    ("people role administrator-of-all none",
     ("PUT", "/people/{administrator}/role", {"role": "none"}), "refused"),
    ("people disable administrator-of-all",
     ("PUT", "/people/{administrator}/standing", {"disabled": True}), "refused"),
    ("people link nobody", ("POST", f"/people/{NOTED}/link", None), "not_found"),
    ("tokens revoke feedfeed", ("DELETE", "/tokens/feedfeed", None), "not_found"),
    ("tokens create t --person administrator-of-all --role reader --days 9999",
     ("POST", "/tokens", {"name": "t", "role": "reader", "days": 9999}), "usage"),
    ("tokens create t --person administrator-of-all --role reader --tenant nowhere",
     ("POST", "/tokens", {"name": "t", "role": "reader", "tenant": "nowhere"}), "not_found"),
    ("key remove feedfeed", ("DELETE", "/keys/feedfeed", None), "not_found"),
    ("forget contoso 19990101 --yes", ("POST", f"{OF}/forget", {"snapshots": ["19990101"]}),
     "not_found"),
    ("audit list --since soon", ("GET", "/audit?since=soon", None), "usage"),
)  # fmt: skip


@dataclass
class Both:
    """What both told of every act, and the codes of what both refused."""

    acts: dict[int, tuple[Told, Told]]
    refused: dict[str, tuple[str, str]]
    denied: dict[str, list[tuple[int, AuditRecord]]]


# ``tenant connect`` reaches Microsoft's clouds alone by the API, so not the sandbox; a password and
# codes are set in person there: ``tests/api/test_session.py``. Keys are the repository's on which
# both stand, and made at full cost: ``tests/api/test_keys.py``.
NOT_DONE = {
    "tenant connect", "people password", "key list", "key add", "key passwd", "key rotate",
}  # fmt: skip


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Everything done by the command, and then again by the API, on one home and sandbox."""
    home = tmp_path_factory.mktemp("acts") / "home"
    cli = QuickCli(
        home, {"REENTRA_PASSPHRASE": PASSPHRASE, "REENTRA_PUBLIC_URL": f"https://{HOST}"}
    )
    patch = pytest.MonkeyPatch()
    patch.setattr(passwords, "MEMORY_KIB", 64)
    patch.setattr(passwords, "PASSES", 1)
    with SandboxServer(seed_name="small") as sandbox:
        init_cheaply(cli)
        settings = Settings(home=home, repository="", database_url="", public_url=f"https://{HOST}")
        with Application(settings, lambda: PASSPHRASE) as application:
            _connect(application, sandbox)
        typed = Face("command", cli, None, sandbox)
        typed.known["user"], typed.known["account"] = _ordinary_users(sandbox)[:2]
        sandbox.sandbox.tenant.update(
            sandbox.sandbox.tenant.collection("user")[typed.known["user"]], {"department": "found"}
        )
        typed.known["first"] = cli.json("backup", TENANT)["snapshot"]
        told: dict[int, tuple[Told, Told]] = {}
        by_command = [_told(cli, lambda act=act: act.typed(typed)) for act in ACTS]  # type: ignore[misc]
        job = next(one["id"] for one in cli.json("jobs", "list", "--task", "backup"))
        codes = {
            text: cli.json(*text.format(home=home, job=job).split(), expect=None)["error"]["code"]
            for text, _, _ in REFUSED
        }
        with Application(settings, lambda: PASSPHRASE) as application:
            worker = Worker(application)
            worker.start()
            serving = Serving(application, worker, frozenset({HOST}), is_secure=True)
            try:
                with TestClient(make_api(serving), base_url=f"https://{HOST}") as client:
                    api = Api(serving, client)
                    known = {one: typed.known[one] for one in ("user", "account", "first")}
                    api.people["administrator-of-all"] = application.access.people.find(
                        "administrator-of-all"
                    )
                    face = Face("request", cli, api, sandbox, known)
                    trail = application.access.trail
                    for number, act in enumerate(ACTS):
                        before = trail.list_records(limit=1)[0].number
                        document = act.asked(face)
                        records = [one for one in trail.list_all() if one.number > before]
                        told[number] = (by_command[number], Told(document, records))
                    administrator = face.person("administrator-of-all")
                    refused = {
                        text: (codes[text], _code(face, job, administrator, *request))
                        for text, request, _ in REFUSED
                    }
                    denied = {name: _denied(api, row) for name, row in COMMANDS.items()
                              if isinstance(row, Same) and row.role is not None}  # fmt: skip
                    yield Both(told, refused, denied)
            finally:
                worker.close()
                patch.undo()


def _connect(application: Application, sandbox: SandboxServer) -> None:
    for number, name in enumerate((TENANT, "x-command", "x-request")):
        tenant_id = seeds.TENANT_ID if not number else f"{number}" + NOTED[1:]
        connection = TenantConnection(
            name, tenant_id, seeds.BOTH_CLIENT_ID, cloud=Cloud.CUSTOM,
            graph_endpoint=sandbox.base_url, authority=sandbox.base_url,
        )  # fmt: skip
        application.connections.add(connection, seeds.SANDBOX_SECRET)
    Api(Serving(application, None, frozenset(), is_secure=True), None).person(  # type: ignore[arg-type]
        "administrator-of-all", Role.ADMINISTRATOR
    )


def _ordinary_users(sandbox: SandboxServer) -> list[str]:
    """Return the ids of users whom a restore may write."""
    return [
        str(one.id)
        for one in sandbox.sandbox.tenant.collection("user").values()
        if one.props.get("department") and not one.props.get("onPremisesSyncEnabled")
    ]


def _told(cli: Cli, act: Callable[[], Any]) -> Told:
    before = cli.json("audit", "list", "--limit", "1")[0]["number"]
    document = act()
    found = cli.json("audit", "list", "--limit", "100")
    fields = AuditRecord.__dataclass_fields__
    records = [
        AuditRecord(**{name: str(one[name]) if name == "detail" else one[name] for name in fields})
        for one in reversed(found)
        if one["number"] > before
    ]
    for record, one in zip(records, (one for one in reversed(found) if one["number"] > before),
                           strict=True):  # fmt: skip
        object.__setattr__(record, "detail", " ".join(sorted(one["detail"])))
    return Told(document, records)


def _code(face: Face, job: str, administrator: str, method: str, path: str, body: Any) -> str:
    assert face.api is not None
    answer = face.api.admin(method, path.format(job=job, administrator=administrator), body)
    assert answer.status_code >= 400, answer.text
    return str(answer.json()["code"])


def _denied(api: Api, row: Same) -> list[tuple[int, AuditRecord]]:
    """Call the routes with the role below the lowest that may: the answer, and its record."""
    assert row.role is not None
    lower = tuple(Role).index(row.role) - 1
    if lower < 0:
        api.person("roleless", Role.READER, "x-nowhere")
    found = []
    trail = api.serving.access.trail
    for route in row.routes:
        method, _, path = route.partition(" ")
        caller = api.signed_in("roleless") if lower < 0 else api.as_role(tuple(Role)[lower])
        place = re.sub(r"\{[a-z_]+\}", "nothing", path.replace("{tenant}", TENANT))
        answer = caller(method, place, {} if method in ("POST", "PUT") else None)
        found.append((answer.status_code, trail.list_records(limit=1)[0]))
    return found


def same(document: Any) -> Any:
    """Return a document without what is each one's own: ids, times, and the face's names."""
    if isinstance(document, dict):
        return {same(name): same(value) for name, value in document.items()}
    if isinstance(document, list | tuple):
        return [same(one) for one in document]
    if isinstance(document, str):
        text = _TIME.sub("TIME", document)
        text = _ID.sub("ID", text)
        return re.sub(r"reentra_ID_[\w-]+", "SECRET", re.sub(r"x-(command|request)", "X", text))
    return document


def lines(records: list[AuditRecord], ignored: set[str]) -> list[tuple[Any, ...]]:
    """Return what an act left in the trail, but for its beginnings and a request's own words."""
    return sorted(
        (one.action, same(one.tenant), same(one.target), one.result, _names(one.detail))
        for one in records
        if one.result not in _BEGINNINGS and one.action not in ignored
    )


def _names(detail: str) -> tuple[str, ...]:
    import json

    return tuple(sorted(json.loads(detail))) if detail.startswith("{") else tuple(detail.split())


@pytest.mark.parametrize("number", range(len(ACTS)), ids=IDS)
def test_both_tell_the_same(both: Both, number: int) -> None:
    act, (typed, asked) = ACTS[number], both.acts[number]
    assert same(act.of_asked(asked.document)) == same(act.of_typed(typed.document))


@pytest.mark.parametrize("number", range(len(ACTS)), ids=IDS)
def test_both_leave_the_same_records(both: Both, number: int) -> None:
    typed, asked = both.acts[number]
    words = {one.action for one in typed.records}
    # A request has a record of its own, by its route's word, beside that of what it did.
    requests = {one.action for one in asked.records if one.result == "begun"} - words
    assert lines(asked.records, requests) == lines(typed.records, set())
    for word in requests:
        assert {one.result for one in asked.records if one.action == word} == {"begun", "done"}


@pytest.mark.parametrize(("text", "code"), [(text, code) for text, _, code in REFUSED])
def test_both_refuse_the_same_with_the_same_code(both: Both, text: str, code: str) -> None:
    assert both.refused[text] == (code, code)


@pytest.mark.parametrize("command", [
    name for name, row in COMMANDS.items() if isinstance(row, Same) and row.role is not None
])  # fmt: skip
def test_the_role_below_is_refused_and_the_trail_says_so(both: Both, command: str) -> None:
    for status, record in both.denied[command]:
        assert status in (403, 404)
        assert (record.result, record.via) == ("denied", "session")


def test_every_command_with_a_route_is_done_by_both() -> None:
    typed = {text for text, _, _ in REFUSED}
    done = {act.command for act in ACTS}
    done |= {name for name in COMMANDS if any(text.startswith(name) for text in typed)}
    assert {name for name, row in COMMANDS.items() if isinstance(row, Same)} - done == NOT_DONE
