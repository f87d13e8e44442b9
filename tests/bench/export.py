"""A snapshot as plain JSON files: what the other tools back up, and the measure of raw size."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from reentra.directory.kinds import KINDS
from reentra.directory.relationships import RELATIONSHIPS
from reentra.directory.state import TenantState
from reentra.repository import Repository

from .acts import ACTS, Numbers, opened
from .tenant import Changed

LINES_A_FILE = 1000


def export(home: Path, folder: str, place: int, sample: int) -> Numbers:
    """Write the snapshot at ``place`` (from the oldest, 0) as pages and as a sample of files.

    ``pages`` holds a thousand objects or links a file, one JSON document a line, in the order of
    their ids, so that what did not change stays where it was; ``files`` holds the first ``sample``
    users in a file each.
    """
    root = Path(folder)
    with opened(home) as application:
        repository: Repository = application.repository
        (tenant_id,) = repository.list_tenants()
        snapshot_id = repository.list_snapshot_ids(tenant_id)[place]
        state = application.catalog.state(tenant_id, snapshot_id)
        objects_bytes = sum(_write_objects(state, kind, root, sample) for kind in KINDS)
        links_bytes = sum(_write_links(state, name, root) for name in RELATIONSHIPS)
    return {"objects_bytes": objects_bytes, "links_bytes": links_bytes}


def compressed_change(home: Path, changed_file: str) -> Numbers:
    """Return how many bytes zstd makes of the JSON of what was changed, at the product's level."""
    changed = Changed(**json.loads(Path(changed_file).read_text(encoding="utf-8")))
    with opened(home) as application:
        repository = application.repository
        (tenant_id,) = repository.list_tenants()
        newest = repository.list_snapshot_ids(tenant_id)[-1]
        state = application.catalog.state(tenant_id, newest)
        lines = [
            orjson.dumps(item.properties)
            for kind, ids in (("user", changed.user_ids), ("group", changed.group_ids))
            for item in state.load_objects(kind, list(ids)).values()
        ]
    links = [
        orjson.dumps({"source": source, "target": target, "added": is_added})
        for source, target, is_added in changed.links
    ]
    return {
        "objects": len(lines),
        "links": len(links),
        "objects_bytes": _compressed(lines),
        "links_bytes": _compressed(links),
    }


ACTS["export"] = export
ACTS["compressed_change"] = compressed_change


def _write_objects(state: TenantState, kind: str, root: Path, sample: int) -> int:
    size = 0
    lines = sorted((item.id, orjson.dumps(item.properties)) for item in state.list_objects(kind))
    if kind == "user":
        for object_id, line in lines[:sample]:
            _write(root / "files" / object_id[:2] / f"{object_id}.json", [line])
    for number, piece in enumerate(_pieces(lines)):
        path = root / "pages" / kind / f"{number:05d}.jsonl"
        size += _write(path, [line for _, line in piece])
    return size


def _write_links(state: TenantState, name: str, root: Path) -> int:
    links = sorted(
        (link.source_id, link.target_id, link.qualifier) for link in state.list_relationships(name)
    )
    return sum(
        _write(root / "pages" / name / f"{number:05d}.jsonl", [_link_line(link) for link in piece])
        for number, piece in enumerate(_pieces(links))
    )


def _link_line(link: tuple[str, str, str]) -> bytes:
    source, target, qualifier = link
    found = {"source": source, "target": target}
    return orjson.dumps({**found, "qualifier": qualifier} if qualifier else found)


def _pieces(items: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(items)
    while piece := list(islice(iterator, LINES_A_FILE)):
        yield piece


def _write(path: Path, lines: list[bytes]) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.write_bytes(b"\n".join(lines) + b"\n")


def _compressed(lines: list[bytes]) -> int:
    return len(pa.Codec("zstd", compression_level=3).compress(b"\n".join(lines)))
