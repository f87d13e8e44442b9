"""DBOS, tamed: one workflow whose steps are remembered, on SQLite or PostgreSQL.

DBOS is imported when the engine opens (it takes half a second). It is configured to stay silent
and alone: no conductor key, no telemetry, no log handler. Source: docs.dbos.dev.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reentra import clock as clocks
from reentra import errors

APPLICATION = "reentra"
# Pinned: DBOS's own default is a hash of the code, and an upgrade must not orphan pending jobs.
# To be raised only when a task's steps change so that an old job cannot go on.
APPLICATION_VERSION = "1"
POLLING_SECONDS = 0.05

WorkflowBody = Callable[[str], dict[str, Any]]


class Engine:
    """Runs ``body(job_id)`` so that the steps it takes are run once each, across processes.

    At most one engine may be open in a process: DBOS is a singleton.
    """

    def __init__(self, url: str, body: WorkflowBody) -> None:
        _prepare_sqlite(url)
        import dbos
        from dbos import _serialization as serialization

        class JsonSerializer(serialization.Serializer):
            """What is stored can be read without running anything, unlike DBOS's own pickles."""

            def serialize(self, data: Any) -> str:
                return json.dumps(data, default=_described)

            def deserialize(self, serialized_data: str) -> Any:
                return json.loads(serialized_data)

            def name(self) -> str:
                return "reentra_json"

        self._dbos = dbos
        self._queue = f"run-{clocks.new_id()}"
        self._queue_is_registered = False
        self._lock = threading.Lock()
        config: Any = {
            "name": APPLICATION,
            "system_database_url": url,
            "application_version": APPLICATION_VERSION,
            # A fresh executor id: DBOS must never take back by itself what another process runs.
            "executor_id": self._queue,
            "enable_otlp": False,
            "log_level": "CRITICAL",
            "serializer": JsonSerializer(),
            "notification_listener_polling_interval_sec": POLLING_SECONDS,
        }
        logger = logging.getLogger("dbos")
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
        dbos.DBOS(config=config)
        logger.handlers[:] = [logging.NullHandler()]
        dbos.DBOS.listen_queues([self._queue])

        @dbos.DBOS.workflow(name="job")
        def job(job_id: str) -> dict[str, Any]:
            return body(job_id)

        self._workflow = job
        dbos.DBOS.launch()

    def start(self, job_id: str) -> Callable[[], dict[str, Any]]:
        """Begin a job in a thread; the callable waits for it and returns what ``body`` returned."""
        with self._dbos.SetWorkflowID(job_id):
            handle = self._dbos.DBOS.start_workflow(self._workflow, job_id)
        return handle.get_result

    def resume(self, job_id: str) -> Callable[[], dict[str, Any]]:
        """Go on with a job that some process began; start it when none came that far.

        The caller holds the job's claim. Finished steps return what they returned then.
        """
        from dbos import _error as dbos_errors

        # A queue of this process alone: no other process may pick the job up.
        with self._lock:
            if not self._queue_is_registered:
                self._dbos.DBOS.register_queue(self._queue, polling_interval_sec=POLLING_SECONDS)
                self._queue_is_registered = True
        try:
            handle = self._dbos.DBOS.resume_workflow(job_id, queue_name=self._queue)
        except dbos_errors.DBOSNonExistentWorkflowError:
            return self.start(job_id)
        return lambda: handle.get_result(polling_interval_sec=POLLING_SECONDS)

    def step(self, name: str, function: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Run ``function`` once and remember what it returned; only inside ``body``."""
        return self._dbos.DBOS.run_step({"name": name}, function)

    def leave_resumable(self, job_id: str) -> None:
        """Say that the job did not end, so that ``resume`` may go on with it."""
        self._dbos.DBOS.cancel_workflow(job_id)

    def close(self) -> None:
        if self._queue_is_registered:
            self._dbos.DBOS.delete_queue(self._queue)
        self._dbos.DBOS.destroy(destroy_registry=True)


def _described(value: object) -> Any:
    """Return what is stored for a value that is no JSON: exceptions, which are kept as words."""
    if isinstance(value, BaseException):
        return {"error": type(value).__name__, "message": str(value)}
    raise TypeError(f"{type(value).__name__} is not JSON")


def _prepare_sqlite(url: str) -> None:
    """Make the folder and set WAL, which SQLite remembers in the file."""
    prefix = "sqlite:///"
    if not url.startswith(prefix):
        return
    path = Path(url.removeprefix(prefix))
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(path, timeout=30)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        finally:
            connection.close()
        path.chmod(0o600)
    except (OSError, sqlite3.Error) as failure:
        raise errors.ConfigurationError(
            f"The job database {path} cannot be used: {failure}.",
            hint="Check that REENTRA_HOME is a folder that you may write to.",
        ) from failure
