"""The demo's proof: what comparing the first and the last snapshot must and may still show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reentra.cli.demo_mishap import Mishap
from reentra.compare import Change, ObjectChange
from reentra.directory.kinds import KINDS
from reentra.directory.objects import DirectoryObject
from reentra.directory.state import TenantState

# Given back by an action of its own, so no property that may be written, yet promised.
_PROMISED_BESIDES = frozenset({"assignedLicenses", "userPrincipalName", "displayName"})


@dataclass(slots=True)
class Verdict:
    """What was found. ``broken`` is empty when everything is as promised.

    ``beyond_graph`` counts objects by (kind, property or relationship): stamps that only Microsoft
    writes on what was created anew, and what the plan had said cannot be restored.
    """

    kept: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    beyond_graph: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def is_proven(self) -> bool:
        return not self.broken

    def say(self, is_kept: bool, sentence: str) -> None:
        """Record whether a promise was kept."""
        (self.kept if is_kept else self.broken).append(sentence)


def judge(
    leftovers: Iterable[ObjectChange],
    mishap: Mishap,
    id_map: Mapping[str, str],
    last: TenantState,
    *,
    declared: Collection[tuple[str, str, str]] = (),
    is_second_plan_empty: bool,
) -> Verdict:
    """Judge what still differs between the snapshot before the mishap and the last one.

    ``declared`` are the (kind, id, property or relationship) that the plan called unrestorable.
    """
    verdict = Verdict()
    _judge_leftovers(verdict, leftovers, declared)
    bin_back = last.load_objects("user", mishap.soft_deleted)
    verdict.say(
        len(bin_back) == len(mishap.soft_deleted),
        f"{len(bin_back)} of {len(mishap.soft_deleted)} users from the recycle bin are back, "
        "with the ids they had",
    )
    new_ids = [id_map[old] for old in mishap.purged if old in id_map]
    created = last.load_objects("user", new_ids)
    verdict.say(
        len(created) == len(mishap.purged),
        f"{len(created)} of {len(mishap.purged)} purged users exist again, under new ids",
    )
    group = last.load_objects("group", [mishap.deleted_group])
    verdict.say(bool(group), f"the group {mishap.deleted_group_name} is back with its id")
    users = last.load_objects("user", mishap.blanked)
    blank = [item for item in users.values() if not item.get("department")]
    verdict.say(
        not blank and len(users) == len(mishap.blanked),
        f"{len(users) - len(blank)} of {len(mishap.blanked)} blanked departments are filled again",
    )
    members = {
        link.target_id for link in last.load_relationships("group.members", [mishap.robbed_group])
    }
    there = [one for one in mishap.lost_members if id_map.get(one, one) in members]
    verdict.say(
        len(there) == len(mishap.lost_members),
        f"{len(there)} of {len(mishap.lost_members)} members are in {mishap.robbed_group_name} "
        "again",
    )
    policy = last.load_objects("conditionalAccessPolicy", [mishap.policy]).get(mishap.policy)
    state: Any = None if policy is None else policy.get("state")
    verdict.say(state == "enabled", f"the policy {mishap.policy_name} is {state or 'missing'}")
    naming = last.load_objects("conditionalAccessPolicy", [mishap.naming_policy])
    anew = id_map.get(mishap.purged_group, "")
    verdict.say(
        bool(anew) and named_groups(naming.get(mishap.naming_policy)) == [anew],
        f"the group {mishap.purged_group_name} exists again under a new id, and the policy "
        f"{mishap.naming_policy_name} names that one",
    )
    verdict.say(
        is_second_plan_empty,
        "a second plan from the first snapshot has nothing left to do"
        if is_second_plan_empty
        else "a second plan from the first snapshot still wants to change something",
    )
    return verdict


def named_groups(policy: DirectoryObject | None) -> list[str]:
    """Return the groups that a Conditional Access policy is for."""
    users = {} if policy is None else (policy.get("conditions") or {}).get("users") or {}
    return list(users.get("includeGroups") or ())


def _judge_leftovers(
    verdict: Verdict,
    leftovers: Iterable[ObjectChange],
    declared: Collection[tuple[str, str, str]],
) -> None:
    differing = 0
    for change in leftovers:
        wrong = []
        beyond = set()
        if change.change is not Change.MODIFIED:
            wrong.append(f"was {change.change.value}")
        for item in change.properties:
            root = item.path.partition("/")[0].partition("[")[0]
            is_stamp = bool(change.new_id) and not _is_promised(change.kind, root)
            if is_stamp or (change.kind, change.id, root) in declared:
                beyond.add((change.kind, root))
            elif change.change is Change.MODIFIED:
                wrong.append(f"{item.path} is {item.after!r} and was {item.before!r}")
        for link in change.relationships:
            if (change.kind, change.id, link.relationship) in declared:
                beyond.add((change.kind, link.relationship))
            else:
                wrong.append(
                    f"{link.relationship} {link.target_name or link.target_id} {link.change.value}"
                )
        verdict.beyond_graph.update(beyond)
        if wrong:
            differing += 1
            verdict.broken.append(f"{change.kind} {change.display_name}: {'; '.join(wrong)}")
    verdict.say(
        not differing,
        "nothing that Graph lets anybody write differs from the snapshot before the mishap"
        if not differing
        else f"{differing} objects still differ from the snapshot before the mishap",
    )


def _is_promised(kind: str, name: str) -> bool:
    row = KINDS[kind]
    return name in (
        row.writable | row.create_only | row.update_only | row.required | _PROMISED_BESIDES
    )
