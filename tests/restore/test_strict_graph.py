"""Plans carried out on a Graph that refuses what the sandbox may not think of."""

from __future__ import annotations

import pytest

from reentra import errors
from reentra.graph.writer import WriteRequest
from reentra.restore.blame import SENSITIVE_PROPERTIES
from reentra.restore.journal import StepStatus
from reentra.restore.report import RestoreStatus
from tests.models import ModelTenant
from tests.restore.strict import NoWaiting, StrictGraph, applied, bad_request
from tests.restore.test_plan import ANN, GROUP, POLICY, desired, guid, plan, user

__all__ = ["desired"]


# --- one property of many -------------------------------------------------------------------------


def test_a_sensitive_property_that_is_forbidden_does_not_keep_back_the_others(
    desired: ModelTenant,
) -> None:
    live = desired.copied("live")
    live.change("user", ANN, department="Later", businessPhones=["+2"], accountEnabled=False)

    def refuse(request: WriteRequest) -> errors.GraphError | None:
        if SENSITIVE_PROPERTIES & (request.body or {}).keys():
            return errors.Forbidden(
                "Insufficient privileges to complete the operation.",
                status=403,
                graph_code="Authorization_RequestDenied",
            )
        return None

    report = applied(plan(desired, live), StrictGraph(live, refuse))
    (entry,) = report.entries
    assert entry.status is StepStatus.FAILED
    assert entry.detail["refused"] == ["accountEnabled", "businessPhones"]
    assert "Insufficient privileges" in entry.message
    assert live.objects["user"][ANN]["department"] == "Sales"


def test_a_value_that_is_taken_does_not_keep_back_the_others(desired: ModelTenant) -> None:
    desired.change("user", ANN, mail="ann@example.com", city="Bern", jobTitle="Clerk")
    live = desired.copied("live")
    live.change("user", ANN, mail="later@example.com", city=None, jobTitle=None)

    def refuse(request: WriteRequest) -> errors.GraphError | None:
        if "mail" in (request.body or {}):
            return errors.Conflict(
                "Another object with the same value for property proxyAddresses already exists.",
                status=400,
                graph_code="Request_BadRequest",
                target="proxyAddresses",
            )
        if "city" in (request.body or {}):
            return bad_request("Invalid value specified for property 'city' of resource 'User'.")
        return None

    report = applied(plan(desired, live), StrictGraph(live, refuse))
    assert live.objects["user"][ANN]["jobTitle"] == "Clerk"
    assert sorted(report.entries[0].detail["refused"]) == ["city", "mail"]
    assert report.entries[0].status is StepStatus.FAILED


def test_an_update_of_which_nothing_is_taken_has_not_been_done(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.change("user", ANN, department="Later")

    def refuse(_request: WriteRequest) -> errors.GraphError | None:
        return bad_request("Property 'department' is read-only and cannot be set.")

    report = applied(plan(desired, live), StrictGraph(live, refuse))
    assert report.entries[0].status is StepStatus.FAILED
    assert report.status is RestoreStatus.FAILED


def test_what_graph_calls_read_only_is_told_at_the_end(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.change("user", ANN, department="Later", accountEnabled=False)

    def refuse(request: WriteRequest) -> errors.GraphError | None:
        if "department" in (request.body or {}):
            return bad_request("Property 'department' is read-only and cannot be set.")
        return None

    report = applied(plan(desired, live), StrictGraph(live, refuse))
    assert report.entries[0].status is StepStatus.DONE
    told = report.to_json()["unrestorable"]
    assert [(item["id"], item["what"]) for item in told] == [(ANN, "department")]
    assert "department" in report.to_text()


# --- what is too new to be known ------------------------------------------------------------------


def test_a_policy_waits_for_a_user_whom_conditional_access_does_not_know_yet(
    desired: ModelTenant,
) -> None:
    desired.put(
        "conditionalAccessPolicy",
        POLICY,
        displayName="Block",
        state="enabled",
        conditions={"users": {"includeUsers": ["All"], "excludeUsers": [ANN]}},
        grantControls={"operator": "OR", "builtInControls": ["block"]},
    )
    live = desired.copied("live")
    live.purge("user", ANN)
    live.purge("conditionalAccessPolicy", POLICY)
    times = iter(range(9))

    def refuse(request: WriteRequest) -> errors.GraphError | None:
        if "conditionalAccess" in request.path and next(times) < 3:
            return bad_request("1039: Invalid user value in the policy.", "BadRequest")
        return None

    clock = NoWaiting()
    report = applied(plan(desired, live), StrictGraph(live, refuse), clock)
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    assert clock.slept_seconds < 30


def test_a_policy_of_wrong_form_fails_at_once(desired: ModelTenant) -> None:
    desired.put(
        "conditionalAccessPolicy",
        POLICY,
        displayName="Block",
        state="enabled",
        conditions={"users": {"includeUsers": ["All"], "excludeUsers": [ANN]}},
    )
    live = desired.copied("live")
    live.purge("user", ANN)
    live.purge("conditionalAccessPolicy", POLICY)

    def refuse(request: WriteRequest) -> errors.GraphError | None:
        if "conditionalAccess" in request.path:
            return bad_request("1007: Incoming ConditionalAccessPolicy object is null.")
        return None

    graph = StrictGraph(live, refuse)
    report = applied(plan(desired, live), graph)
    assert report.status is RestoreStatus.PARTIAL
    assert len(graph.refused) == 1


def test_an_inherited_licence_is_not_taken_back_when_graph_does_not_say_whose_it_is(
    desired: ModelTenant,
) -> None:
    live = desired.copied("live")
    live.remove("user", ANN)
    live.deleted["user"][ANN]["assignedLicenses"] = [{"skuId": guid(0xE3), "disabledPlans": []}]
    graph = StrictGraph(live)
    report = applied(plan(desired, live), graph)
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    assert live.objects["user"][ANN]["assignedLicenses"]
    assert not [r for r in graph.taken if r.path.endswith("assignLicense")]


# --- out of the recycle bin -----------------------------------------------------------------------


def test_a_user_whose_name_is_taken_leaves_the_bin_under_another(desired: ModelTenant) -> None:
    live = desired.copied("live")
    live.remove("user", ANN)
    other = guid(0x99)
    user(live, other, "Other", userPrincipalName="ann2@example.com")

    def refuse(request: WriteRequest) -> errors.GraphError | None:
        body = request.body or {}
        is_way_out = request.path.endswith("/restore") and "newUserPrincipalName" in body
        if is_way_out:
            live.deleted["user"][ANN]["userPrincipalName"] = body["newUserPrincipalName"]
            return None
        if request.path.endswith("/restore") or "userPrincipalName" in body:
            return errors.Conflict(
                "Another object with the same value for property userPrincipalName already exists.",
                status=400,
                graph_code="Request_BadRequest",
                target="userPrincipalName",
            )
        return None

    report = applied(plan(desired, live), StrictGraph(live, refuse))
    assert report.status is RestoreStatus.PARTIAL
    assert live.objects["user"][ANN]["userPrincipalName"] == f"ann-{ANN[:8]}@example.com"
    assert {link.source_id for link in live.load_relationships_to("group.members", [ANN])}
    (bad,) = report.failures
    assert "userPrincipalName" in bad.message


def test_a_user_comes_back_without_the_address_that_somebody_else_has(
    desired: ModelTenant,
) -> None:
    desired.change("user", ANN, mail="ann@example.com")
    live = desired.copied("live")
    live.purge("user", ANN)

    def refuse(request: WriteRequest) -> errors.GraphError | None:
        if "mail" in (request.body or {}):
            return errors.Conflict(
                "Another object with the same value for property proxyAddresses already exists.",
                status=400,
                graph_code="Request_BadRequest",
                target="proxyAddresses",
            )
        return None

    report = applied(plan(desired, live), StrictGraph(live, refuse))
    assert report.status is RestoreStatus.PARTIAL
    assert report.id_map.keys() == {ANN}
    assert live.load_relationships_to("group.members", [report.id_map[ANN]])
    (said,) = report.to_json()["failures"]
    assert said["message"].startswith("mail could not be put back")
    assert not report.verification.differences


@pytest.mark.parametrize(
    "message",
    [
        "Invalid value specified for property 'visibility' of resource 'Group'.",
        "Property 'visibility' is read-only and cannot be set.",
    ],
)
def test_a_group_does_not_come_back_more_open_than_it_was(
    desired: ModelTenant, message: str
) -> None:
    desired.change("group", GROUP, visibility="HiddenMembership", groupTypes=["Unified"])
    live = desired.copied("live")
    live.purge("group", GROUP)

    def refuse(request: WriteRequest) -> errors.GraphError | None:
        if "visibility" in (request.body or {}):
            return bad_request(message)
        return None

    report = applied(plan(desired, live), StrictGraph(live, refuse))
    assert not report.id_map


@pytest.mark.parametrize(
    "message",
    [
        "Invalid value specified for property 'conditions' of resource 'Policy'.",
        "Property 'conditions' is read-only and cannot be set.",
    ],
)
def test_a_policy_is_put_back_whole_or_not_at_all(desired: ModelTenant, message: str) -> None:
    desired.put(
        "conditionalAccessPolicy",
        POLICY,
        displayName="Block",
        state="enabled",
        conditions={"users": {"includeUsers": [ANN]}},
        grantControls={"operator": "OR", "builtInControls": ["block"]},
    )
    live = desired.copied("live")
    everybody = {"users": {"includeUsers": ["All"]}}
    live.change("conditionalAccessPolicy", POLICY, state="disabled", conditions=everybody)

    def refuse(request: WriteRequest) -> errors.GraphError | None:
        return bad_request(message) if "conditions" in (request.body or {}) else None

    report = applied(plan(desired, live), StrictGraph(live, refuse))
    assert report.status is RestoreStatus.FAILED
    assert live.objects["conditionalAccessPolicy"][POLICY]["state"] == "disabled"
