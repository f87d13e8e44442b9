"""References are found where the kinds table says, and rewritten there and nowhere else."""

from __future__ import annotations

from reentra.directory.kinds import IdForm
from reentra.directory.references import references_in, rewritten

OLD = "11111111-1111-4111-8111-111111111111"
NEW = "22222222-2222-4222-8222-222222222222"
OTHER = "33333333-3333-4333-8333-333333333333"


def only_objects(form: IdForm, identifier: str) -> str | None:
    return NEW if form is IdForm.OBJECT_ID and identifier == OLD else None


def only_apps(form: IdForm, identifier: str) -> str | None:
    return NEW if form is IdForm.APP_ID and identifier == OLD else None


def test_conditional_access_names_users_groups_and_applications() -> None:
    policy = {
        "displayName": OLD,
        "conditions": {
            "users": {"includeUsers": ["All", OLD], "excludeGroups": [OTHER]},
            "applications": {"includeApplications": ["Office365", OLD]},
        },
    }
    found = {(r.kinds, r.form, i) for r, i in references_in("conditionalAccessPolicy", policy)}
    assert found == {
        (("user",), IdForm.OBJECT_ID, OLD),
        (("group",), IdForm.OBJECT_ID, OTHER),
        (("application",), IdForm.APP_ID, OLD),
    }
    changed = rewritten("conditionalAccessPolicy", policy, only_objects)
    assert changed["conditions"]["users"]["includeUsers"] == ["All", NEW]
    assert changed["conditions"]["applications"]["includeApplications"] == ["Office365", OLD]
    assert changed["displayName"] == OLD
    assert policy["conditions"]["users"]["includeUsers"] == ["All", OLD]


def test_an_application_address_is_rewritten_by_its_client_id() -> None:
    body = {"identifierUris": [f"api://{OLD}/v1", "https://example.com"]}
    changed = rewritten("application", body, only_apps)
    assert changed["identifierUris"] == [f"api://{NEW}/v1", "https://example.com"]
    assert rewritten("application", body, only_objects) == body


def test_a_scope_is_rewritten_inside_its_path() -> None:
    body = {"principalId": OTHER, "directoryScopeId": f"/administrativeUnits/{OLD}"}
    changed = rewritten("unifiedRoleAssignment", body, only_objects)
    assert changed["directoryScopeId"] == f"/administrativeUnits/{NEW}"


def test_ids_in_a_membership_rule_are_rewritten() -> None:
    rule = f"user.memberOf -any (group.objectId -in ['{OLD}', '{OTHER}'])"
    changed = rewritten("group", {"membershipRule": rule}, only_objects)
    assert changed["membershipRule"] == rule.replace(OLD, NEW)


def test_literals_are_not_references() -> None:
    body = {"conditions": {"locations": {"includeLocations": ["All", "AllTrusted"]}}}
    assert list(references_in("conditionalAccessPolicy", body)) == []
