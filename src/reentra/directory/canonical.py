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
from collections.abc import Mapping
from typing import Any

import orjson

from reentra.directory.kinds import KINDS, ObjectKind
from reentra.directory.objects import canonical_id

DIGEST_BYTES = 16
_MOST_RULES = 10_000

_KEPT_ANNOTATION = "@odata.type"
# The end of a key that holds an annotation; quotes inside of texts have a backslash before them.
_ANNOTATION = re.compile(rb'@[^"@]*":')
# The shortest text that can be written in two ways: a moment with a fraction of a second. The
# longest is a GUID.
_SHORTEST_VARIED, _LONGEST_VARIED = 21, 36
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
        is_varied = _SHORTEST_VARIED <= len(value) <= _LONGEST_VARIED
        return _canonical_text(value) if is_varied else value
    if kind is dict:
        result = {}
        for key, item in value.items():
            # Most values are short texts and flags, and every object of a tenant comes through
            # here: what needs no call gets none.
            kind = type(item)
            if kind is str:
                if _SHORTEST_VARIED <= len(item) <= _LONGEST_VARIED:
                    item = _canonical_text(item)
            elif item is None:
                continue
            elif kind is dict or kind is list:
                item = canonical_value(item)
                if item is None:
                    continue
            result[key] = item
        return result or None
    if kind is list:
        if not value:
            return None
        if len(value) == 1:
            return [canonical_value(value[0])]
        items = [canonical_value(item) for item in value]
        if not is_ordered:
            items.sort(key=_sort_key)
        return items
    return value


def canonical_properties(kind: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties that count, each in canonical form. ``id`` does not count."""
    rules, odata_type = _rules(kind)
    result = {}
    for key, value in properties.items():
        rule = rules[key]
        kind_of_value = type(value)
        if rule is None:
            if kind_of_value is str:
                if _SHORTEST_VARIED <= len(value) <= _LONGEST_VARIED:
                    value = _canonical_text(value)
            elif value is None:
                continue
            elif kind_of_value is dict or kind_of_value is list:
                value = canonical_value(value)
                if value is None:
                    continue
            result[key] = value
            continue
        if rule is _Rule.IGNORED or (rule is _Rule.TYPE and value == odata_type):
            continue
        value = canonical_value(value, rule is _Rule.ORDERED)
        if kind_of_value is str and rule is _Rule.FOLDED:
            value = value.lower()
        elif kind_of_value is str and rule is _Rule.WORDS:
            value = " ".join(sorted(value.split())) or None
        if value is not None:
            result[key] = value
    return result


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
    if len(text) == _LONGEST_VARIED:
        return canonical_id(text)
    if text[4] == "-" and text[10] == "T" and (match := _DATE_TIME.match(text)):
        fraction = (match[2] or "").rstrip("0")
        return f"{match[1]}.{fraction}Z" if fraction else f"{match[1]}Z"
    return text


# A partial of a built-in function: sorting calls it without a frame of Python.
_sort_key = functools.partial(orjson.dumps, option=orjson.OPT_SORT_KEYS)
