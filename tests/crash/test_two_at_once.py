"""Two processes at once on one repository and one tenant: one waits, gives way, or does no harm."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reentra.sandbox.app import Sandbox
from tests.crash.mishaps import harm, in_bin, names_in
from tests.crash.support import (
    NAME,
    PASSWORD,
    TENANT_ID,
    Ended,
    Installation,
    Stage,
    Zygote,
    assert_whole,
    installed,
    print_of_state,
    replayed,
)

LATENCY_SECONDS = 0.02  # long enough for the two to meet


@pytest.fixture
def place(zygote: Zygote, tmp_path: Path) -> Iterator[Installation]:
    with Stage() as stage:
        made = installed(zygote, tmp_path, stage)
        stage.sandbox.options.latency_seconds = LATENCY_SECONDS
        yield made


@pytest.fixture
def restore(place: Installation, tmp_path: Path) -> tuple[str, ...]:
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    what = ("restore", NAME, "--snapshot", place.snapshots()[0], "--kind", "user")
    return (*what, "--kind", "group", "--yes", "--default-password-file", str(password))


def both(place: Installation, one: tuple[str, ...], other: tuple[str, ...]) -> list[Ended]:
    running = [place.start(*one, "--json"), place.start(*other, "--json")]
    return [each.wait() for each in running]


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def assert_newest_is_the_tenant(place: Installation) -> None:
    expected = print_of_state(place.stage.live())
    newest = place.snapshots()[-1]
    assert print_of_state(replayed(place, newest)) == expected
    with place.catalog() as catalog:
        catalog.sync(TENANT_ID)
        assert print_of_state(catalog.state(TENANT_ID, newest)) == expected
    opened = place.open()
    assert_whole(opened)
    chain = opened.load_chain(TENANT_ID, newest)
    assert [manifest.id for manifest in chain] == place.snapshots()


def test_two_backups_of_one_tenant_make_one_line_of_snapshots(place: Installation) -> None:
    met = 0
    for number in range(2):
        for record in place.stage.sandbox.tenant.collection("user").values():
            place.stage.sandbox.tenant.update(record, {"city": f"City {number}"})
        before = len(place.snapshots())
        ended = both(place, ("backup", NAME), ("backup", NAME))
        good = [one.document for one in ended if one.code == 0]
        refused = [one for one in ended if one.code != 0]
        assert good
        for one in refused:
            assert one.code == 1
            assert one.document["error"]["code"] == "locked"
            assert "backup" in one.document["error"]["message"]
        met += len(refused)
        assert len(place.snapshots()) == before + len(good)
        assert [one["status"] for one in good].count("complete") == 1
        assert_newest_is_the_tenant(place)
    assert met, "the two never met"


def test_a_backup_beside_a_restore_harms_neither(
    place: Installation, restore: tuple[str, ...]
) -> None:
    bin_before = in_bin(Sandbox("small"))
    before = harm(place.stage.sandbox)
    restored, backed_up = both(place, restore, ("backup", NAME))
    assert restored.code == 0, restored.err
    assert restored.document["status"] == "succeeded"
    # Seen in the middle of a restore the tenant is not in one piece, but it is never a hole.
    assert backed_up.code == 0, backed_up.err
    assert names_in(place.stage.sandbox) == before
    assert in_bin(place.stage.sandbox) == bin_before
    assert place.json("backup", NAME)["status"] in {"complete", "unchanged"}
    assert_newest_is_the_tenant(place)
    first = place.snapshots()[0]
    compared = place.json("compare", NAME, first, "latest", "--kind", "group")
    assert compared is not None


def test_a_check_beside_a_backup_finds_nothing(place: Installation) -> None:
    for number in range(2):
        for record in place.stage.sandbox.tenant.collection("user").values():
            place.stage.sandbox.tenant.update(record, {"city": f"City {number}"})
        backed_up, checked = both(place, ("backup", NAME), ("check",))
        assert backed_up.code == 0, backed_up.err
        assert backed_up.document["status"] == "complete"
        assert checked.code == 0, checked.err
        assert checked.document["whole"] is True
    assert_newest_is_the_tenant(place)


def test_two_restores_of_one_plan_create_nothing_twice(
    place: Installation, restore: tuple[str, ...], tmp_path: Path
) -> None:
    before = harm(place.stage.sandbox)
    plan = tmp_path / "plan.json"
    made = place.run(*restore[:-3], "--preview", "--plan", str(plan))
    assert made.code == 0, made.err
    apply = ("restore", NAME, "--plan", str(plan), *restore[-3:])
    ended = both(place, apply, apply)
    assert min(one.code for one in ended) == 0, [one.err for one in ended]
    for one in ended:
        if one.code:
            assert one.document["error"]["code"] in {"locked", "stale_plan"}
    assert sum(one.code == 0 for one in ended) == 1
    assert names_in(place.stage.sandbox) == before
    # Each is told in its own job, and the next restore has nothing left to do.
    assert place.json(*restore[:-3], "--preview")["steps"] == []
    assert_whole(place.open())


def test_two_restores_that_each_made_a_plan_create_nothing_twice(
    place: Installation, restore: tuple[str, ...]
) -> None:
    before = harm(place.stage.sandbox)
    ended = both(place, restore, restore)
    assert any(one.code == 0 for one in ended), [one.err for one in ended]
    assert names_in(place.stage.sandbox) == before
    assert place.run(*restore).code == 0
    assert names_in(place.stage.sandbox) == before
    assert place.json(*restore[:-3], "--preview")["steps"] == []


def test_a_restore_that_another_process_cancels_says_what_was_not_reached_and_can_go_on(
    place: Installation, restore: tuple[str, ...]
) -> None:
    before = harm(place.stage.sandbox)
    options = place.stage.sandbox.options
    running = place.start(*restore, "--json")
    wait_until(lambda: bool(place.newest_job("restore")) and place.has_intents())
    options.latency_seconds = 1.2  # so that there is a border left to stop at
    job = place.newest_job("restore")
    asked = place.run("jobs", "cancel", job)
    assert asked.code == 0, asked.err
    ended = running.wait()
    options.latency_seconds = LATENCY_SECONDS
    assert ended.code == 130, (ended.out, ended.err)
    entries = place.run("jobs", "report", job, "--json").document["entries"]
    told = Counter(entry["status"] for entry in entries)
    assert set(told) <= {"done", "already", "not_reached"}, told
    assert told["not_reached"], told
    assert told["done"] + told["already"], told
    assert place.run("jobs", "resume", job, *restore[-2:]).code == 0
    assert names_in(place.stage.sandbox) == before
    assert place.json(*restore[:-3], "--preview")["steps"] == []


def test_of_two_inits_at_once_one_makes_the_repository(zygote: Zygote, tmp_path: Path) -> None:
    with Stage() as stage:
        place = Installation(zygote, tmp_path / "home", stage)
        ended = both(place, ("init",), ("init",))
        good = [one for one in ended if one.code == 0]
        assert good
        opened = place.open()
        assert_whole(opened)
        # Whoever was shown a key can open the repository with it.
        for one in good:
            assert place.open(one.document["recovery_key"]).id == opened.id
