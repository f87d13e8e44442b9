"""The journal: intents are durable, outcomes are merged, nothing is lost by a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from reentra import errors
from reentra.database import (
    JobStatus,
    JobStore,
    Part,
    StepOutcome,
    StepStatus,
    database_url,
    open_database,
)

POSTGRES = os.environ.get("REENTRA_TEST_POSTGRES", "")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobStore]:
    if request.param == "postgresql" and not POSTGRES:
        pytest.skip("REENTRA_TEST_POSTGRES names no PostgreSQL database")
    setting = POSTGRES if request.param == "postgresql" else ""
    database = open_database(database_url(setting, tmp_path, Part.JOBS), Part.JOBS)
    if setting:
        database.start_over()
    yield JobStore(database)
    database.dispose()


def test_a_job_is_found_by_id_and_by_an_unambiguous_beginning(store: JobStore) -> None:
    store.create_job("backup", tenant="contoso", job_id="abc1")
    store.create_job("backup", tenant="contoso", job_id="abd2", parameters={"kinds": ["user"]})
    assert store.load_job("abd").parameters == {"kinds": ["user"]}
    assert store.load_job("abc1").tenant == "contoso"
    with pytest.raises(errors.UsageError, match="Several"):
        store.load_job("ab")
    with pytest.raises(errors.NotFound):
        store.load_job("x")
    with pytest.raises(errors.NotFound):
        store.load_job("")
    with pytest.raises(errors.AlreadyExists):
        store.create_job("backup", job_id="abc1")


def test_the_beginning_of_an_id_is_never_a_pattern(store: JobStore) -> None:
    store.create_job("backup", job_id="abc1")
    with pytest.raises(errors.NotFound):
        store.load_job("%")


def test_a_status_stamps_start_and_end(store: JobStore) -> None:
    job = store.create_job("restore", who="admin")
    assert job.started_at is None
    store.update_job(job.id, status=JobStatus.RUNNING)
    started = store.load_job(job.id).started_at
    store.update_job(job.id, progress={"done": 3})
    store.update_job(job.id, status=JobStatus.RUNNING)  # resumed
    store.update_job(job.id, status=JobStatus.PARTIAL, summary={"failed": 1})
    ended = store.load_job(job.id)
    assert ended.started_at == started
    assert started is not None
    assert ended.finished_at is not None
    assert ended.finished_at >= started
    assert ended.progress == {"done": 3}
    assert ended.to_json()["summary"] == {"failed": 1}
    with pytest.raises(errors.NotFound):
        store.update_job("none", status=JobStatus.FAILED)


def test_jobs_are_listed_newest_first_and_filtered(store: JobStore) -> None:
    first = store.create_job("backup", tenant="a")
    second = store.create_job("restore", tenant="b")
    store.update_job(second.id, status=JobStatus.RUNNING)
    assert [job.id for job in store.list_jobs()] == [second.id, first.id]
    assert [job.id for job in store.list_jobs(tenant="a")] == [first.id]
    assert [job.id for job in store.list_jobs(task="restore")] == [second.id]
    assert [job.id for job in store.list_jobs(statuses=[JobStatus.QUEUED])] == [first.id]
    assert [job.id for job in store.list_jobs(limit=1, offset=1)] == [first.id]


def test_intent_then_outcome_keeps_order_attempts_and_details(store: JobStore) -> None:
    job = store.create_job("restore")
    store.plan_steps(job.id, ["s1", "s2", "s3"], {"s1": {"summary": "Create"}})
    store.record_intent(job.id, ["s2", "s1"], {"s1": {"marker": 7}})
    assert [step.step_id for step in store.list_steps(job.id, StepStatus.INTENDED)] == ["s1", "s2"]
    store.record_outcomes(job.id, [StepOutcome("s1", StepStatus.DONE, {"new_id": "n"})])
    store.record_intent(job.id, ["s2"])
    first, second, third = store.list_steps(job.id)
    assert (first.status, first.detail) == (
        StepStatus.DONE,
        {"summary": "Create", "marker": 7, "new_id": "n"},
    )
    assert (second.status, second.attempt, second.finished_at) == (StepStatus.INTENDED, 2, None)
    assert (third.status, third.attempt) == (StepStatus.PLANNED, 0)
    assert store.count_steps(job.id)[StepStatus.DONE] == 1


def test_steps_that_were_never_planned_are_added_at_the_end(store: JobStore) -> None:
    job = store.create_job("restore")
    store.record_intent(job.id, ["b"])
    store.record_outcomes(job.id, [StepOutcome("a", StepStatus.SKIPPED, {"why": "dependency"})])
    store.plan_steps(job.id, ["b", "c"])
    steps = store.list_steps(job.id)
    assert [(s.step_id, s.ordinal, s.status.value) for s in steps] == [
        ("b", 0, "intended"), ("a", 1, "skipped"), ("c", 2, "planned"),
    ]  # fmt: skip
    with pytest.raises(errors.NotFound):
        store.record_intent("none", ["x"])


def test_steps_are_found_by_name_and_named_by_how_they_stand(store: JobStore) -> None:
    job, other = store.create_job("restore"), store.create_job("restore")
    ids = [f"s{i}" for i in range(1200)]
    store.record_intent(job.id, ids)
    store.record_outcomes(job.id, [StepOutcome(one, StepStatus.FAILED) for one in ids[::100]])
    store.record_intent(other.id, ["s100", "else"])
    assert set(store.find_steps(job.id, [*ids, "else"])) == set(ids)
    assert store.find_steps(job.id, ["s100"])["s100"].status is StepStatus.FAILED
    assert store.find_steps(job.id, []) == {}
    assert sorted(store.list_step_ids(job.id, [StepStatus.FAILED])) == sorted(ids[::100])
    both = [StepStatus.FAILED, StepStatus.INTENDED]
    assert sorted(store.list_step_ids(job.id, both)) == sorted(ids)
    assert store.list_step_ids(job.id, [StepStatus.DONE]) == []


def test_two_thousand_steps_in_one_call(store: JobStore) -> None:
    job = store.create_job("restore")
    ids = [f"s{i}" for i in range(2000)]
    store.plan_steps(job.id, ids)
    store.record_intent(job.id, ids)
    assert [step.step_id for step in store.list_steps(job.id)] == ids


def test_an_intent_that_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    url = database_url("", tmp_path, Part.JOBS)
    program = textwrap.dedent("""
        import sys, time
        from reentra.database import JobStore, Part, open_database
        store = JobStore(open_database(sys.argv[1], Part.JOBS))
        store.create_job("restore", job_id="j")
        for number in range(100000):
            store.record_intent("j", [f"s{number}"])
            print(number, flush=True)
    """)
    child = subprocess.Popen([sys.executable, "-c", program, url], stdout=subprocess.PIPE)
    assert child.stdout is not None
    last = 0
    for line in child.stdout:
        last = int(line)
        if last >= 50:
            os.kill(child.pid, signal.SIGKILL)
            break
    child.wait()
    known = JobStore(open_database(url, Part.JOBS)).list_steps("j")
    assert {f"s{n}" for n in range(last + 1)} <= {step.step_id for step in known}
    assert all(step.status is StepStatus.INTENDED for step in known)
