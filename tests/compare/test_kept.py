"""What is kept of comparisons: bounded, of one tenant, and never older than the question."""

from __future__ import annotations

from pathlib import Path

from reentra import compare
from reentra.compare import Comparison, KeptComparisons
from tests.catalog.history import TENANT, History
from tests.models import ModelTenant

ANN = "aaaaaaaa-0000-4000-8000-000000000001"
SALES = "bbbbbbbb-0000-4000-8000-000000000001"


def tenant(users: int, *, department: str = "R") -> ModelTenant:
    model = ModelTenant(TENANT)
    model.put("group", SALES, displayName="Sales")
    for number in range(users):
        user = f"{ANN[:-4]}{number:04}"
        model.put("user", user, displayName=f"Ann {number}", department=department)
        model.link("group.members", SALES, user, "user")
    return model


def test_a_comparison_is_kept_under_its_key_and_reads_from_the_states_of_who_asks() -> None:
    before, after = tenant(3), tenant(5)
    kept, found = KeptComparisons(), compare.compare(tenant(3), tenant(5))
    kept.keep("one", {}, found)
    same = kept.find("one", {}, before, after)
    assert same is not None
    assert same is not found
    assert same.to_json() == found.to_json()
    assert kept.find("another tenant's", {}, before, after) is None


def test_a_new_id_that_was_learnt_since_makes_a_comparison_anew() -> None:
    kept = KeptComparisons()
    kept.keep("one", {}, compare.compare(tenant(3), tenant(5)))
    assert kept.find("one", {ANN: SALES}, tenant(3), tenant(5)) is None
    assert kept.find("one", {}, tenant(3), tenant(5)) is None  # nor does the old one come back


def test_the_oldest_goes_when_there_is_no_room_and_what_is_too_large_is_not_kept() -> None:
    kept = KeptComparisons(most=20)
    states = tenant(3), tenant(6)
    for name in ("first", "second", "third"):
        found = compare.compare(*states)
        assert 5 < found.size <= 10
        kept.keep(name, {}, found)
        if name == "second":
            assert kept.find("first", {}, *states) is not None  # which makes it the younger
    held = {name: kept.find(name, {}, *states) for name in ("first", "second", "third")}
    assert [name for name, found in held.items() if found] == ["first", "third"]
    large = compare.compare(tenant(0), tenant(30))
    kept.keep("large", {}, large)
    assert kept.find("large", {}, *states) is None


def test_one_who_reads_through_a_kept_comparison_changes_nothing_for_another() -> None:
    kept = KeptComparisons()
    states = tenant(2), tenant(2, department="S")
    kept.keep("one", {}, compare.compare(*states))
    first, second = (kept.find("one", {}, *states) for _ in range(2))
    assert first is not None
    assert second is not None
    entry = first.ordered()[0]
    assert [one.to_json() for one in first.told([entry, entry])] == 2 * [
        one.to_json() for one in second.told([entry])
    ]
    assert first.counts == second.counts


def test_a_kept_comparison_holds_after_the_catalog_was_made_anew_without_a_snapshot(
    tmp_path: Path,
) -> None:
    history = History(tmp_path)
    first = history.take(tenant(2))
    aside = history.take(tenant(6, department="T"), parent=None)
    last = history.take(tenant(4, department="S"), parent=history.manifests[0])

    def asked(kept: Comparison | None) -> Comparison:
        catalog = history.catalog
        catalog.sync(TENANT)
        states = [catalog.state(TENANT, one) for one in (first, last)]
        if kept is not None:
            return kept.again(*states)
        return compare.compare(*states, candidates=catalog.candidates(TENANT, first, last))

    found = asked(None)
    told = found.to_json()
    assert {item["id"]: item["change"] for item in told}[SALES] == "modified"
    history.forget(aside)
    assert asked(found).to_json() == told == asked(None).to_json()
