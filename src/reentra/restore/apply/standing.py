"""How a restore stands: the record of each step and the new ids, durable before they are used."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from reentra.directory.kinds import KINDS
from reentra.restore.identity import IdentityMap
from reentra.restore.journal import Journal, StepRecord, StepStatus
from reentra.restore.plan import RestorePlan
from reentra.restore.steps import Step


class Standing:
    """The records of a plan's steps and the identity map, as the journal knows them.

    ``on_identity`` must have made the map durable when it returns. Not thread-safe.
    """

    def __init__(
        self,
        plan: RestorePlan,
        journal: Journal,
        identity: IdentityMap,
        on_identity: Callable[[IdentityMap], None],
    ) -> None:
        self.steps = {step.id: step for step in plan.steps}
        self.records = dict(journal.load_records())
        self.identity = identity.merged(plan.matched)
        self._journal = journal
        self._on_identity = on_identity
        self._saved_identity = identity
        self.final_count = 0
        self._new_ids: set[str] = set()
        for record in self.records.values():
            self._count(record)
        self._learn(self.records.values())

    def is_final(self, step_id: str) -> bool:
        record = self.records.get(step_id)
        return record is not None and record.status.is_final

    @property
    def new_ids(self) -> frozenset[str]:
        """The ids, and client ids, of what this restore has created."""
        return frozenset(self._new_ids)

    def as_sent(self, step: Step) -> Step:
        """Return the step as it is under way: a creation, once its bin has refused to give back."""
        record = self.records.get(step.id)
        return step.as_creation() if record is not None and record.kept_in_bin else step

    def existing_before(self, step_id: str) -> Sequence[str]:
        """Return the ids that looked the same as the step's object before it was created."""
        record = self.records.get(step_id)
        found: Sequence[str] = record.detail.get("existing", ()) if record is not None else ()
        return found

    def intend(self, step_ids: Sequence[str], details: Mapping[str, Mapping[str, Any]]) -> None:
        """Write down, durably, that these steps are about to be sent."""
        self._journal.record_intent(step_ids, details)
        for step_id in step_ids:
            self.records[step_id] = StepRecord(
                step_id, StepStatus.INTENDED, details.get(step_id, {})
            )

    def record(self, records: Sequence[StepRecord]) -> None:
        """Make new ids durable, then the outcomes, before anything else is written."""
        if not records:
            return
        self._learn(records)
        self.save_identity()
        self._journal.record_outcomes(records)
        for record in records:
            known = self.records.get(record.step_id)
            detail = {**(known.detail if known else {}), **record.detail}
            self.records[record.step_id] = dataclasses.replace(record, detail=detail)
            self._count(self.records[record.step_id])

    def save_identity(self) -> None:
        """Make the map durable when it has grown since it last was."""
        if self.identity is not self._saved_identity and self.identity != self._saved_identity:
            self._on_identity(self.identity)
            self._saved_identity = self.identity

    def _count(self, record: StepRecord) -> None:
        self.final_count += record.status.is_final
        self._new_ids.update(one for one in (record.new_id, record.new_app_id) if one)

    def _is_named_later(self, step: Step) -> bool:
        """Tell whether the new id is needed again: nothing refers to a link but its own steps."""
        return not KINDS[step.ref.kind].is_link or f"update/{step.ref}" in self.steps

    def _learn(self, records: Iterable[StepRecord]) -> None:
        made: list[tuple[Step, StepRecord]] = [
            (step, record)
            for record in records
            if record.status.is_good and record.new_id
            and (step := self.steps.get(record.step_id)) is not None
            and step.may_make_object and self._is_named_later(step)
        ]  # fmt: skip
        self.identity = self.identity.with_objects(
            [(step.ref.kind, step.ref.id, record.new_id) for step, record in made]
        )
        for step, record in made:
            if record.new_app_id and step.app_id:
                self.identity = self.identity.with_app(step.app_id, record.new_app_id)
