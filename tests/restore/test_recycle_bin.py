"""What stands in the way of leaving the recycle bin, and how it is solved and told."""

from __future__ import annotations

from reentra.directory.objects import DirectoryObject, ObjectRef
from reentra.directory.selection import EVERYTHING, Selection
from reentra.restore.report import RestoreStatus
from reentra.restore.steps import Action
from tests.restore.support import World


def _some_application(world: World) -> tuple[DirectoryObject, str]:
    """Return an application of the tenant's own and its service principal's id."""
    principals = {one.get("appId"): one.id for one in world.live.list_objects("servicePrincipal")}
    for item in world.live.list_objects("application"):
        name = str(item.get("displayName"))
        if item.get("appId") in principals and not name.startswith("Reentra Sandbox"):
            return item, principals[item.get("appId")]
    raise AssertionError("the seed has no application with a service principal")


def _selection(*refs: tuple[str, str]) -> Selection:
    return Selection(refs=frozenset(ObjectRef(*ref) for ref in refs))


def test_an_application_and_its_principal_are_two_restores_and_nothing_else_is_written(
    world: World,
) -> None:
    application, principal = _some_application(world)
    desired = world.captured()
    world.soft_delete("applications", application.id)
    world.sandbox.clock.advance(600)
    plan = world.plan(desired)
    assert plan.counts()["undelete"] == {"application": 1, "servicePrincipal": 1}
    writes = world.sandbox.counters.writes
    report = world.applier(plan).run()
    assert report.status is RestoreStatus.SUCCEEDED
    assert report.counts["done"] == 2  # all the rest came along
    # Each part of a batch counts, and so does the batch.
    assert world.sandbox.counters.writes - writes <= 4
    assert world.captured().comparable() == desired.comparable()
    assert world.live.load_objects("servicePrincipal", [principal])


def test_half_an_application_is_told(world: World) -> None:
    application, principal = _some_application(world)
    desired = world.captured()
    world.soft_delete("applications", application.id)
    half = world.plan(desired, _selection(("application", application.id)))
    assert any(f"servicePrincipal/{principal}" in warning for warning in half.warnings)
    other = world.plan(desired, _selection(("servicePrincipal", principal)))
    assert any("without its app registration" in warning for warning in other.warnings)
    both = _selection(("application", application.id), ("servicePrincipal", principal))
    for whole in (world.plan(desired, both), world.plan(desired, EVERYTHING)):
        assert not [text for text in whole.warnings if "app registration" in text]
        assert not [text for text in whole.warnings if "stays in the recycle bin" in text]


def test_an_address_that_somebody_has_by_now_does_not_keep_a_user_in_the_bin(
    world: World,
) -> None:
    admins = {str(r.get("principalId")) for r in world.live.list_objects("unifiedRoleAssignment")}
    one, other = [
        item
        for item in world.live.list_objects("user")
        if item.get("mail")
        and item.get("userType") == "Member"
        and not item.get("onPremisesSyncEnabled")
        and item.id not in admins
    ][:2]
    desired = world.captured()
    world.soft_delete("users", one.id)
    world.client.patch(f"/users/{other.id}", {"mail": one.get("mail")})
    plan = world.plan(desired, _selection(("user", one.id)))
    report = world.applier(plan).run()
    assert world.live.load_objects("user", [one.id])
    told = {entry.step.action: entry.message for entry in report.entries if entry.message}
    assert "others have taken" in told[Action.UNDELETE]
    (failure,) = report.failures
    assert failure.step.action is Action.UPDATE
    assert "mail" in failure.message
    assert report.status is RestoreStatus.PARTIAL
    # Once both are selected, each gets its own again.
    world.restore(desired, _selection(("user", one.id), ("user", other.id)))
    found = world.live.load_objects("user", [one.id, other.id])
    assert found[other.id].get("mail") == other.get("mail")
