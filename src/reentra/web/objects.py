"""The objects of a kind: a list in pages, with columns that suit the kind."""

from __future__ import annotations

from typing import Any, Literal

from litestar import Response
from litestar.params import FromPath, FromQuery

from reentra.access import Permission
from reentra.api import paging, snapshots
from reentra.directory.kinds import KINDS
from reentra.web import columns, moments, naming
from reentra.web.routing import page
from reentra.web.visiting import Visiting

PAGE = 50


@page("/tenants/{tenant:str}/snapshots/{snapshot:str}/kinds/{kind:str}", Permission.BROWSE)
def show_kind(
    tenant: FromPath[str],
    snapshot: FromPath[str],
    kind: FromPath[str],
    visit: Visiting,
    text: FromQuery[str] = "",
    sort: FromQuery[Literal["name", "modified"]] = "name",
    descending: FromQuery[bool] = False,
    number: FromQuery[int] = 1,
) -> Response[Any]:
    """List the objects of a kind; a setting of which there is one shows its data at once."""
    own = columns.columns_of(kind)
    number = max(1, number)
    found = visit.ask(
        snapshots.list_objects,
        tenant=tenant,
        snapshot=snapshot,
        kind=kind,
        text=text,
        sort=sort,
        descending=descending,
        property=columns.properties_of(own, kind),
        cursor=paging.cursor_of((number - 1) * PAGE),
        limit=PAGE,
    )
    row = KINDS[kind]
    if row.is_settings and found["total"] == 1 and not text and len(found["items"]) == 1:
        only = found["items"][0]["id"]
        return visit.lead(moments.place(tenant, snapshot, kind, only, "properties"))
    snapshot = found["snapshot"]
    items = found["items"]
    names = naming.names_in(visit, tenant, [snapshot], [item["properties"] for item in items])
    return visit.show(
        "kind.html",
        tenant=tenant,
        snapshot=snapshot,
        kind=kind,
        row=row,
        offered=moments.offered(visit, tenant, snapshot),
        place={"kind": kind},
        columns=own,
        names=names,
        rows=[
            {
                "id": item["id"],
                "name": columns.name_of(kind, item["display_name"], item["properties"], names),
                "modified_at": item["modified_at"],
                "values": [column.value(item["properties"]) for column in own],
            }
            for item in items
        ],
        total=found["total"],
        text=text,
        sort=sort,
        descending=descending,
        number=number,
        pages=max(1, -(-found["total"] // PAGE)),
    )


ROUTES = (show_kind,)
