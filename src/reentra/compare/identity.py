"""See through new ids: one name for an object on both sides, bodies with present ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reentra.directory import canonical, references
from reentra.directory.kinds import KINDS, IdForm
from reentra.directory.objects import DirectoryObject


class Identities:
    """Old ids to present ones. Grows while users are recognized by their principal name.

    ``known`` is the id at the end of the chain; two ids are the same object when theirs are equal.
    """

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self._next = {old: new for old, new in mapping.items() if old != new}
        self._aliases: dict[str, set[str]] = {}
        for old in self._next:
            self._aliases.setdefault(self.known(old), set()).add(old)

    @property
    def is_empty(self) -> bool:
        return not self._next

    def known(self, identifier: str) -> str:
        """Return the present id; an id that nobody renamed stands for itself."""
        if identifier not in self._next:
            return identifier
        seen = {identifier}
        while (following := self._next.get(identifier)) is not None and following not in seen:
            seen.add(following)
            identifier = following
        return identifier

    def same(self, old: str, new: str) -> None:
        """Take two ids for the same object from now on."""
        old, new = self.known(old), self.known(new)
        if old != new:
            self._next[old] = new
            self._aliases.setdefault(new, set()).update(self._aliases.pop(old, set()), {old})

    def spread(self, identifiers: Iterable[str]) -> list[str]:
        """Return the ids and all others of the same objects, each once."""
        result: dict[str, None] = {}
        for identifier in identifiers:
            known = self.known(identifier)
            result[known] = None
            result.update(dict.fromkeys(sorted(self._aliases.get(known, ()))))
        return list(result)

    def rewrites(self, kind: str) -> bool:
        """Tell whether a body of ``kind`` may read differently once ids are brought up."""
        row = KINDS.get(kind)
        return not self.is_empty and (row is None or row.has_extensions or bool(row.references))

    def body(self, item: DirectoryObject) -> Mapping[str, Any]:
        """Return the properties with every id that the kinds table names brought up to date."""
        if not self.rewrites(item.kind):
            return item.properties
        result = references.rewritten(item.kind, item.properties, self._replacement)
        own = result.get("appId")
        if isinstance(own, str):  # an application's own client id is no reference in the table
            result["appId"] = self.known(own)
        return result

    def digest(self, item: DirectoryObject) -> bytes:
        """Return the digest of the body with its ids brought up to date."""
        return canonical.digest(item.kind, self.body(item))

    def _replacement(self, form: IdForm, identifier: str) -> str | None:
        del form  # object ids and client ids are both GUIDs and never meet
        found = self.known(identifier)
        if found == identifier:
            found = self.known(identifier.lower())
            return None if found == identifier.lower() else found
        return found


def natural_key(item: DirectoryObject, body: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return what names an object beside its id, or ``None`` where only the id does.

    Users are the same by userPrincipalName, objects that join others by what they join.
    """
    row = KINDS.get(item.kind)
    if row is None or not row.natural_key or not (row.is_link or item.kind == "user"):
        return None
    values = tuple(str(body.get(name) or "") for name in row.natural_key)
    if not any(values):
        return None
    return tuple(
        value.lower() if name in row.case_insensitive else value
        for name, value in zip(row.natural_key, values, strict=True)
    )


def comparable_body(kind: str, body: Mapping[str, Any], is_renamed: bool) -> Mapping[str, Any]:
    """Return what of a body counts, given that the object may have got a new id.

    A link that was made anew is the same link: what Graph stamped on it meanwhile says nothing.
    """
    row = KINDS.get(kind)
    if not is_renamed or row is None or not row.is_link:
        return body
    own = row.writable | row.create_only
    return {name: value for name, value in body.items() if name in own}


def title(item: DirectoryObject) -> str:
    """Return what people call an object; its id when it has no name."""
    row = KINDS.get(item.kind)
    names = (row.title_property if row else "", "displayName")
    return next((str(item.get(name)) for name in names if name and item.get(name)), item.id)
