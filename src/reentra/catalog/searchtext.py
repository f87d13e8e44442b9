"""What a search looks at, of a body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

SEPARATOR = "\n"
# Beside the name. An object's own id is found through the table of identifiers.
SEARCHED = ("userPrincipalName", "mail", "mailNickname", "appId", "description")
_GUID_BEGINNING = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{0,27}|[0-9a-f]{6,8}")


def searched_text(text: str) -> str:
    """Return a person's text as it is looked for: no space around it, never across two fields."""
    return text.strip().replace(SEPARATOR, " ")


def extra_text(name: str | None, properties: Mapping[str, Any]) -> str:
    """Return what is searched beside the name, in lower case.

    What is contained in something before it adds nothing and is left out.
    """
    text = (name or "").lower()
    begins = len(text) + 1
    for key in SEARCHED:
        value = properties.get(key)
        if type(value) is str and value:
            folded = value.lower()
            if folded not in text:
                text = f"{text}{SEPARATOR}{folded}"
    return text[begins:]


def id_prefix_bounds(text: str) -> tuple[bytes, bytes] | None:
    """Return the least and greatest sixteen bytes of GUIDs that begin with ``text``.

    ``None`` when it does not look like the beginning of one (six digits at least).
    """
    digits = text.strip().lower().replace("-", "")
    if not _GUID_BEGINNING.fullmatch(text.strip().lower()) or len(digits) > 32:
        return None
    return bytes.fromhex(digits.ljust(32, "0")), bytes.fromhex(digits.ljust(32, "f"))


def match_expression(text: str) -> str:
    """Return the FTS5 query for rows that may contain ``text`` (three characters at least).

    Trigrams that cover the text, joined by AND: without positions in the index, whoever asks must
    look at the rows once more.
    """
    folded = text.lower()
    starts = [*range(0, len(folded) - 2, 3), len(folded) - 3]
    trigrams = dict.fromkeys(folded[start : start + 3] for start in starts)
    return " AND ".join('"' + trigram.replace('"', '""') + '"' for trigram in trigrams)


def like_pattern(text: str, *, is_prefix: bool = False) -> str:
    """Return the LIKE pattern (escape character ``!``) for ``text`` anywhere, or at the start."""
    escaped = re.sub(r"([!%_])", r"!\1", text.lower())
    return f"{escaped}%" if is_prefix else f"%{escaped}%"
