"""Ask for many small lists at once: a backup of an unchanged tenant should cost a few requests."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reentra import errors
from reentra.backup import queries
from reentra.directory.kinds import KINDS, ObjectKind
from reentra.directory.objects import canonical_id
from reentra.directory.relationships import Reading, relationships_of
from reentra.graph import batch, client, odata
from reentra.graph.addresses import query_string, segment

Params = Mapping[str, str | int]

# One request a second for the whole tenant (learn.microsoft.com/graph/throttling-limits): two of
# them in one batch only make the second one fail.
_PACED = ("/identity/conditionalAccess/",)
# Kinds that may be so many that their lists are better read when they are needed.
_LARGE = frozenset({"user", "group"})
# Answers that are kept until their unit is read take memory, and a batch that is full anyway
# saves nothing: what is asked of more objects than these is asked at its turn.
FEW_SOURCES = 200

# Answers of a batch that asking again would not change.
_FINAL = (errors.Forbidden, errors.GraphNotFound, errors.DeltaExpired)
# What a batch has repeated already, with all patience, when it gives it.
_REPEATED = frozenset((429, 500, 502, 503, 504))


class ReadAhead:
    """Gives pages of lists and deltas; the first pages of those prepared come from few batches.

    What is prepared is used as often as it was asked for. What went wrong in a batch, other than a
    refusal or a failure that lasted, is simply asked for again by itself.
    """

    def __init__(self, graph: client.GraphClient) -> None:
        self._graph = graph
        self._root = graph.url("")
        self._answers: dict[str, batch.BatchResponse] = {}
        self._uses: collections.Counter[str] = collections.Counter()
        self._paced: list[str] = []  # addresses that have found no place yet
        self._links: list[str] = []  # second pages of what came

    def prepare(self, lists: Sequence[tuple[str, Params]], delta_links: Iterable[str] = ()) -> None:
        """Fetch the first pages of ``lists``, paths and their queries, and of ``delta_links``."""
        wanted = [_address(path, params) for path, params in lists]
        # Another link is followed by itself, or refused, when its turn comes.
        wanted += [self._relative(one) for one in delta_links if one.startswith(self._root)]
        self._fetch(wanted)

    def prepare_further(self, addresses: Iterable[str]) -> None:
        """Fetch lists that the first ones told of, and the second pages of all."""
        self._fetch([*addresses, *self._links])
        self._fetch(self._links)

    def _fetch(self, addresses: Iterable[str]) -> None:
        self._uses.update(addresses := list(addresses))
        self._links = []
        wanted = list(dict.fromkeys(addresses))
        self._paced += [one for one in wanted if one.startswith(_PACED)]
        wanted = [one for one in wanted if not one.startswith(_PACED)]
        sent: list[str] = []
        while wanted:
            chunk = self._paced[:1]
            del self._paced[:1]
            room = batch.MAX_REQUESTS - len(chunk)
            sent += [*chunk, *wanted[:room]]
            del wanted[:room]
        if len(sent) < 2:
            return
        responses = self._graph.batch([batch.BatchRequest("GET", one) for one in sent])
        for address, response in zip(sent, responses, strict=True):
            if _is_final(response):
                self._answers[address] = response
                self._note_second_page(response.body)

    def _note_second_page(self, body: Any) -> None:
        link = body.get("@odata.nextLink") if isinstance(body, Mapping) else None
        # A delta's link may have grown old when its turn comes.
        if isinstance(link, str) and link.startswith(self._root) and "/delta" not in link:
            self._links.append(self._relative(link))

    def _relative(self, link: str) -> str:
        return link.removeprefix(self._root)

    def _take(self, address: str) -> batch.BatchResponse | None:
        """Return the answer that is there for ``address``; it is dropped after its last use."""
        response = self._answers.get(address)
        if response is not None:
            self._uses[address] -= 1
            if self._uses[address] <= 0:
                self._drop(address)
        return response

    def _drop(self, address: str) -> None:
        self._answers.pop(address, None)
        self._uses.pop(address, None)

    def first_items(self, path: str, params: Params) -> list[dict[str, Any]]:
        """Return the entries of a prepared list's first page; nothing when it did not come.

        What is wrong with it is told when its turn comes.
        """
        response = self._answers.get(_address(path, params))
        try:
            return list(odata.page_from_body(response.unwrap(), path).items) if response else []
        except errors.GraphError:
            return []

    def get(self, path: str) -> dict[str, Any]:
        """Fetch a single resource."""
        response = self._take(path)
        if response is not None and (response.error or isinstance(response.body, dict)):
            return dict(response.unwrap())
        return self._graph.get(path)

    def get_anew(self, path: str) -> dict[str, Any]:
        """Fetch a resource whatever was prepared."""
        self._drop(path)
        return self._graph.get(path)

    def pages(self, path: str, params: Params) -> Iterator[odata.Page]:
        """Fetch a list, page by page."""
        response = self._take(_address(path, params))
        if response is None:
            yield from self._graph.pages(path, params)
            return
        page = odata.page_from_body(response.unwrap(), path)
        yield page
        if page.next_link:
            yield from self.pages_from(page.next_link)

    def pages_from(self, link: str) -> Iterator[odata.Page]:
        """Fetch the rest of a list, page by page."""
        while link:
            response = self._take(self._relative(link))
            if response is None:
                yield from self._graph.pages(link)
                return
            page = odata.page_from_body(response.unwrap(), link)
            yield page
            link = page.next_link

    def each(self, addresses: Sequence[str]) -> list[batch.BatchResponse]:
        """Fetch each address; those that are not prepared come in batches. Failures are answers."""
        found = {one: self._take(one) for one in addresses}
        missing = [one for one, response in found.items() if response is None]
        responses = self._graph.batch([batch.BatchRequest("GET", one) for one in missing])
        asked = dict(zip(missing, responses, strict=True))
        return [found[one] or asked[one] for one in addresses]

    def delta(self, link: str) -> Iterator[odata.Page]:
        """Fetch a delta round that begins at ``link``, page by page.

        A prepared page is used where it is the whole round: the next link of another one may have
        grown old meanwhile. Raises: ``errors.DeltaExpired``: read the kind in full.
        """
        response = self._take(self._relative(link))
        if response is not None:
            page = odata.page_from_body(response.unwrap(), link)
            if page.delta_link and not page.next_link:
                yield page
                return
        yield from self._graph.delta(link)


def lists_of_unit(
    head: str, tracked: frozenset[str], supplements: Sequence[str]
) -> list[tuple[str, Params]]:
    """Return the lists that reading the unit will begin with, as far as they are small.

    ``supplements`` are the properties that must be asked for in a list of their own.
    """
    row = KINDS[head]
    if head in _LARGE:
        return []
    lists: list[tuple[str, Params]] = []
    if row.is_singleton or row.embedded_in:
        lists.append((row.list_path, {}))
    elif not row.delta_path:
        lists.append((row.list_path, queries.list_params(row, row.select)))
    if supplements:
        lists.append((row.list_path, queries.supplement_params(supplements)))
    lists += [
        (row.list_path, queries.expand_params(link))
        for link in relationships_of(head)
        if link.reading is Reading.EXPAND and link.name not in tracked
    ]
    for kind in _listed_targets(head):
        lists.append((kind.list_path, queries.list_params(kind, kind.select)))
    return lists


def is_asked_by_object(head: str) -> bool:
    """Tell whether something is listed once for each object of the kind."""
    return bool(_paths_by_object(head))


def further_lists_of_unit(head: str, source_ids: Iterable[str], lists: ReadAhead) -> list[str]:
    """Return the addresses of what the unit lists for each of its objects and link targets.

    Targets are those that prepared lists told of.
    """
    addresses = [
        path.replace("{id}", segment(one)) for one in source_ids for path in _paths_by_object(head)
    ]
    for link in relationships_of(head):
        if link.reading is Reading.PER_TARGET:
            for kind in (KINDS[name] for name in link.target_kinds):
                params = queries.list_params(kind, kind.select)
                for item in lists.first_items(kind.list_path, params):
                    if isinstance(item.get("id"), str):
                        path = queries.sources_path(link)
                        addresses.append(path.replace("{id}", segment(canonical_id(item["id"]))))
    return addresses


def _listed_targets(head: str) -> list[ObjectKind]:
    """Return the kinds whose objects tell, one by one, of links of ``head``."""
    links = [link for link in relationships_of(head) if link.reading is Reading.PER_TARGET]
    return [KINDS[name] for link in links for name in link.target_kinds]


def _paths_by_object(head: str) -> list[str]:
    paths = [row.list_path for row in KINDS.values() if row.per_source_of == head]
    links = [link for link in relationships_of(head) if link.reading is Reading.PER_SOURCE]
    return paths + [link.list_path for link in links]


def _is_final(response: batch.BatchResponse) -> bool:
    if response.error is None or isinstance(response.error, _FINAL):
        return True
    return response.was_answered and response.status in _REPEATED


def _address(path: str, params: Params) -> str:
    return f"{path}?{query_string(params)}" if params else path
