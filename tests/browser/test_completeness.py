"""Every step of the workflow is a journey, or part of one, and hands walk it."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any

WORKFLOW = {f"w{number:02}" for number in range(1, 26)}
# Nobody presses anything in these: they tell what is seen, by whom.
_SEEN_ALONE = {
    "test_w01_each_role_sees_what_it_may_do_and_why_it_may_not",
    "test_w04_a_licence_has_the_name_of_its_product",
    "test_w05_who_may_not_restore_sees_why",
}


def journeys() -> dict[str, Any]:
    """Return the tests whose names say which steps of the workflow they walk."""
    files = Path(__file__).parent.glob("test_*.py")
    modules = [import_module(f"{__package__}.{file.stem}") for file in files]
    return {
        name: test
        for module in modules
        for name, test in vars(module).items()
        if re.match(r"test_w\d\d", name)
    }


def test_each_step_of_the_workflow_is_walked_in_a_browser() -> None:
    walked = {step for name in journeys() for step in re.findall(r"w\d\d", name)}
    assert walked == WORKFLOW


def test_each_journey_is_walked_with_a_mouse_and_with_the_keyboard_alone() -> None:
    by_one_hand = {
        name
        for name, test in journeys().items()
        if "visit" not in inspect.signature(test).parameters
    }
    assert by_one_hand == _SEEN_ALONE


def test_nobody_helps_the_keyboard() -> None:
    """What only a mouse or a script can do stands in the hands alone, not in a journey."""
    own = {Path(__file__).name, "hands.py", "window.py"}
    helped = {
        f"{file.name}: {found}"
        for file in Path(__file__).parent.glob("*.py")
        if file.name not in own
        for found in re.findall(
            r"\.(?:click|dblclick|check|uncheck|select_option|focus)\(", file.read_text()
        )
    }
    assert helped == set()
