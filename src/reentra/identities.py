"""The identity maps of tenants, kept in the repository: a disaster may take every database.

Each restore adds documents while it runs, one for each batch that gave somebody a new id, and
settles them into one when it ends. What is loaded is all of them, merged in order of time.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reentra import clock as clocks
from reentra import errors
from reentra.repository import Repository
from reentra.restore.identity import NO_IDENTITY, IdentityMap

COLLECTION = "identities"


@dataclass(frozen=True, slots=True)
class Mended:
    """A document of an identity map that could not be read, and what became of it.

    ``is_relearnt`` says that the journal of its restore knew it all. ``kept_in`` is the file that
    holds the bytes that nobody can read.
    """

    tenant_id: str
    job_id: str
    began_at: str
    is_relearnt: bool
    kept_in: str

    @property
    def sentence(self) -> str:
        """Say what was done and what is lost."""
        what = f"The new ids that restore {self.job_id} of {self.began_at} gave"
        if self.is_relearnt:
            return f"{what} could not be read and were learnt again from its journal."
        return (
            f"{what} are lost, with its journal: a restore from an older snapshot does not know "
            "what it created and creates it again; only users are known by their "
            f"userPrincipalName. The damaged record is kept in {self.kept_in}."
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "tenant_id": self.tenant_id,
            "job": self.job_id,
            "relearnt": self.is_relearnt,
            "kept_in": self.kept_in,
            "what": self.sentence,
        }


class Identities:
    """Reads and extends the identity map of each tenant."""

    __slots__ = ("_repository",)

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def load(self, tenant_id: str) -> IdentityMap:
        """Return everything that is known of a tenant's old and new ids.

        Raises: ``RepositoryDamaged`` when a part cannot be read: what it knew would be created
        a second time.
        """
        merged = NO_IDENTITY
        for name in self._repository.list_documents(COLLECTION, f"{tenant_id.lower()}/"):
            try:
                value = self._repository.load_document(COLLECTION, name)
            except errors.UnsupportedFormat:
                raise
            except errors.RepositoryDamaged as damage:
                raise errors.RepositoryDamaged(
                    f"A part of the tenant's identity map is damaged: {damage.message}",
                    hint="A check that repairs learns it again from the restore's journal, or sets "
                    "it aside and says what is lost.",
                    typed="reentra check --repair",
                ) from damage
            merged = merged.merged(IdentityMap.from_json(value))
        return merged

    def mend(
        self, relearn: Callable[[str], IdentityMap | None], set_aside_in: Path
    ) -> list[Mended]:
        """Put damaged documents of every tenant right, or set them aside.

        ``relearn`` returns what a restore gave new ids to, or ``None`` when nobody knows any more.
        What is left of a tenant's map is untouched; repeating it is harmless.
        """
        mended = []
        for name in self._repository.list_documents(COLLECTION):
            try:
                self._repository.load_document(COLLECTION, name)
            except errors.UnsupportedFormat:
                raise
            except errors.RepositoryDamaged:
                mended.append(self._mend(name, relearn, set_aside_in))
        return mended

    def _mend(
        self, name: str, relearn: Callable[[str], IdentityMap | None], set_aside_in: Path
    ) -> Mended:
        tenant_id, began_at, job_id = name.split("/")[:3]
        known = relearn(job_id)
        set_aside_in.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = set_aside_in / name.replace("/", "_").replace(":", "")
        file.write_bytes(self._repository.load_document_bytes(COLLECTION, name))
        if known is not None and not known.is_empty:
            with contextlib.suppress(errors.AlreadyExists):
                self._repository.put_document(COLLECTION, f"{name}-again", known.to_json())
        self._repository.delete_document(COLLECTION, name)
        return Mended(tenant_id, job_id, began_at, known is not None, str(file))

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
