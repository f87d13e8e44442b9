"""Approvals: what waits for a second person's word, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Response
from litestar.params import FromPath

from reentra import clock as clocks
from reentra.access import EVERY_TENANT, Permission
from reentra.api import restores
from reentra.web import rendering
from reentra.web.routing import form_for, page
from reentra.web.visiting import Visit, Visiting

_AT_ONCE = 200


@page("/tenants/{tenant:str}/approvals", Permission.RESTORE)
def show_approvals(tenant: FromPath[str], visit: Visiting) -> Response[str]:
    """Show what waits, with who asked for it, and what was decided."""
    return _show(visit, tenant, visit.ask(restores.list_approvals, tenant=tenant, limit=_AT_ONCE))


@page("/approvals", Permission.SETTINGS)
def show_own_approvals(visit: Visiting) -> Response[str]:
    """Show the same for what belongs to no tenant."""
    return _show(visit, "", visit.ask(restores.list_own_approvals, limit=_AT_ONCE))


def _show(visit: Visit, tenant: str, listed: Mapping[str, Any]) -> Response[str]:
    found = listed["items"]
    now = visit.serving.application.clock.now()
    waiting, decided = [], []
    for item in found:
        is_over = clocks.parse_iso(item["expires_at"]) <= now
        if item["decided_at"] is None and not is_over:
            waiting.append(item)
        else:
            decided.append({**item, "is_over": is_over})
    person = None if visit.identity is None else visit.identity.person.id
    return visit.show(
        "approvals.html", tenant=tenant, waiting=waiting, decided=decided, person_id=person,
        may_disconnect=visit.may(Permission.DISCONNECT, tenant or EVERY_TENANT),
    )  # fmt: skip


@form_for("/tenants/{tenant:str}/approvals/{approval:str}", restores.decide)
def decide(tenant: FromPath[str], approval: FromPath[str], visit: Visiting) -> Response[Any]:
    """Approve or deny what somebody else asked for."""
    data = restores.Decision(granted=visit.value("granted") == "true")
    visit.ask(restores.decide, tenant=tenant, approval=approval, data=data)
    return visit.lead(rendering.path("tenants", tenant, "approvals"))


@form_for("/approvals/{approval:str}", restores.decide_own)
def decide_own(approval: FromPath[str], visit: Visiting) -> Response[Any]:
    """Approve or deny what concerns the installation."""
    data = restores.Decision(granted=visit.value("granted") == "true")
    visit.ask(restores.decide_own, approval=approval, data=data)
    return visit.lead("/approvals")


ROUTES = (show_approvals, show_own_approvals, decide, decide_own)
