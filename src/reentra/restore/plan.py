"""Plans: what a restore would do, as a document that can be read, stored, checked and applied."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from reentra import clock, errors
from reentra.directory.kinds import KINDS
from reentra.directory.objects import ObjectRef
from reentra.directory.selection import Selection
from reentra.directory.state import LiveState, TenantState
from reentra.restore import (
    choices,
    order,
    prerequisites,
    principal_names,
    rollback,
    safety,
    single_properties,
    subscriptions,
)
from reentra.restore.draft import Draft, RestoreOptions
from reentra.restore.followups import FollowUp, plan_follow_ups
from reentra.restore.identity import NO_IDENTITY, IdentityMap
from reentra.restore.licences import LicencePlanner
from reentra.restore.links import plan_links
from reentra.restore.object_steps import plan_kind
from reentra.restore.observed import ObservedTenant, Reads, digest_again
from reentra.restore.refusals import Refusal, open_refusals
from reentra.restore.repairs import plan_repairs
from reentra.restore.steps import (
    MISSING_PERMISSION,
    Look,
    Password,
    Step,
    Unrestorable,
)

PLAN_VERSION = 2
READABLE_VERSIONS = (1, 2)  # 1 had no rollback; what it does not say is as it was then


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What a restore would do. Holds no secret.

    ``base`` is the digest of the live objects and links in ``reads``, which are exactly those
    that the plan was made from. ``matched`` are objects that were recognised under another id.
    ``break_glass`` are the accounts that it was made to leave alone.
    ``undoes`` is the job that the plan takes back; ``snapshot`` is then that job's capture.
    ``follow_ups`` are objects outside the selection that name ids that are gone.
    """

    id: str
    tenant_id: str
    snapshot: str
    created_at: dt.datetime
    selection: Selection
    options: RestoreOptions
    steps: tuple[Step, ...]
    refusals: tuple[Refusal, ...]
    warnings: tuple[str, ...]
    unrestorable: tuple[Unrestorable, ...]
    base: str
    reads: Reads
    matched: IdentityMap = NO_IDENTITY
    estimated_seconds: float = 0.0
    totals: Mapping[str, int] = field(default_factory=dict)
    undoes: str = ""
    break_glass: tuple[str, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.steps

    @property
    def needs_default_password(self) -> bool:
        return any(step.password is not Password.NOT_NEEDED for step in self.steps)

    @property
    def open_refusals(self) -> list[Refusal]:
        """The refusals that stand in the way of applying it."""
        return open_refusals(self.refusals, self.options.overruled)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return action -> kind (or relationship) -> number of steps."""
        counted: dict[str, Counter[str]] = {}
        for step in self.steps:
            counted.setdefault(step.action.value, Counter())[
                step.relationship or step.ref.kind
            ] += 1
        return {action: dict(sorted(by.items())) for action, by in sorted(counted.items())}

    @property
    def deletions(self) -> int:
        """How many objects the plan deletes. Links that it takes away are not among them."""
        return sum(1 for step in self.steps if step.deletes_object)

    @property
    def deletions_to_confirm(self) -> int:
        """How many deletions somebody has to confirm by their number.

        An undo need not ask again about what it moves back into the recycle bin.
        """
        if not self.undoes:
            return self.deletions
        return sum(
            1
            for step in self.steps
            if step.deletes_object and not KINDS[step.ref.kind].has_recycle_bin
        )

    @property
    def removals(self) -> int:
        """How many links the plan takes away."""
        return sum(1 for step in self.steps if step.removes_link)

    def checked_count(self) -> int:
        """Return how many steps look again after an undelete and may turn out to write nothing."""
        return sum(1 for step in self.steps if step.look is not Look.NOT_NEEDED)

    def to_json(self) -> dict[str, Any]:
        return {
            **self.head(),
            "steps": [step.to_json() for step in self.steps],
            "matched": self.matched.to_json(),
            "reads": self.reads.to_json(),
        }

    def head(self) -> dict[str, Any]:
        """Return the plan but for what grows with every object: its steps and what it read."""
        return {
            "version": PLAN_VERSION,
            "id": self.id,
            "tenant_id": self.tenant_id,
            "snapshot": self.snapshot,
            "created_at": clock.iso(self.created_at),
            "selection": self.selection.to_json(),
            "options": self.options.to_json(),
            "counts": self.counts(),
            "deletions": self.deletions,
            "deletions_to_confirm": self.deletions_to_confirm,
            "deleted_kinds": rollback.undo_by_kind(
                Counter(step.ref.kind for step in self.steps if step.deletes_object)
            ),
            "removals": self.removals,
            "checked_after_undelete": self.checked_count(),
            "estimated_seconds": self.estimated_seconds,
            "needs_default_password": self.needs_default_password,
            "refusals": [refusal.to_json() for refusal in self.refusals],
            "warnings": list(self.warnings),
            "unrestorable": [item.to_json() for item in self.unrestorable],
            "totals": dict(self.totals),
            "base": self.base,
            "undoes": self.undoes,
            "break_glass": list(self.break_glass),
            "follow_ups": [one.to_json() for one in self.follow_ups],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RestorePlan:
        """Read a plan.

        Raises: ``errors.UsageError`` when it is none, or one of a newer version.
        """
        if not isinstance(value, Mapping) or "steps" not in value or "base" not in value:
            raise errors.UsageError(
                "This is not a restore plan.",
                hint="Make a plan and save it.",
                typed="reentra restore NAME --snapshot SNAPSHOT --preview --plan FILE",
            )
        if value.get("version") not in READABLE_VERSIONS:
            raise errors.UsageError(
                f"The plan has version {value.get('version')!r}; this Reentra reads versions "
                f"up to {PLAN_VERSION}.",
                hint="Make the plan again.",
            )
        return cls(
            id=value["id"],
            tenant_id=value["tenant_id"],
            snapshot=value["snapshot"],
            created_at=clock.parse_iso(value["created_at"]),
            selection=Selection.from_json(value["selection"]),
            options=RestoreOptions.from_json(value["options"]),
            steps=tuple(Step.from_json(item) for item in value["steps"]),
            refusals=tuple(Refusal.from_json(item) for item in value["refusals"]),
            warnings=tuple(value["warnings"]),
            unrestorable=tuple(Unrestorable.from_json(item) for item in value["unrestorable"]),
            base=value["base"],
            reads=Reads.from_json(value["reads"]),
            matched=IdentityMap.from_json(value["matched"]),
            estimated_seconds=value["estimated_seconds"],
            totals=value.get("totals", {}),
            undoes=value.get("undoes", ""),
            break_glass=tuple(value.get("break_glass", ())),
            follow_ups=tuple(map(FollowUp.from_json, value.get("follow_ups", ()))),
        )


def plan_restore(
    desired: TenantState,
    live: LiveState,
    selection: Selection,
    options: RestoreOptions,
    identity: IdentityMap = NO_IDENTITY,
    *,
    created_at: dt.datetime,
    granted: frozenset[str] | None = None,
    snapshot_began_at: dt.datetime | None = None,
    snapshot_review: Sequence[str] = (),
    additions: Callable[[Draft], None] | None = None,
    safeguards: safety.Safeguards = safety.NO_SAFEGUARDS,
    chosen_follow_ups: frozenset[str] = frozenset(),
) -> RestorePlan:
    """Return the plan that makes ``live`` equal ``desired`` inside ``selection``.

    Reads both states and writes nothing. What is equal already gets no step. ``granted`` are the
    application permissions held; steps that lack theirs are left out and listed. ``None`` means
    that nobody knows, and Graph will tell. ``snapshot_began_at`` tells a rollback what is older
    than the snapshot, and ``snapshot_review`` why the snapshot is not to be trusted unseen.
    ``additions`` adds steps of its own to the draft. ``safeguards`` are what a
    plan must not harm. ``chosen_follow_ups`` are ids of follow-ups that become steps, or ``all``.

    Raises: ``errors.UsageError`` for a follow-up that there is not, and when the options do not
    fit together or the selection.
    """
    choices.ensure_consistent(options, selection)
    observed = ObservedTenant(live)
    observed.forget_extensions()
    draft = Draft(
        desired,
        observed,
        _as_then(selection, desired, identity),
        options,
        identity,
        granted,
        safeguards.client_id,
        snapshot_began_at,
        single_properties.chosen(options.properties, selection) if options.properties else None,
    )
    licences = LicencePlanner(draft)
    for row in sorted(KINDS.values(), key=lambda row: row.phase):
        if _is_touched(draft, row.name):
            plan_kind(draft, row.name, licences)
    prerequisites.warn_of_halves(draft)
    plan_repairs(draft)
    rollback.plan_deletions(draft)
    if options.relationships:
        plan_links(draft)
    rollback.plan_link_deletions(draft)
    follow_ups: tuple[FollowUp, ...] = ()
    if additions is not None:
        additions(draft)
    else:
        follow_ups = plan_follow_ups(draft, live, chosen_follow_ups)
    principal_names.settle_names(draft)
    allowed = subscriptions.licensed(draft, order.ordered(_permitted(draft)))
    steps, refusals = safety.judged(draft, allowed, safeguards)
    refusals = [*refusals, *rollback.review_refusals(steps, snapshot_review)]
    plan = RestorePlan(
        id="",
        tenant_id=desired.tenant_id,
        snapshot=desired.label,
        created_at=created_at,
        selection=selection,
        options=options,
        steps=tuple(steps),
        refusals=tuple(refusals),
        warnings=tuple(dict.fromkeys(draft.warnings)),
        unrestorable=tuple(draft.unrestorable),
        base=observed.digest(),
        reads=observed.reads(),
        matched=draft.matched,
        estimated_seconds=order.estimated_seconds(steps),
        totals=draft.totals,
        follow_ups=follow_ups,
        break_glass=safeguards.break_glass,
    )
    return dataclasses.replace(plan, id=_plan_id(plan))


def _plan_id(plan: RestorePlan) -> str:
    """Return an id that the same plan, made at the same moment, always has."""
    state = hashlib.blake2b(digest_size=8)
    head = dataclasses.replace(plan, steps=(), unrestorable=()).to_json()
    for value in (head, plan.base):
        state.update(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))
    for step in plan.steps:
        state.update(orjson.dumps(step.to_json(), option=orjson.OPT_SORT_KEYS))
    return state.hexdigest()


def ensure_guarded(plan: RestorePlan, break_glass: Collection[str]) -> None:
    """Let pass a plan that was made with all of today's break-glass accounts in mind.

    Raises: ``errors.StalePlan``.
    """
    unknown = sorted(set(break_glass) - set(plan.break_glass))
    if unknown:
        raise errors.StalePlan(
            f"Plan {plan.id} was made before {', '.join(unknown)} became a break-glass account."
        )


def check_still_valid(plan: RestorePlan, live: LiveState) -> None:
    """Make the plan's reads again and compare.

    Raises: ``errors.StalePlan`` when what the plan was made from is no longer so.
    """
    if live.tenant_id != plan.tenant_id:
        raise errors.Refused(
            f"The plan is for tenant {plan.tenant_id}, not for {live.tenant_id}.",
            hint="Apply it to the tenant that it was made for.",
        )
    if digest_again(live, plan.reads) != plan.base:
        raise errors.StalePlan(
            f"The tenant changed since plan {plan.id} was made at {clock.iso(plan.created_at)}."
        )


def ensure_not_refused(plan: RestorePlan) -> None:
    """Raise ``errors.Refused`` when a refusal of the plan stands."""
    standing = plan.open_refusals
    if standing:
        first = standing[0]
        more = f" And {len(standing) - 1} more." if len(standing) > 1 else ""
        raise errors.Refused(
            f"{first.message}{more}",
            hint=first.hint,
            refusals=[refusal.to_json() for refusal in standing],
        )


def ensure_deletions_confirmed(plan: RestorePlan, confirmed: int | None) -> None:
    """Let a plan pass whose deletions somebody has confirmed by their number.

    Raises: ``errors.Refused``, naming the number.
    """
    deletions = plan.deletions_to_confirm
    if confirmed == deletions or (confirmed is None and not deletions):
        return
    objects = f"{deletions:,} object{'' if deletions == 1 else 's'}"
    said = "nobody has confirmed it" if confirmed is None else f"the number given is {confirmed:,}"
    raise errors.Refused(
        f"The plan deletes {objects}{' for good' if plan.undoes else ''}, and {said}; nothing was "
        "written.",
        hint=f"Read in the plan which ones, then confirm their number, {deletions}."
        if deletions
        else "Leave the number out.",
        typed=f"--confirm-deletions {deletions}" if deletions else "--confirm-deletions",
    )


def _as_then(selection: Selection, desired: TenantState, identity: IdentityMap) -> Selection:
    """Return the selection with the ids that the snapshot knows: a new id selects the old one."""
    refs = set(selection.refs)
    for ref in selection.refs:
        olds = list(identity.olds_of(ref.id))
        if olds and not desired.load_objects(ref.kind, [ref.id]):
            known = desired.load_objects(ref.kind, olds)
            if known:
                refs.discard(ref)
                refs.update(ObjectRef(ref.kind, old) for old in known)
    return dataclasses.replace(selection, refs=frozenset(refs))


def _is_touched(draft: Draft, kind: str) -> bool:
    row = KINDS[kind]
    selection = draft.selection
    if not row.is_link:
        return selection.touches(kind)
    if not selection.is_everything and selection.touches(kind):
        return True
    if not (draft.options.relationships or row.is_owned):
        return False
    return any(selection.touches(end) for reference in row.references for end in reference.kinds)


def _permitted(draft: Draft) -> list[Step]:
    """Return the steps that the application may take, and list the others as unrestorable."""
    if draft.granted is None:
        return draft.steps
    lacking: dict[tuple[str, tuple[str, ...]], int] = {}
    left_out: set[str] = set()
    kept: list[Step] = []
    for step in order.ordered(draft.steps):
        missing = safety.missing_for(step, draft.granted)
        if missing:
            key = (step.relationship or step.ref.kind, missing)
            lacking[key] = lacking.get(key, 0) + 1
            left_out.add(step.id)
        elif any(other in left_out for other in step.depends_on):
            left_out.add(step.id)
        else:
            kept.append(step)
    for (what, missing), count in sorted(lacking.items()):
        kind = what.partition(".")[0]
        draft.unrestorable.append(
            Unrestorable(
                ObjectRef(kind, ""),
                KINDS[kind].title,
                what if "." in what else "object",
                f"The application lacks {', '.join(missing)}: {count} steps are left out.",
                "Grant it, have an administrator consent, and plan again.",
                count,
                MISSING_PERMISSION,
            )
        )
    return kept
