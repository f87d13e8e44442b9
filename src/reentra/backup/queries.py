"""The queries by which a backup asks for lists. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from reentra.directory.kinds import ObjectKind
from reentra.directory.relationships import RelationshipKind

PAGE_OBJECTS = 999  # the most that Graph gives (learn.microsoft.com/graph/paging)


def list_params(row: ObjectKind, select: Sequence[str]) -> dict[str, str | int]:
    """Return the query of a kind's list."""
    params: dict[str, str | int] = {}
    if select:
        params["$select"] = ",".join(select)
    if row.takes_top:
        params["$top"] = PAGE_OBJECTS
    return params


def supplement_params(names: Sequence[str]) -> dict[str, str | int]:
    """Return the query of the list that holds what must be asked for by name."""
    return {"$select": ",".join(("id", *names)), "$top": PAGE_OBJECTS}


def expand_params(relationship: RelationshipKind) -> dict[str, str | int]:
    """Return the query of the source's list that brings the links along."""
    return {
        "$select": "id",
        "$expand": f"{relationship.property}($select=id)",
        "$top": PAGE_OBJECTS,
    }


def sources_path(relationship: RelationshipKind) -> str:
    """Return the path, with ``{id}`` for a target, of the list of a target's sources."""
    return f"{relationship.inverse_path}?$select=id"
