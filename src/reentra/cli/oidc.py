"""``reentra oidc set|show|off|on``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from reentra import errors
from reentra.cli import acting, session
from reentra.cli.options import DEFAULT_COMMON, Common
from reentra.cli.screen import Screen, escaped

app = App(name="oidc")


@app.command(name="set")
def set_provider(
    *,
    directory: Annotated[str, Parameter(help="The GUID of the directory that people sign in to.")],
    client_id: Annotated[str, Parameter(help="The application that they sign in to.")],
    client_secret_file: Annotated[
        Path, Parameter(help="A file with its client secret; it is read once and kept sealed.")
    ],
    rule: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            help="Who has which role, as groups:GUID=restorer or roles:VALUE=reader@TENANT; "
            "repeatable.",
        ),
    ] = (),
    cloud: Annotated[
        Literal["global", "usgov", "usgovdod", "china"], Parameter(help="Which cloud.")
    ] = "global",
    authority: Annotated[
        str, Parameter(help="Another authority. Plain http only to this machine.")
    ] = "",
    ca_file: Annotated[Path | None, Parameter(help="Certificates (PEM) to trust for it.")] = None,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Let people sign in with Microsoft Entra ID; groups or app roles say what they may do.

    Nobody without a rule comes in. Local accounts go on working when Entra is down.

    Example: reentra oidc set --directory 8b1f... --client-id 51c2... --client-secret-file s.txt
    --rule groups:6a0e...=restorer@contoso
    """
    from reentra.access.oidc import Provider, seal_secret
    from reentra.graph.connection import CLOUDS, Cloud, ensure_transport_is_safe

    screen = Screen(as_json=common.json)
    secret = session.secret_from_file(client_secret_file, "The client secret")
    chosen = (authority or CLOUDS[Cloud(cloud)].authority).rstrip("/")
    ensure_transport_is_safe(chosen)
    with session.opened(common) as application:
        provider = Provider(
            chosen,
            directory,
            client_id,
            seal_secret(application.access.vault, secret),
            tuple(_rule(text) for text in rule),
            ca_file="" if ca_file is None else str(ca_file.expanduser().absolute()),
        )
        application.access.save_provider(acting.actor(), provider)
        address = application.settings.public_url.rstrip("/")
    screen.say(f"[green]✓[/] People sign in at {escaped(address)}/api/v1/session/oidc")
    screen.say("Redirect URI for the application:")
    screen.say(f"  {escaped(address)}/api/v1/session/oidc/callback")
    screen.result(_document(provider.to_json()))
    return 0


@app.command
def show(*, common: Common = DEFAULT_COMMON) -> int:
    """Show the identity provider and its rules.

    Example: reentra oidc show
    """
    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        provider = application.access.load_provider()
    if provider is None:
        screen.say("People sign in with local accounts only. `reentra oidc set` sets a provider.")
        screen.result(None)
        return 0
    screen.say(f"{provider.authority}/{provider.directory}, client {provider.client_id}")
    screen.say("believed" if provider.is_enabled else "[yellow]switched off[/]")
    screen.table(
        ("Claim", "Value", "Role", "Tenant"),
        ((rule.claim, rule.value, rule.role.value, rule.tenant) for rule in provider.rules),
    )
    screen.result(_document(provider.to_json()))
    return 0


@app.command
def off(*, common: Common = DEFAULT_COMMON) -> int:
    """Shut out at once everybody whom the provider vouches for: the tenant is compromised.

    Example: reentra oidc off
    """
    return _switch(common, is_believed=False)


@app.command
def on(*, common: Common = DEFAULT_COMMON) -> int:
    """Believe the provider again.

    Example: reentra oidc on
    """
    return _switch(common, is_believed=True)


def _switch(common: Common, *, is_believed: bool) -> int:
    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        application.access.set_provider_believed(acting.actor(), is_believed=is_believed)
    screen.say(f"Signing in with the identity provider is {'on' if is_believed else 'off'}.")
    screen.result({"enabled": is_believed})
    return 0


def _rule(text: str) -> Any:
    from reentra.access import EVERY_TENANT
    from reentra.access.oidc import Rule

    left, _, right = text.partition("=")
    claim, _, value = left.partition(":")
    role, _, tenant = right.partition("@")
    if not (claim and value and role):
        raise errors.UsageError(
            f"--rule {text} is no rule.",
            hint="Write it as groups:GUID=restorer, or roles:VALUE=reader@TENANT.",
        )
    return Rule.from_json(
        {"claim": claim, "value": value, "role": role, "tenant": tenant or EVERY_TENANT}
    )


def _document(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "sealed_secret"}
