"""The backup's law: whatever happens to a tenant, the next snapshot is the tenant.

Random changes, deletions, returns from the recycle bin and purges are made between backups, some
of them with slices, replays and expired tokens; after each backup the replay of the chain must
equal what Graph's lists say.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from reentra import errors
from reentra.sandbox.app import SandboxServer
from tests.backup.support import World, assert_same_state, new_world

Change = Callable[["Mischief"], None]


class Mischief:
    """Changes a tenant at random through Graph; what Graph refuses is tried no further."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.rng = random.Random(seed)
        self.done: list[str] = []

    def make(self, changes: int) -> None:
        moves = (
            self.change_user,
            self.change_group,
            self.delete_something,
            self.delete_something_and_bring_it_back,
            self.bring_something_back,
            self.purge_something,
            self.add_member,
            self.remove_member,
            self.set_manager,
            self.add_unit_member,
            self.create_user,
            self.create_group_with_members,
            self.add_owner,
            self.revoke_grant,
            self.change_policy,
        )
        while changes:
            move = self.rng.choice(moves)
            try:
                move()
            except errors.GraphError:
                continue
            self.done.append(move.__name__)
            changes -= 1

    def pick(self, kind: str) -> str:
        ids = sorted(item.id for item in self.world.live.list_objects(kind))
        if not ids:
            raise errors.GraphNotFound(f"no {kind}")
        return self.rng.choice(ids)

    def reference(self, object_id: str) -> dict[str, str]:
        return {"@odata.id": self.world.admin.url(f"/directoryObjects/{object_id}")}

    def change_user(self) -> None:
        name = self.rng.choice(["department", "jobTitle", "city"])
        value = self.rng.choice([None, "A", "B", "C"])
        self.world.admin.patch(f"/users/{self.pick('user')}", {name: value})

    def change_group(self) -> None:
        value = self.rng.choice(["A", "B", "C"])
        self.world.admin.patch(f"/groups/{self.pick('group')}", {"description": value})

    def delete_something(self) -> None:
        kind, path = self.rng.choice(
            [
                ("user", "/users"),
                ("group", "/groups"),
                ("application", "/applications"),
                ("administrativeUnit", "/directory/administrativeUnits"),
            ]
        )
        self.world.admin.delete(f"{path}/{self.pick(kind)}")

    def delete_something_and_bring_it_back(self) -> None:
        kind, path = self.rng.choice([("user", "/users"), ("group", "/groups")])
        object_id = self.pick(kind)
        self.world.admin.delete(f"{path}/{object_id}")
        self.world.admin.post(f"/directory/deletedItems/{object_id}/restore")

    def in_bin(self) -> str:
        kind = self.rng.choice(["user", "group", "application", "servicePrincipal"])
        ids = sorted(item.id for item in self.world.live.list_deleted(kind))
        if not ids:
            raise errors.GraphNotFound("an empty bin")
        return self.rng.choice(ids)

    def bring_something_back(self) -> None:
        self.world.admin.post(f"/directory/deletedItems/{self.in_bin()}/restore")

    def purge_something(self) -> None:
        self.world.admin.delete(f"/directory/deletedItems/{self.in_bin()}")

    def add_member(self) -> None:
        kind = self.rng.choice(["user", "device", "servicePrincipal", "group"])
        self.world.admin.post(
            f"/groups/{self.pick('group')}/members/$ref", self.reference(self.pick(kind))
        )

    def remove_member(self) -> None:
        group = self.pick("group")
        links = self.world.live.load_relationships("group.members", [group])
        if not links:
            raise errors.GraphNotFound("no member")
        target = self.rng.choice(sorted(links)).target_id
        self.world.admin.remove_reference(f"/groups/{group}/members/{target}/$ref")

    def set_manager(self) -> None:
        user = self.pick("user")
        if self.rng.random() < 0.3:
            self.world.admin.remove_reference(f"/users/{user}/manager/$ref")
        else:
            self.world.admin.put(f"/users/{user}/manager/$ref", self.reference(self.pick("user")))

    def add_unit_member(self) -> None:
        unit, user = self.pick("administrativeUnit"), self.pick("user")
        self.world.admin.post(
            f"/directory/administrativeUnits/{unit}/members/$ref", self.reference(user)
        )

    def add_owner(self) -> None:
        kind, path = self.rng.choice([("group", "/groups"), ("application", "/applications")])
        self.world.admin.post(
            f"{path}/{self.pick(kind)}/owners/$ref", self.reference(self.pick("user"))
        )

    def create_user(self) -> None:
        name = f"new{self.rng.randrange(10**9)}"
        someone = next(iter(self.world.live.list_objects("user")))
        domain = str(someone.get("userPrincipalName")).rpartition("@")[2]
        self.world.admin.post(
            "/users",
            {
                "accountEnabled": True,
                "displayName": name,
                "mailNickname": name,
                "userPrincipalName": f"{name}@{domain}",
                "passwordProfile": {"password": "Zx9!kdjf3mQ"},
            },
        )

    def create_group_with_members(self) -> None:
        name = f"group{self.rng.randrange(10**9)}"
        members = [self.pick("user") for _ in range(3)]
        self.world.admin.post(
            "/groups",
            {
                "displayName": name,
                "mailEnabled": False,
                "mailNickname": name,
                "securityEnabled": True,
                "members@odata.bind": [
                    self.world.admin.url(f"/directoryObjects/{one}") for one in set(members)
                ],
            },
        )

    def revoke_grant(self) -> None:
        self.world.admin.delete(f"/oauth2PermissionGrants/{self.pick('oAuth2PermissionGrant')}")

    def change_policy(self) -> None:
        self.world.admin.patch(
            f"/identity/conditionalAccess/policies/{self.pick('conditionalAccessPolicy')}",
            {"displayName": f"policy {self.rng.randrange(5)}"},
        )


def prove(seed: int, rounds: int, changes: int) -> None:
    with SandboxServer(seed_name="small") as server:
        world = new_world(server)
        world.backup()
        mischief = Mischief(world, seed)
        options = server.sandbox.options
        for _ in range(rounds):
            options.delta_page_size = mischief.rng.choice([3, 10, 200])
            options.delta_member_slice = mischief.rng.choice([1, 3, 500])
            options.delta_replay = mischief.rng.choice([0, 0, 10])
            options.empty_pages = mischief.rng.random() < 0.3
            mischief.make(changes)
            if mischief.rng.random() < 0.15:
                server.sandbox.clock.advance(8 * 24 * 3600)
            result = world.backup(is_full=mischief.rng.random() < 0.2)
            try:
                assert_same_state(world.snapshot(result), world.live)
            except AssertionError as error:
                error.add_note(f"seed {seed}: {', '.join(mischief.done)}")
                raise


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_after_each_backup_the_snapshot_is_the_tenant(seed: int) -> None:
    prove(seed, rounds=4, changes=6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
def test_after_many_backups_the_snapshot_is_still_the_tenant(seed: int) -> None:
    prove(seed, rounds=8, changes=10)
