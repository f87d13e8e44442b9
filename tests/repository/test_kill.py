"""Real processes, really killed: what was acknowledged is there, and nothing half-done is."""

from __future__ import annotations

import random
import subprocess
import sys
import time

from reentra import repository as repositories

from .conftest import PASSPHRASE, TENANT, Place

WRITER = """
import sys
import pyarrow as pa
from reentra import clock, repository
place = repository.Repository.open(repository.open_storage(sys.argv[1]), sys.argv[2])
schema = pa.schema([("kind", pa.string()), ("id", pa.string()), ("digest", pa.binary(16)),
                    ("deleted", pa.bool_()), ("body", pa.binary())])
while True:
    with place.lock_tenant(sys.argv[3], "backup") as lock:
        known = place.list_manifests(sys.argv[3])
        parent = known[-1] if known else None
        with place.segment_writer("objects", schema) as writer:
            for part in range(20):
                row = ["user", f"{len(known)}-{part}", b"x" * 16, False, b"{}"]
                writer.append(pa.record_batch(
                    [pa.array([value], kind) for value, kind in zip(row, schema.types)],
                    schema=schema))
            now = clock.SYSTEM.now()
            made = place.commit(lock=lock, tenant_id=sys.argv[3],
                                snapshot_id=place.new_snapshot_id(now), created_at=now,
                                parent=parent and parent.ref, segments=writer.close(),
                                payload={"number": len(known)})
    sys.stdout.write(made.id + "\\n")
    sys.stdout.flush()
"""


def test_a_writer_killed_at_any_moment_loses_nothing_acknowledged(place: Place) -> None:
    moments = random.Random(20261123)
    acknowledged: list[str] = []
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(place.root), PASSPHRASE, TENANT],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        acknowledged.append(process.stdout.readline().strip())
        time.sleep(moments.uniform(0, 0.08))
        process.kill()
        acknowledged += process.stdout.read().split()
        process.wait()
        process.stdout.close()
    opened = place.reopen()
    stored = opened.list_snapshot_ids(TENANT)
    assert "" not in acknowledged
    assert set(acknowledged) <= set(stored)
    assert len(stored) <= len(acknowledged) + 6  # at most one a kill was done and not yet told
    chain = opened.load_chain(TENANT, stored[-1])
    assert [manifest.id for manifest in chain] == stored
    for manifest in chain:
        (segment,) = manifest.segments
        rows = [row["id"] for batch in opened.scan(segment) for row in batch.to_pylist()]
        assert rows == [f"{manifest.payload['number']}-{part}" for part in range(20)]
    report = repositories.check_repository(opened)
    assert report.is_whole
    assert {one.severity for one in report.problems} <= {repositories.Severity.INFORMATION}
    with opened.lock_tenant(TENANT, "backup"):  # the last killed one's lock is cleared
        assert len(place.files("locks")) == 1
