"""What a manifest says about its snapshot: counts, coverage, delta links, what to review."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reentra.clock import iso, parse_iso
from reentra.directory.state import Coverage


class SnapshotStatus(enum.StrEnum):
    """Whether every kind that was asked for is complete."""

    COMPLETE = "complete"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class KindSummary:
    """One kind in one snapshot. ``objects`` counts the state, the rest the change to it."""

    objects: int
    added: int
    changed: int
    deleted: int
    coverage: Coverage

    def to_json(self) -> dict[str, Any]:
        return {
            "objects": self.objects,
            "added": self.added,
            "changed": self.changed,
            "deleted": self.deleted,
            "coverage": self.coverage.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> KindSummary:
        return cls(
            value["objects"],
            value["added"],
            value["changed"],
            value["deleted"],
            Coverage.from_json(value["coverage"]),
        )


@dataclass(frozen=True, slots=True)
class RelationshipSummary:
    """One relationship in one snapshot: links written as added and as removed."""

    added: int
    removed: int
    coverage: Coverage

    def to_json(self) -> dict[str, Any]:
        return {
            "added": self.added,
            "removed": self.removed,
            "coverage": self.coverage.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RelationshipSummary:
        return cls(value["added"], value["removed"], Coverage.from_json(value["coverage"]))


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """The payload of a manifest.

    ``delta_links`` are Graph's own continuation links (opaque; they hold no secret but are only
    good for this tenant). ``delta_tracked`` are the relationships that Graph has been seen to
    report in the delta of their source. ``supplements`` holds, by kind and id, the digest of the
    properties that no delta reports. ``extensions`` are, by kind, the directory extensions that
    were asked for by name: a delta tells of no others. ``review`` are sentences: why a person
    should look at this snapshot before trusting it.
    """

    status: SnapshotStatus
    started_at: dt.datetime
    finished_at: dt.datetime
    kinds: Mapping[str, KindSummary]
    relationships: Mapping[str, RelationshipSummary]
    delta_links: Mapping[str, str] = field(default_factory=dict)
    delta_tracked: tuple[str, ...] = ()
    dropped_properties: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    supplements: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    extensions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    review: tuple[str, ...] = ()
    label: str = ""

    def coverage(self) -> dict[str, Coverage]:
        """Return the coverage of every kind and relationship, by name."""
        return {
            **{name: summary.coverage for name, summary in self.kinds.items()},
            **{name: summary.coverage for name, summary in self.relationships.items()},
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "status": self.status.value,
            "started_at": iso(self.started_at),
            "finished_at": iso(self.finished_at),
            "kinds": {name: summary.to_json() for name, summary in self.kinds.items()},
            "relationships": {
                name: summary.to_json() for name, summary in self.relationships.items()
            },
            "delta_links": dict(self.delta_links),
            "delta_tracked": list(self.delta_tracked),
            "dropped_properties": {
                name: list(properties) for name, properties in self.dropped_properties.items()
            },
            "supplements": {kind: dict(items) for kind, items in self.supplements.items()},
            "extensions": {kind: list(names) for kind, names in self.extensions.items()},
            "review": list(self.review),
            "label": self.label,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SnapshotInfo:
        return cls(
            status=SnapshotStatus(value["status"]),
            started_at=parse_iso(value["started_at"]),
            finished_at=parse_iso(value["finished_at"]),
            kinds={name: KindSummary.from_json(item) for name, item in value["kinds"].items()},
            relationships={
                name: RelationshipSummary.from_json(item)
                for name, item in value["relationships"].items()
            },
            delta_links=dict(value.get("delta_links", {})),
            delta_tracked=tuple(value.get("delta_tracked", ())),
            dropped_properties={
                name: tuple(properties)
                for name, properties in value.get("dropped_properties", {}).items()
            },
            supplements={kind: dict(items) for kind, items in value.get("supplements", {}).items()},
            extensions={kind: tuple(names) for kind, names in value.get("extensions", {}).items()},
            review=tuple(value.get("review", ())),
            label=value.get("label", ""),
        )
