"""A download that waits to be fetched, sealed: never in clear on a disk.

A file is a row of frames: length (4 bytes, big-endian), then AES-256-GCM of up to 256 KiB. The
nonce is the frame's number; the associated data says whether it is the last. So a frame that is
changed, moved, left out, or an end that is cut off does not open. A key is for one file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from reentra import errors

_FRAME_BYTES = 256 * 1024
_NONCE_BYTES = 12
_LENGTH_BYTES = 4
_TAG_BYTES = 16


def sealed_chunks(key: bytes, clear: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the frames of a sealed file; memory is flat."""
    cipher = AESGCM(key)
    held = bytearray()
    number = 0
    for chunk in clear:
        held += chunk
        while len(held) > _FRAME_BYTES:  # one frame is always kept back: it may be the last
            yield _frame(cipher, number, bytes(held[:_FRAME_BYTES]), is_last=False)
            del held[:_FRAME_BYTES]
            number += 1
    yield _frame(cipher, number, bytes(held), is_last=True)


def open_chunks(key: bytes, path: Path) -> Iterator[bytes]:
    """Yield what was sealed into a file.

    Raises: ``errors.NotFound`` when it is not there any more; ``errors.RepositoryDamaged`` when it
    is not as it was written, at the frame that is wrong.
    """
    cipher = AESGCM(key)
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise errors.NotFound(
            "The file of this download is gone: it has expired.", hint="Make the download again."
        ) from None
    with file:
        number, is_last = 0, False
        while not is_last:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "big")
            frame = file.read(length) if _TAG_BYTES <= length <= _FRAME_BYTES + _TAG_BYTES else b""
            is_last = len(file.peek(1)) == 0
            try:
                yield cipher.decrypt(_nonce(number), frame, _associated(is_last=is_last))
            except InvalidTag as failure:
                raise errors.RepositoryDamaged(
                    "The file of this download is damaged.", hint="Make the download again."
                ) from failure
            number += 1


def _frame(cipher: AESGCM, number: int, clear: bytes, *, is_last: bool) -> bytes:
    sealed = cipher.encrypt(_nonce(number), clear, _associated(is_last=is_last))
    return len(sealed).to_bytes(_LENGTH_BYTES, "big") + sealed


def _nonce(number: int) -> bytes:
    return number.to_bytes(_NONCE_BYTES, "big")


def _associated(*, is_last: bool) -> bytes:
    return b"last" if is_last else b"more"
