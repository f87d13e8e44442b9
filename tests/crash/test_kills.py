"""kill -9 of a running backup and of a running restore, at random moments; then the next run.

The moments come from a seed, which is printed; ``KILL_SEED`` sets another one.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from reentra.sandbox import seed_people
from reentra.sandbox.app import Sandbox
from tests.crash.mishaps import harm, in_bin, names_in
from tests.crash.support import (
    NAME,
    PASSWORD,
    TENANT_ID,
    Fuse,
    Installation,
    Stage,
    Zygote,
    assert_whole,
    installed,
    print_of_bytes,
    print_of_state,
    replayed,
)

SEED = int(os.environ.get("KILL_SEED", "20261123"))
LATENCY_SECONDS = 0.004  # a round trip, so that there is something to be killed in the middle of

moments = pytest.mark.parametrize(
    "kills", [2, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)


@pytest.fixture
def place(zygote: Zygote, tmp_path: Path) -> Iterator[Installation]:
    with Stage() as stage:
        yield installed(zygote, tmp_path, stage)


def kill_once(
    installation: Installation, arguments: tuple[str, ...], after_seconds: float
) -> tuple[bool, str]:
    """Run a command and kill it after so long; returns whether it was hit, and what it printed."""
    running = installation.start(*arguments)
    time.sleep(after_seconds)
    running.kill()
    ended = running.wait()
    return ended.was_killed, ended.out


def timed(installation: Installation, arguments: tuple[str, ...]) -> float:
    began = time.monotonic()
    assert installation.run(*arguments).code == 0
    return time.monotonic() - began


@moments
def test_a_backup_killed_at_random_moments_loses_nothing_and_the_next_one_is_the_tenant(
    place: Installation, kills: int
) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    tenant = place.stage.sandbox.tenant
    users = [r.id for r in tenant.collection("user").values()]
    place.stage.sandbox.options.latency_seconds = LATENCY_SECONDS
    # A checkpoint after each kind, so that there is one to go on from.
    place.more["TEST_CHECKPOINT_ROWS"] = "1"
    backup = ("backup", NAME, "--json")
    duration = timed(place, backup)
    prints: dict[str, str] = {}
    killed = number = 0
    while killed < kills:
        number += 1
        assert number <= 4 * kills, f"only {killed} of {number} were hit"
        for user_id in chance.sample(users, 6):
            tenant.update(tenant.get("user", user_id), {"city": f"City {number}"})
        told = f"seed {SEED}, kill {number}"
        was_killed, out = kill_once(place, backup, chance.uniform(0.0, duration))
        killed += was_killed
        opened = place.open()
        assert_whole(opened)
        for snapshot_id, print_before in prints.items():
            assert print_of_bytes(opened, snapshot_id) == print_before, told
        if out:
            assert place.snapshots()[-1] in out, told
        result = place.json("backup", NAME)
        assert result["status"] in {"complete", "unchanged"}, told
        if number % 10 == 1:
            expected = print_of_state(place.stage.live())
            assert print_of_state(replayed(place, result["snapshot"])) == expected, told
            with place.catalog() as catalog:
                assert print_of_state(catalog.state(TENANT_ID, result["snapshot"])) == expected
        opened = place.open()
        # The last few: the chain grows, and each is read whole.
        prints = {one: print_of_bytes(opened, one) for one in place.snapshots()[-2:]}
    print(f"{killed} backups were killed while they ran, of {number} begun")


def test_a_restore_killed_at_random_moments_goes_on_and_creates_nothing_twice(
    place: Installation, tmp_path: Path
) -> None:
    kills = 2
    print(f"seed {SEED}")
    chance = random.Random(SEED + 1)
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    bin_before = in_bin(place.stage.renew())
    what = ("restore", NAME, "--snapshot", place.snapshots()[0], "--kind", "user")
    what += ("--kind", "group")
    restore = (*what, "--yes", "--default-password-file", str(password))

    def prepare() -> tuple[Installation, Counter[str]]:
        before = harm(place.stage.renew())
        place.stage.sandbox.options.latency_seconds = LATENCY_SECONDS
        return place.copy(tmp_path / "copy"), before

    duration = timed(prepare()[0], restore)
    killed = number = 0
    while killed < kills:
        number += 1
        assert number <= 4 * kills, f"only {killed} of {number} were hit"
        told = f"seed {SEED}, kill {number}"
        copy, before = prepare()
        was_killed, _ = kill_once(copy, restore, chance.uniform(0.0, duration))
        killed += was_killed
        again = copy.run(*restore)
        assert again.code == 0, (told, again.err)
        sandbox = place.stage.sandbox
        assert names_in(sandbox) == before, told
        assert in_bin(sandbox) == bin_before, told
        jobs = [job for job in copy.json("jobs", "list") if job["task"] == "restore"]
        assert {job["status"] for job in jobs} == {"succeeded"}, told
        if number % 5 == 1:
            assert copy.json(*what, "--preview")["steps"] == [], told
        assert_whole(copy.open())
    print(f"{killed} restores were killed while they ran, of {number} begun")


def test_a_restore_that_was_left_behind_is_not_taken_up_after_another_one(
    place: Installation, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    given = ("--default-password-file", str(password))
    before = harm(place.stage.renew())
    what = ("restore", NAME, "--snapshot", place.snapshots()[0], "--kind", "user")
    restore = (*what, "--kind", "group", "--yes", *given)
    trail = place.copy(tmp_path / "counted").run(*restore, fuse=Fuse(0, "none")).trail
    first_write = next(n for n, one in enumerate(trail, 1) if one.startswith("graph"))
    before = harm(place.stage.renew())
    # Killed when it has written down what it is about to create, and has created nothing.
    assert place.run(*restore, fuse=Fuse(first_write, "before")).was_killed
    # Nobody is there to give the password: it is left to be taken up by hand.
    assert place.run("backup", NAME).code == 0
    (job,) = [one for one in place.json("jobs", "list") if one["task"] == "restore"]
    assert job["status"] == "failed"
    # Another restore does the work; then somebody remembers the first one.
    assert place.run(*restore).code == 0
    late = place.run("jobs", "resume", job["id"], *given, "--json")
    assert late.code == 4, late.err
    assert late.document["error"]["code"] == "stale_plan"
    assert names_in(place.stage.sandbox) == before


@pytest.mark.slow
def test_a_restore_whose_machine_is_lost_with_it_creates_nothing_twice(
    place: Installation, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    harm(place.stage.renew())
    restore = ("restore", NAME, "--snapshot", place.snapshots()[0], "--kind", "user")
    restore += ("--kind", "group", "--yes", "--default-password-file", str(password))
    trail = place.copy(tmp_path / "counted").run(*restore, fuse=Fuse(0, "none")).trail
    writes = [number for number, one in enumerate(trail, 1) if one.startswith("graph")]
    assert len(writes) > 2
    # Before each next write: what the one before created is in the identity map by then.
    for write in writes[1:]:
        before = harm(place.stage.renew())
        copy = place.copy(tmp_path / "copy")
        assert copy.run(*restore, fuse=Fuse(write, "before")).was_killed
        # The repository is all that is left: no journal, no catalog.
        for file in copy.home.glob("*.sqlite*"):
            file.unlink()
        again = copy.run(*restore)
        assert again.code == 0, (write, again.err)
        assert names_in(place.stage.sandbox) == before, f"after write {write}"


# --- two thousand steps ---------------------------------------------------------------------------

PURGED, BINNED, BLANKED = range(150), range(150, 200), range(200, 900)


def harm_many(sandbox: Sandbox) -> None:
    """Purge, delete and blank users in bulk: some two thousand steps to put right."""
    tenant = sandbox.tenant
    user = [tenant.get("user", seed_people.bulk_guid("user", index)) for index in range(900)]
    for index in PURGED:
        tenant.soft_delete(user[index])
        tenant.purge(tenant.find_deleted(user[index].id))
    for index in BINNED:
        tenant.soft_delete(user[index])
    for index in BLANKED:
        tenant.update(user[index], {"department": None, "officeLocation": None})


def portrait(sandbox: Sandbox) -> dict[str, object]:
    """Return what a restore may touch, told by principal names, since ids may be new."""
    tenant = sandbox.tenant
    names = {
        record.id: str(record.props.get("userPrincipalName") or record.props["displayName"])
        for kind in ("user", "group")
        for record in tenant.collection(kind).values()
    }
    assert len(set(names.values())) == len(names), "something is there twice"
    found: dict[str, object] = {
        f"{kind} {names[record.id]}": (record.props.get("department"), record.props.get("city"))
        for kind in ("user", "group")
        for record in tenant.collection(kind).values()
    }
    for relation, source, targets in tenant._links.all():
        if source in names and relation in {"group.members", "group.owners", "user.manager"}:
            linked = sorted(names[target] for target in targets if target in names)
            found[f"{relation} of {names[source]}"] = linked
    return found


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_restore_of_two_thousand_steps_killed_fifty_times_ends_like_one_left_alone(
    zygote: Zygote, tmp_path: Path
) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED + 2)
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    given = ("--default-password-file", str(password))
    with Stage(seed_name="medium", users=1_200) as stage:
        place = installed(zygote, tmp_path, stage)
        restore = ("restore", NAME, "--snapshot", place.snapshots()[0], "--kind", "user")
        restore += ("--max-changed-share", "1", "--yes", *given)

        def prepare() -> Installation:
            harm_many(stage.renew())
            stage.sandbox.options.latency_seconds = LATENCY_SECONDS
            return place.copy(tmp_path / "copy")

        copy = prepare()
        duration = timed(copy, restore)
        expected = portrait(stage.sandbox)
        total = len(copy.steps_of(copy.newest_job("restore")))
        assert total >= 2_000
        killed = rounds = 0
        while killed < 50:
            rounds += 1
            copy = prepare()
            told = f"seed {SEED}, round {rounds}"
            job, is_hit = "", True
            while is_hit and killed < 50:
                command = ("jobs", "resume", job, *given) if job else restore
                # Rather early than late: each restore is to be killed many times on its way.
                is_hit, _ = kill_once(copy, command, duration * chance.triangular(0.1, 0.6, 0.2))
                killed += is_hit
                job = job or copy.newest_job("restore")
            if is_hit:
                ended = copy.run(*(("jobs", "resume", job, *given) if job else restore))
                assert ended.code == 0, (told, ended.err)
            job = copy.newest_job("restore")
            steps = copy.steps_of(job)
            assert len(steps) == len({step.step_id for step in steps}) == total, told
            assert {step.status.value for step in steps} <= {"done", "already"}, told
            assert portrait(stage.sandbox) == expected, told
        assert_whole(copy.open())
    print(f"{killed} kills on the way of {rounds} restores of {total} steps")
