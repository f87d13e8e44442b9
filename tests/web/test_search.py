"""W-15, W-16, W-18: the prompt and its findings."""

from __future__ import annotations

import re

from reentra.access import Role

from .conftest import HOST, Pages, Reader

SEARCH = "/tenants/contoso/search"


def refs(text: str) -> list[str]:
    return re.findall(r'data-ref="([^"]+)"', text)


def test_the_prompt_asks_for_what_the_product_says(pages: Pages) -> None:
    prompt = pages.reader(Role.READER).get(SEARCH, X_Dialog="1").text
    for label in ("Object Type", "Time Modified", "From", "To", "Show only deleted records",
                  "Search", "changes in attributes, not in relationships"):  # fmt: skip
        assert label in prompt
    assert "found-title" not in prompt


def test_findings_name_object_kind_snapshot_and_time(pages: Pages) -> None:
    reader = pages.reader(Role.READER)
    found = refs(reader.page(f"{SEARCH}?text=&kind=user&kind=group"))
    assert found
    assert {ref.partition("/")[0] for ref in found} == {"user", "group"}
    text = reader.page(f"{SEARCH}?text=")
    assert len(refs(text)) == 50
    after = re.findall(r'href="([^"]+cursor=[^"]+)"', text)[0]
    more = reader.page(after.replace("&amp;", "&"))
    assert refs(more)
    assert set(refs(more)).isdisjoint(refs(text))
    assert "First page" in more
    assert reader.page(f"{SEARCH}?text=nobody+is+called+so").count("Nothing was found") == 1


def test_a_deleted_record_has_a_trash_icon_with_a_word(pages: Pages) -> None:
    with pages.application.visiting() as visitor:
        graph = visitor.open_tenant("contoso").client
        domain = graph.get("/users")["value"][0]["userPrincipalName"].rpartition("@")[2]
        user = graph.post("/users", {
            "accountEnabled": True, "displayName": "Soon Gone", "mailNickname": "soon",
            "userPrincipalName": f"soon@{domain}",
            "passwordProfile": {"password": "Xx123456!abc"},
        })["id"]  # fmt: skip
    _backed_up(pages)
    with pages.application.visiting() as visitor:
        visitor.open_tenant("contoso").client.delete(f"/users/{user}")
    _backed_up(pages)
    text = pages.reader(Role.READER).page(f"{SEARCH}?text=soon&deleted=on")
    assert refs(text) == [f"user/{user}"]
    assert "#delete" in text
    assert "Deleted</span>" in text


def test_times_are_of_the_readers_zone(pages: Pages) -> None:
    reader = pages.reader(Role.READER)
    assert refs(reader.page(f"{SEARCH}?from=2001-01-01T00:00&to=2001-12-31T23:59")) == []
    newest = pages.admin.json("GET", "/tenants/contoso/snapshots")["items"][0]["created_at"]
    day, minute = newest[:10], newest[11:16]
    utc = reader.page(f"{SEARCH}?kind=domain&from={day}T{minute}&to={day}T{minute}")
    assert refs(utc)  # the whole minute is meant
    assert refs(reader.page(f"{SEARCH}?kind=domain&from={day}&to={day}"))  # and the whole day
    east = _in_zone(pages, reader, "Asia/Tokyo", f"kind=domain&to={day}T{minute}")
    assert refs(east) == []  # nine hours ago there was no snapshot
    wrong = reader.get(f"{SEARCH}?from=yesterday")
    assert wrong.status_code == 400
    assert "which is no date or time" in wrong.text


def test_hostile_words_stay_words(pages: Pages) -> None:
    text = pages.reader(Role.READER).page(f"{SEARCH}?text=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert" not in text
    assert pages.reader(Role.READER).get(f"{SEARCH}?kind=nonsense").status_code == 400


def _in_zone(pages: Pages, reader: Reader, zone: str, query: str) -> str:
    cookie = f"__Host-reentra={reader.secret}; reentra_zone={zone.replace('/', '%2F')}"
    answer = pages.client.get(f"{SEARCH}?{query}", headers={"host": HOST, "cookie": cookie})
    assert answer.status_code == 200
    return answer.text


def _backed_up(pages: Pages) -> None:
    job = pages.admin.json("POST", "/tenants/contoso/backups", {}, expect=202)
    assert pages.ended("contoso", job["id"])["status"] == "succeeded"
