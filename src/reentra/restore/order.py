"""Order: what comes before what, and what travels together. Pure.

Phases follow learn.microsoft.com's dependencies between resources: the recycle bin first, then
objects, then what refers to them, Conditional Access last. Inside a phase, steps wait for those
that they depend on; circles are broken by planning an object in two passes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reentra.directory.relationships import RELATIONSHIPS
from reentra.restore.steps import Action, Step

# Eight batches of twenty. At Graph's write quota that is eight seconds of work, so that an answer
# may take as long without the quota being left unused, and a restore that is stopped ends soon.
MAX_WAVE_REQUESTS = 160
MAX_BIND = 20  # links of one PATCH: learn.microsoft.com/graph/api/group-post-members
WRITES_PER_SECOND = 3000 / 150  # learn.microsoft.com/graph/throttling-limits, per app and tenant
CONDITIONAL_ACCESS_PER_SECOND = 1.0
CONDITIONAL_ACCESS_KINDS = frozenset(
    {"authenticationContextClassReference", "conditionalAccessPolicy", "namedLocation"}
)

UNDELETE_PHASES: Mapping[str, int] = {
    "user": 1,
    "group": 2,
    "application": 3,
    "servicePrincipal": 4,
    "administrativeUnit": 5,
}
SECOND_PASS_PHASE = 65  # of applications: their client ids are known by then


@dataclass(frozen=True, slots=True)
class Wave:
    """What is under way together: requests, each of one step or of links that bind in one write.

    It is one durable unit: all of it is intended before any of it is sent, and nothing of the next
    one is sent before all of it has an outcome.
    """

    index: int
    phase: int
    requests: tuple[tuple[str, ...], ...]

    @property
    def step_ids(self) -> tuple[str, ...]:
        return tuple(step_id for request in self.requests for step_id in request)


def ordered(steps: Sequence[Step]) -> list[Step]:
    """Return the steps in the order in which they are applied: phase, then dependency, then id.

    Raises: ``ValueError`` when steps depend on each other in a circle.
    """
    levels = _levels(steps)
    return sorted(steps, key=lambda step: (step.phase, levels[step.id], step.id))


def waves(steps: Sequence[Step]) -> tuple[Wave, ...]:
    """Return what is under way together. The same steps give the same waves, always.

    Steps of one wave never depend on each other. Conditional Access goes alone: it is limited to
    one request a second for the whole tenant.
    """
    levels = _levels(steps)
    groups: dict[tuple[int, int, bool], list[Step]] = {}
    for step in ordered(steps):
        is_slow = step.ref.kind in CONDITIONAL_ACCESS_KINDS
        groups.setdefault((step.phase, levels[step.id], is_slow), []).append(step)
    result: list[Wave] = []
    for (phase, _level, is_slow), members in sorted(groups.items(), key=lambda item: item[0]):
        requests = _requests(members)
        size = 1 if is_slow else MAX_WAVE_REQUESTS
        for start in range(0, len(requests), size):
            result.append(Wave(len(result), phase, tuple(requests[start : start + size])))
    return tuple(result)


def estimated_seconds(steps: Sequence[Step]) -> float:
    """Return how long Graph's write limits make the steps take, at the least."""
    slow = sum(1 for step in steps if step.ref.kind in CONDITIONAL_ACCESS_KINDS)
    quick = [step for step in steps if step.ref.kind not in CONDITIONAL_ACCESS_KINDS]
    requests = len(_requests(quick))
    return round(requests / WRITES_PER_SECOND + slow / CONDITIONAL_ACCESS_PER_SECOND, 1)


def circle_in(dependencies: Mapping[str, str]) -> list[str]:
    """Return one circle among ``dependencies`` (who waits for whom), or ``[]``."""
    done: set[str] = set()
    for start in sorted(dependencies):
        path: list[str] = []
        current: str | None = start
        while current is not None and current not in done:
            if current in path:
                return path[path.index(current) :]
            path.append(current)
            current = dependencies.get(current)
        done.update(path)
    return []


def _levels(steps: Sequence[Step]) -> dict[str, int]:
    """Return for each step how many others of its phase must go before it, in a row."""
    by_id = {step.id: step for step in steps}
    levels: dict[str, int] = {}
    for first in steps:
        stack = [(first.id, iter(first.depends_on))]
        open_ids = {first.id}
        if first.id in levels:
            continue
        while stack:
            step_id, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                stack.pop()
                open_ids.discard(step_id)
                step = by_id[step_id]
                levels[step_id] = max(
                    (
                        levels[other] + 1
                        for other in step.depends_on
                        if other in by_id and by_id[other].phase == step.phase
                    ),
                    default=0,
                )
            elif following in open_ids:
                raise ValueError(f"steps depend on each other in a circle: {following}")
            elif following in by_id and following not in levels:
                open_ids.add(following)
                stack.append((following, iter(by_id[following].depends_on)))
    return levels


def _requests(steps: Sequence[Step]) -> list[tuple[str, ...]]:
    """Return the steps as requests; links of one source that can be bound share one."""
    result: list[list[str]] = []
    open_binds: dict[tuple[str, str], int] = {}
    for step in steps:
        row = RELATIONSHIPS.get(step.relationship)
        if step.action is not Action.ADD_RELATIONSHIP or row is None or not row.can_bind_many:
            result.append([step.id])
            continue
        key = (step.relationship, step.ref.id)
        position = open_binds.get(key)
        if position is not None and len(result[position]) < MAX_BIND:
            result[position].append(step.id)
            continue
        open_binds[key] = len(result)
        result.append([step.id])
    return [tuple(request) for request in result]
