"""Applying a plan: precondition, intent, write, wait for consistency, record.

The only module of the product that imports ``graph.writer``. One batch is one durable unit: a job
applies them one after the other, and a batch that was begun before a crash is looked at before it
is written again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reentra import clock as clocks
from reentra import errors, progress
from reentra.directory.kinds import KINDS
from reentra.directory.state import LiveState
from reentra.graph import odata, writer
from reentra.graph.writer import OutcomeKind, WriteOutcome, WriteRequest

# Whoever applies a plan gets the writer from here: this module is the one door to the tenant.
from reentra.graph.writer import TenantWriter as TenantWriter
from reentra.restore import blame, order, outcomes
from reentra.restore.identity import NO_IDENTITY, IdentityMap
from reentra.restore.journal import Journal, StepRecord, StepStatus
from reentra.restore.look import Answer, Finding, Looker
from reentra.restore.order import Batch
from reentra.restore.passwords import NO_SECRETS as NO_SECRETS
from reentra.restore.passwords import RestoreSecrets as RestoreSecrets
from reentra.restore.passwords import with_password
from reentra.restore.patience import MAX_LAG_SECONDS, MAX_WAIT_SECONDS, Patience
from reentra.restore.plan import RestorePlan, ensure_not_refused
from reentra.restore.report import RestoreReport, Verification, report_of
from reentra.restore.steps import Action, Look, Step
from reentra.restore.verify import verify_restore

# Conditional Access says of any policy that it does not like it, and only a number tells why.
_MAX_POLICY_LAG_SECONDS = 60.0
_MAX_SENDS = 4


@dataclass(slots=True)
class _Work:
    """One request under way: its steps (several when links are bound), and bodies still to send."""

    steps: tuple[Step, ...]
    bodies: list[dict[str, Any]] = field(default_factory=list, repr=False)
    dropped: list[str] = field(default_factory=list)
    is_reconciling_proxies: bool = False
    new_principal_name: str = ""  # under which a user leaves the recycle bin
    refused: list[str] = field(default_factory=list)  # left out, so that the rest is written
    refusal: errors.GraphError | None = None  # why
    is_doubtful: bool = False  # an earlier send may have had its effect
    sends: int = 0
    lag_seconds: float = 0.0
    next_wait_seconds: float = 1.0

    @property
    def step(self) -> Step:
        return self.steps[0]


class Applier:
    """Carries one plan out, batch by batch, and can go on where another process stopped.

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
        self.batches = order.batches(plan.steps)
        self._live = live
        self._writer = tenant_writer
        self._journal = journal
        self._secrets = secrets
        self._clock = clock
        self._listener = listener
        self._should_stop = should_stop
        self._on_identity = on_identity
        self._max_lag_seconds = max_lag_seconds
        self._steps = {step.id: step for step in plan.steps}
        self._records = dict(journal.load_records())
        self._identity = identity.merged(plan.matched)
        for step in plan.steps:
            record = self._records.get(step.id)
            if record is not None and record.status.is_good:
                self._learn(step, record)
        self._saved_identity = identity
        self._looker = Looker(live, lambda: self._identity)
        self._patience = Patience(self._looker, self._wait, max_lag_seconds)
        self._done = sum(1 for r in self._records.values() if r.status.is_final)

    @property
    def identity(self) -> IdentityMap:
        """The identity map as it is now, with what this restore created."""
        return self._identity

    @property
    def records(self) -> Mapping[str, StepRecord]:
        return self._records

    def next_batch(self) -> Batch | None:
        """Return the first batch that has a step without an outcome, or ``None``."""
        for batch in self.batches:
            if any(not self._is_final(step_id) for step_id in batch.step_ids):
                return batch
        return None

    def apply_batch(self, batch: Batch) -> list[StepRecord]:
        """Apply what of the batch has no outcome yet, and record it.

        Raises: ``errors.Unauthenticated`` when Graph no longer takes the credential; what was
        under way stays intended, and is looked at when the restore goes on.
        """
        self._save_identity()
        waiting = [self._steps[i] for i in batch.step_ids if not self._is_final(i)]
        records: list[StepRecord] = []
        ready: list[Step] = []
        for step in waiting:
            skipped = self._skip_reason(step)
            if skipped:
                records.append(StepRecord(step.id, StepStatus.SKIPPED, {"reason": skipped}))
            else:
                ready.append(step)
        self._record(records)
        interrupted = [step for step in ready if step.id in self._records]
        findings = self._look_patiently(interrupted) if interrupted else {}
        found = [step for step in interrupted if findings[step.id].answer is Answer.HOLDS]
        self._record(
            [
                outcomes.found_record(step, findings[step.id], "it had been written before")
                for step in found
            ]
        )
        ready = [step for step in ready if not self._is_final(step.id)]
        works = self._prepared(ready, batch, findings)
        if works:
            self._intend(works)
            self._send_all(works)
        self._done += len(waiting)
        self._listener(progress.Advanced("restore", self._done, len(self.plan.steps)))
        return [self._records[step.id] for step in waiting if step.id in self._records]

    def run(self, *, job: str = "", is_verifying: bool = True) -> RestoreReport:
        """Apply every batch, then read back what was written.

        Stops at a batch's border when ``should_stop`` says so. An applied plan applied again
        writes nothing.
        """
        self._listener(progress.Started("restore", len(self.plan.steps)))
        is_cancelled = False
        while (batch := self.next_batch()) is not None:
            if self._should_stop():
                is_cancelled = True
                break
            self.apply_batch(batch)
        self._save_identity()
        self._listener(progress.Finished("restore", self._done))
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
                self._records,
                self._identity,
                clock=self._clock,
                listener=self._listener,
            )
        return report_of(
            self.plan,
            self._records,
            self._identity,
            verification=verification,
            is_cancelled=is_cancelled,
            job=job,
        )

    # --- before the write ---------------------------------------------------------------------

    def _is_final(self, step_id: str) -> bool:
        record = self._records.get(step_id)
        return record is not None and record.status.is_final

    def _skip_reason(self, step: Step) -> str:
        for other_id in step.depends_on:
            other = self._records.get(other_id)
            if other is not None and other.status.is_final and not other.status.is_good:
                before = self._steps.get(other_id)
                name = before.summary if before else other_id
                return f"It depends on a step that did not succeed: {name}."
        return ""

    def _prepared(
        self, steps: Sequence[Step], batch: Batch, findings: Mapping[str, Finding]
    ) -> list[_Work]:
        """Return the requests that are left; steps that hold already are recorded as such."""
        looking = [step for step in steps if step.look is not Look.NOT_NEEDED]
        looked = dict(findings)
        if looking:
            looked.update(self._patience.look_until_there(looking))
        already = [
            step
            for step in looking
            if looked[step.id].answer is Answer.HOLDS
        ]  # fmt: skip
        self._record(
            [
                dataclasses.replace(
                    outcomes.found_record(step, looked[step.id], "it is so already"),
                    status=StepStatus.ALREADY,
                )
                for step in already
            ]
        )
        left = {step.id: step for step in steps if not self._is_final(step.id)}
        works = []
        for request in batch.requests:
            members = tuple(left[step_id] for step_id in request if step_id in left)
            if not members:
                continue
            work = _Work(members, is_doubtful=any(step.id in findings for step in members))
            finding = looked.get(members[0].id)
            if not members[0].is_link:
                sent = finding.left if finding is not None and finding.left else None
                work.bodies = [dict(body) for body in sent] if sent else [self._body(members[0])]
            works.append(work)
        return works

    def _look_patiently(self, steps: Sequence[Step]) -> dict[str, Finding]:
        existing = {
            step.id: self._records[step.id].detail.get("existing", ())
            for step in steps
            if step.id in self._records
        }
        return self._patience.look_for_lost(steps, existing, self._ids_in_use())

    def _ids_in_use(self) -> frozenset[str]:
        return frozenset(record.new_id for record in self._records.values() if record.new_id)

    def _intend(self, works: Sequence[_Work]) -> None:
        details: dict[str, dict[str, Any]] = {}
        creations: list[Step] = []
        for work in works:
            for step in work.steps:
                known = self._records.get(step.id)
                if known is not None:
                    details[step.id] = dict(known.detail)
                elif step.action is Action.CREATE:
                    creations.append(step)
        for step_id, same in self._looker.same_named(creations).items():
            details[step_id] = {"existing": same}
        step_ids = [step.id for work in works for step in work.steps]
        self._journal.record_intent(step_ids, details)
        for step_id in step_ids:
            self._records[step_id] = StepRecord(
                step_id, StepStatus.INTENDED, details.get(step_id, {})
            )

    # --- the write ----------------------------------------------------------------------------

    def _send_all(self, works: list[_Work]) -> None:
        """Send until every request has an outcome. Outcomes are recorded round by round."""
        while works:
            refused: list[StepRecord] = []
            sendable: list[tuple[_Work, WriteRequest]] = []
            for work in works:
                try:
                    sendable.append((work, self._request(work)))
                except errors.Error as error:
                    refused += outcomes.failed_records(work.steps, error, work.dropped)
            self._record(refused)
            answers = self._writer.send_batch([request for _work, request in sendable])
            again: list[_Work] = []
            records: list[StepRecord] = []
            fatal: errors.Error | None = None
            unknown: list[_Work] = []
            for (work, _request), outcome in zip(sendable, answers, strict=True):
                work.sends += 1
                if isinstance(outcome.error, errors.Unauthenticated):
                    fatal = outcome.error
                elif outcome.kind is OutcomeKind.UNKNOWN:
                    unknown.append(work)
                elif outcome.is_good:
                    records += self._good(work, outcome, again)
                else:
                    records += self._bad(work, outcome, again)
            self._record(records)
            if unknown:
                self._resolve(unknown, again)
            if fatal is not None:
                raise fatal
            waits = [work.next_wait_seconds for work in again if work.lag_seconds > 0]
            if waits and len(waits) == len(again):
                self._wait("objects created a moment ago to replicate", max(waits))
            works = again

    def _good(self, work: _Work, outcome: WriteOutcome, again: list[_Work]) -> list[StepRecord]:
        if len(work.bodies) > 1 and outcome.kind is OutcomeKind.DONE:
            work.bodies.pop(0)
            work.sends = 0
            again.append(work)
            return []
        if work.refusal is not None and not work.step.makes_object:
            return outcomes.partly_records(work.steps, work.refusal, work.refused, work.dropped)
        is_done = outcome.kind is OutcomeKind.DONE
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
            detail.update(outcomes.refused_detail(work.refusal, work.refused))
        status = StepStatus.DONE if is_done else StepStatus.ALREADY
        return [StepRecord(step.id, status, detail) for step in work.steps]

    def _bad(self, work: _Work, outcome: WriteOutcome, again: list[_Work]) -> list[StepRecord]:
        error = outcome.error or errors.GraphError("Graph refused without saying why.")
        step = work.step
        may_be_lag = self._is_on_new_ground(step) and (
            odata.is_replication_lag(error)
            or blame.names_one_of(error, self._new_ids())
            or (
                step.ref.kind in order.CONDITIONAL_ACCESS_KINDS
                and blame.is_policy_reference(error)
                and work.lag_seconds < _MAX_POLICY_LAG_SECONDS
            )
        )
        if len(work.steps) > 1:
            if may_be_lag and work.lag_seconds < MAX_WAIT_SECONDS:
                return self._later(work, again)
            again += [_Work((one,)) for one in work.steps]  # each gets an outcome of its own
            return []
        if (
            step.action is Action.UNDELETE
            and isinstance(error, errors.GraphNotFound)
            and self._looker.findings([step])[step.id].answer is Answer.HOLDS
        ):
            reason = "it had left the recycle bin before"
            return [StepRecord(step.id, StepStatus.ALREADY, {"reason": reason})]
        is_taken = step.action is Action.CREATE and odata.is_already_exists(error)
        if is_taken and step.ref.kind == "servicePrincipal":
            # Creating an application may have brought its principal along.
            finding = self._looker.findings([step])[step.id]
            if finding.answer is Answer.HOLDS:
                return [outcomes.found_record(step, finding, "it came with its application")]
        if work.is_doubtful and step.makes_object and odata.is_already_exists(error):
            finding = self._look_patiently([step])[step.id]
            if finding.answer is Answer.HOLDS:
                return [outcomes.found_record(step, finding, "its reply was lost")]
        named = odata.read_only_property(error) or odata.unknown_property(error)
        if not blame.may_be_dropped(step.ref.kind, named, is_new=step.makes_object):
            named = ""
        if named and work.bodies and named in work.bodies[0] and step.action is not Action.INVITE:
            del work.bodies[0][named]
            work.dropped.append(named)
            if work.bodies[0]:
                again.append(work)
                return []
            return outcomes.failed_records(work.steps, error, work.dropped)
        if step.action is Action.UNDELETE and self._makes_way(work, error):
            again.append(work)
            return []
        is_contended = isinstance(error, errors.Conflict) and "concurren" in (
            f"{error.graph_code} {error.message}".lower()
        )
        is_passing = error.is_retryable and work.sends < _MAX_SENDS
        if work.bodies and not (may_be_lag or is_contended):
            blamed: frozenset[str] = frozenset()
            if step.action is Action.UPDATE:
                blamed = blame.blamed_properties(step.ref.kind, work.bodies[0], error)
            elif step.action is Action.CREATE:
                blamed = blame.dispensable_properties(step.ref.kind, work.bodies[0], error)
            if blamed:
                work.bodies = [
                    {name: value for name, value in body.items() if name not in blamed}
                    for body in work.bodies
                ]
                work.bodies = [body for body in work.bodies if body]
                work.refused += sorted(blamed)
                work.refusal = work.refusal or error
                again.append(work)
                return []
        if (may_be_lag or is_contended or is_passing) and work.lag_seconds < self._max_lag_seconds:
            return self._later(work, again)
        return outcomes.failed_records(work.steps, work.refusal or error, work.dropped)

    def _makes_way(self, work: _Work, error: errors.GraphError) -> bool:
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
            after = self._steps.get(f"update/{step.ref}")
            name = str(after.body.get("userPrincipalName") or "") if after else ""
            alias, at, domain = name.partition("@")
            if at and "#EXT#" not in alias:
                work.new_principal_name = f"{alias}-{step.ref.id[:8]}@{domain}"
                return True
        return False

    @staticmethod
    def _later(work: _Work, again: list[_Work]) -> list[StepRecord]:
        """Send the request again after a wait that grows."""
        if work.lag_seconds > 0:
            work.next_wait_seconds = min(work.next_wait_seconds * 2, MAX_WAIT_SECONDS)
        work.lag_seconds += work.next_wait_seconds
        again.append(work)
        return []

    def _new_ids(self) -> set[str]:
        return {r.new_id for r in self._records.values() if r.new_id} | {
            r.new_app_id for r in self._records.values() if r.new_app_id
        }

    def _is_on_new_ground(self, step: Step) -> bool:
        """Tell whether the step builds on something that this restore brought into being."""
        return bool(step.depends_on) or step.look is not Look.NOT_NEEDED

    def _resolve(self, works: Sequence[_Work], again: list[_Work]) -> None:
        """Look whether writes without a reply happened; send again only those that did not."""
        steps = [step for work in works for step in work.steps]
        findings = self._look_patiently(steps)
        records: list[StepRecord] = []
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
            if work.sends >= _MAX_SENDS:
                lost = errors.OutcomeUnknown(
                    f"Graph's replies were lost {work.sends} times, and the change does not show.",
                    hint="Look at the object, and restore again when Graph is well.",
                )
                records += outcomes.failed_records(left, lost, work.dropped)
            else:
                again.append(dataclasses.replace(work, steps=tuple(left), is_doubtful=True))
        self._record(records)

    # --- requests -----------------------------------------------------------------------------

    def _request(self, work: _Work) -> WriteRequest:
        step = work.step
        live_id = self._looker.live_id(step)
        body = work.bodies[0] if work.bodies else {}
        match step.action:
            case Action.UNDELETE:
                return writer.restore_deleted(
                    live_id,
                    is_reconciling_proxies=work.is_reconciling_proxies,
                    new_principal_name=work.new_principal_name,
                )
            case Action.CREATE:
                return writer.create(step.ref.kind, with_password(step, body, self._secrets))
            case Action.INVITE:
                return writer.invite(
                    body["invitedUserEmailAddress"],
                    body["inviteRedirectUrl"],
                    display_name=body.get("invitedUserDisplayName", ""),
                    user_type=body.get("invitedUserType", "Guest"),
                )
            case Action.UPDATE:
                return writer.update(step.ref.kind, live_id, body)
            case Action.ASSIGN_LICENSES:
                return writer.assign_license(
                    step.ref.kind, live_id, body["addLicenses"], body["removeLicenses"]
                )
            case Action.DELETE:
                return writer.delete(step.ref.kind, live_id)
            case Action.ADD_RELATIONSHIP if len(work.steps) > 1:
                targets = [self._target_id(one) for one in work.steps]
                return self._writer.bind(step.relationship, live_id, targets)
            case Action.ADD_RELATIONSHIP:
                kind = step.target.kind if step.target else ""
                return self._writer.add_reference(
                    step.relationship, live_id, self._target_id(step), kind
                )
            case Action.REMOVE_RELATIONSHIP:
                return writer.remove_reference(step.relationship, live_id, self._target_id(step))

    def _target_id(self, step: Step) -> str:
        if step.target is None:
            raise errors.UsageError(f"Step {step.id} names no target.", hint="Make the plan again.")
        return self._identity.current(step.target.id)

    def _body(self, step: Step) -> dict[str, Any]:
        return self._identity.rewritten(step.ref.kind, step.body)

    # --- after the write ----------------------------------------------------------------------

    def _record(self, records: Sequence[StepRecord]) -> None:
        """Make new ids durable, then the outcomes, before anything else is written."""
        if not records:
            return
        for record in records:
            if record.status.is_good:
                self._learn(self._steps[record.step_id], record)
        self._save_identity()
        self._journal.record_outcomes(records)
        for record in records:
            known = self._records.get(record.step_id)
            detail = {**(known.detail if known else {}), **record.detail}
            self._records[record.step_id] = dataclasses.replace(record, detail=detail)

    def _learn(self, step: Step, record: StepRecord) -> None:
        if not step.makes_object or not record.new_id or KINDS[step.ref.kind].is_link:
            return
        self._identity = self._identity.with_object(step.ref.kind, step.ref.id, record.new_id)
        if record.new_app_id and step.app_id:
            self._identity = self._identity.with_app(step.app_id, record.new_app_id)

    def _save_identity(self) -> None:
        if self._identity != self._saved_identity:
            self._on_identity(self._identity)
            self._saved_identity = self._identity

    def _wait(self, reason: str, seconds: float) -> None:
        self._listener(progress.Waiting(reason, seconds))
        self._clock.sleep(seconds)


def apply_plan(
    plan: RestorePlan,
    live: LiveState,
    tenant_writer: TenantWriter,
    journal: Journal,
    identity: IdentityMap = NO_IDENTITY,
    secrets: RestoreSecrets = NO_SECRETS,
    **options: Any,
) -> RestoreReport:
    """Carry a plan out from beginning to end; ``options`` are those of ``Applier``.

    Whoever applies a plan made a while ago calls ``plan.check_still_valid`` first.
    Raises: ``errors.Refused`` when a refusal of the plan stands.
    """
    return Applier(plan, live, tenant_writer, journal, identity, secrets, **options).run()
