"""A process that runs counted steps as a job, to be killed by the tests."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reentra import errors
from reentra.database import JobStore, Part, open_database
from reentra.jobs import JobRun, JobRunner, Task, TaskResult, TaskStatus


@dataclass(slots=True)
class Context:
    folder: Path
    pause_seconds: float = 0.0
    fail_at: int = -1


def counting(run: JobRun[Context]) -> TaskResult:
    """Append each number to a file, one durable step a number."""
    total = int(run.parameters["steps"])
    for number in range(total):
        if run.should_stop():
            return TaskResult(TaskStatus.CANCELLED, {"counted": number})

        def count(number: int = number) -> dict[str, Any]:
            if number == run.context.fail_at:
                raise errors.Unavailable("The far side is down.")
            time.sleep(run.context.pause_seconds)
            with (run.context.folder / "counted").open("a") as file:
                file.write(f"{number}\n")
            return {"number": number}

        assert run.step("count", count) == {"number": number}
    return TaskResult(TaskStatus.SUCCEEDED, {"counted": total})


TASKS = (
    Task("count", counting, continues_by_itself=True),
    Task("count_by_hand", counting),
)


def make_runner(folder: Path) -> JobRunner[Context]:
    store = JobStore(open_database(f"sqlite:///{folder / 'jobs.sqlite'}", Part.JOBS))
    return JobRunner(store, f"sqlite:///{folder / 'steps.sqlite'}", folder / "claims", TASKS)


def main() -> None:
    folder, task, steps = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    runner = make_runner(folder)
    try:
        runner.run(task, Context(folder, 0.02), parameters={"steps": steps}, who="worker")
    finally:
        runner.close()


if __name__ == "__main__":
    main()
