"""What a tenant is made of: its records, the entries of its change log, and the tables of what
there is (relationships, lookup keys, what hangs on what).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from sys import intern
from types import MappingProxyType
from typing import Any, Final

DIRECTORY_TYPES: Final = (
    "user", "group", "device", "servicePrincipal", "application", "administrativeUnit",
    "directoryRole", "claimsMappingPolicy", "tokenLifetimePolicy", "tokenIssuancePolicy",
    "homeRealmDiscoveryPolicy", "activityBasedTimeoutPolicy",
)  # fmt: skip
"""The types that `Tenant.find` looks through, and that can stand at the end of a link."""

BASE_COLLECTION: Final = MappingProxyType(
    {"ipNamedLocation": "namedLocation", "countryNamedLocation": "namedLocation"}
)
"""Derived types that live in the collection of their base; a record keeps its derived type."""

NAVIGATIONS: Final = MappingProxyType(
    {
        "group.members": "memberOf",
        "group.owners": "ownedObjects",
        "user.manager": "directReports",
        "user.sponsors": "sponsorOf",
        "application.owners": "ownedObjects",
        "servicePrincipal.owners": "ownedObjects",
        "administrativeUnit.members": "memberOf",
        "device.registeredOwners": "ownedDevices",
        "device.registeredUsers": "registeredDevices",
        "directoryRole.members": "memberOf",
        "application.tokenIssuancePolicies": "appliesTo",
        "application.tokenLifetimePolicies": "appliesTo",
        "servicePrincipal.claimsMappingPolicies": "appliesTo",
        "servicePrincipal.homeRealmDiscoveryPolicies": "appliesTo",
        "servicePrincipal.tokenLifetimePolicies": "appliesTo",
        "application.federatedIdentityCredentials": "",
        "application.extensionProperties": "",
        "group.settings": "",
    }
)
"""Every stored relationship, by the name of the side that owns it, with the inverse's name.

The last three own their targets: those are purged with the owner.
"""

OWNING: Final = (
    "application.federatedIdentityCredentials",
    "application.extensionProperties",
    "group.settings",
)

INDEXED: Final = MappingProxyType(
    {
        "user": ("userPrincipalName", "proxyAddress", "skuId"),
        "group": ("mailNickname", "proxyAddress", "uniqueName", "groupTypes"),
        "administrativeUnit": ("membershipType",),
        "application": ("appId", "uniqueName", "identifierUris"),
        "servicePrincipal": ("appId", "servicePrincipalNames"),
        "device": ("deviceId",),
        "oAuth2PermissionGrant": ("clientId", "resourceId", "principalId"),
        "appRoleAssignment": ("principalId", "resourceId"),
        "unifiedRoleAssignment": ("principalId", "roleDefinitionId", "directoryScopeId", "scopeId"),
        "unifiedRoleEligibilitySchedule": ("principalId", "roleDefinitionId", "scopeId"),
        "scopedRoleMembership": ("administrativeUnitId", "roleId", "memberId"),
        "directoryRole": ("roleTemplateId",),
        "groupSetting": ("templateId",),
        "subscribedSku": ("skuId",),
    }
)
"""Keys by which `Tenant.by` finds live records, compared without letter case."""

ENDS: Final = MappingProxyType(
    {
        "appRoleAssignment": ("principalId", "resourceId"),
        "oAuth2PermissionGrant": ("clientId", "resourceId", "principalId"),
        "unifiedRoleAssignment": ("principalId", "scopeId"),
        "unifiedRoleEligibilitySchedule": ("principalId", "scopeId"),
        "scopedRoleMembership": ("administrativeUnitId", "memberId"),
    }
)
"""Records that hang on other objects, and the keys that name those objects."""


class Record:
    """One object of the tenant.

    ``cache`` belongs to the read side: it may put rendered bytes there, and every write clears
    it. ``born_at`` and ``written_at`` are clock seconds of the creation (or return from the bin)
    and of the last write. ``previous`` holds the properties before the last write when the tenant
    was told to remember them. ``kept`` holds what the recycle bin replaced.
    """

    __slots__ = (
        "born_at", "cache", "created_seq", "deleted_at", "id", "kept", "previous", "props", "seq",
        "type", "written_at",
    )  # fmt: skip

    def __init__(self, type_: str, id_: str, props: dict[str, Any], seq: int, at: float) -> None:
        self.type = type_
        self.id = id_
        self.props = props
        self.deleted_at: datetime | None = None
        self.created_seq = seq
        self.seq = seq
        self.born_at = at
        self.written_at = at
        self.cache: Any = None
        self.previous: dict[str, Any] | None = None
        self.kept: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"Record({self.type}/{self.id})"

    def to_json(self) -> dict[str, Any]:
        """Return everything but what the read side cached."""
        return {
            "type": self.type,
            "id": self.id,
            "props": self.props,
            "deleted_at": self.deleted_at.isoformat() if self.deleted_at else None,
            "kept": self.kept,
            "seqs": [self.created_seq, self.seq],
            "at": [self.born_at, self.written_at],
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Record:
        """Return the record that was saved."""
        props = {intern(name): value for name, value in saved["props"].items()}
        record = cls(intern(saved["type"]), intern(saved["id"]), props, 0, 0.0)
        if saved["deleted_at"]:
            record.deleted_at = datetime.fromisoformat(saved["deleted_at"]).astimezone(UTC)
        record.kept = saved["kept"]
        record.created_seq, record.seq = saved["seqs"]
        record.born_at, record.written_at = saved["at"]
        return record


class ChangeKind(enum.Enum):
    """What happened to an object, for the delta of its type."""

    CREATED = "created"
    UPDATED = "updated"
    SOFT_DELETED = "softDeleted"
    RESTORED = "restored"
    PURGED = "purged"
    LINKED = "linked"
    UNLINKED = "unlinked"


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the change log.

    ``properties`` names what was created or updated. ``nav`` (without the type: ``members``) and
    ``target`` are set for links only. ``at`` is clock seconds.
    """

    seq: int
    id: str
    kind: ChangeKind
    at: float
    properties: tuple[str, ...] = ()
    nav: str = ""
    target: str = ""
    target_type: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the entry as JSON."""
        return {
            **{name: getattr(self, name) for name in Change.__slots__},
            "kind": self.kind.value,
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Change:
        """Return the entry that was saved."""
        properties = tuple(saved["properties"])
        return cls(**{**saved, "kind": ChangeKind(saved["kind"]), "properties": properties})


@dataclass(slots=True)
class TenantOptions:
    """Where Graph's behaviour is uncertain or varies from tenant to tenant.

    ``edition`` is the licence level: ``free``, ``P1`` or ``P2``. ``foreign_apps`` are the
    applications of other tenants that a service principal may be made for, by appId, with what
    their publisher defines. ``guard_privileged`` refuses sensitive actions on users who hold a
    directory role to applications that hold none. ``policy_bin_serves_applications`` lets
    applications restore from the bin of Conditional Access: its documentation supports no kind of
    permission for that.
    """

    edition: str = "P2"
    policy_bin: bool = True
    policy_bin_serves_applications: bool = False
    deleted_upn_carries_id: bool = True
    remember_previous: bool = False
    guard_privileged: bool = False
    foreign_apps: dict[str, dict[str, Any]] = field(default_factory=dict)


def keys_of(record: Record, key: str) -> Sequence[str]:
    """Return the values under which a record is found by an indexed key, in one letter case."""
    props = record.props
    if key == "proxyAddress":
        addresses = {address.casefold() for address in props.get("proxyAddresses") or ()}
        if props.get("mail"):
            addresses.add("smtp:" + props["mail"].casefold())
        return sorted(addresses)
    if key == "skuId" and record.type != "subscribedSku":
        licences = props.get("assignedLicenses")
        return [licence["skuId"].casefold() for licence in licences] if licences else ()
    if key == "scopeId":
        # The object at the end of a directoryScopeId: a unit, an application, a principal.
        scope = str(props.get("directoryScopeId") or "").rpartition("/")[2]
        return (scope.casefold(),) if scope else ()
    if key == "memberId":
        return ((props.get("roleMemberInfo") or {}).get("id", "").casefold(),)
    value = props.get(key)
    if not value:
        return ()
    if isinstance(value, str):
        return (value.casefold(),)
    return [item.casefold() for item in dict.fromkeys(value)]


def ends_of(record: Record) -> tuple[str, ...]:
    """Return the ids of the objects that an assignment or grant hangs on."""
    return tuple(
        value for key in ENDS.get(record.type, ()) for value in keys_of(record, key) if value
    )


def collection_of(type_: str) -> str:
    """Return the type under which records of a type are kept together."""
    return BASE_COLLECTION.get(type_, type_)
