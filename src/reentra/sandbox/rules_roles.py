"""Administrative units, role definitions and role assignments.

A role assigned in the scope of an administrative unit is one fact with two faces: a
unifiedRoleAssignment with directoryScopeId /administrativeUnits/{id}, and a scopedRoleMembership
of the unit. Writing either writes both.
https://learn.microsoft.com/graph/api/rbacapplication-post-roleassignments
https://learn.microsoft.com/graph/api/administrativeunit-post-scopedrolemembers
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, Final

from reentra.sandbox import rules_dynamic
from reentra.sandbox.errors import (
    GraphError,
    bad_request,
    conflicting_object,
    invalid_value,
    missing_value,
    not_found,
)
from reentra.sandbox.rules_groups import create_group
from reentra.sandbox.rules_references import bound_ids, check_bind_count, check_unit_member, connect
from reentra.sandbox.rules_shape import (
    NO_CONTENT,
    Asked,
    Route,
    WriteContext,
    WriteResult,
    checked,
    merged,
    object_body,
    opaque_id,
    premium_required,
    referred,
    require,
    text_length,
)
from reentra.sandbox.rules_values import GUID
from reentra.sandbox.tenant import Record, Tenant

CUSTOM_ROLE_LIMIT: Final = 100
UNIT_SCOPE: Final = "/administrativeUnits/"
_ACTION: Final = re.compile(r"microsoft\.[A-Za-z.]+(/[A-Za-z0-9.\-_]+){2,}")


# --- administrative units ---


def _check_unit(after: Mapping[str, Any], props: Mapping[str, Any]) -> None:
    text_length(props, "AdministrativeUnit", {"displayName": 256})
    if "displayName" in props and props["displayName"] is None:
        raise invalid_value("displayName", "AdministrativeUnit")
    if after.get("visibility") not in (None, "Public", "HiddenMembership"):
        raise invalid_value("visibility", "AdministrativeUnit")
    kind = after.get("membershipType")
    if kind not in (None, "Assigned", "Dynamic"):
        raise invalid_value("membershipType", "AdministrativeUnit")
    if kind == "Dynamic" and not after.get("membershipRule"):
        raise bad_request("A dynamic administrative unit must have a membershipRule.")
    if kind != "Dynamic" and props.get("membershipRule"):
        raise bad_request("membershipRule can only be set on a dynamic administrative unit.")
    if after.get("membershipRuleProcessingState") not in (None, "On", "Paused"):
        raise invalid_value("membershipRuleProcessingState", "AdministrativeUnit")


def create_unit(asked: Asked) -> WriteResult:
    """Create an administrative unit."""
    tenant, body, context = asked.tenant, asked.body, asked.context
    body = object_body(body)
    props = checked(tenant, "administrativeUnit", body, binds=("members",))
    _check_unit(props, props)
    member_ids = bound_ids(body, "members", context)
    check_bind_count(member_ids)
    members = [referred(tenant, id_, context) for id_ in member_ids]
    draft = Record("administrativeUnit", "", dict(props), 0, 0.0)
    for member in members:
        check_unit_member(tenant, draft, member)
    if props.get("membershipType") == "Dynamic":
        props.setdefault("membershipRuleProcessingState", "On")
    record = tenant.create("administrativeUnit", {"isMemberManagementRestricted": False, **props})
    for member in members:
        connect(tenant, "administrativeUnit.members", record, member)
    rules_dynamic.settle_holder(tenant, record)
    return WriteResult(201, record=record, location=f"/directory/administrativeUnits/{record.id}")


def update_unit(asked: Asked) -> WriteResult:
    """Change an administrative unit."""
    tenant, params, body = asked.tenant, asked.params, asked.body
    unit = require(tenant, "administrativeUnit", params["id"])
    props = checked(tenant, "administrativeUnit", object_body(body), unit)
    after = {**unit.props, **props}
    if props.get("membershipType", "Dynamic") != "Dynamic":
        for name in ("membershipRule", "membershipRuleProcessingState"):
            after[name] = props[name] = None
    _check_unit(after, props)
    tenant.update(unit, merged("administrativeUnit", unit.props, props))
    rules_dynamic.settle_holder(tenant, unit)
    return NO_CONTENT


def create_in_unit(asked: Asked) -> WriteResult:
    """Create a group directly in an administrative unit."""
    tenant, params, body, context = asked.tenant, asked.params, asked.body, asked.context
    unit = require(tenant, "administrativeUnit", params["id"])
    body = object_body(body)
    if str(body.get("@odata.type", "")).lower() != "#microsoft.graph.group":
        raise bad_request("The '@odata.type' of the new member must be '#microsoft.graph.group'.")
    check_unit_member(tenant, unit, Record("group", "", {}, 0, 0.0))
    result = create_group(Asked(tenant, {}, body, context))
    if result.record is not None:
        connect(tenant, "administrativeUnit.members", unit, result.record)
    return result


# --- role definitions ---


def _check_definition(props: Mapping[str, Any]) -> None:
    text_length(props, "UnifiedRoleDefinition", {"displayName": 256})
    for name in ("displayName", "isEnabled"):
        if name in props and props[name] is None:
            raise invalid_value(name, "UnifiedRoleDefinition")
    if "rolePermissions" in props:
        permissions = props["rolePermissions"]
        if not permissions or not all(one.get("allowedResourceActions") for one in permissions):
            raise invalid_value("rolePermissions", "UnifiedRoleDefinition")
        for permission in permissions:
            for action in permission["allowedResourceActions"]:
                if _ACTION.fullmatch(action) is None:
                    raise bad_request(f"Action '{action}' is not supported for custom roles.")


def create_definition(asked: Asked) -> WriteResult:
    """Create a custom role definition, under its template id when that is given."""
    tenant, body = asked.tenant, asked.body
    if tenant.edition == "free":
        raise premium_required("A custom role")
    props = checked(tenant, "unifiedRoleDefinition", object_body(body))
    _check_definition(props)
    definitions = tenant.collection("unifiedRoleDefinition")
    custom = sum(not record.props.get("isBuiltIn") for record in definitions.values())
    if custom >= CUSTOM_ROLE_LIMIT:
        raise bad_request(f"The tenant has reached its limit of {CUSTOM_ROLE_LIMIT} custom roles.")
    template = props.get("templateId")
    if template is not None:
        if GUID.fullmatch(template) is None:
            raise invalid_value("templateId", "UnifiedRoleDefinition")
        template = template.lower()
        if template in definitions:
            raise conflicting_object()
    id_ = template or tenant.clock.new_guid()
    if any(record.props["displayName"] == props["displayName"] for record in definitions.values()):
        raise conflicting_object()
    record = tenant.create(
        "unifiedRoleDefinition",
        {
            "description": None,
            "version": None,
            **props,
            "isBuiltIn": False,
            "resourceScopes": ["/"],
            "templateId": id_,
            "rolePermissions": _permissions(props["rolePermissions"]),
        },
        id_,
    )
    location = f"/roleManagement/directory/roleDefinitions/{record.id}"
    return WriteResult(201, record=record, location=location)


def _permissions(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "allowedResourceActions": list(one["allowedResourceActions"]),
            "condition": one.get("condition"),
        }
        for one in given
    ]


def _custom_definition(tenant: Tenant, id_: str) -> Record:
    record = require(tenant, "unifiedRoleDefinition", id_)
    if record.props.get("isBuiltIn"):
        raise bad_request("Built-in role definitions cannot be updated or deleted.")
    return record


def update_definition(asked: Asked) -> WriteResult:
    """Change a custom role definition."""
    tenant, params, body = asked.tenant, asked.params, asked.body
    record = _custom_definition(tenant, params["id"])
    props = checked(tenant, "unifiedRoleDefinition", object_body(body), record)
    _check_definition(props)
    if "rolePermissions" in props:
        props["rolePermissions"] = _permissions(props["rolePermissions"])
    tenant.update(record, props)
    return NO_CONTENT


def delete_definition(asked: Asked) -> WriteResult:
    """Delete a custom role definition for good, and the assignments of it."""
    tenant, params = asked.tenant, asked.params
    record = _custom_definition(tenant, params["id"])
    for assignment in tenant.by("unifiedRoleAssignment", "roleDefinitionId", record.id):
        _unassign(tenant, assignment)
    tenant.purge(record)
    return NO_CONTENT


# --- role assignments ---


def _scope(tenant: Tenant, scope: str, context: WriteContext) -> str:
    if scope == "/":
        return scope
    if scope.startswith(UNIT_SCOPE):
        unit = referred(tenant, scope.removeprefix(UNIT_SCOPE), context, "administrativeUnit")
        return UNIT_SCOPE + unit.id
    target = referred(tenant, scope.lstrip("/"), context, "application", "servicePrincipal")
    return "/" + target.id


def _same_assignment(tenant: Tenant, definition: str, principal: str, scope: str) -> Record | None:
    for other in tenant.by("unifiedRoleAssignment", "principalId", principal):
        held = other.props
        if (held["roleDefinitionId"], held.get("directoryScopeId")) == (definition, scope):
            return other
    return None


def _check_principal(principal: Record) -> None:
    if principal.type == "group" and not principal.props.get("isAssignableToRole"):
        raise bad_request("The group is not role-assignable and cannot be assigned to a role.")


def _assign(tenant: Tenant, definition: Record, principal: Record, scope: str) -> Record:
    """Write an assignment, its role's activation, and the unit's membership."""
    record = tenant.create(
        "unifiedRoleAssignment",
        {
            "directoryScopeId": scope,
            "principalId": principal.id,
            "principalOrganizationId": tenant.tenant_id,
            "roleDefinitionId": definition.id,
        },
        opaque_id(tenant),
    )
    role = _activated(tenant, definition)
    if role is not None and scope.startswith(UNIT_SCOPE):
        tenant.create(
            "scopedRoleMembership",
            {
                "administrativeUnitId": scope.removeprefix(UNIT_SCOPE),
                "roleId": role.id,
                "roleMemberInfo": {
                    "id": principal.id,
                    "displayName": principal.props.get("displayName"),
                },
            },
            opaque_id(tenant),
        )
    return record


def _activated(tenant: Tenant, definition: Record) -> Record | None:
    """Return the activated directory role of a built-in definition, activating it if need be."""
    if not definition.props.get("isBuiltIn"):
        return None
    role = tenant.one("directoryRole", "roleTemplateId", definition.id)
    if role is None:
        role = tenant.create(
            "directoryRole",
            {
                "description": definition.props.get("description"),
                "displayName": definition.props["displayName"],
                "roleTemplateId": definition.id,
            },
        )
    return role


def _membership_of(tenant: Tenant, assignment: Record) -> Record | None:
    scope = str(assignment.props.get("directoryScopeId") or "")
    if not scope.startswith(UNIT_SCOPE):
        return None
    role = tenant.one("directoryRole", "roleTemplateId", assignment.props["roleDefinitionId"])
    for record in tenant.by(
        "scopedRoleMembership", "administrativeUnitId", scope.removeprefix(UNIT_SCOPE)
    ):
        if (
            role is not None
            and record.props["roleId"] == role.id
            and record.props["roleMemberInfo"]["id"] == assignment.props["principalId"]
        ):
            return record
    return None


def _unassign(tenant: Tenant, assignment: Record) -> None:
    membership = _membership_of(tenant, assignment)
    tenant.purge(assignment)
    if membership is not None:
        tenant.purge(membership)


def create_assignment(asked: Asked) -> WriteResult:
    """Assign a role to a principal, in the whole directory or in a part of it."""
    tenant, body, context = asked.tenant, asked.body, asked.context
    props = checked(tenant, "unifiedRoleAssignment", object_body(body))
    scope = props.get("directoryScopeId")
    if scope is None and props.get("appScopeId") is None:
        raise missing_value("directoryScopeId", "UnifiedRoleAssignment")
    if scope is None or props.get("appScopeId") not in (None, "/"):
        raise bad_request("appScopeId is not supported by the directory role provider.")
    principal = referred(tenant, props["principalId"], context, "user", "group", "servicePrincipal")
    definition = tenant.get("unifiedRoleDefinition", props["roleDefinitionId"])
    if definition is None:
        raise not_found(props["roleDefinitionId"])
    if definition.props.get("isEnabled") is False:
        raise bad_request("The role definition is not enabled and cannot be assigned.")
    _check_principal(principal)
    scope = _scope(tenant, scope, context)
    if _same_assignment(tenant, definition.id, principal.id, scope) is not None:
        raise conflicting_object()
    record = _assign(tenant, definition, principal, scope)
    location = f"/roleManagement/directory/roleAssignments/{record.id}"
    return WriteResult(201, record=record, location=location)


def delete_assignment(asked: Asked) -> WriteResult:
    """Remove a role assignment for good."""
    tenant, params = asked.tenant, asked.params
    record = tenant.collection("unifiedRoleAssignment").get(params["id"])
    if record is None:
        raise not_found(params["id"])
    _unassign(tenant, record)
    return NO_CONTENT


def create_scoped_member(asked: Asked) -> WriteResult:
    """Assign an activated directory role in the scope of an administrative unit."""
    tenant, params, body, context = asked.tenant, asked.params, asked.body, asked.context
    unit = require(tenant, "administrativeUnit", params["id"])
    props = checked(tenant, "scopedRoleMembership", object_body(body))
    role = tenant.get("directoryRole", props["roleId"])
    if role is None:
        raise not_found(props["roleId"])
    member_id = props["roleMemberInfo"].get("id")
    if not member_id:
        raise missing_value("roleMemberInfo/id", "ScopedRoleMembership")
    principal = referred(tenant, member_id, context, "user", "group", "servicePrincipal")
    _check_principal(principal)
    definition = tenant.get("unifiedRoleDefinition", role.props["roleTemplateId"])
    if definition is None:
        raise not_found(props["roleId"])
    scope = UNIT_SCOPE + unit.id
    if _same_assignment(tenant, definition.id, principal.id, scope) is not None:
        raise conflicting_object()
    membership = _membership_of(tenant, _assign(tenant, definition, principal, scope))
    location = f"/directory/administrativeUnits/{unit.id}/scopedRoleMembers/"
    return WriteResult(
        201, record=membership, location=location + (membership.id if membership else "")
    )


def delete_scoped_member(asked: Asked) -> WriteResult:
    """Remove a scoped role membership for good."""
    tenant, params = asked.tenant, asked.params
    unit = require(tenant, "administrativeUnit", params["id"])
    record = tenant.collection("scopedRoleMembership").get(params["child"])
    if record is None or record.props["administrativeUnitId"] != unit.id:
        raise not_found(params["child"])
    role = tenant.get("directoryRole", record.props["roleId"])
    assignment = (
        _same_assignment(
            tenant,
            role.props["roleTemplateId"],
            record.props["roleMemberInfo"]["id"],
            UNIT_SCOPE + unit.id,
        )
        if role is not None
        else None
    )
    tenant.purge(record)
    if assignment is not None:
        tenant.purge(assignment)
    return NO_CONTENT


def activate_role(asked: Asked) -> WriteResult:
    """Activate a directory role from its template."""
    tenant, body = asked.tenant, asked.body
    body = object_body(body)
    template = body.get("roleTemplateId")
    if not isinstance(template, str):
        raise missing_value("roleTemplateId", "DirectoryRole")
    definition = tenant.get("unifiedRoleDefinition", template)
    if definition is None or not definition.props.get("isBuiltIn"):
        raise not_found(template)
    if tenant.one("directoryRole", "roleTemplateId", template) is not None:
        raise conflicting_object()
    role = _activated(tenant, definition)
    return WriteResult(201, record=role, location=f"/directoryRoles/{role.id if role else ''}")


def _expiration_error(schedule: Any, now: dt.datetime) -> str:
    """Return what is wrong with how long an eligibility is to last, or nothing."""
    expiration = (schedule or {}).get("expiration") or {}
    end = expiration.get("endDateTime")
    if expiration.get("type") == "afterDateTime":
        if not end:
            return "The endDateTime of the expiration is missing."
        if dt.datetime.fromisoformat(str(end)) <= now:
            return "The expiration lies in the past."
    return ""


def request_eligibility(asked: Asked) -> WriteResult:
    """Make a principal eligible for a role, or end that: a request to PIM, granted at once."""
    tenant, body, context = asked.tenant, asked.body, asked.context
    if tenant.edition != "P2":
        raise GraphError(
            403,
            "AadPremiumLicenseRequired",
            "The tenant needs an AAD Premium 2 license.",
        )
    props = checked(tenant, "unifiedRoleEligibilityScheduleRequest", object_body(body))
    principal = referred(tenant, props["principalId"], context, "user", "group", "servicePrincipal")
    definition = tenant.get("unifiedRoleDefinition", props["roleDefinitionId"])
    if definition is None:
        raise GraphError(404, "RoleNotFound", "The role does not exist.")
    _check_principal(principal)
    scope = _scope(tenant, str(props["directoryScopeId"]), context)
    held = next(
        (
            record
            for record in tenant.by("unifiedRoleEligibilitySchedule", "principalId", principal.id)
            if (record.props["roleDefinitionId"], record.props["directoryScopeId"])
            == (definition.id, scope)
        ),
        None,
    )
    if props["action"] == "adminRemove":
        if held is None:
            raise GraphError(
                400, "RoleAssignmentDoesNotExist", "The Role assignment does not exist."
            )
        tenant.purge(held)
        target = held.id
    elif props["action"] == "adminAssign":
        if held is not None:
            raise GraphError(400, "RoleAssignmentExists", "The Role assignment already exists.")
        wrong = _expiration_error(props.get("scheduleInfo"), tenant.clock.now())
        if wrong or not props.get("scheduleInfo"):
            raise GraphError(
                400,
                "RoleAssignmentRequestPolicyValidationFailed",
                wrong or "The scheduleInfo is missing.",
            )
        target = _make_eligible(tenant, definition, principal, scope, props["scheduleInfo"]).id
    else:
        raise invalid_value("action", "UnifiedRoleEligibilityScheduleRequest")
    record = tenant.create(
        "unifiedRoleEligibilityScheduleRequest",
        {**props, "directoryScopeId": scope, "targetScheduleId": target, "status": "Provisioned"},
    )
    return WriteResult(201, record=record, location=f"{_REQUESTS}/{record.id}")


def _make_eligible(
    tenant: Tenant, definition: Record, principal: Record, scope: str, schedule: Mapping[str, Any]
) -> Record:
    return tenant.create(
        "unifiedRoleEligibilitySchedule",
        {
            "appScopeId": None,
            "directoryScopeId": scope,
            "memberType": "Direct",
            "principalId": principal.id,
            "roleDefinitionId": definition.id,
            "scheduleInfo": dict(schedule),
            "status": "Provisioned",
        },
    )


_UNITS: Final = "/directory/administrativeUnits"
_DEFINITIONS: Final = "/roleManagement/directory/roleDefinitions"
_ASSIGNMENTS: Final = "/roleManagement/directory/roleAssignments"
_REQUESTS: Final = "/roleManagement/directory/roleEligibilityScheduleRequests"
_SCOPED: Final = _UNITS + "/{id}/scopedRoleMembers"

ROUTES: Final = (
    Route("POST", _UNITS, "directory-post-administrativeunits", create_unit),
    Route("PATCH", _UNITS + "/{id}", "administrativeunit-update", update_unit),
    Route("POST", _UNITS + "/{id}/members", "administrativeunit-post-members", create_in_unit),
    Route("POST", _SCOPED, "administrativeunit-post-scopedrolemembers", create_scoped_member),
    Route(
        "DELETE",
        _SCOPED + "/{child}",
        "administrativeunit-delete-scopedrolemembers",
        delete_scoped_member,
    ),
    Route("POST", _DEFINITIONS, "rbacapplication-post-roledefinitions", create_definition),
    Route("PATCH", _DEFINITIONS + "/{id}", "unifiedroledefinition-update", update_definition),
    Route("DELETE", _DEFINITIONS + "/{id}", "unifiedroledefinition-delete", delete_definition),
    Route("POST", _ASSIGNMENTS, "rbacapplication-post-roleassignments", create_assignment),
    Route("DELETE", _ASSIGNMENTS + "/{id}", "unifiedroleassignment-delete", delete_assignment),
    Route(
        "POST",
        _REQUESTS,
        "rbacapplication-post-roleeligibilityschedulerequests",
        request_eligibility,
    ),
    Route("POST", "/directoryRoles", "directoryrole-post-directoryroles", activate_role),
)
