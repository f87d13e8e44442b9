"""Seals what must be read again, with a key that lies in the repository and not in the database."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from reentra import clock as clocks
from reentra import errors

COLLECTION = "access"
KEY_DOCUMENT = "key"
_KEY_BYTES = 32
_NONCE_BYTES = 12


class KeepsDocuments(Protocol):
    """The part of a repository that is needed here."""

    def put_document(self, collection: str, name: str, value: object) -> None: ...

    def load_document(self, collection: str, name: str) -> object: ...


class Vault:
    """Seals and opens small secrets; ``load_key`` is called when the first one needs it."""

    __slots__ = ("_key", "_load_key")

    def __init__(self, load_key: Callable[[], bytes]) -> None:
        self._load_key = load_key
        self._key: bytes | None = None

    def seal(self, purpose: str, secret: str) -> str:
        """Return text that only ``open`` with the same ``purpose`` can read."""
        nonce = clocks.new_secret(_NONCE_BYTES)
        sealed = AESGCM(self.key).encrypt(nonce, secret.encode(), purpose.encode())
        return base64.b64encode(nonce + sealed).decode()

    def open(self, purpose: str, text: str) -> str:
        """Return what was sealed for this purpose.

        Raises: ``ConfigurationError`` when it was sealed with another key, or changed.
        """
        data = base64.b64decode(text)
        nonce, sealed = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
        try:
            return AESGCM(self.key).decrypt(nonce, sealed, purpose.encode()).decode()
        except InvalidTag as failure:
            raise errors.ConfigurationError(
                "A secret of the access database was sealed with another repository's key, or"
                " changed since.",
                hint="Use the repository that it was made with, or set the secret anew.",
            ) from failure

    @property
    def key(self) -> bytes:
        """The key itself, for what derives others from it."""
        if self._key is None:
            self._key = self._load_key()
        return self._key


def load_vault_key(repository: KeepsDocuments) -> bytes:
    """Return the installation's key out of the repository; make it when there is none."""
    with contextlib.suppress(errors.AlreadyExists):
        repository.put_document(
            COLLECTION, KEY_DOCUMENT, {"key": clocks.new_secret(_KEY_BYTES).hex()}
        )
    document = repository.load_document(COLLECTION, KEY_DOCUMENT)
    assert isinstance(document, dict)
    return bytes.fromhex(document["key"])
