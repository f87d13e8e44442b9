"""Coverage: what is protected and what not and why, what can be restored, and the permissions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from litestar import Response
from litestar.params import FromPath

from reentra import errors
from reentra.access import Permission
from reentra.api import tenants
from reentra.directory.kinds import KINDS, ObjectKind
from reentra.directory.relationships import RELATIONSHIPS
from reentra.restore import declared
from reentra.web.routing import page
from reentra.web.visiting import Visiting

_OF = "/tenants/{tenant:str}/coverage"
_UNKNOWN: Mapping[str, Any] = {
    "status": "skipped",
    "reason": "The newest snapshot does not name it; the next backup reads it.",
    "permissions": [],
}


@page(_OF, Permission.BROWSE)
def show_coverage(tenant: FromPath[str], visit: Visiting) -> Response[str]:
    """Show every kind and relationship: protected or not and why, and what a restore does."""
    try:
        found = visit.ask(tenants.coverage, tenant=tenant)
    except errors.NotFound:
        found = {"snapshot": "", "coverage": {}, "unread": []}
        visit.ask(tenants.schedule, tenant=tenant)  # a tenant that is not there is an error
    known: Mapping[str, Any] = found["coverage"]
    rows = [
        {
            "name": row.name,
            "is_settings": row.is_settings,
            **_standing(known, row.name, row.read_permissions, row.write_permissions),
            "fates": _fates(row),
        }
        for row in KINDS.values()
    ]
    links = []
    for link in RELATIONSHIPS.values():
        how, notes = declared.relationship_fate(link)
        links.append(
            {
                "name": link.name,
                "source": link.source_kind,
                "title": link.title,
                **_standing(known, link.name, link.read_permissions, link.write_permissions),
                "how": how,
                "notes": _plain(notes),
            }
        )
    return visit.show(
        "coverage.html",
        tenant=tenant,
        snapshot=found["snapshot"],
        objects=[row for row in rows if not row["is_settings"]],
        settings=[row for row in rows if row["is_settings"]],
        links=links,
        not_covered=[row for row in (*rows, *links) if row["item"]["status"] != "complete"],
        unread=found["unread"],
    )


@page(_OF + "/permissions", Permission.BACK_UP)
def show_permissions(tenant: FromPath[str], visit: Visiting) -> Response[str]:
    """Ask Graph which permissions are granted; a page of its own, because that takes a while."""
    found = visit.ask(tenants.check_permissions, tenant=tenant)
    needs = found["permissions"]
    return visit.show(
        "permissions.html",
        tenant=tenant,
        is_told=found["granted"] is not None,
        backup=[need for need in needs if need["for_backup"]],
        restore=[need for need in needs if need["for_restore"]],
        missing_backup=[n for n in needs if n["for_backup"] and n["granted"] is False],
        missing_restore=[n for n in needs if n["for_restore"] and n["granted"] is False],
        extra=sorted(set(found["granted"] or ()) - {need["permission"] for need in needs}),
        not_covered=found["not_covered"],
    )


def _standing(
    known: Mapping[str, Any], name: str, reads: Iterable[str], writes: Iterable[str]
) -> dict[str, Any]:
    return {
        "item": known.get(name, _UNKNOWN),
        "read_permissions": list(reads),
        "write_permissions": list(writes),
    }


def _fates(row: ObjectKind) -> list[str]:
    told = [_plain(line) for line in declared.fates(row)]
    is_written = not told or not told[0].startswith("Exists")
    return ["Exists, and differs: put back to its state in the snapshot.", *told][not is_written :]


def _plain(text: str) -> str:
    return text.replace("`", "")


ROUTES = (show_coverage, show_permissions)
