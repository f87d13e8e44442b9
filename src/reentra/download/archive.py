"""Write a selection as a zip of JSON files, one object at a time.

Layout: ``manifest.json`` says what was taken from where; ``<kind>/<name>-<id>.json`` is one object:
``{"kind", "id", "properties", "relationships"?}``.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from stream_zip import ZIP_64, stream_zip

from reentra import clock as clocks
from reentra import progress
from reentra.directory.kinds import KINDS
from reentra.directory.objects import DirectoryObject, Relationship
from reentra.directory.relationships import relationships_of
from reentra.directory.selection import Selection
from reentra.directory.state import TenantState

_CHUNK_OBJECTS = 500
_MODE = 0o100600
_NAME_CHARACTERS = 60
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class DownloadReport:
    """What a download holds."""

    path: Path
    objects: int
    kinds: dict[str, int]
    size_bytes: int

    def to_json(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "objects": self.objects,
            "kinds": self.kinds,
            "size_bytes": self.size_bytes,
        }


def entry_name(kind: str, object_id: str, name: str) -> str:
    """Return a path inside the zip that is safe whatever people called the object.

    Only ASCII letters, digits, dot, hyphen and underscore are kept, so nothing in a display name
    can climb out of the folder that the zip is unpacked into. The id makes it unique.
    """
    label = _UNSAFE.sub("_", name).strip("._")[:_NAME_CHARACTERS]
    safe_id = _UNSAFE.sub("_", object_id).strip(".") or "_"
    return f"{kind}/{label}-{safe_id}.json" if label else f"{kind}/{safe_id}.json"


def write_zip(
    state: TenantState,
    selection: Selection,
    path: Path,
    *,
    has_relationships: bool = True,
    wrap: Callable[[Iterable[bytes]], Iterable[bytes]] | None = None,
    clock: clocks.Clock = clocks.SYSTEM,
    listener: progress.Listener = progress.ignore,
) -> DownloadReport:
    """Write the selected objects of ``state`` to a new zip at ``path``.

    The file is readable by its owner only and appears under its name when it is whole. Memory is
    flat. ``wrap`` turns the zip's bytes into what is written, for example to seal them.
    Raises: ``OSError`` when it cannot be written.
    """
    counts: dict[str, int] = {}
    now = clock.now()
    unfinished = path.with_name(f".{path.name}.unfinished")
    entries = _entries(state, selection, has_relationships, counts, now, listener)
    try:
        unfinished.touch(mode=0o600)
        with unfinished.open("wb") as file:
            zipped = stream_zip(entries)
            for chunk in zipped if wrap is None else wrap(zipped):
                file.write(chunk)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return DownloadReport(path, sum(counts.values()), counts, path.stat().st_size)


def _entries(
    state: TenantState,
    selection: Selection,
    has_relationships: bool,
    counts: dict[str, int],
    now: dt.datetime,
    listener: progress.Listener,
) -> Iterator[tuple[str, dt.datetime, int, Any, Iterable[bytes]]]:
    for kind, row in KINDS.items():
        if not selection.touches(kind):
            continue
        listener(progress.Started(row.title))
        done = 0
        for chunk in _chunks(_selected(state, selection, kind)):
            links = _links_of(state, kind, chunk) if has_relationships else {}
            for item in chunk:
                value: dict[str, Any] = {
                    "kind": kind,
                    "id": item.id,
                    "properties": item.properties,
                }
                if has_relationships:
                    value["relationships"] = links.get(item.id, {})
                name = str(item.get(row.title_property) or "") if row.title_property else ""
                yield _file(entry_name(kind, item.id, name), now, value)
            done += len(chunk)
            listener(progress.Advanced(row.title, done))
        listener(progress.Finished(row.title, done))
        counts[kind] = done
    yield _file(
        "manifest.json",
        now,
        {
            "tenant_id": state.tenant_id,
            "snapshot": state.label,
            "written_at": clocks.iso(now),
            "selection": selection.to_json(),
            "has_relationships": has_relationships,
            "objects": counts,
            "coverage": {name: item.to_json() for name, item in state.coverage().items()},
        },
    )


def _file(
    name: str, now: dt.datetime, value: object
) -> tuple[str, dt.datetime, int, Any, Iterable[bytes]]:
    data = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    return name, now, _MODE, ZIP_64, (data,)


def _selected(state: TenantState, selection: Selection, kind: str) -> Iterator[DirectoryObject]:
    if selection.takes_whole(kind):
        yield from state.list_objects(kind)
    else:
        yield from state.load_objects(kind, selection.ids_of(kind)).values()


def _chunks(items: Iterable[DirectoryObject]) -> Iterator[list[DirectoryObject]]:
    chunk: list[DirectoryObject] = []
    for item in items:
        chunk.append(item)
        if len(chunk) >= _CHUNK_OBJECTS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _links_of(
    state: TenantState, kind: str, chunk: list[DirectoryObject]
) -> dict[str, dict[str, list[dict[str, str]]]]:
    found: dict[str, dict[str, list[dict[str, str]]]] = {}
    ids = [item.id for item in chunk]
    for row in relationships_of(kind):
        links = state.load_relationships(row.name, ids)
        names = state.load_names(sorted({link.target_id for link in links}))
        for link in links:
            found.setdefault(link.source_id, {}).setdefault(row.property, []).append(
                _link_to_json(link, names.get(link.target_id))
            )
    return found


def _link_to_json(link: Relationship, named: tuple[str, str] | None) -> dict[str, str]:
    value = {"id": link.target_id, "kind": link.target_kind or (named[0] if named else "")}
    if named:
        value["displayName"] = named[1]
    if link.qualifier:
        value["roleId"] = link.qualifier
    return value
