"""A set of object ids that a million of them fit in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class IdSet:
    """A set of ids. A GUID in lower case takes about 90 bytes here, and 180 in a set of texts."""

    __slots__ = ("_keys",)

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._keys: set[bytes | str] = {_key(one) for one in ids}

    def __contains__(self, object_id: str) -> bool:
        return _key(object_id) in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        for key in self._keys:
            yield key if isinstance(key, str) else _text(key)

    def add(self, object_id: str) -> bool:
        """Add an id and return whether it is new."""
        before = len(self._keys)
        self._keys.add(_key(object_id))
        return len(self._keys) > before

    def discard(self, object_id: str) -> bool:
        """Remove an id and return whether it was there."""
        before = len(self._keys)
        self._keys.discard(_key(object_id))
        return len(self._keys) < before


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
        if len(key) == 16:
            return key
    return object_id


def _text(key: bytes) -> str:
    text = key.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
