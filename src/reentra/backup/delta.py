"""What one entry of a delta answer says. Pure.

Source: learn.microsoft.com/graph/delta-query-overview and delta-query-groups. An entry holds all
selected properties that were ever set, or (from tolerant or minimal servers) only the changed
ones; a cleared property is ``null``; links come as ``<property>@delta`` in slices.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reentra import errors
from reentra.backup.changes import LinkEnd
from reentra.directory import canonical
from reentra.directory.kinds import ObjectKind, kind_of_odata_type
from reentra.directory.objects import Relationship, canonical_id
from reentra.directory.relationships import RelationshipKind

_kind_of_type = functools.lru_cache(maxsize=256)(kind_of_odata_type)


@dataclass(slots=True)
class DeltaEntry:
    """One entry, taken apart. ``properties`` is cleaned and may be partial; ``body`` is its JSON.

    ``added`` and ``removed`` hold the far ends of links, by relationship.
    """

    id: str
    is_removed: bool = False
    properties: dict[str, Any] = field(default_factory=dict)
    body: bytes = b""
    added: dict[str, list[LinkEnd]] = field(default_factory=dict)
    removed: dict[str, list[LinkEnd]] = field(default_factory=dict)

    @property
    def has_properties(self) -> bool:
        names = self.properties
        return len(names) > ("id" in names) + ("@odata.type" in names)

    def links(self, relationship: str, ends: Mapping[str, list[LinkEnd]]) -> list[Relationship]:
        """Return the links of one relationship to its ``ends``: those added, or those removed."""
        return [
            Relationship(relationship, self.id, target_id, kind)
            for target_id, kind in ends.get(relationship, ())
        ]


def parse_entry(item: dict[str, Any], relationships: Sequence[RelationshipKind]) -> DeltaEntry:
    """Take an entry apart; ``item`` is used up.

    Raises: ``errors.Unavailable`` when it has no id: such an answer must not be believed.
    """
    object_id = item.get("id")
    if type(object_id) is not str or not object_id:
        raise errors.Unavailable("Graph returned an entry without an id.")
    object_id = canonical_id(object_id)
    if "@removed" in item:
        return DeltaEntry(object_id, is_removed=True)
    all_added: dict[str, list[LinkEnd]] = {}
    all_removed: dict[str, list[LinkEnd]] = {}
    for row in relationships:
        # A server that answers a single-valued property in full names it without the suffix.
        whole = item.pop(row.property, None)
        value = item.pop(f"{row.property}@delta", whole)
        if not value:
            continue
        added, removed = _ends(object_id, row, value)
        if added:
            all_added[row.name] = added
        if removed:
            all_removed[row.name] = removed
    properties, body = canonical.cleaned_body(item)
    return DeltaEntry(object_id, False, properties, body, all_added, all_removed)


def _ends(
    source_id: str, row: RelationshipKind, value: object
) -> tuple[list[LinkEnd], list[LinkEnd]]:
    """Return the ends of links that were added and of those that were removed."""
    targets = value if isinstance(value, list) else [value] if isinstance(value, dict) else ()
    added: list[LinkEnd] = []
    removed: list[LinkEnd] = []
    # Groups bring links by the million: this loop is among the dearest of a first backup.
    for target in targets:
        target_id = target.get("id")
        if type(target_id) is not str or not target_id:
            raise errors.Unavailable(
                f"Graph returned a link of {source_id} ({row.property}) without an id."
            )
        if target_id != target_id.lower():
            target_id = canonical_id(target_id)
        end = (target_id, _kind_of_type(target.get("@odata.type", "")))
        (removed if "@removed" in target else added).append(end)
    return added, removed


def looks_whole(row: ObjectKind, properties: Mapping[str, Any]) -> bool:
    """Tell whether properties are a full representation and not only what changed.

    Every kind that has a delta has a property that is always set: its title, or for grants the
    client.
    """
    probe = row.title_property or "clientId"
    return probe in properties


_NEVER_CHANGES = "createdDateTime"


def is_whole(row: ObjectKind, properties: Mapping[str, Any]) -> bool:
    """Tell whether properties of a known object are a full representation beyond doubt.

    An entry that only tells what changed cannot hold a property that never changes.
    """
    return (
        _NEVER_CHANGES in row.select
        and _NEVER_CHANGES in properties
        and looks_whole(row, properties)
    )


def lacks_some(properties: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Tell whether properties lack one that has a value in what is known: they are partial."""
    return any(
        name not in properties and canonical.canonical_value(value) is not None
        for name, value in known.items()
    )
