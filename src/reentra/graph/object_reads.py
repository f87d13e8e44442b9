"""Reading objects: whole kinds and single ids."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from reentra import errors
from reentra.directory import canonical, kinds, objects
from reentra.graph import addresses, odata, prefetch
from reentra.graph.batch import BatchRequest
from reentra.graph.client import ENDS_A_LIST, GraphClient

_PAGE_SIZE = 999
# One request a second for the whole tenant: above this many, the list is quicker than the ids.
_LIST_INSTEAD_FROM = 3
_REFUSALS = (errors.Forbidden, errors.InvalidRequest, errors.GraphNotFound)
_SOURCES_AT_ONCE = 80  # four batches, which the client sends side by side


class ObjectReads:
    """Reads objects of the kinds table. Thread-safe.

    A property that this Graph does not know is dropped from ``$select`` once and remembered in
    ``dropped_properties``; the reading goes on.
    """

    def __init__(self, client: GraphClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._dropped: dict[str, tuple[str, ...]] = {}
        self._unpaged: set[str] = set()
        self._owners: dict[str, str] = {}  # id of a per-source object -> id of its source
        self._extensions: Mapping[str, tuple[str, ...]] | None = None  # kind -> names of values
        self._known_extensions: Mapping[str, tuple[str, ...]] | None = None
        self._extensions_refusal: errors.GraphError | None = None

    @property
    def dropped_properties(self) -> dict[str, tuple[str, ...]]:
        """Kind -> properties that were asked for and that this Graph does not know."""
        with self._lock:
            return dict(self._dropped)

    # --- whole kinds --------------------------------------------------------------------------

    def list_objects(self, kind: str) -> Iterator[objects.DirectoryObject]:
        """Stream a kind, each object once, even when Graph shows it on two pages.

        Raises: ``DeltaExpired`` when the listing lost its place and must be started again.
        """
        row = kinds.KINDS[kind]
        if row.is_singleton:
            yield as_object(kind, self._client.get(row.list_path))
        elif row.embedded_in:
            for item in embedded(row, self._client.get(row.list_path)):
                yield as_object(kind, item)
        elif row.per_source_of:
            yield from self.list_per_source(row, self.list_ids(row.per_source_of))
        else:
            supplement = self._supplement(row)
            seen: set[str] = set()
            for page in prefetch.prefetched(self.pages(kind)):
                for item in page.items:
                    object_id = objects.canonical_id(item.get("id", ""))
                    if object_id in seen:
                        continue
                    seen.add(object_id)
                    further = supplement.get(object_id)
                    yield as_object(kind, {**item, **further} if further else item)

    def pages(self, kind: str) -> Iterator[odata.Page]:
        """Yield the raw pages of a kind's collection, with the properties of its row."""
        row = kinds.KINDS[kind]
        properties = self.selected(kind)
        is_first = True
        while True:
            params: dict[str, str | int | bool] = {}
            if properties:
                params["$select"] = ",".join(properties)
            if kinds.KINDS[kind].takes_top and kind not in self._unpaged:
                params["$top"] = _PAGE_SIZE
            try:
                for page in self._client.pages(row.list_path, params):
                    is_first = False
                    yield page
                return
            except errors.InvalidRequest as refusal:
                if not is_first:
                    raise
                if kind == ROLE_ASSIGNMENT:
                    yield from pages_by_role(self._client.pages)
                    return
                properties = self._without_refused(kind, properties, refusal)

    def delta_pages(self, kind: str, link: str = "") -> Iterator[odata.Page]:
        """Yield the pages of a kind's delta: from ``link``, or a full first round without one.

        The first round selects the row's properties and relationships; a delta tracks only what
        it selected (learn.microsoft.com/graph/delta-query-overview). Raises: ``DeltaExpired``.
        """
        row = kinds.KINDS[kind]
        if link:
            yield from self._client.delta(link)
            return
        properties = self.selected(kind)
        is_first = True
        while True:
            params: dict[str, str | int | bool] = {}
            if properties:
                params["$select"] = ",".join((*properties, *row.delta_properties))
            try:
                for page in self._client.delta(row.delta_path, params):
                    is_first = False
                    yield page
                return
            except errors.InvalidRequest as refusal:
                if not is_first:
                    raise
                properties = self._without_refused(kind, properties, refusal)

    def list_ids(self, kind: str) -> Iterator[str]:
        """Stream the ids of a kind, and nothing else of it."""
        row = kinds.KINDS[kind]
        params: dict[str, str | int | bool] = {"$select": "id"}
        if kinds.KINDS[kind].takes_top and kind not in self._unpaged:
            params["$top"] = _PAGE_SIZE
        for item in self._client.items(row.list_path, params):
            yield objects.canonical_id(item["id"])

    def _supplement(self, row: kinds.ObjectKind) -> dict[str, dict[str, Any]]:
        """Return id -> properties that only a list call of their own gives."""
        properties = self.supplemented(row.name)
        found: dict[str, dict[str, Any]] = {}
        while properties:
            params: dict[str, str | int | bool] = {
                "$select": ",".join(("id", *properties)),
                "$top": _PAGE_SIZE,
            }
            try:
                for item in self._client.items(row.list_path, params):
                    further = {name: item[name] for name in properties if item.get(name)}
                    if further:
                        found[objects.canonical_id(item["id"])] = further
                return found
            except (errors.InvalidRequest, errors.Forbidden) as refusal:
                unknown = odata.unknown_property(refusal)
                refused = tuple(p for p in properties if p == unknown) or properties
                self._drop(row.name, refused)
                properties = tuple(p for p in properties if p not in refused)
        return found

    def list_per_source(
        self, row: kinds.ObjectKind, source_ids: Iterable[str]
    ) -> Iterator[objects.DirectoryObject]:
        """Stream the objects of a per-source kind that these sources have."""
        for source_id, items in self.lists_of(
            source_ids, lambda source: row.list_path.replace("{id}", addresses.segment(source))
        ):
            for item in items:
                self.remember_source(item["id"], source_id)
                yield as_object(row.name, with_source(row, item, source_id))

    def remember_source(self, object_id: str, source_id: str) -> None:
        """Note through which source a per-source object is addressed."""
        with self._lock:
            self._owners[object_id] = source_id

    # --- by id --------------------------------------------------------------------------------

    def load_objects(self, kind: str, ids: Sequence[str]) -> dict[str, objects.DirectoryObject]:
        """Return those of ``ids`` that exist; the kind is not listed where Graph allows that.

        Objects of a per-source kind can be addressed only through their source: those that were
        not seen before cost a walk over all sources. Ask by ``source_property`` first.
        """
        row = kinds.KINDS[kind]
        wanted = list(dict.fromkeys(ids))
        if not wanted:
            return {}
        if row.is_singleton:
            only = as_object(kind, self._client.get(row.list_path))
            return {only.id: only} if only.id in wanted else {}
        if row.per_source_of:
            return self._load_per_source(row, wanted)
        if row.embedded_in or (
            "conditionalAccess" in row.list_path and len(wanted) >= _LIST_INSTEAD_FROM
        ):
            return {item.id: item for item in self.list_objects(kind) if item.id in set(wanted)}
        return self.get_each(kind, {i: row.path_of(addresses.segment(i)) for i in wanted})

    def _load_per_source(
        self, row: kinds.ObjectKind, ids: list[str]
    ) -> dict[str, objects.DirectoryObject]:
        with self._lock:
            sources = {self._owners[i] for i in ids if i in self._owners}
        wanted = set(ids)
        found: dict[str, objects.DirectoryObject] = {}
        for walk in (iter(sorted(sources)), self.list_ids(row.per_source_of)):
            if wanted <= found.keys():
                break
            for item in self.list_per_source(row, walk):
                if item.id in wanted:
                    found[item.id] = item
        return found

    def get_each(self, kind: str, paths: Mapping[str, str]) -> dict[str, objects.DirectoryObject]:
        """GET each path in batches; 404 is absent, any other failure is raised."""
        row = kinds.KINDS[kind]
        properties = self.selected(kind)
        if properties:
            properties = (*properties, *self.known(kind, row.supplement))
        found: dict[str, objects.DirectoryObject] = {}
        todo = list(paths.items())
        while todo:
            select = {"$select": ",".join(properties)} if properties else {}
            refused: errors.InvalidRequest | None = None
            again: list[tuple[str, str]] = []
            for name, path, body, error in self.answers(todo, select):
                if isinstance(error, errors.GraphNotFound):
                    continue
                if isinstance(error, errors.InvalidRequest) and odata.unknown_property(error):
                    refused = error
                    again.append((name, path))
                elif error is not None:
                    raise error
                elif isinstance(body, dict):
                    found[name] = as_object(kind, body)
            if refused is not None:
                properties = self._without_refused(kind, properties, refused)
            todo = again
        self._add_supplements(row, found)
        return found

    def _add_supplements(
        self, row: kinds.ObjectKind, found: dict[str, objects.DirectoryObject]
    ) -> None:
        properties = self.supplemented(row.name)
        if row.select or not properties or not found:
            return
        paths = [(name, row.path_of(addresses.segment(item.id))) for name, item in found.items()]
        params = {"$select": ",".join(("id", *properties))}
        for name, _, body, error in self.answers(paths, params):
            if isinstance(error, errors.InvalidRequest | errors.Forbidden):
                self._drop(row.name, properties)
            elif error is not None and not isinstance(error, errors.GraphNotFound):
                raise error
            elif isinstance(body, dict):
                further = {p: body[p] for p in properties if body.get(p)}
                if further:
                    item = found[name]
                    found[name] = objects.DirectoryObject(
                        item.kind, item.id, {**item.properties, **canonical.cleaned(further)}
                    )

    def answers(
        self, paths: Sequence[tuple[str, str]], params: Mapping[str, str]
    ) -> Iterator[tuple[str, str, Any, errors.GraphError | None]]:
        """Yield name, path, body and error for each path, read one by one or in batches.

        Conditional Access is limited to a request a second: in a batch most parts would only be
        throttled.
        """
        query = "?" + addresses.query_string(params) if params else ""
        if len(paths) == 1 or any("conditionalAccess" in path for _, path in paths):
            for name, path in paths:
                try:
                    yield name, path, self._client.get(path + query), None
                except errors.GraphError as error:
                    yield name, path, None, error
            return
        responses = self._client.batch([BatchRequest("GET", path + query) for _, path in paths])
        for (name, path), response in zip(paths, responses, strict=True):
            yield name, path, response.body, response.error

    def lists_of(
        self,
        source_ids: Iterable[str],
        path_of: Callable[[str], str],
        headers: Mapping[str, str] | None = None,
        *,
        is_tolerant: bool = False,
    ) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Yield each source with the whole list at ``path_of(source)``, in batches of twenty.

        A source that is not there has an empty list; so has one that Graph refuses, when
        ``is_tolerant``. Raises: what Graph answered otherwise.
        """
        ids = iter(source_ids)
        while group := list(itertools.islice(ids, _SOURCES_AT_ONCE)):
            parts = [BatchRequest("GET", path_of(i), headers=headers or {}) for i in group]
            for source_id, response in zip(group, self._client.batch(parts), strict=True):
                error = response.error
                if isinstance(error, errors.GraphNotFound) or (
                    is_tolerant and isinstance(error, errors.InvalidRequest)
                ):
                    yield source_id, []
                    continue
                page = odata.page_from_body(response.unwrap(), path_of(source_id))
                items = list(page.items)
                if page.next_link:
                    items.extend(self._client.items(page.next_link, headers=headers))
                yield source_id, items

    def singles_of(
        self, source_ids: Iterable[str], path_of: Callable[[str], str]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each source with the object at ``path_of(source)``; those without one are left out.

        Raises: what Graph answered, but for 404.
        """
        ids = iter(source_ids)
        while group := list(itertools.islice(ids, _SOURCES_AT_ONCE)):
            for source_id, _, body, error in self.answers([(i, path_of(i)) for i in group], {}):
                if isinstance(error, errors.GraphNotFound):
                    continue
                if error is not None:
                    raise error
                if isinstance(body, dict) and "id" in body:
                    yield source_id, body

    def refusals(self, names: Iterable[str]) -> dict[str, errors.GraphError]:
        """Return kind -> error for those kinds that a small request shows to be refused.

        Kinds that are read per source are probed by their source alone.
        """
        paths = []
        for name in names:
            row = kinds.KINDS[name]
            path = kinds.KINDS[row.per_source_of].list_path if row.per_source_of else row.list_path
            paths.append((name, path + ("?$top=1&$select=id" if row.takes_top else "")))
        found: dict[str, errors.GraphError] = {}
        is_slow = {name for name, path in paths if "conditionalAccess" in path}
        for group in (
            [entry for entry in paths if entry[0] not in is_slow],
            [entry for entry in paths if entry[0] in is_slow],
        ):
            for name, _, _, error in self.answers(group, {}):
                if isinstance(error, ENDS_A_LIST):
                    raise error
                if error is not None:
                    found[name] = error
        return found

    # --- which properties to ask for ----------------------------------------------------------

    def selected(self, kind: str) -> tuple[str, ...]:
        """Return what a kind's ``$select`` names; nothing where all comes without one."""
        row = kinds.KINDS[kind]
        if not row.select:
            return ()
        return self.known(kind, (*row.select, *self.extension_names(kind)))

    def supplemented(self, kind: str) -> tuple[str, ...]:
        """Return what only a list of its own gives."""
        row = kinds.KINDS[kind]
        names = row.supplement if row.select else (*row.supplement, *self.extension_names(kind))
        return self.known(kind, names)

    def extension_names(self, kind: str) -> tuple[str, ...]:
        """Return the names of the directory extensions that objects of ``kind`` may hold.

        They come only when they are asked for by name
        (learn.microsoft.com/graph/extensibility-overview). Read once and remembered;
        ``forget_extensions`` reads them again.
        """
        if not kinds.KINDS[kind].has_extensions:
            return ()
        with self._lock:
            known = self._extensions
        if known is None:
            known = self._fetch_extension_names()
            with self._lock:
                self._extensions = known
        return known.get(kind, ())

    def forget_extensions(self, known: Mapping[str, tuple[str, ...]] | None = None) -> None:
        """Let the next read ask which directory extensions there are.

        ``known`` are the names to go by when that fails; ``extensions_refusal`` tells why.
        """
        with self._lock:
            self._extensions = self._extensions_refusal = None
            self._known_extensions = known

    @property
    def extensions_refusal(self) -> errors.GraphError | None:
        """Why the names of extensions could not be read, or ``None``."""
        with self._lock:
            return self._extensions_refusal

    def _fetch_extension_names(self) -> Mapping[str, tuple[str, ...]]:
        by_name = {row.name.lower(): row.name for row in kinds.KINDS.values() if row.has_extensions}
        found: dict[str, set[str]] = {}
        try:
            items = self._list_extension_properties()
        except (errors.Unauthenticated, errors.GraphDown, errors.UntrustedLink):
            raise
        except errors.GraphError as error:
            is_refusal = isinstance(error, _REFUSALS)
            with self._lock:
                if self._known_extensions is None and not is_refusal:
                    raise
                self._extensions_refusal = error
                return self._known_extensions or {}
        for item in items:
            for target in item.get("targetObjects") or ():
                kind = by_name.get(str(target).lower())
                if kind and kinds.is_extension_name(str(item.get("name"))):
                    found.setdefault(kind, set()).add(item["name"])
        return {kind: tuple(sorted(names)) for kind, names in found.items()}

    def _list_extension_properties(self) -> list[Mapping[str, Any]]:
        """Fetch all definitions at once, or application by application where Graph has no way.

        Source: learn.microsoft.com/graph/api/directoryobject-getavailableextensionproperties.
        """
        path = "directoryObjects/getAvailableExtensionProperties"
        try:
            page = odata.page_from_body(self._client.read(path, {}), path)
        except _REFUSALS:
            row = kinds.KINDS["extensionProperty"]
            walk = self.list_per_source(row, self.list_ids(row.per_source_of))
            return [item.properties for item in walk]
        items: list[Mapping[str, Any]] = list(page.items)
        if page.next_link:
            items.extend(self._client.items(page.next_link))
        return items

    # --- properties this Graph does not know --------------------------------------------------

    def known(self, kind: str, properties: Sequence[str]) -> tuple[str, ...]:
        """Return ``properties`` without those that this Graph was found not to know."""
        with self._lock:
            dropped = self._dropped.get(kind, ())
        return tuple(name for name in properties if name not in dropped)

    def _drop(self, kind: str, properties: Iterable[str]) -> None:
        with self._lock:
            known = self._dropped.get(kind, ())
            self._dropped[kind] = (*known, *(p for p in properties if p not in known))

    def _without_refused(
        self, kind: str, properties: tuple[str, ...], refusal: errors.InvalidRequest
    ) -> tuple[str, ...]:
        """Return the properties without the one Graph refused; re-raise any other refusal."""
        name = odata.unknown_property(refusal)
        known = next((p for p in properties if p.lower() == name.lower()), "")
        if known:
            self._drop(kind, (known,))
            return tuple(p for p in properties if p != known)
        if (
            "top" in refusal.message.lower()
            and kinds.KINDS[kind].takes_top
            and kind not in self._unpaged
        ):
            self._unpaged.add(kind)
            return properties
        raise refusal


ROLE_ASSIGNMENT = "unifiedRoleAssignment"


def pages_by_role(
    pages: Callable[[str, Mapping[str, str | int]], Iterator[odata.Page]],
) -> Iterator[odata.Page]:
    """Yield the pages of role assignments role by role.

    For a Graph that does not list them without a filter
    (learn.microsoft.com/graph/api/rbacapplication-list-roleassignments).
    """
    assignments = kinds.KINDS[ROLE_ASSIGNMENT].list_path
    for page in pages(kinds.KINDS["unifiedRoleDefinition"].list_path, {}):
        for role in page.items:
            terms = f"roleDefinitionId eq {addresses.literal(role['id'])}"
            yield from pages(assignments, {"$filter": terms})


def embedded(row: kinds.ObjectKind, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the objects of a kind that come inside another one.

    Raises: ``Unavailable`` when they are not in it: that is no deletion.
    """
    items = answer.get(row.embedded_in)
    if not isinstance(items, list):
        raise errors.Unavailable(f"Graph's answer to {row.list_path} has no {row.embedded_in}.")
    return items


def with_source(row: kinds.ObjectKind, item: dict[str, Any], source_id: str) -> dict[str, Any]:
    """Return an item of a per-source list, with its source where Graph does not say it."""
    return {**item, row.source_property: source_id} if row.is_owned else item


def as_object(kind: str, item: Mapping[str, Any]) -> objects.DirectoryObject:
    """Return an item of an answer as our value: no transport annotations.

    ``@odata.type`` stays only where it is written, too; elsewhere it comes and goes with the way
    the object was asked for.

    Raises: ``Unavailable`` when it has no id.
    """
    row = kinds.KINDS[kind]
    given = item.get(row.id_property) or (kind if row.is_singleton else "")
    object_id = objects.canonical_id(given) if isinstance(given, str) else ""
    if not object_id:
        raise errors.Unavailable(f"Graph returned a {kind} without an id.")
    properties, _ = canonical.cleaned_body(dict(item))
    if "@odata.type" in properties and not row.is_typed:
        del properties["@odata.type"]
    if properties.get("id") != object_id:
        properties["id"] = object_id
    return objects.DirectoryObject(kind, object_id, properties)
