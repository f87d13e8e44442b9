"""Approvals: another person's word, for exactly that, once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reentra import errors
from reentra.access import Access, Actor, Person, Role, Via
from reentra.access.approvals import Approval
from reentra.access.oidc import Provider, Rule

from .conftest import ADMIN, HandClock, add_of_old, person

ADELE = Actor(Via.SESSION, "adele", "1")
BOB = Actor(Via.SESSION, "bob", "2")
DIGEST = "d" * 64


@pytest.fixture(autouse=True)
def _both(access: Access) -> None:
    add_of_old(access, ADELE, BOB)


def test_what_a_second_person_approved_can_be_done_once(access: Access) -> None:
    asked = access.approvals.ask(ADELE, "restore", "contoso", "plan1", DIGEST)
    with pytest.raises(errors.ApprovalNeeded):
        access.approvals.use(ADELE, "restore", "contoso", DIGEST)
    assert access.approvals.decide(BOB, asked.id, "contoso", is_granted=True).is_granted
    for action, tenant, digest in (
        ("restore", "fabrikam", DIGEST),
        ("prune", "contoso", DIGEST),
        ("restore", "contoso", "e" * 64),
    ):
        with pytest.raises(errors.ApprovalNeeded):
            access.approvals.use(ADELE, action, tenant, digest)
    access.approvals.use(ADELE, "restore", "contoso", DIGEST)
    with pytest.raises(errors.ApprovalNeeded):
        access.approvals.use(ADELE, "restore", "contoso", DIGEST)


def test_nobody_approves_their_own(access: Access) -> None:
    asked = access.approvals.ask(ADELE, "restore", "contoso", "plan1", DIGEST)
    with pytest.raises(errors.Refused, match="for themselves"):
        access.approvals.decide(ADELE, asked.id, "contoso", is_granted=True)
    with pytest.raises(errors.Refused):
        access.approvals.decide(Actor(Via.COMMAND, "root"), asked.id, "contoso", is_granted=True)


def test_who_approved_is_not_who_applies(access: Access) -> None:
    asked = access.approvals.ask(ADELE, "restore", "contoso", "plan1", DIGEST)
    access.approvals.decide(BOB, asked.id, "contoso", is_granted=True)
    with pytest.raises(errors.ApprovalNeeded):
        access.approvals.use(BOB, "restore", "contoso", DIGEST)


def test_a_request_of_another_tenant_is_not_there(access: Access) -> None:
    asked = access.approvals.ask(ADELE, "restore", "contoso", "plan1", DIGEST)
    with pytest.raises(errors.NotFound):
        access.approvals.decide(BOB, asked.id, "fabrikam", is_granted=True)


def test_a_request_is_decided_once_and_gets_too_old(access: Access, clock: HandClock) -> None:
    asked = access.approvals.ask(ADELE, "restore", "contoso", "plan1", DIGEST)
    assert access.approvals.ask(ADELE, "restore", "contoso", "plan1", DIGEST).id == asked.id
    access.approvals.decide(BOB, asked.id, "contoso", is_granted=False)
    with pytest.raises(errors.Refused):
        access.approvals.decide(BOB, asked.id, "contoso", is_granted=True)
    with pytest.raises(errors.ApprovalNeeded):
        access.approvals.use(ADELE, "restore", "contoso", DIGEST)
    again = access.approvals.ask(ADELE, "restore", "contoso", "plan1", DIGEST)
    access.approvals.decide(BOB, again.id, "contoso", is_granted=True)
    clock.pass_seconds(24 * 3600)
    with pytest.raises(errors.ApprovalNeeded):
        access.approvals.use(ADELE, "restore", "contoso", DIGEST)
    assert [item.id for item in access.approvals.list_approvals("contoso")].count(asked.id) == 1


def test_the_use_of_an_approval_stands_in_the_trail(access: Access) -> None:
    asked = access.approvals.ask(ADELE, "restore", "contoso", "plan", "d")
    access.approvals.decide(BOB, asked.id, "contoso", is_granted=True)
    access.approvals.use(ADELE, "restore", "contoso", "d")
    record = access.trail.list_records(limit=1)[0]
    assert (record.action, record.who, record.target) == ("approval.use", ADELE.name, "plan")


def asker_and(access: Access) -> tuple[Actor, Approval]:
    anna = person(access, "anna", Role.ADMINISTRATOR)
    actor = Actor(Via.SESSION, "anna", anna.id)
    return actor, access.approvals.ask(actor, "restore", "contoso", "plan1", DIGEST)


def decides(access: Access, found: Person, asked: Approval) -> bool:
    actor = Actor(Via.SESSION, found.name, found.id)
    try:
        access.approvals.decide(actor, asked.id, "contoso", is_granted=True)
    except errors.Refused:
        return False
    return True


GIFTS: list[Callable[[Access, Actor, Person], object]] = [
    lambda access, by, to: access.people.renew_link(by, to.id),
    lambda access, by, to: access.people.set_role(by, to.id, "contoso", Role.RESTORER),
    lambda access, by, to: access.people.set_disabled(by, to.id, is_disabled=False),
    lambda access, by, to: access.people.drop_totp(by, to.id),
]


@pytest.mark.parametrize("gift", GIFTS)
@pytest.mark.parametrize("is_before", [True, False])
def test_to_whom_the_asker_gave_a_way_in_lately_does_not_decide(
    access: Access, clock: HandClock, gift: Callable[..., object], is_before: bool
) -> None:
    bob = person(access, "bob", Role.RESTORER)
    clock.pass_seconds(48 * 3600)
    anna = person(access, "anna", Role.ADMINISTRATOR)
    actor = Actor(Via.SESSION, "anna", anna.id)
    if is_before:
        gift(access, actor, bob)
    clock.pass_seconds(23 * 3600)
    asked = access.approvals.ask(actor, "restore", "contoso", "plan1", DIGEST)
    if not is_before:
        gift(access, actor, bob)
    assert not decides(access, bob, asked)
    assert decides(access, person(access, "carl", Role.RESTORER), asked)


def test_a_puppet_of_a_puppet_does_not_decide_either(access: Access) -> None:
    anna, asked = asker_and(access)
    bob, _ = access.people.add(anna, "bob", {"*": Role.ADMINISTRATOR})
    carl, _ = access.people.add(Actor(Via.TOKEN, "bob (t)", bob.id), "carl", {})
    assert not decides(access, bob, asked)
    assert not decides(access, carl, asked)


def test_who_lets_somebody_of_their_own_ask_does_not_decide(access: Access) -> None:
    carl = person(access, "carl", Role.ADMINISTRATOR)
    by = Actor(Via.SESSION, "carl", carl.id)
    puppets = [access.people.add(by, name, {"*": Role.ADMINISTRATOR})[0] for name in ("p1", "p2")]
    of_puppet, _ = access.people.add(
        Actor(Via.SESSION, "p1", puppets[0].id), "p3", {"*": Role.ADMINISTRATOR}
    )
    for asker in (*puppets, of_puppet):
        actor = Actor(Via.SESSION, asker.name, asker.id)
        asked = access.approvals.ask(actor, "restore", "contoso", "plan1", DIGEST)
        for one in (carl, *puppets, of_puppet):
            assert not decides(access, one, asked)
        assert decides(access, person(access, f"dora-{asker.name}", Role.RESTORER), asked)


def test_the_word_of_somebody_who_lost_the_role_since_is_void(access: Access) -> None:
    anna, asked = asker_and(access)
    bob = person(access, "bob", Role.RESTORER, "contoso")
    assert decides(access, bob, asked)
    access.people.set_role(ADMIN, bob.id, "contoso", Role.OPERATOR)
    with pytest.raises(errors.ApprovalNeeded):
        access.approvals.use(anna, "restore", "contoso", DIGEST)
    access.people.set_role(ADMIN, bob.id, "contoso", Role.RESTORER)
    access.approvals.use(anna, "restore", "contoso", DIGEST)


def test_after_a_day_they_decide_what_is_asked_then(access: Access, clock: HandClock) -> None:
    anna, _ = asker_and(access)
    bob, _ = access.people.add(anna, "bob", {"*": Role.ADMINISTRATOR})
    clock.pass_seconds(24 * 3600 + 1)
    asked = access.approvals.ask(anna, "restore", "contoso", "plan2", "e" * 64)
    assert decides(access, bob, asked)


def test_who_says_which_groups_have_roles_is_not_approved_by_people_from_there(
    access: Access,
) -> None:
    anna, asked = asker_and(access)
    guest = access.people.admit_external("x|1", "guest", {"*": Role.RESTORER}, anna)
    access.save_provider(anna, Provider("https://x", "d", "c", "s", ()))
    assert not decides(access, guest, asked)
    assert decides(access, person(access, "carl", Role.RESTORER), asked)


def test_the_word_of_somebody_who_was_shut_out_since_is_void(access: Access) -> None:
    anna, asked = asker_and(access)
    bob = person(access, "bob", Role.RESTORER)
    assert decides(access, bob, asked)
    access.people.set_disabled(ADMIN, bob.id, is_disabled=True)
    with pytest.raises(errors.ApprovalNeeded):
        access.approvals.use(anna, "restore", "contoso", DIGEST)


def test_a_tenant_that_is_disconnected_leaves_nothing_to_the_next_of_its_name(
    access: Access,
) -> None:
    anna, asked = asker_and(access)
    bob = person(access, "bob", Role.RESTORER, "contoso")
    bob = access.people.set_role(ADMIN, bob.id, "fabrikam", Role.READER)
    rules = tuple(Rule("groups", "g", Role.READER, name) for name in ("contoso", "fabrikam"))
    access.save_provider(ADMIN, Provider("https://x", "d", "c", "s", rules))
    tokens = [
        access.tokens.create(ADMIN, bob, name, name, Role.READER, 7)[1]
        for name in ("contoso", "fabrikam")
    ]
    assert decides(access, person(access, "carl", Role.RESTORER), asked)
    access.forget_tenant(anna, "contoso", "contoso#1")
    record = access.trail.list_records(limit=1)[0]
    assert (record.action, record.who, record.tenant) == ("tenant.forget", "anna", "contoso")
    assert record.detail == '{"approvals":1,"roles":1,"tokens":1}'
    assert access.people.load(bob.id).grants == {"fabrikam": Role.READER}
    assert [access.sign_in.by_token(token, "") is None for token in tokens] == [True, False]
    assert access.approvals.list_approvals("contoso") == []
    provider = access.load_provider()
    assert provider is not None
    assert [rule.tenant for rule in provider.rules] == ["fabrikam"]
    with pytest.raises(errors.ApprovalNeeded):
        access.approvals.use(anna, "restore", "contoso", DIGEST)
