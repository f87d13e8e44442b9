"""``reentra compare``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from reentra.cli import session, viewing
from reentra.cli.options import DEFAULT_COMMON, Common, Kinds, TenantName
from reentra.cli.screen import Screen, escaped, plural

if TYPE_CHECKING:
    from reentra.app import Application
    from reentra.compare import Comparison, ObjectChange

app = App(name="compare")

Tally = dict[str, dict[str, int]]  # kind -> created, modified, deleted, equal -> how many

_COLOURS = {"created": "green", "modified": "yellow", "deleted": "red", "equal": "dim"}
_SIGNS = {"created": "+", "modified": "~", "deleted": "-", "equal": "="}
_SHOWN_CHARACTERS = 100


@app.default
def compare(
    name: TenantName,
    before: Annotated[str, Parameter(help="The first snapshot.")],
    after: Annotated[str, Parameter(help="The second snapshot, older or newer, or live.")],
    /,
    *,
    kind: Kinds = (),
    id: Annotated[  # noqa: A002
        tuple[str, ...],
        Parameter(name="--id", negative="", help="One object, by its id or KIND/ID; repeatable."),
    ] = (),
    change: Annotated[
        Literal["created", "modified", "deleted"] | None,
        Parameter(help="Only what was changed so."),
    ] = None,
    all: Annotated[  # noqa: A002
        bool, Parameter(negative="", help="Show what is equal too.")
    ] = False,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Show what differs between two snapshots, or between a snapshot and the tenant as it is now.

    A snapshot is an id, its unique beginning, latest, or a time. An object that a restore had to
    create anew is recognized. Kinds that one side does not know whole are named, and nothing of
    them is called deleted.

    Example: reentra compare contoso 2026-11-20 live --kind conditionalAccessPolicy
    """
    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        found = comparison(application, screen, name, before, after, kind, id, is_all=all)
        changes = []
        tally: Tally = {}
        for item in found:
            # A link to an object of the kind is told at its source, which may be of another one.
            if kind and not id and item.kind not in kind:
                continue
            if change is not None and item.change.value != change:
                continue
            count(tally, item)
            if screen.as_json:
                changes.append(item.to_json())
            else:
                show_change(screen, item)
        for part in found.incomplete:
            screen.warn(
                f"{part.name} is {part.coverage.status.value} in {part.state}: "
                f"{part.coverage.reason or 'no reason is recorded'}"
            )
        if not screen.as_json:
            show_counts(screen, found, tally)
    screen.result(changes)
    return 0


def comparison(
    application: Application,
    screen: Screen,
    name: str,
    before: str,
    after: str,
    kinds: tuple[str, ...] = (),
    ids: tuple[str, ...] = (),
    *,
    is_all: bool = False,
) -> Comparison:
    """Bring the catalog up to date and compare what two texts name."""
    viewing.synced_tenant(application, screen, name)
    return viewing.comparison(application, name, before, after, kinds, ids, is_all=is_all)


def show_change(screen: Screen, change: ObjectChange) -> None:
    """Print one change for a person."""
    word = change.change.value
    colour = _COLOURS[word]
    renamed = f" [dim](now {change.new_id})[/]" if change.new_id else ""
    screen.say(
        f"[{colour}]{_SIGNS[word]} {change.kind}[/] [bold]{escaped(change.display_name)}[/] "
        f"[dim]{change.id}[/]{renamed}"
    )
    if word == "modified":
        for item in change.properties:
            screen.say(
                f"    {escaped(item.path)}: [red]{_value(item.before)}[/] "
                f"-> [green]{_value(item.after)}[/]"
            )
    for link in change.relationships:
        sign = {"added": "[green]+[/]", "removed": "[red]-[/]"}.get(link.change.value, "=")
        target = escaped(link.target_name or link.target_id)
        screen.say(f"    {sign} {link.relationship} {target} [dim]{link.target_id}[/]")


def count(tally: Tally, change: ObjectChange) -> None:
    """Count a change by its kind and by what happened."""
    words = tally.setdefault(change.kind, {})
    words[change.change.value] = words.get(change.change.value, 0) + 1


def show_counts(screen: Screen, found: Comparison, tally: Tally) -> None:
    """Print how many of each kind changed how."""
    rows = [
        (kind, *(f"{words.get(word, 0):,}" for word in ("created", "modified", "deleted")))
        for kind, words in tally.items()
        if words.keys() - {"equal"}
    ]
    if rows:
        screen.table(("Kind", "Created", "Modified", "Deleted"), rows, numbers=(1, 2, 3))
    total = sum(
        number for words in tally.values() for word, number in words.items() if word != "equal"
    )
    screen.say(
        f"{plural(total, 'object')} changed between {found.before} and {found.after}."
        if total
        else f"Nothing differs between {found.before} and {found.after}."
    )


def _value(value: Any) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) > _SHOWN_CHARACTERS:
        text = text[:_SHOWN_CHARACTERS] + "…"
    return escaped(text)
