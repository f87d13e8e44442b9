"""The snapshot viewer, "Restore Data": every kind that a snapshot holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litestar import Response
from litestar.params import FromPath

from reentra import errors
from reentra.access import Permission
from reentra.api import snapshots, tenants
from reentra.directory.kinds import KINDS
from reentra.web import moments
from reentra.web.rendering import kind_title
from reentra.web.routing import page
from reentra.web.visiting import Visiting


@dataclass(frozen=True, slots=True)
class KindRow:
    """A kind as the viewer lists it. ``of`` says, of settings, what they are the settings of."""

    name: str
    counts: Mapping[str, Any]
    coverage: Mapping[str, Any]
    is_settings: bool
    of: str
    cannot: str  # why its objects cannot be created again

    @property
    def can_be_chosen(self) -> bool:
        return bool(self.counts["objects"])


@page("/tenants/{tenant:str}/snapshots/{snapshot:str}", Permission.BROWSE)
def show_snapshot(tenant: FromPath[str], snapshot: FromPath[str], visit: Visiting) -> Response[str]:
    """Show what a snapshot holds, and let it be chosen."""
    try:
        shown = visit.ask(snapshots.show_snapshot, tenant=tenant, snapshot=snapshot)
    except errors.NotFound:
        if snapshot != "latest":
            raise
        visit.ask(tenants.schedule, tenant=tenant)  # a tenant that is not there is an error
        return visit.show("viewer.html", tenant=tenant, shown=None)
    rows = _rows(shown)
    return visit.show(
        "viewer.html",
        tenant=tenant,
        shown=shown,
        snapshot=shown["id"],
        offered=moments.offered(visit, tenant, shown["id"]),
        place={},
        tables=[
            ("Objects", [row for row in rows if not row.is_settings]),
            ("Settings", [row for row in rows if row.is_settings]),
        ],
    )


def _rows(shown: Mapping[str, Any]) -> list[KindRow]:
    order = {name: place for place, name in enumerate(KINDS)}
    found = []
    for name, counts in sorted(
        shown["kinds"].items(), key=lambda one: order.get(one[0], len(order))
    ):
        row = KINDS.get(name)
        is_settings = row is not None and row.is_settings
        of = (kind_title(row.settings_of) if row.settings_of else "Tenant") if row else ""
        cannot = "" if row is None or row.can_create or is_settings else row.reason
        coverage = shown["coverage"][name]
        found.append(KindRow(name, counts, coverage, is_settings, of, cannot))
    return found


ROUTES = (show_snapshot,)
