"""The command line: one file per command, each a thin face over ``app`` and ``tasks``.

It parses, asks, shows and sets the exit code; it decides nothing. With ``--json`` the last line of
stdout is the result and nothing else is on stdout. Heavy imports happen inside commands, so that
``reentra --help`` stays quick.

Read: ``root`` (the tree of commands and the edge where errors end), ``options``, ``screen``,
``session``, then any command.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    from reentra.cli import root

    sys.exit(root.run(sys.argv[1:]))
