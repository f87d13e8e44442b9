"""The table of every documented write operation, as the HTTP side dispatches to them.

An operation validates first and writes afterwards, so a refusal (a GraphError) leaves the tenant
as it was. Parameters named ``id`` may be an object id or, for users, a userPrincipalName; other
alternate keys are resolved by the HTTP side, which answers 404 itself when they lead nowhere.
The two upserts are the exception: they take ``uniqueName`` and do both.
"""

from __future__ import annotations

from typing import Final

from reentra.sandbox import (
    rules_applications,
    rules_deletion,
    rules_groups,
    rules_licences,
    rules_policies,
    rules_principals,
    rules_references,
    rules_roles,
    rules_settings,
    rules_users,
)
from reentra.sandbox.rules_shape import Route, WriteContext, WriteFunction, WriteResult

__all__ = ["WRITE_ROUTES", "Route", "WriteContext", "WriteFunction", "WriteResult"]

WRITE_ROUTES: Final[tuple[Route, ...]] = (
    *rules_users.ROUTES,
    *rules_groups.ROUTES,
    *rules_applications.ROUTES,
    *rules_principals.ROUTES,
    *rules_references.ROUTES,
    *rules_licences.ROUTES,
    *rules_roles.ROUTES,
    *rules_policies.ROUTES,
    *rules_settings.ROUTES,
    *rules_deletion.ROUTES,
)
"""Every write, in no order: no two templates match the same path but a key in parentheses."""
