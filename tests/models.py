"""A tenant as a few dictionaries: the simplest thing that answers ``LiveState``.

Tests compare real parts with it, and put it where a snapshot or a live tenant would be.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reentra.directory import canonical, kinds, relationships, state
from reentra.directory.objects import DirectoryObject, Relationship


class ModelTenant:
    """A tenant that tests edit by hand. Implements ``state.LiveState``."""

    def __init__(
        self, tenant_id: str = "11111111-1111-4111-8111-111111111111", label: str = "model"
    ) -> None:
        self._tenant_id = tenant_id
        self._label = label
        self.objects: dict[str, dict[str, dict[str, Any]]] = {}
        self.deleted: dict[str, dict[str, dict[str, Any]]] = {}
        self.links: dict[tuple[str, str, str, str], Relationship] = {}
        self.coverages: dict[str, state.Coverage] = dict.fromkeys(
            [*kinds.KINDS, *relationships.RELATIONSHIPS], state.COMPLETE
        )

    # Editing

    def put(self, kind: str, object_id: str, **properties: Any) -> DirectoryObject:
        """Create the object, or replace all of its properties."""
        body = {"id": object_id, **properties}
        self.objects.setdefault(kind, {})[object_id] = body
        return DirectoryObject(kind, object_id, body)

    def change(self, kind: str, object_id: str, **properties: Any) -> None:
        """Set some properties of an object that exists."""
        self.objects[kind][object_id] = {**self.objects[kind][object_id], **properties}

    def remove(self, kind: str, object_id: str, *, keep_links: bool = False) -> None:
        """Soft-delete where the kind has a recycle bin, with the object's links."""
        body = self.objects[kind].pop(object_id)
        row = kinds.KINDS.get(kind)
        if row is not None and row.has_recycle_bin:
            self.deleted.setdefault(kind, {})[object_id] = body
        if not keep_links:
            self.drop_links_of(object_id)

    def purge(self, kind: str, object_id: str) -> None:
        """Delete for good, alive or in the recycle bin."""
        self.objects.get(kind, {}).pop(object_id, None)
        self.deleted.get(kind, {}).pop(object_id, None)
        self.drop_links_of(object_id)

    def link(
        self,
        relationship: str,
        source_id: str,
        target_id: str,
        target_kind: str = "",
        qualifier: str = "",
    ) -> Relationship:
        """Add a link; adding it again changes nothing."""
        link = Relationship(relationship, source_id, target_id, target_kind, qualifier)
        self.links[link.key] = link
        return link

    def unlink(
        self, relationship: str, source_id: str, target_id: str, qualifier: str = ""
    ) -> None:
        """Remove a link, if it is there."""
        self.links.pop((relationship, source_id, target_id, qualifier), None)

    def drop_links_of(self, object_id: str) -> None:
        for key in [key for key in self.links if object_id in key[1:3]]:
            del self.links[key]

    def cover(
        self, name: str, status: state.CoverageStatus, reason: str = "", *permissions: str
    ) -> None:
        """Say how far a kind or a relationship is known."""
        self.coverages[name] = state.Coverage(status, reason, permissions)

    def copied(self, label: str | None = None) -> ModelTenant:
        """Return a tenant of its own with the same content."""
        other = ModelTenant(self._tenant_id, self._label if label is None else label)
        other.objects = copy.deepcopy(self.objects)
        other.deleted = copy.deepcopy(self.deleted)
        other.links = dict(self.links)
        other.coverages = dict(self.coverages)
        return other

    @classmethod
    def captured(cls, source: state.TenantState, label: str | None = None) -> ModelTenant:
        """Return everything that ``source`` lists, as a model."""
        model = cls(source.tenant_id, source.label if label is None else label)
        model.coverages = dict(source.coverage())
        for name in model.coverages:
            if name in kinds.KINDS:
                for item in source.list_objects(name):
                    body = copy.deepcopy(dict(item.properties))
                    model.objects.setdefault(name, {})[item.id] = body
            elif name in relationships.RELATIONSHIPS:
                for link in source.list_relationships(name):
                    model.links[link.key] = link
        return model

    def comparable(self) -> dict[str, Any]:
        """Return all that counts, in a form that ``==`` and a failing assert show well."""
        return {
            "objects": {
                f"{kind}/{object_id}": canonical.canonical_properties(kind, body)
                for kind, bodies in sorted(self.objects.items())
                for object_id, body in sorted(bodies.items())
            },
            "links": sorted(self.links),
        }

    # TenantState

    @property
    def tenant_id(self) -> str:
        return self._tenant_id

    @property
    def label(self) -> str:
        return self._label

    def coverage(self) -> Mapping[str, state.Coverage]:
        return dict(self.coverages)

    def list_objects(self, kind: str) -> Iterator[DirectoryObject]:
        for object_id, body in list(self.objects.get(kind, {}).items()):
            yield DirectoryObject(kind, object_id, body)

    def load_objects(self, kind: str, ids: Sequence[str]) -> dict[str, DirectoryObject]:
        return _chosen(kind, self.objects.get(kind, {}), ids)

    def find_objects(
        self, kind: str, property_name: str, values: Sequence[str]
    ) -> list[DirectoryObject]:
        return _found(kind, self.objects.get(kind, {}), property_name, values)

    def list_relationships(self, relationship: str) -> Iterator[Relationship]:
        yield from self._links_of(relationship)

    def load_relationships(
        self, relationship: str, source_ids: Sequence[str]
    ) -> list[Relationship]:
        wanted = set(source_ids)
        return [link for link in self._links_of(relationship) if link.source_id in wanted]

    def load_relationships_to(
        self, relationship: str, target_ids: Sequence[str]
    ) -> list[Relationship]:
        wanted = set(target_ids)
        return [link for link in self._links_of(relationship) if link.target_id in wanted]

    def load_names(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        wanted = set(ids)
        result = {}
        for kind, bodies in self.objects.items():
            row = kinds.KINDS.get(kind)
            title = row.title_property if row else "displayName"
            for object_id in wanted & bodies.keys():
                result[object_id] = (kind, str(bodies[object_id].get(title) or ""))
        return result

    def _links_of(self, relationship: str) -> list[Relationship]:
        return [link for link in self.links.values() if link.kind == relationship]

    # LiveState

    def load_deleted(self, kind: str, ids: Sequence[str]) -> dict[str, DirectoryObject]:
        return _chosen(kind, self.deleted.get(kind, {}), ids)

    def find_deleted(
        self, kind: str, property_name: str, values: Sequence[str]
    ) -> list[DirectoryObject]:
        return _found(kind, self.deleted.get(kind, {}), property_name, values)

    def forget_extensions(self) -> None:
        """A model remembers nothing beside itself."""


def _chosen(
    kind: str, bodies: Mapping[str, dict[str, Any]], ids: Iterable[str]
) -> dict[str, DirectoryObject]:
    return {
        object_id: DirectoryObject(kind, object_id, bodies[object_id])
        for object_id in ids
        if object_id in bodies
    }


def _found(
    kind: str, bodies: Mapping[str, dict[str, Any]], property_name: str, values: Iterable[str]
) -> list[DirectoryObject]:
    wanted = {value.lower() for value in values}
    return [
        DirectoryObject(kind, object_id, body)
        for object_id, body in bodies.items()
        if any(
            isinstance(value, str) and value.lower() in wanted
            for value in (
                body[property_name]
                if isinstance(body.get(property_name), list)
                else [body.get(property_name)]
            )
        )
    ]
