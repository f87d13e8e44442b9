"""Roles, permissions, and the one function that decides."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from reentra import errors

EVERY_TENANT = "*"


class Role(enum.StrEnum):
    """What somebody is for a tenant; each role may do what those before it may."""

    READER = "reader"
    OPERATOR = "operator"
    RESTORER = "restorer"
    ADMINISTRATOR = "administrator"


class Permission(enum.StrEnum):
    """What can be done. A permission of an installation is needed for all tenants at once."""

    BROWSE = "browse"  # snapshots, objects, search, comparisons, jobs, coverage
    BACK_UP = "back_up"  # and stop or take up such jobs
    DOWNLOAD = "download"
    RESTORE = "restore"  # plan, apply, stop and take up, approve for others
    SCHEDULE = "schedule"
    CONFIGURE = "configure"  # what is kept of a tenant, such as its break-glass accounts
    RETENTION = "retention"  # what is kept, and what is forgotten
    DISCONNECT = "disconnect"
    CONNECT = "connect"
    MAINTAIN = "maintain"  # check the repository, make the catalog anew
    PEOPLE = "people"
    SETTINGS = "settings"
    AUDIT = "audit"


_ORDER = tuple(Role)

LOWEST_ROLE: Mapping[Permission, Role] = {
    Permission.BROWSE: Role.READER,
    Permission.BACK_UP: Role.OPERATOR,
    Permission.DOWNLOAD: Role.OPERATOR,
    Permission.RESTORE: Role.RESTORER,
    Permission.SCHEDULE: Role.ADMINISTRATOR,
    Permission.CONFIGURE: Role.ADMINISTRATOR,
    Permission.RETENTION: Role.ADMINISTRATOR,
    Permission.DISCONNECT: Role.ADMINISTRATOR,
    Permission.CONNECT: Role.ADMINISTRATOR,
    Permission.MAINTAIN: Role.ADMINISTRATOR,
    Permission.PEOPLE: Role.ADMINISTRATOR,
    Permission.SETTINGS: Role.ADMINISTRATOR,
    Permission.AUDIT: Role.ADMINISTRATOR,
}

# These reach every tenant, so a role for one of them is not enough.
OF_THE_INSTALLATION = frozenset(
    {
        Permission.CONNECT,
        Permission.MAINTAIN,
        Permission.PEOPLE,
        Permission.SETTINGS,
        Permission.AUDIT,
    }
)

Grants = Mapping[str, Role]  # tenant's name, or EVERY_TENANT -> role


def role_for(grants: Grants, tenant: str) -> Role | None:
    """Return the highest role for a tenant, or ``None``."""
    found = [grants[name] for name in (tenant, EVERY_TENANT) if name in grants]
    return max(found, key=_ORDER.index, default=None)


def is_allowed(grants: Grants, permission: Permission, tenant: str = EVERY_TENANT) -> bool:
    """Decide whether these grants allow something on a tenant. What is not said is denied."""
    lowest = LOWEST_ROLE.get(permission)
    if lowest is None or not tenant:
        return False
    if permission in OF_THE_INSTALLATION:
        tenant = EVERY_TENANT
    role = role_for(grants, tenant)
    return role is not None and _ORDER.index(role) >= _ORDER.index(lowest)


def narrowed(grants: Grants, tenant: str, role: Role) -> Grants:
    """Return what is left of ``grants`` for who may act with ``role`` on ``tenant`` at most."""
    reached = [name for name in grants if tenant in (EVERY_TENANT, name)]
    if tenant != EVERY_TENANT and EVERY_TENANT in grants and tenant not in reached:
        reached.append(tenant)
    left: dict[str, Role] = {}
    for name in reached:
        held = role_for(grants, name)
        if held is not None:
            left[name] = min(held, role, key=_ORDER.index)
    return left


def parse_role(text: str) -> Role:
    """Return the role of that name.

    Raises: ``UsageError``.
    """
    try:
        return Role(text)
    except ValueError:
        raise errors.UsageError(
            f"There is no role {text!r}.", hint=f"Roles are: {', '.join(Role)}."
        ) from None
