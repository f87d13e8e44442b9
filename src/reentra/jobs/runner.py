"""``JobRunner``: start, watch, stop and take up again what runs long.

A task is a function over a ``JobRun``. It puts what must not happen twice into ``run.step``, and
asks ``run.should_stop`` between steps. The runner keeps the record that people read in the
``JobStore`` and the steps in the ``Engine``.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from reentra import clock as clocks
from reentra import errors
from reentra.database import journal
from reentra.jobs.claims import Claims
from reentra.jobs.engine import Engine

C = TypeVar("C")

FOR_WORKER = "for_worker"  # the parameter of jobs that a worker takes out of the queue
KILLED = "killed"  # the parameter that counts how often a worker's process died with the job
MOST_KILLS = 5
_UNFINISHED = (journal.JobStatus.QUEUED, journal.JobStatus.RUNNING)
_MANY = 10_000
PROGRESS_SECONDS = 1.0  # how often a job's progress is written at most
LOOK_SECONDS = 1.0  # how often a job looks whether it was asked to stop


class TaskStatus(enum.StrEnum):
    """How a task ended."""

    SUCCEEDED = "succeeded"
    PARTIAL = "partial"  # done, but something was left out; the summary says what
    FAILED = "failed"
    CANCELLED = "cancelled"  # stopped between two steps; can be taken up again


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What a task hands back. ``summary`` is JSON, kept with the job; it holds no secret."""

    status: TaskStatus
    summary: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Task(Generic[C]):
    """Something that can be run as a job.

    ``continues_by_itself`` says that a job whose process died is taken up by the next process that
    runs jobs. Otherwise it waits for a person, or is simply begun again.
    """

    name: str
    function: Callable[[JobRun[C]], TaskResult]
    continues_by_itself: bool = False


@dataclass(slots=True)
class JobRun(Generic[C]):
    """One run of a task, as its function sees it.

    ``parameters`` are JSON and survive; ``context`` is what this process brings along (open
    connections, secrets) and does not.
    """

    id: str
    task: str
    tenant: str
    parameters: Mapping[str, Any]
    context: C
    is_resumed: bool
    runner: JobRunner[C]
    failure: BaseException | None = None
    result: TaskResult | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _reported_at: float = float("-inf")
    _looked_at: float = float("-inf")

    def should_stop(self) -> bool:
        """Tell whether somebody asked this job to stop, here or from another process.

        Other processes are listened to once a second at most, so that asking often costs nothing.
        """
        if self._stop.is_set():
            return True
        now = self.runner.clock.monotonic_seconds()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            if self.runner.claims.is_asked_to_stop(self.id):
                self._stop.set()
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask the job to stop at the border of its next step."""
        self._stop.set()

    def step(self, name: str, function: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Run ``function`` once, however often the job is taken up again, and return its result.

        A failure is not remembered as the step's result: taken up again, the step is tried anew.
        """
        while True:
            remembered = self.runner.engine.step(name, lambda: self._attempt(function))
            if "value" in remembered:
                value: dict[str, Any] = remembered["value"]
                return value
            if self.failure is not None:
                raise self.failure

    def report(self, progress: Mapping[str, Any], *, is_final: bool = False) -> None:
        """Record how far the job is; most calls cost nothing, as one a second is written."""
        now = self.runner.clock.monotonic_seconds()
        if is_final or now - self._reported_at >= PROGRESS_SECONDS:
            self._reported_at = now
            self.runner.store.update_job(self.id, progress=dict(progress))

    def _attempt(self, function: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return {"value": function()}
        except BaseException as failure:  # noqa: BLE001  raised again in ``step``
            self.failure = failure
            return {"failed": type(failure).__name__}


class JobRunner(Generic[C]):
    """Runs the jobs of one installation. Open at most one in a process, and close it."""

    def __init__(
        self,
        store: journal.JobStore,
        url: str,
        claims_folder: Path,
        tasks: tuple[Task[C], ...],
        clock: clocks.Clock = clocks.SYSTEM,
    ) -> None:
        self.store = store
        self.clock = clock
        self._url = url
        self.claims = Claims(claims_folder)
        self._tasks = {task.name: task for task in tasks}
        self._runs: dict[str, JobRun[C]] = {}
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The durable part, opened when the first job needs it."""
        if self._engine is None:
            self._engine = Engine(self._url, self._execute)
        return self._engine

    def close(self) -> None:
        """Let go of the engine. Jobs that still run keep their steps and can be taken up."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def run(
        self,
        task: str,
        context: C,
        *,
        tenant: str = "",
        parameters: Mapping[str, Any] | None = None,
        who: str = "",
        on_start: Callable[[JobRun[C]], None] | None = None,
    ) -> tuple[str, TaskResult]:
        """Run a task as a new job to its end; returns the job's id and the result.

        Raises: whatever the task raised.
        """
        job_id = clocks.new_id()
        self.claims.take(job_id)
        try:
            # Never queued: no worker may take what this process runs itself.
            self.store.create_job(
                task,
                tenant=tenant,
                who=who,
                parameters=parameters,
                job_id=job_id,
                status=journal.JobStatus.RUNNING,
            )
            run = JobRun(job_id, task, tenant, dict(parameters or {}), context, False, self)
            return job_id, self._wait(run, self.engine.start, on_start)
        finally:
            self.claims.release(job_id)

    def resume(
        self, job_id: str, context: C, *, on_start: Callable[[JobRun[C]], None] | None = None
    ) -> TaskResult:
        """Take up a job that was stopped, failed, or lost its process; run it to its end.

        Raises: ``NotFound``; ``UsageError`` when it has ended; ``Refused`` when it runs elsewhere.
        """
        job = self.store.load_job(job_id)
        job_id = job.id
        if job.task not in self._tasks:
            raise errors.UsageError(
                f"Job {job_id} is a {job.task}, which this version cannot take up.",
                hint="Begin it again.",
            )
        if job.status in (journal.JobStatus.SUCCEEDED, journal.JobStatus.PARTIAL):
            raise errors.UsageError(
                f"Job {job_id} has ended ({job.status.value}); there is nothing to take up.",
                hint="Read its report.",
                typed=f"reentra jobs report {job_id}",
            )
        if not self.claims.take(job_id):
            raise errors.Refused(
                f"Job {job_id} is running in another process.",
                hint="Watch it in the list of jobs.",
                typed=f"reentra jobs show {job_id}",
            )
        try:
            run = JobRun(job_id, job.task, job.tenant, job.parameters, context, True, self)
            return self._wait(run, self.engine.resume, on_start)
        finally:
            self.claims.release(job_id)

    def enqueue(
        self,
        task: str,
        *,
        tenant: str = "",
        parameters: Mapping[str, Any] | None = None,
        who: str = "",
    ) -> journal.Job:
        """Record a job for the worker of this installation, which begins it in its turn."""
        marked = {**(parameters or {}), FOR_WORKER: True}
        return self.store.create_job(task, tenant=tenant, who=who, parameters=marked)

    def list_queued(self) -> list[journal.Job]:
        """Return the jobs that wait for a worker, oldest first."""
        found = self.store.list_jobs(statuses=(journal.JobStatus.QUEUED,), limit=_MANY)
        return [job for job in reversed(found) if job.parameters.get(FOR_WORKER)]

    def requeue_left_behind(self) -> list[journal.Job]:
        """Put a worker's jobs whose process died back into the queue, and return them.

        One with which it died ``MOST_KILLS`` times is marked as failed: it may be what kills it.
        """
        left = []
        for job in self.store.list_jobs(statuses=(journal.JobStatus.RUNNING,), limit=_MANY):
            if job.parameters.get(FOR_WORKER) and not self.claims.is_held(job.id):
                killed = int(job.parameters.get(KILLED, 0)) + 1
                counted = {**job.parameters, KILLED: killed}
                if killed >= MOST_KILLS:
                    failure = errors.Interrupted(
                        f"The process that ran job {job.id} was killed {killed} times; it is not"
                        " tried again by itself.",
                        hint="Look at the machine's memory and the server's log, and resume it.",
                    )
                    self.store.update_job(
                        job.id,
                        status=journal.JobStatus.FAILED,
                        parameters=counted,
                        error=failure.to_json(),
                    )
                    continue
                self.store.update_job(job.id, status=journal.JobStatus.QUEUED, parameters=counted)
                left.append(job)
        return left

    def run_queued(
        self, job_id: str, context: C, *, on_start: Callable[[JobRun[C]], None] | None = None
    ) -> TaskResult | None:
        """Run a queued job to its end; ``None`` when somebody was faster, or cancelled it.

        Raises: whatever the task raised.
        """
        if not self.claims.take(job_id):
            return None
        try:
            job = self.store.load_job(job_id)
            if job.status is not journal.JobStatus.QUEUED:
                return None
            is_resumed = job.started_at is not None
            run = JobRun(job_id, job.task, job.tenant, job.parameters, context, is_resumed, self)
            return self._wait(run, self.engine.resume, on_start)
        finally:
            self.claims.release(job_id)

    def request_cancel(self, job_id: str) -> bool:
        """Ask a job to stop; ``True`` when a living process runs it and will.

        A job without a living process is marked as cancelled at once.
        """
        if self.claims.ask_to_stop(job_id):
            return True
        if not self.store.load_job(job_id).status.is_final:
            self.store.update_job(job_id, status=journal.JobStatus.CANCELLED)
        return False

    def is_alive(self, job_id: str) -> bool:
        """Tell whether a living process runs the job."""
        return self.claims.is_held(job_id)

    def reap(self) -> list[journal.Job]:
        """Find the jobs whose process died, and return those that go on by themselves.

        The others are marked as failed, for they are simply begun again. The caller takes up what
        is returned with ``resume``; the claim sees to it that only one process does.
        """
        waiting = []
        for job in self.store.list_jobs(statuses=_UNFINISHED, limit=_MANY):
            if job.parameters.get(FOR_WORKER) or self.claims.is_held(job.id):
                continue
            task = self._tasks.get(job.task)
            if task is not None and task.continues_by_itself:
                waiting.append(job)
            else:
                killed = errors.Interrupted(
                    f"The process that ran job {job.id} was killed.",
                    hint=f"Begin the {job.task} again: nothing half-done is visible.",
                )
                self.store.update_job(
                    job.id, status=journal.JobStatus.FAILED, error=killed.to_json()
                )
        return waiting

    def _wait(
        self,
        run: JobRun[C],
        begin: Callable[[str], Callable[[], dict[str, Any]]],
        on_start: Callable[[JobRun[C]], None] | None,
    ) -> TaskResult:
        self._runs[run.id] = run
        try:
            self.store.update_job(run.id, status=journal.JobStatus.RUNNING, error={})
            if on_start is not None:
                on_start(run)
            wait = begin(run.id)
            try:
                remembered = wait()
            except Exception:
                # The engine only says that the job did not end; the run knows why.
                if run.failure is not None:
                    raise run.failure from None
                if run.result is not None:
                    return run.result
                raise
            if run.result is None:
                # It had ended, and only the record had not been written when its process died.
                run.result = TaskResult(TaskStatus(remembered["status"]), remembered["summary"])
                self._record(run)
            return run.result
        finally:
            del self._runs[run.id]

    def _execute(self, job_id: str) -> dict[str, Any]:
        """Run a job's task; called by the engine, in a thread of its own."""
        run = self._runs[job_id]
        try:
            run.result = self._tasks[run.task].function(run)
            self._record(run)
        except BaseException as failure:
            run.failure = failure
            # In this order: once the engine lets go of the job, its waiter looks at the record.
            self._record_failure(run, failure)
            self.engine.leave_resumable(job_id)
            raise
        if run.result.status is TaskStatus.CANCELLED:
            self.engine.leave_resumable(job_id)
        return {"status": run.result.status.value, "summary": dict(run.result.summary)}

    def _record(self, run: JobRun[C]) -> None:
        if run.result is not None:
            self.store.update_job(
                run.id,
                status=journal.JobStatus(run.result.status.value),
                summary=run.result.summary,
            )

    def _record_failure(self, run: JobRun[C], failure: BaseException) -> None:
        # Only our own errors promise to hold no secret.
        told = (
            failure.to_json()
            if isinstance(failure, errors.Error)
            else {"code": "internal", "message": type(failure).__name__, "hint": ""}
        )
        stopped = isinstance(failure, errors.Interrupted | KeyboardInterrupt)
        status = journal.JobStatus.CANCELLED if stopped else journal.JobStatus.FAILED
        self.store.update_job(run.id, status=status, error=told)
