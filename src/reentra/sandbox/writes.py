"""The table of every documented write operation, and a way to perform one without HTTP.

An operation validates first and writes afterwards, so a refusal (a GraphError) leaves the tenant
as it was. Parameters named ``id`` may be an object id or, for users, a userPrincipalName; other
alternate keys are resolved by the HTTP side, which answers 404 itself when they lead nowhere.
The two upserts are the exception: they take ``uniqueName`` and do both.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

from reentra.sandbox import (
    rules_applications,
    rules_configuration,
    rules_credentials,
    rules_deletion,
    rules_groups,
    rules_licences,
    rules_locations,
    rules_policies,
    rules_principals,
    rules_references,
    rules_roles,
    rules_settings,
    rules_strengths,
    rules_users,
)
from reentra.sandbox.rules_shape import Route, WriteContext, WriteFunction, WriteResult
from reentra.sandbox.tenant import Tenant

__all__ = ["WRITE_ROUTES", "Route", "WriteContext", "WriteFunction", "WriteResult", "perform"]

WRITE_ROUTES: Final[tuple[Route, ...]] = (
    *rules_users.ROUTES,
    *rules_groups.ROUTES,
    *rules_applications.ROUTES,
    *rules_credentials.ROUTES,
    *rules_principals.ROUTES,
    *rules_references.ROUTES,
    *rules_licences.ROUTES,
    *rules_roles.ROUTES,
    *rules_policies.ROUTES,
    *rules_locations.ROUTES,
    *rules_settings.ROUTES,
    *rules_strengths.ROUTES,
    *rules_configuration.ROUTES,
    *rules_deletion.ROUTES,
)
"""Every write. A path matches at most one template of its method when literals win over names."""


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    return re.compile(
        "".join(
            re.escape(part) if at % 2 == 0 else f"(?P<{part}>[^/]+?)"
            for at, part in enumerate(parts)
        )
    )


def perform(
    tenant: Tenant, method: str, path: str, body: Any = None, context: WriteContext | None = None
) -> WriteResult:
    """Perform the write that a method and a path below the version root name.

    Raises:
        GraphError: the write is refused, and nothing was changed.
        LookupError: there is no such operation.
    """
    best: tuple[int, Route, dict[str, str]] | None = None
    for route in WRITE_ROUTES:
        if route.method == method and (match := _pattern(route.template).fullmatch(path)):
            params = match.groupdict()
            if best is None or len(params) < best[0]:
                best = (len(params), route, params)
    if best is None:
        raise LookupError(f"no write operation {method} {path}")
    return best[1].function(tenant, best[2], body, context)
