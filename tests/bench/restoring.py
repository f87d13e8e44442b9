"""What a restore costs: planning a large one, applying one quickly, and keeping to the quota."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from reentra.directory.objects import ObjectRef
from reentra.directory.selection import Selection
from reentra.sandbox import seed_people

from . import child, tenant
from .acts import Numbers
from .sizes import Size

QUOTA_USERS = 12_500  # 10,000 steps: one in five is synchronised, and never written
QUOTA_SECONDS = 300.0
QUOTA_WRITES = 2 * 3_000  # of 300 s: learn.microsoft.com/graph/throttling-limits
UPDATED, CREATED, GROUPS, LINKS_A_GROUP = 4_000, 1_000, 250, 8


def measure_plans(home: Path, served: tenant.ServedTenant, size: Size, numbers: Numbers) -> None:
    """Change half the users, and plan to put them back."""
    users = [seed_people.bulk_guid("user", index) for index in range(0, size.users, 2)]
    tenant.edit(served, "user", users, "department", "Blanked by a script")
    for name, with_relationships in (("plan", 0), ("plan_with_links", 1)):
        found = child.run("plan_restore", home, with_relationships)
        numbers.update({f"restore_{name}_{key}": value for key, value in found.items()})


def measure_rate(folder: Path, numbers: Numbers, say: Callable[[str], None]) -> None:
    """Restore updated users, purged users and lost memberships, without a quota."""
    home = folder / "restore"
    with tenant.serving(folder, Size("restore", 8_000, 0, 0)) as it:
        child.run("connect", home, it.url, it.tenant_id, it.client_id, it.secret)
        child.run("back_up", home)
        users = [seed_people.bulk_guid("user", index) for index in range(UPDATED + CREATED)]
        say("restore: updates")
        tenant.edit(it, "user", users[:UPDATED], "department", "Blanked by a script")
        updates = _applied(folder, home, _refs("user", users[:UPDATED]))
        say("restore: links")
        lost = tenant.unlink_members(it, range(GROUPS), LINKS_A_GROUP, 8_000)
        links = _applied(folder, home, _refs("group", lost))
        say("restore: purged users")
        tenant.purge(it, users[UPDATED:])
        creations = _applied(folder, home, _refs("user", users[UPDATED:]))
    for name, found in (("updates", updates), ("links", links), ("creations", creations)):
        numbers.update({f"restore_{name}_{key}": value for key, value in found.items()})
        numbers[f"restore_{name}_per_second"] = found["steps"] / found["apply_wall_seconds"]
    every = (updates, links, creations)
    numbers |= {
        "restore_steps_per_second": sum(one["steps"] for one in every)
        / sum(one["apply_wall_seconds"] for one in every),
        "restore_writes_per_object": updates["write_requests"] / updates["steps"],
        "restore_writes_per_link": links["write_requests"] / links["links"],
        "restore_requests_per_object": updates["requests"] / updates["steps"],
        "restore_requests_per_created_object": creations["requests"] / creations["creations"],
        "restore_requests_per_link": links["requests"] / links["links"],
    }


def measure_quota(folder: Path, numbers: Numbers) -> None:
    """Restore 10,000 users at Graph's own quota, for the first 300 seconds."""
    home = folder / "quota"
    size = Size("quota", QUOTA_USERS, 0, 0)
    with tenant.serving(folder, size, throttle="real") as it:
        child.run("connect", home, it.url, it.tenant_id, it.client_id, it.secret)
        child.run("back_up", home)
        users = [seed_people.bulk_guid("user", index) for index in range(QUOTA_USERS)]
        tenant.edit(it, "user", users, "department", "Blanked by a script")
        found = _applied(folder, home, Selection(kinds=frozenset({"user"})), int(QUOTA_SECONDS))
    numbers.update({f"restore_quota_{key}": value for key, value in found.items()})
    numbers["restore_quota_share"] = found["writes_in_window"] / QUOTA_WRITES


def _refs(kind: str, ids: Sequence[str]) -> Selection:
    return Selection(refs=frozenset(ObjectRef(kind, one) for one in ids))


def _applied(folder: Path, home: Path, selection: Selection, seconds: int = 0) -> Numbers:
    file = folder / "selection.json"
    file.write_text(json.dumps(selection.to_json()), encoding="utf-8")
    return child.run("apply_restore", home, file, seconds)
