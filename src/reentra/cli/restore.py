"""``reentra restore``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import orjson
from cyclopts import App, Parameter

from reentra import errors
from reentra.cli import acting, plans, running, session, viewing
from reentra.cli.options import DEFAULT_COMMON, Common, Kinds, Refs
from reentra.cli.screen import Screen, plural

if TYPE_CHECKING:
    from reentra.app import Application
    from reentra.restore.draft import SettingsBehavior
    from reentra.restore.plan import RestorePlan

app = App(name="restore")


@app.default
def restore(
    name: Annotated[
        str, Parameter(help="The tenant's name; may be left out with the --plan of a file.")
    ] = "",
    /,
    *,
    snapshot: Annotated[
        str,
        Parameter(
            help="An id, its unique beginning, latest, or a time (the newest at or before it, UTC)."
        ),
    ] = "",
    kind: Kinds = (),
    id: Refs = (),  # noqa: A002  the option's name
    relationships: Annotated[
        Literal["merge", "rollback"] | None,
        Parameter(
            help="Restore links too: merge keeps those that were added since, rollback takes them "
            "away. merge, unless --property is given."
        ),
    ] = None,
    no_relationships: Annotated[
        bool, Parameter(negative="", help="Restore objects only, and no links.")
    ] = False,
    deleted_only: Annotated[
        bool,
        Parameter(
            negative="", help="Only what no longer exists; leave existing objects untouched."
        ),
    ] = False,
    settings: Annotated[
        Literal["overwrite", "skip"],
        Parameter(help="What happens to settings: the tenant's, and those of each kind."),
    ] = "overwrite",
    settings_of: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            help="What happens to the settings of one kind, or of the tenant, instead: user=skip, "
            "tenant=overwrite; repeatable.",
        ),
    ] = (),
    property: Annotated[  # noqa: A002  the option's name
        tuple[str, ...],
        Parameter(
            negative="",
            help="Put back only this property of objects that exist: department, user.department, "
            "employeeOrgData.division; repeatable.",
        ),
    ] = (),
    rollback_kind: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            help="Also delete the objects of this kind that were created since the snapshot; "
            "repeatable. Their number has to be confirmed.",
        ),
    ] = (),
    confirm_deletions: Annotated[
        int | None,
        Parameter(help="How many objects the plan deletes: without a terminal, say it here."),
    ] = None,
    default_password_file: Annotated[
        Path | None,
        Parameter(help="A file with the first password of users that must be created anew."),
    ] = None,
    preview: Annotated[
        bool, Parameter(negative="", help="Show the plan and write nothing to the tenant.")
    ] = False,
    plan: Annotated[
        Path | None,
        Parameter(
            help="A plan's file. With --snapshot the new plan is saved there; without, the plan "
            "in it is shown or applied."
        ),
    ] = None,
    policy_state: Annotated[
        Literal["report-only", "as-backed-up"],
        Parameter(help="The state of Conditional Access policies that must be created anew."),
    ] = "report-only",
    max_changed_share: Annotated[
        float | None,
        Parameter(
            help="Refuse to change more than this share of a kind (1: no limit). Left out, a "
            "fifth of a kind may change, and 50 of its objects in any case."
        ),
    ] = None,
    follow_up: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            help="Also bring this object up to date, which is not selected and names an id that is "
            "gone: KIND/ID as the plan lists it, or all; repeatable.",
        ),
    ] = (),
    overrule: Annotated[
        tuple[str, ...],
        Parameter(negative="", help="Apply in spite of the refusal of this code; repeatable."),
    ] = (),
    yes: Annotated[bool, Parameter(negative="", help="Do not ask before applying.")] = False,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Restore from a snapshot, in place: make a plan, show it, and apply it.

    Without --kind and --id everything in the snapshot is meant. Nothing outside the selection is
    changed, and what was added since stays, unless a rollback is asked for. What is in the recycle
    bin comes back with its id; what is gone for good is created anew, and every reference to it
    follows. A plan is refused when the tenant changed since it was made. A killed restore goes on
    with `reentra jobs resume`, or at the next start.

    Example: reentra restore contoso --snapshot latest --kind user --kind group --preview
    """
    from reentra.directory.selection import Selection
    from reentra.restore.choices import ensure_consistent
    from reentra.restore.draft import (
        PolicyState,
        RelationshipsBehavior,
        RestoreOptions,
        SettingsBehavior,
    )
    from reentra.tasks import make_plan

    screen = Screen(as_json=common.json)
    selection = Selection.parse(kind, id)
    if no_relationships and relationships is not None:
        raise errors.UsageError(
            "--no-relationships and --relationships contradict each other.", hint="Give one."
        )
    with session.opened(common) as application:
        if snapshot:
            if not name:
                raise errors.UsageError(
                    "No tenant is named.", hint="`reentra restore NAME --snapshot SNAPSHOT`."
                )
            if plan is not None:
                plans.ensure_replaceable(plan)
            options = RestoreOptions(
                relationships=not no_relationships and (relationships is not None or not property),
                deleted_only=deleted_only,
                settings=SettingsBehavior(settings),
                conditional_access_state=PolicyState(policy_state.replace("-", "_")),
                max_changed_share=max_changed_share,
                overruled=frozenset(overrule),
                relationships_behavior=RelationshipsBehavior(relationships or "merge"),
                settings_of=_settings_of(settings_of),
                rollback_kinds=frozenset(rollback_kind),
                properties=frozenset(property),
            )
            ensure_consistent(options, selection)
            if not preview:
                running.take_up_left_behind(application, screen, default_password_file)
            tenant_id = viewing.synced_tenant(application, screen, name)
            seen = viewing.state_of(application, tenant_id, snapshot)
            with (
                acting.recorded(
                    application, "plan", tenant=name, target=seen.label, done="succeeded"
                ),
                screen.progress() as listener,
            ):
                made = make_plan(
                    application,
                    name,
                    seen.label,
                    selection,
                    options,
                    listener,
                    follow_ups=frozenset(follow_up),
                )
            if plan is not None:
                with acting.recorded(application, "plan.fetch", tenant=name, target=made.id):
                    plans.save(plan, made)
        elif plan is not None and follow_up:
            raise errors.UsageError(
                "A saved plan takes no further follow-ups.",
                hint="Make it again: --snapshot SNAPSHOT --follow-up ID --plan FILE.",
            )
        elif plan is not None:
            made, name = _planned(application, plan, name)
            made = dataclasses.replace(
                made,
                options=dataclasses.replace(
                    made.options, overruled=made.options.overruled | set(overrule)
                ),
            )
        else:
            raise errors.UsageError(
                "Nothing says what to restore.",
                hint="Give --snapshot SNAPSHOT (an id, latest, or a time), or --plan FILE.",
            )
        if preview:
            plans.show(screen, made, plan if snapshot else None)
            screen.result(made.to_json())
            return 0
        return apply(
            application,
            screen,
            name,
            made,
            default_password_file,
            is_agreed=yes,
            confirmed_deletions=confirm_deletions,
        )


def apply(
    application: Application,
    screen: Screen,
    name: str,
    plan: RestorePlan,
    default_password_file: Path | None,
    *,
    is_agreed: bool,
    confirmed_deletions: int | None = None,
) -> int:
    """Show a plan, ask, apply it as a job, show how it ended, and return the exit code.

    Deletions need more than agreement: their number, given beforehand or typed.

    Raises: ``Refused`` when the plan refuses, or when nobody agreed.
    """
    from reentra.restore.plan import ensure_deletions_confirmed, ensure_not_refused
    from reentra.restore.steps import Password
    from reentra.tasks import keep_plan, plan_digest

    plans.show(screen, plan, None)
    ensure_not_refused(plan)
    can_ask = session.can_ask() and not screen.as_json
    if plan.deletions_to_confirm and confirmed_deletions is None and can_ask:
        confirmed_deletions = session.typed_number(
            f"The plan deletes {plural(plan.deletions_to_confirm, 'object')} of {name}. "
            "Type their number to go on:"
        )
        is_agreed = True  # whoever typed the number has been asked
    ensure_deletions_confirmed(plan, confirmed_deletions)
    if not is_agreed and not plan.is_empty:
        if not can_ask:
            raise errors.Refused(
                "A restore asks before it writes, and there is nobody to ask; nothing was written.",
                hint="Read the plan with --preview, then add --yes.",
            )
        if not session.confirmed(f"Apply these {len(plan.steps):,} steps to {name}?"):
            raise errors.Refused("Not agreed to; nothing was written.", hint="")
    if any(step.password is Password.DEFAULT for step in plan.steps):
        # Asked for before the job begins: a job must not wait for a person at a prompt.
        password = running.default_password(default_password_file)
    else:
        password = ""
    keep_plan(application, plan)
    job_id, result = running.run(
        application,
        screen,
        "restore",
        tenant=name,
        parameters={
            "plan": plan.id,
            "digest": plan_digest(plan.to_json()),
            "confirmed_deletions": confirmed_deletions,
        },
        default_password=password,
        default_password_file=default_password_file,
    )
    return running.show_result(screen, job_id, "restore", result)


def _settings_of(texts: tuple[str, ...]) -> dict[str, SettingsBehavior]:
    """Read ``--settings-of OWNER=BEHAVIOR`` values."""
    from reentra.restore.draft import SettingsBehavior

    found = {}
    for text in texts:
        owner, equals, behavior = text.partition("=")
        if not owner or not equals or behavior not in tuple(SettingsBehavior):
            raise errors.UsageError(
                f"--settings-of {text} says nothing.",
                hint="Write it as user=skip, group=overwrite or tenant=skip.",
            )
        found[owner] = SettingsBehavior(behavior)
    return found


def _planned(application: Application, file: Path, name: str) -> tuple[RestorePlan, str]:
    """Read the plan in a file, and find the tenant that it is for."""
    from reentra.restore.plan import RestorePlan

    try:
        document: Any = orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError) as failure:
        raise errors.UsageError(
            f"There is no plan to be read in {file}.",
            hint="Save one with `reentra restore NAME --snapshot SNAPSHOT --preview --plan FILE`.",
        ) from failure
    plan = RestorePlan.from_json(document)
    if name:
        return plan, name
    fitting = [
        known.name
        for known in application.connections.list_known() or application.connections.list_all()
        if known.tenant_id.lower() == plan.tenant_id.lower()
    ]
    if len(fitting) != 1:
        raise errors.UsageError(
            f"{len(fitting)} connected tenants fit the plan's tenant {plan.tenant_id}.",
            hint=f"Name one: `reentra restore NAME --plan {file}`.",
        )
    return plan, fitting[0]
