"""Applications: their roles, scopes, keys and identifiers.

https://learn.microsoft.com/graph/api/application-post-applications
https://learn.microsoft.com/graph/api/application-update
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from reentra.sandbox.errors import (
    bad_request,
    invalid_value,
    not_found,
    same_value,
)
from reentra.sandbox.rules_references import bound_ids, check_bind_count, check_owner, connect
from reentra.sandbox.rules_shape import (
    NO_CONTENT,
    Asked,
    Route,
    WriteResult,
    checked,
    default_domain,
    is_verified_domain,
    merged,
    now,
    object_body,
    referred,
    require,
    text_length,
    with_members,
)
from reentra.sandbox.tenant import Record, Tenant

AUDIENCES: Final = (
    "AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount",
    "PersonalMicrosoftAccount",
)  # fmt: skip
MANIFEST_LIMIT: Final = 1200
DISABLE_FIRST: Final = (
    "Permission (scope or role) cannot be deleted or updated unless disabled first."
)

# What Graph fills in when nothing else is said.
_BLANK: Final[Mapping[str, Mapping[str, Any]]] = {
    "api": {"requestedAccessTokenVersion": None},
    "info": {},
    "publicClient": {},
    "spa": {},
    "web": {
        "implicitGrantSettings": {
            "enableAccessTokenIssuance": False,
            "enableIdTokenIssuance": False,
        },
        "redirectUriSettings": [],
    },
    "parentalControlSettings": {
        "countriesBlockedForMinors": [],
        "legalAgeGroupRule": "Allow",
    },
    "verifiedPublisher": {},
}
_MEMBER_TYPES: Final = {
    "api": "apiApplication",
    "info": "informationalUrl",
    "publicClient": "publicClientApplication",
    "spa": "spaApplication",
    "web": "webApplication",
    "parentalControlSettings": "parentalControlSettings",
    "verifiedPublisher": "verifiedPublisher",
}


def _blank_properties() -> dict[str, Any]:
    filled: dict[str, Any] = {
        name: with_members(_MEMBER_TYPES[name], value) for name, value in _BLANK.items()
    }
    for name in (
        "addIns", "appRoles", "identifierUris", "keyCredentials", "passwordCredentials",
        "requiredResourceAccess", "tags",
    ):  # fmt: skip
        filled[name] = []
    return filled


def _roles(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**with_members("appRole", entry), "origin": "Application"} for entry in entries]


def _scopes(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    filled = []
    for entry in entries:
        scope = with_members("permissionScope", entry)
        scope.pop("origin", None)
        filled.append(scope)
    return filled


def _check_permissions(
    type_: str, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], name: str
) -> None:
    ids = [str(entry["id"]).lower() for entry in after]
    if len(set(ids)) < len(ids):
        raise invalid_value(name, "Application")
    by_id = {str(entry["id"]).lower(): entry for entry in after}
    for old in before:
        if not old.get("isEnabled"):
            continue
        new = by_id.get(str(old["id"]).lower())
        # Turning it off is the one change that an enabled permission takes.
        if new is None or _compared(type_, {**new, "isEnabled": True}) != _compared(type_, old):
            raise bad_request(DISABLE_FIRST)


def _compared(type_: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    return {**with_members(type_, entry), "origin": None}


def _check_application(
    tenant: Tenant, after: Mapping[str, Any], props: Mapping[str, Any], own: Record | None
) -> None:
    text_length(props, "Application", {"displayName": 256, "description": 1024, "notes": 1024})
    before: Mapping[str, Any] = own.props if own is not None else {}
    audience = after.get("signInAudience")
    if audience not in AUDIENCES:
        raise invalid_value("signInAudience", "Application")
    api = after.get("api") or {}
    if "Personal" in audience and api.get("requestedAccessTokenVersion") != 2:
        raise invalid_value("api/requestedAccessTokenVersion", "Application")
    if api.get("requestedAccessTokenVersion") not in (None, 1, 2):
        raise invalid_value("api/requestedAccessTokenVersion", "Application")
    old_api = before.get("api") or {}
    _check_permissions(
        "appRole", before.get("appRoles") or (), after.get("appRoles") or (), "appRoles"
    )
    old_scopes = old_api.get("oauth2PermissionScopes") or ()
    scopes = api.get("oauth2PermissionScopes") or ()
    _check_permissions("permissionScope", old_scopes, scopes, "api/oauth2PermissionScopes")
    for role in after.get("appRoles") or ():
        kinds = role.get("allowedMemberTypes") or []
        if not kinds or not set(kinds) <= {"User", "Application"} or not role.get("displayName"):
            raise invalid_value("appRoles", "Application")
        if not role.get("description"):
            raise invalid_value("appRoles", "Application")
    for scope in scopes:
        if scope.get("type") not in (None, "User", "Admin") or not scope.get("value"):
            raise invalid_value("api/oauth2PermissionScopes", "Application")
    for entries in (after.get("appRoles") or (), scopes):
        values = [entry["value"] for entry in entries if entry.get("value")]
        if len(set(values)) < len(values):
            raise bad_request("It contains duplicate value. Please provide unique value.")
    known = {str(scope["id"]).lower() for scope in old_scopes}
    if "api" in props:
        for client in api.get("preAuthorizedApplications") or ():
            for scope_id in client.get("delegatedPermissionIds") or ():
                if scope_id.lower() not in known:
                    raise bad_request(
                        "Property api.preAuthorizedApplications references the permission "
                        f"'{scope_id}', which does not exist on the application."
                    )
    size = sum(
        len(after.get(name) or ())
        for name in ("appRoles", "identifierUris", "keyCredentials", "passwordCredentials", "tags")
    ) + len(scopes)
    if size > MANIFEST_LIMIT:
        raise bad_request("The application manifest holds too many entries.")
    if "identifierUris" in props:
        _check_identifier_uris(tenant, props["identifierUris"] or (), before, own)
    unique = props.get("uniqueName")
    if unique is not None:
        holder = tenant.by_unique_name("application", unique)
        if holder is not None and holder is not own:
            raise same_value("uniqueName")


def _check_identifier_uris(
    tenant: Tenant, uris: Iterable[str], before: Mapping[str, Any], own: Record | None
) -> None:
    app_id = str(before.get("appId", "")).lower()
    for uri in uris:
        parts = urlsplit(uri)
        if not parts.scheme:
            raise invalid_value("identifierUris", "Application")
        holder = tenant.one("application", "identifierUris", uri)
        if holder is not None and holder is not own:
            raise same_value("identifierUris")
        low, host = uri.lower(), parts.netloc.lower()
        if (app_id and app_id in low) or tenant.tenant_id.lower() in low:
            continue
        labels = host.split(".")
        if any(is_verified_domain(tenant, ".".join(labels[at:])) for at in range(len(labels))):
            continue
        raise bad_request(
            "Values of identifierUris property must use a verified domain of the organization or "
            f"its subdomain: '{uri}'"
        )


def stored_keys(
    tenant: Tenant,
    entries: Iterable[Mapping[str, Any]],
    before: Iterable[Mapping[str, Any]],
    resource: str,
) -> list[dict[str, Any]]:
    """Return key credentials as they are kept: with an id, a thumbprint, and their public key."""
    known = {str(entry["keyId"]).lower(): entry for entry in before}
    kept = []
    for entry in entries:
        old = known.get(str(entry.get("keyId") or "").lower())
        key = entry.get("key") or (old or {}).get("key")
        if key is None:
            raise invalid_value("keyCredentials", resource)
        if not entry.get("type") or not entry.get("usage"):
            raise invalid_value("keyCredentials", resource)
        thumbprint = hashlib.sha1(base64.b64decode(key), usedforsecurity=False).digest()
        kept.append(
            {
                **with_members("keyCredential", {**(old or {}), **entry}),
                "key": key,
                "keyId": entry.get("keyId") or tenant.clock.new_guid(),
                "customKeyIdentifier": entry.get("customKeyIdentifier")
                or (old or {}).get("customKeyIdentifier")
                or base64.b64encode(thumbprint).decode(),
            }
        )
    return kept


def _normalised(tenant: Tenant, props: dict[str, Any], own: Record | None) -> dict[str, Any]:
    if props.get("appRoles") is not None:
        props["appRoles"] = _roles(props["appRoles"])
    api = props.get("api")
    if isinstance(api, dict) and api.get("oauth2PermissionScopes") is not None:
        props["api"] = {**api, "oauth2PermissionScopes": _scopes(api["oauth2PermissionScopes"])}
    if isinstance(props.get("info"), dict) and props["info"].get("logoUrl") is not None:
        raise bad_request("Property 'info.logoUrl' is read-only and cannot be set.")
    if props.get("keyCredentials") is not None:
        before = own.props.get("keyCredentials") or () if own is not None else ()
        props["keyCredentials"] = stored_keys(
            tenant, props["keyCredentials"], before, "Application"
        )
    return props


def create_application(asked: Asked) -> WriteResult:
    """Create an application; it has no service principal and, app-only, no owner."""
    tenant, body, context = asked.tenant, asked.body, asked.context
    body = object_body(body)
    props = _normalised(tenant, checked(tenant, "application", body, binds=("owners",)), None)
    blank = _blank_properties()
    filled = {"signInAudience": "AzureADMyOrg", **blank, **merged("application", blank, props)}
    _check_application(tenant, filled, props, None)
    owner_ids = bound_ids(body, "owners", context)
    check_bind_count(owner_ids)
    owners = [referred(tenant, id_, context) for id_ in owner_ids]
    draft = Record("application", "", {}, 0, 0.0)
    for owner in owners:
        check_owner(tenant, "application.owners", draft, owner, len(owners))
    filled["appId"] = tenant.clock.new_guid()
    filled["createdDateTime"] = now(tenant)
    filled["publisherDomain"] = default_domain(tenant)
    if context.app_id:
        filled["createdByAppId"] = context.app_id
    record = tenant.create("application", filled)
    for owner in owners:
        connect(tenant, "application.owners", record, owner)
    return WriteResult(201, record=record, location=f"/applications/{record.id}")


def update_application(asked: Asked) -> WriteResult:
    """Change an application, and what its service principal in this tenant mirrors."""
    tenant, params, body = asked.tenant, asked.params, asked.body
    application = require(tenant, "application", params["id"])
    props = checked(tenant, "application", object_body(body), application)
    props = _normalised(tenant, props, application)
    changes = merged("application", application.props, props)
    for name in ("displayName", "signInAudience"):
        if name in changes and changes[name] is None:
            raise invalid_value(name, "Application")
    after = {**application.props, **changes}
    _check_application(tenant, after, props, application)
    tenant.update(application, changes)
    mirror(tenant, application)
    return NO_CONTENT


def upsert_application(asked: Asked) -> WriteResult:
    """Update the application with a uniqueName, or create it when the request prefers that."""
    tenant, params, body, context = asked.tenant, asked.params, asked.body, asked.context
    unique = params["uniqueName"]
    application = tenant.by_unique_name("application", unique)
    if application is not None:
        given = {name: value for name, value in object_body(body).items() if name != "uniqueName"}
        return update_application(Asked(tenant, {"id": application.id}, given, context))
    if not context.create_if_missing:
        raise not_found(unique)
    return create_application(
        Asked(tenant, {}, {**object_body(body), "uniqueName": unique}, context)
    )


def mirrored(application: Record) -> dict[str, Any]:
    """Return what a service principal of this tenant takes over from its application."""
    props = application.props
    api = props.get("api") or {}
    return {
        "appDisplayName": props["displayName"],
        "appDescription": props.get("description"),
        "appRoles": list(props.get("appRoles") or ()),
        "oauth2PermissionScopes": list(api.get("oauth2PermissionScopes") or ()),
        "signInAudience": props.get("signInAudience"),
        "info": props.get("info"),
        "verifiedPublisher": props.get("verifiedPublisher"),
        "servicePrincipalNames": [props["appId"], *(props.get("identifierUris") or ())],
    }


def mirror(tenant: Tenant, application: Record) -> None:
    """Bring the service principal of an application up to date with it."""
    principal = tenant.by_app_id("servicePrincipal", application.props["appId"])
    if principal is not None:
        tenant.update(principal, mirrored(application))


ROUTES: Final = (
    Route("POST", "/applications", "application-post-applications", create_application),
    Route(
        "PATCH",
        "/applications(uniqueName='{uniqueName}')",
        "application-upsert",
        upsert_application,
    ),
    Route("PATCH", "/applications/{id}", "application-update", update_application),
)
