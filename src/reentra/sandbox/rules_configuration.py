"""Policies of the tenant: tokens and claims, group lifetimes, sign-in methods, other tenants.

https://learn.microsoft.com/graph/api/resources/stspolicy
https://learn.microsoft.com/graph/api/resources/grouplifecyclepolicy
https://learn.microsoft.com/graph/api/resources/authenticationmethodspolicy
https://learn.microsoft.com/graph/api/resources/crosstenantaccesspolicy-overview
https://learn.microsoft.com/graph/api/adminconsentrequestpolicy-update
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from reentra.sandbox import schema
from reentra.sandbox.errors import (
    GraphError,
    bad_request,
    conflicting_object,
    invalid_value,
    missing_value,
    not_found,
)
from reentra.sandbox.rules_shape import (
    NO_CONTENT,
    Asked,
    Route,
    WriteFunction,
    WriteResult,
    checked,
    merged,
    now,
    object_body,
    require,
    title,
)
from reentra.sandbox.rules_values import GUID, check_value
from reentra.sandbox.tenant import Record, Tenant

POLICY_PATHS: Final[Mapping[str, str]] = {
    "claimsMappingPolicy": "/policies/claimsMappingPolicies",
    "tokenLifetimePolicy": "/policies/tokenLifetimePolicies",
    "tokenIssuancePolicy": "/policies/tokenIssuancePolicies",
    "homeRealmDiscoveryPolicy": "/policies/homeRealmDiscoveryPolicies",
    "activityBasedTimeoutPolicy": "/policies/activityBasedTimeoutPolicies",
}
METHODS: Final = "authenticationMethodsPolicy"
PARTNER: Final = "crossTenantAccessPolicyConfigurationPartner"
_MANAGED_TYPES: Final = ("All", "Selected", "None")


# --- tokens and claims ---


def _check_definition(props: Mapping[str, Any]) -> None:
    definition = props.get("definition")
    if definition is None:
        return
    if len(definition) != 1:
        raise bad_request("The definition of a policy must be a list with one JSON text.")
    try:
        content = json.loads(definition[0])
    except ValueError as error:
        raise invalid_value("definition", "Policy") from error
    if not isinstance(content, dict):
        raise invalid_value("definition", "Policy")


def _creating(type_: str) -> WriteFunction:
    def create(asked: Asked) -> WriteResult:
        tenant = asked.tenant
        props = checked(tenant, type_, object_body(asked.body))
        _check_definition(props)
        props.setdefault("isOrganizationDefault", False)
        record = tenant.create(type_, props)
        return WriteResult(201, record=record, location=f"{POLICY_PATHS[type_]}/{record.id}")

    return create


def _updating(type_: str) -> WriteFunction:
    def update(asked: Asked) -> WriteResult:
        tenant, record = asked.tenant, require(asked.tenant, type_, asked.params["id"])
        props = checked(tenant, type_, object_body(asked.body), record)
        _check_definition(props)
        tenant.update(record, props)
        return NO_CONTENT

    return update


def _deleting(type_: str) -> WriteFunction:
    def delete(asked: Asked) -> WriteResult:
        asked.tenant.purge(require(asked.tenant, type_, asked.params["id"]))
        return NO_CONTENT

    return delete


# --- lifetimes of groups ---


def _checked_lifetime(asked: Asked, before: Record | None) -> dict[str, Any]:
    props = checked(asked.tenant, "groupLifecyclePolicy", object_body(asked.body), before)
    days = props.get("groupLifetimeInDays")
    if days is not None and days < 30:
        raise invalid_value("groupLifetimeInDays", "GroupLifecyclePolicy")
    if props.get("managedGroupTypes", "All") not in _MANAGED_TYPES:
        raise invalid_value("managedGroupTypes", "GroupLifecyclePolicy")
    return props


def create_lifetime(asked: Asked) -> WriteResult:
    """Create the policy of how long groups live; a tenant has one at most."""
    tenant = asked.tenant
    props = _checked_lifetime(asked, None)
    if tenant.collection("groupLifecyclePolicy"):
        raise conflicting_object()
    record = tenant.create("groupLifecyclePolicy", {"alternateNotificationEmails": None, **props})
    return WriteResult(201, record=record, location=f"/groupLifecyclePolicies/{record.id}")


def update_lifetime(asked: Asked) -> WriteResult:
    """Change the policy of how long groups live."""
    record = require(asked.tenant, "groupLifecyclePolicy", asked.params["id"])
    asked.tenant.update(record, _checked_lifetime(asked, record))
    return WriteResult(200, record=record)


# --- policies of which a tenant has one ---


def only(tenant: Tenant, type_: str) -> Record:
    """Return the one policy of a type, or answer 404."""
    record = next(iter(tenant.collection(type_).values()), None)
    if record is None:
        raise not_found(type_)
    return record


def _patching(
    type_: str, check: Callable[[Tenant, Mapping[str, Any]], None] | None = None
) -> WriteFunction:
    def update(asked: Asked) -> WriteResult:
        tenant, record = asked.tenant, only(asked.tenant, type_)
        props = checked(tenant, type_, object_body(asked.body), record)
        if check is not None:
            check(tenant, props)
        tenant.update(record, merged(type_, record.props, props))
        return NO_CONTENT

    return update


def _replacing(
    type_: str, check: Callable[[Tenant, Mapping[str, Any]], None] | None = None
) -> WriteFunction:
    """Return the PUT of a policy: what the body leaves out is gone."""

    def replace(asked: Asked) -> WriteResult:
        tenant, record = asked.tenant, only(asked.tenant, type_)
        props = checked(tenant, type_, object_body(asked.body), record)
        for name in schema.REQUIRED.get(type_, ()):
            if props.get(name) is None:
                raise missing_value(name, title(type_))
        if check is not None:
            check(tenant, props)
        known = schema.entity(type_).properties
        blank = {
            name: None
            for name, prop in known.items()
            if prop.rule is schema.Rule.WRITABLE and name in record.props
        }
        version = record.props.get("version")
        stamp = {} if version is None else {"version": version + 1}
        tenant.update(record, {**blank, **props, **stamp})
        return NO_CONTENT

    return replace


def _check_defaults(tenant: Tenant, props: Mapping[str, Any]) -> None:
    if props.get("isEnabled") is True and any(
        policy.props.get("state") == "enabled"
        for policy in tenant.collection("conditionalAccessPolicy").values()
    ):
        raise GraphError(
            400,
            "BadRequest",
            "Security defaults cannot be enabled while Conditional Access policies are.",
        )


_REVIEWER_QUERY: Final = re.compile(
    r"/(?:v1\.0/|beta/)?(users|groups)/([0-9a-fA-F-]{36})(/.*)?|/(?:v1\.0/|beta/)?directory/.*"
    r"|/(?:v1\.0/|beta/)?roleManagement/.*"
)


def _check_reviewers(tenant: Tenant, props: Mapping[str, Any]) -> None:
    for reviewer in props.get("reviewers") or ():
        match = _REVIEWER_QUERY.fullmatch(str(reviewer.get("query") or ""))
        if match is None:
            raise invalid_value("reviewers", "AdminConsentRequestPolicy")
        if match.group(1) is not None and tenant.find(match.group(2)) is None:
            raise not_found(match.group(2))


def _check_members(tenant: Tenant, props: Mapping[str, Any]) -> None:
    def check(membership: Any) -> None:
        if isinstance(membership, dict):
            for name, type_ in (("users", "user"), ("groups", "group")):
                for id_ in membership.get(name) or ():
                    if tenant.get(type_, id_) is None:
                        raise not_found(str(id_))

    join = props.get("azureADJoin") or {}
    check(join.get("allowedToJoin"))
    check((join.get("localAdmins") or {}).get("registeringUsers"))
    check((props.get("azureADRegistration") or {}).get("allowedToRegister"))


# --- sign-in methods ---


def _targets(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every target, ``{id, targetType}``, inside a value."""
    if isinstance(value, dict):
        if "targetType" in value and "id" in value:
            yield value
        for inner in value.values():
            yield from _targets(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _targets(inner)


def check_targets(tenant: Tenant, value: Any) -> None:
    """Refuse targets that are neither a live group, a live user nor everybody."""
    for target in _targets(value):
        id_ = str(target["id"])
        if id_ in {"all_users", "00000000-0000-0000-0000-000000000000"}:
            continue
        found = tenant.find(id_)
        if found is None or found.type not in ("group", "user"):
            raise GraphError(400, "invalidRequest", f"The target '{id_}' does not exist.")


def update_methods(asked: Asked) -> WriteResult:
    """Change what holds for all sign-in methods."""
    tenant, record = asked.tenant, only(asked.tenant, METHODS)
    props = checked(tenant, METHODS, object_body(asked.body), record)
    check_targets(tenant, props)
    stamp = {"lastModifiedDateTime": now(tenant)}
    tenant.update(record, {**merged(METHODS, record.props, props), **stamp})
    return NO_CONTENT


def _method(tenant: Tenant, id_: str) -> tuple[Record, dict[str, Any]]:
    record = only(tenant, METHODS)
    for entry in record.props["authenticationMethodConfigurations"]:
        if str(entry["id"]).casefold() == id_.casefold():
            return record, entry
    raise not_found(id_)


def update_method(asked: Asked) -> WriteResult:
    """Change the configuration of one sign-in method; its type must be told."""
    tenant, body = asked.tenant, object_body(asked.body)
    record, entry = _method(tenant, asked.params["id"])
    declared = str(body.get("@odata.type", "")).lstrip("#")
    if declared != str(entry["@odata.type"]).lstrip("#"):
        raise bad_request("The body must have the '@odata.type' of the configuration.")
    known = schema.entity(declared.rpartition(".")[2])
    changes: dict[str, Any] = {}
    for name, value in body.items():
        if "@" in name:
            continue
        if name == "id":
            if str(value).casefold() != str(entry["id"]).casefold():
                raise bad_request("The id of a configuration cannot be changed.")
            continue
        prop = known.properties.get(name)
        if prop is None and name not in known.navigations and name not in entry:
            raise bad_request(f"Property {name} does not exist on type '{declared}'.")
        if prop is not None and value is not None:
            check_value(prop.csdl_type, value, name, title(known.name))
        if name in ("includeTargets", "excludeTargets") and not isinstance(value, list):
            raise invalid_value(name, title(known.name))
        changes[name] = value
    check_targets(tenant, changes)
    after = [
        {**one, **changes} if one is entry else one
        for one in record.props["authenticationMethodConfigurations"]
    ]
    tenant.update(
        record,
        {"authenticationMethodConfigurations": after, "lastModifiedDateTime": now(tenant)},
    )
    return NO_CONTENT


# --- other tenants ---


def _check_settings(tenant: Tenant, props: Mapping[str, Any]) -> None:
    """Refuse targets of other tenants' access that do not exist here."""
    words = {"user": ("AllUsers",), "group": (), "application": ("AllApplications", "Office365")}
    for name, setting in props.items():
        if ("Outbound" not in name and "Inbound" not in name) or not isinstance(setting, dict):
            continue
        for side in ("usersAndGroups", "applications"):
            chosen = setting.get(side)
            if chosen is None:
                continue
            targets = chosen.get("targets") or []
            if not targets or chosen.get("accessType") is None:
                raise invalid_value(name, "CrossTenantAccessPolicy")
            for target in targets:
                type_, id_ = str(target.get("targetType")), str(target.get("target"))
                # Inbound users are other tenants': nobody can look them up here.
                is_own = type_ == "application" or "Outbound" in name
                known = id_ in words.get(type_, ())
                if not known and is_own and not _is_target(tenant, type_, id_):
                    raise not_found(id_)


def _is_target(tenant: Tenant, type_: str, id_: str) -> bool:
    if type_ == "application":
        kinds = ("servicePrincipal", "application")
        return any(tenant.by_app_id(kind, id_) is not None for kind in kinds)
    return tenant.get(type_, id_) is not None


def create_partner(asked: Asked) -> WriteResult:
    """Add another tenant with settings of its own; what they leave out is the default's."""
    tenant, body = asked.tenant, dict(object_body(asked.body))
    tenant_id = body.pop("tenantId", None)
    if not isinstance(tenant_id, str) or GUID.fullmatch(tenant_id) is None:
        raise missing_value("tenantId", "CrossTenantAccessPolicyConfigurationPartner")
    tenant_id = tenant_id.lower()
    if tenant_id == tenant.tenant_id:
        raise bad_request("A tenant cannot be a partner of itself.")
    if tenant.get(PARTNER, tenant_id) is not None:
        raise conflicting_object()
    props = checked(tenant, PARTNER, body)
    _check_settings(tenant, props)
    record = tenant.create(
        PARTNER, {"tenantId": tenant_id, "isInMultiTenantOrganization": False, **props}, tenant_id
    )
    return WriteResult(201, record=record, location=f"{_CROSS}/partners/{tenant_id}")


def update_partner(asked: Asked) -> WriteResult:
    """Change the settings for another tenant; null gives a setting back to the default."""
    tenant, record = asked.tenant, require(asked.tenant, PARTNER, asked.params["id"].lower())
    props = checked(tenant, PARTNER, object_body(asked.body), record)
    _check_settings(tenant, props)
    tenant.update(record, merged(PARTNER, record.props, props))
    return NO_CONTENT


def delete_partner(asked: Asked) -> WriteResult:
    """Remove another tenant's settings, so that the default holds."""
    asked.tenant.purge(require(asked.tenant, PARTNER, asked.params["id"].lower()))
    return NO_CONTENT


def update_cross_default(asked: Asked) -> WriteResult:
    """Change what holds for every tenant that has no settings of its own."""
    type_ = "crossTenantAccessPolicyConfigurationDefault"
    tenant, record = asked.tenant, only(asked.tenant, type_)
    props = checked(tenant, type_, object_body(asked.body), record)
    _check_settings(tenant, props)
    changes = {**merged(type_, record.props, props), "isServiceDefault": False}
    tenant.update(record, changes)
    return NO_CONTENT


_CROSS: Final = "/policies/crossTenantAccessPolicy"
_LIFETIMES: Final = "/groupLifecyclePolicies"

ROUTES: Final = (
    *(
        Route("POST", path, f"{type_.lower()}-post", _creating(type_))
        for type_, path in POLICY_PATHS.items()
    ),
    *(
        Route("PATCH", path + "/{id}", f"{type_.lower()}-update", _updating(type_))
        for type_, path in POLICY_PATHS.items()
    ),
    *(
        Route("DELETE", path + "/{id}", f"{type_.lower()}-delete", _deleting(type_))
        for type_, path in POLICY_PATHS.items()
    ),
    Route("POST", _LIFETIMES, "grouplifecyclepolicy-post-grouplifecyclepolicies", create_lifetime),
    Route("PATCH", _LIFETIMES + "/{id}", "grouplifecyclepolicy-update", update_lifetime),
    Route(
        "DELETE",
        _LIFETIMES + "/{id}",
        "grouplifecyclepolicy-delete",
        _deleting("groupLifecyclePolicy"),
    ),
    Route(
        "PATCH",
        "/policies/identitySecurityDefaultsEnforcementPolicy",
        "identitysecuritydefaultsenforcementpolicy-update",
        _patching("identitySecurityDefaultsEnforcementPolicy", _check_defaults),
    ),
    Route(
        "PUT",
        "/policies/adminConsentRequestPolicy",
        "adminconsentrequestpolicy-update",
        _replacing("adminConsentRequestPolicy", _check_reviewers),
    ),
    Route(
        "PUT",
        "/policies/deviceRegistrationPolicy",
        "deviceregistrationpolicy-update",
        _replacing("deviceRegistrationPolicy", _check_members),
    ),
    Route("PATCH", f"/policies/{METHODS}", "authenticationmethodspolicy-update", update_methods),
    Route(
        "PATCH",
        f"/policies/{METHODS}/authenticationMethodConfigurations/{{id}}",
        "authenticationmethodconfiguration-update",
        update_method,
    ),
    Route("PATCH", _CROSS, "crosstenantaccesspolicy-update", _patching("crossTenantAccessPolicy")),
    Route(
        "PATCH",
        _CROSS + "/default",
        "crosstenantaccesspolicyconfigurationdefault-update",
        update_cross_default,
    ),
    Route("POST", _CROSS + "/partners", "crosstenantaccesspolicy-post-partners", create_partner),
    Route(
        "PATCH",
        _CROSS + "/partners/{id}",
        "crosstenantaccesspolicyconfigurationpartner-update",
        update_partner,
    ),
    Route(
        "DELETE",
        _CROSS + "/partners/{id}",
        "crosstenantaccesspolicyconfigurationpartner-delete",
        delete_partner,
    ),
)
