"""Opens snapshots, and the tenant as it is now, for the commands that look at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from reentra import errors
from reentra.cli.screen import Screen
from reentra.directory.kinds import KINDS

if TYPE_CHECKING:
    from reentra.app import Application
    from reentra.catalog import CatalogState, SnapshotSummary
    from reentra.directory.objects import DirectoryObject
    from reentra.directory.selection import Selection
    from reentra.directory.state import TenantState
    from reentra.snapshots import KindSummary

LIVE = "live"

SnapshotName = Annotated[
    str,
    Parameter(
        help="An id, its unique beginning, latest, or a time (the newest at or before it, UTC)."
    ),
]


@dataclass(frozen=True, slots=True)
class SeenSnapshot:
    """A snapshot that a command looks at."""

    tenant_id: str
    summary: SnapshotSummary
    state: CatalogState

    @property
    def snapshot_id(self) -> str:
        return self.summary.id


def synced_tenant(application: Application, screen: Screen, name: str) -> str:
    """Return the tenant's GUID after bringing the catalog up to date with the repository."""
    tenant_id: str = application.connections.find(name).tenant_id
    with screen.progress() as listener:
        application.catalog.sync(tenant_id, listener)
    return tenant_id


def open_snapshot(application: Application, screen: Screen, name: str, text: str) -> SeenSnapshot:
    """Open the snapshot that a person or a script named.

    Raises: ``NotFound``, ``UsageError``.
    """
    tenant_id = synced_tenant(application, screen, name)
    return snapshot_of(application, tenant_id, text)


def snapshot_of(application: Application, tenant_id: str, text: str) -> SeenSnapshot:
    """Open a snapshot of a tenant that the catalog is up to date with."""
    summary = application.catalog.resolve_snapshot(tenant_id, text)
    return SeenSnapshot(tenant_id, summary, application.catalog.state(tenant_id, summary.id))


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
