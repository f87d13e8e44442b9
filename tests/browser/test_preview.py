"""The live preview in the dialog, and the selection, as a browser does them."""

from __future__ import annotations

import re
from typing import Any

from .conftest import Stage
from .window import Visitors, Window, expect

LABEL = "Set default password for permanently deleted users"
PASSWORD = "Only-now-2026"


def chosen(window: Window, count: int) -> Any:
    """Select the first users of the search, and return the bar."""
    window.open("/tenants/contoso/search?kind=user")
    boxes = window.page.locator("input[data-select]")
    for index in range(count):
        boxes.nth(index).check()
    bar = window.page.get_by_role("region", name="Selection")
    expect(bar.get_by_text(f"{count} selected").first).to_be_visible()
    return bar


def test_w11_an_option_makes_a_new_plan_and_the_password_never_goes_along(
    stage: Stage, visitors: Visitors
) -> None:
    user = stage.facts["moved"][1]
    with stage.script() as script:
        before = script.get(f"/users/{user}?$select=officeLocation").get("officeLocation")
        script.send_all([("PATCH", f"/users/{user}", {"officeLocation": "Nowhere"})])
    window = visitors.window("rita")
    page, sent = window.page, list[Any]()
    page.on("request", lambda one: sent.append(one) if one.method == "POST" else None)
    window.open(f"/tenants/contoso/restore?snapshot=latest&id=user/{user}")
    restore = page.get_by_role("button", name="Restore", exact=True)
    expect(restore).to_be_enabled(timeout=60_000)
    first = page.get_by_role("link", name="The plan as a page").get_attribute("href")
    page.get_by_label(LABEL).fill(PASSWORD)
    page.get_by_label("Restore permanently deleted items only").check()
    expect(page.get_by_text("Nothing to do")).to_be_visible(timeout=60_000)
    expect(restore).to_have_count(0)
    page.get_by_label("Restore permanently deleted items only").uncheck()
    expect(restore).to_be_enabled(timeout=60_000)
    assert page.get_by_role("link", name="The plan as a page").get_attribute("href") != first
    expect(page.get_by_label(LABEL)).to_have_value(PASSWORD)
    assert len(sent) == 3
    assert not any(PASSWORD in (one.post_data or "") + one.url for one in sent)
    restore.click()
    page.wait_for_url(re.compile(r"/jobs/[0-9a-f]+$"))
    assert PASSWORD in (sent[-1].post_data or "").replace("%2D", "-")
    assert sent[-1].url.endswith("/apply")
    expect(page.get_by_text("Succeeded").first).to_be_visible(timeout=60_000)
    with stage.script() as script:
        after = script.get(f"/users/{user}?$select=officeLocation").get("officeLocation")
    assert after == before
    window.assert_calm()


def test_w05_w14_a_selection_is_downloaded_from_its_bar(visitors: Visitors) -> None:
    window = visitors.window("olga")
    bar = chosen(window, 2)
    expect(bar.get_by_role("button", name="Restore")).to_be_disabled()
    expect(bar.get_by_text("Your role may look, not restore.")).to_be_visible()
    window.page.reload()  # it lasts
    bar.get_by_text("2 selected").first.click()
    bar.get_by_role("button", name=re.compile("^Remove ")).first.click()
    expect(bar.get_by_text("1 selected").first).to_be_visible()
    window.axe()
    bar.get_by_role("button", name="Download").click()
    dialog = window.dialog("Download")
    expect(dialog.get_by_text("1 object")).to_be_visible()
    dialog.get_by_label("Include relationships in the JSON").check()
    window.axe()
    dialog.get_by_role("button", name="Download").click()
    window.page.wait_for_url(re.compile(r"/tenants/contoso/jobs/[0-9a-f]+$"))
    expect(bar).to_have_count(0)  # what was done with it is done
    window.assert_calm()
