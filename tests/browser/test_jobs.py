"""W-23: jobs are listed, followed live by everybody, stopped, and outlive the server."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .conftest import Stage
from .hands import Visitor
from .test_restoring import address_of, change_titles, previewed_page, titles
from .waiting import PASSWORD, PASSWORD_LABEL, begun, ended, fetch_job, job_of
from .window import Visitors, expect

Visit = Callable[..., Visitor]
LATER_MS = 30_000


@contextmanager
def slowed(stage: Stage, match: str, seconds: int = 2) -> Iterator[None]:
    """Let the tenant answer some requests late."""
    slow = {"match": match, "what": "delay", "seconds": seconds, "times": 1000}
    with stage.script() as script:
        script.control("POST", "faults", slow)
        try:
            yield
        finally:
            script.control("DELETE", "faults")


def test_w23_jobs_are_listed_and_one_is_told_object_by_object(stage: Stage, visit: Visit) -> None:
    visitor = visit("rolf", "/tenants/contoso/jobs?cursor=")
    page = visitor.page
    expect(page.get_by_role("columnheader", name="Started by")).to_be_visible()
    visitor.choose("Status", "failed")
    page.wait_for_url("**status=failed*")
    expect(page.get_by_role("row").filter(has_text="Failed").first).to_be_visible()
    visitor.open(f"/tenants/contoso/jobs/{stage.facts['restore_job']}")
    with page.expect_download() as found:
        visitor.press("Download as CSV")
    lines = Path(found.value.path()).read_text().splitlines()
    assert len(lines) >= 2
    visitor.open(f"/tenants/contoso/jobs/{stage.facts['failed_job']}")
    expect(page.get_by_role("alert").first).to_be_visible()
    visitor.end()


def test_w23_a_job_is_followed_live_and_cancelled(stage: Stage, visit: Visit) -> None:
    visitor = visit("olga", "/tenants/contoso/jobs")
    with slowed(stage, "GET .", 8):
        visitor.press("Back Up Now")
        job = job_of(visitor.window)
        begun(visitor.window, job)
        expect(visitor.page.get_by_text("Live", exact=True)).to_be_visible(timeout=LATER_MS)
        expect(visitor.page.get_by_text("Running").first).to_be_visible(timeout=LATER_MS)
        visitor.press("Cancel")
        assert ended(visitor.window, job)["status"] == "cancelled"
    expect(visitor.page.get_by_text("It was stopped.")).to_be_visible(timeout=LATER_MS)
    visitor.press("Resume")
    expect(visitor.page.get_by_text("It was stopped.")).to_have_count(0, timeout=LATER_MS)
    assert ended(visitor.window, job)["status"] in ("succeeded", "partial")
    expect(visitor.page.get_by_text("What it holds")).to_be_visible(timeout=LATER_MS)
    visitor.end()


def test_w23_a_server_that_is_killed_in_mid_restore_goes_on_and_two_people_see_it(
    stage: Stage, visit: Visit, visitors: Visitors
) -> None:
    users = stage.spare(3)
    with stage.script() as script:
        change_titles(script, users)
        visitor = visit("rita", address_of(*users))
        previewed_page(visitor)
        with slowed(stage, "* ."):
            visitor.fill(PASSWORD_LABEL, PASSWORD)
            visitor.press("Restore")
            job = job_of(visitor.window)
            begun(visitor.window, job)
            other = visitors.window("rolf").open(f"/tenants/contoso/jobs/{job}")
            pages = (visitor.page, other.page)
            for page in pages:
                expect(page.get_by_text(re.compile(r"of \d+ steps|Begun"))).to_be_visible(
                    timeout=LATER_MS
                )
            time.sleep(1)
            assert fetch_job(visitor.window, job)["finished_at"] is None
            stage.kill()
            stage.begin()
        assert ended(visitor.window, job)["status"] == "succeeded"
        for page in pages:
            expect(page.get_by_text("Succeeded").first).to_be_visible(timeout=LATER_MS)
        assert titles(script, users) == ["Understudy"] * 3


def test_w23_a_backup_goes_on_after_the_server_was_restarted(stage: Stage, visit: Visit) -> None:
    visitor = visit("olga", "/tenants/contoso")
    with slowed(stage, "GET ."):
        visitor.press("Back Up Now")
        job = job_of(visitor.window)
        begun(visitor.window, job)
        stage.end()
        stage.begin()
    assert ended(visitor.window, job)["status"] in ("succeeded", "partial")
    expect(visitor.page.get_by_text("What it holds")).to_be_visible(timeout=LATER_MS)
