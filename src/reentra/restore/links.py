"""Links: which relationships of the snapshot are missing in the tenant, and how they come back.

What the snapshot has and the tenant lacks is added. What came since stays, or, where relationships
are rolled back, goes (``unlinking``). Only links with a selected end count. Reads through
``TenantState`` only.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reentra import errors
from reentra.directory.objects import DirectoryObject, ObjectRef, Relationship
from reentra.directory.relationships import RELATIONSHIPS, Adding, RelationshipKind
from reentra.restore import unlinking
from reentra.restore.draft import Draft, chunks, read_or_refuse
from reentra.restore.link_sources import source_objects, source_refusal
from reentra.restore.steps import Action, Look, Precondition, Step

LINK_PHASE = 100
_GROUP = 500
_Key = tuple[str, str, str]  # source's id, target's id, qualifier


def plan_links(draft: Draft) -> None:
    """Add the steps for every relationship that the selection touches."""
    for row in RELATIONSHIPS.values():
        kinds = (row.source_kind, *row.target_kinds)
        if not any(draft.selection.touches(kind) for kind in kinds):
            continue
        coverage = draft.desired.coverage().get(row.name)
        if coverage is None:
            continue
        is_whole = coverage.is_complete and draft.knows_whole(row.source_kind)
        if not coverage.is_complete:
            later = ", and later ones stay" if draft.options.rolls_back_relationships else ""
            draft.warnings.append(
                f"{row.name} is {coverage.status.value} in the snapshot"
                f"{': ' + coverage.reason if coverage.reason else ''}; links that it lacks "
                f"cannot be restored{later}."
            )
        try:
            # What nobody can write is not looked for either.
            is_rolled_back = is_whole and row.adding is not Adding.NOT_WRITABLE
            sides = _sides(draft, row, draft.options.rolls_back_relationships and is_rolled_back)
            missing = _missing_links(draft, row, sides)
            _add_steps(draft, row, missing)
            unlinking.plan_removals(draft, row, sides.surplus(draft))
        except (errors.Forbidden, errors.InvalidRequest, errors.GraphNotFound) as error:
            read_or_refuse(draft, row.source_kind, row.name, error)
    if draft.options.rolls_back_relationships and draft.undeleted:
        draft.warnings.append(
            f"{len(draft.undeleted):,} objects leave the recycle bin with all links that they "
            "had when they were deleted; plan once more afterwards to take later ones away."
        )


@dataclass(frozen=True, slots=True)
class _Sides:
    """Both sides of a relationship, as far as they may differ.

    ``desired`` are the snapshot's links that are selected; ``known`` all that it has of the same
    sources and targets, selected or not, by live ids. Without ``known`` nothing is removed.
    """

    desired: list[Relationship]
    live: list[Relationship]
    known: frozenset[_Key] | None

    def surplus(self, draft: Draft) -> list[Relationship]:
        """Return the live links that were added since to a selected object of the snapshot."""
        if self.known is None:
            return []
        return [
            link
            for link in self.live
            if _is_of_the_snapshot(draft, link)
            and (link.source_id, link.target_id, link.qualifier) not in self.known
        ]


def _sides(draft: Draft, row: RelationshipKind, is_rolled_back: bool) -> _Sides:
    if any(draft.selection.takes_whole(kind) for kind in (row.source_kind, *row.target_kinds)):
        return _of_changed_sources(draft, row, is_rolled_back)
    return _of_named_objects(draft, row, is_rolled_back)


def _missing_links(draft: Draft, row: RelationshipKind, sides: _Sides) -> list[Relationship]:
    """Return the snapshot's links, with the snapshot's ids, that the tenant lacks."""
    have = {(link.source_id, link.target_id, link.qualifier) for link in sides.live}
    missing = [
        link
        for link in sides.desired
        if _live_key(draft, link) not in have and _is_wanted(draft, link)
    ]
    missing = _without_dead(draft, row, missing)
    return _without_replacing(draft, row, missing) if row.is_single else missing


def _live_key(draft: Draft, link: Relationship) -> _Key:
    current = draft.identity.current
    return (current(link.source_id), current(link.target_id), link.qualifier)


def _is_of_the_snapshot(draft: Draft, link: Relationship) -> bool:
    """Tell whether an end of a live link is a selected object that the snapshot has."""
    return link.source_id in draft.selected_live or link.target_id in draft.selected_live


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


def _of_changed_sources(draft: Draft, row: RelationshipKind, is_rolled_back: bool) -> _Sides:
    """Stream both sides, and load only the links of sources whose links differ."""
    current = draft.identity.current
    totals: dict[str, int] = {}
    olds: dict[str, str] = {}
    for link in _inside(draft, row, draft.desired.list_relationships(row.name)):
        source = current(link.source_id)
        olds[source] = link.source_id
        totals[source] = totals.get(source, 0) + _number(current(link.target_id), link.qualifier)
    for link in draft.live.list_relationships(row.name):
        if (link.source_id in totals and _is_inside_live(draft, row, link)) or (
            is_rolled_back and _is_of_the_snapshot(draft, link)
        ):
            number = _number(link.target_id, link.qualifier)
            totals[link.source_id] = totals.get(link.source_id, 0) - number
    changed = [source for source, total in totals.items() if total != 0]
    desired: list[Relationship] = []
    live: list[Relationship] = []
    known: set[_Key] = set()
    for chunk in chunks(sorted(changed)):
        before = [olds[source] for source in chunk if source in olds]
        if is_rolled_back:
            before = sorted({*before, *_earlier_ids(draft, chunk)})
        loaded = draft.desired.load_relationships(row.name, before)
        desired += _inside(draft, row, iter(loaded))
        known.update(_live_key(draft, link) for link in loaded)
        there = [one for one in chunk if one not in olds or not _is_gone(draft, olds[one])]
        if there:
            live += draft.live.load_relationships(row.name, there)
    return _Sides(desired, live, frozenset(known) if is_rolled_back else None)


def _earlier_ids(draft: Draft, live_ids: Sequence[str]) -> set[str]:
    """Return every id under which the snapshot may know the objects ``live_ids``."""
    return {*live_ids, *(old for one in live_ids for old in draft.identity.olds_of(one))}


def _of_named_objects(draft: Draft, row: RelationshipKind, is_rolled_back: bool) -> _Sides:
    sources = draft.selection.ids_of(row.source_kind)
    targets = sorted({one for kind in row.target_kinds for one in draft.selection.ids_of(kind)})
    desired: dict[tuple[str, str, str, str], Relationship] = {}
    live: dict[tuple[str, str, str, str], Relationship] = {}
    known: set[_Key] = set()
    current = draft.identity.current
    if sources:
        for link in draft.desired.load_relationships(row.name, sources):
            desired[link.key] = link
        known.update(_live_key(draft, link) for link in desired.values())
        there = [current(one) for one in sources if not _is_gone(draft, one)]
        if there and (desired or is_rolled_back):
            for link in draft.live.load_relationships(row.name, there):
                live[link.key] = link
    if targets:
        loaded = draft.desired.load_relationships_to(row.name, targets)
        known.update(_live_key(draft, link) for link in loaded)
        found = list(_inside(draft, row, iter(loaded)))
        for link in found:
            desired[link.key] = link
        there = [current(one) for one in targets if not _is_gone(draft, one)]
        if there and (found or is_rolled_back):
            for link in draft.live.load_relationships_to(row.name, there):
                live[link.key] = link
    return _Sides(
        list(desired.values()), list(live.values()), frozenset(known) if is_rolled_back else None
    )


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
    """Return a number for a link's far end, the same within this process and no other."""
    return hash((target_id, qualifier))


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
    sources = source_objects(draft, row, by_source)
    for source_id in sorted(by_source):
        refusal = source_refusal(draft, row, source_id, sources.get(source_id))
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
