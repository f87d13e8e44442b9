"""The report of a restore: what became of every step, and what holds in the end."""

from __future__ import annotations

import csv
import enum
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reentra.restore.creations import REPORT_ONLY
from reentra.restore.followups import FollowUp
from reentra.restore.identity import IdentityMap
from reentra.restore.journal import StepRecord, StepStatus
from reentra.restore.plan import RestorePlan
from reentra.restore.steps import LEFT_OUT, Action, Step, Unrestorable

_COUNTED = (StepStatus.DONE, StepStatus.ALREADY, StepStatus.SKIPPED, StepStatus.FAILED)
_COLUMNS = (
    "step", "action", "kind", "id", "new_id", "name", "relationship", "target", "status",
    "graph_code", "message", "request_id", "what_to_do",
)  # fmt: skip


class RestoreStatus(enum.StrEnum):
    """How a restore ended."""

    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that the proof did not find as it should be."""

    kind: str
    id: str
    name: str
    what: str

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "id": self.id, "name": self.name, "what": self.what}


@dataclass(frozen=True, slots=True)
class Verification:
    """What reading back found: how many objects and links hold, and which do not."""

    checked: int = 0
    holding: int = 0
    differences: tuple[Difference, ...] = ()
    is_done: bool = True

    def to_json(self) -> dict[str, Any]:
        return {
            "checked": self.checked,
            "holding": self.holding,
            "done": self.is_done,
            "differences": [item.to_json() for item in self.differences],
        }


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step and what became of it; ``status`` is ``None`` when it was never reached."""

    step: Step
    status: StepStatus | None
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_created_instead(self) -> bool:
        """Tell whether the object did not leave its bin and was created anew."""
        return bool(self.detail.get("kept_in_bin") and self.detail.get("new_id"))

    @property
    def message(self) -> str:
        if self.is_created_instead and not self.detail.get("message"):
            return (
                "The tenant did not let it leave the recycle bin, so it was created anew: "
                f"{self.detail['kept_in_bin']}"
            )
        return str(self.detail.get("message") or self.detail.get("reason") or self.note)

    @property
    def is_report_only(self) -> bool:
        """Tell whether the step made a Conditional Access policy that is not enforced yet."""
        return (
            (self.step.action is Action.CREATE or self.is_created_instead)
            and self.step.ref.kind == "conditionalAccessPolicy"
            and self.step.body.get("state") == REPORT_ONLY
            and self.status is not None
            and self.status.is_good
        )

    @property
    def note(self) -> str:
        """What a person must know of a step that went well."""
        if self.is_report_only:
            return "Created in report-only state: it keeps nobody out until a person enables it."
        return ""

    def to_json(self) -> dict[str, Any]:
        """Return the line of ``failures``: what failed or was skipped, why, and what to do."""
        return {
            "step": self.step.id,
            "action": self.step.action.value,
            "kind": self.step.ref.kind,
            "id": self.step.ref.id,
            "display_name": self.step.name,
            "relationship": self.step.relationship,
            "target": self.step.target.id if self.step.target else "",
            "status": self.status.value if self.status else "not_reached",
            "code": str(self.detail.get("graph_code") or ""),
            "message": self.message,
            "request_id": str(self.detail.get("request_id") or ""),
            "hint": str(self.detail.get("hint") or ""),
        }


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """The end of a restore."""

    plan: RestorePlan
    entries: tuple[StepReport, ...]
    id_map: Mapping[str, str]
    verification: Verification
    is_cancelled: bool = False
    job: str = ""

    @property
    def counts(self) -> dict[str, int]:
        counted = Counter(entry.status for entry in self.entries)
        return {status.value: counted.get(status, 0) for status in _COUNTED}

    @property
    def status(self) -> RestoreStatus:
        """Succeeded when every step is done or was so already, and the proof holds.

        Steps that were left out for want of a permission, or of an object that was not selected,
        make it partial.
        """
        if self.is_cancelled:
            return RestoreStatus.CANCELLED
        counts = self.counts
        bad = counts["failed"] + counts["skipped"]
        good = counts["done"] + counts["already"]
        if bad and not good:
            return RestoreStatus.FAILED
        if any(entry.detail.get("refused") for entry in self.entries):
            return RestoreStatus.PARTIAL
        if any(one.code in LEFT_OUT for one in self.plan.unrestorable):
            return RestoreStatus.PARTIAL
        if bad or self.verification.differences or bad + good < len(self.entries):
            return RestoreStatus.PARTIAL
        return RestoreStatus.SUCCEEDED

    @property
    def failures(self) -> list[StepReport]:
        """The steps that were not done, or not wholly: failed, skipped, and done but for a part."""
        return [
            entry
            for entry in self.entries
            if entry.status in (StepStatus.FAILED, StepStatus.SKIPPED)
            or entry.detail.get("refused")
        ]

    @property
    def unrestorable(self) -> list[Unrestorable]:
        """What the plan said, and what Graph called read-only when it was written."""
        return [
            *self.plan.unrestorable,
            *(
                Unrestorable(
                    entry.step.ref,
                    entry.step.name,
                    ", ".join(entry.detail["dropped"]),
                    "Graph calls it read-only here; the rest was written.",
                    code="read_only",
                )
                for entry in self.entries
                if entry.detail.get("dropped") and entry.status is StepStatus.DONE
            ),
        ]

    @property
    def open_follow_ups(self) -> list[FollowUp]:
        """What still names ids that are gone, and was not asked for."""
        return [one for one in self.plan.follow_ups if not one.is_chosen]

    @property
    def report_only(self) -> list[StepReport]:
        """The Conditional Access policies that were made and are not enforced yet."""
        return [entry for entry in self.entries if entry.is_report_only]

    @property
    def own_bins(self) -> list[StepReport]:
        """What was to leave a bin that is not the directory's, and did, or was created anew."""
        return [
            entry
            for entry in self.entries
            if entry.step.action is Action.UNDELETE
            and entry.step.may_make_object
            and entry.status is not None
            and entry.status.is_good
        ]

    def to_json(self) -> dict[str, Any]:
        return {
            "job": self.job,
            "status": self.status.value,
            "steps": self.counts,
            "id_map": dict(self.id_map),
            "failures": [entry.to_json() for entry in self.failures],
            "verification": self.verification.to_json(),
            "unrestorable": [item.to_json() for item in self.unrestorable],
            "warnings": list(self.plan.warnings),
            "report_only": [entry.step.name for entry in self.report_only],
            "created_instead": [
                {
                    "kind": entry.step.ref.kind,
                    "id": entry.step.ref.id,
                    "name": entry.step.name,
                    "reason": str(entry.detail["kept_in_bin"]),
                }
                for entry in self.own_bins
                if entry.is_created_instead
            ],
            "follow_ups": [one.to_json() for one in self.open_follow_ups],
        }

    def to_text(self) -> str:
        """Return the report for a person."""
        counts = self.counts
        undoes = self.plan.undoes
        what = f"Undo of restore {undoes}" if undoes else f"Restore from {self.plan.snapshot}"
        lines = [
            f"{what}: {self.status.value}",
            (
                f"  {counts['done']} done, {counts['already']} already so, "
                f"{counts['skipped']} skipped, {counts['failed']} failed"
            ),
        ]
        unreached = sum(1 for entry in self.entries if entry.status is None)
        if unreached:
            lines.append(f"  {unreached} not reached: nothing was written for them")
        proof = self.verification
        if proof.checked:
            lines.append(f"  {proof.holding} of {proof.checked} read back and found as planned")
        lines += [
            f"  differs: {item.kind} {item.name} ({item.id}): {item.what}"
            for item in proof.differences
        ]
        lines += [
            f"  not restored: {item.ref} {item.name}: {item.what}: {item.reason}"
            for item in self.unrestorable[len(self.plan.unrestorable) :]
        ]
        for old, new in sorted(self.id_map.items()):
            lines.append(f"  new id: {old} is {new} now")
        for entry in self.own_bins:
            how = entry.message if entry.is_created_instead else "It left the recycle bin."
            lines.append(f"  {entry.step.name} [{entry.step.ref}]: {how}")
        for one in self.open_follow_ups:
            lines.append(
                f"  still names an old id: {one.id} {one.name}: {', '.join(one.properties)} "
                "(restore again with this follow-up)"
            )
        lines += [
            f"  report-only: {entry.step.name} [{entry.step.ref}]: {entry.note}"
            for entry in self.report_only
        ]
        lines += [f"  note: {warning}" for warning in self.plan.warnings]
        for entry in self.failures:
            lines.append(
                f"  {entry.status}: {entry.step.summary} [{entry.step.ref}]: {entry.message}"
            )
            if entry.detail.get("request_id"):
                lines.append(f"    request id {entry.detail['request_id']}")
            if entry.detail.get("hint"):
                lines.append(f"    {entry.detail['hint']}")
        return "\n".join(lines) + "\n"

    def to_csv(self) -> str:
        """Return one line for each step."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for entry in self.entries:
            line = entry.to_json()
            writer.writerow(
                _safe_cell(value)
                for value in (
                    line["step"],
                    line["action"],
                    line["kind"],
                    line["id"],
                    str(entry.detail.get("new_id") or ""),
                    line["display_name"],
                    line["relationship"],
                    line["target"],
                    line["status"],
                    line["code"],
                    line["message"],
                    line["request_id"],
                    line["hint"],
                )
            )
        return buffer.getvalue()


def _safe_cell(value: str) -> str:
    """Return the cell so that no spreadsheet takes a directory's text for a formula."""
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def report_of(
    plan: RestorePlan,
    records: Mapping[str, StepRecord],
    identity: IdentityMap,
    *,
    verification: Verification | None = None,
    is_cancelled: bool = False,
    job: str = "",
) -> RestoreReport:
    """Return the report of a plan from its journal's records."""
    entries = []
    for step in plan.steps:
        record = records.get(step.id)
        entries.append(
            StepReport(
                step,
                record.status if record and record.status.is_final else None,
                record.detail if record else {},
            )
        )
    return RestoreReport(
        plan,
        tuple(entries),
        dict(_new_ids(plan, records, identity)),
        verification or Verification(is_done=False),
        is_cancelled,
        job,
    )


def _new_ids(
    plan: RestorePlan, records: Mapping[str, StepRecord], identity: IdentityMap
) -> Iterable[tuple[str, str]]:
    """Yield the objects of this plan that go by another id now: created anew, or recognised."""
    for step in plan.steps:
        record = records.get(step.id)
        is_made = step.makes_object or (record is not None and record.kept_in_bin)
        if is_made and identity.current(step.ref.id) != step.ref.id:
            yield step.ref.id, identity.current(step.ref.id)
    for old in plan.matched.objects:
        if identity.current(old) != old:
            yield old, identity.current(old)
