"""Who runs a command, and the record of what it changed in the audit trail."""

from __future__ import annotations

import contextlib
import getpass
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

from reentra import errors

if TYPE_CHECKING:
    from reentra.access import Actor
    from reentra.app import Application


def account() -> str:
    """Return the machine's account that runs this command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def actor() -> Actor:
    """Return who runs this command, as the trail tells it."""
    from reentra.access import Actor, Via

    return Actor(Via.COMMAND, account(), address=socket.gethostname())


def record(
    application: Application, action: str, *, tenant: str = "", target: str = "", result: str
) -> None:
    """Add what a command does to the audit trail; it is durable on return."""
    from reentra.access import Entry

    application.access.trail.record(actor(), Entry(action, tenant, target, result))


@contextlib.contextmanager
def recorded(
    application: Application,
    action: str,
    *,
    tenant: str = "",
    target: str = "",
    done: str = "done",
) -> Iterator[None]:
    """Record that something is begun, and how it ended. Nothing is done without a record."""
    record(application, action, tenant=tenant, target=target, result="begun")
    result = "failed"
    try:
        yield
        result = done
    except errors.Error as failure:
        result = failure.code
        raise
    finally:
        record(application, action, tenant=tenant, target=target, result=result)
