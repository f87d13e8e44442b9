"""``LiveTenant``: the tenant as it is now, answering like any other ``TenantState``."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence

from reentra import errors
from reentra.directory import kinds, objects, relationships, state
from reentra.graph import odata
from reentra.graph.client import GraphClient
from reentra.graph.link_reads import LinkReads
from reentra.graph.object_finds import ObjectFinds
from reentra.graph.object_reads import ObjectReads

_HIDDEN = "Member.Read.Hidden"
# Kinds that getByIds does not know and whose lists are short enough to name things from.
_NAMED_BY_LIST = ("unifiedRoleDefinition", "namedLocation")


class LiveTenant:
    """The tenant behind a client, read when asked. Thread-safe.

    Implements ``directory.state.LiveState``. Only coverage and the names of roles and locations
    are remembered; everything else is read anew each time. Reads right after a write may still
    show what was before: Graph replicates within seconds to minutes.
    """

    def __init__(self, client: GraphClient, *, label: str = "live") -> None:
        self.client = client
        self._label = label
        self._objects = ObjectReads(client)
        self._finds = ObjectFinds(client, self._objects)
        self._links = LinkReads(client, self._objects)
        self._lock = threading.Lock()
        self._coverage: dict[str, state.Coverage] | None = None
        self._listed_names: dict[str, tuple[str, str]] | None = None

    @property
    def tenant_id(self) -> str:
        return self.client.tenant_id

    @property
    def label(self) -> str:
        return self._label

    @property
    def dropped_properties(self) -> dict[str, tuple[str, ...]]:
        """Kind -> properties that were asked for and that this Graph does not know."""
        return self._objects.dropped_properties

    @property
    def shortcomings(self) -> dict[str, str]:
        """Relationship -> what this Graph did not give of it so far."""
        return self._links.shortcomings

    # --- objects ------------------------------------------------------------------------------

    def list_objects(self, kind: str) -> Iterator[objects.DirectoryObject]:
        return self._objects.list_objects(kind)

    def list_pages(self, kind: str) -> Iterator[odata.Page]:
        """Yield the raw pages of a kind's collection (not of singletons and per-source kinds)."""
        return self._objects.pages(kind)

    def delta_pages(self, kind: str, link: str = "") -> Iterator[odata.Page]:
        """Yield the pages of a kind's delta: from ``link``, or a full first round without one.

        Raises: ``DeltaExpired``: read the kind in full.
        """
        return self._objects.delta_pages(kind, link)

    def load_objects(self, kind: str, ids: Sequence[str]) -> dict[str, objects.DirectoryObject]:
        return self._objects.load_objects(kind, ids)

    def find_objects(
        self, kind: str, property_name: str, values: Sequence[str]
    ) -> list[objects.DirectoryObject]:
        return self._finds.find_objects(kind, property_name, values)

    def load_deleted(self, kind: str, ids: Sequence[str]) -> dict[str, objects.DirectoryObject]:
        return self._finds.load_deleted(kind, ids)

    def list_deleted(self, kind: str) -> Iterator[objects.DirectoryObject]:
        """Stream the recycle bin's objects of a kind."""
        return self._finds.list_deleted(kind)

    def find_deleted(
        self, kind: str, property_name: str, values: Sequence[str]
    ) -> list[objects.DirectoryObject]:
        return self._finds.find_deleted(kind, property_name, values)

    # --- directory extensions -----------------------------------------------------------------

    def extension_names(self, kind: str) -> tuple[str, ...]:
        """Return the names of the directory extensions that objects of ``kind`` may hold."""
        return self._objects.extension_names(kind)

    def forget_extensions(self, known: Mapping[str, tuple[str, ...]] | None = None) -> None:
        """Let the names be fetched anew; ``known`` stand where that fails."""
        self._objects.forget_extensions(known)

    @property
    def extensions_refusal(self) -> errors.GraphError | None:
        """Why the names could not be fetched, or ``None``."""
        return self._objects.extensions_refusal

    # --- relationships ------------------------------------------------------------------------

    def list_relationships(self, relationship: str) -> Iterator[objects.Relationship]:
        return self._links.list_relationships(relationship)

    def load_relationships(
        self, relationship: str, source_ids: Sequence[str]
    ) -> list[objects.Relationship]:
        return self._links.load_relationships(relationship, source_ids)

    def load_relationships_to(
        self, relationship: str, target_ids: Sequence[str]
    ) -> list[objects.Relationship]:
        return self._links.load_relationships_to(relationship, target_ids)

    # --- names --------------------------------------------------------------------------------

    def load_names(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        found = self._links.load_names(ids)
        if any(object_id not in found for object_id in ids):
            listed = self._names_by_list()
            found.update({i: listed[i] for i in ids if i not in found and i in listed})
        return found

    def _names_by_list(self) -> dict[str, tuple[str, str]]:
        with self._lock:
            if self._listed_names is None:
                names: dict[str, tuple[str, str]] = {}
                for kind in _NAMED_BY_LIST:
                    try:
                        for item in self._objects.list_objects(kind):
                            title = str(item.get(kinds.KINDS[kind].title_property) or "")
                            names[item.id] = (kind, title)
                    except (errors.Forbidden, errors.InvalidRequest, errors.GraphNotFound):
                        continue  # a name is a courtesy; coverage tells about the refusal
                self._listed_names = names
            return self._listed_names

    # --- coverage -----------------------------------------------------------------------------

    def coverage(self) -> Mapping[str, state.Coverage]:
        """Return, for every kind and relationship, whether this application may read it.

        Each kind is asked for once with a small request; the granted permissions only explain a
        refusal, because some permissions include others. Remembered; ``forget_coverage`` asks
        again.
        """
        with self._lock:
            known = self._coverage
        if known is None:
            known = self._probe()
            with self._lock:
                self._coverage = known
        return known

    def forget_coverage(self) -> None:
        """Let the next ``coverage`` ask Graph again, with a fresh token."""
        self.client.refresh_token()
        with self._lock:
            self._coverage = None

    def _probe(self) -> dict[str, state.Coverage]:
        granted = self.client.granted_roles()
        refusals = self._objects.refusals(kinds.KINDS)
        found: dict[str, state.Coverage] = {}
        for name, row in kinds.KINDS.items():
            found[name] = _coverage_of_kind(row, refusals.get(name), granted)
        for link_name, link_row in relationships.RELATIONSHIPS.items():
            found[link_name] = _coverage_of_link(link_row, found[link_row.source_kind], granted)
        return found


def _coverage_of_kind(
    row: kinds.ObjectKind, refusal: errors.GraphError | None, granted: frozenset[str] | None
) -> state.Coverage:
    missing = (
        kinds.missing_permissions(row.read_permissions, granted) if granted is not None else ()
    )
    if refusal is None:
        if row.per_source_of and missing:
            return state.Coverage(
                state.CoverageStatus.REFUSED, _lacking(missing), permissions=missing
            )
        return state.COMPLETE
    if odata.lacks_licence(refusal):
        return state.Coverage(state.CoverageStatus.REFUSED, f"{odata.NO_LICENCE} {refusal.message}")
    if isinstance(refusal, errors.Forbidden):
        if missing:
            return state.Coverage(
                state.CoverageStatus.REFUSED, _lacking(missing), permissions=missing
            )
        # The token says granted, or nothing: an Entra role, or a grant just withdrawn.
        return state.Coverage(
            state.CoverageStatus.REFUSED, refusal.message, permissions=row.read_permissions
        )
    if isinstance(refusal, errors.InvalidRequest | errors.GraphNotFound):
        return state.Coverage(
            state.CoverageStatus.REFUSED,
            f"This tenant's Graph does not offer it: {refusal.message}",
        )
    return state.Coverage(state.CoverageStatus.PARTIAL, refusal.message)


def _coverage_of_link(
    row: relationships.RelationshipKind, source: state.Coverage, granted: frozenset[str] | None
) -> state.Coverage:
    if not source.is_complete:
        return source
    if granted is None:
        return state.COMPLETE
    missing = kinds.missing_permissions(row.read_permissions, granted)
    if missing == (_HIDDEN,):
        return state.Coverage(
            state.CoverageStatus.PARTIAL,
            f"Without {_HIDDEN} the members of groups with hidden membership are not shown.",
            permissions=missing,
        )
    if missing:
        return state.Coverage(state.CoverageStatus.REFUSED, _lacking(missing), permissions=missing)
    return state.COMPLETE


def _lacking(missing: Sequence[str]) -> str:
    plural = "s" if len(missing) > 1 else ""
    return f"The application lacks the permission{plural} {', '.join(missing)}."
