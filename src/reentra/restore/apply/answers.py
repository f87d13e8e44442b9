"""What Graph's answer to a write means for its steps: recorded, or sent again, and with what.

A refusal is final unless something is known that makes the next attempt another one: time for
replication, a property left out, a name made free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reentra import errors
from reentra.graph import odata
from reentra.graph.writer import OutcomeKind, WriteOutcome
from reentra.restore import blame, order, outcomes
from reentra.restore.apply.requests import Work, target_id
from reentra.restore.apply.standing import Standing
from reentra.restore.journal import StepRecord, StepStatus
from reentra.restore.look import Answer, Looker
from reentra.restore.patience import MAX_WAIT_SECONDS, Patience
from reentra.restore.steps import Action, Look, Step

# Conditional Access says of any policy that it does not like it, and only a number tells why.
_MAX_POLICY_LAG_SECONDS = 60.0
_REFUSED_STATUSES = frozenset({400, 403, 404, 405, 501})
MAX_SENDS = 4


@dataclass(frozen=True, slots=True)
class Judged:
    """The end of some steps, or what is to be sent again for them."""

    records: list[StepRecord]
    again: list[Work]


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges answers, with a look at the tenant where the answer alone does not tell."""

    standing: Standing
    looker: Looker
    patience: Patience
    max_lag_seconds: float

    def judged(self, work: Work, outcome: WriteOutcome) -> Judged:
        """Return what an answer means. Not for ``UNKNOWN``: that is looked at first."""
        return self._good(work, outcome) if outcome.is_good else self._bad(work, outcome)

    def _good(self, work: Work, outcome: WriteOutcome) -> Judged:
        is_done = outcome.kind is OutcomeKind.DONE
        if len(work.bodies) > 1 and is_done:
            work.bodies.pop(0)
            work.sends = 0
            return Judged([], [work])
        if work.refusal is not None and not work.step.makes_object:
            return _ended(
                outcomes.partly_records(work.steps, work.refusal, work.refused, work.dropped)
            )
        detail: dict[str, Any] = {} if is_done else {"reason": outcome.reason}
        if work.dropped:
            detail["dropped"] = list(work.dropped)
            detail["message"] = (
                f"Graph calls {', '.join(work.dropped)} read-only; the rest was written."
            )
        if work.is_reconciling_proxies:
            detail["message"] = "Mail addresses that others have taken since were left out."
        if work.new_principal_name:
            detail["message"] = (
                f"Its userPrincipalName is taken: it came back as {work.new_principal_name}."
            )
        if work.step.makes_object and is_done:
            detail.update(outcomes.new_ids(work.step, outcome.body or {}))
        if work.refusal is not None:
            detail.update(outcomes.refused_detail(work.steps, work.refusal, work.refused))
        status = StepStatus.DONE if is_done else StepStatus.ALREADY
        return _ended([StepRecord(step.id, status, detail) for step in work.steps])

    def _bad(self, work: Work, outcome: WriteOutcome) -> Judged:
        error = outcome.error or errors.GraphError("Graph refused without saying why.")
        step = work.step
        may_be_lag = self._may_be_lag(work, error)
        if len(work.steps) > 1:
            is_passing = error.is_retryable and work.sends < MAX_SENDS
            if (may_be_lag or is_passing) and work.lag_seconds < MAX_WAIT_SECONDS:
                return _later(work)
            if isinstance(error, errors.Forbidden):  # the source is to blame, or the application
                return _ended(outcomes.failed_records(work.steps, error))
            return Judged([], self._parts(work, error))
        found = self._found_after_all(work, error)
        if found is not None:
            return _ended([found])
        if _is_kept_in_bin(step, error):
            return Judged([], [self._creation_instead(step, error)])
        named = odata.read_only_property(error) or odata.unknown_property(error)
        if not blame.may_be_dropped(step.ref.kind, named, is_new=step.makes_object):
            named = ""
        if named and work.bodies and named in work.bodies[0] and step.action is not Action.INVITE:
            del work.bodies[0][named]
            work.dropped.append(named)
            if work.bodies[0]:
                return Judged([], [work])
            return _ended(outcomes.failed_records(work.steps, error, work.dropped))
        if step.action is Action.UNDELETE and self._makes_way(work, error):
            return Judged([], [work])
        is_contended = isinstance(error, errors.Conflict) and "concurren" in (
            f"{error.graph_code} {error.message}".lower()
        )
        is_passing = error.is_retryable and work.sends < MAX_SENDS
        if work.bodies and not (may_be_lag or is_contended) and _leaves_out(work, error):
            return Judged([], [work])
        if (may_be_lag or is_contended or is_passing) and work.lag_seconds < self.max_lag_seconds:
            return _later(work)
        return _ended(outcomes.failed_records(work.steps, work.refusal or error, work.dropped))

    def _parts(self, work: Work, error: errors.GraphError) -> list[Work]:
        """Return a refused write of many links as smaller ones, until what is to blame is alone.

        Graph takes all of them or none. The one that it names is set apart; else halves are tried,
        which for one bad link among twenty takes at most eleven writes. Each
        split is final, so that twenty links never take more than 39.
        """
        named = {one.lower() for one in blame.GUID.findall(error.message)}
        identity = self.standing.identity
        bad = [one for one in work.steps if target_id(one, identity).lower() in named]
        if bad and len(bad) < len(work.steps):
            rest = tuple(one for one in work.steps if one not in bad)
            return [Work(rest), *(Work((one,)) for one in bad)]
        middle = len(work.steps) // 2
        return [Work(work.steps[:middle]), Work(work.steps[middle:])]

    def _may_be_lag(self, work: Work, error: errors.GraphError) -> bool:
        """Tell whether Graph may only not know yet what this restore brought into being."""
        step = work.step
        return _is_on_new_ground(step) and (
            odata.is_replication_lag(error)
            or blame.names_one_of(error, self.standing.new_ids)
            or (
                step.ref.kind in order.CONDITIONAL_ACCESS_KINDS
                and blame.is_policy_reference(error)
                and work.lag_seconds < _MAX_POLICY_LAG_SECONDS
            )
        )

    def _found_after_all(self, work: Work, error: errors.GraphError) -> StepRecord | None:
        """Return the record of a step whose effect is there although this write was refused."""
        step = work.step
        if step.action is Action.UNDELETE and (
            isinstance(error, errors.GraphNotFound) or _is_kept_in_bin(step, error)
        ):
            if work.is_doubtful and step.may_make_object:  # or it would be there twice
                finding = self.patience.look_for_lost([step], {}, ())[step.id]
            else:
                finding = self.looker.findings([step])[step.id]
            if finding.answer is Answer.HOLDS:
                reason = "it had left the recycle bin before"
                return StepRecord(step.id, StepStatus.ALREADY, {"reason": reason})
            return None
        if not odata.is_already_exists(error):
            return None
        if step.action is Action.CREATE and step.ref.kind == "servicePrincipal":
            # Creating an application may have brought its principal along.
            finding = self.looker.findings([step])[step.id]
            if finding.answer is Answer.HOLDS:
                return outcomes.found_record(step, finding, "it came with its application")
        if work.is_doubtful and step.makes_object:
            finding = self.patience.look_for_lost(
                [step],
                {step.id: self.standing.existing_before(step.id)},
                self.standing.new_ids,
            )[step.id]
            if finding.answer is Answer.HOLDS:
                return outcomes.found_record(step, finding, "its reply was lost")
        return None

    def _creation_instead(self, step: Step, error: errors.GraphError) -> Work:
        """Return the creation of what the tenant does not let leave its bin; durably intended."""
        creation = step.as_creation()
        detail = {
            "kept_in_bin": error.message or error.graph_code or f"status {error.status}",
            "existing": self.looker.same_named([creation]).get(step.id, []),
        }
        self.standing.intend([step.id], {step.id: detail})
        return Work((creation,), [self.standing.identity.rewritten(step.ref.kind, step.body)])

    def _makes_way(self, work: Work, error: errors.GraphError) -> bool:
        """Choose what Graph offers when names of a deleted user are taken; tell if there is more.

        The user leaves the recycle bin under a name of its own; the update that follows tries
        to give the old one back.
        """
        text = f"{error.target} {error.message}".lower()
        if "proxyaddress" in text and not work.is_reconciling_proxies:
            work.is_reconciling_proxies = True
            return True
        step = work.step
        if "userprincipalname" in text and step.ref.kind == "user" and not work.new_principal_name:
            after = self.standing.steps.get(f"update/{step.ref}")
            name = str(after.body.get("userPrincipalName") or "") if after else ""
            alias, at, domain = name.partition("@")
            if at and "#EXT#" not in alias:
                work.new_principal_name = f"{alias}-{step.ref.id[:8]}@{domain}"
                return True
        return False


def _ended(records: list[StepRecord]) -> Judged:
    return Judged(records, [])


def _later(work: Work) -> Judged:
    work.wait_longer()
    return Judged([], [work])


def _leaves_out(work: Work, error: errors.GraphError) -> bool:
    """Leave out the properties that are to blame; tell whether there were any."""
    step = work.step
    blamed: frozenset[str] = frozenset()
    if step.action is Action.UPDATE:
        blamed = blame.blamed_properties(step.ref.kind, work.bodies[0], error)
    elif step.action is Action.CREATE:
        blamed = blame.dispensable_properties(step.ref.kind, work.bodies[0], error)
    if not blamed:
        return False
    left = [
        {name: value for name, value in body.items() if name not in blamed}
        for body in work.bodies
    ]  # fmt: skip
    work.bodies = [body for body in left if body]
    work.refused += sorted(blamed)
    work.refusal = work.refusal or error
    return True


def _is_kept_in_bin(step: Step, error: errors.GraphError) -> bool:
    """Tell whether an undelete is refused for good, and there is another way.

    To applications the bin of Conditional Access is documented as closed, and some clouds have
    none: learn.microsoft.com/graph/api/conditionalaccesspolicy-restore.
    """
    is_undelete = step.action is Action.UNDELETE and step.may_make_object
    return is_undelete and error.status in _REFUSED_STATUSES and not error.is_retryable


def _is_on_new_ground(step: Step) -> bool:
    """Tell whether the step builds on something that this restore brought into being."""
    return bool(step.depends_on) or step.look is not Look.NOT_NEEDED
