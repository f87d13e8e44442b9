"""Makes an installation that has something to look at, in a process of its own.

``python -m tests.browser.staging HOME URL TENANT CLIENT SECRET_FILE`` prints what is in it as JSON.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

from reentra.access import EVERY_TENANT, Actor, Role, Via, passwords
from reentra.access.oidc import Provider, Rule, seal_secret
from reentra.app import Application
from reentra.cli import demo_history, running
from reentra.cli.demo_tenant import DemoTenant, Script
from reentra.cli.screen import Screen
from reentra.directory.selection import Selection
from reentra.graph.connection import Cloud, TenantConnection
from reentra.repository import KdfCost, Repository
from reentra.restore.draft import RestoreOptions
from reentra.settings import Settings
from reentra.tasks import keep_plan, make_plan

PASSPHRASE = "correct horse battery staple"
PASSWORD = "seven grey lamps at dawn"
TENANT = "contoso"
EMPTY_TENANT = "fabrikam"
PEOPLE = {
    "admin": Role.ADMINISTRATOR,
    "rita": Role.RESTORER,
    "olga": Role.OPERATOR,
    "rolf": Role.READER,
}
_SPARE = 30  # people for journeys to harm, each but once
_CONSOLE = Actor(Via.COMMAND, "root", address="console")


def stage(home: Path, tenant: DemoTenant) -> dict[str, Any]:
    """Make the installation; return the ids of what is in it."""
    passwords.MEMORY_KIB, passwords.PASSES = 64, 1
    clock = demo_history.SetBackClock(dt.timedelta(days=7))
    chosen = Settings(home=home, repository="", database_url="", passphrase=None)
    with Application(chosen, lambda: PASSPHRASE, clock=clock) as application:
        url = str(chosen.default_repository_path)
        cost = KdfCost(memory_kib=8, iterations=1, lanes=1)
        Repository.create(application.storage(url), PASSPHRASE, cost=cost)
        application.record_repository(url)
        secret = tenant.secret_file.read_text(encoding="utf-8").strip()
        for name, tenant_id in (
            (TENANT, tenant.tenant_id),
            (EMPTY_TENANT, "11111111-2222-4333-8444-555555555555"),
        ):
            connection = TenantConnection(
                name=name,
                tenant_id=tenant_id,
                client_id=tenant.client_id,
                cloud=Cloud.CUSTOM,
                graph_endpoint=tenant.url,
                authority=tenant.url,
            )
            application.connections.add(connection, secret)
        screen = Screen(as_json=False, has_plain_progress=False)
        script = Script(tenant)
        try:
            history = demo_history.live_through(application, clock, screen, script, TENANT, "off")
            member = script.get(f"/users/{history.members[0]}")["userPrincipalName"]
            spare = _add_spare(script)
            running.run(application, screen, "backup", tenant=TENANT)
        finally:
            script.close()
        application.schedules.save(TENANT, "daily 02:30", "Europe/Berlin")
        people = application.access.people
        for name, role in PEOPLE.items():
            added, link = people.add(_CONSOLE, name, {EVERY_TENANT: role})
            people.set_up(link, PASSWORD, "")
        # Who is a member of the second group may restore.
        rule = Rule("groups", history.second_group, Role.RESTORER, TENANT)
        sealed = seal_secret(application.access.vault, secret)
        provider = Provider(tenant.url, tenant.tenant_id, tenant.client_id, sealed, (rule,))
        application.access.save_provider(_CONSOLE, provider)
        job, plan = _restore(application, screen, history)
        check, _ = running.run(application, screen, "check", parameters={"quick": False})
        more = {
            "restore_job": job,
            "plan": plan,
            "member": member,
            "person": added.id,
            "check_job": check,
            "spare": spare,
            "key": application.repository.list_slots()[0].id,
        }
        return {**dataclasses.asdict(history), **more}


def _add_spare(script: Script) -> list[str]:
    """Add people who play no part in the history, so that each journey has somebody to harm."""
    domain = next(one["id"] for one in script.list_all("/domains") if one["isDefault"])
    return [
        script.post(
            "/users",
            {
                "displayName": f"Spare {number:02}",
                "mailNickname": f"spare{number:02}",
                "userPrincipalName": f"spare{number:02}@{domain}",
                "accountEnabled": True,
                "jobTitle": "Understudy",
                "passwordProfile": {"password": "As-planted-2026"},
            },
        )["id"]
        for number in range(_SPARE)
    ]


def _restore(
    application: Application, screen: Screen, history: demo_history.History
) -> tuple[str, str]:
    """Put one user back as in the beginning, so that there is a restore to look at."""
    selection = Selection.parse((), [f"user/{history.moved[2]}"])
    options = RestoreOptions()
    plan = make_plan(application, TENANT, history.snapshots[0], selection, options, lambda _: None)
    keep_plan(application, plan)
    job_id, _ = running.run(
        application, screen, "restore", tenant=TENANT, parameters={"plan": plan.id}
    )
    return job_id, plan.id


if __name__ == "__main__":
    home, url, tenant_id, client_id, secret_file = sys.argv[1:]
    found = stage(Path(home), DemoTenant(url, tenant_id, client_id, Path(secret_file)))
    print(json.dumps(found))
