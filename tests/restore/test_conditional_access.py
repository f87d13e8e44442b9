"""Whether a policy keeps somebody out: never, possibly or certainly."""

from __future__ import annotations

from typing import Any

import pytest

from reentra.restore.conditional_access import (
    MICROSOFT_GRAPH,
    Principal,
    Verdict,
    covers,
    verdict_on,
)
from tests.restore.safety_support import ANN, BOB, EXEMPT, PRINCIPAL, STAFF, blocking, guid

NEVER, POSSIBLY, CERTAINLY = Verdict.NEVER, Verdict.POSSIBLY, Verdict.CERTAINLY
ROLE = guid(0xE1)
PERSON = Principal(
    ANN, "Ann",
    groups=frozenset({STAFF}), sure_groups=frozenset({STAFF}),
    roles=frozenset({ROLE}), sure_roles=frozenset({ROLE}),
)  # fmt: skip
GUEST = Principal(BOB, "Bob", is_guest=True)
PROGRAM = Principal(PRINCIPAL, "Program", is_service_principal=True)


def test_a_block_of_everybody_from_everything_is_certain() -> None:
    assert verdict_on(blocking(), PERSON) is CERTAINLY


@pytest.mark.parametrize("state", ["disabled", "enabledForReportingButNotEnforced", None])
def test_a_policy_that_is_not_enforced_keeps_nobody_out(state: str) -> None:
    assert verdict_on(blocking(state=state), PERSON) is NEVER


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        ({"includeUsers": ["None"]}, NEVER),
        ({"includeUsers": [ANN.upper()]}, CERTAINLY),
        ({"includeUsers": [BOB]}, NEVER),
        ({"includeGroups": [STAFF]}, CERTAINLY),
        ({"includeGroups": [EXEMPT]}, NEVER),
        ({"includeRoles": [ROLE]}, CERTAINLY),
        ({"includeUsers": ["GuestsOrExternalUsers"]}, NEVER),
        ({"includeUsers": ["All"], "excludeUsers": [ANN]}, NEVER),
        ({"includeUsers": ["All"], "excludeGroups": [STAFF]}, NEVER),
        ({"includeUsers": ["All"], "excludeRoles": [ROLE]}, NEVER),
        ({"includeUsers": [ANN], "excludeUsers": ["GuestsOrExternalUsers"]}, CERTAINLY),
        ({}, NEVER),
    ],
)
def test_whom_a_policy_is_for(users: dict[str, Any], expected: Verdict) -> None:
    assert verdict_on(blocking(users=users), PERSON) is expected


def test_an_exclusion_that_may_still_fail_is_not_relied_upon() -> None:
    person = Principal(ANN, "Ann", groups=frozenset({EXEMPT}))
    excluding = blocking(users={"includeUsers": ["All"], "excludeGroups": [EXEMPT]})
    assert verdict_on(excluding, person) is POSSIBLY
    unsure = Principal(ANN, "Ann", unsure_groups=frozenset({EXEMPT}))
    assert verdict_on(excluding, unsure) is POSSIBLY
    assert verdict_on(blocking(users={"includeGroups": [EXEMPT]}), unsure) is POSSIBLY


def test_guests_are_met_by_their_kind_as_far_as_one_can_tell() -> None:
    types = {"guestOrExternalUserTypes": "b2bCollaborationGuest"}
    assert verdict_on(blocking(users={"includeUsers": ["GuestsOrExternalUsers"]}), GUEST) is (
        CERTAINLY
    )
    included = blocking(users={"includeGuestsOrExternalUsers": types})
    assert verdict_on(included, GUEST) is POSSIBLY
    excluded = blocking(users={"includeUsers": ["All"], "excludeGuestsOrExternalUsers": types})
    assert verdict_on(excluded, GUEST) is POSSIBLY
    assert verdict_on(excluded, PERSON) is CERTAINLY


@pytest.mark.parametrize(
    ("applications", "expected"),
    [
        ({"includeApplications": ["MicrosoftAdminPortals"]}, CERTAINLY),
        ({"includeApplications": [MICROSOFT_GRAPH]}, CERTAINLY),
        ({"includeApplications": ["Office365"]}, POSSIBLY),
        ({"includeApplications": [guid(5)]}, NEVER),
        ({"includeApplications": ["None"]}, NEVER),
        ({"includeUserActions": ["urn:user:registersecurityinfo"]}, NEVER),
        ({"includeAuthenticationContextClassReferences": ["c1"]}, POSSIBLY),
        ({"includeApplications": ["All"], "excludeApplications": [guid(5)]}, CERTAINLY),
        (
            {"includeApplications": ["All"], "excludeApplications": ["MicrosoftAdminPortals"]},
            POSSIBLY,
        ),
        (
            {"includeApplications": [], "applicationFilter": {"mode": "include", "rule": "x"}},
            POSSIBLY,
        ),
        (
            {"includeApplications": ["All"], "applicationFilter": {"mode": "exclude", "rule": "x"}},
            POSSIBLY,
        ),
    ],
)
def test_only_what_administers_the_tenant_counts(
    applications: dict[str, Any], expected: Verdict
) -> None:
    assert verdict_on(blocking(applications=applications), PERSON) is expected


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"locations": {"includeLocations": ["All"], "excludeLocations": []}}, CERTAINLY),
        (
            {"locations": {"includeLocations": ["All"], "excludeLocations": ["AllTrusted"]}},
            POSSIBLY,
        ),
        ({"locations": {"includeLocations": [guid(6)]}}, POSSIBLY),
        ({"locations": None, "platforms": None, "devices": None}, CERTAINLY),
        ({"platforms": {"includePlatforms": ["all"]}}, CERTAINLY),
        ({"platforms": {"includePlatforms": ["windows"]}}, POSSIBLY),
        ({"platforms": {"includePlatforms": ["all"], "excludePlatforms": ["iOS"]}}, POSSIBLY),
        ({"clientAppTypes": ["browser", "mobileAppsAndDesktopClients"]}, CERTAINLY),
        ({"clientAppTypes": ["browser"]}, POSSIBLY),
        ({"clientAppTypes": ["exchangeActiveSync", "other"]}, NEVER),
        ({"signInRiskLevels": ["high"]}, POSSIBLY),
        ({"userRiskLevels": ["high"]}, POSSIBLY),
        ({"signInRiskLevels": [], "userRiskLevels": []}, CERTAINLY),
        ({"insiderRiskLevels": "elevated"}, POSSIBLY),
        ({"devices": {"deviceFilter": {"mode": "include", "rule": "x"}}}, POSSIBLY),
        ({"devices": {"deviceFilter": None}}, CERTAINLY),
        ({"authenticationFlows": {"transferMethods": "deviceCodeFlow"}}, POSSIBLY),
    ],
)
def test_a_condition_that_narrows_makes_a_block_possible_only(
    conditions: dict[str, Any], expected: Verdict
) -> None:
    assert verdict_on(blocking(**conditions), PERSON) is expected


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        ({"operator": "OR", "builtInControls": ["mfa"]}, NEVER),
        ({"operator": "AND", "builtInControls": ["mfa", "compliantDevice"]}, POSSIBLY),
        ({"operator": "OR", "builtInControls": ["mfa", "compliantDevice"]}, NEVER),
        ({"operator": "OR", "builtInControls": ["domainJoinedDevice"]}, POSSIBLY),
        ({"operator": "OR", "builtInControls": ["somethingNew"]}, POSSIBLY),
        ({"operator": "OR", "builtInControls": [], "termsOfUse": [guid(8)]}, POSSIBLY),
        ({"operator": "OR", "authenticationStrength": {"id": guid(9)}}, POSSIBLY),
        ({"operator": "OR", "builtInControls": [], "termsOfUse": []}, NEVER),
    ],
)
def test_what_is_demanded_decides(grant: dict[str, Any], expected: Verdict) -> None:
    assert verdict_on(blocking(grant=grant), PERSON) is expected


def test_a_policy_without_grant_controls_keeps_nobody_out() -> None:
    assert verdict_on({**blocking(), "grantControls": None}, PERSON) is NEVER
    assert verdict_on({"state": "enabled"}, PERSON) is NEVER


@pytest.mark.parametrize(
    ("clients", "expected"),
    [
        ({"includeServicePrincipals": ["ServicePrincipalsInMyTenant"]}, CERTAINLY),
        ({"includeServicePrincipals": [PRINCIPAL]}, CERTAINLY),
        ({"includeServicePrincipals": [guid(3)]}, NEVER),
        (
            {
                "includeServicePrincipals": ["ServicePrincipalsInMyTenant"],
                "excludeServicePrincipals": [PRINCIPAL],
            },
            NEVER,
        ),
        (
            {
                "includeServicePrincipals": ["ServicePrincipalsInMyTenant"],
                "servicePrincipalFilter": {"mode": "include", "rule": "x"},
            },
            POSSIBLY,
        ),
        (None, NEVER),
    ],
)
def test_a_policy_for_workload_identities_reaches_the_tenants_own_applications(
    clients: dict[str, Any] | None, expected: Verdict
) -> None:
    body = blocking(users={"includeUsers": ["None"]}, clientApplications=clients)
    assert verdict_on(body, PROGRAM) is expected
    foreign = Principal(PRINCIPAL, "Theirs", is_service_principal=True, is_foreign=True)
    assert verdict_on(body, foreign) is NEVER
    assert verdict_on(body, PERSON) is NEVER


def test_an_application_can_only_be_blocked() -> None:
    body = blocking(
        clientApplications={"includeServicePrincipals": [PRINCIPAL]},
        grant={"operator": "OR", "builtInControls": ["compliantDevice"]},
    )
    assert covers(body, PROGRAM) is CERTAINLY
    assert verdict_on(body, PROGRAM) is NEVER
