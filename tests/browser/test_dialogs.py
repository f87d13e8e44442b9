"""Where the focus goes when a dialog opens and closes, and when a choice is made by arrow keys."""

from __future__ import annotations

from .conftest import Stage
from .hands import Keyboard, Visitor
from .window import Visitors, expect


def test_a_dialog_begins_with_its_first_field_and_gives_the_focus_back(visitors: Visitors) -> None:
    visitor = Visitor(Keyboard(visitors.window("olga"))).open("/tenants/contoso/snapshots/latest")
    visitor.press("Download")
    visitor.dialog("Download")
    expect(visitor.field("Include relationships in the JSON")).to_be_focused()
    visitor.press("Cancel")
    expect(visitor.button("Download")).to_be_focused()
    visitor.end()


def test_a_dialog_that_asks_for_nothing_begins_with_its_heading(
    stage: Stage, visitors: Visitors
) -> None:
    window = visitors.window("admin").open("/people")
    window.open_over(f"/people/{stage.facts['person']}/standing")
    expect(window.page.locator("dialog[open] h1")).to_be_focused()
    window.assert_calm()


def test_a_choice_by_arrow_keys_takes_effect_with_enter_and_keeps_the_focus(
    stage: Stage, visitors: Visitors
) -> None:
    *_, last = stage.facts["snapshots"]
    visitor = Visitor(Keyboard(visitors.window("rolf")))
    visitor.open(f"/tenants/contoso/snapshots/{last}")
    page, here = visitor.page, visitor.window.path
    choice = visitor.field("Snapshot")
    for _ in range(40):
        page.keyboard.press("Tab")
        if choice.evaluate("one => one === document.activeElement"):
            break
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.wait_for_load_state("networkidle")
    assert visitor.window.path == here
    chosen = choice.input_value()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/snapshots/{chosen}")
    expect(choice).to_be_focused()
    visitor.end()
