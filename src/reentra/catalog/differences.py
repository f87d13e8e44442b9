"""What may differ between two snapshots: questions whose cost follows what changed between."""

# Statements are put together from constants and from integers of ours; values are parameters.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from reentra.catalog.reading import ALIVE, TenantReader
from reentra.catalog.statements import run, run_in
from reentra.snapshots.identifiers import decoded

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
    reader: TenantReader,
    before_id: str,
    after_id: str,
    relationship: str,
    sources: Sequence[str],
    vanished: Collection[str],
) -> list[tuple[str, str]]:
    """Return (source id, target id) of the links of ``sources`` that may differ between two.

    They are those of which one came or went, and those whose target is ``vanished``: it is known
    to be in one of the two snapshots only.
    """
    low, high = sorted((reader.ordinal(before_id), reader.ordinal(after_id)))
    relationship_no = reader.relationships().get(relationship)
    if relationship_no is None:
        return []
    own = reader.numbers(sources)
    query = """
        SELECT source_no, target_no FROM link_version
        WHERE relationship_no = ? AND source_no IN ({items})
        AND ((began > ? AND began <= ?) OR (ended > ? AND ended <= ?))
    """
    rows = run_in(reader.connection, query, own, relationship_no, after=(low, high, low, high))
    found = {(source_no, target_no) for source_no, target_no in rows}
    known = set(own)
    query = (
        "SELECT source_no, target_no FROM link_version"
        " WHERE relationship_no = ? AND target_no IN ({items})"
        f" AND (({ALIVE}) OR ({ALIVE}))"
    )
    more = run_in(
        reader.connection, query, reader.numbers(vanished), relationship_no,
        after=(low, low, high, high),
    )  # fmt: skip
    found.update(pair for pair in ((row[0], row[1]) for row in more) if pair[0] in known)
    ids = reader.ids({number for pair in found for number in pair})
    return [(ids[source_no], ids[target_no]) for source_no, target_no in found]


def surely_changed(
    reader: TenantReader,
    before_id: str,
    after_id: str,
    relationship: str,
    source_kind: str,
    *,
    with_removed: bool,
    with_added: bool,
) -> dict[str, str]:
    """Return sources at which a link came or went beyond doubt, as id -> name in ``after``.

    Beyond doubt: the link's target is there on the side that has the link. One link of each source
    is looked at, so a source that is not named may have changed all the same.
    """
    before, after = reader.ordinal(before_id), reader.ordinal(after_id)
    relationship_no = reader.relationships().get(relationship)
    kind_no = reader.kinds().get(source_kind)
    if relationship_no is None or kind_no is None or before == after:
        return {}
    found: set[int] = set()
    for is_told, here, there in ((with_removed, before, after), (with_added, after, before)):
        if is_told:
            found |= _sources_of_own(reader, relationship_no, here, there)
    query = """
        SELECT i.id, v.name FROM identity i CROSS JOIN object_version v
        WHERE v.kind_no = ? AND v.object_no = i.no AND v.began <= ?
        AND (v.ended IS NULL OR v.ended > ?) AND i.no IN ({items})
    """
    rows = run_in(reader.connection, query, sorted(found), kind_no, after, after)
    named = ((decoded(bytes(code)), name) for code, name in rows)
    return {object_id: name or object_id for object_id, name in named}


def _sources_of_own(reader: TenantReader, relationship_no: int, here: int, there: int) -> set[int]:
    """Return the sources whose first link that is only ``here`` has a target that is there, too."""
    low, high = sorted((here, there))
    span, values = "{0}ended > ? AND {0}ended <= ? AND {0}began <= ?", (low, high, low)
    if here == high:
        span = "{0}began > 0 AND {0}began > ? AND {0}began <= ?"
        span += " AND ({0}ended IS NULL OR {0}ended > ?)"
        values = (low, high, high)
    query = f"""
        WITH one AS (
            SELECT source_no, min(target_no) AS target_no FROM link_version
            WHERE relationship_no = ? AND {span.format("")} GROUP BY source_no
        )
        SELECT l.source_no FROM one CROSS JOIN link_version l
        WHERE l.relationship_no = ? AND l.source_no = one.source_no
        AND l.target_no = one.target_no AND {span.format("l.")}
        AND NOT EXISTS (
            SELECT 1 FROM link_version o WHERE o.relationship_no = l.relationship_no
            AND o.source_no = l.source_no AND o.target_no = l.target_no
            AND o.qualifier = l.qualifier AND o.began <= ? AND (o.ended IS NULL OR o.ended > ?)
        ) AND EXISTS (
            SELECT 1 FROM object_version v WHERE v.kind_no = l.target_kind_no
            AND v.object_no = l.target_no AND v.began <= ? AND (v.ended IS NULL OR v.ended > ?)
        )
    """
    given = (relationship_no, *values, relationship_no, *values, there, there, here, here)
    return {row[0] for row in run(reader.connection, query, *given)}


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
