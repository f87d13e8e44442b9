"""``reentra download``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from reentra import errors
from reentra.cli import running, session, viewing
from reentra.cli.options import DEFAULT_COMMON, Common, Kinds, Refs, TenantName
from reentra.cli.screen import Screen

app = App(name="download")


@app.default
def download(
    name: TenantName,
    /,
    *,
    snapshot: viewing.SnapshotName = "latest",
    kind: Kinds = (),
    id: Refs = (),  # noqa: A002  the option's name
    relationships: Annotated[
        bool, Parameter(negative="", help="Write each object's relationships too.")
    ] = False,
    output: Annotated[Path, Parameter(name=("--output", "-o"), help="The zip to write.")],
    common: Common = DEFAULT_COMMON,
) -> int:
    """Write a selection of a snapshot to a zip of JSON; without --kind and --id, all of it.

    Example: reentra download contoso --snapshot latest --kind group --relationships -o groups.zip
    """
    from reentra.directory.selection import Selection

    screen = Screen(as_json=common.json)
    selection = Selection.parse(kind, id)
    path = output.expanduser().absolute()
    if not path.parent.is_dir():
        raise errors.UsageError(
            f"There is no folder {path.parent}.", hint="Make it, or choose another file."
        )
    with session.opened(common) as application:
        seen = viewing.open_snapshot(application, screen, name, snapshot)
        job_id, result = running.run(
            application,
            screen,
            "download",
            tenant=name,
            parameters={
                "snapshot": seen.snapshot_id,
                "selection": selection.to_json(),
                "relationships": relationships,
                "path": str(path),
            },
        )
        return running.show_result(screen, job_id, "download", result)
