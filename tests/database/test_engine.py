"""Databases open at the right schema, or say why not."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from reentra import errors
from reentra.database import Part, database_url, engine, open_database, tables
from reentra.database.engine import HEADS, migration_config

METADATA = tables.OF_PART


@pytest.mark.parametrize("part", list(Part))
def test_the_migrations_make_what_the_tables_say(tmp_path: Path, part: Part) -> None:
    database = open_database(database_url("", tmp_path, part), part)
    with database.reading() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": f"{part}_version", "include_object": _is_ours}
        )
        assert compare_metadata(context, METADATA[part]) == []


def _is_ours(item: object, name: str | None, kind: str, reflected: bool, other: object) -> bool:
    # The full-text index and the index by name are written in each dialect's own words.
    return not (name or "").startswith("object_text") and name != "object_version_name"


@pytest.mark.parametrize("part", list(Part))
def test_the_recorded_heads_are_those_of_the_scripts(part: Part) -> None:
    assert ScriptDirectory.from_config(migration_config(part)).get_heads() == [HEADS[part]]


def test_an_access_database_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    from alembic import command

    database = engine.Database(database_url("", tmp_path, Part.ACCESS), Part.ACCESS)
    config = migration_config(Part.ACCESS)
    with database.writing() as connection:
        config.attributes["connection"] = connection
        config.attributes["version_table"] = "access_version"
        command.upgrade(config, "access_1")
        connection.execute(
            sa.text(
                "INSERT INTO access_person VALUES ('p', 'adele', '', '', '', 0, 0, NULL, '2026')"
            )
        )
        connection.execute(
            sa.text("INSERT INTO access_session VALUES ('h', 'p', '2026', '2026', '')")
        )
    database.dispose()
    with open_database(database_url("", tmp_path, Part.ACCESS), Part.ACCESS).reading() as found:
        query = sa.select(tables.ACCESS.tables["access_session"].c.proved_at)
        assert found.execute(query).scalar() == ""


@pytest.mark.parametrize("part", list(Part))
def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path, part: Part) -> None:
    url = database_url("", tmp_path, part)
    open_database(url, part).dispose()
    file = tmp_path / f"{part}.sqlite"
    with sqlite3.connect(file) as raw:
        raw.execute(f"UPDATE {part}_version SET version_num = 'from-the-future'")
    with pytest.raises(errors.ConfigurationError, match="newer version"):
        open_database(url, part)
    with sqlite3.connect(file) as raw:
        assert raw.execute(f"SELECT version_num FROM {part}_version").fetchone() == (
            "from-the-future",
        )


def test_an_unreadable_catalog_is_replaced_and_an_unreadable_journal_is_told(
    tmp_path: Path,
) -> None:
    for part in Part:
        (tmp_path / f"{part}.sqlite").write_bytes(b"this is not a database" * 500)
    assert open_database(database_url("", tmp_path, Part.CATALOG), Part.CATALOG).was_recreated
    with pytest.raises(errors.ConfigurationError, match="cannot be opened"):
        open_database(database_url("", tmp_path, Part.JOBS), Part.JOBS)
    assert (tmp_path / "jobs.sqlite").read_bytes().startswith(b"this is not")


def test_the_journal_is_synced_and_both_are_in_wal_mode(tmp_path: Path) -> None:
    for part, synchronous in ((Part.CATALOG, 1), (Part.JOBS, 2), (Part.ACCESS, 2)):
        with open_database(database_url("", tmp_path, part), part).reading() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == synchronous
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    database = open_database(database_url("", tmp_path, Part.CATALOG), Part.CATALOG)

    def fail() -> None:
        with database.writing() as connection:
            connection.execute(sa.insert(tables.TENANT), {"tenant_id": "t"})
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        fail()
    with database.reading() as connection:
        assert connection.execute(sa.select(tables.TENANT)).all() == []


def test_a_reader_sees_one_moment_while_another_connection_writes(tmp_path: Path) -> None:
    database = open_database(database_url("", tmp_path, Part.CATALOG), Part.CATALOG)
    with database.reading() as reader:
        assert reader.execute(sa.select(tables.TENANT)).all() == []
        with database.writing() as writer:
            writer.execute(sa.insert(tables.TENANT), {"tenant_id": "t"})
        assert reader.execute(sa.select(tables.TENANT)).all() == []
    with database.reading() as reader:
        assert len(reader.execute(sa.select(tables.TENANT)).all()) == 1


def test_starting_over_leaves_an_empty_schema(tmp_path: Path) -> None:
    database = open_database(database_url("", tmp_path, Part.CATALOG), Part.CATALOG)
    with database.writing() as writer:
        writer.execute(sa.insert(tables.TENANT), {"tenant_id": "t"})
    database.start_over()
    with database.reading() as reader:
        assert reader.execute(sa.select(tables.TENANT)).all() == []


def test_several_processes_may_open_a_fresh_database_at_once(tmp_path: Path) -> None:
    url = database_url("", tmp_path, Part.JOBS)
    program = (
        "import sys; from reentra.database import Part, open_database;"
        "open_database(sys.argv[1], Part.JOBS)"
    )
    children = [subprocess.Popen([sys.executable, "-c", program, url]) for _ in range(3)]
    assert [child.wait() for child in children] == [0, 0, 0]


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite").mkdir()
    with pytest.raises(errors.ConfigurationError, match="cannot be opened"):
        open_database(database_url("", tmp_path, Part.JOBS), Part.JOBS)


def test_urls_of_people_become_urls_of_the_driver(tmp_path: Path) -> None:
    assert database_url("postgresql://h/d", tmp_path, Part.JOBS) == "postgresql+psycopg://h/d"
    assert database_url("", tmp_path, Part.CATALOG).endswith("catalog.sqlite")
    with pytest.raises(errors.ConfigurationError, match="cannot be used"):
        open_database("nonsense", Part.JOBS)


def test_a_password_in_the_url_is_never_shown(tmp_path: Path) -> None:
    database = open_database(database_url("", tmp_path, Part.JOBS), Part.JOBS)
    database._url = sa.make_url("postgresql+psycopg://me:hidden@h/d")
    assert "hidden" not in database.shown_url


def test_a_writer_that_waited_too_long_is_told_who_is_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    first = open_database(database_url("", tmp_path, Part.CATALOG), Part.CATALOG)
    second = open_database(database_url("", tmp_path, Part.CATALOG), Part.CATALOG)
    with first.writing(), pytest.raises(errors.RepositoryLocked, match="another process writes"):
        second.writing().__enter__()
