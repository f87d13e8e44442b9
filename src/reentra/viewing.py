"""Opens what a face shows: snapshots, captures, objects with their links, comparisons."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reentra import clock as clocks
from reentra import errors
from reentra.directory import permissions, products
from reentra.directory.kinds import KINDS
from reentra.directory.relationships import RELATIONSHIPS, relationships_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reentra.app import Application
    from reentra.catalog import CatalogState, SnapshotSummary
    from reentra.compare import Comparison, KeptComparisons
    from reentra.directory.objects import DirectoryObject
    from reentra.directory.selection import Selection
    from reentra.directory.state import TenantState
    from reentra.restore.identity import IdentityMap
    from reentra.snapshots import Coverage, KindSummary

LIVE = "live"
_FEW = 20  # objects that are sooner looked at than all is found that may differ
_MOST_CLIENT_IDS = 20  # that are looked for at once: each is a search


@dataclass(frozen=True, slots=True)
class SeenSnapshot:
    """A snapshot that a command looks at."""

    tenant_id: str
    summary: SnapshotSummary
    state: CatalogState

    @property
    def snapshot_id(self) -> str:
        return self.summary.id


def snapshot_of(application: Application, tenant_id: str, text: str) -> SeenSnapshot:
    """Open a snapshot of a tenant that the catalog is up to date with."""
    state = application.catalog.open_state(tenant_id, text)
    return SeenSnapshot(tenant_id, state.summary, state)


def state_of(application: Application, tenant_id: str, text: str) -> TenantState:
    """Open what a person named: a snapshot, or else a restore's capture.

    Raises: ``NotFound``, ``UsageError``.
    """
    from reentra.restore.capture import find_capture, load_capture

    try:
        return snapshot_of(application, tenant_id, text).state
    except errors.NotFound:
        capture = find_capture(application.repository, tenant_id, text)
        if not capture:
            raise
        return load_capture(application.repository, tenant_id, capture)


def identity_of(application: Application, tenant_id: str) -> IdentityMap:
    """Return the tenant's identity map for looking at things; without it when it is damaged.

    Only restores must not go on without it.
    """
    from reentra.restore.identity import NO_IDENTITY

    try:
        return application.identities.load(tenant_id)
    except errors.RepositoryDamaged:
        return NO_IDENTITY


def known_as(
    state: TenantState, identity: IdentityMap, kind: str, object_id: str
) -> DirectoryObject | None:
    """Return the object that ``object_id`` names in a state, by whichever id it has there."""
    ids = [object_id, identity.current(object_id)]
    ids += identity.olds_of(identity.current(object_id))
    found = state.load_objects(kind, list(dict.fromkeys(ids)))
    return next((found[one] for one in ids if one in found), None)


def is_capture(state: TenantState) -> bool:
    """Tell whether a state is a restore's capture, which holds only what was touched."""
    from reentra.snapshots import ReplayedSnapshot

    return isinstance(state, ReplayedSnapshot)


def held_by(capture: TenantState | None) -> Selection:
    """Return the selection of every object that a capture holds; everything without one."""
    from reentra.directory.objects import ObjectRef
    from reentra.directory.selection import EVERYTHING, Selection

    if capture is None:
        return EVERYTHING
    refs = {
        ObjectRef(kind, item.id)
        for kind in capture.coverage()
        if kind in KINDS
        for item in capture.list_objects(kind)
    }
    return Selection(refs=frozenset(refs))


def kind_document(summary: KindSummary) -> dict[str, Any]:
    """Return one kind of a snapshot in the shape that scripts rely on."""
    return {
        "objects": summary.objects,
        "added": summary.added,
        "changed": summary.changed,
        "deleted": summary.deleted,
        "coverage": summary.coverage.status.value,
        "reason": summary.coverage.reason,
    }


def asked_moment(name: str, text: str, *, is_end: bool = False) -> dt.datetime | None:
    """Return the moment that an option or a parameter names, if any.

    A bare date means its beginning, as an end the end of that day.
    Raises: ``UsageError``.
    """
    if not text:
        return None
    try:
        moment = clocks.parse_iso(text)
    except ValueError as failure:
        raise errors.UsageError(
            f"{name} {text!r} is no date or time.",
            hint="Write it as 2026-11-23 or 2026-11-23T14:00:00Z.",
        ) from failure
    if is_end and len(text.strip()) == len("2026-11-23"):
        return moment + dt.timedelta(days=1) - dt.timedelta(microseconds=1)
    return moment


def ensure_kind(kind: str) -> None:
    """Refuse a kind that there is not.

    Raises: ``NotFound``.
    """
    if kind not in KINDS:
        raise errors.NotFound(
            f"There is no kind {kind!r}.", hint=f"Kinds are: {', '.join(sorted(KINDS))}."
        )


def captures_of(application: Application, tenant_id: str) -> list[dict[str, Any]]:
    """Fetch what restores of a tenant kept before their first write, newest first."""
    from reentra.restore.capture import list_captures
    from reentra.snapshots import SnapshotInfo

    found = reversed(list_captures(application.repository, tenant_id))
    return [
        {
            "id": item.id,
            "job": info.label,
            "taken_at": clocks.iso(info.finished_at),
            "kinds": {kind: summary.objects for kind, summary in info.kinds.items()},
            "relationships": {name: one.added for name, one in info.relationships.items()},
        }
        for item, info in ((item, SnapshotInfo.from_json(item.payload)) for item in found)
    ]


def versions_of(
    application: Application, tenant_id: str, kind: str, object_id: str, differing_from: str = ""
) -> dict[str, Any]:
    """Return an object's versions, oldest first.

    With ``differing_from`` also the snapshots in which it is not as in that one, newest first.
    """
    catalog = application.catalog
    differing = None
    if differing_from:
        summary = catalog.resolve_snapshot(tenant_id, differing_from)
        differing = catalog.differing_snapshots(tenant_id, kind, object_id, summary.id)
    return {
        "items": [
            {
                "began": item.began,
                "ended": item.ended,
                "deleted": item.is_deleted,
                "began_at": clocks.iso(item.began_at),
                "ended_at": None if item.ended_at is None else clocks.iso(item.ended_at),
            }
            for item in catalog.list_versions(tenant_id, kind, object_id)
        ],
        "differing": differing,
    }


def permissions_document(
    name: str, tenant_id: str, granted: frozenset[str] | None, coverage: Mapping[str, Coverage]
) -> dict[str, Any]:
    """Return which Graph permissions are needed, granted and missing, and what is not covered."""
    needs = permissions.needs(KINDS.values(), RELATIONSHIPS.values(), granted)
    missing = [need for need in needs if need.is_granted is False]
    return {
        "tenant": name,
        "tenant_id": tenant_id,
        "granted": None if granted is None else sorted(granted),
        "permissions": [need.to_json() for need in needs],
        "missing_for_backup": sorted(need.permission for need in missing if need.for_backup),
        "missing_for_restore": sorted(need.permission for need in missing if need.for_restore),
        "not_covered": {
            what: found.to_json()
            for what, found in sorted(coverage.items())
            if not found.is_complete
        },
    }


def find_kind(states: list[TenantState], object_id: str) -> str:
    """Return the kind of an object that is given by its id alone.

    Raises: ``NotFound``.
    """
    for state in states:
        named = state.load_names([object_id]).get(object_id)
        if named is not None:
            return named[0]
    raise errors.NotFound(
        f"There is no object {object_id}.", hint="Check the id, or give it as KIND/ID."
    )


def title_of(item: DirectoryObject) -> str:
    """Return what people call an object."""
    row = KINDS.get(item.kind)
    name = item.get(row.title_property) if row is not None and row.title_property else None
    return str(name or item.get("displayName") or item.id)


def links_of(state: TenantState, kind: str, object_id: str) -> list[dict[str, Any]]:
    """Return an object's links in both directions, with the names of the other ends."""
    from reentra.catalog import CatalogState

    own = [row.name for row in relationships_of(kind)]
    others_of = [
        row.name
        for row in RELATIONSHIPS.values()
        if not row.target_kinds or kind in row.target_kinds
    ]
    if isinstance(state, CatalogState):
        outgoing, incoming = state.load_links_of(object_id, own, others_of)
    else:
        outgoing = [link for name in own for link in state.load_relationships(name, [object_id])]
        incoming = [
            link for name in others_of for link in state.load_relationships_to(name, [object_id])
        ]
    others = {link.target_id for link in outgoing} | {link.source_id for link in incoming}
    names = state.load_names(sorted(others))
    return [
        *(_link("to", link.kind, link.target_id, link.target_kind, names) for link in outgoing),
        *(
            _link("from", link.kind, link.source_id, RELATIONSHIPS[link.kind].source_kind, names)
            for link in incoming
        ),
    ]


@dataclass(frozen=True, slots=True)
class Named:
    """What an id stands for. ``id`` is the object's own."""

    kind: str
    id: str
    name: str


def names_of(state: TenantState, ids: Sequence[str]) -> dict[str, Named]:
    """Name objects by id, products and their plans by SKU, applications also by client id."""
    found = {
        object_id: Named(kind, object_id, name)
        for object_id, (kind, name) in state.load_names(ids).items()
    }
    waiting = [one for one in ids if one not in found]
    if waiting:
        sold = _products_of(state)
        found.update({one: sold[one] for one in waiting if one in sold})
        waiting = [one for one in waiting if one not in found]
    for kind in ("servicePrincipal", "application") if waiting else ():
        for item in state.find_objects(kind, "appId", waiting[:_MOST_CLIENT_IDS]):
            found.setdefault(str(item.get("appId")).lower(), Named(kind, item.id, title_of(item)))
    return found


def _products_of(state: TenantState) -> dict[str, Named]:
    found = {}
    for item in state.list_objects("subscribedSku"):
        found[str(item.get("skuId")).lower()] = Named(
            item.kind, item.id, products.product_name(str(item.get("skuPartNumber") or item.id))
        )
        for plan in item.get("servicePlans") or ():
            found[str(plan.get("servicePlanId")).lower()] = Named(
                item.kind, item.id, str(plan.get("servicePlanName") or plan.get("servicePlanId"))
            )
    return found


def _link(
    direction: str,
    relationship: str,
    other_id: str,
    other_kind: str,
    names: dict[str, tuple[str, str]],
) -> dict[str, Any]:
    kind, name = names.get(other_id, (other_kind, ""))
    return {
        "relationship": relationship,
        "direction": direction,
        "target": other_id,
        "target_kind": kind or other_kind,
        "target_name": name or other_id,
    }


def comparison(
    application: Application,
    name: str,
    before: str,
    after: str,
    kinds: tuple[str, ...] = (),
    ids: tuple[str, ...] = (),
    *,
    is_all: bool = False,
    kept: KeptComparisons | None = None,
) -> Comparison:
    """Compare what two texts name, seeing through new ids. It is read while it is iterated over.

    The catalog is up to date with the tenant. Of two snapshots the comparison may be ``kept``.
    """
    from reentra.compare import compare as compared

    tenant_id = application.connections.find(name).tenant_id
    first = state_of(application, tenant_id, before)
    candidates = None
    second: TenantState
    unreadable: frozenset[str] = frozenset()
    if after == LIVE:
        second = application.open_tenant(name).live
        unreadable = _refused_by(second)
    else:
        second = state_of(application, tenant_id, after)
    known = identity_of(application, tenant_id)
    chosen = _selection([first, second], kinds, ids)
    is_few = not chosen.is_everything and not chosen.kinds and len(chosen.refs) <= _FEW
    is_indexed = after != LIVE and not is_capture(first) and not is_capture(second)
    mapping = {**known.objects, **known.apps}
    key = None
    if kept is not None and is_indexed and not is_all and not ids:
        stamps = ((one.label, one.summary.stamp) for one in (first, second))  # type: ignore[attr-defined]
        key = (tenant_id, *stamps, tuple(sorted(set(kinds))))
        same = kept.find(key, mapping, first, second)
        if same is not None:
            return same
    if is_indexed and not is_few and not is_all:
        candidates = application.catalog.candidates(tenant_id, first.label, second.label)
    if chosen.is_everything:
        # A capture says nothing of what it does not hold.
        chosen = held_by(next(filter(is_capture, (first, second)), None))
    found = compared(
        first,
        second,
        chosen,
        candidates=candidates,
        identity=mapping,
        include_equal=is_all,
        unreadable=unreadable,
    )
    captures = {one.label for one in (first, second) if is_capture(one)}
    found.incomplete = tuple(part for part in found.incomplete if part.state not in captures)
    if kept is not None and key is not None:
        kept.keep(key, mapping, found)
    return found


def _refused_by(live: TenantState) -> frozenset[str]:
    """Return what the tenant does not let be read: without a permission or a licence, say.

    Asking for it again would end the whole comparison.
    """
    from reentra.directory.state import CoverageStatus

    coverage = live.coverage().items()
    return frozenset(name for name, told in coverage if told.status is CoverageStatus.REFUSED)


def _selection(states: list[Any], kinds: tuple[str, ...], ids: tuple[str, ...]) -> Selection:
    from reentra.directory.selection import Selection

    full = []
    for text in ids:
        if "/" in text:
            full.append(text)
        elif len(kinds) == 1:
            full.append(f"{kinds[0]}/{text}")
        else:
            full.append(f"{find_kind(states, text)}/{text}")
    # One object of one kind means that object, not the whole kind beside it.
    return Selection.parse(() if ids else kinds, full)
