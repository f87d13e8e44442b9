"""Old id to new id: what a tenant's objects were called before they had to be created anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reentra.directory import references
from reentra.directory.kinds import KINDS, IdForm


@dataclass(frozen=True, slots=True)
class IdentityMap:
    """Immutable map of object ids and of client ids (``appId``), old to new.

    A chain (restored twice) is followed to its end. Ids that the map does not know stand for
    themselves. ``kinds`` says, for each old object id, what it was.
    """

    objects: Mapping[str, str] = field(default_factory=dict)
    apps: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not self.objects and not self.apps

    def current(self, object_id: str) -> str:
        """Return the id under which the object is known now."""
        return _end_of_chain(self.objects, object_id)

    def current_app(self, app_id: str) -> str:
        """Return the client id that the application has now."""
        return _end_of_chain(self.apps, app_id)

    def resolve(self, form: IdForm, identifier: str) -> str | None:
        """Answer ``directory.references.rewritten``: the new identifier, or ``None``."""
        if form in (IdForm.APP_ID, IdForm.APP_URI):
            found = self.current_app(identifier)
        else:
            found = self.current(identifier)
        return None if found == identifier else found

    def rewritten(self, kind: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``properties`` with every reference that the kinds table names brought up to date.

        Applying it twice is the same as applying it once. Values without references are not
        copied: treat the result as frozen.
        """
        row = KINDS.get(kind)
        if self.is_empty or row is None or not (row.references or row.has_extensions):
            return dict(properties)
        return references.rewritten(kind, properties, self.resolve)

    def with_object(self, kind: str, old_id: str, new_id: str) -> IdentityMap:
        """Return the map that knows ``old_id`` as ``new_id``; an equal pair adds nothing.

        An id that it had in between is known as the new one, too.
        """
        return self.with_objects([(kind, old_id, new_id)])

    def with_objects(self, made: Iterable[tuple[str, str, str]]) -> IdentityMap:
        """Return the map that knows each (kind, old id, new id) of ``made``; copied at most once.

        The order counts: an old id that is another's new one belongs to the same chain.
        """
        objects, kinds = dict(self.objects), dict(self.kinds)
        is_changed = False
        for kind, old_id, new_id in made:
            last_id = _end_of_chain(objects, old_id)
            if last_id != new_id:
                for one in (old_id, last_id):
                    objects[one], kinds[one] = new_id, kind
                is_changed = True
        return IdentityMap(objects, self.apps, kinds) if is_changed else self

    def with_returned(self, kind: str, object_id: str) -> IdentityMap:
        """Return the map that knows ``object_id``, and all that it became, as ``object_id`` again.

        For an object that somebody brought back while what stood for it has gone.
        """
        if (last_id := self.current(object_id)) == object_id:
            return self
        ids = {object_id, last_id, *self.olds_of(last_id)}
        return IdentityMap(
            {**self.objects, **dict.fromkeys(ids, object_id)},
            self.apps,
            {**self.kinds, **dict.fromkeys(ids, kind)},
        )

    def with_app(self, old_app_id: str, new_app_id: str) -> IdentityMap:
        """Return the map that knows the client id ``old_app_id`` as ``new_app_id``."""
        last_id = self.current_app(old_app_id)
        if last_id == new_app_id:
            return self
        apps = {**self.apps, old_app_id: new_app_id, last_id: new_app_id}
        return IdentityMap(self.objects, apps, self.kinds)

    def merged(self, later: IdentityMap) -> IdentityMap:
        """Return both maps as one; where they differ, ``later`` is right."""
        if later.is_empty:
            return self
        if self.is_empty:
            return later
        return IdentityMap(
            {**self.objects, **later.objects},
            {**self.apps, **later.apps},
            {**self.kinds, **later.kinds},
        )

    def flat(self) -> dict[str, str]:
        """Return every old object id with its present one, chains resolved."""
        return {old: self.current(old) for old in sorted(self.objects)}

    def olds_of(self, object_id: str) -> Iterator[str]:
        """Yield the ids that ``object_id`` had before."""
        for old in self.objects:
            if old != object_id and self.current(old) == object_id:
                yield old

    def to_json(self) -> dict[str, Any]:
        return {
            "objects": [
                {"kind": self.kinds.get(old, ""), "old": old, "new": new}
                for old, new in sorted(self.objects.items())
            ],
            "apps": [{"old": old, "new": new} for old, new in sorted(self.apps.items())],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> IdentityMap:
        return cls(
            {item["old"]: item["new"] for item in value.get("objects", ())},
            {item["old"]: item["new"] for item in value.get("apps", ())},
            {item["old"]: item["kind"] for item in value.get("objects", ())},
        )


NO_IDENTITY = IdentityMap()


def _end_of_chain(links: Mapping[str, str], identifier: str) -> str:
    """Follow ``identifier``; GUIDs are tried in lower case too, for texts write them as they like.

    A circle (which no restore makes) ends where it began.
    """
    if not links:
        return identifier
    seen = {identifier}
    current = identifier
    while True:
        following = links.get(current)
        if following is None:
            following = links.get(current.lower())
        if following is None or following in seen:
            return current
        seen.add(following)
        current = following
