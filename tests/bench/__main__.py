"""Measure everything once: ``python -m tests.bench --size small|medium|full``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from . import bars, child, others, reading, restoring, tenant
from . import export as exports
from .sizes import SIZES, Size

_ROOT = Path(__file__).resolve().parents[2]
_LAYOUTS = ("pages", "files")


def main() -> None:
    """Measure, print, and write ``build/bench.json``."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--users", type=int, help="another number of users")
    parser.add_argument("--only-first", action="store_true", help="the first backup and no more")
    parser.add_argument("--without-tools", action="store_true", help="no restic, borg and git")
    parser.add_argument("--profile", type=Path, metavar="DIR", help="write profiles here instead")
    parser.add_argument("--output", type=Path, default=_ROOT / "build" / "bench.json")
    given = parser.parse_args()
    size = SIZES[given.size]
    if given.users:
        size = dataclasses.replace(size, users=given.users)
    began = time.perf_counter()
    # Others on the machine make processor seconds dearer, too: say how busy it was.
    numbers: dict[str, float] = {"users": size.users, "load_average": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory(prefix="reentra-bench-") as name:
        folder = Path(name)
        _measure_product(
            folder, size, numbers, is_first_only=given.only_first, profiles=given.profile
        )
        if not (given.only_first or given.profile):
            restoring.measure_rate(folder, numbers, _say)
            if given.size != "small":
                _say("restore: at Graph's quota, for five minutes")
                restoring.measure_quota(folder, numbers)
        if not (given.only_first or given.without_tools or given.profile):
            try:
                _measure_tools(folder, size, numbers)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                print(f"The other tools were not measured to the end: {error}")
    numbers["bench_wall_seconds"] = time.perf_counter() - began
    given.output.parent.mkdir(parents=True, exist_ok=True)
    rounded = {name: _rounded(value) for name, value in sorted(numbers.items())}
    given.output.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")
    _print(numbers)


def _measure_product(
    folder: Path,
    size: Size,
    numbers: dict[str, float],
    *,
    is_first_only: bool,
    profiles: Path | None,
) -> None:
    home = folder / "home"

    def act(name: str, *arguments: object, keep: str = "") -> dict[str, float]:
        _say(keep or name)
        path = None
        if profiles is not None:
            profiles.mkdir(parents=True, exist_ok=True)
            path = (profiles / f"{keep or name}.txt").absolute()
        found = child.run(name, home, *arguments, profile=path)
        if keep:
            numbers.update({f"{keep}_{key}": value for key, value in found.items()})
        return found

    _say(f"a tenant of {size.users:,} users")
    with tenant.serving(folder, size) as served:
        act("connect", served.url, served.tenant_id, served.client_id, served.secret)
        act("serve", keep="sandbox")
        first = act("back_up", keep="first")
        numbers["first_engine_cpu_seconds"] = first["cpu_seconds"] - first["http_cpu_seconds"]
        numbers["sandbox_peak_bytes"] = served.peak_bytes()
        if is_first_only:
            return
        unchanged = act("back_up", keep="unchanged")
        numbers["unchanged_requests_share"] = unchanged["requests"] / first["requests"]
        changed = tenant.change(served, size)
        (folder / "changed.json").write_text(json.dumps(dataclasses.asdict(changed)))
        second = act("back_up", keep="second")
        act("compare_live", keep="live")
        _say("plan a restore of half the users")
        restoring.measure_plans(home, served, size, numbers)
        if profiles is None:
            reading.measure(home, size, numbers, _say)
    act_numbers = act("ask", size.users, size.repeats)
    numbers.update(act_numbers)
    act("check", keep="check")
    rebuild = act("rebuild", keep="rebuild")
    act("replay", keep="replay")
    compressed = act("compressed_change", folder / "changed.json", keep="change")
    raw = act("export", folder / "data", 0, size.sample_objects, keep="raw")
    _derive(numbers, first, second, rebuild, compressed, raw)


def _derive(
    numbers: dict[str, float],
    first: dict[str, float],
    second: dict[str, float],
    rebuild: dict[str, float],
    compressed: dict[str, float],
    raw: dict[str, float],
) -> None:
    raw_bytes = raw["objects_bytes"] + raw["links_bytes"]
    with_catalog = [run["cpu_seconds"] + run["catalog_cpu_seconds"] for run in (first, second)]
    change_bytes = compressed["objects_bytes"] + compressed["links_bytes"]
    catalog_bytes = first["catalog_bytes"]
    numbers |= {
        "second_cpu_share": second["cpu_seconds"] / first["cpu_seconds"],
        "second_cpu_with_catalog_share": with_catalog[1] / with_catalog[0],
        "second_bytes_share": second["bytes"] / change_bytes,
        "repository_share": first["bytes"] / raw_bytes,
        "repository_share_of_objects": first["bytes"] / raw["objects_bytes"],
        "repository_objects_share": first["objects_bytes"] / raw["objects_bytes"],
        "repository_bytes_per_link": first["relationships_bytes"] / first["links"],
        "catalog_share": catalog_bytes / raw_bytes,
        "catalog_bytes_per_link_beyond": (catalog_bytes - 0.12 * raw["objects_bytes"])
        / first["links"],
        "rebuild_objects_per_second": rebuild["objects"] / rebuild["cpu_seconds"],
        "raw_bytes": raw_bytes,
    }
    for run in ("first", "second", "unchanged"):
        numbers[f"{run}_wall_seconds"] += numbers[f"{run}_catalog_wall_seconds"]


def _measure_tools(folder: Path, size: Size, numbers: dict[str, float]) -> None:
    installed = others.are_installed()
    tools = [tool for tool in others.TOOLS if installed[tool.name]]
    for name, is_there in installed.items():
        if not is_there:
            print(f"{name} is not installed: its rows are missing.")
    data = folder / "data"
    stores = {layout: others.Stores(folder / layout, data / layout, tools) for layout in _LAYOUTS}
    for step in ("first", "second"):
        if step == "second":
            _say("export")
            child.run("export", folder / "home", data, 2, size.sample_objects)
        for layout, store in stores.items():
            _say(f"{', '.join(tool.name for tool in tools)}: {step}, {layout}")
            if step == "first":
                store.start()
            for name, found in store.save().items():
                numbers.update(
                    {f"{name}_{layout}_{step}_{key}": value for key, value in found.items()}
                )
    for name, found in stores["pages"].verify().items():
        numbers.update({f"{name}_pages_{key}": value for key, value in found.items()})
    _derive_tools(numbers, data, [tool.name for tool in tools])


def _derive_tools(numbers: dict[str, float], data: Path, names: list[str]) -> None:
    raw = {"pages": numbers["raw_bytes"], "files": others.bytes_below(data / "files")}
    for name in names:
        for layout in _LAYOUTS:
            key = f"{name}_{layout}"
            numbers[f"{key}_size_share"] = numbers[f"{key}_first_bytes"] / raw[layout]
            numbers[f"{key}_second_mb"] = numbers[f"{key}_second_grown_bytes"] / 1e6
    ours = "reentra_pages"
    numbers |= {
        f"{ours}_first_cpu_seconds": numbers["first_cpu_seconds"]
        + numbers["first_catalog_cpu_seconds"],
        f"{ours}_first_wall_seconds": numbers["first_wall_seconds"],
        f"{ours}_second_cpu_seconds": numbers["second_cpu_seconds"]
        + numbers["second_catalog_cpu_seconds"],
        f"{ours}_second_wall_seconds": numbers["second_wall_seconds"],
        f"{ours}_size_share": numbers["repository_share"],
        f"{ours}_second_mb": numbers["second_bytes"] / 1e6,
        f"{ours}_check_wall_seconds": numbers["check_wall_seconds"],
        f"{ours}_read_back_wall_seconds": numbers["replay_wall_seconds"],
    }


def _print(numbers: dict[str, float]) -> None:
    objects, links = numbers["first_objects"], numbers["first_links"]
    print(
        f"\n{objects:,.0f} objects, {links:,.0f} relationships; {_machine()}; load average"
        f" {numbers['load_average']:.1f} when it began\n"
    )
    print(bars.table(numbers))
    names = ["reentra", *(tool.name for tool in others.TOOLS)]
    for layout, title in (
        ("pages", f"The same tenant as JSON, {exports.LINES_A_FILE} documents a file"),
        ("files", "A sample of its users as JSON, one file each"),
    ):
        if any(f"{name}_{layout}_first_cpu_seconds" in numbers for name in names):
            print(f"\n{title}:\n\n{bars.tool_table(numbers, layout, names)}")
    missed = [name for name, is_met in bars.verdicts(numbers).items() if not is_met]
    print(f"\nBars not met: {', '.join(missed) or 'none'}")
    print(f"The whole run took {numbers['bench_wall_seconds']:.0f} s.")


def _machine() -> str:
    model = platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return (
        f"{os.cpu_count()} cores ({model}), Python {platform.python_version()},"
        f" revision {revision.stdout.strip() or 'unknown'}"
    )


def _rounded(value: Any) -> float:
    return round(float(value), 4)


def _say(what: str) -> None:
    print(f"… {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
