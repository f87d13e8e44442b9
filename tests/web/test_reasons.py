"""What a page says of Graph's answers, of kinds and of moments is in words for people."""

from __future__ import annotations

import datetime as dt

import jinja2
import pytest

from reentra.graph import odata
from reentra.web import charts, reasons, rendering


def _answer(
    status: int, message: str = "Insufficient privileges to complete the operation."
) -> str:
    body = {"error": {"code": "Authorization_RequestDenied", "message": message}}
    headers = {"request-id": "5a4db0c5-0000-4000-8000-000000000016"}
    return odata.error_from_answer(
        status, headers, body, method="GET", path="/policies/deviceRegistrationPolicy"
    ).message


def test_what_graph_answered_stands_behind_words_of_ours_with_the_permission() -> None:
    answer = _answer(403)
    item = {
        "status": "refused",
        "reason": f"{answer} Permission needed: Policy.Read.DeviceConfiguration.",
        "permissions": ["Policy.Read.DeviceConfiguration"],
    }
    found = reasons.reason_of(item)
    assert found.said == "The application lacks a permission for this."
    assert found.answer == answer
    assert found.permissions == ("Policy.Read.DeviceConfiguration",)


def test_words_of_ours_before_graphs_answer_are_what_is_said() -> None:
    found = reasons.reason_of({"reason": f"It comes with Microsoft Entra ID P2. {_answer(400)}"})
    assert found.said == "It comes with Microsoft Entra ID P2."
    assert found.answer == _answer(400)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 418, 429, 500, 503])
def test_every_answer_of_graph_has_words_of_ours(status: int) -> None:
    found = reasons.failure_of(_answer(status))
    assert found.said.startswith("Microsoft Graph")
    assert str(status) in found.answer


def test_what_graph_did_not_say_is_left_as_it_is() -> None:
    reason = "Some groups hide their members. Permission needed: Member.Read.Hidden."
    found = reasons.reason_of({"reason": reason, "permissions": ["Member.Read.Hidden"]})
    assert (found.said, found.answer) == ("Some groups hide their members.", "")


def test_commands_are_code_and_ids_beside_names_are_one_look_away() -> None:
    told = reasons.said("Run `check`: <b> (b8dc7eec-5575-4593-b4ce-7aa48a434738) is gone.")
    assert "Run <code>check</code>: &lt;b&gt; is gone." in told
    assert 'title="Run `check`: &lt;b&gt; (b8dc7eec-' in told


@pytest.mark.parametrize(
    ("kind", "one", "many"),
    [
        ("user", "1 user", "3 users"),
        ("conditionalAccessPolicy", "1 Conditional Access policy", "3 Conditional Access policies"),
        ("identitySecurityDefaultsEnforcementPolicy", "1 security defaults", "3 security defaults"),
    ],
)
def test_kinds_are_counted_as_people_count(kind: str, one: str, many: str) -> None:
    assert (rendering.counted(kind, 1), rendering.counted(kind, 3)) == (one, many)


def test_snapshots_of_the_same_minute_are_told_apart() -> None:
    items = [
        {"id": f"20261118T0138{second}Z-{end}", "created_at": f"2026-11-18T01:38:{second}Z"}
        for second, end in (("59", "aaaa"), ("52", "bbbb"), ("52", "cccc"))
    ]
    items.append({"id": "20261118T013700Z-dddd", "created_at": "2026-11-18T01:37:00Z"})
    made = jinja2.Environment(autoescape=True).from_string("")
    context = made.new_context({"zone": dt.UTC})
    ((day, inside),) = rendering.by_day(context, items)
    assert day == "Wednesday, 18 November 2026"
    assert [label for label, _ in inside] == [
        "18 Nov 2026, 01:38:59",
        "18 Nov 2026, 01:38:52 (bbbb)",
        "18 Nov 2026, 01:38:52 (cccc)",
        "18 Nov 2026, 01:37",
    ]


@pytest.mark.parametrize("most", [0, 1, 2, 3, 5, 7, 11, 99, 101, 4711])
def test_a_charts_scale_is_whole_in_its_middle(most: int) -> None:
    day = dt.date(2026, 11, 18)
    drawn = charts.changes([(day, {"changed": most})])
    assert ".5</text>" not in drawn
