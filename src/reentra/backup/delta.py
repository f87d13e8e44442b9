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
from reentra.directory import canonical
from reentra.directory.kinds import ObjectKind, kind_of_odata_type
from reentra.directory.objects import Relationship, canonical_id
from reentra.directory.relationships import RelationshipKind

_kind_of_type = functools.lru_cache(maxsize=256)(kind_of_odata_type)


@dataclass(slots=True)
class DeltaEntry:
    """One entry, taken apart. ``properties`` is cleaned and may be partial."""

    id: str
    is_removed: bool = False
    properties: dict[str, Any] = field(default_factory=dict)
    added: dict[str, list[Relationship]] = field(default_factory=dict)
    removed: dict[str, list[Relationship]] = field(default_factory=dict)

    @property
    def has_properties(self) -> bool:
        return any(name not in ("id", "@odata.type") for name in self.properties)


def parse_entry(item: Mapping[str, Any], relationships: Sequence[RelationshipKind]) -> DeltaEntry:
    """Take an entry apart.

    Raises: ``errors.Unavailable`` when it has no id: such an answer must not be believed.
    """
    object_id = item.get("id")
    if not isinstance(object_id, str) or not object_id:
        raise errors.Unavailable("Graph returned an entry without an id.")
    object_id = canonical_id(object_id)
    if "@removed" in item:
        return DeltaEntry(object_id, is_removed=True)
    entry = DeltaEntry(object_id)
    for row in relationships:
        # A server that answers a single-valued property in full names it without the suffix.
        value = item.get(f"{row.property}@delta", item.get(row.property))
        targets = value if isinstance(value, list) else [value] if isinstance(value, dict) else ()
        # Groups bring links by the million: this loop is the dearest of a first backup.
        name = row.name
        added: list[Relationship] = []
        removed: list[Relationship] = []
        for target in targets:
            target_id = target.get("id")
            if type(target_id) is not str or not target_id:
                raise errors.Unavailable(
                    f"Graph returned a link of {object_id} ({row.property}) without an id."
                )
            kind = _kind_of_type(target.get("@odata.type", ""))
            link = Relationship(name, object_id, canonical_id(target_id), kind)
            (removed if "@removed" in target else added).append(link)
        if added:
            entry.added[name] = added
        if removed:
            entry.removed[name] = removed
    entry.properties = canonical.cleaned_properties(item)
    for row in relationships:
        entry.properties.pop(row.property, None)
    return entry


def looks_whole(row: ObjectKind, properties: Mapping[str, Any]) -> bool:
    """Tell whether properties are a full representation and not only what changed.

    Every kind that has a delta has a property that is always set: its title, or for grants the
    client.
    """
    probe = row.title_property or "clientId"
    return probe in properties
