"""Global Administrators: who can administer the tenant at each moment of a plan.

Usable is a user who holds Global Administrator for the whole tenant, directly or through groups,
as an active assignment, whose account is enabled and not deleted. Being eligible (Privileged
Identity Management) does not count; an activation counts as long as Graph lists it among the
assignments, which does not tell it apart. Service principals do not count: nobody signs in as one.
Guests count only where there is nobody else: their sign-in depends on another tenant. Users synced
from on-premises count.

Steps that are sent together have no order, so what takes an administrator away is taken to happen
first. What the plan itself brings (a user enabled, a role assigned) counts only when it comes
before; what takes the last other administrator away is then made to wait for its success.

Reads through ``TenantState`` only.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reentra.directory.objects import DirectoryObject, canonical_id
from reentra.directory.state import TenantState
from reentra.restore.draft import Draft, chunks, name_of
from reentra.restore.refusals import LAST_ADMINISTRATOR, Refusal
from reentra.restore.steps import Action, Step

GLOBAL_ADMINISTRATOR = "62e90394-69f5-4237-9190-012177145e10"
MEMBERS = "group.members"
_ASSIGNMENT = "unifiedRoleAssignment"


@dataclass(frozen=True, slots=True)
class Person:
    """A user who may sign in."""

    name: str
    is_enabled: bool
    is_guest: bool = False


@dataclass(slots=True)
class Administration:
    """Who holds Global Administrator, as far as it is known; ids are live ones.

    ``holders`` maps an assignment to its principal. What a plan makes goes by the id that its
    steps use.
    """

    holders: dict[str, str] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)  # of groups that hold the role

    def copied(self) -> Administration:
        return copy.deepcopy(self)

    def reached(self) -> set[str]:
        """Return every principal that holds the role, groups and those in them."""
        found: set[str] = set()
        rest = list(self.holders.values())
        while rest:
            one = rest.pop()
            if one not in found:
                found.add(one)
                rest += self.members.get(one, ())
        return found

    def usable(self, *, with_guests: bool) -> frozenset[str]:
        """Return who can sign in and administer."""
        return frozenset(
            one
            for one in self.reached()
            if (person := self.people.get(one)) is not None
            and person.is_enabled
            and (with_guests or not person.is_guest)
        )

    @property
    def needs_guests(self) -> bool:
        """Tell whether nobody but guests can administer the tenant."""
        return not self.usable(with_guests=False)


def load_administration(live: TenantState) -> Administration:
    """Load who holds Global Administrator now: its assignments, their groups and users.

    Raises: ``errors.GraphError`` when the application may not read role assignments.
    """
    found = Administration()
    for item in live.find_objects(_ASSIGNMENT, "roleDefinitionId", [GLOBAL_ADMINISTRATOR]):
        if is_tenant_wide(item.properties):
            found.holders[item.id] = principal_of(item.properties)
    load_people(live, found, found.holders.values())
    return found


def load_people(live: TenantState, into: Administration, ids: Iterable[str]) -> None:
    """Load users, and the members of groups down to the users, that are not known yet."""
    rest = sorted({one for one in ids if one not in into.people and one not in into.members})
    while rest:
        users: dict[str, DirectoryObject] = {}
        for chunk in chunks(rest):
            users.update(live.load_objects("user", chunk))
        into.people.update((one, person_of(item)) for one, item in users.items())
        groups = [one for one in rest if one not in users]
        below: set[str] = set()
        for one in groups:
            into.members[one] = set()  # a service principal has none
        if groups:
            for link in live.load_relationships(MEMBERS, groups):
                into.members[link.source_id].add(link.target_id)
                below.add(link.target_id)
        rest = sorted(one for one in below if one not in into.people and one not in into.members)


def person_of(item: DirectoryObject) -> Person:
    """Return what counts of a user."""
    return Person(
        name_of(item), item.get("accountEnabled") is True, _is_guest(item.get("userType"))
    )


def is_tenant_wide(assignment: Mapping[str, Any]) -> bool:
    """Tell whether a role assignment is for the whole tenant; no scope at all is."""
    scope = assignment.get("directoryScopeId")
    return scope == "/" or (not scope and not assignment.get("appScopeId"))


def principal_of(assignment: Mapping[str, Any]) -> str:
    """Return who a role assignment is for."""
    return canonical_id(str(assignment.get("principalId") or ""))


def may_take_away(step: Step) -> bool:
    """Tell whether a step can take an administrator away."""
    if step.action is Action.DELETE:
        return step.ref.kind in ("user", "group", _ASSIGNMENT)
    if step.action is Action.REMOVE_RELATIONSHIP:
        return step.relationship == MEMBERS
    return (
        step.action is Action.UPDATE
        and step.ref.kind == "user"
        and (step.body.get("accountEnabled") is False or _is_guest(step.body.get("userType")))
    )


def key_of(draft: Draft, step: Step) -> str:
    """Return the id by which the object of a step is known in the tenant and in other steps."""
    return step.live_id or draft.identity.current(step.ref.id)


def target_of(draft: Draft, step: Step) -> str:
    """Return the id of a link's target, as ``key_of`` has it."""
    return draft.identity.current(step.target.id) if step.target is not None else ""


def apply_to(administration: Administration, draft: Draft, step: Step) -> None:
    """Change ``administration`` as the step would.

    A user from the recycle bin does not count before a step says that the account is enabled; a
    group from there brings nobody before a step adds them.
    """
    key = key_of(draft, step)
    if step.is_link:
        if step.relationship == MEMBERS:
            members = administration.members.setdefault(key, set())
            target = target_of(draft, step)
            if step.action is Action.ADD_RELATIONSHIP:
                members.add(target)
            else:
                members.discard(target)
    elif step.ref.kind == "user":
        _apply_to_user(administration, key, step)
    elif step.ref.kind == "group":
        if step.action is Action.DELETE:
            administration.members.pop(key, None)
    elif step.ref.kind == _ASSIGNMENT:
        if step.action is Action.DELETE:
            administration.holders.pop(key, None)
        elif step.action is Action.CREATE and _gives_the_role(step):
            administration.holders[step.id] = principal_of(step.body)


def usable_now(administration: Administration) -> dict[str, Person]:
    """Return who can administer now."""
    usable = administration.usable(with_guests=administration.needs_guests)
    return {one: administration.people[one] for one in usable}


def usable_after(
    administration: Administration, draft: Draft, steps: Sequence[Step]
) -> dict[str, Person]:
    """Return who can administer once all of ``steps`` are done."""
    after = _with_newcomers(administration, draft, steps)
    for step in steps:
        apply_to(after, draft, step)
    usable = after.usable(with_guests=administration.needs_guests)
    return {one: after.people[one] for one in usable}


def last_administrator(
    administration: Administration, draft: Draft, steps: Sequence[Step]
) -> tuple[list[Refusal], dict[str, tuple[str, ...]]]:
    """Return the refusals, and which steps must wait for which others, by step id.

    ``steps`` are in the order in which they are applied.
    """
    with_guests = administration.needs_guests
    now = administration.usable(with_guests=with_guests)
    if not now:
        return [], {}  # nobody is known who could be taken away
    harmed = administration.copied()
    harming: list[Step] = []
    for step in steps:
        if may_take_away(step):
            before = harmed.usable(with_guests=with_guests)
            apply_to(harmed, draft, step)
            if harmed.usable(with_guests=with_guests) < before:
                harming.append(step)
    if harmed.usable(with_guests=with_guests):
        return [], {}
    harmed = _with_newcomers(administration, draft, steps)
    for step in steps:
        if may_take_away(step):
            apply_to(harmed, draft, step)
    rescue = _rescue(harmed, draft, steps, with_guests)
    names = ", ".join(sorted(administration.people[one].name for one in now))
    numbers = {"usable": len(now), "lost": len(now), "steps": len(harming)}
    if not rescue:
        return [
            Refusal(
                LAST_ADMINISTRATOR,
                f"The plan takes away the last usable Global Administrator ({names}): of "
                f"{len(now)} now, none would be left.",
                "Enable or appoint another Global Administrator first, or leave out: "
                f"{harming[0].summary} [{harming[0].ref}].",
                numbers=numbers,
            )
        ], {}
    last_phase = max(step.phase for step in rescue)
    depended_on = _depended_on(steps, rescue)
    if any(step.phase < last_phase or step.id in depended_on for step in harming):
        return [
            Refusal(
                LAST_ADMINISTRATOR,
                f"The plan takes away every usable Global Administrator ({names}) before it brings "
                f"another one ({rescue[-1].summary}): for a moment, or for good if that fails, "
                "nobody could administer the tenant.",
                f"Restore {rescue[0].ref} first, on its own, and plan again.",
                numbers=numbers,
            )
        ], {}
    wanted = tuple(step.id for step in rescue)
    return [], {step.id: wanted for step in harming}


def waiting(steps: Sequence[Step], waits: dict[str, tuple[str, ...]]) -> list[Step]:
    """Return the steps with the further dependencies of ``waits``."""
    return [
        dataclasses.replace(
            step, depends_on=tuple(dict.fromkeys((*step.depends_on, *waits[step.id])))
        )
        if step.id in waits
        else step
        for step in steps
    ]


def _with_newcomers(
    administration: Administration, draft: Draft, steps: Sequence[Step]
) -> Administration:
    """Return a copy that knows the users and groups, there now, whom the plan gives the role."""
    found = administration.copied()
    made = {
        key_of(draft, step) for step in steps if step.makes_object or step.action is Action.UNDELETE
    }
    given = {
        principal_of(step.body)
        for step in steps
        if step.ref.kind == _ASSIGNMENT and step.action is Action.CREATE and _gives_the_role(step)
    }
    joining: dict[str, list[str]] = {}
    for step in steps:
        if step.relationship == MEMBERS and step.action is Action.ADD_RELATIONSHIP:
            joining.setdefault(key_of(draft, step), []).append(target_of(draft, step))
    while True:
        reached: set[str] = set()
        rest = [*found.reached(), *given]
        while rest:
            one = rest.pop()
            if one not in reached:
                reached.add(one)
                rest += [*found.members.get(one, ()), *joining.get(one, ())]
        unknown = {
            one for one in reached - made if one not in found.people and one not in found.members
        }
        if not unknown:
            return found
        load_people(draft.live, found, unknown)


def _rescue(
    harmed: Administration, draft: Draft, steps: Sequence[Step], with_guests: bool
) -> list[Step]:
    """Return the fewest steps, in their order, after which somebody can administer again."""
    after = harmed.copied()
    for step in steps:
        if not may_take_away(step):
            apply_to(after, draft, step)
    if not after.usable(with_guests=with_guests):
        return []
    reached = after.reached()
    useful = [step for step in steps if not may_take_away(step) and _brings(draft, step, reached)]
    needed: list[Step] = []
    after = harmed.copied()
    for step in useful:
        apply_to(after, draft, step)
        needed.append(step)
        if after.usable(with_guests=with_guests):
            break
    for step in list(needed):
        rest = [one for one in needed if one is not step]
        after = harmed.copied()
        for one in rest:
            apply_to(after, draft, one)
        if after.usable(with_guests=with_guests):
            needed = rest
    return needed


def _brings(draft: Draft, step: Step, reached: set[str]) -> bool:
    """Tell whether a step gives one of ``reached`` something that an administrator needs."""
    if step.ref.kind == _ASSIGNMENT:
        return step.action is Action.CREATE and _gives_the_role(step)
    if step.is_link:
        return step.relationship == MEMBERS and key_of(draft, step) in reached
    if key_of(draft, step) not in reached:
        return False
    return step.makes_object or (
        step.ref.kind == "user" and not {"accountEnabled", "userType"}.isdisjoint(step.body)
    )


def _depended_on(steps: Sequence[Step], starts: Sequence[Step]) -> set[str]:
    """Return the ids of ``starts`` and of all that they wait for."""
    by_id = {step.id: step for step in steps}
    found: set[str] = set()
    rest = [step.id for step in starts]
    while rest:
        one = rest.pop()
        if one not in found and one in by_id:
            found.add(one)
            rest += by_id[one].depends_on
    return found


def _apply_to_user(administration: Administration, key: str, step: Step) -> None:
    if step.action is Action.DELETE:
        administration.people.pop(key, None)
        return
    if step.action is Action.UNDELETE:
        administration.people[key] = Person(step.name, is_enabled=False)
        return
    if step.makes_object:
        is_guest = step.action is Action.INVITE or _is_guest(step.body.get("userType"))
        administration.people[key] = Person(
            step.name, step.body.get("accountEnabled") is True, is_guest
        )
        return
    known = administration.people.get(key)
    if known is None:
        return
    is_enabled = step.body.get("accountEnabled", known.is_enabled)
    is_guest = known.is_guest
    if step.body.get("userType"):
        is_guest = _is_guest(step.body["userType"])
    administration.people[key] = Person(known.name, is_enabled is True, is_guest)


def _gives_the_role(step: Step) -> bool:
    return str(
        step.body.get("roleDefinitionId")
    ).lower() == GLOBAL_ADMINISTRATOR and is_tenant_wide(step.body)


def _is_guest(user_type: object) -> bool:
    return str(user_type or "").lower() == "guest"
