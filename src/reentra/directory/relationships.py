"""The table of relationships: one row per navigation property that is backed up and restored.

Sources of the facts: learn.microsoft.com/graph/api (group-post-members, user-post-manager,
administrativeunit-post-members and their siblings), learn.microsoft.com/graph/delta-query-groups.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Reading(enum.Enum):
    """Where a backup gets a relationship from."""

    DELTA = "delta"  # arrives in the delta of the source kind, as `<property>@delta`
    PER_SOURCE = "per_source"  # one list call for each source object, in batches
    PER_TARGET = "per_target"  # one list call for each target: there are few of them
    EXPAND = "expand"  # `$expand` on the list of the source kind, twenty targets at most


class Adding(enum.Enum):
    """How a link is written."""

    POST_REF = "post_ref"  # POST {list_path}/$ref, DELETE {list_path}/{target}/$ref
    PUT_REF = "put_ref"  # single-valued: PUT {list_path}/$ref, DELETE {list_path}/$ref
    NOT_WRITABLE = "not_writable"


@dataclass(frozen=True, slots=True)
class RelationshipKind:
    """One row. ``reason`` says, where a link is never written, why, and what to do instead."""

    name: str
    source_kind: str
    property: str
    title: str
    list_path: str  # with {id} for the source
    target_kinds: tuple[str, ...]
    reading: Reading
    adding: Adding
    inverse_path: str = ""  # with {target_collection} and {id}: lists the sources of a target
    target_path: str = ""  # collection of the targets, where a reference must name it
    inverse_kinds: tuple[str, ...] = ()  # kinds of targets that have it, where not all do
    is_single: bool = False
    can_bind_many: bool = False  # PATCH source with `<property>@odata.bind`, twenty at a time
    max_targets: int | None = None
    reason: str = ""
    read_permissions: tuple[str, ...] = ()
    write_permissions: tuple[str, ...] = ()


_PRINCIPALS = ("user", "servicePrincipal")


def _policy_link(source: str, collection: str, target: str, title: str) -> RelationshipKind:
    """Return the row of the policies of one type that an application or principal is given."""
    path = f"/policies/{collection}"
    return RelationshipKind(
        name=f"{source}.{collection}",
        source_kind=source,
        property=collection,
        title=title,
        list_path=f"/{source}s/{{id}}/{collection}",
        target_kinds=(target,),
        reading=Reading.PER_TARGET,
        adding=Adding.POST_REF,
        inverse_path=f"{path}/{{id}}/appliesTo",
        target_path=path,
        max_targets=1,
        read_permissions=("Policy.Read.All", "Application.Read.All"),
        write_permissions=("Application.ReadWrite.All", "Policy.Read.All"),
    )


_ROWS = (
    RelationshipKind(
        name="user.manager",
        source_kind="user",
        property="manager",
        title="Manager",
        list_path="/users/{id}/manager",
        target_kinds=("user", "orgContact"),
        reading=Reading.DELTA,
        adding=Adding.PUT_REF,
        inverse_path="/{target_collection}/{id}/directReports",
        is_single=True,
        read_permissions=("User.Read.All",),
        write_permissions=("User.ReadWrite.All",),
    ),
    RelationshipKind(
        name="user.sponsors",
        source_kind="user",
        property="sponsors",
        title="Sponsors",
        list_path="/users/{id}/sponsors",
        target_kinds=("user", "group"),
        reading=Reading.EXPAND,
        adding=Adding.POST_REF,
        inverse_path="/{target_collection}/{id}/sponsorOf",
        inverse_kinds=("user",),  # a group that sponsors somebody does not list whom
        max_targets=5,
        read_permissions=("User.Read.All",),
        write_permissions=("User.ReadWrite.All",),
    ),
    RelationshipKind(
        name="group.members",
        source_kind="group",
        property="members",
        title="Members",
        list_path="/groups/{id}/members",
        target_kinds=("user", "group", "device", "servicePrincipal", "orgContact"),
        reading=Reading.DELTA,
        adding=Adding.POST_REF,
        inverse_path="/{target_collection}/{id}/memberOf/microsoft.graph.group",
        can_bind_many=True,
        read_permissions=("GroupMember.Read.All", "Member.Read.Hidden"),
        write_permissions=("GroupMember.ReadWrite.All",),
    ),
    RelationshipKind(
        name="group.owners",
        source_kind="group",
        property="owners",
        title="Owners",
        list_path="/groups/{id}/owners",
        target_kinds=_PRINCIPALS,
        reading=Reading.DELTA,
        adding=Adding.POST_REF,
        inverse_path="/{target_collection}/{id}/ownedObjects/microsoft.graph.group",
        max_targets=100,
        read_permissions=("GroupMember.Read.All",),
        write_permissions=("Group.ReadWrite.All",),
    ),
    RelationshipKind(
        name="application.owners",
        source_kind="application",
        property="owners",
        title="Owners",
        list_path="/applications/{id}/owners",
        target_kinds=_PRINCIPALS,
        reading=Reading.EXPAND,
        adding=Adding.POST_REF,
        inverse_path="/{target_collection}/{id}/ownedObjects/microsoft.graph.application",
        max_targets=100,
        read_permissions=("Application.Read.All",),
        write_permissions=("Application.ReadWrite.All", "Directory.Read.All"),
    ),
    RelationshipKind(
        name="servicePrincipal.owners",
        source_kind="servicePrincipal",
        property="owners",
        title="Owners",
        list_path="/servicePrincipals/{id}/owners",
        target_kinds=_PRINCIPALS,
        reading=Reading.EXPAND,
        adding=Adding.POST_REF,
        inverse_path="/{target_collection}/{id}/ownedObjects/microsoft.graph.servicePrincipal",
        max_targets=100,
        read_permissions=("Application.Read.All",),
        write_permissions=("Application.ReadWrite.All", "Directory.Read.All"),
    ),
    _policy_link(
        "application", "tokenIssuancePolicies", "tokenIssuancePolicy", "Token issuance policy"
    ),
    _policy_link(
        "application", "tokenLifetimePolicies", "tokenLifetimePolicy", "Token lifetime policy"
    ),
    _policy_link(
        "servicePrincipal", "claimsMappingPolicies", "claimsMappingPolicy", "Claims mapping policy"
    ),
    _policy_link(
        "servicePrincipal",
        "homeRealmDiscoveryPolicies",
        "homeRealmDiscoveryPolicy",
        "Home realm discovery policy",
    ),
    _policy_link(
        "servicePrincipal", "tokenLifetimePolicies", "tokenLifetimePolicy", "Token lifetime policy"
    ),
    RelationshipKind(
        name="administrativeUnit.members",
        source_kind="administrativeUnit",
        property="members",
        title="Members",
        list_path="/directory/administrativeUnits/{id}/members",
        target_kinds=("user", "group", "device"),
        reading=Reading.DELTA,
        adding=Adding.POST_REF,
        inverse_path="/{target_collection}/{id}/memberOf/microsoft.graph.administrativeUnit",
        read_permissions=("AdministrativeUnit.Read.All", "Member.Read.Hidden"),
        write_permissions=("AdministrativeUnit.ReadWrite.All",),
    ),
    RelationshipKind(
        name="administrativeUnit.scopedRoleMembers",
        source_kind="administrativeUnit",
        property="scopedRoleMembers",
        title="Scoped role members",
        list_path="/directory/administrativeUnits/{id}/scopedRoleMembers",
        target_kinds=("user", "servicePrincipal", "group"),
        reading=Reading.PER_SOURCE,
        adding=Adding.NOT_WRITABLE,
        reason=(
            "A scoped role member is the same thing as a role assignment whose scope is the "
            "administrative unit; it is restored as that unifiedRoleAssignment."
        ),
        read_permissions=("RoleManagement.Read.Directory",),
    ),
    RelationshipKind(
        name="device.registeredOwners",
        source_kind="device",
        property="registeredOwners",
        title="Registered owners",
        list_path="/devices/{id}/registeredOwners",
        target_kinds=_PRINCIPALS,
        reading=Reading.EXPAND,
        adding=Adding.NOT_WRITABLE,
        reason=(
            "Graph lets only a signed-in administrator write it, not an application. "
            "The owner is set again when the device is registered."
        ),
        read_permissions=("Device.Read.All",),
    ),
    RelationshipKind(
        name="device.registeredUsers",
        source_kind="device",
        property="registeredUsers",
        title="Registered users",
        list_path="/devices/{id}/registeredUsers",
        target_kinds=_PRINCIPALS,
        reading=Reading.EXPAND,
        adding=Adding.NOT_WRITABLE,
        reason=(
            "Graph lets only a signed-in administrator write it, not an application. "
            "The user is set again when the device is registered."
        ),
        read_permissions=("Device.Read.All",),
    ),
)

RELATIONSHIPS: dict[str, RelationshipKind] = {row.name: row for row in _ROWS}


def relationships_of(source_kind: str) -> tuple[RelationshipKind, ...]:
    """Return the rows whose links are stored at ``source_kind``, in table order."""
    return tuple(row for row in _ROWS if row.source_kind == source_kind)


def relationships_to(target_kind: str) -> tuple[RelationshipKind, ...]:
    """Return the rows whose links may point at ``target_kind``, in table order."""
    return tuple(row for row in _ROWS if target_kind in row.target_kinds)
