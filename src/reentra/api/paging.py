"""Pages of long lists: an opaque cursor that only leads on."""

from __future__ import annotations

import base64
import binascii
import re

from reentra import errors
from reentra.api.routing import LONGEST_PAGE

_PLACE = re.compile(r"p([0-9]{1,15})(?:-([0-9]{1,15}))?")


def limited(limit: int) -> int:
    """Return how many to show.

    Raises: ``UsageError``.
    """
    if not 1 <= limit <= LONGEST_PAGE:
        raise errors.UsageError(
            f"limit is {limit}.", hint=f"It may be from 1 to {LONGEST_PAGE}; then follow next."
        )
    return limit


def cursor_of(position: int, last: int = 0) -> str:
    """Return a position as a cursor; ``last`` names the last row before it, where that helps."""
    text = f"p{position}" if not last else f"p{position}-{last}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def position_of(cursor: str, first: int) -> int:
    """Return the position that a cursor holds; ``first`` without one.

    Raises: ``UsageError`` for one that no page ended with.
    """
    return place_of(cursor)[0] if cursor else first


def place_of(cursor: str) -> tuple[int, int]:
    """Return the position that a cursor holds, and the last row before it; 0 where it has none.

    Raises: ``UsageError`` for one that no page ended with.
    """
    if not cursor:
        return 0, 0
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise errors.UsageError("This cursor is no cursor.", hint="Use next of the page before.")
    return int(found[1]), int(found[2] or 0)
