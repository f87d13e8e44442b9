from __future__ import annotations

import datetime as dt
import json
import re
import shutil
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reentra import errors
from reentra import repository as repositories
from reentra.repository import manifests, sealed, storage

from .conftest import (
    CHEAP,
    OBJECTS,
    PASSPHRASE,
    TENANT,
    Place,
    make_place,
    object_rows,
    write_snapshot,
)

NOON = dt.datetime(2026, 11, 23, 12, 0, 0, tzinfo=dt.UTC)


def test_a_snapshot_comes_back_as_it_was_written(place: Place) -> None:
    written = place.write([object_rows(0, 100)])
    opened = place.reopen()
    assert opened.list_tenants() == [TENANT]
    assert opened.list_snapshot_ids(TENANT) == [written.id]
    assert opened.list_manifests(TENANT) == [written]
    loaded = opened.load_manifest(TENANT, written.id)
    assert loaded == written
    assert loaded.payload == {"kinds": {"user": 100}}
    assert loaded.created_at == NOON
    (batch,) = opened.scan(loaded.segments[0])
    assert batch == object_rows(0, 100)
    assert opened.read_rows(loaded.segments[0], [5], ["id"]).to_pydict() == {"id": ["id-00000005"]}
    assert opened.find_rows(loaded.segments[0], {"id": "id-00000042"}) == [42]


def test_a_chain_is_loaded_oldest_first(place: Place) -> None:
    first = place.write([object_rows(0, 3)])
    second = place.write([object_rows(3, 3)], parent=first, at=NOON + dt.timedelta(hours=1))
    third = place.write([], parent=second, at=NOON + dt.timedelta(hours=2))
    assert place.reopen().load_chain(TENANT, third.id) == [first, second, third]
    assert third.segments == ()
    assert place.reopen().list_manifests(TENANT) == [first, second, third]


def test_tenants_are_kept_apart(place: Place) -> None:
    one = place.write([object_rows(0, 3)], tenant_id="tenant one")
    two = place.write([object_rows(0, 3)], tenant_id="tenant two")
    assert place.repository.list_tenants() == ["tenant one", "tenant two"]
    assert place.repository.list_manifests("tenant one") == [one]
    with pytest.raises(errors.NotFound):
        place.repository.load_manifest("tenant one", two.id)
    assert place.repository.list_manifests("tenant three") == []


def test_nothing_in_the_store_tells_whose_it_is(place: Place) -> None:
    place.write([object_rows(0, 50, note="confidential")], tenant_id="contoso")
    place.repository.put_document("plans", "contoso/plan", {"of": "contoso"})
    with place.repository.lock_tenant("contoso", "backup of contoso"):
        for path in place.files():
            assert "contoso" not in str(path.relative_to(place.root))
            for plain in (b"contoso", b"confidential", b"objects", b"kinds"):
                assert plain not in path.read_bytes(), path


def test_a_second_init_leaves_the_repository_as_it_is(place: Place) -> None:
    before = {path: path.read_bytes() for path in place.files()}
    with pytest.raises(errors.AlreadyExists):
        repositories.Repository.create(place.storage, "another", cost=CHEAP)
    assert {path: path.read_bytes() for path in place.files()} == before


def test_of_two_inits_at_once_one_wins_and_the_other_leaves_nothing(tmp_path: Path) -> None:
    store = repositories.open_storage(str(tmp_path / "r"))
    outcome: list[str] = []

    def create(passphrase: str) -> None:
        try:
            repositories.Repository.create(store, passphrase, cost=CHEAP)
        except errors.AlreadyExists:
            return
        outcome.append(passphrase)

    threads = [threading.Thread(target=create, args=(f"secret {n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcome) == 1
    opened = repositories.Repository.open(store, outcome[0])
    assert repositories.check_repository(opened).problems == ()
    assert len(store.list_stored("keys")) == 2


def test_a_place_without_a_repository_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match="no repository"):
        repositories.Repository.open(repositories.open_storage(str(tmp_path)), PASSPHRASE)
    assert list(tmp_path.iterdir()) == []


def test_opening_and_reading_write_nothing(place: Place) -> None:
    written = place.write([object_rows(0, 10)])
    before = {path: path.stat().st_mtime_ns for path in place.root.rglob("*")}
    opened = place.reopen()
    list(opened.scan(written.segments[0]))
    opened.list_manifests(TENANT)
    opened.list_documents("plans")
    assert {path: path.stat().st_mtime_ns for path in place.root.rglob("*")} == before


def test_a_newer_format_is_left_alone(place: Place) -> None:
    config = json.loads((place.root / "config").read_text())
    (place.root / "config").write_bytes(_canonical({**config, "format": 2}))
    with pytest.raises(errors.UnsupportedFormat, match="format 2"):
        place.reopen()


def test_any_flipped_byte_of_the_configuration_raises(place: Place) -> None:
    path = place.root / "config"
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(_flipped(whole, position))
        with pytest.raises(errors.RepositoryDamaged):
            place.reopen()
    path.write_bytes(whole[:-1])
    with pytest.raises(errors.RepositoryDamaged, match="config"):
        place.reopen()


def test_a_configuration_that_says_the_same_in_other_bytes_raises(place: Place) -> None:
    path = place.root / "config"
    whole = path.read_bytes()
    twice = whole[:-1] + b',"format":1}'
    for data in (whole + b"\n", b" " + whole, whole.replace(b'":', b'": ', 1), twice):
        path.write_bytes(data)
        with pytest.raises(errors.RepositoryDamaged, match="config"):
            place.reopen()


def test_a_forged_configuration_raises(place: Place) -> None:
    path = place.root / "config"
    config = json.loads(path.read_text())
    path.write_bytes(_canonical({**config, "created_at": "2020-01-01T00:00:00Z"}))
    with pytest.raises(errors.RepositoryDamaged, match="config"):
        place.reopen()


def test_any_flipped_byte_of_a_manifest_raises_and_names_it(place: Place) -> None:
    written = place.write([object_rows(0, 3)])
    (path,) = place.files("manifests")
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(_flipped(whole, position))
        with pytest.raises(errors.RepositoryDamaged, match=written.id):
            place.repository.load_manifest(TENANT, written.id)
    for length in (0, 1, 19, 20, 35, 36, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(errors.RepositoryDamaged, match=written.id):
            place.repository.load_manifest(TENANT, written.id)
    path.write_bytes(whole)
    assert place.repository.load_manifest(TENANT, written.id) == written


def test_a_manifest_under_another_name_or_tenant_does_not_open(place: Place) -> None:
    first = place.write([object_rows(0, 3)])
    second = place.write([object_rows(3, 3)], parent=first, at=NOON + dt.timedelta(hours=1))
    other = place.write([object_rows(6, 3)], tenant_id="other")
    paths = {path.name: path for path in place.files("manifests")}
    shutil.copy(paths[first.id], paths[second.id])
    with pytest.raises(errors.RepositoryDamaged, match=second.id):
        place.repository.load_manifest(TENANT, second.id)
    shutil.copy(paths[other.id], paths[first.id])
    with pytest.raises(errors.RepositoryDamaged, match=first.id):
        place.repository.load_manifest(TENANT, first.id)


def test_a_manifest_of_another_repository_does_not_open(place: Place, tmp_path: Path) -> None:
    other = make_place(tmp_path / "other")
    written = other.write([object_rows(0, 3)])
    (source,) = other.files("manifests")
    target = place.root / "manifests" / place.repository.keyring.blind("tenant", TENANT)
    target.mkdir(parents=True)
    shutil.copy(source, target / written.id)
    with pytest.raises(errors.RepositoryDamaged, match=written.id):
        place.repository.load_manifest(TENANT, written.id)


def test_a_rewritten_ancestor_is_told_though_it_decrypts(place: Place) -> None:
    first = place.write([object_rows(0, 3)])
    second = place.write([object_rows(3, 3)], parent=first, at=NOON + dt.timedelta(hours=1))
    keyring = place.repository.keyring
    path = manifests.manifest_path(keyring, TENANT, first.id)
    value = manifests.manifest_to_json(
        tenant_id=TENANT,
        snapshot_id=first.id,
        created_at=first.created_at,
        parent=None,
        segments=(),
        payload={"forged": True},
    )
    place.storage.put_replacing(path, sealed.seal(keyring, sealed.SealedKind.MANIFEST, path, value))
    assert place.repository.load_manifest(TENANT, first.id).payload == {"forged": True}
    with pytest.raises(errors.RepositoryDamaged, match=f"{first.id} is not the one"):
        place.repository.load_chain(TENANT, second.id)
    damage = [
        problem
        for problem in repositories.check_repository(place.repository).problems
        if problem.severity is repositories.Severity.DAMAGE
    ]
    assert [problem.snapshots for problem in damage] == [(second.id,)]
    with pytest.raises(errors.RepositoryDamaged, match="not committed"):
        place.write([], parent=first, at=NOON + dt.timedelta(hours=2))


def test_a_missing_ancestor_is_damage_and_not_an_empty_tenant(place: Place) -> None:
    first = place.write([object_rows(0, 3)])
    second = place.write([object_rows(3, 3)], parent=first, at=NOON + dt.timedelta(hours=1))
    (path,) = (path for path in place.files("manifests") if path.name == first.id)
    path.unlink()
    with pytest.raises(errors.RepositoryDamaged, match=f"{first.id}, which {second.id}"):
        place.repository.load_chain(TENANT, second.id)


def test_nothing_is_committed_without_its_segments(place: Place) -> None:
    repository = place.repository
    with (
        repository.lock_tenant(TENANT, "backup") as lock,
        repository.segment_writer("objects", OBJECTS) as writer,
    ):
        writer.append(object_rows(0, 10))
        (segment,) = writer.close()
        path = place.root / segment.path
        whole = path.read_bytes()
        for harm in (lambda: path.write_bytes(whole[:-1]), path.unlink):
            harm()
            with pytest.raises(errors.RepositoryDamaged, match="not committed"):
                repository.commit(
                    lock=lock,
                    tenant_id=TENANT,
                    snapshot_id=repository.new_snapshot_id(NOON),
                    created_at=NOON,
                    parent=None,
                    segments=(segment,),
                    payload={},
                )
    assert repository.list_snapshot_ids(TENANT) == []


def test_nothing_is_committed_on_a_parent_that_is_not_there(place: Place) -> None:
    first = place.write([object_rows(0, 3)])
    (path,) = place.files("manifests")
    path.unlink()
    with pytest.raises(errors.RepositoryDamaged, match="not committed"):
        place.write([], parent=first, at=NOON + dt.timedelta(hours=1))
    assert place.repository.list_snapshot_ids(TENANT) == []


def test_a_snapshot_is_invisible_until_its_manifest_is_stored(place: Place) -> None:
    class DiesAtTheManifest(storage.FolderStorage):
        def put_new(self, path: str, data: bytes | Path) -> None:
            if path.startswith("manifests/"):
                raise errors.StorageError("the machine died")
            storage.FolderStorage.put_new(self, path, data)

    dying = repositories.Repository.open(DiesAtTheManifest(place.root), PASSPHRASE)
    with pytest.raises(errors.StorageError, match="died"):
        write_snapshot(dying, [object_rows(0, 100)])
    opened = place.reopen()
    assert opened.list_tenants() == []
    (told,) = repositories.check_repository(opened).problems
    assert told.severity is repositories.Severity.INFORMATION
    assert told.path.startswith("segments/")


def test_documents_are_written_once_listed_by_prefix_and_deleted(place: Place) -> None:
    repository = place.repository
    for name in ("a/1", "a/2", "b/1"):
        repository.put_document("checkpoints", name, {"name": name, "list": [1, None, "ü"]})
    repository.put_document("plans", "a/1", [1])
    with pytest.raises(errors.AlreadyExists):
        repository.put_document("checkpoints", "a/1", {})
    opened = place.reopen()
    assert opened.list_documents("checkpoints") == ["a/1", "a/2", "b/1"]
    assert opened.list_documents("checkpoints", "a/") == ["a/1", "a/2"]
    assert opened.load_document("checkpoints", "a/2") == {"name": "a/2", "list": [1, None, "ü"]}
    opened.delete_document("checkpoints", "a/1")
    opened.delete_document("checkpoints", "a/1")
    with pytest.raises(errors.NotFound, match="checkpoints/a/1"):
        opened.load_document("checkpoints", "a/1")
    assert opened.load_document("plans", "a/1") == [1]
    with pytest.raises(errors.UsageError):
        opened.put_document("Bad/Collection", "x", {})


def test_any_flipped_byte_of_a_document_raises_and_names_it(place: Place) -> None:
    place.repository.put_document("plans", "one", {"a": 1})
    place.repository.put_document("plans", "two", {"a": 1})
    path, other = place.files("documents")
    opened = place.reopen()
    names = {
        place.repository.keyring.blind("document/plans", name): name for name in ("one", "two")
    }
    name = names[path.name]
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(_flipped(whole, position))
        with pytest.raises(errors.RepositoryDamaged, match=path.name):
            opened.load_document("plans", name)
    path.write_bytes(other.read_bytes())
    with pytest.raises(errors.RepositoryDamaged, match=path.name):
        opened.load_document("plans", name)


def test_a_document_is_no_manifest(place: Place) -> None:
    keyring = place.repository.keyring
    data = sealed.seal(keyring, sealed.SealedKind.DOCUMENT, "some/path", {})
    with pytest.raises(errors.RepositoryDamaged, match="no manifest"):
        sealed.unseal(keyring, sealed.SealedKind.MANIFEST, "some/path", data)


def test_a_sealed_object_of_a_newer_format_is_told_as_such(place: Place) -> None:
    keyring = place.repository.keyring
    data = bytearray(sealed.seal(keyring, sealed.SealedKind.LOCK, "some/path", {}))
    data[4] = 2
    with pytest.raises(errors.UnsupportedFormat):
        sealed.unseal(keyring, sealed.SealedKind.LOCK, "some/path", bytes(data))


def test_the_same_value_is_never_sealed_to_the_same_bytes(place: Place) -> None:
    keyring = place.repository.keyring
    one, two = (sealed.seal(keyring, sealed.SealedKind.DOCUMENT, "p", {"a": 1}) for _ in range(2))
    assert one != two


@given(
    st.lists(
        st.datetimes(timezones=st.just(dt.UTC), min_value=dt.datetime(2000, 1, 1)), unique=True
    )
)
def test_snapshot_ids_sort_by_time(moments: list[dt.datetime]) -> None:
    moments = [moment for moment in moments if moment.year < 10_000]
    ids = [manifests.snapshot_id(moment) for moment in moments]
    assert all(re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{8}", one) for one in ids)
    by_time = [one for _, one in sorted(zip(moments, ids, strict=True))]
    assert sorted(ids) == by_time


def test_a_name_that_is_no_snapshot_id_is_not_looked_for(place: Place) -> None:
    with pytest.raises(errors.NotFound, match="no snapshot id"):
        place.repository.load_manifest(TENANT, "../../config")


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def test_where_data_lies_without_its_configuration_no_new_repository_is_made(place: Place) -> None:
    place.write([object_rows(0, 1)])
    config = place.root / "config"
    content = config.read_bytes()
    config.unlink()
    with pytest.raises(errors.RepositoryDamaged, match="config is missing"):
        repositories.Repository.create(place.storage, PASSPHRASE, cost=CHEAP)
    config.write_bytes(content)
    assert place.reopen().list_snapshot_ids(TENANT)


def test_one_more_recovery_key_opens_and_takes_none_away(place: Place) -> None:
    more = place.repository.add_recovery_key()
    assert more != place.recovery_key
    for secret in (more, place.recovery_key, PASSPHRASE):
        assert place.reopen(secret).id == place.repository.id
