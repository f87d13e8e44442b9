"""The small parts: identity, order, journal records, reports, bodies, declarations."""

from __future__ import annotations

import csv
import datetime as dt
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reentra.directory.kinds import KINDS, IdForm
from reentra.directory.objects import DirectoryObject, ObjectRef
from reentra.directory.relationships import RELATIONSHIPS
from reentra.directory.selection import EVERYTHING
from reentra.restore import bodies, declared, order, safety, unwritten
from reentra.restore.draft import RestoreOptions
from reentra.restore.identity import IdentityMap
from reentra.restore.journal import MemoryJournal, StepRecord, StepStatus
from reentra.restore.licences import direct_licences
from reentra.restore.look import Answer, update_finding
from reentra.restore.observed import Reads
from reentra.restore.plan import RestorePlan
from reentra.restore.report import Verification, report_of
from reentra.restore.steps import Action, Precondition, Step

A, B, C = (f"{letter * 8}-0000-4000-8000-000000000000" for letter in "abc")


def step(step_id: str, **more: object) -> Step:
    values: dict[str, object] = {
        "action": Action.UPDATE,
        "ref": ObjectRef("user", step_id),
        "name": step_id,
        "summary": f"Do {step_id}",
        "precondition": Precondition.PRESENT,
        "phase": 40,
    }
    return Step(id=step_id, **{**values, **more})  # type: ignore[arg-type]


def link(number: int, source: str = "g", relationship: str = "group.members") -> Step:
    return step(
        f"add/{source}/{number:04}",
        action=Action.ADD_RELATIONSHIP,
        ref=ObjectRef("group", source),
        relationship=relationship,
        target=ObjectRef("user", str(number)),
        phase=100,
    )


def test_chains_of_new_ids_are_followed_to_their_end() -> None:
    identity = IdentityMap().with_object("user", A, B).with_object("user", B, C)
    assert identity.current(A) == C
    assert identity.flat() == {A: C, B: C}
    assert set(identity.olds_of(C)) == {A, B}
    assert identity.with_object("user", A, C) is identity
    assert IdentityMap.from_json(identity.to_json()) == identity


def test_client_ids_and_object_ids_are_kept_apart() -> None:
    identity = IdentityMap().with_object("user", A, B).with_app(A, C)
    assert identity.resolve(IdForm.APP_URI, A) == C
    assert identity.resolve(IdForm.OBJECT_ID, A) == B
    body = {"identifierUris": [f"api://{A}/x"], "displayName": A}
    assert identity.rewritten("application", body)["identifierUris"] == [f"api://{C}/x"]
    assert identity.rewritten("application", body)["displayName"] == A


def test_ids_in_rules_are_rewritten_in_any_letter_case() -> None:
    identity = IdentityMap().with_object("group", A, B)
    rule = f"user.memberof -any (group.objectId -in ['{A.upper()}'])"
    assert B in identity.rewritten("group", {"membershipRule": rule})["membershipRule"]


def test_a_circle_of_ids_ends() -> None:
    assert IdentityMap({A: B, B: A}).current(A) == B


@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("abcdefxyz")))
def test_rewriting_twice_is_rewriting_once(pairs: dict[str, str]) -> None:
    identity = IdentityMap(pairs)
    is_circular = any(identity.current(one) in pairs for one in pairs)
    if not is_circular:
        for one in "abcdef":
            assert identity.current(identity.current(one)) == identity.current(one)


def test_links_travel_twenty_to_a_write() -> None:
    steps = [link(number, source) for source in ("g1", "g2") for number in range(45)]
    made = order.waves(steps)
    assert [len(wave.requests) for wave in made] == [6]
    assert sorted(len(request) for request in made[0].requests) == [5, 5, 20, 20, 20, 20]
    owners = [link(number, "g", "group.owners") for number in range(45)]
    assert [len(wave.requests) for wave in order.waves(owners)] == [45]


def test_conditional_access_goes_alone() -> None:
    steps = [step(str(n), ref=ObjectRef("conditionalAccessPolicy", str(n))) for n in range(3)]
    assert [len(wave.step_ids) for wave in order.waves(steps)] == [1, 1, 1]
    assert order.estimated_seconds(steps) == 3


def test_steps_that_depend_on_each_other_never_share_a_wave() -> None:
    steps = [step("c", depends_on=("b",)), step("b", depends_on=("a",)), step("a")]
    assert [wave.step_ids for wave in order.waves(steps)] == [("a",), ("b",), ("c",)]
    with pytest.raises(ValueError, match="circle"):
        order.ordered([step("a", depends_on=("b",)), step("b", depends_on=("a",))])


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from([1, 40, 100])), max_size=40))
def test_every_step_is_in_exactly_one_wave_after_its_phase(drawn: list[tuple[int, int]]) -> None:
    steps = {f"s{n}": step(f"s{n}", phase=phase) for n, phase in drawn}
    made = order.waves(list(steps.values()))
    listed = [step_id for wave in made for step_id in wave.step_ids]
    assert sorted(listed) == sorted(steps)
    phases = [steps[one].phase for one in listed]
    assert phases == sorted(phases)
    assert made == order.waves(list(reversed(steps.values())))


def test_ten_thousand_links_are_ordered_quickly() -> None:
    assert len(order.waves([link(number) for number in range(10_000)])) == 4


def test_an_outcome_keeps_what_the_intent_said() -> None:
    journal = MemoryJournal()
    journal.record_intent(["a"], {"a": {"existing": ["x"]}})
    journal.record_outcomes([StepRecord("a", StepStatus.DONE, {"new_id": "n"})])
    record = journal.load_records()["a"]
    assert (record.status, record.new_id) == (StepStatus.DONE, "n")
    assert record.detail["existing"] == ["x"]


def plan_of(*steps: Step) -> RestorePlan:
    return RestorePlan(
        "p",
        "t",
        "s",
        dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        EVERYTHING,
        RestoreOptions(),
        steps,
        (),
        (),
        (),
        "",
        Reads(),
    )


def test_a_report_counts_names_and_escapes() -> None:
    plan = plan_of(step("a"), step("b", name="=1+1"), step("c"), step("d"))
    failure = {"message": "no", "graph_code": "Bad", "request_id": "r", "hint": "do"}
    records = {
        "a": StepRecord("a", StepStatus.DONE),
        "b": StepRecord("b", StepStatus.FAILED, failure),
        "c": StepRecord("c", StepStatus.SKIPPED, {"reason": "because"}),
    }
    report = report_of(plan, records, IdentityMap(), verification=Verification(1, 1), job="j")
    value = report.to_json()
    assert value["job"] == "j"
    assert value["status"] == "partial"
    assert value["steps"] == {"done": 1, "already": 0, "skipped": 1, "failed": 1}
    assert [line["code"] for line in value["failures"]] == ["Bad", ""]
    rows = list(csv.DictReader(io.StringIO(report.to_csv())))
    assert [row["status"] for row in rows] == ["done", "failed", "skipped", "not_reached"]
    assert rows[1]["name"] == "'=1+1"
    assert "request id r" in report.to_text()


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((StepStatus.DONE, StepStatus.ALREADY), "succeeded"),
        ((StepStatus.DONE, StepStatus.FAILED), "partial"),
        ((StepStatus.SKIPPED, StepStatus.FAILED), "failed"),
        ((), "succeeded"),
    ],
)
def test_the_status_follows_from_the_steps(statuses: tuple[StepStatus, ...], expected: str) -> None:
    steps = [step(str(number)) for number, _ in enumerate(statuses)]
    records = {str(n): StepRecord(str(n), status) for n, status in enumerate(statuses)}
    report = report_of(plan_of(*steps), records, IdentityMap(), verification=Verification())
    assert report.status.value == expected


def test_a_look_names_only_what_is_left_to_write() -> None:
    live = DirectoryObject("user", A, {"id": A, "department": "x", "city": "y"})
    want = {"department": "x", "city": None, "businessPhones": None}
    finding = update_finding("user", want, live)
    assert finding.answer is Answer.LACKS
    assert finding.left == ({"city": None},)
    assert update_finding("user", {"department": "x"}, live).answer is Answer.HOLDS


def test_licence_states_that_lag_behind_do_not_count() -> None:
    properties = {
        "assignedLicenses": [{"skuId": "a", "disabledPlans": []}],
        "licenseAssignmentStates": [{"skuId": "gone", "disabledPlans": []}],
    }
    assert direct_licences(properties) == {"a": frozenset()}
    assert direct_licences(properties, ["a"]) == {}


def test_guests_are_invited_at_the_address_that_their_name_holds() -> None:
    body = bodies.invitation_body({"userPrincipalName": "a_b_partner.com#EXT#@x.com"})
    assert body is not None
    assert body["invitedUserEmailAddress"] == "a_b@partner.com"
    assert body["sendInvitationMessage"] is False
    assert bodies.invitation_body({"userPrincipalName": "nobody@x.com"}) is None


def test_every_writable_relationship_says_which_permissions_it_needs() -> None:
    for row in RELATIONSHIPS.values():
        if row.adding.value != "not_writable":
            one = step("x", relationship=row.name)
            assert safety.needed_permissions(one)


def test_the_declared_tables_in_the_documentation_are_current() -> None:
    path = Path(__file__).resolve().parents[2] / "docs" / "restore.md"
    text = path.read_text(encoding="utf-8")
    assert declared.with_generated(text) == text, "run `make docs`"
    assert "Join or register the device again." in text


def test_every_property_that_is_not_restored_says_what_to_do_instead() -> None:
    lines = declared.declared_markdown().splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| `") and line.count("|") == 4]
    assert len(rows) > 300
    refused = [row for row in rows if row[1] in ("no", "only at creation")]
    assert len(refused) > 80
    assert not [row for row in refused if not row[2].strip(" |")]
    for kind, told in unwritten.INSTEAD.items():
        row = KINDS[kind]
        assert not [name for name in told if row.may_update(name)], kind
