"""The journal of a restore: intent before each write, outcome after it.

A step that is intended and has no outcome may or may not have happened: it is looked at before it
is repeated. The durable journal is the job store; this module has the protocol and one in memory.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from reentra import clock as clocks


class StepStatus(enum.StrEnum):
    """How a step stands. The last four are final."""

    INTENDED = "intended"
    DONE = "done"
    ALREADY = "already"
    SKIPPED = "skipped"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        return self is not StepStatus.INTENDED

    @property
    def is_good(self) -> bool:
        return self in (StepStatus.DONE, StepStatus.ALREADY)


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What the journal knows of a step.

    ``detail`` may hold ``new_id`` and ``new_app_id`` of what was created, ``existing`` (ids that
    looked the same before a creation), ``kept_in_bin`` (why an undelete became a creation),
    ``reason``, ``dropped`` properties, and for failures ``status``, ``graph_code``, ``message``,
    ``request_id``, ``hint``. Never a secret.
    """

    step_id: str
    status: StepStatus
    detail: Mapping[str, Any] = field(default_factory=dict)
    intended_at: dt.datetime | None = None

    @property
    def new_id(self) -> str:
        return str(self.detail.get("new_id") or "")

    @property
    def kept_in_bin(self) -> str:
        return str(self.detail.get("kept_in_bin") or "")

    @property
    def new_app_id(self) -> str:
        return str(self.detail.get("new_app_id") or "")


class Journal(Protocol):
    """Where a restore writes down what it is about to do and what became of it.

    Each method is durable when it returns. Recording the same outcome twice changes nothing.
    """

    def load_records(self) -> Mapping[str, StepRecord]:
        """Return what is known of every step that was ever intended or decided, by step id."""

    def record_intent(
        self, step_ids: Sequence[str], details: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Record that these steps are about to be written; ``details`` are by step id."""

    def record_outcomes(self, records: Sequence[StepRecord]) -> None:
        """Record how steps ended; ``detail`` is merged over what the intent said."""


class MemoryJournal:
    """A journal that lives as long as the process: for previews, rehearsals and tests."""

    def __init__(
        self, records: Iterable[StepRecord] = (), *, clock: clocks.Clock = clocks.SYSTEM
    ) -> None:
        self._records = {record.step_id: record for record in records}
        self._clock = clock
        self.intents: list[str] = []

    def load_records(self) -> dict[str, StepRecord]:
        return dict(self._records)

    def record_intent(
        self, step_ids: Sequence[str], details: Mapping[str, Mapping[str, Any]]
    ) -> None:
        now = self._clock.now()
        for step_id in step_ids:
            self.intents.append(step_id)
            self._records[step_id] = StepRecord(
                step_id, StepStatus.INTENDED, dict(details.get(step_id, {})), now
            )

    def record_outcomes(self, records: Sequence[StepRecord]) -> None:
        for record in records:
            known = self._records.get(record.step_id)
            self._records[record.step_id] = StepRecord(
                record.step_id,
                record.status,
                {**(known.detail if known else {}), **record.detail},
                known.intended_at if known else None,
            )
