"""A download is a zip of JSON that is safe to unpack whatever objects are called."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from reentra.directory.objects import DirectoryObject
from reentra.directory.selection import Selection
from reentra.download import write_zip
from reentra.download.archive import entry_name
from tests.models import ModelTenant

ADA = "aaaaaaaa-0000-4000-8000-000000000001"
BOB = "aaaaaaaa-0000-4000-8000-000000000002"
TEAM = "bbbbbbbb-0000-4000-8000-000000000001"


@pytest.fixture
def tenant() -> ModelTenant:
    model = ModelTenant()
    model.put("user", ADA, displayName="Ada Lovelace", department="Engines")
    model.put("user", BOB, displayName="../../etc/passwd")
    model.put("group", TEAM, displayName="Team")
    model.link("group.members", TEAM, ADA, "user")
    return model


def read(path: Path) -> dict[str, dict[str, object]]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: json.loads(archive.read(name)) for name in archive.namelist()}


def test_a_download_holds_objects_with_their_relationships(
    tenant: ModelTenant, tmp_path: Path
) -> None:
    report = write_zip(tenant, Selection(), tmp_path / "all.zip")
    files = read(report.path)
    group = files[f"group/Team-{TEAM}.json"]
    assert group["relationships"] == {
        "members": [{"id": ADA, "kind": "user", "displayName": "Ada Lovelace"}]
    }
    assert group["properties"] == {"id": TEAM, "displayName": "Team"}
    assert report.objects == 3
    assert files["manifest.json"]["objects"]["user"] == 2  # type: ignore[index]


def test_relationships_can_be_left_out(tenant: ModelTenant, tmp_path: Path) -> None:
    report = write_zip(tenant, Selection(), tmp_path / "all.zip", has_relationships=False)
    assert "relationships" not in read(report.path)[f"group/Team-{TEAM}.json"]


def test_only_what_is_selected_is_written(tenant: ModelTenant, tmp_path: Path) -> None:
    selection = Selection.parse(ids=[f"user/{ADA}"])
    report = write_zip(tenant, selection, tmp_path / "one.zip")
    assert set(read(report.path)) == {f"user/Ada_Lovelace-{ADA}.json", "manifest.json"}


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "C:\\x", "..", "a\x00b", "nul\n", "ünï/çødé", "", "." * 90],
)
def test_no_name_climbs_out_of_the_folder(name: str) -> None:
    entry = entry_name("user", ADA, name)
    kind, _, rest = entry.partition("/")
    assert kind == "user"
    assert "/" not in rest
    assert "\\" not in rest
    assert not rest.startswith(".")
    assert rest.isascii()
    assert rest.isprintable()
    assert ADA in rest


def test_the_file_is_its_owners_alone(tenant: ModelTenant, tmp_path: Path) -> None:
    report = write_zip(tenant, Selection(), tmp_path / "all.zip")
    assert stat.S_IMODE(report.path.stat().st_mode) == 0o600


def test_a_failed_download_leaves_nothing(tenant: ModelTenant, tmp_path: Path) -> None:
    class Failing(ModelTenant):
        def list_objects(self, kind: str) -> Iterator[DirectoryObject]:
            yield from tenant.list_objects("user")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write_zip(Failing(), Selection(), tmp_path / "all.zip")
    assert list(tmp_path.iterdir()) == []
