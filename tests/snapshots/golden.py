"""Makes the golden snapshots. Run once per layout of the tables, never again: what it made stays.

python -m tests.snapshots.golden tests/golden/snapshots-v1
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

from reentra.directory import canonical
from reentra.directory.objects import Relationship
from reentra.directory.state import COMPLETE
from reentra.repository import Manifest, Repository, open_storage
from reentra.snapshots import KindSummary, SnapshotInfo, SnapshotStatus, SnapshotWriter
from tests.repository.golden import CHEAP, PASSPHRASE

TENANT = "0d5b1c1e-0000-4000-8000-000000000003"
USERS = [f"3f2504e0-4f89-41d3-9a0c-0305e82c33{number:02x}" for number in range(6)]
GROUP = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"
SIXTEEN = "sixteen-letters."
DOMAIN = "bücher.example"


def bodies(snapshot: int) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the objects of one snapshot: two layouts of identifiers, a change and a deletion."""
    found: dict[tuple[str, str], dict[str, Any]] = {
        ("user", one): {"id": one, "displayName": f"Ünïcode {number}", "mail": None}
        for number, one in enumerate(USERS)
    }
    found["group", GROUP] = {"id": GROUP, "displayName": "Sales", "description": "old"}
    found["domain", DOMAIN] = {"id": DOMAIN, "isDefault": True}
    found["appRoleAssignment", SIXTEEN] = {"id": SIXTEEN, "principalId": USERS[0]}
    if snapshot == 1:
        found["group", GROUP]["description"] = "new"
        del found["user", USERS[5]]
    return found


def links(snapshot: int) -> set[Relationship]:
    """Return the links of one snapshot."""
    found = {Relationship("group.members", GROUP, one, "user") for one in USERS[snapshot:5]}
    role = Relationship("administrativeUnit.scopedRoleMembers", GROUP, DOMAIN, "", "role-1")
    return found | {role}


def make(target: Path, count: int = 2) -> str:
    repository, recovery_key = Repository.create(open_storage(str(target)), PASSPHRASE, cost=CHEAP)
    newest: Manifest | None = None
    heads = []
    known: dict[tuple[str, str], dict[str, Any]] = {}
    linked: set[Relationship] = set()
    for number in range(count):
        at = dt.datetime(2026, 11, 23 + number, 18, 0, 5, 250_000, tzinfo=dt.UTC)
        writer = SnapshotWriter(repository)
        snapshot = number % 2
        wanted = bodies(snapshot)
        for (kind, object_id), body in wanted.items():
            if known.get((kind, object_id)) != body:
                writer.put_object(kind, object_id, canonical.digest(kind, body), body)
        for kind, object_id in known.keys() - wanted.keys():
            writer.delete_object(kind, object_id)
        for link in sorted(linked - links(snapshot)):
            writer.remove_link(link)
        writer.put_links(sorted(links(snapshot) - linked))
        known, linked = wanted, links(snapshot)
        summary = KindSummary(len(known), 0, 0, 0, COMPLETE)
        info = SnapshotInfo(SnapshotStatus.COMPLETE, at, at, {"user": summary}, {})
        with repository.lock_tenant(TENANT, "golden") as lock:
            newest = repository.commit(
                lock=lock,
                tenant_id=TENANT,
                snapshot_id=repository.new_snapshot_id(at),
                created_at=at,
                parent=newest.ref if newest else None,
                segments=writer.seal(),
                payload=info.to_json(),
            )
        heads.append(newest.id)
    (target / "locks").rmdir()
    (target / "tmp").rmdir()
    facts = {
        "passphrase": PASSPHRASE,
        "recovery_key": recovery_key,
        "repository": repository.id,
        "snapshots": heads,
    }
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    place = Path(sys.argv[1])
    if place.exists():
        sys.exit(f"{place} exists: golden snapshots are made once.")
    place.with_suffix(".json").write_text(make(place), encoding="utf-8")
