"""Each command dies at each of its durable writes; what was acknowledged is there, a rerun ends."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reentra import errors
from reentra import repository as repositories
from reentra.repository import Repository, Severity
from reentra.sandbox.app import Sandbox
from tests.crash.mishaps import harm, in_bin, loads_of, names_in
from tests.crash.support import (
    NAME,
    PASSPHRASE,
    PASSWORD,
    TENANT_ID,
    Ended,
    Fuse,
    Installation,
    Stage,
    Zygote,
    assert_whole,
    deaths,
    installed,
    print_of_bytes,
    print_of_state,
    replayed,
)

COUNTING = Fuse(0, "none")
SAMPLE = 3  # deaths of each command in the quick suite; the slow one has all of them
SEED = 20261123


def chosen(trail: tuple[str, ...], *, is_all: bool, third: int | None = None) -> list[Fuse]:
    """Return every death, or a sample of them that is the same in every run."""
    every = deaths(trail)
    if is_all:
        return every if third is None else every[third::3]
    return sorted(random.Random(SEED).sample(every, SAMPLE), key=lambda fuse: fuse.at)


every_death = pytest.mark.parametrize(
    "is_all", [False, pytest.param(True, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)


@dataclass
class Scene:
    """An installation with one snapshot, and where copies of it are put."""

    made: Installation
    folder: Path

    @property
    def stage(self) -> Stage:
        return self.made.stage

    def copy(self) -> Installation:
        return self.made.copy(self.folder / "copy")


@pytest.fixture
def scene(zygote: Zygote, tmp_path: Path) -> Iterator[Scene]:
    with Stage() as stage:
        yield Scene(installed(zygote, tmp_path, stage), tmp_path)


def each_death(
    scene: Scene,
    arguments: tuple[str, ...],
    *,
    is_all: bool,
    prepare: Callable[[], Installation],
    third: int | None = None,
) -> Iterator[tuple[Installation, Ended, str]]:
    """Yield the installation after each death of a command, and what tells the death."""
    counted = prepare().run(*arguments, fuse=COUNTING)
    assert counted.code == 0, counted.err
    fuses = chosen(counted.trail, is_all=is_all, third=third)
    assert len(deaths(counted.trail)) >= SAMPLE
    for fuse in fuses:
        installation = prepare()
        ended = installation.run(*arguments, fuse=fuse)
        # A run with fewer writes than the counted one would leave deaths untried.
        assert ended.was_killed, (fuse, counted.trail, ended.trail, ended.err)
        what = counted.trail[fuse.at - 1]
        yield installation, ended, f"{fuse.phase} write {fuse.at} of {len(counted.trail)}, {what}"


def change(sandbox: Sandbox) -> None:
    """What happens in the tenant between two backups."""
    tenant = sandbox.tenant
    users = {r.props["displayName"]: r.id for r in tenant.collection("user").values()}
    groups = {r.props["displayName"]: r.id for r in tenant.collection("group").values()}
    tenant.update(tenant.get("user", users["Lina Costa"]), {"department": "Elsewhere"})
    tenant.soft_delete(tenant.get("user", users["Omar Haas"]))
    tenant.update(tenant.get("group", groups["Sales"]), {"description": "Changed"})


@every_death
def test_a_backup_that_dies_anywhere_is_whole_or_not_there_and_the_next_one_ends(
    scene: Scene, is_all: bool
) -> None:
    (first,) = scene.made.snapshots()
    bytes_before = print_of_bytes(scene.made.open(), first)
    change(scene.stage.sandbox)
    expected = print_of_state(scene.stage.live())
    # With a checkpoint after each kind: its writes are durable writes as well.
    scene.made.more["TEST_CHECKPOINT_ROWS"] = "1"
    for installation, ended, told in each_death(
        scene, ("backup", NAME, "--json"), is_all=is_all, prepare=scene.copy
    ):
        stored = installation.snapshots()
        assert stored[0] == first, told
        assert len(stored) <= 2, told
        if ended.out:
            assert ended.document["snapshot"] == stored[-1], told
        opened = installation.open()
        assert_whole(opened)
        assert print_of_bytes(opened, first) == bytes_before, told
        if len(stored) == 2:
            assert print_of_state(replayed(installation, stored[-1])) == expected, told
        result = installation.json("backup", NAME)
        assert result["status"] == ("complete" if len(stored) == 1 else "unchanged"), told
        assert print_of_state(replayed(installation, result["snapshot"])) == expected, told
        with installation.catalog() as catalog:
            assert print_of_state(catalog.state(TENANT_ID, result["snapshot"])) == expected, told
        opened = installation.open()
        assert_whole(opened)
        assert opened.list_documents("checkpoints") == [], told
        assert print_of_bytes(opened, first) == bytes_before, told


@every_death
@pytest.mark.parametrize("arguments", [("rebuild",), ("snapshots", NAME)])
def test_a_catalog_whose_making_died_anywhere_is_made_by_the_next(
    scene: Scene, is_all: bool, arguments: tuple[str, ...]
) -> None:
    change(scene.stage.sandbox)
    scene.made.json("backup", NAME)
    prints = {one: print_of_state(replayed(scene.made, one)) for one in scene.made.snapshots()}
    assert len(set(prints.values())) == 2
    is_rebuilt = arguments == ("rebuild",)

    def prepare() -> Installation:
        installation = scene.copy()
        if not is_rebuilt:
            for file in installation.home.glob("catalog.sqlite*"):
                file.unlink()
        return installation

    for installation, _, told in each_death(scene, arguments, is_all=is_all, prepare=prepare):
        with installation.catalog() as catalog:
            catalog.sync(TENANT_ID)
            for snapshot_id, expected in prints.items():
                assert print_of_state(catalog.state(TENANT_ID, snapshot_id)) == expected, told
        assert installation.run(*arguments).code == 0, told
        assert installation.run("check").code == 0, told


@every_death
def test_a_check_that_dies_anywhere_harms_nothing(scene: Scene, is_all: bool) -> None:
    (first,) = scene.made.snapshots()
    bytes_before = print_of_bytes(scene.made.open(), first)
    for installation, _, told in each_death(scene, ("check",), is_all=is_all, prepare=scene.copy):
        assert print_of_bytes(installation.open(), first) == bytes_before, told
        assert installation.json("check")["whole"] is True, told
        assert installation.json("backup", NAME)["status"] == "unchanged", told


@every_death
def test_an_init_that_dies_anywhere_can_be_run_again(
    zygote: Zygote, tmp_path: Path, is_all: bool
) -> None:
    with Stage() as stage:
        counted = Installation(zygote, tmp_path / "counted", stage).run("init", fuse=COUNTING)
        last = deaths(counted.trail)[-1]
        fuses = sorted({*chosen(counted.trail, is_all=is_all), last}, key=lambda one: one.at)
        for number, fuse in enumerate(fuses):
            home = tmp_path / str(number)
            installation = Installation(zygote, home, stage)
            ended = installation.run("init", "--json", fuse=fuse)
            assert ended.was_killed, (fuse, counted.trail, ended.trail, ended.err)
            told = f"{fuse.phase} {counted.trail[fuse.at - 1]}"
            again = installation.run("init", "--json")
            # Only when everything was done: then the key was shown before.
            shown = ended if (home / "config.json").exists() and again.code == 2 else again
            assert again.code == 0 or fuse == last, (told, again.err)
            key = shown.document["recovery_key"]
            assert installation.open(key).id == installation.open().id, told
            assert_whole(installation.open())
            assert len(installation.open().list_slots()) in {2, 3}, told
            # What is finished is never made again.
            assert installation.run("init").code == 2


@every_death
def test_a_key_change_that_dies_anywhere_locks_nobody_out(scene: Scene, is_all: bool) -> None:
    (first,) = scene.made.snapshots()
    bytes_before = print_of_bytes(scene.made.open(), first)
    counted = scene.copy().rotate(PASSPHRASE, "second", COUNTING)
    assert counted.code == 0, counted.err
    assert len(deaths(counted.trail)) > 20
    for fuse in chosen(counted.trail, is_all=is_all):
        installation = scene.copy()
        ended = installation.rotate(PASSPHRASE, "second", fuse)
        told = f"{fuse.phase} {counted.trail[fuse.at - 1]}"
        assert ended.was_killed, told
        opening = {one for one in (PASSPHRASE, "second") if opens(installation, one)}
        assert opening, told
        # Whoever can open reads everything; that a rotation did not end is a warning at most.
        for secret in opening:
            opened = installation.open(secret)
            assert print_of_bytes(opened, first) == bytes_before, told
            report = repositories.check_repository(opened)
            assert report.is_whole, (told, report.problems)
        old = "second" if "second" in opening else PASSPHRASE
        assert installation.rotate(old, "third", None).code == 0, told
        opened = installation.open("third")
        assert opened.key_generation >= 2, told
        assert len(opened.list_slots()) == 2, told
        assert not opens(installation, PASSPHRASE), told
        assert print_of_bytes(opened, first) == bytes_before, told
        problems = repositories.check_repository(opened).problems
        assert {one.severity for one in problems} <= {Severity.INFORMATION}, told


def opens(installation: Installation, secret: str) -> bool:
    try:
        Repository.open(repositories.open_storage(str(installation.root)), secret)
    except errors.WrongPassphrase:
        return False
    return True


@pytest.fixture
def restoring(scene: Scene) -> tuple[Scene, tuple[str, ...]]:
    password = scene.folder / "password"
    password.write_text(PASSWORD + "\n")
    return scene, ("--default-password-file", str(password))


@pytest.mark.parametrize(
    ("is_all", "third"),  # in three parts, which two workers share
    [
        (False, None),
        *(
            pytest.param(True, third, marks=[pytest.mark.slow, pytest.mark.timeout(900)])
            for third in range(3)
        ),
    ],
)
def test_a_restore_that_dies_anywhere_is_finished_by_the_same_command(
    restoring: tuple[Scene, tuple[str, ...]], is_all: bool, third: int | None
) -> None:
    scene, password = restoring
    what = ("restore", NAME, "--snapshot", scene.made.snapshots()[0])
    what += ("--kind", "user", "--kind", "group")
    command = (*what, "--yes", *password)
    before: Counter[str] = Counter()
    bin_before, loads_before = in_bin(scene.stage.sandbox), loads_of(scene.stage.sandbox)

    def prepare() -> Installation:
        nonlocal before
        before = harm(scene.stage.renew())
        return scene.copy()

    died = each_death(scene, command, is_all=is_all, third=third, prepare=prepare)
    for number, (installation, _, told) in enumerate(died):
        assert installation.captures() or not installation.has_intents(), told
        again = installation.run(*command)
        assert again.code == 0, (told, again.out, again.err)
        assert names_in(scene.stage.sandbox) == before, told
        assert in_bin(scene.stage.sandbox) == bin_before, told
        assert loads_of(scene.stage.sandbox) == loads_before, told
        assert_whole(installation.open())
        assert installation.job_statuses("restore") == {"succeeded"}, told
        if number % 10 == 0:
            assert installation.json(*what, "--preview")["steps"] == [], told


@every_death
def test_a_plan_whose_saving_died_anywhere_is_whole_or_not_there(
    restoring: tuple[Scene, tuple[str, ...]], is_all: bool
) -> None:
    scene, password = restoring
    before = harm(scene.stage.renew())
    plan = scene.folder / "plan.json"
    command = ("restore", NAME, "--snapshot", scene.made.snapshots()[0], "--kind", "user")
    command += ("--kind", "group", "--preview", "--plan", str(plan))
    counted = scene.copy().run(*command, fuse=COUNTING)
    assert counted.code == 0, counted.err
    assert any(what.endswith("plan.json") for what in counted.trail)
    for fuse in chosen(counted.trail, is_all=is_all):
        plan.unlink(missing_ok=True)
        installation = scene.copy()
        ended = installation.run(*command, fuse=fuse)
        assert ended.was_killed, fuse
        if plan.exists():
            assert json.loads(plan.read_text())["steps"]
        assert installation.run(*command).code == 0, fuse
    # What was saved is applied, from the file alone.
    ended = installation.run("restore", NAME, "--plan", str(plan), "--yes", *password)
    assert ended.code == 0, ended.err
    assert names_in(scene.stage.sandbox) == before
