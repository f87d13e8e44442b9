"""What the product is asked to do. Each act runs in a process of its own and returns numbers."""

from __future__ import annotations

import itertools
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from reentra import progress, settings
from reentra.app import Application
from reentra.backup import run_backup
from reentra.catalog import SearchQuery
from reentra.compare import compare
from reentra.directory.kinds import KINDS
from reentra.directory.relationships import relationships_of
from reentra.graph import transport
from reentra.graph.connection import Cloud, TenantConnection
from reentra.repository import Repository, check_repository
from reentra.sandbox import seed_people
from reentra.snapshots import ReplayedSnapshot, SnapshotInfo
from reentra.snapshots.schema import OBJECTS_TABLE, RELATIONSHIPS_TABLE
from reentra.tasks import CatalogBases

from .tenant import TENANT_NAME

PASSPHRASE = "a passphrase for measuring"
_SERVED_PAGES = 40
Numbers = dict[str, float]


class Stopwatch:
    """Processor time of the whole process and wall time, since it was made."""

    def __init__(self) -> None:
        self._cpu = time.process_time()
        self._wall = time.perf_counter()

    @property
    def cpu_seconds(self) -> float:
        return time.process_time() - self._cpu

    @property
    def wall_seconds(self) -> float:
        return time.perf_counter() - self._wall


class HttpShare:
    """How much processor time goes into HTTP itself: sockets, requests, decompression.

    It is the time of the threads inside the last policy before the transport, which returns an
    answer read whole. Parsing what came is not in it.
    """

    def __init__(self) -> None:
        self.cpu_seconds = 0.0
        self._lock = threading.Lock()

    @contextmanager
    def measured(self) -> Iterator[None]:
        real = transport.ReadWholePolicy.send

        def send(policy: transport.ReadWholePolicy, request: Any) -> Any:
            began = time.thread_time()
            try:
                return real(policy, request)
            finally:
                with self._lock:
                    self.cpu_seconds += time.thread_time() - began

        transport.ReadWholePolicy.send = send  # type: ignore[method-assign]
        try:
            yield
        finally:
            transport.ReadWholePolicy.send = real  # type: ignore[method-assign]


@dataclass(frozen=True, slots=True)
class _Unit:
    """What one unit of a backup cost, and what it brought."""

    objects: int
    links: int
    cpu_seconds: float


@contextmanager
def opened(home: Path) -> Iterator[Application]:
    with Application(settings.Settings(home=home), lambda: PASSPHRASE) as application:
        yield application


def connect(home: Path, url: str, tenant_id: str, client_id: str, secret: str) -> Numbers:
    """Make a repository and connect the tenant."""
    with opened(home) as application:
        folder = str(application.settings.default_repository_path)
        Repository.create(application.storage(folder), PASSPHRASE)
        application.record_repository(folder)
        connection = TenantConnection(
            name=TENANT_NAME,
            tenant_id=tenant_id,
            client_id=client_id,
            cloud=Cloud.CUSTOM,
            graph_endpoint=url,
            authority=url,
        )
        application.connections.add(connection, secret)
    return {}


def back_up(home: Path) -> Numbers:
    """Back the tenant up and bring the catalog up to date, measured apart."""
    share = HttpShare()
    with opened(home) as application, share.measured():
        repository, catalog = application.repository, application.catalog
        before = bytes_below(home / "repository")
        tenant = application.open_tenant(TENANT_NAME, priority="low")
        marks: dict[str, float] = {}
        open_units: list[tuple[str, float]] = []

        def listen(event: progress.Event) -> None:
            now = time.process_time() - share.cpu_seconds
            if isinstance(event, progress.Started):
                open_units.append((event.activity, now))
            elif isinstance(event, progress.Finished):
                activity, began = open_units.pop()
                marks[activity] = now - began

        watch = Stopwatch()
        result = run_backup(
            tenant.client,
            tenant.live,
            repository,
            CatalogBases(application),
            listener=listen,
        )
        numbers = {
            "cpu_seconds": watch.cpu_seconds,
            "http_cpu_seconds": share.cpu_seconds,
            "wall_seconds": watch.wall_seconds,
            "requests": tenant.client.usage.requests,
            "bytes": bytes_below(home / "repository") - before,
            "peak_before_catalog_bytes": peak_bytes(),
            "objects": _objects(result.info),
            "links": sum(row.added for row in result.info.relationships.values()),
            "objects_changed": sum(
                row.added + row.changed + row.deleted for row in result.info.kinds.values()
            ),
            "links_removed": sum(row.removed for row in result.info.relationships.values()),
        }
        for table in (OBJECTS_TABLE, RELATIONSHIPS_TABLE):
            numbers[f"{table}_bytes"] = sum(
                segment.size_bytes for segment in result.manifest.segments if segment.table == table
            )
        numbers |= _costs(_units(result.info, marks))
        watch = Stopwatch()
        catalog.sync(tenant.connection.tenant_id)
        numbers["catalog_cpu_seconds"] = watch.cpu_seconds
        numbers["catalog_wall_seconds"] = watch.wall_seconds
    numbers["repository_bytes"] = bytes_below(home / "repository")
    numbers["catalog_bytes"] = sum(p.stat().st_size for p in home.glob("catalog*"))
    return numbers


def serve(home: Path) -> Numbers:
    """Read pages of users and do nothing with them: how fast the sandbox serves."""
    row = KINDS["user"]
    with opened(home) as application:
        client = application.open_tenant(TENANT_NAME).client
        watch = Stopwatch()
        params = {"$select": ",".join(row.select), "$top": 999}
        pages = sum(1 for _ in itertools.islice(client.pages(row.list_path, params), _SERVED_PAGES))
        return {"pages_per_second": pages / watch.wall_seconds}


def ask(home: Path, users: int, repeats: int) -> Numbers:
    """Ask the catalog what people ask it: compare, search, list, look at one object."""
    numbers: Numbers = {}
    with opened(home) as application:
        catalog = application.catalog
        tenant_id = application.connections.find(TENANT_NAME).tenant_id
        newest, *_, oldest = (item.id for item in catalog.list_snapshots(tenant_id))

        def candidates() -> Any:
            return catalog.candidates(tenant_id, oldest, newest)

        def compare_whole() -> int:
            before, after = catalog.state(tenant_id, oldest), catalog.state(tenant_id, newest)
            return sum(1 for _ in compare(before, after, candidates=candidates()))

        watch = Stopwatch()
        numbers["compare_changes"] = compare_whole()
        numbers["compare_first_ms"] = watch.wall_seconds * 1000
        numbers["compare_ms"] = statistics.median(_times(compare_whole, 3))
        numbers["candidates_ms"] = statistics.median(_times(candidates, 5))

        places = [1 + number * (users - 2) // repeats for number in range(repeats)]
        ids = [seed_people.bulk_guid("user", place) for place in places]
        state = catalog.state(tenant_id, newest)
        bodies: list[Any] = []
        reads = [
            lambda one=one: bodies.append(state.load_objects("user", [one])[one])  # type: ignore[misc]
            for one in ids
        ]
        numbers |= _percentiles("point_read", [_time(read) for read in reads])
        rare = [str(body.get("userPrincipalName")) for body in bodies]
        common = ["contoso", "com", "son", "ann", "mar", "@contoso.com", "ber", "all", "er", "a"]

        def search(text: str) -> int:
            return len(catalog.search(tenant_id, SearchQuery(text=text)).hits)

        numbers |= _percentiles("search_rare", [_time(lambda t=t: search(t)) for t in rare])  # type: ignore[misc]
        times = [
            _time(lambda t=text: search(t))  # type: ignore[misc]
            for text in (common * repeats)[: max(repeats, 20)]
        ]
        numbers |= _percentiles("search_common", times)
        for share in (0, 50, 99):
            offset = users * share // 100

            def page(offset: int = offset) -> Any:
                return catalog.list_page(tenant_id, newest, "user", offset=offset, limit=100)

            numbers[f"list_page_at_{share}_percent_ms"] = statistics.median(_times(page, 5))
    return numbers


def compare_live(home: Path) -> Numbers:
    """Compare the newest snapshot with the tenant as it is now."""
    with opened(home) as application:
        tenant = application.open_tenant(TENANT_NAME)
        tenant_id = tenant.connection.tenant_id
        watch = Stopwatch()
        newest = application.catalog.list_snapshots(tenant_id)[0].id
        found = compare(application.catalog.state(tenant_id, newest), tenant.live)
        changes = sum(1 for _ in found)
        return {
            "wall_seconds": watch.wall_seconds,
            "cpu_seconds": watch.cpu_seconds,
            "changes": changes,
            "requests": tenant.client.usage.requests,
        }


def check(home: Path) -> Numbers:
    """Verify every byte of the repository."""
    with opened(home) as application:
        watch = Stopwatch()
        report = check_repository(application.repository)
        assert report.is_whole
        return {
            "wall_seconds": watch.wall_seconds,
            "cpu_seconds": watch.cpu_seconds,
            "rows": report.rows,
            "bytes": report.bytes_read,
        }


def rebuild(home: Path) -> Numbers:
    """Make the catalog anew from the repository alone."""
    with opened(home) as application:
        watch = Stopwatch()
        report = application.catalog.rebuild()
        return {
            "wall_seconds": watch.wall_seconds,
            "cpu_seconds": watch.cpu_seconds,
            "objects": report.objects,
            "links": report.links,
        }


def replay(home: Path) -> Numbers:
    """Read the newest snapshot's state from the repository alone, without any catalog."""
    with opened(home) as application:
        repository = application.repository
        (tenant_id,) = repository.list_tenants()
        newest = repository.list_snapshot_ids(tenant_id)[-1]
        watch = Stopwatch()
        state = ReplayedSnapshot(repository, tenant_id, newest)
        opened_seconds = watch.wall_seconds
        objects = sum(sum(1 for _ in state.list_objects(kind)) for kind in state.kinds())
        return {
            "open_wall_seconds": opened_seconds,
            "wall_seconds": watch.wall_seconds,
            "cpu_seconds": watch.cpu_seconds,
            "objects": objects,
        }


ACTS: dict[str, Callable[..., Numbers]] = {
    act.__name__: act
    for act in (connect, serve, back_up, ask, compare_live, check, rebuild, replay)
}


def peak_bytes() -> int:
    """Return the most memory that this process has used."""
    # Linux counts in kibibytes, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def bytes_below(folder: Path) -> int:
    """Return the size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _objects(info: SnapshotInfo) -> int:
    return sum(row.objects for row in info.kinds.values())


def _units(info: SnapshotInfo, marks: dict[str, float]) -> dict[str, _Unit]:
    return {
        kind: _Unit(
            info.kinds[kind].added,
            sum(info.relationships[row.name].added for row in relationships_of(kind)),
            marks.get(KINDS[kind].title, 0.0),
        )
        for kind in ("user", "group")
    }


def _costs(units: dict[str, _Unit]) -> Numbers:
    """Tell what an object and what a link costs, from two units with different shares of them.

    The unit of users is mostly objects, that of groups mostly links: two equations. A group's body
    is taken to cost as much as a user's, which is smaller, so links come out a little too cheap and
    users a little too dear.
    """
    one, two = units["user"], units["group"]
    determinant = one.objects * two.links - two.objects * one.links
    if not determinant or not (one.cpu_seconds and two.cpu_seconds):
        return {}
    an_object = (one.cpu_seconds * two.links - two.cpu_seconds * one.links) / determinant
    a_link = (one.objects * two.cpu_seconds - two.objects * one.cpu_seconds) / determinant
    if an_object <= 0 or a_link <= 0:
        return {}
    return {"objects_per_cpu_second": 1 / an_object, "links_per_cpu_second": 1 / a_link}


def _time(act: Callable[[], object]) -> float:
    watch = time.perf_counter()
    act()
    return (time.perf_counter() - watch) * 1000


def _times(act: Callable[[], object], count: int) -> list[float]:
    return [_time(act) for _ in range(count)]


def _percentiles(name: str, times: list[float]) -> Numbers:
    ordered = sorted(times)
    return {
        f"{name}_p50_ms": ordered[len(ordered) // 2],
        f"{name}_p95_ms": ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)],
    }


def as_json(numbers: Numbers) -> bytes:
    return orjson.dumps(numbers)
