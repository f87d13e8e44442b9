"""Tenants, what is kept of one, the installation's settings, and the audit trail, as pages."""

from __future__ import annotations

import dataclasses
import html
import re

from reentra.access import Role
from reentra.graph.connection import Cloud, TenantConnection
from reentra.sandbox import seed as seeds
from tests.api.conftest import CONSOLE

from .conftest import Pages, Reader

GUID = "0f6d2b5e-2b8e-4f6e-9b58-6a6a5c1c8d01"


def test_the_list_of_tenants_says_how_each_stands(pages: Pages) -> None:
    text = pages.admin_reader.page("/tenants")
    contoso, fabrikam = text.split('data-label="Last backup"')[1:3]
    assert "Succeeded" in contoso or "Partial" in contoso
    assert "/tenants/contoso/snapshots/" in contoso
    assert "None yet" in fabrikam
    assert "No schedule" in fabrikam
    assert "fabrikam" not in pages.reader(Role.READER, "contoso").page("/tenants")


def test_who_sees_no_tenant_is_told_what_to_do(pages: Pages) -> None:
    assert "You have no role yet." in pages.reader(None).page("/tenants")
    assert "Only an administrator of all tenants connects one." in pages.reader(
        Role.ADMINISTRATOR, "contoso"
    ).page("/tenants")


def test_connecting_says_which_permissions_are_needed_and_never_shows_the_secret(
    pages: Pages,
) -> None:
    admin = pages.admin_reader
    text = admin.page("/connect")
    backup, restore = text.split("For restore")[0:2]
    assert "Directory.Read.All" in backup
    assert "ReadWrite.All" in restore
    sent = {
        "name": "two words", "tenant_id": GUID, "client_id": GUID, "cloud": "global",
        "client_secret": "canary-of-the-form",
    }  # fmt: skip
    answer = admin.post("/connect", sent)
    assert answer.status_code == 400
    assert 'value="two words"' in answer.text
    assert "canary-of-the-form" not in answer.text


def test_a_schedule_is_set_and_a_wrong_one_keeps_what_was_typed(pages: Pages) -> None:
    admin, at = pages.admin_reader, "/tenants/fabrikam/settings"
    sent = {
        "plan": "daily", "count": "6", "unit": "h", "time": "03:45", "cron": "",
        "zone": "Europe/Berlin",
    }  # fmt: skip
    answer = admin.post(f"{at}/schedule", sent)
    assert answer.headers["location"] == f"{at}?saved=true"
    text = admin.page(f"{at}?saved=true")
    assert "Saved." in text
    assert 'value="03:45"' in text
    assert 'name="plan" value="daily" checked' in text
    assert pages.application.schedules.load("fabrikam").rule == "daily 03:45"
    wrong = admin.post(f"{at}/schedule", {**sent, "plan": "cron", "cron": "every now and then"})
    assert wrong.status_code == 400
    assert 'value="every now and then"' in wrong.text
    assert 'name="plan" value="cron" checked' in wrong.text
    every = {**sent, "plan": "every", "count": "90", "unit": "m"}
    assert admin.post(f"{at}/schedule", every).status_code == 303
    assert pages.application.schedules.load("fabrikam").rule == "every 90m"
    assert admin.post(f"{at}/schedule", {**sent, "plan": "off"}).status_code == 303
    assert pages.application.schedules.load("fabrikam").rule == "off"


def test_a_reader_sees_the_settings_and_why_they_cannot_change_them(pages: Pages) -> None:
    text = pages.reader(Role.READER).page("/tenants/contoso/settings")
    assert "an administrator of the tenant sets it" in text
    assert text.count("disabled>") >= 2
    assert "Only an administrator of the tenant disconnects it." in text


def test_break_glass_accounts_are_named_by_their_principal_names(pages: Pages) -> None:
    admin, at = pages.admin_reader, "/tenants/contoso/settings"
    with pages.application.visiting() as visitor:
        user = visitor.open_tenant("contoso").client.get("/users")["value"][0]
    name = user["userPrincipalName"]
    answer = admin.post(f"{at}/break-glass", {"accounts": f"{name}\n"})
    assert answer.status_code == 303, answer.text
    assert name in html.unescape(admin.page(at))
    wrong = admin.post(f"{at}/break-glass", {"accounts": "nobody@nowhere.example"})
    assert wrong.status_code == 404
    assert "There is no user nobody@nowhere.example" in wrong.text
    assert ">nobody@nowhere.example</textarea>" in wrong.text
    assert admin.post(f"{at}/break-glass", {"accounts": ""}).status_code == 303


def test_a_tenant_is_disconnected_by_its_name_and_with_a_second_person(pages: Pages) -> None:
    admin = pages.admin_reader
    pages.application.connections.add(
        TenantConnection(
            "brief", GUID, seeds.BOTH_CLIENT_ID, cloud=Cloud.CUSTOM,
            graph_endpoint="http://127.0.0.1:9", authority="http://127.0.0.1:9",
        ),
        "secret",
    )  # fmt: skip
    at = "/tenants/brief/settings/disconnect"
    wrong = admin.post(at, {"name": "Brief"})
    assert (wrong.status_code, "still connected" in wrong.text) == (400, True)
    on = {"restores": "true", "steps": "25", "disconnect": "true"}
    assert admin.post("/settings/approvals", on).status_code == 303
    assert "A second person above 25 steps" in admin.page("/settings")
    asked = admin.post(at, {"name": "brief"})
    assert asked.status_code == 409
    assert "It was asked for just now." in asked.text
    assert "/tenants/brief/approvals" in asked.text
    fewer = {"steps": "25"}
    refused = admin.post("/settings/approvals", fewer)
    assert refused.status_code == 409
    assert 'href="/approvals"' in refused.text
    own = admin.page("/approvals")
    assert "Fewer second persons: restores of more than 25 steps" in own
    assert "You asked for this yourself" in own
    pages.person("second-admin", Role.ADMINISTRATOR)
    secret = pages.serving.access.sessions.open(pages.people["second-admin"].id, "testclient")
    other = Reader(pages.client, secret)
    found = re.search(r'action="(/approvals/[0-9a-f]+)"', other.page("/approvals"))
    assert found is not None
    assert other.post(found[1], {"granted": "true"}).headers["location"] == "/approvals"
    assert "A second person above 25 steps" in admin.page("/settings")
    assert admin.post("/settings/approvals", fewer).status_code == 303
    assert "No second person" in admin.page("/settings")
    assert admin.post(at, {"name": "brief"}).headers["location"] == "/tenants"
    assert "brief" not in admin.page("/tenants")


def test_approvals_refuse_what_is_no_number(pages: Pages) -> None:
    answer = pages.admin_reader.post(
        "/settings/approvals", {"restores": "true", "steps": "many", "disconnect": "true"}
    )
    assert answer.status_code == 400
    assert "must be a whole number" in answer.text
    assert answer.text.count(" checked") == 2


def test_the_provider_is_set_switched_off_in_an_emergency_and_on_again(pages: Pages) -> None:
    admin = pages.admin_reader
    assert "Sign in with Microsoft" not in pages.stranger.page("/sign-in")
    rules = [
        ("rule_claim", "groups"), ("rule_value", GUID), ("rule_role", "restorer"),
        ("rule_tenant", "contoso"),
        ("rule_claim", "roles"), ("rule_value", ""), ("rule_role", "reader"), ("rule_tenant", "*"),
    ]  # fmt: skip
    sent = [("cloud", "global"), ("directory", GUID), ("client_id", GUID), *rules]
    missing = admin.post("/settings/provider", sent)
    assert missing.status_code == 400
    assert "client secret is missing" in missing.text
    assert missing.text.count(f'value="{GUID}"') >= 3
    canary = "canary-of-the-provider"
    assert admin.post("/settings/provider", [*sent, ("client_secret", canary)]).status_code == 303
    text = admin.page("/settings")
    assert "Restorer" in text
    assert canary not in text + admin.page("/settings/provider")
    assert "Sign in with Microsoft" in pages.stranger.page("/sign-in?next=/account")
    assert "everybody who came from there is signed out" in admin.page("/settings/emergency")
    assert admin.post("/settings/emergency", {"on": "true"}).status_code == 303
    assert "Off: emergency" in admin.page("/settings")
    assert "Sign in with Microsoft" not in pages.stranger.page("/sign-in")
    assert admin.post("/settings/emergency", {"on": "false"}).status_code == 303
    pages.serving.access.set_provider_believed(CONSOLE, is_believed=False)


def test_the_form_of_the_provider_begins_with_the_cloud_that_is_set(pages: Pages) -> None:
    admin, access = pages.admin_reader, pages.serving.access
    sent = {
        "cloud": "china", "directory": GUID, "client_id": GUID, "client_secret": "canary",
    }  # fmt: skip
    assert admin.post("/settings/provider", sent).status_code == 303
    assert '<option value="china" selected>' in admin.page("/settings/provider")
    known = access.load_provider()
    assert known is not None
    other = dataclasses.replace(known, authority="https://login.example.org", is_enabled=False)
    access.save_provider(CONSOLE, other)
    text = admin.page("/settings/provider")
    assert '<option value="" selected>Another authority' in text
    assert admin.post("/settings/provider", {**sent, "cloud": ""}).status_code == 400
    assert access.load_provider() == other


def test_the_trail_is_filtered_paged_and_verified(pages: Pages) -> None:
    admin = pages.admin_reader
    admin.post("/tenants/fabrikam/settings/schedule", {"plan": "off", "zone": "UTC"})
    text = admin.page("/audit?action=schedule&tenant_name=fabrikam&who=administrator")
    rows = re.findall(r'data-label="Action">([^<]+)<', text)
    assert rows
    assert set(rows) == {"schedule.change"}
    assert "No record fits" in admin.page("/audit?who=nobody-at-all")
    assert "No record fits" in admin.page("/audit?since=2200-01-01T00:00")
    assert "No record fits" in admin.page("/audit?until=2001-01-01T00:00")
    wrong = admin.get("/audit?since=yesterday")
    assert (wrong.status_code, "no date or time" in wrong.text) == (400, True)
    first = admin.page("/audit")
    older = html.unescape(re.search(r'href="(/audit\?[^"]*cursor=[^"]+)"', first)[1])  # type: ignore[index]
    numbers = [re.findall(r"<summary>([\d,]+)</summary>", page)
               for page in (first, admin.page(older))]  # fmt: skip
    assert not set(numbers[0]) & set(numbers[1])
    whole = admin.page("/audit/verification")
    assert "The trail is whole." in whole
    head = re.search(r'<code id="head-now">([0-9a-f]{64})<', whole)[1]  # type: ignore[index]
    assert "The trail is whole." in admin.page(f"/audit/verification?head={head}")
    assert "end was cut off" in admin.page(f"/audit/verification?head={'ab' * 32}")


def test_keys_are_added_and_removed_and_a_recovery_key_is_shown_once(pages: Pages) -> None:
    admin, at = pages.admin_reader, "/settings/keys"
    before = set(re.findall(r'href="(/settings/keys/[0-9a-f]+/removal)"', admin.page(at)))
    assert "This server was started with it" in admin.page(at)
    differ = admin.post(f"{at}/add", {"new": "canary passphrase one", "again": "canary two"})
    assert differ.status_code == 400
    assert "canary" not in differ.text
    typed = {"new": "canary passphrase one", "again": "canary passphrase one"}
    assert admin.post(f"{at}/add", typed).headers["location"] == at
    made = admin.post(f"{at}/add", {"recovery": "true"})
    shown = re.search(r'<code id="recovery-key"[^>]*>([^<]+)</code>', made.text)
    assert shown is not None
    text = admin.page(at)
    assert shown[1] not in text
    after = set(re.findall(r'href="(/settings/keys/[0-9a-f]+/removal)"', text))
    assert len(after - before) == 2
    for address in after - before:
        assert admin.post(address).headers["location"] == at
    own = re.search(
        r"<code>([0-9a-f]{16})</code></td>(?:(?!<tr>).)*was started with", text, re.DOTALL
    )
    assert own is not None
    refused = admin.post(f"{at}/{own[1]}/removal")
    assert refused.status_code == 409
    assert "does not start again" in refused.text
    for form in ("change", "rotation"):
        assert "even_own" in admin.page(f"{at}/{form}")
