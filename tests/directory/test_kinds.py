"""The kinds table agrees with itself and with Graph's own schema."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from reentra.directory.kinds import IMPLIED_BY, KINDS, is_granted, missing_permissions
from reentra.directory.relationships import RELATIONSHIPS, Adding

FACTS = Path(__file__).resolve().parents[2].parent / "shared/graph"
needs_facts = pytest.mark.skipif(
    not FACTS.exists(), reason="the collected Graph facts are not beside the repository"
)
_METHODS = (
    "email", "external", "fido2", "microsoftAuthenticator", "sms", "softwareOath",
    "temporaryAccessPass", "voice", "x509Certificate",
)  # fmt: skip
DERIVED = {
    "namedLocation": ("namedLocation", "ipNamedLocation", "countryNamedLocation"),
    "authenticationMethodConfiguration": (
        "authenticationMethodConfiguration",
        *(f"{name}AuthenticationMethodConfiguration" for name in _METHODS),
    ),
    "unifiedRoleEligibilitySchedule": (
        "unifiedRoleEligibilitySchedule", "unifiedRoleScheduleBase",
    ),
    **dict.fromkeys(
        (
            "claimsMappingPolicy", "tokenLifetimePolicy", "tokenIssuancePolicy",
            "homeRealmDiscoveryPolicy", "activityBasedTimeoutPolicy",
        ),
        ("stsPolicy", "policyBase"),
    ),
}  # fmt: skip


def facts(name: str) -> list[dict[str, str]]:
    with (FACTS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@needs_facts
@pytest.mark.parametrize("kind", KINDS)
def test_every_property_of_the_table_is_one_of_graphs(kind: str) -> None:
    types = DERIVED.get(kind, (kind,))
    known = {row["property"] for row in facts("properties.tsv") if row["type"] in types}
    known |= {"id", "@odata.type", "description", "displayName", "isDefault", "supportedServices"}
    known |= {"appScopeId", "refreshTokensValidFromDateTime", "directorySizeQuota"}
    # Seen in real tenants, and not declared in v1.0.
    known |= {"reportSuspiciousActivitySettings", "systemCredentialPreferences"}
    row = KINDS[kind]
    known |= {row.source_property} if row.is_owned else set()
    named = (
        set(row.select) | row.writable | row.create_only | row.update_only | row.required
    ) | row.volatile | row.synced_writable | set(row.natural_key)  # fmt: skip
    assert not named - known


@needs_facts
def test_every_path_of_the_table_is_an_operation_of_graph() -> None:
    def shape(path: str) -> str:
        return re.sub(r"\{[^}]*\}", "{}", path).lower()

    known = {shape(row["path_template"]) for row in facts("operations.tsv")}
    known |= {shape(row["path_lowercase_no_ref"]) for row in facts("permissions.tsv")}
    prose = (FACTS / "graph.md").read_text(encoding="utf-8")
    named = [row.list_path for row in KINDS.values()]
    named += [row.delta_path for row in KINDS.values() if row.delta_path]
    named += [link.list_path for link in RELATIONSHIPS.values()]
    assert not [path for path in named if shape(path) not in known and path not in prose]


@needs_facts
def test_every_permission_of_the_tables_exists() -> None:
    known = {row["permission"] for row in facts("permission_ids.tsv")}
    known |= {
        permission
        for row in facts("permissions.tsv")
        for column in ("least_app_only", "other_app_only")
        for permission in row[column].split(",")
    }
    named = {
        permission
        for row in KINDS.values()
        for permission in (*row.read_permissions, *row.write_permissions)
    }
    named |= {
        permission
        for row in RELATIONSHIPS.values()
        for permission in (*row.read_permissions, *row.write_permissions)
    }
    named |= set(IMPLIED_BY) | {name for names in IMPLIED_BY.values() for name in names}
    assert not named - known


def test_what_can_be_created_says_what_it_needs() -> None:
    for row in KINDS.values():
        if row.can_create:
            assert row.required
            assert row.required <= row.writable | row.create_only, row.name


def test_what_cannot_be_done_says_why() -> None:
    for row in KINDS.values():
        if not row.can_create:
            assert row.reason, row.name
    for link in RELATIONSHIPS.values():
        assert (link.adding is Adding.NOT_WRITABLE) == bool(link.reason), link.name


def test_references_come_after_what_they_name() -> None:
    for row in KINDS.values():
        for reference in row.references:
            if not reference.is_required:
                continue
            for kind in reference.kinds:
                assert KINDS[kind].phase < row.phase, f"{row.name} names {kind}"


def test_a_wider_permission_answers_for_a_narrower_one() -> None:
    assert is_granted("User.Read.All", frozenset({"Directory.Read.All"}))
    assert not is_granted("User.ReadWrite.All", frozenset({"User.Read.All"}))
    assert missing_permissions(
        ("User.Read.All", "Policy.Read.All"), frozenset({"User.ReadWrite.All"})
    ) == ("Policy.Read.All",)


def test_no_read_permission_of_the_tables_can_write() -> None:
    for row in KINDS.values():
        assert not [name for name in row.read_permissions if "Write" in name]
