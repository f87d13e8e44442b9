"""Names beside ids: what the ids in values stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reentra.api import links
from reentra.web import values
from reentra.web.visiting import Visit

_MOST_IDS = 300  # that one page names


def names_in(
    visit: Visit, tenant: str, snapshots: Sequence[str], *inside: Any
) -> dict[str, dict[str, Any]]:
    """Return what the ids in values stand for, in the first of some snapshots that knows."""
    wanted = list(dict.fromkeys(values.guids_in(*inside)))[:_MOST_IDS]
    found: dict[str, dict[str, Any]] = {}
    for snapshot in snapshots:
        rest = [one for one in wanted if one not in found]
        if rest:
            named = visit.ask(links.list_names, tenant=tenant, snapshot=snapshot, id=rest)
            found |= {one: {**item, "snapshot": snapshot} for one, item in named["items"].items()}
    return found
