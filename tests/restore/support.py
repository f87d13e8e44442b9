"""A sandbox tenant that is captured, harmed, and restored through real HTTP."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from reentra import progress
from reentra.directory.selection import EVERYTHING, Selection
from reentra.graph.client import GraphClient, connect
from reentra.graph.connection import Cloud, TenantConnection
from reentra.graph.pace import Limits
from reentra.graph.reader import LiveTenant
from reentra.graph.writer import TenantWriter
from reentra.restore.apply import Applier, RestoreSecrets
from reentra.restore.draft import RestoreOptions
from reentra.restore.identity import NO_IDENTITY, IdentityMap
from reentra.restore.journal import Journal, MemoryJournal
from reentra.restore.plan import RestorePlan, plan_restore
from reentra.restore.report import RestoreReport
from reentra.sandbox import seed
from reentra.sandbox.app import Sandbox, SandboxServer
from tests.models import ModelTenant

NOW = dt.datetime(2026, 3, 4, 5, 6, 7, tzinfo=dt.UTC)
PASSWORD = "Correct-Horse-7-Battery"
QUICK = Limits().scaled(10_000)


class SandboxClock:
    """A clock whose waiting moves the sandbox's time on, so that nobody really waits."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.slept_seconds = 0.0

    def now(self) -> dt.datetime:
        return self._sandbox.clock.now()

    def monotonic_seconds(self) -> float:
        return self._sandbox.clock.seconds()

    def sleep(self, seconds: float) -> None:
        self.slept_seconds += seconds
        self._sandbox.clock.advance(seconds)


@dataclass
class World:
    """One sandbox tenant with clients of it."""

    server: SandboxServer
    client: GraphClient
    live: LiveTenant
    clock: SandboxClock
    identity: IdentityMap = NO_IDENTITY
    saved: list[IdentityMap] = field(default_factory=list)
    events: list[progress.Event] = field(default_factory=list)

    @property
    def sandbox(self) -> Sandbox:
        return self.server.sandbox

    @property
    def writer(self) -> TenantWriter:
        return TenantWriter(self.client)

    def captured(self) -> ModelTenant:
        self.live.forget_extensions()
        return ModelTenant.captured(self.live, "captured")

    def plan(
        self,
        desired: ModelTenant,
        selection: Selection = EVERYTHING,
        options: RestoreOptions | None = None,
        granted: frozenset[str] | None = None,
    ) -> RestorePlan:
        return plan_restore(
            desired,
            self.live,
            selection,
            options or RestoreOptions(),
            self.identity,
            created_at=NOW,
            granted=granted,
        )

    def applier(self, plan: RestorePlan, journal: Journal | None = None, **options: Any) -> Applier:
        def save(identity: IdentityMap) -> None:
            self.identity = identity
            self.saved.append(identity)

        return Applier(
            plan,
            self.live,
            self.writer,
            journal if journal is not None else MemoryJournal(),
            self.identity,
            options.pop("secrets", RestoreSecrets.with_default(PASSWORD)),
            clock=self.clock,
            listener=self.events.append,
            on_identity=save,
            **options,
        )

    def restore(
        self,
        desired: ModelTenant,
        selection: Selection = EVERYTHING,
        options: RestoreOptions | None = None,
    ) -> RestoreReport:
        return self.applier(self.plan(desired, selection, options)).run()

    # Mishaps

    def ids(self, kind: str) -> dict[str, str]:
        """Return display name -> id."""
        return {
            str(item.get("displayName") or item.id): item.id
            for item in self.live.list_objects(kind)
        }

    def soft_delete(self, collection: str, object_id: str) -> None:
        self.client.delete(f"/{collection}/{object_id}")

    def purge(self, collection: str, object_id: str) -> None:
        self.soft_delete(collection, object_id)
        self.client.delete(f"/directory/deletedItems/{object_id}")

    def counted(self, work: Callable[[], Any]) -> dict[str, int]:
        """Return how often each operation was asked for while ``work`` ran."""
        self.sandbox.counters.reset()
        work()
        return dict(self.sandbox.counters.by_operation)


def connection_of(server: SandboxServer) -> TenantConnection:
    return TenantConnection(
        name="test",
        tenant_id=server.sandbox.tenant.tenant_id,
        client_id=seed.BOTH_CLIENT_ID,
        cloud=Cloud.CUSTOM,
        graph_endpoint=server.base_url,
        authority=server.base_url,
    )


def new_world(server: SandboxServer) -> World:
    clock = SandboxClock(server.sandbox)
    client = connect(connection_of(server), lambda: seed.SANDBOX_SECRET, limits=QUICK)
    return World(server, client, LiveTenant(client), clock)


def worlds(**options: Any) -> Iterator[World]:
    """Yield one world; at its end every scripted fault must have struck."""
    with SandboxServer(seed_name="small", **options) as running:
        world = new_world(running)
        yield world
        world.client.close()
        running.sandbox.faults.assert_all_used()
        assert not running.sandbox.counters.by_status[501], "Graph does not know a request"
