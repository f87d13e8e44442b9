"""Durable execution: a job survives the death of the process that runs it.

It knows names, JSON and steps; it never knows what a tenant, a snapshot or a plan is. ``tasks``
registers what is to be run.

Invariants: a finished step is not run again; a job is run by one process at a time (``claims``);
what DBOS stores is JSON, never a pickle, and never a secret; nothing here opens a connection to
anything but the configured database.

Read in this order: ``claims`` (who runs a job), ``engine`` (DBOS, tamed), ``runner``.
"""

from reentra.jobs.runner import JobRun, JobRunner, Task, TaskResult, TaskStatus

__all__ = ["JobRun", "JobRunner", "Task", "TaskResult", "TaskStatus"]
