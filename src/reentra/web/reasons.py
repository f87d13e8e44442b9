"""Why something was not read, or failed, in words of ours; what Graph answered stands beside."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

# As ``graph.odata`` words what Graph answered; snapshots keep it within their reasons.
_ANSWER = re.compile(
    r"Graph answered \S+ \S+ with (?P<status>\d{3})\b.*?"
    r"(?:\(request-id [^)]*\)|(?=\s?Permission needed:)|\Z)",
    re.DOTALL,
)
_NEEDED = re.compile(r"\s*Permission needed: [\w., ]*?[\w]\.(?=\s|\Z)")
_CODE = re.compile(r"`([^`]+)`")
_ID = re.compile(r" \([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\)")
_LACKS = "The application lacks a permission for this."
_WORDS: Mapping[str, str] = {
    "400": "Microsoft Graph does not offer this in the tenant.",
    "401": "Microsoft Graph did not accept the application's sign-in.",
    "403": "Microsoft Graph refuses this to the application.",
    "404": "Microsoft Graph does not have this in the tenant.",
    "429": "Microsoft Graph had no room for more requests.",
    "501": "Microsoft Graph does not offer this in the tenant.",
}
_FAILED = "Microsoft Graph could not do this."
_DOWN = "Microsoft Graph failed or did not answer in time."


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason: ``said`` is ours, ``answer`` is Graph's own, and may be empty."""

    said: str
    answer: str
    permissions: tuple[str, ...]


def reason_of(item: Mapping[str, Any]) -> Reason:
    """Return why a kind is not whole, from its coverage in a document of the API."""
    permissions = tuple(item.get("permissions") or ())
    text = str(item.get("reason") or "")
    return _told(_NEEDED.sub("", text) if permissions else text, permissions)


def failure_of(message: str) -> Reason:
    """Return what an error says; what Graph answered is kept apart from it."""
    return _told(message, ())


def said(text: str) -> Markup:
    """Return a sentence of ours for a page: what is to be typed as code, names without their ids.

    The whole sentence is in its title, where an id was left out.
    """
    shown = _ID.sub("", text)
    made = Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(_CODE.split(shown))
    )
    return Markup('<span title="{}">{}</span>').format(text, made) if shown != text else made


def _told(text: str, permissions: Sequence[str]) -> Reason:
    found = _ANSWER.search(text)
    if found is None:
        return Reason(text.strip(), "", tuple(permissions))
    ours = f"{text[: found.start()].strip()} {text[found.end() :].strip()}".strip()
    status = found["status"]
    if not ours and permissions:
        ours = _LACKS
    elif not ours:
        ours = _WORDS.get(status, _DOWN if status >= "500" else _FAILED)
    return Reason(ours, found[0], tuple(permissions))
