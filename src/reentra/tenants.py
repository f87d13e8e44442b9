"""What stands under a tenant's name when it comes and goes: the next of the name inherits nothing.

Jobs and requests for approval are kept under the tenant's name. When it is disconnected they move
to a name that no tenant can have, made of the tenant's id; when the same tenant is connected under
that name again, its jobs come back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reentra.access import Actor
    from reentra.app import Application
    from reentra.graph.connection import TenantConnection


def retired_name(name: str, tenant_id: str) -> str:
    """Return the name for what a tenant that is gone has left; no connection can have it."""
    return f"{name}#{tenant_id.lower()}"


def disconnect(application: Application, actor: Actor, name: str) -> None:
    """Forget a tenant's connection, and take away all that stands under its name.

    Its snapshots stay. Roles go first: should the rest fail, nobody is left with one for a name
    that is free. Repeating it after a crash is safe.
    Raises: ``NotFound``.
    """
    known = application.connections.find(name)
    retired = retired_name(name, known.tenant_id)
    application.access.forget_tenant(actor, name, retired)
    application.jobs.rename_tenant(name, retired)
    application.connections.remove(name)
    application.schedules.remove(name)


def connect(application: Application, connection: TenantConnection, secret: str) -> None:
    """Keep a connection, and give a tenant that was there before its jobs back.

    Raises: ``AlreadyExists`` when the name stands for another tenant.
    """
    application.connections.add(connection, secret)
    retired = retired_name(connection.name, connection.tenant_id)
    application.jobs.rename_tenant(retired, connection.name)
