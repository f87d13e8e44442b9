"""Licences: what a user or group has of its own, and the step that puts it back.

Inherited licences come back through the group that gives them and are never assigned directly
(learn.microsoft.com/graph/api/user-assignlicense).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reentra import errors
from reentra.directory.objects import DirectoryObject
from reentra.directory.state import TenantState
from reentra.restore.draft import Draft, name_of
from reentra.restore.steps import MISSING_LICENCE, Action, Look, Precondition, Step
from reentra.restore.subscriptions import Subscription, load_subscriptions

GROUP_PHASE = 140
USER_PHASE = 141
LICENSED_KINDS = ("group", "user")
Licences = dict[str, frozenset[str]]  # SKU -> disabled plans


def group_licences(properties: Mapping[str, Any]) -> Licences:
    """Return the licences that a group gives."""
    return {
        entry["skuId"]: frozenset(entry.get("disabledPlans") or ())
        for entry in properties.get("assignedLicenses") or ()
    }


def direct_licences(properties: Mapping[str, Any], inherited: Iterable[str] = ()) -> Licences:
    """Return a user's own licences.

    ``licenseAssignmentStates`` says which are inherited; a licence that it does not mention
    counts as the user's own unless ``inherited`` names its SKU.
    """
    assigned = {
        entry["skuId"]: frozenset(entry.get("disabledPlans") or ())
        for entry in properties.get("assignedLicenses") or ()
    }
    from_groups = set(inherited)
    own: Licences = {}
    mentioned: set[str] = set()
    for state in properties.get("licenseAssignmentStates") or ():
        sku = state.get("skuId")
        if sku not in assigned:
            continue  # the states lag behind: nothing reports their change
        mentioned.add(sku)
        if not state.get("assignedByGroup"):
            own[sku] = frozenset(state.get("disabledPlans") or ())
    for sku, disabled in assigned.items():
        if sku not in mentioned and sku not in from_groups:
            own[sku] = disabled
    return own


def inherited_skus(state: TenantState, user_ids: Iterable[str]) -> dict[str, set[str]]:
    """Return the SKUs that each user gets from groups, by the groups' licences and members."""
    members = state.load_relationships_to("group.members", sorted(user_ids))
    groups = state.load_objects("group", sorted({link.source_id for link in members}))
    result: dict[str, set[str]] = {}
    for link in members:
        group = groups.get(link.source_id)
        if group is not None:
            result.setdefault(link.target_id, set()).update(group_licences(group.properties))
    return result


def needs_inference(properties: Mapping[str, Any]) -> bool:
    """Tell whether a user's states do not say where each of its licences comes from."""
    mentioned = {state.get("skuId") for state in properties.get("licenseAssignmentStates") or ()}
    return any(
        entry["skuId"] not in mentioned for entry in properties.get("assignedLicenses") or ()
    )


def is_own_for_sure(properties: Mapping[str, Any], sku: str) -> bool:
    """Tell whether Graph itself says that a user has a licence of its own."""
    return any(
        state.get("skuId") == sku and not state.get("assignedByGroup")
        for state in properties.get("licenseAssignmentStates") or ()
    )


class LicencePlanner:
    """Adds licence steps to a draft; reads the tenant's subscriptions once, when needed."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._subscriptions: dict[str, Subscription] | None = None
        self._knows_subscriptions = False

    def plan(self, pairs: list[tuple[DirectoryObject, DirectoryObject | None]]) -> None:
        """Add steps for objects of one kind, each with its live self where it exists.

        Only objects whose ``assignedLicenses`` differ should be given.
        """
        if not pairs:
            return
        kind = pairs[0][0].kind
        desired_groups: dict[str, set[str]] = {}
        live_groups: dict[str, set[str]] = {}
        if kind == "user":
            unclear = [item.id for item, _ in pairs if needs_inference(item.properties)]
            desired_groups = inherited_skus(self._draft.desired, unclear) if unclear else {}
            unclear = [live.id for _, live in pairs if live and needs_inference(live.properties)]
            live_groups = inherited_skus(self._draft.live, unclear) if unclear else {}
        for item, live in pairs:
            want = self._licences(item, desired_groups)
            have = self._licences(live, live_groups) if live is not None else {}
            self._add(item, want, have, live)

    @staticmethod
    def _licences(item: DirectoryObject, groups: Mapping[str, set[str]]) -> Licences:
        if item.kind == "group":
            return group_licences(item.properties)
        return direct_licences(item.properties, groups.get(item.id, ()))

    def _add(
        self, item: DirectoryObject, want: Licences, have: Licences, live: DirectoryObject | None
    ) -> None:
        draft = self._draft
        add = {sku: plans for sku, plans in want.items() if have.get(sku) != plans}
        remove = sorted(sku for sku in have if sku not in want)
        problems = {sku: self._problem(sku, is_held=sku in have) for sku in sorted(add)}
        unknown = [sku for sku, problem in problems.items() if problem]
        for sku in unknown:
            draft.refuse(
                item,
                "assignedLicenses",
                problems[sku],
                "Buy it, then restore again.",
                code=MISSING_LICENCE,
            )
            del add[sku]
        if unknown and remove:
            draft.warnings.append(
                f"{item.kind} {name_of(item)} keeps its later licences: what it had before cannot "
                "be assigned, and it would be left with less."
            )
            remove = []
        is_undeleted = item.id in draft.undeleted  # what it brings along is seen only then
        if not add and not remove and not is_undeleted:
            return
        draft.steps.append(
            Step(
                id=f"licences/{item.kind}/{item.id}",
                action=Action.ASSIGN_LICENSES,
                ref=item.ref,
                name=name_of(item),
                summary=_summary(len(add), len(remove), is_undeleted),
                precondition=Precondition.PRESENT,
                phase=GROUP_PHASE if item.kind == "group" else USER_PHASE,
                depends_on=(draft.made[item.id],) if item.id in draft.made else (),
                body={
                    "addLicenses": [
                        {"skuId": sku, "disabledPlans": sorted(plans)}
                        for sku, plans in sorted(add.items())
                    ],
                    "removeLicenses": remove,
                },
                live_id=live.id if live is not None else draft.present.get(item.id, ""),
                look=Look.OBJECT if is_undeleted else Look.NOT_NEEDED,
            )
        )

    def _problem(self, sku: str, *, is_held: bool) -> str:
        """Return why nobody can be given a product, or ``""``; who has it may keep it."""
        if not self._knows_subscriptions:
            self._knows_subscriptions = True
            try:
                self._subscriptions = load_subscriptions(self._draft.live)
            except (errors.Forbidden, errors.InvalidRequest, errors.GraphNotFound):
                self._subscriptions = None  # Graph itself will tell
        if self._subscriptions is None:
            return ""
        found = self._subscriptions.get(sku)
        if found is None:
            return f"The tenant has no subscription of SKU {sku}."
        if is_held or found.can_be_given:
            return ""
        return (
            f"The tenant's subscription of {found.name} is suspended or has no units: none of "
            f"{found.total_units or 0} can be given."
        )


def _summary(added: int, removed: int, is_undeleted: bool) -> str:
    parts = []
    if added:
        parts.append(f"assign {added} licence{'s' if added > 1 else ''}")
    if removed:
        parts.append(f"take back {removed}")
    text = " and ".join(parts)
    if is_undeleted:
        return f"Check the licences after the undelete, and {text or 'take back later ones'}"
    return text[:1].upper() + text[1:]
