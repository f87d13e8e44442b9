"""Read lists, expansions and per-object lists of Graph for a backup, ahead of who consumes them."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reentra import errors
from reentra.backup import queries
from reentra.backup.ahead import ReadAhead
from reentra.directory.kinds import ObjectKind, kind_of_odata_type
from reentra.directory.objects import Relationship, canonical_id
from reentra.directory.relationships import RelationshipKind
from reentra.graph import addresses, batch, object_reads

EXPANDED_TARGETS = 20  # $expand gives no more and no link (learn.microsoft.com/graph/known-issues)

_NORMAL_COLLECTION = gc.get_threshold()
# Containers made between two looks for circular garbage. A page of users is some ten thousand of
# them, none of which is circular, and Python would otherwise walk through them again and again.
_RARE_COLLECTION = (100_000, 20, 20)


@contextlib.contextmanager
def rare_collection() -> Iterator[None]:
    """Let Python look for circular garbage seldom while pages are read; it is for the process."""
    gc.set_threshold(*_RARE_COLLECTION)
    try:
        yield
    finally:
        gc.set_threshold(*_NORMAL_COLLECTION)


def list_kind(
    lists: ReadAhead, row: ObjectKind, select: Sequence[str]
) -> Iterator[Iterable[dict[str, Any]]]:
    """Fetch a kind that has no delta, page by page."""
    if row.is_singleton:
        body = lists.get(row.list_path)
        # Older versions of some policies answer with a collection of one.
        yield body["value"] if isinstance(body.get("value"), list) else [body]
        return
    if row.embedded_in:
        yield object_reads.embedded(row, lists.get(row.list_path))
        return
    is_first = True
    try:
        for page in lists.pages(row.list_path, queries.list_params(row, select)):
            is_first = False
            yield page.items
    except errors.InvalidRequest:
        if not is_first or row.name != object_reads.ROLE_ASSIGNMENT:
            raise
        for page in object_reads.pages_by_role(lists.pages):
            yield page.items


def list_expanded(
    lists: ReadAhead, row: ObjectKind, relationship: RelationshipKind
) -> Iterator[tuple[list[str], dict[str, list[Relationship]]]]:
    """Fetch a relationship by ``$expand``: the sources of each page, and links by source.

    Sources without links have none there. A source with ``EXPANDED_TARGETS`` links may have more.
    A manager-like single object is not expected here. Raises: ``errors.InvalidRequest`` where the
    server does not support the expansion.
    """
    for page in lists.pages(row.list_path, queries.expand_params(relationship)):
        source_ids: list[str] = []
        found: dict[str, list[Relationship]] = {}
        for item in page.items:
            targets = item.get(relationship.property)
            if not isinstance(targets, list):
                raise errors.InvalidRequest(
                    f"Graph did not expand {relationship.property} of {row.list_path}.", status=200
                )
            source_id = canonical_id(item["id"])
            source_ids.append(source_id)
            if targets:
                found[source_id] = [link_to(relationship, source_id, one) for one in targets]
        yield source_ids, found


def list_per_source(
    lists: ReadAhead, path: str, source_ids: Sequence[str]
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Fetch one list for each source, twenty to a batch.

    A source that is gone meanwhile (404) has an empty list. Raises: the first other error;
    ``errors.Unavailable`` when Graph says of a source that it is there and of its list that it is
    not, for that is a replica that is behind, and no deletion.
    """
    for start in range(0, len(source_ids), batch.MAX_REQUESTS * 5):
        chunk = source_ids[start : start + batch.MAX_REQUESTS * 5]
        found = lists.each([path.replace("{id}", addresses.segment(one)) for one in chunk])
        for source_id, response in zip(chunk, found, strict=True):
            body = response.body
            if isinstance(response.error, errors.GraphNotFound):
                body = _list_of_doubted(lists, path, source_id)
                if body is None:
                    yield source_id, []
                    continue
            elif response.error is not None:
                raise response.error
            if not isinstance(body, Mapping) or not isinstance(body.get("value"), list):
                raise errors.Unavailable(f"Graph's answer to {path} is not a list.")
            items = list(body["value"])
            for page in lists.pages_from(str(body.get("@odata.nextLink") or "")):
                items.extend(page.items)
            yield source_id, items


def _list_of_doubted(lists: ReadAhead, path: str, source_id: str) -> Any:
    """Fetch again a list that was told not to be there; ``None`` when its source is gone too."""
    source, _, _ = path.partition("{id}")
    source_path = source + addresses.segment(source_id)
    try:
        lists.get_anew(f"{source_path}?$select=id")
    except errors.GraphNotFound:
        return None
    try:
        return lists.get_anew(path.replace("{id}", addresses.segment(source_id)))
    except errors.GraphNotFound as error:
        raise errors.Unavailable(
            f"Graph says that {source_path} is there and that its list ({path}) is not; what is"
            " known of it is kept.",
            status=error.status,
            request_id=error.request_id,
        ) from error


def id_of(row: ObjectKind, item: Mapping[str, Any]) -> str:
    """Return the id of an entry of a kind. Raises: ``errors.Unavailable`` when it has none."""
    object_id = item.get("id")
    if not isinstance(object_id, str) or not object_id:
        raise errors.Unavailable(f"Graph returned a {row.name} without an id.")
    return canonical_id(object_id)


def link_to(row: RelationshipKind, source_id: str, item: Mapping[str, Any]) -> Relationship:
    """Return the link that one entry of a relationship's list tells.

    Raises: ``errors.Unavailable`` when it names no target.
    """
    if row.name == "administrativeUnit.scopedRoleMembers":
        target = (item.get("roleMemberInfo") or {}).get("id")
        qualifier = str(item.get("roleId") or "")
        target_kind = ""
    else:
        target, qualifier = item.get("id"), ""
        target_kind = kind_of_odata_type(str(item.get("@odata.type", "")))
        if not target_kind and len(row.target_kinds) == 1:
            target_kind = row.target_kinds[0]
    if not isinstance(target, str) or not target:
        raise errors.Unavailable(f"Graph returned a link of {source_id} without a target.")
    return Relationship(row.name, source_id, canonical_id(target), target_kind, qualifier)
