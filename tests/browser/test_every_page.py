"""Every page and dialog, one by one: axe finds nothing, nothing complains, nothing is too wide."""

from __future__ import annotations

import pytest

from .addresses import ADDRESSES, Address, known
from .conftest import Stage
from .window import Visitors

NARROW = 360


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda one: one.name)
def test_a_page_is_for_everybody_and_asks_nobody_else(
    address: Address, stage: Stage, visitors: Visitors
) -> None:
    window = visitors.window(address.person)
    seen: list[int] = []
    window.page.on(
        "response",
        lambda answer: (
            seen.append(answer.status) if answer.request.is_navigation_request() else None
        ),
    )
    window.open(address.at(known(stage.facts)))
    assert seen[-1] == address.status, window.path
    if address.dialog:
        window.press(address.dialog)
        window.page.locator("dialog[open]").wait_for()
        window.page.wait_for_load_state("networkidle")
    window.axe()
    window.page.set_viewport_size({"width": NARROW, "height": 800})
    assert not window.overflows(), f"{window.path} is wider than {NARROW} pixels"
    if address.status >= 400:
        window.forgive(f"status of {address.status}")
    window.assert_calm()
