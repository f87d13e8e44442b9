"""Looking: does what a step wants hold in the tenant already, and if not, what is left to do?

The same question is asked before steps that follow an undelete, after a crash, after a lost reply,
and at the end to prove the restore.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reentra.directory.kinds import KINDS
from reentra.directory.objects import DirectoryObject
from reentra.directory.state import LiveState
from reentra.restore import bodies, matching
from reentra.restore.existing import load_written
from reentra.restore.identity import IdentityMap
from reentra.restore.licences import (
    direct_licences,
    group_licences,
    is_own_for_sure,
    needs_inference,
)
from reentra.restore.steps import Action, Look, Step

# Two of these may have the same name, so a creation notes which ones there were before it.
NAMED_KINDS = frozenset(
    {
        "group",
        "application",
        "administrativeUnit",
        "conditionalAccessPolicy",
        "namedLocation",
        "unifiedRoleDefinition",
        "claimsMappingPolicy",
        "tokenLifetimePolicy",
        "tokenIssuancePolicy",
        "homeRealmDiscoveryPolicy",
        "activityBasedTimeoutPolicy",
    }
)
_CACHED_IDS = 500_000
_CACHED_ENDS = 1024  # a wave has at most 160 sources


class Answer(enum.Enum):
    """What a look found."""

    HOLDS = "holds"
    LACKS = "lacks"  # the object is there, and something is left to write
    GONE = "gone"  # the object is not there (yet)


@dataclass(frozen=True, slots=True)
class Finding:
    """``left`` are the bodies still to be written, in order; ``found_id`` what was created."""

    answer: Answer
    left: tuple[Mapping[str, Any], ...] = ()
    found_id: str = ""
    found_app_id: str = ""
    differing: frozenset[str] = frozenset()


@dataclass(slots=True)
class Looker:
    """Looks at the tenant for the steps of one restore. ``identity`` gives the map as it is now."""

    live: LiveState
    identity: Callable[[], IdentityMap]
    _ends: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    def findings(
        self,
        steps: Sequence[Step],
        *,
        existing: Mapping[str, Collection[str]] | None = None,
        taken: Collection[str] = (),
        is_fresh: bool = True,
    ) -> dict[str, Finding]:
        """Return what holds of each step, by step id.

        ``existing`` are, for creations, ids that were there before; ``taken`` ids that belong to
        other creations. With ``is_fresh`` off, members that were read a moment ago are not read
        again.
        """
        result: dict[str, Finding] = {}
        by_action: dict[Action, list[Step]] = {}
        for step in steps:
            by_action.setdefault(step.action, []).append(step)
        for action, members in by_action.items():
            if action in (Action.ADD_RELATIONSHIP, Action.REMOVE_RELATIONSHIP):
                result.update(self._links(members, is_fresh))
            elif action in (Action.CREATE, Action.INVITE):
                result.update(self._creations(members, existing or {}, taken))
            else:
                result.update(self._objects(members))
        return result

    def same_named(self, steps: Sequence[Step]) -> dict[str, list[str]]:
        """Return, for creations, the ids of live objects that they could be taken for."""
        names: dict[str, set[str]] = {}
        for step in steps:
            if step.ref.kind in NAMED_KINDS:
                names.setdefault(step.ref.kind, set()).add(str(step.body.get("displayName") or ""))
        found: dict[tuple[str, str], list[str]] = {}
        for kind, wanted in names.items():
            for item in self.live.find_objects(kind, "displayName", sorted(wanted)):
                found.setdefault((kind, str(item.get("displayName")).lower()), []).append(item.id)
        result = {}
        for step in steps:
            name = str(step.body.get("displayName") or "").lower()
            if same := found.get((step.ref.kind, name)):
                result[step.id] = same
        return result

    # --- objects ------------------------------------------------------------------------------

    def live_id(self, step: Step) -> str:
        """Return the id of the step's object in the tenant."""
        return self.identity().current(step.live_id or step.ref.id)

    def body(self, step: Step) -> dict[str, Any]:
        """Return the step's body with every id as it is now."""
        return self.identity().rewritten(step.ref.kind, step.body)

    def _objects(self, steps: Sequence[Step]) -> dict[str, Finding]:
        wanted: dict[str, dict[str, Mapping[str, Any]]] = {}
        ends: dict[str, set[str]] = {}
        for step in steps:
            first = matching.end_properties(KINDS[step.ref.kind])[0] if step.removes_link else ""
            if step.body.get(first):
                ends.setdefault(step.ref.kind, set()).add(str(step.body[first]))
            else:
                wanted.setdefault(step.ref.kind, {})[self.live_id(step)] = self.body(step)
        live = {kind: dict(load_written(self.live, kind, one)) for kind, one in wanted.items()}
        # Most links are not to be had by their ids, but through what they lead from.
        for kind, values in ends.items():
            first = matching.end_properties(KINDS[kind])[0]
            found = self.live.find_objects(kind, first, sorted(values))
            live[kind] = {**live.get(kind, {}), **{item.id: item for item in found}}
        return {
            step.id: self._object(step, live[step.ref.kind].get(self.live_id(step)))
            for step in steps
        }

    def _object(self, step: Step, live: DirectoryObject | None) -> Finding:
        if step.action is Action.DELETE:
            return Finding(Answer.HOLDS if live is None else Answer.LACKS)
        if live is None:
            return Finding(Answer.GONE)
        if step.action is Action.UNDELETE:
            return Finding(Answer.HOLDS, found_id=live.id)
        if step.action is Action.ASSIGN_LICENSES:
            return _licence_finding(step, live)
        return update_finding(step.ref.kind, self.body(step), live)

    # --- creations ----------------------------------------------------------------------------

    def _creations(
        self,
        steps: Sequence[Step],
        existing: Mapping[str, Collection[str]],
        taken: Collection[str],
    ) -> dict[str, Finding]:
        """Look for what the steps create; one object is never taken for two creations.

        Of steps that share a name, each gets the object that looks most like it.
        """
        pairs = [
            (_unlikeness(step, item), number, step, item)
            for number, (step, candidates) in enumerate(self._candidates(steps))
            for item in candidates
            if item.id not in existing.get(step.id, ()) and item.id not in taken
        ]
        result = {step.id: Finding(Answer.GONE) for step in steps}
        used: set[str] = set()
        for _unlike, _number, step, item in sorted(pairs, key=lambda pair: pair[:2]):
            if item.id in used or result[step.id].answer is Answer.HOLDS:
                continue
            used.add(item.id)
            app_id = str(item.get("appId") or "") if item.kind == "application" else ""
            result[step.id] = Finding(Answer.HOLDS, found_id=item.id, found_app_id=app_id)
        return result

    def _candidates(self, steps: Sequence[Step]) -> Iterator[tuple[Step, list[DirectoryObject]]]:
        """Yield each creation with what it could have made, found with few questions."""
        asked: dict[tuple[str, str], list[tuple[Step, dict[str, Any], str]]] = {}
        for step in steps:
            body = self.body(step)
            kind, name, value = _sought(step, body)
            asked.setdefault((kind, name), []).append((step, body, value))
        for (kind, name), members in asked.items():
            found: dict[str, list[DirectoryObject]] = {}
            for item in self.live.find_objects(kind, name, sorted({m[2] for m in members})):
                found.setdefault(str(item.get(name) or "").casefold(), []).append(item)
            for step, body, value in members:
                items = found.get(value.casefold(), [])
                yield step, [item for item in items if _could_be(step, body, item)]

    # --- links --------------------------------------------------------------------------------

    def _links(self, steps: Sequence[Step], is_fresh: bool) -> dict[str, Finding]:
        current = self.identity().current
        present: set[tuple[str, str, str]] = set()
        sources: dict[str, set[str]] = {}
        targets: dict[str, set[str]] = {}
        for step in steps:
            if step.target is None:
                continue
            side, one = (
                (targets, step.target.id) if step.look is Look.TARGET else (sources, step.ref.id)
            )
            side.setdefault(step.relationship, set()).add(current(one))
        for relationship, ids in sources.items():
            for source_id, found in self._targets_of(relationship, ids, is_fresh).items():
                present.update((relationship, source_id, target_id) for target_id in found)
        for relationship, ids in targets.items():
            for target_id, found in self._sources_of(relationship, ids, is_fresh).items():
                present.update((relationship, source_id, target_id) for source_id in found)
        result = {}
        for step in steps:
            if step.target is None:
                continue
            key = (step.relationship, current(step.ref.id), current(step.target.id))
            wants = step.action is Action.ADD_RELATIONSHIP
            holds = (key in present) == wants
            result[step.id] = Finding(Answer.HOLDS if holds else Answer.LACKS)
        return result

    def _targets_of(
        self, relationship: str, ids: Collection[str], is_fresh: bool
    ) -> dict[str, frozenset[str]]:
        def load(rest: Sequence[str]) -> Iterable[tuple[str, str]]:
            for link in self.live.load_relationships(relationship, rest):
                yield link.source_id, link.target_id

        return self._other_ends(f"{relationship} from", ids, is_fresh, load)

    def _sources_of(
        self, relationship: str, ids: Collection[str], is_fresh: bool
    ) -> dict[str, frozenset[str]]:
        def load(rest: Sequence[str]) -> Iterable[tuple[str, str]]:
            for link in self.live.load_relationships_to(relationship, rest):
                yield link.target_id, link.source_id

        return self._other_ends(f"{relationship} to", ids, is_fresh, load)

    def _other_ends(
        self,
        side: str,
        ids: Collection[str],
        is_fresh: bool,
        load: Callable[[Sequence[str]], Iterable[tuple[str, str]]],
    ) -> dict[str, frozenset[str]]:
        known: dict[str, frozenset[str]] = {}
        if not is_fresh:
            known = {one: self._ends[side, one] for one in ids if (side, one) in self._ends}
        rest = sorted(set(ids) - known.keys())
        if rest:
            found: dict[str, set[str]] = {one: set() for one in rest}
            for one, other in load(rest):
                found.setdefault(one, set()).add(other)
            for one, others in found.items():
                known[one] = frozenset(others)
                self._ends[side, one] = known[one]
        while len(self._ends) > _CACHED_ENDS:
            del self._ends[next(iter(self._ends))]
        if sum(map(len, self._ends.values())) > _CACHED_IDS:
            self._ends = {}
        return known


def update_finding(kind: str, want: Mapping[str, Any], live: DirectoryObject) -> Finding:
    """Return whether ``live`` has the values of ``want``; only the properties named there count."""
    have = {name: live.get(name) for name in want}
    names = bodies.differing(kind, want, have)
    if KINDS[kind].is_typed:
        names -= {"@odata.type"}
    if not names:
        return Finding(Answer.HOLDS, found_id=live.id)
    left = bodies.update_bodies(kind, want, live.properties, names)
    if not left:
        return Finding(Answer.HOLDS, found_id=live.id, differing=names)
    return Finding(Answer.LACKS, left, live.id, differing=names)


def _licence_finding(step: Step, live: DirectoryObject) -> Finding:
    have = (
        group_licences(live.properties)
        if live.kind == "group"
        else direct_licences(live.properties)
    )
    want = {entry["skuId"]: frozenset(entry["disabledPlans"]) for entry in step.body["addLicenses"]}
    remove = [sku for sku in step.body["removeLicenses"] if sku in have]
    if step.look is not Look.NOT_NEEDED:
        remove = sorted(sku for sku in have if sku not in want)
    if live.kind == "user" and needs_inference(live.properties):
        # Without Graph's word on it, a licence may come from a group: nobody takes that away.
        remove = [sku for sku in remove if is_own_for_sure(live.properties, sku)]
    add = [
        {"skuId": sku, "disabledPlans": sorted(plans)}
        for sku, plans in sorted(want.items())
        if have.get(sku) != plans
    ]
    if not add and not remove:
        return Finding(Answer.HOLDS, found_id=live.id)
    return Finding(Answer.LACKS, ({"addLicenses": add, "removeLicenses": remove},), live.id)


def _sought(step: Step, body: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the kind, the property and the value by which a creation's object is found."""
    kind = step.ref.kind
    row = KINDS[kind]
    if step.action is Action.INVITE:
        return "user", "mail", str(body["invitedUserEmailAddress"])
    if kind == "user":
        return kind, "userPrincipalName", str(body["userPrincipalName"])
    if kind == "servicePrincipal":
        return kind, "appId", str(body["appId"])
    if row.is_link:
        first = matching.end_properties(row)[0]
        return kind, first, str(body[first])
    name = row.natural_key[0] if row.natural_key else "displayName"
    return kind, name, str(body.get(name) or "")


def _could_be(step: Step, body: Mapping[str, Any], item: DirectoryObject) -> bool:
    row = KINDS[step.ref.kind]
    if step.action is Action.INVITE:
        return item.get("userType") == "Guest" or bodies.is_guest_by_invitation(item.properties)
    if row.is_link:
        return matching.natural_key(row, item.properties) == matching.natural_key(row, body)
    if row.natural_key:
        return True
    nickname = body.get("mailNickname")
    return nickname is None or item.get("mailNickname") == nickname


def _unlikeness(step: Step, item: DirectoryObject) -> int:
    """Return how many properties of a creation's body an object does not have."""
    if step.action is Action.INVITE or step.ref.kind not in NAMED_KINDS:
        return 0
    return len(update_finding(step.ref.kind, step.body, item).differing)
