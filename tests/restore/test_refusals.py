"""The documentation of refusals says what the code does, and every code is one that exists."""

from __future__ import annotations

from pathlib import Path

from reentra import errors
from reentra.restore.refusals import CODES

DOCUMENT = Path(__file__).parents[2] / "docs" / "restore.md"


def test_the_table_of_refusals_is_the_one_of_the_code() -> None:
    section = DOCUMENT.read_text().partition("## What a plan refuses")[2].partition("\n**")[0]
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split(" | "))
        for line in section.splitlines()
        if line.startswith("| `")
    ]
    written = {code.strip("`"): (when, overrule) for code, when, overrule in rows}
    stale = written.pop(errors.StalePlan.code)
    assert "no way" in stale[1]
    assert written == {row.code: (row.when, row.overrule) for row in CODES}
    assert len(rows) == len(CODES) + 1
