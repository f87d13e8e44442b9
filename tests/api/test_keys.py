"""The repository's keys over the API: who may change them, when, and what is never told."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from reentra import errors
from reentra.access import ApprovalRules, Role
from reentra.repository import Repository

from .conftest import CONSOLE, PASSPHRASE, Api

SECOND = "canary-second-passphrase"
THIRD = "canary-third-passphrase"


def opens(api: Api, secret: str) -> bool:
    application = api.application
    try:
        Repository.open(application.storage(application.repository_url), secret)
    except errors.WrongPassphrase:
        return False
    return True


def own(listed: Any) -> list[str]:
    return [item["id"] for item in listed["items"] if item["own"]]


def test_keys_are_added_changed_and_removed_and_no_secret_is_told(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    admin = api.admin
    before = admin.json("GET", "/keys")
    assert len(own(before)) == 1
    told = [str(before)]
    added = admin.json("POST", "/keys", {"passphrase": SECOND}, 201)
    assert (len(added["items"]), added["recovery_key"]) == (len(before["items"]) + 1, "")
    assert opens(api, SECOND)
    changed = admin.json("PUT", "/keys/passphrase", {"old": SECOND, "new": THIRD})
    assert (opens(api, SECOND), opens(api, THIRD)) == (False, True)
    (new,) = {item["id"] for item in changed["items"]} - {item["id"] for item in before["items"]}
    told.append(admin.json("DELETE", f"/keys/{new}")["items"])
    assert not opens(api, THIRD)
    wrong = admin("PUT", "/keys/passphrase", {"old": SECOND, "new": THIRD})
    assert wrong.status_code >= 400
    for body in ({}, {"passphrase": THIRD, "recovery": True}, {"passphrase": "canary"}):
        refused = admin("POST", "/keys", body)
        assert (refused.status_code, refused.json()["code"]) == (400, "usage")
        told.append(refused.text)
    assert admin("DELETE", "/keys/0000000000000000").status_code == 404
    made = admin.json("POST", "/keys", {"recovery": True}, 201)["recovery_key"]
    assert opens(api, made)
    records = api.serving.access.trail.list_records(limit=40)
    actions = {record.action for record in records}
    assert {"key.add", "key.change", "key.remove", "recovery_key.reveal"} <= actions
    told += [wrong.text, str(added), str(changed), str(records), caplog.text]
    files = [path.read_bytes() for path in api.application.home.rglob("*") if path.is_file()]
    for secret in (SECOND, THIRD, made):
        assert not [one for one in told if secret in str(one)]
        assert not [data for data in files if secret.encode() in data]


def test_this_servers_own_key_is_not_taken_away_without_being_told(api: Api) -> None:
    admin = api.admin
    (mine,) = own(admin.json("GET", "/keys"))
    admin.json("POST", "/keys", {"passphrase": SECOND}, 201)
    for method, path, body in (
        ("DELETE", f"/keys/{mine}", None),
        ("PUT", "/keys/passphrase", {"old": PASSPHRASE, "new": THIRD}),
        ("POST", "/keys/rotation", {"passphrase": SECOND}),
    ):
        refused = admin(method, path, body)
        assert (refused.status_code, refused.json()["code"]) == (409, "own_key"), refused.text
    assert own(admin.json("GET", "/keys")) == [mine]
    assert opens(api, PASSPHRASE)


def test_a_rotation_keeps_the_passphrase_and_the_server_goes_on(api: Api) -> None:
    admin = api.admin
    before = admin.json("GET", "/keys")
    rotated = admin.json("POST", "/keys/rotation", {"passphrase": PASSPHRASE})
    assert rotated["generation"] == before["generation"] + 1
    assert {item["kind"] for item in rotated["items"]} == {"passphrase", "recovery"}
    assert len(rotated["items"]) == 2
    assert len(own(rotated)) == 1
    assert (opens(api, PASSPHRASE), opens(api, rotated["recovery_key"])) == (True, True)
    assert not opens(api, SECOND)
    job = admin.json("POST", "/tenants/contoso/backups", {}, 202)
    assert api.ended("contoso", job["id"])["status"] == "succeeded"
    check = admin.json("POST", "/check", {}, 202)
    assert api.ended("", check["id"])["status"] == "succeeded"


def test_while_something_is_written_no_key_changes(api: Api) -> None:
    with api.application.repository.lock_tenant("a tenant", "backup"):
        refused = api.admin("POST", "/keys", {"passphrase": "given by nobody else"})
    assert refused.status_code in (409, 503)
    assert not opens(api, "given by nobody else")


def test_changes_of_keys_can_need_a_second_person(api: Api) -> None:
    first = api.admin
    api.person("key-holder", Role.ADMINISTRATOR)
    second = api.signed_in("key-holder")
    first.json("PUT", "/settings", {"approve_keys": True})
    try:
        (mine,) = own(first.json("GET", "/keys"))
        for method, path, body in (
            ("POST", "/keys", {"passphrase": SECOND}), ("POST", "/keys", {"recovery": True}),
            ("DELETE", f"/keys/{mine}?even_own=true", None),
            ("PUT", "/keys/passphrase", {"old": PASSPHRASE, "new": THIRD, "even_own": True}),
            ("POST", "/keys/rotation", {"passphrase": PASSPHRASE}),
            ("PUT", "/settings", {}),
        ):  # fmt: skip
            refused = first(method, path, body)
            assert (refused.status_code, refused.json()["code"]) == (409, "approval_needed"), path
        asked = next(
            one for one in first.json("GET", "/approvals")["items"]
            if one["subject"] == "key.add a passphrase"
        )  # fmt: skip
        assert first("POST", f"/approvals/{asked['id']}", {"granted": True}).status_code == 409
        second.json("POST", f"/approvals/{asked['id']}", {"granted": True})
        assert second("POST", "/keys", {"passphrase": THIRD}).status_code == 409  # another's
        first.json("POST", "/keys", {"passphrase": SECOND}, 201)
        assert first("POST", "/keys", {"passphrase": THIRD}).status_code == 409  # once
        assert (opens(api, SECOND), opens(api, THIRD)) == (True, False)
    finally:
        api.serving.access.change_rules(CONSOLE, ApprovalRules())


def test_a_token_and_a_stale_session_change_no_key(api: Api) -> None:
    made = api.admin.json("POST", "/tokens", {"name": "keys", "role": "administrator"}, 201)
    script = type(api.admin)(api.client, {"authorization": f"Bearer {made['token']}"})
    stale = api.signed_in("administrator-of-all", seconds_ago=3600)
    for caller, code in ((script, "not_allowed"), (stale, "fresh_sign_in")):
        for method, path, body in (
            ("POST", "/keys", {"passphrase": THIRD}), ("DELETE", "/keys/0", None),
            ("PUT", "/keys/passphrase", {"old": PASSPHRASE, "new": THIRD}),
            ("POST", "/keys/rotation", {"passphrase": PASSPHRASE}),
        ):  # fmt: skip
            refused = caller(method, path, body)
            assert (refused.status_code, refused.json()["code"]) == (403, code), refused.text
