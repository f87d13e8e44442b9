"""Principals: people as Conditional Access sees them, now and once a plan is done.

Reads through ``TenantState`` only: the groups above each person, and roles, and those only where a
policy asks for them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reentra.restore import administrators, conditional_access
from reentra.restore.administrators import MEMBERS, Person, key_of, target_of
from reentra.restore.conditional_access import Principal
from reentra.restore.draft import Draft
from reentra.restore.steps import Action, Step

_ASSIGNMENT = "unifiedRoleAssignment"


def principals_of(
    draft: Draft,
    steps: Sequence[Step],
    people: Mapping[str, Person],
    policies: Iterable[Mapping[str, Any]],
) -> list[tuple[Principal, Principal]]:
    """Return each of ``people`` as policies see it now and after the plan."""
    bodies = list(policies)
    ids = sorted(people)
    now: dict[str, set[str]] = {one: set() for one in ids}
    after: dict[str, set[str]] = {one: set() for one in ids}
    unsure: frozenset[str] = frozenset()
    asks_roles = any(conditional_access.named_roles(body) for body in bodies)
    if ids and (asks_roles or any(conditional_access.named_groups(body) for body in bodies)):
        now, after = _groups_of(draft, steps, ids)
        unsure = frozenset(
            key_of(draft, step)
            for step in steps
            if step.ref.kind == "group"
            and (step.action is Action.UNDELETE or "membershipRule" in step.body)
            and not step.makes_object
        )
    roles_now: dict[str, set[str]] = {}
    roles_after: dict[str, set[str]] = {}
    if ids and asks_roles:
        roles_now, roles_after = _roles_of(draft, steps, ids, now, after)
    result = []
    for one in ids:
        roles = frozenset(roles_now.get(one, ()))
        later = frozenset(roles_after.get(one, ()))
        before = Principal(
            one,
            people[one].name,
            is_guest=people[one].is_guest,
            groups=frozenset(now[one]),
            sure_groups=frozenset(now[one]),
            roles=roles,
            sure_roles=roles,
        )
        afterwards = dataclasses.replace(
            before,
            groups=frozenset(after[one]) - unsure,
            sure_groups=frozenset(after[one] & now[one]) - unsure,
            unsure_groups=unsure,
            roles=later,
            sure_roles=later & roles,
        )
        result.append((before, afterwards))
    return result


def _groups_of(
    draft: Draft, steps: Sequence[Step], ids: Sequence[str]
) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Return each id's groups, through groups too, now and after the plan."""
    added: dict[str, set[str]] = {}
    removed: dict[str, set[str]] = {}
    deleted: set[str] = set()
    for step in steps:
        if step.relationship == MEMBERS:
            side = added if step.action is Action.ADD_RELATIONSHIP else removed
            side.setdefault(target_of(draft, step), set()).add(key_of(draft, step))
        elif step.ref.kind == "group" and step.action is Action.DELETE:
            deleted.add(key_of(draft, step))
    above_now: dict[str, set[str]] = {}
    above_after: dict[str, set[str]] = {}
    rest = set(ids)
    while rest:
        found: dict[str, set[str]] = {one: set() for one in rest}
        for link in draft.live.load_relationships_to(MEMBERS, sorted(rest)):
            found[link.target_id].add(link.source_id)
        for one, groups in found.items():
            above_now[one] = groups
            lost = removed.get(one, set()) | deleted
            above_after[one] = (groups | added.get(one, set())) - lost
        rest = {
            group
            for one in found
            for group in above_now[one] | above_after[one]
            if group not in above_now
        }
    return (
        {one: _closure(one, above_now) for one in ids},
        {one: _closure(one, above_after) for one in ids},
    )


def _roles_of(
    draft: Draft,
    steps: Sequence[Step],
    ids: Sequence[str],
    groups_now: Mapping[str, set[str]],
    groups_after: Mapping[str, set[str]],
) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Return each id's roles for the whole tenant, through groups too, now and after the plan."""
    holders = sorted(set(ids).union(*groups_now.values(), *groups_after.values()))
    now: dict[str, dict[str, str]] = {}  # principal -> assignment -> role
    for item in draft.live.find_objects(_ASSIGNMENT, "principalId", holders):
        if administrators.is_tenant_wide(item.properties):
            held = now.setdefault(administrators.principal_of(item.properties), {})
            held[item.id] = str(item.get("roleDefinitionId")).lower()
    after = {principal: dict(held) for principal, held in now.items()}
    for step in steps:
        if step.ref.kind != _ASSIGNMENT:
            continue
        if step.action is Action.DELETE:
            for held in after.values():
                held.pop(key_of(draft, step), None)
        elif step.action is Action.CREATE and administrators.is_tenant_wide(step.body):
            held = after.setdefault(administrators.principal_of(step.body), {})
            held[step.id] = str(step.body.get("roleDefinitionId")).lower()

    def roles(
        of: Mapping[str, dict[str, str]], groups: Mapping[str, set[str]], one: str
    ) -> set[str]:
        return {role for who in (one, *groups[one]) for role in of.get(who, {}).values()}

    return (
        {one: roles(now, groups_now, one) for one in ids},
        {one: roles(after, groups_after, one) for one in ids},
    )


def _closure(start: str, above: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    rest = list(above.get(start, ()))
    while rest:
        one = rest.pop()
        if one not in found:
            found.add(one)
            rest += above.get(one, ())
    return found
