"""The catalog: keeps in step with the repository, and answers."""

from __future__ import annotations

import datetime as dt
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

import orjson
import pyarrow as pa
import sqlalchemy as sa

from reentra import clock as clocks
from reentra import errors, progress
from reentra.catalog import chain, differences, linked, searching
from reentra.catalog.indexing import SnapshotIndexer
from reentra.catalog.naming import LATEST, resolved
from reentra.catalog.reading import (
    ObjectVersion,
    Page,
    SnapshotChanges,
    SnapshotSummary,
    TenantReader,
    stored_time,
)
from reentra.catalog.searchtext import searched_text
from reentra.catalog.state import CatalogState
from reentra.catalog.statements import run
from reentra.database import Database, is_corruption
from reentra.repository import Manifest, SegmentInfo

P = ParamSpec("P")
R = TypeVar("R")

SORTS = ("name", "modified")


class ReadsSnapshots(Protocol):
    """The part of ``Repository`` that the catalog needs."""

    def list_tenants(self) -> list[str]:
        """Fetch the ids of the tenants that have snapshots."""

    def list_editions(self, tenant_id: str) -> dict[str, int]:
        """Fetch the ids of a tenant's snapshots, each with its manifest's edition."""

    def list_forgotten(self, tenant_id: str) -> frozenset[str]:
        """Fetch the ids of those that are forgotten and still stored."""

    def load_manifest(self, tenant_id: str, snapshot_id: str) -> Manifest:
        """Fetch one manifest."""

    def scan(
        self, segment: SegmentInfo, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Fetch the rows in order."""

    def read_rows(
        self, segment: SegmentInfo, rows: Sequence[int], columns: Sequence[str] | None = None
    ) -> pa.Table:
        """Fetch the rows of these numbers."""


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What a rebuild did. ``skipped`` are snapshots that are damaged, with the reason."""

    tenants: int
    snapshots: int
    objects: int  # rows read
    links: int
    seconds: float
    skipped: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "tenants": self.tenants,
            "snapshots": self.snapshots,
            "objects": self.objects,
            "links": self.links,
            "seconds": round(self.seconds, 3),
            "skipped": list(self.skipped),
        }


def _healing(
    ask: Callable[Concatenate[Catalog, P], R],
) -> Callable[Concatenate[Catalog, P], R]:
    """Answer from a catalog made anew when the file turns out to be unreadable."""

    @functools.wraps(ask)
    def asked(self: Catalog, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return ask(self, *args, **kwargs)
        except (sa.exc.DatabaseError, errors.ConfigurationError) as error:
            is_shared = self._shared.reader is not None  # then who opened it heals
            if is_shared or not is_corruption(error.__cause__ or error):
                raise
            self.rebuild()
            return ask(self, *args, **kwargs)

    return cast("Callable[Concatenate[Catalog, P], R]", asked)


class _Shared(threading.local):
    """The reader that a thread's questions share, while there is one."""

    reader: TenantReader | None = None


class Catalog:
    """A searchable index of a repository's snapshots. Safe for use by many threads.

    ``sync`` before asking: nothing is known of snapshots that were not indexed. Every question
    about a snapshot raises ``errors.NotFound`` for an unknown one and ``errors.RepositoryDamaged``
    for one that could not be indexed because it is damaged.
    """

    def __init__(
        self,
        database: Database,
        repository: ReadsSnapshots,
        *,
        clock: clocks.Clock = clocks.SYSTEM,
    ) -> None:
        self._database = database
        self.repository = repository
        self._clock = clock
        self._damaged: dict[tuple[str, str], errors.RepositoryDamaged] = {}
        self._indexed = [0, 0]  # rows of objects and of links, since the last rebuild began
        self._shared = _Shared()

    # Keeping in step

    def sync(self, tenant_id: str, listener: progress.Listener = progress.ignore) -> list[str]:
        """Index the snapshots that are not known yet and drop those that are gone.

        Returns the ids that were indexed, oldest first. Each is one transaction: killed at any
        point, the next call goes on. A damaged snapshot is told to the listener and left out, with
        those that are built on it.
        Raises: ``errors.StorageError``.
        """
        try:
            return self._sync(tenant_id, listener)
        except (sa.exc.DatabaseError, errors.ConfigurationError) as error:
            if not is_corruption(error.__cause__ or error):
                raise
            listener(progress.Noted("The catalog was unreadable and is made anew.", True))
            self._database.start_over()
            return self._sync(tenant_id, listener)

    def rebuild(self, listener: progress.Listener = progress.ignore) -> RebuildReport:
        """Drop everything and index every tenant from the repository alone."""
        began = self._clock.monotonic_seconds()
        self._damaged.clear()
        self._indexed = [0, 0]
        self._database.start_over()
        tenants = self.repository.list_tenants()
        snapshots = sum(len(self._sync(tenant_id, listener)) for tenant_id in tenants)
        return RebuildReport(
            tenants=len(tenants),
            snapshots=snapshots,
            objects=self._indexed[0],
            links=self._indexed[1],
            seconds=self._clock.monotonic_seconds() - began,
            skipped=tuple(f"{item}: {error}" for (_, item), error in self._damaged.items()),
        )

    @_healing
    def known_heads(self) -> dict[str, str]:
        """Return tenant -> the newest snapshot that was ever indexed, for ``check``."""
        query = (
            "SELECT t.tenant_id, s.id FROM tenant t JOIN snapshot s ON s.tenant_no = t.no"
            " WHERE s.ordinal = (SELECT max(ordinal) FROM snapshot WHERE tenant_no = t.no)"
        )
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in run(connection, query)}

    # Asking

    @_healing
    def list_snapshots(
        self,
        tenant_id: str,
        *,
        before: int | None = None,
        limit: int | None = None,
        taken_from: dt.datetime | None = None,
        taken_before: dt.datetime | None = None,
    ) -> list[SnapshotSummary]:
        """Return a tenant's snapshots, newest first: all, or some of those before an ordinal.

        With moments: only those taken at the first or later, and before the second.
        """
        with self.reading(tenant_id) as reader:
            return reader.list_snapshots(
                before=before, limit=limit, taken_from=taken_from, taken_before=taken_before
            )

    @_healing
    def list_moments(self, tenant_id: str, places: Sequence[int]) -> list[tuple[str, dt.datetime]]:
        """Return (id, moment) of the snapshots at these places of a tenant's line, in this order.

        The oldest snapshot is at place 0; what is beyond the newest is left out.
        """
        with self.reading(tenant_id) as reader:
            taken = reader.taken(places)
            return [taken[place] for place in places if place in taken]

    @_healing
    def count_snapshots(self, tenant_id: str) -> int:
        """Return how many snapshots a tenant has."""
        with self.reading(tenant_id) as reader:
            return reader.newest_ordinal() + 1

    @_healing
    def count_days(self, tenant_id: str) -> list[tuple[int, dt.datetime, dt.datetime]]:
        """Return the number of snapshots of each day in UTC, with the first and last moment."""
        with self.reading(tenant_id) as reader:
            return reader.count_days()

    @_healing
    def list_changes(
        self, tenant_id: str, first: dt.datetime, end: dt.datetime
    ) -> list[SnapshotChanges]:
        """Return how much each snapshot taken between two moments changed, oldest first."""
        with self.reading(tenant_id) as reader:
            return reader.list_changes(first, end)

    @_healing
    def resolve_snapshot(self, tenant_id: str, text: str) -> SnapshotSummary:
        """Return the snapshot that ``text`` names: id, unique beginning, ``latest``, or a time.

        Raises: ``errors.NotFound``, ``errors.UsageError``.
        """
        self._raise_if_damaged(tenant_id, text)
        with self.reading(tenant_id) as reader:
            if text == LATEST and (newest := reader.list_snapshots(limit=1)):
                return newest[0]
            # An id is what pages ask for, and thousands of moments need not be read for it.
            if (named := reader.find_snapshot(text)) is not None:
                return named
            return reader.snapshot(resolved(reader.times(), text))

    @_healing
    def open_state(self, tenant_id: str, text: str) -> CatalogState:
        """Return the snapshot that ``text`` names as a ``TenantState``.

        Raises: ``errors.NotFound``, ``errors.UsageError``.
        """
        return CatalogState(self, tenant_id, self.resolve_snapshot(tenant_id, text))

    @_healing
    def state(self, tenant_id: str, snapshot_id: str) -> CatalogState:
        """Return a snapshot as a ``TenantState``."""
        self._raise_if_damaged(tenant_id, snapshot_id)
        return CatalogState(self, tenant_id, snapshot_id)

    @_healing
    def kind_counts(self, tenant_id: str, snapshot_id: str) -> dict[str, int]:
        """Return kind -> number of objects, for kinds that have any."""
        with self.reading(tenant_id) as reader:
            return reader.counts(snapshot_id)

    @_healing
    def list_page(
        self,
        tenant_id: str,
        snapshot_id: str,
        kind: str,
        *,
        text: str = "",
        sort: str = "name",
        descending: bool = False,
        offset: int = 0,
        limit: int = 100,
        after: int = 0,
    ) -> Page:
        """Return a part of the objects of a kind, by ``name`` or ``modified``.

        ``after`` is the ``last`` of the page that ends at ``offset``, for a shorter way.
        ``text`` keeps those whose name, principal name, mail, client id or description holds it.
        Raises: ``errors.UsageError`` for an unknown order.
        """
        if sort not in SORTS:
            raise errors.UsageError(
                f"Objects cannot be sorted by {sort!r}.", hint=f"Sort by {' or '.join(SORTS)}."
            )
        with self.reading(tenant_id) as reader:
            return reader.page(
                snapshot_id, kind, text=searched_text(text), sort=sort, descending=descending,
                offset=max(0, offset), limit=max(0, limit), after=after,
            )  # fmt: skip

    @_healing
    def load_digests(
        self, tenant_id: str, snapshot_id: str, kind: str, ids: Sequence[str] | None = None
    ) -> dict[str, bytes]:
        """Return id -> digest at a snapshot, for ``ids`` or for the whole kind."""
        return self.state(tenant_id, snapshot_id).load_digests(kind, ids)

    def load_link_keys(
        self,
        tenant_id: str,
        snapshot_id: str,
        relationship: str,
        source_ids: Sequence[str] | None = None,
    ) -> Iterator[tuple[str, str, str]]:
        """Yield (source id, target id, qualifier) at a snapshot, of ``source_ids`` or of all."""
        state = self.state(tenant_id, snapshot_id)
        if source_ids is None:
            links = state.list_relationships(relationship)
        else:
            links = iter(state.load_relationships(relationship, source_ids))
        for link in links:
            yield link.source_id, link.target_id, link.qualifier

    @_healing
    def search(self, tenant_id: str, query: searching.SearchQuery) -> searching.SearchPage:
        """Return objects by text, kind and time, over all snapshots, newest version first."""
        with self.reading(tenant_id) as reader:
            return searching.search(reader, query)

    @_healing
    def list_versions(self, tenant_id: str, kind: str, object_id: str) -> list[ObjectVersion]:
        """Return the versions of an object, oldest first."""
        with self.reading(tenant_id) as reader:
            return reader.list_versions(kind, object_id)

    @_healing
    def differing_snapshots(
        self, tenant_id: str, kind: str, object_id: str, snapshot_id: str
    ) -> list[str]:
        """Return the snapshots in which an object, or what it is linked to, is not as in this one.

        Newest first; snapshots that do not hold the object are left out.
        """
        with self.reading(tenant_id) as reader:
            return reader.differing_snapshots(kind, object_id, snapshot_id)

    @_healing
    def differing_places(
        self, tenant_id: str, kind: str, object_id: str, snapshot_id: str
    ) -> list[int]:
        """Return the places of the same snapshots in the tenant's line, oldest first."""
        with self.reading(tenant_id) as reader:
            return reader.differing_places(kind, object_id, snapshot_id)

    @_healing
    def count_links(
        self, tenant_id: str, snapshot_id: str, relationship: str, object_id: str, *, outgoing: bool
    ) -> int:
        """Return how many links of one relationship an object has in one direction."""
        with self.reading(tenant_id) as reader:
            return linked.count_links(
                reader, snapshot_id, relationship, object_id, outgoing=outgoing
            )

    @_healing
    def list_links(
        self,
        tenant_id: str,
        snapshot_id: str,
        relationship: str,
        object_id: str,
        *,
        outgoing: bool,
        offset: int,
        limit: int,
    ) -> list[linked.LinkEnd]:
        """Return a part of those links, in an order that is always the same."""
        with self.reading(tenant_id) as reader:
            return linked.page_of_links(
                reader, snapshot_id, relationship, object_id, outgoing=outgoing, offset=offset,
                limit=limit,
            )  # fmt: skip

    @_healing
    def candidates(
        self, tenant_id: str, before_id: str, after_id: str, kinds: Sequence[str] | None = None
    ) -> differences.Candidates:
        """Return what may differ between two snapshots; the cost follows the change.

        ``kinds`` narrows the objects, never the sources of links.
        """
        with self.reading(tenant_id) as reader:
            return differences.candidates(reader, before_id, after_id, kinds)

    @contextmanager
    def one_moment(self, tenant_id: str) -> Iterator[None]:
        """Let every question that this thread asks in the block see the same moment.

        They share a connection, which also makes many small ones cheaper.
        Raises: ``errors.StorageError`` when the file turned out to be unreadable, and is new now.
        """
        try:
            with self.reading(tenant_id) as reader:
                self._shared.reader = reader
                try:
                    yield
                finally:
                    self._shared.reader = None
        except (sa.exc.DatabaseError, errors.ConfigurationError) as error:
            if not is_corruption(error.__cause__ or error):
                raise
            self.rebuild()
            raise errors.StorageError(
                "The catalog was unreadable and has been made anew.", hint="Ask again."
            ) from error

    @contextmanager
    def reading(self, tenant_id: str) -> Iterator[TenantReader]:
        """Open a reader that sees one moment of the catalog.

        Raises: ``errors.ConfigurationError`` when the file turns out to be unreadable.
        """
        shared = self._shared.reader
        if shared is not None and shared.tenant_id == tenant_id:
            yield shared
            return
        try:
            with self._database.reading() as connection:
                yield TenantReader(connection, tenant_id)
        except sa.exc.DatabaseError as error:
            if not is_corruption(error):
                raise
            raise errors.ConfigurationError(
                f"The catalog {self._database.shown_url} is unreadable.",
                hint="Make the catalog anew from the repository.",
                typed="reentra rebuild",
            ) from error

    # Inside

    def _raise_if_damaged(self, tenant_id: str, snapshot_id: str) -> None:
        known = self._damaged.get((tenant_id, snapshot_id))
        if known is not None:
            raise known

    def _sync(self, tenant_id: str, listener: progress.Listener) -> list[str]:
        present = sorted(self.repository.list_editions(tenant_id).items())
        for key in [key for key in self._damaged if key[0] == tenant_id]:
            del self._damaged[key]
        with self.reading(tenant_id) as reader:
            known = reader.editions()
        if known == present:
            return []
        if not known and len(present) > 1:
            listener(
                progress.Noted(
                    f"The catalog is made from the repository: {len(present)} snapshots."
                )
            )
        stored = dict(present)
        gone = [snapshot_id for snapshot_id, _ in known if snapshot_id not in stored]
        if gone and not set(gone) <= self.repository.list_forgotten(tenant_id):
            listener(
                progress.Noted(
                    f"No longer in the repository: {', '.join(gone)}. If nobody forgot them on"
                    " purpose, the store was rolled back or lost files.",
                    True,
                )
            )
        kept = self._take_away_gone(tenant_id, known, present)
        indexed = []
        for snapshot_id in [item for item in stored if item not in set(kept)]:
            try:
                if self._index(tenant_id, snapshot_id, listener):
                    indexed.append(snapshot_id)
            except errors.RepositoryDamaged as error:
                self._damaged[tenant_id, snapshot_id] = error
                listener(
                    progress.Noted(f"Snapshot {snapshot_id} is left out: {error.message}", True)
                )
            except errors.NotFound:
                listener(progress.Noted(f"Snapshot {snapshot_id} is gone meanwhile.", True))
        return indexed

    def _take_away_gone(
        self, tenant_id: str, known: list[tuple[str, int]], present: list[tuple[str, int]]
    ) -> list[str]:
        """Drop what is not in the repository so, and what came after it; return what stays.

        A snapshot that was left out because of damage stands between two that are indexed.
        """
        remaining = iter(present)
        kept = []
        for item in known:
            if item not in remaining:  # advances: what is kept is in the same order
                break
            kept.append(item[0])
        if len(kept) < len(known):
            with self._database.writing() as connection:
                reader = TenantReader(connection, tenant_id)
                if reader.editions() == known:
                    chain.take_away(connection, reader.tenant_no, len(kept))
        return kept

    def _index(self, tenant_id: str, snapshot_id: str, listener: progress.Listener) -> bool:
        """Index one snapshot in one transaction; return whether it was not there yet."""
        manifest = self.repository.load_manifest(tenant_id, snapshot_id)
        with self._database.writing() as connection:
            if connection.dialect.name == "postgresql":
                run(connection, "SELECT pg_advisory_xact_lock(7236873)")
            reader = TenantReader(connection, tenant_id)
            tenant_no = reader.tenant_no or _new_tenant(connection, tenant_id)
            if reader.find_place(snapshot_id) is not None:  # another process was faster
                return False
            ordinal = reader.newest_ordinal() + 1
            parent = _parent_ordinal(manifest, reader)
            indexer = SnapshotIndexer(connection, self.repository, tenant_no, ordinal, listener)
            if parent != ordinal - 1:
                chain.turn_back(connection, tenant_no, ordinal, parent)
            indexer.index(manifest)
            self._record(connection, tenant_no, ordinal, manifest)
        self._indexed[0] += indexer.objects
        self._indexed[1] += indexer.links
        return True

    @staticmethod
    def _record(
        connection: sa.Connection, tenant_no: int, ordinal: int, manifest: Manifest
    ) -> None:
        query = "SELECT counts FROM snapshot WHERE tenant_no = ? AND ordinal = ?"
        before = run(connection, query, tenant_no, ordinal - 1).scalar()
        counts = chain.count_objects(
            connection, tenant_no, ordinal, orjson.loads(before) if before else {}
        )
        info = {**manifest.payload, "delta_links": {}}
        run(
            connection,
            "INSERT INTO snapshot (tenant_no, ordinal, id, sha256, created_at, parent, status,"
            " info, counts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            tenant_no, ordinal, manifest.id, manifest.stamp, stored_time(manifest.created_at),
            manifest.parent.id if manifest.parent else None, str(manifest.payload["status"]),
            orjson.dumps(info).decode(), orjson.dumps(counts).decode(),
        )  # fmt: skip


def _new_tenant(connection: sa.Connection, tenant_id: str) -> int:
    number = int(run(connection, "SELECT coalesce(max(no), 0) + 1 FROM tenant").scalar_one())
    run(connection, "INSERT INTO tenant (no, tenant_id) VALUES (?, ?)", number, tenant_id)
    return number


def _parent_ordinal(manifest: Manifest, reader: TenantReader) -> int:
    parent = manifest.parent
    if parent is None:
        return -1
    found = reader.find_place(parent.id)
    if found is None:
        raise errors.RepositoryDamaged(
            f"The snapshot {parent.id}, which {manifest.id} is built on, is missing or damaged."
        )
    ordinal, stamp = found
    if stamp.partition(".")[0] != parent.sha256:
        raise errors.RepositoryDamaged(
            f"The snapshot {parent.id} is not the one that {manifest.id} was built on."
        )
    return ordinal
