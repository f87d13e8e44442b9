"""The demo proves what it shows, and fails when it does not hold."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from reentra.cli import demo_proof
from reentra.cli.demo_mishap import Mishap
from reentra.compare import Change, LinkChange, ObjectChange, PropertyChange, RelationshipChange
from tests.models import ModelTenant

MISHAP = Mishap(
    (), (), "g", "Group", (), "g", "Group", (), "p", "Policy", "q", "Purged", "n", "Naming"
)


def judged(
    changes: list[ObjectChange], *, is_second_plan_empty: bool = True, named: str = "q2"
) -> demo_proof.Verdict:
    last = ModelTenant()
    last.put("group", "g", displayName="Group")
    last.put("conditionalAccessPolicy", "p", displayName="Policy", state="enabled")
    users = {"includeGroups": [named]}
    last.put("conditionalAccessPolicy", "n", displayName="Naming", conditions={"users": users})
    return demo_proof.judge(
        changes, MISHAP, {"q": "q2"}, last, is_second_plan_empty=is_second_plan_empty
    )


@pytest.mark.slow
def test_the_demo_proves_that_everything_came_back_and_serves_the_pages(tmp_path: Path) -> None:
    home = tmp_path / "home"
    process = subprocess.Popen(
        [sys.executable, "-m", "reentra", "demo", "--json", "--port", "0"],
        env={**os.environ, "REENTRA_HOME": str(home), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=(log := (tmp_path / "log").open("wb")),
        text=True,
    )
    try:
        assert process.stdout is not None
        document: dict[str, Any] = {}
        serving: dict[str, Any] = {}
        while serving.get("event") != "serving":
            line = process.stdout.readline()
            assert line, (tmp_path / "log").read_text()
            document, serving = serving, json.loads(line)
        credentials = {"name": serving["name"], "password": serving["password"]}
        with requests.Session() as visitor:
            assert visitor.post(f"{serving['url']}/api/v1/session", json=credentials).ok
            page = visitor.get(f"{serving['url']}/", timeout=30)
            jobs = visitor.get(f"{serving['url']}/api/v1/tenants/contoso/jobs", timeout=30).json()
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0, (tmp_path / "log").read_text()
        log.close()
        (tmp_path / "log").unlink()
    assert "Microsoft Entra ID Overview" in page.text
    assert {job["status"] for job in jobs["items"]} == {"succeeded", "partial", "failed"}
    assert document["proven"] is True
    assert document["broken"] == []
    assert document["restore"]["status"] == "succeeded"
    assert len(document["restore"]["id_map"]) == 9
    told = " ".join(document["kept"])
    assert "names that one" in told
    assert "after the undo 5 people" in told
    assert "gone again, into the recycle bin" in told
    assert not home.exists(), "the demo must not touch REENTRA_HOME"
    assert list(tmp_path.iterdir()) == [], "the demo must leave nothing behind"


def test_a_verdict_holds_when_nothing_differs() -> None:
    verdict = judged([])
    assert verdict.is_proven, verdict.broken


def test_a_property_that_could_be_written_and_still_differs_breaks_the_verdict() -> None:
    change = ObjectChange(
        Change.MODIFIED, "user", "u", "Ada", (PropertyChange("department", "Sales", None),)
    )
    assert not judged([change]).is_proven


def test_a_stamp_of_microsofts_on_an_object_created_anew_is_beyond_graph() -> None:
    stamp = PropertyChange("createdDateTime", "2020", "2026")
    anew = ObjectChange(Change.MODIFIED, "user", "u", "Ada", (stamp,), new_id="n")
    verdict = judged([anew])
    assert verdict.is_proven
    assert verdict.beyond_graph == {("user", "createdDateTime"): 1}
    assert not judged([ObjectChange(Change.MODIFIED, "user", "u", "Ada", (stamp,))]).is_proven


def test_a_missing_link_or_object_breaks_the_verdict() -> None:
    link = RelationshipChange("group.members", LinkChange.REMOVED, "u", "user", "Ada")
    assert not judged([ObjectChange(Change.MODIFIED, "group", "g", "Group", (), (link,))]).is_proven
    assert not judged([ObjectChange(Change.DELETED, "user", "u", "Ada")]).is_proven


def test_a_policy_that_still_names_the_dead_group_breaks_the_verdict() -> None:
    assert not judged([], named="q").is_proven


def test_a_second_plan_that_wants_more_breaks_the_verdict() -> None:
    assert not judged([], is_second_plan_empty=False).is_proven
