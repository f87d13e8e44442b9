"""What the command line can do, the API can do, and the other way round; what not, and why."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from reentra.access import Permission, Role
from reentra.access.roles import LOWEST_ROLE
from reentra.api.application import PREFIX, make_litestar
from reentra.cli import root

from .parity import COMMANDS, OF_EVERY_COMMAND, OF_EVERY_LIST, ROUTES, Same, Why
from .test_routes import OPEN

BOTH = {name: row for name, row in COMMANDS.items() if isinstance(row, Same)}


def commands() -> set[str]:
    from tests.cli.test_surface import PATHS, SUBCOMMANDS

    return {" ".join(path) for path in PATHS if path and path[-1] not in SUBCOMMANDS}


def options_of(command: str) -> set[str]:
    """Return the options and arguments that a command takes, as it describes itself."""
    words = command.split()
    app = root.make_app(words[0])
    for word in words:
        app = app[word]
    return {one.name for one in app.assemble_argument_collection() if one.parse} - {"*"}


@functools.cache
def description() -> dict[str, Any]:
    return make_litestar(None).openapi_schema.to_schema()


def parameters_of(route: str) -> set[str]:
    """Return the parameters and the body's fields of a route, as the API describes it."""
    method, _, path = route.partition(" ")
    operation = description()["paths"][PREFIX + path][method.lower()]
    found = {one["name"] for one in operation.get("parameters", ())}
    content = operation.get("requestBody", {}).get("content", {})
    reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    if reference:
        body = description()["components"]["schemas"][reference.rpartition("/")[2]]
        found |= body["properties"].keys()
    return found


def names_of(row: Same, option: str, taken: set[str]) -> set[str]:
    """Return the parameters that are an option's, of those that are taken."""
    told = row.options.get(option)
    if isinstance(told, Why):
        return set()
    if told is not None:
        return set(told) & taken
    plain = option.removeprefix("--").replace("-", "_").lower()
    return ({"tenant"} if option == "NAME" else {plain}) & taken


def test_every_command_has_its_routes_or_a_reason() -> None:
    assert commands() - COMMANDS.keys() == set()
    assert COMMANDS.keys() - commands() == set()


def test_every_route_has_its_command_or_a_reason() -> None:
    there = {f"{method} {path.removeprefix(PREFIX)}" for method, path, _ in OPEN}
    named = {route for row in BOTH.values() for route in row.routes}
    assert named - there == set()
    assert there - named - ROUTES.keys() == set()
    assert ROUTES.keys() - there == set()


@pytest.mark.parametrize("command", BOTH)
def test_every_option_is_a_parameter_of_the_routes_or_has_a_reason(command: str) -> None:
    row = BOTH[command]
    taken = set().union(*(parameters_of(route) for route in row.routes))
    options = options_of(command) - OF_EVERY_COMMAND
    assert {option for option in options if not names_of(row, option, taken)} == {
        option for option, told in row.options.items() if isinstance(told, Why)
    }
    assert row.options.keys() - options == set()


@pytest.mark.parametrize("command", BOTH)
def test_every_parameter_of_the_routes_is_an_option_or_has_a_reason(command: str) -> None:
    row = BOTH[command]
    taken = set().union(*(parameters_of(route) for route in row.routes))
    known = set().union(*(names_of(row, option, taken) for option in options_of(command)))
    assert taken - known - OF_EVERY_LIST == set(row.alone)


@pytest.mark.parametrize("command", BOTH)
def test_the_lowest_role_of_a_commands_routes_is_what_the_table_says(command: str) -> None:
    needed = {f"{m} {p.removeprefix(PREFIX)}": h.opt["needs"] for m, p, h in OPEN}
    roles = [
        LOWEST_ROLE[needs]
        for needs in (needed[route] for route in BOTH[command].routes)
        if isinstance(needs, Permission)
    ]
    asked = BOTH[command].role
    everybody = len(roles) < len(BOTH[command].routes)
    assert asked == (None if everybody else min(roles, key=tuple(Role).index))
