"""What a page costs the server, one reader at a time, and what the first view costs the line."""

from __future__ import annotations

import os
import random
import re
import statistics
import string
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from reentra.api.paging import cursor_of
from reentra.sandbox import seed_people

from . import year
from .sizes import Size
from .tenant import TENANT_NAME

if TYPE_CHECKING:
    from .reading import Caller

_TIMES = 40
_WARM = 3
_ROOT = f"/tenants/{TENANT_NAME}"
_LATEST = f"{_ROOT}/snapshots/latest"
_USER = _LATEST + "/kinds/user/objects/{user}"
_PLAN = "/plans/{plan}"
_JOB = "/jobs/{job}"
# Every page but comparisons with "Live", which ask the tenant. What holds ``{plan}`` or ``{job}``
# is left out where there is none.
PAGES = {
    "tenants": "/tenants",
    "overview": _ROOT,
    "timeline": f"{_ROOT}/snapshots",
    "viewer": _LATEST,
    "list": f"{_LATEST}/kinds/user",
    "list_filtered": f"{_LATEST}/kinds/user?text={{name}}",
    "list_by_modified": f"{_LATEST}/kinds/user?sort=modified",
    "object": _USER,
    "properties": f"{_USER}/properties",
    "relationships": f"{_USER}/relationships",
    "object_compare": f"{_USER}/compare",
    "search": f"{_ROOT}/search?text={{name}}",
    "search_deleted": f"{_ROOT}/search?text={{name}}&deleted=on",
    "compare": f"{_ROOT}/compare",
    "compare_page_2": f"{_ROOT}/compare?number=2",
    "compare_kind": f"{_ROOT}/compare?kind=user",
    "compare_modified": f"{_ROOT}/compare?change=modified",
    "restore_dialog": f"{_ROOT}/restore?snapshot=latest&id=user/{{user}}",
    "download_dialog": f"{_ROOT}/download?snapshot=latest&id=user/{{user}}",
    "jobs": f"{_ROOT}/jobs",
    "coverage": f"{_ROOT}/coverage",
    "storage": f"{_ROOT}/storage",
    "plan": _ROOT + _PLAN,
    "plan_page_2": _ROOT + _PLAN + "?cursor={second}",
    "job": _ROOT + _JOB,
    "job_failed": _ROOT + _JOB + "?status=failed",
    "job_done_page_2": _ROOT + _JOB + "?status=done&cursor={second}",
    "upkeep": "/jobs",
    "approvals": f"{_ROOT}/approvals",
    "tenant_settings": f"{_ROOT}/settings",
    "people": "/people",
    "person": "/people/{person}",
    "tokens": "/tokens",
    "account": "/account",
    "settings": "/settings",
    "connect": "/connect",
    "audit": "/audit",
}
_NAMES = ("an", "berg", "maria", "silva", "ko")


def measure(caller: Caller, size: Size, numbers: dict[str, float]) -> None:
    """Add the time of each page, the bytes of the first view, and the server's memory."""
    measure_each(caller, PAGES, size.users, _places(caller), "page", numbers)
    page = _get(caller, _ROOT)
    files = set(re.findall(rb"/static/[^\"#]+", page))
    numbers["first_view_bytes"] = len(page) + sum(len(_get(caller, one.decode())) for one in files)
    numbers["pages_peak_bytes"] = peak_bytes(caller.pid)


def measure_year(caller: Caller, numbers: dict[str, float]) -> None:
    """Add the same of the pages that name snapshots, where there is a year of hourly ones."""
    days = caller("GET", f"{_ROOT}/days?first=2020-01-01&last=2020-01-02")["months"]
    month = sorted(days)[len(days) // 2]
    middle = caller("GET", f"{_ROOT}/moments?limit=1&around={month}-15")["around"]["id"]
    places = {"middle": middle, "month": month}
    measure_each(caller, year.PAGES, year.USERS, places, "year", numbers)


def measure_each(
    caller: Caller,
    pages: Mapping[str, str],
    users: int,
    places: Mapping[str, str],
    prefix: str,
    numbers: dict[str, float],
) -> None:
    """Add the time of each page, those left out of which a place is not known.

    ``..._cpu_ms`` is the server's processor time, which tells more when others use the machine.
    """
    chance = random.Random(7)
    for name, template in pages.items():
        if not all(places.get(word, "-") for word in _named(template)):
            continue
        taken = []
        began_cpu = 0.0
        for index in range(_WARM + _TIMES):
            if index == _WARM:
                began_cpu = cpu_seconds(caller.pid)
            user = seed_people.bulk_guid("user", chance.randrange(users))
            path = template.format(user=user, name=chance.choice(_NAMES), **places)
            began = time.perf_counter()
            _get(caller, path)
            if index == 0:
                numbers[f"{prefix}_{name}_first_ms"] = (time.perf_counter() - began) * 1000
            if index >= _WARM:
                taken.append(time.perf_counter() - began)
        numbers[f"{prefix}_{name}_cpu_ms"] = (cpu_seconds(caller.pid) - began_cpu) / _TIMES * 1000
        cuts = statistics.quantiles(taken, n=100, method="inclusive")
        numbers[f"{prefix}_{name}_p95_ms"] = cuts[94] * 1000


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process has used, or 0 where it cannot be told."""
    status = Path(f"/proc/{pid}/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) * 1024 if found else 0


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used, or 0 where it cannot be told."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _places(caller: Caller) -> dict[str, str]:
    """Return what the templates name beside users: a restore, its plan, a person; "" for none."""
    restores = caller("GET", f"{_ROOT}/jobs?task=restore")["items"]
    job = restores[0] if restores else {"id": "", "parameters": {"plan": ""}}
    return {
        "job": job["id"],
        "plan": job["parameters"]["plan"],
        "person": caller("GET", "/people")["items"][-1]["id"],
        "second": cursor_of(100),
    }


def _named(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def _get(caller: Caller, path: str) -> bytes:
    """Return what is sent, as it is sent."""
    headers = {"Cookie": f"reentra={caller.cookie}", "Accept-Encoding": "gzip"}
    caller.connection.request("GET", path, headers=headers)
    answer = caller.connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"GET {path}: {answer.status} {content[:300]!r}")
    return content
