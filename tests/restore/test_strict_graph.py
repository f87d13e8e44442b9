"""Plans carried out on a Graph that refuses what the sandbox may not think of."""

from __future__ import annotations

from reentra import errors
from reentra.graph.writer import WriteRequest
from reentra.restore.blame import SENSITIVE_PROPERTIES
from reentra.restore.journal import StepStatus
from reentra.restore.report import RestoreStatus
from tests.models import ModelTenant
from tests.restore.strict import StrictGraph, applied, bad_request
from tests.restore.test_plan import ANN, desired, plan

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
