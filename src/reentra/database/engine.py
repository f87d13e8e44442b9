"""Open a database at the schema this version knows.

SQLite runs in WAL mode: readers never wait for the one writer. The catalog is derived, so its
commits need not reach the disk (``synchronous=NORMAL`` still never damages the file); the jobs'
journal and the audit trail must (``FULL``). Source: sqlite.org/pragma.html#pragma_synchronous.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from reentra import errors

BUSY_SECONDS = 60
# What is sorted to make an index may take as much again.
_PAGE_CACHE_KIB = 12 * 1024
_MAPPED_BYTES = 1 << 30
_BEGIN = "reentra_begin"
_CORRUPT = ("malformed", "not a database", "file is encrypted", "disk image")


class Part(enum.StrEnum):
    """Which tables a database holds. Both may live in one PostgreSQL database."""

    CATALOG = "catalog"
    JOBS = "jobs"
    ACCESS = "access"


# The newest migration of each part; a test holds them against the scripts.
HEADS = {Part.CATALOG: "catalog_1", Part.JOBS: "jobs_1", Part.ACCESS: "access_3"}


def database_url(setting: str, home: Path, part: Part) -> str:
    """Return the SQLAlchemy URL: ``setting`` where one is given, else a file below ``home``."""
    if not setting:
        return f"sqlite:///{home / f'{part}.sqlite'}"
    for scheme in ("postgresql://", "postgres://"):
        if setting.startswith(scheme):
            return "postgresql+psycopg://" + setting.removeprefix(scheme)
    return setting


class Database:
    """An open database. Safe for use by many threads; a connection is for one of them."""

    def __init__(self, url: str, part: Part) -> None:
        self.part = part
        self.was_recreated = False
        self._url = sa.make_url(url)
        self._engine = self._new_engine()

    @property
    def dialect(self) -> str:
        """Return ``sqlite`` or ``postgresql``."""
        return self._engine.dialect.name

    @property
    def path(self) -> Path | None:
        """Return the SQLite file, if it is one."""
        name = self._url.database
        return Path(name) if self.dialect == "sqlite" and name and name != ":memory:" else None

    @property
    def shown_url(self) -> str:
        """Return where it is, without a password."""
        return self._url.render_as_string(hide_password=True)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open a connection whose reads all see one moment.

        Raises: ``errors.StorageError`` when the database fails.
        """
        with self._telling(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Open a connection with the right to write; all of it is committed, or nothing.

        SQLite has one writer: another one waits here, up to a minute.
        Raises: ``errors.RepositoryLocked`` when that was not enough; ``errors.StorageError`` when
        the database fails: what was done here is then in it whole or not at all.
        """
        with self._telling(), self._engine.connect() as connection:
            connection = connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
            try:
                transaction = connection.begin()
            except sa.exc.OperationalError as error:
                if "locked" not in str(error.orig):
                    raise
                raise errors.RepositoryLocked(
                    f"The {self.part} database {self.shown_url} is busy: another process writes"
                    f" to it for more than {BUSY_SECONDS} seconds.",
                    hint="Wait until it has finished (a first backup or a rebuild can take"
                    " minutes) and try again.",
                ) from error
            with transaction:
                yield connection

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Tell a full disk or a lost connection as what it is; corruption goes on to who heals."""
        try:
            yield
        except sa.exc.DBAPIError as error:
            has_failed = isinstance(error, sa.exc.OperationalError) or error.connection_invalidated
            if not has_failed or is_corruption(error):
                raise
            raise errors.StorageError(
                f"The {self.part} database {self.shown_url} failed: {_reason(error)}.",
                hint="Free space on its disk or see to its server, and run the command again.",
            ) from error

    def dispose(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def start_over(self) -> None:
        """Remove every table and row of this part and make an empty schema.

        A SQLite file that cannot be read any more is removed as a file.
        """
        try:
            with self.writing() as connection:
                _drop_all(connection, self.part)
                _upgrade(connection, self.part)
        except sa.exc.DatabaseError as error:
            if not is_corruption(error) or self.path is None:
                raise
            self._discard_file()
            self._upgrade()
        self.was_recreated = True

    def _open(self) -> None:
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._upgrade()
        except sa.exc.DatabaseError as error:
            if is_corruption(error) and self.part is Part.CATALOG and self.path is not None:
                self._discard_file()
                self._upgrade()
                self.was_recreated = True
                return
            raise self._unopened(error) from error
        except errors.StorageError as error:
            raise self._unopened(error.__cause__ or error) from error

    def _unopened(self, error: BaseException) -> errors.ConfigurationError:
        return errors.ConfigurationError(
            f"The {self.part} database {self.shown_url} cannot be opened: {_reason(error)}.",
            hint="Check REENTRA_HOME or REENTRA_DATABASE_URL, and the rights to write there.",
        )

    def _upgrade(self) -> None:
        with self.reading() as connection:
            if _current_revision(connection, self.part) == HEADS[self.part]:
                return
        with self.writing() as connection:
            _upgrade(connection, self.part)
        if self.path is not None:
            self.path.chmod(0o600)

    def _discard_file(self) -> None:
        self._engine.dispose()
        path = self.path
        if path is not None:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)
        self._engine = self._new_engine()

    def _new_engine(self) -> sa.Engine:
        engine = sa.create_engine(self._url, **_engine_options(self._url))
        if engine.dialect.name == "sqlite":
            synchronous = "NORMAL" if self.part is Part.CATALOG else "FULL"
            sa.event.listen(engine, "connect", _sqlite_settings(synchronous))
            sa.event.listen(engine, "begin", _begin)
        return engine


def open_database(url: str, part: Part) -> Database:
    """Open a database and bring its schema to this version.

    An unreadable catalog file is replaced by an empty one (``was_recreated``): it is derived.
    Raises: ``errors.ConfigurationError`` when it cannot be opened or is of a newer version.
    """
    try:
        database = Database(url, part)
    except (sa.exc.ArgumentError, ModuleNotFoundError) as error:
        raise errors.ConfigurationError(
            f"REENTRA_DATABASE_URL cannot be used: {_reason(error)}.",
            hint="Give a URL such as postgresql://host/name (and install reentra[postgres]).",
        ) from error
    database._open()  # noqa: SLF001  the second half of construction
    return database


def is_corruption(error: BaseException) -> bool:
    """Tell whether SQLite says that the file itself is broken."""
    text = str(getattr(error, "orig", error)).lower()
    return isinstance(error, sa.exc.DatabaseError) and any(word in text for word in _CORRUPT)


def _engine_options(url: sa.URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": BUSY_SECONDS, "check_same_thread": False}}
    return {"pool_pre_ping": True}


def _sqlite_settings(synchronous: str) -> Any:
    def on_connect(connection: Any, record: object) -> None:  # noqa: ARG001
        connection.isolation_level = None  # transactions begin where we say so
        cursor = connection.cursor()
        for statement in (
            "PRAGMA journal_mode=WAL",
            f"PRAGMA synchronous={synchronous}",
            "PRAGMA foreign_keys=ON",
            f"PRAGMA cache_size=-{_PAGE_CACHE_KIB}",
        ):
            cursor.execute(statement)
        cursor.close()
        connection.create_function("folded", 1, _folded, deterministic=True)

    return on_connect


def _folded(text: str | None) -> str | None:
    return None if text is None else text.lower()


def _begin(connection: sa.Connection) -> None:
    statement = connection.get_execution_options().get(_BEGIN, "BEGIN")
    # Who fills a catalog walks through all of it: mapped, that would count as memory of its own.
    mapped_bytes = _MAPPED_BYTES if statement == "BEGIN" else 0
    if connection.info.get("mapped_bytes") != mapped_bytes:
        connection.exec_driver_sql(f"PRAGMA mmap_size={mapped_bytes}")
        connection.info["mapped_bytes"] = mapped_bytes
    connection.exec_driver_sql(statement)


def _current_revision(connection: sa.Connection, part: Part) -> str | None:
    if not sa.inspect(connection).has_table(_version_table(part)):
        return None
    query = sa.text(f"SELECT version_num FROM {_version_table(part)}")  # noqa: S608
    return connection.execute(query).scalar()


def _version_table(part: Part) -> str:
    return f"{part.value}_version"


def _upgrade(connection: sa.Connection, part: Part) -> None:
    # Alembic costs a fifth of a second to import and is needed once per version.
    from alembic import command
    from alembic.script import ScriptDirectory

    _lock(connection)
    config = migration_config(part)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = _current_revision(connection, part)
    if current is not None and current not in known:
        raise errors.ConfigurationError(
            f"The {part} database was made by a newer version of Reentra ({current}).",
            hint="Install that version; this one leaves the database as it is.",
        )
    config.attributes["connection"] = connection
    config.attributes["version_table"] = _version_table(part)
    command.upgrade(config, "head")


def migration_config(part: Part) -> Any:
    """Return Alembic's configuration for one part's scripts."""
    from alembic.config import Config

    folder = Path(__file__).parent / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(folder / part.value))
    return config


def _lock(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(7236872)"))


def _drop_all(connection: sa.Connection, part: Part) -> None:
    from reentra.database import tables

    metadata = tables.OF_PART[part]
    if part is Part.CATALOG:
        connection.execute(sa.text("DROP TABLE IF EXISTS object_text"))
    metadata.drop_all(connection)
    connection.execute(sa.text(f"DROP TABLE IF EXISTS {_version_table(part)}"))


def _reason(error: BaseException) -> str:
    return (str(getattr(error, "orig", error)).splitlines() or [type(error).__name__])[0]
