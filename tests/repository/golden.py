"""Makes the golden repository. Run once per format version, never again: what it made stays.

python -m tests.repository.golden tests/golden/repository-v1
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import sys
from pathlib import Path

import orjson
import pyarrow as pa

from reentra import repository as repositories

PASSPHRASE = "golden: öffne dich"
CHEAP = repositories.KdfCost(memory_kib=256, iterations=1, lanes=1)
TENANTS = ("0d5b1c1e-0000-4000-8000-000000000001", "0d5b1c1e-0000-4000-8000-000000000002")
OBJECTS = pa.schema(
    [
        ("kind", pa.string()),
        ("id", pa.string()),
        ("digest", pa.binary(16)),
        ("deleted", pa.bool_()),
        ("body", pa.binary()),
    ]
)
RELATIONSHIPS = pa.schema(
    [
        ("relationship", pa.string()),
        ("source_id", pa.string()),
        ("target_id", pa.string()),
        ("target_kind", pa.string()),
        ("removed", pa.bool_()),
    ]
)


def object_rows(tenant: int, snapshot: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for number in range(12 if snapshot == 0 else 3):
        identifier = f"{tenant}-{number:04d}"
        is_deleted = snapshot == 2 and number == 1
        body = orjson.dumps(
            {"displayName": f"Ünïcode {number}", "id": identifier, "version": snapshot}
        )
        rows.append(
            {
                "kind": "group" if number % 4 == 3 else "user",
                "id": identifier,
                "digest": None if is_deleted else hashlib.md5(body).digest(),
                "deleted": is_deleted,
                "body": None if is_deleted else body,
            }
        )
    return rows


def relationship_rows(tenant: int, snapshot: int) -> list[dict[str, object]]:
    return [
        {
            "relationship": "members",
            "source_id": f"{tenant}-0003",
            "target_id": f"{tenant}-{number:04d}",
            "target_kind": "user",
            "removed": snapshot == 2,
        }
        for number in range(3 - snapshot)
    ]


def make(target: Path) -> str:
    storage = repositories.open_storage(str(target))
    repository, _ = repositories.Repository.create(storage, PASSPHRASE, cost=CHEAP)
    recovery_key = ""
    heads: dict[str, repositories.ManifestRef] = {}
    for snapshot in range(3):
        if snapshot == 2:
            recovery_key = repository.rotate(PASSPHRASE, cost=CHEAP)
        for tenant, tenant_id in enumerate(TENANTS):
            at = dt.datetime(2026, 11, 20 + snapshot, 12, tenant, 5, 250_000, tzinfo=dt.UTC)
            segments: list[repositories.SegmentInfo] = []
            with repository.lock_tenant(tenant_id, "golden") as lock:
                for table, schema, rows in (
                    ("objects", OBJECTS, object_rows(tenant, snapshot)),
                    ("relationships", RELATIONSHIPS, relationship_rows(tenant, snapshot)),
                ):
                    with repository.segment_writer(table, schema) as writer:
                        writer.append(pa.RecordBatch.from_pylist(rows, schema=schema))
                        segments.extend(writer.close())
                heads[tenant_id] = repository.commit(
                    lock=lock,
                    tenant_id=tenant_id,
                    snapshot_id=repository.new_snapshot_id(at),
                    created_at=at,
                    parent=heads.get(tenant_id),
                    segments=segments,
                    payload={"snapshot": snapshot, "kinds": {"user": {"coverage": "complete"}}},
                ).ref
    repository.put_document("identity-maps", f"{TENANTS[0]}/1", {"old": "new"})
    (target / "locks").rmdir()
    (target / "tmp").rmdir()
    facts = {
        "passphrase": PASSPHRASE,
        "recovery_key": recovery_key,
        "repository": repository.id,
        "heads": {tenant_id: head.id for tenant_id, head in heads.items()},
    }
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    place = Path(sys.argv[1])
    if place.exists():
        sys.exit(f"{place} exists: a golden repository is made once.")
    place.with_suffix(".json").write_text(make(place), encoding="utf-8")
