"""The durable tasks: thin functions that join backup, catalog, restore and download to jobs.

Each takes a ``JobRun`` whose parameters are JSON and whose context is this process's open
application, and returns a ``TaskResult`` whose summary is what ``--json`` ends with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reentra import errors, progress
from reentra.jobs import JobRun, Task, TaskResult, TaskStatus

if TYPE_CHECKING:
    from reentra.app import Application
    from reentra.backup import Base
    from reentra.repository import Manifest

PLANS = "plans"  # collection of restore plans in the repository, by plan id


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
    from reentra.backup import BackupOptions, BackupStatus, run_backup

    application = run.context.application
    listener = listening(run)
    tenant = application.open_tenant(run.tenant, priority="low", listener=listener)
    result = run_backup(
        tenant.client,
        tenant.live,
        application.repository,
        CatalogBases(application),
        BackupOptions(
            kinds=tuple(run.parameters.get("kinds", ())),
            is_full=bool(run.parameters.get("full")),
        ),
        clock=application.clock,
        listener=listener,
    )
    application.catalog.sync(tenant.connection.tenant_id, listener)
    is_partial = result.status is BackupStatus.PARTIAL
    return TaskResult(
        TaskStatus.PARTIAL if is_partial else TaskStatus.SUCCEEDED, result.to_json()
    )


@dataclass(frozen=True, slots=True)
class CatalogBases:
    """Gives a backup its parent's state out of the catalog, brought up to date first."""

    application: Application

    def open_base(self, parent: Manifest) -> Base:
        from reentra.catalog import CatalogBase

        self.application.catalog.sync(parent.tenant_id)
        return CatalogBase(self.application.catalog, parent.tenant_id, parent.id)


def check(run: Run) -> TaskResult:
    """Verify the repository against every promise of its format."""
    from reentra.repository import check_repository

    application = run.context.application
    report = check_repository(
        application.repository,
        read_data=not run.parameters.get("quick"),
        expected_heads=application.catalog.known_heads(),
        listener=listening(run),
    )
    return TaskResult(
        TaskStatus.SUCCEEDED if report.is_whole else TaskStatus.FAILED, report.to_json()
    )


def rebuild(run: Run) -> TaskResult:
    """Make the catalog anew from the repository alone."""
    report = run.context.application.catalog.rebuild(listening(run))
    return TaskResult(TaskStatus.SUCCEEDED, report.to_json())


def download(run: Run) -> TaskResult:
    """Write a selection of a snapshot to a zip of JSON."""
    from reentra.directory.selection import Selection
    from reentra.download import write_zip

    application = run.context.application
    tenant_id = application.connections.find(run.tenant).tenant_id
    listener = listening(run)
    application.catalog.sync(tenant_id, listener)
    path = Path(run.parameters["path"])
    written = write_zip(
        application.catalog.state(tenant_id, run.parameters["snapshot"]),
        Selection.from_json(run.parameters["selection"]),
        path,
        has_relationships=bool(run.parameters["relationships"]),
        clock=application.clock,
        listener=listener,
    )
    return TaskResult(
        TaskStatus.SUCCEEDED, {"snapshot": run.parameters["snapshot"], **written.to_json()}
    )


TASKS: tuple[Task[TaskContext], ...] = (
    Task("backup", backup),
    Task("check", check),
    Task("rebuild", rebuild),
    Task("download", download),
)
