"""A pruned repository of format version 1, made once, must open, check and read forever."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from reentra.repository import Repository, check_repository, open_storage, prune
from reentra.snapshots import ReplayedSnapshot, SnapshotMerger

from . import golden, golden_pruned
from .test_golden import rows_read_as_documented

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "pruned-v1"
FACTS = json.loads(GOLDEN.with_suffix(".json").read_text(encoding="utf-8"))
KEPT = [FACTS["snapshots"][number] for number in golden_pruned.KEPT]


def ensure_states(repository: Repository) -> None:
    assert repository.list_snapshot_ids(golden.TENANT) == KEPT
    for number, snapshot_id in zip(golden_pruned.KEPT, KEPT, strict=True):
        state = ReplayedSnapshot(repository, golden.TENANT, snapshot_id)
        found = {
            (item.kind, item.id): dict(item.properties)
            for kind in state.kinds()
            for item in state.list_objects(kind)
        }
        assert found == golden.bodies(number % 2)
        links = golden.links(number % 2)
        for name in {link.kind for link in links}:
            assert set(state.list_relationships(name)) == {one for one in links if one.kind == name}


def test_what_is_kept_replays_to_the_state_that_was_written() -> None:
    ensure_states(Repository.open(open_storage(str(GOLDEN)), FACTS["passphrase"]))


@pytest.fixture
def copy(tmp_path: Path) -> Repository:
    shutil.copytree(GOLDEN, tmp_path / "copy")  # locks are not for the golden folder
    return Repository.open(open_storage(str(tmp_path / "copy")), FACTS["passphrase"])


def test_it_is_whole(copy: Repository) -> None:
    report = check_repository(copy, expected_heads={golden.TENANT: KEPT[-1]})
    assert (report.problems, report.snapshots, report.forgotten) == ((), 2, 1)


def test_it_can_be_pruned_further(copy: Repository) -> None:
    assert prune(copy, SnapshotMerger(copy)).merged == 1
    ensure_states(copy)
    assert check_repository(copy).problems == ()


def test_the_reader_in_the_format_document_reads_it() -> None:
    rows = rows_read_as_documented(GOLDEN, FACTS["passphrase"])
    assert {row["snapshot"] for row in rows} == {FACTS["snapshots"][1], *KEPT}
