"""Tenants: connecting, checking, schedules, coverage, and backups."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, cast

import msgspec
from litestar import Request
from litestar.params import FromPath, JSONBody

from reentra import errors, tenants, viewing
from reentra.access import Permission
from reentra.access.rules import DISCONNECT
from reentra.api import guarding
from reentra.api.documents import (
    DisconnectedDocument,
    JobDocument,
    NewTenantDocument,
    PermissionsDocument,
    ScheduleDocument,
    TenantCoverageDocument,
    TenantDocument,
    TenantsDocument,
    coverage_documents,
)
from reentra.api.routing import Guid, Needs, route
from reentra.api.serving import Served, SignedIn
from reentra.connections import ensure_name_is_usable
from reentra.directory.selection import Selection
from reentra.directory.unread import UNREAD
from reentra.graph.client import connect as connect_graph
from reentra.graph.connection import Cloud, CredentialKind, TenantConnection
from reentra.jobs.schedules import Schedule
from reentra.restore.break_glass import find_accounts
from reentra.worker import OPEN

_TAGS = ("tenants",)
_MANY = 10_000


class NewTenant(msgspec.Struct, forbid_unknown_fields=True):
    """A tenant of Microsoft's clouds, and the application's secret to reach it.

    Other addresses, certificates and identities of a machine name files and hosts of the server:
    they are connected on its command line alone.
    """

    name: str
    tenant_id: Guid
    client_id: Guid
    client_secret: str
    cloud: Literal["global", "usgov", "usgovdod", "china"] = "global"


class Safeguarded(msgspec.Struct, forbid_unknown_fields=True):
    """The accounts that no restore may harm, by id or userPrincipalName; all of them."""

    break_glass: list[str]


class NewSchedule(msgspec.Struct, forbid_unknown_fields=True):
    """When a tenant is backed up: ``off``, ``every 6h``, ``daily 02:30``, ``cron 0 4 * * *``."""

    rule: str
    zone: str = "UTC"


class NewBackup(msgspec.Struct, forbid_unknown_fields=True):
    """How to back up; everything that changed when nothing is said."""

    full: bool = False
    anew: bool = False
    kinds: list[str] = []


@route("GET", "/tenants", Needs.SIGN_IN, tags=_TAGS, summary="Connected tenants")
def list_tenants(serving: Served, identity: SignedIn) -> TenantsDocument:
    """List the tenants that this person has a role for."""
    return {
        "items": [
            {
                **_document(item),
                "schedule": _schedule(serving.application.schedules.load(item.name)),
            }
            for item in serving.application.connections.list_known()
            if identity.sees(item.name)
        ]
    }


@route(
    "POST", "/tenants", Permission.CONNECT, action="tenant.connect", status=201, tags=_TAGS,
    summary="Connect a tenant",
)  # fmt: skip
def connect(
    data: JSONBody[NewTenant], request: Request[Any, Any, Any], serving: Served
) -> NewTenantDocument:
    """Sign in once as the application, and keep the connection encrypted in the repository."""
    guarding.tell(request, tenant=data.name, target=data.tenant_id)
    ensure_name_is_usable(data.name)
    connection = TenantConnection(
        name=data.name,
        tenant_id=data.tenant_id,
        client_id=data.client_id,
        credential=CredentialKind.CLIENT_SECRET,
        cloud=Cloud(data.cloud),
    )
    serving.application.connections.ensure_free(connection)
    connection = serving.application.connections.keeping_safeguards(connection)
    with connect_graph(connection, lambda: data.client_secret) as client:
        roles = client.granted_roles()
    tenants.connect(serving.application, connection, data.client_secret)
    return {
        **_document(connection),
        "granted_permissions": None if roles is None else sorted(roles),
    }


@route(
    "PUT", "/tenants/{tenant:str}", Permission.CONFIGURE, action="tenant.change", tags=_TAGS,
    summary="Name a tenant's break-glass accounts",
)  # fmt: skip
def configure(
    tenant: FromPath[str],
    data: JSONBody[Safeguarded],
    request: Request[Any, Any, Any],
    serving: Served,
) -> TenantDocument:
    """Look for the accounts in the tenant, and keep them in place of those named before."""
    wanted = tuple(dict.fromkeys(data.break_glass))
    guarding.tell(request, target=", ".join(wanted))
    with serving.visiting() as application:
        stored = application.connections.load(tenant)
        found = find_accounts(application.open_tenant(tenant).live, wanted) if wanted else {}
        if missing := [one for one in wanted if one not in found]:
            raise errors.NotFound(
                f"There is no user {', '.join(missing)} in the tenant {tenant}.",
                hint="Look at the spelling.",
            )
        connection = dataclasses.replace(stored.connection, break_glass=wanted)
        application.connections.add(connection, stored.secret)
    return _document(connection)


@route(
    "DELETE", "/tenants/{tenant:str}", Permission.DISCONNECT, action="tenant.disconnect",
    is_sensitive=True, tags=_TAGS, summary="Disconnect a tenant",
)  # fmt: skip
def disconnect(tenant: FromPath[str], serving: Served, identity: SignedIn) -> DisconnectedDocument:
    """Forget a tenant's connection, its secret, and who had a role or token for it.

    Its snapshots stay.
    """
    serving.application.connections.find(tenant)
    is_needed = serving.access.load_rules().disconnect
    serving.ensure_approved(identity, DISCONNECT, tenant, tenant, is_needed=is_needed)
    for job in serving.application.jobs.list_jobs(tenant=tenant, statuses=OPEN, limit=_MANY):
        serving.worker.runner.request_cancel(job.id)
    tenants.disconnect(serving.application, identity.actor, tenant)
    return {"name": tenant, "disconnected": True}


@route(
    "GET", "/tenants/{tenant:str}/permissions", Permission.BACK_UP, tags=_TAGS,
    summary="Which Graph permissions are needed, granted and missing",
)  # fmt: skip
def check_permissions(tenant: FromPath[str], serving: Served) -> PermissionsDocument:
    """Ask Graph for a little of every kind, and say what cannot be backed up or restored."""
    with serving.visiting() as application:
        opened = application.open_tenant(tenant)
        granted = opened.client.granted_roles()
        coverage = opened.live.coverage()
        tenant_id = opened.connection.tenant_id
    found = viewing.permissions_document(tenant, tenant_id, granted, coverage)
    return cast("PermissionsDocument", found)


@route(
    "GET", "/tenants/{tenant:str}/coverage", Permission.BROWSE, tags=_TAGS,
    summary="What the newest snapshot covers, and what not and why",
)  # fmt: skip
def coverage(tenant: FromPath[str], serving: Served) -> TenantCoverageDocument:
    """Return the coverage of every kind and relationship in the newest snapshot."""
    tenant_id = serving.synced(tenant)
    found = serving.application.catalog.list_snapshots(tenant_id, limit=1)
    if not found:
        raise errors.NotFound(f"{tenant} has no snapshot yet.", hint="Back it up first.")
    return {
        "snapshot": found[0].id,
        "coverage": coverage_documents(found[0].info.coverage()),
        "unread": [{"title": one.title, "where": one.where, "why": one.why} for one in UNREAD],
    }


@route(
    "GET", "/tenants/{tenant:str}/schedule", Permission.BROWSE, tags=_TAGS,
    summary="When a tenant is backed up",
)  # fmt: skip
def schedule(tenant: FromPath[str], serving: Served) -> ScheduleDocument:
    """Return a tenant's schedule and its next run."""
    serving.application.connections.find(tenant)
    return _schedule(serving.application.schedules.load(tenant))


@route(
    "PUT", "/tenants/{tenant:str}/schedule", Permission.SCHEDULE, action="schedule.change",
    tags=_TAGS, summary="Set when a tenant is backed up",
)  # fmt: skip
def set_schedule(
    tenant: FromPath[str],
    data: JSONBody[NewSchedule],
    request: Request[Any, Any, Any],
    serving: Served,
) -> ScheduleDocument:
    """Set a tenant's schedule, in its own time zone."""
    guarding.tell(request, target=data.rule)
    serving.application.connections.find(tenant)
    return _schedule(serving.application.schedules.save(tenant, data.rule, data.zone))


@route(
    "POST", "/tenants/{tenant:str}/backups", Permission.BACK_UP, action="backup.begin",
    status=202, tags=_TAGS, summary="Back up now",
)  # fmt: skip
def back_up(
    tenant: FromPath[str], data: JSONBody[NewBackup], serving: Served, identity: SignedIn
) -> JobDocument:
    """Queue a backup; the answer is its job."""
    serving.application.connections.find(tenant)
    if serving.worker.has_open_job(tenant, "backup"):
        raise errors.Refused(
            f"A backup of {tenant} waits or runs already.", hint="Watch it in the list of jobs."
        )
    kinds = sorted(Selection.parse(data.kinds).kinds)
    parameters = {"full": data.full, "anew": data.anew, "kinds": kinds}
    return serving.job_document(
        serving.worker.enqueue(identity.actor, "backup", tenant=tenant, parameters=parameters)
    )


def _document(connection: TenantConnection) -> TenantDocument:
    document = connection.to_json()
    for name in ("credential_file", "ca_file"):  # paths of the server are nobody's business
        del document[name]
    return cast("TenantDocument", document)


def _schedule(found: Schedule) -> ScheduleDocument:
    return cast("ScheduleDocument", found.to_json())


ROUTES = (
    list_tenants, connect, configure, disconnect, check_permissions, coverage, schedule,
    set_schedule, back_up,
)  # fmt: skip
