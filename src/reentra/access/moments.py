"""Moments as the access tables hold them: text that sorts as time."""

from __future__ import annotations

import datetime as dt


def stored_time(moment: dt.datetime) -> str:
    """Return UTC with microseconds, always."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
