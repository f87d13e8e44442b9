"""Deeds: what a restore really did to a tenant, from its plan and its journal. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reentra.directory.kinds import KINDS
from reentra.directory.objects import ObjectRef
from reentra.restore.identity import IdentityMap
from reentra.restore.journal import StepRecord, StepStatus
from reentra.restore.plan import RestorePlan
from reentra.restore.steps import Action, Step


@dataclass(frozen=True, slots=True)
class LinkKey:
    """A link by its live ends."""

    relationship: str
    source_id: str
    target_id: str
    target_kind: str


@dataclass(slots=True)
class Deeds:
    """What was written, by live ids.

    ``made`` are objects that were created, invited or brought back, with what was written to
    them; ``undeleted`` those of them that came out of the recycle bin. ``changed`` are the values
    that were written to objects that existed; ``licensed`` the SKUs given (with the plans left
    out) or, as ``None``, taken. ``doubts`` are sentences on what nobody can know.
    """

    job_id: str
    made: dict[ObjectRef, Mapping[str, Any]] = field(default_factory=dict)
    undeleted: set[ObjectRef] = field(default_factory=set)
    changed: dict[ObjectRef, dict[str, Any]] = field(default_factory=dict)
    licensed: dict[ObjectRef, dict[str, frozenset[str] | None]] = field(default_factory=dict)
    deleted: set[ObjectRef] = field(default_factory=set)
    added: dict[str, dict[LinkKey, None]] = field(default_factory=dict)
    removed: dict[str, dict[LinkKey, None]] = field(default_factory=dict)
    names: dict[ObjectRef, str] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (
            self.made or self.changed or self.deleted or self.added or self.removed or self.doubts
        )


def deeds_of(
    job_id: str, plan: RestorePlan, records: Mapping[str, StepRecord], identity: IdentityMap
) -> Deeds:
    """Return what the journal says was done.

    What was so already is no deed. A step that was cut off counts where the tenant shows its
    effect, which ``plan_undo`` looks at; whether an object was created then, nobody can tell.
    """
    deeds = Deeds(job_id)
    present = identity.merged(plan.matched)
    for step in plan.steps:
        record = records.get(step.id)
        if record is None or not _may_have_written(record):
            continue
        live_id = present.current(step.live_id or step.ref.id)
        if step.makes_object or record.kept_in_bin:
            if not record.new_id:
                deeds.doubts.append(
                    f"{step.summary}: it was cut off, and nobody knows whether it happened. Look "
                    f"for {step.ref.kind} {step.name} in the tenant."
                )
                continue
            live_id = present.current(record.new_id)
        ref = ObjectRef(step.ref.kind, live_id)
        deeds.names.setdefault(ref, step.name)
        _note(deeds, step, record, ref, present)
    for ref, body in deeds.made.items():
        deeds.made[ref] = {**body, **deeds.changed.pop(ref, {})}  # it goes with the object
        deeds.licensed.pop(ref, None)
    for ref in deeds.deleted:
        deeds.changed.pop(ref, None)  # the capture holds all of it
        deeds.licensed.pop(ref, None)
    return deeds


def identity_of(plan: RestorePlan, records: Mapping[str, StepRecord]) -> IdentityMap:
    """Return the new ids that a restore gave, from its journal alone."""
    made = [
        (step, record)
        for step in plan.steps
        if (record := records.get(step.id)) is not None
        and record.status.is_good
        and record.new_id
        and not KINDS[step.ref.kind].is_link
    ]
    identity = plan.matched.with_objects(
        [(step.ref.kind, step.ref.id, record.new_id) for step, record in made]
    )
    for step, record in made:
        if step.app_id and record.new_app_id:
            identity = identity.with_app(step.app_id, record.new_app_id)
    return identity


def _may_have_written(record: StepRecord) -> bool:
    if record.status is StepStatus.FAILED:
        return bool(record.detail.get("refused"))  # all but these properties were written
    return record.status in (StepStatus.DONE, StepStatus.INTENDED)


def _note(
    deeds: Deeds, step: Step, record: StepRecord, ref: ObjectRef, identity: IdentityMap
) -> None:
    match step.action:
        case Action.CREATE | Action.INVITE:
            deeds.made[ref] = step.body if step.action is Action.CREATE else {}
        case Action.UNDELETE if record.new_id:
            deeds.made[ref] = step.body
        case Action.UNDELETE:
            deeds.made[ref] = {}
            deeds.undeleted.add(ref)
        case Action.UPDATE:
            left_out = {*record.detail.get("refused", ()), *record.detail.get("dropped", ())}
            written = {name: value for name, value in step.body.items() if name not in left_out}
            deeds.changed.setdefault(ref, {}).update(written)
        case Action.ASSIGN_LICENSES:
            deeds.changed.setdefault(ref, {})
            skus = deeds.licensed.setdefault(ref, {})
            for entry in step.body["addLicenses"]:
                skus[entry["skuId"]] = frozenset(entry["disabledPlans"])
            skus.update(dict.fromkeys(step.body["removeLicenses"]))
        case Action.DELETE:
            deeds.deleted.add(ref)
        case Action.ADD_RELATIONSHIP | Action.REMOVE_RELATIONSHIP if step.target is not None:
            target_id = identity.current(step.target.id)
            key = LinkKey(step.relationship, ref.id, target_id, step.target.kind)
            is_added = step.action is Action.ADD_RELATIONSHIP
            links = deeds.added if is_added else deeds.removed
            links.setdefault(step.relationship, {})[key] = None
        case _:
            pass
