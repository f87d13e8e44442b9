"""Jobs: a finished step is never run again, whatever happens to the process."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reentra import errors
from reentra.database import JobStatus, JobStore, Part, database_url, open_database
from reentra.jobs import JobRun, JobRunner, Task, TaskResult, TaskStatus
from reentra.jobs.claims import Claims
from reentra.jobs.runner import MOST_KILLS

WORKER = Path(__file__).with_name("worker.py")
_spec = importlib.util.spec_from_file_location("jobs_worker", WORKER)
assert _spec is not None
assert _spec.loader is not None
worker = importlib.util.module_from_spec(_spec)
sys.modules["jobs_worker"] = worker
_spec.loader.exec_module(worker)


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[JobRunner[Any]]:
    made = worker.make_runner(tmp_path)
    yield made
    made.close()


def counted(folder: Path) -> list[int]:
    file = folder / "counted"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def start_worker(folder: Path, task: str, steps: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(WORKER), str(folder), task, str(steps)])


def wait_for(condition: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def kill_in_the_middle(folder: Path, task: str, steps: int = 60) -> None:
    process = start_worker(folder, task, steps)
    try:
        wait_for(lambda: len(counted(folder)) >= 10)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(counted(folder)) < steps


def test_a_job_runs_to_its_end_and_is_recorded(runner: JobRunner[Any], tmp_path: Path) -> None:
    job_id, result = runner.run(
        "count", worker.Context(tmp_path), tenant="contoso", parameters={"steps": 3}, who="anna"
    )
    job = runner.store.load_job(job_id)
    assert result == TaskResult(TaskStatus.SUCCEEDED, {"counted": 3})
    assert (job.status, job.tenant, job.who) == (JobStatus.SUCCEEDED, "contoso", "anna")
    assert job.summary == {"counted": 3}
    assert job.started_at is not None
    assert job.finished_at is not None
    assert counted(tmp_path) == [0, 1, 2]


def test_a_killed_job_goes_on_where_it_was(runner: JobRunner[Any], tmp_path: Path) -> None:
    kill_in_the_middle(tmp_path, "count")
    before = counted(tmp_path)
    waiting = runner.reap()
    assert [job.status for job in waiting] == [JobStatus.RUNNING]
    result = runner.resume(waiting[0].id, worker.Context(tmp_path))
    assert result.status is TaskStatus.SUCCEEDED
    after = counted(tmp_path)
    # The step that was being recorded when the process died may be run once more; no other.
    assert sorted(set(after)) == list(range(60))
    assert len(after) <= 61
    assert after[: len(before)] == before
    assert runner.store.load_job(waiting[0].id).status is JobStatus.SUCCEEDED
    assert runner.reap() == []


def test_a_killed_job_that_waits_for_a_person_is_marked_as_failed(
    runner: JobRunner[Any], tmp_path: Path
) -> None:
    kill_in_the_middle(tmp_path, "count_by_hand")
    assert runner.reap() == []
    job = runner.store.list_jobs()[0]
    assert job.status is JobStatus.FAILED
    assert job.error["code"] == "interrupted"
    assert runner.resume(job.id, worker.Context(tmp_path)).status is TaskStatus.SUCCEEDED


def test_a_running_job_is_left_alone_by_other_processes(
    runner: JobRunner[Any], tmp_path: Path
) -> None:
    process = start_worker(tmp_path, "count", 400)
    try:
        wait_for(lambda: len(counted(tmp_path)) >= 3)
        job = runner.store.list_jobs()[0]
        assert runner.is_alive(job.id)
        assert runner.reap() == []
        with pytest.raises(errors.Refused, match="running in another process"):
            runner.resume(job.id, worker.Context(tmp_path))
    finally:
        process.kill()
        process.wait()


def test_another_process_can_cancel_a_job_and_it_can_be_taken_up_again(
    runner: JobRunner[Any], tmp_path: Path
) -> None:
    process = start_worker(tmp_path, "count", 200)
    try:
        wait_for(lambda: len(counted(tmp_path)) >= 3)
        job = runner.store.list_jobs()[0]
        assert runner.request_cancel(job.id)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()
    assert runner.store.load_job(job.id).status is JobStatus.CANCELLED
    assert len(counted(tmp_path)) < 200
    assert runner.resume(job.id, worker.Context(tmp_path)).summary == {"counted": 200}
    assert sorted(set(counted(tmp_path))) == list(range(200))


def test_a_failed_step_is_tried_anew_when_the_job_is_taken_up(
    runner: JobRunner[Any], tmp_path: Path
) -> None:
    with pytest.raises(errors.Unavailable, match="far side"):
        runner.run("count", worker.Context(tmp_path, fail_at=2), parameters={"steps": 4})
    job = runner.store.list_jobs()[0]
    assert job.status is JobStatus.FAILED
    assert job.error["code"] == "unavailable"
    assert runner.resume(job.id, worker.Context(tmp_path)).status is TaskStatus.SUCCEEDED
    assert counted(tmp_path) == [0, 1, 2, 3]
    assert runner.store.load_job(job.id).error == {}


def test_an_ended_job_cannot_be_taken_up(runner: JobRunner[Any], tmp_path: Path) -> None:
    job_id, _ = runner.run("count", worker.Context(tmp_path), parameters={"steps": 1})
    with pytest.raises(errors.UsageError, match="has ended"):
        runner.resume(job_id, worker.Context(tmp_path))


def test_cancelling_a_job_whose_process_died_marks_it(
    runner: JobRunner[Any], tmp_path: Path
) -> None:
    kill_in_the_middle(tmp_path, "count")
    job = runner.store.list_jobs()[0]
    assert not runner.request_cancel(job.id)
    assert runner.store.load_job(job.id).status is JobStatus.CANCELLED
    assert runner.reap() == []


def test_an_unforeseen_error_is_recorded_without_its_words(tmp_path: Path) -> None:
    def broken(run: JobRun[Any]) -> TaskResult:
        raise KeyError("a word that might be a secret")

    plain = worker.make_runner(tmp_path)
    runner = JobRunner(
        plain.store, f"sqlite:///{tmp_path / 's.sqlite'}", tmp_path / "c", (Task("broken", broken),)
    )
    try:
        with pytest.raises(KeyError):
            runner.run("broken", worker.Context(tmp_path))
    finally:
        runner.close()
    assert b"might be a secret" not in (tmp_path / "s.sqlite").read_bytes()
    assert runner.store.list_jobs()[0].error["message"] == "KeyError"


def test_jobs_make_no_network_connection_and_no_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("a job reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    runner = worker.make_runner(tmp_path)
    try:
        runner.run("count", worker.Context(tmp_path), parameters={"steps": 2})
        with pytest.raises(errors.Unavailable):
            runner.run("count", worker.Context(tmp_path, fail_at=0), parameters={"steps": 1})
    finally:
        runner.close()
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""
    assert all(
        isinstance(handler, logging.NullHandler) for handler in logging.getLogger("dbos").handlers
    )


def test_what_the_engine_stores_is_json(runner: JobRunner[Any], tmp_path: Path) -> None:
    import sqlite3

    runner.run("count", worker.Context(tmp_path), parameters={"steps": 1})
    with sqlite3.connect(tmp_path / "steps.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        outputs = connection.execute("SELECT output FROM operation_outputs").fetchall()
    assert outputs == [('{"value": {"number": 0}}',)]


def test_a_claim_is_held_by_one_and_freed_by_death(tmp_path: Path) -> None:
    ours, theirs = Claims(tmp_path), Claims(tmp_path)
    assert ours.take("a")
    assert not theirs.take("a")
    assert theirs.is_held("a")
    ours.release("a")
    assert not theirs.is_held("a")
    assert theirs.take("a")
    theirs.release("a")
    assert list(tmp_path.iterdir()) == []
    child = os.fork()
    if child == 0:
        Claims(tmp_path).take("b")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert not ours.is_held("b")
    assert ours.take("b")


@pytest.mark.server
def test_jobs_run_on_postgresql_too(tmp_path: Path) -> None:
    url = os.environ.get("REENTRA_TEST_POSTGRES", "")
    if not url:
        pytest.skip("REENTRA_TEST_POSTGRES names no server; `make test-all` starts one")
    store = JobStore(open_database(database_url(url, tmp_path, Part.JOBS), Part.JOBS))
    runner = JobRunner(store, url, tmp_path / "claims", worker.TASKS)
    try:
        with pytest.raises(errors.Unavailable):
            runner.run("count", worker.Context(tmp_path, fail_at=2), parameters={"steps": 4})
        job = runner.store.list_jobs()[0]
        assert runner.resume(job.id, worker.Context(tmp_path)).summary == {"counted": 4}
    finally:
        runner.close()
    assert counted(tmp_path) == [0, 1, 2, 3]


def test_a_job_that_kills_its_process_each_time_is_given_up(runner: JobRunner[Any]) -> None:
    job = runner.enqueue("count", parameters={"steps": 3})
    for _ in range(MOST_KILLS - 1):
        runner.store.update_job(job.id, status=JobStatus.RUNNING)
        assert [one.id for one in runner.requeue_left_behind()] == [job.id]
    runner.store.update_job(job.id, status=JobStatus.RUNNING)
    assert runner.requeue_left_behind() == []
    ended = runner.store.load_job(job.id)
    assert ended.status is JobStatus.FAILED
    assert "killed 5 times" in ended.error["message"]
    assert runner.list_queued() == []
