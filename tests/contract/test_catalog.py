"""What every database must do for the catalog: SQLite always, PostgreSQL when one is given.

``REENTRA_TEST_POSTGRES`` is the URL of an empty database that the tests may fill and clear.
"""

from __future__ import annotations

import datetime as dt
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.catalog.history import START, TENANT, History
from tests.models import ModelTenant

from reentra.catalog import Catalog, SearchQuery
from reentra.catalog.reading import Page
from reentra.compare import compare
from reentra.database import Part, database_url, open_database

POSTGRES = os.environ.get("REENTRA_TEST_POSTGRES", "")
U = [f"00000000-0000-4000-8000-{number:012d}" for number in range(40)]
G = [f"00000000-0000-4000-9000-{number:012d}" for number in range(3)]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def history(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[History]:
    if request.param == "sqlite":
        yield History(tmp_path)
        return
    if not POSTGRES:
        pytest.skip("REENTRA_TEST_POSTGRES names no PostgreSQL database")
    url = database_url(POSTGRES, tmp_path, Part.CATALOG)
    database = open_database(url, Part.CATALOG)
    database.start_over()
    database.dispose()
    history = History(tmp_path, url)
    yield history
    history.catalog._database.dispose()


def story(history: History) -> list[str]:
    """Six snapshots: change, deletion and return, a branch, a new beginning, rows written twice."""
    model = ModelTenant(TENANT)
    for number, guid in enumerate(U):
        model.put("user", guid, displayName=f"Person {number:02d}", mail=f"p{number}@contoso.com")
    for guid in G:
        model.put("group", guid, displayName=f"Group {guid[-1]}", description="50% off!")
        for user in U[:5]:
            model.link("group.members", guid, user, "user")
    ids = [history.take(model, rewrites=U[:3])]
    model.change("user", U[0], displayName="Élise")
    model.remove("user", U[1], keep_links=True)
    model.unlink("group.members", G[0], U[2])
    ids.append(history.take(model))
    model.put("user", U[1], displayName="Person 01", mail="p1@contoso.com")
    model.link("group.members", G[0], U[2], "user")
    ids.append(history.take(model, rewrites=[U[1], G[0]]))
    model.remove("group", G[2])
    ids.append(history.take(model, parent=history.manifests[1]))
    ids.append(history.take(model, parent=None))
    model.put("domain", "contoso.com", isDefault=True)
    ids.append(history.take(model))
    return ids


def answers(catalog: Catalog, ids: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"snapshots": [item.id for item in catalog.list_snapshots(TENANT)]}
    for one in ids:
        state = catalog.state(TENANT, one)
        found[one] = ModelTenant.captured(state).comparable()
        found[f"counts {one}"] = catalog.kind_counts(TENANT, one)
        found[f"page {one}"] = [
            row.name for row in catalog.list_page(TENANT, one, "user", offset=5, limit=10).rows
        ]
        for other in ids:
            found[f"compare {one} {other}"] = compare(
                state,
                catalog.state(TENANT, other),
                candidates=catalog.candidates(TENANT, one, other),
            ).to_json()
    for guid in (*U[:4], *G):
        kind = "user" if guid in U else "group"
        found[f"versions {guid}"] = catalog.list_versions(TENANT, kind, guid)
        found[f"differing {guid}"] = catalog.differing_snapshots(TENANT, kind, guid, ids[0])
    for text in ("person", "Élise", "él", "50%", "5_%", "P3@CON", U[7], U[7][:20], "contoso", ""):
        hits = catalog.search(TENANT, SearchQuery(text, limit=500)).hits
        found[f"search {text}"] = sorted((hit.id, hit.name, hit.snapshot_id) for hit in hits)
    return found


def test_answers_are_those_of_the_snapshots_and_a_rebuild_keeps_them(history: History) -> None:
    ids = story(history)
    assert history.catalog.sync(TENANT) == ids
    assert history.catalog.sync(TENANT) == []
    grown = answers(history.catalog, ids)
    for one in ids:
        assert grown[one] == history.models[one].comparable()
        for other in ids:
            expected = compare(history.models[one], history.models[other]).to_json()
            assert grown[f"compare {one} {other}"] == expected
    report = history.catalog.rebuild()
    assert (report.snapshots, report.skipped) == (6, ())
    assert answers(history.catalog, ids) == grown


def test_search_answers_as_promised(history: History) -> None:
    ids = story(history)
    history.catalog.sync(TENANT)

    def found(text: str = "", **more: Any) -> list[tuple[str, str, bool]]:
        page = history.catalog.search(TENANT, SearchQuery(text, **more))
        return sorted((hit.id, hit.snapshot_id, hit.is_deleted) for hit in page.hits)

    assert found("élis") == found("ÉL") == [(U[0], ids[5], False)]
    assert found("person 00") == [(U[0], ids[0], False)]
    assert found("50% off", kinds=("group",)) == [
        (G[0], ids[5], False), (G[1], ids[5], False), (G[2], ids[2], True),
    ]  # fmt: skip
    assert found("5_% off") == []
    assert found(deleted_only=True, kinds=("group",)) == [(G[2], ids[2], True)]
    assert found("p7@contoso", modified_to=START) == [(U[7], ids[0], False)]
    assert found("p7@contoso", modified_from=START + dt.timedelta(days=1)) == []
    first = history.catalog.search(TENANT, SearchQuery("person", limit=25))
    rest = history.catalog.search(TENANT, SearchQuery("person", limit=25, cursor=first.cursor))
    assert rest.cursor == ""
    seen = [hit.id for hit in (*first.hits, *rest.hits)]
    assert sorted(seen) == U


def test_following_pages_equals_counting_them(history: History) -> None:
    model = ModelTenant(TENANT)
    for number in range(60):
        named = {"displayName": f"name {number % 5}"} if number % 7 else {}
        model.put("user", f"00000000-0000-4000-8000-{number:012d}", **named)
    first = history.take(model)
    for number in range(0, 60, 4):
        model.change("user", f"00000000-0000-4000-8000-{number:012d}", department="x")
    second = history.take(model)
    model.remove("user", "00000000-0000-4000-8000-000000000001")
    history.take(model)
    history.catalog.sync(TENANT)

    def page(snapshot_id: str, sort: str, descending: bool, offset: int, after: int) -> Page:
        return history.catalog.list_page(
            TENANT, snapshot_id, "user", sort=sort, descending=descending, limit=4, offset=offset,
            after=after,
        )  # fmt: skip

    for snapshot_id, sort, descending in itertools.product(
        (first, second), ("name", "modified"), (False, True)
    ):
        asked = (snapshot_id, sort, descending)
        last = 0
        for offset in range(0, 60, 4):
            followed = page(*asked, offset, last)
            assert followed == page(*asked, offset, 0), (asked, offset)
            assert len(followed.rows) == 4
            last = followed.last


def test_what_the_repository_forgets_is_forgotten(history: History) -> None:
    ids = story(history)
    history.catalog.sync(TENANT)
    for one in ids[3:]:
        history.forget(one)
    history.catalog.sync(TENANT)
    kept = answers(history.catalog, ids[:3])
    assert kept["snapshots"] == ids[2::-1]
    history.catalog.rebuild()
    assert answers(history.catalog, ids[:3]) == kept
