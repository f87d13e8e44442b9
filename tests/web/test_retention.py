"""Retention as pages: the policy with its reasons, another one tried out, and forgetting."""

from __future__ import annotations

from reentra.access import Role
from reentra.sandbox.seed import TENANT_ID

from .conftest import Pages

AT = "/tenants/contoso/retention"
NONE = dict.fromkeys(
    ("last", "hourly", "daily", "weekly", "monthly", "yearly", "within_days",
     "captures_within_days"),
    "0",
) | {"zone": "UTC"}  # fmt: skip


def test_the_policy_is_shown_with_why_each_snapshot_is_kept(pages: Pages) -> None:
    text = pages.admin_reader.page(AT)
    assert "no rule forgets any" in text
    assert "The newest snapshot is never forgotten" in text
    assert AT in pages.admin_reader.page("/tenants/contoso/settings")


def test_another_policy_is_tried_out_and_nothing_saved(pages: Pages) -> None:
    admin = pages.admin_reader
    text = admin.page(f"{AT}?preview=true&daily=7&zone=Europe/Berlin")
    assert "This is a preview: nothing was saved." in text
    assert "daily 1 of 7" in text
    assert 'name="daily" inputmode="numeric" maxlength="5" value="7"' in text
    assert "no rule forgets any" in admin.page(AT)
    assert admin.get(f"{AT}?preview=true&daily=seven").status_code == 400


def test_a_policy_is_set_and_a_wrong_one_keeps_what_was_typed(pages: Pages) -> None:
    admin = pages.admin_reader
    wrong = admin.post(AT, {**NONE, "daily": "7", "zone": "Mars/Olympus"})
    assert wrong.status_code == 400
    assert 'value="Mars/Olympus"' in wrong.text
    answer = admin.post(AT, {**NONE, "within_days": "3650"})
    assert answer.headers["location"] == f"{AT}?saved=true"
    text = admin.page(f"{AT}?saved=true")
    assert "Saved." in text
    assert "taken within 3650 days" in text
    assert admin.post(AT, NONE).status_code == 303


def test_the_newest_is_not_forgotten_by_a_form_either(pages: Pages) -> None:
    admin = pages.admin_reader
    (newest,) = pages.application.repository.list_snapshot_ids(TENANT_ID)[-1:]
    asked = admin.page(f"/tenants/contoso/forget?snapshot={newest}")
    assert "nothing brings it back" in asked
    answer = admin.post("/tenants/contoso/forget", {"snapshot": newest})
    assert answer.status_code == 409
    assert "is not forgotten" in answer.text


def test_a_reader_sees_the_policy_and_why_they_cannot_change_it(pages: Pages) -> None:
    text = pages.reader(Role.READER).page(AT)
    assert "an administrator of the tenant sets it" in text
    assert "Only an administrator of the tenant forgets snapshots." in text
    assert pages.reader(Role.OPERATOR).post("/tenants/contoso/forget", {}).status_code == 403
