"""Creating and updating groups.

https://learn.microsoft.com/graph/api/group-post-groups
https://learn.microsoft.com/graph/api/group-update
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from reentra.sandbox import rules_dynamic
from reentra.sandbox.errors import bad_request, denied, invalid_value, not_found, same_value
from reentra.sandbox.rules_references import (
    DYNAMIC,
    already_there,
    bound_ids,
    check_bind_count,
    check_group_member,
    check_owner,
    connect,
    is_unified,
    refuse_unwritable_group,
)
from reentra.sandbox.rules_shape import (
    NO_CONTENT,
    Asked,
    Route,
    WriteContext,
    WriteResult,
    checked,
    default_domain,
    merged,
    now,
    object_body,
    premium_required,
    referred,
    require,
    security_identifier,
    text_length,
)
from reentra.sandbox.tenant import Record, Tenant

# Kept by Exchange: writable only alone in their request, after creation, on Microsoft 365 groups.
EXCHANGE_BACKED: Final = frozenset(
    ("allowExternalSenders", "autoSubscribeNewMembers", "hideFromAddressLists",
     "hideFromOutlookClients", "isSubscribedByMail")
)  # fmt: skip
_NICKNAME: Final = re.compile(r"[^\s@()\\\[\]\";:<>,]{1,64}")
_LENGTHS: Final = {"displayName": 256, "description": 1024, "mailNickname": 64}
_RULE_LENGTH: Final = 3072


def _check_group(
    tenant: Tenant, after: Mapping[str, Any], props: Mapping[str, Any], own: Record | None
) -> None:
    text_length(props, "Group", _LENGTHS)
    for name in ("displayName", "mailNickname", "securityEnabled", "mailEnabled"):
        if name in props and props[name] is None:
            raise invalid_value(name, "Group")
    types = after.get("groupTypes") or []
    if not set(types) <= {"Unified", "DynamicMembership"}:
        raise invalid_value("groupTypes", "Group")
    unified, dynamic = "Unified" in types, "DynamicMembership" in types
    if "mailNickname" in props:
        nickname = props["mailNickname"]
        if _NICKNAME.fullmatch(nickname) is None:
            raise invalid_value("mailNickname", "Group")
        if unified:
            check_nickname_free(tenant, nickname, own)
    if unified and not after.get("mailEnabled"):
        raise bad_request("Unified groups must be mail-enabled: set mailEnabled to true.")
    if after.get("mailEnabled") and not unified:
        raise bad_request(
            "The service does not currently support writes of mail-enabled groups. Please ensure "
            "that the mail-enablement property is unset and the security-enablement property is "
            "set."
        )
    if not after.get("mailEnabled") and not after.get("securityEnabled"):
        raise bad_request("A group must be mail-enabled or security-enabled.")
    rule = after.get("membershipRule")
    if dynamic and not (isinstance(rule, str) and rule.strip()):
        raise bad_request("A dynamic group must have a membershipRule.")
    if isinstance(rule, str) and len(rule) > _RULE_LENGTH:
        raise invalid_value("membershipRule", "Group")
    if rule and not dynamic and "membershipRule" in props:
        raise bad_request("membershipRule can only be set on a group with dynamic membership.")
    if after.get("membershipRuleProcessingState") not in (None, "On", "Paused"):
        raise invalid_value("membershipRuleProcessingState", "Group")
    if dynamic and tenant.edition == "free":
        raise premium_required("Dynamic membership")
    visibility = props.get("visibility")
    if visibility is not None and visibility not in ("Public", "Private", "HiddenMembership"):
        raise invalid_value("visibility", "Group")
    if visibility == "HiddenMembership" and not unified:
        raise invalid_value("visibility", "Group")
    unique = props.get("uniqueName")
    if unique is not None:
        holder = tenant.by_unique_name("group", unique)
        if holder is not None and holder is not own:
            raise same_value("uniqueName")


def check_nickname_free(tenant: Tenant, nickname: str, own: Record | None) -> None:
    """Refuse a mail nickname that another mail-enabled group has."""
    for holder in tenant.by("group", "mailNickname", nickname):
        if holder is not own and holder.props.get("mailEnabled"):
            raise same_value("mailNickname")


def create_group(asked: Asked) -> WriteResult:
    """Create a security or Microsoft 365 group, with up to twenty owners and members."""
    tenant, body, context = asked.tenant, asked.body, asked.context
    body = object_body(body)
    props = checked(tenant, "group", body, binds=("owners", "members"))
    if EXCHANGE_BACKED & props.keys():
        raise bad_request(
            "Exchange properties cannot be set when a group is created; update the group after."
        )
    _check_group(tenant, props, props, None)
    dynamic = "DynamicMembership" in (props.get("groupTypes") or ())
    unified = "Unified" in (props.get("groupTypes") or ())
    if props.get("isAssignableToRole"):
        _check_assignable(tenant, props, context)
    owner_ids = bound_ids(body, "owners", context)
    member_ids = bound_ids(body, "members", context)
    check_bind_count(owner_ids, member_ids)
    if dynamic and member_ids:
        raise denied(DYNAMIC)
    owners = [referred(tenant, id_, context) for id_ in owner_ids]
    members = [referred(tenant, id_, context) for id_ in member_ids]
    for ids, name in ((owner_ids, "owners"), (member_ids, "members")):
        if len({id_.lower() for id_ in ids}) < len(ids):
            raise bad_request(already_there(name))
    draft = Record("group", "", dict(props), 0, 0.0)
    for owner in owners:
        check_owner(tenant, "group.owners", draft, owner, len(owners))
    for member in members:
        check_group_member(draft, member)

    moment = now(tenant)
    group_id = tenant.clock.new_guid()
    mail = f"{props['mailNickname']}@{default_domain(tenant)}" if unified else None
    if mail and tenant.holder_of_address("smtp:" + mail) is not None:
        raise same_value("proxyAddresses")
    filled: dict[str, Any] = {
        "groupTypes": [],
        "resourceBehaviorOptions": [],
        "resourceProvisioningOptions": [],
        **props,
        "createdDateTime": moment,
        "renewedDateTime": moment,
        "proxyAddresses": ["SMTP:" + mail] if mail else [],
        "securityIdentifier": security_identifier(group_id),
    }
    if mail:
        filled["mail"] = mail
        filled.setdefault("visibility", "Public")
    if dynamic:
        filled.setdefault("membershipRuleProcessingState", "On")
    record = tenant.create("group", filled, group_id)
    # An app-only create leaves no owner but those that were bound.
    for owner in owners:
        connect(tenant, "group.owners", record, owner)
    for member in members:
        connect(tenant, "group.members", record, member)
    rules_dynamic.settle_holder(tenant, record)
    return WriteResult(201, record=record, location=f"/groups/{record.id}")


def _check_assignable(tenant: Tenant, props: Mapping[str, Any], context: WriteContext) -> None:
    if not context.holds("RoleManagement.ReadWrite.Directory"):
        raise denied()
    if tenant.edition == "free":
        raise premium_required("A role-assignable group")
    if not props.get("securityEnabled"):
        raise bad_request("A role-assignable group must be security-enabled.")
    if "DynamicMembership" in (props.get("groupTypes") or ()):
        raise bad_request("A role-assignable group cannot have dynamic membership.")
    if props.get("visibility") not in (None, "Private"):
        raise bad_request("The visibility of a role-assignable group must be Private.")


def update_group(asked: Asked) -> WriteResult:
    """Change properties of a group, or add up to twenty members, all or none."""
    tenant, params, body, context = asked.tenant, asked.params, asked.body, asked.context
    group = require(tenant, "group", params["id"])
    body = object_body(body)
    props = checked(tenant, "group", body, group, binds=("members",))
    refuse_unwritable_group(group, context)
    _check_conversion(group, props)
    after = {**group.props, **props}
    if (
        "DynamicMembership" not in (after.get("groupTypes") or ())
        and props.get("groupTypes") is not None
    ):
        after["membershipRule"] = props.get("membershipRule")
    _check_group(tenant, after, props, group)
    dynamic = "DynamicMembership" in (after.get("groupTypes") or ())
    was_dynamic = "DynamicMembership" in (group.props.get("groupTypes") or ())
    if dynamic and group.props.get("isAssignableToRole"):
        raise bad_request("A role-assignable group cannot have dynamic membership.")
    if EXCHANGE_BACKED & props.keys() and (
        not is_unified(group) or not props.keys() <= EXCHANGE_BACKED
    ):
        raise bad_request(
            "Exchange properties can only be updated on Microsoft 365 groups, in a request of "
            "their own."
        )
    member_ids = bound_ids(body, "members", context)
    check_bind_count(member_ids)
    if member_ids and (dynamic or was_dynamic):
        raise denied(DYNAMIC)
    members = [referred(tenant, id_, context) for id_ in member_ids]
    if len({member.id for member in members}) < len(members) or any(
        tenant.linked("group.members", group.id, member.id) for member in members
    ):
        raise bad_request(already_there("members"))
    for member in members:
        check_group_member(group, member)

    changes = merged("group", group.props, props)
    if dynamic and not was_dynamic:
        changes.setdefault("membershipRuleProcessingState", "On")
    if was_dynamic and not dynamic:
        changes.setdefault("membershipRule", None)
        changes.setdefault("membershipRuleProcessingState", None)
    tenant.update(group, changes)
    for member in members:
        connect(tenant, "group.members", group, member)
    if dynamic and {"membershipRule", "membershipRuleProcessingState", "groupTypes"} & props.keys():
        rules_dynamic.settle_holder(tenant, group)
    return NO_CONTENT


def _check_conversion(group: Record, props: Mapping[str, Any]) -> None:
    if "groupTypes" in props and ("Unified" in (props["groupTypes"] or ())) != is_unified(group):
        raise bad_request("A group cannot be converted to or from a Microsoft 365 group.")
    if "visibility" in props:
        old, new = group.props.get("visibility"), props["visibility"]
        if old != new and "HiddenMembership" in (old, new):
            raise bad_request("The visibility HiddenMembership can only be set at creation.")
        if group.props.get("isAssignableToRole") and new not in (None, "Private"):
            raise bad_request("The visibility of a role-assignable group must be Private.")


def upsert_group(asked: Asked) -> WriteResult:
    """Update the group with a uniqueName, or create it when the request prefers that."""
    tenant, params, body, context = asked.tenant, asked.params, asked.body, asked.context
    unique = params["uniqueName"]
    group = tenant.by_unique_name("group", unique)
    if group is not None:
        given = {name: value for name, value in object_body(body).items() if name != "uniqueName"}
        return update_group(Asked(tenant, {"id": group.id}, given, context))
    if not context.create_if_missing:
        raise not_found(unique)
    return create_group(Asked(tenant, {}, {**object_body(body), "uniqueName": unique}, context))


ROUTES: Final = (
    Route("POST", "/groups", "group-post-groups", create_group),
    Route("PATCH", "/groups(uniqueName='{uniqueName}')", "group-upsert", upsert_group),
    Route("PATCH", "/groups/{id}", "group-update", update_group),
)
