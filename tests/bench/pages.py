"""What a page costs the server, one reader at a time, and what the first view costs the line."""

from __future__ import annotations

import random
import re
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

from reentra.sandbox import seed_people

from .sizes import Size
from .tenant import TENANT_NAME

if TYPE_CHECKING:
    from .reading import Caller

_TIMES = 40
_WARM = 3
_ROOT = f"/tenants/{TENANT_NAME}"
_LATEST = f"{_ROOT}/snapshots/latest"
_USER = _LATEST + "/kinds/user/objects/{user}"
# Every page but comparisons with "Live", which ask the tenant.
PAGES = {
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
    "restore_dialog": f"{_ROOT}/restore?snapshot=latest&id=user/{{user}}",
    "download_dialog": f"{_ROOT}/download?snapshot=latest&id=user/{{user}}",
    "jobs": f"{_ROOT}/jobs",
    "coverage": f"{_ROOT}/coverage",
    "tenants": "/tenants",
    "audit": "/audit",
}
_NAMES = ("an", "berg", "maria", "silva", "ko")


def measure(caller: Caller, size: Size, numbers: dict[str, float]) -> None:
    """Add the time of each page, the bytes of the first view, and the server's memory."""
    chance = random.Random(7)
    for name, template in PAGES.items():
        taken = []
        for index in range(_WARM + _TIMES):
            user = seed_people.bulk_guid("user", chance.randrange(size.users))
            path = template.format(user=user, name=chance.choice(_NAMES))
            began = time.perf_counter()
            _get(caller, path)
            if index >= _WARM:
                taken.append(time.perf_counter() - began)
        cuts = statistics.quantiles(taken, n=100, method="inclusive")
        numbers[f"page_{name}_p95_ms"] = cuts[94] * 1000
    page = _get(caller, _ROOT)
    files = set(re.findall(rb"/static/[^\"#]+", page))
    numbers["first_view_bytes"] = len(page) + sum(len(_get(caller, one.decode())) for one in files)
    status = Path(f"/proc/{caller.pid}/status")
    if status.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        assert found is not None
        numbers["pages_peak_bytes"] = int(found[1]) * 1024


def _get(caller: Caller, path: str) -> bytes:
    """Return what is sent, as it is sent."""
    headers = {"Cookie": f"reentra={caller.cookie}", "Accept-Encoding": "gzip"}
    caller.connection.request("GET", path, headers=headers)
    answer = caller.connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"GET {path}: {answer.status} {content[:300]!r}")
    return content
