"""Eligible role assignments are requests to PIM: made again, taken away, and said when refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import pytest

from reentra.directory.state import CoverageStatus
from reentra.restore import outcomes
from reentra.restore.draft import RelationshipsBehavior, RestoreOptions
from reentra.restore.report import RestoreStatus
from reentra.restore.steps import Step
from tests.restore.support import World

KIND = "unifiedRoleEligibilitySchedule"
REQUESTS = "/roleManagement/directory/roleEligibilityScheduleRequests"


def eligibilities(world: World) -> list[dict[str, Any]]:
    return [dict(item.properties) for item in world.live.list_objects(KIND)]


def request(world: World, action: str, held: dict[str, Any], **more: Any) -> None:
    names = ("principalId", "roleDefinitionId", "directoryScopeId")
    world.client.post(REQUESTS, {"action": action, **{one: held[one] for one in names}, **more})


def test_an_eligibility_that_was_ended_is_asked_for_again(world: World) -> None:
    desired = world.captured()
    [held] = eligibilities(world)
    request(world, "adminRemove", held)
    assert eligibilities(world) == []
    report = world.applier(world.plan(desired)).run()
    assert report.status is RestoreStatus.SUCCEEDED
    [back] = eligibilities(world)
    assert back["id"] != held["id"]
    assert {name: back[name] for name in ("principalId", "roleDefinitionId", "scheduleInfo")} == {
        name: held[name] for name in ("principalId", "roleDefinitionId", "scheduleInfo")
    }
    assert not world.plan(desired).steps


def test_an_eligibility_is_proved_where_the_request_does_not_name_its_schedule(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desired = world.captured()
    [held] = eligibilities(world)
    request(world, "adminRemove", held)
    real = outcomes.new_ids

    def nameless(step: Step, body: Mapping[str, Any]) -> dict[str, str]:
        shown = {name: value for name, value in body.items() if name != "targetScheduleId"}
        return real(step, shown)

    monkeypatch.setattr(outcomes, "new_ids", nameless)
    report = world.applier(world.plan(desired)).run()
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    assert report.verification is not None
    assert report.verification.checked == report.verification.holding > 0


def test_an_eligibility_that_was_given_since_is_ended_when_links_are_rolled_back(
    world: World,
) -> None:
    desired = world.captured()
    [held] = eligibilities(world)
    other = {**held, "principalId": str(next(iter(world.live.list_objects("user"))).id)}
    request(world, "adminAssign", other, scheduleInfo={"expiration": {"type": "noExpiration"}})
    merged = world.plan(desired)
    assert not merged.steps
    options = RestoreOptions(relationships_behavior=RelationshipsBehavior.ROLLBACK)
    report = world.applier(world.plan(desired, options=options)).run()
    assert report.status is RestoreStatus.SUCCEEDED
    assert [one["principalId"] for one in eligibilities(world)] == [held["principalId"]]


def test_an_eligibility_whose_time_is_over_is_told_with_graphs_own_reason(world: World) -> None:
    [held] = eligibilities(world)
    request(world, "adminRemove", held)
    soon = (world.clock.now() + dt.timedelta(days=30)).isoformat()
    schedule = {"expiration": {"type": "afterDateTime", "endDateTime": soon}}
    request(world, "adminAssign", held, scheduleInfo=schedule)
    desired = world.captured()
    request(world, "adminRemove", held)
    world.sandbox.clock.advance(400 * 86400)
    report = world.applier(world.plan(desired)).run()
    [entry] = [one for one in report.entries if one.step.ref.kind == KIND]
    assert entry.status.value == "failed"
    assert "The expiration lies in the past." in entry.message


def test_a_tenant_without_the_licence_is_told_and_keeps_everything_else(world: World) -> None:
    world.sandbox.tenant.options.edition = "P1"
    try:
        coverage = world.live.coverage()
    finally:
        world.sandbox.tenant.options.edition = "P2"
    assert coverage[KIND].status is CoverageStatus.REFUSED
    assert "licence" in coverage[KIND].reason
    assert coverage["unifiedRoleAssignment"].is_complete
