"""A sandbox tenant, a repository, and a base without a catalog, for tests of the backup."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from reentra import clock as clocks
from reentra import progress
from reentra.backup import BackupOptions, BackupResult, run_backup
from reentra.directory import canonical
from reentra.directory.kinds import KINDS
from reentra.directory.objects import DirectoryObject, Relationship
from reentra.directory.relationships import RELATIONSHIPS
from reentra.directory.state import TenantState
from reentra.graph.client import GraphClient, connect
from reentra.graph.connection import Cloud, TenantConnection
from reentra.graph.pace import Limits
from reentra.graph.reader import LiveTenant
from reentra.repository import KdfCost, Manifest, Repository, open_storage
from reentra.sandbox import seed
from reentra.sandbox.app import SandboxServer
from reentra.sandbox.faults import Faults
from reentra.sandbox.tenant import Tenant
from reentra.snapshots import ReplayedSnapshot

PASSPHRASE = "correct horse battery staple"
CHEAP = KdfCost(memory_kib=1024, iterations=1, lanes=1)


class ReplayBase:
    """The parent's state from the repository alone."""

    is_empty = False

    def __init__(self, snapshot: ReplayedSnapshot) -> None:
        self.snapshot = snapshot

    def load_digests(self, kind: str, ids: Sequence[str] | None = None) -> dict[str, bytes]:
        if ids is None:
            items: Any = self.snapshot.list_objects(kind)
        else:
            items = self.snapshot.load_objects(kind, ids).values()
        return {item.id: canonical.digest(kind, item.properties) for item in items}

    def load_objects(self, kind: str, ids: Sequence[str]) -> dict[str, DirectoryObject]:
        return self.snapshot.load_objects(kind, ids)

    def load_relationships(
        self, relationship: str, source_ids: Sequence[str]
    ) -> list[Relationship]:
        return self.snapshot.load_relationships(relationship, source_ids)

    def load_links(self, relationship: str, ends: Sequence[tuple[str, str]]) -> list[Relationship]:
        wanted = set(ends)
        sources = list(dict.fromkeys(source for source, _ in ends))
        found = self.snapshot.load_relationships(relationship, sources)
        return [link for link in found if (link.source_id, link.target_id) in wanted]

    def list_relationships(self, relationship: str) -> Iterator[Relationship]:
        return self.snapshot.list_relationships(relationship)


class ReplayBases:
    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def open_base(self, parent: Manifest) -> ReplayBase:
        return ReplayBase(ReplayedSnapshot(self._repository, parent.tenant_id, parent.id))


@dataclass
class World:
    """One sandbox tenant and one repository that backs it up."""

    server: SandboxServer
    repository: Repository
    client: GraphClient
    live: LiveTenant
    admin: GraphClient  # an administrator's script, which writes
    events: list[progress.Event] = field(default_factory=list)

    @property
    def tenant(self) -> Tenant:
        return self.server.sandbox.tenant

    def backup(self, **options: Any) -> BackupResult:
        return run_backup(
            self.client,
            self.live,
            self.repository,
            ReplayBases(self.repository),
            BackupOptions(**options),
            listener=self.events.append,
        )

    def snapshot(self, result: BackupResult) -> ReplayedSnapshot:
        return ReplayedSnapshot(self.repository, self.client.tenant_id, result.manifest.id)

    @property
    def faults(self) -> Faults:
        return self.server.sandbox.faults

    def counted(self, work: Callable[[], Any]) -> dict[str, int]:
        """Return how often each operation was asked for while ``work`` ran."""
        self.server.sandbox.counters.reset()
        work()
        return dict(self.server.sandbox.counters.by_operation)


PATIENCE = Limits().scaled(50)
IMPATIENCE = dataclasses.replace(PATIENCE, max_failures=2)


def connected(
    server: SandboxServer,
    role: str,
    limits: Limits = PATIENCE,
    clock: clocks.Clock = clocks.SYSTEM,
) -> GraphClient:
    """Return a client of a running sandbox as one of its registered applications."""
    connection = TenantConnection(
        name="test",
        tenant_id=server.sandbox.tenant.tenant_id,
        client_id=getattr(seed, f"{role.upper()}_CLIENT_ID"),
        cloud=Cloud.CUSTOM,
        graph_endpoint=server.base_url,
        authority=server.base_url,
    )
    return connect(connection, lambda: seed.SANDBOX_SECRET, limits=limits, clock=clock)


def new_world(
    server: SandboxServer, limits: Limits = PATIENCE, clock: clocks.Clock = clocks.SYSTEM
) -> World:
    """Connect to a running sandbox and make a repository in memory."""
    repository, _ = Repository.create(open_storage("memory://"), PASSPHRASE, cost=CHEAP)
    client = connected(server, "backup", limits, clock)
    return World(server, repository, client, LiveTenant(client), connected(server, "both"))


def objects_of(state: TenantState, kind: str) -> dict[str, dict[str, Any]]:
    """Return what counts of every object of a kind."""
    return {
        item.id: canonical.canonical_properties(kind, item.properties)
        for item in state.list_objects(kind)
    }


def links_of(state: TenantState, relationship: str) -> set[tuple[str, str, str]]:
    """Return the links of a relationship whose target a complete state knows."""
    row = RELATIONSHIPS[relationship]
    known = {
        item.id for kind in row.target_kinds if kind in KINDS for item in state.list_objects(kind)
    }
    return {
        (link.source_id, link.target_id, link.qualifier)
        for link in state.list_relationships(relationship)
        if link.target_id in known
    }


def assert_same_state(snapshot: TenantState, live: TenantState) -> None:
    """Compare a snapshot with the tenant, kind by kind and link by link."""
    for kind in KINDS:
        assert objects_of(snapshot, kind) == objects_of(live, kind), kind
    for relationship in RELATIONSHIPS:
        assert links_of(snapshot, relationship) == links_of(live, relationship), relationship
