"""Hints fit every face: what to type on the command line is said apart, and only there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from reentra import errors
from reentra.cli import screen

SOURCE = Path(errors.__file__).parent
# The command line's own words, and its options; and whose they are.
TYPED = re.compile(
    r"`reentra |\breentra (tenant|jobs|people|check|backup|restore)\b|(?<![\w-])--[a-z]{2}"
)
OWN = ("cli", "sandbox")
# Where something is named for people at a terminal, beside the hint.
APART = ("typed", "default_typed")
# The line of each refusal's code in the documentation, which says how each face overrules it.
DOCUMENTED = ("CODES",)


def texts(tree: ast.AST) -> Iterator[ast.Constant]:
    """Yield every text of a module but docstrings, and but what is said apart."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.keyword) and node.arg in APART:
            continue
        if isinstance(node, ast.Assign | ast.AnnAssign):
            names = node.targets if isinstance(node, ast.Assign) else [node.target]
            if {one.id for one in names if isinstance(one, ast.Name)} & {*APART, *DOCUMENTED}:
                continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node
        yield from texts(node)


def modules() -> list[Path]:
    return [
        path
        for path in sorted(SOURCE.rglob("*.py"))
        if path.relative_to(SOURCE).parts[0] not in OWN
    ]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_that_all_faces_show_tells_people_to_type(path: Path) -> None:
    found = [
        (node.lineno, node.value)
        for node in texts(ast.parse(path.read_text()))
        if TYPED.search(str(node.value))
    ]
    assert found == []


def test_the_command_line_says_what_to_type_and_nobody_else_does() -> None:
    failure = errors.NotFound("There is none.", hint="Look in the list.", typed="reentra jobs list")
    assert screen.hint_of(failure) == "Look in the list: `reentra jobs list`."
    assert failure.to_json()["hint"] == "Look in the list."
    assert str(failure) == "There is none. Look in the list."


def test_a_hint_of_ones_own_takes_the_place_of_the_default_with_what_is_typed_for_it() -> None:
    assert screen.hint_of(errors.Forbidden("No.")).endswith("`reentra tenant check NAME`.")
    assert screen.hint_of(errors.Forbidden("No.", hint="Wait.")) == "Wait."
    assert screen.hint_of(errors.Refused("No.", hint="")) == ""
