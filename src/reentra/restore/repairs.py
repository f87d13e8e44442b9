"""Repairs: references of selected objects to what the plan creates anew, under its new id.

An object that is otherwise as it was still names the dead id, and has to be written. Objects that
are created at the same time as what they name get the new id in a second write.
"""

from __future__ import annotations

import dataclasses

from reentra.directory.kinds import KINDS
from reentra.directory.objects import DirectoryObject
from reentra.restore import bodies, prerequisites
from reentra.restore.draft import Draft, chunks, name_of
from reentra.restore.steps import MISSING_REFERENCE, Action, Look, Precondition, Step

# After every object that can be named is there, before role assignments and Conditional Access.
REPAIR_PHASE = 95


def plan_repairs(draft: Draft) -> None:
    """Add a step for each selected object that names what the plan creates."""
    targets = {
        identifier: step_id
        for made in (draft.made, draft.made_apps)
        for identifier, step_id in made.items()
        if identifier not in draft.undeleted
    }
    wanted: dict[tuple[str, str], dict[str, list[str]]] = {}
    for identifier, step_id in targets.items():
        for referrer, name in draft.referrers.get(identifier, {}).items():
            wanted.setdefault(referrer, {}).setdefault(name, []).append(step_id)
    by_kind: dict[str, dict[str, dict[str, list[str]]]] = {}
    for (kind, old_id), names in wanted.items():
        by_kind.setdefault(kind, {})[old_id] = names
    for kind, members in sorted(by_kind.items()):
        for chunk in chunks(sorted(members)):
            for old_id, item in draft.desired.load_objects(kind, chunk).items():
                _repair(draft, item, members[old_id])


def _repair(draft: Draft, item: DirectoryObject, names: dict[str, list[str]]) -> None:
    row = KINDS[item.kind]
    is_present = item.id in draft.present
    if not is_present and item.id not in draft.made:
        return
    if is_present and draft.options.deleted_only:
        draft.warnings.append(
            f"{item.kind} {name_of(item)} names what is created anew and is left as it is; "
            "restore it as well to bring its references up to date."
        )
        return
    properties = draft.identity.rewritten(item.kind, item.properties)
    if bodies.is_synced(properties) or bodies.never_written(item.kind, properties):
        return
    writable = sorted(name for name in names if row.may_update(name))
    by_id = {step.id: step for step in draft.steps if step.ref == item.ref}
    left = [name for name in writable if not _is_written_later(draft, by_id, name, names[name])]
    if not left:
        return
    # Graph refuses to be told again of what was dead in the snapshot already.
    dead, _blocked = prerequisites.dead_references(draft, row, item, {})
    if prerequisites.is_emptied(row, item.properties, dead):
        draft.refuse(
            item,
            ", ".join(left),
            "Whom it includes did not exist when the snapshot was taken; Graph takes no policy "
            "that includes nobody.",
            "Choose whom it includes, or restore an older snapshot.",
            code=MISSING_REFERENCE,
        )
        return
    if dead:
        draft.warnings.append(
            f"{item.kind} {name_of(item)} referred to {', '.join(sorted(dead))}, which did not "
            "exist when the snapshot was taken; it is written without them."
        )
    body = {name: prerequisites.without_ids(properties[name], dead) for name in left}
    if item.kind == "group" and "membershipRule" in body:
        for name in ("groupTypes", "membershipRuleProcessingState"):
            body[name] = properties.get(name)
    depends_on = [step_id for name in left for step_id in names[name]]
    if item.id in draft.made:
        depends_on.append(draft.made[item.id])
    draft.steps.append(
        Step(
            id=f"references/{item.ref}",
            action=Action.UPDATE,
            ref=item.ref,
            name=name_of(item),
            summary=f"Bring {', '.join(left)} up to date with the new ids",
            precondition=Precondition.PRESENT,
            phase=max(row.phase, REPAIR_PHASE),
            depends_on=tuple(dict.fromkeys(depends_on)),
            body=body,
            live_id=draft.present.get(item.id, ""),
            look=Look.OBJECT,
        )
    )


def _is_written_later(draft: Draft, own: dict[str, Step], name: str, targets: list[str]) -> bool:
    """Tell whether a step of the object writes the property once all targets exist.

    If it does so for targets that come at the same time, it is made to wait for them when no
    circle can come of it.
    """
    phases = {step.id: step.phase for step in draft.steps if step.id in set(targets)}
    for step in own.values():
        if name not in step.body or step.precondition is Precondition.ABSENT:
            if name in step.body and all(phases[one] < step.phase for one in targets):
                return True
            continue
        if all(phases[one] < step.phase for one in targets):
            waits = tuple(one for one in targets if one not in step.depends_on)
            draft.replace_step(step.id, depends_on=(*step.depends_on, *waits))
            own[step.id] = dataclasses.replace(step, depends_on=(*step.depends_on, *waits))
            return True
    return False
