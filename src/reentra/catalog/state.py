"""A snapshot as a ``TenantState``: existence, names and links from the catalog, bodies by place."""

# Statements are put together from constants and from integers of ours; values are parameters.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import orjson

from reentra.catalog import differences
from reentra.catalog.reading import ALIVE, SnapshotSummary, TenantReader
from reentra.catalog.searchtext import SEARCHED
from reentra.catalog.statements import Row, chunks, run, run_in, run_in_pairs
from reentra.directory.kinds import KINDS
from reentra.directory.objects import DirectoryObject, Relationship
from reentra.directory.state import Coverage, TenantState
from reentra.repository import SegmentInfo
from reentra.snapshots.identifiers import decoded, encoded_each

if TYPE_CHECKING:
    from reentra.catalog.catalog import Catalog

_READ_AT_ONCE = 4096
# CROSS JOIN keeps SQLite to the order that is written: the few named ids first, never the kind.
_ALIVE = "v.began <= ? AND (v.ended IS NULL OR v.ended > ?)"
_NAMED = f"""
    FROM identity i CROSS JOIN object_version v
    WHERE v.kind_no = ? AND {_ALIVE} AND v.object_no = i.no
    AND i.tenant_no = ? AND i.id IN ({{items}})
"""
_LINKS = """
    SELECT s.id, t.id, l.qualifier, l.target_kind_no
    FROM identity {near} CROSS JOIN link_version l {index} CROSS JOIN identity {far}
    WHERE l.relationship_no = ? AND l.began <= ? AND (l.ended IS NULL OR l.ended > ?)
    AND l.source_no = s.no AND l.target_no = t.no
    AND {near}.tenant_no = ? AND {near}.id IN ({{items}})
"""
# Without statistics SQLite takes the primary key, and walks through the whole relationship.
_BY_TARGET = "INDEXED BY link_version_target"
# The pairs are few and named first: SQLite then seeks each of them. Twice the same pair is once.
_LINKS_OF_PAIRS = """
    WITH pair(source_no, target_no) AS (VALUES {pairs})
    SELECT DISTINCT l.source_no, l.target_no, l.qualifier, l.target_kind_no
    FROM pair CROSS JOIN link_version l
    WHERE l.relationship_no = ? AND l.source_no = pair.source_no AND l.target_no = pair.target_no
    AND l.began <= ? AND (l.ended IS NULL OR l.ended > ?)
"""
_ALL_LINKS = """
    SELECT l.source_no, l.target_no, l.qualifier, l.began, l.target_kind_no, s.id, t.id
    FROM link_version l CROSS JOIN identity s CROSS JOIN identity t
    WHERE s.no = l.source_no AND t.no = l.target_no AND l.relationship_no = ?
    AND (l.source_no, l.target_no, l.qualifier, l.began) > (?, ?, ?, ?)
    AND l.began <= ? AND (l.ended IS NULL OR l.ended > ?)
    ORDER BY l.source_no, l.target_no, l.qualifier, l.began LIMIT ?
"""


class CatalogState:
    """A tenant at a snapshot. Also tells digests without reading bodies.

    Raises, at reads of bodies: ``errors.RepositoryDamaged`` for what a damaged segment holds.
    """

    is_empty = False

    def __init__(self, catalog: Catalog, tenant_id: str, snapshot: str | SnapshotSummary) -> None:
        self._catalog = catalog
        self._tenant_id = tenant_id
        with catalog.reading(tenant_id) as reader:
            self.summary = reader.snapshot(snapshot) if isinstance(snapshot, str) else snapshot
            self._kinds = reader.kinds()
            self._relationships = reader.relationships()
        self._kind_names = {number: name for name, number in self._kinds.items()}
        self._segments: dict[int, SegmentInfo] = {}

    @property
    def tenant_id(self) -> str:
        return self._tenant_id

    @property
    def label(self) -> str:
        return self.summary.id

    def coverage(self) -> Mapping[str, Coverage]:
        return self.summary.info.coverage()

    def list_objects(self, kind: str) -> Iterator[DirectoryObject]:
        kind_no, at = self._kinds.get(kind), self.summary.ordinal
        last = 0
        while kind_no is not None:
            # A page at a time, so that no reader is held open while somebody consumes.
            query = f"""
                SELECT v.object_no, i.id, v.segment_no, v.row_no FROM object_version v
                CROSS JOIN identity i
                WHERE i.no = v.object_no AND v.kind_no = ? AND v.object_no > ? AND {_ALIVE}
                ORDER BY v.object_no LIMIT ?
            """
            with self._catalog.reading(self._tenant_id) as reader:
                rows = run(reader.connection, query, kind_no, last, at, at, _READ_AT_ONCE).all()
            if not rows:
                return
            last = rows[-1][0]
            yield from self._read(kind, [(bytes(row[1]), row[2], row[3]) for row in rows])

    def load_objects(self, kind: str, ids: Sequence[str]) -> dict[str, DirectoryObject]:
        return {item.id: item for item in self.stream_objects(kind, ids)}

    def stream_objects(self, kind: str, ids: Sequence[str]) -> Iterator[DirectoryObject]:
        """Yield those of ``ids`` that exist, in the order in which they are stored.

        However many they are, each part of a segment is read once.
        """
        kind_no, at = self._kinds.get(kind), self.summary.ordinal
        if kind_no is None or not ids:
            return
        query = f"SELECT i.id, v.segment_no, v.row_no {_NAMED}"
        with self._catalog.reading(self._tenant_id) as reader:
            places = {
                bytes(row[0]): (row[1], row[2])
                for row in run_in(
                    reader.connection, query, _codes(ids), kind_no, at, at, reader.tenant_no
                )
            }
        yield from self._read(kind, [(code, *place) for code, place in places.items()])

    def find_objects(
        self, kind: str, property_name: str, values: Sequence[str]
    ) -> list[DirectoryObject]:
        wanted = {value.lower() for value in values if value}
        row = KINDS.get(kind)
        is_indexed = property_name in SEARCHED and not (row is not None and row.is_link)
        is_indexed |= row is not None and property_name == row.title_property and not row.is_link
        items: Iterable[DirectoryObject]
        if is_indexed and all(len(value) >= 3 for value in wanted):
            items = self.load_objects(kind, self._ids_with_text(kind, wanted)).values()
        else:
            items = self.list_objects(kind)
        return [
            item
            for item in items
            if isinstance(item.get(property_name), str)
            and item.get(property_name).lower() in wanted
        ]

    def list_relationships(self, relationship: str) -> Iterator[Relationship]:
        number, at = self._relationships.get(relationship), self.summary.ordinal
        if number is None:
            return
        last = (-1, -1, "", -1)
        while True:
            with self._catalog.reading(self._tenant_id) as reader:
                rows = run(
                    reader.connection, _ALL_LINKS, number, *last, at, at, 4 * _READ_AT_ONCE
                ).all()
            if not rows:
                return
            source_code, source = b"", ""
            for row in rows:
                if row[5] != source_code:
                    source_code, source = row[5], decoded(bytes(row[5]))
                yield Relationship(
                    relationship, source, decoded(bytes(row[6])),
                    self._kind_names.get(row[4], ""), row[2],
                )  # fmt: skip
            last = (rows[-1][0], rows[-1][1], rows[-1][2], rows[-1][3])

    def load_relationships(
        self, relationship: str, source_ids: Sequence[str]
    ) -> list[Relationship]:
        return self._links_at(relationship, source_ids, "s")

    def load_relationships_to(
        self, relationship: str, target_ids: Sequence[str]
    ) -> list[Relationship]:
        return self._links_at(relationship, target_ids, "t")

    def load_links_of(
        self, object_id: str, outgoing: Sequence[str], incoming: Sequence[str]
    ) -> tuple[list[Relationship], list[Relationship]]:
        """Return the links of one object: those that start at it, and those that lead to it.

        It is what ``load_relationships`` and ``load_relationships_to`` say of these relationships
        one after the other, in two questions instead of one for each.
        """
        with self._catalog.reading(self._tenant_id) as reader:
            object_no = reader.object_no(object_id)
            if object_no is None:
                return [], []
            return (
                self._links_of(reader, object_id, object_no, outgoing, is_source=True),
                self._links_of(reader, object_id, object_no, incoming, is_source=False),
            )

    def _links_of(
        self,
        reader: TenantReader,
        object_id: str,
        object_no: int,
        names: Sequence[str],
        *,
        is_source: bool,
    ) -> list[Relationship]:
        known = {self._relationships[name]: name for name in names if name in self._relationships}
        if not known:
            return []
        near, far = ("source_no", "target_no") if is_source else ("target_no", "source_no")
        index = _BY_TARGET if reader.is_sqlite and not is_source else ""
        numbers = ",".join(map(str, known))
        query = f"""
            SELECT l.relationship_no, i.id, l.qualifier, l.target_kind_no
            FROM link_version l {index} CROSS JOIN identity i
            WHERE l.relationship_no IN ({numbers}) AND l.{near} = ? AND i.no = l.{far}
            AND l.began <= ? AND (l.ended IS NULL OR l.ended > ?)
        """
        at, kinds = self.summary.ordinal, {0: "", **self._kind_names}
        found: dict[str, list[Relationship]] = {name: [] for name in known.values()}
        for number, code, qualifier, kind_no in run(reader.connection, query, object_no, at, at):
            other = decoded(bytes(code))
            ends = (object_id, other) if is_source else (other, object_id)
            name = known[number]
            found[name].append(Relationship(name, *ends, kinds[kind_no], qualifier))
        return [link for links in found.values() for link in links]

    def list_changed_ends(
        self,
        relationship: str,
        other: TenantState,
        sources: Sequence[str],
        vanished: Collection[str],
    ) -> list[tuple[str, str]] | None:
        """Return the ends of links that may differ from ``other``'s; ``None`` for a stranger."""
        if not self._is_beside(other):
            return None
        with self._catalog.reading(self._tenant_id) as reader:
            return differences.changed_ends(
                reader, self.label, other.label, relationship, sources, vanished
            )

    def list_surely_changed(
        self,
        relationship: str,
        source_kind: str,
        after: TenantState,
        *,
        with_removed: bool,
        with_added: bool,
    ) -> dict[str, str]:
        """Return sources whose links differ beyond doubt, with names; none from a stranger."""
        if not self._is_beside(after):
            return {}
        with self._catalog.reading(self._tenant_id) as reader:
            return differences.surely_changed(
                reader, self.label, after.label, relationship, source_kind,
                with_removed=with_removed, with_added=with_added,
            )  # fmt: skip

    def _is_beside(self, other: TenantState) -> bool:
        """Tell whether another state is of the same tenant in the same catalog."""
        if not isinstance(other, CatalogState):
            return False
        own, its = (self._catalog, self._tenant_id), (other._catalog, other._tenant_id)  # noqa: SLF001
        return own == its

    def load_links(self, relationship: str, ends: Sequence[tuple[str, str]]) -> list[Relationship]:
        """Return the links that go from a source to a target of ``ends``."""
        number, at = self._relationships.get(relationship), self.summary.ordinal
        if number is None or not ends:
            return []
        kinds = {0: "", **self._kind_names}
        with self._catalog.reading(self._tenant_id) as reader:
            query = "SELECT id, no FROM identity WHERE tenant_no = ? AND id IN ({items})"
            named = list({one: None for pair in ends for one in pair})
            codes = dict(zip(named, encoded_each(named), strict=True))
            numbers = {
                bytes(code): no
                for code, no in run_in(
                    reader.connection, query, list(codes.values()), reader.tenant_no
                )
            }
            pairs = {
                (numbers.get(codes[source]), numbers.get(codes[target])): (source, target)
                for source, target in ends
            }
            known = [pair for pair in pairs if None not in pair]
            return [
                Relationship(relationship, *pairs[source, target], kinds[kind_no], qualifier)
                for source, target, qualifier, kind_no in run_in_pairs(
                    reader.connection, _LINKS_OF_PAIRS, known, number, at, at
                )
            ]

    def load_names(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        at = self.summary.ordinal
        names: dict[str, tuple[str, str]] = {}
        waiting = dict.fromkeys(_codes(ids))
        if not waiting:
            return names
        with self._catalog.reading(self._tenant_id) as reader:
            counts = reader.counts(self.summary.id)
            # The largest kinds first: most ids are found there and need not be asked for again.
            kinds = [self._kinds[kind] for kind in sorted(counts, key=lambda kind: -counts[kind])]
            for some in (kinds[:1], kinds[1:2], kinds[2:]):
                numbers = ",".join(map(str, some))
                query = f"""
                    SELECT i.id, v.kind_no, v.name FROM identity i CROSS JOIN object_version v
                    WHERE v.kind_no IN ({numbers}) AND {_ALIVE} AND v.object_no = i.no
                    AND i.tenant_no = ? AND i.id IN ({{items}})
                """
                rows = run_in(
                    reader.connection, query, list(waiting) if some else [], at, at,
                    reader.tenant_no,
                )  # fmt: skip
                for code, kind_no, name in rows:
                    object_id = decoded(bytes(code))
                    names[object_id] = (self._kind_names[kind_no], name or object_id)
                    waiting.pop(bytes(code), None)
        return names

    def load_digests(self, kind: str, ids: Sequence[str] | None = None) -> dict[str, bytes]:
        """Return id -> ``canonical.digest``, for ``ids`` or for the whole kind."""
        kind_no, at = self._kinds.get(kind), self.summary.ordinal
        if kind_no is None:
            return {}
        with self._catalog.reading(self._tenant_id) as reader:
            rows: Iterable[Row]
            if ids is None:
                query = f"""
                    SELECT i.id, v.digest FROM object_version v CROSS JOIN identity i
                    WHERE v.kind_no = ? AND {_ALIVE} AND i.no = v.object_no
                """
                rows = run(reader.connection, query, kind_no, at, at)
            else:
                query = f"SELECT i.id, v.digest {_NAMED}"
                rows = run_in(
                    reader.connection, query, _codes(ids), kind_no, at, at, reader.tenant_no
                )
            return {decoded(bytes(code)): bytes(digest) for code, digest in rows}

    def _links_at(self, relationship: str, ids: Sequence[str], end: str) -> list[Relationship]:
        number, at = self._relationships.get(relationship), self.summary.ordinal
        if number is None or not ids:
            return []
        kinds = {0: "", **self._kind_names}
        with self._catalog.reading(self._tenant_id) as reader:
            index = _BY_TARGET if end == "t" and reader.is_sqlite else ""
            query = _LINKS.format(near=end, far="t" if end == "s" else "s", index=index)
            rows = run_in(reader.connection, query, _codes(ids), number, at, at, reader.tenant_no)
            texts = _Texts()
            return [
                Relationship(relationship, texts[source], texts[target], kinds[kind_no], qualifier)
                for source, target, qualifier, kind_no in rows
            ]

    def _ids_with_text(self, kind: str, texts: Iterable[str]) -> list[str]:
        kind_no, at = self._kinds.get(kind), self.summary.ordinal
        found: dict[str, None] = {}
        with self._catalog.reading(self._tenant_id) as reader:
            for text in sorted(texts):
                condition, values = reader.text_condition(text)
                query = f"""
                    SELECT id FROM identity WHERE no IN (
                        SELECT object_no FROM object_version
                        WHERE kind_no = ? AND {ALIVE} AND {condition})
                """
                rows = run(reader.connection, query, kind_no, at, at, *values)
                found.update((decoded(bytes(row[0])), None) for row in rows)
        return list(found)

    def _read(
        self, kind: str, places: Sequence[tuple[bytes, int, int]]
    ) -> Iterator[DirectoryObject]:
        by_segment: dict[int, list[tuple[int, bytes]]] = {}
        for code, segment_no, row_no in places:
            by_segment.setdefault(segment_no, []).append((row_no, code))
        for segment_no, wanted in by_segment.items():
            segment = self._segment(segment_no)
            wanted.sort()
            for piece in chunks(wanted, _READ_AT_ONCE):
                table = self._catalog.repository.read_rows(
                    segment, [row for row, _ in piece], ["body"]
                )
                bodies = table.column("body").to_pylist()
                for (_, code), body in zip(piece, bodies, strict=True):
                    yield DirectoryObject(kind, decoded(code), orjson.loads(body))

    def _segment(self, segment_no: int) -> SegmentInfo:
        known = self._segments.get(segment_no)
        if known is None:
            with self._catalog.reading(self._tenant_id) as reader:
                query = "SELECT info FROM segment WHERE no = ?"
                info = run(reader.connection, query, segment_no).scalar_one()
            known = self._segments[segment_no] = SegmentInfo.from_json(orjson.loads(info))
        return known


# What a backup compares with is the same thing: a snapshot that is cheap to ask for digests.
CatalogBase = CatalogState


class _Texts(dict[bytes, str]):
    """Identifiers by their codes; the same one is met again and again."""

    def __missing__(self, code: bytes) -> str:
        text = self[code] = decoded(bytes(code))
        return text


def _codes(ids: Iterable[str]) -> list[bytes]:
    return encoded_each([*dict.fromkeys(ids)])
