"""What a plan looked at: a live tenant that remembers its reads and their digest.

The digest does not depend on order, and covers exactly the objects and links that were read, so a
plan can be checked for staleness by the same reads and no others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reentra.directory import canonical
from reentra.directory.objects import DirectoryObject, Relationship
from reentra.directory.state import Coverage, LiveState

_MODULUS = 1 << 128


@dataclass(frozen=True, slots=True)
class Reads:
    """Which reads a plan made, in a form that can be stored and made again."""

    listed_kinds: tuple[str, ...] = ()
    loaded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    found: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    listed_links: tuple[str, ...] = ()
    links_from: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    links_to: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    deleted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "listed_kinds": list(self.listed_kinds),
            "loaded": {key: list(ids) for key, ids in self.loaded.items()},
            "found": [[kind, name, list(values)] for kind, name, values in self.found],
            "listed_links": list(self.listed_links),
            "links_from": {key: list(ids) for key, ids in self.links_from.items()},
            "links_to": {key: list(ids) for key, ids in self.links_to.items()},
            "deleted": {key: list(ids) for key, ids in self.deleted.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Reads:
        def ids_by_key(name: str) -> dict[str, tuple[str, ...]]:
            return {key: tuple(ids) for key, ids in value.get(name, {}).items()}

        return cls(
            tuple(value.get("listed_kinds", ())),
            ids_by_key("loaded"),
            tuple((kind, name, tuple(values)) for kind, name, values in value.get("found", ())),
            tuple(value.get("listed_links", ())),
            ids_by_key("links_from"),
            ids_by_key("links_to"),
            ids_by_key("deleted"),
        )


class ObservedTenant:
    """A ``LiveState`` that passes every read on and keeps its digest.

    A read is counted once, however often it is made. Reads of single things that a whole listing
    covers are counted too; that costs nothing but the hashing.
    """

    __slots__ = (
        "_deleted", "_found", "_from", "_last", "_links", "_listed", "_live", "_loaded", "_to",
    )  # fmt: skip

    def __init__(self, live: LiveState) -> None:
        self._live = live
        self._last: tuple[DirectoryObject | None, bytes] = (None, b"")
        self._listed: dict[str, int] = {}
        self._links: dict[str, int] = {}
        self._loaded: dict[str, dict[str, int]] = {}
        self._deleted: dict[str, dict[str, int]] = {}
        self._from: dict[str, dict[str, int]] = {}
        self._to: dict[str, dict[str, int]] = {}
        self._found: dict[tuple[str, str, tuple[str, ...]], int] = {}

    @property
    def tenant_id(self) -> str:
        return self._live.tenant_id

    @property
    def label(self) -> str:
        return self._live.label

    def coverage(self) -> Mapping[str, Coverage]:
        return self._live.coverage()

    def list_objects(self, kind: str) -> Iterator[DirectoryObject]:
        total = 0
        for item in self._live.list_objects(kind):
            digest = canonical.digest(kind, item.properties)
            total += _number(item.id, digest)
            self._last = (item, digest)
            yield item
        self._listed[kind] = total % _MODULUS

    def digest_of(self, item: DirectoryObject) -> bytes:
        """Return ``canonical.digest`` of an object; of the one that came last it is known."""
        known, digest = self._last
        return digest if known is item else canonical.digest(item.kind, item.properties)

    def load_objects(self, kind: str, ids: Sequence[str]) -> dict[str, DirectoryObject]:
        objects = self._live.load_objects(kind, ids)
        seen = self._loaded.setdefault(kind, {})
        for object_id in ids:
            item = objects.get(object_id)
            seen[object_id] = _object_digest(item) if item is not None else 0
        return objects

    def find_objects(
        self, kind: str, property_name: str, values: Sequence[str]
    ) -> list[DirectoryObject]:
        objects = self._live.find_objects(kind, property_name, values)
        total = sum(_object_digest(item) for item in objects)
        self._found[(kind, property_name, tuple(sorted(values)))] = total % _MODULUS
        return objects

    def list_relationships(self, relationship: str) -> Iterator[Relationship]:
        total = 0
        for link in self._live.list_relationships(relationship):
            total += _link_digest(link)
            yield link
        self._links[relationship] = total % _MODULUS

    def load_relationships(
        self, relationship: str, source_ids: Sequence[str]
    ) -> list[Relationship]:
        links = self._live.load_relationships(relationship, source_ids)
        seen = self._from.setdefault(relationship, {})
        seen.update(dict.fromkeys(source_ids, 0))
        for link in links:
            seen[link.source_id] = (seen.get(link.source_id, 0) + _link_digest(link)) % _MODULUS
        return links

    def load_relationships_to(
        self, relationship: str, target_ids: Sequence[str]
    ) -> list[Relationship]:
        links = self._live.load_relationships_to(relationship, target_ids)
        seen = self._to.setdefault(relationship, {})
        seen.update(dict.fromkeys(target_ids, 0))
        for link in links:
            seen[link.target_id] = (seen.get(link.target_id, 0) + _link_digest(link)) % _MODULUS
        return links

    def load_names(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        return self._live.load_names(ids)

    def load_deleted(self, kind: str, ids: Sequence[str]) -> dict[str, DirectoryObject]:
        objects = self._live.load_deleted(kind, ids)
        seen = self._deleted.setdefault(kind, {})
        for object_id in ids:
            seen[object_id] = 1 if object_id in objects else 0
        return objects

    def find_deleted(
        self, kind: str, property_name: str, values: Sequence[str]
    ) -> list[DirectoryObject]:
        return self._live.find_deleted(kind, property_name, values)

    def forget_extensions(self) -> None:
        self._live.forget_extensions()

    def reads(self) -> Reads:
        """Return the reads made so far."""
        return Reads(
            tuple(sorted(self._listed)),
            {kind: tuple(sorted(ids)) for kind, ids in sorted(self._loaded.items())},
            tuple(sorted(self._found)),
            tuple(sorted(self._links)),
            {name: tuple(sorted(ids)) for name, ids in sorted(self._from.items())},
            {name: tuple(sorted(ids)) for name, ids in sorted(self._to.items())},
            {kind: tuple(sorted(ids)) for kind, ids in sorted(self._deleted.items())},
        )

    def digest(self) -> str:
        """Return the digest of all that was read, in hexadecimal."""
        state = hashlib.blake2b(digest_size=16)
        for name, totals in (
            ("listed", self._listed),
            ("links", self._links),
        ):
            for key, total in sorted(totals.items()):
                state.update(f"{name} {key} {total}\n".encode())
        for name, groups in (
            ("loaded", self._loaded),
            ("from", self._from),
            ("to", self._to),
            ("deleted", self._deleted),
        ):
            for key, totals in sorted(groups.items()):
                for object_id, total in sorted(totals.items()):
                    state.update(f"{name} {key} {object_id} {total}\n".encode())
        for (kind, name, values), total in sorted(self._found.items()):
            state.update(f"found {kind} {name} {','.join(values)} {total}\n".encode())
        return state.hexdigest()


def digest_again(live: LiveState, reads: Reads) -> str:
    """Make the same reads once more and return their digest as it is now."""
    observed = ObservedTenant(live)
    for kind in reads.listed_kinds:
        for _item in observed.list_objects(kind):
            pass
    for kind, ids in reads.loaded.items():
        observed.load_objects(kind, ids)
    for kind, name, values in reads.found:
        observed.find_objects(kind, name, values)
    for relationship in reads.listed_links:
        for _link in observed.list_relationships(relationship):
            pass
    for relationship, ids in reads.links_from.items():
        observed.load_relationships(relationship, ids)
    for relationship, ids in reads.links_to.items():
        observed.load_relationships_to(relationship, ids)
    for kind, ids in reads.deleted.items():
        observed.load_deleted(kind, ids)
    return observed.digest()


def _object_digest(item: DirectoryObject) -> int:
    return _number(item.id, canonical.digest(item.kind, item.properties))


def _number(object_id: str, digest: bytes) -> int:
    state = hashlib.blake2b(object_id.encode() + b"\0" + digest, digest_size=16)
    return int.from_bytes(state.digest(), "big")


def _link_digest(link: Relationship) -> int:
    text = f"{link.source_id}\0{link.target_id}\0{link.qualifier}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")
