"""Retention: what is kept and why, forgetting, and giving the space back."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from litestar import Request
from litestar.params import FromPath, FromQuery, JSONBody

from reentra import errors, retaining
from reentra.access import Permission
from reentra.access.rules import RETENTION
from reentra.api import guarding
from reentra.api.documents import JobDocument, PrunePlanDocument, RetentionDocument
from reentra.api.routing import route
from reentra.api.serving import Served, Serving, SignedIn
from reentra.repository import RetentionPolicy, load_policy, plan_prune, save_policy

_TAGS = ("retention",)
_OF = "/tenants/{tenant:str}"


class NewRetention(msgspec.Struct, forbid_unknown_fields=True):
    """How many snapshots of each period are kept; 0 says nothing. All 0 forgets nothing.

    ``captures_within_days`` is about what restores kept before their first write.
    """

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within_days: int = 0
    captures_within_days: int = 0
    zone: str = "UTC"

    def policy(self) -> RetentionPolicy:
        """Return the policy that is meant.

        Raises: ``UsageError``.
        """
        return RetentionPolicy.from_json(msgspec.to_builtins(self))


class Forgetting(msgspec.Struct, forbid_unknown_fields=True):
    """Which snapshots and captures are hidden for ever: these, and those the policy lets go."""

    snapshots: list[str] = []
    apply_policy: bool = False


@route(
    "GET", _OF + "/retention", Permission.BROWSE, tags=_TAGS,
    summary="Which snapshots the policy keeps, and why",
)  # fmt: skip
def show_retention(tenant: FromPath[str], serving: Served) -> RetentionDocument:
    """Return a tenant's retention policy and what it makes of every snapshot and capture."""
    tenant_id = serving.synced(tenant)
    return _document(serving, tenant_id, load_policy(serving.application.repository, tenant_id))


@route(
    "GET", _OF + "/retention/preview", Permission.BROWSE, tags=_TAGS,
    summary="Which snapshots another policy would keep, and why",
)  # fmt: skip
def preview_retention(
    tenant: FromPath[str],
    serving: Served,
    last: FromQuery[int] = 0,
    hourly: FromQuery[int] = 0,
    daily: FromQuery[int] = 0,
    weekly: FromQuery[int] = 0,
    monthly: FromQuery[int] = 0,
    yearly: FromQuery[int] = 0,
    within_days: FromQuery[int] = 0,
    captures_within_days: FromQuery[int] = 0,
    zone: FromQuery[str] = "UTC",
) -> RetentionDocument:
    """Look what a policy would make of every snapshot and capture. Changes nothing."""
    tenant_id = serving.synced(tenant)
    wanted = RetentionPolicy(
        last, hourly, daily, weekly, monthly, yearly, within_days, captures_within_days, zone
    )
    return _document(serving, tenant_id, wanted)


@route(
    "PUT", _OF + "/retention", Permission.RETENTION, action="retention.change",
    is_sensitive=True, tags=_TAGS, summary="Set which snapshots are kept",
)  # fmt: skip
def set_retention(
    tenant: FromPath[str],
    data: JSONBody[NewRetention],
    request: Request[Any, Any, Any],
    serving: Served,
    identity: SignedIn,
) -> RetentionDocument:
    """Set a tenant's policy; it is kept to after every scheduled backup.

    Where the settings want it, a policy that keeps less is asked for by its first try, and set by
    the next one after somebody else has approved it.
    """
    tenant_id = serving.synced(tenant)
    repository = serving.application.repository
    wanted, known = data.policy(), load_policy(repository, tenant_id)
    guarding.tell(request, target=wanted.described())
    is_needed = serving.access.load_rules().retention and wanted.is_looser_than(known)
    subject = f"{known.described()} → {wanted.described()}"
    serving.ensure_approved(identity, RETENTION, tenant, subject, is_needed=is_needed)
    save_policy(repository, tenant_id, wanted, serving.application.clock.now())
    return _document(serving, tenant_id, wanted)


@route(
    "POST", _OF + "/forget", Permission.RETENTION, action="forget.begin", status=202,
    is_sensitive=True, tags=_TAGS, summary="Forget snapshots",
)  # fmt: skip
def forget(
    tenant: FromPath[str], data: JSONBody[Forgetting], serving: Served, identity: SignedIn
) -> JobDocument:
    """Queue the forgetting; the answer is its job. Nothing brings a forgotten snapshot back.

    To keep to the policy needs no second person: the policy had one.
    """
    if not data.snapshots and not data.apply_policy:
        raise errors.UsageError("Nothing was named to forget.", hint="Name snapshots.")
    tenant_id = serving.synced(tenant)
    application = serving.application
    chosen = retaining.found_ids(
        application.repository, application.catalog, tenant_id, data.snapshots
    )
    retaining.ensure_not_newest(application.repository, tenant_id, chosen)
    serving.worker.ensure_room(identity.actor)  # before an approval is used up
    is_needed = serving.access.load_rules().retention and bool(chosen)
    serving.ensure_approved(
        identity, RETENTION, tenant, f"forget {', '.join(sorted(chosen))}", is_needed=is_needed
    )
    parameters = {"snapshots": chosen, "apply_policy": data.apply_policy}
    return serving.job_document(
        serving.worker.enqueue(identity.actor, "forget", tenant=tenant, parameters=parameters)
    )


@route(
    "GET", "/prune", Permission.MAINTAIN, tags=_TAGS,
    summary="What a prune would do now",
)  # fmt: skip
def show_prune(serving: Served) -> PrunePlanDocument:
    """Look what is forgotten, and what giving its space back would merge and delete."""
    application = serving.application
    plan = plan_prune(application.repository, application.clock.now())
    return cast("PrunePlanDocument", plan.to_json())


@route(
    "POST", "/prune", Permission.MAINTAIN, action="prune.begin", status=202,
    is_sensitive=True, tags=_TAGS, summary="Give back the space of forgotten snapshots",
)  # fmt: skip
def prune(serving: Served, identity: SignedIn) -> JobDocument:
    """Queue the pruning. Nothing that is kept changes; it waits a minute at most for others."""
    return serving.job_document(serving.worker.enqueue(identity.actor, "prune"))


def _document(serving: Serving, tenant_id: str, policy: RetentionPolicy) -> RetentionDocument:
    application = serving.application
    preview = retaining.preview_retention(
        application.repository, application.catalog, tenant_id, policy, application.clock.now()
    )
    return cast("RetentionDocument", preview.to_json())


ROUTES = (
    show_retention, preview_retention, set_retention, forget, show_prune, prune,
)  # fmt: skip
