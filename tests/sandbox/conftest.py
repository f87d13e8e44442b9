"""A sandbox on a socket, started with options and stopped with the test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from reentra.sandbox.app import Sandbox, SandboxServer
from reentra.sandbox.world import Options

from .caller import Caller, Start


@pytest.fixture
def start() -> Iterator[Start]:
    """Start sandboxes with options; all of them end with the test."""
    open_: list[Caller] = []

    def run(seed: str | None = "small", client_id: str | None = None, **options: Any) -> Caller:
        server = SandboxServer(Sandbox(seed, options=Options(**options)))
        server.start()
        caller = Caller(server, client_id)
        open_.append(caller)
        return caller

    yield run
    for caller in open_:
        caller.close()
        caller.server.stop()


@pytest.fixture
def graph(start: Start) -> Caller:
    """A small tenant and a client that may do everything."""
    return start()
