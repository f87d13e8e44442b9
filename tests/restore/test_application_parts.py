"""Federated credentials, directory extensions and their values come back with their application."""

from __future__ import annotations

from typing import Any

import pytest

from reentra.directory.kinds import extension_app_id, is_extension_name, own_extension_name
from reentra.directory.selection import Selection
from reentra.restore.draft import RestoreOptions
from reentra.restore.report import RestoreStatus
from tests.restore.support import World

RULE = 'user.{name} -eq "4711" and user.department -ne "x"'


def application(world: World, name: str) -> dict[str, Any]:
    return dict(
        next(
            item.properties
            for item in world.live.list_objects("application")
            if item.get("displayName") == name
        )
    )


def purge_application(world: World, name: str) -> str:
    """Purge an application with its service principal; return its object id."""
    found = application(world, name)
    principals = [
        item.id
        for item in world.live.list_objects("servicePrincipal")
        if item.get("appId") == found["appId"]
    ]
    world.client.delete(f"/applications/{found['id']}")
    for object_id in (found["id"], *principals):
        world.client.delete(f"/directory/deletedItems/{object_id}")
    world.live.forget_extensions()
    return str(found["id"])


def extension(world: World, name: str) -> str:
    app_id = application(world, name)["appId"]
    return f"extension_{app_id.replace('-', '')}_costCentre"


@pytest.fixture
def holding(world: World) -> World:
    """A tenant in which users and a rule use an extension of the Expense Portal."""
    name = extension(world, "Expense Portal")
    users = world.ids("user")
    for person, value in (("Ada Berg", "4711"), ("Hugo Klein", "4712")):
        world.client.patch(f"/users/{users[person]}", {name: value})
    world.client.post(
        "/groups",
        {
            "displayName": "Cost centre 4711",
            "mailNickname": "cc4711",
            "mailEnabled": False,
            "securityEnabled": True,
            "groupTypes": ["DynamicMembership"],
            "membershipRule": RULE.format(name=name),
            "membershipRuleProcessingState": "On",
        },
    )
    world.live.forget_extensions()
    return world


def values(world: World) -> dict[str, Any]:
    return {
        str(user.get("displayName")): value
        for user in world.live.list_objects("user")
        for name, value in user.properties.items()
        if is_extension_name(name) and value is not None
    }


def test_names_of_extensions_are_taken_apart() -> None:
    name = "extension_0123456789abcdef0123456789ABCDEF_cost_centre"
    assert is_extension_name(name)
    assert not is_extension_name("extension_1_x")
    assert extension_app_id(name) == "01234567-89ab-cdef-0123-456789abcdef"
    assert own_extension_name(name) == "cost_centre"


def test_extension_values_follow_an_application_that_is_created_anew(holding: World) -> None:
    world = holding
    desired = world.captured()
    assert values(world) == {"Ada Berg": "4711", "Hugo Klein": "4712"}
    before = extension(world, "Expense Portal")
    purge_application(world, "Expense Portal")
    assert values(world) == {}
    report = world.restore(desired)
    assert report.status is RestoreStatus.SUCCEEDED, report.to_json()
    after = extension(world, "Expense Portal")
    assert after != before
    assert values(world) == {"Ada Berg": "4711", "Hugo Klein": "4712"}
    (group,) = [
        item
        for item in world.live.list_objects("group")
        if item.get("displayName") == "Cost centre 4711"
    ]
    assert group.get("membershipRule") == RULE.format(name=after)
    assert not [step.to_json() for step in world.plan(desired).steps]


def test_a_purged_user_comes_back_with_its_extension_values(holding: World) -> None:
    world = holding
    desired = world.captured()
    world.purge("users", world.ids("user")["Ada Berg"])
    report = world.restore(desired)
    assert report.status is RestoreStatus.SUCCEEDED, report.to_json()
    assert values(world)["Ada Berg"] == "4711"
    assert not [step.to_json() for step in world.plan(desired).steps]


def test_values_of_an_extension_that_is_gone_are_refused_with_what_to_do(holding: World) -> None:
    world = holding
    desired = world.captured()
    purge_application(world, "Expense Portal")
    ada = world.ids("user")["Ada Berg"]
    plan = world.plan(desired, Selection.parse(ids=[f"user/{ada}"]))
    assert plan.is_empty
    (said,) = plan.unrestorable
    assert is_extension_name(said.what)
    assert "application" in said.instead


def test_parts_of_an_application_come_back_even_without_relationships(world: World) -> None:
    desired = world.captured()
    app = application(world, "Expense Importer")
    path = f"/applications/{app['id']}/federatedIdentityCredentials"
    (credential,) = world.client.items(path)
    world.client.delete(f"{path}/{credential['id']}")
    selection = Selection.parse(ids=[f"application/{app['id']}"])
    plan = world.plan(desired, selection, RestoreOptions(relationships=False))
    assert [step.ref.kind for step in plan.steps] == ["federatedIdentityCredential"]
    assert world.applier(plan).run().status is RestoreStatus.SUCCEEDED
    (again,) = world.client.items(path)
    assert {k: v for k, v in again.items() if k != "id"} == {
        k: v for k, v in credential.items() if k != "id"
    }


def test_a_changed_credential_is_put_back_at_its_application(world: World) -> None:
    desired = world.captured()
    app = application(world, "Expense Importer")
    path = f"/applications/{app['id']}/federatedIdentityCredentials"
    (credential,) = world.client.items(path)
    world.client.patch(f"{path}/{credential['id']}", {"subject": "repo:evil/expense:x"})
    report = world.restore(desired)
    assert report.status is RestoreStatus.SUCCEEDED, report.to_json()
    (again,) = world.client.items(path)
    assert again["subject"] == credential["subject"]


def test_credentials_and_extensions_come_out_of_the_bin_with_their_application(
    holding: World,
) -> None:
    world = holding
    desired = world.captured()
    for name in ("Expense Portal", "Expense Importer"):
        world.soft_delete("applications", application(world, name)["id"])
    world.live.forget_extensions()
    report = world.restore(desired)
    assert report.status is RestoreStatus.SUCCEEDED, report.to_json()
    assert not [step.to_json() for step in world.plan(desired).steps]
    assert values(world) == {"Ada Berg": "4711", "Hugo Klein": "4712"}


def test_what_was_changed_before_its_application_was_deleted_is_put_right(world: World) -> None:
    desired = world.captured()
    app = application(world, "Expense Importer")
    path = f"/applications/{app['id']}/federatedIdentityCredentials"
    (credential,) = world.client.items(path)
    world.client.patch(f"{path}/{credential['id']}", {"subject": "repo:evil/expense:x"})
    principal = next(
        item.id
        for item in world.live.list_objects("servicePrincipal")
        if item.get("appId") == app["appId"]
    )
    grants = {
        item.id: item.get("scope")
        for item in world.live.list_objects("oAuth2PermissionGrant")
        if item.get("clientId") == principal
    }
    assert len(grants) == 2
    for grant in grants:
        world.client.patch(f"/oauth2PermissionGrants/{grant}", {"scope": "openid"})
    world.soft_delete("applications", app["id"])
    report = world.restore(desired)
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    (again,) = world.client.items(path)
    assert again["subject"] == credential["subject"]
    after = {i.id: i.get("scope") for i in world.live.list_objects("oAuth2PermissionGrant")}
    assert {grant: after[grant] for grant in grants} == grants
    assert not world.plan(desired).steps
