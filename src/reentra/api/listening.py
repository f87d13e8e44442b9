"""Serves the application on a socket of this process, with granian, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from reentra import errors
from reentra.graph.connection import is_loopback

_TRY_SECONDS = 0.05
_LONGEST_STOP_SECONDS = 10
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})


@dataclass(frozen=True, slots=True)
class Door:
    """Where to listen, and who ends TLS: this process, a proxy in front, or nobody."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    is_behind_proxy: bool = False

    @property
    def has_tls(self) -> bool:
        return self.certificate is not None


def ensure_safe(door: Door, public_url: str) -> None:
    """Let pass a door through which no password goes in the clear over a network.

    Raises: ``Refused``, ``UsageError``.
    """
    if (door.certificate is None) != (door.key is None):
        raise errors.UsageError("TLS needs a certificate and its key.", hint="Give both files.")
    if not is_loopback(door.host) and not door.has_tls and not door.is_behind_proxy:
        raise errors.Refused(
            f"Listening on {door.host} without TLS would send passwords and a whole directory over"
            " the network in the clear; nothing was started.",
            hint="Give a certificate and its key, or say that a proxy in front ends TLS.",
            typed="--tls-certificate FILE --tls-key FILE, or --behind-proxy",
        )
    if (door.is_behind_proxy or door.has_tls) and urlsplit(public_url).scheme != "https":
        raise errors.ConfigurationError(
            f"People are to reach it over TLS, and REENTRA_PUBLIC_URL is {public_url}.",
            hint="Set it to the https:// address that they type in.",
        )


def hosts_of(door: Door, public_url: str) -> frozenset[str]:
    """Return the names that requests may be addressed to."""
    hosts = {(urlsplit(public_url).hostname or "").lower()}
    if is_loopback(door.host):
        hosts |= _LOOPBACK
    elif door.host not in ("0.0.0.0", "::"):  # noqa: S104  compared with, not bound to
        hosts.add(door.host.lower())
    return frozenset(hosts - {""})


async def listen(app: Any, door: Door, stop: asyncio.Event, on_ready: Callable[[], None]) -> None:
    """Serve until ``stop`` is set; requests that are being answered are finished, for a while.

    Raises: ``UsageError`` when nothing can listen there.
    """
    from granian.constants import Interfaces
    from granian.server.embed import Server

    _ensure_free(door)
    server = Server(
        app,
        address=door.host,
        port=door.port,
        interface=Interfaces.ASGINL,
        websockets=False,
        log_enabled=False,
        ssl_cert=door.certificate,
        ssl_key=door.key,
    )
    server.workers_kill_timeout = _LONGEST_STOP_SECONDS
    serving = asyncio.create_task(server.serve())
    try:
        await _until_open(door, serving)
        on_ready()
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
    finally:
        server.stop()  # type: ignore[no-untyped-call]
        with contextlib.suppress(asyncio.CancelledError):
            await serving


def _ensure_free(door: Door) -> None:
    """Raise when somebody listens there: the server would share the address with them."""
    family = socket.AF_INET6 if ":" in door.host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((door.host, door.port))
    except OSError as failure:
        raise errors.UsageError(
            f"Nothing can listen on {door.host}:{door.port}: {failure.strerror or failure}.",
            hint="End what listens there, or choose another port.",
            typed="--port NUMBER",
        ) from failure


async def _until_open(door: Door, serving: asyncio.Task[None]) -> None:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(door.host, door.host)  # noqa: S104
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(host, door.port)
        except OSError:
            await asyncio.sleep(_TRY_SECONDS)
            continue
        writer.close()
        return
    serving.result()
