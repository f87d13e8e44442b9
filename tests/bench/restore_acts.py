"""What a restore is asked to do. Each act runs in a process of its own and returns numbers."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reentra import progress
from reentra.app import Application
from reentra.directory.selection import Selection
from reentra.graph import client
from reentra.graph.client import GraphClient
from reentra.graph.pace import DEFAULT_LIMITS
from reentra.graph.writer import TenantWriter
from reentra.jobs import JobRun, JobRunner
from reentra.restore.apply import Applier
from reentra.restore.draft import RestoreOptions
from reentra.restore.order import Wave
from reentra.restore.steps import Action
from reentra.tasks import TASKS, TaskContext, keep_plan, make_plan

from .acts import ACTS, Numbers, Stopwatch, opened
from .tenant import TENANT_NAME

PASSWORD = "Correct-Horse-7-Battery"


def plan(home: Path, with_relationships: int) -> Numbers:
    """Plan to put every user back as the oldest snapshot has them, and keep the plan."""
    with opened(home) as application:
        oldest = _oldest(application)
        watch = Stopwatch()
        made = make_plan(
            application,
            TENANT_NAME,
            oldest,
            Selection(kinds=frozenset({"user"})),
            RestoreOptions(relationships=bool(with_relationships), max_changed_share=1.0),
            progress.ignore,
        )
        numbers = {"make_wall_seconds": watch.wall_seconds, "steps": len(made.steps)}
        keep_plan(application, made)
        return {
            **numbers,
            "wall_seconds": watch.wall_seconds,
            "cpu_seconds": watch.cpu_seconds,
        }


def apply(home: Path, selection_file: str, seconds: int) -> Numbers:
    """Restore a selection, as a job.

    Without ``seconds`` our own pace is out of the way; with them it is Graph's, and the job is
    stopped after so many.
    """
    selection = Selection.from_json(json.loads(Path(selection_file).read_text(encoding="utf-8")))
    factor = 1 if seconds else 10_000
    with opened(home) as application, _watched_writes() as writes, _clients(factor) as clients:
        made = make_plan(
            application,
            TENANT_NAME,
            _oldest(application),
            selection,
            RestoreOptions(max_changed_share=1.0),
            progress.ignore,
        )
        keep_plan(application, made)
        jobs = JobRunner(
            application.jobs, application.steps_url, application.claims_folder, TASKS,
            clock=application.clock,
        )  # fmt: skip
        watch = Stopwatch()
        clients.clear()
        try:
            _id, result = jobs.run(
                "restore",
                TaskContext(application, progress.ignore, lambda: PASSWORD),
                tenant=TENANT_NAME,
                parameters={"plan": made.id},
                on_start=lambda run: _stop_after(run, seconds),
            )
        finally:
            jobs.close()
        first, last = writes.began[0], writes.ended[-1]
        counts = Counter(step.action for step in made.steps)
        numbers: Numbers = {
            "steps": len(made.steps),
            "creations": counts[Action.CREATE],
            "updates": counts[Action.UPDATE],
            "links": counts[Action.ADD_RELATIONSHIP],
            "failed": result.summary["steps"]["failed"],
            "write_requests": writes.done_until(float("inf")),
            "requests": sum(_asked(one) for one in clients),
            "cpu_seconds": watch.cpu_seconds,
            "wall_seconds": watch.wall_seconds,
            # From the first intent to the last outcome; reading back comes after it.
            "apply_wall_seconds": last - first,
            "writes_in_window": writes.done_until(first + seconds),
        }
        return numbers


class _Writes:
    """When waves began and ended, and how many writes Graph had taken when."""

    def __init__(self) -> None:
        self.began: list[float] = []
        self.ended: list[float] = []
        self.answered: list[tuple[float, int]] = []

    def done_until(self, moment: float) -> int:
        return sum(count for at, count in self.answered if at <= moment)


@contextmanager
def _watched_writes() -> Iterator[_Writes]:
    writes = _Writes()
    send_batch, apply_wave = TenantWriter.send_batch, Applier.apply_wave

    def send(writer: TenantWriter, requests: Any) -> Any:
        answers = send_batch(writer, requests)
        writes.answered.append((time.perf_counter(), sum(1 for one in answers if one.is_good)))
        return answers

    def apply(applier: Applier, wave: Wave) -> Any:
        writes.began.append(time.perf_counter())
        records = apply_wave(applier, wave)
        writes.ended.append(time.perf_counter())
        return records

    TenantWriter.send_batch = send  # type: ignore[method-assign]
    Applier.apply_wave = apply  # type: ignore[method-assign]
    try:
        yield writes
    finally:
        TenantWriter.send_batch = send_batch  # type: ignore[method-assign]
        Applier.apply_wave = apply_wave  # type: ignore[method-assign]


@contextmanager
def _clients(factor: float) -> Iterator[list[GraphClient]]:
    """Gather the clients that are made, and give them so many times Graph's limits."""
    made: list[GraphClient] = []
    real = client.connect

    def connect(*given: Any, **options: Any) -> GraphClient:
        made.append(real(*given, limits=DEFAULT_LIMITS.scaled(factor), **options))
        return made[-1]

    client.connect = connect
    try:
        yield made
    finally:
        client.connect = real


def _asked(one: GraphClient) -> int:
    """Return how many requests a client has sent, those inside of batches one by one."""
    batches = one.usage.operations.get("POST /$batch", 0)
    return one.usage.requests - batches + one.usage.batched


def _stop_after(run: JobRun[TaskContext], seconds: int) -> None:
    if seconds:
        timer = threading.Timer(seconds, run.stop)
        timer.daemon = True
        timer.start()


def _oldest(application: Application) -> str:
    tenant_id = application.connections.find(TENANT_NAME).tenant_id
    return application.catalog.list_snapshots(tenant_id)[-1].id


ACTS.update({"plan_restore": plan, "apply_restore": apply})
