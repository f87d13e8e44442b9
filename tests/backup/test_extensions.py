"""Values of directory extensions are backed up, though Graph gives them only by name."""

from __future__ import annotations

from reentra.backup import BackupResult
from tests.backup.support import World

PATH = "/applications/{}/extensionProperties"


def owner(world: World) -> tuple[str, str]:
    """Return the object id and the client id, without dashes, of an application that extends."""
    (item,) = world.live.list_objects("extensionProperty")
    (application,) = world.live.find_objects("application", "id", [str(item.get("applicationId"))])
    return application.id, str(application.get("appId")).replace("-", "")


def test_values_of_an_extension_that_is_defined_later_are_not_missed(world: World) -> None:
    application_id, digits = owner(world)
    (user, *_rest) = [u for u in world.live.list_objects("user") if u.get("department")]
    known = f"extension_{digits}_costCentre"
    world.admin.patch(f"/users/{user.id}", {known: "4711"})
    first = world.snapshot(world.backup())
    assert first.load_objects("user", [user.id])[user.id].get(known) == "4711"
    assert [e.get("name") for e in first.list_objects("extensionProperty")] == [known]

    # The delta of the first backup was not asked for the new name: it would never tell of it.
    world.admin.post(
        PATH.format(application_id),
        {"name": "floor", "dataType": "String", "targetObjects": ["User", "Group"]},
    )
    new = f"extension_{digits}_floor"
    world.admin.patch(f"/users/{user.id}", {new: "3rd"})
    second = world.backup()
    held = world.snapshot(second).load_objects("user", [user.id])[user.id]
    assert (held.get(known), held.get(new)) == ("4711", "3rd")
    assert second.info.extensions["user"] == tuple(sorted((known, new)))
    assert second.info.kinds["user"].changed == 1

    world.admin.patch(f"/users/{user.id}", {new: "4th"})
    third: list[BackupResult] = []
    asked = world.counted(lambda: third.append(world.backup()))
    held = world.snapshot(third[0]).load_objects("user", [user.id])[user.id]
    assert held.get(new) == "4th"
    assert third[0].info.kinds["user"].changed == 1
    assert asked["POST /directoryObjects/getAvailableExtensionProperties"] == 1
    assert "GET /users" not in asked
