"""References in bodies, and adding and removing links through ``$ref`` and ``@odata.bind``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from reentra.sandbox import rules_dynamic, rules_licences
from reentra.sandbox.errors import bad_request, denied, not_found
from reentra.sandbox.rules_shape import (
    NO_CONTENT,
    Asked,
    Route,
    WriteContext,
    WriteFunction,
    WriteResult,
    object_body,
    referred,
    refuse_managed,
    require,
)
from reentra.sandbox.tenant import Record, Tenant

BIND_LIMIT: Final = 20
OWNER_LIMIT: Final = 100
UNIT_LIMIT: Final = 30
SPONSOR_LIMIT: Final = 5

ON_PREMISES: Final = (
    "Unable to update the specified properties for on-premises mastered Directory Sync objects "
    "or objects currently undergoing migration."
)
MAIL_ENABLED: Final = "Cannot Update a mail-enabled security groups and or distribution list."
DYNAMIC: Final = (
    "Insufficient privileges to complete the operation. The group has dynamic membership: its "
    "members are computed from the membership rule and cannot be added or removed."
)

_REFERENCE: Final = re.compile(
    r"/(?:directoryObjects|users|groups|devices|servicePrincipals|applications|contacts"
    r"|directory/administrativeUnits|policies/(?:claimsMapping|tokenLifetime|tokenIssuance"
    r"|homeRealmDiscovery)Policies)(?:/|\(')([^/()']+)(?:'\))?/?"
)


def referenced_id(url: Any, context: WriteContext) -> str:
    """Return the object id in a reference URL of this service."""
    if not isinstance(url, str):
        raise bad_request("Not a valid reference update")
    asked, own = urlsplit(url), urlsplit(context.graph_url)
    path = asked.path
    for version in ("/v1.0", "/beta"):
        if path.startswith(version + "/"):
            path = path.removeprefix(version)
            break
    else:
        raise bad_request("Not a valid reference update")
    match = _REFERENCE.fullmatch(path)
    if (asked.scheme, asked.netloc) != (own.scheme, own.netloc) or match is None:
        raise bad_request("Not a valid reference update")
    return match.group(1)


def reference_in(body: Any, context: WriteContext) -> str:
    """Return the object id in the body of a ``$ref`` request."""
    body = object_body(body)
    if "@odata.id" not in body:
        raise bad_request("The request body must contain '@odata.id'. Not a valid reference update")
    return referenced_id(body["@odata.id"], context)


def bound_ids(body: Mapping[str, Any], nav: str, context: WriteContext) -> list[str]:
    """Return the object ids that ``nav@odata.bind`` of a body names."""
    urls = body.get(f"{nav}@odata.bind")
    if urls is None:
        return []
    if isinstance(urls, str):
        urls = [urls]
    if not isinstance(urls, list):
        raise bad_request(f"The value of '{nav}@odata.bind' must be a list of references.")
    return [referenced_id(url, context) for url in urls]


def check_bind_count(*lists: Sequence[str]) -> None:
    """Refuse a request that binds more than twenty relationships."""
    count = sum(len(ids) for ids in lists)
    if count > BIND_LIMIT:
        raise bad_request(
            f"The request binds {count} relationships; the maximum is {BIND_LIMIT} per request."
        )


def already_there(name: str) -> str:
    """Return the message for a link that exists."""
    return (
        "One or more added object references already exist for the following modified "
        f"properties: '{name}'."
    )


def is_unified(group: Record) -> bool:
    """Say whether a group is a Microsoft 365 group."""
    return "Unified" in (group.props.get("groupTypes") or ())


def is_dynamic(group: Record) -> bool:
    """Say whether a group computes its members from a rule."""
    return "DynamicMembership" in (group.props.get("groupTypes") or ())


def is_exchange_mastered(group: Record) -> bool:
    """Say whether a group is a distribution or mail-enabled security group."""
    return bool(group.props.get("mailEnabled")) and not is_unified(group)


def refuse_unwritable_group(group: Record, context: WriteContext) -> None:
    """Refuse any write to a group that Graph, or this caller, cannot change."""
    refuse_managed(group)
    if group.props.get("onPremisesSyncEnabled"):
        raise bad_request(ON_PREMISES)
    if is_exchange_mastered(group):
        raise bad_request(MAIL_ENABLED)
    if group.props.get("isAssignableToRole") and not context.holds(
        "RoleManagement.ReadWrite.Directory"
    ):
        raise denied()


def check_group_member(group: Record, member: Record) -> None:
    """Refuse a member that this kind of group cannot have."""
    if member.id == group.id:
        raise bad_request("A group cannot be a member of itself.")
    if is_unified(group) and member.type != "user":
        raise bad_request("Microsoft 365 groups can only have users as members.")
    if group.props.get("isAssignableToRole") and member.type == "group":
        raise bad_request("A role-assignable group cannot have groups as members.")
    if member.type not in ("user", "group", "device", "servicePrincipal"):
        raise bad_request(
            f"An invalid operation was included in the following modified references: 'members'. "
            f"An object of type '{member.type}' cannot be a member of a group."
        )
    if member.type == "group" and (is_unified(member) or not member.props.get("securityEnabled")):
        raise bad_request("Only security groups can be members of a security group.")


def check_owner(tenant: Tenant, nav: str, source: Record, owner: Record, added: int = 1) -> None:
    """Refuse an owner of the wrong type, or one too many."""
    if owner.type not in ("user", "servicePrincipal"):
        raise bad_request(
            "An invalid operation was included in the following modified references: 'owners'. "
            "Owners must be users or service principals."
        )
    if tenant.target_count(nav, source.id) + added > OWNER_LIMIT:
        raise bad_request(f"The object may have no more than {OWNER_LIMIT} owners.")


def check_unit_member(tenant: Tenant, unit: Record, member: Record) -> None:
    """Refuse a member that an administrative unit cannot have."""
    if unit.props.get("membershipType") == "Dynamic":
        raise bad_request(
            "The administrative unit has dynamic membership; members cannot be added or removed."
        )
    if member.type not in ("user", "group", "device"):
        raise bad_request("Members of an administrative unit must be users, groups or devices.")
    if len(tenant.all_sources("administrativeUnit.members", member.id)) >= UNIT_LIMIT:
        raise bad_request(f"The object is already in {UNIT_LIMIT} administrative units.")


def _check_addition(
    tenant: Tenant, nav: str, source: Record, target: Record, context: WriteContext
) -> None:
    match nav:
        case "group.members":
            refuse_unwritable_group(source, context)
            if is_dynamic(source):
                raise denied(DYNAMIC)
            check_group_member(source, target)
        case "group.owners":
            refuse_unwritable_group(source, context)
            check_owner(tenant, nav, source, target)
        case "application.owners" | "servicePrincipal.owners":
            check_owner(tenant, nav, source, target)
        case "administrativeUnit.members":
            check_unit_member(tenant, source, target)
        case "user.manager":
            refuse_managed(source)
            if source.props.get("onPremisesSyncEnabled"):
                raise bad_request(ON_PREMISES)
            if target.type != "user" or target.id == source.id:
                raise bad_request(
                    "An invalid operation was included in the following modified references: "
                    "'manager'."
                )
        case _ if nav in _POLICY_OF:
            if target.type != _POLICY_OF[nav]:
                raise bad_request("Not a valid reference update")
            if tenant.target_count(nav, source.id) and not tenant.linked(nav, source.id, target.id):
                raise bad_request(
                    f"A policy of type '{target.type}' is assigned to the object already."
                )
        case "user.sponsors":
            refuse_managed(source)
            if target.type not in ("user", "group"):
                raise bad_request("Sponsors must be users or groups.")
            if tenant.target_count(nav, source.id) >= SPONSOR_LIMIT:
                raise bad_request(f"A user may have no more than {SPONSOR_LIMIT} sponsors.")


def _check_removal(
    tenant: Tenant, nav: str, source: Record, target_id: str, context: WriteContext
) -> None:
    match nav:
        case "group.members":
            refuse_unwritable_group(source, context)
            if is_dynamic(source):
                raise denied(DYNAMIC)
        case "group.owners":
            refuse_unwritable_group(source, context)
            users = [id_ for id_ in tenant.targets(nav, source.id) if tenant.get("user", id_)]
            if users == [target_id]:
                raise bad_request(
                    "The group must have at least one owner, hence this owner cannot be removed."
                )
        case "user.manager" | "user.sponsors":
            refuse_managed(source)
            if nav == "user.manager" and source.props.get("onPremisesSyncEnabled"):
                raise bad_request(ON_PREMISES)
        case "administrativeUnit.members":
            if source.props.get("membershipType") == "Dynamic":
                raise bad_request(
                    "The administrative unit has dynamic membership; members cannot be added "
                    "or removed."
                )


def connect(tenant: Tenant, nav: str, source: Record, target: Record) -> None:
    """Add a checked link with everything that follows from it."""
    tenant.link(nav, source.id, target.id)
    if nav == "group.members" and target.type == "user":
        rules_licences.reconcile(tenant, target)
    elif nav == "administrativeUnit.members":
        rules_dynamic.settle_restriction(tenant, target)


def disconnect(tenant: Tenant, nav: str, source: Record, target_id: str) -> None:
    """Remove a link with everything that follows from it."""
    tenant.unlink(nav, source.id, target_id)
    target = tenant.find(target_id)
    if nav == "group.members" and target is not None and target.type == "user":
        rules_licences.reconcile(tenant, target)
    elif nav == "administrativeUnit.members" and target is not None:
        rules_dynamic.settle_restriction(tenant, target)
    elif nav == "group.owners" and "Team" in (
        source.props.get("resourceProvisioningOptions") or ()
    ):
        # The owner of a group that backs a Team is also its member, and goes as both.
        disconnect(tenant, "group.members", source, target_id)


def _adding(nav: str) -> WriteFunction:
    type_, _, name = nav.partition(".")

    def add(asked: Asked) -> WriteResult:
        tenant, params, body, context = asked.tenant, asked.params, asked.body, asked.context
        source = require(tenant, type_, params["id"])
        target = referred(tenant, reference_in(body, context), context)
        _check_addition(tenant, nav, source, target, context)
        if tenant.linked(nav, source.id, target.id):
            if nav != "user.manager":
                raise bad_request(already_there(name))
            return NO_CONTENT
        connect(tenant, nav, source, target)
        return NO_CONTENT

    return add


def _removing(nav: str) -> WriteFunction:
    type_ = nav.partition(".")[0]

    def remove(asked: Asked) -> WriteResult:
        tenant, params, context = asked.tenant, asked.params, asked.context
        source = require(tenant, type_, params["id"])
        target_id = params.get("target", "").lower()
        if nav == "user.manager":
            managers = tenant.all_targets(nav, source.id)
            if not managers:
                raise not_found("manager")
            target_id = managers[0]
        elif not tenant.linked(nav, source.id, target_id):
            raise not_found(params.get("target", ""))
        _check_removal(tenant, nav, source, target_id, context)
        disconnect(tenant, nav, source, target_id)
        return NO_CONTENT

    return remove


def _removing_by_query(nav: str) -> WriteFunction:
    remove = _removing(nav)

    def remove_named(asked: Asked) -> WriteResult:
        tenant, params, body, context = asked.tenant, asked.params, asked.body, asked.context
        url = params.get("@id", "")
        target = referenced_id(url, context)
        return remove(Asked(tenant, {**params, "target": target}, body, context))

    return remove_named


def _refused(asked: Asked) -> WriteResult:
    tenant, params = asked.tenant, asked.params
    # Only a signed-in user may write device owners: https://learn.microsoft.com/graph/api/device-post-registeredowners
    require(tenant, "device", params["id"])
    raise denied()


_POLICY_OF: Final[Mapping[str, str]] = {
    "application.tokenIssuancePolicies": "tokenIssuancePolicy",
    "application.tokenLifetimePolicies": "tokenLifetimePolicy",
    "servicePrincipal.claimsMappingPolicies": "claimsMappingPolicy",
    "servicePrincipal.homeRealmDiscoveryPolicies": "homeRealmDiscoveryPolicy",
    "servicePrincipal.tokenLifetimePolicies": "tokenLifetimePolicy",
}
_PATHS: Final = {
    "group.members": ("/groups/{id}/members", "group-post-members"),
    "group.owners": ("/groups/{id}/owners", "group-post-owners"),
    "application.owners": ("/applications/{id}/owners", "application-post-owners"),
    "servicePrincipal.owners": ("/servicePrincipals/{id}/owners", "serviceprincipal-post-owners"),
    "administrativeUnit.members": (
        "/directory/administrativeUnits/{id}/members",
        "administrativeunit-post-members",
    ),
    "user.sponsors": ("/users/{id}/sponsors", "user-post-sponsors"),
    **{
        nav: (
            f"/{nav.partition('.')[0]}s/{{id}}/{nav.partition('.')[2]}",
            f"{nav.partition('.')[0].lower()}-post-{nav.partition('.')[2].lower()}",
        )
        for nav in _POLICY_OF
    },
}

ROUTES: Final = (
    *(
        Route("POST", f"{path}/$ref", operation, _adding(nav))
        for nav, (path, operation) in _PATHS.items()
    ),
    *(
        Route(
            "DELETE",
            f"{path}/{{target}}/$ref",
            operation.replace("-post-", "-delete-"),
            _removing(nav),
        )
        for nav, (path, operation) in _PATHS.items()
    ),
    *(
        Route(
            "DELETE",
            f"{path}/$ref",
            operation.replace("-post-", "-delete-"),
            _removing_by_query(nav),
        )
        for nav, (path, operation) in _PATHS.items()
    ),
    Route("PUT", "/users/{id}/manager/$ref", "user-post-manager", _adding("user.manager")),
    Route("DELETE", "/users/{id}/manager/$ref", "user-delete-manager", _removing("user.manager")),
    *(
        Route(method, f"/devices/{{id}}/{nav}{rest}", f"device-{nav}", _refused)
        for nav in ("registeredOwners", "registeredUsers")
        for method, rest in (("POST", "/$ref"), ("DELETE", "/{target}/$ref"))
    ),
)
