"""What counts as the same object: properties to canonical bytes.

Two bodies are the same when their canonical bytes are. Key order, ``null`` against absent, empty
lists against absent, the order of unordered lists, fractions of seconds written differently, and a
kind's volatile properties do not count; everything else does. Source of which differences Graph
makes on its own: learn.microsoft.com/graph/delta-query-overview (never-set properties are left out
of delta answers and ``null`` in list answers) and the resource pages of each type.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from typing import Any

import orjson

from reentra.directory.kinds import KINDS

DIGEST_BYTES = 16

_KEPT_ANNOTATION = "@odata.type"
_ANNOTATION = re.compile(rb'@[A-Za-z.]+":')
_DATE_TIME = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(?:Z|\+00:00)$")


def cleaned_properties(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties of an object without transport annotations, at every depth."""
    kept = {
        key: value for key, value in properties.items() if "@" not in key or key == _KEPT_ANNOTATION
    }
    # Annotations inside values are rare, and looking for them value by value is dear.
    return cleaned(kept) if _ANNOTATION.search(orjson.dumps(kept)) else kept


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
        result = {}
        for key in value:
            item = canonical_value(value[key])
            if item is not None:
                result[key] = item
        return result or None
    if kind is list:
        items = [canonical_value(item) for item in value]
        if not items:
            return None
        if not is_ordered and len(items) > 1:
            items.sort(key=_sort_key)
        return items
    return value


def canonical_properties(kind: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties that count, each in canonical form. ``id`` does not count."""
    ignored, ordered, folded, odata_type = _rules(kind)
    result = {}
    for key, value in properties.items():
        # Most values are plain texts and flags, and every object of a tenant comes through here.
        if value is None or key in ignored:
            continue
        if "@" in key and (key != _KEPT_ANNOTATION or value == odata_type):
            continue
        kind_of_value = type(value)
        if kind_of_value is str:
            value = _canonical_text(value)
            result[key] = value.lower() if key in folded else value
        elif kind_of_value is dict or kind_of_value is list:
            item = canonical_value(value, key in ordered)
            if item is not None:
                result[key] = item
        else:
            result[key] = value
    return result


@functools.cache
def _rules(kind: str) -> tuple[frozenset[str], frozenset[str], frozenset[str], str]:
    row = KINDS.get(kind)
    if row is None:
        return frozenset({"id"}), frozenset(), frozenset(), ""
    return row.volatile | {"id"}, row.ordered, row.case_insensitive, row.odata_type


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
    if 20 <= len(text) <= 35 and text[4] == "-" and text[10] == "T":
        match = _DATE_TIME.match(text)
        if match:
            fraction = (match[2] or "").rstrip("0")
            return f"{match[1]}.{fraction}Z" if fraction else f"{match[1]}Z"
    return text


def _sort_key(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
