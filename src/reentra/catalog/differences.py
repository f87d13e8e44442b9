"""What may differ between two snapshots: questions whose cost follows what changed between."""

# Statements are put together from constants and from integers of ours; values are parameters.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from reentra.catalog.reading import ALIVE, TenantReader
from reentra.catalog.statements import run, run_in

_Held = tuple[bytes, str | None] | None  # digest and name, where the object is there


class ChangedDigests(NamedTuple):
    """An object's digests in two snapshots (``None``: not there), and its name in the later one."""

    before: bytes | None
    after: bytes | None
    name: str


@dataclass(frozen=True, slots=True)
class Candidates:
    """What may differ between two snapshots: objects by kind, sources of links by relationship."""

    objects: Mapping[str, Mapping[str, ChangedDigests]]
    sources: Mapping[str, tuple[str, ...]]


def candidates(
    reader: TenantReader, before_id: str, after_id: str, kinds: Sequence[str] | None = None
) -> Candidates:
    """Return what may differ between two snapshots; the cost follows what changed between."""
    first, last = reader.ordinal(before_id), reader.ordinal(after_id)
    low, high = sorted((first, last))
    changed: dict[str, dict[int, tuple[_Held, _Held]]] = {}
    appeared: set[int] = set()  # or vanished
    for kind, kind_no in reader.kinds().items():
        ends = (_ended(reader, kind_no, low, high), _begun(reader, kind_no, low, high))
        if first > last:
            ends = ends[::-1]
        appeared |= ends[0].keys() ^ ends[1].keys()
        pairs = {no: (ends[0].get(no), ends[1].get(no)) for no in ends[0].keys() | ends[1]}
        pairs = {no: (a, b) for no, (a, b) in pairs.items() if not (a and b and a[0] == b[0])}
        if pairs and (kinds is None or kind in kinds):
            changed[kind] = pairs
    sources: dict[str, set[int]] = {}
    for name, relationship_no in reader.relationships().items():
        numbers = _touched_sources(reader, relationship_no, low, high)
        numbers |= _sources_to(reader, relationship_no, appeared, low, high)
        if numbers:
            sources[name] = numbers
    ids = reader.ids(set().union(*changed.values(), *sources.values()))
    return Candidates(
        {
            kind: {ids[no]: _digests(ids[no], *pair) for no, pair in pairs.items()}
            for kind, pairs in changed.items()
        },
        {name: tuple(ids[number] for number in numbers) for name, numbers in sources.items()},
    )


def changed_ends(
    reader: TenantReader, before_id: str, after_id: str, relationship: str
) -> list[tuple[str, str]]:
    """Return (source id, target id) of the links that may differ between two snapshots.

    They are those of which one came or went, and those whose target appeared or vanished.
    """
    low, high = sorted((reader.ordinal(before_id), reader.ordinal(after_id)))
    relationship_no = reader.relationships().get(relationship)
    if relationship_no is None:
        return []
    appeared: set[int] = set()
    for kind_no in reader.kinds().values():
        appeared |= _ended(reader, kind_no, low, high).keys() ^ _begun(reader, kind_no, low, high)
    query = """
        SELECT source_no, target_no FROM link_version
        WHERE relationship_no = ? AND began > 0 AND began > ? AND began <= ?
        UNION
        SELECT source_no, target_no FROM link_version
        WHERE relationship_no = ? AND ended IS NOT NULL AND ended > ? AND ended <= ?
    """
    rows = run(reader.connection, query, *(relationship_no, low, high) * 2).all()
    found = {(source_no, target_no) for source_no, target_no in rows}
    query = (
        "SELECT source_no, target_no FROM link_version"
        " WHERE relationship_no = ? AND target_no IN ({items})"
        f" AND (({ALIVE}) OR ({ALIVE}))"
    )
    more = run_in(
        reader.connection, query, list(appeared), relationship_no, after=(low, low, high, high)
    )
    found.update((source_no, target_no) for source_no, target_no in more)
    ids = reader.ids({number for pair in found for number in pair})
    return [(ids[source_no], ids[target_no]) for source_no, target_no in found]


def _ended(
    reader: TenantReader, kind_no: int, low: int, high: int
) -> dict[int, tuple[bytes, str | None]]:
    """Return what was there at ``low`` and ended until ``high``."""
    query = (
        "SELECT object_no, digest, name FROM object_version WHERE kind_no = ?"
        " AND ended IS NOT NULL AND ended > ? AND ended <= ? AND began <= ?"
    )
    rows = run(reader.connection, query, kind_no, low, high, low)
    return {number: (bytes(digest), name) for number, digest, name in rows}


def _begun(
    reader: TenantReader, kind_no: int, low: int, high: int
) -> dict[int, tuple[bytes, str | None]]:
    """Return what is there at ``high`` and began after ``low``."""
    query = (
        "SELECT object_no, digest, name FROM object_version WHERE kind_no = ?"
        " AND began > 0 AND began > ? AND began <= ? AND (ended IS NULL OR ended > ?)"
    )
    rows = run(reader.connection, query, kind_no, low, high, high)
    return {number: (bytes(digest), name) for number, digest, name in rows}


def _touched_sources(reader: TenantReader, relationship_no: int, low: int, high: int) -> set[int]:
    query = """
        SELECT source_no FROM link_version
        WHERE relationship_no = ? AND began > 0 AND began > ? AND began <= ?
        UNION
        SELECT source_no FROM link_version
        WHERE relationship_no = ? AND ended IS NOT NULL AND ended > ? AND ended <= ?
    """
    rows = run(reader.connection, query, *(relationship_no, low, high) * 2)
    return {row[0] for row in rows}


def _sources_to(
    reader: TenantReader, relationship_no: int, targets: set[int], low: int, high: int
) -> set[int]:
    query = (
        "SELECT source_no FROM link_version"
        " WHERE relationship_no = ? AND target_no IN ({items})"
        f" AND (({ALIVE}) OR ({ALIVE}))"
    )
    rows = run_in(
        reader.connection, query, list(targets), relationship_no, after=(low, low, high, high)
    )
    return {row[0] for row in rows}


def _digests(object_id: str, before: _Held, after: _Held) -> ChangedDigests:
    name = (after or before or (b"", None))[1]
    return ChangedDigests(
        before[0] if before else None, after[0] if after else None, name or object_id
    )
