"""One-time codes by time (RFC 6238): six digits, thirty seconds, SHA-1, as every app has it."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from urllib.parse import quote

from reentra import clock as clocks

_STEP_SECONDS = 30
_DIGITS = 6
_DRIFT_STEPS = 1  # a clock that is off by up to half a minute
_SEED_BYTES = 20


def new_seed() -> str:
    """Return a fresh seed in Base32, as apps want it."""
    return base64.b32encode(clocks.new_secret(_SEED_BYTES)).decode()


def step_at(moment: dt.datetime) -> int:
    """Return the number of the half-minute."""
    return int(moment.timestamp()) // _STEP_SECONDS


def code_at(seed: str, step: int) -> str:
    """Return the code of one half-minute."""
    mac = hmac.new(base64.b32decode(seed), step.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**_DIGITS).zfill(_DIGITS)


def matching_step(seed: str, code: str, moment: dt.datetime, last_used: int) -> int | None:
    """Return the half-minute that a code belongs to, later than the last one used, or ``None``."""
    found = None
    now = step_at(moment)
    for step in range(now - _DRIFT_STEPS, now + _DRIFT_STEPS + 1):
        is_same = hmac.compare_digest(code_at(seed, step).encode(), code.encode())
        if is_same and step > last_used:
            found = step
    return found


def uri(seed: str, name: str) -> str:
    """Return what a QR code for an authenticator app holds."""
    return f"otpauth://totp/{quote(f'Reentra:{name}')}?secret={seed}&issuer=Reentra"
