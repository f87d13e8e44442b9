"""Follow-ups: what elsewhere in the tenant still names an id that an object no longer has.

An object that is created anew has a new id. What refers to it and is selected is brought up to
date by the plan itself. Everything else stays as it is (nothing outside the selection is written),
and would go on naming a dead id: a Conditional Access policy that excludes a group that is gone,
say. Such places are found in the tenant, for this plan and for earlier restores, and become steps
when a person asks for them. Links between objects are not looked for here: they belong to both of
their ends and are restored with either.

Reads the tenant through ``LiveState`` only, and lists nothing but kinds of which there are few.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reentra import errors
from reentra.directory import references
from reentra.directory.kinds import KINDS, IdForm, ObjectKind
from reentra.directory.objects import DirectoryObject, ObjectRef
from reentra.directory.state import LiveState
from reentra.restore import bodies
from reentra.restore.draft import Draft, name_of
from reentra.restore.repairs import REPAIR_PHASE
from reentra.restore.steps import Action, Look, Precondition, Step

ALL = "all"

# Of these there may be very many; those that can name an id are asked for by a filter.
_FILTERED: Mapping[str, tuple[str, str]] = {"group": ("groupTypes", "DynamicMembership")}


@dataclass(frozen=True, slots=True)
class FollowUp:
    """One object that names ids that are gone. ``id`` is what a person chooses it by.

    ``reason`` says why it cannot be put right, and is empty when it can.
    """

    id: str
    ref: ObjectRef
    name: str
    properties: tuple[str, ...]
    old_ids: tuple[str, ...]
    reason: str = ""
    is_chosen: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": self.ref.kind,
            "object_id": self.ref.id,
            "name": self.name,
            "properties": list(self.properties),
            "old_ids": list(self.old_ids),
            "reason": self.reason,
            "chosen": self.is_chosen,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> FollowUp:
        return cls(
            value["id"],
            ObjectRef(value["kind"], value["object_id"]),
            value["name"],
            tuple(value["properties"]),
            tuple(value["old_ids"]),
            value["reason"],
            value["chosen"],
        )


def plan_follow_ups(draft: Draft, live: LiveState, chosen: frozenset[str]) -> tuple[FollowUp, ...]:
    """Find the follow-ups of a draft, and add steps for those that are ``chosen`` (or ``all``).

    Raises: ``errors.UsageError`` when one is chosen that there is not, or that cannot be done.
    """
    dead = _Dead(draft)
    found = [
        follow_up for row in _holders(dead) for follow_up in _follow_ups(draft, live, row, dead)
    ]
    known = {one.id for one in found if not one.reason}
    unknown = sorted(chosen - known - {ALL})
    if unknown:
        listed = ", ".join(sorted(known)) or "none"
        raise errors.UsageError(
            f"There is no follow-up {unknown[0]} that could be done.",
            hint=f"Those of this plan: {listed}.",
        )
    result = []
    for one in found:
        is_chosen = not one.reason and (one.id in chosen or ALL in chosen)
        if is_chosen:
            _add_step(draft, one, dead)
        result.append(
            FollowUp(one.id, one.ref, one.name, one.properties, one.old_ids, one.reason, is_chosen)
        )
    return tuple(result)


class _Dead:
    """The identifiers that are gone: object ids and client ids, of this plan and of earlier ones.

    What an earlier restore gave a new id counts only while that new one is alive.
    """

    def __init__(self, draft: Draft) -> None:
        steps = {step.id: step for step in draft.steps}
        self.steps: dict[str, str] = {}  # identifier -> the step that makes its object anew
        self.kinds: dict[str, str] = {}  # dead object id -> its kind
        for old_id, step_id in draft.made.items():
            step = steps.get(step_id)
            if step is None or not step.makes_object or KINDS[step.ref.kind].is_link:
                continue
            for one in {old_id, draft.identity.current(old_id)}:
                self.steps[one] = step_id
                self.kinds[one] = step.ref.kind
        self.apps: set[str] = set()
        for app_id, step_id in draft.made_apps.items():
            for one in {app_id, draft.identity.current_app(app_id)}:
                self.steps[one] = step_id
                self.apps.add(one)
        for old_id in draft.identity.objects:
            is_back = draft.present.get(old_id) == old_id
            if not is_back and draft.identity.current(old_id) != old_id:
                self.kinds.setdefault(old_id, draft.identity.kinds.get(old_id, ""))
        self.apps.update(
            one for one in draft.identity.apps if draft.identity.current_app(one) != one
        )

    def names(self, form: IdForm, identifier: str) -> bool:
        """Tell whether an identifier is a dead one."""
        if form in (IdForm.APP_ID, IdForm.APP_URI):
            return identifier in self.apps
        return identifier in self.kinds

    def may_be_named_by(self, row: ObjectKind) -> bool:
        """Tell whether any of them can stand in an object of this kind."""
        kinds = set(self.kinds.values())
        for reference in row.references:
            if reference.form in (IdForm.APP_ID, IdForm.APP_URI):
                if self.apps:
                    return True
            elif kinds and (not reference.kinds or "" in kinds or kinds & set(reference.kinds)):
                return True
        return False


def _holders(dead: _Dead) -> Iterator[ObjectKind]:
    """Yield the kinds of which an object can hold a dead id in a property that can be written."""
    for row in sorted(KINDS.values(), key=lambda row: row.phase):
        if row.is_link or not row.can_update or not dead.may_be_named_by(row):
            continue
        if any(_is_writable(row, reference.pointer) for reference in row.references):
            yield row


def _is_writable(row: ObjectKind, pointer: str) -> bool:
    return pointer.partition("/")[0] in row.writable | row.update_only


def _follow_ups(draft: Draft, live: LiveState, row: ObjectKind, dead: _Dead) -> Iterator[FollowUp]:
    try:
        holders = [
            (item, named) for item in _listed(live, row) if (named := _dead_names(row, item, dead))
        ]
    except (errors.Forbidden, errors.InvalidRequest, errors.GraphNotFound) as error:
        draft.warnings.append(
            f"{row.title} could not be searched for ids that are gone: {error.message}"
        )
        return
    if not holders:
        return
    written = {
        (step.live_id, name)
        for step in draft.steps
        if step.action is Action.UPDATE and step.ref.kind == row.name
        for name in step.body
    }
    # Loaded through the draft: a plan is stale when one of them changes before it is applied.
    now = draft.live.load_objects(row.name, sorted(item.id for item, _named in holders))
    for item, _named in holders:
        current = now.get(item.id)
        if current is None:
            continue
        named = {
            name: ids
            for name, ids in _dead_names(row, current, dead).items()
            if (item.id, name) not in written
        }
        alive = _with_living_successors(draft, named, dead)
        if alive:
            yield FollowUp(
                str(current.ref),
                current.ref,
                name_of(current),
                tuple(sorted(alive)),
                tuple(sorted({one for ids in alive.values() for one in ids})),
                _reason(row, current),
            )


def _listed(live: LiveState, row: ObjectKind) -> Iterable[DirectoryObject]:
    if row.name in _FILTERED:
        name, value = _FILTERED[row.name]
        return live.find_objects(row.name, name, [value])
    return live.list_objects(row.name)


def _dead_names(row: ObjectKind, item: DirectoryObject, dead: _Dead) -> dict[str, set[str]]:
    """Return, by writable property, the dead ids that an object names."""
    named: dict[str, set[str]] = {}
    for reference, identifier in references.references_in(row.name, item.properties):
        if dead.names(reference.form, identifier) and _is_writable(row, reference.pointer):
            named.setdefault(reference.pointer.partition("/")[0], set()).add(identifier)
    return named


def _with_living_successors(
    draft: Draft, named: Mapping[str, set[str]], dead: _Dead
) -> dict[str, set[str]]:
    """Leave out ids whose new object is gone as well, and not in the plan."""
    earlier = {one for ids in named.values() for one in ids if one not in dead.steps}
    objects = {one: draft.identity.current(one) for one in earlier & dead.kinds.keys()}
    apps = {one: draft.identity.current_app(one) for one in earlier & dead.apps}
    living = set(draft.live.load_names(sorted(set(objects.values())))) if objects else set()
    principals = (
        draft.live.find_objects("servicePrincipal", "appId", sorted(set(apps.values())))
        if apps
        else []
    )
    living_apps = {str(item.get("appId")) for item in principals}
    gone = {one for one, new in objects.items() if new not in living}
    gone -= {one for one, new in apps.items() if new in living_apps}
    gone |= {one for one, new in apps.items() if new not in living_apps} - objects.keys()
    result = {name: ids - gone for name, ids in named.items()}
    return {name: ids for name, ids in result.items() if ids}


def _reason(row: ObjectKind, item: DirectoryObject) -> str:
    if bodies.is_synced(item.properties):
        return " ".join(bodies.REASONS[bodies.AbsentReason.SYNCED])
    absent = bodies.never_written(row.name, item.properties)
    return " ".join(bodies.REASONS[absent]) if absent is not None else ""


def _add_step(draft: Draft, follow_up: FollowUp, dead: _Dead) -> None:
    row = KINDS[follow_up.ref.kind]
    item = draft.live.load_objects(row.name, [follow_up.ref.id])[follow_up.ref.id]
    properties = draft.identity.rewritten(row.name, item.properties)
    body = {name: _without_doubles(properties[name]) for name in follow_up.properties}
    if row.name == "group" and "membershipRule" in body:
        body["groupTypes"] = properties.get("groupTypes")
    makers = [dead.steps[one] for one in follow_up.old_ids if one in dead.steps]
    draft.steps.append(
        Step(
            id=f"follow-up/{follow_up.ref}",
            action=Action.UPDATE,
            ref=follow_up.ref,
            name=follow_up.name,
            summary=(
                f"Bring {', '.join(follow_up.properties)} of {follow_up.name} up to date with the "
                "new ids, as asked for"
            ),
            precondition=Precondition.PRESENT,
            phase=max(row.phase, REPAIR_PHASE),
            depends_on=tuple(dict.fromkeys(makers)),
            body=body,
            live_id=follow_up.ref.id,
            look=Look.OBJECT,
        )
    )


def _without_doubles(value: Any) -> Any:
    """Return a copy in which no list names the same text twice: old and new id are one now."""
    if isinstance(value, Mapping):
        return {key: _without_doubles(item) for key, item in value.items()}
    if isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            return list(dict.fromkeys(value))
        return [_without_doubles(item) for item in value]
    return value
