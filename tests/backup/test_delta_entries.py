"""What a delta's entries are worth: whole or partial, told once or anew, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from reentra.backup.delta import is_whole, lacks_some
from reentra.directory.kinds import KINDS
from reentra.directory.objects import DirectoryObject, Relationship
from reentra.graph import odata
from tests.backup.support import ReplayBase, World, assert_same_state


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """Return what backups ask their base for: bodies, links of sources, links by both ends."""
    found: dict[str, list[Any]] = {"bodies": [], "sources": [], "links": []}
    bodies, sources, links = (
        ReplayBase.load_objects,
        ReplayBase.load_relationships,
        ReplayBase.load_links,
    )

    def load_objects(base: ReplayBase, kind: str, ids: Sequence[str]) -> dict[str, DirectoryObject]:
        found["bodies"] += ids
        return bodies(base, kind, ids)

    def load_relationships(
        base: ReplayBase, relationship: str, source_ids: Sequence[str]
    ) -> list[Relationship]:
        found["sources"] += source_ids
        return sources(base, relationship, source_ids)

    def load_links(
        base: ReplayBase, relationship: str, ends: Sequence[tuple[str, str]]
    ) -> list[Relationship]:
        found["links"] += ends
        return links(base, relationship, ends)

    monkeypatch.setattr(ReplayBase, "load_objects", load_objects)
    monkeypatch.setattr(ReplayBase, "load_relationships", load_relationships)
    monkeypatch.setattr(ReplayBase, "load_links", load_links)
    return found


def telling_only(world: World, monkeypatch: pytest.MonkeyPatch, kept: set[str]) -> None:
    """Let the server tell, of what changed since a round, these properties and links."""
    real = world.client.delta

    def delta(path_or_link: str, *arguments: Any) -> Iterator[odata.Page]:
        for page in real(path_or_link, *arguments):
            items = page.items
            if "://" in path_or_link:
                items = [{k: v for k, v in one.items() if k in kept or "@" in k} for one in items]
            yield odata.Page(items, page.next_link, page.delta_link)

    monkeypatch.setattr(world.client, "delta", delta)


def some_users(world: World, count: int) -> list[str]:
    users = world.live.list_objects("user")
    return [user.id for user in users if not user.get("onPremisesSyncEnabled")][:count]


def test_whole_entries_are_taken_as_they_are_after_a_few_proofs(
    world: World, asked: dict[str, list[Any]]
) -> None:
    world.backup()
    for user in some_users(world, 12):
        world.admin.patch(f"/users/{user}", {"department": "Observatory"})
    result = world.backup()
    assert result.info.kinds["user"].changed == 12
    assert len(asked["bodies"]) == 3
    assert_same_state(world.snapshot(result), world.live)


def test_entries_that_tell_only_what_changed_are_merged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.backup()
    kept = {"id", "displayName", "department"}
    for user in some_users(world, 12):
        world.admin.patch(f"/users/{user}", {"department": "Observatory"})
    telling_only(world, monkeypatch, kept)
    result = world.backup()
    assert result.info.kinds["user"].changed == 12
    assert_same_state(world.snapshot(result), world.live)


def test_entries_that_only_look_whole_are_found_out_and_merged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.backup()
    for user in some_users(world, 12):
        world.admin.patch(f"/users/{user}", {"department": "Observatory"})
    kept = {"id", "displayName", "department", "createdDateTime"}
    telling_only(world, monkeypatch, kept)
    result = world.backup()
    assert result.info.kinds["user"].changed == 12
    assert_same_state(world.snapshot(result), world.live)


def test_of_a_changed_group_only_the_members_that_are_told_are_looked_up(
    world: World, asked: dict[str, list[Any]]
) -> None:
    users = some_users(world, 14)
    group = world.admin.post(
        "/groups",
        {
            "displayName": "Large",
            "mailEnabled": False,
            "mailNickname": "large",
            "securityEnabled": True,
            "members@odata.bind": [world.admin.url(f"directoryObjects/{u}") for u in users[:12]],
        },
    )
    assert group is not None
    world.backup()
    world.admin.remove_reference(f"/groups/{group['id']}/members/{users[0]}/$ref")
    world.admin.patch(
        f"/groups/{group['id']}",
        {"members@odata.bind": [world.admin.url(f"directoryObjects/{u}") for u in users[12:]]},
    )
    result = world.backup()
    members = result.info.relationships["group.members"]
    assert (members.added, members.removed) == (2, 1)
    assert sorted(asked["links"]) == sorted((group["id"], u) for u in [users[0], *users[12:]])
    assert group["id"] not in asked["sources"]
    assert_same_state(world.snapshot(result), world.live)


def test_only_a_property_that_never_changes_makes_an_entry_whole_beyond_doubt() -> None:
    user = KINDS["user"]
    assert is_whole(user, {"displayName": "A", "createdDateTime": None})
    assert not is_whole(user, {"displayName": "A", "department": "X"})
    assert not is_whole(user, {"createdDateTime": "2020-01-01T00:00:00Z"})
    assert not is_whole(KINDS["servicePrincipal"], {"displayName": "A", "createdDateTime": None})


def test_what_is_known_and_not_told_shows_a_partial_entry() -> None:
    assert lacks_some({"id": "1"}, {"id": "1", "department": "X"})
    assert not lacks_some({"id": "1", "department": None}, {"id": "1", "department": "X"})
    assert not lacks_some({"id": "1"}, {"id": "1", "department": None, "phones": []})
