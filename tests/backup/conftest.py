"""A fresh sandbox tenant for each test; every scripted fault must have struck at its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reentra.sandbox.app import SandboxServer
from tests.backup.support import World, new_world


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer(seed_name="small") as running:
        yield running
        running.sandbox.faults.assert_all_used()
        assert not running.sandbox.counters.by_status[501], (
            "a request that Graph does not know was sent"
        )


@pytest.fixture
def world(server: SandboxServer) -> World:
    return new_world(server)
