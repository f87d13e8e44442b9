"""References are found where the kinds table says, and rewritten there and nowhere else."""

from __future__ import annotations

from reentra.directory.kinds import IdForm
from reentra.directory.references import extensions_in, references_in, rewritten

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


def digits(client_id: str) -> str:
    return client_id.replace("-", "")


def test_names_of_extensions_are_rewritten_in_values_rules_and_claims() -> None:
    old, new = f"extension_{digits(OLD)}_cost", f"extension_{digits(NEW)}_cost"
    user = {"displayName": old, old: "4711", "extension_1_x": OLD}
    assert rewritten("user", user, only_apps) == {
        "displayName": old, new: "4711", "extension_1_x": OLD
    }  # fmt: skip
    rule = f'(user.{old} -eq "4711") or (user.department -eq "{old} x")'
    assert rewritten("group", {"membershipRule": rule}, only_apps) == {
        "membershipRule": rule.replace(old, new)
    }
    claims = {"optionalClaims": {"idToken": [{"name": old, "source": "user"}]}}
    changed = rewritten("application", claims, only_apps)
    assert changed["optionalClaims"]["idToken"] == [{"name": new, "source": "user"}]
    assert list(extensions_in("user", {**user, f"extension_{digits(OTHER)}_no": None})) == [old]


def test_rules_are_rewritten_in_any_letter_case_and_quoting() -> None:
    upper = OLD.upper()

    def in_any_case(form: IdForm, identifier: str) -> str | None:
        return NEW if identifier.lower() == OLD else None

    for rule in (
        f"user.memberof -any (group.objectId -in ['{upper}', '{OTHER}'])",
        f'Direct Reports for "{upper}"',
        f'device.deviceId -in ["{upper}"]',
        f'user.extension_{digits(upper)}_x -eq "a"',
    ):
        (changed,) = rewritten("group", {"membershipRule": rule}, in_any_case).values()
        assert upper not in changed
        assert digits(upper) not in changed
        assert NEW in changed or digits(NEW) in changed
        named = {identifier for _, identifier in references_in("group", {"membershipRule": rule})}
        assert OLD in named
    glued = f'user.employeeId -eq "{OLD}0"'
    assert rewritten("group", {"membershipRule": glued}, in_any_case)["membershipRule"] == glued
