"""``make screenshots``: a picture of every page and dialog, light and dark, narrow and wide.

``python -m tests.browser.screenshots [--seed SEED] [--only NAME...] [--out FOLDER]``
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .addresses import ADDRESSES, Address
from .conftest import Stage, browsing, staged
from .window import THEMES, Visitors

WIDTHS = (400, 1440)
OUT = Path(__file__).parents[2] / "build" / "screenshots"


def take(address: Address, stage: Stage, visitors: Visitors, out: Path) -> list[str]:
    """Take the pictures of one page; return what the page complained about."""
    problems: list[str] = []
    for width in WIDTHS:
        window = visitors.window(address.person, width)
        for theme in THEMES:
            window.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            address.show(window, stage.facts)
            picture = out / f"{address.name}-{theme}-{width}.png"
            window.page.screenshot(path=picture, full_page=not address.over)
        problems += window.problems
        if window.overflows():
            problems.append(f"wider than {width} pixels")
        visitors.close()
    return [one for one in problems if f"status of {address.status}" not in one]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", default="medium")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--only", nargs="*", default=[])
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    bad = 0
    with staged(chosen.seed) as stage, browsing() as browser:
        visitors = Visitors(browser, stage.base)
        for address in ADDRESSES:
            if chosen.only and address.name not in chosen.only:
                continue
            problems = take(address, stage, visitors, chosen.out)
            bad += bool(problems)
            print(address.name, "; ".join(problems) or "ok", flush=True)
    print(f"The pictures are in {chosen.out}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
