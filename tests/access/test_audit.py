"""The trail: appended to, chained, and refusing everything else."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from reentra.access import Access, Actor, Entry, Via
from reentra.database.tables_access import AUDIT

from .conftest import ADMIN


def fill(access: Access, number: int = 5) -> None:
    for index in range(number):
        access.trail.record(
            ADMIN, Entry("backup.run", "contoso", f"job{index}", detail={"n": index})
        )


def test_records_are_chained_and_the_chain_verifies(access: Access) -> None:
    assert access.trail.verify().is_whole
    fill(access)
    report = access.trail.verify()
    assert (report.is_whole, report.records) == (True, 5)
    assert report.head == access.trail.list_records(limit=1)[0].hash
    fill(access, 1)
    assert access.trail.verify(report.head).is_whole


def test_the_database_refuses_to_change_or_remove_a_record(access: Access) -> None:
    fill(access)
    for statement in (sa.update(AUDIT).values(who="somebody else"), sa.delete(AUDIT)):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), access.database.writing() as c:
            c.execute(statement)
    assert access.trail.verify().records == 5


def without_triggers(access: Access, statement: sa.Executable) -> None:
    """Do what somebody can do who owns the database."""
    with access.database.writing() as connection:
        if access.database.dialect == "sqlite":
            connection.exec_driver_sql("DROP TRIGGER access_audit_no_update")
            connection.exec_driver_sql("DROP TRIGGER access_audit_no_delete")
        else:
            connection.exec_driver_sql("DROP TRIGGER access_audit_kept ON access_audit")
        connection.execute(statement)


@pytest.mark.parametrize(
    "column", ["at", "via", "who", "action", "tenant", "target", "result", "detail", "hash"]
)
def test_a_changed_record_shows(access: Access, column: str) -> None:
    fill(access)
    value = "0" * 64 if column == "hash" else "{}"
    without_triggers(access, sa.update(AUDIT).where(AUDIT.c.number == 3).values({column: value}))
    problems = access.trail.verify().problems
    assert any("3" in problem or "4" in problem for problem in problems)


def test_a_missing_record_shows(access: Access) -> None:
    fill(access)
    without_triggers(access, sa.delete(AUDIT).where(AUDIT.c.number == 3))
    assert "missing" in " ".join(access.trail.verify().problems)


def test_an_end_that_was_cut_off_shows_against_a_head_that_was_noted(access: Access) -> None:
    fill(access)
    head = access.trail.verify().head
    without_triggers(access, sa.delete(AUDIT).where(AUDIT.c.number == 5))
    assert access.trail.verify().is_whole
    assert not access.trail.verify(head).is_whole


def test_writers_at_once_make_one_chain(access: Access) -> None:
    threads = [threading.Thread(target=fill, args=(access, 10)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = access.trail.verify()
    assert (report.is_whole, report.records) == (True, 40)


def test_a_hostile_name_forges_no_line_and_no_formula(access: Access) -> None:
    actor = Actor(Via.SESSION, "=cmd|' /C calc'!A0", "x", "192.0.2.1")
    access.trail.record(actor, Entry("x", "contoso", "a\n9,2026,forged\r\u2028\x1b[31m"))
    text = "".join(access.trail.export_csv())
    assert len(text.splitlines()) == 2
    assert ",'=cmd" in text
    assert "\x1b" not in text
    assert len(list(access.trail.export_json_lines())) == 1


def test_pages_go_back_in_time(access: Access) -> None:
    fill(access, 7)
    first = access.trail.list_records(limit=3)
    second = access.trail.list_records(limit=3, before=first[-1].number)
    assert [record.number for record in (*first, *second)] == [7, 6, 5, 4, 3, 2]
    assert access.trail.list_records(tenant="fabrikam") == []


def test_a_change_that_fails_leaves_no_record_and_a_record_that_fails_leaves_no_change(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reentra.access import audit

    def broken(*_: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(audit, "append", broken)
    with pytest.raises(RuntimeError):
        access.people.add(ADMIN, "adele", {})
    assert access.people.is_empty()
