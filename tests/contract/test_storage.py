"""What every store must do, on every store: folder, memory, S3 (moto), Azure Blob (Azurite)."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import obstore.store
import pyarrow as pa
import pytest

from reentra import errors
from reentra import repository as repositories
from reentra.repository import storage

ROOT = Path(__file__).resolve().parents[2]
AZURITE = ROOT / "build/azurite/node_modules/.bin/azurite-blob"
# Azurite's published development account; it opens nothing else.
AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if process.poll() is not None:
            pytest.fail(f"the server ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("the server did not start")


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    pytest.importorskip("moto", reason="moto is not installed (requirements/all.txt)")
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def azurite_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not AZURITE.exists() or not shutil.which("node"):
        pytest.skip("Azurite is not installed: npm install --prefix build/azurite azurite")
    port = free_port()
    process = subprocess.Popen(
        [
            str(AZURITE),
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
            str(port),
            "--silent",
            "--skipApiVersionCheck",
            "--location",
            str(tmp_path_factory.mktemp("azurite")),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def s3_storage(url: str) -> storage.Storage:
    import urllib.request

    bucket = f"bucket-{os.urandom(4).hex()}"
    urllib.request.urlopen(urllib.request.Request(f"{url}/{bucket}", method="PUT"))
    return storage.open_storage(
        f"s3://{bucket}/some/prefix",
        options={
            "config": {
                "endpoint": url,
                "access_key_id": "test",
                "secret_access_key": "test",
                "region": "us-east-1",
            },
            "client_options": {"allow_http": True},
        },
    )


def azure_storage(url: str) -> storage.Storage:
    """Make a container and open it; obstore cannot make one, so the request is signed here."""
    import base64
    import email.utils
    import hashlib
    import hmac
    import urllib.request

    container = f"c{os.urandom(4).hex()}"
    date = email.utils.formatdate(usegmt=True)
    resource = f"/{AZURITE_ACCOUNT}/{AZURITE_ACCOUNT}/{container}\nrestype:container"
    text = f"PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:2021-08-06\n{resource}"
    signature = base64.b64encode(
        hmac.new(base64.b64decode(AZURITE_KEY), text.encode(), hashlib.sha256).digest()
    ).decode()
    request = urllib.request.Request(
        f"{url}/{AZURITE_ACCOUNT}/{container}?restype=container",
        method="PUT",
        headers={
            "Authorization": f"SharedKey {AZURITE_ACCOUNT}:{signature}",
            "x-ms-date": date,
            "x-ms-version": "2021-08-06",
            "Content-Length": "0",
        },
    )
    urllib.request.urlopen(request)
    return storage.open_storage(
        f"az://{container}/some/prefix",
        options={
            "config": {
                "account_name": AZURITE_ACCOUNT,
                "account_key": AZURITE_KEY,
                "endpoint": f"{url}/{AZURITE_ACCOUNT}",
            },
            "client_options": {"allow_http": True},
        },
    )


@pytest.fixture(
    params=[
        "folder",
        "memory",
        pytest.param("s3", marks=pytest.mark.server),
        pytest.param("azure", marks=pytest.mark.server),
    ]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> storage.Storage:
    match request.param:
        case "folder":
            return storage.open_storage(str(tmp_path / "store"))
        case "memory":
            return storage.open_storage("memory://")
        case "s3":
            return s3_storage(request.getfixturevalue("moto_url"))
        case _:
            return azure_storage(request.getfixturevalue("azurite_url"))


def test_what_was_put_is_what_is_got(store: storage.Storage) -> None:
    store.put_new("a/b/one", b"hello")
    assert store.get("a/b/one") == b"hello"
    assert store.size("a/b/one") == 5


def test_an_empty_object_is_an_object(store: storage.Storage) -> None:
    store.put_new("empty", b"")
    assert store.get("empty") == b""
    assert store.size("empty") == 0


def test_a_taken_name_is_refused_and_left_as_it_is(store: storage.Storage) -> None:
    store.put_new("name", b"first")
    with pytest.raises(storage.AlreadyStored):
        store.put_new("name", b"other")
    assert store.get("name") == b"first"


def test_the_same_bytes_may_be_put_again(store: storage.Storage) -> None:
    store.put_new("name", b"same")
    store.put_new("name", b"same")
    assert store.get("name") == b"same"


def test_a_large_file_is_put_create_only_too(store: storage.Storage, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(7 << 20))
    store.put_new("large", source)
    assert store.size("large") == 7 << 20
    other = tmp_path / "other"
    other.write_bytes(os.urandom(7 << 20))
    with pytest.raises(storage.AlreadyStored):
        store.put_new("large", other)
    assert store.get("large") == source.read_bytes()
    assert source.exists()


def test_of_many_who_put_one_name_at_once_one_wins(store: storage.Storage) -> None:
    winners: list[int] = []

    def put(number: int) -> None:
        try:
            store.put_new("race", str(number).encode())
        except storage.AlreadyStored:
            return
        winners.append(number)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(winners) == 1
    assert store.get("race") == str(winners[0]).encode()


def test_replacing_replaces(store: storage.Storage) -> None:
    store.put_replacing("lock", b"one")
    store.put_replacing("lock", b"two, longer")
    assert store.get("lock") == b"two, longer"


def test_a_range_is_that_range_and_ends_with_the_object(store: storage.Storage) -> None:
    store.put_new("digits", b"0123456789")
    assert store.get_range("digits", 3, 4) == b"3456"
    assert store.get_range("digits", 8, 100) == b"89"
    assert store.get_range("digits", 0, 0) == b""


def test_pieces_put_together_are_the_object(store: storage.Storage) -> None:
    store.put_new("digits", b"0123456789")
    assert b"".join(storage.iterate_ranges(store, "digits", 10, 3)) == b"0123456789"


def test_a_listing_is_sorted_and_keeps_to_its_folder(store: storage.Storage) -> None:
    for name in ("a/2", "a/1", "a/sub/3", "ab/4", "b"):
        store.put_new(name, name.encode())
    assert [one.path for one in store.list_stored("a")] == ["a/1", "a/2", "a/sub/3"]
    everything = store.list_stored("")
    assert [one.path for one in everything] == ["a/1", "a/2", "a/sub/3", "ab/4", "b"]
    assert [one.size_bytes for one in everything] == [3, 3, 7, 4, 1]
    assert all(abs(one.modified_at.timestamp() - time.time()) < 3600 for one in everything)
    assert store.list_stored("nothing") == []


def test_what_is_deleted_is_gone_and_may_be_deleted_again(store: storage.Storage) -> None:
    store.put_new("a/b", b"x")
    store.delete("a/b")
    store.delete("a/b")
    assert store.list_stored("") == []
    store.put_new("a/b", b"another")
    assert store.get("a/b") == b"another"


def test_what_is_not_there_is_told_so(store: storage.Storage) -> None:
    for operation in (
        lambda: store.get("no"),
        lambda: store.get_range("no", 0, 4),
        lambda: store.size("no"),
    ):
        with pytest.raises(storage.NotStored, match="no could not be"):
            operation()


def test_a_repository_lives_on_it(store: storage.Storage) -> None:
    cheap = repositories.KdfCost(memory_kib=64, iterations=1, lanes=1)
    made, _ = repositories.Repository.create(store, "secret", cost=cheap)
    with pytest.raises(errors.AlreadyExists):
        repositories.Repository.create(store, "another", cost=cheap)
    schema = pa.schema([("id", pa.string()), ("body", pa.binary())])
    rows = pa.record_batch(
        [[f"{n:04d}" for n in range(900)], [b"x" * n for n in range(900)]], schema
    )
    now = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
    with (
        made.lock_tenant("tenant", "backup") as lock,
        made.segment_writer("objects", schema) as writer,
    ):
        writer.append(rows)
        with pytest.raises(errors.RepositoryLocked):
            made.lock_tenant("tenant", "backup").__enter__()
        made.commit(
            lock=lock,
            tenant_id="tenant",
            snapshot_id=made.new_snapshot_id(now),
            created_at=now,
            parent=None,
            segments=writer.close(),
            payload={},
        )
    opened = repositories.Repository.open(store, "secret")
    (manifest,) = opened.list_manifests("tenant")
    assert pa.Table.from_batches(opened.scan(manifest.segments[0])).num_rows == 900
    assert opened.read_rows(manifest.segments[0], [899], ["id"]).to_pylist() == [{"id": "0899"}]
    assert repositories.check_repository(opened).problems == ()


@pytest.mark.parametrize("path", ["", "../up", "/root", "a//b", "a/../b", ".hidden", "a/", "a b"])
def test_a_path_that_leads_elsewhere_is_refused(store: storage.Storage, path: str) -> None:
    with pytest.raises(errors.StorageError):
        store.put_new(path, b"x")


def test_a_url_of_another_kind_is_a_clear_error() -> None:
    with pytest.raises(errors.ConfigurationError, match="ftp"):
        storage.open_storage("ftp://host/folder")
    with pytest.raises(errors.ConfigurationError):
        storage.open_storage("")


def test_secrets_in_a_url_are_not_shown() -> None:
    store = storage.ObjectStorage(obstore.store.MemoryStore(), "memory://")
    assert store.url == "memory://"
    assert "secret" not in storage._without_secrets("s3://key:secret@bucket/prefix?sig=secret")
