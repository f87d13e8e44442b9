"""The demo's mishap: what a careless script, or an attacker, does to a tenant in a minute."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from reentra import errors
from reentra.cli.demo_tenant import Script

SOFT_DELETED = 25
PURGED = 8
BLANKED = 300
LOST_MEMBERS = 60
DEPARTMENTS = 3  # the departments that are blanked are the largest ones


@dataclass(frozen=True, slots=True)
class Mishap:
    """What was done, for the proof to look for."""

    soft_deleted: tuple[str, ...]
    purged: tuple[str, ...]
    deleted_group: str
    deleted_group_name: str
    blanked: tuple[str, ...]
    robbed_group: str
    robbed_group_name: str
    lost_members: tuple[str, ...]
    policy: str
    policy_name: str
    purged_group: str
    purged_group_name: str
    naming_policy: str  # names the purged group, and is not touched itself
    naming_policy_name: str

    def lines(self) -> list[str]:
        """Return what happened, one sentence a line."""
        return [
            f"{len(self.soft_deleted)} users deleted; they lie in the recycle bin",
            f"{len(self.purged)} users deleted and purged from the recycle bin: gone for good",
            f"the group {self.deleted_group_name} deleted",
            f"the group {self.purged_group_name} purged; {self.naming_policy_name} still names it",
            f"the department of {len(self.blanked)} users blanked",
            f"{len(self.lost_members)} members thrown out of {self.robbed_group_name}",
            f"the Conditional Access policy {self.policy_name} disabled and its exclusions emptied",
        ]


def happen(script: Script) -> Mishap:
    """Do it, through Graph's own API.

    Raises: ``Error`` when the tenant is too small for it.
    """
    users = [
        user
        for user in script.list_all(
            "/users?$select=id,displayName,userPrincipalName,department,userType,"
            "onPremisesSyncEnabled,accountEnabled&$top=999"
        )
        if user.get("userType") == "Member" and not user.get("onPremisesSyncEnabled")
    ]
    protected = {
        str(item["principalId"])
        for item in script.list_all("/roleManagement/directory/roleAssignments")
    }
    policies = script.list_all("/identity/conditionalAccess/policies")
    for policy in policies:
        named = policy["conditions"]["users"]
        protected.update(named.get("excludeUsers") or ())
        protected.update(named.get("excludeGroups") or ())
        protected.update(named.get("includeGroups") or ())
    # Departments that a dynamic group asks for are left alone: its members would follow.
    rules = " ".join(
        group["membershipRule"]
        for group in script.list_all("/groups?$select=id,membershipRule&$top=999")
        if group.get("membershipRule")
    )
    ordinary = [
        user
        for user in users
        if user["id"] not in protected and f'"{user.get("department")}"' not in rules
    ]
    if len(ordinary) < SOFT_DELETED + PURGED + BLANKED:
        raise errors.Error(f"The demo needs more than {len(ordinary)} ordinary users.")
    soft = [user["id"] for user in ordinary[40 : 40 + SOFT_DELETED]]
    purged = [user["id"] for user in ordinary[100 : 100 + PURGED]]
    gone = {*soft, *purged}
    largest = Counter(user["department"] for user in ordinary if user.get("department"))
    departments = {name for name, _ in largest.most_common(DEPARTMENTS)}
    blanked = [
        user["id"]
        for user in ordinary
        if user.get("department") in departments and user["id"] not in gone
    ][:BLANKED]
    groups = [
        group
        for group in script.list_all(
            "/groups?$select=id,displayName,groupTypes,onPremisesSyncEnabled,mailEnabled&$top=999"
        )
        if not group.get("groupTypes")
        and not group.get("onPremisesSyncEnabled")
        and not group.get("mailEnabled")
        and group["id"] not in protected
    ]
    sized = [
        (len(script.list_all(f"/groups/{group['id']}/members?$select=id&$top=999")), group)
        for group in groups[:40]
    ]
    sized.sort(key=lambda item: (-item[0], item[1]["id"]))
    robbed, deleted = sized[0][1], sized[1][1]
    members = [
        member["id"]
        for member in script.list_all(f"/groups/{robbed['id']}/members?$select=id&$top=999")
        if member["id"] not in gone
    ][:LOST_MEMBERS]
    policy = next(
        policy
        for policy in policies
        if policy["state"] == "enabled"
        and (
            policy["conditions"]["users"].get("excludeGroups")
            or policy["conditions"]["users"].get("excludeUsers")
        )
    )
    naming = next(
        one
        for one in policies
        if one["id"] != policy["id"] and one["conditions"]["users"].get("includeGroups")
    )
    named = script.get(f"/groups/{naming['conditions']['users']['includeGroups'][0]}")
    script.send_all([("DELETE", f"/groups/{named['id']}", None)])
    script.send_all([("DELETE", f"/directory/deletedItems/{named['id']}", None)])
    script.send_all([("DELETE", f"/users/{one}", None) for one in (*soft, *purged)])
    script.send_all([("DELETE", f"/directory/deletedItems/{one}", None) for one in purged])
    script.send_all([("DELETE", f"/groups/{deleted['id']}", None)])
    script.send_all([("PATCH", f"/users/{one}", {"department": None}) for one in blanked])
    script.send_all(
        [("DELETE", f"/groups/{robbed['id']}/members/{one}/$ref", None) for one in members]
    )
    emptied = {
        name: value
        for name, value in policy["conditions"]["users"].items()
        if name.startswith("include") and value
    }
    script.send_all(
        [
            (
                "PATCH",
                f"/identity/conditionalAccess/policies/{policy['id']}",
                {
                    "state": "disabled",
                    "conditions": {"users": {**emptied, "excludeUsers": [], "excludeGroups": []}},
                },
            )
        ]
    )
    return Mishap(
        tuple(soft),
        tuple(purged),
        deleted["id"],
        deleted["displayName"],
        tuple(blanked),
        robbed["id"],
        robbed["displayName"],
        tuple(members),
        policy["id"],
        policy["displayName"],
        named["id"],
        named["displayName"],
        naming["id"],
        naming["displayName"],
    )
