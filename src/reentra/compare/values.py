"""Two JSON bodies to the leaves in which they differ.

A path reads ``passwordCredentials[<keyId>]/displayName``: names joined by ``/``, an item of a list
in brackets by what it is called, never by its place. Lists whose items have a name of their own
(``id``, ``keyId``, ...) are compared item by item; other lists are sets: an item is there or not,
and the brackets hold the item itself when it is a scalar and nothing otherwise. What counts as
equal is ``directory.canonical``'s decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from reentra.directory import canonical
from reentra.directory.kinds import KINDS

ITEM_NAMES = ("id", "keyId", "skuId", "servicePlanId", "resourceAppId", "appId", "name")

_NOTHING: frozenset[str] = frozenset()
_TYPE = "@odata.type"


@dataclass(frozen=True, slots=True)
class PropertyChange:
    """One leaf. ``None`` stands for absent, ``null`` and empty alike."""

    path: str
    before: Any
    after: Any

    def to_json(self) -> dict[str, Any]:
        return {"path": self.path, "before": self.before, "after": self.after}


def changes_between(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    *,
    kind: str = "",
    include_volatile: bool = False,
    include_equal: bool = False,
) -> tuple[PropertyChange, ...]:
    """Return the leaves in which two bodies differ, by path.

    ``kind`` brings in the kinds table: volatile properties do not count (unless
    ``include_volatile``), names that Graph folds are folded, ordered lists keep their order.
    ``include_equal`` adds the leaves that are the same. ``id`` is never a change.
    """
    row = KINDS.get(kind)
    volatile = row.volatile if row and not include_volatile else _NOTHING
    ordered = row.ordered if row else _NOTHING
    folded = row.case_insensitive if row else _NOTHING
    own_type = row.odata_type if row else ""
    found: list[PropertyChange] = []
    names = before.keys() if before.keys() == after.keys() else before.keys() | after.keys()
    for name in names:
        left, right = before.get(name), after.get(name)
        if left == right and not include_equal and type(left) is type(right):
            continue
        if name == "id" or name in volatile or ("@" in name and name != _TYPE):
            continue
        if name == _TYPE and own_type:
            left = None if left == own_type else left
            right = None if right == own_type else right
        if name in folded and _fold(left) == _fold(right):
            left = right
        _walk(name, left, right, name in ordered, include_equal, found)
    found.sort(key=lambda change: change.path)
    return tuple(found)


def _fold(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _walk(
    path: str,
    before: Any,
    after: Any,
    is_ordered: bool,
    include_equal: bool,
    found: list[PropertyChange],
) -> None:
    if before == after and not include_equal and type(before) is type(after):
        return
    left_type, right_type = type(before), type(after)
    if dict in (left_type, right_type) and {left_type, right_type} <= {dict, type(None)}:
        left, right = before or {}, after or {}
        for name in left.keys() | right.keys():
            _walk(f"{path}/{name}", left.get(name), right.get(name), False, include_equal, found)
        return
    if list in (left_type, right_type) and {left_type, right_type} <= {list, type(None)}:
        left, right = before or [], after or []
        if is_ordered:
            _walk_in_order(path, left, right, include_equal, found)
        elif (name := _item_name(left, right)) is not None:
            _walk_named(path, left, right, name, include_equal, found)
        else:
            _walk_set(path, left, right, include_equal, found)
        return
    plain = canonical.canonical_value(before, is_ordered)
    other = canonical.canonical_value(after, is_ordered)
    if plain != other or type(plain) is not type(other):
        found.append(PropertyChange(path, before, after))
    elif include_equal and plain is not None:
        found.append(PropertyChange(path, before, before))


def _walk_in_order(
    path: str, before: list[Any], after: list[Any], include_equal: bool, found: list[PropertyChange]
) -> None:
    for index in range(max(len(before), len(after))):
        left = before[index] if index < len(before) else None
        right = after[index] if index < len(after) else None
        _walk(f"{path}[{index}]", left, right, False, include_equal, found)


def _walk_named(
    path: str,
    before: list[dict[str, Any]],
    after: list[dict[str, Any]],
    name: str,
    include_equal: bool,
    found: list[PropertyChange],
) -> None:
    left = {item[name]: item for item in before}
    right = {item[name]: item for item in after}
    for key in left.keys() | right.keys():
        place = f"{path}[{key}]"
        if key not in left or key not in right:
            found.append(PropertyChange(place, left.get(key), right.get(key)))
        else:
            _walk(place, left[key], right[key], False, include_equal, found)


def _walk_set(
    path: str, before: list[Any], after: list[Any], include_equal: bool, found: list[PropertyChange]
) -> None:
    waiting: dict[bytes, list[Any]] = {}
    for item in before:
        waiting.setdefault(_key(item), []).append(item)
    for item in after:
        same = waiting.get(_key(item))
        if same:
            old = same.pop()
            if include_equal:
                found.append(PropertyChange(_place(path, old), old, old))
        else:
            found.append(PropertyChange(_place(path, item), None, item))
    for items in waiting.values():
        found.extend(PropertyChange(_place(path, item), item, None) for item in items)


def _item_name(before: list[Any], after: list[Any]) -> str | None:
    """Return the member that names each item, when every item has one and no two share it."""
    items = [*before, *after]
    if any(type(item) is not dict for item in items):
        return None
    for name in ITEM_NAMES:
        if all(type(item.get(name)) is str and item[name] for item in items) and all(
            len({item[name] for item in side}) == len(side) for side in (before, after)
        ):
            return name
    return None


def _key(item: Any) -> bytes:
    return orjson.dumps(canonical.canonical_value(item), option=orjson.OPT_SORT_KEYS)


def _place(path: str, item: Any) -> str:
    return f"{path}[{item}]" if type(item) in (str, int, float, bool) else f"{path}[]"
