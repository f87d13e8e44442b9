"""Service principals, app role assignments and delegated permission grants.

https://learn.microsoft.com/graph/api/serviceprincipal-post-serviceprincipals
https://learn.microsoft.com/graph/api/serviceprincipal-post-approleassignedto
https://learn.microsoft.com/graph/api/oauth2permissiongrant-post
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reentra.sandbox import schema
from reentra.sandbox.errors import (
    bad_request,
    conflicting_object,
    invalid_value,
    missing_value,
    not_found,
)
from reentra.sandbox.rules_applications import mirrored, stored_keys
from reentra.sandbox.rules_references import bound_ids, check_bind_count, check_owner, connect
from reentra.sandbox.rules_shape import (
    NO_CONTENT,
    ZERO_GUID,
    Asked,
    Route,
    WriteFunction,
    WriteResult,
    checked,
    merged,
    now,
    object_body,
    opaque_id,
    premium_required,
    referred,
    require,
)
from reentra.sandbox.tenant import Record, Tenant

MICROSOFT_TENANT: Final = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"
GRAPH_APP: Final = "00000003-0000-0000-c000-000000000000"
DIRECTORY_APP: Final = "00000002-0000-0000-c000-000000000000"
SCOPE_LIMIT: Final = 3850
ASSIGNMENT_LIMIT: Final = 1500
PUBLISHED: Final = (
    "appDisplayName", "appDescription", "appOwnerOrganizationId", "appRoles",
    "oauth2PermissionScopes", "signInAudience", "info", "verifiedPublisher",
    "servicePrincipalNames", "replyUrls", "homepage", "logoutUrl",
    "resourceSpecificApplicationPermissions",
)  # fmt: skip
"""What the publisher of another tenant's application decides about its service principals."""


def microsoft_application(app_id: str) -> dict[str, Any] | None:
    """Return what Microsoft publishes about one of its two directory APIs."""
    if app_id == GRAPH_APP:
        roles, scopes = [], []
        for permission in schema.graph_permissions():
            if permission.is_application:
                roles.append(
                    {
                        "allowedMemberTypes": ["Application"],
                        "description": f"Allows the app to use {permission.value}.",
                        "displayName": permission.value,
                        "id": permission.id,
                        "isEnabled": True,
                        "origin": "Application",
                        "value": permission.value,
                    }
                )
            else:
                scopes.append(
                    {
                        "adminConsentDescription": f"Allows the app to use {permission.value}.",
                        "adminConsentDisplayName": permission.value,
                        "id": permission.id,
                        "isEnabled": True,
                        "type": "Admin",
                        "userConsentDescription": None,
                        "userConsentDisplayName": None,
                        "value": permission.value,
                    }
                )
        names = [GRAPH_APP, "https://graph.microsoft.com"]
        return _published("Microsoft Graph", names, roles, scopes)
    if app_id == DIRECTORY_APP:
        names = [DIRECTORY_APP, "https://graph.windows.net"]
        return _published("Windows Azure Active Directory", names, [], [])
    return None


def _published(
    name: str, names: list[str], roles: list[dict[str, Any]], scopes: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "appDisplayName": name,
        "appOwnerOrganizationId": MICROSOFT_TENANT,
        "appRoles": roles,
        "oauth2PermissionScopes": scopes,
        "servicePrincipalNames": names,
        "signInAudience": "AzureADMultipleOrgs",
    }


def own_principal(tenant: Tenant, application: Record) -> dict[str, Any]:
    """Return what a new service principal of this tenant's application has."""
    web = application.props.get("web") or {}
    return {
        **mirrored(application),
        "displayName": application.props["displayName"],
        "appOwnerOrganizationId": tenant.tenant_id,
        "homepage": web.get("homePageUrl"),
        "logoutUrl": web.get("logoutUrl"),
        "replyUrls": list(web.get("redirectUris") or ()),
    }


def create_principal(asked: Asked) -> WriteResult:
    """Create the service principal of an application of this tenant or of another."""
    tenant, body, context = asked.tenant, asked.body, asked.context
    body = object_body(body)
    props = checked(tenant, "servicePrincipal", body, binds=("owners",))
    app_id = props["appId"].lower()
    application = tenant.by_app_id("application", app_id)
    if application is not None and context.visible(application):
        published = own_principal(tenant, application)
    else:
        foreign = tenant.options.foreign_apps.get(app_id) or microsoft_application(app_id)
        if foreign is None or application is not None:
            raise bad_request(
                f"The appId '{props['appId']}' of the service principal does not reference a "
                "valid application object."
            )
        published = {"displayName": foreign["appDisplayName"], **foreign}
    if tenant.by_app_id("servicePrincipal", app_id) is not None:
        raise conflicting_object()
    if props.get("keyCredentials") is not None:
        props["keyCredentials"] = stored_keys(
            tenant, props["keyCredentials"], (), "ServicePrincipal"
        )
    owner_ids = bound_ids(body, "owners", context)
    check_bind_count(owner_ids)
    owners = [referred(tenant, id_, context) for id_ in owner_ids]
    draft = Record("servicePrincipal", "", {}, 0, 0.0)
    for owner in owners:
        check_owner(tenant, "servicePrincipal.owners", draft, owner, len(owners))
    filled = {
        "accountEnabled": True,
        "appRoleAssignmentRequired": False,
        "servicePrincipalType": "Application",
        "addIns": [],
        "alternativeNames": [],
        "appRoles": [],
        "keyCredentials": [],
        "notificationEmailAddresses": [],
        "oauth2PermissionScopes": [],
        "passwordCredentials": [],
        "replyUrls": [],
        "resourceSpecificApplicationPermissions": [],
        "servicePrincipalNames": [app_id],
        "tags": [],
        **{name: value for name, value in published.items() if value is not None},
        **props,
        "appId": app_id,
        "createdDateTime": now(tenant),
    }
    if context.app_id:
        filled["createdByAppId"] = context.app_id
    record = tenant.create("servicePrincipal", filled)
    for owner in owners:
        connect(tenant, "servicePrincipal.owners", record, owner)
    return WriteResult(201, record=record, location=f"/servicePrincipals/{record.id}")


def update_principal(asked: Asked) -> WriteResult:
    """Change what a tenant decides about a service principal."""
    tenant, params, body = asked.tenant, asked.params, asked.body
    principal = require(tenant, "servicePrincipal", params["id"])
    props = checked(tenant, "servicePrincipal", object_body(body), principal)
    if principal.props.get("servicePrincipalType") == "ManagedIdentity" and not props.keys() <= {
        "appRoleAssignmentRequired", "customSecurityAttributes", "notes", "tags",
    }:  # fmt: skip
        raise bad_request(
            "The service principal of a managed identity is maintained by its Azure resource and "
            "cannot be updated."
        )
    for name in ("displayName", "accountEnabled"):
        if name in props and props[name] is None:
            raise invalid_value(name, "ServicePrincipal")
    if props.get("preferredSingleSignOnMode") not in (
        None, "", "password", "saml", "notSupported", "oidc",
    ):  # fmt: skip
        raise invalid_value("preferredSingleSignOnMode", "ServicePrincipal")
    changes = merged("servicePrincipal", principal.props, props)
    if props.get("keyCredentials") is not None:
        before = principal.props.get("keyCredentials") or ()
        changes["keyCredentials"] = stored_keys(
            tenant, props["keyCredentials"], before, "ServicePrincipal"
        )
    tenant.update(principal, changes)
    return NO_CONTENT


# --- app role assignments ---


def _assigning(path_type: str, path_key: str) -> WriteFunction:
    def assign(asked: Asked) -> WriteResult:
        tenant, params, body, context = asked.tenant, asked.params, asked.body, asked.context
        holder = require(tenant, path_type, params["id"])
        props = checked(tenant, "appRoleAssignment", object_body(body))
        if props[path_key].lower() != holder.id:
            raise invalid_value(path_key, "AppRoleAssignment")
        principal = referred(
            tenant, props["principalId"], context, "user", "group", "servicePrincipal"
        )
        resource = referred(tenant, props["resourceId"], context, "servicePrincipal")
        role_id = props["appRoleId"].lower()
        _check_role(tenant, principal, resource, role_id)
        names = {
            "user": "User",
            "group": "Group",
            "servicePrincipal": "ServicePrincipal",
        }
        record = tenant.create(
            "appRoleAssignment",
            {
                "appRoleId": role_id,
                "createdDateTime": now(tenant),
                "principalDisplayName": principal.props.get("displayName"),
                "principalId": principal.id,
                "principalType": names[principal.type],
                "resourceDisplayName": resource.props.get("displayName"),
                "resourceId": resource.id,
            },
            opaque_id(tenant),
        )
        location = f"/servicePrincipals/{resource.id}/appRoleAssignedTo/{record.id}"
        return WriteResult(201, record=record, location=location)

    return assign


def _check_role(tenant: Tenant, principal: Record, resource: Record, role_id: str) -> None:
    held = tenant.by("appRoleAssignment", "principalId", principal.id)
    for other in held:
        if (other.props["resourceId"], other.props["appRoleId"]) == (resource.id, role_id):
            raise bad_request("Permission being assigned already exists on the object")
    if len(held) >= ASSIGNMENT_LIMIT:
        raise bad_request(f"A principal may have no more than {ASSIGNMENT_LIMIT} assignments.")
    if principal.type == "group":
        if tenant.edition == "free":
            raise premium_required("Assigning a group to an application")
        if not principal.props.get("securityEnabled") and not principal.props.get("mailEnabled"):
            raise invalid_value("principalId", "AppRoleAssignment")
    if role_id == ZERO_GUID:
        return
    role = next(
        (one for one in resource.props.get("appRoles") or () if one["id"].lower() == role_id), None
    )
    if role is None or not role.get("isEnabled"):
        raise bad_request(
            "Permission being assigned was not found on application "
            f"'{resource.props.get('appId')}'."
        )
    kind = "Application" if principal.type == "servicePrincipal" else "User"
    if kind not in (role.get("allowedMemberTypes") or ()):
        raise bad_request(
            f"The app role '{role_id}' cannot be assigned to a {principal.type}: its allowed "
            f"member types are {', '.join(role.get('allowedMemberTypes') or ())}."
        )


def _unassigning(path_type: str, path_key: str) -> WriteFunction:
    def unassign(asked: Asked) -> WriteResult:
        tenant, params = asked.tenant, asked.params
        holder = require(tenant, path_type, params["id"])
        # The ids of assignments are case-sensitive.
        record = tenant.collection("appRoleAssignment").get(params["child"])
        if record is None or record.props[path_key] != holder.id:
            raise not_found(params["child"])
        tenant.purge(record)
        return NO_CONTENT

    return unassign


# --- delegated permission grants ---


def create_grant(asked: Asked) -> WriteResult:
    """Grant a client delegated permissions on a resource, for everybody or for one user."""
    tenant, body, context = asked.tenant, asked.body, asked.context
    # startTime and expiryTime are taken and ignored.
    ignored = frozenset(("startTime", "expiryTime"))
    props = checked(tenant, "oAuth2PermissionGrant", object_body(body), set_aside=ignored)
    consent, principal_id = props["consentType"], props.get("principalId")
    if consent not in ("AllPrincipals", "Principal"):
        raise invalid_value("consentType", "OAuth2PermissionGrant")
    if consent == "Principal" and not principal_id:
        raise missing_value("principalId", "OAuth2PermissionGrant")
    if consent == "AllPrincipals" and principal_id:
        raise invalid_value("principalId", "OAuth2PermissionGrant")
    _check_scope(props)
    client = referred(tenant, props["clientId"], context, "servicePrincipal")
    resource = referred(tenant, props["resourceId"], context, "servicePrincipal")
    principal = referred(tenant, principal_id, context, "user").id if principal_id else None
    for other in tenant.by("oAuth2PermissionGrant", "clientId", client.id):
        if (other.props["resourceId"], other.props.get("principalId")) == (resource.id, principal):
            raise conflicting_object()
    record = tenant.create(
        "oAuth2PermissionGrant",
        {
            "clientId": client.id,
            "consentType": consent,
            "principalId": principal,
            "resourceId": resource.id,
            "scope": props.get("scope"),
        },
        opaque_id(tenant),
    )
    return WriteResult(201, record=record, location=f"/oauth2PermissionGrants/{record.id}")


def _check_scope(props: Mapping[str, Any]) -> None:
    if len(props.get("scope") or "") > SCOPE_LIMIT:
        raise invalid_value("scope", "OAuth2PermissionGrant")


def _grant(tenant: Tenant, id_: str) -> Record:
    record = tenant.collection("oAuth2PermissionGrant").get(id_)
    if record is None:
        raise not_found(id_)
    return record


def update_grant(asked: Asked) -> WriteResult:
    """Change the scopes of a grant; nothing else of it can change."""
    tenant, params, body = asked.tenant, asked.params, asked.body
    grant = _grant(tenant, params["id"])
    props = checked(tenant, "oAuth2PermissionGrant", object_body(body), grant)
    _check_scope(props)
    tenant.update(grant, props)
    return NO_CONTENT


def delete_grant(asked: Asked) -> WriteResult:
    """Remove a grant for good."""
    tenant, params = asked.tenant, asked.params
    tenant.purge(_grant(tenant, params["id"]))
    return NO_CONTENT


_SIDES: Final = (
    ("/servicePrincipals/{id}/appRoleAssignedTo", "servicePrincipal", "resourceId",
     "serviceprincipal-{}-approleassignedto"),
    ("/servicePrincipals/{id}/appRoleAssignments", "servicePrincipal", "principalId",
     "serviceprincipal-{}-approleassignments"),
    ("/users/{id}/appRoleAssignments", "user", "principalId", "user-{}-approleassignments"),
    ("/groups/{id}/appRoleAssignments", "group", "principalId", "group-{}-approleassignments"),
)  # fmt: skip
_PRINCIPALS: Final = "/servicePrincipals"
_GRANTS: Final = "/oauth2PermissionGrants"

ROUTES: Final = (
    Route("POST", _PRINCIPALS, "serviceprincipal-post-serviceprincipals", create_principal),
    Route("PATCH", _PRINCIPALS + "/{id}", "serviceprincipal-update", update_principal),
    *(
        Route("POST", path, name.format("post"), _assigning(type_, key))
        for path, type_, key, name in _SIDES
    ),
    *(
        Route("DELETE", path + "/{child}", name.format("delete"), _unassigning(type_, key))
        for path, type_, key, name in _SIDES
    ),
    Route("POST", _GRANTS, "oauth2permissiongrant-post", create_grant),
    Route("PATCH", _GRANTS + "/{id}", "oauth2permissiongrant-update", update_grant),
    Route("DELETE", _GRANTS + "/{id}", "oauth2permissiongrant-delete", delete_grant),
)
