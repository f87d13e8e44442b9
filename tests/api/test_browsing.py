"""What pages need to browse: moments, columns, links and changes in parts, names of ids."""

from __future__ import annotations

from typing import Any

import pytest

from reentra.access import Role
from reentra.sandbox.app import SandboxServer

from .conftest import Api

SNAPSHOTS = "/tenants/contoso/snapshots"


@pytest.fixture(scope="module")
def later(api: Api, sandbox: SandboxServer) -> tuple[str, str, Any]:
    """Two more snapshots: a user's department changed, then a group went."""
    users = list(sandbox.sandbox.tenant.collection("user").values())
    before = api.admin.json("GET", f"{SNAPSHOTS}/latest")["id"]
    changed = next(one for one in users if not one.props.get("onPremisesSyncEnabled"))
    sandbox.sandbox.tenant.update(changed, {"department": "Browsing"})
    for _ in range(2):
        job = api.admin.json("POST", "/tenants/contoso/backups", {}, expect=202)
        assert api.ended("contoso", job["id"])["status"] == "succeeded"
    after = api.admin.json("GET", f"{SNAPSHOTS}/latest")["id"]
    return before, after, changed


def test_moments_are_those_around_a_snapshot(api: Api, later: tuple[str, str, Any]) -> None:
    reader = api.as_role(Role.READER)
    before, after, changed = later
    everything = reader.json("GET", "/tenants/contoso/moments")
    ids = [item["id"] for item in everything["items"]]
    assert (ids[0], everything["around"]["id"], everything["newest"]["id"]) == (after,) * 3
    assert everything["total"] == len(ids)
    assert [item["id"] for item in reader.json("GET", SNAPSHOTS)["items"]] == ids
    narrow = reader.json("GET", f"/tenants/contoso/moments?around={before}&limit=1")
    assert [item["id"] for item in narrow["items"]] == [before]
    of_user = reader.json(
        "GET", f"/tenants/contoso/moments?around={before}&kind=user&id={changed.id}"
    )
    assert [item["id"] for item in of_user["items"]] == ids[: ids.index(before)]


def test_a_list_brings_the_properties_that_are_asked_for(
    api: Api, later: tuple[str, str, Any]
) -> None:
    _, _, changed = later
    name = changed.props["displayName"]
    page = api.as_role(Role.READER).json(
        "GET",
        f"{SNAPSHOTS}/latest/kinds/user/objects?text={name}&property=department&property=none",
    )
    found = next(item for item in page["items"] if item["id"] == changed.id)
    assert found["properties"] == {"department": "Browsing"}


def test_links_come_in_pages_and_are_counted(api: Api) -> None:
    reader = api.as_role(Role.READER)
    groups = reader.json("GET", f"{SNAPSHOTS}/latest/kinds/group/objects")["items"]
    for group in groups:
        path = f"{SNAPSHOTS}/latest/kinds/group/objects/{group['id']}"
        whole = reader.json("GET", path)["relationships"]
        parts = reader.json("GET", f"{path}/relationships")
        assert sum(one["total"] for one in parts["groups"]) == len(whole)
        for one in parts["groups"]:
            wanted = {
                item["target"]
                for item in whole
                if (item["relationship"], item["direction"])
                == (one["relationship"], one["direction"])
            }
            seen: list[str] = []
            cursor = ""
            while True:
                page = reader.json(
                    "GET",
                    f"{path}/relationships?relationship={one['relationship']}"
                    f"&direction={one['direction']}&limit=2&cursor={cursor}",
                )
                seen += [item["target"] for item in page["items"]]
                cursor = page["next"]
                if not cursor:
                    break
            assert set(seen) == wanted
            assert len(seen) == len(wanted)
        bare = reader.json("GET", f"{path}?relationships=false")
        assert bare["relationships"] == []
    path = f"{SNAPSHOTS}/latest/kinds/group/objects/{groups[0]['id']}/relationships"
    assert reader("GET", f"{path}?relationship=group.nonsense").status_code == 404


def test_ids_of_objects_clients_and_products_have_names(api: Api) -> None:
    reader = api.as_role(Role.READER)
    listed = reader.json(
        "GET", f"{SNAPSHOTS}/latest/kinds/servicePrincipal/objects?property=appId"
    )["items"]
    skus = reader.json(
        "GET",
        f"{SNAPSHOTS}/latest/kinds/subscribedSku/objects?property=skuId&property=skuPartNumber",
    )["items"]
    principal, sku = listed[0], skus[0]["properties"]
    client = principal["properties"]["appId"]
    nobody = "99999999-0000-4000-8000-000000000000"
    asked = "&id=".join((principal["id"], client.upper(), sku["skuId"], nobody))
    names = reader.json("GET", f"{SNAPSHOTS}/latest/names?id={asked}")["items"]
    assert names[principal["id"]]["display_name"] == principal["display_name"]
    assert names[client]["display_name"] == principal["display_name"]
    assert names[sku["skuId"]]["kind"] == "subscribedSku"
    assert nobody not in names
    many = "&id=".join(map(str, range(1001)))
    assert reader("GET", f"{SNAPSHOTS}/latest/names?id={many}").status_code == 400


def test_changes_come_in_pages_and_name_what_can_be_put_back(
    api: Api, later: tuple[str, str, Any], sandbox: SandboxServer
) -> None:
    reader = api.as_role(Role.READER)
    before, after, changed = later
    path = f"/tenants/contoso/changes?before={before}"
    found = reader.json("GET", f"{path}&after={after}&refs=true")
    assert found["counts"]["user"]["modified"] >= 1
    assert f"user/{changed.id}" in found["refs"]
    assert {"path": "department", "after": "Browsing"}.items() <= {
        key: value
        for item in found["items"]
        for leaf in item["properties"]
        if item["id"] == changed.id
        for key, value in leaf.items()
    }.items()
    seen: list[str] = []
    cursor = ""
    while True:
        page = reader.json("GET", f"{path}&after={after}&limit=1&cursor={cursor}")
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
    assert sorted(seen) == sorted(item["id"] for item in found["items"])
    assert page["total"] == len(seen)
    nothing = reader.json("GET", f"{path}&after={after}&kind=device")
    assert (nothing["counts"], nothing["items"], nothing["refs"]) == ({}, [], [])
    assert reader.json("GET", f"{path}&after={after}&refs=true") == found
    assert reader.json("GET", f"{path}&after={before}")["items"] == []
    other = api.as_role(Role.READER, "fabrikam")
    assert other("GET", f"{path}&after={after}").status_code == 404
    deleted = reader.json("GET", f"{path}&after={after}&change=deleted")
    assert all(item["change"] == "deleted" for item in deleted["items"])
    sandbox.sandbox.tenant.update(changed, {"jobTitle": "Looked at"})
    live = reader.json("GET", f"{path}&after=live&kind=user&id={changed.id}&all=true")
    leaves = {leaf["path"]: leaf for leaf in live["items"][0]["properties"]}
    assert leaves["jobTitle"]["after"] == "Looked at"
    assert leaves["displayName"]["before"] == leaves["displayName"]["after"]
