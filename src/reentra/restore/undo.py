"""Undo: the plan that takes back what a restore really did, and nothing that came later.

What the restore wrote is known from its plan and its journal, what was there before from its
capture. The tenant is wanted as it is now, but for those values: the plan is made from that like
any other. What was created or brought back is deleted again, into the recycle bin where there is
one. What somebody changed since is a conflict, and is left as it is unless that was asked for.
Reads the tenant through ``TenantState`` only.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reentra import errors
from reentra.directory.kinds import KINDS
from reentra.directory.objects import DirectoryObject, ObjectRef, Relationship
from reentra.directory.relationships import RELATIONSHIPS
from reentra.directory.selection import Selection
from reentra.directory.state import LiveState, TenantState
from reentra.restore import bodies
from reentra.restore.deeds import Deeds, LinkKey
from reentra.restore.draft import Draft, RestoreOptions, chunks, name_of
from reentra.restore.existing import load_links_to, load_written
from reentra.restore.identity import IdentityMap
from reentra.restore.licences import direct_licences, group_licences
from reentra.restore.plan import RestorePlan, plan_restore
from reentra.restore.rollback import REMOVAL_PHASE, add_deletion, link_deletion
from reentra.restore.safety import NO_SAFEGUARDS, Safeguards
from reentra.restore.steps import CHANGED_SINCE, Action, Precondition, Step, Unrestorable
from reentra.restore.wanted import SeenTenant, WantedState

_LOOKED_AT = 500  # created objects of which it is told whether they were used since
_LICENCES = "assignedLicenses"
_STATES = "licenseAssignmentStates"


def plan_undo(
    deeds: Deeds,
    capture: TenantState,
    live: LiveState,
    options: RestoreOptions,
    identity: IdentityMap,
    *,
    created_at: dt.datetime,
    granted: frozenset[str] | None = None,
    safeguards: Safeguards = NO_SAFEGUARDS,
    is_overwriting: bool = False,
) -> RestorePlan:
    """Return the plan that takes ``deeds`` back. Writes nothing.

    With ``is_overwriting`` values that somebody changed since are put back too.
    Raises: ``errors.UsageError`` when there is nothing that could be taken back.
    """
    ensure_undoable(deeds)
    undoing = _Undoing(deeds, capture, live, identity, is_overwriting)
    wanted = undoing.wanted()
    selection = Selection(refs=frozenset(undoing.selected))
    plan = plan_restore(
        wanted,
        undoing.seen,
        selection,
        options,
        identity,
        created_at=created_at,
        granted=granted,
        additions=undoing.add_reversals,
        safeguards=safeguards,
    )
    return dataclasses.replace(plan, undoes=deeds.job_id)


def ensure_undoable(deeds: Deeds) -> None:
    """Let pass a restore that did something.

    Raises: ``errors.UsageError``.
    """
    if deeds.is_empty:
        raise errors.UsageError(
            f"Restore {deeds.job_id} wrote nothing; there is nothing to undo.",
            hint="Its report tells what became of each of its steps.",
            typed=f"reentra jobs report {deeds.job_id}",
        )


class _Undoing:
    """Works out what is wanted, and the steps that a comparison of states does not give."""

    def __init__(
        self,
        deeds: Deeds,
        capture: TenantState,
        live: LiveState,
        identity: IdentityMap,
        is_overwriting: bool,
    ) -> None:
        self._deeds = deeds
        self._capture = capture
        self._identity = identity
        self._is_overwriting = is_overwriting
        self.seen: Any = SeenTenant(live)
        self.selected: set[ObjectRef] = set(deeds.made)
        self._conflicts: list[Unrestorable] = []
        self._removals: list[LinkKey] = []
        self._renewed: list[str] = []  # what named a dead id before, and names its new one

    def wanted(self) -> WantedState:
        state = WantedState(self.seen, self._capture)
        for kind, members in _by_kind(self._deeds.changed).items():
            for chunk in chunks(sorted(members)):
                before = self._capture.load_objects(kind, chunk)
                now = self.seen.load_objects(kind, chunk)
                for object_id in chunk:
                    item = self._as_before(
                        ObjectRef(kind, object_id), before.get(object_id), now.get(object_id)
                    )
                    if item is not None:
                        state.objects.setdefault(kind, {})[object_id] = item
                        self.selected.add(item.ref)
        for kind, members in _by_kind(self._deeds.deleted).items():
            for chunk in chunks(sorted(members)):
                there = self.seen.load_objects(kind, chunk)
                for object_id, item in self._capture.load_objects(kind, chunk).items():
                    if object_id in there:
                        continue  # somebody has brought it back already
                    state.objects.setdefault(kind, {})[object_id] = item
                    self.selected.add(item.ref)
        for relationship in RELATIONSHIPS:
            links = list(self._links_wanted(relationship))
            if links:
                state.links[relationship] = links
        return state

    # --- values -------------------------------------------------------------------------------

    def _as_before(
        self, ref: ObjectRef, before: DirectoryObject | None, now: DirectoryObject | None
    ) -> DirectoryObject | None:
        """Return the object with what the restore wrote taken back, or ``None``."""
        name = self._deeds.names[ref]
        if now is None:
            self._conflict(ref, name, "object", "It was deleted since the restore.", "")
            return None
        if before is None:
            self._conflict(
                ref, name, "object", "The capture does not hold it.", "Put it right by hand."
            )
            return None
        kind = ref.kind
        written = self._identity.rewritten(kind, self._deeds.changed[ref])
        had = self._identity.rewritten(kind, before.properties)
        body = dict(now.properties)
        for what, value in sorted(written.items()):
            if not bodies.differing(kind, _only(had, what), _only(body, what)):
                if bodies.differing(kind, _only(before.properties, what), _only(body, what)):
                    self._renewed.append(f"{kind} {name}: {what}")
                continue
            is_as_written = not bodies.differing(kind, {what: value}, _only(body, what))
            if is_as_written or self._is_overwriting:
                body[what] = had.get(what)
            else:
                self._conflict(ref, name, what, "It was changed again since the restore.")
        if ref in self._deeds.licensed:
            self._licences_as_before(ref, name, before, body)
        return DirectoryObject(kind, now.id, body)

    def _licences_as_before(
        self, ref: ObjectRef, name: str, before: DirectoryObject, body: dict[str, Any]
    ) -> None:
        """Put back the licences of the SKUs that the restore gave or took."""
        owned = group_licences if ref.kind == "group" else direct_licences
        had, has = owned(before.properties), owned(body)
        for sku, given in sorted(self._deeds.licensed[ref].items()):
            if had.get(sku) == has.get(sku):
                continue
            if has.get(sku) != given and not self._is_overwriting:
                self._conflict(
                    ref, name, _LICENCES, f"Licence {sku} was changed again since the restore."
                )
                continue
            body[_LICENCES] = _replaced(body.get(_LICENCES), before.get(_LICENCES), sku)
            if _STATES in body or before.get(_STATES):
                body[_STATES] = _replaced(body.get(_STATES), before.get(_STATES), sku)

    def _conflict(
        self,
        ref: ObjectRef,
        name: str,
        what: str,
        reason: str,
        instead: str = "Look at it; overwriting later changes puts it back all the same.",
    ) -> None:
        self._conflicts.append(Unrestorable(ref, name, what, reason, instead, 1, CHANGED_SINCE))

    # --- links --------------------------------------------------------------------------------

    def _links_wanted(self, relationship: str) -> Iterator[Relationship]:
        """Yield the links to be added again, and note those to be removed."""
        row = RELATIONSHIPS[relationship]
        removed = self._deeds.removed.get(relationship, {})
        added = self._deeds.added.get(relationship, {})
        sources = sorted({key.source_id for key in (*removed, *added)})
        captured: dict[str, list[Relationship]] = {}
        for chunk in chunks(sources):
            for link in self._capture.load_relationships(relationship, chunk):
                captured.setdefault(link.source_id, []).append(link)
        for key in removed:
            self.selected.add(ObjectRef(row.source_kind, key.source_id))
            yield Relationship(relationship, key.source_id, key.target_id, key.target_kind)
        for key in added:
            self.selected.add(ObjectRef(row.source_kind, key.source_id))
            before = captured.get(key.source_id, [])
            if row.is_single and before and self._still_ends_at(key):
                yield before[0]
            elif not row.is_single or not before:
                self._removals.append(key)
        for kind in {row.source_kind} & {ref.kind for ref in self._deeds.deleted}:
            ids = [ref.id for ref in self._deeds.deleted if ref.kind == kind]
            for chunk in chunks(sorted(ids)):
                yield from self._capture.load_relationships(relationship, chunk)
        ends = [ref.id for ref in self._deeds.deleted if ref.kind in row.target_kinds]
        for chunk in chunks(sorted(ends)):
            yield from self._capture.load_relationships_to(relationship, chunk)

    def _still_ends_at(self, key: LinkKey) -> bool:
        """Tell whether a single-valued link leads where the restore led it."""
        if self._is_overwriting:
            return True
        now = self.seen.load_relationships(key.relationship, [key.source_id])
        if any(link.target_id == key.target_id for link in now):
            return True
        source = ObjectRef(RELATIONSHIPS[key.relationship].source_kind, key.source_id)
        name = self._deeds.names[source]
        self._conflict(source, name, key.relationship, "It was changed again since the restore.")
        return False

    # --- what no comparison of states gives ---------------------------------------------------

    def add_reversals(self, draft: Draft) -> None:
        """Add the removal of links, and the deletion of what was made, to the draft."""
        draft.unrestorable.extend(self._conflicts)
        draft.warnings.extend(self._deeds.doubts)
        if self._renewed:
            shown = ", ".join(self._renewed[:5])
            more = f" and {len(self._renewed) - 5} more" if len(self._renewed) > 5 else ""
            draft.warnings.append(
                f"What named a dead id before the restore keeps the new id, for Graph takes no "
                f"dead one: {shown}{more}."
            )
        doomed = self._doomed(draft)
        by_relationship: dict[str, list[LinkKey]] = {}
        for key in self._removals:
            if not self._goes_along(key, doomed):
                by_relationship.setdefault(key.relationship, []).append(key)
        for relationship, keys in sorted(by_relationship.items()):
            self._remove(draft, relationship, keys)
        for ref, item in sorted(doomed.items()):
            name = self._deeds.names[ref]
            if ref.kind == "extensionProperty":
                draft.warnings.append(
                    f"The directory extension {name} is taken away again; the values that users, "
                    "groups and others have of it go with it, for good."
                )
            if KINDS[ref.kind].is_link:
                draft.steps.append(link_deletion(item, name, "which the restore had made"))
            else:
                is_back = ref in self._deeds.undeleted
                why = "the restore had brought it back" if is_back else "the restore had created it"
                add_deletion(draft, item, name, why)
        self._tell_use(draft, doomed)

    def _goes_along(self, key: LinkKey, doomed: Mapping[ObjectRef, DirectoryObject]) -> bool:
        """Tell whether a link ends with an object that did not exist before the restore."""
        row = RELATIONSHIPS[key.relationship]
        ends = [ObjectRef(row.source_kind, key.source_id)]
        kinds = (key.target_kind,) if key.target_kind else row.target_kinds
        ends += [ObjectRef(kind, key.target_id) for kind in kinds]
        return any(end in doomed and end not in self._deeds.undeleted for end in ends)

    def _doomed(self, draft: Draft) -> dict[ObjectRef, DirectoryObject]:
        """Load what the restore made and what is still there."""
        found: dict[ObjectRef, DirectoryObject] = {}
        for kind, members in _by_kind(self._deeds.made).items():
            row = KINDS[kind]
            for chunk in chunks(sorted(members)):
                wanted = {
                    one: self._identity.rewritten(kind, self._deeds.made[ObjectRef(kind, one)])
                    for one in chunk
                }
                for item in load_written(draft.live, kind, wanted).values():
                    if item.id not in members:
                        continue
                    if row.can_delete:
                        found[item.ref] = item
                    else:
                        draft.refuse(item, "object", "Graph cannot delete it.", row.reason)
        return {ref: item for ref, item in found.items() if not _is_part_of_one(item, found)}

    def _remove(self, draft: Draft, relationship: str, keys: list[LinkKey]) -> None:
        row = RELATIONSHIPS[relationship]
        present: set[tuple[str, str]] = set()
        for chunk in chunks(sorted({key.source_id for key in keys})):
            links = draft.live.load_relationships(relationship, chunk)
            present.update((link.source_id, link.target_id) for link in links)
        left = [key for key in keys if (key.source_id, key.target_id) in present]
        draft.learn_titles({end for key in left for end in (key.source_id, key.target_id)})
        for key in left:
            source = draft.title(key.source_id)
            draft.steps.append(
                Step(
                    id=f"remove/{relationship}/{key.source_id}/{key.target_id}",
                    action=Action.REMOVE_RELATIONSHIP,
                    ref=ObjectRef(row.source_kind, key.source_id),
                    name=source,
                    summary=(
                        f"Remove {draft.title(key.target_id)} ({row.title.lower()} of {source})"
                    ),
                    precondition=Precondition.LINK_PRESENT,
                    phase=REMOVAL_PHASE,
                    live_id=key.source_id,
                    relationship=relationship,
                    target=ObjectRef(key.target_kind, key.target_id),
                )
            )

    def _tell_use(self, draft: Draft, doomed: Mapping[ObjectRef, DirectoryObject]) -> None:
        """Warn of what was created and has been given links or other values since."""
        created = [
            ref
            for ref in sorted(doomed)
            if ref not in self._deeds.undeleted and not KINDS[ref.kind].is_link
        ]
        if len(created) > _LOOKED_AT:
            draft.warnings.append(
                f"Of {len(created):,} objects that are deleted again, {_LOOKED_AT:,} were looked "
                "at for later use; the others may have been used since as well."
            )
            created = created[:_LOOKED_AT]
        known = {
            (key.relationship, key.source_id, key.target_id)
            for keys in self._deeds.added.values()
            for key in keys
        }
        later: dict[ObjectRef, int] = {}
        for row in RELATIONSHIPS.values():
            own = {ref.id: ref for ref in created if ref.kind == row.source_kind}
            links: list[tuple[ObjectRef, Relationship]] = []
            if own:
                loaded = self.seen.load_relationships(row.name, sorted(own))
                links += [(own[link.source_id], link) for link in loaded]
            for kind in row.target_kinds:
                ends = {ref.id: ref for ref in created if ref.kind == kind}
                loaded = load_links_to(self.seen, row, kind, sorted(ends))
                links += [(ends[link.target_id], link) for link in loaded]
            for ref, link in links:
                if (link.kind, link.source_id, link.target_id) not in known:
                    later[ref] = later.get(ref, 0) + 1
        for ref, number in sorted(later.items()):
            draft.warnings.append(
                f"{ref.kind} {name_of(doomed[ref])} ({ref.id}) has been used since it was created "
                f"anew: {number} of its links came later and go with it."
            )
        for ref in created:
            item = doomed[ref]
            written = self._identity.rewritten(ref.kind, self._deeds.made[ref])
            written.pop("passwordProfile", None)
            names = {name for name in written if name in item.properties}
            changed = bodies.differing(
                ref.kind,
                {name: written[name] for name in names},
                {name: item.get(name) for name in names},
            )
            if changed:
                draft.warnings.append(
                    f"{ref.kind} {name_of(item)} ({ref.id}) was changed since it was created anew: "
                    f"{', '.join(sorted(changed))}."
                )


def _is_part_of_one(item: DirectoryObject, doomed: Mapping[ObjectRef, DirectoryObject]) -> bool:
    """Tell whether an object belongs to another one that is deleted, and goes with it."""
    row = KINDS[item.kind]
    if not row.is_owned:
        return False
    owner = str(item.get(row.source_property) or "")
    return ObjectRef(row.per_source_of, owner) in doomed


def _only(properties: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {name: properties.get(name)}


def _replaced(now: Any, before: Any, sku: str) -> list[Any]:
    """Return the entries of ``now`` with those of ``sku`` as they were before."""
    return [
        *(entry for entry in now or () if entry.get("skuId") != sku),
        *(entry for entry in before or () if entry.get("skuId") == sku),
    ]


def _by_kind(refs: Iterable[ObjectRef]) -> dict[str, set[str]]:
    result: dict[str, set[str]] = {}
    for ref in refs:
        result.setdefault(ref.kind, set()).add(ref.id)
    return result
