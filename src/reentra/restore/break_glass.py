"""Break-glass accounts: the named accounts for emergencies, which a plan leaves alone.

They are named for the tenant, by id or userPrincipalName. A plan may bring one back from the
recycle bin or create it anew, give it a role, or add it to a group; it takes nothing from one and
changes nothing of one. Each account is overruled by its own name, so that nothing is overruled
unseen.

Reads through ``TenantState`` only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reentra.directory.objects import DirectoryObject, canonical_id
from reentra.directory.state import TenantState
from reentra.restore.administrators import (
    MEMBERS,
    Person,
    key_of,
    person_of,
    principal_of,
    target_of,
)
from reentra.restore.conditional_access import excluded_groups
from reentra.restore.draft import Draft
from reentra.restore.refusals import BREAK_GLASS_ACCOUNT, Refusal
from reentra.restore.steps import Action, Step

_ASSIGNMENT = "unifiedRoleAssignment"
_CHANGES = (Action.UPDATE, Action.DELETE, Action.ASSIGN_LICENSES)
_MOST_NAMES = 3


def find_accounts(state: TenantState, named: Sequence[str]) -> dict[str, DirectoryObject]:
    """Find the users among ``named``, each an id or a userPrincipalName, by how they are named."""
    ids = {canonical_id(one): one for one in named if "@" not in one}
    names = {one.lower(): one for one in named if "@" in one}
    found: dict[str, DirectoryObject] = {}
    if ids:
        loaded = state.load_objects("user", sorted(ids))
        found.update((ids[one], item) for one, item in loaded.items())
    if names:
        for item in state.find_objects("user", "userPrincipalName", sorted(names.values())):
            found[names[str(item.get("userPrincipalName")).lower()]] = item
    return found


def load_accounts(draft: Draft, named: Sequence[str]) -> tuple[dict[str, Person], list[str]]:
    """Load the named accounts, by id, and say which of them the tenant does not have.

    Each goes by the name that it was given.
    Raises: ``errors.GraphError`` when users cannot be read.
    """
    found = find_accounts(draft.live, named)
    accounts = {}
    for one, item in found.items():
        person = person_of(item)
        accounts[item.id] = Person(one, person.is_enabled, person.is_guest)
    warnings = [
        f"The break-glass account {one} is not in the tenant: nothing was looked at for it. "
        "Name others in the tenant's settings."
        for one in named
        if one not in found
    ]
    return accounts, warnings


def account_refusals(
    draft: Draft,
    steps: Sequence[Step],
    accounts: Mapping[str, Person],
    policies: Sequence[Mapping[str, object]],
) -> list[Refusal]:
    """Refuse to change ``accounts``, or to take them out of anything.

    ``policies`` are the Conditional Access policies now, as far as they could be read. Deleting a
    group takes its members out of it; that counts where the group holds roles or is excluded by
    one of them.
    """
    made = {key_of(draft, step) for step in steps if step.action is Action.UNDELETE}
    lost: dict[str, list[Step]] = {}
    deleted_groups: dict[str, Step] = {}
    deleted_assignments: dict[str, Step] = {}
    for step in steps:
        key = key_of(draft, step)
        if step.relationship:
            if key in accounts and step.ref.kind == "user":
                lost.setdefault(key, []).append(step)
            elif step.action is Action.REMOVE_RELATIONSHIP:
                target = target_of(draft, step)
                if target in accounts:
                    lost.setdefault(target, []).append(step)
        elif step.ref.kind == "user":
            if key in accounts and key not in made and step.action in _CHANGES:
                lost.setdefault(key, []).append(step)
        elif step.action is Action.DELETE and step.ref.kind == "group":
            deleted_groups[key] = step
        elif step.action is Action.DELETE and step.ref.kind == _ASSIGNMENT:
            deleted_assignments[key] = step
    if deleted_assignments:
        for item in draft.live.find_objects(_ASSIGNMENT, "principalId", sorted(accounts)):
            if item.id in deleted_assignments:
                lost.setdefault(principal_of(item.properties), []).append(
                    deleted_assignments[item.id]
                )
    if deleted_groups:
        _add_lost_groups(draft, accounts, policies, deleted_groups, lost)
    return [_refusal(accounts[one].name, found) for one, found in sorted(lost.items())]


def _add_lost_groups(
    draft: Draft,
    accounts: Mapping[str, Person],
    policies: Sequence[Mapping[str, object]],
    deleted: Mapping[str, Step],
    lost: dict[str, list[Step]],
) -> None:
    links = [
        link
        for link in draft.live.load_relationships_to(MEMBERS, sorted(accounts))
        if link.source_id in deleted
    ]
    if not links:
        return
    excluded = frozenset(one for body in policies for one in excluded_groups(body))
    groups = draft.live.load_objects("group", sorted({link.source_id for link in links}))
    for link in links:
        group = groups.get(link.source_id)
        holds_roles = group is not None and group.get("isAssignableToRole") is True
        if holds_roles or link.source_id in excluded:
            lost.setdefault(link.target_id, []).append(deleted[link.source_id])


def _refusal(account: str, steps: Sequence[Step]) -> Refusal:
    shown = "; ".join(step.summary for step in steps[:_MOST_NAMES])
    more = f"; and {len(steps) - _MOST_NAMES} more" if len(steps) > _MOST_NAMES else ""
    return Refusal(
        BREAK_GLASS_ACCOUNT,
        f"The plan changes the break-glass account {account} in {len(steps)} "
        f"step{'s' if len(steps) > 1 else ''}: {shown}{more}.",
        "Leave the account out of the selection, or overrule this for the account by its name.",
        f"{BREAK_GLASS_ACCOUNT}:{account}",
        {"steps": len(steps)},
    )
