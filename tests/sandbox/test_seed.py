"""Seeds: complete, the same each time, of the size that was asked for, and quick."""

from __future__ import annotations

import orjson
import pytest

from reentra.sandbox import render, schema
from reentra.sandbox.admin import state_digest
from reentra.sandbox.app import Sandbox
from reentra.sandbox.rules_licences import reconcile_all
from reentra.sandbox.tenant import NAVIGATIONS


def test_the_small_seed_has_every_kind_and_every_relationship() -> None:
    tenant = Sandbox("small").tenant
    for kind in (
        "user", "group", "application", "servicePrincipal", "device", "administrativeUnit",
        "conditionalAccessPolicy", "namedLocation", "unifiedRoleDefinition",
        "unifiedRoleAssignment", "oAuth2PermissionGrant", "appRoleAssignment", "organization",
        "authorizationPolicy", "groupSetting", "domain", "subscribedSku", "scopedRoleMembership",
        "federatedIdentityCredential", "extensionProperty", "directoryRole",
    ):  # fmt: skip
        assert tenant.collection(kind), kind
    for nav in NAVIGATIONS:
        if nav == "directoryRole.members":
            # Held as role assignments.
            continue
        sources = tenant.collection(nav.partition(".")[0])
        assert any(tenant.targets(nav, id_) for id_ in sources), nav
    groups = [record.props for record in tenant.collection("group").values()]
    assert any("DynamicMembership" in group["groupTypes"] for group in groups)
    assert any("Unified" in group["groupTypes"] for group in groups)
    assert any(group.get("isAssignableToRole") for group in groups)
    assert any(group.get("onPremisesSyncEnabled") for group in groups)
    assert any(group.get("assignedLicenses") for group in groups)
    users = [record.props for record in tenant.collection("user").values()]
    assert any(user.get("userType") == "Guest" for user in users)
    assert any(user.get("onPremisesSyncEnabled") for user in users)
    by_group = [s["assignedByGroup"] for u in users for s in u.get("licenseAssignmentStates") or ()]
    assert None in by_group
    assert any(by_group)
    assert tenant.deleted("user")
    assert tenant.deleted("group")


def test_the_dynamic_group_has_the_members_its_rule_says() -> None:
    tenant = Sandbox("small").tenant
    group = tenant.by("group", "mailNickname", "operations-dynamic")[0]
    members = [tenant.collection("user")[id_] for id_ in tenant.targets("group.members", group.id)]
    assert {member.props["department"] for member in members} == {"Operations"}
    assert len(members) == 3


@pytest.mark.parametrize("name", ["small", "medium"])
def test_a_seed_is_the_same_each_time(name: str) -> None:
    users = None if name == "small" else 300
    first, second = (Sandbox(name, users=users).tenant for _ in range(2))
    assert state_digest(first) == state_digest(second)
    for kind in ("user", "group", "application", "servicePrincipal", "unifiedRoleAssignment"):
        assert list(first.collection(kind)) == list(second.collection(kind))
    assert {r.id: r.props for r in first.collection("user").values()} == {
        r.id: r.props for r in second.collection("user").values()
    }


def test_the_medium_seed_is_a_company_of_two_thousand() -> None:
    tenant = Sandbox("medium").tenant
    assert 2_000 <= len(tenant.collection("user")) < 2_100
    assert 200 <= len(tenant.collection("group")) < 250
    assert 60 <= len(tenant.collection("application")) < 80
    links = sum(tenant.target_count("group.members", id_) for id_ in tenant.collection("group"))
    assert 19_000 < links < 21_000


def test_a_large_seed_is_as_large_as_asked_for_and_realistic() -> None:
    tenant = Sandbox("large", users=5_000).tenant
    assert 5_000 <= len(tenant.collection("user")) < 5_100
    sizes = [tenant.target_count("group.members", id_) for id_ in tenant.collection("group")]
    assert abs(sum(sizes) - 50_000) < 200
    assert max(sizes) > 10 * sorted(sizes)[len(sizes) // 2]
    names = tuple(
        name
        for name, prop in schema.entity("user").properties.items()
        if not prop.alone and name not in ("signInActivity", "customSecurityAttributes")
    )
    wanted = render.shape("user", ("id", *names))
    users = list(tenant.collection("user").values())[-1000:]
    size = sum(len(orjson.dumps(render.values_of(user, wanted))) for user in users) / 1000
    assert 1_800 < size < 4_000


def test_bulk_objects_are_ones_that_graph_could_have() -> None:
    tenant = Sandbox("medium", users=400).tenant
    principal_names = [u.props["userPrincipalName"] for u in tenant.collection("user").values()]
    assert len(set(principal_names)) == len(principal_names)
    addresses = [a.lower() for u in tenant.collection("user").values()
                 for a in u.props.get("proxyAddresses") or ()]  # fmt: skip
    assert len(set(addresses)) == len(addresses)
    for kind in ("user", "group", "device"):
        known = schema.entity(kind).properties
        for record in tenant.collection(kind).values():
            unknown = [n for n in record.props if n not in known and not n.startswith("extension_")]
            assert unknown == []
    for group in tenant.collection("group").values():
        if "Unified" in group.props["groupTypes"]:
            types = {tenant.find(i).type for i in tenant.targets("group.members", group.id)}  # type: ignore[union-attr]
            assert types <= {"user"}


def test_licence_states_of_a_seed_are_settled() -> None:
    tenant = Sandbox("medium", users=300).tenant
    before = tenant.seq
    reconcile_all(tenant)
    assert tenant.seq == before


def test_an_unknown_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="huge"):
        Sandbox("huge")


def test_without_a_seed_the_tenant_is_empty() -> None:
    assert not Sandbox(None).tenant.collection("user")
