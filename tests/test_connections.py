"""Connections and identity maps: kept in the repository, so that nothing is lost with a machine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from reentra import errors
from reentra.connections import Connections
from reentra.graph.connection import Cloud, TenantConnection
from reentra.identities import Identities, learnt_since
from reentra.repository import KdfCost, Repository, open_storage
from reentra.repository.documents import document_path
from reentra.restore.identity import IdentityMap

BEGAN = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
TENANT = "7e3a1c52-9b0d-4c8e-8f21-5d6a4b3c2e10"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    cost = KdfCost(memory_kib=8, iterations=1, lanes=1)
    made, _ = Repository.create(open_storage(str(tmp_path / "repository")), "pass", cost=cost)
    return made


def connection(name: str = "contoso", tenant_id: str = TENANT) -> TenantConnection:
    return TenantConnection(name=name, tenant_id=tenant_id, client_id="app", cloud=Cloud.USGOV)


def test_a_connection_comes_back_with_its_secret_on_another_machine(
    repository: Repository, tmp_path: Path
) -> None:
    Connections(tmp_path / "here", lambda: repository).add(connection(), "secret-canary")
    elsewhere = Connections(tmp_path / "there", lambda: repository)
    assert elsewhere.list_known() == []
    assert elsewhere.list_all() == [connection()]
    assert elsewhere.list_known() == [connection()]
    assert elsewhere.load("contoso").secret == "secret-canary"
    assert "secret-canary" not in repr(elsewhere.load("contoso"))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(b"secret-canary" not in path.read_bytes() for path in files)


def test_a_name_never_changes_its_tenant(repository: Repository, tmp_path: Path) -> None:
    known = Connections(tmp_path, lambda: repository)
    known.add(connection(), "one")
    known.add(connection(), "two")
    assert known.load("contoso").secret == "two"
    with pytest.raises(errors.AlreadyExists):
        known.add(connection(tenant_id="00000000-0000-0000-0000-000000000000"), "three")
    assert known.load("contoso").secret == "two"


def test_listing_what_is_known_needs_no_repository(repository: Repository, tmp_path: Path) -> None:
    Connections(tmp_path, lambda: repository).add(connection(), "one")

    def closed() -> Repository:
        raise AssertionError("the repository was opened")

    assert Connections(tmp_path, closed).list_known() == [connection()]
    assert Connections(tmp_path, closed).find("contoso") == connection()


def test_a_removed_connection_is_gone_for_good(repository: Repository, tmp_path: Path) -> None:
    known = Connections(tmp_path, lambda: repository)
    known.add(connection(), "one")
    known.remove("contoso")
    assert known.list_known() == known.list_all() == []
    with pytest.raises(errors.NotFound, match="contoso"):
        known.load("contoso")


@pytest.mark.parametrize("name", ["", "a/b", "../x", ".hidden", "a" * 64])
def test_a_name_that_could_leave_the_folder_is_refused(
    repository: Repository, tmp_path: Path, name: str
) -> None:
    with pytest.raises(errors.UsageError):
        Connections(tmp_path, lambda: repository).add(connection(name), "one")


def learnt(old: str, new: str) -> IdentityMap:
    return IdentityMap().with_object("user", old, new)


def test_what_restores_learnt_is_merged_in_order_of_time(repository: Repository) -> None:
    identities = Identities(repository)
    identities.add(TENANT, "zz", BEGAN, 1, learnt("a", "b"))
    identities.add(TENANT, "aa", BEGAN + dt.timedelta(hours=1), 1, learnt("b", "c"))
    identities.add("another", "aa", BEGAN, 1, learnt("a", "x"))
    assert identities.load(TENANT.upper()).flat() == {"a": "c", "b": "c"}


def test_settling_keeps_everything_in_one_document(repository: Repository) -> None:
    identities = Identities(repository)
    for number in range(1, 4):
        identities.add(TENANT, "job", BEGAN, number, learnt(f"old{number}", f"new{number}"))
    before = identities.load(TENANT)
    identities.settle(TENANT, "job", BEGAN)
    assert len(repository.list_documents("identities")) == 1
    assert identities.load(TENANT) == before
    identities.settle(TENANT, "job", BEGAN)
    identities.add(TENANT, "job", BEGAN, 4, learnt("old4", "new4"))
    identities.settle(TENANT, "job", BEGAN)
    assert identities.load(TENANT).flat()["old4"] == "new4"


def test_adding_the_same_again_or_more_under_one_number_loses_nothing(
    repository: Repository,
) -> None:
    identities = Identities(repository)
    identities.add(TENANT, "job", BEGAN, 1, learnt("a", "b"))
    identities.add(TENANT, "job", BEGAN, 1, learnt("a", "b"))
    identities.add(TENANT, "job", BEGAN, 1, learnt("c", "d"))
    assert identities.load(TENANT).flat() == {"a": "b", "c": "d"}


def damage_first(repository: Repository) -> None:
    """Flip a byte of the oldest document of an identity map."""
    (name, *_rest) = repository.list_documents("identities")
    (stored,) = (
        one
        for one in repository.storage.list_stored("documents/identities")
        if one.path == document_path(repository.keyring, "identities", name)
    )
    file = Path(repository.url) / stored.path
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.chmod(0o600)
    file.write_bytes(bytes(data))


def test_a_damaged_identity_map_says_how_to_go_on(repository: Repository) -> None:
    identities = Identities(repository)
    identities.add(TENANT, "job", BEGAN, 1, learnt("a", "b"))
    damage_first(repository)
    with pytest.raises(errors.RepositoryDamaged) as told:
        identities.load(TENANT)
    assert "check that repairs" in told.value.hint
    assert told.value.typed == "reentra check --repair"


@pytest.mark.parametrize("is_known", [True, False])
def test_a_damaged_identity_map_is_learnt_again_or_set_aside(
    repository: Repository, tmp_path: Path, is_known: bool
) -> None:
    identities = Identities(repository)
    identities.add(TENANT, "first", BEGAN, 1, learnt("a", "b"))
    identities.add(TENANT, "second", BEGAN + dt.timedelta(hours=1), 1, learnt("b", "c"))
    damage_first(repository)
    asked: list[str] = []

    def relearn(job_id: str) -> IdentityMap | None:
        asked.append(job_id)
        return learnt("a", "b") if is_known else None

    (mended,) = identities.mend(relearn, tmp_path / "aside")
    assert asked == ["first"]
    assert mended.is_relearnt is is_known
    assert ("are lost" in mended.sentence) is not is_known
    assert Path(mended.kept_in).stat().st_size > 0
    now = identities.load(TENANT).flat()
    assert now == ({"a": "c", "b": "c"} if is_known else {"b": "c"})
    assert identities.mend(relearn, tmp_path / "aside") == []


def test_only_what_is_new_is_added() -> None:
    known = learnt("a", "b").with_app("app", "app2")
    now = known.with_object("group", "c", "d").with_app("other", "other2")
    assert learnt_since(known, now) == IdentityMap({"c": "d"}, {"other": "other2"}, {"c": "group"})
    assert learnt_since(known, known).is_empty


def test_the_callable_is_not_asked_before_it_is_needed(tmp_path: Path) -> None:
    asked: list[int] = []

    def opener() -> Repository:
        asked.append(1)
        raise errors.ConfigurationError("no repository")

    make: Callable[[], Connections] = lambda: Connections(tmp_path, opener)  # noqa: E731
    assert make().list_known() == []
    assert asked == []


def test_a_connection_whose_replacing_died_is_the_old_one_or_the_new_one(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Connections(tmp_path, lambda: repository)
    known.add(connection(), "old")

    class Died(BaseException):
        pass

    def die(*_: object) -> None:
        raise Died

    for method, secret in (("put_document", "old"), ("delete_document", "new")):
        with monkeypatch.context() as patch:
            patch.setattr(Repository, method, die)
            with pytest.raises(Died):
                known.add(connection(), "new")
        assert Connections(tmp_path, lambda: repository).load("contoso").secret == secret
    known.add(connection(), "third")
    assert known.load("contoso").secret == "third"
    assert len(repository.list_documents("connections")) == 1
    known.remove("contoso")
    assert repository.list_documents("connections") == []
