"""The bars, and the table that shows them beside what was measured. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from . import year
from .pages import PAGES

Numbers = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a number of the result, how it reads, and its bar if it has one."""

    name: str
    title: str
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    def verdict(self, value: float) -> str:
        if self.at_most is not None:
            return "met" if value <= self.at_most else "not met"
        if self.at_least is not None:
            return "met" if value >= self.at_least else "not met"
        return ""

    @property
    def bar(self) -> str:
        if self.at_most is not None:
            return f"≤ {shown(self.at_most, self.unit)}"
        if self.at_least is not None:
            return f"≥ {shown(self.at_least, self.unit)}"
        return ""


ROWS = (
    Row("first_objects_per_cpu_second", "First backup: objects a second of engine CPU", "/s",
        at_least=20_000),
    Row("first_links_per_cpu_second", "First backup: relationships a second of engine CPU", "/s",
        at_least=200_000),
    Row("first_engine_cpu_seconds", "First backup: engine CPU", "s"),
    Row("first_http_cpu_seconds", "First backup: CPU of the HTTP client, beside it", "s"),
    Row("first_catalog_cpu_seconds", "First backup: CPU of bringing the catalog up to date", "s"),
    Row("sandbox_pages_per_second", "Sandbox: pages of 999 users a second", "/s"),
    Row("first_wall_seconds", "First backup: wall, with the catalog", "s"),
    Row("first_peak_before_catalog_bytes", "First backup: peak memory, reading and writing", "MB"),
    Row("first_peak_bytes", "First backup: peak memory, with the catalog", "MB", at_most=400e6),
    Row("second_cpu_share", "Second backup (1 % changed): CPU, as share of the first", "%",
        at_most=0.03),
    Row("second_cpu_with_catalog_share", "Second backup: the same, catalog included on both sides",
        "%"),
    Row("second_wall_seconds", "Second backup: wall, with the catalog", "s"),
    Row("second_bytes_share", "Second backup: bytes, as multiple of the compressed change", "x",
        at_most=1.5),
    Row("unchanged_requests_share", "Unchanged tenant: requests, as share of the first", "%",
        at_most=0.01),
    Row("unchanged_wall_seconds", "Unchanged tenant: wall", "s"),
    Row("repository_share", "Repository, as share of the raw JSON (objects and links)", "%",
        at_most=0.12),
    Row("repository_share_of_objects", "Repository, as share of the JSON of objects alone", "%"),
    Row("repository_objects_share", "Objects in the repository, as share of their JSON", "%"),
    Row("repository_bytes_per_link", "A relationship in the repository", "B"),
    Row("catalog_bytes_per_link_beyond", "Catalog, beyond 12 % of the raw JSON, a relationship",
        "B", at_most=60),
    Row("catalog_share", "Catalog, as share of the raw JSON (objects and links)", "%"),
    Row("candidates_ms", "Two snapshots, 1 % changed: what differs", "ms", at_most=150),
    Row("compare_ms", "Two snapshots, 1 % changed: every property of every change", "ms"),
    Row("compare_first_ms", "The same, the first time in a process", "ms"),
    Row("live_wall_seconds", "Compare a snapshot with the live tenant", "s"),
    Row("search_rare_p50_ms", "Search, one hit: p50", "ms"),
    Row("search_rare_p95_ms", "Search, one hit: p95", "ms", at_most=20),
    Row("search_common_p50_ms", "Search, very common text: p50", "ms"),
    Row("search_common_p95_ms", "Search, very common text: p95", "ms", at_most=20),
    Row("point_read_p50_ms", "One object's properties: p50", "ms"),
    Row("point_read_p95_ms", "One object's properties: p95", "ms", at_most=10),
    Row("list_page_at_0_percent_ms", "A page of 100 users, at the beginning", "ms"),
    Row("list_page_at_50_percent_ms", "A page of 100 users, in the middle", "ms"),
    Row("list_page_at_99_percent_ms", "A page of 100 users, near the end", "ms"),
    *(
        Row(f"page_{name}_p95_ms", f"Page {name.replace('_', ' ')}: p95", "ms", at_most=100)
        for name in PAGES
    ),
    *(
        Row(f"year_{name}_p95_ms", f"Hourly for a year, page {name.replace('_', ' ')}: p95",
            "ms", at_most=100)
        for name in year.PAGES
    ),
    Row("first_view_bytes", "First view of the overview, as it is sent", "B", at_most=150e3),
    Row("pages_peak_bytes", "Memory of the server after all pages: peak", "MB", at_most=400e6),
    Row("reads_alone_list_p50_ms", "100 readers, each once a second: a page of 100 users, p50",
        "ms"),
    Row("reads_alone_list_p95_ms", "100 readers: a page of 100 users, p95", "ms"),
    Row("reads_alone_object_p50_ms", "100 readers: an object with its links, p50", "ms"),
    Row("reads_alone_object_p95_ms", "100 readers: an object with its links, p95", "ms"),
    Row("reads_beside_backup_list_p50_ms", "The same beside a full backup: a page, p50", "ms"),
    Row("reads_beside_backup_list_p95_ms", "The same beside a full backup: a page, p95", "ms",
        at_most=100),
    Row("reads_beside_backup_object_p50_ms", "The same beside a full backup: an object, p50",
        "ms"),
    Row("reads_beside_backup_object_p95_ms", "The same beside a full backup: an object, p95",
        "ms", at_most=100),
    Row("reads_flat_out_per_second", "100 readers without a pause: reads a second", "/s"),
    Row("restore_plan_wall_seconds", "Plan to put half the users back: wall", "s", at_most=60),
    Row("restore_plan_cpu_seconds", "Plan to put half the users back: CPU", "s"),
    Row("restore_plan_peak_bytes", "Plan to put half the users back: peak memory", "MB",
        at_most=600e6),
    Row("restore_plan_with_links_wall_seconds", "The same with all their relationships: wall", "s"),
    Row("restore_plan_with_links_cpu_seconds", "The same with all their relationships: CPU", "s"),
    Row("restore_plan_with_links_peak_bytes", "The same with all their relationships: peak memory",
        "MB", at_most=600e6),
    Row("restore_steps_per_second", "Restore without a quota: steps a second", "/s", at_least=400),
    Row("restore_updates_per_second", "Restore without a quota: updates a second", "/s"),
    Row("restore_creations_per_second", "Restore without a quota: recreation, steps a second",
        "/s"),
    Row("restore_links_per_second", "Restore without a quota: links a second", "/s"),
    Row("restore_writes_per_object", "Restore: writes for an object that is put back", "x"),
    Row("restore_requests_per_object", "Restore: all requests for it, reading back included", "x"),
    Row("restore_requests_per_created_object", "Restore: all requests for an object created anew",
        "x"),
    Row("restore_writes_per_link", "Restore: writes for a link", "x"),
    Row("restore_requests_per_link", "Restore: all requests for it, reading back included", "x"),
    Row("restore_quota_share", "Restore: share of Graph's write quota that is used, 300 s", "%",
        at_least=0.95),
    Row("check_wall_seconds", "Check, every byte: wall", "s"),
    Row("rebuild_objects_per_second", "Rebuild: objects a second of CPU, links included", "/s",
        at_least=20_000),
    Row("rebuild_wall_seconds", "Rebuild: wall", "s"),
    Row("replay_open_wall_seconds", "A snapshot from the repository alone: open", "s"),
    Row("replay_wall_seconds", "A snapshot from the repository alone: open and read all", "s"),
    Row("replay_peak_bytes", "A snapshot from the repository alone: peak memory", "MB"),
)  # fmt: skip

_TOOL_ROWS = (
    ("first_cpu_seconds", "First: CPU, s"),
    ("first_wall_seconds", "First: wall, s"),
    ("second_cpu_seconds", "After 1 %: CPU, s"),
    ("second_wall_seconds", "After 1 %: wall, s"),
    ("size_share", "Size after the first, % of raw"),
    ("second_mb", "Growth after 1 %, MB"),
    ("check_wall_seconds", "Verify: wall, s"),
    ("read_back_wall_seconds", "Read all back: wall, s"),
)


def shown(value: float, unit: str) -> str:
    """Return a number as people read it."""
    formats: dict[str, Callable[[float], str]] = {
        "%": lambda number: f"{number * 100:.1f} %",
        "MB": lambda number: f"{number / 1e6:,.0f} MB",
        "/s": lambda number: f"{number:,.0f}/s",
        "ms": lambda number: f"{number:,.1f} ms",
        "s": lambda number: f"{number:,.1f} s",
        "B": lambda number: f"{number:,.0f} B",
        "x": lambda number: f"{number:.2f}x",
    }
    return formats[unit](value)


def table(numbers: Numbers) -> str:
    """Return what was measured beside the bars, as a Markdown table."""
    lines = ["| What | Measured | Bar | |", "|---|---:|---:|---|"]
    lines += [
        f"| {row.title} | {shown(numbers[row.name], row.unit)} | {row.bar} |"
        f" {row.verdict(numbers[row.name])} |"
        for row in ROWS
        if row.name in numbers
    ]
    return "\n".join(lines)


def tool_table(numbers: Numbers, layout: str, names: Iterable[str]) -> str:
    """Return the tools' figures for one layout of the export, with ours beside them."""
    columns = [name for name in names if f"{name}_{layout}_first_cpu_seconds" in numbers]
    lines = [
        f"| | {' | '.join(columns)} |",
        f"|---|{'---:|' * len(columns)}",
    ]
    for key, title in _TOOL_ROWS:
        found = [numbers.get(f"{name}_{layout}_{key}") for name in columns]
        if any(value is not None for value in found):
            cells = ["" if value is None else _number(key, value) for value in found]
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def verdicts(numbers: Numbers) -> dict[str, bool]:
    """Return the bars by name, and whether each is met."""
    return {
        row.name: row.verdict(numbers[row.name]) == "met"
        for row in ROWS
        if row.bar and row.name in numbers
    }


def _number(key: str, value: float) -> str:
    return f"{value * 100:.1f}" if key == "size_share" else f"{value:,.2f}"
