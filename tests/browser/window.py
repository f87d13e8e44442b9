"""A browser's window with somebody in front of it, which records what went wrong in it."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

AXE = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
PATIENCE_MS = 20_000  # on a busy machine
THEMES = ("light", "dark")
# The document's name for rules that are law or good practice; all of them hold on every page.
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_WATCH = """
window.__violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.__violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


def expect(found: Any) -> Any:
    """Return Playwright's assertions about something, which wait until they hold."""
    from playwright.sync_api import expect as expecting

    expecting.set_options(timeout=PATIENCE_MS)
    return expecting(found)


@dataclass
class Window:
    """One page of a browser, and everything that it complained about."""

    page: Page
    base: str
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.add_init_script(_WATCH)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        self.page.on("request", self._see)

    def open(self, path: str) -> Window:
        """Go to an address of ours and wait until nothing is loaded any more."""
        self.page.goto(self.base + path)
        self.page.wait_for_load_state("networkidle")
        return self

    def open_over(self, path: str) -> None:
        """Open an address as a dialog over the page, as a link that asks for it does."""
        self.page.evaluate(_FOLLOW, path)
        self.page.locator("dialog[open]").wait_for()
        self.page.wait_for_load_state("networkidle")

    @property
    def path(self) -> str:
        parts = urlsplit(self.page.url)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def title(self) -> str:
        """Return the heading of the page."""
        return self.page.locator("main h1").inner_text()

    def dialog(self, title: str) -> Any:
        """Wait for the open dialog of this title and return it."""
        found = self.page.get_by_role("dialog", name=title)
        expect(found).to_be_visible()
        return found

    def axe(self, *, both: bool = True) -> None:
        """Let axe look at the page as it is, in both themes, and fail on anything it finds."""
        found: list[str] = []
        for theme in THEMES if both else THEMES[:1]:
            self.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            self.page.evaluate(_STILL)
            if not self.page.evaluate("typeof window.axe !== 'undefined'"):
                self.page.evaluate(_axe_source())
            tags = {"runOnly": {"type": "tag", "values": _TAGS}, "resultTypes": ["violations"]}
            result = self.page.evaluate("options => axe.run(document, options)", tags)
            found.extend(
                f"{theme} {one['id']}: {one['help']}: {node['target']} {node['html'][:200]} "
                f"{node['failureSummary']}"
                for one in result["violations"]
                for node in one["nodes"]
            )
        assert not found, f"{self.path}:\n" + "\n".join(found)

    def assert_calm(self) -> None:
        """Fail when the page complained, broke its security policy, or asked anybody else."""
        self.problems.extend(self.page.evaluate("window.__violations ?? []"))
        assert not self.problems, f"{self.path}: {self.problems}"

    def forgive(self, part: str) -> None:
        """Forget complaints that a journey provokes on purpose."""
        assert any(part in one for one in self.problems), self.problems
        self.problems[:] = [one for one in self.problems if part not in one]

    def overflows(self) -> bool:
        """Tell whether the page is wider than the window."""
        return bool(
            self.page.evaluate(
                "document.documentElement.scrollWidth > document.documentElement.clientWidth"
            )
        )

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(
                f"console {message.type}: {message.text} {message.location.get('url', '')}"
            )

    def _see(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and not request.url.startswith(self.base + "/"):
            self.problems.append(f"asked elsewhere: {request.url}")


@dataclass
class Visitors:
    """Opens windows for people, who have signed in before."""

    browser: Browser
    base: str
    states: dict[str, Any] = field(default_factory=dict)
    opened: list[BrowserContext] = field(default_factory=list)

    def window(self, person: str = "admin", width: int = 1440, **more: Any) -> Window:
        """Return a window for somebody; nobody is the empty name."""
        state = self._state(person) if person else None
        context = self.browser.new_context(
            viewport={"width": width, "height": 900},
            storage_state=state,
            timezone_id="Europe/Berlin",
            reduced_motion="reduce",
            accept_downloads=True,
            **more,
        )
        context.set_default_timeout(PATIENCE_MS)
        # As after the first page that somebody ever opened.
        zone = {"name": "reentra_zone", "value": "Europe%2FBerlin", "url": self.base}
        context.add_cookies([zone])  # type: ignore[list-item]
        self.opened.append(context)
        return Window(context.new_page(), self.base)

    def forget(self, person: str) -> None:
        """Let the next window of somebody sign in anew."""
        self.states.pop(person, None)

    def close(self) -> None:
        """Close the windows of a test."""
        for context in self.opened:
            context.close()
        self.opened.clear()

    def _state(self, person: str) -> Any:
        if person not in self.states:
            from .staging import PASSWORD

            context = self.browser.new_context()
            answer = context.request.post(
                f"{self.base}/api/v1/session", data={"name": person, "password": PASSWORD}
            )
            assert answer.ok, answer.text()
            self.states[person] = context.storage_state()
            context.close()
        return self.states[person]


@functools.cache
def _axe_source() -> str:
    return AXE.read_text(encoding="utf-8")


# Colours are judged when nothing moves any more.
_STILL = """
() => Promise.all(document.getAnimations().map((one) => { try { one.finish() } catch { } }))
"""
_FOLLOW = """
(path) => {
  const link = Object.assign(document.createElement("a"), { href: path, textContent: "Open" });
  link.dataset.dialog = "";
  document.getElementById("main").append(link);
  link.click();
  link.remove();
}
"""
