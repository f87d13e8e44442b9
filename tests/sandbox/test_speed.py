"""The bars: how many pages a second, how quick a seed, how much memory a user takes."""

from __future__ import annotations

import http.client
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import requests

from reentra.sandbox import schema, seed

pytestmark = pytest.mark.slow

USERS = 40_000
PAGES_PER_SECOND = 100
BYTES_PER_USER = 4 * 1024**3 / 200_000
_NEXT = re.compile(rb'"@odata.nextLink":"http://[^/]+([^"]+)"')


@pytest.fixture(scope="module")
def large() -> Iterator[tuple[str, str, int]]:
    """A large sandbox in a process of its own: its address, a token, its process id."""
    began = time.monotonic()
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
        # A fifth of the users in a fifth of the minute that two hundred thousand may take.
        assert time.monotonic() - began < 12
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


def _read_all(url: str, token: str, path: str) -> tuple[int, float]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    pages, began = 0, time.monotonic()
    link: str | None = path
    while link:
        connection.request("GET", link, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        data = response.read()
        assert response.status == 200
        pages += 1
        found = _NEXT.search(data[:8192])
        link = found.group(1).decode() if found else None
    connection.close()
    return pages, time.monotonic() - began


def test_a_hundred_pages_of_999_users_a_second(large: tuple[str, str, int]) -> None:
    url, token, _ = large
    names = [
        name
        for name, prop in schema.entity("user").properties.items()
        if not prop.alone
        and name not in ("signInActivity", "customSecurityAttributes", "employeeLeaveDateTime")
    ]
    path = f"/v1.0/users?$top=999&$select=id,{','.join(names)}"
    _read_all(url, token, path)
    rates = []
    for _ in range(5):
        pages, seconds = _read_all(url, token, path)
        rates.append(pages / seconds)
    assert max(rates) >= PAGES_PER_SECOND, rates


def test_a_large_tenant_fits_into_four_gigabytes(large: tuple[str, str, int]) -> None:
    url, token, pid = large
    _read_all(url, token, "/v1.0/groups/delta?$select=displayName,members,owners")
    with open(f"/proc/{pid}/statm", encoding="ascii") as handle:  # noqa: PTH123
        resident_bytes = int(handle.read().split()[1]) * resource.getpagesize()
    assert resident_bytes < BYTES_PER_USER * USERS
