from __future__ import annotations

import gc
import os
import random
import threading
from pathlib import Path

import orjson
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reentra import clock, errors
from reentra import repository as repositories
from reentra.repository import keys, segment_writer, segments, storage

from .conftest import OBJECTS, Place, object_rows

KEYRING = keys.new_keyring("00112233445566778899aabbccddeeff", clock.SYSTEM.now())


def write(
    store: storage.Storage, batches: list[pa.RecordBatch], **layout: int
) -> tuple[repositories.SegmentInfo, ...]:
    with segment_writer.SegmentWriter(
        store, KEYRING, "objects", OBJECTS, repositories.SegmentLayout(**layout)
    ) as writer:
        for batch in batches:
            writer.append(batch)
        return writer.close()


def read(store: storage.Storage, segment: repositories.SegmentInfo) -> pa.Table:
    batches = segments.SegmentReader(store, KEYRING).scan(segment)
    return pa.Table.from_batches(list(batches), OBJECTS)


@pytest.fixture
def store(tmp_path: Path) -> storage.Storage:
    return storage.open_storage(str(tmp_path / "store"))


def test_what_was_appended_is_what_is_scanned_in_order(store: storage.Storage) -> None:
    batches = [object_rows(0, 700), object_rows(700, 1), object_rows(701, 2000, "group")]
    (segment,) = write(store, batches)
    assert read(store, segment) == pa.Table.from_batches(batches)
    assert segment.rows == 2701
    assert segment.bounds == {"kind": ("group", "user"), "id": ("id-00000000", "id-00002700")}
    assert store.size(segment.path) == segment.size_bytes


def test_no_rows_write_no_segment(store: storage.Storage) -> None:
    assert write(store, []) == ()
    assert write(store, [object_rows(0, 0)]) == ()
    assert store.list_stored("") == []


def test_an_aborted_writer_stores_nothing_and_leaves_no_file(
    store: storage.Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spool))

    def fail_half_way() -> None:
        with segment_writer.SegmentWriter(store, KEYRING, "objects", OBJECTS) as writer:
            writer.append(object_rows(0, 5000))
            assert list(spool.iterdir())
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert store.list_stored("") == []
    assert list(spool.iterdir()) == []


def test_only_ciphertext_reaches_the_spool_and_the_store(
    store: storage.Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spool))
    with segment_writer.SegmentWriter(
        store, KEYRING, "objects", OBJECTS, repositories.SegmentLayout(row_group_bytes=10_000)
    ) as writer:
        writer.append(object_rows(0, 5000, note="confidential"))
        spooled = b"".join(path.read_bytes() for path in spool.iterdir())
        assert len(spooled) > 10_000
        (segment,) = writer.close()
    for data in (spooled, store.get(segment.path)):
        for plain in (b"confidential", b"displayName", b"user", b"digest", b"id-0000", b"kind"):
            assert plain not in data
    assert store.get(segment.path)[:4] == store.get(segment.path)[-4:] == b"PARE"


def test_a_full_segment_is_closed_and_positions_tell_where_each_row_went(
    store: storage.Storage,
) -> None:
    with segment_writer.SegmentWriter(
        store,
        KEYRING,
        "objects",
        OBJECTS,
        repositories.SegmentLayout(row_group_bytes=10_000),
        segment_bytes=20_000,
    ) as writer:
        where = [(first, writer.append(object_rows(first, 300))) for first in range(0, 6000, 300)]
        written = {segment.path: segment for segment in writer.close()}
    assert len(written) > 3
    reader = segments.SegmentReader(store, KEYRING)
    for first, position in where:
        row = reader.read_rows(written[position.segment], [position.row + 17], ["id"])
        assert row.to_pydict() == {"id": [f"id-{first + 17:08d}"]}


def test_rows_are_read_by_number_in_the_order_asked_for(store: storage.Storage) -> None:
    (segment,) = write(store, [object_rows(0, 5000)], row_group_bytes=50_000)
    assert segment.row_groups > 5
    reader = segments.SegmentReader(store, KEYRING)
    numbers = [4999, 0, 2500, 2499, 0, 17]
    found = reader.read_rows(segment, numbers, ["id", "body"])
    assert found.column("id").to_pylist() == [f"id-{number:08d}" for number in numbers]
    assert orjson.loads(found.column("body")[0].as_py())["id"] == "id-00004999"
    assert reader.read_rows(segment, []).num_rows == 0
    with pytest.raises(errors.UsageError):
        reader.read_rows(segment, [5000])
    with pytest.raises(errors.UsageError):
        reader.read_rows(segment, [-1])


def test_a_point_read_fetches_only_its_row_group(store: storage.Storage) -> None:
    (segment,) = write(store, [object_rows(0, 20_000)], row_group_bytes=20_000)
    counting = CountingStorage(store)
    reader = segments.SegmentReader(counting, KEYRING)
    reader.read_rows(segment, [0])
    counting.fetched_bytes = 0
    reader.read_rows(segment, [10_000], ["body"])
    assert 0 < counting.fetched_bytes < segment.size_bytes / 10


def test_a_scan_for_a_kind_skips_what_cannot_hold_it(store: storage.Storage) -> None:
    batches = [object_rows(0, 10_000), object_rows(10_000, 5, "zone")]
    (segment,) = write(store, batches, row_group_bytes=20_000)
    counting = CountingStorage(store)
    reader = segments.SegmentReader(counting, KEYRING)
    zones = pa.Table.from_batches(reader.scan(segment, ["id", "body"], where={"kind": "zone"}))
    assert zones.column("id").to_pylist() == [f"id-{n:08d}" for n in range(10_000, 10_005)]
    assert counting.fetched_bytes < segment.size_bytes / 2
    counting.fetched_bytes = 0
    assert list(reader.scan(segment, where={"kind": "application"})) == []
    assert counting.fetched_bytes == 0
    assert reader.find_rows(segment, {"kind": "zone", "id": "id-00010003"}) == [10_003]
    assert reader.find_rows(segment, {"kind": "user", "id": "id-00010003"}) == []


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    counts=st.lists(st.integers(0, 60), max_size=8),
    group_bytes=st.integers(200, 5000),
    cut=st.tuples(st.integers(0, 200), st.integers(0, 200)),
    kinds=st.lists(st.sampled_from(["user", "group", "device"]), min_size=8, max_size=8),
)
def test_filters_and_cuts_answer_as_a_plain_list_does(
    store: storage.Storage,
    counts: list[int],
    group_bytes: int,
    cut: tuple[int, int],
    kinds: list[str],
) -> None:
    batches = [
        object_rows(100 * number, count, kinds[number]) for number, count in enumerate(counts)
    ]
    plain = [row for batch in batches for row in batch.to_pylist()]
    written = write(store, batches, row_group_bytes=group_bytes)
    assert sum(segment.rows for segment in written) == len(plain)
    reader = segments.SegmentReader(store, KEYRING)
    for segment in written:
        first, last = cut
        found = [
            row
            for batch in reader.scan(
                segment, ["id"], where={"kind": "group"}, first_row=first, last_row=last
            )
            for row in batch.to_pylist()
        ]
        assert found == [{"id": r["id"]} for r in plain[first:last] if r["kind"] == "group"]


def test_a_value_that_repeats_costs_its_bytes_once_a_row_group(store: storage.Storage) -> None:
    schema = pa.schema([("source", pa.binary()), ("target", pa.binary())])
    targets = [os.urandom(16) for _ in range(1000)]
    rows = random.Random(5).choices(targets, k=60_000)
    sizes = []
    for repeating in ((), ("source", "target")):
        layout = repositories.SegmentLayout(
            row_group_rows=100_000, row_group_bytes=64 << 20, repeating=repeating
        )
        with segment_writer.SegmentWriter(store, KEYRING, "t", schema, layout) as writer:
            for start in range(0, len(rows), 4096):
                piece = rows[start : start + 4096]
                batch = pa.record_batch([[targets[0]] * len(piece), piece], schema=schema)
                writer.append(batch)
            (segment,) = writer.close()
        assert segment.row_groups == 1
        found = pa.Table.from_batches(segments.SegmentReader(store, KEYRING).scan(segment))
        assert found.column("target").to_pylist() == rows
        sizes.append(segment.size_bytes)
    assert sizes[1] < 20 * len(targets) + 1.5 * len(rows) < sizes[0]


def test_long_values_have_no_bounds_and_nulls_do_no_harm(store: storage.Storage) -> None:
    schema = pa.schema([("short", pa.string()), ("long", pa.string()), ("none", pa.string())])
    rows = pa.record_batch([["b", None, "a"], ["x" * 200, "y", "z"], [None] * 3], schema=schema)
    with segment_writer.SegmentWriter(store, KEYRING, "t", schema) as writer:
        writer.append(rows)
        (segment,) = writer.close()
    assert segment.bounds == {"short": ("a", "b")}
    reader = segments.SegmentReader(store, KEYRING)
    found = [batch.num_rows for batch in reader.scan(segment, where={"long": "y"})]
    assert found == [1]


def test_rows_of_another_schema_are_refused(store: storage.Storage) -> None:
    with (
        segment_writer.SegmentWriter(store, KEYRING, "objects", OBJECTS) as writer,
        pytest.raises(errors.UsageError),
    ):
        writer.append(pa.record_batch({"other": [1]}))


def test_any_flipped_byte_raises_and_names_the_segment(store: storage.Storage) -> None:
    (segment,) = write(store, [object_rows(0, 3000)], row_group_bytes=30_000)
    whole = store.get(segment.path)
    plain = read(store, segment)
    footer_bytes = int.from_bytes(whole[-8:-4], "little")
    footer = len(whole) - 8 - footer_bytes
    positions = {
        *range(4, 60),  # the first page's length and nonce
        *range(footer, footer + 13),  # the footer's own header
        *range(footer + 16, footer + 60),  # its length, its nonce
        *range(len(whole) - 28, len(whole)),  # its tag, its length and the magic
        *random.Random(1).sample(range(4, footer), 40),
        *random.Random(2).sample(range(footer + 16, len(whole)), 30),
    }
    for position in sorted(positions):
        store.put_replacing(segment.path, _flipped(whole, position))
        with pytest.raises(errors.RepositoryDamaged, match=segment.path):
            read(store, segment)
    store.put_replacing(segment.path, whole)
    assert read(store, segment) == plain


@pytest.mark.slow
def test_every_single_flipped_byte_raises_or_means_nothing() -> None:
    store = storage.open_storage("memory://")
    (segment,) = write(store, [object_rows(0, 60)], row_group_bytes=1500)
    whole = store.get(segment.path)
    plain = read(store, segment)
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    # The leading magic, and three Thrift stop bytes whose upper half means nothing: no reader
    # looks at them, the rows are the same, and the hash that `check` verifies finds them.
    idle = {0, 1, 2, 3, footer + 13, footer + 14, footer + 15}
    for position in range(len(whole)):
        for mask in (0x01, 0x80):
            store.put_replacing(segment.path, _flipped(whole, position, mask))
            try:
                rows = read(store, segment)
            except errors.RepositoryDamaged:
                continue
            assert rows == plain
            assert position in idle


def test_a_cut_or_lengthened_segment_raises(store: storage.Storage) -> None:
    (segment,) = write(store, [object_rows(0, 3000)])
    whole = store.get(segment.path)
    for data in (b"", whole[:4], whole[: len(whole) // 2], whole[:-1], whole[1:], b"x" + whole):
        store.put_replacing(segment.path, data)
        with pytest.raises(errors.RepositoryDamaged, match=segment.path):
            read(store, segment)
    store.delete(segment.path)
    with pytest.raises(errors.RepositoryDamaged, match=f"{segment.path} is missing"):
        read(store, segment)


def test_two_segments_that_changed_places_do_not_open(store: storage.Storage) -> None:
    # Same table, same shape, same size: nothing but the name tells them apart.
    (one,) = write(store, [object_rows(0, 500)])
    (two,) = write(store, [object_rows(500, 500)])
    first, second = store.get(one.path), store.get(two.path)
    store.put_replacing(one.path, second)
    store.put_replacing(two.path, first)
    reader = segments.SegmentReader(store, KEYRING)
    for segment in (one, two):
        with pytest.raises(errors.RepositoryDamaged, match=segment.path):
            reader.read_rows(segment, [0])


def test_a_plain_parquet_file_in_place_of_a_segment_is_refused(
    store: storage.Storage, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    (segment,) = write(store, [object_rows(0, 500)])
    forged = tmp_path / "forged.parquet"
    pq.write_table(pa.Table.from_batches([object_rows(0, 500, note="forged")]), forged)
    data = forged.read_bytes()
    store.put_replacing(segment.path, data)
    lying = repositories.SegmentInfo.from_json({**segment.to_json(), "size_bytes": len(data)})
    with pytest.raises(errors.RepositoryDamaged, match=segment.path):
        read(store, lying)


def test_a_segment_with_other_rows_than_its_manifest_tells_is_damage(
    store: storage.Storage,
) -> None:
    (segment,) = write(store, [object_rows(0, 500)])
    lying = repositories.SegmentInfo.from_json({**segment.to_json(), "rows": 499})
    with pytest.raises(errors.RepositoryDamaged, match="500 rows and its manifest tells 499"):
        read(store, lying)


def test_a_store_that_fails_is_not_taken_for_damage(store: storage.Storage) -> None:
    (segment,) = write(store, [object_rows(0, 500)])

    class Failing(CountingStorage):
        def get_range(self, path: str, start: int, length: int) -> bytes:
            raise errors.StorageError("the network is gone")

    with pytest.raises(errors.StorageError, match="the network is gone"):
        read(Failing(store), segment)


def test_many_threads_read_at_once(store: storage.Storage) -> None:
    (segment,) = write(store, [object_rows(0, 8000)], row_group_bytes=40_000)
    reader = segments.SegmentReader(store, KEYRING)
    wrong: list[object] = []

    def run(seed: int) -> None:
        for _ in range(40):
            number = random.Random(seed).randrange(8000)
            seed += 1000
            got = reader.read_rows(segment, [number], ["id"]).column("id")[0].as_py()
            if got != f"id-{number:08d}":
                wrong.append((number, got))

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_memory_does_not_grow_with_what_is_written_and_scanned(place: Place) -> None:
    plain = object_rows(0, 2000)
    bodies = pa.array([os.urandom(1500) for _ in range(2000)], pa.binary())
    rows = plain.set_column(4, "body", bodies)
    gc.collect()
    before = pa.total_allocated_bytes()
    highest = 0
    with place.repository.segment_writer("objects", OBJECTS) as writer:
        for _ in range(20):  # 60 MB of bodies that no compression makes smaller
            writer.append(rows)
            highest = max(highest, pa.total_allocated_bytes() - before)
        written = writer.close()
    assert highest < 30 << 20
    for segment in written:
        for _ in place.repository.scan(segment):
            highest = max(highest, pa.total_allocated_bytes() - before)
    assert highest < 45 << 20


def test_a_scan_fetches_little_ahead(
    store: storage.Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "SCAN_BYTES", 50_000)
    (segment,) = write(store, [object_rows(0, 20_000)], row_group_bytes=20_000)
    counting = CountingStorage(store)
    batches = segments.SegmentReader(counting, KEYRING).scan(segment)
    next(batches)
    footer_bytes = 64 * 1024  # what Parquet readers fetch from the end of a file
    assert counting.fetched_bytes < footer_bytes + segment.size_bytes / 3


class CountingStorage:
    """Counts the bytes that are fetched from another store."""

    def __init__(self, inner: storage.Storage) -> None:
        self.inner = inner
        self.fetched_bytes = 0
        self.put_new = inner.put_new
        self.put_replacing = inner.put_replacing
        self.size = inner.size
        self.list_stored = inner.list_stored
        self.delete = inner.delete
        self.get = inner.get

    @property
    def url(self) -> str:
        return self.inner.url

    def get_range(self, path: str, start: int, length: int) -> bytes:
        data = self.inner.get_range(path, start, length)
        self.fetched_bytes += len(data)
        return data


def _flipped(data: bytes, position: int, mask: int = 1) -> bytes:
    return data[:position] + bytes([data[position] ^ mask]) + data[position + 1 :]
