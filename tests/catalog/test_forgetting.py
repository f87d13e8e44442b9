"""Whatever is forgotten, the catalog and the replay of what is kept stay what they were."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reentra.repository import check_repository
from reentra.snapshots import ReplayedSnapshot
from tests.catalog.history import TENANT, History
from tests.catalog.test_catalog import DEEP, FAST, Steps, content, everything, histories


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
        if data.draw(st.booleans()):
            history.catalog.sync(TENANT)
        ids = list(history.models)
        chosen = data.draw(st.sets(st.sampled_from(ids[:-1]))) if ids[:-1] else set()
        history.mark_forgotten(*chosen)
        kept = [one for one in ids if one not in chosen]
        ensure_kept_are_as_they_were(history, kept, f"forgotten {chosen}")


@FAST
@given(histories(), st.data())
def test_forgetting_changes_nothing_that_is_kept(steps: Steps, data: st.DataObject) -> None:
    check_forgetting(steps, data)


@pytest.mark.slow
@DEEP
@given(histories(), st.data())
def test_forgetting_changes_nothing_that_is_kept_deep(steps: Steps, data: st.DataObject) -> None:
    check_forgetting(steps, data)
