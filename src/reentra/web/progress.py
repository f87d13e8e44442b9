"""How far a job is, in words and as a share. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reentra import clock as clocks
from reentra.directory.kinds import KINDS
from reentra.directory.relationships import RELATIONSHIPS
from reentra.web import rendering

_OUTCOMES = {"done": "done", "already": "already so", "skipped": "skipped", "failed": "failed"}


@dataclass(frozen=True, slots=True)
class Stretch:
    """One stretch of a job's work. ``total`` is ``None`` where nobody can know it."""

    name: str
    done: int
    total: int | None

    @property
    def said(self) -> str:
        of = "" if self.total is None else f" of {self.total:,}"
        return f"{self.done:,}{of}"


def stretches(job: Mapping[str, Any]) -> list[Stretch]:
    """Return what a job says of its work, in its order."""
    found = []
    for name, value in job["progress"].items():
        done, of, total = str(value).partition(" of ")
        if done.isdigit() and (not of or total.isdigit()):
            found.append(Stretch(_title(name), int(done), int(total) if of else None))
    return found


def shown(job: Mapping[str, Any]) -> Stretch | None:
    """Return the stretch that tells most of how far a job is: the last it spoke of."""
    found = stretches(job)
    return found[-1] if found else None


def result(job: Mapping[str, Any]) -> str:
    """Return what came of a job that has ended, in a few words."""
    told = job["summary"]
    match job["task"]:
        case "restore" if "steps" in told:
            said = [
                f"{told['steps'].get(name, 0):,} {word}"
                for name, word in _OUTCOMES.items()
                if told["steps"].get(name)
            ]
            return ", ".join(said) or "nothing to do"
        case "backup" if "kinds" in told:
            objects = sum(kind["objects"] for kind in told["kinds"].values())
            return f"{objects:,} objects"
        case "plan" if "steps" in told:
            return f"{told['steps']:,} steps"
        case "download" if "objects" in told:
            return f"{told['objects']:,} objects"
        case "check" if "problems" in told:
            return "no problem" if told["whole"] else f"{len(told['problems']):,} problems"
        case "forget" if "forgotten" in told:
            return f"{len(told['forgotten']):,} forgotten"
        case "prune" if "bytes_freed" in told:
            return f"{max(0, told['bytes_freed']):,} bytes given back"
        case "rebuild" if "snapshots" in told:
            return f"{told['snapshots']:,} snapshots"
    return ""


def seconds_of(job: Mapping[str, Any], now: dt.datetime) -> float | None:
    """Return how long a job took, or has been running for; ``None`` before it began."""
    if job["started_at"] is None:
        return None
    ended = now if job["finished_at"] is None else clocks.parse_iso(job["finished_at"])
    return max(0.0, (ended - clocks.parse_iso(job["started_at"])).total_seconds())


def _title(name: str) -> str:
    if name in KINDS:
        return KINDS[name].title
    if name in RELATIONSHIPS:
        row = RELATIONSHIPS[name]
        return f"{rendering.kind_title(row.source_kind)}: {row.title}"
    return rendering.words(name)
