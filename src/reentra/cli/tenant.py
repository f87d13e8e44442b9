"""``reentra tenant connect|set|list|check|disconnect``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from reentra import errors, tenants
from reentra.cli import acting, session, viewing
from reentra.cli.options import DEFAULT_COMMON, Common, TenantName
from reentra.cli.screen import EXIT_PARTIAL, Screen, escaped
from reentra.directory import permissions

if TYPE_CHECKING:
    from reentra.app import Application
    from reentra.graph.connection import TenantConnection

app = App(name="tenant")


@app.command
def connect(
    name: Annotated[str, Parameter(help="How this tenant is called from now on.")],
    /,
    *,
    tenant_id: Annotated[str, Parameter(help="The tenant's GUID.")],
    client_id: Annotated[str, Parameter(help="The application's client id.")] = "",
    client_secret_file: Annotated[
        Path | None,
        Parameter(help="A file with the client secret; it is read once and kept encrypted."),
    ] = None,
    certificate_file: Annotated[
        Path | None, Parameter(help="The application's certificate with its key (PEM or PFX).")
    ] = None,
    certificate_password_file: Annotated[
        Path | None, Parameter(help="A file with the certificate's password.")
    ] = None,
    managed_identity: Annotated[
        bool, Parameter(negative="", help="Sign in as this machine's managed identity.")
    ] = False,
    workload_identity_file: Annotated[
        Path | None, Parameter(help="The token file of a workload identity.")
    ] = None,
    cloud: Annotated[
        Literal["global", "usgov", "usgovdod", "china"], Parameter(help="Which cloud.")
    ] = "global",
    graph_endpoint: Annotated[
        str, Parameter(help="Another Graph, with --authority. Plain http only to this machine.")
    ] = "",
    authority: Annotated[str, Parameter(help="Another token authority.")] = "",
    ca_file: Annotated[
        Path | None, Parameter(help="Certificates (PEM) to trust for both of them.")
    ] = None,
    try_it: Annotated[
        bool, Parameter(name="--try", help="Sign in once before it is recorded.")
    ] = True,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Connect a tenant, so that it can be backed up and restored.

    Connecting the same name again replaces the credential.

    Example: reentra tenant connect contoso --tenant-id 8b1f... --client-id 51c2...
    --client-secret-file secret.txt
    """
    from reentra.graph.client import connect as connect_graph
    from reentra.graph.connection import Cloud, CredentialKind, TenantConnection

    screen = Screen(as_json=common.json)
    ways = {
        CredentialKind.CLIENT_SECRET: client_secret_file,
        CredentialKind.CERTIFICATE: certificate_file,
        CredentialKind.MANAGED_IDENTITY: managed_identity or None,
        CredentialKind.WORKLOAD_IDENTITY: workload_identity_file,
    }
    chosen = [kind for kind, value in ways.items() if value is not None]
    if len(chosen) != 1:
        raise errors.UsageError(
            "One credential is needed." if not chosen else "Only one credential can be used.",
            hint="Give --client-secret-file, --certificate-file, --managed-identity or "
            "--workload-identity-file.",
        )
    kind = chosen[0]
    secret = ""
    if client_secret_file is not None:
        secret = session.secret_from_file(client_secret_file, "The client secret")
    elif certificate_password_file is not None:
        secret = session.secret_from_file(certificate_password_file, "The certificate's password")
    is_custom = bool(graph_endpoint or authority)
    connection = TenantConnection(
        name=name,
        tenant_id=tenant_id,
        client_id=client_id,
        credential=kind,
        credential_file=_absolute(certificate_file or workload_identity_file),
        cloud=Cloud.CUSTOM if is_custom else Cloud(cloud),
        graph_endpoint=graph_endpoint.rstrip("/").removesuffix("/v1.0"),
        authority=authority,
        ca_file=_absolute(ca_file),
    )
    with (
        session.opened(common) as application,
        acting.recorded(application, "tenant.connect", tenant=name, target=tenant_id),
    ):
        connection = _with_settings(application, connection)
        application.connections.ensure_free(connection)
        connection = application.connections.keeping_safeguards(connection)
        roles: frozenset[str] | None = None
        if try_it:
            with connect_graph(connection, lambda: secret) as client:
                roles = client.granted_roles()
        tenants.connect(application, connection, secret)
    screen.say(f"[green]✓[/] Connected [bold]{name}[/] (tenant {connection.tenant_id})")
    if roles is not None:
        screen.say(f"  {len(roles)} application permissions are granted.")
    screen.say(f"Next: `reentra tenant check {name}`, then `reentra backup {name}`.")
    screen.result(
        {
            **connection.to_json(),
            "granted_permissions": None if roles is None else sorted(roles),
        }
    )
    return 0


@app.command(name="set")
def set_(
    name: TenantName,
    /,
    *,
    break_glass: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            help="A break-glass account, by id or userPrincipalName; repeatable. All that are "
            "given replace those named before.",
        ),
    ] = (),
    no_break_glass: Annotated[
        bool, Parameter(negative="", help="Name no break-glass account any more.")
    ] = False,
    try_it: Annotated[
        bool, Parameter(name="--try", help="Look for the accounts in the tenant first.")
    ] = True,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Change what is kept of a tenant beside its credential, or show it.

    A restore refuses to change a break-glass account, and to enable a Conditional Access policy
    that does not exclude it. The id is better than the name: names change.

    Example: reentra tenant set contoso --break-glass emergency@contoso.com
    """
    from reentra.restore.break_glass import find_accounts

    screen = Screen(as_json=common.json)
    if break_glass and no_break_glass:
        raise errors.UsageError(
            "Accounts are both named and taken back.",
            hint="Give --break-glass or --no-break-glass.",
        )
    with session.opened(common) as application:
        stored = application.connections.load(name)
        connection = stored.connection
        if break_glass or no_break_glass:
            wanted = tuple(dict.fromkeys(break_glass))
            connection = dataclasses.replace(connection, break_glass=wanted)
            with acting.recorded(
                application, "tenant.change", tenant=name, target=", ".join(wanted)
            ):
                if wanted and try_it:
                    found = find_accounts(application.open_tenant(name).live, wanted)
                    missing = [one for one in wanted if one not in found]
                    if missing:
                        raise errors.NotFound(
                            f"There is no user {', '.join(missing)} in the tenant {name}.",
                            hint="Look at the spelling; --no-try records them unseen.",
                        )
                application.connections.add(connection, stored.secret)
    if connection.break_glass:
        screen.say("Break-glass accounts, which no restore touches:")
        for account in connection.break_glass:
            screen.say(f"  {escaped(account)}")
    else:
        screen.say(f"[yellow]![/] No break-glass account is named for {escaped(name)}.")
    screen.result({"name": name, "break_glass": list(connection.break_glass)})
    return 0


@app.command(name="list")
def list_tenants(*, common: Common = DEFAULT_COMMON) -> int:
    """List the connected tenants.

    What this machine knows is listed without the passphrase; on a new machine the repository is
    asked.

    Example: reentra tenant list
    """
    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        known = application.connections.list_known()
        if not known and application.has_repository:
            known = application.connections.list_all()
    if known:
        screen.table(
            ("Name", "Tenant", "Application", "Cloud"),
            (
                (item.name, item.tenant_id, item.client_id, item.graph_endpoint or item.cloud.value)
                for item in known
            ),
        )
    else:
        screen.say("No tenant is connected. `reentra tenant connect` adds one.")
    screen.result([item.to_json() for item in known])
    return 0


@app.command
def check(name: TenantName, /, *, common: Common = DEFAULT_COMMON) -> int:
    """Show which permissions backup and restore need, which are granted, and what is not covered.

    Asks Graph for a little of every kind. Exit code 3 when something cannot be backed up.

    Example: reentra tenant check contoso
    """
    from reentra.directory.kinds import KINDS
    from reentra.directory.relationships import RELATIONSHIPS

    screen = Screen(as_json=common.json)
    with session.opened(common) as application, screen.progress() as listener:
        tenant = application.open_tenant(name, listener=listener)
        granted = tenant.client.granted_roles()
        coverage = tenant.live.coverage()
    needs = permissions.needs(KINDS.values(), RELATIONSHIPS.values(), granted)
    uncovered = {what: found for what, found in sorted(coverage.items()) if not found.is_complete}
    screen.table(
        ("Permission", "For backup of", "For restore of", "Granted"),
        (
            (
                need.permission,
                ", ".join(need.for_backup) or "-",
                ", ".join(need.for_restore) or "-",
                {True: "yes", False: "NO", None: "unknown"}[need.is_granted],
            )
            for need in needs
        ),
    )
    if granted is None:
        screen.say("The token does not show its permissions; what follows was found by asking.")
    if uncovered:
        screen.say("[yellow]Not covered by a backup:[/]")
        for what, found in uncovered.items():
            screen.say(f"  [bold]{what}[/] ({found.status.value}): {escaped(found.reason)}")
    else:
        screen.say(f"[green]✓[/] Everything is covered: {len(coverage)} kinds and relationships.")
    blocked = sorted(
        {kind for need in needs if need.is_granted is False for kind in need.for_restore}
    )
    if blocked:
        screen.say(f"[yellow]Not fully restorable with these permissions:[/] {', '.join(blocked)}")
    screen.result(
        viewing.permissions_document(name, tenant.connection.tenant_id, granted, coverage)
    )
    return EXIT_PARTIAL if uncovered else 0


@app.command
def disconnect(name: TenantName, /, *, common: Common = DEFAULT_COMMON) -> int:
    """Forget a tenant's connection, its secret, and who had a role or token for it.

    Its snapshots stay.

    Example: reentra tenant disconnect contoso
    """
    screen = Screen(as_json=common.json)
    with (
        session.opened(common) as application,
        acting.recorded(application, "tenant.disconnect", tenant=name),
    ):
        tenants.disconnect(application, acting.actor(), name)
    screen.say(f"[green]✓[/] Disconnected [bold]{escaped(name)}[/]; its snapshots stay.")
    screen.result({"name": name, "disconnected": True})
    return 0


def _with_settings(application: Application, connection: TenantConnection) -> TenantConnection:
    """Return the connection with what was set for it under its name before."""
    try:
        known = application.connections.load(connection.name).connection
    except (errors.NotFound, errors.RepositoryDamaged):
        return connection
    return dataclasses.replace(connection, break_glass=known.break_glass)


def _absolute(path: Path | None) -> str:
    return "" if path is None else str(path.expanduser().absolute())
