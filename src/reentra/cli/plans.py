"""Restore plans for people, and in files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from reentra import errors
from reentra.cli.screen import Screen, escaped, plural
from reentra.connections import write_private
from reentra.restore.steps import CHANGED_SINCE, NOT_DELETED, NOT_REMOVED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reentra.restore.plan import RestorePlan
    from reentra.restore.steps import Unrestorable

_MOST_LINES = 15
_EXAMPLES = 2
_ACTIONS = {
    "undelete": "Bring back from the recycle bin",
    "create": "Create anew (new id)",
    "invite": "Invite anew (new id)",
    "update": "Change back",
    "assign_licenses": "Assign licences",
    "add_relationship": "Add links",
    "remove_relationship": "Take links away",
    "delete": "Delete",
}


def show(screen: Screen, plan: RestorePlan, saved_at: Path | None) -> None:
    """Print a plan for a person: counts, examples, warnings, what cannot be restored."""
    if screen.as_json:
        return
    if plan.undoes:
        screen.say(f"Plan [bold]{plan.id}[/] undoes restore [bold]{plan.undoes}[/]")
    else:
        screen.say(f"Plan [bold]{plan.id}[/] from snapshot [bold]{escaped(plan.snapshot)}[/]")
    if plan.is_empty and plan.undoes:
        screen.say("[green]✓[/] Nothing to do: nothing that it did is left to be taken back.")
    elif plan.is_empty:
        screen.say(
            "[green]✓[/] Nothing to do: within the selection the tenant is as in the snapshot."
        )
    else:
        counts = plan.counts()
        screen.table(
            ("Action", "What", "Steps"),
            (
                (_ACTIONS.get(action, action), what, f"{number:,}")
                for action in _ACTIONS
                for what, number in counts.get(action, {}).items()
            ),
            numbers=(2,),
        )
        shown: Counter[tuple[str, str]] = Counter()
        for step in plan.steps:
            sort = (step.action.value, step.relationship or step.ref.kind)
            shown[sort] += 1
            if shown[sort] <= _EXAMPLES:
                named = "" if step.name in step.summary else f"{step.name}: "
                screen.say(f"  {escaped(named + step.summary)}")
        if len(plan.steps) > sum(min(number, _EXAMPLES) for number in shown.values()):
            screen.say("  [dim]... and more of the same; --json has all of them[/]")
        screen.say()
        screen.say(
            f"{plural(len(plan.steps), 'step')}, at least {_duration(plan.estimated_seconds)} "
            "at Graph's write limit."
        )
        _show_losses(screen, plan)
        if plan.checked_count():
            screen.say(
                f"{plan.checked_count():,} of them are checked after the recycle bin gave its "
                "objects back, and skipped where nothing is left to do."
            )
    for warning in plan.warnings[:_MOST_LINES]:
        screen.say(f"[yellow]![/] {escaped(warning)}")
    later = [item for item in plan.unrestorable if item.code == CHANGED_SINCE]
    _show_left_out(screen, later, "Changed again since, and left as it is:")
    added = [item for item in plan.unrestorable if item.code in (NOT_DELETED, NOT_REMOVED)]
    _show_left_out(screen, added, "Added since the snapshot, and left where it is:")
    told = (CHANGED_SINCE, NOT_DELETED, NOT_REMOVED)
    rest = [item for item in plan.unrestorable if item.code not in told]
    _show_left_out(screen, rest, "Cannot be restored through Graph:")
    _show_follow_ups(screen, plan)
    for refusal in plan.open_refusals:
        screen.say(
            f"[red]Refused[/] ({escaped(refusal.code)}): {escaped(refusal.message)} "
            f"{escaped(refusal.hint)}"
        )
        if refusal.overrule:
            screen.say(f"  To do it all the same: --overrule {escaped(refusal.overrule)}")
    if saved_at is not None:
        screen.say(f"Saved in {escaped(str(saved_at))}; `reentra restore --plan FILE` applies it.")


def _show_follow_ups(screen: Screen, plan: RestorePlan) -> None:
    left = [one for one in plan.follow_ups if not one.is_chosen]
    if not left:
        return
    screen.say()
    screen.say("Not selected, and still naming an id that is gone:")
    for one in left[:_MOST_LINES]:
        ids = plural(len(one.old_ids), "id")
        screen.say(f"  {one.id}  {escaped(one.name)}: {ids} in {', '.join(one.properties)}")
        if one.reason:
            screen.say(f"      [dim]{escaped(one.reason)}[/]")
    if len(left) > _MOST_LINES:
        screen.say(f"  [dim]... and {len(left) - _MOST_LINES} more; --json has all of them[/]")
    if any(not one.reason for one in left):
        screen.say("Add --follow-up all to bring them up to date too, or --follow-up KIND/ID.")


def _show_left_out(screen: Screen, items: Sequence[Unrestorable], heading: str) -> None:
    if not items:
        return
    reasons: Counter[tuple[str, str, str, str]] = Counter()
    names: dict[tuple[str, str, str, str], str] = {}
    for item in items:
        key = (item.ref.kind, item.what, item.reason, item.instead)
        reasons[key] += item.count
        names.setdefault(key, item.name)
    screen.say()
    screen.say(heading)
    for key, number in reasons.most_common(_MOST_LINES):
        kind, what, reason, instead = key
        whose = f" of {names[key]}" if number == 1 and names[key] else ""
        screen.say(f"  {number:,} x {kind} {what}{escaped(whose)}: {escaped(reason)}")
        if instead:
            screen.say(f"      [dim]{escaped(instead)}[/]")
    if len(reasons) > _MOST_LINES:
        screen.say(f"  [dim]... and {len(reasons) - _MOST_LINES} more reasons[/]")


def _show_losses(screen: Screen, plan: RestorePlan) -> None:
    """Say how much the plan takes away, so that nobody has to find it in a table."""
    if plan.deletions:
        kinds = Counter(step.ref.kind for step in plan.steps if step.deletes_object)
        listed = ", ".join(f"{number:,} {kind}" for kind, number in sorted(kinds.items()))
        screen.say(f"[red]Deletes {plural(plan.deletions, 'object')}[/]: {listed}.")
    if plan.removals:
        screen.say(f"[yellow]Takes away {plural(plan.removals, 'link')}[/] added since.")


def save(path: Path, plan: RestorePlan) -> None:
    """Write a plan to a file that only its owner may read.

    Raises: ``UsageError`` when that cannot be done.
    """
    try:
        write_private(path, plan.to_json())
    except OSError as failure:
        raise errors.UsageError(
            f"The plan cannot be written to {path}: {failure.strerror}.",
            hint="Choose another file.",
        ) from failure


def ensure_replaceable(path: Path) -> None:
    """Let pass a file that is not there yet, or that holds a plan.

    Raises: ``UsageError``: nothing else is ever overwritten.
    """
    if not path.exists():
        return
    try:
        document = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        document = None
    if not isinstance(document, dict) or "steps" not in document:
        raise errors.UsageError(
            f"{path} exists and is no restore plan.", hint="Choose another file for the plan."
        )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"
