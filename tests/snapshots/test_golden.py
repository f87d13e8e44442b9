"""Snapshots of each layout of the tables, made once, must read forever."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reentra.repository import Repository, check_repository, open_storage
from reentra.snapshots import ReplayedSnapshot

from . import golden

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "snapshots-v1"
FACTS = json.loads(GOLDEN.with_suffix(".json").read_text(encoding="utf-8"))


def test_they_are_whole(tmp_path: Path) -> None:
    copy = tmp_path / "copy"  # the check's own lock is not for the golden folder
    shutil.copytree(GOLDEN, copy)
    repository = Repository.open(open_storage(str(copy)), FACTS["passphrase"])
    report = check_repository(repository, expected_heads={golden.TENANT: FACTS["snapshots"][-1]})
    assert report.problems == ()
    assert (report.snapshots, report.segments) == (2, 4)


@pytest.mark.parametrize("number", [0, 1])
def test_each_replays_to_the_state_that_was_written(number: int) -> None:
    repository = Repository.open(open_storage(str(GOLDEN)), FACTS["passphrase"])
    state = ReplayedSnapshot(repository, golden.TENANT, FACTS["snapshots"][number])
    expected = golden.bodies(number)
    found = {
        (item.kind, item.id): dict(item.properties)
        for kind in state.kinds()
        for item in state.list_objects(kind)
    }
    assert found == expected
    links = golden.links(number)
    for name in {link.kind for link in links}:
        assert set(state.list_relationships(name)) == {one for one in links if one.kind == name}


def rows_read_as_documented(folder: Path, passphrase: str) -> list[dict[str, Any]]:
    """Return what the script in ``docs/format.md`` reads from a repository."""
    text = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        input=passphrase + "\n",
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_reader_in_the_format_document_tells_identifiers_as_graph_writes_them() -> None:
    rows = rows_read_as_documented(GOLDEN, FACTS["passphrase"])
    first = [row for row in rows if row["snapshot"] == FACTS["snapshots"][0]]
    objects = {
        (row["kind"], row["id"]): json.loads(row["body"])
        for row in first
        if row["table"] == "objects"
    }
    assert objects == golden.bodies(0)
    ends = {
        (row["relationship"], row["source_id"], row["target_id"], row["qualifier"])
        for row in first
        if row["table"] == "relationships"
    }
    assert ends == {
        (one.kind, one.source_id, one.target_id, one.qualifier) for one in golden.links(0)
    }
