"""Restoring from true snapshots in a repository, first and later ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reentra.directory.selection import EVERYTHING
from reentra.restore.apply import Applier, RestoreSecrets
from reentra.restore.draft import PolicyState, RestoreOptions
from reentra.restore.identity import IdentityMap
from reentra.restore.journal import MemoryJournal
from reentra.restore.plan import RestorePlan, plan_restore
from reentra.restore.report import RestoreStatus
from reentra.sandbox.app import SandboxServer
from reentra.snapshots import ReplayedSnapshot
from tests.backup import support as backups
from tests.restore.support import NOW, PASSWORD, World, new_world

OPTIONS = RestoreOptions(conditional_access_state=PolicyState.AS_BACKED_UP)


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer(seed_name="small") as running:
        yield running


def plan(desired: ReplayedSnapshot, world: World) -> RestorePlan:
    return plan_restore(desired, world.live, EVERYTHING, OPTIONS, world.identity, created_at=NOW)


def apply(world: World, made: RestorePlan) -> None:
    def save(identity: IdentityMap) -> None:
        world.identity = identity

    report = Applier(
        made,
        world.live,
        world.writer,
        MemoryJournal(),
        world.identity,
        RestoreSecrets.with_default(PASSWORD),
        clock=world.clock,
        on_identity=save,
    ).run()
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()


def test_every_snapshot_of_a_chain_can_be_restored(server: SandboxServer) -> None:
    world = new_world(server)
    vault = backups.new_world(server)
    users, groups = world.ids("user"), world.ids("group")
    first = vault.snapshot(vault.backup())
    assert plan(first, world).is_empty
    world.client.patch(f"/users/{users['Lina Costa']}", {"department": None, "city": "Later"})
    world.soft_delete("users", users["Omar Haas"])
    world.purge("users", users["Ada Berg"])
    second = vault.snapshot(vault.backup())
    assert plan(second, world).is_empty
    world.purge("groups", groups["Sales"])
    world.client.delete(f"/directory/deletedItems/{users['Omar Haas']}")
    apply(world, plan(second, world))
    assert plan(second, world).is_empty
    apply(world, plan(first, world))
    assert plan(first, world).is_empty
    lina = world.live.load_objects("user", [users["Lina Costa"]])[users["Lina Costa"]]
    assert lina.get("department")
    assert not lina.get("city")
    third = vault.snapshot(vault.backup())
    assert plan(third, world).is_empty
