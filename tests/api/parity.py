"""The table of parity: for each command the routes that do the same, or why there are none.

An option and a parameter or field of the same name are the same. What is called otherwise, and
what one side has alone, is said here, with the reason. ``tests/api/test_parity.py`` holds the
commands' own description and the API's against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reentra.access import Role

T = "/tenants/{tenant}"
S = f"{T}/snapshots/{{snapshot}}"
K = f"{S}/kinds/{{kind}}/objects"
KIND, REF = ("kinds", "kind"), ("ids", "id")


@dataclass(frozen=True, slots=True)
class Why:
    """The reason why the other side has no such thing."""

    reason: str


@dataclass(frozen=True, slots=True)
class Same:
    """A command and the routes that do the same.

    ``role`` is the lowest that may call them; the command is the machine's account's, which may do
    everything. ``options`` say under which of some names the routes take an option; ``alone`` are
    parameters and fields that only the routes have.
    """

    role: Role | None
    routes: tuple[str, ...]
    options: Mapping[str, tuple[str, ...] | Why] = field(default_factory=dict)
    alone: Mapping[str, str] = field(default_factory=dict)


SERVER = Why("it names a file or a host of the server: on its command line alone")
AT_ONCE = Why("the API keeps nothing of a tenant that it has not seen")
ASKED = Why("a request is the word: its maker has read the plan, which is a route of its own")
PAGES = "a command's list has no upper bound, and its parts are for pages"
OWN = "of oneself: a command's account is that of the machine"
READER, OPERATOR, RESTORER, ADMINISTRATOR = Role
BY_JOB = {"tenant": "a job's id is enough for a command"}
UNDO_AND_RESTORE: Mapping[str, tuple[str, ...] | Why] = {
    "--default-password-file": ("default_password",),
    "--preview": Why("to make a plan and to apply it are two routes"),
    "--plan": Why("a plan stays on the server, under its id; GET .../file is the same file"),
    "--yes": ASKED,
}
APPLY = f"POST {T}/plans/{{plan}}/apply"

# What no route takes: how a command answers and opens the repository.
OF_EVERY_COMMAND = {"--json", "--passphrase-file"}
# What no command takes.
OF_EVERY_LIST = {"cursor"}

COMMANDS: dict[str, Same | Why] = {
    "init": Why("a server begins with a repository: its passphrase is asked for first"),
    "tenant connect": Same(
        ADMINISTRATOR, ("POST /tenants",),
        {
            "NAME": ("name",), "--client-secret-file": ("client_secret",),
            "--certificate-file": SERVER, "--certificate-password-file": SERVER,
            "--managed-identity": SERVER, "--workload-identity-file": SERVER,
            "--graph-endpoint": SERVER, "--authority": SERVER, "--ca-file": SERVER,
            "--try": AT_ONCE,
        },
    ),
    "tenant list": Same(None, ("GET /tenants",)),
    "tenant set": Same(
        ADMINISTRATOR, (f"PUT {T}",), {"--no-break-glass": ("break_glass",), "--try": AT_ONCE}
    ),
    "tenant check": Same(READER, (f"GET {T}/permissions", f"GET {T}/coverage")),
    "tenant disconnect": Same(ADMINISTRATOR, (f"DELETE {T}",)),
    "backup": Same(OPERATOR, (f"POST {T}/backups",), {"--kind": KIND}),
    "schedule": Same(READER, (f"GET {T}/schedule", f"PUT {T}/schedule")),
    "snapshots": Same(
        READER, (f"GET {T}/snapshots", f"GET {T}/days", f"GET {T}/captures"),
        {"--captures": Why("GET .../captures is a route of its own")},
        {
            "first": "sums up days for a calendar", "last": "sums up days for a calendar",
            "zone": "a command's times are UTC",
        },
    ),
    "browse": Same(
        READER,
        (f"GET {S}", f"GET {K}", f"GET {K}/{{object_id}}",
         f"GET {T}/kinds/{{kind}}/objects/{{object_id}}/versions"),
        {
            "ID": ("object_id",), "--versions": Why("the versions are a route of their own"),
            "--offset": Why("the API goes on with a cursor"),
        },
        {"relationships": "leaves an object's links out, for pages that show them in parts"},
    ),
    "search": Same(READER, (f"GET {T}/search",)),
    "compare": Same(
        READER, (f"GET {T}/comparison", f"GET {T}/changes"), {},
        {"limit": PAGES, "refs": "for the page that restores what it compared"},
    ),
    "restore": Same(
        RESTORER,
        (f"POST {T}/plans", f"GET {T}/plans/{{plan}}", f"GET {T}/plans/{{plan}}/steps",
         f"GET {T}/plans/{{plan}}/file", APPLY),
        {
            **UNDO_AND_RESTORE, "--kind": KIND, "--id": REF,
            "--relationships": ("relationships", "relationships_behavior"),
            "--no-relationships": ("relationships",), "--property": ("properties",),
            "--rollback-kind": ("rollback_kinds",), "--follow-up": ("follow_ups",),
        },
        {
            "plan": "--plan is a file", "limit": PAGES,
            "replaces": "gives up a plan that a page was waiting for",
        },
    ),
    "download": Same(
        OPERATOR, (f"POST {T}/downloads", f"GET {T}/downloads/{{job}}"),
        {"--kind": KIND, "--id": REF, "--output": Why("the answer is the file")},
        {"job": "a command waits for its job"},
    ),
    "jobs list": Same(READER, (f"GET {T}/jobs", "GET /jobs")),
    "jobs show": Same(
        READER,
        (f"GET {T}/jobs/{{job}}", f"GET {T}/jobs/{{job}}/steps", f"GET {T}/jobs/{{job}}/events",
         "GET /jobs/{job}", "GET /jobs/{job}/events"),
        alone=BY_JOB,
    ),
    "jobs cancel": Same(
        OPERATOR, (f"POST {T}/jobs/{{job}}/cancel", "POST /jobs/{job}/cancel"), alone=BY_JOB
    ),
    "jobs resume": Same(
        OPERATOR, (f"POST {T}/jobs/{{job}}/resume", "POST /jobs/{job}/resume"),
        {"--default-password-file": ("default_password",)}, BY_JOB,
    ),
    "jobs report": Same(
        READER, (f"GET {T}/jobs/{{job}}/report.csv", "GET /jobs/{job}/report.csv"),
        {
            "--format": Why("the job and its steps are JSON already"),
            "--output": Why("the answer is the file"),
        },
        BY_JOB,
    ),
    "jobs undo": Same(RESTORER, (f"POST {T}/jobs/{{job}}/undo", APPLY), UNDO_AND_RESTORE,
                      {"plan": "--plan is a file", **BY_JOB}),
    "retention": Same(
        READER,
        (f"GET {T}/retention", f"GET {T}/retention/preview", f"PUT {T}/retention"),
        {"--preview": Why("a route of its own")},
    ),
    "forget": Same(
        ADMINISTRATOR, (f"POST {T}/forget",),
        {"--preview": Why("GET .../retention says what a policy lets go"), "--yes": ASKED},
    ),
    "prune": Same(
        ADMINISTRATOR, ("GET /prune", "POST /prune"),
        {"--preview": Why("GET looks, POST does")},
    ),
    "check": Same(ADMINISTRATOR, ("POST /check",)),
    "rebuild": Same(ADMINISTRATOR, ("POST /rebuild",)),
    "people add": Same(ADMINISTRATOR, ("POST /people",), {"NAME": ("name",)}),
    "people list": Same(ADMINISTRATOR, ("GET /people",)),
    "people role": Same(ADMINISTRATOR, ("PUT /people/{person}/role",), {"NAME": ("person",)}),
    "people disable": Same(
        ADMINISTRATOR, ("PUT /people/{person}/standing",), {"NAME": ("person",)},
        {"disabled": "two commands, one route"},
    ),
    "people enable": Same(
        ADMINISTRATOR, ("PUT /people/{person}/standing",), {"NAME": ("person",)},
        {"disabled": "two commands, one route"},
    ),
    "people link": Same(ADMINISTRATOR, ("POST /people/{person}/link",), {"NAME": ("person",)}),
    "people password": Same(
        None, ("POST /set-up", "PUT /session/password"),
        {
            "NAME": Why("over the network everybody sets their own alone"),
            "--password-file": ("password", "new"),
        },
        {"secret": "of a set-up link, which the command needs not", "old": OWN},
    ),
    "people totp": Same(
        None,
        ("POST /session/totp", "PUT /session/totp", "DELETE /people/{person}/totp",
         "POST /session/recovery-codes"),
        {
            "NAME": ("person",), "--off": Why("DELETE is a route of its own"),
            "--recovery-codes": Why("a route of its own"),
        },
        {"code": "asked for on the terminal"},
    ),
    "tokens create": Same(
        None, ("POST /tokens",),
        {"NAME": ("name",), "--person": Why("over the network a token acts for who asks for it")},
    ),
    "tokens list": Same(None, ("GET /tokens",)),
    "tokens revoke": Same(None, ("DELETE /tokens/{token}",)),
    "audit list": Same(
        ADMINISTRATOR, ("GET /audit",), {"--tenant": ("tenant_name",), "--before": ("cursor",)}
    ),
    "audit verify": Same(ADMINISTRATOR, ("GET /audit/verification",)),
    "audit export": Same(
        ADMINISTRATOR, ("GET /audit/export", "GET /audit/export.csv"),
        {
            "--format": Why("a route for each form"), "--output": Why("the answer is the file"),
        },
    ),
    "oidc set": Same(
        ADMINISTRATOR, ("PUT /settings/oidc",),
        {
            "--client-secret-file": ("client_secret",), "--rule": ("rules",),
            "--authority": SERVER, "--ca-file": SERVER,
        },
    ),
    "oidc show": Same(ADMINISTRATOR, ("GET /settings/oidc",)),
    "oidc off": Same(
        ADMINISTRATOR, ("PUT /settings/emergency",), {}, {"on": "two commands, one route"}
    ),
    "oidc on": Same(
        ADMINISTRATOR, ("PUT /settings/emergency",), {}, {"on": "two commands, one route"}
    ),
    "approvals": Same(
        ADMINISTRATOR, ("GET /settings", "PUT /settings"),
        {"--restores": ("approve_restores_over_steps",), "--disconnect": ("approve_disconnect",),
         "--retention": ("approve_retention",), "--keys": ("approve_keys",)},
    ),
    "key list": Same(ADMINISTRATOR, ("GET /keys",)),
    "key add": Same(ADMINISTRATOR, ("POST /keys",), {"--new-passphrase-file": ("passphrase",)}),
    "key remove": Same(ADMINISTRATOR, ("DELETE /keys/{key}",)),
    "key passwd": Same(
        ADMINISTRATOR, ("PUT /keys/passphrase",), {"--new-passphrase-file": ("new",)},
        {
            "old": "the one that the command is given",
            "even_own": "the one that the command is given is its own",
        },
    ),
    "key rotate": Same(
        ADMINISTRATOR, ("POST /keys/rotation",), {},
        {
            "passphrase": "the one that the command is given",
            "even_own": "the one that the command is given stays",
        },
    ),
    "serve": Why("it is what serves"),
    "sandbox serve": Why("a way to try it out, on the machine of who tries"),
    "demo": Why("a way to try it out, on the machine of who tries"),
}  # fmt: skip

# Routes that are no command, and why.
ROUTES = {
    "GET /openapi.json": "describes the API",
    "GET /session/ways": OWN,
    "POST /session": OWN,
    "GET /session": OWN,
    "GET /sessions": OWN,
    "DELETE /sessions": OWN,
    "DELETE /sessions/{session}": OWN,
    "POST /session/confirm": OWN,
    "DELETE /session": OWN,
    "GET /session/oidc": "for browsers",
    "GET /session/oidc/callback": "for browsers",
    "GET /approvals": "approvals bind the API alone",
    "POST /approvals/{approval}": "approvals bind the API alone",
    f"POST {T}/plans/{{plan}}/approval": "approvals bind the API alone",
    f"GET {T}/approvals": "approvals bind the API alone",
    f"POST {T}/approvals/{{approval}}": "approvals bind the API alone",
    f"GET {S}/selection": "whoever types ids knows what they typed",
    f"GET {T}/storage": "whoever has a shell lists the store itself",
    f"GET {T}/moments": "a part of `snapshots`, for choosing one of many",
    f"GET {S}/names": "`browse` names what it shows",
    f"GET {K}/{{object_id}}/relationships": "a part of `browse`, in pages",
    f"GET {K}/{{object_id}}/assignments": "`browse KIND` shows each assignment with its names",
}
