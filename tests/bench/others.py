"""restic, borg and git on the same objects, exported as JSON."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .acts import Numbers, bytes_below

_LONGEST_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool: the commands that make a store, save ``{data}``, verify and read back whole."""

    name: str
    start: tuple[tuple[str, ...], ...]
    save: tuple[tuple[str, ...], ...]
    check: tuple[str, ...]
    read_back: tuple[str, ...]


TOOLS = (
    Tool(
        "restic",
        (("restic", "init", "--quiet"),),
        (("restic", "backup", "--quiet", "{data}"),),
        ("restic", "check", "--quiet", "--read-data"),
        ("restic", "restore", "--quiet", "latest", "--target", "{back}"),
    ),
    Tool(
        "borg",
        (("borg", "init", "--encryption=repokey", "{store}"),),
        (("borg", "create", "--compression=zstd,3", "{store}::{run}", "{data}"),),
        ("borg", "check", "--verify-data", "{store}"),
        ("borg", "extract", "{store}::{run}"),
    ),
    Tool(
        "git",
        (
            ("git", "init", "--quiet", "--bare", "{store}"),
            # It would pack behind our back, in a process that outlives the command.
            ("git", "--git-dir={store}", "config", "gc.auto", "0"),
        ),
        # git packs when it is told to; without that its store is one file for each object.
        (
            ("git", "--git-dir={store}", "--work-tree={data}", "add", "--all", "."),
            (
                *("git", "--git-dir={store}", "--work-tree={data}", "commit", "--quiet"),
                *("--allow-empty", "-m", "{run}"),
            ),
            ("git", "--git-dir={store}", "gc", "--quiet"),
        ),
        ("git", "--git-dir={store}", "fsck", "--full", "--no-progress"),
        (
            "git",
            "--git-dir={store}",
            "--work-tree={back}",
            "checkout",
            "--force",
            "HEAD",
            "--",
            ".",
        ),
    ),
)


def are_installed() -> dict[str, bool]:
    """Tell which tools can be run."""
    return {tool.name: shutil.which(tool.name) is not None for tool in TOOLS}


class Stores:
    """One store for each tool, for one layout of the export."""

    def __init__(self, folder: Path, data: Path, tools: Sequence[Tool]) -> None:
        self._folder = folder
        self._data = data
        self.tools = tools
        self._runs = 0

    def start(self) -> None:
        """Make the stores."""
        for tool in self.tools:
            self._store(tool).mkdir(parents=True)
            self._run(tool, tool.start)

    def save(self) -> dict[str, Numbers]:
        """Back the data up with each tool."""
        self._runs += 1
        return {tool.name: self._sized(tool) for tool in self.tools}

    def verify(self) -> dict[str, Numbers]:
        """Let each tool verify its store, and read its newest backup back."""
        found = {}
        for tool in self.tools:
            back = self._back(tool)
            back.mkdir()
            checked, read = self._run(tool, (tool.check,)), self._run(tool, (tool.read_back,), back)
            shutil.rmtree(back)
            found[tool.name] = {
                **{f"check_{name}": value for name, value in checked.items()},
                **{f"read_back_{name}": value for name, value in read.items()},
            }
        return found

    def _sized(self, tool: Tool) -> Numbers:
        before = bytes_below(self._store(tool))
        numbers = self._run(tool, tool.save)
        after = bytes_below(self._store(tool))
        return {**numbers, "grown_bytes": after - before, "bytes": after}

    def _store(self, tool: Tool) -> Path:
        return self._folder / tool.name / "store"

    def _back(self, tool: Tool) -> Path:
        return self._folder / tool.name / "back"

    def _run(
        self, tool: Tool, commands: Sequence[tuple[str, ...]], cwd: Path | None = None
    ) -> Numbers:
        words = {
            "{store}": str(self._store(tool)),
            "{data}": str(self._data),
            "{back}": str(self._back(tool)),
            "{run}": f"run{self._runs}",
        }
        home = self._folder / tool.name / "home"
        home.mkdir(exist_ok=True)
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "RESTIC_REPOSITORY": str(self._store(tool)),
            "RESTIC_PASSWORD": "a passphrase for measuring",
            "RESTIC_CACHE_DIR": str(home / "cache"),
            "BORG_PASSPHRASE": "a passphrase for measuring",
            "BORG_BASE_DIR": str(home),
            "GIT_AUTHOR_NAME": "bench",
            "GIT_AUTHOR_EMAIL": "bench@localhost",
            "GIT_COMMITTER_NAME": "bench",
            "GIT_COMMITTER_EMAIL": "bench@localhost",
        }
        before, began = _children_cpu_seconds(), time.perf_counter()
        for command in commands:
            filled = []
            for word in command:
                for mark, value in words.items():
                    word = word.replace(mark, value)
                filled.append(word)
            done = subprocess.run(
                filled,
                cwd=cwd or self._folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=_LONGEST_SECONDS,
            )
            if done.returncode:
                raise RuntimeError(f"{' '.join(filled)} failed: {done.stderr.decode()}")
        return {
            "cpu_seconds": _children_cpu_seconds() - before,
            "wall_seconds": time.perf_counter() - began,
        }


def _children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
