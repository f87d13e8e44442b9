"""Two hands that do the same with a page: one has a mouse, the other nothing but a keyboard.

A journey is written once, with a ``Visitor``, and walked with each of them. The keyboard tabs until
what is wanted has the focus; it fails where that is never reached, where the focus cannot be seen,
and where a page has lost it.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from .window import Window, expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator

_MOST_TABS = 600
_DATE, _MOMENT = "date", "datetime-local"


class Hand(Protocol):
    """What can be done with something that was found on a page."""

    @property
    def window(self) -> Window: ...

    def press(self, target: Locator) -> None: ...

    def press_twice(self, target: Locator) -> None:
        """Press again before the page had time to answer."""

    def fill(self, target: Locator, text: str) -> None: ...

    def choose(self, target: Locator, value: str) -> None: ...

    def tick(self, target: Locator, *, on: bool) -> None: ...

    def rest(self) -> None:
        """Fail when the page has left the hand nowhere."""


@dataclass(frozen=True, slots=True)
class Mouse:
    """Points and clicks."""

    window: Window

    def press(self, target: Locator) -> None:
        target.click()

    def press_twice(self, target: Locator) -> None:
        target.dblclick()

    def fill(self, target: Locator, text: str) -> None:
        target.fill(text)

    def choose(self, target: Locator, value: str) -> None:
        target.select_option(value)

    def tick(self, target: Locator, *, on: bool) -> None:
        target.set_checked(on)

    def rest(self) -> None:
        """Do nothing: a mouse is always somewhere."""


@dataclass(frozen=True, slots=True)
class Keyboard:
    """Has Tab, the arrows, Enter, Space and letters; never points at anything."""

    window: Window

    def press(self, target: Locator) -> None:
        self._reach(target)
        self._keys.press("Enter")

    def press_twice(self, target: Locator) -> None:
        self._reach(target)
        self._keys.press("Enter")
        self._keys.press("Enter")

    def fill(self, target: Locator, text: str) -> None:
        self._reach(target)
        kind = target.get_attribute("type")
        if kind in (_DATE, _MOMENT):
            self._fill_moment(kind, text)
        else:
            self._keys.press("Control+a")
            self._keys.press("Delete")
            self._keys.type(text)
        expect(target).to_have_value(text)

    def choose(self, target: Locator, value: str) -> None:
        self._reach(target)
        steps = target.evaluate(_STEPS, value)
        for _ in range(abs(steps)):
            self._keys.press("ArrowDown" if steps > 0 else "ArrowUp")
        if target.evaluate("one => one.hasAttribute('data-submit-on-change')"):
            self._keys.press("Enter")
        else:
            expect(target).to_have_value(value)

    def tick(self, target: Locator, *, on: bool) -> None:
        self._reach(target)
        if target.is_checked() != on:
            self._keys.press("Space")
        expect(target).to_be_checked(checked=on)

    def rest(self) -> None:
        """Fail when the focus was somewhere on this page and is nowhere now.

        Raises: ``AssertionError``.
        """
        page = self.window.page
        page.wait_for_load_state("networkidle")
        assert not page.evaluate(_IS_LOST), f"{self.window.path} lost the focus"

    @property
    def _keys(self) -> Any:
        return self.window.page.keyboard

    def _reach(self, target: Locator) -> None:
        """Move the focus to something by Tab or Shift+Tab.

        Raises: ``AssertionError`` when they do not get there, or when it cannot be seen there.
        """
        expect(target).to_be_visible()
        expect(target).to_be_enabled()
        lost = self.window.page.evaluate(_IS_LOST)
        assert not lost, f"{self.window.path} lost the focus"
        shadow, key = target.evaluate(_WAY)
        for _ in range(_MOST_TABS):
            found = target.evaluate(_SEEN, shadow)
            if found["focused"]:
                assert found["marked"], f"the focus on {target} cannot be seen"
                assert found["bare"], f"{target} has the focus, and something else covers it"
                return
            self._keys.press(key)
        raise AssertionError(f"{key} never comes to {target} on {self.window.path}")

    def _fill_moment(self, kind: str, text: str) -> None:
        """Type a time into a field that takes it part by part, as it is written in English."""
        moment = dt.datetime.fromisoformat(text)
        self._keys.type(f"{moment:%m}")
        self._keys.type(f"{moment:%d}")
        self._keys.type(f"{moment:%Y}")
        if kind == _MOMENT:
            self._keys.press("ArrowRight")
            for part in (f"{moment:%I}", f"{moment:%M}", f"{moment:%p}"[:1]):
                self._keys.type(part)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody in front of a window, who finds things by the words that stand on them.

    While a dialog is open, everything is found in it; ``inside`` narrows it further.
    """

    hand: Hand

    @property
    def window(self) -> Window:
        return self.hand.window

    @property
    def page(self) -> Any:
        return self.window.page

    @property
    def bar(self) -> Any:
        """The bar with what is selected."""
        return self.page.get_by_role("region", name="Selection")

    def open(self, path: str) -> Visitor:
        """Go to an address."""
        self.window.open(path)
        return self

    def press(self, word: str | re.Pattern[str], inside: Any = None) -> None:
        """Press the button or follow the link of this name."""
        self.hand.press(self.button(word, inside))

    def press_twice(self, word: str, inside: Any = None) -> None:
        self.hand.press_twice(self.button(word, inside))

    def unfold(self, words: str, inside: Any = None) -> None:
        """Open or close what is folded under these words."""
        self.hand.press(self._in(inside).locator("summary").filter(has_text=words).first)

    def fill(self, label: str, text: str, inside: Any = None) -> None:
        self.hand.fill(self.field(label, inside), text)

    def send(self) -> None:
        """Send the form of the field that was filled last, as Enter does."""
        self.page.keyboard.press("Enter")

    def choose(self, label: str, value: str, inside: Any = None) -> None:
        """Choose the option of this value."""
        self.hand.choose(self.field(label, inside), value)

    def tick(self, label: str, inside: Any = None, *, on: bool = True) -> None:
        self.hand.tick(self.field(label, inside), on=on)

    def escape(self) -> None:
        self.page.keyboard.press("Escape")

    def button(self, word: str | re.Pattern[str], inside: Any = None) -> Any:
        """Return the button or link of this name."""
        scope, exact = self._in(inside), isinstance(word, str)
        found = scope.get_by_role("button", name=word, exact=exact)
        return found.or_(scope.get_by_role("link", name=word, exact=exact)).first

    def field(self, label: str, inside: Any = None) -> Any:
        """Return the field of this label; a longer one that begins so is taken as well."""
        scope = self._in(inside)
        words = re.compile(rf"^\s*{re.escape(label)}")
        found = scope.get_by_label(label, exact=True).or_(scope.get_by_label(words))
        return found.locator("visible=true").first

    def dialog(self, title: str) -> Any:
        """Wait for the open dialog of this title and return it."""
        found = self.window.dialog(title)
        self.page.wait_for_load_state("networkidle")
        return found

    def end(self) -> None:
        """Fail when the page complained, or has lost the focus."""
        self.hand.rest()
        self.window.assert_calm()

    def _in(self, inside: Any) -> Any:
        if inside is not None:
            return inside
        dialog = self.page.locator("dialog[open]")
        return dialog if dialog.count() else self.page


# A page that somebody has used, in which nothing has the focus any more.
_IS_LOST = """
() => {
  const nowhere = [null, document.body, document.documentElement].includes(document.activeElement);
  const lost = nowhere && window.__used === true;
  window.__used = true;
  return lost;
}
"""
# The shadow that something has without the focus, and the key that leads towards it.
_WAY = """
(one) => {
  const active = document.activeElement;
  const isBehind = active !== document.body
    && (active.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_PRECEDING) !== 0;
  return [active === one ? "none" : getComputedStyle(one).boxShadow,
          isBehind ? "Shift+Tab" : "Tab"];
}
"""
# Whether something has the focus, has a mark of it that can be seen, and is not under another.
_SEEN = """
(one, shadow) => {
  if (document.activeElement !== one) {
    return { focused: false };
  }
  const style = getComputedStyle(one);
  const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0
    && !/^transparent$|^rgba.*, 0[)]$/.test(style.outlineColor);
  const box = one.getBoundingClientRect();
  const bare = [0.1, 0.5, 0.9].some((x) => [0.1, 0.5, 0.9].some((y) => {
    const hit = document.elementFromPoint(box.x + box.width * x, box.y + box.height * y);
    return hit !== null && (one.contains(hit) || hit.closest("label")?.control === one);
  }));
  return { focused: true, marked: outlined || style.boxShadow !== shadow, bare };
}
"""
# How many options a choice is away from where it stands.
_STEPS = """
(one, value) => {
  const usable = [...one.options].filter((option) => !option.disabled);
  const wanted = usable.findIndex((option) => option.value === value);
  if (wanted < 0) {
    throw new Error(`there is no option ${value}`);
  }
  return wanted - usable.indexOf(one.options[one.selectedIndex]);
}
"""
