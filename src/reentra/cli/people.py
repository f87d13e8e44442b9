"""``reentra people add|list|role|disable|enable|link|password|totp``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from reentra import errors
from reentra.cli import acting, session
from reentra.cli.options import DEFAULT_COMMON, Common
from reentra.cli.screen import Screen, escaped

if TYPE_CHECKING:
    from reentra.access import Person
    from reentra.app import Application

app = App(name="people")

PersonName = Annotated[str, Parameter(help="The name that they sign in with.")]
RoleName = Literal["reader", "operator", "restorer", "administrator"]
RoleTenant = Annotated[str, Parameter(help="For this tenant alone; without it, for all of them.")]


@app.command
def add(
    name: PersonName,
    /,
    *,
    role: Annotated[RoleName, Parameter(help="What they may do.")],
    tenant: RoleTenant = "",
    common: Common = DEFAULT_COMMON,
) -> int:
    """Add somebody who may sign in, and print the one-time link to set their password.

    A reader browses, searches and compares; an operator also backs up and downloads; a restorer
    also restores; an administrator also connects tenants, schedules, and manages people.

    Example: reentra people add adele@contoso.com --role restorer --tenant contoso
    """
    from reentra.access import EVERY_TENANT, Role

    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        if tenant:
            application.connections.find(tenant)
        grants = {tenant or EVERY_TENANT: Role(role)}
        made, secret = application.access.people.add(acting.actor(), name, grants)
        _show_link(application, screen, made, secret)
    return 0


@app.command(name="list")
def list_people(*, common: Common = DEFAULT_COMMON) -> int:
    """List who may sign in, and with which roles.

    Example: reentra people list
    """
    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        found = application.access.people.list_people()
    if found:
        screen.table(
            ("Name", "Roles", "Signs in with", "State"),
            (
                (
                    person.name,
                    ", ".join(f"{role} ({of})" for of, role in sorted(person.grants.items())),
                    _way(person),
                    "disabled" if person.is_disabled else "",
                )
                for person in found
            ),
        )
    else:
        screen.say("Nobody can sign in yet. `reentra people add NAME --role administrator`.")
    screen.result([person.to_json() for person in found])
    return 0


@app.command
def role(
    name: PersonName,
    role: Annotated[RoleName | Literal["none"], Parameter(help="The role; none takes it away.")],
    /,
    *,
    tenant: RoleTenant = "",
    common: Common = DEFAULT_COMMON,
) -> int:
    """Give somebody a role for a tenant or for all, or take it away.

    Example: reentra people role adele@contoso.com operator --tenant contoso
    """
    from reentra.access import EVERY_TENANT, Role

    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        people = application.access.people
        chosen = None if role == "none" else Role(role)
        if tenant and chosen is not None:
            application.connections.find(tenant)
        found = people.set_role(
            acting.actor(), people.find(name).id, tenant or EVERY_TENANT, chosen
        )
    screen.say(f"[green]✓[/] {escaped(found.name)} is {role} for {tenant or 'all tenants'}.")
    screen.result(found.to_json())
    return 0


@app.command
def disable(name: PersonName, /, *, common: Common = DEFAULT_COMMON) -> int:
    """Shut somebody out at once; their sessions end and their tokens are revoked.

    Example: reentra people disable adele@contoso.com
    """
    return _set_disabled(name, common, is_disabled=True)


@app.command
def enable(name: PersonName, /, *, common: Common = DEFAULT_COMMON) -> int:
    """Let somebody in again who was disabled.

    Example: reentra people enable adele@contoso.com
    """
    return _set_disabled(name, common, is_disabled=False)


@app.command
def link(name: PersonName, /, *, common: Common = DEFAULT_COMMON) -> int:
    """Print a new one-time link by which somebody sets their password.

    Example: reentra people link adele@contoso.com
    """
    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        found = application.access.people.find(name)
        secret = application.access.people.renew_link(acting.actor(), found.id)
        _show_link(application, screen, found, secret)
    return 0


@app.command
def password(
    name: PersonName,
    /,
    *,
    password_file: Annotated[
        Path | None, Parameter(help="A file whose first line is the password; else it is asked.")
    ] = None,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Set somebody's password here, without a link. Their sessions end.

    Example: reentra people password adele@contoso.com --password-file new.txt
    """
    screen = Screen(as_json=common.json)
    if password_file is not None:
        chosen = session.secret_from_file(password_file, "The password")
    else:
        chosen = session.asked("New password: ", "the new password")
        if session.asked("The same again: ", "the password again") != chosen:
            raise errors.UsageError("The two passwords differ; nothing was changed.")
    with session.opened(common) as application:
        people = application.access.people
        secret = people.renew_link(acting.actor(), people.find(name).id)
        found = people.set_up(secret, chosen, acting.actor().address)
    screen.say(f"[green]✓[/] {escaped(found.name)} has a new password.")
    screen.result(found.to_json())
    return 0


@app.command
def totp(
    name: PersonName,
    /,
    *,
    off: Annotated[bool, Parameter(negative="", help="Switch the second factor off.")] = False,
    recovery_codes: Annotated[
        bool, Parameter(negative="", help="Make new recovery codes; those before them are void.")
    ] = False,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Switch somebody's one-time codes on, or off when they lost their device.

    Switching on prints the seed once and takes a first code, so that nobody is locked out; then
    eight recovery codes, each good once in place of a code when the device is lost.

    Example: reentra people totp adele@contoso.com --off
    """
    from reentra.access import totp as codes

    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        people = application.access.people
        found = people.find(name)
        made: list[str] = []
        if off and recovery_codes:
            raise errors.UsageError("Without a second factor there are no recovery codes.")
        if recovery_codes:
            made = people.renew_recovery_codes(acting.actor(), found.id)
        elif off:
            people.drop_totp(acting.actor(), found.id)
        else:
            if not session.can_ask():
                raise errors.UsageError(
                    "Switching codes on asks for a first one, and there is no terminal.",
                    hint="Run it on a terminal, or let the person do it where they sign in.",
                )
            seed, shown = people.begin_totp(acting.actor(), found.id)
            screen.say(f"Enter this in an authenticator app: [bold]{seed}[/]")
            screen.say(f"  {escaped(codes.uri(seed, shown))}")
            code = session.asked("The code that it shows: ", "a one-time code").strip()
            made = people.confirm_totp(acting.actor(), found.id, code)
        found = people.load(found.id)
    screen.say(
        f"[green]✓[/] One-time codes are {'off' if off else 'on'} for {escaped(found.name)}."
    )
    if made:
        screen.say("Recovery codes, shown this once; each is good once:")
        for one in made:
            screen.say(f"    [bold]{one}[/]")
    screen.result({**found.to_json(), **({"recovery_codes": made} if made else {})})
    return 0


def _set_disabled(name: str, common: Common, *, is_disabled: bool) -> int:
    screen = Screen(as_json=common.json)
    with session.opened(common) as application:
        people = application.access.people
        found = people.set_disabled(acting.actor(), people.find(name).id, is_disabled=is_disabled)
    word = "disabled" if is_disabled else "enabled"
    screen.say(f"[green]✓[/] {escaped(found.name)} is {word}.")
    screen.result(found.to_json())
    return 0


def _show_link(application: Application, screen: Screen, person: Person, secret: str) -> None:
    from reentra.access.people import LINK_HOURS

    address = application.set_up_address(secret)
    screen.say(f"[green]✓[/] {escaped(person.name)} sets their password once, at:")
    screen.say()
    screen.say(f"    [bold]{escaped(address)}[/]")
    screen.say()
    screen.say(
        f"It is good for {LINK_HOURS} hours. Without a browser: "
        f"`reentra people password {escaped(person.name)}`."
    )
    screen.result({**person.to_json(), "set_up": address})


def _way(person: Person) -> str:
    if person.is_external:
        return "identity provider"
    if not person.has_password:
        return "nothing yet"
    return "password and code" if person.has_totp else "password"
