"""``TenantState``: what a snapshot, a live tenant and a test's model all answer."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from reentra.directory.objects import DirectoryObject, Relationship


class CoverageStatus(enum.StrEnum):
    """How far a kind is known in a state. Only ``COMPLETE`` allows to call something absent."""

    COMPLETE = "complete"
    PARTIAL = "partial"  # some of it was read; absence means nothing
    REFUSED = "refused"  # Graph said no: permission, role or licence
    SKIPPED = "skipped"  # nobody asked for it


@dataclass(frozen=True, slots=True)
class Coverage:
    """Whether a kind (or a relationship) is whole in a state, and if not, why.

    ``permissions`` are the application permissions whose lack explains it, when that is the cause.
    """

    status: CoverageStatus
    reason: str = ""
    permissions: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        return self.status is CoverageStatus.COMPLETE

    def to_json(self) -> dict[str, Any]:
        return {
            "status": self.status.value,
            "reason": self.reason,
            "permissions": list(self.permissions),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Coverage:
        return cls(
            CoverageStatus(value["status"]),
            value.get("reason", ""),
            tuple(value.get("permissions", ())),
        )


COMPLETE = Coverage(CoverageStatus.COMPLETE)


class TenantState(Protocol):
    """A tenant at one moment.

    Every method that returns objects leaves out what is not there; it raises only when it cannot
    know (a read failed). Nothing is promised about order.
    """

    @property
    def tenant_id(self) -> str:
        """The tenant's GUID."""

    @property
    def label(self) -> str:
        """A short name for people: ``live``, or the snapshot's id."""

    def coverage(self) -> Mapping[str, Coverage]:
        """Return the coverage of every kind and relationship that this state knows of."""

    def list_objects(self, kind: str) -> Iterator[DirectoryObject]:
        """Stream every object of ``kind``."""

    def load_objects(self, kind: str, ids: Sequence[str]) -> dict[str, DirectoryObject]:
        """Return those of ``ids`` that exist, without listing the kind."""

    def find_objects(
        self, kind: str, property_name: str, values: Sequence[str]
    ) -> list[DirectoryObject]:
        """Return the objects whose scalar property equals one of ``values`` (text, any case)."""

    def list_relationships(self, relationship: str) -> Iterator[Relationship]:
        """Stream every link of a relationship."""

    def load_relationships(
        self, relationship: str, source_ids: Sequence[str]
    ) -> list[Relationship]:
        """Return the links that start at ``source_ids``."""

    def load_relationships_to(
        self, relationship: str, target_ids: Sequence[str]
    ) -> list[Relationship]:
        """Return the links that end at ``target_ids``."""

    def load_names(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Return id -> (kind, display name) for those of ``ids`` that this state can name."""


@runtime_checkable
class KnowsDigests(Protocol):
    """A state that can tell digests without reading bodies."""

    def load_digests(self, kind: str, ids: Sequence[str] | None = None) -> Mapping[str, bytes]:
        """Return id -> ``canonical.digest``, for ``ids`` or for the whole kind."""


@runtime_checkable
class StreamsObjects(Protocol):
    """A state that reads many objects in the order in which they are stored."""

    def stream_objects(self, kind: str, ids: Sequence[str]) -> Iterator[DirectoryObject]:
        """Yield those of ``ids`` that exist, each once, without holding them all."""


class LiveState(TenantState, Protocol):
    """A tenant as it is now; knows its recycle bin too."""

    def load_deleted(self, kind: str, ids: Sequence[str]) -> dict[str, DirectoryObject]:
        """Return those of ``ids`` that are in the recycle bin."""

    def find_deleted(
        self, kind: str, property_name: str, values: Sequence[str]
    ) -> list[DirectoryObject]:
        """Return objects in the recycle bin whose property equals one of ``values``."""

    def forget_extensions(self) -> None:
        """Let the next read ask anew which directory extensions there are, and so which values."""
