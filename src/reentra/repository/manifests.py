"""Manifests: what a snapshot is made of. Pure; ``repository`` stores and loads them.

``docs/format.md`` sections 1 and 8 govern this module.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reentra import clock as clocks
from reentra import errors

from .keys import FORMAT_VERSION, Keyring

SNAPSHOT_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")

# A manifest's name: the snapshot, and from the second edition on the edition's number.
MANIFEST_NAME = re.compile(rf"({SNAPSHOT_ID.pattern})(?:\.([1-9][0-9]{{0,5}}))?")

_TENANT = "tenant"


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """A stored segment, as its manifest tells it.

    ``bounds`` holds the least and the greatest value of each short string column, so that a reader
    can leave a whole segment out.
    """

    path: str
    table: str
    rows: int
    row_groups: int
    size_bytes: int
    sha256: str
    generation: int
    bounds: Mapping[str, tuple[str, str]]

    def to_json(self) -> dict[str, object]:
        return {
            "bounds": {column: list(pair) for column, pair in self.bounds.items()},
            "generation": self.generation,
            "path": self.path,
            "row_groups": self.row_groups,
            "rows": self.rows,
            "sha256": self.sha256,
            "size_bytes": self.size_bytes,
            "table": self.table,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SegmentInfo:
        return cls(
            path=str(value["path"]),
            table=str(value["table"]),
            rows=int(value["rows"]),
            row_groups=int(value["row_groups"]),
            size_bytes=int(value["size_bytes"]),
            sha256=str(value["sha256"]),
            generation=int(value["generation"]),
            bounds={column: (pair[0], pair[1]) for column, pair in value["bounds"].items()},
        )

    def may_hold(self, where: Mapping[str, object]) -> bool:
        """Tell whether rows that equal ``where`` in these columns can be in the segment."""
        for column, wanted in where.items():
            bounds = self.bounds.get(column)
            if bounds is None or not isinstance(wanted, str):
                continue
            if not bounds[0].encode() <= wanted.encode() <= bounds[1].encode():
                return False
        return True


@dataclass(frozen=True, slots=True)
class ManifestRef:
    """A manifest, named beyond doubt: ``sha256`` is of the stored bytes of its first edition."""

    id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One stored snapshot. ``payload`` belongs to the layer above.

    ``edition`` counts how often prune has written it anew. ``sha256`` is of the first edition's
    bytes: it never changes, and children name it.
    """

    id: str
    tenant_id: str
    created_at: dt.datetime
    parent: ManifestRef | None
    segments: tuple[SegmentInfo, ...]
    payload: Mapping[str, Any]
    sha256: str
    edition: int = 0

    @property
    def stamp(self) -> str:
        """Return what differs whenever the manifest was written anew."""
        return f"{self.sha256}.{self.edition}" if self.edition else self.sha256

    @property
    def ref(self) -> ManifestRef:
        """Return what a child names as its parent."""
        return ManifestRef(self.id, self.sha256)


def manifest_to_json(
    *,
    tenant_id: str,
    snapshot_id: str,
    created_at: dt.datetime,
    parent: ManifestRef | None,
    segments: tuple[SegmentInfo, ...],
    payload: Mapping[str, Any],
    edition: int = 0,
    stands_for: str = "",
) -> dict[str, object]:
    """Return the JSON inside a manifest's file.

    A later edition says by ``stands_for`` which first one it takes the place of: its SHA-256.
    """
    written_anew = {"edition": edition, "stands_for": stands_for} if edition else {}
    return {
        **written_anew,
        "created_at": clocks.iso(created_at),
        "format": FORMAT_VERSION,
        "id": snapshot_id,
        "parent": None if parent is None else {"id": parent.id, "sha256": parent.sha256},
        "payload": dict(payload),
        "segments": [segment.to_json() for segment in segments],
        "tenant_id": tenant_id,
    }


def manifest_from_json(value: Mapping[str, Any], path: str, sha256: str) -> Manifest:
    """Return the manifest that ``path`` holds.

    Raises: ``errors.RepositoryDamaged``, ``errors.UnsupportedFormat``.
    """
    if isinstance(value.get("format"), int) and value["format"] > FORMAT_VERSION:
        raise errors.UnsupportedFormat(f"The manifest {path} has format {value['format']}.")
    try:
        parent = value["parent"]
        edition = int(value.get("edition", 0))
        return Manifest(
            id=str(value["id"]),
            tenant_id=str(value["tenant_id"]),
            created_at=clocks.parse_iso(value["created_at"]),
            parent=None if parent is None else ManifestRef(parent["id"], parent["sha256"]),
            segments=tuple(SegmentInfo.from_json(one) for one in value["segments"]),
            payload=dict(value["payload"]),
            sha256=str(value["stands_for"]) if edition else sha256,
            edition=edition,
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise errors.RepositoryDamaged(
            f"The manifest {path} is damaged: a field is missing or makes no sense."
        ) from error


def snapshot_id(now: dt.datetime) -> str:
    """Return a fresh snapshot id; ids sort by time, to the microsecond."""
    moment = now.astimezone(dt.UTC)
    suffix = f"{moment.microsecond:05x}{clocks.new_id(2)[:3]}"
    return f"{moment:%Y%m%dT%H%M%SZ}-{suffix}"


def tenant_directory(keyring: Keyring, tenant_id: str) -> str:
    """Return the folder of a tenant's manifests."""
    return f"manifests/{keyring.blind(_TENANT, tenant_id)}"


def tenant_of_directory(keyring: Keyring, directory: str) -> str:
    """Return the tenant whose manifests are in ``manifests/<directory>``.

    Raises: ``errors.RepositoryDamaged`` when it is none of this repository's.
    """
    return keyring.unblind(_TENANT, directory)


def manifest_name(snapshot_id: str, edition: int) -> str:
    """Return the last part of an edition's path."""
    return f"{snapshot_id}.{edition}" if edition else snapshot_id


def manifest_path(keyring: Keyring, tenant_id: str, snapshot_id: str, edition: int = 0) -> str:
    """Return where an edition of the manifest of a snapshot is.

    Raises: ``errors.NotFound`` when ``snapshot_id`` has no snapshot id's form.
    """
    if not SNAPSHOT_ID.fullmatch(snapshot_id):
        raise errors.NotFound(
            f"{snapshot_id!r} is no snapshot id.",
            hint="Look in the list of snapshots.",
            typed="reentra snapshots NAME",
        )
    return f"{tenant_directory(keyring, tenant_id)}/{manifest_name(snapshot_id, edition)}"
