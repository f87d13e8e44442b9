"""``reentra tokens create|list|revoke``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from reentra.cli import acting, session
from reentra.cli.options import DEFAULT_COMMON, Common
from reentra.cli.people import RoleName
from reentra.cli.screen import Screen, escaped

app = App(name="tokens")


@app.command
def create(
    name: Annotated[str, Parameter(help="What it is for.")],
    /,
    *,
    person: Annotated[str, Parameter(help="For whom it acts; it never reaches further than they.")],
    role: Annotated[RoleName, Parameter(help="What it may do at most.")],
    tenant: Annotated[str, Parameter(help="For this tenant alone; without it, for all.")] = "",
    days: Annotated[int, Parameter(help="How long it is good.")] = 90,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Make an API token for a script, and print it once.

    Example: reentra tokens create nightly --person adele@contoso.com --role operator
    --tenant contoso
    """
    from reentra.access import EVERY_TENANT, Role

    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        access = application.access
        if tenant:
            application.connections.find(tenant)
        made, secret = access.tokens.create(
            acting.actor(),
            access.people.find(person),
            name,
            tenant or EVERY_TENANT,
            Role(role),
            days,
        )
    screen.say(f"[green]✓[/] Token {made.id}, good until {made.expires_at[:10]}; shown this once:")
    screen.say()
    screen.say(f"    [bold]{escaped(secret)}[/]")
    screen.say()
    screen.say("Send it as `Authorization: Bearer TOKEN`.")
    screen.result({**made.to_json(), "token": secret})
    return 0


@app.command(name="list")
def list_tokens(*, common: Common = DEFAULT_COMMON) -> int:
    """List API tokens, newest first; what they are is not shown again.

    Example: reentra tokens list
    """
    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        found = application.access.tokens.list_tokens()
    if found:
        screen.table(
            ("Token", "Name", "Acts for", "Tenant", "Role", "Good until", "Last used"),
            (
                (
                    token.id,
                    token.name,
                    token.person,
                    token.tenant,
                    token.role.value,
                    "revoked" if token.revoked_at else token.expires_at[:10],
                    (token.used_at or "never")[:10],
                )
                for token in found
            ),
        )
    else:
        screen.say("There is no token.")
    screen.result([token.to_json() for token in found])
    return 0


@app.command
def revoke(
    token: Annotated[str, Parameter(help="The token's id, as `tokens list` shows it.")],
    /,
    *,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Make an API token void at once.

    Example: reentra tokens revoke 1f2e3d4c
    """
    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        found = application.access.tokens.revoke(acting.actor(), token)
    screen.say(f"[green]✓[/] Token {found.id} ({escaped(found.name)}) is void.")
    screen.result(found.to_json())
    return 0
