"""What exists of objects and links that are named one by one. Reads ``TenantState`` only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reentra.directory.kinds import KINDS
from reentra.directory.objects import DirectoryObject, Relationship
from reentra.directory.relationships import Reading, RelationshipKind
from reentra.directory.state import TenantState


def load_existing(state: TenantState, kind: str, ids: Sequence[str]) -> dict[str, DirectoryObject]:
    """Return those of ``ids`` that exist; the only object of a settings kind goes by any id."""
    if KINDS[kind].is_singleton:
        only = next(iter(state.list_objects(kind)), None)
        return {} if only is None else dict.fromkeys(ids, only)
    return state.load_objects(kind, ids)


def load_written(
    state: TenantState, kind: str, wanted: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, DirectoryObject]:
    """Return those of ``wanted`` (id -> what is written to it) that exist.

    What can be addressed only through its source is looked for there, where the body names it.
    """
    row = KINDS[kind]
    sources = {str(body.get(row.source_property) or "") for body in wanted.values()}
    if row.source_property and "" not in sources:
        found = state.find_objects(kind, row.source_property, sorted(sources))
        return {item.id: item for item in found}
    return load_existing(state, kind, sorted(wanted))


def load_links_to(
    state: TenantState, row: RelationshipKind, kind: str, ids: Sequence[str]
) -> list[Relationship]:
    """Return the links that end at objects of ``kind``, but for those that cost a whole listing.

    Graph tells whom a user sponsors, and for a group nobody but the sponsored users themselves
    (learn.microsoft.com/graph/api/user-list-sponsorof).
    """
    if kind not in row.target_kinds or row.reading is Reading.EXPAND or not ids:
        return []
    return state.load_relationships_to(row.name, ids)
