"""Whether a JSON value has the type that the schema declares, to the leaf."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from typing import Any, Final

from reentra.sandbox import schema
from reentra.sandbox.errors import invalid_value, unknown_property

GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DURATION: Final = re.compile(r"-?P(?=.)(\d+D)?(T(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_INTEGERS: Final = {
    "Byte": (0, 2**8 - 1),
    "Int16": (-(2**15), 2**15 - 1),
    "Int32": (-(2**31), 2**31 - 1),
    "Int64": (-(2**63), 2**63 - 1),
}


def check_value(
    csdl_type: str, value: Any, path: str, resource: str, nullable: bool = True
) -> None:
    """Refuse a value that does not have the declared type, to the leaf."""
    element, is_collection = schema.element_of(csdl_type)
    if is_collection:
        if not isinstance(value, list):
            if value is None and nullable:
                return
            raise invalid_value(path, resource)
        for item in value:
            check_value(element, item, path, resource, nullable=False)
        return
    if value is None:
        if nullable:
            return
        raise invalid_value(path, resource)
    if schema.is_enum(element):
        _check_enum(schema.enumeration(element), value, path, resource)
    elif schema.is_complex(element):
        _check_complex(element, value, path, resource)
    elif not _is_primitive(element, value):
        raise invalid_value(path, resource)


def _check_enum(known: schema.EnumType, value: Any, path: str, resource: str) -> None:
    if not isinstance(value, str):
        raise invalid_value(path, resource)
    words = value.split(",") if known.is_flags else [value]
    if any(word.strip() not in known.members for word in words):
        raise invalid_value(path, resource)


def _check_complex(element: str, value: Any, path: str, resource: str) -> None:
    if not isinstance(value, dict):
        raise invalid_value(path, resource)
    declared = value.get("@odata.type")
    if declared is not None:
        name = str(declared).rpartition(".")[2].lstrip("#")
        if name in schema.derived_types(element):
            element = name
        elif not schema.entity(element).is_open:
            raise invalid_value(path, resource)
    known = schema.entity(element)
    for name, inner in value.items():
        if "@" in name:
            continue
        prop = known.properties.get(name)
        if prop is not None:
            check_value(prop.csdl_type, inner, f"{path}/{name}", resource, prop.is_nullable)
        elif name in known.navigations:
            if inner is not None and not isinstance(inner, dict):
                raise invalid_value(f"{path}/{name}", resource)
        elif not known.is_open:
            raise unknown_property(f"{path}/{name}", element)


def _is_primitive(element: str, value: Any) -> bool:
    match element:
        case "String":
            return isinstance(value, str)
        case "Boolean":
            return isinstance(value, bool)
        case "Guid":
            return isinstance(value, str) and GUID.fullmatch(value) is not None
        case "DateTimeOffset":
            return isinstance(value, str) and _is_moment(value)
        case "Date":
            return isinstance(value, str) and _DATE.fullmatch(value) is not None
        case "Duration":
            return isinstance(value, str) and _DURATION.fullmatch(value) is not None
        case "Binary":
            return isinstance(value, str) and _is_base64(value)
        case "Double" | "Single" | "Decimal":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _ if element in _INTEGERS:
            low, high = _INTEGERS[element]
            return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    # Json and the few types without a JSON form of their own.
    return element == "Json"


def _is_moment(value: str) -> bool:
    try:
        datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value))
    except ValueError:
        return False
    return "T" in value


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
