"""Two bodies: every difference is told once, at its leaf, and nothing else is."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reentra.compare import PropertyChange, changes_between
from reentra.directory import canonical

NAMES = st.sampled_from(["a", "b", "c", "displayName", "mail"])
SCALARS = st.one_of(
    st.none(),
    st.sampled_from(["x", "y", "X", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000Z", ""]),
    st.integers(2, 5),
    st.booleans(),
)
NAMED_LISTS = st.lists(
    st.fixed_dictionaries({"keyId": st.sampled_from("pqr"), "v": SCALARS}),
    max_size=3,
    unique_by=lambda item: item["keyId"],
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(st.sampled_from(["x", "y", "z"]), max_size=3),
        st.lists(
            inner.filter(lambda value: value is not None and not isinstance(value, list)),
            max_size=2,
        ),
        st.dictionaries(NAMES, inner, max_size=3),
        NAMED_LISTS,
    ),
    max_leaves=8,
)
BODIES = st.dictionaries(NAMES, VALUES, max_size=5)
SEGMENT = re.compile(r"([^/\[\]]+)|\[([^\]]*)\]")


def applied(body: dict[str, Any], changes: tuple[PropertyChange, ...]) -> dict[str, Any]:
    """Do to ``body`` what ``changes`` tell; written without the code under test."""
    result = copy.deepcopy(body)
    for change in changes:
        steps = [(m[1], m[2]) for m in SEGMENT.finditer(change.path)]
        _apply(result, steps, change)
    return result


def _apply(place: Any, steps: list[tuple[str | None, str | None]], change: PropertyChange) -> None:
    name, _ = steps[0]
    assert name is not None
    if len(steps) == 1:
        place[name] = change.after
        return
    if steps[1][1] is None:
        if place.get(name) is None:
            place[name] = {}
        _apply(place[name], steps[1:], change)
        return
    items = place[name] = list(place.get(name) or [])
    key = steps[1][1]
    if len(steps) == 2:
        if change.before is not None:
            items.remove(next(i for i in items if _same(i, change.before)))
        if change.after is not None:
            items.append(change.after)
        return
    _apply(
        next(i for i in items if isinstance(i, dict) and i.get("keyId") == key), steps[2:], change
    )


def _same(left: Any, right: Any) -> bool:
    return bool(
        canonical.canonical_value(left) == canonical.canonical_value(right)
        and type(left) is type(right)
    )


@settings(max_examples=400)
@given(BODIES, BODIES)
def test_doing_the_changes_to_the_one_gives_the_other(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    changes = changes_between(before, after)
    result = applied(before, changes)
    assert canonical.canonical_properties("", result) == canonical.canonical_properties("", after)
    same = canonical.canonical_bytes("", before) == canonical.canonical_bytes("", after)
    assert (not changes) == same
    assert all(c.before is not None or c.after is not None for c in changes)


@given(BODIES, BODIES)
def test_the_other_way_round_is_the_mirror_image(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    forth = {(c.path, repr(c.before), repr(c.after)) for c in changes_between(before, after)}
    back = {(c.path, repr(c.after), repr(c.before)) for c in changes_between(after, before)}
    assert forth == back


@given(BODIES)
def test_a_body_does_not_differ_from_itself(body: dict[str, Any]) -> None:
    assert changes_between(body, copy.deepcopy(body)) == ()
    everything = changes_between(body, copy.deepcopy(body), include_equal=True)
    assert all(repr(c.before) == repr(c.after) for c in everything)
    assert bool(everything) == bool(canonical.canonical_properties("", body))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            {"address": {"city": "Bern", "zip": None}},
            {"address": {"city": "Chur", "zip": "7000"}},
            [("address/city", "Bern", "Chur"), ("address/zip", None, "7000")],
        ),
        (
            {"assignedLicenses": [{"skuId": "s1", "disabledPlans": ["p"]}, {"skuId": "s2"}]},
            {"assignedLicenses": [{"skuId": "s2"}, {"skuId": "s1", "disabledPlans": ["q"]}]},
            [
                ("assignedLicenses[s1]/disabledPlans[p]", "p", None),
                ("assignedLicenses[s1]/disabledPlans[q]", None, "q"),
            ],
        ),
        (
            {"requiredResourceAccess": [{"resourceAppId": "g", "resourceAccess": [{"id": "1"}]}]},
            {"requiredResourceAccess": [{"resourceAppId": "g", "resourceAccess": []}]},
            [("requiredResourceAccess[g]/resourceAccess[1]", {"id": "1"}, None)],
        ),
        ({"otherMails": ["b", "a"]}, {"otherMails": ["a", "b"]}, []),
        ({"otherMails": []}, {}, []),
        ({"at": "2026-01-01T00:00:00Z"}, {"at": "2026-01-01T00:00:00.0000000Z"}, []),
        ({"id": "1", "a@odata.context": "x"}, {"id": "2"}, []),
        ({"flag": True}, {"flag": False}, [("flag", True, False)]),
        ({"number": 1}, {"number": True}, [("number", 1, True)]),
        (
            {"identities": [{"issuer": "i", "signInType": "x"}]},
            {"identities": [{"issuer": "j", "signInType": "x"}]},
            [
                ("identities[]", {"issuer": "i", "signInType": "x"}, None),
                ("identities[]", None, {"issuer": "j", "signInType": "x"}),
            ],
        ),
    ],
)
def test_differences_are_told_at_their_leaf(
    before: dict[str, Any], after: dict[str, Any], expected: list[tuple[str, Any, Any]]
) -> None:
    found = [(c.path, c.before, c.after) for c in changes_between(before, after)]
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def test_the_kinds_table_says_what_does_not_count() -> None:
    before = {"userPrincipalName": "A@x", "assignedPlans": [1], "department": "R"}
    after = {"userPrincipalName": "a@X", "assignedPlans": [2], "department": "S"}
    assert [c.path for c in changes_between(before, after, kind="user")] == ["department"]
    paths = [c.path for c in changes_between(before, after, kind="user", include_volatile=True)]
    assert paths == ["assignedPlans[1]", "assignedPlans[2]", "department"]
