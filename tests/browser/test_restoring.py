"""From something that is lost to something that is back: search, restore dialog, preview, job."""

from __future__ import annotations

import re
import time
from typing import Any

from .conftest import Stage
from .window import Visitors, Window, expect

GROUP = "Project Aurora"
PASSWORD_LABEL = "Set default password for permanently deleted users"
OPTIONS = (
    "Restore Relationships",
    "Restore permanently deleted items only",
    "Settings Behavior",
    PASSWORD_LABEL,
)


def ended(window: Window, job: str, seconds: float = 90) -> Any:
    """Wait for a job as the API tells of it, and return it."""
    end = time.monotonic() + seconds
    while True:
        found = window.page.request.get(f"{window.base}/api/v1/tenants/contoso/jobs/{job}").json()
        if found["finished_at"] is not None:
            return found
        assert time.monotonic() < end, found
        time.sleep(0.2)


def job_of(window: Window) -> str:
    """Wait until the window shows a job, and return its id."""
    window.page.wait_for_url(re.compile(r"/tenants/contoso/jobs/[0-9a-f]+$"))
    return window.path.rpartition("/")[2]


def jobs_of(window: Window, plan: str) -> list[Any]:
    """Return the restores that were made of a plan."""
    address = f"{window.base}/api/v1/tenants/contoso/jobs?task=restore"
    found = window.page.request.get(address).json()["items"]
    return [one for one in found if one["parameters"].get("plan") == plan]


def previewed(window: Window) -> Any:
    """Wait for the preview in the dialog and return the dialog."""
    dialog = window.dialog("Restore Data")
    expect(dialog.get_by_text(re.compile("at least .* at Graph's write limit"))).to_be_visible(
        timeout=60_000
    )
    return dialog


def test_w06_w15_w16_w17_a_deleted_group_comes_back_with_its_members_by_keyboard_alone(
    stage: Stage, visitors: Visitors
) -> None:
    window = visitors.window("rita").open("/tenants/contoso/search")
    keys = window.page.keyboard
    window.tab_to("Name or principal name")
    keys.type("aurora")
    window.tab_to("Show only deleted records")
    keys.press("Space")
    keys.press("Enter")
    window.page.wait_for_url(re.compile(r"/search\?.*deleted=on"))
    row = window.page.get_by_role("row", name=re.compile(GROUP))
    expect(row.get_by_text("Deleted")).to_be_visible()
    window.tab_to(f"Select {GROUP}", role="checkbox")
    keys.press("Space")
    window.tab_to("Restore", role="button")
    keys.press("Enter")
    dialog = previewed(window)
    for label in OPTIONS:
        expect(dialog.get_by_label(label)).to_be_visible()
    expect(dialog.get_by_text("Restore Options")).to_be_visible()
    window.axe()
    window.tab_to(PASSWORD_LABEL)
    keys.type("Once-2026-only")
    window.tab_to("Restore", role="button")
    keys.press("Enter")
    job = ended(window, job_of(window))
    assert job["status"] == "succeeded"
    with stage.script() as script:
        assert script.get(f"/groups/{stage.facts['group']}")["displayName"] == GROUP
        members = script.list_all(f"/groups/{stage.facts['group']}/members?$select=id")
    assert {one["id"] for one in members} == set(stage.facts["members"][:-1])
    window.page.reload()
    expect(window.page.get_by_text("Succeeded").first).to_be_visible()
    window.assert_calm()


def test_w17_a_selection_over_two_snapshots_is_refused_with_words(visitors: Visitors) -> None:
    window = visitors.window("rita").open("/tenants/contoso/search?kind=group")
    for name in (GROUP, "Reception desk"):
        window.page.get_by_label(f"Select {name}").check()
    bar = window.page.get_by_role("region", name="Selection")
    expect(bar.get_by_text("2 selected").first).to_be_visible()
    for word in ("Restore", "Download"):
        button = bar.get_by_role("button", name=word)
        expect(button).to_be_disabled()
        assert "different snapshots" in (button.get_attribute("title") or "")
    expect(bar.get_by_text("The selection is from 2 snapshots.")).to_be_visible()
    window.axe()
    found = [
        window.page.get_by_label(f"Select {name}").get_attribute("data-ref")
        for name in (GROUP, "Reception desk")
    ]
    snapshots = {
        window.page.get_by_label(f"Select {name}").get_attribute("data-snapshot")
        for name in (GROUP, "Reception desk")
    }
    assert len(snapshots) == 2
    token = window.page.request.get(f"{window.base}/api/v1/session").json()["csrf_token"]
    answer = window.page.request.post(
        f"{window.base}/tenants/contoso/restore",
        headers={"Content-Type": "application/x-www-form-urlencoded", "Origin": window.base},
        data="&".join(
            [f"csrf_token={token}", *(f"snapshot={one}" for one in snapshots)]
            + [f"id={one}" for one in found]
        ),
    )
    assert answer.status == 400
    assert "one snapshot" in answer.text()
    # It lasts over pages, until it is cleared.
    window.open("/tenants/contoso")
    expect(bar.get_by_text("2 selected").first).to_be_visible()
    bar.get_by_role("button", name="Clear").click()
    expect(bar).to_be_hidden()
    window.assert_calm()


def test_w11_a_double_click_starts_one_job(stage: Stage, visitors: Visitors) -> None:
    user = stage.facts["moved"][0]
    with stage.script() as script:
        script.send_all([("PATCH", f"/users/{user}", {"jobTitle": "Changed by mistake"})])
    window = visitors.window("rita")
    window.open(f"/tenants/contoso/restore?snapshot=latest&id=user/{user}")
    page = window.page
    expect(page.get_by_text(re.compile("at least .* at Graph's write limit"))).to_be_visible(
        timeout=60_000
    )
    plan = (page.get_by_role("link", name="The plan as a page").get_attribute("href") or "")[-16:]
    page.get_by_label(PASSWORD_LABEL).fill("Once-2026-only")
    page.get_by_role("button", name="Restore", exact=True).dblclick()
    job = ended(window, job_of(window))
    assert job["status"] == "succeeded"
    assert [one["id"] for one in jobs_of(window, plan)] == [job["id"]]
    with stage.script() as script:
        assert script.get(f"/users/{user}?$select=jobTitle")["jobTitle"] == "Team lead"
    window.assert_calm()


def test_w23_a_server_that_is_killed_in_mid_restore_goes_on_and_the_page_shows_it(
    stage: Stage, visitors: Visitors
) -> None:
    with stage.script() as script:
        users = [one for one in stage.facts["members"] if one != stage.facts["left"]]
        before = {one: script.get(f"/users/{one}?$select=city").get("city") for one in users}
        script.send_all([("PATCH", f"/users/{one}", {"city": "Atlantis"}) for one in users])
        window = visitors.window("rita")
        chosen = "&".join(f"id=user/{one}" for one in users)
        window.open(f"/tenants/contoso/restore?snapshot=latest&{chosen}")
        page = window.page
        expect(page.get_by_text(re.compile("at least .* at Graph's write limit"))).to_be_visible(
            timeout=60_000
        )
        slow = {"match": "POST /\\$batch", "what": "delay", "seconds": 2, "times": 100}
        script.control("POST", "faults", slow)
        page.get_by_label(PASSWORD_LABEL).fill("Once-2026-only")
        page.get_by_role("button", name="Restore", exact=True).click()
        job = job_of(window)
        address = f"{window.base}/api/v1/tenants/contoso/jobs/{job}"
        while page.request.get(address).json()["status"] != "running":
            time.sleep(0.1)
        time.sleep(3)
        assert page.request.get(address).json()["finished_at"] is None
        stage.kill()
        stage.begin()
        script.control("DELETE", "faults")
        assert ended(window, job)["status"] == "succeeded"
        expect(page.get_by_text("Succeeded").first).to_be_visible(timeout=30_000)
        after = {one: script.get(f"/users/{one}?$select=city").get("city") for one in users}
    assert after == before
