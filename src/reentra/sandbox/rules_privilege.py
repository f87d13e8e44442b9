"""Sensitive actions on privileged users, which need more than an application permission.

Off unless the tenant's options turn it on, since every application of a small tenant would then
need a role. A user is privileged when a directory role is assigned to it or to a role-assignable
group that it is in.
https://learn.microsoft.com/graph/api/resources/users#who-can-perform-sensitive-actions
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from reentra.sandbox.errors import denied
from reentra.sandbox.rules_shape import WriteContext
from reentra.sandbox.tenant import Record, Tenant

GLOBAL_ADMINISTRATOR: Final = "62e90394-69f5-4237-9190-012177145e10"
PRIVILEGED_AUTHENTICATION_ADMINISTRATOR: Final = "7be44c8a-adaf-4e2a-84d6-ab2649e08a13"
SENSITIVE: Final = frozenset(
    (
        "accountEnabled",
        "businessPhones",
        "mobilePhone",
        "onPremisesImmutableId",
        "otherMails",
        "passwordProfile",
        "userPrincipalName",
    )
)


def refuse_sensitive(
    tenant: Tenant, user: Record, context: WriteContext, changed: Iterable[str] | None = None
) -> None:
    """Refuse a sensitive change, deletion or restore of a privileged user to an ordinary app.

    ``changed`` are the properties of an update; None stands for a deletion or a restore.
    """
    if not tenant.options.guard_privileged:
        return
    if changed is not None and not SENSITIVE & set(changed):
        return
    if _is_privileged(tenant, user) and not _may_touch_privileged(tenant, context):
        raise denied()


def _is_privileged(tenant: Tenant, user: Record) -> bool:
    holders = (user.id, *tenant.all_sources("group.members", user.id))
    return any(
        tenant.count_by("unifiedRoleAssignment", "principalId", holder) for holder in holders
    ) or any(record.props.get("principalId") == user.id for record in tenant.waiting(user.id))


def _may_touch_privileged(tenant: Tenant, context: WriteContext) -> bool:
    principal = tenant.by_app_id("servicePrincipal", context.app_id) if context.app_id else None
    if principal is None:
        return False
    return any(
        assignment.props["roleDefinitionId"]
        in (GLOBAL_ADMINISTRATOR, PRIVILEGED_AUTHENTICATION_ADMINISTRATOR)
        and assignment.props.get("directoryScopeId") == "/"
        for assignment in tenant.by("unifiedRoleAssignment", "principalId", principal.id)
    )
