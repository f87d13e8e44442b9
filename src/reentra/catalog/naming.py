"""Which snapshot a person means. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from reentra import clock as clocks
from reentra import errors

LATEST = "latest"


def resolved(times: Sequence[tuple[str, dt.datetime]], text: str) -> str:
    """Return the id of the snapshot that a person named: an id, its beginning, ``latest``, a time.

    ``times`` are oldest first. A time means the newest at or before it; a bare date the end of that
    day; a time without a zone is UTC.
    Raises: ``errors.NotFound``; ``errors.UsageError`` when the beginning fits several.
    """
    name = text.strip()
    if not times:
        raise errors.NotFound(
            "The tenant has no snapshot.", hint="Back it up first.", typed="reentra backup NAME"
        )
    if name == LATEST:
        return times[-1][0]
    ids = [snapshot_id for snapshot_id, _ in times]
    if name in ids:
        return name
    found = [snapshot_id for snapshot_id in ids if name and snapshot_id.startswith(name)]
    if len(found) == 1:
        return found[0]
    moment = _moment(name)
    if moment is not None:
        earlier = [(taken_at, place) for place, (_, taken_at) in enumerate(times)]
        earlier = [item for item in earlier if item[0] <= moment]
        if earlier:
            return ids[max(earlier)[1]]
        raise errors.NotFound(
            f"There is no snapshot at or before {clocks.iso(moment)}.",
            hint=f"The oldest one was taken at {clocks.iso(times[0][1])}.",
        )
    if found:
        raise errors.UsageError(
            f"{len(found)} snapshots begin with {name!r}.",
            hint=f"Give more of the id: {', '.join(found[-3:])}, ...",
        )
    raise errors.NotFound(
        f"There is no snapshot {name!r}.",
        hint="Give an id, its unique beginning, latest, or a time; look in the list of snapshots.",
        typed="reentra snapshots NAME",
    )


def _moment(text: str) -> dt.datetime | None:
    # Eight bare digits are the beginning of an id as much as a date: ids were tried before.
    try:
        moment = clocks.parse_iso(text)
        is_date = len(text) in (8, 10) and dt.date.fromisoformat(text) is not None
    except ValueError:
        return None
    return moment + dt.timedelta(days=1, microseconds=-1) if is_date else moment
