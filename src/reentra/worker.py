"""The worker of a serving process: takes queued jobs, keeps to schedules, clears old downloads.

Jobs of one tenant run one after the other. A job that is stopped because the process ends goes back
into the queue, and so does one whose process was killed: the next worker goes on with it.
"""

from __future__ import annotations

import concurrent.futures
import datetime as dt
import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reentra import errors, progress
from reentra.access import Actor, Entry
from reentra.access.audit import SYSTEM
from reentra.database import JobStatus
from reentra.jobs import JobRun, JobRunner
from reentra.tasks import TASKS, TaskContext

if TYPE_CHECKING:
    from pathlib import Path

    from reentra.app import Application
    from reentra.database import Job

DOWNLOAD_HOURS = 24
LANES = 2
PERSON = "person"  # the parameter of jobs that says whose they are
_MANY = 10_000
_LOOK_SECONDS = 1.0
_SCHEDULE_SECONDS = 15.0
_SWEEP_SECONDS = 600.0
_WELL = ("succeeded", "partial")
OPEN = (JobStatus.QUEUED, JobStatus.RUNNING)
_log = logging.getLogger("reentra.worker")


class Worker:
    """Runs the jobs of one installation in threads of this process. Open one, and close it."""

    def __init__(self, application: Application, *, lanes: int = LANES) -> None:
        self._application = application
        self.runner: JobRunner[TaskContext] = JobRunner(
            application.jobs,
            application.steps_url,
            application.claims_folder,
            TASKS,
            clock=application.clock,
        )
        self._lanes = lanes
        self._pool = concurrent.futures.ThreadPoolExecutor(lanes, thread_name_prefix="job")
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._admitting = threading.Lock()
        self._busy: dict[str, str] = {}  # job id -> tenant
        self._running: dict[str, JobRun[TaskContext]] = {}
        self._passwords: dict[str, str] = {}  # job id -> default password, in memory only
        self._thread = threading.Thread(target=self._work, name="worker", daemon=True)

    def start(self) -> None:
        """Take up what was left behind and begin to work."""
        self.runner.engine  # noqa: B018  made once, before threads ask for it
        self.runner.requeue_left_behind()
        for job in self.runner.reap():
            self._application.jobs.update_job(job.id, status=JobStatus.QUEUED)
            self._adopt(job)
        self._thread.start()

    def close(self) -> None:
        """Stop at the borders of steps; what was running waits in the queue for the next worker."""
        self._closing.set()
        self._wake.set()
        with self._lock:
            for run in self._running.values():
                run.stop()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(wait=True)
        self.runner.close()

    def enqueue(
        self,
        actor: Actor,
        task: str,
        *,
        tenant: str = "",
        parameters: Mapping[str, Any] | None = None,
        default_password: str = "",
    ) -> Job:
        """Put a job into the queue. The password stays in memory, until the job has ended.

        Raises: ``TooManyJobs``.
        """
        marked = {**(parameters or {}), **({PERSON: actor.id} if actor.id else {})}
        with self._admitting:
            self.ensure_room(actor)
            job = self.runner.enqueue(task, tenant=tenant, parameters=marked, who=actor.name)
        if default_password:
            self._passwords[job.id] = default_password
        self._application.access.trail.record(actor, Entry(task, tenant, job.id, "queued"))
        self._wake.set()
        return job

    def ensure_room(self, actor: Actor) -> None:
        """Let pass who has fewer jobs waiting and running than a person may have.

        Raises: ``TooManyJobs``.
        """
        most = self._application.settings.open_jobs_per_person
        if not actor.id:
            return
        found = self._application.jobs.list_jobs(statuses=OPEN, limit=_MANY)
        count = sum(job.parameters.get(PERSON) == actor.id for job in found)
        if count >= most:
            raise errors.TooManyJobs(
                f"{actor.name} has {count} jobs that have not ended; nothing was begun."
            )

    def resume(self, actor: Actor, job: Job, *, default_password: str = "") -> Job:
        """Put a job that was stopped, failed or lost its process back into the queue.

        Raises: ``UsageError`` when it has ended well or still runs; ``TooManyJobs``.
        """
        if job.status not in (JobStatus.CANCELLED, JobStatus.FAILED):
            raise errors.UsageError(
                f"Job {job.id} is {job.status.value}; there is nothing to take up.",
                hint="Only a job that failed or was cancelled can be taken up.",
            )
        self.ensure_room(actor)
        if default_password:
            self._passwords[job.id] = default_password
        self._application.access.trail.record(
            actor, Entry(f"{job.task}.resume", job.tenant, job.id, "queued")
        )
        self._application.jobs.update_job(job.id, status=JobStatus.QUEUED)
        self._adopt(job)
        self._wake.set()
        return self._application.jobs.load_job(job.id)

    @property
    def is_closing(self) -> bool:
        return self._closing.is_set()

    @property
    def downloads_folder(self) -> Path:
        return self._application.home / "downloads"

    def has_open_job(self, tenant: str, task: str) -> bool:
        """Tell whether a job of this task waits or runs for a tenant, here or elsewhere."""
        return any(
            job.status is JobStatus.QUEUED or self.runner.is_alive(job.id)
            for job in self._application.jobs.list_jobs(tenant=tenant, task=task, statuses=OPEN)
        )

    def _adopt(self, job: Job) -> None:
        """Mark a job that another process began as one for this worker."""
        from reentra.jobs.runner import FOR_WORKER, KILLED

        adopted = {**job.parameters, FOR_WORKER: True, KILLED: 0}
        self._application.jobs.update_job(job.id, parameters=adopted)

    def _work(self) -> None:
        clock = self._application.clock
        due_at = sweep_at = float("-inf")
        while not self._closing.is_set():
            try:
                now = clock.monotonic_seconds()
                if now >= due_at:
                    due_at = now + _SCHEDULE_SECONDS
                    self._begin_due()
                if now >= sweep_at:
                    sweep_at = now + _SWEEP_SECONDS
                    self._sweep_downloads()
                self._begin_queued()
            except errors.Error as failure:
                _log.warning("The worker goes on after: %s", failure.message)
            except Exception as failure:  # noqa: BLE001  the edge: a worker that ends runs no backup
                _log.error("The worker goes on after: %s", type(failure).__name__)
            self._wake.wait(_LOOK_SECONDS)
            self._wake.clear()

    def _begin_due(self) -> None:
        for tenant in self._application.schedules.take_due():
            if self.has_open_job(tenant, "backup"):
                entry = Entry("backup", tenant, result="skipped", detail={"why": "one is running"})
                self._application.access.trail.record(SYSTEM, entry)
            else:
                parameters = {"full": False, "anew": False, "kinds": []}
                self.enqueue(SYSTEM, "backup", tenant=tenant, parameters=parameters)

    def _begin_next(self, job: Job, result: str) -> None:
        """Let forgetting follow a scheduled backup, and pruning the forgetting, as policies want.

        What somebody else works on now is left to the next time.
        """
        from reentra.repository import load_policy
        from reentra.repository.forgetting import COLLECTION

        if job.who != SYSTEM.name or result not in _WELL:
            return
        repository = self._application.repository
        if job.task == "backup":
            tenant_id = self._application.connections.find(job.tenant).tenant_id
            if not load_policy(repository, tenant_id).is_empty:
                parameters = {"snapshots": [], "apply_policy": True}
                self.enqueue(SYSTEM, "forget", tenant=job.tenant, parameters=parameters)
        elif job.task == "forget":
            is_waiting = self.has_open_job("", "prune")
            if repository.list_documents(COLLECTION) and not is_waiting:
                self.enqueue(SYSTEM, "prune")

    def _begin_queued(self) -> None:
        for job in self.runner.list_queued():
            with self._lock:
                is_taken = job.id in self._busy or (
                    job.tenant and job.tenant in self._busy.values()
                )
                if is_taken or len(self._busy) >= self._lanes or self._closing.is_set():
                    continue
                self._busy[job.id] = job.tenant
            self._pool.submit(self._run, job)

    def _run(self, job: Job) -> None:
        result = "failed"
        try:
            with self._application.visiting() as visitor:
                context = TaskContext(visitor, progress.ignore, lambda: self._password(job.id))
                done = self.runner.run_queued(job.id, context, on_start=self._follow)
            result = "cancelled" if done is None else done.status.value
        except errors.Error as failure:
            result = failure.code
        except Exception as failure:  # noqa: BLE001  the edge: the job's record tells, the rest goes on
            _log.error("Job %s ended with %s.", job.id, type(failure).__name__)
        finally:
            self._end(job, result)

    def _end(self, job: Job, result: str) -> None:
        with self._lock:
            run = self._running.pop(job.id, None)
            self._busy.pop(job.id, None)
        try:
            status = self._application.jobs.load_job(job.id).status
            if run is not None and self._closing.is_set() and status is JobStatus.CANCELLED:
                # Nobody wanted this job to end: the process does.
                self._application.jobs.update_job(job.id, status=JobStatus.QUEUED)
                result = "requeued"
            else:
                self._passwords.pop(job.id, None)
            self._application.access.trail.record(
                SYSTEM, Entry(job.task, job.tenant, job.id, result)
            )
            if not self._closing.is_set():
                self._begin_next(job, result)
        except errors.Error as failure:
            _log.warning("What follows job %s was not done: %s", job.id, failure.message)
        self._wake.set()

    def _follow(self, run: JobRun[TaskContext]) -> None:
        with self._lock:
            self._running[run.id] = run
            if self._closing.is_set():
                run.stop()

    def _password(self, job_id: str) -> str:
        given = self._passwords.get(job_id)
        if given is None:
            raise errors.UsageError(
                "Users must be created anew, and there is no default password for them: it is kept"
                " in memory only.",
                hint="Resume the job with a default password.",
            )
        return given

    def _sweep_downloads(self) -> None:
        oldest = self._application.clock.now() - dt.timedelta(hours=DOWNLOAD_HOURS)
        for path in self.downloads_folder.glob("*"):
            try:
                if dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC) < oldest:
                    path.unlink()
            except FileNotFoundError:
                continue
