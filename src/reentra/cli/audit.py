"""``reentra audit list|verify|export``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from reentra import errors
from reentra.cli import acting, session, viewing
from reentra.cli.options import DEFAULT_COMMON, Common
from reentra.cli.screen import Screen

app = App(name="audit")


@app.command(name="list")
def list_records(
    *,
    tenant: Annotated[str, Parameter(help="Only what concerns this tenant.")] = "",
    who: Annotated[str, Parameter(help="Only what somebody did whose name holds this.")] = "",
    action: Annotated[str, Parameter(help="Only actions that begin with this.")] = "",
    since: Annotated[str, Parameter(help="Only what was done at or after this time (UTC).")] = "",
    until: Annotated[str, Parameter(help="Only what was done at or before this time (UTC).")] = "",
    before: Annotated[int | None, Parameter(help="Only records with a lower number.")] = None,
    limit: Annotated[int, Parameter(help="How many, newest first.")] = 50,
    common: Common = DEFAULT_COMMON,
) -> int:
    """List who did what, newest first.

    Example: reentra audit list --tenant contoso
    """
    screen = Screen(as_json=common.json)
    first = viewing.asked_moment("--since", since)
    last = viewing.asked_moment("--until", until, is_end=True)
    with session.opened(common) as application:
        found = application.access.trail.list_records(
            before=before, tenant=tenant or None, who=who.strip(), action=action.strip(),
            since=first, until=last, limit=limit,
        )  # fmt: skip
    screen.table(
        ("No", "When (UTC)", "Who", "Via", "From", "What", "Tenant", "Target", "Result"),
        (
            (
                str(item.number),
                item.at[:19].replace("T", " "),
                item.who,
                item.via,
                item.address,
                item.action,
                item.tenant,
                item.target,
                item.result,
            )
            for item in found
        ),
        numbers=(0,),
    )
    screen.result([item.to_json() for item in found])
    return 0


@app.command
def verify(
    *,
    head: Annotated[
        str, Parameter(help="A head that was noted before, which must still be in the trail.")
    ] = "",
    common: Common = DEFAULT_COMMON,
) -> int:
    """Verify that no record was changed, removed or slipped in. Exit code 5 when one was.

    Who can write the database can cut the end off: note the head elsewhere, and give it here.

    Example: reentra audit verify
    """
    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        report = application.access.trail.verify(head.strip().lower())
    if report.is_whole:
        screen.say(f"[green]✓[/] {report.records:,} records, none changed or missing.")
        screen.say(f"  Head: [bold]{report.head}[/]")
    for problem in report.problems:
        screen.say(f"[red]✗[/] {problem}")
    screen.result(report.to_json())
    return 0 if report.is_whole else errors.RepositoryDamaged.exit_code


@app.command
def export(
    *,
    form: Annotated[
        Literal["csv", "jsonl"], Parameter(name="--format", help="How to write it.")
    ] = "csv",
    output: Annotated[Path, Parameter(name=("--output", "-o"), help="The new file to write.")],
    common: Common = DEFAULT_COMMON,
) -> int:
    """Write the whole trail to a new file that only you may read.

    Example: reentra audit export --format jsonl -o audit.jsonl
    """
    screen = Screen(as_json=common.json)
    path = output.expanduser().absolute()
    with (
        session.opened(common) as application,
        acting.recorded(application, "audit.export"),
    ):
        trail = application.access.trail
        lines = trail.export_csv() if form == "csv" else trail.export_json_lines()
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as failure:
            raise errors.UsageError(
                f"{path} cannot be written: {failure.strerror}.", hint="Choose another file."
            ) from failure
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.writelines(lines)
    screen.say(f"[green]✓[/] Written to {path}.")
    screen.result({"file": str(path)})
    return 0
