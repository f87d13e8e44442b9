"""Claims: which process runs a job, and how another one asks it to stop.

A claim is an exclusive ``flock`` on a file named after the job. A process that is killed loses
its claims at once, so nobody has to guess from ages or process ids whether it still lives.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Claims:
    """The claims of the jobs of one installation, as files in ``folder``."""

    __slots__ = ("_folder", "_held")

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    def take(self, job_id: str) -> bool:
        """Claim a job for this process; ``False`` when a living process holds it."""
        if job_id in self._held:
            return False
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        while True:
            descriptor = os.open(self._path(job_id), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                return False
            if self._is_current(job_id, descriptor):
                self._held[job_id] = descriptor
                self._stop_path(job_id).unlink(missing_ok=True)
                return True
            # Its holder removed the file between our open and our lock: the lock guards nothing.
            os.close(descriptor)

    def release(self, job_id: str) -> None:
        """Give a claim back; harmless when there is none."""
        descriptor = self._held.pop(job_id, None)
        if descriptor is None:
            return
        self._stop_path(job_id).unlink(missing_ok=True)
        self._path(job_id).unlink(missing_ok=True)
        os.close(descriptor)

    def ask_to_stop(self, job_id: str) -> bool:
        """Leave word for the process that holds the claim; ``False`` when there is none."""
        if not self.is_held(job_id):
            return False
        self._stop_path(job_id).touch(mode=0o600)
        return True

    def is_asked_to_stop(self, job_id: str) -> bool:
        return self._stop_path(job_id).exists()

    def is_held(self, job_id: str) -> bool:
        """Tell whether a living process, this one or another, has the claim."""
        if job_id in self._held:
            return True
        try:
            descriptor = os.open(self._path(job_id), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        else:
            return False
        finally:
            os.close(descriptor)

    def _path(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.claim"

    def _stop_path(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.stop"

    def _is_current(self, job_id: str, descriptor: int) -> bool:
        try:
            named = self._path(job_id).stat()
        except FileNotFoundError:
            return False
        opened = os.fstat(descriptor)
        return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)
