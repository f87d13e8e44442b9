"""``reentra init``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from reentra import errors, settings
from reentra.cli import acting, session
from reentra.cli.options import DEFAULT_COMMON, Common
from reentra.cli.screen import Screen

if TYPE_CHECKING:
    from reentra.app import Application
    from reentra.repository import Repository

app = App(name="init")


@app.default
def init(
    *,
    repository: Annotated[
        str,
        Parameter(
            help="Where: a folder, s3://BUCKET/PREFIX, az://CONTAINER/PREFIX. Default: a folder "
            "in REENTRA_HOME."
        ),
    ] = "",
    common: Common = DEFAULT_COMMON,
) -> int:
    """Make a repository, and print its recovery key once.

    The passphrase comes from REENTRA_PASSPHRASE, from --passphrase-file, or is asked for twice.
    Without the passphrase or the recovery key nobody can read the repository, ever.

    Example: reentra init --repository s3://backups/entra
    """
    from reentra.app import Application

    screen = Screen(as_json=common.json)
    chosen = settings.load_settings()
    url = repository or chosen.repository or str(chosen.default_repository_path)
    if "://" not in url:
        url = str(Path(url).expanduser().absolute())
    passphrase = session.new_passphrase(chosen, common.passphrase_file)
    with Application(chosen, lambda: passphrase) as application:
        _ensure_home_is_free(application, url)
        made, recovery_key = _made_or_finished(application, url, passphrase)
        acting.record(application, "recovery_key.reveal", target=made.id, result="done")
        screen.say(f"[green]✓[/] Repository made at [bold]{url}[/]")
        screen.say()
        screen.say("Recovery key, shown this once. It opens the repository when the passphrase is")
        screen.say("lost; keep it on paper, away from this machine:")
        screen.say()
        screen.say(f"    [bold]{recovery_key}[/]")
        screen.say()
        screen.say("Next: `reentra tenant connect NAME --tenant-id GUID --client-id GUID \\")
        screen.say("         --client-secret-file FILE`, then `reentra backup NAME`.")
        screen.result(
            {
                "repository": url,
                "repository_id": made.id,
                "home": str(chosen.home),
                "recovery_key": recovery_key,
            }
        )
        sys.stdout.flush()
        # Last: until it is recorded, running `init` again ends what a kill cut off, key included.
        application.record_repository(url)
    return 0


def _made_or_finished(
    application: Application, url: str, passphrase: str
) -> tuple[Repository, str]:
    """Make the repository, or finish the making of one whose recovery key was not shown yet."""
    from reentra.repository import Repository

    storage = application.storage(url)
    try:
        return Repository.create(storage, passphrase, clock=application.clock)
    except errors.AlreadyExists:
        if application.settings.config_path.exists():
            raise
        try:
            found = Repository.open(storage, passphrase, clock=application.clock)
        except errors.WrongPassphrase:
            found = None
        if found is None or not found.holds_nothing():
            raise
        return found, found.add_recovery_key()


def _ensure_home_is_free(application: Application, url: str) -> None:
    """Let pass a home that uses no repository yet, or the one that is named.

    Raises: ``AlreadyExists``: a home must never lose the way to its snapshots.
    """
    if not application.settings.config_path.exists():
        return
    known = application.recorded_repository()
    if known != url:
        raise errors.AlreadyExists(
            f"{application.home} uses the repository {known} already.",
            hint="Choose another REENTRA_HOME for the new repository.",
        )
