"""Serving as a process of its own, and keeping the tenant between starts."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import requests

from reentra.sandbox import seed, serve
from reentra.sandbox.world import Options

_LINE = re.compile(r"sandbox ready at (http[^, ]+), tenant ([^, ]+), client ([^, \n]+)")


def _token(url: str, secret: str) -> requests.Response:
    form = {"client_id": seed.BOTH_CLIENT_ID, "client_secret": secret,
            "grant_type": "client_credentials",
            "scope": "https://graph.microsoft.com/.default"}  # fmt: skip
    return requests.post(f"{url}/{seed.TENANT_ID}/oauth2/v2.0/token", data=form, timeout=10)


def test_a_process_says_when_it_is_ready_and_stops_when_told(tmp_path: Path) -> None:
    secret_file = tmp_path / "secret"
    process = subprocess.Popen(
        [sys.executable, "-m", "reentra.sandbox", "--secret-file", str(secret_file)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = _LINE.match(line)
        assert match is not None, line
        url, tenant, client = match.group(1), match.group(2), match.group(3)
        assert (tenant, client) == (seed.TENANT_ID, seed.BOTH_CLIENT_ID)
        assert secret_file.stat().st_mode & 0o777 == 0o600
        assert _token(url, seed.SANDBOX_SECRET).status_code == 401
        assert _token(url, secret_file.read_text().strip()).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.wait()


def _serve(state_file: Path) -> tuple[serve.Ready, threading.Event, threading.Thread]:
    ready: list[serve.Ready] = []
    listening, stopped = threading.Event(), threading.Event()

    def on_ready(value: serve.Ready) -> None:
        ready.append(value)
        listening.set()

    thread = threading.Thread(
        target=lambda: serve.run(
            state_file=state_file, options=Options(), on_ready=on_ready, stopped=stopped
        )
    )
    thread.start()
    assert listening.wait(10)
    return ready[0], stopped, thread


def test_a_state_file_keeps_the_tenant_and_its_delta_links(tmp_path: Path) -> None:
    state_file = tmp_path / "tenant.jsonl"
    ready, stopped, thread = _serve(state_file)
    token = _token(ready.url, seed.SANDBOX_SECRET).json()["access_token"]
    header = {"Authorization": "Bearer " + token}
    link = requests.get(f"{ready.url}/v1.0/users/delta", headers=header, timeout=10).json()[
        "@odata.deltaLink"
    ]
    path = "/v1.0/users/ada.berg@contoso.example"
    changed = requests.patch(
        ready.url + path, json={"displayName": "Ada B"}, headers=header, timeout=10
    )
    assert changed.status_code == 204
    stopped.set()
    thread.join(10)
    assert state_file.exists()

    again, stopped, thread = _serve(state_file)
    try:
        token = _token(again.url, seed.SANDBOX_SECRET).json()["access_token"]
        header = {"Authorization": "Bearer " + token}
        user = requests.get(again.url + path, headers=header, timeout=10).json()
        assert user["displayName"] == "Ada B"
        link = link.replace(ready.url, again.url)
        items = requests.get(link, headers=header, timeout=10).json()["value"]
        assert [item["displayName"] for item in items] == ["Ada B"]
    finally:
        stopped.set()
        thread.join(10)
