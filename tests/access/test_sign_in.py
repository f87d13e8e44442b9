"""Sessions, tokens, sign-in, and how often one may guess."""

from __future__ import annotations

import pytest

from reentra import errors
from reentra.access import EVERY_TENANT, Access, Permission, Person, Role, totp
from reentra.access.attempts import network_of
from reentra.access.sessions import csrf_token
from reentra.database.tables_access import SESSION, TOKEN

from .conftest import ADMIN, PASSWORD, HandClock, person

HERE = "192.0.2.7"


def test_the_right_password_opens_a_session(access: Access, adele: Person) -> None:
    found, secret = access.sign_in.by_password("Adele", PASSWORD, "", HERE)
    assert found.id == adele.id
    identity = access.sign_in.by_session(secret, HERE)
    assert identity is not None
    assert identity.is_allowed(Permission.PEOPLE)
    access.sign_in.end(secret, identity.actor)
    assert access.sign_in.by_session(secret, HERE) is None


def test_whatever_is_wrong_the_answer_is_the_same(access: Access, adele: Person) -> None:
    carl = person(access, "carl", Role.READER)
    access.people.set_disabled(ADMIN, carl.id, is_disabled=True)
    access.people.add(ADMIN, "nopassword", {})
    seed, _ = access.people.begin_totp(ADMIN, adele.id)
    access.people.confirm_totp(
        ADMIN, adele.id, totp.code_at(seed, totp.step_at(access.clock.now()))
    )
    told = set()
    for name, password in (
        ("nobody", PASSWORD), ("adele", "wrong"), ("adele", PASSWORD), ("carl", PASSWORD),
        ("nopassword", ""), ("", ""), ("adele", "x" * 10_000),
    ):  # fmt: skip
        with pytest.raises(errors.NotSignedIn) as failure:
            access.sign_in.by_password(name, password, "", HERE)
        told.add(str(failure.value))
    assert len(told) == 1


def test_a_session_ends_when_idle_and_when_old(
    access: Access, adele: Person, clock: HandClock
) -> None:
    secret = access.sessions.open(adele.id, HERE)
    for _ in range(24 * 2):
        clock.pass_seconds(29 * 60)
        if access.sessions.load(secret) is None:
            break
    lasted = clock.now() - clock.now().replace(hour=12, minute=0, day=23)
    assert 11.5 * 3600 < lasted.total_seconds() <= 12.5 * 3600
    secret = access.sessions.open(adele.id, HERE)
    clock.pass_seconds(30 * 60)
    assert access.sessions.load(secret) is None


def test_each_sign_in_has_a_session_of_its_own(access: Access, adele: Person) -> None:
    secrets = {access.sign_in.by_password("adele", PASSWORD, "", HERE)[1] for _ in range(3)}
    assert len(secrets) == 3
    assert len({csrf_token(secret) for secret in secrets}) == 3


def test_the_database_holds_hashes_only(access: Access, adele: Person) -> None:
    session = access.sessions.open(adele.id, HERE)
    _, token = access.tokens.create(ADMIN, adele, "t", EVERY_TENANT, Role.READER, 1)
    with access.database.reading() as connection:
        everything = str(connection.execute(SESSION.select()).all())
        everything += str(connection.execute(TOKEN.select()).all())
    assert session not in everything
    assert token not in everything
    assert token.split("_", 2)[2] not in everything


def test_a_token_does_less_than_its_owner_and_ends(
    access: Access, adele: Person, clock: HandClock
) -> None:
    _, secret = access.tokens.create(ADMIN, adele, "cron", "contoso", Role.OPERATOR, 7)
    identity = access.sign_in.by_token(secret, HERE)
    assert identity is not None
    assert identity.is_allowed(Permission.BACK_UP, "contoso")
    assert not identity.is_allowed(Permission.RESTORE, "contoso")
    assert not identity.is_allowed(Permission.BROWSE, "fabrikam")
    assert not identity.is_allowed(Permission.PEOPLE)
    clock.pass_seconds(7 * 86400)
    assert access.sign_in.by_token(secret, HERE) is None


def test_a_revoked_token_is_void_at_once(access: Access, adele: Person) -> None:
    token, secret = access.tokens.create(ADMIN, adele, "cron", "contoso", Role.OPERATOR, 7)
    assert access.sign_in.by_token(secret, HERE) is not None
    access.tokens.revoke(ADMIN, token.id)
    assert access.sign_in.by_token(secret, HERE) is None


def test_a_token_loses_what_its_owner_loses(access: Access, adele: Person) -> None:
    carl = person(access, "carl", Role.RESTORER, "contoso")
    _, secret = access.tokens.create(ADMIN, carl, "cron", "contoso", Role.RESTORER, 7)
    access.people.set_role(ADMIN, carl.id, "contoso", Role.READER)
    identity = access.sign_in.by_token(secret, HERE)
    assert identity is not None
    assert not identity.is_allowed(Permission.RESTORE, "contoso")
    assert identity.is_allowed(Permission.BROWSE, "contoso")


def test_nobody_makes_a_token_above_their_role(access: Access, adele: Person) -> None:
    carl = person(access, "carl", Role.OPERATOR, "contoso")
    for tenant, role in (
        ("contoso", Role.RESTORER),
        (EVERY_TENANT, Role.READER),
        ("other", Role.READER),
    ):
        with pytest.raises(errors.Refused):
            access.tokens.create(ADMIN, carl, "x", tenant, role, 7)
    with pytest.raises(errors.UsageError):
        access.tokens.create(ADMIN, carl, "x", "contoso", Role.READER, 5000)


def test_guessing_has_to_wait_and_waits_longer(
    access: Access, adele: Person, clock: HandClock
) -> None:
    def guess(name: str) -> int:
        try:
            access.sign_in.by_password(name, "wrong", "", HERE)
        except errors.TooManyAttempts as failure:
            return failure.wait_seconds
        except errors.NotSignedIn:
            return 0
        raise AssertionError("a wrong password was taken")

    for name in ("adele", "nobody"):
        assert [guess(name) for _ in range(5)] == [0] * 5
        assert guess(name) == 15
        clock.pass_seconds(15)
        assert guess(name) == 0
        assert guess(name) == 30
    with pytest.raises(errors.TooManyAttempts):
        access.sign_in.by_password("adele", PASSWORD, "", HERE)
    clock.pass_seconds(30)
    access.sign_in.by_password("adele", PASSWORD, "", HERE)
    assert guess("adele") == 0


def test_an_address_that_guesses_many_names_has_to_wait(access: Access, adele: Person) -> None:
    for number in range(30):
        with pytest.raises(errors.NotSignedIn):
            access.sign_in.by_password(f"name{number}", "wrong", "", HERE)
    with pytest.raises(errors.TooManyAttempts):
        access.sign_in.by_password("adele", PASSWORD, "", HERE)
    access.sign_in.by_password("adele", PASSWORD, "", "192.0.2.8")
    with pytest.raises(errors.TooManyAttempts):
        access.sign_in.by_token("reentra_x_y", HERE)


def test_wrong_tokens_count_against_the_address(access: Access, adele: Person) -> None:
    for number in range(30):
        assert access.sign_in.by_token(f"reentra_{number}_x", HERE) is None
    with pytest.raises(errors.TooManyAttempts):
        access.sign_in.by_token("reentra_x_y", HERE)


def test_sign_ins_and_failures_stand_in_the_trail(access: Access, adele: Person) -> None:
    access.sign_in.by_password("adele", PASSWORD, "", HERE)
    with pytest.raises(errors.NotSignedIn):
        access.sign_in.by_password("my-secret-typed-as-name", "wrong", "", HERE)
    denied, opened = access.trail.list_records(limit=2)
    assert (opened.action, opened.who, opened.address, opened.result) == (
        "session.open", "adele", HERE, "done",
    )  # fmt: skip
    assert (denied.who, denied.result) == ("unknown", "denied")
    assert "my-secret" not in str(denied)


def test_what_a_person_may_not_see_is_not_there(access: Access, adele: Person) -> None:
    carl = person(access, "carl", Role.READER, "contoso")
    identity = access.sign_in.by_session(access.sessions.open(carl.id, HERE), HERE)
    assert identity is not None
    identity.ensure(Permission.BROWSE, "contoso")
    with pytest.raises(errors.NotAllowed):
        identity.ensure(Permission.RESTORE, "contoso")
    with pytest.raises(errors.NotFound):
        identity.ensure(Permission.BROWSE, "fabrikam")
    with pytest.raises(errors.NotAllowed):
        identity.ensure(Permission.PEOPLE)


def test_other_rules_of_the_provider_take_roles_and_sessions_from_its_people(
    access: Access,
) -> None:
    from reentra.access.oidc import Provider, Rule

    actor = ADMIN
    rules = (Rule("groups", "g", Role.RESTORER, "contoso"),)
    access.save_provider(actor, Provider("https://x", "d", "c", "s", rules))
    guest = access.people.admit_external("x|1", "guest", {"contoso": Role.RESTORER}, actor)
    secret = access.sessions.open(guest.id, HERE)
    with pytest.raises(errors.UsageError, match="30 days"):
        access.tokens.create(actor, guest, "t", "contoso", Role.READER, 30)
    _, token = access.tokens.create(actor, guest, "t", "contoso", Role.READER, 7)
    access.save_provider(actor, Provider("https://x", "d", "c", "s2", rules))
    assert access.sign_in.by_session(secret, HERE) is not None
    access.save_provider(actor, Provider("https://x", "d", "c", "s", ()))
    assert access.sign_in.by_session(secret, HERE) is None
    found = access.sign_in.by_token(token, HERE)
    assert found is not None
    assert not found.is_allowed(Permission.BROWSE, "contoso")


def test_the_addresses_of_one_network_are_one_guesser(access: Access, adele: Person) -> None:
    for number in range(30):
        with pytest.raises(errors.NotSignedIn):
            access.sign_in.by_password(f"n{number}", "wrong", "", f"2001:db8:0:7::{number:x}")
    with pytest.raises(errors.TooManyAttempts):
        access.sign_in.by_password("adele", PASSWORD, "", "2001:db8:0:7:ffff::1%eth0")
    access.sign_in.by_password("adele", PASSWORD, "", "2001:db8:0:8::1")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:0:7::1", "2001:db8:0:7::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_the_network_of_an_address(address: str, network: str) -> None:
    assert network_of(address) == network


def test_sign_ins_that_are_begun_elsewhere_and_not_ended_are_bounded(
    access: Access, clock: HandClock
) -> None:
    for number in range(30):
        access.attempts.begin_flow(f"2001:db8:0:7::{number:x}")
    with pytest.raises(errors.TooManyAttempts):
        access.attempts.begin_flow("2001:db8:0:7::")
    access.attempts.begin_flow("2001:db8:0:8::")
    access.attempts.succeed_flow("2001:db8:0:7::1")
    access.attempts.begin_flow("2001:db8:0:7::")
    clock.pass_seconds(3601)
    access.attempts.begin_flow("2001:db8:0:7::")


def denied_tokens(access: Access) -> list[tuple[str, str, str]]:
    return [
        (record.who, record.target, record.detail)
        for record in access.trail.list_records(limit=500)
        if (record.action, record.result) == ("token.use", "denied")
    ]


def test_a_token_that_is_not_good_any_more_is_told_in_the_trail_once_a_minute(
    access: Access, adele: Person, clock: HandClock
) -> None:
    token, secret = access.tokens.create(ADMIN, adele, "cron", "contoso", Role.OPERATOR, 7)
    access.tokens.revoke(ADMIN, token.id)
    for _ in range(5):
        access.sign_in.by_token(secret, HERE)
    assert denied_tokens(access) == [("adele", token.id, '{"why":"revoked"}')]
    access.sign_in.by_token(secret, "192.0.2.99")
    clock.pass_seconds(61)
    access.sign_in.by_token(secret, HERE)
    assert len(denied_tokens(access)) == 3
    assert secret not in str(access.trail.list_records(limit=500))
    old, expired = access.tokens.create(ADMIN, adele, "old", "contoso", Role.OPERATOR, 1)
    clock.pass_seconds(86400)
    access.sign_in.by_token(expired, HERE)
    assert denied_tokens(access)[0] == ("adele", old.id, '{"why":"expired"}')
    access.sign_in.by_token("reentra_made_up", HERE)
    assert denied_tokens(access)[0] == ("unknown", "unknown", '{"why":"never given out"}')


def test_a_flood_of_denied_tokens_is_no_flood_of_records(access: Access, adele: Person) -> None:
    for number in range(300):
        access.sign_in.by_token("reentra_made_up", f"198.51.{number // 100}.{number % 100}")
    assert len(denied_tokens(access)) == 101


def test_the_same_name_in_other_letters_is_no_other_account_to_guess_at(access: Access) -> None:
    person(access, "anna", Role.READER)
    for name in ("anna", "ANNA", "\uff41nna", "ann\uff41", "\uff21NNA"):
        with pytest.raises(errors.NotSignedIn):
            access.sign_in.by_password(name, "wrong", "", "192.0.2.7")
    with pytest.raises(errors.TooManyAttempts):
        access.sign_in.by_password("\uff21nna", "wrong", "", "192.0.2.7")
