"""A forgotten snapshot is hidden, and every other one reads as before."""

from __future__ import annotations

import datetime as dt

import pytest

from reentra import errors
from reentra.repository import (
    Manifest,
    Repository,
    RetentionPolicy,
    check_repository,
    load_policy,
    save_policy,
)
from reentra.repository.check import Severity

from .conftest import TENANT, Place, object_rows

NOON = dt.datetime(2026, 11, 20, 12, 0, 0, tzinfo=dt.UTC)


def history(place: Place, count: int = 5) -> list[Manifest]:
    """Return a line of snapshots, each of which writes one object anew and adds another."""
    made: list[Manifest] = []
    for number in range(count):
        rows = [object_rows(0, 3), object_rows(10 + number, 1), object_rows(0, 1, note=f"{number}")]
        at = NOON + dt.timedelta(days=number)
        made.append(place.write(rows, parent=made[-1] if made else None, at=at))
    return made


def rows_of(repository: Repository, snapshot_id: str, tenant_id: str = TENANT) -> list[object]:
    return [
        row
        for manifest in repository.load_chain(tenant_id, snapshot_id)
        for segment in manifest.segments
        for batch in repository.scan(segment)
        for row in batch.to_pylist()
    ]


def forget(repository: Repository, *snapshot_ids: str, tenant_id: str = TENANT) -> None:
    with repository.lock_tenant(tenant_id, "forget") as lock:
        repository.forget(tenant_id, snapshot_ids, lock=lock)


@pytest.mark.parametrize("chosen", [(0,), (1,), (3,), (0, 1, 2), (1, 3), (0, 1, 2, 3)])
def test_what_is_forgotten_is_hidden_and_the_rest_reads_as_before(
    place: Place, chosen: tuple[int, ...]
) -> None:
    made = history(place)
    kept = [one.id for number, one in enumerate(made) if number not in chosen]
    before = {one: rows_of(place.repository, one) for one in kept}
    forget(place.repository, *(made[number].id for number in chosen))
    for repository in (place.repository, place.reopen()):
        assert repository.list_snapshot_ids(TENANT) == kept
        assert [one.id for one in repository.list_manifests(TENANT)] == kept
        assert {one: rows_of(repository, one) for one in kept} == before
        assert repository.load_chain(TENANT, kept[-1])[-1].ref == made[-1].ref
        parents = [
            one.parent.id if one.parent else None for one in repository.list_manifests(TENANT)
        ]
        assert parents == [None, *kept[:-1]]
        with pytest.raises(errors.NotFound, match="was forgotten"):
            repository.load_manifest(TENANT, made[chosen[0]].id)


def test_the_next_backup_builds_on_what_is_kept(place: Place) -> None:
    made = history(place, 3)
    forget(place.repository, made[1].id)
    parent = place.repository.load_manifest(TENANT, made[2].id)
    at = NOON + dt.timedelta(days=9)
    child = place.write([object_rows(77, 1)], parent=parent, at=at)
    assert len(rows_of(place.repository, child.id)) == 16
    assert check_repository(place.repository).is_whole


def test_the_newest_is_never_forgotten_nor_one_that_is_not_there(place: Place) -> None:
    made = history(place, 2)
    with pytest.raises(errors.Refused, match="newest"):
        forget(place.repository, made[0].id, made[1].id)
    with pytest.raises(errors.NotFound):
        forget(place.repository, made[0].id, "20200101T000000Z-00000000")
    assert len(place.repository.list_snapshot_ids(TENANT)) == 2


def test_forgetting_twice_is_harmless_and_wants_the_tenants_lock(place: Place) -> None:
    made = history(place, 2)
    forget(place.repository, made[0].id)
    forget(place.repository, made[0].id)
    assert place.repository.list_forgotten(TENANT) == {made[0].id}
    another = place.repository.lock_tenant("another", "forget")
    with another as lock, pytest.raises(errors.UsageError):
        place.repository.forget(TENANT, [made[0].id], lock=lock)
    with place.repository.lock_tenant(TENANT, "backup"), pytest.raises(errors.RepositoryLocked):
        forget(place.repository, made[0].id)


def test_a_tenant_forgets_nothing_of_another_one(place: Place) -> None:
    own = history(place, 2)
    others = place.write([object_rows(0, 2)], tenant_id="another", at=NOON)
    forget(place.repository, own[0].id)
    assert place.repository.list_snapshot_ids("another") == [others.id]
    assert place.repository.list_forgotten("another") == frozenset()


def test_check_counts_the_forgotten_and_tells_a_mark_that_hides_nothing(place: Place) -> None:
    made = history(place, 3)
    forget(place.repository, made[0].id)
    report = check_repository(place.repository, expected_heads={TENANT: made[0].id})
    assert (report.problems, report.snapshots, report.forgotten) == ((), 2, 1)
    name = f"{TENANT}/20200101T000000Z-00000000"
    place.repository.put_document("forgotten", name, {"forgotten_at": "2026-11-24T00:00:00Z"})
    (problem,) = check_repository(place.repository).problems
    assert problem.severity is Severity.INFORMATION


def test_damage_of_a_forgotten_snapshot_is_damage_of_what_stands_on_it(place: Place) -> None:
    made = history(place, 3)
    forget(place.repository, made[0].id)
    place.storage.delete(made[0].segments[0].path)
    (problem,) = check_repository(place.repository).problems
    assert problem.severity is Severity.DAMAGE
    assert set(problem.snapshots) == {one.id for one in made}


def test_a_policy_is_kept_in_the_repository_and_the_last_one_counts(place: Place) -> None:
    assert load_policy(place.repository, TENANT).is_empty
    for number in (3, 7):
        save_policy(place.repository, TENANT, RetentionPolicy(daily=number), NOON)
    assert load_policy(place.reopen(), TENANT) == RetentionPolicy(daily=7)
    assert load_policy(place.repository, "another").is_empty
    assert len(place.repository.list_documents("retention")) == 1
