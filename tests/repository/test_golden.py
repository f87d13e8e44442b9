"""A repository of format version 1, made once, must open, check and read forever."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reentra import repository as repositories

from . import golden

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "repository-v1"
FACTS = json.loads(GOLDEN.with_suffix(".json").read_text(encoding="utf-8"))


def opened(secret: str) -> repositories.Repository:
    return repositories.Repository.open(repositories.open_storage(str(GOLDEN)), secret)


@pytest.mark.parametrize("secret", ["passphrase", "recovery_key"])
def test_it_opens_with_passphrase_and_recovery_key(secret: str) -> None:
    repository = opened(FACTS[secret])
    assert repository.id == FACTS["repository"]
    assert repository.key_generation == 2


def test_it_is_whole(tmp_path: Path) -> None:
    copy = tmp_path / "copy"  # the check's own lock is not for the golden folder
    shutil.copytree(GOLDEN, copy)
    repository = repositories.Repository.open(
        repositories.open_storage(str(copy)), FACTS["passphrase"]
    )
    report = repositories.check_repository(repository, expected_heads=FACTS["heads"])
    assert report.problems == ()
    assert (report.tenants, report.snapshots, report.segments) == (2, 6, 12)
    assert (report.documents, report.slots) == (1, 2)


def test_every_row_reads_as_it_was_written() -> None:
    repository = opened(FACTS["passphrase"])
    assert repository.list_tenants() == sorted(golden.TENANTS)
    for tenant, tenant_id in enumerate(golden.TENANTS):
        chain = repository.load_chain(tenant_id, FACTS["heads"][tenant_id])
        assert [manifest.payload["snapshot"] for manifest in chain] == [0, 1, 2]
        for snapshot, manifest in enumerate(chain):
            by_table = {segment.table: segment for segment in manifest.segments}
            assert {segment.generation for segment in manifest.segments} == {1 + (snapshot == 2)}
            for table, schema, rows in (
                ("objects", golden.OBJECTS, golden.object_rows(tenant, snapshot)),
                ("relationships", golden.RELATIONSHIPS, golden.relationship_rows(tenant, snapshot)),
            ):
                found = list(repository.scan(by_table[table]))
                assert [row for batch in found for row in batch.to_pylist()] == rows
                assert found[0].schema == schema
                last = len(rows) - 1
                (row,) = repository.read_rows(by_table[table], [last]).to_pylist()
                assert row == rows[last]


def test_its_documents_read() -> None:
    repository = opened(FACTS["passphrase"])
    name = f"{golden.TENANTS[0]}/1"
    assert repository.list_documents("identity-maps") == [name]
    assert repository.load_document("identity-maps", name) == {"old": "new"}


def test_the_reader_in_the_format_document_reads_it_without_this_program() -> None:
    text = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert "reentra." not in script.replace("reentra/", "")
    done = subprocess.run(
        [sys.executable, "-c", script, str(GOLDEN)],
        input=FACTS["passphrase"] + "\n",
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    expected = sum(
        len(golden.object_rows(tenant, snapshot)) + len(golden.relationship_rows(tenant, snapshot))
        for tenant in range(2)
        for snapshot in range(3)
    )
    assert len(rows) == expected
    bodies = {row["body"] for row in rows if row.get("body")}
    for tenant in range(2):
        for row in golden.object_rows(tenant, 0):
            assert isinstance(row["body"], bytes)
            assert row["body"].decode() in bodies
