from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reentra import clock, errors
from reentra import repository as repositories
from reentra.repository import keys

from .conftest import CHEAP, PASSPHRASE, Place, make_place, object_rows

KEYRING = keys.new_keyring("00112233445566778899aabbccddeeff", clock.SYSTEM.now())


def test_the_passphrase_and_the_recovery_key_both_open(place: Place) -> None:
    assert place.reopen().id == place.repository.id
    assert place.reopen(place.recovery_key).id == place.repository.id


def test_a_recovery_key_opens_however_it_is_typed(place: Place) -> None:
    sloppy = place.recovery_key.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert place.reopen(sloppy).id == place.repository.id


def test_a_wrong_passphrase_is_told_as_such(place: Place) -> None:
    with pytest.raises(errors.WrongPassphrase, match="No key slot"):
        place.reopen("wrong")


def test_a_mistyped_recovery_key_is_told_as_such(place: Place) -> None:
    first = "7" if place.recovery_key[0] != "7" else "8"
    with pytest.raises(errors.WrongPassphrase, match="mistyped"):
        place.reopen(first + place.recovery_key[1:])


def test_a_passphrase_is_the_same_in_every_unicode_form(tmp_path: Path) -> None:
    storage = repositories.open_storage(str(tmp_path / "r"))
    repositories.Repository.create(storage, "Zürich", cost=CHEAP)
    repositories.Repository.open(storage, "Zu\u0308rich")


@pytest.mark.parametrize("passphrase", ["", "   "])
def test_an_empty_passphrase_makes_no_repository(tmp_path: Path, passphrase: str) -> None:
    storage = repositories.open_storage(str(tmp_path / "r"))
    with pytest.raises(errors.UsageError):
        repositories.Repository.create(storage, passphrase, cost=CHEAP)
    assert storage.list_stored("") == []


def test_the_cost_of_a_guess_is_strong_unless_told_otherwise() -> None:
    assert keys.KdfCost() == keys.KdfCost(memory_kib=65536, iterations=3, lanes=4)


def test_every_slot_wraps_with_its_own_salt_and_nonce(place: Place) -> None:
    place.repository.add_slot(PASSPHRASE, cost=CHEAP)
    slots = [json.loads(path.read_text()) for path in place.files("keys")]
    assert len({slot["kdf"]["salt"] for slot in slots}) == 3
    assert len({slot["nonce"] for slot in slots}) == 3


def test_an_added_passphrase_opens_and_a_removed_one_does_not(place: Place) -> None:
    slot_id = place.repository.add_slot("second", cost=CHEAP)
    place.reopen("second")
    place.repository.remove_slot(slot_id)
    with pytest.raises(errors.WrongPassphrase):
        place.reopen("second")
    place.reopen()


def test_the_last_slot_stays(place: Place) -> None:
    first, second = place.repository.list_slots()
    place.repository.remove_slot(first.id)
    with pytest.raises(errors.Refused):
        place.repository.remove_slot(second.id)
    with pytest.raises(errors.NotFound):
        place.repository.remove_slot("0" * 16)


def test_a_slot_of_an_older_generation_is_no_reason_to_give_up_the_newest(place: Place) -> None:
    old = {path.name: path.read_bytes() for path in place.files("keys")}
    place.repository.rotate(PASSPHRASE, cost=CHEAP)
    for name, data in old.items():  # as a rotation that died leaves them
        (place.root / "keys" / name).write_bytes(data)
    newest = [one for one in place.repository.list_slots() if one.generation == 2]
    place.repository.remove_slot(newest[0].id)
    with pytest.raises(errors.Refused, match="last one that opens everything"):
        place.repository.remove_slot(newest[1].id)
    for name in old:
        place.repository.remove_slot(name)


def test_who_does_not_agree_keeps_every_key_as_it_is(place: Place) -> None:
    seen: list[frozenset[str]] = []

    def refuse(going: frozenset[str]) -> None:
        seen.append(going)
        raise errors.ApprovalNeeded("no")

    repository = place.reopen()
    first, second = (slot.id for slot in repository.list_slots())
    own, other = repository.opened_by, ({first, second} - {repository.opened_by}).pop()
    before = {path.name: path.read_bytes() for path in place.files("keys")}
    for change in (
        lambda: repository.add_slot("another", cost=CHEAP, agreed=refuse),
        lambda: repository.add_recovery_key(agreed=refuse),
        lambda: repository.remove_slot(other, agreed=refuse),
        lambda: repository.change_passphrase(PASSPHRASE, "another", cost=CHEAP, agreed=refuse),
        lambda: repository.rotate(PASSPHRASE, cost=CHEAP, agreed=refuse),
    ):
        with pytest.raises(errors.ApprovalNeeded):
            change()
    assert {path.name: path.read_bytes() for path in place.files("keys")} == before
    assert repository.key_generation == 1
    # The one that is only wrapped anew by a rotation does not go.
    assert seen == [frozenset(), frozenset(), {other}, {own}, {other}]


def test_of_two_who_remove_different_keys_at_once_one_key_stays(place: Place) -> None:
    first, second = place.repository.list_slots()
    other = place.reopen()

    def meanwhile(_going: frozenset[str]) -> None:
        with pytest.raises(errors.RepositoryLocked):
            other.remove_slot(second.id)

    place.repository.remove_slot(first.id, agreed=meanwhile)
    assert [slot.id for slot in other.list_slots()] == [second.id]


def test_a_changed_passphrase_replaces_the_old_one_only(place: Place) -> None:
    place.repository.change_passphrase(PASSPHRASE, "new one", cost=CHEAP)
    place.reopen("new one")
    place.reopen(place.recovery_key)
    with pytest.raises(errors.WrongPassphrase):
        place.reopen()
    with pytest.raises(errors.WrongPassphrase):
        place.repository.change_passphrase(PASSPHRASE, "another", cost=CHEAP)


def test_after_a_rotation_old_data_reads_and_new_data_has_the_new_key(place: Place) -> None:
    first = place.write([object_rows(0, 10)])
    recovery_key = place.repository.rotate(PASSPHRASE, cost=CHEAP)
    second = place.write([object_rows(10, 10)], parent=first)
    assert first.segments[0].generation == 1
    assert second.segments[0].generation == 2
    for secret in (PASSPHRASE, recovery_key):
        opened = place.reopen(secret)
        chain = opened.load_chain(first.tenant_id, second.id)
        assert [sum(b.num_rows for b in opened.scan(m.segments[0])) for m in chain] == [10, 10]
    with pytest.raises(errors.WrongPassphrase):
        place.reopen(place.recovery_key)
    assert repositories.check_repository(place.reopen()).problems == ()


def test_slots_from_before_a_rotation_do_not_read_what_came_after(place: Place) -> None:
    old_slots = {path: path.read_bytes() for path in place.files("keys")}
    stale = place.repository
    fresh = place.reopen()
    fresh.rotate(PASSPHRASE, cost=CHEAP)
    fresh.put_document("plans", "secret", {"a": 1})
    with pytest.raises(errors.RepositoryDamaged, match="k2 is not in the keyring"):
        stale.load_document("plans", "secret")
    for path in place.files("keys"):
        path.unlink()
    for path, data in old_slots.items():
        path.write_bytes(data)
    with pytest.raises(errors.RepositoryDamaged, match="k2 is not in the keyring"):
        place.reopen().load_document("plans", "secret")


def test_a_rotation_that_died_half_way_is_told_and_can_be_repeated(place: Place) -> None:
    old_slots = {path: path.read_bytes() for path in place.files("keys")}
    place.repository.rotate(PASSPHRASE, cost=CHEAP)
    for path, data in old_slots.items():
        path.write_bytes(data)  # as if it had died before it removed them
    opened = place.reopen()
    assert opened.key_generation == 2
    told = repositories.check_repository(opened).problems
    assert {problem.path for problem in told} == {f"keys/{path.name}" for path in old_slots}
    assert all("rotation" in problem.what for problem in told)
    opened.rotate(PASSPHRASE, cost=CHEAP)
    assert place.reopen().key_generation == 3
    assert repositories.check_repository(place.reopen()).problems == ()


def test_a_process_that_missed_a_rotation_adds_no_slot(place: Place) -> None:
    place.reopen().rotate(PASSPHRASE, cost=CHEAP)
    with pytest.raises(errors.Refused, match="rotated"):
        place.repository.add_slot("late", cost=CHEAP)


def test_any_flipped_byte_of_a_slot_is_damage_that_names_the_file(place: Place) -> None:
    recovery, passphrase = sorted(place.repository.list_slots(), key=lambda slot: slot.kind.value)[
        ::-1
    ]
    (place.root / recovery.path).unlink()
    path = place.root / passphrase.path
    whole = path.read_bytes()
    for position in range(0, len(whole), 3):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(errors.RepositoryDamaged, match=passphrase.path):
            place.reopen()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(errors.RepositoryDamaged, match=passphrase.path):
            place.reopen()
    path.write_bytes(whole)
    place.reopen()


def test_one_damaged_slot_does_not_keep_the_other_from_opening(place: Place) -> None:
    for slot in place.repository.list_slots():
        path = place.root / slot.path
        whole = path.read_bytes()
        path.write_bytes(whole[:-5])
        secret = place.recovery_key if slot.kind is keys.SlotKind.PASSPHRASE else PASSPHRASE
        place.reopen(secret)
        path.write_bytes(whole)


def test_without_any_slot_it_is_damage(place: Place) -> None:
    for path in place.files("keys"):
        path.unlink()
    with pytest.raises(errors.RepositoryDamaged, match="No key slot is left"):
        place.reopen()


def test_a_slot_cannot_ask_for_all_the_memory_of_the_machine(place: Place) -> None:
    for path in place.files("keys"):
        slot = json.loads(path.read_text())
        if slot["kind"] == "passphrase":
            slot["kdf"]["memory_kib"] = 1 << 30
            path.write_bytes(_with_checksum(slot))
            with pytest.raises(errors.RepositoryDamaged, match="no sense"):
                place.reopen()


def test_a_slot_forged_with_a_right_checksum_opens_nothing(place: Place) -> None:
    for path in place.files("keys"):
        slot = json.loads(path.read_text())
        slot["generation"] = 7
        path.write_bytes(_with_checksum(slot))
    with pytest.raises(errors.WrongPassphrase):
        place.reopen()


def test_a_slot_of_another_repository_opens_nothing(place: Place, tmp_path: Path) -> None:
    other = make_place(tmp_path / "other")
    for path in place.files("keys"):
        path.unlink()
    for path in other.files("keys"):
        (place.root / "keys" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(errors.RepositoryDamaged, match="another repository"):
        place.reopen()


def test_no_secret_shows_in_a_repr(place: Place) -> None:
    text = repr(place.repository.keyring) + repr(place.repository.list_slots())
    for generation in place.repository.keyring.generations:
        assert generation.key.hex() not in text
        assert repr(generation.key) not in text
    assert "keyring=" not in text


@given(st.text(min_size=1, max_size=35))
def test_a_blinded_name_comes_back_and_fits_every_file_system(name: str) -> None:
    if len(name.encode(errors="surrogatepass")) > keys.NAME_BYTES or not name.isprintable():
        return
    blinded = KEYRING.blind("tenant", name)
    assert re.fullmatch("[a-z2-7]{1,250}", blinded)
    assert KEYRING.unblind("tenant", blinded) == name
    with pytest.raises(errors.RepositoryDamaged):
        KEYRING.unblind("document/plans", blinded)


def test_a_name_of_the_greatest_length_still_fits() -> None:
    assert len(KEYRING.blind("tenant", "x" * keys.NAME_BYTES)) <= 250
    with pytest.raises(errors.UsageError):
        KEYRING.blind("tenant", "x" * (keys.NAME_BYTES + 1))


@given(st.binary(min_size=20, max_size=20), st.integers(0, 35), st.sampled_from("0123456789XYZ"))
@settings(max_examples=200)
def test_a_recovery_key_is_read_back_and_a_slip_is_noticed(
    secret: bytes, place: int, digit: str
) -> None:
    text = keys.format_recovery_key(secret)
    assert keys.parse_recovery_key(text) == secret
    digits = list(text.replace("-", ""))
    if digits[place] != digit:
        digits[place] = digit
        assert keys.parse_recovery_key("".join(digits)) != secret


def test_keys_for_different_purposes_paths_and_repositories_differ() -> None:
    other = keys.Keyring("ff" * 16, KEYRING.generations)
    derived = {
        KEYRING.derive(1, "manifest/a"),
        KEYRING.derive(1, "manifest/b"),
        KEYRING.derive(1, "document/a"),
        KEYRING.derive(1, "config"),
        other.derive(1, "config"),
    }
    assert len(derived) == 5


def _with_checksum(slot: dict[str, object]) -> bytes:
    import hashlib

    slot = {name: value for name, value in slot.items() if name != "checksum"}
    slot["checksum"] = hashlib.sha256(keys.canonical_json(slot)).hexdigest()
    return keys.canonical_json(slot)
