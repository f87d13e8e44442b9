"""What an undo wants: the tenant as it is now, but for what is taken back.

Reads both the live tenant and the capture through ``TenantState`` only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reentra.directory.kinds import KINDS
from reentra.directory.objects import DirectoryObject, Relationship
from reentra.directory.relationships import RELATIONSHIPS
from reentra.directory.state import COMPLETE, Coverage, LiveState, TenantState
from reentra.restore.existing import load_existing


class SeenTenant:
    """The live tenant, answering for single objects what it answered the first time.

    What is wanted is made from what was seen; a change between two reads would look like one to
    be taken back.
    """

    def __init__(self, live: LiveState) -> None:
        self._live = live
        self._objects: dict[str, dict[str, DirectoryObject | None]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._live, name)

    def load_objects(self, kind: str, ids: Sequence[str]) -> dict[str, DirectoryObject]:
        known = self._objects.setdefault(kind, {})
        fresh = [one for one in ids if one not in known]
        if fresh:
            found = load_existing(self._live, kind, fresh)
            known.update({one: found.get(one) for one in fresh})
        return {one: item for one in ids if (item := known[one]) is not None}


@dataclass(slots=True)
class WantedState:
    """The tenant as it is to be: as it is now, but for what is taken back."""

    seen: SeenTenant
    capture: TenantState
    objects: dict[str, dict[str, DirectoryObject]] = field(default_factory=dict)
    links: dict[str, list[Relationship]] = field(default_factory=dict)

    @property
    def tenant_id(self) -> str:
        return str(self.seen.tenant_id)

    @property
    def label(self) -> str:
        return self.capture.label

    def coverage(self) -> Mapping[str, Coverage]:
        return dict.fromkeys((*KINDS, *RELATIONSHIPS), COMPLETE)

    def list_objects(self, kind: str) -> Iterator[DirectoryObject]:
        yield from self.objects.get(kind, {}).values()

    def load_objects(self, kind: str, ids: Sequence[str]) -> dict[str, DirectoryObject]:
        own = self.objects.get(kind, {})
        rest = [one for one in ids if one not in own]
        found = self.seen.load_objects(kind, rest) if rest else {}
        return {**found, **{one: own[one] for one in ids if one in own}}

    def find_objects(
        self, kind: str, property_name: str, values: Sequence[str]
    ) -> list[DirectoryObject]:
        wanted = {value.lower() for value in values}
        return [
            item
            for item in self.objects.get(kind, {}).values()
            if str(item.get(property_name) or "").lower() in wanted
        ]

    def list_relationships(self, relationship: str) -> Iterator[Relationship]:
        yield from self.links.get(relationship, ())

    def load_relationships(
        self, relationship: str, source_ids: Sequence[str]
    ) -> list[Relationship]:
        wanted = set(source_ids)
        return [link for link in self.links.get(relationship, ()) if link.source_id in wanted]

    def load_relationships_to(
        self, relationship: str, target_ids: Sequence[str]
    ) -> list[Relationship]:
        wanted = set(target_ids)
        return [link for link in self.links.get(relationship, ()) if link.target_id in wanted]

    def load_names(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Name what is live or captured, and every end of a link: none of them is passed over."""
        ends = {link.target_id: link.target_kind for held in self.links.values() for link in held}
        names = {one: (ends[one], one) for one in ids if one in ends}
        names.update(self.capture.load_names(ids))
        names.update(self.seen.load_names(ids))
        return names
