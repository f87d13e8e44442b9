"""Batches in flight: several side by side, no object in two of them, order kept."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from reentra.graph.batch import MAX_REQUESTS
from reentra.graph.in_flight import BATCHES_IN_FLIGHT, Flight, Lanes, SideBySide

keys_of_writes = st.lists(st.sampled_from(["", *"abcdefgh"]), max_size=200)


@given(keys_of_writes, st.randoms(use_true_random=False))
def test_every_write_flies_once_in_its_objects_order_and_never_beside_another_of_it(
    keys: list[str], chance: object
) -> None:
    lanes = Lanes(keys)
    flying: list[Flight] = []
    flown: list[int] = []
    while True:
        flight = lanes.next_flight()
        if flight is None and not flying:
            break
        if flight is None or chance.random() < 0.4:  # type: ignore[attr-defined]
            if flight is not None:
                flying.append(flight)
                flown += flight.positions
            landing = flying.pop(chance.randrange(len(flying)))  # type: ignore[attr-defined]
            lanes.landed(landing)
            continue
        in_air = {keys[at] for one in flying for at in one.positions} - {""}
        assert not in_air & {keys[at] for at in flight.positions}
        assert 1 <= len(flight.positions) <= MAX_REQUESTS
        named = [keys[at] for at in flight.positions if keys[at]]
        assert flight.is_chain == (len(set(named)) < len(named))
        flying.append(flight)
        flown += flight.positions
    assert sorted(flown) == list(range(len(keys)))
    for key in set(keys) - {""}:
        own = [at for at in flown if keys[at] == key]
        assert own == sorted(own)


def test_a_thousand_links_of_one_group_take_few_round_trips() -> None:
    lanes = Lanes(["group"] * 50)
    sizes = []
    while (flight := lanes.next_flight()) is not None:
        assert lanes.next_flight() is None
        sizes.append((len(flight.positions), flight.is_chain))
        lanes.landed(flight)
    assert sizes == [(20, True), (20, True), (10, True)]


def test_batches_go_side_by_side_and_answers_come_back_in_order() -> None:
    everybody = threading.Barrier(BATCHES_IN_FLIGHT)

    def send(flight: Flight) -> Sequence[int]:
        everybody.wait(timeout=20)  # breaks unless as many are under way at once
        return [at * 10 for at in flight.positions]

    keys = [""] * (BATCHES_IN_FLIGHT * MAX_REQUESTS)
    sending = SideBySide(send, lambda _answers: False, lambda _at, _answers: -1)
    assert sending.answers(keys) == [at * 10 for at in range(len(keys))]


def test_nothing_more_is_sent_when_it_would_be_in_vain() -> None:
    sent: list[int] = []
    lock = threading.Lock()

    def send(flight: Flight) -> Sequence[str]:
        with lock:
            sent.extend(flight.positions)
        return ["refused" for _ in flight.positions]

    sending = SideBySide(send, lambda answers: answers[0] == "refused", lambda _at, _: "not sent")
    answers = sending.answers([""] * 1_000)
    assert 0 < len(sent) <= BATCHES_IN_FLIGHT * 2 * MAX_REQUESTS
    assert [at for at, answer in enumerate(answers) if answer == "refused"] == sorted(sent)
    assert answers.count("not sent") == 1_000 - len(sent)
