"""Checkpoints: what a killed backup has done already, for the next one to go on from.

A checkpoint names stored segments that no manifest names yet. It is a document of the repository
and never visible as a snapshot; it is used only when nothing has changed under it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from reentra import clock as clocks
from reentra import errors
from reentra.backup.findings import UnitResult
from reentra.repository import SegmentInfo
from reentra.snapshots import KindSummary, RelationshipSummary

COLLECTION = "checkpoints"
# Delta tokens live seven days, and a snapshot should not be smeared over days.
LONGEST_AGE_SECONDS = 12 * 3600


class StoresDocuments(Protocol):
    """The part of ``Repository`` that is needed here."""

    def put_document(self, collection: str, name: str, value: object) -> None: ...

    def load_document(self, collection: str, name: str) -> Any: ...

    def list_documents(self, collection: str, prefix: str = "") -> list[str]: ...

    def delete_document(self, collection: str, name: str) -> None: ...


@dataclass(slots=True)
class Checkpoint:
    """Everything that a backup has to remember between units."""

    parent: str
    started_at: dt.datetime
    is_full: bool
    kinds: tuple[str, ...]
    done: dict[str, UnitResult] = field(default_factory=dict)
    segments: list[SegmentInfo] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {
            "parent": self.parent,
            "started_at": clocks.iso(self.started_at),
            "is_full": self.is_full,
            "kinds": list(self.kinds),
            "segments": [segment.to_json() for segment in self.segments],
            "done": {head: _unit_to_json(result) for head, result in self.done.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Checkpoint:
        return cls(
            parent=value["parent"],
            started_at=clocks.parse_iso(value["started_at"]),
            is_full=value["is_full"],
            kinds=tuple(value["kinds"]),
            segments=[SegmentInfo.from_json(item) for item in value["segments"]],
            done={head: _unit_from_json(item) for head, item in value["done"].items()},
        )

    def continues(self, other: Checkpoint, now: dt.datetime) -> bool:
        """Tell whether a backup that begins like ``other`` may go on from this one."""
        age_seconds = (now - self.started_at).total_seconds()
        return (self.parent, self.is_full, self.kinds) == (
            other.parent,
            other.is_full,
            other.kinds,
        ) and 0 <= age_seconds <= LONGEST_AGE_SECONDS


def load_checkpoint(documents: StoresDocuments, tenant_id: str) -> Checkpoint | None:
    """Fetch the newest checkpoint of a tenant; a damaged one counts as none."""
    names = documents.list_documents(COLLECTION, f"{tenant_id}.")
    for name in reversed(names):
        try:
            return Checkpoint.from_json(documents.load_document(COLLECTION, name))
        except (errors.NotFound, errors.RepositoryDamaged, KeyError, ValueError):
            continue
    return None


def save_checkpoint(
    documents: StoresDocuments, tenant_id: str, checkpoint: Checkpoint, now: dt.datetime
) -> None:
    """Store a checkpoint; older ones are removed afterwards."""
    older = documents.list_documents(COLLECTION, f"{tenant_id}.")
    name = f"{tenant_id}.{clocks.iso(now)}.{clocks.new_id(3)}"
    documents.put_document(COLLECTION, name, checkpoint.to_json())
    _delete(documents, [one for one in older if one != name])


def delete_checkpoints(documents: StoresDocuments, tenant_id: str) -> None:
    """Remove every checkpoint of a tenant."""
    _delete(documents, documents.list_documents(COLLECTION, f"{tenant_id}."))


def _delete(documents: StoresDocuments, names: Sequence[str]) -> None:
    for name in names:
        documents.delete_document(COLLECTION, name)


def _unit_to_json(result: UnitResult) -> dict[str, Any]:
    return {
        "kinds": {name: item.to_json() for name, item in result.kinds.items()},
        "relationships": {name: item.to_json() for name, item in result.relationships.items()},
        "delta_links": result.delta_links,
        "delta_tracked": result.delta_tracked,
        "dropped_properties": {k: list(v) for k, v in result.dropped_properties.items()},
        "supplements": result.supplements,
        "extensions": {k: list(v) for k, v in result.extensions.items()},
        "returned": result.returned,
        "notes": result.notes,
    }


def _unit_from_json(value: Mapping[str, Any]) -> UnitResult:
    return UnitResult(
        kinds={name: KindSummary.from_json(item) for name, item in value["kinds"].items()},
        relationships={
            name: RelationshipSummary.from_json(item)
            for name, item in value["relationships"].items()
        },
        delta_links=dict(value["delta_links"]),
        delta_tracked=list(value["delta_tracked"]),
        dropped_properties={k: tuple(v) for k, v in value["dropped_properties"].items()},
        supplements={k: dict(v) for k, v in value["supplements"].items()},
        extensions={k: tuple(v) for k, v in value.get("extensions", {}).items()},
        returned=list(value["returned"]),
        notes=list(value["notes"]),
    )
