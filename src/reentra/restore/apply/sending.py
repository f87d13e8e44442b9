"""Sending: round after round, until every request of a wave has an outcome."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from reentra import errors
from reentra.graph.writer import OutcomeKind, WriteRequest
from reentra.restore import outcomes
from reentra.restore.apply.answers import MAX_SENDS, Judge
from reentra.restore.apply.requests import RequestMaker, Work
from reentra.restore.apply.standing import Standing
from reentra.restore.journal import StepRecord
from reentra.restore.look import Answer
from reentra.restore.patience import Patience


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends what was written down as intended, and records how each step ended."""

    maker: RequestMaker
    standing: Standing
    judge: Judge
    patience: Patience

    def send_all(self, works: Sequence[Work]) -> None:
        """Send until every request has an outcome. Outcomes are recorded round by round.

        Raises: ``errors.Unauthenticated`` and ``errors.GraphDown``, after the round's outcomes
        were recorded.
        """
        left = list(works)
        while left:
            left = self._send_round(left)
            waits = [work.next_wait_seconds for work in left if work.lag_seconds > 0]
            if waits and len(waits) == len(left):
                self.patience.wait("objects created a moment ago to replicate", max(waits))

    def _send_round(self, works: Sequence[Work]) -> list[Work]:
        """Send each request once; return what is to be sent again."""
        sendable = self._made(works)
        answers = self.maker.writer.send_batch([request for _work, request in sendable])
        again: list[Work] = []
        records: list[StepRecord] = []
        fatal: errors.Error | None = None
        unknown: list[Work] = []
        for (work, _request), outcome in zip(sendable, answers, strict=True):
            work.sends += 1
            if isinstance(outcome.error, errors.Unauthenticated | errors.GraphDown):
                fatal = outcome.error
            elif outcome.kind is OutcomeKind.UNKNOWN:
                unknown.append(work)
            else:
                judged = self.judge.judged(work, outcome)
                records += judged.records
                again += judged.again
        self.standing.record(records)
        if unknown:
            again += self._resolved(unknown)
        if fatal is not None:
            raise fatal
        return again

    def _made(self, works: Sequence[Work]) -> list[tuple[Work, WriteRequest]]:
        """Return the works with their requests; those that cannot be made have failed."""
        sendable: list[tuple[Work, WriteRequest]] = []
        failed: list[StepRecord] = []
        for work in works:
            try:
                sendable.append((work, self.maker.request(work, self.standing.identity)))
            except errors.Error as error:
                failed += outcomes.failed_records(work.steps, error, work.dropped)
        self.standing.record(failed)
        return sendable

    def _resolved(self, works: Sequence[Work]) -> list[Work]:
        """Look whether writes without a reply happened; return only those that did not."""
        steps = [step for work in works for step in work.steps]
        existing = {step.id: self.standing.existing_before(step.id) for step in steps}
        findings = self.patience.look_for_lost(steps, existing, self.standing.new_ids)
        records: list[StepRecord] = []
        again: list[Work] = []
        for work in works:
            left = []
            for step in work.steps:
                finding = findings[step.id]
                if finding.answer is Answer.HOLDS:
                    record = outcomes.found_record(step, finding, "its reply was lost")
                    if work.dropped:
                        detail = {**record.detail, "dropped": list(work.dropped)}
                        record = dataclasses.replace(record, detail=detail)
                    records.append(record)
                else:
                    left.append(step)
            if not left:
                continue
            if work.sends >= MAX_SENDS:
                lost = errors.OutcomeUnknown(
                    f"Graph's replies were lost {work.sends} times, and the change does not show.",
                    hint="Look at the object, and restore again when Graph is well.",
                )
                records += outcomes.failed_records(left, lost, work.dropped)
            else:
                again.append(dataclasses.replace(work, steps=tuple(left), is_doubtful=True))
        self.standing.record(records)
        return again
