"""Every page and dialog, one by one: axe finds nothing, nothing complains, nothing is too wide."""

from __future__ import annotations

from pathlib import Path

import pytest

from .addresses import ADDRESSES, Address
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
    address.show(window, stage.facts)
    assert seen[-1] == (200 if address.over else address.status), window.path
    window.axe()
    window.page.set_viewport_size({"width": NARROW, "height": 800})
    assert not window.overflows(), f"{window.path} is wider than {NARROW} pixels"
    if address.status >= 400:
        window.forgive(f"status of {address.status}")
    window.assert_calm()


# What is no page of its own: a part of one, a file, a way to another page.
_NO_PAGE = {
    "/", "/sign-in/microsoft", "/tenants/{tenant}/storage", "/tenants/{tenant}/plans/{plan}/file",
    "/tenants/{tenant}/downloads/{job}", "/tenants/{tenant}/previews/{job}",
    "/tenants/{tenant}/snapshots/choose",
}  # fmt: skip
# Needs something that only a journey makes.
_IN_A_JOURNEY = {"/tokens/{token}/revoke"}


def test_no_page_is_left_out() -> None:
    lines = (Path(__file__).parents[1] / "golden" / "pages.txt").read_text().splitlines()
    routes = {line.split()[1] for line in lines if line.startswith("GET ")}
    known = [address.route for address in ADDRESSES]
    missing = {
        route
        for route in routes - _NO_PAGE - _IN_A_JOURNEY
        if not any(_is_of(one, route.strip("/").split("/")) for one in known)
    }
    assert missing == set(), "give it a line in tests/browser/addresses.py"
    assert routes >= _NO_PAGE | _IN_A_JOURNEY


def _is_of(address: tuple[str, ...], route: list[str]) -> bool:
    """Tell whether an address is of a route, whose names in braces stand for anything."""
    return len(address) == len(route) and all(
        part == asked or (part.startswith("{") and asked not in route)
        for part, asked in zip(route, address, strict=True)
    )
