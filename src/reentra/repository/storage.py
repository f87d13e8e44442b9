"""Bytes under names: a folder, S3, Azure Blob, or memory for tests.

``Storage`` is all that the repository asks of an object store, and the seam where tests break it.
The only retry loop towards the store is here. A folder is not written through obstore, because
obstore does not fsync: an acknowledged put must survive a power loss.
"""

from __future__ import annotations

import datetime as dt
import errno
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

import obstore
import obstore.exceptions
import obstore.store

from reentra import clock as clocks
from reentra import errors

ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.2  # then 0.4, 0.8, 1.6: a blip is waited out, an outage is told in 3 s
TEMPORARY = "tmp"
TEMPORARY_LIFE_SECONDS = 24 * 3600

_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")

T = TypeVar("T")


class NotStored(errors.StorageError):
    """There is no object of that name."""

    code = "not_stored"
    is_retryable = False


class AlreadyStored(errors.StorageError):
    """The name is taken by an object with other bytes; it was left as it is."""

    code = "already_stored"
    is_retryable = False


class StoreReadOnly(errors.StorageError):
    """The store refuses it for want of a right; nothing was written."""

    code = "store_read_only"
    is_retryable = False
    default_hint = "Check the rights of the folder or of the storage account."


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as a listing tells it."""

    path: str
    size_bytes: int
    modified_at: dt.datetime


class Storage(Protocol):
    """Objects by path. Paths are relative, with ``/``, without dots at the start of a part.

    Raises, everywhere: ``errors.StorageError`` when the store fails after all attempts,
    ``NotStored`` when there is no such object, ``StoreReadOnly`` when a right is missing.
    """

    @property
    def url(self) -> str:
        """Return where it is, for people; holds no secret."""

    def put_new(self, path: str, data: bytes | Path) -> None:
        """Store ``data``, or the file it names, under a new name.

        Atomic, and durable when it returns. Repeating it with the same bytes is harmless.
        Raises: ``AlreadyStored`` when the name is taken by other bytes.
        """

    def put_replacing(self, path: str, data: bytes) -> None:
        """Store ``data`` under a name, in place of what is there. Atomic."""

    def get(self, path: str) -> bytes:
        """Return the whole object."""

    def get_range(self, path: str, start: int, length: int) -> bytes:
        """Return ``length`` bytes from ``start``; fewer when the object ends before."""

    def size(self, path: str) -> int:
        """Return the object's size in bytes."""

    def list_stored(self, prefix: str) -> list[Stored]:
        """Return all objects below the folder ``prefix`` (empty: everything), sorted by path."""

    def delete(self, path: str) -> None:
        """Remove the object; nothing happens when there is none."""


def open_storage(
    url: str,
    *,
    options: Mapping[str, Any] | None = None,
    clock: clocks.Clock = clocks.SYSTEM,
) -> Storage:
    """Return the store at ``url``: a folder's path, ``file://``, ``s3://``, ``az://``, ``memory://``.

    ``options`` are obstore's settings of the store (endpoint, credentials), which it otherwise
    reads from the environment as the vendors' own tools do. Nothing is read or written yet.
    Raises: ``errors.ConfigurationError``.
    """
    scheme = urlsplit(url).scheme if "://" in url else ""
    if not url:
        raise errors.ConfigurationError(
            "No repository was named.", hint="Give a folder or an s3:// or az:// URL."
        )
    if scheme == "":
        return FolderStorage(Path(url).expanduser(), clock=clock)
    if scheme == "file":
        return FolderStorage(Path(unquote(urlsplit(url).path)), clock=clock)
    if scheme == "memory":
        return ObjectStorage(obstore.store.MemoryStore(), url, clock=clock)
    if scheme not in ("s3", "s3a", "az", "azure", "abfs", "abfss", "https"):
        raise errors.ConfigurationError(
            f"Repositories on {scheme}:// are not supported.",
            hint="Give a folder's path, s3://BUCKET/PREFIX, or az://CONTAINER/PREFIX.",
        )
    settings: dict[str, Any] = {
        "retry_config": {"max_retries": 0, "retry_timeout": dt.timedelta(minutes=5)},
        **(options or {}),
    }
    try:
        store = obstore.store.from_url(url, **settings)
    except (obstore.exceptions.BaseError, ValueError, TypeError) as error:
        raise errors.ConfigurationError(
            f"The repository's URL {_without_secrets(url)} cannot be used: {_first_line(error)}.",
            hint="Check the URL and the store's settings in the environment.",
        ) from error
    return ObjectStorage(store, _without_secrets(url), clock=clock)


class FolderStorage:
    """A folder. Files are 0600 and directories 0700."""

    __slots__ = ("_clock", "_is_swept", "_root")

    def __init__(self, root: Path, *, clock: clocks.Clock = clocks.SYSTEM) -> None:
        self._root = root.absolute()
        self._clock = clock
        self._is_swept = False

    @property
    def url(self) -> str:
        return str(self._root)

    def put_new(self, path: str, data: bytes | Path) -> None:
        final = self._locate(path)
        temporary = self._write_temporary(path, data)
        try:
            self._make_directory(final.parent)
            try:
                os.link(temporary, final)
            except FileExistsError:
                if not _is_same_content(final, temporary):
                    raise _already_stored(path, self.url) from None
            _sync_directory(final.parent)
        except OSError as error:
            raise self._failure(error, f"{path} could not be written") from error
        finally:
            with suppress(OSError):
                temporary.unlink()

    def put_replacing(self, path: str, data: bytes) -> None:
        final = self._locate(path)
        temporary = self._write_temporary(path, data)
        try:
            self._make_directory(final.parent)
            temporary.replace(final)
            _sync_directory(final.parent)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            raise self._failure(error, f"{path} could not be replaced") from error

    def get(self, path: str) -> bytes:
        try:
            return self._locate(path).read_bytes()
        except OSError as error:
            raise self._failure(error, f"{path} could not be read") from error

    def get_range(self, path: str, start: int, length: int) -> bytes:
        try:
            with self._locate(path).open("rb") as file:
                file.seek(start)
                return file.read(length)
        except OSError as error:
            raise self._failure(error, f"{path} could not be read") from error

    def size(self, path: str) -> int:
        try:
            return self._locate(path).stat().st_size
        except OSError as error:
            raise self._failure(error, f"{path} could not be looked at") from error

    def list_stored(self, prefix: str) -> list[Stored]:
        top = self._locate(prefix.rstrip("/")) if prefix else self._root
        found = []
        try:
            pending = [top] if top.is_dir() else []
            while pending:
                with os.scandir(pending.pop()) as entries:
                    for entry in entries:
                        name = Path(entry.path).relative_to(self._root).as_posix()
                        if entry.is_dir(follow_symlinks=False):
                            if name != TEMPORARY:
                                pending.append(Path(entry.path))
                            continue
                        with suppress(FileNotFoundError):  # removed since: as if never listed
                            facts = entry.stat()
                            modified_at = dt.datetime.fromtimestamp(facts.st_mtime, dt.UTC)
                            found.append(Stored(name, facts.st_size, modified_at))
        except OSError as error:
            raise self._failure(error, f"{prefix or 'the folder'} could not be listed") from error
        return sorted(found, key=lambda stored: stored.path)

    def delete(self, path: str) -> None:
        final = self._locate(path)
        try:
            final.unlink(missing_ok=True)
            if final.parent.is_dir():
                _sync_directory(final.parent)
        except OSError as error:
            raise self._failure(error, f"{path} could not be deleted") from error

    def _locate(self, path: str) -> Path:
        _require_path(path)
        return self._root / path

    def _write_temporary(self, path: str, data: bytes | Path) -> Path:
        directory = self._root / TEMPORARY
        temporary = directory / clocks.new_id()
        try:
            self._make_directory(directory)
            self._sweep(directory)
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                if isinstance(data, Path):
                    with data.open("rb") as source:
                        while chunk := source.read(1 << 20):
                            file.write(chunk)
                else:
                    file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            raise self._failure(error, f"{path} could not be written") from error
        return temporary

    def _make_directory(self, directory: Path) -> None:
        if directory.is_dir():
            return
        self._make_directory(directory.parent)
        with suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        _sync_directory(directory.parent)

    def _sweep(self, directory: Path) -> None:
        """Remove what killed processes left, once per process, a day later."""
        if self._is_swept:
            return
        self._is_swept = True
        oldest = self._clock.now().timestamp() - TEMPORARY_LIFE_SECONDS
        for left in directory.iterdir():
            with suppress(OSError):
                if left.stat().st_mtime < oldest:
                    left.unlink()

    def _failure(self, error: OSError, what: str) -> errors.StorageError:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return NotStored(f"{what}: it is not in {self.url}.")
        if isinstance(error, PermissionError) or error.errno == errno.EROFS:
            return StoreReadOnly(f"{what}: {self.url} does not allow it ({error.strerror}).")
        hint = "Check the disk and try again."
        if error.errno == errno.ENOSPC:
            hint = "Free space on the disk and try again; what was acknowledged is safe."
        elif error.errno in (errno.ENOTSUP, errno.EPERM, errno.EMLINK):
            hint = "The repository's folder needs a file system with hard links."
        return errors.StorageError(f"{what} in {self.url}: {error.strerror or error}.", hint=hint)


class ObjectStorage:
    """An object store through obstore, with every operation repeated when the store fails."""

    __slots__ = ("_clock", "_store", "_url")

    def __init__(
        self, store: obstore.store.ObjectStore, url: str, *, clock: clocks.Clock = clocks.SYSTEM
    ) -> None:
        self._store = store
        self._url = url
        self._clock = clock

    @property
    def url(self) -> str:
        return self._url

    def put_new(self, path: str, data: bytes | Path) -> None:
        _require_path(path)
        content = data.read_bytes() if isinstance(data, Path) else data
        # Multipart uploads, obstore's default above 5 MiB, know no create-only mode.
        try:
            self._attempt(
                f"{path} could not be written",
                lambda: obstore.put(self._store, path, content, mode="create", use_multipart=False),
            )
        except AlreadyStored:
            # An earlier attempt whose reply was lost may have been ours.
            if self.size(path) != len(content) or self.get(path) != content:
                raise

    def put_replacing(self, path: str, data: bytes) -> None:
        _require_path(path)
        self._attempt(
            f"{path} could not be replaced",
            lambda: obstore.put(self._store, path, data, use_multipart=False),
        )

    def get(self, path: str) -> bytes:
        _require_path(path)
        return self._attempt(
            f"{path} could not be read", lambda: bytes(obstore.get(self._store, path).bytes())
        )

    def get_range(self, path: str, start: int, length: int) -> bytes:
        _require_path(path)
        if length <= 0:
            return b""
        return self._attempt(
            f"{path} could not be read",
            lambda: bytes(obstore.get_range(self._store, path, start=start, length=length)),
        )

    def size(self, path: str) -> int:
        _require_path(path)
        return self._attempt(
            f"{path} could not be looked at", lambda: int(obstore.head(self._store, path)["size"])
        )

    def list_stored(self, prefix: str) -> list[Stored]:
        def fetch() -> list[Stored]:
            return [
                Stored(meta["path"], meta["size"], meta["last_modified"])
                for page in obstore.list(self._store, prefix.rstrip("/") or None)
                for meta in page
            ]

        if prefix:
            _require_path(prefix.rstrip("/"))
        found = self._attempt(f"{prefix or 'the store'} could not be listed", fetch)
        return sorted(found, key=lambda stored: stored.path)

    def delete(self, path: str) -> None:
        _require_path(path)
        with suppress(NotStored):
            self._attempt(f"{path} could not be deleted", lambda: obstore.delete(self._store, path))

    def _attempt(self, what: str, operation: Callable[[], T]) -> T:
        for attempt in range(ATTEMPTS):
            try:
                return operation()
            except FileNotFoundError as error:
                raise NotStored(f"{what}: it is not in {self._url}.") from error
            except obstore.exceptions.AlreadyExistsError as error:
                raise AlreadyStored(f"{what}: the name is taken in {self._url}.") from error
            except (
                PermissionError,
                obstore.exceptions.PermissionDeniedError,
                obstore.exceptions.UnauthenticatedError,
            ) as error:
                raise StoreReadOnly(f"{what}: {self._url} does not allow it.") from error
            except (
                obstore.exceptions.NotSupportedError,
                obstore.exceptions.InvalidPathError,
            ) as error:
                raise errors.StorageError(
                    f"{what} in {self._url}: {_first_line(error)}.",
                    hint="This store cannot hold a repository; take another one.",
                ) from error
            except (obstore.exceptions.BaseError, OSError) as error:
                if attempt == ATTEMPTS - 1:
                    raise errors.StorageError(
                        f"{what} in {self._url}, {ATTEMPTS} times: {_first_line(error)}.",
                        hint="Check the network and the store, and try again.",
                    ) from error
            self._clock.sleep(clocks.jitter(FIRST_PAUSE_SECONDS * 2**attempt))
        raise AssertionError("the loop returns or raises")


def _require_path(path: str) -> None:
    if not _PATH.fullmatch(path):
        raise errors.StorageError(
            f"{path!r} is no path of an object.", hint="This is a fault of the program."
        )


def _already_stored(path: str, url: str) -> AlreadyStored:
    return AlreadyStored(f"{path} could not be written: the name is taken in {url}.")


def _is_same_content(one: Path, other: Path) -> bool:
    return one.stat().st_size == other.stat().st_size and one.read_bytes() == other.read_bytes()


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":
        return  # elsewhere a directory cannot be opened, and the file system orders it itself
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems
            raise
    finally:
        os.close(handle)


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")[:300]


def require_create_only(storage: Storage) -> None:
    """Try whether the store refuses to replace what is there, which every promise rests on.

    Raises: ``errors.ConfigurationError`` when it does not, as some imitations of S3 do.
    """
    path = f"{TEMPORARY}/{clocks.new_id()}"
    storage.put_new(path, b"first")
    try:
        storage.put_new(path, b"second")
    except AlreadyStored:
        return
    finally:
        storage.delete(path)
    raise errors.ConfigurationError(
        f"The store {storage.url} replaces objects that it was told to create only.",
        hint="It cannot hold a repository; take a store that knows conditional writes.",
    )


def iterate_ranges(
    storage: Storage, path: str, size_bytes: int, chunk_bytes: int = 4 << 20
) -> Iterator[bytes]:
    """Fetch an object in pieces of ``chunk_bytes``, so that memory does not grow with it."""
    start = 0
    while start < size_bytes:
        chunk = storage.get_range(path, start, min(chunk_bytes, size_bytes - start))
        if not chunk:
            return
        yield chunk
        start += len(chunk)
