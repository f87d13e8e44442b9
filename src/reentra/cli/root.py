"""The tree of commands, and the edge where every error becomes one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Group, Parameter

from reentra import __version__, errors
from reentra.cli import screen

_LONGEST_MESSAGE = 200

_EPILOGUE = (
    "Exit codes: 0 done, 1 failed, 2 usage, 3 done but partial, 4 refused (nothing was written), "
    "5 wrong passphrase or damaged repository, 130 interrupted.\n\n"
    "Environment: REENTRA_HOME (the folder of everything local), REENTRA_PASSPHRASE or "
    "REENTRA_PASSPHRASE_FILE, REENTRA_REPOSITORY (another repository than `init` recorded), "
    "REENTRA_DATABASE_URL (PostgreSQL instead of SQLite), REENTRA_LOG_LEVEL (debug shows where "
    "an error came from)."
)

_BEGIN = Group("Begin", sort_key=1)
_PROTECT = Group("Protect", sort_key=2)
_LOOK = Group("Look", sort_key=3)
_BRING_BACK = Group("Bring back", sort_key=4)
_KEEP = Group("Keep in order", sort_key=5)
_TRY = Group("Try", sort_key=6)

# name, group, what it does; each command lives in the module of its name.
_COMMANDS = (
    ("init", _BEGIN, "Make a repository and print its recovery key."),
    ("tenant", _BEGIN, "Connect, list, check and disconnect tenants."),
    ("backup", _PROTECT, "Back up a tenant into a new snapshot."),
    ("serve", _PROTECT, "Serve the API, keep to the schedules, and run jobs."),
    ("snapshots", _LOOK, "List a tenant's snapshots, newest first."),
    ("browse", _LOOK, "Show kinds, objects, or one object of a snapshot."),
    ("search", _LOOK, "Find objects over all snapshots."),
    ("compare", _LOOK, "Show what differs between two snapshots, or a snapshot and now."),
    ("restore", _BRING_BACK, "Plan a restore, show it, and apply it."),
    ("download", _BRING_BACK, "Write a selection to a zip of JSON."),
    ("jobs", _KEEP, "List, show, cancel, resume and report jobs."),
    ("check", _KEEP, "Verify everything that the repository promises."),
    ("rebuild", _KEEP, "Make the catalog anew from the repository."),
    ("schedule", _PROTECT, "Show or set when a tenant is backed up."),
    ("retention", _PROTECT, "Show or set which snapshots are kept, and why."),
    ("forget", _KEEP, "Hide snapshots that nobody needs any more."),
    ("prune", _KEEP, "Give back the space of forgotten snapshots."),
    ("key", _KEEP, "List, add, change, remove and rotate the repository's keys."),
    ("people", _KEEP, "Say who may sign in, and what they may do."),
    ("approvals", _KEEP, "Show or set what needs a second person."),
    ("oidc", _KEEP, "Let people sign in with Microsoft Entra ID, or stop it."),
    ("tokens", _KEEP, "Make, list and revoke API tokens for scripts."),
    ("audit", _KEEP, "List, verify and export who did what."),
    ("sandbox", _TRY, "Serve an imitation of Microsoft Graph to practise on."),
    ("demo", _TRY, "Watch a tenant be backed up, hit, compared and restored."),
)


def make_app(chosen: str = "") -> App:
    """Build the tree; commands are imported when they are used.

    The short descriptions here would replace a command's own text, so ``chosen`` gets none.
    """
    app = App(
        name="reentra",
        help="Back up a Microsoft Entra ID tenant, compare its versions, and restore what was "
        "lost.",
        help_epilogue=_EPILOGUE,
        # Markdown sets paragraphs well and takes 35 ms to import; the list of commands has none.
        help_format="markdown" if chosen else "plaintext",
        version=__version__,
        version_flags=["--version"],
        default_parameter=Parameter(show_default=False),
        result_action="return_value",
    )
    app["--help"].group = app["--version"].group = Group("Help", sort_key=9)
    for name, group, help_text in _COMMANDS:
        short = None if name == chosen else help_text
        app.command(f"reentra.cli.{name}:app", name=name, group=group, help=short)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code. No error leaves this function."""
    as_json = "--json" in arguments
    try:
        code = make_app(_first_word(arguments))(
            list(arguments), exit_on_error=False, print_error=False, result_action="return_value"
        )
    except CycloptsError as failure:
        text = " ".join(str(failure).split()) or "The command line makes no sense."
        command = " ".join(failure.command_chain or ())
        hint = f"See `reentra {command} --help`." if command else "See `reentra --help`."
        return _end(errors.UsageError(text, hint=hint), as_json)
    except errors.Error as failure:
        return _end(failure, as_json)
    except KeyboardInterrupt:
        return _end(errors.Interrupted("Interrupted."), as_json)
    except BrokenPipeError:
        # The reader of our output went away (`| head`): nothing is wrong, and nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as failure:
        if _is_debugging():
            raise
        return _end(
            errors.Error(
                f"Something unforeseen happened ({type(failure).__name__}: "
                f"{_first_line(failure)}).",
                hint="Run it again with REENTRA_LOG_LEVEL=debug to see where, and report it.",
            ),
            as_json,
        )
    return code if isinstance(code, int) else 0


def _first_word(arguments: Sequence[str]) -> str:
    return next((argument for argument in arguments if not argument.startswith("-")), "")


def _end(failure: errors.Error, as_json: bool) -> int:
    screen.show_error(failure, as_json=as_json)
    if _is_debugging():
        import traceback

        traceback.print_exception(failure)
    return failure.exit_code


def _first_line(failure: Exception) -> str:
    """Return what fits on a line: the rest of a library's message may quote data."""
    lines = str(failure).splitlines()
    return lines[0][:_LONGEST_MESSAGE] if lines else "no message"


def _is_debugging() -> bool:
    from reentra import settings

    return settings.load_settings().log_level.lower() == "debug"
