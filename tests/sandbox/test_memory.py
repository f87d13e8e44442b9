"""How much memory a large tenant takes. How quick the sandbox is, `make bench` says."""

from __future__ import annotations

import http.client
import re
import resource
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests

from reentra.sandbox import seed

pytestmark = pytest.mark.slow

USERS = 40_000
BYTES_PER_USER = 4 * 1024**3 / 200_000
_NEXT = re.compile(rb'"@odata.nextLink":"http://[^/]+([^"]+)"')


@pytest.fixture(scope="module")
def large() -> Iterator[tuple[str, str, int]]:
    """A large sandbox in a process of its own: its address, a token, its process id."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "reentra.sandbox", "--seed", "large"),
            *("--users", str(USERS), "--throttle", "off"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        url = line.split()[3].rstrip(",")
        form = {
            "client_id": seed.BOTH_CLIENT_ID,
            "client_secret": seed.SANDBOX_SECRET,
            "grant_type": "client_credentials",
            "scope": "https://graph.microsoft.com/.default",
        }
        answer = requests.post(f"{url}/{seed.TENANT_ID}/oauth2/v2.0/token", data=form, timeout=10)
        yield url, answer.json()["access_token"], process.pid
    finally:
        process.kill()
        process.wait()


def _read_all(url: str, token: str, path: str) -> None:
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    link: str | None = path
    while link:
        connection.request("GET", link, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        data = response.read()
        assert response.status == 200
        found = _NEXT.search(data[:8192])
        link = found.group(1).decode() if found else None
    connection.close()


def test_a_large_tenant_fits_into_four_gigabytes(large: tuple[str, str, int]) -> None:
    url, token, pid = large
    _read_all(url, token, "/v1.0/groups/delta?$select=displayName,members,owners")
    with open(f"/proc/{pid}/statm", encoding="ascii") as handle:  # noqa: PTH123
        resident_bytes = int(handle.read().split()[1]) * resource.getpagesize()
    assert resident_bytes < BYTES_PER_USER * USERS
