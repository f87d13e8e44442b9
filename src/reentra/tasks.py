"""The durable tasks: thin functions that join backup, catalog, restore and download to jobs.

Each takes a ``JobRun`` whose parameters are JSON and whose context is this process's open
application, and returns a ``TaskResult`` whose summary is what ``--json`` ends with.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from reentra import errors, progress
from reentra.jobs import JobRun, Task, TaskResult, TaskStatus

if TYPE_CHECKING:
    from reentra.app import Application
    from reentra.backup import Base
    from reentra.catalog import SnapshotSummary
    from reentra.database import Job, JobStore
    from reentra.directory.objects import ObjectRef
    from reentra.directory.selection import Selection
    from reentra.directory.state import TenantState
    from reentra.graph.connection import TenantConnection
    from reentra.repository import Lock, Manifest
    from reentra.restore.apply import Applier
    from reentra.restore.draft import RestoreOptions
    from reentra.restore.identity import IdentityMap
    from reentra.restore.journal import StepRecord
    from reentra.restore.order import Wave
    from reentra.restore.paged import PagedPlan
    from reentra.restore.plan import RestorePlan
    from reentra.restore.report import RestoreReport, Verification
    from reentra.restore.safety import Safeguards

PLANS = "plans"  # collection of restore plans in the repository, by plan id
PRUNE_LOCK_SECONDS = 60.0  # how long to wait for whoever else works on the repository


@dataclass(slots=True)
class TaskContext:
    """What a task gets from the process that runs it, and what dies with that process.

    ``ask_default_password`` is called when a restore first needs the password of new users.
    """

    application: Application
    listener: progress.Listener
    ask_default_password: Callable[[], str]


Run = JobRun[TaskContext]


def listening(run: Run) -> progress.Listener:
    """Return a listener that shows progress, records it, and stops the task when it is asked to.

    Raises (from the listener): ``Interrupted``. Only for tasks that may be left at any point.
    """
    counts: dict[str, Any] = {}

    def listen(event: progress.Event) -> None:
        run.context.listener(event)
        match event:
            case progress.Advanced(activity, done, total):
                counts[activity] = done if total is None else f"{done} of {total}"
            case progress.Finished(activity, done, _):
                counts[activity] = done
            case _:
                return
        run.report(counts)
        if run.should_stop():
            raise errors.Interrupted(
                f"The {run.task} was stopped.", hint="Run it again: it goes on where it can."
            )

    return listen


def backup(run: Run) -> TaskResult:
    """Back up the tenant into a new snapshot and index it."""
    from reentra.backup import BackupOptions, run_backup
    from reentra.backup.engine import BackupStatus

    application = run.context.application
    listener = listening(run)
    tenant = application.open_tenant(run.tenant, priority="low", listener=listener)
    is_anew = bool(run.parameters.get("anew"))
    try:
        result = run_backup(
            tenant.client,
            tenant.live,
            application.repository,
            CatalogBases(application, listener),
            BackupOptions(
                kinds=tuple(run.parameters.get("kinds", ())),
                is_full=bool(run.parameters.get("full")),
                is_anew=is_anew,
            ),
            clock=application.clock,
            listener=listener,
        )
    except errors.UnsupportedFormat:
        raise
    except errors.RepositoryDamaged as damage:
        if is_anew:
            raise
        raise errors.RepositoryDamaged(
            damage.message,
            hint="Check the repository. A backup that stores everything anew begins a new line of "
            "snapshots, which builds on nothing damaged.",
            typed=f"`reentra check`, `reentra backup {run.tenant} --anew`",
        ) from damage
    application.catalog.sync(tenant.connection.tenant_id, listener)
    is_partial = result.status is BackupStatus.PARTIAL
    return TaskResult(TaskStatus.PARTIAL if is_partial else TaskStatus.SUCCEEDED, result.to_json())


@dataclass(frozen=True, slots=True)
class CatalogBases:
    """Gives a backup its parent's state out of the catalog, brought up to date first."""

    application: Application
    listener: progress.Listener = progress.ignore

    def open_base(self, parent: Manifest) -> Base:
        from reentra.catalog import CatalogBase

        self.application.catalog.sync(parent.tenant_id, self.listener)
        return CatalogBase(self.application.catalog, parent.tenant_id, parent.id)


def check(run: Run) -> TaskResult:
    """Verify the repository against every promise of its format, and repair what can be."""
    from reentra.repository import check_repository

    application = run.context.application
    mended = []
    if run.parameters.get("repair"):
        relearn = functools.partial(_relearnt, application)
        mended = application.identities.mend(relearn, application.home / "set-aside")
    report = check_repository(
        application.repository,
        read_data=not run.parameters.get("quick"),
        expected_heads=application.catalog.known_heads(),
        listener=listening(run),
    )
    return TaskResult(
        TaskStatus.SUCCEEDED if report.is_whole else TaskStatus.FAILED,
        {**report.to_json(), "mended": [one.to_json() for one in mended]},
    )


def _relearnt(application: Application, job_id: str) -> IdentityMap | None:
    """Return the new ids that a restore gave, or ``None`` when its journal is not there."""
    from reentra.restore.deeds import identity_of

    try:
        job = application.jobs.load_job(job_id)
        plan = load_plan(application, str(job.parameters["plan"]))
    except (errors.NotFound, errors.RepositoryDamaged):
        return None
    records = StoredJournal(application.jobs, job.id).load_records()
    return identity_of(plan, records) if records else None


def rebuild(run: Run) -> TaskResult:
    """Make the catalog anew from the repository alone."""
    report = run.context.application.catalog.rebuild(listening(run))
    return TaskResult(TaskStatus.SUCCEEDED, report.to_json())


def forget(run: Run) -> TaskResult:
    """Forget the snapshots that were named, or those that the tenant's policy does not keep."""
    from reentra import retaining
    from reentra.repository import load_policy

    application = run.context.application
    listener = listening(run)
    tenant_id = application.connections.find(run.tenant).tenant_id
    application.catalog.sync(tenant_id, listener)
    chosen = [str(one) for one in run.parameters.get("snapshots", ())]
    if run.parameters.get("apply_policy"):
        preview = retaining.preview_retention(
            application.repository,
            application.catalog,
            tenant_id,
            load_policy(application.repository, tenant_id),
            application.clock.now(),
        )
        chosen += preview.forgotten
    retaining.forget(application.repository, tenant_id, chosen)
    application.catalog.sync(tenant_id, listener)
    kept = application.repository.list_snapshot_ids(tenant_id)
    return TaskResult(TaskStatus.SUCCEEDED, {"forgotten": sorted(set(chosen)), "kept": len(kept)})


def prune(run: Run) -> TaskResult:
    """Give back the space of what was forgotten, and prove before that nothing kept is touched."""
    from reentra import repository as repositories
    from reentra.snapshots import SnapshotMerger

    application = run.context.application
    listener = listening(run)

    def sync() -> None:
        for tenant_id in application.repository.list_tenants():
            application.catalog.sync(tenant_id, listener)

    report = repositories.prune(
        application.repository,
        SnapshotMerger(application.repository),
        clock=application.clock,
        on_committed=sync,
        listener=listener,
        wait_seconds=PRUNE_LOCK_SECONDS,
    )
    return TaskResult(TaskStatus.SUCCEEDED, report.to_json())


def download(run: Run) -> TaskResult:
    """Write a selection of a snapshot to a zip of JSON; sealed when it waits to be fetched."""
    from reentra.directory.selection import Selection
    from reentra.download import write_zip
    from reentra.restore.identity import NO_IDENTITY

    application = run.context.application
    tenant_id = application.connections.find(run.tenant).tenant_id
    listener = listening(run)
    application.catalog.sync(tenant_id, listener)
    path = Path(run.parameters["path"])
    state = application.catalog.state(tenant_id, run.parameters["snapshot"])
    selection = Selection.from_json(run.parameters["selection"])
    _ensure_something_is_there(state, NO_IDENTITY, selection)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = write_zip(
        state,
        selection,
        path,
        wrap=_sealing(application, run) if run.parameters.get("sealed") else None,
        has_relationships=bool(run.parameters["relationships"]),
        clock=application.clock,
        listener=listener,
    )
    return TaskResult(
        TaskStatus.SUCCEEDED, {"snapshot": run.parameters["snapshot"], **written.to_json()}
    )


def _sealing(application: Application, run: Run) -> Callable[[Iterable[bytes]], Iterator[bytes]]:
    from reentra.download import sealed_chunks

    return functools.partial(sealed_chunks, download_key(application, run.id))


def download_key(application: Application, job_id: str) -> bytes:
    """Return the key of one sealed download; it lies nowhere, but follows from the vault's."""
    return hmac.digest(application.access.vault.key, f"download:{job_id}".encode(), "sha256")


# --- restore ---------------------------------------------------------------------------------


def restore(run: Run) -> TaskResult:
    """Apply a stored plan, wave by wave; each wave is a durable step. Then prove it.

    A plan of which nothing was written yet is refused when the tenant changed since it was made.
    Before the first write, what will be touched is kept as a capture, from which it can be undone.
    """
    from reentra.identities import learnt_since
    from reentra.restore import apply as applying
    from reentra.restore import capture as capturing
    from reentra.restore.plan import (
        check_still_valid,
        ensure_deletions_confirmed,
        ensure_guarded,
    )

    application = run.context.application
    plan, digest = load_plan_and_digest(application, str(run.parameters["plan"]))
    if run.parameters.get("digest", digest) != digest:
        raise errors.Refused(
            f"Plan {plan.id} is not the one that was approved or confirmed: what is stored has"
            " another digest. Nothing was written.",
            hint="Make a new plan, read it, and apply that one.",
        )
    ensure_deletions_confirmed(plan, run.parameters.get("confirmed_deletions"))
    tenant = application.open_tenant(run.tenant, listener=run.context.listener)
    tenant_id = tenant.connection.tenant_id
    journal = StoredJournal(application.jobs, run.id)
    # Held since before the look at the tenant: of two restores of one plan, both would find it
    # as planned, and both would create.
    with application.repository.lock_restore(tenant_id, "restore") as lock:
        began_at = application.jobs.load_job(run.id).created_at
        records = journal.load_records()
        if records:
            _ensure_newest(application, run, began_at)
        else:
            ensure_guarded(plan, tenant.connection.break_glass)
            check_still_valid(plan, tenant.live)
        _ask_for_password(run, plan, records)
        kept = application.identities.load(tenant_id)
        capture = ""
        if plan.steps:
            capture = capturing.capture_id(run.id, began_at)
        if plan.steps and not records:
            capturing.take_capture(
                application.repository,
                lock,
                tenant.live,
                plan,
                kept.merged(plan.matched),
                job_id=run.id,
                began_at=began_at,
                clock=application.clock,
                listener=run.context.listener,
            )

        def keep(identity: IdentityMap) -> None:
            nonlocal kept
            number = len(identity.objects) + len(identity.apps)
            application.identities.add(
                tenant_id, run.id, began_at, number, learnt_since(kept, identity)
            )
            kept = identity

        applier = applying.Applier(
            plan,
            tenant.live,
            applying.TenantWriter(tenant.client),
            journal,
            kept,
            applying.RestoreSecrets(
                run.context.ask_default_password, _backed_up_passwords(application, plan)
            ),
            clock=application.clock,
            listener=run.context.listener,
            should_stop=run.should_stop,
            on_identity=keep,
        )
        is_cancelled = False
        run.context.listener(progress.Started("restore", len(plan.steps)))
        # Every wave is gone through, applied or not: what is remembered is found by its place.
        for wave in applier.waves:
            if run.should_stop():
                is_cancelled = True
                break
            run.step(f"wave {wave.index}", functools.partial(_applied, applier, wave, lock))
            run.report({"steps": f"{applier.final_count} of {len(plan.steps)}"})
        report = applier.report(
            job=run.id, is_cancelled=is_cancelled, is_verifying=not is_cancelled
        )
        application.identities.settle(tenant_id, run.id, began_at)
    run.context.listener(progress.Finished("restore", len(plan.steps)))
    run.report({"steps": f"{sum(report.counts.values())} of {len(plan.steps)}"}, is_final=True)
    return TaskResult(TaskStatus(report.status.value), {**report.to_json(), "capture": capture})


def open_state(application: Application, tenant_id: str, snapshot_id: str) -> TenantState:
    """Return a snapshot, or a capture, that the catalog was brought up to date with.

    Raises: ``NotFound``.
    """
    from reentra.restore.capture import find_capture, load_capture

    if find_capture(application.repository, tenant_id, snapshot_id) == snapshot_id:
        return load_capture(application.repository, tenant_id, snapshot_id)
    return application.catalog.state(tenant_id, snapshot_id)


def _ensure_newest(application: Application, run: Run, began_at: dt.datetime) -> None:
    """Let a restore that was cut off go on only when no other has written since it began.

    What is still to be created may have been created by the other one.
    Raises: ``StalePlan``.
    """
    for other in application.jobs.list_jobs(tenant=run.tenant, task=run.task):
        if other.created_at <= began_at:
            return
        if application.jobs.list_steps(other.id):
            raise errors.StalePlan(
                f"Restore {other.id} was begun after {run.id} was cut off; going on would do"
                " things twice."
            )


def _applied(applier: Applier, wave: Wave, lock: Lock) -> dict[str, Any]:
    lock.ensure_held()
    return {"wave": wave.index, "steps": len(applier.apply_wave(wave))}


def _ask_for_password(run: Run, plan: RestorePlan, records: Mapping[str, StepRecord]) -> None:
    """Ask before the first write: a missing password must not fail the users one by one."""
    from reentra.restore.steps import Password

    for step in plan.steps:
        record = records.get(step.id)
        is_open = record is None or not record.status.is_final
        if is_open and step.password is Password.DEFAULT:
            run.context.ask_default_password()
            return


def _backed_up_passwords(
    application: Application, plan: RestorePlan
) -> Callable[[ObjectRef], str | None]:
    def find(ref: ObjectRef) -> str | None:
        state = open_state(application, plan.tenant_id, plan.snapshot)
        item = state.load_objects(ref.kind, [ref.id]).get(ref.id)
        profile = (item.get("passwordProfile") if item is not None else None) or {}
        password = profile.get("password")
        return str(password) if password else None

    return find


def make_plan(
    application: Application,
    name: str,
    snapshot_id: str,
    selection: Selection,
    options: RestoreOptions,
    listener: progress.Listener,
    *,
    follow_ups: frozenset[str] = frozenset(),
) -> RestorePlan:
    """Compare a snapshot with the tenant as it is now and return the plan. Writes nothing.

    ``follow_ups`` are ids of follow-ups to be done as well, or ``all``.
    """
    from reentra.restore.plan import plan_restore

    tenant = application.open_tenant(name, listener=listener)
    tenant_id = tenant.connection.tenant_id
    state, identity = (
        open_state(application, tenant_id, snapshot_id),
        application.identities.load(tenant_id),
    )
    _ensure_something_is_there(state, identity, selection)
    summary = _summary_of(application, tenant_id, snapshot_id)
    listener(progress.Started("plan"))
    plan = plan_restore(
        state,
        tenant.live,
        selection,
        options,
        identity,
        created_at=application.clock.now(),
        granted=tenant.client.granted_roles(),
        safeguards=_safeguards(tenant.connection),
        chosen_follow_ups=follow_ups,
        snapshot_began_at=summary.created_at if summary is not None else None,
        snapshot_review=summary.info.review if summary is not None else (),
    )
    listener(progress.Finished("plan", len(plan.steps), f"{len(plan.steps):,} steps"))
    return plan


def make_undo_plan(
    application: Application,
    job: Job,
    options: RestoreOptions,
    listener: progress.Listener,
    *,
    is_overwriting: bool = False,
) -> RestorePlan:
    """Return the plan that takes back what a restore really did. Writes nothing.

    Raises: ``UsageError`` when the job is no restore or wrote nothing, ``NotFound`` when its
    capture is not there.
    """
    from reentra.restore.capture import capture_id, load_capture
    from reentra.restore.deeds import deeds_of
    from reentra.restore.undo import ensure_undoable, plan_undo

    if job.task != "restore":
        raise errors.UsageError(
            f"Job {job.id} is a {job.task}: only a restore changes a tenant and can be undone.",
            hint="Look in the list of jobs.",
            typed="reentra jobs list",
        )
    plan = load_plan(application, str(job.parameters["plan"]))
    tenant = application.open_tenant(job.tenant, listener=listener)
    identity = application.identities.load(tenant.connection.tenant_id)
    records = StoredJournal(application.jobs, job.id).load_records()
    deeds = deeds_of(job.id, plan, records, identity)
    ensure_undoable(deeds)
    capture = load_capture(
        application.repository, plan.tenant_id, capture_id(job.id, job.created_at)
    )
    listener(progress.Started("plan"))
    undoing = plan_undo(
        deeds,
        capture,
        tenant.live,
        options,
        identity,
        created_at=application.clock.now(),
        granted=tenant.client.granted_roles(),
        safeguards=_safeguards(tenant.connection),
        is_overwriting=is_overwriting,
    )
    listener(progress.Finished("plan", len(undoing.steps), f"{len(undoing.steps):,} steps"))
    return undoing


def _safeguards(connection: TenantConnection) -> Safeguards:
    from reentra.restore.safety import Safeguards

    return Safeguards(connection.break_glass, connection.client_id)


def _summary_of(
    application: Application, tenant_id: str, snapshot_id: str
) -> SnapshotSummary | None:
    """Return what the catalog knows of a snapshot; of a capture it knows nothing."""
    for summary in application.catalog.list_snapshots(tenant_id):
        if summary.id == snapshot_id:
            return summary
    return None


def plan(run: Run) -> TaskResult:
    """Make a restore plan, or one that undoes a restore, and store it. Writes nothing else."""
    from reentra.directory.selection import Selection
    from reentra.restore.draft import RestoreOptions

    application = run.context.application
    listener = listening(run)
    options = RestoreOptions.from_json(run.parameters["options"])
    undone = run.parameters.get("undo")
    if undone:
        made = make_undo_plan(
            application,
            application.jobs.load_job(undone),
            options,
            listener,
            is_overwriting=bool(run.parameters.get("overwrite_later_changes")),
        )
    else:
        selection = Selection.from_json(run.parameters["selection"])
        made = make_plan(
            application,
            run.tenant,
            run.parameters["snapshot"],
            selection,
            options,
            listener,
            follow_ups=frozenset(run.parameters.get("follow_ups", ())),
        )
    keep_plan(application, made)
    return TaskResult(
        TaskStatus.SUCCEEDED,
        {
            "plan": made.id,
            "snapshot": made.snapshot,
            "steps": len(made.steps),
            "refusals": len(made.open_refusals),
            "needs_default_password": made.needs_default_password,
        },
    )


def _ensure_something_is_there(
    state: TenantState, identity: IdentityMap, selection: Selection
) -> None:
    """Raise ``NotFound`` when all that is selected by id is missing in the snapshot."""
    if selection.kinds or not selection.refs:
        return
    for kind in sorted({ref.kind for ref in selection.refs}):
        ids = selection.ids_of(kind)
        if state.load_objects(kind, [*ids, *(old for one in ids for old in identity.olds_of(one))]):
            return
    named = ", ".join(sorted(map(str, selection.refs))[:3])
    raise errors.NotFound(
        f"The snapshot {state.label} does not hold {named}.",
        hint="Search for it over all snapshots, or choose another snapshot.",
        typed="reentra search NAME TEXT",
    )


def keep_plan(application: Application, plan: RestorePlan) -> None:
    """Store a plan in the repository, where its job finds it again. Repeating it is harmless."""
    with contextlib.suppress(errors.AlreadyExists):
        application.repository.put_document(PLANS, plan.id, plan.to_json())


def load_plan(application: Application, plan_id: str) -> RestorePlan:
    """Return a stored plan.

    Raises: ``NotFound``.
    """
    return load_plan_and_digest(application, plan_id)[0]


def load_plan_and_digest(application: Application, plan_id: str) -> tuple[RestorePlan, str]:
    """Return a stored plan, and the digest by which people approve it.

    Raises: ``NotFound``.
    """
    from reentra.restore.plan import RestorePlan

    document: Any = application.repository.load_document(PLANS, plan_id)
    return RestorePlan.from_json(document), plan_digest(document)


def load_paged_plan(application: Application, plan_id: str) -> PagedPlan:
    """Return a stored plan to look at: its steps stay in pieces.

    Raises: ``NotFound``.
    """
    from reentra.restore.paged import paged

    return paged(application.repository.load_document_text(PLANS, plan_id))


def plan_digest(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a plan as it is stored: another version reads it no differently."""
    data = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(data).hexdigest()


def load_report(application: Application, job: Job) -> RestoreReport:
    """Return the report of a restore from its plan and its journal."""
    from reentra.database import JobStatus
    from reentra.restore.report import report_of

    plan = load_plan(application, str(job.parameters["plan"]))
    return report_of(
        plan,
        StoredJournal(application.jobs, job.id).load_records(),
        application.identities.load(plan.tenant_id),
        verification=_verification(job.summary.get("verification")),
        is_cancelled=job.status is JobStatus.CANCELLED,
        job=job.id,
    )


def _verification(value: Mapping[str, Any] | None) -> Verification | None:
    from reentra.restore.report import Difference, Verification

    if value is None:
        return None
    return Verification(
        value["checked"],
        value["holding"],
        tuple(Difference(**item) for item in value["differences"]),
        value["done"],
    )


@dataclass(frozen=True, slots=True)
class StoredJournal:
    """The journal of one restore in the job store; implements ``restore.journal.Journal``."""

    store: JobStore
    job_id: str

    def load_records(self) -> dict[str, StepRecord]:
        from reentra.restore.journal import StepRecord, StepStatus

        return {
            step.step_id: StepRecord(
                step.step_id, StepStatus(step.status.value), step.detail, step.intended_at
            )
            for step in self.store.list_steps(self.job_id)
            if step.status.value != "planned"
        }

    def record_intent(
        self, step_ids: Sequence[str], details: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self.store.record_intent(self.job_id, step_ids, details)

    def record_outcomes(self, records: Sequence[StepRecord]) -> None:
        from reentra.database import StepOutcome, StepStatus

        self.store.record_outcomes(
            self.job_id,
            [
                StepOutcome(record.step_id, StepStatus(record.status.value), record.detail)
                for record in records
            ],
        )


TASKS: tuple[Task[TaskContext], ...] = (
    Task("backup", backup),
    Task("check", check),
    Task("rebuild", rebuild),
    Task("forget", forget),
    Task("prune", prune),
    Task("download", download),
    Task("plan", plan),
    Task("restore", restore, continues_by_itself=True),
)
