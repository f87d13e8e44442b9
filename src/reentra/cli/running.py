"""Runs a task as a job for a command: takes up what was left behind, shows progress, stops well."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reentra import errors
from reentra.cli import acting, session
from reentra.cli.screen import EXIT_PARTIAL, Screen, escaped
from reentra.jobs import JobRun, JobRunner, TaskResult, TaskStatus
from reentra.tasks import TASKS, TaskContext

if TYPE_CHECKING:
    from reentra import progress
    from reentra.app import Application
    from reentra.database import Job

EXIT_CODES: Mapping[TaskStatus, int] = {
    TaskStatus.SUCCEEDED: 0,
    TaskStatus.PARTIAL: EXIT_PARTIAL,
    TaskStatus.FAILED: 1,
    TaskStatus.CANCELLED: 130,
}


def runner(application: Application) -> JobRunner[TaskContext]:
    """Return the runner of this installation's jobs. Close it after running something."""
    return JobRunner(
        application.jobs,
        application.steps_url,
        application.claims_folder,
        TASKS,
        clock=application.clock,
    )


def run(
    application: Application,
    screen: Screen,
    task: str,
    *,
    tenant: str = "",
    parameters: Mapping[str, Any] | None = None,
    default_password_file: Path | None = None,
    default_password: str = "",
) -> tuple[str, TaskResult]:
    """Run a task to its end, after the jobs that a killed process left behind.

    ``default_password`` is the one that the caller has asked for already, if any.
    Raises: ``Interrupted`` when it was stopped; whatever the task raised.
    """
    application.repository  # noqa: B018  the passphrase is asked for before anything is begun
    acting.record(
        application, task, tenant=tenant, target=_target(parameters or {}), result="begun"
    )
    jobs = runner(application)
    try:
        with screen.progress() as listener:
            context = _context(application, listener, default_password_file, default_password)
            _take_up_left_behind(application, jobs, screen, context)
            with (
                _Stopping(screen) as stopping,
                _recorded_end(application, task, tenant) as end,
                _told_how_to_go_on(application, stopping),
            ):
                job_id, result = jobs.run(
                    task,
                    context,
                    tenant=tenant,
                    parameters=parameters,
                    who=acting.account(),
                    on_start=stopping.follow,
                )
                end.target, end.result = job_id, result.status.value
                return job_id, result
    finally:
        jobs.close()


def take_up_left_behind(
    application: Application, screen: Screen, default_password_file: Path | None
) -> None:
    """Go on with what a killed process left behind, before anything is planned on top of it."""
    application.repository  # noqa: B018
    jobs = runner(application)
    try:
        with screen.progress() as listener:
            context = _context(application, listener, default_password_file, "")
            _take_up_left_behind(application, jobs, screen, context)
    finally:
        jobs.close()


def resume(
    application: Application, screen: Screen, job: Job, default_password_file: Path | None
) -> int:
    """Go on with a job, show how it ended, and return the exit code."""
    application.repository  # noqa: B018
    jobs = runner(application)
    try:
        acting.record(
            application, f"{job.task}.resume", tenant=job.tenant, target=job.id, result="begun"
        )
        with (
            screen.progress() as listener,
            _Stopping(screen) as stopping,
            _recorded_end(application, f"{job.task}.resume", job.tenant) as end,
        ):
            context = _context(application, listener, default_password_file, "")
            end.target = job.id
            with _told_how_to_go_on(application, stopping):
                result = jobs.resume(job.id, context, on_start=stopping.follow)
            end.result = result.status.value
    finally:
        jobs.close()
    return show_result(screen, job.id, job.task, result)


def show_result(screen: Screen, job_id: str, task: str, result: TaskResult) -> int:
    """Show how a job ended, in the form of its own command, and return the exit code."""
    from reentra.cli import endings

    endings.show(screen, job_id, task, result)
    return EXIT_CODES[result.status]


def _take_up_left_behind(
    application: Application, jobs: JobRunner[TaskContext], screen: Screen, context: TaskContext
) -> None:
    for job in jobs.reap():
        screen.warn(f"Job {job.id} ({job.task} of {job.tenant}) was cut off; going on with it.")
        try:
            with (
                _Stopping(screen) as stopping,
                _recorded_end(application, f"{job.task}.resume", job.tenant) as end,
            ):
                end.target = job.id
                result = jobs.resume(job.id, context, on_start=stopping.follow)
                end.result = result.status.value
        except errors.Interrupted:
            raise
        except errors.Error as failure:
            screen.warn(
                f"Job {job.id} could not go on: {failure.message} "
                f"Take it up with `reentra jobs resume {job.id}`."
            )
        else:
            screen.warn(f"Job {job.id} {result.status.value}.")


@dataclass(slots=True)
class _End:
    """How a job ended, for the audit trail."""

    target: str = ""
    result: str = "failed"


@contextlib.contextmanager
def _recorded_end(application: Application, action: str, tenant: str) -> Iterator[_End]:
    end = _End()
    try:
        yield end
    except errors.Error as failure:
        end.result = failure.code
        raise
    finally:
        acting.record(application, action, tenant=tenant, target=end.target, result=end.result)


@contextlib.contextmanager
def _told_how_to_go_on(application: Application, stopping: _Stopping) -> Iterator[None]:
    """Let the error of a restore that ended half-way name the job, and the ways on and back."""
    try:
        yield
    except errors.Error as failure:
        job_id = stopping.job_id
        if job_id and application.jobs.list_steps(job_id):
            way_on = (
                f"Some of restore {job_id} may be done: `reentra jobs show {job_id}` tells what, "
                f"`reentra jobs resume {job_id}` goes on, `reentra jobs undo {job_id}` takes it "
                "back."
            )
            failure.hint = f"{failure.hint} {way_on}".strip()
        raise


def _target(parameters: Mapping[str, Any]) -> str:
    """Return what a job is about, in a word that the trail may hold."""
    return str(parameters.get("plan") or parameters.get("snapshot") or "")


class _Stopping:
    """Turns Ctrl-C into a stop at the border of the next step."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._run: JobRun[TaskContext] | None = None
        self._signals = session.stopping(self._stop, self._announce)

    def follow(self, run: JobRun[TaskContext]) -> None:
        self._run = run

    @property
    def job_id(self) -> str:
        """The job that has begun, or nothing."""
        return self._run.id if self._run is not None else ""

    def __enter__(self) -> _Stopping:
        self._signals.__enter__()
        return self

    def __exit__(self, *given: Any) -> None:
        self._signals.__exit__(*given)

    def _stop(self) -> None:
        if self._run is not None:
            self._run.stop()

    def _announce(self) -> None:
        self._screen.warn("Stopping after this step. Ctrl-C again leaves at once.")


def _context(
    application: Application,
    listener: progress.Listener,
    default_password_file: Path | None,
    given: str,
) -> TaskContext:
    remembered = [given] if given else []

    def ask() -> str:
        if not remembered:
            remembered.append(default_password(default_password_file))
        return remembered[0]

    return TaskContext(application, listener, ask)


def default_password(file: Path | None) -> str:
    """Return the default password of users that are created anew: from the file, or asked for."""
    if file is not None:
        return session.secret_from_file(file, "The default password")
    if not session.can_ask():
        raise errors.UsageError(
            "Users must be created anew, and there is no default password for them.",
            hint="Pass --default-password-file FILE.",
        )
    return session.asked(
        "Default password for users that are created anew: ", "the default password"
    )


def report(application: Application, job: Job, form: str) -> tuple[str, Any]:
    """Return a job's report as text of the form, and as a document."""
    from reentra import reporting

    return reporting.report(application, job, form)


def named(text: str) -> str:
    """Return a name as it is to be printed."""
    return escaped(text)
