"""A repository with cheap keys, and rows as the layer above writes them."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pyarrow as pa
import pytest

from reentra import repository as repositories

CHEAP = repositories.KdfCost(memory_kib=64, iterations=1, lanes=1)
PASSPHRASE = "correct horse battery staple"
TENANT = "11111111-2222-3333-4444-555555555555"

OBJECTS = pa.schema(
    [
        ("kind", pa.string()),
        ("id", pa.string()),
        ("digest", pa.binary(16)),
        ("deleted", pa.bool_()),
        ("body", pa.binary()),
    ]
)


def object_rows(first: int, count: int, kind: str = "user", note: str = "") -> pa.RecordBatch:
    """Return deterministic rows of the objects table."""
    numbers = range(first, first + count)
    bodies = [
        orjson.dumps({"displayName": f"{kind} {number} {note}", "id": f"id-{number:08d}"})
        for number in numbers
    ]
    return pa.record_batch(
        [
            pa.array([kind] * count, pa.string()),
            pa.array([f"id-{number:08d}" for number in numbers], pa.string()),
            pa.array([hashlib.md5(body).digest() for body in bodies], pa.binary(16)),
            pa.array([False] * count, pa.bool_()),
            pa.array(bodies, pa.binary()),
        ],
        schema=OBJECTS,
    )


@dataclass
class ManualClock:
    """A clock that stands still until somebody waits."""

    at: dt.datetime = dt.datetime(2026, 11, 23, 14, 27, 46, 120000, dt.UTC)
    elapsed_seconds: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> dt.datetime:
        return self.at + dt.timedelta(seconds=self.elapsed_seconds)

    def monotonic_seconds(self) -> float:
        return self.elapsed_seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.elapsed_seconds += seconds


@dataclass
class Place:
    """A repository in a folder, with what is needed to harm it and to open it again."""

    root: Path
    storage: repositories.Storage
    repository: repositories.Repository
    recovery_key: str

    def reopen(self, secret: str = PASSPHRASE) -> repositories.Repository:
        return repositories.Repository.open(self.storage, secret)

    def write(
        self,
        batches: Sequence[pa.RecordBatch],
        *,
        tenant_id: str = TENANT,
        parent: repositories.Manifest | None = None,
        at: dt.datetime = dt.datetime(2026, 11, 23, 12, 0, 0, tzinfo=dt.UTC),
    ) -> repositories.Manifest:
        return write_snapshot(self.repository, batches, tenant_id=tenant_id, parent=parent, at=at)

    def files(self, folder: str = "") -> list[Path]:
        return sorted(path for path in (self.root / folder).rglob("*") if path.is_file())


def write_snapshot(
    repository: repositories.Repository,
    batches: Sequence[pa.RecordBatch],
    *,
    tenant_id: str = TENANT,
    parent: repositories.Manifest | None = None,
    at: dt.datetime = dt.datetime(2026, 11, 23, 12, 0, 0, tzinfo=dt.UTC),
) -> repositories.Manifest:
    with (
        repository.lock_tenant(tenant_id, "backup") as lock,
        repository.segment_writer("objects", OBJECTS) as writer,
    ):
        for batch in batches:
            writer.append(batch)
        return repository.commit(
            lock=lock,
            tenant_id=tenant_id,
            snapshot_id=repository.new_snapshot_id(at),
            created_at=at,
            parent=parent.ref if parent else None,
            segments=writer.close(),
            payload={"kinds": {"user": sum(batch.num_rows for batch in batches)}},
        )


def make_place(root: Path) -> Place:
    storage = repositories.open_storage(str(root))
    made, recovery_key = repositories.Repository.create(storage, PASSPHRASE, cost=CHEAP)
    return Place(root, storage, made, recovery_key)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path / "repository")


@pytest.fixture
def manual_clock() -> ManualClock:
    return ManualClock()
