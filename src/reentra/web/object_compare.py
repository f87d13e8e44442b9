"""An object's tab "Compare": two snapshots side by side, or one and the tenant as it is now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Response
from litestar.params import FromPath, FromQuery

from reentra.access import Permission
from reentra.api import finding
from reentra.viewing import LIVE
from reentra.web import moments, naming, object_page, values
from reentra.web.routing import page
from reentra.web.visiting import Visit, Visiting

_MOST_ROWS = 500  # of links that are the same, and of leaves


@page(object_page.OF + "/compare", Permission.BROWSE)
def compare_object(
    tenant: FromPath[str],
    snapshot: FromPath[str],
    kind: FromPath[str],
    object_id: FromPath[str],
    visit: Visiting,
    first: FromQuery[str] = "",
    other: FromQuery[str] = "",
    difference: FromQuery[str] = "",
    asked: FromQuery[bool] = False,
    now: FromQuery[bool] = False,
) -> Response[Any]:
    """Show "Snapshot 1" and "Snapshot 2" of an object; the second is one in which it differs."""
    if first and first != snapshot:
        return visit.lead(moments.place(tenant, first, kind, object_id, "compare"))

    everything = asked and not difference  # a box that is not ticked is not sent

    def known(found: Mapping[str, Any]) -> dict[str, Any]:
        here = found["snapshot"]
        differing = moments.offered(visit, tenant, here, kind=kind, id=object_id)
        chosen = other or _default(differing)
        later = chosen == LIVE and not now
        compared = None
        if chosen and not later:
            compared = _compared(
                visit, tenant, here, chosen, kind, object_id, everything=everything
            )
        return {
            "differing": differing,
            "chosen": chosen,
            "everything": everything,
            "later": later,
            "compared": compared,
            "most": _MOST_ROWS,
        }

    return object_page.show_tab(visit, tenant, snapshot, kind, object_id, "compare", known)


def _default(differing: Mapping[str, Any]) -> str:
    """Return the nearest older snapshot in which the object differs, else the nearest newer."""
    ids = [item["id"] for item in differing["items"]]  # newest first
    taken_at = differing["around"]["created_at"]
    older = [item["id"] for item in differing["items"] if item["created_at"] < taken_at]
    return str(older[0] if older else ids[-1]) if ids else ""


def _compared(
    visit: Visit,
    tenant: str,
    before: str,
    after: str,
    kind: str,
    object_id: str,
    *,
    everything: bool,
) -> dict[str, Any]:
    found = visit.ask(
        finding.list_changes, tenant=tenant, before=before, after=after, kind=[kind],
        id=[f"{kind}/{object_id}"], all=everything, limit=1000,
    )  # fmt: skip
    own = next((item for item in found["items"] if _is(item, kind, object_id)), None)
    sides = [before] if after == LIVE else [before, after]
    leaves = own["properties"] if own else []
    links: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for item in found["items"]:
        for link in item["relationships"]:
            direction = "to" if item is own else "from"
            told = {
                "change": link["change"],
                "kind": link["target_kind"] if item is own else item["kind"],
                "id": link["target"] if item is own else item["id"],
                "name": link["target_name"] if item is own else item["display_name"],
            }
            links.setdefault((link["relationship"], direction), []).append(told)
    return {
        "change": own["change"] if own else "equal",
        "leaves": [
            {**leaf, "steps": values.steps_of(leaf["path"])} for leaf in leaves[:_MOST_ROWS]
        ],
        "left_out": max(0, len(leaves) - _MOST_ROWS),
        "links": links,
        "names": naming.names_in(visit, tenant, sides, leaves),
        "incomplete": found["incomplete"],
    }


def _is(item: Mapping[str, Any], kind: str, object_id: str) -> bool:
    return item["kind"] == kind and object_id in (item["id"], item.get("new_id"))


ROUTES = (compare_object,)
