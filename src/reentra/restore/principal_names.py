"""Principal names: who must give one up before another can have it. Pure but for ``TenantState``.

Two users never have the same userPrincipalName, so the order of renames matters, and a swap takes
a name in between.
"""

from __future__ import annotations

import dataclasses

from reentra.restore.draft import Draft
from reentra.restore.order import circle_in
from reentra.restore.steps import Action, Look, Step, Unrestorable

_PROPERTY = "userPrincipalName"
_BEFORE_UNDELETES = 0


def settle_names(draft: Draft) -> None:
    """Order the renames of users in ``draft``; drop those whose name somebody else keeps."""
    renames = {
        step.id: step
        for step in draft.steps
        if step.ref.kind == "user"
        and step.action is Action.UPDATE
        and step.look is Look.NOT_NEEDED
        and step.body.get(_PROPERTY)
    }
    creates = {
        step.id: step
        for step in draft.steps
        if step.ref.kind == "user"
        and step.action is Action.CREATE
        and str(step.body.get(_PROPERTY) or "").lower() in draft.held
    }
    undeleted = {
        str(step.body.get(_PROPERTY) or "").lower()
        for step in draft.steps
        if step.ref.kind == "user" and step.ref.id in draft.undeleted and step.body
    } & draft.held.keys()
    if not renames and not creates:
        _warn_held(draft, undeleted, {})
        return
    holders = dict(draft.held)
    names = sorted({str(step.body[_PROPERTY]) for step in renames.values()})
    for user in draft.live.find_objects("user", _PROPERTY, names) if names else ():
        holders[str(user.get(_PROPERTY)).lower()] = user.id
    by_live_id = {step.live_id: step for step in renames.values()}
    waits: dict[str, str] = {}
    for step in [*renames.values(), *creates.values()]:
        holder = holders.get(str(step.body[_PROPERTY]).lower())
        if holder is None or holder == step.live_id:
            continue
        if holder in by_live_id:
            waits[step.id] = by_live_id[holder].id
        elif step.id in renames:
            _give_up(draft, step, holder)
            del by_live_id[step.live_id]
    while circle := circle_in(waits):
        _step_aside(draft, renames[circle[0]], waits)
    for step_id, other_id in waits.items():
        step = next(one for one in draft.steps if one.id == step_id)
        draft.replace_step(step_id, depends_on=(*step.depends_on, other_id))
    _warn_held(draft, undeleted, by_live_id)
    _bring_forward(
        draft,
        [by_live_id[draft.held[one]].id for one in undeleted if draft.held[one] in by_live_id],
    )


def _bring_forward(draft: Draft, step_ids: list[str]) -> None:
    """Let renames, and those that they wait for, go before the recycle bin.

    A user only comes out of it while nobody else has the name.
    """
    rest = list(step_ids)
    by_id = {step.id: step for step in draft.steps}
    while rest:
        step = by_id[rest.pop()]
        if step.phase != _BEFORE_UNDELETES:
            draft.replace_step(step.id, phase=_BEFORE_UNDELETES)
            rest += [one for one in step.depends_on if one in by_id]


def _warn_held(draft: Draft, names: set[str], renamed: dict[str, Step]) -> None:
    for name in sorted(names):
        if draft.held[name] not in renamed:
            draft.warnings.append(
                f"The user with the name {name} is in the recycle bin and comes back, under "
                f"another name while user {draft.held[name]} has that one. They may be two people: "
                "nothing of the one is written to the other. To get the name back, rename that "
                "user first, or select it too if the snapshot has it."
            )


def _give_up(draft: Draft, step: Step, holder: str) -> None:
    """Take the name out of a step because somebody outside the plan has it."""
    draft.unrestorable.append(
        Unrestorable(
            step.ref,
            step.name,
            _PROPERTY,
            f"{step.body[_PROPERTY]} is taken by user {holder}, whom this restore does not rename.",
            "Rename that user first, or add it to the selection.",
        )
    )
    body = {key: value for key, value in step.body.items() if key != _PROPERTY}
    if body:
        names = ", ".join(sorted(body))
        draft.replace_step(step.id, body=body, summary=f"Put back {names}")
    else:
        draft.steps = [one for one in draft.steps if one.id != step.id]


def _step_aside(draft: Draft, step: Step, waits: dict[str, str]) -> None:
    """Break a circle: give the user of ``step`` a name in between first."""
    alias, _at, domain = str(step.body[_PROPERTY]).partition("@")
    between = f"{alias}-{step.ref.id[:8]}@{domain}"
    aside = dataclasses.replace(
        step,
        id=f"{step.id}#0",
        body={_PROPERTY: between},
        summary=f"Rename to {between} for a moment: two users swap their names",
    )
    draft.steps.append(aside)
    for waiting, other in list(waits.items()):
        if other == step.id:
            waits[waiting] = aside.id
    own = next(one for one in draft.steps if one.id == step.id)
    draft.replace_step(step.id, depends_on=(*own.depends_on, aside.id))
