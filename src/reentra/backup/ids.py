"""A set of object ids that a million of them fit in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from reentra.snapshots import identifiers

_KEY_BYTES = identifiers.GUID_BYTES
_FEWEST_BUCKETS = 64  # a power of two
_MOST_KEYS = 16  # in a bucket, on average
_MOST_RECENT = 1024  # ids that wait as texts: a column of them becomes keys in a third of the time


class IdSet:
    """A set of ids. A GUID in lower case takes about 25 bytes here, and 180 in a set of texts.

    Keys lie end to end in buckets, found by their hash: an object of Python for each would take
    four times as much. Any other text is kept as it is.
    """

    __slots__ = ("_buckets", "_count", "_recent", "_texts")

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._buckets = [b""] * _FEWEST_BUCKETS
        self._count = 0
        self._texts: set[str] = set()
        self._recent: set[str] = set()  # added, and not in a bucket or among the texts yet, or so
        for one in ids:
            self.add(one)

    def __contains__(self, object_id: str) -> bool:
        if object_id in self._recent:
            return True
        key = _key(object_id)
        if isinstance(key, str):
            return key in self._texts
        return _place(self._buckets[hash(key) & (len(self._buckets) - 1)], key) >= 0

    def __len__(self) -> int:
        self._settle()
        return self._count + len(self._texts)

    def __iter__(self) -> Iterator[str]:
        self._settle()
        for bucket in self._buckets:
            yield from map(_text, _keys(bucket))
        yield from self._texts

    def __sub__(self, other: IdSet) -> list[str]:
        """Return the ids that the other does not have."""
        self._settle()
        other._settle()
        if len(self._buckets) != len(other._buckets):
            return [one for one in self if one not in other]
        left = [*(self._texts - other._texts)]
        for mine, theirs in zip(self._buckets, other._buckets, strict=True):
            left += map(_text, {*_keys(mine)}.difference(_keys(theirs)))
        return left

    def add(self, object_id: str) -> None:
        """Add an id."""
        self._recent.add(object_id)
        if len(self._recent) >= _MOST_RECENT:
            self._settle()

    def update(self, object_ids: Collection[str]) -> None:
        """Add ids."""
        self._recent.update(object_ids)
        if len(self._recent) >= _MOST_RECENT:
            self._settle()

    def discard(self, object_id: str) -> bool:
        """Remove an id and return whether it was there."""
        self._settle()
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

    def _settle(self) -> None:
        """Give the ids that were added last their places."""
        if not self._recent:
            return
        recent, self._recent = self._recent, set()
        joined = identifiers.guid_bytes([*recent])
        keys = map(_key, recent) if joined is None else _keys(joined)
        buckets, last = self._buckets, len(self._buckets) - 1
        for key in keys:
            if isinstance(key, str):
                self._texts.add(key)
                continue
            number = hash(key) & last
            bucket = buckets[number]
            if _place(bucket, key) < 0:
                buckets[number] = bucket + key
                self._count += 1
        while self._count > _MOST_KEYS * len(buckets):
            self._double()

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


def _keys(keys: bytes) -> list[bytes]:
    return [keys[at : at + _KEY_BYTES] for at in range(0, len(keys), _KEY_BYTES)]


def _key(object_id: str) -> bytes | str:
    """Return 16 bytes for a GUID that they give back letter by letter, else the id itself."""
    key = identifiers.encoded(object_id)
    return key if len(key) == _KEY_BYTES else object_id


def _text(key: bytes) -> str:
    text = key.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
