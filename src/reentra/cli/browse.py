"""``reentra browse``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from reentra import clock as clocks
from reentra import errors
from reentra.cli import session, viewing
from reentra.cli.options import DEFAULT_COMMON, Common, TenantName
from reentra.cli.screen import Screen, escaped, plural
from reentra.directory.kinds import KINDS
from reentra.directory.relationships import RELATIONSHIPS

if TYPE_CHECKING:
    from reentra.app import Application

app = App(name="browse")


@app.default
def browse(
    name: TenantName,
    kind: Annotated[str, Parameter(help="Show the objects of this kind.")] = "",
    id: Annotated[str, Parameter(help="Show this object.")] = "",  # noqa: A002
    /,
    *,
    snapshot: viewing.SnapshotName = "latest",
    text: Annotated[str, Parameter(help="Only objects whose name holds this.")] = "",
    sort: Annotated[
        Literal["name", "modified"], Parameter(help="By what the objects of a kind are sorted.")
    ] = "name",
    descending: Annotated[bool, Parameter(negative="", help="Sort the other way.")] = False,
    property: Annotated[  # noqa: A002  the option's name
        tuple[str, ...],
        Parameter(negative="", help="Show this property of each object too; repeatable."),
    ] = (),
    versions: Annotated[
        bool, Parameter(negative="", help="List the versions of an object over all snapshots.")
    ] = False,
    differing_from: Annotated[
        str,
        Parameter(help="With --versions: also list the snapshots in which it is not as in this."),
    ] = "",
    offset: Annotated[int, Parameter(help="Skip so many objects.")] = 0,
    limit: Annotated[int, Parameter(help="Show at most so many objects.")] = 100,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Show the kinds of a snapshot with counts, the objects of a kind, or one object.

    Example: reentra browse contoso group --text sales
    """
    screen = Screen(as_json=common.json)
    if kind:
        viewing.ensure_kind(kind)
    if versions and not id:
        raise errors.UsageError(
            "No object is named whose versions to list.",
            hint=f"Write it as `reentra browse {name} KIND ID --versions`.",
        )
    part = _Part(text, sort, descending, property, offset, limit)
    with session.opened(common) as application:
        seen = viewing.open_snapshot(application, screen, name, snapshot)
        if versions:
            _show_versions(application, screen, seen.tenant_id, kind, id, differing_from)
        elif id:
            _show_object(application, screen, seen, kind, id)
        elif kind:
            _show_kind(application, screen, seen, kind, part)
        else:
            _show_kinds(screen, seen)
    return 0


@dataclass(frozen=True, slots=True)
class _Part:
    """Which objects of a kind are shown, in which order, and with which properties."""

    text: str
    sort: str
    is_descending: bool
    properties: tuple[str, ...]
    offset: int
    limit: int


def _show_versions(
    application: Application,
    screen: Screen,
    tenant_id: str,
    kind: str,
    object_id: str,
    differing_from: str,
) -> None:
    found = viewing.versions_of(application, tenant_id, kind, object_id, differing_from)
    screen.table(
        ("From (UTC)", "Snapshot", "Until before (UTC)", "Snapshot", ""),
        (
            (
                item["began_at"][:19].replace("T", " "),
                item["began"],
                (item["ended_at"] or "")[:19].replace("T", " "),
                item["ended"] or "still so",
                "then deleted" if item["deleted"] else "",
            )
            for item in found["items"]
        ),
    )
    if not found["items"]:
        screen.say(f"No snapshot holds {kind} {object_id}.")
    if found["differing"] is not None:
        screen.say(f"Not as in {differing_from}: {', '.join(found['differing']) or 'nowhere'}.")
    screen.result(found)


def _show_kinds(screen: Screen, seen: viewing.SeenSnapshot) -> None:
    kinds = {kind: summary for kind, summary in seen.summary.info.kinds.items() if kind in KINDS}
    screen.say(f"Snapshot [bold]{seen.snapshot_id}[/]")
    screen.table(
        ("Kind", "Title", "Objects", "Coverage"),
        (
            (
                kind,
                KINDS[kind].title,
                f"{summary.objects:,}",
                "complete"
                if summary.coverage.is_complete
                else f"{summary.coverage.status.value}: {summary.coverage.reason}",
            )
            for kind, summary in kinds.items()
        ),
        numbers=(2,),
    )
    screen.result(
        {
            "snapshot": seen.snapshot_id,
            "kinds": {kind: viewing.kind_document(summary) for kind, summary in kinds.items()},
        }
    )


def _show_kind(
    application: Application,
    screen: Screen,
    seen: viewing.SeenSnapshot,
    kind: str,
    part: _Part,
) -> None:
    page = application.catalog.list_page(
        seen.tenant_id, seen.snapshot_id, kind, text=part.text, sort=part.sort,
        descending=part.is_descending, offset=part.offset, limit=part.limit,
    )  # fmt: skip
    ids = [row.id for row in page.rows]
    bodies = seen.state.load_objects(kind, ids) if part.properties else {}
    values = {
        one: {name: bodies[one].properties.get(name) for name in part.properties}
        for one in ids
        if one in bodies
    }
    screen.table(
        ("Id", "Name", "Modified (UTC)", *part.properties),
        (
            (
                row.id,
                row.name,
                clocks.iso(row.modified_at)[:19].replace("T", " "),
                *(_shown(values.get(row.id, {}).get(name)) for name in part.properties),
            )
            for row in page.rows
        ),
    )
    first, last = part.offset + 1, part.offset + len(page.rows)
    shown = f"{first:,} to {last:,} of " if page.rows else ""
    screen.say(f"{shown}{plural(page.total, 'object')} in snapshot {seen.snapshot_id}")
    screen.result(
        {
            "snapshot": seen.snapshot_id,
            "kind": kind,
            "total": page.total,
            "offset": part.offset,
            "objects": [
                {
                    "id": row.id,
                    "display_name": row.name,
                    "modified_at": clocks.iso(row.modified_at),
                    "properties": {
                        name: value
                        for name, value in values.get(row.id, {}).items()
                        if name in bodies[row.id].properties
                    },
                }
                for row in page.rows
            ],
        }
    )


def _show_object(
    application: Application,
    screen: Screen,
    seen: viewing.SeenSnapshot,
    kind: str,
    object_id: str,
) -> None:
    identity = viewing.identity_of(application, seen.tenant_id)
    found = viewing.known_as(seen.state, identity, kind, object_id)
    if found is None:
        raise errors.NotFound(
            f"Snapshot {seen.snapshot_id} has no {kind} {object_id}.",
            hint=f"`reentra search` finds objects; `reentra browse NAME {kind}` lists them.",
        )
    if found.id != object_id:
        screen.say(f"[dim]{object_id} goes by the id {found.id} in this snapshot.[/]")
        object_id = found.id
    links = viewing.links_of(seen.state, kind, object_id)
    title = viewing.title_of(found)
    screen.say(f"[bold]{escaped(title)}[/]  {kind}  {object_id}")
    screen.table(
        ("Property", "Value"),
        (
            (property_name, _shown(value))
            for property_name, value in sorted(found.properties.items())
            if value not in (None, [], "")
        ),
    )
    if links:
        screen.table(
            ("Relationship", "", "Object", "Id"),
            (
                (
                    RELATIONSHIPS[link["relationship"]].title,
                    "to" if link["direction"] == "to" else "from",
                    f"{link['target_name']} ({link['target_kind']})",
                    link["target"],
                )
                for link in links
            ),
        )
    screen.result(
        {
            "snapshot": seen.snapshot_id,
            "kind": kind,
            "id": object_id,
            "display_name": title,
            "properties": dict(found.properties),
            "relationships": links,
        }
    )


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
