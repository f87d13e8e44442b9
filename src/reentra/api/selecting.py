"""Selections in requests: what is selected must be of one snapshot."""

from __future__ import annotations

from collections.abc import Sequence

from reentra import errors


def one_snapshot(named: str | Sequence[str]) -> str:
    """Return the snapshot that a request names, once or many times.

    Raises: ``UsageError`` when it names several, or none.
    """
    distinct = [named] if isinstance(named, str) else list(dict.fromkeys(named))
    if len(distinct) > 1:
        raise errors.UsageError(
            f"The selection is from {len(distinct)} snapshots: {', '.join(sorted(distinct))}. "
            "Objects of different snapshots cannot be restored or downloaded together.",
            hint="Select objects of one snapshot, and do the rest in a second go.",
        )
    if not distinct or not distinct[0]:
        raise errors.UsageError("No snapshot is named.", hint="Name one, or latest.")
    return distinct[0]
