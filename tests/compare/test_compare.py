"""Two tenants: what changed, seen through new ids, with nothing unknown called deleted."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reentra.compare import Change, Comparison, LinkChange, compare
from reentra.directory import canonical
from reentra.directory.relationships import RELATIONSHIPS
from reentra.directory.selection import Selection
from reentra.directory.state import CoverageStatus
from tests.models import ModelTenant


@dataclass(frozen=True)
class Named:
    objects: dict[str, set[str]] = field(default_factory=dict)
    sources: dict[str, set[str]] = field(default_factory=dict)


def found(comparison: Comparison) -> dict[str, tuple[str, set[str], set[tuple[str, str, str]]]]:
    return {
        f"{change.kind}/{change.id}": (
            change.change.value,
            {item.path for item in change.properties},
            {
                (link.relationship, link.change.value, link.target_id)
                for link in change.relationships
            },
        )
        for change in comparison
    }


def naive(before: ModelTenant, after: ModelTenant) -> dict[str, Any]:
    """The same answer by holding everything: objects by id, links as sets."""
    result: dict[str, Any] = {}
    for kind in before.objects.keys() | after.objects.keys():
        left, right = before.objects.get(kind, {}), after.objects.get(kind, {})
        for object_id in left.keys() | right.keys():
            ref = f"{kind}/{object_id}"
            if object_id not in right:
                result[ref] = ("deleted", set(), set())
            elif object_id not in left:
                result[ref] = ("created", set(), set())
            elif not canonical.are_same(kind, left[object_id], right[object_id]):
                paths = {
                    name
                    for name in left[object_id].keys() | right[object_id].keys()
                    if left[object_id].get(name) != right[object_id].get(name)
                }
                result[ref] = ("modified", paths, set())
    counted = [
        {
            key
            for key, link in model.links.items()
            if link.target_id in model.objects.get(link.target_kind, {})
        }
        for model in (before, after)
    ]
    told = defaultdict(set)
    for word, keys in (("removed", counted[0] - counted[1]), ("added", counted[1] - counted[0])):
        for name, source, target, _ in keys:
            told[f"{RELATIONSHIPS[name].source_kind}/{source}"].add((name, word, target))
    for ref, links in told.items():
        if ref in result and result[ref][0] == "deleted":
            continue
        known = result.setdefault(ref, ("modified", set(), set()))
        known[2].update(links)
    return result


USERS = [f"u{i}" for i in range(4)]
GROUPS = [f"g{i}" for i in range(3)]


@st.composite
def tenants(draw: st.DrawFn) -> ModelTenant:
    model = ModelTenant()
    for kind, ids in (("user", USERS), ("group", GROUPS)):
        for object_id in draw(st.sets(st.sampled_from(ids))):
            name = draw(st.sampled_from(["Ann", "Bob"]))
            extra = {"department": draw(st.sampled_from(["R", "S"]))} if kind == "user" else {}
            model.put(kind, object_id, displayName=name, **extra)
    pairs = st.tuples(st.sampled_from(GROUPS), st.sampled_from(USERS + GROUPS))
    for source, target in draw(st.sets(pairs, max_size=8)):
        if source in model.objects.get("group", {}):  # targets may dangle, sources never do
            model.link("group.members", source, target, "user" if target in USERS else "group")
    for source in model.objects.get("user", {}):
        if draw(st.booleans()):
            model.link("user.manager", source, draw(st.sampled_from(USERS)), "user")
    return model


@settings(max_examples=300)
@given(tenants(), tenants())
def test_the_comparison_equals_the_naive_one(before: ModelTenant, after: ModelTenant) -> None:
    comparison = compare(before, after)
    expected = naive(before, after)
    assert found(comparison) == expected
    totals: dict[str, dict[str, int]] = {}
    for ref, (change, _, _) in expected.items():
        counter = totals.setdefault(ref.partition("/")[0], {})
        counter[change] = counter.get(change, 0) + 1
    assert comparison.counts == totals
    assert comparison.is_empty == (not expected)


@settings(max_examples=200)
@given(tenants(), tenants(), st.sets(st.sampled_from(USERS)), st.sets(st.sampled_from(GROUPS)))
def test_candidates_give_the_same_answer(
    before: ModelTenant, after: ModelTenant, more_users: set[str], more_groups: set[str]
) -> None:
    expected = naive(before, after)
    objects: dict[str, set[str]] = {"user": set(more_users), "group": set(more_groups)}
    sources: dict[str, set[str]] = {"group.members": set(more_groups), "user.manager": set()}
    for ref, (_, _, links) in expected.items():
        kind, _, object_id = ref.partition("/")
        objects[kind].add(object_id)
        for name, _, _ in links:
            sources[name].add(object_id)
    assert found(compare(before, after, candidates=Named(objects, sources))) == expected


@settings(max_examples=200)
@given(tenants(), tenants(), st.sampled_from(USERS), st.sampled_from(GROUPS), st.booleans())
def test_a_selection_is_that_part_of_the_whole(
    before: ModelTenant, after: ModelTenant, user: str, group: str, takes_all_users: bool
) -> None:
    selection = Selection.parse(
        ["user"] if takes_all_users else [], [f"user/{user}", f"group/{group}"]
    )
    part: dict[str, Any] = {}
    for ref, (change, paths, links) in naive(before, after).items():
        kind, _, object_id = ref.partition("/")
        if selection.contains(kind, object_id):
            part[ref] = (change, paths, links)
            continue
        meant = {link for link in links if _target_is_meant(selection, link[2])}
        if meant:
            part[ref] = (change, set(), meant)
    actual = found(compare(before, after, selection))
    # Of an object outside that is gone, its lost links to what is meant are told.
    extra = actual.keys() - part.keys()
    assert {ref: actual[ref] for ref in part} == {
        ref: (
            change,
            paths if selection.contains(*ref.split("/")) else set(),
            links,
        )
        for ref, (change, paths, links) in part.items()
    }
    assert all(actual[ref][0] == "deleted" for ref in extra)


def _target_is_meant(selection: Selection, target: str) -> bool:
    return selection.contains("user" if target in USERS else "group", target)


def test_a_selected_group_lost_a_member_of_a_kind_that_is_not_selected() -> None:
    before, after = ModelTenant(), ModelTenant()
    before.put("group", "g0", displayName="Ann")
    for model, name in ((before, "Bob"), (after, "Ann")):
        model.put("group", "g1", displayName=name)
        model.link("group.members", "g1", "g0", "group")  # after, it leads nowhere
    lost = {("group.members", "removed", "g0")}
    for kinds in ([], ["user"]):
        selection = Selection.parse(kinds, ["group/g1"])
        assert found(compare(before, after, selection)) == {
            "group/g1": ("modified", {"displayName"}, lost)
        }


@given(tenants())
def test_a_tenant_does_not_differ_from_itself(model: ModelTenant) -> None:
    assert compare(model, model.copied()).to_json() == []
    everything = compare(model, model.copied(), include_equal=True)
    assert {change.change for change in everything} <= {Change.EQUAL}
    assert {f"{c.kind}/{c.id}" for c in everything} == {
        f"{kind}/{object_id}" for kind, ids in model.objects.items() for object_id in ids
    }


@pytest.fixture
def tenant() -> ModelTenant:
    model = ModelTenant(label="before")
    model.put("user", "u1", displayName="Ann", userPrincipalName="ann@x", department="R")
    model.put("user", "u2", displayName="Bob", userPrincipalName="bob@x")
    model.put("group", "g1", displayName="Sales")
    model.link("group.members", "g1", "u1", "user")
    model.link("group.members", "g1", "u2", "user")
    return model


def test_the_json_is_what_scripts_rely_on(tenant: ModelTenant) -> None:
    after = tenant.copied("after")
    after.change("user", "u1", department=None)
    after.unlink("group.members", "g1", "u2")
    assert compare(tenant, after).to_json() == [
        {
            "change": "modified",
            "kind": "user",
            "id": "u1",
            "display_name": "Ann",
            "properties": [{"path": "department", "before": "R", "after": None}],
            "relationships": [],
        },
        {
            "change": "modified",
            "kind": "group",
            "id": "g1",
            "display_name": "Sales",
            "properties": [],
            "relationships": [
                {
                    "relationship": "group.members",
                    "change": "removed",
                    "target": "u2",
                    "target_kind": "user",
                    "target_name": "Bob",
                }
            ],
        },
    ]


def test_a_kind_that_was_not_read_is_never_called_deleted(tenant: ModelTenant) -> None:
    after = tenant.copied("after")
    after.objects["user"].clear()
    after.links.clear()
    after.cover("user", CoverageStatus.REFUSED, "No licence.", "User.Read.All")
    after.cover("group.members", CoverageStatus.PARTIAL, "Interrupted.")
    comparison = compare(tenant, after)
    assert comparison.to_json() == []
    assert [(item.name, item.state) for item in comparison.incomplete] == [
        ("user", "after"), ("group.members", "after"),
    ]  # fmt: skip
    assert comparison.incomplete[0].to_json()["permissions"] == ["User.Read.All"]
    other_way = compare(after, tenant)
    assert other_way.to_json() == []  # what was not known before is not new


def test_a_partial_kind_still_tells_what_was_modified(tenant: ModelTenant) -> None:
    after = tenant.copied("after")
    after.cover("user", CoverageStatus.PARTIAL, "Interrupted.")
    after.change("user", "u1", department="S")
    after.remove("user", "u2", keep_links=True)
    assert found(compare(tenant, after)) == {"user/u1": ("modified", {"department"}, set())}


def test_a_membership_of_a_vanished_user_does_not_count(tenant: ModelTenant) -> None:
    after = tenant.copied("after")
    after.remove("user", "u2", keep_links=True)  # Graph has not said it yet
    assert found(compare(tenant, after)) == {
        "user/u2": ("deleted", set(), set()),
        "group/g1": ("modified", set(), {("group.members", "removed", "u2")}),
    }
    cleaned = tenant.copied("cleaned")
    cleaned.remove("user", "u2")  # now it has
    assert compare(after, cleaned).to_json() == []


def test_an_object_that_was_created_anew_is_the_same_object() -> None:
    before, after = ModelTenant(label="before"), ModelTenant(label="after")
    old, new = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
    for model, group in ((before, old), (after, new)):
        model.put("group", group, displayName="Sales")
        model.put("user", "u1", displayName="Ann")
        model.link("group.members", group, "u1", "user")
        model.put(
            "conditionalAccessPolicy",
            "p1",
            displayName="P",
            conditions={"users": {"includeGroups": [group]}},
        )
    assert compare(before, after, identity={old: new}).to_json() == []
    assert compare(after, before, identity={old: new}).to_json() == []
    assert not compare(before, after).is_empty
    after.change("group", new, description="x")
    [change] = compare(before, after, identity={old: new})
    assert (change.id, change.new_id, change.display_name) == (old, new, "Sales")
    assert [item.path for item in change.properties] == ["description"]
    [chosen] = compare(before, after, Selection.parse(ids=[f"group/{old}"]), identity={old: new})
    assert chosen == change


def test_a_chain_of_new_ids_is_followed(tenant: ModelTenant) -> None:
    after = tenant.copied("after")
    after.objects["user"]["u9"] = {**after.objects["user"].pop("u1"), "id": "u9"}
    after.drop_links_of("u1")
    after.link("group.members", "g1", "u9", "user")
    after.change("user", "u9", userPrincipalName="renamed@x")
    comparison = compare(tenant, after, identity={"u1": "u5", "u5": "u9"})
    assert found(comparison) == {"user/u1": ("modified", {"userPrincipalName"}, set())}


def test_a_new_client_id_of_an_application_is_seen_through() -> None:
    before, after = ModelTenant(), ModelTenant()
    old, new = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
    for model, app, sp, app_id in ((before, "a1", "s1", old), (after, "a2", "s2", new)):
        model.put("application", app, appId=app_id, displayName="App")
        model.put("servicePrincipal", sp, appId=app_id, displayName="App")
        access = [{"resourceAppId": app_id, "resourceAccess": []}]
        model.put("application", "client", displayName="C", requiredResourceAccess=access)
    identity = {"a1": "a2", "s1": "s2", old: new}
    assert compare(before, after, identity=identity).to_json() == []


def test_a_user_who_was_added_anew_is_known_by_principal_name(tenant: ModelTenant) -> None:
    after = tenant.copied("after")
    after.purge("user", "u1")
    after.put("user", "u7", displayName="Ann", userPrincipalName="ANN@x", department="R")
    after.link("group.members", "g1", "u7", "user")
    assert compare(tenant, after).to_json() == []
    after.change("user", "u7", department="S")
    [change] = compare(tenant, after)
    assert (change.change, change.id, change.new_id) == (Change.MODIFIED, "u1", "u7")


def test_an_assignment_made_anew_is_the_same_assignment(tenant: ModelTenant) -> None:
    after = tenant.copied("after")
    body = {"principalId": "u1", "resourceId": "s", "appRoleId": "r"}
    tenant.put("appRoleAssignment", "x1", createdDateTime="2026-01-01T00:00:00Z", **body)
    after.put("appRoleAssignment", "x2", createdDateTime="2026-02-02T00:00:00Z", **body)
    assert compare(tenant, after).to_json() == []
    grant = {"clientId": "c", "consentType": "Principal", "principalId": "u1", "resourceId": "s"}
    tenant.put("oAuth2PermissionGrant", "y1", scope="a b", **grant)
    after.put("oAuth2PermissionGrant", "y2", scope="a", **grant)
    [change] = compare(tenant, after)
    assert [item.path for item in change.properties] == ["scope"]
    assert change.new_id == "y2"


def test_the_order_is_phase_then_name_then_id(tenant: ModelTenant) -> None:
    after = ModelTenant()
    after.put("group", "g9", displayName="a")
    after.put("user", "u9", displayName="b")
    after.put("user", "u8", displayName="B")
    assert [f"{c.kind}/{c.id}" for c in compare(ModelTenant(), after)] == [
        "user/u8", "user/u9", "group/g9",
    ]  # fmt: skip


def test_everything_shows_what_stayed_too(tenant: ModelTenant) -> None:
    after = tenant.copied("after")
    after.change("user", "u1", department="S")
    after.remove("group", "g1")
    changes = {c.id: c for c in compare(tenant, after, include_equal=True)}
    assert {i: c.change.value for i, c in changes.items()} == {
        "u1": "modified", "u2": "equal", "g1": "deleted",
    }  # fmt: skip
    assert {(p.path, p.before, p.after) for p in changes["u1"].properties} == {
        ("department", "R", "S"),
        ("displayName", "Ann", "Ann"),
        ("userPrincipalName", "ann@x", "ann@x"),
    }
    assert {link.change for link in changes["g1"].relationships} == {LinkChange.REMOVED}
    assert len(changes["g1"].relationships) == 2


def test_a_relationship_of_a_chosen_user_is_told_at_its_source(tenant: ModelTenant) -> None:
    after = tenant.copied("after")
    after.change("group", "g1", description="not chosen")
    after.unlink("group.members", "g1", "u1")
    after.unlink("group.members", "g1", "u2")
    assert found(compare(tenant, after, Selection.parse(ids=["user/u1"]))) == {
        "group/g1": ("modified", set(), {("group.members", "removed", "u1")})
    }


class Counting(ModelTenant):
    listed = 0

    def list_objects(self, kind: str) -> Any:
        self.listed += 1
        return super().list_objects(kind)

    def list_relationships(self, relationship: str) -> Any:
        self.listed += 1
        return super().list_relationships(relationship)


def test_one_object_and_candidates_never_list_anything() -> None:
    before, after = Counting(label="before"), Counting(label="after")
    for model in (before, after):
        model.put("group", "g1", displayName="Sales")
        model.put("user", "u1", displayName="Ann")
    after.link("group.members", "g1", "u1", "user")
    assert len(list(compare(before, after, Selection.parse(ids=["group/g1"])))) == 1
    named = Named({}, {"group.members": {"g1"}})
    assert len(list(compare(before, after, candidates=named))) == 1
    assert before.listed == after.listed == 0
