"""Settings of the tenant: organization, authorization policy, group settings, domains; devices.

https://learn.microsoft.com/graph/api/organization-update
https://learn.microsoft.com/graph/api/authorizationpolicy-update
https://learn.microsoft.com/graph/api/group-post-settings
https://learn.microsoft.com/graph/api/domain-update
https://learn.microsoft.com/graph/api/device-update
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from reentra.sandbox import rules_dynamic
from reentra.sandbox.errors import (
    Detail,
    bad_request,
    conflicting_object,
    denied,
    invalid_value,
    missing_value,
    not_found,
)
from reentra.sandbox.rules_references import ON_PREMISES
from reentra.sandbox.rules_shape import (
    NO_CONTENT,
    Asked,
    Route,
    WriteFunction,
    WriteResult,
    checked,
    merged,
    object_body,
    refuse_managed,
    require,
    text_length,
)
from reentra.sandbox.tenant import Record, Tenant

GUEST_ROLES: Final = (
    "a0b1b346-4d3e-4e8b-98f8-753987be4970",
    "10dae51f-b6af-4016-8d66-8c2a99b929b3",
    "2af84b1e-32c8-42b7-82bc-daa82404023b",
)
GUEST_SETTINGS: Final = "08d542b9-071f-4e16-94b0-74abb372e3d9"
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_DOMAIN: Final = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_SERVICES: Final = (
    "Email", "Sharepoint", "EmailInternalRelayOnly", "OfficeCommunicationsOnline",
    "SharePointDefaultDomain", "FullRedelegation", "SharePointPublic", "OrgIdAuthentication",
    "Yammer", "Intune",
)  # fmt: skip


def update_organization(asked: Asked) -> WriteResult:
    """Change the few properties of the organization that are not computed."""
    tenant, params, body = asked.tenant, asked.params, asked.body
    record = require(tenant, "organization", params["id"])
    props = checked(tenant, "organization", object_body(body), record)
    for name in (
        "marketingNotificationEmails", "technicalNotificationMails",
        "securityComplianceNotificationMails",
    ):  # fmt: skip
        if not all(_ADDRESS.fullmatch(address) for address in props.get(name) or ()):
            raise invalid_value(name, "Organization")
    tenant.update(record, merged("organization", record.props, props))
    return NO_CONTENT


def update_authorization_policy(asked: Asked) -> WriteResult:
    """Change the authorization policy; there is exactly one."""
    tenant, body = asked.tenant, asked.body
    record = next(iter(tenant.collection("authorizationPolicy").values()), None)
    if record is None:
        raise not_found("authorizationPolicy")
    props = checked(tenant, "authorizationPolicy", object_body(body), record)
    role = props.get("guestUserRoleId")
    if "guestUserRoleId" in props and (role is None or role.lower() not in GUEST_ROLES):
        raise invalid_value("guestUserRoleId", "AuthorizationPolicy")
    assigned = (props.get("defaultUserRolePermissions") or {}).get(
        "permissionGrantPoliciesAssigned"
    )
    for name in assigned or ():
        if not name.lower().startswith(
            ("managepermissiongrantsforself.", "managepermissiongrantsforownedresource.")
        ):
            raise invalid_value("permissionGrantPoliciesAssigned", "AuthorizationPolicy")
    tenant.update(record, merged("authorizationPolicy", record.props, props))
    return NO_CONTENT


# --- group settings ---


def _values(template: Record, given: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return every value of a template: those given, and the defaults of the others."""
    defaults = {value["name"]: value for value in template.props.get("values") or ()}
    chosen: dict[str, str] = {}
    for entry in given:
        name, value = str(entry.get("name")), entry.get("value")
        if name not in defaults or name in chosen:
            raise bad_request(f"Settings name '{name}' is not valid or is given twice.")
        if defaults[name].get("type") == "System.Boolean" and str(value).lower() not in (
            "true", "false",
        ):  # fmt: skip
            raise bad_request(f"The value of settings name '{name}' must be true or false.")
        chosen[name] = value if value is not None else ""
    return [
        {"name": name, "value": chosen.get(name, default.get("defaultValue") or "")}
        for name, default in defaults.items()
    ]


def _template(tenant: Tenant, template_id: str) -> Record:
    template = tenant.get("groupSettingTemplate", template_id)
    if template is None:
        raise bad_request(f"The template '{template_id}' does not exist.")
    return template


def _tenant_settings(tenant: Tenant) -> list[Record]:
    return [
        record
        for record in tenant.collection("groupSetting").values()
        if not tenant.all_sources("group.settings", record.id)
    ]


def create_setting(asked: Asked) -> WriteResult:
    """Create the settings of a template, for the tenant or for one group."""
    tenant, params, body = asked.tenant, asked.params, asked.body
    group = require(tenant, "group", params["id"]) if "id" in params else None
    props = checked(tenant, "groupSetting", object_body(body))
    template = _template(tenant, props["templateId"])
    if group is None:
        present = _tenant_settings(tenant)
    else:
        if template.id != GUEST_SETTINGS:
            raise bad_request("Only the template Group.Unified.Guest can be used on a group.")
        ids = tenant.targets("group.settings", group.id)
        present = [tenant.collection("groupSetting")[id_] for id_ in ids]
    if any(record.props["templateId"] == template.id for record in present):
        raise conflicting_object()
    filled = {
        "displayName": template.props["displayName"],
        "templateId": template.id,
        "values": _values(template, props["values"]),
    }
    record = tenant.create("groupSetting", filled)
    if group is None:
        return WriteResult(201, record=record, location=f"/groupSettings/{record.id}")
    tenant.link("group.settings", group.id, record.id)
    return WriteResult(201, record=record, location=f"/groups/{group.id}/settings/{record.id}")


def _setting(tenant: Tenant, params: Mapping[str, str]) -> Record:
    id_ = params.get("child", params["id"])
    record = tenant.get("groupSetting", id_)
    if record is None:
        raise not_found(id_)
    holders = tenant.all_sources("group.settings", record.id)
    group = require(tenant, "group", params["id"]) if "child" in params else None
    if holders != ([group.id] if group is not None else []):
        raise not_found(id_)
    return record


def update_setting(asked: Asked) -> WriteResult:
    """Change the values of settings; names that are not sent go back to their default."""
    tenant, params, body = asked.tenant, asked.params, asked.body
    record = _setting(tenant, params)
    props = checked(tenant, "groupSetting", object_body(body), record)
    if "values" in props:
        template = _template(tenant, record.props["templateId"])
        tenant.update(record, {"values": _values(template, props["values"])})
    return NO_CONTENT


def delete_setting(asked: Asked) -> WriteResult:
    """Remove settings for good, so that the defaults hold."""
    tenant, params = asked.tenant, asked.params
    tenant.purge(_setting(tenant, params))
    return NO_CONTENT


# --- domains ---


def create_domain(asked: Asked) -> WriteResult:
    """Add a domain; it is unverified unless its parent is a verified domain of the tenant."""
    tenant, body = asked.tenant, asked.body
    body = dict(object_body(body))
    name = body.pop("id", None)
    if name is None:
        raise missing_value("id", "Domain")
    if not isinstance(name, str) or _DOMAIN.fullmatch(name.lower()) is None:
        raise invalid_value("id", "Domain")
    name = name.lower()
    props = checked(tenant, "domain", body)
    if tenant.get("domain", name) is not None:
        raise conflicting_object()
    labels = name.split(".")
    parents = (tenant.get("domain", ".".join(labels[at:])) for at in range(1, len(labels)))
    root = next((parent for parent in parents if parent is not None), None)
    verified = root is not None and bool(root.props.get("isVerified"))
    if props.get("isDefault"):
        raise bad_request("An unverified domain cannot be the default domain.")
    filled = {
        "authenticationType": "Managed",
        "availabilityStatus": None,
        "isAdminManaged": True,
        "isDefault": False,
        "isInitial": False,
        "isRoot": root is None,
        "isVerified": verified,
        "supportedServices": props.get("supportedServices") or [],
        "state": None,
    }
    record = tenant.create("domain", filled, name)
    return WriteResult(201, record=record, location=f"/domains/{name}")


def update_domain(asked: Asked) -> WriteResult:
    """Change a verified domain: its services, or make it the default."""
    tenant, params, body = asked.tenant, asked.params, asked.body
    record = require(tenant, "domain", params["id"])
    props = checked(tenant, "domain", object_body(body), record)
    if not record.props.get("isVerified"):
        raise bad_request(f"The domain '{record.id}' is not verified and cannot be updated.")
    if not set(props.get("supportedServices") or ()) <= set(_SERVICES):
        raise invalid_value("supportedServices", "Domain")
    if props.get("isDefault") is False and record.props.get("isDefault"):
        raise bad_request("Make another domain the default one instead.")
    if props.get("isDefault"):
        for other in tenant.collection("domain").values():
            if other is not record and other.props.get("isDefault"):
                tenant.update(other, {"isDefault": False})
    tenant.update(record, props)
    return NO_CONTENT


def delete_domain(asked: Asked) -> WriteResult:
    """Remove a domain that nothing uses."""
    tenant, params = asked.tenant, asked.params
    record = require(tenant, "domain", params["id"])
    if record.props.get("isInitial"):
        raise bad_request("The initial domain cannot be deleted.")
    if record.props.get("isDefault"):
        raise bad_request("The default domain cannot be deleted.")
    ending = "@" + record.id
    holders = [*tenant.collection("user").values(), *tenant.collection("group").values()]
    for holder in holders:
        names = (holder.props.get("userPrincipalName"), *(holder.props.get("proxyAddresses") or ()))
        if any(name and name.lower().endswith(ending) for name in names):
            text = "The domain has references from other objects and cannot be deleted."
            raise bad_request(text, Detail("ObjectInUse", text, holder.id))
    tenant.purge(record)
    return NO_CONTENT


# --- devices ---


def refuse_device(_: Asked) -> WriteResult:
    """Refuse to create a device: only a signed-in user may."""
    raise denied()


def update_device(asked: Asked) -> WriteResult:
    """Change a device; of a Linux device only its extension attributes."""
    tenant, params, body = asked.tenant, asked.params, asked.body
    device = require(tenant, "device", params["id"])
    refuse_managed(device)
    props = checked(tenant, "device", object_body(body), device)
    text_length(props, "Device", {"displayName": 256})
    linux = str(device.props.get("operatingSystem", "")).lower().startswith("linux")
    if linux and props.keys() - {"extensionAttributes"}:
        raise bad_request(
            "Only extensionAttributes can be updated on a Linux device by an application."
        )
    if device.props.get("onPremisesSyncEnabled") and props.keys() - {"extensionAttributes"}:
        raise bad_request(ON_PREMISES)
    tenant.update(device, merged("device", device.props, props))
    rules_dynamic.settle_member(tenant, device)
    return NO_CONTENT


def read_only_resource(type_: str) -> WriteFunction:
    """Return an operation that refuses every write to a type."""

    def refuse(_: Asked) -> WriteResult:
        raise bad_request(f"Resource type '{type_}' does not support this operation.")

    return refuse


_SETTINGS: Final = (("/groupSettings", "/{id}"), ("/groups/{id}/settings", "/{child}"))

ROUTES: Final = (
    Route("PATCH", "/organization/{id}", "organization-update", update_organization),
    Route(
        "PATCH",
        "/policies/authorizationPolicy",
        "authorizationpolicy-update",
        update_authorization_policy,
    ),
    *(Route("POST", path, "group-post-settings", create_setting) for path, _ in _SETTINGS),
    *(Route("PATCH", path + one, "groupsetting-update", update_setting) for path, one in _SETTINGS),
    *(
        Route("DELETE", path + one, "groupsetting-delete", delete_setting)
        for path, one in _SETTINGS
    ),
    Route("POST", "/domains", "domain-post-domains", create_domain),
    Route("PATCH", "/domains/{id}", "domain-update", update_domain),
    Route("DELETE", "/domains/{id}", "domain-delete", delete_domain),
    Route("POST", "/devices", "device-post-devices", refuse_device),
    Route("PATCH", "/devices/{id}", "device-update", update_device),
    *(
        Route(
            method, "/subscribedSkus" + rest, "subscribedsku", read_only_resource("SubscribedSku")
        )
        for method, rest in (("POST", ""), ("PATCH", "/{id}"), ("DELETE", "/{id}"))
    ),
)
