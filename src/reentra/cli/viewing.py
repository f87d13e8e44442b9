"""Opens snapshots, and the tenant as it is now, for the commands that look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from reentra.cli.screen import Screen
from reentra.viewing import (
    LIVE,
    SeenSnapshot,
    asked_moment,
    captures_of,
    comparison,
    ensure_kind,
    find_kind,
    held_by,
    identity_of,
    is_capture,
    kind_document,
    known_as,
    links_of,
    permissions_document,
    snapshot_of,
    state_of,
    title_of,
    versions_of,
)

if TYPE_CHECKING:
    from reentra.app import Application

__all__ = [
    "LIVE", "SeenSnapshot", "SnapshotName", "asked_moment", "captures_of", "comparison",
    "ensure_kind", "find_kind", "held_by", "identity_of", "is_capture", "kind_document", "known_as",
    "links_of", "open_snapshot", "permissions_document", "snapshot_of", "state_of",
    "synced_tenant", "title_of", "versions_of",
]  # fmt: skip

SnapshotName = Annotated[
    str,
    Parameter(
        help="An id, its unique beginning, latest, or a time (the newest at or before it, UTC)."
    ),
]


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
