"""A plan to look at in pieces says what the whole one says, and has the digest that is approved."""

from __future__ import annotations

import datetime as dt

import pytest

from reentra import errors
from reentra.directory.selection import EVERYTHING
from reentra.repository.keys import canonical_json
from reentra.restore.draft import RestoreOptions
from reentra.restore.paged import STEPS_A_PIECE, paged
from reentra.restore.plan import RestorePlan, plan_restore
from reentra.tasks import plan_digest
from tests.models import ModelTenant

USERS = 2 * STEPS_A_PIECE + 7


def tenant(department: str, users: range) -> ModelTenant:
    model = ModelTenant(label=department)
    for number in users:
        name = f"u{number}"
        model.put(
            "user", f"{number:08x}-0000-4000-8000-000000000000", displayName=name,
            userPrincipalName=f"{name}@example.com", mailNickname=name, accountEnabled=True,
            department=department,
        )  # fmt: skip
    return model


@pytest.fixture(scope="module")
def plan() -> RestorePlan:
    return plan_restore(
        tenant("Sales", range(USERS)),
        tenant("Blanked", range(3, USERS)),
        EVERYTHING,
        RestoreOptions(max_changed_share=1.0),
        created_at=dt.datetime(2026, 3, 4, tzinfo=dt.UTC),
    )


def test_a_plan_in_pieces_tells_what_the_whole_plan_tells(plan: RestorePlan) -> None:
    assert len(plan.steps) == USERS
    shown = paged(canonical_json(plan.to_json()))
    assert shown.head == plan.head()
    assert shown.head["counts"] == {"create": {"user": 3}, "update": {"user": USERS - 3}}
    assert shown.step_ids == tuple(step.id for step in plan.steps)
    assert (shown.plan.id, shown.plan.steps) == (plan.id, ())
    assert shown.plan.open_refusals == plan.open_refusals


def test_the_digest_is_that_by_which_people_approve_the_whole_plan(plan: RestorePlan) -> None:
    document = plan.to_json()
    assert paged(canonical_json(document)).digest == plan_digest(document)
    assert paged(canonical_json({**document, "base": "other"})).digest != plan_digest(document)


def test_steps_are_found_at_their_places_over_the_borders_of_pieces(plan: RestorePlan) -> None:
    shown = paged(canonical_json(plan.to_json()))
    around = range(STEPS_A_PIECE - 2, 2 * STEPS_A_PIECE + 2)
    assert shown.steps_at(around) == list(plan.steps[around.start : around.stop])
    assert shown.steps_at([0, USERS - 1]) == [plan.steps[0], plan.steps[-1]]
    assert shown.steps_at([]) == []


def test_a_large_plan_takes_a_tenth_of_its_text(plan: RestorePlan) -> None:
    text = canonical_json(plan.to_json())
    assert sum(map(len, paged(text).pieces)) < len(text) / 10


def test_an_old_plan_that_does_not_count_everything_is_counted(plan: RestorePlan) -> None:
    document = {**plan.to_json(), "version": 1}
    del document["deleted_kinds"], document["removals"]
    assert paged(canonical_json(document)).head == plan.head()


def test_what_is_no_plan_is_refused(plan: RestorePlan) -> None:
    with pytest.raises(errors.UsageError):
        paged(canonical_json({**plan.to_json(), "version": 99}))
    with pytest.raises(errors.UsageError):
        paged(canonical_json({"steps": []}))
