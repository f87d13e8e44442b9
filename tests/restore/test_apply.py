"""Applying plans to a sandbox through real HTTP: faults that must strike, and crashes anywhere."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
import pytest

from reentra import errors
from reentra.directory.kinds import KINDS
from reentra.directory.objects import ObjectRef
from reentra.directory.references import references_in
from reentra.directory.selection import Selection
from reentra.restore.apply import NO_SECRETS, RestoreSecrets
from reentra.restore.draft import PolicyState, RestoreOptions
from reentra.restore.journal import MemoryJournal, StepRecord, StepStatus
from reentra.restore.plan import RestorePlan, check_still_valid
from reentra.restore.report import RestoreReport, RestoreStatus
from reentra.restore.steps import Action
from reentra.sandbox.app import SandboxServer
from tests.models import ModelTenant
from tests.restore.support import PASSWORD, World, new_world, worlds

AS_WAS = RestoreOptions(conditional_access_state=PolicyState.AS_BACKED_UP)


def only(kind: str, object_id: str) -> Selection:
    return Selection(refs=frozenset({ObjectRef(kind, object_id)}))


def statuses(report: RestoreReport) -> set[StepStatus | None]:
    return {entry.status for entry in report.entries}


def harm_everything(world: World) -> ModelTenant:
    """Do one mishap of each sort; return the tenant as it was."""
    users, groups = world.ids("user"), world.ids("group")
    applications, principals = world.ids("application"), world.ids("servicePrincipal")
    portal = world.live.load_objects("application", [applications["Expense Portal"]])
    uri = f"api://{portal[applications['Expense Portal']].get('appId')}"
    world.client.patch(f"/applications/{applications['Expense Portal']}", {"identifierUris": [uri]})
    desired = world.captured()
    policies = world.ids("conditionalAccessPolicy")
    world.purge("users", users["Ada Berg"])
    world.soft_delete("users", users["Omar Haas"])
    world.purge("groups", groups["Sales"])
    world.soft_delete("groups", groups["Expense app users"])
    world.client.patch(f"/users/{users['Lina Costa']}", {"department": None})
    world.soft_delete("applications", applications["Expense Portal"])
    for one in (applications["Expense Portal"], principals["Expense Portal"]):
        world.client.delete(f"/directory/deletedItems/{one}")
    world.client.delete(
        f"/identity/conditionalAccess/policies/{policies['CA: mfa for administrators']}"
    )
    return desired


def test_everything_comes_back_and_a_second_plan_is_empty(world: World) -> None:
    desired = harm_everything(world)
    report = world.restore(desired, options=AS_WAS)
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    assert report.verification.checked == report.verification.holding > 30
    assert len(report.id_map) == 5
    assert world.plan(desired, options=AS_WAS).is_empty
    new_app = world.live.load_objects("application", list(report.id_map.values()))
    uris = [one.get("identifierUris") for one in new_app.values()]
    assert uris == [[f"api://{one.get('appId')}"] for one in new_app.values()]


def test_what_is_equal_costs_no_write(world: World) -> None:
    desired = world.captured()
    user = world.ids("user")["Lina Costa"]
    world.client.patch(f"/users/{user}", {"department": "Elsewhere"})
    plan = world.plan(desired)
    counted = world.counted(lambda: world.applier(plan).run())
    writes = {name: n for name, n in counted.items() if not name.startswith("GET")}
    assert writes.pop("POST /$batch", 1)
    assert sum(writes.values()) == 1, writes


def test_restoring_one_group_never_lists_all_users(world: World) -> None:
    desired = world.captured()
    group = world.ids("group")["Sales"]
    world.purge("groups", group)
    world.live.coverage()

    def restore() -> None:
        report = world.restore(desired, only("group", group))
        assert report.status is RestoreStatus.SUCCEEDED, report.to_text()

    counted = world.counted(restore)
    listed = [path for path in counted if path in ("GET /users", "GET /users/delta")]
    assert not listed, counted
    assert sum(counted.values()) < 80, counted


def test_passwords_are_nowhere(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    desired = world.captured()
    user = world.ids("user")["Ada Berg"]
    world.purge("users", user)
    plan = world.plan(desired, only("user", user))
    journal = MemoryJournal()
    applier = world.applier(plan, journal)
    report = applier.run()
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    told = [
        orjson.dumps(plan.to_json()).decode(),
        orjson.dumps(report.to_json()).decode(),
        report.to_text(),
        report.to_csv(),
        repr(applier.records),
        repr(journal.load_records()),
        repr(RestoreSecrets.with_default(PASSWORD)),
        repr(plan),
        caplog.text,
        *map(repr, world.events),
    ]
    assert not [text for text in told if PASSWORD in text]


def test_what_is_left_out_for_want_of_a_permission_makes_the_restore_partial(world: World) -> None:
    desired = world.captured()
    user = world.ids("user")["Lina Costa"]
    world.client.patch(f"/users/{user}", {"department": None})
    plan = world.plan(desired, granted=frozenset({"User.Read.All"}))
    assert plan.is_empty
    assert world.applier(plan).run().status is RestoreStatus.PARTIAL


def test_what_cannot_come_back_without_an_object_that_was_not_selected_is_partial(
    world: World,
) -> None:
    desired = world.captured()
    policy, group = next(
        (item, one)
        for item in desired.list_objects("conditionalAccessPolicy")
        for reference, one in references_in("conditionalAccessPolicy", item.properties)
        if reference.kinds == ("group",)
    )
    world.client.delete(f"/identity/conditionalAccess/policies/{policy.id}")
    world.client.delete(f"/groups/{group}")
    world.client.delete(f"/directory/deletedItems/{group}")
    plan = world.plan(desired, Selection(refs=frozenset({policy.ref})))
    assert plan.is_empty
    assert world.applier(plan).run().status is RestoreStatus.PARTIAL


def test_a_password_that_the_tenant_refuses_fails_that_user_alone(world: World) -> None:
    desired = world.captured()
    users = world.ids("user")
    world.purge("users", users["Ada Berg"])
    world.client.patch(f"/users/{users['Lina Costa']}", {"department": None})
    report = world.applier(world.plan(desired), secrets=RestoreSecrets.with_default("weak")).run()
    assert report.status is RestoreStatus.PARTIAL
    failed = [entry for entry in report.entries if entry.status is StepStatus.FAILED]
    assert [entry.step.name for entry in failed] == ["Ada Berg"]
    assert "password" in failed[0].message.lower()
    assert failed[0].detail["request_id"]
    skipped = [entry for entry in report.entries if entry.status is StepStatus.SKIPPED]
    assert skipped
    assert all("Ada Berg" in entry.message for entry in skipped)
    lina = world.live.load_objects("user", [users["Lina Costa"]])[users["Lina Costa"]]
    assert lina.get("department")


def test_without_a_default_password_the_user_fails_with_what_to_do(world: World) -> None:
    desired = world.captured()
    user = world.ids("user")["Ada Berg"]
    world.purge("users", user)
    report = world.applier(world.plan(desired, only("user", user)), secrets=NO_SECRETS).run()
    assert "with a default password" in report.to_json()["failures"][0]["hint"]


def test_a_guest_is_invited_again(world: World) -> None:
    desired = world.captured()
    guest = next(one for one in world.live.list_objects("user") if one.get("userType") == "Guest")
    world.purge("users", guest.id)
    plan = world.plan(desired, only("user", guest.id))
    assert [step.action for step in plan.steps][:2] == [Action.INVITE, Action.UPDATE]
    report = world.applier(plan).run()
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    assert set(report.id_map) == {guest.id}
    assert world.plan(desired, only("user", guest.id)).is_empty


def _without_nulls(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is set: extensions that are defined meanwhile come as nulls."""
    return {name: value for name, value in body.items() if value is not None}


def test_deleted_only_brings_back_what_is_gone_and_leaves_the_rest_alone(world: World) -> None:
    desired = harm_everything(world)
    users = {str(body["displayName"]): one for one, body in desired.objects["user"].items()}
    before = world.captured()
    report = world.restore(desired, options=RestoreOptions(deleted_only=True))
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    after = world.captured()
    for kind in ("user", "group", "application", "conditionalAccessPolicy"):
        assert len(after.objects[kind]) == len(desired.objects[kind])
        for object_id, body in before.objects[kind].items():
            left, right = _without_nulls(body), _without_nulls(after.objects[kind][object_id])
            for computed in ("assignedLicenses", "licenseAssignmentStates", "assignedPlans"):
                left.pop(computed, None)
                right.pop(computed, None)
            assert left == right, (kind, object_id)
    assert not after.objects["user"][users["Lina Costa"]].get("department")


def test_a_principal_that_came_with_its_application_is_taken_as_it_is(world: World) -> None:
    desired = harm_everything(world)
    plan = world.plan(desired, options=AS_WAS)
    applier = world.applier(plan)
    while (wave := applier.next_wave()) is not None:
        step = next(one for one in plan.steps if one.id == wave.step_ids[0])
        if step.ref.kind == "servicePrincipal" and step.action is Action.CREATE:
            application = next(iter(applier.identity.apps.values()))
            world.client.post("/servicePrincipals", {"appId": application})
        applier.apply_wave(wave)
    report = applier.report()
    assert not report.failures, report.to_text()
    _assert_nothing_twice(world, desired)


def test_what_left_the_recycle_bin_meanwhile_is_no_failure(world: World) -> None:
    desired = world.captured()
    user = world.ids("user")["Omar Haas"]
    world.soft_delete("users", user)
    plan = world.plan(desired, only("user", user))
    world.client.post(f"/directory/deletedItems/{user}/restore")
    report = world.applier(plan).run()
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    assert report.entries[0].status is StepStatus.ALREADY


def test_replication_delay_is_waited_out() -> None:
    for world in worlds():
        desired = harm_everything(world)
        plan = world.plan(desired, options=AS_WAS)
        world.sandbox.options.replication_delay_seconds = 11.0
        report = world.applier(plan).run()
        assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
        assert 11 <= world.clock.slept_seconds < 600


_LOST = (
    ("POST", "^/users", "create/user"),
    ("POST", "^/groups$", "create/group"),
    ("POST", "^/applications$", "create/application"),
    ("POST", "^/servicePrincipals$", "create/servicePrincipal"),
    ("POST", "/deletedItems/.*/restore", "undelete/user"),
    ("PATCH", "^/users/", "update/user"),
    ("PATCH", "^/groups/", "add/group.members"),
    ("PUT", "/manager/", "add/user.manager"),
    ("POST", "/owners/", "add/"),
    ("POST", "appRoleAssignedTo", "create/appRoleAssignment"),
    ("POST", "oauth2PermissionGrants", "create/oAuth2PermissionGrant"),
    ("POST", "roleAssignments", "create/unifiedRoleAssignment"),
    ("POST", "assignLicense", "licences/"),
    ("POST", "conditionalAccess/policies", "undelete/conditionalAccessPolicy"),
)


@pytest.mark.parametrize(("method", "pattern", "step"), _LOST)
def test_a_reply_lost_after_the_effect_makes_nothing_twice(
    world: World, method: str, pattern: str, step: str
) -> None:
    desired = harm_everything(world)
    plan = world.plan(desired, options=AS_WAS)
    assert [one for one in plan.steps if one.id.startswith(step)]
    world.sandbox.faults.script((method, pattern), 504, when="after")
    report = world.applier(plan).run()
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    _assert_nothing_twice(world, desired)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("method", "pattern"), [("POST", "^/groups$"), ("PATCH", "^/users/")])
def test_a_failure_before_the_effect_is_made_good(
    world: World, method: str, pattern: str, status: int
) -> None:
    desired = harm_everything(world)
    plan = world.plan(desired, options=AS_WAS)
    world.sandbox.faults.script((method, pattern), status, when="before", seconds=0)
    report = world.applier(plan).run()
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    _assert_nothing_twice(world, desired)


def test_a_property_that_graph_refuses_is_dropped_once_and_said(world: World) -> None:
    desired = world.captured()
    user = world.ids("user")["Lina Costa"]
    world.client.patch(f"/users/{user}", {"department": None, "jobTitle": None})
    world.sandbox.faults.script(
        ("PATCH", "^/users/"),
        400,
        code="Request_BadRequest",
        message="Property 'department' is read-only and cannot be set.",
    )
    report = world.restore(desired, only("user", user))
    (entry,) = report.entries
    assert entry.status is StepStatus.DONE
    assert entry.detail["dropped"] == ["department"]
    live = world.live.load_objects("user", [user])[user]
    assert live.get("jobTitle")
    assert not live.get("department")


def test_a_permission_lost_on_the_way_fails_what_needs_it_and_the_rest_goes_on(
    world: World,
) -> None:
    desired = world.captured()
    users, groups = world.ids("user"), world.ids("group")
    world.client.patch(f"/users/{users['Lina Costa']}", {"department": None})
    world.purge("groups", groups["Sales"])
    plan = world.plan(desired)
    for permission in ("Group.ReadWrite.All", "Directory.ReadWrite.All", "Group.Create"):
        world.sandbox.withdraw(permission)
    report = world.applier(plan).run()
    assert report.status is RestoreStatus.PARTIAL
    bad = {entry.step.ref.kind for entry in report.entries if entry.status is StepStatus.FAILED}
    assert "group" in bad
    done = [entry.step.ref.kind for entry in report.entries if entry.status is StepStatus.DONE]
    assert "user" in done


def test_links_that_are_there_already_count_as_such(world: World) -> None:
    desired = world.captured()
    group = world.ids("group")["Sales"]
    links = world.live.load_relationships("group.members", [group])
    for link in links:
        world.client.remove_reference(f"/groups/{group}/members/{link.target_id}/$ref")
    plan = world.plan(desired, only("group", group))
    world.client.post(
        f"/groups/{group}/members/$ref",
        {"@odata.id": world.client.url(f"directoryObjects/{links[0].target_id}")},
    )
    report = world.applier(plan).run()
    assert report.counts == {"done": len(links) - 1, "already": 1, "skipped": 0, "failed": 0}


def test_a_stale_plan_is_noticed(world: World) -> None:
    desired = world.captured()
    user = world.ids("user")["Lina Costa"]
    world.client.patch(f"/users/{user}", {"department": None})
    plan = world.plan(desired, only("user", user))
    check_still_valid(plan, world.live)
    world.client.patch(f"/users/{user}", {"city": "Elsewhere"})
    with pytest.raises(errors.StalePlan):
        check_still_valid(plan, world.live)


def test_the_proof_notices_what_did_not_hold(world: World) -> None:
    desired = world.captured()
    user, group = world.ids("user")["Lina Costa"], world.ids("group")["Sales"]
    links = world.live.load_relationships("group.members", [group])
    world.client.patch(f"/users/{user}", {"department": None})
    world.client.remove_reference(f"/groups/{group}/members/{links[0].target_id}/$ref")
    applier = world.applier(world.plan(desired))
    assert applier.run().status is RestoreStatus.SUCCEEDED
    world.client.patch(f"/users/{user}", {"department": "Meddled"})
    world.client.remove_reference(f"/groups/{group}/members/{links[0].target_id}/$ref")
    report = applier.report()
    assert report.status is RestoreStatus.PARTIAL
    assert {(item.id, item.what.partition(":")[0]) for item in report.verification.differences} == {
        (user, "department"),
        (group, "group.members"),
    }
    assert "differs" in report.to_text()


def test_a_lost_credential_stops_the_restore_and_it_goes_on_later(world: World) -> None:
    desired = harm_everything(world)
    plan = world.plan(desired, options=AS_WAS)
    kept = MemoryJournal()
    # The second is the answer to the fresh token with which it is tried once more.
    path = f"^/users/{world.ids('user')['Lina Costa']}"
    world.sandbox.faults.script(("PATCH", path), 401, code="InvalidAuthenticationToken", times=2)
    with pytest.raises(errors.Unauthenticated):
        world.applier(plan, kept).run()
    report = world.applier(plan, kept).run()
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    _assert_nothing_twice(world, desired)


def test_cancelling_stops_at_a_border_and_says_what_was_not_reached(world: World) -> None:
    desired = harm_everything(world)
    plan = world.plan(desired)
    asked = iter([False, False, True])
    report = world.applier(plan, should_stop=lambda: next(asked)).run()
    assert report.status is RestoreStatus.CANCELLED
    assert None in statuses(report)
    assert "not reached" in report.to_text()


def test_new_ids_are_saved_before_anything_else_is_written(world: World) -> None:
    desired = harm_everything(world)
    plan = world.plan(desired)
    trail: list[str] = []
    journal = MemoryJournal()
    applier = world.applier(plan, journal)
    record_intent = journal.record_intent

    def note_intent(step_ids: Sequence[str], details: Mapping[str, Mapping[str, Any]]) -> None:
        created = [r.new_id for r in journal.load_records().values() if r.new_id]
        saved = set(world.saved[-1].flat().values()) if world.saved else set()
        links = {step.id for step in plan.steps if KINDS[step.ref.kind].is_link}
        assert not [
            one
            for one, r in ((r.new_id, r) for r in journal.load_records().values())
            if one and one not in saved and r.step_id not in links
        ]
        trail.extend(created)
        record_intent(step_ids, details)

    journal.record_intent = note_intent  # type: ignore[method-assign]
    assert applier.run().status is RestoreStatus.SUCCEEDED
    assert trail


class Killed(BaseException):
    """The process ended here."""


class KilledJournal:
    """A durable journal whose process dies before or after its n-th write."""

    def __init__(self, kept: MemoryJournal, at: int, is_after: bool) -> None:
        self._kept, self._at, self._is_after = kept, at, is_after
        self.writes = 0

    def load_records(self) -> Mapping[str, StepRecord]:
        return self._kept.load_records()

    def record_intent(
        self, step_ids: Sequence[str], details: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._write(lambda: self._kept.record_intent(step_ids, details))

    def record_outcomes(self, records: Sequence[StepRecord]) -> None:
        self._write(lambda: self._kept.record_outcomes(records))

    def _write(self, write: Callable[[], None]) -> None:
        self.writes += 1
        if self.writes == self._at and not self._is_after:
            raise Killed
        write()
        if self.writes == self._at and self._is_after:
            raise Killed


def _crash_and_resume(server: SandboxServer, at: int, is_after: bool) -> int:
    world = new_world(server)
    desired = harm_everything(world)
    plan = RestorePlan.from_json(world.plan(desired, options=AS_WAS).to_json())
    kept = MemoryJournal()
    journal = KilledJournal(kept, at, is_after)
    try:
        report = world.applier(plan, journal).run()
    except Killed:
        report = world.applier(plan, kept).run()
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    assert all(record.status.is_good for record in kept.load_records().values())
    assert len(kept.load_records()) == len(plan.steps)
    _assert_nothing_twice(world, desired)
    assert world.plan(desired, options=AS_WAS).is_empty
    world.client.close()
    return journal.writes


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("at", [1, 2, 5, 9, 20])
def test_a_restore_killed_at_a_journal_write_goes_on_without_doubling(
    at: int, is_after: bool
) -> None:
    with SandboxServer(seed_name="small") as server:
        assert _crash_and_resume(server, at, is_after) >= at


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_restore_killed_at_any_journal_write_goes_on_without_doubling() -> None:
    with SandboxServer(seed_name="small") as server:
        total = _crash_and_resume(server, 10_000, False)
    for at in range(1, total + 1):
        for is_after in (False, True):
            with SandboxServer(seed_name="small") as server:
                _crash_and_resume(server, at, is_after)


def _assert_nothing_twice(world: World, desired: ModelTenant) -> None:
    """There are as many objects as before, and none shares a name that was unique."""
    for kind in (
        "user",
        "group",
        "application",
        "servicePrincipal",
        "administrativeUnit",
        "conditionalAccessPolicy",
        "namedLocation",
        "oAuth2PermissionGrant",
    ):
        now = list(world.live.list_objects(kind))
        assert len(now) == len(desired.objects.get(kind, {})), kind
