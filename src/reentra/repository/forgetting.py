"""Forgotten snapshots: the marks that hide them, and what the next kept snapshot takes over.

``docs/format.md`` sections 8 and 9 govern this module. A mark is a document whose name tells the
snapshot; names are encrypted and authenticated, so a listing is enough to know them.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from contextlib import suppress

from reentra import clock as clocks
from reentra import errors

from . import documents
from .keys import Keyring
from .manifests import Manifest
from .storage import Storage

COLLECTION = "forgotten"


def mark(
    storage: Storage, keyring: Keyring, tenant_id: str, snapshot_id: str, now: dt.datetime
) -> None:
    """Store the mark of a snapshot; harmless when there is one."""
    value = {"forgotten_at": clocks.iso(now)}
    with suppress(errors.AlreadyExists):
        documents.put_document(
            storage, keyring, COLLECTION, mark_name(tenant_id, snapshot_id), value
        )


def unmark(storage: Storage, keyring: Keyring, tenant_id: str, snapshot_id: str) -> None:
    """Remove the mark of a snapshot that is gone."""
    documents.delete_document(storage, keyring, COLLECTION, mark_name(tenant_id, snapshot_id))


def list_forgotten(storage: Storage, keyring: Keyring, tenant_id: str) -> frozenset[str]:
    """Fetch the ids of a tenant's snapshots that have a mark."""
    prefix = mark_name(tenant_id, "")
    names = documents.list_documents(storage, keyring, COLLECTION, prefix)
    return frozenset(name.removeprefix(prefix) for name in names)


def mark_name(tenant_id: str, snapshot_id: str) -> str:
    """Return the name of a snapshot's mark among the documents."""
    return f"{tenant_id}/{snapshot_id}"


def marked(name: str) -> tuple[str, str]:
    """Return tenant and snapshot of a mark's name."""
    tenant_id, _, snapshot_id = name.rpartition("/")
    return tenant_id, snapshot_id


def newest_refused(snapshot_id: str) -> errors.Refused:
    """Return why the newest snapshot of a tenant is not forgotten."""
    return errors.Refused(
        f"The snapshot {snapshot_id} is the newest of the tenant and is not forgotten:"
        " the next backup builds on it.",
        hint="Make a backup first; then it can be forgotten.",
    )


def joined(kept: Manifest, absorbed: Sequence[Manifest]) -> Manifest:
    """Return a manifest that stands where the first of ``absorbed``, its ancestors, stood.

    Its segments are all of theirs, oldest first, and then its own: their replay is the same state.
    """
    if not absorbed:
        return kept
    before = tuple(segment for one in absorbed for segment in one.segments)
    return dataclasses.replace(kept, parent=absorbed[0].parent, segments=before + kept.segments)
