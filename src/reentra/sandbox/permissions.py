"""Which app-only permissions each operation needs, and whether a caller holds them.

The table is data/permissions.json, made from Graph's permissions reference; an empty list means
that only a signed-in user may do it. What the reference leaves out or lumps together is curated
here. https://learn.microsoft.com/graph/permissions-reference
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

_CA = "Policy.ReadWrite.ConditionalAccess"

# Every one of the groups must be met, each by any of its names.
_CURATED: Final[Mapping[tuple[str, str], tuple[tuple[str, ...], ...]]] = MappingProxyType(
    {
        ("POST", "/groups/{id}/members"): (
            ("GroupMember.ReadWrite.All", "Group.ReadWrite.All", "Directory.ReadWrite.All"),
        ),
        ("GET", "/organization/{id}"): (
            ("Organization.Read.All", "Organization.ReadWrite.All", "Directory.Read.All",
             "Directory.ReadWrite.All", "User.Read.All"),
        ),
        ("PATCH", "/organization/{id}"): (("Organization.ReadWrite.All",),),
        ("GET", "/directory/administrativeunits/delta"): (
            ("AdministrativeUnit.Read.All", "AdministrativeUnit.ReadWrite.All",
             "Directory.Read.All", "Directory.ReadWrite.All"),
        ),
        ("GET", "/oauth2permissiongrants/delta"): (
            ("Directory.Read.All", "DelegatedPermissionGrant.ReadWrite.All",
             "Directory.ReadWrite.All"),
        ),
        ("GET", "/domains/{id}/domainnamereferences"): (
            ("Domain.Read.All", "Domain.ReadWrite.All"),
        ),
        ("GET", "/groupsettingtemplates"): (
            ("GroupSettings.Read.All", "GroupSettings.ReadWrite.All", "Directory.Read.All",
             "Directory.ReadWrite.All"),
        ),
        ("DELETE", "/directoryobjects/{id}"): (("Directory.ReadWrite.All",),),
        # Nobody may; the operation itself says so.
        ("POST", "/subscribedskus"): (),
        ("PATCH", "/subscribedskus/{id}"): (),
        ("DELETE", "/subscribedskus/{id}"): (),
        # The reference names Policy.Read.All as enough to write; the pages of the operations ask
        # for both.
        ("POST", "/identity/conditionalaccess/policies"): (("Policy.Read.All",), (_CA,)),
        ("PATCH", "/identity/conditionalaccess/policies/{id}"): (("Policy.Read.All",), (_CA,)),
        ("DELETE", "/identity/conditionalaccess/policies/{id}"): (("Policy.Read.All",), (_CA,)),
        ("POST", "/identity/conditionalaccess/namedlocations"): (("Policy.Read.All",), (_CA,)),
        ("PATCH", "/identity/conditionalaccess/namedlocations/{id}"): (
            ("Policy.Read.All",), (_CA,),
        ),
        ("DELETE", "/identity/conditionalaccess/namedlocations/{id}"): (
            ("Policy.Read.All",), (_CA,),
        ),
        ("POST", "/serviceprincipals/{id}/approleassignedto"): (
            ("AppRoleAssignment.ReadWrite.All",),
            ("Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All"),
        ),
        ("POST", "/serviceprincipals/{id}/approleassignments"): (
            ("AppRoleAssignment.ReadWrite.All",),
            ("Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All"),
        ),
    }
)  # fmt: skip

_BIN_WRITERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "user": ("User.DeleteRestore.All", "User.ReadWrite.All"),
        "group": ("Group.ReadWrite.All",),
        "application": ("Application.ReadWrite.All", "Application.ReadWrite.OwnedBy"),
        "servicePrincipal": ("Application.ReadWrite.All", "Application.ReadWrite.OwnedBy"),
        "administrativeUnit": ("AdministrativeUnit.ReadWrite.All",),
        "device": ("Device.ReadWrite.All",),
    }
)
"""Who may restore or purge an object in the recycle bin, by its type."""

_BIN_READERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "user": "/users/{id}",
        "group": "/groups/{id}",
        "application": "/applications/{id}",
        "servicePrincipal": "/serviceprincipals/{id}",
        "administrativeUnit": "/directory/administrativeunits/{id}",
        "device": "/devices/{id}",
    }
)

_CA_BIN = "/identity/conditionalaccess/deleteditems/"


@cache
def _table() -> dict[str, dict[str, list[str]]]:
    text = resources.files(__package__).joinpath("data/permissions.json").read_text("utf-8")
    table: dict[str, dict[str, list[str]]] = json.loads(text)
    return table


@cache
def _groups(method: str, path: str) -> tuple[frozenset[str], ...] | None:
    """Return the groups of permissions an operation needs, None when the table lacks it."""
    curated = _CURATED.get((method, path))
    if curated is not None:
        return tuple(frozenset(group) for group in curated)
    row = _table().get(path, {}).get(method)
    return None if row is None else (frozenset(row),)


@cache
def permission_path(template: str) -> str:
    """Return a route template as the permissions table spells it."""
    path = re.sub(r"\(\w+='\{\w+\}'\)", "/{id}", template)
    path = re.sub(r"\{[^}]*\}", "{id}", path).lower()
    for suffix in ("/$ref", "/$count", "()"):
        path = path.removesuffix(suffix)
    return path


def is_allowed(method: str, template: str, roles: frozenset[str], bin_type: str = "") -> bool:
    """Tell whether the permissions suffice for an operation.

    ``bin_type`` is the type of the object for operations on the recycle bin, whose permissions
    are those of the type. An operation that the table lacks is refused.
    """
    path = permission_path(template)
    if path.startswith("/directory/deleteditems"):
        if method == "GET":
            reader = _BIN_READERS.get(bin_type)
            return reader is not None and is_allowed("GET", reader, roles)
        return bool(roles & frozenset(_BIN_WRITERS.get(bin_type, ())))
    if path.startswith(_CA_BIN):
        if method == "GET":
            return "Policy.Read.All" in roles
        return "Policy.Read.All" in roles and _CA in roles
    groups = _groups(method, path)
    if groups is None and path.count("/") > 1:
        # One object of a sub-collection is read with what its list needs.
        groups = _groups(method, path.rpartition("/")[0])
    if groups is None:
        return False
    return all(group & roles for group in groups)


def every_permission() -> frozenset[str]:
    """Return every permission that some operation of the sandbox accepts."""
    names = {n for methods in _table().values() for row in methods.values() for n in row}
    for groups in _CURATED.values():
        names.update(name for group in groups for name in group)
    for writers in _BIN_WRITERS.values():
        names.update(writers)
    return frozenset(names)
