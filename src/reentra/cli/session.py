"""Opens the application for a command: settings, passphrase, signals."""

from __future__ import annotations

import contextlib
import getpass
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reentra import errors, settings
from reentra.cli.options import Common

if TYPE_CHECKING:
    from reentra.app import Application


@contextlib.contextmanager
def opened(common: Common) -> Iterator[Application]:
    """Yield the application that the environment and the options describe."""
    from reentra.app import Application

    chosen = settings.load_settings()
    with Application(chosen, lambda: passphrase(chosen, common.passphrase_file)) as application:
        yield application


def passphrase(chosen: settings.Settings, file: Path | None) -> str:
    """Return the repository's passphrase from the file, the environment, or a prompt.

    Raises: ``ConfigurationError`` when there is none and nobody to ask.
    """
    given = _given_passphrase(chosen, file)
    if given:
        return given
    return asked("Passphrase of the repository: ", "the repository's passphrase")


def new_passphrase(chosen: settings.Settings, file: Path | None) -> str:
    """Return the passphrase for a new repository; at a prompt it is asked for twice."""
    given = _given_passphrase(chosen, file)
    if given:
        return given
    first = asked("Passphrase for the new repository: ", "a passphrase for the repository")
    if asked("The same again: ", "the passphrase again") != first:
        raise errors.UsageError(
            "The two passphrases differ; nothing was made.", hint="Run `reentra init` again."
        )
    return first


def asked(prompt: str, what: str) -> str:
    """Ask for a secret on the terminal.

    Raises: ``ConfigurationError`` without a terminal, ``UsageError`` for an empty answer.
    """
    if not sys.stdin.isatty():
        raise errors.ConfigurationError(
            f"This needs {what}, and there is no terminal to ask on.",
            hint="Set REENTRA_PASSPHRASE, or pass --passphrase-file FILE."
            if "passphrase" in what
            else "Pass it in a file.",
        )
    answer = getpass.getpass(prompt, stream=sys.stderr)
    if not answer:
        raise errors.UsageError(f"Nothing was given for {what}.")
    return answer


def secret_from_file(path: Path, what: str) -> str:
    """Read a secret from the first line of a file.

    Raises: ``UsageError`` when it cannot be read or is empty.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as failure:
        raise errors.UsageError(
            f"{what} cannot be read from {path}: {_reason(failure)}.",
            hint="Give a text file whose first line is the secret.",
        ) from failure
    secret = lines[0].strip() if lines else ""
    if not secret:
        raise errors.UsageError(
            f"{path} is empty.", hint=f"Its first line is to be {what[0].lower()}{what[1:]}."
        )
    return secret


def confirmed(question: str) -> bool:
    """Ask yes or no on the terminal; no is the answer of Enter."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def typed_number(question: str) -> int | None:
    """Ask for a number on the terminal; anything else is ``None``."""
    print(f"{question} ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip().replace(",", "")
    return int(answer) if answer.isdecimal() else None


def can_ask() -> bool:
    return sys.stdin.isatty()


@contextlib.contextmanager
def stopping(stop: Callable[[], None], announce: Callable[[], None]) -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into ``stop``; the second one ends at once."""
    seen = 0

    def on_signal(_number: int, _frame: Any) -> None:
        nonlocal seen
        seen += 1
        if seen > 1:
            raise KeyboardInterrupt
        announce()
        stop()

    before = {number: signal.signal(number, on_signal) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _given_passphrase(chosen: settings.Settings, file: Path | None) -> str:
    if file is not None:
        return secret_from_file(file, "The passphrase")
    if chosen.passphrase is not None and chosen.passphrase.get_secret_value():
        return chosen.passphrase.get_secret_value()
    if chosen.passphrase_file is not None:
        return secret_from_file(chosen.passphrase_file, "The passphrase")
    return ""


def _reason(failure: Exception) -> str:
    return getattr(failure, "strerror", None) or "it is no UTF-8 text"
