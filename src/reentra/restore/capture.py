"""Captures: what a restore is about to touch, kept as it is right before the first write.

A capture is a snapshot with no parent, in a line of its own below ``restore/`` and the tenant
(``docs/format.md`` section 8): no backup builds on it and the catalog does not know it. It holds
the objects that the plan changes or deletes, and the links that it takes away or replaces. What is
not in it did not exist, or is left as it is.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from reentra import clock as clocks
from reentra import errors, progress
from reentra.directory import canonical
from reentra.directory.kinds import KINDS
from reentra.directory.objects import Relationship
from reentra.directory.relationships import RELATIONSHIPS
from reentra.directory.state import Coverage, CoverageStatus, TenantState
from reentra.repository import Lock, Manifest, Repository
from reentra.restore.existing import load_existing, load_links_to
from reentra.restore.identity import IdentityMap
from reentra.restore.plan import RestorePlan
from reentra.restore.steps import Action
from reentra.snapshots import (
    KindSummary,
    RelationshipSummary,
    ReplayedSnapshot,
    SnapshotInfo,
    SnapshotStatus,
    SnapshotWriter,
)

ACTIVITY = "capture"
_CHUNK = 500
_CHANGING = (Action.UPDATE, Action.ASSIGN_LICENSES, Action.DELETE)


@dataclass(slots=True)
class Touched:
    """The live ids of what a plan touches and what exists already.

    ``removed`` are links to be taken away, by relationship and source; ``replaced`` the sources of
    single-valued links to be set; ``deleted`` the objects that take their links along.
    """

    objects: dict[str, set[str]] = field(default_factory=dict)
    deleted: dict[str, set[str]] = field(default_factory=dict)
    removed: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    replaced: dict[str, set[str]] = field(default_factory=dict)


def capture_id(job_id: str, began_at: dt.datetime) -> str:
    """Return the id of a restore's capture: the same for one job, always."""
    moment = began_at.astimezone(dt.UTC)
    suffix = hashlib.blake2b(job_id.encode(), digest_size=2).hexdigest()[:3]
    return f"{moment:%Y%m%dT%H%M%SZ}-{moment.microsecond:05x}{suffix}"


def touched_by(plan: RestorePlan, identity: IdentityMap) -> Touched:
    """Return what a plan touches of what exists."""
    result = Touched()
    absent = {
        step.ref for step in plan.steps if step.makes_object or step.action is Action.UNDELETE
    }
    for step in plan.steps:
        if step.ref in absent:
            continue
        live_id = identity.current(step.live_id or step.ref.id)
        if step.action in _CHANGING:
            result.objects.setdefault(step.ref.kind, set()).add(live_id)
        if step.action is Action.DELETE and not KINDS[step.ref.kind].is_link:
            result.deleted.setdefault(step.ref.kind, set()).add(live_id)
        if step.target is None:
            continue
        if step.action is Action.REMOVE_RELATIONSHIP:
            by_source = result.removed.setdefault(step.relationship, {})
            by_source.setdefault(live_id, set()).add(identity.current(step.target.id))
        elif RELATIONSHIPS[step.relationship].is_single:
            result.replaced.setdefault(step.relationship, set()).add(live_id)
    return result


def take_capture(
    repository: Repository,
    lock: Lock,
    live: TenantState,
    plan: RestorePlan,
    identity: IdentityMap,
    *,
    job_id: str,
    began_at: dt.datetime,
    clock: clocks.Clock = clocks.SYSTEM,
    listener: progress.Listener = progress.ignore,
) -> str:
    """Read what the plan touches, store it, and return the capture's id; durable on return.

    ``lock`` is the tenant's restore lock. A capture that this job took before is left as it is:
    nothing was written since.
    """
    tenant_id = repository.captures_of(plan.tenant_id)
    own_id = capture_id(job_id, began_at)
    if own_id in repository.list_snapshot_ids(tenant_id):
        return own_id
    started_at = clock.now()
    listener(progress.Started(ACTIVITY))
    writer = SnapshotWriter(repository)
    try:
        touched = touched_by(plan, identity)
        objects = _put_objects(writer, live, touched)
        links = _put_links(writer, live, touched)
        segments = writer.seal()
    except BaseException:
        writer.abort()
        raise
    why = Coverage(CoverageStatus.PARTIAL, f"only what restore {job_id} was about to touch")
    info = SnapshotInfo(
        status=SnapshotStatus.PARTIAL,
        started_at=started_at,
        finished_at=clock.now(),
        kinds={kind: KindSummary(number, number, 0, 0, why) for kind, number in objects.items()},
        relationships={name: RelationshipSummary(number, 0, why) for name, number in links.items()},
        label=job_id,
    )
    repository.commit(
        lock=lock,
        tenant_id=tenant_id,
        snapshot_id=own_id,
        created_at=began_at,
        parent=None,
        segments=segments,
        payload={**info.to_json(), "capture": {"job": job_id, "plan": plan.id}},
    )
    listener(progress.Finished(ACTIVITY, sum(objects.values())))
    return own_id


def list_captures(repository: Repository, tenant_id: str) -> list[Manifest]:
    """Fetch the manifests of a tenant's captures, newest last."""
    return repository.list_manifests(repository.captures_of(tenant_id))


def find_capture(repository: Repository, tenant_id: str, text: str) -> str:
    """Return the id of the capture that ``text`` is or begins, or ``""`` when there is none."""
    line = repository.captures_of(tenant_id)
    found = [one for one in repository.list_snapshot_ids(line) if text and one.startswith(text)]
    return found[0] if len(found) == 1 else ""


def load_capture(repository: Repository, tenant_id: str, capture: str) -> ReplayedSnapshot:
    """Fetch a capture as a ``TenantState``.

    Raises: ``errors.NotFound``, ``errors.RepositoryDamaged``.
    """
    try:
        return ReplayedSnapshot(repository, repository.captures_of(tenant_id), capture)
    except errors.NotFound as error:
        raise errors.NotFound(
            f"The repository holds no capture {capture}: the restore wrote nothing, or what it kept"
            " before was forgotten.",
            hint="Without it nobody knows what was there before. A snapshot of that time may: look"
            " in the lists of snapshots and of captures.",
            typed="`reentra snapshots NAME`, `reentra snapshots NAME --captures`",
        ) from error


def _put_objects(writer: SnapshotWriter, live: TenantState, touched: Touched) -> dict[str, int]:
    counted: dict[str, int] = {}
    for kind, ids in sorted(touched.objects.items()):
        counted[kind] = 0
        for chunk in _chunks(sorted(ids)):
            for object_id, item in load_existing(live, kind, chunk).items():
                digest = canonical.digest(kind, item.properties)
                writer.put_object(kind, object_id, digest, item.properties)
                counted[kind] += 1
    return counted


def _put_links(writer: SnapshotWriter, live: TenantState, touched: Touched) -> dict[str, int]:
    counted: dict[str, int] = {}
    seen: set[tuple[str, str, str, str]] = set()

    def put(links: Iterable[Relationship]) -> None:
        for link in links:
            if link.key not in seen:
                seen.add(link.key)
                writer.put_link(link)
                counted[link.kind] = counted.get(link.kind, 0) + 1

    for name, row in RELATIONSHIPS.items():
        for chunk in _chunks(sorted(touched.replaced.get(name, ()))):
            put(live.load_relationships(name, chunk))
        removed = touched.removed.get(name, {})
        for chunk in _chunks(sorted(removed)):
            loaded = live.load_relationships(name, chunk)
            put(link for link in loaded if link.target_id in removed[link.source_id])
        for chunk in _chunks(sorted(touched.deleted.get(row.source_kind, ()))):
            put(live.load_relationships(name, chunk))
        for kind, ids in sorted(touched.deleted.items()):
            for chunk in _chunks(sorted(ids)):
                put(load_links_to(live, row, kind, chunk))
    return counted


def _chunks(items: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
