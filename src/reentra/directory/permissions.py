"""Which application permissions backup and restore need, seen from the permission's side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from reentra.directory.kinds import is_granted


class Row(Protocol):
    """A row of the kinds table or of the relationships table."""

    @property
    def name(self) -> str: ...
    @property
    def read_permissions(self) -> tuple[str, ...]: ...
    @property
    def write_permissions(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Need:
    """One permission and what for. ``is_granted`` is ``None`` when the token does not tell."""

    permission: str
    for_backup: tuple[str, ...]
    for_restore: tuple[str, ...]
    is_granted: bool | None

    def to_json(self) -> dict[str, Any]:
        return {
            "permission": self.permission,
            "for_backup": list(self.for_backup),
            "for_restore": list(self.for_restore),
            "granted": self.is_granted,
        }


def needs(
    kinds: Iterable[Row], relationships: Iterable[Row], granted: frozenset[str] | None
) -> list[Need]:
    """Return every permission that some row names, sorted, with the rows that need it."""
    backup: dict[str, list[str]] = {}
    restore: dict[str, list[str]] = {}
    for row in (*kinds, *relationships):
        for permission in row.read_permissions:
            backup.setdefault(permission, []).append(row.name)
        for permission in row.write_permissions:
            restore.setdefault(permission, []).append(row.name)
    return [
        Need(
            permission,
            tuple(backup.get(permission, ())),
            tuple(restore.get(permission, ())),
            None if granted is None else is_granted(permission, granted),
        )
        for permission in sorted(backup.keys() | restore.keys())
    ]
