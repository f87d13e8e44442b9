"""People, their set-up links, passwords and second factors."""

from __future__ import annotations

import pytest

from reentra import errors
from reentra.access import EVERY_TENANT, Access, Person, Role, passwords, totp
from reentra.database.tables_access import RECOVERY_CODE

from .conftest import ADMIN, PASSWORD, REAL_COST, HandClock, person


def test_a_setup_link_works_once(access: Access) -> None:
    made, secret = access.people.add(ADMIN, "Adele", {EVERY_TENANT: Role.ADMINISTRATOR})
    assert (made.name, made.has_password) == ("adele", False)
    assert access.people.set_up(secret, PASSWORD, "192.0.2.1").has_password
    with pytest.raises(errors.UsageError, match="not good"):
        access.people.set_up(secret, PASSWORD, "192.0.2.1")


def test_a_setup_link_expires_and_a_new_one_replaces_it(access: Access, clock: HandClock) -> None:
    made, first = access.people.add(ADMIN, "adele", {})
    second = access.people.renew_link(ADMIN, made.id)
    with pytest.raises(errors.UsageError):
        access.people.set_up(first, PASSWORD, "")
    clock.pass_seconds(24 * 3600 + 1)
    with pytest.raises(errors.UsageError):
        access.people.set_up(second, PASSWORD, "")


@pytest.mark.parametrize(
    "weak", ["short", "adele-adele-adele", "aaaaaaaaaaaaaaaa", "Password1234567", "x" * 300]
)
def test_a_weak_password_is_refused_and_the_link_stays_good(access: Access, weak: str) -> None:
    _, secret = access.people.add(ADMIN, "adele", {})
    with pytest.raises(errors.UsageError, match="cannot be used"):
        access.people.set_up(secret, weak, "")
    assert access.people.set_up(secret, PASSWORD, "").has_password


def test_passwords_are_stored_as_argon2id_and_never_as_they_are() -> None:
    stored = passwords.hashed(PASSWORD)
    assert stored.startswith("$argon2id$v=19$")
    assert PASSWORD not in stored
    assert passwords.is_right(PASSWORD, stored)
    assert not passwords.is_right(PASSWORD + " ", stored)
    assert not passwords.is_right(PASSWORD, "")
    assert passwords.hashed(PASSWORD) != stored


def test_the_cost_of_a_guess_is_that_of_rfc_9106() -> None:
    assert REAL_COST == (64 * 1024, 3, 4)


def test_a_name_is_taken_once_whatever_its_case(access: Access, adele: Person) -> None:
    with pytest.raises(errors.AlreadyExists):
        access.people.add(ADMIN, "ADELE", {})
    with pytest.raises(errors.UsageError):
        access.people.add(ADMIN, "two words", {})
    assert access.people.find("Adele").id == adele.id


def test_the_last_local_administrator_stays_one(access: Access, adele: Person) -> None:
    outside = access.people.admit_external(
        "issuer|1", "bob", {EVERY_TENANT: Role.ADMINISTRATOR}, ADMIN
    )
    assert outside.is_external
    with pytest.raises(errors.Refused, match="no local administrator"):
        access.people.set_role(ADMIN, adele.id, EVERY_TENANT, Role.READER)
    with pytest.raises(errors.Refused, match="no local administrator"):
        access.people.set_disabled(ADMIN, adele.id, is_disabled=True)
    assert not access.people.load(adele.id).is_disabled
    person(access, "carl", Role.ADMINISTRATOR)
    assert access.people.set_role(ADMIN, adele.id, EVERY_TENANT, None).grants == {}


def test_disabling_somebody_ends_sessions_and_tokens(access: Access, adele: Person) -> None:
    carl = person(access, "carl", Role.READER)
    session = access.sessions.open(carl.id, "")
    _, token = access.tokens.create(ADMIN, carl, "script", "contoso", Role.READER, 10)
    access.people.set_disabled(ADMIN, carl.id, is_disabled=True)
    assert access.sessions.load(session) is None
    assert access.tokens.load(token) is None
    access.people.set_disabled(ADMIN, carl.id, is_disabled=False)
    assert access.sessions.load(session) is None
    assert access.tokens.load(token) is None


def test_changing_a_password_asks_for_the_old_one_and_ends_sessions(
    access: Access, adele: Person
) -> None:
    session = access.sessions.open(adele.id, "")
    with pytest.raises(errors.UsageError, match="present password"):
        access.people.change_password(ADMIN, adele.id, "wrong", "nine blue doors at dusk")
    assert access.sessions.load(session) is not None
    access.people.change_password(ADMIN, adele.id, PASSWORD, "nine blue doors at dusk")
    assert access.sessions.load(session) is None


def test_a_name_from_outside_that_looks_like_an_id_is_nobody_elses_id(
    access: Access, adele: Person
) -> None:
    seed, _ = access.people.begin_totp(ADMIN, adele.id)
    access.people.confirm_totp(
        ADMIN, adele.id, totp.code_at(seed, totp.step_at(access.clock.now()))
    )
    access.people.admit_external("issuer|1", adele.id, {}, ADMIN)
    assert access.people.load(adele.id).name == "adele"
    assert not access.people.use_code(adele.id, "000000")


def test_a_name_from_outside_never_takes_a_local_account_over(
    access: Access, adele: Person
) -> None:
    outside = access.people.admit_external("issuer|1", "adele", {}, ADMIN)
    assert outside.id != adele.id
    assert outside.name.startswith("adele#")
    assert outside.grants == {}
    again = access.people.admit_external("issuer|1", "other", {"contoso": Role.READER}, ADMIN)
    assert (again.id, dict(again.grants)) == (outside.id, {"contoso": Role.READER})
    with pytest.raises(errors.UsageError, match="identity provider"):
        access.people.set_role(ADMIN, outside.id, EVERY_TENANT, Role.ADMINISTRATOR)
    access.people.set_disabled(ADMIN, outside.id, is_disabled=True)
    with pytest.raises(errors.Refused, match="disabled"):
        access.people.admit_external("issuer|1", "other", {}, ADMIN)


def test_codes_are_those_of_rfc_6238() -> None:
    seed = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # 12345678901234567890, appendix B
    for seconds, code in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        assert totp.code_at(seed, seconds // 30) == code


def test_a_code_is_good_once_and_only_about_now(
    access: Access, adele: Person, clock: HandClock
) -> None:
    seed, name = access.people.begin_totp(ADMIN, adele.id)
    assert totp.uri(seed, name).startswith("otpauth://totp/Reentra%3Aadele?secret=")
    assert access.people.use_code(adele.id, "")  # begun is not yet on
    with pytest.raises(errors.UsageError, match="does not fit"):
        access.people.confirm_totp(ADMIN, adele.id, "000000")
    access.people.confirm_totp(ADMIN, adele.id, totp.code_at(seed, totp.step_at(clock.now())))
    clock.pass_seconds(60)
    code = totp.code_at(seed, totp.step_at(clock.now()))
    assert access.people.use_code(adele.id, code)
    assert not access.people.use_code(adele.id, code)
    clock.pass_seconds(120)
    assert not access.people.use_code(adele.id, code)
    access.people.drop_totp(ADMIN, adele.id)
    assert access.people.use_code(adele.id, "")


def test_the_seed_of_codes_is_sealed_in_the_database(access: Access, adele: Person) -> None:
    from reentra.database.tables_access import PERSON

    seed, _ = access.people.begin_totp(ADMIN, adele.id)
    with access.database.reading() as connection:
        assert seed not in str(connection.execute(PERSON.select()).all())


def with_codes(access: Access, found: Person) -> list[str]:
    seed, _ = access.people.begin_totp(ADMIN, found.id)
    step = totp.step_at(access.clock.now())
    return access.people.confirm_totp(ADMIN, found.id, totp.code_at(seed, step))


def test_a_recovery_code_is_good_once_in_place_of_a_code(access: Access, adele: Person) -> None:
    codes = with_codes(access, adele)
    assert len(set(codes)) == 8
    assert all(len(code.replace("-", "")) == 24 for code in codes)
    carl = person(access, "carl", Role.READER)
    with_codes(access, carl)
    assert not access.people.use_code(carl.id, codes[0])  # somebody else's
    assert access.sign_in.by_password("adele", PASSWORD, codes[0], "192.0.2.7")
    assert not access.people.use_code(adele.id, codes[0])
    assert access.people.use_code(adele.id, codes[1].upper().replace("-", " "))
    assert not access.people.use_code(adele.id, "")
    told = [r for r in access.trail.list_records() if r.action == "people.recovery"]
    assert [(r.target, r.address, r.detail) for r in reversed(told)] == [
        ("adele", "192.0.2.7", '{"left":7}'), ("adele", "", '{"left":6}'),
    ]  # fmt: skip
    assert not [code for code in codes if code in str(access.trail.list_records())]


def test_new_recovery_codes_and_none_make_the_old_ones_void(access: Access, adele: Person) -> None:
    with pytest.raises(errors.UsageError, match="no second factor"):
        access.people.renew_recovery_codes(ADMIN, adele.id)
    first = with_codes(access, adele)
    second = access.people.renew_recovery_codes(ADMIN, adele.id)
    assert not access.people.use_code(adele.id, first[0])
    assert access.people.use_code(adele.id, second[0])
    access.people.drop_totp(ADMIN, adele.id)
    third = with_codes(access, adele)
    assert not access.people.use_code(adele.id, second[1])
    with access.database.reading() as connection:
        kept = str(connection.execute(RECOVERY_CODE.select()).all())
    assert not [code for code in third if code in kept or code.replace("-", "") in kept]


@pytest.mark.parametrize(
    "lookalike",
    [
        "anna\u200b",
        "\u2060anna",
        "anna\u202e",
        "\u0430nna",
        "\u03b1nna",
        "an\u00adna",
        "a\ufeffnna",
    ],
)
def test_nobody_is_added_under_a_name_that_looks_like_anothers(
    access: Access, lookalike: str
) -> None:
    access.people.add(ADMIN, "anna", {})
    with pytest.raises(errors.UsageError, match="cannot be a person"):
        access.people.add(ADMIN, lookalike, {})


def test_a_name_in_other_letters_of_the_same_meaning_is_the_same_name(access: Access) -> None:
    access.people.add(ADMIN, "anna", {})
    with pytest.raises(errors.AlreadyExists):
        access.people.add(ADMIN, "\uff41nna", {})
    made, _ = access.people.add(ADMIN, "zoe\u0308", {})
    assert access.people.find("ZO\u00cb").id == made.id
    for name in (
        "\u0430\u043d\u043d\u0430",
        "\u6771\u4eac@example.com",
        "o'neill.2".replace("'", ""),
    ):
        access.people.add(ADMIN, name, {})


def test_what_cannot_be_seen_in_a_providers_name_is_left_out(access: Access) -> None:
    found = access.people.admit_external("x|1", "gu\u202eest\u200b", {}, ADMIN)
    assert found.name == "guest"
