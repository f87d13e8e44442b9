"""A fresh sandbox tenant for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.restore.support import World, worlds


@pytest.fixture
def world() -> Iterator[World]:
    yield from worlds()
