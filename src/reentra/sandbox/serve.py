"""Serving a sandbox until it is told to stop, for the command line and for other processes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reentra.sandbox import seed
from reentra.sandbox.app import Sandbox, SandboxServer
from reentra.sandbox.clock import Clock
from reentra.sandbox.tenant import Tenant
from reentra.sandbox.tokens import ClientSecret
from reentra.sandbox.world import Options


@dataclass(frozen=True, slots=True)
class Ready:
    """What a client needs to call a sandbox that is listening."""

    url: str
    tenant_id: str
    backup_client_id: str
    restore_client_id: str
    both_client_id: str
    ca_file: Path | None
    secret_file: Path | None

    def line(self) -> str:
        """Return everything in one line, for a person and for a script."""
        parts = [
            f"sandbox ready at {self.url}",
            f"tenant {self.tenant_id}",
            f"client {self.both_client_id}",
        ]
        if self.ca_file is not None:
            parts.append(f"ca {self.ca_file}")
        if self.secret_file is not None:
            parts.append(f"secret in {self.secret_file}")
        return ", ".join(parts)


def run(
    port: int = 0,
    tls_dir: Path | None = None,
    seed_name: str = "small",
    users: int | None = None,
    state_file: Path | None = None,
    *,
    options: Options | None = None,
    secret_file: Path | None = None,
    host: str = "127.0.0.1",
    on_ready: Callable[[Ready], None] | None = None,
    stopped: threading.Event | None = None,
) -> None:
    """Serve a sandbox until SIGINT, SIGTERM, or ``stopped``.

    With a state file the tenant is read from it when it is there, and written back at the end.
    With a secret file the clients' secret is made anew and written there, readable by its owner
    only; without one the clients have the documented sandbox secret.

    Raises:
        OSError: the port is taken, or a file cannot be read or written.
    """
    chosen = options or Options(throttle="real")
    tenant = Tenant.load(state_file) if state_file is not None and state_file.exists() else None
    sandbox = Sandbox(seed_name, users=users, tenant=tenant, options=chosen)
    if secret_file is not None:
        _write_secret(sandbox, secret_file)
    server = SandboxServer(sandbox, host=host, port=port, tls_folder=tls_dir)
    ending = stopped or threading.Event()
    restored = _stop_on_signals(ending)
    try:
        url = server.start()
        if on_ready is not None:
            on_ready(
                Ready(
                    url,
                    sandbox.tenant.tenant_id,
                    seed.BACKUP_CLIENT_ID,
                    seed.RESTORE_CLIENT_ID,
                    seed.BOTH_CLIENT_ID,
                    server.ca_file,
                    secret_file,
                )
            )
        # A bounded wait lets signals through on every platform.
        while not ending.wait(0.5):
            pass
    finally:
        server.stop()
        restored()
        if state_file is not None:
            with sandbox.tenant.lock:
                partial = state_file.with_suffix(state_file.suffix + ".partial")
                sandbox.tenant.save(partial)
                partial.replace(state_file)


def _write_secret(sandbox: Sandbox, secret_file: Path) -> None:
    # Random for each start: the clock's own sequence is the same for the same seed.
    secret = Clock(seed=int(Clock().seconds() * 1e6)).new_secret()
    for client in sandbox.tokens.clients():
        client.secrets = [ClientSecret(secret)]
    secret_file.parent.mkdir(parents=True, exist_ok=True)
    secret_file.touch(mode=0o600, exist_ok=True)
    secret_file.chmod(0o600)
    secret_file.write_text(secret + "\n", encoding="utf-8")


def _stop_on_signals(ending: threading.Event) -> Callable[[], None]:
    """Set the event on SIGINT and SIGTERM; return what puts the former handlers back."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    before = {
        number: signal.signal(number, lambda *_: ending.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    return restore
