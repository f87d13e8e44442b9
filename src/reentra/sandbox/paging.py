"""Pages: results frozen at the first request, opaque tokens bound to the query."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from reentra.sandbox.errors import GraphError

DEFAULT_PAGE = 100
MAX_PAGE = 999
_KEPT_RESULTS = 256
_KEPT_WEIGHT = 1_500_000


def page_token_expired() -> GraphError:
    """Return the refusal of a link whose result the service no longer holds."""
    return GraphError(400, "Directory_ExpiredPageToken", "The specified page token has expired.")


def page_token_invalid() -> GraphError:
    return GraphError(
        400,
        "Request_BadRequest",
        "The page token is not valid: it is malformed or belongs to another query.",
    )


def encode_token(fields: dict[str, Any]) -> str:
    """Encode token fields with a check sum, so that garbage is told from an old token."""
    raw = orjson.dumps(fields)
    check = hashlib.blake2b(raw, digest_size=6).digest()
    return base64.urlsafe_b64encode(check + raw).decode("ascii").rstrip("=")


def decode_token(token: str) -> dict[str, Any] | None:
    """Return the fields of a token made by `encode_token`, or None for garbage."""
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return None
    check, raw = data[:6], data[6:]
    if hashlib.blake2b(raw, digest_size=6).digest() != check:
        return None
    fields = orjson.loads(raw)
    return fields if isinstance(fields, dict) else None


@dataclass(slots=True)
class Result:
    """One query's whole result, frozen: the items, in order, and what renders them."""

    query: str
    items: Sequence[Any]
    state: Any = None
    weight: int = 0
    """About how many things it keeps alive; 0 stands for the number of items."""


class Results:
    """The results whose pages are still being read, oldest dropped first."""

    def __init__(self) -> None:
        self._results: OrderedDict[str, Result] = OrderedDict()
        self._weight = 0
        self._made = 0

    def keep(self, result: Result) -> str:
        """Hold a result and return its key."""
        self._made += 1
        key = f"r{self._made}"
        self._results[key] = result
        result.weight = result.weight or len(result.items)
        self._weight += result.weight
        while len(self._results) > 1 and (
            len(self._results) > _KEPT_RESULTS or self._weight > _KEPT_WEIGHT
        ):
            _, dropped = self._results.popitem(last=False)
            self._weight -= dropped.weight
        return key

    def find(self, key: str, query: str) -> Result:
        """Return a held result.

        Raises:
            GraphError: 400 when it is gone or was made by another query.
        """
        result = self._results.get(key)
        if result is None:
            raise page_token_expired()
        if result.query != query:
            raise page_token_invalid()
        self._results.move_to_end(key)
        return result

    def expire_all(self) -> None:
        """Forget every result: each link handed out so far is refused from now on."""
        self._results.clear()
        self._weight = 0
