"""What was chosen, as a zip of JSON: with or without relationships, for who asked, for a day."""

from __future__ import annotations

import io
import json
import re
import sqlite3
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from .conftest import Stage
from .hands import Visitor
from .waiting import ended, job_of
from .window import Visitors, expect

Visit = Callable[..., Visitor]
_YESTERDAY = "2026-01-01T00:00:00Z"
INCLUDE = "Include relationships in the JSON"


def fetched(visitor: Visitor) -> Mapping[str, bytes]:
    """Wait for the job that the window shows, follow its link, and return what is in the zip."""
    assert ended(visitor.window, job_of(visitor.window))["status"] == "succeeded"
    visitor.page.reload()
    with visitor.page.expect_download() as found:
        visitor.press("Download")
    content = Path(found.value.path()).read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_w05_w14_a_kind_is_downloaded_without_and_an_object_with_relationships(
    stage: Stage, visit: Visit
) -> None:
    visitor = visit("olga", "/tenants/contoso/snapshots/latest")
    visitor.tick("Select Groups")
    expect(visitor.bar.get_by_role("button", name="Restore")).to_be_disabled()  # an operator
    visitor.press("Download", visitor.bar)
    visitor.dialog("Download")
    visitor.tick(INCLUDE, on=False)
    visitor.window.axe(both=False)
    visitor.press("Download")
    files = fetched(visitor)
    assert any(b"Reception desk" in text for text in files.values())
    assert all("user" not in name for name in files if name.startswith("objects"))
    assert any(json.loads(text) for name, text in files.items() if name.endswith(".json"))
    member = stage.facts["members"][1].encode()
    assert not any(member in text for text in files.values())
    group = f"/tenants/contoso/snapshots/latest/kinds/group/objects/{stage.facts['second_group']}"
    visitor.open(group)
    visitor.press("Download")
    visitor.dialog("Download")
    visitor.tick(INCLUDE)
    visitor.press("Download")
    assert any(member in text for text in fetched(visitor).values())
    visitor.end()


def test_w05_w14_a_selection_is_downloaded_from_its_bar(visit: Visit) -> None:
    visitor = visit("olga", "/tenants/contoso/search?kind=user")
    page, bar = visitor.page, visitor.bar
    names = [
        page.locator("input[data-select]").nth(place).get_attribute("data-name")
        for place in range(2)
    ]
    for name in names:
        visitor.tick(f"Select {name}")
    expect(bar.get_by_text("Your role may look, not restore.")).to_be_visible()
    page.reload()  # it lasts
    visitor.unfold("2 selected", bar)
    visitor.press(f"Remove {names[0]}", bar)
    expect(bar.get_by_text("1 selected").first).to_be_visible()
    visitor.window.axe(both=False)
    visitor.press("Download", bar)
    dialog = visitor.dialog("Download")
    expect(dialog.get_by_text("1 object")).to_be_visible()
    visitor.press("Download")
    job_of(visitor.window)
    expect(bar).to_have_count(0)  # what was done with it is done
    visitor.end()


def test_w05_a_selection_lasts_over_paging_sorting_and_other_kinds(visit: Visit) -> None:
    kind = "/tenants/contoso/snapshots/latest/kinds/unifiedRoleDefinition"
    visitor = visit("rita", kind)
    bar = visitor.bar
    visitor.tick("Select all that are shown")
    expect(bar.get_by_text("50 selected").first).to_be_visible()
    visitor.press("Next")
    visitor.page.wait_for_url("**number=2*")
    first = visitor.page.locator("input[data-select]").first.get_attribute("data-name")
    visitor.tick(f"Select {first}")
    expect(bar.get_by_text("51 selected").first).to_be_visible()
    visitor.press("Previous")
    visitor.page.wait_for_url(re.compile(r"kinds/unifiedRoleDefinition(?!.*number=2)"))
    expect(visitor.page.get_by_label("Select all that are shown")).to_be_checked()
    visitor.open("/tenants/contoso/snapshots/latest")
    visitor.tick("Select Named locations")
    expect(bar.get_by_text("52 selected").first).to_be_visible()
    visitor.press("Restore", bar)
    dialog = visitor.dialog("Restore Data")
    expect(dialog.get_by_text("51 objects")).to_be_visible()
    expect(dialog.get_by_text("all 2 Named locations")).to_be_visible()
    visitor.escape()
    expect(dialog).to_be_hidden()
    visitor.press("Clear", bar)
    expect(bar).to_be_hidden()
    visitor.end()


def test_w14_a_link_wants_the_same_sign_in_and_ends_after_a_day(
    stage: Stage, visit: Visit, visitors: Visitors
) -> None:
    visitor = visit("olga", "/tenants/contoso/download?snapshot=latest&kind=namedLocation")
    visitor.press("Download", visitor.page.get_by_role("main"))
    job = job_of(visitor.window)
    ended(visitor.window, job)
    address = f"{stage.base}/tenants/contoso/downloads/{job}"
    statuses = {
        person: visitors.window(person).page.request.get(address, max_redirects=0).status
        for person in ("olga", "admin", "rolf", "")
    }
    assert statuses == {"olga": 200, "admin": 404, "rolf": 403, "": 303}
    admin = visitors.window("admin").open(f"/tenants/contoso/jobs/{job}")
    expect(
        admin.page.get_by_text("Only olga, who asked for it, can fetch it.").first
    ).to_be_visible()
    with sqlite3.connect(stage.home / "jobs.sqlite") as jobs:
        jobs.execute("UPDATE job SET finished_at = ? WHERE id = ?", (_YESTERDAY, job))
    visitor.page.reload()
    expect(visitor.page.get_by_role("button", name=re.compile("^Download \\("))).to_be_disabled()
    expect(
        visitor.page.get_by_text("It has expired. Make the download again.").first
    ).to_be_visible()
    assert visitor.page.request.get(address).status == 404
    visitor.end()
