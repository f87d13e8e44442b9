"""The catalog answers what the snapshots hold, however it came to know them."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reentra import errors, progress
from reentra.catalog import Catalog, SearchQuery
from reentra.compare import compare
from reentra.directory import canonical
from reentra.directory.relationships import RELATIONSHIPS
from reentra.repository import SegmentInfo
from reentra.snapshots import ReplayedSnapshot
from tests.catalog.history import START, TENANT, History
from tests.models import ModelTenant
from tests.snapshots.first_layout import FirstLayout

USERS = [f"00000000-0000-4000-8000-00000000000{i}" for i in range(4)]
GROUPS = [f"00000000-0000-4000-9000-00000000000{i}" for i in range(3)]


FAST = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
DEEP = settings(FAST, max_examples=150)
Steps = list[tuple[ModelTenant, int | None, set[str]]]


@st.composite
def tenants(draw: st.DrawFn) -> ModelTenant:
    model = ModelTenant(TENANT)
    for kind, ids in (("user", USERS), ("group", GROUPS)):
        for object_id in draw(st.sets(st.sampled_from(ids))):
            name = draw(st.sampled_from(["Ann", "Bob"]))
            model.put(kind, object_id, displayName=name)
    pairs = st.tuples(st.sampled_from(GROUPS), st.sampled_from(USERS))
    for source, target in draw(st.sets(pairs, max_size=8)):
        if source in model.objects.get("group", {}):  # targets may dangle, sources never do
            model.link("group.members", source, target, "user")
    return model


@st.composite
def histories(draw: st.DrawFn) -> Steps:
    """Tenants with the place of their parent (one back, another one, or none) and double rows."""
    steps: Steps = []
    for number in range(draw(st.integers(1, 5))):
        usual = number - 1 if number else None
        parent = draw(
            st.one_of(st.just(usual), st.sampled_from([None, *range(number)]))
            if draw(st.integers(0, 3)) == 0
            else st.just(usual)
        )
        rewrites = draw(st.sets(st.sampled_from(USERS + GROUPS), max_size=2))
        steps.append((draw(tenants()), parent, rewrites))
    return steps


def content(state: Any) -> dict[str, Any]:
    return ModelTenant.captured(state).comparable()


def everything(catalog: Catalog, ids: list[str]) -> dict[str, Any]:
    """All answers of a catalog, in a form that can be compared."""
    answers: dict[str, Any] = {
        "snapshots": [
            (item.id, item.parent, item.info.to_json()) for item in catalog.list_snapshots(TENANT)
        ],
        "heads": catalog.known_heads(),
    }
    for kind, objects in (("user", USERS), ("group", GROUPS)):
        for object_id in objects:
            answers[f"versions {object_id}"] = catalog.list_versions(TENANT, kind, object_id)
            for snapshot_id in ids:
                answers[f"differing {object_id} {snapshot_id}"] = catalog.differing_snapshots(
                    TENANT, kind, object_id, snapshot_id
                )
    for text in ("", "an", "ann", "zzz", USERS[0], USERS[0][:10]):
        for is_deleted in (False, True):
            page = catalog.search(TENANT, SearchQuery(text, deleted_only=is_deleted))
            answers[f"search {text} {is_deleted}"] = set(page.hits)
    for snapshot_id in ids:
        state = catalog.state(TENANT, snapshot_id)
        answers[f"state {snapshot_id}"] = content(state)
        answers[f"counts {snapshot_id}"] = catalog.kind_counts(TENANT, snapshot_id)
        for kind in ("user", "group"):
            page = catalog.list_page(TENANT, snapshot_id, kind)
            answers[f"page {kind} {snapshot_id}"] = (page.total, set(page.rows))
    return answers


def check_that_a_catalog_that_grew_equals_one_made_anew_and_both_equal_the_snapshots(
    steps: Steps, synced_after: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder), storage="memory://")
        for number, (model, parent, rewrites) in enumerate(steps):
            history.take(
                model,
                parent=None if parent is None else history.manifests[parent],
                rewrites=rewrites,
            )
            if number >= synced_after:
                assert len(history.catalog.sync(TENANT)) in (1, number + 1)
        history.catalog.sync(TENANT)
        assert history.catalog.sync(TENANT) == []
        ids = list(history.models)
        fresh = history.new_catalog("fresh")
        report = fresh.rebuild()
        assert (report.tenants, report.snapshots, report.skipped) == (1, len(ids), ())
        grown = everything(history.catalog, ids)
        assert grown == everything(fresh, ids)
        for snapshot_id in ids:
            expected = history.models[snapshot_id]
            state = history.catalog.state(TENANT, snapshot_id)
            assert content(state) == expected.comparable()
            replayed = ReplayedSnapshot(history.repository, TENANT, snapshot_id)
            assert content(replayed) == expected.comparable()
            counts = {kind: len(found) for kind, found in expected.objects.items() if found}
            assert history.catalog.kind_counts(TENANT, snapshot_id) == counts
            for kind, bodies in expected.objects.items():
                digests = {i: canonical.digest(kind, body) for i, body in bodies.items()}
                assert state.load_digests(kind) == digests
                assert state.load_digests(kind, USERS[:2]) == {
                    i: d for i, d in digests.items() if i in USERS[:2]
                }


@FAST
@given(histories(), st.integers(0, 5))
def test_a_catalog_that_grew_equals_one_made_anew_and_both_equal_the_snapshots(
    steps: Steps, synced_after: int
) -> None:
    check_that_a_catalog_that_grew_equals_one_made_anew_and_both_equal_the_snapshots(
        steps, synced_after
    )


@pytest.mark.slow
@DEEP
@given(histories(), st.integers(0, 5))
def test_a_catalog_that_grew_equals_one_made_anew_and_both_equal_the_snapshots_deep(
    steps: Steps, synced_after: int
) -> None:
    check_that_a_catalog_that_grew_equals_one_made_anew_and_both_equal_the_snapshots(
        steps, synced_after
    )


def check_that_comparing_by_candidates_equals_comparing_everything(
    steps: Steps, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder), storage="memory://")
        for model, parent, rewrites in steps:
            history.take(
                model,
                parent=None if parent is None else history.manifests[parent],
                rewrites=rewrites,
            )
        history.catalog.sync(TENANT)
        before, after = (data.draw(st.sampled_from(list(history.models))) for _ in range(2))
        states = [history.catalog.state(TENANT, one) for one in (before, after)]
        candidates = history.catalog.candidates(TENANT, before, after)
        found = compare(*states, candidates=candidates)
        narrow = found.to_json()
        assert narrow == compare(*states).to_json()
        assert found.counts == compare(*states).counts
        history.catalog.rebuild()
        again = found.again(*(history.catalog.state(TENANT, one) for one in (before, after)))
        one_by_one = [change for entry in again.ordered() for change in again.told([entry])]
        assert [change.to_json() for change in one_by_one] == narrow
        assert narrow == compare(history.models[before], history.models[after]).to_json()


@FAST
@given(histories(), st.data())
def test_comparing_by_candidates_equals_comparing_everything(
    steps: Steps, data: st.DataObject
) -> None:
    check_that_comparing_by_candidates_equals_comparing_everything(steps, data)


@pytest.mark.slow
@DEEP
@given(histories(), st.data())
def test_comparing_by_candidates_equals_comparing_everything_deep(
    steps: Steps, data: st.DataObject
) -> None:
    check_that_comparing_by_candidates_equals_comparing_everything(steps, data)


def check_that_a_catalog_follows_a_repository_that_forgets(
    steps: Steps, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder), storage="memory://")
        for model, _, rewrites in steps:
            history.take(model, rewrites=rewrites)
        history.catalog.sync(TENANT)
        keep = data.draw(st.integers(0, len(steps)))
        for snapshot_id in list(history.models)[keep:]:
            history.forget(snapshot_id)
        history.catalog.sync(TENANT)
        fresh = history.new_catalog("fresh")
        fresh.rebuild()
        ids = list(history.models)
        assert everything(history.catalog, ids) == everything(fresh, ids)
        history.take(data.draw(tenants()))
        history.catalog.sync(TENANT)
        newest = history.manifests[-1].id
        assert content(history.catalog.state(TENANT, newest)) == history.models[newest].comparable()


@FAST
@given(histories(), st.data())
def test_a_catalog_follows_a_repository_that_forgets(steps: Steps, data: st.DataObject) -> None:
    check_that_a_catalog_follows_a_repository_that_forgets(steps, data)


@pytest.mark.slow
@DEEP
@given(histories(), st.data())
def test_a_catalog_follows_a_repository_that_forgets_deep(
    steps: Steps, data: st.DataObject
) -> None:
    check_that_a_catalog_follows_a_repository_that_forgets(steps, data)


def test_snapshots_that_hold_identifiers_as_text_read_beside_those_that_hold_bytes(
    tmp_path: Path,
) -> None:
    history = History(tmp_path)
    new, old = history.repository, FirstLayout(history.repository)
    model = ModelTenant(TENANT)
    model.put("domain", "contoso.com", isDefault=True)
    for number, repository in enumerate((old, new, old, new)):
        history.repository = repository  # type: ignore[assignment]
        model.put("user", USERS[number], displayName=f"User {number}")
        model.put("group", GROUPS[0], displayName=f"Sales {number}")
        model.link("group.members", GROUPS[0], USERS[number], "user")
        history.take(model, rewrites=USERS[:number])
    history.repository = new
    text, code = (
        {one.type for segment in manifest.segments for one in _schema(history, segment)}
        for manifest in history.manifests[:2]
    )
    assert pa.string() in text
    assert pa.binary() in code
    history.catalog.sync(TENANT)
    for snapshot_id, expected in history.models.items():
        assert content(history.catalog.state(TENANT, snapshot_id)) == expected.comparable()
        replayed = ReplayedSnapshot(history.repository, TENANT, snapshot_id)
        assert content(replayed) == expected.comparable()


def _schema(history: History, segment: SegmentInfo) -> list[pa.Field]:
    (batch, *_) = history.repository.scan(segment)
    return [one for one in batch.schema if one.name in ("id", "source_id", "target_id")]


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


@pytest.fixture
def tenant() -> ModelTenant:
    model = ModelTenant(TENANT)
    model.put(
        "user",
        USERS[0],
        displayName="Adele Vance",
        userPrincipalName="AdeleV@contoso.com",
        mail="adelev@contoso.com",
    )
    model.put("user", USERS[1], displayName="Bob Élan", userPrincipalName="bob@contoso.com")
    model.put("group", GROUPS[0], displayName="Sales", description="All who sell 100% of it")
    model.put("domain", "contoso.com", isDefault=True)
    model.put("appRoleAssignment", "Abc-_9", principalId=USERS[0], principalDisplayName="Adele")
    model.link("group.members", GROUPS[0], USERS[0], "user")
    model.link("group.members", GROUPS[0], USERS[1], "user")
    model.link("administrativeUnit.scopedRoleMembers", GROUPS[1], USERS[1], "user", "role-1")
    return model


def test_ids_of_every_form_come_back_as_they_were(history: History, tenant: ModelTenant) -> None:
    for object_id in ("authorizationPolicy", "x" * 15, "x" * 16, "X-ÿ", USERS[2].upper(), "é" * 8):
        tenant.put("authorizationPolicy", object_id, displayName="P")
    tenant.put("user", "ABCDEF00-0000-4000-8000-00000000000A", displayName="Upper")
    snapshot_id = history.take(tenant)
    history.catalog.sync(TENANT)
    state = history.catalog.state(TENANT, snapshot_id)
    assert content(state)["objects"] == tenant.comparable()["objects"]
    ids = [*tenant.objects["authorizationPolicy"]]
    assert set(state.load_objects("authorizationPolicy", ids)) == set(ids)


def test_all_links_of_an_object_are_those_of_each_relationship_in_turn(
    history: History, tenant: ModelTenant
) -> None:
    tenant.link("user.manager", USERS[1], USERS[0], "user")
    first = history.take(tenant)
    for key in [key for key, link in tenant.links.items() if link.source_id == GROUPS[0]]:
        del tenant.links[key]
    tenant.link("group.members", GROUPS[1], USERS[1], "user")
    second = history.take(tenant)
    history.catalog.sync(TENANT)
    names = ["user.manager", *(name for name in RELATIONSHIPS if name != "user.manager")]
    found = set()
    for snapshot_id in (first, second):
        state = history.catalog.state(TENANT, snapshot_id)
        for one in (*USERS, *GROUPS, "contoso.com", "nobody"):
            own, leading = state.load_links_of(one, names, names[::-1])
            assert own == [i for name in names for i in state.load_relationships(name, [one])]
            to_it = (state.load_relationships_to(name, [one]) for name in names[::-1])
            assert leading == [link for links in to_it for link in links]
            found |= {(snapshot_id, len(own), len(leading))}
            assert state.load_links_of(one, ["user.manager"], [])[1] == []
    assert len(found) > 4


def test_a_state_answers_as_the_model_does(history: History, tenant: ModelTenant) -> None:
    snapshot_id = history.take(tenant)
    history.catalog.sync(TENANT)
    state = history.catalog.state(TENANT, snapshot_id)
    assert (state.tenant_id, state.label) == (TENANT, snapshot_id)
    assert state.coverage()["user"].is_complete
    for asked in ([USERS[0], USERS[3]], [], [GROUPS[0], USERS[1], "contoso.com"]):
        assert state.load_names(asked) == tenant.load_names(asked)
        assert set(state.load_relationships_to("group.members", asked)) == set(
            tenant.load_relationships_to("group.members", asked)
        )
        assert set(state.load_relationships("group.members", asked)) == set(
            tenant.load_relationships("group.members", asked)
        )
        ends = [(source, target) for source in GROUPS for target in [*asked, *asked]]
        assert sorted(state.load_links("group.members", ends)) == sorted(
            link
            for link in tenant.load_relationships("group.members", GROUPS)
            if link.target_id in asked
        )
    for name, values in (
        ("userPrincipalName", ["ADELEV@contoso.com"]),
        ("displayName", ["bob élan"]),
        ("displayName", ["Bob"]),
        ("mail", ["x", "adelev@contoso.com"]),
        ("usageLocation", ["CH"]),
    ):
        assert state.find_objects("user", name, values) == tenant.find_objects("user", name, values)
    assert state.load_digests("conditionalAccessPolicy") == {}
    assert set(history.catalog.load_link_keys(TENANT, snapshot_id, "group.members")) == {
        (GROUPS[0], USERS[0], ""), (GROUPS[0], USERS[1], ""),
    }  # fmt: skip


def test_a_snapshot_is_named_by_id_beginning_latest_or_time(
    history: History, tenant: ModelTenant
) -> None:
    with pytest.raises(errors.NotFound, match="no snapshot"):
        history.catalog.resolve_snapshot(TENANT, "latest")
    ids = [history.take(tenant) for _ in range(3)]
    history.catalog.sync(TENANT)

    def named(text: str) -> str:
        return history.catalog.resolve_snapshot(TENANT, text).id

    assert named("latest") == ids[2]
    assert [named(one) for one in ids] == ids
    assert named(ids[1][:-2]) == ids[1]
    assert named("2026-01-01T01:30:00Z") == ids[1]
    assert named("2026-01-01 02:30+01:00") == ids[1]
    assert named("2026-01-01") == ids[2]  # the end of that day
    assert named("2026-01-01T00:00") == ids[0]
    with pytest.raises(errors.UsageError, match="3 snapshots begin"):
        named("20260101T0")
    with pytest.raises(errors.NotFound, match="at or before"):
        named("2025-12-31")
    with pytest.raises(errors.NotFound, match="no snapshot 'yesterday'"):
        named("yesterday")


def test_lists_are_sorted_cut_and_searched(history: History) -> None:
    model = ModelTenant(TENANT)
    names = [f"user {number:03d}" for number in range(300)]
    for number, name in enumerate(names):
        guid = f"00000000-0000-4000-8000-{number * 7919 % 1000:012d}"
        model.put("user", guid, displayName=name.upper() if number % 2 else name)
    first = history.take(model)
    changed = "00000000-0000-4000-8000-000000000000"
    model.change("user", changed, department="x")
    second = history.take(model)
    history.catalog.sync(TENANT)
    catalog = history.catalog

    page = catalog.list_page(TENANT, second, "user", offset=100, limit=50)
    assert page.total == 300
    assert [row.name.lower() for row in page.rows] == names[100:150]
    down = catalog.list_page(TENANT, second, "user", descending=True, limit=3)
    assert [row.name.lower() for row in down.rows] == names[:-4:-1]
    for text, is_down in (("", False), ("", True), ("user 1", False)):
        asked = {"text": text, "descending": is_down, "limit": 7}
        seen: list[str] = []
        last = 0
        while (
            page := catalog.list_page(TENANT, second, "user", offset=len(seen), after=last, **asked)
        ).rows:
            skipped = catalog.list_page(TENANT, second, "user", offset=len(seen), **asked)
            assert page == skipped
            seen += [row.id for row in page.rows]
            last = page.last
        assert len(seen) == len(set(seen)) == page.total
    stale = catalog.list_page(TENANT, second, "user", offset=290, after=10**9, limit=20)
    assert [row.name.lower() for row in stale.rows] == names[290:]
    found = catalog.list_page(TENANT, second, "user", text="USER 29", limit=5)
    assert found.total == 10
    assert [row.name.lower() for row in found.rows] == names[290:295]
    newest = catalog.list_page(TENANT, second, "user", sort="modified", descending=True, limit=1)
    assert [row.id for row in newest.rows] == [changed]
    assert newest.rows[0].modified_at == START + dt.timedelta(hours=1)
    assert catalog.list_page(TENANT, first, "user", text="us", limit=0).total == 300
    assert catalog.list_page(TENANT, second, "device").total == 0
    with pytest.raises(errors.UsageError, match="sorted"):
        catalog.list_page(TENANT, second, "user", sort="shoe size")
    with pytest.raises(errors.NotFound):
        catalog.list_page(TENANT, "nope", "user")


def found(history: History, text: str = "", **more: Any) -> list[tuple[str, str, bool]]:
    page = history.catalog.search(TENANT, SearchQuery(text, **more))
    return sorted((hit.id, hit.snapshot_id, hit.is_deleted) for hit in page.hits)


def test_search_finds_what_begins_anew_on_a_branch_and_it_can_be_taken_away(
    history: History, tenant: ModelTenant
) -> None:
    history.take(tenant)
    without = tenant.copied("without")
    without.remove("user", USERS[0])
    second = history.take(without)
    third = history.take(tenant, parent=history.manifests[0])
    history.catalog.sync(TENANT)
    assert (USERS[0], third, False) in found(history, "vanc")
    history.mark_forgotten(second)
    history.catalog.sync(TENANT)
    assert found(history, "vanc") == [(USERS[0], third, False)]


def test_search_finds_names_principal_names_and_ids(history: History, tenant: ModelTenant) -> None:
    snapshot_id = history.take(tenant)
    history.catalog.sync(TENANT)
    adele, bob = (USERS[0], snapshot_id, False), (USERS[1], snapshot_id, False)
    sales = (GROUPS[0], snapshot_id, False)
    assert found(history, "vanc") == [adele]
    assert found(history, "ADELEV@") == [adele]
    assert found(history, "élan") == found(history, "ÉLAN") == [bob]
    assert found(history, "ad") == [adele, ("Abc-_9", snapshot_id, False)]
    assert found(history, "contoso", kinds=("user",)) == [adele, bob]
    assert found(history, "contoso", kinds=("domain",)) == [("contoso.com", snapshot_id, False)]
    assert found(history, USERS[1]) == found(history, USERS[1].upper()) == [bob]
    assert found(history, USERS[1][:24], kinds=("group",)) == []
    assert found(history, USERS[0][:19], kinds=("user",)) == [adele, bob]
    assert found(history, "100%") == [sales]
    assert found(history, "100_") == found(history, "vance adele") == []
    assert found(history, 'sell" OR "adele') == []
    assert found(history, "Vance\nadelev") == []
    assert found(history, "Abc-_9") == [("Abc-_9", snapshot_id, False)]


@pytest.mark.parametrize("text", ["a", "A", "a_", "a%", "_", "%", "aD", "é", "z", "a!", "!"])
def test_one_or_two_letters_find_the_names_that_begin_with_them(
    history: History, text: str
) -> None:
    names = [
        "Ada",
        "ada",
        "a",
        "A_b",
        "A%b",
        "aab",
        "Bad",
        "Éa",
        "éb",
        "_x",
        "%y",
        "A!",
        "!a",
        "AÉ",
    ]
    model = ModelTenant(TENANT)
    for number, name in enumerate(names):
        model.put("group", f"00000000-0000-4000-8000-{number:012d}", displayName=name)
    history.take(model)
    history.catalog.sync(TENANT)
    page = history.catalog.search(TENANT, SearchQuery(text))
    wanted = [name for name in names if name.lower().startswith(text.lower())]
    assert sorted(hit.name for hit in page.hits) == sorted(wanted)


def test_search_shows_each_object_once_by_its_newest_matching_version(
    history: History, tenant: ModelTenant
) -> None:
    first = history.take(tenant)
    tenant.change("group", GROUPS[0], description="other")
    second = history.take(tenant)
    tenant.change("group", GROUPS[0], displayName="xxx")  # renamed by an attacker
    third = history.take(tenant)
    tenant.remove("user", USERS[1])
    history.take(tenant)
    history.catalog.sync(TENANT)
    assert found(history, "Sales") == [(GROUPS[0], second, False)]
    assert found(history, "who sell") == [(GROUPS[0], first, False)]
    assert found(history, "bob@") == [(USERS[1], third, True)]
    assert found(history, deleted_only=True) == [(USERS[1], third, True)]
    assert found(history, "vance", deleted_only=True) == []
    hour = dt.timedelta(hours=1)
    assert found(history, "Sales", modified_to=START) == [(GROUPS[0], first, False)]
    assert found(history, "Sales", modified_from=START + 2 * hour) == []
    assert found(history, "bob@", modified_from=START + hour, modified_to=START + hour) == [
        (USERS[1], second, True)
    ]
    assert found(history, "bob@", modified_from=START + 3 * hour) == []
    assert found(history, "adele", modified_from=START + 9 * hour) == []


def test_search_goes_on_from_its_cursor_and_repeats_nothing(history: History) -> None:
    model = ModelTenant(TENANT)
    ids = [f"00000000-0000-4000-8000-{number:012d}" for number in range(250)]
    for number, guid in enumerate(ids):
        model.put("user", guid, displayName=f"Person {number}")
    history.take(model)
    for guid in ids[::2]:
        model.change("user", guid, department="x")
    history.take(model)
    history.catalog.sync(TENANT)
    for text in ("person", "", "pe", ids[0][:20]):
        seen: list[str] = []
        cursor = ""
        while True:
            page = history.catalog.search(TENANT, SearchQuery(text, limit=30, cursor=cursor))
            seen += [hit.id for hit in page.hits]
            cursor = page.cursor
            if not cursor:
                break
            assert len(page.hits) == 30
        assert sorted(seen) == ids, text
    with pytest.raises(errors.UsageError):
        history.catalog.search(TENANT, SearchQuery(cursor="x"))


def test_versions_and_differing_snapshots_of_one_object(
    history: History, tenant: ModelTenant
) -> None:
    a = history.take(tenant)
    b = history.take(tenant)
    tenant.change("group", GROUPS[0], description="new")
    c = history.take(tenant)
    tenant.unlink("group.members", GROUPS[0], USERS[1])
    d = history.take(tenant)
    body = tenant.objects["group"].pop(GROUPS[0])
    e = history.take(tenant)
    tenant.objects["group"][GROUPS[0]] = body
    f = history.take(tenant)
    history.catalog.sync(TENANT)
    versions = history.catalog.list_versions(TENANT, "group", GROUPS[0])
    assert [(v.began, v.ended, v.is_deleted) for v in versions] == [
        (a, c, False), (c, e, True), (f, None, False),
    ]  # fmt: skip

    def differing(snapshot_id: str) -> list[str]:
        return history.catalog.differing_snapshots(TENANT, "group", GROUPS[0], snapshot_id)

    assert differing(a) == [f, d, c]
    assert differing(b) == [f, d, c]
    assert differing(c) == [f, d, b, a]  # a membership less is a difference, too
    assert differing(d) == [c, b, a]
    assert differing(e) == []
    assert history.catalog.list_versions(TENANT, "group", USERS[3]) == []


def test_candidates_cost_what_changed(history: History, tenant: ModelTenant) -> None:
    a = history.take(tenant)
    b = history.take(tenant)
    tenant.change("user", USERS[0], department="x")
    c = history.take(tenant)
    tenant.remove("user", USERS[1], keep_links=True)
    d = history.take(tenant)
    history.catalog.sync(TENANT)
    none = history.catalog.candidates(TENANT, a, b)
    assert (none.objects, none.sources) == ({}, {})
    changed = history.catalog.candidates(TENANT, a, c).objects["user"]
    back = history.catalog.candidates(TENANT, c, b).objects["user"]
    assert list(changed) == list(back) == [USERS[0]]
    assert changed[USERS[0]][:2] == back[USERS[0]][1::-1]
    both = history.catalog.candidates(TENANT, c, d)
    assert both.objects["user"] == {
        USERS[1]: (history.catalog.load_digests(TENANT, c, "user")[USERS[1]], None, "Bob Élan")
    }
    # The link stays in the snapshot, but nobody is a member who does not exist.
    assert both.sources["group.members"] == (GROUPS[0],)
    assert history.catalog.candidates(TENANT, a, d, ["group"]).objects == {}


def test_links_to_an_object_are_looked_up_and_not_searched_for(
    history: History, tenant: ModelTenant
) -> None:
    """Of two million memberships a person has ten."""
    snapshot_id = history.take(tenant)
    history.catalog.sync(TENANT)
    state = history.catalog.state(TENANT, snapshot_id)
    asked: list[tuple[str, Any]] = []
    engine = history.catalog._database._engine

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    assert len(state.load_relationships_to("group.members", [USERS[0]])) == 1
    sa.event.remove(engine, "before_cursor_execute", note)
    statement, parameters = next(item for item in asked if "link_version" in item[0])
    with history.catalog._database.reading() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    assert any("(relationship_no=? AND target_no=?)" in row[3] for row in plan), plan


def test_questions_of_one_moment_see_the_same_catalog(
    history: History, tenant: ModelTenant
) -> None:
    first = history.take(tenant)
    history.catalog.sync(TENANT)
    other = history.new_catalog("catalog")
    with history.catalog.one_moment(TENANT):
        assert history.catalog.resolve_snapshot(TENANT, "latest").id == first
        second = history.take(tenant)
        other.sync(TENANT)
        assert history.catalog.resolve_snapshot(TENANT, "latest").id == first
        with pytest.raises(errors.NotFound):
            history.catalog.state(TENANT, second)
    assert history.catalog.resolve_snapshot(TENANT, "latest").id == second


def test_an_unreadable_file_that_is_met_in_one_moment_is_made_anew(
    history: History, tenant: ModelTenant
) -> None:
    snapshot_id = history.take(tenant)
    history.catalog.sync(TENANT)
    path = history.catalog._database.path
    assert path is not None
    history.catalog._database.dispose()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\x99" * (size - 4096))
    with (
        pytest.raises(errors.StorageError, match="made anew"),
        history.catalog.one_moment(TENANT),
    ):
        history.catalog.list_page(TENANT, snapshot_id, "user")
    with history.catalog.one_moment(TENANT):
        assert history.catalog.list_page(TENANT, snapshot_id, "user").total == 2


def test_a_damaged_segment_hurts_only_what_it_holds(history: History, tenant: ModelTenant) -> None:
    first = history.take(tenant)
    tenant.change("user", USERS[0], department="x")
    second = history.take(tenant)
    history.catalog.sync(TENANT)
    segment = history.manifests[0].segments[0]
    path = history.folder / "repository" / segment.path
    path.chmod(0o600)
    path.write_bytes(bytes(segment.size_bytes))
    state = history.catalog.state(TENANT, second)
    assert state.load_objects("user", [USERS[0]])[USERS[0]].get("department") == "x"
    assert state.load_names([USERS[1]]) == {USERS[1]: ("user", "Bob Élan")}
    with pytest.raises(errors.RepositoryDamaged):
        state.load_objects("user", [USERS[1]])
    with pytest.raises(errors.RepositoryDamaged):
        history.catalog.state(TENANT, first).load_objects("user", [USERS[0]])


def test_a_damaged_snapshot_is_left_out_with_those_built_on_it(
    history: History, tenant: ModelTenant
) -> None:
    first = history.take(tenant)
    tenant.change("user", USERS[0], department="x")
    second = history.take(tenant)
    tenant.change("user", USERS[0], department="y")
    third = history.take(tenant)
    alone = history.take(tenant, parent=None)
    segment = history.manifests[1].segments[0]
    path = history.folder / "repository" / segment.path
    path.chmod(0o600)
    path.write_bytes(bytes(segment.size_bytes))
    heard: list[progress.Event] = []
    assert history.catalog.sync(TENANT, heard.append) == [first, alone]
    warnings = [event.message for event in heard if isinstance(event, progress.Noted)]
    assert [any(one in text for text in warnings) for one in (second, third)] == [True, True]
    for damaged in (second, third):
        with pytest.raises(errors.RepositoryDamaged):
            history.catalog.state(TENANT, damaged)
        with pytest.raises(errors.RepositoryDamaged):
            history.catalog.resolve_snapshot(TENANT, damaged)
    assert content(history.catalog.state(TENANT, alone)) == tenant.comparable()
    assert history.catalog.sync(TENANT) == []
    assert content(history.catalog.state(TENANT, alone)) == tenant.comparable()


def test_a_lost_or_unreadable_file_costs_time_and_nothing_else(
    history: History, tenant: ModelTenant
) -> None:
    snapshot_id = history.take(tenant)
    history.catalog.sync(TENANT)
    state = history.catalog.state(TENANT, snapshot_id)
    path = history.catalog._database.path
    assert path is not None
    history.catalog._database.dispose()
    size = path.stat().st_size
    with path.open("r+b") as file:  # pages in the middle, not the header
        file.seek(4096)
        file.write(b"\x99" * (size - 4096))
    with pytest.raises(errors.ConfigurationError, match="unreadable"):
        list(state.list_objects("user"))
    assert found(history, "vance") == [(USERS[0], snapshot_id, False)]
    assert content(history.catalog.state(TENANT, snapshot_id)) == tenant.comparable()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    again = history.new_catalog("catalog")
    assert again.sync(TENANT) == [snapshot_id]
    assert content(again.state(TENANT, snapshot_id)) == tenant.comparable()


def test_a_snapshot_that_fails_in_the_middle_leaves_nothing(
    history: History, tenant: ModelTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = history.take(tenant)
    history.catalog.sync(TENANT)
    tenant.change("user", USERS[0], displayName="Other")
    tenant.unlink("group.members", GROUPS[0], USERS[1])
    second = history.take(tenant)
    before = everything(history.catalog, [first])
    monkeypatch.setattr(Catalog, "_record", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        history.catalog.sync(TENANT)
    assert everything(history.catalog, [first]) == before
    monkeypatch.undo()
    assert history.catalog.sync(TENANT) == [second]
    fresh = history.new_catalog("fresh")
    fresh.rebuild()
    assert everything(history.catalog, [first, second]) == everything(fresh, [first, second])


def test_tenants_do_not_see_each_other(history: History, tenant: ModelTenant) -> None:
    other_id = "22222222-2222-4222-8222-222222222222"
    mine = history.take(tenant)
    other = ModelTenant(other_id)
    other.put("user", USERS[0], displayName="Somebody else")
    theirs = history.take(other, parent=None, tenant_id=other_id)
    report = history.catalog.rebuild()
    assert (report.tenants, report.snapshots) == (2, 2)
    assert history.catalog.known_heads() == {TENANT: mine, other_id: theirs}
    assert content(history.catalog.state(TENANT, mine)) == tenant.comparable()
    state = history.catalog.state(other_id, theirs)
    assert state.load_names([USERS[0]]) == {USERS[0]: ("user", "Somebody else")}
    assert history.catalog.search(other_id, SearchQuery("vance")).hits == ()
    assert len(history.catalog.search(other_id, SearchQuery()).hits) == 1
    with pytest.raises(errors.NotFound):
        history.catalog.state(other_id, mine)


def test_an_unchanged_tenant_is_known_without_reading_a_manifest(
    history: History, tenant: ModelTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.take(tenant)
    history.catalog.sync(TENANT)
    monkeypatch.setattr(type(history.repository), "load_manifest", None)
    assert history.catalog.sync(TENANT) == []
