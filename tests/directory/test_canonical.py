"""Canonical bytes ignore what Graph changes by itself, and nothing else."""

from __future__ import annotations

import copy
import random
import re
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reentra.directory import canonical
from reentra.directory.kinds import KINDS

TEXT = st.text(max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
BODIES = st.dictionaries(TEXT.filter(lambda name: "@" not in name and name != "id"), JSON)


def shuffled(value: Any, rng: random.Random) -> Any:
    """Return the same value with keys and list items in another order."""
    if isinstance(value, dict):
        items = [(key, shuffled(item, rng)) for key, item in value.items()]
        rng.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        items = [shuffled(item, rng) for item in value]
        rng.shuffle(items)
        return items
    return value


@given(BODIES, st.randoms(use_true_random=False))
def test_the_order_of_keys_and_of_unordered_lists_does_not_count(
    body: dict[str, Any], rng: random.Random
) -> None:
    assert canonical.canonical_bytes("group", body) == canonical.canonical_bytes(
        "group", shuffled(body, rng)
    )


VARIED = st.sampled_from(
    [
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.120Z",
        "2026-01-02T03:04:05.000+00:00",
        "2026-01-02T03:04:05+00:00",
        "2026-13-02 03:04:05.000Z",
        "EFB87545-963c-4E0D-99df-69c6916d9eb0",
        "efb87545-963c-4e0d-99df-69c6916d9eb0",
        "an address of 36 letters @ Example.X",
        "Somebody.With.A.Name@Contoso.example",
        " b A  c ",
        "#microsoft.graph.user",
        "ZEBRA",
        "zebra!",
    ]
)
VARIED_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | VARIED | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
PLAIN_NAMES = st.sampled_from(["city", "jobTitle", "description", "extension_1_x"]) | TEXT
RULED_NAMES = st.sampled_from(
    sorted(
        {"id", "@odata.type", "manager@odata.context", "scope"}
        | KINDS["user"].volatile
        | KINDS["user"].case_insensitive
        | {name for row in KINDS.values() for name in row.ordered | row.word_sets}
    )
)


def naive_form(value: Any, is_ordered: bool = False) -> Any:
    """Return the canonical form as the documentation tells it, one rule after the other."""
    if isinstance(value, str):
        if len(value) == 36 and value[8] == value[13] == value[18] == "-":
            return value.lower()
        moment = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|\+00:00)", value)
        if moment is None:
            return value
        return moment[1] + (moment[2] or "").rstrip("0").rstrip(".") + "Z"
    if isinstance(value, dict):
        items = {name: naive_form(item) for name, item in value.items()}
        return {name: item for name, item in items.items() if item is not None} or None
    if isinstance(value, list):
        items = [naive_form(item) for item in value]
        if not is_ordered:
            items.sort(key=lambda item: orjson.dumps(item, option=orjson.OPT_SORT_KEYS))
        return items or None
    return value


def naive_bytes(kind: str, body: dict[str, Any]) -> bytes:
    """Return canonical bytes, property by property."""
    row = KINDS[kind]
    result = {}
    for name, value in body.items():
        if name == "@odata.type":
            form = None if value == row.odata_type else naive_form(value)
        elif name == "id" or "@" in name or name in row.volatile:
            continue
        else:
            form = naive_form(value, name in row.ordered)
            if isinstance(value, str) and name in row.case_insensitive:
                form = form.lower()
            elif isinstance(value, str) and name in row.word_sets:
                form = " ".join(sorted(form.split())) or None
        if form is not None:
            result[name] = form
    return orjson.dumps(result, option=orjson.OPT_SORT_KEYS)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["user", "oAuth2PermissionGrant", "conditionalAccessPolicy", "namedLocation"]),
    st.dictionaries(PLAIN_NAMES | RULED_NAMES, VARIED_JSON, max_size=8),
)
def test_canonical_bytes_are_what_their_definition_says(kind: str, body: dict[str, Any]) -> None:
    before = copy.deepcopy(body)
    assert canonical.canonical_bytes(kind, body) == naive_bytes(kind, body)
    assert body == before


@given(BODIES, st.sampled_from(sorted(KINDS["user"].volatile)), JSON)
def test_a_volatile_property_does_not_count(body: dict[str, Any], name: str, value: Any) -> None:
    assert canonical.digest("user", body) == canonical.digest("user", {**body, name: value})


@given(BODIES, st.sampled_from([None, [], {}, [[]][:0]]))
def test_null_and_empty_count_as_absent(body: dict[str, Any], nothing: Any) -> None:
    without = {key: value for key, value in body.items() if key != "department"}
    assert canonical.are_same("user", without, {**without, "department": nothing})


@given(BODIES, TEXT.filter(bool))
def test_any_other_change_counts(body: dict[str, Any], value: str) -> None:
    before = {**body, "department": value}
    after = {**body, "department": value + "x"}
    assert canonical.digest("user", before) != canonical.digest("user", after)
    assert not canonical.are_same("user", before, after)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.0000000Z"),
        ("2026-01-02T03:04:05.12Z", "2026-01-02T03:04:05.1200000Z"),
        ("2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05Z"),
    ],
)
def test_fractions_of_seconds_written_differently_do_not_count(left: str, right: str) -> None:
    assert canonical.are_same("user", {"employeeHireDate": left}, {"employeeHireDate": right})


def test_different_moments_count() -> None:
    left, right = "2026-01-02T03:04:05.1Z", "2026-01-02T03:04:05.2Z"
    assert not canonical.are_same("user", {"employeeHireDate": left}, {"employeeHireDate": right})


def test_a_principal_name_counts_without_its_case_and_a_department_with_it() -> None:
    assert canonical.are_same(
        "user", {"userPrincipalName": "Ada@x.com"}, {"userPrincipalName": "ada@X.com"}
    )
    assert not canonical.are_same("user", {"department": "IT"}, {"department": "it"})


def test_the_scopes_of_a_grant_are_a_set_of_words() -> None:
    kind = "oAuth2PermissionGrant"
    assert canonical.are_same(
        kind, {"scope": " User.Read  Mail.Read"}, {"scope": "Mail.Read User.Read"}
    )
    assert not canonical.are_same(kind, {"scope": "User.Read"}, {"scope": "User.Read.All"})


def test_the_primary_address_counts() -> None:
    left = {"proxyAddresses": ["SMTP:a@x.com", "smtp:b@x.com"]}
    right = {"proxyAddresses": ["smtp:a@x.com", "SMTP:b@x.com"]}
    assert not canonical.are_same("user", left, right)


def test_transport_annotations_are_cleaned_at_every_depth_and_types_stay() -> None:
    body = {
        "@odata.context": "x",
        "@odata.type": "#microsoft.graph.ipNamedLocation",
        "ipRanges": [
            {"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "10.0.0.0/8"}
        ],
        "grantControls": {"authenticationStrength@odata.context": "y", "operator": "OR"},
        "members@delta": [],
        "@microsoft.graph.tips": "z",
    }
    assert canonical.cleaned(body) == {
        "@odata.type": "#microsoft.graph.ipNamedLocation",
        "ipRanges": [
            {"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "10.0.0.0/8"}
        ],
        "grantControls": {"operator": "OR"},
    }


def test_the_type_of_a_derived_kind_counts_and_that_of_a_plain_one_does_not() -> None:
    named = canonical.canonical_properties(
        "namedLocation", {"@odata.type": "#microsoft.graph.ipNamedLocation"}
    )
    assert named == {"@odata.type": "#microsoft.graph.ipNamedLocation"}
    user = canonical.canonical_properties("user", {"@odata.type": "#microsoft.graph.user"})
    assert user == {}
