"""The identity maps of tenants, kept in the repository: a disaster may take every database.

Each restore adds documents while it runs, one for each batch that gave somebody a new id, and
settles them into one when it ends. What is loaded is all of them, merged in order of time.
"""

from __future__ import annotations

import datetime as dt

from reentra import clock as clocks
from reentra import errors
from reentra.repository import Repository
from reentra.restore.identity import NO_IDENTITY, IdentityMap

COLLECTION = "identities"


class Identities:
    """Reads and extends the identity map of each tenant."""

    __slots__ = ("_repository",)

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def load(self, tenant_id: str) -> IdentityMap:
        """Return everything that is known of a tenant's old and new ids."""
        merged = NO_IDENTITY
        for name in self._repository.list_documents(COLLECTION, f"{tenant_id.lower()}/"):
            value = self._repository.load_document(COLLECTION, name)
            merged = merged.merged(IdentityMap.from_json(value))
        return merged

    def add(
        self, tenant_id: str, job_id: str, began_at: dt.datetime, number: int, found: IdentityMap
    ) -> None:
        """Keep what one batch of a restore found; durable on return. Repeating it is harmless."""
        if found.is_empty:
            return
        name = f"{_prefix(tenant_id, job_id, began_at)}/{number:08d}"
        try:
            self._repository.put_document(COLLECTION, name, found.to_json())
        except errors.AlreadyExists:
            known = IdentityMap.from_json(self._repository.load_document(COLLECTION, name))
            if known.merged(found) != known:
                self.add(tenant_id, job_id, began_at, number + 1, found)

    def settle(self, tenant_id: str, job_id: str, began_at: dt.datetime) -> None:
        """Put the documents of an ended restore into one."""
        prefix = _prefix(tenant_id, job_id, began_at)
        pieces = [
            name
            for name in self._repository.list_documents(COLLECTION, f"{prefix}/")
            if name != _settled(prefix)
        ]
        if not pieces:
            return
        merged = NO_IDENTITY
        for name in pieces:
            value = self._repository.load_document(COLLECTION, name)
            merged = merged.merged(IdentityMap.from_json(value))
        try:
            self._repository.put_document(COLLECTION, _settled(prefix), merged.to_json())
        except errors.AlreadyExists:
            return  # settled before, and taken up again since: the pieces stay
        for name in pieces:
            self._repository.delete_document(COLLECTION, name)


def learnt_since(known: IdentityMap, now: IdentityMap) -> IdentityMap:
    """Return what ``now`` says that ``known`` did not."""
    objects = {old: new for old, new in now.objects.items() if known.objects.get(old) != new}
    return IdentityMap(
        objects,
        {old: new for old, new in now.apps.items() if known.apps.get(old) != new},
        {old: now.kinds[old] for old in objects if old in now.kinds},
    )


def _prefix(tenant_id: str, job_id: str, began_at: dt.datetime) -> str:
    return f"{tenant_id.lower()}/{clocks.iso(began_at)}/{job_id}"


def _settled(prefix: str) -> str:
    return f"{prefix}/all"
