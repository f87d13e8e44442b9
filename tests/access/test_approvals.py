"""Approvals: another person's word, for exactly that, once."""

from __future__ import annotations

import pytest

from reentra import errors
from reentra.access import Access, Actor, Via

from .conftest import HandClock

ADELE = Actor(Via.SESSION, "adele", "1")
BOB = Actor(Via.SESSION, "bob", "2")
DIGEST = "d" * 64


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
