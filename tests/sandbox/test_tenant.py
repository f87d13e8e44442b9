"""The state of an imitated tenant: records, links, the recycle bin, the change log."""

from __future__ import annotations

import resource
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reentra.sandbox.clock import Clock
from reentra.sandbox.errors import LogTruncated
from reentra.sandbox.tenant import BIN_SECONDS, Change, ChangeKind, Record, Tenant, TenantOptions

DAY = 24 * 3600


@pytest.fixture
def tenant() -> Tenant:
    return Tenant("t", Clock(datetime(2026, 1, 1, tzinfo=UTC)))


def user(tenant: Tenant, name: str) -> Record:
    return tenant.create("user", {"userPrincipalName": f"{name}@contoso.com", "displayName": name})


def group(tenant: Tenant, name: str) -> Record:
    return tenant.create("group", {"displayName": name, "securityEnabled": True})


def kinds(changes: list[Change]) -> list[ChangeKind]:
    return [change.kind for change in changes]


def test_objects_are_found_by_id_in_any_letter_case_and_by_their_natural_key(
    tenant: Tenant,
) -> None:
    ann = user(tenant, "Ann")
    assert tenant.get("user", ann.id.upper()) is ann
    assert tenant.find(ann.id) is ann
    assert tenant.user_by_upn("ANN@CONTOSO.COM") is ann
    assert tenant.get("group", ann.id) is None


def test_a_renamed_object_is_no_longer_found_under_its_old_name(tenant: Tenant) -> None:
    ann = user(tenant, "Ann")
    tenant.update(ann, {"userPrincipalName": "anna@contoso.com"})
    assert tenant.user_by_upn("ann@contoso.com") is None
    assert tenant.user_by_upn("anna@contoso.com") is ann


def test_two_holders_of_a_key_are_both_found_until_one_leaves(tenant: Tenant) -> None:
    first = tenant.create("group", {"mailNickname": "Sales"})
    second = tenant.create("group", {"mailNickname": "sales"})
    assert tenant.by("group", "mailNickname", "SALES") == [first, second]
    tenant.purge(first)
    assert tenant.by("group", "mailNickname", "sales") == [second]


def test_an_update_that_changes_nothing_leaves_no_trace(tenant: Tenant) -> None:
    ann = user(tenant, "Ann")
    ann.cache, before = b"rendered", tenant.seq
    assert tenant.update(ann, {"displayName": "Ann"}) == ()
    assert (tenant.seq, ann.cache) == (before, b"rendered")


def test_an_update_clears_the_cache_and_names_what_changed(tenant: Tenant) -> None:
    ann = user(tenant, "Ann")
    ann.cache, before = b"rendered", tenant.seq
    assert tenant.update(ann, {"displayName": "Ann", "jobTitle": None}) == ("jobTitle",)
    assert ann.cache is None
    [change] = tenant.changes("user", before)
    assert (change.kind, change.properties) == (ChangeKind.UPDATED, ("jobTitle",))


def test_links_keep_their_order_and_answer_from_both_sides(tenant: Tenant) -> None:
    staff = group(tenant, "staff")
    people = [user(tenant, name) for name in ("c", "a", "b")]
    assert all(tenant.link("group.members", staff.id, person.id) for person in people)
    assert not tenant.link("group.members", staff.id, people[0].id)
    assert tenant.targets("group.members", staff.id) == [person.id for person in people]
    assert tenant.sources("group.members", people[1].id) == [staff.id]
    assert tenant.unlink("group.members", staff.id, people[0].id)
    assert not tenant.unlink("group.members", staff.id, people[0].id)


def test_a_new_manager_replaces_the_old_one(tenant: Tenant) -> None:
    ann, bob, cid = (user(tenant, name) for name in ("ann", "bob", "cid"))
    tenant.link("user.manager", ann.id, bob.id)
    since = tenant.seq
    tenant.link("user.manager", ann.id, cid.id)
    assert tenant.targets("user.manager", ann.id) == [cid.id]
    assert kinds(list(tenant.changes("user", since))) == [ChangeKind.UNLINKED, ChangeKind.LINKED]


def test_a_soft_deleted_user_keeps_its_memberships_and_the_group_reports_no_change(
    tenant: Tenant,
) -> None:
    staff, ann = group(tenant, "staff"), user(tenant, "ann")
    tenant.link("group.members", staff.id, ann.id)
    since = tenant.seq
    tenant.soft_delete(ann)
    assert tenant.get("user", ann.id) is None
    assert tenant.find_deleted(ann.id) is ann
    assert tenant.targets("group.members", staff.id) == []
    assert tenant.all_targets("group.members", staff.id) == [ann.id]
    assert list(tenant.changes("group", since)) == []
    tenant.restore(ann)
    assert tenant.targets("group.members", staff.id) == [ann.id]


def test_a_purged_user_leaves_its_groups_and_they_report_it(tenant: Tenant) -> None:
    staff, ann = group(tenant, "staff"), user(tenant, "ann")
    tenant.link("group.members", staff.id, ann.id)
    tenant.soft_delete(ann)
    since = tenant.seq
    tenant.purge(ann)
    [change] = tenant.changes("group", since)
    assert (change.kind, change.nav, change.target) == (ChangeKind.UNLINKED, "members", ann.id)
    assert change.target_type == "user"
    assert kinds(list(tenant.changes("user", since))) == [ChangeKind.PURGED]
    assert tenant.all_sources("group.members", ann.id) == []


def test_the_name_of_a_deleted_user_is_free_and_carries_its_id(tenant: Tenant) -> None:
    ann = user(tenant, "ann")
    tenant.soft_delete(ann)
    assert ann.props["userPrincipalName"] == ann.id.replace("-", "") + "ann@contoso.com"
    assert tenant.user_by_upn("ann@contoso.com") is None
    tenant.restore(ann)
    assert tenant.user_by_upn("ann@contoso.com") is ann


def test_the_name_of_a_deleted_user_may_stay_as_it_was() -> None:
    tenant = Tenant("t", options=TenantOptions(deleted_upn_carries_id=False))
    ann = user(tenant, "ann")
    tenant.soft_delete(ann)
    assert ann.props["userPrincipalName"] == "ann@contoso.com"
    assert tenant.user_by_upn("ann@contoso.com") is None
    tenant.restore(ann)
    assert tenant.user_by_upn("ann@contoso.com") is ann


def test_a_device_is_found_by_its_device_id(tenant: Tenant) -> None:
    laptop = tenant.create("device", {"deviceId": "D1"})
    assert tenant.device_by_device_id("d1") is laptop


def test_the_recycle_bin_empties_itself_after_thirty_days(tenant: Tenant) -> None:
    ann, bob = user(tenant, "ann"), user(tenant, "bob")
    tenant.soft_delete(ann)
    tenant.clock.advance(10 * DAY)
    tenant.soft_delete(bob)
    tenant.clock.advance(BIN_SECONDS - 10 * DAY)
    assert tenant.deleted("user") == [bob]
    since = tenant.seq
    tenant.clock.advance(10 * DAY)
    assert kinds(list(tenant.changes("user", since))) == [ChangeKind.PURGED]
    assert tenant.deleted() == []


def test_assignments_go_and_come_back_with_either_of_their_ends(tenant: Tenant) -> None:
    ann = user(tenant, "ann")
    app = tenant.create("servicePrincipal", {"appId": "1"})
    tenant.create(
        "appRoleAssignment", {"principalId": ann.id, "resourceId": app.id, "appRoleId": "0"}, "A"
    )
    tenant.soft_delete(ann)
    tenant.soft_delete(app)
    assert list(tenant.collection("appRoleAssignment")) == []
    tenant.restore(ann)
    assert list(tenant.collection("appRoleAssignment")) == []
    tenant.restore(app)
    assert list(tenant.collection("appRoleAssignment")) == ["A"]
    assert [r.id for r in tenant.by("appRoleAssignment", "resourceId", app.id)] == ["A"]


def test_assignments_of_a_purged_object_do_not_come_back(tenant: Tenant) -> None:
    ann = user(tenant, "ann")
    app = tenant.create("servicePrincipal", {"appId": "1"})
    tenant.create(
        "appRoleAssignment", {"principalId": ann.id, "resourceId": app.id, "appRoleId": "0"}, "A"
    )
    tenant.soft_delete(ann)
    tenant.purge(app)
    tenant.restore(ann)
    assert list(tenant.collection("appRoleAssignment")) == []


def test_what_an_application_owns_is_purged_with_it(tenant: Tenant) -> None:
    app = tenant.create("application", {"appId": "1"})
    credential = tenant.create("federatedIdentityCredential", {"name": "ci"})
    tenant.link("application.federatedIdentityCredentials", app.id, credential.id)
    tenant.soft_delete(app)
    assert list(tenant.collection("federatedIdentityCredential")) == [credential.id]
    tenant.purge(app)
    assert list(tenant.collection("federatedIdentityCredential")) == []


def test_a_bulk_load_is_not_in_the_log_and_refuses_older_positions(tenant: Tenant) -> None:
    since = tenant.seq
    assert tenant.load_bulk("user", [("u1", {"displayName": "a"}), ("u2", {})]) == 2
    assert list(tenant.changes("user", tenant.seq)) == []
    with pytest.raises(LogTruncated):
        list(tenant.changes("user", since - 1))
    assert list(tenant.collection("user")) == ["u1", "u2"]


def test_seats_in_use_follow_the_users_who_hold_them(tenant: Tenant) -> None:
    sku = tenant.create("subscribedSku", {"skuId": "s", "consumedUnits": 0})
    tenant.load_bulk("user", [("u1", {"assignedLicenses": [{"skuId": "S"}]}), ("u2", {})])
    assert sku.props["consumedUnits"] == 1
    tenant.update(tenant.collection("user")["u2"], {"assignedLicenses": [{"skuId": "s"}]})
    assert sku.props["consumedUnits"] == 2
    tenant.soft_delete(tenant.collection("user")["u1"])
    assert sku.props["consumedUnits"] == 1


def test_the_same_seed_gives_the_same_ids_and_another_seed_others() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    first, second, other = (Clock(moment, seed) for seed in (1, 1, 2))
    ids = [first.new_guid() for _ in range(3)]
    assert ids == [second.new_guid() for _ in range(3)]
    assert not set(ids) & {other.new_guid() for _ in range(3)}
    assert len(set(ids)) == 3


def test_a_saved_tenant_comes_back_the_same_and_saves_to_the_same_bytes(
    tenant: Tenant, tmp_path: Path
) -> None:
    staff, ann, bob = group(tenant, "staff"), user(tenant, "ann"), user(tenant, "bob")
    app = tenant.create("servicePrincipal", {"appId": "1"})
    tenant.create(
        "appRoleAssignment", {"principalId": ann.id, "resourceId": app.id, "appRoleId": "0"}, "A"
    )
    tenant.link("group.members", staff.id, ann.id)
    tenant.link("group.members", staff.id, bob.id)
    since = tenant.seq
    tenant.soft_delete(ann)
    tenant.save(tmp_path / "one")
    again = Tenant.load(tmp_path / "one")
    again.save(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert list(again.changes("user", since)) == list(tenant.changes("user", since))
    returned = again.find_deleted(ann.id)
    assert returned is not None
    again.restore(returned)
    assert again.user_by_upn("ann@contoso.com") is returned
    assert again.targets("group.members", staff.id) == [ann.id, bob.id]
    assert list(again.collection("appRoleAssignment")) == ["A"]
    assert again.clock.new_guid() == tenant.clock.new_guid()


def test_what_was_before_a_write_is_remembered_when_asked_for() -> None:
    tenant = Tenant("t", options=TenantOptions(remember_previous=True))
    ann = user(tenant, "ann")
    tenant.update(ann, {"displayName": "Anna"})
    assert ann.previous is not None
    assert ann.previous["displayName"] == "ann"


@pytest.mark.slow
def test_two_hundred_thousand_users_with_two_million_memberships_fit() -> None:
    tenant = Tenant("t")
    names = [f"extensionValue{at}" for at in range(40)]
    ids = [tenant.clock.new_guid() for _ in range(200_000)]
    tenant.load_bulk(
        "user",
        (
            (
                id_,
                {
                    "userPrincipalName": f"user{at}@contoso.com",
                    "mail": f"user{at}@contoso.com",
                    **{name: f"{name}-{at % 1000}-{at}" for name in names},
                },
            )
            for at, id_ in enumerate(ids)
        ),
    )
    groups = [tenant.clock.new_guid() for _ in range(20_000)]
    tenant.load_bulk("group", ((id_, {"displayName": id_}) for id_ in groups))
    for at, id_ in enumerate(groups):
        tenant.link_bulk(
            "group.members", id_, (ids[(at * 37 + step * 1999) % 200_000] for step in range(100))
        )
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert kilobytes < 4 * 1024 * 1024
