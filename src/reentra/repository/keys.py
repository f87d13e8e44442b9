"""The keys: generations, what is derived from them, and the slots that wrap them.

``docs/format.md`` sections 3 and 5 govern this module.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from reentra import clock as clocks
from reentra import errors

FORMAT_VERSION = 1
KEY_BYTES = 32
NAME_BYTES = 140  # a blinded name is then at most 250 characters: below every file system's 255

SHORTEST_PASSPHRASE = 12  # of one that is added to a repository or replaces another
MAX_MEMORY_KIB = 4 << 20
MAX_ITERATIONS = 64
MAX_LANES = 64

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RECOVERY_BYTES = 20
_RECOVERY_DIGITS = 36


class SlotKind(StrEnum):
    PASSPHRASE = "passphrase"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True)
class KdfCost:
    """What one guess at a passphrase costs. The default is the one for every real repository."""

    memory_kib: int = 64 * 1024
    iterations: int = 3
    lanes: int = 4


def canonical_json(value: object) -> bytes:
    """Return the only encoding of ``value`` that the format allows."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def parse_canonical_json(data: bytes, path: str) -> dict[str, Any]:
    """Return the object that ``data`` is the canonical JSON of.

    Raises: ``errors.RepositoryDamaged`` naming ``path``.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise errors.RepositoryDamaged(f"{path} is damaged: it is no JSON.") from error
    if not isinstance(value, dict) or canonical_json(value) != data:
        raise errors.RepositoryDamaged(f"{path} is damaged: it is not as it was written.")
    return value


@dataclass(frozen=True, slots=True)
class Generation:
    """One master key. Never shown: ``repr`` leaves the key out."""

    number: int
    created_at: dt.datetime
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keyring:
    """All generations of one repository, oldest first, and what is derived from them."""

    repository_id: str
    generations: tuple[Generation, ...]

    @property
    def newest(self) -> int:
        """Return the generation that encrypts what is written now."""
        return self.generations[-1].number

    def derive(self, generation: int, purpose: str, length: int = KEY_BYTES) -> bytes:
        """Return the key for one purpose.

        Raises: ``errors.RepositoryDamaged`` when the keyring lacks the generation.
        """
        for known in self.generations:
            if known.number == generation:
                info = f"reentra/{FORMAT_VERSION}/{purpose}".encode()
                salt = bytes.fromhex(self.repository_id)
                return HKDF(SHA256(), length, salt, info).derive(known.key)
        raise errors.RepositoryDamaged(
            f"Key generation k{generation} is not in the keyring (newest: k{self.newest}).",
            hint="If the keys were rotated meanwhile, open the repository again; otherwise a newer"
            " key slot was lost or replaced by an older one.",
        )

    def config_mac(self, fields: Mapping[str, object]) -> str:
        """Return the MAC over all fields of the configuration but ``mac``."""
        key = self.derive(1, "config")
        return hmac.new(key, canonical_json(dict(fields)), hashlib.sha256).hexdigest()

    def blind(self, kind: str, name: str) -> str:
        """Return the name that the store sees in place of ``name``: deterministic, reversible."""
        plain = name.encode()
        if not 1 <= len(plain) <= NAME_BYTES:
            raise errors.UsageError(
                f"The name {name!r} has {len(plain)} bytes.", hint=f"1 to {NAME_BYTES} are allowed."
            )
        sealed = AESSIV(self.derive(1, "names", 64)).encrypt(plain, self._bound_names(kind))
        return base64.b32encode(sealed).decode().rstrip("=").lower()

    def unblind(self, kind: str, blinded: str) -> str:
        """Return the name behind a blinded one.

        Raises: ``errors.RepositoryDamaged`` when it was not made with this keyring for ``kind``.
        """
        try:
            padded = blinded.upper() + "=" * (-len(blinded) % 8)
            cipher = AESSIV(self.derive(1, "names", 64))
            name = cipher.decrypt(base64.b32decode(padded), self._bound_names(kind)).decode()
        except (ValueError, InvalidTag) as error:
            raise errors.RepositoryDamaged(
                f"The name {blinded} is not one of this repository."
            ) from error
        if self.blind(kind, name) != blinded:  # base32 has spare bits at its end
            raise errors.RepositoryDamaged(f"The name {blinded} is not one of this repository.")
        return name

    def with_new_generation(self, created_at: dt.datetime) -> Keyring:
        """Return the keyring with one more generation."""
        fresh = Generation(self.newest + 1, created_at, clocks.new_secret(KEY_BYTES))
        return Keyring(self.repository_id, (*self.generations, fresh))

    def _bound_names(self, kind: str) -> list[bytes]:
        return [kind.encode(), bytes.fromhex(self.repository_id)]

    def to_bytes(self) -> bytes:
        """Return the plaintext that a slot wraps. Never to be stored or shown."""
        rows = [
            {"created_at": clocks.iso(one.created_at), "id": f"k{one.number}", "key": one.key.hex()}
            for one in self.generations
        ]
        return canonical_json({"generations": rows})

    @classmethod
    def from_bytes(cls, repository_id: str, data: bytes) -> Keyring:
        """Return the keyring that a slot wrapped."""
        rows = orjson.loads(data)["generations"]
        return cls(
            repository_id,
            tuple(
                Generation(
                    int(row["id"][1:]),
                    clocks.parse_iso(row["created_at"]),
                    bytes.fromhex(row["key"]),
                )
                for row in rows
            ),
        )


def new_keyring(repository_id: str, created_at: dt.datetime) -> Keyring:
    """Return a keyring with one fresh generation."""
    return Keyring(repository_id, (Generation(1, created_at, clocks.new_secret(KEY_BYTES)),))


@dataclass(frozen=True, slots=True)
class Slot:
    """A key slot as it is stored: parsed and whole, not opened."""

    id: str
    kind: SlotKind
    created_at: dt.datetime
    generation: int
    repository_id: str
    fields: Mapping[str, Any] = field(repr=False)

    @property
    def path(self) -> str:
        return slot_path(self.id)

    def open(self, secret: str) -> Keyring | None:
        """Return the keyring, or ``None`` when ``secret`` does not open it. Slow on purpose."""
        if self.kind is SlotKind.RECOVERY:
            recovery = parse_recovery_key(secret)
            if recovery is None:
                return None
            key = _recovery_kek(recovery, self.fields["kdf"])
        else:
            key = _passphrase_kek(secret, self.fields["kdf"])
        bound = _without(self.fields, "checksum", "keyring", "nonce")
        try:
            plain = AESGCM(key).decrypt(
                bytes.fromhex(self.fields["nonce"]),
                bytes.fromhex(self.fields["keyring"]),
                canonical_json(bound),
            )
        except InvalidTag:
            return None
        return Keyring.from_bytes(self.repository_id, plain)


def slot_path(slot_id: str) -> str:
    return f"keys/{slot_id}"


def parse_slot(data: bytes, path: str) -> Slot:
    """Return the slot stored at ``path``.

    Raises: ``errors.RepositoryDamaged``, ``errors.UnsupportedFormat``.
    """
    fields = parse_canonical_json(data, path)
    expected = hashlib.sha256(canonical_json(_without(fields, "checksum"))).hexdigest()
    if fields.get("checksum") != expected:
        raise errors.RepositoryDamaged(f"The key slot {path} is damaged: its checksum is wrong.")
    if isinstance(fields.get("format"), int) and fields["format"] > FORMAT_VERSION:
        raise errors.UnsupportedFormat(f"The key slot {path} has format {fields['format']}.")
    try:
        slot = Slot(
            id=str(fields["slot"]),
            kind=SlotKind(fields["kind"]),
            created_at=clocks.parse_iso(fields["created_at"]),
            generation=int(fields["generation"]),
            repository_id=str(fields["repository"]),
            fields=fields,
        )
        kdf = fields["kdf"]
        whole = (
            slot.path == path
            and len(bytes.fromhex(fields["nonce"])) == 12
            and len(bytes.fromhex(fields["keyring"])) >= 16
            and len(bytes.fromhex(kdf["salt"])) == 16
            and len(bytes.fromhex(slot.repository_id)) == 16
        )
        if slot.kind is SlotKind.PASSPHRASE:
            # A store that could name the cost could make every opening exhaust the machine.
            whole = (
                whole
                and kdf["name"] == "argon2id"
                and 8 * kdf["lanes"] <= kdf["memory_kib"] <= MAX_MEMORY_KIB
                and 1 <= kdf["iterations"] <= MAX_ITERATIONS
                and 1 <= kdf["lanes"] <= MAX_LANES
            )
        else:
            whole = whole and kdf["name"] == "hkdf-sha256"
    except (KeyError, TypeError, ValueError) as error:
        raise errors.RepositoryDamaged(
            f"The key slot {path} is damaged: a field is missing or makes no sense."
        ) from error
    if not whole:
        raise errors.RepositoryDamaged(f"The key slot {path} is damaged: a field makes no sense.")
    return slot


def ensure_long(passphrase: str) -> None:
    """Let pass a passphrase that is not guessed by trying short ones.

    Raises: ``errors.UsageError``.
    """
    if len(passphrase.strip()) < SHORTEST_PASSPHRASE:
        raise errors.UsageError(
            f"The passphrase has fewer than {SHORTEST_PASSPHRASE} characters.",
            hint="Whoever copies the store can guess at it at leisure: use a generator, or a few"
            " random words.",
        )


def passphrase_slot(
    keyring: Keyring, passphrase: str, created_at: dt.datetime, cost: KdfCost
) -> tuple[str, bytes]:
    """Return id and bytes of a new slot that ``passphrase`` opens."""
    if not passphrase.strip():
        raise errors.UsageError("The passphrase is empty.", hint="Choose one of some length.")
    kdf = {
        "iterations": cost.iterations,
        "lanes": cost.lanes,
        "memory_kib": cost.memory_kib,
        "name": "argon2id",
        "salt": clocks.new_secret(16).hex(),
    }
    kek = _passphrase_kek(passphrase, kdf)
    return _wrap(keyring, SlotKind.PASSPHRASE, kdf, kek, created_at)


def recovery_slot(keyring: Keyring, created_at: dt.datetime) -> tuple[str, bytes, str]:
    """Return id and bytes of a new slot, and the recovery key that opens it."""
    secret = clocks.new_secret(_RECOVERY_BYTES)
    kdf = {"name": "hkdf-sha256", "salt": clocks.new_secret(16).hex()}
    slot_id, data = _wrap(keyring, SlotKind.RECOVERY, kdf, _recovery_kek(secret, kdf), created_at)
    return slot_id, data, format_recovery_key(secret)


def format_recovery_key(secret: bytes) -> str:
    """Return the recovery key as people write it down."""
    check = int.from_bytes(hashlib.sha256(secret).digest()[:3], "big") >> 4
    number = int.from_bytes(secret, "big") << 20 | check
    digits = "".join(
        _CROCKFORD[number >> (5 * place) & 31] for place in reversed(range(_RECOVERY_DIGITS))
    )
    return "-".join(digits[at : at + 4] for at in range(0, _RECOVERY_DIGITS, 4))


def parse_recovery_key(text: str) -> bytes | None:
    """Return the secret that ``text`` writes, or ``None`` when it is no recovery key."""
    digits = text.upper().translate(str.maketrans("OIL", "011", "- \t\r\n"))
    if len(digits) != _RECOVERY_DIGITS or any(digit not in _CROCKFORD for digit in digits):
        return None
    number = 0
    for digit in digits:
        number = number << 5 | _CROCKFORD.index(digit)
    secret = (number >> 20).to_bytes(_RECOVERY_BYTES, "big")
    check = int.from_bytes(hashlib.sha256(secret).digest()[:3], "big") >> 4
    return secret if check == number & 0xFFFFF else None


def looks_like_recovery_key(text: str) -> bool:
    """Tell whether ``text`` has a recovery key's shape, right or mistyped."""
    return len(text.translate(str.maketrans("", "", "- \t\r\n"))) == _RECOVERY_DIGITS and (
        text.count("-") == 8
    )


def _wrap(
    keyring: Keyring, kind: SlotKind, kdf: Mapping[str, object], kek: bytes, created_at: dt.datetime
) -> tuple[str, bytes]:
    slot_id = clocks.new_id(8)
    fields: dict[str, object] = {
        "created_at": clocks.iso(created_at),
        "format": FORMAT_VERSION,
        "generation": keyring.newest,
        "kdf": dict(kdf),
        "kind": kind.value,
        "repository": keyring.repository_id,
        "slot": slot_id,
    }
    nonce = clocks.new_secret(12)
    sealed = AESGCM(kek).encrypt(nonce, keyring.to_bytes(), canonical_json(fields))
    fields |= {"keyring": sealed.hex(), "nonce": nonce.hex()}
    fields["checksum"] = hashlib.sha256(canonical_json(fields)).hexdigest()
    return slot_id, canonical_json(fields)


def _passphrase_kek(passphrase: str, kdf: Mapping[str, Any]) -> bytes:
    cost = Argon2id(
        salt=bytes.fromhex(kdf["salt"]),
        length=KEY_BYTES,
        iterations=kdf["iterations"],
        lanes=kdf["lanes"],
        memory_cost=kdf["memory_kib"],
    )
    return cost.derive(unicodedata.normalize("NFC", passphrase).encode())


def _recovery_kek(secret: bytes, kdf: Mapping[str, Any]) -> bytes:
    salt = bytes.fromhex(kdf["salt"])
    info = f"reentra/{FORMAT_VERSION}/recovery".encode()
    return HKDF(SHA256(), KEY_BYTES, salt, info).derive(secret)


def _without(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}
