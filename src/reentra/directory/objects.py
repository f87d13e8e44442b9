"""Objects and relationships of a tenant, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


def canonical_id(identifier: str) -> str:
    """Return a GUID in lower case, and any other identifier as it is.

    Graph writes GUIDs as it likes and reads them in any case; keys of links are case-sensitive.
    """
    if len(identifier) == 36 and identifier[8] == identifier[13] == identifier[18] == "-":
        return identifier.lower()
    return identifier


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """Names one object: its kind (Graph's resource name, singular) and its id."""

    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.id}"

    @classmethod
    def parse(cls, text: str) -> ObjectRef:
        """Read ``KIND/ID``.

        Raises: ``ValueError`` when there is no kind or no id.
        """
        kind, slash, object_id = text.partition("/")
        if not slash or not kind or not object_id:
            raise ValueError(f"{text!r} is not of the form KIND/ID")
        return cls(kind, canonical_id(object_id))


@dataclass(frozen=True, slots=True)
class DirectoryObject:
    """One object as Graph returned it, without transport annotations (see ``canonical.cleaned``).

    ``properties`` holds everything, ``id`` too, known to us or not. Treat it as frozen.
    """

    kind: str
    id: str
    properties: Mapping[str, Any]

    @property
    def ref(self) -> ObjectRef:
        return ObjectRef(self.kind, self.id)

    def get(self, name: str) -> Any:
        return self.properties.get(name)


@dataclass(frozen=True, slots=True, order=True)
class Relationship:
    """A link between two objects, stored at the side that owns the navigation property.

    ``kind`` is a name of ``relationships.RELATIONSHIPS`` (``group.members``). ``target_kind`` is
    empty where Graph did not say it. ``qualifier`` tells links apart that share both ends: the
    role of a scoped role membership.
    """

    kind: str
    source_id: str
    target_id: str
    target_kind: str = ""
    qualifier: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes two links the same link; ``target_kind`` is knowledge, not identity."""
        return (self.kind, self.source_id, self.target_id, self.qualifier)
