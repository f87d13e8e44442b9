"""What a step's record says: found, made, or failed with Graph's own words and what to do. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reentra import errors
from reentra.directory.kinds import KINDS
from reentra.directory.objects import canonical_id
from reentra.restore.advice import advice_for
from reentra.restore.journal import StepRecord, StepStatus
from reentra.restore.look import Finding
from reentra.restore.steps import Action, Step


def found_record(step: Step, finding: Finding, reason: str) -> StepRecord:
    """Return the record of a step whose effect was found in the tenant."""
    detail: dict[str, Any] = {"reason": reason}
    if step.makes_object and finding.found_id:
        detail["new_id"] = finding.found_id
        if finding.found_app_id:
            detail["new_app_id"] = finding.found_app_id
    return StepRecord(step.id, StepStatus.DONE, detail)


def new_ids(step: Step, body: Mapping[str, Any]) -> dict[str, str]:
    """Return what Graph called an object that it made."""
    made = body.get("invitedUser") if step.action is Action.INVITE else body
    if not isinstance(made, Mapping):
        return {}
    row = KINDS[step.ref.kind]
    given = made.get("id") or made.get(row.id_property)
    if step.ref.kind == "unifiedRoleEligibilitySchedule":
        given = made.get("targetScheduleId")  # what was made was a request for it
    if row.is_upserted:
        given = step.ref.id  # the caller chose it, and Graph may answer nothing
    ids = {"new_id": canonical_id(str(given or ""))}
    if step.ref.kind == "application" and made.get("appId"):
        ids["new_app_id"] = canonical_id(str(made["appId"]))
    return ids


def failed_records(
    steps: Sequence[Step], error: errors.Error, dropped: Sequence[str] = ()
) -> list[StepRecord]:
    """Return the records of steps that Graph, or we, refused for good."""
    detail: dict[str, Any] = {"message": error.message, "hint": _what_to_do(steps, error)}
    if isinstance(error, errors.GraphError):
        detail.update(
            status=error.status,
            graph_code=error.graph_code,
            request_id=error.request_id,
        )
    if dropped:
        detail["dropped"] = list(dropped)
    return [StepRecord(step.id, StepStatus.FAILED, detail) for step in steps]


def partly_records(
    steps: Sequence[Step],
    error: errors.GraphError,
    refused: Sequence[str],
    dropped: Sequence[str] = (),
) -> list[StepRecord]:
    """Return the records of an update of which Graph refused some properties and took the rest."""
    records = []
    for record in failed_records(steps, error, dropped):
        detail = {**record.detail, **refused_detail(steps, error, refused)}
        records.append(StepRecord(record.step_id, record.status, detail))
    return records


def refused_detail(
    steps: Sequence[Step], error: errors.GraphError, refused: Sequence[str]
) -> dict[str, Any]:
    """Return what a record says of properties that Graph refused while it took the rest."""
    return {
        "refused": list(refused),
        "message": (
            f"{', '.join(refused)} could not be put back, the other properties were: "
            f"{error.message}"
        ),
        "hint": _what_to_do(steps, error),
        "graph_code": error.graph_code,
        "request_id": error.request_id,
    }


def _what_to_do(steps: Sequence[Step], error: errors.Error) -> str:
    """Return what a person can do about ``error``.

    A permission is not enough to change those who hold roles, or what they hold them through:
    learn.microsoft.com/graph/api/resources/users (who can perform sensitive actions).
    """
    is_licence = "licence" in error.hint
    if isinstance(error, errors.Forbidden) and not is_licence:
        kinds = {step.ref.kind for step in steps}
        if "user" in kinds and not any(step.relationship for step in steps):
            return (
                "If the user holds a role, permissions are not enough: give the application's "
                "service principal the role Privileged Authentication Administrator, and restore "
                "the user again. A check of the tenant tells whether a permission is missing."
            )
        if "group" in kinds:
            return (
                "A group that holds roles needs RoleManagement.ReadWrite.Directory as well, and "
                "what is in a restricted administrative unit a role for that unit. A check of the "
                "tenant tells whether a permission is missing."
            )
    return advice_for(error)
