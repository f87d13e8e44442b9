"""Identifiers as small integers: sixteen bytes for a GUID, stored once per tenant.

``encoded`` is reversible: a GUID in lower case becomes its sixteen bytes; any other text its UTF-8
followed by ``FF`` (which UTF-8 never has), twice where that would be sixteen bytes long.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from reentra.catalog.statements import run, run_in, run_many

GUID_BYTES = 16
CACHED_IDS = 500_000
_END = b"\xff"


def encoded(text: str) -> bytes:
    """Return the bytes that stand for an identifier."""
    if len(text) == 36 and text[8] == text[13] == text[18] == text[23] == "-":
        digits = text.replace("-", "")
        if len(digits) == 32 and digits == digits.lower():
            try:
                return bytes.fromhex(digits)
            except ValueError:
                pass
    data = text.encode() + _END
    return data + _END if len(data) == GUID_BYTES else data


def decoded(data: bytes) -> str:
    """Return the identifier that ``encoded`` was given."""
    if len(data) == GUID_BYTES:
        digits = data.hex()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    return data.rstrip(_END).decode()


class IdentityNumbers:
    """The numbers of one tenant's identifiers, within one transaction that writes."""

    def __init__(self, connection: sa.Connection, tenant_no: int, cached_ids: int = CACHED_IDS):
        self._connection = connection
        self._tenant_no = tenant_no
        self._cached_ids = cached_ids
        self._cache: dict[str, int] = {}
        first = run(connection, "SELECT no FROM identity WHERE tenant_no = ? LIMIT 1", tenant_no)
        self._cache_is_whole = first.first() is None
        self.next_no: int = run(
            connection, "SELECT coalesce(max(no), 0) + 1 FROM identity"
        ).scalar_one()

    def numbers(self, ids: Sequence[str]) -> list[int]:
        """Return the number of each id; an id without one gets the next."""
        cache = self._cache
        found = [cache.get(identifier) for identifier in ids]
        if None not in found:
            return found  # type: ignore[return-value]
        missing = dict.fromkeys(
            identifier for identifier, number in zip(ids, found, strict=True) if number is None
        )
        learned = self._learn(list(missing))
        return [
            learned[identifier] if number is None else number
            for identifier, number in zip(ids, found, strict=True)
        ]

    def _learn(self, ids: list[str]) -> dict[str, int]:
        codes = {identifier: encoded(identifier) for identifier in ids}
        learned: dict[str, int] = {}
        if not self._cache_is_whole:
            known = dict(load_numbers(self._connection, self._tenant_no, codes.values()))
            learned = {i: known[code] for i, code in codes.items() if code in known}
        fresh = [identifier for identifier in ids if identifier not in learned]
        rows = []
        for number, identifier in enumerate(fresh, self.next_no):
            learned[identifier] = number
            rows.append((number, self._tenant_no, codes[identifier]))
        self.next_no += len(fresh)
        run_many(
            self._connection, "INSERT INTO identity (no, tenant_no, id) VALUES (?, ?, ?)", rows
        )
        if len(self._cache) + len(learned) <= self._cached_ids:
            self._cache.update(learned)
        else:
            self._cache_is_whole = False
        return learned


def load_numbers(
    connection: sa.Connection, tenant_no: int, codes: Iterable[bytes]
) -> Iterable[tuple[bytes, int]]:
    """Fetch (encoded id, number) of those that have one."""
    query = "SELECT id, no FROM identity WHERE tenant_no = ? AND id IN ({items})"
    for code, number in run_in(connection, query, list(codes), tenant_no):
        yield bytes(code), number
