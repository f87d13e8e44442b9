"""What the service refuses of the policies of a tenant, and what it lets follow from them."""

from __future__ import annotations

from typing import Any

import pytest

from reentra.sandbox.errors import GraphError
from reentra.sandbox.writes import perform
from tests.sandbox.world import GRAPH, World

STRENGTHS = "/policies/authenticationStrengthPolicies"
CONTEXTS = "/identity/conditionalAccess/authenticationContextClassReferences"
PARTNERS = "/policies/crossTenantAccessPolicy/partners"
METHODS = "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations"
MFA = "00000000-0000-0000-0000-000000000002"
OTHER = "0fabc1a5-77aa-4a6e-9c1f-3c9a5d1b7e42"
GONE = "99999999-9999-4999-8999-999999999999"
DEFINITION = {"displayName": "x", "definition": ["{}"]}
TARGETS = [{"target": GONE, "targetType": "group"}]


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", f"{STRENGTHS}/{MFA}", {"displayName": "mine"}),
        ("DELETE", f"{STRENGTHS}/{MFA}", None),
        ("POST", STRENGTHS, {"displayName": "x", "allowedCombinations": []}),
        ("POST", STRENGTHS, {"displayName": "x", "allowedCombinations": ["magic"]}),
        ("POST", STRENGTHS, {"allowedCombinations": ["fido2"]}),
        ("PATCH", f"{CONTEXTS}/c100", {"displayName": "x"}),
        ("PATCH", f"{CONTEXTS}/c5", {"description": "no name yet"}),
        ("DELETE", f"{CONTEXTS}/c5", None),
        ("POST", "/groupLifecyclePolicies", {"groupLifetimeInDays": 7, "managedGroupTypes": "All"}),
        ("POST", "/groupLifecyclePolicies", {"groupLifetimeInDays": 90}),
        ("POST", "/policies/claimsMappingPolicies", {"displayName": "x", "definition": ["{"]}),
        ("POST", "/policies/claimsMappingPolicies", {"displayName": "x", "definition": []}),
        ("POST", "/policies/claimsMappingPolicies", {"definition": ["{}"]}),
        ("POST", PARTNERS, {"tenantId": "nobody"}),
        (
            "POST",
            PARTNERS,
            {
                "tenantId": OTHER,
                "b2bCollaborationOutbound": {
                    "usersAndGroups": {"accessType": "allowed", "targets": TARGETS}
                },
            },
        ),
        ("PATCH", f"{METHODS}/Sms", {"state": "enabled"}),
        (
            "PATCH",
            f"{METHODS}/Sms",
            {
                "@odata.type": "#microsoft.graph.smsAuthenticationMethodConfiguration",
                "includeTargets": [{"targetType": "group", "id": GONE}],
            },
        ),
        ("PUT", "/policies/adminConsentRequestPolicy", {"isEnabled": True}),
        (
            "PUT",
            "/policies/adminConsentRequestPolicy",
            {
                "isEnabled": True,
                "notifyReviewers": True,
                "remindersEnabled": True,
                "reviewers": [{"query": f"/users/{GONE}"}],
            },
        ),
    ],
)
def test_what_graph_refuses_is_refused(world: World, method: str, path: str, body: Any) -> None:
    with pytest.raises(GraphError) as refused:
        perform(world.tenant, method, path, body)
    assert refused.value.status in (400, 404)


def test_a_strength_that_is_demanded_cannot_be_deleted(world: World) -> None:
    made = perform(
        world.tenant, "POST", STRENGTHS, {"displayName": "Keys", "allowedCombinations": ["fido2"]}
    ).record
    assert made is not None
    policy = {
        "displayName": "x",
        "state": "disabled",
        "conditions": {
            "clientAppTypes": ["all"],
            "applications": {"includeApplications": ["All"]},
            "users": {"includeUsers": ["All"]},
        },
        "grantControls": {"operator": "OR", "authenticationStrength": {"id": made.id}},
    }
    record = perform(world.tenant, "POST", "/identity/conditionalAccess/policies", policy).record
    assert record is not None
    shown = record.props["grantControls"]["authenticationStrength"]
    assert shown["displayName"] == "Keys"
    with pytest.raises(GraphError, match="in use"):
        perform(world.tenant, "DELETE", f"{STRENGTHS}/{made.id}")


def test_a_principal_has_one_policy_of_a_type_and_loses_it_with_the_policy(world: World) -> None:
    path = "/policies/claimsMappingPolicies"
    made = [perform(world.tenant, "POST", path, DEFINITION).record for _ in range(2)]
    first, second = (record.id for record in made if record is not None)
    links = f"/servicePrincipals/{world.ids['sp']}/claimsMappingPolicies/$ref"
    perform(world.tenant, "POST", links, {"@odata.id": f"{GRAPH}{path}/{first}"})
    with pytest.raises(GraphError, match="assigned"):
        perform(world.tenant, "POST", links, {"@odata.id": f"{GRAPH}{path}/{second}"})
    perform(world.tenant, "DELETE", f"{path}/{first}")
    perform(world.tenant, "POST", links, {"@odata.id": f"{GRAPH}{path}/{second}"})


def test_a_tenant_has_one_policy_of_how_long_groups_live(world: World) -> None:
    body = {"groupLifetimeInDays": 90, "managedGroupTypes": "All"}
    perform(world.tenant, "POST", "/groupLifecyclePolicies", body)
    with pytest.raises(GraphError, match="conflicting"):
        perform(world.tenant, "POST", "/groupLifecyclePolicies", body)
