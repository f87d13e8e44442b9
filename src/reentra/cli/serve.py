"""``reentra serve``."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from reentra.cli import acting, session
from reentra.cli.options import DEFAULT_COMMON, Common
from reentra.cli.screen import Screen, escaped

if TYPE_CHECKING:
    from reentra.api.listening import Door
    from reentra.app import Application
    from reentra.worker import Worker

app = App(name="serve")

FIRST_PERSON = "admin"
# A page gives up the interpreter dozens of times, and gets it back from a running backup only after
# this long; the default of 5 ms makes people wait for a tenth of a second and more.
_SWITCH_SECONDS = 0.0005


@app.default
def serve(
    *,
    host: Annotated[str, Parameter(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="The port.")] = 8440,
    tls_certificate: Annotated[
        Path | None, Parameter(help="Serve TLS with this certificate (PEM, with its chain).")
    ] = None,
    tls_key: Annotated[Path | None, Parameter(help="The certificate's key (PEM).")] = None,
    behind_proxy: Annotated[
        bool,
        Parameter(
            negative="",
            help="A proxy in front ends TLS and says in X-Forwarded-For who asks.",
        ),
    ] = False,
    common: Common = DEFAULT_COMMON,
) -> int:
    """Serve the pages and the API, keep to the schedules, and run jobs, until Ctrl-C or SIGTERM.

    The first start adds the administrator `admin` and prints the one-time link to set the
    password. Jobs that are cut off by the end, or by a kill, go on at the next start. People
    reach it under REENTRA_PUBLIC_URL.

    Example: reentra serve --host 0.0.0.0 --tls-certificate chain.pem --tls-key key.pem
    """
    from reentra.api.listening import Door, ensure_safe

    screen = Screen(as_json=common.json)
    door = Door(host, port, tls_certificate, tls_key, behind_proxy)
    with session.opened(common) as application:
        ensure_safe(door, application.settings.public_url)
        application.repository  # noqa: B018  the passphrase is asked for before anything is begun
        _keep_logs_plain(application.settings.log_level)
        link = _first_link(application)

        def show(address: str) -> None:
            screen.say(f"[green]✓[/] Serving on [bold]{address}[/]; Ctrl-C stops.")
            if link:
                screen.say(f"Set the password of the administrator {FIRST_PERSON}, once, at:")
                screen.say()
                screen.say(f"    [bold]{escaped(link)}[/]")
            if screen.as_json:
                print(json.dumps({"event": "serving", "url": address, "set_up": link}), flush=True)

        run(application, door, show)
        screen.say("Stopped: what ran waits for the next start.")
    return 0


def run(application: Application, door: Door, show: Callable[[str], None]) -> None:
    """Serve and work until Ctrl-C or SIGTERM; ``show`` is called with the address once it listens.

    Raises: ``ConfigurationError`` when the pages' files are not built.
    """
    from reentra.worker import Worker

    target = f"{door.host}:{door.port}"
    acting.record(application, "serve", target=target, result="begun")
    sys.setswitchinterval(_SWITCH_SECONDS)
    worker = Worker(application)
    worker.start()
    try:
        asyncio.run(_serve(application, worker, door, show))
    finally:
        worker.close()
        acting.record(application, "serve", target=target, result="done")


async def _serve(
    application: Application, worker: Worker, door: Door, show: Callable[[str], None]
) -> None:
    from reentra.api import Serving
    from reentra.api.listening import hosts_of, listen
    from reentra.web import make_app

    url = application.settings.public_url
    serving = Serving(
        application,
        worker,
        hosts=hosts_of(door, url),
        is_secure=door.has_tls or door.is_behind_proxy,
        trusts_proxy=door.is_behind_proxy,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    def begin() -> None:
        scheme = "https" if door.has_tls else "http"
        show(f"{scheme}://{door.host}:{door.port}")
        sys.stdout.flush()

    await listen(make_app(serving), door, stop, begin)


def _first_link(application: Application) -> str:
    """Return the link for the first administrator, while that one has no password yet."""
    from reentra.access import EVERY_TENANT, Role

    people = application.access.people
    if people.is_empty():
        _, secret = people.add(acting.actor(), FIRST_PERSON, {EVERY_TENANT: Role.ADMINISTRATOR})
        return application.set_up_address(secret)
    known = people.list_people()
    if any(person.has_password for person in known) or known[0].name != FIRST_PERSON:
        return ""
    return application.set_up_address(people.renew_link(acting.actor(), known[0].id))


def _keep_logs_plain(level: str) -> None:
    """Log on stderr; what libraries say about requests stays out: it may quote addresses."""
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    logging.getLogger("reentra").setLevel(level.upper())
