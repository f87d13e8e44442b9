"""``TenantWriter`` on the sandbox: what it sends, and what it makes of Graph's refusals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from reentra import errors
from reentra.graph import auth, throttle, writer
from reentra.graph.client import connect
from reentra.graph.reader import LiveTenant
from reentra.graph.writer import Action, OutcomeKind, TenantWriter, WriteRequest
from reentra.sandbox import seed
from reentra.sandbox.app import Sandbox, SandboxServer

NOBODY = "00000000-0000-4000-8000-00000000abcd"
DONE, ALREADY, FAILED, UNKNOWN = (
    OutcomeKind.DONE,
    OutcomeKind.ALREADY,
    OutcomeKind.FAILED,
    OutcomeKind.UNKNOWN,
)


@dataclass
class World:
    live: LiveTenant
    writes: TenantWriter
    sandbox: Sandbox

    def id_of(self, kind: str, name: str) -> str:
        for record in self.sandbox.tenant.collection(kind).values():
            if record.props.get("displayName") == name:
                return str(record.id)
        raise LookupError(name)

    def targets(self, relationship: str, source_id: str) -> set[str]:
        return {link.target_id for link in self.live.load_relationships(relationship, [source_id])}

    def make_user(self, alias: str) -> str:
        outcome = self.writes.send(writer.create("user", user_body(alias)))
        assert outcome.kind is DONE
        return outcome.object_id


def user_body(alias: str, password: str = "Str0ng-enough-2026") -> dict[str, object]:
    return {
        "accountEnabled": True,
        "displayName": alias.title(),
        "mailNickname": alias,
        "userPrincipalName": f"{alias}@{seed.DOMAIN}",
        "usageLocation": "DE",
        "passwordProfile": {"password": password, "forceChangePasswordNextSignIn": True},
    }


def group_body(name: str) -> dict[str, object]:
    return {
        "displayName": name,
        "mailEnabled": False,
        "mailNickname": name,
        "securityEnabled": True,
    }


@pytest.fixture
def world() -> Iterator[World]:
    with SandboxServer(seed_name="small") as server:
        connection = auth.TenantConnection(
            "t",
            seed.TENANT_ID,
            seed.BOTH_CLIENT_ID,
            cloud=auth.Cloud.CUSTOM,
            graph_endpoint=server.base_url,
            authority=server.base_url,
        )
        limits = throttle.Limits().scaled(1_000)
        with connect(connection, lambda: seed.SANDBOX_SECRET, limits=limits) as client:
            yield World(LiveTenant(client), TenantWriter(client), server.sandbox)
        server.sandbox.faults.assert_all_used()


def test_an_object_is_created_changed_and_deleted(world: World) -> None:
    user = world.make_user("new.person")
    assert world.writes.send(writer.update("user", user, {"city": "Ulm"})).kind is DONE
    assert world.live.load_objects("user", [user])[user].get("city") == "Ulm"
    assert world.writes.send(writer.delete("user", user)).kind is DONE
    gone = world.writes.send(writer.delete("user", user))
    assert (gone.kind, gone.reason) == (ALREADY, "the object is not there")


def test_creating_what_exists_is_a_failure_and_not_repeated(world: World) -> None:
    world.make_user("new.person")
    again = world.writes.send(writer.create("user", user_body("new.person")))
    assert again.kind is FAILED
    assert again.error is not None
    assert again.error.target == "userPrincipalName"
    with pytest.raises(errors.GraphError):
        again.unwrap()


def test_a_weak_password_fails_with_graphs_own_reason_and_shows_no_password(world: World) -> None:
    request = writer.create("user", user_body("new.person", password="canary"))
    outcome = world.writes.send(request)
    assert outcome.kind is FAILED
    assert "password" in str(outcome.error).lower()
    assert "canary" not in repr(request)
    assert "canary" not in repr(outcome)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("fault", [503, 504, "reset"])
def test_a_create_whose_reply_is_lost_is_unknown_and_sent_once(
    world: World, fault: str | int, moment: str
) -> None:
    world.sandbox.faults.script("POST ^/users", fault, when=moment)
    outcome = world.writes.send(writer.create("user", user_body("new.person")))
    assert outcome.kind is UNKNOWN
    names = [r.props["userPrincipalName"] for r in world.sandbox.tenant.collection("user").values()]
    expected = 1 if moment == "after" else 0
    assert names.count(f"new.person@{seed.DOMAIN}") == expected


def test_a_throttled_create_happens_once(world: World) -> None:
    world.sandbox.faults.script("POST ^/users", "throttled", times=2, seconds=0.01)
    world.make_user("new.person")


def test_links_are_added_and_removed_and_either_twice_is_fine(world: World) -> None:
    group = world.id_of("group", "Sales")
    user = world.make_user("new.person")
    add = world.writes.add_reference("group.members", group, user, "user")
    assert world.writes.send(add).kind is DONE
    assert world.writes.send(add).kind is ALREADY
    assert user in world.targets("group.members", group)
    remove = writer.remove_reference("group.members", group, user)
    assert world.writes.send(remove).kind is DONE
    assert world.writes.send(remove).kind is ALREADY
    assert user not in world.targets("group.members", group)
    assert world.live.load_objects("user", [user])


def test_a_link_to_nobody_fails(world: World) -> None:
    group = world.id_of("group", "Sales")
    outcome = world.writes.send(world.writes.add_reference("group.members", group, NOBODY))
    assert outcome.kind is FAILED
    assert isinstance(outcome.error, errors.GraphNotFound)


@pytest.mark.parametrize(
    ("relationship", "source", "target"),
    [
        ("user.manager", ("user", "Ben Rossi"), ("user", "Ada Berg")),
        ("user.sponsors", ("user", "Ben Rossi"), ("user", "Ada Berg")),
        ("group.owners", ("group", "Sales"), ("user", "Ada Berg")),
        ("application.owners", ("application", "Expense Portal"), ("user", "Ada Berg")),
        ("servicePrincipal.owners", ("servicePrincipal", "Expense Portal"), ("user", "Ada Berg")),
        ("administrativeUnit.members", ("administrativeUnit", "Iberia"), ("user", "Ada Berg")),
        (
            "administrativeUnit.members",
            ("administrativeUnit", "Iberia"),
            ("group", "Licence: Suite"),
        ),
    ],
)
def test_every_writable_relationship_can_be_set_and_taken_away(
    world: World, relationship: str, source: tuple[str, str], target: tuple[str, str]
) -> None:
    source_id, target_id = world.id_of(*source), world.id_of(*target)
    add = world.writes.add_reference(relationship, source_id, target_id, target[0])
    assert world.writes.send(add).kind is DONE
    assert target_id in world.targets(relationship, source_id)
    remove = writer.remove_reference(relationship, source_id, target_id)
    assert world.writes.send(remove).kind is DONE
    assert world.writes.send(remove).kind is ALREADY
    assert target_id not in world.targets(relationship, source_id)


def test_relationships_that_graph_does_not_let_us_write_are_refused_before(world: World) -> None:
    with pytest.raises(errors.UsageError, match="registeredOwners"):
        world.writes.add_reference("device.registeredOwners", NOBODY, NOBODY)
    with pytest.raises(errors.UsageError):
        writer.create("device", {"displayName": "x"})
    with pytest.raises(errors.UsageError):
        writer.delete("organization", NOBODY)
    with pytest.raises(errors.UsageError):
        writer.delete("appRoleAssignment", NOBODY)
    assert world.sandbox.counters.writes == 0


def test_a_deleted_object_comes_back_from_the_bin_with_its_id(world: World) -> None:
    group = world.id_of("group", "Sales")
    members = world.targets("group.members", group)
    world.writes.send(writer.delete("group", group))
    restored = world.writes.send(writer.restore_deleted(group))
    assert (restored.kind, restored.object_id) == (DONE, group)
    assert world.targets("group.members", group) == members
    again = world.writes.send(writer.restore_deleted(group))
    assert again.kind is FAILED


def test_many_members_are_added_by_writes_that_follow_each_other(world: World) -> None:
    group = world.writes.send(writer.create("group", group_body("big"))).object_id
    users = [world.make_user(f"person{number}") for number in range(45)]
    world.sandbox.counters.reset()
    binds = [
        world.writes.bind("group.members", group, users[start : start + 20])
        for start in range(0, 45, 20)
    ]
    assert [outcome.kind for outcome in world.writes.send_batch(binds)] == [DONE] * 3
    assert world.sandbox.counters.writes == 3
    assert world.sandbox.counters.by_operation["POST /$batch"] == 1
    assert world.targets("group.members", group) == set(users)


def test_more_than_twenty_cannot_be_bound(world: World) -> None:
    with pytest.raises(errors.UsageError):
        world.writes.bind("group.members", NOBODY, [NOBODY] * 21)
    with pytest.raises(errors.UsageError):
        world.writes.bind("application.owners", NOBODY, [NOBODY])


def test_a_batch_keeps_every_outcome_apart(world: World) -> None:
    users = [world.make_user(f"person{number}") for number in range(22)]
    requests = [writer.update("user", user, {"city": "Ulm"}) for user in users]
    requests[3] = writer.update("user", NOBODY, {"city": "Ulm"})
    requests[5] = writer.update("user", users[5], {"createdDateTime": "2020-01-01T00:00:00Z"})
    requests[7] = writer.delete("user", NOBODY)
    outcomes = world.writes.send_batch(requests)
    kinds = [outcome.kind for outcome in outcomes]
    assert [kinds[3], kinds[5], kinds[7]] == [FAILED, FAILED, ALREADY]
    assert kinds.count(DONE) == 19
    loaded = world.live.load_objects("user", users)
    assert sum(1 for item in loaded.values() if item.get("city") == "Ulm") == 19


def test_writes_to_one_object_run_in_order_and_a_failure_stops_none(world: World) -> None:
    user = world.make_user("new.person")
    requests = [writer.update("user", user, {"city": f"City {number}"}) for number in range(6)]
    requests[2] = writer.update("user", user, {"createdDateTime": "2020-01-01T00:00:00Z"})
    outcomes = world.writes.send_batch(requests)
    assert [outcome.kind for outcome in outcomes] == [DONE, DONE, FAILED, DONE, DONE, DONE]
    assert world.live.load_objects("user", [user])[user].get("city") == "City 5"


def test_a_batch_repeats_what_was_throttled_and_not_what_was_lost(world: World) -> None:
    users = [world.make_user(f"person{number}") for number in range(4)]
    world.sandbox.faults.script(f"PATCH ^/users/{users[0]}", "throttled", seconds=0.01)
    world.sandbox.faults.script(f"PATCH ^/users/{users[1]}", 503, when="after")
    world.sandbox.faults.script(f"PATCH ^/users/{users[2]}", 504)
    outcomes = world.writes.send_batch(
        [writer.update("user", user, {"city": "Ulm"}) for user in users]
    )
    assert [outcome.kind for outcome in outcomes] == [DONE, UNKNOWN, UNKNOWN, DONE]
    loaded = world.live.load_objects("user", users)
    assert [loaded[user].get("city") for user in users] == ["Ulm", "Ulm", None, "Ulm"]


def test_links_that_exist_already_are_as_good_as_made(world: World) -> None:
    assignment = next(iter(world.sandbox.tenant.collection("appRoleAssignment").values())).props
    body = {name: assignment[name] for name in ("principalId", "resourceId", "appRoleId")}
    assert world.writes.send(writer.create("appRoleAssignment", body)).kind is ALREADY
    role = next(iter(world.live.list_objects("unifiedRoleAssignment")))
    names = ("principalId", "roleDefinitionId", "directoryScopeId")
    request = writer.create("unifiedRoleAssignment", {name: role.get(name) for name in names})
    assert world.writes.send(request).kind is ALREADY


def test_an_app_role_assignment_is_deleted_through_its_resource(world: World) -> None:
    resource = world.id_of("servicePrincipal", "Expense Portal")
    (first, *_) = world.live.find_objects("appRoleAssignment", "resourceId", [resource])
    request = writer.delete("appRoleAssignment", first.id, source_id=resource)
    assert world.writes.send(request).kind is DONE
    left = world.live.find_objects("appRoleAssignment", "resourceId", [resource])
    assert first.id not in {item.id for item in left}


def test_licences_are_assigned_and_taken_away(world: World) -> None:
    user = world.make_user("new.person")
    sku = next(iter(world.live.list_objects("subscribedSku"))).get("skuId")
    add = writer.assign_license("user", user, [{"skuId": sku, "disabledPlans": []}])
    assert world.writes.send(add).kind is DONE
    held = world.live.load_objects("user", [user])[user].get("assignedLicenses")
    assert [entry["skuId"] for entry in held] == [sku]
    assert world.writes.send(writer.assign_license("user", user, remove=[sku])).kind is DONE
    assert world.live.load_objects("user", [user])[user].get("assignedLicenses") == []


def test_conditional_access_is_written_outside_of_batches(world: World) -> None:
    policies = list(world.live.list_objects("conditionalAccessPolicy"))
    requests = [
        writer.update("conditionalAccessPolicy", policy.id, {"state": "disabled"})
        for policy in policies
    ]
    world.sandbox.counters.reset()
    outcomes = world.writes.send_batch(requests)
    assert [outcome.kind for outcome in outcomes] == [DONE] * len(policies)
    assert not [entry for entry in world.sandbox.counters.log if entry.in_batch]


def test_settings_are_put_back_where_they_live(world: World) -> None:
    for kind, body in (
        ("authorizationPolicy", {"allowInvitesFrom": "none"}),
        ("organization", {"technicalNotificationMails": ["it@contoso.example"]}),
    ):
        (item,) = world.live.list_objects(kind)
        assert world.writes.send(writer.update(kind, item.id, body)).kind is DONE
        (after,) = world.live.list_objects(kind)
        assert {name: after.get(name) for name in body} == body


def test_a_lost_permission_is_a_failure_of_each_write(world: World) -> None:
    user = world.make_user("new.person")
    for permission in seed.RESTORE_ROLES:
        world.sandbox.withdraw(permission)
    outcome = world.writes.send(writer.update("user", user, {"city": "Ulm"}))
    assert outcome.kind is FAILED
    assert isinstance(outcome.error, errors.Forbidden)


def test_an_outcome_that_refers_to_a_lost_token_is_raised(world: World) -> None:
    world.sandbox.faults.script("PATCH ^/users", 401, code="InvalidAuthenticationToken", times=2)
    with pytest.raises(errors.Unauthenticated):
        world.writes.send(writer.update("user", NOBODY, {"city": "Ulm"}))


def test_only_known_methods_are_sent(world: World) -> None:
    with pytest.raises(errors.UsageError):
        world.writes.send(WriteRequest(Action.UPDATE, "GET", "/users"))
    with pytest.raises(errors.UsageError):
        world.writes.send(WriteRequest(Action.DELETE, "DELETE", "/groups/g/members/u"))
    with pytest.raises(errors.UsageError):
        world.writes.send(WriteRequest(Action.REMOVE_REFERENCE, "DELETE", "/groups/g"))
