"""Subscriptions: what a plan needs of the tenant's licences and does not find there.

What will certainly fail is left out and listed: a product that nobody can be given, and what needs
Microsoft Entra ID P1 or P2 where the snapshot shows that the tenant had it and the tenant shows
that it is gone. What may fail is a warning with its numbers: too few free units (Graph counts them
with delay), or a plan that neither side shows, and that the tenant has under another name.

Reads through ``TenantState`` only, and only where a step needs a licence.

Sources: learn.microsoft.com/graph/api/resources/subscribedsku; what needs P1 or P2, below
learn.microsoft.com/entra/identity: conditional-access/overview, users/groups-dynamic-membership,
role-based-access-control/groups-concept, role-based-access-control/administrative-units and
role-based-access-control/custom-overview.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reentra import errors
from reentra.directory.kinds import KINDS, missing_permissions
from reentra.directory.objects import ObjectRef
from reentra.directory.state import TenantState
from reentra.restore.draft import Draft, chunks
from reentra.restore.steps import MISSING_LICENCE, Action, Step, Unrestorable

_KIND = "subscribedSku"
_P1 = "Microsoft Entra ID P1"
_P2 = "Microsoft Entra ID P2"
_PLAN_NAMES = "AAD_PREMIUM"  # and AAD_PREMIUM_P2, which includes P1
_DEAD = frozenset({"Deleted", "LockedOut", "Suspended"})
_MOST_LOOKED_AT = 2_000  # users of whom it is looked up whether they have the licence already


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a tenant has of one product. ``total_units`` is ``None`` where Graph does not say."""

    sku: str
    name: str
    total_units: int | None
    used_units: int
    levels: frozenset[str]  # which of Entra ID's own plans it brings
    is_alive: bool

    @property
    def can_be_given(self) -> bool:
        """Tell whether anybody can be given it, units left aside."""
        return self.is_alive and self.total_units != 0

    @property
    def free_units(self) -> int | None:
        return None if self.total_units is None else max(0, self.total_units - self.used_units)


def load_subscriptions(state: TenantState) -> dict[str, Subscription]:
    """Load what a tenant has subscribed to, by SKU.

    Raises: ``errors.GraphError`` when it cannot be read.
    """
    return {
        one.sku: one
        for item in state.list_objects(_KIND)
        if (one := _subscription(item.properties))
    }


def licensed(draft: Draft, steps: Sequence[Step]) -> list[Step]:
    """Return the steps that the tenant's subscriptions allow; list what is left out, and warn.

    ``steps`` are in the order in which they are applied, and stay in it.
    """
    needs = {step.id: level for step in steps if (level := _level_needed(step))}
    given = [step for step in steps if _given(step)]
    if not needs and not given:
        return list(steps)
    try:
        live = load_subscriptions(draft.live)
    except (errors.Forbidden, errors.InvalidRequest, errors.GraphNotFound) as error:
        lacking = KINDS[_KIND].read_permissions
        if draft.granted is not None:
            lacking = missing_permissions(lacking, draft.granted) or lacking
        draft.warnings.append(
            f"Whether the tenant's subscriptions allow {len(needs) + len(given)} steps was not "
            f"looked at: they cannot be read (permission {', '.join(lacking)}): {error.message}"
        )
        return list(steps)
    _warn_of_units(draft, given, live)
    return _without_unlicensed(draft, steps, needs, _levels(live.values()))


def _without_unlicensed(
    draft: Draft, steps: Sequence[Step], needs: Mapping[str, str], has: frozenset[str]
) -> list[Step]:
    lacking = set(needs.values()) - has
    if not lacking:
        return list(steps)
    lost = lacking & _snapshot_levels(draft)
    for level in sorted(lacking - lost):
        count = sum(1 for one in needs.values() if one == level)
        draft.warnings.append(
            f"No subscription of the tenant shows {level}, which {count} steps need; Graph may "
            "refuse them."
        )
    if not lost:
        return list(steps)
    left_out: set[str] = set()
    counted: Counter[tuple[str, str]] = Counter()
    kept = []
    for step in steps:
        level = needs.get(step.id, "")
        if level in lost:
            left_out.add(step.id)
            counted[step.relationship or step.ref.kind, level] += 1
        elif any(other in left_out for other in step.depends_on):
            left_out.add(step.id)
        else:
            kept.append(step)
    for (what, level), count in sorted(counted.items()):
        kind = what.partition(".")[0]
        draft.unrestorable.append(
            Unrestorable(
                ObjectRef(kind, ""),
                KINDS[kind].title,
                what if "." in what else "object",
                f"The tenant had {level} when the snapshot was taken and has it no more: {count} "
                "steps that need it are left out.",
                f"Subscribe to {level}, then plan again.",
                count,
                MISSING_LICENCE,
            )
        )
    return kept


def _snapshot_levels(draft: Draft) -> frozenset[str]:
    coverage = draft.desired.coverage().get(_KIND)
    if coverage is None or not coverage.is_complete:
        return frozenset()
    return _levels(load_subscriptions(draft.desired).values())


def _warn_of_units(draft: Draft, steps: Sequence[Step], live: Mapping[str, Subscription]) -> None:
    """Say for which products the plan needs more units than are free."""
    wanting: dict[str, list[Step]] = {}
    freed: Counter[str] = Counter()
    for step in steps:
        if step.ref.kind != "user":
            continue  # a group's licences are counted at its members, later
        for sku in _given(step):
            wanting.setdefault(sku, []).append(step)
        freed.update(step.body.get("removeLicenses") or ())
    for sku, askers in sorted(wanting.items()):
        found = live.get(sku)
        free = found.free_units if found is not None else None
        if found is None or free is None or len(askers) <= free + freed[sku]:
            continue
        needed = len(askers) - _holders(draft, sku, askers)
        available = free + freed[sku]
        if needed > available:
            draft.warnings.append(
                f"{needed:,} users need a unit of {found.name}, and {available:,} of "
                f"{found.total_units:,} are free: Graph will refuse {needed - available:,} of them "
                "the licence, unless units are given back before. Buy more, or take some back."
            )


def _holders(draft: Draft, sku: str, steps: Sequence[Step]) -> int:
    """Return how many of the steps' users have the licence in some way: they need no unit more."""
    ids = sorted({step.live_id for step in steps if step.live_id})[:_MOST_LOOKED_AT]
    return sum(
        1
        for chunk in chunks(ids)
        for item in draft.live.load_objects("user", chunk).values()
        if any(one.get("skuId") == sku for one in item.get("assignedLicenses") or ())
    )


def _given(step: Step) -> list[str]:
    if step.action is not Action.ASSIGN_LICENSES:
        return []
    return [str(one.get("skuId")) for one in step.body.get("addLicenses") or ()]


def _level_needed(step: Step) -> str:
    """Return which of Entra ID's own plans a step cannot do without, or ``""``."""
    kind, body = step.ref.kind, step.body
    if step.action in (Action.DELETE, Action.REMOVE_RELATIONSHIP) or step.relationship:
        return ""
    if kind == "conditionalAccessPolicy":
        conditions = body.get("conditions") or {}
        is_risky = conditions.get("signInRiskLevels") or conditions.get("userRiskLevels")
        return _P2 if is_risky else _P1
    if step.action is Action.ASSIGN_LICENSES:
        return ""  # a group may give licences with several products
    if kind == "group":
        is_dynamic = "DynamicMembership" in (body.get("groupTypes") or ())
        return _P1 if is_dynamic or body.get("isAssignableToRole") is True else ""
    if kind == "administrativeUnit":
        is_dynamic = body.get("membershipType") == "Dynamic"
        return _P1 if is_dynamic or body.get("isMemberManagementRestricted") is True else ""
    return _P1 if kind in ("namedLocation", "unifiedRoleDefinition") else ""


def _levels(subscriptions: Iterable[Subscription]) -> frozenset[str]:
    return frozenset(level for one in subscriptions if one.can_be_given for level in one.levels)


def _subscription(properties: Mapping[str, Any]) -> Subscription | None:
    sku = properties.get("skuId")
    if not sku:
        return None
    units = properties.get("prepaidUnits")
    total = None
    if isinstance(units, Mapping) and units.get("enabled") is not None:
        # A subscription that ran out keeps its units for a while ("warning").
        total = int(units["enabled"]) + int(units.get("warning") or 0)
    levels = set()
    for plan in properties.get("servicePlans") or ():
        name = str(plan.get("servicePlanName") or "").upper()
        if name.startswith(_PLAN_NAMES) and plan.get("provisioningStatus") != "Disabled":
            levels |= {_P1, _P2} if name.endswith("P2") else {_P1}
    return Subscription(
        str(sku),
        str(properties.get("skuPartNumber") or sku),
        total,
        int(properties.get("consumedUnits") or 0),
        frozenset(levels),
        properties.get("capabilityStatus") not in _DEAD,
    )
