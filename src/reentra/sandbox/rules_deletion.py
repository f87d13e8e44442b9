"""Deleting directory objects, restoring them from the recycle bin, and purging them.

https://learn.microsoft.com/graph/api/directory-deleteditems-restore
https://learn.microsoft.com/graph/api/directory-deleteditems-delete
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reentra.sandbox import rules_dynamic, rules_licences
from reentra.sandbox.errors import bad_request, conflicting_object, denied, not_found, same_value
from reentra.sandbox.rules_groups import check_nickname_free
from reentra.sandbox.rules_principals import PUBLISHED
from reentra.sandbox.rules_privilege import refuse_sensitive
from reentra.sandbox.rules_references import is_unified, refuse_unwritable_group
from reentra.sandbox.rules_shape import (
    NO_CONTENT,
    Asked,
    Route,
    WriteContext,
    WriteFunction,
    WriteResult,
    object_body,
    refuse_managed,
    require,
)
from reentra.sandbox.rules_users import check_principal_name
from reentra.sandbox.tenant import Record, Tenant

_RESTORE_OPTIONS: Final = frozenset(("newUserPrincipalName", "autoReconcileProxyConflict"))


def remove(tenant: Tenant, record: Record, context: WriteContext) -> None:
    """Delete a directory object as Graph does: into the recycle bin, or for good."""
    match record.type:
        case "user":
            refuse_managed(record)
            refuse_sensitive(tenant, record, context)
            tenant.soft_delete(record)
        case "group":
            refuse_unwritable_group(record, context)
            members = [
                member
                for id_ in tenant.targets("group.members", record.id)
                if (member := tenant.get("user", id_)) is not None
            ]
            tenant.soft_delete(record)
            if record.props.get("assignedLicenses"):
                for member in members:
                    rules_licences.reconcile(tenant, member)
        case "device":
            refuse_managed(record)
            tenant.purge(record)
        case "application":
            tenant.soft_delete(record)
            # The service principal in the home tenant goes with its application.
            principal = tenant.by_app_id("servicePrincipal", record.props["appId"])
            if principal is not None:
                tenant.soft_delete(principal)
        case "servicePrincipal":
            if record.props.get("servicePrincipalType") == "ManagedIdentity":
                raise bad_request(
                    "The service principal of a managed identity is deleted with its Azure "
                    "resource and cannot be deleted here."
                )
            remember_publisher(tenant, record)
            tenant.soft_delete(record)
        case "administrativeUnit":
            members = [
                member
                for id_ in tenant.targets("administrativeUnit.members", record.id)
                if (member := tenant.find(id_)) is not None
            ]
            tenant.soft_delete(record)
            for member in members:
                rules_dynamic.settle_restriction(tenant, member)
        case _:
            raise denied()


def remember_publisher(tenant: Tenant, principal: Record) -> None:
    """Keep what another tenant publishes, so that its principal can be made again by appId."""
    app_id = principal.props["appId"]
    owner = principal.props.get("appOwnerOrganizationId")
    if owner != tenant.tenant_id and tenant.by_app_id("application", app_id) is None:
        published: dict[str, Any] = {
            name: principal.props[name] for name in PUBLISHED if name in principal.props
        }
        published.setdefault("appDisplayName", principal.props.get("displayName"))
        tenant.options.foreign_apps[app_id] = published


def _deleting(type_: str) -> WriteFunction:
    def delete(asked: Asked) -> WriteResult:
        tenant, params, context = asked.tenant, asked.params, asked.context
        remove(tenant, require(tenant, type_, params["id"]), context)
        return NO_CONTENT

    return delete


def delete_any(asked: Asked) -> WriteResult:
    """Delete a directory object of whatever type."""
    tenant, params, context = asked.tenant, asked.params, asked.context
    record = tenant.find(params["id"])
    if record is None:
        raise not_found(params["id"])
    remove(tenant, record, context)
    return NO_CONTENT


def _deleting_target(nav: str) -> WriteFunction:
    """Return the operation that a forgotten ``/$ref`` means: the target itself is deleted."""
    type_ = nav.partition(".")[0]

    def delete_target(asked: Asked) -> WriteResult:
        tenant, params, context = asked.tenant, asked.params, asked.context
        source = require(tenant, type_, params["id"])
        target_id = params.get("target", "").lower()
        if nav == "user.manager":
            target_id = next(iter(tenant.targets(nav, source.id)), "")
        target = tenant.find(target_id)
        if target is None or not tenant.linked(nav, source.id, target_id):
            raise not_found(target_id)
        remove(tenant, target, context)
        return NO_CONTENT

    return delete_target


def restore(asked: Asked) -> WriteResult:
    """Bring an object back from the recycle bin under its old id."""
    tenant, params, body, context = asked.tenant, asked.params, asked.body, asked.context
    record = tenant.find_deleted(params["id"])
    if record is None:
        raise not_found(params["id"])
    given = object_body(body if body is not None else {})
    unknown = [name for name in given if name not in _RESTORE_OPTIONS and "@" not in name]
    if unknown:
        raise bad_request(f"The parameter '{unknown[0]}' is not known to the action 'restore'.")
    changes: dict[str, Any] = {}
    match record.type:
        case "user":
            refuse_sensitive(tenant, record, context)
            changes = _user_changes(tenant, record, given)
        case "group":
            if record.props.get("isAssignableToRole") and not context.holds(
                "RoleManagement.ReadWrite.Directory"
            ):
                raise denied()
            if is_unified(record):
                check_nickname_free(tenant, record.props["mailNickname"], None)
            changes = _reconciled_addresses(tenant, record, given)
            _check_unique_name(tenant, record)
        case "application":
            _check_unique_name(tenant, record)
            for uri in record.props.get("identifierUris") or ():
                if tenant.one("application", "identifierUris", uri) is not None:
                    raise same_value("identifierUris")
        case "servicePrincipal":
            if record.props.get("servicePrincipalType") == "ManagedIdentity":
                raise denied("The service principal of a managed identity cannot be restored.")
            if tenant.by_app_id("servicePrincipal", record.props["appId"]) is not None:
                raise conflicting_object()
    tenant.restore(record, changes)
    if record.type == "user":
        rules_licences.drop_unavailable(tenant, record)
        rules_dynamic.settle_member(tenant, record)
    elif record.type == "group":
        rules_dynamic.settle_holder(tenant, record)
        if record.props.get("assignedLicenses"):
            rules_licences.reconcile_members(tenant, record)
    elif record.type == "administrativeUnit":
        rules_dynamic.settle_holder(tenant, record)
        for id_ in tenant.targets("administrativeUnit.members", record.id):
            member = tenant.find(id_)
            if member is not None:
                rules_dynamic.settle_restriction(tenant, member)
    return WriteResult(200, record=record)


def _user_changes(tenant: Tenant, user: Record, given: Mapping[str, Any]) -> dict[str, Any]:
    changes = _reconciled_addresses(tenant, user, given)
    name = given.get("newUserPrincipalName")
    if name is not None:
        check_principal_name(tenant, name)
        changes["userPrincipalName"] = name
        return changes
    kept = (user.kept or {}).get("userPrincipalName", user.props.get("userPrincipalName"))
    if kept and tenant.user_by_upn(kept) is not None:
        raise same_value("userPrincipalName")
    return changes


def _reconciled_addresses(
    tenant: Tenant, record: Record, given: Mapping[str, Any]
) -> dict[str, Any]:
    addresses = record.props.get("proxyAddresses") or []
    free = [address for address in addresses if tenant.holder_of_address(address) is None]
    mail = record.props.get("mail")
    mail_taken = bool(mail) and tenant.holder_of_address("smtp:" + str(mail)) is not None
    if len(free) == len(addresses) and not mail_taken:
        return {}
    if not given.get("autoReconcileProxyConflict"):
        raise same_value("proxyAddresses")
    return {"proxyAddresses": free, **({"mail": None} if mail_taken else {})}


def _check_unique_name(tenant: Tenant, record: Record) -> None:
    unique = record.props.get("uniqueName")
    if unique and tenant.by_unique_name(record.type, unique) is not None:
        raise same_value("uniqueName")


def purge(asked: Asked) -> WriteResult:
    """Remove an object from the recycle bin for good."""
    tenant, params = asked.tenant, asked.params
    record = tenant.find_deleted(params["id"])
    if record is None:
        raise not_found(params["id"])
    if record.type == "administrativeUnit":
        raise bad_request("Administrative units cannot be permanently deleted.")
    tenant.purge(record)
    return NO_CONTENT


_OBJECTS: Final = {
    "user": "/users/{id}",
    "group": "/groups/{id}",
    "application": "/applications/{id}",
    "servicePrincipal": "/servicePrincipals/{id}",
    "device": "/devices/{id}",
    "administrativeUnit": "/directory/administrativeUnits/{id}",
}
_TARGETS: Final = {
    "group.members": "/groups/{id}/members/{target}",
    "group.owners": "/groups/{id}/owners/{target}",
    "application.owners": "/applications/{id}/owners/{target}",
    "servicePrincipal.owners": "/servicePrincipals/{id}/owners/{target}",
    "administrativeUnit.members": "/directory/administrativeUnits/{id}/members/{target}",
    "user.sponsors": "/users/{id}/sponsors/{target}",
    "user.manager": "/users/{id}/manager",
}

ROUTES: Final = (
    *(
        Route("DELETE", path, f"{type_.lower()}-delete", _deleting(type_))
        for type_, path in _OBJECTS.items()
    ),
    Route("DELETE", "/directoryObjects/{id}", "directoryobject-delete", delete_any),
    *(
        Route("DELETE", path, "directoryobject-delete", _deleting_target(nav))
        for nav, path in _TARGETS.items()
    ),
    Route(
        "POST", "/directory/deletedItems/{id}/restore", "directory-deleteditems-restore", restore
    ),
    Route("DELETE", "/directory/deletedItems/{id}", "directory-deleteditems-delete", purge),
)
