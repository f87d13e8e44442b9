"""Looking at what the snapshots hold: overview, viewer, lists, objects, comparisons, coverage."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from .conftest import Stage
from .hands import Visitor
from .waiting import back_up, ended, job_of
from .window import Visitors, expect

Visit = Callable[..., Visitor]
LIVE_MS = 60_000


def test_w01_w02_w03_w04_from_the_overview_to_an_object_and_back(
    stage: Stage, visit: Visit
) -> None:
    visitor = visit("rolf", "/tenants/contoso")
    page = visitor.page
    for words in ("Last backup", "Next backup", "Objects protected", "Storage used"):
        expect(page.get_by_text(words).first).to_be_visible()
    expect(page.get_by_text("Policy.Read.DeviceConfiguration").first).to_be_visible()
    main = page.get_by_role("main")
    visitor.press("Restore Data", main)
    page.wait_for_url("**/snapshots/latest")
    assert visitor.window.title() == "Restore Data"
    # Another snapshot, by its time; then a kind, and an object of it.
    second = stage.facts["snapshots"][1]
    visitor.choose("Snapshot", second)
    page.wait_for_url(f"**/snapshots/{second}")
    groups = page.locator("#snapshot optgroup")
    assert groups.count() >= 5, "the snapshots are grouped by day"
    visitor.press("Users", main)
    page.wait_for_url(f"**/{second}/kinds/user")
    visitor.press("Ben Rossi", main)
    page.wait_for_url("**/objects/*")
    assert visitor.window.title() == "Ben Rossi"
    address, tabs = visitor.window.path, page.locator("nav.tabs")
    for tab in ("Properties", "Relationships", "Compare"):
        visitor.press(tab, tabs)
        page.wait_for_url(f"**{address}/{tab.lower()}*")
        page.reload()
        assert visitor.window.title() == "Ben Rossi"
    breadcrumbs = page.get_by_role("navigation", name="Breadcrumbs")
    visitor.press("Users", breadcrumbs)
    page.wait_for_url(f"**/{second}/kinds/user")
    visitor.press("Restore Data", breadcrumbs)
    page.wait_for_url(f"**/snapshots/{second}")
    # Settings of which there is one show their data at once.
    visitor.press("User settings", main)
    page.wait_for_url("**/kinds/authorizationPolicy/objects/*/properties")
    expect(page.get_by_text("allowInvitesFrom").first).to_be_visible()
    visitor.end()


def test_w01_a_backup_is_begun_on_the_overview_and_followed_to_its_snapshot(visit: Visit) -> None:
    visitor = visit("olga", "/tenants/contoso")
    visitor.press("Back Up Now")
    job = ended(visitor.window, job_of(visitor.window))
    assert job["status"] in ("succeeded", "partial"), job
    visitor.press("Open the snapshot")
    visitor.page.wait_for_url(f"**/snapshots/{job['summary']['snapshot']}")
    assert visitor.window.title() == "Restore Data"
    visitor.end()


def test_w04_a_licence_has_the_name_of_its_product(stage: Stage, visitors: Visitors) -> None:
    with stage.script() as script:
        users = script.list_all("/users?$select=id,assignedLicenses")
    licensed = next(one for one in users if one["assignedLicenses"])
    window = visitors.window("rolf")
    window.open(f"/tenants/contoso/snapshots/latest/kinds/user/objects/{licensed['id']}/properties")
    section = window.page.get_by_role("region", name="Licences").first
    expect(section).to_be_visible()
    text = section.inner_text()
    assert re.search(r"Microsoft|Enterprise|Office|Entra", text), text
    window.assert_calm()


def test_w19_w20_w21_three_snapshots_of_a_user_are_compared_and_live(
    stage: Stage, visit: Visit
) -> None:
    first, second, third, *same = stage.facts["snapshots"]
    user = stage.facts["moved"][1]
    visitor = visit("rolf", f"/tenants/contoso/snapshots/{first}/kinds/user/objects/{user}/compare")
    page = visitor.page
    row = page.get_by_role("row", name=re.compile("department"))
    expect(page.get_by_label("Snapshot 2")).to_have_value(second)  # the nearest that differs
    expect(row).to_contain_text("Logistics")
    visitor.choose("Snapshot 2", third)
    page.wait_for_url(f"**other={third}*")
    expect(row).to_contain_text("Supply chain")
    expect(page.get_by_role("row", name=re.compile("jobTitle"))).to_contain_text("Team lead")
    few = page.get_by_role("row").count()
    visitor.tick("Show only the difference", on=False)
    page.wait_for_load_state("networkidle")
    expect(page.get_by_role("row", name=re.compile("^userPrincipalName"))).to_be_visible()
    assert page.get_by_role("row").count() > few
    # Relationships are compared as well, by name.
    expect(page.get_by_role("rowheader", name="Project Aurora").first).to_be_visible()
    visitor.choose("Snapshot 1", third)
    page.wait_for_url(re.compile(f"first={third}|snapshots/{third}"))
    page.wait_for_load_state("networkidle")
    offered = (
        page.get_by_label("Snapshot 2")
        .locator("option")
        .evaluate_all("all => all.map(one => one.value)")
    )
    assert {first, second} <= set(offered)
    assert not set(offered) & {third, *same}, "they hold the user as Snapshot 1 does"
    visitor.window.axe(both=False)
    visitor.choose("Snapshot 1", first)
    page.wait_for_url(re.compile(f"first={first}|snapshots/{first}"))
    visitor.choose("Snapshot 2", "live")
    expect(page.get_by_role("columnheader", name="Live").first).to_be_visible(timeout=LIVE_MS)
    expect(row).to_contain_text("Supply chain")
    visitor.end()


def test_w22_the_whole_tenant_is_compared_and_a_kind_with_live(stage: Stage, visit: Visit) -> None:
    first, *_, last = stage.facts["snapshots"]
    visitor = visit("rolf", "/tenants/contoso/compare")
    page = visitor.page
    visitor.choose("Snapshot 1", first)
    visitor.choose("Snapshot 2", last)
    visitor.press("Compare", page.get_by_role("main"))
    page.wait_for_url(f"**before={first}&after={last}*")
    expect(page.get_by_text("Project Aurora").first).to_be_visible(timeout=30_000)
    visitor.window.axe(both=False)
    with stage.script() as script:
        group = {"description": "Changed after the last snapshot"}
        script.send_all([("PATCH", f"/groups/{stage.facts['second_group']}", group)])
    visitor.choose("Snapshot 1", last)
    visitor.choose("Snapshot 2", "live")
    visitor.choose("What", "group")
    visitor.press("Compare", page.get_by_role("main"))
    expect(page.get_by_text("Reception desk").first).to_be_visible(timeout=LIVE_MS)
    visitor.unfold("1 property of Reception desk")
    expect(page.get_by_text("Changed after the last snapshot").first).to_be_visible()
    visitor.window.axe(both=False)
    visitor.end()


def test_w24_what_is_not_covered_is_said_with_the_permission_or_the_licence(
    stage: Stage, visitors: Visitors, visit: Visit
) -> None:
    with stage.script() as script:
        script.control("POST", "options", {"edition": "P1"})
        try:
            back_up(visitors.window("admin"))
        finally:
            script.control("POST", "options", {"edition": "P2"})
    visitor = visit("rita", "/tenants/contoso")
    page = visitor.page
    visitor.press("Coverage and permissions")
    page.wait_for_url("**/coverage")
    eligible = page.locator("#unifiedRoleEligibilitySchedule")
    expect(eligible).to_contain_text("Not protected")
    expect(eligible).to_contain_text("P2")
    device = page.locator("#deviceRegistrationPolicy")
    expect(device).to_contain_text("Not protected")
    expect(device).to_contain_text("Grant: Policy.Read.DeviceConfiguration")
    # The snapshot names it as well, and holds the rest.
    visitor.press("Restore Data", page.get_by_role("navigation", name="Pages"))
    page.wait_for_url("**/snapshots/latest")
    refused = page.get_by_role("row").filter(has_text="Eligible role assignments")
    expect(refused).to_contain_text("Refused")
    expect(refused).to_contain_text("P2")
    whole = page.get_by_role("row").filter(has=page.get_by_label("Select Role assignments"))
    expect(whole).to_contain_text("Complete")
    back_up(visitors.window("admin"))
    visitor.end()


def test_w25_devices_are_viewed_compared_and_downloaded_but_not_created_again(
    stage: Stage, visit: Visit
) -> None:
    visitor = visit("rita", "/tenants/contoso/snapshots/latest/kinds/device")
    page = visitor.page
    said = "Graph cannot create a device for an application"
    expect(page.get_by_role("main").get_by_text(said).first).to_be_visible()
    name = page.locator("th.first a").first.inner_text()
    visitor.press(name)
    page.wait_for_url("**/objects/*")
    expect(page.get_by_text("It can be viewed, compared and downloaded.")).to_be_visible()
    visitor.press("Download")
    visitor.dialog("Download")
    visitor.escape()
    visitor.press("Restore")
    dialog = visitor.dialog("Restore Data")
    expect(dialog.get_by_text(said).first).to_be_visible()
    visitor.escape()
    visitor.press("Compare", page.locator("nav.tabs"))
    page.wait_for_url("**/compare*")
    visitor.end()


@pytest.mark.parametrize("person", ["olga", "rolf"])
def test_w05_who_may_not_restore_sees_why(person: str, visitors: Visitors) -> None:
    window = visitors.window(person).open("/tenants/contoso/snapshots/latest")
    button = window.page.get_by_role("button", name=re.compile("^Restore")).first
    expect(button).to_be_disabled()
    assert button.get_attribute("title")
    window.assert_calm()
