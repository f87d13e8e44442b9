"""Ask for many small lists at once: a backup of an unchanged tenant should cost a few requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reentra import errors
from reentra.backup import queries
from reentra.directory.kinds import KINDS
from reentra.directory.relationships import Reading, relationships_of
from reentra.graph import addresses, batch, client, odata

Params = Mapping[str, str | int]

# One request a second for the whole tenant (learn.microsoft.com/graph/throttling-limits): two of
# them in one batch only make the second one fail.
_PACED = ("/identity/conditionalAccess/",)
# Kinds that may be so many that their lists are better read when they are needed.
_LARGE = frozenset({"user", "group"})


# Answers of a batch that asking again would not change.
_FINAL = (errors.Forbidden, errors.DeltaExpired)


class ReadAhead:
    """Gives pages of lists and deltas; the first pages of those prepared come from few batches.

    What is prepared is used once. What went wrong in a batch, other than a refusal, is simply
    asked for again by itself.
    """

    def __init__(self, graph: client.GraphClient) -> None:
        self._graph = graph
        self._answers: dict[str, batch.BatchResponse] = {}

    def prepare(self, lists: Sequence[tuple[str, Params]], delta_links: Iterable[str] = ()) -> None:
        """Fetch the first pages of ``lists``, paths and their queries, and of ``delta_links``."""
        wanted = [_address(path, params) for path, params in lists if not path.startswith(_PACED)]
        root = self._graph.url("")
        # Another link is followed by itself, or refused, when its turn comes.
        wanted += [link.removeprefix(root) for link in delta_links if link.startswith(root)]
        paths = list(dict.fromkeys(wanted))
        if len(paths) < 2:
            return
        requests = [batch.BatchRequest("GET", path) for path in paths]
        for path, response in zip(paths, self._graph.batch(requests), strict=True):
            if response.error is None or isinstance(response.error, _FINAL):
                self._answers[path] = response

    def get(self, path: str) -> dict[str, Any]:
        """Fetch a single resource."""
        response = self._answers.pop(path, None)
        if response is not None and (response.error or isinstance(response.body, dict)):
            return dict(response.unwrap())
        return self._graph.get(path)

    def pages(self, path: str, params: Params) -> Iterator[odata.Page]:
        """Fetch a list, page by page."""
        response = self._answers.pop(_address(path, params), None)
        if response is None:
            yield from self._graph.pages(path, params)
            return
        page = odata.page_from_body(response.unwrap(), path)
        yield page
        if page.next_link:
            yield from self._graph.pages(page.next_link)

    def delta(self, link: str) -> Iterator[odata.Page]:
        """Fetch a delta round that begins at ``link``, page by page.

        A prepared page is used where it is the whole round: the next link of another one may have
        grown old meanwhile. Raises: ``errors.DeltaExpired``: read the kind in full.
        """
        response = self._answers.pop(link.removeprefix(self._graph.url("")), None)
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
    return lists


def _address(path: str, params: Params) -> str:
    return f"{path}?{addresses.query_string(params)}" if params else path
