"""The repository's keys: who may open it, and a new generation for what is written from now on."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
from litestar import Request
from litestar.params import FromPath, FromQuery, JSONBody

from reentra import clock as clocks
from reentra import errors
from reentra.access import Entry, Identity, Permission
from reentra.access.rules import KEYS
from reentra.api import guarding
from reentra.api.documents import KeyDocument, KeysDocument, NewKeyDocument
from reentra.api.routing import route
from reentra.api.serving import Served, Serving, SignedIn
from reentra.repository import Repository
from reentra.repository.keys import ensure_long
from reentra.repository.repository import Agreed

_TAGS = ("keys",)


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """A passphrase that is to open the repository too; or, with none, a new recovery key."""

    passphrase: str = ""
    recovery: bool = False


class ChangedPassphrase(msgspec.Struct, forbid_unknown_fields=True):
    """A passphrase of the repository and the next one.

    ``even_own``: also when it is the one that this server was started with.
    """

    old: str
    new: str
    even_own: bool = False


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """The passphrase that is to stay; ``even_own`` as above, when it is another."""

    passphrase: str
    even_own: bool = False


@route("GET", "/keys", Permission.SETTINGS, tags=_TAGS, summary="The repository's keys")
def list_keys(serving: Served) -> KeysDocument:
    """List the key slots of the repository, and which of them this server was started with."""
    repository = serving.application.repository
    return {
        "generation": repository.key_generation,
        "items": [_document(repository, slot) for slot in repository.list_slots()],
    }


@route(
    "POST", "/keys", Permission.SETTINGS, action="key.add", is_sensitive=True, status=201,
    tags=_TAGS, summary="Let one more passphrase or recovery key open the repository",
)  # fmt: skip
def add_key(data: JSONBody[NewKey], serving: Served, identity: SignedIn) -> NewKeyDocument:
    """Add a passphrase, or make a recovery key, which is shown this once."""
    identity.ensure_in_person()
    repository = serving.application.repository
    if data.recovery == bool(data.passphrase):
        raise errors.UsageError(
            "A new key is a passphrase or a recovery key.", hint="Ask for one of the two."
        )
    if data.recovery:
        agreed = _agreement(serving, identity, "key.add", "a recovery key")
        made = repository.add_recovery_key(agreed=agreed)
        serving.access.trail.record(
            identity.actor, Entry("recovery_key.reveal", target=repository.id)
        )
        return _revealed(serving, made)
    ensure_long(data.passphrase)
    agreed = _agreement(serving, identity, "key.add", "a passphrase")
    repository.add_slot(data.passphrase, agreed=agreed)
    return _revealed(serving, "")


@route(
    "PUT", "/keys/passphrase", Permission.SETTINGS, action="key.change", is_sensitive=True,
    tags=_TAGS, summary="Replace a passphrase of the repository",
)  # fmt: skip
def change_passphrase(
    data: JSONBody[ChangedPassphrase],
    request: Request[Any, Any, Any],
    serving: Served,
    identity: SignedIn,
) -> KeysDocument:
    """Replace a passphrase. Who copied the store before can still read it with the old one."""
    identity.ensure_in_person()
    ensure_long(data.new)
    agreed = _agreement(serving, identity, "key.change", "a passphrase", may_end_own=data.even_own)
    with _Guess(serving, identity, guarding.address_of(request, serving)):
        serving.application.repository.change_passphrase(data.old, data.new, agreed=agreed)
    return list_keys.fn(serving)  # type: ignore[no-any-return]


@route(
    "DELETE", "/keys/{key:str}", Permission.SETTINGS, action="key.remove", is_sensitive=True,
    tags=_TAGS, summary="Take a key away",
)  # fmt: skip
def remove_key(
    key: FromPath[str], serving: Served, identity: SignedIn, even_own: FromQuery[bool] = False
) -> KeysDocument:
    """Take a key away; never the last one, and not this server's own without being told so."""
    identity.ensure_in_person()
    agreed = _agreement(serving, identity, "key.remove", key, may_end_own=even_own)
    serving.application.repository.remove_slot(key, agreed=agreed)
    return list_keys.fn(serving)  # type: ignore[no-any-return]


@route(
    "POST", "/keys/rotation", Permission.SETTINGS, action="key.rotate", is_sensitive=True,
    tags=_TAGS, summary="Encrypt with new keys from now on",
)  # fmt: skip
def rotate(
    data: JSONBody[Rotation],
    request: Request[Any, Any, Any],
    serving: Served,
    identity: SignedIn,
) -> NewKeyDocument:
    """Make a new generation of keys; only the passphrase given and a new recovery key stay."""
    identity.ensure_in_person()
    repository = serving.application.repository
    agreed = _agreement(
        serving, identity, "key.rotate", f"k{repository.key_generation + 1}",
        may_end_own=data.even_own,
    )  # fmt: skip
    with _Guess(serving, identity, guarding.address_of(request, serving)):
        made = repository.rotate(data.passphrase, agreed=agreed)
    serving.access.trail.record(identity.actor, Entry("recovery_key.reveal", target=repository.id))
    return _revealed(serving, made)


@dataclasses.dataclass(frozen=True, slots=True)
class _Guess:
    """Counts a passphrase that is shown as a guess at the account's own password is counted."""

    serving: Serving
    identity: Identity
    address: str

    def __enter__(self) -> None:
        self.serving.access.attempts.begin(self.identity.person.name, self.address)

    def __exit__(self, _kind: object, failure: object, _trace: object) -> None:
        # What was refused for another reason was no wrong guess.
        if not isinstance(failure, errors.WrongPassphrase):
            self.serving.access.attempts.succeed(self.identity.person.name, self.address)


def _agreement(
    serving: Serving, identity: Identity, action: str, subject: str, *, may_end_own: bool = True
) -> Agreed:
    """Return what is asked before a key changes: is it this server's own, and who agreed to it."""
    repository = serving.application.repository

    def agree(going: frozenset[str]) -> None:
        if repository.opened_by in going and not may_end_own:
            raise errors.OwnKey(
                f"The key {repository.opened_by} is the one that this server was started with:"
                " once it is gone, the server does not start again with what it is given now."
                " Nothing was changed."
            )
        # Approved is this person's change of the keys that there are: never a passphrase.
        known = ",".join(sorted(slot.id for slot in repository.list_slots()))
        bound = f"{identity.person.id}:{repository.key_generation}:{known}"
        serving.ensure_approved(
            identity, KEYS, "", f"{action} {subject}",
            is_needed=serving.access.load_rules().keys, bound=bound,
        )  # fmt: skip

    return agree


def _revealed(serving: Serving, recovery_key: str) -> NewKeyDocument:
    found: KeysDocument = list_keys.fn(serving)
    return {
        "recovery_key": recovery_key, "generation": found["generation"], "items": found["items"],
    }  # fmt: skip


def _document(repository: Repository, slot: Any) -> KeyDocument:
    return {
        "id": slot.id,
        "kind": slot.kind.value,
        "created_at": clocks.iso(slot.created_at),
        "generation": slot.generation,
        "own": slot.id == repository.opened_by,
    }


ROUTES = (list_keys, add_key, change_passphrase, remove_key, rotate)
