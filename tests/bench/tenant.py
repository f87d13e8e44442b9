"""The tenant that is measured: a sandbox in a process of its own, and what happens to it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reentra.sandbox import seed, seed_people

from .sizes import LINKS_PER_USER, USERS_PER_GROUP, Size

TENANT_NAME = "bench"
SHARE = 100  # one object, and one link, in so many is changed
_EDITED_AT_ONCE = 20  # objects that get the same new text
_SENT_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class ServedTenant:
    """Where the sandbox listens. The secret is the documented one of every sandbox."""

    url: str
    tenant_id: str
    process_id: int
    client_id: str
    secret: str = seed.SANDBOX_SECRET

    def peak_bytes(self) -> int:
        """Return the most memory that the sandbox has used, or 0 where it cannot be told."""
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self.process_id}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return 0


@dataclass(frozen=True, slots=True)
class Changed:
    """What ``change`` did, as Graph names it."""

    user_ids: tuple[str, ...]
    group_ids: tuple[str, ...]
    links: tuple[tuple[str, str, bool], ...]  # group, member, whether it was added


@contextlib.contextmanager
def serving(
    folder: Path, size: Size, *, client_id: str = seed.BOTH_CLIENT_ID, throttle: str = "off"
) -> Iterator[ServedTenant]:
    """Run a sandbox on a free loopback port while the block runs.

    Raises: ``RuntimeError`` when it does not come up.
    """
    command = (
        *(sys.executable, "-m", "reentra.sandbox", "--port", "0", "--throttle", throttle),
        *("--seed", "large", "--users", str(size.users)),
    )
    log_path = folder / "sandbox.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
    try:
        assert process.stdout is not None
        words = process.stdout.readline().decode().replace(",", " ").split()
        if not words:
            raise RuntimeError(f"The sandbox did not start: {log_path.read_text()}")
        yield ServedTenant(words[3], words[5], process.pid, client_id)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def change(tenant: ServedTenant, size: Size) -> Changed:
    """Change one user, one group and one membership in a hundred."""
    users = tuple(seed_people.bulk_guid("user", index) for index in range(0, size.users, SHARE))
    groups = tuple(seed_people.bulk_guid("group", index) for index in range(0, size.groups, SHARE))
    for kind, ids, field in (("user", users, "department"), ("group", groups, "description")):
        for number, start in enumerate(range(0, len(ids), _EDITED_AT_ONCE)):
            text = f"Changed department {number}"
            edit(tenant, kind, ids[start : start + _EDITED_AT_ONCE], field, text)
    return Changed(users, groups, tuple(_change_links(tenant, size)))


def edit(tenant: ServedTenant, kind: str, ids: Sequence[str], field: str, text: str) -> None:
    """Give all of ``ids`` the same text."""
    for start in range(0, len(ids), _SENT_AT_ONCE):
        given = {"type": kind, "ids": ids[start : start + _SENT_AT_ONCE]}
        _control(tenant, "objects/edit", {**given, "properties": {field: text}})


def purge(tenant: ServedTenant, ids: Sequence[str]) -> None:
    """Remove objects for good."""
    assert _control(tenant, "objects/purge", {"ids": ids})["purged"] == len(ids)


def unlink_members(tenant: ServedTenant, groups: range, members: int, user_count: int) -> list[str]:
    """Take so many members out of each of the groups that have them; return the groups."""
    found = []
    group_count = max(1, user_count // USERS_PER_GROUP)
    for index, places in seed_people.memberships(group_count, user_count, LINKS_PER_USER):
        if index not in groups or len(places) < members:
            continue
        group = seed_people.bulk_guid("group", index)
        targets = [seed_people.bulk_guid("user", place) for place in places[:members]]
        given = {"navigation": "group.members", "source": group, "targets": targets}
        _control(tenant, "links", {**given, "remove": True})
        found.append(group)
    return found


def _change_links(tenant: ServedTenant, size: Size) -> Iterator[tuple[str, str, bool]]:
    """Remove five members and add five in as many groups as make one membership in a hundred."""
    wanted = size.users * LINKS_PER_USER // SHARE
    step = max(1, size.groups * 10 // max(wanted, 1))
    for index, members in seed_people.memberships(size.groups, size.users, LINKS_PER_USER):
        if index % step or wanted <= 0 or len(members) < 10:
            continue
        group = seed_people.bulk_guid("group", index)
        outside = (place for place in range(size.users) if place not in members)
        pairs = (
            (False, [members[place] for place in range(5)]),
            (True, [next(outside) for _ in range(5)]),
        )
        for is_added, places in pairs:
            targets = [seed_people.bulk_guid("user", place) for place in places]
            done = _control(
                tenant,
                "links",
                {
                    "navigation": "group.members",
                    "source": group,
                    "targets": targets,
                    "remove": not is_added,
                },
            )
            assert done["changed"] == len(targets)
            wanted -= len(targets)
            yield from ((group, target, is_added) for target in targets)


def _control(tenant: ServedTenant, path: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{tenant.url}/_sandbox/{path}",
        json.dumps(body, default=_as_list).encode(),
        {"Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found


def _as_list(value: Sequence[str]) -> list[str]:
    return list(value)
