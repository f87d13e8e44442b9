"""Typed progress events. Producers never know who listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Started:
    """A stretch of work began. ``total`` is ``None`` where nobody can know it."""

    activity: str
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Advanced:
    """``done`` units of ``activity`` are finished, counted from its start."""

    activity: str
    done: int
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The stretch of work ended; ``summary`` is a short phrase for a person."""

    activity: str
    done: int
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing moves for ``seconds`` because of ``reason`` (throttling, replication)."""

    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Noted:
    """Something a person should read; ``is_warning`` when it lessens what was asked for."""

    message: str
    is_warning: bool = False


Event = Started | Advanced | Finished | Waiting | Noted
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Listen to nothing."""
