"""``reentra jobs list|show|cancel|resume|report|undo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from reentra import clock as clocks
from reentra import errors
from reentra.cli import acting, running, session
from reentra.cli.options import DEFAULT_COMMON, Common
from reentra.cli.screen import Screen, escaped

if TYPE_CHECKING:
    from reentra.app import Application
    from reentra.database import Job, JobStep

app = App(name="jobs")

_GOOD = frozenset({"done", "already"})

JobId = Annotated[str, Parameter(help="The job's id, or the beginning of it.")]


@app.command(name="list")
def list_jobs(
    *,
    tenant: Annotated[str, Parameter(help="Only this tenant's jobs.")] = "",
    task: Annotated[str, Parameter(help="Only jobs of this task: backup, restore, ...")] = "",
    status: Annotated[str, Parameter(help="Only jobs that stand so: failed, running, ...")] = "",
    limit: Annotated[int, Parameter(help="How many, newest first.")] = 50,
    common: Common = DEFAULT_COMMON,
) -> int:
    """List jobs, newest first.

    Example: reentra jobs list --tenant contoso
    """
    from reentra import reporting
    from reentra.database import JobStatus

    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        runner = running.runner(application)
        wanted = reporting.named_status(JobStatus, status)
        found = application.jobs.list_jobs(
            tenant=tenant or None,
            task=task or None,
            statuses=() if wanted is None else (wanted,),
            limit=limit,
        )
        shown = [_document(job, is_alive=runner.is_alive(job.id)) for job in found]
    if shown:
        screen.table(
            ("Job", "Task", "Tenant", "Status", "Began", "Ended", "By"),
            (
                (
                    job["id"],
                    job["task"],
                    job["tenant"] or "-",
                    job["status"],
                    _moment(job["started_at"]),
                    _moment(job["finished_at"]),
                    job["who"],
                )
                for job in shown
            ),
        )
    else:
        screen.say("No job has run yet.")
    screen.result(shown)
    return 0


@app.command
def show(
    job: JobId,
    /,
    *,
    status: Annotated[str, Parameter(help="Only steps that stand so: failed, done, ...")] = "",
    limit: Annotated[int, Parameter(help="Show at most so many steps.")] = 50,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Show one job: its status, how far it is, and its steps; those that went wrong come first.

    With --json every step is there.

    Example: reentra jobs show 3f2a
    """
    from reentra import reporting
    from reentra.database import StepStatus

    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        found = application.jobs.load_job(job)
        document = _document(found, is_alive=running.runner(application).is_alive(found.id))
        counted = application.jobs.count_steps(found.id)
        steps = {status.value: count for status, count in counted.items() if count}
        document["steps"] = steps
        document["parameters"] = dict(found.parameters)
        document["summary"] = dict(found.summary)
        wanted = reporting.named_status(StepStatus, status)
        listed = [
            step
            for step in application.jobs.list_steps(found.id)
            if wanted is None or step.status is wanted
        ]
        document["entries"] = [_step_document(step) for step in listed]
    screen.say(f"[bold]{document['id']}[/]  {document['task']}  {document['tenant']}")
    screen.say(f"  status    {document['status']}")
    screen.say(f"  began     {_moment(document['started_at'])}")
    screen.say(f"  ended     {_moment(document['finished_at'])}")
    if document["progress"]:
        screen.say(f"  progress  {escaped(_words(document['progress']))}")
    if steps:
        screen.say(f"  steps     {escaped(_words(steps))}")
    if found.summary.get("capture"):
        screen.say(f"  capture   {found.summary['capture']}")
    if found.error:
        screen.say(f"  error     {escaped(str(found.error['message']))}")
    wrong_first = sorted(document["entries"], key=lambda step: step["status"] in _GOOD)
    if wrong_first:
        screen.table(
            ("Step", "Status", ""),
            ((step["step"], step["status"], step["message"]) for step in wrong_first[:limit]),
        )
    if len(wrong_first) > limit:
        screen.say(f"[dim]... and {len(wrong_first) - limit:,} more; --limit shows them[/]")
    if document["status"] in {"interrupted", "cancelled", "failed"}:
        screen.say(f"`reentra jobs resume {found.id}` goes on with it.")
    if found.task == "restore" and steps.get("done"):
        screen.say(f"`reentra jobs undo {found.id}` takes it back.")
    screen.result(document)
    return 0


@app.command
def cancel(job: JobId, /, *, common: Common = DEFAULT_COMMON) -> int:
    """Ask a job to stop at the border of its next step.

    Example: reentra jobs cancel 3f2a
    """
    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        found = application.jobs.load_job(job)
        if found.status.is_final:
            raise errors.Refused(
                f"Job {found.id} has ended ({found.status.value}); there is nothing to cancel."
            )
        with acting.recorded(application, "job.cancel", tenant=found.tenant, target=found.id):
            will_stop = running.runner(application).request_cancel(found.id)
        status = application.jobs.load_job(found.id).status.value
    screen.say(
        f"Job {found.id} will stop after the step it is at."
        if will_stop
        else f"Job {found.id} was not running; it is marked as cancelled."
    )
    screen.result({"job": found.id, "status": status})
    return 0


@app.command
def resume(
    job: JobId,
    /,
    *,
    default_password_file: Annotated[
        Path | None,
        Parameter(
            help="The password for users that must be created anew; it is never stored, so a "
            "resumed restore needs it again."
        ),
    ] = None,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Go on with a job that was killed, stopped or failed, where it was.

    Example: reentra jobs resume 3f2a
    """
    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        found = application.jobs.load_job(job)
        return running.resume(application, screen, found, default_password_file)


@app.command
def undo(
    job: JobId,
    /,
    *,
    preview: Annotated[
        bool, Parameter(negative="", help="Show the plan and write nothing to the tenant.")
    ] = False,
    plan: Annotated[
        Path | None, Parameter(help="Save the plan in this file; `reentra restore` can apply it.")
    ] = None,
    overwrite_later_changes: Annotated[
        bool,
        Parameter(
            negative="", help="Put back also what somebody has changed again since the restore."
        ),
    ] = False,
    overrule: Annotated[
        tuple[str, ...],
        Parameter(negative="", help="Apply in spite of the refusal of this code; repeatable."),
    ] = (),
    default_password_file: Annotated[
        Path | None,
        Parameter(help="A file with the first password of users that must be created anew."),
    ] = None,
    confirm_deletions: Annotated[
        int | None,
        Parameter(
            help="How many objects the plan deletes for good: without a terminal, say it here."
        ),
    ] = None,
    yes: Annotated[bool, Parameter(negative="", help="Do not ask before applying.")] = False,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Take back what a restore did: make a plan, show it, and apply it as a restore of its own.

    What it changed is put back as it was right before, links that it added are removed, and what
    it created or brought back is deleted again. Only what the restore really did is taken back,
    and nothing that came later. An undo can be undone, too.

    Example: reentra jobs undo 3f2a --preview
    """
    from reentra.cli import plans
    from reentra.cli.restore import apply
    from reentra.restore.draft import RestoreOptions
    from reentra.tasks import make_undo_plan

    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        found = _restore_to_undo(application, job)
        runner = running.runner(application)
        if runner.is_alive(found.id):
            raise errors.Refused(
                f"Restore {found.id} is still running.",
                hint=f"Stop it first with `reentra jobs cancel {found.id}`.",
            )
        if plan is not None:
            plans.ensure_replaceable(plan)
        options = RestoreOptions(overruled=frozenset(overrule))
        with (
            acting.recorded(
                application, "plan", tenant=found.tenant, target=found.id, done="succeeded"
            ),
            screen.progress() as listener,
        ):
            made = make_undo_plan(
                application, found, options, listener, is_overwriting=overwrite_later_changes
            )
        if plan is not None:
            with acting.recorded(application, "plan.fetch", tenant=found.tenant, target=made.id):
                plans.save(plan, made)
        if preview:
            plans.show(screen, made, plan)
            screen.result(made.to_json())
            return 0
        if not found.status.is_final:
            # It was cut off: it must not go on after this.
            with acting.recorded(application, "job.cancel", tenant=found.tenant, target=found.id):
                runner.request_cancel(found.id)
        return apply(
            application,
            screen,
            found.tenant,
            made,
            default_password_file,
            is_agreed=yes,
            confirmed_deletions=confirm_deletions,
        )


def _restore_to_undo(application: Application, job: str) -> Job:
    """Find the job; where the journal is lost, point to what the repository still has.

    Raises: ``NotFound``.
    """
    from reentra.restore.capture import list_captures

    try:
        return application.jobs.load_job(job)
    except errors.NotFound as missing:
        for known in application.connections.list_known() or application.connections.list_all():
            for capture in list_captures(application.repository, known.tenant_id):
                if str(capture.payload.get("label")).startswith(job):
                    raise errors.NotFound(
                        f"The journal of restore {job} is lost, and with it what it really did.",
                        hint=f"What it was about to touch is kept as capture {capture.id}: "
                        f"`reentra compare {known.name} {capture.id} live` shows what is "
                        f"different now, `reentra restore {known.name} --snapshot {capture.id} "
                        "--preview` how it would be put back.",
                    ) from missing
        raise


@app.command
def report(
    job: JobId,
    /,
    *,
    form: Annotated[
        Literal["text", "csv", "json"], Parameter(name="--format", help="How to write it.")
    ] = "text",
    output: Annotated[
        Path | None, Parameter(name=("--output", "-o"), help="Write it to this file.")
    ] = None,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Print what a job did, object by object, with Graph's own errors and what to do.

    Example: reentra jobs report 3f2a --format csv -o report.csv
    """
    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        found = application.jobs.load_job(job)
        with acting.recorded(application, "report.fetch", tenant=found.tenant, target=found.id):
            text, document = running.report(application, found, "json" if common.json else form)
    if output is not None:
        output.write_text(text, encoding="utf-8")
        screen.say(f"Written to {escaped(str(output))}.")
        screen.result({"job": found.id, "file": str(output)})
    elif common.json:
        screen.result(document)
    else:
        print(text.rstrip("\n"))
    return 0


def _document(job: Job, *, is_alive: bool) -> dict[str, Any]:
    document = job.to_json()
    for name in ("parameters", "summary"):
        del document[name]
    if job.status.value == "running" and not is_alive:
        document["status"] = "interrupted"  # its process is gone, and nobody took it up yet
    return document


def _step_document(step: JobStep) -> dict[str, Any]:
    return {
        "step": step.step_id,
        "status": step.status.value,
        "attempt": step.attempt,
        "intended_at": None if step.intended_at is None else clocks.iso(step.intended_at),
        "finished_at": None if step.finished_at is None else clocks.iso(step.finished_at),
        "new_id": str(step.detail.get("new_id") or ""),
        "message": str(step.detail.get("message") or step.detail.get("reason") or ""),
    }


def _moment(text: str | None) -> str:
    return "-" if text is None else text[:19].replace("T", " ")


def _words(counts: dict[str, Any]) -> str:
    return ", ".join(f"{value} {name}" for name, value in counts.items())
