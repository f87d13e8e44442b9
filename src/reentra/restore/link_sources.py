"""Link sources: the objects at which links are stored, and when nobody can write those links.

Reads through ``TenantState`` only.
"""

from __future__ import annotations

from collections.abc import Iterable

from reentra.directory.objects import DirectoryObject
from reentra.directory.relationships import Adding, RelationshipKind
from reentra.restore import bodies
from reentra.restore.draft import Draft, chunks


def source_objects(
    draft: Draft, row: RelationshipKind, source_ids: Iterable[str]
) -> dict[str, list[DirectoryObject]]:
    """Return what is known of each source: as it is in the tenant and as the snapshot has it."""
    result: dict[str, list[DirectoryObject]] = {}
    wanted = sorted(source_ids)
    for chunk in chunks(wanted):
        desired = draft.desired.load_objects(row.source_kind, chunk)
        live_ids = {draft.present[one]: one for one in chunk if one in draft.present}
        live = draft.live.load_objects(row.source_kind, sorted(live_ids)) if live_ids else {}
        for one in chunk:
            known = [desired[one]] if one in desired else []
            current = live.get(draft.present.get(one, ""))
            result[one] = ([current] if current is not None else []) + known
    return result


def source_refusal(
    draft: Draft,
    row: RelationshipKind,
    source_id: str,
    known: list[DirectoryObject] | None,
) -> tuple[str, str] | None:
    """Return why the links of a source cannot be written and what to do, or ``None``."""
    if row.adding is Adding.NOT_WRITABLE:
        return row.reason, ""
    if not known:
        return None
    now = known[0].properties
    if bodies.is_synced(now):
        return bodies.REASONS[bodies.AbsentReason.SYNCED]
    if bodies.is_mail_enabled_only(row.source_kind, now):
        return bodies.REASONS[bodies.AbsentReason.MAIL_ENABLED]
    if row.property != "members":
        return None
    # The group's own step puts its kind of membership back before any link is written.
    is_put_back = (
        draft.selection.contains(row.source_kind, source_id)
        and not draft.options.deleted_only
        and draft.paths is None
    )
    final = known[-1].properties if is_put_back else now
    if bodies.is_dynamic(row.source_kind, final):
        return "Its members follow from its rule.", "Restore the rule; Microsoft Entra fills it."
    return None
