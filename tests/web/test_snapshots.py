"""The snapshots as a calendar: months, days, and what changed by kind."""

from __future__ import annotations

from reentra.access import Role

from .conftest import Pages


def test_a_month_shows_its_days_and_the_newest_day_its_snapshots(pages: Pages) -> None:
    found = pages.admin.json("GET", "/tenants/contoso/snapshots")["items"]
    text = pages.reader(Role.READER).page("/tenants/contoso/snapshots")
    assert "<h1>Snapshots</h1>" in text
    for item in found:
        assert f'href="/tenants/contoso/snapshots/{item["id"]}"' in text
        if item["parent"]:
            assert f"before={item['parent']}&amp;after={item['id']}" in text
    assert "The first of its line: it read everything." in text
    assert 'aria-current="date"' in text
    assert "Changes per day" in text
    changed = next(one for one in found if one["parent"] and one["kinds"]["user"]["changed"])
    assert f'href="/tenants/contoso/snapshots/{changed["id"]}/kinds/user">Users</a>' in text


def test_a_day_is_opened_by_its_address(pages: Pages) -> None:
    reader = pages.reader(Role.READER)
    newest = pages.admin.json("GET", "/tenants/contoso/snapshots?limit=1")["items"][0]
    day = newest["created_at"][:10]
    assert newest["id"] in reader.page(f"/tenants/contoso/snapshots?day={day}")
    other = reader.page("/tenants/contoso/snapshots?month=2001-02&day=2001-02-03")
    assert "There is no snapshot of this day." in other
    assert "February 2001" in other
    assert f'href="/tenants/contoso/snapshots?month={day[:7]}"' in other  # the way back: "Later"


def test_a_day_is_that_of_the_readers_zone(pages: Pages) -> None:
    reader = pages.reader(Role.READER)
    newest = pages.admin.json("GET", "/tenants/contoso/snapshots?limit=1")["items"][0]
    shown = {}
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):  # 25 hours lie between them
        session = f"__Host-reentra={reader.secret}; reentra_zone={zone.replace('/', '%2F')}"
        reader.client.cookies.clear()
        answer = reader.client.get(
            "/tenants/contoso/snapshots", headers={"host": "reentra.test", "cookie": session}
        )
        assert newest["id"] in answer.text
        shown[zone] = answer.text.partition('id="day">')[2].partition("<")[0]
    assert len(set(shown.values())) == 2, shown


def test_what_is_no_month_and_no_day_is_told(pages: Pages) -> None:
    reader = pages.reader(Role.READER)
    assert "is no month" in reader.page("/tenants/contoso/snapshots?month=odd", expect=400)
    assert "is no day" in reader.page(
        "/tenants/contoso/snapshots?month=2026-11&day=odd", expect=400
    )


def test_a_tenant_without_snapshots_says_what_to_do(pages: Pages) -> None:
    assert "No snapshot yet" in pages.admin_reader.page("/tenants/fabrikam/snapshots")
