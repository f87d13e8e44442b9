"""The durable journal of jobs and their steps. It knows no task and no tenant's content.

The order that makes a job safe to repeat: ``record_intent`` before a write leaves the machine,
``record_outcomes`` after its answer came. A step that is intended and has no outcome may or may not
have happened: whoever resumes looks first.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import sqlalchemy as sa

from reentra import clock as clocks
from reentra import errors
from reentra.database.engine import Database
from reentra.database.tables import JOB, JOB_STEP

_CHUNK = 500


class JobStatus(enum.StrEnum):
    """How a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING)


class StepStatus(enum.StrEnum):
    """How one step of a job stands."""

    PLANNED = "planned"
    INTENDED = "intended"  # its write may have happened
    DONE = "done"
    ALREADY = "already"  # it was so before
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Job:
    """One run. ``tenant`` is its name. No field ever holds a secret."""

    id: str
    tenant: str
    task: str
    status: JobStatus
    created_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    who: str
    parameters: Mapping[str, Any]
    progress: Mapping[str, Any]
    summary: Mapping[str, Any]
    error: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "tenant": self.tenant,
            "task": self.task,
            "status": self.status.value,
            "created_at": clocks.iso(self.created_at),
            "started_at": None if self.started_at is None else clocks.iso(self.started_at),
            "finished_at": None if self.finished_at is None else clocks.iso(self.finished_at),
            "who": self.who,
            "parameters": dict(self.parameters),
            "progress": dict(self.progress),
            "summary": dict(self.summary),
            "error": dict(self.error),
        }


@dataclass(frozen=True, slots=True)
class JobStep:
    """One step of a job, as the journal knows it. ``attempt`` counts intents."""

    step_id: str
    ordinal: int
    status: StepStatus
    attempt: int
    intended_at: dt.datetime | None
    finished_at: dt.datetime | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What became of a step. ``detail`` is merged over what the journal has."""

    step_id: str
    status: StepStatus
    detail: Mapping[str, Any] = field(default_factory=dict)


class JobStore:
    """Jobs and their steps in a database. Every method that writes is durable on return."""

    def __init__(self, database: Database, *, clock: clocks.Clock = clocks.SYSTEM) -> None:
        self._database = database
        self._clock = clock

    def create_job(
        self,
        task: str,
        *,
        tenant: str = "",
        who: str = "",
        parameters: Mapping[str, Any] | None = None,
        job_id: str | None = None,
        status: JobStatus = JobStatus.QUEUED,
    ) -> Job:
        """Record a new job. ``parameters`` must hold no secret.

        Raises: ``errors.AlreadyExists`` when ``job_id`` is taken.
        """
        row = {
            "id": job_id or clocks.new_id(),
            "tenant": tenant,
            "task": task,
            "status": status.value,
            "created_at": _stored_time(self._clock.now()),
            "started_at": None,
            "finished_at": None,
            "who": who,
            "parameters": _json(parameters),
            "progress": "{}",
            "summary": "{}",
            "error": "{}",
        }
        try:
            with self._database.writing() as connection:
                connection.execute(sa.insert(JOB), row)
        except sa.exc.IntegrityError as error:
            raise errors.AlreadyExists(
                f"There is a job {row['id']} already.", hint="Leave the id to be chosen."
            ) from error
        return _job(row)

    def rename_tenant(self, before: str, after: str) -> None:
        """Move all jobs of one tenant's name to another name."""
        with self._database.writing() as connection:
            connection.execute(sa.update(JOB).where(JOB.c.tenant == before).values(tenant=after))

    def update_job(
        self,
        job_id: str,
        *,
        status: JobStatus | None = None,
        parameters: Mapping[str, Any] | None = None,
        progress: Mapping[str, Any] | None = None,
        summary: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> None:
        """Change what is given; the start and the end are stamped when the status says so.

        Raises: ``errors.NotFound``.
        """
        values: dict[str, Any] = {}
        given = {
            "parameters": parameters, "progress": progress, "summary": summary, "error": error,
        }  # fmt: skip
        for name, value in given.items():
            if value is not None:
                values[name] = _json(value)
        if status is not None:
            now = _stored_time(self._clock.now())
            values["status"] = status.value
            values["finished_at"] = now if status.is_final else None
            if status is JobStatus.RUNNING:
                values["started_at"] = sa.func.coalesce(JOB.c.started_at, now)
        if not values:
            return
        with self._database.writing() as connection:
            changed = connection.execute(sa.update(JOB).where(JOB.c.id == job_id).values(values))
        if changed.rowcount == 0:
            raise _no_job(job_id)

    def list_jobs(
        self,
        *,
        tenant: str | None = None,
        task: str | None = None,
        statuses: Sequence[JobStatus] = (),
        limit: int = 100,
        offset: int = 0,
    ) -> list[Job]:
        """Return jobs, newest first."""
        query = sa.select(JOB).order_by(JOB.c.created_at.desc(), JOB.c.id).limit(limit)
        if tenant is not None:
            query = query.where(JOB.c.tenant == tenant)
        if task is not None:
            query = query.where(JOB.c.task == task)
        if statuses:
            query = query.where(JOB.c.status.in_([status.value for status in statuses]))
        with self._database.reading() as connection:
            rows = connection.execute(query.offset(offset)).mappings().all()
        return [_job(row) for row in rows]

    def load_job(self, job_id: str) -> Job:
        """Return one job by its id or an unambiguous beginning of it.

        Raises: ``errors.NotFound``; ``errors.UsageError`` when several begin so.
        """
        query = sa.select(JOB).where(JOB.c.id.startswith(job_id, autoescape=True)).limit(2)
        with self._database.reading() as connection:
            exact = connection.execute(sa.select(JOB).where(JOB.c.id == job_id)).mappings().first()
            rows = [exact] if exact else connection.execute(query).mappings().all()
        if not rows or not job_id:
            raise _no_job(job_id)
        if len(rows) > 1:
            raise errors.UsageError(
                f"Several jobs begin with {job_id!r}.", hint="Give more of the id."
            )
        return _job(rows[0])

    def plan_steps(
        self,
        job_id: str,
        step_ids: Sequence[str],
        details: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Record steps to be done, in this order; those already known stay as they are."""
        self._add(job_id, step_ids, details or {}, StepStatus.PLANNED)

    def record_intent(
        self,
        job_id: str,
        step_ids: Sequence[str],
        details: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Record that these steps are about to be written to the far side.

        It is on the disk when this returns. A step that was never planned is added at the end.
        ``details`` (by step id) are merged over what is known.
        Raises: ``errors.NotFound``.
        """
        self._add(job_id, step_ids, details or {}, StepStatus.INTENDED)

    def record_outcomes(self, job_id: str, outcomes: Sequence[StepOutcome]) -> None:
        """Record what became of steps. Recording the same outcome again changes nothing.

        A step that the journal does not know (skipped before any intent) is added at the end.
        """
        by_id = {outcome.step_id: outcome for outcome in outcomes}
        now = _stored_time(self._clock.now())
        with self._database.writing() as connection:
            self._insert(connection, job_id, list(by_id), {}, StepStatus.PLANNED)
            known = _details(connection, job_id, list(by_id))
            _update_each(
                connection,
                job_id,
                {"status": sa.bindparam("new_status"), "finished_at": now},
                [
                    {
                        "its_step": step_id,
                        "new_status": by_id[step_id].status.value,
                        "new_detail": _json({**detail, **by_id[step_id].detail}),
                    }
                    for step_id, detail in known.items()
                ],
            )

    def list_steps(
        self,
        job_id: str,
        status: StepStatus | None = None,
        *,
        after: int = -1,
        limit: int | None = None,
    ) -> list[JobStep]:
        """Return a job's steps in order: all, or at most ``limit`` after that ordinal."""
        query = sa.select(JOB_STEP).where(JOB_STEP.c.job_id == job_id).order_by("ordinal")
        query = query.where(JOB_STEP.c.ordinal > after)
        if limit is not None:
            query = query.limit(limit)
        if status is not None:
            query = query.where(JOB_STEP.c.status == status.value)
        with self._database.reading() as connection:
            return [_step(row) for row in connection.execute(query).mappings()]

    def find_steps(self, job_id: str, step_ids: Sequence[str]) -> dict[str, JobStep]:
        """Return those of the named steps that the journal knows, by id."""
        found: dict[str, JobStep] = {}
        with self._database.reading() as connection:
            for start in range(0, len(step_ids), _CHUNK):
                named = JOB_STEP.c.step_id.in_(step_ids[start : start + _CHUNK])
                query = sa.select(JOB_STEP).where(JOB_STEP.c.job_id == job_id, named)
                steps = (_step(row) for row in connection.execute(query).mappings())
                found.update((step.step_id, step) for step in steps)
        return found

    def list_step_ids(self, job_id: str, statuses: Sequence[StepStatus]) -> list[str]:
        """Return the ids of the steps that stand in one of these ways, in no order."""
        values = [status.value for status in statuses]
        query = sa.select(JOB_STEP.c.step_id).where(
            JOB_STEP.c.job_id == job_id, JOB_STEP.c.status.in_(values)
        )
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars().all())  # one by one costs twice

    def count_steps(self, job_id: str) -> dict[StepStatus, int]:
        """Return how many steps stand how; every status is a key."""
        query = (
            sa.select(JOB_STEP.c.status, sa.func.count())
            .where(JOB_STEP.c.job_id == job_id)
            .group_by(JOB_STEP.c.status)
        )
        with self._database.reading() as connection:
            found = {row[0]: row[1] for row in connection.execute(query)}
        return {status: found.get(status.value, 0) for status in StepStatus}

    def _add(
        self,
        job_id: str,
        step_ids: Sequence[str],
        details: Mapping[str, Mapping[str, Any]],
        status: StepStatus,
    ) -> None:
        ids = list(dict.fromkeys(step_ids))
        with self._database.writing() as connection:
            self._insert(connection, job_id, ids, details, StepStatus.PLANNED)
            if status is not StepStatus.INTENDED:
                return
            now = _stored_time(self._clock.now())
            _update_each(
                connection,
                job_id,
                {
                    "status": status.value,
                    "attempt": JOB_STEP.c.attempt + 1,
                    "intended_at": now,
                    "finished_at": None,
                },
                [
                    {
                        "its_step": step_id,
                        "new_detail": _json({**known, **details.get(step_id, {})}),
                    }
                    for step_id, known in _details(connection, job_id, ids).items()
                ],
            )

    @staticmethod
    def _insert(
        connection: sa.Connection,
        job_id: str,
        step_ids: Sequence[str],
        details: Mapping[str, Mapping[str, Any]],
        status: StepStatus,
    ) -> None:
        known = connection.execute(sa.select(JOB.c.id).where(JOB.c.id == job_id)).first()
        if known is None:
            raise _no_job(job_id)
        if not step_ids:
            return
        present = _details(connection, job_id, step_ids)
        fresh = [step_id for step_id in step_ids if step_id not in present]
        if not fresh:
            return
        last = connection.execute(
            sa.select(sa.func.max(JOB_STEP.c.ordinal)).where(JOB_STEP.c.job_id == job_id)
        ).scalar()
        first = 0 if last is None else last + 1
        connection.execute(
            sa.insert(JOB_STEP),
            [
                {
                    "job_id": job_id,
                    "step_id": step_id,
                    "ordinal": first + index,
                    "status": status.value,
                    "attempt": 0,
                    "intended_at": None,
                    "finished_at": None,
                    "detail": _json(details.get(step_id)),
                }
                for index, step_id in enumerate(fresh)
            ],
        )


def _update_each(
    connection: sa.Connection,
    job_id: str,
    values: Mapping[str, Any],
    rows: Sequence[Mapping[str, str]],
) -> None:
    """Give each step its ``new_detail`` and all of them ``values``, as one statement."""
    if rows:
        connection.execute(
            sa.update(JOB_STEP)
            .where(JOB_STEP.c.job_id == job_id, JOB_STEP.c.step_id == sa.bindparam("its_step"))
            .values(detail=sa.bindparam("new_detail"), **values),
            list(rows),
        )


def _details(
    connection: sa.Connection, job_id: str, step_ids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(step_ids), _CHUNK):
        query = sa.select(JOB_STEP.c.step_id, JOB_STEP.c.detail).where(
            JOB_STEP.c.job_id == job_id,
            JOB_STEP.c.step_id.in_(step_ids[start : start + _CHUNK]),
        )
        for step_id, detail in connection.execute(query):
            found[step_id] = orjson.loads(detail)
    return found


def _no_job(job_id: str) -> errors.NotFound:
    return errors.NotFound(
        f"There is no job {job_id!r}.", hint="Look in the list of jobs.", typed="reentra jobs list"
    )


def _json(value: Mapping[str, Any] | None) -> str:
    return orjson.dumps(dict(value or {})).decode()


def _stored_time(moment: dt.datetime) -> str:
    # Always with microseconds, so that text sorts as time.
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _time(text: str | None) -> dt.datetime | None:
    return None if text is None else clocks.parse_iso(text)


def _job(row: Mapping[str, Any] | sa.RowMapping) -> Job:
    return Job(
        id=row["id"],
        tenant=row["tenant"],
        task=row["task"],
        status=JobStatus(row["status"]),
        created_at=clocks.parse_iso(row["created_at"]),
        started_at=_time(row["started_at"]),
        finished_at=_time(row["finished_at"]),
        who=row["who"],
        parameters=orjson.loads(row["parameters"]),
        progress=orjson.loads(row["progress"]),
        summary=orjson.loads(row["summary"]),
        error=orjson.loads(row["error"]),
    )


def _step(row: sa.RowMapping) -> JobStep:
    return JobStep(
        step_id=row["step_id"],
        ordinal=row["ordinal"],
        status=StepStatus(row["status"]),
        attempt=row["attempt"],
        intended_at=_time(row["intended_at"]),
        finished_at=_time(row["finished_at"]),
        detail=orjson.loads(row["detail"]),
    )
