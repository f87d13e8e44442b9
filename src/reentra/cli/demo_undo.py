"""The demo's last chapter: a restore that nobody should have made, and how it is taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reentra import clock as clocks
from reentra.cli import demo_tenant, plans, running
from reentra.cli.screen import Screen, escaped

if TYPE_CHECKING:
    from reentra.app import Application
    from reentra.cli.demo_proof import Verdict
    from reentra.cli.demo_tenant import DemoTenant

MOVED = 5
_DEPARTMENT = "Research"
_PROPERTIES = "id,displayName,department,userType,onPremisesSyncEnabled"


def tell(
    screen: Screen,
    application: Application,
    tenant: DemoTenant,
    name: str,
    first: str,
    third: str,
    verdict: Verdict,
) -> None:
    """Change people on purpose, restore them by mistake, undo that, and judge the end."""
    script = demo_tenant.Script(tenant)
    try:
        moved, left = _change_on_purpose(script, application, tenant.tenant_id, first, third)
        screen.say(f"  On purpose: {MOVED} people move to {_DEPARTMENT}, and one leaves for good.")
        before = _seen(script, moved)
        job_id = _restore_by_mistake(screen, application, name, first, (*moved, left))
        after = _seen(script, moved)
        _undo(screen, application, name, job_id)
        is_back = _seen(script, moved) == before != after
        found = script.list_all("/directory/deletedItems/microsoft.graph.user?$select=id")
        new_id = application.identities.load(tenant.tenant_id).current(left)
        is_in_bin = new_id != left and new_id in {one["id"] for one in found}
    finally:
        script.close()
    for is_kept, sentence in (
        (is_back, f"after the undo {MOVED} people are in {_DEPARTMENT} again"),
        (is_in_bin, "after the undo the one who left is gone again, into the recycle bin"),
    ):
        verdict.say(is_kept, sentence)
        mark = "[green]✓[/]" if is_kept else "[red]✗[/]"
        screen.say(f"  {mark} {escaped(sentence)}")


def _change_on_purpose(
    script: demo_tenant.Script, application: Application, tenant_id: str, first: str, third: str
) -> tuple[tuple[str, ...], str]:
    """Move some people and let one go for good; return their ids."""
    snapshots = [application.catalog.state(tenant_id, one) for one in (first, third)]
    admins = {
        str(one["principalId"])
        for one in script.list_all("/roleManagement/directory/roleAssignments")
    }
    ordinary = [
        one["id"]
        for one in script.list_all(f"/users?$select={_PROPERTIES}&$top=999")
        if one.get("userType") == "Member"
        and not one.get("onPremisesSyncEnabled")
        and one["id"] not in admins
    ]
    known = [
        one
        for one in ordinary[-100:]
        if all(snapshot.load_objects("user", [one]) for snapshot in snapshots)
    ]
    moved, left = tuple(known[:MOVED]), known[MOVED]
    script.send_all([("PATCH", f"/users/{one}", {"department": _DEPARTMENT}) for one in moved])
    script.send_all([("DELETE", f"/users/{left}", None)])
    script.send_all([("DELETE", f"/directory/deletedItems/{left}", None)])
    return moved, left


def _seen(script: demo_tenant.Script, ids: tuple[str, ...]) -> dict[str, Any]:
    return {one: script.get(f"/users/{one}?$select=department").get("department") for one in ids}


def _restore_by_mistake(
    screen: Screen, application: Application, name: str, first: str, ids: tuple[str, ...]
) -> str:
    from reentra.directory.selection import Selection
    from reentra.restore.draft import RestoreOptions
    from reentra.tasks import make_plan

    selection = Selection.parse((), [f"user/{one}" for one in ids])
    screen.say("  By mistake somebody restores them as they were in the beginning:")
    screen.say(
        f"  [dim]$ reentra restore {name} --snapshot {escaped(first)} --id user/... --yes[/]"
    )
    with screen.progress() as listener:
        plan = make_plan(application, name, first, selection, RestoreOptions(), listener)
    return _apply(screen, application, name, plan)


def _undo(screen: Screen, application: Application, name: str, job_id: str) -> None:
    from reentra.restore.draft import RestoreOptions
    from reentra.tasks import make_undo_plan

    screen.say(f"  [dim]$ reentra jobs undo {job_id}[/]")
    with screen.progress() as listener:
        job = application.jobs.load_job(job_id)
        plan = make_undo_plan(application, job, RestoreOptions(), listener)
    plans.show(screen, plan, None)
    _apply(screen, application, name, plan)


def _apply(screen: Screen, application: Application, name: str, plan: Any) -> str:
    from reentra.tasks import keep_plan

    keep_plan(application, plan)
    job_id, result = running.run(
        application,
        screen,
        "restore",
        tenant=name,
        parameters={"plan": plan.id},
        default_password=f"Demo-{clocks.new_id(8)}",
    )
    running.show_result(screen, job_id, "restore", result)
    return job_id
