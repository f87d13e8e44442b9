"""W-24, W-25: what is protected and what not and why; what a restore does; the permissions."""

from __future__ import annotations

from reentra.access import Role
from reentra.directory.kinds import KINDS
from reentra.directory.relationships import RELATIONSHIPS
from reentra.sandbox.app import SandboxServer

from .conftest import Pages


def test_w25_every_kind_and_relationship_is_named_with_what_a_restore_does(pages: Pages) -> None:
    text = pages.reader(Role.READER).page("/tenants/contoso/coverage")
    for name in (*KINDS, *RELATIONSHIPS):
        assert f'<tr id="{name}">' in text
    devices = text.partition('<tr id="device">')[2].partition("</tr>")[0]
    assert "Gone: not created." in devices
    assert "Protected" in devices
    assert "Device.Read.All" in devices
    assert "What no backup holds" in text
    assert "Your role may not ask the tenant." in text


def test_w24_what_graph_refused_is_not_protected_with_the_reason_and_the_permission(
    pages: Pages, sandbox: SandboxServer
) -> None:
    faults = sandbox.sandbox.faults
    faults.script(
        "GET ^/policies/authenticationStrengthPolicies", 403, times=20,
        code="Authorization_RequestDenied", message="Insufficient privileges.",
    )  # fmt: skip
    try:
        job = pages.admin.json("POST", "/tenants/contoso/backups", {"full": True}, 202)
        assert pages.ended("contoso", job["id"])["status"] == "partial"
        text = pages.reader(Role.READER).page("/tenants/contoso/coverage")
        row = text.partition('<tr id="authenticationStrengthPolicy">')[2].partition("</tr>")[0]
        assert "Not protected" in row
        assert "Insufficient privileges." in row
        assert "Grant: <code>Policy.Read.All</code>" in row
        assert "are left out of backup and restore" in text
        of_the_job = pages.reader(Role.READER).page(f"/tenants/contoso/jobs/{job['id']}")
        assert "What could not be read" in of_the_job
        assert "Insufficient privileges." in of_the_job
        day = pages.reader(Role.READER).page("/tenants/contoso/snapshots")
        assert 'Not whole: <span class="strong">Authentication strengths</span>' in day
        asked = pages.reader(Role.OPERATOR).page("/tenants/contoso/coverage/permissions")
        assert "does not let these be read now" in asked
    finally:
        faults.clear()
    job = pages.admin.json("POST", "/tenants/contoso/backups", {}, 202)
    assert pages.ended("contoso", job["id"])["status"] == "succeeded"


def test_w24_what_the_licence_does_not_give_is_not_protected_and_the_rest_is(
    pages: Pages, sandbox: SandboxServer
) -> None:
    options = sandbox.sandbox.tenant.options
    options.edition = "P1"
    try:
        job = pages.admin.json("POST", "/tenants/contoso/backups", {"full": True}, 202)
        assert pages.ended("contoso", job["id"])["status"] == "partial"
    finally:
        options.edition = "P2"
    text = pages.reader(Role.READER).page("/tenants/contoso/coverage")
    row = text.partition('<tr id="unifiedRoleEligibilitySchedule">')[2].partition("</tr>")[0]
    assert "Not protected" in row
    assert "P2" in row
    assert "RoleManagement.Read.Directory" in row
    others = text.partition('<tr id="unifiedRoleAssignment">')[2].partition("</tr>")[0]
    assert "Protected" in others


def test_permissions_are_asked_of_graph_when_somebody_wants_it(pages: Pages) -> None:
    text = pages.reader(Role.OPERATOR).page("/tenants/contoso/coverage/permissions")
    assert "To back up" in text
    assert "To restore" in text
    assert 'class="badge good">Granted' in text
    answer = pages.reader(Role.READER).get("/tenants/contoso/coverage/permissions")
    assert answer.status_code == 403


def test_without_a_snapshot_the_tables_are_there_all_the_same(pages: Pages) -> None:
    text = pages.admin_reader.page("/tenants/fabrikam/coverage")
    assert "There is no snapshot yet" in text
    assert "Gone: not created." in text
    assert pages.admin_reader.get("/tenants/nowhere/coverage").status_code == 404
