"""The options that many commands share, said once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

COMMON = Group("Common", sort_key=90)


@Parameter(name="*", group=COMMON)
@dataclass(frozen=True, slots=True)
class Output:
    """How to answer."""

    json: Annotated[
        bool,
        Parameter(name="--json", negative="", help="Print JSON for machines on stdout."),
    ] = False


@Parameter(name="*", group=COMMON)
@dataclass(frozen=True, slots=True)
class Common:
    """What every command that opens the repository takes."""

    json: Annotated[
        bool,
        Parameter(name="--json", negative="", help="Print JSON for machines on stdout."),
    ] = False
    passphrase_file: Annotated[
        Path | None,
        Parameter(
            name="--passphrase-file",
            help="A file whose first line is the repository's passphrase; otherwise "
            "REENTRA_PASSPHRASE, or a prompt.",
        ),
    ] = None


DEFAULT_OUTPUT = Output()
DEFAULT_COMMON = Common()

TenantName = Annotated[str, Parameter(help="The name given at `reentra tenant connect`.")]
Kinds = Annotated[
    tuple[str, ...],
    Parameter(
        name="--kind",
        negative="",
        help="A kind of object (user, group, conditionalAccessPolicy, ...); repeatable.",
    ),
]
Refs = Annotated[
    tuple[str, ...],
    Parameter(name="--id", negative="", help="One object, as KIND/ID; repeatable."),
]
