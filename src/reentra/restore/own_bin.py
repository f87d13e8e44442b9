"""Conditional Access's own recycle bin: what comes back from it, and what is created anew instead.

What lies there keeps its id when it comes back, and its state: a policy that was enabled when it
was deleted is enforced in the moment in which it leaves the bin, before anything of it can be put
right. So such a policy leaves the bin only if a person asks for the backed-up state and the bin
holds it as the snapshot does. Everything else is safer created anew; nothing refers to a policy's
id. Whether applications may use this bin at all shows only when one is restored: each of these
steps holds the creation that it becomes otherwise.

Source: learn.microsoft.com/graph/api/conditionalaccesspolicy-restore.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from reentra.directory.kinds import ObjectKind
from reentra.directory.objects import DirectoryObject
from reentra.restore import bodies, prerequisites
from reentra.restore.creations import REPORT_ONLY, mapped
from reentra.restore.draft import Draft
from reentra.restore.steps import Action, Look, Precondition, Step

_DECIDING = frozenset({"conditions", "grantControls", "sessionControls"})
_HARMLESS_STATES = frozenset({"disabled", REPORT_ONLY})


def prefer_own_bin(
    draft: Draft, row: ObjectKind, binned: Mapping[str, DirectoryObject], first: int
) -> None:
    """Turn creations, from the step number ``first`` on, into undeletes where that is safe.

    ``binned`` are the objects in the bin, by the snapshot's ids.
    """
    if not binned:
        return
    wanted = draft.desired.load_objects(row.name, sorted(binned))
    makers = {step.id for step in draft.steps if step.may_make_object}
    for index in range(first, len(draft.steps)):
        step = draft.steps[index]
        kept = binned.get(step.ref.id)
        if kept is None or step.action is not Action.CREATE or step.ref.kind != row.name:
            continue
        item = wanted[step.ref.id]
        reason = ""
        if row.name == "conditionalAccessPolicy":
            reason = _reason_to_create(draft, step, item, kept, makers)
        if reason:
            draft.warnings.append(
                f"{row.name} {step.name} lies in the recycle bin of Conditional Access and is "
                f"created anew all the same: {reason}"
            )
            continue
        undelete = dataclasses.replace(
            step,
            id=f"undelete/{step.ref}",
            action=Action.UNDELETE,
            summary=(
                f"Restore {step.name} from the recycle bin of Conditional Access; it keeps its id. "
                "If the tenant does not allow that, create it anew"
            ),
            precondition=Precondition.IN_RECYCLE_BIN,
            live_id=kept.id,
        )
        draft.steps[index] = undelete
        draft.made[step.ref.id] = undelete.id
        draft.undeleted.add(step.ref.id)
        draft.steps.append(_check(draft, row, item, undelete))


def _reason_to_create(
    draft: Draft, step: Step, item: DirectoryObject, kept: DirectoryObject, makers: set[str]
) -> str:
    """Return why a policy must not leave the bin, or ``""``; ``makers`` are steps that give ids."""
    if item.get("state") == "enabled" and step.body.get("state") != "enabled":
        return (
            "from the bin it would keep its id, and a later restore would enable it unseen. "
            "Restore policies as backed up to bring it back."
        )
    if kept.get("state") in _HARMLESS_STATES:
        return ""
    if item.get("state") != "enabled":
        return "it was enabled when it was deleted, and would be enforced at once."
    properties = mapped(draft, item)
    differing = bodies.differing(step.ref.kind, properties, kept.properties) & _DECIDING
    if differing or makers.intersection(step.depends_on):
        return (
            "it would be enforced at once, and not as in the snapshot "
            f"({', '.join(sorted(differing)) or 'it names what gets a new id'})."
        )
    return ""


def _check(draft: Draft, row: ObjectKind, item: DirectoryObject, undelete: Step) -> Step:
    """Return the step that puts right what differs; after a creation it finds nothing to do."""
    dead, _blocked = prerequisites.dead_references(draft, row, item, {})
    values = bodies.target_values(row.name, prerequisites.without_ids(mapped(draft, item), dead))
    return Step(
        id=f"update/{item.ref}",
        action=Action.UPDATE,
        ref=item.ref,
        name=undelete.name,
        summary=(
            f"Check {len(values)} properties after the undelete, and put back those that differ"
        ),
        precondition=Precondition.PRESENT,
        phase=row.phase,
        depends_on=(undelete.id,),
        body=values,
        live_id=undelete.live_id,
        look=Look.OBJECT,
    )
