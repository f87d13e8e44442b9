"""Whatever is forgotten, the catalog and the replay of what is kept stay what they were."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reentra.repository import check_repository
from reentra.snapshots import ReplayedSnapshot
from tests.catalog.history import TENANT, History
from tests.catalog.test_catalog import DEEP, FAST, Steps, content, everything, histories, tenants


def taken(folder: str, steps: Steps) -> History:
    history = History(Path(folder), storage="memory://")
    for model, parent, rewrites in steps:
        history.take(
            model,
            parent=None if parent is None else history.manifests[parent],
            rewrites=rewrites,
        )
    return history


def ensure_kept_are_as_they_were(history: History, kept: list[str], told: str) -> None:
    assert history.repository.list_snapshot_ids(TENANT) == kept, told
    for snapshot_id in kept:
        replayed = ReplayedSnapshot(history.repository, TENANT, snapshot_id)
        assert content(replayed) == history.models[snapshot_id].comparable(), told
    history.catalog.sync(TENANT)
    fresh = history.new_catalog("fresh")
    fresh.rebuild()
    assert everything(history.catalog, kept) == everything(fresh, kept), told
    for snapshot_id in kept:
        state = history.catalog.state(TENANT, snapshot_id)
        assert content(state) == history.models[snapshot_id].comparable(), told
    report = check_repository(history.repository)
    assert report.problems == (), told
    assert report.snapshots == len(kept), told


def check_forgetting(steps: Steps, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = taken(folder, steps)
        kept = list(history.models)
        if data.draw(st.booleans()):
            history.catalog.sync(TENANT)
        for _ in range(data.draw(st.integers(1, 2))):
            chosen = data.draw(st.sets(st.sampled_from(kept[:-1]))) if kept[:-1] else set()
            history.mark_forgotten(*chosen)
            kept = [one for one in kept if one not in chosen]
            ensure_kept_are_as_they_were(history, kept, f"forgotten {chosen}")
            is_taking_over = data.draw(st.booleans())
            history.prune(taken_over_bytes=0 if is_taking_over else 1 << 30)
            told = f"pruned without {chosen}, taking over: {is_taking_over}"
            ensure_kept_are_as_they_were(history, kept, told)
            assert len(history.repository.storage.list_stored("manifests")) == len(kept)
            assert history.repository.list_forgotten(TENANT) == frozenset()
        history.take(
            data.draw(tenants()), parent=history.repository.load_manifest(TENANT, kept[-1])
        )
        kept.append(history.manifests[-1].id)
        ensure_kept_are_as_they_were(history, kept, "after one more")


@FAST
@given(histories(), st.data())
def test_forgetting_and_pruning_change_nothing_that_is_kept(
    steps: Steps, data: st.DataObject
) -> None:
    check_forgetting(steps, data)


@pytest.mark.slow
@settings(DEEP, max_examples=25)
@given(histories(), st.data())
def test_forgetting_and_pruning_change_nothing_that_is_kept_deep(
    steps: Steps, data: st.DataObject
) -> None:
    check_forgetting(steps, data)
