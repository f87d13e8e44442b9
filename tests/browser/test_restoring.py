"""From something that is lost to something that is back: dialog, preview, job, what it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from reentra import errors
from reentra.cli.demo_tenant import Script

from .conftest import Stage
from .hands import Visitor
from .test_searching import name_of_left
from .waiting import (
    JOBS,
    PASSWORD,
    PASSWORD_LABEL,
    back_up,
    ended,
    fetch_job,
    job_of,
    previewed,
    restored,
)
from .window import Visitors, expect

GROUP = "Project Aurora"
OPTIONS = (
    "Restore Relationships",
    "Restore permanently deleted items only",
    "Settings Behavior",
    PASSWORD_LABEL,
)
Visit = Callable[..., Visitor]


def is_there(script: Script, path: str) -> bool:
    """Tell whether the tenant has something at an address."""
    try:
        script.get(path)
    except errors.Error:
        return False
    return True


def titles(script: Script, users: list[str]) -> list[str]:
    """Return the job titles of users in the tenant."""
    return [script.get(f"/users/{one}?$select=jobTitle")["jobTitle"] for one in users]


def change_titles(script: Script, users: list[str]) -> None:
    """Change what the planted users were planted with."""
    harm = {"jobTitle": "Changed by mistake"}
    script.send_all([("PATCH", f"/users/{one}", harm) for one in users])


def purge(script: Script, users: list[str]) -> None:
    """Delete users for good."""
    script.send_all([("DELETE", f"/users/{one}", None) for one in users])
    script.send_all([("DELETE", f"/directory/deletedItems/{one}", None) for one in users])


def address_of(*users: str) -> str:
    """Return the address of the dialog "Restore Data" for users of the newest snapshot."""
    return "/tenants/contoso/restore?snapshot=latest&" + "&".join(f"id=user/{o}" for o in users)


def test_w06_w15_w16_w17_a_deleted_group_comes_back_with_its_members(
    stage: Stage, visit: Visit, visitors: Visitors
) -> None:
    group, members = stage.facts["group"], set(stage.facts["members"][:-1])
    with stage.script() as script:
        if is_there(script, f"/groups/{group}"):  # the other hand was here
            back_up(visitors.window("admin"))
            script.send_all([("DELETE", f"/groups/{group}", None)])
            back_up(visitors.window("admin"))
    visitor = visit("rita", "/tenants/contoso/search")
    visitor.fill("Name or principal name", "aurora")
    visitor.tick("Show only deleted records")
    visitor.send()
    visitor.page.wait_for_url(re.compile(r"/search\?.*deleted=on"))
    row = visitor.page.get_by_role("row", name=re.compile(GROUP))
    expect(row.get_by_text("Deleted")).to_be_visible()
    visitor.tick(f"Select {GROUP}")
    visitor.press("Restore", visitor.bar)
    dialog = previewed(visitor)
    for label in OPTIONS:
        expect(dialog.get_by_label(label)).to_be_visible()
    expect(dialog.get_by_text("Restore Options")).to_be_visible()
    visitor.window.axe()
    assert restored(visitor)["status"] == "succeeded"
    with stage.script() as script:
        assert script.get(f"/groups/{group}")["displayName"] == GROUP
        found = script.list_all(f"/groups/{group}/members?$select=id")
    assert {one["id"] for one in found} == members
    visitor.page.reload()
    expect(visitor.page.get_by_text("Succeeded").first).to_be_visible()
    visitor.end()


def test_w05_w11_the_whole_snapshot_is_restored_and_what_is_equal_costs_nothing(
    stage: Stage, visit: Visit
) -> None:
    users = stage.spare(2)
    with stage.script() as script:
        change_titles(script, users)
    visitor = visit("rita", "/tenants/contoso/snapshots/latest")
    visitor.press("Restore")
    dialog = previewed(visitor)
    expect(dialog.get_by_text("everything")).to_be_visible()
    expect(dialog.get_by_role("row", name=re.compile("Change back Users"))).to_be_visible()
    assert restored(visitor)["status"] == "succeeded"
    with stage.script() as script:
        assert titles(script, users) == ["Understudy"] * 2
    visitor.end()


def test_w05_w08_of_a_kind_only_what_is_gone_for_good_is_restored(
    stage: Stage, visit: Visit
) -> None:
    gone, changed = stage.spare(2)
    with stage.script() as script:
        address = script.get(f"/users/{gone}?$select=userPrincipalName")["userPrincipalName"]
        purge(script, [gone])
        change_titles(script, [changed])
        visitor = visit("rita", "/tenants/contoso/snapshots/latest/kinds/user")
        visitor.press("Restore")
        previewed(visitor)
        visitor.tick("Restore permanently deleted items only")
        created = visitor.page.get_by_role("row", name=re.compile("Create anew, with a new id"))
        expect(created).to_be_visible(timeout=60_000)
        expect(visitor.page.get_by_role("row", name=re.compile("Change back"))).to_have_count(0)
        job = restored(visitor)
        assert job["status"] == "succeeded", job
        made = script.get(f"/users/{address}?$select=id,jobTitle")
        assert made["jobTitle"] == "Understudy"
        assert made["id"] != gone
        assert titles(script, [changed]) == ["Changed by mistake"]
        script.send_all([("PATCH", f"/users/{changed}", {"jobTitle": "Understudy"})])
    expect(visitor.page.get_by_text("New ids")).to_be_visible(timeout=30_000)
    visitor.end()


def test_w07_relationships_are_restored_only_when_it_is_on(stage: Stage, visit: Visit) -> None:
    group, lost = stage.facts["second_group"], stage.facts["members"][0]
    with stage.script() as script:
        if any(one["id"] == lost for one in script.list_all(f"/groups/{group}/members")):
            script.send_all([("DELETE", f"/groups/{group}/members/{lost}/$ref", None)])
        script.send_all([("PATCH", f"/groups/{group}", {"description": "Vandalised"})])

        def found() -> tuple[str, bool]:
            members = script.list_all(f"/groups/{group}/members")
            description = script.get(f"/groups/{group}")["description"]
            return description, lost in {one["id"] for one in members}

        path = f"/tenants/contoso/snapshots/{stage.facts['snapshots'][-1]}/kinds/group"
        visitor = visit("rita", f"{path}/objects/{group}")
        visitor.press("Restore")
        previewed(visitor)
        visitor.tick("Restore Relationships", on=False)
        links = visitor.page.get_by_role("row", name=re.compile("Add links"))
        expect(links).to_have_count(0, timeout=60_000)
        previewed(visitor)
        assert restored(visitor)["status"] == "succeeded"
        assert found() == ("Front of house", False)
        visitor.open(f"{path}/objects/{group}")
        visitor.press("Restore")
        dialog = previewed(visitor)
        expect(dialog.get_by_role("row", name=re.compile("Add links"))).to_be_visible()
        assert restored(visitor)["status"] == "succeeded"
        assert found() == ("Front of house", True)
    visitor.end()


def test_w09_settings_are_skipped_or_overwritten_as_chosen(stage: Stage, visit: Visit) -> None:
    with stage.script() as script:
        policy = "/policies/authorizationPolicy"
        before = script.get(policy)["allowInvitesFrom"]
        script.send_all([("PATCH", policy, {"allowInvitesFrom": "everyone"})])
        visitor = visit("rita", "/tenants/contoso/snapshots/latest")
        visitor.tick("Select User settings")
        visitor.press("Restore", visitor.bar)
        previewed(visitor)
        visitor.choose("Settings Behavior", "skip")
        expect(visitor.page.get_by_text("Nothing to do")).to_be_visible(timeout=60_000)
        assert script.get(policy)["allowInvitesFrom"] == "everyone"
        visitor.choose("Settings Behavior", "overwrite")
        previewed(visitor)
        assert restored(visitor)["status"] == "succeeded"
        assert script.get(policy)["allowInvitesFrom"] == before
    visitor.end()


def test_w10_w13_a_bad_default_password_fails_its_user_alone_and_is_found_nowhere(
    stage: Stage, visit: Visit
) -> None:
    gone, changed = stage.spare(2)
    weak = f"weak{gone[:8]}"
    with stage.script() as script:
        address = script.get(f"/users/{gone}?$select=userPrincipalName")["userPrincipalName"]
        purge(script, [gone])
        change_titles(script, [changed])
        visitor = visit("rita", address_of(gone, changed))
        page = visitor.page
        previewed_page(visitor)
        job = restored(visitor, weak)
        assert job["status"] == "partial", job
        assert titles(script, [changed]) == ["Understudy"]
        assert not is_there(script, f"/users/{address}")
        expect(page.get_by_text("does not comply with password complexity")).to_be_visible(
            timeout=30_000
        )
        report = page.request.get(f"{visitor.window.base}{JOBS}/{job['id']}/report.csv").text()
        told = page.content() + report + str(fetch_job(visitor.window, job["id"]))
        assert weak not in told
        assert [one for one in kept(stage.home) if weak.encode() in one.read_bytes()] == []
        # What was not done is planned anew, with a password that is good enough.
        page.reload()
        visitor.press("Plan the rest")
        dialog = previewed(visitor)
        expect(dialog.get_by_text("1 object")).to_be_visible()
        job = restored(visitor)
        assert job["status"] == "succeeded", job
        profile = script.get(f"/users/{address}?$select=passwordProfile")["passwordProfile"]
        assert profile["forceChangePasswordNextSignIn"] is True
    assert [one for one in kept(stage.home) if PASSWORD.encode() in one.read_bytes()] == []
    visitor.end()


def test_w12_a_user_who_was_removed_and_added_anew_is_the_same_user(
    stage: Stage, visit: Visit
) -> None:
    (gone,) = stage.spare(1)
    with stage.script() as script:
        old = script.get(f"/users/{gone}?$select=displayName,mailNickname,userPrincipalName")
        purge(script, [gone])
        new = script.post(
            "/users",
            {**{name: old[name] for name in ("displayName", "mailNickname", "userPrincipalName")},
             "accountEnabled": True, "passwordProfile": {"password": "Anew-2026-again"}},
        )["id"]  # fmt: skip
        visitor = visit("rita", address_of(gone))
        previewed_page(visitor)
        expect(visitor.page.get_by_role("row", name=re.compile("Change back"))).to_be_visible()
        expect(visitor.page.get_by_role("row", name=re.compile("Create anew"))).to_have_count(0)
        assert restored(visitor)["status"] == "succeeded"
        assert titles(script, [new]) == ["Understudy"]
        assert not is_there(script, f"/users/{gone}")
    visitor.end()


def test_w17_a_selection_over_two_snapshots_is_refused_with_words(
    stage: Stage, visit: Visit
) -> None:
    left, found = name_of_left(stage), []
    visitor = visit("rita")
    window, page, bar = visitor.window, visitor.page, visitor.bar
    for name in (left, "Reception desk"):
        visitor.open(f"/tenants/contoso/search?text={name}")
        visitor.tick(f"Select {name}")
        box = page.get_by_label(f"Select {name}")
        found.append([box.get_attribute(f"data-{part}") for part in ("snapshot", "ref")])
    expect(bar.get_by_text("2 selected").first).to_be_visible()
    for word in ("Restore", "Download"):
        button = bar.get_by_role("button", name=word)
        expect(button).to_be_disabled()
        assert "different snapshots" in (button.get_attribute("title") or "")
    expect(bar.get_by_text("The selection is from 2 snapshots.")).to_be_visible()
    window.axe()
    assert found[0][0] != found[1][0]
    token = page.request.get(f"{window.base}/api/v1/session").json()["csrf_token"]
    answer = page.request.post(
        f"{window.base}/tenants/contoso/restore",
        headers={"Content-Type": "application/x-www-form-urlencoded", "Origin": window.base},
        data="&".join(
            [f"csrf_token={token}", *(f"snapshot={snapshot}&id={ref}" for snapshot, ref in found)]
        ),
    )
    assert answer.status == 400
    assert "one snapshot" in answer.text()
    # It lasts over pages, until one of the two is taken out, or all are.
    visitor.open("/tenants/contoso/search?kind=group")
    expect(bar.get_by_text("2 selected").first).to_be_visible()
    visitor.unfold("2 selected", bar)
    visitor.press(f"Remove {left}", bar)
    expect(bar.get_by_role("button", name="Restore")).to_be_enabled()
    visitor.press("Clear", bar)
    expect(bar).to_be_hidden()
    visitor.end()


def test_w11_restore_pressed_twice_starts_one_job(stage: Stage, visit: Visit) -> None:
    users = stage.spare(1)
    with stage.script() as script:
        change_titles(script, users)
    visitor = visit("rita", address_of(*users))
    previewed_page(visitor)
    plan = visitor.button("The plan as a page").get_attribute("href").rpartition("/")[2]
    visitor.fill(PASSWORD_LABEL, PASSWORD)
    visitor.press_twice("Restore")
    job = ended(visitor.window, job_of(visitor.window))
    assert job["status"] == "succeeded"
    listed = visitor.page.request.get(f"{visitor.window.base}{JOBS}?task=restore").json()["items"]
    assert [one["id"] for one in listed if one["parameters"]["plan"] == plan] == [job["id"]]
    with stage.script() as script:
        assert titles(script, users) == ["Understudy"]
    visitor.end()


def test_w11_an_option_makes_a_new_plan_and_the_password_never_goes_along(
    stage: Stage, visit: Visit
) -> None:
    users = stage.spare(1)
    with stage.script() as script:
        change_titles(script, users)
    visitor = visit("rita")
    page, sent = visitor.page, list[object]()
    page.on("request", lambda one: sent.append(one) if one.method == "POST" else None)
    visitor.open(address_of(*users))
    restore = page.get_by_role("button", name="Restore", exact=True)
    plan = page.get_by_role("link", name="The plan as a page")
    expect(restore).to_be_enabled(timeout=60_000)
    first = plan.get_attribute("href")
    visitor.fill(PASSWORD_LABEL, PASSWORD)
    visitor.tick("Restore permanently deleted items only")
    expect(page.get_by_text("Nothing to do")).to_be_visible(timeout=60_000)
    expect(restore).to_have_count(0)
    visitor.tick("Restore permanently deleted items only", on=False)
    expect(restore).to_be_enabled(timeout=60_000)
    assert plan.get_attribute("href") != first
    expect(page.get_by_label(PASSWORD_LABEL)).to_have_value(PASSWORD)
    assert len(sent) == 3
    assert not any(PASSWORD in (one.post_data or "") + one.url for one in sent)  # type: ignore[attr-defined]
    visitor.press("Restore")
    job = ended(visitor.window, job_of(visitor.window))
    assert job["status"] == "succeeded"
    assert PASSWORD in (sent[-1].post_data or "").replace("%2D", "-")  # type: ignore[attr-defined]
    with stage.script() as script:
        assert titles(script, users) == ["Understudy"]
    visitor.end()


def test_w23_what_a_restore_did_is_undone_from_its_page(stage: Stage, visit: Visit) -> None:
    users = stage.spare(1)
    with stage.script() as script:
        change_titles(script, users)
        visitor = visit("rita", address_of(*users))
        previewed_page(visitor)
        restored(visitor)
        visitor.page.reload()
        visitor.press("Undo")
        visitor.dialog("Undo")
        visitor.press("Make the plan")
        visitor.page.wait_for_url(re.compile(r"/tenants/contoso/plans/[0-9a-f]+$"), timeout=60_000)
        assert restored(visitor)["status"] == "succeeded"
        assert titles(script, users) == ["Changed by mistake"]
        script.send_all([("PATCH", f"/users/{users[0]}", {"jobTitle": "Understudy"})])
    visitor.end()


def previewed_page(visitor: Visitor) -> None:
    """Wait until the dialog, shown as a page of its own, has a plan."""
    estimate = visitor.page.get_by_text(re.compile("at least .* at Graph's write limit"))
    expect(estimate).to_be_visible(timeout=60_000)


def kept(home: Path) -> list[Path]:
    """Return every file of an installation."""
    return [one for one in home.rglob("*") if one.is_file()]
