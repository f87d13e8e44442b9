"""Which writes may be under way side by side: batches in flight that never touch one object twice.

Two writes of the same object at once are refused by Graph as a conflict, inside of a batch and
across batches (learn.microsoft.com/graph/json-batching). Pure but for the threads.
"""

from __future__ import annotations

import concurrent.futures
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from reentra.graph.batch import MAX_REQUESTS

BATCHES_IN_FLIGHT = 8
"""At 3,000 writes in 150 s a batch of twenty may go each second, and is answered within a few."""

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Flight:
    """One batch: positions of the whole list, all of different objects unless it is a chain."""

    positions: tuple[int, ...]
    is_chain: bool


class Lanes:
    """Hands out batches. Positions with the same key keep their order and never fly together."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._waiting: dict[str, deque[int]] = {}
        for position, key in enumerate(keys):
            # What locks nothing is a lane of its own.
            self._waiting.setdefault(key or f"#{position}", deque()).append(position)
        self._keys = dict(enumerate(keys))
        self._flying: set[str] = set()

    def next_flight(self) -> Flight | None:
        """Return a batch that may go beside those in flight, or ``None`` when none may.

        One write of each of twenty objects where there are so many; else a chain of one object's
        writes, so that a group with a thousand new members costs three round trips, not fifty.
        """
        free = [key for key in self._waiting if key not in self._flying]
        if not free:
            return None
        if len(free) < MAX_REQUESTS:
            longest = max(free, key=lambda key: len(self._waiting[key]))
            if len(self._waiting[longest]) > 1:
                return self._taken([longest], MAX_REQUESTS)
        return self._taken(free[:MAX_REQUESTS], 1)

    def landed(self, flight: Flight) -> None:
        """Say that a batch was answered, so that later writes of its objects may go."""
        self._flying -= {self._key(position) for position in flight.positions}

    def _taken(self, keys: Sequence[str], most: int) -> Flight:
        positions: list[int] = []
        for key in keys:
            lane = self._waiting[key]
            positions += [lane.popleft() for _ in range(min(most, len(lane)))]
            if not lane:
                del self._waiting[key]
        self._flying.update(keys)
        return Flight(tuple(positions), is_chain=len(keys) < len(positions))

    def _key(self, position: int) -> str:
        return self._keys[position] or f"#{position}"


@dataclass(frozen=True, slots=True)
class SideBySide(Generic[_Answer]):
    """Sends a list in batches, several at a time.

    ``send`` sends one batch and returns an answer each, or raises; it is called from several
    threads. ``stops`` says of a batch's answers whether sending more would be in vain; then the
    rest gets what ``unsent`` makes of them.
    """

    send: Callable[[Flight], Sequence[_Answer]]
    stops: Callable[[Sequence[_Answer]], bool]
    unsent: Callable[[int, Sequence[_Answer]], _Answer]
    most: int = BATCHES_IN_FLIGHT

    def answers(self, keys: Sequence[str]) -> list[_Answer]:
        """Return one answer for each key, in order."""
        lanes = Lanes(keys)
        found: dict[int, _Answer] = {}
        if len(keys) <= MAX_REQUESTS:
            stop = self._one_by_one(lanes, found)
        else:
            stop = self._in_threads(lanes, found)
        for position in range(len(keys)):
            if stop is not None and position not in found:
                found[position] = self.unsent(position, stop)
        return [found[position] for position in range(len(keys))]

    def _one_by_one(self, lanes: Lanes, found: dict[int, _Answer]) -> Sequence[_Answer] | None:
        while (flight := lanes.next_flight()) is not None:
            answers = self.send(flight)
            found.update(zip(flight.positions, answers, strict=True))
            lanes.landed(flight)
            if self.stops(answers):
                return answers
        return None

    def _in_threads(self, lanes: Lanes, found: dict[int, _Answer]) -> Sequence[_Answer] | None:
        stop: Sequence[_Answer] | None = None
        with concurrent.futures.ThreadPoolExecutor(self.most, "writes") as pool:
            flying: dict[concurrent.futures.Future[Sequence[_Answer]], Flight] = {}
            while True:
                while stop is None and len(flying) < self.most:
                    flight = lanes.next_flight()
                    if flight is None:
                        break
                    flying[pool.submit(self.send, flight)] = flight
                if not flying:
                    return stop
                done, _ = concurrent.futures.wait(
                    flying, return_when=concurrent.futures.FIRST_COMPLETED
                )
                for future in done:
                    flight = flying.pop(future)
                    answers = future.result()
                    found.update(zip(flight.positions, answers, strict=True))
                    lanes.landed(flight)
                    if self.stops(answers):
                        stop = answers
