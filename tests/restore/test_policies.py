"""The policies of a tenant: what was deleted comes back, what was changed is put back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from reentra.directory import canonical
from reentra.directory.kinds import KINDS
from reentra.directory.selection import Selection
from reentra.restore.report import RestoreStatus
from tests.models import ModelTenant
from tests.restore.support import World

_CA = "/identity/conditionalAccess"
_METHOD = "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations"
# Kind -> where it lives, what is changed of one of its objects.
DELETED: Mapping[str, str] = {
    "claimsMappingPolicy": "/policies/claimsMappingPolicies",
    "tokenLifetimePolicy": "/policies/tokenLifetimePolicies",
    "tokenIssuancePolicy": "/policies/tokenIssuancePolicies",
    "homeRealmDiscoveryPolicy": "/policies/homeRealmDiscoveryPolicies",
    "activityBasedTimeoutPolicy": "/policies/activityBasedTimeoutPolicies",
    "authenticationStrengthPolicy": "/policies/authenticationStrengthPolicies",
    "authenticationContextClassReference": f"{_CA}/authenticationContextClassReferences",
    "groupLifecyclePolicy": "/groupLifecyclePolicies",
    "crossTenantAccessPolicyConfigurationPartner": "/policies/crossTenantAccessPolicy/partners",
}
CHANGED: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "identitySecurityDefaultsEnforcementPolicy": (
        "PATCH", "/policies/identitySecurityDefaultsEnforcementPolicy", {"displayName": None},
    ),
    "adminConsentRequestPolicy": (
        "PUT", "/policies/adminConsentRequestPolicy",
        {"isEnabled": False, "notifyReviewers": False, "remindersEnabled": False,
         "requestDurationInDays": 1, "reviewers": []},
    ),
    "deviceRegistrationPolicy": (
        "PUT", "/policies/deviceRegistrationPolicy",
        {"userDeviceQuota": 3,
         "azureADJoin": {"isAdminConfigurable": True, "allowedToJoin": {
             "@odata.type": "#microsoft.graph.noDeviceRegistrationMembership"}},
         "azureADRegistration": {"isAdminConfigurable": False}},
    ),
    "authenticationMethodsPolicy": (
        "PATCH", "/policies/authenticationMethodsPolicy",
        {"registrationEnforcement": {"authenticationMethodsRegistrationCampaign": {
            "snoozeDurationInDays": 14, "state": "disabled", "excludeTargets": [],
            "includeTargets": []}}},
    ),
    "authenticationMethodConfiguration": (
        "PATCH", f"{_METHOD}/fido2",
        {"@odata.type": "#microsoft.graph.fido2AuthenticationMethodConfiguration",
         "state": "disabled", "includeTargets": [], "excludeTargets": []},
    ),
    "crossTenantAccessPolicy": (
        "PATCH", "/policies/crossTenantAccessPolicy", {"allowedCloudEndpoints": ["partner.mil"]},
    ),
    "crossTenantAccessPolicyConfigurationDefault": (
        "PATCH", "/policies/crossTenantAccessPolicy/default",
        {"inboundTrust": {"isMfaAccepted": True, "isCompliantDeviceAccepted": True,
                          "isHybridAzureADJoinedDeviceAccepted": True}},
    ),
    "authenticationStrengthPolicy": (
        "POST", "/policies/authenticationStrengthPolicies/{custom}/updateAllowedCombinations",
        {"allowedCombinations": ["password"]},
    ),
}  # fmt: skip


def what_counts(world: World, model: ModelTenant, kind: str) -> list[dict[str, Any]]:
    """Return the writable properties of a kind's objects, with the ids that they have now."""
    row = KINDS[kind]
    names = row.writable | row.update_only | row.create_only
    return sorted(
        (
            {
                name: value
                for name, value in canonical.canonical_properties(
                    kind, world.identity.rewritten(kind, body)
                ).items()
                if name in names
            }
            for body in model.objects.get(kind, {}).values()
        ),
        key=str,
    )


def test_every_policy_that_was_deleted_for_good_comes_back_equal(world: World) -> None:
    desired = world.captured()
    for kind, path in DELETED.items():
        for item in world.live.list_objects(kind):
            if item.get("policyType") == "builtIn":
                continue
            if kind == "authenticationContextClassReference":
                world.client.patch(f"{path}/{item.id}", {"isAvailable": False})
            world.client.delete(f"{path}/{item.id}")
    report = world.restore(desired)
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    after = world.captured()
    for kind in DELETED:
        assert what_counts(world, after, kind) == what_counts(world, desired, kind), kind
    assigned = [link for link in desired.links.values() if link.kind.endswith("Policies")]
    assert len(assigned) == 5
    current = world.identity.current
    there = {link.key for link in after.links.values()}
    for link in assigned:
        assert (link.kind, current(link.source_id), current(link.target_id), "") in there
    assert not world.plan(desired).steps


@pytest.mark.parametrize("kind", CHANGED)
def test_a_policy_that_was_changed_is_put_back(world: World, kind: str) -> None:
    desired = world.captured()
    method, path, body = CHANGED[kind]
    if kind == "identitySecurityDefaultsEnforcementPolicy":
        for policy in world.live.list_objects("conditionalAccessPolicy"):
            world.client.patch(f"{_CA}/policies/{policy.id}", {"state": "disabled"})
        body = {"isEnabled": True}
    custom = next(
        item.id
        for item in world.live.list_objects("authenticationStrengthPolicy")
        if item.get("policyType") == "custom"
    )
    send = {"PATCH": world.client.patch, "PUT": world.client.put, "POST": world.client.post}
    send[method](path.replace("{custom}", custom), body)
    changed = world.captured()
    assert what_counts(world, changed, kind) != what_counts(world, desired, kind)
    report = world.restore(desired, Selection.parse([kind]))
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    assert what_counts(world, world.captured(), kind) == what_counts(world, desired, kind)


def test_what_is_built_in_is_never_written(world: World) -> None:
    desired = world.captured()
    for body in desired.objects["authenticationStrengthPolicy"].values():
        if body["policyType"] == "builtIn":
            body["displayName"] = "Another"
    plan = world.plan(desired, Selection.parse(["authenticationStrengthPolicy"]))
    assert not plan.steps
    assert len(plan.unrestorable) == 3


def test_restrictions_of_a_strength_that_is_created_anew_are_said(world: World) -> None:
    desired = world.captured()
    (custom,) = [
        one
        for one, body in desired.objects["authenticationStrengthPolicy"].items()
        if body["policyType"] == "custom"
    ]
    desired.change("authenticationStrengthPolicy", custom, combinationConfigurations=[{"id": "x"}])
    world.client.delete(f"/policies/authenticationStrengthPolicies/{custom}")
    plan = world.plan(desired, Selection.parse(["authenticationStrengthPolicy"]))
    assert [step.action.value for step in plan.steps] == ["create"]
    (said,) = plan.unrestorable
    assert said.what == "combinationConfigurations"
    assert said.instead


def test_a_policy_that_is_patched_where_its_page_says_put_is_patched(world: World) -> None:
    desired = world.captured()
    world.client.put("/policies/adminConsentRequestPolicy", CHANGED["adminConsentRequestPolicy"][2])
    world.sandbox.faults.script(("PUT", "/policies/adminConsentRequestPolicy"), 405, when="before")
    plan = world.plan(desired, Selection.parse(["adminConsentRequestPolicy"]))
    report = world.applier(plan).run(is_verifying=False)
    # This Graph takes PUT only, so the second way is refused too, and said.
    assert [entry.status.value for entry in report.entries if entry.status] == ["failed"]
    assert world.sandbox.counters.by_operation["PATCH /policies/adminConsentRequestPolicy"] or (
        world.sandbox.counters.by_status[405] >= 1
    )


def test_reviewers_and_targets_that_were_dead_already_are_left_out(world: World) -> None:
    users, groups = world.ids("user"), world.ids("group")
    world.purge("users", users["Omar Haas"])
    world.purge("groups", groups["Conditional Access exemptions"])
    desired = world.captured()
    for kind in ("adminConsentRequestPolicy", "authenticationMethodConfiguration"):
        method, path, body = CHANGED[kind]
        {"PATCH": world.client.patch, "PUT": world.client.put}[method](path, body)
    chosen = Selection.parse(["adminConsentRequestPolicy", "authenticationMethodConfiguration"])
    report = world.restore(desired, chosen)
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    assert not world.plan(desired, chosen).steps
    (policy,) = world.live.list_objects("adminConsentRequestPolicy")
    assert len(policy.get("reviewers")) == 1


def test_a_membership_of_another_type_is_put_back_whole(world: World) -> None:
    desired = world.captured()
    ada = world.ids("user")["Ada Berg"]
    allowed = {
        "@odata.type": "#microsoft.graph.enumeratedDeviceRegistrationMembership",
        "users": [ada],
        "groups": [],
    }
    body = {
        "azureADJoin": {"isAdminConfigurable": True, "allowedToJoin": allowed},
        "azureADRegistration": {"isAdminConfigurable": False},
    }
    world.client.put("/policies/deviceRegistrationPolicy", body)
    report = world.restore(desired, Selection.parse(["deviceRegistrationPolicy"]))
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    (policy,) = world.live.list_objects("deviceRegistrationPolicy")
    shown = policy.get("azureADJoin")["allowedToJoin"]["@odata.type"]
    assert shown.endswith("allDeviceRegistrationMembership")
