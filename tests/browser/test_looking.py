"""Looking at what the snapshots hold: viewer, lists, objects, comparisons, downloads, coverage."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path

import pytest

from .conftest import Stage
from .test_restoring import ended, job_of
from .window import Visitors, expect


def test_w01_w02_w03_w04_from_the_overview_to_an_object_and_back_by_keyboard_alone(
    stage: Stage, visitors: Visitors
) -> None:
    window = visitors.window("rolf").open("/tenants/contoso")
    page, keys = window.page, window.page.keyboard
    for words in ("Last backup", "Next backup", "Objects protected", "Storage used"):
        expect(page.get_by_text(words).first).to_be_visible()
    expect(page.get_by_text("Policy.Read.DeviceConfiguration").first).to_be_visible()
    window.tab_to("Restore Data", role="link")
    keys.press("Enter")
    page.wait_for_url("**/snapshots/latest")
    assert window.title() == "Restore Data"
    window.tab_to("Users", role="link")
    keys.press("Enter")
    page.wait_for_url("**/kinds/user")
    window.tab_to("Ben Rossi", role="link")
    keys.press("Enter")
    page.wait_for_url("**/objects/*")
    assert window.title() == "Ben Rossi"
    address = window.path
    for tab in ("Properties", "Relationships", "Compare"):
        window.tab_to(tab, role="link", inside="nav.tabs")
        keys.press("Enter")
        page.wait_for_url(f"**{address}/{tab.lower()}*")
        page.reload()
        assert window.title() == "Ben Rossi"
    page.get_by_role("navigation", name="Breadcrumbs").get_by_role("link", name="Users").click()
    page.wait_for_url("**/kinds/user")
    window.assert_calm()


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


def test_w19_w20_w21_three_snapshots_of_a_user_are_compared(
    stage: Stage, visitors: Visitors
) -> None:
    first, second, third, *same = stage.facts["snapshots"]
    user = stage.facts["moved"][1]
    window = visitors.window("rolf")
    page = window.page
    path = f"/tenants/contoso/snapshots/{first}/kinds/user/objects/{user}/compare"
    window.open(path)
    page.get_by_label("Snapshot 2").select_option(second)
    page.wait_for_url(f"**other={second}*")
    row = page.get_by_role("row", name=re.compile("department"))
    expect(row).to_contain_text("Logistics")
    page.get_by_label("Snapshot 2").select_option(third)
    page.wait_for_url(f"**other={third}*")
    expect(row).to_contain_text("Supply chain")
    expect(page.get_by_role("row", name=re.compile("jobTitle"))).to_contain_text("Team lead")
    few = page.get_by_role("row").count()
    page.get_by_label("Show only the difference").uncheck()
    page.wait_for_load_state("networkidle")
    expect(page.get_by_role("row", name=re.compile("^userPrincipalName"))).to_be_visible()
    assert page.get_by_role("row").count() > few
    page.get_by_label("Snapshot 1").select_option(third)
    page.wait_for_url(re.compile(f"first={third}|snapshots/{third}"))
    page.wait_for_load_state("networkidle")
    offered = (
        page.get_by_label("Snapshot 2")
        .locator("option")
        .evaluate_all("all => all.map(one => one.value)")
    )
    assert {first, second} <= set(offered)
    assert not set(offered) & {third, *same}, "they hold the user as Snapshot 1 does"
    window.axe()
    window.assert_calm()


def test_w22_the_whole_tenant_is_compared_and_a_kind_with_live(
    stage: Stage, visitors: Visitors
) -> None:
    first, *_, last = stage.facts["snapshots"]
    window = visitors.window("rolf")
    page = window.page
    window.open(f"/tenants/contoso/compare?before={first}&after={last}")
    expect(page.get_by_text("Project Aurora").first).to_be_visible(timeout=30_000)
    window.axe()
    with stage.script() as script:
        group = {"description": "Changed after the last snapshot"}
        script.send_all([("PATCH", f"/groups/{stage.facts['second_group']}", group)])
    window.open(f"/tenants/contoso/compare?before={last}&after=live&kind=group")
    expect(page.get_by_text("Reception desk").first).to_be_visible(timeout=60_000)
    window.axe()
    window.assert_calm()


def test_w05_w14_a_kind_is_chosen_and_downloaded_as_json(
    stage: Stage, visitors: Visitors, tmp_path: Path
) -> None:
    window = visitors.window("olga").open("/tenants/contoso/snapshots/latest")
    page = window.page
    page.get_by_label("Select Groups", exact=True).check()
    bar = page.get_by_role("region", name="Selection")
    restore = bar.get_by_role("button", name="Restore")
    expect(restore).to_be_disabled()  # an operator may not
    bar.get_by_role("button", name="Download").click()
    dialog = window.dialog("Download")
    dialog.get_by_label("Include relationships in the JSON").uncheck()
    window.axe()
    dialog.get_by_role("button", name="Download").click()
    assert ended(window, job_of(window))["status"] == "succeeded"
    page.reload()
    with page.expect_download() as found:
        page.get_by_role("link", name="Download", exact=True).click()
    content = Path(found.value.path()).read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        texts = {name: archive.read(name) for name in archive.namelist()}
    assert any(b"Reception desk" in text for text in texts.values())
    assert all("user" not in name for name in texts if name.startswith("objects"))
    assert any(json.loads(text) for name, text in texts.items() if name.endswith(".json"))
    window.assert_calm()


def test_w18_w15_the_search_says_what_it_looks_at(visitors: Visitors) -> None:
    window = visitors.window("rolf").open("/tenants/contoso/snapshots/latest")
    window.press("More")
    dialog = window.dialog("Search")
    expect(dialog.get_by_text("not in relationships")).to_be_visible()
    for label in ("Name or principal name", "From", "To", "Show only deleted records"):
        expect(dialog.get_by_label(label, exact=True)).to_be_visible()
    for words in ("Object Type", "Time Modified"):
        expect(dialog.get_by_text(words, exact=True)).to_be_visible()
    dialog.get_by_label("Name or principal name").fill("rossi")
    dialog.get_by_role("button", name="Search").click()
    window.page.wait_for_url("**/search?*text=rossi*")
    expect(window.page.get_by_role("link", name="Ben Rossi")).to_be_visible()
    window.assert_calm()


def test_w24_what_is_not_covered_is_said_with_the_permission(visitors: Visitors) -> None:
    window = visitors.window("rolf").open("/tenants/contoso/coverage")
    expect(window.page.get_by_text("Policy.Read.DeviceConfiguration").first).to_be_visible()
    window.assert_calm()


def test_w25_a_device_says_that_it_cannot_be_created_again(
    stage: Stage, visitors: Visitors
) -> None:
    window = visitors.window("rita").open("/tenants/contoso/snapshots/latest/kinds/device")
    window.page.locator("td.first a, th.first a").first.click()
    window.page.wait_for_url("**/objects/*")
    expect(window.page.get_by_text("It can be viewed, compared and downloaded.")).to_be_visible()
    window.assert_calm()


def test_w23_jobs_are_listed_and_one_is_told_object_by_object(
    stage: Stage, visitors: Visitors
) -> None:
    window = visitors.window("rolf").open("/tenants/contoso/jobs")
    page = window.page
    expect(page.get_by_role("row").filter(has_text="Failed").first).to_be_visible()
    window.open(f"/tenants/contoso/jobs/{stage.facts['restore_job']}")
    with page.expect_download() as found:
        page.get_by_role("link", name="Download as CSV").click()
    lines = Path(found.value.path()).read_text().splitlines()
    assert len(lines) >= 2
    window.open(f"/tenants/contoso/jobs/{stage.facts['failed_job']}")
    expect(page.get_by_role("alert").first).to_be_visible()
    window.assert_calm()


@pytest.mark.parametrize("person", ["olga", "rolf"])
def test_w05_who_may_not_restore_sees_why(person: str, visitors: Visitors) -> None:
    window = visitors.window(person).open("/tenants/contoso/snapshots/latest")
    button = window.page.get_by_role("button", name=re.compile("^Restore")).first
    expect(button).to_be_disabled()
    assert button.get_attribute("title")
    window.assert_calm()
