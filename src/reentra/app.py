"""The composition root: builds the objects from the settings, each when it is first asked for.

It holds no behaviour. Whoever makes an ``Application`` closes it.
"""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from reentra import clock as clocks
from reentra import errors, progress, settings
from reentra.connections import Connections, write_private
from reentra.identities import Identities

if TYPE_CHECKING:
    from reentra.access import Access
    from reentra.catalog import Catalog
    from reentra.database import Database, JobStore, Part
    from reentra.graph.client import GraphClient
    from reentra.graph.connection import TenantConnection
    from reentra.graph.reader import LiveTenant
    from reentra.jobs.schedules import Schedules
    from reentra.repository import Repository, Storage


@dataclass(frozen=True, slots=True)
class OpenTenant:
    """A tenant that can be spoken to: its connection, a client, and the tenant as it is now."""

    connection: TenantConnection
    client: GraphClient
    live: LiveTenant


class Application:
    """One installation: a home, a repository, its tenants, its databases.

    ``ask_passphrase`` is called at most once, when the repository is first opened.
    """

    def __init__(
        self,
        chosen: settings.Settings,
        ask_passphrase: Callable[[], str],
        *,
        clock: clocks.Clock = clocks.SYSTEM,
    ) -> None:
        self.settings = chosen
        self.clock = clock
        self._ask_passphrase = ask_passphrase
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Application:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._closing.close()

    @property
    def home(self) -> Path:
        return self.settings.home

    @functools.cached_property
    def repository_url(self) -> str:
        """Where the repository is.

        Raises: ``ConfigurationError`` when none was made here or named.
        """
        if self.settings.repository:
            return self.settings.repository
        try:
            return self.recorded_repository()
        except FileNotFoundError:
            raise errors.ConfigurationError(
                f"There is no repository yet below {self.home}.",
                hint="Name an existing one with REENTRA_REPOSITORY, or the right home with "
                "REENTRA_HOME, or make one.",
                typed="reentra init",
            ) from None

    def recorded_repository(self) -> str:
        """Read which repository this home uses.

        Raises: ``FileNotFoundError``; ``ConfigurationError`` when the record cannot be read.
        """
        content = self.settings.config_path.read_bytes()
        try:
            return str(orjson.loads(content)["repository"])
        except (orjson.JSONDecodeError, KeyError, TypeError) as failure:
            raise errors.ConfigurationError(
                f"{self.settings.config_path} cannot be read.",
                hint='It should say {"repository": "URL"}; write it again, or set '
                "REENTRA_REPOSITORY.",
            ) from failure

    @property
    def has_repository(self) -> bool:
        return bool(self.settings.repository) or self.settings.config_path.exists()

    def record_repository(self, url: str) -> None:
        """Remember which repository this home uses."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(self.settings.config_path, {"repository": url})

    def storage(self, url: str) -> Storage:
        from reentra.repository import open_storage

        return open_storage(url, clock=self.clock)

    @functools.cached_property
    def repository(self) -> Repository:
        from reentra.repository import Repository

        storage = self.storage(self.repository_url)
        return Repository.open(storage, self._ask_passphrase(), clock=self.clock)

    @functools.cached_property
    def connections(self) -> Connections:
        return Connections(self.home, lambda: self.repository)

    @functools.cached_property
    def catalog(self) -> Catalog:
        from reentra.catalog import Catalog
        from reentra.database import Part

        return Catalog(self._database(Part.CATALOG), self.repository)

    @functools.cached_property
    def identities(self) -> Identities:
        return Identities(self.repository)

    @functools.cached_property
    def jobs(self) -> JobStore:
        from reentra.database import JobStore, Part

        return JobStore(self._database(Part.JOBS), clock=self.clock)

    @functools.cached_property
    def access(self) -> Access:
        from reentra.access import Access
        from reentra.access.vault import Vault, load_vault_key
        from reentra.database import Part

        vault = Vault(lambda: load_vault_key(self.repository))
        return Access(self._database(Part.ACCESS), vault, self.clock)

    @functools.cached_property
    def schedules(self) -> Schedules:
        from reentra.jobs.schedules import Schedules

        return Schedules(self.access.database, self.clock)

    def set_up_address(self, secret: str) -> str:
        """Return a set-up link; what follows ``#`` never reaches a server's or proxy's log."""
        return f"{self.settings.public_url.rstrip('/')}/set-up#{secret}"

    @property
    def steps_url(self) -> str:
        """Where the steps of durable jobs are kept."""
        return self.settings.database_url or f"sqlite:///{self.home / 'steps.sqlite'}"

    @property
    def claims_folder(self) -> Path:
        return self.home / "claims"

    def open_tenant(
        self, name: str, *, priority: str = "", listener: progress.Listener = progress.ignore
    ) -> OpenTenant:
        """Build the client for a connected tenant; nothing is sent until it is used.

        Raises: ``NotFound`` for an unknown name.
        """
        from reentra.graph.client import connect
        from reentra.graph.reader import LiveTenant

        stored = self.connections.load(name)
        client = connect(
            stored.connection,
            lambda: stored.secret,
            clock=self.clock,
            priority=priority,
            listener=listener,
        )
        self._closing.callback(client.close)
        return OpenTenant(stored.connection, client, LiveTenant(client))

    @contextlib.contextmanager
    def visiting(self) -> Iterator[Application]:
        """Yield an application that shares all with this one, and closes what it opened alone.

        For a process that lives long: the clients of a job or a request go when it ends.
        """
        for shared in ("repository", "connections", "catalog", "identities", "jobs", "access"):
            getattr(self, shared)
        visitor = copy.copy(self)
        with contextlib.ExitStack() as closing:
            visitor._closing = closing  # noqa: SLF001  its own kind
            yield visitor

    def _database(self, part: Part) -> Database:
        from reentra.database import database_url, open_database

        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        database = open_database(database_url(self.settings.database_url, self.home, part), part)
        self._closing.callback(database.dispose)
        return database
