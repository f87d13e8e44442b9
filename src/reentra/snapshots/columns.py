"""Rows of a chain as sorted columns: the last row about one thing wins, and bisection finds it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc


def numbered(column: pa.Array, words: dict[str, int]) -> pa.Array:
    """Return a column of few words as their places in ``words``, which learns new ones."""
    few = column.dictionary_encode()
    numbers = [words.setdefault(word, len(words)) for word in few.dictionary.to_pylist()]
    return pa.array(numbers, pa.int32()).take(few.indices)


def last_rows(table: pa.Table, key: Sequence[str]) -> pa.Table:
    """Return the rows sorted by ``key``: of those with one key the last, unless ``removed``.

    The columns are in one chunk each, before and after.
    """
    places = last_places(table, key)
    stays = pc.invert(table.column("removed").chunk(0).take(places))
    return table.drop_columns("removed").take(places.filter(stays)).combine_chunks()


def last_places(table: pa.Table, key: Sequence[str]) -> pa.Array:
    """Return where the last row of each key is, in the order of the keys.

    The columns are in one chunk each.
    """
    order = pc.sort_indices(table, [(name, "ascending") for name in key])  # is stable
    if not len(order):
        return order
    is_last = pa.repeat(pa.scalar(False), len(order) - 1)
    for name in key:
        column = table.column(name).chunk(0).take(order)
        differs = pc.not_equal(column.slice(0, len(order) - 1), column.slice(1))
        is_last = pc.or_(is_last, differs)
    return order.filter(pa.concat_arrays([is_last, pa.array([True])]))


class CodeColumn:
    """A sorted column of codes."""

    __slots__ = ("_begin", "_bytes", "_ends", "_length")

    def __init__(self, codes: pa.BinaryArray) -> None:
        _, ends, data = codes.buffers()
        self._length = len(codes)
        self._begin = codes.offset
        self._ends = memoryview(ends).cast("i") if ends is not None else memoryview(b"")
        self._bytes = memoryview(data) if data is not None else memoryview(b"")

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, place: int) -> bytes:
        at = self._begin + place
        return bytes(self._bytes[self._ends[at] : self._ends[at + 1]])

    def place(self, code: bytes) -> int | None:
        """Return where a code is."""
        found = bisect_left(self, code)
        return found if found < self._length and self[found] == code else None
