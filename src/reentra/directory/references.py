"""References inside bodies: find the ids that a body names, and rewrite them.

Pure. Which places hold ids is the kinds table's knowledge (``Reference.pointer``).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from reentra.directory.kinds import KINDS, IdForm, Reference
from reentra.directory.objects import canonical_id

_GUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


def references_in(kind: str, properties: Mapping[str, Any]) -> Iterator[tuple[Reference, str]]:
    """Yield each identifier that ``properties`` names, with the row that says what it is.

    GUIDs come in lower case, however they are written.

    Literals such as ``All`` are left out: an identifier holds a GUID, except for natural ids that
    no form covers.
    """
    row = KINDS.get(kind)
    for reference in row.references if row else ():
        for text in _values_at(properties, reference.pointer.split("/")):
            for identifier in _identifiers(reference.form, text):
                yield reference, canonical_id(identifier)


def rewritten(
    kind: str, properties: Mapping[str, Any], new_id_of: Callable[[IdForm, str], str | None]
) -> dict[str, Any]:
    """Return ``properties`` with every identifier replaced that ``new_id_of`` knows.

    ``new_id_of`` is asked with ``APP_ID`` for client ids (also inside ``api://`` addresses) and
    with ``OBJECT_ID`` for everything else; ``None`` leaves the identifier as it is.
    """
    result = copy.deepcopy(dict(properties))
    row = KINDS.get(kind)
    for reference in row.references if row else ():
        _rewrite_at(result, reference.pointer.split("/"), reference.form, new_id_of)
    return result


def _identifiers(form: IdForm, text: str) -> list[str]:
    if form in (IdForm.OBJECT_ID, IdForm.APP_ID):
        return [text] if _GUID.fullmatch(text) else []
    return _GUID.findall(text)


def _replaced(form: IdForm, text: str, new_id_of: Callable[[IdForm, str], str | None]) -> str:
    asked = IdForm.APP_ID if form in (IdForm.APP_ID, IdForm.APP_URI) else IdForm.OBJECT_ID
    if form in (IdForm.OBJECT_ID, IdForm.APP_ID):
        return new_id_of(asked, text) or text
    return _GUID.sub(lambda match: new_id_of(asked, match[0]) or match[0], text)


def _values_at(value: Any, path: list[str]) -> Iterator[str]:
    if not path:
        if isinstance(value, str):
            yield value
        return
    head, rest = path[0], path[1:]
    if head == "*":
        for item in value if isinstance(value, list) else ():
            yield from _values_at(item, rest)
    elif isinstance(value, Mapping) and head in value:
        yield from _values_at(value[head], rest)


def _rewrite_at(
    value: Any,
    path: list[str],
    form: IdForm,
    new_id_of: Callable[[IdForm, str], str | None],
) -> None:
    head, rest = path[0], path[1:]
    if head == "*":
        if not isinstance(value, list):
            return
        for index, item in enumerate(value):
            if rest:
                _rewrite_at(item, rest, form, new_id_of)
            elif isinstance(item, str):
                value[index] = _replaced(form, item, new_id_of)
    elif isinstance(value, dict) and head in value:
        if rest:
            _rewrite_at(value[head], rest, form, new_id_of)
        elif isinstance(value[head], str):
            value[head] = _replaced(form, value[head], new_id_of)
