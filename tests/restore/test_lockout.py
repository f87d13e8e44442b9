"""Lock-out: what Conditional Access would do to those who must get in, once the plan is done."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from reentra import errors
from reentra.directory.objects import DirectoryObject
from reentra.restore.administrators import GLOBAL_ADMINISTRATOR
from reentra.restore.steps import Action, Step
from tests.models import ModelTenant
from tests.restore.safety_support import (
    ADMINS,
    ANN,
    APP_ID,
    BOB,
    CAT,
    EXEMPT,
    LOCATION,
    NESTED,
    POLICY,
    PRINCIPAL,
    STAFF,
    assign,
    blocking,
    codes,
    guid,
    judged,
    link,
    policy,
    step,
    tenant,
)

CA = "conditionalAccessPolicy"
ALL_BUT_EXEMPT = {"includeUsers": ["All"], "excludeGroups": [EXEMPT]}
LOCATIONS = {"includeLocations": ["All"], "excludeLocations": [LOCATION]}


def create(**more: object) -> Step:
    return step(Action.CREATE, CA, POLICY, phase=160, is_new=True, **blocking(**more))


def enable(**more: object) -> Step:
    return step(Action.UPDATE, CA, POLICY, phase=160, state="enabled", **more)


def two() -> ModelTenant:
    live = tenant()
    assign(live, "bob", BOB)
    return live


def test_a_policy_that_would_block_every_administrator_is_refused() -> None:
    _, (refusal,), _ = judged(two(), create())
    assert refusal.code == refusal.overrule == "administrators_locked_out"
    assert refusal.numbers == {"administrators": 2, "blocked": 2, "policies": 1}
    assert POLICY in refusal.message


def test_one_that_was_so_already_or_only_reports_is_not() -> None:
    live = two()
    policy(live)
    assert judged(live, enable(displayName="Renamed"))[1] == []
    policy(live, state="disabled")
    assert codes(judged(live, enable())[1]) == ["administrators_locked_out"]
    assert judged(live, step(Action.UPDATE, CA, POLICY, displayName="x"))[1:] == ([], [])
    assert judged(two(), create(state="enabledForReportingButNotEnforced"))[1:] == ([], [])


def test_an_update_keeps_what_it_does_not_send() -> None:
    live = two()
    policy(live, state="disabled", users={"includeUsers": ["All"], "excludeUsers": [ANN]})
    change = {"applications": {"includeApplications": ["MicrosoftAdminPortals"]}}
    _, refusals, warnings = judged(live, enable(conditions=change))
    assert refusals == []
    assert any("would block 1 of 2" in text for text in warnings)
    cleared = {"users": {"excludeUsers": []}}
    assert codes(judged(live, enable(conditions=cleared))[1]) == ["administrators_locked_out"]


def test_a_policy_from_the_recycle_bin_counts_as_the_step_leaves_it() -> None:
    live = two()
    policy(live)
    body = {name: value for name, value in live.objects[CA][POLICY].items() if name != "id"}
    live.purge(CA, POLICY)
    undelete = step(Action.UNDELETE, CA, POLICY, phase=160, **body)
    assert codes(judged(live, undelete)[1]) == ["administrators_locked_out"]


def test_a_conditional_block_is_a_warning_with_numbers() -> None:
    _, refusals, warnings = judged(two(), create(locations=LOCATIONS))
    assert refusals == []
    (said,) = [text for text in warnings if "may lock out" in text]
    assert "2 of 2 usable Global Administrators" in said
    assert "it blocks depending on locations" in said
    demand = {"operator": "AND", "builtInControls": ["mfa", "compliantDevice"]}
    _, refusals, warnings = judged(two(), create(grant=demand))
    assert refusals == []
    assert any("demands mfa, compliantDevice" in text for text in warnings)


def test_an_administrator_who_is_excluded_through_nested_groups_saves_the_plan() -> None:
    live = two()
    live.link("group.members", EXEMPT, NESTED, "group")
    live.link("group.members", NESTED, BOB, "user")
    _, refusals, warnings = judged(live, create(users=ALL_BUT_EXEMPT))
    assert refusals == []
    assert any("would block 1 of 2" in text for text in warnings)


@pytest.mark.parametrize(
    "harm",
    [
        link(Action.REMOVE_RELATIONSHIP, NESTED, BOB),
        link(Action.REMOVE_RELATIONSHIP, EXEMPT, NESTED),
        step(Action.DELETE, "group", EXEMPT, phase=200),
        step(Action.DELETE, "group", NESTED, phase=200),
        step(Action.UPDATE, "user", BOB, accountEnabled=False),
        step(Action.DELETE, "user", BOB, phase=200),
        step(Action.DELETE, "unifiedRoleAssignment", "bob", phase=200),
    ],
    ids=lambda harm: harm.id,
)
def test_taking_away_the_last_exclusion_locks_everybody_out(harm: Step) -> None:
    live = two()
    policy(live, users=ALL_BUT_EXEMPT)
    live.link("group.members", EXEMPT, NESTED, "group")
    live.link("group.members", NESTED, BOB, "user")
    assert codes(judged(live, harm)[1]) == ["administrators_locked_out"]
    live.link("group.members", EXEMPT, ANN, "user")
    refusals = judged(live, harm)[1]
    assert codes(refusals) == (["administrators_locked_out"] if harm.ref.id == EXEMPT
                               and harm.action is Action.DELETE else [])  # fmt: skip


def test_joining_a_blocked_group_and_getting_a_blocked_role_counts() -> None:
    role = guid(0xE5)
    live = tenant()
    policy(live, users={"includeGroups": [STAFF], "includeRoles": [role]})
    assert codes(judged(live, link(Action.ADD_RELATIONSHIP, STAFF, ANN))[1]) == [
        "administrators_locked_out"
    ]
    given = step(
        Action.CREATE, "unifiedRoleAssignment", "new", phase=115, is_new=True,
        principalId=ANN, roleDefinitionId=role, directoryScopeId="/",
    )  # fmt: skip
    assert codes(judged(live, given)[1]) == ["administrators_locked_out"]
    scoped = step(
        Action.CREATE, "unifiedRoleAssignment", "new", phase=115, is_new=True,
        principalId=ANN, roleDefinitionId=role, directoryScopeId="/administrativeUnits/x",
    )  # fmt: skip
    assert judged(live, scoped)[1] == []


def test_an_exclusion_that_the_plan_itself_brings_is_only_possible() -> None:
    joins = link(Action.ADD_RELATIONSHIP, EXEMPT, ANN)
    _, refusals, warnings = judged(tenant(), joins, create(users=ALL_BUT_EXEMPT))
    assert refusals == []
    assert any("may lock out 1 of 1" in text for text in warnings)
    undelete = step(Action.UNDELETE, "group", EXEMPT, phase=2)
    _, refusals, warnings = judged(tenant(), undelete, create(users=ALL_BUT_EXEMPT))
    assert refusals == []
    assert any("may lock out 1 of 1" in text for text in warnings)


def test_an_administrator_whom_the_plan_appoints_counts_afterwards() -> None:
    appoint = step(
        Action.CREATE, "unifiedRoleAssignment", "new", phase=115, is_new=True,
        principalId=CAT, roleDefinitionId=GLOBAL_ADMINISTRATOR, directoryScopeId="/",
    )  # fmt: skip
    users = {"includeUsers": ["All"], "excludeUsers": [CAT]}
    assert codes(judged(tenant(), create(users=users))[1]) == ["administrators_locked_out"]
    assert judged(tenant(), appoint, create(users=users))[1] == []


def test_a_named_location_that_changes_under_a_policy_is_said() -> None:
    live = two()
    policy(live, locations=LOCATIONS)
    live.put("namedLocation", LOCATION, displayName="Office")
    change = step(Action.UPDATE, "namedLocation", LOCATION, phase=120, isTrusted=False)
    _, refusals, warnings = judged(live, change)
    assert refusals == []
    assert any("may lock out 2 of 2" in text for text in warnings)
    live.put("namedLocation", guid(0x77), displayName="Elsewhere")
    other = step(Action.UPDATE, "namedLocation", guid(0x77), phase=120, displayName="x")
    assert judged(live, other)[1:] == ([], [])


def test_the_application_that_restores_is_not_blocked_unseen() -> None:
    live = tenant()
    live.put(
        "servicePrincipal", PRINCIPAL,
        displayName="Reentra", appId=APP_ID, appOwnerOrganizationId=live.tenant_id,
        servicePrincipalType="Application",
    )  # fmt: skip
    clients = {"includeServicePrincipals": ["ServicePrincipalsInMyTenant"]}
    users = {"includeUsers": ["None"]}
    blocks = create(users=users, clientApplications=clients)
    _, (refusal,), _ = judged(live, blocks, client_id=APP_ID)
    assert refusal.code == refusal.overrule == "restoring_identity_locked_out"
    assert "Reentra" in refusal.message
    elsewhere = create(users=users, clientApplications=clients, locations=LOCATIONS)
    _, refusals, warnings = judged(live, elsewhere, client_id=APP_ID)
    assert refusals == []
    assert any("may lock out the application that restores" in text for text in warnings)
    live.change("servicePrincipal", PRINCIPAL, servicePrincipalType="ManagedIdentity")
    assert judged(live, blocks, client_id=APP_ID)[1:] == ([], [])
    live.change(
        "servicePrincipal", PRINCIPAL, servicePrincipalType="Application",
        appOwnerOrganizationId=guid(0xFF),
    )  # fmt: skip
    assert judged(live, blocks, client_id=APP_ID)[1:] == ([], [])


@pytest.mark.parametrize(
    ("kind", "permission"),
    [
        ("conditionalAccessPolicy", "Policy.Read.All"),
        ("unifiedRoleAssignment", "RoleManagement.Read.Directory"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_permission(kind: str, permission: str) -> None:
    class Closed(ModelTenant):
        def list_objects(self, asked: str) -> object:
            self.ensure_open(asked)
            return super().list_objects(asked)

        def find_objects(
            self, asked: str, name: str, values: Sequence[str]
        ) -> list[DirectoryObject]:
            self.ensure_open(asked)
            return super().find_objects(asked, name, values)

        def ensure_open(self, asked: str) -> None:
            if asked == kind:
                raise errors.Forbidden("no", status=403)

    live = Closed()
    live.objects, live.links = two().objects, two().links
    _, refusals, warnings = judged(live, create())
    assert refusals == []
    (said,) = warnings
    assert "was not simulated" in said
    assert permission in said


def test_the_reads_are_bounded_and_never_list_people() -> None:
    listed: list[str] = []
    found: list[tuple[str, str]] = []

    class Counting(ModelTenant):
        def list_objects(self, kind: str) -> object:
            listed.append(kind)
            return super().list_objects(kind)

        def list_relationships(self, relationship: str) -> object:
            raise AssertionError("no relationship is listed")

        def find_objects(
            self, kind: str, name: str, values: Sequence[str]
        ) -> list[DirectoryObject]:
            found.append((kind, name))
            return super().find_objects(kind, name, values)

    live = Counting()
    source = two()
    for number in range(1000, 1200):
        source.put("user", guid(number), displayName=str(number), accountEnabled=True)
    live.objects, live.links = source.objects, source.links
    judged(live, create(users={"includeUsers": ["All"], "excludeRoles": [guid(1)]}))
    assert listed == ["conditionalAccessPolicy"]
    assert found == [
        ("unifiedRoleAssignment", "roleDefinitionId"),
        ("unifiedRoleAssignment", "principalId"),
    ]
    listed.clear()
    found.clear()
    judged(live, link(Action.ADD_RELATIONSHIP, STAFF, CAT))
    assert (listed, found) == (["conditionalAccessPolicy"], [])
    listed.clear()
    judged(live, step(Action.UPDATE, "user", CAT, department="Sales"))
    assert (listed, found) == ([], [])


def test_an_administrator_in_the_group_of_administrators_is_found() -> None:
    live = ModelTenant(label="live")
    source = tenant()
    live.objects, live.links = source.objects, source.links
    assign(live, "ann", ADMINS)
    live.link("group.members", ADMINS, CAT, "user")
    _, (refusal,), _ = judged(live, create(users={"includeRoles": [GLOBAL_ADMINISTRATOR]}))
    assert refusal.numbers["administrators"] == 1


def test_nothing_is_taken_from_the_application_that_restores() -> None:
    live = tenant()
    registered = guid(0xD1)
    live.put("servicePrincipal", PRINCIPAL, displayName="Reentra", appId=APP_ID)
    live.put("application", registered, displayName="Reentra", appId=APP_ID)
    grant = step(Action.DELETE, "appRoleAssignment", "g", phase=300, principalId=PRINCIPAL)
    for harm in (
        step(Action.UPDATE, "servicePrincipal", PRINCIPAL, phase=70, accountEnabled=False),
        step(Action.DELETE, "servicePrincipal", PRINCIPAL, phase=300),
        step(Action.DELETE, "application", registered, phase=300),
        grant,
    ):
        _, (refusal,), _ = judged(live, harm, client_id=APP_ID)
        assert refusal.code == refusal.overrule == "restoring_identity_locked_out"
        assert refusal.numbers == {"steps": 1}
        assert harm.summary in refusal.message
        assert judged(live, harm, client_id=guid(0xD9))[1] == []
    live.change("servicePrincipal", PRINCIPAL, appId=guid(0xD9))
    assert judged(live, grant, client_id=APP_ID)[1] == []


def test_a_strength_that_changes_under_a_policy_is_said() -> None:
    live = two()
    strength = guid(0xF1)
    policy(live, grant={"operator": "OR", "authenticationStrength": {"id": strength.upper()}})
    change = step(Action.UPDATE, "authenticationStrengthPolicy", strength, phase=120,
                  allowedCombinations=["fido2"])  # fmt: skip
    _, refusals, warnings = judged(live, change)
    assert refusals == []
    assert any("may lock out 2 of 2" in text for text in warnings)
    other = step(Action.UPDATE, "authenticationStrengthPolicy", guid(0xF2), phase=120,
                 allowedCombinations=["fido2"])  # fmt: skip
    assert judged(live, other)[1:] == ([], [])
