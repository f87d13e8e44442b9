"""Licences: assigned to a user, or to a group whose members inherit them.

``user.licenseAssignmentStates`` is the truth about where a licence comes from;
``user.assignedLicenses`` and ``assignedPlans`` follow from it.
https://learn.microsoft.com/graph/api/user-assignlicense
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from reentra.sandbox.errors import bad_request
from reentra.sandbox.rules_shape import (
    Asked,
    Route,
    WriteResult,
    now,
    object_body,
    require,
)
from reentra.sandbox.rules_values import check_value
from reentra.sandbox.tenant import Record, Tenant

_TAKING_SEAT: Final = ("Active", "ActiveWithError")


def _sku(tenant: Tenant, sku_id: str) -> Record:
    sku = tenant.one("subscribedSku", "skuId", sku_id)
    if sku is None:
        raise bad_request(f"License {sku_id} does not correspond to a valid company License.")
    return sku


def _free_seats(tenant: Tenant, sku: Record) -> int:
    units = sku.props.get("prepaidUnits") or {}
    usable = int(units.get("enabled") or 0) + int(units.get("warning") or 0)
    return usable - tenant.count_by("user", "skuId", sku.props["skuId"])


def _asked(body: Any, resource: str) -> tuple[list[dict[str, Any]], list[str]]:
    body = object_body(body)
    for name in ("addLicenses", "removeLicenses"):
        if not isinstance(body.get(name), list):
            raise bad_request(f"The parameter '{name}' is required and must be a list.")
    check_value("Collection(assignedLicense)", body["addLicenses"], "addLicenses", resource)
    check_value("Collection(Guid)", body["removeLicenses"], "removeLicenses", resource)
    adding = [
        {
            "skuId": (licence.get("skuId") or "").lower(),
            "disabledPlans": [plan.lower() for plan in licence.get("disabledPlans") or []],
        }
        for licence in body["addLicenses"]
    ]
    removing = [sku_id.lower() for sku_id in body["removeLicenses"]]
    if {licence["skuId"] for licence in adding} & set(removing):
        raise bad_request("A license cannot be added and removed in the same request.")
    return adding, removing


def _check_plans(tenant: Tenant, licence: Mapping[str, Any]) -> Record:
    sku = _sku(tenant, licence["skuId"])
    plans = {plan["servicePlanId"].lower() for plan in sku.props.get("servicePlans") or ()}
    for plan in licence["disabledPlans"]:
        if plan not in plans:
            raise bad_request(
                f"License {licence['skuId']} does not contain the service plan {plan}."
            )
    return sku


def direct_states(user: Record) -> list[dict[str, Any]]:
    """Return the licence states of a user that do not come from a group."""
    return [
        state
        for state in user.props.get("licenseAssignmentStates") or ()
        if state["assignedByGroup"] is None
    ]


def assign_to_user(asked: Asked) -> WriteResult:
    """Change the direct licences of a user."""
    tenant, params, body = asked.tenant, asked.params, asked.body
    user = require(tenant, "user", params["id"])
    adding, removing = _asked(body, "User")
    direct = {state["skuId"]: state for state in direct_states(user)}
    if adding and not user.props.get("usageLocation"):
        raise bad_request("License assignment cannot be done for user with invalid usage location.")
    held = {licence["skuId"] for licence in user.props.get("assignedLicenses") or ()}
    for licence in adding:
        sku = _check_plans(tenant, licence)
        if licence["skuId"] not in held and _free_seats(tenant, sku) < 1:
            raise bad_request(
                f"Subscription with SKU {licence['skuId']} does not have any available licenses."
            )
    for sku_id in removing:
        _sku(tenant, sku_id)
        if sku_id not in direct:
            reason = (
                "User license is inherited from a group membership and it cannot be removed "
                "directly from the user."
                if sku_id in held
                else f"User does not have a corresponding license {sku_id}."
            )
            raise bad_request(reason)
    wanted = {
        sku_id: {"skuId": sku_id, "disabledPlans": state["disabledPlans"]}
        for sku_id, state in direct.items()
        if sku_id not in removing
    }
    wanted.update({licence["skuId"]: licence for licence in adding})
    reconcile(tenant, user, list(wanted.values()))
    return WriteResult(200, record=user)


def assign_to_group(asked: Asked) -> WriteResult:
    """Change the licences of a group, and so those that its members inherit."""
    tenant, params, body = asked.tenant, asked.params, asked.body
    group = require(tenant, "group", params["id"])
    adding, removing = _asked(body, "Group")
    before = {licence["skuId"]: licence for licence in group.props.get("assignedLicenses") or ()}
    for licence in adding:
        _check_plans(tenant, licence)
    for sku_id in removing:
        _sku(tenant, sku_id)
        if sku_id not in before:
            raise bad_request(f"Group does not have a corresponding license {sku_id}.")
    after = {sku_id: licence for sku_id, licence in before.items() if sku_id not in removing}
    after.update({licence["skuId"]: licence for licence in adding})
    tenant.update(
        group,
        {
            "assignedLicenses": list(after.values()),
            "licenseProcessingState": {"state": "ProcessingComplete"},
        },
    )
    reconcile_members(tenant, group)
    return WriteResult(202, record=group)


def reconcile_members(tenant: Tenant, group: Record) -> None:
    """Compute the licences of every user in a group anew, and the group's error flag."""
    members = [
        user
        for id_ in tenant.targets("group.members", group.id)
        if (user := tenant.get("user", id_)) is not None
    ]
    for user in members:
        reconcile(tenant, user)
    has_errors = any(
        state["assignedByGroup"] == group.id and state["state"] == "Error"
        for user in members
        for state in user.props.get("licenseAssignmentStates") or ()
    )
    if bool(group.props.get("hasMembersWithLicenseErrors")) != has_errors:
        tenant.update(group, {"hasMembersWithLicenseErrors": has_errors})


def reconcile_all(tenant: Tenant) -> None:
    """Compute inherited licences for the members of every licensed group, as after a bulk load."""
    for group in list(tenant.collection("group").values()):
        if group.props.get("assignedLicenses"):
            reconcile_members(tenant, group)


def reconcile(
    tenant: Tenant, user: Record, direct: Sequence[Mapping[str, Any]] | None = None
) -> None:
    """Make a user's licence properties agree with its direct and inherited licences.

    ``direct`` replaces the direct licences; without it they stay. A licence without a free seat
    stays as an error state and is not assigned.
    """
    groups = [
        group
        for id_ in tenant.sources("group.members", user.id)
        if (group := tenant.get("group", id_)) is not None and group.props.get("assignedLicenses")
    ]
    old_states = user.props.get("licenseAssignmentStates") or []
    if direct is None:
        if not groups and not old_states and not user.props.get("assignedLicenses"):
            return
        if not old_states and user.props.get("assignedLicenses"):
            # Loaded in bulk with licences only: they were given directly.
            direct = user.props["assignedLicenses"]
        else:
            direct = direct_states(user)
    wanted: list[tuple[Mapping[str, Any], str | None]] = [(licence, None) for licence in direct]
    wanted += [
        (licence, group.id) for group in groups for licence in group.props["assignedLicenses"]
    ]
    states = _states(tenant, user, wanted, old_states)
    licences = _licences(states)
    before = user.props.get("assignedLicenses")
    changes: dict[str, Any] = {"licenseAssignmentStates": states}
    if licences != (before or []):
        changes["assignedLicenses"] = licences
        changes["assignedPlans"] = _plans(tenant, user, licences)
    tenant.update(user, changes)


def _states(
    tenant: Tenant,
    user: Record,
    wanted: Iterable[tuple[Mapping[str, Any], str | None]],
    old_states: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    held = {licence["skuId"].lower() for licence in user.props.get("assignedLicenses") or ()}
    states: list[dict[str, Any]] = []
    for licence, group_id in wanted:
        sku_id = licence["skuId"].lower()
        sku = tenant.one("subscribedSku", "skuId", sku_id)
        has_seat = sku_id in held or (sku is not None and _free_seats(tenant, sku) > 0)
        if has_seat:
            held.add(sku_id)
        state = {
            "skuId": sku_id,
            "disabledPlans": list(licence["disabledPlans"]),
            "assignedByGroup": group_id,
            "state": "Active" if has_seat else "Error",
            "error": "None" if has_seat else "CountViolation",
        }
        same = next((old for old in old_states if {**old, **state} == old), None)
        state["lastUpdatedDateTime"] = same["lastUpdatedDateTime"] if same else now(tenant)
        states.append(state)
    return states


def _licences(states: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    disabled: dict[str, list[str]] = {}
    for state in states:
        if state["state"] in _TAKING_SEAT:
            sku_id = state["skuId"]
            plans = state["disabledPlans"]
            # A plan is off only when every source of the licence turns it off.
            before = disabled.get(sku_id)
            disabled[sku_id] = (
                list(plans) if before is None else [plan for plan in before if plan in plans]
            )
    return [{"disabledPlans": plans, "skuId": sku_id} for sku_id, plans in disabled.items()]


def _plans(
    tenant: Tenant, user: Record, licences: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    old = {plan["servicePlanId"]: plan for plan in user.props.get("assignedPlans") or ()}
    plans: dict[str, dict[str, Any]] = {}
    for licence in licences:
        sku = tenant.one("subscribedSku", "skuId", licence["skuId"])
        for plan in (sku.props.get("servicePlans") or ()) if sku else ():
            plan_id = plan["servicePlanId"]
            if plan_id.lower() not in licence["disabledPlans"]:
                plans[plan_id] = old.get(plan_id) or {
                    "assignedDateTime": now(tenant),
                    "capabilityStatus": "Enabled",
                    "service": plan.get("servicePlanName"),
                    "servicePlanId": plan_id,
                }
    return list(plans.values())


def drop_unavailable(tenant: Tenant, user: Record) -> None:
    """Take away direct licences for which a user back from the bin finds no seat."""
    kept = []
    for state in direct_states(user):
        sku = tenant.one("subscribedSku", "skuId", state["skuId"])
        if sku is not None and _free_seats(tenant, sku) >= 0:
            kept.append({"skuId": state["skuId"], "disabledPlans": state["disabledPlans"]})
    if user.props.get("assignedLicenses") or user.props.get("licenseAssignmentStates"):
        reconcile(tenant, user, kept)


ROUTES: Final = (
    Route("POST", "/users/{id}/assignLicense", "user-assignlicense", assign_to_user),
    Route("POST", "/groups/{id}/assignLicense", "group-assignlicense", assign_to_group),
)
