"""What two do at the same moment: one wins, or both count; nothing falls over."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from reentra import errors
from reentra.access import EVERY_TENANT, Access, Actor, Person, Role, Via, people, totp
from reentra.database.tables_access import ATTEMPT

from .conftest import ADMIN, PASSWORD, add_of_old, person

HERE = "192.0.2.7"


def at_once(*calls: Callable[[], object]) -> list[errors.Error | None]:
    """Run all at the same moment and return how each ended; anything unforeseen is raised."""
    ready = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> errors.Error | None:
        ready.wait()
        try:
            call()
        except errors.Error as failure:
            return failure
        return None

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.fixture
def hesitating(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everybody who looks for an administrator wait for another one who looks."""
    look = people._ensure_administered
    together = threading.Barrier(2, timeout=0.5)

    def look_together(connection: sa.Connection) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait()
        look(connection)

    monkeypatch.setattr(people, "_ensure_administered", look_together)


@pytest.mark.usefixtures("hesitating")
def test_of_two_last_administrators_one_remains(access: Access, adele: Person) -> None:
    bob = person(access, "bob", Role.ADMINISTRATOR)
    ended = at_once(
        lambda: access.people.set_role(ADMIN, adele.id, EVERY_TENANT, Role.READER),
        lambda: access.people.set_disabled(ADMIN, bob.id, is_disabled=True),
    )
    assert [type(failure) for failure in ended if failure] == [errors.Refused]


def test_failed_sign_ins_at_once_are_all_counted(access: Access) -> None:
    ended = at_once(*[lambda: access.attempts.begin("", HERE)] * 12)
    assert ended == [None] * 12
    with access.database.reading() as connection:
        assert connection.execute(sa.select(ATTEMPT.c.tries)).scalars().all() == [12]
    assert at_once(*[lambda: access.attempts.succeed("", HERE)] * 12) == [None] * 12
    with access.database.reading() as connection:
        assert connection.execute(sa.select(ATTEMPT.c.tries)).scalars().all() == [0]


def test_wrong_passwords_at_once_are_denied_or_have_to_wait(access: Access, adele: Person) -> None:
    ended = at_once(*[lambda: access.sign_in.by_password("adele", "wrong", "", HERE)] * 8)
    kinds = [type(failure) for failure in ended]
    assert kinds.count(errors.NotSignedIn) == 5
    assert kinds.count(errors.TooManyAttempts) == 3


def test_somebody_from_the_directory_who_comes_twice_at_once_is_one_person(access: Access) -> None:
    grants = {EVERY_TENANT: Role.READER}
    ended = at_once(*[lambda: access.people.admit_external("issuer|1", "guest", grants, ADMIN)] * 4)
    assert ended == [None] * 4
    assert [found.name for found in access.people.list_people()] == ["guest"]


def test_a_name_given_twice_at_once_is_given_once(access: Access) -> None:
    ended = at_once(*[lambda: access.people.add(ADMIN, "bob", {})] * 4)
    assert [type(failure) for failure in ended if failure] == [errors.AlreadyExists] * 3


def test_settings_saved_at_once_are_saved(access: Access) -> None:
    assert at_once(*[lambda: access.save_setting(ADMIN, "approval", {"a": 1})] * 4) == [None] * 4
    assert access.load_setting("approval") == {"a": 1}


ASKER = Actor(Via.SESSION, "asker", "1")
DECIDERS = [Actor(Via.SESSION, f"decider{number}", f"2{number}") for number in range(4)]
DIGEST = "d" * 64


def test_of_two_who_decide_at_once_one_decides(access: Access) -> None:
    asked = access.approvals.ask(ASKER, "restore", "contoso", "plan", DIGEST)
    ended = at_once(
        *[
            lambda actor=actor, yes=bool(number % 2): access.approvals.decide(  # type: ignore[misc]
                actor, asked.id, "contoso", is_granted=yes
            )
            for number, actor in enumerate(DECIDERS)
        ]
    )
    assert [type(failure) for failure in ended if failure] == [errors.Refused] * 3
    winner = DECIDERS[ended.index(None)]
    assert access.approvals.load(asked.id, "contoso").decided_by == winner.id
    actions = [record.action for record in access.trail.list_records()]
    assert actions.count("approval.decide") == 1


def test_who_decides_twice_at_once_decides_once(access: Access) -> None:
    asked = access.approvals.ask(ASKER, "restore", "contoso", "plan", DIGEST)
    ended = at_once(
        *[
            lambda: access.approvals.decide(DECIDERS[0], asked.id, "contoso", is_granted=True)
        ] * 4
    )  # fmt: skip
    assert [type(failure) for failure in ended if failure] == [errors.Refused] * 3


def test_an_approval_used_at_once_is_used_once(access: Access) -> None:
    add_of_old(access, DECIDERS[0])
    asked = access.approvals.ask(ASKER, "restore", "contoso", "plan", DIGEST)
    access.approvals.decide(DECIDERS[0], asked.id, "contoso", is_granted=True)
    ended = at_once(*[lambda: access.approvals.use(ASKER, "restore", "contoso", DIGEST)] * 6)
    assert [type(failure) for failure in ended if failure] == [errors.ApprovalNeeded] * 5
    actions = [record.action for record in access.trail.list_records()]
    assert actions.count("approval.use") == 1


def test_who_asks_twice_at_once_asks_once(access: Access) -> None:
    ended = at_once(
        *[lambda: access.approvals.ask(ASKER, "restore", "contoso", "plan", DIGEST)] * 4
    )
    assert ended == [None] * 4
    assert len(access.approvals.list_approvals("contoso")) == 1


def test_a_link_redeemed_at_once_is_redeemed_once(access: Access) -> None:
    _, secret = access.people.add(ADMIN, "bob", {})
    ended = at_once(*[lambda: access.people.set_up(secret, PASSWORD, HERE)] * 3)
    assert [type(failure) for failure in ended if failure] == [errors.UsageError] * 2


def test_a_recovery_code_used_at_once_is_used_once(access: Access, adele: Person) -> None:
    seed, _ = access.people.begin_totp(ADMIN, adele.id)
    step = totp.step_at(access.clock.now())
    codes = access.people.confirm_totp(ADMIN, adele.id, totp.code_at(seed, step))
    fitting: list[bool] = []
    at_once(*[lambda: fitting.append(access.people.use_code(adele.id, codes[0]))] * 4)
    assert sorted(fitting) == [False, False, False, True]
