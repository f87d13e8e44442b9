"""A year of hourly snapshots: what the pages cost that show or name snapshots."""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path

from reentra.directory import canonical
from reentra.directory.kinds import KINDS
from reentra.directory.relationships import RELATIONSHIPS
from reentra.directory.state import Coverage, CoverageStatus
from reentra.graph.connection import Cloud, TenantConnection
from reentra.repository import KdfCost, Manifest, Repository
from reentra.sandbox import seed_people
from reentra.snapshots import (
    KindSummary,
    RelationshipSummary,
    SnapshotInfo,
    SnapshotStatus,
    SnapshotWriter,
)

from .acts import ACTS, PASSPHRASE, Numbers, opened
from .tenant import TENANT_NAME

SNAPSHOTS = 8_760
USERS = 200
_EDITED_EVERY = 12  # hours between the snapshots in which something changed
_TENANT_ID = "3f0c5a5e-6a53-4f51-9d5c-0d7f6f1a2b3c"
_ROOT = f"/tenants/{TENANT_NAME}"
_MIDDLE = f"{_ROOT}/snapshots/{{middle}}"
PAGES = {
    "overview": _ROOT,
    "timeline": f"{_ROOT}/snapshots",
    "timeline_month": f"{_ROOT}/snapshots?month={{month}}",
    "viewer": f"{_ROOT}/snapshots/latest",
    "viewer_middle": _MIDDLE,
    "list": f"{_MIDDLE}/kinds/user",
    "object": f"{_MIDDLE}/kinds/user/objects/{{user}}",
    "object_compare": f"{_MIDDLE}/kinds/user/objects/{{user}}/compare",
    "compare": f"{_ROOT}/compare",
    "compare_far": f"{_ROOT}/compare?before={{middle}}",
    "search": f"{_ROOT}/search?text=an",
    "restore_dialog": f"{_ROOT}/restore?snapshot={{middle}}&id=user/{{user}}",
    "coverage": f"{_ROOT}/coverage",
    "tenants": "/tenants",
}


def live_a_year(home: Path, snapshots: int) -> Numbers:
    """Make a repository with a snapshot for each of the last hours, a user changed at times."""
    cheap = KdfCost(memory_kib=64, iterations=1, lanes=1)
    with opened(home) as application:
        folder = str(application.settings.default_repository_path)
        repository, _ = Repository.create(application.storage(folder), PASSPHRASE, cost=cheap)
        application.record_repository(folder)
        connection = TenantConnection(
            TENANT_NAME, _TENANT_ID, _TENANT_ID, cloud=Cloud.CUSTOM,
            graph_endpoint="http://127.0.0.1:9", authority="http://127.0.0.1:9",
        )  # fmt: skip
        application.connections.add(connection, "a secret that nobody is told")
        _commit_all(repository, application.clock.now(), snapshots)
        application.catalog.sync(_TENANT_ID)
    return {"snapshots": snapshots}


def _commit_all(repository: Repository, now: dt.datetime, snapshots: int) -> None:
    chance = random.Random(3)
    parent: Manifest | None = None
    with repository.lock_tenant(_TENANT_ID, "bench") as lock:
        for hour in range(snapshots):
            moment = now - dt.timedelta(hours=snapshots - hour)
            writer = SnapshotWriter(repository)
            changed = [chance.randrange(USERS)] if hour % _EDITED_EVERY == 1 else []
            for place in range(USERS) if hour == 0 else changed:
                user = seed_people.bulk_guid("user", place)
                body = {"id": user, "displayName": f"Ann {place}", "department": f"Hour {hour}"}
                writer.put_object("user", user, canonical.digest("user", body), body)
            parent = repository.commit(
                lock=lock,
                tenant_id=_TENANT_ID,
                snapshot_id=repository.new_snapshot_id(moment),
                created_at=moment,
                parent=None if parent is None else parent.ref,
                segments=writer.seal(),
                payload=_info(moment, len(changed)).to_json(),
            )


def _info(moment: dt.datetime, changed: int) -> SnapshotInfo:
    whole = Coverage(CoverageStatus.COMPLETE)
    kinds = {kind: KindSummary(0, 0, 0, 0, whole) for kind in KINDS}
    kinds["user"] = KindSummary(USERS, 0, changed, 0, whole)
    relationships = {name: RelationshipSummary(0, 0, whole) for name in RELATIONSHIPS}
    return SnapshotInfo(SnapshotStatus.COMPLETE, moment, moment, kinds, relationships)


ACTS.update({live_a_year.__name__: live_a_year})
