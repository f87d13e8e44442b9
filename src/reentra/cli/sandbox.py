"""``reentra sandbox serve``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from reentra import errors
from reentra.cli.options import DEFAULT_OUTPUT, Output

if TYPE_CHECKING:
    from reentra.sandbox.serve import Ready

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
    users: Annotated[int | None, Parameter(help="How many users, for medium and large.")] = None,
    state: Annotated[
        Path | None, Parameter(help="Keep the tenant in this file from run to run.")
    ] = None,
    secret_file: Annotated[
        Path | None,
        Parameter(help="Make a new client secret and write it here; otherwise it is a known one."),
    ] = None,
    throttle: Annotated[
        str, Parameter(help="Graph's limits: off, real, or a factor on them.")
    ] = "real",
    output: Output = DEFAULT_OUTPUT,
) -> int:
    """Serve an imitation of Microsoft Graph with a made-up tenant, until Ctrl-C.

    It prints in one line where it listens, and the tenant and client to connect with.

    Example: reentra sandbox serve --port 8400 --seed medium
    """
    from reentra.sandbox import seed as seeds
    from reentra.sandbox import serve as sandbox
    from reentra.sandbox.world import Options

    def show(ready: Ready) -> None:
        document = {
            "url": ready.url,
            "graph_endpoint": ready.url,
            "authority": ready.url,
            "tenant_id": ready.tenant_id,
            "client_id": ready.both_client_id,
            "backup_client_id": ready.backup_client_id,
            "restore_client_id": ready.restore_client_id,
            "ca_file": None if ready.ca_file is None else str(ready.ca_file),
            "secret_file": None if ready.secret_file is None else str(ready.secret_file),
        }
        if output.json:
            print(json.dumps(document), flush=True)
            return
        print(ready.line(), flush=True)
        if ready.secret_file is None:
            print(f"client secret: {seeds.SANDBOX_SECRET}", flush=True)

    try:
        sandbox.run(
            port,
            tls,
            seed,
            users,
            state,
            options=Options(throttle=throttle if throttle in {"off", "real"} else float(throttle)),
            secret_file=secret_file,
            on_ready=show,
        )
    except ValueError as failure:
        raise errors.UsageError(
            f"--throttle {throttle} is no limit.", hint="Give off, real, or a factor such as 4."
        ) from failure
    except OSError as failure:
        raise errors.UsageError(
            f"The sandbox cannot serve on port {port}: {failure.strerror or failure}.",
            hint="Choose another port, or --port 0 for a free one.",
        ) from failure
    return 0
