"""What journeys wait for: a preview, a job's page, the end of a job."""

from __future__ import annotations

import re
import time
from typing import Any

from .hands import Visitor
from .window import Window, expect

JOBS = "/api/v1/tenants/contoso/jobs"
PASSWORD_LABEL = "Set default password for permanently deleted users"
PASSWORD = "Once-2026-only"
_ESTIMATE = re.compile("at least .* at Graph's write limit")
_PATIENCE_MS = 60_000


def fetch_job(window: Window, job: str) -> Any:
    """Return a job as the API tells of it."""
    return window.page.request.get(f"{window.base}{JOBS}/{job}").json()


def ended(window: Window, job: str, seconds: float = 120) -> Any:
    """Wait until a job has ended, and return it."""
    end = time.monotonic() + seconds
    while True:
        found = fetch_job(window, job)
        if found["finished_at"] is not None:
            return found
        assert time.monotonic() < end, found
        time.sleep(0.2)


def begun(window: Window, job: str, seconds: float = 60) -> None:
    """Wait until a job runs."""
    end = time.monotonic() + seconds
    while fetch_job(window, job)["status"] != "running":
        assert time.monotonic() < end
        time.sleep(0.1)


def job_of(window: Window, before: str = "") -> str:
    """Wait until the window shows a job, another than ``before``, and return its id."""
    shown = re.compile(rf"/tenants/contoso/jobs/(?!{before or '-'}$)[0-9a-f]+$")
    window.page.wait_for_url(shown)
    return window.path.rpartition("/")[2]


def previewed(visitor: Visitor) -> Any:
    """Wait until the dialog "Restore Data" shows a plan, and return the dialog."""
    dialog = visitor.dialog("Restore Data")
    expect(dialog.get_by_text(_ESTIMATE)).to_be_visible(timeout=_PATIENCE_MS)
    return dialog


def restored(visitor: Visitor, password: str = PASSWORD) -> Any:
    """Give the password, press "Restore", and return the job once it has ended."""
    visitor.fill(PASSWORD_LABEL, password)
    before = visitor.window.path.rpartition("/")[2]
    visitor.press("Restore")
    return ended(visitor.window, job_of(visitor.window, before))


def back_up(window: Window) -> str:
    """Make a backup without the pages, and return its snapshot."""
    token = window.page.request.get(f"{window.base}/api/v1/session").json()["csrf_token"]
    answer = window.page.request.post(
        f"{window.base}/api/v1/tenants/contoso/backups", data={}, headers={"x-csrf-token": token}
    )
    assert answer.ok, answer.text()
    return str(ended(window, answer.json()["id"])["summary"]["snapshot"])
