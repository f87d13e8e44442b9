"""The restore's own proof: read back what was written, and compare it with the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reentra import clock as clocks
from reentra import progress
from reentra.directory.kinds import KINDS
from reentra.directory.objects import DirectoryObject, ObjectRef
from reentra.directory.state import LiveState
from reentra.restore import bodies
from reentra.restore.existing import load_written
from reentra.restore.identity import IdentityMap
from reentra.restore.journal import StepRecord, StepStatus
from reentra.restore.look import Answer, Looker, update_finding
from reentra.restore.plan import RestorePlan
from reentra.restore.report import Difference, Verification
from reentra.restore.steps import Action, Password, Step

# Graph replicates within seconds to minutes (learn.microsoft.com/graph/best-practices-concept):
# what does not hold yet is read again after these waits, a bit more than a minute in all.
WAITS_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)


@dataclass(slots=True)
class _Expectation:
    """What one object must look like in the end."""

    ref: ObjectRef
    name: str
    live_id: str
    values: dict[str, Any] = field(default_factory=dict)
    is_absent: bool = False


def verify_restore(
    plan: RestorePlan,
    live: LiveState,
    records: Mapping[str, StepRecord],
    identity: IdentityMap,
    *,
    clock: clocks.Clock = clocks.SYSTEM,
    listener: progress.Listener = progress.ignore,
    waits_seconds: tuple[float, ...] = WAITS_SECONDS,
) -> Verification:
    """Read back every object and link that was written, until it holds or patience ends.

    What still differs was read at least twice with the same answer.
    """
    good = [
        step
        for step in plan.steps
        if step.id in records and records[step.id].status.is_good
    ]  # fmt: skip
    looker = Looker(live, lambda: identity)
    expectations = _expectations(good, records, identity)
    checks: list[Step] = [step for step in good if _is_checked(step, records[step.id])]
    total = len(expectations) + len(checks)
    listener(progress.Started("verify", total))
    open_objects = expectations
    open_checks = checks
    found: list[Difference] = []
    for wait_seconds in (0.0, *waits_seconds):
        if wait_seconds and (open_objects or open_checks):
            listener(progress.Waiting("replication, before reading back", wait_seconds))
            clock.sleep(wait_seconds)
        found, open_objects, open_checks = _round(looker, live, open_objects, open_checks)
        listener(progress.Advanced("verify", total - len(open_objects) - len(open_checks), total))
        if not found:
            break
    listener(progress.Finished("verify", total, f"{total - len(found)} of {total} hold"))
    return Verification(total, total - len(found), tuple(found))


def _is_checked(step: Step, record: StepRecord) -> bool:
    """Tell whether a step is proved by looking once more, and not by an object's properties."""
    if step.is_link or step.removes_link or step.action is Action.ASSIGN_LICENSES:
        return True
    # What joins others is found by what it joins where Graph did not say what it called it:
    # a request to PIM need not name the schedule that comes of it.
    # PIM also sets the start of an eligibility anew, so its schedule is no proof.
    is_new = step.action is Action.CREATE and KINDS[step.ref.kind].is_link
    return is_new and (not record.new_id or step.ref.kind == "unifiedRoleEligibilitySchedule")


def _round(
    looker: Looker, live: LiveState, expectations: list[_Expectation], checks: list[Step]
) -> tuple[list[Difference], list[_Expectation], list[Step]]:
    found: list[Difference] = []
    open_objects: list[_Expectation] = []
    by_kind: dict[str, list[_Expectation]] = {}
    for expectation in expectations:
        by_kind.setdefault(expectation.ref.kind, []).append(expectation)
    for kind, members in by_kind.items():
        objects = load_written(live, kind, {one.live_id: one.values for one in members})
        for expectation in members:
            what = _difference(expectation, objects.get(expectation.live_id))
            if what:
                open_objects.append(expectation)
                found.append(Difference(kind, expectation.live_id, expectation.name, what))
    open_checks: list[Step] = []
    findings = looker.findings(checks) if checks else {}
    for step in checks:
        if findings[step.id].answer is Answer.HOLDS:
            continue
        open_checks.append(step)
        what = step.relationship or "assignedLicenses"
        if step.target is not None:
            is_still_there = step.action is Action.REMOVE_RELATIONSHIP
            state = "still there" if is_still_there else "missing"
            what = f"{what}: {step.target.id} is {state}"
        elif step.removes_link:
            what = "it is still there"
        elif step.action is Action.CREATE:
            what = "it is not there"
        found.append(Difference(step.ref.kind, looker.live_id(step), step.name, what))
    return found, open_objects, open_checks


def _expectations(
    steps: list[Step], records: Mapping[str, StepRecord], identity: IdentityMap
) -> list[_Expectation]:
    result: dict[ObjectRef, _Expectation] = {}
    for step in steps:
        record = records[step.id]
        if _is_checked(step, record):
            continue
        live_id = identity.current(step.live_id or step.ref.id)
        if record.new_id:
            live_id = record.new_id
        expectation = result.setdefault(step.ref, _Expectation(step.ref, step.name, live_id))
        expectation.live_id = live_id
        expectation.is_absent = step.action is Action.DELETE
        if step.action is Action.DELETE:
            expectation.values.update(step.body)  # by which it is addressed
            continue
        if step.action is Action.INVITE:
            continue
        if step.action is Action.UNDELETE and not record.new_id:
            continue  # the check that follows it says what must hold
        if step.action is Action.CREATE and record.status is StepStatus.ALREADY:
            continue
        dropped = {*record.detail.get("dropped", ()), *record.detail.get("refused", ())}
        body = identity.rewritten(step.ref.kind, step.body)
        expectation.values.update(
            {
                name: value
                for name, value in body.items()
                if name not in dropped and name != "passwordProfile"
            }
        )
        for name in dropped:
            expectation.values.pop(name, None)
        if step.password is not Password.NOT_NEEDED:
            expectation.values.pop("passwordProfile", None)
    return list(result.values())


def _difference(expectation: _Expectation, live: DirectoryObject | None) -> str:
    if expectation.is_absent:
        return "" if live is None else "it is still there"
    if live is None:
        return "it is not there"
    finding = update_finding(expectation.ref.kind, expectation.values, live)
    names = finding.differing & _provable(expectation.ref.kind, expectation.values, live)
    return ", ".join(sorted(names))


def _provable(kind: str, values: Mapping[str, Any], live: DirectoryObject) -> frozenset[str]:
    """Return the properties of which reading back proves something.

    Values that Graph takes at creation and does not show again (invitations' and groups' creation
    options) are no difference when the live object does not have the property at all.
    """
    row = KINDS[kind]
    refused = bodies.refused_updates(kind, values, live.properties, frozenset(values))
    return frozenset(
        name
        for name in values
        if name not in refused or (name in row.create_only and name in live.properties)
    )
