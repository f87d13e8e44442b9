"""What the command line can do, the API can do, and the other way round; what not, and why."""

from __future__ import annotations

from reentra.api.application import PREFIX

from .test_routes import OPEN

T = "/tenants/{tenant}"
# Each command with the routes that do the same, or the reason why there is none.
COMMANDS: dict[str, tuple[str, ...] | str] = {
    "init": "a server begins with a repository: its passphrase is asked for before it listens",
    "tenant connect": ("POST /tenants",),
    "tenant list": ("GET /tenants",),
    "tenant set": (f"PUT {T}",),
    "tenant check": (f"GET {T}/permissions", f"GET {T}/coverage"),
    "tenant disconnect": (f"DELETE {T}",),
    "backup": (f"POST {T}/backups",),
    "schedule": (f"GET {T}/schedule", f"PUT {T}/schedule"),
    "snapshots": (f"GET {T}/snapshots", f"GET {T}/days"),
    "browse": (
        f"GET {T}/snapshots/{{snapshot}}",
        f"GET {T}/snapshots/{{snapshot}}/kinds/{{kind}}/objects",
        f"GET {T}/snapshots/{{snapshot}}/kinds/{{kind}}/objects/{{object_id}}",
        f"GET {T}/kinds/{{kind}}/objects/{{object_id}}/versions",
    ),
    "search": (f"GET {T}/search",),
    "compare": (f"GET {T}/comparison", f"GET {T}/changes"),
    "restore": (
        f"POST {T}/plans", f"GET {T}/plans/{{plan}}", f"GET {T}/plans/{{plan}}/steps",
        f"GET {T}/plans/{{plan}}/file", f"POST {T}/plans/{{plan}}/apply",
    ),
    "download": (f"POST {T}/downloads", f"GET {T}/downloads/{{job}}"),
    "jobs list": (f"GET {T}/jobs", "GET /jobs"),
    "jobs show": (
        f"GET {T}/jobs/{{job}}", f"GET {T}/jobs/{{job}}/steps", f"GET {T}/jobs/{{job}}/events",
        "GET /jobs/{job}", "GET /jobs/{job}/events",
    ),
    "jobs cancel": (f"POST {T}/jobs/{{job}}/cancel", "POST /jobs/{job}/cancel"),
    "jobs resume": (f"POST {T}/jobs/{{job}}/resume", "POST /jobs/{job}/resume"),
    "jobs report": (f"GET {T}/jobs/{{job}}/report.csv", "GET /jobs/{job}/report.csv"),
    "jobs undo": (f"POST {T}/jobs/{{job}}/undo",),
    "check": ("POST /check",),
    "rebuild": ("POST /rebuild",),
    "people add": ("POST /people",),
    "people list": ("GET /people",),
    "people role": ("PUT /people/{person}/role",),
    "people disable": ("PUT /people/{person}/standing",),
    "people enable": ("PUT /people/{person}/standing",),
    "people link": ("POST /people/{person}/link",),
    "people password": ("POST /set-up", "PUT /session/password"),
    "people totp": (
        "POST /session/totp", "PUT /session/totp", "DELETE /people/{person}/totp",
        "POST /session/recovery-codes",
    ),
    "tokens create": ("POST /tokens",),
    "tokens list": ("GET /tokens",),
    "tokens revoke": ("DELETE /tokens/{token}",),
    "audit list": ("GET /audit",),
    "audit verify": ("GET /audit/verification",),
    "audit export": ("GET /audit/export",),
    "oidc set": ("PUT /settings/oidc",),
    "oidc show": ("GET /settings/oidc",),
    "oidc off": ("PUT /settings/emergency",),
    "oidc on": ("PUT /settings/emergency",),
    "serve": "it is what serves",
    "sandbox serve": "a way to try it out, on the machine of who tries",
    "demo": "a way to try it out, on the machine of who tries",
}  # fmt: skip
# Routes that are no command, and why.
ROUTES = {
    "GET /openapi.json": "describes the API",
    "GET /session/ways": "a command's account is that of the machine",
    "POST /session": "a command's account is that of the machine",
    "GET /session": "a command's account is that of the machine",
    "POST /session/confirm": "a command's account is that of the machine",
    "DELETE /session": "a command's account is that of the machine",
    "GET /session/oidc": "for browsers",
    "GET /session/oidc/callback": "for browsers",
    "GET /settings": "approvals bind the API alone",
    "PUT /settings": "approvals bind the API alone",
    f"POST {T}/plans/{{plan}}/approval": "approvals bind the API alone",
    f"GET {T}/approvals": "approvals bind the API alone",
    f"POST {T}/approvals/{{approval}}": "approvals bind the API alone",
    f"GET {T}/snapshots/{{snapshot}}/selection": "whoever types ids knows what they typed",
    f"GET {T}/storage": "whoever has a shell lists the store itself",
    f"GET {T}/moments": "a part of `snapshots`, for choosing one of many",
    f"GET {T}/snapshots/{{snapshot}}/names": "`show` names what it shows",
    f"GET {T}/snapshots/{{snapshot}}/kinds/{{kind}}/objects/{{object_id}}/relationships": (
        "a part of `show`, in pages"
    ),
}


def commands() -> set[str]:
    from tests.cli.test_surface import PATHS, SUBCOMMANDS

    return {" ".join(path) for path in PATHS if path and path[-1] not in SUBCOMMANDS}


def test_every_command_has_its_routes_or_a_reason() -> None:
    assert commands() - COMMANDS.keys() == set()
    assert COMMANDS.keys() - commands() == set()


def test_every_route_has_its_command_or_a_reason() -> None:
    there = {f"{method} {path.removeprefix(PREFIX)}" for method, path, _ in OPEN}
    named = {route for routes in COMMANDS.values() if isinstance(routes, tuple) for route in routes}
    assert named - there == set()
    assert there - named - ROUTES.keys() == set()
    assert ROUTES.keys() - there == set()
