"""Check what prose promises: links between pages lead somewhere, and package doors are short.

Run by ``make check``. Prints each problem and exits 1 when there is one.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)#\s]+)(?:#[^)]*)?\)")
PACKAGE_DOOR_LINES = 25


def broken_links() -> list[str]:
    """Return the relative links of Markdown pages that lead nowhere."""
    problems = []
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            if "://" in target or target.startswith("mailto:"):
                continue
            if not (page.parent / target).exists():
                problems.append(f"{page.relative_to(ROOT)}: the link to {target} leads nowhere")
    return problems


def wide_doors() -> list[str]:
    """Return the packages whose door says too much or nothing."""
    problems = []
    for door in (ROOT / "src/reentra").rglob("__init__.py"):
        text = door.read_text(encoding="utf-8")
        name = door.relative_to(ROOT)
        if not text.lstrip().startswith('"""'):
            problems.append(f"{name}: a package's door says what the package is for")
            continue
        docstring = text.split('"""')[1]
        if docstring.count("\n") > PACKAGE_DOOR_LINES:
            problems.append(f"{name}: the docstring has over {PACKAGE_DOOR_LINES} lines")
    return problems


def main() -> int:
    problems = broken_links() + wide_doors()
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
