"""A scripted Graph and a client of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reentra.graph import pace
from reentra.graph.client import GraphClient
from tests.graph.scripted import FakeClock, ScriptedGraph


@pytest.fixture(autouse=True)
def fresh_throttles() -> None:
    """Forget the throttles of earlier tests: a port may be given twice, with another clock."""
    pace._registry.clear()
    pace._tenants.clear()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def graph() -> Iterator[ScriptedGraph]:
    """A Graph whose whole script must be used."""
    scripted = ScriptedGraph()
    yield scripted
    scripted.stop()
    assert not scripted.script, f"{len(scripted.script)} scripted answers were never asked for"
    assert not scripted.token_script, "a scripted token answer was never asked for"


@pytest.fixture
def client(graph: ScriptedGraph, clock: FakeClock) -> Iterator[GraphClient]:
    with graph.client(clock) as connected:
        yield connected
