"""Single properties: which of them a restore is narrowed to, and what that leaves to write. Pure.

A name is a property (``department``), of one kind where it is qualified (``user.department``), or
a place inside one (``employeeOrgData.division``). Graph merges some nested objects and replaces
others (learn.microsoft.com/graph/use-the-api), so the whole property is always written: as it is
in the tenant, with that one place as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reentra import errors
from reentra.directory.kinds import KINDS, ObjectKind
from reentra.directory.selection import Selection

_LICENCES = "assignedLicenses"  # a property that has a request of its own
_LICENSED_KINDS = ("group", "user")
Path = tuple[str, ...]


def chosen(names: Iterable[str], selection: Selection) -> dict[str, frozenset[Path]]:
    """Return, for each selected kind, the places that ``names`` mean.

    Raises: ``errors.UsageError`` for a property that a kind does not have, that nobody can write,
    or that only some of the selected kinds have and no kind is named with.
    """
    kinds = _selected_kinds(selection)
    result: dict[str, set[Path]] = {}
    for name in sorted(names):
        head, *rest = name.split(".")
        if not all((head, *rest)):
            raise errors.UsageError(
                f"{name!r} is no property.", hint="Write it as department, or user.department."
            )
        if head in KINDS:
            if not rest:
                raise errors.UsageError(
                    f"{head} is a kind, not a property.", hint=f"Name one: {head}.PROPERTY."
                )
            if head not in kinds:
                raise errors.UsageError(
                    f"{name} is a property of {head}, and no {head} is selected.",
                    hint=f"Select the kind {head}, or objects of it.",
                    typed=f"--kind {head}, or --id {head}/ID",
                )
            _ensure_writable(KINDS[head], rest[0], name)
            result.setdefault(head, set()).add(tuple(rest))
            continue
        having = [kind for kind in kinds if head in properties_of(KINDS[kind])]
        if len(having) < len(kinds):
            if len(kinds) == 1:
                _ensure_writable(KINDS[kinds[0]], head, name)
            raise errors.UsageError(
                f"Not every selected kind has a property {head!r} that can be put back: "
                f"{', '.join(kind for kind in kinds if kind not in having)} lack it.",
                hint=f"Name the kind with it: {', '.join(f'{kind}.{name}' for kind in having)}."
                if having
                else f"{kinds[0]} has: {', '.join(sorted(properties_of(KINDS[kinds[0]])))}.",
            )
        for kind in kinds:
            result.setdefault(kind, set()).add((head, *rest))
    return {kind: frozenset(paths) for kind, paths in result.items()}


def properties_of(row: ObjectKind) -> frozenset[str]:
    """Return the properties of a kind that can be put back where the object exists."""
    names = row.writable | row.update_only if row.can_update else frozenset()
    names = frozenset(name for name in names if not name.startswith("@"))
    return names | {_LICENCES} if row.name in _LICENSED_KINDS else names


def narrowed(
    desired: Mapping[str, Any], live: Mapping[str, Any], paths: Iterable[Path]
) -> dict[str, Any]:
    """Return ``live`` with the places ``paths`` as they are in ``desired``."""
    result = dict(live)
    for head, *rest in paths:
        result[head] = _replaced(result.get(head), desired.get(head), rest)
    return result


def is_known(properties: Mapping[str, Any], path: Path) -> bool:
    """Tell whether there is such a place in ``properties``, with or without a value."""
    value: Any = properties
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return False
        value = value[name]
    return True


def _replaced(live: Any, desired: Any, rest: list[str]) -> Any:
    if not rest:
        return desired
    inner = desired.get(rest[0]) if isinstance(desired, Mapping) else None
    if not isinstance(live, Mapping):
        if live is not None or inner is None:
            return live  # no object in which there could be such a place, or nothing to put there
        live = {}
    return {**live, rest[0]: _replaced(live.get(rest[0]), inner, rest[1:])}


def _selected_kinds(selection: Selection) -> list[str]:
    if selection.is_everything:
        return sorted(kind for kind, row in KINDS.items() if properties_of(row) and not row.is_link)
    return sorted(selection.kinds | {ref.kind for ref in selection.refs})


def _ensure_writable(row: ObjectKind, name: str, said: str) -> None:
    having = properties_of(row)
    if name in having:
        return
    known = name in row.select or name in row.create_only or name in row.volatile
    why = (
        f"{said}: nobody can write {name} of a {row.name} that exists."
        if known
        else f"{said}: {row.name} has no property {name!r} that can be put back."
    )
    hint = f"{row.name} has: {', '.join(sorted(having))}." if having else row.reason
    raise errors.UsageError(why, hint=hint)
