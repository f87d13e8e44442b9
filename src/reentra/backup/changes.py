"""Collect what one unit of a backup found, compared with the base, into the snapshot's writer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from reentra.backup.base import Base
from reentra.backup.ids import IdSet
from reentra.directory import canonical
from reentra.directory.objects import Relationship
from reentra.directory.relationships import RelationshipKind
from reentra.snapshots import SnapshotWriter

LinkTarget = tuple[str, str]
"""Target id and qualifier: what tells the links of one source apart."""
LinkEnd = tuple[str, str]
"""Target id and kind, as a delta tells them: such links have no qualifier."""
LinkKey = tuple[str, str, str, str]
"""``Relationship.key``."""

_LOAD_SOURCES = 500


class ObjectChanges:
    """The objects of one kind, as they are found.

    ``seen`` are the ids of everything that was found and is there. Objects that equal the base are
    not written.
    """

    def __init__(self, kind: str, base: Base, writer: SnapshotWriter) -> None:
        self.kind = kind
        self.seen = IdSet()
        self.deleted_ids: set[str] = set()
        self._base = base
        self._writer = writer
        self._known: dict[str, bytes | None] = {}
        self._has_all = False
        # What this run has written, where there is a base; None for a deletion.
        self._written: dict[str, bytes | None] = {}

    @property
    def added(self) -> int:
        """How many objects are there that the base does not have."""
        if self._base.is_empty:
            return len(self.seen)
        return sum(
            now is not None and self._known.get(one) is None for one, now in self._written.items()
        )

    @property
    def changed(self) -> int:
        """How many objects of the base are there in another form."""
        return sum(
            now is not None and self._known.get(one) not in (None, now)
            for one, now in self._written.items()
        )

    @property
    def deleted(self) -> int:
        """How many objects of the base are gone."""
        return sum(
            now is None and self._known.get(one) is not None for one, now in self._written.items()
        )

    def load_known(self, ids: Iterable[str]) -> None:
        """Fetch the base's digests of ``ids``; call it once a page, before ``put``."""
        if self._has_all or self._base.is_empty:
            return
        missing = [object_id for object_id in ids if object_id not in self._known]
        if missing:
            found = self._base.load_digests(self.kind, missing)
            for object_id in missing:
                self._known[object_id] = found.get(object_id)

    def load_all_known(self) -> None:
        """Fetch the base's digests of the whole kind: for a full read."""
        if not self._base.is_empty:
            self._known.update(self._base.load_digests(self.kind))
        self._has_all = True

    @property
    def has_whole_base(self) -> bool:
        """Whether the base's digests of the whole kind are loaded: a full read is under way."""
        return self._has_all

    def is_known(self, object_id: str) -> bool:
        """Tell whether the base has the object."""
        return self._known.get(object_id) is not None

    def put(self, object_id: str, properties: Mapping[str, Any], body: bytes | None = None) -> None:
        """Take an object in; a later call about the same object wins.

        ``body`` is the JSON of ``properties``, where that is at hand.
        """
        digest = canonical.digest(self.kind, properties)
        self.seen.add(object_id)
        if not self._base.is_empty:
            self.deleted_ids.discard(object_id)
            if self._written.get(object_id, self._known.get(object_id)) == digest:
                return
            self._written[object_id] = digest
        elif self.deleted_ids:
            self.deleted_ids.discard(object_id)
        self._writer.put_object(self.kind, object_id, digest, properties, body)

    def delete(self, object_id: str) -> bool:
        """Take in that an object is gone; return whether anything had known it."""
        was_seen = self.seen.discard(object_id)
        if self._base.is_empty:
            is_there = was_seen
        else:
            is_there = self._written.get(object_id, self._known.get(object_id)) is not None
            if is_there:
                self._written[object_id] = None
        if is_there:
            self._writer.delete_object(self.kind, object_id)
            self.deleted_ids.add(object_id)
        return is_there

    def delete_unseen(self) -> list[str]:
        """After a whole read: take in that what the base knows and nobody saw is gone."""
        gone = [
            object_id
            for object_id, digest in self._known.items()
            if digest is not None and object_id not in self.seen
        ]
        return [object_id for object_id in gone if self.delete(object_id)]

    def present(self, ids: Collection[str]) -> set[str]:
        """Return those of ``ids`` that are there after this run."""
        if self._has_all or self._base.is_empty:
            return {one for one in ids if one in self.seen}
        known = self._base.load_digests(self.kind, list(ids))
        there = (one for one in ids if one in known or one in self.seen)
        return {one for one in there if one not in self.deleted_ids}

    def current_ids(self) -> list[str]:
        """Return the ids of the kind after this run, from the base and what was found."""
        if not self._has_all and not self._base.is_empty:
            ids = dict.fromkeys(self._base.load_digests(self.kind))
            ids.update(dict.fromkeys(self.seen))
            return [object_id for object_id in ids if object_id not in self.deleted_ids]
        return list(self.seen)


class LinkChanges:
    """The links of one relationship, as they are found."""

    def __init__(self, row: RelationshipKind, base: Base, writer: SnapshotWriter) -> None:
        self.row = row
        self.added = 0
        self.removed = 0
        self._base = base
        self._writer = writer

    def put_new(self, links: Iterable[Relationship]) -> None:
        """Take in links of a first backup: there is nothing to compare them with."""
        self.added += self._writer.put_links(links)

    def put_new_targets(self, source_id: str, targets: Sequence[LinkEnd]) -> None:
        """Take in links of one object in a first backup."""
        self._writer.put_targets(self.row.name, source_id, targets)
        self.added += len(targets)

    def replace(self, source_ids: Sequence[str], found: Iterable[Relationship]) -> None:
        """Take in that ``found`` are all the links of ``source_ids``."""
        by_source: dict[str, dict[LinkTarget, Relationship]] = {s: {} for s in source_ids}
        for link in found:
            by_source.setdefault(link.source_id, {})[link.target_id, link.qualifier] = link
        for start in range(0, len(source_ids), _LOAD_SOURCES):
            chunk = source_ids[start : start + _LOAD_SOURCES]
            known = self.load_known(chunk)
            for source_id in chunk:
                self._write(known.get(source_id, {}), by_source[source_id])

    def apply(
        self,
        known: dict[LinkTarget, Relationship],
        additions: Sequence[Relationship],
        removals: Sequence[Relationship],
    ) -> bool:
        """Take in what a delta told about one source; ``known`` is brought up to date.

        Returns whether it told something new only: news that is known already means that the
        delta tells the source anew, and perhaps without what was removed meanwhile.
        """
        is_news = all((link.target_id, link.qualifier) not in known for link in additions)
        wanted = dict(known)
        for link in removals:
            wanted.pop((link.target_id, link.qualifier), None)
        for link in additions:
            if self.row.is_single:
                wanted = {}
            wanted[link.target_id, link.qualifier] = link
        self._write(known, wanted)
        known.clear()
        known.update(wanted)
        return is_news

    def remove_sources(self, source_ids: Sequence[str]) -> None:
        """Take in that these sources are gone, and with them every link that the base knows."""
        if not self._base.is_empty:
            self.replace(source_ids, ())

    def remove(self, link: Relationship) -> None:
        """Take in that one link is gone."""
        self._writer.remove_link(link)
        self.removed += 1

    def reconcile(
        self,
        source_ids: Sequence[str],
        found: Iterable[Relationship],
        written: Mapping[LinkKey, tuple[Relationship, bool]],
        are_live: Callable[[Sequence[Relationship]], set[LinkKey]],
    ) -> None:
        """Take in that ``found`` are all links of the sources that a list shows.

        Lists hide links to objects in the recycle bin, which come back with those: a link that is
        missing is only removed when its target is there (``are_live`` returns those links' keys).
        ``written`` is what this run wrote about the sources before.
        """
        before = {
            link.key: link
            for links in self.load_known(source_ids).values()
            for link in links.values()
        }
        for key, (link, exists) in written.items():
            if exists:
                before[key] = link
            else:
                before.pop(key, None)
        after = {link.key: link for link in found}
        missing = [link for key, link in before.items() if key not in after]
        live = are_live(missing) if missing else set()
        for link in missing:
            if link.key in live:
                self.remove(link)
        self.put_new(link for key, link in after.items() if key not in before)

    def replace_all(
        self,
        found: Mapping[str, Mapping[LinkTarget, Relationship]],
        spared: Collection[str] = (),
    ) -> None:
        """Take in that ``found`` are all links there are, by source.

        Links of ``spared`` sources are only added to: what was found of them is not all.
        """
        left = {source: dict(links) for source, links in found.items()}
        for link in self._base.list_relationships(self.row.name):
            links = left.get(link.source_id, {})
            is_gone = links.pop((link.target_id, link.qualifier), None) is None
            if is_gone and link.source_id not in spared:
                self.remove(link)
        for links in left.values():
            self.put_new(links.values())

    def load_known(self, source_ids: Sequence[str]) -> dict[str, dict[LinkTarget, Relationship]]:
        """Fetch the base's links of ``source_ids``, by source."""
        known: dict[str, dict[LinkTarget, Relationship]] = {}
        if self._base.is_empty or not source_ids:
            return known
        for link in self._base.load_relationships(self.row.name, source_ids):
            known.setdefault(link.source_id, {})[link.target_id, link.qualifier] = link
        return known

    def _write(
        self,
        known: Mapping[LinkTarget, Relationship],
        wanted: Mapping[LinkTarget, Relationship],
    ) -> None:
        gone = [link for key, link in known.items() if key not in wanted]
        new = [link for key, link in wanted.items() if key not in known]
        if gone:
            self._writer.remove_links(gone)
            self.removed += len(gone)
        if new:
            self.added += self._writer.put_links(new)


class ToldLinks:
    """What the base knows of the links that a delta tells about, and nothing else of its sources.

    A group has members by the ten thousand, of which an hour changes a few.
    """

    def __init__(self, row: RelationshipKind, base: Base) -> None:
        self._row = row
        self._base = base
        self._known: dict[str, dict[LinkTarget, Relationship]] = {}
        self._looked_up: dict[str, set[str]] = {}

    def load(self, ends: Iterable[tuple[str, Sequence[str]]]) -> None:
        """Fetch what the base knows of these sources and targets, once in a round for each.

        A single-valued link is replaced whatever its target is: then sources alone count.
        """
        new: dict[str, set[str]] = {}
        for source_id, target_ids in ends:
            looked_up = self._looked_up.setdefault(source_id, set())
            fresh = {""} if self._row.is_single else {*target_ids}
            fresh -= looked_up
            if fresh:
                looked_up |= fresh
                new.setdefault(source_id, set()).update(fresh)
        if not new:
            return
        found = (
            self._base.load_relationships(self._row.name, list(new))
            if self._row.is_single
            else self._base.load_links(
                self._row.name,
                [(source_id, target) for source_id, told in new.items() for target in sorted(told)],
            )
        )
        for link in found:
            self.of(link.source_id)[link.target_id, link.qualifier] = link

    def of(self, source_id: str) -> dict[LinkTarget, Relationship]:
        """Return what is known of one source; whoever changes it brings it up to date here."""
        return self._known.setdefault(source_id, {})

    def forget(self, source_id: str) -> None:
        """Drop what is known of a source that is gone: if it returns, the base is asked anew."""
        self._known.pop(source_id, None)
        self._looked_up.pop(source_id, None)
