"""What the parent snapshot knows: the base that a backup writes its differences against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from reentra.directory.objects import DirectoryObject, Relationship


class Base(Protocol):
    """The state of the parent snapshot, cheap to ask for digests."""

    @property
    def is_empty(self) -> bool:
        """Whether there is no parent: nothing needs to be compared."""

    def load_digests(self, kind: str, ids: Sequence[str] | None = None) -> dict[str, bytes]:
        """Return id -> digest, of all objects of the kind or of those named."""

    def load_objects(self, kind: str, ids: Sequence[str]) -> dict[str, DirectoryObject]:
        """Return those of ``ids`` that exist."""

    def load_relationships(
        self, relationship: str, source_ids: Sequence[str]
    ) -> list[Relationship]:
        """Return the links that start at ``source_ids``."""

    def load_links(self, relationship: str, ends: Sequence[tuple[str, str]]) -> list[Relationship]:
        """Return the links that go from a source to a target of ``ends``."""

    def list_relationships(self, relationship: str) -> Iterator[Relationship]:
        """Stream every link of a relationship."""


class EmptyBase:
    """The base of a first backup."""

    __slots__ = ()
    is_empty = True

    def load_digests(self, kind: str, ids: Sequence[str] | None = None) -> dict[str, bytes]:
        del kind, ids
        return {}

    def load_objects(self, kind: str, ids: Sequence[str]) -> dict[str, DirectoryObject]:
        del kind, ids
        return {}

    def load_relationships(
        self, relationship: str, source_ids: Sequence[str]
    ) -> list[Relationship]:
        del relationship, source_ids
        return []

    def load_links(self, relationship: str, ends: Sequence[tuple[str, str]]) -> list[Relationship]:
        del relationship, ends
        return []

    def list_relationships(self, relationship: str) -> Iterator[Relationship]:
        del relationship
        return iter(())
