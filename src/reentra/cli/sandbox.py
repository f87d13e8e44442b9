"""``reentra sandbox serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

app = App(name="sandbox")


@app.command
def serve(
    *,
    port: Annotated[int, Parameter(help="The port on 127.0.0.1; 0 takes a free one.")] = 8400,
    tls: Annotated[
        Path | None,
        Parameter(help="Serve https with a CA of its own, kept in this folder (ca.pem)."),
    ] = None,
    seed: Annotated[
        Literal["small", "medium", "large"], Parameter(help="How much is in the tenant.")
    ] = "small",
    users: Annotated[int | None, Parameter(help="Users of the large seed.")] = None,
) -> int:
    """Serve an imitation of Microsoft Graph with a made-up tenant, until Ctrl-C.

    It prints where it listens, and the tenant, the client and the secret to connect with.

    Example: reentra sandbox serve --port 8400 --seed medium
    """
    from reentra.sandbox import serve as sandbox

    sandbox.run(port=port, tls_dir=tls, seed=seed, users=users)
    return 0
