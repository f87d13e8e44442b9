"""References inside bodies: find the ids that a body names, and rewrite them.

Pure. Which places hold ids is the kinds table's knowledge (``Reference.pointer``).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from reentra.directory.kinds import KINDS, IdForm, Reference, is_extension_name
from reentra.directory.objects import canonical_id

_GUID = re.compile(
    r"(?<![0-9a-fA-F])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9a-fA-F])"
)
_EXTENSION = re.compile(r"extension_([0-9a-fA-F]{32})(?=_)")


def references_in(kind: str, properties: Mapping[str, Any]) -> Iterator[tuple[Reference, str]]:
    """Yield each identifier that ``properties`` names, with the row that says what it is.

    GUIDs come in lower case, however they are written.

    Literals such as ``All`` are left out: an identifier holds a GUID, except for natural ids that
    no form covers. Values of directory extensions name their application by the name that they
    are stored under; those come from ``extensions_in``.
    """
    row = KINDS.get(kind)
    for reference in row.references if row else ():
        for text in _values_at(properties, reference.pointer.split("/")):
            for identifier in _identifiers(reference.form, text):
                yield reference, canonical_id(identifier)


def extensions_in(kind: str, properties: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the directory extensions of which ``properties`` hold a value."""
    row = KINDS.get(kind)
    if row is not None and row.has_extensions:
        for name, value in properties.items():
            if value not in (None, []) and is_extension_name(name):
                yield name


def rewritten(
    kind: str, properties: Mapping[str, Any], new_id_of: Callable[[IdForm, str], str | None]
) -> dict[str, Any]:
    """Return ``properties`` with every identifier replaced that ``new_id_of`` knows.

    ``new_id_of`` is asked with ``APP_ID`` for client ids (also inside ``api://`` addresses and in
    names of directory extensions) and with ``OBJECT_ID`` for everything else; ``None`` leaves the
    identifier as it is. The names of extension values are rewritten as well.
    """
    result = copy.deepcopy(dict(properties))
    row = KINDS.get(kind)
    if row is not None and row.has_extensions and any(map(is_extension_name, result)):
        result = {_renamed(name, new_id_of): value for name, value in result.items()}
    for reference in row.references if row else ():
        _rewrite_at(result, reference.pointer.split("/"), reference.form, new_id_of)
    return result


def _identifiers(form: IdForm, text: str) -> list[str]:
    if form in (IdForm.OBJECT_ID, IdForm.APP_ID):
        return [text] if _GUID.fullmatch(text) else []
    found = _GUID.findall(text) if form is not IdForm.EXTENSION else []
    if form in (IdForm.TEXT, IdForm.EXTENSION):
        found += map(_with_dashes, _EXTENSION.findall(text))
    return found


def _with_dashes(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _renamed(text: str, new_id_of: Callable[[IdForm, str], str | None]) -> str:
    """Return ``text`` with the client ids replaced that names of directory extensions hold."""

    def name(match: re.Match[str]) -> str:
        found = new_id_of(IdForm.APP_ID, _with_dashes(match[1]))
        return match[0] if found is None else f"extension_{found.replace('-', '')}"

    return _EXTENSION.sub(name, text)


def _replaced(form: IdForm, text: str, new_id_of: Callable[[IdForm, str], str | None]) -> str:
    asked = IdForm.APP_ID if form in (IdForm.APP_ID, IdForm.APP_URI) else IdForm.OBJECT_ID
    if form in (IdForm.OBJECT_ID, IdForm.APP_ID):
        return new_id_of(asked, text) or text
    if form is not IdForm.EXTENSION:
        text = _GUID.sub(lambda match: new_id_of(asked, match[0]) or match[0], text)
    return _renamed(text, new_id_of) if form in (IdForm.TEXT, IdForm.EXTENSION) else text


def _values_at(value: Any, path: list[str]) -> Iterator[str]:
    if not path:
        if isinstance(value, str):
            yield value
        return
    head, rest = path[0], path[1:]
    if head == "*":
        for item in _items_of(value):
            yield from _values_at(item, rest)
    elif isinstance(value, Mapping) and head in value:
        yield from _values_at(value[head], rest)


def _items_of(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()


def _rewrite_at(
    value: Any,
    path: list[str],
    form: IdForm,
    new_id_of: Callable[[IdForm, str], str | None],
) -> None:
    head, rest = path[0], path[1:]
    if head == "*":
        keys: Iterable[Any] = range(len(value)) if isinstance(value, list) else ()
        for key in list(value) if isinstance(value, dict) else keys:
            if rest:
                _rewrite_at(value[key], rest, form, new_id_of)
            elif isinstance(value[key], str):
                value[key] = _replaced(form, value[key], new_id_of)
    elif isinstance(value, dict) and head in value:
        if rest:
            _rewrite_at(value[head], rest, form, new_id_of)
        elif isinstance(value[head], str):
            value[head] = _replaced(form, value[head], new_id_of)
