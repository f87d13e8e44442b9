"""Documents: small sealed JSON under blinded names, written once, deleted when done.

``docs/format.md`` sections 3.3 and 9 govern this module.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import msgspec

from reentra import errors

from .keys import Keyring
from .sealed import SealedKind, seal, unseal, unsealed_text
from .storage import AlreadyStored, NotStored, Storage

_COLLECTION = re.compile(r"[a-z][a-z0-9-]{0,31}")


class _Sealed(msgspec.Struct):
    """A document as it is sealed, its value not parsed."""

    name: str
    value: msgspec.Raw


def document_path(keyring: Keyring, collection: str, name: str) -> str:
    """Return where a document is."""
    return f"{_collection_folder(collection)}/{keyring.blind(f'document/{collection}', name)}"


def parse_document(keyring: Keyring, path: str, data: bytes, name: str) -> Any:
    """Return the value of the document stored at ``path``.

    Raises: ``errors.RepositoryDamaged``, ``errors.UnsupportedFormat``.
    """
    record = unseal(keyring, SealedKind.DOCUMENT, path, data)
    if record.get("name") != name or "value" not in record:
        raise errors.RepositoryDamaged(f"The document {path} is another one's.")
    return record["value"]


def put_document(
    storage: Storage, keyring: Keyring, collection: str, name: str, value: object
) -> None:
    """See ``Repository.put_document``."""
    path = document_path(keyring, collection, name)
    data = seal(keyring, SealedKind.DOCUMENT, path, {"name": name, "value": value})
    try:
        storage.put_new(path, data)
    except AlreadyStored as error:
        raise errors.AlreadyExists(
            f"The document {collection}/{name} exists.",
            hint="A document is written once; give the new one another name.",
        ) from error


def load_document(storage: Storage, keyring: Keyring, collection: str, name: str) -> Any:
    """See ``Repository.load_document``."""
    data = load_document_bytes(storage, keyring, collection, name)
    return parse_document(keyring, document_path(keyring, collection, name), data, name)


def load_document_text(storage: Storage, keyring: Keyring, collection: str, name: str) -> bytes:
    """See ``Repository.load_document_text``."""
    path = document_path(keyring, collection, name)
    data = load_document_bytes(storage, keyring, collection, name)
    text = unsealed_text(keyring, SealedKind.DOCUMENT, path, data)
    try:
        sealed = msgspec.json.decode(text, type=_Sealed)
    except msgspec.DecodeError as error:
        raise errors.RepositoryDamaged(f"The document {path} is none.") from error
    if sealed.name != name:
        raise errors.RepositoryDamaged(f"The document {path} is another one's.")
    return bytes(sealed.value)


def load_document_bytes(storage: Storage, keyring: Keyring, collection: str, name: str) -> bytes:
    """See ``Repository.load_document_bytes``."""
    try:
        return storage.get(document_path(keyring, collection, name))
    except NotStored as error:
        raise errors.NotFound(
            f"There is no document {collection}/{name} in the repository."
        ) from error


def list_documents(storage: Storage, keyring: Keyring, collection: str, prefix: str) -> list[str]:
    """See ``Repository.list_documents``."""
    names = []
    for stored in storage.list_stored(_collection_folder(collection)):
        with suppress(errors.RepositoryDamaged):  # foreign objects are for `check` to tell
            blinded = stored.path.rpartition("/")[2]
            names.append(keyring.unblind(f"document/{collection}", blinded))
    return sorted(name for name in names if name.startswith(prefix))


def delete_document(storage: Storage, keyring: Keyring, collection: str, name: str) -> None:
    """See ``Repository.delete_document``."""
    storage.delete(document_path(keyring, collection, name))


def _collection_folder(collection: str) -> str:
    if not _COLLECTION.fullmatch(collection):
        raise errors.UsageError(
            f"{collection!r} is no name of a collection.", hint="This is a fault of the program."
        )
    return f"documents/{collection}"
