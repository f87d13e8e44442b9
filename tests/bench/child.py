"""Run one act in a process of its own: ``python -m tests.bench.child ACT HOME [ARGUMENT]...``.

Prints its numbers as JSON, with the most memory that the process has used.
"""

from __future__ import annotations

import cProfile
import json
import pstats
import subprocess
import sys
from pathlib import Path

from . import acts, export, furnishing, restore_acts, year  # noqa: F401  they add their acts

_ROOT = Path(__file__).resolve().parents[2]


def run(act: str, home: Path, *arguments: object, profile: Path | None = None) -> acts.Numbers:
    """Start a process for the act and return its numbers.

    Raises: ``RuntimeError`` when it fails.
    """
    command = [sys.executable, "-m", __name__, act, str(home), *(str(item) for item in arguments)]
    if profile is not None:
        command.insert(3, f"--profile={profile}")
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, check=False)
    if done.returncode and not done.stdout:
        raise RuntimeError(f"{act} failed:\n{done.stderr.decode()}")
    numbers: acts.Numbers = json.loads(done.stdout)
    if done.returncode:
        print(f"{act} ended with {done.returncode} after its numbers: {done.stderr.decode()}")
    return numbers


def main() -> None:
    """Parse the command line and run."""
    given = sys.argv[1:]
    profile = given.pop(0).partition("=")[2] if given[0].startswith("--profile=") else ""
    name, home, *rest = given
    arguments = [int(item) if item.isdigit() else item for item in rest]
    if profile:
        with cProfile.Profile() as profiler:
            numbers = acts.ACTS[name](Path(home), *arguments)
        with Path(profile).open("w", encoding="utf-8") as file:
            pstats.Stats(profiler, stream=file).sort_stats("tottime").print_stats(40)
    else:
        numbers = acts.ACTS[name](Path(home), *arguments)
    numbers = {**numbers, "peak_bytes": acts.peak_bytes()}
    sys.stdout.buffer.write(acts.as_json(numbers))


if __name__ == "__main__":
    main()
