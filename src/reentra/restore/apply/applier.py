"""``Applier``: carries one plan out, wave by wave."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reentra import clock as clocks
from reentra import progress
from reentra.directory.state import LiveState
from reentra.graph.writer import TenantWriter
from reentra.restore import order, outcomes
from reentra.restore.apply.answers import Judge
from reentra.restore.apply.requests import RequestMaker, Work
from reentra.restore.apply.sending import Sender
from reentra.restore.apply.standing import Standing
from reentra.restore.identity import NO_IDENTITY, IdentityMap
from reentra.restore.journal import Journal, StepRecord, StepStatus
from reentra.restore.look import Answer, Finding, Looker
from reentra.restore.order import Wave
from reentra.restore.passwords import NO_SECRETS, RestoreSecrets
from reentra.restore.patience import MAX_LAG_SECONDS, Patience
from reentra.restore.plan import RestorePlan, ensure_not_refused
from reentra.restore.report import RestoreReport, Verification, report_of
from reentra.restore.steps import Action, Look, Step
from reentra.restore.verify import verify_restore


class Applier:
    """Carries one plan out, wave by wave, and can go on where another process stopped.

    ``on_identity`` is called with the whole map, and must have made it durable when it returns,
    before anything else is written. Not thread-safe; one plan has one applier at a time.
    """

    def __init__(
        self,
        plan: RestorePlan,
        live: LiveState,
        tenant_writer: TenantWriter,
        journal: Journal,
        identity: IdentityMap = NO_IDENTITY,
        secrets: RestoreSecrets = NO_SECRETS,
        *,
        clock: clocks.Clock = clocks.SYSTEM,
        listener: progress.Listener = progress.ignore,
        should_stop: Callable[[], bool] = lambda: False,
        on_identity: Callable[[IdentityMap], None] = lambda _identity: None,
        max_lag_seconds: float = MAX_LAG_SECONDS,
    ) -> None:
        ensure_not_refused(plan)
        self.plan = plan
        self.waves = order.waves(plan.steps)
        self._live = live
        self._clock = clock
        self._listener = listener
        self._should_stop = should_stop
        self._standing = Standing(plan, journal, identity, on_identity)
        self._looker = Looker(live, lambda: self._standing.identity)
        self._patience = Patience(self._looker, self._wait, max_lag_seconds)
        self._sender = Sender(
            RequestMaker(tenant_writer, secrets),
            self._standing,
            Judge(self._standing, self._looker, self._patience, max_lag_seconds),
            self._patience,
        )
        self._next = 0

    @property
    def identity(self) -> IdentityMap:
        """The identity map as it is now, with what this restore created."""
        return self._standing.identity

    @property
    def records(self) -> Mapping[str, StepRecord]:
        return self._standing.records

    @property
    def final_count(self) -> int:
        """How many steps have an outcome."""
        return self._standing.final_count

    def next_wave(self) -> Wave | None:
        """Return the first wave that has a step without an outcome, or ``None``."""
        while self._next < len(self.waves):
            wave = self.waves[self._next]
            if any(not self._standing.is_final(step_id) for step_id in wave.step_ids):
                return wave
            self._next += 1
        return None

    def apply_wave(self, wave: Wave) -> list[StepRecord]:
        """Apply what of the wave has no outcome yet, and record it.

        Raises: ``errors.Unauthenticated`` when Graph no longer takes the credential, and
        ``errors.GraphDown`` when it fails at everything for minutes; what was under way stays
        intended, and is looked at when the restore goes on.
        """
        standing = self._standing
        standing.save_identity()
        waiting = [
            standing.as_sent(standing.steps[i])
            for i in wave.step_ids
            if not standing.is_final(i)
        ]  # fmt: skip
        skipped = {step.id: reason for step in waiting if (reason := self._skip_reason(step))}
        standing.record(
            [
                StepRecord(step_id, StepStatus.SKIPPED, {"reason": reason})
                for step_id, reason in skipped.items()
            ]
        )
        ready = [step for step in waiting if step.id not in skipped]
        interrupted = [step for step in ready if step.id in standing.records]
        findings = self._look_for_interrupted(interrupted)
        ready = [step for step in ready if not standing.is_final(step.id)]
        works = self._prepared(ready, wave, findings)
        if works:
            self._intend(works)
            self._sender.send_all(works)
            if any(_brings_extensions(step) for step in ready):
                self._live.forget_extensions()
        self._listener(progress.Advanced("restore", standing.final_count, len(self.plan.steps)))
        return [standing.records[step.id] for step in waiting if step.id in standing.records]

    def run(self, *, job: str = "", is_verifying: bool = True) -> RestoreReport:
        """Apply every wave, then read back what was written.

        Stops at a wave's border when ``should_stop`` says so. An applied plan applied again
        writes nothing.
        """
        self._listener(progress.Started("restore", len(self.plan.steps)))
        is_cancelled = False
        while (wave := self.next_wave()) is not None:
            if self._should_stop():
                is_cancelled = True
                break
            self.apply_wave(wave)
        self._standing.save_identity()
        self._listener(progress.Finished("restore", self._standing.final_count))
        return self.report(job=job, is_cancelled=is_cancelled, is_verifying=is_verifying)

    def report(
        self, *, job: str = "", is_cancelled: bool = False, is_verifying: bool = True
    ) -> RestoreReport:
        """Return the report as things stand; with ``is_verifying`` after reading back."""
        verification: Verification | None = None
        if is_verifying:
            verification = verify_restore(
                self.plan,
                self._live,
                self.records,
                self.identity,
                clock=self._clock,
                listener=self._listener,
            )
        return report_of(
            self.plan,
            self.records,
            self.identity,
            verification=verification,
            is_cancelled=is_cancelled,
            job=job,
        )

    # --- before the write ---------------------------------------------------------------------

    def _skip_reason(self, step: Step) -> str:
        for other_id in step.depends_on:
            other = self.records.get(other_id)
            if other is not None and other.status.is_final and not other.status.is_good:
                before = self._standing.steps.get(other_id)
                name = before.summary if before else other_id
                return f"It depends on a step that did not succeed: {name}."
        return ""

    def _look_for_interrupted(self, steps: Sequence[Step]) -> dict[str, Finding]:
        """Look what became of steps that were begun before; record those that are done."""
        if not steps:
            return {}
        existing = {step.id: self._standing.existing_before(step.id) for step in steps}
        findings = self._patience.look_for_lost(steps, existing, self._standing.new_ids)
        self._standing.record(
            [
                outcomes.found_record(step, findings[step.id], "it had been written before")
                for step in steps
                if findings[step.id].answer is Answer.HOLDS
            ]
        )
        return findings

    def _prepared(
        self, steps: Sequence[Step], wave: Wave, findings: Mapping[str, Finding]
    ) -> list[Work]:
        """Return the requests that are left; steps that hold already are recorded as such."""
        looking = [step for step in steps if step.look is not Look.NOT_NEEDED]
        looked = dict(findings)
        if looking:
            looked.update(self._patience.look_until_there(looking))
        self._standing.record(
            [
                dataclasses.replace(
                    outcomes.found_record(step, looked[step.id], "it is so already"),
                    status=StepStatus.ALREADY,
                )
                for step in looking
                if looked[step.id].answer is Answer.HOLDS
            ]
        )
        left = {step.id: step for step in steps if not self._standing.is_final(step.id)}
        works = []
        for request in wave.requests:
            members = tuple(left[step_id] for step_id in request if step_id in left)
            if not members:
                continue
            work = Work(members, is_doubtful=any(step.id in findings for step in members))
            finding = looked.get(members[0].id)
            if not members[0].is_link:
                sent = finding.left if finding is not None and finding.left else None
                work.bodies = [dict(body) for body in sent] if sent else [self._body(members[0])]
            works.append(work)
        return works

    def _body(self, step: Step) -> dict[str, Any]:
        return self._standing.identity.rewritten(step.ref.kind, step.body)

    def _intend(self, works: Sequence[Work]) -> None:
        details: dict[str, Mapping[str, Any]] = {}
        creations: list[Step] = []
        for work in works:
            for step in work.steps:
                known = self.records.get(step.id)
                if known is not None:
                    details[step.id] = known.detail
                elif step.action is Action.CREATE:
                    creations.append(step)
        for step_id, same in self._looker.same_named(creations).items():
            details[step_id] = {"existing": same}
        self._standing.intend([step.id for work in works for step in work.steps], details)

    def _wait(self, reason: str, seconds: float) -> None:
        self._listener(progress.Waiting(reason, seconds))
        self._clock.sleep(seconds)


def _brings_extensions(step: Step) -> bool:
    """Tell whether there may be directory extensions after the step that were not there before."""
    return step.ref.kind == "extensionProperty" or (
        step.ref.kind == "application" and step.action is Action.UNDELETE
    )
