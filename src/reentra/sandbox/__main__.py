"""Serve a sandbox from the command line: ``python -m reentra.sandbox``."""

from __future__ import annotations

import argparse
from pathlib import Path

from reentra.sandbox import seed, serve
from reentra.sandbox.world import Options


def main() -> None:
    """Parse the arguments and serve."""
    parser = argparse.ArgumentParser(
        prog="python -m reentra.sandbox",
        description="Serve an imitation of Microsoft Graph v1.0 on the loopback interface.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--tls", type=Path, metavar="DIR", help="serve TLS; certificates go here")
    parser.add_argument("--seed", choices=seed.SEEDS, default="small")
    parser.add_argument("--users", type=int, help="how many users, for medium and large")
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep the tenant in this file")
    parser.add_argument("--secret-file", type=Path, metavar="FILE", help="write a new secret here")
    parser.add_argument("--throttle", default="real", help="off, real, or a factor on the limits")
    parser.add_argument("--replication-delay", type=float, default=0.0, metavar="SECONDS")
    given = parser.parse_args()
    serve.run(
        given.port,
        given.tls,
        given.seed,
        given.users,
        given.state,
        options=Options(throttle=given.throttle, replication_delay_seconds=given.replication_delay),
        secret_file=given.secret_file,
        on_ready=lambda ready: print(ready.line(), flush=True),
    )


if __name__ == "__main__":
    main()
