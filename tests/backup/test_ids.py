"""An id set gives back exactly what was put in."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from reentra.backup.ids import IdSet

GUIDS = st.uuids().map(str)
IDS = GUIDS | GUIDS.map(str.upper) | st.text(min_size=1, max_size=40) | GUIDS.map(lambda g: g[:-1])


@given(st.lists(IDS), st.lists(IDS))
def test_it_behaves_like_a_set_of_texts(added: list[str], removed: list[str]) -> None:
    ids, model = IdSet(), set[str]()
    for one in added:
        ids.add(one)
        model.add(one)
        assert one in ids
    for one in [*removed, *added[::2]]:
        assert ids.discard(one) == (one in model)
        model.discard(one)
    assert set(ids) == model
    assert len(ids) == len(model)
    assert all((one in ids) == (one in model) for one in [*added, *removed])


@given(st.lists(IDS), st.lists(IDS))
def test_many_at_once_are_added_as_one_by_one(first: list[str], second: list[str]) -> None:
    ids = IdSet(first)
    ids.update(second)
    assert set(ids) == {*first, *second}
    assert len(ids) == len({*first, *second})


@given(st.lists(IDS), st.lists(IDS), st.integers(0, 2000))
def test_what_another_set_lacks_is_told(mine: list[str], theirs: list[str], more: int) -> None:
    others = [str(uuid.UUID(int=number)) for number in range(more)]
    left = IdSet([*mine, *theirs[::2]]) - IdSet([*others, *theirs])
    assert sorted(left) == sorted({*mine, *theirs[::2]} - {*others, *theirs})


def test_the_same_guid_in_another_case_is_another_id() -> None:
    guid = str(uuid.UUID(int=0xABCDEF))
    assert guid.upper() not in IdSet([guid])


def test_thousands_of_ids_are_told_apart() -> None:
    # Keys that are made of one another's halves look alike where two of them lie side by side.
    guids = [str(uuid.UUID(int=(one << 64) | two)) for one in range(60) for two in range(60)]
    guids = [one for one in guids if one.islower()]
    ids = IdSet(guids[::2])
    assert len(ids) == len(guids[::2])
    assert set(ids) == set(guids[::2])
    assert [one in ids for one in guids] == [number % 2 == 0 for number in range(len(guids))]
    for one in guids[::2]:
        ids.add(one)
    assert len(ids) == len(guids[::2])
    assert all(ids.discard(one) for one in guids[::4])
    assert set(ids) == set(guids[2::4])
