"""The keyboard that walks the journeys fails where a person with one would be stuck."""

from __future__ import annotations

import pytest

from .hands import Keyboard, Visitor
from .window import Visitors


def shown(visitors: Visitors, html: str) -> Visitor:
    """Show some HTML, in no page of ours, to somebody without a mouse."""
    window = visitors.window("")
    window.page.set_content(f"<main><button>First</button>{html}</main>")
    return Visitor(Keyboard(window))


def test_it_goes_forth_and_back_to_what_is_wanted(visitors: Visitors) -> None:
    visitor = shown(
        visitors,
        "<label>Name <input></label><label><input type=checkbox> Agreed</label>"
        "<label>Day <input type=date></label><label>At <input type=datetime-local></label>"
        "<label>Size <select><option>a<option>b<option>c</select></label>"
        "<button onclick=\"document.title='pressed'\">Last</button>",
    )
    visitor.press("Last")
    visitor.fill("Name", "Ada")
    visitor.fill("Day", "2026-11-03")
    visitor.fill("At", "2026-11-03T15:07")
    visitor.choose("Size", "c")
    visitor.choose("Size", "b")
    visitor.tick("Agreed")
    visitor.tick("Agreed", on=False)
    visitor.hand.rest()
    assert visitor.page.title() == "pressed"


@pytest.mark.parametrize(
    ("html", "complaint"),
    [
        ("<button tabindex=-1>Wanted</button>", "never comes to"),
        ("<div role=button onclick='1'>Wanted</div>", "never comes to"),
        ("<button style='outline: none'>Wanted</button>", "cannot be seen"),
        ("<button style='outline-color: transparent'>Wanted</button>", "cannot be seen"),
        (
            "<button>Wanted</button><div style='position: fixed; inset: 0'>a veil</div>",
            "something else covers it",
        ),
    ],
)
def test_it_fails_where_something_cannot_be_reached_or_not_be_seen(
    html: str, complaint: str, visitors: Visitors
) -> None:
    visitor = shown(visitors, html)
    with pytest.raises(AssertionError, match=complaint):
        visitor.press("Wanted")


def test_it_fails_where_a_page_loses_the_focus(visitors: Visitors) -> None:
    visitor = shown(visitors, "<button onclick='this.remove()'>Wanted</button>")
    visitor.press("Wanted")
    with pytest.raises(AssertionError, match="lost the focus"):
        visitor.press("First")
    other = shown(visitors, "<button onclick='this.remove()'>Wanted</button>")
    other.press("Wanted")
    with pytest.raises(AssertionError, match="lost the focus"):
        other.hand.rest()
