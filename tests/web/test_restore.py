"""W-05 to W-13, R-01, R-07: from a search to a restored group, by what the pages offer."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from reentra.access import ApprovalRules, Role
from reentra.sandbox.app import SandboxServer
from tests.api.conftest import CONSOLE

from .conftest import Pages, Reader, assert_no_inline

OF = "/tenants/contoso"
PASSWORD = "Fjord-Lantern-42 of nobody"
OPTIONS = {"options": "1", "relationships": "on", "settings": "overwrite"}


@pytest.fixture(scope="module")
def newest(pages: Pages) -> str:
    found: str = pages.admin.json("GET", f"{OF}/snapshots?limit=1")["items"][0]["id"]
    return found


def groups(sandbox: SandboxServer) -> Iterator[Any]:
    for record in sandbox.sandbox.tenant.collection("group").values():
        is_dynamic = "DynamicMembership" in (record.props.get("groupTypes") or [])
        if not is_dynamic and record.props.get("securityEnabled"):
            yield record


def planned(reader: Reader, fields: Any) -> str:
    """Make a plan as the dialog does it without script, and return its address."""
    began = reader.post(f"{OF}/restore/preview", fields)
    assert began.status_code == 303, began.text
    address = began.headers["location"]
    for _ in range(600):
        answer = reader.get(address)
        if answer.status_code == 303:
            return str(answer.headers["location"])
        assert answer.status_code == 200, answer.text
        assert_no_inline(answer.text)
        time.sleep(0.1)
    raise AssertionError(answer.text)


def said(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_a_deleted_group_is_found_planned_restored_and_verified(
    pages: Pages, sandbox: SandboxServer, newest: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    restorer = pages.reader(Role.RESTORER)
    tenant = sandbox.sandbox.tenant
    group = next(one for one in groups(sandbox) if not one.props.get("isAssignableToRole"))
    name = group.props["displayName"]
    with pages.application.visiting() as visitor:
        graph = visitor.open_tenant("contoso").client
        members = {one["id"] for one in graph.get(f"/groups/{group.id}/members")["value"]}
        graph.delete(f"/groups/{group.id}")
    assert group.id not in tenant.collection("group")

    found = restorer.page(f"{OF}/search?text={name.split()[0]}&kind=group")
    assert f'data-ref="group/{group.id}"' in found
    assert "changes in attributes, not in relationships" in found

    chosen = [("snapshot", newest), ("id", f"group/{group.id}")]
    dialog = restorer.get(f"{OF}/restore?snapshot={newest}&id=group/{group.id}", X_Dialog="1")
    assert "<h1>Restore Data</h1>" in dialog.text
    assert "<!doctype" not in dialog.text
    assert_no_inline(dialog.text)
    for label in ("Restore Options", "Restore Relationships", "Settings Behavior", "Overwrite",
                  "Restore permanently deleted items only", "Skip",
                  "Set default password for permanently deleted users"):  # fmt: skip
        assert label in dialog.text
    assert name in said(dialog.text)
    assert restorer.post(f"{OF}/restore", chosen).status_code == 200  # too much for an address

    address = planned(restorer, [*chosen, *OPTIONS.items()])
    plan = restorer.page(address)
    assert "Bring back from the recycle bin" in plan
    assert "at Graph's write limit" in plan
    without = restorer.post(f"{address}/apply")
    assert without.status_code == 400
    assert "default password for permanently deleted users is missing" in without.text

    agreed = {"default_password": PASSWORD}
    first = restorer.post(f"{address}/apply", agreed)
    assert first.status_code == 303, first.text
    assert (
        first.headers["location"] == restorer.post(f"{address}/apply", agreed).headers["location"]
    )
    job = pages.ended("contoso", first.headers["location"].rpartition("/")[2])
    assert job["status"] == "succeeded", job
    assert job["summary"]["verification"]["checked"] == job["summary"]["verification"]["holding"]
    with pages.application.visiting() as visitor:
        graph = visitor.open_tenant("contoso").client
        back = {one["id"] for one in graph.get(f"/groups/{group.id}/members")["value"]}
    assert back == members
    assert "given to" in restorer.page(address)  # a plan is applied once

    # The password is nowhere.
    kept = str([record.to_json() for record in pages.application.jobs.list_jobs()])
    trail = str(pages.admin.json("GET", "/audit?limit=500"))
    for place in (kept, trail, caplog.text, plan, without.text, restorer.page(address)):
        assert PASSWORD not in place
    for file in pages.application.home.rglob("*"):
        if file.is_file():
            assert PASSWORD.encode() not in file.read_bytes(), file


def test_the_preview_is_a_part_of_the_dialog_and_follows_its_options(
    pages: Pages, sandbox: SandboxServer, newest: str
) -> None:
    """W-11."""
    restorer, group = pages.reader(Role.RESTORER), next(groups(sandbox))
    before = group.props.get("description")
    sandbox.sandbox.tenant.update(group, {"description": "vandalised"})
    fields = {"snapshot": newest, "id": f"group/{group.id}", **OPTIONS}
    part = restorer.post(f"{OF}/restore/preview", fields, HX_Request="true").text
    assert part.lstrip().startswith('<div id="preview"')
    job = part.partition(f"{OF}/previews/")[2].partition('"')[0]
    pages.ended("contoso", job)
    part = restorer.get(f"{OF}/previews/{job}", HX_Request="true").text
    assert_no_inline(part)
    assert "Change back" in part
    assert 'formaction="/tenants/contoso/plans/' in part
    assert f'name="replaces" value="{job}"' in part
    # Only what is deleted: there is nothing to do, and nothing to press.
    fields |= {"deleted_only": "on", "replaces": job}
    text = restorer.page(planned(restorer, fields))
    assert "Nothing to do" in text
    assert "data-apply" not in text
    # Options that contradict each other are told where they are.
    wrong = {**fields, "behavior": "rollback"}
    told = restorer.post(f"{OF}/restore/preview", wrong, HX_Request="true")
    assert told.status_code == 400
    assert 'class="message bad"' in told.text
    whole = restorer.post(f"{OF}/restore/preview", {**wrong, "properties": "department"})
    assert whole.status_code == 400
    assert 'value="department"' in whole.text  # what was typed is still there
    share = restorer.post(f"{OF}/restore/preview", {**fields, "max_changed_share": "half"})
    assert share.status_code == 400
    assert "half" in share.text
    sandbox.sandbox.tenant.update(group, {"description": before})


def test_a_selection_over_two_snapshots_is_refused(pages: Pages) -> None:
    """W-17."""
    restorer = pages.reader(Role.RESTORER)
    found = pages.admin.json("GET", f"{OF}/snapshots?limit=2")["items"]
    both = [("snapshot", item["id"]) for item in found] + [("kind", "group")]
    for address in ("restore", "download", "downloads", "restore/preview"):
        answer = restorer.post(f"{OF}/{address}", both)
        assert answer.status_code == 400, address
        assert "is from 2 snapshots" in said(answer.text)


def test_deletions_are_confirmed_by_their_number_and_a_refusal_says_how_to_overrule(
    pages: Pages, sandbox: SandboxServer, newest: str
) -> None:
    """R-06, R-07."""
    restorer, tenant = pages.reader(Role.RESTORER), sandbox.sandbox.tenant
    added = tenant.create(
        "group",
        {"displayName": "<b>Added</b> since", "mailEnabled": False, "mailNickname": "since",
         "securityEnabled": True},
    )  # fmt: skip
    fields = {"snapshot": newest, "kind": "group", "rollback_kind": "group", **OPTIONS}
    address = planned(restorer, fields)
    text = restorer.page(address)
    assert "Deletes 1 object" in text
    assert "Type 1 to confirm" in text
    assert "<b>Added</b>" not in text
    agreed = {"default_password": PASSWORD}
    refused = restorer.post(f"{address}/apply", {**agreed, "confirm_deletions": "2"})
    assert refused.status_code == 409
    assert "deletes 1 object" in refused.text
    assert (
        restorer.post(f"{address}/apply", {**agreed, "confirm_deletions": "x"}).status_code == 400
    )
    begun = restorer.post(f"{address}/apply", {**agreed, "confirm_deletions": "1"})
    job = pages.ended("contoso", begun.headers["location"].rpartition("/")[2])
    assert job["status"] == "succeeded", job
    assert added.id not in tenant.collection("group")


def test_a_plan_that_needs_a_second_person_says_how_that_stands(
    pages: Pages, sandbox: SandboxServer, newest: str
) -> None:
    restorer, group = pages.reader(Role.RESTORER), next(groups(sandbox))
    before = group.props.get("description")
    sandbox.sandbox.tenant.update(group, {"description": "to be approved"})
    pages.admin.json("PUT", "/settings", {"approve_restores_over_steps": 0})
    try:
        fields = {"snapshot": newest, "id": f"group/{group.id}", **OPTIONS}
        address = planned(restorer, fields)
        text = restorer.page(address)
        assert "Nobody was asked yet" in text
        assert "Ask for approval" in text
        assert "data-apply" not in text
        refused = restorer.post(f"{address}/apply", {"default_password": PASSWORD})
        assert refused.status_code == 409
        asked = restorer.post(f"{address}/approval")
        assert asked.headers["location"] == address
        assert "It waits under" in restorer.page(address)
        request = pages.admin.json("GET", f"{OF}/approvals")["items"][0]
        pages.admin.json("POST", f"{OF}/approvals/{request['id']}", {"granted": True})
        assert "A second person approved this plan" in restorer.page(address)
        begun = restorer.post(f"{address}/apply", {"default_password": PASSWORD})
        job = pages.ended("contoso", begun.headers["location"].rpartition("/")[2])
        assert job["status"] == "succeeded", job
    finally:
        pages.serving.access.change_rules(CONSOLE, ApprovalRules())
    assert group.props.get("description") == before


def test_devices_are_said_not_to_be_created_again(pages: Pages) -> None:
    """W-25."""
    text = pages.reader(Role.RESTORER).page(f"{OF}/restore?kind=device")
    assert "Graph cannot create a device" in text


def test_a_plan_is_a_file_too(pages: Pages, newest: str) -> None:
    restorer = pages.reader(Role.RESTORER)
    address = planned(restorer, {"snapshot": newest, "kind": "domain", **OPTIONS})
    file = restorer.get(f"{address}/file")
    assert "attachment" in file.headers["content-disposition"]
    assert file.json()["selection"] == {"ids": [], "kinds": ["domain"]}
    again = restorer.post(f"{OF}/restore", {"snapshot": newest, "kind": "domain", **OPTIONS,
                                            "settings": "skip"})  # fmt: skip
    assert '<option value="skip" selected>' in again.text  # "Change options" keeps them


def test_who_may_not_restore_or_download_is_told_so(pages: Pages, newest: str) -> None:
    reader = pages.reader(Role.READER)
    for address in ("restore", "download"):
        assert reader.get(f"{OF}/{address}?snapshot={newest}").status_code == 403
    text = reader.page(f"{OF}/search")
    assert 'data-no-restore="Your role may look, not restore."' in text
    assert 'data-no-download="Your role may not download."' in text


def test_a_download_is_begun_in_its_dialog_and_fetched_by_who_asked(
    pages: Pages, newest: str
) -> None:
    """W-14."""
    operator = pages.reader(Role.OPERATOR)
    dialog = operator.page(f"{OF}/download?snapshot={newest}&kind=group")
    assert "Include relationships in the JSON" in dialog
    fields = {"snapshot": newest, "kind": "group", "relationships": "on"}
    begun = operator.post(f"{OF}/downloads", fields)
    assert begun.status_code == 303, begun.text
    job = pages.ended("contoso", begun.headers["location"].rpartition("/")[2])
    assert job["parameters"]["relationships"] is True
    file = operator.get(f"{OF}/downloads/{job['id']}")
    assert file.content.startswith(b"PK")
    assert pages.reader(Role.RESTORER).get(f"{OF}/downloads/{job['id']}").status_code == 404
    actions = [item["action"] for item in pages.admin.json("GET", "/audit?limit=50")["items"]]
    assert "download.fetch" in actions


def test_an_undo_is_a_plan_that_is_read_and_applied_like_any_other(
    pages: Pages, sandbox: SandboxServer, newest: str
) -> None:
    """R-10."""
    restorer, group = pages.reader(Role.RESTORER), next(groups(sandbox))
    before = group.props.get("description")
    sandbox.sandbox.tenant.update(group, {"description": "meant so"})
    address = planned(restorer, {"snapshot": newest, "id": f"group/{group.id}", **OPTIONS})
    begun = restorer.post(f"{address}/apply", {"default_password": PASSWORD})
    restored = begun.headers["location"].rpartition("/")[2]
    assert pages.ended("contoso", restored)["status"] == "succeeded"
    assert group.props.get("description") == before
    undo = restorer.post(f"{OF}/jobs/{restored}/undo")
    assert undo.status_code == 303, undo.text
    job = pages.ended("contoso", undo.headers["location"].partition("?")[0].rpartition("/")[2])
    address = f"{OF}/plans/{job['summary']['plan']}"
    text = restorer.page(address)
    assert "<h1>Plan to undo a restore</h1>" in text
    assert f"{OF}/jobs/{restored}" in text
    begun = restorer.post(f"{address}/apply", {"default_password": PASSWORD})
    undone = pages.ended("contoso", begun.headers["location"].rpartition("/")[2])
    assert undone["status"] == "succeeded", undone
    assert group.props.get("description") == "meant so"
    sandbox.sandbox.tenant.update(group, {"description": before})


def test_a_refusal_is_overruled_where_it_is_told_and_not_before(
    pages: Pages, sandbox: SandboxServer, newest: str
) -> None:
    """R-07."""
    restorer = pages.reader(Role.RESTORER)
    user = next(iter(sandbox.sandbox.tenant.collection("user").values()))
    before = user.props.get("jobTitle")
    name = user.props["userPrincipalName"]
    pages.admin.json("PUT", "/tenants/contoso", {"break_glass": [name]})
    sandbox.sandbox.tenant.update(user, {"jobTitle": "Nobody"})
    try:
        fields = {"snapshot": newest, "id": f"user/{user.id}", **OPTIONS}
        assert 'name="overrule"' not in restorer.page(f"{OF}/restore?id=user/{user.id}")
        address = planned(restorer, fields)
        text = restorer.page(address)
        assert "Refused:" in text
        assert "data-apply" not in text
        assert restorer.post(f"{address}/apply", {"default_password": PASSWORD}).status_code == 409
        code = re.findall(r'name="overrule" value="([^"]+)"', text)[0]
        assert code.startswith("break_glass_account:")
        again = restorer.page(planned(restorer, {**fields, "overrule": code}))
        assert "Overruled:" in again
        assert "data-apply" in again
    finally:
        pages.admin.json("PUT", "/tenants/contoso", {"break_glass": []})
        sandbox.sandbox.tenant.update(user, {"jobTitle": before})


def test_a_password_that_breaks_the_policy_fails_its_user_alone_and_is_shown_nowhere(
    pages: Pages, sandbox: SandboxServer, newest: str
) -> None:
    """W-10."""
    restorer, group = pages.reader(Role.RESTORER), next(groups(sandbox))
    before = group.props.get("description")
    sandbox.sandbox.tenant.update(group, {"description": "the rest"})
    with pages.application.visiting() as visitor:
        graph = visitor.open_tenant("contoso").client
        users = graph.get("/users?$select=id,userType,onPremisesSyncEnabled&$top=50")["value"]
        user = next(
            one for one in reversed(users)
            if one.get("userType") == "Member" and not one.get("onPremisesSyncEnabled")
        )  # fmt: skip
        graph.delete(f"/users/{user['id']}")
        graph.delete(f"/directory/deletedItems/{user['id']}")
    chosen = [("id", f"user/{user['id']}"), ("id", f"group/{group.id}")]
    address = planned(restorer, [("snapshot", newest), *chosen, *OPTIONS.items()])
    assert "Users must be created anew: they get the default password." in restorer.page(address)
    weak = "qzvxkw"
    begun = restorer.post(f"{address}/apply", {"default_password": weak})
    job = pages.ended("contoso", begun.headers["location"].rpartition("/")[2])
    assert job["status"] == "partial", job
    assert group.props.get("description") == before
    report = restorer.get(f"/api/v1{OF}/jobs/{job['id']}/report.csv").text
    assert "password" in report.lower()  # Graph's own reason
    for place in (
        str(job),
        report,
        restorer.page(address),
        restorer.page(f"{OF}/jobs/{job['id']}"),
    ):
        assert weak not in place
