"""``reentra forget``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from reentra import errors
from reentra.cli import running, session, viewing
from reentra.cli.options import DEFAULT_COMMON, Common, TenantName
from reentra.cli.screen import Screen, plural

app = App(name="forget")


@app.default
def forget(
    name: TenantName,
    /,
    *snapshots: Annotated[
        str, Parameter(help="A snapshot or capture: its id, or the beginning of it.")
    ],
    apply_policy: Annotated[
        bool, Parameter(negative="", help="Forget what the retention policy does not keep.")
    ] = False,
    preview: Annotated[
        bool, Parameter(negative="", help="Show what would be forgotten, and forget nothing.")
    ] = False,
    yes: Annotated[bool, Parameter(negative="", help="Do not ask.")] = False,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Hide snapshots that nobody needs any more. Nothing brings them back.

    Every other snapshot stays as it is; the newest is never forgotten. `reentra prune` gives the
    space back. A restore whose capture is forgotten cannot be undone any more.

    Example: reentra forget contoso --apply-policy
    """
    from reentra import retaining
    from reentra.cli.retention import show_preview
    from reentra.repository import load_policy

    screen = Screen(as_json=common.json)
    if not snapshots and not apply_policy:
        raise errors.UsageError(
            "Nothing was named to forget.", hint="Name snapshots, or use --apply-policy."
        )
    with session.opened(common) as application:
        repository, catalog = application.repository, application.catalog
        tenant_id = viewing.synced_tenant(application, screen, name)
        chosen = retaining.found_ids(repository, catalog, tenant_id, snapshots)
        retaining.ensure_not_newest(repository, tenant_id, chosen)
        going = list(chosen)
        if apply_policy:
            policy = load_policy(repository, tenant_id)
            found = retaining.preview_retention(
                repository, catalog, tenant_id, policy, application.clock.now()
            )
            show_preview(screen, name, found)
            going += [one for one in found.forgotten if one not in chosen]
        if preview or not going:
            screen.say(f"{plural(len(going), 'snapshot')} would be forgotten: nothing was.")
            screen.result({"forgotten": [], "would_forget": sorted(going)})
            return 0
        if not yes:
            _ensure_wanted(going)
        parameters = {"snapshots": chosen, "apply_policy": apply_policy}
        job_id, result = running.run(
            application, screen, "forget", tenant=name, parameters=parameters
        )
        return running.show_result(screen, job_id, "forget", result)


def _ensure_wanted(going: list[str]) -> None:
    if not session.can_ask():
        raise errors.UsageError(
            f"{plural(len(going), 'snapshot')} would be forgotten, and there is nobody to ask.",
            hint="Look with --preview, then say --yes.",
        )
    if not session.confirmed(f"Forget {plural(len(going), 'snapshot')} for ever?"):
        raise errors.Interrupted("Nothing was forgotten.", hint="Look with --preview.")
