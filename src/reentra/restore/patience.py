"""Patience: looking again while Graph replicates, for a bounded time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from reentra.restore.look import NAMED_KINDS, Answer, Finding, Looker
from reentra.restore.steps import Step

# How long a just-created object may be unknown to the rest of Graph. Minutes have been seen
# (learn.microsoft.com/graph/best-practices-concept): 1+2+4+8+16 and then every 30 s.
MAX_LAG_SECONDS = 240.0
MAX_WAIT_SECONDS = 30.0
# After a lost reply or a crash an effect is looked for so often before it counts as absent, since
# a filter may not show it at once. What has no unique name could be created twice, and is looked
# for as long as lists are known to lag.
_LOOK_WAITS_SECONDS = (1.0, 2.0, 4.0, 8.0)
_NAMED_LOOK_WAITS_SECONDS = (*_LOOK_WAITS_SECONDS, 15.0, 30.0, 60.0)


@dataclass(frozen=True, slots=True)
class Patience:
    """Looks through ``looker``, and waits between looks with ``wait(reason, seconds)``."""

    looker: Looker
    wait: Callable[[str, float], None]
    max_lag_seconds: float = MAX_LAG_SECONDS

    def look_until_there(self, steps: Sequence[Step]) -> dict[str, Finding]:
        """Look before a write; what came out of the recycle bin may take a while to show."""
        found = self.looker.findings(steps, is_fresh=False)
        wait_seconds, waited_seconds = 1.0, 0.0
        while waited_seconds < self.max_lag_seconds:
            gone = [
                step
                for step in steps
                if found[step.id].answer is Answer.GONE and not step.makes_object
            ]
            if not gone:
                break
            self.wait("an object restored a moment ago to show", wait_seconds)
            waited_seconds += wait_seconds
            wait_seconds = min(wait_seconds * 2, MAX_WAIT_SECONDS)
            found.update(self.looker.findings(gone))
        return found

    def look_for_lost(
        self,
        steps: Sequence[Step],
        existing: Mapping[str, Collection[str]],
        taken: Collection[str],
    ) -> dict[str, Finding]:
        """Look for effects that may have happened; an absent one is looked for several times."""
        found: dict[str, Finding] = {}
        rest = list(steps)
        used = set(taken)
        for number, wait_seconds in enumerate((*_NAMED_LOOK_WAITS_SECONDS, 0.0)):
            found.update(self.looker.findings(rest, existing=existing, taken=used))
            used.update(one.found_id for one in found.values() if one.found_id)
            rest = [step for step in rest if found[step.id].answer is not Answer.HOLDS]
            if number >= len(_LOOK_WAITS_SECONDS):
                rest = [s for s in rest if s.may_make_object and s.ref.kind in NAMED_KINDS]
            if not rest or not wait_seconds:
                break
            self.wait("a write whose reply was lost to show", wait_seconds)
        return found
