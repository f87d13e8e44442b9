"""The search over all snapshots: its prompt, what it finds, and what it says of itself."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

from .conftest import Stage
from .hands import Visitor
from .window import expect

Visit = Callable[..., Visitor]


def day_of(snapshot: str, days: int = 0) -> str:
    """Return the day on which a snapshot was taken, or one some days from it."""
    taken = dt.datetime.strptime(snapshot[:8], "%Y%m%d").replace(tzinfo=dt.UTC)
    return (taken + dt.timedelta(days=days)).date().isoformat()


def name_of_left(stage: Stage) -> str:
    """Return the name of the user who was deleted between two snapshots."""
    with stage.script() as script:
        return str(script.get(f"/directory/deletedItems/{stage.facts['left']}")["displayName"])


def test_w15_w16_w18_the_prompt_asks_for_all_and_results_say_what_was_deleted(
    stage: Stage, visit: Visit
) -> None:
    first, left = stage.facts["snapshots"][0], name_of_left(stage)
    visitor = visit("rolf", "/tenants/contoso/snapshots/latest")
    visitor.press("More")
    dialog = visitor.dialog("Search")
    expect(dialog.get_by_text("not in relationships")).to_be_visible()
    for words in ("Object Type", "Time Modified"):
        expect(dialog.get_by_text(words, exact=True)).to_be_visible()
    visitor.fill("Name or principal name", left[0])
    visitor.fill("From", f"{day_of(first)}T00:00")
    visitor.fill("To", f"{day_of(first, 30)}T13:45")
    visitor.unfold("All types")
    visitor.tick("Users", dialog.locator(".choices"))
    visitor.tick("Show only deleted records")
    visitor.press("Search")
    visitor.page.wait_for_url(re.compile(r"/search\?.*kind=user.*deleted=on"))
    row = visitor.page.get_by_role("row", name=re.compile(left))
    for words in ("Deleted", "User"):
        expect(row.get_by_text(words, exact=True)).to_be_visible()
    expect(row.locator("use[href$='#delete']")).to_have_count(1)
    for column in ("Object", "Kind", "Snapshot", "Time modified"):
        expect(visitor.page.get_by_role("columnheader", name=column, exact=True)).to_be_visible()
    there = visitor.page.get_by_role("row", name=re.compile("Ben Rossi"))
    expect(there).to_have_count(0)
    # All of them, deleted or not; and none before there was anything.
    visitor.fill("Name or principal name", "rossi")
    visitor.tick("Show only deleted records", on=False)
    visitor.press("Search", visitor.page.get_by_role("main"))
    expect(there).to_be_visible()
    visitor.fill("From", "2020-01-01T00:00")
    visitor.fill("To", "2020-02-01T12:00")
    visitor.press("Search", visitor.page.get_by_role("main"))
    expect(visitor.page.get_by_text("Nothing was found")).to_be_visible()
    visitor.end()


def test_w15_a_name_is_searched_from_any_page(visit: Visit) -> None:
    visitor = visit("rolf", "/tenants/contoso/jobs")
    visitor.fill("Search all snapshots of contoso", "rossi")
    visitor.send()
    visitor.page.wait_for_url("**/search?*text=rossi*")
    visitor.press("Ben Rossi")
    visitor.page.wait_for_url("**/objects/*")
    assert visitor.window.title() == "Ben Rossi"
    visitor.end()
