"""Identifiers as bytes: sixteen for a GUID, wherever rows of identifiers are stored.

``encoded`` is reversible: a GUID in lower case becomes its sixteen bytes; any other text its UTF-8
followed by ``FF`` (which UTF-8 never has), twice where that would be sixteen bytes long.

Columns of them are worked on as columns: a value of Python for each of some millions of links would
cost more than all the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

GUID_BYTES = 16

_GUID_LETTERS = 36
_DASHES = (8, 13, 18, 23)
_END = b"\xff"


def encoded(text: str) -> bytes:
    """Return the bytes that stand for an identifier."""
    if len(text) == _GUID_LETTERS and text[8] == text[13] == text[18] == text[23] == "-":
        digits = text.replace("-", "")
        try:
            data = bytes.fromhex(digits)
        except ValueError:
            data = b""
        # Neither capitals nor white space between digits come back.
        if len(data) == GUID_BYTES and data.hex() == digits:
            return data
    data = text.encode() + _END
    return data + _END if len(data) == GUID_BYTES else data


def decoded(data: bytes) -> str:
    """Return the identifier that ``encoded`` was given."""
    if len(data) == GUID_BYTES:
        digits = data.hex()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    return data.rstrip(_END).decode()


def guid_bytes(texts: Sequence[str]) -> bytes | None:
    """Return the sixteen bytes of each, end to end; ``None`` unless all are GUIDs in lower case."""
    joined = "".join(texts)
    if len(joined) != _GUID_LETTERS * len(texts) or not {*map(len, texts)} <= {_GUID_LETTERS}:
        return None
    digits = joined.replace("-", "")
    dashes = "-" * len(texts)
    if len(digits) != 32 * len(texts) or any(
        joined[place::_GUID_LETTERS] != dashes for place in _DASHES
    ):
        return None
    try:
        data = bytes.fromhex(digits)
    except ValueError:
        return None
    # Neither capitals nor white space between digits come back.
    return data if data.hex() == digits else None


def encoded_each(texts: Sequence[str]) -> list[bytes]:
    """Return ``encoded`` of each; of GUIDs by the hundred for a quarter of the price."""
    data = guid_bytes(texts)
    if data is None:
        return [encoded(text) for text in texts]
    return [data[at : at + GUID_BYTES] for at in range(0, len(data), GUID_BYTES)]


def codes_of(texts: Sequence[str]) -> pa.BinaryArray:
    """Return ``encoded`` of each, as a column; a column of GUIDs costs a tenth of the others."""
    data = guid_bytes(texts)
    if data is None:
        return pa.array([encoded(text) for text in texts], pa.binary())
    buffers = [None, pa.py_buffer(data)]
    column = pa.Array.from_buffers(pa.binary(GUID_BYTES), len(texts), buffers)
    return column.cast(pa.binary())


def stored_codes(column: pa.Array) -> pa.BinaryArray:
    """Return a stored column of identifiers as codes; the first layout kept them as text."""
    return codes_of(column.to_pylist()) if pa.types.is_string(column.type) else column


def stored_texts(column: pa.Array) -> list[str]:
    """Return a stored column of identifiers as texts, whichever layout it is of."""
    values = column.to_pylist()
    return values if pa.types.is_string(column.type) else [decoded(value) for value in values]


class CodeNumbers:
    """Codes in the order in which they were first met: numbers from 0, about 20 bytes each."""

    def __init__(self) -> None:
        self._pieces: list[pa.Array] = []
        self.count = 0

    def numbers(self, codes: pa.Array) -> tuple[pa.Array, pa.Array]:
        """Return the number of each code, and the codes that are met for the first time."""
        column = codes.dictionary_encode()
        distinct = column.dictionary
        places = pa.nulls(len(distinct), pa.int64())
        if self._pieces:
            # Looked up the other way round: what Arrow hashes is the column, which is of a bounded
            # size, and not all that is known.
            found = pc.index_in(pa.chunked_array(self._pieces), value_set=distinct)
            numbers = pc.indices_nonzero(pc.is_valid(found)).cast(pa.int64())
            met = pc.drop_null(found).combine_chunks()
            places = pc.scatter(numbers, met, max_index=len(distinct) - 1)
        is_fresh = pc.is_null(places)
        fresh = distinct.filter(is_fresh)
        if len(fresh):
            more = pa.array(range(self.count, self.count + len(fresh)), pa.int64())
            places = pc.replace_with_mask(places, is_fresh, more)
            self._pieces.append(fresh)
            self.count += len(fresh)
        return places.take(column.indices), fresh

    def codes(self) -> pa.BinaryArray:
        """Return all codes, each at its number's place."""
        return pa.chunked_array(self._pieces, pa.binary()).combine_chunks()
