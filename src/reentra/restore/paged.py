"""A stored plan as it is shown: what it says of itself, and its steps in compressed pieces.

A plan may have a hundred thousand steps, and a page shows fifty of them. Whoever applies a plan
reads it whole.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import msgspec

from reentra.restore.identity import NO_IDENTITY
from reentra.restore.observed import Reads
from reentra.restore.plan import RestorePlan
from reentra.restore.steps import Step

STEPS_A_PIECE = 500
_ID_BYTES = 120  # an id of a step, with the place that refers to it
# What a plan says of itself that follows from its steps.
_COUNTED = frozenset({
    "counts", "deletions", "deletions_to_confirm", "deleted_kinds", "removals",
    "checked_after_undelete", "needs_default_password",
})  # fmt: skip
_LARGE = frozenset({"reads", "matched"})  # what only who applies the plan needs
_AS_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_AS_LIST = msgspec.json.Decoder(list[msgspec.Raw])


class _Named(msgspec.Struct):
    id: str


@dataclass(frozen=True, slots=True)
class PagedPlan:
    """A plan to look at. ``head`` is what ``RestorePlan.head`` returns of it.

    ``plan`` lacks its steps and what it read; ``digest`` is that by which people approve it.
    """

    plan: RestorePlan
    head: Mapping[str, Any]
    digest: str
    step_ids: tuple[str, ...]
    pieces: tuple[bytes, ...]

    @property
    def size_bytes(self) -> int:
        """About what it takes in memory."""
        return sum(map(len, self.pieces)) + _ID_BYTES * len(self.step_ids)

    def steps_at(self, places: Sequence[int]) -> list[Step]:
        """Return the steps at these places of the plan, which are in order."""
        found = []
        for number, wanted in groupby(places, key=lambda place: place // STEPS_A_PIECE):
            piece = _AS_LIST.decode(zlib.decompress(self.pieces[number]))
            texts = [piece[place % STEPS_A_PIECE] for place in wanted]
            found += [Step.from_json(msgspec.json.decode(text)) for text in texts]
        return found


def paged(text: bytes) -> PagedPlan:
    """Read a plan from its canonical JSON; its steps are never all parsed at once.

    Raises: ``errors.UsageError`` when it is none, or one of a newer version.
    """
    parts = _AS_OBJECT.decode(text)
    steps = _AS_LIST.decode(parts.pop("steps", b"[]"))
    named = ((name, part) for name, part in parts.items() if name not in _LARGE)
    own = {name: msgspec.json.decode(part) for name, part in named}
    emptied = {"reads": Reads().to_json(), "matched": NO_IDENTITY.to_json()}
    plan = RestorePlan.from_json({**own, **emptied, "steps": []})
    if own.keys() >= _COUNTED:
        head = {**plan.head(), **{name: own[name] for name in _COUNTED}}
    else:  # an old one, which is counted anew
        head = RestorePlan.from_json(msgspec.json.decode(text)).head()
    return PagedPlan(
        plan,
        head,
        hashlib.sha256(text).hexdigest(),
        tuple(msgspec.json.decode(step, type=_Named).id for step in steps),
        tuple(
            zlib.compress(b"[" + b",".join(steps[first : first + STEPS_A_PIECE]) + b"]", 1)
            for first in range(0, len(steps), STEPS_A_PIECE)
        ),
    )
