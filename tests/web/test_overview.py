"""W-01: "Microsoft Entra ID Overview"; and what holds for every page."""

from __future__ import annotations

import re

from reentra.access import Role

from .conftest import Pages


def test_the_overview_says_what_is_protected_and_what_changed(pages: Pages) -> None:
    text = pages.admin_reader.page("/tenants/contoso")
    assert "<h1>Microsoft Entra ID Overview</h1>" in text
    for word in ("Back Up Now", "Restore Data", "Last backup", "Next backup", "Not covered"):
        assert word in text
    assert re.search(r"[1-9][0-9]* changed", text)  # the chart says it in words
    assert "Storage used" in text
    assert " MB" in (size := pages.admin_reader.page("/tenants/contoso/storage")) or " KB" in size


def test_a_tenant_without_a_snapshot_says_what_to_do(pages: Pages) -> None:
    text = pages.admin_reader.page("/tenants/fabrikam")
    assert "Nothing is protected yet" in text
    assert "There is no snapshot yet." in text  # why "Restore Data" is not offered


def test_a_backup_begins_with_the_button_and_once(pages: Pages) -> None:
    admin = pages.admin_reader
    began = admin.post("/tenants/contoso/backups")
    assert began.status_code == 303, began.text
    job = began.headers["location"].rpartition("/")[2]
    assert began.headers["location"] == f"/tenants/contoso/jobs/{job}"
    assert pages.ended("contoso", job)["status"] == "succeeded"


def test_a_form_without_the_sessions_token_does_nothing(pages: Pages) -> None:
    answer = pages.admin_reader.post("/tenants/contoso/backups", csrf=False)
    assert answer.status_code == 403
    assert "does not come from a page of Reentra" in answer.text


def test_a_reader_is_told_why_there_is_no_backup_for_them(pages: Pages) -> None:
    reader = pages.reader(Role.READER)
    assert "Your role may look at backups, not make them." in reader.page("/tenants/contoso")
    assert reader.post("/tenants/contoso/backups").status_code == 403


def test_who_is_not_signed_in_is_led_to_where_one_signs_in_and_back(pages: Pages) -> None:
    answer = pages.stranger.get("/tenants/contoso?a=b")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=/tenants/contoso%3Fa%3Db"


def test_another_tenants_pages_are_not_there_for_who_has_no_role_in_it(pages: Pages) -> None:
    reader = pages.reader(Role.READER, "contoso")
    assert reader.get("/tenants/fabrikam").status_code == 404
    assert reader.get("/").headers["location"] == "/tenants/contoso"


def test_an_unknown_page_is_a_page_and_an_unknown_address_of_the_api_a_problem(
    pages: Pages,
) -> None:
    page = pages.admin_reader.get("/nowhere")
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    problem = pages.admin_reader.get("/api/v1/nowhere")
    assert problem.headers["content-type"].startswith("application/problem+json")


def test_files_are_kept_by_browsers_and_pages_are_not(pages: Pages) -> None:
    text = pages.admin_reader.page("/tenants/contoso")
    style = text.partition('rel="stylesheet" href="')[2].partition('"')[0]
    file = pages.stranger.get(style)
    assert file.status_code == 200
    assert "immutable" in file.headers["cache-control"]
    assert pages.admin_reader.get("/tenants/contoso").headers["cache-control"] == "no-store"
    assert pages.stranger.get("/static/../assets.json").status_code == 404


def test_a_form_of_a_page_carries_the_sessions_token(pages: Pages) -> None:
    from reentra.access.sessions import csrf_token

    admin = pages.admin_reader
    text = admin.page("/tenants/contoso")
    forms = text.count('method="post"')
    assert forms > 1
    assert text.count(f'name="csrf_token" value="{csrf_token(admin.secret)}"') == forms
