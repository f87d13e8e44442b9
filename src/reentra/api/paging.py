"""Pages of long lists: an opaque cursor that only leads on."""

from __future__ import annotations

import base64
import binascii

from reentra import errors
from reentra.api.routing import LONGEST_PAGE


def limited(limit: int) -> int:
    """Return how many to show.

    Raises: ``UsageError``.
    """
    if not 1 <= limit <= LONGEST_PAGE:
        raise errors.UsageError(
            f"limit is {limit}.", hint=f"It may be from 1 to {LONGEST_PAGE}; then follow next."
        )
    return limit


def cursor_of(position: int) -> str:
    """Return a position as a cursor."""
    return base64.urlsafe_b64encode(f"p{position}".encode()).decode().rstrip("=")


def position_of(cursor: str, first: int) -> int:
    """Return the position that a cursor holds; ``first`` without one.

    Raises: ``UsageError`` for one that no page ended with.
    """
    if not cursor:
        return first
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    if not text.startswith("p") or not text[1:].isdigit() or len(text) > 16:
        raise errors.UsageError("This cursor is no cursor.", hint="Use next of the page before.")
    return int(text[1:])
