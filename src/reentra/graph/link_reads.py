"""Reading relationships: by source, by target, and whole."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reentra import errors
from reentra.directory import kinds, objects, relationships
from reentra.graph import addresses, odata, prefetch
from reentra.graph.client import GraphClient
from reentra.graph.object_reads import ObjectReads

_EXPAND_MOST = 20  # an expanded directory navigation is cut there, without a link to the rest
_DELTA_FILTER_IDS = 50
_GET_BY_IDS = 1_000
_NAMED_BY_ID = (
    "user",
    "group",
    "servicePrincipal",
    "application",
    "device",
    "administrativeUnit",
)
# v1.0's members and owners of a group leave out service principals
# (learn.microsoft.com/graph/known-issues); a delta of the group has them.
_SERVICE_PRINCIPAL = ("servicePrincipal", "")  # a type that is not said may be one
_HIDES_SERVICE_PRINCIPALS = frozenset({"group.members", "group.owners"})


class LinkReads:
    """Reads the links of the relationships table. Thread-safe."""

    def __init__(self, client: GraphClient, object_reads: ObjectReads) -> None:
        self._client = client
        self._objects = object_reads
        self._lock = threading.Lock()
        self._shortcomings: dict[str, str] = {}

    @property
    def shortcomings(self) -> dict[str, str]:
        """Relationship -> what this Graph did not give of it."""
        with self._lock:
            return dict(self._shortcomings)

    # --- whole --------------------------------------------------------------------------------

    def list_relationships(self, relationship: str) -> Iterator[objects.Relationship]:
        """Stream every link of a relationship, each once."""
        row = relationships.RELATIONSHIPS[relationship]
        if row.reading is relationships.Reading.DELTA:
            try:
                links = self._read_by_delta(row)
            except (errors.InvalidRequest, errors.GraphNotFound):
                # This Graph has no such delta.
                ids = list(self._objects.list_ids(row.source_kind))
                yield from self.load_relationships(relationship, ids)
                return
            yield from self._alive(row, links)
        elif row.reading is relationships.Reading.EXPAND:
            yield from self._list_by_expand(row)
        elif row.reading is relationships.Reading.PER_TARGET:
            for kind in row.target_kinds:
                yield from self._to_targets(row, kind, self._objects.list_ids(kind))
        else:
            yield from self._of_sources(row, self._objects.list_ids(row.source_kind))

    def _read_by_delta(self, row: relationships.RelationshipKind) -> dict[str, dict[str, str]]:
        source = kinds.KINDS[row.source_kind]
        links: dict[str, dict[str, str]] = {}
        params = {"$select": f"id,{row.property}"}
        for page in prefetch.prefetched(self._client.delta(source.delta_path, params)):
            for item in page.items:
                apply_delta(row.property, item, links)
        return links

    def _alive(
        self, row: relationships.RelationshipKind, links: Mapping[str, Mapping[str, str]]
    ) -> Iterator[objects.Relationship]:
        # A delta keeps the links of what is in the recycle bin; the tenant does not show them
        # (learn.microsoft.com/graph/delta-query-groups).
        deleted = self._deleted_ids(row.target_kinds)
        for source_id, targets in links.items():
            for target_id, target_kind in targets.items():
                if target_id not in deleted:
                    yield objects.Relationship(row.name, source_id, target_id, target_kind)

    def _deleted_ids(self, target_kinds: Iterable[str]) -> frozenset[str]:
        found: set[str] = set()
        for kind in target_kinds:
            if kind in kinds.KINDS and kinds.KINDS[kind].has_recycle_bin:
                path = f"directory/deletedItems/microsoft.graph.{kind}"
                # Only the default properties are documented for a bin: $select may be refused.
                for params in ({"$select": "id"}, {}):
                    try:
                        found.update(id_of(item) for item in self._client.items(path, params))
                    except errors.InvalidRequest:
                        continue
                    except errors.Forbidden:
                        pass  # no bin to look into: the delta's word stands
                    break
        return frozenset(found)

    def _list_by_expand(
        self, row: relationships.RelationshipKind
    ) -> Iterator[objects.Relationship]:
        source = kinds.KINDS[row.source_kind]
        params: dict[str, str | int | bool] = {
            "$select": "id",
            "$expand": f"{row.property}($select=id)",
            "$top": 999,
        }
        cut: list[str] = []
        is_first = True
        try:
            for page in prefetch.prefetched(self._client.pages(source.list_path, params)):
                is_first = False
                for item in page.items:
                    targets = item.get(row.property)
                    if isinstance(targets, dict):
                        targets = [targets]
                    # Not expanded, in spite of being asked for, is not the same as empty.
                    if targets is None or len(targets) >= _EXPAND_MOST:
                        cut.append(id_of(item))
                        continue
                    for target in targets:
                        yield _link(row, id_of(item), target)
        except errors.InvalidRequest:
            if not is_first:
                raise
            cut_all = self._objects.list_ids(row.source_kind)
            yield from self._of_sources(row, cut_all)
            return
        yield from self._of_sources(row, cut)

    # --- by source ----------------------------------------------------------------------------

    def load_relationships(
        self, relationship: str, source_ids: Sequence[str]
    ) -> list[objects.Relationship]:
        """Return the links that start at ``source_ids``; a source that is gone has none."""
        row = relationships.RELATIONSHIPS[relationship]
        wanted = list(dict.fromkeys(source_ids))
        found = {link.key: link for link in self._of_sources(row, wanted)}
        if row.name in _HIDES_SERVICE_PRINCIPALS and wanted:
            hidden = [
                link
                for link in self._hidden_service_principals(row, wanted)
                if link.key not in found
            ]
            # A delta still tells of those that were deleted; getByIds does not.
            alive = self.load_names([link.target_id for link in hidden]) if hidden else {}
            found.update(
                (link.key, link)
                for link in hidden
                if link.target_id in alive and alive[link.target_id][0] in _SERVICE_PRINCIPAL
            )
        return list(found.values())

    def _of_sources(
        self, row: relationships.RelationshipKind, source_ids: Iterable[str]
    ) -> Iterator[objects.Relationship]:
        select = "" if row.property == "scopedRoleMembers" else "?$select=id"
        # Documented for members and owners only (learn.microsoft.com/graph/paging).
        top = "&$top=999" if row.property in {"members", "owners"} else ""

        def path_of(source_id: str) -> str:
            return row.list_path.replace("{id}", addresses.segment(source_id)) + select + top

        if not row.is_single:
            for source_id, items in self._objects.lists_of(source_ids, path_of):
                for item in items:
                    yield _link(row, source_id, item)
            return
        for source_id, body in self._objects.singles_of(source_ids, path_of):
            yield _link(row, source_id, body)

    def _hidden_service_principals(
        self, row: relationships.RelationshipKind, source_ids: list[str]
    ) -> Iterator[objects.Relationship]:
        for start in range(0, len(source_ids), _DELTA_FILTER_IDS):
            group = source_ids[start : start + _DELTA_FILTER_IDS]
            try:
                links = self._delta_links_of(row, group)
            except (
                errors.InvalidRequest,
                errors.Forbidden,
                errors.GraphNotFound,
                errors.DeltaExpired,
            ):
                links = self._expanded_links_of(row, group)
            for source_id, targets in links.items():
                for target_id, target_kind in targets.items():
                    if target_kind in _SERVICE_PRINCIPAL:
                        yield objects.Relationship(row.name, source_id, target_id, target_kind)

    def _delta_links_of(
        self, row: relationships.RelationshipKind, source_ids: Sequence[str]
    ) -> dict[str, dict[str, str]]:
        terms = " or ".join(f"id eq {addresses.literal(i)}" for i in source_ids)
        links: dict[str, dict[str, str]] = {}
        source = kinds.KINDS[row.source_kind]
        params = {"$filter": terms, "$select": f"id,{row.property}"}
        for page in self._client.delta(source.delta_path, params):
            for item in page.items:
                apply_delta(row.property, item, links)
        wanted = set(source_ids)
        return {source_id: targets for source_id, targets in links.items() if source_id in wanted}

    def _expanded_links_of(
        self, row: relationships.RelationshipKind, source_ids: Sequence[str]
    ) -> dict[str, dict[str, str]]:
        source = kinds.KINDS[row.source_kind]
        query = f"?$select=id&$expand={row.property}($select=id)"
        links: dict[str, dict[str, str]] = {}
        try:
            for source_id, body in self._objects.singles_of(
                source_ids, lambda i: source.path_of(addresses.segment(i)) + query
            ):
                expanded = body.get(row.property) or []
                links[source_id] = {id_of(t): _kind_of(t) for t in expanded if "id" in t}
                if len(expanded) >= _EXPAND_MOST:
                    self._fall_short(row, "of groups with twenty members or more")
        except (errors.InvalidRequest, errors.Forbidden):
            self._fall_short(row, "at all")
        return links

    def _fall_short(self, row: relationships.RelationshipKind, where: str) -> None:
        with self._lock:
            self._shortcomings[row.name] = (
                f"This Graph does not tell the service principals among the {row.property} {where}."
            )

    # --- by target ----------------------------------------------------------------------------

    def load_relationships_to(
        self, relationship: str, target_ids: Sequence[str]
    ) -> list[objects.Relationship]:
        """Return the links that end at ``target_ids``; a target that is gone has none.

        Without an inverse in Graph, the whole relationship is read.
        """
        row = relationships.RELATIONSHIPS[relationship]
        wanted = list(dict.fromkeys(target_ids))
        if not wanted:
            return []
        if row.reading is relationships.Reading.PER_TARGET:
            return list(self._to_targets(row, row.target_kinds[0], wanted))
        if not row.inverse_path:
            return self._matching(row, wanted)
        # The cast at the end needs advanced queries and their lagging index; types tell the same.
        template = row.inverse_path.split("/microsoft.graph.")[0]
        by_kind: dict[str, list[str]] = {}
        for target_id, (kind, _) in self.load_names(wanted).items():
            by_kind.setdefault(kind, []).append(target_id)
        found: dict[tuple[str, str, str, str], objects.Relationship] = {}
        for kind, ids in by_kind.items():
            if kind not in row.target_kinds or kind not in kinds.KINDS:
                continue
            if row.inverse_kinds and kind not in row.inverse_kinds:
                found.update((link.key, link) for link in self._matching(row, ids))
                continue
            collection = kinds.KINDS[kind].list_path.strip("/")

            def path_of(target_id: str, collection: str = collection) -> str:
                return (
                    template.replace("{target_collection}", collection).replace(
                        "{id}", addresses.segment(target_id)
                    )
                    + "?$select=id"
                )

            try:
                for target_id, items in self._objects.lists_of(ids, path_of):
                    for item in items:
                        if _kind_of(item) in (row.source_kind, ""):
                            link = objects.Relationship(row.name, id_of(item), target_id, kind)
                            found[link.key] = link
            except errors.InvalidRequest:
                for link in self._matching(row, ids):
                    found[link.key] = link
        return list(found.values())

    def _to_targets(
        self, row: relationships.RelationshipKind, kind: str, target_ids: Iterable[str]
    ) -> Iterator[objects.Relationship]:
        """Yield the links that end at targets which list their sources of several kinds."""

        def path_of(target_id: str) -> str:
            return row.inverse_path.replace("{id}", addresses.segment(target_id)) + "?$select=id"

        for target_id, items in self._objects.lists_of(target_ids, path_of):
            for item in items:
                if _kind_of(item) in (row.source_kind, ""):
                    yield objects.Relationship(row.name, id_of(item), target_id, kind)

    def _matching(
        self, row: relationships.RelationshipKind, target_ids: Sequence[str]
    ) -> list[objects.Relationship]:
        wanted = set(target_ids)
        return [link for link in self.list_relationships(row.name) if link.target_id in wanted]

    # --- names --------------------------------------------------------------------------------

    def load_names(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Return id -> (kind, display name) of the directory objects among ``ids``."""
        wanted = [i for i in dict.fromkeys(ids) if _is_guid(i)]
        found: dict[str, tuple[str, str]] = {}
        try:
            for start in range(0, len(wanted), _GET_BY_IDS):
                for item in self._get_by_ids(wanted[start : start + _GET_BY_IDS]):
                    # Whether it leaves out what is in the recycle bin is not documented.
                    if not item.get("deletedDateTime"):
                        found[id_of(item)] = (_kind_of(item), str(item.get("displayName") or ""))
        except (errors.Forbidden, errors.InvalidRequest):
            # Without Directory.Read.All each kind is asked by its own permission; and so it is
            # where an answer cannot be read to its end.
            self._add_names_by_kind([i for i in wanted if i not in found], found)
        return found

    def _add_names_by_kind(self, ids: list[str], found: dict[str, tuple[str, str]]) -> None:
        for kind in _NAMED_BY_ID:
            pending = [i for i in ids if i not in found]
            row = kinds.KINDS[kind]
            paths = [(i, row.path_of(addresses.segment(i))) for i in pending]
            answers = self._objects.answers(paths, {"$select": "id,displayName"}) if paths else ()
            for object_id, _, body, error in answers:
                if isinstance(body, dict) and error is None:
                    found[object_id] = (kind, str(body.get("displayName") or ""))
                elif not isinstance(error, errors.GraphNotFound | errors.Forbidden):
                    raise error or errors.Unavailable(f"Graph gave no body for {kind}/{object_id}.")

    def _get_by_ids(self, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
        path = "directoryObjects/getByIds"
        pending = list(ids)
        while pending:
            page = odata.page_from_body(self._client.read(path, {"ids": pending}), path)
            yield from page.items
            if not page.next_link:
                return
            # Graph answers a thousand ids at once. A server that pages all the same may not let
            # the answer of a POST go on by GET: then the rest is asked for anew.
            seen = {id_of(item) for item in page.items}
            try:
                yield from self._client.items(page.next_link)
                return
            except errors.InvalidRequest:
                if not seen:
                    raise
            pending = [i for i in pending if i not in seen]


def apply_delta(
    property_name: str, item: Mapping[str, Any], links: dict[str, dict[str, str]]
) -> None:
    """Fold one object of a delta page into source -> target -> target's kind.

    A large group comes in slices, on several pages and not always next to each other: each adds
    to what is there. The later of two entries for a link wins.
    """
    source_id = id_of(item)
    if "@removed" in item:
        links.pop(source_id, None)
        return
    slices = item.get(f"{property_name}@delta")
    if slices is None:
        slices = item.get(property_name) or ()
        if isinstance(slices, Mapping):
            slices = (slices,)
    targets = links.setdefault(source_id, {}) if slices else links.get(source_id, {})
    for target in slices:
        target_id = sys.intern(id_of(target))
        if "@removed" in target:
            targets.pop(target_id, None)
        else:
            targets[target_id] = sys.intern(_kind_of(target))


def _link(
    row: relationships.RelationshipKind, source_id: str, item: Mapping[str, Any]
) -> objects.Relationship:
    if row.property == "scopedRoleMembers":
        member = item.get("roleMemberInfo") or {}
        member_id = objects.canonical_id(str(member.get("id", "")))
        return objects.Relationship(row.name, source_id, member_id, "", str(item.get("roleId", "")))
    return objects.Relationship(row.name, source_id, id_of(item), _kind_of(item))


def id_of(item: Mapping[str, Any]) -> str:
    """Return the id of an entry, a GUID in lower case."""
    return objects.canonical_id(item["id"])


def _kind_of(item: Mapping[str, Any]) -> str:
    said = str(item.get("@odata.type", ""))
    if not said:
        return ""
    return kinds.kind_of_odata_type(said) or said.rpartition(".")[2]


def _is_guid(text: str) -> bool:
    return len(text) == 36 and text.count("-") == 4
