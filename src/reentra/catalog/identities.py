"""Identifiers as small integers: each is stored once per tenant, as ``identifiers.encoded``."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from reentra.catalog.statements import insert_columns, run, run_in
from reentra.snapshots.identifiers import CodeNumbers

_INSERTED_AT_ONCE = 16 * 1024


class IdentityNumbers:
    """The numbers of one tenant's identifiers, within one transaction that writes.

    Of a tenant that is new to the catalog the identifiers are kept in memory (``CodeNumbers``); of
    another one the table is asked.
    """

    def __init__(self, connection: sa.Connection, tenant_no: int) -> None:
        self._connection = connection
        self._tenant_no = tenant_no
        first = run(connection, "SELECT no FROM identity WHERE tenant_no = ? LIMIT 1", tenant_no)
        self._kept = CodeNumbers() if first.first() is None else None
        self.first_no: int = run(
            connection, "SELECT coalesce(max(no), 0) + 1 FROM identity"
        ).scalar_one()
        self.next_no = self.first_no

    def numbers(self, codes: pa.Array) -> pa.Array:
        """Return the number of each encoded identifier; one without a number gets the next."""
        if self._kept is not None:
            places, fresh = self._kept.numbers(codes)
            self._insert(fresh.to_pylist())
            return pc.add(places, self.first_no)
        column = codes.dictionary_encode()
        distinct = column.dictionary.to_pylist()
        known = dict(load_numbers(self._connection, self._tenant_no, distinct))
        known |= self._insert([code for code in distinct if code not in known])
        return pa.array([known[code] for code in distinct], pa.int64()).take(column.indices)

    def _insert(self, fresh: list[bytes]) -> dict[bytes, int]:
        numbers = range(self.next_no, self.next_no + len(fresh))
        self.next_no += len(fresh)
        for start in range(0, len(fresh), _INSERTED_AT_ONCE):
            piece = fresh[start : start + _INSERTED_AT_ONCE]
            insert_columns(
                self._connection,
                "INSERT INTO identity (no, tenant_no, id) VALUES {rows}",
                f"(?, {self._tenant_no}, ?)",
                (numbers[start : start + len(piece)], piece),
            )
        return dict(zip(fresh, numbers, strict=True)) if self._kept is None else {}


def load_numbers(
    connection: sa.Connection, tenant_no: int, codes: Iterable[bytes]
) -> Iterable[tuple[bytes, int]]:
    """Fetch (encoded id, number) of those that have one."""
    query = "SELECT id, no FROM identity WHERE tenant_no = ? AND id IN ({items})"
    for code, number in run_in(connection, query, list(codes), tenant_no):
        yield bytes(code), number
