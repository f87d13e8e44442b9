"""One zygote for each worker's tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.support import Zygote


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    running = Zygote(tmp_path_factory.mktemp("zygote"))
    yield running
    running.close()
