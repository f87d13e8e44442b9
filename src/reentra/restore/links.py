"""Links: which relationships of the snapshot are missing in the tenant, and how they come back.

Relationships are merged: what the snapshot has and the tenant lacks is added, what came since
stays. Only links with a selected end count. Reads through ``TenantState`` only.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator

from reentra import errors
from reentra.directory.objects import DirectoryObject, ObjectRef, Relationship
from reentra.directory.relationships import RELATIONSHIPS, Adding, RelationshipKind
from reentra.restore import bodies
from reentra.restore.draft import Draft, chunks, read_or_refuse
from reentra.restore.steps import Action, Look, Precondition, Step

LINK_PHASE = 100
_MODULUS = 1 << 128
_GROUP = 500
_End = tuple[str, str]  # target's id, qualifier


def plan_links(draft: Draft) -> None:
    """Add the steps for every relationship that the selection touches."""
    for row in RELATIONSHIPS.values():
        kinds = (row.source_kind, *row.target_kinds)
        if not any(draft.selection.touches(kind) for kind in kinds):
            continue
        coverage = draft.desired.coverage().get(row.name)
        if coverage is None:
            continue
        if not coverage.is_complete:
            draft.warnings.append(
                f"{row.name} is {coverage.status.value} in the snapshot"
                f"{': ' + coverage.reason if coverage.reason else ''}; links that it lacks "
                "cannot be restored."
            )
        try:
            missing = _missing_links(draft, row)
            _add_steps(draft, row, missing)
        except (errors.Forbidden, errors.InvalidRequest, errors.GraphNotFound) as error:
            read_or_refuse(draft, row.source_kind, row.name, error)


def _missing_links(draft: Draft, row: RelationshipKind) -> list[Relationship]:
    """Return the snapshot's links, with the snapshot's ids, that the tenant lacks."""
    whole = any(draft.selection.takes_whole(kind) for kind in (row.source_kind, *row.target_kinds))
    if whole:
        desired, live = _of_changed_sources(draft, row)
    else:
        desired, live = _of_named_objects(draft, row)
    have = {(link.source_id, link.target_id, link.qualifier) for link in live}
    current = draft.identity.current
    missing = []
    for link in desired:
        key = (current(link.source_id), current(link.target_id), link.qualifier)
        if key not in have and _is_wanted(draft, link):
            missing.append(link)
    missing = _without_dead(draft, row, missing)
    return _without_replacing(draft, row, missing) if row.is_single else missing


def _without_replacing(
    draft: Draft, row: RelationshipKind, links: list[Relationship]
) -> list[Relationship]:
    """Leave out single-valued links that would replace a later one of an object not to be touched.

    Setting the manager of somebody who is not selected takes the present manager away.
    """
    untouchable = {
        draft.identity.current(link.source_id): link
        for link in links
        if not _is_gone(draft, link.source_id)
        and (
            draft.options.deleted_only
            or not draft.selection.contains(row.source_kind, link.source_id)
        )
    }
    if not untouchable:
        return links
    now = draft.live.load_relationships(row.name, sorted(untouchable))
    kept_out = {untouchable[link.source_id].source_id for link in now}
    draft.learn_titles(kept_out)
    for source_id in sorted(kept_out):
        name = draft.title(source_id)
        item = DirectoryObject(row.source_kind, source_id, {"id": source_id, "displayName": name})
        draft.refuse(
            item,
            row.name,
            f"{name} has another {row.title.lower()} now and is not to be changed.",
            f"Select {row.source_kind}/{source_id} too, to put it back.",
        )
    return [link for link in links if link.source_id not in kept_out]


def _is_wanted(draft: Draft, link: Relationship) -> bool:
    """With "deleted only", links between two objects that exist are left alone."""
    if not draft.options.deleted_only:
        return True
    return link.source_id in draft.made or link.target_id in draft.made


def _without_dead(
    draft: Draft, row: RelationshipKind, links: list[Relationship]
) -> list[Relationship]:
    """Leave out links that ended nowhere in the snapshot: a member in the recycle bin, say."""
    existing = draft.existed({end for link in links for end in (link.source_id, link.target_id)})
    kept = []
    for link in links:
        target_kinds = (link.target_kind,) if link.target_kind else row.target_kinds
        is_known = all(draft.knows_whole(kind) for kind in target_kinds)
        if link.target_id in existing or not is_known:
            kept.append(link)
    return kept


def _of_changed_sources(
    draft: Draft, row: RelationshipKind
) -> tuple[list[Relationship], list[Relationship]]:
    """Stream both sides, and load only the links of sources whose links differ."""
    current = draft.identity.current
    totals: dict[str, int] = {}
    olds: dict[str, str] = {}
    for link in _inside(draft, row, draft.desired.list_relationships(row.name)):
        source = current(link.source_id)
        olds[source] = link.source_id
        totals[source] = totals.get(source, 0) + _number(current(link.target_id), link.qualifier)
    for link in draft.live.list_relationships(row.name):
        if link.source_id in totals and _is_inside_live(draft, row, link):
            totals[link.source_id] -= _number(link.target_id, link.qualifier)
    changed = [source for source, total in totals.items() if total % _MODULUS != 0]
    desired: list[Relationship] = []
    live: list[Relationship] = []
    for chunk in chunks(sorted(changed)):
        loaded = draft.desired.load_relationships(row.name, [olds[source] for source in chunk])
        desired += _inside(draft, row, iter(loaded))
        there = [source for source in chunk if not _is_gone(draft, olds[source])]
        if there:
            live += draft.live.load_relationships(row.name, there)
    return desired, live


def _of_named_objects(
    draft: Draft, row: RelationshipKind
) -> tuple[list[Relationship], list[Relationship]]:
    sources = draft.selection.ids_of(row.source_kind)
    targets = sorted({one for kind in row.target_kinds for one in draft.selection.ids_of(kind)})
    desired: dict[tuple[str, str, str, str], Relationship] = {}
    live: list[Relationship] = []
    current = draft.identity.current
    if sources:
        for link in draft.desired.load_relationships(row.name, sources):
            desired[link.key] = link
        there = [current(one) for one in sources if not _is_gone(draft, one)]
        if there and desired:
            live += draft.live.load_relationships(row.name, there)
    if targets:
        found = draft.desired.load_relationships_to(row.name, targets)
        found = list(_inside(draft, row, iter(found)))
        for link in found:
            desired[link.key] = link
        there = [current(one) for one in targets if not _is_gone(draft, one)]
        if found and there:
            live += draft.live.load_relationships_to(row.name, there)
    return list(desired.values()), live


def _is_gone(draft: Draft, old_id: str) -> bool:
    return old_id in draft.made or old_id in draft.missing


def _inside(
    draft: Draft, row: RelationshipKind, links: Iterator[Relationship]
) -> Iterator[Relationship]:
    """Yield those of the snapshot's links that the selection touches."""
    while group := list(itertools.islice(links, _GROUP)):
        if not draft.selection.is_everything:
            draft.learn_titles(link.target_id for link in group if not link.target_kind)
        yield from (link for link in group if _is_inside(draft, row, link))


def _is_inside(draft: Draft, row: RelationshipKind, link: Relationship) -> bool:
    if draft.selection.contains(row.source_kind, link.source_id):
        return True
    kinds = (link.target_kind,) if link.target_kind else row.target_kinds
    return draft.is_end_selected(kinds, link.target_id)


def _is_inside_live(draft: Draft, row: RelationshipKind, link: Relationship) -> bool:
    if draft.selection.takes_whole(row.source_kind) or link.source_id in draft.selected_live:
        return True
    if link.target_id in draft.selected_live:
        return True
    if link.target_kind:
        return draft.selection.takes_whole(link.target_kind)
    return False


def _number(target_id: str, qualifier: str) -> int:
    text = f"{target_id}\0{qualifier}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "big")


def _add_steps(draft: Draft, row: RelationshipKind, missing: list[Relationship]) -> None:
    if not missing:
        return
    by_source: dict[str, list[Relationship]] = {}
    for link in missing:
        by_source.setdefault(link.source_id, []).append(link)
    ends = {link.source_id: row.source_kind for link in missing}
    ends.update({link.target_id: link.target_kind for link in missing})
    draft.resolve_ends(ends)
    draft.learn_titles(ends)
    refusals: Counter[tuple[str, str, str]] = Counter()
    sources = _source_objects(draft, row, by_source)
    for source_id in sorted(by_source):
        refusal = _source_refusal(draft, row, source_id, sources.get(source_id))
        for link in sorted(by_source[source_id]):
            why = refusal or _end_refusal(draft, link)
            if why is not None:
                refusals[(source_id, *why)] += 1
                continue
            draft.steps.append(_step(draft, row, link))
    for (source_id, reason, instead), count in sorted(refusals.items()):
        item = DirectoryObject(
            row.source_kind, source_id, {"id": source_id, "displayName": draft.title(source_id)}
        )
        draft.refuse(item, row.name, reason, instead, count=count)


def _source_objects(
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


def _source_refusal(
    draft: Draft,
    row: RelationshipKind,
    source_id: str,
    known: list[DirectoryObject] | None,
) -> tuple[str, str] | None:
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
    is_selected = draft.selection.contains(row.source_kind, source_id)
    final = known[-1].properties if is_selected and not draft.options.deleted_only else now
    if bodies.is_dynamic(row.source_kind, final):
        return "Its members follow from its rule.", "Restore the rule; Microsoft Entra fills it."
    return None


def _end_refusal(draft: Draft, link: Relationship) -> tuple[str, str] | None:
    for end in (link.source_id, link.target_id):
        if end in draft.present or end in draft.made:
            continue
        return (
            f"{draft.title(end)} ({end}) does not exist in the tenant and is not restored here.",
            "Restore it too, or select both.",
        )
    return None


def _step(draft: Draft, row: RelationshipKind, link: Relationship) -> Step:
    look = Look.NOT_NEEDED
    if link.source_id in draft.undeleted:
        look = Look.SOURCE
    elif link.target_id in draft.undeleted:
        look = Look.TARGET
    created = {
        draft.made[end]: None for end in (link.source_id, link.target_id) if end in draft.made
    }
    source_name = draft.title(link.source_id)
    target_name = draft.title(link.target_id)
    if look is Look.NOT_NEEDED:
        verb = "Set" if row.is_single else "Add"
    else:
        verb = "Check after the undelete, and if missing add"
    return Step(
        id=f"add/{row.name}/{link.source_id}/{link.target_id}",
        action=Action.ADD_RELATIONSHIP,
        ref=ObjectRef(row.source_kind, link.source_id),
        name=source_name,
        summary=f"{verb} {target_name} ({row.title.lower()} of {source_name})",
        precondition=Precondition.LINK_ABSENT,
        phase=LINK_PHASE,
        depends_on=tuple(created),
        live_id=draft.present.get(link.source_id, ""),
        relationship=row.name,
        target=ObjectRef(link.target_kind, link.target_id),
        look=look,
    )
