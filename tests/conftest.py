"""What all tests share: a PostgreSQL database for each worker, and the same examples in CI."""

from __future__ import annotations

import os

import hypothesis
import pytest

# The same examples in every run of CI, so that a change is judged by what it changes; other runs go
# on looking for new ones. How fast a busy machine draws is no failure: neither deadline nor the
# health check of slow draws says anything about the code.
_UNTIMED = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("local", _UNTIMED)
hypothesis.settings.register_profile("ci", _UNTIMED, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")

_POSTGRES = "REENTRA_TEST_POSTGRES"


def pytest_configure(config: pytest.Config) -> None:
    """Give each parallel worker a database of its own on the server that was named."""
    del config
    url, worker = os.environ.get(_POSTGRES, ""), os.environ.get("PYTEST_XDIST_WORKER", "")
    if not url or not worker:
        return
    import psycopg

    server, _, _ = url.rpartition("/")
    with psycopg.connect(
        url.replace("postgresql+psycopg://", "postgresql://"), autocommit=True
    ) as (connection):
        connection.execute(f"DROP DATABASE IF EXISTS tests_{worker}")
        connection.execute(f"CREATE DATABASE tests_{worker}")
    os.environ[_POSTGRES] = f"{server}/tests_{worker}"
