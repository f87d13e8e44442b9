"""Which objects are meant: one grammar for backup, search, restore and download."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reentra import errors
from reentra.directory.kinds import KINDS
from reentra.directory.objects import ObjectRef


@dataclass(frozen=True, slots=True)
class Selection:
    """Whole kinds and single objects. Neither means everything."""

    kinds: frozenset[str] = frozenset()
    refs: frozenset[ObjectRef] = frozenset()

    @property
    def is_everything(self) -> bool:
        return not self.kinds and not self.refs

    def contains(self, kind: str, object_id: str) -> bool:
        """Tell whether an object is meant."""
        if self.is_everything or kind in self.kinds:
            return True
        return ObjectRef(kind, object_id) in self.refs

    def touches(self, kind: str) -> bool:
        """Tell whether any object of ``kind`` can be meant."""
        return self.takes_whole(kind) or any(ref.kind == kind for ref in self.refs)

    def takes_whole(self, kind: str) -> bool:
        """Tell whether every object of ``kind`` is meant."""
        return self.is_everything or kind in self.kinds

    def ids_of(self, kind: str) -> tuple[str, ...]:
        """Return the ids of ``kind`` that are named singly, sorted."""
        return tuple(sorted(ref.id for ref in self.refs if ref.kind == kind))

    @classmethod
    def parse(cls, kinds: Iterable[str] = (), ids: Iterable[str] = ()) -> Selection:
        """Read names of kinds, and objects as KIND/ID.

        Raises: ``errors.UsageError`` for an unknown kind or a malformed id.
        """
        chosen = frozenset(kinds)
        refs = set()
        for text in ids:
            try:
                refs.add(ObjectRef.parse(text))
            except ValueError as error:
                raise errors.UsageError(
                    f"{text!r} names no object: {error}.",
                    hint="Write it as KIND/ID, for example group/<guid>.",
                ) from error
        for kind in chosen | {ref.kind for ref in refs}:
            if kind not in KINDS:
                raise errors.UsageError(
                    f"There is no kind {kind!r}.", hint=f"Kinds are: {', '.join(sorted(KINDS))}."
                )
        return cls(chosen, frozenset(refs))

    def to_json(self) -> dict[str, Any]:
        return {"kinds": sorted(self.kinds), "ids": sorted(str(ref) for ref in self.refs)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Selection:
        return cls(frozenset(value["kinds"]), frozenset(map(ObjectRef.parse, value["ids"])))


EVERYTHING = Selection()
