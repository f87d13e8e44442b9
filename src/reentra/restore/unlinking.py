"""Unlinking: the links that were added since the snapshot, and how they are taken away.

After everything else, so that nobody is left without an owner or a manager in between; before the
additions only where Graph has no room for both. Reads through ``TenantState`` only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reentra.directory.objects import DirectoryObject, ObjectRef, Relationship
from reentra.directory.relationships import RELATIONSHIPS, RelationshipKind
from reentra.restore import bodies
from reentra.restore.draft import Draft, chunks
from reentra.restore.link_sources import source_objects, source_refusal
from reentra.restore.rollback import REMOVAL_PHASE
from reentra.restore.steps import NOT_REMOVED, Action, Precondition, Step

_BEFORE_ADDITIONS = 99
_OWNERS = "group.owners"
_MEMBERS = "group.members"


def plan_removals(draft: Draft, row: RelationshipKind, surplus: Sequence[Relationship]) -> None:
    """Add a step for each link in ``surplus`` (live ids), or say why it stays.

    What leads to something that is deleted goes with it.
    """
    links = [
        link
        for link in surplus
        if link.source_id not in draft.deleted and link.target_id not in draft.deleted
    ]
    if not links:
        return
    olds = _snapshot_ids(draft, links)
    draft.learn_live_titles({end for link in links for end in (link.source_id, link.target_id)})
    if row.is_single:
        links = _without_replaced(draft, row, links, olds)
    by_source: dict[str, list[Relationship]] = {}
    for link in links:
        by_source.setdefault(link.source_id, []).append(link)
    sources = _sources(draft, row, by_source, olds)
    crowd = _crowd(draft, row, by_source, olds)
    kept: Counter[tuple[str, str, str]] = Counter()
    for source_id in sorted(by_source):
        old_id = olds.get(source_id, source_id)
        known = sources[source_id]
        why = source_refusal(draft, row, old_id, known)
        members = sorted(by_source[source_id])
        if why is None and draft.identity.current(old_id) != source_id:
            why = ("It is known under another id as well.", "Take the links away by hand.")
        if why is not None:
            kept[(source_id, *why)] += len(members)
            continue
        going = members
        if row.name == _OWNERS:
            going = _without_last_owner(crowd[source_id], members)
            if len(going) < len(members):
                kept[
                    source_id,
                    "A group keeps its last owner.",
                    "Give it another owner, then take this one away.",
                ] += 1
        early = crowd[source_id].excess if source_id in crowd else 0
        for link in going:
            phase = _BEFORE_ADDITIONS if early > 0 else REMOVAL_PHASE
            early -= 1
            draft.steps.append(_step(draft, row, link, olds, phase, known))
        if row.name == _OWNERS and _backs_a_team(known):
            _keep_members(draft, source_id, going, olds)
    for (source_id, reason, instead), count in sorted(kept.items()):
        name = draft.live_title(source_id)
        item = DirectoryObject(row.source_kind, source_id, {"id": source_id, "displayName": name})
        reason = f"Added since, and not taken away: {reason}"
        draft.refuse(item, row.name, reason, instead, count=count, code=NOT_REMOVED)


@dataclass(frozen=True, slots=True)
class _Crowd:
    """The links of one source: whose are there now, whose come, and for how many is no room."""

    now: frozenset[str]
    coming: frozenset[str]
    excess: int


def _crowd(
    draft: Draft,
    row: RelationshipKind,
    by_source: Mapping[str, Sequence[Relationship]],
    olds: Mapping[str, str],
) -> dict[str, _Crowd]:
    """Return, where it matters, how many links the sources have and get."""
    if row.max_targets is None:
        return {}
    now: dict[str, set[str]] = {source_id: set() for source_id in by_source}
    for chunk in chunks(sorted(by_source)):
        for link in draft.live.load_relationships(row.name, chunk):
            if row.name != _OWNERS or link.target_kind in ("user", ""):
                now[link.source_id].add(link.target_id)
    coming: dict[str, set[str]] = {}
    for step in draft.steps:
        if step.action is Action.ADD_RELATIONSHIP and step.relationship == row.name and step.target:
            coming.setdefault(step.ref.id, set()).add(step.target.id)
    result = {}
    for source_id, found in now.items():
        added = coming.get(olds.get(source_id, source_id), set())
        excess = max(0, len(found) + len(added) - row.max_targets)
        # One at least stays until the others have come.
        excess = min(excess, len(found) - 1)
        result[source_id] = _Crowd(frozenset(found), frozenset(added), excess)
    return result


def _without_last_owner(crowd: _Crowd, links: list[Relationship]) -> list[Relationship]:
    """Leave the last user among a group's owners out of what goes.

    Graph refuses to remove it (learn.microsoft.com/graph/api/group-delete-owners).
    """
    going = {link.target_id for link in links}
    if crowd.coming or not crowd.now or crowd.now - going:
        return links
    last = next(link for link in links if link.target_id in crowd.now)
    return [link for link in links if link is not last]


def _backs_a_team(known: Sequence[DirectoryObject]) -> bool:
    return bool(known) and "Team" in (known[0].get("resourceProvisioningOptions") or ())


def _keep_members(
    draft: Draft, source_id: str, removed: Sequence[Relationship], olds: Mapping[str, str]
) -> None:
    """Give a team's former owners their membership back, which goes along with the ownership.

    Source: learn.microsoft.com/graph/known-issues (removing an owner of a team).
    """
    members = {
        link.target_id: link for link in draft.live.load_relationships(_MEMBERS, [source_id])
    }
    going = {step.id for step in draft.steps}
    row = RELATIONSHIPS[_MEMBERS]
    for link in removed:
        source, target = olds.get(source_id, source_id), olds.get(link.target_id, link.target_id)
        if link.target_id not in members or f"remove/{_MEMBERS}/{source}/{target}" in going:
            continue
        name = draft.live_title(link.target_id)
        group = draft.live_title(source_id)
        draft.steps.append(
            Step(
                id=f"keep/{_MEMBERS}/{source}/{target}",
                action=Action.ADD_RELATIONSHIP,
                ref=ObjectRef(row.source_kind, source),
                name=group,
                summary=f"Keep {name} as a member of {group}, no longer as an owner",
                precondition=Precondition.LINK_ABSENT,
                phase=REMOVAL_PHASE + 1,
                depends_on=(f"remove/{_OWNERS}/{source}/{target}",),
                live_id=source_id,
                relationship=_MEMBERS,
                target=ObjectRef(link.target_kind, target),
            )
        )


def _without_replaced(
    draft: Draft, row: RelationshipKind, links: list[Relationship], olds: Mapping[str, str]
) -> list[Relationship]:
    """Leave out single-valued links in whose place the snapshot has another one.

    Setting the old one replaces the later one. Where the source is not selected it cannot be set,
    and taking the later one away would leave none.
    """
    before: dict[str, list[str]] = {}
    for chunk in chunks(sorted({olds.get(link.source_id, link.source_id) for link in links})):
        for link in draft.desired.load_relationships(row.name, chunk):
            before.setdefault(link.source_id, []).append(link.target_id)
    existed = draft.existed({one for targets in before.values() for one in targets})
    result = []
    for link in links:
        source_id = olds.get(link.source_id, link.source_id)
        is_known = all(draft.knows_whole(kind) for kind in row.target_kinds)
        if not any(one in existed or not is_known for one in before.get(source_id, ())):
            result.append(link)
        elif not draft.selection.contains(row.source_kind, source_id):
            name = draft.live_title(link.source_id)
            item = DirectoryObject(
                row.source_kind, link.source_id, {"id": link.source_id, "displayName": name}
            )
            draft.refuse(
                item,
                row.name,
                f"{draft.live_title(link.target_id)} is {row.title.lower()} of {name} since; "
                f"{name} had another one and is not selected.",
                f"Select {row.source_kind}/{link.source_id} too, to put it back.",
                code=NOT_REMOVED,
            )
    return result


def _snapshot_ids(draft: Draft, links: Sequence[Relationship]) -> dict[str, str]:
    """Return live id -> the snapshot's id, for the ends that go by another one now."""
    if draft.identity.is_empty:
        return {}
    ends = {end for link in links for end in (link.source_id, link.target_id)}
    return {
        live_id: old_id
        for old_id, live_id in draft.present.items()
        if live_id in ends and old_id != live_id
    }


def _sources(
    draft: Draft,
    row: RelationshipKind,
    live_ids: Mapping[str, object],
    olds: Mapping[str, str],
) -> dict[str, list[DirectoryObject]]:
    """Return what is known of each source (live ids), the live object first."""
    for live_id in live_ids:
        draft.present.setdefault(olds.get(live_id, live_id), live_id)
    found = source_objects(draft, row, [olds.get(one, one) for one in live_ids])
    return {one: found[olds.get(one, one)] for one in live_ids}


def _step(
    draft: Draft,
    row: RelationshipKind,
    link: Relationship,
    olds: Mapping[str, str],
    phase: int,
    known: Sequence[DirectoryObject],
) -> Step:
    source_id = olds.get(link.source_id, link.source_id)
    target_id = olds.get(link.target_id, link.target_id)
    source_name = draft.live_title(link.source_id)
    target_name = draft.live_title(link.target_id)
    depends_on: tuple[str, ...] = ()
    if (
        row.property == "members"
        and known
        and bodies.is_dynamic(row.source_kind, known[0].properties)
    ):
        # It is assigned again by its own step, and only then its members can be written.
        own = f"update/{row.source_kind}/{source_id}"
        depends_on = (own,) if any(step.id == own for step in draft.steps) else ()
    return Step(
        id=f"remove/{row.name}/{source_id}/{target_id}",
        action=Action.REMOVE_RELATIONSHIP,
        ref=ObjectRef(row.source_kind, source_id),
        name=source_name,
        summary=f"Take away {target_name} ({row.title.lower()} of {source_name}), added since",
        precondition=Precondition.LINK_PRESENT,
        phase=phase,
        depends_on=depends_on,
        live_id=link.source_id,
        relationship=row.name,
        target=ObjectRef(link.target_kind, target_id),
    )
