"""Whatever is done to a tenant, its indexes, links and change log agree with its records."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reentra.sandbox.errors import GraphError
from reentra.sandbox.records import INDEXED, NAVIGATIONS, keys_of
from reentra.sandbox.tenant import ChangeKind, Tenant
from reentra.sandbox.writes import perform
from tests.sandbox.world import SKU, World, ref

PEOPLE = ("ann", "bob", "synced", "guarded")
GROUPS = ("staff", "nested", "team", "full", "dynamic", "admins")
OTHERS = ("app", "sp", "unit", "vault", "laptop")
NAMES = (*PEOPLE, *GROUPS, *OTHERS)
PATHS = {
    **dict.fromkeys(PEOPLE, "/users/"),
    **dict.fromkeys(GROUPS, "/groups/"),
    "app": "/applications/",
    "sp": "/servicePrincipals/",
    "unit": "/directory/administrativeUnits/",
    "vault": "/directory/administrativeUnits/",
    "laptop": "/devices/",
}

name = st.sampled_from(NAMES)
person = st.sampled_from(PEOPLE)
group = st.sampled_from(GROUPS)
step = st.one_of(
    st.tuples(st.just("delete"), name),
    st.tuples(st.just("restore"), name),
    st.tuples(st.just("purge"), name),
    st.tuples(st.just("rename"), name, st.sampled_from(("A", "B"))),
    st.tuples(st.just("city"), person, st.sampled_from(("X", "Y", None))),
    st.tuples(st.just("mail"), person, st.sampled_from(("a@contoso.com", "b@contoso.com", None))),
    st.tuples(st.just("join"), group, name),
    st.tuples(st.just("leave"), group, name),
    st.tuples(st.just("manager"), person, person),
    st.tuples(st.just("license"), group),
    st.tuples(st.just("admit"), st.sampled_from(("unit", "vault")), name),
    st.tuples(st.just("wait"), st.sampled_from((1, 20, 31))),
)


def do(world: World, action: tuple[Any, ...]) -> None:
    """Perform one action; Graph may refuse it."""
    tenant, ids = world.tenant, world.ids
    match action:
        case ("delete", who):
            perform(tenant, "DELETE", PATHS[who] + ids[who])
        case ("restore", who):
            perform(tenant, "POST", f"/directory/deletedItems/{ids[who]}/restore")
        case ("purge", who):
            perform(tenant, "DELETE", f"/directory/deletedItems/{ids[who]}")
        case ("rename", who, text):
            perform(tenant, "PATCH", PATHS[who] + ids[who], {"displayName": text})
        case ("city" | "mail" as prop, who, text):
            perform(tenant, "PATCH", PATHS[who] + ids[who], {prop: text})
        case ("join", where, who):
            perform(tenant, "POST", f"/groups/{ids[where]}/members/$ref", ref(ids[who]))
        case ("leave", where, who):
            perform(tenant, "DELETE", f"/groups/{ids[where]}/members/{ids[who]}/$ref")
        case ("manager", who, boss):
            perform(tenant, "PUT", f"/users/{ids[who]}/manager/$ref", ref(ids[boss]))
        case ("license", where):
            body = {"addLicenses": [{"skuId": SKU, "disabledPlans": []}], "removeLicenses": []}
            perform(tenant, "POST", f"/groups/{ids[where]}/assignLicense", body)
        case ("admit", where, who):
            path = f"/directory/administrativeUnits/{ids[where]}/members/$ref"
            perform(tenant, "POST", path, ref(ids[who]))
        case ("wait", days):
            tenant.clock.advance(days * 24 * 3600)


def check(tenant: Tenant) -> None:
    """Compare every derived structure with the records themselves."""
    for type_, keys in INDEXED.items():
        records = tenant.collection(type_)
        for key in keys:
            expected: dict[str, set[str]] = {}
            for record in records.values():
                for value in keys_of(record, key):
                    expected.setdefault(value, set()).add(record.id)
            for value, ids in expected.items():
                assert {record.id for record in tenant.by(type_, key, value)} == ids
    binned = {record.id for record in tenant.deleted()}
    for nav in NAVIGATIONS:
        source_type = nav.partition(".")[0]
        sources = [*tenant.collection(source_type), *(r.id for r in tenant.deleted(source_type))]
        for source in sources:
            for target in tenant.all_targets(nav, source):
                assert source in tenant.all_sources(nav, target)
                owned = nav.endswith(("Credentials", "Properties", "settings"))
                assert owned or tenant.find(target) is not None or target in binned
    for type_ in ("appRoleAssignment", "oAuth2PermissionGrant"):
        for record in tenant.collection(type_).values():
            for key in ("principalId", "resourceId", "clientId"):
                if record.props.get(key):
                    assert tenant.find(record.props[key]) is not None
    for user in tenant.collection("user").values():
        held = {
            state["skuId"]
            for state in user.props.get("licenseAssignmentStates") or ()
            if state["state"] == "Active"
        }
        assert {one["skuId"] for one in user.props.get("assignedLicenses") or ()} == held


def replayed(tenant: Tenant, type_: str, names: Iterable[str], since: int) -> set[str]:
    """Return the ids that a reader of the log would believe to be live."""
    live = set(names)
    for change in tenant.changes(type_, since):
        if change.kind in (ChangeKind.CREATED, ChangeKind.RESTORED):
            live.add(change.id)
        elif change.kind in (ChangeKind.SOFT_DELETED, ChangeKind.PURGED):
            live.discard(change.id)
    return live


@pytest.mark.slow
@settings(max_examples=150)
@given(st.lists(step, max_size=25))
def test_any_run_of_writes_keeps_the_state_consistent_in_depth(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    run(steps, tmp_path_factory.mktemp("state"))


@settings(max_examples=25)
@given(st.lists(step, max_size=15))
def test_any_run_of_writes_keeps_the_state_consistent(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    run(steps, tmp_path_factory.mktemp("state"))


def run(steps: list[tuple[Any, ...]], folder: Path) -> None:
    world = World()
    tenant = world.tenant
    since = tenant.seq
    started = {type_: set(tenant.collection(type_)) for type_ in INDEXED}
    links = {
        id_: set(tenant.all_targets("group.members", id_)) for id_ in tenant.collection("group")
    }
    for action in steps:
        before = tenant.seq
        try:
            do(world, action)
        except GraphError:
            expired = [change for type_ in INDEXED for change in tenant.changes(type_, before)]
            # The only thing that may happen beside a refusal is that the bin expires.
            assert all(
                change.kind in (ChangeKind.PURGED, ChangeKind.UNLINKED) for change in expired
            )
        check(tenant)
    for type_, ids in started.items():
        assert replayed(tenant, type_, ids, since) == set(tenant.collection(type_))
    for change in tenant.changes("group", since):
        if change.nav == "members":
            held = links.setdefault(change.id, set())
            (held.add if change.kind is ChangeKind.LINKED else held.discard)(change.target)
    for id_ in tenant.collection("group"):
        assert links.get(id_, set()) == set(tenant.all_targets("group.members", id_))
    tenant.save(folder / "a")
    Tenant.load(folder / "a").save(folder / "b")
    assert (folder / "a").read_bytes() == (folder / "b").read_bytes()
