"""A set of object ids that a million of them fit in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_KEY_BYTES = 16
_FEWEST_BUCKETS = 64  # a power of two
_MOST_KEYS = 16  # in a bucket, on average


class IdSet:
    """A set of ids. A GUID in lower case takes about 25 bytes here, and 180 in a set of texts.

    Keys lie end to end in buckets, found by their hash: an object of Python for each would take
    four times as much. Any other text is kept as it is.
    """

    __slots__ = ("_buckets", "_count", "_texts")

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._buckets = [b""] * _FEWEST_BUCKETS
        self._count = 0
        self._texts: set[str] = set()
        for one in ids:
            self.add(one)

    def __contains__(self, object_id: str) -> bool:
        key = _key(object_id)
        if isinstance(key, str):
            return key in self._texts
        return _place(self._buckets[hash(key) & (len(self._buckets) - 1)], key) >= 0

    def __len__(self) -> int:
        return self._count + len(self._texts)

    def __iter__(self) -> Iterator[str]:
        for bucket in self._buckets:
            yield from map(_text, _keys(bucket))
        yield from self._texts

    def add(self, object_id: str) -> bool:
        """Add an id and return whether it is new."""
        key = _key(object_id)
        if isinstance(key, str):
            before = len(self._texts)
            self._texts.add(key)
            return len(self._texts) > before
        number = hash(key) & (len(self._buckets) - 1)
        bucket = self._buckets[number]
        if _place(bucket, key) >= 0:
            return False
        self._buckets[number] = bucket + key
        self._count += 1
        if self._count > _MOST_KEYS * len(self._buckets):
            self._double()
        return True

    def discard(self, object_id: str) -> bool:
        """Remove an id and return whether it was there."""
        key = _key(object_id)
        if isinstance(key, str):
            before = len(self._texts)
            self._texts.discard(key)
            return len(self._texts) < before
        number = hash(key) & (len(self._buckets) - 1)
        bucket = self._buckets[number]
        place = _place(bucket, key)
        if place < 0:
            return False
        self._buckets[number] = bucket[:place] + bucket[place + _KEY_BYTES :]
        self._count -= 1
        return True

    def _double(self) -> None:
        """Divide each bucket in two, one after the other, so that no key is there twice."""
        before = len(self._buckets)
        self._buckets += [b""] * before
        for number in range(before):
            halves: tuple[list[bytes], list[bytes]] = ([], [])
            for key in _keys(self._buckets[number]):
                halves[bool(hash(key) & before)].append(key)
            self._buckets[number], self._buckets[before + number] = map(b"".join, halves)


def _place(bucket: bytes, key: bytes) -> int:
    """Return where a key begins, or -1; bytes of two keys side by side may look like one."""
    place = bucket.find(key)
    while place > 0 and place % _KEY_BYTES:
        place = bucket.find(key, place + 1)
    return place


def _keys(bucket: bytes) -> Iterator[bytes]:
    return (bucket[at : at + _KEY_BYTES] for at in range(0, len(bucket), _KEY_BYTES))


def _key(object_id: str) -> bytes | str:
    """Return 16 bytes for a GUID that they give back letter by letter, else the id itself."""
    if (
        len(object_id) == 36
        and object_id[8] == object_id[13] == object_id[18] == object_id[23] == "-"
        and object_id.islower()
    ):
        try:
            key = bytes.fromhex(object_id.replace("-", ""))
        except ValueError:
            return object_id
        # Blanks between digits are read over: what is left is then too short.
        if len(key) == _KEY_BYTES:
            return key
    return object_id


def _text(key: bytes) -> str:
    text = key.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
