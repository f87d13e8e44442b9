"""``reentra key list|add|remove|passwd|rotate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from reentra import clock as clocks
from reentra import errors
from reentra.cli import acting, session
from reentra.cli.options import DEFAULT_COMMON, Common
from reentra.cli.screen import Screen

if TYPE_CHECKING:
    from reentra.app import Application

app = App(name="key")

NewPassphraseFile = Annotated[
    Path | None,
    Parameter(help="A file whose first line is the new passphrase; without it, it is asked for."),
]


@app.command(name="list")
def list_keys(*, common: Common = DEFAULT_COMMON) -> int:
    """List the passphrases and recovery keys that open the repository, by their ids.

    Example: reentra key list
    """
    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        document = _document(application)
    screen.table(
        ("Key", "Kind", "Made", "Generation", ""),
        (
            (
                key["id"], key["kind"], key["created_at"][:10], f"k{key['generation']}",
                "opened with it now" if key["own"] else "",
            )
            for key in document["items"]
        ),
    )  # fmt: skip
    screen.result(document)
    return 0


@app.command
def add(
    *,
    recovery: Annotated[
        bool, Parameter(negative="", help="Make a recovery key instead, and print it once.")
    ] = False,
    new_passphrase_file: NewPassphraseFile = None,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Let one more passphrase open the repository, or one more recovery key.

    Example: reentra key add --new-passphrase-file next.txt
    """
    screen = Screen(as_json=common.json)
    if recovery and new_passphrase_file is not None:
        raise errors.UsageError(
            "A new key is a passphrase or a recovery key.", hint="Leave one of the two out."
        )
    with session.opened(common) as application:
        repository, made = application.repository, ""
        if recovery:
            with acting.recorded(application, "key.add", target="a recovery key"):
                made = repository.add_recovery_key()
            _reveal(application, screen, made)
        else:
            passphrase = _new_passphrase(new_passphrase_file)
            with acting.recorded(application, "key.add", target="a passphrase"):
                repository.add_slot(passphrase)
            screen.say("[green]✓[/] The passphrase opens the repository from now on.")
        screen.result({"recovery_key": made, **_document(application)})
    return 0


@app.command
def remove(
    key: Annotated[str, Parameter(help="Its id, as `reentra key list` shows it.")],
    /,
    *,
    even_own: Annotated[
        bool,
        Parameter(negative="", help="Also when it is the one that opens the repository now."),
    ] = False,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Take a passphrase or recovery key away; never the last one that opens everything.

    Whoever copied the store before can still read that copy. `reentra key rotate` keeps what is
    written afterwards from them.

    Example: reentra key remove 3f2a9c0011d4e5b6
    """
    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        repository = application.repository

        def agreed(going: frozenset[str]) -> None:
            if repository.opened_by in going and not even_own:
                raise errors.OwnKey(
                    f"The key {key} is the one that opens the repository now; a server that is"
                    " given the same does not start without it. Nothing was changed."
                )

        with acting.recorded(application, "key.remove", target=key):
            repository.remove_slot(key, agreed=agreed)
        screen.say(f"[green]✓[/] The key {key} opens nothing any more.")
        screen.result(_document(application))
    return 0


@app.command
def passwd(
    *, new_passphrase_file: NewPassphraseFile = None, common: Common = DEFAULT_COMMON
) -> int:
    """Replace the passphrase that the command is given by a new one.

    A server that is started with the old one must be given the new one before its next start.

    Example: reentra key passwd --passphrase-file old.txt --new-passphrase-file new.txt
    """
    from reentra import settings

    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        old = session.passphrase(settings.load_settings(), common.passphrase_file)
        new = _new_passphrase(new_passphrase_file)
        with acting.recorded(application, "key.change", target="a passphrase"):
            application.repository.change_passphrase(old, new)
        screen.say("[green]✓[/] The new passphrase opens the repository, and the old one does not.")
        screen.say("Give it to whatever was given the old one, before that starts again.")
        screen.result(_document(application))
    return 0


@app.command
def rotate(*, common: Common = DEFAULT_COMMON) -> int:
    """Encrypt what is written from now on with new keys, and print a new recovery key once.

    Only the passphrase that the command is given and that recovery key open the repository
    afterwards; every other key is removed. Old data stays readable. Start servers anew.

    Example: reentra key rotate
    """
    from reentra import settings

    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        repository = application.repository
        given = session.passphrase(settings.load_settings(), common.passphrase_file)
        target = f"k{repository.key_generation + 1}"
        with acting.recorded(application, "key.rotate", target=target):
            made = repository.rotate(given)
        screen.say(f"[green]✓[/] What is written from now on has keys of generation {target}.")
        _reveal(application, screen, made)
        screen.result({"recovery_key": made, **_document(application)})
    return 0


def _new_passphrase(file: Path | None) -> str:
    from reentra.repository.keys import ensure_long

    if file is not None:
        new = session.secret_from_file(file, "The new passphrase")
    else:
        new = session.asked("New passphrase: ", "the new passphrase")
        if session.asked("The same again: ", "the new passphrase again") != new:
            raise errors.UsageError("The two passphrases differ; nothing was changed.")
    ensure_long(new)
    return new


def _reveal(application: Application, screen: Screen, recovery_key: str) -> None:
    acting.record(
        application, "recovery_key.reveal", target=application.repository.id, result="done"
    )
    screen.say("Recovery key, shown this once; keep it on paper, away from this machine:")
    screen.say()
    screen.say(f"    [bold]{recovery_key}[/]")


def _document(application: Application) -> dict[str, Any]:
    repository = application.repository
    return {
        "generation": repository.key_generation,
        "items": [
            {
                "id": slot.id,
                "kind": slot.kind.value,
                "created_at": clocks.iso(slot.created_at),
                "generation": slot.generation,
                "own": slot.id == repository.opened_by,
            }
            for slot in repository.list_slots()
        ],
    }
