"""Sealed objects: small JSON, encrypted and bound to its kind, repository and path.

``docs/format.md`` section 6 governs this module.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from reentra import clock as clocks
from reentra import errors

from .keys import FORMAT_VERSION, Keyring, canonical_json, parse_canonical_json

MAGIC = b"RNTR"
HEADER_BYTES = 20
TAG_BYTES = 16


class SealedKind(Enum):
    """What a sealed object is: its number in the header, its word in the key's purpose."""

    MANIFEST = (1, "manifest")
    DOCUMENT = (2, "document")
    LOCK = (3, "lock")


def seal(keyring: Keyring, kind: SealedKind, path: str, value: object) -> bytes:
    """Return ``value`` encrypted with the newest generation for ``path``."""
    number, word = kind.value
    generation = keyring.newest
    nonce = clocks.new_secret(12)
    header = MAGIC + bytes((FORMAT_VERSION, number)) + generation.to_bytes(2, "big") + nonce
    key = keyring.derive(generation, f"{word}/{path}")
    return header + AESGCM(key).encrypt(nonce, canonical_json(value), _bound(keyring, header, path))


def unseal(keyring: Keyring, kind: SealedKind, path: str, data: bytes) -> dict[str, Any]:
    """Return what was sealed for ``path``.

    Raises: see ``unsealed_text``.
    """
    return parse_canonical_json(unsealed_text(keyring, kind, path, data), path)


def unsealed_text(keyring: Keyring, kind: SealedKind, path: str, data: bytes) -> bytes:
    """Return the JSON that was sealed for ``path``, as it was written.

    Raises: ``errors.RepositoryDamaged`` naming the path when anything about it is not as written,
    ``errors.UnsupportedFormat`` when a newer version wrote it.
    """
    number, word = kind.value
    if len(data) < HEADER_BYTES + TAG_BYTES or data[:4] != MAGIC:
        raise errors.RepositoryDamaged(
            f"The {word} {path} is damaged: it is cut short or no object of this format."
        )
    if data[4] > FORMAT_VERSION:
        raise errors.UnsupportedFormat(f"The {word} {path} has format {data[4]}.")
    if data[4] != FORMAT_VERSION or data[5] != number:
        raise errors.RepositoryDamaged(f"The {word} {path} is damaged: it is no {word}.")
    header = data[:HEADER_BYTES]
    try:
        key = keyring.derive(int.from_bytes(data[6:8], "big"), f"{word}/{path}")
    except errors.RepositoryDamaged as error:
        raise errors.RepositoryDamaged(
            f"The {word} {path} cannot be read. {error.message}", hint=error.hint, typed=error.typed
        ) from error
    try:
        return AESGCM(key).decrypt(
            data[8:HEADER_BYTES], data[HEADER_BYTES:], _bound(keyring, header, path)
        )
    except InvalidTag as error:
        raise errors.RepositoryDamaged(
            f"The {word} {path} is damaged: its bytes are not the ones that were written there."
        ) from error


def _bound(keyring: Keyring, header: bytes, path: str) -> bytes:
    return header + bytes.fromhex(keyring.repository_id) + path.encode()
