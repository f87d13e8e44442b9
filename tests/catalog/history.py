"""Writes tenants into a real repository as chains of snapshots: each holds what changed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path

from reentra.catalog import Catalog
from reentra.database import Part, database_url, open_database
from reentra.directory import canonical
from reentra.directory.kinds import KINDS
from reentra.directory.relationships import RELATIONSHIPS
from reentra.repository import KdfCost, Manifest, PruneReport, Repository, open_storage, prune
from reentra.snapshots import (
    KindSummary,
    RelationshipSummary,
    SnapshotInfo,
    SnapshotMerger,
    SnapshotStatus,
    SnapshotWriter,
)
from tests.models import ModelTenant

TENANT = "11111111-1111-4111-8111-111111111111"
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
CHEAP = KdfCost(memory_kib=64, iterations=1, lanes=1)


class History:
    """A repository, a catalog on it, and what each snapshot should hold."""

    def __init__(self, folder: Path, url: str = "", storage: str = "") -> None:
        self.folder = folder
        self.url = url
        folder.mkdir(parents=True, exist_ok=True)
        store = open_storage(storage or str(folder / "repository"))
        self.repository, _ = Repository.create(store, "secret", cost=CHEAP)
        self.catalog = self.new_catalog("catalog")
        self.models: dict[str, ModelTenant] = {}
        self.manifests: list[Manifest] = []

    def new_catalog(self, name: str) -> Catalog:
        """Return an empty catalog on the same repository."""
        url = self.url or database_url("", self.folder / name, Part.CATALOG)
        return Catalog(open_database(url, Part.CATALOG), self.repository)

    def take(
        self,
        model: ModelTenant,
        *,
        parent: Manifest | str | None = "newest",
        rewrites: Iterable[str] = (),
        tenant_id: str = TENANT,
    ) -> str:
        """Write a snapshot of ``model`` and return its id.

        ``rewrites`` are ids whose objects are written twice, wrongly first: the last row wins.
        """
        if parent == "newest":
            parent = self.manifests[-1] if self.manifests else None
        assert not isinstance(parent, str)
        before = self.models[parent.id] if parent else ModelTenant(tenant_id)
        number = len(self.manifests)
        moment = START + dt.timedelta(hours=number)
        writer = SnapshotWriter(self.repository)
        kinds = {}
        for kind in KINDS:
            left, right = before.objects.get(kind, {}), model.objects.get(kind, {})
            for object_id, body in right.items():
                if object_id in left and left[object_id] == body:
                    continue
                if object_id in rewrites:
                    wrong = {**body, "displayName": "wrong", "userPrincipalName": "wrong@x"}
                    writer.put_object(kind, object_id, canonical.digest(kind, wrong), wrong)
                    writer.delete_object(kind, object_id)
                writer.put_object(kind, object_id, canonical.digest(kind, body), body)
            for object_id in left.keys() - right.keys():
                writer.delete_object(kind, object_id)
            kinds[kind] = KindSummary(len(right), 0, 0, 0, model.coverages[kind])
        for link in model.links.values():
            if link.key not in before.links:
                writer.put_link(link)
                if link.source_id in rewrites:
                    writer.remove_link(link)
                    writer.put_link(link)
        for key, link in before.links.items():
            if key not in model.links:
                writer.remove_link(link)
            elif link.source_id in rewrites:
                writer.remove_link(link)
                writer.put_link(link)
        info = SnapshotInfo(
            SnapshotStatus.COMPLETE,
            moment,
            moment,
            kinds,
            {name: RelationshipSummary(0, 0, model.coverages[name]) for name in RELATIONSHIPS},
            delta_links={"user": "opaque"},
        )
        snapshot_id = self.repository.new_snapshot_id(moment)
        with self.repository.lock_tenant(tenant_id, "test") as lock:
            manifest = self.repository.commit(
                lock=lock,
                tenant_id=tenant_id,
                snapshot_id=snapshot_id,
                created_at=moment,
                parent=parent.ref if parent else None,
                segments=writer.seal(),
                payload=info.to_json(),
            )
        self.manifests.append(manifest)
        self.models[snapshot_id] = model.copied(snapshot_id)
        return snapshot_id

    def mark_forgotten(self, *snapshot_ids: str) -> None:
        """Forget snapshots as a person does."""
        with self.repository.lock_tenant(TENANT, "test") as lock:
            self.repository.forget(TENANT, snapshot_ids, lock=lock)

    def prune(self, taken_over_bytes: int = 1 << 30) -> PruneReport:
        """Free the space of what is forgotten."""
        merger = SnapshotMerger(self.repository, taken_over_bytes=taken_over_bytes)
        return prune(self.repository, merger)

    def forget(self, snapshot_id: str) -> None:
        """Remove a snapshot's manifest from the store."""
        for stored in list(self.repository.storage.list_stored("manifests")):
            if stored.path.endswith(snapshot_id):
                self.repository.storage.delete(stored.path)
        self.manifests = [item for item in self.manifests if item.id != snapshot_id]
        del self.models[snapshot_id]
