"""Writes over HTTP: parameters in, the rule carried out, the record or nothing back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from reentra.sandbox import render, routes, rules_configuration
from reentra.sandbox.errors import not_found
from reentra.sandbox.rules_shape import Route, WriteContext, WriteResult
from reentra.sandbox.world import Answer, Call

CONTEXTS: Mapping[str, str] = {
    "user": "users",
    "group": "groups",
    "application": "applications",
    "servicePrincipal": "servicePrincipals",
    "device": "devices",
    "administrativeUnit": "directory/administrativeUnits",
    "conditionalAccessPolicy": "identity/conditionalAccess/policies",
    "namedLocation": "identity/conditionalAccess/namedLocations",
    "ipNamedLocation": "identity/conditionalAccess/namedLocations",
    "countryNamedLocation": "identity/conditionalAccess/namedLocations",
    "unifiedRoleDefinition": "roleManagement/directory/roleDefinitions",
    "unifiedRoleAssignment": "roleManagement/directory/roleAssignments",
    "unifiedRoleEligibilityScheduleRequest": (
        "roleManagement/directory/roleEligibilityScheduleRequests"
    ),
    "oAuth2PermissionGrant": "oauth2PermissionGrants",
    "appRoleAssignment": "appRoleAssignments",
    "groupSetting": "groupSettings",
    "domain": "domains",
    "authenticationStrengthPolicy": "policies/authenticationStrengthPolicies",
    "groupLifecyclePolicy": "groupLifecyclePolicies",
    "crossTenantAccessPolicyConfigurationPartner": "policies/crossTenantAccessPolicy/partners",
    **{type_: path.strip("/") for type_, path in rules_configuration.POLICY_PATHS.items()},
}
"""Where the objects of a type live, for the context of a written object."""


def handler_of(route: Route) -> routes.Handle:
    """Return the handler that carries a write out and renders what it gives back."""

    def handle(call: Call) -> Answer:
        assert call.caller is not None
        world = call.world
        params = dict(call.params)
        if "@id" in call.query or "$id" in call.query:
            params["@id"] = call.query.get("@id") or call.query["$id"]
        if "id" in params:
            _require_replicated(call, params["id"])
        context = WriteContext(
            graph_url=call.root_url,
            app_id=call.caller.client_id,
            roles=call.roles if world.options.enforce_permissions else None,
            create_if_missing=call.prefers("create-if-missing"),
            visible=world.is_visible,
        )
        result = route.function(call.tenant, params, call.body, context)
        return _written(call, result)

    return handle


def _require_replicated(call: Call, id_: str) -> None:
    """A replica that has not seen an object yet cannot change it."""
    record = call.tenant.find(id_)
    if record is not None and not call.world.is_visible(record):
        raise not_found(id_)


def _written(call: Call, result: WriteResult) -> Answer:
    headers: dict[str, str] = {}
    if result.location:
        headers["Location"] = call.root_url + "/" + result.location.lstrip("/")
    if result.record is None and result.body is None:
        return Answer(result.status, b"", headers)
    record = result.record
    values: dict[str, Any] = {}
    if record is not None:
        name = CONTEXTS.get(record.type, record.type)
        values["@odata.context"] = f"{call.root_url}/$metadata#{name}/$entity"
        shows_type = "/deletedItems/" in call.operation
        values.update(render.values_of(record, render.shape(record.type, None, shows_type)))
        if result.status == 201 and "Location" not in headers:
            headers["Location"] = f"{call.root_url}/{name}/{record.id}"
    else:
        values["@odata.context"] = f"{call.root_url}/$metadata#{call.operation.split('/')[-1]}"
    values.update(result.body or {})
    return Answer(result.status, orjson.dumps(values), headers)
