"""A snapshot's state is the replay of its chain, from the repository and the key alone."""

from __future__ import annotations

import datetime as dt

import pytest

from reentra import errors
from reentra.directory import canonical
from reentra.directory.objects import Relationship
from reentra.directory.state import COMPLETE
from reentra.repository import Manifest, Repository, open_storage
from reentra.snapshots import (
    KindSummary,
    ReplayedSnapshot,
    SnapshotInfo,
    SnapshotStatus,
    SnapshotWriter,
)
from tests.backup.support import CHEAP, PASSPHRASE

TENANT = "11111111-1111-4111-8111-111111111111"
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class Chain:
    """Writes snapshots by hand."""

    def __init__(self) -> None:
        self.repository, _ = Repository.create(open_storage("memory://"), PASSPHRASE, cost=CHEAP)
        self.newest: Manifest | None = None
        self.writer = SnapshotWriter(self.repository)
        self.moment = START

    def put(self, kind: str, object_id: str, **properties: object) -> None:
        body = {"id": object_id, **properties}
        self.writer.put_object(kind, object_id, canonical.digest(kind, body), body)

    def commit(self) -> ReplayedSnapshot:
        self.moment += dt.timedelta(hours=1)
        summary = KindSummary(0, 0, 0, 0, COMPLETE)
        info = SnapshotInfo(
            SnapshotStatus.COMPLETE, self.moment, self.moment, {"user": summary}, {}
        )
        with self.repository.lock_tenant(TENANT, "test") as lock:
            self.newest = self.repository.commit(
                lock=lock,
                tenant_id=TENANT,
                snapshot_id=self.repository.new_snapshot_id(self.moment),
                created_at=self.moment,
                parent=self.newest.ref if self.newest else None,
                segments=self.writer.seal(),
                payload=info.to_json(),
            )
        return ReplayedSnapshot(self.repository, TENANT, self.newest.id)


@pytest.fixture
def chain() -> Chain:
    return Chain()


def test_each_snapshot_keeps_its_own_state(chain: Chain) -> None:
    chain.put("user", "a", displayName="A")
    chain.put("user", "b", displayName="B")
    first = chain.commit()
    chain.put("user", "a", displayName="A2")
    chain.writer.delete_object("user", "b")
    chain.put("user", "c", displayName="C")
    second = chain.commit()
    again = ReplayedSnapshot(chain.repository, TENANT, first.label)
    assert {u.id: u.get("displayName") for u in again.list_objects("user")} == {"a": "A", "b": "B"}
    assert {u.id: u.get("displayName") for u in second.list_objects("user")} == {
        "a": "A2",
        "c": "C",
    }
    assert second.load_objects("user", ["b", "c"]).keys() == {"c"}
    assert second.load_names(["a", "b"]) == {"a": ("user", "A2")}
    assert second.count_objects("user") == 2


def test_a_deleted_object_comes_back_with_its_new_body(chain: Chain) -> None:
    chain.put("user", "a", displayName="A")
    chain.commit()
    chain.writer.delete_object("user", "a")
    assert list(chain.commit().list_objects("user")) == []
    chain.put("user", "a", displayName="A again")
    assert chain.commit().load_objects("user", ["a"])["a"].get("displayName") == "A again"


def test_the_later_row_of_one_snapshot_wins(chain: Chain) -> None:
    chain.put("user", "a", displayName="first")
    chain.put("user", "a", displayName="second")
    link = Relationship("group.members", "g", "a", "user")
    chain.writer.put_link(link)
    chain.writer.remove_link(link)
    snapshot = chain.commit()
    assert snapshot.load_objects("user", ["a"])["a"].get("displayName") == "second"
    assert list(snapshot.list_relationships("group.members")) == []


def test_links_are_replayed_with_their_qualifier(chain: Chain) -> None:
    first = Relationship("administrativeUnit.scopedRoleMembers", "u", "a", "", "role1")
    second = Relationship("administrativeUnit.scopedRoleMembers", "u", "a", "", "role2")
    chain.writer.put_link(first)
    chain.writer.put_link(second)
    chain.commit()
    chain.writer.remove_link(first)
    snapshot = chain.commit()
    assert snapshot.load_relationships(first.kind, ["u"]) == [second]
    assert snapshot.load_relationships_to(first.kind, ["a"]) == [second]


def test_objects_are_found_by_a_property_in_any_case(chain: Chain) -> None:
    chain.put("user", "a", userPrincipalName="Ada@Example.com")
    found = chain.commit().find_objects("user", "userPrincipalName", ["ada@example.COM"])
    assert [user.id for user in found] == ["a"]


def test_what_a_manifest_says_survives_its_journey(chain: Chain) -> None:
    chain.put("user", "a", displayName="A")
    snapshot = chain.commit()
    assert SnapshotInfo.from_json(snapshot.info.to_json()) == snapshot.info
    assert snapshot.coverage() == {"user": COMPLETE}


def test_an_unknown_snapshot_is_told(chain: Chain) -> None:
    chain.commit()
    with pytest.raises(errors.NotFound):
        ReplayedSnapshot(chain.repository, TENANT, "20200101T000000Z-00000000")
