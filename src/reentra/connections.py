"""The tenants that an installation knows, and the secrets to reach them.

A connection with its secret is an encrypted document of the repository: another machine that has
the repository and its key can go on, and nothing on this one gives the secret away. A copy without
the secret lies below the home, so that listing tenants asks for no passphrase.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from reentra import clock as clocks
from reentra import errors
from reentra.graph.connection import TenantConnection
from reentra.repository import Repository

COLLECTION = "connections"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class StoredConnection:
    """A connection with its secret. The secret is left out of ``repr``."""

    connection: TenantConnection
    secret: str

    def __repr__(self) -> str:
        return f"StoredConnection({self.connection!r})"


class Connections:
    """Reads and writes connections. ``open_repository`` is called only when it is needed."""

    __slots__ = ("_folder", "_open_repository")

    def __init__(self, home: Path, open_repository: Callable[[], Repository]) -> None:
        self._folder = home / "tenants"
        self._open_repository = open_repository

    def ensure_free(self, connection: TenantConnection) -> None:
        """Let pass a name that is new, or that stands for the same tenant already.

        Raises: ``AlreadyExists``.
        """
        ensure_name_is_usable(connection.name)
        try:
            known = self._document(self._open_repository(), connection.name)
        except errors.UnsupportedFormat:
            raise
        except errors.RepositoryDamaged:
            known = None  # connecting anew is the way out
        if known is not None and known.connection.tenant_id.lower() != connection.tenant_id.lower():
            raise errors.AlreadyExists(
                f"{connection.name} is the name of tenant {known.connection.tenant_id}.",
                hint="Choose another name, or disconnect that one first.",
            )

    def keeping_safeguards(self, connection: TenantConnection) -> TenantConnection:
        """Return the connection with the break-glass accounts of the one that it replaces.

        A new credential takes no safeguard away.
        """
        for known in self.list_all():
            if known.name == connection.name:
                return dataclasses.replace(connection, break_glass=known.break_glass)
        return connection

    def add(self, connection: TenantConnection, secret: str) -> None:
        """Record a connection; one of the same name for the same tenant is replaced.

        Raises: ``AlreadyExists`` when the name stands for another tenant.
        """
        self.ensure_free(connection)
        repository = self._open_repository()
        older = _documents_of(repository, connection.name)
        # First the new one, then away with the old: a death between the two loses neither.
        stamp = f"{clocks.iso(clocks.SYSTEM.now())}.{clocks.new_id(2)}"
        repository.put_document(
            COLLECTION,
            f"{connection.name}/{stamp}",
            {"connection": connection.to_json(), "secret": secret},
        )
        for document in older:
            repository.delete_document(COLLECTION, document)
        self._write_copy(connection)

    def list_known(self) -> list[TenantConnection]:
        """List what this machine knows, by name, without opening the repository."""
        if not self._folder.is_dir():
            return []
        return [
            TenantConnection.from_json(orjson.loads(path.read_bytes()))
            for path in sorted(self._folder.glob("*.json"))
        ]

    def list_all(self) -> list[TenantConnection]:
        """List what the repository knows, by name, and refresh this machine's copies."""
        repository = self._open_repository()
        found = []
        names = {document.partition("/")[0] for document in repository.list_documents(COLLECTION)}
        for name in sorted(names):
            # One that is damaged is for `check` to tell; it keeps nobody from the others.
            with contextlib.suppress(errors.RepositoryDamaged):
                stored = self._document(repository, name)
                if stored is not None:
                    self._write_copy(stored.connection)
                    found.append(stored.connection)
        return found

    def find(self, name: str) -> TenantConnection:
        """Return the connection of a tenant, from this machine's copy when there is one.

        Raises: ``NotFound``.
        """
        ensure_name_is_usable(name)
        with contextlib.suppress(FileNotFoundError):
            return TenantConnection.from_json(orjson.loads(self._path(name).read_bytes()))
        return self.load(name).connection

    def load(self, name: str) -> StoredConnection:
        """Return a connection with its secret.

        Raises: ``NotFound``.
        """
        ensure_name_is_usable(name)
        repository = self._open_repository()
        try:
            stored = self._document(repository, name)
        except errors.UnsupportedFormat:
            raise
        except errors.RepositoryDamaged as damage:
            raise errors.RepositoryDamaged(
                f"The connection {name} cannot be read. {damage.message}",
                hint="Connect the tenant again; snapshots are not touched.",
                typed=f"reentra tenant connect {name}",
            ) from damage
        if stored is None:
            raise _not_connected(name)
        self._write_copy(stored.connection)
        return stored

    def remove(self, name: str) -> None:
        """Forget a connection and its secret. Snapshots stay.

        Raises: ``NotFound``.
        """
        ensure_name_is_usable(name)
        repository = self._open_repository()
        documents = _documents_of(repository, name)
        if not documents:
            raise _not_connected(name)
        for document in documents:
            repository.delete_document(COLLECTION, document)
        self._path(name).unlink(missing_ok=True)

    def _document(self, repository: Repository, name: str) -> StoredConnection | None:
        documents = _documents_of(repository, name)
        if not documents:
            return None
        value: Any = repository.load_document(COLLECTION, documents[-1])
        return StoredConnection(TenantConnection.from_json(value["connection"]), value["secret"])

    def _write_copy(self, connection: TenantConnection) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(self._path(connection.name), connection.to_json())

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def _not_connected(name: str) -> errors.NotFound:
    return errors.NotFound(
        f"No tenant is connected as {name!r}.",
        hint="Look in the list of tenants, or connect it.",
        typed="`reentra tenant list`, or `reentra tenant connect`",
    )


def _documents_of(repository: Repository, name: str) -> list[str]:
    """Fetch the names of a connection's documents, the one that counts last."""
    return repository.list_documents(COLLECTION, f"{name}/")


def ensure_name_is_usable(name: str) -> None:
    """Let pass what can be a tenant's name.

    Raises: ``UsageError``.
    """
    if not _NAME.fullmatch(name):
        raise errors.UsageError(
            f"{name!r} cannot be a tenant's name.",
            hint="Use letters, digits, dots, dashes and underscores, at most 63.",
        )


def write_private(path: Path, document: dict[str, Any]) -> None:
    """Write JSON that only its owner may read, whole or not at all; it is durable on return.

    Any number of processes may write the same file at once: one of them is the last.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A name of its own for each writer: with a common one the slower of two would find it gone.
    passing = path.with_name(f".{path.name}.{clocks.new_id(4)}.new")
    handle = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        passing.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            passing.unlink()
        raise
