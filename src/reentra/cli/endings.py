"""How a finished job is told, in the shape of its own command, and its report afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reentra.cli.screen import Screen, escaped, plural
from reentra.jobs import TaskResult

if TYPE_CHECKING:
    pass

_MOST_LINES = 20
_MOST_NAMES = 5


def show(screen: Screen, job_id: str, task: str, result: TaskResult) -> None:
    """Print how a job ended; with JSON the document that its command ends with."""
    summary = result.summary
    match task:
        case "backup":
            _show_backup(screen, summary)
        case "restore":
            _show_restore(screen, job_id, summary)
        case "check":
            _show_check(screen, summary)
        case "rebuild":
            screen.say(
                f"[green]✓[/] Catalog made anew: {plural(summary['snapshots'], 'snapshot')}, "
                f"{plural(summary['objects'], 'object version')}, "
                f"{plural(summary['links'], 'link version')}"
            )
        case "forget":
            screen.say(
                f"[green]✓[/] {plural(len(summary['forgotten']), 'snapshot')} forgotten, "
                f"{summary['kept']} kept. `reentra prune` gives their space back."
            )
        case "prune":
            screen.say(
                f"[green]✓[/] {_size(max(0, summary['bytes_freed']))} given back: "
                f"{plural(summary['merged'], 'snapshot')} merged, "
                f"{plural(summary['segments_deleted'], 'segment')} deleted"
            )
        case "download":
            screen.say(
                f"[green]✓[/] {plural(summary['objects'], 'object')} from snapshot "
                f"{summary['snapshot']} in {escaped(summary['path'])} "
                f"({_size(summary['size_bytes'])})"
            )
        case _:
            screen.say(f"Job {job_id} {result.status.value}.")
    screen.result({**summary, "job": job_id})


def _show_backup(screen: Screen, summary: Mapping[str, Any]) -> None:
    if screen.as_json:
        return
    from reentra.directory.kinds import KINDS

    screen.table(
        ("Kind", "Objects", "Added", "Changed", "Deleted", "Coverage"),
        (
            (
                KINDS[kind].title if kind in KINDS else kind,
                *(f"{item[word]:,}" for word in ("objects", "added", "changed", "deleted")),
                item["coverage"]
                if item["coverage"] == "complete"
                else f"{item['coverage']}: {item['reason']}",
            )
            for kind, item in summary["kinds"].items()
        ),
        numbers=(1, 2, 3, 4),
    )
    for name, item in summary.get("relationships", {}).items():
        if item["coverage"] not in {"complete", "skipped"}:
            screen.say(f"[yellow]![/] {name} is {item['coverage']}: {escaped(item['reason'])}")
    for note in (*summary.get("review", ()), *summary.get("notes", ())):
        screen.say(f"[yellow]![/] {escaped(note)}")
    mark = "[yellow]![/]" if summary["status"] == "partial" else "[green]✓[/]"
    screen.say(f"{mark} Snapshot [bold]{summary['snapshot']}[/] is {summary['status']}")


def _show_restore(screen: Screen, job_id: str, summary: Mapping[str, Any]) -> None:
    if screen.as_json:
        return
    steps = summary["steps"]
    mark = "[green]✓[/]" if summary["status"] == "succeeded" else "[yellow]![/]"
    screen.say(
        f"{mark} Restore {summary['status']}: {steps['done']:,} done, {steps['already']:,} already "
        f"so, {steps['skipped']:,} skipped, {steps['failed']:,} failed"
    )
    proof = summary.get("verification") or {}
    if proof.get("checked"):
        screen.say(
            f"  Read back: {proof['holding']:,} of {proof['checked']:,} are as the plan wants them"
        )
        for item in proof["differences"][:_MOST_LINES]:
            screen.say(f"  [yellow]![/] {item['kind']} {escaped(item['name'])}: "
                       f"{escaped(item['what'])}")  # fmt: skip
    if summary["id_map"]:
        screen.say(f"  {plural(len(summary['id_map']), 'object')} got a new id from Microsoft")
    if summary.get("report_only"):
        made = summary["report_only"]
        names = ", ".join(made[:_MOST_NAMES]) + (" ..." if len(made) > _MOST_NAMES else "")
        screen.say(
            f"  [yellow]![/] Conditional Access in report-only state, until a person enables it: "
            f"{escaped(names)}"
        )
    for item in summary["failures"][:_MOST_LINES]:
        screen.say(
            f"  [red]{item['status']}[/] {item['action']} {item['kind']} "
            f"{escaped(item['display_name'])}: {escaped(item['message'])}"
        )
        if item["hint"]:
            screen.say(f"      [dim]{escaped(item['hint'])}[/]")
    if len(summary["failures"]) > _MOST_LINES:
        screen.say(f"  ... and {len(summary['failures']) - _MOST_LINES:,} more")
    if summary["status"] == "cancelled":
        screen.say(f"Stopped between two steps. `reentra jobs resume {job_id}` goes on.")
    else:
        screen.say(f"`reentra jobs report {job_id}` tells it object by object.")
    still = [one for one in summary.get("follow_ups", ()) if not one["reason"]]
    if still:
        screen.say(
            f"[yellow]![/] {plural(len(still), 'object')} outside the selection still name ids "
            "that are gone: the same restore with --follow-up all brings them up to date."
        )
    if steps["done"]:
        screen.say(f"`reentra jobs undo {job_id}` takes it back.")


def _show_check(screen: Screen, summary: Mapping[str, Any]) -> None:
    for one in summary.get("mended", ()):
        colour = "green" if one["relearnt"] else "yellow"
        screen.say(f"[{colour}]{'✓' if one['relearnt'] else '!'}[/] {escaped(one['what'])}")
    for problem in summary["problems"]:
        colour = {"damage": "red", "warning": "yellow"}.get(problem["severity"], "dim")
        touched = f" (snapshots {', '.join(problem['snapshots'])})" if problem["snapshots"] else ""
        screen.say(
            f"[{colour}]{problem['severity']}[/] {escaped(problem['path'])}: "
            f"{escaped(problem['what'])}{touched}"
        )
    counts = (
        f"{plural(summary['snapshots'], 'snapshot')}, {plural(summary['captures'], 'capture')}, "
        f"{plural(summary['segments'], 'segment')}, "
        f"{plural(summary['documents'], 'document')}, {_size(summary['bytes_read'])} read"
    )
    if any(one["path"].startswith("documents/identities/") for one in summary["problems"]):
        screen.say(
            "[yellow]![/] A damaged identity map keeps restores from running: "
            "`reentra check --repair` puts it right, or says what is lost."
        )
    if summary["whole"]:
        screen.say(f"[green]✓[/] The repository is whole: {counts}")
    else:
        screen.say(f"[red]✗[/] The repository is damaged: {counts}")
        screen.say(
            "  Snapshots that are not named stay readable. `reentra backup NAME --anew` stores "
            "everything again."
        )


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
