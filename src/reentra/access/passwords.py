"""Passwords: Argon2id, and what is too weak to be one."""

from __future__ import annotations

import functools
import threading

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from reentra import clock as clocks
from reentra import errors

SHORTEST = 12
LONGEST = 256
_SALT_BYTES = 16
_LENGTH_BYTES = 32
# RFC 9106, the second recommended choice: 64 MiB, three passes, four lanes.
MEMORY_KIB = 64 * 1024
PASSES = 3
LANES = 4
# One at a time. Two with several lanes fail in OpenSSL, which shares its threads among them: with
# "not enough memory", or by waiting for each other for ever. Nor may a flood of sign-ins take the
# machine's memory, of which each holds 64 MiB.
_ONE_BY_ONE = threading.Lock()


def hashed(password: str) -> str:
    """Return the Argon2id hash of a password, with its salt and cost (PHC form)."""
    function = Argon2id(
        salt=clocks.new_secret(_SALT_BYTES),
        length=_LENGTH_BYTES,
        iterations=PASSES,
        lanes=LANES,
        memory_cost=MEMORY_KIB,
    )
    with _ONE_BY_ONE:
        return function.derive_phc_encoded(password.encode())


def is_right(password: str, stored: str) -> bool:
    """Tell whether a password is the one that was hashed, in constant time.

    Without a stored hash (nobody has that name, or no password was set) it costs the same time.
    """
    with _ONE_BY_ONE:
        try:
            Argon2id.verify_phc_encoded(password.encode(), stored or _nobodys())
        except InvalidKey:
            return False
    return bool(stored)


def ensure_strong(password: str, name: str) -> None:
    """Let pass a password that is long and not made of what everybody tries first.

    Raises: ``UsageError``.
    """
    reason = ""
    folded = password.casefold()
    if len(password) < SHORTEST:
        reason = f"It has fewer than {SHORTEST} characters."
    elif len(password) > LONGEST:
        reason = f"It has more than {LONGEST} characters."
    elif len(set(folded)) < 5:
        reason = "It is made of fewer than five different characters."
    elif any(part in folded for part in (name.casefold(), "password", "reentra", "qwertyuiop")):
        reason = "It holds the account's name, or a word that everybody tries first."
    elif folded in "0123456789012345678901234567890" or folded in "abcdefghijklmnopqrstuvwxyz":
        reason = "It is a sequence."
    if reason:
        raise errors.UsageError(
            f"This password cannot be used. {reason}",
            hint="A few random words, or what a password manager makes, is good.",
        )


@functools.cache
def _nobodys() -> str:
    function = Argon2id(
        salt=clocks.new_secret(_SALT_BYTES),
        length=_LENGTH_BYTES,
        iterations=PASSES,
        lanes=LANES,
        memory_cost=MEMORY_KIB,
    )
    return function.derive_phc_encoded(clocks.new_secret(_LENGTH_BYTES))
