"""A part of a kind that is refused or comes too late is said, and what was known of it is kept."""

from __future__ import annotations

import pytest

from reentra.backup.engine import BackupStatus
from reentra.directory.kinds import KINDS
from reentra.directory.objects import Relationship
from reentra.directory.state import CoverageStatus
from tests.backup.support import World, assert_same_state, links_of

BEHAVIORS = {
    "blockAzureADGraphAccess": False,
    "removeUnverifiedEmailClaim": True,
    "requireClientServicePrincipal": True,
}
SUPPLEMENT = ("GET", r"^/applications\?\$select=id,authenticationBehaviors")
NAMES = ("POST", "^/directoryObjects/getAvailableExtensionProperties")


def behaving_application(world: World) -> str:
    """Return the id of an application that now has authentication behaviours."""
    application = next(iter(world.live.list_objects("application"))).id
    world.admin.patch(f"/applications/{application}", {"authenticationBehaviors": BEHAVIORS})
    return application


@pytest.mark.parametrize("is_touched", [False, True])
@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("status", [400, 403])
def test_values_that_are_refused_once_are_kept(
    world: World, status: int, is_full: bool, is_touched: bool
) -> None:
    application = behaving_application(world)
    world.backup()
    if is_touched:
        world.admin.patch(f"/applications/{application}", {"notes": "touched"})
    # A 400 of the batch is asked about once more alone.
    world.faults.script(SUPPLEMENT, status, times=2 if status == 400 else 1)
    result = world.backup(is_full=is_full)
    summary = result.info.kinds["application"]
    assert summary.changed == int(is_touched)
    kept = world.snapshot(result).load_objects("application", [application])[application]
    assert kept.get("authenticationBehaviors") == BEHAVIORS
    assert result.status is BackupStatus.PARTIAL
    assert summary.coverage.status is CoverageStatus.PARTIAL
    assert "authenticationBehaviors could not be read" in summary.coverage.reason
    if status == 403:
        assert summary.coverage.permissions == KINDS["application"].read_permissions[:1]
        assert "Permission needed: " in summary.coverage.reason
    # Only that kind is marked, and its links were read.
    partial = {n for n, kind in result.info.kinds.items() if not kind.coverage.is_complete}
    assert partial == {"application"}
    assert result.info.relationships["application.owners"].coverage.is_complete
    healed = world.backup()
    assert healed.status is BackupStatus.UNCHANGED
    assert_same_state(world.snapshot(healed), world.live)


def test_a_value_that_changed_while_it_was_refused_is_in_the_next_snapshot(world: World) -> None:
    application = behaving_application(world)
    world.backup()
    world.faults.script(SUPPLEMENT, 403)
    later = {**BEHAVIORS, "requireClientServicePrincipal": False}
    world.admin.patch(f"/applications/{application}", {"authenticationBehaviors": later})
    world.backup()
    snapshot = world.snapshot(world.backup())
    held = snapshot.load_objects("application", [application])[application]
    assert held.get("authenticationBehaviors") == later


def test_a_property_of_the_supplement_that_this_cloud_lacks_is_left_out_and_said(
    world: World,
) -> None:
    world.faults.script(
        SUPPLEMENT,
        400,
        times=2,
        code="Request_BadRequest",
        message="Could not find a property named 'authenticationBehaviors' on type "
        "'microsoft.graph.application'.",
    )
    result = world.backup()
    assert result.status is BackupStatus.COMPLETE
    assert result.info.dropped_properties == {"application": ("authenticationBehaviors",)}


@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("status", [403, 503])
def test_values_of_extensions_are_kept_when_their_names_cannot_be_read(
    world: World, status: int, is_full: bool
) -> None:
    (definition,) = world.live.list_objects("extensionProperty")
    name = str(definition.get("name"))
    user = next(u.id for u in world.live.list_objects("user") if u.get("department"))
    world.admin.patch(f"/users/{user}", {name: "4711"})
    first = world.backup()
    names = world.faults.script(NAMES, status, times=1 if status == 403 else 1000)
    if status == 403:  # nor application by application
        walk = world.faults.script(("GET", r"^/applications\?\$select=id&\$top=999$"), status)
    result = world.backup(is_full=is_full)
    assert names.struck
    assert status != 403 or walk.struck
    world.faults.clear()
    held = world.snapshot(result).load_objects("user", [user])[user]
    assert held.get(name) == "4711"
    assert result.info.kinds["user"].changed == 0
    assert result.info.extensions == first.info.extensions
    coverage = result.info.kinds["extensionProperty"].coverage
    assert coverage.status is CoverageStatus.PARTIAL
    assert "may be missing" in coverage.reason
    assert world.backup().status is BackupStatus.UNCHANGED


def policy_links(world: World) -> set[tuple[str, str, str]]:
    return links_of(world.live, "servicePrincipal.claimsMappingPolicies")


def test_a_policy_whose_list_is_not_found_keeps_its_links(world: World) -> None:
    first = world.backup()
    assert policy_links(world)
    pattern = "^/policies/claimsMappingPolicies/[^/]+/appliesTo"
    # The policy itself is there: so its list is asked for once more.
    passing = world.faults.script(("GET", pattern), 404)
    result = world.backup()
    assert passing.struck == 1
    assert result.status is BackupStatus.UNCHANGED
    lasting = world.faults.script(("GET", pattern), 404, times=2)
    result = world.backup()
    assert lasting.struck == 2
    name = "servicePrincipal.claimsMappingPolicies"
    assert result.info.relationships[name].coverage.status is CoverageStatus.PARTIAL
    assert links_of(world.snapshot(result), name) == links_of(world.snapshot(first), name)


def test_a_policy_that_two_kinds_refer_to_is_doubted_once_for_each(world: World) -> None:
    world.backup()
    fault = world.faults.script(("GET", "^/policies/tokenLifetimePolicies/[^/]+/appliesTo"), 404)
    result = world.backup()
    assert fault.struck == 1
    assert result.status is BackupStatus.UNCHANGED
    assert_same_state(world.snapshot(result), world.live)


def test_a_batch_that_is_cut_off_costs_time_and_nothing_else(world: World) -> None:
    first = world.backup()
    world.faults.script(("GET", "^/policies/claimsMappingPolicies$"), "truncated")
    result = world.backup()
    assert result.status is BackupStatus.UNCHANGED
    assert links_of(world.snapshot(result), "servicePrincipal.claimsMappingPolicies") == links_of(
        world.snapshot(first), "servicePrincipal.claimsMappingPolicies"
    )


def test_an_application_that_a_list_does_not_show_yet_has_its_owners(world: World) -> None:
    owner = next(iter(world.live.list_objects("user"))).id
    created = world.admin.post(
        "/applications",
        {
            "displayName": "Newborn",
            "owners@odata.bind": [world.admin.url(f"/directoryObjects/{owner}")],
        },
    )
    assert created is not None
    behind = world.faults.script(("GET", r"^/applications\?\$select=id&\$expand=owners"), "stale")
    result = world.backup()
    assert behind.struck == 1
    owners = links_of(world.snapshot(result), "application.owners")
    assert (created["id"], owner, "") in owners
    assert_same_state(world.snapshot(result), world.live)


def test_a_group_that_is_told_again_and_not_found_by_a_replica_keeps_its_members(
    world: World,
) -> None:
    first = world.backup()
    links: list[Relationship] = list(world.snapshot(first).list_relationships("group.members"))
    group, target = links[0].source_id, links[0].target_id
    world.admin.remove_reference(f"/groups/{group}/members/{target}/$ref")
    world.admin.post(
        f"/groups/{group}/members/$ref",
        {"@odata.id": world.admin.url(f"/directoryObjects/{target}")},
    )
    world.server.sandbox.options.delta_replay = 50
    fault = world.faults.script(("GET", f"^/groups/{group}/members"), 404)
    result = world.backup()
    assert fault.struck == 1
    assert_same_state(world.snapshot(result), world.live)


def test_a_group_that_went_in_a_round_that_failed_half_way_takes_its_members_along(
    world: World,
) -> None:
    first = world.backup()
    links: list[Relationship] = list(world.snapshot(first).list_relationships("group.members"))
    gone = links[0].source_id
    other = next(link for link in links if link.source_id != gone)
    # A group that is told again has its members looked up, and that fails.
    world.admin.remove_reference(f"/groups/{other.source_id}/members/{other.target_id}/$ref")
    world.admin.post(
        f"/groups/{other.source_id}/members/$ref",
        {"@odata.id": world.admin.url(f"/directoryObjects/{other.target_id}")},
    )
    world.server.sandbox.options.delta_replay = 50
    world.admin.delete(f"/groups/{gone}")
    fault = world.faults.script(("GET", "^/groups/[^/]+/members"), 403)
    result = world.backup()
    assert fault.struck == 1
    assert not result.info.kinds["group"].coverage.is_complete
    healed = world.snapshot(world.backup())
    assert not healed.load_relationships("group.members", [gone])
    assert_same_state(healed, world.live)


def test_names_are_asked_kind_by_kind_where_their_list_cannot_be_read_to_its_end(
    world: World,
) -> None:
    world.server.sandbox.options.empty_pages = True
    groups = [group.id for group in world.live.list_objects("group")][:2]
    assert {kind for kind, _ in world.live.load_names(groups).values()} == {"group"}
    assert set(world.live.load_names(groups)) == set(groups)
