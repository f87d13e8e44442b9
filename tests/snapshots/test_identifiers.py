"""Identifiers come back letter by letter from the bytes that stand for them."""

from __future__ import annotations

import uuid

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reentra.snapshots import identifiers

GUIDS = st.uuids().map(str)
ODD = st.sampled_from(
    [
        "",
        "contoso.com",
        "fifteen letters",
        "sixteen letters.",
        "3F2504E0-4F89-41D3-9A0C-0305E82C3301",
        "3f2504e0-4f89-41d3-9a0c-0305e82c33 1",
        "3f2504e0-4f89-41d3-9a0c-0305e82c 3  ",
        "3f2504e0-4f89-41d3-9a0c-0305e82c33-1",
        "3f2504e0-4f89-41d3-9a0c-0305e82c33011",
        "3f2504e0-4f89-41d3-9a0c-0305e82c330",
    ]
)


@given(st.lists(st.one_of(GUIDS, ODD, st.text(max_size=40))))
def test_a_column_of_codes_is_each_identifiers_own_code(texts: list[str]) -> None:
    column = identifiers.codes_of(texts)
    assert column.type == pa.binary()
    assert column.to_pylist() == [identifiers.encoded(text) for text in texts]
    assert column.to_pylist() == identifiers.encoded_each(texts)
    assert [identifiers.decoded(code) for code in column.to_pylist()] == texts
    assert identifiers.stored_texts(column) == texts
    assert identifiers.stored_codes(pa.array(texts, pa.string())) == column
    assert identifiers.stored_texts(pa.array(texts, pa.string())) == texts


@given(st.lists(GUIDS, min_size=1))
def test_a_guid_takes_sixteen_bytes(texts: list[str]) -> None:
    codes = identifiers.codes_of(texts).to_pylist()
    assert codes == [uuid.UUID(text).bytes for text in texts]


def test_two_identifiers_never_share_a_code() -> None:
    texts = ["fifteen letters", "fifteen letters\xff", "sixteen letters.", "a", ""]
    assert len({identifiers.encoded(text) for text in texts}) == len(texts)


def test_identifiers_of_other_lengths_that_add_up_to_guids_are_kept_apart() -> None:
    one = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
    texts = [one + one[:1], one[1:]]
    assert identifiers.stored_texts(identifiers.codes_of(texts)) == texts


@pytest.mark.parametrize("pieces", [1, 3])
def test_numbers_follow_the_order_in_which_codes_are_first_met(pieces: int) -> None:
    texts = ["b", "a", "b", "c", "a", "d"]
    numbers = identifiers.CodeNumbers()
    found: list[int] = []
    fresh: list[bytes] = []
    step = len(texts) // pieces
    for start in range(0, len(texts), step):
        own, new = numbers.numbers(identifiers.codes_of(texts[start : start + step]))
        found += own.to_pylist()
        fresh += new.to_pylist()
    assert found == [0, 1, 0, 2, 1, 3]
    assert identifiers.stored_texts(numbers.codes()) == ["b", "a", "c", "d"]
    assert fresh == numbers.codes().to_pylist()
