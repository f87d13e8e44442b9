"""Rollback: what was created since the snapshot, and what of it is deleted.

Objects only of kinds that were asked for by name, links between objects where relationships are
rolled back. Whatever may be older than the snapshot, the same as one of its objects, somebody
else's, or the restoring application itself, stays and is listed. Deletions come last, dependents
first. Reads through ``TenantState`` only.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from reentra import clock
from reentra.directory.kinds import KINDS, ObjectKind
from reentra.directory.objects import DirectoryObject, ObjectRef, canonical_id
from reentra.restore import bodies, matching
from reentra.restore.draft import Draft, chunks, name_of
from reentra.restore.refusals import SNAPSHOT_REVIEW, Refusal
from reentra.restore.steps import NOT_DELETED, Action, Precondition, Step, Unrestorable

REMOVAL_PHASE = 500  # after all that is put back: what is to stay is there before anything goes
LINK_DELETION_PHASE = 510
_DELETION_PHASE = 1000  # less the kind's own: what refers to others goes before what is referred to

# Tenants in which Microsoft's own applications live: the one of its services, and its own.
# Source of the first: learn.microsoft.com/troubleshoot/entra/entra-id/governance
# (verify first-party Microsoft applications in sign-in reports).
MICROSOFT_TENANTS = frozenset(
    {"f8cdef31-a31e-4b4a-93e4-5f571e91255a", "72f988bf-86f1-41af-91ab-2d7cd011db47"}
)
_MICROSOFT_MANAGED = "microsoft-managed"  # how the names of such policies begin
_STAMP_PRECISION = dt.timedelta(seconds=1)  # Graph cuts createdDateTime to whole seconds
_ROLE_ASSIGNMENT = "unifiedRoleAssignment"
_HOLDS_VALUES = "The values that users, groups and others have of it would go with it, for good."
_SINCE = "made since the snapshot"
_STAYS = "Delete it by hand if it is not wanted."


def plan_deletions(draft: Draft) -> None:
    """Add a step for each object created since, of the kinds that are rolled back."""
    kinds = [KINDS[kind] for kind in draft.options.rollback_kinds]
    for row in sorted(kinds, key=lambda row: (-row.phase, row.name)):
        coverage = draft.desired.coverage().get(row.name)
        if coverage is None or not coverage.is_complete:
            status = coverage.status.value if coverage is not None else "missing"
            reason = f": {coverage.reason}" if coverage is not None and coverage.reason else "."
            draft.unrestorable.append(
                Unrestorable(
                    ObjectRef(row.name, ""),
                    row.title,
                    "deletion",
                    f"The kind is {status} in the snapshot{reason} What the snapshot lacks may "
                    "have existed then, so nothing of the kind is deleted.",
                    "Choose a snapshot in which the kind is complete.",
                    code=NOT_DELETED,
                )
            )
            continue
        _plan_kind(draft, row, draft.created_since.get(row.name, []))


def plan_link_deletions(draft: Draft) -> None:
    """Add a step for each link between objects that was made since, where it has an id of its own.

    What leads to something that is deleted goes with it.
    """
    own_ids = _own_ids(draft) if draft.linked_since else frozenset()
    for kind, items in sorted(draft.linked_since.items()):
        row = KINDS[kind]
        ends = _ends(draft, row, items)
        planned = 0
        for item in sorted(items, key=lambda item: item.id):
            if any(end in draft.deleted for end in ends[item.id]):
                continue
            if own_ids & set(ends[item.id][:1]):
                name = _name_of_link(draft, item, ends[item.id])
                _keep(draft, item, name, "It belongs to the application that restores.", "")
                continue
            if kind == "extensionProperty":
                _keep(draft, item, name_of(item), _HOLDS_VALUES, _STAYS)
                continue
            planned += 1
            name = _name_of_link(draft, item, ends[item.id])
            draft.steps.append(link_deletion(item, name, _SINCE))
        if planned and kind == _ROLE_ASSIGNMENT:
            draft.warnings.append(
                f"{planned:,} role assignments made since the snapshot are taken away. One that "
                "is only activated for a time (Privileged Identity Management) cannot be told "
                "apart; it ends sooner."
            )


def _ends(draft: Draft, row: ObjectKind, items: Sequence[DirectoryObject]) -> dict[str, list[str]]:
    """Return what each link joins, and learn the names of it."""
    ends = {
        item.id: [end for end, _kinds in matching.ends_of(row, item.properties)] for item in items
    }
    draft.learn_live_titles({one for found in ends.values() for one in found})
    return ends


def _name_of_link(draft: Draft, item: DirectoryObject, ends: Sequence[str]) -> str:
    return " → ".join(draft.live_title(end) for end in ends) or item.id


def link_deletion(item: DirectoryObject, name: str, why: str) -> Step:
    """Return the step that takes a link with an id of its own away."""
    row = KINDS[item.kind]
    return Step(
        id=f"delete/{item.ref}",
        action=Action.DELETE,
        ref=item.ref,
        name=name,
        summary=f"Take away {name}, {why}",
        precondition=Precondition.PRESENT,
        phase=LINK_DELETION_PHASE,
        body={one: item.get(one) for one in row.natural_key if item.get(one) is not None},
        live_id=item.id,
    )


def review_refusals(steps: Sequence[Step], review: Sequence[str]) -> list[Refusal]:
    """Refuse to take away what a snapshot lacks that a person should look at before trusting it."""
    deletions = sum(1 for step in steps if step.deletes_object)
    removals = sum(1 for step in steps if step.removes_link)
    if not review or not (deletions or removals):
        return []
    return [
        Refusal(
            SNAPSHOT_REVIEW,
            f"The plan deletes {deletions:,} objects and takes {removals:,} links away that the "
            f"snapshot lacks, and the snapshot is marked for review: {' '.join(review)}",
            "Choose a snapshot from before, or look whether it is right.",
            SNAPSHOT_REVIEW,
            {"deletions": deletions, "removals": removals},
        )
    ]


def deletion_can_be_undone(row: ObjectKind) -> str:
    """Return how a deletion of a kind can be undone: ``recycle_bin`` or ``created_anew``."""
    return "recycle_bin" if row.has_recycle_bin else "created_anew"


def _plan_kind(draft: Draft, row: ObjectKind, items: list[DirectoryObject]) -> None:
    known = _of_the_snapshot(draft, row, items)
    going = []
    for item in sorted(items, key=lambda item: item.id):
        if item.id in known:
            _keep(draft, item, name_of(item), known[item.id], "")
            continue
        why = _reason_to_stay(draft, row, item)
        if why is not None:
            _keep(draft, item, name_of(item), *why)
            continue
        going.append(item)
    depending = _assignments_of(draft, going) if row.name == "unifiedRoleDefinition" else {}
    for item in going:
        first = depending.get(item.id, ())
        add_deletion(draft, item, name_of(item), "it was created since the snapshot", first)
    if going:
        count = len(going)
        objects = f"{count:,} object{'' if count == 1 else 's'} of kind {row.name}"
        after = (
            "For 30 days the recycle bin can give them back, with their ids."
            if row.has_recycle_bin
            else "No recycle bin is sure to keep them: they could only be created anew, with new "
            "ids."
        )
        draft.warnings.append(f"{objects} created since the snapshot are deleted. {after}")


def _assignments_of(draft: Draft, roles: Sequence[DirectoryObject]) -> dict[str, list[str]]:
    """Take the assignments of roles away, and return the steps that do, by role.

    A role is deleted only when nobody holds it.
    """
    row = KINDS[_ROLE_ASSIGNMENT]
    steps: dict[str, list[str]] = {}
    for chunk in chunks([role.id for role in roles]):
        items = draft.live.find_objects(row.name, "roleDefinitionId", chunk)
        ends = _ends(draft, row, items)
        for item in sorted(items, key=lambda item: item.id):
            step = link_deletion(item, _name_of_link(draft, item, ends[item.id]), _SINCE)
            draft.steps.append(step)
            steps.setdefault(str(item.get("roleDefinitionId")), []).append(step.id)
    return steps


def add_deletion(
    draft: Draft, item: DirectoryObject, name: str, why: str, after: Sequence[str] = ()
) -> None:
    """Add the deletion of a live object to the draft, with what has to be done before it."""
    row = KINDS[item.kind]
    phase = _DELETION_PHASE - row.phase
    depends_on = tuple(after)
    release = _release(row, item)
    if release:
        depends_on = (*depends_on, f"update/{item.ref}")
        draft.steps.append(
            Step(
                id=f"update/{item.ref}",
                action=Action.UPDATE,
                ref=item.ref,
                name=name,
                summary=f"Take {name} out of use, so that it can be deleted",
                precondition=Precondition.PRESENT,
                phase=phase,
                body=release,
                live_id=item.id,
            )
        )
    where = "into the recycle bin" if row.has_recycle_bin else "for good"
    along = " Its enterprise application goes with it." if row.name == "application" else ""
    step_id = f"delete/{item.ref}"
    draft.deleted[item.id] = step_id
    draft.steps.append(
        Step(
            id=step_id,
            action=Action.DELETE,
            ref=item.ref,
            name=name,
            summary=f"Delete {name} {where}; {why}.{along}",
            precondition=Precondition.PRESENT,
            phase=phase,
            depends_on=depends_on,
            body={"isAssignableToRole": True} if item.get("isAssignableToRole") is True else {},
            live_id=item.id,
        )
    )


def _release(row: ObjectKind, item: DirectoryObject) -> dict[str, object]:
    """Return what must be written before Graph deletes the object, or ``{}``.

    Sources: learn.microsoft.com/graph/api/namedlocation-delete (trusted ones are refused),
    learn.microsoft.com/graph/api/authenticationcontextclassreference-delete (published ones).
    """
    if row.name == "namedLocation" and item.get("isTrusted") is True:
        return {"@odata.type": item.get("@odata.type"), "isTrusted": False}
    if row.name == "authenticationContextClassReference" and item.get("isAvailable") is True:
        return {"isAvailable": False}
    return {}


def _of_the_snapshot(draft: Draft, row: ObjectKind, items: list[DirectoryObject]) -> dict[str, str]:
    """Return, for objects that the snapshot has after all, how it is known."""
    result: dict[str, str] = {}
    for chunk in chunks([item.id for item in items]):
        olds = {old: one for one in chunk for old in draft.identity.olds_of(one)}
        found = draft.desired.load_objects(row.name, [*chunk, *sorted(olds)])
        for one in found:
            result[olds.get(one, one)] = "It is an object of the snapshot."
        for one in chunk:
            if draft.identity.current(one) != one:
                result[one] = "It is known under another id as well."
    if row.name == "user":
        names = {str(item.get("userPrincipalName") or "").lower(): item.id for item in items}
        for chunk in chunks(sorted(names)):
            for user in draft.desired.find_objects("user", "userPrincipalName", chunk):
                result.setdefault(
                    names[str(user.get("userPrincipalName")).lower()],
                    f"It has the userPrincipalName of a user of the snapshot ({user.id}).",
                )
    return result


def _reason_to_stay(draft: Draft, row: ObjectKind, item: DirectoryObject) -> tuple[str, str] | None:
    reason = bodies.never_written(row.name, item.properties)
    if bodies.is_synced(item.properties):
        reason = bodies.AbsentReason.SYNCED
    if reason is not None:
        return bodies.REASONS[reason][0], "Delete it where it is managed, if it is not wanted."
    app_id = canonical_id(str(item.get("appId") or ""))
    if app_id and app_id == canonical_id(draft.own_app_id):
        return "It is the application that restores.", ""
    if canonical_id(str(item.get("appOwnerOrganizationId") or "")) in MICROSOFT_TENANTS:
        return "It is an application of Microsoft's own.", _STAYS
    if row.name == "conditionalAccessPolicy" and name_of(item).lower().startswith(
        _MICROSOFT_MANAGED
    ):
        return "Microsoft manages it, and Graph does not delete it.", "Disable it by hand."
    began_at, created_at = draft.snapshot_began_at, _created_at(item)
    if began_at is None or created_at is None or created_at + _STAMP_PRECISION > began_at:
        return None
    why = (
        f"It was created at {clock.iso(created_at)}, before the snapshot was taken; the snapshot "
        "lacks it because Graph shows new objects late."
    )
    return why, _STAYS


def _created_at(item: DirectoryObject) -> dt.datetime | None:
    value = item.get("createdDateTime")
    if not isinstance(value, str):
        return None
    try:
        return clock.parse_iso(value)
    except ValueError:
        return None


def _own_ids(draft: Draft) -> frozenset[str]:
    """Return the ids of the restoring application and of its service principal."""
    if not draft.own_app_id:
        return frozenset()
    return frozenset(
        item.id
        for kind in ("application", "servicePrincipal")
        for item in draft.live.find_objects(kind, "appId", [draft.own_app_id])
    )


def _keep(draft: Draft, item: DirectoryObject, name: str, reason: str, instead: str) -> None:
    draft.unrestorable.append(
        Unrestorable(item.ref, name, "deletion", reason, instead, code=NOT_DELETED)
    )


def undo_by_kind(steps: Mapping[str, int]) -> list[dict[str, object]]:
    """Return, for kinds with their numbers of deletions, how each can be undone."""
    return [
        {"kind": kind, "count": count, "undo": deletion_can_be_undone(KINDS[kind])}
        for kind, count in sorted(steps.items())
    ]
