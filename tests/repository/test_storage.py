"""Folders that must survive a power loss, and stores that fail."""

from __future__ import annotations

import errno
import os
import re
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from reentra import errors
from reentra.repository import storage

from .conftest import ManualClock


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Record what a folder does, in order."""
    seen: list[tuple[str, str]] = []
    real_sync, real_link = os.fsync, os.link

    def sync(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        seen.append(("fsync", "directory" if path.is_dir() else "file"))
        real_sync(handle)

    def link(source: Path, target: Path) -> None:
        seen.append(("link", target.name))
        real_link(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "link", link)
    return seen


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_bytes_are_synced_before_the_name_exists_and_the_name_after(
    tmp_path: Path, calls: list[tuple[str, str]]
) -> None:
    store = storage.FolderStorage(tmp_path / "store")
    store.put_new("a/b/name", b"content")
    linked = calls.index(("link", "name"))
    assert ("fsync", "file") in calls[:linked]
    assert calls[linked + 1] == ("fsync", "directory")
    # The new directories a and a/b are entries of their parents, which must last as well.
    assert calls[:linked].count(("fsync", "directory")) >= 3


def test_a_write_that_fails_half_way_is_never_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = storage.FolderStorage(tmp_path / "store")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(errors.StorageError, match="Free space"):
            store.put_new("name", b"content")
    assert store.list_stored("") == []
    store.put_new("name", b"content")
    assert [path.name for path in (tmp_path / "store").rglob("*") if path.is_file()] == ["name"]


def test_what_a_killed_process_left_is_swept_a_day_later_and_never_listed(tmp_path: Path) -> None:
    left = tmp_path / "store" / "tmp" / "left"
    young = tmp_path / "store" / "tmp" / "young"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"torn")
    young.write_bytes(b"torn")
    os.utime(left, (1, 1))
    store = storage.FolderStorage(tmp_path / "store")
    assert store.list_stored("") == []
    store.put_new("name", b"content")
    assert not left.exists()
    assert young.exists()


def test_nobody_else_on_the_machine_can_read_it(tmp_path: Path) -> None:
    store = storage.FolderStorage(tmp_path / "store")
    store.put_new("a/name", b"content")
    store.put_replacing("a/other", b"content")
    for path in (tmp_path / "store").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights_is_told_as_such(tmp_path: Path) -> None:
    root = tmp_path / "store"
    root.mkdir(mode=0o500)
    with pytest.raises(storage.StoreReadOnly):
        storage.FolderStorage(root).put_new("name", b"content")


@dataclass
class Fault:
    """What goes wrong with the next request of a method."""

    method: str
    status: int
    is_done: bool = False
    is_cut: bool = False


@dataclass
class TinyS3:
    """Enough of S3 over real HTTP to fail on demand: put, get with ranges, head."""

    objects: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    ignores_conditions: bool = False

    def handler(self) -> type[BaseHTTPRequestHandler]:
        world = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                world.requests.append(self.command)
                fault = next((one for one in world.faults if one.method == self.command), None)
                if fault:
                    world.faults.remove(fault)
                status, answer = (0, b"")
                if not fault or fault.is_done or fault.is_cut:
                    status, answer = self.act(body)
                if fault and fault.is_cut:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(answer)))
                    self.send_header("ETag", '"x"')
                    self.send_header("Last-Modified", "Mon, 23 Nov 2026 14:27:46 GMT")
                    self.end_headers()
                    self.wfile.write(answer[: len(answer) // 2])
                    self.close_connection = True
                    return
                if fault:
                    status, answer = fault.status, b""
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.send_header("ETag", '"x"')
                self.send_header("Last-Modified", "Mon, 23 Nov 2026 14:27:46 GMT")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer)

            def act(self, body: bytes) -> tuple[int, bytes]:
                if self.command == "PUT":
                    is_taken = self.path in world.objects and not world.ignores_conditions
                    if is_taken and self.headers.get("If-None-Match"):
                        return 412, b""
                    world.objects[self.path] = body
                    return 200, b""
                if self.command == "POST":  # obstore deletes by S3's bulk request
                    (key,) = re.findall(rb"<Key>(.*?)</Key>", body)
                    world.objects.pop(f"/bucket/{key.decode()}", None)
                    done = b"<Deleted><Key>" + key + b"</Key></Deleted>"
                    return 200, b"<DeleteResult>" + done + b"</DeleteResult>"
                if self.path not in world.objects:
                    return 404, b""
                return 200, world.objects[self.path]

            do_PUT = do_GET = do_HEAD = do_POST = handle_any  # noqa: N815

        return Handler


@pytest.fixture
def tiny() -> Iterator[tuple[TinyS3, str]]:
    world = TinyS3()
    server = ThreadingHTTPServer(("127.0.0.1", 0), world.handler())
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield world, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def failing(
    tiny: tuple[TinyS3, str], manual_clock: ManualClock
) -> tuple[TinyS3, storage.Storage, ManualClock]:
    world, url = tiny
    config = {
        "endpoint": url,
        "access_key_id": "id",
        "secret_access_key": "very-secret",
        "region": "eu-north-1",
    }
    store = storage.open_storage(
        "s3://bucket",
        options={"config": config, "client_options": {"allow_http": True}},
        clock=manual_clock,
    )
    return world, store, manual_clock


Failing = tuple[TinyS3, storage.Storage, ManualClock]


def test_a_blip_of_the_store_is_waited_out(failing: Failing) -> None:
    world, store, clock = failing
    world.faults = [Fault("PUT", 503), Fault("PUT", 500), Fault("GET", 503)]
    store.put_new("name", b"content")
    assert store.get("name") == b"content"
    assert world.faults == []
    assert len(clock.slept) == 3
    assert clock.slept[1] > clock.slept[0]


def test_an_outage_is_told_after_bounded_waiting(failing: Failing) -> None:
    world, store, clock = failing
    world.faults = [Fault("PUT", 503) for _ in range(20)]
    with pytest.raises(errors.StorageError, match="name could not be written") as told:
        store.put_new("name", b"content")
    assert len(world.requests) == storage.ATTEMPTS
    assert sum(clock.slept) < 5
    assert "very-secret" not in str(told.value)
    assert world.objects == {}


def test_a_put_that_was_done_and_told_as_failed_is_done(failing: Failing) -> None:
    world, store, _ = failing
    world.faults = [Fault("PUT", 503, is_done=True)]
    store.put_new("name", b"content")
    assert world.faults == []
    assert world.requests.count("PUT") == 2
    assert store.get("name") == b"content"


def test_a_put_whose_name_somebody_else_took_meanwhile_is_refused(failing: Failing) -> None:
    world, store, _ = failing
    world.faults = [Fault("PUT", 503)]
    world.objects["/bucket/name"] = b"somebody else's"
    with pytest.raises(storage.AlreadyStored):
        store.put_new("name", b"content")
    assert store.get("name") == b"somebody else's"


def test_an_answer_cut_short_is_asked_for_again(failing: Failing) -> None:
    world, store, _ = failing
    store.put_new("name", b"content" * 1000)
    world.faults = [Fault("GET", 200, is_cut=True)]
    assert store.get("name") == b"content" * 1000
    assert world.faults == []


def test_a_missing_right_is_told_at_once(failing: Failing) -> None:
    world, store, clock = failing
    world.faults = [Fault("PUT", 403)]
    with pytest.raises(storage.StoreReadOnly):
        store.put_new("name", b"content")
    assert clock.slept == []


def test_a_store_that_ignores_create_only_is_found_out(failing: Failing) -> None:
    world, store, _ = failing
    storage.require_create_only(store)
    world.ignores_conditions = True
    with pytest.raises(errors.ConfigurationError, match="create only"):
        storage.require_create_only(store)
    assert world.objects == {}


def test_what_is_not_there_is_told_at_once(failing: Failing) -> None:
    _, store, clock = failing
    with pytest.raises(storage.NotStored):
        store.get("name")
    assert clock.slept == []
