"""What a tenant's retention policy would forget, and the forgetting.

Snapshots and captures are lines of their own: each has its lock, and its newest stays.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reentra import clock as clocks
from reentra import errors
from reentra.catalog import Catalog
from reentra.repository import Dated, Repository, RetentionPolicy, retained, retained_captures
from reentra.repository.forgetting import newest_refused
from reentra.repository.retention import Retention
from reentra.restore.capture import find_capture
from reentra.snapshots.info import SnapshotStatus

LOCK_SECONDS = 60.0  # how long to wait for a backup or a restore that is about to end


@dataclass(frozen=True, slots=True)
class RetentionPreview:
    """What a policy makes of a tenant's snapshots and captures."""

    policy: RetentionPolicy
    dated: tuple[Dated, ...]
    snapshots: Retention
    captures: Retention

    @property
    def forgotten(self) -> tuple[str, ...]:
        """Return the snapshots and captures that it would forget."""
        return (*self.snapshots.forgotten, *self.captures.forgotten)

    def to_json(self) -> dict[str, Any]:
        by_id = {one.id: one for one in self.dated}
        captures = {*(one.id for one in self.captures.kept), *self.captures.forgotten}
        reasons = {one.id: one.reasons for one in (*self.snapshots.kept, *self.captures.kept)}
        return {
            "policy": self.policy.to_json(),
            "items": [
                {
                    "id": one.id,
                    "taken_at": clocks.iso(one.taken_at),
                    "complete": one.is_complete,
                    "capture": one.id in captures,
                    "kept": one.id in reasons,
                    "reasons": [str(reason) for reason in reasons.get(one.id, ())],
                }
                for one in sorted(by_id.values(), key=lambda one: one.id, reverse=True)
            ],
            "forgets": len(self.forgotten),
        }


def preview_retention(
    repository: Repository,
    catalog: Catalog,
    tenant_id: str,
    policy: RetentionPolicy,
    now: dt.datetime,
) -> RetentionPreview:
    """Look what a policy would keep, and why. The catalog is up to date with the repository."""
    snapshots = [
        Dated(one.id, one.created_at, one.status is SnapshotStatus.COMPLETE)
        for one in catalog.list_snapshots(tenant_id)
    ]
    captures = [
        Dated(one.id, one.created_at, is_complete=True)
        for one in repository.list_manifests(repository.captures_of(tenant_id))
    ]
    return RetentionPreview(
        policy,
        (*snapshots, *captures),
        retained(policy, snapshots, now),
        retained_captures(policy, captures, now),
    )


def found_ids(
    repository: Repository, catalog: Catalog, tenant_id: str, texts: Sequence[str]
) -> list[str]:
    """Return the ids of the snapshots and captures that a person named.

    Raises: ``errors.NotFound``, ``errors.UsageError``.
    """
    found = []
    for text in texts:
        try:
            found.append(catalog.resolve_snapshot(tenant_id, text).id)
        except errors.NotFound:
            capture = find_capture(repository, tenant_id, text)
            if not capture:
                raise
            found.append(capture)
    return list(dict.fromkeys(found))


def ensure_not_newest(repository: Repository, tenant_id: str, chosen: Sequence[str]) -> None:
    """Let pass what can be forgotten.

    Raises: ``errors.Refused`` for the newest snapshot.
    """
    present = repository.list_snapshot_ids(tenant_id)
    if present and present[-1] in chosen:
        raise newest_refused(present[-1])


def forget(
    repository: Repository,
    tenant_id: str,
    chosen: Sequence[str],
    *,
    wait_seconds: float = LOCK_SECONDS,
) -> None:
    """Hide these snapshots and captures from every reader. Prune gives their space back.

    Raises: ``errors.NotFound``; ``errors.Refused`` for the newest snapshot, and then nothing of its
    line was forgotten; ``errors.RepositoryLocked``.
    """
    line = repository.captures_of(tenant_id)
    captures = set(repository.list_snapshot_ids(line)) | repository.list_forgotten(line)
    own = [one for one in chosen if one not in captures]
    theirs = [one for one in chosen if one in captures]
    if own:
        with repository.lock_tenant(tenant_id, "forget", wait_seconds=wait_seconds) as lock:
            repository.forget(tenant_id, own, lock=lock)
    if theirs:
        with repository.lock_restore(tenant_id, "forget", wait_seconds=wait_seconds) as lock:
            repository.forget(line, theirs, lock=lock)
