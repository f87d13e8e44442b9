"""Damage as a person meets it: each sort has its exit code and error, and there is a way on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.support import (
    NAME,
    Installation,
    Stage,
    Zygote,
    installed,
    print_of_bytes,
    print_of_state,
    replayed,
)


@pytest.fixture(scope="module")
def template(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Stage() as stage:
        made = installed(zygote, tmp_path_factory.mktemp("damage"), stage)
        record = next(iter(stage.sandbox.tenant.collection("user").values()))
        stage.sandbox.tenant.update(record, {"city": "Delft"})
        assert made.json("backup", NAME)["status"] == "complete"
        yield made


@pytest.fixture
def place(template: Installation, tmp_path: Path) -> Installation:
    return template.copy(tmp_path / "home")


def manifest(place: Installation, snapshot_id: str) -> Path:
    return next((place.root / "manifests").glob(f"*/{snapshot_id}"))


def segments(place: Installation, snapshot_id: str) -> list[Path]:
    known = place.open().load_manifest(place.open().list_tenants()[0], snapshot_id)
    return [place.root / segment.path for segment in known.segments]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def flip_config(place: Installation) -> None:
    flip(place.root / "config")


def newer_config(place: Installation) -> None:
    path = place.root / "config"
    path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":2'))


def newer_manifest(place: Installation) -> None:
    path = manifest(place, place.snapshots()[-1])
    data = bytearray(path.read_bytes())
    data[4] = 2
    path.write_bytes(bytes(data))


def flip_manifest(place: Installation) -> None:
    flip(manifest(place, place.snapshots()[-1]))


def replaced_manifest(place: Installation) -> None:
    """An older snapshot under the name of the newest: it is sealed for another path."""
    first, newest = place.snapshots()
    shutil.copy(manifest(place, first), manifest(place, newest))


def lose_segment(place: Installation) -> None:
    segments(place, place.snapshots()[0])[0].unlink()


def flip_slot(place: Installation) -> None:
    for path in (place.root / "keys").iterdir():
        flip(path)


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (flip_config, "damaged"),
        (newer_config, "unsupported_format"),
        (flip_slot, "damaged"),
    ],
)
def test_what_does_not_open_is_exit_code_five_for_every_command(
    place: Installation, harm: Callable[[Installation], None], code: str
) -> None:
    harm(place)
    for command in (("check",), ("backup", NAME), ("snapshots", NAME), ("rebuild",)):
        ended = place.run(*command, "--json")
        assert ended.code == 5, (command, ended.err)
        assert ended.document["error"]["code"] == code, command
        assert ended.document["error"]["hint"]


def test_a_wrong_passphrase_is_exit_code_five_for_every_command(place: Installation) -> None:
    place.more = {"REENTRA_PASSPHRASE": "wrong"}
    for command in (("check",), ("backup", NAME), ("snapshots", NAME), ("rebuild",)):
        ended = place.run(*command, "--json")
        assert ended.code == 5, (command, ended.err)
        assert ended.document["error"]["code"] == "wrong_passphrase", command


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (flip_manifest, "damaged"),
        (replaced_manifest, "damaged"),
        (newer_manifest, "unsupported_format"),
    ],
)
def test_a_bad_newest_manifest_stops_backups_with_exit_code_five_and_leaves_the_older_readable(
    place: Installation, harm: Callable[[Installation], None], code: str
) -> None:
    first, newest = place.snapshots()
    harm(place)
    checked = place.json("check", expect=5)
    named = [one for one in checked["problems"] if newest in one["path"]]
    assert named
    assert named[0]["snapshots"] == [newest]
    ended = place.run("backup", NAME, "--json")
    assert ended.code == 5
    assert ended.document["error"]["code"] == code
    if code == "damaged":
        assert f"reentra backup {NAME} --anew" in ended.document["error"]["hint"]
    for file in place.home.glob("catalog.sqlite*"):
        file.unlink()
    assert place.json("browse", NAME, "user", "--snapshot", first)["total"] > 0
    ended = place.run("browse", NAME, "user", "--snapshot", newest, "--json")
    assert ended.code == 5
    assert ended.document["error"]["code"] == code


def test_a_missing_segment_is_named_and_what_needs_it_fails_with_exit_code_five(
    place: Installation,
) -> None:
    first, newest = place.snapshots()
    lost = segments(place, first)
    lose_segment(place)
    checked = place.json("check", expect=5)
    (problem,) = [one for one in checked["problems"] if one["severity"] == "damage"]
    assert problem["path"] in {path.relative_to(place.root).as_posix() for path in lost}
    assert "missing" in problem["what"]
    assert set(problem["snapshots"]) == {first, newest}
    ended = place.run("restore", NAME, "--snapshot", first, "--kind", "user", "--preview", "--json")
    assert ended.code == 5, ended.err
    assert ended.document["error"]["code"] == "damaged"


@pytest.mark.parametrize("harm", [flip_manifest, lose_segment])
def test_after_damage_a_backup_anew_is_whole_and_builds_on_nothing_damaged(
    place: Installation, harm: Callable[[Installation], None]
) -> None:
    harm(place)
    made = place.json("backup", NAME, "--anew")
    assert made["status"] == "complete"
    assert place.snapshots()[-1] == made["snapshot"]
    expected = print_of_state(place.stage.live())
    assert print_of_state(replayed(place, made["snapshot"])) == expected
    assert place.open().load_manifest(place.newest().tenant_id, made["snapshot"]).parent is None
    checked = place.json("check", expect=5)
    touched = {one for problem in checked["problems"] for one in problem["snapshots"]}
    assert touched
    assert made["snapshot"] not in touched
    # And the line goes on from there, with the catalog as with the repository alone.
    bytes_before = print_of_bytes(place.open(), made["snapshot"])
    again = place.json("backup", NAME)
    assert again["status"] == "unchanged"
    assert print_of_bytes(place.open(), made["snapshot"]) == bytes_before
    assert place.json("rebuild")["snapshots"] >= 2
    preview = place.json("restore", NAME, "--snapshot", "latest", "--preview")
    assert preview["steps"] == []


def test_a_store_that_was_rolled_back_is_told_by_whatever_runs_next(place: Installation) -> None:
    first, newest = place.snapshots()
    manifest(place, newest).unlink()
    checked = place.copy(place.home.parent / "checked").json("check", expect=5)
    (problem,) = [one for one in checked["problems"] if one["severity"] == "damage"]
    assert problem["snapshots"] == [newest]
    assert "rolled back" in problem["what"]
    # A backup goes on from what is there, and says so.
    ended = place.run("backup", NAME)
    assert ended.code == 0, ended.err
    assert newest in ended.err
    assert "rolled back" in " ".join(ended.err.split())
    assert place.snapshots()[0] == first
    expected = print_of_state(place.stage.live())
    assert print_of_state(replayed(place, place.snapshots()[-1])) == expected


def test_a_damaged_connection_is_told_and_connecting_anew_is_the_way_on(
    place: Installation,
) -> None:
    (path,) = (place.root / "documents" / "connections").iterdir()
    flip(path)
    checked = place.json("check", expect=5)
    assert path.relative_to(place.root).as_posix() in {one["path"] for one in checked["problems"]}
    ended = place.run("backup", NAME, "--json")
    assert ended.code == 5
    assert "tenant connect" in ended.document["error"]["hint"]
    assert len(place.json("snapshots", NAME)) == 2  # what needs no secret goes on
    place.connect()
    assert place.json("backup", NAME)["status"] in {"complete", "unchanged"}
    assert place.json("check")["whole"] is True
