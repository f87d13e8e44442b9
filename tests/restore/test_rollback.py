"""Rollback and single properties, applied to a sandbox through real HTTP."""

from __future__ import annotations

from typing import Any

from reentra.directory.objects import ObjectRef
from reentra.directory.selection import EVERYTHING, Selection
from reentra.restore.draft import RelationshipsBehavior, RestoreOptions
from reentra.restore.plan import RestorePlan, plan_restore
from reentra.restore.report import RestoreReport, RestoreStatus
from reentra.restore.safety import Safeguards
from reentra.restore.steps import NOT_DELETED, NOT_REMOVED, Action
from reentra.sandbox import seed
from tests.models import ModelTenant
from tests.restore.support import NOW, World

ROLLBACK = RelationshipsBehavior.ROLLBACK
KINDS = (
    "user",
    "group",
    "application",
    "servicePrincipal",
    "administrativeUnit",
    "unifiedRoleDefinition",
    "namedLocation",
    "conditionalAccessPolicy",
)


def rolled_back(
    world: World,
    desired: ModelTenant,
    selection: Selection = EVERYTHING,
    *kinds: str,
    overruled: frozenset[str] = frozenset(),
) -> RestorePlan:
    return plan_restore(
        desired,
        world.live,
        selection,
        RestoreOptions(
            relationships_behavior=ROLLBACK, rollback_kinds=frozenset(kinds), overruled=overruled
        ),
        world.identity,
        created_at=NOW,
        safeguards=Safeguards(client_id=seed.BOTH_CLIENT_ID),
    )


def done(world: World, plan: RestorePlan) -> RestoreReport:
    report = world.applier(plan).run()
    bad = [entry.to_json() for entry in report.failures]
    assert report.status is RestoreStatus.SUCCEEDED, bad or report.verification.to_json()
    return report


def people(world: World, count: int) -> list[str]:
    """Ordinary users: in the cloud, without a role."""
    roles = {
        str(one.get("principalId")) for one in world.live.list_objects("unifiedRoleAssignment")
    }
    found = sorted(
        item.id
        for item in world.live.list_objects("user")
        if item.id not in roles
        and item.get("userType") == "Member"
        and not item.get("onPremisesSyncEnabled")
    )
    return found[:count]


def new_group(world: World, name: str, **more: Any) -> str:
    body = {
        "displayName": name,
        "mailNickname": name.lower(),
        "mailEnabled": False,
        "securityEnabled": True,
        **more,
    }
    made = world.client.post("/groups", body)
    assert made is not None
    return str(made["id"])


def new_user(world: World, name: str) -> str:
    domain = str(next(iter(world.live.list_objects("user"))).get("userPrincipalName"))
    made = world.client.post(
        "/users",
        {
            "displayName": name,
            "mailNickname": name.lower(),
            "userPrincipalName": f"{name.lower()}@{domain.partition('@')[2]}",
            "accountEnabled": True,
            "passwordProfile": {"password": "Some-Pass-1-Word"},
        },
    )
    assert made is not None
    return str(made["id"])


def link(world: World, path: str, target_id: str) -> None:
    reference = {"@odata.id": world.client.url(f"directoryObjects/{target_id}")}
    world.client.post(f"/{path}/$ref", reference)


def test_links_added_since_are_taken_away_and_the_rest_is_as_it_was(world: World) -> None:
    ann, bob, cat = people(world, 3)
    group_id = new_group(world, "Rollback")
    link(world, f"groups/{group_id}/members", ann)
    link(world, f"groups/{group_id}/owners", ann)
    (application,) = list(world.ids("application").values())[:1]
    desired = world.captured()
    link(world, f"groups/{group_id}/members", bob)
    link(world, f"groups/{group_id}/owners", bob)
    world.client.remove_reference(f"/groups/{group_id}/owners/{ann}/$ref")
    link(world, f"applications/{application}/owners", cat)
    manager = {"@odata.id": world.client.url(f"users/{bob}")}
    world.client.put(f"/users/{cat}/manager/$ref", manager)
    roles = {
        str(r.get("displayName")): r.id for r in world.live.list_objects("unifiedRoleDefinition")
    }
    world.client.post(
        "/roleManagement/directory/roleAssignments",
        {
            "principalId": bob,
            "roleDefinitionId": roles["Global Reader"],
            "directoryScopeId": "/",
        },
    )
    assert rolled_back(world, desired, Selection(refs=frozenset({ObjectRef("user", ann)}))).counts()
    plan = rolled_back(world, desired)
    assert plan.counts()["delete"] == {"unifiedRoleAssignment": 1}
    assert plan.removals >= 4
    done(world, plan)
    assert world.captured().comparable()["links"] == desired.comparable()["links"]
    assert rolled_back(world, desired).is_empty


def test_a_merge_keeps_what_was_added(world: World) -> None:
    ann, bob = people(world, 2)
    group_id = new_group(world, "Merged")
    link(world, f"groups/{group_id}/members", ann)
    desired = world.captured()
    link(world, f"groups/{group_id}/members", bob)
    world.client.remove_reference(f"/groups/{group_id}/members/{ann}/$ref")
    world.restore(desired)
    members = {one.target_id for one in world.live.load_relationships("group.members", [group_id])}
    assert members == {ann, bob}


def test_objects_created_since_are_deleted_and_can_be_had_back(world: World) -> None:
    (ann,) = people(world, 1)
    desired = world.captured()
    fresh = new_user(world, "Fresh")
    group_id = new_group(world, "Fresh")
    link(world, f"groups/{group_id}/members", ann)
    link(world, f"groups/{group_id}/members", fresh)
    application = world.client.post("/applications", {"displayName": "Fresh"})
    assert application is not None
    principal = world.client.post("/servicePrincipals", {"appId": application["appId"]})
    assert principal is not None
    unit = world.client.post("/directory/administrativeUnits", {"displayName": "Fresh"})
    assert unit is not None
    location = world.client.post(
        "/identity/conditionalAccess/namedLocations",
        {
            "@odata.type": "#microsoft.graph.ipNamedLocation",
            "displayName": "Fresh",
            "isTrusted": True,
            "ipRanges": [
                {"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "203.0.113.0/24"}
            ],
        },
    )
    assert location is not None
    world.client.post(
        "/identity/conditionalAccess/policies",
        {
            "displayName": "Fresh",
            "state": "disabled",
            "conditions": {
                "clientAppTypes": ["all"],
                "applications": {"includeApplications": ["All"]},
                "users": {"includeUsers": [fresh]},
                "locations": {"includeLocations": [location["id"]]},
            },
            "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
        },
    )
    role = world.client.post(
        "/roleManagement/directory/roleDefinitions",
        {
            "displayName": "Fresh",
            "isEnabled": True,
            "rolePermissions": [
                {"allowedResourceActions": ["microsoft.directory/applications/basic/update"]}
            ],
        },
    )
    assert role is not None
    world.client.post(
        "/roleManagement/directory/roleAssignments",
        {"principalId": ann, "roleDefinitionId": role["id"], "directoryScopeId": "/"},
    )
    plan = rolled_back(world, desired, EVERYTHING, *KINDS)
    assert plan.counts()["delete"] == dict.fromkeys(sorted((*KINDS, "unifiedRoleAssignment")), 1)
    assert plan.deletions == len(KINDS)
    done(world, plan)
    assert world.captured().comparable() == desired.comparable()
    assert rolled_back(world, desired, EVERYTHING, *KINDS).is_empty
    for kind, object_id in (
        ("user", fresh),
        ("group", group_id),
        ("application", application["id"]),
    ):
        assert world.live.load_deleted(kind, [object_id]).keys() == {object_id}
    world.client.post(f"/directory/deletedItems/{group_id}/restore", None)
    members = {one.target_id for one in world.live.load_relationships("group.members", [group_id])}
    assert members == {ann}  # what was in it comes back with it


def test_a_credential_added_since_to_an_application_goes(world: World) -> None:
    own = world.live.find_objects("application", "appId", [seed.BOTH_CLIENT_ID])
    (application, other) = [
        one for one in sorted(world.ids("application").values()) if one not in {i.id for i in own}
    ][:2]

    def trust(application_id: str, name: str) -> str:
        made = world.client.post(
            f"/applications/{application_id}/federatedIdentityCredentials",
            {
                "name": name,
                "issuer": "https://issuer.example",
                "subject": name,
                "audiences": ["api://AzureADTokenExchange"],
            },
        )
        assert made is not None
        return str(made["id"])

    again = trust(application, "again")
    trust(other, "stays")
    desired = world.captured()
    world.client.delete(f"/applications/{application}/federatedIdentityCredentials/{again}")
    trust(application, "again")
    intruder = trust(application, "intruder")
    fresh = world.client.post("/applications", {"displayName": "Fresh"})
    assert fresh is not None
    trust(str(fresh["id"]), "goes-along")
    trust(own[0].id, "our-own")
    plan = rolled_back(world, desired, Selection(kinds=frozenset({"application"})), "application")
    deleted = {step.live_id for step in plan.steps if step.action is Action.DELETE}
    assert deleted == {intruder, fresh["id"]}
    assert plan.deletions == 1
    done(world, plan)
    left = {str(one.get("name")) for one in world.live.list_objects("federatedIdentityCredential")}
    assert {"again", "stays", "our-own"} <= left
    assert not left & {"intruder", "goes-along"}


def test_the_restoring_application_survives_a_rollback_to_before_it_was_there(
    world: World,
) -> None:
    desired = world.captured()
    own = {
        item.id
        for kind in ("application", "servicePrincipal")
        for item in world.live.list_objects(kind)
        if item.get("appId") == seed.BOTH_CLIENT_ID
    }
    assert own
    for bodies in desired.objects.values():
        for one in [
            key
            for key, body in bodies.items()
            if key in own or {str(body.get("principalId")), str(body.get("clientId"))} & own
        ]:
            del bodies[one]
    plan = rolled_back(world, desired, EVERYTHING, "application", "servicePrincipal")
    assert plan.is_empty, [step.summary for step in plan.steps]
    assert {item.code for item in plan.unrestorable} == {NOT_DELETED}
    assert own <= {item.ref.id for item in plan.unrestorable}


def test_a_group_keeps_its_last_owner_and_a_team_its_members(world: World) -> None:
    ann, bob = people(world, 2)
    team = new_group(
        world,
        "Team",
        groupTypes=["Unified"],
        mailEnabled=True,
        securityEnabled=False,
        resourceProvisioningOptions=["Team"],
    )
    ownerless = new_group(world, "Ownerless")
    link(world, f"groups/{team}/owners", ann)
    for one in (ann, bob):
        link(world, f"groups/{team}/members", one)
    desired = world.captured()
    link(world, f"groups/{team}/owners", bob)
    link(world, f"groups/{ownerless}/owners", bob)
    plan = rolled_back(world, desired, Selection(kinds=frozenset({"group"})))
    assert [item.code for item in plan.unrestorable] == [NOT_REMOVED]
    done(world, plan)
    links = world.captured().links
    kept = [one for key, one in links.items() if key not in desired.links]
    assert [(one.kind, one.source_id) for one in kept] == [("group.owners", ownerless)]
    assert desired.links.keys() <= links.keys()


def test_scopes_granted_since_are_kept_or_taken_away(world: World) -> None:
    grant = next(iter(world.live.list_objects("oAuth2PermissionGrant")))
    path = f"/oauth2PermissionGrants/{grant.id}"
    before = ["openid", "profile", "User.Read"]
    world.client.patch(path, {"scope": " ".join(before)})
    desired = world.captured()
    world.client.patch(path, {"scope": " ".join([*before[1:], "Mail.Read"])})

    def scopes() -> set[str]:
        (found,) = world.live.load_objects("oAuth2PermissionGrant", [grant.id]).values()
        return set(str(found.get("scope")).split())

    client = Selection(refs=frozenset({ObjectRef("servicePrincipal", str(grant.get("clientId")))}))
    world.restore(desired, client)
    assert scopes() == {*before, "Mail.Read"}
    assert world.plan(desired, client).is_empty
    done(world, rolled_back(world, desired, client))
    assert scopes() == set(before)


def test_a_single_property_of_many_users_is_put_back_and_nothing_else(world: World) -> None:
    chosen = people(world, 4)
    desired = world.captured()
    for one in chosen:
        world.client.patch(f"/users/{one}", {"department": None, "city": "Later"})
    world.soft_delete("users", chosen[3])
    options = RestoreOptions(relationships=False, properties=frozenset({"department"}))
    plan = world.plan(desired, Selection(kinds=frozenset({"user"})), options)
    assert plan.counts() == {"update": {"user": 3}}
    done(world, plan)
    for one in chosen[:3]:
        (found,) = world.live.load_objects("user", [one]).values()
        assert found.get("department") == desired.objects["user"][one]["department"]
        assert found.get("city") == "Later"
    assert not world.live.load_objects("user", [chosen[3]])


def test_a_place_inside_a_property_is_written_without_harm_to_its_neighbours(
    world: World,
) -> None:
    (one,) = people(world, 1)
    world.client.patch(
        f"/users/{one}", {"employeeOrgData": {"division": "Then", "costCenter": "1"}}
    )
    desired = world.captured()
    world.client.patch(f"/users/{one}", {"employeeOrgData": {"division": "Now", "costCenter": "2"}})
    options = RestoreOptions(
        relationships=False, properties=frozenset({"employeeOrgData.division"})
    )
    plan = world.plan(desired, Selection(refs=frozenset({ObjectRef("user", one)})), options)
    done(world, plan)
    (found,) = world.live.load_objects("user", [one]).values()
    assert found.get("employeeOrgData") == {"division": "Then", "costCenter": "2"}


def test_reading_what_a_rollback_needs_does_not_list_other_kinds(world: World) -> None:
    (ann,) = people(world, 1)
    desired = world.captured()
    selection = Selection(refs=frozenset({ObjectRef("user", ann)}))
    asked = world.counted(lambda: rolled_back(world, desired, selection))
    assert not [name for name in asked if name in ("GET /users", "GET /groups", "GET /devices")], (
        asked
    )
    assert any(asked.values())


def test_what_is_taken_away_is_looked_at_when_its_reply_is_lost(world: World) -> None:
    ann, bob = people(world, 2)
    group_id = new_group(world, "Lost")
    link(world, f"groups/{group_id}/members", ann)
    desired = world.captured()
    fresh = new_user(world, "Fresh")
    link(world, f"groups/{group_id}/members", bob)
    plan = rolled_back(world, desired, EVERYTHING, "user")
    assert [step.action for step in plan.steps] == [Action.REMOVE_RELATIONSHIP, Action.DELETE]
    world.sandbox.faults.script(("DELETE", ".*"), 504, when="after")
    done(world, plan)
    assert not world.live.load_objects("user", [fresh])
    members = world.live.load_relationships("group.members", [group_id])
    assert {one.target_id for one in members} == {ann}
