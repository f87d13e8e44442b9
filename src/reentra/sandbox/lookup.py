"""Finding live records by the values of their indexed keys, without letter case."""

from __future__ import annotations

from collections.abc import Callable

from reentra.sandbox.records import INDEXED, Record, keys_of


class Lookup:
    """Ids by type, key and value. ``recount`` is told each SKU whose holders changed."""

    def __init__(self, recount: Callable[[str], None]) -> None:
        # One holder is kept as a plain string: most values have one, and there are many.
        self._index: dict[tuple[str, str], dict[str, str | dict[str, None]]] = {
            (type_, key): {} for type_, keys in INDEXED.items() for key in keys
        }
        self._recount = recount

    def add(self, record: Record) -> None:
        """Make a record findable."""
        for key in INDEXED.get(record.type, ()):
            index = self._index[record.type, key]
            for value in keys_of(record, key):
                found = index.get(value)
                if found is None:
                    index[value] = record.id
                elif isinstance(found, str):
                    if found != record.id:
                        index[value] = {found: None, record.id: None}
                else:
                    found[record.id] = None
                if key == "skuId":
                    self._recount(value)

    def remove(self, record: Record) -> None:
        """Make a record no longer findable; its properties must be those it was added with."""
        for key in INDEXED.get(record.type, ()):
            index = self._index[record.type, key]
            for value in keys_of(record, key):
                found = index.get(value)
                if found == record.id:
                    del index[value]
                elif isinstance(found, dict):
                    found.pop(record.id, None)
                    if not found:
                        del index[value]
                if key == "skuId":
                    self._recount(value)

    def ids(self, type_: str, key: str, value: str) -> list[str]:
        """Return the ids of the records with a value."""
        found = self._index[type_, key].get(value.casefold())
        return [] if found is None else [found] if isinstance(found, str) else list(found)

    def first(self, type_: str, key: str, value: str) -> str | None:
        """Return the id of the first record with a value."""
        found = self._index[type_, key].get(value.casefold())
        return found if found is None or isinstance(found, str) else next(iter(found))

    def count(self, type_: str, key: str, value: str) -> int:
        """Return how many records have a value."""
        found = self._index[type_, key].get(value.casefold())
        return 0 if found is None else 1 if isinstance(found, str) else len(found)
