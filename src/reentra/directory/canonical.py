"""What counts as the same object: properties to canonical bytes.

Two bodies are the same when their canonical bytes are. Key order, ``null`` against absent, empty
lists against absent, the order of unordered lists, fractions of seconds and GUIDs written
differently, and a kind's volatile properties do not count; everything else does. Source of which
differences Graph makes on its own: learn.microsoft.com/graph/delta-query-overview (never-set
properties are left out of delta answers and ``null`` in list answers) and the resource pages of
each type.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from reentra.directory.kinds import KINDS, ObjectKind
from reentra.directory.objects import canonical_id

DIGEST_BYTES = 16
_MOST_RULES = 10_000
_MOST_NAMES = 4_096  # sets of names that are remembered

_KEPT_ANNOTATION = "@odata.type"
# The end of a key that holds an annotation; quotes inside of texts have a backslash before them.
_ANNOTATION = re.compile(rb'@[^"@]*":')
# The shortest text that can be written in two ways has 21 letters, a moment with a fraction of a
# second; the longest 36, a GUID. Below they stand as numbers: a name is looked up for each text.
_DATE_TIME = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(?:Z|\+00:00)$")


def cleaned_body(properties: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Return the properties of an object without transport annotations, and their JSON."""
    # Looking for annotations value by value is dear; the JSON is needed anyway.
    body = orjson.dumps(properties)
    if _ANNOTATION.search(body):
        properties = cleaned(properties)
        body = orjson.dumps(properties)
    return properties, body


def cleaned(value: Any) -> Any:
    """Return ``value`` without transport annotations, at every depth.

    ``@odata.type`` stays: it is part of what the object is. ``members@delta`` and its siblings go
    too; whoever reads a delta takes them out first.
    """
    if type(value) is dict:
        result = {}
        for key, item in value.items():
            if "@" in key and key != _KEPT_ANNOTATION:
                continue
            result[key] = cleaned(item) if type(item) in (dict, list) else item
        return result
    if type(value) is list:
        return [cleaned(item) if type(item) in (dict, list) else item for item in value]
    return value


def canonical_value(value: Any, is_ordered: bool = False) -> Any:
    """Return ``value`` in canonical form, or ``None`` when it says nothing.

    Lists are sorted unless ``is_ordered``; empty lists and objects become ``None``.
    """
    kind = type(value)
    if kind is str:
        return _canonical_text(value)
    if kind is dict:
        return _canonical_object(value)
    if kind is list:
        return _canonical_list(value, is_ordered)
    return value


# Every value of a tenant comes through the three functions below: what needs no call gets none.
# Most texts are too short or too long to be written in two ways, and an address of 30 letters
# differs from a moment in its fifth.


def _canonical_object(value: dict[str, Any]) -> dict[str, Any] | None:
    result = {}
    for key, item in value.items():
        kind = type(item)
        if kind is str:
            if 20 < len(item) < 37:
                item = _canonical_text(item)
        elif item is None:
            continue
        elif kind is dict:
            item = _canonical_object(item)
            if item is None:
                continue
        elif kind is list:
            item = _canonical_list(item, False)
            if item is None:
                continue
        result[key] = item
    return result or None


def _canonical_list(value: list[Any], is_ordered: bool) -> list[Any] | None:
    if not value:
        return None
    items = []
    sort_key: Callable[[Any], bytes] = orjson.dumps
    for item in value:
        kind = type(item)
        if kind is str:
            if 20 < len(item) < 37:
                item = _canonical_text(item)
        elif kind is dict:
            item = _canonical_object(item)
            sort_key = _sort_key
        elif kind is list:
            item = _canonical_list(item, False)
            sort_key = _sort_key
        items.append(item)
    if len(items) > 1 and not is_ordered:
        items.sort(key=sort_key)
    return items


def canonical_properties(kind: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties that count, each in canonical form. ``id`` does not count."""
    ignored, ruled, odata_type = _rules_of(kind, tuple(properties))
    # A dictionary copies itself five times faster than it is copied by another.
    result = properties.copy() if type(properties) is dict else dict(properties)
    for key in ignored:
        del result[key]
    varied = [
        key for key, value in result.items() if type(value) is not str or 20 < len(value) < 37
    ]
    for key in varied:
        value = result[key]
        kind_of_value = type(value)
        if kind_of_value is str:
            if value[4] == "-" or len(value) == 36:
                result[key] = _canonical_text(value)
            continue
        if kind_of_value is dict:
            value = _canonical_object(value)
        elif kind_of_value is list:
            if len(value) == 1 and type(only := value[0]) is str and not 20 < len(only) < 37:
                continue
            value = _canonical_list(value, False)
        elif value is not None:
            continue
        if value is None:
            del result[key]
        else:
            result[key] = value
    for key, rule in ruled:
        value = _ruled_value(properties[key], rule, odata_type)
        if value is None:
            result.pop(key, None)
        else:
            result[key] = value
    return result


def _ruled_value(value: Any, rule: _Rule, odata_type: str) -> Any:
    """Return the value of a property that is not plain in canonical form."""
    if rule is _Rule.TYPE and value == odata_type:
        return None
    if type(value) is str:
        value = _canonical_text(value)
        if rule is _Rule.FOLDED:
            return value.lower()
        if rule is _Rule.WORDS:
            return " ".join(sorted(value.split())) or None
        return value
    return canonical_value(value, rule is _Rule.ORDERED)


class _Rule(enum.Enum):
    """How a property that is not plain is compared."""

    IGNORED = "ignored"
    TYPE = "type"  # counts when it is not the kind's own
    FOLDED = "folded"  # in any case
    ORDERED = "ordered"  # a list whose order says something
    WORDS = "words"  # a set, written as one text with spaces


class _Rules(dict[str, "_Rule | None"]):
    """The rule of each property of a kind, found when it is first met; None for a plain one."""

    def __init__(self, row: ObjectKind | None) -> None:
        super().__init__()
        self._row = row

    def __missing__(self, name: str) -> _Rule | None:
        rule = self._rule(name)
        if len(self) < _MOST_RULES:  # names of open extensions have no end
            self[name] = rule
        return rule

    def _rule(self, name: str) -> _Rule | None:
        if name == _KEPT_ANNOTATION:
            return _Rule.TYPE
        row = self._row
        if name == "id" or "@" in name or (row is not None and name in row.volatile):
            return _Rule.IGNORED
        if row is not None and name in row.ordered:
            return _Rule.ORDERED
        if row is not None and name in row.case_insensitive:
            return _Rule.FOLDED
        if row is not None and name in row.word_sets:
            return _Rule.WORDS
        return None


@functools.cache
def _rules(kind: str) -> tuple[_Rules, str]:
    row = KINDS.get(kind)
    return _Rules(row), row.odata_type if row is not None else ""


@functools.lru_cache(maxsize=_MOST_NAMES)
def _rules_of(
    kind: str, names: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[tuple[str, _Rule], ...], str]:
    """Return which of the names do not count, which have a rule, and the kind's own type.

    Objects of a kind have few sets of names, in few orders.
    """
    rules, odata_type = _rules(kind)
    found = [(name, rule) for name in names if (rule := rules[name]) is not None]
    ignored = tuple(name for name, rule in found if rule is _Rule.IGNORED)
    ruled = tuple((name, rule) for name, rule in found if rule is not _Rule.IGNORED)
    return ignored, ruled, odata_type


def canonical_bytes(kind: str, properties: Mapping[str, Any]) -> bytes:
    """Return the bytes that are equal exactly when two bodies of ``kind`` count as the same."""
    return orjson.dumps(canonical_properties(kind, properties), option=orjson.OPT_SORT_KEYS)


def digest(kind: str, properties: Mapping[str, Any]) -> bytes:
    """Return 16 bytes of BLAKE2b over the canonical bytes."""
    return hashlib.blake2b(canonical_bytes(kind, properties), digest_size=DIGEST_BYTES).digest()


def are_same(kind: str, left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Tell whether two bodies of ``kind`` count as the same."""
    return canonical_properties(kind, left) == canonical_properties(kind, right)


def _canonical_text(text: str) -> str:
    size = len(text)
    if size == 36:
        return canonical_id(text)
    if not 20 < size < 37 or text[4] != "-" or text[10] != "T":
        return text
    match = _DATE_TIME.match(text)
    if match is None:
        return text
    fraction = (match[2] or "").rstrip("0")
    return f"{match[1]}.{fraction}Z" if fraction else f"{match[1]}Z"


# A partial of a built-in function: sorting calls it without a frame of Python.
_sort_key = functools.partial(orjson.dumps, option=orjson.OPT_SORT_KEYS)
